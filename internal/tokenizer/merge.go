package tokenizer

import (
	"math"
	"slices"
)

// noMerge is the rank of a pair that does not merge.
const noMerge = math.MaxUint32

// shortWord is the longest word, in symbols, whose merges are found by looking at
// all pairs again after each: below it that is faster than a queue.
const shortWord = 32

// symbol is a part of a word that is one token so far, and what it and the next
// symbol would merge into.
type symbol struct {
	id     int32 // -1: no token has these bytes
	end    int32 // of its bytes in encoder.word; it starts where the one before ends
	rank   uint32
	merged int32
	prev   int32 // neighbours in encoder.symbols, for words in the queue
	next   int32
}

// merge joins the symbols of a word until no pair is left that merges: always the
// pair of the lowest rank, of equals the leftmost.
func (e *encoder) merge() {
	if len(e.symbols) <= shortWord && e.splits == nil {
		e.mergeShort()
	} else {
		e.mergeLong()
	}
}

// start is where the bytes of the symbol that follows prev start.
func (e *encoder) start(prev int32) int32 {
	if prev < 0 {
		return 0
	}
	return e.symbols[prev].end
}

// pair fills in what symbols l and r, neighbours, merge into.
func (e *encoder) pair(prev, l, r int32) {
	left, right := &e.symbols[l], &e.symbols[r]
	left.rank, left.merged = noMerge, -1
	if !e.t.spm {
		if left.id >= 0 && right.id >= 0 {
			left.rank, left.merged = e.t.pairs.find(left.id, right.id)
		}
		return
	}
	lo, hi := e.start(prev), right.end
	if int(hi-lo) > e.t.longest {
		return
	}
	if id := e.t.words.find(e.word[lo:hi]); id >= 0 {
		left.rank, left.merged = e.t.ranks[id], id
		if e.splits != nil && e.t.kinds[id] == typeUnused {
			e.splits[span{lo, hi}] = left.end
		}
	}
}

func (e *encoder) mergeShort() {
	n := int32(len(e.symbols))
	for i := int32(0); i+1 < n; i++ {
		e.pair(i-1, i, i+1)
	}
	for n > 1 {
		best, rank := int32(-1), uint32(noMerge)
		for i, s := range e.symbols[:n-1] {
			if s.rank < rank {
				best, rank = int32(i), s.rank
			}
		}
		if best < 0 {
			break
		}
		s := &e.symbols[best]
		s.id, s.end = s.merged, e.symbols[best+1].end
		n--
		copy(e.symbols[best+1:n], e.symbols[best+2:])
		e.symbols = e.symbols[:n]
		if best+1 < n {
			e.pair(best-1, best, best+1)
		}
		if best > 0 {
			e.pair(best-2, best-1, best)
		}
	}
}

// mergeLong does the same with a queue of all pairs, in O(n log n).
func (e *encoder) mergeLong() {
	n := int32(len(e.symbols))
	e.queue = e.queue[:0]
	for i := range n {
		s := &e.symbols[i]
		s.prev, s.next, s.rank = i-1, i+1, noMerge
		if i+1 < n {
			e.pair(i-1, i, i+1)
			e.queue.add(s.rank, i)
		}
	}
	e.queue.order()
	for len(e.queue) > 0 {
		rank, l := e.queue.pop()
		left := &e.symbols[l]
		if left.rank != rank {
			continue // the pair is no more
		}
		right := &e.symbols[left.next]
		left.id, left.end, left.next = left.merged, right.end, right.next
		left.rank, right.rank, right.id = noMerge, noMerge, gone
		if left.next < n {
			e.symbols[left.next].prev = l
			e.requeue(l)
		}
		if left.prev >= 0 {
			e.requeue(left.prev)
		}
	}
	e.symbols = slices.DeleteFunc(e.symbols, func(s symbol) bool { return s.id == gone })
}

// gone is the id of a symbol that was merged into the one before it.
const gone = -2

func (e *encoder) requeue(l int32) {
	s := &e.symbols[l]
	e.pair(s.prev, l, s.next)
	if s.rank != noMerge {
		e.queue.push(s.rank, l)
	}
}

// queue is a heap of pairs by rank, then by place, four children to a node. A key
// is rank<<32 | place of the left symbol.
type queue []uint64

func (q *queue) add(rank uint32, place int32) {
	if rank != noMerge {
		*q = append(*q, uint64(rank)<<32|uint64(place))
	}
}

// order makes a heap of what was added.
func (q queue) order() {
	for i := (len(q)+2)/4 - 1; i >= 0; i-- {
		q.sink(i)
	}
}

func (q *queue) push(rank uint32, place int32) {
	q.add(rank, place)
	h := *q
	i := len(h) - 1
	key := h[i]
	for i > 0 {
		up := (i - 1) / 4
		if h[up] <= key {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = key
}

func (q *queue) pop() (rank uint32, place int32) {
	h := *q
	top := h[0]
	last := len(h) - 1
	h[0] = h[last]
	*q = h[:last]
	if last > 1 {
		h[:last].sink(0)
	}
	return uint32(top >> 32), int32(top)
}

func (q queue) sink(i int) {
	key := q[i]
	for {
		least := 4*i + 1
		if least >= len(q) {
			break
		}
		for c := least + 1; c < min(4*i+5, len(q)); c++ {
			if q[c] < q[least] {
				least = c
			}
		}
		if q[least] >= key {
			break
		}
		q[i] = q[least]
		i = least
	}
	q[i] = key
}
