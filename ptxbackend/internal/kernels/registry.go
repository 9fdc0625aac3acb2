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
		MatrixPeak{},
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
		RMSNorm{Cols: width, T: 1},
		RopeAppend{Batch: batch, Heads: 14, KVHeads: 2, KeyDim: 64, ValueDim: 64, Dims: 64, QNorm: true, KNorm: true,
			QStride: 1152, KStride: 1152, VStride: 1152},
		AttnPrefill{AttnShape: AttnShape{32, 8, 128, 128}}.Fit(hopper),
		AttnDecode{AttnShape: AttnShape{14, 2, 64, 64}, MaxRows: 64}.Fit(hopper),
		AttnDecode{AttnShape: AttnShape{16, 1, 256, 256}, MaxRows: 64}.Fit(hopper),
		Stream{Unroll: 8, Copy: true},
	)
	for _, f := range Formats() {
		if f != FormatF16 {
			all = append(all, Embed{Layout: Layout{f, vocab, width}, Batch: batch})
		}
		one, two := Layout{f, width, width}, Layout{f, 2 * ff, width}
		for _, target := range []ptx.Target{ptx.SM80, ptx.SM90a} {
			tile := GEMMTiles(target)[0]
			all = append(all, GEMM{Mats: []Layout{one}, Out: AddResidual, Tile: tile},
				GEMM{Mats: []Layout{two}, Out: SiLUMulPack, Tile: tile})
		}
	}
	return all
}

// Modules are the texts of All for every target, a kernel in each.
func Modules() ([]*ptx.Module, error) {
	var modules []*ptx.Module
	for _, c := range All() {
		for _, target := range TargetsOf(c) {
			k, err := c.Build(target)
			if err != nil {
				return nil, err
			}
			modules = append(modules, &ptx.Module{Target: target, Kernels: []*ptx.Kernel{k}})
		}
	}
	return modules, nil
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
