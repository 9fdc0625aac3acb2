package plugin

import (
	"errors"
	"runtime"

	"github.com/sandwarp/sandwarp/abi"
)

// Manifest says what the plugin is and wants; see package abi.
type Manifest = abi.Manifest

// Seq is a sequence: one request's text.
type Seq struct {
	ID     uint64
	Seed   uint64 // of the request
	Config []byte // one msgpack value, nil for none; read it with abi.NewReader
	State  any    // the plugin's own
}

// Sampler chooses the next token, or changes how likely each is.
type Sampler interface {
	// Sample handles one row: it calls one of the row's methods, or none to leave
	// the choice as it is.
	Sample(row *Row) error
}

// Filter judges text before it is shown.
type Filter interface {
	// Filter judges pending, the text of the sequence not yet judged. flags are
	// abi.FlagPrompt, abi.FlagEnd (decide about all of it) and abi.FlagReplay
	// (text judged before, after a fault: rebuild the state).
	Filter(seq *Seq, pending []byte, flags uint32) Verdict
}

// Tokenizer turns text into ids and back.
type Tokenizer interface {
	// Encode appends the ids of text to dst. With special, the texts of control
	// tokens become their ids.
	Encode(dst []int32, text []byte, special bool) ([]int32, error)
	// Decode appends the bytes of ids to dst; control tokens only with special.
	Decode(dst []byte, ids []int32, special bool) ([]byte, error)
}

// A plugin may also implement any of these.
type (
	// Configurer receives the configuration before anything else.
	Configurer interface {
		Configure(config []byte, host abi.Configure) error
	}
	// Opener is told of a new sequence; an error refuses the request.
	Opener interface{ Open(seq *Seq) error }
	// Closer is told of a sequence's end.
	Closer interface{ Close(seq *Seq) }
	// Accepter is told which tokens were chosen.
	Accepter interface {
		Accept(seq *Seq, tokens []int32) error
	}
	// Planner is a sampler that works while the model computes; import package plan.
	Planner interface {
		// Plan handles a row whose logits are not there yet. In mode mask it may
		// answer as Sample does, which is then not called. A plan may be dropped:
		// Sample must answer the same without it.
		Plan(row *Row) error
	}
	// Rollbacker is a sampler that takes back accepted tokens; import package
	// rollback. Of another the host tells the past anew.
	Rollbacker interface {
		// Rollback forgets the last n accepted tokens, n > 0.
		Rollback(seq *Seq, n int) error
	}
	// Forker copies a sequence's state; import package fork. Of another the host
	// copies the whole instance.
	Forker interface {
		// Fork sets dst.State, independent of src from then on; the rest of dst is set.
		Fork(src, dst *Seq) error
	}
)

// Verdict is a filter's answer. The zero value holds everything.
type Verdict struct {
	Action abi.Action
	N      int    // bytes of pending consumed
	Out    []byte // released in their place, for Replace and Stop
}

// Pass releases the first n bytes as they are.
func Pass(n int) Verdict { return Verdict{Action: abi.ActionPass, N: n} }

// Hold releases nothing until more text comes.
func Hold() Verdict { return Verdict{Action: abi.ActionHold} }

// Replace releases out instead of the first n bytes.
func Replace(n int, out []byte) Verdict { return Verdict{abi.ActionReplace, n, out} }

// Stop releases out instead of the first n bytes and ends the answer.
func Stop(n int, out []byte) Verdict { return Verdict{abi.ActionStop, n, out} }

// served is the plugin of this module.
var served struct {
	manifest Manifest
	features uint64
	impl     any
	seqs     map[uint64]*Seq
	lastErr  string
	out      []byte  // of the last verdict
	ids      []int32 // of the last Encode
	text     []byte  // of the last Decode
}

// ServeSampler makes s this module's plugin. Call it from an init function.
func ServeSampler(m Manifest, s Sampler) { serve(m, abi.KindSampler, s) }

// ServeFilter makes f this module's plugin.
func ServeFilter(m Manifest, f Filter) { serve(m, abi.KindFilter, f) }

// ServeTokenizer makes t this module's plugin.
func ServeTokenizer(m Manifest, t Tokenizer) { serve(m, abi.KindTokenizer, t) }

