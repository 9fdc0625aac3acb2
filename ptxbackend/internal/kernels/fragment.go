package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// Fragments writes the code that brings weights from a unit (see Layout), in
// global or shared memory, to the registers of mma: x[0..3] of each step of 16
// columns as pairs of halves. All lanes of a warp take part.
//
//	f := NewFragments(b, format, b.Lane())
//	u := f.Unit(f.Place(ptx.Global, unitAddress), 0, hints...)
//	for part := range format.Parts() {     // 64 columns each
//		p := u.Part(part)                  // loads
//		for step := range 4 {
//			x := p.Step(step)              // arithmetic alone
//		}
//	}
//
// Unit loads the scales, Part the codes; nothing is computed before Step asks for
// it, so loads can be written far ahead of their use.
type Fragments struct {
	b      *ptx.Builder
	f      Format
	lane16 ptx.Reg // 16 * lane
	row    ptx.Reg // lane / 4
	half   map[uint32]ptx.Reg
}

// NewFragments prepares what is the same for all units.
func NewFragments(b *ptx.Builder, f Format, lane ptx.Reg) *Fragments {
	return &Fragments{b: b, f: f, lane16: b.Shl(lane, 4), row: b.Shr(lane, 2), half: map[uint32]ptx.Reg{}}
}

// Place is where a lane finds its pieces of a unit: addresses that move along with
// the unit's.
type Place struct {
	Space              ptx.Space
	Codes, High, Scale ptx.Reg
	Super              ptx.Reg
}

// Place adds the lane's offsets to the address of a unit.
func (f *Fragments) Place(space ptx.Space, unit ptx.Reg) Place {
	b, i := f.b, formats[f.f]
	add := func(off ptx.Reg) ptx.Reg {
		if space == ptx.Shared {
			return b.Add(unit, off)
		}
		return b.Add(unit, b.Cvt(ptx.U64, off))
	}
	p := Place{Space: space, Codes: add(f.lane16)}
	p.High = p.Codes
	if i.high == 4 {
		p.High = add(b.Shl(b.Shr(f.lane16, 4), 2))
	}
	if i.scale > 0 {
		p.Scale = add(b.Mul(f.row, 2*i.scale))
	}
	if i.super > 0 {
		p.Super = add(b.Mul(f.row, 2*i.super))
	}
	return p
}

// Advance moves a place by delta, of the addresses' type.
func (f *Fragments) Advance(p Place, delta any) {
	seen := map[ptx.Reg]bool{{}: true}
	for _, r := range []ptx.Reg{p.Codes, p.High, p.Scale, p.Super} {
		if !seen[r] {
			f.b.AddTo(r, delta)
			seen[r] = true
		}
	}
}

// Unit is a unit whose scales are loaded.
type Unit struct {
	f      *Fragments
	p      Place
	off    int
	hints  []ptx.Hint
	high   []ptx.Reg // raw words, fewer where parts load their own
	scale  []ptx.Reg // raw words, row g's first
	super  ptx.Reg   // Q6_K: scales of rows g and g+8
	factor [2]map[int][2]ptx.Reg
	wide   [2][2]ptx.Reg // K formats: scale of the scales, of rows and of even and odd groups
}

// Unit loads the scales, and the upper bits where they are in one piece, of the
// unit at p + off.
func (f *Fragments) Unit(p Place, off int, hints ...ptx.Hint) *Unit {
	b, i := f.b, formats[f.f]
	u := &Unit{f: f, p: p, off: off, hints: hints, factor: [2]map[int][2]ptx.Reg{{}, {}}}
	at := off + f.f.scaleAt()
	switch i.scale {
	case 2:
		u.scale = []ptx.Reg{b.Ld(p.Space, ptx.B32, p.Scale, at, hints...)}
	case 4:
		u.scale = b.LdV(p.Space, ptx.B32, 2, p.Scale, at, hints...)
	case 16:
		u.scale = append(b.LdV(p.Space, ptx.B32, 4, p.Scale, at, hints...), b.LdV(p.Space, ptx.B32, 4, p.Scale, at+16, hints...)...)
	}
	if i.super > 0 {
		u.super = b.Ld(p.Space, ptx.B32, p.Super, off+f.f.superAt(), hints...)
	}
	switch i.high {
	case 4:
		u.high = []ptx.Reg{b.Ld(p.Space, ptx.B32, p.High, off+f.f.highAt(), hints...)}
	case 16:
		u.high = b.LdV(p.Space, ptx.B32, 4, p.High, off+f.f.highAt(), hints...)
	}
	return u
}

