package backend

import "context"

// Candidates is what an Executable also offers if it can pick the most likely
// tokens where the logits are computed: only they come back, and a caller who wants
// all logits of some row fetches them.
type Candidates interface {
	Executable
	// MaxCandidates is the largest k of RunTop; it is at most the vocabulary.
	MaxCandidates() int
	// RunTop is Run that leaves the k best candidates of row b.LogitRows[i] in
	// out[i]; len(out) == len(b.LogitRows) and 1 <= k <= MaxCandidates(). It
	// allocates nothing where out[i] has room for k.
	RunTop(ctx context.Context, b *Batch, k int, out []TopLogits) error
	// Full copies all logits (vocab) of row b.LogitRows[i] of the last Run or
	// RunTop, which must have succeeded. It belongs to the goroutine of Run.
	Full(i int, logits []float32) error
}

// TopLogits are the candidates of one row of logits.
type TopLogits struct {
	IDs    []int32   // by descending logit, equal ones by ascending id; NaN counts as -Inf
	Logits []float32 // of IDs
	// LogSumExp is the natural logarithm of the sum of exp(logit) over the whole
	// vocabulary: the log-probability of IDs[j] is Logits[j] - LogSumExp.
	LogSumExp float32
}
