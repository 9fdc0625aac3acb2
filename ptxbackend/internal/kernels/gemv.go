package kernels

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Output is what a GEMV does with its products.
type Output uint8

// The outputs. Products are x * W^T, (T, N) float32, with the bias added if there
// is one.
const (
	StoreProducts Output = iota // as they are
	AddResidual                 // plus a residual (T, N) float32, which may be the output
	SiLUMulPack                 // silu(gate) * up, a Pack with T and K = N/2: see GEMV.Mats
)

// GEMV multiplies few rows by 1 to 3 matrices at the speed at which the matrices
// come from memory. The warps of a block take turns at the units of a matrix (see
// Layout), each through a ring of its own in shared memory, and multiply them by
// the input, which is all in shared memory; at the end of a tile the block adds the
// warps' sums up. The units of a matrix are dealt out evenly to the blocks, in
// their order in memory. Where that cuts a tile in pieces, the blocks leave their
// sums in Work, and the last to come to a tile adds them up, always in the same
// order. The first units are on their way before the step before is complete.
type GEMV struct {
	// Mats share K. For SiLUMulPack there is one, the tiles of gate and up in
	// turn: N is twice the width of each, which is whole tiles.
	Mats []Layout
	T    int // rows, of the input's Pack too
	// Norm has the input be float32 rows (T, K), to be normalised like RMSNorm
	// does; with Select row LogitRow[i] of them is row i.
	Norm, Select bool
	Batch        BatchLayout
	Bias         bool
	Out          Output
	// Heads, if not nil, is done to the products, which are queries, keys and values.
	Heads *RopeAppend
	// Shared is the most bytes of shared memory a block may take, 0 for 96 KiB.
	Shared int
	// Warps of a block and turns in each warp's ring, 0 for what seems best.
	Warps, Stages int
	// Cut is how many bytes more than its share a block may have before tiles are
	// cut in pieces; 0 for 48 KiB, negative for none.
	Cut int
}

// GEMVMat are the operands of one matrix.
type GEMVMat struct {
	Weights, Bias, Out driver.Ptr
	Scale              float32 // Layout.Scale; of gate
	ScaleUp            float32 // of up, for SiLUMulPack
}

// GEMVArgs are the operands; what the kernel leaves out is 0.
type GEMVArgs struct {
	X, NormWeights, Batch, Residual driver.Ptr
	Eps                             float32
	Mats                            []GEMVMat
	Rope                            RopeAppendArgs // for Heads; its Q, K, V are the outputs of Mats
	// Work has WorkBytes, Counters CounterBytes of zeroes, which it leaves as
	// zeroes; kernels that follow each other in a stream may share both.
	Work, Counters driver.Ptr
}

// WorkBytes and CounterBytes are what a launch on sms multiprocessors needs of them.
func (c GEMV) WorkBytes(sms int) int64 { return int64(2*sms) * int64(c.taskValues()) * 4 }

// CounterBytes: see WorkBytes.
func (c GEMV) CounterBytes() int64 {
	n := 0
	for _, m := range c.Mats {
		n += m.Tiles()
	}
	return int64(4 * (n + c.headCounters()))
}

// A task is what one output is made of: a tile, or one of gate and one of up, or,
// where the input streams, a tile for each warp.

// tasks is how many a matrix has.
func (c GEMV) tasks(m Layout) int {
	n := c.subtiles()
	if c.streams() {
		n = c.warps()
	}
	return (m.Tiles() + n - 1) / n
}

// taskTurns is how many turns of a task are dealt out.
func (c GEMV) taskTurns(m Layout) int { return c.subtiles() * turnOf(m).perTile }

// subtiles is how many tiles of a task follow each other.
func (c GEMV) subtiles() int {
	if c.Out == SiLUMulPack && !c.streams() {
		return 2
	}
	return 1
}

// columns is the number of groups of 8 batch rows, the n of mma.
func (c GEMV) columns() int { return (c.T + 7) / 8 }

// perThread is how many sums of a tile a thread has in the end.
func (c GEMV) perThread() int {
	if c.streams() {
		return 4 * c.columns()
	}
	return (16*c.T + c.threads() - 1) / c.threads()
}

// taskValues is how many sums a block leaves in Work.
func (c GEMV) taskValues() int { return c.subtiles() * c.perThread() * c.threads() }

func (c GEMV) threads() int { return 32 * c.warps() }

func (c GEMV) check() error {
	switch {
	case len(c.Mats) < 1 || len(c.Mats) > 3:
		return fmt.Errorf("%d matrices", len(c.Mats))
	case c.T < 1 || c.T > 64 || c.T&(c.T-1) != 0:
		return fmt.Errorf("%d rows, not a power of two up to 64", c.T)
	case c.Norm && (c.Mats[0].K%4 != 0 || c.T > 4 || c.streams()):
		return fmt.Errorf("it norms up to 4 rows that fit shared memory, of whole vectors of 4, not %d of %d", c.T, c.Mats[0].K)
	case c.Select && !c.Norm:
		return errors.New("only a norm selects rows")
	case c.Out == SiLUMulPack && (len(c.Mats) != 1 || c.Mats[0].N%32 != 0):
		return errors.New("gate and up are one matrix of pairs of whole tiles")
	case !c.Fits():
		return fmt.Errorf("%d bytes of shared memory, at most %d are there", c.SharedBytes(), c.budget())
	}
	for _, m := range c.Mats {
		if m.K != c.Mats[0].K {
			return errors.New("the matrices differ in K")
		}
	}
	return c.checkHeads()
}

// Name implements Config.
func (c GEMV) Name() string {
	var s strings.Builder
	s.WriteString("gemv")
	for _, m := range c.Mats {
		fmt.Fprintf(&s, "_%v_%d", m.Format, m.N)
	}
	fmt.Fprintf(&s, "_k%d_t%d", c.Mats[0].K, c.T)
	s.WriteString([]string{"", "_add", "_silu"}[c.Out])
	if c.Norm {
		s.WriteString("_norm")
	}
	if c.Select {
		fmt.Fprintf(&s, "_select%d", c.Batch.LogitRow())
	}
	if c.Bias {
		s.WriteString("_bias")
	}
	if c.Heads != nil {
		s.WriteString("_" + c.Heads.Name())
	}
	if c.streams() {
		s.WriteString("_stream")
	}
	fmt.Fprintf(&s, "_w%d", c.warps())
	for _, m := range c.Mats {
		fmt.Fprintf(&s, "_%d", c.stages(m))
	}
	return s.String()
}

var (
	gemvSignature = signature{address("x"), address("normweights"), address("batch"), address("residual"), address("work"),
		address("counters"), number("eps")}
	gemvMatSignature = signature{address("w"), address("bias"), address("out"), number("scale"), number("scaleup"),
		count("first"), count("grains"), count("grain")}
)

func (c GEMV) signature() signature {
	s := append(signature{}, gemvSignature...)
	for i := range c.Mats {
		for _, p := range gemvMatSignature {
			p.Name += fmt.Sprint(i)
			s = append(s, p)
		}
	}
	s = append(s, count("blocks"))
	if c.Heads != nil {
		s = append(s, gemvRopeSignature...)
	}
	if !c.streams() {
		s = append(s, gemvLeadSignature...)
	}
	return s
}

// Build implements Config.
func (c GEMV) Build(t ptx.Target) (*ptx.Kernel, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("kernels: gemv of %v: %w", c.Mats, err)
	}
	g := &gemv{GEMV: c, b: ptx.New(c.Name(), t)}
	g.build()
	return g.b.Kernel()
}
