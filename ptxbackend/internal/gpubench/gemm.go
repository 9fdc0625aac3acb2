package main

import (
	"fmt"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
)

// gemmShapes are rows, N, K.
var gemmShapes = [][3]int{{512, 4096, 4096}, {2048, 4096, 4096}, {2048, 14336, 4096}, {8192, 8192, 8192}}

// gemm measures the products of many rows in every tile there is: the best tile is
// what a tuner would choose.
func (b *bench) gemm() error {
	fmt.Printf("products of many rows                                   TFLOP/s  of peak  tile\n")
	for _, f := range []kernels.Format{kernels.FormatF16, kernels.FormatQ8_0, kernels.FormatQ4_K, kernels.FormatQ6_K} {
		for _, s := range gemmShapes {
			g := kernels.GEMM{Mats: []kernels.Layout{{Format: f, N: s[1], K: s[2]}}}
			for _, v := range g.Variants(b.Target) {
				if err := b.oneGEMM(v, s[0]); err != nil {
					return err
				}
			}
		}
	}
	fmt.Println()
	return nil
}

func (b *bench) oneGEMM(g kernels.GEMM, rows int) error {
	defer b.Free()
	l := g.Mats[0]
	f, n := l.Format, l.N
	var p [3]driver.Ptr
	var err error
	for i, bytes := range []int64{l.Bytes(), kernels.Pack{T: 128, K: l.K}.Bytes(rows + 255), int64(rows) * int64(n) * 4} {
		if p[i], err = b.Alloc(bytes); err != nil {
			return err
		}
	}
	args := kernels.GEMMArgs{X: p[1], Rows: rows, Mats: []kernels.GEMVMat{{Weights: p[0], Scale: 1, Out: p[2]}}}
	launch := g.Launch(b.Dev.Info().SMs, args)
	fn, err := b.Build(g, launch.Shared)
	if err != nil {
		return err
	}
	s, err := b.Time(4, fn, func(int) driver.Launch { return launch })
	if err != nil {
		return err
	}
	rate := 2 * float64(rows) * float64(n) * float64(l.K) / s
	fmt.Printf("%-5v %5d x %5d x %5d %28.0f  %6.2f  %+v\n", f, rows, n, l.K, rate/1e12, rate/b.limits.Matrix(), g.Tile)
	return nil
}
