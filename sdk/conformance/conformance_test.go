package conformance_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/sdk/conformance"
	"github.com/sandwarp/sandwarp/wasm"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestExamples: the committed examples keep all rules.
func TestExamples(t *testing.T) {
	found := 0
	for _, language := range []string{"c", "rust", "assemblyscript"} {
		for _, name := range []string{"banlist", "norepeat", "redact", "bytes"} {
			path := filepath.Join("..", language, "examples", name+".wasm")
			t.Run(language+"/"+name, func(t *testing.T) {
				if testing.Short() && language != "c" {
					t.Skip("the same as in C")
				}
				module, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				conformance.Run(t, module, conformance.Options{})
			})
			found++
		}
	}
	if found != 12 {
		t.Error(found)
	}
}

// TestGrammar: a sampler that errs where it is told of a token it did not allow keeps
// all rules, as nobody chooses such a token.
func TestGrammar(t *testing.T) {
	module, err := os.ReadFile(filepath.Join("..", "c", "examples", "constrain.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, config := range []map[string]any{{"regex": "a+"}, {"json": true}} {
		conformance.Run(t, module, conformance.Options{Plugin: wasm.Options{Config: config}})
		if testing.Short() {
			break
		}
	}
}

// Code of plugins written by hand. A table of words at 2048, one for each of 512
// sequences, is their state.

var zero = I32Const(0)

// slot pushes the address of a sequence's word; its number's low bits are on the stack.
var slot = Cat(I32Const(511), Op(0x71), I32Const(4), I32Mul, I32Const(2048), I32Add)

// slotOf is slot for a number in local 0 (i64).
var slotOf = Cat(LocalGet(0), Op(0xa7), slot)

// rowAt pushes the address of row i (local 1).
var rowAt = Cat(FramePtr, FramePtr, I32Load(28), I32Add, LocalGet(1), I32Const(128), I32Mul, I32Add)

// eachRow runs code for each row; local 1 counts.
func eachRow(code ...[]byte) []byte {
	return Cat(Loop(None, Cat(code...), LocalGet(1), I32Const(1), I32Add, LocalTee(1), LocalGet(0), I32LtU, BrIf(0)), zero)
}

// pick chooses the token that code pushes.
func pick(code []byte) []byte {
	return Cat(rowAt, I32Const(int32(abi.ChoicePick)), I32Store(56), rowAt, code, I32Store(60))
}

var ofSeq = Cat(rowAt, I32Load(0), slot, I32Load(0)) // the row's sequence's word

func complete(kind abi.Kind, mode abi.Mode) *Guest {
	g := NewGuest(kind, mode)
	g.Manifest.Version, g.Manifest.Description = "1", "for tests"
	switch kind {
	case abi.KindFilter:
		g.Manifest.HoldMax = 64
	case abi.KindTokenizer:
		tokens(g)
	}
	return g
}

// sampler picks what code pushes for each row.
func sampler(code []byte) *Guest {
	g := complete(abi.KindSampler, abi.ModeMask).With(abi.ExportSample, eachRow(pick(code)))
	g.Locals[abi.ExportSample] = []byte{I32}
	return g.With(abi.ExportSeqOpen, slotOf, zero, I32Store(0), zero)
}

// counting picks the number of tokens accepted, if accept adds to it what code pushes.
func counting(code []byte) *Guest {
	return sampler(ofSeq).With(abi.ExportAccept, slotOf, slotOf, I32Load(0), code, I32Add, I32Store(0), zero)
}

// dropping is a filter that drops the first character of a sequence, if it is ASCII;
// state pushes the address of the word that says whether it has begun.
func dropping(state []byte) *Guest {
	load8 := Op(0x2d, 0, 0)
	return complete(abi.KindFilter, "").With(abi.ExportSeqOpen, state, zero, I32Store(0), zero).With(abi.ExportFilter,
		LocalGet(2), I32Eqz, If(None, I64Const(0), Return),
		state, I32Load(0), I32Eqz, If(None,
			state, I32Const(1), I32Store(0),
			LocalGet(1), load8, I32Const(128), I32LtU, If(None, I64Const(abi.PackVerdict(abi.ActionReplace, 1)), Return)),
		LocalGet(2), ExtendU)
}

// low is the low half of the word on the stack.
var low = Cat(I32Const(0xffff), Op(0x71))

const out = 4 << 16 // where tokens puts its results

// tokens makes g a tokenizer whose ids are the bytes.
func tokens(g *Guest) {
	g.NoMemory = true
	g.Memory(8, -1)
	load8, store8 := Op(0x2d, 0, 0), Op(0x3a, 0, 0)
	at := func(base []byte, width int32) []byte {
		return Cat(base, LocalGet(3), I32Const(width), I32Mul, I32Add)
	}
	loop := func(code ...[]byte) []byte {
		return Cat(Block(None, Loop(None, LocalGet(3), LocalGet(1), I32LtU, I32Eqz, BrIf(1), Cat(code...),
			LocalGet(3), I32Const(1), I32Add, LocalSet(3), Br(0))))
	}
	result := func(width int64) []byte {
		return Cat(I64Const(out<<32), LocalGet(1), ExtendU, I64Const(width), Op(0x7e), I64Or)
	}
	g.With(abi.ExportEncode, loop(at(I32Const(out), 4), at(LocalGet(0), 1), load8, I32Store(0)), result(4))
	g.With(abi.ExportDecode, loop(
		at(LocalGet(0), 4), I32Load(0), I32Const(256), I32LtU, I32Eqz, If(None, I64Const(-34), Return),
		at(I32Const(out), 1), at(LocalGet(0), 4), I32Load(0), store8), result(1))
	g.Locals[abi.ExportEncode], g.Locals[abi.ExportDecode] = []byte{I32}, []byte{I32}
}

// before puts code in front of an export's.
func before(g *Guest, export string, code ...[]byte) *Guest {
	return g.With(export, Cat(code...), g.Code[export])
}

// count adds one to a word that all sequences share, and pushes it.
var count = Cat(I32Const(2040), I32Const(2040), I32Load(0), I32Const(1), I32Add, I32Store(0), I32Const(2040), I32Load(0))

var above = Op(0x4b) // i32.gt_u

// once is a plugin that can be configured only once, and whose state cannot be copied.
func once() *Guest {
	g := complete(abi.KindFilter, "")
	get := g.Import("sw1", "kv_get", []byte{I32, I32, I32, I32}, []byte{I32})
	set := g.Import("sw1", "kv_set", []byte{I32, I32, I32, I32}, []byte{I32})
	g.Table(1, -1)
	g.Manifest.Capabilities = []string{abi.CapKV}
	i32LtS, refNull, tableSet := Op(0x48), Op(0xd0, 0x70), Op(0x26, 0)
	return g.With(abi.ExportConfigure, zero, refNull, tableSet,
		zero, I32Const(1), zero, zero, Call(get), zero, i32LtS, I32Eqz, If(None, I32Const(-5), Return),
		zero, I32Const(1), zero, I32Const(1), Call(set))
}

// brokenEngine fails the calls of one function.
type brokenEngine struct {
	wasm.Engine
	export string
}

type (
	brokenModule struct {
		wasm.Module
		export string
	}
	brokenInstance struct {
		wasm.Instance
		export string
	}
	brokenFunc struct{ wasm.Func }
)

func (e brokenEngine) Compile(ctx context.Context, module []byte, imports []wasm.HostFunc, cacheDir string) (wasm.Module, error) {
	m, err := e.Engine.Compile(ctx, module, imports, cacheDir)
	return brokenModule{m, e.export}, err
}

func (m brokenModule) NewInstance(ctx context.Context, host any) (wasm.Instance, error) {
	in, err := m.Module.NewInstance(ctx, host)
	return brokenInstance{in, m.export}, err
}

func (in brokenInstance) Func(name string) wasm.Func {
	f := in.Instance.Func(name)
	if name == in.export {
		return brokenFunc{f}
	}
	return f
}

func (f brokenFunc) Call(stack []uint64) error {
	err := f.Func.Call(stack)
	stack[0] = ^uint64(4) // -5
	return err
}

// broken plugins, each of which breaks one rule.
var broken = []struct {
	rule string
	kind abi.Kind
	make func() *Guest
	o    func(*conformance.Options)
}{
	{"limits", "", func() *Guest {
		g := complete(abi.KindFilter, "")
		g.NoMemory = true
		g.Memory(60_000, -1)
		return g
	}, nil},
	{"exports", "", func() *Guest {
		g := complete(abi.KindFilter, "")
		g.Func("sw_seq_rolback", nil, nil, nil)
		return g
	}, nil},
	{"exports", "", func() *Guest { return complete(abi.KindFilter, "").With(abi.ExportOut) }, nil},
	{"load", "", func() *Guest { return complete(abi.KindFilter, "").With(abi.ExportConfigure, I32Const(-22)) }, nil},
	{"manifest", "", func() *Guest { return NewGuest(abi.KindFilter, "") }, nil},
	{"truth", "", func() *Guest {
		g := sampler(I32Const(5))
		g.Manifest.HoldMax = 5
		return g
	}, nil},
	{"truth", "", func() *Guest {
		g := sampler(I32Const(5))
		g.Manifest.Capabilities = []string{abi.CapKV}
		return g
	}, nil},
	{"truth", "", func() *Guest { // it asks for more than the manifest names
		return sampler(I32Const(5)).With(abi.ExportVersion, I64Const(int64(abi.FeatureReplay)))
	}, nil},
	{"exports", "", func() *Guest { // misspelt
		g := sampler(I32Const(5))
		g.Func("sw_acept", []byte{I64, I32, I32}, []byte{I32}, nil, zero)
		return g
	}, nil},
	{"truth", "", func() *Guest { // it tells another manifest than its section
		g := sampler(I32Const(5))
		other := g.Manifest
		other.Fuel = 99
		told := abi.AppendManifest(nil, &other)
		g.Data(100, told)
		return g.With(abi.ExportManifest, I64Const(abi.Pack(100, uint32(len(told)))))
	}, nil},
	{"reset", "", once, nil},

	{"text", abi.KindFilter, func() *Guest {
		return complete(abi.KindFilter, "").With(abi.ExportFilter, LocalGet(2), I32Const(3000), I32LtU, I32Eqz, If(None, Unreachable), LocalGet(2), ExtendU)
	}, nil},
	{"twice", abi.KindFilter, func() *Guest { // from the tenth call on it drops all
		return complete(abi.KindFilter, "").With(abi.ExportFilter, count, I32Const(10), above,
			If(None, LocalGet(2), ExtendU, I64Const(abi.PackVerdict(abi.ActionReplace, 0)), I64Or, Return), LocalGet(2), ExtendU)
	}, nil},
	{"engines", abi.KindFilter, func() *Guest { return complete(abi.KindFilter, "") }, engine(abi.ExportFilter)},
	{"chunks", abi.KindFilter, func() *Guest {
		return complete(abi.KindFilter, "").With(abi.ExportFilter,
			LocalGet(2), I32Const(1), I32Eq, If(None, I64Const(abi.PackVerdict(abi.ActionReplace, 1)), Return), LocalGet(2), ExtendU)
	}, nil},
	{"chunks", abi.KindFilter, func() *Guest { // has a word to add when the end comes alone
		g := complete(abi.KindFilter, "")
		g.Data(100, []byte("!"))
		g.With(abi.ExportOut, I64Const(abi.Pack(100, 1))).With(abi.ExportSeqOpen, slotOf, zero, I32Store(0), zero)
		return g.With(abi.ExportFilter,
			LocalGet(2), I32Eqz, slotOf, I32Load(0), Op(0x71), If(None, I64Const(abi.PackVerdict(abi.ActionReplace, 0)), Return),
			slotOf, I32Const(1), I32Store(0), LocalGet(2), ExtendU)
	}, nil},
	{"apart", abi.KindFilter, func() *Guest { return dropping(I32Const(2040)) }, nil},
	{"faults", abi.KindFilter, func() *Guest { return dropping(slotOf) }, nil},
	{"fork", abi.KindFilter, func() *Guest { // what it has judged it gets again, but not on a fork
		g := dropping(slotOf)
		g.Manifest.Features = []string{"replay"}
		return g.With(abi.ExportVersion, I64Const(int64(abi.FeatureReplay))).With(abi.ExportSeqFork, zero)
	}, nil},
	{"prompts", abi.KindFilter, func() *Guest {
		g := complete(abi.KindFilter, "")
		return g.With(abi.ExportFilter, LocalGet(3), I32Const(1), Op(0x71), If(None, I64Const(-5), Return), LocalGet(2), ExtendU)
	}, nil},

	{"logits", abi.KindSampler, func() *Guest { return complete(abi.KindSampler, abi.ModeDense).With(abi.ExportSample, I32Const(-5)) }, nil},
	{"twice", abi.KindSampler, func() *Guest { return sampler(count) }, nil},
	{"engines", abi.KindSampler, func() *Guest { return sampler(I32Const(5)) }, engine(abi.ExportSample)},
	{"apart", abi.KindSampler, func() *Guest { return sampler(count).With(abi.ExportSeqOpen, I32Const(2040), zero, I32Store(0), zero) }, nil},
	{"frame", abi.KindSampler, func() *Guest { // edits a logit and says it did nothing
		return complete(abi.KindSampler, abi.ModeDense).With(abi.ExportSample, FramePtr, FramePtr, I32Load(32), I32Add, F32Const(0.5), F32Store(0), zero)
	}, nil},
	{"rows", abi.KindSampler, func() *Guest {
		return complete(abi.KindSampler, abi.ModeMask).With(abi.ExportSample, Choose(abi.ChoicePick, 5))
	}, nil},
	{"plan", abi.KindSampler, func() *Guest { return sampler(I32Const(5)).With(abi.ExportPlan, Choose(abi.ChoicePick, 6)) }, nil},
	{"faults", abi.KindSampler, func() *Guest { return counting(I32Const(1)) }, nil},
	{"plan", abi.KindSampler, func() *Guest { // wrong for several rows only
		return sampler(I32Const(5)).With(abi.ExportPlan, LocalGet(0), I32Const(1), above, If(None, Choose(abi.ChoicePick, 6), Return), zero)
	}, nil},
	{"plan", abi.KindSampler, func() *Guest { // what was planned is not forgotten when tokens are taken back
		planned := Cat(ofSeq, I32Const(16), Op(0x76))
		g := sampler(Cat(planned, I32Const(1), I32Sub, ofSeq, low, planned, Select))
		g.With(abi.ExportAccept, slotOf, slotOf, I32Load(0), low, LocalGet(2), I32Add, I32Store(0), zero)
		g.With(abi.ExportPlan, eachRow(rowAt, I32Load(0), slot, ofSeq, low, ofSeq, low, I32Const(1), I32Add, I32Const(16), Op(0x74), Op(0x72), I32Store(0)))
		g.Locals[abi.ExportPlan] = []byte{I32}
		return g.With(abi.ExportSeqRollback, slotOf, slotOf, I32Load(0), LocalGet(1), I32Sub, I32Store(0), zero)
	}, nil},
	{"rollback", abi.KindSampler, func() *Guest { return counting(LocalGet(2)).With(abi.ExportSeqRollback, zero) }, nil},
	{"rollback", abi.KindSampler, func() *Guest { // takes back the whole of the last call, or more
		g := sampler(Cat(ofSeq, low)).With(abi.ExportAccept, slotOf, slotOf, I32Load(0), low, LocalGet(2), I32Add,
			LocalGet(2), I32Const(16), Op(0x74), Op(0x72), I32Store(0), zero)
		most := Cat(LocalGet(1), slotOf, I32Load(0), I32Const(16), Op(0x76), LocalGet(1), slotOf, I32Load(0), I32Const(16), Op(0x76), above, Select)
		return g.With(abi.ExportSeqRollback, slotOf, slotOf, I32Load(0), most, I32Sub, I32Store(0), zero)
	}, nil},
	{"fork", abi.KindSampler, func() *Guest { return counting(LocalGet(2)).With(abi.ExportSeqFork, zero) }, nil},
	{"fork-back", abi.KindSampler, func() *Guest { // a fork takes nothing back
		g := sampler(Cat(ofSeq, low)).With(abi.ExportAccept, slotOf, slotOf, I32Load(0), LocalGet(2), I32Add, I32Store(0), zero)
		forked := I32Const(1 << 16)
		g.With(abi.ExportSeqFork, LocalGet(1), Op(0xa7), slot, slotOf, I32Load(0), low, forked, Op(0x72), I32Store(0), zero)
		return g.With(abi.ExportSeqRollback, slotOf, I32Load(0), forked, Op(0x71), I32Eqz,
			If(None, slotOf, slotOf, I32Load(0), LocalGet(1), I32Sub, I32Store(0)), zero)
	}, nil},

	{"text", abi.KindTokenizer, func() *Guest { return complete(abi.KindTokenizer, "").With(abi.ExportEncode, I64Const(-5)) }, nil},
	{"twice", abi.KindTokenizer, func() *Guest {
		return before(complete(abi.KindTokenizer, ""), abi.ExportEncode, count, I32Const(10), above, If(None, I64Const(0), Return))
	}, nil},
	{"engines", abi.KindTokenizer, func() *Guest { return complete(abi.KindTokenizer, "") }, engine(abi.ExportEncode)},
	{"round-trip", abi.KindTokenizer, func() *Guest { // the first byte becomes the second
		return before(complete(abi.KindTokenizer, ""), abi.ExportDecode, LocalGet(1), I32Const(80), above,
			If(None, LocalGet(0), LocalGet(0), I32Load(4), I32Store(0)))
	}, nil},
	{"one-by-one", abi.KindTokenizer, func() *Guest {
		return before(complete(abi.KindTokenizer, ""), abi.ExportDecode, LocalGet(1), I32Const(1), I32Eq,
			LocalGet(0), I32Load(0), I32Const(256), I32LtU, Op(0x71), If(None, I64Const(0), Return))
	}, nil},
	{"special", abi.KindTokenizer, func() *Guest { // loses the text where control tokens are to be found
		return before(complete(abi.KindTokenizer, ""), abi.ExportEncode, LocalGet(2), If(None, I64Const(0), Return))
	}, nil},
	{"range", abi.KindTokenizer, func() *Guest {
		return before(complete(abi.KindTokenizer, ""), abi.ExportDecode, LocalGet(1), I32Const(1), I32Eq,
			LocalGet(0), I32Load(0), I32Const(256), I32LtU, I32Eqz, Op(0x71), If(None, Unreachable))
	}, nil},

	{"budget", "", func() *Guest {
		g := sampler(I32Const(5))
		g.Manifest.Fuel = 1e12
		return g
	}, nil},
	{"speed", "", func() *Guest {
		g := sampler(I32Const(5))
		g.Manifest.Fuel = 100_000_000
		g.Locals[abi.ExportSample] = []byte{I32, I32}
		spin := Loop(None, LocalGet(2), I32Const(1), I32Add, LocalTee(2), I32Const(2_000_000), I32LtU, BrIf(0))
		return before(g, abi.ExportSample, spin)
	}, func(o *conformance.Options) { o.P99 = 100 * time.Microsecond }},
}

func engine(export string) func(*conformance.Options) {
	return func(o *conformance.Options) {
		o.Engines = []wasm.Engine{brokenEngine{wasm.WazeroInterpreter(), export}}
	}
}

// TestBroken: each broken plugin breaks its rule and no other.
func TestBroken(t *testing.T) {
	for i, b := range broken {
		t.Run(fmt.Sprintf("%d-%s-%s", i, b.kind, b.rule), func(t *testing.T) {
			var o conformance.Options
			if b.o != nil {
				b.o(&o)
			}
			r := conformance.Check(context.Background(), b.make().Module(), o)
			if got := r.Broken(); !slices.Equal(got, []string{b.rule}) || r.OK() {
				t.Errorf("broken %v, want %s\n%s", got, b.rule, r)
			}
		})
	}
}

// strict refuses every configuration of a request: the message is to begin with
// "config" and nil.
func strict() *Guest {
	load8, i32Ne := Op(0x2d, 0, 8), Op(0x47)
	return complete(abi.KindFilter, "").With(abi.ExportSeqOpen,
		LocalGet(1), load8, I32Const(0xc0), i32Ne, If(None, I32Const(-22), Return), zero)
}

// TestKept: plugins that do what they should break none; every rule is tried.
func TestKept(t *testing.T) {
	tried, breakable := map[string]bool{}, map[string]bool{}
	for _, g := range []*Guest{
		complete(abi.KindFilter, ""), sampler(I32Const(5)), complete(abi.KindTokenizer, ""),
		counting(LocalGet(2)), complete(abi.KindSampler, abi.ModeDense), complete(abi.KindSampler, abi.ModeCandidates),
		sampler(I32Const(5)).With(abi.ExportPlan, zero), strict(),
	} {
		kind := g.Manifest.Kind
		r := conformance.Check(context.Background(), g.Module(), conformance.Options{})
		if !r.OK() {
			t.Errorf("%s %s\n%s", kind, g.Manifest.Mode, r)
		}
		for _, res := range r.Results {
			tried[string(kind)+"/"+res.Rule] = tried[string(kind)+"/"+res.Rule] || res.Passed
		}
	}
	for _, b := range broken {
		kinds := []abi.Kind{b.kind}
		if b.kind == "" {
			kinds = []abi.Kind{abi.KindFilter, abi.KindSampler, abi.KindTokenizer}
		}
		for _, kind := range kinds {
			if !tried[string(kind)+"/"+b.rule] {
				t.Errorf("%s: the rule %s was never kept", kind, b.rule)
			}
			breakable[string(kind)+"/"+b.rule] = true
		}
	}
	for rule := range tried {
		if !breakable[rule] {
			t.Errorf("no plugin breaks %s", rule)
		}
	}
}
