package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sandwarp/sandwarp/abi"
)

// ReplayOptions say how a recording is run again.
type ReplayOptions struct {
	// Plugin is the name of the one of several plugins to run; empty for the one whose
	// module this is, or with AnyModule for the one of its manifest's name.
	Plugin string
	// AnyModule runs a module other than the recorded one, a new version say.
	AnyModule bool
	Engine    Engine
	CacheDir  string
	Log       func(level int, message string)
}

// Replayed is what came of running a recording again.
type Replayed struct {
	Plugin string `json:"plugin"`
	Module string `json:"module"` // SHA-256 of the module that was run, in hex
	Calls  int    `json:"calls"`  // made again, the one that differs included
	Rows   int    `json:"rows"`   // of logits among them
	// Skipped are rows of which only a hash was recorded.
	Skipped int `json:"skipped"`
	// Truncated says that the recording does not go to the end of what was recorded.
	Truncated  bool        `json:"truncated"`
	Difference *Difference `json:"difference,omitempty"` // the first; nil for none
}

// Difference is where an answer was not the recorded one.
type Difference struct {
	Call  int    `json:"call"` // its number among the plugin's calls, from 0
	Name  string `json:"name"` // Process, Filter ...
	Seq   uint64 `json:"seq"`
	Pos   int    `json:"pos"`   // Process: tokens before the one to choose
	Field string `json:"field"` // what differs: pick, action, logit of token 5, out, error ...
	Got   string `json:"got"`
	Want  string `json:"want"`
}

func (d *Difference) String() string {
	at := ""
	if d.Name == callProcess.String() {
		at = fmt.Sprintf(" at position %d", d.Pos)
	}
	return fmt.Sprintf("call %d, %s of sequence %d%s: %s is %s, recorded was %s", d.Call, d.Name, d.Seq, at, d.Field, d.Got, d.Want)
}

// ErrOtherModule says that a recording has no plugin with the module it was to be run
// with; ReplayOptions.AnyModule runs it all the same.
var ErrOtherModule = errors.New("the recording is of another module")

// ErrWhichPlugin says that several plugins of a recording may be meant, of which
// ReplayOptions.Plugin names one.
var ErrWhichPlugin = errors.New("name one")

// Replay loads a module as it was loaded when recording was made, gives it what it was
// given then, and compares its answers bit by bit up to the first difference. An error
// says that this cannot be done: the recording is damaged or of another module.
func Replay(ctx context.Context, module, recording []byte, o ReplayOptions) (*Replayed, error) {
	index, l, err := o.choose(module, recording)
	if err != nil {
		return nil, err
	}
	lo := Options{
		Name: l.name, Config: l.config, Grant: l.grant, Deny: l.deny, Seed: l.seed, Limits: l.limits, OnFault: l.onFault,
		Vocab: l.vocab, Engine: o.Engine, CacheDir: o.CacheDir, Log: o.Log,
	}
	if l.vocab == nil && l.vocabSize > 0 { // it knew the number, and no more
		lo.Vocab, lo.Deny = make([]string, l.vocabSize), append(slices.Clone(l.deny), "vocab")
	}
	p, err := Load(ctx, module, lo)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if p.manifest.Kind != l.kind {
		return nil, fmt.Errorf("plugin %s: %w: the recording is of a %s", p.name, ErrKind, l.kind)
	}
	p.breaker.Breaker = Breaker{} // it is the recording's that counts
	r := replayer{p: p, out: &Replayed{Plugin: p.name, Module: p.Hash()}}
	return r.out, r.run(ctx, recording, index)
}

// choose finds the plugin in the recording that module is to stand for.
func (o *ReplayOptions) choose(module, recording []byte) (int, *loadedAs, error) {
	r, err := newRecordReader(recording)
	if err != nil {
		return 0, nil, err
	}
	for {
		if _, ok, err := r.next(); err != nil {
			return 0, nil, err
		} else if !ok {
			break
		}
	}
	hash := sha256.Sum256(module)
	var names []string
	var meant []int
	for i, l := range r.plugins {
		names = append(names, fmt.Sprintf("%s (%s)", l.name, hex.EncodeToString(l.hash[:4])))
		if (o.Plugin == "" || o.Plugin == l.name) && (l.hash == hash || o.AnyModule) {
			meant = append(meant, i)
		}
	}
	if m, err := ReadManifest(module); len(meant) > 1 && err == nil { // another version is of the same name
		if same := slices.DeleteFunc(slices.Clone(meant), func(i int) bool { return r.plugins[i].name != m.Name }); len(same) > 0 {
			meant = same
		}
	}
	if len(meant) > 1 {
		return 0, nil, fmt.Errorf("the recording has several plugins that may be meant, of %v: %w", names, ErrWhichPlugin)
	}
	if len(meant) == 0 && o.Plugin != "" && !slices.ContainsFunc(r.plugins, func(l loadedAs) bool { return l.name == o.Plugin }) {
		return 0, nil, fmt.Errorf("the recording has no plugin %s, but %v", o.Plugin, names)
	}
	if len(meant) == 0 {
		return 0, nil, fmt.Errorf("%w: of %v, not of %s", ErrOtherModule, names, hex.EncodeToString(hash[:4]))
	}
	return meant[0], &r.plugins[meant[0]], nil
}

