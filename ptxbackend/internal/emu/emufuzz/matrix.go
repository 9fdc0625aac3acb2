package emufuzz

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// matrixCase is a kernel whose lanes hold pieces of matrices. Each thread has in
// words of input and out of output.
type matrixCase struct {
	name    string
	threads int
	in, out int // words a thread
	build   func(b *ptx.Builder, in, out ptx.Reg)
	// fill gives the words of all threads, want what comes out: of float32 unless raw,
	// where NaN stands for a word not looked at.
	fill func(x, y func(row, k int) float64) []uint32
	want func(x, y func(row, k int) float64) []float64
	raw  []uint32
}

func matrixCases(t ptx.Target) (cases []matrixCase) {
	for _, in := range []ptx.Type{ptx.F16, ptx.BF16} {
		cases = append(cases, mmaCase(in))
	}
	for _, n := range []int{1, 2, 4} {
		cases = append(cases, ldmatrixCase(n, false), ldmatrixCase(n, true))
	}
	if t.Hopper() {
		for _, in := range []ptx.Type{ptx.F16, ptx.BF16} {
			for _, n := range []int{8, 24, 64, 128, 256} {
				for _, swizzle := range []int{0, 32, 64, 128} {
					cases = append(cases, wgmmaCase(in, n, swizzle, false), wgmmaCase(in, n, swizzle, true))
				}
			}
		}
	}
	return cases
}

// matrix runs a case on small integers, where every layout mistake shows and sums
// are exact, and on random numbers.
func (f *fuzzer) matrix(m matrixCase) error {
	for _, exact := range []bool{true, false} {
		if m.raw != nil && !exact {
			continue
		}
		seed := f.rnd.Uint64()
		value := func(which uint64) func(row, k int) float64 {
			return func(row, k int) float64 {
				h := (seed ^ which) + uint64(row)*0x9E3779B97F4A7C15 + uint64(k)*0xBF58476D1CE4E5B9
				h = (h ^ h>>29) * 0x94D049BB133111EB
				if exact {
					return float64(int(h>>40%9) - 4)
				}
				return float64(int(h>>40%255)-127) / 64 // exact in bfloat16
			}
		}
		if err := f.matrixOn(m, value(1), value(2)); err != nil {
			return err
		}
	}
	return nil
}

func (f *fuzzer) matrixOn(m matrixCase, x, y func(row, k int) float64) error {
	b := ptx.New("matrix", f.target)
	pi, po := b.Param(ptx.U64, "in"), b.Param(ptx.U64, "out")
	m.build(b, pi, po)
	var data []byte
	for _, w := range m.fill(x, y) {
		data = binary.LittleEndian.AppendUint32(data, w)
	}
	p, q, err := f.both(b, 1, m.threads, data, 4*m.threads*m.out)
	if err != nil {
		return err
	}
	var sums []float64
	if m.raw == nil {
		sums = m.want(x, y)
	}
	for name, got := range map[string][]byte{f.a.name: p, f.b.name: q} {
		for i := range m.threads * m.out {
			g := binary.LittleEndian.Uint32(got[4*i:])
			if m.raw != nil {
				if g != m.raw[i] {
					f.differ("%s: thread %d word %d: %s device %#x, want %#x", m.name, i/m.out, i%m.out, name, g, m.raw[i])
				}
				continue
			}
			v, want := float64(math.Float32frombits(g)), sums[i]
			if !(math.Abs(v-want) <= 0x1p-19*64) {
				f.differ("%s: thread %d sum %d: %s device %v, want %v", m.name, i/m.out, i%m.out, name, v, want)
			}
		}
	}
	return nil
}

func half(t ptx.Type, v float64) uint32 {
	n := number{neg: v < 0}
	n.abs = ratOf(math.Abs(v))
	return uint32(formats[t].round(n))
}

// ratOf is a finite float64 exactly.
func ratOf(v float64) *big.Rat { return new(big.Rat).SetFloat64(v) }

func pair(t ptx.Type, lo, hi float64) uint32 { return half(t, lo) | half(t, hi)<<16 }

// rowsOfC are the rows, within 16, and columns, within 8, of the four sums of a lane
// (PTX ISA, "Matrix Fragments for mma.m16n8k16": row = groupID for i < 2, groupID + 8
// for i >= 2; col = threadID_in_group * 2 + (i & 1)).
func placeOfC(lane, i int) (row, col int) {
	group, thread := lane>>2, lane%4
	row = group
	if i >= 2 {
		row += 8
	}
	return row, thread*2 + i&1
}

