package ptxbackend

import (
	"context"
	"encoding/binary"
	"math/bits"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
)

// smallRows is the most rows of a batch that is replayed as a graph. Larger ones
// are launched kernel by kernel: the device takes longer than the launches, and a
// context that ends is seen on the way.
const smallRows = 64

// largeTile is the number of rows of a tile of activations in a large batch.
const largeTile = 128

// bucket is the number of rows a small batch is filled up to.
func bucket(rows int) int { return 1 << bits.Len(uint(rows-1)) }

// capacity is the number of rows a batch is filled up to.
func capacity(rows int) int {
	if rows <= smallRows {
		return bucket(rows)
	}
	return roundUp(rows, largeTile)
}

// program is a list of launches.
type program struct {
	launches []launch
	steps    []int // steps[i] is the first launch of the i-th step
}

// launch is a kernel with everything it is launched with.
type launch struct {
	function driver.Function
	args     driver.Launch
	varying  varying
	countAt  int // of perSingle: where in the parameters the number of rows stands
}

// varying says what of a batch a launch depends on besides the batch block.
type varying uint8

const (
	always    varying = iota
	perItem           // a row of blocks for each item of attention
	perSingle         // the listed rows are attended for one by one
)

// set fits the launch to a batch and reports whether there is anything to do.
func (l *launch) set(k *block) bool {
	switch l.varying {
	case perItem:
		l.args.Grid[1] = uint32(len(k.itemList) / 2)
		return len(k.itemList) > 0
	case perSingle:
		binary.LittleEndian.PutUint32(l.args.Params[l.countAt:], uint32(len(k.rowList)))
		return len(k.rowList) > 0
	}
	return true
}

// issue queues the launches; nothing in them varies.
func (p *program) issue(s driver.Stream) error {
	for i := range p.launches {
		if err := s.Launch(p.launches[i].function, &p.launches[i].args); err != nil {
			return err
		}
	}
	return nil
}

// ahead is the number of steps of the plan between events, of which two may be
// under way: enough that the device never waits for the host, few enough that a run
// ends soon after its context.
const ahead = 3

// issueAhead is issue that stays at most 2*ahead steps ahead of the device and ends
// when ctx does.
func (p *program) issueAhead(ctx context.Context, s driver.Stream, k *block, events *[2]driver.Event) error {
	for step, first := range p.steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if step%ahead == 0 {
			mark := step / ahead
			if mark >= 2 {
				if err := events[mark%2].Sync(); err != nil {
					return err
				}
			}
			if err := s.Record(events[mark%2]); err != nil {
				return err
			}
		}
		end := len(p.launches)
		if step+1 < len(p.steps) {
			end = p.steps[step+1]
		}
		for i := first; i < end; i++ {
			l := &p.launches[i]
			if !l.set(k) {
				continue
			}
			if err := s.Launch(l.function, &l.args); err != nil {
				return err
			}
		}
	}
	return nil
}
