package cpubackend

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"runtime/debug"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// step is one step of the plan, ready to run.
type step interface {
	// run does worker w's share. It may call w.sync, and returns if that is false.
	run(w *worker)
	// joins reports whether all shares must be done before the next step begins.
	joins(e *executable) bool
}

// joined is embedded in the steps that always join.
type joined struct{}

func (joined) joins(*executable) bool { return true }

// compilers turn the plan's steps into ours.
var compilers = [plan.NumKinds]func(e *executable, s *plan.Step) step{
	plan.Embed: newEmbed, plan.RMSNorm: newRMSNorm, plan.HeadNorm: newHeadNorm, plan.Linear: newLinear,
	plan.Rope: newRope, plan.AppendKV: newAppendKV, plan.Attention: newAttention, plan.Add: newAdd,
	plan.SiLUMul: newSiLUMul, plan.SelectRows: newSelectRows, plan.Logits: newLogits,
	plan.Receive: newReceive, plan.Send: newSend,
	plan.NormQKVRopeAppend: newQKV, plan.OutResidual: newOutResidual, plan.NormGateUpAct: newGateUp,
	plan.DownResidual: newDownResidual, plan.LMHead: newLMHead,
}

// executable is a plan with its workers and memory.
type executable struct {
	plan    *plan.Plan
	weights *weights
	lim     backend.Limits
	steps   []step
	crew    *crew
	closed  bool
	passes  int // width of Batch.Hidden

	arena  *arena
	values [][]float32 // (MaxRows, width) by value number - 1, see placeValues
	normed []float32   // (MaxRows, widest) the normed input of a step, large batches
	side   []float32   // (MaxRows, widest) the second product of a step
	heads  []float32   // (MaxLogit, Vocab) if more than one row of logits may be asked for
	inputs []*input    // of all steps that multiply
	ropes  []*ropeTable
	cache  *cache
	attn   *attnPlan

	busy, idle patience // of the barrier: between steps, between runs

	// What this run is about: written by worker 0 before the others begin.
	ctx    context.Context
	batch  *backend.Batch
	logits [][]float32
	rows   int
	ended  bool // worker 0 has seen the end of ctx
}

func compile(p *plan.Plan, l *weights, lim backend.Limits) (*executable, error) {
	if len(p.Weights) != len(l.data) || !reflect.DeepEqual(p.Weights, l.plan.Weights) {
		return nil, errors.New("cpubackend: the weights were loaded for another plan")
	}
	if lim.Threads == 0 {
		lim.Threads = defaultThreads()
	}
	if lim.MaxRows < 1 || lim.MaxSeqs < 1 || lim.MaxLogit < 0 || lim.Pages < 1 || lim.Threads < 0 || lim.Threads > maxThreads ||
		lim.MaxRows > math.MaxInt32 || lim.Pages > math.MaxInt32/backend.PageTokens {
		return nil, fmt.Errorf("cpubackend: limits %+v out of range", lim)
	}
	e := &executable{plan: p, weights: l, lim: lim, passes: backend.Passes(p)}
	if err := e.takeMemory(); err != nil {
		_ = e.release()
		return nil, err
	}
	e.attn = newAttnPlan(p, lim)
	for i := range p.Steps {
		e.steps = append(e.steps, compilers[p.Steps[i].Kind](e, &p.Steps[i]))
	}
	e.linkAttention()
	e.takeActs()
	e.setPatience()
	e.crew = newCrew(e, lim.Threads)
	return e, nil
}

const maxThreads = 1024

// takeMemory lays out arena and cache.
func (e *executable) takeMemory() (err error) {
	offsets, width := plan.Arena(e.plan)
	sideWidth, normedWidth, heads := 0, 0, 0
	for i := range e.plan.Steps {
		s := &e.plan.Steps[i]
		sideWidth = max(sideWidth, e.sideWidth(s))
		if s.W[plan.WNorm] != 0 && s.Kind.Large() {
			normedWidth = max(normedWidth, e.width(s.In[0]))
		}
	}
	if e.lim.MaxLogit > 1 {
		heads = e.lim.MaxLogit
	}
	for _, n := range []int{width, sideWidth, normedWidth, e.plan.Vocab} {
		if n > math.MaxInt/64/max(e.lim.MaxRows, heads, 1) {
			return fmt.Errorf("cpubackend: a batch of %d rows does not fit the address space", e.lim.MaxRows)
		}
	}
	r := e.lim.MaxRows
	if e.arena, err = newArena(r*width, r*sideWidth, r*normedWidth, heads*e.plan.Vocab); err != nil {
		return err
	}
	e.values = placeValues(e.plan, offsets, e.arena.take(r*width), r)
	e.side = e.arena.take(r * sideWidth)
	e.normed = e.arena.take(r * normedWidth)
	e.heads = e.arena.take(heads * e.plan.Vocab)
	e.cache, err = newCache(e.plan.KV, e.lim.Pages, e.lim.KV)
	return err
}

// CacheBytes is the size of the KV cache; see backend.Cached.
func (e *executable) CacheBytes() int64 { return int64(len(e.cache.memory.bytes)) }

