package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// gemmWeights brings a warp's row tiles into registers along the columns, in rounds
// of unroll tiles of 64 columns. Within a round everything is known at build time;
// what is loaded in one round and used in the next is carried over in registers
// that stay the same.
type gemmWeights struct {
	e      *gemmEmit
	unroll int
	tiles  []*gemmRowTile
}

// gemmRowTile is a tile of 16 rows. Its units and parts are numbered from the
// round's first tile of 64 columns on.
type gemmRowTile struct {
	f     *Fragments
	place Place
	off   int // of the tile's first unit of the round from place
	own   bool
	units []*Unit
	parts []*Part
	// What is carried: the registers of the units and parts a round begins with.
	unit, part [][]ptx.Reg
}

// Weights are read once by a multiprocessor; other blocks find them in L2.
var gemmHints = []ptx.Hint{ptx.NC, ptx.NoAllocate}

func (e *gemmEmit) newWeights(p gemmPart) *gemmWeights {
	w := &gemmWeights{e: e, unroll: max(2, p.mat.Format.Parts())}
	tiles, each := e.g.tiles(p.mat), e.g.Tile.RowTiles
	f := NewFragments(e.b, p.mat.Format, e.lane)
	// Past the last tile there is nothing to read, nor to store: it is read again.
	at := func(tile ptx.Reg, last int) Place {
		return f.Place(ptx.Global, e.b.MadWide(e.b.Min(tile, last), p.mat.TileBytes(), p.args["w"]))
	}
	for j, tile := range p.tiles {
		t := &gemmRowTile{f: f}
		switch {
		case tiles%each != 0:
			t.place, t.own = at(tile, tiles-1), true
		case j == 0: // the others follow in memory
			t.place, t.own = at(tile, tiles-each), true
		default:
			t.place, t.off = w.tiles[0].place, j*p.mat.TileBytes()
		}
		w.tiles = append(w.tiles, t)
	}
	for _, t := range w.tiles { // a round, what it loads beyond itself, and a last one that is not whole
		t.units = make([]*Unit, 2*w.unroll+2)
		t.parts = make([]*Part, 2*w.unroll+2)
	}
	return w
}

// load starts to load tile at of the round.
func (w *gemmWeights) load(at int) {
	for _, t := range w.tiles {
		parts := t.f.f.Parts()
		n := at / parts
		if t.units[n] == nil {
			t.units[n] = t.f.Unit(t.place, t.off+n*t.f.f.UnitBytes(), gemmHints...)
		}
		t.parts[at] = t.units[n].Part(at % parts)
	}
}

// prefetch has L2 fetch what the round that begins 8 tiles of 64 columns after tile
// kt needs, where there is one: blocks that share weights run in step, and would all
// wait for memory otherwise.
func (w *gemmWeights) prefetch(kt ptx.Reg) {
	const ahead = 8
	b, format := w.e.b, w.tiles[0].f.f
	if w.e.kTiles < ahead+w.unroll {
		return
	}
	unit := format.UnitBytes()
	round := unit * w.unroll / format.Parts()
	for _, t := range w.tiles {
		// A lane's codes begin 16 bytes after those of the lane before, its lines 128.
		line := b.MadWide(w.e.lane, 128-16, t.place.Codes)
		for at := 0; at < round; at += 32 * 128 {
			need := b.Setp(ptx.Lt, w.e.lane, (round-at+127)/128)
			b.Under(b.And(need, b.Setp(ptx.Lt, kt, w.e.kTiles-ahead-w.unroll+1)), func() {
				b.PrefetchL2(line, t.off+unit*ahead/format.Parts()+at)
			})
		}
	}
}

// fragments are those of a step of tile at of the round, of each row tile.
func (w *gemmWeights) fragments(at, step int) (x [][]ptx.Reg) {
	for _, t := range w.tiles {
		x = append(x, t.parts[at].Step(step))
	}
	return x
}

// loaded reports whether tile at of the round has been loaded.
func (w *gemmWeights) loaded(at int) bool { return w.tiles[0].parts[at] != nil }

// enter begins a loop of rounds: what has been loaded is what a round finds. leave
// ends a round of it: what has been loaded beyond it goes where the next finds it.
func (w *gemmWeights) enter() {
	for _, t := range w.tiles {
		for _, u := range t.units {
			if u != nil {
				t.unit = append(t.unit, u.regs())
			}
		}
		for _, p := range t.parts {
			if p != nil {
				t.part = append(t.part, p.words)
			}
		}
		t.renew()
	}
}

func (w *gemmWeights) leave() {
	for _, t := range w.tiles {
		units := w.unroll / t.f.f.Parts()
		for n, to := range t.unit {
			w.carry(to, t.units[n+units].regs())
		}
		for n, to := range t.part {
			w.carry(to, t.parts[n+w.unroll].words)
		}
		if t.own {
			t.f.Advance(t.place, units*t.f.f.UnitBytes())
		}
		t.renew()
	}
}

func (w *gemmWeights) carry(to, from []ptx.Reg) {
	for i, r := range from {
		w.e.b.Set(to[i], r)
	}
}

// renew makes the units and parts anew from what is carried, so that nothing that
// was computed in another round is used.
func (t *gemmRowTile) renew() {
	clear(t.units)
	clear(t.parts)
	for n, regs := range t.unit {
		t.units[n] = t.f.unitOf(t.place, t.off+n*t.f.f.UnitBytes(), regs)
	}
	for n, regs := range t.part {
		parts := t.f.f.Parts()
		t.parts[n] = t.units[n/parts].partOf(n%parts, regs)
	}
}

// regs are a unit's registers, unitOf the unit that has them.
func (u *Unit) regs() []ptx.Reg {
	regs := append([]ptx.Reg{}, u.scale...)
	if formats[u.f.f].super > 0 {
		regs = append(regs, u.super)
	}
	return append(regs, u.high...)
}

func (f *Fragments) unitOf(p Place, off int, regs []ptx.Reg) *Unit {
	u := &Unit{f: f, p: p, off: off, hints: gemmHints, factor: [2]map[int][2]ptx.Reg{{}, {}}}
	n := 0
	switch formats[f.f].scale {
	case 2:
		n = 1
	case 4:
		n = 2
	case 16:
		n = 8
	}
	u.scale, regs = regs[:n], regs[n:]
	if formats[f.f].super > 0 {
		u.super, regs = regs[0], regs[1:]
	}
	u.high = regs
	return u
}

// partOf is part n with the codes in regs.
func (u *Unit) partOf(n int, regs []ptx.Reg) *Part {
	p := &Part{u: u, n: n, words: regs, moved: map[[2]int]ptx.Reg{}}
	switch formats[u.f.f].high {
	case 4:
		p.high = u.high
	case 16:
		p.high = u.high[n : n+1]
	case 32:
		p.high = u.high[2*(n%2) : 2*(n%2)+2]
	}
	return p
}
