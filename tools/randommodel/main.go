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
	for key, v := range s.meta() {
		w.Set(s.arch+"."+key, v)
	}
	vocabulary(w, s.vocab)
	list := s.tensors()
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
