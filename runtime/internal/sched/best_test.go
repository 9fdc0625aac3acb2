package sched

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/runtime/internal/sample"
)

// topToy is a toy that keeps its logits to itself and hands out the best.
type topToy struct {
	*toy
	logits  [][]float32
	ran     int
	fewer   int // candidates than usual
	fetched atomic.Int64
}

func (e *topToy) MaxCandidates() int { return toyVocab - 5 - e.fewer }

func (e *topToy) RunTop(ctx context.Context, b *backend.Batch, k int, out []backend.TopLogits) error {
	for len(e.logits) < len(b.LogitRows) {
		e.logits = append(e.logits, make([]float32, toyVocab))
	}
	e.ran++
	if err := e.Run(ctx, b, e.logits[:len(b.LogitRows)]); err != nil {
		return err
	}
	for i := range out {
		row := e.logits[i]
		ids := make([]int32, toyVocab)
		sum := 0.0
		for j := range ids {
			ids[j] = int32(j)
			sum += math.Exp(float64(row[j]))
		}
		slices.SortStableFunc(ids, func(a, b int32) int {
			switch {
			case row[a] > row[b]:
				return -1
			case row[a] < row[b]:
				return 1
			}
			return 0
		})
		o := &out[i]
		o.IDs, o.Logits, o.LogSumExp = append(o.IDs[:0], ids[:k]...), o.Logits[:0], float32(math.Log(sum))
		for _, id := range o.IDs {
			o.Logits = append(o.Logits, row[id])
		}
	}
	return nil
}

func (e *topToy) Full(i int, logits []float32) error {
	e.fetched.Add(1)
	copy(logits, e.logits[i])
	return nil
}

// chooser keeps the better half of what it sees, or looks at all logits.
type chooser struct {
	faulty
	wide bool
	pick int32
}

func (c chooser) Top(uint64) int { return 8 }

func (c chooser) Process(seq uint64, history []int32, logits []float32) (int32, error) {
	ids := make([]int32, len(logits))
	for i := range ids {
		ids[i] = int32(i)
	}
	slices.SortStableFunc(ids, func(a, b int32) int {
		if logits[a] > logits[b] {
			return -1
		} else if logits[a] < logits[b] {
			return 1
		}
		return 0
	})
	keep := 4
	if c.wide {
		keep = 6
	}
	for _, id := range ids[keep:] {
		logits[id] = float32(math.Inf(-1))
	}
	return c.pick, nil
}

func (c chooser) ProcessTop(seq uint64, history []int32, vocab int, ids []int32, logits []float32, all func() ([]float32, error)) (int, int32, error) {
	if c.at == "ProcessTop" {
		return 0, -1, errors.New("out of order")
	}
	if c.wide {
		row, err := all()
		if err != nil {
			return 0, -1, err
		}
		pick, err := c.Process(seq, history, row)
		return -1, pick, err
	}
	return 4, c.pick, nil
}

