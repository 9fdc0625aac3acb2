package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

var (
	endless = Loop(None, Br(0))
	// grow takes all the memory there is, then spins.
	grow = Loop(None, I32Const(16), MemoryGrow, Drop, Br(0))
	fill = Loop(None, I32Const(0), I32Const(0), I32Const(65536), MemoryFill, Br(0))
	zero = I32Const(0)
)

// attack is a body that must end as a fault of the given reasons.
type attack struct {
	name string
	code []byte
	want []Reason
}

func attacks() []attack {
	return []attack{
		{"loop", endless, []Reason{ReasonFuel}},
		{"grow", grow, []Reason{ReasonFuel}},
		{"fill", fill, []Reason{ReasonFuel}},
		{"unreachable", Unreachable, []Reason{ReasonTrap}},
		{"division by zero", Cat(I32Const(1), I32Const(0), Op(0x6e), Drop), []Reason{ReasonTrap}},
		{"load beyond memory", Cat(I32Const(-8), I32Load(0), Drop), []Reason{ReasonTrap}},
		{"store wraps", Cat(I32Const(-1), I32Const(1), I32Store(0xffff_ffff)), []Reason{ReasonTrap}},
		{"fill 4 GiB", Cat(I32Const(0), I32Const(1), I32Const(-1), MemoryFill), []Reason{ReasonFuel, ReasonTrap}},
		{"2^31 copies", Loop(None, I32Const(0), I32Const(1), I32Const(65000), MemoryCopy, Br(0)), []Reason{ReasonFuel}},
	}
}

var engines = map[string]func() Engine{"compiler": Wazero, "interpreter": WazeroInterpreter}

// Every attack in every kind's own call, under both policies, on both engines:
// the policy holds, the state is put back, and another sequence notices nothing.
func TestHostileSampler(t *testing.T) {
	for name, engine := range engines {
		for _, a := range attacks() {
			for _, policy := range []Policy{FailOpen, FailClosed} {
				t.Run(fmt.Sprintf("%s/%s/%d", name, a.name, policy), func(t *testing.T) {
					// Sequence 13 attacks; others pick the number of tokens accepted,
					// which the guest counts in memory.
					g := newGuest(abi.KindSampler, abi.ModeMask)
					g.manifest.Memory = 64
					count := Cat(I32Const(2048), I32Const(2048), I32Load(0), LocalGet(2), I32Add, I32Store(0), zero)
					g.with(abi.ExportAccept, count)
					g.with(abi.ExportSeqOpen, zero)
					g.with(abi.ExportSample, rowPtr, Op(0x29, 3, 0), I64Const(13), Op(0x51),
						If(None, a.code), rowPtr, I32Const(1), I32Store(rowAction),
						rowPtr, I32Const(2048), I32Load(0), I32Store(rowToken), zero)
					p := g.load(t, Options{Engine: engine(), OnFault: policy, Breaker: Breaker{Faults: 1000}})
					open(t, p, 1, 13)
					for round := range 4 {
						if err := p.Accept(1, []int32{5, 6}); err != nil {
							t.Fatal(err)
						}
						logits, want := ramp(100), ramp(100)
						pick, err := p.Process(13, nil, logits)
						checkPolicy(t, policy, a.want, err)
						if pick != -1 || !slices.Equal(logits, want) {
							t.Errorf("attacker changed the choice: %d", pick)
						}
						if pick, err := p.Process(1, nil, ramp(100)); err != nil || pick != int32(2*round+2) {
							t.Fatalf("round %d: the other sequence picks %d, %v", round, pick, err)
						}
					}
					if s := p.Stats(); s.Faults != 4 || s.Resets != 4 {
						t.Errorf("%+v", s)
					}
				})
			}
		}
	}
}

func checkPolicy(t *testing.T, policy Policy, want []Reason, err error) {
	t.Helper()
	if policy == FailOpen {
		if err != nil {
			t.Errorf("open: %v", err)
		}
		return
	}
	var f *Fault
	if !errors.As(err, &f) || !slices.Contains(want, f.Reason) {
		t.Errorf("closed: %v, want %v", err, want)
	}
}

