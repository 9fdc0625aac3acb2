package backendtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// A copied page holds what the original held, and the two are independent.
func testCopyPage(t *testing.T, u under) {
	for _, cache := range []backend.KVType{backend.KVF16, backend.KVF32, backend.KVQ8_0} {
		if u.Emulated && cache == backend.KVQ8_0 {
			continue
		}
		s := newSubject(t, modeltest.Options{Arch: "llama", DType: tensor.F32, Seed: 13})
		lim := defaults
		lim.KV = cache
		b := start(t, u, s, true, lim)
		r := rand.New(rand.NewPCG(13, 13))
		text := texts(r, b.vocab, 90, 90)
		copy(text[1], text[0][:80]) // they part at 80
		want := s.want(t, text)
		b.load(nil, text)
		b.feed(50)
		b.feed(30)
		b.seqs[1].done, b.seqs[1].table = 80, []int32{b.free[0], b.free[1]}
		b.free = b.free[2:]
		for i, src := range b.seqs[0].table {
			if err := b.exec.CopyPage(b.seqs[1].table[i], src); err != nil {
				t.Fatal(err)
			}
		}
		b.feed(3, 4)
		b.feed(7, 6)
		tol := u.tolerance(tensor.F32, cache)
		near(t, b.result[0], want[:90], tol)
		near(t, b.result[1], want[90+80:], tol)
		for _, bad := range [][2]int32{{-1, 0}, {0, -1}, {int32(lim.Pages), 0}, {0, int32(lim.Pages)}} {
			if b.exec.CopyPage(bad[0], bad[1]) == nil {
				t.Errorf("copied page %d to %d, of %d", bad[1], bad[0], lim.Pages)
			}
		}
	}
}

// A batch may want no logits, or some; the cache is filled all the same.
func testNoLogits(t *testing.T, u under) {
	s := newSubject(t, modeltest.Options{Arch: "qwen2", DType: tensor.F32, Seed: 15})
	lim := defaults
	lim.KV = backend.KVF32
	b := start(t, u, s, true, lim)
	text := texts(rand.New(rand.NewPCG(15, 15)), b.vocab, 24)
	want := s.want(t, text)
	batch := prompt(text[0][:20])
	batch.LogitRows = nil
	if err := b.exec.Run(context.Background(), batch, nil); err != nil {
		t.Fatal(err)
	}
	batch = prompt(text[0])
	batch.Tokens, batch.Pos, batch.Seq = batch.Tokens[20:], batch.Pos[20:], batch.Seq[20:]
	batch.LogitRows = []int32{1, 3}
	got := rows(2, b.vocab)
	if err := b.exec.Run(context.Background(), batch, got); err != nil {
		t.Fatal(err)
	}
	near(t, got, [][]float64{want[21], want[23]}, u.tolerance(tensor.F32, backend.KVF32))
}

// prompt is a batch of one new sequence in pages 0, 1, ...; logits of its last row.
func prompt(text []int32) *backend.Batch {
	b := &backend.Batch{Tokens: text, Tables: [][]int32{nil}, LogitRows: []int32{int32(len(text) - 1)}}
	for i := range text {
		b.Pos, b.Seq = append(b.Pos, int32(i)), append(b.Seq, 0)
		if i%backend.PageTokens == 0 {
			b.Tables[0] = append(b.Tables[0], int32(i/backend.PageTokens))
		}
	}
	return b
}

