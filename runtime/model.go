package sandwarp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"

	"github.com/sandwarp/sandwarp/cpubackend"
	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/gguf"
	"github.com/sandwarp/sandwarp/internal/model"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/internal/tokenizer"
	"github.com/sandwarp/sandwarp/runtime/internal/chat"
	"github.com/sandwarp/sandwarp/runtime/internal/sched"
)

// Sizes of a step.
const (
	maxRows  = 512 // rows of a batch, the largest chunk of a prompt
	minLogit = 32  // rows of logits a scoring request may ask for at once
)

// Model is an opened model. It is safe for concurrent use: sessions of many
// goroutines share its weights, its KV cache and its steps.
type Model struct {
	file    *gguf.File
	program program
	engine  *engine // owned by the scheduler's goroutine once that runs
	pages   int     // of the KV cache
	sched   *sched.Scheduler
	text    *text
	chat    *chat.Template
	chatErr error // why chat is nil
	context int
	log     *slog.Logger

	mu   sync.Mutex // guards info
	info Info

	closing sync.Once
	closed  error
}

// Info describes a model.
type Info struct {
	Name         string // general.name, or the file's
	Architecture string
	Format       string // the format most weight bytes are in
	Parameters   int64
	Bytes        int64 // of weights
	StepBytes    int64 // of weights, read to decode one token
	StepWeights  int64 // multiplied to decode one token
	// PromptWeights are multiplied for a token of a prompt: not those that make
	// logits, which only the last one needs.
	PromptWeights int64
	Layers        int
	Embedding     int    // width of the residual stream
	Vocabulary    int    // tokens
	Trained       int    // context length in tokens the model was trained for
	Context       int    // context length in tokens of this Model
	Backend       string // "cpu", "ptx", or "cpu+ptx" for a model split between them
	Threads       int    // CPU workers; 0 if none work
	// CacheBytes is what the KV cache takes once all of it has been used, 0 where the
	// backend does not say; WeightMemory is what weights take beyond the file's mapping,
	// in the device's memory or in an order of the backend's own.
	CacheBytes, WeightMemory int64
}

// Open maps the GGUF file at path and prepares it for generation. Errors about
// the file's content are or wrap a *FormatError, or name the field that is wrong.
func Open(ctx context.Context, path string, o Options) (*Model, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open model: %w", err)
	}
	return open(ctx, f, o)
}

// OpenBytes is Open for a GGUF file that is in memory, an embedded one say. It
// keeps data, which must not change until Close.
func OpenBytes(ctx context.Context, name string, data []byte, o Options) (*Model, error) {
	f, err := gguf.Parse(name, data)
	if err != nil {
		return nil, fmt.Errorf("open model: %w", err)
	}
	return open(ctx, f, o)
}

func open(ctx context.Context, f *gguf.File, o Options) (*Model, error) {
	m := &Model{file: f, log: o.Logger}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	var err error
	guard := gguf.Guard(f, func() { err = m.load(ctx, o) })
	if err = errors.Join(guard, err); err != nil {
		m.Close()
		return nil, fmt.Errorf("open model: %w", err)
	}
	return m, nil
}

// load goes the natural way of the data: configuration, plan, tokenizer, weights.
func (m *Model) load(ctx context.Context, o Options) error {
	if err := o.validate(); err != nil {
		return err
	}
	cfg, err := model.ReadConfig(m.file)
	if err != nil {
		return err
	}
	p, data, err := model.Build(cfg, m.file)
	if err != nil {
		return err
	}
	if m.text, err = newText(m.file, o.Tokenizer, p.Vocab); err != nil {
		return err
	}
	if err := m.readTemplate(o); err != nil {
		return err
	}
	if m.context, err = contextLength(o, p.Context); err != nil {
		return err
	}
	m.program = program{plan: p, data: data, options: o, context: m.context, pagesSet: o.CacheTokens > 0, drop: m.file.Drop}
	if m.engine, err = m.program.engine(ctx, m.log); err != nil {
		return err
	}
	lim := m.engine.limits
	m.pages = lim.Pages
	m.sched = sched.New(sched.Config{Exec: m.engine.exec, Limits: lim, Vocab: p.Vocab, MaxQueue: o.MaxQueue, Replace: m.replace})
	m.describe(p)
	m.logOpened()
	m.file.Forget()
	return nil
}

