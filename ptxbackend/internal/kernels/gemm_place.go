package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// Blocks that run at the same time should share weights and activations in the L2
// cache. The blocks of the product, (row blocks of the weights) x (token blocks),
// are therefore taken in bands of up to band token blocks, and within a band token
// blocks fastest: 132 blocks of a band of 16 touch 16 token blocks and 9 row blocks.
const gemmBand = 16

// place is the row block and the token block of a path's block.
func (e *gemmEmit) place(p gemmPath, block, tokenBlocks ptx.Reg) (row, token ptx.Reg) {
	b := e.b
	inBand := gemmBand * p.rows
	band := b.Div(block, inBand)
	rest := b.Sub(block, b.Mul(band, inBand))
	first := b.Mul(band, gemmBand)
	width := b.Min(b.Sub(tokenBlocks, first), gemmBand)
	row = b.Div(rest, width)
	token = b.Add(first, b.Sub(rest, b.Mul(row, width)))
	return row, token
}

// gemmPlace is place's meaning.
func gemmPlace(block, rowBlocks, tokenBlocks int) (row, token int) {
	band, rest := block/(gemmBand*rowBlocks), block%(gemmBand*rowBlocks)
	width := min(tokenBlocks-band*gemmBand, gemmBand)
	return rest / width, band*gemmBand + rest%width
}
