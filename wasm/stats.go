package wasm

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/sandwarp/sandwarp/abi"
)

// Stats are a plugin's counters since it was loaded.
type Stats struct {
	Calls     uint64        // of the kind's own function: sample, encode, decode, filter
	Rows      uint64        // samplers: rows shown in those calls
	Planned   uint64        // samplers: rows that needed no call, as their plan had the answer
	Repeats   uint64        // samplers: calls with several rows that failed and were repeated row by row
	Fuel      uint64        // instructions used by them
	Faults    uint64        // failed calls, calls kept away by the breaker not counted
	Skipped   uint64        // calls kept away by the breaker
	Resets    uint64        // instances put back to the state after configuration
	Dropped   uint64        // log lines over the limit
	BytesIn   uint64        // shown to the plugin: texts, ids, candidates, logits
	BytesOut  uint64        // taken from it: texts, ids, picks, lists, masks, edited logits
	P50, P99  time.Duration // of a call, host side included, within an eighth; one in 32 is timed
	Instances int
	Sequences int
}

// meter collects Stats. Times are kept in buckets of an eighth of a power of two.
type stats struct {
	calls, fuel, faults, skipped, resets, dropped atomic.Uint64
	more, planned, repeats                        atomic.Uint64 // more: rows beyond one a call
	in, out                                       atomic.Uint64 // bytes

	times [64 * 8]atomic.Uint64
}

// rowCount is how many rows a plugin of the kind was shown.
func (s *stats) rowCount(k abi.Kind) uint64 {
	if k != abi.KindSampler {
		return 0
	}
	return s.calls.Load() + s.more.Load()
}

// gave and took count bytes; nothing costs nothing.
func (s *stats) gave(n int) {
	if n > 0 {
		s.in.Add(uint64(n))
	}
}

func (s *stats) took(n int) {
	if n > 0 {
		s.out.Add(uint64(n))
	}
}

// begin counts a call; sampled calls are timed.
func (s *stats) begin() (start time.Time, timed bool) {
	if s.calls.Add(1)%32 != 1 {
		return time.Time{}, false
	}
	return time.Now(), true
}

func (s *stats) end(start time.Time) {
	ns := uint64(max(time.Since(start).Nanoseconds(), 8))
	e := bits.Len64(ns) - 1
	s.times[e*8+int(ns>>(e-3)&7)].Add(1)
}

// quantile returns the middle of the bucket that holds the q-th part.
func (s *stats) quantile(q float64) time.Duration {
	var total, seen uint64
	for i := range s.times {
		total += s.times[i].Load()
	}
	for i := range s.times {
		if seen += s.times[i].Load(); total > 0 && float64(seen) >= q*float64(total) {
			e, m := i/8, uint64(i%8)
			return time.Duration((2*(8+m) + 1) << e >> 4)
		}
	}
	return 0
}
