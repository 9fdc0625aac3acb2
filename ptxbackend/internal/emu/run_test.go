package emu

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// bench is a device a test runs kernels on.
type bench struct {
	t testing.TB
	d driver.Device
	s driver.Stream
}

func newBench(t testing.TB, o Options) *bench {
	t.Helper()
	d, err := New(o).Open(0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return &bench{t, d, s}
}

// build ends a kernel and loads it.
func (b *bench) build(k *ptx.Builder) driver.Function {
	b.t.Helper()
	kernel, err := k.Kernel()
	if err != nil {
		b.t.Fatal(err)
	}
	m, err := b.d.Load(&ptx.Module{Target: k.Target, Kernels: []*ptx.Kernel{kernel}})
	if err != nil {
		b.t.Fatal(err)
	}
	f, err := m.Function(kernel)
	if err != nil {
		b.t.Fatal(err)
	}
	return f
}

// words is device memory with these 32-bit values.
func (b *bench) words(v ...uint32) driver.Ptr {
	b.t.Helper()
	raw := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(raw[4*i:], x)
	}
	p, err := b.d.Alloc(int64(len(raw)))
	if err == nil {
		err = b.s.CopyIn(p, raw)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bench) space(words int) driver.Ptr {
	b.t.Helper()
	p, err := b.d.Alloc(4 * int64(words))
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bench) read(p driver.Ptr, words int) []uint32 {
	b.t.Helper()
	raw := make([]byte, 4*words)
	if err := b.s.CopyOut(raw, p); err != nil {
		b.t.Fatal(err)
	}
	out := make([]uint32, words)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return out
}

// run launches f and returns what the next call says.
func (b *bench) run(f driver.Function, l driver.Launch) error {
	b.t.Helper()
	if err := b.s.Launch(f, &l); err != nil {
		return err
	}
	return b.s.Sync()
}

func params(v ...any) []byte {
	var out []byte
	for _, x := range v {
		switch x := x.(type) {
		case driver.Ptr:
			for len(out)%8 != 0 {
				out = append(out, 0)
			}
			out = binary.LittleEndian.AppendUint64(out, uint64(x))
		case uint32:
			out = binary.LittleEndian.AppendUint32(out, x)
		case float32:
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
		}
	}
	return out
}

func grid(blocks, threads uint32) driver.Launch {
	return driver.Launch{Grid: [3]uint32{blocks}, Block: [3]uint32{threads}}
}

func with(l driver.Launch, p ...any) driver.Launch {
	l.Params = params(p...)
	return l
}

func TestScale(t *testing.T) {
	b := ptx.New("scale", ptx.SM80)
	x, n, a := b.Param(ptx.U64, "x"), b.Param(ptx.U32, "n"), b.Param(ptx.F32, "a")
	i := b.Mad(b.Ctaid(0), b.Ntid(0), b.Tid(0))
	b.If(b.Setp(ptx.Lt, i, n), func() {
		p := b.Add(x, b.MulWide(i, 4))
		b.St(ptx.Global, p, 0, b.Mul(b.Ld(ptx.Global, ptx.F32, p, 0), a))
	})
	r := newBench(t, Options{})
	f := r.build(b)
	in := make([]uint32, 1000)
	for i := range in {
		in[i] = math.Float32bits(float32(i))
	}
	p := r.words(in...)
	if err := r.run(f, with(grid(8, 128), p, uint32(1000), float32(3))); err != nil {
		t.Fatal(err)
	}
	for i, v := range r.read(p, 1000) {
		if got := math.Float32frombits(v); got != 3*float32(i) {
			t.Fatalf("x[%d] = %v", i, got)
		}
	}
	if s := TakeStats(r.d); s.Read != 4000 || s.Written != 4000 || s.Launches != 1 || s.LaneInstructions == 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestReduce sums through warps, shared memory and an atomic.
func TestReduce(t *testing.T) {
	b := ptx.New("reduce", ptx.SM80)
	x, out := b.Param(ptx.U64, "x"), b.Param(ptx.U64, "out")
	sh := b.Shared("part", 16, 4*8)
	tid := b.Tid(0)
	i := b.Mad(b.Ctaid(0), b.Ntid(0), tid)
	s := b.WarpReduce("add", b.Ld(ptx.Global, ptx.F32, b.Add(x, b.MulWide(i, 4)), 0, ptx.NC))
	b.If(b.Setp(ptx.Eq, b.Lane(), 0), func() {
		b.St(ptx.Shared, b.Add(sh, b.Shr(tid, 3)), 0, s)
	})
	b.Bar()
	b.If(b.Setp(ptx.Eq, tid, 0), func() {
		sum := b.Var(ptx.F32, 0)
		b.For(0, 8, 1, func(i ptx.Reg) {
			b.AddTo(sum, b.Ld(ptx.Shared, ptx.F32, b.Add(sh, b.Mul(i, 4)), 0))
		})
		b.Red(ptx.Global, "", "add", out, 0, sum)
	})
	r := newBench(t, Options{})
	f := r.build(b)
	in := make([]uint32, 16*256)
	for i := range in {
		in[i] = math.Float32bits(float32(i % 7))
	}
	want := float32(0)
	for i := range in {
		want += float32(i % 7)
	}
	p, o := r.words(in...), r.words(0)
	if err := r.run(f, with(grid(16, 256), p, o)); err != nil {
		t.Fatal(err)
	}
	if got := math.Float32frombits(r.read(o, 1)[0]); got != want {
		t.Errorf("sum %v, want %v", got, want)
	}
}

func TestMmaFragments(t *testing.T) {
	b := ptx.New("mma", ptx.SM80)
	pa, pb, pc := b.Param(ptx.U64, "a"), b.Param(ptx.U64, "b"), b.Param(ptx.U64, "c")
	lane := b.Lane()
	at := func(p ptx.Reg, n int) ptx.Reg { return b.Add(p, b.MulWide(lane, 4*n)) }
	a := b.LdV(ptx.Global, ptx.B32, 4, at(pa, 4), 0)
	y := b.LdV(ptx.Global, ptx.B32, 2, at(pb, 2), 0)
	c := b.LdV(ptx.Global, ptx.F32, 4, at(pc, 4), 0)
	b.Mma(ptx.F16, c, a, y, c)
	b.StV(ptx.Global, at(pc, 4), 0, c)
	r := newBench(t, Options{})
	f := r.build(b)
	var A [16][16]float32
	var B [16][8]float32
	for i := range A {
		for j := range A[i] {
			A[i][j] = float32((i*5+j*3)%11) - 5
		}
		for j := range B[i] {
			B[i][j] = float32((i*7+j)%9) - 4
		}
	}
	fa, fb, fc := make([]uint32, 128), make([]uint32, 64), make([]uint32, 128)
	half := func(lo, hi float32) uint32 { return halfFrom32(lo) | halfFrom32(hi)<<16 }
	for l := range 32 {
		// PTX ISA, "Matrix Fragments for mma.m16n8k16": groupID = laneid >> 2,
		// threadID_in_group = laneid % 4.
		group, tig := l>>2, l%4
		for i := 0; i < 8; i += 2 {
			row := group
			if !(i < 2 || i >= 4 && i < 6) {
				row += 8
			}
			col := tig*2 + i&1
			if i >= 4 {
				col += 8
			}
			fa[4*l+i/2] = half(A[row][col], A[row][col+1])
		}
		for i := 0; i < 4; i += 2 {
			row := tig*2 + i&1
			if i >= 2 {
				row += 8
			}
			fb[2*l+i/2] = half(B[row][group], B[row+1][group])
		}
		for i := range 4 {
			fc[4*l+i] = math.Float32bits(float32(l*4 + i))
		}
	}
	dc := r.words(fc...)
	if err := r.run(f, with(grid(1, 32), r.words(fa...), r.words(fb...), dc)); err != nil {
		t.Fatal(err)
	}
	got := r.read(dc, 128)
	for l := range 32 {
		for i := range 4 {
			row := l >> 2
			if i >= 2 {
				row += 8
			}
			col := l%4*2 + i&1
			want := float32(l*4 + i)
			for k := range 16 {
				want += A[row][k] * B[k][col]
			}
			if g := math.Float32frombits(got[4*l+i]); g != want {
				t.Fatalf("lane %d c%d = %v, want %v", l, i, g, want)
			}
		}
	}
}
