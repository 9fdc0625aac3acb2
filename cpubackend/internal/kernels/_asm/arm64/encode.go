package main

import "fmt"

// The vector instructions, encoded by the fields that the Arm Architecture
// Reference Manual (DDI 0487, section C4.1, "Data Processing -- Scalar
// Floating-Point and Advanced SIMD" and "Loads and Stores") gives for their
// class. All work on 128 bits. The comment of each word is the instruction in
// the manual's syntax; a test compares it with what a disassembler says.

// word is an encoded instruction and its meaning.
type word struct {
	code uint32
	text string
}

func (a *asm) word(code uint32, format string, args ...any) {
	w := word{code, fmt.Sprintf(format, args...)}
	a.words = append(a.words, w)
	a.op("WORD $%#08x // %s", w.code, w.text)
}

// Element sizes, as the size field has them.
const (
	b8 = iota
	b16
	b32
	b64
)

// full names the arrangement of a whole register.
var full = [4]string{"16b", "8h", "4s", "2d"}

// half names the arrangement of the lower half.
var half = [4]string{"8b", "4h", "2s", "1d"}

// three same: 0 Q U 01110 size 1 Rm opcode:5 1 Rn Rd.
func (a *asm) three(name string, u, size, opcode, lanes int, d, n, m V) {
	a.word(1<<30|uint32(u)<<29|0x0e200400|uint32(size)<<22|uint32(opcode)<<11|uint32(m)<<16|uint32(n)<<5|uint32(d),
		"%s v%d.%s, v%d.%s, v%d.%s", name, d, full[lanes], n, full[lanes], m, full[lanes])
}

// Floating point: the upper bit of size is part of the operation, the lower one 0
// for single precision.
func (a *asm) fadd(d, n, m V)   { a.three("fadd", 0, 0, 0b11010, b32, d, n, m) }
func (a *asm) fsub(d, n, m V)   { a.three("fsub", 0, 2, 0b11010, b32, d, n, m) }
func (a *asm) fmul(d, n, m V)   { a.three("fmul", 1, 0, 0b11011, b32, d, n, m) }
func (a *asm) fdiv(d, n, m V)   { a.three("fdiv", 1, 0, 0b11111, b32, d, n, m) }
func (a *asm) fmla(d, n, m V)   { a.three("fmla", 0, 0, 0b11001, b32, d, n, m) }
func (a *asm) fmls(d, n, m V)   { a.three("fmls", 0, 2, 0b11001, b32, d, n, m) }
func (a *asm) fmax(d, n, m V)   { a.three("fmax", 0, 0, 0b11110, b32, d, n, m) }
func (a *asm) fmin(d, n, m V)   { a.three("fmin", 0, 2, 0b11110, b32, d, n, m) }
func (a *asm) fmaxnm(d, n, m V) { a.three("fmaxnm", 0, 0, 0b11000, b32, d, n, m) }
func (a *asm) fcmgt(d, n, m V)  { a.three("fcmgt", 1, 2, 0b11100, b32, d, n, m) }
func (a *asm) faddp(d, n, m V)  { a.three("faddp", 1, 0, 0b11010, b32, d, n, m) }

// Logic: size is part of the operation.
func (a *asm) and(d, n, m V) { a.three("and", 0, 0, 0b00011, b8, d, n, m) }
func (a *asm) bic(d, n, m V) { a.three("bic", 0, 1, 0b00011, b8, d, n, m) }
func (a *asm) eor(d, n, m V) { a.three("eor", 1, 0, 0b00011, b8, d, n, m) }
func (a *asm) bsl(d, n, m V) { a.three("bsl", 1, 1, 0b00011, b8, d, n, m) }

func (a *asm) orr(d, n, m V) {
	if n == m { // what a disassembler calls it
		a.word(1<<30|0x0ea01c00|uint32(m)<<16|uint32(n)<<5|uint32(d), "mov v%d.16b, v%d.16b", d, n)
		return
	}
	a.three("orr", 0, 2, 0b00011, b8, d, n, m)
}

