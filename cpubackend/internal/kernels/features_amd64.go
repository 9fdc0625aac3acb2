//go:build !noasm

package kernels

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// archSets are the instruction sets of amd64, the one to prefer last. Each flag of
// cpuid includes that the operating system keeps the registers.
func archSets() []*isa {
	vectorsAVX2.into(&avx2)
	vectorsAVX2.into(&avxvnni)
	vectorsAVX512.into(&avx512vnni)
	tileAVX2.into(&avx2)
	tileAVX2.into(&avxvnni)
	tileAVX512.into(&avx512vnni)
	q8AVX2.into(&avx2)
	q8AVXVNNI.into(&avxvnni)
	q8AVX512.into(&avx512vnni)
	return []*isa{&avx2, &avxvnni, &avx512vnni}
}

func hasAVX2() bool {
	return cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.BMI2)
}

// avx2 is for Haswell and Zen and later.
var avx2 = isa{
	name:      "avx2",
	supported: func() bool { return hasAVX2() },

	decode: [formats]decodeFunc{
		tensor.Q4_0: decodeQ4_0AVX2, tensor.Q4_1: decodeQ4_1AVX2, tensor.Q5_0: decodeQ5_0AVX2,
		tensor.Q5_1: decodeQ5_1AVX2, tensor.Q8_0: decodeQ8_0AVX2, tensor.Q4_K: decodeQ4KAVX2,
		tensor.Q5_K: decodeQ5KAVX2, tensor.Q6_K: decodeQ6KAVX2, tensor.IQ4_NL: decodeIQ4NLAVX2,
		tensor.MXFP4: decodeMXFP4AVX2,
	},
	pack: [formats]packFunc{
		tensor.Q4_0: packQ4_0AVX2, tensor.Q4_1: packQ4_1AVX2, tensor.Q5_0: packQ5_0AVX2,
		tensor.Q5_1: packQ5_1AVX2, tensor.Q8_0: packQ8_0AVX2, tensor.Q4_K: packQ4KAVX2,
		tensor.Q5_K: packQ5KAVX2, tensor.Q6_K: packQ6KAVX2, tensor.IQ4_NL: packIQ4NLAVX2,
		tensor.MXFP4: packMXFP4AVX2, tensor.Q2_K: packQ2KAVX2, tensor.Q3_K: packQ3KAVX2,
		tensor.IQ4_XS: packIQ4XSAVX2,
	},
	tiles: tileFuncs{
		columns: []int{4, 2, 1},
		mul: &[2][2][]tileFunc{
			{{tile32x4AVX2, tile32x2AVX2, tile32x1AVX2}, {tile32Mx4AVX2, tile32Mx2AVX2, tile32Mx1AVX2}},
			{{tile16x4AVX2, tile16x2AVX2, tile16x1AVX2}, {tile16Mx4AVX2, tile16Mx2AVX2, tile16Mx1AVX2}}},
	},
	tileFrom: 2, plainFrom: 6,

	decodePlain: [formats]decodePlainFunc{
		tensor.F32: decodeF32AVX2, tensor.F16: decodeF16AVX2, tensor.BF16: decodeBF16AVX2,
	},
	decodeMultiple: 8,
	packPlain: [formats]packPlainFunc{
		tensor.F32: packF32AVX2, tensor.F16: packF16AVX2, tensor.BF16: packBF16AVX2,
	},
	tilePlain: []tilePlainFunc{tilePlainx4AVX2, tilePlainx2AVX2, tilePlainx1AVX2},

	quantize: func(dst []cell, d, m, x []float32) { quantizeAVX2(dst[0].bytes(), &d[0], &m[0], &x[0], len(dst)) },

	peakInt8: func(n int) int64 { peakInt8AVX2(n); return int64(n) * 10 * 64 },
	peakFMA:  func(n int) int64 { peakFMAAVX2(n); return int64(n) * 12 * 16 },
}

