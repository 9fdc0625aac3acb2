package backendtest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Every family and format, with either type of cache, against the reference.
func testLogits(t *testing.T, u under) {
	type variant struct {
		o     modeltest.Options
		cache backend.KVType
	}
	var all []variant
	for _, arch := range modeltest.Arches() {
		for _, w := range []tensor.DType{tensor.F32, tensor.Q8_0} {
			all = append(all, variant{modeltest.Options{Arch: arch, DType: w, Untied: true}, backend.KVF32},
				variant{modeltest.Options{Arch: arch, DType: w}, backend.KVF16})
		}
	}
	all = append(all, variant{modeltest.Options{Arch: "llama", DType: tensor.F32, Factors: true}, backend.KVF32})
	for _, w := range tensor.DTypes() {
		if !testing.Short() || w.BlockElems() == 1 {
			all = append(all, variant{modeltest.Options{Arch: "qwen2", DType: w}, backend.KVF32})
		}
	}
	for _, arch := range modeltest.Arches() {
		for _, w := range []tensor.DType{tensor.F32, tensor.Q8_0} {
			if !u.Emulated {
				all = append(all, variant{modeltest.Options{Arch: arch, DType: w}, backend.KVQ8_0})
			}
		}
	}
	for i, v := range all {
		name := fmt.Sprintf("%s-%v-kv%v", v.o.Arch, v.o.DType, v.cache)
		if v.o.Factors {
			name += "-factors"
		}
		t.Run(name, func(t *testing.T) {
			v.o.Seed = uint64(i)
			s := newSubject(t, v.o)
			r := rand.New(rand.NewPCG(uint64(i), 1))
			lim := defaults
			lim.KV = v.cache
			b := start(t, u, s, true, lim)
			text := texts(r, b.vocab, 70, 21)
			b.load(r, text)
			b.feed(0, 5)
			b.feed(60, 1)
			b.feed(1, 1)
			b.feed(1, 14)
			b.feed(8)
			near(t, b.all(), s.want(t, text), u.tolerance(v.o.DType, v.cache))
		})
	}
}

// Whatever way texts are cut into batches, mixed and spread over pages, the logits
// are those of the reference.
func testSchedules(t *testing.T, u under) {
	for _, w := range []tensor.DType{tensor.F32, tensor.Q8_0} {
		s := newSubject(t, modeltest.Options{Arch: "qwen3", DType: w, Seed: 7})
		r := rand.New(rand.NewPCG(7, 7))
		text := texts(r, s.plan.Vocab, 150, 64, 1, 129)
		want := s.want(t, text)
		for _, c := range []struct {
			name string
			feed func(*bench)
		}{
			{"whole", func(b *bench) { b.feedAll(b.lim.MaxRows) }},
			{"ragged", func(b *bench) { b.feedAll(13) }},
			{"single", func(b *bench) { b.feedAll(1) }}, // 344 runs
			{"pages", func(b *bench) { b.feedAll(backend.PageTokens) }},
			{"mixed1", func(b *bench) { b.feedRandomly(r) }},
			{"mixed2", func(b *bench) { b.feedRandomly(r) }},
			{"decode", func(b *bench) { b.feed(63, 63, 1, 64); b.feedDecoding() }},
		} {
			if u.Emulated && (c.name == "single" || c.name == "mixed2" || w == tensor.F32 && c.name != "mixed1") {
				continue
			}
			t.Run(fmt.Sprintf("%v-%s", w, c.name), func(t *testing.T) {
				lim := defaults
				lim.MaxRows, lim.MaxLogit, lim.KV = 200, 200, backend.KVF32
				b := start(t, u, s, true, lim)
				b.load(r, text)
				c.feed(b)
				near(t, b.all(), want, u.tolerance(w, backend.KVF32))
			})
		}
	}
}

// feedDecoding feeds a token of every unfinished sequence per batch.
func (b *bench) feedDecoding() {
	b.t.Helper()
	for {
		n, some := make([]int, len(b.seqs)), false
		for i := range b.seqs {
			if b.seqs[i].done < len(b.seqs[i].text) {
				n[i], some = 1, true
			}
		}
		if !some {
			return
		}
		b.feed(n...)
	}
}

