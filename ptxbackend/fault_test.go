package ptxbackend

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/model"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver/fake"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// h200 is a GPU whose kernels do nothing.
var h200 = driver.Info{Name: "inert", Major: 9, Minor: 0, SMs: 132, Memory: 1 << 30, SharedPerBlock: 227 << 10, SharedPerSM: 228 << 10}

func inert() *fake.Driver { return fake.Wrap(fake.Inert(h200, 13000, 90)) }

// tiny is a small random model.
func tiny(t testing.TB, o modeltest.Options) (*plan.Plan, [][]byte) {
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
	return p, data
}

// promptOf is a batch of n tokens of one sequence, and logits of its last row.
func promptOf(n int) *backend.Batch {
	b := &backend.Batch{Tables: [][]int32{{0, 1, 2, 3}}, LogitRows: []int32{int32(n - 1)}}
	for i := range n {
		b.Tokens, b.Pos, b.Seq = append(b.Tokens, int32(i)), append(b.Pos, int32(i)), append(b.Seq, 0)
	}
	return b
}

var faultLimits = backend.Limits{MaxRows: 150, MaxSeqs: 2, MaxLogit: 2, Pages: 8}

// use does everything there is to do with a backend, on drv, and closes it all; it
// returns the first error.
func use(drv driver.Driver, p *plan.Plan, data [][]byte) (err error) {
	closing := func(c interface{ Close() error }) { err = errors.Join(err, c.Close()) }
	g, err := openOn(drv, 0)
	if err != nil {
		return err
	}
	defer closing(g)
	p = plan.Fuse(p, g.Supports)
	if err := g.(backend.Sizer).Fits(p, faultLimits); err != nil {
		return err
	}
	w, err := g.Load(context.Background(), p, data, backend.LoadOptions{})
	if err != nil {
		return err
	}
	defer closing(w)
	e, err := g.Compile(p, w, faultLimits)
	if err != nil {
		return err
	}
	defer closing(e)
	for _, n := range []int{40, 1, 150} {
		if err := e.Run(context.Background(), promptOf(n), matrixOf(1, p.Vocab)); err != nil {
			return err
		}
	}
	top := make([]backend.TopLogits, 1)
	if err := e.(backend.Candidates).RunTop(context.Background(), promptOf(3), 5, top); err != nil {
		return err
	}
	if err := e.(backend.Candidates).Full(0, make([]float32, p.Vocab)); err != nil {
		return err
	}
	return e.CopyPage(1, 0)
}

