package kernels

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// GEMM multiplies many rows: y (rows, N) = x (rows, K) * W^T, for prefill. x is a
// Pack with T = 128. The weights are the left operand of the tensor cores and the
// rows of x (tokens) the right one, as in GEMV, so that both read the same weights;
// y comes out transposed and is stored so.
type GEMM struct {
	// Mats share K. For SiLUMulPack there is one, the tiles of gate and up in
	// turn, so that N is twice the width of each.
	Mats   []Layout
	Bias   bool // not with SiLUMulPack
	Out    Output
	Stride int // elements from row to row of the float32 outputs and of the residual; 0 for N
	Tile   GEMMTile
}

// GEMMTile is how the work is divided.
type GEMMTile struct {
	Wgmma    bool // by warpgroups; else by warps
	Warps    int  // that multiply; 4 or 8
	RowTiles int  // tiles of 16 weight rows of a warp: 1, 2 or 4
	Tokens   int  // rows of x of a block: 64, 128, or 256 with wgmma
	Stages   int  // tiles of x, 64 columns wide, on their way or in use
	Blocks   int  // of a multiprocessor at once, for which registers are allocated
}

func (t GEMMTile) stageBytes() int { return 128 * t.Tokens }

// GEMMArgs are the operands; what the kernel leaves out is 0.
type GEMMArgs struct {
	X, Residual driver.Ptr // X is a Pack of Rows rows
	Rows        int
	Mats        []GEMVMat
}

// Name tells specialisations apart.
func (g GEMM) Name() string {
	var s strings.Builder
	s.WriteString("gemm")
	for _, m := range g.Mats {
		fmt.Fprintf(&s, "_%v_%d", m.Format, m.N)
	}
	fmt.Fprintf(&s, "_k%d", g.Mats[0].K)
	s.WriteString([]string{"", "_add", "_silu"}[g.Out])
	if g.Bias {
		s.WriteString("_bias")
	}
	if g.Stride > 0 {
		fmt.Fprintf(&s, "_to%d", g.Stride)
	}
	t := g.Tile
	by := "mma"
	if t.Wgmma {
		by = "wgmma"
	}
	fmt.Fprintf(&s, "_%s_%dx%dx%d_s%d_b%d", by, t.Warps, t.RowTiles, t.Tokens, t.Stages, t.Blocks)
	return s.String()
}

// Targets are those it can be built for.
func (g GEMM) Targets() []ptx.Target {
	switch {
	case g.Tile.Wgmma:
		return []ptx.Target{ptx.SM90a}
	case g.Tile.wide():
		return []ptx.Target{ptx.SM80}
	}
	return []ptx.Target{ptx.SM80, ptx.SM90a}
}

func (g GEMM) check(target ptx.Target) error {
	t := g.Tile
	fits := (t.Warps == 4 || t.Warps == 8) && (t.RowTiles == 1 || t.RowTiles == 2 || t.RowTiles == 4) && t.Stages >= 2 &&
		(t.Tokens == 64 || t.Tokens == 128 || t.Tokens == 256 && t.Wgmma) && t.RowTiles*t.Tokens <= 256
	switch {
	case !fits || t.Wgmma && !target.Hopper():
		return fmt.Errorf("gemm: no tile %+v on %s", t, target.Arch)
	case len(g.Mats) < 1 || len(g.Mats) > 3:
		return fmt.Errorf("gemm: %d matrices", len(g.Mats))
	case g.Out == AddResidual && len(g.Mats) != 1:
		return fmt.Errorf("gemm: a residual of %d matrices", len(g.Mats))
	case g.Out == SiLUMulPack && (len(g.Mats) != 1 || g.Mats[0].N%2 != 0 || g.Bias):
		return errors.New("gemm: gate and up are one matrix of pairs of tiles, without bias")
	case g.Out == SiLUMulPack && (t.RowTiles%2 != 0 || t.Warps*t.RowTiles%8 != 0):
		return fmt.Errorf("gemm: tile %+v does not hold gate and up for 64 columns", t)
	}
	for _, m := range g.Mats {
		switch {
		case m.K != g.Mats[0].K:
			return errors.New("gemm: the matrices differ in K")
		case !g.Tile.holds(m.Format, g.Out, target):
			return fmt.Errorf("gemm: the registers do not suffice for %v with tile %+v", m.Format, g.Tile)
		case m.N < 1 || m.K < 1 || m.Units()*m.Format.Parts() != (m.K+63)/64:
			return fmt.Errorf("gemm: a matrix of %d rows of %d in %v", m.N, m.K, m.Format)
		}
	}
	return nil
}

// signature: x, rows; w, scale, scaleup or out, bias of each matrix; residual.
func (g GEMM) signature() signature {
	s := signature{address("x"), count("rows")}
	for i := range g.Mats {
		for _, p := range g.matSignature() {
			p.Name += fmt.Sprint(i)
			s = append(s, p)
		}
	}
	if g.Out == AddResidual {
		s = append(s, address("residual"))
	}
	return s
}

func (g GEMM) matSignature() signature {
	s := signature{address("w"), number("scale"), address("out")}
	if g.Out == SiLUMulPack {
		s = append(s, number("scaleup"))
	}
	if g.Bias {
		s = append(s, address("bias"))
	}
	return s
}

// Launch runs it on a device of sms multiprocessors: with wgmma there are as many
// blocks as run at once, which take one part of the product after the other.
func (g GEMM) Launch(sms int, a GEMMArgs) driver.Launch {
	values := []any{a.X, uint32(a.Rows)}
	for i := range g.Mats {
		m := a.Mats[i]
		values = append(values, m.Weights, m.Scale, m.Out)
		if g.Out == SiLUMulPack {
			values = append(values, m.ScaleUp)
		}
		if g.Bias {
			values = append(values, m.Bias)
		}
	}
	if g.Out == AddResidual {
		values = append(values, a.Residual)
	}
	blocks, threads := g.Blocks(a.Rows), 32*g.Tile.Warps
	if g.Tile.Wgmma {
		blocks, threads = min(blocks, sms*g.Tile.Blocks), threads+gemmProducer
	}
	return driver.Launch{
		Grid:   [3]uint32{uint32(blocks)},
		Block:  [3]uint32{uint32(threads)},
		Shared: g.SharedBytes(),
		Params: pack(g.signature(), values...),
	}
}

// Blocks is into how many parts the product of rows rows falls.
func (g GEMM) Blocks(rows int) int {
	n := 0
	for _, p := range g.paths() {
		n += p.rows
	}
	return n * ((rows + g.Tile.Tokens - 1) / g.Tile.Tokens)
}

// A gemmPath is the code for matrices that differ in their parameters only, one
// after the other in the order of row blocks.
type gemmPath struct {
	mats  []int // of GEMM.Mats
	first []int // row block at which each begins
	rows  int   // row blocks
}

func (g GEMM) paths() []gemmPath {
	var paths []gemmPath
	done := map[Layout]bool{}
	for _, like := range g.Mats {
		if done[like] {
			continue
		}
		done[like] = true
		var p gemmPath
		for i, m := range g.Mats {
			if m == like {
				p.mats, p.first = append(p.mats, i), append(p.first, p.rows)
				perBlock := g.Tile.Warps * g.Tile.RowTiles
				p.rows += (g.tiles(m) + perBlock - 1) / perBlock
			}
		}
		paths = append(paths, p)
	}
	return paths
}

// tiles is how many tiles of 16 rows a matrix has.
func (g GEMM) tiles(m Layout) int {
	if g.Out == SiLUMulPack {
		return 2 * ((m.N/2 + 15) / 16)
	}
	return m.Tiles()
}
