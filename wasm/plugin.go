package wasm

import (
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sandwarp/sandwarp/abi"
)

// Plugin is a loaded plugin. It is safe for concurrent use; the calls of one
// sequence must come one after another. It satisfies the runtime's
// LogitProcessor, LogitFramer, TopProcessor, BatchProcessor, Planner, Rollbacker,
// Forker, Tracer, Tokenizer and Filter; the methods of another kind
// than the manifest's return ErrKind.
type Plugin struct {
	opt      Options
	name     string
	hash     [32]byte
	signer   string // id of the trusted key, in hex
	manifest *abi.Manifest
	features uint64 // required by the guest

	module Module
	image  atomic.Pointer[image] // nil if the plugin's state cannot be captured
	config []byte                // message of sw_configure
	vocab  []byte                // as vocab_map hands it over
	linked []*imported
	copies atomic.Bool // sequences are forked by copying instances

	has      [fnCount]bool // exports
	snapshot bool          // memory and globals are all of the guest's state
	globals  []string      // the exports of those globals

	callFuel, byteFuel, configureFuel uint64
	slots                             int32 // of call stack
	holdMax                           int
	k                                 uint32 // candidates
	open                              bool   // OnFault, resolved

	stats   stats
	fault   atomic.Pointer[Fault] // the last
	breaker breaker
	lines   lineBudget
	store   store

	framing  sync.Mutex     // guards unframed, and that the frame is added to the image once
	unframed bool           // that has failed
	work     sync.WaitGroup // goroutines that make spares

	mu        sync.RWMutex // guards what follows, and instance.seqs and slots
	instances []*instance
	forks     int         // copies among them
	spares    []*instance // made in advance, in the state of image
	making    bool        // spares are on their way
	images    []*image    // all there were, to be closed
	seqs      map[uint64]*sequence
	closed    bool

	last atomic.Pointer[sequence] // the one called last, to find it faster
	shut atomic.Bool              // as closed
}

// Name is Options.Name, or the manifest's name.
func (p *Plugin) Name() string { return p.name }

// String is the plugin's name, version and kind.
func (p *Plugin) String() string {
	m := p.manifest
	if m == nil {
		return p.name
	}
	return strings.Join(slices.DeleteFunc([]string{p.name, m.Version, string(m.Kind)}, func(s string) bool { return s == "" }), " ")
}

// LastFault is the latest of the faults that Stats count, nil if there was none. It
// must not be changed.
func (p *Plugin) LastFault() *Fault { return p.fault.Load() }

// Manifest is what the plugin says about itself. It must not be changed.
func (p *Plugin) Manifest() *abi.Manifest { return p.manifest }

// Features are the names of the features that the plugin is given: those it asked for
// by sw_abi_v1 or by its manifest.
func (p *Plugin) Features() (names []string) {
	for bit, name := range abi.FeatureNames {
		if p.features>>bit&1 != 0 {
			names = append(names, name)
		}
	}
	return names
}

// Hash is the SHA-256 of the module as loaded, in hex.
func (p *Plugin) Hash() string { return hex.EncodeToString(p.hash[:]) }

// Stats returns the counters.
func (p *Plugin) Stats() Stats {
	s := &p.stats
	p.mu.RLock()
	defer p.mu.RUnlock()
	return Stats{
		Calls: s.calls.Load(), Fuel: s.fuel.Load(), Faults: s.faults.Load(), Skipped: s.skipped.Load(),
		Rows: s.rowCount(p.manifest.Kind), Planned: s.planned.Load(), Repeats: s.repeats.Load(),
		Resets: s.resets.Load(), Dropped: s.dropped.Load(),
		BytesIn: s.in.Load(), BytesOut: s.out.Load(),
		P50: s.quantile(0.5), P99: s.quantile(0.99),
		Instances: len(p.instances), Sequences: len(p.seqs),
	}
}

// Close frees the plugin once calls in progress have returned. Rows handed out
// by Frame stay valid until their sequences are closed. Closing twice is fine.
func (p *Plugin) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	p.shut.Store(true)
	p.last.Store(nil)
	instances := slices.Concat(p.instances, p.spares)
	p.spares = nil
	p.mu.Unlock()
	p.work.Wait()
	var first error
	for _, in := range instances {
		in.mu.Lock()
		if err := in.stop(); first == nil {
			first = err
		}
		in.mu.Unlock()
	}
	for _, im := range p.images {
		im.close()
	}
	if p.module != nil {
		if err := p.module.Close(); first == nil {
			first = err
		}
	}
	return first
}

// ready says whether the plugin may be called: the breaker's fault if not.
func (p *Plugin) ready(call string) *Fault {
	if p.breaker.allow() {
		return nil
	}
	p.stats.skipped.Add(1)
	return &Fault{Plugin: p.name, Call: call, Reason: ReasonBreaker}
}

// ready is Plugin.ready for a call of the sequence.
func (s *sequence) ready(call string) *Fault {
	f := s.in.p.ready(call)
	s.kept = s.kept || f != nil
	return f
}

// settle books a call's outcome. A fault that tore the instance resets it. An
// error the plugin reports in good order is no reason to leave it alone: the input
// may deserve it. The caller holds in.mu.
func (p *Plugin) settle(in *instance, f *Fault) {
	pause := p.breaker.report(f != nil && f.torn())
	if f == nil {
		return
	}
	p.stats.faults.Add(1)
	if f.torn() {
		if err := in.recover(f); err != nil {
			f.Detail += "; reset: " + err.Error()
		}
	}
	p.fault.Store(f)
	p.logFault(f, pause)
}

// logFault tells the operator, who learns of it from nobody else where the policy is
// to go on without the plugin. Such lines count among the plugin's own.
func (p *Plugin) logFault(f *Fault, pause time.Duration) {
	if p.opt.Logger == nil || !p.lines.take() {
		return
	}
	then := "the request fails"
	if p.open {
		then = "goes on without it"
	}
	list := []any{"plugin", p.name, "call", f.Call, "reason", string(f.Reason), "detail", f.Detail, "request", then}
	if pause > 0 {
		list = append(list, "left_alone_for", pause)
	}
	p.opt.Logger.Warn("plugin fault", list...)
}

// usable makes sure the instance runs: a reset may have failed before.
func (in *instance) usable() *Fault {
	if in.raw != nil {
		return nil
	}
	if in.p.isClosed() {
		return in.fault("", ReasonError, "%v", ErrClosed)
	}
	if err := in.reset(); err != nil {
		return in.fault("", ReasonTrap, "%v", err)
	}
	return nil
}

func (p *Plugin) isClosed() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.closed
}
