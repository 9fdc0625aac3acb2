package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// All lists a representative specialisation of every kernel, in shapes of models of
// about 8 billion parameters: their texts are kept in testdata, checked by the
// assembler, and run on hardware before they count as verified.
func All() []Config {
	batch := BatchLayout{MaxRows: 512, MaxLogit: 64}
	const width, ff = 4096, 14336
	top := TopK{Vocab: 151936, K: 256}
	return []Config{
		Embed{Layout: Layout{FormatF16, top.Vocab, width}, Batch: batch},
		Embed{Layout: Layout{FormatQ6_K, top.Vocab, width}, Batch: batch},
		Elem{Op: OpAdd, Cols: width},
		Elem{Op: OpSiLUMul, Cols: ff, T: 8},
		Elem{Op: OpCopy, Cols: width, T: 8, Select: true, Batch: batch},
		RMSNorm{Cols: width},
		RMSNorm{Cols: width, T: 1},
		RMSNorm{Cols: width, T: 64, Select: true, Batch: batch},
		RopeAppend{Batch: batch, Heads: 32, KVHeads: 8, KeyDim: 128, ValueDim: 128, Dims: 128, NEOX: true},
		RopeAppend{Batch: batch, Heads: 32, KVHeads: 8, KeyDim: 128, ValueDim: 128, Dims: 128, QNorm: true, KNorm: true,
			QStride: 6144, KStride: 6144, VStride: 6144},
		top.Slices(),
		top.Merge(),
	}
}

// targetsOf are the targets c is built for: all, but for a kernel that says which.
func targetsOf(c Config) []ptx.Target {
	if some, ok := c.(interface{ Targets() []ptx.Target }); ok {
		return some.Targets()
	}
	return []ptx.Target{ptx.SM80, ptx.SM90a}
}
