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

// parseTensors takes n descriptions and returns where in the file each begins.
func (f *File) parseTensors(c *cursor, n int) (starts []int32) {
	if c.err != nil {
		return nil
	}
	f.tensors = make([]Tensor, n)
	starts = make([]int32, n)
	var shapes []int // shared by many tensors: a shape of its own for each would double the memory
	for i := 0; i < n && c.err == nil; i++ {
		if cap(shapes)-len(shapes) < maxDims {
			shapes = make([]int, 0, min(n-i, 1024)*maxDims)
		}
		starts[i] = int32(c.at)
		f.tensors[i], shapes = c.tensor(i, shapes)
	}
	c.record, c.name = "", ""
	if c.err != nil {
		return nil
	}
	f.byName = sortedBy(n, func(i int32) string { return f.tensors[i].Name })
	for k := 1; k < n; k++ {
		i, j := f.byName[k-1], f.byName[k]
		if name := f.tensors[i].Name; name == f.tensors[j].Name {
			c.fail(int(max(starts[i], starts[j])), tensorField(name, "name"), "the name appears twice: the file is damaged")
			return nil
		}
	}
	return starts
}

func tensorField(name, part string) string { return fmt.Sprintf("tensor %.120q %s", name, part) }

// tensor takes one tensor's description and appends its shape to shapes. Its
// Offset is still relative to the start of the data; layOut makes it absolute.
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

// checkShape makes sure that the data's size can be computed without overflow and
// is no larger than the file.
func (c *cursor) checkShape(dims []uint64, t tensor.DType, at int) {
	size, problem := dataSize(dims, t)
	switch {
	case problem != "":
		c.fail(at, "dimensions", "%s: the file is damaged", problem)
	case size > uint64(c.size):
		c.short(at, "dimensions", "%v data of shape %d takes %d bytes, more than the whole file of %d", t, dims, size, c.size)
	}
}

// dataSize is the number of bytes a tensor takes. dims are in the order of the
// file, the contiguous dimension first. The problem is "" if there is none.
func dataSize(dims []uint64, t tensor.DType) (size uint64, problem string) {
	if !t.Valid() || len(dims) == 0 {
		return 0, ""
	}
	elems := uint64(1)
	for _, d := range dims {
		if d == 0 || d > math.MaxInt {
			return 0, fmt.Sprintf("dimension %d of %d is out of range", int64(d), dims)
		}
		hi, lo := bits.Mul64(elems, d)
		if hi != 0 || lo > math.MaxInt {
			return 0, fmt.Sprintf("shape %d has more elements than can be counted", dims)
		}
		elems = lo
	}
	block := uint64(t.BlockElems())
	if dims[0]%block != 0 {
		return 0, fmt.Sprintf("a row of %d elements is no multiple of the %d in a block of %v", dims[0], block, t)
	}
	hi, size := bits.Mul64(elems/block, uint64(t.BlockBytes()))
	if hi != 0 || size > math.MaxInt {
		return 0, fmt.Sprintf("%v data of shape %d is larger than can be addressed", t, dims)
	}
	return size, ""
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
// inside the file, and its own. starts is where each description begins.
func (f *File) layOut(c *cursor, starts []int32) {
	if c.err != nil {
		return
	}
	align := int64(f.Alignment)
	base := (int64(c.at) + align - 1) / align * align // where the data begins
	for i := range f.tensors {
		t := &f.tensors[i]
		size, at := int64(t.Bytes()), t.Offset
		switch {
		case at%align != 0:
			c.fail(offsetPlace(*t, starts[i]), tensorField(t.Name, "offset"), "%d is no multiple of the alignment %d: the file is damaged", at, align)
			return
		case at > f.Size()-base-size:
			c.short(offsetPlace(*t, starts[i]), tensorField(t.Name, "offset"), "its %d bytes begin %d bytes after byte %d, the file has %d bytes", size, at, base, f.Size())
			return
		}
		t.Offset = base + at
	}
	f.byPlace = indices(len(f.tensors))
	slices.SortFunc(f.byPlace, func(a, b int32) int { return cmp.Compare(f.tensors[a].Offset, f.tensors[b].Offset) })
	for k := 1; k < len(f.byPlace); k++ {
		a, j := f.tensors[f.byPlace[k-1]], f.byPlace[k]
		if b := f.tensors[j]; a.Offset+int64(a.Bytes()) > b.Offset {
			c.fail(offsetPlace(b, starts[j]), tensorField(b.Name, "offset"), "its data overlaps that of %.120q: the file is damaged", a.Name)
			return
		}
	}
}

// offsetPlace is where the file holds a tensor's offset.
func offsetPlace(t Tensor, start int32) int {
	return int(start) + 8 + len(t.Name) + 4 + 8*len(t.Shape) + 4
}
