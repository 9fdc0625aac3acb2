package ptxbackend

import (
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// tiled is c divided as should be fastest on a device for a batch of rows rows, and
// false if no way of dividing it fits.
func tiled(c kernels.GEMM, target ptx.Target, info driver.Info, rows int) (best kernels.GEMM, ok bool) {
	least := 0.0
	for _, v := range c.Variants(target) {
		if v.SharedBytes() > info.SharedPerBlock {
			continue
		}
		if t := gemmTime(v, info.SMs, rows); !ok || t < least {
			best, least, ok = v, t, true
		}
	}
	return best, ok
}

// How fast a multiprocessor is with mma.sync for 1 with wgmma, how many warps it takes
// to keep it busy, and what unpacking weights costs, as that many columns of product
// more. They are estimates; where variants are far apart, which is where few rows
// leave multiprocessors idle, that is enough.
const (
	mmaSpeed   = 0.6
	busyWarps  = 8
	unpackCost = 32
)

// gemmTime is about how long the busiest multiprocessor works, in no unit.
func gemmTime(c kernels.GEMM, sms, rows int) float64 {
	t := c.Tile
	parts := (c.Blocks(rows) + sms - 1) / sms // of the busiest
	speed := min(1, float64(t.Warps*min(parts, t.Blocks))/busyWarps)
	if !t.Wgmma {
		speed *= mmaSpeed
	}
	part := 16 * t.Warps * t.RowTiles * (t.Tokens + unpackCost)
	return float64(parts*part) / speed
}
