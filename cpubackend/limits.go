package cpubackend

import (
	"runtime"
	"sync"
	"time"

	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
)

// Limits is what the machine can do at most, measured, with a number of threads:
// what a benchmark's results are shares of.
type Limits struct {
	ReadBandwidth float64 // bytes per second from memory
	IntPeak       float64 // int8 operations per second; a multiply-add is two
	FloatPeak     float64 // float32 operations per second; a multiply-add is two
}

// MeasureLimits measures the limits. It takes about half a second and, while it
// runs, 512 MiB of memory. Other load on the machine lowers what it finds, so
// measure in the same run as what is compared.
func MeasureLimits(threads int) Limits {
	threads = max(threads, 1)
	const size, rounds = 512 << 20, 3
	var l Limits
	if m, err := reserve(size); err == nil {
		part := size / threads &^ 63
		together(threads, func(i int) { // pages exist once they are written
			for at := i * part; at < (i+1)*part; at += 4096 {
				m.bytes[at] = 1
			}
		})
		for range rounds {
			took := together(threads, func(i int) { kernels.ReadSum(m.bytes[i*part : (i+1)*part]) })
			l.ReadBandwidth = max(l.ReadBandwidth, float64(part*threads)/took.Seconds())
		}
		_ = m.release()
	}
	for range rounds {
		l.IntPeak = max(l.IntPeak, peak(threads, kernels.PeakVNNI))
		l.FloatPeak = max(l.FloatPeak, peak(threads, kernels.PeakFMA))
	}
	return l
}

// peak is how many operations per second f does on n threads at once. f runs a
// number of rounds and returns the operations.
func peak(n int, f func(iters int) int64) float64 {
	const trial, long = 10_000, 25 * time.Millisecond
	took := together(1, func(int) { f(trial) })
	iters := max(trial, int(trial*float64(long)/float64(max(took, 1))))
	ops := make([]int64, n)
	took = together(n, func(i int) { ops[i] = f(iters) })
	total := 0.0
	for _, o := range ops {
		total += float64(o)
	}
	return total / took.Seconds()
}

// together runs f(0) to f(n-1) at the same time, each on a thread, and returns how
// long it was from the common start to the last end.
func together(n int, f func(i int)) time.Duration {
	start := newBarrier(n)
	var began time.Time
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			start.wait(i, false, patience{spins: 1000})
			if i == 0 {
				began = time.Now()
			}
			f(i)
		})
	}
	wg.Wait()
	return time.Since(began)
}

// CPUName is the processor's name, as the system gives it, or the architecture.
func CPUName() string {
	if n := brandName(); n != "" {
		return n
	}
	return runtime.GOARCH
}

// Features describes the instruction set the kernels use, and what else there is.
func Features() string { return kernels.Features() }

// DefaultThreads is the number of workers a Limits.Threads of 0 stands for.
func DefaultThreads() int { return defaultThreads() }
