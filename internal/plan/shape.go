package plan

import (
	"fmt"
	"math"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// maxWidth bounds the width of a value, the heads of a step and the sides of a
// weight, so that products of two of them cannot overflow.
const maxWidth = 1 << 28

// checkForm checks what can be said of a step without knowing its values: counts,
// ranges, roles and numbers.
func (p *Plan) checkForm(s *Step) error {
	if !s.Kind.valid() {
		return fmt.Errorf("there is no such kind of step")
	}
	f := &forms[s.Kind]
	if len(s.In) != f.in || len(s.Out) != f.out {
		return fmt.Errorf("%d values in and %d out, want %d and %d", len(s.In), len(s.Out), f.in, f.out)
	}
	for _, v := range append(append([]Value{}, s.In...), s.Out...) {
		if v < 1 || int(v) > len(p.Values) {
			return fmt.Errorf("value %d is not one of the plan's %d", v, len(p.Values))
		}
	}
	if err := p.checkRoles(s, f); err != nil {
		return err
	}
	if f.cache != (s.Layer >= 0) || s.Layer < -1 || s.Layer >= len(p.KV) {
		return fmt.Errorf("layer %d, of %d KV layers (-1 where a step touches none)", s.Layer, len(p.KV))
	}
	return checkAttr(s)
}

func (p *Plan) checkRoles(s *Step, f *form) error {
	known := [NumRoles]bool{}
	for _, r := range f.need {
		if known[r] = true; s.W[r] == 0 {
			return fmt.Errorf("no weight %v", r)
		}
	}
	for _, r := range f.may {
		known[r] = true
	}
	for r, w := range s.W {
		if w == 0 {
			continue
		}
		if !known[r] {
			return fmt.Errorf("has a weight %v, which this kind does not use", Role(r))
		}
		if w < 0 || int(w) > len(p.Weights) {
			return fmt.Errorf("weight %v is number %d of %d", Role(r), w, len(p.Weights))
		}
	}
	return nil
}

func checkAttr(s *Step) error {
	a := &s.Attr
	for _, n := range []int{a.Heads, a.KVHeads, a.HeadDim} {
		if n < 0 || n > maxWidth {
			return fmt.Errorf("%d heads, %d KV heads, head dimension %d: out of range", a.Heads, a.KVHeads, a.HeadDim)
		}
	}
	switch s.Kind {
	case RMSNorm, HeadNorm, NormQKVRopeAppend, NormGateUpAct, LMHead:
		if !(a.Eps > 0 && a.Eps < math.MaxFloat32) {
			return fmt.Errorf("eps %v, want a positive number", a.Eps)
		}
	}
	switch s.Kind {
	case HeadNorm, Rope, AppendKV, Attention, NormQKVRopeAppend:
		if a.HeadDim == 0 || s.Kind != AppendKV && a.Heads == 0 {
			return fmt.Errorf("%d heads of dimension %d", a.Heads, a.HeadDim)
		}
	}
	switch s.Kind {
	case Attention:
		if a.KVHeads == 0 || a.Heads%a.KVHeads != 0 || !(a.Scale > 0 && a.Scale < math.MaxFloat32) {
			return fmt.Errorf("%d heads over %d KV heads, scale %v", a.Heads, a.KVHeads, a.Scale)
		}
	case Rope, NormQKVRopeAppend:
		return checkRope(a.Rope, a.HeadDim)
	}
	return nil
}

func checkRope(r *RopeParams, headDim int) error {
	if r == nil {
		return fmt.Errorf("no rope parameters")
	}
	if r.Dims < 2 || r.Dims%2 != 0 || r.Dims > headDim || len(r.Freqs) != r.Dims/2 {
		return fmt.Errorf("rope rotates %d of %d columns with %d frequencies", r.Dims, headDim, len(r.Freqs))
	}
	for i, f := range append([]float64{r.MScale}, r.Freqs...) {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("rope number %d is %v", i, f)
		}
	}
	return nil
}

