package sandwarp_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	sandwarp "github.com/sandwarp/sandwarp/runtime"
)

// TestManyConversations lets goroutines hold conversations in a model with few
// places and a small cache: they stop early, cancel, time out, fork, start anew,
// and sit on an answer they do not read. Whatever was yielded must be what a model
// of its own says.
func TestManyConversations(t *testing.T) {
	turns := 60
	if testing.Short() {
		turns = 10
	}
	m := tiny(t, sandwarp.Options{MaxSequences: 3, Context: 192, CacheTokens: 1024, CacheType: sandwarp.CacheF32})
	oracle := tiny(t, sandwarp.Options{Context: 192, CacheType: sandwarp.CacheF32})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c := &talker{t: t, m: m, oracle: oracle, rng: rand.New(rand.NewPCG(uint64(i), 1)), s: m.NewSession(), spare: m.NewSession()}
			for range turns {
				c.turn()
			}
			c.s.Close()
			c.spare.Close()
		})
	}
	wg.Wait()
	if l := m.Load(); l.Running != 0 || l.Waiting != 0 || l.FreePages != l.Pages {
		t.Errorf("afterwards: %+v", l)
	}
}

type talker struct {
	t         *testing.T
	m, oracle *sandwarp.Model
	rng       *rand.Rand
	s         *sandwarp.Session
	spare     *sandwarp.Session // another conversation, often of the same past
}

func (c *talker) turn() {
	switch c.rng.IntN(9) {
	case 0:
		f, err := c.s.Fork()
		if err != nil {
			c.t.Error(err)
			return
		}
		c.spare.Close()
		c.spare = f
	case 1, 2:
		c.s, c.spare = c.spare, c.s
	case 3:
		if err := c.s.Reset(); err != nil {
			c.t.Error(err)
		}
	}
	past := c.s.Tokens()
	prompt := ids(1+c.rng.IntN(60), c.rng.IntN(100))
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	if c.rng.IntN(5) == 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(c.rng.IntN(3000))*time.Microsecond)
		defer cancel()
	}
	got, err := c.answer(ctx, cancel, prompt)
	switch {
	case errors.Is(err, sandwarp.ErrContextFull):
		err = c.s.Reset()
		past, prompt = nil, nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		err = nil
		if len(got) == 0 {
			prompt = nil
		}
	}
	now := c.s.Tokens()
	if err != nil || !slices.Equal(now, slices.Concat(past, prompt, got)) {
		c.t.Errorf("%v: %d ids before, %d in the prompt, %d yielded, %d now", err, len(past), len(prompt), len(got), len(now))
	}
	c.compare(append(past, prompt...), got)
}

// answer reads an answer, and leaves it in one way or another.
func (c *talker) answer(ctx context.Context, cancel func(), prompt []int32) (got []int32, last error) {
	leave, how := c.rng.IntN(30), c.rng.IntN(4)
	o := short(1 + c.rng.IntN(30))
	for tok, err := range c.s.GenerateTokens(ctx, prompt, o) {
		if last = err; err != nil {
			break
		}
		if tok.ID >= 0 {
			got = append(got, tok.ID)
		}
		if len(got) != leave {
			continue
		}
		switch how {
		case 0:
			return got, nil
		case 1:
			cancel()
		case 2:
			time.Sleep(3 * time.Millisecond)
		}
	}
	return got, last
}

// compare wants the most likely token at each place, or one as likely.
func (c *talker) compare(past, got []int32) {
	all := slices.Concat(past, got)
	if len(got) == 0 {
		return
	}
	err := c.oracle.Logits(c.t.Context(), all[:len(all)-1], func(pos int, logits []float32) error {
		if i := pos + 1 - len(past); i >= 0 && logits[got[i]] < slices.Max(logits)-1e-3 {
			c.t.Errorf("token %d after %d ids is %d, which is %v behind the best", i, len(past), got[i], slices.Max(logits)-logits[got[i]])
		}
		return nil
	})
	if err != nil {
		c.t.Error(err)
	}
}
