package backendtest

import (
	"context"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/model"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/plan/ref"
)

// subject is a model: its plan and weights.
type subject struct {
	plan *plan.Plan
	data [][]byte
}

func newSubject(t *testing.T, o modeltest.Options) subject {
	t.Helper()
	f, err := gguf.Parse(o.Arch+".gguf", modeltest.Make(o))
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.ReadConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	p, data, err := model.Build(c, f)
	if err != nil {
		t.Fatal(err)
	}
	return subject{p, data}
}

// want is the reference's logits after each token of each text.
func (s subject) want(t *testing.T, texts [][]int32) [][]float64 {
	t.Helper()
	m, err := ref.New(s.plan, s.data)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]float64
	for _, text := range texts {
		m.Reset()
		rows, err := m.Forward(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rows...)
	}
	return all
}

// texts makes random token sequences of these lengths.
func texts(r *rand.Rand, vocab int, lengths ...int) [][]int32 {
	out := make([][]int32, len(lengths))
	for i, n := range lengths {
		out[i] = make([]int32, n)
		for j := range out[i] {
			out[i][j] = int32(r.IntN(vocab))
		}
	}
	return out
}

// bench is a loaded model on a backend, with sequences in progress.
type bench struct {
	t     *testing.T
	exec  backend.Executable
	lim   backend.Limits
	vocab int

	seqs   []sequence
	free   []int32 // pages
	result [][][]float32
}

// sequence is a text partly fed to the executable.
type sequence struct {
	text  []int32
	done  int
	table []int32
}

var defaults = backend.Limits{MaxRows: 64, MaxSeqs: 4, MaxLogit: 64, Pages: 16}

// start compiles s, fused as the backend likes if fuse is set.
func start(t *testing.T, u under, s subject, fuse bool, lim backend.Limits) *bench {
	t.Helper()
	be := u.open()
	p := s.plan
	if fuse {
		p = plan.Fuse(p, be.Supports)
	}
	w, err := be.Load(context.Background(), p, s.data, backend.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := be.Compile(p, w, lim)
	if err != nil {
		t.Fatal(err)
	}
	return newBench(t, e, s, lim, w, be)
}

// newBench feeds e; the test closes it, and then the rest.
func newBench(t *testing.T, e backend.Executable, s subject, lim backend.Limits, rest ...io.Closer) *bench {
	t.Cleanup(func() {
		for _, c := range append([]io.Closer{e}, rest...) {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	b := &bench{t: t, exec: e, lim: lim, vocab: s.plan.Vocab}
	for i := range lim.Pages {
		b.free = append(b.free, int32(i))
	}
	return b
}

// load begins new sequences; with r, pages are dealt in random order.
func (b *bench) load(r *rand.Rand, texts [][]int32) {
	if r != nil {
		r.Shuffle(len(b.free), func(i, j int) { b.free[i], b.free[j] = b.free[j], b.free[i] })
	}
	b.seqs, b.result = nil, nil
	for _, text := range texts {
		b.seqs = append(b.seqs, sequence{text: text})
		b.result = append(b.result, nil)
	}
}

// feed runs one batch with the next n[i] tokens of sequence i, all logits wanted.
func (b *bench) feed(n ...int) {
	b.t.Helper()
	batch := &backend.Batch{}
	for i, count := range n {
		s := &b.seqs[i]
		for j := range count {
			pos := s.done + j
			if pos/backend.PageTokens == len(s.table) {
				s.table = append(s.table, b.free[0])
				b.free = b.free[1:]
			}
			batch.LogitRows = append(batch.LogitRows, int32(len(batch.Tokens)))
			batch.Tokens = append(batch.Tokens, s.text[pos])
			batch.Pos = append(batch.Pos, int32(pos))
			batch.Seq = append(batch.Seq, int32(i))
		}
	}
	for i := range b.seqs {
		batch.Tables = append(batch.Tables, b.seqs[i].table)
	}
	logits := rows(len(batch.Tokens), b.vocab)
	if err := b.exec.Run(context.Background(), batch, logits); err != nil {
		b.t.Fatal(err)
	}
	for i, count := range n {
		b.result[i] = append(b.result[i], logits[:count]...)
		logits = logits[count:]
		b.seqs[i].done += count
	}
}

// feedAll feeds everything in batches of at most size rows, one sequence after
// another.
func (b *bench) feedAll(size int) {
	b.t.Helper()
	for i := range b.seqs {
		for b.seqs[i].done < len(b.seqs[i].text) {
			n := make([]int, i+1)
			n[i] = min(size, len(b.seqs[i].text)-b.seqs[i].done)
			b.feed(n...)
		}
	}
}

// feedRandomly feeds everything in random batches of several sequences.
func (b *bench) feedRandomly(r *rand.Rand) {
	b.t.Helper()
	for left := true; left; {
		room, n := b.lim.MaxRows, make([]int, len(b.seqs))
		left = false
		for i := range b.seqs {
			s := &b.seqs[i]
			most := min(room, len(s.text)-s.done)
			if r.IntN(3) == 0 { // often a single row, as in decoding
				most = min(most, 1)
			}
			n[i] = r.IntN(most + 1)
			room -= n[i]
			left = left || s.done+n[i] < len(s.text)
		}
		if room < b.lim.MaxRows {
			b.feed(n...)
		}
	}
}

// all is the logits of every row fed, sequence by sequence.
func (b *bench) all() [][]float32 {
	var out [][]float32
	for _, rows := range b.result {
		out = append(out, rows...)
	}
	return out
}

func rows(n, width int) [][]float32 {
	out := make([][]float32, n)
	for i := range out {
		out[i] = make([]float32, width)
	}
	return out
}
