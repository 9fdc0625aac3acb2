package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// kind is the type number of a metadata value.
type kind uint32

const (
	kindUint8 kind = iota
	kindInt8
	kindUint16
	kindInt16
	kindUint32
	kindInt32
	kindFloat32
	kindBool
	kindString
	kindArray
	kindUint64
	kindInt64
	kindFloat64
)

var kinds = [...]struct {
	name  string
	bytes uint64 // 0: of variable length
}{
	{"uint8", 1}, {"int8", 1}, {"uint16", 2}, {"int16", 2}, {"uint32", 4}, {"int32", 4}, {"float32", 4},
	{"bool", 1}, {"string", 0}, {"array", 0}, {"uint64", 8}, {"int64", 8}, {"float64", 8},
}

func (k kind) String() string {
	if k < kind(len(kinds)) {
		return kinds[k].name
	}
	return fmt.Sprintf("type %d", uint32(k))
}

// entry is a key with its value: a number, bool or string, or a slice of them.
type entry struct {
	key   string
	value any
	at    int // file offset of the value's type number
}

func (f *File) parseMetadata(c *cursor, n int) {
	if c.err != nil {
		return
	}
	f.entries = make([]entry, 0, n)
	for i := 0; i < n && c.err == nil; i++ {
		f.entries = append(f.entries, c.entry(i))
	}
	c.record, c.name = "", ""
	if c.err != nil {
		return
	}
	f.byKey = sortedBy(n, func(i int32) string { return f.entries[i].key })
	for i := 1; i < n; i++ {
		a, b := f.entries[f.byKey[i-1]], f.entries[f.byKey[i]]
		if a.key == b.key {
			c.fail(max(a.at, b.at), keyField(a.key), "the key appears twice: the file is damaged")
			return
		}
	}
	f.Alignment = f.alignment(c)
}

func keyField(key string) string { return fmt.Sprintf("metadata %.120q", key) }

func (c *cursor) entry(i int) entry {
	e := entry{key: c.begin("metadata", i), at: c.at}
	k := kind(c.uint32("type"))
	switch {
	case c.err != nil:
	case k == kindArray:
		e.value = c.array()
	case k < kind(len(kinds)):
		e.value = c.scalar(k)
	default:
		c.fail(e.at, "type", "unknown %v of value, the types are 0 to %d: the file is damaged or newer than this reader", k, len(kinds)-1)
	}
	return e
}

func (c *cursor) scalar(k kind) any {
	if k == kindString {
		return c.text("value")
	}
	at := c.at
	b := c.bytes(kinds[k].bytes, "value")
	if b == nil {
		return nil
	}
	switch k {
	case kindUint8:
		return b[0]
	case kindInt8:
		return int8(b[0])
	case kindUint16:
		return binary.LittleEndian.Uint16(b)
	case kindInt16:
		return int16(binary.LittleEndian.Uint16(b))
	case kindUint32:
		return binary.LittleEndian.Uint32(b)
	case kindInt32:
		return int32(binary.LittleEndian.Uint32(b))
	case kindFloat32:
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	case kindUint64:
		return binary.LittleEndian.Uint64(b)
	case kindInt64:
		return int64(binary.LittleEndian.Uint64(b))
	case kindFloat64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	c.checkBools(b, at)
	return b[0] == 1
}

// checkBools holds to the specification: a bool is 0 or 1, anything else is damage.
func (c *cursor) checkBools(b []byte, at int) {
	for i, v := range b {
		if v > 1 {
			c.fail(at+i, "value", "a bool is 0 or 1, this one is %d: the file is damaged", v)
			return
		}
	}
}

// array takes an element type, a count and that many elements, as a []T.
func (c *cursor) array() any {
	at := c.at
	k := kind(c.uint32("element type"))
	switch {
	case c.err != nil:
		return nil
	case k == kindArray:
		c.fail(at, "element type", "arrays of arrays are not supported")
		return nil
	case k >= kind(len(kinds)):
		c.fail(at, "element type", "unknown %v of array elements: the file is damaged or newer than this reader", k)
		return nil
	case k == kindString:
		return c.texts(c.count(minTextBytes, "count"))
	}
	n := c.count(kinds[k].bytes, "count")
	at = c.at
	b := c.bytes(uint64(n)*kinds[k].bytes, "elements")
	if c.err != nil {
		return nil
	}
	switch k {
	case kindUint8:
		return decode[uint8](b, n)
	case kindInt8:
		return decode[int8](b, n)
	case kindUint16:
		return decode[uint16](b, n)
	case kindInt16:
		return decode[int16](b, n)
	case kindUint32:
		return decode[uint32](b, n)
	case kindInt32:
		return decode[int32](b, n)
	case kindFloat32:
		return decode[float32](b, n)
	case kindUint64:
		return decode[uint64](b, n)
	case kindInt64:
		return decode[int64](b, n)
	case kindFloat64:
		return decode[float64](b, n)
	}
	c.checkBools(b, at)
	return decode[bool](b, n)
}

func decode[T any](b []byte, n int) []T {
	s := make([]T, n)
	if _, err := binary.Decode(b, binary.LittleEndian, s); err != nil {
		panic(err) // b holds exactly n elements
	}
	return s
}

// texts takes n strings. A vocabulary has hundreds of thousands: they share one
// allocation, measured in a first walk and filled in a second.
func (c *cursor) texts(n int) []string {
	if c.err != nil {
		return nil
	}
	start, total := c.at, 0
	for i := 0; i < n; i++ {
		at := c.at
		size := c.uint64("string")
		c.bytes(size, "string")
		if e, ok := c.err.(*FormatError); ok {
			e.Field, e.Offset = fmt.Sprintf("%s %d of %d", e.Field, i, n), int64(at)
			return nil
		}
		total += int(size)
	}
	var all strings.Builder
	all.Grow(total)
	list := make([]string, n)
	for i, at := 0, start; i < n; i++ {
		size := int(binary.LittleEndian.Uint64(c.data[at:]))
		at += minTextBytes
		from := all.Len()
		all.Write(c.data[at : at+size])
		list[i] = all.String()[from:]
		at += size
	}
	return list
}

// alignment is the alignment of tensor data the metadata asks for.
func (f *File) alignment(c *cursor) int {
	a, err := f.Uint(alignmentKey, defaultAlignment)
	if err != nil {
		c.err = err
		return defaultAlignment
	}
	if !validAlignment(a) {
		c.fail(f.offsetOf(alignmentKey), keyField(alignmentKey), "alignment %d is not a power of two from %d to %d: the file is damaged", a, minAlignment, maxAlignment)
		return defaultAlignment
	}
	return int(a)
}

func validAlignment(a uint64) bool {
	return a >= minAlignment && a <= maxAlignment && a&(a-1) == 0
}
