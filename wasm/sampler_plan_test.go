package wasm

import (
	"math"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// planned is a tally guest that plans with the same code it samples with.
func planned(mode abi.Mode, act []byte) *guestModule {
	g := tally(mode, act)
	g.with(abi.ExportPlan, g.exports[abi.ExportSample])
	g.locals[abi.ExportPlan] = g.locals[abi.ExportSample]
	return g
}

// warm makes the plugin's vocabulary known, as a first token does.
func warm(t *testing.T, p *Plugin, seqs ...uint64) {
	t.Helper()
	for _, err := range newStep(seqs...).run(p).errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// maskTally allows the tally's token, below 32, and token 40.
var maskTally = Cat(LocalGet(2), I32Const(int32(abi.ChoiceMask)), I32Store(rowAction),
	framePtr, framePtr, I32Load(40), I32Add, LocalGet(1), framePtr, I32Load(44), I32Mul, I32Add, LocalSet(3),
	LocalGet(3), I32Const(1), LocalGet(4), Op(0x74), I32Store(0), LocalGet(3), I32Const(256), I32Store(4))

// A planned answer is the answer without the plan, and saves the call.
func TestPlanAnswers(t *testing.T) {
	for name, act := range map[string][]byte{"pick": pickTally, "bias": biasTally, "mask": maskTally} {
		p, plain := planned(abi.ModeMask, act).load(t, Options{}), tally(abi.ModeMask, act).load(t, Options{})
		for _, q := range []*Plugin{p, plain} {
			open(t, q, 1, 2, 3)
			warm(t, q, 1, 2, 3)
			for s := range int32(3) {
				accept(t, q, uint64(s+1), s+1)
			}
		}
		calls := p.Stats().Calls
		got, want := newStep(1, 2, 3), newStep(1, 2, 3).run(plain)
		p.Plan(got.seqs, got.histories)
		other := newStep(2) // another's frame rows are written to meanwhile
		other.histories[0] = []int32{9}
		p.Plan(other.seqs, other.histories)
		got.run(p)
		if !slices.Equal(got.picks, want.picks) {
			t.Errorf("%s: %v, without a plan %v", name, got.picks, want.picks)
		}
		for i := range got.logits {
			if !slices.Equal(got.logits[i], want.logits[i]) || p.LastAction(uint64(i+1)) != plain.LastAction(uint64(i+1)) {
				t.Errorf("%s: row %d differs", name, i)
			}
		}
		// Sequence 2's plan was for another history.
		if s := p.Stats(); s.Planned != 2 || s.Calls != calls+1 || s.Faults != 0 {
			t.Errorf("%s: %+v", name, s)
		}
		newStep(1).run(p)
		if s := p.Stats(); s.Planned != 2 {
			t.Errorf("%s: a plan served twice: %+v", name, s)
		}
	}
}

func TestPlanIsDropped(t *testing.T) {
	p := planned(abi.ModeMask, pickTally).load(t, Options{})
	open(t, p, 1)
	warm(t, p, 1)
	for name, drop := range map[string]func(){
		"accept":   func() { accept(t, p, 1, 3) },
		"rollback": func() { _ = p.Rollback(1, 1) },
		"close":    func() { p.CloseSeq(1); open(t, p, 1) },
	} {
		accept(t, p, 1, 7)
		st := newStep(1)
		p.Plan(st.seqs, st.histories)
		drop()
		before := p.Stats()
		if st.run(p); p.Stats().Planned != before.Planned || p.Stats().Calls != before.Calls+1 {
			t.Errorf("%s: %+v", name, p.Stats())
		}
	}
}

// A plan that fails costs the request nothing, and is not asked for for ever.
func TestBadPlans(t *testing.T) {
	for name, c := range map[string]struct {
		mode abi.Mode
		code []byte
		bad  bool
	}{
		"trap":            {abi.ModeMask, Unreachable, true},
		"endless":         {abi.ModeMask, Cat(Loop(None, Br(0)), I32Const(0)), true},
		"no such token":   {abi.ModeMask, Cat(framePtr, framePtr, I32Load(28), I32Add, I32Const(1), I32Store(rowAction), I32Const(0)), true},
		"edit":            {abi.ModeMask, choose(abi.ChoiceEdit, 0), true},
		"pick when dense": {abi.ModeDense, choose(abi.ChoicePick, 1), true},
		"not planned":     {abi.ModeMask, Cat(choose(abi.ChoicePick, 1), Drop, I32Const(-5)), false},
		"nothing":         {abi.ModeCandidates, I32Const(0), false},
	} {
		g := newGuest(abi.KindSampler, c.mode).with(abi.ExportSample, choose(abi.ChoicePick, 5)).with(abi.ExportPlan, c.code)
		p := g.load(t, Options{OnFault: FailClosed})
		open(t, p, 1, 2)
		const rounds = 8
		for range rounds {
			st := newStep(1)
			p.Plan(st.seqs, st.histories)
			if st.run(p); st.errs[0] != nil || st.picks[0] != 5 {
				t.Fatalf("%s: %d, %v", name, st.picks[0], st.errs[0])
			}
		}
		want := uint64(0)
		if c.bad {
			want = maxRefused
		}
		if s := p.Stats(); s.Faults != want || s.Planned != 0 || s.Calls != rounds {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// A plan sees no logits, wherever they lie.
func TestPlanSeesNoLogits(t *testing.T) {
	sees := Cat(framePtr, I32Load(32), framePtr, I32Load(48), I32Add, If(None, Unreachable),
		framePtr, framePtr, I32Load(28), I32Add, I32Load(24), If(None, Unreachable), I32Const(0))
	for _, mode := range []abi.Mode{abi.ModeDense, abi.ModeCandidates, abi.ModeMask} {
		g := newGuest(abi.KindSampler, mode).with(abi.ExportSample, choose(abi.ChoicePick, 5)).with(abi.ExportPlan, sees)
		p := g.load(t, Options{})
		open(t, p, 1)
		for range 3 {
			st := newStep(1)
			p.Plan(st.seqs, st.histories)
			st.run(p)
		}
		if s := p.Stats(); s.Faults != 0 {
			t.Errorf("%s: %+v", mode, s)
		}
	}
}

func TestPlanOfOtherKinds(t *testing.T) {
	p := newGuest(abi.KindFilter, "").with(abi.ExportPlan, Unreachable).load(t, Options{})
	open(t, p, 1)
	p.Plan([]uint64{1, 77}, [][]int32{nil, nil})
	if s := p.Stats(); s.Faults != 0 {
		t.Errorf("%+v", s)
	}
}

// A mask for a vocabulary that is no multiple of 32 is kept whole.
func TestPlannedMaskEnds(t *testing.T) {
	all := Cat(framePtr, framePtr, I32Load(28), I32Add, I32Const(int32(abi.ChoiceMask)), I32Store(rowAction),
		framePtr, framePtr, I32Load(40), I32Add, I32Const(0x1), I32Store(0),
		framePtr, framePtr, I32Load(40), I32Add, I32Const(0x3f), I32Store(8), I32Const(0))
	p := newGuest(abi.KindSampler, abi.ModeMask).with(abi.ExportSample, all).with(abi.ExportPlan, all).load(t, Options{})
	open(t, p, 1)
	for round := range 2 {
		logits := make([]float32, 70)
		p.Plan([]uint64{1}, [][]int32{{4}})
		if _, err := p.Process(1, []int32{4}, logits); err != nil {
			t.Fatal(err)
		}
		for i, v := range logits {
			if allowed := i == 0 || i >= 64; allowed != !math.IsInf(float64(v), -1) {
				t.Errorf("round %d: logit %d is %v", round, i, v)
			}
		}
	}
	if p.Stats().Planned != 1 {
		t.Errorf("%+v", p.Stats())
	}
}
