// Package emufuzz compares devices that execute kernels: the emulator with a GPU,
// or with itself where warps take turns differently. It runs every instruction of a
// lane on random and awkward numbers, the matrix instructions, and random programs.
package emufuzz

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// maxPrinted is how many differences are printed; the rest is counted.
const maxPrinted = 50

// fuzzer compares two devices.
type fuzzer struct {
	a, b        *rig
	rnd         *rand.Rand
	target      ptx.Target
	out         io.Writer
	differences int
}

// Fuzz runs n random programs, each instruction and each matrix instruction on both
// devices, and prints to out where they, or either and an independent computation,
// differ. Both get code for target. The error is that of a device that failed.
func Fuzz(a, b driver.Device, target ptx.Target, n int, seed uint64, out io.Writer) (differences int, err error) {
	f := &fuzzer{rnd: rand.New(rand.NewPCG(seed, 1)), target: target, out: out}
	if f.a, err = newRig("first", a, target); err != nil {
		return 0, err
	}
	defer f.a.stream.Close()
	if f.b, err = newRig("second", b, target); err != nil {
		return 0, err
	}
	defer f.b.stream.Close()
	for i := range Ops {
		if err := f.op(&Ops[i]); err != nil {
			return f.differences, fmt.Errorf("%s: %w", Ops[i].Text, err)
		}
	}
	for _, m := range matrixCases(target) {
		if err := f.matrix(m); err != nil {
			return f.differences, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	for i := range n {
		if err := f.program(seed + uint64(i)); err != nil {
			return f.differences, fmt.Errorf("program %d: %w", seed+uint64(i), err)
		}
	}
	return f.differences, nil
}

func (f *fuzzer) differ(format string, args ...any) {
	f.differences++
	if f.differences <= maxPrinted {
		fmt.Fprintf(f.out, format+"\n", args...)
	}
}

// rig is a device with a stream.
type rig struct {
	name   string
	dev    driver.Device
	stream driver.Stream
	target ptx.Target
}

func newRig(name string, d driver.Device, t ptx.Target) (*rig, error) {
	s, err := d.NewStream()
	return &rig{name, d, s, t}, err
}

// run executes a kernel of (in, out *byte) and returns what it wrote.
func (r *rig) run(k *ptx.Kernel, blocks, threads int, in []byte, outBytes int) ([]byte, error) {
	m, err := r.dev.Load(&ptx.Module{Target: r.target, Kernels: []*ptx.Kernel{k}})
	if err != nil {
		return nil, err
	}
	defer m.Unload()
	f, err := m.Function(k)
	if err != nil {
		return nil, err
	}
	pi, err := r.dev.Alloc(int64(len(in)))
	if err != nil {
		return nil, err
	}
	defer r.dev.Free(pi)
	po, err := r.dev.Alloc(int64(outBytes))
	if err != nil {
		return nil, err
	}
	defer r.dev.Free(po)
	if err := r.stream.CopyIn(pi, in); err != nil {
		return nil, err
	}
	params := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(pi)), uint64(po))
	l := driver.Launch{Grid: [3]uint32{uint32(blocks)}, Block: [3]uint32{uint32(threads)}, Params: params}
	if err := r.stream.Launch(f, &l); err != nil {
		return nil, err
	}
	out := make([]byte, outBytes)
	if err := r.stream.CopyOut(out, po); err != nil {
		return nil, err
	}
	return out, r.stream.Sync()
}

// both runs a kernel on the two devices.
func (f *fuzzer) both(b *ptx.Builder, blocks, threads int, in []byte, outBytes int) (x, y []byte, err error) {
	k, err := b.Kernel()
	if err != nil {
		return nil, nil, err
	}
	if x, err = f.a.run(k, blocks, threads, in, outBytes); err != nil {
		return nil, nil, fmt.Errorf("%s device: %w", f.a.name, err)
	}
	if y, err = f.b.run(k, blocks, threads, in, outBytes); err != nil {
		return nil, nil, fmt.Errorf("%s device: %w", f.b.name, err)
	}
	return x, y, nil
}

// samples is how many sets of sources an instruction is tried on.
const samples = 512

