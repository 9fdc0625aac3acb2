package enginetest

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/wasm"
	scan "github.com/sandwarp/sandwarp/wasm/internal/binary"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// Padded runs a plugin, and the same with numbers in its code in longer forms than they
// need, which the specification allows: an engine that reads one of them as something
// else would do something else. It returns the number of calls.
func Padded(t *testing.T, g Example, e wasm.Engine) int {
	t.Helper()
	long := g
	long.Module = padNumbers(t, g.Module)
	one, two := transcript(t, g, g.Configs[0], e), transcript(t, long, g.Configs[0], e)
	if len(long.Module) <= len(g.Module) || !slices.Equal(one, two) {
		t.Errorf("%s of %d bytes does something else in %d", g.Name, len(g.Module), len(long.Module))
	}
	return len(one)
}

// padNumbers writes the last number of about half of the instructions with one in a
// longer form.
func padNumbers(t *testing.T, module []byte) []byte {
	t.Helper()
	m, err := scan.Scan(module, scan.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 7))
	var code [][]byte
	s := m.Sections[10]
	_, n := binary.Uvarint(module[s.Start:])
	at := s.Start + n
	for i := range m.Bodies {
		b := &m.Bodies[i]
		_, n := binary.Uvarint(module[at:])
		body := slices.Clone(module[at+n : b.Start]) // the locals
		list := m.Instructions(b)
		for in, ok := list.Next(); ok; in, ok = list.Next() {
			text := module[in.Start:in.End]
			if signed, has := lastNumber(&in); has && r.IntN(2) == 0 {
				text = longer(text, signed)
			}
			body = append(body, text...)
		}
		code = append(code, append(U(uint64(len(body))), body...))
		at = b.End
	}
	head := 8
	for { // to the section's id
		size, n := binary.Uvarint(module[head+1:])
		if head+1+n == s.Start {
			break
		}
		head += 1 + n + int(size)
	}
	return Cat(module[:head], Section(10, Vec(code...)), module[s.End:])
}

// lastNumber says whether an instruction ends with a number of up to 32 bits, and
// whether that has a sign.
func lastNumber(in *scan.Instr) (signed, has bool) {
	switch op := in.Op; {
	case op == scan.OpI32Const:
		return true, in.End-in.Start < 6
	case op == scan.OpI64Const:
		return true, in.End-in.Start < 6 // it may have more
	case op >= 0x28 && op <= 0x3e, op >= scan.OpLocalGet && op <= scan.OpTableSet, op == scan.OpBr, op == scan.OpBrIf,
		op == scan.OpCall, op == scan.OpCallIndirect, op == scan.OpRefFunc, op == scan.OpBrTable:
		return false, true
	case op == scan.OpBlock || op == scan.OpLoop || op == scan.OpIf:
		return true, in.Block >= 0
	case op == scan.OpVector:
		return false, in.Sub <= 11 || in.Sub == 92 || in.Sub == 93
	}
	return false, false
}

// longer writes the last number of an instruction in a byte more, unless it has five.
func longer(text []byte, signed bool) []byte {
	first := len(text) - 1
	for first > 1 && text[first-1] >= 0x80 && len(text)-first < 5 {
		first--
	}
	last := text[len(text)-1]
	if len(text)-first >= 4 {
		return text
	}
	fill := byte(0)
	if signed && last&0x40 != 0 {
		fill = 0x7f
	}
	return append(append(slices.Clone(text[:len(text)-1]), last|0x80), fill)
}
