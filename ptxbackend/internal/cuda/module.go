package cuda

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Numbers of CUfunction_attribute.
const (
	funcShared     = 1
	funcLocal      = 3
	funcRegisters  = 4
	funcMaxDynamic = 8
	funcCarveout   = 9
)

// carveoutShared asks for as much shared memory, and as little L1 cache, as a
// multiprocessor can have (CU_SHAREDMEM_CARVEOUT_MAX_SHARED). Kernels that divide
// them in different ways do not run on a multiprocessor at the same time: it would
// have to be empty in between, and none could begin before the one before it ends.
const carveoutShared = 100

// module is a CUmodule.
type module struct {
	d      *device
	handle uintptr
	name   string
	closed atomic.Bool
}

// function is a CUfunction with the layout of its parameters.
type function struct {
	m         *module
	handle    uintptr
	name      string
	offsets   []int
	size      int
	waits     bool // for the grids before it, with griddepcontrol.wait
	resources driver.Resources
}

// Load compiles a module's text, or has the driver find what it compiled before.
func (d *device) Load(m *ptx.Module) (driver.Module, error) {
	c, err := d.caller("cuModuleLoadDataEx")
	if err != nil {
		return nil, err
	}
	defer c.release()
	name := moduleName(m)
	if len(m.Kernels) == 0 {
		return nil, invalid("cuModuleLoadDataEx", "the module has no kernels")
	}
	if err := d.runs(m.Target); err != nil {
		return nil, explain(err, "%s", name)
	}
	handle, err := c.compile(m.String(), m.Target, name)
	if err != nil {
		return nil, err
	}
	mod := &module{d: d, handle: handle, name: name}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.modules[mod] = struct{}{}
	return mod, nil
}

// runs reports why a target does not run here, if it does not; the driver would
// say only that it found no code.
func (d *device) runs(t ptx.Target) error {
	if _, isa := d.lib.Version(); t.Version > isa {
		return misuse("cuModuleLoadDataEx", driver.CodeUnsupportedPTX, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "%s", d.lib.tooOld(t.Version))
	}
	major, minor, exact := archOf(t.Arch)
	cc, want := 10*d.info.Major+d.info.Minor, 10*major+minor
	if exact && cc != want || cc < want {
		return misuse("cuModuleLoadDataEx", driver.CodeNoBinaryForGPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
			"code for %s does not run on %s, which is sm_%d", t.Arch, d.info.Name, cc)
	}
	return nil
}

// archOf takes sm_90a apart; exact is for the architectures that run nowhere else.
func archOf(arch string) (major, minor int, exact bool) {
	n := 0
	for _, r := range strings.TrimPrefix(arch, "sm_") {
		if r < '0' || r > '9' {
			exact = true
			break
		}
		n = 10*n + int(r-'0')
	}
	return n / 10, n % 10, exact
}

// tooOld says that the driver does not know a PTX version.
func (l *library) tooOld(isa int) string {
	return fmt.Sprintf("the text is PTX %d.%d, and the %s compiles up to PTX %d.%d; update it to one for CUDA %s or newer",
		isa/10, isa%10, l.driverName(), isaOf(l.version)/10, isaOf(l.version)%10, cudaName(cudaOf(isa)))
}

// moduleName is what messages call a module.
func moduleName(m *ptx.Module) string {
	if len(m.Kernels) == 1 {
		return "kernel " + m.Kernels[0].Name
	}
	var names []string
	for _, k := range m.Kernels[:min(len(m.Kernels), 4)] {
		names = append(names, k.Name)
	}
	if len(m.Kernels) > 4 {
		names = append(names, "...")
	}
	return fmt.Sprintf("%d kernels (%s)", len(m.Kernels), strings.Join(names, ", "))
}

