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

// TestCacheF32 tells the two kinds of cache apart by what rounding keys and values
// to half precision does to the logits.
func TestCacheF32(t *testing.T) {
	half := rows(t, tiny(t, sandwarp.Options{}), ids(100, 1))
	full := rows(t, tiny(t, sandwarp.Options{CacheF32: true}), ids(100, 1))
	most := 0.0
	for p := range half {
		for i := range half[p] {
			most = max(most, math.Abs(float64(half[p][i]-full[p][i])))
		}
	}
	if most == 0 || most > 0.05 {
		t.Errorf("logits over caches in 16 and 32 bits differ by at most %g", most)
	}
}

// TestLogitsOfLongSequences wants every row, in order, of more rows than a batch
// has room for logits; the prefix of a sequence has the same rows.
func TestLogitsOfLongSequences(t *testing.T) {
	m := tiny(t, sandwarp.Options{CacheF32: true})
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