// replayer runs one plugin's calls again.
type replayer struct {
	p         *Plugin
	out       *Replayed
	row, want []float32
}

func (r *replayer) run(ctx context.Context, recording []byte, index int) error {
	in, err := newRecordReader(recording)
	if err != nil {
		return err
	}
	for r.out.Difference == nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, ok, err := in.next()
		if err != nil {
			return err
		}
		if !ok {
			r.out.Truncated = in.truncated
			return nil
		}
		if c.plugin != index {
			continue
		}
		if c.kind == callProcess && c.given.row.hashed {
			r.out.Skipped++
			continue
		}
		got := r.again(&c)
		if d := r.compare(&c, got); d != nil {
			d.Call, d.Name, d.Seq, d.Pos = r.out.Calls, c.kind.String(), c.seq, len(c.given.history)
			r.out.Difference = d
		}
		r.out.Calls++
	}
	return nil
}

// again makes a call. The logits of Process end up in r.row.
func (r *replayer) again(c *call) (got results) {
	p, g := r.p, &c.given
	p.breaker.until = time.Time{}
	if c.got.kept {
		p.breaker.until = time.Unix(math.MaxInt32, 0)
	}
	var err error
	switch c.kind {
	case callOpen:
		if g.seeded {
			err = p.OpenSeqSeeded(c.seq, g.seed, g.config)
		} else {
			err = p.OpenSeq(c.seq, g.config)
		}
	case callProcess:
		r.out.Rows++
		r.row = g.row.fill(r.row)
		got.pick, err = p.Process(c.seq, g.history, r.row)
		got.action = p.LastAction(c.seq)
	case callAccept:
		err = p.Accept(c.seq, g.tokens)
	case callRollback:
		err = p.Rollback(c.seq, int(min(g.n, math.MaxInt32)))
	case callFork:
		err = p.ForkSeq(c.seq, g.dst)
	case callClose:
		p.CloseSeq(c.seq)
	case callFilter:
		var n int
		got.out, n, got.stop, err = p.Filter(c.seq, g.text, g.flags)
		got.n = uint64(n)
	case callEncode:
		got.tokens, err = p.Encode(nil, string(g.text), g.flags != 0)
	case callDecode:
		got.out, err = p.Decode(nil, g.tokens, g.flags != 0)
	}
	if err != nil {
		got.err = err.Error()
	}
	return got
}

// compare finds the first difference between what came and what was recorded.
func (r *replayer) compare(c *call, got results) *Difference {
	want := &c.got
	differ := func(field string, got, want any) *Difference {
		return &Difference{Field: field, Got: fmt.Sprint(got), Want: fmt.Sprint(want)}
	}
	switch {
	case got.err != want.err:
		return differ("error", quoted(got.err), quoted(want.err))
	case got.pick != want.pick:
		return differ("pick", got.pick, want.pick)
	case got.action != want.action:
		return differ("action", got.action, want.action)
	case !bytes.Equal(got.out, want.out):
		return differ("out", quoted(string(got.out)), quoted(string(want.out)))
	case got.n != want.n:
		return differ("n", got.n, want.n)
	case got.stop != want.stop:
		return differ("stop", got.stop, want.stop)
	case !slices.Equal(got.tokens, want.tokens):
		return differ("tokens", got.tokens[:min(len(got.tokens), 20)], want.tokens[:min(len(want.tokens), 20)])
	}
	if c.kind != callProcess {
		return nil
	}
	r.want = c.given.row.fill(r.want)
	want.row.apply(r.want)
	for id, v := range r.row {
		if math.Float32bits(v) != math.Float32bits(r.want[id]) && !r.vanished(v, r.want[id]) {
			return differ(fmt.Sprintf("logit of token %d", id), v, r.want[id])
		}
	}
	return nil
}

// vanished says whether a sampler that sees no logits added so little to one that it
// made no difference then, while here it was added to a zero.
func (r *replayer) vanished(got, want float32) bool {
	return r.p.manifest.Mode == abi.ModeMask && want == 0 && math.Abs(float64(got)) < 1e-5
}

// quoted is a text fit for a line.
func quoted(s string) string {
	if s == "" {
		return "none"
	}
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return fmt.Sprintf("%q", s)
}
