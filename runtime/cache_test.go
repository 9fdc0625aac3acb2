package sandwarp_test

import (
	"context"
	"errors"
	"math"
	"testing"

	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

// rows returns the logits of every position.
func rows(t testing.TB, m *sandwarp.Model, ids []int32) (all [][]float32) {
	t.Helper()
	err := m.Logits(t.Context(), ids, func(_ int, logits []float32) error {
		all = append(all, append([]float32(nil), logits...))
		return nil
	})
	if err != nil || len(all) != len(ids) {
		t.Fatal(len(all), err)
	}
	return all
}

func ids(n, salt int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32((i*i*31 + i*7 + salt) % 280)
	}
	return list
}

// TestCacheTypes tells the kinds of cache apart by what rounding keys and values
// does to the logits.
func TestCacheTypes(t *testing.T) {
	full := rows(t, tiny(t, sandwarp.Options{CacheType: sandwarp.CacheF32}), ids(100, 1))
	var off [2]float64
	for k, kind := range []sandwarp.CacheType{sandwarp.CacheF16, sandwarp.CacheQ8} {
		got := rows(t, tiny(t, sandwarp.Options{CacheType: kind}), ids(100, 1))
		for p := range got {
			for i := range got[p] {
				off[k] = max(off[k], math.Abs(float64(got[p][i]-full[p][i])))
			}
		}
	}
	if off[0] == 0 || off[0] > 0.05 || off[1] <= off[0] || off[1] > 0.5 {
		t.Errorf("logits over caches in 16 and 8 bits are off by at most %g", off)
	}
}

// TestLogitsOfLongSequences wants every row, in order, of more rows than a batch
// has room for logits; the prefix of a sequence has the same rows.
func TestLogitsOfLongSequences(t *testing.T) {
	m := tiny(t, sandwarp.Options{CacheType: sandwarp.CacheF32})
	long := rows(t, m, ids(200, 2))
	for _, n := range []int{1, 31, 32, 33, 65} {
		for p, row := range rows(t, m, ids(n, 2)) {
			for i := range row {
				if d := math.Abs(float64(row[i] - long[p][i])); d > 1e-4 {
					t.Fatalf("%d ids: logit %d of position %d is %g off", n, i, p, d)
				}
			}
		}
	}
}

// TestLogitsEnds ends scoring runs early; nothing of them may stay.
func TestLogitsEnds(t *testing.T) {
	m := tiny(t, sandwarp.Options{})
	oops := errors.New("oops")
	calls := 0
	err := m.Logits(t.Context(), ids(100, 1), func(pos int, _ []float32) error {
		if calls++; pos == 40 {
			return oops
		}
		return nil
	})
	if err != oops || calls != 41 {
		t.Errorf("%v after %d calls", err, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = m.Logits(ctx, ids(400, 1), func(pos int, _ []float32) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := m.Logits(t.Context(), ids(600, 1), func(int, []float32) error { return nil }); !errors.Is(err, sandwarp.ErrContextFull) {
		t.Errorf("too long: %v", err)
	}
	if err := m.Logits(t.Context(), nil, func(int, []float32) error { return nil }); err == nil {
		t.Error("no tokens: accepted")
	}
	if l := m.Load(); l.Running != 0 || l.FreePages != l.Pages {
		t.Errorf("%+v", l)
	}
}
