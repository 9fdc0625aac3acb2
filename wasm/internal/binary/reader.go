package binary

import (
	"fmt"
	"unicode/utf8"
)

// reader walks the bytes of one section, or of one body. The first error sticks
// and moves the position to the end, so loops over a count stop.
type reader struct {
	b       []byte // the whole module
	off     int
	end     int // of what may be read
	section string
	err     *Error
}

func (r *reader) fail(format string, args ...any) {
	r.failAt(r.off, format, args...)
}

func (r *reader) failAt(off int, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Section: r.section, Offset: off, Reason: fmt.Sprintf(format, args...)}
	}
	r.off = r.end
}

// beyond refuses what may be valid, but not for this host.
func (r *reader) beyond(format string, args ...any) {
	r.beyondAt(r.off, format, args...)
}

func (r *reader) beyondAt(off int, format string, args ...any) {
	if r.err == nil {
		r.failAt(off, format, args...)
		r.err.Unsupported = true
	}
}

func (r *reader) remaining() int { return r.end - r.off }

func (r *reader) byte() byte {
	if r.off >= r.end {
		r.fail("ends too early")
		return 0
	}
	c := r.b[r.off]
	r.off++
	return c
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > r.remaining() {
		r.fail("needs %d bytes, %d remain", n, r.remaining())
		return nil
	}
	s := r.b[r.off : r.off+n]
	r.off += n
	return s
}

// u32 reads an unsigned LEB128 of at most 32 bits. Over-long forms are refused.
func (r *reader) u32() uint32 {
	if r.off < r.end && r.b[r.off] < 0x80 {
		r.off++
		return uint32(r.b[r.off-1])
	}
	var v uint32
	start := r.off
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		if shift == 28 && c > 0x0f {
			break
		}
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.failAt(start, "integer is longer than 32 bits")
	return 0
}

// signed reads a signed LEB128 of at most bits bits.
func (r *reader) signed(bits int) int64 {
	var v int64
	start := r.off
	for shift := 0; shift < bits; shift += 7 {
		c := r.byte()
		v |= int64(c&0x7f) << shift
		if c >= 0x80 {
			continue
		}
		if shift+7 < 64 {
			v = v << (64 - shift - 7) >> (64 - shift - 7)
		}
		// The last byte of the longest form holds bits%7 bits; the rest must
		// repeat the sign.
		if rest := bits - shift; rest < 7 {
			if top := int8(c<<1) >> rest; top != 0 && top != -1 {
				break
			}
		}
		return v
	}
	r.failAt(start, "integer is longer than %d bits", bits)
	return 0
}

// count reads a vector's length: each element takes at least a byte.
func (r *reader) count(what string, max int) int {
	start := r.off
	n := r.u32()
	if r.err != nil {
		return 0
	}
	if int64(n) > int64(r.remaining()) {
		r.failAt(start, "%d %s declared, %d bytes remain", n, what, r.remaining())
		return 0
	}
	if int64(n) > int64(max) {
		r.beyondAt(start, "%d %s declared, at most %d allowed", n, what, max)
		return 0
	}
	return int(n)
}

func (r *reader) name() string {
	n := r.count("bytes of a name", r.remaining())
	s := r.bytes(n)
	if !utf8.Valid(s) {
		r.fail("name is not UTF-8")
	}
	return string(s)
}

// index reads an index that must be below n.
func (r *reader) index(what string, n int) uint32 {
	start := r.off
	i := r.u32()
	if r.err == nil && int64(i) >= int64(n) {
		r.failAt(start, "%s %d, there are %d", what, i, n)
	}
	return i
}
