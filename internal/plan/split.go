package plan

import (
	"fmt"
	"slices"
)

// Part is one of the two plans Split makes.
type Part struct {
	*Plan
	// From[i] is the number in the whole plan's Weights of the part's Weights[i].
	From []int
}

// Data are the bytes of the part's weights, given those of the whole plan's.
func (p Part) Data(whole [][]byte) [][]byte {
	data := make([][]byte, len(p.From))
	for i, n := range p.From {
		data[i] = whole[n]
	}
	return data
}

// Split cuts a plan of fine steps before a KV layer, so that each part can run on
// its own backend: the first ends in Send, the second begins with Receive, and
// what passes is the residual stream. Layers of the second part count from 0. A
// weight both use, a tied embedding, is in both.
func Split(p *Plan, layer int) (first, second Part, err error) {
	if layer < 1 || layer >= len(p.KV) {
		return Part{}, Part{}, fmt.Errorf("plan: split before layer %d of %d", layer, len(p.KV))
	}
	at, x := p.cut(layer)
	if x == 0 {
		return Part{}, Part{}, fmt.Errorf("plan: no place before layer %d where one value carries all", layer)
	}
	send := Step{Kind: Send, Layer: -1, In: []Value{x}}
	receive := Step{Kind: Receive, Layer: -1, Out: []Value{x}}
	first = p.part(append(slices.Clone(p.Steps[:at]), send), p.KV[:layer], 0)
	second = p.part(append([]Step{receive}, p.Steps[at:]...), p.KV[layer:], layer)
	for _, part := range []Part{first, second} {
		if err := part.Validate(); err != nil {
			return Part{}, Part{}, fmt.Errorf("plan: split before layer %d: %w", layer, err)
		}
	}
	return first, second, nil
}

// cut finds the last step before which only one value is alive and from which on
// the layer's cache is used, and that value.
func (p *Plan) cut(layer int) (at int, x Value) {
	last := p.lastUse()
	made := make([]int, len(p.Values))
	end := len(p.Steps)
	for i := range p.Steps {
		for _, v := range p.Steps[i].Out {
			made[v-1] = i
		}
		if p.Steps[i].Layer == layer {
			end = min(end, i)
		}
	}
	for at = end; at > 0; at-- {
		alive := Value(0)
		n := 0
		for v := range p.Values {
			if last[v] >= at && made[v] < at {
				alive, n = Value(v+1), n+1
			}
		}
		if n == 1 {
			return at, alive
		}
	}
	return 0, 0
}

// part makes a plan of some of p's steps, with the weights they use and the KV
// layers from skip on.
func (p *Plan) part(steps []Step, kv []KVLayer, skip int) Part {
	part := Part{Plan: &Plan{Arch: p.Arch, Values: p.Values, KV: kv, Steps: steps, Vocab: p.Vocab, Context: p.Context}}
	number := map[Weight]Weight{}
	for i := range steps {
		s := &steps[i]
		if s.Layer >= 0 {
			s.Layer -= skip
		}
		for r, w := range s.W {
			if w == 0 {
				continue
			}
			if number[w] == 0 {
				part.Weights = append(part.Weights, p.Weights[w-1])
				part.From = append(part.From, int(w-1))
				number[w] = Weight(len(part.Weights))
			}
			s.W[r] = number[w]
		}
	}
	return part
}
