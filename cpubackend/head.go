package cpubackend

import (
	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// lmHead is LMHead and Logits: the rows that are wanted, normed or as they are,
// times the matrix of the vocabulary, to where the caller wants them.
type lmHead struct {
	joined
	in  *input
	mat *kernels.Mat
}

func newLMHead(e *executable, s *plan.Step) step {
	m := e.weights.mat(s.W[plan.WMat])
	in := e.newInput(s.In[0], s.W[plan.WNorm], s.Attr.Eps, m)
	in.selected, in.gather = true, true
	return &lmHead{in: in, mat: m}
}

func newLogits(e *executable, s *plan.Step) step {
	m := e.weights.mat(s.W[plan.WMat])
	return &lmHead{in: e.newInput(s.In[0], 0, 0, m), mat: m}
}

func (s *lmHead) run(w *worker) {
	e := w.e
	rows := e.rowsIn(s.in.selected)
	if rows == 0 {
		return
	}
	act := s.in.prepare(w, rows)
	if act == nil {
		return
	}
	n := s.mat.N
	from, to := w.share(n, s.mat.Grain())
	if rows == 1 {
		s.mat.Mul(e.logits[0], n, act, 0, 1, from, to)
		return
	}
	// The caller's rows lie anywhere; the kernels want them evenly spaced.
	s.mat.Mul(e.heads, n, act, 0, rows, from, to)
	for r := range rows {
		copy(e.logits[r][from:to], e.heads[r*n+from:r*n+to])
	}
}
