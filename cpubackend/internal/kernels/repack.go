package kernels

import (
	"encoding/binary"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Repacking: a quantised matrix once more, in the order in which products want it.
//
// A row of GGUF blocks makes a product gather 16 rows, transpose them and take
// scales and codes apart, every time. A repacked matrix is panels of 16 rows, each
// with its scales first and then, at a multiple of 64 bytes, its codes as a tile has
// them (four columns of 16 rows to a register), in planes: the low 8, 4 or 2 bits,
// then the high ones. It takes as many bytes a weight as the format, give or take
// 3%, and unpacking is loads, shifts and masks.
//
//	panel   scales of every cell, or of blocks of 8 cells with a head: d, and dmin where
//	        there are minima, of 16 rows, half precision; then codes of every cell
//	plane   64 bytes for each of its bits: codes j of a cell (columns 4j to 4j+3, 16
//	        rows) are bits b*(j%(8/b)) and on of each byte of register j/(8/b), b the
//	        plane's bits
//
// Rows that are missing in the last panel are zeros.

// panelLayout says how the cells of a format are kept.
type panelLayout struct {
	low, high int   // bits of a code in the two planes
	zero      uint8 // the code of weight 0, where there are neither minima nor values
	values    *[16]int8
	block     int // cells that have a head in common; 1: there is none
	head      int // bytes of it for 16 rows
	scales    int // bytes of scales of a cell
}

var panelLayouts = [formats]panelLayout{
	tensor.Q4_0:   {low: 4, zero: 8, block: 1, scales: 32},
	tensor.Q4_1:   {low: 4, block: 1, scales: 64},
	tensor.Q5_0:   {low: 4, high: 1, zero: 16, block: 1, scales: 32},
	tensor.Q5_1:   {low: 4, high: 1, block: 1, scales: 64},
	tensor.Q8_0:   {low: 8, zero: 128, block: 1, scales: 32},
	tensor.Q4_K:   {low: 4, block: groupRun, head: 64, scales: 32},
	tensor.Q5_K:   {low: 4, high: 1, block: groupRun, head: 64, scales: 32},
	tensor.Q6_K:   {low: 4, high: 2, zero: 32, block: groupRun, head: 32, scales: 32},
	tensor.Q2_K:   {low: 2, block: groupRun, head: 64, scales: 32},
	tensor.Q3_K:   {low: 2, high: 1, zero: 4, block: groupRun, head: 32, scales: 32},
	tensor.IQ4_NL: {low: 4, values: &valuesIQ4, block: 1, scales: 32},
	tensor.IQ4_XS: {low: 4, values: &valuesIQ4, block: groupRun, head: 32, scales: 16},
	tensor.MXFP4:  {low: 4, values: &valuesMXFP4, block: 1, scales: 16},
}

// codeBytes are those of a cell of 16 rows.
func (l *panelLayout) codeBytes() int { return 64 * (l.low + l.high) }

// scaleBytes are those of so many cells.
func (l *panelLayout) scaleBytes(cells int) int { return cells/l.block*l.head + cells*l.scales }

// panels is a repacked matrix.
type panels struct {
	panelLayout
	data  []byte
	codes int // where in a panel they begin
	size  int // bytes of a panel
}

func newPanels(t tensor.DType, k int) panels {
	p := panels{panelLayout: panelLayouts[t]}
	cells := k / cellLen
	p.codes = (p.scaleBytes(cells) + 63) &^ 63
	p.size = p.codes + cells*p.codeBytes()
	return p
}

// Panels is the number of panels the matrix has when repacked: 16 rows each.
func (m *Mat) Panels() int { return (m.N + tileRows - 1) / tileRows }

// PanelBytes is the size of one; 0 if products of the instruction set in use are
// no faster with them than with the rows as they are.
func (m *Mat) PanelBytes() int {
	if best.panels[m.dtype].mul == nil {
		return 0
	}
	p := newPanels(m.dtype, m.K)
	return p.size
}

// Repack fills panels [p0, p1) of dst, PanelBytes each. Calls for different panels may
// run concurrently.
func (m *Mat) Repack(dst []byte, p0, p1 int) {
	t := takeScratch()
	p := newPanels(m.dtype, m.K)
	for i := p0; i < p1; i++ {
		m.repackPanel(t, &p, dst[i*p.size:(i+1)*p.size], i*tileRows, min((i+1)*tileRows, m.N))
	}
	t.put()
}

// UseRepacked makes Mul read all, which Repack has filled and which stays as long as
// the matrix is used; Row goes on reading the rows as they are. It must not be called
// while products run. Memory that begins at a multiple of 64 bytes is best.
func (m *Mat) UseRepacked(all []byte) {
	p := newPanels(m.dtype, m.K)
	p.data = all[:m.Panels()*p.size]
	m.panels = &p
}

// repackPanel makes the panel of rows [n0, n1).
func (m *Mat) repackPanel(t *scratch, p *panels, dst []byte, n0, n1 int) {
	total := m.K / cellLen
	for i := p.scaleBytes(total); i < p.codes; i++ {
		dst[i] = 0
	}
	step := tileRun(m.dtype, total)
	for k := 0; k < total; k += step {
		cells := min(step, total-k)
		from := m.dtype.RowBytes(k * cellLen)
		w, stride := m.data[n0*m.stride+from:], m.stride
		if n1-n0 < tileRows {
			w, stride = t.gather(w, stride, m.dtype.RowBytes(cells*cellLen), n1-n0)
		}
		m.repackScales(dst[p.scaleBytes(k):], w, stride, cells)
		minus := t.tiles[0].packCodes(m.dtype, w, stride, cells)
		codes := dst[p.codes+k*p.codeBytes():][:cells*p.codeBytes()]
		if f := best.panels[m.dtype].narrow; f != nil {
			f(&codes[0], &t.tiles[0].q[0][0][0][0], cells, int(minus))
		} else {
			p.narrowGeneric(codes, &t.tiles[0], cells, minus)
		}
	}
}

// packCodes fills the tile with codes plus minus.
func (t *tile) packCodes(dt tensor.DType, w []byte, stride, cells int) (minus uint8) {
	l := &panelLayouts[dt]
	if f := best.panels[dt].pack; f != nil {
		f(&t.q[0][0][0][0], &t.d[0][0], &t.m[0][0], &w[0], stride, cells, &t.q[0][0][0][0], 0)
		if hasConstant(dt) {
			return 0
		}
		if l.values != nil {
			return 128 - 8 // as codes of Q4_0
		}
		return 128 - l.zero
	}
	t.packGeneric(dt, w, stride, cells)
	if l.values == nil {
		if hasConstant(dt) {
			return 0
		}
		return 128 - l.zero
	}
	var code [256]byte // of value + 128
	for c := len(l.values) - 1; c >= 0; c-- {
		code[uint8(l.values[c])+128] = byte(c)
	}
	for k := range cells {
		for j := range t.q[k] {
			for row := range tileRows {
				for i, v := range t.q[k][j][row] {
					t.q[k][j][row][i] = code[v]
				}
			}
		}
	}
	return 0
}

// narrowGeneric is the meaning of narrow: planes of the tile's bytes less minus.
func (l *panelLayout) narrowGeneric(dst []byte, t *tile, cells int, minus uint8) {
	clear(dst)
	for k := range cells {
		planes := dst[k*l.codeBytes():]
		for j := range t.q[k] {
			for row := range tileRows {
				for i, v := range t.q[k][j][row] {
					l.putCode(planes, j, 4*row+i, v-minus)
				}
			}
		}
	}
}

// putCode puts a code of a cell into planes of zeros; lane is 4*row + column%4.
func (l *panelLayout) putCode(planes []byte, j, lane int, code uint8) {
	per := 8 / l.low
	planes[64*(j/per)+lane] |= code & (1<<l.low - 1) << (l.low * (j % per))
	if l.high > 0 {
		per := 8 / l.high
		planes[64*(l.low+j/per)+lane] |= code >> l.low << (l.high * (j % per))
	}
}

// code reads it.
func (l *panelLayout) code(planes []byte, j, lane int) uint8 {
	per := 8 / l.low
	c := planes[64*(j/per)+lane] >> (l.low * (j % per)) & (1<<l.low - 1)
	if l.high > 0 {
		per := 8 / l.high
		c |= planes[64*(l.low+j/per)+lane] >> (l.high * (j % per)) & (1<<l.high - 1) << l.low
	}
	return c
}

// repackScales writes the scales of so many cells of 16 rows.
func (m *Mat) repackScales(dst, w []byte, stride, cells int) {
	switch m.dtype {
	case tensor.Q4_0, tensor.Q5_0, tensor.Q8_0, tensor.IQ4_NL:
		repackWords(dst, w, stride, cells, m.dtype.BlockBytes(), 1)
	case tensor.Q4_1, tensor.Q5_1:
		repackWords(dst, w, stride, cells, m.dtype.BlockBytes(), 2)
	case tensor.MXFP4:
		for row := range tileRows {
			for k := range cells {
				dst[16*k+row] = w[row*stride+17*k]
			}
		}
	default:
		l := &panelLayouts[m.dtype]
		for row := range tileRows {
			for k := 0; k < cells; k += groupRun {
				repackSuper(m.dtype, dst[l.scaleBytes(k):], row, w[row*stride+m.dtype.RowBytes(k*cellLen):])
			}
		}
	}
}

// repackWords gathers the half-precision numbers blocks of 32 begin with.
func repackWords(dst, w []byte, stride, cells, block, words int) {
	for row := range tileRows {
		src, to := w[row*stride:], dst[2*row:]
		for k := range cells {
			for i := range words {
				binary.LittleEndian.PutUint16(to[32*(words*k+i):], binary.LittleEndian.Uint16(src[k*block+2*i:]))
			}
		}
	}
}

// repackSuper writes the scales of a row's super-block b. For Q4_K and Q5_K these
// are bytes of scales and of minima, for Q2_K bytes of both, for IQ4_XS signed bytes,
// for Q6_K and Q3_K signed bytes over 16 columns.
func repackSuper(t tensor.DType, dst []byte, row int, b []byte) {
	switch t {
	case tensor.Q4_K, tensor.Q5_K:
		copy(dst[2*row:2*row+2], b)
		copy(dst[32+2*row:34+2*row], b[2:])
		s := (*[12]byte)(b[4:])
		for k := range groupRun {
			scale, least := scaleMinK(s, k)
			dst[64+32*k+row], dst[80+32*k+row] = scale, least
		}
	case tensor.Q2_K:
		copy(dst[2*row:2*row+2], b[80:])
		copy(dst[32+2*row:34+2*row], b[82:])
		for i := range 16 {
			dst[64+16*i+row] = b[i]
		}
	case tensor.Q6_K:
		copy(dst[2*row:2*row+2], b[208:])
		for i := range 16 {
			dst[32+16*i+row] = b[192+i]
		}
	case tensor.IQ4_XS:
		copy(dst[2*row:2*row+2], b)
		for k := range groupRun {
			dst[32+16*k+row] = byte(scaleIQ4XS(b, k))
		}
	case tensor.Q3_K:
		copy(dst[2*row:2*row+2], b[108:])
		for i := range 16 {
			dst[32+16*i+row] = byte(scaleQ3K((*[12]byte)(b[96:]), i) - 32)
		}
	}
}

// group reads cell k of a row: what a repacked matrix means.
func (p *panels) group(g *group, t tensor.DType, row, k int) {
	panel := p.data[row/tileRows*p.size:][:p.size]
	row %= tileRows
	p.scale(g, t, panel[p.scaleBytes(k/p.block*p.block):], row, k%p.block)
	planes := panel[p.codes+k*p.codeBytes():]
	for i := range g.q {
		c := p.code(planes, i/4, 4*row+i%4)
		if p.values != nil {
			g.q[i] = p.values[c]
		} else {
			g.q[i] = int8(c - p.zero)
		}
	}
}

// scale reads scales and constants of cell k of a block whose scales begin at s.
func (p *panels) scale(g *group, t tensor.DType, s []byte, row, k int) {
	half := func(at int) float32 { return f16(s[at+2*row:]) }
	cell := s[p.head+k*p.scales:]
	switch t {
	case tensor.MXFP4:
		g.both(halfScaleMXFP4(cell[row]), 0)
	case tensor.Q4_1, tensor.Q5_1:
		g.both(half(0), half(32))
	case tensor.Q4_K, tensor.Q5_K:
		g.both(half(0)*float32(cell[row]), -half(32)*float32(cell[16+row]))
	case tensor.Q2_K:
		for h := range 2 {
			g.d[h], g.m[h] = half(0)*float32(cell[16*h+row]&15), -half(32)*float32(cell[16*h+row]>>4)
		}
	case tensor.IQ4_XS:
		g.both(half(0)*float32(int8(cell[row])), 0)
	case tensor.Q6_K, tensor.Q3_K:
		for h := range 2 {
			g.d[h], g.m[h] = half(0)*float32(int8(cell[16*h+row])), 0
		}
	default:
		g.both(half(0), 0)
	}
}
