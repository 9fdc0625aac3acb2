package wasm

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// apply is what ProcessTop's results mean for a row of logits.
func apply(logits []float32, n int, ids []int32, best []float32) {
	if n > 0 {
		exclude(logits)
		for i, id := range ids[:n] {
			logits[id] = best[i]
		}
	}
}

// TestProcessTopIsProcess gives samplers of every choice the best tokens, and all
// logits: what becomes of the row must be the same.
func TestProcessTopIsProcess(t *testing.T) {
	cand := Cat(framePtr, framePtr, I32Load(48), I32Add)
	edit := func(choice abi.Choice) [][]byte {
		return [][]byte{cand, F32Const(float32(math.Inf(-1))), F32Store(4), cand, F32Const(9), F32Store(12),
			cand, cand, I32Load(8), I32Store(16), // the second token twice
			rowPtr, I32Const(3), I32Store(24), choose(choice, 0)}
	}
	for name, code := range map[string][][]byte{
		"none": {choose(abi.ChoiceNone, 0)}, "pick": {choose(abi.ChoicePick, 5)}, "pick nothing": {choose(abi.ChoicePick, -3)},
		"edit": edit(abi.ChoiceEdit), "keep": edit(abi.ChoiceKeep), "mask": {choose(abi.ChoiceMask, 0)},
		"too many": {rowPtr, I32Const(9999), I32Store(24), choose(abi.ChoiceEdit, 0)},
	} {
		for _, open := range []bool{false, true} {
			o := Options{}
			if open {
				o.OnFault = FailOpen
			}
			p := newGuest(abi.KindSampler, abi.ModeCandidates).with(abi.ExportSample, code...).load(t, o)
			if err := errors.Join(p.OpenSeq(1, nil), p.OpenSeq(2, nil)); err != nil {
				t.Fatal(err)
			}
			want, got := ramp(1000), ramp(1000)
			wantPick, wantErr := p.Process(1, []int32{1, 2}, want)
			var ids []int32
			var best []float32
			for _, c := range topK(nil, got, 300) {
				ids, best = append(ids, c.id()), append(best, c.logit())
			}
			asked := false
			n, pick, err := p.ProcessTop(2, []int32{1, 2}, len(got), ids, best, func() ([]float32, error) { asked = true; return got, nil })
			apply(got, n, ids, best)
			if pick != wantPick || (err == nil) != (wantErr == nil) || err == nil && !slices.Equal(got, want) {
				t.Errorf("%s, open %v: %d, %d, %v; want %d, %v", name, open, n, pick, err, wantPick, wantErr)
			}
			if asked != (name == "keep" || name == "mask") || err == nil && (n < 0) != (name == "keep") {
				t.Errorf("%s: all logits asked for: %v, n %d", name, asked, n)
			}
		}
	}
}

// TestProcessTopFails passes on what the device says, and is for one mode only.
func TestProcessTopFails(t *testing.T) {
	p := newGuest(abi.KindSampler, abi.ModeCandidates).with(abi.ExportSample, choose(abi.ChoiceKeep, 0)).load(t, Options{})
	open(t, p, 1)
	gone := errors.New("gone")
	if _, _, err := p.ProcessTop(1, nil, 10, []int32{4}, []float32{1}, func() ([]float32, error) { return nil, gone }); !errors.Is(err, gone) {
		t.Error(err)
	}
	if _, _, err := p.ProcessTop(1, nil, 10, []int32{4}, nil, nil); err == nil {
		t.Error("tokens without logits")
	}
	dense := newGuest(abi.KindSampler, abi.ModeDense).with(abi.ExportSample, choose(abi.ChoiceNone, 0)).load(t, Options{})
	open(t, dense, 1)
	if _, _, err := dense.ProcessTop(1, nil, 10, []int32{4}, []float32{1}, nil); err == nil || dense.Top(1) != 0 || p.Top(1) != abi.DefaultCandidates {
		t.Errorf("%v, %d, %d", err, dense.Top(1), p.Top(1))
	}
}
