package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx/ptxtest"
)

// run is rows of one sequence, the first at position pos.
type run struct{ pos, rows int }

// attnData is a batch over a layer's pages, on the host. Slots of pages that no row may
// look at are NaN.
type attnData struct {
	AttnShape
	batch        backend.Batch
	layout       BatchLayout
	q            []uint16
	keys, values []uint16
	scale        float32
	out, bound   []float64 // want's, once known
}

// newAttnData makes a batch of the runs; its page tables are shuffled, and every
// sequence of more than a page shares its first page with the others of that kind.
func newAttnData(r *rand.Rand, s AttnShape, runs []run, padding int) *attnData {
	d := &attnData{AttnShape: s, scale: 0.125}
	total, first := 1, -1
	for _, x := range runs {
		total += (x.pos + x.rows + 63) / 64
	}
	free := r.Perm(total)
	d.keys = halves(slices.Repeat([]float32{float32(math.NaN())}, total*s.KVHeads*64*s.KeyDim))
	d.values = halves(slices.Repeat([]float32{float32(math.NaN())}, total*s.KVHeads*64*s.ValueDim))
	for i, x := range runs {
		n := x.pos + x.rows
		var table []int32
		for range (n + 63) / 64 {
			table, free = append(table, int32(free[0])), free[1:]
		}
		if n > 64 {
			if first < 0 {
				first = int(table[0])
			}
			table[0] = int32(first)
		}
		d.batch.Tables = append(d.batch.Tables, table)
		for p := range x.rows {
			d.batch.Tokens = append(d.batch.Tokens, 0)
			d.batch.Pos = append(d.batch.Pos, int32(x.pos+p))
			d.batch.Seq = append(d.batch.Seq, int32(i))
		}
		for p := range n {
			for h := range s.KVHeads {
				fillNormal(r, d.slot(d.keys, i, p, h, s.KeyDim))
				fillNormal(r, d.slot(d.values, i, p, h, s.ValueDim))
			}
		}
	}
	rows := len(d.batch.Pos)
	d.layout = BatchLayout{MaxRows: rows + padding, MaxLogit: 1}
	d.q = make([]uint16, rows*s.Heads*s.KeyDim)
	fillNormal(r, d.q)
	return d
}

func fillNormal(r *rand.Rand, x []uint16) {
	for i := range x {
		x[i] = tensor.F32ToF16(float32(1.5 * r.NormFloat64()))
	}
}

// slot is KV head h at position p of sequence i.
func (d *attnData) slot(pages []uint16, i, p, h, dim int) []uint16 {
	at := ((int(d.batch.Tables[i][p/64])*d.KVHeads+h)*64 + p%64) * dim
	return pages[at : at+dim]
}

// want is the kernels' meaning: softmax(scale q K) V in float64, and the bound on the
// error: the weights and the result are rounded to halves, 2^-11 of each at most; sums
// and powers in float32 are off by 2^-16 of the greatest value, and scores by 2^-20 of
// the sum of their terms' sizes, which changes the weights by as large a part.
func (d *attnData) want() (out, bound []float64) {
	if d.out != nil {
		return d.out, d.bound
	}
	scale := float64(d.scale)
	defer func() { d.out, d.bound = out, bound }()
	for row := range d.batch.Pos {
		seq, n := int(d.batch.Seq[row]), int(d.batch.Pos[row])+1
		for h := range d.Heads {
			q := fromHalves(d.q[(row*d.Heads+h)*d.KeyDim:][:d.KeyDim])
			w, top, terms := make([]float64, n), math.Inf(-1), 0.0
			for p := range n {
				sum := 0.0
				for c, k := range fromHalves(d.slot(d.keys, seq, p, h/d.group(), d.KeyDim)) {
					w[p] += scale * float64(q[c]) * float64(k)
					sum += scale * math.Abs(float64(q[c])*float64(k))
				}
				top, terms = max(top, w[p]), max(terms, sum)
			}
			sum, size := 0.0, make([]float64, d.ValueDim)
			for p := range w {
				w[p] = math.Exp(w[p] - top)
				sum += w[p]
			}
			x, most := make([]float64, d.ValueDim), 0.0
			for p := range w {
				for c, v := range fromHalves(d.slot(d.values, seq, p, h/d.group(), d.ValueDim)) {
					x[c] += w[p] / sum * float64(v)
					size[c] += w[p] / sum * math.Abs(float64(v))
					most = max(most, math.Abs(float64(v)))
				}
			}
			for c := range x {
				out, bound = append(out, x[c]), append(bound, (math.Abs(x[c])+size[c])/2048+most/65536+size[c]*terms/(1<<20))
			}
		}
	}
	return out, bound
}

