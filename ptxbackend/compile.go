package ptxbackend

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
)

// executable is a plan with its stream and memory.
type executable struct {
	gpu     *gpu
	info    driver.Info
	plan    *plan.Plan // the body before the head
	weights *weights
	lim     backend.Limits
	sizes   sizes
	closed  bool
	dead    error // what every call says after the device was lost
	ran     int   // rows of logits of the last run

	stream driver.Stream
	marks  [2]driver.Event // of progress in a large batch
	memory memory

	hidden     hidden
	block      *block
	blockAt    driver.Ptr
	values     []value        // by value number - 1
	users      [][]*plan.Step // who makes and reads a value, by value number - 1
	cache      []pages        // by KV layer
	ropes      map[*plan.RopeParams]driver.Ptr
	packedAt   driver.Ptr
	productAt  driver.Ptr
	queryAt    driver.Ptr
	splitAt    driver.Ptr
	countersAt driver.Ptr

	sumsAt, sumCountersAt driver.Ptr // of products

	logitsAt   driver.Ptr // (sizes.logits filled up, vocab) float32
	logitsHost []byte     // some rows of it, page-locked
	topWorkAt  driver.Ptr
	topAt      driver.Ptr
	topHost    []byte
	one        [1][]float32

	bodySteps, headSteps []*plan.Step
	bodies               map[int]*program
	heads                map[headID]*program
	graphs               map[graphID]driver.Graph
}

// pages is the cache of a layer; a page's keys and values are apart.
type pages struct {
	keys, values         driver.Ptr
	keyBytes, valueBytes int64 // of a page
}

func compile(g *gpu, p *plan.Plan, w *weights, lim backend.Limits) (*executable, error) {
	if !reflect.DeepEqual(p.Weights, w.plan.Weights) {
		return nil, errors.New("ptxbackend: the weights were loaded for another plan")
	}
	if err := checkLimits(p, lim); err != nil {
		return nil, err
	}
	if err := w.suits(p); err != nil {
		return nil, err
	}
	e := &executable{gpu: g, info: g.info, plan: inOrder(p), weights: w, lim: lim, memory: memory{gpu: g},
		ropes: map[*plan.RopeParams]driver.Ptr{}, bodies: map[int]*program{}, heads: map[headID]*program{}, graphs: map[graphID]driver.Graph{}}
	e.bodySteps, e.headSteps = split(e.plan)
	e.sizes = measure(e.plan, lim, e.info)
	if err := g.within(e.open); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// open takes the stream and the memory, and makes what must not wait for the first
// run. The device is entered.
func (e *executable) open() (err error) {
	if e.stream, err = e.gpu.dev.NewStream(); err != nil {
		return e.gpu.fail("make a stream", err)
	}
	for i := range e.marks {
		if e.marks[i], err = e.gpu.dev.NewEvent(); err != nil {
			return e.gpu.fail("make an event", err)
		}
	}
	for _, take := range []func() error{e.takeValues, e.takeScratch, e.takeCache, e.takeBlock, e.takeOutput, e.takeRopes, e.takeHidden} {
		if err := take(); err != nil {
			return err
		}
	}
	if err := e.stream.Sync(); err != nil {
		return e.gpu.fail("prepare the memory", err)
	}
	if e.gpu.eager {
		return e.prepare()
	}
	return nil
}

// takeValues places the values: in an arena, or in memory of their own.
func (e *executable) takeValues() error {
	e.users = users(e.plan)
	offsets, _ := plan.Arena(e.plan)
	arena, err := e.memory.alloc("activations", e.sizes.arena)
	if err != nil {
		return err
	}
	for i, f := range forms(e.plan) {
		v := value{width: e.plan.Values[i].Width, form: f}
		if n := ownBytes(e.plan.Values[i], f, e.sizes); offsets[i] >= 0 && n > 0 {
			if v.at, err = e.memory.alloc("activations", n); err != nil {
				return err
			}
		} else if offsets[i] >= 0 {
			v.at = arena + driver.Ptr(int64(e.sizes.rows)*int64(offsets[i])*4)
		}
		e.values = append(e.values, v)
	}
	return nil
}

// takeScratch takes what lives no longer than a step.
func (e *executable) takeScratch() (err error) {
	z := &e.sizes
	for _, t := range []struct {
		at    *driver.Ptr
		bytes int64
	}{{&e.packedAt, z.packed}, {&e.productAt, z.product}, {&e.queryAt, z.query}, {&e.splitAt, z.split}, {&e.countersAt, z.counters},
		{&e.sumsAt, z.sums}, {&e.sumCountersAt, z.sumCounters}} {
		if *t.at, err = e.memory.alloc("workspace", t.bytes); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		at    driver.Ptr
		bytes int64
	}{{e.countersAt, z.counters}, {e.sumCountersAt, z.sumCounters}} {
		if c.bytes == 0 {
			continue
		}
		if err := e.stream.Fill(c.at, 0, c.bytes); err != nil {
			return e.gpu.fail("prepare the workspace", err)
		}
	}
	return nil
}

func (e *executable) takeCache() (err error) {
	for _, kv := range e.plan.KV {
		c := pages{}
		c.keyBytes, c.valueBytes = pageBytes(kv)
		if c.keys, err = e.memory.alloc("KV pages", int64(e.lim.Pages)*c.keyBytes); err != nil {
			return err
		}
		if c.values, err = e.memory.alloc("KV pages", int64(e.lim.Pages)*c.valueBytes); err != nil {
			return err
		}
		e.cache = append(e.cache, c)
	}
	return nil
}

func (e *executable) takeBlock() (err error) {
	e.block = newBlock(e.plan, e.lim, e.sizes, e.info)
	if e.blockAt, err = e.memory.alloc("batch", int64(e.block.bytes())); err != nil {
		return err
	}
	host, err := e.memory.pinned("batch", e.block.bytes())
	if err != nil {
		return err
	}
	e.block.take(host, e.lim)
	return nil
}

// takeOutput takes the logits and the candidates.
func (e *executable) takeOutput() (err error) {
	z := &e.sizes
	if z.logits == 0 {
		return nil
	}
	rows := int64(roundUp(z.logits, z.headTile))
	if e.logitsAt, err = e.memory.alloc("logits", z.out); err != nil {
		return err
	}
	if e.logitsHost, err = e.memory.pinned("logits", z.headTile*e.plan.Vocab*4); err != nil {
		return err
	}
	top := topOf(e.plan.Vocab, e.plan.Vocab)
	if top.K == 0 {
		return nil
	}
	if e.topWorkAt, err = e.memory.alloc("candidates", top.WorkBytes(z.headTile)); err != nil {
		return err
	}
	if e.topAt, err = e.memory.alloc("candidates", rows*int64(top.RowBytes())); err != nil {
		return err
	}
	e.topHost, err = e.memory.pinned("candidates", int(rows)*top.RowBytes())
	return err
}

// takeRopes uploads the tables of frequencies.
func (e *executable) takeRopes() error {
	for _, s := range e.bodySteps {
		r := s.Attr.Rope
		if r == nil || e.ropes[r] != 0 {
			continue
		}
		table := kernels.RopeTable(r.Freqs)
		at, err := e.memory.alloc("rotary frequencies", int64(4*len(table)))
		if err != nil {
			return err
		}
		var bytes []byte
		for _, f := range table {
			bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(f))
		}
		// Not page-locked: the copy is done when CopyIn returns.
		if err := e.stream.CopyIn(at, bytes); err != nil {
			return e.gpu.fail("upload the rotary frequencies", err)
		}
		e.ropes[r] = at
	}
	return nil
}

