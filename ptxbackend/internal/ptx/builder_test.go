package ptx

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
)

// regs are operands of each type, numbered in this order from 1.
type regs struct {
	p, q       Reg // Pred: %p1, %p2
	u, v       Reg // U32: %r3, %r4
	s          Reg // S32: %r5
	f, g       Reg // F32: %r6, %r7
	h, k       Reg // F16x2: %r8, %r9
	x          Reg // F16: %h10
	w          Reg // U64: %d11
	d          Reg // F64: %d12
	y          Reg // BF16: %h13
	c          Reg // B32: %r14
	i          Reg // S64: %d15
	m          Reg // U16: %h16
	four, pair []Reg
}

func testRegs(b *Builder) *regs {
	r := func(t Type) Reg { return b.Reg(t) }
	return &regs{p: r(Pred), q: r(Pred), u: r(U32), v: r(U32), s: r(S32), f: r(F32), g: r(F32), h: r(F16x2), k: r(F16x2), x: r(F16),
		w: r(U64), d: r(F64), y: r(BF16), c: r(B32), i: r(S64), m: r(U16),
		four: b.Regs(F32, 4), pair: b.Regs(B32, 2)} // %r17..%r20, %r21, %r22; results from 23
}

// Each method writes what is said beside it; the first result is register 23.
func TestBuilderText(t *testing.T) {
	for _, c := range []struct {
		call func(b *Builder, r *regs)
		want string
	}{
		// Arithmetic.
		{func(b *Builder, r *regs) { b.Add(r.u, 1) }, "add.u32 %r23, %r3, 1;"},
		{func(b *Builder, r *regs) { b.Add(-1, r.u) }, "add.u32 %r23, 4294967295, %r3;"},
		{func(b *Builder, r *regs) { b.Add(r.f, 1) }, "add.rn.f32 %r23, %r6, 0f3F800000;"},
		{func(b *Builder, r *regs) { b.Sub(r.s, -7) }, "sub.s32 %r23, %r5, -7;"},
		{func(b *Builder, r *regs) { b.Sub(r.h, r.k) }, "sub.rn.f16x2 %r23, %r8, %r9;"},
		{func(b *Builder, r *regs) { b.Mul(r.w, 3) }, "mul.lo.u64 %d23, %d11, 3;"},
		{func(b *Builder, r *regs) { b.Mul(r.x, 0x3C00) }, "mov.b16 %h24, 0x3C00; mul.rn.f16 %h23, %h10, %h24;"},
		{func(b *Builder, r *regs) { b.Mul(r.d, math.Pi) }, "mul.rn.f64 %d23, %d12, 0d400921FB54442D18;"},
		{func(b *Builder, r *regs) { b.MulHi(r.u, r.v) }, "mul.hi.u32 %r23, %r3, %r4;"},
		{func(b *Builder, r *regs) { b.MulWide(r.s, 4) }, "mul.wide.s32 %d23, %r5, 4;"},
		{func(b *Builder, r *regs) { b.MadWide(r.u, 4, r.w) }, "mad.wide.u32 %d23, %r3, 4, %d11;"},
		{func(b *Builder, r *regs) { b.Mad(r.u, 4, r.v) }, "mad.lo.u32 %r23, %r3, 4, %r4;"},
		{func(b *Builder, r *regs) { b.Mad(r.f, 0.5, r.g) }, "fma.rn.f32 %r23, %r6, 0f3F000000, %r7;"},
		{func(b *Builder, r *regs) { b.MadTo(r.f, r.g, 2, r.f) }, "fma.rn.f32 %r6, %r7, 0f40000000, %r6;"},
		{func(b *Builder, r *regs) { b.MadTo(r.u, r.v, 2, 1) }, "mad.lo.u32 %r3, %r4, 2, 1;"},
		{func(b *Builder, r *regs) { b.AddTo(r.f, 1.5) }, "add.rn.f32 %r6, %r6, 0f3FC00000;"},
		{func(b *Builder, r *regs) { b.AddTo(r.x, r.x) }, "add.rn.f16 %h10, %h10, %h10;"},
		{func(b *Builder, r *regs) { b.SubTo(r.u, 1) }, "sub.u32 %r3, %r3, 1;"},
		{func(b *Builder, r *regs) { b.MulTo(r.f, r.g) }, "mul.rn.f32 %r6, %r6, %r7;"},
		{func(b *Builder, r *regs) { b.MulTo(r.s, 3) }, "mul.lo.s32 %r5, %r5, 3;"},
		{func(b *Builder, r *regs) { b.MaxTo(r.f, r.g) }, "max.f32 %r6, %r6, %r7;"},
		{func(b *Builder, r *regs) { b.MinTo(r.u, 9) }, "min.u32 %r3, %r3, 9;"},
		{func(b *Builder, r *regs) { b.Div(r.f, r.g) }, "div.rn.f32 %r23, %r6, %r7;"},
		{func(b *Builder, r *regs) { b.Div(r.d, r.d) }, "div.rn.f64 %d23, %d12, %d12;"},
		{func(b *Builder, r *regs) { b.Div(r.u, 3) }, "div.u32 %r23, %r3, 3;"},
		{func(b *Builder, r *regs) { b.Rem(r.u, 3) }, "rem.u32 %r23, %r3, 3;"},
		{func(b *Builder, r *regs) { b.Min(r.f, 65504) }, "min.f32 %r23, %r6, 0f477FE000;"},
		{func(b *Builder, r *regs) { b.Max(r.h, r.k) }, "max.f16x2 %r23, %r8, %r9;"},
		{func(b *Builder, r *regs) { b.Neg(r.h) }, "neg.f16x2 %r23, %r8;"},
		{func(b *Builder, r *regs) { b.Abs(r.f) }, "abs.f32 %r23, %r6;"},
		{func(b *Builder, r *regs) { b.Rcp(b.Rsqrt(r.f)) }, "rsqrt.approx.f32 %r23, %r6; rcp.approx.f32 %r24, %r23;"},
		{func(b *Builder, r *regs) { b.Sqrt(r.f) }, "sqrt.rn.f32 %r23, %r6;"},
		{func(b *Builder, r *regs) { b.Ex2(b.Lg2(r.f)) }, "lg2.approx.f32 %r23, %r6; ex2.approx.ftz.f32 %r24, %r23;"},
		{func(b *Builder, r *regs) { b.Ex2(r.h) }, "ex2.approx.f16x2 %r23, %r8;"},
		{func(b *Builder, r *regs) { b.Sin(b.Cos(b.Tanh(r.f))) }, "tanh.approx.f32 %r23, %r6; cos.approx.f32 %r24, %r23; sin.approx.f32 %r25, %r24;"},

		// Bits.
		{func(b *Builder, r *regs) { b.And(r.f, 0x7FFFFFFF) }, "and.b32 %r23, %r6, 2147483647;"},
		{func(b *Builder, r *regs) { b.Or(r.h, r.c) }, "or.b32 %r23, %r8, %r14;"},
		{func(b *Builder, r *regs) { b.Xor(r.w, -1) }, "xor.b64 %d23, %d11, 18446744073709551615;"},
		{func(b *Builder, r *regs) { b.And(r.p, r.q) }, "and.pred %p23, %p1, %p2;"},
		{func(b *Builder, r *regs) { b.Not(r.p) }, "not.pred %p23, %p1;"},
		{func(b *Builder, r *regs) { b.Not(r.x) }, "not.b16 %h23, %h10;"},
		{func(b *Builder, r *regs) { b.Shl(r.u, r.v) }, "shl.b32 %r23, %r3, %r4;"},
		{func(b *Builder, r *regs) { b.Shr(r.s, 2) }, "shr.s32 %r23, %r5, 2;"},
		{func(b *Builder, r *regs) { b.Shr(r.w, 2) }, "shr.b64 %d23, %d11, 2;"},
		{func(b *Builder, r *regs) { b.Lop3(r.u, r.h, 0xF0F0F0F0, LutA&LutB|LutC) }, "lop3.b32 %r23, %r3, %r8, 4042322160, 234;"},
		{func(b *Builder, r *regs) { b.Bfe(r.s, 4, r.u) }, "bfe.s32 %r23, %r5, 4, %r3;"},
		{func(b *Builder, r *regs) { b.Prmt(r.h, 0, 0x5410) }, "prmt.b32 %r23, %r8, 0, 21520;"},
		{func(b *Builder, r *regs) { b.Popc(b.Clz(r.w)) }, "clz.b64 %r23, %d11; popc.b32 %r24, %r23;"},
		{func(b *Builder, r *regs) { b.Dp4a(r.c, r.u, r.s) }, "dp4a.s32.s32 %r23, %r14, %r3, %r5;"},

		// Conversions and choices.
		{func(b *Builder, r *regs) { b.Cvt(F32, r.x) }, "cvt.f32.f16 %r23, %h10;"},
		{func(b *Builder, r *regs) { b.Cvt(BF16, r.f) }, "cvt.rn.bf16.f32 %h23, %r6;"},
		{func(b *Builder, r *regs) { b.Cvt(F32, r.s) }, "cvt.rn.f32.s32 %r23, %r5;"},
		{func(b *Builder, r *regs) { b.Cvt(U32, r.f) }, "cvt.rzi.u32.f32 %r23, %r6;"},
		{func(b *Builder, r *regs) { b.Cvt(S64, r.s) }, "cvt.s64.s32 %d23, %r5;"},
		{func(b *Builder, r *regs) { b.Cvt(F64, r.f) }, "cvt.f64.f32 %d23, %r6;"},
		{func(b *Builder, r *regs) { b.Cvt(F32, r.d) }, "cvt.rn.f32.f64 %r23, %d12;"},
		{func(b *Builder, r *regs) { b.Cvt(U16, r.u) }, "cvt.u16.u32 %h23, %r3;"},
		{func(b *Builder, r *regs) { b.CvtPair(BF16x2, r.f, r.g) }, "cvt.rn.bf16x2.f32 %r23, %r7, %r6;"},
		{func(b *Builder, r *regs) { b.Pack(U64, r.u, r.v) }, "mov.b64 %d23, {%r3, %r4};"},
		{func(b *Builder, r *regs) { b.Unpack(F16, r.h) }, "mov.b32 {%h23, %h24}, %r8;"},
		{func(b *Builder, r *regs) { b.Setp(Ne, r.f, 0) }, "setp.neu.f32 %p23, %r6, 0f00000000;"},
		{func(b *Builder, r *regs) { b.Setp(Ge, 5, r.s) }, "setp.ge.s32 %p23, 5, %r5;"},
		{func(b *Builder, r *regs) { b.Setp(Eq, r.c, 5) }, "setp.eq.b32 %p23, %r14, 5;"},
		{func(b *Builder, r *regs) { b.Selp(r.f, 2, r.p) }, "selp.b32 %r23, %r6, 0f40000000, %p1;"},
		{func(b *Builder, r *regs) { b.Selp(16, 0, r.p) }, "selp.b32 %r23, 16, 0, %p1;"},
		{func(b *Builder, r *regs) { b.Selp(1, 0.5, r.p) }, "selp.b32 %r23, 0f3F800000, 0f3F000000, %p1;"},
		{func(b *Builder, r *regs) { b.Set(r.f, 0) }, "mov.b32 %r6, 0f00000000;"},
		{func(b *Builder, r *regs) { b.Set(r.h, 0x3C003C00) }, "mov.b32 %r8, 0x3C003C00;"},
		{func(b *Builder, r *regs) { b.Set(r.p, true); b.Set(r.p, false); b.Set(r.p, r.q) }, "mov.pred %p1, 1; mov.pred %p1, 0; mov.pred %p1, %p2;"},
		{func(b *Builder, r *regs) { b.Var(S64, -5); b.Var(U16, uint8(7)); b.Var(U64, uint64(math.MaxUint64)) },
			"mov.b64 %d23, -5; mov.b16 %h24, 7; mov.b64 %d25, 18446744073709551615;"},

		// Memory.
		{func(b *Builder, r *regs) { b.Param(F32, "a") }, "ld.param.f32 %r23, [a];"},
		{func(b *Builder, r *regs) { b.Param(F16, "a") }, "ld.param.b16 %h23, [a];"},
		{func(b *Builder, r *regs) { b.Shared("tile", 16, 64); b.DynamicShared("dyn", 128) }, "mov.u32 %r23, tile; mov.u32 %r24, dyn;"},
		{func(b *Builder, r *regs) { b.Ld(Const, U32, b.Const("lut", 4, []byte{1, 2, 3, 4}), 0) }, "mov.u64 %d23, lut; ld.const.u32 %r24, [%d23];"},
		{func(b *Builder, r *regs) { b.PrefetchL2(r.w, 256) }, "prefetch.global.L2 [%d11+256];"},
		{func(b *Builder, r *regs) { b.Ld(Global, S8, r.w, 3) }, "ld.global.s8 %r23, [%d11+3];"},
		{func(b *Builder, r *regs) { b.Ld(Shared, F16, r.u, -2) }, "ld.shared.b16 %h23, [%r3+-2];"},
		{func(b *Builder, r *regs) { b.Ld(Generic, U32, r.w, 0, Acquire) }, "ld.acquire.gpu.u32 %r23, [%d11];"},
		{func(b *Builder, r *regs) { b.LdV(Global, B32, 4, r.w, 0, Prefetch, NC, NoAllocate) },
			"ld.global.nc.L1::no_allocate.L2::256B.v4.b32 {%r23, %r24, %r25, %r26}, [%d11];"},
		{func(b *Builder, r *regs) { b.Ld(Global, F32, r.w, 0, NC, CacheGlobal) }, "ld.global.cg.nc.f32 %r23, [%d11];"},
		{func(b *Builder, r *regs) { b.LdTo(r.pair, Shared, r.u, 8); b.LdTo(r.pair[:1], Shared, r.u, 8) },
			"ld.shared.v2.b32 {%r21, %r22}, [%r3+8]; ld.shared.b32 %r21, [%r3+8];"},
		{func(b *Builder, r *regs) { b.St(Shared, r.u, 4, r.h, Volatile) }, "st.volatile.shared.b32 [%r3+4], %r8;"},
		{func(b *Builder, r *regs) { b.StV(Global, r.w, 0, r.four) }, "st.global.v4.f32 [%d11], {%r17, %r18, %r19, %r20};"},
		{func(b *Builder, r *regs) { b.StNarrow(Global, U8, r.w, 1, r.s) }, "st.global.u8 [%d11+1], %r5;"},
		{func(b *Builder, r *regs) { b.StNarrow(Global, S16, r.w, 2, r.s) }, "cvt.u16.u32 %h23, %r5; st.global.u16 [%d11+2], %h23;"},
		{func(b *Builder, r *regs) { b.StNarrow(Global, F16, r.w, 2, r.f) }, "cvt.rn.f16.f32 %h23, %r6; st.global.b16 [%d11+2], %h23;"},
		{func(b *Builder, r *regs) { b.Atom(Global, "acq_rel", "cas", r.w, 0, r.u, r.v) }, "atom.acq_rel.gpu.global.cas.b32 %r23, [%d11], %r3, %r4;"},
		{func(b *Builder, r *regs) { b.Atom(Shared, "", "add", r.u, 4, r.f) }, "atom.relaxed.cta.shared.add.f32 %r23, [%r3+4], %r6;"},
		{func(b *Builder, r *regs) { b.Atom(Generic, "", "add", r.w, 0, r.i) }, "atom.relaxed.gpu.add.u64 %d23, [%d11], %d15;"},
		{func(b *Builder, r *regs) { b.Red(Global, "release", "max", r.w, 0, r.s) }, "red.release.gpu.global.max.s32 [%d11], %r5;"},
		{func(b *Builder, r *regs) { b.Red(Global, "", "add", r.w, 0, r.h) }, "red.relaxed.gpu.global.add.noftz.f16x2 [%d11], %r8;"},
		{func(b *Builder, r *regs) { b.Fence("gpu") }, "fence.acq_rel.gpu;"},
		{func(b *Builder, r *regs) { b.CpAsync(r.u, 16, r.w, 32); b.CpAsync(r.u, 0, r.w, 0, r.v) },
			"cp.async.cg.shared.global [%r3+16], [%d11+32], 16; cp.async.cg.shared.global [%r3], [%d11], 16, %r4;"},
		{func(b *Builder, r *regs) { b.CpAsyncCommit(); b.CpAsyncWait(2) }, "cp.async.commit_group; cp.async.wait_group 2;"},

		// Control.
		{func(b *Builder, r *regs) {
			b.Tid(0)
			b.Ntid(1)
			b.Ctaid(2)
			b.Nctaid(0)
			b.Lane()
			b.Special("%globaltimer")
		},
			"mov.u32 %r23, %tid.x; mov.u32 %r24, %ntid.y; mov.u32 %r25, %ctaid.z; mov.u32 %r26, %nctaid.x; mov.u32 %r27, %laneid; mov.u64 %d28, %globaltimer;"},
		{func(b *Builder, r *regs) { b.If(r.p, b.Trap) }, "@!%p1 bra L1; trap; L1:"},
		{func(b *Builder, r *regs) { b.If(r.p, b.Trap, b.Ret) }, "@!%p1 bra L2; trap; bra L1; L2: ret; L1:"},
		{func(b *Builder, r *regs) { b.For(r.u, 8, 2, func(i Reg) { b.Bar() }) },
			"mov.b32 %r23, %r3; L1: setp.lt.u32 %p24, %r23, 8; @!%p24 bra L2; bar.sync 0; add.u32 %r23, %r23, 2; bra L1; L2:"},
		{func(b *Builder, r *regs) { b.Under(r.p, b.Ret); b.Unless(r.p, b.Ret) }, "@%p1 ret; @!%p1 ret;"},
		{func(b *Builder, r *regs) { b.Unless(r.p, func() { b.Under(r.q, b.Trap); b.Ret() }); b.Ret() },
			"and.pred %p23, !%p1, %p2; @%p23 trap; @!%p1 ret; ret;"},
		{func(b *Builder, r *regs) { b.BarN(1, 64); b.BarArrive(r.u, 64); b.WarpSync() },
			"bar.sync 1, 64; bar.arrive %r3, 64; bar.warp.sync 4294967295;"},
		{func(b *Builder, r *regs) { b.Shfl("up", r.f, 1); b.Shfl("idx", r.h, r.u) },
			"shfl.sync.up.b32 %r23, %r6, 1, 0, 4294967295; shfl.sync.idx.b32 %r24, %r8, %r3, 31, 4294967295;"},
		{func(b *Builder, r *regs) { b.Ballot(r.p); b.Any(r.p); b.All(r.p) },
			"vote.sync.ballot.b32 %r23, %p1, 4294967295; vote.sync.any.pred %p24, %p1, 4294967295; vote.sync.all.pred %p25, %p1, 4294967295;"},
		{func(b *Builder, r *regs) { b.GridWait(); b.GridLaunch() }, "griddepcontrol.wait; griddepcontrol.launch_dependents;"},
		{func(b *Builder, r *regs) { b.Emit("nanosleep.u32", b.Imm(U32, 20)) }, "nanosleep.u32 20;"},

		// Matrices and Hopper.
		{func(b *Builder, r *regs) { b.Ldmatrix(2, true, r.u, 32) }, "ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%r23, %r24}, [%r3+32];"},
		{func(b *Builder, r *regs) {
			b.Mma(BF16, r.four, []Reg{r.c, r.c, r.c, r.c}, r.pair, r.four)
		}, "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%r17, %r18, %r19, %r20}, {%r14, %r14, %r14, %r14}, {%r21, %r22}, {%r17, %r18, %r19, %r20};"},
		{func(b *Builder, r *regs) {
			b.Wgmma(F16, 8, r.four, []Reg{r.w}, r.w, r.p)
		}, "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%r17, %r18, %r19, %r20}, %d11, %d11, %p1, 1, 1, 0, 0;"},
		{func(b *Builder, r *regs) { b.MbarInit(r.u, 8, 1); b.FenceMbarInit(); b.FenceAsync() },
			"mbarrier.init.shared::cta.b64 [%r3+8], 1; fence.mbarrier_init.release.cluster; fence.proxy.async.shared::cta;"},
		{func(b *Builder, r *regs) { b.MbarArrive(r.u, 0); b.MbarExpect(r.u, 8, 512) },
			"mbarrier.arrive.shared::cta.b64 %d23, [%r3]; mbarrier.arrive.expect_tx.shared::cta.b64 %d24, [%r3+8], 512;"},
		{func(b *Builder, r *regs) { b.MbarWait(r.u, 8, r.v) },
			"L1: mbarrier.try_wait.parity.shared::cta.b64 %p23, [%r3+8], %r4; @!%p23 bra L1;"},
		{func(b *Builder, r *regs) { b.CpAsyncBulk(r.u, 128, r.w, 0, 64, r.v, 8) },
			"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3+128], [%d11], 64, [%r4+8];"},
		{func(b *Builder, r *regs) { b.WgmmaFence(); b.WgmmaCommit(); b.WgmmaWait(1); b.SetMaxReg(40, false) },
			"wgmma.fence.sync.aligned; wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 1; setmaxnreg.dec.sync.aligned.u32 40;"},
	} {
		b := New("k", SM90a)
		r := testRegs(b)
		c.call(b, r)
		if len(b.errs) > 0 {
			t.Errorf("%s: %v", c.want, b.errs)
		}
		if got := bodyText(b.k); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		v := &verifier{target: SM90a, k: b.k}
		v.params, v.vars, v.labels = map[string]int{"a": 0}, map[string]*Var{}, map[string]int{"L1": 0, "L2": 0}
		for i := range b.k.Vars {
			v.vars[b.k.Vars[i].Name] = &b.k.Vars[i]
		}
		for i := range b.k.Body {
			if in := &b.k.Body[i]; in.Label == "" {
				v.instruction(in)
			}
		}
		if len(v.errs) > 0 {
			t.Errorf("%s: %v", c.want, v.errs)
		}
	}
}

