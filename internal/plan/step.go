// Package plan holds the program a backend executes: a flat list of steps over
// numbered activation values and weights.
//
// The model code writes fine-grained steps with a Builder; Fuse rewrites the
// straight line into a few large kinds that a backend runs as one piece. A large
// step keeps the fine steps it stands for in Parts: they define what it means,
// and plan/ref executes them in float64.
package plan

import "github.com/sandwarp/sandwarp/internal/tensor"

// Value numbers an activation: a (rows, width) matrix of float32 that lives for
// one run. 0 means none; value v is described by Plan.Values[v-1].
type Value int32

// Weight numbers a weight tensor. 0 means absent; weight w is described by
// Plan.Weights[w-1].
type Weight int32

// Kind is what a step does.
type Kind uint8

// Fine steps. x, y are values, W[...] weights; rows are the rows of the batch.
// Weights of one dimension are F32. AppendKV and Logits have no Out.
const (
	KindNone Kind = iota

	Embed      // Out[0] (rows, d): row Batch.Tokens[r] of W[WEmbed] (vocab, d)
	RMSNorm    // Out[0] = In[0] / rms(In[0]) * W[WNorm], per row, Eps
	HeadNorm   // like RMSNorm on each head of HeadDim columns, W[WNorm] (HeadDim)
	Linear     // Out[0] (rows, n) = In[0] (rows, k) * W[WMat]^T (n, k) [+ W[WBias] (n)]
	Rope       // Out[0] = In[0] with each of Heads heads of HeadDim rotated, Rope
	AppendKV   // stores In[0] (keys) and In[1] (values) of layer Layer at each row's position
	Attention  // Out[0] = softmax(Scale * In[0] . K) V over layer Layer's cache, positions 0..pos, GQA
	Add        // Out[0] = In[0] + In[1]
	SiLUMul    // Out[0] = silu(In[0]) * In[1]
	SelectRows // Out[0] = the rows of In[0] listed in Batch.LogitRows
	Logits     // Linear whose output rows, one per selected row, are the caller's logits; W[WMat] (vocab, d)
	Receive    // Out[0] (rows, d) = Batch.Hidden: begins the second part of a plan that was split
	Send       // Batch.Hidden = In[0], no Out: ends the first part

	// Large steps, made by Fuse.

	NormQKVRopeAppend // In x; Out q. RMSNorm(WNorm), Linear WQ/WK/WV (BQ/BK/BV), HeadNorm QNorm/KNorm, Rope, AppendKV
	OutResidual       // In attention output, x; Out x + Linear(WO[, BO])
	NormGateUpAct     // In x; Out silu(Linear(WGate)) * Linear(WUp) of RMSNorm(WNorm)
	DownResidual      // In activation, x; Out x + Linear(WDown)
	LMHead            // In x, no Out; SelectRows, RMSNorm(WNorm), Logits(WMat)

	NumKinds
)

// Role says what a weight is to its step.
type Role uint8

// The roles. A step's weights are Step.W[role]; 0 where it has none.
const (
	WNorm  Role = iota // (d) or (HeadDim)
	WMat               // (n, k)
	WBias              // (n)
	WEmbed             // (vocab, d)
	WQ                 // (Heads*HeadDim, d)
	WK                 // (KVHeads*HeadDim, d)
	WV                 // (KVHeads*HeadDim, d)
	BQ
	BK
	BV
	QNorm // (HeadDim)
	KNorm // (HeadDim)
	WO    // (d, Heads*HeadDim)
	BO    // (d)
	WGate // (ff, d)
	WUp   // (ff, d)
	WDown // (d, ff)

	NumRoles
)

// RopeParams is a rotary position embedding with every scaling already folded into
// its frequencies (Su et al. 2021; YaRN: Peng et al. 2023).
type RopeParams struct {
	// NEOX pairs column i with i+Dims/2; otherwise 2i with 2i+1.
	NEOX bool
	// Dims is the number of leading columns of a head that are rotated.
	Dims int
	// Freqs are the Dims/2 angles per position, in radians.
	Freqs []float64
	// MScale multiplies both cosine and sine; 1 without YaRN.
	MScale float64
}

// Attr are the numbers a step needs; unused ones are zero.
type Attr struct {
	Eps     float32
	Heads   int // query heads; of HeadNorm and Rope: the heads of their input
	KVHeads int
	HeadDim int     // columns of a query and a key head; values have KVLayer.ValueDim
	Scale   float32 // of the attention scores
	Rope    *RopeParams
}

// Step is one instruction.
type Step struct {
	Kind  Kind
	Layer int // of the KV cache; -1 where the step touches none
	In    []Value
	Out   []Value
	W     [NumRoles]Weight
	Attr  Attr
	// Parts are the fine steps a large one stands for; nil for a fine step.
	// Inner values are numbered in the same Plan.
	Parts []Step
}

// KVLayer is the shape of one layer's cache.
type KVLayer struct {
	Heads    int // KV heads
	KeyDim   int // columns of a key head
	ValueDim int // columns of a value head
}

// ValueInfo describes an activation.
type ValueInfo struct {
	Name  string
	Width int
	// Selected values have a row per Batch.LogitRows entry, the others a row
	// per token of the batch.
	Selected bool
}

// Plan is a program and what it works on. It is immutable once built.
type Plan struct {
	Arch    string
	Values  []ValueInfo
	Weights []tensor.Desc
	KV      []KVLayer
	Steps   []Step
	Vocab   int // columns of the logits
	Context int // positions the model was trained for
}

// ValueInfo returns the description of v, which must not be 0.
func (p *Plan) ValueInfo(v Value) ValueInfo { return p.Values[v-1] }

// WeightDesc returns the description of w, which must not be 0.
func (p *Plan) WeightDesc(w Weight) tensor.Desc { return p.Weights[w-1] }
