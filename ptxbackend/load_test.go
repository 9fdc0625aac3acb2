package ptxbackend

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/internal/model/modeltest"
	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// large is a plan of products whose matrices take several pieces to load, and its
// weights.
func large(t testing.TB) (*plan.Plan, [][]byte) {
	t.Helper()
	const d, ff, vocab = 1024, 6000, 512
	b := plan.NewBuilder("test", vocab, 64)
	var data [][]byte
	weight := func(name string, dt tensor.DType, shape ...int) plan.Weight {
		desc := tensor.Desc{Name: name, DType: dt, Shape: shape}
		raw := make([]byte, desc.Bytes())
		for i := range raw {
			raw[i] = byte(i*7 + len(data))
			if dt.BlockElems() > 1 && i%dt.BlockBytes() < 2 {
				raw[i] = [2]byte{0x10, 0x2c}[i%dt.BlockBytes()] // a scale
			}
			if dt == tensor.F32 {
				raw[i] = [4]byte{0, byte(i), 0x80, 0x3f}[i%4]
			}
		}
		data = append(data, raw)
		return b.Weight(desc)
	}
	x := b.Embed("x", weight("embed", tensor.Q8_0, vocab, d))
	h := b.RMSNorm("h", x, weight("norm", tensor.F32, d), 1e-5)
	gate := b.Linear("gate", h, weight("gate", tensor.F32, ff, d), 0)
	up := b.Linear("up", h, weight("up", tensor.F32, ff, d), 0)
	act := b.SiLUMul("act", gate, up)
	down := b.Linear("down", act, weight("down", tensor.F32, d, ff), 0)
	x = b.Add("y", down, x)
	b.Logits(b.RMSNorm("n", b.SelectRows("s", x), weight("norm2", tensor.F32, d), 1e-5), weight("head", tensor.Q8_0, vocab, d))
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p, data
}

