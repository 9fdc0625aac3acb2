package kernels

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx/ptxtest"
)

// TestGolden compares the texts of the kernels of Representatives with those in
// testdata, so that a change of the builder or of a kernel shows in its review. The
// newest target's text is enough: the other's differs little.
func TestGolden(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Representatives() {
		targets := TargetsOf(c)
		target := targets[len(targets)-1]
		seen[c.Name()+"."+target.Arch+".ptx"] = true
		ptxtest.Golden(t, "testdata", ptxtest.Build(t, c, target))
	}
	files, err := filepath.Glob("testdata/*.ptx")
	must(t, err)
	for _, file := range files {
		if !seen[filepath.Base(file)] {
			t.Errorf("%s belongs to no kernel any more: remove it", file)
		}
	}
}

// hashes lists what All builds, a kernel, target and hash of the text in a line.
const hashes = "testdata/hashes.txt"

// TestTexts has the verifier, the parser and ptxas read the texts of All, and
// compares their hashes with those in testdata.
func TestTexts(t *testing.T) {
	var lines []string
	seen := map[string]bool{}
	for _, c := range All() {
		for _, target := range TargetsOf(c) {
			name := c.Name() + " " + target.Arch
			if seen[name] {
				t.Errorf("two kernels are called %s", name)
			}
			seen[name] = true
			m := ptxtest.Build(t, c, target)
			if m.Kernels[0].Name != c.Name() {
				t.Errorf("%s builds a kernel called %s", c.Name(), m.Kernels[0].Name)
			}
			lines = append(lines, name+" "+m.Hash()+"\n")
			if !testing.Short() {
				t.Run(name, func(t *testing.T) { ptxtest.Text(t, m) })
			}
		}
	}
	slices.Sort(lines)
	if flag.Lookup("rewrite").Value.String() == "true" {
		must(t, os.WriteFile(hashes, []byte(strings.Join(lines, "")), 0o644))
		return
	}
	data, err := os.ReadFile(hashes)
	must(t, err)
	if d := gocmp.Diff(strings.SplitAfter(string(data), "\n"), append(lines, "")); d != "" {
		t.Errorf("texts differ from %s: look at the change, then run the test with -rewrite\n%s", hashes, d)
	}
}

// A kernel has one text for a target: it does not depend on what was built before,
// nor on the order of a map.
func TestBuildIsDeterministic(t *testing.T) {
	for _, c := range All() {
		var text [2]string
		for i := range text {
			text[i] = ptxtest.Build(t, c, TargetsOf(c)[0]).String()
		}
		if text[0] != text[1] {
			t.Errorf("%s: two builds differ", c.Name())
		}
	}
}

// With programmatic launch a kernel starts while the one before it may still write.
// So each waits for it, on every path, before it reads what is not constant and
// before it writes at all.
func TestKernelsWaitForTheGridBefore(t *testing.T) {
	for _, c := range All() {
		if !slices.Contains(TargetsOf(c), ptx.SM90a) {
			continue
		}
		k, err := c.Build(ptx.SM90a)
		must(t, err)
		waits := 0
		for _, i := range k.Body {
			switch op := i.Op; {
			case op == "griddepcontrol.wait" && !i.Guard.IsZero():
				t.Errorf("%s: %s: waits only where a predicate holds", c.Name(), i.Where)
			case op == "griddepcontrol.wait":
				waits++
			case waits > 0:
			case op == "ret":
				t.Errorf("%s: %s: ends without waiting", c.Name(), i.Where)
			case strings.HasPrefix(op, "st.") && strings.Contains(op, ".global"),
				strings.HasPrefix(op, "ld.") && strings.Contains(op, ".global") && !strings.Contains(op, ".nc"),
				strings.HasPrefix(op, "red.") && strings.Contains(op, ".global"),
				strings.HasPrefix(op, "atom.") && strings.Contains(op, ".global"):
				t.Errorf("%s: %s: %s before the wait for the grid before", c.Name(), i.Where, op)
			}
		}
		if waits == 0 {
			t.Errorf("%s never waits for the grid before it", c.Name())
		}
	}
}

// The sums of a product by wgmma are registers that a mov has defined, though the
// first wgmma writes over them: see (*gemmEmit).consume. ptxas 13.0 does not tell, so
// the check of texts by it does not see this.
func TestSumsOfWgmmaAreDefined(t *testing.T) {
	seen := false
	for _, c := range All() {
		if g, ok := c.(GEMM); !ok || !g.Tile.Wgmma {
			continue
		}
		k, err := c.Build(ptx.SM90a)
		must(t, err)
		defined := map[int32]bool{}
		for _, i := range k.Body {
			if i.Op == "mov.b32" {
				defined[i.Args[0].Reg.Num] = true
			}
			if !strings.HasPrefix(i.Op, "wgmma.mma_async") {
				continue
			}
			seen = true
			for _, sum := range i.Args[0].List {
				if !defined[sum.Reg.Num] {
					t.Fatalf("%s: %s: wgmma adds to a register nothing defines; have the sums begin as zeroes", c.Name(), i.Where)
				}
			}
		}
	}
	if !seen {
		t.Error("no kernel multiplies by wgmma")
	}
}
