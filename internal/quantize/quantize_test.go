package quantize_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/quantize"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/internal/testdata"
)

func open(t *testing.T, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func stories(t *testing.T) *gguf.File {
	t.Helper()
	return open(t, testdata.File(t, "models", "stories260K-wide256-F32.gguf"))
}

func write(t *testing.T, in *gguf.File, mix string, o quantize.Options) (*gguf.File, *quantize.Report) {
	t.Helper()
	m, err := quantize.ParseMix(mix)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), mix+".gguf")
	r, err := quantize.File(context.Background(), in, out, m, o)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, out), r
}

// Every mix: metadata kept, each tensor what Quantize makes of it, the report
// true, progress complete.
func TestFile(t *testing.T) {
	in := stories(t)
	for _, mix := range quantize.Names() {
		t.Run(mix, func(t *testing.T) {
			var last, total int64
			out, r := write(t, in, mix, quantize.Options{Progress: func(done, all int64) {
				if done < last || done > all {
					t.Errorf("progress goes from %d to %d of %d", last, done, all)
				}
				last, total = done, all
			}})
			if last != total || total != r.InBytes {
				t.Errorf("progress ends at %d of %d, the input has %d bytes", last, total, r.InBytes)
			}
			sameMetadata(t, in, out, r.Mix)
			if len(r.Tensors) != len(in.Tensors()) {
				t.Fatalf("%d tensors reported of %d", len(r.Tensors), len(in.Tensors()))
			}
			for _, rt := range r.Tensors {
				checkTensor(t, in, out, rt)
			}
			t.Log(r)
		})
	}
}

func sameMetadata(t *testing.T, in, out *gguf.File, mix quantize.Mix) {
	t.Helper()
	for _, key := range in.Keys() {
		if key == "general.file_type" {
			continue
		}
		a, _ := in.Value(key)
		b, ok := out.Value(key)
		if !ok || !reflect.DeepEqual(a, b) {
			t.Errorf("metadata %s is %v, was %v", key, b, a)
		}
	}
	want := map[string]uint64{"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9,
		"Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "BF16": 32}[mix.Name]
	if got, _ := out.Uint("general.file_type", 999); got != want {
		t.Errorf("file_type is %d, want %d", got, want)
	}
	if got, _ := out.Uint("general.quantization_version", 0); got != 2 {
		t.Errorf("quantization_version is %d, want 2", got)
	}
}

func floats(dt tensor.DType, b []byte) []float32 {
	x := make([]float32, len(b)/dt.BlockBytes()*dt.BlockElems())
	tensor.Dequantize(x, dt, b)
	return x
}

func checkTensor(t *testing.T, in, out *gguf.File, r quantize.Tensor) {
	t.Helper()
	a, _ := in.Tensor(r.Name)
	b, ok := out.Tensor(r.Name)
	if !ok || b.DType != r.DType || !reflect.DeepEqual(a.Shape, b.Shape) {
		t.Fatalf("%v became %v, reported %v", a.Desc, b.Desc, r.Desc)
	}
	x := floats(a.DType, in.Data(a))
	want := make([]byte, b.Bytes())
	if err := tensor.Quantize(want, b.DType, x); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Data(b), want) {
		t.Errorf("%v: the data is not what Quantize makes of it", b.Desc)
	}
	change := 0.0
	for i, y := range floats(b.DType, want) {
		change += float64(y-x[i]) * float64(y-x[i])
	}
	if rmse := math.Sqrt(change / float64(len(x))); math.Abs(rmse-r.RMSE) > 1e-6*rmse+1e-12 {
		t.Errorf("%v: reported RMSE %v, it is %v", b.Desc, r.RMSE, rmse)
	}
}

