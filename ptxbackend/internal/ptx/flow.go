package ptx

import "slices"

// Bounds of what is analysed: far above any kernel.
const (
	maxBlocks = 1 << 15
	maxWords  = 1 << 21 // of sets of registers, for all blocks
	maxPasses = 100     // over a kernel, until what is known of registers is stable
)

// flow checks what depends on the order of execution, once each instruction is
// known to be right by itself.
func (v *verifier) flow() {
	g := newGraph(v.k.Body, v.labels)
	if len(g.blocks) == 0 {
		return
	}
	words := (len(v.k.Regs) + 64) / 64
	if len(g.blocks) > maxBlocks || words*len(g.blocks) > maxWords {
		v.add(nil, "%d blocks and %d registers are too many to check", len(g.blocks), len(v.k.Regs))
		return
	}
	v.usedLabels()
	v.written(g, words)
	v.offsets()
	u := v.uniformity(g)
	v.together(g, u)
	v.gridWait(g, u)
	v.copies(g)
	v.mbarriers()
	v.arrivals()
	v.proxies()
	v.wgmmas(g)
}

// usedLabels reports labels nothing goes to.
func (v *verifier) usedLabels() {
	used := map[string]bool{}
	for i, f := range v.forms {
		if f != nil && f.parts[0] == "bra" {
			used[v.k.Body[i].Args[0].Sym] = true
		}
	}
	for i := range v.k.Body {
		if in := &v.k.Body[i]; in.Label != "" && !used[in.Label] {
			v.add(nil, "%s: nothing goes to label %s", in.Where, in.Label)
		}
	}
}

// set is a set of registers.
type set []uint64

func (s set) has(r int32) bool { return s[r/64]>>(r%64)&1 != 0 }
func (s set) add(r int32)      { s[r/64] |= 1 << (r % 64) }

// written reports registers that are read where nothing can have written them.
func (v *verifier) written(g *graph, words int) {
	defs := make([]set, len(g.blocks)) // written in the block or before it
	for n, b := range g.blocks {
		defs[n] = make(set, words)
		for i := b.first; i < b.end; i++ {
			if f := v.forms[i]; f != nil {
				for _, r := range f.defs {
					defs[n].add(r.Num)
				}
			}
		}
	}
	for changed := true; changed; {
		changed = false
		for _, n := range g.order {
			for _, p := range g.blocks[n].prev {
				for w, bits := range defs[p] {
					if bits&^defs[n][w] != 0 {
						defs[n][w] |= bits
						changed = true
					}
				}
			}
		}
	}
	reported := make(set, words)
	for _, n := range g.order {
		have := make(set, words)
		for _, p := range g.blocks[n].prev {
			for w, bits := range defs[p] {
				have[w] |= bits
			}
		}
		for i := g.blocks[n].first; i < g.blocks[n].end; i++ {
			v.readsOf(i, have, reported)
		}
	}
}

func (v *verifier) readsOf(i int, have, reported set) {
	f := v.forms[i]
	if f == nil {
		return
	}
	for _, r := range f.uses {
		if !have.has(r.Num) && !reported.has(r.Num) {
			reported.add(r.Num)
			v.add(&v.k.Body[i], "%v is read and never written before", r)
		}
	}
	for _, r := range f.defs {
		have.add(r.Num)
	}
}

// offsets checks accesses whose address is known but for where a variable lies:
// registers written once, from a variable's name and constants.
func (v *verifier) offsets() {
	count := v.definitions()
	type place struct {
		x   *Var
		off int64
	}
	known := map[int32]place{}
	for i, f := range v.forms {
		if f == nil {
			continue
		}
		in := &v.k.Body[i]
		o := operands{verifier: v, in: in, form: f}
		for _, a := range in.Args {
			if p, ok := known[a.Reg.Num]; ok && a.Kind == ArgAddr {
				bytes, align := o.access()
				o.within(p.x.Name, p.off+a.Off, bytes, align, p.x.Bytes, p.x.Align)
			}
		}
		if len(f.defs) != 1 || count[f.defs[0].Num] != 1 || !in.Guard.IsZero() {
			continue
		}
		d := f.defs[0].Num
		switch {
		case f.parts[0] == "mov" && in.Args[1].Kind == ArgSym:
			known[d] = place{v.vars[in.Args[1].Sym], 0}
		case f.parts[0] == "add" && in.Args[2].Kind == ArgImm && f.types[0].Bytes() >= 4:
			if p, ok := known[in.Args[1].Reg.Num]; ok && in.Args[1].Kind == ArgReg {
				known[d] = place{p.x, p.off + int64(int32(in.Args[2].Imm))}
			}
		}
	}
}

// gridWait reports kernels in which a block can end without the griddepcontrol.wait
// that others execute: what is launched after it would not wait for what is before.
func (v *verifier) gridWait(g *graph, u *uniform) {
	waits := make([]bool, len(g.blocks))
	any := false
	for n, b := range g.blocks {
		for i := b.first; i < b.end; i++ {
			if v.k.Body[i].Op == "griddepcontrol.wait" {
				waits[n], any = true, true
			}
		}
	}
	seen := make([]bool, len(g.blocks))
	stack := []int{0}
	for any && len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[n] || waits[n] {
			continue
		}
		seen[n] = true
		b := &g.blocks[n]
		last := &v.k.Body[b.end-1]
		if u.guards[b.end-1] != 0 && g.forks(n, last) { // some threads go each way
			inside := g.between(n)
			if slices.ContainsFunc(inside, func(i int) bool { return waits[i] }) {
				continue
			}
			if b.after >= 0 {
				stack = append(stack, b.after)
				continue
			}
		}
		if b.exits {
			v.add(last, "a block can end here without the griddepcontrol.wait that others execute")
			return
		}
		stack = append(stack, b.next...)
	}
}