// What Batch.Validate refuses, and room for logits of the wrong shape, is an error
// and leaves the executable as it was.
func testBadBatches(t *testing.T, u under) {
	s := newSubject(t, modeltest.Options{Arch: "llama", DType: tensor.F32, Seed: 17})
	b := start(t, u, s, true, defaults)
	text := texts(rand.New(rand.NewPCG(17, 17)), b.vocab, 65)[0]
	for name, spoil := range map[string]func(*backend.Batch, *[][]float32){
		"no rows":        func(b *backend.Batch, _ *[][]float32) { b.Tokens, b.Pos, b.Seq = nil, nil, nil },
		"too many rows":  func(b *backend.Batch, _ *[][]float32) { *b = *prompt(text) },
		"token":          func(b *backend.Batch, _ *[][]float32) { b.Tokens[2] = int32(s.plan.Vocab) },
		"negative token": func(b *backend.Batch, _ *[][]float32) { b.Tokens[2] = -1 },
		"lengths":        func(b *backend.Batch, _ *[][]float32) { b.Pos = b.Pos[1:] },
		"sequence":       func(b *backend.Batch, _ *[][]float32) { b.Seq[9] = 1 },
		"position":       func(b *backend.Batch, _ *[][]float32) { b.Pos[9] = 64 },
		"a gap":          func(b *backend.Batch, _ *[][]float32) { b.Pos[9] = 10 },
		"page":           func(b *backend.Batch, _ *[][]float32) { b.Tables[0][0] = int32(defaults.Pages) },
		"negative page":  func(b *backend.Batch, _ *[][]float32) { b.Tables[0][0] = -1 },
		"logit row":      func(b *backend.Batch, _ *[][]float32) { b.LogitRows[0] = 10 },
		"room":           func(_ *backend.Batch, l *[][]float32) { *l = nil },
		"narrow room":    func(_ *backend.Batch, l *[][]float32) { (*l)[0] = (*l)[0][1:] },
	} {
		batch, logits := prompt(append([]int32{}, text[:10]...)), rows(1, b.vocab)
		spoil(batch, &logits)
		if err := b.exec.Run(context.Background(), batch, logits); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	b.load(nil, [][]int32{text})
	b.feedAll(60)
	near(t, b.all(), s.want(t, [][]int32{text}), u.tolerance(tensor.F32, backend.KVF16))
}

func testBadLimits(t *testing.T, u under) {
	s := newSubject(t, modeltest.Options{Arch: "llama", DType: tensor.F32})
	be := u.open()
	defer be.Close()
	if _, err := be.Load(context.Background(), s.plan, s.data[1:], backend.LoadOptions{}); err == nil {
		t.Error("loaded fewer weights than the plan has")
	}
	w, err := be.Load(context.Background(), s.plan, s.data, backend.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for name, spoil := range map[string]func(*backend.Limits){
		"MaxRows":  func(l *backend.Limits) { l.MaxRows = 0 },
		"MaxSeqs":  func(l *backend.Limits) { l.MaxSeqs = 0 },
		"MaxLogit": func(l *backend.Limits) { l.MaxLogit = -1 },
		"Pages":    func(l *backend.Limits) { l.Pages = 0 },
	} {
		lim := defaults
		spoil(&lim)
		if e, err := be.Compile(s.plan, w, lim); err == nil {
			t.Errorf("%s: no error for %+v", name, lim)
			e.Close()
		}
	}
}

// countdown is a context that ends when it has been asked a number of times whether
// it has, and counts how often it is asked after that.
type countdown struct {
	context.Context
	cancel context.CancelFunc
	mu     sync.Mutex // guards the rest
	left   int
	asked  int
	after  int
}

func newCountdown(n int) *countdown {
	c := &countdown{left: n}
	c.Context, c.cancel = context.WithCancel(context.Background())
	return c
}

func (c *countdown) ask() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.left == 0 {
		c.after++
	} else if c.left--; c.left == 0 {
		c.cancel()
	}
}

func (c *countdown) Done() <-chan struct{} { c.ask(); return c.Context.Done() }
func (c *countdown) Err() error            { c.ask(); return c.Context.Err() }

// Rule 4: Run ends within a step of its context: it asks in every layer, and once it
// has the answer, only to pass it on.
func testCancel(t *testing.T, u under) {
	const blocks = 16
	s := newSubject(t, modeltest.Options{Arch: "llama", DType: tensor.F32, Seed: 19, Blocks: blocks, Context: 512})
	lim := defaults
	lim.MaxRows, lim.Pages = 100, 16
	b := start(t, u, s, true, lim)
	text := texts(rand.New(rand.NewPCG(19, 19)), b.vocab, lim.MaxRows)
	logits := rows(1, b.vocab)
	run := func(ctx context.Context) error { return b.exec.Run(ctx, prompt(text[0]), logits) }
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := run(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Run with an ended context: %v", err)
	}
	never := newCountdown(-1)
	defer never.cancel()
	if err := run(never); err != nil {
		t.Fatal(err)
	}
	want := append([]float32{}, logits[0]...)
	if never.asked < blocks {
		t.Errorf("asked %d times in %d layers", never.asked, blocks)
	}
	for _, n := range []int{1, 2, 3, never.asked / 2, never.asked - 1} {
		c := newCountdown(n)
		if err := run(c); !errors.Is(err, context.Canceled) || c.after > 3 {
			t.Errorf("ended when asked the %dth time, it was asked %d times more: %v", n, c.after, err)
		}
	}
	if err := run(context.Background()); err != nil {
		t.Fatal(err)
	}
	near(t, logits, [][]float32{want}, 1e-6)
}

// Rule 3, first half: Run allocates nothing.
func testNoAllocation(t *testing.T, u under) {
	if u.Emulated {
		t.Skip("an emulator allocates")
	}
	s := newSubject(t, modeltest.Options{Arch: "qwen2", DType: tensor.Q8_0, Seed: 21})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, fuse := range []bool{true, false} {
		b := start(t, u, s, fuse, defaults)
		text := texts(rand.New(rand.NewPCG(21, 21)), b.vocab, 48)
		for _, n := range []int{48, 1} {
			batch, logits := prompt(text[0][:n]), rows(1, b.vocab)
			allocs := testing.AllocsPerRun(20, func() {
				if err := b.exec.Run(ctx, batch, logits); err != nil {
					t.Fatal(err)
				}
			})
			if allocs != 0 {
				t.Errorf("a batch of %d rows (fused: %v) allocates %v times", n, fuse, allocs)
			}
		}
	}
}

// Rule 3, second half: Close leaves no goroutine, and ends the executable.
func testClose(t *testing.T, u under) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := newSubject(t, modeltest.Options{Arch: "llama", DType: tensor.F32, Seed: 23})
	be := u.open()
	p := plan.Fuse(s.plan, be.Supports)
	w, err := be.Load(context.Background(), p, s.data, backend.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, used := range []bool{false, true} {
		lim := defaults
		lim.Threads = 3
		e, err := be.Compile(p, w, lim)
		if err != nil {
			t.Fatal(err)
		}
		batch, logits := prompt([]int32{1, 2, 3}), rows(1, p.Vocab)
		if used {
			if err := e.Run(context.Background(), batch, logits); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := e.Run(context.Background(), batch, logits); err == nil {
			t.Error("Run after Close: no error")
		}
		if err := e.CopyPage(0, 1); err == nil {
			t.Error("CopyPage after Close: no error")
		}
	}
	if err := errors.Join(w.Close(), be.Close()); err != nil {
		t.Error(err)
	}
}
