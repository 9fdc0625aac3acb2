// Package sched runs many sequences through one executable by continuous
// batching: one goroutine owns the schedule, and in every step it puts one row
// of each decoding sequence and a chunk of each waiting prompt into a batch.
package sched

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/runtime/internal/kv"
	"github.com/sandwarp/sandwarp/runtime/internal/sample"
)

// Errors callers branch on.
var (
	ErrClosed    = errors.New("the model or the session is closed")
	ErrQueueFull = errors.New("too many requests are waiting")
	ErrCacheFull = errors.New("the KV cache is too small for this request")
	ErrBusy      = errors.New("the session is already generating")
)

// mixedRows bounds a batch that holds decoding sequences beside a prompt: a
// longer chunk would make their next token wait for too long. minChunk of a prompt
// is run however many they are.
const mixedRows, minChunk = 128, 32

// runAhead is how many tokens a request may be ahead of its consumer.
const runAhead = 2

// Config sizes a scheduler.
type Config struct {
	Exec   backend.Executable
	Limits backend.Limits
	Vocab  int
	// MaxQueue is the number of requests that may wait, beyond those for which
	// there is a place; 0 for 1,024.
	MaxQueue int
	// Replace, if set, is called when the device of Exec was lost and returns
	// what takes its place, with the same Limits and vocabulary. It runs on the
	// scheduler's goroutine, which uses the old executable no more; ctx ends with
	// Close.
	Replace func(ctx context.Context, lost error) (backend.Executable, error)
}

// Scheduler is safe for concurrent use.
type Scheduler struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc
	woken  chan struct{} // holds one token when there may be something to do
	ended  chan struct{} // closed when the goroutine has returned

	mu      sync.Mutex // guards the rest of this block
	pool    *kv.Pool
	idle    map[*Cache]struct{} // caches with pages and no request
	queue   []*Request
	closed  bool
	lost    error // set for good when weights or device are gone
	clock   uint64
	running int // len(active), for Load

	// The schedule, owned by the goroutine.
	exec   backend.Executable
	best   bestLogits // what exec hands out instead of all logits, if it can
	gone   error      // what a page could not be copied for, if the device is lost
	active []*Request
	batch  backend.Batch
	rows   [][]float32 // logits of each LogitRow
	owners []*Request  // who wants that row
	picked []*Request  // members of the batch, and
	counts []int       // their rows
	score  [][]float32 // lazily made buffers for scoring requests
	held   []bool      // scratch of fitsLocked, by page
	group  group       // scratch of processors that take several rows
	plans  planner
}

// lastID is shared by all schedulers: a processor may serve several models.
var lastID atomic.Uint64

// NewID returns a sequence number nobody else has.
func NewID() uint64 { return lastID.Add(1) }

// New starts a scheduler; Close ends it. At most as many sequences run at once as
// there are rows, and rows of logits, in a batch.
func New(cfg Config) *Scheduler {
	if cfg.MaxQueue == 0 {
		cfg.MaxQueue = 1024
	}
	lim := &cfg.Limits
	lim.MaxSeqs = min(lim.MaxSeqs, lim.MaxRows, lim.MaxLogit)
	ctx, cancel := context.WithCancel(context.Background())
	s := &Scheduler{
		cfg: cfg, ctx: ctx, cancel: cancel,
		woken: make(chan struct{}, 1), ended: make(chan struct{}),
		pool: kv.NewPool(lim.Pages, backend.PageTokens),
		idle: map[*Cache]struct{}{}, held: make([]bool, lim.Pages),
		batch: backend.Batch{
			Tokens: make([]int32, 0, lim.MaxRows), Pos: make([]int32, 0, lim.MaxRows), Seq: make([]int32, 0, lim.MaxRows),
			Tables: make([][]int32, 0, lim.MaxSeqs), LogitRows: make([]int32, 0, lim.MaxLogit),
		},
		rows: make([][]float32, 0, lim.MaxLogit), owners: make([]*Request, 0, lim.MaxLogit),
		picked: make([]*Request, 0, lim.MaxSeqs), counts: make([]int, 0, lim.MaxSeqs),
	}
	s.group.reserve(lim.MaxLogit)
	s.use(cfg.Exec)
	go s.loop()
	return s
}

// Close cancels every request and waits until the goroutine has ended.
func (s *Scheduler) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	<-s.ended
}

// Load is a snapshot of how busy the scheduler is.
type Load struct{ Running, Waiting, FreePages, Pages int }

