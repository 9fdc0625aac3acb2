package emu

import (
	"math/bits"
)

const full = ^uint32(0)

// path is a set of lanes of a warp that are at the same instruction.
type path struct {
	pc   int32
	mask uint32
}

// state says why a warp does not run.
type state uint8

const (
	ready   state = iota
	waiting       // at barrier warp.bar
	asleep        // until the mbarrier warp.mbar completes a phase
	ended
)

// warp is 32 lanes of a block. Its lanes are on paths; the one at the lowest
// instruction goes first, so that they meet again where the branches of structured
// code join.
type warp struct {
	blk  *block
	prog *program
	id   int
	r32  []vec
	r64  []wide
	p    []uint32
	def  []uint32 // lanes that have written register n
	t32  vec      // results before they are masked
	t64  wide

	cur    path
	others []path
	next   int32  // lowest instruction of the others
	lanes  uint32 // the warp has
	exited uint32
	state  state
	stop   bool // leave the inner loop
	bar    int  // number of the barrier waited at
	mbar   *mbarrier
	waited uint32 // lanes that executed griddepcontrol.wait
	turn   bool   // another path than the lowest goes next

	clock  uint32   // of this warp's accesses, see race.go
	known  []uint32 // known[v]: accesses of warp v that happened before this warp's next
	fenced []uint32 // likewise, those a proxy fence lies behind

	async  asyncState
	tensor tensorState
}

// v is a register or constant.
func (w *warp) v(i int32) *vec {
	if i >= 0 {
		return &w.r32[i]
	}
	return &w.prog.c32[^i]
}

func (w *warp) w(i int32) *wide {
	if i >= 0 {
		return &w.r64[i]
	}
	return &w.prog.c64[^i]
}

func (w *warp) pred(i int32, not bool) uint32 {
	x := uint32(0)
	switch {
	case i >= 0:
		x = w.p[i]
	case i == predTrue:
		x = full
	}
	if not {
		return ^x
	}
	return x
}

func (w *warp) setPred(i int32, m, v uint32) { w.p[i] = w.p[i]&^m | v&m }

// blend copies the lanes of m.
func blend(d, s *vec, m uint32) {
	for m != 0 {
		l := bits.TrailingZeros32(m) & 31
		m &= m - 1
		d[l] = s[l]
	}
}

func blendWide(d, s *wide, m uint32) {
	for m != 0 {
		l := bits.TrailingZeros32(m) & 31
		m &= m - 1
		d[l] = s[l]
	}
}

// run executes up to n instructions.
func (w *warp) run(n int) {
	w.stop = false
	code := w.prog.code
	done, steps := uint64(0), n
	for ; steps > 0 && !w.stop; steps-- {
		if w.cur.pc >= w.next {
			w.choose()
		}
		pc := w.cur.pc
		in := &code[pc]
		m := w.cur.mask
		if in.flow != flowNext {
			w.blk.at = pc
			done += uint64(bits.OnesCount32(m))
			w.control(in)
			continue
		}
		w.cur.pc = pc + 1
		if in.guard != noGuard {
			m &= w.guard(in, pc)
			if m == 0 {
				continue
			}
		}
		for _, r := range in.uses {
			if w.def[r]&m != m {
				w.undefined(in, pc, r, m)
			}
		}
		done += uint64(bits.OnesCount32(m))
		w.blk.at = pc
		in.run(w, in, m)
		for _, r := range in.defs {
			w.def[r] |= m
		}
		if in.mayDirty != nil {
			w.tensor.dirty(in.mayDirty)
		}
	}
	w.blk.lanes += done
	w.blk.steps -= int64(n - steps)
}

// guard is the lanes an instruction's predicate lets through.
func (w *warp) guard(in *instr, pc int32) uint32 {
	if r := in.src.Guard.Num; w.def[r]&w.cur.mask != w.cur.mask {
		w.undefined(in, pc, r, w.cur.mask)
	}
	g := w.p[in.guard]
	if in.not {
		return ^g
	}
	return g
}

// undefined reports the use of a register without a value; the guard among them is
// read by all lanes of the path.
func (w *warp) undefined(in *instr, pc int32, r int32, m uint32) {
	w.blk.at = pc
	l := bits.TrailingZeros32(m &^ w.def[r])
	if w.tensor.inFlight(r) {
		w.fault(l, "register %v is read while wgmma works on it: wgmma.wait_group is missing", w.regName(r))
	}
	w.fault(l, "register %v is read before it is written", w.regName(r))
}

