package ptxtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// twice doubles n numbers.
type twice struct{}

func (twice) Name() string { return "twice" }

func (twice) Build(t ptx.Target) (*ptx.Kernel, error) {
	b := ptx.New("twice", t)
	b.Threads(64, 0)
	x, n := b.Param(ptx.U64, "x"), b.Param(ptx.U32, "n")
	i := b.Mad(b.Ctaid(0), b.Ntid(0), b.Tid(0))
	b.GridWait()
	b.If(b.Setp(ptx.Lt, i, n), func() {
		p := b.MadWide(i, 4, x)
		v := b.Ld(ptx.Global, ptx.F32, p, 0)
		b.St(ptx.Global, p, 0, b.Add(v, v))
	})
	return b.Kernel()
}

func TestCheck(t *testing.T) { Check(t, twice{}) }

// record counts failures instead of failing.
type record struct {
	testing.TB
	failed []string
}

func (r *record) Helper()                           {}
func (r *record) Errorf(format string, args ...any) { r.failed = append(r.failed, format) }
func (r *record) Logf(string, ...any)               {}

func TestGolden(t *testing.T) {
	Golden(t, "testdata", Build(t, twice{}, ptx.SM90a))
	if *rewrite {
		return
	}
	dir := t.TempDir()
	m := Build(t, twice{}, ptx.SM80)
	if err := os.WriteFile(filepath.Join(dir, "twice.sm_80.ptx"), []byte(m.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	Golden(t, dir, m)
	m.Kernels[0].Threads = 32
	r := &record{TB: t}
	if Golden(r, dir, m); len(r.failed) != 1 {
		t.Errorf("a changed kernel: %q", r.failed)
	}
}

func TestTextFinds(t *testing.T) {
	m := Build(t, twice{}, ptx.SM80)
	m.Kernels[0].Body[0].Op = "ld.param.u65"
	r := &record{TB: t}
	t.Setenv("SANDWARP_PTXAS", "")
	t.Setenv("PATH", "")
	if Text(r, m); len(r.failed) == 0 {
		t.Error("an instruction that is none passed")
	}
}

func TestParseInfo(t *testing.T) {
	info := parseInfo(strings.Join([]string{
		"ptxas info    : Function properties for a",
		"    0 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads",
		"ptxas info    : Used 255 registers, used 1 barriers, 4096 bytes smem, 352 bytes cmem[0]",
		"    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads",
		"ptxas info    : Used 18 registers, 64 bytes smem"}, "\n"))
	if info != (Info{Registers: 255, Shared: 4096, Spills: 20}) {
		t.Errorf("%+v", info)
	}
}
