package kernels

import (
	"sync"
	"unsafe"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Prefill: with several activation rows a block of weights is unpacked once and
// multiplied many times. What all formats unpack to is a tile: 16 weight rows by
// up to 896 columns, bytes, interleaved so that a register of 16 lanes takes
// four columns of each row. Every format has a function that packs tiles; the
// functions that multiply them know four kinds of tiles and no formats.
//
// Repacked matrices (repack.go) keep codes in the order of a tile, packed into as few
// bits as they have.

const (
	// tileRows is the number of weight rows in a tile.
	tileRows = 16
	// tileCells is the number of 32-column groups in a tile: two tiles of 14 KiB of
	// weights and what six activation rows have for them stay in a first-level cache
	// of 48 KiB.
	tileCells = 28
	// pairRows is the number of weight rows in two tiles, which are multiplied
	// together where rows are many: from pairFrom activation rows on.
	pairRows, pairFrom = 2 * tileRows, 13
	// tilePlainRun is the number of columns in a tile of a plain format.
	tilePlainRun = 512
	// tileColumns is the largest number of activation rows multiplied at a time.
	tileColumns = 12
	// actBlock is how many bytes of activations are multiplied with one tile
	// after another, so that they stay in the second-level cache.
	actBlock = 576 << 10
)

// formats bounds the values of tensor.DType.
const formats = tensor.MXFP4 + 1

// tile is 16 weight rows unpacked.
type tile struct {
	q [tileCells][8][tileRows][4]byte // weights: plus 128 without a constant part
	// Scales and constants of each row: over 32 columns one a cell, over 16
	// columns two a cell.
	d, m [2 * tileCells][tileRows]float32
}

// scratch is what a product needs beside its operands. It is aligned to 64 bytes.
type scratch struct {
	tiles [2]tile
	f     [tilePlainRun][tileRows]float32   // weights of a plain format
	out   [tileColumns * pairRows]float32   // results of which some are wanted
	rows  [tileRows * tilePlainRun * 4]byte // copied rows where fewer than 16 are left
}

// free keeps scratch memory between products.
var free struct {
	sync.Mutex // guards list
	list       []*scratch
}

func takeScratch() *scratch {
	free.Lock()
	defer free.Unlock()
	if n := len(free.list); n > 0 {
		t := free.list[n-1]
		free.list = free.list[:n-1]
		return t
	}
	mem := make([]byte, unsafe.Sizeof(scratch{})+63)
	return (*scratch)(unsafe.Pointer(&mem[-int(uintptr(unsafe.Pointer(&mem[0])))&63]))
}

func (t *scratch) put() {
	free.Lock()
	free.list = append(free.list, t)
	free.Unlock()
}

// A packFunc packs n cells of 16 rows, row i at w + i*stride bytes, into the tile
// at q, d and m. For super-block formats n is a multiple of 8. Memory at ahead,
// walking step bytes a block, is asked for.
type packFunc func(q *byte, d, m *float32, w *byte, stride, n int, ahead *byte, step int)

// A tileFunc multiplies a tile with as many activation rows as it is made for:
// y[i*stride+row] = sum, or += if add is not 0. Activation row i starts at
// c + i*cstride bytes. Memory at ahead, walking step bytes a cell, is asked for.
type tileFunc func(y *float32, stride int, q *byte, d, m *float32, c *byte, cstride, cells, add int, ahead *byte, step int)

// A pairFunc does it with two tiles, 32 rows: next and nextScales are the bytes from
// one's weights and scales to the other's.
type pairFunc func(y *float32, stride int, q *byte, next int, d, m *float32, nextScales int, c *byte, cstride, cells, add int)

// tileFuncs are an instruction set's functions for tiles.
type tileFuncs struct {
	// mul[half][constant]: scales over 16 columns; weights with a constant part.
	// In each, one function for every entry of columns.
	mul     *[2][2][]tileFunc
	columns []int // numbers of activation rows, falling to 1
	// pair and pairColumns are the same for two tiles; nil where registers are few.
	pair        *[2][2][]pairFunc
	pairColumns []int
}

type packPlainFunc func(t *float32, w *byte, stride, n int, ahead *byte, step int)

type tilePlainFunc func(y *float32, stride int, w, x *float32, xstride, k, add int)

// halfScales says whether a format's scales cover 16 columns instead of 32.
func halfScales(t tensor.DType) bool {
	return t == tensor.Q2_K || t == tensor.Q3_K || t == tensor.Q6_K
}

// hasConstant says whether a format's weights are d*q + m with q >= 0.
func hasConstant(t tensor.DType) bool {
	switch t {
	case tensor.Q4_1, tensor.Q5_1, tensor.Q2_K, tensor.Q4_K, tensor.Q5_K:
		return true
	}
	return false
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// packGeneric is the meaning of pack, for any format.
func (t *tile) packGeneric(dt tensor.DType, w []byte, stride, cells int) {
	var g [groupRun]group
	bias := byte(128)
	if hasConstant(dt) {
		bias = 0
	}
	half := halfScales(dt)
	for row := range tileRows {
		src := w[row*stride:]
		for k := 0; k < cells; k += groupRun {
			run := g[:min(groupRun, cells-k)]
			unpack(dt, run, src[dt.RowBytes(k*cellLen):])
			for i := range run {
				t.put32(row, k+i, &run[i], bias, half)
			}
		}
	}
}

// put32 stores a group as cell k of a row.
func (t *tile) put32(row, k int, g *group, bias byte, half bool) {
	for i, q := range g.q {
		t.q[k][i/4][row][i%4] = byte(q) + bias
	}
	if half {
		for h := range 2 {
			t.d[2*k+h][row], t.m[2*k+h][row] = g.d[h], g.m[h]
		}
		return
	}
	t.d[k][row], t.m[k][row] = g.d[0], g.m[0]
}

// tileRun is how many of a row's cells are put in a tile: all tiles of a row are
// about the same length, and whole super-blocks.
func tileRun(t tensor.DType, total int) int {
	block := t.BlockElems() / cellLen
	limit := tileCells / block * block
	steps := (total + limit - 1) / limit
	return ((total+steps-1)/steps + block - 1) / block * block
}

// mulTiles computes products tile by tile.
func (m *Mat) mulTiles(s *isa, y []float32, stride int, a *Act, r0, r1, n0, n1 int) {
	t := takeScratch()
	p := tileProduct{m: m, set: s, t: t, y: y, stride: stride, a: a, n0: n0, n1: n1, width: tileRows, next: int(unsafe.Sizeof(tile{})),
		half: index(halfScales(m.dtype)), constant: index(hasConstant(m.dtype))}
	if s.tiles.pair != nil && r1-r0 >= pairFrom {
		p.width = pairRows
	}
	first := n0
	if m.panels != nil {
		first = n0 / tileRows * tileRows
		if m.panels.low == 8 {
			p.next = m.panels.size
		}
	}
	total := m.K / cellLen
	run := tileRun(m.dtype, total)
	if (r1-r0)*total*int(unsafe.Sizeof(cell{})) <= actBlock {
		// The activations stay cached: read the weights in their order.
		p.inOrder = true
		for n := first; n < n1; n += p.width {
			for k := 0; k < total; k += run {
				p.tile(r0, r1, n, k, min(k+run, total))
			}
		}
	} else {
		// A slice of the columns of so many activation rows stays cached.
		step := evenly(r1-r0, actBlock/(run*int(unsafe.Sizeof(cell{}))))
		for r := r0; r < r1; r += step {
			for k := 0; k < total; k += run {
				for n := first; n < n1; n += p.width {
					p.tile(r, min(r+step, r1), n, k, min(k+run, total))
				}
			}
		}
	}
	t.put()
}

// evenly divides rows into equal steps of at most limit, give or take rounding up
// to what is multiplied at a time.
func evenly(rows, limit int) int {
	steps := (rows + limit - 1) / limit
	return ((rows+steps-1)/steps + tileColumns - 1) / tileColumns * tileColumns
}

// tileProduct is what stays the same from tile to tile.
type tileProduct struct {
	m              *Mat
	set            *isa
	t              *scratch
	y              []float32
	stride         int
	a              *Act
	n0, n1         int // rows that are wanted
	half, constant int // which kind of tile
	width          int // rows at a time
	next           int // bytes from the first tile's weights to the second's
	// inOrder says that weights are read as they lie in memory.
	inOrder bool
}

// ahead is the memory to ask for while a tile is done whose cells begin at k0, and
// how many bytes of it to a cell: as many as the tile has, in the 16 rows after it.
func (p *tileProduct) ahead(n, k0 int) (from *byte, perCell int) {
	m := p.m
	perCell = tileRows * m.stride / (m.K / cellLen)
	if i := (n+p.width)*m.stride + k0*perCell; p.inOrder && m.panels == nil && i < len(m.data) {
		return &m.data[i], perCell
	}
	return &p.t.rows[0], 0
}

// unpack makes tile i of cells [k0, k1) of 16 rows, of which there are some from n on,
// and returns where its weights are.
func (p *tileProduct) unpack(i, n, k0, k1 int) *byte {
	m, t := p.m, &p.t.tiles[i]
	if m.panels != nil {
		return m.panels.unpack(p.set, m.dtype, t, n/tileRows, k0, k1)
	}
	from := m.dtype.RowBytes(k0 * cellLen)
	w, stride := m.data[n*m.stride+from:], m.stride
	if p.n1-n < tileRows {
		w, stride = p.t.gather(w, stride, m.dtype.RowBytes((k1-k0)*cellLen), p.n1-n)
	}
	if f := p.set.pack[m.dtype]; f != nil {
		block := m.dtype.BlockElems() / cellLen
		ahead, perCell := p.ahead(n, k0)
		f(&t.q[0][0][0][0], &t.d[0][0], &t.m[0][0], &w[0], stride, k1-k0, ahead, perCell*block)
	} else {
		t.packGeneric(m.dtype, w, stride, k1-k0)
	}
	return &t.q[0][0][0][0]
}

// tile multiplies so many rows from n on, of which those in [n0, n1) are wanted, and
// cells [k0, k1), at most tileCells, with activation rows [r0, r1). Cell 0 begins the
// sums.
func (p *tileProduct) tile(r0, r1, n, k0, k1 int) {
	cstride := p.a.cellStride * int(unsafe.Sizeof(cell{}))
	q, first := p.unpack(0, n, k0, k1), &p.t.tiles[0]
	d, m := &first.d[0][0], &first.m[0][0]
	if p.width == pairRows && n+tileRows < p.n1 {
		p.unpack(1, n+tileRows, k0, k1)
		mul := p.set.tiles.pair[p.half][p.constant]
		evenColumns(p.set.tiles.pairColumns, r0, r1, func(i, r int) {
			y, stride, add := p.target(n, pairRows, r, k0)
			mul[i](y, stride, q, p.next, d, m, int(unsafe.Sizeof(tile{})), p.a.cells[r*p.a.cellStride+k0].bytes(), cstride, k1-k0, add)
			p.collect(n, pairRows, r, p.set.tiles.pairColumns[i], k0)
		})
		return
	}
	mul := p.set.tiles.mul[p.half][p.constant]
	ahead, perCell := p.ahead(n, k0)
	eachColumns(p.set.tiles.columns, r0, r1, func(i, r int) {
		y, stride, add := p.target(n, tileRows, r, k0)
		mul[i](y, stride, q, d, m, p.a.cells[r*p.a.cellStride+k0].bytes(), cstride, k1-k0, add, ahead, perCell)
		p.collect(n, tileRows, r, p.set.tiles.columns[i], k0)
	})
}

// whole says that all of so many rows from n on are wanted.
func (p *tileProduct) whole(n, rows int) bool { return n >= p.n0 && n+rows <= p.n1 }

// target is where the results of so many rows from n on and of activation rows from r
// on go, and whether they are added to what is there.
func (p *tileProduct) target(n, rows, r, k0 int) (y *float32, stride, add int) {
	if p.whole(n, rows) {
		return &p.y[r*p.stride+n], p.stride, k0
	}
	return &p.t.out[0], pairRows, 0
}

// collect takes what is wanted from where target had it put.
func (p *tileProduct) collect(n, rows, r, columns, k0 int) {
	if p.whole(n, rows) {
		return
	}
	lo, hi := max(n, p.n0), min(n+rows, p.n1)
	p.t.scatter(p.y[lo:], p.stride, r, columns, p.t.out[lo-n:], pairRows, hi-lo, k0 > 0)
}

// eachColumns divides [r0, r1) into the numbers of activation rows there are
// functions for; f gets the function's index and the first row.
func eachColumns(columns []int, r0, r1 int, f func(i, r int)) {
	i := 0
	for r := r0; r < r1; {
		if columns[i] > r1-r {
			i++
			continue
		}
		f(i, r)
		r += columns[i]
	}
}

// evenColumns is eachColumns where there is a function for every number up to
// columns[0]: they differ by one at most, for a small rest would be done slowly.
func evenColumns(columns []int, r0, r1 int, f func(i, r int)) {
	most := columns[0]
	for left := (r1 - r0 + most - 1) / most; left > 0; left-- {
		n := (r1 - r0 + left - 1) / left
		f(most-n, r0)
		r0 += n
	}
}

// gather copies size bytes of each of n rows and fills up with zeros to 16 rows,
// whose results nobody uses.
func (t *scratch) gather(w []byte, stride, size, n int) ([]byte, int) {
	return t.gatherPadded(w, stride, size, size, n)
}

// gatherPadded does it for rows that are to be padded bytes long.
func (t *scratch) gatherPadded(w []byte, stride, size, padded, n int) ([]byte, int) {
	for i := range tileRows {
		row := t.rows[i*padded : (i+1)*padded]
		clear(row)
		if i < n {
			copy(row, w[i*stride:i*stride+size])
		}
	}
	return t.rows[:], padded
}

// scatter moves n results of so many activation rows from r on to y, or adds them.
func (t *scratch) scatter(y []float32, stride, r, rows int, from []float32, fromStride, n int, add bool) {
	for i := range rows {
		dst, src := y[(r+i)*stride:(r+i)*stride+n], from[i*fromStride:]
		for j := range dst {
			if add {
				dst[j] += src[j]
			} else {
				dst[j] = src[j]
			}
		}
	}
}

// mulTilesPlain is mulTiles for plain formats.
func (m *Mat) mulTilesPlain(s *isa, y []float32, stride int, a *Act, r0, r1, n0, n1 int) {
	t := takeScratch()
	p := plainProduct{m: m, set: s, t: t, y: y, stride: stride, a: a}
	if (r1-r0)*m.K*4 <= actBlock {
		p.inOrder = true
		for n := n0; n < n1; n += tileRows {
			for k := 0; k < m.K; k += tilePlainRun {
				p.tile(r0, r1, n, min(n+tileRows, n1), k, min(k+tilePlainRun, m.K))
			}
		}
	} else {
		for k := 0; k < m.K; k += tilePlainRun {
			for n := n0; n < n1; n += tileRows {
				p.tile(r0, r1, n, min(n+tileRows, n1), k, min(k+tilePlainRun, m.K))
			}
		}
	}
	t.put()
}

// plainProduct is tileProduct for plain formats.
type plainProduct struct {
	m       *Mat
	set     *isa
	t       *scratch
	y       []float32
	stride  int
	a       *Act
	inOrder bool
}

// tile multiplies weight rows [n0, n1), at most 16, and columns [k0, k1), at most
// tilePlainRun, with activation rows [r0, r1). Tiles are packed 16 columns at a
// time, so rows that are no multiple of that are copied first.
func (p *plainProduct) tile(r0, r1, n0, n1, k0, k1 int) {
	m, t, size := p.m, p.t, p.m.dtype.BlockBytes()
	w, stride := m.data[n0*m.stride+k0*size:], m.stride
	padded := (k1 - k0 + 15) &^ 15
	if n1-n0 < tileRows || padded != k1-k0 {
		w, stride = t.gatherPadded(w, stride, (k1-k0)*size, padded*size, n1-n0)
	}
	ahead, step := &t.rows[0], 0
	if i := (n0+tileRows)*m.stride + k0*size*tileRows; p.inOrder && i < len(m.data) {
		ahead, step = &m.data[i], 16*size*tileRows
	}
	p.set.packPlain[m.dtype](&t.f[0][0], &w[0], stride, padded, ahead, step)
	columns := p.set.plainColumns
	if columns == nil {
		columns = p.set.tiles.columns
	}
	eachColumns(columns, r0, r1, func(i, r int) {
		x := &p.a.F32[r*p.a.K+k0]
		if n1-n0 == tileRows {
			p.set.tilePlain[i](&p.y[r*p.stride+n0], p.stride, &t.f[0][0], x, 4*p.a.K, k1-k0, k0)
			return
		}
		p.set.tilePlain[i](&t.out[0], tileRows, &t.f[0][0], x, 4*p.a.K, k1-k0, 0)
		t.scatter(p.y[n0:], p.stride, r, columns[i], t.out[:], tileRows, n1-n0, k0 > 0)
	})
}

func (c *cell) bytes() *byte { return (*byte)(unsafe.Pointer(c)) }
