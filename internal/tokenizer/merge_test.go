package tokenizer

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// plainMerge is the definition: while a pair merges, join the leftmost of the pairs
// that rank lowest.
func plainMerge(parts []string, rank func(left, right string) float64) []string {
	for {
		best := -1
		for i := 0; i+1 < len(parts); i++ {
			if r := rank(parts[i], parts[i+1]); r < math.Inf(1) && (best < 0 || r < rank(parts[best], parts[best+1])) {
				best = i
			}
		}
		if best < 0 {
			return parts
		}
		parts[best] += parts[best+1]
		parts = slices.Delete(parts, best+1, best+2)
	}
}

// TestMergeByRank compares short and long words with the definition, over random
// merges.
func TestMergeByRank(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := []string{"a", "b", "c"}
		var merges []string
		ranks := map[[2]string]float64{}
		for i := range rapid.IntRange(0, 12).Draw(t, "merges") {
			l, r := rapid.SampledFrom(pieces).Draw(t, "left"), rapid.SampledFrom(pieces).Draw(t, "right")
			if _, ok := ranks[[2]string{l, r}]; ok || len(l+r) > 12 {
				continue
			}
			ranks[[2]string{l, r}] = float64(i)
			merges = append(merges, l+"|"+r)
			pieces = append(pieces, l+r)
		}
		tok, err := New(byteVocab("gpt-2", merges))
		if err != nil {
			t.Fatal(err)
		}
		text := rapid.StringMatching(`[abc]{0,80}`).Draw(t, "text")
		var want []string
		if text != "" {
			want = plainMerge(strings.Split(text, ""), func(l, r string) float64 {
				if rank, ok := ranks[[2]string{l, r}]; ok {
					return rank
				}
				return math.Inf(1)
			})
		}
		for range 2 { // the second time words are known
			ids, err := tok.Encode(nil, text, false)
			if got := split(tok, ids); err != nil || !slices.Equal(got, want) {
				t.Fatalf("merges %q: %q became %q, %v, want %q", merges, text, got, err, want)
			}
		}
	})
}

// TestMergeByScore does the same for pieces with scores, of which many are equal.
func TestMergeByScore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := pieceVocab(true, " ", "a", "b", "é")
		scores := map[string]float64{}
		for _, p := range rapid.SliceOfN(rapid.StringMatching(`[ abé]{1,6}`), 0, 20).Draw(t, "pieces") {
			if p = strings.ReplaceAll(p, " ", spaceMark); slices.Contains(v.Tokens, p) {
				continue
			}
			v.Tokens, v.Types = append(v.Tokens, p), append(v.Types, typeNormal)
			v.Scores = append(v.Scores, float32(rapid.IntRange(-3, 3).Draw(t, "score")))
		}
		for i, p := range v.Tokens {
			if v.Types[i] == typeNormal {
				scores[strings.ReplaceAll(p, spaceMark, " ")] = -float64(v.Scores[i])
			}
		}
		tok, err := New(v)
		if err != nil {
			t.Fatal(err)
		}
		text := rapid.StringMatching(`[ abé]{0,60}`).Draw(t, "text")
		var want []string
		if text != "" {
			want = plainMerge(strings.Split(" "+text, ""), func(l, r string) float64 {
				if rank, ok := scores[l+r]; ok {
					return rank
				}
				return math.Inf(1)
			})
		}
		for range 2 {
			ids, err := tok.Encode(nil, text, false)
			if got := split(tok, ids); err != nil || !slices.Equal(got, want) {
				t.Fatalf("scores %v: %q became %q, %v, want %q", scores, text, got, err, want)
			}
		}
	})
}

func TestScoreRank(t *testing.T) {
	scores := []float32{float32(math.Inf(1)), 1e30, 2, 1, 1e-45, 0, -1e-45, -1, -2, -1e30, float32(math.Inf(-1))}
	for i, s := range scores[1:] {
		if scoreRank(scores[i]) >= scoreRank(s) {
			t.Errorf("score %g ranks %d, %g ranks %d", scores[i], scoreRank(scores[i]), s, scoreRank(s))
		}
	}
	if scoreRank(float32(math.Copysign(0, -1))) != scoreRank(0) || scoreRank(scores[len(scores)-1]) >= noMerge {
		t.Error("zeros differ, or a rank is noMerge")
	}
}

