package backend

import (
	"context"
	"errors"
)

// Chain is the executable of a plan that was split: first runs its first part and
// second the rest, on whatever backends they were compiled. It is a Candidates if
// second is. Closing it closes both.
func Chain(first, second Executable, maxRows, width int) Executable {
	c := &chain{first: first, second: second, hidden: make([]float32, maxRows*width), width: width}
	if best, ok := second.(Candidates); ok {
		return &bestChain{chain: c, best: best}
	}
	return c
}

type chain struct {
	first, second Executable
	hidden        []float32 // (maxRows, width)
	width         int
	part          Batch // what the parts are given
}

func (c *chain) Run(ctx context.Context, b *Batch, logits [][]float32) error {
	if err := c.begin(ctx, b); err != nil {
		return err
	}
	return c.second.Run(ctx, &c.part, logits)
}

// begin runs the first part and makes the batch of the second.
func (c *chain) begin(ctx context.Context, b *Batch) error {
	c.part = *b
	c.part.Hidden = c.hidden[:min(len(b.Tokens)*c.width, len(c.hidden))]
	c.part.LogitRows = nil
	if err := c.first.Run(ctx, &c.part, nil); err != nil {
		return err
	}
	c.part.LogitRows = b.LogitRows
	return nil
}

func (c *chain) CopyPage(dst, src int32) error {
	if err := c.first.CopyPage(dst, src); err != nil {
		return err
	}
	return c.second.CopyPage(dst, src)
}

func (c *chain) Close() error { return errors.Join(c.first.Close(), c.second.Close()) }

type bestChain struct {
	*chain
	best Candidates
}

func (c *bestChain) MaxCandidates() int { return c.best.MaxCandidates() }

func (c *bestChain) RunTop(ctx context.Context, b *Batch, k int, out []TopLogits) error {
	if err := c.begin(ctx, b); err != nil {
		return err
	}
	return c.best.RunTop(ctx, &c.part, k, out)
}

func (c *bestChain) Full(i int, logits []float32) error { return c.best.Full(i, logits) }
