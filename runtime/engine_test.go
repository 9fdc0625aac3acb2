package sandwarp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sandwarp/sandwarp/cpubackend"
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

// device is what the backend "ptx" of these tests does: the CPU's work, until it
// fails. Without a device, as for all other tests, it is not there.
type device struct {
	backend.Backend
	pages  int   // of KV cache there is room for
	layers int   // there is room for, 0 for any number
	lost   bool  // once it has said so
	load   error // of Load
	real   int   // layers that can really be loaded, 0 for any number
	lives  int64 // runs until it is lost
	open   atomic.Int64
	loaded atomic.Int64
}

var gpu atomic.Pointer[device]

func init() {
	backend.Register("ptx", func() (backend.Backend, error) {
		d := gpu.Load()
		if d == nil {
			return nil, fmt.Errorf("test: %w", backend.ErrNoDevice)
		}
		d.open.Add(1)
		return d, nil
	})
}

func (d *device) Name() string { return "ptx" }

func (d *device) Fits(p *plan.Plan, lim backend.Limits) error {
	if lim.Pages > d.pages {
		return fmt.Errorf("%w: %d pages wanted, room for %d", backend.ErrNoMemory, lim.Pages, d.pages)
	}
	if d.lost && len(p.KV) <= d.layers {
		return backend.ErrDeviceLost
	}
	if d.layers > 0 && len(p.KV) > d.layers {
		return fmt.Errorf("%w: room for %d layers of %d", backend.ErrNoMemory, d.layers, len(p.KV))
	}
	return nil
}

func (d *device) Load(ctx context.Context, p *plan.Plan, w [][]byte, o backend.LoadOptions) (backend.Weights, error) {
	if d.load != nil {
		return nil, d.load
	}
	if d.real > 0 && len(p.KV) > d.real {
		return nil, fmt.Errorf("test: %w after all", backend.ErrNoMemory)
	}
	d.loaded.Add(1)
	return d.Backend.Load(ctx, p, w, o)
}

func (d *device) Compile(p *plan.Plan, w backend.Weights, lim backend.Limits) (backend.Executable, error) {
	e, err := d.Backend.Compile(p, w, lim)
	return &deviceRun{e, d.lives}, err
}

func (d *device) Close() error { d.open.Add(-1); return nil }

type deviceRun struct {
	backend.Executable
	left int64
}

func (e *deviceRun) Run(ctx context.Context, b *backend.Batch, logits [][]float32) error {
	if e.left--; e.left < 0 {
		return fmt.Errorf("test: illegal address: %w", backend.ErrDeviceLost)
	}
	return e.Executable.Run(ctx, b, logits)
}

// attach gives the test a device.
func attach(t *testing.T, d *device) *device {
	d.Backend = cpubackend.New()
	gpu.Store(d)
	t.Cleanup(func() {
		gpu.Store(nil)
		if n := d.open.Load(); n != 0 {
			t.Errorf("the device is open %d times", n)
		}
	})
	return d
}

func openTiny(t *testing.T, o sandwarp.Options) (*sandwarp.Model, error) {
	m, err := sandwarp.OpenBytes(t.Context(), "tiny", modeltest.Tiny("llama", tensor.F32, 1), o)
	if err == nil {
		t.Cleanup(func() { m.Close() })
	}
	return m, err
}

func text(t *testing.T, m *sandwarp.Model, n int) (string, error) {
	var s strings.Builder
	for tok, err := range m.Generate(t.Context(), "the fox", short(n)) {
		if err != nil {
			return s.String(), err
		}
		s.WriteString(tok.Text)
	}
	return s.String(), nil
}

