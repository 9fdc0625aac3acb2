package emu

import (
	"cmp"
	"runtime"
	"slices"
	"sync"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Options describe the emulated GPU. The zero value is an H200.
type Options struct {
	Info    driver.Info // fields that are 0 are those of H200
	Memory  int64       // bytes of device memory; 0 is 4 GiB. Only what is allocated takes memory of the host
	Seed    uint64      // of the order in which warps run; 0 is as good as any
	Workers int         // blocks executed at once; 0 is GOMAXPROCS. 1 makes floating-point atomics reproducible
	Steps   int64       // instructions of a warp after which a block is taken to hang; 0 is 2e8
}

// H200 is what Options leave open. A100 has less shared memory, which a kernel for
// sm_80 must do with too.
var (
	H200 = driver.Info{Name: "Emulated H200", Major: 9, SMs: 132, L2: 50 << 20, SharedPerBlock: 227 << 10, SharedPerSM: 228 << 10,
		ClockKHz: 1980000, MemoryClockKHz: 3201000, BusBits: 6144}
	A100 = driver.Info{Name: "Emulated A100", Major: 8, SMs: 108, L2: 40 << 20, SharedPerBlock: 163 << 10, SharedPerSM: 164 << 10,
		ClockKHz: 1410000, MemoryClockKHz: 1215000, BusBits: 5120}
)

func (o Options) filled() Options {
	i, like := &o.Info, H200
	i.Name = cmp.Or(i.Name, like.Name)
	i.UUID = cmp.Or(i.UUID, "GPU-00000000-0000-0000-0000-000000000000")
	i.Major = cmp.Or(i.Major, like.Major)
	i.SMs = cmp.Or(i.SMs, like.SMs)
	i.L2 = cmp.Or(i.L2, like.L2)
	i.SharedPerBlock = cmp.Or(i.SharedPerBlock, like.SharedPerBlock)
	i.SharedPerSM = cmp.Or(i.SharedPerSM, like.SharedPerSM)
	i.ClockKHz = cmp.Or(i.ClockKHz, like.ClockKHz)
	i.MemoryClockKHz = cmp.Or(i.MemoryClockKHz, like.MemoryClockKHz)
	i.BusBits = cmp.Or(i.BusBits, like.BusBits)
	i.Memory = cmp.Or(o.Memory, i.Memory, 4<<30)
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	o.Steps = cmp.Or(o.Steps, 2e8)
	return o
}

// New is a driver with one emulated GPU.
func New(o Options) driver.Driver { return &emulator{o.filled()} }

// Open opens a device with the zero Options.
func Open() (driver.Device, error) { return New(Options{}).Open(0) }

type emulator struct{ opt Options }

func (e *emulator) Version() (cuda, isa int)        { return 13000, 90 }
func (e *emulator) Devices() ([]driver.Info, error) { return []driver.Info{e.opt.Info}, nil }
func (e *emulator) Open(n int) (driver.Device, error) {
	if n != 0 {
		return nil, failure("Open", driver.CodeInvalidDevice, "there is one emulated device, number 0")
	}
	d := &device{opt: e.opt, info: e.opt.Info}
	for range e.opt.Workers {
		d.workers = append(d.workers, newWorker(d))
	}
	return d, nil
}

// device is the emulated GPU. Calls of several goroutines take turns.
type device struct {
	opt     Options
	info    driver.Info
	mu      sync.Mutex // guards what follows; held while a kernel runs
	heap    heap
	hosts   [][]byte // of HostAlloc
	streams []*stream
	lost    *driver.Error // set by a fault, returned ever after
	closed  bool
	serial  uint64 // of launches
	workers []*worker
	work    launch
	stats   Stats

	atomic sync.Mutex // held for each atomic access by a kernel
}

// Stats count what kernels did since the device was opened or Stats was last taken.
type Stats struct {
	Launches         int
	LaneInstructions uint64 // instructions times the lanes that executed them
	Read, Written    uint64 // bytes of global memory, by kernels, caches or not
}

// TakeStats waits for all work, returns the counts of an emulated device and begins
// anew.
func TakeStats(d driver.Device) Stats {
	x := d.(*device)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.flushAll()
	s := x.stats
	x.stats = Stats{}
	return s
}

func (d *device) Info() driver.Info { return d.info }
func (d *device) Enter() error      { return d.ok("Enter") }
func (d *device) Leave()            {}

// ok is why nothing works any more, or nil.
func (d *device) ok(op string) error {
	if d.closed {
		return failure(op, driver.CodeInvalidContext, "the device is closed")
	}
	if d.lost != nil {
		return d.lost
	}
	return nil
}

func (d *device) Memory() (free, total int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.info.Memory - d.heap.used, d.info.Memory, d.ok("Memory")
}

func (d *device) Alloc(bytes int64) (driver.Ptr, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ok("Alloc"); err != nil {
		return 0, err
	}
	if bytes <= 0 {
		return 0, failure("Alloc", driver.CodeInvalidValue, "%d bytes", bytes)
	}
	if free := d.info.Memory - d.heap.used; bytes > free {
		return 0, failure("Alloc", driver.CodeOutOfMemory, "%d bytes wanted, %d free", bytes, free)
	}
	return driver.Ptr(d.heap.alloc(bytes).base), nil
}

func (d *device) Free(p driver.Ptr) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ok("Free"); err != nil {
		return err
	}
	d.flushAll() // freeing waits for the device
	if !d.heap.free(p) {
		return failure("Free", driver.CodeInvalidValue, "%#x is no allocation", uint64(p))
	}
	for _, w := range d.workers {
		clear(w.hits)
	}
	return nil
}

