package kernels

import (
	"fmt"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// The kernels of this file measure what the device can do: every share a benchmark
// prints is a share of what they reach in the same run.

const streamThreads = 512

// Stream reads memory as fast as it comes, 16 bytes a load and Unroll loads in
// flight a thread, and leaves the exclusive or of all 32-bit words; with Copy it
// writes what it reads elsewhere as well.
type Stream struct {
	Unroll int
	Copy   bool
}

// Name implements Config.
func (c Stream) Name() string { return fmt.Sprintf("stream_u%d_copy%v", c.Unroll, c.Copy) }

// Chunk is what a block reads at once; streams are a whole number of chunks.
func (c Stream) Chunk() int64 { return int64(c.Unroll) * streamThreads * 16 }

var streamParams = []ptx.Param{
	{Name: "src", Type: ptx.U64}, {Name: "dst", Type: ptx.U64}, {Name: "words", Type: ptx.U64}, {Name: "chunks", Type: ptx.U32},
}

// Launch reads bytes of src. dst is as large as src, used with Copy only; words
// gets a 32-bit word for each thread of each of the blocks.
func (c Stream) Launch(src, dst, words driver.Ptr, bytes int64, blocks int) driver.Launch {
	return driver.Launch{Grid: [3]uint32{uint32(blocks)}, Block: [3]uint32{streamThreads},
		Params: pack(streamParams, src, dst, words, uint32(bytes/c.Chunk()))}
}

// Build implements Config.
func (c Stream) Build(t ptx.Target) (*ptx.Kernel, error) {
	b := ptx.New(c.Name(), t)
	b.Threads(streamThreads, 0)
	src, dst, words, chunks := b.Param(ptx.U64, "src"), b.Param(ptx.U64, "dst"), b.Param(ptx.U64, "words"), b.Param(ptx.U32, "chunks")
	b.GridWait()
	b.GridLaunch()
	tid := b.Tid(0)
	lane := b.MulWide(tid, 16)
	sum := b.Regs(ptx.B32, 4)
	for _, r := range sum {
		b.Set(r, 0)
	}
	b.For(b.Ctaid(0), chunks, b.Nctaid(0), func(i ptx.Reg) {
		at := b.Add(lane, b.MulWide(i, uint32(c.Chunk())))
		from, to := b.Add(src, at), b.Add(dst, at)
		var got [][]ptx.Reg
		for u := range c.Unroll {
			got = append(got, b.LdV(ptx.Global, ptx.B32, 4, from, u*streamThreads*16, ptx.NC, ptx.NoAllocate, ptx.Prefetch))
		}
		for u, v := range got {
			if c.Copy {
				b.StV(ptx.Global, to, u*streamThreads*16, v)
			}
			for n, r := range sum {
				b.Set(r, b.Xor(r, v[n]))
			}
		}
	})
	all := b.Xor(b.Xor(sum[0], sum[1]), b.Xor(sum[2], sum[3]))
	i := b.Mad(b.Ctaid(0), streamThreads, tid)
	b.St(ptx.Global, b.Add(words, b.MulWide(i, 4)), 0, all)
	return b.Kernel()
}

// MatrixPeak multiplies without touching memory: Sums independent chains of
// mma.m16n8k16 a warp, or on Hopper wgmma.m64n128k16 a warpgroup.
type MatrixPeak struct {
	Wgmma bool
}

const (
	peakThreads = 256
	peakSums    = 8   // chains of mma a warp
	peakN       = 128 // columns of a wgmma
)

// Name implements Config.
func (c MatrixPeak) Name() string { return fmt.Sprintf("matrix_peak_wgmma%v", c.Wgmma) }

// Targets are those it can be built for.
func (c MatrixPeak) Targets() []ptx.Target {
	if c.Wgmma {
		return []ptx.Target{ptx.SM90a}
	}
	return []ptx.Target{ptx.SM80, ptx.SM90a}
}

// Flops is the number of floating-point operations of a launch.
func (c MatrixPeak) Flops(blocks, rounds int) float64 {
	warp := 2.0 * 16 * 8 * 16 * peakSums
	if c.Wgmma {
		warp = 2 * 16 * peakN * 16 * 4
	}
	return warp * peakThreads / 32 * float64(blocks) * float64(rounds)
}

var peakParams = []ptx.Param{{Name: "out", Type: ptx.U64}, {Name: "rounds", Type: ptx.U32}}

// Launch has each block go rounds times around; out gets a float32 a thread.
func (c MatrixPeak) Launch(out driver.Ptr, blocks, rounds int) driver.Launch {
	return driver.Launch{Grid: [3]uint32{uint32(blocks)}, Block: [3]uint32{peakThreads}, Params: pack(peakParams, out, uint32(rounds))}
}

// Build implements Config.
func (c MatrixPeak) Build(t ptx.Target) (*ptx.Kernel, error) {
	b := ptx.New(c.Name(), t)
	b.Threads(peakThreads, 0)
	out, rounds := b.Param(ptx.U64, "out"), b.Param(ptx.U32, "rounds")
	b.GridWait()
	b.GridLaunch()
	tid := b.Tid(0)
	// Halves between 1 and 2 that differ between lanes: zeroes are faster.
	x := make([]ptx.Reg, 4)
	for i := range x {
		x[i] = b.Or(b.And(b.Mul(b.Add(tid, i+1), uint32(0x9E3779B9)), uint32(0x03FF03FF)), uint32(0x3C003C00))
	}
	var sums []ptx.Reg
	if c.Wgmma {
		sums = wgmmaPeak(b, x, rounds)
	} else {
		sums = mmaPeak(b, x, rounds)
	}
	total := sums[0]
	for _, s := range sums[1:] {
		total = b.Add(total, s)
	}
	i := b.Mad(b.Ctaid(0), peakThreads, tid)
	b.St(ptx.Global, b.Add(out, b.MulWide(i, 4)), 0, total)
	return b.Kernel()
}

func mmaPeak(b *ptx.Builder, x []ptx.Reg, rounds ptx.Reg) (sums []ptx.Reg) {
	for range 4 * peakSums {
		sums = append(sums, b.Var(ptx.F32, 0.0))
	}
	b.For(0, rounds, 1, func(ptx.Reg) {
		for n := 0; n < len(sums); n += 4 {
			b.Mma(ptx.F16, sums[n:n+4], x, x[:2], sums[n:n+4])
		}
	})
	return sums
}

// wgmmaPeak has both operands in shared memory where every element is 1, in tiles
// of 64 columns with the 128-byte swizzle.
func wgmmaPeak(b *ptx.Builder, x []ptx.Reg, rounds ptx.Reg) (sums []ptx.Reg) {
	tile := b.Shared("tile", 1024, peakN*128)
	b.For(b.Tid(0), peakN*128/16, peakThreads, func(i ptx.Reg) {
		b.StV(ptx.Shared, b.Mad(i, 16, tile), 0, []ptx.Reg{x[0], x[1], x[2], x[3]})
	})
	b.FenceAsync()
	b.Bar()
	desc := b.Or(b.Cvt(ptx.U64, b.Shr(b.And(tile, 0x3FFFF), 4)), uint64(1)<<16|uint64(64)<<32|uint64(1)<<62)
	for range peakN / 2 {
		sums = append(sums, b.Var(ptx.F32, 0.0))
	}
	yes := b.Setp(ptx.Eq, b.Tid(1), 0)
	b.For(0, rounds, 1, func(ptx.Reg) {
		b.WgmmaFence()
		for k := range 4 { // 16 columns are 32 bytes
			d := b.Add(desc, uint64(2*k))
			b.Wgmma(ptx.F16, peakN, sums, x, d, yes)
		}
		b.WgmmaCommit()
		b.WgmmaWait(0)
	})
	return sums
}
