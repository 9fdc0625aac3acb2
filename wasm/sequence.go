package wasm

import (
	"context"
	"fmt"
	"slices"

	"github.com/sandwarp/sandwarp/abi"
)

// sequence is one request's text as a plugin sees it. Its fields are guarded by
// its instance's mu.
type sequence struct {
	id      uint64
	gid     uint64 // its number in the guest: id, or that of the sequence it was copied from
	in      *instance
	slot    uint32 // row of a dense frame
	message []byte // of sw_seq_open
	seed    uint64
	calls   uint64

	gen   uint64 // generation of the instance in which the guest knows it; 0 for none
	stale bool   // the guest missed a call and must be told anew
	kept  bool   // the breaker kept a call away, since a recorder looked

	accepted []int32 // sampler: to rebuild the guest's state
	action   abi.Choice
	plan     plan
	listed   bool   // in the step that is being put together
	judged   []span // filter: likewise, if the guest asked for it
	judgedN  int

	own    []float32  // row of a sampler that does not see logits
	shared *sharedRow // what Frame returned, if that is shared
	free   func()     // lets go of the memory a dense row lies in
	row    []float32  // that row
	out    []byte     // filter: what was released last
}

// span is text judged under the same flags.
type span struct {
	flags uint32
	text  []byte
}

// Rows of a frame, that is sequences of an instance.
const (
	denseRows  = 16
	otherRows  = 256
	maxReplay  = 1 << 20 // bytes of text kept to rebuild a filter's state
	maxSeedKey = 64
)

func (p *Plugin) rows() int {
	if p.manifest.Mode == abi.ModeDense {
		return denseRows
	}
	return otherRows
}

// OpenSeq begins a sequence. config is one msgpack value for the plugin, nil for
// none; if it is a map with an unsigned "seed", that seeds the plugin's random
// numbers, and otherwise Options.Seed and the sequence's number do. A
// configuration the plugin refuses is an error whatever OnFault says.
func (p *Plugin) OpenSeq(seq uint64, config []byte) error {
	return p.openSeq(seq, mix(p.opt.Seed^mix(seq+1)), config)
}

// OpenSeqSeeded is OpenSeq with a seed of the request's: what is random in the
// sequence is then the same whatever its number. A seed in config is preferred.
func (p *Plugin) OpenSeqSeeded(seq, seed uint64, config []byte) error {
	return p.openSeq(seq, seed, config)
}

func (p *Plugin) openSeq(seq, seed uint64, config []byte) error {
	if p.manifest.Kind == abi.KindTokenizer {
		return fmt.Errorf("plugin %s: %w: a tokenizer", p.name, ErrKind)
	}
	if config != nil {
		if err := abi.CheckValue("configuration", config); err != nil {
			return fmt.Errorf("plugin %s: %w; want one msgpack value, which abi.MarshalConfig makes", p.name, err)
		}
	}
	if own, given := seedOf(config); given {
		seed = own
	}
	s := &sequence{id: seq, gid: seq, seed: seed, message: abi.AppendSeqOpen(nil, &abi.SeqOpen{Config: config, Seed: seed})}
	if err := p.place(s); err != nil {
		return err
	}
	s.in.mu.Lock()
	err := p.openNow(s)
	s.in.mu.Unlock()
	if err != nil {
		p.CloseSeq(seq)
	}
	return err
}

// openNow tells the guest of a new sequence, if it is there to listen.
func (p *Plugin) openNow(s *sequence) error {
	f := s.ready(abi.ExportSeqOpen)
	if f == nil {
		f = s.ensure()
		if f != nil && f.Call == abi.ExportSeqOpen && f.Reason == ReasonError {
			return f // the plugin's answer, not its failure
		}
		p.settle(s.in, f)
	}
	if f != nil && !p.open {
		return f
	}
	return nil
}

// place finds an instance with a free row and puts s there.
func (p *Plugin) place(s *sequence) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("plugin %s: %w", p.name, ErrClosed)
	}
	if p.seqs[s.id] != nil {
		return fmt.Errorf("plugin %s: sequence %d is already open", p.name, s.id)
	}
	in, err := p.pick()
	if err != nil {
		return err
	}
	in.seat(s)
	p.makeSpares()
	return nil
}

// seat gives s a row of the instance, which has one. The caller holds p.mu.
func (in *instance) seat(s *sequence) {
	p := in.p
	if in.slots == nil && p.manifest.Mode == abi.ModeDense {
		in.slots = make([]*sequence, p.rows())
	}
	for i, taken := range in.slots {
		if taken == nil {
			in.slots[i], s.slot = s, uint32(i)
			break
		}
	}
	in.seqs++
	s.in = in
	p.seqs[s.id] = s
}

// pick chooses an instance. The caller holds p.mu.
func (p *Plugin) pick() (*instance, error) {
	var best *instance
	for _, in := range p.instances {
		if in.seqs < p.rows() && !in.fork && (best == nil || in.seqs < best.seqs) {
			best = in
		}
	}
	if best != nil && (best.seqs == 0 || len(p.instances)-p.forks >= p.spread()) {
		return best, nil
	}
	if len(p.instances)-p.forks >= p.opt.Instances {
		if best != nil {
			return best, nil
		}
		return nil, fmt.Errorf("plugin %s: %w", p.name, ErrBusy)
	}
	return p.another()
}

