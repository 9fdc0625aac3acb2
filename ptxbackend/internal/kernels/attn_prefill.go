package kernels

import (
	"fmt"
	"math"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// AttnPrefill is attention for many adjacent rows of a sequence. A block has Queries
// pairs of a row and one of the query heads that share a KV head, so that tiles of keys
// and values serve all of them, and goes over the positions up to its last row's,
// Keys at a time. Which rows a block has, AttnItems lists.
type AttnPrefill struct {
	AttnShape
	Queries int // pairs a block: 64 or 128, at least Heads/KVHeads
	Keys    int // positions a tile: 64 or 32
	Stages  int // tiles in shared memory, from 2; all but one on their way
	// Wgmma is for sm_90a: Queries and Keys are 128, KeyDim and ValueDim multiples of
	// 64, KeyDim at most 192, ValueDim 128; Stages does not count.
	Wgmma bool
}

// AttnPrefillArgs are the operands; see AttnDecodeArgs.
type AttnPrefillArgs struct {
	Batch           driver.Ptr
	Layout          BatchLayout
	ItemList        driver.Ptr // (Items, 2) int32 as AttnItems lists them
	Q, Keys, Values driver.Ptr
	Out             driver.Ptr
	T, Items        int
	Scale           float32
}

// prefillKeys is how many positions a warp takes at a time: their scores are in registers.
const prefillKeys = 32

// warps is how many a block has.
func (c AttnPrefill) warps() int {
	if c.Wgmma {
		return 8
	}
	return 4
}

// queryBytes is what queries take of shared memory. Where registers have no room for
// 32 queries a warp, they are read from there as often as keys are, which still is less
// than reading keys and values once for every 16.
func (c AttnPrefill) queryBytes() int {
	if c.Wgmma {
		return 2 * c.Queries * c.KeyDim
	}
	if c.Queries == 64 || c.KeyDim+c.ValueDim <= 192 {
		return 0
	}
	return c.Queries * kvStride(c.KeyDim)
}

var attnPrefillSignature = signature{address("batch"), address("pos"), address("starts"), address("items"), address("q"),
	address("keys"), address("values"), address("out"), count("tile"), number("scale")}

// Fit is c with Queries, Keys and Stages for a device: what registers have room for,
// and shared memory, if possible for two blocks on a multiprocessor.
func (c AttnPrefill) Fit(d driver.Info) AttnPrefill {
	w := c
	w.Wgmma, w.Queries, w.Keys, w.Stages = true, 128, 128, 2
	if d.Major == 9 && d.Minor == 0 && w.valid() && w.Shared() <= d.SharedPerBlock {
		return w
	}
	c.Wgmma, c.Queries = false, 64
	if c.ValueDim <= 128 {
		c.Queries = 128
	}
	for _, blocks := range []int{2, 1} {
		for _, c.Keys = range []int{64, 32} {
			for c.Stages = 3; c.Stages >= 2; c.Stages-- {
				if n := c.Shared(); n <= d.SharedPerBlock && blocks*(n+1024) <= d.SharedPerSM {
					return c
				}
			}
		}
	}
	c.Keys, c.Stages = 32, 2
	return c
}

// RowsPerItem is how many rows a block has at most.
func (c AttnPrefill) RowsPerItem() int { return c.Queries / c.group() }

func (c AttnPrefill) stageBytes() int { return c.Keys * (kvStride(c.KeyDim) + kvStride(c.ValueDim)) }

// Shared is the dynamic shared memory of a block, in bytes.
func (c AttnPrefill) Shared() int {
	if c.Wgmma {
		return c.wgmmaShared()
	}
	return c.Stages*c.stageBytes() + c.queryBytes()
}

// Name implements Config.
func (c AttnPrefill) Name() string {
	if c.Wgmma {
		return c.name("attn_prefill") + "_wgmma"
	}
	return c.name("attn_prefill") + fmt.Sprintf("_q%d_n%d_s%d", c.Queries, c.Keys, c.Stages)
}

// Launch runs c over the listed items, the KV heads of one after the other.
func (c AttnPrefill) Launch(a AttnPrefillArgs) driver.Launch {
	return driver.Launch{
		Grid: [3]uint32{uint32(c.KVHeads), uint32(a.Items)}, Block: [3]uint32{uint32(32 * c.warps())}, Shared: c.Shared(),
		Params: pack(attnPrefillSignature, a.Batch, a.Batch+driver.Ptr(a.Layout.Pos()), a.Batch+driver.Ptr(a.Layout.TableStart()),
			a.ItemList, a.Q, a.Keys, a.Values, a.Out, tileShift(a.T), a.Scale*math.Log2E),
		Dependent: true,
	}
}

// attnPrefill is the kernel being built.
type attnPrefill struct {
	AttnPrefill
	b *ptx.Builder
	f *flash

	batch, pos, starts, items, q, keys, values, out, tile, scale ptx.Reg

	tid, lane, warp, kvHead ptx.Reg // U32
	ring, ringEnd           ptx.Reg // U32
	row0, n, first          ptx.Reg // U32, U32, S32: the item's rows, and the first one's position
	table                   ptx.Reg // U32
	tiles                   ptx.Reg // U32: how many there are

	k, v           *kvCopy
	next, nextPage ptx.Reg // U32: the tile to copy next
	fill, use      ptx.Reg // U32: the stages to fill and to use

	clear, visible ptx.Reg      // S32: positions every query of the warp sees, or any
	sees           [][2]ptx.Reg // S32: positions a query sees
}

// prefillPair is a query: a row and a head (U32).
type prefillPair struct {
	row, head ptx.Reg
	nth       ptx.Reg // U32: of the item's rows
	in        ptx.Reg // Pred: there is such a row
}

// pair is this lane's query side of 16 queries i. It is worked out anew where it is
// needed, to leave its registers to the sums.
func (a *attnPrefill) pair(i, side int) prefillPair {
	b := a.b
	return a.pairOf(b.Add(b.Mad(a.warp, a.Queries/a.warps(), 16*i+8*side), b.Shr(a.lane, 2)))
}

func (a *attnPrefill) pairOf(num ptx.Reg) prefillPair {
	b := a.b
	r := b.Div(num, a.group())
	return prefillPair{nth: r, row: b.Add(a.row0, r), in: b.Setp(ptx.Lt, r, a.n),
		head: b.Mad(a.kvHead, a.group(), b.Sub(num, b.Mul(r, a.group())))}
}

// Targets are what the kernel is built for.
func (c AttnPrefill) Targets() []ptx.Target {
	if c.Wgmma {
		return []ptx.Target{ptx.SM90a}
	}
	return []ptx.Target{ptx.SM80, ptx.SM90a}
}

func (c AttnPrefill) valid() bool {
	if !c.Tensor() || c.Queries < c.group() {
		return false
	}
	if c.Wgmma {
		return c.Queries == 128 && c.Keys == 128 && c.KeyDim%64 == 0 && c.ValueDim%64 == 0 && c.KeyDim <= 192 && c.ValueDim <= 128
	}
	return (c.Queries == 64 || c.Queries == 128) && (c.Keys == 64 || c.Keys == 32) && c.Stages >= 2
}

// Build implements Config.
func (c AttnPrefill) Build(t ptx.Target) (*ptx.Kernel, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if !c.valid() || c.Wgmma && !t.Hopper() {
		return nil, fmt.Errorf("kernels: no AttnPrefill %+v for %s", c, t.Arch)
	}
	b := ptx.New(c.Name(), t)
	b.Threads(32*c.warps(), 8/c.warps())
	a := &attnPrefill{AttnPrefill: c, b: b}
	p := attnPrefillSignature.load(b)
	a.batch, a.pos, a.starts, a.items, a.q, a.keys, a.values, a.out = p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]
	a.tile, a.scale = p[8], p[9]
	b.GridLaunch()
	b.GridWait()
	a.place()
	b.If(b.Setp(ptx.Gt, a.n, 0), func() {
		if c.Wgmma {
			a.wgmma()
			a.store()
			return
		}
		a.begin()
		a.loop()
		a.store()
	})
	return b.Kernel()
}

