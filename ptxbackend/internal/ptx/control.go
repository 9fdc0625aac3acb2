package ptx

import "fmt"

// Tid, Ntid, Ctaid and Nctaid are the thread's place in its block, the block's
// size, the block's place in the grid and the grid's size; dim 0, 1, 2 is x, y, z.
func (b *Builder) Tid(dim int) Reg    { return b.special("tid", dim) }
func (b *Builder) Ntid(dim int) Reg   { return b.special("ntid", dim) }
func (b *Builder) Ctaid(dim int) Reg  { return b.special("ctaid", dim) }
func (b *Builder) Nctaid(dim int) Reg { return b.special("nctaid", dim) }

// Lane is the thread's place in its warp.
func (b *Builder) Lane() Reg { return b.Special("%laneid") }

func (b *Builder) special(name string, dim int) Reg {
	if dim < 0 || dim > 2 {
		b.Errorf("dimension %d of %s", dim, name)
		dim = 0
	}
	return b.Special("%" + name + "." + string("xyz"[dim]))
}

// Special reads a special register, "%smid" or "%globaltimer".
func (b *Builder) Special(name string) Reg {
	t, ok := SpecialType(name)
	if !ok {
		b.Errorf("no special register %q", name)
		t = U32
	}
	d := b.Reg(t)
	b.emit("mov."+t.String(), Arg{Kind: ArgReg, Reg: d}, Arg{Kind: ArgSpecial, Sym: name})
	return d
}

// NewLabel makes a label that Label places and Bra goes to.
func (b *Builder) NewLabel() string {
	b.labels++
	return fmt.Sprintf("L%d", b.labels)
}

// Label places a label here.
func (b *Builder) Label(l string) {
	if !b.guard.IsZero() {
		b.Errorf("a label under a guard")
	}
	b.k.Body = append(b.k.Body, Instr{Label: l, Where: b.where()})
}

// Bra goes to a label. With p it does so where p, or with not where not p.
func (b *Builder) Bra(l string) { b.emit("bra", Arg{Kind: ArgSym, Sym: l}) }

func (b *Builder) braIf(p Reg, not bool, l string) {
	b.under(p, not, func() { b.Bra(l) })
}

// If executes then where p, els (if given) where not.
func (b *Builder) If(p Reg, then func(), els ...func()) {
	end := b.NewLabel()
	if len(els) == 0 {
		b.braIf(p, true, end)
		then()
		b.Label(end)
		return
	}
	other := b.NewLabel()
	b.braIf(p, true, other)
	then()
	b.Bra(end)
	b.Label(other)
	els[0]()
	b.Label(end)
}

// Loop repeats body while cond, evaluated before each round, is true.
func (b *Builder) Loop(cond func() Reg, body func()) {
	top, end := b.NewLabel(), b.NewLabel()
	b.Label(top)
	b.braIf(cond(), true, end)
	body()
	b.Bra(top)
	b.Label(end)
}

// For counts i from from in steps of step while i < to (both of i's type) and
// executes body for each; i is of the type of from or to, U32 if both are numbers.
func (b *Builder) For(from, to, step any, body func(i Reg)) {
	t := U32
	if r, ok := from.(Reg); ok {
		t = r.Type
	} else if r, ok := to.(Reg); ok {
		t = r.Type
	}
	i := b.Var(t, from)
	b.Loop(func() Reg { return b.Setp(Lt, i, to) }, func() {
		body(i)
		b.AddTo(i, step)
	})
}

// Ret ends the thread.
func (b *Builder) Ret() { b.emit("ret") }

// Trap stops the kernel with an error.
func (b *Builder) Trap() { b.emit("trap") }

// Bar waits for all threads of the block.
func (b *Builder) Bar() { b.emit("bar.sync", b.Imm(U32, 0)) }

// BarN waits at barrier id (1 to 15) until threads of the block, a multiple of 32,
// have come.
func (b *Builder) BarN(id, threads any) { b.emit("bar.sync", b.arg(U32, id), b.arg(U32, threads)) }

// BarArrive counts at barrier id without waiting.
func (b *Builder) BarArrive(id, threads any) {
	b.emit("bar.arrive", b.arg(U32, id), b.arg(U32, threads))
}

// WarpSync waits for all lanes of the warp and orders their memory accesses.
func (b *Builder) WarpSync() { b.emit("bar.warp.sync", b.Imm(U32, uint32(0xFFFFFFFF))) }

// Shfl passes 32-bit values between the lanes of a warp: mode "bfly" from lane^n,
// "down" from lane+n, "up" from lane-n, "idx" from lane n; out of the warp it is
// the lane's own. All lanes take part.
func (b *Builder) Shfl(mode string, x Reg, n any) Reg {
	clamp := 31
	if mode == "up" {
		clamp = 0
	}
	d := b.Reg(x.Type)
	b.emit("shfl.sync."+mode+".b32", Arg{Kind: ArgReg, Reg: d}, b.bits(B32, x), b.arg(U32, n),
		b.Imm(U32, clamp), b.Imm(U32, uint32(0xFFFFFFFF)))
	return d
}

// Ballot is the mask of lanes where p; Any and All ask whether one, or all, have p.
func (b *Builder) Ballot(p Reg) Reg {
	return b.vote("ballot", "b32", U32, p)
}
func (b *Builder) Any(p Reg) Reg { return b.vote("any", "pred", Pred, p) }
func (b *Builder) All(p Reg) Reg { return b.vote("all", "pred", Pred, p) }

func (b *Builder) vote(mode, t string, d Type, p Reg) Reg {
	r := b.Reg(d)
	b.emit("vote.sync."+mode+"."+t, Arg{Kind: ArgReg, Reg: r}, b.arg(Pred, p), b.Imm(U32, uint32(0xFFFFFFFF)))
	return r
}

// WarpReduce combines x of all lanes by op ("add", "max", "min"); every lane has
// the result.
func (b *Builder) WarpReduce(op string, x Reg) Reg {
	for n := 16; n > 0; n /= 2 {
		y := b.Shfl("bfly", x, n)
		switch op {
		case "add":
			x = b.Add(x, y)
		case "max":
			x = b.Max(x, y)
		case "min":
			x = b.Min(x, y)
		default:
			b.Errorf("no reduction %q", op)
		}
	}
	return x
}

// GridWait waits, in a programmatic dependent launch, until the grids before this
// one are complete and their writes visible. GridLaunch allows the next grid to
// start. Both are nothing where the target does not have them.
func (b *Builder) GridWait() {
	if b.Target.Hopper() {
		b.emit("griddepcontrol.wait")
	}
}

// GridLaunch: see GridWait.
func (b *Builder) GridLaunch() {
	if b.Target.Hopper() {
		b.emit("griddepcontrol.launch_dependents")
	}
}
