package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// unpack writes the fragments of a matrix out as halves (16*tiles, columns): a warp
// a unit.
type unpack struct {
	Layout
	shared bool // through shared memory
}

func (c unpack) Name() string { return fmt.Sprintf("unpack_%v_%t", c.Format, c.shared) }

func (c unpack) Build(t ptx.Target) (*ptx.Kernel, error) {
	b := ptx.New(c.Name(), t)
	b.Threads(32, 0)
	out, data := b.Param(ptx.U64, "out"), b.Param(ptx.U64, "data")
	unit := b.MadWide(b.Ctaid(0), c.Format.UnitBytes(), data)
	lane := b.Lane()
	f := NewFragments(b, c.Format, lane)
	space := ptx.Global
	if c.shared {
		buf := b.Shared("unit", 16, c.Format.UnitBytes())
		for at := 0; at < c.Format.UnitBytes(); at += 512 {
			off := b.Add(b.Shl(lane, 4), at)
			b.If(b.Setp(ptx.Lt, off, c.Format.UnitBytes()), func() {
				b.StV(ptx.Shared, b.Add(buf, off), 0, b.LdV(ptx.Global, ptx.B32, 4, b.Add(unit, b.Cvt(ptx.U64, off)), 0))
			})
		}
		b.WarpSync()
		unit, space = buf, ptx.Shared
	}
	u := f.Unit(f.Place(space, unit), 0)
	cols := c.Units() * c.UnitCols()
	row := b.Mad(b.Div(b.Ctaid(0), c.Units()), 16, b.Shr(lane, 2))
	col := b.Mad(b.Rem(b.Ctaid(0), c.Units()), c.UnitCols(), b.Shl(b.And(lane, 3), 1))
	at := b.Add(b.MadWide(row, 2*cols, out), b.MulWide(col, 2))
	for n := range c.Format.Parts() {
		p := u.Part(n)
		for s := range 4 {
			x := p.Step(s)
			for r := range x {
				b.St(ptx.Global, at, 2*(r%2*8*cols+64*n+16*s+8*(r/2)), x[r])
			}
		}
	}
	return b.Kernel()
}

func TestFragments(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		for _, f := range Formats() {
			for _, shared := range []bool{false, true} {
				l := Layout{f, 40, 512}
				src, _ := weights(r.rand, formats[f].dtype, l.N, l.K, 1)
				data, _ := repacked(l, formats[f].dtype, src)
				cols := l.Units() * l.UnitCols()
				out := r.alloc(2 * 16 * l.Tiles() * cols)
				c := unpack{l, shared}
				r.launch(c, driver.Launch{
					Grid: [3]uint32{uint32(l.Tiles() * l.Units())}, Block: [3]uint32{32},
					Params: pack([]ptx.Param{address("out"), address("data")}, out, r.put(data)),
				})
				got := r.f16(out, 16*l.Tiles()*cols)
				for i, v := range got {
					want := l.element(data, i/cols, i%cols)
					// Rounded once, and the scale and minimum of the K formats before it.
					tol := 0x1p-11*math.Abs(want) + 0x1p-25
					if f == FormatQ4_K || f == FormatQ5_K || f == FormatQ6_K {
						tol = 0x1p-10*math.Abs(want) + 0x1p-13
					}
					if math.Abs(float64(v)-want) > tol {
						t.Fatalf("%v shared %t: (%d, %d) is %v, want %v", f, shared, i/cols, i%cols, v, want)
					}
				}
			}
		}
	})
}

// Instructions per weight, those of a unit over its weights, stay what they are.
func TestFragmentInstructions(t *testing.T) {
	for f, most := range map[Format]float64{FormatF16: 0.13, FormatQ8_0: 1.4, FormatQ4_0: 1.5, FormatQ5_0: 2.3,
		FormatQ4_K: 2.0, FormatQ5_K: 2.8, FormatQ6_K: 3.1, FormatMXFP4: 2.1} {
		b := ptx.New("count", ptx.SM80)
		fr := NewFragments(b, f, b.Lane())
		place := fr.Place(ptx.Global, b.Param(ptx.U64, "x"))
		k, _ := b.Kernel()
		before := len(k.Body)
		u := fr.Unit(place, 0)
		for n := range f.Parts() {
			p := u.Part(n)
			for s := range 4 {
				p.Step(s)
			}
		}
		per := float64(len(k.Body)-before) / float64(32*f.Parts())
		t.Logf("%v: %.2f instructions a weight and lane", f, per)
		if per > most {
			t.Errorf("%v: %.2f instructions a weight, at most %.2f expected", f, per, most)
		}
	}
}
