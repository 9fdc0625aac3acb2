// Package examples_test builds the example plugins for WebAssembly and runs them
// in the host.
package examples_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"go.uber.org/goleak"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/plugintest"
	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/internal/tokenizer"
	"github.com/sandwarp/sandwarp/sdk/conformance"
	"github.com/sandwarp/sandwarp/wasm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func load(t testing.TB, name string, o wasm.Options) *wasm.Plugin {
	t.Helper()
	b := plugintest.GoGuest(t, name)
	o.CacheDir = plugintest.CacheDir()
	if o.Log == nil {
		o.Log = func(_ int, line string) { t.Log(line) }
	}
	start := time.Now()
	p, err := wasm.Load(context.Background(), b, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d KiB, loaded in %v", name, len(b)>>10, time.Since(start).Round(time.Millisecond))
	t.Cleanup(func() {
		if s := p.Stats(); s.Faults > 0 && !t.Failed() {
			t.Logf("%+v", s)
		}
		p.Close()
	})
	return p
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBias(t *testing.T) {
	vocab := make([]string, 1000)
	for i := range vocab {
		vocab[i] = fmt.Sprintf("<%d>", i)
	}
	vocab[7], vocab[8] = " the", " the"
	p := load(t, "bias", wasm.Options{Vocab: vocab, Config: map[string]any{"ban": []any{3, " the"}}})
	inf := float32(math.Inf(-1))
	for seq, c := range []struct {
		config any
		want   func(i int) float32
	}{
		{nil, func(i int) float32 {
			if i == 3 || i == 7 || i == 8 {
				return inf
			}
			return 0
		}},
		{map[string]any{"allow": []any{1, 2, 3, "<500>"}, "bias": []any{[]any{"<2>", 1.5}}}, func(i int) float32 {
			switch i {
			case 1, 500:
				return 0
			case 2:
				return 1.5
			}
			return inf
		}},
	} {
		var config []byte
		if c.config != nil {
			config = encode(t, c.config)
		}
		if err := p.OpenSeq(uint64(seq), config); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			logits := make([]float32, 1000)
			if pick, err := p.Process(uint64(seq), []int32{1}, logits); pick != -1 || err != nil {
				t.Fatal(pick, err)
			}
			for i, v := range logits {
				if v != c.want(i) {
					t.Fatalf("sequence %d: logit %d is %v, want %v", seq, i, v, c.want(i))
				}
			}
		}
	}
	if err := p.OpenSeq(9, encode(t, map[string]any{"ban": []any{"no such"}})); err == nil || !strings.Contains(err.Error(), `no token has the text "no such"`) {
		t.Error(err)
	}
	if s := p.Stats(); s.Faults != 0 {
		t.Errorf("%+v", s)
	}
}

// What is labelled a number of somebody's is gone, however the text is cut.
func TestScrub(t *testing.T) {
	var rows []struct {
		Text  string   `json:"text"`
		Spans [][4]any `json:"spans"`
	}
	testdata.JSON(t, &rows, "safety", "pii.json")
	p := load(t, "scrub", wasm.Options{})
	r := rand.New(rand.NewPCG(31, 32))
	for i, row := range rows {
		got := filter(t, p, uint64(i), row.Text, r)
		if again := filter(t, p, uint64(i), row.Text, r); got != again {
			t.Errorf("%q\n once  %q\n again %q", row.Text, got, again)
		}
		for _, s := range row.Spans {
			switch kind, text := s[2].(string), s[3].(string); kind {
			case "PHONE_NUMBER", "CREDIT_CARD", "EMAIL_ADDRESS", "US_SSN":
				if strings.Contains(got, text) {
					t.Errorf("%s %q is left in %q", kind, text, got)
				}
			}
		}
	}
	t.Logf("%+v", p.Stats())
}

func filter(t testing.TB, p *wasm.Plugin, seq uint64, text string, r *rand.Rand) string {
	t.Helper()
	if err := p.OpenSeq(seq, nil); err != nil {
		t.Fatal(err)
	}
	defer p.CloseSeq(seq)
	var out, pending []byte
	for flags := uint32(0); flags == 0; {
		n := min(1+r.IntN(12), len(text))
		if n == len(text) {
			flags = abi.FlagEnd
		}
		pending, text = append(pending, text[:n]...), text[n:]
		released, used, _, err := p.Filter(seq, pending, flags)
		if err != nil {
			t.Fatal(err)
		}
		out, pending = append(out, released...), pending[used:]
	}
	return string(out)
}

func TestChecks(t *testing.T) {
	for _, name := range []string{"scrub", "bias", "bpe", "banlist", "norepeat", "bytes", "redact"} {
		b := plugintest.GoGuest(t, name)
		if r := conformance.Check(context.Background(), b, conformance.Options{Plugin: wasm.Options{CacheDir: plugintest.CacheDir()}}); !r.OK() {
			t.Errorf("%s\n%s", name, r)
		} else {
			t.Logf("%s\n%s", name, r)
		}
	}
}

