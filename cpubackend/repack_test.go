package cpubackend

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/model"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// written is a random model of a format in a file, mapped.
func written(t *testing.T, dt tensor.DType) (path string, p *plan.Plan, data [][]byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, modeltest.Make(modeltest.Options{Arch: "llama", DType: dt, Seed: 3, Blocks: 2}), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	c, err := model.ReadConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	p, data, err = model.Build(c, f)
	if err != nil {
		t.Fatal(err)
	}
	return path, plan.Fuse(p, New().Supports), data
}

// Repacked weights and weights as they are give the same logits but for the order in
// which products are added.
func TestRepackedAgainstLowMemory(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.Q8_0, tensor.Q4_0, tensor.Q5_1, tensor.F16} {
		_, p, data := written(t, dt)
		var logits [2][][]float32
		for i := range logits {
			w, err := New().Load(context.Background(), p, data, backend.LoadOptions{LowMemory: i == 1})
			if err != nil {
				t.Fatal(err)
			}
			if i == 1 && w.Bytes() != 0 {
				t.Errorf("%v: %d bytes taken with LowMemory", dt, w.Bytes())
			}
			e, err := New().Compile(p, w, backend.Limits{MaxRows: 16, MaxSeqs: 1, MaxLogit: 1, Pages: 1})
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(1, 1))
			for _, rows := range []int{1, 2, 16, 1} {
				b := &backend.Batch{Tables: [][]int32{{0}}, LogitRows: []int32{int32(rows - 1)}}
				for k := range rows {
					b.Tokens, b.Pos, b.Seq = append(b.Tokens, int32(r.IntN(p.Vocab))), append(b.Pos, int32(k)), append(b.Seq, 0)
				}
				y := matrix(1, p.Vocab)
				if err := e.Run(context.Background(), b, y); err != nil {
					t.Fatal(err)
				}
				logits[i] = append(logits[i], y[0])
			}
			if err := errors.Join(e.Close(), w.Close()); err != nil {
				t.Fatal(err)
			}
		}
		if d := relRMS(logits[0], logits[1], nil); !(d < 5e-3) {
			t.Errorf("%v: logits differ by %.1e", dt, d)
		}
	}
}

// Load tells how far it is, up to all of it, and gives back only what it copied.
func TestRepackReports(t *testing.T) {
	_, p, data := written(t, tensor.Q8_0)
	var total, last, dropped int64
	for _, b := range data {
		total += int64(len(b))
	}
	var mu sync.Mutex
	w, err := New().Load(context.Background(), p, data, backend.LoadOptions{
		Progress: func(done, all int64) {
			if all != total || done < last || done > all {
				t.Errorf("progress %d of %d after %d, all are %d", done, all, last, total)
			}
			last = done
		},
		Drop: func(b []byte) {
			mu.Lock()
			defer mu.Unlock()
			dropped += int64(len(b))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if last != total {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	if (dropped > 0) != (w.Bytes() > 0) {
		t.Errorf("%d bytes given back, %d taken", dropped, w.Bytes())
	}
	if n := w.Bytes(); n > total*11/10+64<<10 {
		t.Errorf("%d bytes taken for %d of weights", n, total)
	}
}

// Load stops before it begins and between two pieces of work, and says how far it came.
func TestRepackStops(t *testing.T) {
	_, p, data := written(t, tensor.Q8_0)
	whole, err := New().Load(context.Background(), p, data, backend.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var last, total int64
	w, err := New().Load(ctx, p, data, backend.LoadOptions{Threads: 1, Progress: func(done, all int64) {
		cancel()
		last, total = done, all
	}})
	if w != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("Load whose context ends: %v, %v", w, err)
	}
	if whole.Bytes() > 0 && last >= total {
		t.Errorf("went on to %d of %d bytes", last, total)
	}
	if w, err := New().Load(ctx, p, data, backend.LoadOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Load after the context's end: %v, %v", w, err)
	}
}

// Load works on as many threads as it may.
func TestRepackThreads(t *testing.T) {
	_, p, data := written(t, tensor.Q8_0)
	var at, most atomic.Int32
	w, err := New().Load(context.Background(), p, data, backend.LoadOptions{Threads: 1, Drop: func([]byte) {
		if n := at.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(time.Millisecond)
		at.Add(-1)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if most.Load() > 1 {
		t.Errorf("%d threads repack, one may", most.Load())
	}
}

// A file that shrinks while it is repacked is an error that names a weight.
func TestRepackOfTruncatedFile(t *testing.T) {
	path, p, data := written(t, tensor.Q8_0)
	if err := os.Truncate(path, 4096); err != nil {
		t.Skip(err) // a mapped file cannot be, here
	}
	w, err := New().Load(context.Background(), p, data, backend.LoadOptions{})
	if err == nil {
		if w.Bytes() > 0 {
			t.Error("repacked what could not be read")
		}
		return
	}
	if !errors.Is(err, backend.ErrWeightsLost) {
		t.Errorf("Load: %v", err)
	}
}
