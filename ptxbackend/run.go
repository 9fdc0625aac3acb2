package ptxbackend

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// Run executes the plan over the batch; see backend.Executable.
func (e *executable) Run(ctx context.Context, b *backend.Batch, logits [][]float32) error {
	if len(logits) != len(b.LogitRows) {
		return fmt.Errorf("ptxbackend: room for %d rows of logits, %d are wanted", len(logits), len(b.LogitRows))
	}
	for i, l := range logits {
		if len(l) != e.plan.Vocab {
			return fmt.Errorf("ptxbackend: row %d of logits has room for %d, the vocabulary has %d", i, len(l), e.plan.Vocab)
		}
	}
	if err := e.enter(ctx, b); err != nil {
		return err
	}
	defer e.gpu.dev.Leave()
	err := e.step(ctx, b, 0)
	if err == nil {
		err = e.hidden.download(e.stream, b)
	}
	if err == nil {
		err = e.downloadLogits(0, logits)
	}
	return e.finish(ctx, b, err)
}

// RunTop executes the plan and picks candidates; see backend.Candidates.
func (e *executable) RunTop(ctx context.Context, b *backend.Batch, k int, out []backend.TopLogits) error {
	if len(out) != len(b.LogitRows) {
		return fmt.Errorf("ptxbackend: room for %d rows of candidates, %d are wanted", len(out), len(b.LogitRows))
	}
	if k < 1 || k > e.MaxCandidates() {
		return fmt.Errorf("ptxbackend: %d candidates wanted, 1 to %d can be had", k, e.MaxCandidates())
	}
	if err := e.enter(ctx, b); err != nil {
		return err
	}
	defer e.gpu.dev.Leave()
	err := e.step(ctx, b, topOf(e.plan.Vocab, k).K)
	if err == nil {
		err = e.hidden.download(e.stream, b)
	}
	if err == nil {
		err = e.downloadTop(k, out)
	}
	return e.finish(ctx, b, err)
}

// Full copies the logits of a row of the last run; see backend.Candidates.
func (e *executable) Full(i int, logits []float32) error {
	if err := e.usable("Full"); err != nil {
		return err
	}
	if i < 0 || i >= e.ran {
		return fmt.Errorf("ptxbackend: row %d of the last run's logits, which had %d", i, e.ran)
	}
	if len(logits) != e.plan.Vocab {
		return fmt.Errorf("ptxbackend: room for %d logits, the vocabulary has %d", len(logits), e.plan.Vocab)
	}
	if err := e.gpu.dev.Enter(); err != nil {
		return e.broken(err)
	}
	defer e.gpu.dev.Leave()
	e.one[0] = logits
	err := e.downloadLogits(i, e.one[:])
	e.one[0] = nil
	if err != nil {
		return e.broken(err)
	}
	return nil
}

// usable refuses what is closed or lost.
func (e *executable) usable(what string) error {
	if e.closed {
		return fmt.Errorf("ptxbackend: %s after Close", what)
	}
	return e.dead
}

// enter admits the batch and the goroutine to the device.
func (e *executable) enter(ctx context.Context, b *backend.Batch) error {
	if err := e.usable("Run"); err != nil {
		return err
	}
	if err := b.Validate(e.lim, e.plan.Vocab); err != nil {
		return err
	}
	if err := e.hidden.admit(b); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	e.ran = 0
	if err := e.gpu.dev.Enter(); err != nil {
		return e.broken(err)
	}
	return nil
}

// finish ends a run: with an error the stream may still be at work on memory the
// next run writes.
func (e *executable) finish(ctx context.Context, b *backend.Batch, err error) error {
	if err == nil {
		e.ran = len(b.LogitRows)
		return nil
	}
	if drained := e.stream.Sync(); drained != nil {
		err = errors.Join(err, drained)
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) && !errors.Is(err, driver.ErrLost) {
		return ctx.Err()
	}
	return e.broken(err)
}

// broken is what a driver's error means to the caller. After a lost device it is
// all the executable ever says.
func (e *executable) broken(err error) error {
	err = e.gpu.fail("run", err)
	if errors.Is(err, backend.ErrDeviceLost) {
		e.dead = err
	}
	return err
}

