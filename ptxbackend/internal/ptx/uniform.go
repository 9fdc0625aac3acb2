package ptx

// spread says how a value differs among the threads of a block.
type spread uint8

const (
	lanes spread = 1 << iota // among the lanes of a warp
	warps                    // among the warps, in a given lane
)

// uniform is what is known of how threads differ: each instruction's guard, and
// the conditions under which blocks are executed, those of the branches by.
type uniform struct {
	guards  []spread // of instructions
	control []spread // of blocks
	by      [][2]int // the branch that brought lanes, and the one that brought warps

	regs []spread   // here
	out  [][]spread // at the end of each block, nil before it is known
	tid  []bool     // registers that hold %tid.x but for multiples of 32
}

// uniformity finds what depends on the thread, following the registers along all
// paths. Memory is taken to hold, at one address, the same for all. Of %tid >> 5,
// %tid & 31 and the like it knows what they drop.
func (v *verifier) uniformity(g *graph) *uniform {
	n := len(g.blocks)
	u := &uniform{guards: make([]spread, len(v.k.Body)), control: make([]spread, n), by: make([][2]int, n),
		regs: make([]spread, len(v.k.Regs)+1), out: make([][]spread, n), tid: v.threadNumbers()}
	seen := make([]spread, n) // of branches whose consequences are drawn
	for range maxPasses {
		changed := false
		for _, n := range g.order {
			changed = v.spreadBlock(g, u, n) || changed
			end := g.blocks[n].end - 1
			if fresh := u.guards[end] &^ seen[n]; fresh != 0 && g.forks(n, &v.k.Body[end]) {
				seen[n] |= fresh
				changed = true
				u.within(g.between(n), fresh, end)
			}
		}
		if !changed {
			break
		}
	}
	return u
}

// spreadBlock follows the registers through a block, and says whether the outcome
// is new.
func (v *verifier) spreadBlock(g *graph, u *uniform, n int) bool {
	b := &g.blocks[n]
	clear(u.regs)
	for _, p := range b.prev {
		for r, s := range u.out[p] {
			u.regs[r] |= s
		}
	}
	for i := b.first; i < b.end; i++ {
		f := v.forms[i]
		if f == nil {
			continue
		}
		in := &v.k.Body[i]
		u.guards[i] |= u.regs[in.Guard.Num]
		if len(f.defs) == 0 {
			continue
		}
		l := v.result(i, f, u) | u.control[n]
		for _, r := range f.defs {
			if !in.Guard.IsZero() { // it may keep the value it has
				u.regs[r.Num] |= l
			} else {
				u.regs[r.Num] = l
			}
		}
	}
	if u.out[n] == nil {
		u.out[n] = make([]spread, len(u.regs))
	}
	changed := false
	for r, s := range u.regs {
		if s&^u.out[n][r] != 0 {
			u.out[n][r] |= s
			changed = true
		}
	}
	return changed
}

// forks reports whether threads can go different ways at the end of a block.
func (g *graph) forks(n int, last *Instr) bool {
	b := &g.blocks[n]
	return !last.Guard.IsZero() && (len(b.next) > 1 || b.exits)
}

// within notes that blocks are executed under a condition that differs in s.
func (u *uniform) within(blocks []int, s spread, branch int) {
	for _, n := range blocks {
		if s&^u.control[n]&lanes != 0 {
			u.by[n][0] = branch
		}
		if s&^u.control[n]&warps != 0 {
			u.by[n][1] = branch
		}
		u.control[n] |= s
	}
}

// threadNumbers finds the registers that hold %tid.x, and nothing else, but for
// multiples of 32 added.
func (v *verifier) threadNumbers() []bool {
	count := v.definitions()
	is := make([]bool, len(v.k.Regs)+1)
	for i, f := range v.forms {
		if f == nil || len(f.defs) != 1 || count[f.defs[0].Num] != 1 {
			continue
		}
		a := v.k.Body[i].Args
		switch f.parts[0] {
		case "mov":
			is[f.defs[0].Num] = a[1].Sym == "%tid.x" || a[1].Kind == ArgReg && is[a[1].Reg.Num]
		case "add", "sub":
			is[f.defs[0].Num] = a[1].Kind == ArgReg && is[a[1].Reg.Num] && a[2].Kind == ArgImm && a[2].Imm%32 == 0
		}
	}
	return is
}

// definitions counts the instructions that write each register, up to 2.
func (v *verifier) definitions() []uint8 {
	count := make([]uint8, len(v.k.Regs)+1)
	for _, f := range v.forms {
		if f != nil {
			for _, r := range f.defs {
				count[r.Num] = min(count[r.Num]+1, 2)
			}
		}
	}
	return count
}

