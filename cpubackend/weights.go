package cpubackend

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
)

// weights are the weights of a plan as the kernels read them. Immutable after
// Load, so that any number of Executables may share them.
type weights struct {
	plan   *plan.Plan
	mats   []*kernels.Mat // by weight number - 1; nil for vectors
	vecs   [][]float32    // by weight number - 1; nil for matrices
	data   [][]byte       // the mapped bytes of all
	copied int64          // bytes taken beyond data
	panels reservation    // of repacked matrices
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

func (l *weights) add(d tensor.Desc, b []byte) error {
	if len(b) != d.Bytes() {
		return fmt.Errorf("has %d bytes of data, want %d", len(b), d.Bytes())
	}
	var mat *kernels.Mat
	var vec []float32
	var err error
	if len(d.Shape) == 1 {
		vec, err = l.vector(d, b)
	} else {
		mat, err = kernels.NewMat(d, b)
	}
	l.mats, l.vecs, l.data = append(l.mats, mat), append(l.vecs, vec), append(l.data, b)
	return err
}

// vector views b as float32s, or copies it where that is not possible.
func (l *weights) vector(d tensor.Desc, b []byte) ([]float32, error) {
	if d.DType != tensor.F32 {
		return nil, fmt.Errorf("a vector must be F32")
	}
	p := unsafe.Pointer(unsafe.SliceData(b))
	if littleEndian && uintptr(p)%4 == 0 {
		return unsafe.Slice((*float32)(p), len(b)/4), nil
	}
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	l.copied += int64(len(b))
	return v, nil
}

func (l *weights) mat(w plan.Weight) *kernels.Mat {
	if w == 0 {
		return nil
	}
	return l.mats[w-1]
}

// vec returns nil for no weight.
func (l *weights) vec(w plan.Weight) []float32 {
	if w == 0 {
		return nil
	}
	return l.vecs[w-1]
}

// Bytes is the memory taken beyond the mapping.
func (l *weights) Bytes() int64 { return l.copied }

// size is that of all weights in the file.
func (l *weights) size() (n int64) {
	for _, b := range l.data {
		n += int64(len(b))
	}
	return n
}

// Close forgets the weights; the mapping is its owner's.
func (l *weights) Close() error {
	l.mats, l.vecs, l.data = nil, nil, nil
	return l.panels.release()
}

// lost is backend.WeightLost of these weights.
func (l *weights) lost(recovered any) error {
	return backend.WeightLost("cpubackend", recovered, l.plan, l.data)
}