func (a *attnPrefill) place() {
	b := a.b
	a.tid, a.lane, a.kvHead = b.Tid(0), b.Lane(), b.Ctaid(0)
	a.warp = b.Shr(a.tid, 5)
	item := b.LdV(ptx.Global, ptx.U32, 2, rowAddress(b, a.items, b.Ctaid(1), 8), 0)
	a.row0, a.n = item[0], item[1]
	align := 16
	if a.Wgmma {
		align = 1024
	}
	a.ring = b.DynamicShared("attn", align)
	a.ringEnd = b.Add(a.ring, a.Stages*a.stageBytes())
}

// rows looks up where the item's rows stand.
func (a *attnPrefill) rows() {
	b := a.b
	a.first = b.Ld(ptx.Global, ptx.S32, rowAddress(b, a.pos, a.row0, 4), 0)
	a.table = b.Ld(ptx.Global, ptx.U32, rowAddress(b, a.starts, a.row0, 4), 0)
	a.tiles = b.Shr(b.Add(a.end(), a.Keys-1), int(tileShift(a.Keys)))
}

// end is how many positions the last row sees.
func (a *attnPrefill) end() ptx.Reg { return a.b.Add(a.b.As(ptx.U32, a.first), a.n) }

// begin starts the copies and loads the queries.
func (a *attnPrefill) begin() {
	b := a.b
	a.rows()
	head := func(pages ptx.Reg, dim int) ptx.Reg { return b.MadWide(a.kvHead, 2*backend.PageTokens*dim, pages) }
	a.k = newKVCopy(b, a.KeyDim, a.Keys, 32*a.warps(), a.tid, head(a.keys, a.KeyDim))
	a.v = newKVCopy(b, a.ValueDim, a.Keys, 32*a.warps(), a.tid, head(a.values, a.ValueDim))
	a.next, a.nextPage = b.Var(ptx.U32, 0), b.Var(ptx.U32, 0)
	a.fill, a.use = b.Var(ptx.U32, a.ring), b.Var(ptx.U32, a.ring)
	for i := range a.Stages {
		zeroTail(b, a.KeyDim, a.Keys, 32*a.warps(), b.Add(a.ring, i*a.stageBytes()), a.tid)
	}
	a.find()
	a.f = newFlash(b, a.AttnShape, a.Queries/a.warps(), false, a.scale)
	if a.queryBytes() > 0 {
		a.copyQueries() // part of the first group
	}
	for range a.Stages - 1 {
		a.copy()
	}
	a.queries()
	a.f.reset()
}

