package meter

import scan "github.com/sandwarp/sandwarp/wasm/internal/binary"

// A short loop without branches but the last, back to its beginning, is written out
// rounds times, and pays for as many at once; where it ends before, the rest is given
// back. In such a loop, paying each time would cost the most.
const (
	rounds     = 4
	roundCost  = 48 // most of a round
	roundLoops = 64 // most such loops in a function
)

// straight is such a loop.
type straight struct {
	start, body, back, end int // offsets: of the loop, its first instruction, its branch, and behind it
}

// track notes what an instruction makes of the loop it stands in.
func (r *region) track(in *scan.Instr) {
	switch in.Op {
	case scan.OpBrIf:
		r.branches++
		r.back = in.Start
		r.crooked = r.crooked || in.A != 0
		return
	case scan.OpBlock, scan.OpLoop, scan.OpIf, scan.OpElse, scan.OpBr, scan.OpBrTable, scan.OpReturn,
		scan.OpUnreachable, scan.OpCall, scan.OpCallIndirect, scan.OpMemoryGrow:
		r.crooked = true
	case scan.OpMisc:
		r.crooked = r.crooked || in.Sub >= scan.MiscMemoryInit
	case scan.OpEnd:
		return
	}
	r.crooked = r.crooked || r.branches > 0 // something follows the branch
}

// straight says whether the region is a loop to be written out.
func (r *region) straight() bool {
	return r.loop && r.plain && !r.crooked && r.branches == 1 && r.cost <= roundCost
}

// writeOut writes a loop that pays cost a round:
//
//	block            ;; to its end go those that paid for just what they ran
//	  block          ;; to the ends of these, those that ran 3, 2 and 1 rounds
//	    block
//	      block
//	        loop
//	          pay 4 rounds
//	          round  eqz  br_if 1
//	          round  eqz  br_if 2
//	          round  eqz  br_if 3
//	          round  br_if 0
//	        end
//	        br 3
//	      end
//	      give back a round
//	    end
//	    give back a round
//	  end
//	  give back a round
//	end
func (e *emitter) writeOut(l straight, cost uint64) {
	round := e.m.Bytes[l.body:l.back]
	for range rounds {
		e.out = append(e.out, scan.OpBlock, 0x40)
	}
	e.out = append(e.out, scan.OpLoop, 0x40)
	e.depth += rounds + 1
	e.charge(rounds * cost)
	for i := uint64(1); i < rounds; i++ {
		e.out = append(append(e.out, round...), scan.OpI32Eqz)
		e.index(scan.OpBrIf, i)
	}
	e.out = append(e.out, round...)
	e.index(scan.OpBrIf, 0)
	e.op(scan.OpEnd)
	e.index(scan.OpBr, rounds-1)
	for range rounds - 1 {
		e.op(scan.OpEnd)
		e.index(scan.OpLocalGet, e.left)
		e.constant(scan.OpI64Const, int64(cost))
		e.op(scan.OpI64Add)
		e.index(scan.OpLocalSet, e.left)
	}
	e.op(scan.OpEnd)
	e.depth -= rounds + 1
}
