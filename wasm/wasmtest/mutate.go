package wasmtest

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
)

// Mutate returns a damaged copy of one of the modules, the same for the same r. It
// knows sections and bodies, and mostly keeps their sizes right, so that the damage
// reaches what is inside.
func Mutate(r *rand.Rand, modules [][]byte) []byte {
	m := split(modules[r.IntN(len(modules))])
	if m.code() != nil && r.IntN(2) == 0 { // a small change of the code, which often stays valid
		m.body(r, nudge)
		return m.join()
	}
	for range 1 + r.IntN(3) {
		m.mutate(r, modules)
	}
	b := m.join()
	if r.IntN(20) == 0 { // damage that no size accounts for
		b = scratch(r, b)
	}
	return b[:min(len(b), 1<<20)]
}

// MutateBody returns a copy of one of the modules with a function's body damaged, all
// else being as it was.
func MutateBody(r *rand.Rand, modules [][]byte) []byte {
	for {
		m := split(modules[r.IntN(len(modules))])
		if m.code() == nil {
			continue
		}
		damage := scratch
		if r.IntN(2) == 0 {
			damage = nudge
		}
		m.body(r, damage)
		return m.join()
	}
}

// part is a section of a module.
type part struct {
	id   byte
	body []byte
}

type parts []part

// split takes a valid module apart; what cannot be read is left out.
func split(b []byte) (m parts) {
	for at := 8; at < len(b); {
		size, n := binary.Uvarint(b[at+1:])
		start := at + 1 + n
		if n <= 0 || size > uint64(len(b)-start) {
			break
		}
		m = append(m, part{b[at], bytes.Clone(b[start : start+int(size)])})
		at = start + int(size)
	}
	return m
}

func (m parts) join() []byte {
	b := Raw()
	for _, p := range m {
		b = append(b, Section(p.id, p.body)...)
	}
	return b
}

// mutate damages one thing.
func (m *parts) mutate(r *rand.Rand, others [][]byte) {
	if len(*m) == 0 {
		*m = append(*m, part{byte(r.IntN(14)), []byte{byte(r.IntN(256))}})
		return
	}
	at := r.IntN(len(*m))
	p := &(*m)[at]
	switch k := r.IntN(16); {
	case k == 0:
		*m = append((*m)[:at:at], (*m)[at+1:]...)
	case k == 1: // twice
		*m = append((*m)[:at+1:at+1], (*m)[at:]...)
	case k == 2: // in another order
		other := r.IntN(len(*m))
		(*m)[at], (*m)[other] = (*m)[other], (*m)[at]
	case k == 3: // from another module
		if o := split(others[r.IntN(len(others))]); len(o) > 0 {
			*p = o[r.IntN(len(o))]
		}
	case k == 4:
		p.id = byte(r.IntN(15))
	case k <= 9 && m.code() != nil:
		m.body(r, scratch)
	default:
		p.body = scratch(r, p.body)
	}
}

// code is the code section, nil if there is none.
func (m parts) code() *part {
	for i := range m {
		if m[i].id == 10 && len(m[i].body) > 4 {
			return &m[i]
		}
	}
	return nil
}

// body damages one function's body, and corrects its size.
func (m parts) body(r *rand.Rand, damage func(*rand.Rand, []byte) []byte) {
	p := m.code()
	count, n := binary.Uvarint(p.body)
	if n <= 0 || count == 0 {
		return
	}
	target := r.Uint64N(min(count, 1<<16))
	out := bytes.Clone(p.body[:n])
	rest := p.body[n:]
	for i := uint64(0); len(rest) > 0; i++ {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			break
		}
		body := rest[n : n+int(size)]
		if rest = rest[n+int(size):]; i == target {
			body = damage(r, body)
		}
		out = append(append(out, U(uint64(len(body)))...), body...)
	}
	p.body = append(out, rest...)
}

// snippets are what is put into modules: numbers at the edges, and instructions.
var snippets = [][]byte{
	{0}, {1}, {0x7f}, {0x80}, {0xff}, U(1<<32 - 1), U(1 << 31), U(1 << 20), U(65536), U(50_001), {0x80, 0x80, 0x80, 0x80, 0x80, 0},
	{0x0b}, {0x00}, {0x40}, {0x02, 0x40}, {0x03, 0x40}, {0x04, 0x40}, {0x05}, {0x0f}, {0x1a}, {0x3f, 0}, {0x40, 0}, {0x41, 0x7f}, {0x42, 0x00},
	{0x0c, 0}, {0x0d, 0}, {0x0e, 0, 0}, {0x10, 0}, {0x11, 0, 0}, {0x20, 0}, {0x21, 0}, {0x23, 0}, {0x24, 0}, {0x25, 0}, {0x26, 0}, {0xd0, 0x70}, {0xd2, 0},
	{0x28, 2, 0}, {0x36, 2, 0}, {0xfc, 8, 0, 0}, {0xfc, 9, 0}, {0xfc, 10, 0, 0}, {0xfc, 11, 0}, {0xfc, 12, 0, 0}, {0xfc, 15, 0}, {0xfc, 17, 0},
	{0xfd, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {0xfd, 0x0f}, {0xfe, 0x10, 2, 0}, {0x12, 0}, {0x06, 0x40}, {0x7f}, {0x7b}, {0x70}, {0x6f},
	[]byte("sw_alloc"), []byte("memory"), []byte("sw1"),
}

// nudge changes one byte, by a bit or by one.
func nudge(r *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) > 0 {
		at := r.IntN(len(b))
		if r.IntN(2) == 0 {
			b[at] ^= 1 << r.IntN(8)
		} else {
			b[at] += byte(1 - 2*r.IntN(2))
		}
	}
	return b
}

// scratch damages bytes somewhere.
func scratch(r *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) == 0 {
		return append(b, snippets[r.IntN(len(snippets))]...)
	}
	at := r.IntN(len(b))
	n := min(1+r.IntN(8), len(b)-at)
	switch r.IntN(8) {
	case 0:
		b[at] ^= 1 << r.IntN(8)
	case 1:
		b[at] = byte(r.IntN(256))
	case 2: // one more, one less
		b[at] += byte(1 - 2*r.IntN(2))
	case 3:
		b = append(b[:at], b[at+n:]...)
	case 4: // the same again
		b = append(b[:at+n:at+n], b[at:]...)
	case 5:
		b = b[:at]
	case 6: // in place of what is there
		s := snippets[r.IntN(len(snippets))]
		b = append(b[:at:at], append(bytes.Clone(s), b[min(at+len(s), len(b)):]...)...)
	default:
		s := snippets[r.IntN(len(snippets))]
		b = append(b[:at:at], append(bytes.Clone(s), b[at:]...)...)
	}
	return b
}
