package sched

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/runtime/internal/sample"
)

// nudger moves logits by a hash of the history and of what it accepted. It checks the
// order of its calls, and counts rows by call.
type nudger struct {
	salt    int32
	state   map[uint64]*nudged
	picks   bool         // every fifth token
	refuse  int          // length of the history at which it fails, 0 for never
	calls   int          // of ProcessRows
	rows    int          // by them
	singles int          // of Process
	planned int          // rows
	inPlan  atomic.Int32 // 1 while Plan runs
	bad     atomic.Pointer[string]
}

type nudged struct {
	accepted []int32
	due      bool
	act      uint8
}

func (p *nudger) complain(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	p.bad.CompareAndSwap(nil, &s)
}

func (p *nudger) Name() string { return "nudger" }

func (p *nudger) OpenSeq(seq uint64, _ []byte) error {
	if p.state == nil {
		p.state = map[uint64]*nudged{}
	}
	if p.state[seq] != nil || p.inPlan.Load() != 0 {
		p.complain("opened twice, or while planning")
	}
	p.state[seq] = &nudged{}
	return nil
}

func (p *nudger) Process(seq uint64, history []int32, logits []float32) (int32, error) {
	p.singles++
	return p.one(seq, history, logits)
}

func (p *nudger) one(seq uint64, history []int32, logits []float32) (int32, error) {
	st := p.state[seq]
	if st == nil || st.due || p.inPlan.Load() != 0 || !slices.Equal(history[len(history)-len(st.accepted):], st.accepted) {
		p.complain("out of order: %+v, history %v", st, history)
		return -1, nil
	}
	st.due, st.act = true, 0
	if len(history) == p.refuse {
		return -1, errors.New("no more")
	}
	h := uint64(p.salt)
	for _, id := range history {
		h = toyMix(h, id)
	}
	if p.picks && len(st.accepted)%5 == 4 {
		return int32(h % toyVocab), nil
	}
	for i := range logits {
		logits[i] += float32(toyMix(h, int32(i))%300) / 100
	}
	st.act = uint8(2 + h%4)
	return -1, nil
}

func (p *nudger) Accept(seq uint64, ids []int32) error {
	st := p.state[seq]
	if st == nil || p.inPlan.Load() != 0 || len(ids) != 1 {
		p.complain("accept out of order: %+v", st)
		return nil
	}
	st.due = false
	st.accepted = append(st.accepted, ids...)
	return nil
}

func (p *nudger) CloseSeq(seq uint64) {
	if p.state[seq] == nil || p.inPlan.Load() != 0 {
		p.complain("closed out of order")
	}
	delete(p.state, seq)
}

func (p *nudger) LastAction(seq uint64) uint8 { return p.state[seq].act }

// batchNudger takes several rows and plans.
type batchNudger struct{ nudger }

func (p *batchNudger) ProcessRows(seqs []uint64, histories [][]int32, logits [][]float32, picks []int32, errs []error) {
	p.calls++
	p.rows += len(seqs)
	if len(histories) != len(seqs) || len(logits) != len(seqs) || len(picks) != len(seqs) || len(errs) != len(seqs) {
		p.complain("%d sequences, %d histories", len(seqs), len(histories))
	}
	for i := range seqs {
		if slices.Contains(seqs[:i], seqs[i]) {
			p.complain("a sequence twice in a call")
		}
		picks[i], errs[i] = p.one(seqs[i], histories[i], logits[i])
	}
}

func (p *batchNudger) Plan(seqs []uint64, histories [][]int32) {
	p.inPlan.Store(1)
	for i := range seqs {
		st := p.state[seqs[i]]
		if st == nil || st.due || slices.Contains(seqs[:i], seqs[i]) || !slices.Equal(histories[i][len(histories[i])-len(st.accepted):], st.accepted) {
			p.complain("planned out of order: %+v", st)
		}
	}
	p.planned += len(seqs)
	runtime.Gosched()
	p.inPlan.Store(0)
}

