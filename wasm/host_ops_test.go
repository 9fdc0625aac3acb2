package wasm

import (
	"math"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
)

// opsGuest is an instance whose memory the tests fill themselves.
func opsGuest(t *testing.T) *instance {
	in := newGuest(abi.KindFilter, "").load(t, Options{}).instances[0]
	in.fuel.Set(1_000_000)
	return in
}

func put[T float32 | int32 | uint32](t *testing.T, in *instance, ptr uint32, v ...T) uint64 {
	t.Helper()
	b, ok := in.mem(ptr, uint32(4*len(v)))
	if !ok {
		t.Fatal("memory")
	}
	copy(view[T](b), v)
	return uint64(ptr)
}

func result(s []uint64) abi.Code { return abi.Code(int32(s[0])) }

func asBits(v float32) uint64 { return uint64(math.Float32bits(v)) }

func TestOps(t *testing.T) {
	in := opsGuest(t)
	logits := func() uint64 { return put[float32](t, in, 1024, 1, -2, 3, 0, 3, negInf) }
	now := func() []float32 { b, _ := in.mem(1024, 24); return slices.Clone(view[float32](b)) }

	s := []uint64{logits(), 6, 4, 2048}
	if opTopK(in, s); result(s) != 4 {
		t.Fatalf("topk: %v", result(s))
	}
	b, _ := in.mem(2048, 32)
	c := abi.Candidates(b)
	if ids := []int32{c.ID(0), c.ID(1), c.ID(2), c.ID(3)}; !slices.Equal(ids, []int32{2, 4, 0, 3}) || c.Logit(0) != 3 {
		t.Errorf("topk: %v", ids)
	}
	s = []uint64{logits(), 6, 100, 2048}
	if opTopK(in, s); result(s) != 5 {
		t.Errorf("topk of more than there are: %v", result(s))
	}
	s = []uint64{logits(), 6, put[uint32](t, in, 2048, 0b000101)}
	if opMask(in, s); result(s) != 0 || !slices.Equal(now(), []float32{1, negInf, 3, negInf, negInf, negInf}) {
		t.Errorf("mask: %v %v", result(s), now())
	}
	s = []uint64{logits(), 6, asBits(2), asBits(1)}
	if opScale(in, s); result(s) != 0 || !slices.Equal(now(), []float32{3, -3, 7, 1, 7, negInf}) {
		t.Errorf("scale: %v %v", result(s), now())
	}
	s = []uint64{logits(), 6, put[int32](t, in, 2048, 2, 1, 2, 99, -1), 5, asBits(2), asBits(0.5), asBits(0.25)}
	if opPenalty(in, s); result(s) != 0 || !slices.Equal(now(), []float32{1, -4.75, 0.5, 0, 3, negInf}) {
		t.Errorf("penalty: %v %v", result(s), now())
	}
	s = []uint64{logits(), 6}
	opLSE(in, s)
	if got, want := f64of(s[0]), math.Log(math.E+math.Exp(-2)+2*math.Exp(3)+1); math.Abs(got-want) > 1e-12 {
		t.Errorf("lse: %v, want %v", got, want)
	}
	s = []uint64{logits(), 6, put[int32](t, in, 2048, 4, 1), 2, 4000}
	if opGather(in, s); result(s) != 0 {
		t.Errorf("gather: %v", result(s))
	}
	if b, _ := in.mem(4000, 8); !slices.Equal(view[float32](b), []float32{3, -2}) {
		t.Errorf("gather: %v", view[float32](b))
	}
}

func TestOpsRefuse(t *testing.T) {
	in := opsGuest(t)
	const far = 1 << 30
	for name, c := range map[string]struct {
		op   func(*instance, []uint64)
		s    []uint64
		want abi.Code
	}{
		"topk beyond memory":     {opTopK, []uint64{far, 6, 4, 2048}, abi.EFAULT},
		"topk of 2^32-1":         {opTopK, []uint64{1024, math.MaxUint32, 4, 2048}, abi.EFAULT},
		"topk unaligned":         {opTopK, []uint64{1025, 6, 4, 2048}, abi.EINVAL},
		"topk of too many":       {opTopK, []uint64{1024, 6000, 5000, 2048}, abi.E2BIG},
		"topk out beyond memory": {opTopK, []uint64{1024, 6, 4, far}, abi.EFAULT},
		"mask beyond memory":     {opMask, []uint64{1024, 6, far}, abi.EFAULT},
		"scale wraps":            {opScale, []uint64{math.MaxUint32 - 3, 2, 0, 0}, abi.EFAULT},
		"penalty of many":        {opPenalty, []uint64{1024, 6, far, 1 << 20, 0, 0, 0}, abi.EFAULT},
		"gather of no token":     {opGather, []uint64{1024, 6, 2048, 1, 4000}, abi.ERANGE},
		"gather beyond memory":   {opGather, []uint64{1024, 6, 2048, 1, far}, abi.EFAULT},
	} {
		put[int32](t, in, 2048, -7)
		if c.op(in, c.s); result(c.s) != c.want {
			t.Errorf("%s: %v, want %v", name, result(c.s), c.want)
		}
	}
	s := []uint64{far, 6}
	if opLSE(in, s); !math.IsNaN(f64of(s[0])) {
		t.Errorf("lse beyond memory: %v", f64of(s[0]))
	}
	in.fuel.Set(5)
	s = []uint64{1024, 6, asBits(1), asBits(1)}
	if opScale(in, s); result(s) != abi.ETIME || int64(in.fuel.Get()) >= 0 {
		t.Errorf("without fuel: %v", result(s))
	}
}

func TestStoreAndRandom(t *testing.T) {
	in := opsGuest(t)
	key, value := uint64(1024), uint64(2048)
	put[uint32](t, in, 1024, 0x6b6b6b6b)
	put[uint32](t, in, 2048, 0x11223344, 0x55667788)
	for _, c := range []struct {
		op   func(*instance, []uint64)
		s    []uint64
		want abi.Code
	}{
		{hostGet, []uint64{key, 4, 4000, 8}, abi.ENOENT},
		{hostSet, []uint64{key, 4, value, 8}, 0},
		{hostGet, []uint64{key, 4, 4000, 8}, 8},
		{hostGet, []uint64{key, 4, 4000, 2}, 8}, // longer than the room
		{hostSet, []uint64{key, 0, value, 8}, abi.EINVAL},
		{hostSet, []uint64{key, 300, value, 8}, abi.EINVAL},
		{hostSet, []uint64{key, 4, value, 1 << 31}, abi.EFAULT},
		{hostSet, []uint64{key, 4, value, 0}, 0},
		{hostGet, []uint64{key, 4, 4000, 8}, abi.ENOENT},
	} {
		if c.op(in, c.s); result(c.s) != c.want {
			t.Errorf("%v: %v, want %v", c.s, result(c.s), c.want)
		}
	}
	if b, _ := in.mem(4000, 8); b[0] != 0x44 || b[7] != 0x55 {
		t.Errorf("%x", b)
	}
	in.seed = 0 // SplitMix64 from 0: its published first outputs
	for _, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4} {
		if got := in.random(); got != want {
			t.Errorf("%#x, want %#x", got, want)
		}
	}
}
