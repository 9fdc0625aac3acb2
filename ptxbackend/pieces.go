package ptxbackend

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"github.com/sandwarp/sandwarp/internal/plan"
	"github.com/sandwarp/sandwarp/internal/tensor"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
)

// pieceBytes is about the size of a piece on the device: long enough for the copy
// engine's full speed.
const pieceBytes = 4 << 20

// piece is a part of a weight that one worker does at a time. It either looks
// through bytes of the file or fills a slot with bytes for the device.
type piece struct {
	look func() // or
	fill func(slot []byte)

	ready  []<-chan struct{} // closed when fill may begin
	at     driver.Ptr        // where it goes
	bytes  int               // and what it takes there
	source int64             // bytes of the file it stands for
}

// upload is a weight on its way.
type upload struct {
	weights *weights
	number  int // of the weight, less 1
	desc    tensor.Desc
	data    []byte
	vector  bool

	looked chan struct{} // closed once exp is known
	exp    int

	mu   sync.Mutex // guards what follows
	peak float32    // of the parts that were looked through
	left int        // parts
}

func (l *weights) upload(i int, data []byte) *upload {
	d := l.plan.Weights[i]
	u := &upload{weights: l, number: i, desc: d, data: data, vector: len(d.Shape) == 1, looked: make(chan struct{})}
	if u.vector {
		close(u.looked)
	}
	return u
}

func newWeights(g *gpu, p *plan.Plan) *weights {
	return &weights{gpu: g, plan: p, mats: make([]matrix, len(p.Weights)), vecs: make([]driver.Ptr, len(p.Weights)), memory: memory{gpu: g}}
}

// place takes the memory of all weights and cuts them into pieces, in the order in
// which they are to be done: a matrix is looked through before the one before it is
// repacked. Tensors that are the same bytes are loaded once. The device is entered.
func (l *weights) place(data [][]byte) ([]piece, error) {
	first := map[*byte]int{}
	pairs := pairsOf(l.plan)
	var groups [][]*upload // what is repacked together
	for i, d := range l.plan.Weights {
		if len(d.Shape) == 1 && d.DType != tensor.F32 {
			return nil, fmt.Errorf("ptxbackend: weight %v: a vector must be F32", d)
		}
		up, paired := pairs[i]
		if up < 0 {
			continue // goes along with gate
		}
		group := []*upload{l.upload(i, data[i])}
		if paired {
			group = append(group, l.upload(up, data[up]))
		} else if j, ok := first[unsafe.SliceData(data[i])]; ok && sameShape(d, l.plan.Weights[j]) {
			l.same = append(l.same, [2]int{i, j})
			continue
		} else {
			first[unsafe.SliceData(data[i])] = i
		}
		if err := l.takeGroup(group); err != nil {
			return nil, err
		}
		groups = append(groups, group)
	}
	var pieces []piece
	for i := -1; i < len(groups); i++ {
		if i+1 < len(groups) {
			for _, u := range groups[i+1] {
				pieces = append(pieces, u.looks()...)
			}
		}
		if i >= 0 {
			pieces = append(pieces, fills(groups[i])...)
		}
	}
	return pieces, nil
}

// pairsOf maps the numbers of gates to those of their ups, less 1, and those of ups
// to -1, of the steps that have both in one piece of memory.
func pairsOf(p *plan.Plan) map[int]int {
	pairs := map[int]int{}
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Kind == plan.NormGateUpAct && pairable(p, s) {
			gate, up := int(s.W[plan.WGate])-1, int(s.W[plan.WUp])-1
			pairs[gate], pairs[up] = up, -1
		}
	}
	return pairs
}

// suits refuses a plan that has other matrices in pairs than the one the weights
// were loaded for.
func (l *weights) suits(p *plan.Plan) error {
	pairs := pairsOf(p)
	for i, m := range l.mats {
		if _, paired := pairs[i]; paired != m.paired {
			return fmt.Errorf("ptxbackend: weight %v was loaded for a plan that is fused in another way: load it with the plan to be compiled", p.Weights[i])
		}
	}
	return nil
}

func sameShape(a, b tensor.Desc) bool { return a.DType == b.DType && slices.Equal(a.Shape, b.Shape) }

// takeGroup takes the memory of a weight, or of a pair of them.
func (l *weights) takeGroup(group []*upload) error {
	bytes := int64(0)
	for _, u := range group {
		bytes += weightBytes(u.desc)
	}
	at, err := l.memory.alloc("weight "+group[0].desc.String(), bytes)
	if err != nil {
		return err
	}
	for j, u := range group {
		if u.vector {
			l.vecs[u.number] = at
			continue
		}
		m := &l.mats[u.number]
		*m = matrix{layout: layoutOf(u.desc), paired: len(group) > 1}
		m.at = at + driver.Ptr(j*m.layout.TileBytes())
	}
	return nil
}

// share gives tensors that are the same bytes the same place, after the load.
func (l *weights) share() {
	for _, s := range l.same {
		l.mats[s[0]], l.vecs[s[0]] = l.mats[s[1]], l.vecs[s[1]]
	}
}

// tilesOf cuts a matrix into parts of whole tiles: about pieceBytes on the device.
func (u *upload) tilesOf() (tiles int) {
	return max(1, pieceBytes/u.weights.mats[u.number].layout.TileBytes())
}

// part is the data of tiles first to first+n, and their rows.
func (u *upload) part(first, n int) (src []byte, rows int) {
	row := u.desc.DType.RowBytes(u.desc.RowLen())
	rows = min(16*n, u.desc.Rows()-16*first)
	return u.data[16*first*row:][:rows*row], rows
}

// looks are the pieces that look through a matrix.
func (u *upload) looks() (pieces []piece) {
	if u.vector {
		return nil
	}
	step := u.tilesOf()
	for first := 0; first < u.weights.mats[u.number].layout.Tiles(); first += step {
		src, _ := u.part(first, step)
		pieces = append(pieces, piece{look: func() { u.look(src) }})
	}
	u.left = len(pieces)
	return pieces
}

// fills are the pieces that bring a weight, or a pair of them, to the device.
func fills(group []*upload) (pieces []piece) {
	u := group[0]
	if u.vector {
		return []piece{{fill: func(slot []byte) { copy(slot, u.data) }, at: u.weights.vecs[u.number],
			bytes: len(u.data), source: int64(len(u.data))}}
	}
	m := u.weights.mats[u.number]
	step, tile := u.tilesOf(), m.layout.TileBytes()
	for first := 0; first < m.layout.Tiles(); first += step {
		n := min(step, m.layout.Tiles()-first)
		p := piece{at: m.at + driver.Ptr(first*tile*len(group)), bytes: n * tile * len(group)}
		for _, u := range group {
			src, _ := u.part(first, n)
			p.source += int64(len(src))
			p.ready = append(p.ready, u.looked)
		}
		p.fill = func(slot []byte) {
			for i, u := range group {
				src, rows := u.part(first, n)
				m.layout.Repack(slot[i*tile:], len(group), u.desc.DType, u.exp, src, rows)
			}
		}
		pieces = append(pieces, p)
	}
	return pieces
}

// look looks through a part of the matrix; the last part decides its scale.
func (u *upload) look(src []byte) {
	peak := kernels.Peak(u.desc.DType, src)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.peak = max(u.peak, peak)
	if u.left--; u.left == 0 {
		u.exp = kernels.Exponent(u.desc.DType, u.peak)
		m := &u.weights.mats[u.number]
		m.scale = m.layout.Scale(u.exp)
		close(u.looked)
	}
}
