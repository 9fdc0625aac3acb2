package emu

import (
	"errors"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// force is build without the verifier, which sees some mistakes before they run.
func (b *bench) force(k *ptx.Builder) driver.Function {
	b.t.Helper()
	kernel, err := k.Kernel()
	if err != nil {
		b.t.Fatal(err)
	}
	p, err := compile(kernel)
	if err != nil {
		b.t.Fatal(err)
	}
	return &function{dev: b.d.(*device), prog: p}
}

// violations are kernels of (x, y *[1024]uint32) that each do one thing wrong.
var violations = []struct {
	name    string
	code    int
	want    string // in the message
	threads uint32
	body    func(b *ptx.Builder, x, y ptx.Reg)
}{
	{"past the end", driver.CodeIllegalAddress, "in no allocation", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		b.Ld(ptx.Global, ptx.U32, x, 4096)
	}},
	{"before the beginning", driver.CodeIllegalAddress, "in no allocation", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		b.St(ptx.Global, x, -4, b.Var(ptx.U32, 1))
	}},
	{"across the end", driver.CodeIllegalAddress, "pass the end", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		b.CpAsync(b.Shared("s", 16, 16), 0, x, 4096, b.Var(ptx.U32, 0)) // reads nothing: fine
		b.CpAsyncWait(0)
		m := b.Shared("m", 8, 8)
		b.MbarInit(m, 0, 1)
		b.FenceMbarInit()
		b.CpAsyncBulk(b.Shared("t", 16, 8192), 0, x, 16, 4096, m, 0)
	}},
	{"freed", driver.CodeIllegalAddress, "in no allocation", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		b.Ld(ptx.Global, ptx.U32, b.Add(y, 1<<20), 0)
	}},
	{"misaligned global", driver.CodeMisalignedAddress, "not a multiple of 16", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		b.LdV(ptx.Global, ptx.U32, 4, x, 8)
	}},
	{"misaligned shared", driver.CodeMisalignedAddress, "not a multiple of 8", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		b.LdV(ptx.Shared, ptx.U32, 2, b.Add(b.Shared("s", 16, 32), 4), 0)
	}},
	{"past shared", driver.CodeIllegalAddress, "the block has", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		b.St(ptx.Shared, b.Shared("s", 16, 32), 32, b.Var(ptx.U32, 1))
	}},
	{"register without a value", driver.CodeLaunchFailed, "before it is written", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		b.St(ptx.Global, x, 0, b.Reg(ptx.U32))
	}},
	{"register written by some lanes", driver.CodeLaunchFailed, "lane 5", 32, func(b *ptx.Builder, x, y ptx.Reg) {
		v := b.Reg(ptx.U32)
		b.Under(b.Setp(ptx.Ne, b.Lane(), 5), func() { b.Set(v, 1) })
		b.Add(v, v)
	}},
	{"trap", driver.CodeLaunchFailed, "trap", 1, func(b *ptx.Builder, x, y ptx.Reg) { b.Trap() }},
	{"race of warps", driver.CodeLaunchFailed, "race", 64, func(b *ptx.Builder, x, y ptx.Reg) {
		s := b.Add(b.Shared("s", 16, 256), b.Mul(b.Tid(0), 4))
		b.St(ptx.Shared, s, 0, b.Tid(0))
		b.Ld(ptx.Shared, ptx.U32, b.Xor(s, 128), 0)
	}},
	{"race of lanes", driver.CodeLaunchFailed, "of this warp wrote", 32, func(b *ptx.Builder, x, y ptx.Reg) {
		s := b.Add(b.Shared("s", 128, 128), b.Mul(b.Tid(0), 4))
		b.St(ptx.Shared, s, 0, b.Tid(0))
		b.Ld(ptx.Shared, ptx.U32, b.Xor(s, 4), 0)
	}},
	{"write after a read", driver.CodeLaunchFailed, "race", 64, func(b *ptx.Builder, x, y ptx.Reg) {
		s := b.Add(b.Shared("s", 256, 256), b.Mul(b.Tid(0), 4))
		b.St(ptx.Shared, s, 0, b.Tid(0))
		b.Bar()
		v := b.Ld(ptx.Shared, ptx.U32, b.Xor(s, 128), 0)
		b.St(ptx.Shared, s, 0, v)
	}},
	{"plain beside atomic", driver.CodeLaunchFailed, "race", 64, func(b *ptx.Builder, x, y ptx.Reg) {
		s := b.Shared("s", 16, 16)
		one := b.Var(ptx.U32, 1)
		b.If(b.Setp(ptx.Eq, b.Tid(0), 0), func() { b.St(ptx.Shared, s, 0, one) })
		b.Red(ptx.Shared, "", "add", s, 0, one)
		b.Bar()
	}},
	{"half a barrier's order", driver.CodeLaunchFailed, "race", 96, func(b *ptx.Builder, x, y ptx.Reg) {
		// Warps 0 and 1 meet; warp 2 reads what warp 0 wrote without having met anybody.
		s := b.Shared("s", 16, 16)
		b.If(b.Setp(ptx.Eq, b.Tid(0), 0), func() { b.St(ptx.Shared, s, 0, b.Tid(0)) })
		b.If(b.Setp(ptx.Lt, b.Tid(0), 64), func() { b.BarN(1, 64) }, func() { b.Ld(ptx.Shared, ptx.U32, s, 0) })
	}},
	{"barrier in divergent code", driver.CodeLaunchTimeout, "deadlock", 64, func(b *ptx.Builder, x, y ptx.Reg) {
		b.If(b.Setp(ptx.Lt, b.Tid(0), 32), func() { b.Bar() })
	}},
	{"barrier for some lanes", driver.CodeLaunchFailed, "are apart", 32, func(b *ptx.Builder, x, y ptx.Reg) {
		b.If(b.Setp(ptx.Lt, b.Tid(0), 16), func() { b.Bar() }, func() { b.BarN(1, 32) })
	}},
	{"guarded barrier", driver.CodeLaunchFailed, "some lanes", 32, func(b *ptx.Builder, x, y ptx.Reg) {
		b.Under(b.Setp(ptx.Lt, b.Tid(0), 16), func() { b.Bar() })
	}},
	{"barrier of two sizes", driver.CodeLaunchFailed, "where others wait", 64, func(b *ptx.Builder, x, y ptx.Reg) {
		b.If(b.Setp(ptx.Lt, b.Tid(0), 32), func() { b.BarN(1, 64) }, func() { b.BarN(1, 96) })
	}},
	{"mma of half a warp", driver.CodeLaunchFailed, ".aligned", 32, func(b *ptx.Builder, x, y ptx.Reg) {
		r, c := make([]ptx.Reg, 4), make([]ptx.Reg, 4)
		for i := range r {
			r[i], c[i] = b.Var(ptx.B32, 0), b.Var(ptx.F32, 0)
		}
		b.If(b.Setp(ptx.Lt, b.Tid(0), 16), func() { b.Mma(ptx.F16, c, r, r[:2], c) }, func() { b.Ret() })
	}},
	{"mma in a small block", driver.CodeLaunchFailed, "has only", 16, func(b *ptx.Builder, x, y ptx.Reg) {
		b.Ldmatrix(1, false, b.Shared("s", 16, 512), 0)
	}},
	{"shuffle without partner", driver.CodeLaunchFailed, "is in the mask", 32, func(b *ptx.Builder, x, y ptx.Reg) {
		b.If(b.Setp(ptx.Lt, b.Tid(0), 16), func() { b.Shfl("bfly", b.Tid(0), 1) }, func() { b.Ret() })
	}},
	{"endless loop", driver.CodeLaunchTimeout, "does not end", 32, func(b *ptx.Builder, x, y ptx.Reg) {
		l := b.NewLabel()
		b.Label(l)
		b.Under(b.Setp(ptx.Ne, b.Ld(ptx.Global, ptx.U32, y, 0, ptx.Volatile), 12345), func() { b.Bra(l) })
	}},
	{"copy read before its wait", driver.CodeLaunchFailed, "copy is under way", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		s := b.Shared("s", 16, 16)
		b.CpAsync(s, 0, x, 0)
		b.CpAsyncCommit()
		b.CpAsyncWait(1)
		b.Ld(ptx.Shared, ptx.U32, s, 0)
	}},
	{"copy not committed", driver.CodeLaunchFailed, "copy is under way", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		s := b.Shared("s", 16, 16)
		b.CpAsync(s, 0, x, 0)
		b.CpAsyncWait(0)
		b.Ld(ptx.Shared, ptx.U32, s, 0)
	}},
	{"copy of another lane", driver.CodeLaunchFailed, "race", 32, func(b *ptx.Builder, x, y ptx.Reg) {
		s := b.Add(b.Shared("s", 512, 512), b.Mul(b.Tid(0), 16))
		b.CpAsync(s, 0, x, 0)
		b.CpAsyncCommit()
		b.CpAsyncWait(0)
		b.Ld(ptx.Shared, ptx.U32, b.Xor(s, 16), 0)
	}},
	{"end with a copy under way", driver.CodeLaunchFailed, "ends while its cp.async", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		b.CpAsync(b.Shared("s", 16, 16), 0, x, 0)
		b.CpAsyncCommit()
	}},
	{"write to an mbarrier", driver.CodeLaunchFailed, "an mbarrier lies there", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		m := b.Shared("m", 8, 8)
		b.MbarInit(m, 0, 1)
		b.St(ptx.Shared, m, 4, b.Tid(0))
	}},
	{"arrival too many", driver.CodeLaunchFailed, "arrivals", 32, func(b *ptx.Builder, x, y ptx.Reg) {
		m := b.Shared("m", 8, 8)
		b.If(b.Setp(ptx.Eq, b.Tid(0), 0), func() {
			b.MbarInit(m, 0, 2)
			b.MbarExpect(m, 0, 16)
			b.MbarArrive(m, 0)
			b.MbarArrive(m, 0)
		})
	}},
	{"no mbarrier", driver.CodeLaunchFailed, "there is no mbarrier", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		b.MbarArrive(b.Shared("m", 8, 8), 0)
	}},
	{"mbarrier nobody arrives at", driver.CodeLaunchTimeout, "deadlock", 32, func(b *ptx.Builder, x, y ptx.Reg) {
		m := b.Shared("m", 8, 8)
		b.If(b.Setp(ptx.Eq, b.Tid(0), 0), func() { b.MbarInit(m, 0, 1) })
		b.Bar()
		b.MbarWait(m, 0, b.Var(ptx.U32, 0))
	}},
	{"an mbarrier asked once", driver.CodeLaunchFailed, "trap", 32, func(b *ptx.Builder, x, y ptx.Reg) {
		m := b.Shared("m", 8, 8)
		b.If(b.Setp(ptx.Eq, b.Tid(0), 0), func() {
			b.MbarInit(m, 0, 1)
			b.MbarArrive(m, 0)
		})
		b.Bar()
		b.For(0, 200, 1, func(ptx.Reg) { // once each time: hardware may answer no though it is complete
			p := b.Reg(ptx.Pred)
			b.Emit("mbarrier.try_wait.parity.shared::cta.b64", p, ptx.Arg{Kind: ptx.ArgAddr, Reg: m}, b.Imm(ptx.U32, 0))
			b.Unless(p, func() { b.Trap() })
		})
	}},
	{"bytes beyond count", driver.CodeLaunchFailed, "2^20-1", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		m := b.Shared("m", 8, 8)
		b.MbarInit(m, 0, 1)
		b.MbarExpect(m, 0, 1<<20)
	}},
	{"bulk copy nobody waits for", driver.CodeLaunchFailed, "nobody waited", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		m := b.Shared("m", 8, 8)
		b.MbarInit(m, 0, 1)
		b.FenceMbarInit()
		b.MbarExpect(m, 0, 16)
		b.CpAsyncBulk(b.Shared("s", 16, 16), 0, x, 0, 16, m, 0)
	}},
	{"bulk copy over ordinary stores", driver.CodeLaunchFailed, "without fence.proxy.async", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		m, s := b.Shared("m", 8, 8), b.Shared("s", 16, 16)
		b.MbarInit(m, 0, 1)
		b.FenceMbarInit()
		b.St(ptx.Shared, s, 0, b.Tid(0))
		b.MbarExpect(m, 0, 16)
		b.CpAsyncBulk(s, 0, x, 0, 16, m, 0)
	}},
	{"misaligned bulk copy", driver.CodeMisalignedAddress, "multiples of 16", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		m := b.Shared("m", 8, 8)
		b.MbarInit(m, 0, 1)
		b.CpAsyncBulk(b.Shared("s", 16, 16), 0, x, 8, 16, m, 0)
	}},
	{"past constant memory", driver.CodeIllegalAddress, "the kernel has", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		b.Ld(ptx.Const, ptx.U32, b.Const("c", 4, []byte{1, 2, 3, 4}), 4)
	}},
	{"wgmma of three warps", driver.CodeLaunchFailed, "others of the warpgroup", 128, func(b *ptx.Builder, x, y ptx.Reg) {
		s := b.Shared("s", 1024, 8192)
		b.If(b.Setp(ptx.Lt, b.Tid(0), 96), func() {
			d := b.Regs(ptx.F32, 4)
			desc := b.Or(b.Cvt(ptx.U64, b.Shr(s, 4)), uint64(64)<<32|uint64(1)<<62)
			for i := range d {
				b.Set(d[i], 0)
			}
			on := b.Var(ptx.Pred, true)
			b.WgmmaFence()
			b.Wgmma(ptx.F16, 8, d, []ptx.Reg{desc}, desc, on)
			b.WgmmaCommit()
			b.WgmmaWait(0)
		})
	}},
	{"nc of what is written", driver.CodeLaunchFailed, "ld.global.nc", 1, func(b *ptx.Builder, x, y ptx.Reg) {
		b.St(ptx.Global, x, 8, b.Tid(0))
		b.Ld(ptx.Global, ptx.U32, x, 8, ptx.NC)
	}},
}

