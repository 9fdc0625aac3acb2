package wasm

import (
	"sync"
	"unsafe"
)

// sharedRow is logits that host and guests see in one place: pages of a file, mapped
// into each. A guest sees the rows of its own sequences and no others; all plugins of a
// sequence see the same one.
type sharedRow struct {
	mem  []byte // the host's mapping
	vals []float32
	at   int64 // in the file of its size
	refs int   // guarded by sharedRows.mu
}

// sharedRows is all shared rows there are.
var sharedRows = struct {
	mu     sync.Mutex // guards what follows
	byAddr map[*float32]*sharedRow
	files  map[int]*rowFile // by bytes of a row
}{byAddr: map[*float32]*sharedRow{}, files: map[int]*rowFile{}}

// rowFile holds rows of one size, one behind the other.
type rowFile struct {
	fd    int
	bytes int
	next  int64        // where the file ends
	holes []int64      // rows without memory
	free  []*sharedRow // rows to be used again; they are zero
}

// rowsKept is how many rows of a size are kept for later.
const rowsKept = 16

// newRow is a row of zeros with one reference, nil where there is no such thing.
func newRow(vocab int) *sharedRow {
	bytes := rowBytes(vocab)
	if bytes == 0 {
		return nil
	}
	sharedRows.mu.Lock()
	defer sharedRows.mu.Unlock()
	f := sharedRows.files[bytes]
	if f == nil {
		if f = newRowFile(bytes); f == nil {
			return nil
		}
		sharedRows.files[bytes] = f
	}
	r := f.take()
	if r == nil {
		return nil
	}
	r.refs = 1
	r.vals = view[float32](r.mem[: 4*vocab : 4*vocab])
	sharedRows.byAddr[unsafe.SliceData(r.vals)] = r
	return r
}

// take is a row that was used before, or a new one.
func (f *rowFile) take() *sharedRow {
	if n := len(f.free); n > 0 {
		r := f.free[n-1]
		f.free = f.free[:n-1]
		return r
	}
	if n := len(f.holes); n > 0 {
		r := f.open(f.holes[n-1])
		if r != nil {
			f.holes = f.holes[:n-1]
		}
		return r
	}
	r := f.open(f.next)
	if r != nil {
		f.next += int64(f.bytes)
	}
	return r
}

// findRow is the row that is these logits, with a reference more; nil if they are not
// one.
func findRow(logits []float32) *sharedRow {
	sharedRows.mu.Lock()
	defer sharedRows.mu.Unlock()
	r := sharedRows.byAddr[unsafe.SliceData(logits)]
	if r == nil || len(r.vals) != len(logits) {
		return nil
	}
	r.refs++
	return r
}

func (r *sharedRow) retain() *sharedRow {
	sharedRows.mu.Lock()
	defer sharedRows.mu.Unlock()
	r.refs++
	return r
}

// release lets go of a reference. Nobody reads what another's sequence left behind.
func (r *sharedRow) release() {
	sharedRows.mu.Lock()
	defer sharedRows.mu.Unlock()
	if r.refs--; r.refs > 0 {
		return
	}
	delete(sharedRows.byAddr, unsafe.SliceData(r.vals))
	f := sharedRows.files[len(r.mem)]
	if len(f.free) < rowsKept {
		clear(r.mem)
		f.free = append(f.free, r)
		return
	}
	f.discard(r)
	f.holes = append(f.holes, r.at)
}

// mapRow makes the logits of a slot of the frame the row, so that host and guest see
// the same. It says whether that was possible.
func (in *instance) mapRow(slot uint32, r *sharedRow) bool {
	if in.mapped == nil {
		in.mapped = make([]*sharedRow, in.p.rows())
	}
	if in.mapped[slot] == r {
		return true
	}
	m := linearOf(in.raw)
	if m == nil || !r.mapInto(m, in.frame+in.layout.LogitsOff(slot)) {
		return false
	}
	in.forgetRow(slot)
	in.mapped[slot] = r.retain()
	return true
}

// unmapRow puts memory of the guest's own in a row's place.
func (in *instance) unmapRow(slot uint32) {
	if in.mapped == nil || in.mapped[slot] == nil {
		return
	}
	if in.raw != nil && !unmapPages(linearOf(in.raw), in.frame+in.layout.LogitsOff(slot), len(in.mapped[slot].mem)) {
		// It must not see what becomes of the row.
		in.raw.Close()
		in.raw = nil
	}
	in.forgetRow(slot)
}

func (in *instance) forgetRow(slot uint32) {
	if r := in.mapped[slot]; r != nil {
		in.mapped[slot] = nil
		r.release()
	}
}

// forgetRows is for a guest that is gone.
func (in *instance) forgetRows() {
	for slot := range in.mapped {
		in.forgetRow(uint32(slot))
	}
}

// lies says whether the logits are in the sequence's row of the frame, where the guest
// sees them. Rows that another plugin handed out it maps there.
func (in *instance) lies(s *sequence, logits []float32) bool {
	at := unsafe.SliceData(logits)
	if in.mapped != nil {
		if r := in.mapped[s.slot]; r != nil && unsafe.SliceData(r.vals) == at {
			return true
		}
	}
	if unsafe.SliceData(in.logits(s.slot)) == at {
		return true
	}
	if in.shares() {
		if r := findRow(logits); r != nil {
			defer r.release()
			if in.mapRow(s.slot, r) {
				return true
			}
		}
	}
	in.unmapRow(s.slot) // a copy must not go to another's logits
	return false
}
