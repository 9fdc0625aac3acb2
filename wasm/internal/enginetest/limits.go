package enginetest

import (
	"bytes"
	"context"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/wasm"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// AtTheLimits loads and calls filters that are as large in one way as the host allows:
// the engine has no smaller limits, metering included.
func AtTheLimits(t *testing.T, e wasm.Engine) {
	many := bytes.Repeat([]byte{I64}, 1000)
	var ones, gets []byte
	for i := range many {
		ones, gets = append(ones, I64Const(1)...), append(gets, LocalGet(uint32(i))...)
	}
	drops := bytes.Repeat(Drop, len(many))
	answer := Cat(LocalGet(2), ExtendU)
	for name, build := range map[string]func(*Guest){
		"locals": func(g *Guest) {
			fill := Cat(zero, zero, zero, MemoryFill, End)
			g.RawFunc("", g.Type(nil, nil), Cat(U(1), U(49_998), []byte{I32}, fill))
		},
		"parameters and results": func(g *Guest) {
			f := g.Func("", many, many, nil, gets)
			g.With(abi.ExportFilter, ones, Call(f), drops, answer)
		},
		"parameters of a loop": func(g *Guest) {
			loop := Cat(Op(0x03), S(int64(g.Type(many, many))), End)
			g.With(abi.ExportFilter, ones, loop, drops, answer)
		},
		"blocks": func(g *Guest) {
			g.With(abi.ExportFilter, bytes.Repeat(Op(0x02, None), 999), bytes.Repeat(End, 999), answer)
		},
		"globals": func(g *Guest) {
			for range 9_999 { // the allocator has one
				g.Global(I32, zero)
			}
		},
		"table": func(g *Guest) { g.Table(1_000_000, -1) },
		"types": func(g *Guest) {
			for range 9_980 {
				g.Type(nil, nil)
			}
			g.Func("", nil, []byte{I32, I64, F32}, nil, Loop(None, Nop), I32Const(1), I64Const(1), F32Const(1))
		},
	} {
		g := NewGuest(abi.KindFilter, "")
		build(g)
		p, err := wasm.Load(context.Background(), g.Module(), wasm.Options{Engine: e})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := p.OpenSeq(1, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if out, _, _, err := p.Filter(1, []byte("x"), 0); string(out) != "x" || err != nil {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		p.Close()
	}
}
