package sandwarp

// The extension points. A Go type and a Wasm plugin (package wasm) satisfy them
// alike: the signatures use no named types, so neither side imports the other.

// LogitProcessor changes, or makes, the choice of the next token.
//
// A processor may serve many sequences at once; seq tells them apart. For each
// sequence the runtime calls OpenSeq once, then for every token Process and
// Accept in turn, then CloseSeq. The calls of all sequences of a Model come from
// the one goroutine that all its sessions wait for: they should be quick and must
// not call the Model. An error fails the request it belongs to, unless the
// processor handles its own failures by a policy.
type LogitProcessor interface {
	// Name is shown in logs, statistics and errors.
	Name() string
	// OpenSeq begins a sequence. config is the request's configuration for this
	// processor, msgpack-encoded for plugins, nil for none.
	OpenSeq(seq uint64, config []byte) error
	// Process edits logits (vocab) in place. history holds the ids of prompt and
	// answer so far, oldest first, valid during the call. A pick >= 0 is the
	// processor's own choice of the token and ends the chain; -1 leaves it open.
	Process(seq uint64, history []int32, logits []float32) (pick int32, err error)
	// Accept reports the tokens that were chosen.
	Accept(seq uint64, tokens []int32) error
	CloseSeq(seq uint64)
}

// LogitFramer is a LogitProcessor that owns memory the logits can be written to
// directly, so that no copy is made for it. Frame returns a row of vocab floats
// that stays valid until the next call of Frame or CloseSeq for that sequence.
type LogitFramer interface {
	LogitProcessor
	Frame(seq uint64, vocab int) ([]float32, error)
}

// TopProcessor is a LogitProcessor that can do with the most likely tokens. On a GPU
// ProcessTop is called instead of Process, and the other logits stay there, unless
// the request has another processor, penalties, or sampling settings that need them
// all. On the CPU, where all logits are at hand, only Process is called: both must
// do the same.
type TopProcessor interface {
	LogitProcessor
	// Top is how many of the most likely tokens it wants to see; 0 for all.
	Top(seq uint64) int
	// ProcessTop is Process for the tokens ids (best first) of vocab, whose
	// logits are logits. It says what it has done: n == 0 for nothing, n > 0 that the first
	// n of ids and logits, which it may have edited, are the only tokens left,
	// n < 0 that it has called all, which returns the logits of the whole
	// vocabulary (the row of Frame, if it has that), and edited those.
	ProcessTop(seq uint64, history []int32, vocab int, ids []int32, logits []float32, all func() ([]float32, error)) (n int, pick int32, err error)
}

// BatchProcessor is a LogitProcessor that takes the rows of several sequences at
// once. The runtime samples the sequences of a step together: rows that wait for the
// same BatchProcessor, whichever place it has in their chains, go into one call.
// Processors are the same if they compare equal (==); one that cannot be compared
// gets a row at a time.
type BatchProcessor interface {
	LogitProcessor
	// ProcessRows is Process for each of several sequences, all different, in no
	// order that means anything: histories[i] and logits[i] (vocab) are those of
	// seqs[i]. It sets picks[i] and errs[i] for every i; an error fails the request
	// of its own sequence alone. Each row must come out as Process would have left
	// it. The slices are valid during the call.
	ProcessRows(seqs []uint64, histories [][]int32, logits [][]float32, picks []int32, errs []error)
}

// Planner is a LogitProcessor that can prepare the next choice before the logits are
// there.
type Planner interface {
	LogitProcessor
	// Plan is called, from another goroutine, while the model computes the logits
	// of the sequences seqs, which have the given histories: what Process will be
	// given next, if nothing comes in between. It returns before any other call for
	// these sequences is made, but calls for other sequences may come meanwhile.
	// Nobody sees what it does: a plan may be dropped, and Process must do the same
	// without one. The slices are valid during the call.
	Plan(seqs []uint64, histories [][]int32)
}

// Rollbacker is a LogitProcessor that can take back what it accepted.
type Rollbacker interface {
	LogitProcessor
	// Rollback takes back the last n tokens accepted for seq, 1 <= n <= their
	// number: the state is then as it was before them. The runtime does so with
	// tokens it was ahead of a reader who ended the answer, so that what CloseSeq
	// finds is the answer as it was read.
	Rollback(seq uint64, n int) error
}

// Forker is a LogitProcessor or a Filter that can double a sequence.
type Forker interface {
	// ForkSeq opens the sequence dst in the state of src, with the same
	// configuration; from then on they are independent. Both are closed.
	ForkSeq(src, dst uint64) error
}

// Seeder is a LogitProcessor or a Filter that draws random numbers.
type Seeder interface {
	// OpenSeqSeeded is called in the place of OpenSeq, with the request's
	// SamplingParams.Seed.
	OpenSeqSeeded(seq, seed uint64, config []byte) error
}

// Tracer is a LogitProcessor that says what it did, for Token.Changes.
type Tracer interface {
	LogitProcessor
	// LastAction is what the last Process or ProcessRows (or ProcessTop) did for
	// seq: 0 nothing, 1 picked the token, 2 edited logits, 3 excluded tokens by a
	// mask, 4 edited some and left the others, 5 added to some. Of a processor that
	// is no Tracer only its picks are known.
	LastAction(seq uint64) uint8
}

// Tokenizer turns text into token ids and back. It is safe for concurrent use.
type Tokenizer interface {
	// Encode appends the ids of text to dst. With special, the text forms of
	// control tokens become their ids; without, they are plain text.
	Encode(dst []int32, text string, special bool) ([]int32, error)
	// Decode appends the bytes of ids to dst. Control tokens are left out unless
	// special is set. The bytes of one id need not be whole UTF-8; ids decoded one
	// by one give the bytes of all, so that an answer can be streamed.
	Decode(dst []byte, ids []int32, special bool) ([]byte, error)
}

// Flags of Filter.Filter.
const (
	FilterPrompt uint32 = 1 << 0 // the text is the user's prompt, not the answer
	FilterEnd    uint32 = 1 << 1 // nothing follows; the filter must decide
)

// Filter sees text before the user (or the model) does and decides what passes.
// Only what a filter released is ever shown. The calls for one sequence come one
// after another; different sequences may call concurrently.
type Filter interface {
	Name() string
	OpenSeq(seq uint64, config []byte) error
	// Filter judges pending, all text of the sequence not yet judged. It consumes
	// its first n bytes and releases out in their place: out == pending[:n]
	// passes them, n == 0 holds everything until more comes, another out
	// replaces. It is called again while it consumes some and leaves some; with
	// FilterEnd it must not hold. stop ends the answer after out. out is valid
	// until the next call for seq.
	Filter(seq uint64, pending []byte, flags uint32) (out []byte, n int, stop bool, err error)
	CloseSeq(seq uint64)
}
