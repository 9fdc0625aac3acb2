package kernels

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"unsafe"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx/ptxtest"
)

// A rig runs kernels in tests:
//
//	eachTarget(t, func(t *testing.T, r *rig) {
//		x := r.put(normal(r.rand, rows*k, 1))        // upload
//		y := r.alloc(4 * rows * k)                   // fresh, not zeroed
//		c := Scale{K: k}
//		r.launch(c, c.Launch(x, y, rows))            // build, check the text, run, wait
//		near(t, "y", r.f32(y, rows*k), want, 0, 1e-6)
//	})
//
// Every kernel it launches has passed the verifier and, where there is a ptxas, the
// assembler. The device is the emulator, or a real one where SANDWARP_GPU says so. Of a
// test that passed the file SANDWARP_LAUNCHED gets a line for each text it launched:
// hash, kernel, target and the device's name.
type rig struct {
	t      testing.TB
	target ptx.Target
	rand   *rand.Rand // seeded with the name of the test
	dev    driver.Device
	stream driver.Stream
	loaded map[string]*loaded
	lines  []string // for SANDWARP_LAUNCHED
}

type loaded struct {
	kernel   *ptx.Kernel
	function driver.Function
	line     string
	launched bool
}

// eachTarget runs f as a subtest for every target the kernels are built for.
func eachTarget(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	for _, target := range ptxtest.Targets {
		t.Run(target.Arch, func(t *testing.T) { f(t, newRig(t, target)) })
	}
}

