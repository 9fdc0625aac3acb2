package cpubackend

import (
	"sync/atomic"
	"unsafe"

	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// attnPlan is how the attention of one batch is divided, the same for every layer.
type attnPlan struct {
	workers int
	heads   []int // KV heads by layer
	group   int   // the most query heads that share a KV head
	size    int   // query rows of a tile: rows of the batch times heads in a group

	// local: a worker attends with the heads it projected. So it is in small
	// batches whose KV heads divide evenly; it spares a barrier per layer.
	local   bool
	tiles   []attnTile
	splits  int      // parts the positions are cut into, merged afterwards
	tickets []ticket // by layer: tiles taken so far, counted through heads and splits

	acc   []float32 // (units, splits, tileQueries, ValueDim), for splits > 1
	state []softmax
	// what partial lays out in acc and state, by the widest layer
	maxHeads, maxValue int
}

// attnTile is neighbouring rows of one sequence.
type attnTile struct {
	index       int // in attnPlan.tiles
	first, rows int // in the batch
	pos         int // position of the first row
}

type ticket struct {
	next atomic.Int32
	_    [60]byte
}

// How many query rows (rows of the batch times heads in a group) share one pass over
// the cache; more if a group alone is larger. Over a cache in Q8_0 a tile does them
// one by one, otherwise wideColumns at once.
const (
	tileQueries   = 2 * wideColumns
	tileQueriesQ8 = 32
)

// tilesPerWorker is how many of the largest tiles a worker should have at least, so
// that none waits long for another's last one.
const tilesPerWorker = 8

// splitMin is the fewest positions worth a split of their own.
const splitMin = 2 * backend.PageTokens

func newAttnPlan(p *plan.Plan, lim backend.Limits) *attnPlan {
	a := &attnPlan{workers: lim.Threads, group: 1, size: tileQueries, tickets: make([]ticket, len(p.KV))}
	if lim.KV == backend.KVQ8_0 {
		a.size = tileQueriesQ8
	}
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Kind == plan.Attention {
			a.group = max(a.group, s.Attr.Heads/s.Attr.KVHeads)
		}
	}
	for _, l := range p.KV {
		a.heads = append(a.heads, l.Heads)
		a.maxHeads, a.maxValue = max(a.maxHeads, l.Heads), max(a.maxValue, l.ValueDim, kernels.WidthQ8(l.ValueDim))
	}
	a.tiles = make([]attnTile, 0, lim.MaxRows)
	n := a.maxUnits() * a.queries()
	a.acc, a.state = make([]float32, n*a.maxValue), make([]softmax, n)
	return a
}

// tileRows is how many rows of the batch make a tile.
func (a *attnPlan) tileRows() int { return max(1, a.size/a.group) }

// queries is the number of query rows of the largest tile.
func (a *attnPlan) queries() int { return a.tileRows() * a.group }

// maxUnits bounds tiles*heads*splits where splits > 1.
func (a *attnPlan) maxUnits() int {
	if a.workers == 1 {
		return 0
	}
	return 8 * a.workers
}

// divide plans the attention of b.
func (a *attnPlan) divide(b *backend.Batch) {
	for i := range a.tickets {
		a.tickets[i].next.Store(0)
	}
	a.tiles = a.tiles[:0]
	longest, size := 0, a.tileRows()
	if len(b.Pos)*a.maxHeads < tilesPerWorker*a.workers*size {
		size = max(1, size/2)
	}
	for r := 0; r < len(b.Pos); {
		n := 1
		for n < size && r+n < len(b.Pos) && b.Seq[r+n] == b.Seq[r] {
			n++
		}
		a.tiles = append(a.tiles, attnTile{index: len(a.tiles), first: r, rows: n, pos: int(b.Pos[r])})
		longest = max(longest, int(b.Pos[r])+n)
		r += n
	}
	a.local = len(b.Pos) <= soloRows
	for _, h := range a.heads {
		a.local = a.local && h%a.workers == 0
	}
	if a.splits = 1; !a.local {
		a.splits = a.bestSplits(longest)
	}
}

// bestSplits cuts the positions in as few parts as keep all workers busy.
func (a *attnPlan) bestSplits(longest int) int {
	best, bestBusy := 1, 0.0
	units := len(a.tiles) * a.maxHeads
	for n := 1; n <= a.workers && (n == 1 || longest >= n*splitMin && units*n <= a.maxUnits()); n++ {
		rounds := (units*n + a.workers - 1) / a.workers
		if busy := float64(units*n) / float64(rounds*a.workers); busy > bestBusy+0.1 {
			best, bestBusy = n, busy
		}
	}
	return best
}

// positions is the part of the positions that a split covers. Parts begin with a
// page.
func (t *attnTile) positions(split, splits int) (from, to int) {
	end := t.pos + t.rows
	pages := (end + backend.PageTokens - 1) / backend.PageTokens
	from = pages * split / splits * backend.PageTokens
	return from, min(pages*(split+1)/splits*backend.PageTokens, end)
}

// partial is where a split of a tile keeps its softmax of n queries and their sums
// of v columns.
func (a *attnPlan) partial(t *attnTile, head, split, n, v int) ([]float32, []softmax) {
	at := ((t.index*a.maxHeads+head)*a.splits + split) * a.queries()
	return a.acc[at*a.maxValue:][:n*v], a.state[at:][:n]
}

func addr(x []float32) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(x))) }
