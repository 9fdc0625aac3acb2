package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/testdata"
)

// TestMain is the program itself in a process that the test below starts.
func TestMain(m *testing.M) {
	if os.Getenv("BASIC_IS_THE_PROGRAM") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func basic(args ...string) (string, error) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "BASIC_IS_THE_PROGRAM=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestBasic(t *testing.T) {
	demo := filepath.Join(testdata.Root(), "cmd", "sandwarp", "demo", "demo.gguf")
	if out, err := basic(demo); err != nil || len(strings.Fields(out)) < 10 {
		t.Errorf("%v: %q, want a story", err, out)
	}
	if out, err := basic(); err == nil || !strings.Contains(out, "usage: basic MODEL.gguf") || strings.Contains(out, "panic") {
		t.Errorf("without an argument: %v, %q", err, out)
	}
	if out, err := basic("missing.gguf"); err == nil || !strings.Contains(out, "missing.gguf") {
		t.Errorf("without a model: %v, %q", err, out)
	}
}

// The program in the README is this one.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(testdata.Root(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, program0, _ := strings.Cut(string(program), "\n")
	if !strings.Contains(string(readme), "```go\n"+program0+"```") {
		t.Error("the README's program is not examples/basic/main.go")
	}
}
