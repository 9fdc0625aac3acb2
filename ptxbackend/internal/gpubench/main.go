// Command gpubench measures the kernels on the GPU of this machine, each as a share
// of what the device itself can do, measured in the same run: `make gpu-bench`. With
// -verified it writes down which kernel texts have passed which checks on this device:
// `make gpu-check` does so when everything has passed.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/cuda"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/measure"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

func main() {
	verified := flag.String("verified", "", "write the hashes of the kernel texts that were checked to this `file` instead of measuring")
	checks := flag.String("checks", "", "with -verified: `name=file,...`, a check and what SANDWARP_LAUNCHED named while it ran")
	flag.Parse()
	if err := run(*verified, *checks); err != nil {
		fmt.Fprintln(os.Stderr, "gpubench:", err)
		os.Exit(1)
	}
}

func run(verified, checks string) error {
	b, err := open()
	if err != nil {
		return err
	}
	defer b.close()
	if verified != "" {
		return b.writeVerified(verified, checks)
	}
	return b.all()
}

// all measures everything.
func (b *bench) all() error {
	i := b.Dev.Info()
	fmt.Printf("%s, %d multiprocessors, %d MiB, L2 %d MiB, kernels %s\n\n", i.Name, i.SMs, i.Memory>>20, i.L2>>20, b.Target.Arch)
	for _, section := range []func() error{b.limit, b.gemv, b.gemm, b.attention} {
		if err := section(); err != nil {
			return err
		}
	}
	return nil
}

// bench is an open device and what it can do.
type bench struct {
	*measure.Bench
	about  string // of the driver
	limits measure.Limits
}

func open() (*bench, error) {
	drv, err := cuda.Open()
	if err != nil {
		return nil, err
	}
	list, err := drv.Devices()
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the driver lists no device")
	}
	dev, err := drv.Open(0)
	if err != nil {
		return nil, err
	}
	b, err := on(dev, list[0].Target(), driver.About(drv))
	if err != nil {
		dev.Close()
	}
	return b, err
}

// on makes a bench of an open device, which it closes with itself.
func on(dev driver.Device, target ptx.Target, about string) (*bench, error) {
	m, err := measure.New(dev, target)
	if err != nil {
		return nil, err
	}
	return &bench{Bench: m, about: about}, nil
}

func (b *bench) close() {
	b.Close()
	b.Dev.Close()
}

// limit measures the device itself.
func (b *bench) limit() (err error) {
	if b.limits, err = b.Limits(); err != nil {
		return err
	}
	l := b.limits
	fmt.Printf("device copy        %7.0f GB/s (read and written)\nread-only stream   %7.0f GB/s\n", l.Copy/1e9, l.Read/1e9)
	fmt.Printf("mma.sync peak      %7.0f TFLOP/s\nwgmma peak         %7.0f TFLOP/s\n\n", l.Mma/1e12, l.Wgmma/1e12)
	return nil
}
