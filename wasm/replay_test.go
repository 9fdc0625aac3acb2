package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/internal/testdata"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// exampleModule is an example of the C SDK.
func exampleModule(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testdata.Root(), "sdk", "c", "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// recordable are plugins of every kind and mode, with a request each.
func recordable(t testing.TB) map[string]recordCase {
	cand := Cat(framePtr, framePtr, I32Load(48), I32Add)
	rand64 := func(g *guestModule) uint32 { return g.Import("sw1", "rand", nil, []byte{I64}) }
	random := newGuest(abi.KindSampler, abi.ModeMask)
	fn := rand64(random)
	wrap := Op(0xa7) // i32.wrap_i64
	remU := Op(0x70) // i32.rem_u
	random.with(abi.ExportSample, rowPtr, I32Const(int32(abi.ChoicePick)), I32Store(rowAction),
		rowPtr, Call(fn), wrap, I32Const(50), remU, I32Store(rowToken), I32Const(0))
	draws := random.bytes()
	keep := func(c abi.Choice) []byte { // the second best gets a logit of 9, the best none
		return newGuest(abi.KindSampler, abi.ModeCandidates).with(abi.ExportSample,
			cand, F32Const(float32(math.Inf(-1))), F32Store(4), cand, F32Const(9), F32Store(12),
			rowPtr, I32Const(2), I32Store(24), choose(c, 0)).bytes()
	}
	dense := newGuest(abi.KindSampler, abi.ModeDense).with(abi.ExportSample,
		framePtr, framePtr, I32Load(32), I32Add, LocalTee(1), // the row's logits
		LocalGet(1), F32Load(40), F32Const(2.5), Op(0x92), F32Store(40), choose(abi.ChoiceEdit, 0)).local(abi.ExportSample, I32).bytes()
	config := func(v any) []byte {
		b, err := abi.MarshalConfig(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return map[string]recordCase{
		"ban and bias": {module: exampleModule(t, "banlist.wasm"), o: Options{Config: map[string]any{"bias": map[int]float64{3: 1.5, 20: -2}}},
			config: config(map[string]any{"ban": []int{1, 2}})},
		"mask":       {module: exampleModule(t, "banlist.wasm"), config: config(map[string]any{"allow": []int{4, 5, 6, 40}})},
		"random":     {module: draws, o: Options{Seed: 77}},
		"seeded":     {module: draws, config: config(map[string]any{"seed": 5})},
		"by request": {module: draws, o: Options{Seed: 77}, seed: 6},
		"edit":       {module: keep(abi.ChoiceEdit)},
		"keep":       {module: keep(abi.ChoiceKeep)},
		"dense":      {module: dense},
		"traps open": {module: newGuest(abi.KindSampler, abi.ModeMask).with(abi.ExportSample, Unreachable).bytes()},
		"traps":      {module: newGuest(abi.KindSampler, abi.ModeMask).with(abi.ExportSample, Unreachable).bytes(), o: Options{OnFault: FailClosed}},
		"filter":     {module: exampleModule(t, "redact.wasm"), config: config(map[string]any{"email": "<mail>"}), filter: true},
		"tokenizer":  {module: newGuest(abi.KindTokenizer, "").bytes(), tokenizer: true},
	}
}

type recordCase struct {
	module            []byte
	o                 Options
	config            []byte
	seed              uint64 // of the request, 0 for none
	filter, tokenizer bool
}

// record runs a request with a recorded plugin. Some tokens were excluded before, some
// logits are low: everything a chain can do to a row.
func (c *recordCase) record(t testing.TB, o RecordOptions) []byte {
	t.Helper()
	p := loaded(t, c.module, c.o)
	defer p.Close()
	var file bytes.Buffer
	rec := NewRecorder(&file, o)
	d, err := rec.Plugin(p)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case c.tokenizer:
		_, _ = d.Encode(nil, "some text", true)
		_, _ = d.Decode(nil, []int32{1, 2}, false)
	case c.filter:
		c.talk(t, d)
	default:
		c.sample(t, d)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func (c *recordCase) talk(t testing.TB, d *Recorded) {
	if err := d.OpenSeq(9, c.config); err != nil {
		t.Fatal(err)
	}
	defer d.CloseSeq(9)
	pending := ""
	for _, piece := range []string{"", "write to ann@", "example.org, ", "or call +1 202 555 0143", " now"} {
		pending += piece
		_, n, _, err := d.Filter(9, []byte(pending), 0)
		if err != nil {
			t.Fatal(err)
		}
		pending = pending[n:]
	}
	if _, _, _, err := d.Filter(9, []byte(pending), abi.FlagEnd); err != nil {
		t.Fatal(err)
	}
}

func (c *recordCase) sample(t testing.TB, d *Recorded) {
	rng := rand.New(rand.NewPCG(3, 4))
	err := d.OpenSeq(9, c.config)
	if c.seed != 0 {
		d.CloseSeq(9)
		err = d.OpenSeqSeeded(9, c.seed, c.config)
	}
	if err != nil {
		t.Fatal(err)
	}
	history := []int32{1, 2, 3}
	step := func(seq uint64) {
		logits := make([]float32, 400)
		for i := range logits {
			if logits[i] = float32(rng.NormFloat64() * 4); i%9 == 5 {
				logits[i] = float32(math.Inf(-1))
			}
		}
		d.Plan([]uint64{seq}, [][]int32{history})
		pick, err := d.Process(seq, history, logits)
		if err != nil {
			return
		}
		pick = max(pick, 7)
		if err := d.Accept(seq, []int32{pick}); err != nil {
			t.Fatal(err)
		}
		history = append(history, pick)
	}
	for range 6 {
		step(9)
	}
	if err := d.ForkSeq(9, 12); err != nil {
		t.Fatal(err)
	}
	if len(history) > 5 { // it accepted
		if err := d.Rollback(9, 2); err != nil {
			t.Fatal(err)
		}
		history = history[:len(history)-2]
	}
	step(9)
	step(12)
	d.CloseSeq(9)
	d.CloseSeq(12)
}

// TestReplayIsExact records a request with a plugin of every kind and asks it again.
func TestReplayIsExact(t *testing.T) {
	for name, c := range recordable(t) {
		file := c.record(t, RecordOptions{})
		out, err := Replay(t.Context(), c.module, file, ReplayOptions{})
		if err != nil || out.Difference != nil || out.Truncated || out.Calls < 2 || out.Skipped > 0 {
			t.Errorf("%s: %+v, %v", name, out, err)
			continue
		}
		if out.Rows == 0 && !c.filter && !c.tokenizer {
			t.Errorf("%s: no row was run", name)
		}
		t.Logf("%s: %d calls, %d rows in %d bytes", name, out.Calls, out.Rows, len(file))
	}
}

// TestReplayFindsTheFirstDifference runs other versions of recorded plugins.
func TestReplayFindsTheFirstDifference(t *testing.T) {
	all := recordable(t)
	edit, keep, mask := all["edit"], all["keep"], all["mask"]
	one := recordCase{module: picker(3)}
	for name, c := range map[string]struct {
		recorded recordCase
		module   []byte
		field    string
		call     int
	}{
		"another pick":    {one, picker(4), "pick", 1},
		"another action":  {edit, keep.module, "action", 1},
		"another mask":    {mask, exampleModule(t, "banlist.wasm"), "", 0},
		"now it is quiet": {one, newGuest(abi.KindSampler, abi.ModeMask).bytes(), "pick", 1},
		"now it traps":    {recordCase{module: picker(3), o: Options{OnFault: FailClosed}}, newGuest(abi.KindSampler, abi.ModeMask).with(abi.ExportSample, Unreachable).bytes(), "error", 1},
	} {
		file := c.recorded.record(t, RecordOptions{})
		out, err := Replay(t.Context(), c.module, file, ReplayOptions{AnyModule: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := out.Difference; (d == nil) != (c.field == "") || d != nil && (d.Field != c.field || d.Call != c.call || d.Seq != 9 || d.Pos != 3) {
			t.Errorf("%s: %v", name, d)
		}
	}
	// Not the mask itself, but what it does to a single token.
	file := all["ban and bias"].recordWith(t, map[int]float64{3: 1.5, 20: -2.001})
	out, err := Replay(t.Context(), exampleModule(t, "banlist.wasm"), file, ReplayOptions{})
	if err != nil || out.Difference != nil {
		t.Errorf("%+v, %v", out, err)
	}
	forged := all["ban and bias"].forge(t)
	if out, err = Replay(t.Context(), exampleModule(t, "banlist.wasm"), forged, ReplayOptions{}); err != nil || out.Difference == nil || out.Difference.Field != "logit of token 20" {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := Replay(t.Context(), picker(4), file, ReplayOptions{}); !errors.Is(err, ErrOtherModule) {
		t.Errorf("another module: %v", err)
	}
}

// recordWith is record with other biases.
func (c recordCase) recordWith(t testing.TB, bias map[int]float64) []byte {
	c.o.Config = map[string]any{"bias": bias}
	return c.record(t, RecordOptions{})
}

// forge records with one bias and says that it was with another.
func (c recordCase) forge(t testing.TB) []byte {
	var file bytes.Buffer
	rec := NewRecorder(&file, RecordOptions{})
	lied, err := func() (*Recorded, error) {
		p := loaded(t, c.module, c.o)
		defer p.Close()
		return rec.Plugin(p)
	}()
	if err != nil {
		t.Fatal(err)
	}
	c.o.Config = map[string]any{"bias": map[int]float64{3: 1.5, 20: -2.001}}
	p := loaded(t, c.module, c.o)
	defer p.Close()
	lied.p = p
	c.sample(t, lied)
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// TestRecordingIsBounded ends recordings early, keeps hashes, and fails to write.
func TestRecordingIsBounded(t *testing.T) {
	all := recordable(t)
	dense := all["dense"]
	full := dense.record(t, RecordOptions{})
	cut := dense.record(t, RecordOptions{MaxBytes: int64(len(full)) / 2})
	if len(cut) > len(full)/2 || len(cut) < len(full)/4 {
		t.Errorf("%d bytes, at most %d wanted", len(cut), len(full)/2)
	}
	if out, err := Replay(t.Context(), dense.module, cut, ReplayOptions{}); err != nil || !out.Truncated || out.Difference != nil || out.Rows == 0 {
		t.Errorf("%+v, %v", out, err)
	}
	hashed := dense.record(t, RecordOptions{HashDense: true})
	if out, err := Replay(t.Context(), dense.module, hashed, ReplayOptions{}); err != nil || out.Skipped != 8 || out.Rows != 0 || out.Difference != nil || len(hashed) > len(full)/4 {
		t.Errorf("%+v, %v, %d bytes of %d", out, err, len(hashed), len(full))
	}
	rec := NewRecorder(brokenPipe{}, RecordOptions{})
	p := loaded(t, dense.module, Options{})
	defer p.Close()
	d, err := rec.Plugin(p)
	if err != nil {
		t.Fatal(err)
	}
	dense.sample(t, d) // undisturbed
	if err := rec.Close(); !errors.Is(err, errBroken) {
		t.Errorf("Close: %v", err)
	}
}

var errBroken = errors.New("broken pipe")

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

// TestDamagedRecordings flips every bit of a recording and cuts it everywhere.
func TestDamagedRecordings(t *testing.T) {
	c := recordable(t)["filter"]
	file := c.record(t, RecordOptions{})
	read := func(b []byte) (err error, truncated bool) {
		r, err := newRecordReader(b)
		for ok := true; err == nil && ok; {
			_, ok, err = r.next()
		}
		return err, err == nil && r.truncated
	}
	if err, truncated := read(file); err != nil || truncated {
		t.Fatal(err, truncated)
	}
	for i := range file {
		for bit := range 8 {
			b := bytes.Clone(file)
			b[i] ^= 1 << bit
			if err, _ := read(b); !errors.Is(err, ErrRecording) {
				t.Fatalf("bit %d of byte %d: %v", bit, i, err)
			}
		}
		if err, truncated := read(file[:i]); !errors.Is(err, ErrRecording) && !truncated {
			t.Fatalf("cut after %d bytes: %v", i, err)
		}
	}
	if err, _ := read(append(bytes.Clone(file), 0)); !errors.Is(err, ErrRecording) {
		t.Errorf("a byte too many: %v", err)
	}
}

// FuzzRecording reads frames whose checksums are right and whose contents are not.
func FuzzRecording(f *testing.F) {
	for _, c := range recordable(f) {
		r, err := newRecordReader(c.record(f, RecordOptions{}))
		if err != nil {
			f.Fatal(err)
		}
		for range 12 {
			if r.at == len(r.b) {
				break
			}
			if kind, payload, err := r.frame(); err == nil {
				f.Add(byte(kind), payload)
			}
		}
	}
	var head encoder
	l := loadedAs{name: "p", kind: abi.KindSampler}
	l.encode(&head)
	f.Fuzz(func(t *testing.T, kind byte, payload []byte) {
		file := binary.LittleEndian.AppendUint32([]byte(recordMagic), recordVersion)
		file = appendFrame(file, callLoad, head.b)
		file = appendFrame(file, callKind(kind&^packedBit), payload)
		r, err := newRecordReader(file)
		for ok := true; err == nil && ok; {
			var c call
			if c, ok, err = r.next(); err == nil && ok {
				same(t, &c)
			}
		}
		_, _ = unpack(payload)
		if out, err := Replay(context.Background(), payload, file, ReplayOptions{AnyModule: true}); err == nil {
			t.Errorf("%+v of no module", out)
		}
	})
}

// same writes a call that was read and reads it again.
func same(t *testing.T, c *call) {
	var e encoder
	c.encode(&e, 0)
	again := call{kind: c.kind}
	again.decode(&decoder{b: e.b}, 1, func(*call) *[]int32 { return new([]int32) })
	var twice encoder
	again.encode(&twice, 0)
	if !bytes.Equal(e.b, twice.b) || !slices.Equal(c.given.history, again.given.history) {
		t.Errorf("%+v became %+v", c, again)
	}
}

// A plugin that fails, is left alone and recovers is asked again as it was, however
// fast: what its breaker kept away is kept away again, and nothing else.
func TestReplayOfFaults(t *testing.T) {
	for _, policy := range []Policy{FailOpen, FailClosed} {
		module := tally(abi.ModeMask, pickTally).bytes()
		p := loaded(t, module, Options{OnFault: policy, Breaker: Breaker{Faults: 2}})
		pass := stopClock(p)
		var file bytes.Buffer
		rec := NewRecorder(&file, RecordOptions{})
		d, err := rec.Plugin(p)
		if err != nil {
			t.Fatal(err)
		}
		process := func(seq uint64) int32 {
			pick, _ := d.Process(seq, []int32{1, 2}, ramp(2000))
			return pick
		}
		for seq := uint64(1); seq <= 2; seq++ {
			if err := d.OpenSeq(seq, nil); err != nil {
				t.Fatal(err)
			}
		}
		_ = d.Accept(2, []int32{poison})
		for range 2 {
			process(2)
		}
		_ = d.Accept(1, []int32{8}) // kept away, and told later
		_ = d.OpenSeq(3, nil)       // likewise
		if pick := process(1); pick != -1 {
			t.Errorf("policy %d: picked %d in the pause", policy, pick)
		}
		_ = d.Rollback(1, 1)
		_ = d.Accept(1, []int32{9})
		pass(time.Second)
		if pick := process(1); pick != 9 {
			t.Errorf("policy %d: picked %d after the pause", policy, pick)
		}
		_ = d.ForkSeq(1, 4)
		_ = d.Rollback(2, 1)
		for seq := uint64(1); seq <= 4; seq++ {
			process(seq)
			d.CloseSeq(seq)
		}
		p.Close()
		if err := rec.Close(); err != nil {
			t.Fatal(err)
		}
		out, err := Replay(t.Context(), module, file.Bytes(), ReplayOptions{})
		if err != nil || out.Difference != nil || out.Calls < 15 || out.Rows != 8 {
			t.Errorf("policy %d: %+v, %v", policy, out, err)
		}
	}
}
