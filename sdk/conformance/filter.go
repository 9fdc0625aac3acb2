package conformance

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/sandwarp/sandwarp/abi"
)

// stream is a sequence of a filter, and what has become of its text.
type stream struct {
	s       *subject
	seq     uint64
	pending []byte
	out     []byte
	stopped bool
}

func (s *subject) stream(seed uint64) (*stream, error) {
	seq, err := s.open(seed)
	return &stream{s: s, seq: seq}, err
}

// feed shows the filter more text, until it consumes nothing.
func (st *stream) feed(text string, flags uint32) error {
	st.pending = append(st.pending, text...)
	for !st.stopped {
		var out []byte
		var n int
		var err error
		st.s.measure(len(st.pending), 1, func() { out, n, st.stopped, err = st.s.p.Filter(st.seq, st.pending, flags) })
		if err != nil {
			return err
		}
		st.out, st.pending = append(st.out, out...), st.pending[n:]
		if n == 0 || len(st.pending) == 0 {
			break
		}
	}
	return nil
}

// cutAt moves a cut to the end of the character it would fall into.
func cutAt(text string, n int) int {
	for n = min(n, len(text)); n < len(text) && splits(text, n); n++ {
	}
	return n
}

// filtered runs a text through a fresh sequence; cut says how long each piece is.
func (s *subject) filtered(text string, flags uint32, cut func() int, between func() error) (string, error) {
	st, err := s.stream(1)
	if err != nil {
		return "", err
	}
	defer s.p.CloseSeq(st.seq)
	for {
		n := len(text)
		if cut != nil {
			n = cutAt(text, cut())
		}
		f := flags
		if n == len(text) {
			f |= abi.FlagEnd
		}
		if between != nil {
			if err := between(); err != nil {
				return "", err
			}
		}
		if err := st.feed(text[:n], f); err != nil {
			return string(st.out), err
		}
		if text = text[n:]; f&abi.FlagEnd != 0 || st.stopped {
			return string(st.out), nil
		}
	}
}

func (c *checker) filterOdd() (string, error) {
	var first error
	failed := 0
	c.whole = make([]string, len(c.texts))
	for i, t := range c.texts {
		out, err := c.filtered(t, 0, nil, nil)
		c.whole[i] = out
		if err == nil {
			continue
		}
		if failed++; first == nil {
			first = fmt.Errorf("%s: %w", quote(t), err)
		}
	}
	if failed > 1 {
		first = fmt.Errorf("%w (and %d more of %d texts)", first, failed-1, len(c.texts))
	}
	return fmt.Sprintf("%d texts", len(c.texts)), first
}

// same runs all texts and wants the outputs of before.
func (c *checker) same(what string, run func(text string) (string, error)) error {
	for i, t := range c.texts {
		got, err := run(t)
		if err == nil && got != c.whole[i] {
			err = fmt.Errorf("%s becomes %s, before it was %s", quote(t), quote(got), quote(c.whole[i]))
		}
		if err != nil {
			return fmt.Errorf("%s%w", what, err)
		}
	}
	return nil
}

func (c *checker) filterTwice() (string, error) {
	return "", c.same("", func(t string) (string, error) { return c.filtered(t, 0, nil, nil) })
}

func (c *checker) filterEngines() (string, error) {
	return c.engines(func(c *checker) (string, error) {
		var all strings.Builder
		for _, t := range short(c.texts) {
			out, err := c.filtered(t, 0, func() int { return 50 }, nil)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&all, "%q\n", out)
		}
		return all.String(), nil
	})
}

func (c *checker) filterChunks() (string, error) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, size := range []int{1, 3, 16, 200} {
		what := fmt.Sprintf("in pieces of up to %d bytes ", size)
		if err := c.same(what, func(t string) (string, error) {
			return c.filtered(t, 0, func() int { return 1 + r.IntN(size) }, nil)
		}); err != nil {
			return "", err
		}
	}
	return "of up to 1, 3, 16 and 200 bytes, and with the end said apart", c.same("whole, and then its end, ", c.endApart)
}

// endApart shows the text in one piece and says afterwards that nothing follows.
func (c *checker) endApart(text string) (string, error) {
	st, err := c.stream(1)
	if err != nil {
		return "", err
	}
	defer c.p.CloseSeq(st.seq)
	if err = st.feed(text, 0); err == nil && !st.stopped {
		err = st.feed("", abi.FlagEnd)
	}
	return string(st.out), err
}

// filterApart lets another sequence come, speak and go between the pieces.
func (c *checker) filterApart() (string, error) {
	r := rand.New(rand.NewPCG(13, 14))
	return "", c.same("", func(t string) (string, error) {
		other, err := c.stream(7)
		if err != nil {
			return "", err
		}
		defer func() { c.p.CloseSeq(other.seq) }()
		n := 0
		return c.filtered(t, 0, func() int { return 1 + r.IntN(100) }, func() error {
			if n++; n%4 == 0 { // it ends, and a new one begins
				c.p.CloseSeq(other.seq)
				other, err = c.stream(uint64(n))
				return err
			}
			return other.feed(c.texts[n%len(c.texts)][:cutAt(c.texts[n%len(c.texts)], 40)], 0)
		})
	})
}

func (c *checker) filterFaults() (string, error) {
	r := rand.New(rand.NewPCG(15, 16))
	n := 0
	return "", c.same("", func(t string) (string, error) {
		return c.filtered(t, 0, func() int { return 1 + r.IntN(100) }, func() error {
			if n++; n%5 == 0 {
				return c.p.Reset()
			}
			return nil
		})
	})
}

// filterFork forks in the middle of a text: the fork gets the rest, the original
// something else.
func (c *checker) filterFork() (string, error) {
	err := c.same("", func(t string) (string, error) {
		st, err := c.stream(1)
		if err != nil {
			return "", err
		}
		defer c.p.CloseSeq(st.seq)
		half := cutAt(t, len(t)/2)
		if err := st.feed(t[:half], 0); err != nil || st.stopped {
			return string(st.out), err
		}
		c.seq++
		fork := &stream{s: &c.subject, seq: c.seq, pending: append([]byte(nil), st.pending...), out: append([]byte(nil), st.out...)}
		if err := c.p.ForkSeq(st.seq, fork.seq); err != nil {
			return "", err
		}
		defer c.p.CloseSeq(fork.seq)
		if err := st.feed("and 12345 a@b", 0); err != nil {
			return "", err
		}
		err = fork.feed(t[half:], abi.FlagEnd)
		return string(fork.out), err
	})
	return "", err
}

func (c *checker) filterPrompts() (string, error) {
	for _, t := range c.texts {
		if _, err := c.filtered(t, abi.FlagPrompt, nil, nil); err != nil {
			return "", err
		}
	}
	return "", nil
}

func quote(s string) string {
	if len(s) > 120 {
		return fmt.Sprintf("%q... (%d bytes)", s[:120], len(s))
	}
	return fmt.Sprintf("%q", s)
}