// avxvnni is for Alder Lake and later, which have no AVX-512.
var avxvnni = isa{
	name:      "avxvnni",
	supported: func() bool { return hasAVX2() && cpuid.CPU.Supports(cpuid.AVXVNNI) },

	decode: [formats]decodeFunc{
		tensor.Q4_0: decodeQ4_0AVXVNNI, tensor.Q4_1: decodeQ4_1AVXVNNI, tensor.Q5_0: decodeQ5_0AVXVNNI,
		tensor.Q5_1: decodeQ5_1AVXVNNI, tensor.Q8_0: decodeQ8_0AVXVNNI, tensor.Q4_K: decodeQ4KAVXVNNI,
		tensor.Q5_K: decodeQ5KAVXVNNI, tensor.Q6_K: decodeQ6KAVXVNNI, tensor.IQ4_NL: decodeIQ4NLAVXVNNI,
		tensor.MXFP4: decodeMXFP4AVXVNNI,
	},
	pack: [formats]packFunc{
		tensor.Q4_0: packQ4_0AVX2, tensor.Q4_1: packQ4_1AVX2, tensor.Q5_0: packQ5_0AVX2,
		tensor.Q5_1: packQ5_1AVX2, tensor.Q8_0: packQ8_0AVX2, tensor.Q4_K: packQ4KAVX2,
		tensor.Q5_K: packQ5KAVX2, tensor.Q6_K: packQ6KAVX2, tensor.IQ4_NL: packIQ4NLAVX2,
		tensor.MXFP4: packMXFP4AVX2, tensor.Q2_K: packQ2KAVX2, tensor.Q3_K: packQ3KAVX2,
		tensor.IQ4_XS: packIQ4XSAVX2,
	},
	tiles: tileFuncs{
		columns: []int{3, 2, 1},
		mul: &[2][2][]tileFunc{
			{{tile32x3AVXVNNI, tile32x2AVXVNNI, tile32x1AVXVNNI}, {tile32Mx3AVXVNNI, tile32Mx2AVXVNNI, tile32Mx1AVXVNNI}},
			{{tile16x3AVXVNNI, tile16x2AVXVNNI, tile16x1AVXVNNI}, {tile16Mx3AVXVNNI, tile16Mx2AVXVNNI, tile16Mx1AVXVNNI}}},
	},
	tileFrom: 2, plainFrom: 6,

	decodePlain: [formats]decodePlainFunc{
		tensor.F32: decodeF32AVX2, tensor.F16: decodeF16AVX2, tensor.BF16: decodeBF16AVX2,
	},
	decodeMultiple: 8,
	packPlain: [formats]packPlainFunc{
		tensor.F32: packF32AVX2, tensor.F16: packF16AVX2, tensor.BF16: packBF16AVX2,
	},
	plainColumns: []int{4, 2, 1},
	tilePlain:    []tilePlainFunc{tilePlainx4AVX2, tilePlainx2AVX2, tilePlainx1AVX2},

	quantize: func(dst []cell, d, m, x []float32) { quantizeAVX2(dst[0].bytes(), &d[0], &m[0], &x[0], len(dst)) },

	peakInt8: func(n int) int64 { peakInt8AVXVNNI(n); return int64(n) * 12 * 64 },
	peakFMA:  func(n int) int64 { peakFMAAVX2(n); return int64(n) * 12 * 16 },
}

