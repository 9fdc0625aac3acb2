package wasm

import (
	"errors"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// poison is a token after which tally's samplers trap.
const poison = 666

// tallies is where a tally guest keeps a number for each sequence.
const tallies = 32768

// tally is a guest whose choice depends on all tokens accepted: for each sequence it
// keeps the sum of 31 times what was there and the token. act is the code for one row,
// whose address is in local 2, whose logits' address is in local 3, and whose number
// is in local 4.
func tally(mode abi.Mode, act ...[]byte) *guestModule {
	place := func(seq []byte) []byte {
		return Cat(seq, I32Const(63), Op(0x71), I32Const(16), I32Mul, I32Const(tallies), I32Add)
	}
	wrap := Cat(LocalGet(0), Op(0xa7))
	sum := place(Cat(LocalGet(2), I32Load(0)))
	each := func(before []byte, act []byte) []byte {
		return Cat(Loop(None,
			framePtr, framePtr, I32Load(28), I32Add, LocalGet(1), I32Const(128), I32Mul, I32Add, LocalSet(2),
			framePtr, framePtr, I32Load(32), I32Add, LocalGet(1), framePtr, I32Load(36), I32Mul, I32Add, LocalSet(3),
			sum, I32Load(0), LocalSet(4), before, act,
			LocalGet(1), I32Const(1), I32Add, LocalTee(1), LocalGet(0), I32LtU, BrIf(0)), I32Const(0))
	}
	g := newGuest(abi.KindSampler, mode)
	trap := Cat(LocalGet(4), I32Const(poison), I32Eq, If(None, Unreachable))
	g.with(abi.ExportSample, each(trap, Cat(act...)))
	g.locals[abi.ExportSample] = []byte{I32, I32, I32, I32}
	g.with(abi.ExportSeqOpen, place(wrap), I32Const(0), I32Store(0), I32Const(0))
	g.with(abi.ExportAccept, Loop(None,
		place(wrap), place(wrap), I32Load(0), I32Const(31), I32Mul, LocalGet(1), LocalGet(3), I32Const(4), I32Mul, I32Add, I32Load(0), I32Add, I32Store(0),
		LocalGet(3), I32Const(1), I32Add, LocalTee(3), LocalGet(2), I32LtU, BrIf(0)), I32Const(0))
	g.locals[abi.ExportAccept] = []byte{I32}
	return g
}

// pickTally picks the tally, below 1024.
var pickTally = Cat(LocalGet(2), I32Const(int32(abi.ChoicePick)), I32Store(rowAction),
	LocalGet(2), LocalGet(4), I32Const(1023), Op(0x71), I32Store(rowToken))

// editTally writes the tally to logit 7.
var editTally = Cat(LocalGet(2), I32Const(int32(abi.ChoiceEdit)), I32Store(rowAction),
	LocalGet(3), LocalGet(4), Op(0xb2), F32Store(28))

// biasTally lists one token, the tally, at an address of the row's own.
var biasTally = Cat(LocalGet(2), I32Const(int32(abi.ChoiceBias)), I32Store(rowAction),
	LocalGet(1), I32Const(8), I32Mul, I32Const(2048), I32Add, LocalGet(4), I32Const(1023), Op(0x71), I32Store(0),
	LocalGet(1), I32Const(8), I32Mul, I32Const(2048), I32Add, F32Const(0.5), F32Store(4),
	LocalGet(2), LocalGet(1), I32Const(8), I32Mul, I32Const(2048), I32Add, I32Store(68),
	LocalGet(2), I32Const(1), I32Store(72))

// step is a call of ProcessRows and its outcome.
type step struct {
	seqs      []uint64
	histories [][]int32
	logits    [][]float32
	picks     []int32
	errs      []error
}

func newStep(seqs ...uint64) *step {
	st := &step{seqs: seqs, picks: make([]int32, len(seqs)), errs: make([]error, len(seqs))}
	for i := range seqs {
		st.picks[i] = -7
		st.histories = append(st.histories, []int32{1, 2, int32(seqs[i])})
		st.logits = append(st.logits, ramp(2000))
	}
	return st
}

func (st *step) run(p *Plugin) *step {
	p.ProcessRows(st.seqs, st.histories, st.logits, st.picks, st.errs)
	return st
}

func accept(t *testing.T, p *Plugin, seq uint64, tokens ...int32) {
	t.Helper()
	if err := p.Accept(seq, tokens); err != nil {
		t.Fatal(err)
	}
}

func samplers() map[string]func() *guestModule {
	made := func(mode abi.Mode, act []byte) func() *guestModule {
		return func() *guestModule { return tally(mode, act) }
	}
	return map[string]func() *guestModule{
		"mask": made(abi.ModeMask, pickTally), "bias": made(abi.ModeMask, biasTally),
		"candidates": made(abi.ModeCandidates, pickTally),
		"dense":      made(abi.ModeDense, editTally), "dense bias": made(abi.ModeDense, biasTally),
	}
}

// Several rows come out as each alone, in any order, and where one fails the others
// are as if it were not there.
func TestProcessRows(t *testing.T) {
	for name, g := range samplers() {
		for _, policy := range []Policy{FailOpen, FailClosed} {
			for _, framed := range []bool{false, true} {
				alone, p := g().load(t, Options{OnFault: policy}), g().load(t, Options{OnFault: policy})
				seqs := []uint64{1, 2, 3, 4, 5, 6, 7}
				for _, q := range []*Plugin{alone, p} {
					open(t, q, seqs...)
					for _, s := range seqs {
						accept(t, q, s, int32(s), int32(s*s))
					}
					q.CloseSeq(3) // a hole in the dense rows
				}
				accept(t, p, 5, 1)
				p.CloseSeq(5)
				open(t, p, 5)
				accept(t, p, 5, poison) // 31*0 + poison
				st := newStep(7, 1, 5, 2, 4, 6, 3)
				if framed {
					st.place(t, p)
				}
				st.run(p)
				for i, s := range st.seqs {
					want := ramp(2000)
					pick, err := int32(-1), error(nil)
					switch {
					case s != 5 && s != 3:
						pick, err = alone.Process(s, st.histories[i], want)
						if act := p.LastAction(s); act != alone.LastAction(s) || act == 0 {
							t.Errorf("%s: action %d", name, act)
						}
					case s == 5 && p.LastAction(5) != 0:
						t.Errorf("%s: action of a fault", name)
					}
					if st.picks[i] != pick || (s != 5 || policy == FailOpen) && !slices.Equal(st.logits[i], want) {
						t.Errorf("%s, policy %d, framed %v: sequence %d picks %d, alone %d, or other logits", name, policy, framed, s, st.picks[i], pick)
					}
					switch {
					case s == 3 && !errors.Is(st.errs[i], ErrSequence):
						t.Errorf("%s: closed sequence: %v", name, st.errs[i])
					case s == 5 && (st.errs[i] != nil) != (policy == FailClosed):
						t.Errorf("%s, policy %d: guilty one: %v", name, policy, st.errs[i])
					case s != 3 && s != 5 && (st.errs[i] != nil || err != nil):
						t.Errorf("%s: sequence %d: %v", name, s, st.errs[i])
					}
				}
			}
		}
	}
}

// place moves the logits to the frame.
func (st *step) place(t *testing.T, p *Plugin) {
	t.Helper()
	for i, s := range st.seqs {
		if row, err := p.Frame(s, len(st.logits[i])); err == nil {
			copy(row, st.logits[i])
			st.logits[i] = row
		}
	}
}

func TestRowsShareACall(t *testing.T) {
	for name, g := range samplers() {
		p := g().load(t, Options{})
		open(t, p, 1, 2, 3)
		newStep(2, 1, 3).run(p)
		if s := p.Stats(); s.Calls != 1 || s.Rows != 3 || s.Faults != 0 {
			t.Errorf("%s: %+v", name, s)
		}
		twice := newStep(2, 2, 1).run(p)
		if s := p.Stats(); s.Rows != 6 || twice.errs[1] != nil || twice.picks[0] != twice.picks[1] {
			t.Errorf("%s: a sequence listed twice: %+v %v", name, s, twice.picks)
		}
	}
}

func TestOddSteps(t *testing.T) {
	p := tally(abi.ModeMask, pickTally).load(t, Options{})
	newStep().run(p)
	open(t, p, 1)
	st := newStep(1, 9)
	st.logits[0] = nil
	if st.run(p); st.errs[0] == nil || !errors.Is(st.errs[1], ErrSequence) {
		t.Error(st.errs)
	}
	p.Close()
	if st := newStep(1).run(p); !errors.Is(st.errs[0], ErrClosed) || st.picks[0] != -1 {
		t.Error(st.errs)
	}
	f := newGuest(abi.KindFilter, "").load(t, Options{})
	open(t, f, 1)
	if st := newStep(1).run(f); !errors.Is(st.errs[0], ErrKind) {
		t.Error(st.errs)
	}
}

// A plugin that reports an error for one sequence does not fail the others either.
func TestErrorInOneRow(t *testing.T) {
	g := tally(abi.ModeMask, LocalGet(4), I32Const(5), I32Eq, If(None, I32Const(-5), Return), pickTally)
	p := g.load(t, Options{OnFault: FailClosed})
	open(t, p, 1, 2, 3)
	accept(t, p, 2, 5)
	accept(t, p, 3, 8)
	st := newStep(1, 2, 3).run(p)
	var f *Fault
	if st.errs[0] != nil || st.errs[2] != nil || st.picks[2] != 8 || !errors.As(st.errs[1], &f) || f.Reason != ReasonError {
		t.Error(st.errs, st.picks)
	}
}

// What an open dense plugin scribbles without saying so does not come through.
func TestScribblesAreUndone(t *testing.T) {
	nan := Cat(LocalGet(3), F32Const(float32(math.NaN())), F32Store(0))
	for _, policy := range []Policy{FailOpen, FailClosed} {
		p := tally(abi.ModeDense, nan, biasTally).load(t, Options{OnFault: policy})
		open(t, p, 1)
		st := newStep(1)
		st.place(t, p)
		st.run(p)
		if v := st.logits[0][0]; policy == FailOpen && v != 0.5 || policy == FailClosed && st.errs[0] == nil {
			t.Errorf("policy %d: logit %v, %v", policy, v, st.errs[0])
		}
	}
}

func TestProcessRowsAllocatesNothing(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" || racing {
		t.Skip("the interpreter allocates, and so does the race detector")
	}
	for name, g := range samplers() {
		p := g().load(t, Options{})
		seqs := []uint64{1, 2, 3, 4, 5}
		open(t, p, seqs...)
		st := newStep(seqs...).run(p)
		if n := testing.AllocsPerRun(200, func() { st.run(p) }); n != 0 {
			t.Errorf("%s: %v allocations a step", name, n)
		}
	}
}