// Load returns the current load.
func (s *Scheduler) Load() Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Load{Running: s.running, Waiting: len(s.queue), FreePages: s.pool.Free(), Pages: s.pool.Pages()}
}

// Submit queues a request. Its context cancels it at any time.
func (s *Scheduler) Submit(ctx context.Context, r *Request) error {
	if r.Cache == nil || len(r.Prompt) == 0 || (r.MaxTokens < 1 && r.Score == nil) {
		return errors.New("sched: a request needs a cache, a prompt and a positive number of tokens")
	}
	for i, id := range r.Prompt {
		if uint32(id) >= uint32(s.cfg.Vocab) {
			return fmt.Errorf("token id %d at position %d is out of range, the vocabulary has %d tokens", id, i, s.cfg.Vocab)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.lost != nil:
		return s.lost
	case r.Cache.busy:
		return ErrBusy
	case len(s.queue) >= s.cfg.MaxQueue+s.cfg.Limits.MaxSeqs-s.running:
		return ErrQueueFull
	case s.pool.PagesFor(r.positions()) > s.pool.Pages():
		return fmt.Errorf("%w: %d positions wanted, it holds %d", ErrCacheFull, r.positions(), s.pool.Pages()*backend.PageTokens)
	}
	r.id = NewID()
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.out = make(chan Event, runAhead)
	r.wake = s.poke
	r.submitted = time.Now()
	r.Cache.busy = true
	s.queue = append(s.queue, r)
	s.poke()
	unpoke := context.AfterFunc(r.ctx, s.poke)
	unclose := context.AfterFunc(s.ctx, func() { r.cancel(ErrClosed) })
	r.unwatch = func() { unpoke(); unclose() }
	return nil
}

// positions is how many KV positions the request can come to need. The last
// generated id is never run.
func (r *Request) positions() int {
	switch {
	case r.Score != nil:
		return len(r.Prompt)
	case r.slides():
		return r.Room - 1
	}
	return len(r.Prompt) + r.MaxTokens - 1
}

// slides reports whether the answer may become longer than there is room.
func (r *Request) slides() bool { return r.Room > 0 && r.MaxTokens > r.Room-len(r.Prompt) }

// Release forgets what a cache holds. It must not be part of a request.
func (s *Scheduler) Release(c *Cache) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.busy {
		panic("sched: Release of a cache in use")
	}
	s.dropLocked(c)
}

// Fork makes dst, which must be empty, share everything src holds.
func (s *Scheduler) Fork(dst, src *Cache) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if src.busy {
		return ErrBusy
	}
	s.pool.Fork(&dst.table, &src.table)
	dst.ids = append(dst.ids[:0], src.ids...)
	dst.used = src.used
	s.restLocked(dst)
	return nil
}

func (s *Scheduler) dropLocked(c *Cache) {
	s.pool.Truncate(&c.table, 0)
	c.ids = c.ids[:0]
	delete(s.idle, c)
}

// poke makes the goroutine look around if it sleeps.
func (s *Scheduler) poke() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// admit moves waiting requests to the schedule, in order, while there is room.
func (s *Scheduler) admit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 && len(s.active) < s.cfg.Limits.MaxSeqs {
		r := s.queue[0]
		if !s.claimLocked(r) {
			return // wait until a running request gives pages back
		}
		s.queue = slices.Delete(s.queue, 0, 1)
		if !r.waited {
			r.waited, r.admitted = true, time.Now()
		}
		s.active = append(s.active, r)
		s.running = len(s.active)
	}
}

// claimLocked reserves every page the request can come to need, taking them from
// idle caches if it must, so that an admitted request always finishes.
func (s *Scheduler) claimLocked(r *Request) bool {
	c, ids := r.Cache, r.ids
	if !r.waited {
		ids = r.Prompt
	}
	delete(s.idle, c)
	keep := 0
	for keep < c.table.Len && keep < len(ids) && c.ids[keep] == ids[keep] {
		keep++
	}
	if keep == len(ids) {
		keep-- // the last id is run again for its logits
	}
	if r.Score != nil {
		keep = 0
	}
	s.pool.Truncate(&c.table, keep)
	if !s.fitsLocked(r) {
		c.ids = c.ids[:keep]
		s.restLocked(c)
		return false
	}
	for s.pool.Missing(&c.table, r.positions()) > s.pool.Free() {
		oldest := s.oldestIdleLocked()
		if oldest == nil {
			c.ids = c.ids[:keep]
			s.restLocked(c)
			return false
		}
		s.dropLocked(oldest)
	}
	cp, shared, err := s.pool.Reserve(&c.table, r.positions())
	if err == nil && shared {
		err = s.exec.CopyPage(cp.Dst, cp.Src)
	}
	if err != nil {
		r.fail(err)
		if errors.Is(err, backend.ErrDeviceLost) {
			s.gone = err
		}
		keep -= keep % backend.PageTokens // the page holds nothing
		c.table.Len = keep
	}
	c.ids = c.ids[:keep]
	r.done = keep
	if !r.waited {
		r.cached = keep
		r.ids = append(make([]int32, 0, r.positions()+1), r.Prompt...)
	}
	return true
}

