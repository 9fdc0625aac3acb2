package cpubackend

import (
	"runtime"
	"sync/atomic"
)

// barrier lets n workers wait for each other, again and again. A waiter spins for
// a bounded time, since the others are usually microseconds away, and then sleeps,
// so that an idle executable costs nothing.
//
// Any worker may raise stop when it arrives; all then learn of it as they leave,
// at the same crossing. The last to arrive begins the next generation, so nobody
// can be a crossing ahead of somebody who has not left the one before.
type barrier struct {
	n       int32
	_       [60]byte
	arrived atomic.Int32
	stop    atomic.Bool // raised by someone who arrived
	_       [56]byte
	word    atomic.Uint32 // generation<<1 | stop of the crossing before it
	asleep  atomic.Int32  // waiters that sleep or are about to
	_       [56]byte
	// Spinning in vain means that the cores are contended: the others wait for
	// the very core that spins. So at the next skips crossings everybody sleeps
	// at once, and the workers take turns on whatever cores there are. penalty is
	// how many it was last time: it doubles with each time in vain and wears off
	// slowly, one per four crossings whose wait was short.
	skips, penalty atomic.Int32
	_              [56]byte
	beds           []bed // by worker
}

const minPenalty, maxPenalty = 16, 1024

// bed is where one worker sleeps.
type bed struct {
	taken atomic.Bool
	wake  chan struct{} // capacity 1: whoever clears taken sends exactly once
	woke  bool          // this worker woke others as it left its last crossing
	_     [104]byte
}

func newBarrier(n int) *barrier {
	b := &barrier{n: int32(n), beds: make([]bed, n)}
	for i := range b.beds {
		b.beds[i].wake = make(chan struct{}, 1)
	}
	return b
}

// patience is how long a waiter spins before it sleeps.
type patience struct {
	spins  int  // looks at the barrier, spinPauses processor pauses apart
	learns bool // spinning in vain is held against it
}

const spinPauses = 8

// wait arrives as worker me and returns once all n have. ok is false if any of
// them raised stop.
func (b *barrier) wait(me int, stop bool, p patience) (ok bool) {
	word := b.word.Load()
	if stop {
		b.stop.Store(true)
	}
	if b.arrived.Add(1) == b.n {
		return b.release(me, word)
	}
	bed := &b.beds[me]
	if p.learns && b.skips.Load() > 0 {
		return b.sleep(bed, word)
	}
	if bed.woke { // they may be queued behind this very goroutine
		bed.woke = false
		runtime.Gosched()
	}
	for range p.spins {
		if now := b.word.Load(); now != word {
			if n := b.penalty.Load(); n > 0 && word>>1%4 == 0 {
				b.penalty.Store(n - 1)
			}
			return now&1 == 0
		}
		pause(spinPauses)
	}
	if p.learns {
		n := min(max(2*b.penalty.Load(), minPenalty), maxPenalty)
		b.penalty.Store(n)
		b.skips.Store(n)
	}
	return b.sleep(bed, word)
}

// release opens the barrier that the caller was the last to reach.
func (b *barrier) release(me int, word uint32) (ok bool) {
	b.arrived.Store(0)
	next := (word>>1 + 1) << 1
	if b.stop.Swap(false) {
		next |= 1
	}
	if n := b.skips.Load(); n > 0 {
		b.skips.Store(n - 1)
	}
	b.word.Store(next)
	if b.asleep.Load() == 0 {
		return next&1 == 0
	}
	b.beds[me].woke = true
	for i := range b.beds {
		if i != me && b.beds[i].taken.CompareAndSwap(true, false) {
			b.beds[i].wake <- struct{}{}
		}
	}
	return next&1 == 0
}

// sleep waits for the generation after word without using the processor. The
// releaser stores the word before it looks at the beds and a sleeper takes its bed
// before it looks at the word, so one of them always sees the other. A releaser
// that is slow to finish may wake a sleeper of the next generation, hence the loop.
func (b *barrier) sleep(bed *bed, word uint32) (ok bool) {
	b.asleep.Add(1)
	for b.word.Load() == word {
		bed.taken.Store(true)
		if b.word.Load() == word || !bed.taken.CompareAndSwap(true, false) {
			<-bed.wake
		}
	}
	b.asleep.Add(-1)
	return b.word.Load()&1 == 0
}
