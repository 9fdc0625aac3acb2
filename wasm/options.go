package wasm

import (
	"crypto/ed25519"
	"log/slog"
	"math"
	"runtime"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm/internal/binary"
)

// Options say what a plugin gets. The zero value is useful: default limits,
// harmless capabilities, the wazero engine, no cache on disk.
type Options struct {
	// Name is shown in errors and statistics; empty for the manifest's.
	Name string
	// Config is the plugin's configuration: nil, []byte with one msgpack value,
	// or any Go value that package msgpack (v5) can encode.
	Config any
	// Grant lists capabilities beyond the harmless ones (log, metric, clock and
	// rand): abi.CapKV. A Vocab grants abi.CapVocab.
	Grant []string
	// Deny takes capabilities away, harmless ones included.
	Deny []string
	// Vocab holds the texts of the model's tokens by id, for plugins that ask
	// for abi.CapVocab.
	Vocab []string
	// Seed is the seed of sequences that bring none.
	Seed uint64

	// SignedBy are the keys of those who may sign plugins: one that none of them
	// has signed is refused, before anything else is read of it. nil asks for no
	// signature; empty but not nil refuses all.
	SignedBy []ed25519.PublicKey
	// Signature is a detached signature; nil if the module brings its own. LoadFile
	// looks for one in FILE.sig.
	Signature *Signature

	Limits Limits
	// Instances is the most copies of the plugin that run side by side, or hold
	// sequences. 0 means GOMAXPROCS, but at least 8. They are made on demand.
	Instances int
	// Forks is the most copies made on top, each for one forked sequence of a
	// plugin that cannot fork sequences itself. 0 means 64. Beyond, or if it is
	// negative, such a sequence is opened and told its past.
	Forks int

	// OnFault is what a request gets when the plugin fails.
	OnFault Policy
	Breaker Breaker

	// CacheDir keeps compiled code between runs, DefaultCacheDir for the user's
	// usual place, empty for none. What is found there is verified before use
	// and compiled again if it is not what was written. A folder of another user's, or
	// that all can write to, is not used.
	CacheDir string
	// Engine runs the plugin; nil for Wazero.
	Engine Engine

	// Log receives the plugin's log lines, at most 4 KiB each and 100 a second;
	// nil drops them. Metric receives its measurements. Both may be called from
	// several goroutines, and must not block.
	Log    func(level int, message string)
	Metric func(name string, value float64)
	// Logger receives the lines as well, as records that name the plugin: errors
	// from level 3 on, 2 warnings, 1 information, the rest for debugging; and each
	// fault as a warning. Nil for none.
	Logger *slog.Logger

	ask bool // for the manifest, though there is a section
}

// Limits bound a plugin whatever its manifest asks for. Zero fields mean the
// defaults.
type Limits struct {
	Memory        int64  // bytes of memory of one instance; 256 MiB (32 on 32-bit machines), at most 2 GiB
	Fuel          uint64 // instructions of one call; 150 million, 10 to 50 ms; texts get more by their length
	ConfigureFuel uint64 // instructions of initialisation; 20 billion
	Stack         int    // bytes of call stack, estimated; 8 MiB
	Module        int    // bytes of the module; 16 MiB
	Input         int    // bytes of one text, or ids times four; 16 MiB
}

// Fuel a plugin gets for a call if its manifest does not say.
const defaultFuel = 50_000_000

func (l Limits) withDefaults() Limits {
	set := func(p *uint64, v uint64) {
		if *p == 0 {
			*p = v
		}
	}
	if l.Memory <= 0 {
		l.Memory = 256 << 20
		if math.MaxInt == math.MaxInt32 { // address space is short
			l.Memory = 32 << 20
		}
	}
	l.Memory = min(l.Memory, abi.MaxPages<<16)
	set(&l.Fuel, 150_000_000)
	set(&l.ConfigureFuel, 20_000_000_000)
	l.Fuel, l.ConfigureFuel = min(l.Fuel, abi.MaxFuel), min(l.ConfigureFuel, abi.MaxFuel)
	if l.Stack <= 0 {
		l.Stack = 8 << 20
	}
	l.Stack = min(l.Stack, 256<<20)
	if l.Module <= 0 {
		l.Module = 16 << 20
	}
	if l.Input <= 0 {
		l.Input = 16 << 20
	}
	l.Input = min(l.Input, math.MaxInt32)
	return l
}

func (l Limits) pages() uint32 { return uint32(l.Memory >> 16) }

// scan are the limits for the module's declarations.
func (l Limits) scan() binary.Limits {
	s := binary.DefaultLimits()
	s.ModuleBytes, s.MemoryPages = l.Module, l.pages()
	return s
}

func (o *Options) withDefaults() Options {
	v := *o
	v.Limits = v.Limits.withDefaults()
	if v.Instances <= 0 {
		v.Instances = max(8, runtime.GOMAXPROCS(0))
	}
	if v.Forks == 0 {
		v.Forks = 64
	}
	if v.Engine == nil {
		v.Engine = Wazero()
	}
	v.Breaker = v.Breaker.withDefaults()
	return v
}

// Policy is what a request gets when its plugin fails.
type Policy int

const (
	// DefaultPolicy is FailOpen for samplers, FailClosed for the others.
	DefaultPolicy Policy = iota
	// FailClosed returns a *Fault: the request fails, a filter releases nothing.
	FailClosed
	// FailOpen goes on without the plugin: a sampler leaves the logits as they
	// were, so that the native chain decides; a filter passes the text. A
	// tokenizer has nothing to fall back to and fails closed.
	FailOpen
)

// String is closed, open or default.
func (p Policy) String() string {
	switch p {
	case FailClosed:
		return "closed"
	case FailOpen:
		return "open"
	}
	return "default"
}

func (p Policy) open(k abi.Kind) bool {
	switch {
	case k == abi.KindTokenizer:
		return false
	case p == DefaultPolicy:
		return k == abi.KindSampler
	}
	return p == FailOpen
}

// Breaker leaves a plugin alone after repeated faults; meanwhile OnFault
// decides. A call after the pause tries it again.
type Breaker struct {
	Faults  int           // in a row; 3
	Backoff time.Duration // first pause; 1 s, doubled each time
	Max     time.Duration // longest pause; 60 s
}

func (b Breaker) withDefaults() Breaker {
	if b.Faults <= 0 {
		b.Faults = 3
	}
	if b.Backoff <= 0 {
		b.Backoff = time.Second
	}
	if b.Max <= 0 {
		b.Max = time.Minute
	}
	return b
}
