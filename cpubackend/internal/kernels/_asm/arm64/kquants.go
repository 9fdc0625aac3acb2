package main

// The scales of the super-blocks: a word of each row, that is four scales, in
// each lane of a vector.

// words makes room for four such vectors.
func (u *rows) words(name string) {
	for i := range 4 {
		u.s[name+string(rune('0'+i))] = u.v()
	}
}

func (u *rows) word4(name string) (v []V) {
	for i := range 4 {
		v = append(v, u.s[name+string(rune('0'+i))])
	}
	return v
}

// byteOf is byte i of each word as a float32, times d.
func (u *rows) byteOf(w V, i int, d V) V {
	v := u.v()
	switch i {
	case 3:
		u.ushr(b32, v, w, 24)
	default:
		u.shl(b32, v, w, 24-8*i)
		u.ushr(b32, v, v, 24)
	}
	u.ucvtf(v, v)
	u.fmul(v, v, d)
	return v
}

// signedByteOf is it for signed bytes.
func (u *rows) signedByteOf(w V, i int, d V) V {
	v := u.v()
	switch i {
	case 3:
		u.sshr(b32, v, w, 24)
	default:
		u.shl(b32, v, w, 24-8*i)
		u.sshr(b32, v, v, 24)
	}
	u.scvtf(v, v)
	u.fmul(v, v, d)
	return v
}

// Q4_K and Q5_K: d, dmin and 12 bytes of scales and minima are 16 bytes.
func headSetup(u *rows) {
	u.keep(15, 63)
	u.s["d"], u.s["m"] = u.v(), u.v()
	u.words("s") // scales 0-3, 4-7, minima 0-3, 4-7
}

func headQ4K(u *rows) {
	out := u.word4("s")
	u.scope(func() {
		w, t := u.vs(4), u.v()
		for i := range 4 {
			u.ldrQ(w[i], u.p[i], 0)
		}
		u.transpose(w)
		u.halves(w[0], u.s["d"], u.s["m"])
		u.fneg(u.s["m"], u.s["m"])
		u.and(out[0], w[1], u.c[63])
		u.and(out[2], w[2], u.c[63])
		u.ushr(b8, t, w[1], 6)
		u.shl(b8, t, t, 4)
		u.and(out[1], w[3], u.c[15])
		u.orr(out[1], out[1], t)
		u.ushr(b8, out[3], w[3], 4)
		u.ushr(b8, t, w[2], 6)
		u.sli(b8, out[3], t, 4)
	})
}

func scaleQ4K(u *rows, k, h int) V { return u.byteOf(u.word4("s")[k/4], k%4, u.s["d"]) }
func leastQ4K(u *rows, k, h int) V { return u.byteOf(u.word4("s")[2+k/4], k%4, u.s["m"]) }

// Q6_K: 16 signed scales, d behind them.
func headQ6K(u *rows) {
	out := u.word4("s")
	for i := range 4 {
		u.ldrQ(out[i], u.p[i], 192)
	}
	u.transpose(out)
	u.gather(b16, u.s["d"], 208)
	u.fcvtl(u.s["d"], u.s["d"])
}

// scaleSigned is for formats of 16 signed scales.
func scaleSigned(u *rows, k, h int) V {
	return u.signedByteOf(u.word4("s")[k/2], 2*(k%2)+h, u.s["d"])
}

// Q3_K: 16 bytes from 94 on end with the scales and d.
func setupQ3K(u *rows) {
	u.keep(7, 32, 63)
	u.s["d"] = u.v()
	u.words("s")
}

func headQ3K(u *rows) {
	out := u.word4("s")
	u.scope(func() {
		w, t := u.vs(4), u.v()
		for i := range 4 {
			u.ldrQ(w[i], u.p[i], 94)
			u.ext(w[i], w[i], w[i], 2)
		}
		u.transpose(w)
		u.uzp1(b16, u.s["d"], w[3], w[3])
		u.fcvtl(u.s["d"], u.s["d"])
		for i, s := range out {
			if i < 2 {
				u.mov(s, w[i])
			} else {
				u.ushr(b8, s, w[i-2], 4)
			}
			high := w[2]
			if i > 0 {
				u.ushr(b8, t, w[2], 2*i)
				high = t
			}
			u.sli(b8, s, high, 4)
			u.and(s, s, u.c[63])
			u.subv(b8, s, s, u.c[32])
		}
	})
}

func codesQ3K(u *rows, k, i int, lo, hi V) {
	u.bits(i, 32+k/4*32, 2*(k%4), lo, hi)
	u.above(i, 0, k, 2, lo, hi)
	u.andBoth(7, lo, hi)
}

// Q2_K: 16 bytes of scales and minima, d and dmin behind the codes.
func setupQ2K(u *rows) {
	u.keep(3, 15)
	u.s["d"], u.s["m"] = u.v(), u.v()
	u.words("s")
	u.words("m")
}

func headQ2K(u *rows) {
	scales, least := u.word4("s"), u.word4("m")
	for i := range 4 {
		u.ldrQ(scales[i], u.p[i], 0)
	}
	u.transpose(scales)
	for i := range 4 {
		u.ushr(b8, least[i], scales[i], 4)
		u.and(scales[i], scales[i], u.c[15])
	}
	u.scope(func() {
		t := u.v()
		u.gather(b32, t, 80)
		u.halves(t, u.s["d"], u.s["m"])
	})
	u.fneg(u.s["m"], u.s["m"])
}

func scaleQ2K(u *rows, k, h int) V { return u.byteOf(u.word4("s")[k/2], 2*(k%2)+h, u.s["d"]) }
func leastQ2K(u *rows, k, h int) V { return u.byteOf(u.word4("m")[k/2], 2*(k%2)+h, u.s["m"]) }

// IQ4_XS: d and the scales' upper bits are one word, their nibbles another.
func setupIQ4XS(u *rows) {
	scaleSetup(u)
	u.s["values"] = u.table(valuesIQ4)
	u.s["high"], u.s["low"] = u.v(), u.v()
	u.s["63"], u.s["32"] = u.all(63), u.all(32)
}

func headIQ4XS(u *rows) {
	u.gather(b32, u.s["high"], 0)
	u.gather(b32, u.s["low"], 4)
	u.uzp1(b16, u.s["d"], u.s["high"], u.s["high"])
	u.fcvtl(u.s["d"], u.s["d"])
}

func scaleIQ4XS(u *rows, k, h int) V {
	v, t := u.v(), u.v()
	if k == 0 {
		u.mov(v, u.s["low"])
	} else {
		u.ushr(b32, v, u.s["low"], 4*k)
	}
	u.ushr(b32, t, u.s["high"], 16+2*k)
	u.sli(b32, v, t, 4)
	u.and(v, v, u.s["63"])
	u.subv(b32, v, v, u.s["32"])
	u.scvtf(v, v)
	u.fmul(v, v, u.s["d"])
	return v
}
