package ptxbackend

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// code is the kernels of a device, each compiled once, when first wanted. Its
// methods are safe for concurrent use.
type code struct {
	gpu *gpu

	mu    sync.Mutex // guards known
	known map[string]*compiled
}

// compiled is a kernel on the device, or why there is none.
type compiled struct {
	once     sync.Once
	module   driver.Module
	function driver.Function
	err      error
}

func newCode(g *gpu) *code { return &code{gpu: g, known: map[string]*compiled{}} }

// texts are the kernels built so far in this process, by target and name: several
// devices and models share them.
var texts sync.Map // of string to *ptx.Kernel

// text builds a kernel, or finds it built.
func text(t ptx.Target, c kernels.Config) (*ptx.Kernel, error) {
	id := t.Arch + " " + c.Name()
	if k, ok := texts.Load(id); ok {
		return k.(*ptx.Kernel), nil
	}
	k, err := c.Build(t)
	if err != nil {
		return nil, err
	}
	texts.Store(id, k)
	return k, nil
}

// get returns c compiled, with leave to use shared bytes of dynamic shared memory.
// What fails is tried again the next time: memory may have been short. The device
// is entered.
func (m *code) get(c kernels.Config, shared int) (driver.Function, error) {
	m.mu.Lock()
	k := m.known[c.Name()]
	if k == nil {
		k = &compiled{}
		m.known[c.Name()] = k
	}
	m.mu.Unlock()
	k.once.Do(func() { k.err = m.compile(k, c, shared) })
	if k.err != nil {
		m.mu.Lock()
		if m.known[c.Name()] == k {
			delete(m.known, c.Name())
		}
		m.mu.Unlock()
	}
	return k.function, k.err
}

// compile is the work of get.
func (m *code) compile(k *compiled, c kernels.Config, shared int) error {
	kernel, err := text(m.gpu.target, c)
	if err != nil {
		return err
	}
	module, err := m.gpu.dev.Load(&ptx.Module{Target: m.gpu.target, Kernels: []*ptx.Kernel{kernel}})
	if err != nil {
		return m.gpu.fail("compile "+c.Name(), err)
	}
	f, err := module.Function(kernel)
	if err == nil && shared > 0 {
		err = f.SetShared(shared)
	}
	if err != nil {
		return errors.Join(m.gpu.fail("prepare "+c.Name(), err), m.gpu.ignoreIfLost(module.Unload()))
	}
	k.module, k.function = module, f
	return nil
}

// paramAt is where parameter name of c lies in a launch's parameters.
func (m *code) paramAt(c kernels.Config, name string) (int, error) {
	k, err := text(m.gpu.target, c)
	if err != nil {
		return 0, err
	}
	offsets, _ := k.ParamOffsets()
	for i, p := range k.Params {
		if p.Name == name {
			return offsets[i], nil
		}
	}
	return 0, fmt.Errorf("kernel %s has no parameter %q", c.Name(), name)
}

// wanted is a kernel and the dynamic shared memory it is launched with.
type wanted struct {
	config kernels.Config
	shared int
}

// prepare compiles kernels, several at a time: the driver's compiler takes tens of
// milliseconds for each.
func (m *code) prepare(all []wanted) error {
	queue, queued := make(chan wanted, len(all)), map[string]bool{}
	for _, w := range all {
		if name := w.config.Name(); !queued[name] {
			queued[name] = true
			queue <- w
		}
	}
	close(queue)
	errs := make([]error, min(runtime.GOMAXPROCS(0), len(queue)))
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			errs[i] = m.gpu.within(func() error {
				for w := range queue {
					if _, err := m.get(w.config, w.shared); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// close unloads everything.
func (m *code) close() error {
	return m.gpu.within(func() error {
		var errs []error
		for _, k := range m.known {
			errs = append(errs, k.module.Unload())
		}
		m.known = map[string]*compiled{}
		return errors.Join(errs...)
	})
}
