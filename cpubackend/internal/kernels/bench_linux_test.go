package kernels

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Benchmarks print the share of the machine's own limit, measured just before,
// since both vary with the neighbours on a host.

func BenchmarkMul(b *testing.B) {
	was := best
	defer func() { best = was }()
	for _, dt := range tensor.DTypes() {
		for _, s := range sets {
			if !s.supported() {
				continue
			}
			for _, rows := range []int{1, 8, 256} {
				b.Run(fmt.Sprintf("%v/%s/rows=%d", dt, s.name, rows), func(b *testing.B) {
					best = s
					benchMul(b, dt, rows, 1024, 1536)
				})
			}
		}
	}
}

// benchMul multiplies (n, k) with rows, the weights in the cache of the second or
// third level: what the arithmetic can do.
func benchMul(b *testing.B, dt tensor.DType, rows, n, k int) {
	r := random(1)
	m := randomMat(b, r, dt, n, k, -1, heap)
	a := NewAct(rows, k)
	a.Set(normals(r, rows*k), rows, k)
	a.Quantize(0, rows)
	y := make([]float32, rows*n)
	b.ResetTimer()
	for b.Loop() {
		m.Mul(y, n, a, 0, rows, 0, n)
	}
	sec := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(float64(len(m.data))/sec/1e9, "GB/s")
	b.ReportMetric(2*float64(rows)*float64(n)*float64(k)/sec/1e9, "GOP/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDecode streams a gigabyte of weights through matrix-vector products
// of one and of eight rows, on one and two threads, and prints the share of plain
// reading.
func BenchmarkDecode(b *testing.B) {
	if testing.Short() {
		b.Skip("takes a gigabyte")
	}
	const k, size = 896 * 2, 1 << 30
	mem := make([]byte, size)
	for _, dt := range []tensor.DType{tensor.Q8_0, tensor.Q4_0, tensor.Q5_0, tensor.Q4_K, tensor.Q5_K, tensor.Q6_K, tensor.F16} {
		n := size / dt.RowBytes(k) / 32 * 32
		r := random(2)
		block := (4 << 20) / dt.BlockBytes() * dt.BlockBytes()
		fillWeights(r, mem[:block], dt, -1)
		d := tensor.Desc{Name: "w", DType: dt, Shape: []int{n, k}}
		for at := block; at < d.Bytes(); at += block {
			copy(mem[at:d.Bytes()], mem[:block])
		}
		m, err := NewMat(d, mem[:d.Bytes()])
		if err != nil {
			b.Fatal(err)
		}
		panels := make([]byte, m.Panels()*m.PanelBytes())
		for _, kept := range []string{"rows", "panels"} {
			if kept == "panels" {
				if len(panels) == 0 {
					continue
				}
				m.Repack(panels, 0, m.Panels())
				m.UseRepacked(panels)
			}
			for _, rows := range []int{1, 8} {
				for _, threads := range []int{1, 2} {
					b.Run(fmt.Sprintf("%v/%s/rows=%d/threads=%d", dt, kept, rows, threads), func(b *testing.B) { benchDecode(b, m, rows, threads) })
				}
			}
		}
	}
}

// benchDecode alternates reading and multiplying; the share is the median of the
// pairs.
func benchDecode(b *testing.B, m *Mat, rows, threads int) {
	a := NewAct(rows, m.K)
	a.Set(normals(random(3), rows*m.K), rows, m.K)
	a.Quantize(0, rows)
	y := make([]float32, rows*m.N)
	part := func(i int) (int, int) { return m.N / threads * i, m.N / threads * (i + 1) }
	var share, rate []float64
	for b.Loop() {
		read := together(threads, func(i int) {
			lo, hi := part(i)
			ReadSum(m.data[lo*m.stride : hi*m.stride])
		})
		mul := together(threads, func(i int) {
			lo, hi := part(i)
			m.Mul(y, m.N, a, 0, rows, lo, hi)
		})
		share = append(share, read.Seconds()/mul.Seconds())
		rate = append(rate, float64(len(m.data))/mul.Seconds())
	}
	b.ReportMetric(median(rate)/1e9, "GB/s")
	b.ReportMetric(100*median(share), "%read")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkPrefill multiplies 512 rows and prints the share of the int8 peak (of
// the float32 peak for the plain formats).
func BenchmarkPrefill(b *testing.B) {
	for _, s := range []struct{ n, k int }{{896, 896}, {4864, 896}, {896, 4864}, {2048, 2048}} {
		for _, dt := range []tensor.DType{tensor.Q8_0, tensor.Q4_0, tensor.Q5_0, tensor.Q4_K, tensor.Q6_K, tensor.F16} {
			k := s.k / dt.BlockElems() * dt.BlockElems()
			m := randomMat(b, random(1), dt, s.n, k, -1, heap)
			b.Run(fmt.Sprintf("%v/rows/n=%d,k=%d", dt, s.n, k), func(b *testing.B) { benchPrefill(b, m, 512) })
			if m.PanelBytes() > 0 {
				repacked(m, heap64)
				b.Run(fmt.Sprintf("%v/panels/n=%d,k=%d", dt, s.n, k), func(b *testing.B) { benchPrefill(b, m, 512) })
			}
		}
	}
}

// BenchmarkRepack is how fast one core repacks.
func BenchmarkRepack(b *testing.B) {
	for _, dt := range tensor.DTypes() {
		m := randomMat(b, random(1), dt, 4096, 1536, -1, heap)
		if m.PanelBytes() == 0 {
			continue
		}
		panels := make([]byte, m.Panels()*m.PanelBytes())
		b.Run(dt.String(), func(b *testing.B) {
			b.SetBytes(int64(len(m.data)))
			for b.Loop() {
				m.Repack(panels, 0, m.Panels())
			}
		})
	}
}

// heap64 allocates at a multiple of 64 bytes.
func heap64(n int) []byte {
	b := make([]byte, n+63)
	return b[-int(uintptr(unsafe.Pointer(&b[0])))&63:][:n]
}

func benchPrefill(b *testing.B, m *Mat, rows int) {
	n, k := m.N, m.K
	a := NewAct(rows, k)
	a.Set(normals(random(1), rows*k), rows, k)
	y := make([]float32, rows*n)
	peakOf := PeakVNNI
	if !m.NeedsQ8() {
		peakOf = PeakFMA
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var peak, rate []float64
	for b.Loop() {
		start := threadTime()
		ops := peakOf(200_000)
		peak = append(peak, float64(ops)/(threadTime()-start).Seconds())
		start = threadTime()
		a.Quantize(0, rows)
		m.Mul(y, n, a, 0, rows, 0, n)
		rate = append(rate, 2*float64(rows)*float64(n)*float64(k)/(threadTime()-start).Seconds())
	}
	p, q := median(peak), median(rate)
	b.ReportMetric(q/1e9, "GOP/s")
	b.ReportMetric(100*q/p, "%peak")
	b.ReportMetric(0, "ns/op")
}

// threadTime is the processor time this thread has had: other load on the machine
// does not count.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

func median(x []float64) float64 {
	best := math.Inf(1)
	for _, v := range x {
		below := 0
		for _, w := range x {
			if w <= v {
				below++
			}
		}
		if 2*below >= len(x) {
			best = min(best, v)
		}
	}
	return best
}

// together runs f on so many operating system threads at once and returns how
// long all took.
func together(threads int, f func(i int)) time.Duration {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range threads {
		ready.Add(1)
		done.Add(1)
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			defer done.Done()
			ready.Done()
			<-start
			f(i)
		}()
	}
	ready.Wait()
	t := time.Now()
	close(start)
	done.Wait()
	return time.Since(t)
}

func BenchmarkAttention(b *testing.B) {
	const g, n, d = 7, 64, 64
	q, s := make([]float32, g*d), make([]float32, g*n)
	k := make([]uint16, n*d)
	b.Run("scores", func(b *testing.B) {
		for b.Loop() {
			ScoresF16(s, n, q, g, k, n, d, 0, 1)
		}
	})
	b.Run("weighted", func(b *testing.B) {
		for b.Loop() {
			WeightedSumF16(q, s, n, g, k, n, d, 0)
		}
	})
	b.Run("softmax", func(b *testing.B) {
		for b.Loop() {
			ExpSum(s, Max(s))
		}
	})
}
