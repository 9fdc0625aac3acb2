//go:build !noasm

package kernels

// outerFunc is Outer over some columns of c and b, four rows a block.
type outerFunc func(c *float32, stride int, a *float32, rows, columns int, b *float32, blocks, n int)

// tileVectors is the assembly of Outer and the operations on its columns.
type tileVectors struct {
	lanes          int
	set, addTo     [3]outerFunc // by the logarithm of the number of registers of columns
	largest, scale func(x, y *float32, q, n int)
	exp            func(s, top, sum *float32, q, n int, scale float32)
}

func (v *tileVectors) into(s *isa) {
	s.outer, s.maxRows, s.expRows, s.scaleRows = v.outer, v.maxRows, v.expRows, v.scaleRows
}

func (v *tileVectors) outer(c, a []float32, rows, columns int, b []float32, q, m, n int, add bool) {
	f := &v.set
	if add {
		f = &v.addTo
	}
	for k := 0; k < q; {
		log := 2
		for f[log] == nil || v.lanes<<log > q-k {
			log--
		}
		f[log](&c[k], q, &a[0], rows, columns, &b[k], m/OuterRows, n)
		k += v.lanes << log
	}
}

func (v *tileVectors) maxRows(top, s []float32, n int) { v.largest(&top[0], &s[0], len(top), n) }

func (v *tileVectors) expRows(s, top, sum []float32, n int, scale float32) {
	v.exp(&s[0], &top[0], &sum[0], len(top), n, scale)
}

func (v *tileVectors) scaleRows(c, f []float32, n int) { v.scale(&c[0], &f[0], len(f), n) }

var (
	tileAVX2 = tileVectors{lanes: 8, set: [3]outerFunc{nil, outerx2AVX2, nil}, addTo: [3]outerFunc{nil, outerAddx2AVX2, nil},
		largest: maxRowsAVX2, scale: scaleRowsAVX2, exp: expRowsAVX2}
	tileAVX512 = tileVectors{lanes: 16, set: [3]outerFunc{outerx1AVX512, outerx2AVX512, outerx4AVX512},
		addTo: [3]outerFunc{outerAddx1AVX512, outerAddx2AVX512, outerAddx4AVX512}, largest: maxRowsAVX512, scale: scaleRowsAVX512, exp: expRowsAVX512}
)
