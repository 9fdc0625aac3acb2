package kernels

import (
	"slices"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// GEMMTiles are sensible divisions of the work, the best guess for many rows first
// of each kind; on hardware a tuner may choose. Every one is tested.
func GEMMTiles(target ptx.Target) []GEMMTile {
	tiles := []GEMMTile{
		{Warps: 4, RowTiles: 2, Tokens: 128, Stages: 4, Blocks: 2},
		{Warps: 8, RowTiles: 2, Tokens: 128, Stages: 4, Blocks: 1},
		{Warps: 4, RowTiles: 2, Tokens: 64, Stages: 4, Blocks: 2},
		{Warps: 8, RowTiles: 2, Tokens: 64, Stages: 4, Blocks: 1},
		{Warps: 4, RowTiles: 1, Tokens: 64, Stages: 4, Blocks: 3},
	}
	if target.Hopper() {
		tiles = slices.DeleteFunc(tiles, GEMMTile.wide)
		tiles = append([]GEMMTile{
			{Wgmma: true, Warps: 8, RowTiles: 2, Tokens: 128, Stages: 8, Blocks: 1},
			{Wgmma: true, Warps: 8, RowTiles: 1, Tokens: 256, Stages: 5, Blocks: 1},
			{Wgmma: true, Warps: 4, RowTiles: 2, Tokens: 128, Stages: 5, Blocks: 2},
			{Wgmma: true, Warps: 8, RowTiles: 1, Tokens: 128, Stages: 8, Blocks: 1},
			{Wgmma: true, Warps: 4, RowTiles: 2, Tokens: 64, Stages: 8, Blocks: 2},
		}, tiles...)
	}
	return tiles
}

// Variants are g with each of GEMMTiles that suits it.
func (g GEMM) Variants(target ptx.Target) []GEMM {
	var out []GEMM
	for _, t := range GEMMTiles(target) {
		if g.Tile = t; g.check(target) == nil {
			out = append(out, g)
		}
	}
	return out
}

// wide reports whether the sums take most registers of a thread.
func (t GEMMTile) wide() bool { return t.RowTiles >= 2 && t.RowTiles*t.Tokens >= 256 }

// holds reports whether the registers of a thread hold what a tile of weights in
// format f needs beside the sums, as ptxas found: formats whose codes lie in several
// pieces and those with scales of scales need most.
func (t GEMMTile) holds(f Format, out Output, target ptx.Target) bool {
	switch {
	case !t.wide():
		return true
	case !t.Wgmma: // Hopper spills a few of F16's, too, and has wgmma
		return f == FormatF16 && !target.Hopper()
	case t.Blocks > 1:
		return f != FormatF16 && f.Parts() == 1
	}
	return out == SiLUMulPack || f != FormatQ6_K && f != FormatF16
}
