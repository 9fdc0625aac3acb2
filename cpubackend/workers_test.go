package cpubackend

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/model"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// tiny is an engine of a small random model.
func tiny(t testing.TB, lim backend.Limits) *engine {
	t.Helper()
	f, err := gguf.Parse("tiny.gguf", modeltest.Tiny("llama", tensor.F32, 1))
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
	return newEngine(t, p, data, lim)
}

// stepFunc is a step made of a function.
type stepFunc struct {
	joined
	f func(w *worker)
}

func (s stepFunc) run(w *worker) { s.f(w) }

// insert puts a step before step i.
func (g *engine) insert(i int, f func(w *worker)) {
	e := g.exec.(*executable)
	steps := append([]step{}, e.steps[:i]...)
	e.steps = append(append(steps, stepFunc{f: f}), e.steps[i:]...)
}

// A panic that is not about weights reaches the caller of Run, whichever worker it
// was, and the executable stays usable.
func TestPanicReachesTheCaller(t *testing.T) {
	for _, who := range []int{0, 2} {
		g := tiny(t, backend.Limits{Threads: 3})
		armed := true
		g.insert(3, func(w *worker) {
			if w.id == who && armed {
				panic("a bug")
			}
		})
		logits := matrix(1, g.plan.Vocab)
		func() {
			defer func() {
				if r, ok := recover().(string); !ok || !strings.Contains(r, "a bug") || !strings.Contains(r, "workers_test.go") {
					t.Errorf("recovered %v, want the panic and its stack", r)
				}
			}()
			g.feed([]int32{1, 2, 3}, logits)
		}()
		armed = false
		g.feed([]int32{1, 2, 3}, logits)
	}
}

// The end of a context stops all workers before the step after next.
func TestCancelWithinOneStep(t *testing.T) {
	g := tiny(t, backend.Limits{Threads: 3})
	ctx, cancel := context.WithCancel(context.Background())
	var later atomic.Int32
	count := func(*worker) { later.Add(1) }
	g.insert(3, count)
	g.insert(3, count)
	g.insert(3, func(w *worker) {
		if w.id == 1 {
			cancel()
		}
	})
	logits := matrix(1, g.plan.Vocab)
	batch := &backend.Batch{Tokens: []int32{1}, Pos: []int32{0}, Seq: []int32{0}, Tables: [][]int32{{0}}, LogitRows: []int32{0}}
	if err := g.exec.Run(ctx, batch, logits); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	// Worker 0 may have looked at the context just before it ended.
	if n := later.Load(); n > 3 {
		t.Errorf("%d shares of steps were done after the context had ended", n)
	}
	later.Store(0)
	if err := g.exec.Run(context.Background(), batch, logits); err != nil || later.Load() != 6 {
		t.Errorf("the next run: %v, %d shares of the counting steps, want 6", err, later.Load())
	}
}

// Workers that wait for the next run cost nothing, after a moment: under 1% of a
// processor over a second. Other things happen in a process, so the best of a few
// seconds counts.
func TestIdleUsesNoProcessor(t *testing.T) {
	second := time.Second
	if testing.Short() {
		second /= 4
	}
	for _, n := range []int{2, 9} {
		g := tiny(t, backend.Limits{Threads: n})
		g.feed([]int32{1, 2, 3}, matrix(1, g.plan.Vocab))
		time.Sleep(20 * time.Millisecond)
		least := time.Hour
		for try := 0; try < 5 && least > second/100; try++ {
			before := processTime(t)
			time.Sleep(second)
			least = min(least, processTime(t)-before)
		}
		if t.Logf("%d workers: %v of processor time in an idle %v", n, least, second); least > second/100 {
			t.Errorf("%d idle workers used %v of processor time in %v", n, least, second)
		}
	}
}

// More workers than may run at once still get through, and with the same result: a
// row's sums are the same whoever makes them.
func TestMoreWorkersThanProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	text := make([]int32, 30)
	for i := range text {
		text[i] = int32(7*i+3) % 60
	}
	var want [][]float32
	for _, procs := range []int{1, 2, 2 * runtime.NumCPU()} {
		runtime.GOMAXPROCS(procs)
		for _, n := range []int{1, 2, 9, 4*runtime.NumCPU() + 1} {
			g := tiny(t, backend.Limits{Threads: n, MaxLogit: len(text)})
			began := time.Now()
			got := matrix(len(text), g.plan.Vocab)
			g.feed(text[:20], got[:20])
			for i := 20; i < len(text); i++ {
				g.feed(text[i:i+1], got[i:i+1])
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("11 runs with %d workers on %d processors took %v", n, procs, took)
			}
			if want == nil {
				want = got
			}
			for i := range got {
				if !slices.Equal(got[i], want[i]) {
					t.Fatalf("%d workers on %d processors: the logits of row %d are not those of one worker", n, procs, i)
				}
			}
		}
	}
}

func TestDefaultThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if n := defaultThreads(); n != 1 {
		t.Errorf("%d workers by default with GOMAXPROCS=1", n)
	}
	runtime.GOMAXPROCS(4 * runtime.NumCPU())
	if q := quota(); q > 0 && q < float64(runtime.NumCPU()) {
		t.Skipf("this process may use the time of %v processors", q)
	}
	if n := defaultThreads(); n != runtime.NumCPU() {
		t.Errorf("%d workers by default on %d cores", n, runtime.NumCPU())
	}
}
