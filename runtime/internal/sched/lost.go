package sched

import (
	"errors"

	"github.com/sandwarp/sandwarp/internal/backend"
)

// lose ends every running request: the device, or the weights, are gone, and with
// a device all keys and values. If there is something to take the device's place,
// waiting requests and those to come run there; otherwise they get err, too: s.exec
// is then not used again.
func (s *Scheduler) lose(err error) {
	for _, r := range s.active {
		r.done = 0
		if r.ctx.Err() == nil {
			r.fail(err)
		}
	}
	if errors.Is(err, backend.ErrDeviceLost) && s.cfg.Replace != nil {
		e, failed := s.cfg.Replace(s.ctx, err)
		if failed == nil {
			s.forget()
			s.use(e)
			return
		}
		if s.ctx.Err() != nil {
			return // closing: shutdown says so
		}
		err = errors.Join(err, failed)
	}
	s.mu.Lock()
	waiting := s.queue
	s.lost, s.queue = err, nil
	s.mu.Unlock()
	s.endWaiting(waiting, err)
}

// forget drops what idle caches held on the device.
func (s *Scheduler) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.idle {
		s.dropLocked(c)
	}
}