// find looks up the page of the next tile, if there is one.
func (a *attnPrefill) find() {
	b := a.b
	entry := b.Add(a.table, b.Div(a.next, backend.PageTokens/a.Keys))
	at := rowAddress(b, a.batch, entry, 4)
	b.Under(b.Setp(ptx.Lt, a.next, a.tiles), func() { b.LdTo([]ptx.Reg{a.nextPage}, ptx.Global, at, 0) })
}

// copy starts to copy the next tile, if there is one, and goes on to the one after it.
func (a *attnPrefill) copy() {
	b := a.b
	b.If(b.Setp(ptx.Lt, a.next, a.tiles), func() {
		var slot ptx.Reg
		if perPage := backend.PageTokens / a.Keys; perPage > 1 {
			slot = b.Mul(b.Rem(a.next, perPage), a.Keys)
		}
		left := b.As(ptx.S32, b.Sub(a.end(), b.Mul(a.next, a.Keys)))
		a.k.copy(b, a.fill, a.nextPage, pageBytes(a.KVHeads, a.KeyDim), slot, left)
		a.v.copy(b, b.Add(a.fill, a.Keys*kvStride(a.KeyDim)), a.nextPage, pageBytes(a.KVHeads, a.ValueDim), slot, left)
	})
	b.CpAsyncCommit()
	a.turn(a.fill)
	b.AddTo(a.next, 1)
	a.find()
}

// turn moves a stage's address on.
func (a *attnPrefill) turn(stage ptx.Reg) {
	b := a.b
	b.AddTo(stage, a.stageBytes())
	b.Under(b.Setp(ptx.Ge, stage, a.ringEnd), func() { b.Set(stage, a.ring) })
}