// Part is 64 columns of a unit whose codes are loaded.
type Part struct {
	u     *Unit
	n     int
	words []ptx.Reg
	high  []ptx.Reg
	moved map[[2]int]ptx.Reg // words of words (0..) or high (8..) shifted right by so much
}

// Part loads the codes of columns 64n to 64n+63.
func (u *Unit) Part(n int) *Part {
	b, i := u.f.b, formats[u.f.f]
	p := &Part{u: u, n: n, moved: map[[2]int]ptx.Reg{}}
	for at := 0; at < i.codes; at += 16 {
		p.words = append(p.words, b.LdV(u.p.Space, ptx.B32, 4, u.p.Codes, u.off+32*(n*i.codes+at), u.hints...)...)
	}
	switch i.high {
	case 4:
		p.high = u.high
	case 16:
		p.high = u.high[n : n+1]
	case 32: // two words a part, loaded by pairs of parts
		if n%2 == 0 || len(u.high) == 0 {
			u.high = b.LdV(u.p.Space, ptx.B32, 4, u.p.High, u.off+u.f.f.highAt()+512*(n/2), u.hints...)
		}
		p.high = u.high[2*(n%2) : 2*(n%2)+2]
	}
	return p
}

// Step is the fragment of columns 16s to 16s+15 of the part.
func (p *Part) Step(s int) []ptx.Reg {
	x := make([]ptx.Reg, 4)
	for r := range x {
		switch p.u.f.f {
		case FormatF16:
			x[r] = p.words[4*s+r]
		case FormatMXFP4:
			x[r] = p.mxfp4(s, r)
		default:
			by := p.u.scales(p.n, s, r%2)
			x[r] = p.u.f.b.Mad(p.code(s, r), by[0], by[1])
		}
	}
	return x
}

// shifted is a word shifted right, or left by negative n, made once.
func (p *Part) shifted(word, n int) ptx.Reg {
	w, b := ptx.Reg{}, p.u.f.b
	if word < 8 {
		w = p.words[word]
	} else {
		w = p.high[word-8]
	}
	if n == 0 {
		return w
	}
	key := [2]int{word, n}
	if r, ok := p.moved[key]; ok {
		return r
	}
	if n > 0 {
		p.moved[key] = b.Shr(w, n)
	} else {
		p.moved[key] = b.Shl(w, -n)
	}
	return p.moved[key]
}

// pick is word, shifted right by n, and mask.
func (p *Part) pick(word, n int, mask uint32) ptx.Reg { return p.u.f.b.And(p.shifted(word, n), mask) }

// also is x | word shifted & mask.
func (p *Part) also(x ptx.Reg, word, n int, mask uint32) ptx.Reg {
	return p.u.f.b.Lop3(p.shifted(word, n), mask, x, ptx.LutA&ptx.LutB|ptx.LutC)
}

// code is the pair of codes of register r in step s, times 2^-24, or 2^-20 where
// the group of 32 is odd.
func (p *Part) code(s, r int) ptx.Reg {
	b := p.u.f.b
	if p.u.f.f == FormatQ8_0 {
		word := 4*(s/2) + 2*(s%2) + r/2
		if r%2 == 0 {
			return b.As(ptx.F16x2, p.pick(word, 0, 0x00ff00ff))
		}
		return b.As(ptx.F16x2, b.Prmt(p.words[word], 0, 0x4341))
	}
	group, second := s/2, s%2
	x := p.pick(r, 8*second, 0x000f000f<<(4*group))
	switch formats[p.u.f.f].high {
	case 4, 16:
		x = p.also(x, 8, 8*second+r-4, 0x00100010<<(4*group))
	case 32:
		x = p.also(x, 8+r/2, 8*second+2*(r%2)-4, 0x00300030<<(4*group))
	}
	return b.As(ptx.F16x2, x)
}

func (p *Part) mxfp4(s, r int) ptx.Reg {
	b := p.u.f.b
	var x ptx.Reg
	switch s {
	case 0:
		x = p.pick(r, 0, 0x8e008e00)
	case 1:
		x = p.pick(r, -3, 0x8e008e00)
	case 2:
		x = p.also(p.pick(r, -6, 0x0e000e00), r, -1, 0x80008000)
	case 3:
		x = p.also(p.pick(r, -9, 0x0e000e00), r, -2, 0x80008000)
	}
	return b.Mul(b.As(ptx.F16x2, x), p.u.scales(0, s, r%2)[0])
}
