package wasm

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm/internal/meter"
)

// instance is one running copy of a plugin. It serves many sequences; mu keeps
// its calls apart.
type instance struct {
	p *Plugin

	mu          sync.Mutex // guards everything but seqs
	raw         Instance
	gen         uint64        // counts resets, from 1; sequences opened earlier are gone
	funcs       [fnCount]Func // as far as they were needed; see fn
	fuel, depth Global
	starting    uint64    // fuel that the start function's calls of the host took
	globals     []Global  // the guest's own, in the image's order, once they were needed
	image       *image    // what raw was restored from, nil for none
	stack       [8]uint64 // parameters and results of calls

	scratch, scratchCap uint32 // the guest's buffer for our inputs

	frame   uint32       // address of the frame, 0 before there is one
	layout  *abi.Layout  // of the frame
	view    []byte       // the frame, nil before it is needed
	vocab   uint32       // the frame's, kept over resets
	mapped  []*sharedRow // by slot: the row that lies there
	held    bool         // rows of the memory itself were handed out
	masked  []bool       // by row of the frame: its mask may not be zero
	tasks   []task       // rows of the call in progress
	refused int          // plans that failed in a row

	seed, clock, step uint64

	top    []candidate // of op_topk and candidates frames
	seen   []uint64    // scratch of takeBack: a bit for each token, zero between calls
	ids    []int32     // of op_penalty
	backup [][]float32 // of dense rows, to undo a failed guest's work

	seqs  int         // open sequences, guarded by Plugin.mu
	slots []*sequence // dense frame rows, guarded by Plugin.mu
	fork  bool        // a copy of another: it serves what was copied and nothing else
}

// mem is a range of the guest's memory.
func (in *instance) mem(ptr, n uint32) ([]byte, bool) {
	if in.raw == nil { // the start function calls before there is an instance
		return nil, false
	}
	return in.raw.Mem(ptr, n)
}

// charge takes fuel for a host call; it says whether there was enough. Without,
// the guest traps at its next check.
func (in *instance) charge(n uint64) bool {
	if in.fuel == nil { // the start function, whose counters are out of reach
		if in.starting += n; in.starting > in.p.opt.Limits.ConfigureFuel {
			panic(string(ReasonFuel))
		}
		return true
	}
	left := int64(in.fuel.Get()) - int64(n)
	in.fuel.Set(uint64(left))
	return left >= 0
}

// start makes the instance run: fresh, or from the image after configuration.
func (in *instance) start(ctx context.Context) error {
	p := in.p
	in.raw, in.fuel, in.depth, in.globals, in.image, in.held = nil, nil, nil, nil, nil, false
	in.starting = 0
	in.forgetRows()
	clear(in.funcs[:])
	in.begun(&image{})
	raw, err := p.module.NewInstance(ctx, in)
	if err != nil {
		return fmt.Errorf("plugin %s: start: %s", p.name, firstLine(err))
	}
	in.raw, in.fuel, in.depth = raw, raw.Global(meter.FuelExport), raw.Global(meter.StackExport)
	if im := p.image.Load(); im != nil {
		if !im.restore(raw) {
			in.raw = nil
			raw.Close()
			return fmt.Errorf("plugin %s: cannot restore %d pages of memory", p.name, im.pages)
		}
		in.image = im
		in.begun(im)
		return nil
	}
	if init := raw.Func(abi.ExportInit); init != nil {
		if f := in.call(init, abi.ExportInit, p.configureFuel); f != nil {
			in.raw = nil
			raw.Close()
			return f
		}
	}
	return nil
}

// begun sets what the host knows of an instance in the state of an image.
func (in *instance) begun(im *image) {
	in.gen++
	in.seed, in.clock = in.p.opt.Seed, 1<<60
	in.scratch, in.scratchCap, in.frame, in.layout = im.scratch, im.scratchCap, im.frame, im.layout
	in.view = nil
	if in.layout != nil {
		in.vocab = in.layout.Vocab
		in.unmasked(false) // a frame in an image is empty
	}
}

