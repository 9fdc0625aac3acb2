package wasm

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// benchGuest loads a guest of testdata.
func benchGuest(t testing.TB, name string, o Options) *Plugin {
	t.Helper()
	p, err := LoadFile(context.Background(), filepath.Join("testdata", name+".wasm"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// modelRow is logits as a model gives them.
func modelRow(seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	v := make([]float32, vocab)
	for i := range v {
		v[i] = float32(r.NormFloat64() * 3)
	}
	return v
}

// nativeDraw is what the guests of testdata/draw.c do, in Go.
func nativeDraw(best []candidate, seed uint64) int32 {
	var weight [40]float64
	sum, kept := 0.0, 0.0
	for i, c := range best {
		weight[i] = math.Exp(float64(c.logit()-best[0].logit()) / 0.8)
		sum += weight[i]
	}
	last := 0
	for ; last < len(best) && kept < 0.95*sum; last++ {
		kept += weight[last]
	}
	at := float64(seed>>40) / (1 << 24) * kept
	for i := range last {
		if at -= weight[i]; at < 0 {
			return best[i].id()
		}
	}
	return best[last-1].id()
}

// What is measured against each other must do the same: draw's three ways to the best,
// and the Go one but for rounding at the edge of two tokens.
func TestBenchGuestsAgree(t *testing.T) {
	var plugins []*Plugin
	for _, name := range []string{"dense", "dense-ops", "candidates"} {
		p := benchGuest(t, name, Options{OnFault: FailClosed})
		open(t, p, 1)
		plugins = append(plugins, p)
	}
	other := 0
	for round := range uint64(40) {
		row := modelRow(round)
		history := make([]int32, round)
		var picks []int32
		for _, p := range plugins {
			pick, err := p.Process(1, history, row)
			if err != nil {
				t.Fatal(err)
			}
			picks = append(picks, pick)
		}
		if picks[1] != picks[0] || picks[2] != picks[0] {
			t.Errorf("round %d: %v", round, picks)
		}
		seed := mix(plugins[0].seqs[1].seed + round)
		if nativeDraw(topK(nil, row, 40), seed) != picks[0] {
			other++
		}
	}
	if other > 1 {
		t.Errorf("%d of 40 draws differ from the native ones", other)
	}
}

// measure is a line of the table: a plugin's time, and that of a native twin.
type measure struct {
	name         string
	must         time.Duration
	plugin, twin func()
	each         int    // how many the function does at once
	before       func() // not timed, ahead of each plugin
	slowest      bool   // of 101, instead of the median
}

// run takes the medians of interleaved rounds.
func (m *measure) run(rounds int) (plugin, twin time.Duration) {
	var times [2][]time.Duration
	for range rounds {
		if m.before != nil {
			m.before()
		}
		for i, f := range []func(){m.plugin, m.twin} {
			if f == nil {
				continue
			}
			start := time.Now()
			f()
			times[i] = append(times[i], time.Since(start)/time.Duration(max(m.each, 1)))
		}
	}
	for i := range times {
		slices.Sort(times[i])
	}
	plugin = times[0][len(times[0])/2]
	if m.slowest {
		plugin = times[0][len(times[0])-1]
	}
	if m.twin != nil {
		twin = times[1][len(times[1])/2]
	}
	return plugin, twin
}

// BenchmarkMeasures prints the platform's measures. Run it by make bench-plugins, on a
// machine with nothing else to do.
func BenchmarkMeasures(b *testing.B) {
	if b.N > 1 {
		return
	}
	list := slices.Concat(hops(b), draws(b), masks(b), lives(b), loads(b), stops(b))
	fmt.Printf("\n%-52s %12s %12s %12s\n", "measure, median of interleaved runs", "plugin", "native Go", "must")
	for _, m := range list {
		rounds := 301
		switch {
		case m.slowest:
			rounds = 101
		case m.must >= time.Millisecond:
			rounds = 21
		}
		plugin, twin := m.run(rounds)
		native := "-"
		if m.twin != nil {
			native = twin.String()
		}
		verdict := ""
		if plugin > m.must {
			verdict = "  MISSED"
		}
		fmt.Printf("%-52s %12v %12s %12v%s\n", m.name, plugin, native, m.must, verdict)
	}
}

func check(b testing.TB, err error) {
	if err != nil {
		b.Fatal(err)
	}
}

var sink int

//go:noinline
func nothing(rows int) int { return rows - 1 }

func hops(b *testing.B) []measure {
	const many = 1000
	p := newGuest(abi.KindSampler, abi.ModeMask).load(b, Options{})
	in := p.instances[0]
	var chain []*Plugin
	for range 3 {
		q := newGuest(abi.KindSampler, abi.ModeMask).load(b, Options{})
		open(b, q, 1)
		chain = append(chain, q)
	}
	row, history := modelRow(1), []int32{1, 2, 3}
	return []measure{
		{name: "empty hop", must: 25, each: many, plugin: func() {
			for range many {
				in.stack[0] = 1
				if in.do(fnSample, 1000) != nil {
					b.Fatal("fault")
				}
			}
		}, twin: func() {
			for i := range many {
				sink += nothing(i)
			}
		}},
		{name: "chain of 3 plugins, bookkeeping of a row", must: 250, each: many, plugin: func() {
			for range many {
				for _, q := range chain {
					if _, err := q.Process(1, history, row); err != nil {
						b.Fatal(err)
					}
				}
			}
		}},
	}
}

func draws(b *testing.B) []measure {
	history := []int32{1, 2, 3}
	closed := Options{OnFault: FailClosed}
	dense, ops, cand := benchGuest(b, "dense", closed), benchGuest(b, "dense-ops", closed), benchGuest(b, "candidates", closed)
	for _, p := range []*Plugin{dense, ops, cand} {
		open(b, p, 1)
	}
	frame := func(p *Plugin) []float32 {
		row, err := p.Frame(1, vocab)
		check(b, err)
		copy(row, modelRow(5))
		return row
	}
	inDense, inOps, native := frame(dense), frame(ops), modelRow(5)
	var top []candidate
	twin := func() {
		top = topK(top[:0], native, 40)
		sink += int(nativeDraw(top, 77))
	}
	best := topK(nil, native, abi.DefaultCandidates)
	ids, logits := make([]int32, len(best)), make([]float32, len(best))
	for i, c := range best {
		ids[i], logits[i] = c.id(), c.logit()
	}
	run := func(p *Plugin, row []float32) func() {
		return func() {
			_, err := p.Process(1, history, row)
			check(b, err)
		}
	}
	return []measure{
		{name: "candidates of 256: temperature, top-k, top-p, draw", must: 5 * time.Microsecond, plugin: func() {
			_, _, err := cand.ProcessTop(1, history, vocab, ids, logits, func() ([]float32, error) { return native, nil })
			check(b, err)
		}, twin: func() { sink += int(nativeDraw(best[:40], 77)) }},
		{name: "the same, host finds the 256 among 151,936", must: 30 * time.Microsecond, plugin: run(cand, native), twin: func() { top = topK(top[:0], native, 256) }},
		{name: "dense over 151,936, host ops", must: 15 * time.Microsecond, plugin: run(ops, inOps), twin: twin},
		{name: "dense over 151,936, SIMD guest in C", must: 55 * time.Microsecond, plugin: run(dense, inDense), twin: twin},
	}
}

// masks are plugins with a plan in mode mask: ten sequences, of which a step shows
// what is left to do once the logits are there.
func masks(b *testing.B) (list []measure) {
	const n = 10
	mask := Cat(framePtr, framePtr, I32Load(40), I32Add, LocalGet(1), framePtr, I32Load(44), I32Mul, I32Add)
	answer := Cat(LocalGet(2), I32Const(int32(abi.ChoiceMask)), I32Store(rowAction))
	ban := Cat(mask, I32Const(255), framePtr, I32Load(44), MemoryFill, mask, I32Const(-2), I32Store(40), answer)
	only := Cat(mask, I32Const(12), I32Store(400), answer)
	for _, c := range []struct {
		name string
		code []byte
		must time.Duration
		mask func(i int) uint32
	}{
		{"10 sequences, mask mode, a few tokens banned", ban, 30 * time.Microsecond, func(i int) uint32 { return math.MaxUint32 }},
		{"10 sequences, mask mode, all but a few banned", only, time.Millisecond - 1, func(i int) uint32 { return 0 }},
	} {
		g := tally(abi.ModeMask, c.code)
		g.with(abi.ExportPlan, g.exports[abi.ExportSample])
		g.locals[abi.ExportPlan] = g.locals[abi.ExportSample]
		g.exports[abi.ExportAccept] = I32Const(0)
		p := g.load(b, Options{})
		st := &step{picks: make([]int32, n), errs: make([]error, n)}
		for i := range uint64(n) {
			open(b, p, i)
			st.seqs, st.histories, st.logits = append(st.seqs, i), append(st.histories, []int32{1}), append(st.logits, modelRow(i))
		}
		st.run(p)
		words := make([]uint32, vocab/32)
		for i := range words {
			words[i] = c.mask(i)
		}
		words[3] = 12
		before := p.Stats().Planned
		list = append(list, measure{name: c.name, must: c.must,
			before: func() { p.Plan(st.seqs, st.histories) },
			plugin: func() {
				st.run(p)
				if after := p.Stats().Planned; after != before+n {
					b.Fatal("not planned")
				}
				before += n
			}, twin: func() {
				for _, row := range st.logits {
					applyMask(row, words)
				}
			}})
	}
	return list
}

func lives(b *testing.B) (list []measure) {
	if !cow(b) {
		return nil
	}
	p := forkable(b)
	next := uint64(100)
	list = append(list, measure{name: "fork", must: 25 * time.Microsecond,
		before: func() { p.CloseSeq(next); next++ },
		plugin: func() { check(b, p.ForkSeq(1, next)) }})
	q := forkable(b)
	logits := make([]float32, 2000)
	list = append(list, measure{name: "reset and call", must: 12 * time.Microsecond, plugin: func() {
		in := q.instances[0]
		in.mu.Lock()
		check(b, in.reset())
		in.mu.Unlock()
		_, err := q.Process(1, nil, logits)
		check(b, err)
	}})
	return list
}

func loads(b *testing.B) []measure {
	dir := b.TempDir()
	load := func(module []byte) func() {
		return func() {
			p, err := Load(context.Background(), module, Options{CacheDir: dir})
			check(b, err)
			check(b, p.Close())
		}
	}
	small, err := os.ReadFile("testdata/dense.wasm")
	check(b, err)
	load(small)()
	list := []measure{{name: "load of a small plugin from the cache", must: time.Millisecond, plugin: load(small)}}
	out := filepath.Join(dir, "go.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "../sdk/go/examples/bias")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		b.Logf("no Go guest: %v\n%s", err, text)
		return list
	}
	large, err := os.ReadFile(out)
	check(b, err)
	load(large)()
	return append(list, measure{name: "load of a Go guest from the cache", must: 60 * time.Millisecond, plugin: load(large)})
}

// stops are guests that use all the fuel a host allows by default.
func stops(b *testing.B) (list []measure) {
	for _, name := range slices.Sorted(maps.Keys(tireless())) {
		g := newGuest(abi.KindSampler, abi.ModeMask).with(abi.ExportSample, tireless()[name])
		g.manifest.Fuel = 150_000_000
		p := g.load(b, Options{Breaker: Breaker{Faults: math.MaxInt32}})
		open(b, p, 1)
		logits := make([]float32, 100)
		list = append(list, measure{name: name + " until it is stopped, slowest of 101", must: 50 * time.Millisecond, slowest: true,
			plugin: func() {
				_, err := p.Process(1, nil, logits)
				check(b, err)
			}})
	}
	return list
}

// tireless are guests that do not end by themselves.
func tireless() map[string][]byte {
	zero := I32Const(0)
	return map[string][]byte{
		"loop":   Cat(Loop(None, Br(0)), zero),
		"grow":   Cat(Loop(None, I32Const(1), MemoryGrow, Drop, Br(0)), zero),
		"fill":   Cat(Loop(None, I32Const(1024), I32Const(7), I32Const(60000), MemoryFill, Br(0)), zero),
		"copy":   Cat(Loop(None, I32Const(1024), I32Const(2048), I32Const(60000), MemoryCopy, Br(0)), zero),
		"divide": Cat(Loop(None, I32Const(77), MemorySize, Op(0x6e), Drop, Br(0)), zero),
	}
}
