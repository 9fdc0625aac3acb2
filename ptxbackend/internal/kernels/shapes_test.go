package kernels

import (
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
)

// TestRandomShapes runs the kernels of single steps in shapes nobody chose. A failure
// names the kernel; the shapes are the same in each run.
func TestRandomShapes(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	eachTarget(t, func(t *testing.T, r *rig) {
		for range rounds {
			randomElem(t, r)
			randomRMSNorm(t, r)
			randomRopeAppend(t, r)
			randomEmbed(t, r)
			vocab := 1 + r.rand.IntN(12000)
			c := TopK{Vocab: vocab, K: 1 + r.rand.IntN(min(vocab, topMaxK))}
			rows := logitRows(r, vocab)
			n := r.rand.IntN(len(rows))
			testTopK(t, r, c, rows[n:min(n+2, len(rows))])
		}
	})
}

// tile is 0 or the rows of a tile.
func (r *rig) tile() int { return (1 << r.rand.IntN(9)) / 2 }

// coin is true one time in n.
func (r *rig) coin(n int) bool { return r.rand.IntN(n) == 0 }

func randomElem(t *testing.T, r *rig) {
	rows := 1 + r.rand.IntN(70)
	c := Elem{Op: ElemOp(r.rand.IntN(3)), Cols: 1 + r.rand.IntN(1500), T: r.tile()}
	if r.coin(2) {
		c.Cols = (c.Cols + 3) / 4 * 4
	}
	if r.coin(3) {
		c.XStride, c.YStride = c.Cols+r.rand.IntN(9), c.Cols+4*r.rand.IntN(9)
	}
	if c.Select = r.coin(3); c.Select {
		c.Batch = BatchLayout{MaxRows: rows + r.rand.IntN(2*rows), MaxLogit: rows}
	}
	checkElem(t, r, c, rows)
}

func randomRMSNorm(t *testing.T, r *rig) {
	rows := 1 + r.rand.IntN(20)
	c := RMSNorm{Cols: 1 + r.rand.IntN(3000), T: r.tile()}
	if r.coin(2) {
		c.Cols = (c.Cols + 3) / 4 * 4
	}
	if c.Select = r.coin(3); c.Select {
		c.Batch = BatchLayout{MaxRows: rows + r.rand.IntN(2*rows), MaxLogit: rows}
	}
	checkRMSNorm(t, r, c, rows)
}

func randomRopeAppend(t *testing.T, r *rig) {
	c := RopeAppend{KVHeads: r.rand.IntN(4), KeyDim: 1 + r.rand.IntN(160), ValueDim: 1 + r.rand.IntN(160),
		NEOX: r.coin(2), QNorm: r.coin(2), KNorm: r.coin(2), Q32: r.coin(3)}
	c.Heads = 1 + r.rand.IntN(6)
	c.Dims = 2 * r.rand.IntN(c.KeyDim/2+1)
	if r.coin(2) {
		width := c.Heads*c.KeyDim + c.KVHeads*(c.KeyDim+c.ValueDim)
		c.QStride, c.KStride, c.VStride = width, width, width
	}
	// Sequences of a few rows each, whose pages are dealt out at random.
	batch, rows := &backend.Batch{}, 0
	const pages = 12
	free := r.rand.Perm(pages)
	for s := range int32(1 + r.rand.IntN(4)) {
		n := 1 + r.rand.IntN(3)
		batch.Tables = append(batch.Tables, nil)
		for _, p := range free[:n] {
			batch.Tables[s] = append(batch.Tables[s], int32(p))
		}
		free = free[n:]
		more := 1 + r.rand.IntN(5)
		for i, from := 0, r.rand.IntN(n*backend.PageTokens-more+1); i < more; i++ {
			batch.Tokens, batch.Pos, batch.Seq = append(batch.Tokens, 0), append(batch.Pos, int32(from+i)), append(batch.Seq, s)
		}
		rows += more
	}
	rows += r.rand.IntN(3) // padding
	c.Batch = BatchLayout{MaxRows: rows + r.rand.IntN(5), MaxLogit: 1}
	testRopeAppend(t, r, c, batch, pages, rows)
}

func randomEmbed(t *testing.T, r *rig) {
	f := Formats()[r.rand.IntN(int(numFormats))]
	block := formats[f].dtype.BlockElems()
	m := Layout{f, 1 + r.rand.IntN(100), block * (1 + r.rand.IntN(1+600/block))}
	tokens := make([]int32, 1+r.rand.IntN(9))
	for i := range tokens {
		tokens[i] = r.rand.Int32N(int32(m.N))
	}
	checkEmbed(t, r, Embed{m, BatchLayout{MaxRows: len(tokens) + 2, MaxLogit: 1}}, tokens)
}
