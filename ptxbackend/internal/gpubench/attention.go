package main

import (
	"encoding/binary"
	"fmt"

	"github.com/sandwarp/sandwarp/internal/backend"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/kernels"
)

// contexts are rows and positions each looks at; keys and values are several times
// the cache.
var contexts = [][2]int{{1, 65536}, {1, 131072}, {8, 32768}, {64, 8192}}

// attention measures decode attention in the shape of an 8B model: keys and values
// read a second, as a share of the device's copy.
func (b *bench) attention() error {
	fmt.Printf("decode attention, 32 heads of 128 over 8   rows  context      GB/s  of copy\n")
	for _, c := range contexts {
		if err := b.oneAttention(c[0], c[1]); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) oneAttention(rows, context int) error {
	defer b.Free()
	const heads, kv, dim = 32, 8, 128
	c := kernels.AttnDecode{AttnShape: kernels.AttnShape{Heads: heads, KVHeads: kv, KeyDim: dim, ValueDim: dim}, MaxRows: rows}.Fit(b.Dev.Info())
	shares := c.Shares(b.Dev.Info().SMs)
	pages := context / backend.PageTokens
	layout := kernels.BatchLayout{MaxRows: rows, MaxLogit: 1}
	block := make([]byte, layout.Tables()+4*rows*pages)
	put := func(at int, v int) { binary.LittleEndian.PutUint32(block[at:], uint32(v)) }
	put(layout.Rows(), rows)
	for r := range rows {
		put(layout.Pos()+4*r, context-1)
		put(layout.TableStart()+4*r, layout.Tables()/4+r*pages)
		for i := range pages {
			put(layout.Tables()+4*(r*pages+i), r*pages+i)
		}
	}
	half := int64(rows) * int64(context) * kv * dim * 2
	out := kernels.Pack{T: max(8, rows), K: heads * dim}
	var p [7]driver.Ptr
	var err error
	for i, bytes := range []int64{int64(len(block)), int64(rows) * heads * dim * 2, half, half, out.Bytes(rows), c.WorkBytes(shares), int64(c.CounterBytes())} {
		if p[i], err = b.Alloc(bytes); err != nil {
			return err
		}
	}
	if err := b.Stream.CopyIn(p[0], block); err != nil {
		return err
	}
	if err := b.Stream.Fill(p[6], 0, int64(c.CounterBytes())); err != nil {
		return err
	}
	launch := c.Launch(kernels.AttnDecodeArgs{Batch: p[0], Layout: layout, Q: p[1], Keys: p[2], Values: p[3], Out: p[4], Work: p[5],
		Counters: p[6], T: out.T, Rows: rows, Shares: shares, Scale: 0.088})
	fn, err := b.Build(c, launch.Shared)
	if err != nil {
		return err
	}
	s, err := b.Time(8, fn, func(int) driver.Launch { return launch })
	if err != nil {
		return err
	}
	rate := 2 * float64(half) / s
	fmt.Printf("%47d  %7d  %8.0f  %6.2f\n", rows, context, rate/1e9, rate/b.limits.Copy)
	return nil
}
