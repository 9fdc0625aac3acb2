// Package sdk_test compares the example plugins of all four languages: the same
// manifests, and the same answers to the same cases.
package sdk_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
	"go.uber.org/goleak"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/internal/plugintest"
	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/wasm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// languages and where the compiled examples lie. Go's are built by the test.
var languages = []struct{ name, path string }{
	{"c", "c/examples/%s.wasm"},
	{"rust", "rust/examples/%s.wasm"},
	{"assemblyscript", "assemblyscript/examples/%s.wasm"},
	{"go", ""},
}

var kinds = map[string]abi.Kind{
	"banlist": abi.KindSampler, "norepeat": abi.KindSampler, "redact": abi.KindFilter, "bytes": abi.KindTokenizer,
}

// module is an example in a language. Go guests are not built with -short.
func module(t *testing.T, language, path, example string) []byte {
	t.Helper()
	if language == "go" {
		return plugintest.GoGuest(t, example)
	}
	b, err := os.ReadFile(fmt.Sprintf(path, example))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestExamples gives each example the same cases in all languages.
func TestExamples(t *testing.T) {
	for example, kind := range kinds {
		t.Run(example, func(t *testing.T) {
			var want []string
			var manifest abi.Manifest
			for i, l := range languages {
				t.Run(l.name, func(t *testing.T) {
					b := module(t, l.name, l.path, example)
					m := plain(t, b, l.name == "go")
					got := answers(t, b, example, kind)
					if i == 0 {
						want, manifest = got, m
						t.Logf("%d answers", len(got))
						return
					}
					if l.name == "go" {
						manifest = withoutBudgets(manifest)
					}
					if d := cmp.Diff(manifest, m); d != "" {
						t.Errorf("manifest (-%s +%s)\n%s", languages[0].name, l.name, d)
					}
					differ(t, want, got)
				})
			}
		})
	}
}

func plain(t *testing.T, module []byte, noBudgets bool) abi.Manifest {
	t.Helper()
	m, err := wasm.ReadManifest(module)
	if err != nil {
		t.Fatal(err)
	}
	if noBudgets {
		return withoutBudgets(*m)
	}
	return *m
}

// withoutBudgets leaves out what a language's runtime makes larger.
func withoutBudgets(m abi.Manifest) abi.Manifest {
	m.Fuel, m.FuelPerByte, m.ConfigureFuel, m.Memory = 0, 0, 0, 0
	return m
}

func differ(t *testing.T, want, got []string) {
	t.Helper()
	wrong := 0
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			if wrong++; wrong <= 5 {
				t.Errorf("answer %d\n got  %s\n want %s", i, got[min(i, len(got)-1)], want[i])
			}
		}
	}
	if len(got) != len(want) || wrong > 0 {
		t.Errorf("%d answers, want %d; %d differ", len(got), len(want), wrong)
	}
}

type m = map[string]any

// answers runs all cases of a kind. What is refused is an answer, too.
func answers(t *testing.T, module []byte, example string, kind abi.Kind) []string {
	var list []string
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for i, config := range configs[example] {
		p, err := wasm.Load(context.Background(), module, wasm.Options{Config: config, OnFault: wasm.FailClosed, CacheDir: plugintest.CacheDir(), Instances: 1, Vocab: vocabFor(i)})
		if err != nil {
			say("%v: %v", config, err)
			continue
		}
		switch kind {
		case abi.KindSampler:
			sampled(t, p, configs[example], say)
		case abi.KindFilter:
			filtered(t, p, i == 0, say)
		case abi.KindTokenizer:
			tokenized(t, p, say)
		}
		if s := p.Stats(); kind == abi.KindFilter && s.Faults != 0 {
			t.Errorf("%v: %d faults", config, s.Faults)
		}
		p.Close()
	}
	return list
}

// vocabFor names a vocabulary with some configurations, so that ids are checked.
func vocabFor(i int) []string {
	if i%2 == 0 {
		return nil
	}
	return strings.Split(strings.Repeat("x ", 99), " ")
}

