package kernels

import (
	"syscall"
	"testing"
	"unsafe"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// fenced allocates n bytes that end where an inaccessible page begins: reading or
// writing one byte more is a fault.
func fenced(t testing.TB) func(n int) []byte {
	return func(n int) []byte {
		page := syscall.Getpagesize()
		size := (n + page - 1) &^ (page - 1)
		mem, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Munmap(mem) })
		if err := syscall.Mprotect(mem[size:], syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
		return mem[size-n : size : size]
	}
}

func fencedSlice[T any](t testing.TB, from []T) []T {
	var zero T
	b := fenced(t)(len(from) * int(unsafe.Sizeof(zero)))
	s := unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(from))
	copy(s, from)
	return s
}

// Every operand ends at a fence: what reads or writes past its end dies.
func TestMulStaysInside(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, dt := range tensor.DTypes() {
			b := dt.BlockElems()
			for i, s := range []shape{{1, b, 1}, {5, 3 * b, 1}, {16, 2 * b, 4}, {17, b, 13}, {3, 2 * b, 5}, {35, 1280 / b * b, 6}, {37, 3 * b, tilesFrom}} {
				checkMul(t, dt, s, uint64(i), -1, fenced(t))
			}
			r := random(8)
			const n, rows = 21, 13
			k := 96
			if b > 32 {
				k = b
			}
			m := randomMat(t, r, dt, n, k, -1, fenced(t))
			a := NewAct(rows, k)
			c := fencedSlice(t, a.cells)
			a.cells, a.d, a.m = c, fencedSlice(t, a.d), fencedSlice(t, a.m)
			a.Set(fencedSlice(t, normals(r, rows*k)), rows, k)
			a.Quantize(0, rows)
			y := fencedSlice(t, make([]float32, rows*n))
			m.Mul(y, n, a, 0, rows, 0, n)
			m.Mul(y[(rows-1)*n:], n, a, 0, 1, 0, n)
			m.Mul(y, n, a, rows-1, rows, n-2, n)
		}
	})
}

func TestVectorsStayInside(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := random(9)
		for _, n := range []int{1, 7, 16, 24, 33, 80, 128} {
			x, y, z := fencedSlice(t, normals(r, n)), fencedSlice(t, normals(r, n)), fencedSlice(t, normals(r, n))
			h := fencedSlice(t, make([]uint16, n))
			RMSNorm(z, x, y, 1e-5)
			Add(z, x)
			SiLUMul(z, x, y)
			F32ToF16(h, x)
			F16ToF32(x, h)
			ExpSum(x, Max(x))
			half := n / 2
			cos, sin := fencedSlice(t, normals(r, half+1)), fencedSlice(t, normals(r, half+1))
			RopeNormal(x[n-2*half:], cos[1:], sin[1:])
			RopeNEOX(x[n-2*half:], cos[1:], sin[1:])
			b := fencedSlice(t, make([]byte, n*37))
			ReadSum(b)
		}
		for _, p := range pages {
			q, k := fencedSlice(t, normals(r, p.g*p.d)), fencedSlice(t, normals(r, p.n*p.d))
			half := fencedSlice(t, make([]uint16, p.n*p.d))
			s := fencedSlice(t, make([]float32, p.g*p.n))
			ScoresF16(s, p.n, q, p.g, half, p.n, p.d, 0, 1)
			ScoresF32(s, p.n, q, p.g, k, p.n, p.d, 0, 1)
			WeightedSumF16(q, s, p.n, p.g, half, p.n, p.d, 0)
			WeightedSumF32(q, s, p.n, p.g, k, p.n, p.d, 0)
		}
		for _, p := range pagesQ8 {
			s := NewRowsQ8(p.g, p.d)
			s.cells, s.x = fencedSlice(t, s.cells), fencedSlice(t, s.x)
			s.digits, s.scales = fencedSlice(t, s.digits), fencedSlice(t, s.scales)
			page := fencedSlice(t, make([]byte, PageBytesQ8(p.d)))
			x := fencedSlice(t, normals(r, p.g*p.d))
			s.PutKeyQ8(page, PageLen-1, x[:p.d])
			s.Set(x, p.g, p.d)
			dst := fencedSlice(t, make([]float32, p.g*PageLen))
			s.ScoresQ8(dst, PageLen, page, p.n, p.d, 0, 1)
			s.PutValueQ8(page, PageLen-1, x[:p.d])
			s.WeightedSumQ8(fencedSlice(t, make([]float32, p.g*WidthQ8(p.d))), dst, PageLen, p.g, page, p.d, 0)
		}
	})
}
