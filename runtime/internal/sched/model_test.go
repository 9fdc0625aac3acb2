package sched

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/runtime/internal/sample"
)

// TestAnyScheduleGivesTheAnswersOfRunsAlone drives a scheduler with a small cache
// by random conversations: requests, slow readers, cancellations, forks,
// rollbacks, scoring runs, failing processors. Whatever the schedule was, every
// token must be that of a run alone, and the books must balance.
func TestAnyScheduleGivesTheAnswersOfRunsAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, anySchedule) // TB alone: a bubble has no Deadline
	})
}

// FuzzSchedule is the same with schedules that coverage guides.
func FuzzSchedule(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		bubble(t, func(t *testing.T) { rapid.MakeFuzz(anySchedule)(t, data) })
	})
}

func anySchedule(t *rapid.T) {
	w := newWorld(t)
	defer w.close()
	t.Repeat(map[string]func(*rapid.T){
		"submit": w.submit, "score": w.score, "read": w.read, "drain": w.drain,
		"cancel": w.cancel, "fork": w.fork, "release": w.release, "": w.check,
	})
}

// world is a scheduler and some conversations with it.
type world struct {
	t     *rapid.T
	s     *Scheduler
	e     *toy
	chats []*chat
}

// chat is one conversation, the way a session holds it.
type chat struct {
	cache     *Cache
	ids       []int32
	r         *Request // in progress, nil for none
	end       context.CancelFunc
	cancelled bool
	got, want []int32
	fails     bool // its processor will fail
	scored    int
}

func newWorld(t *rapid.T) *world {
	lim := backend.Limits{
		MaxRows: rapid.IntRange(1, 80).Draw(t, "rows"), MaxSeqs: rapid.IntRange(1, 5).Draw(t, "seqs"),
		MaxLogit: rapid.IntRange(1, 6).Draw(t, "logits"), Pages: rapid.IntRange(2, 10).Draw(t, "pages"),
	}
	w := &world{t: t, e: newToy(lim)}
	w.s = New(Config{Exec: w.e, Limits: lim, Vocab: toyVocab, MaxQueue: 3})
	for range 6 {
		w.chats = append(w.chats, &chat{cache: &Cache{}})
	}
	return w
}

func (w *world) close() {
	w.s.Close()
	for _, c := range w.chats {
		if c.r != nil {
			w.finish(w.t, c, drain(c.r))
		}
	}
	if w.e.bad != nil {
		w.t.Fatalf("a batch no backend would take: %v", w.e.bad)
	}
}

