package sandwarp

import (
	"context"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/sandwarp/sandwarp/runtime/internal/sample"
	"github.com/sandwarp/sandwarp/runtime/internal/sched"
)

// generation is one answer in the making. It lives on the consumer's goroutine;
// the scheduler's goroutine sends it tokens, at most a few ahead.
type generation struct {
	s      *Session
	ctx    context.Context
	o      *GenerateOptions
	yield  func(Token, error) bool
	out    *output
	ids    []int32 // prompt and answer, as far as yielded
	left   int     // tokens the answer may still have
	chat   bool
	raw    strings.Builder // the answer as the model wrote it, for chat
	broken bool            // the consumer left its loop
	slid   bool            // the oldest part of the sequence was dropped
	chose  choices
	ledger ledger
	stats  Stats
}

// validate checks options against the model.
func (m *Model) validate(o *GenerateOptions) error {
	params := sample.Params(o.SamplingParams)
	if err := params.Validate(m.program.plan.Vocab); err != nil {
		return option("GenerateOptions."+err.Name, "%s", err.Reason)
	}
	if o.MaxTokens < 0 {
		return option("GenerateOptions.MaxTokens", "is %d, want 0 or more", o.MaxTokens)
	}
	for i, p := range o.Processors {
		if p == nil {
			return option("GenerateOptions.Processors", "has nothing at %d", i)
		}
	}
	for i, f := range o.Filters {
		if f == nil {
			return option("GenerateOptions.Filters", "has nothing at %d", i)
		}
	}
	for name := range o.Configs {
		if !o.has(name) {
			return option("GenerateOptions.Configs", "configures %q, which is no processor or filter of the request", name)
		}
	}
	for i, s := range o.Stop {
		if s == "" || !utf8.ValidString(s) {
			return option("GenerateOptions.Stop", "holds %q at index %d, want texts", s, i)
		}
	}
	return nil
}

// has reports whether a processor or filter of the request has a name.
func (o *GenerateOptions) has(name string) bool {
	for _, p := range o.Processors {
		if p.Name() == name {
			return true
		}
	}
	for _, f := range o.Filters {
		if f.Name() == name {
			return true
		}
	}
	return false
}

// run yields the answer.
func (g *generation) run() error {
	if g.left = g.o.MaxTokens; g.left == 0 {
		g.left = math.MaxInt
	}
	defer func() {
		if g.out != nil {
			g.out.close()
		}
	}()
	r := g.request()
	if err := g.s.m.sched.Submit(g.ctx, r); err != nil {
		return err
	}
	reason, err := g.consume(r)
	switch {
	case err != nil || g.broken || g.stats.Finish != FinishNone:
		return err
	case reason == sched.ReasonStop:
		return g.finish(FinishStop)
	case g.left == 0:
		return g.finish(FinishLength)
	}
	return g.finish(FinishContext)
}

// request asks for as many tokens as fit, or for all where the sequence may slide.
func (g *generation) request() *sched.Request {
	m := g.s.m
	r := &sched.Request{
		Cache: g.s.cache, Prompt: g.ids, MaxTokens: min(g.left, m.context-len(g.ids)), Sample: sample.Params(g.o.SamplingParams),
	}
	if g.o.WhenFull == ContextSlide {
		r.MaxTokens, r.Room = g.left, m.context
	}
	if !g.o.IgnoreEOS {
		r.Stop = m.text.isEOG
	}
	for _, p := range g.o.Processors {
		r.Processors = append(r.Processors, p)
		r.Configs = append(r.Configs, g.o.Configs[p.Name()])
	}
	return r
}

// consume yields the tokens of one request and waits for its end.
func (g *generation) consume(r *sched.Request) (sched.Reason, error) {
	defer g.abandon(r) // also if the consumer's loop panics
	if g.out == nil {
		var err error
		if g.out, err = openOutput(g.o, sched.NewID()); err != nil {
			return sched.ReasonError, err
		}
		g.out.dummy = g.s.m.text.startsText(g.ids)
	}
	g.reserve(min(r.MaxTokens, g.s.m.context-len(g.ids)))
	for {
		e, ok := r.Next()
		if !ok {
			reason, _, err := r.Ended()
			return reason, err
		}
		if err := g.token(e); err != nil || g.broken {
			return sched.ReasonError, err
		}
		if g.out.stopped != FinishNone {
			return sched.ReasonStop, g.finish(g.out.stopped)
		}
	}
}

// reserve makes room for the ids to come, so that a token costs no allocation.
func (g *generation) reserve(n int) {
	if free := cap(g.ids) - len(g.ids); free < n {
		g.ids = append(make([]int32, 0, len(g.ids)+n), g.ids...)
	}
}

// token yields one token.
func (g *generation) token(e sched.Event) error {
	if e.Slid {
		g.ids, g.slid = sched.Slid(g.ids), true
	}
	g.ids = append(g.ids, e.ID)
	g.left--
	g.stats.Generated++
	piece := g.s.m.text.piece(e.ID)
	if g.chat {
		g.raw.WriteString(piece)
	}
	text, err := g.out.next(piece)
	if err != nil {
		return err
	}
	t := Token{ID: e.ID, Text: text, Logprob: e.Logprob, TopLogprobs: e.Top, Changes: g.chose.of(e.Acts, g.o.Processors)}
	g.emit(t)
	return nil
}

// emit yields a token, or text that follows the last, and books what was done to it.
func (g *generation) emit(t Token) {
	if len(g.out.marks) > 0 {
		t.Changes = append(t.Changes[:len(t.Changes):len(t.Changes)], g.out.marks...)
	}
	g.ledger.book(t.Changes, t.Text)
	g.broken = !g.yield(t, nil)
}

// abandon cancels a request and waits until the scheduler has let go of it.
func (g *generation) abandon(r *sched.Request) {
	r.Cancel()
	for _, ok := r.Next(); ok; _, ok = r.Next() {
	}
	g.count(r)
}

// finish ends the answer: what was held back is judged and yielded.
func (g *generation) finish(reason FinishReason) error {
	text, err := g.out.end()
	if g.out.stopped != FinishNone {
		reason = g.out.stopped
	}
	g.stats.Finish = reason
	if err == nil && (text != "" || len(g.out.marks) > 0) {
		g.emit(Token{ID: -1, Text: text, Logprob: math.NaN()})
	}
	return err
}

// dropOldest is ids without the n that follow the first.
func dropOldest(ids []int32, n int) []int32 { return append(ids[:1:1], ids[1+n:]...) }

// count takes over the request's measurements.
func (g *generation) count(r *sched.Request) {
	_, st, _ := r.Ended()
	g.stats.Prompt, g.stats.Cached = st.Prompt, st.Cached
	g.stats.Queued, g.stats.Prefill, g.stats.Decode = st.Queued, st.Prefill, st.Decode
}