// within fails unless |got-want| <= bound for each element.
func within(t testing.TB, what string, got []float32, want, bound []float64) {
	t.Helper()
	bad := 0
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= bound[i]) {
			if bad++; bad <= 5 {
				t.Errorf("%s[%d] = %v, want %v +- %.3g", what, i, got[i], w, bound[i])
			}
		}
	}
	if bad > 0 {
		t.Fatalf("%s: %d of %d elements are off", what, bad, len(want))
	}
}

// attnOnDevice is an attnData there.
type attnOnDevice struct {
	*attnData
	b, q, keys, values, packed driver.Ptr
	pack                       Pack
}

func (d *attnData) upload(r *rig, tile int) attnOnDevice {
	u := attnOnDevice{attnData: d, b: r.put(makeBatch(d.layout, &d.batch)), q: r.put(d.q), keys: r.put(d.keys), values: r.put(d.values)}
	u.pack = Pack{T: tile, K: d.Heads * d.ValueDim}
	u.packed = r.alloc(int(u.pack.Bytes(d.layout.MaxRows)))
	return u
}

// check compares the output with what it should be.
func (u attnOnDevice) check(t *testing.T, r *rig) {
	t.Helper()
	want, bound := u.want()
	within(t, "out", r.packed(u.packed, u.pack, len(u.batch.Pos)), want, bound)
}

// decodeRuns are rows at the corners of pages and elsewhere, several of one sequence
// among them.
var decodeRuns = []run{{0, 1}, {1, 1}, {200, 1}, {63, 1}, {64, 3}, {15, 1}, {65, 1}, {127, 2}, {16, 1}, {390, 1}}

func TestAttnDecode(t *testing.T) {
	for i, c := range []AttnDecode{
		{AttnShape: AttnShape{8, 2, 128, 128}, Warps: 4, Stages: 3},
		{AttnShape: AttnShape{7, 1, 64, 64}, Warps: 4, Stages: 2},
		{AttnShape: AttnShape{3, 3, 32, 16}, Warps: 2, Stages: 4},
		{AttnShape: AttnShape{8, 1, 80, 96}, Warps: 4, Stages: 4},
		{AttnShape: AttnShape{4, 2, 24, 40}, Warps: 2, Stages: 3},
		{AttnShape: AttnShape{3, 1, 256, 256}, Warps: 2, Stages: 2},
		{AttnShape: AttnShape{16, 1, 8, 8}, Warps: 4, Stages: 2},
		{AttnShape: AttnShape{40, 2, 48, 56}, Warps: 4, Stages: 3},
	} {
		c.MaxRows = 16
		t.Run(c.Name(), func(t *testing.T) {
			eachTarget(t, func(t *testing.T, r *rig) {
				d := newAttnData(r.rand, c.AttnShape, decodeRuns, 3).upload(r, []int{1, 2, 16, 64}[i%4])
				for _, shares := range []int{1, 2 + i, 33} {
					testAttnDecode(t, r, c, d, shares)
				}
			})
		})
	}
}

// testAttnDecode runs c twice, the second time with the counters as the first left them.
func testAttnDecode(t *testing.T, r *rig, c AttnDecode, d attnOnDevice, shares int) {
	t.Helper()
	a := AttnDecodeArgs{Batch: d.b, Layout: d.layout, Q: d.q, Keys: d.keys, Values: d.values, Out: d.packed, T: d.pack.T,
		Rows: d.layout.MaxRows, Shares: shares, Scale: d.scale, Work: r.alloc(int(c.WorkBytes(shares))),
		Counters: r.put(make([]byte, c.CounterBytes()))}
	for range 2 {
		r.putAt(d.packed, slices.Repeat([]uint16{0x7E00}, int(d.pack.Bytes(d.layout.MaxRows))/2)) // NaN
		r.launch(c, c.Launch(a))
		d.check(t, r)
	}
	for i, n := range r.i32(a.Counters, c.CounterBytes()/4) {
		if n != 0 {
			t.Fatalf("%d shares: counter %d is left at %d", shares, i, n)
		}
	}
}

