package plan

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/internal/tensor"
	"pgregory.net/rapid"
)

// sizes of the tiny plans tests build
type sizes struct {
	blocks, d, ff, heads, kv, dim, vocab int
	bias, norms                          bool
}

var tiny = sizes{blocks: 2, d: 32, ff: 96, heads: 4, kv: 2, dim: 16, vocab: 50}

// tinyBuilder writes a whole transformer.
func (z sizes) build(b *Builder) {
	mat := func(name string, shape ...int) Weight {
		return b.Weight(tensor.Desc{Name: name, DType: tensor.F32, Shape: shape})
	}
	bias := func(name string, n int) Weight {
		if !z.bias {
			return 0
		}
		return mat(name, n)
	}
	rope := &RopeParams{Dims: z.dim, Freqs: make([]float64, z.dim/2), MScale: 1}
	embed := mat("embed", z.vocab, z.d)
	x := b.Embed("x", embed)
	for range z.blocks {
		layer := b.Cache(KVLayer{Heads: z.kv, KeyDim: z.dim, ValueDim: z.dim})
		h := b.RMSNorm("h", x, mat("attn_norm", z.d), 1e-6)
		q := b.Linear("q", h, mat("q", z.heads*z.dim, z.d), bias("bq", z.heads*z.dim))
		k := b.Linear("k", h, mat("k", z.kv*z.dim, z.d), bias("bk", z.kv*z.dim))
		v := b.Linear("v", h, mat("v", z.kv*z.dim, z.d), bias("bv", z.kv*z.dim))
		if z.norms {
			q = b.HeadNorm("qn", q, mat("qn", z.dim), z.heads, z.dim, 1e-6)
			k = b.HeadNorm("kn", k, mat("kn", z.dim), z.kv, z.dim, 1e-6)
		}
		q, k = b.Rope("qr", q, z.heads, z.dim, rope), b.Rope("kr", k, z.kv, z.dim, rope)
		b.AppendKV(layer, k, v)
		a := b.Attention("a", layer, q, z.heads, 0.25)
		x = b.Add("ax", x, b.Linear("o", a, mat("o", z.d, z.heads*z.dim), bias("bo", z.d)))
		h = b.RMSNorm("h2", x, mat("ffn_norm", z.d), 1e-6)
		act := b.SiLUMul("act", b.Linear("gate", h, mat("gate", z.ff, z.d), 0), b.Linear("up", h, mat("up", z.ff, z.d), 0))
		x = b.Add("fx", b.Linear("down", act, mat("down", z.d, z.ff), 0), x)
	}
	x = b.RMSNorm("on", b.SelectRows("rows", x), mat("out_norm", z.d), 1e-6)
	b.Logits(x, embed)
}

