package kernels

import (
	"encoding/binary"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// kScales writes a row's scales of Q4_K or Q5_K, 16 bytes in 4 words: d and -dmin,
// then, scales s in the lower half and minima m in the upper,
//
//	word 1   bits 0-5 s[0]   6-11 s[1]   12-15 s[6] bits 0-3
//	word 2   bits 0-5 s[2]   6-11 s[3]   12-15 s[7] bits 0-3
//	word 3   bits 0-5 s[4]   6-11 s[5]   12-13 s[6] bits 4-5   14-15 s[7] bits 4-5
func (r *repacker) kScales(dst, b []byte) {
	binary.LittleEndian.PutUint16(dst, scaleHalf(b, r.exp))
	binary.LittleEndian.PutUint16(dst[2:], scaleHalf(b[2:], r.exp)^0x8000)
	x, y, z := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
	s := pack6(x&0x3f3f3f3f, z&0x0f0f0f0f|x>>2&0x30303030)
	m := pack6(y&0x3f3f3f3f, z>>4&0x0f0f0f0f|y>>2&0x30303030)
	for i := range s {
		binary.LittleEndian.PutUint32(dst[4+4*i:], s[i]|m[i]<<16)
	}
}

// pack6 packs 8 bytes of 6 bits, those of groups 0..3 and 4..7, into 3 halves.
func pack6(a, b uint32) [3]uint32 {
	return [3]uint32{
		a&0x3f | a>>8&0x3f<<6 | b>>16&0x0f<<12,
		a>>16&0x3f | a>>24&0x3f<<6 | b>>24&0x0f<<12,
		b&0x3f | b>>8&0x3f<<6 | b>>20&3<<12 | b>>28&3<<14,
	}
}

// unitQ45K writes the codes of a row: byte l of 32 has columns l and l+32 of a
// part, steps 0 and 2 where l < 16.
func (r *repacker) unitQ45K(u []byte, g, up int, b []byte) {
	codes := b[16:]
	var high [4]uint64
	if r.Format == FormatQ5_K {
		codes = b[48:]
		for i := range high {
			high[i] = binary.LittleEndian.Uint64(b[16+8*i:])
		}
	}
	for part := range 4 {
		c := (*[32]byte)(codes[32*part:])
		lo := [2]uint64{binary.LittleEndian.Uint64(c[0:]), binary.LittleEndian.Uint64(c[8:])}
		hi := [2]uint64{binary.LittleEndian.Uint64(c[16:]), binary.LittleEndian.Uint64(c[24:])}
		putWords(u[512*part+64*g+4*up:], lo, hi)
		if r.Format == FormatQ5_K {
			const one = 0x0101010101010101
			pick := func(x uint64) uint64 { return x>>(2*part)&one | x>>(2*part+1)&one<<4 }
			lo, hi = [2]uint64{pick(high[0]), pick(high[1])}, [2]uint64{pick(high[2]), pick(high[3])}
			orWords(u[FormatQ5_K.highAt()+64*g+4*part:], 16, 0, up, up+2, lo, hi)
		}
	}
}

// unitQ6K writes a row of Q6_K. Parts 2h and 2h+1 are the lower and upper nibbles
// of 64 bytes: bytes l and l+32 have columns l and l+32 of the part.
func (r *repacker) unitQ6K(u, scale []byte, g, up int, b []byte) {
	for i, s := range b[192:208] {
		scale[i] = s ^ 0x80
	}
	binary.LittleEndian.PutUint16(u[FormatQ6_K.superAt()+4*g+2*up:], scaleHalf(b[208:], r.exp))
	const nibble, two = 0x0f0f0f0f0f0f0f0f, 0x0303030303030303
	for part := range 4 {
		low, high := b[64*(part/2):], b[128+32*(part/2):]
		shift := 4 * (part % 2)
		word := func(l int) uint64 {
			x, y := binary.LittleEndian.Uint64(low[l:]), binary.LittleEndian.Uint64(low[32+l:])
			return x>>shift&nibble | y>>shift&nibble<<4
		}
		bits := func(l int) uint64 {
			x := binary.LittleEndian.Uint64(high[l:]) >> shift
			return x&two | x>>2&two<<4
		}
		putWords(u[512*part+64*g+4*up:], [2]uint64{word(0), word(8)}, [2]uint64{word(16), word(24)})
		orWords(u[FormatQ6_K.highAt()+512*(part/2)+64*g+8*(part%2):], 16, 4, 2*up, 2*up,
			[2]uint64{bits(0), bits(8)}, [2]uint64{bits(16), bits(24)})
	}
}

// rowF16 writes a row as halves, multiplied by 2^exp.
func (r *repacker) rowF16(tile []byte, i int, src []byte) {
	if r.t != tensor.F16 && r.t != tensor.BF16 {
		if r.values == nil {
			r.values = make([]float32, r.K)
		}
		tensor.Dequantize(r.values, r.t, src)
	}
	var h [128]byte
	for k := 0; k < r.K; k += 64 {
		n := min(64, r.K-k)
		switch r.t {
		case tensor.F16:
			copy(h[:2*n], src[2*k:])
		case tensor.BF16:
			r.bf16(h[:2*n], src[2*k:])
		default:
			for j, v := range r.values[k : k+n] {
				binary.LittleEndian.PutUint16(h[2*j:], tensor.F32ToF16(v*r.mul))
			}
		}
		clear(h[2*n:])
		u := tile[k/64*2048+(i%8)*64+i/8*4:]
		for s := range 4 {
			putRowF16((*[60]byte)(u[512*s:]), (*[32]byte)(h[32*s:]))
		}
	}
}

// putRowF16 writes 16 columns of a row: pair j is lane j%4's register i/8 + 2*(j/4).
func putRowF16(u *[60]byte, h *[32]byte) {
	for t := range 4 {
		binary.LittleEndian.PutUint32(u[16*t:], binary.LittleEndian.Uint32(h[4*t:]))
		binary.LittleEndian.PutUint32(u[16*t+8:], binary.LittleEndian.Uint32(h[4*t+16:]))
	}
}

// bf16 converts, 4 at a time where all results are normal halves: these have three
// mantissa bits more, and an exponent that is so much smaller.
func (r *repacker) bf16(h, src []byte) {
	const high, ones = 0x8000800080008000, 0x0001000100010001
	base := uint64(112-r.exp) << 7
	least, most := (base+0x80)*ones, (base+0xf80)*ones
	for ; len(h) >= 8; h, src = h[8:], src[8:] {
		x := binary.LittleEndian.Uint64(src)
		m := x | high
		above := m - least // the high bits stay where m is at least that
		if above&high != high || (m-most)&high != 0 {
			r.bf16Slow(h[:8], src)
			continue
		}
		binary.LittleEndian.PutUint64(h, x&high|(above&^high+0x80*ones)<<3)
	}
	r.bf16Slow(h, src)
}

func (r *repacker) bf16Slow(h, src []byte) {
	for j := 0; j < len(h); j += 2 {
		v := tensor.BF16ToF32(binary.LittleEndian.Uint16(src[j:])) * r.mul
		binary.LittleEndian.PutUint16(h[j:], tensor.F32ToF16(v))
	}
}
