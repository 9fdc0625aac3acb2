package cpubackend

import (
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
)

// residentBytes is the memory this process has touched, where the system says.
func residentBytes(t *testing.T) int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no resident size on this system")
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// Pages that were never written take no memory, however many there are.
func TestUntouchedPagesCostNothing(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("the address space is small")
	}
	before := residentBytes(t)
	layer := plan.KVLayer{Heads: 8, KeyDim: 128, ValueDim: 128}
	c, err := newCache([]plan.KVLayer{layer, layer}, 20_000, backend.KVF16) // 10 GiB
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	x, w := make([]float32, 128), &attnScratch{}
	for _, page := range []int32{0, 19_999} {
		c.layers[1].put(w, &c.layers[1].v, page, 7, 63, x)
	}
	if grown := residentBytes(t) - before; grown > 256<<20 {
		t.Errorf("a cache with two rows in it takes %d MiB", grown>>20)
	}
}

func TestCacheTooLarge(t *testing.T) {
	layer := plan.KVLayer{Heads: 1 << 28, KeyDim: 1 << 20, ValueDim: 1}
	if c, err := newCache([]plan.KVLayer{layer}, 1<<20, backend.KVF32); err == nil {
		c.close()
		t.Error("made a cache larger than the address space")
	}
}

// What is stored comes back where it belongs, and copies go where they should.
func TestCachePlaces(t *testing.T) {
	for _, kind := range []backend.KVType{backend.KVF16, backend.KVF32, backend.KVQ8_0} {
		layers := []plan.KVLayer{{Heads: 2, KeyDim: 8, ValueDim: 4}, {Heads: 3, KeyDim: 4, ValueDim: 8}}
		c, err := newCache(layers, 3, kind)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		w := &attnScratch{q8: kernels.NewRowsQ8(1, 8)}
		off := float32(0)
		if kind == backend.KVQ8_0 {
			off = 2 // the scale is rounded to 11 bits
		}
		near := func(x, y float32) bool { return max(x-y, y-x) <= off }
		number := func(l, page, head, slot int) float32 { return float32(l*1000 + page*400 + head*64 + slot) }
		for l := range c.layers {
			for page := range 2 {
				for head := range layers[l].Heads {
					for slot := range 64 {
						x := []float32{1, 0, 0, 0, 0, 0, 0, 0}
						x[1] = number(l, page, head, slot)
						c.layers[l].put(w, &c.layers[l].k, int32(page), head, slot, x)
						c.layers[l].put(w, &c.layers[l].v, int32(page), head, slot, x)
					}
				}
			}
		}
		c.copyPage(2, 1)
		for l := range c.layers {
			for page, from := range []int{0, 1, 1} {
				for head := range layers[l].Heads {
					scores, q := make([]float32, 64), make([]float32, 8)
					q[1] = 1
					c.layers[l].setQueries(w, q, 1)
					c.layers[l].scores(w, scores, 64, q, 1, int32(page), 0, head, 64, 1)
					for slot, got := range scores {
						if want := number(l, from, head, slot); !near(got, want) {
							t.Fatalf("%v layer %d page %d head %d slot %d: key %v, want %v", kind, l, page, head, slot, got, want)
						}
					}
					acc := make([]float32, 32)
					scores = make([]float32, 64)
					scores[5] = 1
					c.layers[l].weighted(w, acc, scores, 64, 1, int32(page), 0, head, 64)
					if want := number(l, from, head, 5); off == 0 && acc[0] != 1 || !near(acc[1], want) {
						t.Fatalf("%v layer %d page %d head %d: value %v, want 1 %v", kind, l, page, head, acc[:2], want)
					}
				}
			}
		}
	}
}
