package ptx

// block is a run of instructions that are executed one after the other.
type block struct {
	first, end int   // Body[first:end]
	next, prev []int // blocks
	exits      bool  // threads can end here
	after      int   // the first block that every path from here passes: its immediate post-dominator; -1 for the end
}

// graph is a kernel's flow of control. Block 0 is entered first.
type graph struct {
	blocks []block
	order  []int // the blocks that can be reached, each after one that leads to it where possible (reverse postorder)
}

// newGraph cuts a body whose labels and instructions have been checked into blocks.
func newGraph(body []Instr, labels map[string]int) *graph {
	g := &graph{}
	at := make([]int, len(body)+1) // the block of each leader
	leader := make([]bool, len(body)+1)
	for i := range body {
		if body[i].Label != "" {
			leader[i] = true
		}
		switch root(body[i].Op) {
		case "bra", "ret", "exit", "trap":
			leader[i+1] = true
		}
	}
	for i := range body {
		if i == 0 || leader[i] {
			g.blocks = append(g.blocks, block{first: i})
		}
		n := len(g.blocks) - 1
		at[i] = n
		g.blocks[n].end = i + 1
	}
	for n := range g.blocks {
		g.link(n, body, func(label string) int { return at[labels[label]] })
	}
	g.arrange()
	g.postDominators()
	return g
}

// root is the first word of an instruction's name.
func root(op string) string {
	for i := range len(op) {
		if op[i] == '.' {
			return op[:i]
		}
	}
	return op
}

// link finds where block n leads. A trap ends everything, not this thread alone:
// for the order of events it is as if it went on.
func (g *graph) link(n int, body []Instr, target func(string) int) {
	b := &g.blocks[n]
	last := &body[b.end-1]
	falls := true
	switch root(last.Op) {
	case "bra":
		g.edge(n, target(last.Args[0].Sym))
		falls = !last.Guard.IsZero()
	case "ret", "exit":
		b.exits = true
		falls = !last.Guard.IsZero()
	}
	if !falls {
		return
	}
	if n+1 == len(g.blocks) {
		b.exits = true
		return
	}
	g.edge(n, n+1)
}

func (g *graph) edge(from, to int) {
	for _, n := range g.blocks[from].next {
		if n == to {
			return
		}
	}
	g.blocks[from].next = append(g.blocks[from].next, to)
	g.blocks[to].prev = append(g.blocks[to].prev, from)
}

// arrange finds the reverse postorder.
func (g *graph) arrange() {
	if len(g.blocks) == 0 {
		return
	}
	seen := make([]bool, len(g.blocks))
	type place struct{ block, next int }
	stack := []place{{0, 0}}
	seen[0] = true
	var post []int
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if next := g.blocks[top.block].next; top.next < len(next) {
			n := next[top.next]
			top.next++
			if !seen[n] {
				seen[n] = true
				stack = append(stack, place{n, 0})
			}
			continue
		}
		post = append(post, top.block)
		stack = stack[:len(stack)-1]
	}
	for i := len(post) - 1; i >= 0; i-- {
		g.order = append(g.order, post[i])
	}
}

// postDominators finds after for every block. Method: Cooper, Harvey and Kennedy,
// "A Simple, Fast Dominance Algorithm" (2001), on the reversed graph with one more
// block, the end, that all exits lead to; so do blocks that never exit.
func (g *graph) postDominators() {
	n := len(g.blocks)
	end := n
	place, order := g.fromEnd()
	dom := make([]int, n+1)
	for i := range dom {
		dom[i] = -1
	}
	dom[end] = end
	meet := func(a, b int) int {
		for a != b {
			for place[a] > place[b] {
				a = dom[a]
			}
			for place[b] > place[a] {
				b = dom[b]
			}
		}
		return a
	}
	for changed := true; changed; {
		changed = false
		for _, b := range order[1:] {
			d := -1
			if g.blocks[b].exits {
				d = end
			}
			for _, s := range g.blocks[b].next {
				if dom[s] >= 0 && d >= 0 {
					d = meet(s, d)
				} else if dom[s] >= 0 {
					d = s
				}
			}
			if d >= 0 && dom[b] != d {
				dom[b], changed = d, true
			}
		}
	}
	for i := range g.blocks {
		if g.blocks[i].after = dom[i]; dom[i] == end || dom[i] < 0 {
			g.blocks[i].after = -1
		}
	}
}

// fromEnd is the reverse postorder of the reversed graph, the end first, and each
// block's place in it; blocks from which no exit is reached come last.
func (g *graph) fromEnd() (place, order []int) {
	n := len(g.blocks)
	place = make([]int, n+1)
	seen := make([]bool, n+1)
	var post []int
	type step struct{ block, prev int }
	walk := func(start int) {
		stack := []step{{start, 0}}
		seen[start] = true
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if prev := g.blocks[top.block].prev; top.prev < len(prev) {
				p := prev[top.prev]
				top.prev++
				if !seen[p] {
					seen[p] = true
					stack = append(stack, step{p, 0})
				}
				continue
			}
			post = append(post, top.block)
			stack = stack[:len(stack)-1]
		}
	}
	for i := n - 1; i >= 0; i-- {
		if g.blocks[i].exits && !seen[i] {
			walk(i)
		}
	}
	order = []int{n}
	for i := len(post) - 1; i >= 0; i-- {
		order = append(order, post[i])
	}
	for i, b := range order {
		place[b] = i
	}
	return place, order
}

// between are the blocks that some threads execute while others do not, when block
// b ends in a branch they take differently: those from its successors up to where
// all paths meet.
func (g *graph) between(b int) []int {
	seen := map[int]bool{}
	var out []int
	stack := append([]int{}, g.blocks[b].next...)
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if n == g.blocks[b].after || seen[n] {
			continue
		}
		seen[n] = true
		out = append(out, n)
		stack = append(stack, g.blocks[n].next...)
	}
	return out
}
