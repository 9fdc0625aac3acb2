package kernels

import (
	"fmt"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Format is how a weight matrix lies on the device.
type Format uint8

// The formats. What is stored as something else in the file becomes FormatF16.
const (
	FormatF16 Format = iota
	FormatQ8_0
	FormatQ4_0
	FormatQ5_0
	FormatQ4_K
	FormatQ5_K
	FormatQ6_K
	FormatMXFP4
	numFormats
)

// Formats lists them.
func Formats() []Format {
	return []Format{FormatF16, FormatQ8_0, FormatQ4_0, FormatQ5_0, FormatQ4_K, FormatQ5_K, FormatQ6_K, FormatMXFP4}
}

// FormatOf is the format a matrix of type t is repacked to.
func FormatOf(t tensor.DType) Format {
	for f := FormatF16 + 1; f < numFormats; f++ {
		if formats[f].dtype == t {
			return f
		}
	}
	return FormatF16
}

// formatInfo describes a unit, 16 rows by parts*64 columns: for each part the
// codes, then extra code bits of all parts, then the scales. All are in bytes.
type formatInfo struct {
	dtype tensor.DType
	parts int
	codes int // of a lane and part, loaded 16 at a time
	high  int // further bits of the codes, of a lane and unit
	scale int // of a row and unit; rows g and g+8 lie side by side
	super int // scale of the scales, of a row, after all scale
}

var formats = [numFormats]formatInfo{
	FormatF16:   {dtype: tensor.F16, parts: 1, codes: 64},
	FormatQ8_0:  {dtype: tensor.Q8_0, parts: 1, codes: 32, scale: 4},
	FormatQ4_0:  {dtype: tensor.Q4_0, parts: 1, codes: 16, scale: 4},
	FormatQ5_0:  {dtype: tensor.Q5_0, parts: 1, codes: 16, high: 4, scale: 4},
	FormatQ4_K:  {dtype: tensor.Q4_K, parts: 4, codes: 16, scale: 16},
	FormatQ5_K:  {dtype: tensor.Q5_K, parts: 4, codes: 16, high: 16, scale: 16},
	FormatQ6_K:  {dtype: tensor.Q6_K, parts: 4, codes: 16, high: 32, scale: 16, super: 2},
	FormatMXFP4: {dtype: tensor.MXFP4, parts: 1, codes: 16, scale: 2},
}

func (f Format) String() string {
	if f < numFormats {
		return formats[f].dtype.String()
	}
	return fmt.Sprintf("Format(%d)", uint8(f))
}

// Parts is how many times 64 columns a unit has.
func (f Format) Parts() int { return formats[f].parts }

// UnitBytes is the size of a unit, a multiple of 32.
func (f Format) UnitBytes() int { i := formats[f]; return f.superAt() + 16*i.super }

// Where the pieces of a unit begin.
func (f Format) highAt() int  { i := formats[f]; return 32 * i.codes * i.parts }
func (f Format) scaleAt() int { return f.highAt() + 32*formats[f].high }
func (f Format) superAt() int { return f.scaleAt() + 16*formats[f].scale }
