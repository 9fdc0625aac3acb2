package main

import "math"

// The operations on rows of float32, eight numbers a turn.

// turns divides n, which may be 0, by 8 and goes to end if nothing is left.
func (a *asm) turns(n R, end string) {
	a.op("LSR $3, %v", n)
	a.op("CBZ %v, %s", n, end)
}

// advance moves pointers on by 8 numbers of so many bytes.
func (a *asm) advance(size int, p ...R) {
	for _, r := range p {
		a.add(r, 8*size)
	}
}

func emitVector(a *asm) {
	sumSquares(a)
	scaleMul(a)
	addRows(a)
	siluMul(a)
}

func sumSquares(a *asm) {
	a.function("sumSquaresNEON", "x *float32, n int", "float32", "adds up the squares of n numbers.")
	x, n := a.arg("x"), a.arg("n")
	acc, v := a.zeros(2), a.vs(2)
	end := a.label("end")
	a.turns(n, end)
	a.loop(n, 1, func() {
		a.ldpQ(v[0], v[1], x, 0)
		a.fmla(acc[0], v[0], v[0])
		a.fmla(acc[1], v[1], v[1])
		a.advance(4, x)
	})
	a.place(end)
	a.fadd(acc[0], acc[0], acc[1])
	a.sumFloat(acc[0])
	a.returnS(acc[0])
}

func scaleMul(a *asm) {
	a.function("scaleMulNEON", "dst, x, w *float32, n int, scale float32", "", "sets dst = x*scale*w over n numbers.")
	dst, x, w, n := a.arg("dst"), a.arg("x"), a.arg("w"), a.arg("n")
	scale, v, u := a.argAll("scale"), a.vs(2), a.vs(2)
	end := a.label("end")
	a.turns(n, end)
	a.loop(n, 1, func() {
		a.ldpQ(v[0], v[1], x, 0)
		a.ldpQ(u[0], u[1], w, 0)
		for i := range 2 {
			a.fmul(v[i], v[i], scale)
			a.fmul(v[i], v[i], u[i])
			a.strQ(v[i], dst, 16*i)
		}
		a.advance(4, dst, x, w)
	})
	a.place(end)
	a.ret()
}

func addRows(a *asm) {
	a.function("addNEON", "dst, x *float32, n int", "", "adds n numbers of x to dst.")
	dst, x, n := a.arg("dst"), a.arg("x"), a.arg("n")
	v, u := a.vs(2), a.vs(2)
	end := a.label("end")
	a.turns(n, end)
	a.loop(n, 1, func() {
		a.ldpQ(v[0], v[1], dst, 0)
		a.ldpQ(u[0], u[1], x, 0)
		for i := range 2 {
			a.fadd(v[i], v[i], u[i])
			a.strQ(v[i], dst, 16*i)
		}
		a.advance(4, dst, x)
	})
	a.place(end)
	a.ret()
}

func siluMul(a *asm) {
	a.function("siluMulNEON", "dst, gate, up *float32, n int", "", "sets dst = gate/(1+exp(-gate))*up over n numbers.")
	dst, gate, up, n := a.arg("dst"), a.arg("gate"), a.arg("up"), a.arg("n")
	e, one, g, u := newExp(a), a.allFloat(1), a.vs(2), a.vs(2)
	end := a.label("end")
	a.turns(n, end)
	a.loop(n, 1, func() {
		a.ldpQ(g[0], g[1], gate, 0)
		a.ldpQ(u[0], u[1], up, 0)
		for i := range 2 {
			a.scope(func() {
				x := a.v()
				a.fneg(x, g[i])
				e.exp(x)
				a.fadd(x, x, one)
				a.fdiv(g[i], g[i], x)
				a.fmul(g[i], g[i], u[i])
				a.strQ(g[i], dst, 16*i)
			})
		}
		a.advance(4, dst, gate, up)
	})
	a.place(end)
	a.ret()
}

func emitSoftmax(a *asm) {
	a.function("maxNEON", "x *float32, n int", "float32", "is the largest of n numbers, n > 0.")
	x, n := a.arg("x"), a.arg("n")
	acc, v := a.allFloat(float32(math.Inf(-1))), a.vs(2)
	end := a.label("end")
	a.turns(n, end)
	a.loop(n, 1, func() {
		a.ldpQ(v[0], v[1], x, 0)
		a.fmaxnm(v[0], v[0], v[1])
		a.fmaxnm(acc, acc, v[0])
		a.advance(4, x)
	})
	a.place(end)
	a.fmaxnmv(acc, acc)
	a.returnS(acc)

	a.function("expSumNEON", "x *float32, n int, max float32", "float32", "sets x = exp(x-max) over n numbers and adds them up.")
	x, n = a.arg("x"), a.arg("n")
	top := a.argAll("max")
	e, sum, v := newExp(a), a.zeros(2), a.vs(2)
	end = a.label("end")
	a.turns(n, end)
	a.loop(n, 1, func() {
		a.ldpQ(v[0], v[1], x, 0)
		for i := range 2 {
			a.fsub(v[i], v[i], top)
			e.exp(v[i])
			a.strQ(v[i], x, 16*i)
			a.fadd(sum[i], sum[i], v[i])
		}
		a.advance(4, x)
	})
	a.place(end)
	a.fadd(sum[0], sum[0], sum[1])
	a.sumFloat(sum[0])
	a.returnS(sum[0])
}

