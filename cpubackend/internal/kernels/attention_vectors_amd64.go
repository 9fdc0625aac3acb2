//go:build !noasm

package kernels

import "unsafe"

// scoreKeys is the number of keys the assembly takes at a time.
const scoreKeys = 4

// cacheType indexes the functions by the cache's element.
type cacheType int

const (
	cacheF16 cacheType = iota
	cacheF32
)

func (c cacheType) size() int { return 2 << c }

func (v *vectors) scoresF16(dst []float32, dstStride int, q []float32, g int, k []uint16, n, d, ahead int, scale float32) {
	if d%v.lanes != 0 || n < scoreKeys {
		scoresF16Generic(dst, dstStride, q, g, k, n, d, ahead, scale)
		return
	}
	v.scores(cacheF16, dst, dstStride, q, g, unsafe.Pointer(&k[0]), n, d, ahead, scale)
}

func (v *vectors) scoresF32(dst []float32, dstStride int, q []float32, g int, k []float32, n, d, ahead int, scale float32) {
	if d%v.lanes != 0 || n < scoreKeys {
		scoresF32Generic(dst, dstStride, q, g, k, n, d, ahead, scale)
		return
	}
	v.scores(cacheF32, dst, dstStride, q, g, unsafe.Pointer(&k[0]), n, d, ahead, scale)
}

// scores does groups of four keys; the last group ends at the last key and may
// overlap the one before. n >= 4, d is a multiple of the width.
func (v *vectors) scores(t cacheType, dst []float32, stride int, q []float32, g int, k unsafe.Pointer, n, d, ahead int, scale float32) {
	last := n - scoreKeys
	for h := 0; h < g; {
		heads := headsAtOnce(g - h)
		f := v.score[t][heads-1]
		head := (*byte)(unsafe.Pointer(&q[h*d]))
		f(&dst[h*stride], stride, head, (*byte)(k), d, n/scoreKeys, ahead, scale)
		if n%scoreKeys != 0 {
			f(&dst[h*stride+last], stride, head, (*byte)(unsafe.Add(k, last*d*t.size())), d, 1, 0, scale)
		}
		h += heads
		ahead = 0 // once is enough
	}
}

// headsAtOnce is the number of heads, of n that are left, to do next: groups of
// about the same size, one head alone being the slowest.
func headsAtOnce(n int) int {
	switch {
	case n <= 4:
		return n
	case n <= 6:
		return 3
	}
	return 4
}

func (v *vectors) weightedSumF16(acc, p []float32, pStride, g int, x []uint16, n, d, ahead int) {
	if d%v.lanes != 0 {
		weightedSumF16Generic(acc, p, pStride, g, x, n, d, ahead)
		return
	}
	v.weightedSum(cacheF16, acc, p, pStride, g, unsafe.Pointer(&x[0]), n, d, ahead)
}

func (v *vectors) weightedSumF32(acc, p []float32, pStride, g int, x []float32, n, d, ahead int) {
	if d%v.lanes != 0 {
		weightedSumF32Generic(acc, p, pStride, g, x, n, d, ahead)
		return
	}
	v.weightedSum(cacheF32, acc, p, pStride, g, unsafe.Pointer(&x[0]), n, d, ahead)
}

// weightedSum goes over the page once for every block of heads and columns that
// fit the registers.
func (v *vectors) weightedSum(t cacheType, acc, p []float32, pStride, g int, x unsafe.Pointer, n, d, ahead int) {
	for h := 0; h < g; {
		heads := headsAtOnce(g - h)
		for c := 0; c < d; {
			columns := 2 // the logarithm of the number of registers
			for v.weigh[t][heads-1][columns] == nil || v.lanes<<columns > d-c {
				columns--
			}
			v.weigh[t][heads-1][columns](&acc[h*d+c], d, &p[h*pStride], pStride, (*byte)(unsafe.Add(x, c*t.size())), d*t.size(), n, ahead)
			c += v.lanes << columns
		}
		h += heads
		ahead = 0
	}
}
