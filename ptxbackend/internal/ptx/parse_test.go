package ptx

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// everything is a module that uses all of the Builder.
func everything(t testing.TB, target Target) *Module {
	t.Helper()
	b := New("all", target)
	b.Threads(128, 2)
	p, n, a := b.Param(U64, "p"), b.Param(U32, "n"), b.Param(F32, "a")
	table := b.Const("table", 4, []byte{1, 2, 255, 0})
	sh := b.Shared("tile", 16, 4096)
	dyn := b.DynamicShared("dyn", 128)
	i := b.Mad(b.Ctaid(0), b.Ntid(0), b.Tid(0))
	w := b.Shr(i, 5)
	f := b.Ld(Global, F32, b.MadWide(i, 4, p), -4, NC, NoAllocate, Prefetch)
	b.If(b.Setp(Lt, i, n), func() { b.Set(f, b.Mul(f, a)) }, func() { b.AddTo(f, 1.5) })
	x := b.LdV(Shared, B32, 4, sh, 16)
	h := b.CvtPair(F16x2, f, b.Neg(b.Abs(f)))
	h = b.Mad(h, b.Var(F16x2, 0x3C003C00), h)
	b.St(Shared, dyn, 0, h, Volatile)
	b.StNarrow(Global, U8, p, 3, w)
	b.StNarrow(Global, U16, p, 6, w)
	s := b.Var(S32, -5)
	s = b.Dp4a(w, w, b.Max(b.Min(s, 100), b.Sub(s, -7)))
	b.For(0, n, 4, func(i Reg) { b.MadTo(s, s, 3, -1) })
	u := b.Prmt(b.Lop3(w, x[0], 0xF0F0F0F0, LutA&LutB|LutC), 0, 0x5410)
	u = b.As(U32, b.Xor(b.Not(b.Shl(u, 3)), b.Or(u, b.And(u, 7))))
	u = b.Add(u, b.Add(b.Popc(u), b.Add(b.Clz(u), b.Bfe(u, 4, b.Rem(w, 3)))))
	lo, hi := b.Unpack(U32, b.Pack(U64, u, b.MulHi(u, b.Div(u, 3))))
	q := b.And(b.Any(b.Setp(Ne, f, 0)), b.Not(b.All(b.Setp(Eq, lo, hi))))
	g := b.WarpReduce("add", b.Selp(f, 2.0, q))
	g = b.Add(b.Rcp(g), b.Add(b.Rsqrt(g), b.Add(b.Sqrt(g), b.Add(b.Ex2(g), b.Add(b.Lg2(g), b.Add(b.Sin(g), b.Cos(g)))))))
	b.Under(q, func() { b.St(Global, p, 8, g, Release) })
	b.Unless(q, func() { b.St(Global, p, 8, b.Ballot(q)) })
	b.Red(Global, "", "add", p, 16, g)
	c := b.Atom(Global, "acq_rel", "cas", p, 20, u, w)
	b.Atom(Shared, "", "add", sh, 0, c)
	b.St(Global, p, 24, b.Ld(Const, U32, table, 0))
	b.CpAsync(sh, 16, p, 32)
	b.CpAsync(sh, 32, p, 48, w)
	b.CpAsyncCommit()
	b.CpAsyncWait(0)
	b.Fence("gpu")
	b.WarpSync()
	b.Bar()
	b.BarArrive(1, 128)
	b.BarN(1, 128)
	d := make([]Reg, 4)
	for j := range d {
		d[j] = b.Var(F32, 0.0)
	}
	b.Mma(F16, d, b.Ldmatrix(4, true, sh, 64), b.Ldmatrix(2, false, sh, 0), d)
	b.StV(Global, p, 64, d, CacheGlobal)
	b.LdTo(d, Global, p, 64)
	b.LdTo(d[:1], Global, p, 64, Acquire)
	b.GridWait()
	b.GridLaunch()
	if target.Hopper() {
		hopper(b, p, sh, w)
	}
	b.If(b.Setp(Gt, g, 1e9), b.Trap)
	b.Ret()
	k, err := b.Kernel()
	if err != nil {
		t.Fatal(err)
	}
	other := New("other", target)
	other.DynamicShared("dyn", 128)
	k2, err := other.Kernel()
	if err != nil {
		t.Fatal(err)
	}
	return &Module{Target: target, Kernels: []*Kernel{k, k2}}
}

func hopper(b *Builder, p, sh, w Reg) {
	leader := b.Setp(Eq, w, 0)
	b.Under(leader, func() {
		b.MbarInit(sh, 0, 1)
		b.FenceMbarInit()
	})
	b.Bar()
	b.Under(leader, func() {
		b.MbarExpect(sh, 0, 512)
		b.CpAsyncBulk(sh, 128, p, 0, 512, sh, 0)
	})
	b.MbarWait(sh, 0, b.Var(U32, 0))
	b.FenceAsync()
	desc := b.Var(U64, uint64(1)<<62|8)
	d := b.Regs(F32, 16)
	for _, r := range d {
		b.Set(r, 0.0)
	}
	x := b.Regs(B32, 4)
	for _, r := range x {
		b.Set(r, 0)
	}
	b.SetMaxReg(232, true)
	b.WgmmaFence()
	b.Wgmma(F16, 32, d, x, desc, b.Setp(Ne, w, w))
	b.Wgmma(BF16, 32, d, []Reg{desc}, desc, b.Setp(Eq, w, w))
	b.WgmmaCommit()
	b.WgmmaWait(0)
	b.MbarArrive(sh, 0)
	b.StV(Global, p, 128, d[:4])
}