var configs = map[string][]any{
	"banlist": {
		nil, m{}, m{"ban": []int{3, 3, 4000}}, m{"ban": []int{3, 7, 99}}, m{"allow": []int{1, 2, 3, 64, 65}, "ban": []int{2}},
		m{"bias": m{"7": 1, "8": math.Inf(-1)}}, m{"bias": map[int]float64{1: -0.5, 9: 2}}, m{"ban": 3}, m{"ban": []int{-1}}, m{"ban": []any{"x"}},
		m{"allow": []int{}}, m{"ban": []int{100}}, m{"ban": []int{0}, "allow": []int{0}}, m{"allow": []int{1, 1 << 30}}, m{"bias": []int{1}}, m{"bias": m{"x": 1}},
		m{"bias": m{"1": math.NaN()}}, m{"bias": m{"1": math.Inf(1)}}, m{"bias": m{"1": 1e300}}, m{"forbid": []int{1}}, []int{1}, m{"seed": 1},
		m{"bias": m{"4194304": 1}}, m{"bias": m{"4194303": 1}}, m{"bias": m{"": 1}}, m{"ban": m{"1": 1}}, 17, "text", m{"allow": "x"}, map[int]int{1: 1},
	},
	"norepeat": {
		nil, m{}, m{"n": 2}, m{"n": 16, "seed": 1}, m{"n": 1}, m{"n": 17}, m{"n": -1}, m{"n": "x"}, m{"n": nil}, m{"m": 2}, []int{2}, m{"seed": 3}, "text", m{"n": 2.0},
		map[int]int{1: 1}, m{"n": 1 << 40},
	},
	"redact": {
		nil, m{}, m{"phone": "☎", "card": "", "ssn": nil}, m{"text": "x", "prompts": true}, m{"text": nil}, m{"email": nil, "seed": 1}, m{"seed": 1},
		m{"email": strings.Repeat("=", 64)}, m{"phone": strings.Repeat("x", 65)}, m{"card": 3}, m{"prompts": "yes"}, []int{1}, m{"fone": "x"}, map[int]int{1: 1},
		m{"ssn": []byte("bytes")},
	},
	"bytes": {
		nil, m{}, m{"special": []string{}}, m{"special": []string{"<a>", "<a>b", "ab", "<"}}, m{"special": []string{"é", "\n\n"}}, m{"special": 3},
		m{"special": []string{"a", "b", "a"}}, m{"special": []string{""}}, m{"special": []string{strings.Repeat("x", 33)}}, m{"special": []any{1}},
		m{"special": many(32)}, m{"special": many(33)}, m{"specials": []string{}}, []int{}, "x", map[int]int{1: 1},
	},
}

func many(n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("<%d>", i))
	}
	return list
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	if v == nil {
		return nil
	}
	b, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sampled gives each of the configurations to a request.
func sampled(t *testing.T, p *wasm.Plugin, requests []any, say func(string, ...any)) {
	defer func() {
		if p.Stats().Planned == 0 {
			t.Error("nothing was answered in a plan")
		}
	}()
	for i, config := range requests {
		seq := uint64(i + 1)
		if err := p.OpenSeq(seq, encoded(t, config)); err != nil {
			say("request %v: %v", config, err)
			continue
		}
		past := []int32{5, 1, 2, 3, 1, 2}
		if err := p.Accept(seq, past); err != nil {
			t.Error(err)
		}
		logits := make([]float32, 100)
		for j := range logits {
			logits[j] = float32(j % 17)
		}
		pick, err := p.Process(seq, past, logits)
		say("request %v: %d %v %v", config, pick, logits, err)
		again := make([]float32, len(logits)) // planned, and on a fork
		for j := range again {
			again[j] = float32(j % 17)
		}
		if forked := p.ForkSeq(seq, 1000+seq); forked != nil {
			t.Error(forked)
		}
		p.Plan([]uint64{1000 + seq}, [][]int32{past})
		if pick2, err2 := p.Process(1000+seq, past, again); pick2 != pick || !slices.Equal(again, logits) || fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Errorf("request %v: planned on a fork it gives %v, %v, otherwise %v, %v", config, again, err2, logits, err)
		}
		p.CloseSeq(1000 + seq)
		p.CloseSeq(seq)
	}
}

// filtered gives each text, whole and in pieces, to requests of all configurations.
func filtered(t *testing.T, p *wasm.Plugin, all bool, say func(string, ...any)) {
	r := rand.New(rand.NewPCG(51, 52))
	texts := filterTexts(r)
	if all {
		texts = append(texts, labelledTexts(t)...)
	}
	seq := uint64(0)
	for i, config := range configs["redact"] {
		for j, text := range texts {
			if i != 0 && j%11 != i%11 {
				continue
			}
			for _, prompt := range []uint32{0, abi.FlagPrompt} {
				if prompt != 0 && j%7 != 0 {
					continue
				}
				seq++
				if err := p.OpenSeq(seq, encoded(t, config)); err != nil {
					say("request %v: %v", config, err)
					continue
				}
				say("%v %q: %s", config, short(text), streamed(t, p, seq, text, prompt, r))
				p.CloseSeq(seq)
			}
		}
	}
}

func short(s string) string {
	if len(s) > 200 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(s))
		return fmt.Sprintf("%s... %x", s[:200], h.Sum64())
	}
	return s
}

// streamed is what is released, call by call.
func streamed(t *testing.T, p *wasm.Plugin, seq uint64, text string, prompt uint32, r *rand.Rand) string {
	t.Helper()
	var out, pending []byte
	most := []int{4, 40, 1 << 20}[r.IntN(3)]
	for flags := prompt; flags&abi.FlagEnd == 0; {
		n := min(r.IntN(most)+1, len(text))
		if n == len(text) {
			flags |= abi.FlagEnd
		}
		pending, text = append(pending, text[:n]...), text[n:]
		for {
			released, used, stop, err := p.Filter(seq, pending, flags)
			if err != nil || stop {
				return fmt.Sprintf("%q, stop %v, error %v", out, stop, err)
			}
			out = append(out, released...)
			out = fmt.Appendf(out, "|%d|", used)
			pending = pending[used:]
			if used == 0 || len(pending) == 0 {
				break
			}
		}
	}
	return short(fmt.Sprintf("%q", out))
}

