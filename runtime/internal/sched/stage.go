package sched

import (
	"fmt"
	"reflect"
)

// stage is an open processor of a request, with what else it can do.
type stage struct {
	Processor
	batch BatchProcessor // nil if it gets a row at a time
	plan  Planner        // nil if it does not plan
	trace Tracer         // nil if it does not say what it does
	back  Rollbacker     // nil if it takes nothing back
}

// newStage looks at a processor once, so that a token needs no reflection.
func newStage(p Processor) stage {
	st := stage{Processor: p}
	st.trace, _ = p.(Tracer)
	st.back, _ = p.(Rollbacker)
	// Processors are told apart by ==, which panics on what cannot be compared.
	if reflect.ValueOf(p).Comparable() {
		st.batch, _ = p.(BatchProcessor)
		st.plan, _ = p.(Planner)
	}
	return st
}

// closeStages ends the sequence for every processor that opened it. If the consumer
// left in good order, it ends with the token he read last.
func (r *Request) closeStages() {
	if shown := int(r.shown.Load()); shown > 0 && r.made > shown-1 && r.err == nil {
		for i := range r.stages {
			if b := r.stages[i].back; b != nil {
				_ = b.Rollback(r.id, r.made-(shown-1)) // whatever comes of it, this is the end
			}
		}
	}
	for i := range r.stages {
		r.stages[i].CloseSeq(r.id)
	}
	r.stages = r.stages[:0]
}

// failed makes err, of the stage that came next, the outcome of the request.
func (r *Request) failed(err error) {
	r.fail(fmt.Errorf("processor %s: %w", r.stages[r.next].Name(), err))
}

// settle books the answer of the stage that came next for a row of vocab logits.
func (r *Request) settle(pick int32, err error, vocab int) {
	if err == nil && pick >= 0 {
		err = picked(r.stages[r.next].Processor, pick, vocab)
		if err != nil {
			r.fail(err)
			return
		}
	}
	if err != nil {
		r.failed(err)
		return
	}
	r.noteAct(pick)
	r.next++
	if pick >= 0 {
		r.pick, r.next = pick, len(r.stages)
	}
}

// What Tracer.LastAction can say; all else are edits.
const (
	ActNone   = 0
	ActPicked = 1
	ActMasked = 3
)

// noteAct keeps what the stage that came next did.
func (r *Request) noteAct(pick int32) {
	act := uint8(ActNone)
	if st := &r.stages[r.next]; pick >= 0 {
		act = ActPicked
	} else if st.trace != nil {
		act = st.trace.LastAction(r.id)
	}
	r.acts[r.next] = act
}

// report is what the stages did about the token just chosen; nil for nothing. A list
// that is sent is not written to again: tokens treated alike share one.
func (r *Request) report() []uint8 {
	some, same := false, len(r.told) == len(r.acts)
	for i, a := range r.acts {
		some = some || a != ActNone
		same = same && a == r.told[i]
	}
	switch {
	case !some:
		return nil
	case !same:
		r.told = append([]uint8(nil), r.acts...)
	}
	return r.told
}

// picked checks a token a processor chose.
func picked(p Processor, id int32, vocab int) error {
	if int(id) >= vocab {
		return fmt.Errorf("processor %s picked token %d, the vocabulary has %d", p.Name(), id, vocab)
	}
	return nil
}
