package abi

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// MaxDepth is the deepest nesting of arrays and maps in a message.
const MaxDepth = 32

// Reader reads msgpack values one after another. The first error sticks and
// everything read after it is zero, so callers check Err once at the end. Its
// errors are EINVAL with words that name the key, the offset and what is wrong. It
// allocates nothing beyond the strings it returns: no count is believed before
// that many bytes are there. Extension types are refused. The zero value of a
// field and a missing field are the caller's business.
type Reader struct {
	b    []byte
	off  int
	what string // names the message in errors
	key  string // of the map Fields reads, whose value is read
	err  error
}

// NewReader reads b; what names it in errors.
func NewReader(what string, b []byte) *Reader { return &Reader{b: b, what: what} }

// Err is the first error.
func (r *Reader) Err() error { return r.err }

// Offset is the position of the next value.
func (r *Reader) Offset() int { return r.off }

// Done is Err, or an error if bytes are left over.
func (r *Reader) Done() error {
	if r.err == nil && r.off != len(r.b) {
		r.fail("%d bytes left over", len(r.b)-r.off)
	}
	return r.err
}

// Fail records an error found by the caller, with the current offset; the format
// knows the verbs of Code.Errorf.
func (r *Reader) Fail(f string, args ...any) { r.fail(f, args...) }

func (r *Reader) fail(f string, args ...any) {
	if r.err == nil {
		at := r.what
		if r.key != "" {
			at += ": " + printable(r.key)
		}
		r.err = EINVAL.Errorf("%s: offset %d: %s", at, r.off, format(f, args...))
	}
	r.off = len(r.b)
}

func (r *Reader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > len(r.b)-r.off {
		r.fail("needs %d bytes, %d remain", n, len(r.b)-r.off)
		return nil
	}
	s := r.b[r.off : r.off+n]
	r.off += n
	return s
}

// number reads an n-byte big-endian integer.
func (r *Reader) number(n int) uint64 {
	s := r.take(n)
	var v uint64
	for _, c := range s {
		v = v<<8 | uint64(c)
	}
	return v
}

func (r *Reader) code() byte {
	if s := r.take(1); s != nil {
		return s[0]
	}
	return 0xc1
}

// wrong reports a value of another type, at the offset of its type code.
func (r *Reader) wrong(want string, c byte) {
	if r.err == nil {
		r.off--
		r.fail("want %s, found %s", want, typeName(c))
	}
}

// typeName is what the value with type code c is.
func typeName(c byte) string {
	switch {
	case c < 0x80 || c >= 0xcc && c <= 0xd3 || c >= 0xe0:
		return "integer"
	case c&0xf0 == 0x80 || c == 0xde || c == 0xdf:
		return "map"
	case c&0xf0 == 0x90 || c == 0xdc || c == 0xdd:
		return "array"
	case c&0xe0 == 0xa0 || c >= 0xd9 && c <= 0xdb:
		return "string"
	case c == 0xc0:
		return "nil"
	case c == 0xc2 || c == 0xc3:
		return "bool"
	case c >= 0xc4 && c <= 0xc6:
		return "bytes"
	case c == 0xca || c == 0xcb:
		return "float"
	}
	return format("type 0x%02x", c)
}

// printable is a key fit for an error: what is not ASCII, and more than 64 bytes of it,
// is left out.
func printable(key string) string {
	b := make([]byte, 0, 64)
	for i := 0; i < len(key) && len(b) < 64; i++ {
		if c := key[i]; c >= ' ' && c < 0x7f {
			b = append(b, c)
		}
	}
	return string(b)
}

// IsNil consumes a nil and says whether there was one.
func (r *Reader) IsNil() bool {
	if r.err == nil && r.off < len(r.b) && r.b[r.off] == 0xc0 {
		r.off++
		return true
	}
	return false
}

// IsString says whether a string comes next; it consumes nothing.
func (r *Reader) IsString() bool {
	if r.err != nil || r.off >= len(r.b) {
		return false
	}
	c := r.b[r.off]
	return c&0xe0 == 0xa0 || c >= 0xd9 && c <= 0xdb
}

// Bool reads true or false.
func (r *Reader) Bool() bool {
	c := r.code()
	if c != 0xc2 && c != 0xc3 {
		r.wrong("bool", c)
	}
	return c == 0xc3
}

// Int reads an integer that fits 64 signed bits. A float is an error.
func (r *Reader) Int() int64 {
	c := r.code()
	switch {
	case c < 0x80 || c >= 0xe0:
		return int64(int8(c))
	case c >= 0xcc && c <= 0xcf:
		v := r.number(1 << (c - 0xcc))
		if v > math.MaxInt64 {
			r.fail("integer %d does not fit 63 bits", v)
			return 0
		}
		return int64(v)
	case c >= 0xd0 && c <= 0xd3:
		n := 1 << (c - 0xd0)
		shift := 64 - 8*n
		return int64(r.number(n)<<shift) >> shift
	}
	r.wrong("integer", c)
	return 0
}

// Uint reads an integer from 0 to max.
func (r *Reader) Uint(max uint64) uint64 {
	if r.err == nil && r.off < len(r.b) && r.b[r.off] == 0xcf {
		r.off++
		v := r.number(8)
		if v > max {
			r.fail("integer %d, at most %d allowed", v, max)
			return 0
		}
		return v
	}
	v := r.Int()
	if r.err == nil && (v < 0 || uint64(v) > max) {
		r.fail("integer %d, 0 to %d allowed", v, max)
		return 0
	}
	return uint64(v)
}

