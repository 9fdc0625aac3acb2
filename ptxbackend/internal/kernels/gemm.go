package kernels

import (
	"fmt"
	"strings"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// GEMM multiplies many rows: y (rows, N) = x (rows, K) * W^T, for prefill. x is a
// Pack with T = 128. The weights are the left operand of the tensor cores and the
// rows of x (tokens) the right one, as in the kernel for few rows, so that both read
// the same weights; y comes out transposed and is stored so.
//
// With Store and Residual up to three matrices over the same x are done in one
// launch, each into its own y. With SwiGLU there are two of the same N, gate and up,
// and y is one Pack, N wide, of silu(gate) * up.
//
// Tile says how, and whether with wgmma (ptx.SM90a only); see GEMM.Variants.
type GEMM struct {
	Mats     []GEMMMatrix
	K        int
	Epilogue GEMMEpilogue
	Tile     GEMMTile
	// Paired has the tiles of gate and up take turns in memory, as GEMV wants them.
	// Each still has its own W, up's a tile after gate's.
	Paired bool
}

// GEMMMatrix is a matrix of weights, N rows of K.
type GEMMMatrix struct {
	Format Format
	N      int
	Bias   bool
}

// GEMMEpilogue is what becomes of a product.
type GEMMEpilogue uint8

// The epilogues; y is the product with its scale and bias.
const (
	GEMMStore    GEMMEpilogue = iota // out = y, float32
	GEMMResidual                     // out = in + y, float32; out may be in
	GEMMSwiGLU                       // out = silu(y0) * y1, a Pack with T = 128
)

// GEMMTile is how the work is divided.
type GEMMTile struct {
	Wgmma    bool // by warpgroups; else by warps
	Warps    int  // that multiply; 4 or 8
	RowTiles int  // tiles of 16 weight rows of a warp, 1 to 4
	Tokens   int  // rows of x of a block: 64, 128, or 256 with wgmma
	Stages   int  // tiles of x, 64 columns wide, on their way or in use
	Blocks   int  // of a multiprocessor at once, for which registers are allocated
}

// rows are the weight rows of a block.
func (t GEMMTile) rows() int { return 16 * t.Warps * t.RowTiles }

func (t GEMMTile) stageBytes() int { return 128 * t.Tokens }

// GEMMArgs are what a launch works on.
type GEMMArgs struct {
	X    driver.Ptr // Pack of Rows rows
	Rows int
	Mats []GEMMMatrixArgs // as many as the GEMM's
	In   driver.Ptr       // Residual: (Rows, Stride of the matrix) float32
	Out  driver.Ptr       // SwiGLU: Pack of Rows rows
}

// GEMMMatrixArgs are a matrix's.
type GEMMMatrixArgs struct {
	W      driver.Ptr // repacked
	Scale  float32    // the product is multiplied by it
	Bias   driver.Ptr // (N) float32
	Out    driver.Ptr // (Rows, Stride) float32; not for SwiGLU
	Stride int        // elements from row to row of Out
}

// Name tells specialisations apart.
func (g GEMM) Name() string {
	var s strings.Builder
	s.WriteString("gemm_" + [...]string{"store", "residual", "swiglu"}[g.Epilogue])
	for _, m := range g.Mats {
		fmt.Fprintf(&s, "_%v_%d", m.Format, m.N)
		if m.Bias {
			s.WriteString("b")
		}
	}
	if g.Paired {
		s.WriteString("_paired")
	}
	t := g.Tile
	by := "mma"
	if t.Wgmma {
		by = "wgmma"
	}
	fmt.Fprintf(&s, "_k%d_%s_%dx%dx%d_s%d_b%d", g.K, by, t.Warps, t.RowTiles, t.Tokens, t.Stages, t.Blocks)
	return s.String()
}

// Targets are those it can be built for.
func (g GEMM) Targets() []ptx.Target {
	if g.Tile.Wgmma {
		return []ptx.Target{ptx.SM90a}
	}
	return []ptx.Target{ptx.SM80, ptx.SM90a}
}

func (g GEMM) check(target ptx.Target) error {
	t := g.Tile
	fits := (t.Warps == 4 || t.Warps == 8) && t.RowTiles >= 1 && t.RowTiles <= 4 && t.Stages >= 2 &&
		(t.Tokens == 64 || t.Tokens == 128 || t.Tokens == 256 && t.Wgmma) && t.RowTiles*t.Tokens <= 256
	switch {
	case !fits || t.Wgmma && !target.Hopper():
		return fmt.Errorf("gemm: no tile %+v on %s", t, target.Arch)
	case len(g.Mats) == 0 || len(g.Mats) > 3 || g.K <= 0:
		return fmt.Errorf("gemm: %d matrices, K = %d", len(g.Mats), g.K)
	case (g.K+63)/64%g.parts() != 0:
		return fmt.Errorf("gemm: K = %d is not whole blocks of the formats", g.K)
	case g.Epilogue == GEMMResidual && len(g.Mats) != 1:
		return fmt.Errorf("gemm: a residual of %d matrices", len(g.Mats))
	case g.Epilogue == GEMMSwiGLU && (len(g.Mats) != 2 || g.Mats[0].N != g.Mats[1].N):
		return fmt.Errorf("gemm: gate and up are %v", g.Mats)
	case g.Epilogue == GEMMSwiGLU && (t.RowTiles%2 != 0 || t.Warps*t.RowTiles%8 != 0):
		return fmt.Errorf("gemm: tile %+v does not hold gate and up for 64 columns", t)
	}
	return nil
}

// parts is how many tiles of 64 columns the units of all matrices have.
func (g GEMM) parts() int {
	n := 1
	for _, m := range g.Mats {
		n = max(n, m.Format.Parts())
	}
	return n
}

// signature: x, rows; w, scale, (bias), out, stride of each matrix; in | out.
func (g GEMM) signature() signature {
	s := signature{address("x"), count("rows")}
	for i, m := range g.Mats {
		s = append(s, address(fmt.Sprintf("w%d", i)), number(fmt.Sprintf("scale%d", i)))
		if m.Bias {
			s = append(s, address(fmt.Sprintf("bias%d", i)))
		}
		if g.Epilogue != GEMMSwiGLU {
			s = append(s, address(fmt.Sprintf("out%d", i)), count(fmt.Sprintf("stride%d", i)))
		}
	}
	switch g.Epilogue {
	case GEMMResidual:
		s = append(s, address("in"))
	case GEMMSwiGLU:
		s = append(s, address("out"))
	}
	return s
}

// Launch runs it on a device of sms multiprocessors: with wgmma there are as many
// blocks as run at once, which take one part of the product after the other.
func (g GEMM) Launch(sms int, a GEMMArgs) driver.Launch {
	values := []any{a.X, uint32(a.Rows)}
	for i, m := range g.Mats {
		values = append(values, a.Mats[i].W, a.Mats[i].Scale)
		if m.Bias {
			values = append(values, a.Mats[i].Bias)
		}
		if g.Epilogue != GEMMSwiGLU {
			values = append(values, a.Mats[i].Out, uint32(a.Mats[i].Stride))
		}
	}
	switch g.Epilogue {
	case GEMMResidual:
		values = append(values, a.In)
	case GEMMSwiGLU:
		values = append(values, a.Out)
	}
	blocks, threads := g.Blocks(a.Rows), 32*g.Tile.Warps
	if g.Tile.Wgmma {
		blocks, threads = min(blocks, sms*g.Tile.Blocks), threads+gemmProducer
	}
	return driver.Launch{
		Grid:   [3]uint32{uint32(blocks), 1, 1},
		Block:  [3]uint32{uint32(threads), 1, 1},
		Shared: g.sharedBytes(),
		Params: pack(g.signature(), values...),
	}
}

// Blocks is into how many parts the product of rows rows falls.
func (g GEMM) Blocks(rows int) int {
	n := 0
	for _, p := range g.paths() {
		n = p.end
	}
	return n * ((rows + g.Tile.Tokens - 1) / g.Tile.Tokens)
}

// A gemmPath is the code for matrices that differ in their parameters only, one
// after the other in the order of row blocks.
type gemmPath struct {
	mats  []int // of GEMM.Mats; gate and up are a path of one, [0]
	first []int // row block at which each begins
	end   int   // row block after the last
}

func (g GEMM) paths() []gemmPath {
	if g.Epilogue == GEMMSwiGLU {
		return []gemmPath{{mats: []int{0}, first: []int{0}, end: blocksOf(2*g.tilesPer(0), g.Tile)}}
	}
	var paths []gemmPath
	done, at := map[GEMMMatrix]bool{}, 0
	for _, like := range g.Mats {
		if done[like] {
			continue
		}
		done[like] = true
		var p gemmPath
		for i, m := range g.Mats {
			if m == like {
				p.mats, p.first = append(p.mats, i), append(p.first, at)
				at += blocksOf(g.tilesPer(i), g.Tile)
			}
		}
		p.end = at
		paths = append(paths, p)
	}
	return paths
}

// tilesPer is how many tiles of 16 rows matrix i has.
func (g GEMM) tilesPer(i int) int { return (g.Mats[i].N + 15) / 16 }

func blocksOf(tiles int, t GEMMTile) int {
	return (tiles + t.Warps*t.RowTiles - 1) / (t.Warps * t.RowTiles)
}
