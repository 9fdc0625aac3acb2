package plan

// Arena places every value in one buffer so that values alive at the same time do
// not overlap. offsets[v-1] is where value v begins, in float32s per row of the
// largest batch; rowWidth is the size of the whole buffer in the same unit. A
// backend that takes at most R rows keeps one buffer of R*rowWidth float32s, in
// which v is the (rows, width) matrix that begins at R*offsets[v-1]. Offsets are
// multiples of 16, so 64-byte alignment of the buffer carries over. Values inside
// large steps get no place: their offset is -1.
//
// A step's output shares no memory with its inputs, except that the output of
//
//	Add, SiLUMul                  may be either input's buffer,
//	OutResidual, DownResidual     may be the buffer of In[1], the residual,
//
// where that input is not needed any more. Element i of these outputs depends on
// element i alone of that input, so writing in place is safe however the work is
// divided.
func Arena(p *Plan) (offsets []int, rowWidth int) {
	last := p.lastUse()
	offsets = make([]int, len(p.Values))
	for i := range offsets {
		offsets[i] = -1
	}
	var live spans
	for i := range p.Steps {
		s := &p.Steps[i]
		for _, v := range s.Out {
			width := (p.ValueInfo(v).Width + arenaAlign - 1) / arenaAlign * arenaAlign
			if in := inPlace(p, s, v, i, last); in != 0 {
				offsets[v-1] = offsets[in-1]
				live.rename(in, v)
			} else {
				offsets[v-1] = live.place(v, width)
			}
			rowWidth = max(rowWidth, offsets[v-1]+width)
		}
		for j := range live {
			if last[live[j].v-1] <= i {
				live[j].v = 0
			}
		}
		live = live.compact()
	}
	return offsets, rowWidth
}

const arenaAlign = 16 // float32s

// mayAlias lists the inputs in whose place a kind may write its output.
var mayAlias = [NumKinds][]int{
	Add: {0, 1}, SiLUMul: {0, 1}, OutResidual: {1}, DownResidual: {1},
}

// inPlace returns the input that dies in step i and may become its output v.
func inPlace(p *Plan, s *Step, v Value, i int, last []int) Value {
	for _, j := range mayAlias[s.Kind] {
		in, again := s.In[j], 0
		for _, u := range s.In {
			if u == in {
				again++
			}
		}
		if last[in-1] == i && again == 1 && p.ValueInfo(in).Width == p.ValueInfo(v).Width {
			return in
		}
	}
	return 0
}

// lastUse is the number of the last step that touches each value, -1 for those
// that live inside large steps.
func (p *Plan) lastUse() []int {
	last := make([]int, len(p.Values))
	for i := range last {
		last[i] = -1
	}
	for i := range p.Steps {
		for _, v := range p.Steps[i].Out {
			last[v-1] = i
		}
		for _, v := range p.Steps[i].In {
			last[v-1] = i
		}
	}
	return last
}

// spans are the occupied parts of the arena, ascending.
type spans []span

type span struct {
	v        Value
	from, to int
}

// place puts v into the first gap it fits.
func (l *spans) place(v Value, width int) (from int) {
	i := 0
	for ; i < len(*l) && (*l)[i].from-from < width; i++ {
		from = (*l)[i].to
	}
	*l = append(*l, span{})
	copy((*l)[i+1:], (*l)[i:])
	(*l)[i] = span{v, from, from + width}
	return from
}

func (l spans) rename(old, v Value) {
	for i := range l {
		if l[i].v == old {
			l[i].v = v
		}
	}
}

// compact drops the spans of dead values.
func (l spans) compact() spans {
	kept := l[:0]
	for _, s := range l {
		if s.v != 0 {
			kept = append(kept, s)
		}
	}
	return kept
}
