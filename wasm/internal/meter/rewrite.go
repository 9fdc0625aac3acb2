package meter

import (
	"encoding/binary"
	"fmt"
	"strings"

	scan "github.com/sandwarp/sandwarp/wasm/internal/binary"
)

// Version changes whenever the pass would produce other bytes or other fuel
// counts for the same module; it is part of the key of compiled code.
const Version = 5

// Names of the exports the pass adds. Modules must not use the prefix.
const (
	Prefix      = "sw_meter_"
	FuelExport  = Prefix + "fuel"  // i64, instructions left, negative when run out
	StackExport = Prefix + "stack" // i32, 8-byte slots left, negative when run out
)

// Options are the values written into the module. The globals hold them when
// the engine instantiates the module, before the host can set any: they bound
// the start function.
type Options struct {
	Fuel        int64
	StackSlots  int32
	MemoryPages uint32 // most the memory can grow to
	Elements    uint32 // most the tables can grow to together
}

// Result is a rewritten module.
type Result struct {
	Bytes []byte `json:"-"`
	// Globals are the exports of all mutable globals of the guest's own.
	Globals []string
	// Snapshot says that memory and Globals are all of an instance's state.
	Snapshot bool
}

// Rewrite meters m.
func Rewrite(m *scan.Module, o Options) (*Result, error) {
	for _, e := range m.Exports {
		if strings.HasPrefix(e.Name, Prefix) {
			return nil, fmt.Errorf("wasm module: export %q: the prefix %s is reserved for the host", e.Name, Prefix)
		}
	}
	w := &writer{m: m, o: o, added: map[string]int64{}, res: &Result{Snapshot: !m.TableMutated}}
	w.res.Bytes = make([]byte, 0, len(m.Bytes)+len(m.Bytes)/2+256)
	w.res.Bytes = append(w.res.Bytes, m.Bytes[:8]...)
	w.module()
	return w.res, nil
}

// writer assembles the module's sections.
type writer struct {
	m     *scan.Module
	o     Options
	res   *Result
	types []scan.FuncType  // added behind the module's own
	added map[string]int64 // their indices, by their results
}

func (w *writer) module() {
	code := w.code() // first: it may add types
	w.vector(1, len(w.m.Types)+len(w.types), w.rest(1), w.addedTypes())
	w.copy(2)
	w.copy(3)
	w.tables()
	w.memory()
	w.vector(6, len(w.m.Globals)+2, w.rest(6), w.addedGlobals())
	added, n := w.addedExports()
	w.vector(7, len(w.m.Exports)+n, w.rest(7), added)
	w.copy(8)
	w.copy(9)
	w.copy(12)
	if len(w.m.Bodies) > 0 {
		w.vector(10, len(w.m.Bodies), code)
	}
	w.copy(11)
}

// rest is a section's content behind its count.
func (w *writer) rest(id int) []byte {
	s := w.m.Sections[id]
	if s.Start == 0 {
		return nil
	}
	b := w.m.Bytes[s.Start:s.End]
	_, n := binary.Uvarint(b)
	return b[n:]
}

func (w *writer) copy(id int) {
	if s := w.m.Sections[id]; s.Start != 0 {
		w.section(id, w.m.Bytes[s.Start:s.End])
	}
}

func (w *writer) section(id int, parts ...[]byte) {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	w.res.Bytes = binary.AppendUvarint(append(w.res.Bytes, byte(id)), uint64(n))
	for _, p := range parts {
		w.res.Bytes = append(w.res.Bytes, p...)
	}
}

func (w *writer) vector(id, n int, parts ...[]byte) {
	if n > 0 {
		w.section(id, append([][]byte{binary.AppendUvarint(nil, uint64(n))}, parts...)...)
	}
}

// code rewrites all bodies.
func (w *writer) code() []byte {
	p := &planner{m: w.m}
	e := &emitter{m: w.m, fuel: uint64(len(w.m.Globals)), stack: uint64(len(w.m.Globals)) + 1}
	s := w.m.Sections[10]
	out := make([]byte, 0, (s.End-s.Start)*3/2)
	for i := range w.m.Bodies {
		b := &w.m.Bodies[i]
		e.out = e.out[:0]
		segments := p.plan(b)
		e.body(b, segments, p.straight, p.loops(), w.blockType(b, p.loops()))
		out = append(binary.AppendUvarint(out, uint64(len(e.out))), e.out...)
	}
	return out
}

// blockType encodes the type of a block that leaves b's results.
func (w *writer) blockType(b *scan.Body, loops bool) []byte {
	results := w.m.Types[b.Type].Results
	switch {
	case !b.Calls && !loops || len(results) == 0:
		return []byte{0x40}
	case len(results) == 1:
		return []byte{byte(results[0])}
	}
	key := make([]byte, len(results))
	for i, t := range results {
		key[i] = byte(t)
	}
	i, ok := w.added[string(key)]
	if !ok {
		i = int64(len(w.m.Types) + len(w.types))
		w.added[string(key)] = i
		w.types = append(w.types, scan.FuncType{Results: results})
	}
	return appendSigned(nil, i)
}

func (w *writer) addedTypes() (b []byte) {
	for _, t := range w.types {
		b = binary.AppendUvarint(append(b, 0x60, 0), uint64(len(t.Results)))
		for _, r := range t.Results {
			b = append(b, byte(r))
		}
	}
	return b
}

func (w *writer) addedGlobals() []byte {
	b := append([]byte{byte(scan.I64), 1}, appendSigned([]byte{scan.OpI64Const}, w.o.Fuel)...)
	b = append(b, scan.OpEnd, byte(scan.I32), 1)
	b = append(b, appendSigned([]byte{scan.OpI32Const}, int64(w.o.StackSlots))...)
	return append(b, scan.OpEnd)
}

// addedExports exports the mutable globals and the two counters.
func (w *writer) addedExports() (b []byte, n int) {
	export := func(name string, global int) {
		b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
		b = binary.AppendUvarint(append(b, scan.ExportGlobal), uint64(global))
		n++
	}
	for i, g := range w.m.Globals {
		if !g.Mutable {
			continue
		}
		if g.Type == scan.V128 || g.Type == scan.FuncRef || g.Type == scan.ExternRef {
			w.res.Snapshot = false // the host cannot read these
			continue
		}
		name := fmt.Sprintf("%sg%d", Prefix, i)
		export(name, i)
		w.res.Globals = append(w.res.Globals, name)
	}
	export(FuelExport, len(w.m.Globals))
	export(StackExport, len(w.m.Globals)+1)
	return b, n
}

// limit bounds a limit's maximum.
func limit(l scan.Limit, most uint32) []byte {
	if !l.HasMax || l.Max > most {
		l.Max = max(most, l.Min)
	}
	return binary.AppendUvarint(binary.AppendUvarint([]byte{1}, uint64(l.Min)), uint64(l.Max))
}

func (w *writer) tables() {
	var b []byte
	for _, t := range w.m.Tables {
		b = append(append(b, byte(t.Elem)), limit(t.Limit, w.o.Elements/uint32(len(w.m.Tables)))...)
	}
	w.vector(4, len(w.m.Tables), b)
}

func (w *writer) memory() {
	if w.m.Memory != nil {
		w.vector(5, 1, limit(*w.m.Memory, w.o.MemoryPages))
	}
}
