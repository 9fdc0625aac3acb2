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
// reads a page as one contiguous matrix. In Q8_0 the page of a head is laid out for
// the kernels, its scales after its numbers (kernels/attention_q8.go). Memory is
// reserved for all pages and taken from the system as they are first written.
type cache struct {
	kind   backend.KVType
	layers []layerCache
	memory reservation
}

type layerCache struct {
	heads int
	k, v  half
}

// The pages of the kernels are ours.
var _ = [1]struct{}{}[backend.PageTokens-kernels.PageLen]

// half is the keys, or the values, of a layer: (pages, heads, PageTokens, dim) in
// exactly one of the types.
type half struct {
	dim int
	f16 []uint16
	f32 []float32
	q8  []byte
}

// width is the columns of a sum of values: dim filled up to whole blocks.
func (h *half) width() int {
	if h.q8 != nil {
		return kernels.WidthQ8(h.dim)
	}
	return h.dim
}

func newCache(layers []plan.KVLayer, pages int, kind backend.KVType) (*cache, error) {
	c := &cache{kind: kind}
	if !kind.Valid() {
		return nil, fmt.Errorf("cpubackend: unknown KV cache type %v", kind)
	}
	total := 0
	for _, l := range layers {
		row := kind.RowBytes(l.KeyDim) + kind.RowBytes(l.ValueDim)
		if float64(pages)*float64(l.Heads)*backend.PageTokens*float64(row) >= float64(math.MaxInt-total) {
			return nil, fmt.Errorf("cpubackend: a KV cache of %d pages does not fit the address space", pages)
		}
		total += pages * l.Heads * backend.PageTokens * row
	}
	var err error
	if c.memory, err = reserve(total); err != nil {
		return nil, fmt.Errorf("cpubackend: KV cache of %d pages in %v, %d MiB: %w; use fewer pages or %v", pages, kind, total>>20, err, backend.KVQ8_0)
	}
	rest := c.memory.bytes
	take := func(dim, heads int) half {
		n := pages * heads * backend.PageTokens * kind.RowBytes(dim)
		h := c.view(rest[:n], dim)
		rest = rest[n:]
		return h
	}
	for _, l := range layers {
		c.layers = append(c.layers, layerCache{heads: l.Heads, k: take(l.KeyDim, l.Heads), v: take(l.ValueDim, l.Heads)})
	}
	return c, nil
}

func (c *cache) view(b []byte, dim int) half {
	h := half{dim: dim}
	switch p := unsafe.Pointer(unsafe.SliceData(b)); c.kind {
	case backend.KVF32:
		h.f32 = unsafe.Slice((*float32)(p), len(b)/4)
	case backend.KVQ8_0:
		h.q8 = b
	default:
		h.f16 = unsafe.Slice((*uint16)(p), len(b)/2)
	}
	return h
}

// at is where the first slot of a page and head begins.
func (l *layerCache) at(h *half, page int32, head int) int {
	return (int(page)*l.heads + head) * backend.PageTokens * h.dim
}

// pageQ8 is the page of a head in Q8_0.
func (l *layerCache) pageQ8(h *half, page int32, head int) []byte {
	n := kernels.PageBytesQ8(h.dim)
	i := (int(page)*l.heads + head) * n
	return h.q8[i : i+n]
}

// put stores one head's row x (dim) in a slot.
func (l *layerCache) put(w *attnScratch, h *half, page int32, head, slot int, x []float32) {
	if h.q8 != nil {
		if h == &l.k {
			w.q8.PutKeyQ8(l.pageQ8(h, page, head), slot, x[:h.dim])
		} else {
			w.q8.PutValueQ8(l.pageQ8(h, page, head), slot, x[:h.dim])
		}
		return
	}
	i := l.at(h, page, head) + slot*h.dim
	if h.f32 != nil {
		copy(h.f32[i:i+h.dim], x)
		return
	}
	kernels.F32ToF16(h.f16[i:i+h.dim], x[:h.dim])
}