// TestAttnDecodeOneRow has the shapes of the smallest batch, most blocks without work.
func TestAttnDecodeOneRow(t *testing.T) {
	c := AttnDecode{AttnShape: AttnShape{4, 2, 64, 64}, MaxRows: 1, Warps: 4, Stages: 4}
	eachTarget(t, func(t *testing.T, r *rig) {
		for _, pos := range []int{0, 63, 64, 333} {
			d := newAttnData(r.rand, c.AttnShape, []run{{pos, 1}}, 0).upload(r, 1)
			testAttnDecode(t, r, c, d, 8)
		}
	})
}

// TestAttnSteep has scores in the hundreds, so that maxima rise and weights vanish.
func TestAttnSteep(t *testing.T) {
	s := AttnShape{4, 2, 64, 64}
	eachTarget(t, func(t *testing.T, r *rig) {
		data := newAttnData(r.rand, s, []run{{250, 8}, {100, 1}}, 0)
		data.scale = 2
		d := data.upload(r, 128)
		testAttnDecode(t, r, AttnDecode{AttnShape: s, MaxRows: 16, Warps: 4, Stages: 2}, d, 5)
		testAttnPrefill(t, r, AttnPrefill{AttnShape: s, Queries: 64, Keys: 64, Stages: 2}, d)
		if r.target.Hopper() {
			testAttnPrefill(t, r, AttnPrefill{AttnShape: s, Queries: 128, Keys: 128, Wgmma: true}, d)
		}
		testAttnGeneral(t, r, AttnGeneral{s}, d)
	})
}

// TestAttnDecodeLong has rows cut in so many parts that merging takes two steps.
func TestAttnDecodeLong(t *testing.T) {
	for _, c := range []AttnDecode{
		{AttnShape: AttnShape{6, 2, 32, 24}, Warps: 4, Stages: 3},
		{AttnShape: AttnShape{20, 1, 16, 32}, Warps: 2, Stages: 2},
	} {
		c.MaxRows = 4
		t.Run(c.Name(), func(t *testing.T) {
			eachTarget(t, func(t *testing.T, r *rig) {
				d := newAttnData(r.rand, c.AttnShape, []run{{1100 * c.Warps / 2, 1}, {70, 1}, {600, 2}}, 0).upload(r, 4)
				for _, shares := range []int{30, 43, 90} {
					testAttnDecode(t, r, c, d, shares)
				}
			})
		})
	}
}

