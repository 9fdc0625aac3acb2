package wasm

import (
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// There is no real time and no real chance: two plugins given the same calls answer the
// same, whatever other sequences they serve, and another seed gives other numbers. The
// clock is the instance's, so it moves by calls alone.
func TestSameTwice(t *testing.T) {
	run := func(seed uint64, busy bool) (picks []int32) {
		g := newGuest(abi.KindSampler, abi.ModeMask)
		random := g.Import(abi.ImportModule, "rand", nil, []byte{I64})
		now := g.Import(abi.ImportModule, "now", nil, []byte{I64})
		// The time counts for nothing but its difference between two looks.
		elapsed := Cat(Call(now), Op(0xa7), Call(now), Op(0xa7), I32Sub)
		g.with(abi.ExportSample, rowPtr, I32Const(1), I32Store(rowAction),
			rowPtr, Call(random), Op(0xa7), elapsed, I32Add, I32Const(1023), Op(0x71), I32Store(rowToken), I32Const(0))
		p := g.load(t, Options{Seed: seed})
		open(t, p, 1, 2)
		for i := range 20 {
			if busy {
				newStep(2).run(p)
			}
			st := newStep(1)
			st.histories[0] = make([]int32, i)
			picks = append(picks, st.run(p).picks[0])
		}
		return picks
	}
	first := run(1, false)
	if again := run(1, false); !slices.Equal(first, again) {
		t.Errorf("%v, before %v", again, first)
	}
	if busy := run(1, true); !slices.Equal(first, busy) {
		t.Errorf("%v beside another sequence, alone %v", busy, first)
	}
	if other := run(2, false); slices.Equal(first, other) {
		t.Errorf("another seed gives the same: %v", other)
	}
	if len(slices.Compact(slices.Sorted(slices.Values(first)))) < 10 {
		t.Errorf("hardly random: %v", first)
	}
}

// A request's seed decides alone: not the sequence's number, not the plugin's seed.
func TestRequestSeed(t *testing.T) {
	draws := func(o Options, seq uint64, openSeq func(*Swap) error) (picks []int32) {
		g := newGuest(abi.KindSampler, abi.ModeMask)
		random := g.Import(abi.ImportModule, "rand", nil, []byte{I64})
		g.with(abi.ExportSample, rowPtr, I32Const(1), I32Store(rowAction),
			rowPtr, Call(random), Op(0xa7), I32Const(1023), Op(0x71), I32Store(rowToken), I32Const(0))
		p := NewSwap(g.load(t, o))
		if err := openSeq(p); err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			pick, err := p.Process(seq, make([]int32, i), ramp(2000))
			if err != nil {
				t.Fatal(err)
			}
			picks = append(picks, pick)
		}
		return picks
	}
	seeded := func(o Options, seq, seed uint64) []int32 {
		return draws(o, seq, func(p *Swap) error { return p.OpenSeqSeeded(seq, seed, nil) })
	}
	first := seeded(Options{}, 1, 5)
	if again := seeded(Options{Seed: 9}, 30, 5); !slices.Equal(first, again) {
		t.Errorf("%v, before %v", again, first)
	}
	if other := seeded(Options{}, 1, 6); slices.Equal(first, other) {
		t.Errorf("another seed gives the same: %v", other)
	}
	config := abi.AppendUint(abi.AppendString(abi.AppendMap(nil, 1), "seed"), 5)
	own := draws(Options{}, 1, func(p *Swap) error { return p.OpenSeqSeeded(1, 6, config) })
	if !slices.Equal(first, own) {
		t.Errorf("the configuration's seed gives %v, the request's %v", own, first)
	}
}
