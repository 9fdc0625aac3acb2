package kernels

import (
	"fmt"
	"math"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// TopK picks of each row of logits (rows, Vocab) float32 the K largest, in
// descending order and equal ones by ascending id, and the logarithm of the sum of
// their exponentials over the whole row. The first is the greedy choice. NaN counts
// as -Inf.
//
// It takes two kernels. Slices gives a block to every 8192 logits of a row, which
// leaves its own K largest and its part of the sum in the workspace. Merge, a block
// a row, selects the K largest of those and sorts them. Both select with a radix
// selection (see selection) over keys that no two logits share, so the result is
// exactly that of sorting the row.
type TopK struct {
	Vocab int // at most 1<<20
	K     int // at most 1024 and at most Vocab
}

// Slices and Merge are the kernels of TopK.
type (
	TopKSlices struct{ TopK }
	TopKMerge  struct{ TopK }
)

// Slices is the first kernel.
func (c TopK) Slices() TopKSlices { return TopKSlices{c} }

// Merge is the second.
func (c TopK) Merge() TopKMerge { return TopKMerge{c} }

// TopKArgs are the operands.
type TopKArgs struct {
	Logits driver.Ptr // (rows, Vocab) float32
	Work   driver.Ptr // WorkBytes(rows)
	Out    driver.Ptr // (rows) of RowBytes
	Rows   int
}

const (
	topSlice   = 8192 // logits of a block
	topThreads = 512
	topMaxK    = 1024
	topIDBits  = 20
)

func (c TopK) slices() int { return (c.Vocab + topSlice - 1) / topSlice }

// WorkBytes is the workspace for rows rows: the candidates of the slices, K keys of
// 8 bytes each, and then their maxima and sums, two float32 each.
func (c TopK) WorkBytes(rows int) int64 { return int64(rows) * int64(c.slices()) * int64(8*c.K+8) }

// RowBytes is what the result of a row takes: its log-sum-exp (float32) at 0, the K
// ids (int32) at IDs() and their logits (float32) at Logits().
func (c TopK) RowBytes() int { return 16 + 8*c.K }

// IDs and Logits: see RowBytes.
func (c TopK) IDs() int    { return 16 }
func (c TopK) Logits() int { return 16 + 4*c.K }

var topSignature = signature{address("logits"), address("work"), address("sums"), address("out")}

func (c TopK) launch(a TopKArgs, grid [3]uint32) driver.Launch {
	sums := a.Work + driver.Ptr(8*c.K*c.slices()*a.Rows)
	return driver.Launch{Grid: grid, Block: [3]uint32{topThreads}, Params: pack(topSignature, a.Logits, a.Work, sums, a.Out),
		Dependent: true}
}

// Launch runs the first kernel.
func (c TopKSlices) Launch(a TopKArgs) driver.Launch {
	return c.launch(a, [3]uint32{uint32(c.slices()), uint32(a.Rows)})
}

// Launch runs the second.
func (c TopKMerge) Launch(a TopKArgs) driver.Launch { return c.launch(a, [3]uint32{uint32(a.Rows)}) }

// Name implements Config.
func (c TopKSlices) Name() string { return fmt.Sprintf("topk_slices_v%d_k%d", c.Vocab, c.K) }

// Name implements Config.
func (c TopKMerge) Name() string { return fmt.Sprintf("topk_merge_v%d_k%d", c.Vocab, c.K) }

func (c TopK) check() error {
	if c.K < 1 || c.K > topMaxK || c.K > c.Vocab || c.Vocab > 1<<topIDBits {
		return fmt.Errorf("kernels: the %d largest of %d logits: want 1 to %d of at most %d", c.K, c.Vocab, topMaxK, 1<<topIDBits)
	}
	return nil
}

// Build implements Config.
func (c TopKSlices) Build(t ptx.Target) (*ptx.Kernel, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	b := ptx.New(c.Name(), t)
	b.Threads(topThreads, 0)
	p := topSignature.load(b)
	logits, work, sums := p[0], p[1], p[2]
	s := newSelection(b, topThreads, c.K)
	b.GridLaunch()
	b.GridWait()
	slice, row, tid := b.Ctaid(0), b.Ctaid(1), b.Tid(0)
	first := b.Mul(slice, topSlice)
	n := b.Min(b.Sub(b.Var(ptx.U32, c.Vocab), first), topSlice)
	x := c.loadSlice(b, tid, n, b.MadWide(first, 4, rowAddress(b, logits, row, 4*c.Vocab)))
	at := b.Mad(row, c.slices(), slice)
	top, sum := sumExp(b, x)
	sumAt := b.MadWide(at, 8, sums)
	b.Under(b.Setp(ptx.Eq, tid, 0), func() { b.StV(ptx.Global, sumAt, 0, []ptx.Reg{top, sum}) })

	out := b.MadWide(at, 8*c.K, work)
	s.take(b, n, logitKeys(b, x, first), func(place, key ptx.Reg) { b.St(ptx.Global, b.MadWide(place, 8, out), 0, key) })
	// A slice of fewer than K fills up with keys below all others.
	none := b.Var(ptx.U64, 0)
	for i := 0; i < c.K; i += topThreads {
		place := b.Add(tid, i)
		addr := b.MadWide(place, 8, out)
		missing := b.And(b.Setp(ptx.Ge, place, n), b.Setp(ptx.Lt, place, c.K))
		b.Under(missing, func() { b.St(ptx.Global, addr, 0, none) })
	}
	return b.Kernel()
}

// logit is one a thread holds, number at of its slice; in says that there is one.
type logit struct{ x, at, in ptx.Reg }

// loadSlice loads a thread's part of n logits. NaN and what is past the end are -Inf.
func (c TopK) loadSlice(b *ptx.Builder, tid, n, src ptx.Reg) []logit {
	width := 1
	if c.Vocab%4 == 0 {
		width = 4
	}
	least := b.Var(ptx.F32, math.Inf(-1))
	var all []logit
	for i := 0; i < topSlice; i += topThreads * width {
		at := b.Add(b.Mul(tid, width), i)
		in := b.Setp(ptx.Lt, at, n)
		addr := b.MadWide(at, 4, src)
		x := make([]ptx.Reg, width)
		for j := range x {
			x[j] = b.Var(ptx.F32, least)
			all = append(all, logit{x[j], b.Add(at, j), in})
		}
		b.Under(in, func() { b.LdTo(x, ptx.Global, addr, 0) })
	}
	for _, l := range all {
		b.Set(l.x, b.Selp(least, l.x, b.Setp(ptx.Ne, l.x, l.x)))
	}
	return all
}

// sumExp is the maximum of the block's logits and the sum of exp(x - maximum), 0
// where all are -Inf; where the maximum is +Inf the sum means nothing.
func sumExp(b *ptx.Builder, x []logit) (top, sum ptx.Reg) {
	top, sum = b.Var(ptx.F32, math.Inf(-1)), b.Var(ptx.F32, 0)
	for _, l := range x {
		b.Set(top, b.Max(top, l.x))
	}
	top = blockReduce(b, "max", top, topThreads, b.Shared("maxima", 4, 128))
	from := b.Selp(top, 0, b.Setp(ptx.Lt, b.Abs(top), math.Inf(1)))
	for _, l := range x {
		b.AddTo(sum, exp(b, b.Sub(l.x, from)))
	}
	return top, blockReduce(b, "add", sum, topThreads, b.Shared("parts", 4, 128))
}

func exp(b *ptx.Builder, x ptx.Reg) ptx.Reg { return b.Ex2(b.Mul(x, math.Log2E)) }

// Build implements Config.
func (c TopKMerge) Build(t ptx.Target) (*ptx.Kernel, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	b := ptx.New(c.Name(), t)
	b.Threads(topThreads, 0)
	p := topSignature.load(b)
	work, sums, out := p[1], p[2], p[3]
	size := 1
	for size < c.K {
		size *= 2
	}
	best := b.Shared("best", 16, 8*size)
	s := newSelection(b, topThreads, c.K)
	b.GridLaunch()
	b.GridWait()
	row, tid := b.Ctaid(0), b.Tid(0)
	dst := rowAddress(b, out, row, c.RowBytes())
	c.mergeSums(b, tid, rowAddress(b, sums, row, 8*c.slices()), dst)

	none := b.Var(ptx.U64, 0)
	for i := c.K; i < size; i += topThreads {
		place := b.Add(tid, i)
		addr := b.Mad(place, 8, best)
		b.Under(b.Setp(ptx.Lt, place, size), func() { b.St(ptx.Shared, addr, 0, none) })
	}
	keys := storedKeys(b, tid, rowAddress(b, work, row, 8*c.K*c.slices()), c.K*c.slices())
	s.take(b, b.Var(ptx.U32, c.K*c.slices()), keys, func(place, key ptx.Reg) { b.St(ptx.Shared, b.Mad(place, 8, best), 0, key) })
	b.Bar()
	sortDescending(b, tid, best, size)
	for i := 0; i < c.K; i += topThreads {
		place := b.Add(tid, i)
		b.If(b.Setp(ptx.Lt, place, c.K), func() {
			id, x := keyLogit(b, b.Ld(ptx.Shared, ptx.U64, b.Mad(place, 8, best), 0))
			addr := b.MadWide(place, 4, dst)
			b.St(ptx.Global, addr, c.IDs(), id)
			b.St(ptx.Global, addr, c.Logits(), x)
		})
	}
	return b.Kernel()
}

// mergeSums leaves the log-sum-exp of the slices' maxima and sums at dst.
func (c TopK) mergeSums(b *ptx.Builder, tid, sums, dst ptx.Reg) {
	x := []ptx.Reg{b.Var(ptx.F32, math.Inf(-1)), b.Var(ptx.F32, 0)}
	addr := b.MadWide(tid, 8, sums)
	b.Under(b.Setp(ptx.Lt, tid, c.slices()), func() { b.LdTo(x, ptx.Global, addr, 0) }) // there are at most 128
	top := blockReduce(b, "max", x[0], topThreads, b.Shared("maxima", 4, 128))
	part := b.Mul(x[1], exp(b, b.Sub(x[0], top)))
	sum := blockReduce(b, "add", part, topThreads, b.Shared("parts", 4, 128))
	lse := b.Mad(b.Lg2(sum), math.Ln2, top)
	lse = b.Selp(lse, top, b.Setp(ptx.Lt, b.Abs(top), math.Inf(1)))
	b.Under(b.Setp(ptx.Eq, tid, 0), func() { b.St(ptx.Global, dst, 0, lse) })
}
