package ptxbackend

import (
	"fmt"
	"math"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
)

// sizes is the memory an executable takes, in bytes where nothing else is said.
type sizes struct {
	rows             int // the largest batch, filled up
	logits, headTile int // rows of logits at most; those of one pass of the head, filled up

	arena       int64 // values with a row per token
	own         int64 // values with memory of their own, those with a row per selected one
	packed      int64 // what is multiplied: normed inputs, and values that lie otherwise
	product     int64 // float32 products on their way to the next kernel
	query       int64 // halves of queries that lie otherwise
	split       int64 // unfinished sums of attention
	counters    int64 // of attention
	sums        int64 // unfinished sums of products
	sumCounters int64 // of products
	out         int64 // logits
	top         int64 // candidates and the workspace of their choice
	batch       int64 // the batch block
	cache       int64 // KV pages
}

// workspace is all but the KV pages.
func (z *sizes) workspace() int64 {
	return z.arena + z.own + z.packed + z.product + z.query + z.split + z.counters + z.sums + z.sumCounters + z.out + z.top + z.batch
}

// measure sizes an executable of p, whose body comes before its head. Limits are in
// range.
func measure(p *plan.Plan, lim backend.Limits, info driver.Info) sizes {
	z := sizes{}
	// Even one row may be in a tile of many.
	z.rows = max(capacity(lim.MaxRows), largeTile)
	z.logits = min(lim.MaxLogit, lim.MaxRows)
	z.headTile = bucket(min(headRows, max(1, z.logits)))
	offsets, width := plan.Arena(p)
	z.arena = int64(z.rows) * int64(width) * 4
	lies := forms(p)
	for i, f := range lies {
		if offsets[i] >= 0 {
			z.own += ownBytes(p.Values[i], f, z)
		}
	}
	for i := range p.Steps {
		z.step(p, &p.Steps[i], lies, lim, info)
	}
	z.out = int64(roundUp(z.logits, z.headTile)) * int64(p.Vocab) * 4
	if top := topOf(p.Vocab, p.Vocab); top.K > 0 {
		z.top = top.WorkBytes(z.headTile) + int64(roundUp(z.logits, z.headTile))*int64(top.RowBytes())
	}
	for _, kv := range p.KV {
		keys, values := pageBytes(kv)
		z.cache += int64(lim.Pages) * (keys + values)
	}
	z.batch = int64(newBlock(p, lim, z, info).bytes())
	return z
}

// step makes room for what a step needs besides its values.
func (z *sizes) step(p *plan.Plan, s *plan.Step, lies []form, lim backend.Limits, info driver.Info) {
	rows := z.rows
	if s.Kind == plan.LMHead || len(s.In) > 0 && p.ValueInfo(s.In[0]).Selected {
		rows = z.headTile
	}
	for _, v := range s.In {
		if lies[v-1] != packed {
			z.packed = max(z.packed, packBytes(rows, p.ValueInfo(v).Width))
		}
	}
	z.products(p, s, info)
	a := &s.Attr
	switch s.Kind {
	case plan.NormQKVRopeAppend:
		n := p.WeightDesc(s.W[plan.WQ]).Rows() + p.WeightDesc(s.W[plan.WK]).Rows() + p.WeightDesc(s.W[plan.WV]).Rows()
		z.product = max(z.product, int64(rows)*int64(n)*4)
	case plan.NormGateUpAct:
		if !pairable(p, s) {
			z.product = max(z.product, 2*int64(rows)*int64(p.ValueInfo(s.Out[0]).Width)*4)
		}
	case plan.Attention:
		z.query = max(z.query, int64(rows)*int64(a.Heads*a.HeadDim)*2)
		if d := decodeOf(p, s, z.rows, lim, info); d.Tensor() {
			z.split = max(z.split, d.WorkBytes(d.Shares(info.SMs)))
			z.counters = max(z.counters, int64(d.CounterBytes()))
		}
	}
}

