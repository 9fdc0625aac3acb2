// Package ptxbackend runs plans on NVIDIA GPUs, with kernels it writes itself in
// PTX and hands to the driver: no toolkit, no cgo.
//
// Importing it registers the backend "ptx". Weights are repacked at upload into the
// order in which the GPU's matrix instructions want them. An Executable turns the
// plan into lists of launches. What changes from step to step lies in a block of
// device memory, so that the list for a small batch is recorded once, as a graph,
// and replayed:
//
//	Run -> batch block to the device -> replay graph (or launch one by one) -> logits back
//
// The kernels are in internal/kernels, the driver in internal/cuda; internal/emu
// executes the same kernels on the processor, for tests.
package ptxbackend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/cuda"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

func init() { backend.Register("ptx", New) }

// New opens the GPU, device 0 or the one the environment variable
// SANDWARP_CUDA_DEVICE names by its number. Its error wraps backend.ErrNoDevice
// where there is none that can be used.
func New() (backend.Backend, error) {
	ordinal := 0
	if s := os.Getenv("SANDWARP_CUDA_DEVICE"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("ptxbackend: SANDWARP_CUDA_DEVICE=%q: want the number of a device, 0 is the first", s)
		}
		ordinal = n
	}
	drv, err := cuda.Open()
	if err != nil {
		return nil, failure("open the driver", err)
	}
	return openOn(drv, ordinal)
}

// openOn opens a device of drv.
func openOn(drv driver.Driver, ordinal int) (backend.Backend, error) {
	infos, err := drv.Devices()
	if err != nil {
		return nil, failure("list the devices", err)
	}
	if len(infos) == 0 {
		return nil, fmt.Errorf("ptxbackend: %w: the driver lists none; look at nvidia-smi and CUDA_VISIBLE_DEVICES", backend.ErrNoDevice)
	}
	if ordinal >= len(infos) {
		return nil, fmt.Errorf("ptxbackend: %w: number %d of %d; SANDWARP_CUDA_DEVICE counts from 0", backend.ErrNoDevice, ordinal, len(infos))
	}
	if i := infos[ordinal]; i.Major < 8 {
		return nil, fmt.Errorf("ptxbackend: %w: %s has compute capability %d.%d, 8.0 is needed (SANDWARP_CUDA_DEVICE chooses another)",
			backend.ErrNoDevice, i.Name, i.Major, i.Minor)
	}
	dev, err := drv.Open(ordinal)
	if err != nil {
		return nil, failure("open device "+strconv.Itoa(ordinal), err)
	}
	g := newGPU(dev, dev.Info().Target())
	g.eager = true
	return g, nil
}

// gpu is the backend: one device.
type gpu struct {
	dev    driver.Device
	info   driver.Info // as far as the target knows the device
	target ptx.Target
	code   *code
	// eager has Compile make all kernels at once, so that no step waits for the
	// compiler.
	eager bool
	lost  atomic.Bool // the device returned an error after which nothing works
}

// newGPU takes dev over, with kernels written for t.
func newGPU(dev driver.Device, t ptx.Target) *gpu {
	g := &gpu{dev: dev, info: dev.Info(), target: t}
	if !t.Hopper() { // what is newer is not to be used
		g.info.Major, g.info.Minor = 8, 0
	}
	g.code = newCode(g)
	return g
}

func (*gpu) Name() string { return "ptx" }

// Load repacks and uploads the weights; see load.go.
func (g *gpu) Load(ctx context.Context, p *plan.Plan, w [][]byte, o backend.LoadOptions) (backend.Weights, error) {
	if len(w) != len(p.Weights) {
		return nil, fmt.Errorf("ptxbackend: %d weights given, the plan has %d", len(w), len(p.Weights))
	}
	for i, d := range p.Weights {
		if len(w[i]) != d.Bytes() {
			return nil, fmt.Errorf("ptxbackend: weight %v has %d bytes of data, want %d", d, len(w[i]), d.Bytes())
		}
	}
	return load(ctx, g, p, w, o.Progress)
}

// Compile makes an Executable with its own stream, arena and KV pages. The cache is
// half precision whatever Limits.KV says; Limits.Threads means nothing here.
func (g *gpu) Compile(p *plan.Plan, w backend.Weights, lim backend.Limits) (backend.Executable, error) {
	l, ok := w.(*weights)
	if !ok || l.gpu != g {
		return nil, fmt.Errorf("ptxbackend: weights of type %T were loaded by another backend", w)
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return compile(g, p, l, lim)
}

// Close unloads the kernels and gives the device back.
func (g *gpu) Close() error {
	if g.dev == nil {
		return nil
	}
	err := errors.Join(g.code.close(), g.dev.Close())
	g.dev = nil
	return g.ignoreIfLost(err)
}

// Supports reports true for every large step there is.
func (*gpu) Supports(_ *plan.Plan, s *plan.Step) bool { return emitters[s.Kind] != nil }
