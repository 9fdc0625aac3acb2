package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// gemmCase is a product with everything it works on, on the host.
type gemmCase struct {
	g     GEMM
	rows  int
	x     []float64 // (rows, K), halves
	w     [][]float32
	data  [][]byte // w repacked
	scale []float32
	bias  [][]float32
	in    []float32
	gap   int // elements between the rows of in and of the outputs
}

// twin is what GEMM computes, in float64: y (rows, N) of each matrix, with its bias,
// and how far off an element of it may be. A fragment's weights are rounded to
// halves once, those of the K formats with their scales and minima before that (see
// TestFragments); the sums are float32. Nothing else is not exact.
func (c *gemmCase) twin() (y, bound [][]float64) {
	k := c.g.K
	for i, m := range c.g.Mats {
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
				if m.Bias {
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
	c := &gemmCase{g: g, rows: rows, x: wide(rounded(normal(r.rand, rows*g.K, 1)))}
	for _, m := range g.Mats {
		l, t := Layout{m.Format, m.N, g.K}, formats[m.Format].dtype
		size := 0.02 // of the scales; makes weights of about 0.1
		if m.Format.Parts() > 1 {
			size = 0.001
		}
		src, w := weights(r.rand, t, m.N, g.K, size)
		data, scale := repacked(l, t, src)
		c.w, c.data, c.scale = append(c.w, w), append(c.data, data), append(c.scale, scale)
		c.bias = append(c.bias, normal(r.rand, m.N, 1))
	}
	c.gap = 8 * r.rand.IntN(3)
	c.in = normal(r.rand, rows*(g.Mats[0].N+c.gap), 1)
	return c
}

// run uploads, launches and checks the case.
func (c *gemmCase) run(t *testing.T, r *rig) {
	t.Helper()
	g := c.g
	p := Pack{T: 128, K: g.K}
	args := GEMMArgs{X: r.put(packHost(p, r.rand, c.rows, narrow(c.x))), Rows: c.rows}
	for i, m := range g.Mats {
		a := GEMMMatrixArgs{W: r.put(c.data[i]), Scale: c.scale[i], Stride: m.N + c.gap}
		if m.Bias {
			a.Bias = r.put(c.bias[i])
		}
		if g.Epilogue != GEMMSwiGLU {
			a.Out = r.alloc(4 * c.rows * a.Stride)
		}
		args.Mats = append(args.Mats, a)
	}
	y, bound := c.twin()
	if g.Epilogue == GEMMSwiGLU {
		c.runSwiGLU(t, r, args, y, bound)
		return
	}
	if g.Epilogue == GEMMResidual {
		args.In = r.put(c.in)
	}
	r.launch(g, g.Launch(3, args))
	for i, m := range g.Mats {
		got := r.f32(args.Mats[i].Out, c.rows*args.Mats[i].Stride)
		c.check(t, fmt.Sprintf("y%d", i), got, y[i], bound[i], m.N)
	}
}

// check compares rows of stride N+c.gap and fails where something was written
// between them.
func (c *gemmCase) check(t *testing.T, what string, got []float32, want, bound []float64, n int) {
	t.Helper()
	var e, s float64
	for r := range c.rows {
		for col := range n + c.gap {
			v := float64(got[r*(n+c.gap)+col])
			if col >= n {
				if !math.IsNaN(v) {
					t.Fatalf("%s: row %d is written past its end, column %d of %d: %v", what, r, col, n, v)
				}
				continue
			}
			w, off := want[r*n+col], bound[r*n+col]
			if c.g.Epilogue == GEMMResidual {
				x := float64(c.in[r*(n+c.gap)+col])
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

// runSwiGLU checks the Pack against silu(gate)*up. Its derivatives are below
// 1.1*|up| and |silu(gate)|; a half has 11 bits.
func (c *gemmCase) runSwiGLU(t *testing.T, r *rig, args GEMMArgs, y, bound [][]float64) {
	t.Helper()
	n := c.g.Mats[0].N
	p := Pack{T: 128, K: n}
	args.Out = r.alloc(int(p.Bytes(c.rows)))
	r.launch(c.g, c.g.Launch(3, args))
	got := r.packed(args.Out, p, c.rows)
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

// gemmBest are the tiles of each kind that are tried first.
func gemmBest(target ptx.Target) (tiles []GEMMTile) {
	for _, t := range GEMMTiles(target) {
		if t.Wgmma == target.Hopper() {
			tiles = append(tiles, t)
		}
	}
	return tiles
}

// somewhat is a random number of rows or columns about n, more often than not
// around a whole number of tiles.
func somewhat(r *rig, n int) int {
	if r.rand.IntN(2) == 0 {
		return max(1, n/16*16+r.rand.IntN(3)-1)
	}
	return 1 + r.rand.IntN(2*n)
}

// All formats with all epilogues, ragged.
func TestGEMM(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		for _, f := range Formats() {
			for e := range GEMMSwiGLU + 1 {
				t.Run(fmt.Sprintf("%v_%d", f, e), func(t *testing.T) {
					m := GEMMMatrix{Format: f, N: somewhat(r, 100), Bias: r.rand.IntN(2) == 0}
					g := GEMM{K: 256 * (1 + r.rand.IntN(3)), Mats: []GEMMMatrix{m}, Epilogue: e, Tile: gemmBest(r.target)[0]}
					if e == GEMMSwiGLU {
						g.Mats = append(g.Mats, m)
					}
					newGEMMCase(r, g, somewhat(r, 150)).run(t, r)
				})
			}
		}
	})
}

// Three matrices in a launch, two of them alike, two of a format but not of a size,
// or all different.
func TestGEMMOfThree(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		for i, mats := range [][]GEMMMatrix{
			{{FormatQ4_K, 150, true}, {FormatQ4_K, 32, true}, {FormatQ6_K, 32, true}},
			{{FormatQ4_0, 50, false}, {FormatF16, 33, true}, {FormatQ4_0, 50, false}},
			{{FormatQ8_0, 300, false}, {FormatQ8_0, 300, false}, {FormatQ8_0, 300, false}},
		} {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				newGEMMCase(r, GEMM{K: 512, Mats: mats, Tile: gemmBest(r.target)[0]}, 130+i).run(t, r)
			})
		}
	})
}

// Every tile, with numbers of columns that are not whole rounds.
func TestGEMMTiles(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		for i, tile := range GEMMTiles(r.target) {
			for _, k := range []int{32, 64, 224, 576} {
				t.Run(fmt.Sprintf("%d_%d", i, k), func(t *testing.T) {
					f := []Format{FormatQ8_0, FormatQ5_0, FormatF16, FormatMXFP4}[(k/32+i)%4]
					m := GEMMMatrix{Format: f, N: 16*tile.Warps*tile.RowTiles + somewhat(r, 48)}
					g := GEMM{K: k, Mats: []GEMMMatrix{m, m}, Epilogue: GEMMSwiGLU, Tile: tile}
					if g.check(r.target) != nil {
						g.Epilogue, g.Mats = GEMMStore, g.Mats[:1]
					}
					newGEMMCase(r, g, tile.Tokens+somewhat(r, 64)).run(t, r)
				})
			}
		}
	})
}

// Gate and up of different formats, as mixed files have them.
func TestGEMMOfMixedFormats(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		mats := []GEMMMatrix{{FormatQ4_K, 80, false}, {FormatQ8_0, 80, false}}
		newGEMMCase(r, GEMM{K: 768, Mats: mats, Epilogue: GEMMSwiGLU, Tile: gemmBest(r.target)[0]}, 70).run(t, r)
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
