//go:build !wasip1

package plugin

import (
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/sandwarp/sandwarp/abi"
)

// Outside a host these functions do the same in plain Go, so that plugins can be
// tested without one. They are not safe for concurrent use. Their comments say what
// they do in a plugin, too: this is the file that go doc shows.

var (
	nativeClock, nativeSeed uint64
	nativeStore             = map[string][]byte{}
	// NativeVocab is what Vocab returns outside a host.
	NativeVocab []string
)

// Log writes a line to the host's log: an error from level 3 on, a warning at 2,
// information at 1. The host cuts it at 4 KiB and drops what is more than 100 lines a
// second. Outside a host it goes to the standard error output.
func Log(level int, line string) { fmt.Fprintf(os.Stderr, "%d %s\n", level, line) }

// Metric hands a measurement to the host; the name is at most 128 bytes. Outside a
// host it does nothing.
func Metric(name string, value float64) {}

// Now is the virtual time in nanoseconds: it moves by a microsecond a look, and tells
// nothing of the real one.
func Now() int64 {
	nativeClock += 1000
	return int64(nativeClock)
}

// Rand is the next random number of a call, whose seed is made of the request's and
// the position: the same request draws the same. A sampler that answers several rows
// draws from Row.Seed instead. Outside a host it is a fixed sequence (SplitMix64).
func Rand() uint64 {
	nativeSeed += 0x9e3779b97f4a7c15
	z := nativeSeed
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Get reads from the plugin's store, which all requests share; it needs abi.CapKV in
// the manifest and the host's consent. The error is abi.ENOENT without such a key.
func Get(key string) ([]byte, error) {
	if v, ok := nativeStore[key]; ok {
		return v, nil
	}
	return nil, abi.ENOENT
}

// Set writes to the store; an empty value deletes. Keys are at most 256 bytes, values
// 64 KiB, all together 1 MiB in 4,096 entries.
func Set(key string, value []byte) error {
	if delete(nativeStore, key); len(value) > 0 {
		nativeStore[key] = slices.Clone(value)
	}
	return nil
}

// Vocab is the texts of the model's tokens by id; it needs abi.CapVocab in the
// manifest. Outside a host it is NativeVocab, or an error if that is nil.
func Vocab() ([]string, error) {
	if NativeVocab == nil {
		return nil, abi.ENOSYS
	}
	return NativeVocab, nil
}

// TopK writes the k best of logits to out, best first, and returns their number.
func TopK(logits []float32, k int, out abi.Candidates) (int, error) {
	if len(out) < k*abi.CandidateSize {
		return 0, abi.EINVAL
	}
	ids := make([]int32, 0, len(logits))
	for i, v := range logits {
		if v >= -math.MaxFloat32 {
			ids = append(ids, int32(i))
		}
	}
	slices.SortStableFunc(ids, func(a, b int32) int {
		switch x, y := logits[a], logits[b]; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	ids = ids[:min(k, len(ids))]
	for i, id := range ids {
		out.Set(i, id, logits[id])
	}
	return len(ids), nil
}

// ApplyMask excludes the tokens whose bit is clear.
func ApplyMask(logits []float32, mask []uint32) error {
	if len(mask) < (len(logits)+31)/32 {
		return abi.EINVAL
	}
	for i := range logits {
		if mask[i/32]>>(i%32)&1 == 0 {
			logits[i] = float32(math.Inf(-1))
		}
	}
	return nil
}

// Scale replaces each logit x by x*mul+add.
func Scale(logits []float32, mul, add float32) error {
	for i := range logits {
		logits[i] = logits[i]*mul + add
	}
	return nil
}

// Penalty lowers the logits of ids: by the factor repeat, by presence once and
// by frequency each time they occur.
func Penalty(logits []float32, ids []int32, repeat, presence, frequency float32) error {
	count := map[int32]float32{}
	for _, id := range ids {
		if id >= 0 && int(id) < len(logits) {
			count[id]++
		}
	}
	for id, n := range count {
		v := logits[id]
		if v > 0 {
			v /= repeat
		} else {
			v *= repeat
		}
		logits[id] = v - presence - frequency*n
	}
	return nil
}

// LogSumExp is log(sum(exp(logits))).
func LogSumExp(logits []float32) float64 {
	high, sum := math.Inf(-1), 0.0
	for _, v := range logits {
		high = max(high, float64(v))
	}
	if math.IsInf(high, 0) {
		return high
	}
	for _, v := range logits {
		sum += math.Exp(float64(v) - high)
	}
	return high + math.Log(sum)
}

// Gather copies the logits of ids to out.
func Gather(logits []float32, ids []int32, out []float32) error {
	if len(out) < len(ids) {
		return abi.EINVAL
	}
	for i, id := range ids {
		if id < 0 || int(id) >= len(logits) {
			return abi.ERANGE
		}
		out[i] = logits[id]
	}
	return nil
}
