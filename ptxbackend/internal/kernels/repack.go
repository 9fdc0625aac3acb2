package kernels

import (
	"encoding/binary"
	"math"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Peak is the largest finite scale in src, rows of a matrix of type t: what
// Exponent has to know of the whole matrix, the largest of its parts' peaks.
func Peak(t tensor.DType, src []byte) float32 {
	switch t {
	case tensor.F16:
		return 1 // stays as it is
	case tensor.Q8_0, tensor.Q4_0, tensor.Q5_0:
		return peakHalf(t, src, 0)
	case tensor.Q4_K, tensor.Q5_K: // room for the minima too, which are up to 63 times the second
		return max(peakHalf(t, src, 0), peakHalf(t, src, 2)/32)
	case tensor.Q6_K:
		return peakHalf(t, src, 208)
	case tensor.MXFP4:
		return peakE8M0(src)
	case tensor.BF16:
		return peakBF16(src)
	}
	return peakAny(t, src)
}

// peakHalf is the largest finite magnitude among the halves at byte at of blocks.
// Those of halves are in the order of their bits.
func peakHalf(t tensor.DType, src []byte, at int) float32 {
	top, size := uint16(0), t.BlockBytes()
	for ; len(src) >= size; src = src[size:] {
		if h := binary.LittleEndian.Uint16(src[at:]) & 0x7fff; h < 0x7c00 {
			top = max(top, h)
		}
	}
	return tensor.F16ToF32(top)
}

func peakE8M0(src []byte) float32 {
	top := byte(0)
	for ; len(src) >= 17; src = src[17:] {
		if src[0] < 255 {
			top = max(top, src[0])
		}
	}
	return float32(math.Ldexp(1, int(top)-127))
}

func peakBF16(src []byte) float32 {
	top := uint16(0)
	for ; len(src) >= 2; src = src[2:] {
		if v := binary.LittleEndian.Uint16(src) & 0x7fff; v < 0x7f80 {
			top = max(top, v)
		}
	}
	return tensor.BF16ToF32(top)
}

func peakAny(t tensor.DType, src []byte) (peak float32) {
	var buf [tensor.QKK]float32
	for n := len(buf) / t.BlockElems(); len(src) > 0; {
		n = min(n, len(src)/t.BlockBytes())
		if n == 0 {
			break
		}
		x := buf[:n*t.BlockElems()]
		tensor.Dequantize(x, t, src[:n*t.BlockBytes()])
		src = src[n*t.BlockBytes():]
		for _, v := range x {
			if v = float32(math.Abs(float64(v))); v < math.MaxFloat32 {
				peak = max(peak, v)
			}
		}
	}
	return peak
}

// Exponent is the power of two by which a matrix of type t is multiplied when it
// is repacked, so that its largest scale just fits a half: that leaves the most
// room for small ones. An all-zero matrix has peak 0 and exponent 0.
func Exponent(t tensor.DType, peak float32) int {
	if peak == 0 || t == tensor.F16 {
		return 0
	}
	top := 15
	switch t {
	case tensor.Q4_K, tensor.Q5_K:
		top = 10 // times 63
	case tensor.Q6_K:
		top = 9 // times 128
	case tensor.MXFP4:
		top = 16 // powers of two only
	}
	_, e := math.Frexp(float64(peak))
	return max(-100, min(100, top-e))
}

// Scale is what products with fragments of a matrix repacked with exponent exp
// are to be multiplied by.
func (l Layout) Scale(exp int) float32 {
	switch l.Format {
	case FormatF16:
	case FormatMXFP4:
		exp -= 14
	default:
		exp -= 24
	}
	return float32(math.Ldexp(1, -exp))
}

// Repack writes the tiles of rows rows of type t, whose bytes are src, to dst, tile
// i to dst[i*stride*TileBytes():]; a stride of 2 leaves room for the tiles of
// another matrix between them. The first row is the first of a tile; rows that fill
// up the last tile become zero. l.Format is FormatOf(t) and exp the Exponent of the
// whole matrix. Different tiles can be repacked at once.
func (l Layout) Repack(dst []byte, stride int, t tensor.DType, exp int, src []byte, rows int) {
	r := repacker{Layout: l, t: t, mul: float32(math.Ldexp(1, exp)), exp: exp, rowBytes: t.RowBytes(l.K)}
	for first := 0; first < rows; first += 16 {
		tile := dst[:l.TileBytes()]
		clear(tile)
		for i := range min(16, rows-first) {
			r.row(tile, i, src[(first+i)*r.rowBytes:][:r.rowBytes])
		}
		if first+16 < rows {
			dst = dst[stride*l.TileBytes():]
		}
	}
}

type repacker struct {
	Layout
	t        tensor.DType
	mul      float32 // 2^exp
	exp      int
	rowBytes int
	values   []float32 // a row, of types that are dequantised
}

// row writes row i of a tile, which is zero so far there.
func (r *repacker) row(tile []byte, i int, src []byte) {
	unit := r.Format.UnitBytes()
	if r.Format == FormatF16 {
		r.rowF16(tile, i, src)
		return
	}
	all := r.t.BlockBytes()
	if r.Format.Parts() == 1 {
		all *= 2 // blocks of 32
	}
	var pad [68]byte
	for ; len(src) > 0; tile = tile[unit:] {
		n := min(all, len(src))
		b := src[:n]
		src = src[n:]
		if n < all {
			copy(pad[:], b)
			b = pad[:all]
		}
		r.unit(tile[:unit], i, b)
	}
}

// unit writes what row i has in a unit; b are the blocks of its columns.
func (r *repacker) unit(u []byte, i int, b []byte) {
	g, up := i%8, i/8
	scale := u[r.Format.scaleAt()+(2*g+up)*formats[r.Format].scale:]
	codes := u[64*g+4*up:]
	switch r.Format {
	case FormatQ8_0:
		r.halfScales(scale, b, b[34:], 0)
		putBytes(u[64*g+up:], b[2:34])
		putBytes(u[512+64*g+up:], b[36:68])
	case FormatQ4_0:
		r.halfScales(scale, b, b[18:], -4)
		lo, hi := nibbles(b[2:], b[20:])
		putWords(codes, lo, hi)
	case FormatQ5_0:
		r.halfScales(scale, b, b[22:], -4)
		lo, hi := nibbles(b[6:], b[28:])
		putWords(codes, lo, hi)
		lo, hi = fifthBits(binary.LittleEndian.Uint32(b[2:]), binary.LittleEndian.Uint32(b[24:]))
		orWords(u[r.Format.highAt()+16*g:], 4, 0, up, up+2, lo, hi)
	case FormatMXFP4:
		scale[0], scale[1] = r.e8m0(b[0]), r.e8m0(b[17])
		lo, hi := nibbles(b[1:], b[18:])
		putMXFP4(codes, lo, hi)
	case FormatQ4_K, FormatQ5_K:
		r.kScales(scale, b)
		r.unitQ45K(u, g, up, b)
	case FormatQ6_K:
		r.unitQ6K(u, scale, g, up, b)
	}
}

// scaleHalf is the half at b times 2^exp.
func scaleHalf(b []byte, exp int) uint16 {
	h := binary.LittleEndian.Uint16(b)
	e := int(h >> 10 & 31)
	if uint(e-1) < 30 && uint(e+exp-1) < 30 {
		return h + uint16(exp)<<10
	}
	return tensor.F32ToF16(tensor.F16ToF32(h) * float32(math.Ldexp(1, exp)))
}

// halfScales writes the scales of two blocks, the odd one times 2^oddExp.
func (r *repacker) halfScales(dst, even, odd []byte, oddExp int) {
	binary.LittleEndian.PutUint16(dst, scaleHalf(even, r.exp))
	binary.LittleEndian.PutUint16(dst[2:], scaleHalf(odd, r.exp+oddExp))
}

// e8m0 is the upper byte of the half that is 2^(e-127+exp); too small ones are 0.
func (r *repacker) e8m0(e byte) byte {
	if e == 255 {
		return 0x7c
	}
	return byte(max(0, min(30, int(e)-127+r.exp+15))) << 2
}

// nibbles makes of the codes of two blocks of 32, even and odd columns of a step
// apart, the bytes of bits 0-7 (steps 0 and 2) and 8-15 (steps 1 and 3) of the
// halves of columns 0..15.
func nibbles(even, odd []byte) (lo, hi [2]uint64) {
	const low = 0x0f0f0f0f0f0f0f0f
	for i := range lo {
		e, o := binary.LittleEndian.Uint64(even[8*i:]), binary.LittleEndian.Uint64(odd[8*i:])
		lo[i] = e&low | o&low<<4
		hi[i] = e>>4&low | o&^uint64(low)
	}
	return lo, hi
}

// fifthBits is nibbles for a bit of each code: bit i is element i's.
func fifthBits(even, odd uint32) (lo, hi [2]uint64) {
	for i := range lo {
		lo[i] = bitBytes(byte(even>>(8*i))) | bitBytes(byte(odd>>(8*i)))<<4
		hi[i] = bitBytes(byte(even>>(16+8*i))) | bitBytes(byte(odd>>(16+8*i)))<<4
	}
	return lo, hi
}

// bitBytes makes bytes 0 or 1 of 8 bits.
func bitBytes(x byte) uint64 {
	y := uint64(x) * 0x0101010101010101 & 0x8040201008040201
	return (y + 0x7f7f7f7f7f7f7f7f) >> 7 & 0x0101010101010101
}

// spread puts 4 bytes into the lower halves of 4 times 16 bits.
func spread(x uint32) uint64 {
	y := uint64(x)
	y = (y | y<<16) & 0x0000ffff0000ffff
	return (y | y<<8) & 0x00ff00ff00ff00ff
}

// joinBytes joins lower and upper bytes of 8 columns to 4 words.
func joinBytes(lo, hi uint64) (a, b uint64) {
	return spread(uint32(lo)) | spread(uint32(hi))<<8, spread(uint32(lo>>32)) | spread(uint32(hi>>32))<<8
}

// putWords writes the halves of columns 0..15, whose lower bytes are lo and upper
// ones hi, to the words of lanes t = 0..3, 16 bytes apart: columns 2t and 2t+1, and
// 2t+8 and 2t+9 two words on.
func putWords(dst []byte, lo, hi [2]uint64) {
	d := (*[60]byte)(dst)
	a, b := joinBytes(lo[0], hi[0])
	binary.LittleEndian.PutUint32(d[0:], uint32(a))
	binary.LittleEndian.PutUint32(d[16:], uint32(a>>32))
	binary.LittleEndian.PutUint32(d[32:], uint32(b))
	binary.LittleEndian.PutUint32(d[48:], uint32(b>>32))
	a, b = joinBytes(lo[1], hi[1])
	binary.LittleEndian.PutUint32(d[8:], uint32(a))
	binary.LittleEndian.PutUint32(d[24:], uint32(a>>32))
	binary.LittleEndian.PutUint32(d[40:], uint32(b))
	binary.LittleEndian.PutUint32(d[56:], uint32(b>>32))
}

// orWords ors such words, stride bytes apart, to what other rows have there: the
// first four shifted by first, the others by second and next bytes on.
func orWords(dst []byte, stride, next int, first, second int, lo, hi [2]uint64) {
	for i := range lo {
		shift := first
		if i == 1 {
			dst, shift = dst[next:], second
		}
		a, b := joinBytes(lo[i], hi[i])
		a, b = a<<shift, b<<shift
		or32(dst, uint32(a))
		or32(dst[stride:], uint32(a>>32))
		or32(dst[2*stride:], uint32(b))
		or32(dst[3*stride:], uint32(b>>32))
	}
}

func or32(b []byte, v uint32) {
	binary.LittleEndian.PutUint32(b, binary.LittleEndian.Uint32(b)|v)
}

// putMXFP4 is putWords for E2M1 codes, their bits moved to where halves have them.
func putMXFP4(dst []byte, lo, hi [2]uint64) {
	d := (*[60]byte)(dst)
	for i := range lo {
		a, b := joinBytes(lo[i], hi[i])
		a, b = moveE2M1(a), moveE2M1(b)
		binary.LittleEndian.PutUint32(d[8*i:], uint32(a))
		binary.LittleEndian.PutUint32(d[8*i+16:], uint32(a>>32))
		binary.LittleEndian.PutUint32(d[8*i+32:], uint32(b))
		binary.LittleEndian.PutUint32(d[8*i+48:], uint32(b>>32))
	}
}

// moveE2M1 takes 4 times 16 bits: 0-3 are the code of step 0, 4-7 that of step 2,
// 8-11 of step 1, 12-15 of step 3.
func moveE2M1(x uint64) uint64 {
	return x&0x0008000800080008<<12 | x&0x0007000700070007<<9 |
		x&0x0800080008000800<<1 | x&0x0700070007000700>>2 |
		x&0x0080008000800080<<7 | x&0x0070007000700070>>1 |
		x&0x8000800080008000>>2 | x&0x7000700070007000>>12
}

// putBytes writes 32 codes of Q8_0, two steps: a lane's words of a step are those
// of columns 2t, 2t+1 and of 2t+8, 2t+9, in every second byte.
func putBytes(dst, q []byte) {
	for i := range 4 {
		x := binary.LittleEndian.Uint64(q[8*i:]) ^ 0x8080808080808080
		d := (*[51]byte)(dst[4*i:])
		d[0], d[2] = byte(x), byte(x>>8)
		d[16], d[18] = byte(x>>16), byte(x>>24)
		d[32], d[34] = byte(x>>32), byte(x>>40)
		d[48], d[50] = byte(x>>48), byte(x>>56)
	}
}
