package ptxbackend

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver/fake"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

// converse opens a model on drv, lets a conversation and a fork of it go on in
// several ways, and closes all. failed are the answers that failed.
func converse(drv driver.Driver, model []byte, o sandwarp.Options) (failed []error, backend string, err error) {
	gpuOf(drv)
	ctx := context.Background()
	m, err := sandwarp.OpenBytes(ctx, "tiny", model, o)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	answer := func(s *sandwarp.Session, prompt string, p sandwarp.SamplingParams) {
		for _, err := range s.Generate(ctx, prompt, sandwarp.GenerateOptions{MaxTokens: 4, IgnoreEOS: true, SamplingParams: p}) {
			if err != nil {
				failed = append(failed, err)
			}
		}
	}
	s := m.NewSession()
	defer s.Close()
	answer(s, "the fox", sandwarp.SamplingParams{})
	fork, err := s.Fork()
	if err != nil {
		return failed, "", err
	}
	defer fork.Close()
	answer(s, " and a", sandwarp.SamplingParams{Temperature: 1})
	answer(fork, " or the", sandwarp.SamplingParams{Temperature: 1, TopK: 5})
	if err := m.Logits(ctx, make([]int32, 80), func(int, []float32) error { return nil }); err != nil {
		failed = append(failed, err)
	}
	return failed, m.Info().Backend, nil
}

// tooSmall is a GPU that does not quite hold a model with room for pages pages.
func tooSmall(t *testing.T, o modeltest.Options, pages int) driver.Info {
	t.Helper()
	p, _ := tiny(t, o)
	p = plan.Fuse(p, (*gpu)(nil).Supports)
	weights, cache, workspace, err := Estimate(p, backend.Limits{MaxRows: 512, MaxSeqs: 2, MaxLogit: 32, Pages: pages}, h200)
	if err != nil {
		t.Fatal(err)
	}
	info := h200
	info.Memory = (weights+cache+workspace)*16/15 - 1<<10 // a sixteenth stays free
	return info
}

// Whatever call of the driver fails under a model, whole or split, one answer fails
// at the most; after a lost device the model is on the CPU; nothing stays behind.
func TestRuntimeFails(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	most := 2
	if testing.Short() {
		most = 1
	}
	small := modeltest.Options{Arch: "qwen2", DType: tensor.Q8_0, Seed: 4, Blocks: 6}
	model := modeltest.Make(small)
	o := sandwarp.Options{Backend: "emulated", Context: 256, MaxSequences: 2, CacheTokens: 256}
	for want, info := range map[string]driver.Info{"ptx": h200, "cpu+ptx": tooSmall(t, small, 4)} {
		t.Run(want, func(t *testing.T) {
			var failed []error
			var on string
			if _, on, err := converse(fake.Inert(info, 13000, 90), model, o); err != nil || on != want {
				t.Fatalf("on %s, %v", on, err)
			}
			run := func(d driver.Driver) (err error) {
				failed, on, err = converse(d, model, o)
				return err
			}
			wrap := func() *fake.Driver { return fake.Wrap(fake.Inert(info, 13000, 90)) }
			codes := []int{driver.CodeOutOfMemory, driver.CodeInvalidValue, driver.CodeLaunchFailed}
			err := fake.Walk(wrap, run, codes, most, func(at fake.Point, err, leaks error) {
				if leaks != nil {
					t.Errorf("%v: %v", at, leaks)
				}
				if len(failed) > 1 {
					t.Errorf("%v: %d answers failed: %v", at, len(failed), errors.Join(failed...))
				}
				if len(failed) == 1 && errors.Is(failed[0], sandwarp.ErrDeviceLost) && on != "cpu" {
					t.Errorf("%v: the device was lost, the model is on %s", at, on)
				}
				failed, on = nil, ""
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