func (a *asm) mov(d, n V) { a.orr(d, n, n) }

// Integers.
func (a *asm) addv(lanes int, d, n, m V)  { a.three("add", 0, lanes, 0b10000, lanes, d, n, m) }
func (a *asm) subv(lanes int, d, n, m V)  { a.three("sub", 1, lanes, 0b10000, lanes, d, n, m) }
func (a *asm) addp(d, n, m V)             { a.three("addp", 0, b32, 0b10111, b32, d, n, m) }
func (a *asm) umax(d, n, m V)             { a.three("umax", 1, b32, 0b01100, b32, d, n, m) }
func (a *asm) cmtst(d, n, m V)            { a.three("cmtst", 0, b8, 0b10001, b8, d, n, m) }
func (a *asm) cmtstWords(d, n, m V)       { a.three("cmtst", 0, b32, 0b10001, b32, d, n, m) }
func (a *asm) cmhi(lanes int, d, n, m V)  { a.three("cmhi", 1, lanes, 0b00110, lanes, d, n, m) }
func (a *asm) ushlv(lanes int, d, n, m V) { a.three("ushl", 1, lanes, 0b01000, lanes, d, n, m) }

// three different: 0 Q U 01110 size 1 Rm opcode:4 00 Rn Rd; Q selects the upper
// halves of n and m.
func (a *asm) long(name string, upper, opcode int, d, n, m V) {
	suffix, from := "", half[b8]
	if upper == 1 {
		suffix, from = "2", full[b8]
	}
	a.word(uint32(upper)<<30|0x0e200000|uint32(opcode)<<12|uint32(m)<<16|uint32(n)<<5|uint32(d),
		"%s%s v%d.8h, v%d.%s, v%d.%s", name, suffix, d, n, from, m, from)
}

func (a *asm) smull(d, n, m V)  { a.long("smull", 0, 0b1100, d, n, m) }
func (a *asm) smull2(d, n, m V) { a.long("smull", 1, 0b1100, d, n, m) }
func (a *asm) smlal(d, n, m V)  { a.long("smlal", 0, 0b1000, d, n, m) }
func (a *asm) smlal2(d, n, m V) { a.long("smlal", 1, 0b1000, d, n, m) }

// two registers: 0 Q U 01110 size 10000 opcode:5 10 Rn Rd.
func two(q, u, size, opcode int, d, n V) uint32 {
	return uint32(q)<<30 | uint32(u)<<29 | 0x0e200800 | uint32(size)<<22 | uint32(opcode)<<12 | uint32(n)<<5 | uint32(d)
}

func (a *asm) scvtf(d, n V)  { a.word(two(1, 0, 0, 0b11101, d, n), "scvtf v%d.4s, v%d.4s", d, n) }
func (a *asm) ucvtf(d, n V)  { a.word(two(1, 1, 0, 0b11101, d, n), "ucvtf v%d.4s, v%d.4s", d, n) }
func (a *asm) fcvtns(d, n V) { a.word(two(1, 0, 0, 0b11010, d, n), "fcvtns v%d.4s, v%d.4s", d, n) }
func (a *asm) fabs(d, n V)   { a.word(two(1, 0, 2, 0b01111, d, n), "fabs v%d.4s, v%d.4s", d, n) }
func (a *asm) fneg(d, n V)   { a.word(two(1, 1, 2, 0b01111, d, n), "fneg v%d.4s, v%d.4s", d, n) }
func (a *asm) fcvtl(d, n V)  { a.word(two(0, 0, 0, 0b10111, d, n), "fcvtl v%d.4s, v%d.4h", d, n) }
func (a *asm) fcvtl2(d, n V) { a.word(two(1, 0, 0, 0b10111, d, n), "fcvtl2 v%d.4s, v%d.8h", d, n) }
func (a *asm) fcvtn(d, n V)  { a.word(two(0, 0, 0, 0b10110, d, n), "fcvtn v%d.4h, v%d.4s", d, n) }
func (a *asm) fcvtn2(d, n V) { a.word(two(1, 0, 0, 0b10110, d, n), "fcvtn2 v%d.8h, v%d.4s", d, n) }
func (a *asm) shll(d, n V)   { a.word(two(0, 1, b16, 0b10011, d, n), "shll v%d.4s, v%d.4h, #16", d, n) }
func (a *asm) shll2(d, n V)  { a.word(two(1, 1, b16, 0b10011, d, n), "shll2 v%d.4s, v%d.8h, #16", d, n) }
func (a *asm) saddlp(d, n V) { a.word(two(1, 0, b16, 0b00010, d, n), "saddlp v%d.4s, v%d.8h", d, n) }
func (a *asm) sadalp(d, n V) { a.word(two(1, 0, b16, 0b00110, d, n), "sadalp v%d.4s, v%d.8h", d, n) }

