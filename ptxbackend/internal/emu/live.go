package emu

import "math/bits"

// set is a set of register numbers.
type set []uint64

func (s set) add(r int32)      { s[r/64] |= 1 << (r % 64) }
func (s set) drop(r int32)     { s[r/64] &^= 1 << (r % 64) }
func (s set) has(r int32) bool { return s[r/64]>>(r%64)&1 != 0 }

// liveness is the most 32-bit registers alive at once, which is about what a
// compiler would allocate: the usual backward data flow over the blocks between
// branches. A predicate counts nothing, a 64-bit register twice.
func (p *program) liveness() int {
	starts := p.blockStarts()
	regs := len(p.kernel.Regs) + 1
	in := make([]set, len(starts)) // alive where block i begins
	for i := range in {
		in[i] = make(set, (regs+63)/64)
	}
	blockOf := map[int32]int{}
	for i, s := range starts {
		blockOf[s] = i
	}
	most := 0
	for changed, rounds := true, 0; changed && rounds < 1000; rounds++ {
		changed, most = false, 0
		for i := len(starts) - 1; i >= 0; i-- {
			end := int32(len(p.code))
			if i+1 < len(starts) {
				end = starts[i+1]
			}
			live := make(set, len(in[i]))
			last := &p.code[end-1]
			if last.flow == flowBranch {
				live.join(in[blockOf[last.target]])
			}
			if end < int32(len(p.code)) && (last.flow != flowBranch && last.flow != flowExit || last.guard != noGuard) {
				live.join(in[i+1])
			}
			most = max(most, p.walk(starts[i], end, live))
			if in[i].join(live) {
				changed = true
			}
		}
	}
	return most
}

// blockStarts is where code can be entered.
func (p *program) blockStarts() []int32 {
	mark := make([]bool, len(p.code)+1)
	mark[0] = true
	for i := range p.code {
		if in := &p.code[i]; in.flow == flowBranch || in.flow == flowExit {
			mark[i+1] = true
			if in.flow == flowBranch {
				mark[in.target] = true
			}
		}
	}
	var starts []int32
	for i := range p.code {
		if mark[i] {
			starts = append(starts, int32(i))
		}
	}
	return starts
}

func (s set) join(o set) (grew bool) {
	for i := range o {
		if x := s[i] | o[i]; x != s[i] {
			s[i], grew = x, true
		}
	}
	return grew
}

// walk goes back from end to start with what is alive behind and returns the most
// registers on the way.
func (p *program) walk(start, end int32, live set) int {
	most := p.weigh(live)
	now := most
	for i := end - 1; i >= start; i-- {
		in := &p.code[i]
		if in.guard == noGuard {
			for _, r := range in.defs {
				if live.has(r) {
					live.drop(r)
					now -= p.weight(r)
				}
			}
		}
		for _, read := range [][]int32{in.uses, in.sums} {
			for _, r := range read {
				if !live.has(r) {
					live.add(r)
					now += p.weight(r)
				}
			}
		}
		if now > most {
			most = now
		}
	}
	return most
}

func (p *program) weight(r int32) int { return (p.kernel.Regs[r-1].Bytes() + 3) / 4 }

func (p *program) weigh(s set) (n int) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			n += p.weight(int32(64*i + bits.TrailingZeros64(w)))
		}
	}
	return n
}
