package cpubackend

import (
	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// input is the left side of a step's products: a value's rows, normed where the
// step says so, and quantised where a weight format multiplies integers.
//
// Up to soloRows rows are prepared by every worker for itself: that is less work
// than waiting for each other. More than that they share, and wait once.
type input struct {
	src      []float32 // (rows, k)
	k        int
	selected bool // rows are those of Batch.LogitRows
	gather   bool // src has the batch's rows: take those of Batch.LogitRows from it

	norm []float32 // (k), nil for none
	eps  float32
	q8   bool // some product wants int8 activations

	x   []float32    // (rows, k) what is multiplied in a large batch: src, or normed src
	act *kernels.Act // of a large batch, over x
}

const soloRows = 4

// newInput prepares to multiply v, normed unless norm is 0, with mats.
func (e *executable) newInput(v plan.Value, norm plan.Weight, eps float32, mats ...*kernels.Mat) *input {
	in := &input{src: e.value(v), k: e.width(v), selected: e.selected(v), norm: e.weights.vec(norm), eps: eps}
	for _, m := range mats {
		in.q8 = in.q8 || m.NeedsQ8()
	}
	if in.x = in.src; in.norm != nil {
		in.x = e.normed
	}
	e.inputs = append(e.inputs, in)
	return in
}

// takeActs gives every input an Act for large batches. Inputs of the same place
// and width share one: steps are done with theirs before the next one begins.
func (e *executable) takeActs() {
	if e.lim.MaxRows <= soloRows {
		return
	}
	type key struct {
		x        *float32
		k        int
		selected bool
	}
	acts := map[key]*kernels.Act{}
	for _, in := range e.inputs {
		id := key{&in.x[0], in.k, in.selected}
		if acts[id] == nil {
			acts[id] = kernels.NewAct(in.maxRows(e), in.k)
		}
		in.act = acts[id]
	}
}

func (in *input) maxRows(e *executable) int {
	if in.selected {
		return max(1, e.lim.MaxLogit)
	}
	return e.lim.MaxRows
}

// prepare returns the activations of the first rows rows, ready for the products,
// or nil if the run is over.
func (in *input) prepare(w *worker, rows int) *kernels.Act {
	if rows <= soloRows {
		x := in.src
		if in.norm != nil {
			x = w.normed
			in.normRows(w.e, x, 0, rows)
		}
		w.act.Set(x, rows, in.k)
		if in.q8 {
			w.act.Quantize(0, rows)
		}
		return w.act
	}
	from, to := w.share(rows, 1)
	if in.norm != nil {
		in.normRows(w.e, in.x, from, to)
	}
	if in.q8 {
		in.act.Quantize(from, to)
	}
	if (in.q8 || in.norm != nil) && !w.sync() {
		return nil
	}
	return in.act
}

// normRows writes the normed rows [from, to) to dst.
func (in *input) normRows(e *executable, dst []float32, from, to int) {
	for r := from; r < to; r++ {
		src := r
		if in.gather {
			src = int(e.batch.LogitRows[r])
		}
		kernels.RMSNorm(dst[r*in.k:(r+1)*in.k], in.src[src*in.k:(src+1)*in.k], in.norm, in.eps)
	}
}