// queries places this lane's queries and loads them.
func (a *attnPrefill) queries() {
	b, n := a.b, a.Queries/a.warps()
	base := b.Mul(a.warp, n)
	within := b.Cvt(ptx.U64, b.As(ptx.U32, b.Shl(a.f.t2, 1)))
	for i := range n / 16 {
		var sees [2]ptx.Reg
		for side := range 2 {
			p := a.pair(i, side)
			sees[side] = b.Add(b.Add(a.first, 1), b.As(ptx.S32, p.nth))
			if a.queryBytes() == 0 {
				a.f.query(i, side, b.Add(b.MadWide(b.Mad(p.row, a.Heads, p.head), 2*a.KeyDim, a.q), within), p.in)
			}
		}
		a.sees = append(a.sees, sees)
	}
	least := b.Div(base, a.group())
	most := b.Min(b.Div(b.Add(base, n-1), a.group()), b.Sub(a.n, 1))
	a.clear = b.Add(b.Add(a.first, 1), b.As(ptx.S32, least))
	a.visible = b.Add(b.Add(a.first, 1), b.As(ptx.S32, most))
	a.visible = b.Selp(a.visible, 0, b.Setp(ptx.Lt, least, a.n))
}

// copyQueries starts to copy the queries to shared memory, zeroes for those there are not.
func (a *attnPrefill) copyQueries() {
	b := a.b
	tile := b.Mad(a.warp, a.Queries/a.warps()*kvStride(a.KeyDim), a.ringEnd)
	a.f.queriesAt(tile)
	zeroTail(b, a.KeyDim, a.Queries, 32*a.warps(), a.ringEnd, a.tid)
	place := newKVCopy(b, a.KeyDim, a.Queries, 32*a.warps(), a.tid, a.q)
	to := b.Add(a.ringEnd, place.to)
	from := b.MadWide(b.Rem(a.tid, place.lanes), 16, a.q)
	for i := 0; i < a.Queries; i += place.threads / place.lanes {
		p := a.pairOf(b.Add(b.As(ptx.U32, place.row), i))
		row := b.Min(p.row, b.Sub(b.Add(a.row0, a.n), 1))
		src := b.MadWide(b.Mad(row, a.Heads, p.head), 2*a.KeyDim, from)
		place.copyRow(b, to, i*kvStride(a.KeyDim), src, 0, b.Selp(b.Var(ptx.U32, 16), 0, p.in))
	}
}

// loop goes over the tiles.
func (a *attnPrefill) loop() {
	b, f := a.b, a.f
	b.For(b.Var(ptx.U32, 0), a.tiles, 1, func(i ptx.Reg) {
		b.CpAsyncWait(a.Stages - 2)
		b.Bar() // all threads' copies have arrived, and all are done with the tile before
		a.copy()
		for k := 0; k < a.Keys; k += prefillKeys {
			at := b.As(ptx.S32, b.Add(b.Mul(i, a.Keys), k))
			b.If(b.Setp(ptx.Lt, at, a.visible), func() {
				s := f.scores(prefillKeys, a.use, k*kvStride(a.KeyDim))
				b.If(b.Setp(ptx.Gt, b.Add(at, prefillKeys), a.clear), func() {
					f.mask(s, func(i, side int) ptx.Reg { return b.Sub(a.sees[i][side], at) })
				})
				f.add(s, a.use, a.Keys*kvStride(a.KeyDim)+k*kvStride(a.ValueDim))
			})
		}
		a.turn(a.use)
	})
}

// store writes the quotients.
func (a *attnPrefill) store() {
	b, f := a.b, a.f
	f.sum()
	a.tid, a.lane = b.Tid(0), b.Lane()
	a.warp = b.Shr(a.tid, 5)
	for i := range a.sees {
		for side := range a.sees[i] {
			p := a.pair(i, side)
			b.If(p.in, func() {
				by := b.Rcp(f.l[i][side])
				chunk := b.Mul(p.head, a.ValueDim/8)
				within := b.Cvt(ptx.U64, b.As(ptx.U32, b.Shl(f.t2, 1)))
				for c, acc := range f.acc[i] {
					at := b.Add(packAt(b, a.out, p.row, b.Add(chunk, c), a.tile, a.kTiles()), within)
					b.St(ptx.Global, at, 0, b.CvtPair(ptx.F16x2, b.Mul(acc[2*side], by), b.Mul(acc[2*side+1], by)))
				}
			})
		}
	}
	if a.Heads*a.ValueDim%64 == 0 {
		return
	}
	b.If(b.Setp(ptx.Eq, a.kvHead, a.KVHeads-1), func() {
		b.For(a.row0, b.Add(a.row0, a.n), 1, func(row ptx.Reg) {
			zeroColumns(b, a.out, row, a.tid, a.tile, a.Heads*a.ValueDim)
		})
	})
}