// ahead is how many bytes after a page's rows of some head those of next lie.
func (l *layerCache) ahead(h *half, page, next int32) int {
	switch n := int(next-page) * l.heads; {
	case h.q8 != nil:
		return n * kernels.PageBytesQ8(h.dim)
	case h.f32 != nil:
		return n * 4 * backend.PageTokens * h.dim
	default:
		return n * 2 * backend.PageTokens * h.dim
	}
}

// setQueries prepares the g rows of q (g, dim) for scores.
func (l *layerCache) setQueries(w *attnScratch, q []float32, g int) {
	if l.k.q8 != nil {
		w.q8.Set(q, g, l.k.dim)
	}
}

// scores sets dst[r*stride+i] = scale * q[r] . key[i] for the g rows of q (g, dim),
// which were given to setQueries, and the first n slots of a page. It may write
// whatever it likes for the slots after them. Page next is wanted after this one.
func (l *layerCache) scores(w *attnScratch, dst []float32, stride int, q []float32, g int, page, next int32, head, n int, scale float32) {
	ahead := l.ahead(&l.k, page, next)
	if l.k.q8 != nil {
		w.q8.ScoresQ8(dst, stride, l.pageQ8(&l.k, page, head), n, l.k.dim, ahead, scale)
		return
	}
	i := l.at(&l.k, page, head)
	end := i + n*l.k.dim
	if l.k.f32 != nil {
		kernels.ScoresF32(dst, stride, q, g, l.k.f32[i:end], n, l.k.dim, ahead, scale)
		return
	}
	kernels.ScoresF16(dst, stride, q, g, l.k.f16[i:end], n, l.k.dim, ahead, scale)
}

// widen is the first n rows of a page of one head in float32, (n, dim): in buf unless
// the cache has them so, with room for kernels.OuterRows columns after the last.
func (l *layerCache) widen(h *half, buf []float32, page int32, head, n int) []float32 {
	i := l.at(h, page, head)
	if h.f32 == nil {
		kernels.F16ToF32(buf[:n*h.dim], h.f16[i:i+n*h.dim])
		return buf
	}
	if h.dim%kernels.OuterRows == 0 {
		return h.f32[i : i+n*h.dim]
	}
	copy(buf, h.f32[i:i+n*h.dim])
	return buf
}

// weighted adds to acc (g, width) the sums of the first n value rows of a page, row
// r weighted by p[r*stride+i], which is 0 for the other slots.
func (l *layerCache) weighted(w *attnScratch, acc, p []float32, stride, g int, page, next int32, head, n int) {
	ahead := l.ahead(&l.v, page, next)
	if l.v.q8 != nil {
		w.q8.WeightedSumQ8(acc, p, stride, g, l.pageQ8(&l.v, page, head), l.v.dim, ahead)
		return
	}
	i := l.at(&l.v, page, head)
	end := i + n*l.v.dim
	if l.v.f32 != nil {
		kernels.WeightedSumF32(acc, p, stride, g, l.v.f32[i:end], n, l.v.dim, ahead)
		return
	}
	kernels.WeightedSumF16(acc, p, stride, g, l.v.f16[i:end], n, l.v.dim, ahead)
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
	switch {
	case h.q8 != nil:
		copyPage(h.q8, dst, src, heads*kernels.PageBytesQ8(h.dim))
	case h.f32 != nil:
		copyPage(h.f32, dst, src, n)
	default:
		copyPage(h.f16, dst, src, n)
	}
}

// copyPage copies page src of n elements.
func copyPage[T any](all []T, dst, src int32, n int) {
	d, s := int(dst)*n, int(src)*n
	copy(all[d:d+n], all[s:s+n])
}

// close gives the memory back; the cache must not be used after.
func (c *cache) close() error {
	c.layers = nil
	return c.memory.release()
}
