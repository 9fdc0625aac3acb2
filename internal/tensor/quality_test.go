package tensor_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/internal/testdata"
)

// Every tensor of the trained stories model, quantised by llama.cpp and by us:
// our reconstruction must not be worse than 1.02 times theirs, tensor by tensor.
func TestQuantizeIsNoWorseThanLlamaCpp(t *testing.T) {
	original := openModel(t, "F32")
	for _, name := range []string{"F16", "BF16", "Q4_0", "Q8_0", "Q4_K_M", "Q5_K_M", "Q6_K"} {
		t.Run(name, func(t *testing.T) {
			f := openModel(t, name)
			worst, worstAt, logSum, n := 0.0, "", 0.0, 0
			var format tensor.DType
			for _, theirs := range f.Tensors() {
				if theirs.DType == tensor.F32 {
					continue
				}
				format = theirs.DType
				from, ok := original.Tensor(theirs.Name)
				if !ok {
					t.Fatalf("no %s in the F32 model", theirs.Name)
				}
				x := floats(from.DType, original.Data(from))
				b := make([]byte, theirs.Bytes())
				if err := tensor.Quantize(b, format, x); err != nil {
					t.Fatal(err)
				}
				ratio := rmse(x, floats(format, b)) / rmse(x, floats(format, f.Data(theirs)))
				if ratio > worst {
					worst, worstAt = ratio, theirs.Name
				}
				logSum += math.Log(ratio)
				n++
			}
			t.Logf("%v: our RMSE is %.3f of llama.cpp's (geometric mean of %d tensors), at worst %.3f (%s)", format, math.Exp(logSum/float64(n)), n, worst, worstAt)
			if n == 0 || worst > 1.02 {
				t.Errorf("%d tensors, worst ratio %.3f at %s", n, worst, worstAt)
			}
		})
	}
}

func openModel(t *testing.T, format string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(testdata.File(t, "models", fmt.Sprintf("stories260K-wide256-%s.gguf", format)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func floats(dt tensor.DType, b []byte) []float32 {
	x := make([]float32, len(b)/dt.BlockBytes()*dt.BlockElems())
	tensor.Dequantize(x, dt, b)
	return x
}

func rmse(x, y []float32) float64 {
	sum := 0.0
	for i := range x {
		e := float64(y[i]) - float64(x[i])
		sum += e * e
	}
	return math.Sqrt(sum / float64(len(x)))
}
