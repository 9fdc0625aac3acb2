package kernels

import (
	"encoding/binary"
	"testing"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// What a launch is told of the next is what the next is told itself, and results do
// not change.
func TestGEMVLead(t *testing.T) {
	types := []tensor.DType{tensor.Q4_0, tensor.Q4_0, tensor.Q8_0}
	eachTarget(t, func(t *testing.T, r *rig) {
		next := newGEMVCase(r, GEMV{T: 1}, types, []int{100, 50, 70}, 512)
		g := newGEMVCase(r, GEMV{T: 2, Cut: -1}, types[:1], []int{120}, 512)
		l, after := g.Launch(emulatedSMs, g.args), next.Launch(emulatedSMs, next.args)
		g.Lead(l, emulatedSMs, next.GEMV, next.args.Mats)
		r.launch(g.GEMV, l)
		g.compare(r)
		told := params(g.GEMV, l.Params)
		own := params(next.GEMV, after.Params)
		for i := range types {
			turn := uint64(turnOf(next.Mats[i]).bytes)
			for name, want := range map[string]uint64{"nextw": own["w"+digit(i)], "nextfirst": own["first"+digit(i)],
				"nextgrains": own["grains"+digit(i)], "nextbytes": own["grain"+digit(i)] * turn,
				"nextskip": uint64(next.warps()*next.stages(next.Mats[i])) * turn} {
				if got := told[name+digit(i)]; got != want {
					t.Errorf("%s%d is %d, want %d", name, i, got, want)
				}
			}
		}
		if told["nextblocks"] != uint64(after.Grid[0]) {
			t.Errorf("%d blocks, want %d", told["nextblocks"], after.Grid[0])
		}
		alone := g.Launch(emulatedSMs, g.args)
		if n := params(g.GEMV, alone.Params)["nextblocks"]; n != 0 {
			t.Errorf("without a next kernel there are %d blocks of it", n)
		}
	})
}

func digit(i int) string { return string(rune('0' + i)) }

// params reads a launch's parameters.
func params(c GEMV, p []byte) map[string]uint64 {
	k, err := c.Build(TargetsOf(c)[0])
	if err != nil {
		panic(err)
	}
	offsets, _ := k.ParamOffsets()
	m := map[string]uint64{}
	for i, q := range k.Params {
		switch q.Bytes() {
		case 4:
			m[q.Name] = uint64(binary.LittleEndian.Uint32(p[offsets[i]:]))
		case 8:
			m[q.Name] = binary.LittleEndian.Uint64(p[offsets[i]:])
		}
	}
	return m
}
