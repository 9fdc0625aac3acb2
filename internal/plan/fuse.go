package plan

// rule recognises one large kind. It reads the fine steps it wants from m, in the
// order the model code writes them, and returns the large step they make.
type rule struct {
	kind Kind
	// after is the kind of the step whose output the first part reads, where
	// that decides; the two residual steps look alike otherwise.
	after Kind
	match func(m *match) Step
}

var rules = []rule{
	{kind: NormQKVRopeAppend, match: normQKVRopeAppend},
	{kind: OutResidual, after: Attention, match: outResidual},
	{kind: NormGateUpAct, match: normGateUpAct},
	{kind: DownResidual, after: SiLUMul, match: downResidual},
	{kind: LMHead, match: lmHead},
}

// Fuse rewrites a straight line of fine steps into large ones wherever the values
// in between are used nowhere else and supports (nil for yes) says that the
// backend runs the large step as one piece; supports is given p and the step.
// All else stays as it is. p must be valid and is not changed; the result shares
// its tables. Fusing a fused plan again changes nothing.
func Fuse(p *Plan, supports func(*Plan, *Step) bool) *Plan {
	f := *p
	f.Steps = make([]Step, 0, len(p.Steps))
	uses, maker := p.uses(), p.makers()
	for i := 0; i < len(p.Steps); {
		s, ok := fuseAt(p.Steps[i:], uses, maker)
		if !ok || supports != nil && !supports(p, &s) {
			f.Steps = append(f.Steps, p.Steps[i])
			i++
			continue
		}
		f.Steps = append(f.Steps, s)
		i += len(s.Parts)
	}
	return &f
}

func fuseAt(steps []Step, uses []int, maker []Kind) (Step, bool) {
	for _, r := range rules {
		m := match{steps: steps}
		s := r.match(&m)
		if m.failed || r.after != KindNone && maker[s.In[0]-1] != r.after {
			continue
		}
		s.Kind, s.Parts = r.kind, steps[:m.n:m.n]
		if closed(&s, uses) {
			return s, true
		}
	}
	return Step{}, false
}

// asLarge returns the large step of a kind that parts make up, without Parts. The
// parts must be all it wants and no more, each with the right number of values.
func asLarge(k Kind, parts []Step) (Step, bool) {
	for _, r := range rules {
		if r.kind == k {
			m := match{steps: parts}
			s := r.match(&m)
			s.Kind = k
			return s, !m.failed && m.n == len(parts)
		}
	}
	return Step{}, false
}

// closed reports whether nothing outside the large step uses what its parts
// compute, other than its output.
func closed(s *Step, uses []int) bool {
	inside := map[Value]int{}
	for i := range s.Parts {
		for _, v := range s.Parts[i].In {
			inside[v]++
		}
	}
	for i := range s.Parts {
		for _, v := range s.Parts[i].Out {
			if inside[v] != uses[v-1] && (len(s.Out) == 0 || v != s.Out[0]) {
				return false
			}
		}
	}
	return true
}

// uses counts how often each value is read; uses[v-1] is that of v.
func (p *Plan) uses() []int {
	n := make([]int, len(p.Values))
	for i := range p.Steps {
		for _, v := range p.Steps[i].In {
			n[v-1]++
		}
	}
	return n
}

// makers lists the kind of fine step that computes each value.
func (p *Plan) makers() []Kind {
	k := make([]Kind, len(p.Values))
	note := func(steps []Step) {
		for i := range steps {
			for _, v := range steps[i].Out {
				k[v-1] = steps[i].Kind
			}
		}
	}
	note(p.Steps)
	for i := range p.Steps {
		note(p.Steps[i].Parts)
	}
	return k
}

// match reads fine steps one after another. Once a step is not what a rule wants
// it has failed and hands out steps that hold nothing but zeroes.
type match struct {
	steps  []Step
	n      int // steps read
	failed bool
}

var noStep = Step{In: make([]Value, 2), Out: make([]Value, 1)}

// peek reports whether the next step is of kind k and reads in; a 0 in in stands
// for any value.
func (m *match) peek(k Kind, in ...Value) bool {
	if m.failed || m.n == len(m.steps) || m.steps[m.n].Kind != k {
		return false
	}
	for i, v := range in {
		if v != 0 && m.steps[m.n].In[i] != v {
			return false
		}
	}
	return true
}