func TestRollback(t *testing.T) {
	for _, own := range []bool{false, true} {
		g := tally(abi.ModeMask, pickTally)
		if own { // takes back by setting the tally to 1000 + n
			g.with(abi.ExportSeqRollback, I32Const(tallies+16), LocalGet(1), I32Const(900), I32Add, I32Store(0), I32Const(0))
		}
		p := g.load(t, Options{})
		open(t, p, 1)
		warm(t, p, 1)
		accept(t, p, 1, 3, 4)
		accept(t, p, 1, 5)
		if err := p.Rollback(1, 4); err == nil {
			t.Error("took back more than there was")
		}
		if err := p.Rollback(1, 2); err != nil {
			t.Fatal(err)
		}
		want := int32(3)
		if own {
			want = 902
		}
		if st := newStep(1).run(p); st.picks[0] != want {
			t.Errorf("own %v: %d after the rollback, want %d", own, st.picks[0], want)
		}
		accept(t, p, 1, 7)
		if err := p.Rollback(1, 2); err != nil || len(p.seqs[1].accepted) != 0 {
			t.Error(err, p.seqs[1].accepted)
		}
	}
}

// Frames are for one vocabulary: a row of another one is refused, the others are not.
func TestRowsOfTwoVocabularies(t *testing.T) {
	for name, g := range samplers() {
		p := g().load(t, Options{OnFault: FailClosed})
		open(t, p, 1, 2)
		accept(t, p, 1, 90)
		accept(t, p, 2, 90)
		st := newStep(1, 2)
		st.logits[1] = st.logits[1][:50]
		if st.run(p); st.errs[0] != nil || st.errs[1] == nil || st.picks[1] != -1 {
			t.Errorf("%s: %v", name, st.errs)
		}
	}
}

// A sequence whose past could not be told is closed before it is opened again.
func TestPastThatIsRefused(t *testing.T) {
	const calls = 2052
	g := newGuest(abi.KindSampler, abi.ModeMask).
		with(abi.ExportSeqOpen, I32Const(opened), I32Load(0), If(None, I32Const(int32(abi.EBUSY)), Return),
			I32Const(opened), I32Const(1), I32Store(0), I32Const(0)).
		with(abi.ExportSeqClose, I32Const(opened), I32Const(0), I32Store(0), I32Const(0)).
		with(abi.ExportAccept, I32Const(calls), I32Const(calls), I32Load(0), I32Const(1), I32Add, LocalTee(3), I32Store(0),
			LocalGet(3), I32Const(3), I32LtU, If(None, I32Const(int32(abi.EIO)), Return), I32Const(0)).local(abi.ExportAccept, I32)
	p := g.load(t, Options{OnFault: FailClosed})
	open(t, p, 1)
	for token, fails := range []bool{true, true, false, false} {
		if err := p.Accept(1, []int32{int32(token)}); (err != nil) != fails {
			t.Errorf("token %d: %v", token, err)
		}
	}
}