func (z sizes) plan(t rapid.TB) *Plan {
	b := NewBuilder("test", z.vocab, 128)
	z.build(b)
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func kinds(p *Plan) string {
	var k []string
	for i := range p.Steps {
		k = append(k, p.Steps[i].Kind.String())
	}
	return strings.Join(k, " ")
}

func TestFuseMakesFiveStepsABlock(t *testing.T) {
	const block = " NormQKVRopeAppend Attention OutResidual NormGateUpAct DownResidual"
	for _, z := range []sizes{tiny, {1, 32, 96, 4, 1, 8, 50, true, false}, {3, 32, 96, 4, 4, 16, 50, false, true}} {
		p := z.plan(t)
		before := p.String()
		f := Fuse(p, nil)
		if got, want := kinds(f), "Embed"+strings.Repeat(block, z.blocks)+" LMHead"; got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		if err := f.Validate(); err != nil {
			t.Error(err)
		}
		if p.String() != before {
			t.Error("Fuse changed its argument")
		}
		if again := Fuse(f, nil); !reflect.DeepEqual(again, f) {
			t.Error("fusing twice is not fusing once")
		}
		// The parts, laid end to end, are the plan.
		var flat []Step
		for _, s := range f.Steps {
			if s.Parts == nil {
				s.Parts = []Step{s}
			}
			flat = append(flat, s.Parts...)
		}
		if !reflect.DeepEqual(flat, p.Steps) {
			t.Error("the parts are not the plan")
		}
	}
}

func TestFuseCarriesWeightsAndNumbers(t *testing.T) {
	z := tiny
	z.bias, z.norms = true, true
	p := z.plan(t)
	f := Fuse(p, nil)
	name := func(s *Step, r Role) string {
		if s.W[r] == 0 {
			return ""
		}
		return f.WeightDesc(s.W[r]).Name
	}
	qkv := &f.Steps[1]
	for r, want := range map[Role]string{WNorm: "attn_norm", WQ: "q", WK: "k", WV: "v", BQ: "bq", BK: "bk", BV: "bv", QNorm: "qn", KNorm: "kn", WO: ""} {
		if got := name(qkv, r); got != want {
			t.Errorf("%v is %q, want %q", r, got, want)
		}
	}
	want := Attr{Eps: 1e-6, Heads: 4, KVHeads: 2, HeadDim: 16, Rope: qkv.Attr.Rope}
	if qkv.Attr != want || qkv.Attr.Rope == nil || qkv.Layer != 0 || f.Steps[6].Layer != 1 {
		t.Errorf("attributes %+v layer %d, want %+v layer 0", qkv.Attr, qkv.Layer, want)
	}
	out, down := &f.Steps[3], &f.Steps[5]
	if name(out, WO) != "o" || name(out, BO) != "bo" || name(down, WDown) != "down" {
		t.Error("residual steps have the wrong weights")
	}
	// In[1] is the residual however the sum was written.
	if got := f.ValueInfo(out.In[1]).Name + " " + f.ValueInfo(down.In[1]).Name; got != "x ax" {
		t.Errorf("residuals %s, want x ax", got)
	}
}

func TestFuseAsksTheBackend(t *testing.T) {
	p := tiny.plan(t)
	var asked int
	none := Fuse(p, func(q *Plan, s *Step) bool {
		if asked++; q != p || s.Parts == nil {
			t.Error("asked about something else than a large step of the plan")
		}
		return false
	})
	if !reflect.DeepEqual(none.Steps, p.Steps) || asked != 4*tiny.blocks+1 {
		t.Errorf("a backend that supports nothing got %s after %d questions", kinds(none), asked)
	}
	some := Fuse(p, func(_ *Plan, s *Step) bool { return s.Kind == DownResidual })
	if n := strings.Count(kinds(some), "DownResidual"); n != 2 || strings.Contains(kinds(some), "NormGateUpAct") || !strings.Contains(kinds(some), "SiLUMul") {
		t.Errorf("only DownResidual is supported, got %s", kinds(some))
	}
}

// What is used outside a large step cannot become its inside.
func TestFuseLeavesSharedValuesAlone(t *testing.T) {
	build := func(share bool) *Plan {
		b := NewBuilder("test", 10, 16)
		mat := func(shape ...int) Weight {
			return b.Weight(tensor.Desc{Name: "w", DType: tensor.F32, Shape: shape})
		}
		embed := mat(10, 8)
		x := b.Embed("x", embed)
		h := b.RMSNorm("h", x, mat(8), 1e-6)
		act := b.SiLUMul("act", b.Linear("gate", h, mat(12, 8), 0), b.Linear("up", h, mat(12, 8), 0))
		y := b.Add("y", x, b.Linear("down", act, mat(8, 12), 0))
		if share {
			y = b.Add("z", y, h)
		}
		b.Logits(b.RMSNorm("n", b.SelectRows("r", y), mat(8), 1e-6), embed)
		p, err := b.Plan()
		if err != nil {
			t.Fatal(err)
		}
		return Fuse(p, nil)
	}
	if got, want := kinds(build(false)), "Embed NormGateUpAct DownResidual LMHead"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := kinds(build(true)), "Embed RMSNorm Linear Linear SiLUMul DownResidual Add LMHead"; got != want {
		t.Errorf("with a shared norm got %s, want %s", got, want)
	}
}

// A rule must not take steps that differ in a number the large step has once.
func TestFuseWantsEqualNumbers(t *testing.T) {
	z := tiny
	z.norms = true
	for what, change := range map[string]func(s []Step){
		"rope":  func(s []Step) { r := *s[7].Attr.Rope; s[7].Attr.Rope = &r; r.NEOX = true },
		"eps":   func(s []Step) { s[5].Attr.Eps = 1e-5 },
		"parts": func(s []Step) { s[2], s[3] = s[3], s[2] }, // k before q
	} {
		p := z.plan(t)
		change(p.Steps[:])
		if what != "parts" && p.Validate() != nil {
			t.Fatalf("%s: %v", what, p.Validate())
		}
		if f := Fuse(p, nil); f.Steps[1].Kind == NormQKVRopeAppend && what != "parts" {
			t.Errorf("%s: fused steps that differ", what)
		}
	}
}

func TestBuilderReportsTheFirstMistake(t *testing.T) {
	w := func(b *Builder, shape ...int) Weight {
		return b.Weight(tensor.Desc{Name: "w", DType: tensor.F32, Shape: shape})
	}
	for want, wrong := range map[string]func(b *Builder, x Value){
		"blk.7.y: Linear: weight mat is w F32[5 9], want shape [5 8]": func(b *Builder, x Value) { b.Linear("y", x, w(b, 5, 9), 0) },
		"blk.7.y: Linear: weight bias is w F32[6], want shape [5]":    func(b *Builder, x Value) { b.Linear("y", x, w(b, 5, 8), w(b, 6)) },
		"RMSNorm: weight norm is w F32[7], want shape [8]":            func(b *Builder, x Value) { b.RMSNorm("y", x, w(b, 7), 1e-6) },
		"RMSNorm: eps 0":                                       func(b *Builder, x Value) { b.RMSNorm("y", x, w(b, 8), 0) },
		"RMSNorm: value 0 is not one":                          func(b *Builder, x Value) { b.RMSNorm("y", 0, w(b, 8), 1e-6) },
		"HeadNorm: input \"x\" is 8 wide, want 12":             func(b *Builder, x Value) { b.HeadNorm("y", x, w(b, 4), 3, 4, 1e-6) },
		"Rope: no rope parameters":                             func(b *Builder, x Value) { b.Rope("y", x, 2, 4, nil) },
		"Rope: rope rotates 6 of 4 columns":                    func(b *Builder, x Value) { b.Rope("y", x, 2, 4, &RopeParams{Dims: 6, Freqs: make([]float64, 3)}) },
		"AppendKV: layer 3, of 0":                              func(b *Builder, x Value) { b.AppendKV(3, x, x) },
		"AppendKV: value \"x\" is 8 wide, want 10":             func(b *Builder, x Value) { b.AppendKV(b.Cache(KVLayer{2, 4, 5}), x, x) },
		"Attention: 3 heads over 2 KV heads":                   func(b *Builder, x Value) { b.Attention("y", b.Cache(KVLayer{2, 4, 4}), x, 3, 1) },
		"Attention: nothing was appended":                      func(b *Builder, x Value) { b.Attention("y", b.Cache(KVLayer{2, 4, 4}), x, 2, 1) },
		"Add: inputs \"x\" (8 wide) and":                       func(b *Builder, x Value) { b.Add("y", x, b.Linear("z", x, w(b, 5, 8), 0)) },
		"Add: inputs \"x\" (8 wide) and \"blk.7.r\" (8":        func(b *Builder, x Value) { b.Add("y", x, b.SelectRows("r", x)) },
		"is selected already":                                  func(b *Builder, x Value) { b.SelectRows("s", b.SelectRows("r", x)) },
		"Logits: \"x\" has a row per token: select rows first": func(b *Builder, x Value) { b.Logits(x, 1) },
		"Logits: weight mat is w F32[9 8], want shape [10 8]":  func(b *Builder, x Value) { b.Logits(b.SelectRows("r", x), w(b, 9, 8)) },
		"a plan ends in its only Logits, LMHead or Send":       func(b *Builder, x Value) {},
		"weight bias is w F16[5], want F32": func(b *Builder, x Value) {
			b.Linear("y", x, w(b, 5, 8), b.Weight(tensor.Desc{Name: "w", DType: tensor.F16, Shape: []int{5}}))
		},
		"weight w Q8_0[5 8]: a row is no whole number of blocks":             func(b *Builder, x Value) { b.Weight(tensor.Desc{Name: "w", DType: tensor.Q8_0, Shape: []int{5, 8}}) },
		"weight w DType(77)[5 8]: want a known format":                       func(b *Builder, x Value) { b.Weight(tensor.Desc{Name: "w", DType: 77, Shape: []int{5, 8}}) },
		"weight w F32[5 8 1]: want a known format and one or two dimensions": func(b *Builder, x Value) { w(b, 5, 8, 1) },
		"blk.7.early: Linear: weight mat is w F32[5 9]":                      func(b *Builder, x Value) { b.RMSNorm("late", b.Linear("early", x, w(b, 5, 9), 0), 1, -1) },
	} {
		b := NewBuilder("test", 10, 16)
		x := b.Embed("x", w(b, 10, 8))
		b.Section("blk.7.")
		wrong(b, x)
		if _, err := b.Plan(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

func TestValidateRefusesBrokenPlans(t *testing.T) {
	fine, fused := tiny.plan(t), Fuse(tiny.plan(t), nil)
	if fine.Validate() != nil || fused.Validate() != nil {
		t.Fatal("the plans to break are broken")
	}
	for want, damage := range map[string]func(p *Plan){
		"no steps":                    func(p *Plan) { p.Steps = nil },
		"vocabulary of 0":             func(p *Plan) { p.Vocab = 0 },
		"context of -1":               func(p *Plan) { p.Context = -1 },
		"value 3 \"q\" is 0 wide":     func(p *Plan) { p.Values[2].Width = 0 },
		"KV layer 1: 0 heads":         func(p *Plan) { p.KV[1].Heads = 0 },
		"used before":                 func(p *Plan) { p.Steps[0], p.Steps[1] = p.Steps[1], p.Steps[0] },
		"computed twice":              func(p *Plan) { p.Steps[2].Out = p.Steps[1].Out },
		"value 99 is not one":         func(p *Plan) { p.Steps[3].In = []Value{99} },
		"2 values in and 1 out":       func(p *Plan) { p.Steps[3].In = []Value{1, 1} },
		"no weight mat":               func(p *Plan) { p.Steps[2].W[WMat] = 0 },
		"has a weight gate":           func(p *Plan) { p.Steps[2].W[WGate] = 1 },
		"weight mat is number 77":     func(p *Plan) { p.Steps[2].W[WMat] = 77 },
		"no such kind":                func(p *Plan) { p.Steps[2].Kind = 200 },
		"layer 0, of 2 KV layers":     func(p *Plan) { p.Steps[2].Layer = 0 },
		"is 31 wide":                  func(p *Plan) { p.Values[1].Width = 31 },
		"appended to twice":           func(p *Plan) { p.Steps = slices.Insert(p.Steps, 8, p.Steps[7]) },
		"a fine step has no parts":    func(p *Plan) { p.Steps[1].Parts = p.Steps[2:3] },
		"ends in its only Logits":     func(p *Plan) { p.Steps = p.Steps[:len(p.Steps)-1] },
		"rope number 1 is NaN":        func(p *Plan) { p.Steps[5].Attr.Rope.Freqs[0] = nan() },
		"2000000000 heads, 0 KV head": func(p *Plan) { p.Steps[5].Attr.Heads = 2e9 },
	} {
		p := tiny.plan(t)
		damage(p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	for want, damage := range map[string]func(p *Plan){
		"stand for its parts":          func(p *Plan) { p.Steps[1].Attr.Eps = 1 },
		"does not stand for its parts": func(p *Plan) { p.Steps[1].Parts = p.Steps[1].Parts[:5] },
		"part 3 Linear: no weight mat": func(p *Plan) { p.Steps[1].Parts[3].W[WMat] = 0 },
		"a part has no parts":          func(p *Plan) { p.Steps[1].Parts[0].Parts = p.Steps[1].Parts },
		"inside a large step":          func(p *Plan) { p.Steps[2].In = p.Steps[1].Parts[1].Out },
	} {
		p := Fuse(tiny.plan(t), nil)
		damage(p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

func nan() float64 { z := 0.0; return z / z }

// Whatever one does to a plan, Validate answers; and what it accepts can be
// printed, fused and placed.
func TestValidateNeverPanics(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := tiny.plan(r)
		if rapid.Bool().Draw(r, "fused") {
			p = Fuse(p, nil)
		}
		n := rapid.SampledFrom([]int{-1, 0, 1, 2, 3, 5, 8, 31, 1 << 30, 1 << 62})
		for range rapid.IntRange(1, 3).Draw(r, "changes") {
			s := &p.Steps[rapid.IntRange(0, len(p.Steps)-1).Draw(r, "step")]
			if len(s.Parts) > 0 && rapid.Bool().Draw(r, "inside") {
				s = &s.Parts[rapid.IntRange(0, len(s.Parts)-1).Draw(r, "part")]
			}
			x := n.Draw(r, "number")
			switch rapid.IntRange(0, 9).Draw(r, "what") {
			case 0:
				s.Kind = Kind(x)
			case 1:
				s.Layer = x
			case 2:
				s.In = append([]Value{Value(x)}, s.In...)
			case 3:
				s.Out = nil
			case 4:
				s.W[rapid.IntRange(0, int(NumRoles)-1).Draw(r, "role")] = Weight(x)
			case 5:
				s.Attr.Heads, s.Attr.HeadDim = x, n.Draw(r, "dim")
			case 6:
				p.Values[rapid.IntRange(0, len(p.Values)-1).Draw(r, "value")].Width = x
			case 7:
				p.Weights[rapid.IntRange(0, len(p.Weights)-1).Draw(r, "weight")].Shape = []int{x, n.Draw(r, "side")}
			case 8:
				p.KV[0].KeyDim = x
			case 9:
				s.Attr.Rope = &RopeParams{Dims: x}
			}
		}
		if p.Validate() == nil {
			Arena(Fuse(p, nil))
			_ = p.String()
		}
	})
}