// TestBestLogitsChooseAlike runs requests of every kind together on an executable
// that hands out the best logits only, and on one that hands out all.
func TestBestLogitsChooseAlike(t *testing.T) {
	params := []sample.Params{
		{}, {Temperature: 1, TopK: 3, Seed: 4}, {Temperature: 1, TopK: 40, Seed: 5}, {Temperature: 0.3, MinP: 0.4, Seed: 6},
		{Temperature: 1, Seed: 7}, {RepetitionPenalty: 1.5, TopK: 2, Temperature: 2}, {Bias: map[int32]float32{3: 5}},
		{Logprobs: true, TopLogprobs: 2}, {RepetitionPenalty: 0.5},
	}
	procs := [][]Processor{nil, {chooser{pick: -1}}, {chooser{pick: -1, wide: true}}, {chooser{pick: 3}}, {chooser{pick: -1}, chooser{pick: -1, wide: true}}}
	run := func(t *testing.T, best bool) (answers [][]int32, e *topToy) {
		s, _ := start(t, toyLimits(), func(base *toy, c *Config) {
			e = &topToy{toy: base}
			if best {
				c.Exec = e
			}
		})
		var all []*Request
		for i, p := range params {
			for j, list := range procs {
				r := &Request{Cache: &Cache{}, Prompt: prompt(5+i, j), MaxTokens: 12, Sample: p, Processors: list}
				if err := s.Submit(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				all = append(all, r)
			}
		}
		for _, r := range all {
			answers = append(answers, drain(r))
			if _, _, err := r.Ended(); err != nil {
				t.Fatal(err)
			}
		}
		return answers, e
	}
	bubble(t, func(t *testing.T) {
		want, _ := run(t, false)
		got, e := run(t, true)
		for i := range want {
			if !slices.Equal(got[i], want[i]) {
				t.Errorf("settings %d, processors %d: %v, want %v", i/len(procs), i%len(procs), got[i], want[i])
			}
		}
		if n := e.fetched.Load(); e.ran == 0 || n == 0 || n >= int64(len(want)*12) {
			t.Errorf("%d rows fetched whole in %d runs", n, e.ran)
		}
	})
}

// TestLogprobsOfAnyToken asks for the log-probability of tokens that are not among
// the best: a draw from all, a processor's pick.
func TestLogprobsOfAnyToken(t *testing.T) {
	any := sample.Params{Temperature: 30, MinP: 1e-6, Seed: 4, Logprobs: true, TopLogprobs: 2}
	events := func(t *testing.T, best bool, p sample.Params, list []Processor) (all []Event) {
		s, _ := start(t, toyLimits(), func(base *toy, c *Config) {
			if best {
				c.Exec = &topToy{toy: base}
			}
		})
		r := &Request{Cache: &Cache{}, Prompt: prompt(9, 1), MaxTokens: 50, Sample: p, Processors: list}
		if err := s.Submit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		for e, ok := r.Next(); ok; e, ok = r.Next() {
			all = append(all, e)
		}
		if _, _, err := r.Ended(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	bubble(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			params sample.Params
			list   []Processor
		}{
			"drawn":  {any, nil},
			"picked": {sample.Params{Logprobs: true}, []Processor{chooser{pick: 3}}},
			"wide":   {any, []Processor{chooser{pick: -1, wide: true}}},
		} {
			want, got := events(t, false, c.params, c.list), events(t, true, c.params, c.list)
			for i := range want {
				if got[i].ID != want[i].ID || math.Abs(got[i].Logprob-want[i].Logprob) > 1e-5 || len(got[i].Top) != len(want[i].Top) {
					t.Errorf("%s: token %d is %+v, want %+v", name, i, got[i], want[i])
				}
			}
		}
	})
}

// TestNoCandidates has an executable that picks none, of so large a vocabulary.
func TestNoCandidates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := start(t, toyLimits(), func(base *toy, c *Config) { c.Exec = &topToy{toy: base, fewer: toyVocab - 5} })
		r := &Request{Cache: &Cache{}, Prompt: prompt(9, 1), MaxTokens: 20}
		if err := s.Submit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if got := drain(r); !slices.Equal(got, alone(r.Prompt, 20, r.Sample, nil)) {
			_, _, err := r.Ended()
			t.Errorf("%v, %v", got, err)
		}
	})
}

// TestNobodyWantsTheBest has the device pick candidates for nobody.
func TestNobodyWantsTheBest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var e *topToy
		s, _ := start(t, toyLimits(), func(base *toy, c *Config) { e = &topToy{toy: base}; c.Exec = e })
		r := &Request{Cache: &Cache{}, Prompt: prompt(9, 1), MaxTokens: 20, Sample: sample.Params{Temperature: 1, TopP: 0.9, Seed: 2}}
		if err := s.Submit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if got := drain(r); !slices.Equal(got, alone(r.Prompt, 20, r.Sample, nil)) || e.ran != 0 || e.fetched.Load() != 0 {
			t.Errorf("%v; %d runs for candidates, %d rows fetched", got, e.ran, e.fetched.Load())
		}
	})
}

// constant always has the same best tokens, and allocates nothing.
type constant struct{ *toy }

func (constant) Run(context.Context, *backend.Batch, [][]float32) error { return nil }
func (constant) MaxCandidates() int                                     { return 9 }
func (constant) Full(_ int, logits []float32) error                     { clear(logits); return nil }