func bodyText(k *Kernel) string {
	var lines []string
	for i := range k.Body {
		lines = append(lines, k.Body[i].String())
	}
	return strings.Join(lines, " ")
}

// here is the line of its caller.
func here() int {
	_, _, line, _ := runtime.Caller(1)
	return line
}

// A mistake is noted with the line that made it, and the methods go on.
func TestBuilderMistakes(t *testing.T) {
	for _, c := range []struct {
		line int
		call func(b *Builder, r *regs)
		want string
	}{
		{here(), func(b *Builder, r *regs) { b.Add(r.u, r.f) }, "operand of type f32 where u32 is wanted"},
		{here(), func(b *Builder, r *regs) { b.Add(r.u, r.s) }, "say which with As"},
		{here(), func(b *Builder, r *regs) { b.Add(r.u, r.w) }, "operand of type u64 where u32 is wanted"},
		{here(), func(b *Builder, r *regs) { b.Add(r.u, Reg{}) }, "an operand is no register"},
		{here(), func(b *Builder, r *regs) { b.Add(r.u, 1.5) }, "is no immediate of type u32"},
		{here(), func(b *Builder, r *regs) { b.Add(r.u, "1") }, "is no immediate of type u32"},
		{here(), func(b *Builder, r *regs) { b.Add(r.u, 1<<33) }, "8589934592 does not fit u32"},
		{here(), func(b *Builder, r *regs) { b.Add(r.m, -40000) }, "does not fit u16"},
		{here(), func(b *Builder, r *regs) { b.Add(1, 2) }, "no operand is a register"},
		{here(), func(b *Builder, r *regs) { b.Add(r.c, 1) }, "bits have no arithmetic"},
		{here(), func(b *Builder, r *regs) { b.AddTo(r.c, 1) }, "bits have no arithmetic"},
		{here(), func(b *Builder, r *regs) { b.Mul(r.h, 70000<<16) }, "are no bits of type f16x2"},
		{here(), func(b *Builder, r *regs) { b.Mul(r.h, 1.5) }, "is no immediate of type f16x2"},
		{here(), func(b *Builder, r *regs) { b.MulWide(r.w, 2) }, "u64 has no product twice as wide"},
		{here(), func(b *Builder, r *regs) { b.Div(r.h, r.h) }, "no division of f16x2"},
		{here(), func(b *Builder, r *regs) { b.And(r.u, r.w) }, "where 32 bits are wanted"},
		{here(), func(b *Builder, r *regs) { b.Bfe(r.f, 0, 4) }, "Bfe of f32"},
		{here(), func(b *Builder, r *regs) { b.Popc(r.x) }, "popc of f16"},
		{here(), func(b *Builder, r *regs) { b.Cvt(F32, r.c) }, "say what the bits are"},
		{here(), func(b *Builder, r *regs) { b.Cvt(BF16, r.x) }, "no conversion of f16 to bf16"},
		{here(), func(b *Builder, r *regs) { b.Cvt(F32, r.h) }, "no conversion of f16x2 to f32"},
		{here(), func(b *Builder, r *regs) { b.CvtPair(F16, r.f, r.g) }, "CvtPair to f16"},
		{here(), func(b *Builder, r *regs) { b.Pack(U64, r.u, r.w) }, "do not make up u64"},
		{here(), func(b *Builder, r *regs) { b.Unpack(U32, r.u) }, "do not make up u32"},
		{here(), func(b *Builder, r *regs) { b.Setp(Lt, r.h, r.k) }, "lt of f16x2"},
		{here(), func(b *Builder, r *regs) { b.Setp(Lt, r.c, 1) }, "lt of b32"},
		{here(), func(b *Builder, r *regs) { b.Selp(r.u, r.f, r.p) }, "operand of type f32 where u32"},
		{here(), func(b *Builder, r *regs) { b.Selp(r.u, r.v, r.u) }, "operand of type u32 where pred"},
		{here(), func(b *Builder, r *regs) { b.Set(r.p, 1) }, "set from true or false"},
		{here(), func(b *Builder, r *regs) { b.Set(Reg{}, 1) }, "is no register"},
		{here(), func(b *Builder, r *regs) { b.Reg(U8) }, "no registers of type u8"},
		{here(), func(b *Builder, r *regs) { b.As(U64, r.u) }, "cannot be read as u64"},
		{here(), func(b *Builder, r *regs) { b.As(Pred, r.p) }, "cannot be read as pred"},
		{here(), func(b *Builder, r *regs) { b.Ld(Shared, U32, r.w, 0) }, "operand of type u64 where u32"},
		{here(), func(b *Builder, r *regs) { b.Ld(Global, U32, r.u, 0) }, "operand of type u32 where u64"},
		{here(), func(b *Builder, r *regs) { b.LdV(Global, U64, 4, r.w, 0) }, "no vector of 4 u64"},
		{here(), func(b *Builder, r *regs) { b.LdV(Global, U32, 3, r.w, 0) }, "no vector of 3 u32"},
		{here(), func(b *Builder, r *regs) { b.LdTo(nil, Global, r.w, 0) }, "LdTo of no registers"},
		{here(), func(b *Builder, r *regs) { b.StV(Global, r.w, 0, []Reg{r.u, r.w}) }, "StV of u64 beside u32"},
		{here(), func(b *Builder, r *regs) { b.St(Global, r.w, 0, r.p) }, "St of pred"},
		{here(), func(b *Builder, r *regs) { b.StNarrow(Global, F16, r.w, 0, r.u) }, "StNarrow of u32 as f16"},
		{here(), func(b *Builder, r *regs) { b.Atom(Global, "", "cas", r.w, 0, r.u) }, "cas of 1 values, not 2"},
		{here(), func(b *Builder, r *regs) { b.Red(Global, "", "add", r.w, 0) }, "add of 0 values, not 1"},
		{here(), func(b *Builder, r *regs) { b.Shared("s", 3, 4) }, "aligned to 3"},
		{here(), func(b *Builder, r *regs) { b.Const("s", 4, nil) }, "constant memory s of 0 bytes"},
		{here(), func(b *Builder, r *regs) { b.Tid(3) }, "dimension 3 of tid"},
		{here(), func(b *Builder, r *regs) { b.Special("%nothing") }, `no special register "%nothing"`},
		{here(), func(b *Builder, r *regs) { b.Under(r.u, b.Ret) }, "operand of type u32 where pred"},
		{here(), func(b *Builder, r *regs) { b.Under(r.p, func() { b.Label("L9") }) }, "a label under a guard"},
		{here(), func(b *Builder, r *regs) { b.WarpReduce("mul", r.f) }, `no reduction "mul"`},
		{here(), func(b *Builder, r *regs) { b.Shfl("idx", r.w, 0) }, "where 32 bits are wanted"},
		{here(), func(b *Builder, r *regs) { b.Emit("ret", 5) }, "use Imm for numbers"},
		{here(), func(b *Builder, r *regs) { b.Ldmatrix(3, false, r.u, 0) }, "Ldmatrix of 3 matrices"},
		{here(), func(b *Builder, r *regs) { b.Mma(F32, r.four, r.four, r.pair, r.four) }, "mma of f32"},
		{here(), func(b *Builder, r *regs) { b.Wgmma(F16, 12, r.four, r.four, r.w, r.p) }, "wgmma n12"},
	} {
		b := New("k", SM90a)
		c.call(b, testRegs(b))
		k, err := b.Kernel()
		if k != nil || err == nil {
			t.Errorf("line %d: want %q, no mistake was noted", c.line, c.want)
			continue
		}
		if want := fmt.Sprintf("builder_test.go:%d: ", c.line); !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("line %d: want %q, got %v", c.line, c.want, err)
		}
	}
}

