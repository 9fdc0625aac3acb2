package tensor

import (
	"fmt"
	"strings"
)

// Desc describes a tensor without holding its data.
type Desc struct {
	Name  string
	DType DType
	// Shape is in row-major order: the last dimension is contiguous in memory.
	// (GGUF files store the reverse.)
	Shape []int
}

// Elems is the number of elements.
func (d Desc) Elems() int {
	n := 1
	for _, s := range d.Shape {
		n *= s
	}
	return n
}

// RowLen is the length of the contiguous dimension.
func (d Desc) RowLen() int {
	if len(d.Shape) == 0 {
		return 1
	}
	return d.Shape[len(d.Shape)-1]
}

// Rows is the number of contiguous rows, Elems / RowLen.
func (d Desc) Rows() int {
	n := 1
	for i := 0; i+1 < len(d.Shape); i++ {
		n *= d.Shape[i]
	}
	return n
}

// Bytes is the size of the data.
func (d Desc) Bytes() int { return d.Rows() * d.DType.RowBytes(d.RowLen()) }

// String is for people and golden files: "blk.0.attn_q.weight Q8_0[64 64]".
func (d Desc) String() string {
	s := make([]string, len(d.Shape))
	for i, n := range d.Shape {
		s[i] = fmt.Sprint(n)
	}
	return fmt.Sprintf("%s %v[%s]", d.Name, d.DType, strings.Join(s, " "))
}
