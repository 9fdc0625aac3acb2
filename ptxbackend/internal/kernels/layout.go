package kernels

// Layout is a weight matrix (N, K) in the order in which warps want it. 16 rows
// are a tile, 16 rows by 64 columns (by 256 for the K formats) a unit; the units
// of a tile follow each other, and so do the tiles:
//
//	[ceil(N/16)][ceil(K/64 or 256)] unit
//
// A unit holds, for each 64 columns, the codes of lane 0, of lane 1, ... of the
// fragments that mma.m16n8k16 and wgmma take as their first matrix: lane 4g+t has
// rows g and g+8, columns 16s+2t, +1, +8 and +9 of the steps s = 0..3. Register r
// of a step (0: row g, 1: row g+8, 2 and 3: the same, 8 columns on) has its codes
// in word r of the lane's 16 bytes: 4 bits p of the lower half are the even
// column, of the upper half the odd one, p = 0, 8, 4, 12 for steps 0 to 3. So
// masks alone bring a pair of codes where a pair of halves has its lowest or
// its middle bits; a half with small bits only is the number code * 2^-24 or
// code * 2^-20 (a subnormal), and one fused multiply-add makes the weight of it:
//
//	weight = code * scale - min
//
// Scales of odd groups are 16 times smaller in the unit, or made so in registers.
// F16 has its 4 registers of each step as they are, Q8_0 the bytes of registers 0
// and 1, or 2 and 3, of a step interleaved, codes + 128. MXFP4's word half has the
// sign and the three other bits of steps 0..3 at 15, 11-9; 12, 8-6; 14, 5-3;
// 13, 2-0: in place they are halves 2^-14 times what they stand for.
//
// After the codes of all parts follow the codes' upper bits (Q5: bit r + p(s) of a
// lane's word; Q6_K: two bits each), then the scales: float16 pairs for two groups;
// the K formats' 6-bit scales stay packed (kScales); Q6_K's are bytes + 128;
// MXFP4's are the upper bytes of halves. Rows g and g+8 lie side by side.
//
// What the fragments hold is Scale times too small; the product is multiplied by
// it, see Exponent.
type Layout struct {
	Format Format
	N, K   int
}

// Tiles is the number of tiles of 16 rows.
func (l Layout) Tiles() int { return (l.N + 15) / 16 }

// Units is the number of units of a tile.
func (l Layout) Units() int { return (l.K + l.UnitCols() - 1) / l.UnitCols() }

// UnitCols is the number of columns of a unit.
func (l Layout) UnitCols() int { return 64 * l.Format.Parts() }

// TileBytes is the size of a tile.
func (l Layout) TileBytes() int { return l.Units() * l.Format.UnitBytes() }

// Bytes is the size of the matrix.
func (l Layout) Bytes() int64 { return int64(l.Tiles()) * int64(l.TileBytes()) }