// another makes a new instance. The caller holds p.mu.
func (p *Plugin) another() (*instance, error) {
	if in := p.takeSpare(); in != nil {
		p.instances = append(p.instances, in)
		return in, nil
	}
	in := &instance{p: p}
	if err := in.start(context.Background()); err != nil {
		return nil, err
	}
	if p.image.Load() == nil {
		if err := in.configure(); err != nil {
			in.raw.Close()
			return nil, err
		}
	}
	p.instances = append(p.instances, in)
	return in, nil
}

// CloseSeq ends a sequence. Unknown ones are ignored.
func (p *Plugin) CloseSeq(seq uint64) {
	p.mu.RLock()
	s := p.seqs[seq]
	p.mu.RUnlock()
	if s == nil {
		return
	}
	p.last.CompareAndSwap(s, nil)
	s.in.mu.Lock()
	if s.gen == s.in.gen && s.in.raw != nil {
		p.settle(s.in, s.close())
	}
	s.in.unmapRow(s.slot)
	s.letGo()
	s.in.mu.Unlock()
	if p.leave(s) {
		p.retire(s.in)
	}
}

// leave takes s off its instance. It says whether that was a copy that has served.
func (p *Plugin) leave(s *sequence) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seqs[s.id] != s {
		return false
	}
	in := s.in
	delete(p.seqs, s.id)
	if in.slots != nil {
		in.slots[s.slot] = nil
	}
	in.seqs--
	if !in.fork || in.seqs > 0 || p.closed {
		return false
	}
	p.forks--
	i := slices.Index(p.instances, in)
	p.instances = slices.Delete(p.instances, i, i+1) // tokenizers, whose calls go through the list unlocked, have no copies
	return true
}

// lookup finds an open sequence of a plugin of the kind.
func (p *Plugin) lookup(kind abi.Kind, seq uint64) (*sequence, error) {
	// Only calls of a sequence put it there, and they come one after another.
	if s := p.last.Load(); s != nil && s.id == seq && p.manifest.Kind == kind && !p.shut.Load() {
		return s, nil
	}
	if p.manifest.Kind != kind {
		return nil, fmt.Errorf("plugin %s: %w: a %s", p.name, ErrKind, p.manifest.Kind)
	}
	p.mu.RLock()
	s, closed := p.seqs[seq], p.closed
	p.mu.RUnlock()
	switch {
	case closed:
		return nil, fmt.Errorf("plugin %s: %w", p.name, ErrClosed)
	case s == nil:
		return nil, fmt.Errorf("plugin %s: %w: %d", p.name, ErrSequence, seq)
	}
	p.last.Store(s)
	return s, nil
}

// close tells the guest that the sequence has ended.
func (s *sequence) close() *Fault {
	s.gen = 0
	s.in.stack[0] = s.gid
	if f := s.in.do(fnSeqClose, s.in.p.callFuel); f != nil {
		return f
	}
	return s.in.code(abi.ExportSeqClose)
}

// letGo gives up the row in guest memory.
func (s *sequence) letGo() {
	if s.shared != nil {
		s.shared.release()
		s.shared = nil
	}
	if s.free != nil {
		s.free()
		s.free, s.row = nil, nil
	}
}

// ensure makes the guest know the sequence: it is new, or the instance was
// reset, or the guest missed calls.
func (s *sequence) ensure() *Fault {
	in := s.in
	if f := in.usable(); f != nil {
		return f
	}
	if s.gen == in.gen && !s.stale {
		return nil
	}
	if s.gen == in.gen {
		if f := s.close(); f != nil {
			return f
		}
	}
	in.seed = s.seed
	if f := in.message(fnSeqOpen, in.p.callFuel, s.message, s.gid); f != nil {
		return f
	}
	s.gen = in.gen
	f := s.replay()
	s.stale = f != nil // then it is closed and opened again
	return f
}

// replay rebuilds the guest's state of a sequence that has a past.
func (s *sequence) replay() *Fault {
	if len(s.accepted) > 0 && s.in.p.has[fnAccept] {
		return s.tell(s.accepted)
	}
	for _, sp := range s.judged {
		in := s.in
		ptr, f := in.input(sp.text)
		if f != nil {
			return f
		}
		in.stack[0], in.stack[1], in.stack[2], in.stack[3] = s.gid, uint64(ptr), uint64(len(sp.text)), uint64(sp.flags|abi.FlagReplay)
		if f := in.do(fnFilter, in.p.textFuel(len(sp.text))); f != nil {
			return f
		}
		if v := int64(in.stack[0]); v < 0 {
			return in.failed(abi.ExportFilter, abi.Code(v))
		}
	}
	return nil
}

// textFuel is the budget for a text of n bytes.
func (p *Plugin) textFuel(n int) uint64 { return p.callFuel + p.byteFuel*uint64(n) }

// seedOf finds a seed in a request's configuration.
func seedOf(config []byte) (seed uint64, ok bool) {
	r := abi.NewReader("configuration", config)
	r.Fields(maxSeedKey, func(key string) {
		if key != "seed" {
			r.Skip()
			return
		}
		seed = r.Uint(1<<64 - 1)
		ok = r.Err() == nil
	})
	return seed, ok && r.Err() == nil
}
