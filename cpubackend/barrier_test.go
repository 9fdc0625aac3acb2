package cpubackend

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crossings runs n goroutines through a barrier many times and checks at each
// crossing that everybody has done the work before it.
func crossings(t *testing.T, n, times int, p patience) {
	t.Helper()
	b := newBarrier(n)
	var done atomic.Int64
	var wg sync.WaitGroup
	for me := range n {
		wg.Go(func() {
			for i := range times {
				done.Add(1)
				if !b.wait(me, false, p) {
					t.Errorf("worker %d: stopped at crossing %d though nobody asked", me, i)
				}
				if got := done.Load(); got < int64((i+1)*n) {
					t.Errorf("worker %d left crossing %d after %d arrivals, want %d", me, i, got, (i+1)*n)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestBarrierHoldsEverybody(t *testing.T) {
	for _, procs := range []int{1, 2, 4} {
		for _, n := range []int{1, 2, 3, 8} {
			for _, p := range []patience{{}, {spins: 3}, {spins: 200}, {spins: 200, learns: true}} {
				old := runtime.GOMAXPROCS(procs)
				crossings(t, n, 200, p)
				runtime.GOMAXPROCS(old)
			}
		}
	}
}

func TestBarrierStopsAllAtTheSameCrossing(t *testing.T) {
	const n, last = 4, 137
	b := newBarrier(n)
	left := make([]int, n)
	var wg sync.WaitGroup
	for me := range n {
		wg.Go(func() {
			for b.wait(me, me == 2 && left[me] == last, patience{spins: 20}) {
				left[me]++
			}
			// The barrier is usable again at once.
			if !b.wait(me, false, patience{}) {
				t.Errorf("worker %d: the stop outlived its crossing", me)
			}
		})
	}
	wg.Wait()
	for me, got := range left {
		if got != last {
			t.Errorf("worker %d stopped after %d crossings, want %d", me, got, last)
		}
	}
}

func TestBarrierSleepersUseNoProcessor(t *testing.T) {
	b := newBarrier(2)
	out := make(chan bool)
	go func() { out <- b.wait(1, false, patience{spins: 10}) }()
	for b.asleep.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	before := processTime(t)
	time.Sleep(200 * time.Millisecond)
	if used := processTime(t) - before; used > 50*time.Millisecond {
		t.Errorf("a sleeping waiter used %v of processor time in 200ms", used)
	}
	b.wait(0, false, patience{})
	if !<-out {
		t.Error("woken with a stop that nobody raised")
	}
}

func BenchmarkBarrier(b *testing.B) {
	bar := newBarrier(2)
	p := patience{spins: 100000}
	go func() {
		for bar.wait(1, false, p) {
		}
	}()
	for b.Loop() {
		bar.wait(0, false, p)
	}
	bar.wait(0, true, p)
}