// recover puts the instance back after a fault. A guest that may have filled the
// engine's stack leaves it large, so it is not kept.
func (in *instance) recover(f *Fault) error {
	if in.raw != nil && int32(in.depth.Get()) < in.p.slots-in.p.slots/8 {
		in.image = nil
	}
	return in.reset()
}

// stop closes the guest. The caller holds mu.
func (in *instance) stop() (err error) {
	if in.raw != nil {
		err = in.raw.Close()
	}
	in.raw = nil
	in.forgetRows()
	return err
}

// reset puts the instance back to the state after configuration. Its sequences
// are rebuilt at their next call.
func (in *instance) reset() error {
	in.p.stats.resets.Add(1)
	// Rows mapped into a frame the image does not have would come to lie in its heap.
	stray := in.mapped != nil && in.layout != nil && in.image != nil && in.image.layout == nil
	if im := in.image; im != nil && !in.held && !stray && im == in.p.image.Load() && im.rewind(in.raw, in.ownGlobals()) {
		in.begun(im)
		return nil
	}
	return in.renew()
}

// ownGlobals are the guest's globals.
func (in *instance) ownGlobals() []Global {
	if in.globals == nil {
		for _, name := range in.p.globals {
			in.globals = append(in.globals, in.raw.Global(name))
		}
	}
	return in.globals
}

// renew replaces the guest by a new one.
func (in *instance) renew() error {
	old := in.raw
	err := in.start(context.Background())
	if err == nil && in.image == nil { // its state cannot be captured: it is configured anew
		if err = in.configure(); err != nil {
			in.raw.Close()
		}
	}
	if old != nil {
		old.Close()
	}
	if err != nil {
		in.raw = nil
	}
	return err
}

// call runs a guest function with a budget. The parameters are in in.stack,
// where the result will be.
func (in *instance) call(f Func, name string, fuel uint64) *Fault {
	in.fuel.Set(fuel)
	in.depth.Set(uint64(uint32(in.p.slots)))
	err := f.Call(in.stack[:])
	if err == nil {
		return nil
	}
	return in.classify(name, fuel, err)
}

// do calls an export.
func (in *instance) do(e export, fuel uint64) *Fault {
	return in.call(in.fn(e), exportNames[e], fuel)
}

// used is the fuel of the last call, which had the given budget.
func (in *instance) used(budget uint64) uint64 {
	return budget - uint64(max(int64(in.fuel.Get()), 0))
}

// classify says why a call with a budget of fuel ended.
func (in *instance) classify(name string, fuel uint64, err error) *Fault {
	f := &Fault{Plugin: in.p.name, Call: name, Reason: ReasonTrap, Detail: firstLine(err)}
	switch {
	case int64(in.fuel.Get()) < 0:
		f.Reason, f.Detail = ReasonFuel, fmt.Sprintf("more than %d instructions%s", fuel, in.p.moreFuel(name))
	case int32(in.depth.Get()) < 0 || strings.Contains(f.Detail, "stack overflow"):
		f.Reason, f.Detail = ReasonStack, fmt.Sprintf("calls more than %d KiB deep", in.p.slots/(1024/8))
	}
	return f
}

// moreFuel says who may allow a call more.
func (p *Plugin) moreFuel(call string) string {
	m, lim := p.manifest, &p.opt.Limits
	switch {
	case call == abi.ExportInit || call == abi.ExportVersion || call == abi.ExportManifest || call == abi.ExportConfigure:
		if p.configureFuel == lim.ConfigureFuel {
			return ", the host's limit (Limits.ConfigureFuel)"
		}
		return " (configure_fuel in the manifest)"
	case m != nil && m.Fuel >= lim.Fuel:
		return ", the host's limit (Limits.Fuel)"
	case m != nil && m.Kind == abi.KindSampler:
		return " (fuel in the manifest)"
	}
	return " (fuel and fuel_per_byte in the manifest)"
}

func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimSuffix(s, " (recovered by wazero)")
}

func (in *instance) fault(call string, r Reason, format string, args ...any) *Fault {
	return &Fault{in.p.name, call, r, fmt.Sprintf(format, args...)}
}