// TestBackendChoice takes the device if it runs the model, says why if not, and
// does as it is told.
func TestBackendChoice(t *testing.T) {
	o := sandwarp.Options{Context: 256, MaxSequences: 4} // 16 pages, at least 4
	plain, err := openTiny(t, o)
	if err != nil {
		t.Fatal(err)
	}
	same, err := text(t, plain, 30)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		device  *device
		edit    func(*sandwarp.Options)
		want    string // backend, or words of the error
		because string // words of the log
		pages   int
	}{
		{name: "no device", want: "cpu", because: "no device", pages: 16},
		{name: "device", device: &device{pages: 16}, want: "ptx", pages: 16},
		{name: "small device", device: &device{pages: 7}, want: "ptx", pages: 6},
		{name: "too small", device: &device{pages: 3}, want: "cpu", because: "4 pages wanted, room for 3", pages: 16},
		{name: "too many layers", device: &device{pages: 99, layers: 1}, want: "cpu+ptx", because: "room for 1 layers of 2", pages: 4},
		{name: "split as wanted", device: &device{pages: 99, layers: 1}, edit: func(o *sandwarp.Options) { o.Backend = "ptx"; o.CacheTokens = 512 }, want: "cpu+ptx", pages: 8},
		{name: "cache given", device: &device{pages: 7}, edit: func(o *sandwarp.Options) { o.CacheTokens = 640 }, want: "cpu", because: "10 pages wanted", pages: 10},
		{name: "load fails", device: &device{pages: 99, load: errors.New("odd format")}, want: "cpu", because: "odd format", pages: 16},
		{name: "wide cache", device: &device{pages: 99}, edit: func(o *sandwarp.Options) { o.CacheType = sandwarp.CacheF32 }, want: "cpu", because: "CacheType", pages: 16},
		{name: "cpu wanted", device: &device{pages: 99}, edit: func(o *sandwarp.Options) { o.Backend = "cpu" }, want: "cpu", pages: 16},
		{name: "ptx wanted", edit: func(o *sandwarp.Options) { o.Backend = "ptx" }, want: "no device"},
		{name: "too small, wanted", device: &device{pages: 3}, edit: func(o *sandwarp.Options) { o.Backend = "ptx" }, want: "room for 3"},
		{name: "unknown", edit: func(o *sandwarp.Options) { o.Backend = "abacus" }, want: "[cpu ptx]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.device != nil {
				c.device.lives = 1 << 40
				attach(t, c.device)
			}
			var log bytes.Buffer
			o := o
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			if c.edit != nil {
				c.edit(&o)
			}
			m, err := openTiny(t, o)
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q in it", err, c.want)
				}
				return
			}
			defer m.Close()
			if got := m.Info().Backend; got != c.want || m.Load().Pages != c.pages {
				t.Errorf("runs on %s with %d pages, want %s with %d", got, m.Load().Pages, c.want, c.pages)
			}
			if !strings.Contains(log.String(), c.because) {
				t.Errorf("the log does not say %q:\n%s", c.because, &log)
			}
			if got, err := text(t, m, 30); err != nil || got != same {
				t.Errorf("%q, %v, want %q", got, err, same)
			}
		})
	}
}

// TestSplitProgress goes from nothing to all once, over both parts.
func TestSplitProgress(t *testing.T) {
	attach(t, &device{pages: 99, layers: 1, lives: 1 << 40})
	var seen [][2]int64
	m, err := openTiny(t, sandwarp.Options{Context: 256, Progress: func(done, total int64) { seen = append(seen, [2]int64{done, total}) }})
	if err != nil || m.Info().Backend != "cpu+ptx" {
		t.Fatal(err)
	}
	defer m.Close()
	for i, s := range seen {
		if s[1] != seen[0][1] || i > 0 && s[0] <= seen[i-1][0] {
			t.Errorf("%v", seen)
		}
	}
	if last := seen[len(seen)-1]; last[0] != last[1] {
		t.Errorf("ends at %d of %d", last[0], last[1])
	}
}

// TestSplitFails says what failed if it is not the memory.
func TestSplitFails(t *testing.T) {
	attach(t, &device{pages: 99, layers: 1, lost: true})
	_, err := openTiny(t, sandwarp.Options{Context: 256, Backend: "ptx"})
	if !errors.Is(err, sandwarp.ErrDeviceLost) {
		t.Error(err)
	}
}

// TestGoesOnOnTheCPU loses the device in the middle of an answer.
func TestGoesOnOnTheCPU(t *testing.T) {
	m, err := openTiny(t, sandwarp.Options{Context: 256})
	if err != nil {
		t.Fatal(err)
	}
	want, err := text(t, m, 20)
	if err != nil {
		t.Fatal(err)
	}
	d := attach(t, &device{pages: 1000, lives: 10})
	if m, err = openTiny(t, sandwarp.Options{Context: 256}); err != nil || m.Info().Backend != "ptx" {
		t.Fatal(err)
	}
	begun, err := text(t, m, 20)
	if !errors.Is(err, sandwarp.ErrDeviceLost) || begun == "" || !strings.HasPrefix(want, begun) {
		t.Errorf("%q, %v", begun, err)
	}
	if got, err := text(t, m, 20); got != want || err != nil {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if m.Info().Backend != "cpu" || d.open.Load() != 0 {
		t.Errorf("runs on %s, the device is open %d times", m.Info().Backend, d.open.Load())
	}
	if i := m.Info(); i.Threads < 1 || i.CacheBytes <= 0 {
		t.Errorf("on the cpu with %d threads and a KV cache of %d bytes", i.Threads, i.CacheBytes)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// TestSplitWithLessThanEstimated has a device on which less can be loaded than it
// says there is room for.
func TestSplitWithLessThanEstimated(t *testing.T) {
	gguf := modeltest.Make(modeltest.Options{Arch: "llama", DType: tensor.F32, Seed: 4, Blocks: 12})
	for real, want := range map[int]string{1: "cpu+ptx", 5: "cpu+ptx", 10: "cpu+ptx"} {
		d := attach(t, &device{pages: 99, layers: 11, real: real, lives: 1 << 40})
		m, err := sandwarp.OpenBytes(t.Context(), "tiny", gguf, sandwarp.Options{Context: 128, MaxSequences: 2})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Info().Backend; got != want {
			t.Errorf("room for %d layers: runs on %s, want %s", real, got, want)
		}
		if _, err := text(t, m, 3); err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil || d.open.Load() != 0 {
			t.Errorf("%v, the device is open %d times", err, d.open.Load())
		}
	}
}