// Function finds a kernel, and with it makes the driver load its code: not at the
// first launch, which may be while a graph is recorded.
func (m *module) Function(k *ptx.Kernel) (driver.Function, error) {
	if m.closed.Load() {
		return nil, closedError("cuModuleGetFunction", "module")
	}
	offsets, size := k.ParamOffsets()
	if len(offsets) > maxParams || size > maxParamBytes {
		return nil, invalid("cuModuleGetFunction", "kernel %s has %d parameters of %d bytes; %d of %d are supported", k.Name, len(offsets), size, maxParams, maxParamBytes)
	}
	c, err := m.d.caller("cuModuleGetFunction")
	if err != nil {
		return nil, err
	}
	defer c.release()
	if len(k.Name) >= len(c.f.name) {
		return nil, invalid("cuModuleGetFunction", "the kernel's name has %d bytes; fewer than %d are supported: %s", len(k.Name), len(c.f.name), k.Name)
	}
	if err := c.call(fnModuleGetFunction, c.out(0), m.handle, c.cstring(k.Name)); err != nil {
		return nil, explain(err, "kernel %s of %s", k.Name, m.name)
	}
	f := &function{m: m, handle: uintptr(c.f.out[0]), name: k.Name, offsets: offsets, size: size, waits: waits(k)}
	for _, a := range []struct {
		id uintptr
		to *int
	}{{funcRegisters, &f.resources.Registers}, {funcShared, &f.resources.Shared}, {funcLocal, &f.resources.Local}} {
		if err := c.call(fnFuncGetAttribute, c.out(0), a.id, f.handle); err != nil {
			return nil, explain(err, "kernel %s", k.Name)
		}
		*a.to = int(int32(c.f.out[0]))
	}
	if err := c.call(fnFuncSetAttribute, f.handle, funcCarveout, carveoutShared); err != nil {
		return nil, explain(err, "kernel %s", k.Name)
	}
	return f, nil
}

// waits reports whether a kernel may overlap with the one before it.
func waits(k *ptx.Kernel) bool {
	return slices.ContainsFunc(k.Body, func(i ptx.Instr) bool { return i.Op == "griddepcontrol.wait" })
}

// Unload gives the module back; twice is fine.
func (m *module) Unload() error {
	c, err := m.d.lib.caller(m.d)
	if err != nil {
		return err
	}
	defer c.release()
	m.d.mu.Lock()
	delete(m.d.modules, m)
	m.d.mu.Unlock()
	return m.d.destroyed(m.destroy(c))
}

func (m *module) destroy(c *caller) error {
	if !m.closed.CompareAndSwap(false, true) {
		return nil
	}
	return c.call(fnModuleUnload, m.handle)
}

// Resources is what the compiler says of the kernel.
func (f *function) Resources() driver.Resources { return f.resources }

// SetShared allows launches with up to bytes of dynamic shared memory.
func (f *function) SetShared(bytes int) error {
	c, err := f.caller(fnFuncSetAttribute)
	if err != nil {
		return err
	}
	defer c.release()
	if err := c.call(fnFuncSetAttribute, f.handle, funcMaxDynamic, uintptr(uint32(bytes))); err != nil {
		return explain(err, "kernel %s: %d bytes of dynamic shared memory beside %d declared; a block may have %d in all", f.name, bytes, f.resources.Shared, f.m.d.info.SharedPerBlock)
	}
	return nil
}

// Blocks is how many blocks fit a multiprocessor at once.
func (f *function) Blocks(threads, shared int) (int, error) {
	c, err := f.caller(fnOccupancy)
	if err != nil {
		return 0, err
	}
	defer c.release()
	if err := c.call(fnOccupancy, c.out(0), f.handle, uintptr(uint32(threads)), uintptr(shared)); err != nil {
		return 0, explain(err, "kernel %s with %d threads and %d bytes of shared memory", f.name, threads, shared)
	}
	return int(int32(c.f.out[0])), nil
}

func (f *function) caller(fn symbol) (*caller, error) {
	if f.m.closed.Load() {
		return nil, closedError(fn.String(), "module of "+f.name)
	}
	return f.m.d.caller(fn.String())
}
