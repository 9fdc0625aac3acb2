package cpubackend

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/sandwarp/sandwarp/internal/plan"
)

// arena is the memory of activations: one buffer of float32s, every piece of which
// begins at a multiple of 64 bytes.
type arena struct {
	memory reservation
	rest   []float32
}

// arenaAlign is in float32s.
const arenaAlign = 16

// newArena makes room for pieces of these sizes, in float32s.
func newArena(sizes ...int) (*arena, error) {
	total := 0
	for _, n := range sizes {
		if n > math.MaxInt/8-total {
			return nil, fmt.Errorf("cpubackend: the activations of so large a batch do not fit the address space")
		}
		total += roundUp(n, arenaAlign)
	}
	m, err := reserve(total * 4)
	if err != nil {
		return nil, fmt.Errorf("cpubackend: %d MiB of activations: %w; use smaller batches", total>>18, err)
	}
	a := &arena{memory: m}
	if total > 0 {
		a.rest = unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(m.bytes))), total)
	}
	return a, nil
}

// take returns the next n float32s.
func (a *arena) take(n int) []float32 {
	x := a.rest[:n:n]
	a.rest = a.rest[roundUp(n, arenaAlign):]
	return x
}

func (a *arena) close() error {
	a.rest = nil
	return a.memory.release()
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// placeValues returns each value's matrix (rows, width), by value number - 1;
// values that live inside large steps have none.
func placeValues(p *plan.Plan, offsets []int, buf []float32, rows int) [][]float32 {
	values := make([][]float32, len(p.Values))
	for i, at := range offsets {
		if at >= 0 {
			n := rows * p.Values[i].Width
			values[i] = buf[rows*at : rows*at+n : rows*at+n]
		}
	}
	return values
}
