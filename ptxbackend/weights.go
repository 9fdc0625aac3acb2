package ptxbackend

import (
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
)

// weights are the weights of a plan in device memory. Immutable after Load, so that
// any number of Executables may share them.
type weights struct {
	gpu    *gpu
	plan   *plan.Plan
	mats   []matrix     // by weight number - 1; zero for vectors
	vecs   []driver.Ptr // by weight number - 1; 0 for matrices
	same   [][2]int     // weights that are the same bytes as one before: their numbers - 1
	memory memory
}

// mat returns the zero matrix for no weight.
func (l *weights) mat(w plan.Weight) matrix {
	if w == 0 {
		return matrix{}
	}
	return l.mats[w-1]
}

// vec returns 0 for no weight.
func (l *weights) vec(w plan.Weight) driver.Ptr {
	if w == 0 {
		return 0
	}
	return l.vecs[w-1]
}

// Bytes is the device memory the weights take.
func (l *weights) Bytes() int64 { return l.memory.bytes }

// Close frees the weights. Closing twice is fine.
func (l *weights) Close() error {
	if len(l.memory.device) == 0 {
		return nil
	}
	return l.gpu.giveBack(&l.memory)
}

// giveBack releases memory, entering the device for it.
func (g *gpu) giveBack(m *memory) error {
	if err := g.dev.Enter(); err != nil {
		return g.ignoreIfLost(err)
	}
	defer g.dev.Leave()
	return m.release()
}

// matrix is a repacked weight matrix on the device.
type matrix struct {
	layout kernels.Layout
	at     driver.Ptr
	scale  float32 // what products with it are multiplied by
	paired bool    // its tiles take turns with those of another: gate and up
}

// weightBytes is what a weight takes on the device.
func weightBytes(d tensor.Desc) int64 {
	if len(d.Shape) == 1 {
		return int64(d.Bytes())
	}
	return layoutOf(d).Bytes()
}

func layoutOf(d tensor.Desc) kernels.Layout {
	return kernels.Layout{Format: kernels.FormatOf(d.DType), N: d.Rows(), K: d.RowLen()}
}