// avx512vnni is for Zen 4 and later, Ice Lake and later servers, and the like.
var avx512vnni = isa{
	name: "avx512vnni",
	supported: func() bool {
		return hasAVX2() && cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512DQ, cpuid.AVX512VNNI)
	},

	decode: [formats]decodeFunc{
		tensor.Q4_0: decodeQ4_0AVX512, tensor.Q4_1: decodeQ4_1AVX512, tensor.Q5_0: decodeQ5_0AVX512,
		tensor.Q5_1: decodeQ5_1AVX512, tensor.Q8_0: decodeQ8_0AVX512, tensor.Q4_K: decodeQ4KAVX512,
		tensor.Q5_K: decodeQ5KAVX512, tensor.Q6_K: decodeQ6KAVX512, tensor.IQ4_NL: decodeIQ4NLAVX512,
		tensor.MXFP4: decodeMXFP4AVX512,
	},
	pack: [formats]packFunc{
		tensor.Q4_0: packQ4_0AVX512, tensor.Q4_1: packQ4_1AVX512, tensor.Q5_0: packQ5_0AVX512,
		tensor.Q5_1: packQ5_1AVX512, tensor.Q8_0: packQ8_0AVX512, tensor.Q4_K: packQ4KAVX512,
		tensor.Q5_K: packQ5KAVX512, tensor.Q6_K: packQ6KAVX512, tensor.IQ4_NL: packIQ4NLAVX512,
		tensor.MXFP4: packMXFP4AVX512, tensor.Q2_K: packQ2KAVX512, tensor.Q3_K: packQ3KAVX512,
		tensor.IQ4_XS: packIQ4XSAVX512,
	},
	tiles: tileFuncs{
		columns: []int{12, 8, 4, 2, 1},
		mul: &[2][2][]tileFunc{
			{{tile32x12AVX512, tile32x8AVX512, tile32x4AVX512, tile32x2AVX512, tile32x1AVX512}, {tile32Mx12AVX512, tile32Mx8AVX512, tile32Mx4AVX512, tile32Mx2AVX512, tile32Mx1AVX512}},
			{{tile16x12AVX512, tile16x8AVX512, tile16x4AVX512, tile16x2AVX512, tile16x1AVX512}, {tile16Mx12AVX512, tile16Mx8AVX512, tile16Mx4AVX512, tile16Mx2AVX512, tile16Mx1AVX512}}},
		pairColumns: []int{6, 5, 4, 3, 2, 1},
		pair: &[2][2][]pairFunc{
			{{pair32x6AVX512, pair32x5AVX512, pair32x4AVX512, pair32x3AVX512, pair32x2AVX512, pair32x1AVX512}, {pair32Mx6AVX512, pair32Mx5AVX512, pair32Mx4AVX512, pair32Mx3AVX512, pair32Mx2AVX512, pair32Mx1AVX512}},
			{{pair16x6AVX512, pair16x5AVX512, pair16x4AVX512, pair16x3AVX512, pair16x2AVX512, pair16x1AVX512}, {pair16Mx6AVX512, pair16Mx5AVX512, pair16Mx4AVX512, pair16Mx3AVX512, pair16Mx2AVX512, pair16Mx1AVX512}}},
	},
	panels: [formats]panelFuncs{
		tensor.Q4_0:   {packQ4_0AVX512, narrow4_0AVX512, unpackQ4_0AVX512, []panelFunc{mulQ4_0x8AVX512, mulQ4_0x4AVX512, mulQ4_0x2AVX512, mulQ4_0x1AVX512}},
		tensor.Q4_1:   {packQ4_1AVX512, narrow4_0AVX512, unpackQ4_1AVX512, []panelFunc{mulQ4_1x8AVX512, mulQ4_1x4AVX512, mulQ4_1x2AVX512, mulQ4_1x1AVX512}},
		tensor.Q5_0:   {packQ5_0AVX512, narrow4_1AVX512, unpackQ5_0AVX512, []panelFunc{mulQ5_0x8AVX512, mulQ5_0x4AVX512, mulQ5_0x2AVX512, mulQ5_0x1AVX512}},
		tensor.Q5_1:   {packQ5_1AVX512, narrow4_1AVX512, unpackQ5_1AVX512, []panelFunc{mulQ5_1x8AVX512, mulQ5_1x4AVX512, mulQ5_1x2AVX512, mulQ5_1x1AVX512}},
		tensor.Q8_0:   {packQ8_0AVX512, narrow8_0AVX512, unpackQ8_0AVX512, []panelFunc{mulQ8_0x8AVX512, mulQ8_0x4AVX512, mulQ8_0x2AVX512, mulQ8_0x1AVX512}},
		tensor.Q4_K:   {packQ4KAVX512, narrow4_0AVX512, unpackQ4KAVX512, []panelFunc{mulQ4Kx8AVX512, mulQ4Kx4AVX512, mulQ4Kx2AVX512, mulQ4Kx1AVX512}},
		tensor.Q5_K:   {packQ5KAVX512, narrow4_1AVX512, unpackQ5KAVX512, []panelFunc{mulQ5Kx8AVX512, mulQ5Kx4AVX512, mulQ5Kx2AVX512, mulQ5Kx1AVX512}},
		tensor.Q6_K:   {packQ6KAVX512, narrow4_2AVX512, unpackQ6KAVX512, []panelFunc{mulQ6Kx8AVX512, mulQ6Kx4AVX512, mulQ6Kx2AVX512, mulQ6Kx1AVX512}},
		tensor.Q2_K:   {packQ2KAVX512, narrow2_0AVX512, unpackQ2KAVX512, []panelFunc{mulQ2Kx8AVX512, mulQ2Kx4AVX512, mulQ2Kx2AVX512, mulQ2Kx1AVX512}},
		tensor.Q3_K:   {packQ3KAVX512, narrow2_1AVX512, unpackQ3KAVX512, []panelFunc{mulQ3Kx8AVX512, mulQ3Kx4AVX512, mulQ3Kx2AVX512, mulQ3Kx1AVX512}},
		tensor.IQ4_NL: {packQ4_0AVX512, narrow4_0AVX512, unpackIQ4NLAVX512, []panelFunc{mulIQ4NLx8AVX512, mulIQ4NLx4AVX512, mulIQ4NLx2AVX512, mulIQ4NLx1AVX512}},
		tensor.IQ4_XS: {packIQ4XSCodesAVX512, narrow4_0AVX512, unpackIQ4XSAVX512, []panelFunc{mulIQ4XSx8AVX512, mulIQ4XSx4AVX512, mulIQ4XSx2AVX512, mulIQ4XSx1AVX512}},
		tensor.MXFP4:  {packMXFP4CodesAVX512, narrow4_0AVX512, unpackMXFP4AVX512, []panelFunc{mulMXFP4x8AVX512, mulMXFP4x4AVX512, mulMXFP4x2AVX512, mulMXFP4x1AVX512}},
	},
	tileFrom: 2, plainFrom: 6,

	decodePlain: [formats]decodePlainFunc{
		tensor.F32: decodeF32AVX512, tensor.F16: decodeF16AVX512, tensor.BF16: decodeBF16AVX512,
	},
	decodeMultiple: 1,
	packPlain: [formats]packPlainFunc{
		tensor.F32: packF32AVX512, tensor.F16: packF16AVX512, tensor.BF16: packBF16AVX512,
	},
	tilePlain: []tilePlainFunc{tilePlainx12AVX512, tilePlainx8AVX512, tilePlainx4AVX512, tilePlainx2AVX512, tilePlainx1AVX512},

	quantize: func(dst []cell, d, m, x []float32) { quantizeAVX512(dst[0].bytes(), &d[0], &m[0], &x[0], len(dst)) },

	peakInt8: func(n int) int64 { peakInt8AVX512(n); return int64(n) * 16 * 128 },
	peakFMA:  func(n int) int64 { peakFMAAVX512(n); return int64(n) * 12 * 32 },
}