// expParts are the constants of exp, the same as in softmax.go of the kernels.
type expParts struct {
	*asm
	low, high, log2e, ln2High, ln2Low, bias V
	poly                                    [7]V
}

func newExp(a *asm) *expParts {
	e := &expParts{asm: a, low: a.allFloat(-87.33654), high: a.allFloat(89), log2e: a.allFloat(1.44269504),
		ln2High: a.allFloat(0.693359375), ln2Low: a.allFloat(-2.12194440e-4), bias: a.all(127)}
	for i, c := range [7]float32{1, 1, 0.49999994, 0.1666643, 0.041668005, 0.008374196, 0.0013843607} {
		e.poly[i] = a.allFloat(c)
	}
	return e
}

// exp replaces x by e^x. NaN stays NaN; below -87.3 is 0, above 88.7 infinity.
func (e *expParts) exp(x V) {
	e.scope(func() {
		y, n, s, p, t := e.v(), e.v(), e.v(), e.v(), e.v()
		e.fmin(y, x, e.high)
		e.fmax(y, y, e.low)
		e.fmul(s, y, e.log2e)
		e.fcvtns(s, s)
		e.scvtf(n, s)
		e.fmls(y, n, e.ln2High)
		e.fmls(y, n, e.ln2Low)
		e.mov(p, e.poly[6])
		for i := 5; i >= 0; i-- {
			e.mov(t, e.poly[i])
			e.fmla(t, p, y)
			p, t = t, p
		}
		// 2^n in two steps, since n may be 128 where the product is still finite.
		e.sshr(b32, t, s, 1)
		e.subv(b32, s, s, t)
		for _, k := range []V{t, s} {
			e.addv(b32, k, k, e.bias)
			e.shl(b32, k, k, 23)
			e.fmul(p, p, k)
		}
		e.fcmgt(n, e.low, x)
		e.bic(x, p, n)
	})
}

func emitRope(a *asm) {
	a.function("ropeNormalNEON", "x, cos, sin *float32, n int", "", "rotates n numbers, neighbours together.")
	x, cos, sin, n := a.arg("x"), a.arg("cos"), a.arg("sin"), a.arg("n")
	v, w, c, s, t, u := a.v(), a.v(), a.v(), a.v(), a.v(), a.v()
	turn := func(p, q V) { // t, u = p*c - q*s, p*s + q*c
		a.fmul(t, p, c)
		a.fmls(t, q, s)
		a.fmul(u, p, s)
		a.fmla(u, q, c)
	}
	end := a.label("end")
	a.turns(n, end)
	a.loop(n, 1, func() {
		a.scope(func() {
			p, q := a.v(), a.v()
			a.ldpQ(v, w, x, 0)
			a.ldrQ(c, cos, 0)
			a.ldrQ(s, sin, 0)
			a.uzp1(b32, p, v, w)
			a.uzp2(b32, q, v, w)
			turn(p, q)
			a.zip1(b32, v, t, u)
			a.zip2(b32, w, t, u)
			a.strQ(v, x, 0)
			a.strQ(w, x, 16)
		})
		a.advance(4, x)
		a.advance(2, cos, sin)
	})
	a.place(end)
	a.ret()

	a.function("ropeNEOXNEON", "x, y, cos, sin *float32, n int", "", "rotates n pairs (x[i], y[i]).")
	x, y := a.arg("x"), a.arg("y")
	cos, sin, n = a.arg("cos"), a.arg("sin"), a.arg("n")
	v, w, c, s, t, u = a.v(), a.v(), a.v(), a.v(), a.v(), a.v()
	end = a.label("end")
	a.turns(n, end)
	a.loop(n, 1, func() {
		for i := 0; i < 32; i += 16 {
			a.ldrQ(v, x, i)
			a.ldrQ(w, y, i)
			a.ldrQ(c, cos, i)
			a.ldrQ(s, sin, i)
			turn(v, w)
			a.strQ(t, x, i)
			a.strQ(u, y, i)
		}
		a.advance(4, x, y, cos, sin)
	})
	a.place(end)
	a.ret()
}

func emitHalf(a *asm) {
	a.function("f32ToF16NEON", "dst *uint16, src *float32, n int", "", "rounds n numbers to half precision.")
	dst, src, n := a.arg("dst"), a.arg("src"), a.arg("n")
	v, h := a.vs(2), a.v()
	end := a.label("end")
	a.turns(n, end)
	a.loop(n, 1, func() {
		a.ldpQ(v[0], v[1], src, 0)
		a.fcvtn(h, v[0])
		a.fcvtn2(h, v[1])
		a.strQ(h, dst, 0)
		a.advance(2, dst)
		a.advance(4, src)
	})
	a.place(end)
	a.ret()

	a.function("f16ToF32NEON", "dst *float32, src *uint16, n int", "", "widens n numbers.")
	dst, src, n = a.arg("dst"), a.arg("src"), a.arg("n")
	v, h = a.vs(2), a.v()
	end = a.label("end")
	a.turns(n, end)
	a.loop(n, 1, func() {
		a.ldrQ(h, src, 0)
		a.fcvtl(v[0], h)
		a.fcvtl2(v[1], h)
		a.strQ(v[0], dst, 0)
		a.strQ(v[1], dst, 16)
		a.advance(2, src)
		a.advance(4, dst)
	})
	a.place(end)
	a.ret()
}
