package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// element reads weight (n, k) back from a repacked matrix, as Layout describes it,
// before it is multiplied by Scale.
func (l Layout) element(data []byte, n, k int) float64 {
	f, cols := l.Format, l.UnitCols()
	u := data[(n/16*l.Units()+k/cols)*f.UnitBytes():][:f.UnitBytes()]
	k %= cols
	part, s, c, g, up := k/64, k%64/16, k%16, n%8, n%16/8
	lane, r, odd := 4*g+c%8/2, up+2*(c/8), c%2
	half := func(at int) float64 { return float64(tensor.F16ToF32(binary.LittleEndian.Uint16(u[at:]))) }
	nibble := 8*(s%2) + 4*(s/2) + 16*odd // of a word
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(u[at:]) }
	code := float64(word(part*512+lane*16+4*r) >> nibble & 15)
	scale := f.scaleAt() + (2*g+up)*formats[f].scale
	unit := math.Ldexp(1, -24+4*(s/2))
	switch f {
	case FormatF16:
		return half(512*s + 16*lane + 4*r + 2*odd)
	case FormatQ8_0:
		q := int(u[512*(s/2)+16*lane+8*(s%2)+4*(r/2)+2*odd+up]) - 128
		return float64(q) * 0x1p-24 * half(scale+2*(s/2))
	case FormatQ4_0:
		return (code - 8) * unit * half(scale+2*(s/2))
	case FormatQ5_0:
		code += float64(word(f.highAt()+4*lane) >> (nibble + r) & 1 << 4)
		return (code - 16) * unit * half(scale+2*(s/2))
	case FormatQ4_K, FormatQ5_K:
		if f == FormatQ5_K {
			code += float64(word(f.highAt()+16*lane+4*part) >> (nibble + r) & 1 << 4)
		}
		d, m := scale6([3]uint32{word(scale + 4), word(scale + 8), word(scale + 12)}, 2*part+s/2)
		return code*0x1p-24*float64(d)*half(scale) + float64(m)*0x1p-24*half(scale+2)
	case FormatQ6_K:
		code += float64(word(f.highAt()+512*(part/2)+16*lane+8*(part%2)+4*(r/2)) >> (nibble + 2*(r%2)) & 3 << 4)
		return (code - 32) * 0x1p-24 * float64(int(u[scale+4*part+s])-128) * half(f.superAt()+4*g+2*up)
	case FormatMXFP4:
		w := word(lane*16+4*r) >> (16 * odd) & 0xffff
		sign, low := []int{15, 12, 14, 13}[s], []int{9, 6, 3, 0}[s]
		h := uint16(w>>sign&1<<15 | w>>low&7<<9)
		return float64(tensor.F16ToF32(h)) * float64(tensor.F16ToF32(uint16(u[scale+s/2])<<8))
	}
	panic(f)
}

// scale6 unpacks scale and minimum of a group from kScales' words.
func scale6(w [3]uint32, g int) (s, m uint32) {
	take := func(w uint32) uint32 { // of the lower half
		return w >> (6 * (g % 2)) & 63
	}
	switch {
	case g < 6:
		return take(w[g/2]), take(w[g/2] >> 16)
	default:
		lo, hi := w[g-6]>>12, w[2]>>(12+2*(g-6))
		return lo&15 | hi&3<<4, lo>>16&15 | hi>>16&3<<4
	}
}

// weights returns random rows of type t, with scales of about size, and their
// values.
func weights(r *rand.Rand, t tensor.DType, n, k int, size float64) ([]byte, []float32) {
	src := make([]byte, n*t.RowBytes(k))
	for i := range src {
		src[i] = byte(r.Uint32())
	}
	value := func() float64 { return math.Copysign(size*math.Exp2(-3*r.Float64()), r.Float64()-0.5) }
	half := func(b []byte) { binary.LittleEndian.PutUint16(b, tensor.F32ToF16(float32(value()))) }
	for b := src; len(b) > 0; b = b[t.BlockBytes():] {
		switch t {
		case tensor.F32:
			binary.LittleEndian.PutUint32(b, math.Float32bits(float32(value())))
		case tensor.F16, tensor.Q8_0, tensor.Q4_0, tensor.Q5_0, tensor.IQ4_NL, tensor.IQ4_XS:
			half(b)
		case tensor.BF16:
			binary.LittleEndian.PutUint16(b, tensor.F32ToBF16(float32(value())))
		case tensor.Q4_1, tensor.Q5_1, tensor.Q4_K, tensor.Q5_K:
			half(b)
			half(b[2:])
		case tensor.Q2_K:
			half(b[80:])
			half(b[82:])
		case tensor.Q3_K:
			half(b[108:])
		case tensor.Q6_K:
			half(b[208:])
		case tensor.MXFP4:
			b[0] = byte(127 + math.Round(math.Log2(math.Abs(value()))))
		}
	}
	w := make([]float32, n*k)
	tensor.Dequantize(w, t, src)
	return src, w
}

