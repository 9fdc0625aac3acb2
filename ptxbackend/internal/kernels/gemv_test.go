package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// gemvCase is a GEMV with random operands and what should come out.
type gemvCase struct {
	GEMV
	types  []tensor.DType
	values [][]float32 // weights of each matrix, (N, K) or repeated rows; of gate and up one after the other
	sms    int         // it is dealt out to
	args   GEMVArgs
	x      []float64 // (T, K), as the kernel multiplies them
	bias   [][]float32
	add    []float32
}

// newGEMVCase uploads random operands. types are those of the matrices, n their
// rows; SiLUMulPack has one matrix of two times n[0] rows.
func newGEMVCase(r *rig, c GEMV, types []tensor.DType, n []int, k int) *gemvCase {
	for i, dt := range types {
		rows := n[i]
		if c.Out == SiLUMulPack {
			n[i] = (n[i] + 15) / 16 * 16
			rows = 2 * n[i]
		}
		c.Mats = append(c.Mats, Layout{FormatOf(dt), rows, k})
	}
	c.Batch = BatchLayout{MaxRows: 8, MaxLogit: 8}
	return caseOfGEMV(r, c, types, emulatedSMs)
}

// caseOfGEMV uploads operands for exactly c.
func caseOfGEMV(r *rig, c GEMV, types []tensor.DType, sms int) *gemvCase {
	g := &gemvCase{GEMV: c, types: types, sms: sms}
	for i := range c.Mats {
		g.args.Mats = append(g.args.Mats, g.matrix(r, i))
	}
	g.input(r, c.Mats[0].K)
	if c.Out == AddResidual {
		g.add = normal(r.rand, c.T*c.Mats[0].N, 1)
		g.args.Residual = r.put(g.add)
	}
	g.args.Work = r.alloc(int(g.WorkBytes(sms)))
	g.args.Counters = r.put(make([]byte, g.CounterBytes()))
	return g
}

// emulatedSMs is how many blocks GEMVs are tested with.
const emulatedSMs = 7

// codeRange is about how many times its scale a weight of a format is.
var codeRange = [numFormats]float64{1, 128, 8, 16, 63 * 15, 63 * 31, 128 * 32, 6}

// repeatedRows is how often the rows of a large matrix repeat, so that every product
// can be checked: a number of tiles that no dealing out of tiles divides.
const repeatedRows = 29 * 16

// width is the number of products of matrix i in a row, or of gate and up each.
func (g *gemvCase) width(i int) int {
	if g.Out == SiLUMulPack {
		return g.Mats[i].N / 2
	}
	return g.Mats[i].N
}

func (g *gemvCase) matrix(r *rig, i int) (m GEMVMat) {
	l, dt, n := g.Mats[i], g.types[i], g.width(i)
	some := Layout{l.Format, min(n, repeatedRows), l.K}
	outBytes := 4 * g.T * n
	var data []byte
	if g.Out == SiLUMulPack {
		data = make([]byte, 2*some.Bytes())
		for j := range 2 {
			src, w := weights(r.rand, dt, some.N, l.K, 0.02/codeRange[l.Format])
			exp := Exponent(dt, Peak(dt, src))
			some.Repack(data[j*l.TileBytes():], 2, dt, exp, src, some.N)
			g.values = append(g.values, w)
			if j == 0 {
				m.Scale = some.Scale(exp)
			} else {
				m.ScaleUp = some.Scale(exp)
			}
		}
		outBytes = int(Pack{g.T, n}.Bytes(g.T))
	} else {
		src, w := weights(r.rand, dt, some.N, l.K, 0.02/codeRange[l.Format])
		data, m.Scale = repacked(some, dt, src)
		g.values = append(g.values, w)
	}
	m.Weights, m.Out = r.repeat(data, l.Bytes()), r.alloc(outBytes)
	if g.Bias {
		g.bias = append(g.bias, normal(r.rand, n, 1))
		m.Bias = r.put(g.bias[i])
	}
	return m
}

