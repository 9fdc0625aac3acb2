package ptxbackend

import (
	"fmt"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// hidden is what a part of a plan that was split takes in or passes on: Batch.Hidden,
// by way of page-locked memory.
type hidden struct {
	width    int // 0 if the plan is whole
	receives driver.Ptr
	sends    driver.Ptr
	host     []byte
}

// takeHidden finds out whether the plan receives or sends.
func (e *executable) takeHidden() (err error) {
	e.hidden.width = backend.Passes(e.plan)
	if e.hidden.width == 0 {
		return nil
	}
	if first := &e.plan.Steps[0]; first.Kind == plan.Receive {
		e.hidden.receives = e.values[first.Out[0]-1].at
	}
	if last := &e.plan.Steps[len(e.plan.Steps)-1]; last.Kind == plan.Send {
		e.hidden.sends = e.values[last.In[0]-1].at
	}
	e.hidden.host, err = e.memory.pinned("hidden states", e.lim.MaxRows*e.hidden.width*4)
	return err
}

// admit refuses batches without room for what is passed on.
func (h *hidden) admit(b *backend.Batch) error {
	if want := h.width * len(b.Tokens); len(b.Hidden) < want {
		return fmt.Errorf("ptxbackend: a batch with %d hidden values, the plan passes on %d", len(b.Hidden), want)
	}
	if h.sends != 0 && len(b.LogitRows) > 0 {
		return fmt.Errorf("ptxbackend: %d rows of logits wanted of a plan that ends before the logits", len(b.LogitRows))
	}
	return nil
}

// upload queues the copy of what is received.
func (h *hidden) upload(s driver.Stream, b *backend.Batch) error {
	if h.receives == 0 {
		return nil
	}
	n := h.width * len(b.Tokens)
	copy(float32s(h.host), b.Hidden[:n])
	return s.CopyIn(h.receives, h.host[:4*n])
}

// download brings what is sent to the batch, and waits for it.
func (h *hidden) download(s driver.Stream, b *backend.Batch) error {
	if h.sends == 0 {
		return nil
	}
	n := h.width * len(b.Tokens)
	if err := s.CopyOut(h.host[:4*n], h.sends); err != nil {
		return err
	}
	if err := s.Sync(); err != nil {
		return err
	}
	copy(b.Hidden[:n], float32s(h.host))
	return nil
}
