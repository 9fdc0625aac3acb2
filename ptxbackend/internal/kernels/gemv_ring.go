package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// ring is a warp's ring of units in shared memory: units from+warp, +warps, ... of
// the matrix pass through it in turn. Every turn is one group of asynchronous
// copies, so that the oldest is complete when all but stages-1 groups are.
type ring struct {
	g         *gemv
	f         *Fragments
	unit, to  ptx.Reg // the next to multiply; the end
	slot, end ptx.Reg // where that is; the ring's end
	length    int     // bytes
	source    ptx.Reg // of unit 0, and this lane's 16 bytes
	input     ptx.Reg // this lane's row of ldmatrix, for the first tile of 64 columns
}

func (g *gemv) newRing(from, to ptx.Reg) *ring {
	b, bytes := g.b, g.layout.Format.UnitBytes()
	r := &ring{g: g, f: NewFragments(b, g.layout.Format, g.lane), to: to, length: g.stages(g.layout.Format) * bytes}
	r.unit = b.Var(ptx.U32, b.Add(from, g.warp))
	r.slot = b.Var(ptx.U32, b.Mad(g.warp, r.length, g.ring))
	r.end = b.Add(r.slot, r.length)
	r.source = b.Add(g.weights, b.MulWide(g.lane, 16))
	r.input = g.matrixRow(g.inputs)
	return r
}

// matrixRow is the address lane l gives to ldmatrix: row l%8, columns 8*(l/8).. of
// the input's tile at base. Rows repeat where there are fewer than 8.
func (g *gemv) matrixRow(base ptx.Reg) ptx.Reg {
	b := g.b
	row := b.And(g.lane, min(8, g.T)-1)
	return b.Add(base, b.Mad(row, 128, b.Shl(b.Xor(b.Shr(g.lane, 3), row), 4)))
}

// fill begins the copies of the first units.
func (r *ring) fill() {
	g, bytes := r.g, r.g.layout.Format.UnitBytes()
	for i := range g.stages(g.layout.Format) {
		r.copyUnit(i*g.warps(), i*bytes)
	}
}

// copyUnit begins to copy the unit ahead of the next to multiply to the slot off
// bytes on, if there is such a unit, and closes the group.
func (r *ring) copyUnit(ahead, off int) {
	g, b, bytes := r.g, r.g.b, r.g.layout.Format.UnitBytes()
	u := b.Add(r.unit, ahead)
	b.If(b.Setp(ptx.Lt, u, r.to), func() {
		g.copyLane(b.Mad(g.lane, 16, r.slot), off, b.MadWide(u, bytes, r.source))
	})
	b.CpAsyncCommit()
}

// copyLane begins to copy this lane's pieces of a unit.
func (g *gemv) copyLane(dst ptx.Reg, off int, src ptx.Reg) {
	b, bytes, at := g.b, g.layout.Format.UnitBytes(), 0
	for ; at+512 <= bytes; at += 512 {
		b.CpAsync(dst, off+at, src, at)
	}
	if at < bytes {
		b.Under(b.Setp(ptx.Lt, g.lane, (bytes-at)/16), func() { b.CpAsync(dst, off+at, src, at) })
	}
}

// multiply adds the products of the warp's units before end to acc; start is the
// tile's first unit.
func (r *ring) multiply(acc []ptx.Reg, start, end ptx.Reg) {
	g, b := r.g, r.g.b
	format := g.layout.Format
	stages := g.stages(format)
	b.Loop(func() ptx.Reg { return b.Setp(ptx.Lt, r.unit, end) }, func() {
		b.CpAsyncWait(stages - 1)
		b.WarpSync() // other lanes' copies too
		u := r.f.Unit(r.f.Place(ptx.Shared, r.slot), 0)
		input := b.Mad(b.Sub(r.unit, start), format.Parts()*g.T*128, r.input)
		other := b.Xor(input, 64)
		var parts []*Part
		for i := range format.Parts() {
			for ; len(parts) < min(format.Parts(), i+r.ahead()); parts = append(parts, u.Part(len(parts))) {
			}
			if len(parts) == format.Parts() && r.next(i) {
				b.WarpSync() // all have read the slot
				r.copyUnit(stages*g.warps(), 0)
				b.AddTo(r.unit, g.warps())
				b.AddTo(r.slot, format.UnitBytes())
				b.Set(r.slot, b.Selp(b.Sub(r.slot, r.length), r.slot, b.Setp(ptx.Ge, r.slot, r.end)))
			}
			for half, from := range []ptx.Reg{input, other} {
				g.steps(acc, parts[i], half, from, i*g.T*128)
			}
		}
	})
}

// ahead is how many parts are in registers at once: all, so that the slot can be
// filled again, unless that takes too many.
func (r *ring) ahead() int {
	if formats[r.g.layout.Format].high > 4 {
		return 2
	}
	return r.g.layout.Format.Parts()
}

// next reports whether part i is the one before which all parts have been loaded.
func (r *ring) next(i int) bool { return i == max(0, r.g.layout.Format.Parts()-r.ahead()) }

// chains is how many sums take turns at a tile's products, so that one mma need
// not wait for the one before.
func (r *ring) chains() int { return max(1, 2/r.g.columns()) }

// joined are the sums of the chains.
func (r *ring) joined(acc []ptx.Reg) []ptx.Reg {
	if r.chains() == 1 {
		return acc
	}
	sum := make([]ptx.Reg, len(acc)/2)
	for i := range sum {
		sum[i] = r.g.b.Add(acc[i], acc[len(sum)+i])
	}
	return sum
}

// steps multiplies 32 columns of a part, the input's being at from + off.
func (g *gemv) steps(acc []ptx.Reg, p *Part, half int, from ptx.Reg, off int) {
	b := g.b
	y := make([][]ptx.Reg, g.columns())
	for j := range y {
		y[j] = b.Ldmatrix(4, false, from, off+1024*j)
	}
	for s := range 2 {
		x := p.Step(2*half + s)
		for j := range y {
			a := acc[(4*j+4*len(y)*s)%len(acc):][:4]
			b.Mma(ptx.F16, a, x, y[j][2*s:2*s+2], a)
		}
	}
}
