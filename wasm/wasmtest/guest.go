package wasmtest

import "github.com/sandwarp/sandwarp/abi"

// Guest assembles a whole plugin. Its exports are harmless unless Code gives
// others.
type Guest struct {
	Builder
	Manifest abi.Manifest
	Code     map[string][]byte // by export; empty, but not nil, leaves it out
	Locals   map[string][]byte // value types, by export
	Section  []byte            // of the manifest, in place of Manifest; empty, but not nil, for none
	NoMemory bool              // Memory is called by the caller
}

// NewGuest is a plugin of a kind that does nothing: a sampler changes nothing, a
// filter passes all, a tokenizer knows no text.
func NewGuest(kind abi.Kind, mode abi.Mode) *Guest {
	return &Guest{
		Manifest: abi.Manifest{Name: "test/" + string(kind), Kind: kind, Mode: mode, Fuel: 1_000_000},
		Code:     map[string][]byte{}, Locals: map[string][]byte{},
	}
}

// With sets the code of an export; sampler exports beyond the required ones are
// there if they have code.
func (g *Guest) With(export string, code ...[]byte) *Guest {
	g.Code[export] = append([]byte{}, Cat(code...)...)
	return g
}

// FramePtr pushes the frame's address, in guests of one page at the start that
// allocate nothing else by whole pages; RowPtr that of the first row.
var (
	FramePtr = I32Const(65536)
	RowPtr   = Cat(FramePtr, FramePtr, I32Load(28), I32Add)
)

// Choose stores what is done with the first row, and pushes 0.
func Choose(c abi.Choice, token int32) []byte {
	return Cat(RowPtr, I32Const(int32(c)), I32Store(56), RowPtr, I32Const(token), I32Store(60), I32Const(0))
}

// Module is the plugin's bytes. It is to be called once.
func (g *Guest) Module() []byte {
	if !g.NoMemory {
		g.Memory(1, -1)
	}
	zero := I32Const(0)
	g.add(abi.ExportVersion, nil, []byte{I64}, nil, I64Const(0))
	g.add(abi.ExportAlloc, []byte{I32, I32}, []byte{I32}, []byte{I32}, g.alloc())
	g.add(abi.ExportConfigure, []byte{I32, I32}, []byte{I32}, nil, zero)
	switch g.Manifest.Kind {
	case abi.KindSampler:
		g.add(abi.ExportFrame, []byte{I32}, []byte{I32}, nil, frame)
		g.add(abi.ExportSample, []byte{I32}, []byte{I32}, nil, zero)
	case abi.KindFilter:
		g.add(abi.ExportFilter, []byte{I64, I32, I32, I32}, []byte{I64}, nil, Cat(LocalGet(2), ExtendU))
		g.add(abi.ExportOut, nil, []byte{I64}, nil, I64Const(0))
	case abi.KindTokenizer:
		g.add(abi.ExportEncode, []byte{I32, I32, I32}, []byte{I64}, nil, I64Const(0))
		g.add(abi.ExportDecode, []byte{I32, I32, I32}, []byte{I64}, nil, I64Const(0))
	}
	if g.Manifest.Kind != abi.KindTokenizer {
		g.add(abi.ExportSeqOpen, []byte{I64, I32, I32}, []byte{I32}, nil, zero)
		g.add(abi.ExportSeqClose, []byte{I64}, []byte{I32}, nil, zero)
	}
	g.optional()
	if g.Section == nil {
		g.Section = abi.AppendManifest(nil, &g.Manifest)
	}
	if len(g.Section) > 0 {
		g.Custom(abi.ManifestSection, g.Section)
	}
	return g.Bytes()
}

// optional adds the exports that are there only if they have code.
func (g *Guest) optional() {
	for _, e := range []struct {
		name            string
		params, results []byte
	}{
		{abi.ExportAccept, []byte{I64, I32, I32}, []byte{I32}},
		{abi.ExportPlan, []byte{I32}, []byte{I32}},
		{abi.ExportSeqRollback, []byte{I64, I32}, []byte{I32}},
		{abi.ExportSeqFork, []byte{I64, I64}, []byte{I32}},
		{abi.ExportManifest, nil, []byte{I64}},
		{abi.ExportLastError, nil, []byte{I64}},
		{abi.ExportInit, nil, nil},
	} {
		if _, ok := g.Code[e.name]; ok {
			g.add(e.name, e.params, e.results, nil, nil)
		}
	}
}

// alloc is a bump allocator from 4096 on, which grows memory by whole pages.
func (g *Guest) alloc() []byte {
	heap := g.Global(I32, I32Const(4096))
	return Cat(
		GlobalGet(heap), LocalSet(2),
		GlobalGet(heap), LocalGet(0), I32Add, I32Const(15), I32Add, I32Const(-16), Op(0x71), GlobalSet(heap),
		Block(None, GlobalGet(heap), MemorySize, I32Const(16), Op(0x74), I32LtU, BrIf(0),
			LocalGet(0), I32Const(16), Op(0x76), I32Const(1), I32Add, MemoryGrow, Drop),
		LocalGet(2))
}

// frame returns new pages at the end.
var frame = Cat(MemorySize, I32Const(16), Op(0x74), LocalGet(0), I32Const(65535), I32Add, I32Const(16), Op(0x76), MemoryGrow, Drop)

func (g *Guest) add(name string, params, results, locals, code []byte) {
	if given, ok := g.Code[name]; ok {
		if len(given) == 0 {
			return
		}
		code, locals = given, g.Locals[name]
	}
	g.Func(name, params, results, locals, code)
}