// TestAttnDecodeAfterAppend appends the batch's keys and values in the launch before,
// which attention overlaps with: nothing that one writes may be read too early.
func TestAttnDecodeAfterAppend(t *testing.T) {
	s := AttnShape{4, 2, 32, 32}
	eachTarget(t, func(t *testing.T, r *rig) {
		data := newAttnData(r.rand, s, []run{{79, 1}, {70, 1}, {140, 20}, {300, 1}, {0, 2}}, 1)
		rows := len(data.batch.Pos)
		k, v := make([]float32, (rows+1)*s.KVHeads*s.KeyDim), make([]float32, (rows+1)*s.KVHeads*s.ValueDim)
		nan := uint16(0x7E00)
		full := *data
		full.keys, full.values = slices.Clone(data.keys), slices.Clone(data.values)
		for row, pos := range data.batch.Pos {
			for h := range s.KVHeads {
				key := data.slot(data.keys, int(data.batch.Seq[row]), int(pos), h, s.KeyDim)
				value := data.slot(data.values, int(data.batch.Seq[row]), int(pos), h, s.ValueDim)
				copy(k[(row*s.KVHeads+h)*s.KeyDim:], fromHalves(key))
				copy(v[(row*s.KVHeads+h)*s.ValueDim:], fromHalves(value))
				copy(key, slices.Repeat([]uint16{nan}, s.KeyDim))
				copy(value, slices.Repeat([]uint16{nan}, s.ValueDim))
			}
		}
		d := data.upload(r, 32)
		app := RopeAppend{Batch: d.layout, KVHeads: s.KVHeads, KeyDim: s.KeyDim, ValueDim: s.ValueDim}
		c := AttnDecode{AttnShape: s, MaxRows: 32, Warps: 4, Stages: 3}
		for _, shares := range []int{2, 9} {
			launches := []struct {
				c Config
				l driver.Launch
			}{
				{app, app.Launch(RopeAppendArgs{Batch: d.b, K: r.put(k), V: r.put(v), Keys: d.keys, Values: d.values, Rows: rows + 1})},
				{c, c.Launch(AttnDecodeArgs{Batch: d.b, Layout: d.layout, Q: d.q, Keys: d.keys, Values: d.values, Out: d.packed, T: d.pack.T,
					Rows: rows + 1, Shares: shares, Scale: d.scale, Work: r.alloc(int(c.WorkBytes(shares))),
					Counters: r.put(make([]byte, c.CounterBytes()))})},
			}
			for _, x := range launches {
				f := r.load(x.c).function
				must(t, f.SetShared(x.l.Shared))
				x.l.Dependent = r.target.Hopper()
				must(t, r.stream.Launch(f, &x.l))
			}
			must(t, r.stream.Sync())
			d.attnData = &full
			d.check(t, r)
		}
	})
}

// TestAttnDecodeRandom has random batches, some rows of them listed in any order.
func TestAttnDecodeRandom(t *testing.T) {
	shapes := []AttnShape{{1, 1, 16, 16}, {4, 2, 24, 16}, {6, 2, 16, 8}, {4, 1, 16, 32}, {5, 1, 8, 16}, {7, 1, 16, 16}, {9, 1, 16, 8}}
	n := 2
	if testing.Short() {
		n = 1
	}
	for _, s := range shapes {
		t.Run(s.name("attn"), func(t *testing.T) {
			eachTarget(t, func(t *testing.T, r *rig) {
				c := AttnDecode{AttnShape: s, MaxRows: 96, Warps: 2 + 2*r.rand.IntN(2), Stages: 2 + r.rand.IntN(3)}
				for range n {
					d := newAttnData(r.rand, s, randomRuns(r.rand), r.rand.IntN(3)).upload(r, 1<<r.rand.IntN(8))
					testAttnDecode(t, r, c, d, 1+r.rand.IntN(40))
					testAttnList(t, r, c, d)
				}
			})
		})
	}
}

func randomRuns(r *rand.Rand) (runs []run) {
	for rows := 0; len(runs) < 12 && rows < 60; {
		x := run{r.IntN(120), 1 + r.IntN(1+r.IntN(30))}
		runs, rows = append(runs, x), rows+x.rows
	}
	return runs
}

// testAttnList decodes the rows by a list in pieces, some in order, some not; each row
// once.
func testAttnList(t *testing.T, r *rig, c AttnDecode, d attnOnDevice) {
	t.Helper()
	var list []int32
	for row := range d.batch.Pos {
		list = append(list, int32(row))
	}
	cut := r.rand.IntN(len(list) + 1)
	r.rand.Shuffle(cut, func(i, j int) { list[i], list[j] = list[j], list[i] })
	r.putAt(d.packed, slices.Repeat([]uint16{0x7E00}, int(d.pack.Bytes(d.layout.MaxRows))/2))
	r.launch(c, c.Launch(AttnDecodeArgs{Batch: d.b, Layout: d.layout, List: r.put(list), Q: d.q, Keys: d.keys, Values: d.values,
		Out: d.packed, T: d.pack.T, Rows: len(list), Shares: 7, Scale: d.scale, Work: r.alloc(int(c.WorkBytes(7))),
		Counters: r.put(make([]byte, c.CounterBytes()))}))
	d.check(t, r)
}

