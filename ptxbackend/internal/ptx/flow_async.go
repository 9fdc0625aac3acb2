package ptx

// later finds for each block whether an instruction that is says so comes after
// its end on some path.
func (v *verifier) later(g *graph, is func(*form) bool) []bool {
	holds := make([]bool, len(g.blocks))
	for n, b := range g.blocks {
		holds[n] = v.anyOf(b.first, b.end, is)
	}
	after := make([]bool, len(g.blocks))
	for changed := true; changed; {
		changed = false
		for i := len(g.order) - 1; i >= 0; i-- {
			n := g.order[i]
			for _, s := range g.blocks[n].next {
				if !after[n] && (holds[s] || after[s]) {
					after[n], changed = true, true
				}
			}
		}
	}
	return after
}

func (v *verifier) anyOf(first, end int, is func(*form) bool) bool {
	for i := first; i < end; i++ {
		if f := v.forms[i]; f != nil && is(f) {
			return true
		}
	}
	return false
}

// copies reports asynchronous copies after which no group is closed, or waited for.
func (v *verifier) copies(g *graph) {
	op := func(i int, names ...string) func(*form) bool {
		return func(f *form) bool {
			if f.parts[0] != "cp" || len(f.parts) <= i {
				return false
			}
			for _, n := range names {
				if f.parts[i] == n && (i == 3) == (f.parts[2] == "bulk") {
					return true
				}
			}
			return false
		}
	}
	kinds := []struct {
		copy   func(*form) bool
		needs  func(*form) bool
		wanted string
	}{
		{op(2, "ca", "cg"), op(2, "commit_group", "wait_all", "mbarrier"), "cp.async.commit_group, wait_all or mbarrier.arrive"},
		{op(2, "ca", "cg"), op(2, "wait_group", "wait_all", "mbarrier"), "cp.async.wait_group, wait_all or mbarrier.arrive"},
		{op(3, "global"), op(3, "commit_group"), "cp.async.bulk.commit_group"},
		{op(3, "global"), op(3, "wait_group"), "cp.async.bulk.wait_group"},
	}
	for _, k := range kinds {
		after := v.later(g, k.needs)
		for _, n := range g.order {
			b := g.blocks[n]
			for i := b.first; i < b.end; i++ {
				if f := v.forms[i]; f != nil && k.copy(f) && !after[n] && !v.anyOf(i, b.end, k.needs) {
					v.add(&v.k.Body[i], "no %s comes after it", k.wanted)
				}
			}
		}
	}
}

// mbarriers reports barriers in memory that nothing makes or waits for, and copies
// that report to them unannounced.
func (v *verifier) mbarriers() {
	have := map[string]bool{}
	var first, bulk *Instr
	for i, f := range v.forms {
		if f == nil {
			continue
		}
		in := &v.k.Body[i]
		switch f.parts[0] {
		case "mbarrier":
			have[f.parts[1]] = true
			have["expect_tx"] = have["expect_tx"] || f.has("expect_tx")
			if first == nil {
				first = in
			}
		case "fence":
			have["fence"] = have["fence"] || f.has("async") || f.has("mbarrier_init")
		case "cp":
			if f.has("mbarrier::complete_tx::bytes") && bulk == nil {
				bulk = in
			}
		}
	}
	waited := have["test_wait"] || have["try_wait"]
	if first != nil && !have["init"] {
		v.add(first, "no mbarrier.init makes it")
	}
	if bulk == nil {
		return
	}
	switch {
	case !have["init"]:
		v.add(bulk, "no mbarrier.init makes what it reports to")
	case !have["fence"]:
		v.add(bulk, "no fence.mbarrier_init or fence.proxy.async shows it the mbarrier")
	case !have["expect_tx"]:
		v.add(bulk, "no mbarrier.arrive.expect_tx announces its bytes")
	case !waited:
		v.add(bulk, "no mbarrier.try_wait waits for it")
	}
}

// arrivals reports barriers at which threads arrive and none waits.
func (v *verifier) arrivals() {
	waited := map[uint64]bool{}
	any := false // a barrier whose number is in a register
	for i, f := range v.forms {
		if a := v.k.Body[i].Args; f != nil && (f.parts[0] == "bar" || f.parts[0] == "barrier") && f.parts[1] == "sync" {
			waited[a[0].Imm] = true
			any = any || a[0].Kind != ArgImm
		}
	}
	for i, f := range v.forms {
		if a := v.k.Body[i].Args; f != nil && (f.parts[0] == "bar" || f.parts[0] == "barrier") && f.parts[1] == "arrive" &&
			!any && a[0].Kind == ArgImm && !waited[a[0].Imm] {
			v.add(&v.k.Body[i], "no bar.sync waits at barrier %d", a[0].Imm)
		}
	}
}

// proxies reports products of matrices in shared memory that only ordinary writes
// can have brought there, and that no fence shows to wgmma.
func (v *verifier) proxies() {
	var first *Instr
	for i, f := range v.forms {
		switch {
		case f == nil:
		case f.has("proxy") || f.has("bulk"):
			return
		case f.has("mma_async") && first == nil:
			first = &v.k.Body[i]
		}
	}
	if first != nil {
		v.add(first, "no fence.proxy.async shows it what is in shared memory")
	}
}