func TestViolations(t *testing.T) {
	for _, v := range violations {
		t.Run(v.name, func(t *testing.T) {
			b := ptx.New("bad", ptx.SM90a)
			x, y := b.Param(ptx.U64, "x"), b.Param(ptx.U64, "y")
			v.body(b, x, y)
			r := newBench(t, Options{Steps: 1 << 16})
			f := r.force(b)
			px, py := r.words(make([]uint32, 1024)...), r.words(make([]uint32, 1024)...)
			err := r.run(f, with(grid(1, v.threads), px, py))
			wantError(t, err, v.code, v.want)
			if err2 := r.s.Sync(); !errors.Is(err2, driver.ErrLost) {
				t.Errorf("afterwards: %v, want the same for ever", err2)
			}
		})
	}
}

func wantError(t *testing.T, err error, code int, text string) {
	t.Helper()
	var e *driver.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want %d", err, code)
	}
	if e.Code != code || !strings.Contains(e.Detail, text) {
		t.Errorf("error %v, want %d with %q", e, code, text)
	}
}

// TestPipelineViolations leaves steps out of pipelines that are correct otherwise.
func TestPipelineViolations(t *testing.T) {
	seeds(t, func(t *testing.T, r *bench) {
		in, out := r.words(make([]uint32, 16*512)...), r.space(64*64)
		copies := []struct {
			k    *ptx.Builder
			want string
		}{
			{copyPipeline(true, false), "copy is under way"},
			{copyPipeline(false, true), ""},
			{copyPipeline(true, true), ""},
		}
		for i, c := range copies {
			err := r.again().run(r.force(c.k), with(grid(1, 128), in, uint32(7), uint32(0), out))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("copy %d: %v, want %q", i, err, c.want)
			}
		}
		for skip, want := range map[string]string{"fence": "fence.mbarrier_init", "bar": "", "empty": "", "full": "",
			"arrive": "deadlock"} {
			err := r.again().run(r.force(bulkPipeline(skip)), with(grid(1, 160), in, uint32(9), uint32(0), out))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("bulk without %s: %v, want %q", skip, err, want)
			}
		}
		for skip, want := range map[string]string{"fence.proxy": "fence.proxy.async", "bar": "", "wgmma.fence": "no wgmma.fence",
			"overwrite": "still reading", "change": "was written while wgmma worked on it", "wait": "wgmma.wait_group is missing"} {
			err := r.again().run(r.force(wgmmaKernel(64, false, skip)), with(grid(1, 128), in, in, out))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("wgmma without %s: %v, want %q", skip, err, want)
			}
		}
		err := r.again().run(r.force(wgmmaKernel(64, true, "changeA")), with(grid(1, 128), in, in, out))
		if err == nil || !strings.Contains(err.Error(), "changed while wgmma read it") {
			t.Errorf("wgmma: %v", err)
		}
	})
}

// again forgets the fault of the device.
func (b *bench) again() *bench {
	b.d.(*device).lost = nil
	return b
}
