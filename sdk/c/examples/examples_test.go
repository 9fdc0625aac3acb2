package examples_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

func load(t testing.TB, module []byte, o wasm.Options) *wasm.Plugin {
	t.Helper()
	p, err := wasm.Load(context.Background(), module, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

var seqs uint64

// redact runs text through a fresh sequence, in chunks of sizes given by cut.
func redact(t testing.TB, p *wasm.Plugin, config []byte, text string, cut func() int) string {
	t.Helper()
	seqs++
	if err := p.OpenSeq(seqs, config); err != nil {
		t.Fatal(err)
	}
	defer p.CloseSeq(seqs)
	var out, pending []byte
	for {
		n, flags := min(cut(), len(text)), uint32(0)
		if n == len(text) {
			flags = abi.FlagEnd
		}
		pending, text = append(pending, text[:n]...), text[n:]
		for {
			released, used, stop, err := p.Filter(seqs, pending, flags)
			if err != nil || stop {
				t.Fatal(stop, err)
			}
			out, pending = append(out, released...), pending[used:]
			if used == 0 || len(pending) == 0 {
				break
			}
		}
		if flags != 0 {
			return string(out)
		}
	}
}

func all() int { return 1 << 30 }

func TestRedact(t *testing.T) {
	p := load(t, examples.Redact, wasm.Options{})
	for in, want := range map[string]string{
		"mail ann@example.org or call +44 7700 900123, card 4111 1111 1111 1111": "mail [email] or call [phone], card [card]",
		"nothing here, 12 apples on 2024-01-15":                                  "nothing here, 12 apples on 2024-01-15",
	} {
		if got := redact(t, p, nil, in, all); got != want {
			t.Errorf("%q gives %q", in, got)
		}
		if got := redact(t, p, nil, in, func() int { return 1 }); got != want {
			t.Errorf("%q byte by byte gives %q", in, got)
		}
	}
	config, _ := msgpack.Marshal(map[string]any{"other": []any{1, map[string]any{"x": nil}}, "text": "✂"})
	if got := redact(t, p, config, "a@b.io!", all); got != "✂!" {
		t.Errorf("%q", got)
	}
	if err := p.OpenSeq(1<<40, []byte{0x81, 0xa4, 't', 'e', 'x', 't', 0x01}); err == nil || !strings.Contains(err.Error(), "want a string") {
		t.Error(err)
	}
	if s := p.Stats(); s.Faults != 0 {
		t.Errorf("%+v", s)
	}
}

// TestRedactOnLabelledText: chunks do not matter, and what was labelled is gone.
func TestRedactOnLabelledText(t *testing.T) {
	var rows []struct {
		Text  string   `json:"text"`
		Spans [][4]any `json:"spans"`
	}
	testdata.JSON(t, &rows, "safety", "pii.json")
	p := load(t, examples.Redact, wasm.Options{})
	r := rand.New(rand.NewPCG(7, 8))
	seen, left := map[string]int{}, map[string]int{}
	for _, row := range rows {
		want := redact(t, p, nil, row.Text, all)
		if got := redact(t, p, nil, row.Text, func() int { return 1 + r.IntN(6) }); got != want {
			t.Fatalf("%q\n whole  %q\n chunks %q", row.Text, want, got)
		}
		for _, s := range row.Spans {
			kind, text := s[2].(string), s[3].(string)
			if kind == "PHONE_NUMBER" || kind == "CREDIT_CARD" || kind == "EMAIL_ADDRESS" || kind == "US_SSN" {
				seen[kind]++
				if strings.Contains(want, text) {
					left[kind]++
				}
			}
		}
	}
	for kind, n := range seen {
		t.Logf("%s: %d of %d removed", kind, n-left[kind], n)
		if left[kind]*20 > n {
			t.Errorf("%s: %d of %d left", kind, left[kind], n)
		}
	}
	if s := p.Stats(); s.Faults != 0 || s.Calls == 0 {
		t.Errorf("%+v", s)
	}
}

func TestBanlist(t *testing.T) {
	p := load(t, examples.Banlist, wasm.Options{Config: map[string]any{"ban": []int{3}}})
	own, _ := msgpack.Marshal(map[string]any{"bias": []any{[]any{5, 2.5}, []any{6, -1}}, "ban": []int{4, 300}})
	for seq, config := range [][]byte{nil, own} {
		if err := p.OpenSeq(uint64(seq), config); err != nil {
			t.Fatal(err)
		}
		logits := make([]float32, 1000)
		if pick, err := p.Process(uint64(seq), nil, logits); pick != -1 || err != nil {
			t.Fatal(pick, err)
		}
		inf := float32(math.Inf(-1))
		want := map[int]float32{3: inf}
		if config != nil {
			want = map[int]float32{3: inf, 4: inf, 300: inf, 5: 2.5, 6: -1}
		}
		for i, v := range logits {
			if v != want[i] {
				t.Errorf("sequence %d: logit %d is %v", seq, i, v)
			}
		}
	}
	for _, bad := range []any{map[string]any{"ban": "x"}, map[string]any{"ban": []int{-1}}, []int{1}, map[string]any{"bias": []any{[]any{1, math.Inf(1)}}}} {
		b, _ := msgpack.Marshal(bad)
		if err := p.OpenSeq(99, b); err == nil {
			t.Errorf("%v accepted", bad)
		}
	}
}

// A new compilation must give the committed bytes.
func TestCommittedAreCurrent(t *testing.T) {
	for _, tool := range []string{"clang-14", "wasm-ld-14", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s", tool)
		}
	}
	dir := t.TempDir()
	for _, f := range []string{"sandwarp.h", "Makefile", "examples/redact.c", "examples/redact.json", "examples/banlist.c", "examples/banlist.json"} {
		b, err := os.ReadFile(filepath.Join("..", f))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "examples"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root := testdata.Root()
	script := fmt.Sprintf("cd %s && clang-14 --target=wasm32 -Os -mbulk-memory -ffreestanding -nostdlib -std=c11 -Wno-unused-function -c examples/$0.c -o $0.o && wasm-ld-14 --no-entry --strip-all -z stack-size=65536 $0.o -o $0.wasm && cd %s && go run ./sdk/pack sdk/c/examples/$0.json %s/$0.wasm", dir, root, dir)
	for name, want := range map[string][]byte{"redact": examples.Redact, "banlist": examples.Banlist} {
		if out, err := exec.Command("sh", "-c", script, name).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		got, err := os.ReadFile(filepath.Join(dir, name+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s.wasm is not what the source compiles to: run make generate", name)
		}
	}
}

// What the CLI embeds may add 50 ms to a first run.
func TestFirstLoadIsFast(t *testing.T) {
	best := time.Hour
	for range 5 {
		start := time.Now()
		p, err := wasm.Load(context.Background(), examples.Redact, wasm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
		p.Close()
	}
	t.Logf("loaded in %v", best)
	if best > 250*time.Millisecond { // 50 ms on a quiet machine
		t.Errorf("loading takes %v", best)
	}
}

func BenchmarkLoadRedact(b *testing.B) {
	for range b.N {
		p, err := wasm.Load(context.Background(), examples.Redact, wasm.Options{})
		if err != nil {
			b.Fatal(err)
		}
		p.Close()
	}
}

func BenchmarkLoadRedactCached(b *testing.B) {
	dir := b.TempDir()
	for range b.N {
		p, err := wasm.Load(context.Background(), examples.Redact, wasm.Options{CacheDir: dir})
		if err != nil {
			b.Fatal(err)
		}
		p.Close()
	}
}

func BenchmarkRedactChunk(b *testing.B) {
	p := load(b, examples.Redact, wasm.Options{})
	if err := p.OpenSeq(1, nil); err != nil {
		b.Fatal(err)
	}
	text := []byte("hello world and ")
	for range b.N {
		if _, _, _, err := p.Filter(1, text, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBanlist(b *testing.B) {
	p := load(b, examples.Banlist, wasm.Options{Config: map[string]any{"ban": []int{3, 4, 5}}})
	if err := p.OpenSeq(1, nil); err != nil {
		b.Fatal(err)
	}
	logits := make([]float32, 151_936)
	for range b.N {
		if _, err := p.Process(1, nil, logits); err != nil {
			b.Fatal(err)
		}
	}
}
