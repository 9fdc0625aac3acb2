package gguf

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

const maxDims = 4

func (f *File) parseTensors(c *cursor, n int) {
	if c.err != nil {
		return
	}
	f.tensors = make([]Tensor, 0, n)
	shapes := make([]int, 0, n*maxDims) // one allocation for all
	for i := 0; i < n && c.err == nil; i++ {
		var t Tensor
		t, shapes = c.tensor(i, shapes)
		f.tensors = append(f.tensors, t)
	}
	c.record, c.name = "", ""
	if c.err != nil {
		return
	}
	f.byName = sortedBy(n, func(i int32) string { return f.tensors[i].Name })
	for i := 1; i < n; i++ {
		if name := f.tensors[f.byName[i]].Name; name == f.tensors[f.byName[i-1]].Name {
			c.fail(c.at, tensorField(name, "name"), "the name appears twice: the file is damaged")
			return
		}
	}
}

func tensorField(name, part string) string { return fmt.Sprintf("tensor %.120q %s", name, part) }

// tensor takes one tensor's description. Its Offset is still relative to the start
// of the data, as the file has it; layOut makes it absolute.
func (c *cursor) tensor(i int, shapes []int) (Tensor, []int) {
	name := c.begin("tensor", i)
	at := c.at
	n := c.uint32("n_dims")
	if c.err == nil && (n < 1 || n > maxDims) {
		c.fail(at, "n_dims", "%d dimensions, 1 to %d are allowed: the file is damaged", n, maxDims)
	}
	var dims [maxDims]uint64
	dimsAt := c.at
	for d := uint32(0); d < n && c.err == nil; d++ {
		dims[d] = c.uint64("dimensions")
	}
	typeAt := c.at
	dtype := tensor.DType(c.uint32("type"))
	offsetAt := c.at
	offset := c.uint64("offset")
	if c.err != nil {
		return Tensor{}, shapes
	}
	if !dtype.Valid() {
		c.fail(typeAt, "type", "tensor type %d%s is not supported: use another quantisation of this model, such as Q4_K_M or Q8_0", uint32(dtype), foreignType(dtype))
		return Tensor{}, shapes
	}
	c.checkShape(dims[:n], dtype, dimsAt)
	if offset > math.MaxInt64 {
		c.short(offsetAt, "offset", "its data would begin %d bytes into the data", offset)
	}
	if c.err != nil {
		return Tensor{}, shapes
	}
	from := len(shapes)
	for d := int(n) - 1; d >= 0; d-- { // the file has the contiguous dimension first
		shapes = append(shapes, int(dims[d]))
	}
	shape := shapes[from:len(shapes):len(shapes)]
	return Tensor{Desc: tensor.Desc{Name: name, DType: dtype, Shape: shape}, Offset: int64(offset)}, shapes
}

// checkShape makes sure that the size of the data can be computed without overflow
// and is no larger than the file.
func (c *cursor) checkShape(dims []uint64, t tensor.DType, at int) {
	elems := uint64(1)
	for _, d := range dims {
		if d == 0 || d > math.MaxInt {
			c.fail(at, "dimensions", "dimension %d of %d is out of range: the file is damaged", d, dims)
			return
		}
		hi, lo := bits.Mul64(elems, d)
		if hi != 0 || lo > math.MaxInt {
			c.fail(at, "dimensions", "%d have more elements than can be counted: the file is damaged", dims)
			return
		}
		elems = lo
	}
	block := uint64(t.BlockElems())
	if dims[0]%block != 0 {
		c.fail(at, "dimensions", "a row of %d elements is no multiple of %v's block of %d: the file is damaged", dims[0], t, block)
		return
	}
	hi, size := bits.Mul64(elems/block, uint64(t.BlockBytes()))
	if hi != 0 || size > uint64(c.size) {
		c.short(at, "dimensions", "%v data of %d elements is larger than the file of %d bytes", t, elems, c.size)
	}
}

// foreignType names the types that exist but are not supported.
func foreignType(t tensor.DType) string {
	names := map[tensor.DType]string{
		9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 21: "IQ3_S", 22: "IQ2_S",
		24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0",
	}
	if n, ok := names[t]; ok {
		return " (" + n + ")"
	}
	return ""
}

// layOut makes the offsets absolute and checks that each tensor's data is aligned,
// inside the file, and its own.
func (f *File) layOut(c *cursor) {
	if c.err != nil {
		return
	}
	align := int64(f.Alignment)
	start := (int64(c.at) + align - 1) / align * align
	for i := range f.tensors {
		t := &f.tensors[i]
		at := t.Offset
		switch size := int64(t.Bytes()); {
		case at%align != 0:
			c.fail(c.at, tensorField(t.Name, "offset"), "%d is no multiple of the alignment %d: the file is damaged", at, align)
			return
		case start > f.Size() || at > f.Size()-start-size:
			c.short(c.at, tensorField(t.Name, "data"), "its %d bytes begin %d bytes after byte %d, the file has %d bytes", size, at, start, f.Size())
			return
		}
		t.Offset = start + at
	}
	f.byPlace = indices(len(f.tensors))
	slices.SortFunc(f.byPlace, func(a, b int32) int { return cmp.Compare(f.tensors[a].Offset, f.tensors[b].Offset) })
	for i := 1; i < len(f.byPlace); i++ {
		a, b := f.tensors[f.byPlace[i-1]], f.tensors[f.byPlace[i]]
		if a.Offset+int64(a.Bytes()) > b.Offset {
			c.fail(int(b.Offset), tensorField(b.Name, "offset"), "its data overlaps that of %.120q: the file is damaged", a.Name)
			return
		}
	}
}
