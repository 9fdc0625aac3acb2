// Package ptxtest checks the text of kernels in tests: that it is what it was
// (goldens), that the verifier and the parser take it, and that ptxas compiles it
// without spilling registers.
//
//	func TestText(t *testing.T) { ptxtest.Check(t, Scale{K: 64}, Scale{K: 100}) }
//
// ptxas is not part of this project: its path is SANDWARP_PTXAS, or it is found on
// the PATH, or the check is left out.
package ptxtest

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

var rewrite = flag.Bool("rewrite", false, "write the golden .ptx files instead of comparing with them")

// Config is a specialised kernel.
type Config interface {
	Name() string
	Build(t ptx.Target) (*ptx.Kernel, error)
}

// Targets are those kernels are built for.
var Targets = []ptx.Target{ptx.SM80, ptx.SM90a}

// Check builds every config for every target, or only those its method
// Targets() []ptx.Target lists, and checks the text (see Text).
func Check(t *testing.T, configs ...Config) {
	t.Helper()
	for _, c := range configs {
		targets := Targets
		if some, ok := c.(interface{ Targets() []ptx.Target }); ok {
			targets = some.Targets()
		}
		for _, target := range targets {
			t.Run(c.Name()+"/"+target.Arch, func(t *testing.T) { Text(t, Build(t, c, target)) })
		}
	}
}

// Build is a module with the kernel c.
func Build(t testing.TB, c Config, target ptx.Target) *ptx.Module {
	t.Helper()
	k, err := c.Build(target)
	if err != nil {
		t.Fatal(err)
	}
	return &ptx.Module{Target: target, Kernels: []*ptx.Kernel{k}}
}

// Text fails unless the verifier finds no mistake in m, Parse reads what String
// writes, and ptxas, where there is one, compiles it without spills.
func Text(t testing.TB, m *ptx.Module) {
	t.Helper()
	if err := ptx.Verify(m); err != nil {
		t.Errorf("%v", err)
	}
	text := m.String()
	read, err := ptx.Parse("text", text)
	if err != nil {
		t.Fatal(err)
	}
	if again := read.String(); again != text {
		t.Errorf("what Parse read prints differently: %s", difference(again, text))
	}
	if err := ptx.Verify(read); err != nil {
		t.Errorf("after Parse: %v", err)
	}
	if path := assembler(); path != "" {
		Assemble(t, m)
	}
}

// Golden compares m with dir/<first kernel>.<arch>.ptx. With the flag -rewrite it
// writes that file.
func Golden(t testing.TB, dir string, m *ptx.Module) {
	t.Helper()
	file := filepath.Join(dir, m.Kernels[0].Name+"."+m.Target.Arch+".ptx")
	text := m.String()
	if *rewrite {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: run the test with -rewrite to make it", err)
	}
	if string(want) != text {
		t.Errorf("%s: %s: look at the change, then run the test with -rewrite", file, difference(text, string(want)))
	}
}

// difference is the first line in which two texts differ.
func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		a, b := "the end", "the end"
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return fmt.Sprintf("line %d is %q, was %q", i+1, a, b)
		}
	}
	return "no difference"
}

// Info is what ptxas says of a module: the most registers and shared memory a
// kernel of it has, and the bytes of registers spilled, by all of them.
type Info struct {
	Registers, Shared, Spills int
}

// assembled are what ptxas said, by the hash of the text.
var assembled sync.Map

// Assemble has ptxas compile m, and fails if it refuses, warns or spills
// registers. It skips the test where there is no ptxas.
func Assemble(t testing.TB, m *ptx.Module) Info {
	t.Helper()
	path := assembler()
	if path == "" {
		t.Skip("there is no ptxas: set SANDWARP_PTXAS to its path")
	}
	hash := m.Hash()
	if info, ok := assembled.Load(hash); ok {
		return info.(Info)
	}
	file := filepath.Join(t.TempDir(), "module.ptx")
	if err := os.WriteFile(file, []byte(m.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "-v", "-arch="+m.Target.Arch, file, "-o", os.DevNull).CombinedOutput()
	if err != nil {
		t.Fatalf("ptxas: %v\n%s", err, out)
	}
	info := parseInfo(string(out))
	if info.Spills > 0 {
		t.Errorf("%s: %d bytes of registers are spilled\n%s", m.Kernels[0].Name, info.Spills, out)
	}
	// "(C7515) Potential Performance Loss", of wgmma that wait for each other, and
	// "(C7508)", of a setmaxnreg that was ignored, are not called warnings.
	if strings.Contains(string(out), "warning") || adviceOf.Match(out) {
		t.Errorf("%s: ptxas warns\n%s", m.Kernels[0].Name, out)
	}
	t.Logf("%s %s: %d registers, %d bytes of shared memory", m.Kernels[0].Name, m.Target.Arch, info.Registers, info.Shared)
	assembled.Store(hash, info)
	return info
}

func assembler() string {
	if p := os.Getenv("SANDWARP_PTXAS"); p != "" {
		return p
	}
	p, err := exec.LookPath("ptxas")
	if err != nil {
		return ""
	}
	return p
}

var (
	registersOf = regexp.MustCompile(`Used (\d+) registers`)
	sharedOf    = regexp.MustCompile(`(\d+) bytes smem`)
	adviceOf    = regexp.MustCompile(`\(C\d+\)`)
	spillsOf    = regexp.MustCompile(`(\d+) bytes spill (?:stores|loads)`)
)

// parseInfo reads the output of ptxas -v.
func parseInfo(out string) (info Info) {
	numbers := func(re *regexp.Regexp) (n []int) {
		for _, g := range re.FindAllStringSubmatch(out, -1) {
			v, _ := strconv.Atoi(g[1])
			n = append(n, v)
		}
		return n
	}
	for _, n := range numbers(registersOf) {
		info.Registers = max(info.Registers, n)
	}
	for _, n := range numbers(sharedOf) {
		info.Shared = max(info.Shared, n)
	}
	for _, n := range numbers(spillsOf) {
		info.Spills += n
	}
	return info
}
