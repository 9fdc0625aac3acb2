package measure

import (
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/emu"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// TestLimits goes through every measurement on the emulator, whose figures mean
// nothing, and leaves nothing behind.
func TestLimits(t *testing.T) {
	for _, target := range []ptx.Target{ptx.SM80, ptx.SM90a} {
		dev, err := emu.New(emu.Options{Info: driver.Info{SMs: 1}, Memory: 2 << 20}).Open(0)
		if err != nil {
			t.Fatal(err)
		}
		before, _, err := dev.Memory()
		if err != nil {
			t.Fatal(err)
		}
		b, err := New(dev, target)
		if err != nil {
			t.Fatal(err)
		}
		b.rounds, b.Rounds = 2, 1
		l, err := b.Limits()
		if err != nil {
			t.Fatal(err)
		}
		if !(l.Copy > 0 && l.Read > 0 && l.Mma > 0) || (l.Wgmma > 0) != target.Hopper() || l.Matrix() < l.Mma {
			t.Errorf("%s: %+v", target.Arch, l)
		}
		b.Close()
		if after, _, err := dev.Memory(); err != nil || after != before {
			t.Errorf("%s: %d bytes free, %d before: %v", target.Arch, after, before, err)
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}
}