// logOpened tells an operator what the model runs on, and with what.
func (m *Model) logOpened() {
	i := &m.info
	a := []any{"name", i.Name, "architecture", i.Architecture, "format", i.Format, "parameters", i.Parameters,
		"backend", i.Backend, "context", i.Context, "kv_cache_bytes", i.CacheBytes, "weight_bytes", i.Bytes, "weight_bytes_beyond_file", i.WeightMemory}
	if i.Threads > 0 {
		a = append(a, "threads", i.Threads, "kernels", cpubackend.Features())
		if err := cpubackend.Ignored(); err != nil {
			m.log.Warn("SANDWARP_CPU is ignored", "because", err)
		}
	}
	m.log.Info("model opened", a...)
}

// readTemplate compiles the chat template. A broken one in the file costs only
// Chat; a broken one in the options is an error.
func (m *Model) readTemplate(o Options) error {
	source := o.ChatTemplate
	if source == "" {
		var err error
		if source, err = m.file.String("tokenizer.chat_template", ""); err != nil {
			return err
		}
	}
	m.chat, m.chatErr = chat.New(source, m.text.bosName, m.text.eosName)
	if m.chatErr != nil && o.ChatTemplate != "" {
		return m.chatErr
	}
	if m.chatErr != nil && source != "" {
		m.log.Warn("chat template unusable", "error", m.chatErr)
	}
	return nil
}

// contextLength is the longest sequence: what is wanted, if the model was trained
// for that and the cache has room for it.
func contextLength(o Options, trained int) (int, error) {
	room := math.MaxInt
	if o.CacheTokens > 0 {
		room = cachePages(o.CacheTokens) * backend.PageTokens
	}
	switch {
	case o.Context > trained:
		return 0, option("Options.Context", "is %d, the model was trained for %d tokens", o.Context, trained)
	case o.Context > room:
		return 0, option("Options.Context", "is %d, Options.CacheTokens only %d: no sequence can become that long", o.Context, o.CacheTokens)
	case o.Context == 0:
		return min(trained, defaultContext, room), nil
	}
	return o.Context, nil
}

func cachePages(tokens int) int { return (tokens + backend.PageTokens - 1) / backend.PageTokens }

func limits(o Options, context int) backend.Limits {
	seqs := o.MaxSequences
	if seqs == 0 {
		seqs = defaultMaxSequences
	}
	pages := cachePages(o.CacheTokens)
	if pages == 0 {
		pages = seqs * cachePages(context)
	}
	return backend.Limits{
		MaxRows: maxRows, MaxSeqs: seqs, MaxLogit: max(seqs, minLogit),
		Pages: pages, KV: o.CacheType.kv(), Threads: o.Threads,
	}
}

func (m *Model) describe(p *plan.Plan) {
	name, _ := m.file.String("general.name", "")
	if name == "" {
		name = m.file.Name
	}
	m.info = Info{
		Name: name, Architecture: p.Arch, Layers: len(p.KV), Vocabulary: p.Vocab,
		Trained: p.Context, Context: m.context,
	}
	bytes := map[tensor.DType]int{}
	for _, w := range p.Weights {
		m.info.Parameters += int64(w.Elems())
		m.info.Bytes += int64(w.Bytes())
		bytes[w.DType] += w.Bytes()
	}
	most := 0
	for _, t := range tensor.DTypes() {
		if bytes[t] > most {
			most, m.info.Format = bytes[t], t.String()
		}
	}
	m.info.StepBytes, m.info.StepWeights, m.info.PromptWeights = perToken(p)
	m.info.Embedding = p.ValueInfo(p.Steps[0].Out[0]).Width
	m.info.runsOn(m.engine)
}

