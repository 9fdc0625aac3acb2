package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// cow says whether images are mapped here.
func cow(t testing.TB) bool {
	t.Helper()
	p := tally(abi.ModeMask, pickTally).load(t, Options{})
	return p.image.Load().file != nil
}

// scribbler writes its pages and a global at each call, reports what it found, and
// traps if the last token is poison.
func scribbler() *guestModule {
	g := newGuest(abi.KindSampler, abi.ModeMask)
	g.manifest.History = 4
	count := g.Global(I32, I32Const(7))
	hist := Cat(framePtr, rowPtr, I32Load(16), I32Add, I32Load(0))
	g.with(abi.ExportSample,
		I32Const(20000), I32Const(20000), I32Load(0), I32Const(1), I32Add, I32Store(0),
		I32Const(40000), I32Const(40000), I32Load(0), I32Const(1), I32Add, I32Store(0),
		GlobalGet(count), I32Const(1), I32Add, GlobalSet(count),
		hist, I32Const(poison), I32Eq, If(None, Unreachable),
		rowPtr, I32Const(1), I32Store(rowAction),
		rowPtr, I32Const(20000), I32Load(0), I32Const(40000), I32Load(0), I32Add, GlobalGet(count), I32Add, I32Store(rowToken), I32Const(0))
	return g
}

// A reset brings back memory and globals as they were after configuration, again and
// again, without a new guest where that can be.
func TestReset(t *testing.T) {
	for _, engine := range []Engine{Wazero(), WazeroInterpreter()} {
		p := scribbler().load(t, Options{Engine: engine, Breaker: Breaker{Faults: 1000}})
		open(t, p, 1)
		in := p.instances[0]
		sample := func(token int32) int32 {
			pick, err := p.Process(1, []int32{token}, make([]float32, 100))
			if err != nil {
				t.Fatal(err)
			}
			return pick
		}
		for round := range 5 {
			for i := range int32(3) {
				if got := sample(1); got != 10+3*i {
					t.Fatalf("%s, round %d: %d, want %d", engine.Name(), round, got, 10+3*i)
				}
			}
			raw := in.raw
			if sample(poison) != -1 || p.Stats().Resets != uint64(round+1) {
				t.Fatalf("%+v", p.Stats())
			}
			if kept := in.raw == raw; kept != (p.image.Load().file != nil) {
				t.Errorf("kept the guest: %v", kept)
			}
		}
	}
}

// Memory that has grown since the image is not kept: a guest starts with what it had.
func TestResetAfterGrowth(t *testing.T) {
	g := scribbler()
	g.exports[abi.ExportSample] = Cat(I32Const(3), MemoryGrow, Drop, g.exports[abi.ExportSample])
	p := g.load(t, Options{})
	open(t, p, 1)
	in := p.instances[0]
	newStep(1).run(p)
	grown := in.raw.MemSize()
	st := newStep(1)
	st.histories[0] = []int32{poison}
	st.run(p)
	if size := in.raw.MemSize(); size != grown-3<<16 || p.Stats().Resets != 1 {
		t.Errorf("%d bytes after the reset, %d before: %+v", size, grown, p.Stats())
	}
	if st := newStep(1).run(p); st.picks[0] != 10 {
		t.Error(st.picks)
	}
}

// A chain of dense plugins and the host see one row, and nothing is copied.
func TestSharedRow(t *testing.T) {
	if !cow(t) {
		t.Skip("rows are not shared on this system")
	}
	const n = 5000
	add := func(logit int32) *guestModule {
		at := Cat(LocalGet(3), I32Const(4*logit), I32Add)
		return tally(abi.ModeDense, LocalGet(2), I32Const(int32(abi.ChoiceEdit)), I32Store(rowAction), at, at, F32Load(0), F32Const(1), Op(0x92), F32Store(0))
	}
	var chain []*Plugin
	for i := range int32(3) {
		p := add(i).load(t, Options{OnFault: FailClosed})
		open(t, p, 1, 2, 3)
		chain = append(chain, p)
	}
	row, err := chain[0].Frame(1, n)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := chain[0].Frame(2, n)
	for round := range 3 {
		copy(row, ramp(n))
		copy(other, ramp(n))
		for _, p := range chain {
			if _, err := p.Process(1, nil, row); err != nil {
				t.Fatal(err)
			}
		}
		want := ramp(n)
		for i := range chain {
			want[i]++
		}
		if !slices.Equal(row, want) || !slices.Equal(other, ramp(n)) {
			t.Fatalf("round %d: %v", round, row[:4])
		}
	}
	for i, p := range chain {
		in := p.instances[0]
		if r := in.mapped[in.p.seqs[1].slot]; r == nil || &r.vals[0] != &row[0] {
			t.Errorf("plugin %d does not see the row itself", i)
		}
		if i > 0 && in.mapped[in.p.seqs[2].slot] != nil {
			t.Errorf("plugin %d sees a row it was never given", i)
		}
	}
	// Logits beside it must not end up in the other plugins' row.
	beside := ramp(n)
	if _, err := chain[1].Process(1, nil, beside); err != nil || beside[1] != ramp(n)[1]+1 {
		t.Error(beside[1], err)
	}
	if row[1] != ramp(n)[1]+1 || chain[1].instances[0].mapped[0] != nil {
		t.Error("a copy went to the shared row")
	}
	// It outlives its sequences and plugins for as long as one holds it.
	for _, p := range chain[1:] {
		if _, err := p.Process(1, nil, row); err != nil {
			t.Fatal(err)
		}
		p.Close()
	}
	row[7] = 5
	if row[7] != 5 {
		t.Error("row is gone")
	}
}

