package kernels

import (
	"fmt"
	"os"
	"strings"
)

// isa is one instruction set's version of every operation. Lengths have been
// checked and are not zero where a comment at the exported function says so.
type isa struct {
	name string
	// supported says whether this processor and system run it.
	supported func() bool

	// Products of the quantised formats. A format without a decode function uses
	// tiles, one without a pack function the plain version of it; a set without
	// tiles the plain version of Mul.
	decode [formats]decodeFunc
	pack   [formats]packFunc
	tiles  tileFuncs
	// panels are the functions of repacked matrices; formats without are better off
	// as they are.
	panels [formats]panelFuncs
	// tileFrom is the number of activation rows from which tiles are faster,
	// plainFrom the same for the plain formats.
	tileFrom, plainFrom int
	// Products of the plain formats.
	decodePlain [formats]decodePlainFunc
	// decodeMultiple is what decodePlain wants the columns to be a multiple of.
	decodeMultiple int
	packPlain      [formats]packPlainFunc
	tilePlain      []tilePlainFunc
	plainColumns   []int // of tilePlain, nil for those of tiles

	quantize             func(dst []cell, d, m, x []float32)
	rmsNorm              func(dst, x, w []float32, eps float32)
	add                  func(dst, x []float32)
	siluMul              func(dst, gate, up []float32)
	ropeNormal, ropeNEOX func(x, cos, sin []float32)
	f32ToF16             func(dst []uint16, src []float32)
	f16ToF32             func(dst []float32, src []uint16)
	scoresF16            func(dst []float32, dstStride int, q []float32, g int, k []uint16, n, d, ahead int, scale float32)
	scoresF32            func(dst []float32, dstStride int, q []float32, g int, k []float32, n, d, ahead int, scale float32)
	weightedSumF16       func(acc, p []float32, pStride, g int, v []uint16, n, d, ahead int)
	weightedSumF32       func(acc, p []float32, pStride, g int, v []float32, n, d, ahead int)
	scoresQ8             func(dst []float32, dstStride int, q []cell, rows int, page []byte, groups, cells, ahead int, scale float32)
	splitWeights         func(digits []byte, scales, p []float32, pStride, g int, d []byte)
	weightedDigits       func(acc []float32, stride int, digits []byte, scales []float32, g int, v []byte, vStride, ahead int)
	outer                func(c, a []float32, rows, columns int, b []float32, q, m, n int, add bool)
	maxRows              func(top, s []float32, n int)
	expRows              func(s, top, sum []float32, n int, scale float32)
	scaleRows            func(c, f []float32, n int)
	max                  func(x []float32) float32
	expSum               func(x []float32, max float32) float32
	readSum              func(b []byte) uint64
	peakInt8, peakFMA    func(iters int) int64
}

// generic is plain Go, the meaning of every other table.
var generic = isa{
	name:      "generic",
	supported: func() bool { return true },

	quantize:       quantizeGeneric,
	rmsNorm:        rmsNormGeneric,
	add:            addGeneric,
	siluMul:        siluMulGeneric,
	ropeNormal:     ropeNormalGeneric,
	ropeNEOX:       ropeNEOXGeneric,
	f32ToF16:       f32ToF16Generic,
	f16ToF32:       f16ToF32Generic,
	scoresF16:      scoresF16Generic,
	scoresF32:      scoresF32Generic,
	weightedSumF16: weightedSumF16Generic,
	weightedSumF32: weightedSumF32Generic,
	scoresQ8:       scoresQ8Generic,
	splitWeights:   splitWeightsGeneric,
	weightedDigits: weightedDigitsGeneric,
	outer:          outerGeneric,
	maxRows:        maxRowsGeneric,
	expRows:        expRowsGeneric,
	scaleRows:      scaleRowsGeneric,
	max:            maxGeneric,
	expSum:         expSumGeneric,
	readSum:        readSumGeneric,
	peakInt8:       peakInt8Generic,
	peakFMA:        peakFMAGeneric,
}

// sets lists the tables from the plainest to the one to prefer.
var sets = append([]*isa{&generic}, archSets()...)

// best is the table in use, chosen once at start-up.
var (
	best    = fastest()
	ignored error // why SANDWARP_CPU is not obeyed
)

func init() {
	if name := os.Getenv("SANDWARP_CPU"); name != "" {
		ignored = Select(name)
	}
}

func fastest() *isa {
	f := &generic
	for _, s := range sets {
		if s.supported() {
			f = s
		}
	}
	return f
}

// Features describes the instruction set in use and what else there is, for logs.
func Features() string {
	s := best.name + " of " + strings.Join(Supported(), ", ")
	if ignored != nil {
		s += fmt.Sprintf(" (SANDWARP_CPU ignored: %v)", ignored)
	}
	return s
}

// Selected names the instruction set in use.
func Selected() string { return best.name }

// Ignored says why the instruction set SANDWARP_CPU names is not used; nil if it is,
// or names none.
func Ignored() error { return ignored }

// Supported names the instruction sets this machine runs, best last.
func Supported() (names []string) {
	for _, s := range sets {
		if s.supported() {
			names = append(names, s.name)
		}
	}
	return names
}

// Select chooses an instruction set by name: "generic", on amd64 "avx2", "avxvnni",
// "avx512vnni", on arm64 "neon", "dotprod", "i8mm", as Supported lists them. It must
// not be called while operations run. The environment variable SANDWARP_CPU makes the
// same choice at start-up.
func Select(name string) error {
	for _, s := range sets {
		if s.name != name {
			continue
		}
		if !s.supported() {
			return fmt.Errorf("kernels: this machine does not support %q; it has %s", name, strings.Join(Supported(), ", "))
		}
		best = s
		return nil
	}
	return fmt.Errorf("kernels: unknown instruction set %q; this machine has %s", name, strings.Join(Supported(), ", "))
}