func newRig(t testing.TB, target ptx.Target) *rig {
	t.Helper()
	h := fnv.New64a()
	h.Write([]byte(t.Name()))
	r := &rig{t: t, target: target, rand: rand.New(rand.NewPCG(h.Sum64(), 1)), loaded: map[string]*loaded{}}
	t.Cleanup(func() { r.record(os.Getenv("SANDWARP_LAUNCHED")) }) // once the device is closed, too
	r.dev = openDevice(t, target)
	must(t, r.dev.Enter())
	var err error
	r.stream, err = r.dev.NewStream()
	must(t, err)
	t.Cleanup(func() {
		r.stream.Close()
		r.dev.Leave()
		if err := r.dev.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// record appends what was launched to a file, unless the test failed or was skipped.
func (r *rig) record(file string) {
	if file == "" || r.t.Failed() || r.t.Skipped() {
		return
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		r.t.Error(err)
		return
	}
	for _, line := range r.lines {
		if _, err := f.WriteString(line); err != nil {
			r.t.Error(err)
		}
	}
	if err := f.Close(); err != nil {
		r.t.Error(err)
	}
}

// load builds c, checks its text and compiles it, once.
func (r *rig) load(c Config) *loaded {
	r.t.Helper()
	if l := r.loaded[c.Name()]; l != nil {
		return l
	}
	k, err := c.Build(r.target)
	must(r.t, err)
	m := &ptx.Module{Target: r.target, Kernels: []*ptx.Kernel{k}}
	ptxtest.Text(r.t, m)
	mod, err := r.dev.Load(m)
	must(r.t, err)
	f, err := mod.Function(k)
	must(r.t, err)
	l := &loaded{kernel: k, function: f, line: fmt.Sprintf("%s %s %s %s\n", m.Hash(), c.Name(), r.target.Arch, r.dev.Info().Name)}
	r.loaded[c.Name()] = l
	return l
}

// launch runs c and waits for it.
func (r *rig) launch(c Config, l driver.Launch) {
	r.t.Helper()
	k := r.load(c)
	if _, size := k.kernel.ParamOffsets(); size != len(l.Params) {
		r.t.Fatalf("%s: %d bytes of parameters, the kernel takes %d", c.Name(), len(l.Params), size)
	}
	l.Dependent = l.Dependent && r.target.Hopper()
	if l.Shared > 0 {
		must(r.t, k.function.SetShared(l.Shared))
	}
	must(r.t, r.stream.Launch(k.function, &l))
	if err := r.stream.Sync(); err != nil {
		r.t.Fatalf("%s: %v", c.Name(), err)
	}
	if !k.launched {
		k.launched = true
		r.lines = append(r.lines, k.line)
	}
}

// alloc returns memory of its own: reading past its end is a fault. It holds NaNs; on
// the emulator they say they were never written, as does what SANDWARP_UNWRITTEN=1
// leaves as it is on a real device, for a tool that looks for such reads.
func (r *rig) alloc(bytes int) driver.Ptr {
	r.t.Helper()
	p := r.take(int64(bytes))
	if bytes > 0 && os.Getenv("SANDWARP_GPU") == "1" && os.Getenv("SANDWARP_UNWRITTEN") != "1" {
		must(r.t, r.stream.Fill(p, 0xff, int64(bytes)))
		must(r.t, r.stream.Sync())
	}
	return p
}

func (r *rig) take(bytes int64) driver.Ptr {
	r.t.Helper()
	p, err := r.dev.Alloc(bytes)
	must(r.t, err)
	return p
}

// put uploads a slice of numbers; an empty one is the null address.
func (r *rig) put(x any) driver.Ptr {
	r.t.Helper()
	b := bytesOf(r.t, x)
	if len(b) == 0 {
		return 0
	}
	return r.repeat(b, int64(len(b)))
}

// repeat uploads data over and over until there are bytes of it.
func (r *rig) repeat(data []byte, bytes int64) driver.Ptr {
	r.t.Helper()
	p := r.take(bytes)
	for at := int64(0); at < bytes; at += int64(len(data)) {
		must(r.t, r.stream.CopyIn(p+driver.Ptr(at), data[:min(int64(len(data)), bytes-at)]))
	}
	must(r.t, r.stream.Sync())
	return p
}

// putAt uploads a slice of numbers to p.
func (r *rig) putAt(p driver.Ptr, x any) {
	r.t.Helper()
	must(r.t, r.stream.CopyIn(p, bytesOf(r.t, x)))
	must(r.t, r.stream.Sync())
}

// get, f32, f16, i32 download n elements; f16 widens them.
func (r *rig) get(p driver.Ptr, n int) []byte    { return download[byte](r, p, n) }
func (r *rig) f32(p driver.Ptr, n int) []float32 { return download[float32](r, p, n) }
func (r *rig) i32(p driver.Ptr, n int) []int32   { return download[int32](r, p, n) }
func (r *rig) f16(p driver.Ptr, n int) []float32 { return fromHalves(download[uint16](r, p, n)) }

func download[T any](r *rig, p driver.Ptr, n int) []T {
	r.t.Helper()
	x := make([]T, n)
	if n == 0 {
		return x
	}
	must(r.t, r.stream.CopyOut(raw(x), p))
	must(r.t, r.stream.Sync())
	return x
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// raw is a slice's bytes in place; the tests run on little-endian machines.
func raw[T any](x []T) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*int(unsafe.Sizeof(x[0])))
}

func bytesOf(t testing.TB, x any) []byte {
	t.Helper()
	switch x := x.(type) {
	case []byte:
		return x
	case []float32:
		return raw(x)
	case []uint16:
		return raw(x)
	case []int32:
		return raw(x)
	case []uint32:
		return raw(x)
	}
	t.Fatalf("put of %T", x)
	return nil
}

// normal returns n normally distributed numbers of standard deviation sd.
func normal(r *rand.Rand, n int, sd float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * sd)
	}
	return x
}

// halves rounds to binary16, fromHalves widens, rounded does both: the numbers a
// kernel sees that reads x as binary16. wide is x in float64.
func halves(x []float32) []uint16 {
	h := make([]uint16, len(x))
	for i, v := range x {
		h[i] = tensor.F32ToF16(v)
	}
	return h
}

func fromHalves(h []uint16) []float32 {
	x := make([]float32, len(h))
	for i, v := range h {
		x[i] = tensor.F16ToF32(v)
	}
	return x
}