// choose takes the path that is lowest, joining those that have met.
func (w *warp) choose() {
	if w.cur.mask != 0 {
		w.others = append(w.others, w.cur)
	}
	w.cur = path{}
	low := 0
	for i, p := range w.others {
		if p.pc < w.others[low].pc {
			low = i
		}
	}
	if w.turn {
		w.turn = false
		if i := w.blk.random(len(w.others)); w.prog.code[w.others[i].pc].flow < flowAligned {
			low = i
		}
	}
	w.take(low)
}

// take makes path i of the others the current one.
func (w *warp) take(i int) {
	w.cur = w.others[i]
	w.others[i] = w.others[len(w.others)-1]
	w.others = w.others[:len(w.others)-1]
	w.settle()
}

// settle joins paths at the current instruction and finds the next lowest.
func (w *warp) settle() {
	w.next = 1<<31 - 1
	for i := 0; i < len(w.others); {
		if o := w.others[i]; o.pc == w.cur.pc {
			w.cur.mask |= o.mask
			w.others[i] = w.others[len(w.others)-1]
			w.others = w.others[:len(w.others)-1]
			continue
		}
		w.next = min(w.next, w.others[i].pc)
		i++
	}
	if w.next < w.cur.pc { // another path goes first only when this one is chosen anew
		w.next = 1<<31 - 1
		for _, o := range w.others {
			if o.pc > w.cur.pc {
				w.next = min(w.next, o.pc)
			}
		}
	}
}

// control executes what changes the flow, or needs lanes to come together.
func (w *warp) control(in *instr) {
	pc := w.cur.pc
	m := w.cur.mask
	if in.guard != noGuard {
		m &= w.guard(in, pc)
	}
	switch in.flow {
	case flowBranch:
		w.branch(in, m)
	case flowExit:
		w.exit(m)
	default:
		if m != w.cur.mask && (in.flow != flowSync || m == 0) {
			if m != 0 {
				w.fault(-1, "executed by some lanes of the warp only (%#x of %#x): it is .aligned", m, w.cur.mask)
			}
			w.cur.pc++
			return
		}
		w.together(in)
	}
}

func (w *warp) branch(in *instr, m uint32) {
	rest := w.cur.mask &^ m
	switch {
	case m == 0:
		w.cur.pc++
		return
	case rest == 0:
		w.cur.pc = in.target
	default:
		w.others = append(w.others, path{in.target, m})
		w.cur = path{w.cur.pc + 1, rest}
	}
	if len(w.others) > 0 {
		w.choose()
	}
}

func (w *warp) exit(m uint32) {
	w.blk.leaving(w, m)
	w.exited |= m
	w.cur.mask &^= m
	w.cur.pc++
	if w.cur.mask != 0 {
		return
	}
	if len(w.others) > 0 {
		w.next = -1 << 31
		w.choose()
		return
	}
	w.state, w.stop = ended, true
	w.blk.warpEnded()
}

// together executes an instruction once all lanes it needs are here.
func (w *warp) together(in *instr) {
	need := w.lanes &^ w.exited
	if in.flow == flowAligned && w.lanes&^w.exited != full {
		if w.lanes != full {
			w.fault(-1, "the warp has only %d lanes: it is .aligned", bits.OnesCount32(w.lanes))
		}
		w.fault(-1, "executed after lanes %#x of the warp have ended: it is .aligned", w.exited)
	}
	if w.cur.mask != need && !w.gather(in, need) {
		return
	}
	pc, m := w.cur.pc, w.cur.mask
	if in.guard != noGuard {
		m &= w.guard(in, pc)
		if m == 0 {
			w.cur.pc++
			return
		}
	}
	for _, r := range in.uses {
		if w.def[r]&m != m {
			w.undefined(in, pc, r, m)
		}
	}
	w.cur.pc = pc + 1
	in.run(w, in, m)
	for _, r := range in.defs {
		w.def[r] |= m
	}
	if in.mayDirty != nil {
		w.tensor.dirty(in.mayDirty)
	}
}

// gather lets the other paths run until they come to the current instruction too.
// Where each of them waits for lanes at another, they never will.
func (w *warp) gather(in *instr, need uint32) bool {
	pc := w.cur.pc
	for i, o := range w.others {
		oi := &w.prog.code[o.pc]
		if oi.flow >= flowAligned {
			continue
		}
		w.others = append(w.others, w.cur)
		w.cur = w.others[i]
		w.others[i] = w.others[len(w.others)-1]
		w.others = w.others[:len(w.others)-1]
		w.next = w.cur.pc // choose looks again after one instruction
		w.settle()
		return false
	}
	w.cur.pc = pc
	w.fault(-1, "the lanes of the warp are apart (%#x of %#x are here, others wait at %q)", w.cur.mask, need,
		w.where(w.others))
	return false
}

func (w *warp) where(paths []path) string {
	if len(paths) == 0 {
		return ""
	}
	return text(w.prog.code[paths[0].pc].src)
}