// pick chooses a conversation that is, or is not, in progress; nil if there is none.
func (w *world) pick(t *rapid.T, busy bool) *chat {
	var some []*chat
	for _, c := range w.chats {
		if (c.r != nil) == busy {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[rapid.IntRange(0, len(some)-1).Draw(t, "chat")]
}

// grow changes a conversation: it may forget its end, and has something new.
func (c *chat) grow(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "rollback") == 0 {
		c.ids = c.ids[:rapid.IntRange(0, len(c.ids)).Draw(t, "keep")]
	}
	n := rapid.IntRange(0, 150).Draw(t, "new")
	if len(c.ids) == 0 {
		n = max(n, 1)
	}
	c.ids = slices.Clip(append(c.ids[:len(c.ids):len(c.ids)], prompt(n, rapid.IntRange(0, 3).Draw(t, "salt"))...))
}

func (w *world) submit(t *rapid.T) {
	c := w.pick(t, false)
	if c == nil {
		return
	}
	c.grow(t)
	r := &Request{Cache: c.cache, Prompt: c.ids, MaxTokens: rapid.IntRange(1, 70).Draw(t, "tokens")}
	r.Sample = sample.Params{Temperature: rapid.SampledFrom([]float64{0, 1, 3}).Draw(t, "temperature"), Seed: 5}
	if stop := rapid.Int32Range(0, 3*toyVocab).Draw(t, "stop"); stop < toyVocab {
		r.Stop = func(id int32) bool { return id == stop }
	}
	if rapid.IntRange(0, 2).Draw(t, "slides") == 0 {
		r.Room = len(c.ids) + rapid.IntRange(1, 40).Draw(t, "room")
	}
	c.want, c.fails = aloneIn(r.Room, c.ids, r.MaxTokens, r.Sample, r.Stop), false
	switch rapid.IntRange(0, 9).Draw(t, "processor") {
	case 0:
		at := rapid.SampledFrom([]string{"OpenSeq", "Frame", "Process", "Accept"}).Draw(t, "fails")
		r.Processors, c.want, c.fails = []Processor{faulty{at}}, nil, true
	case 1:
		r.Processors = []Processor{&witness{t: t, ids: c.ids, room: r.Room}}
	}
	w.start(t, c, r)
}

func (w *world) score(t *rapid.T) {
	c := w.pick(t, false)
	if c == nil {
		return
	}
	c.grow(t)
	c.want, c.fails, c.scored = nil, false, 0
	ids := c.ids
	w.start(t, c, &Request{Cache: c.cache, Prompt: ids, Score: func(pos int, logits []float32) error {
		var h uint64
		for _, id := range ids[:pos+1] {
			h = toyMix(h, id)
		}
		want := make([]float32, toyVocab)
		toyLogits(h, want)
		if pos != c.scored || !slices.Equal(logits, want) {
			return fmt.Errorf("position %d after %d: logits %v, want %v", pos, c.scored, logits, want)
		}
		c.scored++
		return nil
	}})
}

func (w *world) start(t *rapid.T, c *chat, r *Request) {
	ctx, cancel := context.WithCancel(context.Background())
	err := w.s.Submit(ctx, r)
	switch needs := (r.positions() + backend.PageTokens - 1) / backend.PageTokens; {
	case err == nil && needs <= w.e.lim.Pages:
		c.r, c.end, c.cancelled, c.got = r, cancel, false, nil
		if rapid.IntRange(0, 5).Draw(t, "at once") == 0 { // before the scheduler looks
			c.cancelled = true
			cancel()
		}
		return
	case errors.Is(err, ErrCacheFull) && needs > w.e.lim.Pages, errors.Is(err, ErrQueueFull):
	default:
		t.Fatalf("Submit: %v", err)
	}
	cancel()
}

// read takes a few tokens that are there already.
func (w *world) read(t *rapid.T) {
	c := w.pick(t, true)
	if c == nil {
		return
	}
	for range rapid.IntRange(1, 5).Draw(t, "tokens") {
		synctest.Wait()
		if len(c.r.out) == 0 {
			return
		}
		e, _ := c.r.Next()
		c.got = append(c.got, e.ID)
	}
}

// drain reads a conversation, and everyone it may wait for, to the end.
func (w *world) drain(t *rapid.T) {
	c := w.pick(t, true)
	for c != nil {
		synctest.Wait()
		progress := false
		for _, other := range w.chats {
			if r := other.r; r != nil {
				select {
				case e, ok := <-r.out:
					progress = true
					if !ok {
						w.finish(t, other, nil)
						break
					}
					r.wake()
					other.got = append(other.got, e.ID)
				default:
				}
			}
		}
		if c.r == nil {
			return
		}
		if !progress {
			t.Fatalf("nothing moves: %+v", w.s.Load())
		}
	}
}

func (w *world) cancel(t *rapid.T) {
	c := w.pick(t, true)
	if c == nil {
		return
	}
	c.cancelled = true
	if rapid.Bool().Draw(t, "own context") {
		c.end()
	} else {
		c.r.Cancel()
	}
	if rapid.Bool().Draw(t, "and leave") {
		w.finish(t, c, drain(c.r))
	}
}

// finish compares an ended request with the same alone.
func (w *world) finish(t *rapid.T, c *chat, rest []int32) {
	reason, stats, err := c.r.Ended()
	got := append(c.got, rest...)
	c.end()
	r := c.r
	c.r = nil
	switch {
	case errors.Is(err, ErrClosed), c.cancelled && errors.Is(err, context.Canceled), c.fails && err != nil:
		if reason != ReasonError || len(got) > len(c.want) || !slices.Equal(got, c.want[:len(got)]) {
			t.Fatalf("ended early (%v): %v, alone %v", err, got, c.want)
		}
	case err != nil:
		t.Fatalf("ended with %v", err)
	case r.Score != nil:
		if c.scored != len(r.Prompt) {
			t.Fatalf("%d of %d positions scored", c.scored, len(r.Prompt))
		}
	case !slices.Equal(got, c.want):
		t.Fatalf("%v, alone %v", got, c.want)
	case (reason == ReasonStop) != (r.Stop != nil && r.Stop(r.IDs()[len(r.IDs())-1])):
		t.Fatalf("reason %d for %v", reason, got)
	}
	if err == nil && stats.Prompt != len(r.Prompt) {
		t.Fatalf("%+v", stats)
	}
	c.ids = append(c.ids, got...)
}

func (w *world) fork(t *rapid.T) {
	src, dst := w.pick(t, false), w.pick(t, false)
	if src == dst { // or none
		return
	}
	w.s.Release(dst.cache)
	dst.cache = &Cache{}
	if err := w.s.Fork(dst.cache, src.cache); err != nil {
		t.Fatal(err)
	}
	dst.ids = slices.Clone(src.ids)
}

func (w *world) release(t *rapid.T) {
	if c := w.pick(t, false); c != nil {
		w.s.Release(c.cache)
		c.ids = nil
	}
}

// check waits until nothing moves and audits the books.
func (w *world) check(t *rapid.T) {
	synctest.Wait()
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	held := map[int32]bool{}
	for _, c := range w.chats {
		for _, p := range c.cache.table.Pages {
			held[p] = true
		}
		if _, idle := s.idle[c.cache]; c.r == nil && idle != (c.cache.table.Len > 0) {
			t.Fatalf("a cache of %d positions: idle %v", c.cache.table.Len, idle)
		}
	}
	if len(held)+s.pool.Free() != s.pool.Pages() {
		t.Fatalf("%d pages held, %d free, of %d", len(held), s.pool.Free(), s.pool.Pages())
	}
	for _, r := range s.active {
		if len(r.out) < cap(r.out) {
			t.Fatalf("a request stands still though its reader has room: %d of %d ids run", r.done, len(r.ids))
		}
	}
	if len(s.queue) > 0 && len(s.active) == 0 {
		t.Fatalf("%d requests wait for nobody", len(s.queue))
	}
	if s.running != len(s.active) || len(s.active) > s.cfg.Limits.MaxSeqs {
		t.Fatalf("%d active, %d booked", len(s.active), s.running)
	}
}

// witness is a processor that checks what it is told, and changes nothing.
type witness struct {
	t    *rapid.T
	ids  []int32 // of the sequence so far
	room int     // as Request.Room
	open bool
	due  bool // Accept comes next
}

func (p *witness) Name() string { return "witness" }

func (p *witness) OpenSeq(uint64, []byte) error {
	p.ids, p.open = slices.Clone(p.ids), true
	return nil
}

func (p *witness) Process(_ uint64, history []int32, logits []float32) (int32, error) {
	if len(p.ids) == p.room {
		p.ids = append(p.ids[:1:1], p.ids[1+p.room/2:]...)
	}
	if !p.open || p.due || !slices.Equal(history, p.ids) || len(logits) != toyVocab {
		return -1, fmt.Errorf("open %v, due %v, history %v after %v", p.open, p.due, history, p.ids)
	}
	p.due = true
	return -1, nil
}

func (p *witness) Accept(_ uint64, ids []int32) error {
	if !p.open || !p.due || len(ids) != 1 {
		return fmt.Errorf("open %v, due %v, accepted %v", p.open, p.due, ids)
	}
	p.ids, p.due = append(p.ids, ids...), false
	return nil
}

func (p *witness) CloseSeq(uint64) {
	if !p.open {
		p.t.Errorf("closed twice, or never opened")
	}
	p.open = false
}