// input makes x and, where it is to be normalised, what that gives.
func (g *gemvCase) input(r *rig, k int) {
	if !g.Norm {
		x := rounded(normal(r.rand, g.T*k, 1))
		g.args.X = r.put(packHost(Pack{g.T, k}, r.rand, g.T, x))
		g.x = wide(x)
		return
	}
	rows := g.T
	logit := make([]int32, g.T)
	if g.Select {
		rows = min(8, g.Batch.MaxRows)
		for i := range logit {
			logit[i] = int32(r.rand.IntN(rows))
		}
	}
	x, w := normal(r.rand, rows*k, 3), normal(r.rand, k, 1)
	g.args.X, g.args.NormWeights, g.args.Eps = r.put(x), r.put(w), 1e-6
	seq := backend.Batch{Tokens: make([]int32, rows), Pos: make([]int32, rows), Seq: make([]int32, rows),
		Tables: [][]int32{{0}}, LogitRows: logit}
	g.args.Batch = r.put(makeBatch(g.Batch, &seq))
	for i := range g.T {
		from := i
		if g.Select {
			from = int(logit[i])
		}
		sum := 0.0
		for _, v := range x[from*k:][:k] {
			sum += float64(v) * float64(v)
		}
		for j, v := range x[from*k:][:k] {
			g.x = append(g.x, float64(v)/math.Sqrt(sum/float64(k)+1e-6)*float64(w[j]))
		}
	}
}

// products is x * W^T of values[i], and the sum of the products' magnitudes.
func (g *gemvCase) products(i int) (y, size []float64) {
	k, n := g.Mats[0].K, g.width(min(i, len(g.Mats)-1))
	some := len(g.values[i]) / k
	y, size = make([]float64, g.T*n), make([]float64, g.T*n)
	for row := range g.T {
		for col := range n {
			if col >= some {
				y[row*n+col], size[row*n+col] = y[row*n+col-some], size[row*n+col-some]
				continue
			}
			for j, w := range g.values[i][col*k:][:k] {
				p := float64(w) * g.x[row*k+j]
				y[row*n+col] += p
				size[row*n+col] += math.Abs(p)
			}
		}
	}
	return y, size
}

// check launches and compares. A product is off by the rounding of weights (three
// roundings of 2^-11 at worst: scale, minimum, weight, whose magnitudes are up to
// twice the weight's) and of inputs that are normalised (one), and by the sums'.
func (g *gemvCase) check(r *rig) {
	r.t.Helper()
	r.launch(g.GEMV, g.Launch(g.sms, g.args))
	g.compare(r)
}

func (g *gemvCase) compare(r *rig) {
	r.t.Helper()
	rel := 4 * 0x1p-11
	bound := func(size, extra float64) float64 { return rel*size + 1e-5*extra + 1e-6 }
	if g.Out == SiLUMulPack {
		n := g.Mats[0].N / 2
		gate, gs := g.products(0)
		up, us := g.products(1)
		got := r.packed(g.args.Mats[0].Out, Pack{g.T, n}, g.T)
		for i := range gate {
			want := gate[i] / (1 + math.Exp(-gate[i])) * up[i]
			tol := bound(gs[i]*math.Abs(up[i])*1.1+us[i]*math.Abs(gate[i]), 1) + 0x1p-10*math.Abs(want) + 0x1p-24
			if !(math.Abs(float64(got[i])-want) <= tol) {
				r.t.Fatalf("%s: (%d, %d) is %v, want %v +- %v", g.Name(), i/n, i%n, got[i], want, tol)
			}
		}
		g.countersAreZero(r)
		return
	}
	for m, l := range g.Mats {
		want, size := g.products(m)
		got := r.f32(g.args.Mats[m].Out, g.T*l.N)
		for i := range want {
			if g.Bias {
				want[i] += float64(g.bias[m][i%l.N])
			}
			if g.Out == AddResidual {
				want[i] += float64(g.add[i])
			}
			if tol := bound(size[i], math.Abs(want[i])); !(math.Abs(float64(got[i])-want[i]) <= tol) {
				r.t.Fatalf("%s: matrix %d (%d, %d) is %v, want %v +- %v", g.Name(), m, i/l.N, i%l.N, got[i], want[i], tol)
			}
		}
		nearRMS(r.t, g.Name(), got, want, 1.5e-3)
	}
	g.countersAreZero(r)
}

func (g *gemvCase) countersAreZero(r *rig) {
	r.t.Helper()
	for i, v := range r.get(g.args.Counters, int(g.CounterBytes())) {
		if v != 0 {
			r.t.Fatalf("%s: byte %d of the counters is left at %d", g.Name(), i, v)
		}
	}
}