// TestAttnFarPages has pages that begin more than 4 GiB into the cache.
func TestAttnFarPages(t *testing.T) {
	const far = 3 << 20
	s := AttnShape{2, 1, 64, 64}
	eachTarget(t, func(t *testing.T, r *rig) {
		data := newAttnData(r.rand, s, []run{{150, 5}, {3, 1}}, 0)
		d := data.upload(r, 8)
		for _, table := range data.batch.Tables {
			for i := range table {
				table[i] += far
			}
		}
		d.b = r.put(makeBatch(d.layout, &data.batch))
		for _, table := range data.batch.Tables {
			for i := range table {
				table[i] -= far
			}
		}
		d.keys -= far * driver.Ptr(pageBytes(s.KVHeads, s.KeyDim))
		d.values -= far * driver.Ptr(pageBytes(s.KVHeads, s.ValueDim))
		testAttnDecode(t, r, AttnDecode{AttnShape: s, MaxRows: 8, Warps: 2, Stages: 2}, d, 3)
		testAttnPrefill(t, r, AttnPrefill{AttnShape: s, Queries: 64, Keys: 32, Stages: 2}, d)
		if r.target.Hopper() {
			testAttnPrefill(t, r, AttnPrefill{AttnShape: s, Queries: 128, Keys: 128, Wgmma: true}, d)
		}
		testAttnGeneral(t, r, AttnGeneral{s}, d)
	})
}

func testAttnGeneral(t *testing.T, r *rig, c AttnGeneral, d attnOnDevice) {
	t.Helper()
	r.putAt(d.packed, slices.Repeat([]uint16{0x7E00}, int(d.pack.Bytes(d.layout.MaxRows))/2))
	r.launch(c, c.Launch(AttnGeneralArgs{Batch: d.b, Layout: d.layout, Q: d.q, Keys: d.keys, Values: d.values, Out: d.packed,
		T: d.pack.T, Rows: d.layout.MaxRows, Scale: d.scale}))
	d.check(t, r)
}

// TestAttnDecodeNothing has only padding.
func TestAttnDecodeNothing(t *testing.T) {
	c := AttnDecode{AttnShape: AttnShape{4, 2, 32, 32}, MaxRows: 8, Warps: 4, Stages: 3}
	eachTarget(t, func(t *testing.T, r *rig) {
		l := BatchLayout{MaxRows: 8, MaxLogit: 1}
		out := r.put(make([]byte, Pack{T: 8, K: 128}.Bytes(8)))
		counters := r.put(make([]byte, c.CounterBytes()))
		r.launch(c, c.Launch(AttnDecodeArgs{Batch: r.put(makeBatch(l, &backend.Batch{})), Layout: l, Out: out, T: 8, Rows: 8,
			Shares: 4, Scale: 1, Work: r.alloc(int(c.WorkBytes(4))), Counters: counters}))
		for i, x := range r.packed(out, Pack{T: 8, K: 128}, 8) {
			if x != 0 {
				t.Fatalf("element %d is %v", i, x)
			}
		}
	})
}

// TestAttnDecodeManyRows needs more than one round over the rows.
func TestAttnDecodeManyRows(t *testing.T) {
	c := AttnDecode{AttnShape: AttnShape{2, 1, 16, 16}, MaxRows: 80, Warps: 4, Stages: 2}
	eachTarget(t, func(t *testing.T, r *rig) {
		var runs []run
		for range 77 {
			runs = append(runs, run{r.rand.IntN(150), 1})
		}
		testAttnDecode(t, r, c, newAttnData(r.rand, c.AttnShape, runs, 3).upload(r, 64), 7)
	})
}

