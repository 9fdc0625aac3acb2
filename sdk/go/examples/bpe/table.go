package main

// merge is what a pair becomes.
type merge struct{ rank, id int32 }

// table finds merges by pairs: open addressing, at most half full. A lookup takes
// a fifth of the instructions of a Go map's, which is what a plugin pays by.
type table struct {
	keys   []uint64 // pair + 1; 0: free
	values []merge
	shift  uint
}

func newTable(n int) table {
	bits := uint(4)
	for 1<<bits < 2*n {
		bits++
	}
	return table{make([]uint64, 1<<bits), make([]merge, 1<<bits), 64 - bits}
}

// slot is where a pair is, or would be.
func (t *table) slot(pair uint64) int {
	i := int((pair + 1) * 0x9e3779b97f4a7c15 >> t.shift)
	for t.keys[i] != 0 && t.keys[i] != pair+1 {
		if i++; i == len(t.keys) {
			i = 0
		}
	}
	return i
}

// add keeps the first merge of a pair.
func (t *table) add(pair uint64, m merge) {
	if i := t.slot(pair); t.keys[i] == 0 {
		t.keys[i], t.values[i] = pair+1, m
	}
}

func (t *table) find(pair uint64) (merge, bool) {
	i := t.slot(pair)
	return t.values[i], t.keys[i] != 0
}