// A large step means what its parts mean.
func testFused(t *testing.T, u under) {
	for _, arch := range modeltest.Arches() {
		for _, w := range []tensor.DType{tensor.F32, tensor.Q8_0} {
			if u.Emulated && w == tensor.F32 {
				continue
			}
			t.Run(fmt.Sprintf("%s-%v", arch, w), func(t *testing.T) {
				s := newSubject(t, modeltest.Options{Arch: arch, DType: w, Seed: 3})
				r := rand.New(rand.NewPCG(3, 3))
				lim := defaults
				lim.KV = backend.KVF32
				text := texts(r, s.plan.Vocab, 100, 40)
				var got [2]*bench
				for i, fuse := range []bool{true, false} {
					got[i] = start(t, u, s, fuse, lim)
					got[i].load(nil, text)
					got[i].feed(50, 7)
					got[i].feed(1, 1)
					got[i].feedAll(30)
				}
				near(t, got[1].all(), s.want(t, text), u.tolerance(w, backend.KVF32))
				near(t, got[0].all(), got[1].all(), u.tolerance(w, backend.KVF32))
			})
		}
	}
}

// A text fed token by token gives what it gives fed at once.
func testDecodeIsPrefill(t *testing.T, u under) {
	for _, c := range []struct {
		weights tensor.DType
		cache   backend.KVType
	}{
		{tensor.F32, backend.KVF32}, {tensor.F32, backend.KVF16}, {tensor.Q8_0, backend.KVF16}, {tensor.F32, backend.KVQ8_0},
	} {
		if u.Emulated && c.cache == backend.KVQ8_0 {
			continue
		}
		s := newSubject(t, modeltest.Options{Arch: "llama", DType: c.weights, Seed: 5})
		lim := defaults
		lim.MaxRows, lim.MaxLogit, lim.KV = 100, 100, c.cache
		text := texts(rand.New(rand.NewPCG(5, 5)), s.plan.Vocab, 100)
		var got [2]*bench
		for i, size := range []int{100, 1} {
			got[i] = start(t, u, s, true, lim)
			got[i].load(nil, text)
			got[i].feedAll(size)
		}
		near(t, got[0].all(), got[1].all(), u.tolerance(c.weights, c.cache))
	}
}

// The number of workers changes nothing but rounding, also where there are more
// of them than heads or cores. Backends without workers pass it trivially.
func testThreads(t *testing.T, u under) {
	s := newSubject(t, modeltest.Options{Arch: "qwen2", DType: tensor.F32, Seed: 9, Context: 1024})
	text := texts(rand.New(rand.NewPCG(9, 9)), s.plan.Vocab, 600, 30)
	want := s.want(t, text)
	counts := []int{0, 1, 2, 3, 4, 7}
	if u.Emulated {
		counts = counts[:1]
	}
	for _, n := range counts {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			lim := defaults
			lim.Threads, lim.KV, lim.MaxRows, lim.MaxLogit = n, backend.KVF32, 256, 256
			b := start(t, u, s, true, lim)
			b.load(nil, text)
			b.feed(200, 20)
			b.feed(256)
			for range 5 { // a long context and few rows
				b.feed(1, 1)
			}
			b.feed(1)
			b.feedAll(60)
			near(t, b.all(), want, u.tolerance(tensor.F32, backend.KVF32))
		})
	}
}

// Executables of the same weights run at the same time.
func testConcurrent(t *testing.T, u under) {
	s := newSubject(t, modeltest.Options{Arch: "llama", DType: tensor.Q8_0, Seed: 11})
	text := texts(rand.New(rand.NewPCG(11, 11)), s.plan.Vocab, 80)
	want := s.want(t, text)
	var got [3]*bench
	for i := range got {
		got[i] = start(t, u, s, true, defaults)
		got[i].load(nil, text)
	}
	var wg sync.WaitGroup
	for i, b := range got {
		wg.Go(func() { b.feedAll(1 + 30*i) })
	}
	wg.Wait()
	for _, b := range got {
		near(t, b.all(), want, u.tolerance(tensor.Q8_0, backend.KVF16))
	}
}
