package drivertest_test

import (
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver/drivertest"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver/fake"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/emu"
)

// TestEmulator tests the emulated GPU of both generations, as it is and wrapped.
func TestEmulator(t *testing.T) {
	for _, major := range []int{8, 9} {
		opt := emu.Options{Info: driver.Info{Major: major}}
		t.Run(opt.Info.Arch(), func(t *testing.T) { drivertest.Run(t, emu.New(opt), drivertest.Options{}) })
		t.Run(opt.Info.Arch()+" wrapped", func(t *testing.T) {
			d := fake.Wrap(emu.New(opt))
			drivertest.Run(t, d, drivertest.Options{})
			if err := d.Leaks(); err != nil {
				t.Error(err)
			}
		})
	}
}
