package sandwarp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sort"
	"strings"

	"github.com/sandwarp/sandwarp/cpubackend"
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// preferred are the backends Open tries when it is not told which, best first.
var preferred = []string{"ptx", "cpu"}

// engine is a model loaded into a backend, or split between two.
type engine struct {
	parts  []part // in the order of the layers
	exec   backend.Executable
	limits backend.Limits
}

// part is some layers of a model on one backend.
type part struct {
	backend backend.Backend
	weights backend.Weights
	exec    backend.Executable
	layers  int
}

// name says what the engine runs on, "ptx", or "cpu+ptx" for a model that is split.
func (e *engine) name() string {
	names := make([]string, len(e.parts))
	for i, p := range e.parts {
		names[i] = p.backend.Name()
	}
	return strings.Join(names, "+")
}

// threads is the number of CPU workers, 0 if the CPU has no part in it.
func (e *engine) threads() int {
	switch {
	case !slices.ContainsFunc(e.parts, func(p part) bool { return p.backend.Name() == "cpu" }):
		return 0
	case e.limits.Threads == 0:
		return cpubackend.DefaultThreads()
	}
	return e.limits.Threads
}

// cacheBytes is the size of the KV cache, as far as the backends say.
func (e *engine) cacheBytes() (n int64) {
	for _, p := range e.parts {
		if c, ok := p.exec.(backend.Cached); ok {
			n += c.CacheBytes()
		}
	}
	return n
}

// weightMemory is what the weights take beyond the mapping.
func (e *engine) weightMemory() (n int64) {
	for _, p := range e.parts {
		n += p.weights.Bytes()
	}
	return n
}

// program is what an engine is made from: a plan as the model's code wrote it, and
// the bytes of its weights.
type program struct {
	plan     *plan.Plan
	data     [][]byte
	options  Options
	context  int
	pagesSet bool // by the options, so that another number is an error
	// drop gives back the memory of bytes of data that were copied.
	drop func(b []byte)
}

