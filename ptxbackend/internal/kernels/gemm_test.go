package kernels

import (
	"fmt"
	"math"
	"testing"
)

// gemmCase is a product with everything it works on, on the host.
type gemmCase struct {
	g     GEMM
	mats  []Layout // gate and up apart
	rows  int
	x     []float64 // (rows, K), halves
	w     [][]float32
	data  [][]byte // w repacked
	scale []float32
	bias  [][]float32
	in    []float32
}

// twin is what GEMM computes, in float64: y (rows, N) of each matrix, with its bias,
// and how far off an element of it may be. A fragment's weights are rounded to
// halves once, those of the K formats with their scales and minima before that (see
// TestFragments); the sums are float32. Nothing else is not exact.
func (c *gemmCase) twin() (y, bound [][]float64) {
	k := c.g.Mats[0].K
	for i, m := range c.mats {
		rel, abs := 0x1p-11, 0x1p-25
		switch m.Format {
		case FormatF16:
			rel, abs = 0, 0
		case FormatQ4_K, FormatQ5_K, FormatQ6_K:
			rel, abs = 0x1p-10, 0x1p-13
		}
		abs *= float64(c.scale[i])
		rel += float64(k+4) * 0x1p-24
		out, off := make([]float64, c.rows*m.N), make([]float64, c.rows*m.N)
		for r := range c.rows {
			x := c.x[r*k:][:k]
			for n := range m.N {
				sum, products, size := 0.0, 0.0, 0.0
				for j, w := range c.w[i][n*k:][:k] {
					p := x[j] * float64(w)
					sum += p
					products += math.Abs(p)
					size += math.Abs(x[j])
				}
				if c.g.Bias {
					sum += float64(c.bias[i][n])
				}
				out[r*m.N+n] = sum
				off[r*m.N+n] = rel*products + abs*size + math.Abs(sum)*0x1p-23
			}
		}
		y, bound = append(y, out), append(bound, off)
	}
	return y, bound
}

func newGEMMCase(r *rig, g GEMM, rows int) *gemmCase {
	k := g.Mats[0].K
	c := &gemmCase{g: g, mats: g.Mats, rows: rows, x: wide(rounded(normal(r.rand, rows*k, 1)))}
	if m := g.Mats[0]; g.Out == SiLUMulPack {
		m.N /= 2
		c.mats = []Layout{m, m}
	}
	for _, l := range c.mats {
		t := formats[l.Format].dtype
		size := 0.02 // of the scales; makes weights of about 0.1
		if l.Format.Parts() > 1 {
			size = 0.001
		}
		src, w := weights(r.rand, t, l.N, k, size)
		data, scale := repacked(l, t, src)
		c.w, c.data, c.scale = append(c.w, w), append(c.data, data), append(c.scale, scale)
		c.bias = append(c.bias, normal(r.rand, l.N, 1))
	}
	c.in = normal(r.rand, rows*c.stride(0), 1)
	return c
}

func (c *gemmCase) stride(i int) int {
	if c.g.Stride > 0 {
		return c.g.Stride
	}
	return c.g.Mats[i].N
}

// run uploads, launches and checks the case.
func (c *gemmCase) run(t *testing.T, r *rig) {
	t.Helper()
	g := c.g
	args := GEMMArgs{X: r.put(packHost(Pack{T: 128, K: g.Mats[0].K}, r.rand, c.rows, narrow(c.x))), Rows: c.rows}
	y, bound := c.twin()
	if g.Out == SiLUMulPack {
		c.runSiLUMul(t, r, args, y, bound)
		return
	}
	for i := range g.Mats {
		m := GEMVMat{Weights: r.put(c.data[i]), Scale: c.scale[i], Out: r.alloc(4 * c.rows * c.stride(i))}
		if g.Bias {
			m.Bias = r.put(c.bias[i])
		}
		args.Mats = append(args.Mats, m)
	}
	if g.Out == AddResidual {
		args.Residual = r.put(c.in)
	}
	r.launch(g, g.Launch(3, args))
	for i, m := range g.Mats {
		got := r.f32(args.Mats[i].Out, c.rows*c.stride(i))
		c.check(t, fmt.Sprintf("y%d", i), got, y[i], bound[i], m.N, c.stride(i))
	}
}

// check compares rows stride apart and fails where something was written
// between them.
func (c *gemmCase) check(t *testing.T, what string, got []float32, want, bound []float64, n, stride int) {
	t.Helper()
	var e, s float64
	for r := range c.rows {
		for col := range stride {
			v := float64(got[r*stride+col])
			if col >= n {
				if !math.IsNaN(v) {
					t.Fatalf("%s: row %d is written past its end, column %d of %d: %v", what, r, col, n, v)
				}
				continue
			}
			w, off := want[r*n+col], bound[r*n+col]
			if c.g.Out == AddResidual {
				x := float64(c.in[r*stride+col])
				w += x
				off += (math.Abs(x) + math.Abs(w)) * 0x1p-23
			}
			if !(math.Abs(v-w) <= off) {
				t.Fatalf("%s: row %d of %d, column %d of %d: %v, want %v +- %.3g", what, r, c.rows, col, n, v, w, off)
			}
			e += (v - w) * (v - w)
			s += w * w
		}
	}
	if rms := math.Sqrt(e / s); !(rms <= 1e-3) {
		t.Fatalf("%s: error of %.3g rel-RMS", what, rms)
	}
}