func (d *device) HostAlloc(bytes int) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ok("HostAlloc"); err != nil {
		return nil, err
	}
	if bytes <= 0 {
		return nil, failure("HostAlloc", driver.CodeInvalidValue, "%d bytes", bytes)
	}
	b := make([]byte, bytes)
	fill(b, 0xFF)
	d.hosts = append(d.hosts, b)
	return b, nil
}

func (d *device) HostFree(b []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.flushAll()
	}
	n := len(d.hosts)
	d.hosts = slices.DeleteFunc(d.hosts, func(h []byte) bool { return len(b) > 0 && &h[0] == &b[0] })
	if len(d.hosts) == n {
		return failure("HostFree", driver.CodeInvalidValue, "the memory is not from HostAlloc")
	}
	return nil
}

func (d *device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed, d.heap, d.hosts, d.workers, d.streams = true, heap{}, nil, nil, nil
	return nil
}

// module is compiled code.
type module struct {
	dev   *device
	funcs map[string]*function
}

// Load compiles what the text of m says, not m itself: what runs is what a GPU
// would be given.
func (d *device) Load(m *ptx.Module) (driver.Module, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ok("Load"); err != nil {
		return nil, err
	}
	if hopper := d.info.Major == 9; m.Target.Hopper() && !hopper {
		return nil, failure("Load", driver.CodeNoBinaryForGPU, "%s code on compute capability %d.%d", m.Target.Arch, d.info.Major, d.info.Minor)
	}
	read, err := ptx.Parse("module", m.String())
	if err != nil {
		return nil, failure("Load", driver.CodeInvalidPTX, "%v", err)
	}
	if err := ptx.Verify(read); err != nil {
		return nil, failure("Load", driver.CodeInvalidPTX, "%v", err)
	}
	out := &module{dev: d, funcs: map[string]*function{}}
	for i, k := range read.Kernels {
		keepWhere(k, m.Kernels[i])
		p, err := compile(k)
		if err != nil {
			return nil, failure("Load", driver.CodeInvalidPTX, "%v", err)
		}
		if p.shared > 48<<10 {
			return nil, failure("Load", driver.CodeInvalidPTX, "kernel %s declares %d bytes of shared memory, more than 48 KiB", k.Name, p.shared)
		}
		out.funcs[k.Name] = &function{dev: d, prog: p}
	}
	return out, nil
}

// keepWhere lets messages name the Go that wrote an instruction.
func keepWhere(read, wrote *ptx.Kernel) {
	if len(read.Body) != len(wrote.Body) {
		return
	}
	for i := range read.Body {
		if read.Body[i].Op == wrote.Body[i].Op {
			read.Body[i].Where = wrote.Body[i].Where
		}
	}
}

func (m *module) Function(k *ptx.Kernel) (driver.Function, error) {
	if f := m.funcs[k.Name]; f != nil {
		return f, nil
	}
	return nil, failure("Function", driver.CodeNotFound, "no kernel %s in the module", k.Name)
}

func (m *module) Unload() error {
	m.dev.mu.Lock()
	defer m.dev.mu.Unlock()
	m.dev.flushAll()
	m.funcs = nil
	return nil
}

// function is a compiled kernel.
type function struct {
	dev     *device
	prog    *program
	dynamic int // bytes SetShared allows
}

// Resources estimates registers by how many are alive at once.
func (f *function) Resources() driver.Resources {
	return driver.Resources{Registers: f.registers(), Shared: f.prog.shared}
}

func (f *function) registers() int {
	f.dev.mu.Lock()
	defer f.dev.mu.Unlock()
	if f.prog.live == 0 {
		f.prog.live = max(1, f.prog.liveness())
	}
	return min(255, max(16, (f.prog.live+6+7)/8*8))
}

func (f *function) SetShared(bytes int) error {
	if bytes < 0 || f.prog.sharedBytes(bytes) > f.dev.info.SharedPerBlock {
		return failure("SetShared", driver.CodeInvalidValue, "%d bytes and %d declared: a block has %d", bytes, f.prog.shared, f.dev.info.SharedPerBlock)
	}
	f.dynamic = bytes
	return nil
}

func (f *function) Blocks(threads, shared int) (int, error) {
	if threads < 1 || threads > 1024 || shared < 0 {
		return 0, failure("Blocks", driver.CodeInvalidValue, "%d threads with %d bytes", threads, shared)
	}
	warps := (threads + 31) / 32
	n := min(32, 2048/(32*warps), 65536/(f.registers()*32*warps))
	return min(n, f.dev.info.SharedPerSM/(f.prog.sharedBytes(shared)+1024)), nil
}