// Float reads a float or an integer.
func (r *Reader) Float() float64 {
	if r.err == nil && r.off < len(r.b) {
		switch r.b[r.off] {
		case 0xca:
			r.off++
			return float64(math.Float32frombits(uint32(r.number(4))))
		case 0xcb:
			r.off++
			return math.Float64frombits(r.number(8))
		}
		if c := r.b[r.off]; typeName(c) != "integer" {
			r.off++
			r.wrong("number", c)
			return 0
		}
	}
	return float64(r.Int())
}

// String reads text of at most max bytes, which must be UTF-8.
func (r *Reader) String(max int) string {
	s := r.bytes("string", max, false)
	if !utf8.Valid(s) {
		r.fail("string is not UTF-8")
		return ""
	}
	return string(s)
}

// Bytes reads raw bytes or text of at most max bytes, without copying.
func (r *Reader) Bytes(max int) []byte { return r.bytes("bytes", max, true) }

func (r *Reader) bytes(want string, max int, binaryToo bool) []byte {
	c := r.code()
	n := uint64(0)
	switch {
	case c >= 0xa0 && c <= 0xbf:
		n = uint64(c & 31)
	case c >= 0xd9 && c <= 0xdb:
		n = r.number(1 << (c - 0xd9))
	case binaryToo && c >= 0xc4 && c <= 0xc6:
		n = r.number(1 << (c - 0xc4))
	default:
		r.wrong(want, c)
		return nil
	}
	if n > uint64(max) {
		r.fail("%s of %d bytes, at most %d allowed", want, n, max)
		return nil
	}
	return r.take(int(n))
}

// Array reads the head of an array and returns its length, at most max. Each
// value takes a byte, so a length beyond the remaining bytes is an error.
func (r *Reader) Array(max int) int {
	c := r.code()
	switch {
	case c&0xf0 == 0x90:
		return r.count("array", uint64(c&15), 1, max)
	case c == 0xdc || c == 0xdd:
		return r.count("array", r.number(2<<(c-0xdc)), 1, max)
	}
	r.wrong("array", c)
	return 0
}

// Map reads the head of a map and returns its number of keys, at most max.
func (r *Reader) Map(max int) int {
	c := r.code()
	switch {
	case c&0xf0 == 0x80:
		return r.count("map", uint64(c&15), 2, max)
	case c == 0xde || c == 0xdf:
		return r.count("map", r.number(2<<(c-0xde)), 2, max)
	}
	r.wrong("map", c)
	return 0
}

func (r *Reader) count(what string, n, each uint64, max int) int {
	if r.err != nil {
		return 0
	}
	if n > uint64(max) || n*each > uint64(len(r.b)-r.off) {
		r.fail("%s of %d, %d allowed and %d bytes remain", what, n, max, len(r.b)-r.off)
		return 0
	}
	return int(n)
}

// Raw reads one whole value of any type, without copying, and checks that it is
// well formed: depth at most MaxDepth, text in UTF-8, no extension types.
func (r *Reader) Raw() []byte {
	start := r.off
	// todo[d] is the number of values still to come at depth d.
	var todo [MaxDepth + 1]int
	d := 0
	todo[0] = 1
	for r.err == nil {
		for d > 0 && todo[d] == 0 {
			d--
		}
		if todo[d] == 0 {
			return r.b[start:r.off]
		}
		todo[d]--
		if n := r.skip(); n > 0 {
			if d == MaxDepth {
				r.fail("nested deeper than %d", MaxDepth)
				break
			}
			d++
			todo[d] = n
		}
	}
	return nil
}

// Skip reads over one value.
func (r *Reader) Skip() { r.Raw() }

// skip reads over a scalar, or over the head of an array or map and returns the
// number of values inside.
func (r *Reader) skip() int {
	if r.off >= len(r.b) {
		r.fail("needs a value, 0 bytes remain")
		return 0
	}
	c := r.b[r.off]
	switch {
	case c&0xf0 == 0x90 || c == 0xdc || c == 0xdd:
		return r.Array(math.MaxInt32)
	case c&0xf0 == 0x80 || c == 0xde || c == 0xdf:
		return 2 * r.Map(math.MaxInt32)
	case c&0xe0 == 0xa0 || c >= 0xd9 && c <= 0xdb:
		if !utf8.Valid(r.bytes("string", math.MaxInt32, false)) {
			r.fail("string is not UTF-8")
		}
	case c >= 0xc4 && c <= 0xc6:
		r.Bytes(math.MaxInt32)
	case c == 0xc0 || c == 0xc2 || c == 0xc3:
		r.off++
	case c == 0xca || c == 0xcb:
		r.off++
		r.take(4 << (c - 0xca))
	case c == 0xcf:
		r.off++
		r.take(8)
	case c == 0xc1 || c >= 0xc7 && c <= 0xc9 || c >= 0xd4 && c <= 0xd8:
		r.fail("type 0x%02x is not allowed", c)
	default:
		r.Int()
	}
	return 0
}

// Fields reads a map with string keys and calls field with each key; field must
// read the value, or Skip it. Duplicate keys are an error.
func (r *Reader) Fields(max int, field func(key string)) {
	n := r.Map(max)
	seen := make(map[string]struct{}, min(n, 32))
	outer := r.key
	for i := 0; i < n && r.err == nil; i++ {
		at := r.off
		key := r.String(64)
		if _, dup := seen[key]; dup {
			r.off = at
			r.fail("key %q appears twice", key)
			return
		}
		seen[key] = struct{}{}
		r.key = key
		field(key)
		r.key = outer
	}
}

// Strings reads an array of at most n strings of at most max bytes each.
func (r *Reader) Strings(n, max int) []string {
	k := r.Array(n)
	out := make([]string, 0, k)
	for i := 0; i < k && r.err == nil; i++ {
		out = append(out, r.String(max))
	}
	return out
}

// le is short for the byte order of all structures.
var le = binary.LittleEndian
