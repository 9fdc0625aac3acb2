package kernels

import (
	"fmt"
	"math"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// AttnDecode is attention for rows that each look at a context of their own. The
// positions of all rows together are cut into units of 16*Warps and dealt out evenly:
// block (x, y) of the grid takes the x-th share of them for KV head y (or 16 of its
// query heads), each warp 16 positions of a unit. So whatever the lengths are, all
// multiprocessors read the same amount, and a recorded launch serves every step.
//
// Adjacent rows of one sequence (a short prompt, drafts to be checked) take the context
// together, up to 16 pairs of a row and a query head. Such a tile of rows is what is
// called a row below, but for the output.
//
// A row within one block is finished there. Of a row cut in two or more, each block
// writes its sums to the workspace; the last to do so (they are counted) merges them.
//
// With heads of 128 a warp issues about 240 instructions for 16 positions, 4096 elements:
// 2 a thread and element, of the 16 that 4.3 TB/s leave to 132 multiprocessors at 1.98
// GHz. Two blocks of three stages keep 128 KiB on their way to each, where 26 would do.
//
// What lies in the batch block, and keys and values at positions that no row of the
// batch writes, is read before the launches this one depends on are complete: both
// must have been written by work the whole step waits for.
type AttnDecode struct {
	AttnShape
	MaxRows int // rows of a launch at most
	Warps   int // of a block: 4 or 2
	Stages  int // units of keys and values in shared memory, from 2; all but one on their way
}

// AttnDecodeArgs are the operands.
type AttnDecodeArgs struct {
	Batch           driver.Ptr
	Layout          BatchLayout
	List            driver.Ptr // (Rows) int32: which rows; 0 for the first Rows
	Q               driver.Ptr // (rows, Heads, KeyDim) float16, rotated
	Keys, Values    driver.Ptr // the layer's pages
	Out             driver.Ptr // Pack{T, Heads*ValueDim}; rows at position -1 are left alone
	Work            driver.Ptr // WorkBytes(Shares); nothing in it lasts
	Counters        driver.Ptr // CounterBytes, zero before the first launch and after each
	T, Rows, Shares int
	Scale           float32 // of the scores, positive
}

var attnDecodeSignature = signature{address("batch"), address("pos"), address("starts"), address("list"), address("q"),
	address("keys"), address("values"), address("out"), address("work"), address("counters"), count("tile"), count("rows"),
	number("scale")}

// Fit is c with Warps and Stages for a device: as many stages, up to 4, as let two blocks
// share a multiprocessor, or at least one block run.
func (c AttnDecode) Fit(d driver.Info) AttnDecode {
	for _, blocks := range []int{2, 1} {
		for _, c.Warps = range []int{4, 2} {
			for c.Stages = 4; c.Stages >= 2; c.Stages-- {
				if n := c.Shared(); n <= d.SharedPerBlock && blocks*(n+1024) <= d.SharedPerSM {
					return c
				}
			}
		}
	}
	c.Warps, c.Stages = 2, 2
	return c
}

// Shares is how many shares (Grid x) to cut the positions of rows rows into, so that
// sms multiprocessors have two blocks each.
func (c AttnDecode) Shares(sms int) int { return min(max(1, 2*sms/c.tiles()), maxShares) }

const maxShares = 512

// rowsPerTile is how many adjacent rows take their sequence's context together, a power
// of two.
func (c AttnDecode) rowsPerTile() int {
	n := 1
	for 2*n*c.group() <= 16 && n < c.MaxRows {
		n *= 2
	}
	return n
}

// queries is how many pairs of a row and a query head a block has at most, tiles how
// many blocks it takes for all heads.
func (c AttnDecode) queries() int { return min(16, c.group()) * c.rowsPerTile() }
func (c AttnDecode) tiles() int   { return c.KVHeads * c.chunks() }

// chunks is how many blocks share a KV head.
func (c AttnDecode) chunks() int { return (c.group() + 15) / 16 }

// partBytes is what a block writes of a row it does not finish: (queries, ValueDim) sums,
// then (queries, 2) maxima in log2 and sums of weights, float32.
func (c AttnDecode) partBytes() int { return (c.queries()*(c.ValueDim+2)*4 + 15) &^ 15 }

// WorkBytes is the size of the workspace: each block has at most the end of a row
// begun elsewhere and the beginning of one that goes on, and a place for what it and
// its neighbours add up to.
func (c AttnDecode) WorkBytes(shares int) int64 {
	return int64(shares) * 4 * int64(c.tiles()) * int64(c.partBytes())
}

// CounterBytes is the size of the counters.
func (c AttnDecode) CounterBytes() int { return 4 * (2*maxShares + c.MaxRows) * c.tiles() }

// Shared memory: the stages of each warp, then (warps, 16, 2) maxima and sums, the
// warps' sums of some columns, a record for each row, and the count of the last to come.
func (c AttnDecode) stageBytes() int { return 16 * (kvStride(c.KeyDim) + kvStride(c.ValueDim)) }
func (c AttnDecode) statsAt() int    { return c.Warps * c.Stages * c.stageBytes() }
func (c AttnDecode) sumsAt() int     { return c.statsAt() + c.Warps*16*8 }
func (c AttnDecode) sumsBytes() int {
	return max(c.sumsOf(c.queries()), c.sumsOf(c.queries()/c.rowsPerTile()))
}
func (c AttnDecode) recordsAt() int { return c.sumsAt() + c.sumsBytes() }
func (c AttnDecode) countAt() int   { return c.recordsAt() + 16*c.MaxRows }

// Shared is the dynamic shared memory of a block, in bytes.
func (c AttnDecode) Shared() int { return c.countAt() + 16 }

// roundColumns is how many columns of so many queries the warps add up at a time: few
// enough for that part of shared memory to leave room for two blocks with three stages
// of heads of 128 on an H200. sumsStride is from query to query there.
func (c AttnDecode) roundColumns(queries int) int {
	return min(max(8, (576/queries-8)&^7), c.ValueDim)
}

func (c AttnDecode) sumsStride(queries int) int { return 4*c.roundColumns(queries) + 32 }
func (c AttnDecode) sumsOf(queries int) int     { return c.Warps * queries * c.sumsStride(queries) }

// Name implements Config.
func (c AttnDecode) Name() string {
	return c.name("attn_decode") + fmt.Sprintf("_r%d_w%d_s%d", c.MaxRows, c.Warps, c.Stages)
}

// Launch runs c over a.Rows rows.
func (c AttnDecode) Launch(a AttnDecodeArgs) driver.Launch {
	return driver.Launch{
		Grid: [3]uint32{uint32(a.Shares), uint32(c.tiles())}, Block: [3]uint32{uint32(32 * c.Warps)}, Shared: c.Shared(),
		Params: pack(attnDecodeSignature, a.Batch, a.Batch+driver.Ptr(a.Layout.Pos()), a.Batch+driver.Ptr(a.Layout.TableStart()),
			a.List, a.Q, a.Keys, a.Values, a.Out, a.Work, a.Counters, tileShift(a.T), uint32(a.Rows), a.Scale*math.Log2E),
		Dependent: true,
	}
}

// attnDecode is the kernel being built.
type attnDecode struct {
	AttnDecode
	b *ptx.Builder
	f *flash

	batch, pos, starts, list, q, keys, values, out, work, counters, tile, rows, scale ptx.Reg

	tid, lane, warp       ptx.Reg // U32
	shared, ring, ringEnd ptx.Reg // U32: this warp's stages
	begin, end, each      ptx.Reg // U32: this block's units, and how many a block has
	headTile              ptx.Reg // U32: ctaid.y
	head, heads           ptx.Reg // U32: the first query head, and how many there are
	used                  ptx.Reg // U32: how many queries the row has

	k, v   *kvCopy
	next   decodeUnit
	fill   ptx.Reg // U32: the stage to fill
	row    rowRecord
	rowNum ptx.Reg // U32: of row
	at     ptx.Reg // U32: the unit being worked at
	use    ptx.Reg // U32: its stage
}

// Build implements Config.
func (c AttnDecode) Build(t ptx.Target) (*ptx.Kernel, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if !c.Tensor() || (c.Warps != 2 && c.Warps != 4) || c.Stages < 2 || c.MaxRows < 1 {
		return nil, fmt.Errorf("kernels: no AttnDecode %+v", c)
	}
	b := ptx.New(c.Name(), t)
	b.Threads(32*c.Warps, 2)
	d := &attnDecode{AttnDecode: c, b: b}
	p := attnDecodeSignature.load(b)
	d.batch, d.pos, d.starts, d.list, d.q, d.keys, d.values = p[0], p[1], p[2], p[3], p[4], p[5], p[6]
	d.out, d.work, d.counters, d.tile, d.rows, d.scale = p[7], p[8], p[9], p[10], p[11], p[12]
	b.GridLaunch()
	d.place()
	d.share(d.records())
	late := d.prologue()
	b.GridWait()
	d.prologueLate(late)
	b.Loop(func() ptx.Reg { return b.Setp(ptx.Lt, d.at, d.end) }, func() {
		d.seek(&d.row, d.rowNum, d.at)
		d.segment()
	})
	return b.Kernel()
}

// place works out who this thread is.
func (d *attnDecode) place() {
	b := d.b
	d.tid, d.lane = b.Tid(0), b.Lane()
	d.warp = b.Shr(d.tid, 5)
	d.shared = b.DynamicShared("attn", 16)
	d.ring = b.Mad(d.warp, d.Stages*d.stageBytes(), d.shared)
	d.ringEnd = b.Add(d.ring, d.Stages*d.stageBytes())
	d.headTile = b.Ctaid(1)
	kvHead := d.headTile
	d.heads = b.Var(ptx.U32, min(16, d.group()))
	d.head = b.Mul(kvHead, d.group())
	if n := d.chunks(); n > 1 {
		kvHead = b.Div(d.headTile, n)
		first := b.Shl(b.Rem(d.headTile, n), 4)
		d.head = b.Mad(kvHead, d.group(), first)
		d.heads = b.Min(b.Sub(b.Var(ptx.U32, d.group()), first), 16)
	}
	slot := b.Mad(kvHead, backend.PageTokens, b.Shl(d.warp, 4))
	d.k = newKVCopy(b, d.KeyDim, 16, 32, d.lane, b.MadWide(slot, 2*d.KeyDim, d.keys))
	d.v = newKVCopy(b, d.ValueDim, 16, 32, d.lane, b.MadWide(slot, 2*d.ValueDim, d.values))
	d.f = newFlash(b, d.AttnShape, 16, d.AttnDecode.queries() <= 8, d.scale)
	for i := range d.Stages {
		zeroTail(b, d.KeyDim, 16, 32, b.Add(d.ring, i*d.stageBytes()), d.lane)
	}
}

// segment is this block's part of d.row.
func (d *attnDecode) segment() {
	b, f := d.b, d.f
	d.loadQueries()
	f.reset()
	first := b.Sub(d.row.end, d.units(d.row.n)) // the row's units
	from, to := b.Var(ptx.U32, d.at), b.Min(d.row.end, d.end)
	hidden := b.As(ptx.S32, b.Sub(d.rowCount(d.row), 1)) // positions the first row does not see
	b.Loop(func() ptx.Reg { return b.Setp(ptx.Lt, d.at, to) }, func() {
		b.CpAsyncWait(d.Stages - 2)
		b.WarpSync() // all lanes' copies have arrived, and all are done with the stage before
		b.If(d.next.in, func() { d.copy(d.next, d.fill) })
		b.CpAsyncCommit()
		d.advance()
		left := d.left(b.Sub(d.at, first), d.row)
		b.If(b.Setp(ptx.Gt, left, 0), func() {
			s := f.scores(16, d.use, 0)
			b.If(b.Setp(ptx.Lt, left, b.Add(hidden, 16)), func() {
				f.mask(s, func(_, side int) ptx.Reg { return b.Sub(left, d.hidden(side)) })
			})
			f.add(s, d.use, 16*kvStride(d.KeyDim))
		})
		d.turn(d.use)
		b.AddTo(d.at, 1)
	})
	whole := b.And(b.Setp(ptx.Eq, from, first), b.Setp(ptx.Eq, to, d.row.end))
	d.finish(first, from, whole)
}

// query is this lane's query on a side: a row of the tile and a head of the block.
func (d *attnDecode) query(side int) (row, head ptx.Reg) {
	b := d.b
	g := b.Add(b.Shr(d.lane, 2), 8*side)
	if d.rowsPerTile() == 1 {
		return b.Var(ptx.U32, 0), g
	}
	row = b.Div(g, d.group())
	return row, b.Sub(g, b.Mul(row, d.group()))
}

// hidden is how many of the positions the last row sees this lane's query does not.
func (d *attnDecode) hidden(side int) ptx.Reg {
	b := d.b
	row, _ := d.query(side)
	return b.Sub(b.As(ptx.S32, d.rowCount(d.row)), b.As(ptx.S32, b.Add(row, 1)))
}

// loadQueries loads the row's.
func (d *attnDecode) loadQueries() {
	b := d.b
	d.used = d.heads
	if d.rowsPerTile() > 1 {
		d.used = b.Mul(d.rowCount(d.row), d.group())
	}
	for side := range 2 {
		if side == 1 && d.f.half {
			d.f.noQuery(0, 1)
			return
		}
		row, head := d.query(side)
		at := b.Mad(b.Add(d.rowID(d.row), row), d.Heads, b.Add(d.head, head))
		in := b.Setp(ptx.Lt, b.Add(b.Shr(d.lane, 2), 8*side), d.used)
		within := b.Cvt(ptx.U64, b.As(ptx.U32, b.Shl(d.f.t2, 1)))
		d.f.query(0, side, b.Add(b.MadWide(at, 2*d.KeyDim, d.q), within), in)
	}
}
