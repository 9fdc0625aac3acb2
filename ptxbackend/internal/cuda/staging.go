package cuda

import (
	"errors"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// stageBytes is a half of the staging memory: enough that a copy's start costs
// little beside it, and few enough that page-locked memory is not missed.
const stageBytes = 4 << 20

// staging is page-locked memory through which other memory is copied, in two
// halves: the host fills or empties one while the device has the other.
type staging struct {
	half [2][]byte
	done [2]*event // the device is done with the half
	busy [2]bool   // done was recorded
	next int
}

// staging returns the stream's, and makes it the first time.
func (s *stream) staging() (*staging, error) {
	if s.stage != nil {
		return s.stage, nil
	}
	st := &staging{}
	s.stage = st
	var err error
	for i := range st.half {
		if st.half[i], err = s.d.HostAlloc(stageBytes); err != nil {
			return nil, errors.Join(err, s.closeStage())
		}
		if st.done[i], err = s.d.newEvent(eventNoTiming); err != nil {
			return nil, errors.Join(err, s.closeStage())
		}
	}
	return st, nil
}

// closeStage gives the staging memory back, once the device is done with it.
func (s *stream) closeStage() error {
	st := s.stage
	s.stage = nil
	if st == nil || s.closed.Load() {
		return nil
	}
	var errs []error
	for i := range st.half {
		errs = append(errs, s.waitHalf(st, i))
		if st.done[i] != nil {
			errs = append(errs, st.done[i].Close())
		}
		errs = append(errs, s.d.HostFree(st.half[i]))
	}
	return errors.Join(errs...)
}

// waitHalf waits until the device is done with a half.
func (s *stream) waitHalf(st *staging, i int) error {
	if !st.busy[i] {
		return nil
	}
	st.busy[i] = false
	return s.c.call(fnEventSynchronize, st.done[i].handle)
}

// sent notes that a half was handed to the device, and turns to the other.
func (s *stream) sent(st *staging) error {
	i := st.next
	st.next = 1 - i
	if err := s.c.call(fnEventRecord, st.done[i].handle, s.handle); err != nil {
		return err
	}
	st.busy[i] = true
	return nil
}

// copyStagedIn returns when src has been read; the device may not have it yet.
func (s *stream) copyStagedIn(dst driver.Ptr, src []byte) error {
	st, err := s.staging()
	if err != nil {
		return err
	}
	for len(src) > 0 {
		i := st.next
		if err := s.waitHalf(st, i); err != nil {
			return err
		}
		n := copy(st.half[i], src)
		if err := s.c.call(fnMemcpyHtoDAsync, uintptr(dst), address(st.half[i]), uintptr(n), s.handle); err != nil {
			return err
		}
		if err := s.sent(st); err != nil {
			return err
		}
		dst, src = dst+driver.Ptr(n), src[n:]
	}
	return s.after(nil)
}

// copyStagedOut returns when dst has been written.
func (s *stream) copyStagedOut(dst []byte, src driver.Ptr) error {
	st, err := s.staging()
	if err != nil {
		return err
	}
	var before []byte // that the other half is for
	for len(dst) > 0 || before != nil {
		var now []byte
		i := st.next
		if len(dst) > 0 {
			now = dst[:min(len(dst), len(st.half[i]))]
			if err := s.c.call(fnMemcpyDtoHAsync, address(st.half[i]), uintptr(src), uintptr(len(now)), s.handle); err != nil {
				return err
			}
			if err := s.sent(st); err != nil {
				return err
			}
			dst, src = dst[len(now):], src+driver.Ptr(len(now))
		}
		if before != nil {
			other := 1 - i
			if err := s.waitHalf(st, other); err != nil {
				return err
			}
			copy(before, st.half[other])
		}
		before = now
	}
	return nil
}
