package kernels

import (
	"os"
	"testing"

	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/emu"
)

// A launch reads every byte of a matrix once, whatever the number of rows: besides
// them nothing but the input, in each block or beside each task's turns, and the
// sums of tiles that were cut.
func TestGEMVReadsWeightsOnce(t *testing.T) {
	eachTarget(t, func(t *testing.T, r *rig) {
		if os.Getenv("SANDWARP_GPU") == "1" {
			t.Skip("only the emulator counts")
		}
		for _, dt := range []tensor.DType{tensor.BF16, tensor.Q4_0, tensor.Q6_K} {
			for rows := 1; rows <= 64; rows *= 2 {
				for cut := -1; cut <= 0; cut++ {
					g := newGEMVCase(r, GEMV{T: rows, Cut: cut, Shared: 227 << 10}, []tensor.DType{dt}, []int{150}, 768)
					emu.TakeStats(r.dev)
					l := g.Launch(emulatedSMs, g.args)
					r.launch(g.GEMV, l)
					read := int64(emu.TakeStats(r.dev).Read)
					m := g.Mats[0]
					want := m.Bytes() + int64(l.Grid[0])*Pack{rows, m.K}.Bytes(rows)
					if g.streams() {
						want = m.Bytes() + int64(g.tasks(m)*g.taskTurns(m)*g.inputTurn(m))
					}
					sums := int64(0)
					if g.shares()[0].grain(int(l.Grid[0])) == 1 {
						sums = g.WorkBytes(emulatedSMs) + 4*int64(l.Grid[0])*2 // and the counters
					}
					if read < want || read > want+sums {
						t.Errorf("%s, cut %d: %d bytes read, want %d and up to %d of sums", g.Name(), cut, read, want, sums)
					}
				}
			}
		}
	})
}
