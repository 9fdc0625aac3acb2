package cpubackend

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// cache holds the keys and values of every layer in pages of PageTokens
// positions. Layer l keeps its keys as [page][KV head][slot][KeyDim] and its
// values as [page][KV head][slot][ValueDim], so that attention over one head
// reads a page as one contiguous matrix. Memory is reserved for all pages and
// taken from the system as they are first written.
type cache struct {
	f32    bool // elements are float32; otherwise IEEE half precision
	layers []layerCache
	memory reservation
}

type layerCache struct {
	heads int
	k, v  half
}

// half is the keys, or the values, of a layer: (pages, heads, PageTokens, dim) in
// exactly one of the two element types.
type half struct {
	dim int
	f16 []uint16
	f32 []float32
}

func newCache(layers []plan.KVLayer, pages int, f32 bool) (*cache, error) {
	c := &cache{f32: f32}
	size := 2
	if c.f32 {
		size = 4
	}
	total := 0
	for _, l := range layers {
		per := l.Heads * backend.PageTokens * (l.KeyDim + l.ValueDim) * size
		if per > 0 && pages > (math.MaxInt-total)/per {
			return nil, fmt.Errorf("cpubackend: a KV cache of %d pages does not fit the address space", pages)
		}
		total += per * pages
	}
	var err error
	if c.memory, err = reserve(total); err != nil {
		return nil, fmt.Errorf("cpubackend: KV cache of %d pages, %d MiB: %w; use fewer pages or F16", pages, total>>20, err)
	}
	rest := c.memory.bytes
	take := func(dim, heads int) half {
		n := pages * heads * backend.PageTokens * dim
		h := c.view(rest[:n*size], dim)
		rest = rest[n*size:]
		return h
	}
	for _, l := range layers {
		c.layers = append(c.layers, layerCache{heads: l.Heads, k: take(l.KeyDim, l.Heads), v: take(l.ValueDim, l.Heads)})
	}
	return c, nil
}

func (c *cache) view(b []byte, dim int) half {
	h := half{dim: dim}
	if p := unsafe.Pointer(unsafe.SliceData(b)); c.f32 {
		h.f32 = unsafe.Slice((*float32)(p), len(b)/4)
	} else {
		h.f16 = unsafe.Slice((*uint16)(p), len(b)/2)
	}
	return h
}

// at is where the first slot of a page and head begins.
func (l *layerCache) at(h *half, page int32, head int) int {
	return (int(page)*l.heads + head) * backend.PageTokens * h.dim
}

// put stores one head's row x (dim) in a slot.
func (l *layerCache) put(h *half, page int32, head, slot int, x []float32) {
	i := l.at(h, page, head) + slot*h.dim
	if h.f32 != nil {
		copy(h.f32[i:i+h.dim], x)
		return
	}
	kernels.F32ToF16(h.f16[i:i+h.dim], x[:h.dim])
}

// scores sets dst[r*stride+i] = scale * q[r] . key[i] for the g rows of q (g, dim)
// and the first n slots of a page.
func (l *layerCache) scores(dst []float32, stride int, q []float32, g int, page int32, head, n int, scale float32) {
	i := l.at(&l.k, page, head)
	end := i + n*l.k.dim
	if l.k.f32 != nil {
		kernels.ScoresF32(dst, stride, q, g, l.k.f32[i:end], n, l.k.dim, scale)
		return
	}
	kernels.ScoresF16(dst, stride, q, g, l.k.f16[i:end], n, l.k.dim, scale)
}

// weighted adds to acc (g, dim) the sums of the first n value rows of a page, row r
// weighted by p[r*stride+i].
func (l *layerCache) weighted(acc, p []float32, stride, g int, page int32, head, n int) {
	i := l.at(&l.v, page, head)
	end := i + n*l.v.dim
	if l.v.f32 != nil {
		kernels.WeightedSumF32(acc, p, stride, g, l.v.f32[i:end], n, l.v.dim)
		return
	}
	kernels.WeightedSumF16(acc, p, stride, g, l.v.f16[i:end], n, l.v.dim)
}

// copyPage copies a page in every layer.
func (c *cache) copyPage(dst, src int32) {
	for i := range c.layers {
		l := &c.layers[i]
		l.k.copyPage(dst, src, l.heads)
		l.v.copyPage(dst, src, l.heads)
	}
}

func (h *half) copyPage(dst, src int32, heads int) {
	n := heads * backend.PageTokens * h.dim
	d, s := int(dst)*n, int(src)*n
	if h.f32 != nil {
		copy(h.f32[d:d+n], h.f32[s:s+n])
		return
	}
	copy(h.f16[d:d+n], h.f16[s:s+n])
}

// close gives the memory back; the cache must not be used after.
func (c *cache) close() error {
	c.layers = nil
	return c.memory.release()
}
