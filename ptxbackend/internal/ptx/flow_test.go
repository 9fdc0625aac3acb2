package ptx

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// What a wgmma works on is left alone until it has been waited for. In the bodies
// MMA is a product with sums in %f0..%f3 and x in registers %r0..%r3, MMD one with
// x in shared memory; ZERO and X write these registers.
func TestVerifyWgmma(t *testing.T) {
	words := strings.NewReplacer(
		"OneX", "mov.b32 %r0, 1;", "OneZ", "mov.f32 %f0, 0.0;",
		"ZERO", "mov.f32 %f0, 0.0; mov.f32 %f1, 0.0; mov.f32 %f2, 0.0; mov.f32 %f3, 0.0;",
		"X", "mov.b32 %r0, 1; mov.b32 %r1, 1; mov.b32 %r2, 1; mov.b32 %r3, 1;",
		"DESC", "mov.b64 %d1, 0; ld.param.u32 %r9, [n]; setp.eq.u32 %p1, %r9, 0;",
		"MMA", "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, %d1, 1, 1, 1, 0;",
		"MMD", "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%f0, %f1, %f2, %f3}, %d1, %d1, %p1, 1, 1, 0, 0;",
		"FENCE", "wgmma.fence.sync.aligned;", "COMMIT", "wgmma.commit_group.sync.aligned;",
		"WAIT0", "wgmma.wait_group.sync.aligned 0;", "WAIT1", "wgmma.wait_group.sync.aligned 1;",
		"STORE", "st.shared.f32 [tile], %f0;")
	checkBody(t, "90a", "8.0", words.Replace("DESC FENCE MMD COMMIT WAIT0 STORE"), "no fence.proxy.async")
	for _, c := range []struct{ body, want string }{
		{"DESC ZERO X FENCE MMA COMMIT WAIT0 STORE", ""},
		{"DESC FENCE MMD COMMIT WAIT0 STORE", ""}, // sums that are not read need no value
		{"DESC ZERO X MMA COMMIT WAIT0 STORE", "%r69 is written, and no wgmma.fence"},
		{"DESC FENCE ZERO X MMA COMMIT WAIT0", "no wgmma.fence comes between"},
		{"DESC ZERO FENCE X MMA COMMIT WAIT0", "%r13 is written, and no wgmma.fence"},
		{"DESC ZERO X FENCE MMA COMMIT STORE", "%r69 is still being computed"},
		{"DESC ZERO X FENCE MMA WAIT0 STORE", "%r69 is still being computed"},
		{"DESC ZERO X FENCE MMA COMMIT WAIT1 STORE", "%r69 is still being computed"},
		{"DESC ZERO X FENCE MMA COMMIT COMMIT WAIT1 STORE", ""},
		{"DESC ZERO X FENCE MMA COMMIT OneX WAIT0", "%r13 is in the hands of a wgmma"},
		{"DESC ZERO X FENCE MMA COMMIT OneZ WAIT0", "%r69 is in the hands of a wgmma"},
		{"DESC ZERO X FENCE MMA MMA COMMIT WAIT0 X FENCE MMA COMMIT WAIT0 STORE", ""},
		// A loop with a group under way from one round to the next.
		{"DESC ZERO X L: FENCE MMA COMMIT WAIT1 mov.u32 %r8, 1; setp.eq.u32 %p2, %r8, 0; @%p2 bra L; WAIT0 STORE", ""},
		{"DESC ZERO X L: FENCE MMA COMMIT WAIT1 mov.u32 %r8, 1; setp.eq.u32 %p2, %r8, 0; @%p2 bra L; STORE", "still being computed"},
		// Where one path waits, it is taken to be the one that needs it.
		{"DESC ZERO X FENCE MMA COMMIT @%p1 bra L; WAIT0 L: STORE", ""},
	} {
		checkBody(t, "90a", "8.0", "fence.proxy.async;"+words.Replace(c.body), c.want)
	}
	for _, c := range []struct{ op, want string }{
		{"m64n8k16.f32.f16.f16 {%f0, %f1, %f2}, %d1, %d1, 1, 1, 1, 0, 0", "a list of 4 registers"},
		{"m64n16k16.f32.f16.f16 {%f0, %f1, %f2, %f3}, %d1, %d1, 1, 1, 1, 0, 0", "a list of 8 registers"},
		{"m64n8k16.f16.f16.f16 {%r10, %r11}, %d1, %d1, 1, 1, 1, 0, 0", ""},
		{"m64n12k16.f32.f16.f16 {%f0, %f1, %f2, %f3}, %d1, %d1, 1, 1, 1, 0, 0", "no .m64n12k16"},
		{"m64n8k16.f32.f16.f16 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, %d1, 1, 1, 1, 0, 0", "8 operands where 7"},
		{"m64n8k16.f32.f16.f16 {%f0, %f1, %f2, %f3}, %d1, %d1, 1, 2, 1, 0, 0", "operand 5 has to be 1 or -1"},
		{"m64n8k16.f32.f16.f16 {%f0, %f1, %f2, %f3}, %d1, %r1, 1, 1, 1, 0, 0", "is of type b32 where b64"},
		{"m64n8k16.f32.f16.bf16 {%f0, %f1, %f2, %f3}, %d1, %d1, 1, 1, 1, 0, 0", "has no .bf16 there"},
	} {
		checkBody(t, "90a", "8.0", "mov.b64 %d1, 0; fence.proxy.async; wgmma.fence.sync.aligned; wgmma.mma_async.sync.aligned."+c.op+"; wgmma.commit_group.sync.aligned;", c.want)
	}
}

