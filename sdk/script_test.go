package sdk_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/internal/plugintest"
	"github.com/sandwarp/sandwarp/internal/testdata"
	"github.com/sandwarp/sandwarp/sdk/conformance"
	"github.com/sandwarp/sandwarp/wasm"
)

// TestScript puts the samplers of all languages through the same long script of
// sequences that are opened, told tokens, planned, asked one by one and several at once,
// taken back, forked and closed. norepeat's answers are known: a few lines of Go below
// keep the book of every sequence.
func TestScript(t *testing.T) {
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			scripted(t, module(t, l.name, l.path, "norepeat"))
		})
	}
}

// TestOldPlugins: plugins as they were built for earlier minor versions work as ever.
func TestOldPlugins(t *testing.T) {
	list, err := filepath.Glob(filepath.Join(testdata.Root(), "abi", "testdata", "v*", "*.wasm"))
	if err != nil || len(list) < 9 {
		t.Fatalf("%d plugins, %v", len(list), err)
	}
	for _, path := range list {
		t.Run(filepath.Base(path), func(t *testing.T) {
			module := read(t, path)
			switch {
			case strings.HasSuffix(path, "-golden.wasm"):
				plugintest.Golden(t, module)
			case strings.HasSuffix(path, "-norepeat.wasm"):
				scripted(t, module)
			default:
				conformance.Run(t, module, conformance.Options{Engines: []wasm.Engine{}})
			}
		})
	}
}

// scripted puts norepeat through the script.
func scripted(t *testing.T, module []byte) {
	t.Helper()
	does(t, module, abi.ExportAccept, abi.ExportPlan, abi.ExportSeqRollback, abi.ExportSeqFork)
	p, err := wasm.Load(context.Background(), module, wasm.Options{OnFault: wasm.FailClosed, CacheDir: plugintest.CacheDir(), Instances: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	s := &script{t: t, p: p, r: rand.New(rand.NewPCG(61, 62)), open: map[uint64]*book{}}
	for step := range 4000 {
		if s.step(); t.Failed() {
			t.Fatalf("at step %d", step)
		}
	}
	if st := p.Stats(); st.Faults != 0 || st.Planned < 100 {
		t.Errorf("%+v", st)
	}
	if s.excluded < 1000 || s.forks < 100 || s.rollbacks < 100 {
		t.Errorf("%d tokens excluded, %d forks, %d rollbacks: the script tries too little", s.excluded, s.forks, s.rollbacks)
	}
}

// TestLongAnswer: the longest answers keep to the budget, and are told right.
func TestLongAnswer(t *testing.T) {
	const vocab = 2000
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			o := wasm.Options{OnFault: wasm.FailClosed, CacheDir: plugintest.CacheDir()}
			p, err := wasm.Load(context.Background(), module(t, l.name, l.path, "norepeat"), o)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			seq, most := uint64(0), uint64(0)
			for _, distinct := range []int{1, 2, 255, 256, 1999} { // tokens between those that are all the same
				for _, n := range []int{2, 3, 16} {
					seq++
					if err := p.OpenSeq(seq, encoded(t, m{"n": n})); err != nil {
						t.Fatal(err)
					}
					b := &book{n: n, tokens: make([]int32, 131_072)}
					for i := range b.tokens {
						b.tokens[i] = int32(i%2) * (1 + int32(i/2%distinct))
					}
					b.tokens = b.tokens[:len(b.tokens)-1]
					logits := make([]float32, vocab)
					if err := p.Accept(seq, b.tokens); err != nil {
						t.Fatal(err)
					}
					before := p.Stats().Fuel
					if _, err := p.Process(seq, b.tokens, logits); err != nil {
						t.Fatalf("%d tokens, n %d: %v", distinct, n, err)
					}
					most = max(most, p.Stats().Fuel-before)
					ban := b.banned(vocab)
					for token, v := range logits {
						if math.IsInf(float64(v), -1) != ban[int32(token)] {
							t.Fatalf("%d tokens, n %d: token %d has logit %v", distinct, n, token, v)
						}
					}
				}
			}
			t.Logf("%d instructions at most", most)
		})
	}
}

// does wants exports: without them the host would do the work.
func does(t *testing.T, module []byte, exports ...string) {
	t.Helper()
	d, err := wasm.Describe(module)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range exports {
		if !slices.Contains(d.Exports, e) {
			t.Fatalf("%s is not exported", e)
		}
	}
}