// vocabulary reads a vocabulary from a GGUF file.
func vocabulary(t testing.TB, f *gguf.File) tokenizer.Vocab {
	t.Helper()
	v := tokenizer.Vocab{BOS: -1, EOS: -1, EOT: -1, UNK: -1, PAD: -1}
	var errs [5]error
	v.Model, errs[0] = f.String("tokenizer.ggml.model", "")
	v.Pre, errs[1] = f.String("tokenizer.ggml.pre", "")
	v.Tokens, errs[2] = f.Strings("tokenizer.ggml.tokens")
	v.Types, errs[3] = f.Ints("tokenizer.ggml.token_type")
	v.Merges, errs[4] = f.Strings("tokenizer.ggml.merges")
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func texts(t testing.TB) (list []string) {
	list = []string{
		"", " ", "Hello, world!", "I'll SAY they'RE 12345 cats'd  and\n\n  more \t\r\n", "don\u017ft 'ſ 'S", "x=y+1; // ok\n\tfor {}\n",
		"Ünïcödé, 漢字かな交じり文, עברית ٣٤٥ Ⅷ ½ 👩‍👩‍👧 \u200b\u3000\u00a0end", "\xff\xfe broken \xc3( \xe2\x82",
		strings.Repeat("ab", 5000), strings.Repeat("1", 3000), strings.Repeat(" ", 2000) + "x", "<|endoftext|>and<|im_start|>",
	}
	r := rand.New(rand.NewPCG(41, 42))
	for range 100 {
		b := make([]byte, r.IntN(60))
		for i := range b {
			b[i] = " \n\t'aZ5.,-\xc3\xa9\xff"[r.IntN(13)]
		}
		list = append(list, string(b))
	}
	return list
}

// The tokenizer gives the ids of the native one, which is tested against the
// published ones. Vocabularies that normalise get text in normal form.
func TestBPEGivesNativeIDs(t *testing.T) {
	files := map[string]func(t *testing.T) []byte{
		"demo": func(t *testing.T) []byte {
			b, err := os.ReadFile(filepath.Join(testdata.Root(), "cmd", "sandwarp", "demo", "demo.gguf"))
			if err != nil {
				t.Skip(err)
			}
			return b
		},
		"gpt-2":     func(t *testing.T) []byte { return testdata.Open(t, "tokenizers", "ggml-vocab-gpt-2.gguf.gz") },
		"qwen2":     func(t *testing.T) []byte { return testdata.Open(t, "tokenizers", "vocab-qwen2.gguf.gz") },
		"llama-bpe": func(t *testing.T) []byte { return testdata.Open(t, "tokenizers", "vocab-llama-bpe.gguf.gz") },
	}
	for name, read := range files {
		t.Run(name, func(t *testing.T) {
			_ = plugintest.GoGuest(t, "bpe")
			f, err := gguf.Parse(name, read(t))
			if err != nil {
				t.Fatal(err)
			}
			v := vocabulary(t, f)
			native, err := tokenizer.New(v)
			if err != nil {
				t.Fatal(err)
			}
			p := load(t, "bpe", wasm.Options{Limits: wasm.Limits{Memory: 1 << 30}, Config: map[string]any{
				"tokens": v.Tokens, "merges": v.Merges, "types": v.Types, "pre": v.Pre,
			}})
			for _, special := range []bool{false, true} {
				for _, text := range texts(t) {
					want, err := native.Encode(nil, text, special)
					if err != nil {
						t.Fatal(err)
					}
					got, err := p.Encode(nil, text, special)
					if err != nil || !slices.Equal(got, want) {
						t.Fatalf("%.80q: %v\n got  %v\n want %v", text, err, got[:min(40, len(got))], want[:min(40, len(want))])
					}
					back, err := p.Decode(nil, got, special)
					plain, _ := native.Decode(nil, got, special)
					if err != nil || !bytes.Equal(back, plain) {
						t.Fatalf("%.80q decodes to %.80q, %v", text, back, err)
					}
				}
			}
			t.Logf("%+v", p.Stats())
		})
	}
}

func BenchmarkGoGuest(b *testing.B) {
	bias := load(b, "bias", wasm.Options{Config: map[string]any{"ban": []int{3, 4, 5}}})
	redact := load(b, "scrub", wasm.Options{})
	bpe := load(b, "bpe", wasm.Options{})
	if err := bias.OpenSeq(1, nil); err != nil {
		b.Fatal(err)
	}
	if err := redact.OpenSeq(1, nil); err != nil {
		b.Fatal(err)
	}
	logits := make([]float32, 151_936)
	b.Run("bias", func(b *testing.B) {
		for range b.N {
			if _, err := bias.Process(1, nil, logits); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("scrub", func(b *testing.B) {
		text := []byte("hello world and ")
		for range b.N {
			if _, _, _, err := redact.Filter(1, text, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bpe", func(b *testing.B) {
		var ids []int32
		for range b.N {
			var err error
			if ids, err = bpe.Encode(ids[:0], "hello world and more", false); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("load cached", func(b *testing.B) {
		m := plugintest.GoGuest(b, "scrub")
		for range b.N {
			p, err := wasm.Load(context.Background(), m, wasm.Options{CacheDir: plugintest.CacheDir()})
			if err != nil {
				b.Fatal(err)
			}
			p.Close()
		}
	})
}
