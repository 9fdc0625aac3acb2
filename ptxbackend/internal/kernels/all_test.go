package kernels

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// TestAllTexts runs the very texts of All, in their shapes, on random numbers and
// compares with float64. The emulator gets a few that cost it little, or all of them
// where SANDWARP_ALL=1. It starts none when a third of the time is left, for the last
// one may be slow under a tool that watches it.
func TestAllTexts(t *testing.T) {
	begun := time.Now()
	everything := os.Getenv("SANDWARP_GPU") == "1" || os.Getenv("SANDWARP_ALL") == "1"
	for _, c := range All() {
		if !everything && !cheap(c) {
			continue
		}
		for _, target := range TargetsOf(c) {
			t.Run(c.Name()+"/"+target.Arch, func(t *testing.T) {
				if end, ok := t.Deadline(); ok && time.Until(end) < time.Since(begun)/2 {
					t.Skip("no time left: not launched; give -test.timeout more")
				}
				checkText(t, newRig(t, target), c)
			})
		}
	}
}

// cheap kernels take the emulator less than a second.
func cheap(c Config) bool {
	switch c := c.(type) {
	case Elem, RMSNorm, RopeAppend, Stream, MatrixPeak:
		return true
	case GEMV:
		return c.Mats[0].N*c.Mats[0].K < 1<<20
	case AttnDecode:
		return c.Heads < 16
	}
	return false
}

// TestTextsInSmall goes the way of TestAllTexts with shapes small enough for the
// emulator, whose rows repeat as those of large matrices do.
func TestTextsInSmall(t *testing.T) {
	batch := BatchLayout{MaxRows: 20, MaxLogit: 4}
	const n, k = repeatedRows + 64, 256
	eachTarget(t, func(t *testing.T, r *rig) {
		add := GEMM{Mats: []Layout{{FormatQ4_0, n, k}}, Out: AddResidual}
		three := GEMM{Mats: []Layout{{FormatQ4_K, n, k}, {FormatQ4_K, 32, k}, {FormatQ6_K, 32, k}}, Bias: true}
		for _, c := range []Config{
			Embed{Layout: Layout{FormatQ6_K, n, k}, Batch: batch},
			GEMV{Mats: []Layout{{FormatQ4_K, n, k}, {FormatQ6_K, 48, k}}, T: 2, Norm: true, Select: true, Batch: batch},
			GEMV{Mats: []Layout{{FormatQ8_0, 2 * n, k}}, T: 1, Norm: true, Out: SiLUMulPack},
			r.best(add), r.best(three), r.best(GEMM{Mats: []Layout{{FormatF16, 2 * n, 64}}, Out: SiLUMulPack}),
			AttnPrefill{AttnShape: AttnShape{2, 1, 32, 32}}.Fit(hopper), AttnGeneral{AttnShape{2, 1, 16, 8}},
			TopK{Vocab: 9000, K: 20}.Slices(), TopK{Vocab: 9000, K: 20}.Merge(),
		} {
			checkText(t, r, c)
		}
	})
}

// checkText launches c on random operands and compares with float64.
func checkText(t *testing.T, r *rig, c Config) {
	t.Helper()
	sms := emulatedSMs
	if i := r.dev.Info(); os.Getenv("SANDWARP_GPU") == "1" {
		sms = i.SMs
		if n := sharedBytes(c); n > i.SharedPerBlock {
			t.Skipf("%s takes %d bytes of shared memory, a block has %d", c.Name(), n, i.SharedPerBlock)
		}
	}
	const rows = 9 // more than one tile of 8
	switch c := c.(type) {
	case Embed:
		n := int32(c.Layout.N)
		checkEmbed(t, r, c, []int32{0, n - 1, 1, n - 16, n / 2, n/2 + 8, r.rand.Int32N(n), r.rand.Int32N(n)})
	case Elem:
		checkElem(t, r, c, rows)
	case RMSNorm:
		checkRMSNorm(t, r, c, rows)
	case RopeAppend:
		batch := &backend.Batch{Tokens: make([]int32, 5), Pos: []int32{0, 130, 62, 63, 64}, Seq: []int32{0, 1, 2, 2, 2},
			Tables: [][]int32{{5}, {0, 3, 2}, {4, 1}}}
		testRopeAppend(t, r, c, batch, 6, 7)
	case GEMV:
		var types []tensor.DType
		for _, m := range c.Mats {
			types = append(types, formats[m.Format].dtype)
		}
		g := caseOfGEMV(r, c, types, sms)
		g.check(r)
		g.check(r) // the counters are as they were
	case GEMM:
		checkGEMM(t, r, c, sms)
	case AttnDecode:
		d := newAttnData(r.rand, c.AttnShape, decodeRuns, 3).upload(r, 64)
		testAttnDecode(t, r, c, d, c.Shares(sms))
		testAttnDecode(t, r, c, d, 3)
	case AttnPrefill:
		runs := []run{{0, 50}, {0, 1}, {63, 2}, {100, 133}, {7, 65}, {64, 20}}
		testAttnPrefill(t, r, c, newAttnData(r.rand, c.AttnShape, runs, 0).upload(r, 128))
	case AttnGeneral:
		testAttnGeneral(t, r, c, newAttnData(r.rand, c.AttnShape, decodeRuns, 2).upload(r, 16))
	case TopKSlices:
		testTopK(t, r, c.TopK, logitRows(r, c.Vocab)[:2])
	case TopKMerge:
		testTopK(t, r, c.TopK, logitRows(r, c.Vocab)[2:])
	case Stream:
		checkStream(t, r, c)
	case MatrixPeak:
		checkMatrixPeak(t, r, c)
	default:
		t.Fatalf("there is no check of a %T", c)
	}
}

