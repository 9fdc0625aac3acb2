package emu

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// tensorState is what a warp keeps for the tensor cores.
type tensorState struct {
	tile   tile
	out    [4]vec
	fenced bool
	dirt   []bool // registers written since the last wgmma.fence
	groups []wgmmaOp
	open   int    // number of the group being filled
	issued uint64 // which wgmma the warp has executed, in their order
}

// wgmmaOp is a wgmma under way.
type wgmmaOp struct {
	x     *wgmmaArgs
	group int
	mem   []span // shared memory it reads
	a     [4]vec // what A's registers held
}

type span struct{ at, n uint32 }

func (t *tensorState) begin(regs int) {
	t.fenced, t.groups, t.open, t.issued = false, t.groups[:0], 0, 0
	t.dirt = grow(t.dirt, regs)
	clear(t.dirt)
}

func (t *tensorState) dirty(regs []int32) {
	for _, r := range regs {
		t.dirt[r] = true
	}
}

// inFlight reports whether register r is the sum of a wgmma under way.
func (t *tensorState) inFlight(r int32) bool {
	for _, op := range t.groups {
		for _, d := range op.x.dregs {
			if d == r {
				return true
			}
		}
	}
	return false
}

func (t *tensorState) leaving(w *warp) {
	if len(t.groups) > 0 {
		w.fault(-1, "the warp ends while %d wgmma are under way", len(t.groups))
	}
}

// wgmmaArgs are the operands of a wgmma.mma_async.
type wgmmaArgs struct {
	n            int
	half         func(uint32) float32
	d            []int32 // slots of the sums
	dregs        []int32 // and their PTX numbers
	a            [4]int32
	aregs        []int32
	descA, descB int32
	inRegs       bool
	scale        int32
	not          bool
	negA, negB   bool
}

func (c *compiler) decodeWgmma() {
	in := c.in
	in.flow = flowAligned
	switch c.src.Op {
	case "wgmma.fence.sync.aligned":
		in.run = func(w *warp, _ *instr, _ uint32) {
			w.tensor.fenced = true
			clear(w.tensor.dirt)
		}
	case "wgmma.commit_group.sync.aligned":
		in.run = func(w *warp, _ *instr, _ uint32) { w.tensor.open++ }
	case "wgmma.wait_group.sync.aligned":
		n := int(c.arg(0).Imm)
		in.run = func(w *warp, _ *instr, _ uint32) { w.wgmmaWait(n) }
	default:
		if strings.HasPrefix(c.src.Op, "wgmma.mma_async.sync.aligned.m64n") && len(c.op) == 8 {
			c.decodeWgmmaAsync()
		}
	}
}

// decodeWgmmaAsync decodes wgmma.mma_async.sync.aligned.m64nNk16.f32.T.T.
func (c *compiler) decodeWgmmaAsync() {
	x := &wgmmaArgs{}
	shape := strings.TrimSuffix(strings.TrimPrefix(c.op[4], "m64n"), "k16")
	n, err := strconv.Atoi(shape)
	if err != nil || n < 8 || n > 256 || n%8 != 0 || c.op[5] != "f32" || c.op[6] != c.op[7] {
		return
	}
	x.n = n
	switch c.op[6] {
	case "f16":
		x.half = halfTo32
	case "bf16":
		x.half = bfTo32
	default:
		return
	}
	for _, r := range c.regs(0, n/2) {
		x.d = append(x.d, c.dest(&r, 4))
		x.dregs = append(x.dregs, r.Reg.Num)
		c.p.wgmma[r.Reg.Num] = true
	}
	imms := 4
	if c.arg(1).List != nil {
		x.inRegs, imms = true, 3
		for i, r := range c.regs(1, 4) {
			x.a[i] = c.source32(&r)
			x.aregs = append(x.aregs, r.Reg.Num)
			c.p.wgmma[r.Reg.Num] = true
		}
	} else {
		x.descA = c.src64(1)
	}
	x.descB = c.src64(2)
	x.scale, x.not = c.srcPred(3)
	if len(c.src.Args) != 4+imms {
		c.fail("%d operands", len(c.src.Args))
		return
	}
	x.negA, x.negB = int32(c.arg(4).Imm) < 0, int32(c.arg(5).Imm) < 0
	for i := 6; i < len(c.src.Args); i++ {
		if c.arg(i).Imm != 0 {
			c.fail("only K-major matrices are emulated")
		}
	}
	c.in.defs, c.in.sums = nil, x.dregs // they have values only once they are waited for
	c.in.run = func(w *warp, _ *instr, _ uint32) { runWgmma(w, x) }
}