func (constant) RunTop(_ context.Context, _ *backend.Batch, k int, out []backend.TopLogits) error {
	for i := range out {
		o := &out[i]
		o.IDs, o.Logits = o.IDs[:0], o.Logits[:0]
		for j := range k {
			o.IDs, o.Logits = append(o.IDs, int32(j)), append(o.Logits, -float32(j))
		}
	}
	return nil
}

// keeper keeps four tokens, every third time of all.
type keeper struct{ faulty }

func (keeper) Top(uint64) int { return 8 }

func (keeper) ProcessTop(_ uint64, history []int32, _ int, _ []int32, _ []float32, all func() ([]float32, error)) (int, int32, error) {
	if len(history)%3 == 0 {
		_, err := all()
		return -1, -1, err
	}
	return 4, -1, nil
}

// TestBestAllocatesNothing counts over a thousand tokens of every kind of choice.
func TestBestAllocatesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		params sample.Params
		list   []Processor
	}{
		"greedy":    {},
		"top-k":     {params: sample.Params{Temperature: 1, TopK: 5, RepetitionPenalty: 1.1}},
		"all":       {params: sample.Params{Temperature: 3, MinP: 0.001, Logprobs: true}},
		"processor": {list: []Processor{keeper{}}},
	} {
		lim := backend.Limits{MaxRows: 64, MaxSeqs: 4, MaxLogit: 8, Pages: 32}
		s, _ := start(t, lim, func(base *toy, c *Config) { c.Exec = constant{base} })
		r := &Request{Cache: &Cache{}, Prompt: prompt(6, 1), MaxTokens: 2000, Sample: c.params, Processors: c.list}
		if err := s.Submit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		next := func() {
			if _, ok := r.Next(); !ok {
				t.Fatal(r.Ended())
			}
		}
		for range 100 {
			next()
		}
		if n := testing.AllocsPerRun(1000, next); n != 0 {
			t.Errorf("%s: %v allocations a token", name, n)
		}
		r.Cancel()
		drain(r)
	}
}

// TestScoringBesideBestLogits needs all logits of all its rows.
func TestScoringBesideBestLogits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := start(t, toyLimits(), func(base *toy, c *Config) { c.Exec = &topToy{toy: base} })
		plain := &Request{Cache: &Cache{}, Prompt: prompt(9, 1), MaxTokens: 20}
		rows := 0
		score := &Request{Cache: &Cache{}, Prompt: prompt(30, 2), Score: func(pos int, logits []float32) error {
			if pos != rows || len(logits) != toyVocab {
				return fmt.Errorf("position %d of %d logits", pos, len(logits))
			}
			rows++
			return nil
		}}
		for _, r := range []*Request{plain, score} {
			if err := s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		if got := drain(plain); !slices.Equal(got, alone(plain.Prompt, 20, plain.Sample, nil)) {
			t.Errorf("%v", got)
		}
		drain(score)
		if _, _, err := score.Ended(); err != nil || rows != 30 {
			t.Errorf("%d rows, %v", rows, err)
		}
	})
}

// TestChooserFailsAlone is TestFailingProcessorFailsAlone for ProcessTop.
func TestChooserFailsAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := start(t, toyLimits(), func(base *toy, c *Config) { c.Exec = &topToy{toy: base} })
		good := &Request{Cache: &Cache{}, Prompt: prompt(9, 1), MaxTokens: 20}
		bad := &Request{Cache: &Cache{}, Prompt: prompt(9, 1), MaxTokens: 20, Processors: []Processor{chooser{faulty: faulty{"ProcessTop"}}}}
		far := &Request{Cache: &Cache{}, Prompt: prompt(9, 1), MaxTokens: 20, Processors: []Processor{chooser{pick: toyVocab}}}
		for _, r := range []*Request{good, bad, far} {
			if err := s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		if got := drain(good); !slices.Equal(got, alone(good.Prompt, 20, good.Sample, nil)) {
			t.Errorf("%v", got)
		}
		for _, r := range []*Request{bad, far} {
			drain(r)
			if _, _, err := r.Ended(); err == nil {
				t.Error("a broken processor went unnoticed")
			}
		}
	})
}