// parts are what random texts are made of: things to find, pieces of them, and what
// stands around them.
var parts = []string{
	"hello@example.com", "+1 555 010 0199", "4111 1111 1111 1111", "4111111111111111", "078-05-1120", "(37) 788-063", "0490 75 40 81", "@", ".", "-",
	"+", "(", ")", " ", " ", " ", "/", ",", ":", "x", "00", "0", "1", "55", "010", "4111", "0199", "word", "Tel. ", "call ", "card ", "number ", "office",
	"a", "b.co", "é", "ж", "中", "\u00a0", "\u2011", "€", "£", "'", "\n", "\xff", "\xc3", "\xe2\x80", "192.168.0.1", "2024-01-15", "555-010-0199",
	strings.Repeat("a", 48), strings.Repeat("9", 20), "3782 822463 10005", "1/15/2024", " x123", "ISBN ", "0044 20 7946 0958", "416 60 039", "%", "$", "`", "#",
}

func filterTexts(r *rand.Rand) []string {
	list := []string{
		"", "hello@example.com", "write to hello@example.com or call +1 555 010 0199 now", "<first.last+tag@mail.example.co.uk>", "o'brien@example.ie, ok",
		"jörg@müller.de und иван@пример.рф", "x@example.com.2024", "x@a.bc@d.ef", "user@localhost, @handle, a@b, a@.com, foo@192.168.1.1",
		strings.Repeat("a", 100) + "@example.com", strings.Repeat("é", 50) + "@example.com", "(555) 010-0199", "555-010-0199, 1-800-555-0199; 212.555.0199",
		"+44 (0)20 7946 0958 and +4915112345678.", "tel 9472 7916, call (9472 7916) phone: 94727916", "212-555-0199 x123 or 212-555-0199x77",
		"555\u2011010\u20110199 and 555\u00a0010\u00a00199", "4111111111111111, 5500-0000-0000-0004; 3782 822463 10005.", "card 4111 1111 1111 1111 123",
		"4111111111111112 ABC4111111111111111", "078-05-1120 666-12-3456 000-12-3456", "15.01.2024, 2024/01/15 10:30, 2019-2024, 10:30:59.123456789",
		"192.168.100.200 and 8.8.8.8:8080", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "$1,234,567.89 or 12 345 678 EUR or €4111111111111111", "a\xffb \xc3",
		"my number is 9472 7916", "ISBN 978-0-306-40615-7", "credit card 6304 0000 0000 0000", strings.Repeat("01 ", 500), strings.Repeat("a@b.co ", 300),
	}
	for range 400 {
		var b strings.Builder
		for range r.IntN(24) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		list = append(list, b.String())
	}
	return list
}

// labelledTexts are real ones, if the data is there.
func labelledTexts(t *testing.T) (list []string) {
	dir := os.Getenv("SANDWARP_DATA")
	if dir == "" {
		dir = filepath.Join(testdata.Root(), "..", "shared", "data")
	}
	if _, err := os.Stat(filepath.Join(dir, "safety", "pii.json")); err != nil {
		t.Logf("without the labelled texts: %v", err)
		return nil
	}
	var rows []struct {
		Text string `json:"text"`
	}
	testdata.JSON(t, &rows, "safety", "pii.json")
	for _, row := range rows[:min(len(rows), 400)] {
		list = append(list, row.Text)
	}
	return list
}

// tokenized encodes and decodes.
func tokenized(t *testing.T, p *wasm.Plugin, say func(string, ...any)) {
	texts := []string{
		"", "hello", "<|begin|>a<|end|><|begi<|end|>", "<a>b<a><ab><", "é\n\n\n\xff\x00", strings.Repeat("<1><31><32>", 50), strings.Repeat("<|end|", 500),
	}
	for _, text := range texts {
		for _, special := range []bool{false, true} {
			ids, err := p.Encode(nil, text, special)
			say("%q %v: %v %v", short(text), special, ids, err)
			back, err := p.Decode(nil, ids, special)
			say("%q %v", short(string(back)), err)
		}
	}
	for _, ids := range [][]int32{{255, 256, 257, 258}, {287}, {288}, {-1}, {math.MaxInt32}, {math.MinInt32}, {97, 259, 98}} {
		for _, special := range []bool{false, true} {
			b, err := p.Decode(nil, ids, special)
			say("%v %v: %q %v", ids, special, b, err)
		}
	}
	for _, n := range []int{0, 300} { // beyond the end there are no texts
		vocabulary, err := p.Vocabulary(n)
		say("%q %v", vocabulary, err)
	}
}
