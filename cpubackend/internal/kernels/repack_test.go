package kernels

import (
	"bytes"
	"testing"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// A repacked matrix has the weights of the rows as they are: every scale to the last
// bit, whoever repacked it.
func TestRepackKeepsWeights(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, dt := range tensor.DTypes() {
			const n, k = 37, 1280
			m := randomMat(t, random(uint64(dt)), dt, n, k, -1, heap)
			if !repacked(m, heap) {
				continue
			}
			var got group
			want := make([]group, k/cellLen)
			for row := range n {
				unpack(dt, want, m.row(row))
				for i := range want {
					if m.panels.group(&got, dt, row, i); got != want[i] {
						t.Fatalf("%v: row %d, cell %d is %v, want %v", dt, row, i, got, want[i])
					}
				}
			}
		}
	})
}

// Unpacking a panel makes the tile that packing its rows does, byte for byte.
func TestUnpackAgainstPack(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, dt := range tensor.DTypes() {
			if best.panels[dt].unpack == nil {
				continue
			}
			const cells = 16
			m := randomMat(t, random(uint64(dt)), dt, tileRows, cells*cellLen, -1, heap)
			repacked(m, heap)
			got, want := &takeScratch().tiles[0], &takeScratch().tiles[0]
			*got, *want = tile{}, tile{}
			want.packGeneric(dt, m.data, m.stride, cells)
			for k := 0; k < cells; k += 8 {
				q := m.panels.unpack(best, dt, got, 0, k, k+8)
				if m.panels.low == 8 {
					continue // TestRepackKeepsWeights
				}
				if *q != want.q[k][0][0][0] {
					t.Errorf("%v: weights begin with %d", dt, *q)
				}
				for i := range 8 {
					if got.q[i] != want.q[k+i] {
						t.Fatalf("%v: weights of cell %d differ", dt, k+i)
					}
				}
				lines := 8 << index(halfScales(dt))
				for i := range lines {
					at := lines*(k/8) + i
					if got.d[i] != want.d[at] || hasConstant(dt) && got.m[i] != want.m[at] {
						t.Fatalf("%v: scales %d are %v %v, want %v %v", dt, at, got.d[i], got.m[i], want.d[at], want.m[at])
					}
				}
			}
		}
	})
}

// All instruction sets make the same bytes of a matrix, so that one may go on with
// another's; MXFP4 has two codes of 0.
func TestRepackedBytes(t *testing.T) {
	want := map[tensor.DType][]byte{}
	eachSet(t, func(t *testing.T) {
		for _, dt := range tensor.DTypes() {
			m := randomMat(t, random(uint64(dt)), dt, 35, 768, -1, heap)
			if dt == tensor.MXFP4 || !repacked(m, heap) {
				continue
			}
			if want[dt] == nil {
				want[dt] = m.panels.data
			}
			if !bytes.Equal(m.panels.data, want[dt]) {
				t.Errorf("%v: other bytes than with the first instruction set", dt)
			}
			// The scales' part is rounded up to 64 bytes.
			if p := m.panels; 100*p.size > 104*tileRows*m.stride+6400 {
				t.Errorf("%v: a panel is %d bytes, its rows %d", dt, p.size, tileRows*m.stride)
			}
		}
	})
}
