//go:build !noasm

package kernels

import (
	"golang.org/x/sys/cpu"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// archSets are the instruction sets of arm64, the one to prefer last. The flags
// are what the operating system says of all processors of the machine.
func archSets() []*isa {
	for _, s := range []*isa{&neon, &dotprod, &i8mm} {
		vectorsNEON(s)
		s.tiles.columns = []int{8, 4, 2, 1}
		// From where tiles are faster is estimated by counting instructions, here
		// and below: nothing has been measured on a processor.
		s.plainFrom = 4
		s.decodePlain = [formats]decodePlainFunc{
			tensor.F32: decodeF32NEON, tensor.F16: decodeF16NEON, tensor.BF16: decodeBF16NEON,
		}
		s.decodeMultiple = 8
		s.packPlain = [formats]packPlainFunc{
			tensor.F32: packF32NEON, tensor.F16: packF16NEON, tensor.BF16: packBF16NEON,
		}
		s.tilePlain = []tilePlainFunc{tilePlainx8NEON, tilePlainx4NEON, tilePlainx2NEON, tilePlainx1NEON}
	}
	q8NEON.into(&neon)
	q8DotProd.into(&dotprod)
	q8DotProd.into(&i8mm)
	i8mm.decode = dotprod.decode
	for _, s := range []*isa{&dotprod, &i8mm} {
		s.pack = packsNEON
		s.tileFrom = 3
	}
	return []*isa{&neon, &dotprod, &i8mm}
}

var packsNEON = [formats]packFunc{
	tensor.Q4_0: packQ4_0NEON, tensor.Q4_1: packQ4_1NEON, tensor.Q5_0: packQ5_0NEON,
	tensor.Q5_1: packQ5_1NEON, tensor.Q8_0: packQ8_0NEON, tensor.Q2_K: packQ2KNEON,
	tensor.Q3_K: packQ3KNEON, tensor.Q4_K: packQ4KNEON, tensor.Q5_K: packQ5KNEON,
	tensor.Q6_K: packQ6KNEON, tensor.IQ4_NL: packIQ4NLNEON, tensor.IQ4_XS: packIQ4XSNEON,
	tensor.MXFP4: packMXFP4NEON,
}

// neon is for every arm64 processor: Cortex-A53, A57, A72 (Raspberry Pi 4) have
// no more. Without products of four bytes a tile saves no instructions, so each activation
// row goes through the matrix-vector functions.
var neon = isa{
	name:      "neon",
	supported: func() bool { return cpu.ARM64.HasASIMD },

	decode: [formats]decodeFunc{
		tensor.Q4_0: decodeQ4_0NEON, tensor.Q4_1: decodeQ4_1NEON, tensor.Q5_0: decodeQ5_0NEON,
		tensor.Q5_1: decodeQ5_1NEON, tensor.Q8_0: decodeQ8_0NEON, tensor.Q2_K: decodeQ2KNEON,
		tensor.Q3_K: decodeQ3KNEON, tensor.Q4_K: decodeQ4KNEON, tensor.Q5_K: decodeQ5KNEON,
		tensor.Q6_K: decodeQ6KNEON, tensor.IQ4_NL: decodeIQ4NLNEON, tensor.IQ4_XS: decodeIQ4XSNEON,
		tensor.MXFP4: decodeMXFP4NEON,
	},

	peakInt8: func(n int) int64 { peakInt8NEON(n); return int64(n) * 8 * 32 },
}

// dotprod is for Cortex-A55, A76 (Raspberry Pi 5), Neoverse N1, Apple M1 and
// later.
var dotprod = isa{
	name:      "dotprod",
	supported: func() bool { return cpu.ARM64.HasASIMD && cpu.ARM64.HasASIMDDP },

	decode: [formats]decodeFunc{
		tensor.Q4_0: decodeQ4_0DotProd, tensor.Q4_1: decodeQ4_1DotProd, tensor.Q5_0: decodeQ5_0DotProd,
		tensor.Q5_1: decodeQ5_1DotProd, tensor.Q8_0: decodeQ8_0DotProd, tensor.Q2_K: decodeQ2KDotProd,
		tensor.Q3_K: decodeQ3KDotProd, tensor.Q4_K: decodeQ4KDotProd, tensor.Q5_K: decodeQ5KDotProd,
		tensor.Q6_K: decodeQ6KDotProd, tensor.IQ4_NL: decodeIQ4NLDotProd, tensor.IQ4_XS: decodeIQ4XSDotProd,
		tensor.MXFP4: decodeMXFP4DotProd,
	},
	tiles: tileFuncs{mul: &[2][2][]tileFunc{
		{{tile32x8DotProd, tile32x4DotProd, tile32x2DotProd, tile32x1DotProd}, {tile32Mx8DotProd, tile32Mx4DotProd, tile32Mx2DotProd, tile32Mx1DotProd}},
		{{tile16x8DotProd, tile16x4DotProd, tile16x2DotProd, tile16x1DotProd}, {tile16Mx8DotProd, tile16Mx4DotProd, tile16Mx2DotProd, tile16Mx1DotProd}}},
	},

	peakInt8: func(n int) int64 { peakInt8DotProd(n); return int64(n) * 16 * 32 },
}

// i8mm is for Cortex-A510, A710, Neoverse V1, N2, Apple M2 and later. One
// activation row is no matrix, so decoding is dotprod's.
var i8mm = isa{
	name:      "i8mm",
	supported: func() bool { return dotprod.supported() && cpu.ARM64.HasI8MM },

	tiles: tileFuncs{mul: &[2][2][]tileFunc{
		{{tile32x8I8MM, tile32x4I8MM, tile32x2I8MM, tile32x1DotProd}, {tile32Mx8I8MM, tile32Mx4I8MM, tile32Mx2I8MM, tile32Mx1DotProd}},
		{{tile16x8I8MM, tile16x4I8MM, tile16x2I8MM, tile16x1DotProd}, {tile16Mx8I8MM, tile16Mx4I8MM, tile16Mx2I8MM, tile16Mx1DotProd}}},
	},

	peakInt8: func(n int) int64 { peakInt8I8MM(n); return int64(n) * 16 * 64 },
}
