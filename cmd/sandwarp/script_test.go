package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sandwarp/sandwarp/cmd/sandwarp/demo"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sandwarp": func() {
			os.Exit(runCommandLine(context.Background()))
		},
	})
}

// TestScripts runs the command as a user would, in a folder with a small model
// in two formats, broken ones, and the example plugins.
func TestScripts(t *testing.T) {
	f16 := modeltest.Tiny("llama", tensor.F16, 1)
	example := func(lang, name string) []byte {
		b, err := os.ReadFile(filepath.Join(testdata.Root(), "sdk", lang, "examples", name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	banlist := example("c", "banlist.wasm")
	files := map[string][]byte{
		"tiny-f16.gguf":  f16,
		"tiny-q8.gguf":   modeltest.Tiny("qwen2", tensor.Q8_0, 1),
		"cut.gguf":       f16[:len(f16)-1000],
		"header.gguf":    f16[:100],
		"noise.gguf":     []byte("this is no model"),
		"demo.gguf":      demo.GGUF,
		"redact.wasm":    examples.Redact,
		"banlist.wasm":   banlist,
		"rust.wasm":      example("rust", "banlist.wasm"),
		"bytes.wasm":     example("c", "bytes.wasm"),
		"dry.wasm":       example("c", "dry.wasm"),
		"truncated.wasm": examples.Redact[:len(examples.Redact)/2],
	}
	testscript.Run(t, testscript.Params{
		Dir:  filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"make": makeProject},
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"RUSTUP_HOME", "CARGO_HOME", "GOMODCACHE", "GOCACHE", "GOPATH"} { // compilers keep theirs
				env.Setenv(name, toolHomes[name])
			}
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, "cache"))
			for name, b := range files {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), b, 0o644); err != nil {
					return err
				}
			}
			return nil
		},
	})
}
