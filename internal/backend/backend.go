// Package backend is the border between the runtime and whatever executes a
// plan: the CPU kernels, the PTX kernels, or a test's reference.
//
// Rules for implementers
//
//  1. Load may keep references into the weight bytes until Weights.Close; the
//     caller keeps them mapped that long. Load never writes to them.
//  2. An Executable is used by one goroutine at a time. Different Executables of
//     the same Weights may run concurrently.
//  3. Run allocates nothing and starts no goroutine that outlives Close.
//  4. Run returns ctx.Err() within one step of the plan when ctx ends; the KV
//     pages the batch was writing then hold unspecified data for the rows of
//     this batch and are untouched elsewhere.
//  5. A fault while reading mapped weights (the file was truncated) is returned
//     as an error that wraps ErrWeightsLost; the process survives.
package backend

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"

	"github.com/sandwarp/sandwarp/internal/plan"
)

// PageTokens is the number of positions in a KV page.
const PageTokens = 64

// ErrWeightsLost says that mapped weight bytes could not be read any more.
var ErrWeightsLost = errors.New("the model file changed or was truncated while mapped")

// ErrDeviceLost says that the device is gone; its Executables are dead.
var ErrDeviceLost = errors.New("the device was lost")

// ErrNoDevice says that a backend finds no device it could run on.
var ErrNoDevice = errors.New("no device was found")

// ErrNoMemory says that a model does not fit the memory of a device.
var ErrNoMemory = errors.New("out of memory on the device")

// Backend compiles and runs plans on one kind of hardware. Its methods are safe
// for concurrent use.
type Backend interface {
	// Name is what a user writes to choose it: "cpu", "ptx".
	Name() string
	// Supports reports whether the backend runs the large step s as one piece.
	// Fine steps are always supported.
	Supports(p *plan.Plan, s *plan.Step) bool
	// Load prepares the weights of p; w[i] are the bytes of p.Weights[i].
	Load(ctx context.Context, p *plan.Plan, w [][]byte, o LoadOptions) (Weights, error)
	// Compile makes an Executable that holds its own arena and KV pages.
	Compile(p *plan.Plan, w Weights, lim Limits) (Executable, error)
	// Close releases the device. Executables and Weights are closed before.
	Close() error
}

// LoadOptions tune Load.
type LoadOptions struct {
	// Progress, when set, is called from Load's goroutine with bytes done and
	// bytes in all.
	Progress func(done, total int64)
	// LowMemory reads weights where they are. Without it the CPU backend keeps those
	// that are multiplied in an order of its own, which takes as much memory again.
	LowMemory bool
	// Threads is the number of threads that prepare weights, 0 for one per usable core
	// (CPU only).
	Threads int
	// Drop, when set, is given weight bytes that were copied and will hardly be read
	// again, so that the owner of the mapping can give back their memory. They must
	// stay readable. It is called by several goroutines at once.
	Drop func(b []byte)
}

// Weights are loaded weights.
type Weights interface {
	// Bytes is the memory they take beyond the mapping they came from.
	Bytes() int64
	Close() error
}

// Limits size an Executable.
type Limits struct {
	MaxRows  int // rows of the largest batch
	MaxSeqs  int // sequences in a batch
	MaxLogit int // rows of logits in a batch
	Pages    int // KV pages of PageTokens positions each; memory is taken when first written
	// KV is how the KV pages keep their numbers (the CPU has a choice).
	KV KVType
	// Threads is the number of workers, 0 for one per usable core (CPU only).
	Threads int
}

// Passes is the width of Batch.Hidden that a plan wants; 0 if it neither receives
// nor sends.
func Passes(p *plan.Plan) int {
	if s := &p.Steps[0]; s.Kind == plan.Receive {
		return p.ValueInfo(s.Out[0]).Width
	}
	if s := &p.Steps[len(p.Steps)-1]; s.Kind == plan.Send {
		return p.ValueInfo(s.In[0]).Width
	}
	return 0
}

// Executable runs one plan.
type Executable interface {
	// Run executes the plan over the batch and fills logits[i] (vocab) for row
	// b.LogitRows[i]. len(logits) == len(b.LogitRows).
	Run(ctx context.Context, b *Batch, logits [][]float32) error
	// CopyPage copies KV page src to dst in every layer.
	CopyPage(dst, src int32) error
	Close() error
}

// Cached is an Executable that knows how large its KV cache is.
type Cached interface {
	Executable
	// CacheBytes is what the pages take once all have been written.
	CacheBytes() int64
}

