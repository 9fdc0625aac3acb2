package internal_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"path"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/testdata"
)

const module = "github.com/sandwarp/sandwarp/"

// arrows says which of our packages a package may import, and which modules of
// others. "x/..." stands for x and everything below it. Tests may import more.
var arrows = []struct {
	from   string
	ours   string
	others string
}{
	{"internal/tensor", "", ""},
	{"internal/tokenizer", "", "golang.org/x/text"},
	{"abi", "", "github.com/vmihailenco/msgpack/v5"},
	{"internal/gguf", "internal/tensor", "golang.org/x/sys"},
	{"internal/quantize", "internal/gguf internal/tensor", ""},
	{"internal/plan", "internal/tensor", ""},
	{"internal/plan/ref", "internal/plan internal/tensor", ""},
	{"internal/model", "internal/gguf internal/plan internal/tensor", ""},
	{"internal/model/modeltest", "internal/gguf internal/tensor internal/tokenizer", ""},
	{"internal/backend", "internal/plan internal/tensor", ""},
	{"internal/backend/backendtest", "internal/... ", "go.uber.org/goleak"},
	{"internal", "", ""},
	{"internal/testdata", "", ""},
	{"cpubackend", "cpubackend/internal/kernels internal/backend internal/plan internal/tensor", "golang.org/x/sys"},
	{"cpubackend/internal/kernels", "internal/tensor", "golang.org/x/sys github.com/klauspost/cpuid/v2"},
	{"ptxbackend/internal/ptx", "", ""},
	{"ptxbackend/internal/driver", "ptxbackend/internal/ptx", ""},
	{"ptxbackend/internal/cuda", "ptxbackend/internal/driver ptxbackend/internal/ptx", "github.com/ebitengine/purego golang.org/x/sys"},
	{"ptxbackend/internal/emu", "ptxbackend/internal/driver ptxbackend/internal/ptx", ""},
	{"ptxbackend/internal/kernels", "ptxbackend/internal/driver ptxbackend/internal/ptx internal/backend internal/tensor internal/plan", ""},
	{"ptxbackend/internal/...", "ptxbackend/internal/... internal/backend internal/tensor", ""},
	{"ptxbackend", "ptxbackend/internal/... internal/backend internal/plan internal/tensor", ""},
	{"runtime/internal/kv", "", ""},
	{"runtime/internal/sample", "", ""},
	{"runtime/internal/chat", "", "github.com/ardanlabs/jinja"},
	{"runtime/internal/sched", "internal/backend runtime/internal/kv runtime/internal/sample", ""},
	{"runtime", "runtime/internal/... cpubackend internal/model internal/gguf internal/tokenizer internal/backend internal/plan internal/tensor", ""},
	// The one package that needs cgo: whoever does not import it downloads nothing.
	{"wasm/wasmtime", "wasm", "github.com/bytecodealliance/wasmtime-go/v39 golang.org/x/sys"},
	// What all engines must pass; tests import it. The runtime is there to show what
	// requests see of a hostile plugin.
	{"wasm/internal/enginetest", "abi runtime wasm wasm/wasmtest wasm/internal/binary wasm/internal/meter internal/testdata", "github.com/vmihailenco/msgpack/v5 golang.org/x/sys"},
	{"wasm/...", "abi wasm/...", "github.com/tetratelabs/wazero golang.org/x/sys"},
	{"sdk/...", "abi sdk/...", ""},
	{"sdk/conformance", "abi wasm", ""}, // it tries a plugin in the host, for its author
	{"sdk/pack", "abi sdk wasm", ""},    // it may have to ask the plugin
	{"internal/plugintest", "abi sdk wasm internal/testdata", ""},
	{"cmd/sandwarp/...", "runtime abi wasm wasm/wasmtime cmd/sandwarp/... sdk sdk/c/examples sdk/conformance internal/gguf internal/quantize internal/tensor cpubackend ptxbackend", "github.com/spf13/cobra github.com/schollz/progressbar/v3 golang.org/x/term"},
	{"tools/...", "internal/gguf internal/tensor internal/quantize internal/model/modeltest", ""},
	{"examples/...", "runtime wasm", ""},
}

type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

// TestArrows fails on any import that arrows does not allow.
func TestArrows(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Standard,Imports", "./...")
	cmd.Dir = testdata.Root()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		check(t, p)
	}
}

func check(t *testing.T, p pkg) {
	from := strings.TrimPrefix(p.ImportPath, module)
	rule := -1
	for i, a := range arrows {
		if a.from == from || rule < 0 && matches(a.from, from) {
			rule = i
		}
	}
	if rule < 0 {
		t.Errorf("%s: no rule says what it may import", from)
		return
	}
	for _, imp := range p.Imports {
		if to, ours := strings.CutPrefix(imp, module); ours {
			if !anyMatch(arrows[rule].ours, to) {
				t.Errorf("%s -> %s is not an arrow of this house", from, to)
			}
		} else if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") && !anyPrefix(arrows[rule].others, imp) {
			t.Errorf("%s -> %s: not a module this package may use", from, imp)
		}
	}
}

func matches(pattern, p string) bool {
	if dir, ok := strings.CutSuffix(pattern, "/..."); ok {
		return p == dir || strings.HasPrefix(p, dir+"/")
	}
	return path.Clean(pattern) == p
}

func anyMatch(patterns, p string) bool {
	for _, a := range strings.Fields(patterns) {
		if matches(a, p) {
			return true
		}
	}
	return false
}

func anyPrefix(modules, imp string) bool {
	for _, m := range strings.Fields(modules) {
		if imp == m || strings.HasPrefix(imp, m+"/") {
			return true
		}
	}
	return false
}
