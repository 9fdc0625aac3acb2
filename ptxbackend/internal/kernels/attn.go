package kernels

import (
	"fmt"
	"math"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// AttnShape is the shape of grouped-query attention: head h of the queries looks at
// KV head h/(Heads/KVHeads).
type AttnShape struct {
	Heads, KVHeads   int
	KeyDim, ValueDim int
}

// Tensor reports whether AttnDecode and AttnPrefill are for s: their copies are of 16
// bytes and their sums stay in registers. AttnGeneral is for the others.
func (s AttnShape) Tensor() bool {
	return s.KeyDim%8 == 0 && s.ValueDim%8 == 0 && s.KeyDim <= 256 && s.ValueDim <= 256 &&
		(s.group() <= 64 || s.group() <= 128 && s.ValueDim <= 128)
}

func (s AttnShape) group() int { return s.Heads / s.KVHeads }

func (s AttnShape) check() error {
	if s.KVHeads < 1 || s.Heads < s.KVHeads || s.Heads%s.KVHeads != 0 || s.KeyDim < 1 || s.ValueDim < 1 {
		return fmt.Errorf("kernels: attention of %d heads over %d KV heads of %d and %d columns", s.Heads, s.KVHeads, s.KeyDim, s.ValueDim)
	}
	return nil
}

func (s AttnShape) name(kernel string) string {
	return fmt.Sprintf("%s_h%d_kv%d_k%d_v%d", kernel, s.Heads, s.KVHeads, s.KeyDim, s.ValueDim)
}

// kvStride is from row to row, in bytes, of a tile of keys or values in shared memory:
// an odd number of 16-byte chunks, so that the eight rows of a matrix ldmatrix reads
// lie in different banks.
func kvStride(dim int) int { return (dim+15)/16*32 + 16 }

// kvCopy brings rows consecutive positions of one head into shared memory: threads
// threads copy 16 bytes each at a time, lanes of them neighbours in one row.
type kvCopy struct {
	dim, rows, threads, lanes int
	row                       ptx.Reg // S32: the first row this thread copies
	from                      ptx.Reg // U64: its first chunk in page 0
	to                        ptx.Reg // U32: from a tile's start in shared memory to the place of its first chunk
	last                      ptx.Reg // Pred: takes part in the last pass over columns; zero if all do
}

// newKVCopy places thread tid (of threads); page0 is where page 0 has the first row of a
// tile at the start of a page.
func newKVCopy(b *ptx.Builder, dim, rows, threads int, tid, page0 ptx.Reg) *kvCopy {
	chunks := dim / 8
	c := &kvCopy{dim: dim, rows: rows, threads: threads, lanes: chunks & -chunks}
	c.lanes = min(max(c.lanes, threads/rows), 32)
	row, col := b.Div(tid, c.lanes), b.Rem(tid, c.lanes)
	c.row = b.As(ptx.S32, row)
	c.from = b.MadWide(col, 16, b.MadWide(row, 2*dim, page0))
	c.to = b.Mad(row, kvStride(dim), b.Shl(col, 4))
	if rest := chunks % c.lanes; rest != 0 {
		c.last = b.Setp(ptx.Lt, col, rest)
	}
	return c
}

// copy starts copying to shared address dst the tile of a page that begins at its slot
// (none is the first), pages being bytes apart. The rows from valid (S32) on become
// zero: what they hold was never written, and zero times NaN is not zero.
func (c *kvCopy) copy(b *ptx.Builder, dst, page ptx.Reg, bytes int, slot, valid ptx.Reg) {
	src := b.MadWide(page, bytes, c.from)
	if !slot.IsZero() {
		src = b.MadWide(slot, 2*c.dim, src)
	}
	dst = b.Add(dst, c.to)
	left := b.Sub(valid, c.row)
	for i := 0; i < c.rows; i += c.threads / c.lanes {
		fill := b.Selp(b.Var(ptx.U32, 16), 0, b.Setp(ptx.Gt, left, i))
		c.copyRow(b, dst, i*kvStride(c.dim), src, 2*c.dim*i, fill)
	}
}

// copyRow starts copying this thread's chunks of a row.
func (c *kvCopy) copyRow(b *ptx.Builder, dst ptx.Reg, dstOff int, src ptx.Reg, srcOff int, fill ptx.Reg) {
	for j := 0; j < c.dim/8; j += c.lanes {
		one := func() { b.CpAsync(dst, dstOff+16*j, src, srcOff+16*j, fill) }
		if j+c.lanes > c.dim/8 {
			b.Under(c.last, one)
		} else {
			one()
		}
	}
}

// zeroTail makes the columns zero that keys have in shared memory but not in the page;
// no copy touches them. Rows at base, a thread each.
func zeroTail(b *ptx.Builder, dim, rows, threads int, base, tid ptx.Reg) {
	if dim%16 == 0 {
		return
	}
	zero := b.Var(ptx.B32, 0)
	for i := 0; i < rows; i += threads {
		row := b.Add(tid, i)
		at := b.Mad(row, kvStride(dim), base)
		b.Under(b.Setp(ptx.Lt, row, rows), func() {
			b.StV(ptx.Shared, at, 2*dim, []ptx.Reg{zero, zero, zero, zero})
		})
	}
}

// flash is attention of a warp's queries to tiles of keys and values in shared
// memory (Dao, FlashAttention-2, 2023), on mma.m16n8k16 fragments: lane l has, of each
// 16 queries, those numbered g = l/4 and g+8, and of every 8 columns 2(l%4) and the next.
//
// The maximum a query's sum is relative to is raised only once a score exceeds it by
// flashSlack: the sums, in float32, have the room, and they are seldom rescaled.
type flash struct {
	b                *ptx.Builder
	keyDim, valueDim int
	half             bool    // only the first 8 of 16 queries are there
	scale            ptx.Reg // F32: of the scores, positive, to make them log2

	q    [][][]ptx.Reg // [16 queries][16 columns] of 4, B32
	qAt  ptx.Reg       // U32: where else this lane's ldmatrix rows of queries begin in shared memory
	m, l [][2]ptx.Reg  // [16 queries]: the maximum, in log2; this lane's part of the sum of 2^(score-m)
	acc  [][][]ptx.Reg // [16 queries][8 columns] of 4, F32: sums of 2^(score-m) value

	keyLane, valueLane ptx.Reg // U32: where in a tile this lane's ldmatrix rows begin
	t2                 ptx.Reg // S32: 2(l%4)
}

const (
	flashSlack = 8     // 2^8 is far from the largest half, 65504
	farBelow   = -1e30 // any score; what a query's maximum is before its first
)

func newFlash(b *ptx.Builder, s AttnShape, queries int, half bool, scale ptx.Reg) *flash {
	f := &flash{b: b, keyDim: s.KeyDim, valueDim: s.ValueDim, half: half, scale: scale}
	for range queries / 16 {
		var q, acc [][]ptx.Reg
		for range (s.KeyDim + 15) / 16 {
			q = append(q, b.Regs(ptx.B32, 4))
		}
		for range s.ValueDim / 8 {
			acc = append(acc, b.Regs(ptx.F32, 4))
		}
		f.q, f.acc = append(f.q, q), append(f.acc, acc)
		f.m = append(f.m, [2]ptx.Reg{b.Reg(ptx.F32), b.Reg(ptx.F32)})
		f.l = append(f.l, [2]ptx.Reg{b.Reg(ptx.F32), b.Reg(ptx.F32)})
	}
	lane := b.Lane()
	f.t2 = b.As(ptx.S32, b.Shl(b.And(lane, 3), 1))
	keyRow := b.Add(b.And(lane, 7), b.Shl(b.Shr(lane, 4), 3))
	f.keyLane = b.Mad(keyRow, kvStride(s.KeyDim), b.Shl(b.And(b.Shr(lane, 3), 1), 4))
	f.valueLane = b.Mad(b.And(lane, 15), kvStride(s.ValueDim), b.Shl(b.Shr(lane, 4), 4))
	return f
}

// sides are the queries of 16 a lane may have: g, and g+8 unless half.
func (f *flash) sides() int {
	if f.half {
		return 1
	}
	return 2
}

// queriesAt leaves the queries in shared memory, rows of kvStride at tile.
func (f *flash) queriesAt(tile ptx.Reg) {
	b := f.b
	lane := b.Lane()
	f.qAt = b.Mad(b.And(lane, 15), kvStride(f.keyDim), b.Mad(b.Shr(lane, 4), 16, tile))
}

// querySlice are columns 16c to 16c+15 of 16 queries i.
func (f *flash) querySlice(i, c int) []ptx.Reg {
	if f.qAt.IsZero() {
		return f.q[i][c]
	}
	return f.b.Ldmatrix(4, false, f.qAt, 16*i*kvStride(f.keyDim)+32*c)
}

// reset begins new queries.
func (f *flash) reset() {
	for i := range f.acc {
		for s := range 2 {
			f.b.Set(f.m[i][s], farBelow)
			f.b.Set(f.l[i][s], 0)
		}
		for _, acc := range f.acc[i] {
			for _, r := range acc {
				f.b.Set(r, 0)
			}
		}
	}
}

// query loads query side s of 16 queries i: its columns are at addr + 2*f.t2 in global
// memory, in bytes; where not in, they are zero.
func (f *flash) query(i, s int, addr, in ptx.Reg) {
	for c, q := range f.q[i] {
		b := f.b
		lo, hi := q[s], q[s+2]
		b.Set(lo, 0)
		b.Set(hi, 0)
		b.Under(in, func() {
			b.LdTo([]ptx.Reg{lo}, ptx.Global, addr, 32*c)
			if 16*c+8 < f.keyDim {
				b.LdTo([]ptx.Reg{hi}, ptx.Global, addr, 32*c+16)
			}
		})
	}
}

// noQuery makes side s zero.
func (f *flash) noQuery(i, s int) {
	for _, q := range f.q[i] {
		f.b.Set(q[s], 0)
		f.b.Set(q[s+2], 0)
	}
}

// scores are the products with n (a multiple of 16) keys at tile+off, not yet scaled:
// [16 queries][8 keys] of 4.
func (f *flash) scores(n int, tile ptx.Reg, off int) [][][]ptx.Reg {
	b := f.b
	s := make([][][]ptx.Reg, len(f.acc))
	zero := b.Var(ptx.F32, 0)
	for i := range s {
		for range n / 8 {
			s[i] = append(s[i], b.Regs(ptx.F32, 4))
		}
	}
	at := b.Add(tile, f.keyLane)
	for c := range (f.keyDim + 15) / 16 {
		var q [][]ptx.Reg
		for i := range s {
			q = append(q, f.querySlice(i, c))
		}
		for k := 0; k < n; k += 16 {
			y := b.Ldmatrix(4, false, at, off+k*kvStride(f.keyDim)+32*c)
			for i := range s {
				for j := range 2 {
					d := s[i][k/8+j]
					sum := d
					if c == 0 {
						sum = []ptx.Reg{zero, zero, zero, zero}
					}
					b.Mma(ptx.F16, d, q[i], y[2*j:2*j+2], sum)
				}
			}
		}
	}
	return s
}

// mask makes the scores of keys from limit(i, side), S32 and counted from the tile's
// first key, minus infinity.
func (f *flash) mask(s [][][]ptx.Reg, limit func(i, side int) ptx.Reg) {
	b := f.b
	for i := range s {
		for side := range f.sides() {
			left := b.Sub(limit(i, side), f.t2)
			for k, d := range s[i] {
				for j := range 2 {
					b.Under(b.Setp(ptx.Le, left, 8*k+j), func() { b.Set(d[2*side+j], math.Inf(-1)) })
				}
			}
		}
	}
}

// add takes the scores of as many values, at tile+off, into the sums.
func (f *flash) add(s [][][]ptx.Reg, tile ptx.Reg, off int) {
	b := f.b
	f.raise(s)
	at := b.Add(tile, f.valueLane)
	var p [][][]ptx.Reg // [16 queries][16 keys] of 4
	for i := range s {
		p = append(p, f.weights(i, s[i]))
	}
	for k := range p[0] {
		for c := 0; c < len(f.acc[0]); c += 2 {
			n := min(2, len(f.acc[0])-c)
			y := b.Ldmatrix(2*n, true, at, off+16*k*kvStride(f.valueDim)+16*c)
			for i := range p {
				for j := range n {
					acc := f.acc[i][c+j]
					b.Mma(ptx.F16, acc, p[i][k], y[2*j:2*j+2], acc)
				}
			}
		}
	}
}

// raise sees to it that no score is more than flashSlack above its maximum.
func (f *flash) raise(s [][][]ptx.Reg) {
	b := f.b
	tops, any := f.tops(s)
	b.If(any, func() {
		for i := range s {
			for side := range f.sides() {
				f.rescale(i, side, f.relativeTo(i, side, tops[i][side]))
			}
		}
	})
}

// tops are the maxima there should be, any whether one in the warp is another than m.
func (f *flash) tops(s [][][]ptx.Reg) (tops [][2]ptx.Reg, any ptx.Reg) {
	b := f.b
	tops = make([][2]ptx.Reg, len(s))
	for i := range s {
		for side := range f.sides() {
			top := s[i][0][2*side]
			for k, d := range s[i] {
				if k > 0 {
					top = b.Max(top, d[2*side])
				}
				top = b.Max(top, d[2*side+1])
			}
			top = b.Max(top, b.Shfl("bfly", top, 1))
			top = b.Mul(b.Max(top, b.Shfl("bfly", top, 2)), f.scale)
			above := b.Setp(ptx.Gt, top, b.Add(f.m[i][side], flashSlack))
			tops[i][side] = b.Selp(top, f.m[i][side], above)
			if any.IsZero() {
				any = above
			} else {
				any = b.Or(any, above)
			}
		}
	}
	return tops, b.Any(any)
}

// relativeTo makes m the maximum and l relative to it; so have the sums to be, by the
// factor it returns.
func (f *flash) relativeTo(i, side int, m ptx.Reg) ptx.Reg {
	b := f.b
	by := b.Ex2(b.Sub(f.m[i][side], m))
	b.Set(f.m[i][side], m)
	mulTo(b, f.l[i][side], by)
	return by
}

// rescale multiplies the sums.
func (f *flash) rescale(i, side int, by ptx.Reg) {
	for _, acc := range f.acc[i] {
		for j := range 2 {
			mulTo(f.b, acc[2*side+j], by)
		}
	}
}

// mulTo is d *= x.
func mulTo(b *ptx.Builder, d, x ptx.Reg) { b.Emit("mul.rn.f32", d, d, x) }

// weights are 2^(score-m), added to the sum and rounded to halves: the scores' layout
// as sums is that of the first operand of a product.
func (f *flash) weights(i int, s [][]ptx.Reg) [][]ptx.Reg {
	b := f.b
	var less [2]ptx.Reg
	for side := range f.sides() {
		less[side] = b.Neg(f.m[i][side])
	}
	var p [][]ptx.Reg
	for k := 0; k < len(s); k += 2 {
		x := make([]ptx.Reg, 4)
		for part := range 2 {
			for side := range 2 {
				if side == 1 && f.half {
					x[2*part+1] = b.Var(ptx.B32, 0)
					continue
				}
				lo := b.Ex2(b.Mad(s[k+part][2*side], f.scale, less[side]))
				hi := b.Ex2(b.Mad(s[k+part][2*side+1], f.scale, less[side]))
				b.AddTo(f.l[i][side], b.Add(lo, hi))
				x[2*part+side] = b.As(ptx.B32, b.CvtPair(ptx.F16x2, lo, hi))
			}
		}
		p = append(p, x)
	}
	return p
}

// sum completes l over the lanes that share a query.
func (f *flash) sum() {
	b := f.b
	for i := range f.l {
		for side := range f.sides() {
			l := f.l[i][side]
			b.AddTo(l, b.Shfl("bfly", l, 1))
			b.AddTo(l, b.Shfl("bfly", l, 2))
		}
	}
}

// packAt is where the 16-byte chunk (U32, column/8) of row (U32) lies in activations at
// out packed in tiles of 2^tile rows and kTiles tiles of columns.
func packAt(b *ptx.Builder, out, row, chunk, tile ptx.Reg, kTiles int) ptx.Reg {
	rows := b.Shr(row, tile)
	within := b.Sub(row, b.Shl(rows, tile))
	line := b.Add(b.Shl(b.Mad(rows, kTiles, b.Shr(chunk, 3)), tile), within)
	place := b.And(b.Xor(chunk, within), 7)
	return b.MadWide(place, 16, b.MadWide(line, 128, out))
}

// zeroColumns clears the columns of packed rows from k, a multiple of 8, to the end of
// the last tile: threads up to their number of chunks clear one chunk of row each.
func zeroColumns(b *ptx.Builder, out, row, tid, tile ptx.Reg, k int) {
	kTiles := (k + 63) / 64
	n := kTiles*8 - k/8
	if n == 0 {
		return
	}
	b.If(b.Setp(ptx.Lt, tid, n), func() {
		zero := b.Var(ptx.B32, 0)
		b.StV(ptx.Global, packAt(b, out, row, b.Add(tid, k/8), tile, kTiles), 0, []ptx.Reg{zero, zero, zero, zero})
	})
}

// pageBytes is what a page holds of all heads.
func pageBytes(heads, dim int) int { return 2 * heads * backend.PageTokens * dim }

// log2 of the rows of a tile of packed activations, as the kernels take it.
func tileShift(t int) uint32 {
	n := uint32(0)
	for 1<<n < t {
		n++
	}
	return n
}