func TestHostileFilterAndTokenizer(t *testing.T) {
	for name, engine := range engines {
		for _, a := range attacks() {
			t.Run(name+"/"+a.name, func(t *testing.T) {
				for _, policy := range []Policy{DefaultPolicy, FailClosed, FailOpen} {
					g := newGuest(abi.KindFilter, "").with(abi.ExportFilter, a.code, I64Const(0))
					g.manifest.Memory = 64
					p := g.load(t, Options{Engine: engine(), OnFault: policy})
					open(t, p, 1)
					out, n, _, err := p.Filter(1, []byte("secret"), 0)
					if policy == FailOpen {
						if string(out) != "secret" || n != 6 || err != nil {
							t.Errorf("open: %q %d %v", out, n, err)
						}
						continue
					}
					checkPolicy(t, FailClosed, a.want, err)
					if len(out) != 0 || n != 0 {
						t.Errorf("closed: %q leaked", out)
					}
				}
				g := newGuest(abi.KindTokenizer, "").with(abi.ExportEncode, a.code, I64Const(0))
				g.manifest.Memory = 64
				p := g.load(t, Options{Engine: engine(), OnFault: FailOpen})
				ids, err := p.Encode([]int32{1}, "text", false)
				checkPolicy(t, FailClosed, a.want, err)
				if len(ids) != 1 {
					t.Errorf("%d ids", len(ids))
				}
			})
		}
	}
}

// recursive makes the export call itself, another, or a table entry.
func TestRecursion(t *testing.T) {
	for name, engine := range engines {
		for _, how := range []string{"self", "mutual", "indirect", "big frames"} {
			t.Run(name+"/"+how, func(t *testing.T) {
				g := newGuest(abi.KindFilter, "")
				locals := []byte(nil)
				if how == "big frames" {
					locals = bytes.Repeat([]byte{V128}, 2000)
				}
				typ := g.Type(nil, nil)
				switch how {
				case "mutual":
					g.Func("", nil, nil, nil, Call(1))
					g.Func("", nil, nil, nil, Call(0))
				case "indirect":
					g.Func("", nil, nil, nil, I32Const(0), CallIndirect(typ))
					g.Table(1, 1)
					g.Elem(0, 0)
				default:
					g.Func("", nil, nil, locals, Call(0))
				}
				g.with(abi.ExportFilter, Call(0), I64Const(0))
				g.manifest.Fuel = 100_000_000
				p := g.load(t, Options{Engine: engine()})
				open(t, p, 1)
				start := time.Now()
				_, _, _, err := p.Filter(1, []byte("x"), 0)
				var f *Fault
				if !errors.As(err, &f) || f.Reason != ReasonStack {
					t.Errorf("%v", err)
				}
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("stopped after %v", took)
				}
			})
		}
	}
}

// Budgets bound the time a call can take.
func TestStopLatency(t *testing.T) {
	if testing.Short() {
		t.Skip("timing")
	}
	for _, a := range attacks() {
		g := newGuest(abi.KindFilter, "").with(abi.ExportFilter, a.code, I64Const(0))
		g.manifest.Fuel = defaultFuel
		p := g.load(t, Options{Breaker: Breaker{Faults: 1000}})
		open(t, p, 1)
		var worst time.Duration
		for range 5 {
			start := time.Now()
			p.Filter(1, []byte("x"), 0)
			worst = max(worst, time.Since(start))
		}
		t.Logf("%-20s %v", a.name, worst)
		if worst > 2*time.Second { // 50 ms on a quiet machine
			t.Errorf("%s: %v", a.name, worst)
		}
	}
}

