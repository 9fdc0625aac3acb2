package kernels

// AttnItems lists the rows of a large batch for AttnPrefill and AttnDecode: runs of
// adjacent rows of a sequence, cut into items of at most rowsPerItem rows, appended to
// items as (first row, rows); the rows of runs shorter than least, which few queries
// share a context, are appended to rows instead and are left to AttnDecode. Items that
// reach farther back come first, so that the last to run are short. seq and pos are a
// backend.Batch's. It allocates only where items or rows have no room.
func AttnItems(items, rows []int32, seq, pos []int32, rowsPerItem, least int) (_, _ []int32) {
	from := len(items)
	for r := 0; r < len(seq); {
		end := r + 1
		for end < len(seq) && seq[end] == seq[r] {
			end++
		}
		for ; r < end && end-r < least; r++ {
			rows = append(rows, int32(r))
		}
		for ; r < end; r += rowsPerItem {
			items = append(items, int32(r), int32(min(rowsPerItem, end-r)))
		}
		r = end
	}
	sortItems(items[from:], pos)
	return items, rows
}

// MaxAttnItems is how many items rows rows of seqs sequences can make.
func MaxAttnItems(rows, seqs, rowsPerItem int) int { return rows/rowsPerItem + min(seqs, rows) }

// sortItems orders (first row, rows) by the last row's position, the greatest first; it
// is a heap sort, in place.
func sortItems(items, pos []int32) {
	n := len(items) / 2
	last := func(i int) int32 { return pos[items[2*i]] + items[2*i+1] }
	swap := func(i, j int) {
		items[2*i], items[2*j] = items[2*j], items[2*i]
		items[2*i+1], items[2*j+1] = items[2*j+1], items[2*i+1]
	}
	sink := func(i, n int) { // the least on top
		for c := 2*i + 1; c < n; i, c = c, 2*c+1 {
			if c+1 < n && last(c+1) < last(c) {
				c++
			}
			if last(i) <= last(c) {
				return
			}
			swap(i, c)
		}
	}
	for i := n/2 - 1; i >= 0; i-- {
		sink(i, n)
	}
	for i := n - 1; i > 0; i-- {
		swap(0, i)
		sink(0, i)
	}
}
