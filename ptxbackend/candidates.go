package ptxbackend

import (
	"encoding/binary"
	"math"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
)

// The kernels that pick candidates are made for a few numbers of them.
var topSizes = [...]int{64, 256, 1024}

const maxTopVocab = 1 << 20

// topOf is what picks at least k candidates, or as many as can be picked; its K is 0
// where none can.
func topOf(vocab, k int) kernels.TopK {
	if vocab > maxTopVocab {
		return kernels.TopK{Vocab: vocab}
	}
	for _, n := range topSizes {
		if n >= k || n == topSizes[len(topSizes)-1] {
			return kernels.TopK{Vocab: vocab, K: min(n, vocab)}
		}
	}
	return kernels.TopK{Vocab: vocab}
}

// MaxCandidates is the largest k of RunTop.
func (e *executable) MaxCandidates() int { return topOf(e.plan.Vocab, e.plan.Vocab).K }

// top emits the choice of k candidates, none for 0.
func (m *emitter) top(k int) {
	if k == 0 {
		return
	}
	e, c := m.e, kernels.TopK{Vocab: m.e.plan.Vocab, K: k}
	args := kernels.TopKArgs{Logits: m.logitRow(), Work: e.topWorkAt, Out: e.topAt + driver.Ptr(m.first*c.RowBytes()), Rows: m.rows}
	m.add(c.Slices(), c.Slices().Launch(args))
	m.add(c.Merge(), c.Merge().Launch(args))
}

// logitRow is where the logits go.
func (m *emitter) logitRow() driver.Ptr {
	return m.e.logitsAt + driver.Ptr(int64(m.first)*int64(m.e.plan.Vocab)*4)
}

// downloadTop brings k candidates of each row to the caller, and waits for them and
// so for the whole step.
func (e *executable) downloadTop(k int, out []backend.TopLogits) error {
	c := topOf(e.plan.Vocab, k)
	row := c.RowBytes()
	if len(out) > 0 {
		if err := e.stream.CopyOut(e.topHost[:len(out)*row], e.topAt); err != nil {
			return err
		}
	}
	if err := e.stream.Sync(); err != nil {
		return err
	}
	for i := range out {
		b, o := e.topHost[i*row:], &out[i]
		o.LogSumExp = math.Float32frombits(binary.LittleEndian.Uint32(b))
		o.IDs, o.Logits = o.IDs[:0], o.Logits[:0]
		for j := range k {
			o.IDs = append(o.IDs, int32(binary.LittleEndian.Uint32(b[c.IDs()+4*j:])))
			o.Logits = append(o.Logits, math.Float32frombits(binary.LittleEndian.Uint32(b[c.Logits()+4*j:])))
		}
	}
	return nil
}