// sharedBytes is the dynamic shared memory of a block.
func sharedBytes(c Config) int {
	switch c := c.(type) {
	case interface{ SharedBytes() int }:
		return c.SharedBytes()
	case interface{ Shared() int }:
		return c.Shared()
	}
	return 0
}

// checkGEMM is gemmCase.run for large matrices, whose rows repeat: every product is
// checked. There are rows for a whole tile and some.
func checkGEMM(t *testing.T, r *rig, g GEMM, sms int) {
	t.Helper()
	some := g
	some.Bias, some.Mats = false, nil
	for _, m := range g.Mats {
		if g.Out == SiLUMulPack {
			m.N = 2 * min(m.N/2, repeatedRows)
		} else {
			m.N = min(m.N, repeatedRows)
		}
		some.Mats = append(some.Mats, m)
	}
	c := newGEMMCase(r, some, g.Tile.Tokens+37)
	y, bound := c.twin()
	args := GEMMArgs{X: r.put(packHost(Pack{T: 128, K: g.Mats[0].K}, r.rand, c.rows, narrow(c.x))), Rows: c.rows}
	if g.Out == SiLUMulPack {
		checkGEMMSiLU(t, r, g, c, args, y, bound, sms)
		return
	}
	c.g = g
	if g.Out == AddResidual {
		c.in = normal(r.rand, c.rows*c.stride(0), 1)
		args.Residual = r.put(c.in)
	}
	for i, m := range g.Mats {
		p := GEMVMat{Weights: r.repeat(c.data[i], m.Bytes()), Scale: c.scale[i], Out: r.alloc(4 * c.rows * c.stride(i))}
		y[i], bound[i] = wider(y[i], some.Mats[i].N, m.N), wider(bound[i], some.Mats[i].N, m.N)
		if g.Bias {
			bias := normal(r.rand, m.N, 1)
			p.Bias = r.put(bias)
			for j := range y[i] {
				y[i][j] += float64(bias[j%m.N])
				bound[i][j] += math.Abs(y[i][j]) * 0x1p-23
			}
		}
		args.Mats = append(args.Mats, p)
	}
	r.launch(g, g.Launch(sms, args))
	for i, m := range g.Mats {
		got := r.f32(args.Mats[i].Out, c.rows*c.stride(i))
		c.check(t, fmt.Sprintf("%s: y%d", g.Name(), i), got, y[i], bound[i], m.N, c.stride(i))
	}
}

// checkGEMMSiLU compares with silu(gate)*up; for the bound see runSiLUMul.
func checkGEMMSiLU(t *testing.T, r *rig, g GEMM, c *gemmCase, args GEMMArgs, y, bound [][]float64, sms int) {
	t.Helper()
	m, n, tile := g.Mats[0], g.Mats[0].N/2, g.Mats[0].TileBytes()
	var both []byte
	for at := 0; at < len(c.data[0]); at += tile {
		both = append(append(both, c.data[0][at:at+tile]...), c.data[1][at:at+tile]...)
	}
	p := Pack{T: 128, K: n}
	out := r.alloc(int(p.Bytes(c.rows)))
	args.Mats = []GEMVMat{{Weights: r.repeat(both, m.Bytes()), Scale: c.scale[0], ScaleUp: c.scale[1], Out: out}}
	r.launch(g, g.Launch(sms, args))
	some := c.mats[0].N
	want, off := make([]float64, len(y[0])), make([]float64, len(y[0]))
	for i := range want {
		gate, up := y[0][i], y[1][i]
		silu := gate / (1 + math.Exp(-gate))
		want[i] = max(min(silu*up, 65504), -65504)
		off[i] = 1.1*math.Abs(up)*bound[0][i] + math.Abs(silu)*bound[1][i] + bound[0][i]*bound[1][i]
		off[i] += math.Abs(silu*up)*(0x1p-11+0x1p-20) + 0x1p-24
	}
	within(t, g.Name(), r.packed(out, p, c.rows), wider(want, some, n), wider(off, some, n))
}

// wider repeats the columns of x, some a row, until there are n.
func wider(x []float64, some, n int) []float64 {
	if some == n {
		return x
	}
	y := make([]float64, 0, len(x)/some*n)
	for row := range slices.Chunk(x, some) {
		for left := n; left > 0; left -= some {
			y = append(y, row[:min(some, left)]...)
		}
	}
	return y
}

// TestRecord checks what SANDWARP_LAUNCHED gets: each text once, of tests that passed.
func TestRecord(t *testing.T) {
	file := t.TempDir() + "/launched"
	c := Elem{Op: OpAdd, Cols: 4}
	var hash, device string
	t.Run("passed", func(t *testing.T) {
		r := newRig(t, ptx.SM80)
		checkElem(t, r, c, 1)
		checkElem(t, r, c, 2)
		r.load(Elem{Op: OpAdd, Cols: 8}) // not launched
		k, err := c.Build(r.target)
		must(t, err)
		hash, device = (&ptx.Module{Target: r.target, Kernels: []*ptx.Kernel{k}}).Hash(), r.dev.Info().Name
		r.record(file)
	})
	t.Run("skipped", func(t *testing.T) {
		r := newRig(t, ptx.SM80)
		checkElem(t, r, c, 1)
		t.Cleanup(func() { r.record(file) })
		t.Skip("on purpose: what it launched is not recorded")
	})
	data, err := os.ReadFile(file)
	must(t, err)
	if want := fmt.Sprintf("%s %s sm_80 %s\n", hash, c.Name(), device); string(data) != want {
		t.Errorf("recorded is %q, want %q", data, want)
	}
}
