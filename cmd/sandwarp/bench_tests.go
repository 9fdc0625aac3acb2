package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

// benchTest is one thing to measure, and its samples.
type benchTest struct {
	name      string
	sequences int // decoded together; 0 of a test that is no decoding
	depth     int // tokens in the cache before it begins
	batch     bool
	run       func(ctx context.Context, m *sandwarp.Model) (sample float64, err error) // tokens a second; seconds of load
	samples   []float64
	limits    []limits // of each sample, the larger of before and after
	measured  []limits // all measurements
}

// tests are what the flags ask for.
func (b *bencher) tests(batches []int, threads int) (tests []benchTest) {
	deep := ""
	if b.depth > 0 {
		deep = fmt.Sprintf("@d%d", b.depth)
	}
	if b.load {
		tests = append(tests, benchTest{name: "load", run: func(ctx context.Context, _ *sandwarp.Model) (float64, error) {
			return b.loadTime(ctx, threads)
		}})
	}
	if b.prompt > 0 {
		tests = append(tests, benchTest{name: fmt.Sprintf("pp%d", b.prompt) + deep, depth: b.depth, run: func(ctx context.Context, m *sandwarp.Model) (float64, error) {
			s, err := benchAnswer(ctx, m, b.depth, b.prompt, 1)
			return s.PrefillRate(), err
		}})
	}
	if b.tokens > 0 {
		tests = append(tests, benchTest{name: fmt.Sprintf("tg%d", b.tokens) + deep, depth: b.depth, sequences: 1, run: func(ctx context.Context, m *sandwarp.Model) (float64, error) {
			s, err := benchAnswer(ctx, m, b.depth, 1, b.tokens+1)
			return s.DecodeRate(), err
		}})
	}
	for _, n := range batches {
		tests = append(tests, benchTest{name: fmt.Sprintf("tg%dx%d", b.tokens, n), sequences: n, batch: true, run: func(ctx context.Context, m *sandwarp.Model) (float64, error) {
			return batchRate(ctx, m, n, b.tokens)
		}})
	}
	return tests
}

// add files a sample with the limits measured before and after it.
func (t *benchTest) add(sample float64, before, after limits) {
	t.samples = append(t.samples, sample)
	t.limits = append(t.limits, before.larger(after))
	t.measured = append(t.measured, before, after)
}

// result fills in what the samples come to. all are the tests of the same run.
func (t *benchTest) result(r benchResult, info sandwarp.Info, all []benchTest) benchResult {
	r.Test, r.Sequences, r.Depth, r.Samples = t.name, t.sequences, t.depth, t.samples
	if t.name == "load" {
		r.Seconds = median(t.samples)
		return r
	}
	r.Rate = median(t.samples)
	if t.batch {
		one := all[slices.IndexFunc(all, func(o benchTest) bool { return o.batch && o.sequences == 1 })]
		r.Gain = t.over(func(i int) float64 { return t.samples[i] / one.samples[i] })
	}
	t.limit(&r)
	// A step reads every weight once, for all its rows.
	bytes, ops := float64(info.StepBytes)/float64(max(t.sequences, 1)), 2*float64(info.StepWeights)
	if t.sequences == 0 { // a prompt, of which only the last token makes logits
		ops = 2 * float64(info.PromptWeights)
	}
	reached := func(per float64, of func(limits) float64) float64 {
		return t.over(func(i int) float64 {
			if l := of(t.limits[i]); l > 0 {
				return t.samples[i] * per / l
			}
			return 0
		})
	}
	r.VNNIShare = reached(ops, func(l limits) float64 { return l.cpu.IntPeak })
	r.MatrixShare = reached(ops, func(l limits) float64 { return l.flop })
	if t.sequences > 0 {
		r.ReadShare = reached(bytes, func(l limits) float64 { return l.cpu.ReadBandwidth })
		r.CopyShare = reached(bytes, func(l limits) float64 { return l.copy })
	}
	return r
}

// over is the median of f over the samples.
func (t *benchTest) over(f func(i int) float64) float64 {
	v := make([]float64, len(t.samples))
	for i := range v {
		v[i] = f(i)
	}
	return median(v)
}