func serve(m Manifest, kind abi.Kind, impl any) {
	m.Kind = kind
	served.manifest, served.impl, served.seqs = m, impl, map[uint64]*Seq{}
	served.features |= abi.FeatureBits(m.Features)
}

// fail keeps the words of an error for sw_last_error and returns its code.
func fail(err error) abi.Code {
	if err == nil {
		return abi.OK
	}
	served.lastErr = err.Error()
	var c abi.Code
	if errors.As(err, &c) && c < 0 {
		return c
	}
	return abi.EIO
}

func configure(message []byte) error {
	m, err := abi.ParseConfigure(message)
	if err != nil {
		return err
	}
	if c, ok := served.impl.(Configurer); ok {
		err = c.Configure(m.Config, m)
	}
	// All instances start from the state after this call. Without what the
	// configuration left behind, calls are less likely to pay for collecting it.
	runtime.GC()
	return err
}

func seqOpen(id uint64, message []byte) error {
	m, err := abi.ParseSeqOpen(message)
	if err != nil {
		return err
	}
	s := &Seq{ID: id, Seed: m.Seed, Config: append([]byte(nil), m.Config...)}
	if o, ok := served.impl.(Opener); ok {
		if err := o.Open(s); err != nil {
			return err
		}
	}
	served.seqs[id] = s
	return nil
}

func seqClose(id uint64) error {
	s := served.seqs[id]
	if s == nil {
		return abi.ENOENT
	}
	delete(served.seqs, id)
	if c, ok := served.impl.(Closer); ok {
		c.Close(s)
	}
	return nil
}

func accept(id uint64, tokens []int32) error {
	s := served.seqs[id]
	if s == nil {
		return abi.ENOENT
	}
	if a, ok := served.impl.(Accepter); ok {
		return a.Accept(s, tokens)
	}
	return nil
}

func fork(src, dst uint64) error {
	impl, ok := served.impl.(Forker)
	if !ok {
		return abi.ENOSYS
	}
	s := served.seqs[src]
	if s == nil {
		return abi.ENOENT
	}
	d := &Seq{ID: dst, Seed: s.Seed, Config: s.Config}
	if err := impl.Fork(s, d); err != nil {
		return err
	}
	served.seqs[dst] = d
	return nil
}

func rollback(id uint64, n int) error {
	impl, ok := served.impl.(Rollbacker)
	if !ok {
		return abi.ENOSYS
	}
	s := served.seqs[id]
	if s == nil {
		return abi.ENOENT
	}
	return impl.Rollback(s, n)
}

// sample runs all rows of a frame.
func sample(frame []byte, rows int) error {
	impl, ok := served.impl.(Sampler)
	if !ok {
		return abi.ENOSYS
	}
	return each(frame, rows, impl.Sample)
}

// plan runs all rows of a frame without logits.
func plan(frame []byte, rows int) error {
	impl, ok := served.impl.(Planner)
	if !ok {
		return abi.ENOSYS
	}
	return each(frame, rows, impl.Plan)
}

func each(frame []byte, rows int, f func(*Row) error) error {
	h := abi.Header(frame)
	if len(frame) < abi.HeaderSize || h.Magic() != abi.FrameMagic || h.Version() != abi.FrameVersion {
		return abi.EINVAL
	}
	row := &servedRow
	for i := range rows {
		*row = Row{frame: frame, h: h, i: uint32(i)}
		row.row = abi.Row(frame[h.RowOff()+uint32(i)*abi.RowSize:][:abi.RowSize])
		if row.Seq = served.seqs[row.row.Seq()]; row.Seq == nil {
			return abi.ENOENT
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
}

// servedRow is reused, so that a call allocates nothing.
var servedRow Row

func filter(id uint64, pending []byte, flags uint32) (int64, error) {
	impl, ok := served.impl.(Filter)
	if !ok {
		return 0, abi.ENOSYS
	}
	s := served.seqs[id]
	if s == nil {
		return 0, abi.ENOENT
	}
	v := impl.Filter(s, pending, flags)
	served.out = v.Out
	return abi.PackVerdict(v.Action, uint32(v.N)), nil
}
