package wasm

import (
	"errors"
	"fmt"
	"sync"
)

// Swap is a plugin that can be replaced while it is in use. It has the methods of
// *Plugin that the runtime asks for, so it goes wherever a plugin does. New sequences
// go to the plugin put in last; a sequence stays with the one it began with, which is
// closed when its last sequence and call have ended. It is safe for concurrent use
// like a Plugin.
type Swap struct {
	name string

	mu      sync.RWMutex // guards what follows, and the counts of versions
	current *version
	seqs    map[uint64]*version
	owned   map[*Plugin]*version // those that are not closed
	old     int                  // versions in use that are not current
	past    Stats                // of versions that were closed
	err     error                // the first of closing one
	closed  bool

	closing sync.WaitGroup // versions being closed
}

// version is one of the plugins that were put in.
type version struct {
	*Plugin
	users   int  // sequences and calls without one
	retired bool // it is being closed
}

// NewSwap begins with p, which it closes when it has been replaced and drained. Its
// name stays p's.
func NewSwap(p *Plugin) *Swap {
	v := &version{Plugin: p}
	return &Swap{name: p.Name(), current: v, seqs: map[uint64]*version{}, owned: map[*Plugin]*version{p: v}}
}

// Swap puts p, which must be of the same kind, in the place of the current plugin and
// owns it from then on. It does not wait for the old one's sequences. After an error
// nothing has changed, and p is still the caller's.
func (s *Swap) Swap(p *Plugin) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return fmt.Errorf("plugin %s: %w", s.name, ErrClosed)
	case s.owned[p] != nil || p.isClosed():
		return fmt.Errorf("plugin %s: what is to take its place is there already, or was and is to be closed; load it anew", s.name)
	case p.manifest.Kind != s.current.manifest.Kind:
		return fmt.Errorf("plugin %s: %w: a %s cannot take the place of a %s", s.name, ErrKind, p.manifest.Kind, s.current.manifest.Kind)
	}
	v := s.current
	s.current = &version{Plugin: p}
	s.owned[p] = s.current
	s.old++
	s.retireLocked(v)
	return nil
}

// retireLocked closes a version that is not current once nobody uses it. It does so
// on a goroutine of its own: those who use plugins have better things to do.
func (s *Swap) retireLocked(v *version) {
	if v.users > 0 || v.retired || v == s.current && !s.closed {
		return
	}
	v.retired = true
	if v != s.current {
		s.old--
	}
	s.closing.Go(func() {
		err := v.Close()
		done := v.Plugin.Stats()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.owned, v.Plugin)
		s.past = s.past.and(done)
		if s.err == nil {
			s.err = err
		}
	})
}

// Current is the plugin new sequences go to.
func (s *Swap) Current() *Plugin {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.current.Plugin
}

// Draining is how many replaced plugins still have sequences.
func (s *Swap) Draining() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.old
}

// Stats are the counters of all plugins there were; times, instances and sequences
// are the current one's.
func (s *Swap) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := s.current.Stats().and(s.past)
	for p, v := range s.owned {
		if v != s.current {
			all = all.and(p.Stats())
		}
	}
	return all
}

// and adds the counters of b to those of a.
func (a Stats) and(b Stats) Stats {
	a.Calls += b.Calls
	a.Rows += b.Rows
	a.Planned += b.Planned
	a.Repeats += b.Repeats
	a.Fuel += b.Fuel
	a.Faults += b.Faults
	a.Skipped += b.Skipped
	a.Resets += b.Resets
	a.Dropped += b.Dropped
	a.BytesIn += b.BytesIn
	a.BytesOut += b.BytesOut
	return a
}

// Close closes the current plugin, and waits until those that have drained are
// closed. Sequences still open fail from then on and are to be closed as usual.
func (s *Swap) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		for _, v := range s.owned {
			v.users = 0
			s.retireLocked(v)
		}
	}
	s.mu.Unlock()
	s.closing.Wait()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.err
}

// enter finds the version a new sequence or a call without one goes to.
func (s *Swap) enter() (*version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("plugin %s: %w", s.name, ErrClosed)
	}
	s.current.users++
	return s.current, nil
}

// leave is called once for each enter.
func (s *Swap) leave(v *version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.users--; !s.closed {
		s.retireLocked(v)
	}
}

// join is enter for a sequence to come that another one is forked to.
func (s *Swap) join(src uint64) (*version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.atLocked(src)
	if err == nil {
		v.users++
	}
	return v, err
}

// at is the version a sequence is with.
func (s *Swap) at(seq uint64) (*version, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.atLocked(seq)
}

func (s *Swap) atLocked(seq uint64) (*version, error) {
	v := s.seqs[seq]
	switch {
	case s.closed:
		return nil, fmt.Errorf("plugin %s: %w", s.name, ErrClosed)
	case v == nil:
		return nil, fmt.Errorf("plugin %s: %w: %d", s.name, ErrSequence, seq)
	}
	return v, nil
}

var errOpenTwice = errors.New("the sequence is open already")

// keep notes that a sequence is with v.
func (s *Swap) keep(seq uint64, v *version) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return fmt.Errorf("plugin %s: %w", s.name, ErrClosed)
	case s.seqs[seq] != nil:
		return fmt.Errorf("plugin %s: %w: %d", s.name, errOpenTwice, seq)
	}
	s.seqs[seq] = v
	return nil
}
