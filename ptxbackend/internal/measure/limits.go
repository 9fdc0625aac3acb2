package measure

import (
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
)

// Limits are what a device itself can do.
type Limits struct {
	Copy  float64 // bytes a second that a copy reads and writes, the better of the driver's and ours
	Read  float64 // bytes a second, reading alone
	Mma   float64 // floating-point operations a second, halves with sums in 32 bits
	Wgmma float64 // likewise; 0 where there is no wgmma
}

// Matrix is the better of the two matrix rates.
func (l Limits) Matrix() float64 { return max(l.Mma, l.Wgmma) }

// streamBytes is many times any cache.
const streamBytes = 2 << 30

// Limits measures the device, with up to 4 GiB of its memory.
func (b *Bench) Limits() (l Limits, err error) {
	defer b.Free()
	available, _, err := b.Dev.Memory()
	if err != nil {
		return l, err
	}
	sms := b.Dev.Info().SMs
	read, write := kernels.Stream{Unroll: 8}, kernels.Stream{Unroll: 4, Copy: true}
	bytes := max(1, min(streamBytes, available/4)/read.Chunk()) * read.Chunk()
	var p [3]driver.Ptr
	for i, n := range []int64{bytes, bytes, int64(sms) * 16 << 10} {
		if p[i], err = b.Alloc(n); err != nil {
			return l, err
		}
	}
	src, dst, words := p[0], p[1], p[2]
	one := func(c kernels.Config, launch driver.Launch) (float64, error) {
		f, err := b.Build(c, 0)
		if err != nil {
			return 0, err
		}
		return b.Time(1, f, func(int) driver.Launch { return launch })
	}
	s, err := one(read, read.Launch(src, dst, words, bytes, 4*sms))
	if err != nil {
		return l, err
	}
	l.Read = float64(bytes) / s
	if s, err = one(write, write.Launch(src, dst, words, bytes, 4*sms)); err != nil {
		return l, err
	}
	l.Copy = 2 * float64(bytes) / s
	if s, err = b.copyTime(dst, src, bytes); err != nil {
		return l, err
	}
	l.Copy = max(l.Copy, 2*float64(bytes)/s)
	for _, c := range []kernels.MatrixPeak{{}, {Wgmma: true}} {
		if c.Wgmma && !b.Target.Hopper() {
			continue
		}
		if s, err = one(c, c.Launch(words, 4*sms, b.rounds)); err != nil {
			return l, err
		}
		if rate := c.Flops(4*sms, b.rounds) / s; c.Wgmma {
			l.Wgmma = rate
		} else {
			l.Mma = rate
		}
	}
	return l, nil
}

// copyTime is how long the driver's own copy takes.
func (b *Bench) copyTime(dst, src driver.Ptr, bytes int64) (float64, error) {
	g, err := b.record(func() error { return b.Stream.Copy(dst, src, bytes) })
	if err != nil {
		return 0, err
	}
	defer g.Close()
	return b.Replay(g, 1)
}