// xtn narrows to lanes of the given size.
func (a *asm) xtn(lanes int, d, n V) {
	a.word(two(0, 0, lanes, 0b10010, d, n), "xtn v%d.%s, v%d.%s", d, half[lanes], n, full[lanes+1])
}

func (a *asm) xtn2(lanes int, d, n V) {
	a.word(two(1, 0, lanes, 0b10010, d, n), "xtn2 v%d.%s, v%d.%s", d, full[lanes], n, full[lanes+1])
}

// across lanes: 0 Q U 01110 size 11000 opcode:5 10 Rn Rd.
func across(u, size, opcode int, d, n V) uint32 {
	return 1<<30 | uint32(u)<<29 | 0x0e300800 | uint32(size)<<22 | uint32(opcode)<<12 | uint32(n)<<5 | uint32(d)
}

func (a *asm) umaxv(d, n V)   { a.word(across(1, b32, 0b01010, d, n), "umaxv s%d, v%d.4s", d, n) }
func (a *asm) saddlv(d, n V)  { a.word(across(0, b8, 0b00011, d, n), "saddlv h%d, v%d.16b", d, n) }
func (a *asm) fmaxnmv(d, n V) { a.word(across(1, 0, 0b01100, d, n), "fmaxnmv s%d, v%d.4s", d, n) }

// permute: 0 Q 001110 size 0 Rm 0 opcode:3 10 Rn Rd.
func (a *asm) permute(name string, opcode, lanes int, d, n, m V) {
	a.word(1<<30|0x0e000800|uint32(lanes)<<22|uint32(opcode)<<12|uint32(m)<<16|uint32(n)<<5|uint32(d),
		"%s v%d.%s, v%d.%s, v%d.%s", name, d, full[lanes], n, full[lanes], m, full[lanes])
}

func (a *asm) uzp1(lanes int, d, n, m V) { a.permute("uzp1", 1, lanes, d, n, m) }
func (a *asm) trn1(lanes int, d, n, m V) { a.permute("trn1", 2, lanes, d, n, m) }
func (a *asm) zip1(lanes int, d, n, m V) { a.permute("zip1", 3, lanes, d, n, m) }
func (a *asm) uzp2(lanes int, d, n, m V) { a.permute("uzp2", 5, lanes, d, n, m) }
func (a *asm) trn2(lanes int, d, n, m V) { a.permute("trn2", 6, lanes, d, n, m) }
func (a *asm) zip2(lanes int, d, n, m V) { a.permute("zip2", 7, lanes, d, n, m) }

// ext takes 16 bytes out of n then m, from byte i on: 0 Q 101110000 Rm 0 imm4 0 Rn Rd.
func (a *asm) ext(d, n, m V, i int) {
	a.word(0x6e000000|uint32(m)<<16|uint32(i)<<11|uint32(n)<<5|uint32(d), "ext v%d.16b, v%d.16b, v%d.16b, #%d", d, n, m, i)
}

// tbl looks the bytes of m up in n: 0 Q 001110000 Rm 0 len op 00 Rn Rd.
func (a *asm) tbl(d, n, m V) {
	a.word(0x4e000000|uint32(m)<<16|uint32(n)<<5|uint32(d), "tbl v%d.16b, {v%d.16b}, v%d.16b", d, n, m)
}

