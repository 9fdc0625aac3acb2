package wasm

import (
	"context"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// guestModule is a wasmtest.Guest that loads itself.
type guestModule struct {
	Builder
	manifest abi.Manifest
	exports  map[string][]byte // code by export
	locals   map[string][]byte
	section  []byte // manifest section as it is, instead of manifest
	noMemory bool
}

func newGuest(kind abi.Kind, mode abi.Mode) *guestModule {
	return &guestModule{
		manifest: abi.Manifest{Name: "test/" + string(kind), Kind: kind, Mode: mode, Fuel: 1_000_000},
		exports:  map[string][]byte{}, locals: map[string][]byte{},
	}
}

// with sets the code of an export.
func (g *guestModule) with(export string, code ...[]byte) *guestModule {
	g.exports[export] = append([]byte{}, Cat(code...)...)
	return g
}

func (g *guestModule) bytes() []byte {
	w := Guest{Builder: g.Builder, Manifest: g.manifest, Code: g.exports, Locals: g.locals, Section: g.section, NoMemory: g.noMemory}
	return w.Module()
}

// load loads the guest, closed at the test's end.
func (g *guestModule) load(t testing.TB, o Options) *Plugin {
	t.Helper()
	p, err := Load(context.Background(), g.bytes(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// stopClock makes the breaker's clock stand, and returns what moves it.
func stopClock(p *Plugin) func(time.Duration) {
	now := time.Unix(1_000_000, 0)
	p.breaker.now = func() time.Time { return now }
	return func(d time.Duration) { now = now.Add(d) }
}

// Addresses within a frame, for guests written by hand. The window of these
// guests is what sw_frame returned; they find it by the pages there were before.
const (
	rowAction = 56
	rowToken  = 60
)

var (
	framePtr = FramePtr
	rowPtr   = RowPtr
	choose   = Choose
)