// body returns the program of the steps with a row per token for batches filled up
// to rows rows.
func (e *executable) body(rows int) (*program, error) {
	if p := e.bodies[rows]; p != nil {
		return p, nil
	}
	m := emitter{e: e, rows: rows}
	m.steps(e.bodySteps)
	p, err := m.program()
	if err != nil {
		return nil, err
	}
	if len(p.launches) > 0 { // it waits for the batch block whole, for those after it may not
		p.launches[0].args.Dependent = false
	}
	e.bodies[rows] = p
	return p, nil
}

// headRows is the most rows of logits the head computes at a time.
const headRows = smallRows

// headID names a program of the head: the first row of logits, how many they are
// filled up to, and how many candidates are picked, 0 for none.
type headID struct{ first, rows, top int }

// head returns the program of the steps with a row per selected row, for n rows
// from first on, and of the choice of candidates.
func (e *executable) head(first, n, top int) (*program, error) {
	id := headID{first, bucket(n), top}
	if p := e.heads[id]; p != nil {
		return p, nil
	}
	m := emitter{e: e, rows: id.rows, first: first}
	m.steps(e.headSteps)
	m.top(top)
	p, err := m.program()
	if err != nil {
		return nil, err
	}
	e.heads[id] = p
	return p, nil
}

// usualTop is how many candidates callers usually want.
const usualTop = 256

// prepare compiles the kernels of all sizes of batches, so that none waits for the
// compiler when it first comes.
func (e *executable) prepare() error {
	m := emitter{e: e, collect: []wanted{}}
	for n := 1; n < 2*e.sizes.headTile && e.sizes.logits > 0; n *= 2 {
		m.rows = n
		m.steps(e.headSteps)
		m.top(topOf(e.plan.Vocab, usualTop).K)
	}
	for rows := 1; ; rows = capacity(rows + 1) {
		m.rows = rows
		m.steps(e.bodySteps)
		if rows >= capacity(e.lim.MaxRows) {
			break
		}
	}
	if m.err != nil {
		return fmt.Errorf("ptxbackend: %w", m.err)
	}
	return e.gpu.code.prepare(m.collect)
}

// Close gives the memory back. Closing twice is fine.
func (e *executable) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	if err := e.gpu.dev.Enter(); err != nil {
		return e.gpu.ignoreIfLost(err)
	}
	defer e.gpu.dev.Leave()
	var errs []error
	if e.stream != nil && e.dead == nil {
		errs = append(errs, e.stream.Sync())
	}
	for _, g := range e.graphs {
		errs = append(errs, g.Close())
	}
	for _, m := range e.marks {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	if e.stream != nil {
		errs = append(errs, e.stream.Close())
	}
	return errors.Join(e.gpu.ignoreIfLost(errors.Join(errs...)), e.memory.release())
}