// TestRowsTogetherAsAlone runs requests with any chains of processors that take
// several rows and of such that do not, and each of them alone with twins that take
// a row at a time: same answers, and the same word on who did what.
func TestRowsTogetherAsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type event struct {
			id   int32
			acts string
		}
		n := rapid.IntRange(2, 6).Draw(t, "requests")
		chains := make([][]int, n) // indices into the processors
		for i := range chains {
			chains[i] = rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 0, 5, rapid.ID[int]).Draw(t, "chain")
		}
		prompts, seed := make([][]int32, n), rapid.Uint64Range(0, 9).Draw(t, "seed")
		for i := range prompts {
			prompts[i] = prompt(rapid.IntRange(1, 90).Draw(t, "prompt"), i)
		}
		refuse := rapid.IntRange(0, 80).Draw(t, "refuse")
		run := func(batch bool, list []int) (got [][]event) {
			var all [6]Processor
			for i := range all {
				both := &batchNudger{nudger: nudger{salt: int32(i), picks: i == 4}}
				if i == 5 {
					both.refuse = refuse
				}
				if all[i] = &both.nudger; batch && (i%2 == 0 || i == 3) {
					all[i] = both
				}
			}
			lim := toyLimits()
			lim.MaxSeqs = 6
			lim.Pages = 24
			e := newToy(lim)
			s := New(Config{Exec: e, Limits: lim, Vocab: toyVocab})
			defer s.Close()
			var requests []*Request
			for _, i := range list {
				r := &Request{Cache: &Cache{}, Prompt: prompts[i], MaxTokens: 25, Sample: sample.Params{Temperature: 1, Seed: seed}}
				for _, k := range chains[i] {
					r.Processors = append(r.Processors, all[k])
				}
				if err := s.Submit(context.Background(), r); err != nil {
					t.Fatal(err)
				}
				requests = append(requests, r)
			}
			for _, r := range requests {
				var events []event
				for e, ok := r.Next(); ok; e, ok = r.Next() {
					events = append(events, event{e.ID, fmt.Sprint(e.Acts)})
				}
				got = append(got, events)
			}
			for i, p := range all {
				n, _ := p.(*nudger)
				if b, ok := p.(*batchNudger); ok {
					n = &b.nudger
				}
				if msg := n.bad.Load(); msg != nil {
					t.Fatalf("processor %d: %s", i, *msg)
				}
				if len(n.state) != 0 {
					t.Fatalf("processor %d: %d sequences left open", i, len(n.state))
				}
			}
			return got
		}
		var everyone []int
		for i := range chains {
			everyone = append(everyone, i)
		}
		together := run(true, everyone)
		for i := range chains {
			if alone := run(false, []int{i}); !slices.Equal(together[i], alone[0]) {
				t.Fatalf("request %d with %v:\n%v, alone\n%v", i, chains[i], together[i], alone[0])
			}
		}
	})
}

// TestRowsGoTogether counts calls: sequences that decode side by side share them,
// also where one's chain is longer.
func TestRowsGoTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		shared, first := &batchNudger{}, &batchNudger{nudger: nudger{salt: 1}}
		s, _ := start(t, toyLimits(), nil)
		var all []*Request
		for i := range 4 {
			r := &Request{Cache: &Cache{}, Prompt: prompt(5, i), MaxTokens: 40, Processors: []Processor{shared}}
			if i > 1 {
				r.Processors = []Processor{&nudger{}, first, shared}
			}
			if err := s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		for i := range 40 {
			for _, r := range all {
				if _, ok := r.Next(); !ok {
					t.Fatal(i, r.err)
				}
			}
		}
		for _, r := range all {
			drain(r)
		}
		if shared.calls < 35 || shared.rows < 4*35 || first.rows < 2*35 || shared.singles > 10 {
			t.Errorf("%d rows in %d calls and %d singles; %d rows in %d calls", shared.rows, shared.calls, shared.singles, first.rows, first.calls)
		}
		if shared.planned < 4*39 || first.planned < 2*39 {
			t.Errorf("%d and %d rows planned", shared.planned, first.planned)
		}
		if shared.bad.Load() != nil || first.bad.Load() != nil {
			t.Error(shared.bad.Load(), first.bad.Load())
		}
	})
}