// Mistakes come back together, up to the number kept.
func TestMistakesAccumulate(t *testing.T) {
	b := New("bad", SM80)
	for range 50 {
		b.Errorf("wrong")
	}
	_, err := b.Kernel()
	if err == nil || !strings.HasPrefix(err.Error(), "ptx: kernel bad: builder_test.go:") || strings.Count(err.Error(), "wrong") != maxErrors {
		t.Errorf("%v", err)
	}
}

// Kernel ends the kernel unless it has just ended.
func TestKernelEnds(t *testing.T) {
	for _, c := range []struct {
		call func(b *Builder, p Reg)
		want string
	}{
		{func(b *Builder, p Reg) {}, "ret;"},
		{func(b *Builder, p Reg) { b.Ret() }, "ret;"},
		{func(b *Builder, p Reg) { b.Under(p, b.Ret) }, "@%p1 ret; ret;"},
		{func(b *Builder, p Reg) { b.Ret(); b.Label("L") }, "ret; L: ret;"},
	} {
		b := New("k", SM80)
		c.call(b, b.Reg(Pred))
		k, err := b.Kernel()
		if err != nil {
			t.Fatal(err)
		}
		if got := bodyText(k); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestParamOffsets(t *testing.T) {
	k := Kernel{Params: []Param{{Type: U32}, {Type: U64}, {Type: B8, Count: 3}, {Type: F32}, {Type: B8, Count: 64, Align: 64}, {Type: U16}}}
	off, size := k.ParamOffsets()
	if got := fmt.Sprint(off, size); got != "[0 8 16 20 64 128] 130" {
		t.Error(got)
	}
}

func TestHash(t *testing.T) {
	m := &Module{Target: SM80, Kernels: []*Kernel{{Name: "k", Body: []Instr{{Op: "ret", Where: "a.go:1"}}}}}
	h := m.Hash()
	if m.Kernels[0].Body[0].Where = "b.go:2"; m.Hash() != h || len(h) != 64 {
		t.Error("the hash is not that of the text")
	}
	if m.Target = SM90a; m.Hash() == h {
		t.Error("the hash does not depend on the target")
	}
}

func TestTypes(t *testing.T) {
	for typ := NoType + 1; typ < numTypes; typ++ {
		if got, ok := ParseType(typ.String()); !ok || got != typ {
			t.Errorf("%v reads as %v", typ, got)
		}
		if typ != Pred && typ.Bits().Bytes() != typ.Bytes() {
			t.Errorf("%v has %d bytes, its bits %d", typ, typ.Bytes(), typ.Bits().Bytes())
		}
	}
	if _, ok := ParseType(""); ok {
		t.Error("a type without a name")
	}
}