// placeOfA: row = groupID for i < 2 or 4 <= i < 6, else groupID + 8; col =
// threadID_in_group * 2 + (i & 1), + 8 for i >= 4.
func placeOfA(lane, i int) (row, col int) {
	group, thread := lane>>2, lane%4
	row = group + 8
	if i < 2 || i >= 4 && i < 6 {
		row = group
	}
	col = thread*2 + i&1
	if i >= 4 {
		col += 8
	}
	return row, col
}

// placeOfB: row = threadID_in_group * 2 + (i & 1), + 8 for i >= 2; col = groupID.
func placeOfB(lane, i int) (row, col int) {
	row = lane%4*2 + i&1
	if i >= 2 {
		row += 8
	}
	return row, lane >> 2
}

func mmaCase(t ptx.Type) matrixCase {
	return matrixCase{
		name: "mma.m16n8k16." + t.String(), threads: 32, in: 10, out: 4,
		build: func(b *ptx.Builder, in, out ptx.Reg) {
			src := b.Add(in, b.MulWide(b.Tid(0), 40))
			load := func(t ptx.Type, n, at int) (r []ptx.Reg) {
				for i := range n {
					r = append(r, b.Ld(ptx.Global, t, src, at+4*i))
				}
				return r
			}
			x, y, c := load(ptx.B32, 4, 0), load(ptx.B32, 2, 16), load(ptx.F32, 4, 24)
			b.Mma(t, c, x, y, c)
			b.StV(ptx.Global, b.Add(out, b.MulWide(b.Tid(0), 16)), 0, c)
		},
		fill: func(x, y func(row, k int) float64) (w []uint32) {
			for l := range 32 {
				for i := 0; i < 8; i += 2 {
					r, k := placeOfA(l, i)
					w = append(w, pair(t, x(r, k), x(r, k+1)))
				}
				for i := 0; i < 4; i += 2 {
					k, n := placeOfB(l, i)
					w = append(w, pair(t, y(n, k), y(n, k+1)))
				}
				for i := range 4 {
					r, n := placeOfC(l, i)
					w = append(w, math.Float32bits(float32(r-n)))
				}
			}
			return w
		},
		want: func(x, y func(row, k int) float64) (w []float64) {
			for l := range 32 {
				for i := range 4 {
					r, n := placeOfC(l, i)
					w = append(w, float64(r-n)+dot(x, y, r, n))
				}
			}
			return w
		},
	}
}

func dot(x, y func(row, k int) float64, r, n int) (s float64) {
	for k := range 16 {
		s += x(r, k) * y(n, k)
	}
	return s
}

// ldmatrixCase: "each thread of the group of four receives two consecutive elements
// of its row".
func ldmatrixCase(n int, trans bool) matrixCase {
	m := matrixCase{name: fmt.Sprintf("ldmatrix x%d trans %v", n, trans), threads: 32, in: 4, out: n}
	m.build = func(b *ptx.Builder, in, out ptx.Reg) {
		sh := b.Shared("m", 16, 512)
		off := b.Mul(b.Tid(0), 16)
		b.StV(ptx.Shared, b.Add(sh, off), 0, b.LdV(ptx.Global, ptx.B32, 4, b.Add(in, b.MulWide(off, 1)), 0))
		b.Bar()
		d := b.Ldmatrix(n, trans, b.Add(sh, off), 0)
		for i := range d {
			b.St(ptx.Global, b.Add(out, b.MulWide(b.Tid(0), 4*n)), 4*i, d[i])
		}
	}
	m.fill = func(_, _ func(row, k int) float64) (w []uint32) {
		for i := range 128 {
			w = append(w, uint32(2*i)|uint32(2*i+1)<<16)
		}
		return w
	}
	for l := range 32 {
		for i := range n {
			place := func(row, col int) uint32 { return uint32(64*i + 8*row + col) }
			lo, hi := place(l/4, l%4*2), place(l/4, l%4*2+1)
			if trans {
				lo, hi = place(l%4*2, l/4), place(l%4*2+1, l/4)
			}
			m.raw = append(m.raw, lo|hi<<16)
		}
	}
	return m
}

