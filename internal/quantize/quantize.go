// Package quantize rewrites a model file with its matrices in another format.
package quantize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Options tune File; the zero value is useful.
type Options struct {
	// Threads is the number of goroutines that compute, 0 for one per usable core.
	Threads int
	// Pure gives every matrix the base format of the mix, where its rows fit.
	Pure bool
	// AllowRequantize accepts matrices that are quantised already. Their first
	// error stays and a second one comes on top.
	AllowRequantize bool
	// Progress, when set, is called on File's goroutine with bytes of tensor data
	// read and bytes in all, often.
	Progress func(done, total int64)
}

// Report says what File did.
type Report struct {
	Mix               Mix
	InBytes, OutBytes int64 // of tensor data
	Tensors           []Tensor
}

// Tensor is a tensor of the written file.
type Tensor struct {
	tensor.Desc              // as written
	From        tensor.DType // as it was
	// Substitute: its rows do not fit the format intended, DType is another.
	Substitute bool
	// RMSE is the root mean square of the change, RMS that of the tensor; both 0
	// if it was copied.
	RMSE, RMS float64
}

// ErrQuantized is wrapped by File's error for a model that is quantised already.
var ErrQuantized = errors.New("the model is quantised already")

// File writes a copy of the model in to the path out, its matrices in the formats
// of the mix. Norms, biases, routers, tables of the position encoding and other
// small tensors are copied. All metadata is kept; general.file_type and
// general.quantization_version are set.
//
// It streams: besides the mapped input it takes less than two megabytes a thread. out is
// replaced when the new file is complete; on any error, also when ctx ends,
// nothing is left behind. A tensor that cannot be stored in its format (an
// infinity, say) is an error that names tensor and element.
func File(ctx context.Context, in *gguf.File, out string, mix Mix, o Options) (*Report, error) {
	if err := refuse(in, out); err != nil {
		return nil, err
	}
	report, err := plan(in, mix, o)
	if err != nil {
		return nil, err
	}
	w, err := metadata(in, mix)
	if err != nil {
		return nil, err
	}
	threads := o.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	c := &converter{ctx: ctx, in: in, threads: threads, total: report.InBytes, progress: o.Progress}
	for i := range report.Tensors {
		t, from := &report.Tensors[i], in.Tensors()[i]
		w.Add(t.Desc, func(to io.Writer) error { return c.tensor(to, from, t) })
	}
	// The bytes of copied tensors are read on this goroutine.
	fault := gguf.Guard(in, func() { err = w.WriteFile(out) })
	if fault != nil {
		err = fault
	}
	if err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	return report, nil
}

// refuse finds what makes the whole undertaking senseless.
func refuse(in *gguf.File, out string) error {
	a, errA := os.Stat(in.Name)
	b, errB := os.Stat(out)
	if errA == nil && errB == nil && os.SameFile(a, b) {
		return fmt.Errorf("quantize: %s is the input: name another file to write", out)
	}
	if n, err := in.Uint("split.count", 1); err == nil && n > 1 {
		return fmt.Errorf("quantize: %s is one of %d parts of a model: merge them first", in.Name, n)
	}
	if len(in.Tensors()) == 0 {
		return fmt.Errorf("quantize: %s holds no tensors, only metadata", in.Name)
	}
	return nil
}

// plan chooses the formats.
func plan(in *gguf.File, mix Mix, o Options) (*Report, error) {
	descs := make([]tensor.Desc, len(in.Tensors()))
	for i, t := range in.Tensors() {
		descs[i] = t.Desc
	}
	s := shapeOf(descs)
	arch, err := in.String("general.architecture", "")
	if err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	experts, err := in.Uint(arch+".expert_count", 0)
	if err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	s.experts = int(min(experts, math.MaxInt32))
	r := &Report{Mix: mix}
	for _, t := range in.Tensors() {
		to := Tensor{Desc: t.Desc, From: t.DType}
		to.DType, to.Substitute = mix.choose(t.Desc, s, o.Pure)
		if to.DType != t.DType && t.DType.BlockElems() > 1 && !o.AllowRequantize {
			return nil, fmt.Errorf("quantize: %s: %w: tensor %q is %v; start from the F32, F16 or BF16 model, or allow quantising twice", in.Name, ErrQuantized, t.Name, t.DType)
		}
		r.InBytes += int64(t.Bytes())
		r.OutBytes += int64(to.Bytes())
		r.Tensors = append(r.Tensors, to)
	}
	return r, nil
}

// quantizationVersion is the version of the block layouts, 2 since May 2023.
const quantizationVersion = 2

// metadata returns a writer with the metadata of in, its order kept.
func metadata(in *gguf.File, mix Mix) (*gguf.Writer, error) {
	const fileType, version = "general.file_type", "general.quantization_version"
	set := map[string]any{fileType: mix.fileType, version: uint32(quantizationVersion)}
	w := gguf.NewWriter()
	for _, key := range in.Keys() {
		value, ok := set[key]
		if !ok {
			if value, ok = in.Value(key); !ok {
				return nil, fmt.Errorf("quantize: metadata %q has no value", key)
			}
		}
		delete(set, key)
		w.Set(key, value)
	}
	for _, key := range []string{fileType, version} {
		if value, ok := set[key]; ok {
			w.Set(key, value)
		}
	}
	return w, nil
}

// String is a summary for people: how much became of what.
func (r *Report) String() string {
	count, bytes := map[tensor.DType]int{}, map[tensor.DType]int64{}
	substitutes := 0
	for _, t := range r.Tensors {
		count[t.DType]++
		bytes[t.DType] += int64(t.Bytes())
		if t.Substitute {
			substitutes++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%.1f MB -> %.1f MB", float64(r.InBytes)/1e6, float64(r.OutBytes)/1e6)
	for _, t := range tensor.DTypes() {
		if count[t] > 0 {
			fmt.Fprintf(&b, ", %d tensors %v (%.1f MB)", count[t], t, float64(bytes[t])/1e6)
		}
	}
	if substitutes > 0 {
		fmt.Fprintf(&b, "; %d have rows that do not fit the format intended and got a larger one", substitutes)
	}
	return b.String()
}