// What lies on the device after Load is what repacking the whole matrix gives,
// whatever pieces it came in, gate and up a tile of each in turn.
func TestLoadPieces(t *testing.T) {
	p, data := large(t)
	drv := inert()
	be, err := openOn(drv, 0)
	if err != nil {
		t.Fatal(err)
	}
	p = plan.Fuse(p, be.Supports)
	var seen []int64
	total := int64(0)
	for _, d := range data {
		total += int64(len(d))
	}
	w, err := be.Load(context.Background(), p, data, backend.LoadOptions{Progress: func(done, all int64) {
		if seen = append(seen, done); all != total {
			t.Errorf("%d bytes in all, want %d", all, total)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	l := w.(*weights)
	if len(seen) < 10 || seen[len(seen)-1] != total {
		t.Errorf("progress %v, want it to end with %d", seen, total)
	}
	for i := 1; i < len(seen); i++ {
		if seen[i] <= seen[i-1] {
			t.Errorf("progress goes from %d to %d", seen[i-1], seen[i])
		}
	}
	paired := 0
	for i, d := range p.Weights {
		if len(d.Shape) == 1 {
			if got := download(t, be.(*gpu), l.vecs[i], len(data[i])); !bytes.Equal(got, data[i]) {
				t.Errorf("%v arrived changed", d)
			}
			continue
		}
		m := l.mats[i]
		exp := kernels.Exponent(d.DType, kernels.Peak(d.DType, data[i]))
		want := make([]byte, m.layout.Bytes())
		m.layout.Repack(want, 1, d.DType, exp, data[i], d.Rows())
		stride := m.layout.TileBytes()
		if m.paired {
			paired++
			stride *= 2
		}
		if m.scale != m.layout.Scale(exp) {
			t.Errorf("%v: scale %v, want %v", d, m.scale, m.layout.Scale(exp))
		}
		for tile := range m.layout.Tiles() {
			got := download(t, be.(*gpu), m.at+driver.Ptr(tile*stride), m.layout.TileBytes())
			if !bytes.Equal(got, want[tile*m.layout.TileBytes():][:m.layout.TileBytes()]) {
				t.Fatalf("%v: tile %d is not what repacking gives", d, tile)
			}
		}
	}
	if paired != 2 {
		t.Errorf("%d matrices are paired, want gate and up", paired)
	}
	if err := errors.Join(w.Close(), w.Close(), be.Close()); err != nil {
		t.Error(err)
	}
	if err := drv.Leaks(); err != nil {
		t.Error(err)
	}
}

// Weights are for the plan they were loaded for, fused as it was.
func TestOtherPlan(t *testing.T) {
	fine, data := large(t)
	be, err := openOn(inert(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	fused := plan.Fuse(fine, be.Supports)
	for _, c := range [][2]*plan.Plan{{fine, fused}, {fused, fine}} {
		w, err := be.Load(context.Background(), c[0], data, backend.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := be.Compile(c[1], w, faultLimits); err == nil || !strings.Contains(err.Error(), "fused in another way") {
			t.Errorf("compiled another plan: %v", err)
		}
		w.Close()
	}
}

// What a machine repacks and copies, without a GPU to slow it down.
func BenchmarkLoad(b *testing.B) {
	for _, dt := range []tensor.DType{tensor.Q4_K, tensor.Q6_K, tensor.Q8_0, tensor.BF16} {
		b.Run(dt.String(), func(b *testing.B) {
			desc := tensor.Desc{Name: "w", DType: dt, Shape: []int{8192, 4096}}
			pb := plan.NewBuilder("bench", 16, 64)
			x := pb.Embed("x", pb.Weight(tensor.Desc{Name: "e", DType: tensor.F32, Shape: []int{16, 4096}}))
			pb.Linear("y", x, pb.Weight(desc), 0)
			pb.Logits(pb.SelectRows("s", x), pb.Weight(tensor.Desc{Name: "h", DType: tensor.F32, Shape: []int{16, 4096}}))
			p, err := pb.Plan()
			if err != nil {
				b.Fatal(err)
			}
			data := [][]byte{make([]byte, 16*4096*4), make([]byte, desc.Bytes()), make([]byte, 16*4096*4)}
			g := idleGPU(b, h200, ptx.SM90a)
			b.SetBytes(int64(desc.Bytes()))
			for b.Loop() {
				w, err := g.Load(context.Background(), p, data, backend.LoadOptions{})
				if err != nil {
					b.Fatal(err)
				}
				w.Close()
			}
		})
	}
}

func download(t *testing.T, g *gpu, at driver.Ptr, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	err := g.within(func() error {
		s, err := g.dev.NewStream()
		if err != nil {
			return err
		}
		return errors.Join(s.CopyOut(b, at), s.Sync(), s.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A load ends with its context, wherever it is, and leaves nothing.
func TestLoadCancel(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	p, data := large(t)
	for _, after := range []int{0, 1, 3} {
		drv := inert()
		be, err := openOn(drv, 0)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		calls := 0
		if after == 0 {
			cancel()
		}
		_, err = be.Load(ctx, p, data, backend.LoadOptions{Progress: func(_, _ int64) {
			if calls++; calls == after {
				cancel()
			}
		}})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("ended after %d pieces: %v", after, err)
		}
		if calls > after {
			t.Errorf("ended after %d pieces, %d more came", after, calls-after)
		}
		if err := errors.Join(be.Close(), drv.Leaks()); err != nil {
			t.Error(err)
		}
	}
}

// A tensor that is the embedding and the head is loaded once, also where the plan
// has it as two weights.
func TestLoadShared(t *testing.T) {
	p, data := tiny(t, modeltest.Options{Arch: "llama", DType: tensor.Q8_0, Untied: true})
	be, err := openOn(inert(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	load := func() *weights {
		w, err := be.Load(context.Background(), p, data, backend.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return w.(*weights)
	}
	apart := load()
	var embed, head int
	for i, d := range p.Weights {
		switch d.Name {
		case "token_embd.weight":
			embed = i
		case "output.weight":
			head = i
		}
	}
	data[head] = data[embed]
	shared := load()
	if shared.mats[head] != shared.mats[embed] || shared.mats[head].at == 0 {
		t.Errorf("the head is %+v, the embedding %+v", shared.mats[head], shared.mats[embed])
	}
	if saved := apart.Bytes() - shared.Bytes(); saved != apart.mats[head].layout.Bytes() {
		t.Errorf("sharing saves %d bytes, want %d", saved, apart.mats[head].layout.Bytes())
	}
	if err := errors.Join(apart.Close(), shared.Close()); err != nil {
		t.Error(err)
	}
}
