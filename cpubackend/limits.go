package cpubackend

import (
	"runtime"
	"slices"
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

// Max is the larger of each of two measurements: what lowers one is other load.
func (l Limits) Max(o Limits) Limits {
	return Limits{max(l.ReadBandwidth, o.ReadBandwidth), max(l.IntPeak, o.IntPeak), max(l.FloatPeak, o.FloatPeak)}
}

// meterBytes is what bandwidth is measured on: more than caches hold.
const meterBytes = 512 << 20

// Meter measures the limits again and again, between the tests of a benchmark:
// other load on the machine, and its memory's mood, change from second to second.
// It holds 512 MiB of memory until Close and is not for concurrent use.
type Meter struct {
	threads    int
	memory     reservation
	intIters   int // rounds of the peak loops that take about peakTime
	floatIters int
}

// peakTime is how long one measurement of a peak takes.
const peakTime = 15 * time.Millisecond

// NewMeter takes the memory and writes to it once, so that its pages exist.
func NewMeter(threads int) (*Meter, error) {
	m := &Meter{threads: max(threads, 1)}
	var err error
	if m.memory, err = reserve(meterBytes); err != nil {
		return nil, err
	}
	preferHugePages(m.memory.bytes) // as repacked weights lie in: the limit is that of the best memory
	together(m.threads, func(i int) {
		part := m.part(i)
		for at := 0; at < len(part); at += 4096 {
			part[at] = 1
		}
	})
	m.intIters, m.floatIters = calibrate(kernels.PeakVNNI), calibrate(kernels.PeakFMA)
	return m, nil
}

// part is the memory that worker i reads.
func (m *Meter) part(i int) []byte {
	n := meterBytes / m.threads &^ 63
	return m.memory.bytes[i*n : (i+1)*n]
}

// Measure takes about a sixth of a second: the best of three tries of each limit.
func (m *Meter) Measure() (l Limits) {
	for range 3 {
		took := together(m.threads, func(i int) { kernels.ReadSum(m.part(i)) })
		l = l.Max(Limits{
			ReadBandwidth: float64(len(m.part(0))*m.threads) / took.Seconds(),
			IntPeak:       peak(m.threads, m.intIters, kernels.PeakVNNI),
			FloatPeak:     peak(m.threads, m.floatIters, kernels.PeakFMA),
		})
	}
	return l
}

// Close gives the memory back.
func (m *Meter) Close() error { return m.memory.release() }

// calibrate is how many rounds of f take about peakTime.
func calibrate(f func(iters int) int64) int {
	const trial = 10_000
	took := together(1, func(int) { f(trial) })
	return max(trial, int(trial*float64(peakTime)/float64(max(took, 1))))
}

// peak is how many operations per second f does on n threads at once. f runs a
// number of rounds and returns the operations.
func peak(n, iters int, f func(iters int) int64) float64 {
	ops := make([]int64, n)
	took := together(n, func(i int) { ops[i] = f(iters) })
	total := 0.0
	for _, o := range ops {
		total += float64(o)
	}
	return total / took.Seconds()
}

// together runs f(0) to f(n-1) at the same time, each on a thread, and returns how
// long it was from the first start to the last end. The starts are apart where
// threads are more than cores that are free.
func together(n int, f func(i int)) time.Duration {
	start := newBarrier(n)
	began := make([]time.Time, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			start.wait(i, false, patience{spins: 1000})
			began[i] = time.Now()
			f(i)
		})
	}
	wg.Wait()
	return time.Since(slices.MinFunc(began, time.Time.Compare))
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

// InstructionSets names the instruction set the kernels use, and all there are, the
// one to prefer last.
func InstructionSets() (selected string, all []string) {
	return kernels.Selected(), kernels.Supported()
}

// Ignored says why the instruction set that SANDWARP_CPU names is not used; nil if it
// is, or names none.
func Ignored() error { return kernels.Ignored() }

// DefaultThreads is the number of workers a Limits.Threads of 0 stands for.
func DefaultThreads() int { return defaultThreads() }
