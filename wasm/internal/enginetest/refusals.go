package enginetest

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/wasm"
	"github.com/sandwarp/sandwarp/wasm/internal/binary"
)

// cause is why a module is refused, in the order in which a module is tried.
type cause int

const (
	notValid   cause = iota // by our own scan: it is no valid module
	tooMuch                 // by our own scan: beyond the host's limits or features
	contract                // by manifest, exports or imports
	engineSaid              // by the engine's compiler
	ran                     // by what its code did: start function, version, configuration
	causes
)

func (c cause) String() string {
	return [causes]string{"not valid", "beyond limits", "manifest, exports, imports", "the engine's compiler", "what its code did"}[c]
}

// causeOf is why Load returned an error.
func causeOf(err error) cause {
	var scan *binary.Error
	var fault *wasm.Fault
	switch {
	case errors.As(err, &scan) && scan.Unsupported:
		return tooMuch
	case errors.As(err, &scan):
		return notValid
	case errors.As(err, &fault) || strings.Contains(err.Error(), ": start: ") || strings.Contains(err.Error(), "requires feature bit"):
		return ran
	case strings.Contains(err.Error(), ": compile: "):
		return engineSaid
	}
	return contract
}

// refusals are how long it took to refuse modules, by cause: the time that passed, and
// that of the thread alone, which others on the machine do not lengthen.
type refusals struct {
	n         int
	wall, cpu [causes][]time.Duration
}

// time tries something that may be refused.
func (r *refusals) time(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start, cpu := time.Now(), threadTime()
	err := f()
	if err != nil {
		c := causeOf(err)
		r.wall[c] = append(r.wall[c], time.Since(start))
		r.cpu[c] = append(r.cpu[c], threadTime()-cpu)
		r.n++
	}
	return err
}

// slowRefusal is what refusing a module that never runs may take.
const slowRefusal = 5 * time.Millisecond

// report logs all causes, and returns the 99th percentile of those that need no engine.
func (r *refusals) report(t *testing.T) (p99 time.Duration) {
	t.Helper()
	var early []time.Duration
	for c := range causes {
		n := len(r.wall[c])
		if n == 0 {
			continue
		}
		slices.Sort(r.wall[c])
		slices.Sort(r.cpu[c])
		t.Logf("%7d refused by %-27s wall %s; thread %s", n, c.String()+":", spread(r.wall[c]), spread(r.cpu[c]))
		if c < engineSaid {
			early = append(early, r.wall[c]...)
		}
	}
	slices.Sort(early)
	if len(early) > 0 {
		p99 = early[len(early)*99/100]
	}
	return p99
}

// spread describes sorted times.
func spread(times []time.Duration) string {
	n := len(times)
	slow, _ := slices.BinarySearch(times, slowRefusal)
	us := func(d time.Duration) time.Duration { return d.Round(time.Microsecond) }
	return fmt.Sprintf("p50 %v, p99 %v, worst %v, %d above 5 ms", us(times[n/2]), us(times[n*99/100]), us(times[n-1]), n-slow)
}