// engine starts the backend Options.Backend names, or else the first of the
// preferred ones that runs the model. What a device has no room for stays on the
// CPU, in whole layers.
func (p *program) engine(ctx context.Context, log *slog.Logger) (*engine, error) {
	names := []string{p.options.Backend}
	if p.options.Backend == "" {
		names = slices.DeleteFunc(slices.Clone(preferred), func(n string) bool { return !slices.Contains(backend.Names(), n) })
	}
	if len(names) == 0 {
		return nil, errors.New("no backend is linked into the program")
	}
	var errs []error
	for _, name := range names {
		e, err := p.start(ctx, name)
		if errors.Is(err, backend.ErrNoMemory) {
			log.Warn("model does not fit", "backend", name, "because", err)
			var failed error
			if e, failed = p.splitOver(ctx, name); failed == nil {
				log.Info("model split", "cpu layers", e.parts[0].layers, name+" layers", e.parts[1].layers)
				return e, nil
			}
			err = errors.Join(err, failed)
		}
		if err == nil || ctx.Err() != nil {
			return e, err
		}
		level := slog.LevelWarn
		if errors.Is(err, backend.ErrNoDevice) {
			level = slog.LevelInfo // most machines have none
		}
		log.Log(ctx, level, "backend not used", "backend", name, "because", err)
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// start loads the whole program into one backend.
func (p *program) start(ctx context.Context, name string) (_ *engine, err error) {
	e := &engine{limits: limits(p.options, p.context)}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	b, err := p.openBackend(e, name)
	if err != nil {
		return nil, err
	}
	fused := plan.Fuse(p.plan, b.Supports)
	if err := p.size(e, b, fused); err != nil {
		return nil, err
	}
	if err := p.load(ctx, e, &e.parts[0], fused, p.data, p.options.Progress); err != nil {
		return nil, err
	}
	e.exec = e.parts[0].exec
	return e, nil
}

// openBackend begins a part of e.
func (p *program) openBackend(e *engine, name string) (backend.Backend, error) {
	if t := p.options.CacheType; t.kv() != backend.KVF16 && name != "cpu" {
		return nil, option("Options.CacheType", "is %s, which only the cpu backend can do; %s keeps its cache in %s", t, name, CacheF16)
	}
	b, err := backend.Open(name)
	if err != nil {
		return nil, err
	}
	e.parts = append(e.parts, part{backend: b})
	return b, nil
}

// load loads and compiles a part, whose plan is fused for its backend.
func (p *program) load(ctx context.Context, e *engine, t *part, fused *plan.Plan, data [][]byte, progress func(done, total int64)) error {
	t.layers = len(fused.KV)
	weights, err := t.backend.Load(ctx, fused, data, backend.LoadOptions{Progress: progress, LowMemory: p.options.LowMemory, Threads: p.options.Threads, Drop: p.drop})
	if err != nil {
		return err
	}
	t.weights = weights
	exec, err := t.backend.Compile(fused, weights, e.limits)
	if err != nil {
		return err
	}
	t.exec = exec
	return nil
}

// progress is Options.Progress for a part of what is loaded: before and after it are
// bytes of other parts.
func (p *program) progress(before, after int64) func(done, total int64) {
	report := p.options.Progress
	if report == nil {
		return nil
	}
	return func(done, total int64) { report(before+done, before+total+after) }
}

// size asks a device with memory of its own whether everything fits. Unless the
// options say how large the KV cache is to be, it may shrink to one whole context.
func (p *program) size(e *engine, b backend.Backend, fused *plan.Plan) error {
	sizer, ok := b.(backend.Sizer)
	if !ok {
		return nil
	}
	least := cachePages(p.context)
	for {
		err := sizer.Fits(fused, e.limits)
		if err == nil || !errors.Is(err, backend.ErrNoMemory) || p.pagesSet || e.limits.Pages <= least {
			return err
		}
		e.limits.Pages = max(least, e.limits.Pages*3/4)
	}
}

// splitOver starts the program split between the CPU and the named backend. Where
// less fits than was estimated (others use the device too) more stays on the CPU.
func (p *program) splitOver(ctx context.Context, name string) (*engine, error) {
	layers := len(p.plan.KV)
	for least := 1; ; {
		e, cut, err := p.startSplit(ctx, name, least)
		if least = cut + max(1, layers/8); cut == 0 || least >= layers || !errors.Is(err, backend.ErrNoMemory) {
			return e, err
		}
	}
}

// startSplit keeps the first layers, at least least, on the CPU and loads as many of
// the last as fit into the named backend, with the head. A KV cache nobody asked for
// is that of one whole context. cut is how many it meant to keep, 0 if it did not
// come to that.
func (p *program) startSplit(ctx context.Context, name string, least int) (_ *engine, cut int, err error) {
	e := &engine{limits: limits(p.options, p.context)}
	if !p.pagesSet {
		e.limits.Pages = cachePages(p.context)
	}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	cpu, err := p.openBackend(e, "cpu")
	if err != nil {
		return nil, 0, err
	}
	device, err := p.openBackend(e, name)
	if err != nil {
		return nil, 0, err
	}
	sizer, ok := device.(backend.Sizer)
	if !ok {
		return nil, 0, fmt.Errorf("%w: %s cannot say how much fits", backend.ErrNoMemory, name)
	}
	first, second, err := p.split(sizer, e.limits, least)
	if err != nil {
		return nil, 0, err
	}
	cut = len(first.KV)
	if err := p.load(ctx, e, &e.parts[0], plan.Fuse(first.Plan, cpu.Supports), first.Data(p.data), p.progress(0, bytesOf(second))); err != nil {
		return nil, cut, err
	}
	if err := p.load(ctx, e, &e.parts[1], plan.Fuse(second.Plan, device.Supports), second.Data(p.data), p.progress(bytesOf(first), 0)); err != nil {
		return nil, cut, err
	}
	e.exec = backend.Chain(e.parts[0].exec, e.parts[1].exec, e.limits.MaxRows, backend.Passes(first.Plan))
	return e, cut, nil
}

// split cuts the plan so that the rest fits and the fewest layers stay before it, but
// no fewer than least.
func (p *program) split(device backend.Sizer, lim backend.Limits, least int) (first, second plan.Part, err error) {
	last := len(p.plan.KV)
	var failed error
	cut := least + sort.Search(last-least, func(i int) bool {
		_, rest, err := plan.Split(p.plan, least+i)
		if err == nil {
			err = device.Fits(plan.Fuse(rest.Plan, device.Supports), lim)
		}
		if err != nil && !errors.Is(err, backend.ErrNoMemory) {
			failed = err
		}
		return err == nil
	})
	if cut >= last {
		none := fmt.Errorf("%w: %s has no room for a single layer with a KV cache of %d tokens; a shorter context takes less",
			backend.ErrNoMemory, device.Name(), lim.Pages*backend.PageTokens)
		return first, second, errors.Join(none, failed)
	}
	return plan.Split(p.plan, cut)
}

// bytesOf is how many bytes the weights of a part are.
func bytesOf(part plan.Part) (n int64) {
	for _, w := range part.Weights {
		n += int64(w.Bytes())
	}
	return n
}

// Close gives back what the engine holds, in the order it needs.
func (e *engine) Close() error {
	var errs []error
	for _, p := range e.parts {
		if p.exec != nil {
			errs = append(errs, p.exec.Close())
		}
		if p.weights != nil {
			errs = append(errs, p.weights.Close())
		}
		errs = append(errs, p.backend.Close())
	}
	return errors.Join(errs...)
}

// replace is called on the scheduler's goroutine when the device was lost. The
// model goes on on the CPU.
func (m *Model) replace(ctx context.Context, lost error) (backend.Executable, error) {
	m.log.Error("device lost; going on on the cpu", "backend", m.engine.name(), "error", lost)
	if err := m.engine.Close(); err != nil {
		m.log.Warn("closing the lost device", "error", err)
	}
	m.engine = nil
	p := m.program
	p.options.Progress = nil
	p.options.CacheTokens = m.pages * backend.PageTokens // what the schedule counts on
	var e *engine
	var err error
	guard := gguf.Guard(m.file, func() { e, err = p.start(ctx, "cpu") })
	if err = errors.Join(guard, err); err != nil {
		m.log.Error("the cpu cannot take over", "error", err)
		return nil, err
	}
	m.engine = e
	m.mu.Lock()
	m.info.runsOn(e)
	m.mu.Unlock()
	return e.exec, nil
}
