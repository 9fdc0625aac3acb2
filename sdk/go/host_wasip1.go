//go:build wasip1

package plugin

import (
	"unsafe"

	"github.com/sandwarp/sandwarp/abi"
)

//go:wasmimport sw1 log
func swLog(level int32, ptr unsafe.Pointer, n uint32) int32

//go:wasmimport sw1 metric
func swMetric(ptr unsafe.Pointer, n uint32, value float64) int32

//go:wasmimport sw1 now
func swNow() int64

//go:wasmimport sw1 rand
func swRand() uint64

//go:wasmimport sw1 kv_get
func swGet(key unsafe.Pointer, keyLen uint32, value unsafe.Pointer, valueCap uint32) int32

//go:wasmimport sw1 kv_set
func swSet(key unsafe.Pointer, keyLen uint32, value unsafe.Pointer, valueLen uint32) int32

//go:wasmimport sw1 vocab_map
func swVocab(ptr unsafe.Pointer, capacity uint32) int64

//go:wasmimport sw1 op_topk
func swTopK(logits unsafe.Pointer, n, k uint32, out unsafe.Pointer) int32

//go:wasmimport sw1 op_mask
func swMask(logits unsafe.Pointer, n uint32, mask unsafe.Pointer) int32

//go:wasmimport sw1 op_scale
func swScale(logits unsafe.Pointer, n uint32, mul, add float32) int32

//go:wasmimport sw1 op_penalty
func swPenalty(logits unsafe.Pointer, n uint32, ids unsafe.Pointer, idsN uint32, repeat, presence, frequency float32) int32

//go:wasmimport sw1 op_lse
func swLSE(logits unsafe.Pointer, n uint32) float64

//go:wasmimport sw1 op_gather
func swGather(logits unsafe.Pointer, n uint32, ids unsafe.Pointer, idsN uint32, out unsafe.Pointer) int32

func text(s string) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.StringData(s)), uint32(len(s))
}

func vector[T any](v []T) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(v)), uint32(len(v))
}

func check(code int32) error {
	if code < 0 {
		return abi.Code(code)
	}
	return nil
}

// Log writes a line to the host's log; the higher the level, the worse.
func Log(level int, line string) {
	p, n := text(line)
	swLog(int32(level), p, n)
}

// Metric reports a measurement.
func Metric(name string, value float64) {
	p, n := text(name)
	swMetric(p, n, value)
}

// Now is the virtual time in nanoseconds.
func Now() int64 { return swNow() }

// Rand is the next random number of this call.
func Rand() uint64 { return swRand() }

// Get reads from the plugin's store; it needs abi.CapKV.
func Get(key string) ([]byte, error) {
	value := make([]byte, 256)
	for {
		p, n := text(key)
		got := swGet(p, n, unsafe.Pointer(unsafe.SliceData(value)), uint32(len(value)))
		if got < 0 {
			return nil, abi.Code(got)
		}
		if int(got) <= len(value) {
			return value[:got], nil
		}
		value = make([]byte, got)
	}
}

// Set writes to the plugin's store; an empty value deletes. It needs abi.CapKV.
func Set(key string, value []byte) error {
	p, n := text(key)
	v, m := vector(value)
	return check(swSet(p, n, v, m))
}

// Vocab is the texts of the model's tokens by id; it needs abi.CapVocab.
func Vocab() ([]string, error) {
	size := swVocab(nil, 0)
	if size < 0 {
		return nil, abi.Code(size)
	}
	b := make([]byte, size)
	if got := swVocab(unsafe.Pointer(unsafe.SliceData(b)), uint32(size)); got != size {
		return nil, abi.EIO
	}
	return splitVocab(b)
}

// TopK writes the k best of logits to out, best first, and returns their number.
func TopK(logits []float32, k int, out abi.Candidates) (int, error) {
	p, n := vector(logits)
	if len(out) < k*abi.CandidateSize {
		return 0, abi.EINVAL
	}
	got := swTopK(p, n, uint32(k), unsafe.Pointer(unsafe.SliceData(out)))
	return int(got), check(got)
}

// ApplyMask excludes the tokens whose bit is clear.
func ApplyMask(logits []float32, mask []uint32) error {
	p, n := vector(logits)
	if len(mask) < (len(logits)+31)/32 {
		return abi.EINVAL
	}
	return check(swMask(p, n, unsafe.Pointer(unsafe.SliceData(mask))))
}

// Scale replaces each logit x by x*mul+add.
func Scale(logits []float32, mul, add float32) error {
	p, n := vector(logits)
	return check(swScale(p, n, mul, add))
}

// Penalty lowers the logits of ids: by the factor repeat, by presence once and
// by frequency each time they occur.
func Penalty(logits []float32, ids []int32, repeat, presence, frequency float32) error {
	p, n := vector(logits)
	q, m := vector(ids)
	return check(swPenalty(p, n, q, m, repeat, presence, frequency))
}

// LogSumExp is log(sum(exp(logits))), NaN on an error.
func LogSumExp(logits []float32) float64 {
	p, n := vector(logits)
	return swLSE(p, n)
}

// Gather copies the logits of ids to out.
func Gather(logits []float32, ids []int32, out []float32) error {
	p, n := vector(logits)
	q, m := vector(ids)
	if len(out) < len(ids) {
		return abi.EINVAL
	}
	return check(swGather(p, n, q, m, unsafe.Pointer(unsafe.SliceData(out))))
}