// limit files the limits: medians, and how far the measurements were apart.
func (t *benchTest) limit(r *benchResult) {
	pick := func(f func(limits) float64) (mid, low, high float64) {
		mid = t.over(func(i int) float64 { return f(t.limits[i]) })
		for i, l := range t.measured {
			if v := f(l); i == 0 || v < low {
				low = v
			}
			high = max(high, f(l))
		}
		return mid, low, high
	}
	r.ReadBandwidth, r.ReadMin, r.ReadMax = pick(func(l limits) float64 { return l.cpu.ReadBandwidth })
	r.IntPeak, r.IntMin, r.IntMax = pick(func(l limits) float64 { return l.cpu.IntPeak })
	r.FloatPeak, _, _ = pick(func(l limits) float64 { return l.cpu.FloatPeak })
	r.CopyBandwidth, _, _ = pick(func(l limits) float64 { return l.copy })
	r.MatrixPeak, _, _ = pick(func(l limits) float64 { return l.flop })
}

// loadTime is the seconds from the beginning of Open to the first token.
func (b *bencher) loadTime(ctx context.Context, threads int) (float64, error) {
	began := time.Now()
	m, err := b.open(ctx, threads, nil)
	if err != nil {
		return 0, err
	}
	_, err = benchAnswer(ctx, m, 0, 1, 1)
	took := time.Since(began)
	return took.Seconds(), errors.Join(err, m.Close())
}

// benchAnswer runs a prompt and generates an answer, in a conversation that has
// depth tokens already; the statistics are those of the last turn.
func benchAnswer(ctx context.Context, m *sandwarp.Model, depth, prompt, answer int) (sandwarp.Stats, error) {
	s := m.NewSession()
	defer s.Close()
	for _, turn := range [][2]int{{depth, 1}, {prompt, answer}} {
		if turn[0] == 0 {
			continue
		}
		o := sandwarp.GenerateOptions{MaxTokens: turn[1], IgnoreEOS: true}
		for _, err := range s.GenerateTokens(ctx, benchPrompt(m, 11, turn[0]), o) {
			if err != nil {
				return sandwarp.Stats{}, err
			}
		}
	}
	return s.Stats(), nil
}

// benchPrompt is n ids, another text for another start.
func benchPrompt(m *sandwarp.Model, start, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((i*7919 + start) % m.Info().Vocabulary)
	}
	return ids
}

// batchRate decodes n tokens of several sequences together and returns tokens a
// second in all, over the time in which all of them were decoding.
func batchRate(ctx context.Context, m *sandwarp.Model, sequences, n int) (float64, error) {
	times := make([][]time.Time, sequences) // of each token
	errs := make([]error, sequences)
	var wg sync.WaitGroup
	for i := range sequences {
		wg.Go(func() { times[i], errs[i] = tokenTimes(ctx, m, 11+13*i, n+1) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	return together(times), nil
}

// tokenTimes says when each of n generated tokens came.
func tokenTimes(ctx context.Context, m *sandwarp.Model, start, n int) ([]time.Time, error) {
	s := m.NewSession()
	defer s.Close()
	times := make([]time.Time, 0, n)
	o := sandwarp.GenerateOptions{MaxTokens: n, IgnoreEOS: true}
	for _, err := range s.GenerateTokens(ctx, benchPrompt(m, start, 1), o) {
		if err != nil {
			return nil, err
		}
		times = append(times, time.Now())
	}
	return times, nil
}

// together is tokens a second between the moment when the last sequence had begun
// and the one when the first had ended. Where they met for less than half of their
// tokens, as those of a tiny model do, it is over the whole time of all.
func together(times [][]time.Time) float64 {
	lastBegun, firstEnded := times[0][0], times[0][len(times[0])-1]
	firstBegun, lastEnded, all := lastBegun, firstEnded, 0
	for _, t := range times {
		begun, ended := t[0], t[len(t)-1]
		lastBegun, firstBegun = later(lastBegun, begun), earlier(firstBegun, begun)
		lastEnded, firstEnded = later(lastEnded, ended), earlier(firstEnded, ended)
		all += len(t) - 1
	}
	met := 0
	for _, t := range times {
		for _, at := range t {
			if at.After(lastBegun) && !at.After(firstEnded) {
				met++
			}
		}
	}
	if 2*met < all {
		return rate(all, lastEnded.Sub(firstBegun))
	}
	return rate(met, firstEnded.Sub(lastBegun))
}

func rate(n int, d time.Duration) float64 { return float64(n) / max(d, 1).Seconds() }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}