// book is what a sequence must have been told.
type book struct {
	tokens []int32
	n      int
}

const scriptVocab = 7

// banned are the tokens that would complete a run that was there.
func (b *book) banned(vocab int) map[int32]bool {
	ban := map[int32]bool{}
	last := len(b.tokens) - (b.n - 1)
	for at := last - 1; at >= max(0, last-4096) && len(ban) < min(256, vocab-1); at-- {
		if slices.Equal(b.tokens[at:at+b.n-1], b.tokens[last:]) {
			ban[b.tokens[at+b.n-1]] = true
		}
	}
	return ban
}

type script struct {
	t    *testing.T
	p    *wasm.Plugin
	r    *rand.Rand
	last uint64
	ids  []uint64 // open ones, in the order they came
	open map[uint64]*book

	excluded, forks, rollbacks int
}

func (s *script) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Error(err)
	}
}

func (s *script) begin(b *book) uint64 {
	s.last++
	s.ids, s.open[s.last] = append(s.ids, s.last), b
	return s.last
}

func (s *script) any() (uint64, *book) {
	id := s.ids[s.r.IntN(len(s.ids))]
	return id, s.open[id]
}

func (s *script) step() {
	if len(s.ids) < 2 || len(s.ids) < 40 && s.r.IntN(20) == 0 {
		b := &book{n: 2 + s.r.IntN(3)}
		s.check(s.p.OpenSeq(s.begin(b), encoded(s.t, m{"n": b.n})))
		return
	}
	id, b := s.any()
	switch s.r.IntN(12) {
	case 0, 1, 2:
		tokens := make([]int32, 1+s.r.IntN(6))
		for i := range tokens {
			tokens[i] = int32(s.r.IntN(scriptVocab))
		}
		b.tokens = append(b.tokens, tokens...)
		s.check(s.p.Accept(id, tokens))
	case 3:
		s.p.Plan([]uint64{id}, [][]int32{b.tokens})
	case 4, 5, 6:
		s.ask(id)
	case 7:
		s.ask(s.several()...)
	case 8:
		ids := s.several()
		s.plan(ids)
		s.ask(ids...)
	case 9:
		if n := s.r.IntN(len(b.tokens) + 1); n > 0 {
			s.rollbacks++
			b.tokens = b.tokens[:len(b.tokens)-n]
			s.check(s.p.Rollback(id, n))
		}
	case 10:
		if len(s.ids) < 40 {
			s.forks++
			s.check(s.p.ForkSeq(id, s.begin(&book{tokens: slices.Clone(b.tokens), n: b.n})))
		}
	case 11:
		if s.r.IntN(2) == 0 {
			s.p.CloseSeq(id)
			delete(s.open, id)
			s.ids = slices.DeleteFunc(s.ids, func(o uint64) bool { return o == id })
		}
	}
}

// several are some of the open sequences, in any order.
func (s *script) several() []uint64 {
	ids := slices.Clone(s.ids)
	s.r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:1+s.r.IntN(len(ids))]
}

func (s *script) plan(ids []uint64) {
	histories := make([][]int32, len(ids))
	for i, id := range ids {
		histories[i] = s.open[id].tokens
	}
	s.p.Plan(ids, histories)
}

// ask wants the answers that the books say.
func (s *script) ask(ids ...uint64) {
	n := len(ids)
	histories, rows, picks, errs := make([][]int32, n), make([][]float32, n), make([]int32, n), make([]error, n)
	for i, id := range ids {
		histories[i], rows[i] = s.open[id].tokens, make([]float32, scriptVocab)
	}
	s.p.ProcessRows(ids, histories, rows, picks, errs)
	for i, id := range ids {
		b := s.open[id]
		ban := b.banned(scriptVocab)
		var got []int32
		for token, v := range rows[i] {
			if math.IsInf(float64(v), -1) {
				got = append(got, int32(token))
			}
			if math.IsInf(float64(v), -1) != ban[int32(token)] {
				errs[i] = fmt.Errorf("token %d has logit %v", token, v)
			}
		}
		s.excluded += len(got)
		if errs[i] != nil || picks[i] != -1 {
			s.t.Errorf("sequence %d (n %d, %v): excludes %v, want %v, picks %d, %v", id, b.n, b.tokens, got, ban, picks[i], errs[i])
		}
	}
}
