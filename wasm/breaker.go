package wasm

import (
	"sync"
	"sync/atomic"
	"time"
)

// breaker counts faults in a row and opens for longer and longer pauses.
type breaker struct {
	Breaker
	now    func() time.Time
	faults atomic.Int32

	mu    sync.Mutex // guards what follows, and all writes of faults
	pause time.Duration
	until time.Time
}

// allow says whether the plugin may be called.
func (b *breaker) allow() bool {
	if int(b.faults.Load()) < b.Faults {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.now().Before(b.until)
}

// report notes a call's outcome. It returns the pause that begins, 0 for none.
func (b *breaker) report(failed bool) time.Duration {
	if !failed && b.faults.Load() == 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !failed {
		b.faults.Store(0)
		b.pause = 0
		return 0
	}
	if n := b.faults.Load(); int(n) < b.Faults {
		b.faults.Store(n + 1)
	}
	// Calls that were on their way when it opened say nothing new.
	if int(b.faults.Load()) < b.Faults || b.now().Before(b.until) {
		return 0
	}
	b.pause = min(max(2*b.pause, b.Backoff), b.Max)
	b.until = b.now().Add(b.pause)
	return b.pause
}
