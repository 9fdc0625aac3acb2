package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Matrix-vector products, four rows at a time (AVX-512).

// decodeDistance is how many bytes ahead of the four rows at hand, which lie one
// after the other, memory is asked for; the rows' own length if that is more, or
// most of it would be asked for too late.
const decodeDistance = 16384

const decodeSignature = "y *float32, w *byte, stride, groups int, c *byte, d, m *float32, cells int"

// decode is a function that multiplies groups of four rows with one activation
// row: y[4g+i] = row 4g+i . x.
type decode struct {
	*asm
	stride, thrice reg.GPVirtual
	p              reg.GPVirtual // row 0, walking
	ahead          reg.GPVirtual // what will be read later, walking
	distance       reg.GPVirtual
	step           int           // bytes of a row an iteration takes
	c, d, m        reg.GPVirtual // activations, walking
}

// rows emits the function. step is the walk of one iteration: bytes of a row and
// cells of the activations. setup makes constants before all loops, start clears
// the sums, body does an iteration, finish returns a register whose 128-bit lane
// l has four partial sums of row l.
func (a *asm) decode(name, doc string, bytes, cells int, setup func(*decode) (start, body func(), finish func() reg.VecVirtual)) {
	a.function(name, decodeSignature, doc)
	k := &decode{asm: a, stride: a.arg("stride"), thrice: a.GP64(), p: a.GP64(),
		ahead: a.GP64(), step: bytes, c: a.GP64(), d: a.GP64(), m: a.GP64()}
	y, w, groups := a.arg("y"), a.arg("w"), a.arg("groups")
	a.LEAQ(atIndex(k.stride, k.stride, 2, 0), k.thrice)
	k.setDistance()
	start, body, finish := setup(k)
	a.loop(groups, func() {
		n := a.arg("cells")
		a.Load(a.Param("c"), k.c)
		if cells == 8 { // super-blocks read their eight scales at once
			a.Load(a.Param("d"), k.d)
			a.Load(a.Param("m"), k.m)
		}
		a.MOVQ(w, k.p)
		k.aim(w)
		start()
		loop := a.label("cells")
		a.Label(loop)
		body()
		a.ADDQ(imm(bytes), k.p)
		a.ADDQ(imm(4*bytes), k.ahead)
		a.ADDQ(imm(64*cells), k.c)
		if cells == 8 {
			a.ADDQ(imm(32), k.d)
			a.ADDQ(imm(32), k.m)
		}
		a.SUBQ(imm(cells), n)
		a.JNZ(LabelRef(loop))
		s := finish()
		a.sumLanes(s)
		a.VMOVUPS(s.AsX(), at(y, 0))
		a.ADDQ(imm(16), y)
		a.LEAQ(atIndex(w, k.stride, 4, 0), w)
	})
	a.finish()
}

// row is an address in row i.
func (k *decode) row(i, disp int) Mem {
	switch i {
	case 0:
		return at(k.p, disp)
	case 3:
		return atIndex(k.p, k.thrice, 1, disp)
	}
	return atIndex(k.p, k.stride, uint8(i), disp)
}

// setDistance prepares aim.
func (k *decode) setDistance() {
	least := k.GP64()
	k.distance = k.GP64()
	k.MOVQ(k.stride, k.distance)
	k.SHLQ(Imm(2), k.distance)
	k.MOVQ(U32(decodeDistance), least)
	k.CMPQ(k.distance, least)
	k.CMOVQLT(least, k.distance)
}

// aim begins a group of four rows at w.
func (k *decode) aim(w reg.GPVirtual) { k.LEAQ(atIndex(w, k.distance, 1, 0), k.ahead) }

// fetch asks for part i, 0 to 3, of the bytes as many as an iteration reads.
func (k *decode) fetch(i int) {
	for line := k.step * i; line < k.step*(i+1); line += 64 {
		k.PREFETCHT0(at(k.ahead, line))
	}
}

func (a *asm) zmms(n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = a.ZMM()
	}
	return v
}

// mask is a mask register with the given lanes.
func (a *asm) mask(lanes uint64) reg.OpmaskVirtual {
	r, k := a.GP64(), a.K()
	a.MOVQ(U64(lanes), r)
	a.KMOVQ(r, k)
	return k
}

// joinPairs turns two registers that hold two rows each (256 bits a row) into
// one with a row in each 128-bit lane, adding.
func (a *asm) joinPairs(r01, r23 reg.VecVirtual) reg.VecVirtual {
	u, v := a.ZMM(), a.ZMM()
	a.VSHUFF32X4(Imm(0x88), r23, r01, u)
	a.VSHUFF32X4(Imm(0xdd), r23, r01, v)
	a.VADDPS(v, u, u)
	return u
}

// joinRows does it for four registers of one row each.
func (a *asm) joinRows(acc []reg.VecVirtual) reg.VecVirtual {
	return a.joinPairs(a.joinPairs(acc[0], acc[1]), a.joinPairs(acc[2], acc[3]))
}

// sumLanes adds up each 128-bit lane of s; sum l becomes 32-bit lane l.
func (a *asm) sumLanes(s reg.VecVirtual) {
	t := a.ZMM()
	a.VPERMILPS(Imm(0xb1), s, t)
	a.VADDPS(t, s, s)
	a.VPERMILPS(Imm(0x4e), s, t)
	a.VADDPS(t, s, s)
	a.VMOVDQU32(a.dwords(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12), t)
	a.VPERMPS(s, t, s)
}

// negatedSums sets each 32-bit lane of s to -bias times the sum of its four bytes
// of all x. Weights are stored as unsigned bytes w+bias: beginning a sum there
// leaves exactly w's, lane by lane, so that nothing large has to cancel in
// floating point.
func (a *asm) negatedSums(bias reg.VecVirtual, s reg.VecVirtual, x ...reg.VecVirtual) {
	t := a.ZMM()
	a.zero(s, t)
	for _, v := range x {
		a.dp(v, bias, t)
	}
	a.VPSUBD(t, s, s)
}
