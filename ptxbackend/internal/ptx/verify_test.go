package ptx

import (
	"strings"
	"testing"
)

func TestVerifyTakesEverything(t *testing.T) {
	for _, target := range []Target{SM80, SM90a} {
		m := everything(t, target)
		if err := Verify(m); err != nil {
			t.Errorf("%v:\n%v", target, err)
		}
		read, err := Parse("text", m.String())
		if err != nil {
			t.Fatal(err)
		}
		if err := Verify(read); err != nil {
			t.Errorf("%v, read:\n%v", target, err)
		}
	}
	m, err := Parse("hand.ptx", strings.Replace(handWritten, "ld.param.v2.u32 {%r1,%r2}, [blob+8];", "ld.param.v2.u32 {%r1,%r2}, [blob+8]; setp.eq.u32 %p2, %r1, 0;", 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(m); err != nil {
		t.Error(err)
	}
}

// prologue declares what the bodies below use.
const prologue = `.extern .shared .align 16 .b8 dyn[];
.const .align 4 .b8 table[8] = {1};
.entry k(.param .u64 p, .param .u32 n, .param .align 4 .b8 blob[12]) .reqntid 128, 1, 1 {
.reg .pred %p<8>; .reg .b16 %h<4>; .reg .b32 %r<48>; .reg .b64 %d<8>; .reg .f32 %f<8>; .reg .u32 %u<4>;
.shared .align 8 .b8 tile[256];
`

// A body passes the verifier, or is refused once, for the reason given.
var verifyCases = []struct {
	target, body, want string
}{
	// Names, modifiers and what has them.
	{"80", "foo.u32 %r1, %r2;", "unknown instruction foo"},
	{"80", "mov.u32 %r1, 1; add.ftz.u32 %r2, %r1, %r1;", "add.ftz has no .u32 there"},
	{"80", "mov.u32 %r1, 1; add.f32.sat %r2, %r1, %r1;", "add.f32 has no .sat there"},
	{"80", "mov.u32 %r1, 1; shr %r2, %r1, 1;", "shr is not complete"},
	{"80", "griddepcontrol.wait;", "needs .target sm_90, the module's is sm_80"},
	{"90", "wgmma.fence.sync.aligned;", "needs .target sm_90a, the module's is sm_90"},
	{"90", "setmaxnreg.inc.sync.aligned.u32 232;", "needs .target sm_90a"},
	{"90a", "setmaxnreg.inc.sync.aligned.u32 232;", ""},
	{"90a", "setmaxnreg.inc.sync.aligned.u32 230;", "230 registers: wanted a multiple of 8"},
	{"80-70", "ld.param.u64 %d1, [p]; ld.global.L2::256B.b32 %r1, [%d1];", "needs .version 7.4, the module's is 7.0"},
	{"80", "ld.param.u64 %d1, [p]; ld.global.L2::256B.b32 %r1, [%d1];", ""},
	{"75-70", "mov.f32 %f1, 1.0; cvt.rn.bf16x2.f32 %r1, %f1, %f1;", "needs .target sm_80"},
	{"80-60", "ret;", "target sm_80 needs .version 7.0, the module says 6.0"},
	{"91", "ret;", `target "sm_91" is not known`},

	// Operands.
	{"80", "mov.u32 %r1, 1; add.u32 %r2, %r1;", "2 operands are too few"},
	{"80", "mov.u32 %r1, 1; neg.s32 %r2, %r1, %r1;", "3 operands are too many"},
	{"80", "mov.u32 %u1, 1; neg.f32 %f1, %u1;", "is of type u32 where f32 is wanted"},
	{"80", "mov.u32 %r1, 1; add.f32 %f1, %r1, %r1; st.shared.f32 [tile], %f1;", ""},
	{"80", "mov.u32 %r1, 1; cvt.u64.u32 %d1, %r1; add.u32 %r2, %d1, %r1;", "is of type b64 where u32 is wanted"},
	{"80", "mov.u32 %r1, 1; add.u32 %p1, %r1, %r1;", "is of type pred where u32 is wanted"},
	{"80", "mov.u32 %r1, 1; @%r1 ret;", "is of type b32 where pred is wanted"},
	{"80", "mov.u32 %r1, 70000; add.u32 5, %r1, %r1;", "the result goes to a register"},
	{"80", "mov.u32 %r1, 4294967296;", "4294967296 does not fit u32"},
	{"80", "mov.u32 %r1, -2147483648; mov.s32 %r1, 4294967295;", ""},
	{"80", "mov.u16 %h1, 65536;", "65536 does not fit u16"},
	{"80", "mov.f32 %f1, 1;", "a number of type u32 where f32 is wanted"},
	{"80", "mov.u32 %r1, 0f3F800000;", "a number of type f32 where u32 is wanted"},
	{"80", "mov.b32 %r1, 0f3F800000;", ""},
	{"80", "mov.b32 %r1, 0d3FF0000000000000;", "a number of type f64 where b32 is wanted"},
	{"80", "mov.u32 %r1, 1; lop3.b32 %r1, %r1, %r1, %r1, 256;", "256 is not among the numbers it takes"},
	{"80", "mov.u32 %r1, 1; fma.rn.f16x2 %r1, %r1, %r1, 0x3C003C00;", "numbers of type f16x2 have to be in registers"},
	{"80", "mov.u32 %r1, %clock64;", "%clock64 is no special register of type u32"},
	{"80", "mov.b64 %d1, {%r1, %h1};", "is of type b16 where b32 is wanted"},
	{"80", "mov.b32 %r1, {%r2, %r3, %r4};", "there is no such packing"},
	{"80", "mov.u32 %r1, nowhere;", "nowhere is no variable of the kernel"},
	{"80", "mov.u32 %r1, dyn; st.shared.u32 [%r1+-4], 1;", "byte -4 of dyn"},
	{"80", "mov.u32 %r1, table;", "the address of table does not fit u32"},
	{"80", "bra nowhere;", `"nowhere" is no label of the kernel`},
	{"80", "setp.eq.u32 %p1, 1, 2; mov.pred %p2, !%p1; and.pred %p2, !%p1, %p2; or.pred %p2, %p2, 1; selp.b32 %r1, 1, 2, !%p1;", ""},
	{"80", "setp.hi.s32 %p1, 1, 2;", "setp.hi has no .s32 there"},

	// Addresses.
	{"80", "ld.param.u32 %r1, [n]; ld.global.u32 %r2, [%r1];", "is of type b32 where u64 is wanted"},
	{"80", "ld.param.u64 %d1, [p]; ld.shared.u32 %r2, [%d1];", "is of type b64 where u32 is wanted"},
	{"80", "ld.param.u64 %d1, [p]; ld.global.v4.u64 {%d1, %d2, %d3, %d4}, [%d1];", "4 values of type u64 are more than 16 bytes"},
	{"80", "ld.param.u64 %d1, [p]; ld.global.v2.u32 {%r1, %r2, %r3}, [%d1];", "a list of 2 registers is wanted"},
	{"80", "ld.param.u64 %d1, [p]; ld.global.u32 {%r1, %r2}, [%d1];", "a list of registers of one size is wanted"},
	{"80", "ld.param.u64 %d1, [p]; ld.global.u8 %r1, [%d1]; st.global.u8 [%d1], %r1;", ""},
	{"80", "ld.param.u64 %d1, [p+8];", "bytes 8 to 16 of p, which has 8"},
	{"80", "ld.param.u32 %r1, [blob+8]; ld.param.v2.u32 {%r1, %r2}, [blob];", "a multiple of 8 is blob+0, aligned to 4"},
	{"80", "ld.param.u32 %r1, [blob+12];", "bytes 12 to 16 of blob, which has 12"},
	{"80", "ld.param.u32 %r1, [q];", "q is no parameter"},
	{"80", "st.shared.u32 [tile+252], 1; st.shared.u32 [tile+256], 1;", "bytes 256 to 260 of tile"},
	{"80", "mov.u32 %r1, tile; add.u32 %r2, %r1, 254; st.shared.u32 [%r2+-4], 1;", "a multiple of 4 is tile+250"},
	{"80", "mov.u32 %r1, tile; ld.shared.v4.b32 {%r2, %r3, %r4, %r5}, [%r1];", "a multiple of 16 is tile+0, aligned to 8"},
	{"80", "mov.u32 %r1, dyn; add.s32 %r1, %r1, 2; ld.shared.v4.b32 {%r2, %r3, %r4, %r5}, [%r1+-2];", ""},
	{"80", "mov.u32 %r1, dyn; ld.shared.v4.b32 {%r2, %r3, %r4, %r5}, [%r1+8];", "a multiple of 16 is dyn+8"},
	{"80", "ld.const.u32 %r1, [table+4]; ld.const.u32 %r1, [tile];", "tile is no variable in const memory"},

	// Registers that are read and never written.
	{"80", "add.u32 %r1, %r2, 1;", "%r15 is read and never written before"},
	{"80", "bra B; A: add.u32 %r1, %r2, 1; ret; B: mov.u32 %r2, 0; bra A;", ""},
	{"80", "A: add.u32 %r1, %r2, 1; mov.u32 %r2, %r1; ld.param.u32 %r3, [n]; setp.eq.u32 %p1, %r3, 0; @%p1 bra A;", ""},
	{"80", "L: ret;", "nothing goes to label L"},
	{"80", "bra L; L: L: ret;", "label L is placed twice"},

	// Barriers.
	{"80", "bar.sync 16;", "barrier 16: there are 0 to 15"},
	{"80", "bar.sync 1, 100;", "100 threads at a barrier"},
	{"80", "bar.sync 1, 256;", "256 threads at a barrier"},
	{"80", "bar.sync 1, 64;", ""},
	{"80", "bar.arrive 1, 64; bar.sync 2, 64;", "no bar.sync waits at barrier 1"},
	{"80", "bar.arrive 1, 64; mov.u32 %r1, 1; bar.sync %r1, 64;", ""},
	{"80", "mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 0; @%p1 bar.sync 0;", "all threads of a block execute it together, and its guard depends on the thread"},
	{"80", "mov.u32 %r1, %tid.x; and.b32 %r1, %r1, 7; setp.eq.u32 %p1, %r1, 0; @%p1 bra L; bar.sync 0; L: ret;", "the branch at x:8 (@%p2 bra L;) depends on the thread"},
	{"80", "mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 0; @%p1 bra L; st.shared.u32 [tile], %r1; L: bar.sync 0;", ""},
	{"80", "mov.u32 %r1, %tid.x; shr.u32 %r1, %r1, 5; setp.eq.u32 %p1, %r1, 0; @%p1 bra L; bar.sync 1, 64; L: ret;", ""},
	{"80", "mov.u32 %r1, %tid.x; shr.u32 %r1, %r1, 5; setp.eq.u32 %p1, %r1, 0; @%p1 bra L; bar.sync 1; L: ret;", "depends on the warp"},
	{"80", "mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 32; @!%p1 bra L; bar.warp.sync 4294967295; L: ret;", ""},
	{"80", "mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 31; @!%p1 bra L; bar.warp.sync 4294967295; L: ret;", "all threads of a warp execute it together"},
	{"80", "mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 31; @!%p1 bra L; bar.warp.sync 15; L: ret;", ""},
	{"80", "mov.u32 %r1, %ctaid.x; setp.eq.u32 %p1, %r1, 0; @%p1 bra L; bar.sync 0; L: ret;", ""},
	{"80", "mov.u32 %r1, %tid.x; L: add.u32 %r1, %r1, 128; bar.sync 0; setp.lt.u32 %p1, %r1, 1000; @%p1 bra L;", "depends on the thread"},
	{"80", "mov.u32 %r1, 0; L: add.u32 %r1, %r1, 128; bar.sync 0; setp.lt.u32 %p1, %r1, 1000; @%p1 bra L;", ""},
	{"80", "mov.u32 %r1, %laneid; setp.eq.u32 %p1, %r1, 0; vote.sync.any.pred %p2, %p1, 4294967295; @%p2 bra L; bar.sync 0; L: ret;", ""},
	{"80", "mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 5; vote.sync.any.pred %p2, %p1, 4294967295; @%p2 bra L; bar.sync 0; L: ret;", "depends on the warp"},
	{"80", "mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 5; @%p1 ret; bar.sync 0;", "depends on the thread"},
	{"80", "mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 5; @!%p1 bra L; trap; L: bar.sync 0;", ""},
	{"80", "mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 5; @!%p1 bra L; shfl.sync.bfly.b32 %r2, %r1, 1, 31, 4294967295; L: ret;", "all threads of a warp"},
	// A value set in a branch of some threads differs after it.
	{"80", "mov.u32 %r1, %tid.x; mov.u32 %r2, 0; setp.eq.u32 %p1, %r1, 5; @!%p1 bra L; mov.u32 %r2, 1; L: setp.eq.u32 %p2, %r2, 0; @%p2 bra M; bar.sync 0; M: ret;", "depends on the thread"},

	// The grid before.
	{"90a", "ld.param.u32 %r1, [n]; setp.eq.u32 %p1, %r1, 0; @%p1 bra L; griddepcontrol.wait; L: ret;", "a block can end here without the griddepcontrol.wait"},
	{"90a", "mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 32; @!%p1 bra L; griddepcontrol.wait; L: ret;", ""},
	{"90a", "ld.param.u32 %r1, [n]; griddepcontrol.wait; setp.eq.u32 %p1, %r1, 0; @%p1 ret; bar.sync 0;", ""},

	// Asynchronous copies.
	{"80", "ld.param.u64 %d1, [p]; mov.u32 %r1, dyn; cp.async.cg.shared.global [%r1], [%d1], 8;", "8 is not among the numbers"},
	{"80", "ld.param.u64 %d1, [p]; mov.u32 %r1, dyn; cp.async.cg.shared.global [%r1+8], [%d1], 16; cp.async.wait_all;", "a multiple of 16 is dyn+8"},
	{"80", "ld.param.u64 %d1, [p]; mov.u32 %r1, dyn; cp.async.cg.shared.global [%r1], [%d1], 16; cp.async.wait_group 0;", "no cp.async.commit_group"},
	{"80", "ld.param.u64 %d1, [p]; mov.u32 %r1, dyn; cp.async.commit_group; cp.async.wait_group 0; cp.async.cg.shared.global [%r1], [%d1], 16; cp.async.commit_group;", "no cp.async.wait_group"},
	{"80", "ld.param.u64 %d1, [p]; mov.u32 %r1, dyn; L: cp.async.wait_group 0; cp.async.cg.shared.global [%r1], [%d1], 16; cp.async.commit_group; ld.param.u32 %r2, [n]; setp.eq.u32 %p1, %r2, 0; @%p1 bra L;", ""},
	{"90a", "ld.param.u64 %d1, [p]; mov.u32 %r1, dyn; cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%d1], 24, [%r1];", "24 bytes: wanted a multiple of 16"},
	{"90a", "ld.param.u64 %d1, [p]; mov.u32 %r1, dyn; cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%d1], 32, [%r1];", "no mbarrier.init makes"},
	{"90a", "ld.param.u64 %d1, [p]; mov.u32 %r1, dyn; mbarrier.init.shared.b64 [%r1], 1; cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1+16], [%d1], 32, [%r1];", "no fence"},
	{"90a", "mov.u32 %r1, dyn; mbarrier.arrive.shared.b64 _, [%r1];", "no mbarrier.init makes it"},
}

func TestVerify(t *testing.T) {
	for _, c := range verifyCases {
		arch, version := c.target, "8.0"
		if a, v, ok := strings.Cut(c.target, "-"); ok {
			arch, version = a, v[:1]+"."+v[1:]
		}
		checkBody(t, arch, version, c.body, c.want)
	}
}

func checkBody(t *testing.T, arch, version, body, want string) {
	t.Helper()
	text := ".version " + version + "\n.target sm_" + arch + "\n" + prologue + body + "\n}\n"
	m, err := Parse("x", text)
	if err != nil {
		t.Errorf("%s: %v", body, err)
		return
	}
	err = Verify(m)
	switch {
	case want == "" && err != nil:
		t.Errorf("%s:\n%v", body, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: error %v, want %q", body, err, want)
	case want != "" && strings.Count(err.Error(), "ptx: ") != 1:
		t.Errorf("%s: more than %q:\n%v", body, want, err)
	}
}