// randomGraph makes a flow of n blocks, of which the last exits.
func randomGraph(r *rand.Rand, n int) *graph {
	g := &graph{blocks: make([]block, n)}
	for i := range n {
		if i == n-1 || r.IntN(8) == 0 {
			g.blocks[i].exits = true
		} else {
			g.edge(i, i+1)
		}
		if r.IntN(2) == 0 {
			g.edge(i, r.IntN(n))
		}
	}
	g.arrange()
	g.postDominators()
	return g
}

// exitWithout reports whether an exit is reached from block at without passing cut.
func (g *graph) exitWithout(at, cut int) bool {
	seen := map[int]bool{}
	stack := []int{at}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if n == cut || seen[n] {
			continue
		}
		seen[n] = true
		if g.blocks[n].exits {
			return true
		}
		stack = append(stack, g.blocks[n].next...)
	}
	return false
}

// A block's immediate post-dominator is on every path to an exit, and every other
// block that is so is on all paths from it.
func TestPostDominators(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		g := randomGraph(r, 2+r.IntN(14))
		for b := range g.blocks {
			if !g.exitWithout(b, -1) {
				continue // no way out
			}
			want := -1
			for c := range g.blocks {
				if c == b || g.exitWithout(b, c) || !g.exitWithout(c, -1) {
					continue
				}
				// c is on every path from b; the nearest is the one all others follow.
				if want < 0 || !g.exitWithout(c, want) {
					want = c
				}
			}
			if got := g.blocks[b].after; got != want {
				t.Fatalf("block %d of %+v: after is %d, want %d", b, g.blocks, got, want)
			}
		}
	}
}

// Every mistake is reported, up to the number kept.
func TestVerifyReportsAll(t *testing.T) {
	var body strings.Builder
	for i := range 30 {
		fmt.Fprintf(&body, "bad%d.u32 %%r1;\n", i)
	}
	m, err := Parse("x", ".version 8.0\n.target sm_80\n"+prologue+body.String()+"}")
	if err != nil {
		t.Fatal(err)
	}
	err = Verify(m)
	if n := strings.Count(err.Error(), "unknown instruction"); n != maxErrors {
		t.Errorf("%d mistakes reported, want %d", n, maxErrors)
	}
	if !strings.Contains(err.Error(), "x:8: k: unknown instruction bad0 in bad0.u32 %r14;") {
		t.Errorf("%v", err)
	}
}

func TestVerifyDeclarations(t *testing.T) {
	ret := []Instr{{Op: "ret"}}
	for _, c := range []struct {
		k    Kernel
		want string
	}{
		{Kernel{Name: "k", Threads: 128, MinCTAs: 2}, ""},
		{Kernel{Name: "1k"}, `"1k" is no name of a kernel`},
		{Kernel{Name: "k", Threads: 100}, "blocks of 100 threads"},
		{Kernel{Name: "k", Threads: 2048}, "blocks of 2048 threads"},
		{Kernel{Name: "k", Threads: 64, MaxThreads: 128}, "beside exactly 64"},
		{Kernel{Name: "k", Threads: 1024, MinCTAs: 3}, "3 blocks of 1024 threads do not fit"},
		{Kernel{Name: "k", MinCTAs: 3}, "without the number of threads"},
		{Kernel{Name: "k", Params: []Param{{Name: "p", Type: U32}, {Name: "p", Type: U32}}}, "p is declared twice"},
		{Kernel{Name: "k", Params: []Param{{Name: "p", Type: Pred}}}, "parameter p has type pred"},
		{Kernel{Name: "k", Params: []Param{{Name: "p", Type: U64, Count: 513}}}, "4104 bytes, more than 4096"},
		{Kernel{Name: "k", Vars: []Var{{Name: "s", Space: Shared, Align: 16, Bytes: 48 << 10}}}, ""},
		{Kernel{Name: "k", Vars: []Var{{Name: "s", Space: Shared, Align: 16, Bytes: 48<<10 + 1}}}, "use DynamicShared, up to 232448"},
		{Kernel{Name: "k", Vars: []Var{{Name: "s", Space: Shared, Align: 3, Bytes: 4}}}, "alignment 3"},
		{Kernel{Name: "k", Vars: []Var{{Name: "s", Space: Shared, Align: 4}, {Name: "u", Space: Shared, Align: 4}}}, "s and u are both"},
		{Kernel{Name: "k", Vars: []Var{{Name: "c", Space: Const, Align: 4, Bytes: 2, Init: []byte{1, 2, 3}}}}, "2 bytes and 3 values"},
	} {
		c.k.Body = ret
		err := Verify(&Module{Target: SM80, Kernels: []*Kernel{&c.k}})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: error %v, want %q", c.k, err, c.want)
		}
	}
	a := &Kernel{Name: "a", Body: ret, Vars: []Var{{Name: "d", Space: Shared, Align: 16}}}
	b := &Kernel{Name: "b", Body: ret, Vars: []Var{{Name: "d", Space: Shared, Align: 128}}}
	err := Verify(&Module{Target: SM80, Kernels: []*Kernel{a, b, a}})
	for _, want := range []string{"kernel b: d is declared differently", "two kernels a"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
