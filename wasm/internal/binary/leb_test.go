package binary

import (
	"testing"

	"github.com/sandwarp/sandwarp/wasm/wasmtest"
)

func TestLEB(t *testing.T) {
	for _, v := range []int64{0, 1, -1, 63, 64, -64, -65, 1<<31 - 1, -1 << 31} {
		r := &reader{b: wasmtest.S(v), end: len(wasmtest.S(v))}
		if got := r.signed(32); got != v || r.err != nil {
			t.Errorf("%d reads as %d, %v", v, got, r.err)
		}
	}
	for _, v := range []int64{1<<63 - 1, -1 << 63} {
		r := &reader{b: wasmtest.S(v), end: len(wasmtest.S(v))}
		if got := r.signed(64); got != v || r.err != nil {
			t.Errorf("%d reads as %d, %v", v, got, r.err)
		}
	}
	for _, b := range [][]byte{{0x80}, {0x80, 0x80, 0x80, 0x80, 0x80, 0}, {0xff, 0xff, 0xff, 0xff, 0x1f}} {
		if r := (&reader{b: b, end: len(b)}); r.u32() != 0 || r.err == nil {
			t.Errorf("u32 %x accepted", b)
		}
	}
	for _, b := range [][]byte{{0x80}, {0x80, 0x80, 0x80, 0x80, 0x10}, {0xff, 0xff, 0xff, 0xff, 0x40}, {0x80, 0x80, 0x80, 0x80, 0x80, 0}} {
		if r := (&reader{b: b, end: len(b)}); r.signed(32) != 0 || r.err == nil {
			t.Errorf("s32 %x accepted", b)
		}
	}
}