var vectorsAVX512 = vectors{
	lanes: 16, sumSquares: sumSquaresAVX512, scaleMul: scaleMulAVX512, addTo: addAVX512, silu: siluMulAVX512,
	normal: ropeNormalAVX512, neox: ropeNEOXAVX512, narrow: f32ToF16AVX512, wide: f16ToF32AVX512,
	top: maxAVX512, exp: expSumAVX512, read: readSumAVX512,
	score: [2][4]func(*float32, int, *byte, *byte, int, int, int, float32){
		{scoresF16x1AVX512, scoresF16x2AVX512, scoresF16x3AVX512, scoresF16x4AVX512},
		{scoresF32x1AVX512, scoresF32x2AVX512, scoresF32x3AVX512, scoresF32x4AVX512}},
	weigh: [2][4][3]func(*float32, int, *float32, int, *byte, int, int, int){
		{{weightedSumF16x1x1AVX512, weightedSumF16x1x2AVX512, weightedSumF16x1x4AVX512}, {weightedSumF16x2x1AVX512, weightedSumF16x2x2AVX512, weightedSumF16x2x4AVX512}, {weightedSumF16x3x1AVX512, weightedSumF16x3x2AVX512, weightedSumF16x3x4AVX512}, {weightedSumF16x4x1AVX512, weightedSumF16x4x2AVX512, weightedSumF16x4x4AVX512}},
		{{weightedSumF32x1x1AVX512, weightedSumF32x1x2AVX512, weightedSumF32x1x4AVX512}, {weightedSumF32x2x1AVX512, weightedSumF32x2x2AVX512, weightedSumF32x2x4AVX512}, {weightedSumF32x3x1AVX512, weightedSumF32x3x2AVX512, weightedSumF32x3x4AVX512}, {weightedSumF32x4x1AVX512, weightedSumF32x4x2AVX512, weightedSumF32x4x4AVX512}}},
}

var vectorsAVX2 = vectors{
	lanes: 8, sumSquares: sumSquaresAVX2, scaleMul: scaleMulAVX2, addTo: addAVX2, silu: siluMulAVX2,
	normal: ropeNormalAVX2, neox: ropeNEOXAVX2, narrow: f32ToF16AVX2, wide: f16ToF32AVX2,
	top: maxAVX2, exp: expSumAVX2, read: readSumAVX2,
	score: [2][4]func(*float32, int, *byte, *byte, int, int, int, float32){
		{scoresF16x1AVX2, scoresF16x2AVX2, scoresF16x3AVX2, scoresF16x4AVX2},
		{scoresF32x1AVX2, scoresF32x2AVX2, scoresF32x3AVX2, scoresF32x4AVX2}},
	weigh: [2][4][3]func(*float32, int, *float32, int, *byte, int, int, int){
		{{weightedSumF16x1x1AVX2, weightedSumF16x1x2AVX2, weightedSumF16x1x4AVX2}, {weightedSumF16x2x1AVX2, weightedSumF16x2x2AVX2, weightedSumF16x2x4AVX2}, {weightedSumF16x3x1AVX2, weightedSumF16x3x2AVX2, nil}, {weightedSumF16x4x1AVX2, weightedSumF16x4x2AVX2, nil}},
		{{weightedSumF32x1x1AVX2, weightedSumF32x1x2AVX2, weightedSumF32x1x4AVX2}, {weightedSumF32x2x1AVX2, weightedSumF32x2x2AVX2, weightedSumF32x2x4AVX2}, {weightedSumF32x3x1AVX2, weightedSumF32x3x2AVX2, nil}, {weightedSumF32x4x1AVX2, weightedSumF32x4x2AVX2, nil}}},
}