// result is what the results of an instruction differ in.
func (v *verifier) result(i int, f *form, u *uniform) spread {
	in := &v.k.Body[i]
	var l spread
	for _, r := range f.uses {
		l |= u.regs[r.Num]
	}
	switch f.parts[0] {
	case "mov":
		if in.Args[1].Kind == ArgSpecial {
			l = specialSpread(in.Args[1].Sym)
		}
	case "atom", "mbarrier":
		l = lanes | warps
	case "mma", "ldmatrix", "movmatrix", "wgmma":
		l |= lanes
	case "ld":
		if f.space == Local {
			l = lanes | warps
		}
	case "vote", "redux", "match", "activemask":
		l &^= lanes
	case "bar", "barrier":
		l = 0
	case "shfl":
		// One lane's value is the warp's, and so is what exchanges with all the others
		// (bfly) make in the end.
		lane := in.Args[2]
		if f.has("bfly") || f.has("idx") && (lane.Kind == ArgImm || u.regs[lane.Reg.Num]&lanes == 0) {
			l &^= lanes
		}
	default:
		l &^= u.drops(in, f)
	}
	return l | u.regs[in.Guard.Num]
}

// specialSpread is what a special register differs in.
func specialSpread(name string) spread {
	switch name {
	case "%warpid":
		return warps
	case "%laneid", "%lanemask_eq", "%lanemask_le", "%lanemask_lt", "%lanemask_ge", "%lanemask_gt":
		return lanes
	case "%tid.x", "%tid.y", "%tid.z", "%clock", "%clock_hi", "%clock64", "%globaltimer", "%globaltimer_lo", "%globaltimer_hi":
		return lanes | warps
	}
	return 0
}

// drops is what an instruction with a constant takes away from a value like %tid:
// the low 5 bits are the lane, the others the warp.
func (u *uniform) drops(in *Instr, f *form) spread {
	if len(in.Args) < 3 || in.Args[2].Kind != ArgImm {
		return 0
	}
	n := int64(in.Args[2].Imm)
	tid := u.tid[in.Args[1].Reg.Num]
	switch f.parts[0] {
	case "shr", "bfe":
		if n >= 5 {
			return lanes
		}
	case "div":
		if n > 0 && n%32 == 0 {
			return lanes
		}
	case "rem":
		if n > 0 && 32%n == 0 && tid {
			return warps
		}
	case "and":
		switch {
		case n&31 == 0:
			return lanes
		case n&^31 == 0 && tid:
			return warps
		}
	case "setp":
		switch f.parts[1] {
		case "lt", "ge", "lo", "hs":
			if n%32 == 0 && tid {
				return lanes
			}
		case "le", "gt", "ls", "hi":
			if n%32 == 31 && tid {
				return lanes
			}
		}
	}
	return 0
}

// together reports barriers and other instructions that a block, or a warp,
// executes as one, under conditions that differ among its threads.
func (v *verifier) together(g *graph, u *uniform) {
	for _, n := range g.order {
		for i := g.blocks[n].first; i < g.blocks[n].end; i++ {
			f := v.forms[i]
			if f == nil {
				continue
			}
			in := &v.k.Body[i]
			who := unison(in, f)
			if bad := u.guards[i] & who; bad != 0 {
				v.add(in, "%s execute it together, and its guard %s", whom(who), dependsOn(bad))
			} else if bad := u.control[n] & who; bad != 0 {
				by := &v.k.Body[u.by[n][1]]
				if bad&lanes != 0 {
					by = &v.k.Body[u.by[n][0]]
				}
				v.add(in, "%s execute it together, and the branch at %s (%v) %s", whom(who), by.Where, by, dependsOn(bad))
			}
		}
	}
}

func whom(who spread) string {
	if who&warps != 0 {
		return "all threads of a block"
	}
	return "all threads of a warp"
}

func dependsOn(s spread) string {
	if s&lanes != 0 {
		return "depends on the thread"
	}
	return "depends on the warp"
}

// unison is what the conditions may not differ in under which an instruction is
// executed.
func unison(in *Instr, f *form) spread {
	p := f.parts
	full := func(mask Arg) spread {
		if mask.Kind == ArgImm && uint32(mask.Imm) == 0xFFFFFFFF {
			return lanes
		}
		return 0
	}
	switch p[0] {
	case "bar", "barrier":
		switch {
		case p[1] == "warp":
			return full(in.Args[0])
		case p[1] == "cluster" || p[1] == "red" || len(in.Args) < 2:
			return lanes | warps
		case p[0] == "bar" || f.has("aligned"):
			return lanes
		}
		return 0
	case "shfl", "vote", "match", "redux":
		return full(in.Args[len(in.Args)-1])
	}
	if f.has("aligned") {
		return lanes
	}
	return 0
}
