package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sandwarp/sandwarp/cmd/sandwarp/scaffold"
	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/sdk/conformance"
)

// makeProject is the scripts' command `make FOLDER TOOL...`: it builds a plugin's
// project as a user would, and checks what comes out. Where a tool is missing it says so
// and goes on.
func makeProject(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: make FOLDER TOOL...")
	}
	dir := ts.MkAbs(args[0])
	for _, tool := range args[1:] {
		if why := missing(tool, dir); why != "" {
			ts.Logf("SKIPPED: %s is not built: %s", args[0], why)
			return
		}
	}
	ts.Check(ts.Exec("make", "-C", dir, "check"))
	// What inspect shows is there before anything runs, whatever the language.
	shown, err := exec.Command("sandwarp", "plugin", "inspect", filepath.Join(dir, filepath.Base(dir)+".wasm")).CombinedOutput()
	ts.Check(err)
	for _, line := range []string{"plugin ", "does ", "kind ", "capabilities ", "budget ", "sha256 ", "signature "} {
		if !strings.Contains("\n"+string(shown), "\n"+line) {
			ts.Fatalf("plugin inspect shows no line %q:\n%s", line, shown)
		}
	}
}

// toolHomes are where compilers keep their things: the scripts' HOME is empty.
var toolHomes = func() map[string]string {
	home, _ := os.UserHomeDir()
	cache, _ := os.UserCacheDir()
	homes := map[string]string{
		"RUSTUP_HOME": filepath.Join(home, ".rustup"), "CARGO_HOME": filepath.Join(home, ".cargo"),
		"GOPATH": filepath.Join(home, "go"), "GOMODCACHE": filepath.Join(home, "go", "pkg", "mod"), "GOCACHE": filepath.Join(cache, "go-build"),
	}
	for name := range homes {
		if v := os.Getenv(name); v != "" {
			homes[name] = v
		}
	}
	return homes
}()

// missing says why a tool is not there.
func missing(tool, project string) string {
	switch {
	case testing.Short():
		return "runs a compiler"
	case tool == "wasm32":
		out, err := exec.Command("rustc", "--print", "target-libdir", "--target", "wasm32-unknown-unknown").Output()
		if err == nil {
			_, err = os.Stat(strings.TrimSpace(string(out)))
		}
		if err != nil {
			return "rustc has no target wasm32-unknown-unknown"
		}
	case tool == "asc":
		modules := filepath.Join(testdata.Root(), "sdk", "assemblyscript", "node_modules")
		if _, err := os.Stat(filepath.Join(modules, "assemblyscript")); err != nil {
			return "AssemblyScript is not installed (npm install --no-package-lock in sdk/assemblyscript)"
		}
		if err := os.Symlink(modules, filepath.Join(project, "node_modules")); err != nil {
			return err.Error()
		}
		return missing("node", project)
	default:
		if _, err := exec.LookPath(tool); err != nil {
			return tool + " is not installed"
		}
	}
	if _, err := exec.LookPath("make"); err != nil {
		return "make is not installed"
	}
	return ""
}

// TestReadmes builds the plugins the SDKs' READMEs show, in the projects they make.
func TestReadmes(t *testing.T) {
	for _, c := range []struct {
		lang, readme, fence, source string
		tools                       []string
	}{
		{"rust", "rust", "```rust\n", "src/lib.rs", []string{"cargo", "wasm32"}},
		{"as", "assemblyscript", "```ts\n", "assembly/index.ts", []string{"asc"}},
		{"go", "go", "```go\n", "main.go", []string{"go"}},
	} {
		t.Run(c.lang, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "shout")
			if err := (scaffold.Project{Lang: c.lang, Kind: "filter", Name: "you/shout"}).Write(dir); err != nil {
				t.Fatal(err)
			}
			for _, tool := range c.tools {
				if why := missing(tool, dir); why != "" {
					t.Skip("SKIPPED: ", why)
				}
			}
			text, err := os.ReadFile(filepath.Join(testdata.Root(), "sdk", c.readme, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			_, code, _ := strings.Cut(string(text), c.fence)
			code, _, found := strings.Cut(code, "\n```")
			if !found {
				t.Fatalf("the README has no %q", c.fence)
			}
			if err := os.WriteFile(filepath.Join(dir, c.source), []byte(code+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("make", "-C", dir, "build").CombinedOutput(); err != nil {
				t.Fatalf("make: %v\n%s", err, out)
			}
			module, err := os.ReadFile(filepath.Join(dir, "shout.wasm"))
			if err != nil {
				t.Fatal(err)
			}
			conformance.Run(t, module, conformance.Options{})
		})
	}
}
