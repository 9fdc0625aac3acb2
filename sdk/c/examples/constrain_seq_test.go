package examples_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestConstrainForkRollback: a fork goes its own way, and what was taken back was
// never there.
func TestConstrainSeqs(t *testing.T) {
	p := closed(t, byteVocab)
	for i := range 300 { // grammars come and go
		w, err := write(t, p, m{"regex": fmt.Sprintf("a{%d}b", i+1)})
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Repeat("a", i+1) + "b"; w.text(text) != len(text)+1 {
			t.Fatal(i)
		}
	}
	var open []*writer
	for i := range 64 {
		w, err := write(t, p, m{"regex": fmt.Sprintf("x{%d}y", i+1)})
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, w)
	}
	if w, err := write(t, p, m{"regex": "one more"}); err == nil || !strings.Contains(err.Error(), "64 different grammars are in use") {
		t.Errorf("%v", err)
		p.CloseSeq(w.seq)
	}
	for i, w := range open {
		if text := strings.Repeat("x", i+1) + "y"; w.text(text) != len(text)+1 {
			t.Errorf("%q", text)
		}
	}
}

// TestConstrainForks: a fork goes its own way, what was taken back was never there,
// and a plan is the answer.
func TestConstrainForks(t *testing.T) {
	p := closed(t, byteVocab)
	rapid.Check(t, func(t *rapid.T) {
		settings := m{"schema": `{"type":"array","items":{"enum":["ab","ac",12]},"maxItems":4}`}
		a, err := write(t, p, settings)
		if err != nil {
			t.Fatal(err)
		}
		all := []*writer{a}
		texts := [][]int32{nil}
		defer func() {
			for _, w := range all {
				p.CloseSeq(w.seq)
			}
		}()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
			w := all[i]
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				lastSeq++
				if err := p.ForkSeq(w.seq, lastSeq); err != nil {
					t.Fatal(err)
				}
				all = append(all, &writer{t: t, p: p, seq: lastSeq, n: 257})
				texts = append(texts, append([]int32(nil), texts[i]...))
			case 1:
				if n := len(texts[i]); n > 0 {
					back := rapid.IntRange(1, n).Draw(t, "back")
					if err := p.Rollback(w.seq, back); err != nil {
						t.Fatal(err)
					}
					texts[i] = texts[i][:n-back]
				}
			default:
				if rapid.Bool().Draw(t, "plan") {
					p.Plan([]uint64{w.seq}, [][]int32{nil})
				}
				var may []int32
				for id, ok := range w.allowed() {
					if ok {
						may = append(may, int32(id))
					}
				}
				if id := rapid.SampledFrom(may).Draw(t, "choice"); id != byteEnd {
					w.accept(id)
					texts[i] = append(texts[i], id)
				}
			}
		}
		for i, w := range all { // as one that only wrote
			fresh, err := write(t, p, settings)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range texts[i] {
				fresh.accept(id)
			}
			if got, want := fmt.Sprint(w.allowed()), fmt.Sprint(fresh.allowed()); got != want {
				t.Fatalf("after %v:\n %s\n %s", texts[i], got, want)
			}
			p.CloseSeq(fresh.seq)
		}
	})
}