// What is printed and read is printed the same.
func TestRoundTrip(t *testing.T) {
	for _, target := range []Target{SM80, SM90a} {
		text := everything(t, target).String()
		m, err := Parse("all.ptx", text)
		if err != nil {
			t.Fatal(err)
		}
		same(t, text, m.String())
		if m.Target != target || len(m.Kernels) != 2 || m.Kernels[0].SharedBytes() != 4096 {
			t.Errorf("%v: target %v, %d kernels", target, m.Target, len(m.Kernels))
		}
		for _, k := range m.Kernels {
			if v := k.Vars; len(v) == 0 || v[len(v)-1].Name == "" {
				t.Errorf("kernel %s lost its variables: %v", k.Name, v)
			}
		}
	}
}

func same(t testing.TB, want, got string) {
	t.Helper()
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		if i >= len(w) || i >= len(g) || w[i] != g[i] {
			t.Fatalf("line %d: %q, want %q", i+1, at(g, i), at(w, i))
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "<end>"
}

const handWritten = `
// as people write it
.version 7.8 .target sm_80
.address_size 64
.const .align 4 .f32 half[2] = { 0.5, -1.5e0 };
.const .u16 one = 0xFFFF; /* a
   comment over lines */ .extern .shared .align 16 .b8 dyn[];
.visible .entry first(.param .u64 .ptr .global .align 16 p, .param .align 16 .b8 blob[64])
.maxntid 256, 1, 1
.minnctapersm 2
{
	.reg .pred %p<3>, q;
	.reg .f32 %f<4>; .reg .b32 %r<10>, %r12;
	.reg .b64 %rd<3>; .reg .f64 %fd1;
	.shared .f32 tile[4][8];
	ld.param.u64 %rd1, [p];
	ld.param.v2.u32 {%r1,%r2}, [blob+8];
	mov.u32 %r3, %tid.x;
$loop:	setp.lt.u32 %p1, %r3, 0x10;
	@!%p1 bra done;
	mov.f32 %f1, 1.0; mov.f64 %fd1, 0d3FF0000000000000; mov.f32 %f2, 0f3F800000;
	add.s32 %r12, %r3, -1;
	and.b32 %r4, %r3, 4294967295U;
	st.shared.f32 [tile + 4], %f1;
	mov.b32 %r5, dyn; add.u32 %r5, %r5, 16;
	ld.shared.b32 %r6, [ %r5 + -4 ];
	ld.shared.b32 %r6, [%r5-8];
	ld.const.f32 %f3, [half+4];
	and.pred q, %p1, !%p2;
	@q bra $loop;
done:
	ret;
}
.entry second { .reg .b32 a; mov.b32 a, dyn; ret; }
.entry third() { ret; }
`

func TestParseHandWritten(t *testing.T) {
	m, err := Parse("hand.ptx", handWritten)
	if err != nil {
		t.Fatal(err)
	}
	k := m.Kernels[0]
	if k.Threads != 0 || k.MaxThreads != 256 || k.MinCTAs != 2 || k.SharedBytes() != 128 {
		t.Errorf("%d threads, at most %d, %d blocks, %d bytes", k.Threads, k.MaxThreads, k.MinCTAs, k.SharedBytes())
	}
	if off, size := k.ParamOffsets(); size != 80 || off[1] != 16 {
		t.Errorf("parameters at %v, %d bytes", off, size)
	}
	if v := k.Vars[0]; string(v.Init) != "\x00\x00\x00\x3f\x00\x00\xc0\xbf" {
		t.Errorf("values % x", v.Init)
	}
	if in := k.Body[2]; in.Op != "mov.u32" || in.Where != "hand.ptx:18" || in.Args[1].Sym != "%tid.x" {
		t.Errorf("%+v", in)
	}
	if in := k.Body[9]; in.Args[2].Imm != ^uint64(0) || in.Args[2].Type != S32 {
		t.Errorf("%+v", in)
	}
	if vars := m.Kernels[1].Vars; len(vars) != 1 || vars[0].Name != "dyn" || len(m.Kernels[2].Vars) != 0 {
		t.Errorf("the variables of the second kernel are %v", vars)
	}
	text := m.String()
	again, err := Parse("again.ptx", text)
	if err != nil {
		t.Fatal(err)
	}
	same(t, text, again.String())
}

func TestParseErrors(t *testing.T) {
	const head = ".version 8.0\n.target sm_90a\n"
	in := func(body string) string { return head + ".entry k() {\n" + body + "\n}" }
	for _, c := range []struct{ text, want string }{
		{"", "x:1:1: expected .version, not the end"},
		{".version 8", "x:1:10: expected a version like 8.0"},
		{".version 8.0 .target tpu", "expected an architecture like sm_80"},
		{head + ".func f() { }", "x:3:1: .func is not in the subset"},
		{head + "/* no end", "x:3:1: a comment begins here"},
		{head + ".entry k() {", "x:3:13: expected an instruction, a label, a declaration or '}', not the end"},
		{head + ".shared .b8 x[99999999];", "the length of an array is 99999999, not within"},
		{head + ".shared .b8 x[1024][1024][1024];", "elements, more than"},
		{head + ".const .b8 x[2] = {1, 2, 3};", "x:3:26: more values than"},
		{head + ".const .b8 x[70000];", "not within 1 to 65536"},
		{head + ".extern .shared .b8 x[4];", "expected []"},
		{head + ".entry k(.param .b8 p[32760], .param .u64 q) { }", "x:3:31: the parameters have 32768 bytes"},
		{head + ".entry k() .reqntid 8, 8 { }", "x:3:24: blocks have one dimension"},
		{head + ".entry k() .reqntid 2048 { }", "not within 1 to 1024"},
		{in("\t.reg .b32 %r<99999999>;"), "x:4:15: a number of registers is 99999999"},
		{in(".reg .b32 %r<1000000>, %q<1000000>;"), "x:4:24: more than 1048576 registers"},
		{in(".reg .b32 %r<4>, %r3;"), "x:4:18: register %r3 is declared twice"},
		{in(".reg .b32 %r3, %r<4>;"), "register %r3 is declared twice"},
		{in(".reg .b8 x;"), "no registers of 8 bits"},
		{in("{ ret; }"), "x:4:1: scopes within a kernel"},
		{in("add.s32 %r1, %r2, 1;"), `x:4:9: "%r1" is neither a declared register`},
		{in("@p ret;"), `x:4:2: expected a predicate, not "p"`},
		{in("bra L1\nret;"), `x:5:1: expected ';' in an instruction, not "ret"`},
		{in("bra ;;"), "x:4:6: expected an instruction, a label"},
		{in("bra L1,;"), `x:4:8: expected an operand, not ";"`},
		{in(".reg .b32 a; mov.b32 a, 5x;"), `"5x" is no number`},
		{in(".reg .b32 a; mov.b32 a, 1.5;"), `"1.5" is no number of type b32`},
		{in(".reg .b32 a; mov.b32 a, 99999999999999999999;"), "is no number"},
		{in(".reg .b32 a; ld.shared.b32 a, [a+a];"), `expected an offset, a number, not "a"`},
		{in(".reg .b32 a; ld.shared.b32 a, [5];"), "expected an operand"},
		{in(".reg .b32 a; ld.shared.b32 {a, {a}}, [a];"), "expected a register"},
		{in("ret # 5;"), "x:4:5: unexpected character '#'"},
	} {
		m, err := Parse("x", c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.text, err, c.want)
		}
		if m != nil {
			t.Errorf("%q: a module beside the error", c.text)
		}
	}
	if _, err := Parse("x", strings.Repeat(" ", maxText+1)); err == nil {
		t.Error("a text too long was read")
	}
}