func rounded(x []float32) []float32 { return fromHalves(halves(x)) }

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// packHost packs x (rows, p.K), as the kernels do: halves saturate, columns past K
// are zero. Rows past the batch are random, which no result may depend on.
func packHost(p Pack, r *rand.Rand, rows int, x []float32) []uint16 {
	h := make([]uint16, p.Bytes(rows)/2)
	for row := range (rows + p.T - 1) / p.T * p.T {
		for col := range p.K {
			v := float32(r.NormFloat64())
			if row < rows {
				v = min(max(x[row*p.K+col], -65504), 65504)
			}
			h[p.At(row, col)/2] = tensor.F32ToF16(v)
		}
	}
	return h
}

// unpackHost reads rows rows of a Pack and fails where a column past K is not zero.
func unpackHost(t testing.TB, p Pack, rows int, h []uint16) []float32 {
	t.Helper()
	x := make([]float32, rows*p.K)
	for row := range rows {
		for col := range p.KTiles() * 64 {
			v := h[p.At(row, col)/2]
			if col < p.K {
				x[row*p.K+col] = tensor.F16ToF32(v)
			} else if v != 0 {
				t.Fatalf("row %d column %d, past the last of %d, is %#04x", row, col, p.K, v)
			}
		}
	}
	return x
}

// packed downloads a Pack.
func (r *rig) packed(ptr driver.Ptr, p Pack, rows int) []float32 {
	r.t.Helper()
	return unpackHost(r.t, p, rows, download[uint16](r, ptr, int(p.Bytes(rows))/2))
}

// makeBatch lays a batch out as l says; rows up to l.MaxRows are padding.
func makeBatch(l BatchLayout, b *backend.Batch) []byte {
	out := make([]byte, l.Tables())
	put := func(at int, v int32) { binary.LittleEndian.PutUint32(out[at:], uint32(v)) }
	put(l.Rows(), int32(len(b.Tokens)))
	put(l.NLogit(), int32(len(b.LogitRows)))
	var starts []int32
	for _, table := range b.Tables {
		starts = append(starts, int32(len(out)/4))
		for _, page := range table {
			out = binary.LittleEndian.AppendUint32(out, uint32(page))
		}
	}
	for r := range l.MaxRows {
		put(l.Pos()+4*r, -1)
		put(l.TableStart()+4*r, int32(l.Tables()/4))
		if r < len(b.Tokens) {
			put(l.Token()+4*r, b.Tokens[r])
			put(l.Pos()+4*r, b.Pos[r])
			put(l.TableStart()+4*r, starts[b.Seq[r]])
		}
	}
	for i := range l.MaxLogit {
		if n := len(b.LogitRows); n > 0 {
			put(l.LogitRow()+4*i, b.LogitRows[min(i, n-1)])
		}
	}
	return out
}

// near fails unless |got-want| <= abs + rel*|want| for every element.
func near(t testing.TB, what string, got []float32, want []float64, abs, rel float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	bad, worst, at := 0, 0.0, 0
	for i, w := range want {
		g := float64(got[i])
		off := math.Abs(g-w) / (abs + rel*math.Abs(w))
		if g == w {
			off = 0
		}
		if !(off <= 1) {
			if bad++; bad <= 5 {
				t.Errorf("%s[%d] = %v, want %v +- %.3g", what, i, g, w, abs+rel*math.Abs(w))
			}
		}
		if off > worst {
			worst, at = off, i
		}
	}
	if bad > 0 {
		t.Fatalf("%s: %d of %d elements are off; worst [%d] by %.3g of the bound", what, bad, len(want), at, worst)
	}
}

// nearRMS fails unless the root of the mean square error is at most bound times
// that of want.
func nearRMS(t testing.TB, what string, got []float32, want []float64, bound float64) {
	t.Helper()
	if e := relRMS(got, want); !(e <= bound) {
		t.Fatalf("%s: error of %.3g rel-RMS, want at most %.3g", what, e, bound)
	}
}

func relRMS(got []float32, want []float64) float64 {
	var e, s float64
	for i, w := range want {
		d := float64(got[i]) - w
		e += d * d
		s += w * w
	}
	if e == 0 {
		return 0
	}
	return math.Sqrt(e / s)
}
