package kernels

import (
	"unsafe"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Products of repacked matrices (repack.go). Few activation rows are multiplied with
// the cells of a panel as they are unpacked, in registers: what it costs is the memory
// the panel comes from, read once for all of them. More rows take tiles.

// A panelFunc sets y[i*stride+row] for as many activation rows as it is made for and
// the rows of panels of size bytes, whose codes begin at codes.
type panelFunc func(y *float32, stride int, w *byte, codes, size, panels int, c *byte, cstride, cells int)

// panelFuncs are an instruction set's functions for repacked matrices of a format.
type panelFuncs struct {
	// pack makes a tile of codes, biased as in tiles, of 16 rows as they are.
	pack packFunc
	// narrow makes planes of so many cells of a tile's bytes less minus.
	narrow func(dst, q *byte, cells, minus int)
	// unpack makes a tile of cells of a panel, or only its scales if codes are bytes.
	// Memory ahead bytes after the codes is asked for.
	unpack func(q *byte, d, m *float32, scales, codes *byte, cells, ahead int)
	// mul has a function for every entry of panelColumns.
	mul []panelFunc
}

// panelColumns are the numbers of activation rows there are functions for.
var panelColumns = []int{8, 4, 2, 1}

// tilesFrom is the number of activation rows from which tiles are faster: fewer do not
// make up for the wait while a tile is unpacked, which here overlaps with products.
const tilesFrom = 97

// mulPanels is Mul for repacked matrices.
func (m *Mat) mulPanels(s *isa, y []float32, stride int, a *Act, r0, r1, n0, n1 int) {
	switch {
	case s.panels[m.dtype].mul == nil:
		m.mulPanelsGeneric(y, stride, a, r0, r1, n0, n1)
	case r1-r0 >= tilesFrom:
		m.mulTiles(s, y, stride, a, r0, r1, n0, n1)
	default:
		m.mulFewRows(s.panels[m.dtype].mul, y, stride, a, r0, r1, n0, n1)
	}
}

// mulFewRows reads each panel once for all activation rows: from memory for the first
// of them, from the cache for what is more than a function does.
func (m *Mat) mulFewRows(mul []panelFunc, y []float32, stride int, a *Act, r0, r1, n0, n1 int) {
	from, to := (n0+tileRows-1)/tileRows, n1/tileRows // panels that are wanted whole
	if from > to || n0 < from*tileRows {
		m.mulPart(mul, y, stride, a, r0, r1, n0, min(from*tileRows, n1))
	}
	step := to - from
	if r1-r0 > panelColumns[0] {
		step = 1
	}
	for p := from; p < to; p += step {
		eachColumns(panelColumns, r0, r1, func(i, r int) {
			m.panelRun(mul[i], &y[r*stride+p*tileRows], stride, a, r, p, step)
		})
	}
	if to >= from && to*tileRows < n1 {
		m.mulPart(mul, y, stride, a, r0, r1, to*tileRows, n1)
	}
}

// mulPart computes rows [n0, n1) of one panel.
func (m *Mat) mulPart(mul []panelFunc, y []float32, stride int, a *Act, r0, r1, n0, n1 int) {
	t, p := takeScratch(), n0/tileRows
	eachColumns(panelColumns, r0, r1, func(i, r int) {
		m.panelRun(mul[i], &t.out[0], tileRows, a, r, p, 1)
		t.scatter(y[n0:], stride, r, panelColumns[i], t.out[n0-p*tileRows:], tileRows, n1-n0, false)
	})
	t.put()
}

// panelRun multiplies n panels from p on with activation rows from r on.
func (m *Mat) panelRun(f panelFunc, y *float32, stride int, a *Act, r, p, n int) {
	l := m.panels
	f(y, stride, &l.data[p*l.size], l.codes, l.size, n,
		a.cells[r*a.cellStride].bytes(), a.cellStride*int(unsafe.Sizeof(cell{})), m.K/cellLen)
}

// unpack makes a tile of cells [k0, k1) of panel i, which begin a block, and returns
// where its weights are.
func (p *panels) unpack(s *isa, dt tensor.DType, t *tile, i, k0, k1 int) *byte {
	panel := p.data[i*p.size:][:p.size]
	codes := &panel[p.codes+k0*p.codeBytes()]
	s.panels[dt].unpack(&t.q[0][0][0][0], &t.d[0][0], &t.m[0][0], &panel[p.scaleBytes(k0)], codes, k1-k0, 2*p.size)
	if p.low == 8 {
		return codes
	}
	return &t.q[0][0][0][0]
}

// mulPanelsGeneric is the meaning of mulPanels.
func (m *Mat) mulPanelsGeneric(y []float32, stride int, a *Act, r0, r1, n0, n1 int) {
	var g group
	for n := n0; n < n1; n++ {
		for r := r0; r < r1; r++ {
			y[r*stride+n] = 0
		}
		for k := range m.K / cellLen {
			m.panels.group(&g, m.dtype, n, k)
			for r := r0; r < r1; r++ {
				y[r*stride+n] += g.dot(&a.row(r)[k])
			}
		}
	}
}
