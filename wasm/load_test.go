package wasm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func refused(t *testing.T, what string, module []byte, o Options, want ...string) {
	t.Helper()
	p, err := Load(context.Background(), module, o)
	if err == nil {
		p.Close()
		t.Errorf("%s: loaded", what)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %v; want %q in it", what, err, w)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	filter := func() *guestModule { return newGuest(abi.KindFilter, "") }
	none := []byte{}
	for _, c := range []struct {
		what string
		g    *guestModule
		want []string
	}{
		{"no version", filter().with(abi.ExportVersion, none), []string{"no export sw_abi_v1", "not a sandwarp plugin"}},
		{"no alloc", filter().with(abi.ExportAlloc, none), []string{"export sw_alloc is missing"}},
		{"no filter", filter().with(abi.ExportFilter, none), []string{"export sw_filter is missing"}},
		{"no seq_open", filter().with(abi.ExportSeqOpen, none), []string{"export sw_seq_open is missing"}},
		{"no out", filter().with(abi.ExportOut, none), []string{"export sw_out is missing"}},
		{"unknown feature bit", filter().with(abi.ExportVersion, I64Const(1<<40)), []string{"feature bit 40"}},
		{"no manifest", func() *guestModule { g := filter(); g.section = none; return g }(), []string{"sw.manifest", "sw_manifest"}},
		{"bad manifest", func() *guestModule { g := filter(); g.section = []byte{0xdf, 255, 255, 255, 255}; return g }(), []string{"manifest", "offset"}},
		{"manifest of a map of 4e9", func() *guestModule {
			g := filter()
			g.section = append(AppendHead(), 0xdb, 255, 255, 255, 255)
			return g
		}(), []string{"manifest"}},
		{"unknown feature", func() *guestModule { g := filter(); g.manifest.Features = []string{"telepathy"}; return g }(), []string{`feature "telepathy"`}},
		{"capability not granted", func() *guestModule { g := filter(); g.manifest.Capabilities = []string{"kv"}; return g }(), []string{`capability "kv"`, "not granted"}},
		{"more memory than it asks for", func() *guestModule {
			g := filter()
			g.noMemory = true
			g.Memory(20, -1)
			g.manifest.Memory = 10
			return g
		}(), []string{"20 pages", "allows 10"}},
		{"configuration refused", filter().with(abi.ExportConfigure, I32Const(int32(abi.EINVAL))), []string{"sw_configure", "malformed argument (-22)"}},
		{"configuration loops", filter().with(abi.ExportConfigure, endless, zero), []string{"sw_configure", "out of fuel", "1000000 instructions", "Limits.ConfigureFuel"}},
		{"configuration loops in less", func() *guestModule {
			g := filter()
			g.manifest.ConfigureFuel = 5000
			return g
		}().with(abi.ExportConfigure, endless, zero), []string{"out of fuel: more than 5000 instructions (configure_fuel in the manifest)"}},
		{"initialisation loops", filter().with(abi.ExportInit, endless), []string{"_initialize", "out of fuel"}},
		{"initialisation traps", filter().with(abi.ExportInit, Unreachable), []string{"_initialize", "trap"}},
		{"version loops", filter().with(abi.ExportVersion, endless, I64Const(0)), []string{"sw_abi_v1", "out of fuel"}},
	} {
		refused(t, c.what, c.g.bytes(), Options{Limits: Limits{ConfigureFuel: 1_000_000}}, c.want...)
	}
	g := filter()
	g.Start(g.Func("", nil, nil, nil, endless))
	refused(t, "looping start", g.bytes(), Options{Limits: Limits{ConfigureFuel: 1_000_000}}, "start", "unreachable")
	refused(t, "no wasm", []byte("GGUF"), Options{}, "not a WebAssembly module")
	refused(t, "too large", make([]byte, 2000), Options{Limits: Limits{Module: 1000}}, "at most 1000")
	refused(t, "grant of nothing", filter().bytes(), Options{Grant: []string{"network"}}, "Options.Grant", `"network" is no capability; there are log,`)
	refused(t, "misspelt denial", filter().bytes(), Options{Deny: []string{"vocabulary"}}, "Options.Deny", "kv, vocab")
	refused(t, "bad configuration", filter().bytes(), Options{Config: []byte{0xc1}}, "configuration")
	refused(t, "deep configuration", filter().bytes(), Options{Config: bytes.Repeat([]byte{0x91}, 100_000)}, "nested deeper")
}

// AppendHead begins a manifest whose name's length is forged by what follows.
func AppendHead() []byte { return abi.AppendString(abi.AppendMap(nil, 1), "name") }

func TestOtherABI(t *testing.T) {
	m := &Builder{}
	m.Memory(1, 1)
	m.Func("sw_abi_v2", nil, []byte{I64}, nil, I64Const(0))
	refused(t, "version 2", m.Bytes(), Options{}, "ABI version 2", "version 1")
	m = &Builder{}
	m.Import("sw2", "log", nil, nil)
	m.Memory(1, 1)
	m.Func("sw_abi_v1", nil, []byte{I64}, nil, I64Const(0))
	m.Func("sw_alloc", []byte{I32, I32}, []byte{I32}, nil, zero)
	m.Func("sw_configure", []byte{I32, I32}, []byte{I32}, nil, zero)
	m.Func("sw_manifest", nil, []byte{I64}, nil, I64Const(0))
	refused(t, "imports of version 2", m.Bytes(), Options{}, "sw2.log", "another version of the ABI")
	m = &Builder{}
	m.Memory(1, 1)
	m.Func("sw_abi_v1", nil, []byte{I32}, nil, zero)
	refused(t, "wrong signature", m.Bytes(), Options{}, "sw_abi_v1", "signature")
}

func TestImports(t *testing.T) {
	call := func(module, name string, params, results []byte, change func(*guestModule)) *guestModule {
		g := newGuest(abi.KindFilter, "")
		g.Import(module, name, params, results)
		if change != nil {
			change(g)
		}
		return g
	}
	get := []byte{I32, I32, I32, I32}
	refused(t, "unknown", call("sw1", "fly", nil, nil, nil).bytes(), Options{}, "sw1.fly", "no such function")
	refused(t, "unknown module", call("env", "abort", nil, nil, nil).bytes(), Options{}, "env.abort", "sw1 only")
	refused(t, "undeclared", call("sw1", "kv_get", get, []byte{I32}, nil).bytes(), Options{}, "sw1.kv_get", `capability "kv"`)
	refused(t, "signature", call("sw1", "now", nil, []byte{I32}, nil).bytes(), Options{}, "sw1.now", "signature")
	refused(t, "two results", call("sw1", "now", nil, []byte{I64, I64}, nil).bytes(), Options{}, "2 results")
	refused(t, "wasi signature", call(wasiModule, "proc_exit", nil, nil, nil).bytes(), Options{}, "proc_exit")

	// Optional ones become stubs: the filter releases as many bytes as the
	// negated result says.
	release := func(args []byte) func(g *guestModule) {
		return func(g *guestModule) {
			g.manifest.OptionalFeatures = []string{"sw1.fly"}
			g.manifest.OptionalCapabilities = []string{abi.CapKV}
			g.with(abi.ExportFilter, zero, Cat(args, Call(0)), I32Sub, ExtendU)
		}
	}
	four := Cat(zero, zero, zero, zero)
	text := bytes.Repeat([]byte("x"), 50)
	for _, c := range []struct {
		g    *guestModule
		o    Options
		want int
	}{
		{call("sw1", "fly", nil, []byte{I32}, release(nil)), Options{}, 38},
		{call("sw1", "kv_get", get, []byte{I32}, release(four)), Options{}, 38},
		{call("sw1", "kv_get", get, []byte{I32}, release(four)), Options{Grant: []string{abi.CapKV}}, 2}, // ENOENT
		{call("sw1", "log", []byte{I32, I32, I32}, []byte{I32}, release(Cat(zero, zero, zero))), Options{Deny: []string{abi.CapLog}}, 38},
		{call("sw1", "log", []byte{I32, I32, I32}, []byte{I32}, release(Cat(zero, I32Const(-1), I32Const(100)))), Options{}, 14},
	} {
		p := c.g.load(t, c.o)
		open(t, p, 1)
		if _, n, _, err := p.Filter(1, text, 0); n != c.want || err != nil {
			t.Errorf("%d bytes released, want %d; %v", n, c.want, err)
		}
	}
}

// WASI offers no files and no real clock: path_open fails, the clock is virtual
// and the same each time.
func TestWASI(t *testing.T) {
	for range 2 {
		g := newGuest(abi.KindFilter, "")
		g.Import(wasiModule, "path_open", []byte{I32, I32, I32, I32, I32, I64, I64, I32, I32}, []byte{I32})
		g.Import(wasiModule, "fd_prestat_get", []byte{I32, I32}, []byte{I32})
		g.Import(wasiModule, "clock_time_get", []byte{I32, I64, I32}, []byte{I32})
		g.Import(wasiModule, "proc_exit", []byte{I32}, nil)
		g.with(abi.ExportFilter, LocalGet(3), I32Const(1), I32Eq, If(None, I32Const(7), Call(3)),
			I32Const(3), zero, zero, zero, zero, I64Const(0), I64Const(0), zero, zero, Call(0), // 52
			I32Const(3), I32Const(128), Call(1), I32Add, // 8
			zero, I64Const(0), I32Const(128), Call(2), I32Add, // 0
			ExtendU)
		p := g.load(t, Options{})
		open(t, p, 1)
		if _, n, _, err := p.Filter(1, bytes.Repeat([]byte("x"), 70), 0); n != wasiNoSys+wasiBadFD || err != nil {
			t.Errorf("%d %v", n, err)
		}
		b, _ := p.instances[0].mem(128, 8)
		if !bytes.Equal(b, []byte{0xe8, 3, 0, 0, 0, 0, 0, 0x10}) {
			t.Errorf("clock %x", b)
		}
		_, _, _, err := p.Filter(1, []byte("x"), abi.FlagPrompt)
		if f := (*Fault)(nil); !errors.As(err, &f) || !strings.Contains(f.Detail, "exited with code 7") {
			t.Errorf("exit: %v", err)
		}
	}
}

func TestLogIsLimited(t *testing.T) {
	g := newGuest(abi.KindFilter, "")
	g.Import("sw1", "log", []byte{I32, I32, I32}, []byte{I32})
	g.with(abi.ExportFilter, Loop(None, zero, zero, I32Const(50_000), Call(0), Drop,
		LocalGet(4), I32Const(1), I32Add, LocalTee(4), I32Const(10_000_000), I32LtU, BrIf(0)), LocalGet(2), ExtendU)
	g.locals[abi.ExportFilter] = []byte{I32}
	g.manifest.Fuel = 10_000_000
	lines, longest := 0, 0
	p := g.load(t, Options{Log: func(_ int, s string) { lines++; longest = max(longest, len(s)) }})
	open(t, p, 1)
	start := time.Now()
	_, _, _, err := p.Filter(1, []byte("x"), 0)
	var f *Fault
	if !errors.As(err, &f) || f.Reason != ReasonFuel {
		t.Error(err)
	}
	seconds := int(time.Since(start)/time.Second) + 2
	if lines > seconds*maxLines || longest > maxLine || p.Stats().Dropped == 0 {
		t.Errorf("%d lines, longest %d, %d dropped", lines, longest, p.Stats().Dropped)
	}
}

func TestStoreIsLimited(t *testing.T) {
	var st store
	big := make([]byte, maxValue)
	n := 0
	for st.set(strings.Repeat("k", n%200+1)+string(rune('a'+n/200)), big) == abi.OK {
		n++
	}
	if n != maxStore/maxValue-1 && n != maxStore/maxValue {
		t.Errorf("%d values of %d bytes fit", n, maxValue)
	}
	for k := range st.m {
		st.set(k, nil)
	}
	if st.bytes != 0 || len(st.m) != 0 {
		t.Errorf("%d bytes left", st.bytes)
	}
}

func TestVocabMap(t *testing.T) {
	g := newGuest(abi.KindFilter, "")
	g.Import("sw1", "vocab_map", []byte{I32, I32}, []byte{I64})
	g.manifest.Capabilities = []string{abi.CapVocab}
	g.with(abi.ExportFilter, I32Const(256), I32Const(1000), Call(0), Drop, LocalGet(2), ExtendU)
	module := g.bytes()
	refused(t, "no vocabulary", module, Options{}, `capability "vocab"`)
	p, err := Load(context.Background(), module, Options{Vocab: []string{"a", "", "bcd"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	open(t, p, 1)
	if _, _, _, err := p.Filter(1, []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	b, _ := p.instances[0].mem(256, 24)
	want := []byte{3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 'a', 'b', 'c', 'd'}
	if !bytes.Equal(b, want) {
		t.Errorf("%v", b)
	}
}

// A filter with a past is rebuilt after a fault: this one counts the bytes it
// has seen, also when they come again, and traps on text of 13 bytes.
func TestFilterIsRebuilt(t *testing.T) {
	for how, ask := range map[string]func(*guestModule){
		"bit":      func(g *guestModule) { g.with(abi.ExportVersion, I64Const(int64(abi.FeatureReplay))) },
		"name":     func(g *guestModule) { g.manifest.Features = []string{"replay"} },
		"optional": func(g *guestModule) { g.manifest.OptionalFeatures = []string{"later", "replay"} },
	} {
		t.Run(how, func(t *testing.T) { filterIsRebuilt(t, ask) })
	}
}

func filterIsRebuilt(t *testing.T, ask func(*guestModule)) {
	g := newGuest(abi.KindFilter, "")
	ask(g)
	g.with(abi.ExportFilter,
		LocalGet(2), I32Const(13), I32Eq, If(None, Unreachable),
		I32Const(2048), I32Const(2048), I32Load(0), LocalGet(2), I32Add, I32Store(0), LocalGet(2), ExtendU)
	p := g.load(t, Options{})
	open(t, p, 1)
	say := func(s string) error {
		_, _, _, err := p.Filter(1, []byte(s), 0)
		return err
	}
	for _, s := range []string{"abc", "defgh", "1234567890123", "i"} {
		if err := say(s); (err != nil) != (len(s) == 13) {
			t.Fatalf("%q: %v", s, err)
		}
	}
	b, _ := p.instances[0].mem(2048, 1)
	if b[0] != 9 {
		t.Errorf("the guest has counted %d bytes of 9", b[0])
	}
}

func TestFrameOutlivesResetAndClose(t *testing.T) {
	g := newGuest(abi.KindSampler, abi.ModeDense).with(abi.ExportSample,
		rowPtr, Op(0x29, 3, 0), I64Const(13), Op(0x51), If(None, Unreachable), choose(abi.ChoicePick, 1))
	p := g.load(t, Options{})
	open(t, p, 1, 13)
	row, err := p.Frame(1, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	if pick, err := p.Process(13, nil, make([]float32, 10_000)); pick != -1 || err != nil {
		t.Fatal(pick, err)
	}
	for i := range row { // still mapped, though the instance is another
		row[i] = 1
	}
	if pick, err := p.Process(1, nil, row); pick != 1 || err != nil {
		t.Fatal(pick, err)
	}
	p.Close()
	for i := range row {
		row[i] = 2
	}
	p.CloseSeq(1)
}

func TestConcurrentUse(t *testing.T) {
	filter := newGuest(abi.KindFilter, "").load(t, Options{})
	tok := newGuest(abi.KindTokenizer, "").with(abi.ExportEncode, LocalGet(0), Op(0xad), I64Const(32), I64Shl, LocalGet(1), I32Const(-4), Op(0x71), ExtendU, I64Or).load(t, Options{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 50 {
				seq := uint64(w*1000 + i)
				if err := filter.OpenSeq(seq, nil); err != nil {
					t.Error(err)
					return
				}
				text := bytes.Repeat([]byte{byte('a' + w)}, i+1)
				if out, _, _, err := filter.Filter(seq, text, abi.FlagEnd); err != nil || !bytes.Equal(out, text) {
					t.Errorf("%q %v", out, err)
				}
				filter.CloseSeq(seq)
				if ids, err := tok.Encode(nil, string(text), false); err != nil || len(ids) != len(text)/4 {
					t.Errorf("%d ids, %v", len(ids), err)
				}
			}
		}()
	}
	wg.Wait()
	if s := filter.Stats(); s.Calls != 400 || s.Sequences != 0 || s.Faults != 0 {
		t.Errorf("%+v", s)
	}
}

// Close may come at any time: calls in progress end as they would, later ones
// fail with ErrClosed, and rows handed out stay.
func TestCloseDuringUse(t *testing.T) {
	for range 10 {
		p, err := Load(context.Background(), newGuest(abi.KindSampler, abi.ModeDense).with(abi.ExportSample, choose(abi.ChoicePick, 1)).bytes(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range 200 {
					seq := uint64(w*1000 + i)
					if err := p.OpenSeq(seq, nil); err != nil {
						if !errors.Is(err, ErrClosed) && !strings.Contains(err.Error(), "closed") {
							t.Error(err)
						}
						return
					}
					row, err := p.Frame(seq, 1000)
					if err == nil {
						row[999] = 1
						_, err = p.Process(seq, nil, row)
						row[0] = 2
					}
					if err != nil && !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					p.CloseSeq(seq)
				}
			}()
		}
		time.Sleep(time.Millisecond)
		p.Close()
		wg.Wait()
	}
}

func TestTooManySequences(t *testing.T) {
	p := newGuest(abi.KindSampler, abi.ModeDense).load(t, Options{Instances: 2})
	for seq := range uint64(2 * denseRows) {
		open(t, p, seq)
	}
	if err := p.OpenSeq(1000, nil); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	p.CloseSeq(3)
	open(t, p, 1000)
}

func TestLoadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.wasm")
	if err := os.WriteFile(path, newGuest(abi.KindFilter, "").bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := LoadFile(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Name() != "test/filter" || p.Manifest().Name != "test/filter" || len(p.Hash()) != 64 {
		t.Errorf("%q %+v", p.Name(), p.Manifest())
	}
	if _, err := LoadFile(context.Background(), path+"x", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := LoadFile(context.Background(), path, Options{Limits: Limits{Module: 10}}); err == nil || !strings.Contains(err.Error(), "Limits.Module") {
		t.Error(err)
	}
}

func BenchmarkLoadSmall(b *testing.B) {
	module := newGuest(abi.KindFilter, "").bytes()
	for range b.N {
		p, err := Load(context.Background(), module, Options{})
		if err != nil {
			b.Fatal(err)
		}
		p.Close()
	}
}