func TestQueue(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for n := range 60 {
		var q queue
		var want []uint64
		for i := range n {
			rank := uint32(rng.IntN(10))
			if want = append(want, uint64(rank)<<32|uint64(i)); i < n/2 {
				q.add(rank, int32(i))
				continue
			}
			if i == n/2 {
				q.order()
			}
			q.push(rank, int32(i))
		}
		slices.Sort(want)
		for _, w := range want {
			if rank, place := q.pop(); uint64(rank)<<32|uint64(place) != w {
				t.Fatalf("of %d: got %d %d, want %d %d", n, rank, place, w>>32, uint32(w))
			}
		}
	}
}

// TestLinear wants eight times the text to take about eight times as long, on the
// texts that are worst for pre-tokenizers and merges. Squared time would be 64.
func TestLinear(t *testing.T) {
	merges := []string{"a|a", "aa|aa", "A|A", " | ", "  |  ", "-|-", "1|1", "\n|\n", "q|x", "qx|z"}
	linear(t, "bytes", build(t, byteVocab("gpt-2", merges, "<|x|>")))
	linear(t, "stages", build(t, byteVocab("deepseek-llm", merges, "<|x|>")))
	linear(t, "camel", build(t, byteVocab("gpt-4o", merges, "<|x|>")))
	linear(t, "pieces", build(t, pieceVocab(true, " ", "a", "aa", "aaaa", "  ", "-", "--", "日", "日本", "a a")))
}

// TestLinearReal does the same with real vocabularies.
func TestLinearReal(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, name := range []string{"qwen2", "llama-spm"} {
		linear(t, name, realTokenizer(t, name))
	}
}

func linear(t *testing.T, name string, tok *Tokenizer) {
	fastest := func(text string) time.Duration {
		least := time.Duration(math.MaxInt64)
		for range 3 {
			start := time.Now()
			if _, err := tok.Encode(nil, text, true); err != nil {
				t.Fatal(err)
			}
			least = min(least, time.Since(start))
		}
		return least
	}
	short, long := hardTexts(1<<13), hardTexts(1<<16)
	for kind := range short {
		// A busy machine can spoil a measurement, but not every one: squared time
		// would miss the mark each time.
		const tries = 6
		for try := 1; ; try++ {
			small, big := fastest(short[kind]), fastest(long[kind])
			if big <= 32*small+20*time.Millisecond {
				break
			}
			if try == tries {
				t.Errorf("%s: %s: %v for 8 KiB, %v for 64 KiB", name, kind, small, big)
				break
			}
		}
	}
}

func TestAllocs(t *testing.T) {
	for _, tok := range []*Tokenizer{build(t, byteVocab("llama-bpe", []string{"t|h", "th|e"}, "<|x|>")), build(t, pieceVocab(true, " ", "t", "h", "th"))} {
		text := strings.Repeat("then the <|x|> theme, 123 é\n", 20)
		ids, out := make([]int32, 0, 2*len(text)), make([]byte, 0, 2*len(text))
		var err error
		n := testing.AllocsPerRun(50, func() {
			if ids, err = tok.Encode(ids[:0], text, true); err != nil {
				t.Fatal(err)
			}
			if out, err = tok.Decode(out[:0], ids, true); err != nil {
				t.Fatal(err)
			}
		})
		if n > 0.5 && !raceEnabled { // now and then the collector empties the pool
			t.Errorf("%g allocations", n)
		}
	}
}

// TestConcurrent encodes with one tokenizer from many goroutines.
func TestConcurrent(t *testing.T) {
	tok := build(t, byteVocab("qwen2", []string{"t|h", "th|e", " |the", "a|b"}, "<|x|>"))
	text := strings.Repeat("the then ab<|x|>théme e\u0301 12\n", 50)
	want, err := tok.Encode(nil, text, true)
	if err != nil {
		t.Fatal(err)
	}
	fresh := build(t, byteVocab("qwen2", []string{"t|h", "th|e", " |the", "a|b"}, "<|x|>"))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if got, err := fresh.Encode(nil, text, true); err != nil || !slices.Equal(got, want) {
					t.Errorf("got %d ids, %v, want %d", len(got), err, len(want))
				}
			}
		})
	}
	all.Wait()
}