// step queues the work of a batch, all but the copies back.
func (e *executable) step(ctx context.Context, b *backend.Batch, top int) error {
	rows := capacity(len(b.Tokens))
	bytes, err := e.block.fill(b, rows, e.block.layout.MaxLogit)
	if err != nil {
		return err
	}
	if err := e.stream.CopyIn(e.blockAt, e.block.host[:bytes]); err != nil {
		return err
	}
	if err := e.hidden.upload(e.stream, b); err != nil {
		return err
	}
	if len(b.Tokens) <= smallRows && len(b.LogitRows) <= headRows {
		g, err := e.graph(len(b.Tokens), len(b.LogitRows), top)
		if err != nil {
			return err
		}
		return e.stream.Replay(g)
	}
	body, err := e.body(rows)
	if err != nil {
		return err
	}
	if err := body.issueAhead(ctx, e.stream, e.block, &e.marks); err != nil {
		return err
	}
	for first := 0; first < len(b.LogitRows); first += headRows {
		head, err := e.head(first, min(headRows, len(b.LogitRows)-first), top)
		if err != nil {
			return err
		}
		if err := head.issue(e.stream); err != nil {
			return err
		}
	}
	return nil
}

// graph returns the recorded program of a small batch, recording it at first use.
func (e *executable) graph(rows, logits, top int) (driver.Graph, error) {
	id := graphID{rows: bucket(rows)}
	if logits > 0 {
		id.logits, id.top = bucket(logits), top
	}
	if g := e.graphs[id]; g != nil {
		return g, nil
	}
	body, err := e.body(id.rows)
	if err != nil {
		return nil, err
	}
	head := &program{}
	if logits > 0 {
		if head, err = e.head(0, id.logits, top); err != nil {
			return nil, err
		}
	}
	g, err := e.record(body, head)
	if err != nil {
		return nil, err
	}
	e.graphs[id] = g
	return g, nil
}

type graphID struct {
	rows, logits int // buckets; no logits are 0
	top          int // candidates; 0 for none
}

// record makes a graph of programs.
func (e *executable) record(programs ...*program) (driver.Graph, error) {
	// What is queued, the batch block, is done before: it is no part of the graph.
	if err := e.stream.BeginCapture(); err != nil {
		return nil, err
	}
	var err error
	for _, p := range programs {
		if err == nil {
			err = p.issue(e.stream)
		}
	}
	g, end := e.stream.EndCapture()
	if err == nil {
		return g, end
	}
	if end == nil {
		_ = g.Close()
	}
	return nil, err
}

// downloadLogits copies logits from row first on to the caller and waits for them,
// and so for the whole step.
func (e *executable) downloadLogits(first int, logits [][]float32) error {
	row := e.plan.Vocab * 4
	for {
		n := min(len(logits), len(e.logitsHost)/row)
		if n > 0 {
			if err := e.stream.CopyOut(e.logitsHost[:n*row], e.logitsAt+driver.Ptr(first*row)); err != nil {
				return err
			}
		}
		if err := e.stream.Sync(); err != nil {
			return err
		}
		for i := range n {
			copy(logits[i], float32s(e.logitsHost[i*row:(i+1)*row]))
		}
		if logits, first = logits[n:], first+n; len(logits) == 0 {
			return nil
		}
	}
}

// float32s views page-locked memory, which is aligned and, on the hosts of GPUs,
// little-endian.
func float32s(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// CopyPage copies KV page src to dst in every layer.
func (e *executable) CopyPage(dst, src int32) error {
	if err := e.usable("CopyPage"); err != nil {
		return err
	}
	if dst < 0 || int(dst) >= e.lim.Pages || src < 0 || int(src) >= e.lim.Pages {
		return fmt.Errorf("ptxbackend: copy page %d to %d: there are %d", src, dst, e.lim.Pages)
	}
	if err := e.gpu.dev.Enter(); err != nil {
		return e.broken(err)
	}
	defer e.gpu.dev.Leave()
	for _, c := range e.cache {
		for _, part := range [...]struct {
			base  driver.Ptr
			bytes int64
		}{{c.keys, c.keyBytes}, {c.values, c.valueBytes}} {
			to, from := part.base+driver.Ptr(int64(dst)*part.bytes), part.base+driver.Ptr(int64(src)*part.bytes)
			if err := e.stream.Copy(to, from, part.bytes); err != nil {
				return e.broken(errors.Join(err, e.stream.Sync()))
			}
		}
	}
	return nil
}