// runWgmma issues a wgmma: for this warp, a quarter of the rows. The product is made
// at once, but its registers and memory are kept from everybody until it is waited for.
func runWgmma(w *warp, x *wgmmaArgs) {
	t := &w.tensor
	w.checkWgmma(x)
	scale := w.pred(x.scale, x.not)
	if scale != 0 && scale != full {
		w.fault(-1, "the lanes disagree on scale-d")
	}
	if scale != 0 {
		w.wgmmaSums(x)
	}
	op := wgmmaOp{x: x, group: t.open}
	if n := len(t.groups); n < cap(t.groups) { // use the list of spans again
		op.mem = t.groups[:n+1][n].mem[:0]
	}
	if x.inRegs {
		for i, r := range x.a {
			op.a[i] = *w.v(r)
		}
		t.tile.loadA(w, x.a, x.half)
	} else {
		w.loadDesc(w.w(x.descA), "A", 16*(w.id%4), 16, &op, func(r, k int, v uint32) { t.tile.a[r][k] = float64(x.half(v)) })
	}
	sign := 1.0
	if x.negA != x.negB {
		sign = -1
	}
	for n := 0; n < x.n; n += 8 {
		w.loadDesc(w.w(x.descB), "B", n, 8, &op, func(r, k int, v uint32) { t.tile.b[k][r] = float64(x.half(v)) })
		w.wgmmaTile(x, n/8, scale != 0, sign)
	}
	t.groups = append(t.groups, op)
	t.issued = mix(t.issued ^ uint64(w.blk.at))
	for _, s := range op.mem {
		w.holdReads(s)
	}
	for _, r := range x.dregs {
		w.def[r] = 0
	}
}

// checkWgmma wants whole warpgroups, and a wgmma.fence since registers were written.
func (w *warp) checkWgmma(x *wgmmaArgs) {
	if !w.tensor.fenced {
		w.fault(-1, "no wgmma.fence before the first wgmma")
	}
	if w.blk.threads()%128 != 0 {
		w.fault(-1, "the block has %d threads: wgmma takes warpgroups of 128", w.blk.threads())
	}
	for _, regs := range [2][]int32{x.dregs, x.aregs} {
		for _, r := range regs {
			if w.tensor.dirt[r] {
				w.fault(-1, "register %s was written since the last wgmma.fence", w.regName(r))
			}
		}
	}
}

// wgmmaSums wants the sums to have values, or to be those of a wgmma under way.
func (w *warp) wgmmaSums(x *wgmmaArgs) {
	for _, r := range x.dregs {
		if w.def[r] != full && !w.tensor.inFlight(r) {
			w.fault(-1, "sum %s is added to before it has a value", w.regName(r))
		}
	}
}

// wgmmaTile computes the columns of one group of 8. The registers hold the result
// at once but count as unwritten until wgmma.wait_group.
func (w *warp) wgmmaTile(x *wgmmaArgs, i int, add bool, sign float64) {
	t := &w.tensor
	var s [8]float64
	for h := range 2 {
		d0, d1 := &w.r32[x.d[4*i+2*h]], &w.r32[x.d[4*i+2*h+1]]
		for g := range 8 {
			for j := range 4 {
				s[2*j], s[2*j+1] = 0, 0
				if add {
					s[2*j], s[2*j+1] = sign*float64(f32(d0[4*g+j])), sign*float64(f32(d1[4*g+j]))
				}
			}
			t.tile.row(g+8*h, &s)
			for j := range 4 {
				d0[4*g+j], d1[4*g+j] = bits32(float32(sign*s[2*j])), bits32(float32(sign*s[2*j+1]))
			}
		}
	}
}

// descriptor is a matrix descriptor (PTX ISA, "Matrix Descriptor Format"): bits 0-13
// start address, 16-29 leading and 32-45 stride byte offset, all / 16; 49-51 base
// offset; 62-63 the swizzle: none, 128, 64 or 32 bytes.
type descriptor uint64

func (d descriptor) start() uint32   { return uint32(d&0x3FFF) << 4 }
func (d descriptor) leading() uint32 { return uint32(d>>16&0x3FFF) << 4 }
func (d descriptor) stride() uint32  { return uint32(d>>32&0x3FFF) << 4 }

