package sandwarp

import (
	"log/slog"
	"math"

	"github.com/sandwarp/sandwarp/runtime/internal/sample"
)

// Options configure Open. The zero value serves most programs.
type Options struct {
	// Backend is the name of the backend to run on: "cpu", or "ptx" for an NVIDIA
	// GPU if the program imports package ptxbackend. "" takes the GPU where there
	// is one, and says to Logger why not. Of a model too large for the GPU's memory
	// the first layers stay on the CPU.
	Backend string
	// Threads is the number of CPU workers; 0 means one per usable core.
	Threads int
	// Context is the longest sequence in tokens; 0 means what the model was
	// trained for, at most 8,192 and no more than CacheTokens.
	Context int
	// MaxSequences is how many requests run at once; others wait, also for one
	// whose consumer does not go on. 0 means 8, at most 512.
	MaxSequences int
	// MaxQueue is how many requests may wait; 0 means 1,024.
	MaxQueue int
	// CacheTokens is the size of the KV cache in tokens, shared by all
	// sequences and rounded up to pages of 64; memory is taken when first used.
	// 0 means MaxSequences full contexts, or as much of that as a GPU has room for.
	CacheTokens int
	// CacheType is how the KV cache keeps keys and values; "" means CacheF16, the
	// only one of a GPU.
	CacheType CacheType
	// LowMemory makes the CPU work straight from the mapped file, whose pages all
	// processes share. Without it weights are kept in an order that is faster to
	// multiply: one copy, and the file's pages are given back. What OpenBytes was
	// given stays, so that without LowMemory it is in memory twice.
	LowMemory bool
	// Tokenizer replaces the model's own.
	Tokenizer Tokenizer
	// ChatTemplate replaces the model's own Jinja template.
	ChatTemplate string
	// Logger receives what an operator may want to know; nil logs nothing.
	Logger *slog.Logger
	// Progress is called while weights are prepared, with bytes done and in all. It
	// begins anew where a GPU turns out not to do and the CPU takes over.
	Progress func(done, total int64)
}

const (
	defaultContext      = 8192
	defaultMaxSequences = 8
)

// validate names the first option that is out of range by itself.
func (o *Options) validate() error {
	for _, b := range []struct {
		name  string
		v, hi int
	}{
		{"Options.Threads", o.Threads, 1024},
		{"Options.Context", o.Context, math.MaxInt32},
		{"Options.MaxSequences", o.MaxSequences, maxRows},
		{"Options.MaxQueue", o.MaxQueue, math.MaxInt32},
		{"Options.CacheTokens", o.CacheTokens, math.MaxInt32},
	} {
		if b.v < 0 || b.v > b.hi {
			return option(b.name, "is %d, want 0 (the default) to %d", b.v, b.hi)
		}
	}
	return o.CacheType.validate()
}

// SamplingParams choose the next token. The zero value is greedy decoding: the
// most likely token, always the same text. Settings apply in this order:
// penalties, bias, processors, top-k, temperature, min-p, top-p.
type SamplingParams struct {
	// Temperature divides the logits; 0 takes the most likely token.
	Temperature float64
	// TopK keeps the k most likely tokens; 0 keeps all.
	TopK int
	// TopP keeps the smallest set of most likely tokens whose probability
	// reaches p (Holtzman et al. 2020); 0 or 1 keeps all.
	TopP float64
	// MinP drops tokens less likely than MinP times the most likely one
	// (Nguyen et al. 2024); 0 keeps all.
	MinP float64
	// RepetitionPenalty divides positive and multiplies negative logits of
	// tokens seen in the window (Keskar et al. 2019); 0 or 1 is off.
	RepetitionPenalty float64
	// PresencePenalty is subtracted once from each token seen in the window,
	// FrequencyPenalty once per occurrence.
	PresencePenalty, FrequencyPenalty float64
	// PenaltyWindow is how many of the latest tokens the penalties look at;
	// 0 means 64, -1 all.
	PenaltyWindow int
	// Bias is added to the logits of single tokens; -Inf forbids one.
	Bias map[int32]float32
	// Seed fixes the random choices. The logits they are made from may differ in
	// their last digits with what else was in the batch, so that a text is sure to
	// repeat only in the same company.
	Seed uint64
	// Logprobs asks for the log-probability of each chosen token, TopLogprobs
	// for the n most likely alternatives as well. Both describe the model's own
	// distribution, before any of the settings above.
	Logprobs    bool
	TopLogprobs int
}

// TokenLogprob is a token's ID (int32) and the natural logarithm of its
// probability, Logprob (float64).
type TokenLogprob = sample.Logprob

// ContextPolicy says what happens when a sequence reaches the context's end.
type ContextPolicy uint8

const (
	// ContextStop ends the answer with FinishContext.
	ContextStop ContextPolicy = iota
	// ContextSlide drops the older half of the sequence (keeping its first
	// token), runs the rest again and goes on. It does so, too, with a
	// conversation that leaves no room for a prompt. Chat drops its oldest turns
	// instead, before an answer that may not have the room it needs.
	// Processors stay open: they have seen the answer's tokens, whatever the model
	// forgets of them.
	ContextSlide
)

// GenerateOptions configure one answer. The zero value decodes greedily until
// the model ends or the context is full.
type GenerateOptions struct {
	SamplingParams
	// MaxTokens bounds the answer; 0 leaves it to the model and the context.
	MaxTokens int
	// Stop ends the answer where one of these texts begins, the one that is
	// complete first. It is not emitted.
	Stop []string
	// IgnoreEOS goes on after the model's end-of-generation tokens.
	IgnoreEOS bool
	// WhenFull says what happens at the end of the context.
	WhenFull ContextPolicy
	// Processors see the logits of every token, in this order.
	Processors []LogitProcessor
	// Filters see the text, in this order: first the prompt, then the answer.
	Filters []Filter
	// Configs holds the request's configuration of processors and filters by
	// name, in the form they expect (msgpack for plugins).
	Configs map[string][]byte
}