// The state of a register that wgmma works on; the zero value is one that has been
// written since the last fence.
type wgmmaReg struct {
	fenced bool
	sums   uint8 // 1 + groups closed since a wgmma that writes it was issued, 0 for none under way
	reads  uint8 // likewise, of one that reads it
}

// meet is what is so on both of two paths.
func (r wgmmaReg) meet(o wgmmaReg) wgmmaReg {
	both := func(a, b uint8) uint8 {
		if a == 0 || b == 0 {
			return 0
		}
		return max(a, b)
	}
	return wgmmaReg{r.fenced || o.fenced, both(r.sums, o.sums), both(r.reads, o.reads)}
}

// wgmmas reports, where it is so on every path, registers given to wgmma that were
// written since the last wgmma.fence, and registers that are read or written while
// a wgmma works on them.
func (v *verifier) wgmmas(g *graph) {
	index := map[int32]int{}
	for i, f := range v.forms {
		if f != nil && len(f.parts) > 1 && f.parts[1] == "mma_async" {
			for _, a := range v.k.Body[i].Args[:2] {
				for _, e := range a.List {
					if _, ok := index[e.Reg.Num]; !ok {
						index[e.Reg.Num] = len(index)
					}
				}
			}
		}
	}
	if len(index) == 0 || len(index)*len(g.blocks) > maxWords {
		return
	}
	w := &wgmmaFlow{verifier: v, index: index, out: make([][]wgmmaReg, len(g.blocks))}
	for pass := range maxPasses {
		changed := false
		for _, n := range g.order {
			if w.block(g, n, false) {
				changed = true
			}
		}
		if !changed {
			break
		}
		if pass == maxPasses-1 {
			return
		}
	}
	for _, n := range g.order {
		w.block(g, n, true)
	}
}

type wgmmaFlow struct {
	*verifier
	index map[int32]int // of registers
	out   [][]wgmmaReg  // at the end of each block, nil before it is known
	regs  []wgmmaReg
}

// block follows the registers through a block, and says whether the outcome is new.
func (w *wgmmaFlow) block(g *graph, n int, report bool) bool {
	b := &g.blocks[n]
	w.regs = nil
	for _, p := range b.prev {
		switch {
		case w.out[p] == nil:
		case w.regs == nil:
			w.regs = append([]wgmmaReg{}, w.out[p]...)
		default:
			for i := range w.regs {
				w.regs[i] = w.regs[i].meet(w.out[p][i])
			}
		}
	}
	if w.regs == nil || n == 0 {
		w.regs = make([]wgmmaReg, len(w.index))
	}
	for i := b.first; i < b.end; i++ {
		if f := w.forms[i]; f != nil {
			w.step(&w.k.Body[i], f, report)
		}
	}
	changed := w.out[n] == nil
	for i := range w.regs {
		changed = changed || w.out[n][i] != w.regs[i]
	}
	w.out[n] = w.regs
	return changed
}

func (w *wgmmaFlow) step(in *Instr, f *form, report bool) {
	if f.parts[0] != "wgmma" {
		w.other(in, f, report)
		return
	}
	switch f.parts[1] {
	case "fence":
		for i := range w.regs {
			w.regs[i].fenced = true
		}
	case "commit_group":
		for i := range w.regs {
			r := &w.regs[i]
			r.sums, r.reads = older(r.sums), older(r.reads)
		}
	case "wait_group":
		left := uint8(in.Args[0].Imm)
		for i := range w.regs {
			r := &w.regs[i]
			if r.sums > left+1 {
				r.sums = 0
			}
			if r.reads > left+1 {
				r.reads = 0
			}
		}
	case "mma_async":
		w.mma(in, report)
	}
}

// older counts another group, as far as any wait counts.
func older(n uint8) uint8 {
	if n == 0 || n > 100 {
		return n
	}
	return n + 1
}

func (w *wgmmaFlow) mma(in *Instr, report bool) {
	for which, a := range in.Args[:2] {
		for _, e := range a.List {
			r := &w.regs[w.index[e.Reg.Num]]
			switch {
			case !report:
			case !r.fenced:
				w.add(in, "%v is written, and no wgmma.fence comes between", e.Reg)
				report = false
			case which == 0 && r.reads > 0 || which == 1 && r.sums > 0:
				w.add(in, "%v is in the hands of another wgmma: wait for it first", e.Reg)
				report = false
			}
			if which == 0 {
				r.sums = 1
			} else {
				r.reads = 1
			}
		}
	}
}

// other is an ordinary instruction.
func (w *wgmmaFlow) other(in *Instr, f *form, report bool) {
	for _, u := range f.uses {
		if i, ok := w.index[u.Num]; ok && w.regs[i].sums > 0 && report {
			w.add(in, "%v is still being computed: wgmma.commit_group and wait_group come first", u)
			report = false
		}
	}
	for _, d := range f.defs {
		i, ok := w.index[d.Num]
		if !ok {
			continue
		}
		if (w.regs[i].sums > 0 || w.regs[i].reads > 0) && report {
			w.add(in, "%v is in the hands of a wgmma: wgmma.commit_group and wait_group come first", d)
			report = false
		}
		w.regs[i] = wgmmaReg{}
	}
}
