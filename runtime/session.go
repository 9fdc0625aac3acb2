package sandwarp

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/sandwarp/sandwarp/runtime/internal/chat"
	"github.com/sandwarp/sandwarp/runtime/internal/sched"
)

// Session is one conversation: a growing sequence of tokens whose keys and
// values stay in the KV cache between answers, so that each turn runs only what
// is new. If the cache is short, an idle session's part of it is reused and run
// again when needed. A Session answers one request at a time; a second one
// meanwhile gets ErrBusy.
type Session struct {
	m *Model

	mu     sync.Mutex // guards the rest
	busy   bool
	closed bool
	cache  *sched.Cache
	ids    []int32        // prompt and answers so far
	past   int            // of them, how many came before the first of turns
	turns  []chat.Message // of Chat; contents as the model saw and wrote them
	seen   string         // what Chat rendered and the model wrote: the text of ids[past:]
	stats  Stats
	text   []Change // of the latest answer
}

// NewSession begins an empty conversation.
func (m *Model) NewSession() *Session {
	return &Session{m: m, cache: &sched.Cache{}}
}

// Generate is NewSession().Generate for a single answer.
func (m *Model) Generate(ctx context.Context, prompt string, o GenerateOptions) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		s := m.NewSession()
		defer s.Close()
		s.Generate(ctx, prompt, o)(yield)
	}
}

// Generate appends prompt, as it is, to the conversation and yields the model's
// continuation token by token. Work begins when the sequence is ranged over and
// ends when the loop does; prompt and every token yielded stay in the conversation.
// An error is the last thing yielded: ctx's, a filter's, a processor's, or one of
// this package's. If it comes before the first token, the conversation is as it was.
func (s *Session) Generate(ctx context.Context, prompt string, o GenerateOptions) iter.Seq2[Token, error] {
	return s.answer(ctx, o, func() (request, error) {
		prompt, changes, err := filterPrompt(&o, sched.NewID(), prompt)
		if err != nil {
			return request{}, err
		}
		ids, err := s.m.text.tok.Encode(s.begin(), prompt, false)
		if err != nil {
			return request{}, fmt.Errorf("tokenizer: %w", err)
		}
		return request{ids: ids, changes: changes}, nil
	})
}

// GenerateTokens is Generate for ids instead of text. No beginning-of-sequence
// token is added, and filters see the answer alone.
func (s *Session) GenerateTokens(ctx context.Context, ids []int32, o GenerateOptions) iter.Seq2[Token, error] {
	return s.answer(ctx, o, func() (request, error) {
		all := append(append([]int32(nil), s.ids...), ids...)
		return request{ids: all}, nil
	})
}

// Chat appends a user message, as the model's chat template renders it, and
// yields the answer. The texts of control tokens inside message are plain text.
func (s *Session) Chat(ctx context.Context, message string, o GenerateOptions) iter.Seq2[Token, error] {
	return s.answer(ctx, o, func() (request, error) {
		if s.m.chat == nil {
			return request{}, s.m.chatErr
		}
		message, changes, err := filterPrompt(&o, sched.NewID(), message)
		if err != nil {
			return request{}, err
		}
		turns := append(s.turns[:len(s.turns):len(s.turns)], chat.Message{Role: "user", Content: message})
		r, err := s.render(turns, &o)
		r.changes = changes
		return r, err
	})
}

// System sets the system message, for Chat, of a conversation that has not begun.
func (s *Session) System(message string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.busy:
		return ErrBusy
	case len(s.ids) > 0:
		return errors.New("the system message must come before anything else; Reset begins a new conversation")
	}
	s.turns = []chat.Message{{Role: "system", Content: message}}
	return nil
}

// request is what an answer starts from.
type request struct {
	ids     []int32
	changes []Change       // of the prompt, by filters
	past    int            // of Chat, as in Session
	turns   []chat.Message // of Chat, nil for Generate
	seen    string         // of Chat: the text of ids[past:]
}

// begin returns a copy of the conversation's ids, or the beginning-of-sequence
// token if it is empty and the model wants one.
func (s *Session) begin() []int32 {
	ids := append([]int32(nil), s.ids...)
	if len(ids) == 0 && s.m.text.addBOS {
		ids = append(ids, s.m.text.bos)
	}
	return ids
}

// render makes the ids of a conversation. Text that was there before keeps its
// ids, whatever the template makes of the rest. With ContextSlide, a conversation
// that leaves the answer too little room loses its oldest part, down to half of the
// context, so that this is not due at every turn.
func (s *Session) render(turns []chat.Message, o *GenerateOptions) (request, error) {
	guarded, undo := s.m.text.guard(turns)
	seen, past := s.seen, s.ids[:s.past:s.past]
	room := s.m.context / 4
	if o.MaxTokens > 0 {
		room = min(room, o.MaxTokens)
	}
	most := s.m.context - max(room, 1)
	for {
		text, err := s.m.chat.Render(guarded, true)
		if err != nil {
			return request{}, err
		}
		r := request{past: len(past), turns: turns, seen: text}
		if seen != "" && strings.HasPrefix(text, seen) {
			r.ids, err = s.m.text.encode(slices.Clone(s.ids), text[len(seen):], undo)
		} else {
			r.ids, err = s.m.text.encodeFirst(past, text, undo)
		}
		if err != nil || len(r.ids) <= most || o.WhenFull != ContextSlide {
			return r, err
		}
		most = s.m.context / 2
		first := 0
		if guarded[0].Role == "system" {
			first = 1
		}
		switch {
		case len(past) > 0:
			seen, past = "", nil
		case len(guarded) >= first+3: // an oldest question and answer, and the latest question
			guarded = append(guarded[:first:first], guarded[first+2:]...)
			turns = append(turns[:first:first], turns[first+2:]...)
		default:
			return r, nil
		}
	}
}