// infer says what the output of a fine step is: its width, and whether it has a
// row per selected row. The width is 0 for the kinds without an output. It checks
// all shapes on the way; the step has passed checkForm.
func (p *Plan) infer(s *Step) (width int, selected bool, err error) {
	var in [2]ValueInfo
	for i, v := range s.In {
		in[i] = p.ValueInfo(v)
	}
	x, a := in[0], &s.Attr
	width, selected = x.Width, x.Selected
	switch s.Kind {
	case Embed:
		width = p.WeightDesc(s.W[WEmbed]).RowLen()
		err = p.wantShape(s, WEmbed, p.Vocab, width)
	case RMSNorm:
		err = p.wantShape(s, WNorm, x.Width)
	case HeadNorm:
		if err = p.wantShape(s, WNorm, a.HeadDim); err == nil {
			err = wantWidth("input", x, a.Heads*a.HeadDim)
		}
	case Linear:
		width = p.WeightDesc(s.W[WMat]).Rows()
		if err = p.wantShape(s, WMat, width, x.Width); err == nil && s.W[WBias] != 0 {
			err = p.wantShape(s, WBias, width)
		}
	case Rope:
		err = wantWidth("input", x, a.Heads*a.HeadDim)
	case AppendKV, Attention:
		return p.inferCache(s, in)
	case Add, SiLUMul:
		if in[0].Width != in[1].Width || in[0].Selected != in[1].Selected {
			err = fmt.Errorf("inputs %q (%d wide) and %q (%d wide) do not match", in[0].Name, in[0].Width, in[1].Name, in[1].Width)
		}
	case SelectRows:
		selected = true
		if x.Selected {
			err = fmt.Errorf("%q is selected already", x.Name)
		}
	case Logits:
		width = 0
		if err = p.wantShape(s, WMat, p.Vocab, x.Width); err == nil && !x.Selected {
			err = fmt.Errorf("%q has a row per token: select rows first", x.Name)
		}
	case Receive:
		width = p.ValueInfo(s.Out[0]).Width
	case Send:
		width = 0
		if x.Selected {
			err = fmt.Errorf("%q has selected rows: a row per token is sent", x.Name)
		}
	default:
		err = fmt.Errorf("not a fine step")
	}
	return width, selected, err
}

// inferCache is infer for the two fine steps that touch the KV cache.
func (p *Plan) inferCache(s *Step, in [2]ValueInfo) (width int, selected bool, err error) {
	kv, a := p.KV[s.Layer], &s.Attr
	if a.HeadDim != kv.KeyDim || a.KVHeads != kv.Heads {
		return 0, false, fmt.Errorf("%d KV heads of %d columns, layer %d has %d of %d", a.KVHeads, a.HeadDim, s.Layer, kv.Heads, kv.KeyDim)
	}
	if in[0].Selected || in[1].Selected {
		return 0, false, fmt.Errorf("the cache needs a row per token, %q has selected rows", in[0].Name)
	}
	if s.Kind == Attention {
		return a.Heads * kv.ValueDim, false, wantWidth("query", in[0], a.Heads*a.HeadDim)
	}
	if err := wantWidth("key", in[0], kv.Heads*kv.KeyDim); err != nil {
		return 0, false, err
	}
	return 0, false, wantWidth("value", in[1], kv.Heads*kv.ValueDim)
}

func wantWidth(what string, v ValueInfo, width int) error {
	if v.Width != width {
		return fmt.Errorf("%s %q is %d wide, want %d", what, v.Name, v.Width, width)
	}
	return nil
}

// wantShape checks a weight. Vectors must be F32: they are few, and every
// backend reads them as they are.
func (p *Plan) wantShape(s *Step, r Role, shape ...int) error {
	d := p.WeightDesc(s.W[r])
	ok := len(d.Shape) == len(shape)
	for i := 0; ok && i < len(shape); i++ {
		ok = d.Shape[i] == shape[i]
	}
	if !ok {
		return fmt.Errorf("weight %v is %v, want shape %d", r, d, shape)
	}
	if len(shape) == 1 && d.DType != tensor.F32 {
		return fmt.Errorf("weight %v is %v, want F32", r, d)
	}
	return nil
}
