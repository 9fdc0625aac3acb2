package ptx

import "fmt"

// Ldmatrix loads n (1, 2, 4) 8 x 8 matrices of 16-bit elements from shared memory;
// lane l gives the address of row l%8 of matrix l/8. Lane l gets elements 2(l%4)
// and the next of row l/4, with trans of the transposed matrices.
func (b *Builder) Ldmatrix(n int, trans bool, addr Reg, off int) []Reg {
	if n != 1 && n != 2 && n != 4 {
		b.Errorf("Ldmatrix of %d matrices", n)
	}
	d := b.Regs(B32, n)
	op := fmt.Sprintf("ldmatrix.sync.aligned.m8n8.x%d", n)
	if trans {
		op += ".trans"
	}
	b.emit(op+".shared.b16", list(d), b.addr(Shared, addr, off))
	return d
}

// Mma is d = x * y + c on a warp's fragments: m16n8k16, in (F16 or BF16) by in,
// sums in F32. x has 4 registers of pairs, y 2, c 4 of F32; d may be c. With
// g = lane/4, t = lane%4:
//
//	x[0] (g, 2t..)  x[1] (g+8, 2t..)  x[2] (g, 2t+8..)  x[3] (g+8, 2t+8..)
//	y[0] (2t.., g)  y[1] (2t+8.., g)
//	c[0] (g, 2t)  c[1] (g, 2t+1)  c[2] (g+8, 2t)  c[3] (g+8, 2t+1)
func (b *Builder) Mma(in Type, d, x, y, c []Reg) {
	if len(d) != 4 || len(x) != 4 || len(y) != 2 || len(c) != 4 || (in != F16 && in != BF16) {
		b.Errorf("mma of %v with %d, %d, %d, %d registers", in, len(d), len(x), len(y), len(c))
	}
	b.emit(fmt.Sprintf("mma.sync.aligned.m16n8k16.row.col.f32.%v.%v.f32", in, in), list(d), list(x), list(y), list(c))
}

// Hopper only, from here on.

// MbarInit makes the 8 bytes at [addr+off] of shared memory a barrier for count
// arrivals; FenceMbarInit makes it visible to the asynchronous proxy and has to
// come before the block's barrier.
func (b *Builder) MbarInit(addr Reg, off int, count any) {
	b.emit("mbarrier.init.shared::cta.b64", b.addr(Shared, addr, off), b.arg(U32, count))
}

// FenceMbarInit: see MbarInit.
func (b *Builder) FenceMbarInit() { b.emit("fence.mbarrier_init.release.cluster") }

// FenceAsync orders this thread's ordinary shared-memory writes before reads of
// wgmma and bulk copies (the asynchronous proxy).
func (b *Builder) FenceAsync() { b.emit("fence.proxy.async.shared::cta") }

// MbarArrive arrives once.
func (b *Builder) MbarArrive(addr Reg, off int) {
	b.emit("mbarrier.arrive.shared::cta.b64", Arg{Kind: ArgReg, Reg: b.Reg(B64)}, b.addr(Shared, addr, off))
}

// MbarExpect arrives once and announces bytes that a bulk copy will bring.
func (b *Builder) MbarExpect(addr Reg, off int, bytes any) {
	b.emit("mbarrier.arrive.expect_tx.shared::cta.b64", Arg{Kind: ArgReg, Reg: b.Reg(B64)}, b.addr(Shared, addr, off), b.arg(U32, bytes))
}

// MbarWait waits until the barrier's phase of the given parity (U32, 0 for the
// first) is complete.
func (b *Builder) MbarWait(addr Reg, off int, parity Reg) {
	top := b.NewLabel()
	b.Label(top)
	p := b.Reg(Pred)
	b.emit("mbarrier.try_wait.parity.shared::cta.b64", Arg{Kind: ArgReg, Reg: p}, b.addr(Shared, addr, off), b.arg(U32, parity))
	b.braIf(p, true, top)
}

// CpAsyncBulk copies bytes (a multiple of 16; addresses too) from global to shared
// memory and reports to the mbarrier at [mbar+mbarOff]. One thread issues it.
func (b *Builder) CpAsyncBulk(dst Reg, dstOff int, src Reg, srcOff int, bytes any, mbar Reg, mbarOff int) {
	b.emit("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes",
		b.addr(Shared, dst, dstOff), b.addr(Global, src, srcOff), b.arg(U32, bytes), b.addr(Shared, mbar, mbarOff))
}

// WgmmaFence orders register and shared-memory accesses before the first Wgmma.
func (b *Builder) WgmmaFence() { b.emit("wgmma.fence.sync.aligned") }

// WgmmaCommit closes a group; WgmmaWait waits until at most n are under way.
func (b *Builder) WgmmaCommit()    { b.emit("wgmma.commit_group.sync.aligned") }
func (b *Builder) WgmmaWait(n int) { b.emit("wgmma.wait_group.sync.aligned", b.Imm(U32, n)) }

// Wgmma is d = x * y (+ d unless scaleD is false) by a warpgroup: m64, n a multiple
// of 8 up to 256, k16, F16 or BF16 with F32 sums. x is 4 registers a lane, each warp
// holding 16 rows laid out like Mma's, or one U64 register, the descriptor of a
// matrix in shared memory, as y always is (both K-major). d has n/2 registers:
// d[4i..4i+3] are columns 8i..8i+7, laid out like Mma's c.
func (b *Builder) Wgmma(in Type, n int, d, x []Reg, y Reg, scaleD Reg) {
	if len(d) != n/2 || n%8 != 0 || n < 8 || n > 256 || (len(x) != 4 && len(x) != 1) || (in != F16 && in != BF16) {
		b.Errorf("wgmma n%d of %v with %d sums and %d registers", n, in, len(d), len(x))
		return
	}
	one := b.Imm(S32, 1)
	args := []Arg{list(d)}
	if len(x) == 4 {
		args = append(args, list(x))
	} else {
		args = append(args, b.arg(U64, x[0]))
	}
	args = append(args, b.arg(U64, y), b.arg(Pred, scaleD), one, one)
	if len(x) == 1 {
		args = append(args, b.Imm(S32, 0)) // x is K-major
	}
	args = append(args, b.Imm(S32, 0)) // so is y
	b.emit(fmt.Sprintf("wgmma.mma_async.sync.aligned.m64n%dk16.f32.%v.%v", n, in, in), args...)
}

// SetMaxReg changes how many registers each thread of this warpgroup has: inc and
// dec, to a multiple of 8 between 24 and 256.
func (b *Builder) SetMaxReg(n int, inc bool) {
	dir := "dec"
	if inc {
		dir = "inc"
	}
	b.emit("setmaxnreg."+dir+".sync.aligned.u32", b.Imm(U32, n))
}
