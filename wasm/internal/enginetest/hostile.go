package enginetest

import (
	"bytes"
	"math"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// Hostile is a plugin that means harm. A sampler does it to sequence Victim's
// neighbour Attacker only, so that the others show whether anybody else suffers.
type Hostile struct {
	Name   string
	Kind   abi.Kind
	Module []byte
	// Want are the reasons its faults may have; none: all it does is allowed.
	Want []wasm.Reason
	// Refused is in the error when it is loaded, for those that must not be.
	Refused string
	// Everybody: it fails all its sequences, not only the attacker's.
	Everybody bool
}

// Attacker is the sequence that hostile samplers attack.
const Attacker = 13

// Shapes of attack.
var (
	zero    = I32Const(0)
	endless = Loop(None, Br(0))
	// grow takes all the memory there is, then spins.
	grow = Loop(None, I32Const(16), MemoryGrow, Drop, Br(0))

	trap    = []wasm.Reason{wasm.ReasonTrap}
	fuel    = []wasm.Reason{wasm.ReasonFuel}
	stack   = []wasm.Reason{wasm.ReasonStack}
	result  = []wasm.Reason{wasm.ReasonResult}
	pointer = []wasm.Reason{wasm.ReasonPointer}
	failure = []wasm.Reason{wasm.ReasonError}
)

// Hostiles are all of them.
func Hostiles() []Hostile {
	var list []Hostile
	list = append(list, codeAttacks()...)
	list = append(list, hostAttacks()...)
	list = append(list, answerAttacks()...)
	list = append(list, filterAttacks()...)
	list = append(list, tokenizerAttacks()...)
	return append(list, loadAttacks()...)
}

// attacker is a sampler that runs code for the attacker's row. For all others it
// picks the number of tokens accepted so far, by all sequences; after the attack,
// too, unless the code returns.
func attacker(mode abi.Mode, code ...[]byte) *Guest {
	g := NewGuest(abi.KindSampler, mode)
	g.Manifest.Memory = 64
	return armed(g, code...)
}

func armed(g *Guest, code ...[]byte) *Guest {
	count := Cat(I32Const(2048), I32Const(2048), I32Load(0), LocalGet(2), I32Add, I32Store(0), zero)
	return g.With(abi.ExportAccept, count).
		With(abi.ExportSample, RowPtr, Op(0x29, 3, 0), I64Const(Attacker), Op(0x51), If(None, Cat(code...)),
			RowPtr, I32Const(int32(abi.ChoicePick)), I32Store(56), RowPtr, I32Const(2048), I32Load(0), I32Store(60), zero)
}

func sampler(name string, g *Guest, want []wasm.Reason) Hostile {
	return Hostile{Name: name, Kind: abi.KindSampler, Module: g.Module(), Want: want}
}

// codeAttacks do harm by what they run.
func codeAttacks() (list []Hostile) {
	for _, a := range []struct {
		name string
		code []byte
		want []wasm.Reason
	}{
		{"loop", endless, fuel},
		{"grow", grow, fuel},
		{"fill", Loop(None, zero, zero, I32Const(65536), MemoryFill, Br(0)), fuel},
		{"copy", Loop(None, zero, I32Const(1), I32Const(65000), MemoryCopy, Br(0)), fuel},
		{"fill 4 GiB", Cat(zero, I32Const(1), I32Const(-1), MemoryFill), []wasm.Reason{wasm.ReasonFuel, wasm.ReasonTrap}},
		{"copy past the end", Cat(I32Const(65000), zero, I32Const(1<<30), MemoryCopy), []wasm.Reason{wasm.ReasonFuel, wasm.ReasonTrap}},
		{"unreachable", Unreachable, trap},
		{"division by zero", Cat(I32Const(1), zero, Op(0x6e), Drop), trap},
		{"overflow", Cat(I32Const(math.MinInt32), I32Const(-1), Op(0x6d), Drop), trap},
		{"NaN as an integer", Cat(F32Const(float32(nan())), Op(0xa8), Drop), trap},
		{"load beyond memory", Cat(I32Const(-8), I32Load(0), Drop), trap},
		{"store wraps", Cat(I32Const(-1), I32Const(1), I32Store(0xffff_ffff)), trap},
		{"wipes its memory", Cat(zero, zero, I32Const(65536), MemoryFill, Unreachable), trap},
	} {
		list = append(list, sampler(a.name, attacker(abi.ModeMask, a.code), a.want))
	}
	list = append(list, recursions()...)
	g := NewGuest(abi.KindSampler, abi.ModeMask)
	typ := g.Type([]byte{F64}, nil)
	g.Table(2, 2)
	g.Elem(0, 0)
	list = append(list, sampler("call of another type", armed(g, Op(0x44, 0, 0, 0, 0, 0, 0, 0, 0), zero, CallIndirect(typ)), trap))
	g = NewGuest(abi.KindSampler, abi.ModeMask)
	typ = g.Type(nil, nil)
	g.Table(2, 2)
	list = append(list, sampler("call of nothing", armed(g, I32Const(1), CallIndirect(typ)), trap))
	// Every third call traps.
	count := Cat(I32Const(2052), I32Const(2052), I32Load(0), I32Const(1), I32Add, I32Store(0))
	list = append(list, sampler("trap on the third call", attacker(abi.ModeMask, count, I32Const(2052), I32Load(0), I32Const(3), Op(0x70), I32Eqz, If(None, Unreachable)), trap))
	// Slow, within its budget.
	g = attacker(abi.ModeMask, I32Const(150_000), LocalSet(1), Loop(None, LocalGet(1), I32Const(1), I32Sub, LocalTee(1), BrIf(0)))
	g.Locals[abi.ExportSample] = []byte{I32}
	return append(list, sampler("slow", g, nil))
}

func recursions() (list []Hostile) {
	for _, how := range []string{"self", "mutual", "indirect", "big frames"} {
		g := NewGuest(abi.KindSampler, abi.ModeMask)
		g.Manifest.Fuel = 100_000_000
		typ := g.Type(nil, nil)
		switch how {
		case "mutual":
			g.Func("", nil, nil, nil, Call(1))
			g.Func("", nil, nil, nil, Call(0))
		case "indirect":
			g.Func("", nil, nil, nil, zero, CallIndirect(typ))
			g.Table(1, 1)
			g.Elem(0, 0)
		case "big frames":
			g.Func("", nil, nil, bytes.Repeat([]byte{V128}, 2000), Call(0))
		default:
			g.Func("", nil, nil, nil, Call(0))
		}
		list = append(list, sampler("recursion: "+how, armed(g, Call(0)), stack))
	}
	return list
}

// hostAttacks do harm through host functions.
func hostAttacks() (list []Hostile) {
	add := func(name, module, function string, params, results []byte, want []wasm.Reason, code ...[]byte) {
		g := NewGuest(abi.KindSampler, abi.ModeMask)
		g.Import(module, function, params, results)
		list = append(list, sampler(name, armed(g, code...), want))
	}
	i4 := []byte{I32, I32, I32, I32}
	spin := func(code ...[]byte) []byte { return Loop(None, Cat(code...), Drop, Br(0)) }
	add("log flood", "sw1", "log", []byte{I32, I32, I32}, []byte{I32}, fuel, spin(zero, zero, I32Const(60_000), Call(0)))
	add("log of 2^31 bytes", "sw1", "log", []byte{I32, I32, I32}, []byte{I32}, fuel, spin(zero, I32Const(8), I32Const(math.MinInt32), Call(0)))
	add("log wraps", "sw1", "log", []byte{I32, I32, I32}, []byte{I32}, fuel, spin(zero, I32Const(-8), I32Const(100), Call(0)))
	add("top-k of 2^31", "sw1", "op_topk", i4, []byte{I32}, fuel, spin(FramePtr, I32Const(math.MinInt32), I32Const(math.MaxInt32), FramePtr, Call(0)))
	add("top-k onto its input", "sw1", "op_topk", i4, []byte{I32}, fuel, spin(FramePtr, I32Const(100), I32Const(100), FramePtr, Call(0)))
	add("mask over its own frame", "sw1", "op_mask", []byte{I32, I32, I32}, []byte{I32}, fuel, spin(FramePtr, I32Const(64), FramePtr, Call(0)))
	add("penalty of wild ids", "sw1", "op_penalty", []byte{I32, I32, I32, I32, F32, F32, F32}, []byte{I32}, fuel,
		I32Const(3000), I32Const(-5), I32Store(0), I32Const(3004), I32Const(math.MaxInt32), I32Store(0),
		spin(I32Const(1024), I32Const(100), I32Const(3000), I32Const(2), F32Const(0), F32Const(float32(nan())), F32Const(float32(math.Inf(-1))), Call(0)))
	add("exit", "wasi_snapshot_preview1", "proc_exit", []byte{I32}, nil, trap, zero, Call(0))
	add("opens files", "wasi_snapshot_preview1", "path_open", []byte{I32, I32, I32, I32, I32, I64, I64, I32, I32}, []byte{I32}, trap,
		I32Const(3), zero, zero, I32Const(100), zero, I64Const(-1), I64Const(-1), zero, I32Const(2052), Call(0), I32Const(52), I32Eq, If(None, Unreachable))
	add("writes to a file", "wasi_snapshot_preview1", "fd_write", i4, []byte{I32}, trap,
		I32Const(5), zero, I32Const(-1), I32Const(2052), Call(0), I32Const(8), I32Eq, If(None, Unreachable))
	add("writes 2^31 vectors", "wasi_snapshot_preview1", "fd_write", i4, []byte{I32}, fuel, spin(I32Const(1), I32Const(-16), I32Const(-1), I32Const(-1), Call(0)))
	add("random bytes over everything", "wasi_snapshot_preview1", "random_get", []byte{I32, I32}, []byte{I32}, []wasm.Reason{wasm.ReasonFuel, wasm.ReasonTrap},
		spin(zero, I32Const(65536), Call(0)))
	return list
}

// answerAttacks answer what the host must not believe.
func answerAttacks() (list []Hostile) {
	cand := Cat(FramePtr, FramePtr, I32Load(48), I32Add)
	logits := Cat(FramePtr, FramePtr, I32Load(32), I32Add)
	row := func(off uint32, v int32) []byte { return Cat(RowPtr, I32Const(v), I32Store(off)) }
	inf := float32(math.Inf(1))
	// allLogits sets every logit of the row, 100 of them.
	allLogits := func(v float32) []byte {
		return Cat(I32Const(100), LocalSet(1), Loop(None, LocalGet(1), I32Const(1), I32Sub, LocalTee(1), I32Const(2), Op(0x74), logits, I32Add,
			F32Const(v), F32Store(0), LocalGet(1), BrIf(0)))
	}
	// biasAll stores a bias for each of 100 tokens at 8192.
	biasAll := func(v float32) []byte {
		return Cat(I32Const(100), LocalSet(1), Loop(None, LocalGet(1), I32Const(1), I32Sub, LocalTee(1), I32Const(3), Op(0x74), I32Const(8192), I32Add, LocalGet(1), I32Store(0),
			LocalGet(1), I32Const(3), Op(0x74), F32Const(v), F32Store(8196), LocalGet(1), BrIf(0)), row(68, 8192), row(72, 100))
	}
	oneBias := func(id int32, v float32) []byte {
		return Cat(I32Const(8192), I32Const(id), I32Store(0), I32Const(8192), F32Const(v), F32Store(4), row(68, 8192), row(72, 1))
	}
	// twice makes the second candidate the first one again; allCandidates sets the
	// logits of all.
	twice := func(v float32) []byte {
		return Cat(cand, cand, I32Load(0), I32Store(8), cand, F32Const(v), F32Store(12))
	}
	allCandidates := func(v float32) []byte {
		return Cat(I32Const(100), LocalSet(1), Loop(None, LocalGet(1), I32Const(1), I32Sub, LocalTee(1), I32Const(3), Op(0x74), cand, I32Add,
			F32Const(v), F32Store(4), LocalGet(1), BrIf(0)))
	}
	biggest := float32(math.MaxFloat32)
	for _, a := range []struct {
		name   string
		mode   abi.Mode
		before []byte
		choice abi.Choice
		token  int32
		want   []wasm.Reason
	}{
		{"token -1", abi.ModeMask, nil, abi.ChoicePick, -1, result},
		{"token beyond the vocabulary", abi.ModeMask, nil, abi.ChoicePick, 100, result},
		{"unknown choice", abi.ModeMask, nil, 77, 0, result},
		{"edit without logits", abi.ModeMask, nil, abi.ChoiceEdit, 0, result},
		{"empty mask", abi.ModeMask, nil, abi.ChoiceMask, 0, result},
		{"mask beyond the vocabulary", abi.ModeMask, Cat(FramePtr, FramePtr, I32Load(40), I32Add, I32Const(-16), I32Store(12)), abi.ChoiceMask, 0, result},
		{"mask of candidates", abi.ModeCandidates, nil, abi.ChoiceMask, 0, result},
		{"2^31 biases", abi.ModeMask, row(72, math.MinInt32), abi.ChoiceBias, 0, result},
		{"biases beyond memory", abi.ModeMask, Cat(row(68, 0x7fff_0000), row(72, 5)), abi.ChoiceBias, 0, pointer},
		{"biases wrap", abi.ModeMask, Cat(row(68, -8), row(72, 5)), abi.ChoiceBias, 0, pointer},
		{"bias of token -1", abi.ModeMask, oneBias(-1, 1), abi.ChoiceBias, 0, result},
		{"bias beyond the vocabulary", abi.ModeMask, oneBias(100, 1), abi.ChoiceBias, 0, result},
		{"NaN bias", abi.ModeMask, oneBias(1, float32(nan())), abi.ChoiceBias, 0, result},
		{"infinite bias", abi.ModeMask, oneBias(1, inf), abi.ChoiceBias, 0, result},
		{"bias adds up to infinity", abi.ModeMask, Cat(oneBias(1, biggest), I32Const(8200), I32Const(1), I32Store(0), I32Const(8200), F32Const(biggest), F32Store(4), row(72, 2)), abi.ChoiceBias, 0, nil},
		{"biases exclude all", abi.ModeMask, biasAll(-inf), abi.ChoiceBias, 0, result},
		{"mask and bias exclude all", abi.ModeMask, Cat(FramePtr, FramePtr, I32Load(40), I32Add, I32Const(2), I32Store(0), oneBias(1, -inf)), abi.ChoiceMask, 0, result},
		{"NaN candidate", abi.ModeCandidates, Cat(cand, F32Const(float32(nan())), F32Store(4)), abi.ChoiceEdit, 0, result},
		{"infinite candidate", abi.ModeCandidates, Cat(cand, F32Const(inf), F32Store(4)), abi.ChoiceKeep, 0, result},
		{"candidate -5", abi.ModeCandidates, Cat(cand, I32Const(-5), I32Store(0)), abi.ChoiceEdit, 0, result},
		{"candidate beyond the vocabulary", abi.ModeCandidates, Cat(cand, I32Const(100), I32Store(0)), abi.ChoiceEdit, 0, result},
		{"a candidate twice", abi.ModeCandidates, Cat(cand, cand, Op(0x29, 3, 8), I64Store(0)), abi.ChoiceEdit, 0, nil},
		{"2^31 candidates", abi.ModeCandidates, row(24, math.MinInt32), abi.ChoiceEdit, 0, result},
		{"no candidates", abi.ModeCandidates, row(24, 0), abi.ChoiceEdit, 0, result},
		{"excludes by a second entry", abi.ModeCandidates, Cat(twice(-inf), row(24, 2)), abi.ChoiceEdit, 0, result},
		{"keeps nothing", abi.ModeCandidates, allCandidates(-inf), abi.ChoiceKeep, 0, result},
		{"NaN logit", abi.ModeDense, Cat(logits, F32Const(float32(nan())), F32Store(40)), abi.ChoiceEdit, 0, result},
		{"infinite logit", abi.ModeDense, Cat(logits, F32Const(inf), F32Store(40)), abi.ChoiceEdit, 0, result},
		{"all logits NaN", abi.ModeDense, allLogits(float32(nan())), abi.ChoiceEdit, 0, result},
		{"all logits -Inf", abi.ModeDense, allLogits(-inf), abi.ChoiceEdit, 0, result},
		{"denormal logits", abi.ModeDense, allLogits(math.SmallestNonzeroFloat32), abi.ChoiceEdit, 0, nil},
		{"largest logits", abi.ModeDense, allLogits(biggest), abi.ChoiceEdit, 0, nil},
		{"lowest logits", abi.ModeDense, allLogits(-biggest), abi.ChoiceEdit, 0, nil},
		{"edits and says nothing", abi.ModeDense, allLogits(-inf), abi.ChoiceNone, 0, []wasm.Reason{wasm.ReasonResult, ""}},
		{"takes another's handle", abi.ModeMask, Cat(RowPtr, I64Const(1), I64Store(0), row(4, 0)), abi.ChoicePick, 7, nil},
		{"lies about the frame", abi.ModeMask, Cat(FramePtr, I32Const(-1), I32Store(8), FramePtr, I32Const(-1), I32Store(12), FramePtr, I32Const(-64), I32Store(40), FramePtr, I32Const(-1), I32Store(52)), abi.ChoiceNone, 0, nil},
		{"scribbles over the frame", abi.ModeMask, Cat(FramePtr, I32Const(0xff), I32Const(512), MemoryFill, zero, Return), 0, 0, result},
	} {
		g := attacker(a.mode, a.before, Choose(a.choice, a.token), Return)
		if bytes.Contains(a.before, Cat(I32Const(100), LocalSet(1))) {
			g.Locals[abi.ExportSample] = []byte{I32}
		}
		list = append(list, sampler(a.name, g, a.want))
	}
	list = append(list,
		sampler("returns an error", attacker(abi.ModeMask, I32Const(int32(abi.EIO)), Return), failure),
		sampler("returns -2^31", attacker(abi.ModeMask, I32Const(math.MinInt32), Return), failure))
	for name, code := range map[string][]byte{
		"window beyond memory": I32Const(0x7fff0000), "window unaligned": I32Const(100), "window of less than asked": Cat(zero, MemoryGrow, I32Const(16), Op(0x74)),
	} {
		h := sampler(name, attacker(abi.ModeMask).With(abi.ExportFrame, code), []wasm.Reason{wasm.ReasonPointer, wasm.ReasonResult})
		h.Everybody = true
		list = append(list, h)
	}
	return list
}

// filterAttacks are filters; the text is "abcdé".
func filterAttacks() (list []Hostile) {
	packed := func(ptr, n uint32) []byte { return I64Const(abi.Pack(ptr, n)) }
	verdict := func(a abi.Action, n uint32) []byte { return I64Const(abi.PackVerdict(a, n)) }
	replace := verdict(abi.ActionReplace, 6)
	for _, a := range []struct {
		name, export string
		code         []byte
		want         []wasm.Reason
	}{
		{"filter loops", abi.ExportFilter, Cat(endless, I64Const(0)), fuel},
		{"filter traps", abi.ExportFilter, Unreachable, trap},
		{"out beyond memory", abi.ExportOut, packed(60_000, 60_000), pointer},
		{"out wraps", abi.ExportOut, packed(0x7fffffff, 100), pointer},
		{"out of 2^31 bytes", abi.ExportOut, packed(0, 1<<31), result},
		{"out of 2^32-1 bytes", abi.ExportOut, packed(0, math.MaxUint32), result},
		{"out is no code", abi.ExportOut, I64Const(math.MinInt64), result},
		{"out fails", abi.ExportOut, I64Const(int64(abi.EIO)), failure},
		{"out loops", abi.ExportOut, Cat(endless, I64Const(0)), fuel},
		{"out is not UTF-8", abi.ExportOut, packed(100, 1), result},
		{"consumes too much", abi.ExportFilter, verdict(abi.ActionPass, 7), result},
		{"consumes 2^31", abi.ExportFilter, verdict(abi.ActionReplace, 1<<31), result},
		{"unknown action", abi.ExportFilter, verdict(99, 0), result},
		{"reserved bits", abi.ExportFilter, I64Const(1 << 40), result},
		{"holds and consumes", abi.ExportFilter, verdict(abi.ActionHold, 1), result},
		{"cuts a character", abi.ExportFilter, verdict(abi.ActionPass, 5), result},
		{"holds too much", abi.ExportFilter, verdict(abi.ActionHold, 0), result},
		{"filter fails", abi.ExportFilter, I64Const(int64(abi.EIO)), failure},
	} {
		g := NewGuest(abi.KindFilter, "").With(abi.ExportFilter, replace).With(a.export, a.code)
		g.Manifest.HoldMax = 3
		g.Data(100, []byte{0xff})
		list = append(list, Hostile{Name: a.name, Kind: abi.KindFilter, Module: g.Module(), Want: a.want})
	}
	return list
}

// tokenizerAttacks are tokenizers of a vocabulary of 1,000.
func tokenizerAttacks() (list []Hostile) {
	one := func(id int32) []byte { return Cat(I32Const(64), I32Const(id), I32Store(0), I64Const(abi.Pack(64, 4))) }
	for _, a := range []struct {
		name string
		code []byte
		want []wasm.Reason
	}{
		{"10^7 ids for a byte", I64Const(abi.Pack(0, 40_000_000)), result},
		{"ids beyond memory", I64Const(abi.Pack(65530, 40)), pointer},
		{"half an id", I64Const(abi.Pack(0, 6)), result},
		{"id -2", one(-2), result},
		{"id beyond the vocabulary", one(1000), result},
		{"encoder loops", Cat(endless, I64Const(0)), fuel},
		{"encoder traps", Unreachable, trap},
	} {
		g := NewGuest(abi.KindTokenizer, "").With(abi.ExportEncode, a.code)
		g.Manifest.Vocab = 1000
		list = append(list, Hostile{Name: a.name, Kind: abi.KindTokenizer, Module: g.Module(), Want: a.want})
	}
	return list
}

// loadAttacks must not be loaded.
func loadAttacks() (list []Hostile) {
	add := func(name, refused string, change func(g *Guest)) {
		g := NewGuest(abi.KindFilter, "")
		change(g)
		list = append(list, Hostile{Name: name, Kind: abi.KindFilter, Module: g.Module(), Refused: refused})
	}
	code := func(export string, code ...[]byte) func(*Guest) {
		return func(g *Guest) { g.With(export, code...) }
	}
	section := func(b []byte) func(*Guest) { return func(g *Guest) { g.Section = b } }
	head := abi.AppendString(abi.AppendMap(nil, 1), "name")
	add("another ABI's version", "no export sw_abi_v1", code(abi.ExportVersion))
	add("no alloc", "sw_alloc is missing", code(abi.ExportAlloc))
	add("missing export", "sw_out is missing", code(abi.ExportOut))
	add("looping start", "start", func(g *Guest) { g.Start(g.Func("", nil, nil, nil, endless)) })
	add("recursive start", "start", func(g *Guest) { g.Start(g.Func("", nil, nil, nil, Call(0))) })
	add("looping version", "out of fuel", code(abi.ExportVersion, endless, I64Const(0)))
	add("looping configure", "out of fuel", code(abi.ExportConfigure, endless, zero))
	add("unknown feature bits", "feature bit 40", code(abi.ExportVersion, I64Const(1<<40)))
	add("deep msgpack", "manifest", section(bytes.Repeat([]byte{0x91}, 60_000)))
	add("forged msgpack length", "manifest", section(append(bytes.Clone(head), 0xdb, 255, 255, 255, 255)))
	add("forged msgpack map", "manifest", section([]byte{0xdf, 255, 255, 255, 255}))
	add("alloc beyond memory", "sw_alloc", code(abi.ExportAlloc, I32Const(0x7fff0000)))
	add("alloc wraps", "sw_alloc", code(abi.ExportAlloc, I32Const(-16)))
	add("alloc of nothing", "sw_alloc", code(abi.ExportAlloc, zero))
	add("65,536 pages", "65536 pages", func(g *Guest) { g.NoMemory = true; g.Memory(65536, -1) })
	add("unknown import", "sw1.fly", func(g *Guest) { g.Import("sw1", "fly", nil, nil) })
	add("another module's import", "env.system", func(g *Guest) { g.Import("env", "system", []byte{I32}, []byte{I32}) })
	add("not granted", `capability "kv"`, func(g *Guest) { g.Manifest.Capabilities = []string{abi.CapKV} })
	add("start calls the host", "out of fuel", func(g *Guest) {
		g.Import("sw1", "now", nil, []byte{I64})
		g.Start(g.Func("", nil, nil, nil, Loop(None, Call(0), Drop, Br(0))))
	})
	// Of a number an address of the host's.
	add("forged reference", "take and return numbers", func(g *Guest) {
		g.Manifest.OptionalFeatures = []string{"sw1.forge"}
		g.Import("sw1", "forge", []byte{I64}, []byte{0x70})
		g.Table(1, 1)
		typ := g.Type(nil, nil)
		g.With(abi.ExportFilter, zero, I64Const(0x1234), Call(0), Op(0x26, 0), zero, CallIndirect(typ), I64Const(0))
	})
	add("import of a vector", "take and return numbers", func(g *Guest) {
		g.Manifest.OptionalFeatures = []string{"sw1.x"}
		g.Import("sw1", "x", []byte{V128}, nil)
	})
	add("import of two signatures", "appears twice", func(g *Guest) {
		g.Import("sw1", "now", nil, []byte{I64})
		g.Import("sw1", "now", nil, nil)
	})
	add("import of two readings", "import sw1.x.y", func(g *Guest) {
		g.Manifest.OptionalFeatures = []string{"sw1.x.y"}
		g.Import("sw1", "x.y", nil, nil)
		g.Import("sw1.x", "y", nil, nil)
	})
	// In a long form of v128.const an engine may see another instruction, and code in the
	// constant: the end of the block, and a loop that nobody metered.
	hidden := append(Cat(End, endless, Op(0x02, None), Unreachable), bytes.Repeat(Nop, 7)...)
	vector := Cat(Op(0xfd, 12), make([]byte, 16))
	add("a loop in a constant", "in more bytes than it needs", code(abi.ExportFilter,
		Block(None, I32Const(1), BrIf(0), vector, I32Const(1), Op(0xfd, 0x8c, 0), hidden, Drop, Drop, Drop), I64Const(0)))
	add("the host's names", "sw_meter_", func(g *Guest) { g.Export("sw_meter_fuel", 3, g.Global(I64, I64Const(1<<60))) })
	return list
}
