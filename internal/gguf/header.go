package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

const (
	magic            = "GGUF"
	defaultAlignment = 32
	minAlignment     = 8       // the specification: a multiple of 8
	maxAlignment     = 1 << 20 // more would only waste memory
	alignmentKey     = "general.alignment"

	maxName    = 65535     // bytes in a key or a tensor's name
	maxKeys    = 65536     // a real file has fewer than a hundred
	maxTensors = 1 << 20   // a real file has fewer than 100,000
	maxHeader  = 256 << 20 // bytes before the data; vocabularies of 450,000 merges need 12 MB

	// The least a record takes: for a key its length, a byte, a type and a byte; for
	// a tensor length, a byte, n_dims, a dimension, type, offset; for a string its length.
	minEntryBytes  = 8 + 1 + 4 + 1
	minTensorBytes = 8 + 1 + 4 + 8 + 4 + 8
	minTextBytes   = 8
)

// parse reads the header of f.data: magic, version, counts, metadata, tensors,
// then checks the metadata it needs itself and the layout of the data.
func (f *File) parse() error {
	c := &cursor{file: f.Name, data: f.data[:min(len(f.data), maxHeader)], size: len(f.data)}
	f.Version = c.preamble()
	tensors := c.count(minTensorBytes, "tensor count")
	keys := c.count(minEntryBytes, "metadata count")
	if c.err == nil {
		c.plausible(tensors, keys)
	}
	f.parseMetadata(c, keys)
	starts := f.parseTensors(c, tensors)
	f.layOut(c, starts)
	return c.err
}

// preamble takes the magic and the version.
func (c *cursor) preamble() uint32 {
	if !bytes.HasPrefix([]byte(magic), c.data[:min(4, len(c.data))]) {
		c.fail(0, "magic", "this is no GGUF file: %s", likeness(c.data))
		return 0
	}
	c.bytes(4, "magic")
	at := c.at
	v := c.uint32("version")
	switch {
	case c.err != nil:
	case v == 1:
		c.fail(at, "version", "GGUF version 1 is not supported, only 2 and 3: download a newer file of this model or convert it again")
	case v&0xffff == 0 && v != 0:
		c.fail(at, "version", "the file is big-endian, only little-endian files are supported: convert the model again for this byte order")
	case v != 2 && v != 3:
		c.fail(at, "version", "GGUF version %d is not supported, only 2 and 3: update sandwarp, or convert the model again", v)
	}
	return v
}

// likeness guesses what a file is that is no GGUF.
func likeness(b []byte) string {
	head := b[:min(len(b), 64)]
	switch {
	case bytes.HasPrefix(head, []byte("version https://git-lfs")):
		return "it is a Git LFS pointer; run `git lfs pull` to get the model itself"
	case bytes.HasPrefix(bytes.TrimSpace(head), []byte("<")):
		return "it looks like a web page; download the file itself"
	case bytes.HasPrefix(head, []byte("PK")):
		return "it is a zip archive, perhaps a PyTorch checkpoint; convert the model to GGUF"
	case len(head) > 9 && head[8] == '{' && binary.LittleEndian.Uint64(head) < 1<<32:
		return "it looks like a safetensors file; convert the model to GGUF"
	case bytes.HasPrefix(head, []byte("tjgg")), bytes.HasPrefix(head, []byte("lmgg")), bytes.HasPrefix(head, []byte("fmgg")):
		return "it is of the GGML formats before GGUF; convert the model to GGUF"
	}
	return fmt.Sprintf("it begins with %q instead of %q", head[:min(len(head), 4)], magic)
}

// plausible refuses counts no real file has, before anything is allocated.
func (c *cursor) plausible(tensors, keys int) {
	switch {
	case tensors == 0 && keys == 0:
		c.fail(8, "tensor count", "the file holds neither metadata nor tensors: download it again")
	case tensors > maxTensors:
		c.fail(8, "tensor count", "%d tensors, at most %d are allowed: the file is damaged", tensors, maxTensors)
	case keys > maxKeys:
		c.fail(16, "metadata count", "%d keys, at most %d are allowed: the file is damaged", keys, maxKeys)
	}
}

// sortedBy returns the indices 0..n-1 in the order of their names.
func sortedBy(n int, name func(i int32) string) []int32 {
	order := indices(n)
	slices.SortFunc(order, func(a, b int32) int { return strings.Compare(name(a), name(b)) })
	return order
}

func indices(n int) []int32 {
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	return order
}