// TestAttnMixed splits a batch of prefill and decode between the kernels.
func TestAttnMixed(t *testing.T) {
	s := AttnShape{6, 2, 64, 32}
	runs := []run{{100, 1}, {30, 70}, {5, 2}, {0, 40}, {300, 1}}
	eachTarget(t, func(t *testing.T, r *rig) {
		d := newAttnData(r.rand, s, runs, 0).upload(r, 128)
		p := AttnPrefill{AttnShape: s, Queries: 64, Keys: 64, Stages: 2}
		items, rows := AttnItems(nil, nil, d.batch.Seq, d.batch.Pos, p.RowsPerItem(), 4)
		if want := []int32{0, 71, 72, 113}; !slices.Equal(rows, want) {
			t.Fatalf("decoded are %v, want %v", rows, want)
		}
		r.launch(p, p.Launch(AttnPrefillArgs{Batch: d.b, Layout: d.layout, ItemList: r.put(items), Q: d.q, Keys: d.keys, Values: d.values,
			Out: d.packed, T: d.pack.T, Items: len(items) / 2, Scale: d.scale}))
		c := AttnDecode{AttnShape: s, MaxRows: 8, Warps: 4, Stages: 2}
		r.launch(c, c.Launch(AttnDecodeArgs{Batch: d.b, Layout: d.layout, List: r.put(rows), Q: d.q, Keys: d.keys, Values: d.values,
			Out: d.packed, T: d.pack.T, Rows: len(rows), Shares: 5, Scale: d.scale, Work: r.alloc(int(c.WorkBytes(5))),
			Counters: r.put(make([]byte, c.CounterBytes()))}))
		d.check(t, r)
	})
}

func TestAttnPrefill(t *testing.T) {
	runs := []run{{0, 50}, {0, 1}, {63, 2}, {100, 33}, {7, 65}, {64, 20}}
	for _, c := range []AttnPrefill{
		{AttnShape: AttnShape{4, 1, 128, 128}, Queries: 128, Keys: 64, Stages: 2},
		{AttnShape: AttnShape{2, 2, 64, 64}, Queries: 128, Keys: 32, Stages: 3},
		{AttnShape: AttnShape{7, 1, 80, 96}, Queries: 64, Keys: 64, Stages: 3},
		{AttnShape: AttnShape{6, 2, 40, 24}, Queries: 64, Keys: 32, Stages: 2},
		{AttnShape: AttnShape{1, 1, 256, 256}, Queries: 64, Keys: 32, Stages: 2},
		{AttnShape: AttnShape{8, 1, 168, 64}, Queries: 128, Keys: 64, Stages: 2},
		{AttnShape: AttnShape{70, 1, 16, 8}, Queries: 128, Keys: 64, Stages: 2},
		{AttnShape: AttnShape{4, 1, 128, 128}, Queries: 128, Keys: 128, Wgmma: true},
		{AttnShape: AttnShape{2, 2, 64, 64}, Queries: 128, Keys: 128, Wgmma: true},
		{AttnShape: AttnShape{7, 1, 192, 128}, Queries: 128, Keys: 128, Wgmma: true},
		{AttnShape: AttnShape{3, 1, 64, 128}, Queries: 128, Keys: 128, Wgmma: true},
	} {
		t.Run(c.Name(), func(t *testing.T) {
			eachTarget(t, func(t *testing.T, r *rig) {
				if !slices.Contains(c.Targets(), r.target) {
					return
				}
				d := newAttnData(r.rand, c.AttnShape, runs, 0).upload(r, 128)
				testAttnPrefill(t, r, c, d)
			})
		})
	}
}

func testAttnPrefill(t *testing.T, r *rig, c AttnPrefill, d attnOnDevice) {
	t.Helper()
	items, _ := AttnItems(nil, nil, d.batch.Seq, d.batch.Pos, c.RowsPerItem(), 0)
	items = append(items, 0, 0) // one without rows
	r.putAt(d.packed, slices.Repeat([]uint16{0x7E00}, int(d.pack.Bytes(d.layout.MaxRows))/2))
	r.launch(c, c.Launch(AttnPrefillArgs{Batch: d.b, Layout: d.layout, ItemList: r.put(items), Q: d.q, Keys: d.keys,
		Values: d.values, Out: d.packed, T: d.pack.T, Items: len(items) / 2, Scale: d.scale}))
	d.check(t, r)
}

func TestAttnGeneral(t *testing.T) {
	runs := []run{{0, 2}, {70, 1}, {62, 4}, {130, 1}}
	for _, s := range []AttnShape{{6, 2, 18, 10}, {2, 1, 131, 257}, {3, 3, 2, 1}, {4, 1, 300, 64}} {
		c := AttnGeneral{s}
		t.Run(c.Name(), func(t *testing.T) {
			eachTarget(t, func(t *testing.T, r *rig) {
				testAttnGeneral(t, r, c, newAttnData(r.rand, s, runs, 2).upload(r, 16))
			})
		})
	}
}

