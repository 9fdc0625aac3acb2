// Package kv keeps the books of the paged KV cache: which pages are free, who
// shares a page, which pages make up a sequence. It touches no cache memory
// itself. It is not goroutine-safe: the scheduler's goroutine owns it.
package kv

import "fmt"

// Pool hands out pages of a fixed number of positions.
type Pool struct {
	pageTokens int
	free       []int32
	refs       []int32 // per page: how many tables hold it
}

// NewPool has pages pages of pageTokens positions, all free.
func NewPool(pages, pageTokens int) *Pool {
	p := &Pool{pageTokens: pageTokens, free: make([]int32, pages), refs: make([]int32, pages)}
	for i := range p.free {
		p.free[i] = int32(pages - 1 - i) // low pages first
	}
	return p
}

// Free is the number of unused pages.
func (p *Pool) Free() int { return len(p.free) }

// Pages is the number of pages in all.
func (p *Pool) Pages() int { return len(p.refs) }

// PagesFor is the number of pages that hold n positions.
func (p *Pool) PagesFor(n int) int { return (n + p.pageTokens - 1) / p.pageTokens }

func (p *Pool) take() (int32, bool) {
	n := len(p.free)
	if n == 0 {
		return 0, false
	}
	page := p.free[n-1]
	p.free = p.free[:n-1]
	p.refs[page] = 1
	return page, true
}

func (p *Pool) drop(page int32) {
	if p.refs[page]--; p.refs[page] == 0 {
		p.free = append(p.free, page)
	} else if p.refs[page] < 0 {
		panic(fmt.Sprintf("kv: page %d released twice", page))
	}
}

// Table is the block table of one sequence.
type Table struct {
	Pages []int32
	Len   int // positions that hold valid keys and values
}

// Copy is a page whose contents must be copied before the table is written to.
type Copy struct{ Dst, Src int32 }

// Reserve makes room for positions up to n. If the page that will be written
// next is shared with another table, it is replaced by a fresh one and the
// returned Copy (ok) says what to copy. It changes nothing and returns an error
// if the pool has too few free pages.
func (p *Pool) Reserve(t *Table, n int) (c Copy, ok bool, err error) {
	need := p.PagesFor(n) - len(t.Pages)
	shared := t.Len%p.pageTokens != 0 && p.refs[t.Pages[t.Len/p.pageTokens]] > 1 && n > t.Len
	if shared {
		need++
	}
	if need > len(p.free) {
		return Copy{}, false, fmt.Errorf("kv: %d pages wanted, %d free", need, len(p.free))
	}
	if shared {
		i := t.Len / p.pageTokens
		fresh, _ := p.take()
		c, ok = Copy{fresh, t.Pages[i]}, true
		p.drop(t.Pages[i])
		t.Pages[i] = fresh
	}
	for p.PagesFor(n) > len(t.Pages) {
		page, _ := p.take()
		t.Pages = append(t.Pages, page)
	}
	return c, ok, nil
}

// Missing is how many free pages Reserve(t, n) would take.
func (p *Pool) Missing(t *Table, n int) int {
	need := max(0, p.PagesFor(n)-len(t.Pages))
	if t.Len%p.pageTokens != 0 && n > t.Len && p.refs[t.Pages[t.Len/p.pageTokens]] > 1 {
		need++
	}
	return need
}

// Truncate keeps the first n positions and gives back the pages behind them.
func (p *Pool) Truncate(t *Table, n int) {
	t.Len = min(t.Len, n)
	keep := p.PagesFor(t.Len)
	for _, page := range t.Pages[keep:] {
		p.drop(page)
	}
	t.Pages = t.Pages[:keep]
}

// Fork makes dst share all pages of src; dst must be empty.
func (p *Pool) Fork(dst, src *Table) {
	keep := p.PagesFor(src.Len)
	dst.Pages = append(dst.Pages[:0], src.Pages[:keep]...)
	dst.Len = src.Len
	for _, page := range dst.Pages {
		p.refs[page]++
	}
}
