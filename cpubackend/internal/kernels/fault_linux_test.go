package kernels

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"testing"
	"unsafe"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// A model file that is truncated while mapped turns into a panic the caller can
// recover from, out of Go and out of assembly, and leaves the package usable.
func TestMulOverTruncatedMapping(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, dt := range []tensor.DType{tensor.Q8_0, tensor.Q4_K, tensor.Q6_K, tensor.F16} {
			const n, k = 64, 1024
			d := tensor.Desc{Name: "w", DType: dt, Shape: []int{n, k}}
			file, err := os.Create(filepath.Join(t.TempDir(), "weights"))
			if err != nil {
				t.Fatal(err)
			}
			if err := file.Truncate(int64(d.Bytes())); err != nil {
				t.Fatal(err)
			}
			data, err := syscall.Mmap(int(file.Fd()), 0, d.Bytes(), syscall.PROT_READ, syscall.MAP_SHARED)
			if err != nil {
				t.Fatal(err)
			}
			m, err := NewMat(d, data)
			if err != nil {
				t.Fatal(err)
			}
			a := NewAct(8, k)
			a.Set(normals(random(1), 8*k), 8, k)
			a.Quantize(0, 8)
			y := make([]float32, 8*n)
			if addr := faultOf(func() { m.Mul(y, n, a, 0, 1, 0, n) }); addr != 0 {
				t.Fatalf("%v: a fault at %#x before truncation", dt, addr)
			}
			if err := file.Truncate(4096); err != nil {
				t.Fatal(err)
			}
			from := uintptr(unsafe.Pointer(&data[0]))
			if addr := faultOf(func() { ReadSum(data) }); addr < from || addr >= from+uintptr(len(data)) {
				t.Skipf("reading past the end of a mapped file faults at %#x here: an emulator?", addr)
			}
			for _, rows := range []int{1, 8} {
				addr := faultOf(func() { m.Mul(y, n, a, 0, rows, 0, n) })
				if addr < from || addr >= from+uintptr(len(data)) {
					t.Errorf("%v, %d rows: fault at %#x, want one in [%#x, %#x)", dt, rows, addr, from, from+uintptr(len(data)))
				}
			}
			if err := syscall.Munmap(data); err != nil {
				t.Fatal(err)
			}
			_ = file.Close()
			checkMul(t, dt, shape{20, k, 3}, 1, -1, heap)
		}
	})
}

// faultOf runs f and returns the address of the memory fault it ended with, 0 if
// there was none.
func faultOf(f func()) (addr uintptr) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if e, ok := recover().(interface{ Addr() uintptr }); ok {
			addr = e.Addr()
		}
	}()
	f()
	return 0
}
