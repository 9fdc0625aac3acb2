package wasm

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/sandwarp/sandwarp/abi"
)

// ForkSeq opens the sequence dst in the state of src: its configuration, seed and past.
// From then on they are independent. It is called between calls for src.
//
// A plugin that can, does it itself. Of another the host copies the instance, or tells
// it the past anew, whichever is possible.
func (p *Plugin) ForkSeq(src, dst uint64) error {
	if p.manifest.Kind == abi.KindTokenizer {
		return fmt.Errorf("plugin %s: %w: a tokenizer", p.name, ErrKind)
	}
	s, err := p.lookup(p.manifest.Kind, src)
	if err != nil {
		return err
	}
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	d := s.twin(dst)
	if s.gen == in.gen && !s.stale && in.raw != nil && p.breaker.allow() {
		if done, err := p.forkNow(s, d); done {
			return err
		}
	}
	// The guest learns of it when it is next called.
	return p.place(d)
}

// twin is a sequence with the past of s, not known to any guest.
func (s *sequence) twin(id uint64) *sequence {
	d := &sequence{id: id, gid: id, message: s.message, seed: s.seed, calls: s.calls}
	d.accepted = slices.Clone(s.accepted)
	for _, sp := range s.judged { // neither may write to the other's text
		d.judged = append(d.judged, span{sp.flags, sp.text[:len(sp.text):len(sp.text)]})
	}
	d.judgedN = s.judgedN
	return d
}

// forkNow gives the guest's state of s to d. done is false if that is not possible.
func (p *Plugin) forkNow(s, d *sequence) (done bool, err error) {
	if p.has[fnSeqFork] {
		return p.forkInside(s, d)
	}
	if len(s.accepted) == 0 && s.calls == 0 {
		return false, nil // nothing to copy
	}
	return p.forkCopy(s, d)
}

// forkInside lets the guest do it.
func (p *Plugin) forkInside(s, d *sequence) (done bool, err error) {
	in := s.in
	if done, err := p.admit(d, in); !done || err != nil {
		return done, err
	}
	in.stack[0], in.stack[1] = s.gid, d.gid
	f := in.do(fnSeqFork, p.callFuel)
	if f == nil {
		f = in.code(abi.ExportSeqFork)
	}
	p.settle(in, f)
	if f == nil {
		d.gen = in.gen
	}
	// After a fault d is there, and opened and told its past at its next call.
	return true, nil
}

// admit seats d in an instance with room.
func (p *Plugin) admit(d *sequence, in *instance) (done bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return true, fmt.Errorf("plugin %s: %w", p.name, ErrClosed)
	case p.seqs[d.id] != nil:
		return true, fmt.Errorf("plugin %s: sequence %d is already open", p.name, d.id)
	case in.seqs >= p.rows() || in.fork:
		return false, nil
	}
	in.seat(d)
	return true, nil
}

// forkCopy copies the instance. In the copy, d goes by the number of s; the other
// sequences the copy knows are never called.
func (p *Plugin) forkCopy(s, d *sequence) (done bool, err error) {
	in := s.in
	p.mu.RLock()
	full := p.forks >= p.opt.Forks
	p.mu.RUnlock()
	p.copies.Store(true)
	if full || in.image == nil || in.image != p.image.Load() {
		return false, nil
	}
	c, err := in.clone()
	if err != nil {
		return false, nil // no memory; the past can still be told
	}
	d.gid, d.gen = s.gid, c.gen
	if err := p.enlist(c, d); err != nil {
		_ = c.stop()
		return true, err
	}
	return true, nil
}

// enlist adds a copied instance and its sequence.
func (p *Plugin) enlist(c *instance, d *sequence) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return fmt.Errorf("plugin %s: %w", p.name, ErrClosed)
	case p.seqs[d.id] != nil:
		return fmt.Errorf("plugin %s: sequence %d is already open", p.name, d.id)
	}
	p.instances = append(p.instances, c)
	p.forks++
	c.seat(d)
	p.makeSpares()
	return nil
}

// clone is a new instance in the state of in.
func (in *instance) clone() (*instance, error) {
	p := in.p
	p.mu.Lock()
	c := p.takeSpare()
	p.mu.Unlock()
	if c == nil {
		c = &instance{p: p}
		if err := c.start(context.Background()); err != nil {
			return nil, err
		}
	}
	c.fork = true
	if c.image != in.image || !in.copyTo(c) {
		_ = c.stop()
		return nil, fmt.Errorf("plugin %s: cannot copy %d bytes of memory", p.name, in.raw.MemSize())
	}
	c.scratch, c.scratchCap = in.scratch, in.scratchCap
	c.frame, c.layout, c.vocab, c.view = in.frame, in.layout, in.vocab, nil
	if c.layout != nil {
		c.unmasked(true) // what the frame held was not copied
	}
	c.seed, c.clock, c.step = in.seed, in.clock, in.step
	return c, nil
}

// copyTo copies memory and globals to c, which is in the state of the same image.
func (in *instance) copyTo(c *instance) bool {
	n := in.raw.MemSize()
	if have := c.raw.MemSize(); have < n && !c.raw.Grow((n-have)/abi.WindowAlign) || have > n {
		return false
	}
	from, _ := in.raw.Mem(0, n)
	to, _ := c.raw.Mem(0, n)
	// What the frame holds is no state.
	skip, end := n, n
	if in.layout != nil {
		skip, end = in.frame, in.frame+in.layout.Size()
	}
	page := func(off, n uint32) {
		if off < skip || off+n > end {
			copy(to[off:off+n], from[off:off+n])
		}
	}
	if m := linearOf(in.raw); m == nil || !m.written(page) {
		for off := uint32(0); off < n; off += blockSize {
			if !bytes.Equal(from[off:off+blockSize], to[off:off+blockSize]) {
				page(off, blockSize)
			}
		}
	}
	globals := c.ownGlobals()
	for i, g := range in.ownGlobals() {
		globals[i].Set(g.Get())
	}
	return true
}
