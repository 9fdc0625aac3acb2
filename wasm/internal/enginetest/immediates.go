package enginetest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/sandwarp/sandwarp/wasm"
	"github.com/sandwarp/sandwarp/wasm/internal/binary"
	"github.com/sandwarp/sandwarp/wasm/internal/meter"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// Immediates checks that an engine takes no immediate for an instruction, in live code
// and in dead code, which engines skip: the immediates' bytes would end blocks (0x0b),
// leave them, or make endless loops. What an engine reads as code and the metering pass
// does not would run without fuel.
func Immediates(t *testing.T, e wasm.Engine) {
	end5 := []byte{0x8b, 0x8b, 0x8b, 0x8b, 0x0b} // 0xb162c58b
	loop := Cat(End, Loop(None, Br(0)), Unreachable)
	filled := func(n int) []byte { return append(loop, make([]byte, n-len(loop))...) }
	lanes := []byte{0x0b, 0x03, 0x0c, 0x00, 0x0b, 0x0f, 0x00, 0x0b, 0x0c, 0x00, 0x0b, 0x1a, 0x0b, 0x02, 0x03, 0x0b}
	vector := Cat(Op(0xfd, 12), filled(16))
	dead := map[string][]byte{}
	for op := byte(0x28); op <= 0x3e; op++ {
		dead[fmt.Sprintf("%#x", op)] = Cat([]byte{op, 0}, end5)
	}
	for _, sub := range []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 92, 93} {
		dead[fmt.Sprintf("0xfd %d", sub)] = Cat(Op(0xfd, sub, 0), end5)
	}
	for sub := byte(84); sub <= 91; sub++ {
		dead[fmt.Sprintf("0xfd %d", sub)] = Cat(Op(0xfd, sub, 0), end5, Op(1))
	}
	const far = 12 // functions, types, globals and locals up to 0x0c
	for name, code := range map[string][]byte{
		"call": Call(11), "call.indirect": CallIndirect(11), "global.get": GlobalGet(11), "global.set": GlobalSet(12), "local.tee": LocalTee(11),
		"ref.func": Op(0xd2, 11), "ref.null": Op(0xd0, 0x70), "select": Op(0x1c, 1, 0x70), "table.get": Op(0x25, 0), "table.set": Op(0x26, 0),
		"br_table": BrTable(0, 0, 0), "memory.init": Op(0xfc, 8, 11, 0), "data.drop": Op(0xfc, 9, 11), "table.init": Op(0xfc, 12, 0, 0),
		"memory.grow": MemoryGrow, "block": Cat(Op(0x02, 11), Unreachable, End), "memory.copy": MemoryCopy, "memory.fill": MemoryFill,
	} {
		dead[name] = code
	}
	live := map[string][]byte{
		"i32.const": Cat(Op(0x41), end5[:4], Op(0x03), Drop), "i64.const": Cat(Op(0x42, 0x8b, 0x8c, 0x80, 0x8b, 0x8b, 0x8c, 0x80, 0x8c, 0x0b), Drop),
		"f32.const": Cat(Op(0x43), loop[:4], Drop), "f64.const": Cat(Op(0x44), filled(8), Drop), "v128.const": Cat(vector, Drop),
		"shuffle": Cat(vector, vector, Op(0xfd, 13), lanes, Drop), "lane": Cat(vector, Op(0xfd, 21, 11), Drop), "replace": Cat(vector, I32Const(1), Op(0xfd, 23, 12), Drop),
		"memory.size": Cat(MemorySize, Drop), "br_table": Block(None, Block(None, I32Const(3), BrTable(1, 0, 1, 0))),
	}
	for name, code := range dead {
		alone(t, e, far, name+" in dead code", Block(None, Br(0), code, Unreachable))
	}
	for name, code := range live {
		alone(t, e, far, name, code)
		alone(t, e, far, name+" in dead code", Block(None, Br(0), code, Unreachable))
	}
}

// alone runs code in a function of a module with n of everything: it must come to its
// end, and cost little.
func alone(t *testing.T, e wasm.Engine, n int, name string, code []byte) {
	t.Helper()
	m := &Builder{}
	m.Memory(1, 1)
	m.Table(1, 1)
	for range n + 1 {
		m.Type(nil, nil)
		m.Global(I32, I32Const(0))
		m.Passive([]byte("x"))
		m.Elem(0, m.Func("", nil, nil, nil))
	}
	m.Func("f", nil, []byte{I32}, bytes.Repeat([]byte{I32}, 16), code, I32Const(42))
	s, err := binary.Scan(m.Bytes(), binary.DefaultLimits())
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	r, err := meter.Rewrite(s, meter.Options{Fuel: 1000, StackSlots: 1000, MemoryPages: 1, Elements: 100})
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Compile(t.Context(), r.Bytes, nil, "")
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	defer c.Close()
	in, err := c.NewInstance(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	stack := []uint64{0}
	fuel := in.Global(meter.FuelExport)
	if err := in.Func("f").Call(stack); err != nil || stack[0] != 42 || fuel.Get() < 900 {
		t.Errorf("%s: %v, %d, %d of 1000 units left", name, err, stack[0], fuel.Get())
	}
}