// op tries one instruction.
func (f *fuzzer) op(o *Op) error {
	if o.Hopper && !f.target.Hopper() {
		return nil
	}
	b := ptx.New("op", f.target)
	in, out := b.Param(ptx.U64, "in"), b.Param(ptx.U64, "out")
	i := b.Mad(b.Ctaid(0), b.Ntid(0), b.Tid(0))
	src := b.Add(in, b.MulWide(i, 8*len(o.In)))
	var a []ptx.Reg
	for n, t := range o.In {
		a = append(a, b.Ld(ptx.Global, t, src, 8*n))
	}
	b.St(ptx.Global, b.Add(out, b.MulWide(i, 8)), 0, o.emit(b, a))
	values := make([][]uint64, samples)
	var data []byte
	for s := range values {
		for _, t := range o.In {
			v := randomValue(f.rnd, t)
			values[s] = append(values[s], v)
			data = binary.LittleEndian.AppendUint64(data, v)
		}
	}
	x, y, err := f.both(b, samples/64, 64, data, 8*samples)
	if err != nil {
		return err
	}
	for s, v := range values {
		if o.Free != nil && o.Free(v) {
			continue
		}
		want := o.Want(v)
		for _, r := range []struct {
			name string
			got  []byte
		}{{f.a.name, x}, {f.b.name, y}} {
			got := element(o.Out, r.got[8*s:])
			if !same(o.Out, got, want, o.Bound) {
				f.differ("%s of %s: %s device %s, want %s", o.Text, show(o.In, v), r.name, show1(o.Out, got), show1(o.Out, want))
			}
		}
	}
	return nil
}

// element is the first element of b.
func element(t ptx.Type, b []byte) uint64 {
	switch t.Bytes() {
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// same compares results; NaNs are all alike.
func same(t ptx.Type, x, y uint64, bound float64) bool {
	if x == y {
		return true
	}
	switch t {
	case ptx.F16x2, ptx.BF16x2:
		half := ptx.F16
		if t == ptx.BF16x2 {
			half = ptx.BF16
		}
		return same(half, x&0xFFFF, y&0xFFFF, bound) && same(half, x>>16, y>>16, bound)
	}
	fm, ok := formats[t]
	if !ok {
		return false
	}
	a, b := fm.value(x), fm.value(y)
	if a.nan || b.nan || a.inf || b.inf {
		return a.nan && b.nan
	}
	if bound == 0 {
		return false
	}
	p, _ := a.rat().Float64()
	q, _ := b.rat().Float64()
	return math.Abs(p-q) <= bound*math.Abs(q)
}

// randomValue is a value of a type: any bits, or one of those where things go wrong.
func randomValue(r *rand.Rand, t ptx.Type) uint64 {
	if t == ptx.F16x2 || t == ptx.BF16x2 {
		half := ptx.F16
		if t == ptx.BF16x2 {
			half = ptx.BF16
		}
		return randomValue(r, half) | randomValue(r, half)<<16
	}
	size := 8 * t.Bytes()
	mask := ^uint64(0) >> (64 - size)
	fm, float := formats[t]
	if !float {
		switch r.IntN(4) {
		case 0:
			return r.Uint64() & mask
		case 1:
			return uint64(r.IntN(40))
		case 2:
			return uint64(-1-r.IntN(3)) & mask
		}
		return (uint64(1)<<r.IntN(size) - uint64(r.IntN(3)-1)) & mask
	}
	stored := fm.precision - 1
	infinite := mask >> 1 >> stored << stored
	sign := uint64(r.IntN(2)) << (size - 1)
	switch r.IntN(6) {
	case 0:
		return r.Uint64() & mask
	case 1: // 0, the smallest, the largest, infinity, NaN and neighbours
		edge := []uint64{0, 1, 2, 1<<stored - 1, 1 << stored, infinite - 1, infinite, infinite + 1, 1<<(size-1) - 1}
		return sign | edge[r.IntN(len(edge))]
	case 2: // short numbers near 1: sums are exact or ties
		return sign | uint64((1<<(size-fm.precision-1))-1+r.IntN(8)-4)<<stored | uint64(r.IntN(4))<<(stored-2)
	}
	// Any significand, not too far from 1.
	return sign | uint64((1<<(size-fm.precision-1))-1+r.IntN(2*fm.precision)-fm.precision)<<stored&mask>>1 | r.Uint64()&(1<<stored-1)
}

func show(t []ptx.Type, v []uint64) string {
	s := ""
	for i := range v {
		if i > 0 {
			s += ", "
		}
		s += show1(t[i], v[i])
	}
	return s
}

func show1(t ptx.Type, v uint64) string {
	fm, ok := formats[t]
	if !ok || t == ptx.F16x2 || t == ptx.BF16x2 {
		return fmt.Sprintf("%#x", v)
	}
	n := fm.value(v)
	switch {
	case n.nan:
		return "NaN"
	case n.inf && n.neg:
		return "-Inf"
	case n.inf:
		return "+Inf"
	}
	x, _ := n.rat().Float64()
	return fmt.Sprintf("%#x (%g)", v, x)
}
