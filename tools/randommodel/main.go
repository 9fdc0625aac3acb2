// Command randommodel writes a GGUF model of a real shape with random F16
// weights, to measure speed with: what it says makes no sense.
//
//	go run ./tools/randommodel qwen2.5-0.5b /tmp/f16.gguf
//	go run ./cmd/sandwarp quantize /tmp/f16.gguf /tmp/q8.gguf Q8_0
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// shape holds the sizes of a model, as its makers published them.
type shape struct {
	arch                                   string
	blocks, width, ff, heads, kvHeads, dim int
	vocab, context                         int
	ropeBase                               float32
	qkvBias                                bool
}

var shapes = map[string]shape{
	"qwen2.5-0.5b": {"qwen2", 24, 896, 4864, 14, 2, 64, 151936, 32768, 1e6, true},
	"qwen2.5-1.5b": {"qwen2", 28, 1536, 8960, 12, 2, 128, 151936, 32768, 1e6, true},
	"llama-3.2-1b": {"llama", 16, 2048, 8192, 32, 8, 64, 128256, 8192, 5e5, false},
}

func main() {
	if len(os.Args) != 3 || shapes[os.Args[1]].blocks == 0 {
		fmt.Fprintf(os.Stderr, "usage: randommodel SHAPE OUT.gguf\nshapes: %v\n", slices.Sorted(maps.Keys(shapes)))
		os.Exit(2)
	}
	if err := write(os.Args[1], shapes[os.Args[1]], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "randommodel:", err)
		os.Exit(1)
	}
}

func write(name string, s shape, out string) error {
	w := gguf.NewWriter()
	w.Set("general.architecture", s.arch)
	w.Set("general.name", name+" (random weights)")
	for key, v := range map[string]int{
		"block_count": s.blocks, "embedding_length": s.width, "feed_forward_length": s.ff, "context_length": s.context,
		"attention.head_count": s.heads, "attention.head_count_kv": s.kvHeads, "rope.dimension_count": s.dim,
		"attention.key_length": s.dim, "attention.value_length": s.dim,
	} {
		w.Set(s.arch+"."+key, uint32(v))
	}
	w.Set(s.arch+".attention.layer_norm_rms_epsilon", float32(1e-6))
	w.Set(s.arch+".rope.freq_base", s.ropeBase)
	vocabulary(w, s.vocab)
	weights(w, s)
	return w.WriteFile(out)
}

// vocabulary is byte-level: the 256 bytes, the rest never used.
func vocabulary(w *gguf.Writer, size int) {
	tokens, types := make([]string, size), make([]int32, size)
	shown := 0
	for b := range 256 {
		r := rune(b)
		if !(b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae) {
			r = rune(256 + shown) // GPT-2's alphabet: bytes without a glyph move up
			shown++
		}
		tokens[b], types[b] = string(r), 1
	}
	for id := 256; id < size; id++ {
		tokens[id], types[id] = fmt.Sprintf("[unused %d]", id), 5
	}
	tokens[size-1], types[size-1] = "<|end|>", 3
	w.Set("tokenizer.ggml.model", "gpt2")
	w.Set("tokenizer.ggml.pre", "gpt-2")
	w.Set("tokenizer.ggml.tokens", tokens)
	w.Set("tokenizer.ggml.token_type", types)
	w.Set("tokenizer.ggml.merges", []string{})
	w.Set("tokenizer.ggml.eos_token_id", uint32(size-1))
	w.Set("tokenizer.ggml.add_bos_token", false)
}

func weights(w *gguf.Writer, s shape) {
	q, kv := s.heads*s.dim, s.kvHeads*s.dim
	matrix(w, "token_embd.weight", s.vocab, s.width)
	vector(w, "output_norm.weight", s.width, 1)
	for b := range s.blocks {
		p := fmt.Sprintf("blk.%d.", b)
		vector(w, p+"attn_norm.weight", s.width, 1)
		matrix(w, p+"attn_q.weight", q, s.width)
		matrix(w, p+"attn_k.weight", kv, s.width)
		matrix(w, p+"attn_v.weight", kv, s.width)
		if s.qkvBias {
			vector(w, p+"attn_q.bias", q, 0)
			vector(w, p+"attn_k.bias", kv, 0)
			vector(w, p+"attn_v.bias", kv, 0)
		}
		matrix(w, p+"attn_output.weight", s.width, q)
		vector(w, p+"ffn_norm.weight", s.width, 1)
		matrix(w, p+"ffn_gate.weight", s.ff, s.width)
		matrix(w, p+"ffn_up.weight", s.ff, s.width)
		matrix(w, p+"ffn_down.weight", s.width, s.ff)
	}
}

// matrix adds normal random weights whose products keep their size.
func matrix(w *gguf.Writer, name string, rows, cols int) {
	w.Add(tensor.Desc{Name: name, DType: tensor.F16, Shape: []int{rows, cols}}, func(out io.Writer) error {
		rng := rand.New(rand.NewPCG(uint64(rows), uint64(cols)+uint64(len(name))))
		b := bufio.NewWriterSize(out, 1<<20)
		std := 1 / math.Sqrt(float64(cols))
		var two [2]byte
		for range rows * cols {
			binary.LittleEndian.PutUint16(two[:], tensor.F32ToF16(float32(rng.NormFloat64()*std)))
			b.Write(two[:]) // errors stay in b until Flush
		}
		return b.Flush()
	})
}

func vector(w *gguf.Writer, name string, n int, v float32) {
	data := make([]byte, 4*n)
	for i := range n {
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
	}
	w.AddBytes(tensor.Desc{Name: name, DType: tensor.F32, Shape: []int{n}}, data)
}
