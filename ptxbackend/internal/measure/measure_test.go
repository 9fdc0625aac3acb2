package measure

import (
	"errors"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver/fake"
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

// TestFailures fails each call in turn: what was taken is given back before the device
// is closed, and where the device is not lost the Bench measures when asked again.
func TestFailures(t *testing.T) {
	var d *fake.Driver
	again := false // after a failure
	syncs := 0     // of what returns errors, which Close does not
	run := func(drv driver.Driver) error {
		dev, err := drv.Open(0)
		if err != nil {
			return err
		}
		b, err := New(dev, ptx.SM90a)
		if err == nil {
			b.rounds, b.Rounds = 1, 1
			if _, err = b.Limits(); err != nil && again {
				if _, second := b.Limits(); second != nil {
					t.Errorf("after %v: %v", err, second)
				}
			}
			syncs = d.Count(fake.Sync)
			b.Close()
		}
		return errors.Join(err, dev.Close())
	}
	wrap := func() *fake.Driver {
		d = fake.Wrap(emu.New(emu.Options{Info: driver.Info{SMs: 1}, Memory: 2 << 20}))
		return d
	}
	for _, code := range []int{driver.CodeInvalidValue, driver.CodeIllegalAddress} {
		again = code == driver.CodeInvalidValue
		err := fake.Walk(wrap, run, []int{code}, 2, func(p fake.Point, err, leaks error) {
			left := d.AtClose()
			left.Devices = 0
			if leaks != nil || left != (fake.Live{}) {
				t.Errorf("%v: %v; left to the device's Close are %+v", p, leaks, left)
			}
			givesBack := slices.Contains([]fake.Op{fake.Free, fake.Unload, fake.CloseStream, fake.CloseEvent, fake.CloseGraph}, p.Op)
			if err == nil && !givesBack && (p.Op != fake.Sync || p.Nth <= syncs) {
				t.Errorf("%v: no error", p)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