// products makes room for the sums the blocks of a product leave each other, in
// whatever way its matrices are put together.
func (z *sizes) products(p *plan.Plan, s *plan.Step, info driver.Info) {
	var mats []kernels.Layout
	for _, r := range productRoles[s.Kind].mats {
		mats = append(mats, layoutOf(p.WeightDesc(s.W[r])))
	}
	if mats == nil {
		return
	}
	ways := []kernels.GEMV{{Mats: mats}}
	for i := range mats {
		ways = append(ways, kernels.GEMV{Mats: mats[i : i+1]})
	}
	if s.Kind == plan.NormGateUpAct {
		pair := mats[0]
		pair.N *= 2
		ways = append(ways, kernels.GEMV{Mats: []kernels.Layout{pair}, Out: kernels.SiLUMulPack})
	}
	if s.Kind == plan.NormQKVRopeAppend {
		ways[0].Heads = headsOf(p, s, kernels.BatchLayout{}, false)
	}
	for _, c := range ways {
		for c.T = 1; c.T <= smallRows; c.T *= 2 {
			z.sumCounters = max(z.sumCounters, c.CounterBytes())
			for _, c.Shared = range []int{0, info.SharedPerBlock} {
				z.sums = max(z.sums, c.WorkBytes(max(info.SMs, len(c.Mats))))
			}
		}
	}
}

// ownBytes is the memory a value gets of its own: if its rows are the selected ones,
// or if it is packed and so narrow that it has no room in the arena. 0 means none.
func ownBytes(v plan.ValueInfo, f form, z sizes) int64 {
	rows := z.rows
	if v.Selected {
		rows = z.headTile
	}
	plain := int64(rows) * int64(v.Width) * 4
	switch {
	case f == packed && (v.Selected || packBytes(rows, v.Width) > plain):
		return packBytes(rows, v.Width)
	case v.Selected:
		return plain
	}
	return 0
}

// pageBytes is what the keys and the values of one page of a layer take.
func pageBytes(kv plan.KVLayer) (keys, values int64) {
	n := int64(kv.Heads) * backend.PageTokens * 2
	return n * int64(kv.KeyDim), n * int64(kv.ValueDim)
}

// checkLimits refuses limits nothing can be sized by.
func checkLimits(p *plan.Plan, lim backend.Limits) error {
	if lim.MaxRows < 1 || lim.MaxSeqs < 1 || lim.MaxLogit < 0 || lim.Pages < 1 || lim.Threads < 0 ||
		lim.MaxRows > maxRows || lim.MaxSeqs > maxRows || lim.Pages > math.MaxInt32/backend.PageTokens {
		return fmt.Errorf("ptxbackend: limits %+v out of range", lim)
	}
	return nil
}

// maxRows keeps the grids of the kernels that have a row of blocks for each row
// within what the hardware takes.
const maxRows = 65535 / largeTile * largeTile

// reserve is what is left free of the device's memory, for the code of kernels,
// graphs and whoever else is there.
func reserve(total int64) int64 { return min(512<<20, total/16) }

// Fits estimates what p takes with lim, before anything is loaded; see
// backend.Sizer.
func (g *gpu) Fits(p *plan.Plan, lim backend.Limits) error {
	weights, cache, workspace, err := Estimate(p, lim, g.info)
	if err != nil {
		return err
	}
	var free, total int64
	err = g.within(func() (err error) {
		free, total, err = g.dev.Memory()
		return err
	})
	if err != nil {
		return g.fail("ask for the free memory", err)
	}
	if need := weights + cache + workspace; need > free-reserve(total) {
		return fmt.Errorf("ptxbackend: %s are needed (weights %s, %d KV pages %s, workspace %s), %s of %s on %s are free, of which %s stay so: %w",
			size(need), size(weights), lim.Pages, size(cache), size(workspace), size(free), size(total), g.info.Name, size(reserve(total)), backend.ErrNoMemory)
	}
	return nil
}

// Estimate is the device memory p takes on a device with lim: weights, KV pages and
// everything else, in bytes.
func Estimate(p *plan.Plan, lim backend.Limits, info driver.Info) (weights, cache, workspace int64, err error) {
	if err := checkLimits(p, lim); err != nil {
		return 0, 0, 0, err
	}
	if err := p.Validate(); err != nil {
		return 0, 0, 0, err
	}
	for _, d := range p.Weights {
		weights += weightBytes(d)
	}
	z := measure(inOrder(p), lim, info)
	return weights, z.cache, z.workspace(), nil
}
