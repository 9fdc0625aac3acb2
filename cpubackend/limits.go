package cpubackend

import (
	"sync"
	"time"

	"github.com/klauspost/cpuid/v2"

	"github.com/sandwarp/sandwarp/cpubackend/internal/kernels"
)

// Limits are what this machine can do at most, measured.
type Limits struct {
	ReadBandwidth float64 // bytes a second, reading memory that is in no cache
	IntPeak       float64 // int8 multiply-adds a second, counted as two operations
	FloatPeak     float64 // float32 multiply-adds a second, counted as two operations
}

// Sizes of a measurement: well beyond any cache, and about a tenth of a second.
const (
	readBytes = 512 << 20
	peakIters = 1 << 22
)

// readBuffer is what read bandwidth is measured on; it is written once so that
// its pages are real and distinct.
var readBuffer = sync.OnceValue(func() []byte {
	b := make([]byte, readBytes)
	for i := 0; i < len(b); i += 512 {
		b[i] = byte(i >> 9)
	}
	return b
})

// MeasureLimits measures the machine with a number of threads. It takes a
// fraction of a second and 512 MiB of memory.
func MeasureLimits(threads int) Limits {
	buf := readBuffer()
	part := len(buf) / threads &^ 4095
	read := timeThreads(threads, func(i int) { kernels.ReadSum(buf[i*part : (i+1)*part]) })
	var ints, floats int64
	intTime := timeThreads(threads, func(i int) {
		if n := kernels.PeakVNNI(peakIters); i == 0 {
			ints = n
		}
	})
	floatTime := timeThreads(threads, func(i int) {
		if n := kernels.PeakFMA(peakIters); i == 0 {
			floats = n
		}
	})
	return Limits{
		ReadBandwidth: float64(part*threads) / read.Seconds(),
		IntPeak:       float64(ints) * float64(threads) / intTime.Seconds(),
		FloatPeak:     float64(floats) * float64(threads) / floatTime.Seconds(),
	}
}

// timeThreads is how long it takes until fn has returned on every thread.
func timeThreads(threads int, fn func(i int)) time.Duration {
	var wg sync.WaitGroup
	start := time.Now()
	for i := range threads {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
	return time.Since(start)
}

// CPUName is the processor's name as it gives it.
func CPUName() string { return cpuid.CPU.BrandName }

// Features names the instruction set the kernels use and what else there is.
func Features() string { return kernels.Features() }