// Sizer is a Backend with memory of its own.
type Sizer interface {
	Backend
	// Fits estimates, before anything is loaded, what p takes with lim: weights,
	// KV cache and workspace. The error wraps ErrNoMemory and names the figures.
	Fits(p *plan.Plan, lim Limits) error
}

// Batch is the work of one run: a ragged set of rows. The rows of one sequence
// are adjacent and have consecutive positions; Run reads it and keeps nothing.
type Batch struct {
	Tokens []int32 // (rows) ids, 0 <= id < vocab
	Pos    []int32 // (rows) position within the sequence
	Seq    []int32 // (rows) index into Tables
	// Tables[s] lists the KV pages of sequence s: position p lives in page
	// Tables[s][p/PageTokens], slot p%PageTokens.
	Tables [][]int32
	// LogitRows lists the rows whose logits are wanted, ascending.
	LogitRows []int32
	// Hidden is the (rows, width) float32 matrix the parts of a split plan pass on:
	// plan.Send fills it, plan.Receive reads it. Other plans leave it alone.
	Hidden []float32
}

// Validate checks b against the limits and the vocabulary, so that a backend
// can index without looking.
func (b *Batch) Validate(lim Limits, vocab int) error {
	n := len(b.Tokens)
	switch {
	case n == 0 || n > lim.MaxRows:
		return fmt.Errorf("backend: batch of %d rows, want 1 to %d", n, lim.MaxRows)
	case len(b.Pos) != n || len(b.Seq) != n:
		return fmt.Errorf("backend: batch has %d tokens, %d positions, %d sequence indices", n, len(b.Pos), len(b.Seq))
	case len(b.Tables) > lim.MaxSeqs:
		return fmt.Errorf("backend: batch of %d sequences, at most %d", len(b.Tables), lim.MaxSeqs)
	case len(b.LogitRows) > lim.MaxLogit:
		return fmt.Errorf("backend: %d rows of logits wanted, at most %d", len(b.LogitRows), lim.MaxLogit)
	}
	for r := range n {
		s, p := b.Seq[r], b.Pos[r]
		if uint32(b.Tokens[r]) >= uint32(vocab) {
			return fmt.Errorf("backend: row %d: token id %d out of range, the vocabulary has %d", r, b.Tokens[r], vocab)
		}
		if s < 0 || int(s) >= len(b.Tables) || p < 0 || int(p)/PageTokens >= len(b.Tables[s]) {
			return fmt.Errorf("backend: row %d: position %d of sequence %d has no page", r, p, s)
		}
		if r > 0 && s == b.Seq[r-1] && p != b.Pos[r-1]+1 {
			return fmt.Errorf("backend: row %d: position %d follows %d", r, p, b.Pos[r-1])
		}
		if r > 0 && s < b.Seq[r-1] {
			return fmt.Errorf("backend: row %d: sequence %d after %d", r, s, b.Seq[r-1])
		}
	}
	for s, t := range b.Tables {
		for _, page := range t {
			if page < 0 || int(page) >= lim.Pages {
				return fmt.Errorf("backend: sequence %d: page %d out of range, there are %d", s, page, lim.Pages)
			}
		}
	}
	last := int32(-1)
	for _, r := range b.LogitRows {
		if r <= last || int(r) >= n {
			return fmt.Errorf("backend: logit row %d out of order or range", r)
		}
		last = r
	}
	return nil
}

var registry = struct {
	sync.Mutex // guards open
	open       map[string]func() (Backend, error)
}{open: map[string]func() (Backend, error){}}

// Register makes a backend available under name; a backend package calls it
// from init. Registering a name twice panics.
func Register(name string, open func() (Backend, error)) {
	registry.Lock()
	defer registry.Unlock()
	if _, dup := registry.open[name]; dup {
		panic("backend: " + name + " registered twice")
	}
	registry.open[name] = open
}

// Open starts the backend registered under name.
func Open(name string) (Backend, error) {
	registry.Lock()
	open := registry.open[name]
	registry.Unlock()
	if open == nil {
		return nil, fmt.Errorf("backend: %q is not registered (have %v); is its package imported?", name, Names())
	}
	return open()
}

// Names lists the registered backends, sorted.
func Names() []string {
	registry.Lock()
	defer registry.Unlock()
	names := make([]string, 0, len(registry.open))
	for n := range registry.open {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
