package kernels

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Between the last weights of one GEMV and the first that the next can do something
// with lies the time in which the one's outputs become the other's input. The next
// has filled its rings long before, so memory would idle. Instead a block that has
// nothing more to read asks for what the block of its number will read next, into
// the L2 cache; so does one that is done before the others.

// gemvLead is how many bytes a block asks for.
const gemvLead = 64 << 10

// gemvSector is what one request brings at least.
const gemvSector = 32

// gemvLeadSignature says for each matrix of the next kernel what gemvMatSignature
// does, in bytes, and how many of them are in the rings already.
var gemvLeadSignature = func() (s signature) {
	for i := range 3 {
		s = append(s, address(fmt.Sprint("nextw", i)), count(fmt.Sprint("nextfirst", i)), count(fmt.Sprint("nextgrains", i)),
			count(fmt.Sprint("nextbytes", i)), count(fmt.Sprint("nextskip", i)))
	}
	return append(s, count("nextblocks"))
}()

// noLead asks for nothing.
var noLead = func() (v []any) {
	for range 3 {
		v = append(v, driver.Ptr(0), ^uint32(0), uint32(0), uint32(0), uint32(0))
	}
	return append(v, uint32(0))
}()

// Lead makes l, a launch of c, ask for the weights of next, whose launch on sms
// multiprocessors with the same mats follows, or follows soon. It changes l.Params in
// place. Without it a launch asks for nothing.
func (c GEMV) Lead(l driver.Launch, sms int, next GEMV, mats []GEMVMat) {
	if c.streams() || next.streams() {
		return // a block of those reads here and there
	}
	values := slices.Clone(noLead)
	first, shares := 0, next.shares()
	blocks := deal(shares, max(sms, len(shares)))
	for i, m := range next.Mats {
		s, bytes := shares[i], turnOf(m).bytes
		grain := s.grain(blocks[i])
		copy(values[5*i:], []any{mats[i].Weights, uint32(first), uint32(s.tasks * s.turns / grain), uint32(grain * bytes),
			uint32(next.warps() * next.stages(m) * bytes)})
		first += blocks[i]
	}
	values[len(values)-1] = uint32(first)
	put(l.Params, c.signature(), values)
}

// put overwrites the last parameters.
func put(params []byte, s signature, values []any) {
	offsets, _ := (&ptx.Kernel{Params: s}).ParamOffsets()
	offsets = offsets[len(s)-len(values):]
	for i, v := range values {
		switch v := v.(type) {
		case driver.Ptr:
			binary.LittleEndian.PutUint64(params[offsets[i]:], uint64(v))
		case uint32:
			binary.LittleEndian.PutUint32(params[offsets[i]:], v)
		}
	}
}

// lead asks for the block's weights of the next kernel.
func (g *gemv) lead() {
	b, p, each := g.b, g.next, len(gemvLeadSignature)/3
	all := p[len(p)-1]
	b.If(b.Setp(ptx.Lt, g.cta, all), func() {
		var my [5]ptx.Reg
		copy(my[:], p[:each])
		end := b.Min(p[each+1], all)
		for i := 1; i < 3; i++ {
			here := b.Setp(ptx.Ge, g.cta, p[i*each+1])
			to := all
			if i == 1 {
				to = b.Min(p[2*each+1], all)
			}
			end = b.Selp(to, end, here)
			for j := range my {
				my[j] = b.Selp(p[i*each+j], my[j], here)
			}
		}
		weights, first, grains, bytes, skip := my[0], my[1], my[2], my[3], my[4]
		local, blocks := b.Sub(g.cta, first), b.Sub(end, first)
		bound := func(i ptx.Reg) ptx.Reg { return b.MadWide(b.Div(b.Mul(i, grains), blocks), bytes, weights) }
		last := bound(b.Add(local, 1))
		at := b.Add(bound(local), b.Cvt(ptx.U64, b.Mad(g.tid, gemvSector, skip)))
		for off := 0; off < gemvLead; off += gemvSector * g.threads() {
			b.Under(b.Setp(ptx.Lt, b.Add(at, off), last), func() { b.PrefetchL2(at, off) })
		}
	})
}
