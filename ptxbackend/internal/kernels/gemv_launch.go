package kernels

import (
	"cmp"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// Launch runs c with a block for each of sms multiprocessors. See Lead too.
func (c GEMV) Launch(sms int, a GEMVArgs) driver.Launch {
	values := []any{a.X, a.NormWeights, a.Batch, a.Residual, a.Work, a.Counters, a.Eps}
	first, shares := 0, c.shares()
	for i, blocks := range deal(shares, max(sms, len(shares))) {
		p, s := a.Mats[i], shares[i]
		grain := s.grain(blocks)
		values = append(values, p.Weights, p.Bias, p.Out, p.Scale, p.ScaleUp, uint32(first), uint32(s.tasks*s.turns/grain), uint32(grain))
		first += blocks
	}
	values = append(values, uint32(first))
	if c.Heads != nil {
		values = append(values, a.Rope.values()...)
	}
	if !c.streams() {
		values = append(values, noLead...)
	}
	return driver.Launch{
		Grid:      [3]uint32{uint32(first)},
		Block:     [3]uint32{uint32(c.threads())},
		Shared:    c.SharedBytes(),
		Params:    pack(c.signature(), values...),
		Dependent: true,
	}
}

// share is a matrix to be dealt out to blocks.
type share struct {
	tasks, turns int   // turns of a task
	bytes        int64 // of a task
	cut          int64 // GEMV.Cut, of which 0 is none
	whole        bool  // tasks are not to be cut
}

func (c GEMV) shares() []share {
	s := make([]share, len(c.Mats))
	for i, m := range c.Mats {
		s[i] = share{tasks: c.tasks(m), turns: c.taskTurns(m), cut: int64(max(0, cmp.Or(c.Cut, gemvCut))), whole: c.Heads != nil}
		s[i].bytes = int64(s[i].turns) * int64(turnOf(m).bytes)
		if c.streams() {
			s[i].bytes *= int64(c.warps())
		}
	}
	return s
}

// grain is how many turns are dealt out together: whole tasks where no block gets so
// much more than its share that cutting tasks, and putting them together again,
// would take less time.
func (s share) grain(blocks int) int {
	n := int64(blocks)
	more := ((int64(s.tasks)+n-1)/n*n - int64(s.tasks)) * s.bytes / n
	if s.whole || more <= s.cut || int64(s.tasks)*int64(s.turns)*n >= 1<<31 {
		return s.turns
	}
	return 1
}

// most is what the busiest of so many blocks reads.
func (s share) most(blocks int) int64 {
	grain := s.grain(blocks)
	grains := s.tasks * s.turns / grain
	return int64((grains+blocks-1)/blocks) * s.bytes * int64(grain) / int64(s.turns)
}

// useful is n, or fewer where not all blocks would have a turn: those of a task that
// is cut must all have some of it.
func (s share) useful(n int) int { return min(n, s.tasks*s.turns) }

// deal says how many of n blocks each matrix gets: so many that the block with the
// most to read has as little as can be.
func deal(s []share, n int) []int {
	if len(s) == 1 {
		return []int{s[0].useful(n)}
	}
	var best []int
	least := int64(0)
	for x := 1; x < n; x++ {
		x := s[0].useful(x)
		rest := deal(s[1:], n-x)
		if len(rest) == 0 {
			break
		}
		most := s[0].most(x)
		for i, y := range rest {
			most = max(most, s[1+i].most(y))
		}
		if best == nil || most < least {
			best, least = append([]int{x}, rest...), most
		}
	}
	return best
}
