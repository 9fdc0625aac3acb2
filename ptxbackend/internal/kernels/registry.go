package kernels

import (
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Representatives are a specialisation of each kernel, in the shapes of models of
// about 8 billion parameters where the text stays short enough to read. Their texts
// are in testdata.
func Representatives() []Config {
	batch := BatchLayout{MaxRows: 512, MaxLogit: 64}
	heads := AttnShape{Heads: 32, KVHeads: 8, KeyDim: 128, ValueDim: 128}
	small := AttnShape{Heads: 14, KVHeads: 2, KeyDim: 64, ValueDim: 64}
	top := TopK{Vocab: 151936, K: 256}
	const width, ff = 4096, 14336
	return []Config{
		Embed{Layout: Layout{FormatF16, top.Vocab, width}, Batch: batch},
		Elem{Op: OpAdd, Cols: width},
		Elem{Op: OpSiLUMul, Cols: ff, T: 8},
		Elem{Op: OpCopy, Cols: width, T: 8, Select: true, Batch: batch},
		RMSNorm{Cols: width},
		RMSNorm{Cols: width, T: 64, Select: true, Batch: batch},
		RopeAppend{Batch: batch, Heads: 32, KVHeads: 8, KeyDim: 128, ValueDim: 128, Dims: 128, NEOX: true},
		GEMV{Mats: []Layout{{FormatQ4_0, width, width}, {FormatQ4_0, 1024, width}, {FormatQ4_0, 1024, width}}, T: 1, Norm: true, Bias: true},
		GEMV{Mats: []Layout{{FormatQ4_0, 2 * ff, width}}, T: 8, Out: SiLUMulPack},
		AttnDecode{AttnShape: heads, MaxRows: 64}.Fit(hopper),
		AttnPrefill{AttnShape: small}.Fit(hopper),
		AttnGeneral{heads},
		GEMM{Mats: []Layout{{FormatQ4_0, width, width}}, Bias: true,
			Tile: GEMMTile{Warps: 4, RowTiles: 1, Tokens: 64, Stages: 4, Blocks: 3}},
		GEMM{Mats: []Layout{{FormatQ4_0, width, ff}}, Out: AddResidual,
			Tile: GEMMTile{Wgmma: true, Warps: 4, RowTiles: 2, Tokens: 64, Stages: 8, Blocks: 2}},
		top.Slices(),
		top.Merge(),
		Stream{Unroll: 8},
		MatrixPeak{}, MatrixPeak{Wgmma: true},
	}
}

// All are the Representatives and what else has to run on hardware before the
// kernels count as verified: every format in every kernel that reads weights, every
// epilogue, and other shapes of heads.
func All() []Config {
	batch := BatchLayout{MaxRows: 512, MaxLogit: 64}
	const width, ff, vocab = 4096, 14336, 151936
	all := append(Representatives(),
		Elem{Op: OpSiLUMul, Cols: 4864},
		GEMV{Mats: []Layout{{FormatF16, vocab, width}}, T: 1, Norm: true, Select: true, Batch: batch},
		GEMV{Mats: []Layout{{FormatQ4_K, width, width}, {FormatQ4_K, 1024, width}, {FormatQ6_K, 1024, width}}, T: 4, Norm: true},
		GEMV{Mats: []Layout{{FormatQ8_0, 896, 896}}, T: 64, Shared: hopper.SharedPerBlock},
		RMSNorm{Cols: width, T: 1},
		RopeAppend{Batch: batch, Heads: 14, KVHeads: 2, KeyDim: 64, ValueDim: 64, Dims: 64, QNorm: true, KNorm: true,
			QStride: 1152, KStride: 1152, VStride: 1152},
		AttnPrefill{AttnShape: AttnShape{32, 8, 128, 128}}.Fit(hopper),
		AttnPrefill{AttnShape: AttnShape{32, 8, 128, 128}, Queries: 128, Keys: 128, Wgmma: true},
		AttnPrefill{AttnShape: AttnShape{14, 2, 64, 64}, Queries: 128, Keys: 128, Wgmma: true},
		AttnDecode{AttnShape: AttnShape{14, 2, 64, 64}, MaxRows: 64}.Fit(hopper),
		AttnDecode{AttnShape: AttnShape{16, 1, 256, 256}, MaxRows: 64}.Fit(hopper),
		Stream{Unroll: 8, Copy: true},
	)
	for _, f := range Formats() {
		if f != FormatF16 {
			all = append(all, Embed{Layout: Layout{f, vocab, width}, Batch: batch})
		}
		all = append(all, GEMV{Mats: []Layout{{f, 2 * ff, width}}, T: 1, Norm: true, Out: SiLUMulPack},
			GEMV{Mats: []Layout{{f, width, ff}}, T: 1, Out: AddResidual}, GEMV{Mats: []Layout{{f, width, width}}, T: 16, Shared: hopper.SharedPerBlock})
		one, two := Layout{f, width, width}, Layout{f, 2 * ff, width}
		for _, target := range []ptx.Target{ptx.SM80, ptx.SM90a} {
			all = append(all, GEMM{Mats: []Layout{one}, Out: AddResidual}.Variants(target)[0],
				GEMM{Mats: []Layout{two}, Out: SiLUMulPack}.Variants(target)[0])
		}
	}
	return all
}

// hopper is what Fit asks of an H200.
var hopper = driver.Info{SharedPerBlock: 227 << 10, SharedPerSM: 228 << 10}

// TargetsOf are the targets c is built for: all, but for a kernel that says which.
func TargetsOf(c Config) []ptx.Target {
	if some, ok := c.(interface{ Targets() []ptx.Target }); ok {
		return some.Targets()
	}
	return []ptx.Target{ptx.SM80, ptx.SM90a}
}
