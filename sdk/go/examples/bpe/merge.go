package main

// none is a token that is not there.
const none = 1<<31 - 1

// symbol is a piece of a word while it is merged; next and prev link those left.
type symbol struct {
	id         int32
	prev, next int32
}

// merger joins the pair of the lowest rank first, the leftmost among equals: by
// a heap of rank<<32 | place, n log n for a word of n bytes. Entries whose pair is
// gone are passed over.
type merger struct {
	symbols []symbol
	heap    []uint64
}

// encode appends the ids of a word to dst. Bytes without a token become unk.
func (m *merger) encode(v *vocab, dst []int32, word []byte) []int32 {
	m.symbols, m.heap = m.symbols[:0], m.heap[:0]
	for i, c := range word {
		m.symbols = append(m.symbols, symbol{v.bytes[c], int32(i) - 1, int32(i) + 1})
	}
	n := int32(len(word))
	for i := int32(0); i+1 < n; i++ {
		m.note(v, i)
	}
	for len(m.heap) > 0 {
		top := m.pop()
		at := int32(uint32(top))
		s := &m.symbols[at]
		gone := s.next
		if gone >= n {
			continue
		}
		p, ok := v.pairs.find(pair(s.id, m.symbols[gone].id))
		if !ok || p.rank != int32(top>>32) {
			continue
		}
		s.id, s.next = p.id, m.symbols[gone].next
		m.symbols[gone].id, m.symbols[gone].next = none, n
		if s.next < n {
			m.symbols[s.next].prev = at
			m.note(v, at)
		}
		if s.prev >= 0 {
			m.note(v, s.prev)
		}
	}
	for i := int32(0); i < n; i = m.symbols[i].next {
		if id := m.symbols[i].id; id != none {
			dst = append(dst, id)
		} else {
			dst = append(dst, v.unk)
		}
	}
	return dst
}

// note puts the pair that begins at i on the heap, if it can be merged.
func (m *merger) note(v *vocab, i int32) {
	s := m.symbols[i]
	if p, ok := v.pairs.find(pair(s.id, m.symbols[s.next].id)); ok {
		m.push(uint64(p.rank)<<32 | uint64(i))
	}
}

func (m *merger) push(x uint64) {
	h := append(m.heap, x)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if h[up] <= x {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = x
	m.heap = h
}

func (m *merger) pop() uint64 {
	top, last := m.heap[0], len(m.heap)-1
	x := m.heap[last]
	h := m.heap[:last]
	m.heap = h
	i := 0
	for {
		c := 2*i + 1
		if c >= last {
			break
		}
		if c+1 < last && h[c+1] < h[c] {
			c++
		}
		if x <= h[c] {
			break
		}
		h[i] = h[c]
		i = c
	}
	if last > 0 {
		h[i] = x
	}
	return top
}
