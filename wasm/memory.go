package wasm

import "sync/atomic"

// linear is a guest's memory: address space for the most it may grow to is
// reserved once, so it never moves and views of it stay valid. It is unmapped
// when the engine and all holders have let go.
type linear struct {
	reserved []byte
	size     uint64
	attached bool // to an image; see backing
	refs     atomic.Int32
}

// newLinear reserves max bytes. It returns nil if there is no address space.
func newLinear(max uint64) *linear {
	b := reserve(max)
	if b == nil && max > 0 {
		return nil
	}
	m := &linear{reserved: b}
	m.refs.Store(1)
	return m
}

// Reallocate makes the first size bytes usable; nil if they are not to be had.
func (m *linear) Reallocate(size uint64) []byte {
	if size > uint64(len(m.reserved)) || size > m.size && !commit(m.reserved, m.size, size) {
		return nil
	}
	m.size = max(m.size, size)
	return m.reserved[:size:size]
}

// Free lets go of the memory.
func (m *linear) Free() {
	if m.refs.Add(-1) == 0 {
		release(m.reserved)
		m.reserved = nil
	}
}

// mapped is an Instance whose memory is a mapping of the host's own.
type mapped interface{ linear() *linear }

// linearOf is the mapping behind an instance's memory, nil if that is not ours.
func linearOf(raw Instance) *linear {
	if m, ok := raw.(mapped); ok {
		return m.linear()
	}
	return nil
}

func (m *linear) hold() func() {
	m.refs.Add(1)
	return m.Free
}
