package examples_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/wasm"
)

// fences finds a README's blocks of code: what they are, and what stands in them.
var fences = regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$")

// compile makes a plugin of a C file and its manifest, by the README's commands.
func compile(t *testing.T, name, source, manifest string) []byte {
	t.Helper()
	needTools(t)
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	copyFile(t, "../sandwarp.h", filepath.Join(dir, "sandwarp.h"))
	for ext, text := range map[string]string{".c": source, ".json": manifest} {
		if err := os.WriteFile(filepath.Join(dir, name+ext), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ran := 0
	for _, f := range fences.FindAllStringSubmatch(string(readme), -1) {
		if f[1] != "sh" || !strings.HasPrefix(f[2], "clang") {
			continue
		}
		for line := range strings.Lines(strings.ReplaceAll(f[2], "shout", name)) {
			words := strings.Fields(line)
			if words[0] == "sandwarp" && words[2] == "pack" { // which does what sdk/pack does
				run(t, testdata.Root(), "go", "run", "./sdk/pack", filepath.Join(dir, words[3]), filepath.Join(dir, words[4]))
			} else {
				run(t, dir, words[0], words[1:]...)
			}
			ran++
		}
	}
	if ran != 3 {
		t.Fatalf("the README has %d commands, want 3", ran)
	}
	module, err := os.ReadFile(filepath.Join(dir, name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// TestReadme builds the README's plugins as it says, and uses them.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range fences.FindAllStringSubmatch(string(readme), -1) {
		if _, name, ok := strings.Cut(f[1], " "); ok {
			files[name] = f[2]
		}
	}
	shout := load(t, compile(t, "shout", files["shout.c"], files["shout.json"]), wasm.Options{})
	for _, cut := range []int{0, 5, 9, 10} {
		s := open(t, shout, nil)
		text := "it costs é5 \xff\xc3"
		s.feed(text[:cut], 0)
		if got := s.end(text[cut:], 0); got != "IT COSTS é5 ??" {
			t.Errorf("cut at %d: %q", cut, got)
		}
	}
	if got := open(t, shout, nil).end("a prompt", abi.FlagPrompt); got != "a prompt" {
		t.Error(got)
	}
	greedy := load(t, compile(t, "greedy", files["greedy.c"], files["greedy.json"]), wasm.Options{})
	if err := greedy.OpenSeq(1, nil); err != nil {
		t.Fatal(err)
	}
	if pick, err := greedy.Process(1, nil, []float32{1, 5, 3}); pick != 1 || err != nil {
		t.Errorf("pick %d, error %v", pick, err)
	}
}

// everyImport calls all functions of the host and logs what they say.
const everyImport = `
#define SANDWARP_SAMPLER
#define SANDWARP_ACCEPT
#define SANDWARP_FEATURES (SW_FEATURE_HOST_OPS | SW_FEATURE_VOCAB)
#include "sandwarp.h"

static void say(const char *what, int64_t n)
{
    sw_fail(0, what);
    sw_fail_number(n);
    int64_t note = sw_last_error();
    sw_log(6, (const void *)(uintptr_t)(uint32_t)(note >> 32), (uint32_t)note);
}

int32_t sw_configure(const uint8_t *message, uint32_t n)
{
    static uint8_t b[64];
    say("kv_set ", sw_kv_set("key", 3, "value", 5));
    say("kv_get ", sw_kv_get("key", 3, b, sizeof b));
    say("is value ", sw_is(b, 5, "value"));
    say("vocab_map ", sw_vocab_map(b, sizeof b));
    say("count ", *(uint32_t *)b);
    say("now ", sw_now() > 0);
    say("rand ", sw_rand() != sw_rand());
    say("metric ", sw_metric("m", 1, 2.5));
    say("least ", INT64_MIN);
    return SW_OK;
}
int32_t sw_seq_open(uint64_t seq, const uint8_t *message, uint32_t n) { return SW_OK; }
int32_t sw_seq_close(uint64_t seq) { return SW_OK; }
int32_t sw_accept(uint64_t seq, const int32_t *tokens, uint32_t n)
{
    say("accept ", tokens[n - 1]);
    return SW_OK;
}

int32_t sw_sample(uint32_t rows)
{
    sw_row *row = sw_row_at(0);
    sw_candidate *best = sw_candidates_at(0);
    float *x = sw_logits_at(0), two[2];
    uint32_t n = sw_window->vocab, mask = 0x7;
    int32_t ids[2] = {0, 3};
    say("magic ", sw_window->magic == SW_FRAME_MAGIC);
    say("history ", sw_history_of(row)[row->hist_n - 1]);
    say("mask ", sw_mask_at(0)[0]);
    say("topk ", sw_op_topk(x, n, 2, best));
    say("best ", best[0].id);
    say("gather ", sw_op_gather(x, n, ids, 2, two));
    say("last ", (int64_t)two[1]);
    say("lse ", (int64_t)(1000 * sw_op_lse(x, n)));
    say("penalty ", sw_op_penalty(x, n, ids, 1, 1, 0.5f, 0.25f));
    say("scale ", sw_op_scale(x, n, 2, 1));
    say("op_mask ", sw_op_mask(x, n, &mask));
    row->action = SW_CHOICE_EDIT;
    return SW_OK;
}
`

// TestEveryImport compiles a plugin that uses all of the host's functions: their
// declarations are right, or it would not load.
func TestEveryImport(t *testing.T) {
	manifest := `{"name": "test/all", "kind": "sampler", "mode": "dense", "history": 4, "candidates": 2,
		"capabilities": ["vocab", "kv"], "features": ["host-ops", "vocab"]}`
	var said []string
	module := compile(t, "all", everyImport, manifest)
	p := load(t, module, wasm.Options{
		Vocab: []string{"a", "b", "c", "d"}, Grant: []string{abi.CapKV},
		Log:    func(level int, line string) { said = append(said, fmt.Sprint(level, " ", line)) },
		Metric: func(name string, v float64) { said = append(said, fmt.Sprint(name, "=", v)) },
	})
	if err := p.OpenSeq(1, nil); err != nil {
		t.Fatal(err)
	}
	logits := []float32{1, 4, 3, 2}
	if pick, err := p.Process(1, []int32{7, 8}, logits); pick != -1 || err != nil {
		t.Fatal(pick, err)
	}
	if err := p.Accept(1, []int32{3, 2}); err != nil {
		t.Fatal(err)
	}
	// 1 - 0.5 - 0.25 = 0.25 for the token seen; then twice as much and one more;
	// the last is masked.
	if want := []float32{1.5, 9, 7, inf}; logits[0] != want[0] || logits[1] != want[1] || logits[2] != want[2] || logits[3] != want[3] {
		t.Errorf("%v, want %v", logits, want)
	}
	want := "6 kv_set 0|6 kv_get 5|6 is value 1|6 vocab_map 28|6 count 4|6 now 1|6 rand 1|m=2.5|6 metric 0|" +
		"6 least -9223372036854775808|6 magic 1|6 history 8|6 mask 0|6 topk 2|6 best 1|6 gather 0|6 last 2|" +
		"6 lse 4440|6 penalty 0|6 scale 0|6 op_mask 0|6 accept 2"
	if got := strings.Join(said, "|"); got != want {
		t.Errorf("said\n %s\nwant\n %s", got, want)
	}
}