// runsOn fills in what depends on the engine, which can change.
func (i *Info) runsOn(e *engine) {
	i.Backend, i.Threads, i.CacheBytes, i.WeightMemory = e.name(), e.threads(), e.cacheBytes(), e.weightMemory()
}

// perToken is what one row of a batch reads and multiplies: every matrix but the
// embedding, of which it reads a row.
func perToken(p *plan.Plan) (bytes, weights, prompt int64) {
	for i := range p.Steps {
		s := &p.Steps[i]
		for role, w := range s.W {
			if w == 0 || plan.Role(role) == plan.WEmbed {
				continue
			}
			if d := p.WeightDesc(w); len(d.Shape) == 2 {
				bytes += int64(d.Bytes())
				weights += int64(d.Elems())
				if s.Kind != plan.LMHead && s.Kind != plan.Logits {
					prompt += int64(d.Elems())
				}
			}
		}
	}
	return bytes, weights, prompt
}

// Backends are the names Options.Backend accepts in this program.
func Backends() []string { return backend.Names() }

// Info describes the model. Backend, Threads, CacheBytes and WeightMemory change when
// a device is lost.
func (m *Model) Info() Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.info
}

// Load says how busy a Model is: requests Running and Waiting, and FreePages of
// the Pages of its KV cache, each 64 tokens.
type Load = sched.Load

// Load is a snapshot of running and waiting requests and of the KV cache.
func (m *Model) Load() Load { return m.sched.Load() }

// Close ends every request with ErrClosed, stops the workers and unmaps the
// file. It waits until all that is done; later calls return the same error.
func (m *Model) Close() error {
	m.closing.Do(func() {
		if m.sched != nil {
			m.sched.Close()
		}
		if m.engine != nil {
			m.closed = m.engine.Close()
		}
		m.closed = errors.Join(m.closed, m.file.Close())
	})
	return m.closed
}

// Encode returns the ids of text, without a beginning-of-sequence token. With
// special, the text forms of control tokens become their ids.
func (m *Model) Encode(text string, special bool) ([]int32, error) {
	return m.text.tok.Encode(nil, text, special)
}

// Decode returns the text of ids; control tokens are left out unless special.
func (m *Model) Decode(ids []int32, special bool) (string, error) {
	for i, id := range ids {
		if err := m.text.check(id); err != nil {
			return "", fmt.Errorf("position %d: %w", i, err)
		}
	}
	b, err := m.text.tok.Decode(nil, ids, special)
	return string(b), err
}

// Vocabulary is the text of every token by id, control tokens in text form, as plugins
// get it by wasm.Options.Vocab; an id that a tokenizer of Options refuses has none. It
// is made anew by each call, in some 10 ms for 150,000 tokens.
func (m *Model) Vocabulary() []string {
	texts := make([]string, len(m.text.eog))
	var b []byte
	for id := range texts {
		var err error
		if b, err = m.text.tok.Decode(b[:0], []int32{int32(id)}, true); err == nil {
			texts[id] = string(b)
		}
	}
	return texts
}

// Logits runs tokens from position 0 and calls fn with the logits (vocabulary)
// of every position in order. The slice is valid during the call. fn runs on the
// goroutine that all sessions wait for: it must not call the Model. An error of fn
// ends the run and is returned.
func (m *Model) Logits(ctx context.Context, tokens []int32, fn func(pos int, logits []float32) error) error {
	switch {
	case len(tokens) > m.context:
		return fmt.Errorf("%w: %d tokens, the context has %d", ErrContextFull, len(tokens), m.context)
	case len(tokens) == 0:
		return errors.New("no tokens to run")
	case fn == nil:
		return errors.New("no function to call with the logits")
	}
	cache := &sched.Cache{}
	r := &sched.Request{Cache: cache, Prompt: tokens, Score: fn}
	if err := m.sched.Submit(ctx, r); err != nil {
		return err
	}
	for _, ok := r.Next(); ok; _, ok = r.Next() {
	}
	m.sched.Release(cache)
	_, _, err := r.Ended()
	return err
}

var _ Tokenizer = (*tokenizer.Tokenizer)(nil)