// failed turns a negative result into a fault, with the guest's own words.
func (in *instance) failed(call string, c abi.Code) *Fault {
	detail := c.Error()
	if in.p.has[fnLastError] {
		if f := in.do(fnLastError, in.p.callFuel); f != nil {
			return f
		}
		if v := int64(in.stack[0]); v > 0 {
			ptr, n := abi.Unpack(v)
			text, ok := in.mem(ptr, n)
			if !ok {
				return in.fault(abi.ExportLastError, ReasonPointer, "%d bytes at %d", n, ptr)
			}
			detail += ": " + printable(text)
		}
	}
	return &Fault{in.p.name, call, ReasonError, detail}
}

// printable makes a guest's words fit for one line of ours.
func printable(b []byte) string {
	b = b[:min(len(b), 300)]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(string(b), "?"))
}

// code reads an i32 result; negative ones are faults.
func (in *instance) code(call string) *Fault {
	if c := abi.Code(int32(in.stack[0])); c < 0 {
		return in.failed(call, c)
	}
	return nil
}

// input copies b to the guest's scratch buffer and returns its address.
func (in *instance) input(b []byte) (uint32, *Fault) {
	n := uint32(len(b))
	if n > in.scratchCap || in.scratch == 0 {
		if f := in.room(max(4096, 2*n)); f != nil {
			return 0, f
		}
	}
	dst, ok := in.mem(in.scratch, n)
	if !ok {
		return 0, in.fault(abi.ExportAlloc, ReasonPointer, "%d bytes at %d", n, in.scratch)
	}
	copy(dst, b)
	return in.scratch, nil
}

// room replaces the scratch buffer by one of n bytes.
func (in *instance) room(n uint32) *Fault {
	if in.scratch != 0 && in.p.has[fnFree] {
		in.stack[0], in.stack[1], in.stack[2] = uint64(in.scratch), uint64(in.scratchCap), 16
		if f := in.do(fnFree, in.p.callFuel); f != nil {
			return f
		}
	}
	in.scratch, in.scratchCap = 0, 0
	in.stack[0], in.stack[1] = uint64(n), 16
	if f := in.do(fnAlloc, in.p.callFuel+uint64(n)); f != nil {
		return f
	}
	ptr := uint32(in.stack[0])
	if ptr == 0 {
		return in.fault(abi.ExportAlloc, ReasonError, "no memory for %d bytes", n)
	}
	if _, ok := in.mem(ptr, n); !ok {
		return in.fault(abi.ExportAlloc, ReasonPointer, "%d bytes at %d, memory has %d", n, ptr, in.raw.MemSize())
	}
	in.scratch, in.scratchCap = ptr, n
	return nil
}

// message copies b to the guest and calls e(ptr, len), whose result is a code.
// Parameters before ptr are given by first.
func (in *instance) message(e export, fuel uint64, b []byte, first ...uint64) *Fault {
	ptr, fault := in.input(b)
	if fault != nil {
		return fault
	}
	n := copy(in.stack[:], first)
	in.stack[n], in.stack[n+1] = uint64(ptr), uint64(len(b))
	if fault := in.do(e, fuel); fault != nil {
		return fault
	}
	return in.code(exportNames[e])
}

// result is the range a packed result names, at most max bytes.
func (in *instance) result(call string, v int64, max int) ([]byte, *Fault) {
	if v < 0 {
		c := abi.Code(v)
		if int64(c) != v {
			return nil, in.fault(call, ReasonResult, "result %#x is neither address << 32 | length nor an error code", uint64(v))
		}
		return nil, in.failed(call, c)
	}
	ptr, n := abi.Unpack(v)
	if int64(n) > int64(max) {
		return nil, in.fault(call, ReasonResult, "%d bytes, at most %d allowed", n, max)
	}
	b, ok := in.mem(ptr, n)
	if !ok {
		return nil, in.fault(call, ReasonPointer, "%d bytes at %d, memory has %d", n, ptr, in.raw.MemSize())
	}
	return b, nil
}
