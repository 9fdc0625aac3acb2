package emufuzz

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

const (
	threads  = 96 // three warps
	blocks   = 2
	steps    = 60
	perType  = 4 // values of each type to begin with
	exchange = 4 * threads
)

var poolTypes = []ptx.Type{ptx.U32, ptx.U64, ptx.U16, ptx.F32, ptx.F64, ptx.F16, ptx.BF16, ptx.F16x2, ptx.BF16x2}

// program is a random program being written: registers with values, by type.
type program struct {
	b    *ptx.Builder
	r    *rand.Rand
	pool map[ptx.Type][]ptx.Reg
	sh   ptx.Reg
	tid  ptx.Reg
}

// class is the pool of a type: integers of a size share one.
func class(t ptx.Type) ptx.Type {
	if t.Float() {
		return t
	}
	switch t.Bytes() {
	case 2:
		return ptx.U16
	case 8:
		return ptx.U64
	}
	return ptx.U32
}

func (p *program) get(t ptx.Type) ptx.Reg {
	l := p.pool[class(t)]
	return p.b.As(t, l[p.r.IntN(len(l))])
}

// put replaces one of the values of r's type, so that results are used again.
func (p *program) put(r ptx.Reg) {
	c := class(r.Type)
	l := p.pool[c]
	l[p.r.IntN(len(l))] = p.b.As(c, r)
}

// program runs a random program on both devices.
func (f *fuzzer) program(seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 2))
	b := ptx.New("program", f.target)
	in, out := b.Param(ptx.U64, "in"), b.Param(ptx.U64, "out")
	p := &program{b: b, r: r, pool: map[ptx.Type][]ptx.Reg{}, sh: b.Shared("exchange", 16, exchange), tid: b.Tid(0)}
	i := b.Mad(b.Ctaid(0), b.Ntid(0), p.tid)
	src := b.Add(in, b.MulWide(i, 8*perType*len(poolTypes)))
	var data []byte
	for n, t := range poolTypes {
		for j := range perType {
			p.pool[t] = append(p.pool[t], b.Ld(ptx.Global, t, src, 8*(n*perType+j)))
		}
	}
	for range blocks * threads {
		for _, t := range poolTypes {
			for range perType {
				data = binary.LittleEndian.AppendUint64(data, randomValue(r, t))
			}
		}
	}
	exact := slices.DeleteFunc(slices.Clone(Ops), func(o Op) bool {
		return o.Bound != 0 || o.Free != nil || o.Build != nil || o.Hopper && !f.target.Hopper()
	})
	for range steps {
		p.step(exact)
	}
	dst := b.Add(out, b.MulWide(i, 8*perType*len(poolTypes)))
	for n, t := range poolTypes {
		for j, v := range p.pool[t] {
			b.St(ptx.Global, dst, 8*(n*perType+j), v)
		}
	}
	x, y, err := f.both(b, blocks, threads, data, len(data))
	if err != nil {
		return err
	}
	for at := 0; at < len(data); at += 8 {
		t := poolTypes[at/8/perType%len(poolTypes)]
		if u, v := element(t, x[at:]), element(t, y[at:]); !same(t, u, v, 0) {
			thread := at / 8 / perType / len(poolTypes)
			f.differ("program %d, thread %d, value %d of type %v: %s on the first device, %s on the second", seed, thread, at/8%perType, t,
				show1(t, u), show1(t, v))
		}
	}
	return nil
}

// step writes one instruction, or a few.
func (p *program) step(ops []Op) {
	b := p.b
	switch p.r.IntN(16) {
	case 0: // lanes exchange values
		mode := []string{"bfly", "down", "up", "idx"}[p.r.IntN(4)]
		if mode == "idx" {
			p.put(b.Shfl(mode, p.get(ptx.U32), b.And(p.get(ptx.U32), 31)))
		} else {
			p.put(b.Shfl(mode, p.get(ptx.U32), p.r.IntN(32)))
		}
	case 1:
		pr := b.Setp(ptx.Lt, p.get(ptx.U32), p.get(ptx.U32))
		p.put(b.As(ptx.U32, b.Ballot(pr)))
		p.put(b.Selp(p.get(ptx.F32), p.get(ptx.F32), b.Any(pr)))
		p.put(b.Selp(p.get(ptx.F32), p.get(ptx.F32), b.All(pr)))
	case 6:
		op := []string{"add.u32", "min.u32", "max.s32", "min.s32", "and.b32", "or.b32", "xor.b32"}[p.r.IntN(7)]
		d := b.Reg(ptx.U32)
		b.Emit("redux.sync."+op, d, p.get(ptx.U32), b.Imm(ptx.U32, uint32(0xFFFFFFFF)))
		p.put(d)
	case 2: // paths part and meet again
		v := b.Var(ptx.U32, p.get(ptx.U32))
		b.If(b.Setp(ptx.Lt, p.get(ptx.S32), p.get(ptx.S32)), func() {
			b.Set(v, b.Add(v, p.get(ptx.U32)))
		}, func() {
			b.Under(b.Setp(ptx.Ge, v, p.get(ptx.U32)), func() { b.Set(v, p.get(ptx.U32)) })
		})
		p.put(v)
	case 3: // a loop of as many rounds as each lane wants
		v := b.Var(ptx.U32, p.get(ptx.U32))
		b.For(0, b.And(p.get(ptx.U32), 7), 1, func(i ptx.Reg) { b.MadTo(v, v, 3, i) })
		p.put(v)
	case 4: // warps exchange values through shared memory
		at := b.Add(p.sh, b.Mul(p.tid, 4))
		b.Bar()
		b.St(ptx.Shared, at, 0, p.get(ptx.U32))
		b.Bar()
		other := b.Rem(b.Add(p.tid, p.r.IntN(threads)), threads)
		p.put(b.Ld(ptx.Shared, ptx.U32, b.Add(p.sh, b.Mul(other, 4)), 0))
	case 5: // and add to it
		at := b.Add(p.sh, b.Mul(p.tid, 4))
		b.Bar()
		b.St(ptx.Shared, at, 0, p.get(ptx.U32))
		b.Bar()
		b.Red(ptx.Shared, "", "add", b.Add(p.sh, b.Mul(b.And(p.get(ptx.U32), 63), 4)), 0, p.get(ptx.U32))
		b.Bar()
		p.put(b.Ld(ptx.Shared, ptx.U32, at, 0))
	default:
		o := &ops[p.r.IntN(len(ops))]
		var a []ptx.Reg
		for _, t := range o.In {
			a = append(a, p.get(t))
		}
		p.put(o.emit(b, a))
	}
}
