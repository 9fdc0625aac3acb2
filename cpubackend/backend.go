// Package cpubackend runs plans on the processor's cores.
//
// Importing it registers the backend "cpu". Weights are copied once into the order
// the kernels like best (repack.go), or, with LoadOptions.LowMemory and on processors
// that gain nothing by it, read where they lie, in the mapped model file. An
// Executable owns a crew of workers that walk the plan in step, each on its own share
// of every step, and wait for each other between steps; nothing hands out work, so
// nothing queues, locks or allocates:
//
//	Run -> every worker: for each step { own share; barrier } -> logits
//
// The arithmetic is in internal/kernels.
package cpubackend

import (
	"context"
	"fmt"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
)

func init() { backend.Register("cpu", func() (backend.Backend, error) { return New(), nil }) }

// New returns the CPU backend. It holds nothing itself: its workers belong to
// Executables.
func New() backend.Backend { return cpu{} }

type cpu struct{}

func (cpu) Name() string { return "cpu" }

// Supports reports true for every large step there is.
func (cpu) Supports(_ *plan.Plan, s *plan.Step) bool { return compilers[s.Kind] != nil }

// Load makes views of the weights and repacks the matrices that are multiplied.
func (cpu) Load(ctx context.Context, p *plan.Plan, w [][]byte, o backend.LoadOptions) (backend.Weights, error) {
	if len(w) != len(p.Weights) {
		return nil, fmt.Errorf("cpubackend: %d weights given, the plan has %d", len(w), len(p.Weights))
	}
	l := &weights{plan: p}
	for i, d := range p.Weights {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := l.add(d, w[i]); err != nil {
			return nil, fmt.Errorf("cpubackend: weight %v: %w", d, err)
		}
	}
	if o.LowMemory {
		if o.Progress != nil {
			o.Progress(l.size(), l.size())
		}
		return l, nil
	}
	if err := l.repack(ctx, o); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// Compile makes an Executable with its own workers, arena and KV pages.
func (cpu) Compile(p *plan.Plan, w backend.Weights, lim backend.Limits) (backend.Executable, error) {
	l, ok := w.(*weights)
	if !ok {
		return nil, fmt.Errorf("cpubackend: weights of type %T were loaded by another backend", w)
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return compile(p, l, lim)
}

func (cpu) Close() error { return nil }