func TestGEMV(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		for _, f := range Formats() {
			dt := formats[f].dtype
			block := dt.BlockElems()
			for _, c := range []GEMV{
				{T: 1}, {T: 2, Bias: true}, {T: 4, Out: AddResidual}, {T: 8, Out: SiLUMulPack, Warps: 4},
				{T: 1, Norm: true, Bias: true, Out: AddResidual, Warps: 4, Stages: 3},
				{T: 2, Norm: true, Select: true, Warps: 2}, {T: 1, Norm: true, Out: SiLUMulPack},
				{T: 16, Bias: true, Shared: 227 << 10}, {T: 32, Out: AddResidual, Warps: 4, Stages: 3, Shared: 227 << 10},
				{T: 64, Out: SiLUMulPack, Shared: 227 << 10}, {T: 2, Out: SiLUMulPack, Warps: 2, Stages: 3, Shared: 24 << 10},
			} {
				c.Cut = -r.rand.IntN(2)
				k := max(32, block) * (1 + r.rand.IntN(1+1024/max(32, block)))
				newGEMVCase(r, c, []tensor.DType{dt}, []int{1 + r.rand.IntN(200)}, k).check(r)
			}
		}
	})
}

func TestGEMVOfSeveralMatrices(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		for _, types := range [][]tensor.DType{
			{tensor.Q4_K, tensor.Q4_K, tensor.Q6_K}, {tensor.BF16, tensor.BF16, tensor.BF16},
			{tensor.Q8_0, tensor.Q4_0, tensor.Q8_0}, {tensor.MXFP4, tensor.F32},
		} {
			n := []int{100, 32, 40}[:len(types)]
			for _, c := range []GEMV{{T: 1, Norm: true, Bias: true}, {T: 8, Cut: -1}} {
				newGEMVCase(r, c, types, n, 512).check(r)
			}
		}
	})
}

// Results do not depend on which block comes last to a tile.
func TestGEMVRepeats(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		g := newGEMVCase(r, GEMV{T: 2, Cut: -1}, []tensor.DType{tensor.Q4_0}, []int{50}, 2048)
		var first []float32
		for i := range 4 {
			g.check(r)
			got := r.f32(g.args.Mats[0].Out, 2*50)
			if i == 0 {
				first = got
			}
			for j := range got {
				if got[j] != first[j] {
					t.Fatalf("run %d: [%d] is %v, was %v", i, j, got[j], first[j])
				}
			}
		}
	})
}

func TestGEMVRefuses(t *testing.T) {
	l := Layout{FormatQ4_K, 64, 4096}
	for _, c := range []GEMV{
		{T: 1}, {Mats: []Layout{l}, T: 3}, {Mats: []Layout{l}, T: 64}, {Mats: []Layout{l}, T: 8, Norm: true},
		{Mats: []Layout{l}, T: 1, Select: true}, {Mats: []Layout{l, {FormatQ4_K, 64, 2048}}, T: 1},
		{Mats: []Layout{l, l}, T: 1, Out: SiLUMulPack},
	} {
		if _, err := c.Build(ptx.SM80); err == nil {
			t.Errorf("%v was built", c)
		}
	}
}

// Blocks get their share of a matrix: nearly, or less than Cut away from it.
func TestGEMVShares(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		c := GEMV{T: 1, Mats: []Layout{{FormatQ4_0, 16 * (1 + r.IntN(400)), 64 * (1 + r.IntN(300))}}}
		sms := 1 + r.IntN(200)
		if r.IntN(2) == 0 {
			c.Cut = -1
		}
		share := c.shares()[0]
		grain, turns := share.grain(sms), share.tasks*share.turns
		if turns%grain != 0 {
			t.Fatalf("%d turns in grains of %d", turns, grain)
		}
		most := 0
		for i := range sms {
			from, to := i*(turns/grain)/sms*grain, (i+1)*(turns/grain)/sms*grain
			most = max(most, to-from)
		}
		spare := 1.0
		if c.Cut == 0 {
			spare += gemvCut / float64(turnOf(c.Mats[0]).bytes)
		}
		if mean := float64(turns) / float64(sms); float64(most) > mean+spare {
			t.Errorf("%v on %d: %d turns at most, %.1f in the mean, grain %d", c.Mats[0], sms, most, mean, grain)
		}
	}
}