// next reads the next step, which must be as peek describes.
func (m *match) next(k Kind, in ...Value) *Step {
	if !m.peek(k, in...) {
		m.failed = true
		return &noStep
	}
	m.n++
	return &m.steps[m.n-1]
}

// require fails the match unless all hold.
func (m *match) require(ok bool) { m.failed = m.failed || !ok }

func normQKVRopeAppend(m *match) Step {
	norm := m.next(RMSNorm)
	h := norm.Out[0]
	wq, wk, wv := m.next(Linear, h), m.next(Linear, h), m.next(Linear, h)
	s := Step{In: norm.In[:1], Attr: Attr{Eps: norm.Attr.Eps}}
	s.W[WNorm], s.W[WQ], s.W[WK], s.W[WV] = norm.W[WNorm], wq.W[WMat], wk.W[WMat], wv.W[WMat]
	s.W[BQ], s.W[BK], s.W[BV] = wq.W[WBias], wk.W[WBias], wv.W[WBias]

	q, k := wq.Out[0], wk.Out[0]
	qn, kn := &noStep, &noStep
	if m.peek(HeadNorm, q) {
		qn = m.next(HeadNorm)
		q, s.W[QNorm] = qn.Out[0], qn.W[WNorm]
	}
	if m.peek(HeadNorm, k) {
		kn = m.next(HeadNorm)
		k, s.W[KNorm] = kn.Out[0], kn.W[WNorm]
	}
	qr, kr := m.next(Rope, q), m.next(Rope, k)
	kv := m.next(AppendKV, kr.Out[0], wv.Out[0])
	s.Layer, s.Out = kv.Layer, qr.Out

	a := &s.Attr
	a.Heads, a.KVHeads, a.HeadDim, a.Rope = qr.Attr.Heads, kv.Attr.KVHeads, kv.Attr.HeadDim, qr.Attr.Rope
	m.require(kr.Attr.Rope == qr.Attr.Rope && qr.Attr.HeadDim == a.HeadDim && kr.Attr.HeadDim == a.HeadDim && kr.Attr.Heads == a.KVHeads)
	m.require(qn == &noStep || qn.Attr == Attr{Eps: a.Eps, Heads: a.Heads, HeadDim: a.HeadDim})
	m.require(kn == &noStep || kn.Attr == Attr{Eps: a.Eps, Heads: a.KVHeads, HeadDim: a.HeadDim})
	return s
}

func outResidual(m *match) Step {
	s, lin := linearResidual(m)
	s.W[WO], s.W[BO] = lin.W[WMat], lin.W[WBias]
	return s
}

func downResidual(m *match) Step {
	s, lin := linearResidual(m)
	s.W[WDown] = lin.W[WMat]
	m.require(lin.W[WBias] == 0)
	return s
}

// linearResidual is x + Linear(y), the sum written either way round.
func linearResidual(m *match) (s Step, lin *Step) {
	lin = m.next(Linear)
	y := lin.Out[0]
	add := m.next(Add)
	x := add.In[0]
	if x == y {
		x = add.In[1]
	}
	m.require(x != y && (add.In[0] == y || add.In[1] == y))
	return Step{Layer: -1, In: []Value{lin.In[0], x}, Out: add.Out}, lin
}

func normGateUpAct(m *match) Step {
	norm := m.next(RMSNorm)
	h := norm.Out[0]
	gate, up := m.next(Linear, h), m.next(Linear, h)
	act := m.next(SiLUMul, gate.Out[0], up.Out[0])
	s := Step{Layer: -1, In: norm.In[:1], Out: act.Out, Attr: Attr{Eps: norm.Attr.Eps}}
	s.W[WNorm], s.W[WGate], s.W[WUp] = norm.W[WNorm], gate.W[WMat], up.W[WMat]
	m.require(gate.W[WBias] == 0 && up.W[WBias] == 0)
	return s
}

func lmHead(m *match) Step {
	rows := m.next(SelectRows)
	norm := m.next(RMSNorm, rows.Out[0])
	logits := m.next(Logits, norm.Out[0])
	s := Step{Layer: -1, In: rows.In[:1], Attr: Attr{Eps: norm.Attr.Eps}}
	s.W[WNorm], s.W[WMat] = norm.W[WNorm], logits.W[WMat]
	return s
}