// at is the address of the 16 bytes at row r and columns 8c.. of a K-major matrix.
// Without swizzle, 8 rows of 16 bytes are contiguous, leading is from one such piece
// to the next in K and stride to the next 8 rows. With one, rows of 128, 64 or 32
// bytes are contiguous, stride is from 8 rows to the next 8, and bits 4.. of the
// address are changed by bits 7...
func (d descriptor) at(r, c uint32) uint32 {
	if d>>62 == 0 {
		return d.start() + r/8*d.stride() + r%8*16 + c*d.leading()
	}
	width := uint32(256) >> (d >> 62)
	a := d.start() + r/8*d.stride() + r%8*width + c*16
	return a ^ a>>7&(width/16-1)<<4
}

// pattern is after how many bytes the swizzle repeats; 1 without one.
func (d descriptor) pattern() uint32 {
	if d>>62 == 0 {
		return 1
	}
	return 2048 >> (d >> 62)
}

// loadDesc reads rows from to from+n of 16 halves of the matrix a descriptor tells of.
func (w *warp) loadDesc(v *wide, name string, from, n int, op *wgmmaOp, put func(r, k int, v uint32)) {
	d := descriptor(v[0])
	for l, x := range v {
		if descriptor(x) != d {
			w.fault(l, "the lanes disagree on the descriptor of %s", name)
		}
	}
	if d>>49&7 != 0 {
		w.fault(-1, "descriptor of %s: base offsets are not emulated: let the matrix begin at a multiple of 1024", name)
	}
	if p := d.pattern(); d.start()&(p-1)&^127 != 0 {
		w.fault(-1, "descriptor of %s: the matrix begins at %#x, not with the swizzle's pattern, at a multiple of %d", name, d.start(), p)
	}
	for r := range n {
		for c := range 2 {
			at := w.sharedRange(-1, d.at(uint32(from+r), uint32(c)), 16)
			w.checkAsyncRead(at, 16)
			op.mem = append(op.mem, span{at, 16})
			for k := range 8 {
				put(r, 8*c+k, uint32(binary.LittleEndian.Uint16(w.blk.shared[at+uint32(2*k):])))
			}
		}
	}
}

// checkAsyncRead checks a read by the asynchronous proxy on behalf of w.
func (w *warp) checkAsyncRead(at, n uint32) {
	w.checkFenced(-1, at, n)
	r := &w.blk.race
	for g := at / 4; g < (at+n)/4; g++ {
		if h := r.held[g]; h&^heldReads != 0 {
			w.heldFault(-1, g, h, "read")
		}
		e := r.write[g]
		if c, v := uint32(e>>32), int(e&warpBits); c > r.base && v != w.id && c > w.known[v] {
			w.raceFault(-1, g, "reads", "%s wrote", w.blk.agentName(v))
		}
	}
}

// holdReads keeps writers off what wgmma reads until it is waited for.
func (w *warp) holdReads(s span) {
	for g := s.at / 4; g < (s.at+s.n)/4; g++ {
		if h := &w.blk.race.held[g]; *h&heldReads < heldReads {
			*h++
		}
	}
}

// releaseReads makes them reads of now.
func (w *warp) releaseReads(s span) {
	r := &w.blk.race
	for g := s.at / 4; g < (s.at+s.n)/4; g++ {
		if h := &r.held[g]; *h&heldReads > 0 {
			*h--
		}
		r.read[int(g)*r.n+w.id] = w.clock<<4 | 15
	}
}

// wgmmaWait completes all groups but the last n.
func (w *warp) wgmmaWait(n int) {
	t := &w.tensor
	done := 0
	for done < len(t.groups) && t.groups[done].group < t.open-n {
		done++
	}
	for i := range t.groups[:done] {
		w.wgmmaDone(&t.groups[i])
	}
	for i := range t.groups[:done] {
		for _, r := range t.groups[i].x.dregs {
			w.def[r] = full
		}
	}
	// The rest moves down; the lists of spans change places, to be used again.
	for i := done; i < len(t.groups); i++ {
		t.groups[i-done], t.groups[i] = t.groups[i], t.groups[i-done]
	}
	t.groups = t.groups[:len(t.groups)-done]
	for i := range t.groups {
		for _, r := range t.groups[i].x.dregs {
			w.def[r] = 0
		}
	}
}

// wgmmaDone checks that nobody touched the registers of a wgmma while it was under
// way, and lets go of the memory it read.
func (w *warp) wgmmaDone(op *wgmmaOp) {
	for _, s := range op.mem {
		w.releaseReads(s)
	}
	for i, r := range op.x.aregs {
		if *w.v(op.x.a[i]) != op.a[i] {
			w.fault(-1, "register %s was changed while wgmma read it", w.regName(r))
		}
	}
	for _, r := range op.x.dregs {
		if w.def[r] != 0 {
			w.fault(-1, "register %s was written while wgmma worked on it", w.regName(r))
		}
	}
}
