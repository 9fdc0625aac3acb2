package wasm

import (
	"math"
	"runtime"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

func ramp(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i%97) - float32(i)/1000
	}
	return v
}

func open(t testing.TB, p *Plugin, seqs ...uint64) {
	t.Helper()
	for _, s := range seqs {
		if err := p.OpenSeq(s, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPick(t *testing.T) {
	for _, mode := range []abi.Mode{abi.ModeMask, abi.ModeCandidates, abi.ModeDense} {
		g := newGuest(abi.KindSampler, mode).with(abi.ExportSample, choose(abi.ChoicePick, 5))
		p := g.load(t, Options{})
		open(t, p, 1)
		logits := ramp(1000)
		pick, err := p.Process(1, []int32{1, 2, 3}, logits)
		if pick != 5 || err != nil {
			t.Errorf("%s: picked %d, %v", mode, pick, err)
		}
		if s := p.Stats(); s.Calls != 1 || s.Fuel == 0 || s.Faults != 0 {
			t.Errorf("%s: %+v", mode, s)
		}
	}
}

func TestPickBestCandidate(t *testing.T) {
	cand := Cat(framePtr, framePtr, I32Load(48), I32Add)
	g := newGuest(abi.KindSampler, abi.ModeCandidates).with(abi.ExportSample,
		rowPtr, I32Const(int32(abi.ChoicePick)), I32Store(rowAction),
		rowPtr, cand, I32Load(0), I32Store(rowToken), I32Const(0))
	p := g.load(t, Options{})
	open(t, p, 1)
	logits := make([]float32, 1000)
	logits[777] = 3
	if pick, err := p.Process(1, nil, logits); pick != 777 || err != nil {
		t.Errorf("%d, %v", pick, err)
	}
}

// A candidates sampler that keeps the second best only.
func TestCandidatesEditAndKeep(t *testing.T) {
	for _, choice := range []abi.Choice{abi.ChoiceEdit, abi.ChoiceKeep} {
		cand := Cat(framePtr, framePtr, I32Load(48), I32Add)
		g := newGuest(abi.KindSampler, abi.ModeCandidates).with(abi.ExportSample,
			cand, F32Const(float32(math.Inf(-1))), F32Store(4),
			cand, F32Const(9), F32Store(12),
			rowPtr, I32Const(2), I32Store(24), choose(choice, 0))
		p := g.load(t, Options{})
		open(t, p, 1)
		logits := ramp(1000)
		logits[10], logits[20], logits[30] = 200, 100, 50
		if _, err := p.Process(1, nil, logits); err != nil {
			t.Fatal(err)
		}
		if logits[20] != 9 || !math.IsInf(float64(logits[10]), -1) {
			t.Errorf("%v: %v %v", choice, logits[10], logits[20])
		}
		if kept := logits[30] == 50; kept != (choice == abi.ChoiceKeep) {
			t.Errorf("%v: third candidate %v", choice, logits[30])
		}
	}
}

func TestMask(t *testing.T) {
	mask := Cat(framePtr, framePtr, I32Load(40), I32Add)
	g := newGuest(abi.KindSampler, abi.ModeMask).with(abi.ExportSample,
		mask, I32Const(0b1010), I32Store(0), mask, I32Const(-1), I32Store(8), choose(abi.ChoiceMask, 0))
	p := g.load(t, Options{})
	open(t, p, 1)
	logits := ramp(70) // the third word has bits beyond the vocabulary
	want := ramp(70)
	if _, err := p.Process(1, nil, logits); err != nil {
		t.Fatal(err)
	}
	for i, v := range logits {
		allowed := i == 1 || i == 3 || i >= 64
		if allowed && v != want[i] || !allowed && !math.IsInf(float64(v), -1) {
			t.Errorf("logit %d is %v", i, v)
		}
	}
}

// The list excludes token 2 and adds to token 3, with and without a mask.
func TestBias(t *testing.T) {
	list := Cat(I32Const(2048), I32Const(2), I32Store(0), I32Const(2048), F32Const(float32(math.Inf(-1))), F32Store(4),
		I32Const(2048), I32Const(3), I32Store(8), I32Const(2048), F32Const(1.5), F32Store(12),
		rowPtr, I32Const(2048), I32Store(68), rowPtr, I32Const(2), I32Store(72))
	mask := Cat(framePtr, framePtr, I32Load(40), I32Add, I32Const(0b1100), I32Store(0))
	for _, choice := range []abi.Choice{abi.ChoiceBias, abi.ChoiceMask} {
		g := newGuest(abi.KindSampler, abi.ModeMask).with(abi.ExportSample, list, mask, choose(choice, 0))
		p := g.load(t, Options{})
		open(t, p, 1)
		logits := []float32{1, 2, 3, 4, 5}
		if _, err := p.Process(1, nil, logits); err != nil {
			t.Fatal(err)
		}
		kept := logits[0] == 1 && logits[4] == 5
		if !math.IsInf(float64(logits[2]), -1) || logits[3] != 5.5 || kept != (choice == abi.ChoiceBias) {
			t.Errorf("%v: %v", choice, logits)
		}
	}
}

func TestSane(t *testing.T) {
	in := newGuest(abi.KindSampler, abi.ModeDense).load(t, Options{}).instances[0]
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, n := range []int{1, 15, 16, 17, 33, 160} {
		for i := range n {
			for _, v := range []float32{nan, -nan, inf, -inf, 0, -3, math.MaxFloat32, -math.MaxFloat32, math.Float32frombits(0xffc00001), math.SmallestNonzeroFloat32} {
				logits := ramp(n)
				logits[i] = v
				bad := v != v || v == inf || n == 1 && v == -inf
				if f := in.sane(logits); (f != nil) != bad {
					t.Fatalf("%v at %d of %d: %v", v, i, n, f)
				}
			}
		}
		none := make([]float32, n)
		exclude(none)
		if in.sane(none) == nil {
			t.Errorf("%d times -Inf accepted", n)
		}
	}
}

// A dense sampler that adds one to logit 3, in the frame and beside it.
func TestDense(t *testing.T) {
	logits3 := Cat(framePtr, framePtr, I32Load(32), I32Add)
	g := newGuest(abi.KindSampler, abi.ModeDense).with(abi.ExportSample,
		logits3, logits3, F32Load(12), F32Const(1), Op(0x92), F32Store(12), choose(abi.ChoiceEdit, 0))
	p := g.load(t, Options{})
	open(t, p, 1, 2)
	for seq := uint64(1); seq <= 2; seq++ {
		row, err := p.Frame(seq, 5000)
		if err != nil || len(row) != 5000 {
			t.Fatal(len(row), err)
		}
		for round := range 3 {
			copy(row, ramp(5000))
			if _, err := p.Process(seq, nil, row); err != nil {
				t.Fatal(err)
			}
			if want := ramp(5000); row[3] != want[3]+1 || row[4] != want[4] {
				t.Errorf("round %d in the frame: %v", round, row[3])
			}
		}
	}
	beside := ramp(5000)
	if _, err := p.Process(1, nil, beside); err != nil {
		t.Fatal(err)
	}
	if want := ramp(5000); beside[3] != want[3]+1 || beside[4999] != want[4999] {
		t.Errorf("beside the frame: %v", beside[3])
	}
	if _, err := p.Process(1, nil, ramp(5001)); err == nil {
		t.Error("a second vocabulary was accepted")
	}
}

func TestHistoryAndRow(t *testing.T) {
	// Picks the last token of the history plus the position times 100.
	hist := Cat(framePtr, rowPtr, I32Load(16), I32Add, rowPtr, I32Load(20), I32Const(1), I32Sub, I32Const(2), Op(0x74), I32Add, I32Load(0))
	g := newGuest(abi.KindSampler, abi.ModeMask)
	g.manifest.History = 4
	g.with(abi.ExportSample, rowPtr, I32Const(int32(abi.ChoicePick)), I32Store(rowAction),
		rowPtr, rowPtr, I32Load(12), I32Const(100), I32Mul, hist, I32Add, I32Store(rowToken), I32Const(0))
	p := g.load(t, Options{})
	open(t, p, 1)
	for _, h := range [][]int32{{7}, {1, 2, 9}, {1, 2, 3, 4, 5, 6, 42}} {
		pick, err := p.Process(1, h, make([]float32, 1000))
		if want := int32(100*len(h)) + h[len(h)-1]; pick != want || err != nil {
			t.Errorf("%v: %d, %v", h, pick, err)
		}
	}
}

func TestProcessAllocatesNothing(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("the interpreter allocates")
	}
	for _, mode := range []abi.Mode{abi.ModeMask, abi.ModeCandidates, abi.ModeDense} {
		p := newGuest(abi.KindSampler, mode).with(abi.ExportSample, choose(abi.ChoicePick, 5)).load(t, Options{})
		open(t, p, 1)
		logits, err := p.Frame(1, 20000)
		if err != nil {
			t.Fatal(err)
		}
		copy(logits, ramp(20000))
		n := testing.AllocsPerRun(200, func() {
			if _, err := p.Process(1, nil, logits); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations a token", mode, n)
		}
	}
}

const vocab = 151_936

func benchSampler(b *testing.B, mode abi.Mode, framed bool, o Options, sample ...[]byte) {
	g := newGuest(abi.KindSampler, mode).with(abi.ExportSample, sample...)
	p := g.load(b, o)
	open(b, p, 1)
	logits := ramp(vocab)
	if framed {
		row, err := p.Frame(1, vocab)
		if err != nil {
			b.Fatal(err)
		}
		copy(row, logits)
		logits = row
	}
	b.ResetTimer()
	for range b.N {
		if _, err := p.Process(1, nil, logits); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHop(b *testing.B) {
	p := newGuest(abi.KindSampler, abi.ModeMask).load(b, Options{})
	in := p.instances[0]
	b.ResetTimer()
	for range b.N {
		in.stack[0] = 1
		if f := in.do(fnSample, 1000); f != nil {
			b.Fatal(f)
		}
	}
}

func BenchmarkProcessMask(b *testing.B) {
	benchSampler(b, abi.ModeMask, false, Options{}, choose(abi.ChoicePick, 5))
}
func BenchmarkProcessCandidates(b *testing.B) {
	benchSampler(b, abi.ModeCandidates, false, Options{}, choose(abi.ChoicePick, 5))
}
func BenchmarkProcessDenseInFrame(b *testing.B) {
	benchSampler(b, abi.ModeDense, true, Options{OnFault: FailClosed}, choose(abi.ChoicePick, 5))
}
func BenchmarkProcessDenseInFrameUndo(b *testing.B) {
	benchSampler(b, abi.ModeDense, true, Options{}, choose(abi.ChoicePick, 5))
}
func BenchmarkProcessDenseCopied(b *testing.B) {
	benchSampler(b, abi.ModeDense, false, Options{}, choose(abi.ChoicePick, 5))
}
func BenchmarkProcessDenseEdit(b *testing.B) {
	benchSampler(b, abi.ModeDense, true, Options{OnFault: FailClosed}, choose(abi.ChoiceEdit, 5))
}

func BenchmarkChain(b *testing.B) {
	p := newGuest(abi.KindSampler, abi.ModeMask).load(b, Options{})
	open(b, p, 1)
	row, history := ramp(1000), []int32{1, 2, 3}
	for b.Loop() {
		if _, err := p.Process(1, history, row); err != nil {
			b.Fatal(err)
		}
	}
}
