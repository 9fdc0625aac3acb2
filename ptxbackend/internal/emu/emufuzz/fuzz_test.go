package emufuzz

import (
	"strings"
	"testing"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/emu"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

func open(t *testing.T, o emu.Options) driver.Device {
	t.Helper()
	d, err := emu.New(o).Open(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestEmulator compares the emulator with itself, its warps taking turns otherwise,
// and both with the independent computations.
func TestEmulator(t *testing.T) {
	programs := 100
	if testing.Short() {
		programs = 10
	}
	for _, target := range []ptx.Target{ptx.SM80, ptx.SM90a} {
		t.Run(target.Arch, func(t *testing.T) {
			var out strings.Builder
			n, err := Fuzz(open(t, emu.Options{Seed: 1}), open(t, emu.Options{Seed: 2, Workers: 1}), target, programs, 7, &out)
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				t.Errorf("%d differences:\n%s", n, out.String())
			}
		})
	}
}

// liar is a device whose copies to the host have a bit of one byte near the end wrong.
type liar struct{ driver.Device }

type lyingStream struct{ driver.Stream }

func (l liar) NewStream() (driver.Stream, error) {
	s, err := l.Device.NewStream()
	return lyingStream{s}, err
}

func (s lyingStream) CopyOut(dst []byte, src driver.Ptr) error {
	err := s.Stream.CopyOut(dst, src)
	dst[len(dst)-7] ^= 0x10
	return err
}

// TestDifferences: a device that is wrong in one value of each kernel is noticed.
func TestDifferences(t *testing.T) {
	var out strings.Builder
	n, err := Fuzz(open(t, emu.Options{}), liar{open(t, emu.Options{})}, ptx.SM80, 5, 3, &out)
	if err != nil {
		t.Fatal(err)
	}
	if n < 100 || strings.Count(out.String(), "\n") != maxPrinted {
		t.Errorf("%d differences:\n%s", n, out.String())
	}
}