func TestAttnItems(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var seq, pos []int32
		for s := range r.IntN(6) + 1 {
			p := r.IntN(300)
			for i := range r.IntN(50) + 1 {
				seq, pos = append(seq, int32(s)), append(pos, int32(p+i))
			}
		}
		per, least := r.IntN(20)+1, r.IntN(5)
		items, rows := AttnItems([]int32{9, 9}, nil, seq, pos, per, least)
		if err := checkItems(items, rows, seq, pos, per, least); err != nil {
			t.Fatalf("seq %v, pos %v, %d rows an item, least %d: items %v, rows %v: %v", seq, pos, per, least, items, rows, err)
		}
	}
	seq, pos := make([]int32, 500), make([]int32, 500)
	for i := range pos {
		pos[i] = int32(i)
	}
	items := make([]int32, 0, 2*MaxAttnItems(500, 1, 16))
	if n := testing.AllocsPerRun(10, func() { AttnItems(items, nil, seq, pos, 16, 2) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func checkItems(items, rows, seq, pos []int32, per, least int) error {
	if items[0] != 9 || items[1] != 9 {
		return fmt.Errorf("what was there is gone")
	}
	items = items[2:]
	if n := MaxAttnItems(len(seq), int(seq[len(seq)-1])+1, per); len(items)/2 > n {
		return fmt.Errorf("more than %d items", n)
	}
	seen, last := make([]int, len(seq)), int32(math.MaxInt32)
	for i := 0; i < len(items); i += 2 {
		end := pos[items[i]] + items[i+1]
		if items[i+1] < 1 || int(items[i+1]) > per || end > last {
			return fmt.Errorf("item %d", i/2)
		}
		last = end
		for r := items[i]; r < items[i]+items[i+1]; r++ {
			if seen[r]++; seq[r] != seq[items[i]] {
				return fmt.Errorf("item %d has two sequences", i/2)
			}
		}
	}
	for _, r := range rows {
		seen[r]++
		n := 0
		for _, s := range seq {
			if s == seq[r] {
				n++
			}
		}
		if n >= least {
			return fmt.Errorf("row %d is decoded", r)
		}
	}
	for r, n := range seen {
		if n != 1 {
			return fmt.Errorf("row %d is there %d times", r, n)
		}
	}
	return nil
}

// TestAttnFit has the verifier, and ptxas if there is one, read what the kernels are for
// real models on several devices.
func TestAttnFit(t *testing.T) {
	devices := []driver.Info{
		{Name: "H200", Major: 9, SharedPerBlock: 227 << 10, SharedPerSM: 228 << 10},
		{Name: "A100", Major: 8, SharedPerBlock: 163 << 10, SharedPerSM: 164 << 10},
		{Name: "RTX 4090", Major: 8, Minor: 9, SharedPerBlock: 99 << 10, SharedPerSM: 100 << 10},
	}
	seen := map[string]bool{}
	for _, s := range []AttnShape{{32, 8, 128, 128}, {28, 4, 128, 128}, {14, 2, 64, 64}, {16, 1, 256, 256}, {32, 32, 96, 96}, {8, 8, 192, 128}} {
		for _, dev := range devices {
			d := AttnDecode{AttnShape: s, MaxRows: 64}.Fit(dev)
			p := AttnPrefill{AttnShape: s}.Fit(dev)
			if d.Shared() > dev.SharedPerBlock || p.Shared() > dev.SharedPerBlock {
				t.Errorf("%+v on %s: %+v takes %d, %+v takes %d bytes of shared memory", s, dev.Name, d, d.Shared(), p, p.Shared())
			}
			for _, c := range []Config{d, p} {
				if testing.Short() || seen[c.Name()] {
					continue
				}
				seen[c.Name()] = true
				targets := TargetsOf(c)
				target := targets[len(targets)-1]
				k, err := c.Build(target)
				must(t, err)
				ptxtest.Text(t, &ptx.Module{Target: target, Kernels: []*ptx.Kernel{k}})
			}
		}
	}
}
