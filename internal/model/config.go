// Package model turns a GGUF file into a plan: it reads the hyperparameters,
// finds and checks the weights, and writes down the forward pass. All families
// share one Config and one forward; what sets a family apart is data (see
// families) and which tensors are there.
//
// Nothing in a file is believed before it is checked, and every refusal names
// the file, what is wrong in it and what would be right.
package model

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sandwarp/sandwarp/internal/gguf"
)

// Config holds the hyperparameters of a model, of whatever family. ReadConfig
// returns it checked.
type Config struct {
	Arch string // general.architecture

	Context     int // positions the model was trained for
	Vocab       int // tokens
	Blocks      int
	Width       int // of the residual stream, d
	FeedForward int // width of the feed-forward network's inside
	Heads       int // query heads
	KVHeads     int // divides Heads
	KeyDim      int // columns of a query and of a key head
	ValueDim    int // columns of a value head
	Eps         float32
	Rope        RopeConfig

	TiedEmbedding bool // logits are made with the embedding matrix
}

// family is what metadata and tensors do not say about an architecture.
type family struct {
	neox    bool // rope pairs column i with i+n/2
	qkvBias bool // attn_{q,k,v}.bias must be there; elsewhere they may
	qkNorm  bool // attn_{q,k}_norm.weight must be there; elsewhere they must not
}

var families = map[string]family{
	"llama": {},
	"qwen2": {neox: true, qkvBias: true},
	"qwen3": {neox: true, qkNorm: true},
}

// Arches lists the supported architectures.
func Arches() []string {
	names := make([]string, 0, len(families))
	for n := range families {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// maxInt32 bounds positions, which are int32 in a batch.
const maxInt32 = math.MaxInt32

// ReadConfig reads and checks the hyperparameters. The error names the file, the
// key, the value found and the values allowed.
func ReadConfig(f *gguf.File) (Config, error) {
	r := reader{f: f}
	c := Config{Arch: r.arch()}
	c.Context = r.int("context_length", need, 1, maxInt32)
	c.Blocks = r.int("block_count", need, 1, 1024)
	c.Width = r.int("embedding_length", need, 1, 1<<17)
	c.FeedForward = r.int("feed_forward_length", need, 1, 1<<20)
	c.Heads = r.int("attention.head_count", need, 1, 1024)
	c.KVHeads = r.int("attention.head_count_kv", c.Heads, 1, c.Heads)
	if c.KVHeads > 0 && c.Heads%c.KVHeads != 0 {
		r.refuse("attention.head_count_kv", c.KVHeads, fmt.Sprintf("a divisor of attention.head_count, which is %d", c.Heads))
	}
	c.KeyDim = r.int("attention.key_length", r.headDim(&c), 2, 4096)
	c.ValueDim = r.int("attention.value_length", r.headDim(&c), 1, 4096)
	c.Eps = float32(r.float("attention.layer_norm_rms_epsilon", math.NaN(), 0, 1))
	if r.err == nil && c.Eps == 0 { // a float64 too small for the float32 it must be
		r.refuse("attention.layer_norm_rms_epsilon", c.Eps, "above 0 as a 32-bit float")
	}
	c.Rope = r.rope(&c)
	r.refuseOtherKinds()
	c.Vocab = r.vocab()
	_, untied := f.Tensor("output.weight")
	c.TiedEmbedding = !untied
	if r.err != nil {
		return Config{}, r.err
	}
	return c, nil
}

// reader reads metadata below the architecture's name. After the first mistake it
// reads no more.
type reader struct {
	f    *gguf.File
	name string // the architecture
	err  error
}

const need = -1 // in place of a default: the key must be there

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("model: %s: "+format, append([]any{r.f.Name}, args...)...)
	}
}

// wrap reports an error of package gguf, which names the file and the key.
func (r *reader) wrap(err error, allowed string) {
	if r.err == nil {
		r.err = fmt.Errorf("model: %w; allowed: %s", err, allowed)
	}
}

func (r *reader) refuse(key string, value any, allowed string) {
	r.fail("metadata %q is %v; allowed: %s", r.name+"."+key, value, allowed)
}

