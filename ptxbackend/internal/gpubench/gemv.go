package main

import (
	"fmt"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
)

// Shapes of the products, those of an 8B model: N, K.
var (
	gemvShapes = [][2]int{{4096, 4096}, {28672, 4096}, {4096, 14336}}
	gemvRows   = []int{1, 8, 32}
)

// gemv measures the small-batch products: weights read a second, as a share of the
// device's copy. The matrices of a graph are together several times the cache.
func (b *bench) gemv() error {
	fmt.Printf("products of few rows          rows      GB/s  of copy  of read\n")
	for _, f := range kernels.Formats() {
		for _, shape := range gemvShapes {
			for _, rows := range gemvRows {
				if err := b.oneGEMV(f, shape[0], shape[1], rows); err != nil {
					return err
				}
			}
		}
	}
	fmt.Println()
	return nil
}

func (b *bench) oneGEMV(f kernels.Format, n, k, rows int) error {
	defer b.Free()
	l := kernels.Layout{Format: f, N: n, K: k}
	c := kernels.GEMV{Mats: []kernels.Layout{l}, T: rows, Shared: b.Dev.Info().SharedPerBlock}
	if !c.Fits() {
		fmt.Printf("%-6v %6d x %-6d        %6d  the input does not fit shared memory\n", f, n, k, rows)
		return nil
	}
	sms := b.Dev.Info().SMs
	count := int(4*int64(b.Dev.Info().L2)/l.Bytes()) + 2
	weights := make([]driver.Ptr, count)
	var err error
	for i := range weights {
		if weights[i], err = b.Alloc(l.Bytes()); err != nil {
			return err
		}
	}
	in := kernels.Pack{T: rows, K: k}
	var p [4]driver.Ptr
	for i, bytes := range []int64{in.Bytes(rows), int64(rows) * int64(n) * 4, c.WorkBytes(sms), c.CounterBytes()} {
		if p[i], err = b.Alloc(max(bytes, 256)); err != nil {
			return err
		}
	}
	if err := b.Stream.Fill(p[3], 0, c.CounterBytes()); err != nil {
		return err
	}
	fn, err := b.Build(c, c.SharedBytes())
	if err != nil {
		return err
	}
	s, err := b.Time(count, fn, func(i int) driver.Launch {
		return c.Launch(sms, kernels.GEMVArgs{X: p[0], Work: p[2], Counters: p[3],
			Mats: []kernels.GEMVMat{{Weights: weights[i], Out: p[1], Scale: 1}}})
	})
	if err != nil {
		return err
	}
	rate := float64(l.Bytes()) / s
	fmt.Printf("%-6v %6d x %-6d        %6d  %8.0f  %6.2f  %6.2f\n", f, n, k, rows, rate/1e9, rate/b.limits.Copy, rate/b.limits.Read)
	return nil
}