// runSiLUMul checks the Pack against silu(gate)*up. Its derivatives are below
// 1.1*|up| and |silu(gate)|; a half has 11 bits.
func (c *gemmCase) runSiLUMul(t *testing.T, r *rig, args GEMMArgs, y, bound [][]float64) {
	t.Helper()
	l := c.mats[0]
	n, tile := l.N, l.TileBytes()
	both := make([]byte, 0, 2*len(c.data[0]))
	for at := 0; at < len(c.data[0]); at += tile {
		both = append(append(both, c.data[0][at:at+tile]...), c.data[1][at:at+tile]...)
	}
	p := Pack{T: 128, K: n}
	out := r.alloc(int(p.Bytes(c.rows)))
	args.Mats = []GEMVMat{{Weights: r.put(both), Scale: c.scale[0], ScaleUp: c.scale[1], Out: out}}
	r.launch(c.g, c.g.Launch(3, args))
	got := r.packed(out, p, c.rows)
	for i := range got {
		gate, up := y[0][i], y[1][i]
		silu := gate / (1 + math.Exp(-gate))
		want := max(min(silu*up, 65504), -65504)
		off := 1.1*math.Abs(up)*bound[0][i] + math.Abs(silu)*bound[1][i] + bound[0][i]*bound[1][i]
		off += (math.Abs(silu*up))*(0x1p-11+0x1p-20) + 0x1p-24
		if !(math.Abs(float64(got[i])-want) <= off) {
			t.Fatalf("row %d column %d: %v, want %v +- %.3g", i/n, i%n, got[i], want, off)
		}
	}
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// best is g with the first tile that suits it.
func (r *rig) best(g GEMM) GEMM {
	r.t.Helper()
	v := g.Variants(r.target)
	if len(v) == 0 {
		r.t.Fatalf("there is no tile for %v", g)
	}
	return v[0]
}

// somewhat is a random number of rows or columns about n, more often than not
// around a whole number of tiles.
func somewhat(r *rig, n int) int {
	if r.rand.IntN(2) == 0 {
		return max(1, n/16*16+r.rand.IntN(3)-1)
	}
	return 1 + r.rand.IntN(2*n)
}

// All formats with all outputs, ragged.
func TestGEMM(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		for _, f := range Formats() {
			for _, out := range []Output{StoreProducts, AddResidual, SiLUMulPack} {
				t.Run(fmt.Sprintf("%v_%d", f, out), func(t *testing.T) {
					m := Layout{f, somewhat(r, 100), 256 * (1 + r.rand.IntN(3))}
					g := GEMM{Bias: r.rand.IntN(2) == 0, Out: out}
					if r.rand.IntN(2) == 0 {
						g.Stride = m.N + 8*r.rand.IntN(3)
					}
					if out == SiLUMulPack {
						m.N, g.Bias = 2*m.N, false
					}
					g.Mats = []Layout{m}
					newGEMMCase(r, r.best(g), somewhat(r, 150)).run(t, r)
				})
			}
		}
	})
}

// Three matrices in a launch, two of them alike, two of a format but not of a size,
// or all different.
func TestGEMMOfThree(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		for i, mats := range [][]Layout{
			{{FormatQ4_K, 150, 512}, {FormatQ4_K, 32, 512}, {FormatQ6_K, 32, 512}},
			{{FormatQ4_0, 50, 160}, {FormatF16, 33, 160}, {FormatQ4_0, 50, 160}},
			{{FormatQ8_0, 300, 96}, {FormatQ8_0, 300, 96}, {FormatQ8_0, 300, 96}},
		} {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				newGEMMCase(r, r.best(GEMM{Mats: mats, Bias: i != 2}), 130+i).run(t, r)
			})
		}
	})
}

// Every tile, with numbers of columns that are not whole rounds.
func TestGEMMTiles(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		for i, tile := range GEMMTiles(r.target) {
			for j, k := range []int{32, 64, 224, 576} {
				t.Run(fmt.Sprintf("%d_%d", i, k), func(t *testing.T) {
					formats := []Format{FormatQ8_0, FormatQ5_0, FormatF16, FormatMXFP4}
					n := i + j
					for !tile.holds(formats[n%4], SiLUMulPack, r.target) {
						n++
					}
					f := formats[n%4]
					m := Layout{f, 16*tile.Warps*tile.RowTiles + somewhat(r, 48), k}
					g := GEMM{Mats: []Layout{m}, Out: SiLUMulPack, Tile: tile}
					if g.Mats[0].N += m.N % 2; g.check(r.target) != nil {
						g.Out = StoreProducts
					}
					newGEMMCase(r, g, tile.Tokens+somewhat(r, 64)).run(t, r)
				})
			}
		}
	})
}

func TestGEMMPlaceTakesEveryPartOnce(t *testing.T) {
	for rows := 1; rows < 9; rows++ {
		for tokens := 1; tokens < 40; tokens++ {
			seen := map[[2]int]bool{}
			for i := range rows * tokens {
				r, k := gemmPlace(i, rows, tokens)
				if r < 0 || r >= rows || k < 0 || k >= tokens || seen[[2]int{r, k}] {
					t.Fatalf("block %d of %d x %d is at %d, %d", i, rows, tokens, r, k)
				}
				seen[[2]int{r, k}] = true
			}
		}
	}
}