// What a sequence left in a row, or sees in it, is nobody else's.
func TestRowsAreClean(t *testing.T) {
	if !cow(t) {
		t.Skip("rows are not shared on this system")
	}
	const n = 5000
	// Picks the first logit as the guest sees it in the row of slot 0, wherever the
	// call's row is, and in a plan remembers it.
	spy := Cat(framePtr, framePtr, I32Load(28), I32Add, I32Const(1), I32Store(rowAction),
		framePtr, framePtr, I32Load(28), I32Add, framePtr, framePtr, I32Load(32), I32Add, F32Load(0), Op(0xa8), I32Store(rowToken), I32Const(0))
	p := newGuest(abi.KindSampler, abi.ModeDense).with(abi.ExportSample, spy).load(t, Options{})
	see := func(seq uint64, logits []float32) int32 {
		pick, err := p.Process(seq, nil, logits)
		if err != nil {
			t.Fatal(err)
		}
		return pick
	}
	for round := range 2*rowsKept + 3 {
		open(t, p, 1)
		row, err := p.Frame(1, n)
		if err != nil {
			t.Fatal(err)
		}
		if row[0] != 0 || row[n-1] != 0 {
			t.Fatalf("round %d: a row holds what another left: %v", round, row[0])
		}
		in := p.instances[0]
		row[0], row[n-1] = 77, 77
		if got := see(1, row); got != 77 {
			t.Fatalf("round %d: %d", round, got)
		}
		p.CloseSeq(1)
		if b := in.logits(0); b[0] != 0 || b[n-1] != 0 {
			t.Fatalf("round %d: the guest still sees the row: %v", round, b[0])
		}
	}
	// Many at once go beyond what is kept, and come back without memory.
	var held []*sharedRow
	for range 3 * rowsKept {
		r := newRow(n)
		r.vals[0] = 3
		held = append(held, r)
	}
	for _, r := range held {
		r.release()
	}
	for i := range 3 * rowsKept {
		r := newRow(n)
		if r.vals[0] != 0 {
			t.Fatalf("row %d: %v", i, r.vals[0])
		}
		defer r.release()
	}
}

// A row survives the reset of the guest that handed it out, with what it held.
func TestRowSurvivesReset(t *testing.T) {
	g := tally(abi.ModeDense, editTally)
	for _, policy := range []Policy{FailOpen, FailClosed} {
		p := g.load(t, Options{OnFault: policy})
		g = tally(abi.ModeDense, editTally)
		open(t, p, 1)
		st := newStep(1)
		st.place(t, p)
		accept(t, p, 1, poison)
		st.run(p)
		if !slices.Equal(st.logits[0], ramp(2000)) {
			t.Errorf("policy %d: logits changed by a fault", policy)
		}
		if err := p.Rollback(1, 1); err != nil {
			t.Fatal(err)
		}
		if st.run(p); st.errs[0] != nil || st.logits[0][7] != 0 {
			t.Errorf("policy %d: %v %v", policy, st.errs[0], st.logits[0][7])
		}
	}
}

