package sched

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sandwarp/sandwarp/runtime/internal/kv"
	"github.com/sandwarp/sandwarp/runtime/internal/sample"
)

// Processor edits logits or picks a token; see sandwarp.LogitProcessor, which it
// mirrors.
type Processor interface {
	Name() string
	OpenSeq(seq uint64, config []byte) error
	Process(seq uint64, history []int32, logits []float32) (pick int32, err error)
	Accept(seq uint64, tokens []int32) error
	CloseSeq(seq uint64)
}

// Framer is a Processor with memory of its own for the logits.
type Framer interface {
	Processor
	Frame(seq uint64, vocab int) ([]float32, error)
}

// Chooser is a Processor that can do with the most likely tokens; see
// sandwarp.TopProcessor, which it mirrors.
type Chooser interface {
	Processor
	Top(seq uint64) int
	ProcessTop(seq uint64, history []int32, vocab int, ids []int32, logits []float32, all func() ([]float32, error)) (n int, pick int32, err error)
}

// BatchProcessor is a Processor that takes several rows at once; see
// sandwarp.BatchProcessor, which it mirrors, as do those that follow.
type BatchProcessor interface {
	Processor
	ProcessRows(seqs []uint64, histories [][]int32, logits [][]float32, picks []int32, errs []error)
}

// Planner is a Processor that prepares the next choice during the forward pass.
type Planner interface {
	Processor
	Plan(seqs []uint64, histories [][]int32)
}

// Rollbacker is a Processor that can take back what it accepted.
type Rollbacker interface {
	Processor
	Rollback(seq uint64, n int) error
}

// Seeder is a Processor that draws random numbers.
type Seeder interface {
	Processor
	OpenSeqSeeded(seq, seed uint64, config []byte) error
}

// Tracer is a Processor that says what it did.
type Tracer interface {
	Processor
	LastAction(seq uint64) uint8
}

// Cache is what is kept of a sequence between requests: its ids and the KV pages
// that hold their keys and values. An idle cache may lose its pages when others
// need them; the ids are then run again. The zero value is empty.
type Cache struct {
	table kv.Table
	ids   []int32 // ids[i] is stored at position i, for i < table.Len
	used  uint64  // when it was last part of a request, by the scheduler's clock
	busy  bool
}

// Request is one generation. The exported fields are set before Submit and not
// touched afterwards; results are read with Next and, after it returned false,
// from the methods.
type Request struct {
	Cache     *Cache
	Prompt    []int32 // every id of the sequence so far; a prefix of it may be in Cache
	MaxTokens int     // at most this many new ids; at least 1
	// Room, if not 0, is how many ids the sequence may have before it slides: it then
	// goes on, at the end of the queue, with what Slid leaves of it. Its processors
	// stay open.
	Room   int
	Stop   func(id int32) bool
	Sample sample.Params
	// Processors edit the logits in this order; Configs[i] belongs to Processors[i].
	Processors []Processor
	Configs    [][]byte
	// Score, when set, makes the request a scoring run: nothing is generated and
	// Score gets the logits (vocab) of every position of Prompt in order, valid
	// during the call, on the scheduler's goroutine.
	Score func(pos int, logits []float32) error

	id      uint64
	ctx     context.Context
	cancel  context.CancelCauseFunc
	out     chan Event
	wake    func()
	unwatch func() // stop watching ctx and the scheduler's

	// Owned by the scheduler's goroutine until out is closed.
	ids    []int32 // prompt and answer
	done   int     // ids already run
	waited bool    // it was admitted before
	made   int     // ids generated
	slid   bool    // since the last Event
	stages []stage // the processors whose OpenSeq succeeded
	open   bool    // chain and processors are ready
	chain  *sample.Chain
	frame  Framer
	logits []float32
	narrow bool    // the best logits may do
	top    Chooser // the processor, if it is narrow and has one
	all    func() ([]float32, error)
	at     int       // the row all fetches
	wide   []float32 // what it fetched
	chosen [1]int32  // what Accept is shown
	next   int       // the stage that comes next, while a token is being chosen
	pick   int32     // what a stage picked, -1 for nothing
	acts   []uint8   // by stage: what it did about the token being chosen
	told   []uint8   // the acts last sent to the consumer
	reason Reason
	err    error
	cached int          // ids found in Cache
	read   int          // events the consumer took; its own
	shown  atomic.Int64 // read + 1 when it cancelled, 0 before
	// When the request was submitted, admitted, had its first token, and ended;
	// zero if it never came to that.
	submitted, admitted, first, ended time.Time
}

// Event is a generated token.
type Event struct {
	ID      int32
	Logprob float64 // NaN unless asked for
	Top     []sample.Logprob
	// Acts says by processor what it did about the token, as Tracer.LastAction
	// does; nil if none did anything. It must not be changed.
	Acts []uint8
	// Slid says that the sequence slid before this token.
	Slid bool
}

// Reason says why a request ended.
type Reason uint8

const (
	ReasonNone   Reason = iota
	ReasonStop          // an end-of-generation token
	ReasonLength        // MaxTokens reached
	ReasonError         // see Err
)

// Stats measure a request.
type Stats struct {
	Prompt, Cached, Generated int // ids
	Queued, Prefill, Decode   time.Duration
}

// Next waits for the next token. It returns false when the request has ended.
func (r *Request) Next() (Event, bool) {
	e, ok := <-r.out
	if ok {
		r.read++
		r.wake()
	}
	return e, ok
}

// Cancel ends the request within one step, and takes back what the consumer has not
// read. Next still has to be called until it returns false.
func (r *Request) Cancel() {
	r.shown.Store(int64(r.read) + 1)
	r.cancel(nil)
}

// fail makes err the outcome; the request takes part no more and is swept out.
func (r *Request) fail(err error) {
	r.err = err
	r.cancel(err)
}

// Ended returns the outcome; only valid after Next returned false.
func (r *Request) Ended() (Reason, Stats, error) {
	span := func(from, to time.Time) time.Duration {
		switch {
		case from.IsZero():
			return 0
		case to.IsZero():
			to = r.ended
		}
		return to.Sub(from)
	}
	return r.reason, Stats{
		Prompt: len(r.Prompt), Cached: r.cached, Generated: r.made,
		Queued: span(r.submitted, r.admitted), Prefill: span(r.admitted, r.first), Decode: span(r.first, r.ended),
	}, r.err
}

// Slid is what remains of ids, which it changes: the first and the newer half.
func Slid(ids []int32) []int32 { return slices.Delete(ids, 1, 1+len(ids)/2) }

// IDs are prompt and answer, but what slid out; only valid after Next returned false.
func (r *Request) IDs() []int32 { return r.ids }

func (r *Request) prefilling() bool {
	return r.done < len(r.ids)-1 || r.Score != nil || r.made == 0
}

// ready reports whether the request can be part of a batch: it has not failed, and
// its consumer has room for another token.
func (r *Request) ready() bool { return r.open && r.err == nil && len(r.out) < cap(r.out) }
