package examples_test

import (
	"fmt"
	"testing"

	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/wasm"
)

// words is a vocabulary in the size of a real one: bytes, and pieces of words with
// and without a space before them, quotes and brackets.
func words(n int) []string {
	v := append([]string{}, byteVocab...)
	parts := []string{"a", "e", "in", "th", "or", "st", "ra", "no", "qu", "ly", "x", "1", "20", "é", "z"}
	had := map[string]bool{}
	add := func(s string) {
		if !had[s] && len(v) < n {
			had[s] = true
			v = append(v, s)
		}
	}
	for _, s := range []string{`":`, `",`, `"}`, `"]`, `{"`, `["`, `": "`, `", "`, "},", "],", "}}", "true", "false", "null", "  ", "\n  "} {
		add(s)
	}
	for i := 0; len(v) < n; i++ {
		s, k := "", i
		for range 1 + i%5 {
			s += parts[k%len(parts)]
			k = k/len(parts)*7 + i%11
		}
		s += fmt.Sprintf("%c%c", 'a'+i%26, 'a'+i/26%26)
		switch i % 7 {
		case 0, 1, 2:
			s = " " + s
		case 3:
			s += `"`
		}
		if had[s] {
			s = fmt.Sprintf("%s%d", s, i)
		}
		add(s)
	}
	return v
}

// BenchmarkConstrain measures a step of ten sequences in the midst of strings and
// between values, over 151,936 tokens: what is visible if it was planned, and the
// plan; and the first mask of a state.
func BenchmarkConstrain(b *testing.B) {
	vocab := words(151_936)
	p := load(b, examples.Constrain, wasm.Options{Vocab: vocab, OnFault: wasm.FailClosed})
	schema := `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}}},"required":["name","age"]}`
	const rows = 10
	seqs, histories, logits, picks, errs := make([]uint64, rows), make([][]int32, rows), make([][]float32, rows), make([]int32, rows), make([]error, rows)
	for i := range rows {
		w, err := write(b, p, m{"schema": schema})
		if err != nil {
			b.Fatal(err)
		}
		seqs[i], logits[i] = w.seq, make([]float32, len(vocab))
		for _, c := range []byte(`{"name":"ab", "age": 12, "tags": ["x", "`[:[]int{10, 12, 24, 33, 40}[i%5]]) {
			w.accept(int32(c))
		}
	}
	check := func() {
		for _, err := range errs {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("planned", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			p.Plan(seqs, histories)
			b.StartTimer()
			p.ProcessRows(seqs, histories, logits, picks, errs)
		}
		check()
	})
	b.Run("plan", func(b *testing.B) {
		for b.Loop() {
			p.Plan(seqs, histories)
			b.StopTimer()
			p.ProcessRows(seqs, histories, logits, picks, errs)
			b.StartTimer()
		}
		check()
	})
	b.Run("unplanned", func(b *testing.B) {
		for b.Loop() {
			p.ProcessRows(seqs, histories, logits, picks, errs)
		}
		check()
	})
	for first, s := range map[rune]m{'"': {"json": true}, 'a': {"regex": "[a-z ]+"}} {
		b.Run(fmt.Sprintf("first-mask/%v", s), func(b *testing.B) {
			row := logits[0]
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				own := m{"max_tokens": i%1_000_000 + 1000}
				for k, v := range s {
					own[k] = v
				}
				w, err := write(b, p, own)
				if err != nil {
					b.Fatal(err)
				}
				w.accept(int32(first))
				b.StartTimer()
				if _, err := p.Process(w.seq, nil, row); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				p.CloseSeq(w.seq)
				b.StartTimer()
			}
		})
	}
}
