package ptxbackend

import (
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Few rows get tiles small enough that most multiprocessors have one, many rows the
// large ones that move least.
func TestTiles(t *testing.T) {
	square := kernels.GEMM{Mats: []kernels.Layout{{Format: kernels.FormatQ4_K, N: 4096, K: 4096}}}
	for _, c := range []struct {
		target ptx.Target
		rows   int
		parts  int // at least
	}{{ptx.SM90a, 128, 32}, {ptx.SM90a, 512, 120}, {ptx.SM80, 128, 32}, {ptx.SM80, 512, 120}} {
		g, ok := tiled(square, c.target, h200, c.rows)
		if !ok || g.Blocks(c.rows) < c.parts {
			t.Errorf("%d rows on %s: %d parts of %+v", c.rows, c.target.Arch, g.Blocks(c.rows), g.Tile)
		}
	}
	if g, _ := tiled(square, ptx.SM90a, h200, 8192); !g.Tile.Wgmma || 16*g.Tile.Warps*g.Tile.RowTiles*g.Tile.Tokens < 1<<15 {
		t.Errorf("8192 rows: tiles of %+v", g.Tile)
	}
	small := h200
	small.SharedPerBlock = 99 << 10
	if g, ok := tiled(square, ptx.SM80, small, 512); !ok || g.SharedBytes() > small.SharedPerBlock {
		t.Errorf("with little shared memory: %v, %+v", ok, g.Tile)
	}
	small.SharedPerBlock = 1 << 10
	if _, ok := tiled(square, ptx.SM80, small, 512); ok {
		t.Error("a tile fits 1 KiB")
	}
}
