package sandwarp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// preferred are the backends Open tries when it is not told which, best first.
var preferred = []string{"ptx", "cpu"}

// engine is a model loaded into a backend.
type engine struct {
	backend backend.Backend
	weights backend.Weights
	exec    backend.Executable
	limits  backend.Limits
}

// program is what an engine is made from: a plan as the model's code wrote it, and
// the bytes of its weights.
type program struct {
	plan     *plan.Plan
	data     [][]byte
	options  Options
	context  int
	pagesSet bool // by the options, so that another number is an error
}

// engine starts the backend Options.Backend names, or else the first of the
// preferred ones that runs the model.
func (p *program) engine(ctx context.Context, log *slog.Logger) (*engine, error) {
	if p.options.Backend != "" {
		return p.start(ctx, p.options.Backend)
	}
	names := slices.DeleteFunc(slices.Clone(preferred), func(n string) bool { return !slices.Contains(backend.Names(), n) })
	for i, name := range names {
		e, err := p.start(ctx, name)
		if err == nil || ctx.Err() != nil || i == len(names)-1 {
			return e, err
		}
		level := slog.LevelWarn
		if errors.Is(err, backend.ErrNoDevice) {
			level = slog.LevelInfo // most machines have none
		}
		log.Log(ctx, level, "backend not used", "backend", name, "because", err)
	}
	return nil, errors.New("no backend is linked into the program")
}

// start loads the program into one backend.
func (p *program) start(ctx context.Context, name string) (_ *engine, err error) {
	if p.options.CacheF32 && name != "cpu" {
		return nil, fmt.Errorf("backend %s: Options.CacheF32: only the cpu backend keeps keys and values in 32 bits", name)
	}
	e := &engine{limits: limits(p.options, p.context)}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	if e.backend, err = backend.Open(name); err != nil {
		return nil, err
	}
	fused := plan.Fuse(p.plan, e.backend.Supports)
	if err := p.size(e, fused); err != nil {
		return nil, err
	}
	weights, err := e.backend.Load(ctx, fused, p.data, backend.LoadOptions{Progress: p.options.Progress})
	if err != nil {
		return nil, err
	}
	e.weights = weights
	exec, err := e.backend.Compile(fused, weights, e.limits)
	if err != nil {
		return nil, err
	}
	e.exec = exec
	return e, nil
}

// size asks a device with memory of its own whether everything fits. Unless the
// options say how large the KV cache is to be, it may shrink to one whole context.
func (p *program) size(e *engine, fused *plan.Plan) error {
	sizer, ok := e.backend.(backend.Sizer)
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

// Close gives back what the engine holds, in the order it needs.
func (e *engine) Close() error {
	var errs []error
	if e.exec != nil {
		errs = append(errs, e.exec.Close())
	}
	if e.weights != nil {
		errs = append(errs, e.weights.Close())
	}
	if e.backend != nil {
		errs = append(errs, e.backend.Close())
	}
	return errors.Join(errs...)
}

// replace is called on the scheduler's goroutine when the device was lost. The
// model goes on on the CPU.
func (m *Model) replace(lost error) (backend.Executable, error) {
	m.log.Error("device lost; going on on the cpu", "backend", m.engine.backend.Name(), "error", lost)
	if err := m.engine.Close(); err != nil {
		m.log.Warn("closing the lost device", "error", err)
	}
	m.engine = nil
	p := m.program
	p.options.Progress = nil
	p.options.CacheTokens = m.pages * backend.PageTokens // what the schedule counts on
	var e *engine
	var err error
	guard := gguf.Guard(m.file, func() { e, err = p.start(context.Background(), "cpu") })
	if err = errors.Join(guard, err); err != nil {
		m.log.Error("the cpu cannot take over", "error", err)
		return nil, err
	}
	m.engine = e
	m.mu.Lock()
	m.info.Backend = e.backend.Name()
	m.mu.Unlock()
	return e.exec, nil
}
