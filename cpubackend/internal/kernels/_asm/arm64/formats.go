package main

// How the formats are unpacked. What each block looks like is said beside its
// plain version, dot_*.go of the kernels.

var formats = []format{
	{stem: "dot_q8_0", name: "Q8_0", bytes: 34, cells: 1, large: true,
		setup: scaleSetup, head: scaleHead, scale: scaleOf,
		codes: func(u *rows, k, i int, lo, hi V) {
			u.ldrQ(lo, u.p[i], 2)
			u.ldrQ(hi, u.p[i], 18)
		}},
	{stem: "dot_q4_0", name: "Q4_0", bytes: 18, cells: 1, bias: 8,
		setup: scaleSetup, head: scaleHead, scale: scaleOf,
		codes: func(u *rows, k, i int, lo, hi V) { u.nibbles(i, 2, lo, hi) }},
	{stem: "dot_q4_1", name: "Q4_1", bytes: 20, cells: 1, constant: true,
		setup: pairSetup, head: pairHead, scale: scaleOf, least: leastOf,
		codes: func(u *rows, k, i int, lo, hi V) { u.nibbles(i, 4, lo, hi) }},
	{stem: "dot_q5_0", name: "Q5_0", bytes: 22, cells: 1, bias: 16,
		setup: func(u *rows) { scaleSetup(u); u.fifthSetup() }, head: scaleHead, scale: scaleOf,
		codes: func(u *rows, k, i int, lo, hi V) { u.nibbles(i, 6, lo, hi); u.fifth(i, 2, lo, hi) }},
	{stem: "dot_q5_1", name: "Q5_1", bytes: 24, cells: 1, constant: true,
		setup: func(u *rows) { pairSetup(u); u.fifthSetup() }, head: pairHead, scale: scaleOf, least: leastOf,
		codes: func(u *rows, k, i int, lo, hi V) { u.nibbles(i, 8, lo, hi); u.fifth(i, 4, lo, hi) }},
	{stem: "dot_iq4", name: "IQ4NL", bytes: 18, cells: 1, large: true,
		setup: func(u *rows) { scaleSetup(u); u.s["values"] = u.table(valuesIQ4) }, head: scaleHead, scale: scaleOf,
		codes: func(u *rows, k, i int, lo, hi V) { u.values(i, 2, lo, hi) }},
	{stem: "dot_iq4", name: "IQ4XS", bytes: 136, cells: 8, large: true,
		setup: setupIQ4XS, head: headIQ4XS, scale: scaleIQ4XS,
		codes: func(u *rows, k, i int, lo, hi V) { u.values(i, 8+16*k, lo, hi) }},
	{stem: "dot_mxfp4", name: "MXFP4", bytes: 17, cells: 1,
		setup: setupMXFP4, head: headMXFP4, scale: scaleOf,
		codes: func(u *rows, k, i int, lo, hi V) { u.values(i, 1, lo, hi) }},
	{stem: "dot_q2_k", name: "Q2K", bytes: 84, cells: 8, constant: true, half: true,
		setup: setupQ2K, head: headQ2K, scale: scaleQ2K, least: leastQ2K,
		codes: func(u *rows, k, i int, lo, hi V) {
			u.bits(i, 16+k/4*32, 2*(k%4), lo, hi)
			u.andBoth(3, lo, hi)
		}},
	{stem: "dot_q3_k", name: "Q3K", bytes: 110, cells: 8, bias: 4, half: true,
		setup: setupQ3K, head: headQ3K, scale: scaleSigned, codes: codesQ3K},
	{stem: "dot_q4_k", name: "Q4K", bytes: 144, cells: 8, constant: true,
		setup: headSetup, head: headQ4K, scale: scaleQ4K, least: leastQ4K,
		codes: func(u *rows, k, i int, lo, hi V) {
			u.bits(i, 16+k/2*32, 4*(k%2), lo, hi)
			if k%2 == 0 {
				u.andBoth(15, lo, hi)
			}
		}},
	{stem: "dot_q5_k", name: "Q5K", bytes: 176, cells: 8, constant: true,
		setup: func(u *rows) { headSetup(u); u.keep(31) }, head: headQ4K, scale: scaleQ4K, least: leastQ4K,
		codes: func(u *rows, k, i int, lo, hi V) {
			u.bits(i, 48+k/2*32, 4*(k%2), lo, hi)
			u.above(i, 16, k, 4, lo, hi)
			u.andBoth(31, lo, hi)
		}},
	{stem: "dot_q6_k", name: "Q6K", bytes: 210, cells: 8, bias: 32, half: true,
		setup: func(u *rows) { u.keep(63); u.s["d"] = u.v(); u.words("s") }, head: headQ6K, scale: scaleSigned,
		codes: func(u *rows, k, i int, lo, hi V) {
			h, j := k/4, k%4
			u.bits(i, 64*h+32*(j%2), j/2*4, lo, hi)
			u.above(i, 128+32*h, 2*j, 4, lo, hi)
			u.andBoth(63, lo, hi)
		}},
}