// What a guest answers is believed only within its memory and the ABI.
func TestBadAnswers(t *testing.T) {
	packed := func(ptr, n uint32) []byte { return I64Const(abi.Pack(ptr, n)) }
	verdict := func(a abi.Action, n uint32) []byte { return I64Const(abi.PackVerdict(a, n)) }
	replace := verdict(abi.ActionReplace, 6)
	for _, c := range []struct {
		name   string
		export string
		code   []byte
		want   Reason
	}{
		{"alloc beyond memory", abi.ExportAlloc, I32Const(0x7fff0000), ReasonPointer},
		{"alloc wraps", abi.ExportAlloc, I32Const(-16), ReasonPointer},
		{"alloc 0", abi.ExportAlloc, zero, ReasonError},
		{"out beyond memory", abi.ExportOut, packed(60_000, 60_000), ReasonPointer},
		{"out wraps", abi.ExportOut, packed(0x7fffffff, 100), ReasonPointer},
		{"out of 2^31", abi.ExportOut, packed(0, 1<<31), ReasonResult},
		{"out of 2^32-1", abi.ExportOut, packed(0, math.MaxUint32), ReasonResult},
		{"out is no code", abi.ExportOut, I64Const(math.MinInt64), ReasonResult},
		{"out fails", abi.ExportOut, I64Const(int64(abi.EIO)), ReasonError},
		{"consumes too much", abi.ExportFilter, verdict(abi.ActionPass, 7), ReasonResult},
		{"consumes 2^31", abi.ExportFilter, verdict(abi.ActionReplace, 1<<31), ReasonResult},
		{"unknown action", abi.ExportFilter, verdict(99, 0), ReasonResult},
		{"reserved bits", abi.ExportFilter, I64Const(1 << 40), ReasonResult},
		{"holds and consumes", abi.ExportFilter, verdict(abi.ActionHold, 1), ReasonResult},
		{"fails", abi.ExportFilter, I64Const(int64(abi.EIO)), ReasonError},
		{"cuts a character", abi.ExportFilter, verdict(abi.ActionPass, 5), ReasonResult},
		{"holds too much", abi.ExportFilter, verdict(abi.ActionHold, 0), ReasonResult},
	} {
		g := newGuest(abi.KindFilter, "")
		g.manifest.HoldMax = 3
		g.with(abi.ExportFilter, replace).with(c.export, c.code)
		if strings.HasPrefix(c.export, abi.ExportAlloc) {
			// The first allocation is the configuration's.
			_, err := Load(context.Background(), g.bytes(), Options{})
			var f *Fault
			if !errors.As(err, &f) || f.Reason != c.want {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		p := g.load(t, Options{})
		open(t, p, 1)
		out, n, _, err := p.Filter(1, []byte("abcdé"), 0)
		var f *Fault
		if !errors.As(err, &f) || f.Reason != c.want || len(out) != 0 || n != 0 {
			t.Errorf("%s: %q %d %v, want %s", c.name, out, n, err, c.want)
		}
	}
}

func TestHoldAtTheEnd(t *testing.T) {
	g := newGuest(abi.KindFilter, "").with(abi.ExportFilter, I64Const(abi.PackVerdict(abi.ActionHold, 0)))
	p := g.load(t, Options{})
	open(t, p, 1)
	if _, n, _, err := p.Filter(1, []byte("abc"), 0); n != 0 || err != nil {
		t.Errorf("hold: %d %v", n, err)
	}
	if _, _, _, err := p.Filter(1, []byte("abc"), abi.FlagEnd); err == nil {
		t.Error("held at the end")
	}
}

func TestBadUTF8Replacement(t *testing.T) {
	g := newGuest(abi.KindFilter, "").with(abi.ExportFilter, I64Const(abi.PackVerdict(abi.ActionReplace, 3))).
		with(abi.ExportOut, I64Const(abi.Pack(100, 1)))
	g.Data(100, []byte{0xff})
	p := g.load(t, Options{})
	open(t, p, 1)
	if out, _, _, err := p.Filter(1, []byte("abc"), 0); err == nil || len(out) != 0 {
		t.Errorf("%q %v", out, err)
	}
}

func TestBadSamplerAnswers(t *testing.T) {
	cand := Cat(framePtr, framePtr, I32Load(48), I32Add)
	logits := Cat(framePtr, framePtr, I32Load(32), I32Add)
	nan := float32(math.NaN())
	for _, c := range []struct {
		name string
		mode abi.Mode
		code []byte
		want Reason
	}{
		{"token -1", abi.ModeMask, choose(abi.ChoicePick, -1), ReasonResult},
		{"token beyond the vocabulary", abi.ModeMask, choose(abi.ChoicePick, 100), ReasonResult},
		{"unknown choice", abi.ModeMask, choose(77, 0), ReasonResult},
		{"edit in mask mode", abi.ModeMask, choose(abi.ChoiceEdit, 0), ReasonResult},
		{"empty mask", abi.ModeMask, choose(abi.ChoiceMask, 0), ReasonResult},
		{"mask beyond the vocabulary only", abi.ModeMask, Cat(framePtr, framePtr, I32Load(40), I32Add, I32Const(-16), I32Store(12), choose(abi.ChoiceMask, 0)), ReasonResult},
		{"mask of candidates", abi.ModeCandidates, choose(abi.ChoiceMask, 0), ReasonResult},
		{"2^31 biases", abi.ModeMask, Cat(rowPtr, I32Const(math.MinInt32), I32Store(72), choose(abi.ChoiceBias, 0)), ReasonResult},
		{"biases beyond memory", abi.ModeMask, Cat(rowPtr, I32Const(-8), I32Store(68), rowPtr, I32Const(5), I32Store(72), choose(abi.ChoiceBias, 0)), ReasonPointer},
		{"bias of no token", abi.ModeMask, Cat(I32Const(2048), I32Const(100), I32Store(0), rowPtr, I32Const(2048), I32Store(68), rowPtr, I32Const(1), I32Store(72), choose(abi.ChoiceBias, 0)), ReasonResult},
		{"NaN bias", abi.ModeMask, Cat(I32Const(2048), F32Const(nan), F32Store(4), rowPtr, I32Const(2048), I32Store(68), rowPtr, I32Const(1), I32Store(72), choose(abi.ChoiceBias, 0)), ReasonResult},
		{"NaN candidate", abi.ModeCandidates, Cat(cand, F32Const(nan), F32Store(4), choose(abi.ChoiceEdit, 0)), ReasonResult},
		{"infinite candidate", abi.ModeCandidates, Cat(cand, F32Const(float32(math.Inf(1))), F32Store(4), choose(abi.ChoiceKeep, 0)), ReasonResult},
		{"negative id", abi.ModeCandidates, Cat(cand, I32Const(-5), I32Store(0), choose(abi.ChoiceEdit, 0)), ReasonResult},
		{"id beyond the vocabulary", abi.ModeCandidates, Cat(cand, I32Const(100), I32Store(0), choose(abi.ChoiceEdit, 0)), ReasonResult},
		{"2^31 candidates", abi.ModeCandidates, Cat(rowPtr, I32Const(math.MinInt32), I32Store(24), choose(abi.ChoiceEdit, 0)), ReasonResult},
		{"no candidates", abi.ModeCandidates, Cat(rowPtr, zero, I32Store(24), choose(abi.ChoiceEdit, 0)), ReasonResult},
		{"NaN logit", abi.ModeDense, Cat(logits, F32Const(nan), F32Store(40), choose(abi.ChoiceEdit, 0)), ReasonResult},
		{"infinite logit", abi.ModeDense, Cat(logits, F32Const(float32(math.Inf(1))), F32Store(40), choose(abi.ChoiceEdit, 0)), ReasonResult},
		{"an error", abi.ModeDense, I32Const(int32(abi.EIO)), ReasonError},
	} {
		for _, policy := range []Policy{FailOpen, FailClosed} {
			g := newGuest(abi.KindSampler, c.mode).with(abi.ExportSample, c.code)
			p := g.load(t, Options{OnFault: policy})
			open(t, p, 1)
			row, err := p.Frame(1, 100)
			if err != nil {
				t.Fatal(err)
			}
			copy(row, ramp(100))
			pick, err := p.Process(1, nil, row)
			checkPolicy(t, policy, []Reason{c.want}, err)
			if pick != -1 || policy == FailOpen && !slices.Equal(row, ramp(100)) {
				t.Errorf("%s: pick %d, logits changed", c.name, pick)
			}
		}
	}
}

func TestBadFrames(t *testing.T) {
	for name, code := range map[string][]byte{
		"unaligned": I32Const(100), "zero": zero, "negative": I32Const(-65536),
		"beyond memory": I32Const(65536), "loop": Cat(endless, zero), "trap": Unreachable,
	} {
		g := newGuest(abi.KindSampler, abi.ModeDense).with(abi.ExportFrame, code)
		p := g.load(t, Options{OnFault: FailClosed})
		open(t, p, 1)
		if _, err := p.Frame(1, 100_000); err == nil {
			t.Errorf("%s: Frame accepted it", name)
		}
		if _, err := p.Process(1, nil, make([]float32, 100_000)); err == nil {
			t.Errorf("%s: Process accepted it", name)
		}
	}
}

// Tokenizers: floods, ids out of range, half ids.
func TestBadTokens(t *testing.T) {
	for name, c := range map[string]struct {
		code []byte
		want Reason
	}{
		"10^7 ids for a byte": {I64Const(abi.Pack(0, 40_000_000)), ReasonResult},
		"ids beyond memory":   {I64Const(abi.Pack(65530, 40)), ReasonPointer},
		"half an id":          {I64Const(abi.Pack(0, 6)), ReasonResult},
		"negative id":         {Cat(I32Const(64), I32Const(-2), I32Store(0), I64Const(abi.Pack(64, 4))), ReasonResult},
		"id >= vocab":         {Cat(I32Const(64), I32Const(1000), I32Store(0), I64Const(abi.Pack(64, 4))), ReasonResult},
	} {
		g := newGuest(abi.KindTokenizer, "").with(abi.ExportEncode, c.code)
		g.manifest.Vocab = 1000
		p := g.load(t, Options{})
		ids, err := p.Encode(nil, "x", false)
		var f *Fault
		if !errors.As(err, &f) || f.Reason != c.want || len(ids) != 0 {
			t.Errorf("%s: %v %v", name, ids, err)
		}
	}
	g := newGuest(abi.KindTokenizer, "").with(abi.ExportDecode, I64Const(abi.Pack(0, 1<<30)))
	if _, err := g.load(t, Options{}).Decode(nil, []int32{1}, false); err == nil {
		t.Error("decoded a gigabyte")
	}
}

func TestHandles(t *testing.T) {
	p := newGuest(abi.KindSampler, abi.ModeMask).load(t, Options{})
	open(t, p, 7)
	if err := p.OpenSeq(7, nil); err == nil {
		t.Error("opened twice")
	}
	p.CloseSeq(7)
	p.CloseSeq(7)
	for _, seq := range []uint64{7, 8} {
		if _, err := p.Process(seq, nil, make([]float32, 10)); !errors.Is(err, ErrSequence) {
			t.Errorf("%d: %v", seq, err)
		}
		if err := p.Accept(seq, []int32{1}); !errors.Is(err, ErrSequence) {
			t.Errorf("%d: %v", seq, err)
		}
		if _, err := p.Frame(seq, 10); !errors.Is(err, ErrSequence) {
			t.Errorf("%d: %v", seq, err)
		}
	}
	if _, _, _, err := p.Filter(7, []byte("x"), 0); !errors.Is(err, ErrKind) {
		t.Error(err)
	}
	if _, err := p.Encode(nil, "x", false); !errors.Is(err, ErrKind) {
		t.Error(err)
	}
	p.Close()
	if err := p.OpenSeq(9, nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// A trap on the Nth call, for every N, leaves the plugin usable, and three in a
// row make the breaker pause for longer and longer.
func TestTrapOnNthCall(t *testing.T) {
	for n := int32(1); n <= 40; n++ {
		count := Cat(I32Const(2048), I32Const(2048), I32Load(0), I32Const(1), I32Add, LocalTee(4), I32Store(0))
		g := newGuest(abi.KindFilter, "").with(abi.ExportFilter, count,
			LocalGet(4), I32Const(n), I32Eq, If(None, Unreachable), LocalGet(2), ExtendU)
		g.locals[abi.ExportFilter] = []byte{I32}
		p := g.load(t, Options{})
		open(t, p, 1)
		for i := int32(1); i <= 2*n+1; i++ {
			out, _, _, err := p.Filter(1, []byte("ok"), 0)
			if bad := i%n == 0; bad != (err != nil) || !bad && string(out) != "ok" {
				if n == 1 && i > 3 { // the breaker speaks now
					continue
				}
				t.Fatalf("n %d, call %d: %q %v", n, i, out, err)
			}
		}
	}
}

func TestBreaker(t *testing.T) {
	g := newGuest(abi.KindFilter, "").with(abi.ExportFilter, Unreachable)
	p := g.load(t, Options{})
	pass := stopClock(p)
	open(t, p, 1)
	reason := func() Reason {
		_, _, _, err := p.Filter(1, []byte("x"), 0)
		var f *Fault
		if !errors.As(err, &f) {
			t.Fatal(err)
		}
		return f.Reason
	}
	for range 3 {
		if r := reason(); r != ReasonTrap {
			t.Fatal(r)
		}
	}
	for _, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if r := reason(); r != ReasonBreaker {
			t.Errorf("before %d s: %s", pause, r)
		}
		pass(pause*time.Second - time.Millisecond)
		if r := reason(); r != ReasonBreaker {
			t.Errorf("just before %d s: %s", pause, r)
		}
		pass(time.Millisecond)
		if r := reason(); r != ReasonTrap {
			t.Errorf("after %d s: %s", pause, r)
		}
	}
	if s := p.Stats(); s.Faults != 11 || s.Skipped != 16 {
		t.Errorf("%+v", s)
	}
}

// Errors in good order do not open the breaker: they may be the input's fault.
func TestErrorsDoNotOpenTheBreaker(t *testing.T) {
	p := newGuest(abi.KindTokenizer, "").with(abi.ExportDecode, I64Const(int64(abi.EINVAL))).load(t, Options{})
	for range 10 {
		_, err := p.Decode(nil, []int32{-1}, false)
		var f *Fault
		if !errors.As(err, &f) || f.Reason != ReasonError {
			t.Fatal(err)
		}
	}
	if _, err := p.Encode(nil, "x", false); err != nil {
		t.Error(err)
	}
	if s := p.Stats(); s.Faults != 10 || s.Resets != 0 {
		t.Errorf("%+v", s)
	}
}

// A guest at its limits keeps the host's memory within bounds.
func TestMemoryStaysBounded(t *testing.T) {
	g := newGuest(abi.KindFilter, "").with(abi.ExportFilter,
		Loop(None, I32Const(1), MemoryGrow, I32Const(-1), Op(0x47), BrIf(0)), // all there is
		zero, I32Const(1), MemorySize, I32Const(16), Op(0x74), MemoryFill, I64Const(0))
	g.manifest.Fuel = 100_000_000
	p := g.load(t, Options{Limits: Limits{Memory: 8 << 20}, Breaker: Breaker{Faults: 1 << 20}})
	open(t, p, 1)
	for range 50 {
		p.Filter(1, []byte("x"), 0)
	}
	in := p.instances[0]
	if got := in.raw.MemSize(); got > 8<<20 {
		t.Errorf("%d bytes", got)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 256<<20 {
		t.Errorf("heap of %d MiB", m.HeapAlloc>>20)
	}
}

// Eight recursions side by side stay within 64 MiB each.
func TestRecursionMemory(t *testing.T) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc")
	}
	peak := func() (kib int) {
		status, _ = os.ReadFile("/proc/self/status")
		_, rest, _ := strings.Cut(string(status), "VmHWM:")
		fmt.Sscanf(rest, "%d", &kib)
		return kib
	}
	// The frames are as large as they get for their price: values that live
	// across the call.
	g := newGuest(abi.KindFilter, "")
	var code []byte
	for i := range 200 {
		code = append(code, Cat(I32Const(int32(i)), I32Load(0))...)
	}
	code = append(code, Call(0)...)
	code = append(code, bytes.Repeat(Drop, 200)...)
	g.Func("", nil, nil, nil, code)
	g.with(abi.ExportFilter, Call(0), I64Const(0))
	g.manifest.Fuel = 150_000_000
	module := g.bytes()
	before := peak()
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			p, err := Load(context.Background(), module, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			open(t, p, 1)
			_, _, _, err = p.Filter(1, []byte("x"), 0)
			if f := (*Fault)(nil); !errors.As(err, &f) || f.Reason != ReasonStack {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	grown := (peak() - before) >> 10
	t.Logf("%d MiB for eight", grown)
	if grown > 8*64 {
		t.Errorf("%d MiB for eight", grown)
	}
}

// Whatever is done to a plugin's bytes, loading it ends soon, in an error or in a
// plugin that can be called.
func FuzzLoad(f *testing.F) {
	f.Add(newGuest(abi.KindFilter, "").bytes())
	f.Add(newGuest(abi.KindSampler, abi.ModeDense).bytes())
	f.Add(newGuest(abi.KindTokenizer, "").bytes())
	if b, err := os.ReadFile("../sdk/c/examples/redact.wasm"); err == nil {
		f.Add(b)
	}
	limits := Limits{Module: 32 << 10, Fuel: 100_000, ConfigureFuel: 100_000, Memory: 4 << 20}
	f.Fuzz(func(t *testing.T, module []byte) {
		p, err := Load(context.Background(), module, Options{Limits: limits, Engine: WazeroInterpreter()})
		if err != nil {
			return
		}
		defer p.Close()
		if p.OpenSeq(1, nil) == nil {
			p.Process(1, []int32{1}, make([]float32, 300))
			p.Accept(1, []int32{1})
			p.Filter(1, []byte("hello"), abi.FlagEnd)
			p.CloseSeq(1)
		}
		p.Encode(nil, "hello", false)
		p.Decode(nil, []int32{1, 2}, true)
	})
}
