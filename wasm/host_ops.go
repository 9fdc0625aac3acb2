package wasm

import (
	"math"
	"slices"
	"unsafe"

	"github.com/sandwarp/sandwarp/abi"
)

// The ops work on vectors in the guest's memory, at native speed. Beyond the call they
// cost fuel by what the worst input makes of them, about a nanosecond a unit.
// Pointers are multiples of 4.

func f64of(v uint64) float64 { return math.Float64frombits(v) }
func f32of(v uint64) float32 { return math.Float32frombits(uint32(v)) }

// words is a vector of n 4-byte values in the guest's memory.
func words[T float32 | int32 | uint32](in *instance, ptr, n uint64) ([]T, abi.Code) {
	if uint32(n) > math.MaxInt32/4 {
		return nil, abi.EFAULT
	}
	if uint32(ptr)%4 != 0 {
		return nil, abi.EINVAL
	}
	b, ok := in.mem(uint32(ptr), uint32(n)*4)
	if !ok {
		return nil, abi.EFAULT
	}
	return view[T](b), abi.OK
}

// view reinterprets bytes whose address is a multiple of 4. Hosts are
// little-endian: Load refuses others.
func view[T float32 | int32 | uint32](b []byte) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// args checks several vectors at once and charges for them.
func (in *instance) args(fuel uint64, codes ...abi.Code) abi.Code {
	for _, c := range codes {
		if c != abi.OK {
			return c
		}
	}
	if !in.charge(fuel) {
		return abi.ETIME
	}
	return abi.OK
}

func opTopK(in *instance, s []uint64) {
	logits, c1 := words[float32](in, s[0], s[1])
	k := min(int(uint32(s[2])), len(logits))
	if k > abi.MaxCandidates {
		s[0] = code(abi.E2BIG)
		return
	}
	out, ok := in.mem(uint32(s[3]), uint32(k*abi.CandidateSize))
	c2 := abi.OK
	if !ok {
		c2 = abi.EFAULT
	}
	if c := in.args(uint64(len(logits)+16*k), c1, c2); c != abi.OK {
		s[0] = code(c)
		return
	}
	in.top = topK(in.top[:0], logits, k)
	for i, t := range in.top {
		abi.Candidates(out).Set(i, t.id(), t.logit())
	}
	s[0] = uint64(len(in.top))
}

func opMask(in *instance, s []uint64) {
	logits, c1 := words[float32](in, s[0], s[1])
	mask, c2 := words[uint32](in, s[2], uint64((uint32(s[1])+31)/32))
	c := in.args(2*uint64(len(logits)), c1, c2)
	if c == abi.OK {
		applyMask(logits, mask)
	}
	s[0] = code(c)
}

func opScale(in *instance, s []uint64) {
	logits, c1 := words[float32](in, s[0], s[1])
	mul, add := f32of(s[2]), f32of(s[3])
	c := in.args(uint64(len(logits)), c1)
	if c == abi.OK {
		for i, v := range logits {
			logits[i] = v*mul + add
		}
	}
	s[0] = code(c)
}

// opPenalty lowers the logits of tokens seen before: by the factor repeat
// (Keskar et al., CTRL, 2019), by presence once, and by frequency for each time.
func opPenalty(in *instance, s []uint64) {
	logits, c1 := words[float32](in, s[0], s[1])
	ids, c2 := words[int32](in, s[2], s[3])
	repeat, presence, frequency := f32of(s[4]), f32of(s[5]), f32of(s[6])
	c := in.args(100*uint64(len(ids)), c1, c2)
	if c == abi.OK && len(ids) > abi.MaxHistory {
		c = abi.E2BIG
	}
	if c != abi.OK {
		s[0] = code(c)
		return
	}
	in.ids = append(in.ids[:0], ids...)
	slices.Sort(in.ids)
	for i := 0; i < len(in.ids); {
		id, n := in.ids[i], 0
		for ; i < len(in.ids) && in.ids[i] == id; i++ {
			n++
		}
		if id < 0 || int(id) >= len(logits) {
			continue
		}
		v := logits[id]
		if v > 0 {
			v /= repeat
		} else {
			v *= repeat
		}
		logits[id] = v - presence - frequency*float32(n)
	}
	s[0] = 0
}

// opLSE is log(sum(exp(logits))), NaN on an error.
func opLSE(in *instance, s []uint64) {
	logits, c1 := words[float32](in, s[0], s[1])
	if in.args(10*uint64(len(logits)), c1) != abi.OK {
		s[0] = math.Float64bits(math.NaN())
		return
	}
	high := math.Inf(-1)
	for _, v := range logits {
		high = max(high, float64(v))
	}
	if math.IsInf(high, 0) || math.IsNaN(high) {
		s[0] = math.Float64bits(high)
		return
	}
	sum := 0.0
	for _, v := range logits {
		if d := float64(v) - high; d > -40 {
			sum += math.Exp(d)
		}
	}
	s[0] = math.Float64bits(high + math.Log(sum))
}

func opGather(in *instance, s []uint64) {
	logits, c1 := words[float32](in, s[0], s[1])
	ids, c2 := words[int32](in, s[2], s[3])
	out, c3 := words[float32](in, s[4], s[3])
	c := in.args(8*uint64(len(ids)), c1, c2, c3)
	for i := 0; i < len(ids) && c == abi.OK; i++ {
		if id := ids[i]; id >= 0 && int(id) < len(logits) {
			out[i] = logits[id]
		} else {
			c = abi.ERANGE
		}
	}
	s[0] = code(c)
}
