package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// ring is a warp's ring of turns in shared memory: turns from+warp, +warps, ... of
// the matrix pass through it. Each is one group of asynchronous copies, so that the
// oldest is complete when all but stages-1 groups are.
type ring struct {
	g         *gemv
	f         *Fragments
	turn, to  ptx.Reg // the next to multiply; the end
	slot, end ptx.Reg // where that is; the ring's end
	stages    int
	source    ptx.Reg // of turn 0, and this lane's 16 bytes
	input     ptx.Reg // this lane's row of ldmatrix, for the first tile of 64 columns
}

func (g *gemv) newRing(from, to ptx.Reg) *ring {
	b := g.b
	r := &ring{g: g, f: NewFragments(b, g.layout.Format, g.lane), to: to, stages: g.stages(g.layout)}
	length := r.stages * g.turn.bytes
	r.turn = b.Var(ptx.U32, b.Add(from, g.warp))
	r.slot = b.Var(ptx.U32, b.Mad(g.warp, length, g.ring))
	r.end = b.Add(r.slot, length)
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

// fill begins the copies of the first turns.
func (r *ring) fill() {
	for i := range r.stages {
		r.copyTurn(i*r.g.warps(), i*r.g.turn.bytes)
	}
}

// copyTurn begins to copy the turn ahead of the next to multiply to the slot off
// bytes on, if there is such a turn, and closes the group.
func (r *ring) copyTurn(ahead, off int) {
	g, b := r.g, r.g.b
	n := b.Add(r.turn, ahead)
	b.If(b.Setp(ptx.Lt, n, r.to), func() {
		g.copyLane(b.Mad(g.lane, 16, r.slot), off, b.MadWide(n, g.turn.bytes, r.source))
	})
	b.CpAsyncCommit()
}

// copyLane begins to copy this lane's pieces of a turn.
func (g *gemv) copyLane(dst ptx.Reg, off int, src ptx.Reg) {
	b, bytes, at := g.b, g.turn.bytes, 0
	for ; at+512 <= bytes; at += 512 {
		b.CpAsync(dst, off+at, src, at)
	}
	if at < bytes {
		b.Under(b.Setp(ptx.Lt, g.lane, (bytes-at)/16), func() { b.CpAsync(dst, off+at, src, at) })
	}
}

// multiply adds the products of the warp's turns before end to acc; start is the
// tile's first turn.
func (r *ring) multiply(acc []ptx.Reg, start, end ptx.Reg) {
	g, b := r.g, r.g.b
	length := r.stages * g.turn.bytes
	b.Loop(func() ptx.Reg { return b.Setp(ptx.Lt, r.turn, end) }, func() {
		b.CpAsyncWait(r.stages - 1)
		b.WarpSync() // other lanes' copies too
		input := b.Mad(b.Sub(r.turn, start), g.turn.parts*g.T*128, r.input)
		g.products(r.f, r.f.Place(ptx.Shared, r.slot), acc, input, func() {
			b.WarpSync() // all have read the slot
			r.copyTurn(r.stages*g.warps(), 0)
			b.AddTo(r.turn, g.warps())
			b.AddTo(r.slot, g.turn.bytes)
			b.Set(r.slot, b.Selp(b.Sub(r.slot, length), r.slot, b.Setp(ptx.Ge, r.slot, r.end)))
		})
	})
}

// products adds the products of the turn at p to acc and calls read as soon as all
// of the turn is in registers. A turn whose registers would be too many is read a
// part ahead.
func (g *gemv) products(f *Fragments, p Place, acc []ptx.Reg, input ptx.Reg, read func()) {
	format := g.layout.Format
	ahead := g.turn.parts
	if formats[format].high > 0 || g.T > 8 {
		ahead = min(2, ahead)
	}
	other := g.b.Xor(input, 64)
	var u *Unit
	var parts []*Part
	for i := range g.turn.parts {
		for len(parts) < min(g.turn.parts, i+ahead) {
			n := len(parts)
			if n%format.Parts() == 0 {
				u = f.Unit(p, n/format.Parts()*format.UnitBytes())
			}
			parts = append(parts, u.Part(n%format.Parts()))
			if len(parts) == g.turn.parts {
				read()
			}
		}
		for half, from := range []ptx.Reg{input, other} {
			g.steps(acc, parts[i], half, from, i*g.T*128)
		}
	}
}

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