// sideWidth is how many columns of executable.side a step needs.
func (e *executable) sideWidth(s *plan.Step) int {
	switch s.Kind {
	case plan.NormQKVRopeAppend:
		return e.rowsOf(s.W[plan.WK]) + e.rowsOf(s.W[plan.WV])
	case plan.OutResidual, plan.NormGateUpAct, plan.DownResidual:
		return e.width(s.Out[0])
	}
	return 0
}

// Run executes the plan over the batch; see backend.Executable.
func (e *executable) Run(ctx context.Context, b *backend.Batch, logits [][]float32) error {
	if err := e.admit(ctx, b, logits); err != nil {
		return err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	e.begin(ctx, b, logits)
	e.crew.barrier.wait(0, false, e.busy)
	e.crew.workers[0].walk()
	e.ctx, e.batch, e.logits = nil, nil, nil
	if err := e.crew.failure(e.weights); err != nil {
		return err
	}
	if e.ended {
		return ctx.Err()
	}
	return nil
}

// admit refuses what cannot be run.
func (e *executable) admit(ctx context.Context, b *backend.Batch, logits [][]float32) error {
	if e.closed {
		return errors.New("cpubackend: Run after Close")
	}
	if err := b.Validate(e.lim, e.plan.Vocab); err != nil {
		return err
	}
	if len(logits) != len(b.LogitRows) {
		return fmt.Errorf("cpubackend: room for %d rows of logits, %d are wanted", len(logits), len(b.LogitRows))
	}
	if want := e.passes * len(b.Tokens); len(b.Hidden) < want {
		return fmt.Errorf("cpubackend: a batch with %d hidden values, the plan passes on %d", len(b.Hidden), want)
	}
	for i, l := range logits {
		if len(l) != e.plan.Vocab {
			return fmt.Errorf("cpubackend: row %d of logits has room for %d, the vocabulary has %d", i, len(l), e.plan.Vocab)
		}
	}
	return ctx.Err()
}

// begin sets up what the workers will read.
func (e *executable) begin(ctx context.Context, b *backend.Batch, logits [][]float32) {
	e.ctx, e.batch, e.logits = ctx, b, logits
	e.rows, e.ended = len(b.Tokens), false
	e.setPatience()
	for _, t := range e.ropes {
		for _, pos := range b.Pos {
			t.cover(pos)
		}
	}
	for _, in := range e.inputs {
		if rows := e.rowsIn(in.selected); rows > soloRows {
			in.act.Set(in.x, rows, in.k)
		}
	}
	e.attn.divide(b)
}

// How long to spin at the barrier, in looks at it of about 0.1 us. Between steps
// the others are microseconds away unless the system has given their core to
// somebody else. Between runs the caller has a token to sample and perhaps others to
// serve, which wants the cores; waking up takes less than a step.
var (
	busyPatience = patience{spins: 5000, learns: true}
	idlePatience = patience{spins: 200}
)

// setPatience lets workers that cannot all run at once sleep instead of spin.
func (e *executable) setPatience() {
	e.busy, e.idle = patience{}, patience{}
	if runtime.GOMAXPROCS(0) >= e.lim.Threads && runtime.NumCPU() >= e.lim.Threads {
		e.busy, e.idle = busyPatience, idlePatience
	}
}

// ctxEnded is asked by worker 0 alone.
func (e *executable) ctxEnded() bool {
	select {
	case <-e.ctx.Done():
		e.ended = true
	default:
	}
	return e.ended
}

// CopyPage copies KV page src to dst in every layer.
func (e *executable) CopyPage(dst, src int32) error {
	if e.closed {
		return errors.New("cpubackend: CopyPage after Close")
	}
	if dst < 0 || int(dst) >= e.lim.Pages || src < 0 || int(src) >= e.lim.Pages {
		return fmt.Errorf("cpubackend: copy page %d to %d: there are %d", src, dst, e.lim.Pages)
	}
	e.cache.copyPage(dst, src)
	return nil
}

// Close stops the workers and gives the memory back. Closing twice is fine.
func (e *executable) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	e.crew.stop()
	return e.release()
}

func (e *executable) release() error {
	var errs []error
	if e.arena != nil {
		errs = append(errs, e.arena.close())
	}
	if e.cache != nil {
		errs = append(errs, e.cache.close())
	}
	e.values, e.normed, e.side, e.heads = nil, nil, nil, nil
	return errors.Join(errs...)
}

// rowsIn is the number of rows of a value in this run.
func (e *executable) rowsIn(selected bool) int {
	if selected {
		return len(e.batch.LogitRows)
	}
	return e.rows
}

func (e *executable) width(v plan.Value) int       { return e.plan.ValueInfo(v).Width }
func (e *executable) value(v plan.Value) []float32 { return e.values[v-1] }
func (e *executable) rowsOf(w plan.Weight) int     { return e.plan.WeightDesc(w).Rows() }
func (e *executable) selected(v plan.Value) bool   { return e.plan.ValueInfo(v).Selected }