// Whatever call fails, and in whatever way, it comes back as an error that says so,
// and nothing stays behind.
func TestEveryCallFails(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	p, data := tiny(t, modeltest.Options{Arch: "qwen2", DType: tensor.Q8_0, Untied: true})
	most := 7
	if testing.Short() {
		most = 2
	}
	runs := 0
	codes := []int{driver.CodeOutOfMemory, driver.CodeInvalidValue, driver.CodeLaunchFailed}
	err := fake.Walk(inert, func(d driver.Driver) error { return use(d, p, data) }, codes, most, func(at fake.Point, err, leaks error) {
		runs++
		if leaks != nil {
			t.Errorf("%v: %v", at, leaks)
		}
		lost := at.Code == driver.CodeLaunchFailed
		if err == nil {
			// What is given back once the device is lost is gone with it.
			if !lost || !(strings.HasSuffix(string(at.Op), "Close") || strings.HasSuffix(string(at.Op), "Free") || at.Op == fake.Unload || at.Op == fake.Sync || at.Op == fake.Enter) {
				t.Errorf("%v: no error", at)
			}
			return
		}
		if lost && !errors.Is(err, backend.ErrDeviceLost) {
			t.Errorf("%v: does not say that the device is lost: %v", at, err)
		}
		if at.Code == driver.CodeOutOfMemory && !errors.Is(err, backend.ErrNoMemory) {
			t.Errorf("%v: does not say that memory is short: %v", at, err)
		}
		if !strings.HasPrefix(err.Error(), "ptxbackend: ") {
			t.Errorf("%v: %v", at, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d failures", runs)
}

// After the device is lost an executable says so, and can be closed.
func TestLost(t *testing.T) {
	p, data := tiny(t, modeltest.Options{Arch: "llama", DType: tensor.F16})
	drv := inert()
	g, err := openOn(drv, 0)
	if err != nil {
		t.Fatal(err)
	}
	w, err := g.Load(context.Background(), p, data, backend.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := g.Compile(p, w, faultLimits)
	if err != nil {
		t.Fatal(err)
	}
	run := func() error { return e.Run(context.Background(), promptOf(2), matrixOf(1, p.Vocab)) }
	if err := run(); err != nil {
		t.Fatal(err)
	}
	drv.Lose(driver.CodeIllegalAddress)
	for range 2 {
		if err := run(); !errors.Is(err, backend.ErrDeviceLost) {
			t.Errorf("Run after the loss: %v", err)
		}
	}
	if err := e.CopyPage(0, 1); !errors.Is(err, backend.ErrDeviceLost) {
		t.Errorf("CopyPage after the loss: %v", err)
	}
	if _, err := g.Compile(p, w, faultLimits); !errors.Is(err, backend.ErrDeviceLost) {
		t.Errorf("Compile after the loss: %v", err)
	}
	if err := errors.Join(e.Close(), w.Close(), g.Close()); err != nil {
		t.Errorf("Close after the loss: %v", err)
	}
	if err := drv.Leaks(); err != nil {
		t.Error(err)
	}
}

// Without a device, or with one that is too old, callers are told which error it is.
func TestNoDevice(t *testing.T) {
	old := h200
	old.Major, old.Minor = 7, 5
	none := inert()
	none.Fail(fake.Devices, 1, driver.CodeNoDevice)
	for name, open := range map[string]func() (backend.Backend, error){
		"old":     func() (backend.Backend, error) { return openOn(fake.Inert(old, 13000, 90), 0) },
		"missing": func() (backend.Backend, error) { return openOn(inert(), 3) },
		"none":    func() (backend.Backend, error) { return openOn(none, 0) },
	} {
		if _, err := open(); !errors.Is(err, backend.ErrNoDevice) {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Setenv("SANDWARP_CUDA_DEVICE", "first")
	if _, err := New(); err == nil || !strings.Contains(err.Error(), "SANDWARP_CUDA_DEVICE") {
		t.Errorf("a device that is no number: %v", err)
	}
}

// A model that does not fit is refused with the figures, and so is a load that does
// not fit after all.
func TestNoMemory(t *testing.T) {
	p, data := tiny(t, modeltest.Options{Arch: "llama", DType: tensor.F16})
	small := h200
	small.Memory = 1 << 20
	g, err := openOn(fake.Inert(small, 13000, 90), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	err = g.(backend.Sizer).Fits(p, faultLimits)
	if !errors.Is(err, backend.ErrNoMemory) || !strings.Contains(err.Error(), "KV pages") {
		t.Errorf("Fits: %v", err)
	}
	w, err := g.Load(context.Background(), p, data, backend.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	big := faultLimits
	big.Pages = 1 << 20
	if _, err := g.Compile(p, w, big); !errors.Is(err, backend.ErrNoMemory) {
		t.Errorf("Compile: %v", err)
	}
}

// The estimate is what loading and compiling take.
func TestEstimate(t *testing.T) {
	for _, o := range []modeltest.Options{
		{Arch: "llama", DType: tensor.Q4_K, Untied: true}, {Arch: "qwen3", DType: tensor.Q8_0}, {Arch: "qwen2", DType: tensor.F32},
	} {
		for _, fuse := range []bool{true, false} {
			p, data := tiny(t, o)
			drv := inert()
			g, err := openOn(drv, 0)
			if err != nil {
				t.Fatal(err)
			}
			if fuse {
				p = plan.Fuse(p, g.Supports)
			}
			weights, cache, workspace, err := Estimate(p, faultLimits, h200)
			if err != nil {
				t.Fatal(err)
			}
			w, err := g.Load(context.Background(), p, data, backend.LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := drv.Live().Bytes; got != weights || w.Bytes() != weights {
				t.Errorf("%+v: weights of %d bytes (says %d), estimated %d", o, got, w.Bytes(), weights)
			}
			e, err := g.Compile(p, w, faultLimits)
			if err != nil {
				t.Fatal(err)
			}
			slack := int64(4096) // of tables of frequencies
			if got := drv.Live().Bytes - weights; got > cache+workspace+slack || got < cache+workspace {
				t.Errorf("%+v, fused %v: %d bytes taken, estimated %d and %d", o, fuse, got, cache, workspace)
			}
			if err := errors.Join(e.Close(), w.Close(), g.Close()); err != nil {
				t.Error(err)
			}
		}
	}
}

// idle is a device whose streams do nothing, not even copy, at no cost.
type idle struct{ driver.Device }

type idleStream struct{ driver.Stream }

type idleGraph struct{}

func (d idle) NewStream() (driver.Stream, error) { return idleStream{}, nil }

func (idleStream) Launch(driver.Function, *driver.Launch) error { return nil }
func (idleStream) CopyIn(driver.Ptr, []byte) error              { return nil }
func (idleStream) CopyOut([]byte, driver.Ptr) error             { return nil }
func (idleStream) Fill(driver.Ptr, byte, int64) error           { return nil }
func (idleStream) BeginCapture() error                          { return nil }
func (idleStream) EndCapture() (driver.Graph, error)            { return idleGraph{}, nil }
func (idleStream) Replay(driver.Graph) error                    { return nil }
func (idleStream) Record(driver.Event) error                    { return nil }
func (idleStream) Sync() error                                  { return nil }
func (idleStream) Close() error                                 { return nil }
func (idleGraph) Close() error                                  { return nil }

// idleGPU is the backend on an idle device.
func idleGPU(t testing.TB, info driver.Info, target ptx.Target) *gpu {
	t.Helper()
	dev, err := fake.Inert(info, 13000, 90).Open(0)
	if err != nil {
		t.Fatal(err)
	}
	return newGPU(idle{dev}, target)
}

// Rule 3: a run allocates nothing, in small batches and large ones.
func TestNoAllocation(t *testing.T) {
	p, data := tiny(t, modeltest.Options{Arch: "qwen2", DType: tensor.Q8_0})
	for _, fuse := range []bool{true, false} {
		g := idleGPU(t, h200, ptx.SM90a)
		q := p
		if fuse {
			q = plan.Fuse(p, g.Supports)
		}
		w, err := g.Load(context.Background(), q, data, backend.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		e, err := g.Compile(q, w, faultLimits)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		top := make([]backend.TopLogits, 1)
		for _, n := range []int{1, 48, 150} {
			batch, logits := promptOf(n), matrixOf(1, p.Vocab)
			if allocs := testing.AllocsPerRun(20, func() {
				if err := e.Run(ctx, batch, logits); err != nil {
					t.Fatal(err)
				}
			}); allocs != 0 {
				t.Errorf("a batch of %d rows (fused: %v) allocates %v times", n, fuse, allocs)
			}
			if allocs := testing.AllocsPerRun(20, func() {
				if err := e.(backend.Candidates).RunTop(ctx, batch, 40, top); err != nil {
					t.Fatal(err)
				}
			}); allocs != 0 {
				t.Errorf("candidates of a batch of %d rows (fused: %v) allocate %v times", n, fuse, allocs)
			}
		}
		if err := errors.Join(e.Close(), w.Close(), g.Close()); err != nil {
			t.Error(err)
		}
	}
}

// What the host does for a token, other than in the driver.
func BenchmarkHost(b *testing.B) {
	p, data := tiny(b, modeltest.Options{Arch: "llama", DType: tensor.F16, Blocks: 32})
	g := idleGPU(b, h200, ptx.SM90a)
	p = plan.Fuse(p, g.Supports)
	w, err := g.Load(context.Background(), p, data, backend.LoadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	e, err := g.Compile(p, w, faultLimits)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 64, 150} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			batch, top := promptOf(n), make([]backend.TopLogits, 1)
			for b.Loop() {
				if err := e.(backend.Candidates).RunTop(context.Background(), batch, 256, top); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	if err := errors.Join(e.Close(), w.Close(), g.Close()); err != nil {
		b.Error(err)
	}
}