// wgmmaCase multiplies (64, 16) by (n, 16)^T from matrices laid out in shared memory
// with a swizzle of so many bytes, and a row's k from the second 32 bytes of it if it
// has them.
func wgmmaCase(t ptx.Type, n, swizzle int, inRegs bool) matrixCase {
	m := matrixCase{name: fmt.Sprintf("wgmma n%d %v swizzle %d registers %v", n, t, swizzle, inRegs), threads: 128, out: n / 2}
	width := max(16, swizzle) // of a row that is contiguous
	bytes := func(rows int) int { return rows * max(32, swizzle) }
	skip := 0 // to the columns multiplied, within a row
	if swizzle >= 64 {
		skip = 32
	}
	words := (bytes(64) + bytes(n)) / 4
	place := func(base, rows, row, col int) int { // byte of an element
		if swizzle == 0 { // pieces of 8 rows of 16 bytes: first those of one k, by row
			return base + col/8*rows*16 + row*16 + col%8*2
		}
		at := row*width + skip + 2*col
		return base + at ^ at>>7&(swizzle/16-1)<<4
	}
	m.in = (words + 127) / 128
	m.build = func(b *ptx.Builder, in, out ptx.Reg) {
		sx, sy := b.Shared("x", 1024, bytes(64)), b.Shared("y", 1024, bytes(n))
		tid := b.Tid(0)
		load := func(dst ptx.Reg, from, size int) {
			for at := 0; at < size; at += 512 {
				o := b.Add(b.Mul(tid, 4), at)
				b.If(b.Setp(ptx.Lt, o, size), func() {
					b.St(ptx.Shared, b.Add(dst, o), 0, b.Ld(ptx.Global, ptx.B32, b.Add(in, b.MulWide(b.Add(o, from), 1)), 0))
				})
			}
		}
		load(sx, 0, bytes(64))
		load(sy, bytes(64), bytes(n))
		b.FenceAsync()
		b.Bar()
		d := b.Regs(ptx.F32, n/2)
		for i := range d {
			b.Set(d[i], 1)
		}
		desc := func(a ptx.Reg, rows int) ptx.Reg {
			code := map[int]uint64{0: 0, 128: 1, 64: 2, 32: 3}[swizzle]
			leading, stride := uint64(16), uint64(8*width)
			if swizzle == 0 {
				leading, stride = uint64(rows*16), 128
			}
			v := b.Cvt(ptx.U64, b.Shr(b.Add(a, skip), 4))
			return b.Or(v, code<<62|stride>>4<<32|leading>>4<<16)
		}
		x := []ptx.Reg{desc(sx, 64)}
		if inRegs {
			x = loadA(b, sx, place)
		}
		y := desc(sy, n)
		on := b.Var(ptx.Pred, true)
		b.WgmmaFence()
		b.Wgmma(t, n, d, x, y, on)
		b.WgmmaCommit()
		b.WgmmaWait(0)
		for i := range d {
			b.St(ptx.Global, b.Add(out, b.MulWide(tid, 4*(n/2))), 4*i, d[i])
		}
	}
	m.fill = func(x, y func(row, k int) float64) []uint32 {
		w := make([]uint32, m.in*128)
		put := func(base, rows int, v func(row, k int) float64) {
			for r := range rows {
				for k := range 16 {
					at := place(base, rows, r, k)
					if base > 0 { // the swizzle is of the place within the matrix
						at = base + place(0, rows, r, k)
					}
					w[at/4] |= half(t, v(r, k)) << (8 * (at & 3))
				}
			}
		}
		put(0, 64, x)
		put(bytes(64), n, y)
		return w
	}
	m.want = func(x, y func(row, k int) float64) (w []float64) {
		for th := range 128 {
			for i := range n / 2 {
				r, c := placeOfC(th%32, i%4)
				w = append(w, 1+dot(x, y, 16*(th/32)+r, 8*(i/4)+c))
			}
		}
		return w
	}
	return m
}

// loadA reads the fragment of a warp's 16 rows by elements.
func loadA(b *ptx.Builder, base ptx.Reg, place func(base, rows, row, col int) int) (x []ptx.Reg) {
	// The place of an element is not linear in the lane; a table of them, by lane and
	// warp, is short to write: one comparison each.
	lane, warp := b.Lane(), b.Shr(b.Tid(0), 5)
	for i := 0; i < 8; i += 2 {
		at := b.Var(ptx.U32, 0)
		for w := range 4 {
			for l := range 32 {
				r, k := placeOfA(l, i)
				p := b.And(b.Setp(ptx.Eq, lane, l), b.Setp(ptx.Eq, warp, w))
				b.Under(p, func() { b.Set(at, place(0, 64, 16*w+r, k)) })
			}
		}
		x = append(x, b.As(ptx.B32, b.Ld(ptx.Shared, ptx.B32, b.Add(base, at), 0)))
	}
	return x
}
