package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/sandwarp/sandwarp/abi"
)

// RecordOptions bound a recording. The zero value is useful.
type RecordOptions struct {
	// MaxBytes ends the recording before it becomes longer; what is recorded goes on
	// undisturbed. 0 means 1 GiB.
	MaxBytes int64
	// HashDense keeps hashes of the logits that samplers in mode dense see instead of
	// the logits, four bytes each: such rows cannot be run again.
	HashDense bool
}

// Recorder writes down what plugins are given and what they answer, so that Replay can
// ask them again. Of logits it keeps what a plugin sees, and what its answer changed.
// Wrap each plugin of a request with Plugin, and Close the recorder at the end. It is
// safe for concurrent use.
type Recorder struct {
	o RecordOptions

	mu        sync.Mutex // guards what follows
	w         io.Writer
	err       error // of the first write that failed
	written   int64
	full      bool
	closed    bool
	plugins   int
	histories map[seqKey][]int32
	frame     []byte
	enc       encoder
}

// NewRecorder begins a recording. It does not close w.
func NewRecorder(w io.Writer, o RecordOptions) *Recorder {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 30
	}
	r := &Recorder{o: o, w: w, histories: map[seqKey][]int32{}}
	r.write(binary.LittleEndian.AppendUint32([]byte(recordMagic), recordVersion))
	return r
}

// Plugin is p for the requests to be recorded: use it in p's place. Sequences it has
// seen from the beginning can be replayed.
func (r *Recorder) Plugin(p *Plugin) (*Recorded, error) {
	config, err := abi.MarshalConfig(p.opt.Config)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: configuration: %w", p.name, err)
	}
	l := loadedAs{
		name: p.name, hash: p.hash, kind: p.manifest.Kind, config: config, seed: p.opt.Seed,
		grant: p.opt.Grant, deny: p.opt.Deny, limits: p.opt.Limits, onFault: p.opt.OnFault, vocabSize: len(p.opt.Vocab),
	}
	if p.vocab != nil && p.declared(abi.CapVocab) {
		l.vocab = p.opt.Vocab
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	index := r.plugins
	r.plugins++
	r.enc.b = r.enc.b[:0]
	l.encode(&r.enc)
	r.put(callLoad)
	return &Recorded{p: p, r: r, index: index}, nil
}

// Close ends the recording and returns the first error of writing it.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return r.err
	}
	r.closed = true
	r.enc.b = r.enc.b[:0]
	r.enc.bool(r.full)
	r.write(appendFrame(r.frame[:0], callEnd, r.enc.b))
	return r.err
}

// add writes a call.
func (r *Recorder) add(c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key, keep := seqKey{c.plugin, c.seq}, 0
	if c.kind == callProcess {
		for last := r.histories[key]; keep < len(last) && keep < len(c.given.history) && last[keep] == c.given.history[keep]; {
			keep++
		}
	}
	r.enc.b = r.enc.b[:0]
	c.encode(&r.enc, keep)
	kind := c.kind
	if c.got.kept {
		kind |= keptBit
	}
	r.put(kind)
	switch c.kind {
	case callProcess:
		r.histories[key] = append(r.histories[key][:keep], c.given.history[keep:]...)
	case callClose:
		delete(r.histories, key)
	}
}

// put writes the payload in r.enc as a frame, if there is room.
func (r *Recorder) put(kind callKind) {
	if r.full || r.closed || r.err != nil {
		return
	}
	const end = 64 // bytes the last frame may take
	r.frame = appendFrame(r.frame[:0], kind, r.enc.b)
	if len(r.enc.b) > maxPayload || r.written+int64(len(r.frame))+end > r.o.MaxBytes {
		r.full = true
		return
	}
	r.write(r.frame)
}

func (r *Recorder) write(b []byte) {
	if r.err != nil {
		return
	}
	n, err := r.w.Write(b)
	r.written += int64(n)
	if err != nil {
		r.err = fmt.Errorf("recording: %w", err)
	}
}

// Recorded is a plugin whose calls are written down. It has the methods of *Plugin but
// for those that only save time: it gets all logits of a row at a time.
type Recorded struct {
	p     *Plugin
	r     *Recorder
	index int
}

func (d *Recorded) call(kind callKind, seq uint64) *call {
	return &call{kind: kind, plugin: d.index, seq: seq}
}

