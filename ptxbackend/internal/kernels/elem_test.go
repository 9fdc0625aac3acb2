package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
)

// goElem is Elem: x, y and the result (rows, cols), rows listed in sel if not nil.
func goElem(c Elem, rows int, sel []int32, x, y []float32) []float64 {
	sx, sy := c.strides()
	out := make([]float64, rows*c.Cols)
	for r := range rows {
		from := r
		if c.Select {
			from = int(sel[r])
		}
		for i := range c.Cols {
			a := float64(x[from*sx+i])
			switch c.Op {
			case OpAdd:
				a += float64(y[from*sy+i])
			case OpSiLUMul:
				a = a / (1 + math.Exp(-a)) * float64(y[from*sy+i])
			}
			out[r*c.Cols+i] = a
		}
	}
	return out
}

func TestElem(t *testing.T) {
	l := BatchLayout{MaxRows: 16, MaxLogit: 8}
	eachTarget(t, func(t *testing.T, r *rig) {
		checkElem(t, r, Elem{Op: OpAdd, Cols: 64}, 1)
		checkElem(t, r, Elem{Op: OpAdd, Cols: 1000}, 3)
		checkElem(t, r, Elem{Op: OpAdd, Cols: 37}, 5)
		checkElem(t, r, Elem{Op: OpSiLUMul, Cols: 516}, 4)
		checkElem(t, r, Elem{Op: OpSiLUMul, Cols: 96, XStride: 192, YStride: 192}, 9)
		checkElem(t, r, Elem{Op: OpSiLUMul, Cols: 100, T: 8}, 11)
		checkElem(t, r, Elem{Op: OpSiLUMul, Cols: 45, T: 1}, 2)
		checkElem(t, r, Elem{Op: OpCopy, Cols: 640, T: 16}, 5)
		checkElem(t, r, Elem{Op: OpCopy, Cols: 72, T: 128}, 130)
		checkElem(t, r, Elem{Op: OpCopy, Cols: 33, T: 2}, 3)
		checkElem(t, r, Elem{Op: OpCopy, Cols: 64, Select: true, Batch: l}, 4)
		checkElem(t, r, Elem{Op: OpAdd, Cols: 18, T: 4, Select: true, Batch: l}, 3)
	})
}

// checkElem runs c over random numbers; with Select, over rows of twice as many.
func checkElem(t *testing.T, r *rig, c Elem, rows int) {
	t.Helper()
	sx, sy := c.strides()
	from, sel := rows, []int32(nil)
	a := ElemArgs{Rows: rows}
	if c.Select {
		from = min(2*rows, c.Batch.MaxRows)
		sel = choose(r.rand, from, rows)
		a.Batch = r.put(makeBatch(c.Batch, selectBatch(from, sel)))
	}
	x, y := normal(r.rand, from*sx, 3), normal(r.rand, from*sy, 2)
	i := r.rand.IntN(c.Cols)
	x[i], y[i] = 300000, 1 // above what a half holds
	want := goElem(c, rows, sel, x, y)
	a.X = r.put(x)
	if c.Op != OpCopy {
		a.Y = r.put(y)
	}
	if c.T == 0 {
		a.Out = r.alloc(4 * rows * c.Cols)
		r.launch(c, c.Launch(a))
		near(t, c.Name(), r.f32(a.Out, rows*c.Cols), want, 1e-9, siluBound)
		return
	}
	p := Pack{c.T, c.Cols}
	a.Out = r.alloc(int(p.Bytes(rows)))
	r.launch(c, c.Launch(a))
	for i := range want {
		want[i] = min(max(want[i], -65504), 65504)
	}
	near(t, c.Name(), r.packed(a.Out, p, rows), want, 1e-7, siluBound+0x1p-11)
}

// choose picks n of 0..from-1, in ascending order.
func choose(r *rand.Rand, from, n int) []int32 {
	var all []int32
	for _, i := range r.Perm(from)[:n] {
		all = append(all, int32(i))
	}
	slices.Sort(all)
	return all
}

// siluBound holds for |x| up to 18, see silu.
const siluBound = 20 * 0x1p-22

// selectBatch is a batch of rows rows that wants the logits of those in sel.
func selectBatch(rows int, sel []int32) *backend.Batch {
	b := &backend.Batch{LogitRows: sel, Tables: [][]int32{{0}}}
	for i := range rows {
		b.Tokens, b.Pos, b.Seq = append(b.Tokens, 0), append(b.Pos, int32(i)), append(b.Seq, 0)
	}
	return b
}

func TestSiLUOfLargeNumbers(t *testing.T) {
	x := []float32{-1e30, -200, -88, -20, 0, 20, 88, 200, 1e30}
	one := []float32{1, 1, 1, 1, 1, 1, 1, 1, 1}
	c := Elem{Op: OpSiLUMul, Cols: len(x)}
	eachTarget(t, func(t *testing.T, r *rig) {
		out := r.alloc(4 * len(x))
		r.launch(c, c.Launch(ElemArgs{Out: out, X: r.put(x), Y: r.put(one), Rows: 1}))
		near(t, "silu", r.f32(out, len(x)), goElem(c, 1, nil, x, one), 1e-30, 100*0x1p-22)
	})
}

func TestElemInPlace(t *testing.T) {
	c := Elem{Op: OpAdd, Cols: 300}
	eachTarget(t, func(t *testing.T, r *rig) {
		x, y := normal(r.rand, 600, 1), normal(r.rand, 600, 1)
		px := r.put(x)
		r.launch(c, c.Launch(ElemArgs{Out: px, X: px, Y: r.put(y), Rows: 2}))
		near(t, "x+y", r.f32(px, 600), goElem(c, 2, nil, x, y), 1e-9, 0x1p-24)
	})
}