// fitsLocked reports whether there are pages enough beside those of the running
// requests, so that no idle cache is dropped in vain.
func (s *Scheduler) fitsLocked(r *Request) bool {
	if len(s.active) == 0 {
		return true // Submit has seen to that
	}
	clear(s.held)
	n := 0
	hold := func(pages []int32) {
		for _, p := range pages {
			if !s.held[p] {
				s.held[p] = true
				n++
			}
		}
	}
	for _, a := range s.active {
		hold(a.Cache.table.Pages)
	}
	hold(r.Cache.table.Pages)
	return n+s.pool.Missing(&r.Cache.table, r.positions()) <= s.pool.Pages()
}

func (s *Scheduler) oldestIdleLocked() (oldest *Cache) {
	for c := range s.idle {
		if oldest == nil || c.used < oldest.used {
			oldest = c
		}
	}
	return oldest
}

// open starts the sampling chain and the processors of a request just admitted.
func (s *Scheduler) open(r *Request) error {
	if r.Score != nil {
		return nil
	}
	r.chain = sample.NewChain(r.Sample, s.cfg.Vocab)
	for i, p := range r.Processors {
		var config []byte
		if i < len(r.Configs) {
			config = r.Configs[i]
		}
		var err error
		if seeded, ok := p.(Seeder); ok {
			err = seeded.OpenSeqSeeded(r.id, r.Sample.Seed, config)
		} else {
			err = p.OpenSeq(r.id, config)
		}
		if err != nil {
			return fmt.Errorf("processor %s: %w", p.Name(), err)
		}
		r.stages = append(r.stages, newStage(p))
		if f, ok := p.(Framer); ok && r.frame == nil {
			r.frame = f
		}
	}
	r.acts = make([]uint8, len(r.stages))
	s.narrow(r)
	return nil
}

// finish takes a request off the schedule and tells its consumer.
func (s *Scheduler) finish(r *Request, reason Reason, err error) {
	r.closeStages()
	if r.err == nil {
		r.err = err
	}
	if r.reason = reason; r.err != nil {
		r.reason = ReasonError
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keepLocked(r)
	s.endLocked(r)
}

// keepLocked leaves in the cache what was run.
func (s *Scheduler) keepLocked(r *Request) {
	c := r.Cache
	c.ids = append(c.ids[:0], r.ids[:r.done]...)
	s.pool.Truncate(&c.table, r.done)
}

// slide makes a sequence that fills its room shorter and has it wait its turn.
func (s *Scheduler) slide(r *Request) {
	i := s.index(r)
	s.active = slices.Delete(s.active, i, i+1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = len(s.active)
	s.keepLocked(r)
	s.clock++
	r.Cache.used = s.clock
	s.restLocked(r.Cache)
	r.ids, r.done, r.slid = Slid(r.ids), 0, true
	s.queue = append(s.queue, r)
}

// endWaiting ends requests that were taken from the queue.
func (s *Scheduler) endWaiting(list []*Request, err error) {
	for _, r := range list {
		r.closeStages()
		if r.err, r.reason = err, ReasonError; err == nil {
			r.err = context.Cause(r.ctx)
		}
		s.mu.Lock()
		s.endLocked(r)
		s.mu.Unlock()
	}
}

// endLocked gives the cache back to its session and closes the request.
func (s *Scheduler) endLocked(r *Request) {
	s.clock++
	r.Cache.used, r.Cache.busy = s.clock, false
	s.restLocked(r.Cache)
	r.ended = time.Now()
	r.unwatch()
	r.cancel(nil)
	close(r.out)
}

// restLocked lists a cache that holds pages as one that can lose them.
func (s *Scheduler) restLocked(c *Cache) {
	if c.table.Len > 0 {
		s.idle[c] = struct{}{}
	}
}