// copies: 0 Q op 01110000 imm5 0 imm4 1 Rn Rd; imm5 is the lane above a one at
// the element's size.
func (a *asm) dup(d, n V, lane int) {
	a.word(0x4e000400|uint32(lane<<3|4)<<16|uint32(n)<<5|uint32(d), "dup v%d.4s, v%d.s[%d]", d, n, lane)
}

func (a *asm) dupGeneral(d V, n R) {
	a.word(0x4e000c00|4<<16|uint32(n)<<5|uint32(d), "dup v%d.4s, w%d", d, int(n))
}

func (a *asm) insGeneralD(d V, lane int, n R) {
	a.word(0x4e001c00|uint32(lane<<4|8)<<16|uint32(n)<<5|uint32(d), "mov v%d.d[%d], x%d", d, lane, int(n))
}

// ins moves lane 0 of n into a lane of d.
func (a *asm) ins(lanes int, d V, lane int, n V) {
	imm5 := uint32(lane)<<(lanes+1) | 1<<lanes
	a.word(0x6e000400|imm5<<16|uint32(n)<<5|uint32(d), "mov v%d.%c[%d], v%d.%c[0]", d, "bhsd"[lanes], lane, n, "bhsd"[lanes])
}

func (a *asm) umovS(d R, n V, lane int) {
	a.word(0x0e003c00|uint32(lane<<3|4)<<16|uint32(n)<<5|uint32(d), "mov w%d, v%d.s[%d]", int(d), n, lane)
}

func (a *asm) umovD(d R, n V, lane int) {
	a.word(0x4e003c00|uint32(lane<<4|8)<<16|uint32(n)<<5|uint32(d), "mov x%d, v%d.d[%d]", int(d), n, lane)
}

// smovH sign-extends a lane to 32 bits.
func (a *asm) smovH(d R, n V, lane int) {
	a.word(0x0e002c00|uint32(lane<<2|2)<<16|uint32(n)<<5|uint32(d), "smov w%d, v%d.h[%d]", int(d), n, lane)
}

// shifts by a constant: 0 Q U 011110 immh:immb opcode:5 1 Rn Rd, where a shift to
// the right by s is 2*bits - s, one to the left bits + s.
func (a *asm) shift(name string, u, opcode, lanes, imm, s int, d, n V) {
	a.word(0x4f000400|uint32(u)<<29|uint32(imm)<<16|uint32(opcode)<<11|uint32(n)<<5|uint32(d),
		"%s v%d.%s, v%d.%s, #%d", name, d, full[lanes], n, full[lanes], s)
}

func (a *asm) ushr(lanes int, d, n V, s int) { a.shift("ushr", 1, 0, lanes, 16<<lanes-s, s, d, n) }
func (a *asm) sshr(lanes int, d, n V, s int) { a.shift("sshr", 0, 0, lanes, 16<<lanes-s, s, d, n) }
func (a *asm) shl(lanes int, d, n V, s int)  { a.shift("shl", 0, 0b01010, lanes, 8<<lanes+s, s, d, n) }

// sli puts n shifted left over d, whose lowest s bits stay.
func (a *asm) sli(lanes int, d, n V, s int) { a.shift("sli", 1, 0b01010, lanes, 8<<lanes+s, s, d, n) }

// movi sets all bytes: 0 Q op 0111100000 a:b:c cmode:4 01 d:e:f:g:h Rd.
func (a *asm) movi(d V, b byte) {
	a.word(0x4f00e400|uint32(b>>5)<<16|uint32(b&31)<<5|uint32(d), "movi v%d.16b, #0x%x", d, b)
}

// by element: 0 Q U 01111 size L M Rm opcode:4 H 0 Rn Rd; H:L is the lane.
func (a *asm) element(name string, opcode int, d, n, m V, lane int) uint32 {
	return 0x4f800000 | uint32(opcode)<<12 | uint32(lane&1)<<21 | uint32(lane>>1)<<11 | uint32(m)<<16 | uint32(n)<<5 | uint32(d)
}