// TestFailingRowFailsAlone has one row of a call fail.
func TestFailingRowFailsAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &batchNudger{nudger: nudger{refuse: 25}}
		s, _ := start(t, toyLimits(), nil)
		run := func(lens ...int) (got [][]int32, errs []error) {
			var all []*Request
			for _, n := range lens {
				r := &Request{Cache: &Cache{}, Prompt: prompt(n, n), MaxTokens: 10, Processors: []Processor{p}}
				if err := s.Submit(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				all = append(all, r)
			}
			for _, r := range all {
				got = append(got, drain(r))
				_, _, err := r.Ended()
				errs = append(errs, err)
			}
			return got, errs
		}
		got, errs := run(30, 20, 40)
		for i, n := range []int{30, 20, 40} {
			alone, _ := run(n)
			if !slices.Equal(got[i], alone[0]) || (errs[i] != nil) != (n == 20) {
				t.Errorf("prompt of %d: %v, %v; alone %v", n, got[i], errs[i], alone[0])
			}
		}
		if len(got[1]) != 5 || p.calls == 0 {
			t.Errorf("%d tokens, %d calls", len(got[1]), p.calls)
		}
	})
}

// loose cannot be compared with ==.
type loose struct {
	*batchNudger
	_ []int
}

// TestProcessorsThatCannotBeCompared get a row at a time.
func TestProcessorsThatCannotBeCompared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := start(t, toyLimits(), nil)
		p := &batchNudger{}
		var all []*Request
		for i := range 3 {
			r := &Request{Cache: &Cache{}, Prompt: prompt(5, i), MaxTokens: 10, Processors: []Processor{loose{batchNudger: p}}}
			if err := s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		for _, r := range all {
			if got := drain(r); len(got) != 10 {
				_, _, err := r.Ended()
				t.Errorf("%v, %v", got, err)
			}
		}
		if p.calls != 0 || p.singles != 30 || p.bad.Load() != nil {
			t.Errorf("%d calls, %d single rows", p.calls, p.singles)
		}
	})
}

// idler does nothing, a row at a time.
type idler struct{ name string }

func (p *idler) Name() string                                    { return p.name }
func (*idler) OpenSeq(uint64, []byte) error                      { return nil }
func (*idler) Process(uint64, []int32, []float32) (int32, error) { return -1, nil }
func (*idler) Accept(uint64, []int32) error                      { return nil }
func (*idler) CloseSeq(uint64)                                   {}

// still takes several rows, plans and says what it does, and allocates nothing.
type still struct{ idler }

func (*still) ProcessRows(_ []uint64, _ [][]int32, logits [][]float32, picks []int32, errs []error) {
	for i, row := range logits {
		row[3], picks[i], errs[i] = 9, -1, nil
	}
}
func (*still) Plan([]uint64, [][]int32) {}
func (*still) LastAction(uint64) uint8  { return 5 }

// instant runs every batch at once.
type instant struct{ *toy }

func (instant) Run(_ context.Context, _ *backend.Batch, logits [][]float32) error {
	for _, row := range logits {
		clear(row)
	}
	return nil
}

// TestRowsTogetherAllocateNothing counts over a thousand steps of three sequences.
func TestRowsTogetherAllocateNothing(t *testing.T) {
	lim := backend.Limits{MaxRows: 64, MaxSeqs: 4, MaxLogit: 8, Pages: 128}
	s, _ := start(t, lim, func(base *toy, c *Config) { c.Exec = instant{base} })
	one, two := &still{}, &still{}
	var all []*Request
	for i := range 3 {
		r := &Request{Cache: &Cache{}, Prompt: prompt(6, i), MaxTokens: 2000, Processors: []Processor{one, &idler{}, two}}
		if err := s.Submit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	next := func() {
		for _, r := range all {
			if e, ok := r.Next(); !ok || len(e.Acts) != 3 || e.Acts[0] != 5 || e.Acts[1] != 0 {
				t.Fatal(e, r.err)
			}
		}
	}
	for range 100 {
		next()
	}
	if n := testing.AllocsPerRun(1000, next); n != 0 {
		t.Errorf("%v allocations for three tokens", n)
	}
	for _, r := range all {
		r.Cancel()
		drain(r)
	}
}