var (
	valuesIQ4   = table(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
	valuesMXFP4 = table(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)
)

func table(v ...int8) (b [16]byte) {
	for i, x := range v {
		b[i] = byte(x)
	}
	return b
}

// Blocks of 32 that begin with a scale, or a scale and a minimum.
func scaleSetup(u *rows) { u.keep(15); u.s["d"] = u.v() }

func scaleHead(u *rows) {
	u.gather(b16, u.s["d"], 0)
	u.fcvtl(u.s["d"], u.s["d"])
}

func scaleOf(u *rows, k, h int) V { return u.s["d"] }

func pairSetup(u *rows) { scaleSetup(u); u.s["m"] = u.v() }

func pairHead(u *rows) {
	u.scope(func() {
		t := u.v()
		u.gather(b32, t, 0)
		u.halves(t, u.s["d"], u.s["m"])
	})
}

// halves widens the even halves of t to d and the odd ones to m.
func (u *rows) halves(t, d, m V) {
	u.uzp1(b16, d, t, t)
	u.fcvtl(d, d)
	u.uzp2(b16, m, t, t)
	u.fcvtl(m, m)
}

func leastOf(u *rows, k, h int) V { return u.s["m"] }

// nibbles unpacks 16 bytes: low nibbles are the first 16 codes.
func (u *rows) nibbles(i, off int, lo, hi V) {
	u.ldrQ(hi, u.p[i], off)
	u.and(lo, hi, u.c[15])
	u.ushr(b8, hi, hi, 4)
}

// values looks nibbles up.
func (u *rows) values(i, off int, lo, hi V) {
	u.nibbles(i, off, lo, hi)
	u.tbl(lo, u.s["values"], lo)
	u.tbl(hi, u.s["values"], hi)
}

func (u *rows) fifthSetup() {
	u.keep(16)
	var low, high, bit [16]byte
	for i := range 16 {
		low[i], high[i], bit[i] = byte(i/8), byte(2+i/8), 1<<(i%8)
	}
	u.s["low"], u.s["high"], u.s["bit"] = u.table(low), u.table(high), u.table(bit)
}

// fifth adds 16 to the codes whose bit of a 32-bit word is set.
func (u *rows) fifth(i, off int, lo, hi V) {
	u.scope(func() {
		w, t := u.v(), u.v()
		u.ldr(b32, w, u.p[i], off)
		for _, part := range []struct{ which, v V }{{u.s["low"], lo}, {u.s["high"], hi}} {
			u.tbl(t, w, part.which)
			u.cmtst(t, t, u.s["bit"])
			u.and(t, t, u.c[16])
			u.orr(part.v, part.v, t)
		}
	})
}

// bits loads 32 bytes, shifted to the right.
func (u *rows) bits(i, off, shift int, lo, hi V) {
	u.ldrQ(lo, u.p[i], off)
	u.ldrQ(hi, u.p[i], off+16)
	if shift > 0 {
		u.ushr(b8, lo, lo, shift)
		u.ushr(b8, hi, hi, shift)
	}
}

// above puts 32 bytes, shifted to the right, above the lowest bits of lo and hi.
func (u *rows) above(i, off, shift, keep int, lo, hi V) {
	u.scope(func() {
		t, v := u.v(), u.v()
		u.bits(i, off, shift, t, v)
		u.sli(b8, lo, t, keep)
		u.sli(b8, hi, v, keep)
	})
}

func (u *rows) andBoth(mask byte, lo, hi V) {
	u.and(lo, lo, u.c[mask])
	u.and(hi, hi, u.c[mask])
}

// MXFP4's scale is 2^(e-128), subnormal for e < 2.
func setupMXFP4(u *rows) {
	scaleSetup(u)
	u.s["values"] = u.table(valuesMXFP4)
	u.s["subnormal"] = u.all(0x200000)
	u.s["two"], u.s["one"] = u.all(2), u.all(1)
}

func headMXFP4(u *rows) {
	d := u.s["d"]
	u.scope(func() {
		e, t, n := u.v(), u.v(), u.v()
		u.ldr(b8, e, u.p[0], 0)
		for i := 1; i < 4; i++ { // loading a byte clears the rest, so a word is the exponent
			u.ldr(b8, t, u.p[i], 0)
			u.ins(b32, e, i, t)
		}
		u.subv(b32, n, e, u.s["one"])
		u.shl(b32, n, n, 23)
		u.ushlv(b32, t, u.s["subnormal"], e)
		u.cmhi(b32, d, u.s["two"], e)
		u.bsl(d, t, n)
	})
}
