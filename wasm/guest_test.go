package wasm

import (
	"context"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// guestModule assembles a plugin by hand. Exports not given are harmless ones;
// an empty, non-nil body leaves one out.
type guestModule struct {
	Builder
	manifest abi.Manifest
	exports  map[string][]byte // code by export
	locals   map[string][]byte
	section  []byte // manifest section as it is, instead of manifest
	noMemory bool
}

func newGuest(kind abi.Kind, mode abi.Mode) *guestModule {
	return &guestModule{
		manifest: abi.Manifest{Name: "test/" + string(kind), Kind: kind, Mode: mode, Fuel: 1_000_000},
		exports:  map[string][]byte{}, locals: map[string][]byte{},
	}
}

// with sets the code of an export.
func (g *guestModule) with(export string, code ...[]byte) *guestModule {
	g.exports[export] = append([]byte{}, Cat(code...)...)
	return g
}

// heapBase is where the bump allocator of these guests begins; 16 bytes below
// is its pointer.
const heapBase = 4096

func (g *guestModule) bytes() []byte {
	if !g.noMemory {
		g.Memory(1, -1)
	}
	heap := g.Global(I32, I32Const(heapBase))
	zero := I32Const(0)
	// alloc grows memory by whole pages when the bump pointer passes the end.
	alloc := Cat(
		GlobalGet(heap), LocalSet(2),
		GlobalGet(heap), LocalGet(0), I32Add, I32Const(15), I32Add, I32Const(-16), Op(0x71), GlobalSet(heap),
		Block(None, GlobalGet(heap), MemorySize, I32Const(16), Op(0x74), I32LtU, BrIf(0),
			LocalGet(0), I32Const(16), Op(0x76), I32Const(1), I32Add, MemoryGrow, Drop),
		LocalGet(2))
	frame := Cat(MemorySize, I32Const(16), Op(0x74), LocalGet(0), I32Const(65535), I32Add, I32Const(16), Op(0x76), MemoryGrow, Drop)
	g.add(abi.ExportVersion, nil, []byte{I64}, I64Const(0))
	g.addLocals(abi.ExportAlloc, []byte{I32, I32}, []byte{I32}, []byte{I32}, alloc)
	g.add(abi.ExportConfigure, []byte{I32, I32}, []byte{I32}, zero)
	switch g.manifest.Kind {
	case abi.KindSampler:
		g.add(abi.ExportFrame, []byte{I32}, []byte{I32}, frame)
		g.add(abi.ExportSample, []byte{I32}, []byte{I32}, zero)
		g.maybe(abi.ExportAccept, []byte{I64, I32, I32}, []byte{I32})
		g.maybe(abi.ExportPlan, []byte{I32}, []byte{I32})
		g.maybe(abi.ExportSeqRollback, []byte{I64, I32}, []byte{I32})
	case abi.KindFilter:
		g.add(abi.ExportFilter, []byte{I64, I32, I32, I32}, []byte{I64}, Cat(LocalGet(2), ExtendU))
		g.add(abi.ExportOut, nil, []byte{I64}, I64Const(0))
	case abi.KindTokenizer:
		g.add(abi.ExportEncode, []byte{I32, I32, I32}, []byte{I64}, I64Const(0))
		g.add(abi.ExportDecode, []byte{I32, I32, I32}, []byte{I64}, I64Const(0))
	}
	if g.manifest.Kind != abi.KindTokenizer {
		g.add(abi.ExportSeqOpen, []byte{I64, I32, I32}, []byte{I32}, zero)
		g.add(abi.ExportSeqClose, []byte{I64}, []byte{I32}, zero)
	}
	g.maybe(abi.ExportSeqFork, []byte{I64, I64}, []byte{I32})
	g.maybe(abi.ExportLastError, nil, []byte{I64})
	g.maybe(abi.ExportInit, nil, nil)
	if g.section == nil {
		g.section = abi.AppendManifest(nil, &g.manifest)
	}
	if len(g.section) > 0 {
		g.Custom(abi.ManifestSection, g.section)
	}
	return g.Bytes()
}

func (g *guestModule) add(name string, params, results, code []byte) {
	g.addLocals(name, params, results, nil, code)
}

func (g *guestModule) addLocals(name string, params, results, locals, code []byte) {
	if given, ok := g.exports[name]; ok {
		if len(given) == 0 {
			return
		}
		code, locals = given, g.locals[name]
	}
	g.Func(name, params, results, locals, code)
}

func (g *guestModule) maybe(name string, params, results []byte) {
	if _, ok := g.exports[name]; ok {
		g.add(name, params, results, nil)
	}
}

// load loads the guest, closed at the test's end.
func (g *guestModule) load(t testing.TB, o Options) *Plugin {
	t.Helper()
	p, err := Load(context.Background(), g.bytes(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// stopClock makes the breaker's clock stand, and returns what moves it.
func stopClock(p *Plugin) func(time.Duration) {
	now := time.Unix(1_000_000, 0)
	p.breaker.now = func() time.Time { return now }
	return func(d time.Duration) { now = now.Add(d) }
}

// Addresses within a frame, for guests written by hand. The window of these
// guests is what sw_frame returned; they find it by the pages there were before.
const (
	rowAction = 56
	rowToken  = 60
)

// framePtr pushes the frame's address in guests that start with one page and
// allocate nothing else by whole pages.
var framePtr = I32Const(65536)

// rowPtr pushes the address of the call's row.
var rowPtr = Cat(framePtr, framePtr, I32Load(28), I32Add)

// choose stores the outcome of a row.
func choose(c abi.Choice, token int32) []byte {
	return Cat(rowPtr, I32Const(int32(c)), I32Store(rowAction), rowPtr, I32Const(token), I32Store(rowToken), I32Const(0))
}
