// Command randommodel writes a GGUF model of a real shape with random weights, to
// measure speed with: what it says makes no sense. Without a format the weights are
// F16, normally distributed, fit for quantising; in a quantised format (or a mix)
// they are blocks of random bits that repeat after a while, written as fast as the
// disk takes them.
//
//	go run ./tools/randommodel qwen2.5-0.5b /tmp/f16.gguf
//	go run ./tools/randommodel llama-3.1-8b /tmp/q4.gguf Q4_K_M
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
	"strings"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/quantize"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// shape holds the sizes of a model, as its makers published them.
type shape struct {
	arch                                   string
	blocks, width, ff, heads, kvHeads, dim int
	vocab, context                         int
	ropeBase                               float32
	qkvBias, tied                          bool
}

var shapes = map[string]shape{
	"qwen2.5-0.5b": {"qwen2", 24, 896, 4864, 14, 2, 64, 151936, 32768, 1e6, true, true},
	"qwen2.5-1.5b": {"qwen2", 28, 1536, 8960, 12, 2, 128, 151936, 32768, 1e6, true, true},
	"qwen2.5-7b":   {"qwen2", 28, 3584, 18944, 28, 4, 128, 152064, 32768, 1e6, true, false},
	"llama-3.2-1b": {"llama", 16, 2048, 8192, 32, 8, 64, 128256, 8192, 5e5, false, true},
	"llama-3.1-8b": {"llama", 32, 4096, 14336, 32, 8, 128, 128256, 131072, 5e5, false, false},
}

func main() {
	mix := "F16"
	if len(os.Args) == 4 {
		mix = os.Args[3]
	}
	if len(os.Args) < 3 || len(os.Args) > 4 || shapes[os.Args[1]].blocks == 0 {
		fmt.Fprintf(os.Stderr, "usage: randommodel SHAPE OUT.gguf [FORMAT]\nshapes: %v\nformats: %v\n", slices.Sorted(maps.Keys(shapes)), quantize.Names())
		os.Exit(2)
	}
	if err := write(os.Args[1], shapes[os.Args[1]], os.Args[2], mix); err != nil {
		fmt.Fprintln(os.Stderr, "randommodel:", err)
		os.Exit(1)
	}
}

func write(name string, s shape, out, format string) error {
	mix, err := quantize.ParseMix(format)
	if err != nil {
		return err
	}
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
	list := tensors(s)
	for i, t := range mix.Formats(list) {
		d := list[i]
		d.DType = t
		if len(d.Shape) == 1 {
			vector(w, d)
		} else {
			matrix(w, d)
		}
	}
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

// tensors are the weights of a shape, as they are before quantising.
func tensors(s shape) (list []tensor.Desc) {
	q, kv := s.heads*s.dim, s.kvHeads*s.dim
	add := func(name string, shape ...int) {
		t := tensor.F16
		if len(shape) == 1 {
			t = tensor.F32
		}
		list = append(list, tensor.Desc{Name: name, DType: t, Shape: shape})
	}
	add("token_embd.weight", s.vocab, s.width)
	add("output_norm.weight", s.width)
	if !s.tied {
		add("output.weight", s.vocab, s.width)
	}
	for b := range s.blocks {
		p := fmt.Sprintf("blk.%d.", b)
		add(p+"attn_norm.weight", s.width)
		add(p+"attn_q.weight", q, s.width)
		add(p+"attn_k.weight", kv, s.width)
		add(p+"attn_v.weight", kv, s.width)
		if s.qkvBias {
			add(p+"attn_q.bias", q)
			add(p+"attn_k.bias", kv)
			add(p+"attn_v.bias", kv)
		}
		add(p+"attn_output.weight", s.width, q)
		add(p+"ffn_norm.weight", s.width)
		add(p+"ffn_gate.weight", s.ff, s.width)
		add(p+"ffn_up.weight", s.ff, s.width)
		add(p+"ffn_down.weight", s.width, s.ff)
	}
	return list
}

// matrix adds random weights whose products keep their size.
func matrix(w *gguf.Writer, d tensor.Desc) {
	rng := rand.New(rand.NewPCG(uint64(d.Rows()), uint64(d.RowLen())+uint64(len(d.Name))))
	std := 1 / math.Sqrt(float64(d.RowLen()))
	if d.DType.BlockElems() == 1 {
		w.Add(d, func(out io.Writer) error { return normal(out, d, rng, std) })
		return
	}
	w.Add(d, func(out io.Writer) error {
		const rows = 64 // that repeat
		some := modeltest.RandomBlocks(rng, d.DType, rows*d.RowLen(), std)
		for left := d.Bytes(); left > 0; left -= len(some) {
			if _, err := out.Write(some[:min(left, len(some))]); err != nil {
				return err
			}
		}
		return nil
	})
}

// normal writes normally distributed numbers.
func normal(out io.Writer, d tensor.Desc, rng *rand.Rand, std float64) error {
	b := bufio.NewWriterSize(out, 1<<20)
	row := make([]float32, d.RowLen())
	data := make([]byte, d.DType.RowBytes(d.RowLen()))
	for range d.Rows() {
		for i := range row {
			row[i] = float32(rng.NormFloat64() * std)
		}
		if err := tensor.Quantize(data, d.DType, row); err != nil {
			return err
		}
		b.Write(data) // errors stay in b until Flush
	}
	return b.Flush()
}

// vector adds ones for norms and zeroes for biases.
func vector(w *gguf.Writer, d tensor.Desc) {
	data := make([]byte, d.Bytes())
	for i := 0; i < len(data) && strings.HasSuffix(d.Name, ".weight"); i += 4 {
		binary.LittleEndian.PutUint32(data[i:], math.Float32bits(1))
	}
	w.AddBytes(d, data)
}