func TestFileIsTheSameOnAnyNumberOfThreads(t *testing.T) {
	in := stories(t)
	var files [][]byte
	for _, threads := range []int{1, 3} {
		out, _ := write(t, in, "Q4_K_M", quantize.Options{Threads: threads})
		b, err := os.ReadFile(out.Name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("one thread and three write different files")
	}
}

// big is a file of one matrix that takes several waves.
func big(t *testing.T, at int, value float32) *gguf.File {
	t.Helper()
	x := make([]float32, 3<<20)
	for i := range x {
		x[i] = float32(i%255) - 127
	}
	x[at] = value
	b := make([]byte, 4*len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
	}
	w := gguf.NewWriter()
	w.Set("general.architecture", "llama")
	w.AddBytes(tensor.Desc{Name: "blk.0.attn_q.weight", DType: tensor.F32, Shape: []int{len(x) / 1024, 1024}}, b)
	path := filepath.Join(t.TempDir(), "big.gguf")
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

// into quantises to a new file and returns the error; nothing may be left.
func into(t *testing.T, ctx context.Context, in *gguf.File, o quantize.Options) error {
	t.Helper()
	dir := t.TempDir()
	mix, _ := quantize.ParseMix("Q8_0")
	_, err := quantize.File(ctx, in, filepath.Join(dir, "out.gguf"), mix, o)
	left, _ := os.ReadDir(dir)
	if err != nil && len(left) > 0 {
		t.Errorf("after %v there is %v", err, left)
	}
	return err
}

func TestFileNamesTheElementItCannotStore(t *testing.T) {
	in := big(t, 2<<20+5, float32(math.Inf(1)))
	err := into(t, context.Background(), in, quantize.Options{})
	for _, want := range []string{"blk.0.attn_q.weight", "row 2048, column 5", "+Inf", "Q8_0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error %v does not mention %q", err, want)
		}
	}
}

func TestFileEndsWithItsContext(t *testing.T) {
	in := big(t, 0, 1)
	ctx, cancel := context.WithCancel(context.Background())
	err := into(t, ctx, in, quantize.Options{Progress: func(done, total int64) {
		cancel()
		if done > total/2 {
			t.Errorf("%d of %d bytes done after the context ended", done, total)
		}
	}, Threads: 1})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run ends with %v", err)
	}
}

func TestFileSurvivesATruncatedInput(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a mapped file cannot be truncated there")
	}
	in := big(t, 0, 1)
	if err := os.Truncate(in.Name, 1<<20); err != nil {
		t.Fatal(err)
	}
	err := into(t, context.Background(), in, quantize.Options{})
	if !errors.Is(err, gguf.ErrTruncated) {
		t.Errorf("a truncated input gives %v, want ErrTruncated", err)
	}
}

func TestFileTakesLittleMemory(t *testing.T) {
	in := big(t, 0, 1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := into(t, context.Background(), in, quantize.Options{Threads: 2}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 5<<20 {
		t.Errorf("12 MiB of input on two threads took %d bytes of memory in all, want at most 5 MiB", took)
	}
}

func TestFileRefuses(t *testing.T) {
	mix, _ := quantize.ParseMix("Q4_0")
	q8 := open(t, testdata.File(t, "models", "stories260K-wide256-Q8_0.gguf"))
	err := into(t, context.Background(), q8, quantize.Options{})
	if err != nil {
		t.Errorf("Q8_0 to Q8_0 is a copy, got %v", err)
	}
	out := filepath.Join(t.TempDir(), "x.gguf")
	_, err = quantize.File(context.Background(), q8, out, mix, quantize.Options{})
	if !errors.Is(err, quantize.ErrQuantized) || !strings.Contains(err.Error(), "Q8_0") {
		t.Errorf("a quantised model gives %v, want ErrQuantized", err)
	}
	if _, err = quantize.File(context.Background(), q8, out, mix, quantize.Options{AllowRequantize: true}); err != nil {
		t.Errorf("AllowRequantize: %v", err)
	}
	if _, err = quantize.File(context.Background(), q8, q8.Name, mix, quantize.Options{AllowRequantize: true}); err == nil {
		t.Error("the input may be its own output")
	}
	if _, err = quantize.File(context.Background(), stories(t), filepath.Join(t.TempDir(), "no", "such.gguf"), mix, quantize.Options{}); err == nil {
		t.Error("a folder that does not exist is no error")
	}
}

func TestFileRefusesPartsAndVocabularies(t *testing.T) {
	mix, _ := quantize.ParseMix("Q4_0")
	for want, set := range map[string]func(*gguf.Writer){
		"parts": func(w *gguf.Writer) {
			w.Set("split.count", uint16(3))
			w.AddBytes(tensor.Desc{Name: "a", Shape: []int{1}}, make([]byte, 4))
		},
		"no tensors": func(w *gguf.Writer) { w.Set("general.architecture", "llama") },
	} {
		w := gguf.NewWriter()
		set(w)
		path := filepath.Join(t.TempDir(), "in.gguf")
		if err := w.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		_, err := quantize.File(context.Background(), open(t, path), path+".out", mix, quantize.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %q", err, want)
		}
	}
}