// keptAway says whether the breaker kept calls of a sequence away since it was last
// asked.
func (p *Plugin) keptAway(seq uint64) bool {
	p.mu.RLock()
	s := p.seqs[seq]
	p.mu.RUnlock()
	if s == nil {
		return false
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	was := s.kept
	s.kept = false
	return was
}

// done writes a call whose error was err.
func (d *Recorded) done(c *call, err error) {
	c.got.kept = d.p.keptAway(c.seq)
	if err != nil {
		var f *Fault
		c.got.err, c.got.kept = err.Error(), c.got.kept || errors.As(err, &f) && f.Reason == ReasonBreaker
	}
	d.r.add(c)
}

// Name is the plugin's.
func (d *Recorded) Name() string { return d.p.Name() }

// OpenSeq is Plugin.OpenSeq, recorded.
func (d *Recorded) OpenSeq(seq uint64, config []byte) error {
	c := d.call(callOpen, seq)
	c.given.config = config
	err := d.p.OpenSeq(seq, config)
	d.done(c, err)
	return err
}

// OpenSeqSeeded is Plugin.OpenSeqSeeded, recorded.
func (d *Recorded) OpenSeqSeeded(seq, seed uint64, config []byte) error {
	c := d.call(callOpen, seq)
	c.given.config, c.given.seeded, c.given.seed = config, true, seed
	err := d.p.OpenSeqSeeded(seq, seed, config)
	d.done(c, err)
	return err
}

// CloseSeq is Plugin.CloseSeq, recorded.
func (d *Recorded) CloseSeq(seq uint64) {
	d.p.CloseSeq(seq)
	d.done(d.call(callClose, seq), nil)
}

// ForkSeq is Plugin.ForkSeq, recorded.
func (d *Recorded) ForkSeq(src, dst uint64) error {
	c := d.call(callFork, src)
	c.given.dst = dst
	err := d.p.ForkSeq(src, dst)
	d.done(c, err)
	return err
}

// Process is Plugin.Process, recorded with what the plugin could see of the logits.
func (d *Recorded) Process(seq uint64, history []int32, logits []float32) (pick int32, err error) {
	before := slices.Clone(logits)
	c := d.call(callProcess, seq)
	pick, err = d.p.Process(seq, history, logits)
	c.given.history = history
	c.got.pick, c.got.action = pick, d.p.LastAction(seq)
	c.given.row, c.got.row = d.p.seen(before, logits, d.r.o.HashDense)
	d.done(c, err)
	return pick, err
}

// Plan is not recorded: it must not make a difference.
func (d *Recorded) Plan(seqs []uint64, histories [][]int32) { d.p.Plan(seqs, histories) }

// LastAction is Plugin.LastAction.
func (d *Recorded) LastAction(seq uint64) uint8 { return d.p.LastAction(seq) }

// Accept is Plugin.Accept, recorded.
func (d *Recorded) Accept(seq uint64, tokens []int32) error {
	c := d.call(callAccept, seq)
	c.given.tokens = tokens
	err := d.p.Accept(seq, tokens)
	d.done(c, err)
	return err
}

// Rollback is Plugin.Rollback, recorded.
func (d *Recorded) Rollback(seq uint64, n int) error {
	c := d.call(callRollback, seq)
	c.given.n = uint64(n)
	err := d.p.Rollback(seq, n)
	d.done(c, err)
	return err
}

// Filter is Plugin.Filter, recorded.
func (d *Recorded) Filter(seq uint64, pending []byte, flags uint32) (out []byte, n int, stop bool, err error) {
	c := d.call(callFilter, seq)
	c.given.text, c.given.flags = pending, flags
	out, n, stop, err = d.p.Filter(seq, pending, flags)
	c.got.out, c.got.n, c.got.stop = out, uint64(n), stop
	d.done(c, err)
	return out, n, stop, err
}

// Encode is Plugin.Encode, recorded.
func (d *Recorded) Encode(dst []int32, text string, special bool) ([]int32, error) {
	c := d.call(callEncode, 0)
	c.given.text, c.given.flags = []byte(text), specialFlag(special)
	ids, err := d.p.Encode(nil, text, special)
	c.got.tokens = ids
	d.done(c, err)
	return append(dst, ids...), err
}

// Decode is Plugin.Decode, recorded.
func (d *Recorded) Decode(dst []byte, ids []int32, special bool) ([]byte, error) {
	c := d.call(callDecode, 0)
	c.given.tokens, c.given.flags = ids, specialFlag(special)
	text, err := d.p.Decode(nil, ids, special)
	c.got.out = text
	d.done(c, err)
	return append(dst, text...), err
}

func specialFlag(special bool) uint32 {
	if special {
		return abi.FlagSpecial
	}
	return 0
}

// seen is what of a row of logits a plugin could see, and what became of it. In mode
// mask it saw nothing: of logits that were only added to, what they were is needed to
// add to them again. In mode candidates the best are all that matters, besides those
// whose tokens it named itself.
func (p *Plugin) seen(before, after []float32, hash bool) (r row, c change) {
	r.vocab = len(before)
	lowest, dense := float32(math.Inf(-1)), p.manifest.Mode == abi.ModeDense
	if dense && hash {
		r.hashed, r.hash, c.hash = true, hashOf(before), hashOf(after)
		return r, c
	}
	known := make([]bool, len(before))
	if p.manifest.Mode == abi.ModeCandidates {
		r.other = lowest
		for _, t := range topK(nil, before, int(p.k)) {
			known[t.id()] = true
		}
	}
	for i, was := range before {
		is := after[i]
		same := math.Float32bits(was) == math.Float32bits(is)
		gone := !same && is == lowest
		if !known[i] {
			known[i] = dense || !same && !gone || r.other == 0 && !(was > lowest)
		}
		if known[i] {
			r.known = append(r.known, pair{int32(i), was})
		}
		switch {
		case same:
		case gone && (known[i] || r.other == 0):
			c.excluded = append(c.excluded, int32(i))
		case !gone:
			c.set = append(c.set, pair{int32(i), is})
		}
	}
	return r, c
}

// hashOf is FNV-1a of the logits' bytes.
func hashOf(logits []float32) uint64 {
	h := fnv.New64a()
	_ = binary.Write(h, binary.LittleEndian, logits)
	return h.Sum64()
}

// fill makes the row in dst.
func (r *row) fill(dst []float32) []float32 {
	dst = slices.Grow(dst[:0], r.vocab)[:r.vocab]
	for i := range dst {
		dst[i] = r.other
	}
	for _, p := range r.known {
		dst[p.id] = p.v
	}
	return dst
}

// apply does to a row what was recorded.
func (c *change) apply(row []float32) {
	for _, id := range c.excluded {
		row[id] = float32(math.Inf(-1))
	}
	for _, p := range c.set {
		row[p.id] = p.v
	}
}
