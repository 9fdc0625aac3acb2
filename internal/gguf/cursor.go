package gguf

import (
	"encoding/binary"
	"fmt"
)

// cursor reads a header from front to back. The first failure sticks: later reads
// return zeros, so callers read a record in a straight line and look at err once.
type cursor struct {
	file string
	data []byte // the part of the file a header may fill
	size int    // of the whole file
	at   int
	err  error

	// The record being read, for errors: "metadata" or "tensor", and its name.
	record, name string
}

// field names a part of the record being read.
func (c *cursor) field(part string) string {
	switch {
	case c.record == "":
		return part
	case c.name == "":
		return c.record + " " + part
	}
	return fmt.Sprintf("%s %.120q %s", c.record, c.name, part)
}

func (c *cursor) left() uint64 { return uint64(len(c.data) - c.at) }

// fail records that the field that begins at byte at is wrong.
func (c *cursor) fail(at int, part, format string, args ...any) {
	if c.err == nil {
		c.err = &FormatError{File: c.file, Field: c.field(part), Offset: int64(at), Reason: fmt.Sprintf(format, args...)}
	}
}

// short records that the file ends before the field does.
func (c *cursor) short(at int, part, format string, args ...any) {
	if c.err == nil {
		reason := fmt.Sprintf(format, args...) + ": the file is truncated or damaged, download it again"
		c.err = &FormatError{File: c.file, Field: c.field(part), Offset: int64(at), Reason: reason, cause: ErrTruncated}
	}
}

// bytes takes n bytes, a view of the file.
func (c *cursor) bytes(n uint64, part string) []byte {
	if c.err != nil {
		return nil
	}
	if n > c.left() {
		if c.size > len(c.data) {
			c.fail(c.at, part, "%d bytes would make the header longer than %d bytes, the most this reader takes: the file is damaged", n, maxHeader)
		} else {
			c.short(c.at, part, "%d bytes are to follow, the file has %d left", n, c.left())
		}
		return nil
	}
	b := c.data[c.at : c.at+int(n)]
	c.at += int(n)
	return b
}

func (c *cursor) uint32(part string) uint32 {
	if b := c.bytes(4, part); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) uint64(part string) uint64 {
	if b := c.bytes(8, part); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// count takes a number of records that each need at least size bytes of what is
// left, so that the number may be used to allocate.
func (c *cursor) count(size uint64, part string) int {
	at := c.at
	n := c.uint64(part)
	if c.err == nil && n > c.left()/size {
		c.short(at, part, "%d records of at least %d bytes are to follow, there is room for %d", n, size, c.left()/size)
		return 0
	}
	return int(n)
}

// text takes a string with its length in front and copies it to the heap.
func (c *cursor) text(part string) string {
	n := c.uint64(part)
	return string(c.bytes(n, part))
}

// begin takes the name of record number i, a key or a tensor's name: 1 to 65535
// bytes of valid UTF-8. Errors carry it from here on.
func (c *cursor) begin(record string, i int) string {
	c.record, c.name = record, ""
	at := c.at
	n := c.uint64("name")
	if c.err == nil && (n == 0 || n > maxName) {
		c.fail(at, "name", "it is %d bytes long, 1 to %d are allowed: the file is damaged", n, maxName)
	}
	s := string(c.bytes(n, "name"))
	if problem := checkName(s); c.err == nil && problem != "" {
		c.fail(at, "name", "%s: the file is damaged", problem)
	}
	if e, ok := c.err.(*FormatError); ok {
		e.Field = fmt.Sprintf("%s %d: name", record, i)
	}
	c.name = s
	return s
}