// A short text cannot make the parser allocate much.
func TestParseBounds(t *testing.T) {
	const head = ".version 8.0\n.target sm_90a\n"
	for _, c := range []struct{ text, want string }{
		{strings.Repeat(".entry k() { .reg .b32 %r<1000000>; }\n", 5), "more than 4194304 registers in all kernels"},
		{strings.Repeat(".entry k() { }", maxKernels+1), "more than 16384 kernels"},
		{".entry k() { " + strings.Repeat("ret;", maxInstrs+1) + "}", "more than 1048576 instructions"},
		{".entry k() { .reg .b32 a; " + strings.Repeat("f {"+strings.Repeat("a,", 255)+"a};", 1<<22/256), "operands in all kernels"},
		{".entry k() { f " + strings.Repeat("1,", 20) + "1; }", "more than 16 operands"},
	} {
		if _, err := Parse("x", head+c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

// Foreign text is read or refused; what is read prints as text that reads the same,
// and can be verified.
func FuzzParse(f *testing.F) {
	f.Add(handWritten)
	f.Add(everything(f, SM80).String())
	f.Add(everything(f, SM90a).String())
	for _, c := range verifyCases {
		f.Add(".version 8.0\n.target sm_90a\n" + prologue + c.body + "\n}\n")
	}
	files, _ := filepath.Glob("../kernels/testdata/*.ptx")
	for _, name := range files {
		if text, err := os.ReadFile(name); err == nil {
			f.Add(string(text))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse("fuzz", text)
		if err != nil {
			return
		}
		once := m.String()
		again, err := Parse("again", once)
		if err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		same(t, once, again.String())
		first, second := Verify(m), Verify(again) // printed registers are bits, which pass for more
		if first == nil && second != nil {
			t.Fatalf("what passed is refused when printed: %v\n%s", second, once)
		}
	})
}
