//go:build unix

package backendtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/model"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Rule 5: the file shrinks while it is mapped. Run returns ErrWeightsLost, or
// works on if the backend holds the weights elsewhere; nothing crashes or hangs,
// and executables of other weights are not touched.
func testWeightsLost(t *testing.T, u under) {
	path := filepath.Join(t.TempDir(), "model.gguf")
	if !faultsReported(t, path) {
		t.Skip("this system (an emulator?) does not say where a fault was")
	}
	o := modeltest.Options{Arch: "llama", DType: tensor.F32, Seed: 25, Blocks: 4}
	file := modeltest.Make(o)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := model.ReadConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	p, data, err := model.Build(c, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, threads := range []int{1, 2, 5} {
		lim := defaults
		lim.Threads = threads
		if err := os.WriteFile(path, file, 0o600); err != nil { // Load may read it all
			t.Fatal(err)
		}
		lost := start(t, u, subject{p, data}, true, lim)
		whole := newSubject(t, o)
		other := start(t, u, whole, true, lim)
		text := texts(rand.New(rand.NewPCG(25, 25)), p.Vocab, 20)
		other.load(nil, text)
		other.feed(10)
		for _, keep := range []int{len(file) / 2, len(file) * 3 / 4, 4096} {
			for _, n := range []int{1, 20} {
				if err := os.WriteFile(path, file, 0o600); err != nil {
					t.Fatal(err)
				}
				runOnce(t, lost, text[0][:n], false)
				if err := os.Truncate(path, int64(keep)); err != nil {
					t.Fatal(err)
				}
				runOnce(t, lost, text[0][:n], true)
			}
		}
		loadTruncated(t, u, subject{p, data})
		other.feed(10)
		near(t, other.all(), whole.want(t, text), u.tolerance(tensor.F32, backend.KVF16))
	}
}

// loadTruncated loads a model whose file is truncated: all right for a backend that
// does not read it yet.
func loadTruncated(t *testing.T, u under, s subject) {
	t.Helper()
	be := u.open()
	defer be.Close()
	w, err := be.Load(context.Background(), plan.Fuse(s.plan, be.Supports), s.data, backend.LoadOptions{})
	if err == nil {
		err = w.Close()
	}
	if err != nil && !errors.Is(err, backend.ErrWeightsLost) {
		t.Errorf("loading a truncated file: %v", err)
	}
}

// runOnce runs a prompt; with broken, ErrWeightsLost is all right.
func runOnce(t *testing.T, b *bench, text []int32, broken bool) {
	t.Helper()
	err := b.exec.Run(context.Background(), prompt(text), rows(1, b.vocab))
	if err != nil && !(broken && errors.Is(err, backend.ErrWeightsLost)) {
		t.Fatal(err)
	}
}

// faultsReported tries whether reading a mapped file past its end panics with the
// address.
func faultsReported(t *testing.T, path string) (ok bool) {
	file := modeltest.Tiny("llama", tensor.F32, 1)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tensors := f.Tensors()
	last := f.Data(tensors[len(tensors)-1])
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = recover() }() // a fault without its address
	sum := byte(0)
	err = gguf.Guard(f, func() {
		for _, b := range last {
			sum ^= b
		}
	})
	return errors.Is(err, gguf.ErrTruncated)
}