func (r *reader) arch() string {
	const key = "general.architecture"
	a, err := r.f.String(key, "")
	switch _, ok := families[a]; {
	case err != nil:
		r.wrap(err, strings.Join(Arches(), ", "))
	case !r.f.Has(key):
		r.fail("metadata %q is missing: this is no model; supported: %s", key, strings.Join(Arches(), ", "))
	case !ok:
		r.fail("metadata %q is %.60q, which is not supported; supported: %s", key, a, strings.Join(Arches(), ", "))
	}
	r.name = a
	return a
}

func (r *reader) int(key string, def, lo, hi int) int {
	if r.err != nil {
		return 0
	}
	full := r.name + "." + key
	if !r.f.Has(full) && def == need {
		r.fail("metadata %q is missing; allowed: %d to %d", full, lo, hi)
	}
	v, err := r.f.Int(full, int64(def))
	if err != nil {
		r.wrap(err, fmt.Sprintf("%d to %d", lo, hi))
	} else if v < int64(lo) || v > int64(hi) {
		r.refuse(key, v, fmt.Sprintf("%d to %d", lo, hi))
	}
	if r.err != nil {
		return 0
	}
	return int(v)
}

// float reads a number above lo and up to hi; a NaN def stands for need.
func (r *reader) float(key string, def, lo, hi float64) float64 {
	if r.err != nil {
		return 0
	}
	full := r.name + "." + key
	if !r.f.Has(full) && math.IsNaN(def) {
		r.fail("metadata %q is missing; allowed: above %g, up to %g", full, lo, hi)
		return 0
	}
	v, err := r.f.Float(full, def)
	if err != nil {
		r.wrap(err, fmt.Sprintf("above %g, up to %g", lo, hi))
	} else if !(v > lo && v <= hi) {
		r.refuse(key, v, fmt.Sprintf("above %g, up to %g", lo, hi))
	}
	return v
}

// headDim is the size of a head where the file does not say.
func (r *reader) headDim(c *Config) int {
	if r.err != nil || r.f.Has(r.name+".attention.key_length") && r.f.Has(r.name+".attention.value_length") {
		return need
	}
	if c.Width%c.Heads != 0 {
		r.refuse("attention.head_count", c.Heads, fmt.Sprintf("a divisor of embedding_length, which is %d, where attention.key_length or value_length is missing", c.Width))
		return need
	}
	return c.Width / c.Heads
}

// refuseOtherKinds refuses models of a supported architecture that compute
// something else than its dense, causal forward pass.
func (r *reader) refuseOtherKinds() {
	if n := r.int("expert_count", 0, 0, math.MaxInt32); n > 0 {
		r.refuse("expert_count", n, "0: mixtures of experts are not supported yet; use a dense model")
	}
	if r.err != nil {
		return
	}
	causal, err := r.f.Bool(r.name+".attention.causal", true)
	if err != nil {
		r.wrap(err, "true")
	} else if !causal {
		r.refuse("attention.causal", false, "true: a model that looks ahead cannot generate text")
	}
}

// vocab is the number of rows of the embedding, which must be that of the
// tokenizer's tokens where the file has them.
func (r *reader) vocab() int {
	if r.err != nil {
		return 0
	}
	const name, tokens = "token_embd.weight", "tokenizer.ggml.tokens"
	t, ok := r.f.Tensor(name)
	if !ok {
		r.fail("tensor %q is missing", name)
		return 0
	}
	rows := t.Shape[0]
	if len(t.Shape) != 2 || rows > 1<<24 {
		r.fail("tensor %q: found shape %d; allowed: [vocabulary, embedding_length] with a vocabulary of 1 to %d", name, t.Shape, 1<<24)
		return 0
	}
	list, err := r.f.Strings(tokens)
	if err != nil {
		r.wrap(err, "strings")
	} else if r.f.Has(tokens) && len(list) != rows {
		r.fail("metadata %q has %d entries; allowed: %d, the rows of tensor %q", tokens, len(list), rows, name)
	}
	return rows
}
