package sandwarp

import (
	"fmt"
	"time"
)

// Token is one step of an answer.
type Token struct {
	// ID is the token's id, -1 for text released after the last token.
	ID int32
	// Text is what became safe to show with this token: whole UTF-8 characters,
	// passed by every filter. It may be empty, or hold text of earlier tokens.
	Text string
	// Logprob is the natural logarithm of the token's probability under the
	// model, NaN unless SamplingParams.Logprobs or TopLogprobs asked for it.
	Logprob float64
	// TopLogprobs are the most likely tokens of this step, if asked for.
	TopLogprobs []TokenLogprob
	// Changes say which processors acted on the token, in their order, and then
	// what filters did about Text; nil if none did anything. It must not be changed.
	Changes []Change
}

// FinishReason says why an answer ended.
type FinishReason uint8

const (
	FinishNone    FinishReason = iota // it has not, or by an error or the caller
	FinishStop                        // the model's end-of-generation token, or a stop text
	FinishLength                      // GenerateOptions.MaxTokens
	FinishContext                     // the context is full
	FinishFilter                      // a filter stopped it
)

func (f FinishReason) String() string {
	names := [...]string{"none", "stop", "length", "context", "filter"}
	if int(f) < len(names) {
		return names[f]
	}
	return fmt.Sprintf("FinishReason(%d)", f)
}

// MarshalText is the reason's name.
func (f FinishReason) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Stats describe the latest answer of a session.
type Stats struct {
	Prompt    int           // tokens of the whole prompt, history included
	Cached    int           // of them, how many were still in the KV cache
	Generated int           // tokens of the answer
	Queued    time.Duration // waiting for a place
	Prefill   time.Duration // from there to the first token
	Decode    time.Duration // from the first token to the last
	Finish    FinishReason
	// Changes count what processors and filters did, in the order of their first.
	Changes []ChangeCount
}

// PrefillRate is prompt tokens a second, those in the cache not counted.
func (s Stats) PrefillRate() float64 { return rate(s.Prompt-s.Cached, s.Prefill) }

// DecodeRate is tokens a second after the first.
func (s Stats) DecodeRate() float64 { return rate(s.Generated-1, s.Decode) }

func rate(n int, d time.Duration) float64 {
	if n <= 0 || d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}
