package sample

// minHeap is a binary heap, written out so that nothing is boxed. It has the least
// wanted candidate on top: the smallest logit, of equal ones the largest id.
type minHeap []cand

func worse(a, b cand) bool { return a.l < b.l || a.l == b.l && a.id > b.id }

func (h minHeap) push(t cand) minHeap {
	h = append(h, t)
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !worse(h[i], h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
	return h
}

func (h minHeap) down(i, n int) {
	for {
		c := 2*i + 1
		if c >= n {
			return
		}
		if c+1 < n && worse(h[c+1], h[c]) {
			c++
		}
		if !worse(h[c], h[i]) {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}