// Copies of a guest share what they do not write. One that is called has a page of its
// own for the frame, too, and the engine a stack of 10 KiB for each function called.
func TestForkMemory(t *testing.T) {
	if !cow(t) {
		t.Skip("forks are copies on this system")
	}
	if racing {
		t.Skip("the race detector takes memory of its own")
	}
	const forks = 1000
	p := tally(abi.ModeMask, pickTally).load(t, Options{Forks: forks})
	open(t, p, 1)
	accept(t, p, 1, 3)
	warm(t, p, 1)
	if err := p.ForkSeq(1, 2); err != nil {
		t.Fatal(err)
	}
	tallyOf(t, p, 2)
	logits := make([]float32, 2000)
	each := func(what string, most int, f func(seq uint64) error) {
		debug.FreeOSMemory()
		before := resident(t)
		for i := range uint64(forks - 1) {
			if err := f(10 + i); err != nil {
				t.Fatal(what, err)
			}
		}
		debug.FreeOSMemory()
		per := (resident(t) - before) / (forks - 1)
		t.Logf("%s: %d bytes of resident memory a fork", what, per)
		if per > most {
			t.Errorf("%s: %d bytes of resident memory a fork, at most %d wanted", what, per, most)
		}
	}
	each("made", 16<<10, func(seq uint64) error { return p.ForkSeq(1, seq) })
	each("called", 20<<10, func(seq uint64) error {
		if pick, err := p.Process(seq, nil, logits); pick != 3 {
			return fmt.Errorf("%d, %w", pick, err)
		}
		return nil
	})
	if p.forks != forks {
		t.Fatal(p.forks)
	}
	for i := range uint64(forks - 1) {
		p.CloseSeq(10 + i)
	}
	runtime.KeepAlive(logits)
}

// resident is the process's resident memory, shared pages by their part.
func resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Skip(err)
	}
	for line := range bytes.Lines(b) {
		var kib int
		if n, _ := fmt.Sscanf(string(line), "Pss: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Skip("no Pss in smaps_rollup")
	return 0
}

// timed runs f b.N times, between prepare and tidy, and reports the median time.
func timed(b *testing.B, f, tidy func(i int)) {
	times := make([]time.Duration, b.N)
	b.ResetTimer()
	for i := range times {
		start := time.Now()
		f(i)
		times[i] = time.Since(start)
		tidy(i)
	}
	slices.Sort(times)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(times[len(times)/2]), "ns/median")
}

// forkable is a plugin whose sequence 1 has a past.
func forkable(b *testing.B) *Plugin {
	if !cow(b) {
		b.Skip("forks are copies on this system")
	}
	p := tally(abi.ModeMask, pickTally).load(b, Options{})
	open(b, p, 1)
	if err := errors.Join(p.Accept(1, []int32{3}), newStep(1).run(p).errs[0]); err != nil {
		b.Fatal(err)
	}
	return p
}

func BenchmarkFork(b *testing.B) {
	p := forkable(b)
	timed(b, func(i int) {
		if err := p.ForkSeq(1, uint64(i)+10); err != nil {
			b.Fatal(err)
		}
	}, func(i int) { p.CloseSeq(uint64(i) + 10) })
}

func BenchmarkForkAndCall(b *testing.B) {
	p := forkable(b)
	logits := make([]float32, 2000)
	timed(b, func(i int) {
		if err := p.ForkSeq(1, uint64(i)+10); err != nil {
			b.Fatal(err)
		}
		if _, err := p.Process(uint64(i)+10, nil, logits); err != nil {
			b.Fatal(err)
		}
	}, func(i int) { p.CloseSeq(uint64(i) + 10) })
}

// With nothing made in advance.
func BenchmarkForkCold(b *testing.B) {
	p := forkable(b)
	in := p.instances[0]
	var c *instance
	timed(b, func(int) {
		c = &instance{p: p}
		if err := c.start(b.Context()); err != nil || !in.copyTo(c) {
			b.Fatal(err)
		}
	}, func(int) { _ = c.stop() })
}

func BenchmarkResetAndCall(b *testing.B) {
	p := forkable(b)
	in := p.instances[0]
	logits := make([]float32, 2000)
	timed(b, func(int) {
		in.mu.Lock()
		if err := in.reset(); err != nil {
			b.Fatal(err)
		}
		in.mu.Unlock()
		if _, err := p.Process(1, nil, logits); err != nil {
			b.Fatal(err)
		}
	}, func(int) {})
}

func BenchmarkInstance(b *testing.B) {
	p := tally(abi.ModeMask, pickTally).load(b, Options{})
	for range b.N {
		in := &instance{p: p}
		if err := in.start(b.Context()); err != nil {
			b.Fatal(err)
		}
		_ = in.stop()
	}
}
