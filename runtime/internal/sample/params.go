// Package sample chooses the next token from logits: penalties, bias,
// temperature, top-k, top-p, min-p, and the log-probabilities a caller asks for.
package sample

import (
	"fmt"
	"math"
)

// Params are the settings of a chain. The zero value is greedy decoding.
type Params struct {
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

// MaxTopLogprobs bounds Params.TopLogprobs.
const MaxTopLogprobs = 64

// ParamError says which setting is out of range.
type ParamError struct{ Name, Reason string }

// Validate names the first setting that is out of range for a vocabulary; nil if
// none is.
func (p *Params) Validate(vocab int) *ParamError {
	type bound struct {
		name      string
		v, lo, hi float64
	}
	for _, b := range []bound{
		{"Temperature", p.Temperature, 0, 100},
		{"TopP", p.TopP, 0, 1},
		{"MinP", p.MinP, 0, 1},
		{"RepetitionPenalty", p.RepetitionPenalty, 0, 100},
		{"PresencePenalty", p.PresencePenalty, -100, 100},
		{"FrequencyPenalty", p.FrequencyPenalty, -100, 100},
		{"TopK", float64(p.TopK), 0, math.MaxInt32},
		{"PenaltyWindow", float64(p.PenaltyWindow), -1, math.MaxInt32},
		{"TopLogprobs", float64(p.TopLogprobs), 0, MaxTopLogprobs},
	} {
		if !(b.v >= b.lo && b.v <= b.hi) {
			return &ParamError{b.name, fmt.Sprintf("is %v, want %.10g to %.10g", b.v, b.lo, b.hi)}
		}
	}
	for id, v := range p.Bias {
		if id < 0 || int(id) >= vocab {
			return &ParamError{"Bias", fmt.Sprintf("names token %d, the vocabulary has %d", id, vocab)}
		}
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 1) {
			return &ParamError{"Bias", fmt.Sprintf("of token %d is %v", id, v)}
		}
	}
	return nil
}
