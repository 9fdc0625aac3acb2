package sandwarp_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/internal/testdata"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// plugin loads a module for the length of the test.
func plugin(t testing.TB, module []byte, o wasm.Options) *wasm.Plugin {
	t.Helper()
	p, err := wasm.Load(t.Context(), module, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// banlist is the example of that name, under another.
func banlist(t testing.TB, name string, config map[string]any) *wasm.Plugin {
	t.Helper()
	module, err := os.ReadFile(filepath.Join(testdata.Root(), "sdk", "c", "examples", "banlist.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return plugin(t, module, wasm.Options{Name: name, Config: config})
}

// config is a request's configuration as plugins want it.
func config(t testing.TB, v any) []byte {
	t.Helper()
	b, err := abi.MarshalConfig(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bomb is a sampler that traps at every nth call and does nothing before.
func bomb(n int32) []byte {
	var b Builder
	b.Memory(2, -1)
	calls := b.Global(I32, I32Const(0))
	b.Func(abi.ExportVersion, nil, []byte{I64}, nil, I64Const(0))
	b.Func(abi.ExportAlloc, []byte{I32, I32}, []byte{I32}, nil, I32Const(1024))
	b.Func(abi.ExportConfigure, []byte{I32, I32}, []byte{I32}, nil, I32Const(0))
	b.Func(abi.ExportFrame, []byte{I32}, []byte{I32}, nil,
		MemorySize, I32Const(16), Op(0x74), LocalGet(0), I32Const(65535), I32Add, I32Const(16), Op(0x76), MemoryGrow, Drop)
	b.Func(abi.ExportSample, []byte{I32}, []byte{I32}, nil,
		GlobalGet(calls), I32Const(1), I32Add, GlobalSet(calls),
		GlobalGet(calls), I32Const(n), I32Eq, If(None, Unreachable), I32Const(0))
	b.Func(abi.ExportSeqOpen, []byte{I64, I32, I32}, []byte{I32}, nil, I32Const(0))
	b.Func(abi.ExportSeqClose, []byte{I64}, []byte{I32}, nil, I32Const(0))
	m := abi.Manifest{Name: "bomb", Kind: abi.KindSampler, Mode: abi.ModeMask}
	b.Custom(abi.ManifestSection, abi.AppendManifest(nil, &m))
	return b.Bytes()
}

// nudge is a Go processor that prefers tokens by their id and the length of the text.
type nudge struct {
	name string
	mul  int
}

func (p *nudge) Name() string               { return p.name }
func (*nudge) OpenSeq(uint64, []byte) error { return nil }
func (*nudge) Accept(uint64, []int32) error { return nil }
func (*nudge) CloseSeq(uint64)              {}
func (p *nudge) LastAction(uint64) uint8    { return 2 }
func (p *nudge) Process(_ uint64, history []int32, logits []float32) (int32, error) {
	for i := range logits {
		logits[i] += float32((i*p.mul + len(history)) % 13)
	}
	return -1, nil
}

// outcome is what a request came to.
type outcome struct {
	ids     []int32
	text    string
	err     error
	changes []sandwarp.ChangeCount
}

func run(t *testing.T, m *sandwarp.Model, o sandwarp.GenerateOptions) (got outcome) {
	s := m.NewSession()
	defer s.Close()
	for tok, err := range s.GenerateTokens(t.Context(), []int32{1, 5, 9}, o) {
		if got.err = err; err == nil && tok.ID >= 0 {
			got.ids = append(got.ids, tok.ID)
		}
		got.text += tok.Text
	}
	got.changes = s.Stats().Changes
	return got
}

// TestPluginsSideBySide runs requests with chains of Go processors and plugins in any
// order, with configurations of their own and one module under several names, alone
// and all at once. Plugins that trap fail their own request, or nothing if they are
// open, and nobody else's tokens change.
func TestPluginsSideBySide(t *testing.T) {
	m := tiny(t, sandwarp.Options{MaxSequences: 16})
	free := run(t, m, short(30)) // what the model says by itself
	one := banlist(t, "one", map[string]any{"ban": free.ids[:1]})
	two := banlist(t, "two", nil)
	a, b := &nudge{"a", 7}, &nudge{"b", 11}
	closed := plugin(t, bomb(9), wasm.Options{Name: "closed", OnFault: wasm.FailClosed})
	open := plugin(t, bomb(9), wasm.Options{Name: "open"})
	allow := func(ids ...int32) []byte { return config(t, map[string]any{"allow": ids}) }
	ban := func(ids ...int32) []byte { return config(t, map[string]any{"ban": ids}) }
	type procs = []sandwarp.LogitProcessor
	requests := []struct {
		name    string
		list    procs
		configs map[string][]byte
		fails   bool
		who     string // acted, in order
	}{
		{name: "plain"},
		{name: "plugin", list: procs{one}, who: "one edited"},
		{name: "its own list", list: procs{two}, configs: map[string][]byte{"two": allow(3, 4, 5)}, who: "two excluded"},
		{name: "plugin, Go, plugin", list: procs{one, a, two}, configs: map[string][]byte{"two": allow(8, 9, 10, 11)}, who: "one edited, a edited, two excluded"},
		{name: "Go, plugin, Go", list: procs{b, two, a}, configs: map[string][]byte{"two": ban(1, 2)}, who: "b edited, two edited, a edited"},
		{name: "the other order", list: procs{a, two, b, one}, configs: map[string][]byte{"two": ban(3), "one": ban(4)}, who: "a edited, two edited, b edited, one edited"},
		{name: "traps, open", list: procs{open}},
		{name: "traps, closed", list: procs{a, closed, one}, fails: true},
		{name: "traps behind others", list: procs{open, two, b}, configs: map[string][]byte{"two": ban(6)}, who: "two edited, b edited"},
	}
	options := func(i int) sandwarp.GenerateOptions {
		o := short(30)
		o.Processors, o.Configs = requests[i].list, requests[i].configs
		return o
	}
	alone := make([]outcome, len(requests))
	for i := range requests {
		alone[i] = run(t, m, options(i))
	}
	for range 3 {
		var wg sync.WaitGroup
		got := make([]outcome, len(requests))
		for i := range requests {
			wg.Go(func() { got[i] = run(t, m, options(i)) })
		}
		wg.Wait()
		for i, r := range requests {
			var fault *wasm.Fault
			switch {
			case r.fails:
				if !errors.As(got[i].err, &fault) || fault.Plugin != "closed" || !slices.Equal(got[i].ids, alone[i].ids[:len(got[i].ids)]) {
					t.Errorf("%s: %v after %v, alone %v", r.name, got[i].err, got[i].ids, alone[i].ids)
				}
			case got[i].err != nil || !slices.Equal(got[i].ids, alone[i].ids):
				t.Errorf("%s: %v, %v; alone %v", r.name, got[i].ids, got[i].err, alone[i].ids)
			case r.who != who(got[i].changes):
				t.Errorf("%s: %s, want %s", r.name, who(got[i].changes), r.who)
			}
		}
		if !slices.Equal(got[6].ids, free.ids) {
			t.Errorf("a plugin that fails open changed the answer: %v, without %v", got[6].ids, free.ids)
		}
	}
	if s := one.Stats(); s.Rows < s.Calls || s.Rows+s.Planned < 4*3*30 || s.Faults != 0 || s.Sequences != 0 {
		t.Errorf("%+v", s)
	}
	if s := open.Stats(); s.Faults == 0 || s.Sequences != 0 {
		t.Errorf("%+v", s)
	}
	if i := slices.IndexFunc(alone[2].ids, func(id int32) bool { return id < 3 || id > 5 }); i >= 0 {
		t.Errorf("token %d is not on the list", alone[2].ids[i])
	}
}

// who lists who did what.
func who(counts []sandwarp.ChangeCount) string {
	var list []string
	for _, c := range counts {
		list = append(list, c.By+" "+c.Kind.String())
	}
	return strings.Join(list, ", ")
}

// TestChangesOfTokens sees a plugin's edits on each token, and a filter's spans on
// the text and on the prompt.
func TestChangesOfTokens(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	redact := plugin(t, examples.Redact, wasm.Options{Name: "redact"})
	var ids []int32 // a sampler that makes the model say this
	const text = "ask ann@example.org or bob@example.org."
	ids, err := m.Encode(text, false)
	if err != nil {
		t.Fatal(err)
	}
	script := &scripted{ids: ids}
	o := sandwarp.GenerateOptions{MaxTokens: len(ids), IgnoreEOS: true}
	o.Processors, o.Filters = []sandwarp.LogitProcessor{&nudge{"nudge", 3}, script}, []sandwarp.Filter{redact}
	o.Configs = map[string][]byte{"redact": config(t, map[string]any{"prompts": true})}
	s := m.NewSession()
	defer s.Close()
	got := ""
	for tok, err := range s.Generate(t.Context(), "I am eve@example.org", o) {
		if err != nil {
			t.Fatal(err)
		}
		if tok.ID >= 0 && (len(tok.Changes) < 2 || tok.Changes[0] != (sandwarp.Change{By: "nudge", Kind: sandwarp.ChangeEdited}) ||
			tok.Changes[1] != (sandwarp.Change{By: "script", Kind: sandwarp.ChangePicked})) {
			t.Fatalf("%+v", tok)
		}
		for _, c := range tok.Changes {
			if c.Kind == sandwarp.ChangeReplaced && tok.Text[c.Start:c.End] != "[email]" {
				t.Errorf("%+v of %q", c, tok.Text)
			}
		}
		got += tok.Text
	}
	if got != "ask [email] or [email]." {
		t.Fatalf("%q", got)
	}
	want := []sandwarp.Change{
		{By: "redact", Kind: sandwarp.ChangeReplaced, Start: 5, End: 12, Original: 15, Prompt: true},
		{By: "redact", Kind: sandwarp.ChangeReplaced, Start: 4, End: 11, Original: 15},
		{By: "redact", Kind: sandwarp.ChangeReplaced, Start: 15, End: 22, Original: 15},
	}
	if c := s.Changes(); !slices.Equal(c, want) {
		t.Errorf("%+v", c)
	}
	counts := s.Stats().Changes
	for _, want := range []sandwarp.ChangeCount{
		{By: "redact", Kind: sandwarp.ChangeReplaced, Prompt: true, N: 1}, {By: "redact", Kind: sandwarp.ChangeReplaced, N: 2},
		{By: "nudge", Kind: sandwarp.ChangeEdited, N: len(ids)}, {By: "script", Kind: sandwarp.ChangePicked, N: len(ids)},
	} {
		if !slices.Contains(counts, want) {
			t.Errorf("%+v is not in %+v", want, counts)
		}
	}
	if err := s.Reset(); err != nil || s.Changes() != nil {
		t.Errorf("after Reset: %v, %v", s.Changes(), err)
	}
}

// scripted picks the tokens of a text.
type scripted struct {
	ids []int32
	n   int
}

func (*scripted) Name() string                 { return "script" }
func (*scripted) OpenSeq(uint64, []byte) error { return nil }
func (*scripted) CloseSeq(uint64)              {}
func (p *scripted) Accept(uint64, []int32) error {
	p.n++
	return nil
}
func (p *scripted) Process(uint64, []int32, []float32) (int32, error) { return p.ids[p.n], nil }

// seeded is a processor and a filter that notes the seeds it is opened with.
type seeded struct{ seeds []uint64 }

func (*seeded) Name() string    { return "seeded" }
func (*seeded) CloseSeq(uint64) {}
func (*seeded) Filter(_ uint64, pending []byte, _ uint32) ([]byte, int, bool, error) {
	return pending, len(pending), false, nil
}
func (s *seeded) OpenSeq(uint64, []byte) error { return errors.New("opened without a seed") }
func (s *seeded) OpenSeqSeeded(_, seed uint64, _ []byte) error {
	s.seeds = append(s.seeds, seed)
	return nil
}
func (*seeded) Accept(uint64, []int32) error                      { return nil }
func (*seeded) Process(uint64, []int32, []float32) (int32, error) { return -1, nil }

// What draws random numbers is given the request's seed.
func TestSeedOfRequest(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	p, f := &seeded{}, &seeded{}
	o := sandwarp.GenerateOptions{MaxTokens: 2, Processors: []sandwarp.LogitProcessor{p}, Filters: []sandwarp.Filter{f}}
	for _, o.Seed = range []uint64{7, 7, 1 << 63} {
		for _, err := range m.Generate(t.Context(), "a", o) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := []uint64{7, 7, 1 << 63}; !slices.Equal(p.seeds, want) {
		t.Errorf("the processor got %v, want %v", p.seeds, want)
	}
	if want := []uint64{7, 7, 7, 7, 1 << 63, 1 << 63}; !slices.Equal(f.seeds, want) { // prompt and answer
		t.Errorf("the filter got %v, want %v", f.seeds, want)
	}
}

// A model's vocabulary is that of its file, and with a tokenizer of the program's own
// what that makes of each id.
func TestVocabulary(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	v, err := sandwarp.ParseVocabulary("tiny", modeltest.Tiny("llama", tensor.F32, 1))
	if err != nil {
		t.Fatal(err)
	}
	texts := m.Vocabulary()
	if len(texts) != v.Size() || len(texts) != m.Info().Vocabulary {
		t.Fatalf("%d texts of %d tokens", len(texts), v.Size())
	}
	for id, text := range texts {
		if text != string(v.Piece(int32(id))) {
			t.Errorf("token %d is %q, in the file %q", id, text, v.Piece(int32(id)))
		}
	}
	own := tiny(t, sandwarp.Options{Tokenizer: letters{}}).Vocabulary()
	if len(own) != len(texts) || own[3] != "d" || own[30] != "" {
		t.Errorf("%q", own)
	}
}

// letters is a tokenizer of the 26 small letters; what comes behind them is control.
type letters struct{}

func (letters) Encode(dst []int32, text string, _ bool) ([]int32, error) { return dst, nil }
func (letters) Decode(dst []byte, ids []int32, special bool) ([]byte, error) {
	for _, id := range ids {
		switch {
		case id < 26:
			dst = append(dst, byte('a'+id))
		case special:
			return dst, errors.New("not a letter")
		}
	}
	return dst, nil
}
