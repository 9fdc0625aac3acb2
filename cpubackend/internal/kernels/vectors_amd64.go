//go:build !noasm

package kernels

// vectors are the assembly functions of one register width: 16 lanes with
// AVX-512, 8 with AVX2. They do multiples of the width; what is left over is
// done by the plain versions.
type vectors struct {
	lanes      int
	sumSquares func(x *float32, n int) float32
	scaleMul   func(dst, x, w *float32, n int, scale float32)
	addTo      func(dst, x *float32, n int)
	silu       func(dst, gate, up *float32, n int)
	normal     func(x, cos, sin *float32, n int)
	neox       func(x, y, cos, sin *float32, n int)
	narrow     func(dst *uint16, src *float32, n int)
	wide       func(dst *float32, src *uint16, n int)
	top        func(x *float32, n int) float32
	exp        func(x *float32, n int, max float32) float32
	read       func(b *byte, n int) uint64
	// By cache type (F16, F32), then by the number of heads less one.
	score [2][4]func(dst *float32, stride int, q, k *byte, d, groups, ahead int, scale float32)
	// And by the logarithm of the number of registers of columns.
	weigh [2][4][3]func(acc *float32, stride int, p *float32, pstride int, v *byte, vstride, n, ahead int)
}

// into puts the operations into a table.
func (v *vectors) into(s *isa) {
	s.rmsNorm, s.add, s.siluMul = v.rmsNorm, v.add, v.siluMul
	s.ropeNormal, s.ropeNEOX = v.ropeNormal, v.ropeNEOX
	s.f32ToF16, s.f16ToF32 = v.f32ToF16, v.f16ToF32
	s.scoresF16, s.scoresF32 = v.scoresF16, v.scoresF32
	s.weightedSumF16, s.weightedSumF32 = v.weightedSumF16, v.weightedSumF32
	s.max, s.expSum, s.readSum = v.max, v.expSum, v.readSum
}

// whole is the part of n that the assembly does.
func (v *vectors) whole(n int) int { return n &^ (v.lanes - 1) }

func (v *vectors) rmsNorm(dst, x, w []float32, eps float32) {
	n := v.whole(len(x))
	sum := dotGeneric(x[n:], x[n:])
	if n > 0 {
		sum += v.sumSquares(&x[0], n)
	}
	scale := rmsScale(sum, len(x), eps)
	if n > 0 {
		v.scaleMul(&dst[0], &x[0], &w[0], n, scale)
	}
	for i := n; i < len(x); i++ {
		dst[i] = x[i] * scale * w[i]
	}
}

func (v *vectors) add(dst, x []float32) {
	n := v.whole(len(dst))
	if n > 0 {
		v.addTo(&dst[0], &x[0], n)
	}
	addGeneric(dst[n:], x[n:])
}

func (v *vectors) siluMul(dst, gate, up []float32) {
	n := v.whole(len(dst))
	if n > 0 {
		v.silu(&dst[0], &gate[0], &up[0], n)
	}
	siluMulGeneric(dst[n:], gate[n:], up[n:])
}

func (v *vectors) ropeNormal(x, cos, sin []float32) {
	n := v.whole(len(x))
	if n > 0 {
		v.normal(&x[0], &cos[0], &sin[0], n)
	}
	ropeNormalGeneric(x[n:], cos[n/2:], sin[n/2:])
}

func (v *vectors) ropeNEOX(x, cos, sin []float32) {
	half := len(cos)
	n := v.whole(half)
	if n > 0 {
		v.neox(&x[0], &x[half], &cos[0], &sin[0], n)
	}
	for i := n; i < half; i++ {
		a, b := x[i], x[i+half]
		x[i], x[i+half] = a*cos[i]-b*sin[i], a*sin[i]+b*cos[i]
	}
}

func (v *vectors) f32ToF16(dst []uint16, src []float32) {
	n := v.whole(len(src))
	if n > 0 {
		v.narrow(&dst[0], &src[0], n)
	}
	f32ToF16Generic(dst[n:], src[n:])
}

func (v *vectors) f16ToF32(dst []float32, src []uint16) {
	n := v.whole(len(src))
	if n > 0 {
		v.wide(&dst[0], &src[0], n)
	}
	f16ToF32Generic(dst[n:], src[n:])
}

func (v *vectors) max(x []float32) float32 {
	n := v.whole(len(x))
	if n == 0 {
		return maxGeneric(x)
	}
	m := v.top(&x[0], n)
	if n < len(x) {
		m = max(m, maxGeneric(x[n:]))
	}
	return m
}

func (v *vectors) expSum(x []float32, max float32) (sum float32) {
	n := v.whole(len(x))
	if n > 0 {
		sum = v.exp(&x[0], n, max)
	}
	return sum + expSumGeneric(x[n:], max)
}

func (v *vectors) readSum(b []byte) (sum uint64) {
	n := len(b) &^ 255
	if n > 0 {
		sum = v.read(&b[0], n)
	}
	return sum ^ readSumGeneric(b[n:])
}