func (a *asm) fmlaLane(d, n, m V, lane int) {
	a.word(a.element("fmla", 1, d, n, m, lane), "fmla v%d.4s, v%d.4s, v%d.s[%d]", d, n, m, lane)
}

func (a *asm) fmulLane(d, n, m V, lane int) {
	a.word(a.element("fmul", 9, d, n, m, lane), "fmul v%d.4s, v%d.4s, v%d.s[%d]", d, n, m, lane)
}

// sdotLane adds to each lane the four products of n's bytes with those of one
// lane of m (FEAT_DotProd).
func (a *asm) sdotLane(d, n, m V, lane int) {
	a.word(a.element("sdot", 14, d, n, m, lane), "sdot v%d.4s, v%d.16b, v%d.4b[%d]", d, n, m, lane)
}

// three same, extra: 0 Q U 01110 size 0 Rm 1 opcode:4 1 Rn Rd.
func (a *asm) extra(name string, opcode int, d, n, m V) {
	a.word(0x4e808400|uint32(opcode)<<11|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.4s, v%d.16b, v%d.16b", name, d, n, m)
}

// sdot adds to each lane the four products of its bytes (FEAT_DotProd).
func (a *asm) sdot(d, n, m V) { a.extra("sdot", 2, d, n, m) }

// smmla adds the (2, 8) by (8, 2) product of bytes to d, (2, 2); m is transposed
// (FEAT_I8MM).
func (a *asm) smmla(d, n, m V) { a.extra("smmla", 4, d, n, m) }

// Loads and stores of a vector register or its lowest part: an offset that is a
// multiple of the size is in units of it (size:2 111101 opc:2 imm12 Rn Rt), any
// other is up to 255 bytes (size:2 111100 opc:2 0 imm9 00 Rn Rt). A whole
// register is size 0 with the upper bit of opc set.
func (a *asm) memory(name string, store bool, scale int, v V, base R, off int) {
	size, opc := uint32(scale), uint32(1)
	if store {
		opc = 0
	}
	if scale == 4 {
		size, opc = 0, opc|2
	}
	at := fmt.Sprintf("[x%d, #%d]", int(base), off)
	if off == 0 {
		at = fmt.Sprintf("[x%d]", int(base))
	}
	reg := fmt.Sprintf("%c%d", "bhsdq"[scale], int(v))
	if off >= 0 && off%(1<<scale) == 0 && off>>scale < 4096 {
		a.word(size<<30|0x3d000000|opc<<22|uint32(off>>scale)<<10|uint32(base)<<5|uint32(v), "%sr %s, %s", name, reg, at)
		return
	}
	if off < -256 || off > 255 {
		panic(fmt.Sprintf("offset %d is out of reach", off))
	}
	a.word(size<<30|0x3c000000|opc<<22|uint32(off&0x1ff)<<12|uint32(base)<<5|uint32(v), "%sur %s, %s", name, reg, at)
}

func (a *asm) ldrQ(v V, base R, off int) { a.memory("ld", false, 4, v, base, off) }
func (a *asm) strQ(v V, base R, off int) { a.memory("st", true, 4, v, base, off) }

// ldr loads one element and clears the rest of the register.
func (a *asm) ldr(lanes int, v V, base R, off int) { a.memory("ld", false, lanes, v, base, off) }

// ldpQ loads two registers; off is a multiple of 16, at most 1008.
func (a *asm) ldpQ(v, w V, base R, off int) {
	at := fmt.Sprintf("[x%d, #%d]", int(base), off)
	if off == 0 {
		at = fmt.Sprintf("[x%d]", int(base))
	}
	a.word(0xad400000|uint32(off/16)<<15|uint32(w)<<10|uint32(base)<<5|uint32(v), "ldp q%d, q%d, %s", v, w, at)
}