// shorten slides ids, which begins with the conversation's, until it fits into the
// context. What is new in it stays whole, and may be too long by itself.
func (s *Session) shorten(ids []int32) []int32 {
	for old := len(s.ids); len(ids) >= s.m.context && old > 1; {
		drop := min(len(ids)/2, old-1)
		ids, old = dropOldest(ids, drop), old-drop
	}
	return ids
}

// answer runs a request whose start is made by prepare while the session is
// marked busy.
func (s *Session) answer(ctx context.Context, o GenerateOptions, prepare func() (request, error)) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		if err := s.acquire(); err != nil {
			yield(Token{ID: -1}, err)
			return
		}
		defer s.release()
		r, err := s.check(ctx, &o, prepare)
		if err != nil {
			yield(Token{ID: -1}, err)
			return
		}
		g := &generation{s: s, ctx: ctx, o: &o, yield: yield, ids: r.ids, chat: r.turns != nil}
		g.ledger.book(r.changes, "")
		if err = s.run(g, r); err != nil && !g.broken {
			yield(Token{ID: -1}, err)
		}
	}
}

// check prepares a request and refuses what cannot be answered.
func (s *Session) check(ctx context.Context, o *GenerateOptions, prepare func() (request, error)) (request, error) {
	if err := ctx.Err(); err != nil {
		return request{}, err
	}
	if err := s.m.validate(o); err != nil {
		return request{}, err
	}
	r, err := prepare()
	if err != nil {
		return request{}, err
	}
	if r.turns == nil && o.WhenFull == ContextSlide {
		r.ids = s.shorten(r.ids)
	}
	switch {
	case len(r.ids) >= s.m.context:
		return request{}, fmt.Errorf("%w: it has %d tokens, the context %d; shorten it or open the model with a longer context", ErrContextFull, len(r.ids), s.m.context)
	case len(r.ids) == 0:
		return request{}, errors.New("nothing to continue: the prompt is empty and the model has no beginning-of-sequence token")
	}
	return r, nil
}

func (s *Session) run(g *generation, r request) error {
	defer s.commit(g, r) // also if the consumer's loop panics
	return g.run()
}

func (s *Session) acquire() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.busy:
		return ErrBusy
	}
	s.busy = true
	return nil
}

// release ends an answer; a Close meanwhile takes effect now.
func (s *Session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	if s.closed {
		s.m.sched.Release(s.cache)
	}
}

// commit makes what was generated part of the conversation, and the prompt with it.
func (s *Session) commit(g *generation, r request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats, s.text = g.stats, g.ledger.text
	s.stats.Changes = g.ledger.counts
	if g.stats.Generated == 0 && g.stats.Finish == FinishNone {
		return // it failed before it began
	}
	s.ids = g.ids
	if r.turns == nil {
		s.past, s.turns, s.seen = len(s.ids), nil, ""
		return
	}
	s.turns = append(r.turns, chat.Message{Role: "assistant", Content: g.raw.String()})
	if s.past, s.seen = 0, ""; !g.slid {
		s.past, s.seen = r.past, r.seen+g.raw.String()
	}
}

// Stats describe the latest answer.
func (s *Session) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Changes are what filters replaced or stopped in the latest answer and its prompt,
// the first 10,000; Stats counts them all.
func (s *Session) Changes() []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.text)
}

// Tokens is a copy of the conversation's ids.
func (s *Session) Tokens() []int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int32(nil), s.ids...)
}

// Fork begins a second conversation with the same past, whose part of the KV
// cache both share.
func (s *Session) Fork() (*Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.busy:
		return nil, ErrBusy
	}
	f := s.m.NewSession()
	if err := s.m.sched.Fork(f.cache, s.cache); err != nil {
		return nil, err
	}
	f.ids = append(f.ids, s.ids...)
	f.turns = append(f.turns, s.turns...)
	f.past, f.seen = s.past, s.seen
	return f, nil
}

// Reset forgets the conversation.
func (s *Session) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.busy:
		return ErrBusy
	}
	s.m.sched.Release(s.cache)
	s.ids, s.past, s.turns, s.seen, s.stats, s.text = nil, 0, nil, "", Stats{}, nil
	return nil
}

// Close gives back the session's part of the KV cache. An answer in progress
// goes on; end it by leaving its loop or by its context.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && !s.busy {
		s.m.sched.Release(s.cache)
	}
	s.closed = true
	return nil
}