// repacked is a whole matrix.
func repacked(l Layout, t tensor.DType, src []byte) (data []byte, scale float32) {
	exp := Exponent(t, Peak(t, src))
	data = make([]byte, l.Bytes())
	l.Repack(data, 1, t, exp, src, l.N)
	return data, l.Scale(exp)
}

func TestRepackKeepsEveryWeight(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, dt := range tensor.DTypes() {
		for _, size := range []float64{1, 0x1p-9, 200} {
			n, k := 1+r.IntN(70), max(dt.BlockElems(), 32)*(1+r.IntN(5))
			if dt == tensor.BF16 {
				k += r.IntN(9)
			}
			t.Run(fmt.Sprintf("%v-%dx%d", dt, n, k), func(t *testing.T) {
				src, want := weights(r, dt, n, k, size)
				l := Layout{FormatOf(dt), n, k}
				data, scale := repacked(l, dt, src)
				for row := range l.Tiles() * 16 {
					for col := range l.Units() * l.UnitCols() {
						got := l.element(data, row, col) * float64(scale)
						if row >= n || col >= k {
							if got != 0 {
								t.Fatalf("padding (%d, %d) is %v", row, col, got)
							}
							continue
						}
						w := float64(want[row*k+col])
						tol := 1e-6 * math.Abs(w) // Dequantize's own rounding
						if l.Format == FormatF16 && dt != tensor.BF16 {
							tol = 0x1p-11 * math.Abs(w)
						}
						if dt == tensor.Q4_K || dt == tensor.Q5_K {
							tol += 1e-6 * size * 64 // of the minimum
						}
						if math.Abs(got-w) > tol {
							t.Fatalf("(%d, %d) is %v, want %v", row, col, got, w)
						}
					}
				}
			})
		}
	}
}

// A matrix repacked in pieces, every second tile left free, is the same.
func TestRepackInPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, f := range Formats() {
		dt, n, k := formats[f].dtype, 75, 256
		src, _ := weights(r, dt, n, k, 1)
		l := Layout{f, n, k}
		whole, _ := repacked(l, dt, src)
		exp := Exponent(dt, Peak(dt, src))
		apart := make([]byte, 2*len(whole))
		for first := 0; first < n; first += 32 {
			rows := min(32, n-first)
			l.Repack(apart[first/16*2*l.TileBytes():], 2, dt, exp, src[first*dt.RowBytes(k):], rows)
		}
		for i := range l.Tiles() {
			tile := l.TileBytes()
			if string(apart[2*i*tile:(2*i+1)*tile]) != string(whole[i*tile:(i+1)*tile]) {
				t.Errorf("%v: tile %d differs", f, i)
			}
		}
	}
}

func TestScalesThatAreNoNumbers(t *testing.T) {
	for _, f := range Formats() {
		dt := formats[f].dtype
		src := make([]byte, 16*dt.RowBytes(256))
		for i := range src {
			src[i] = 0xff
		}
		l := Layout{f, 16, 256}
		if _, scale := repacked(l, dt, src); !(scale > 0) || math.IsInf(float64(scale), 0) {
			t.Errorf("%v: scale %v", f, scale)
		}
	}
}

func BenchmarkRepack(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, dt := range []tensor.DType{tensor.BF16, tensor.F16, tensor.Q8_0, tensor.Q4_0, tensor.Q5_0, tensor.Q4_K, tensor.Q5_K, tensor.Q6_K, tensor.MXFP4, tensor.Q4_1} {
		b.Run(dt.String(), func(b *testing.B) {
			l := Layout{FormatOf(dt), 64, 4096}
			src, _ := weights(r, dt, l.N, l.K, 1)
			dst := make([]byte, l.Bytes())
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				l.Repack(dst, 1, dt, Exponent(dt, Peak(dt, src)), src, l.N)
			}
		})
	}
}
