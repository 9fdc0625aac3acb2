// Package kernels holds the GPU's kernels. Each is a small struct, its
// specialisation, with
//
//	Name() string                                  // distinct for each specialisation
//	Build(t ptx.Target) (*ptx.Kernel, error)       // its text
//	Launch(args) driver.Launch                     // grid, block, shared memory, parameters
//
// and a plain Go twin in its test that says what it computes.
//
// # Memory
//
// Values of the residual stream and products are (rows, width) float32, row-major.
// What is multiplied is packed activations, a Pack: (rows, K) halves in tiles,
//
//	[ceil(rows/T)][ceil(K/64)][T][64] float16, T in {1, 2, 4, 8, 16, 32, 64, 128}
//
// so that a tile of 64 columns is contiguous (one bulk copy brings it). Within a
// row of a tile the 16-byte chunk c (0..7) is stored in place c ^ (row & 7), row
// being the one within the tile: ldmatrix and wgmma's 128-byte swizzle read it
// without bank conflicts. Columns from K on are zero; rows past the batch hold
// finite numbers nobody looks at. Halves saturate at +-65504.
//
// Weights are repacked once into the order in which the lanes of a warp want them:
// see Layout.
//
// KV pages are [page][KV head][backend.PageTokens][head dim] float16, keys and
// values of a layer apart.
//
// # The batch
//
// What changes from step to step lies in device memory, so that a recorded graph
// serves every step: see BatchLayout.
package kernels

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/sandwarp/sandwarp/ptxbackend/internal/driver"
	"github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"
)

// Config is a specialised kernel.
type Config interface {
	Name() string
	Build(t ptx.Target) (*ptx.Kernel, error)
}

// Pack describes packed activations.
type Pack struct {
	T int // rows of a tile
	K int // columns, before they are filled up to whole tiles
}

// KTiles is the number of tiles of 64 columns.
func (p Pack) KTiles() int { return (p.K + 63) / 64 }

// Bytes is what rows rows take.
func (p Pack) Bytes(rows int) int64 {
	return int64((rows+p.T-1)/p.T) * int64(p.KTiles()) * int64(p.T) * 128
}

// At is the byte where element (row, col) lies.
func (p Pack) At(row, col int) int64 {
	r := row % p.T
	tile := int64(row/p.T)*int64(p.KTiles()) + int64(col/64)
	return (tile*int64(p.T)+int64(r))*128 + int64((col%64/8)^(r&7))*16 + int64(col%8)*2
}

// BatchLayout says where in the batch block each array begins, in bytes; all
// elements are int32. The block is copied to the device before each step, up to
// the end of the tables that are in use.
type BatchLayout struct {
	MaxRows, MaxLogit int
}

// Rows is where the number of rows stands (the others of a recorded graph are
// padding), NLogit the number of rows whose logits are wanted.
func (BatchLayout) Rows() int   { return 0 }
func (BatchLayout) NLogit() int { return 4 }

// Token[r], Pos[r] describe row r; a padding row has token 0 and position -1.
func (BatchLayout) Token() int { return 16 }
func (l BatchLayout) Pos() int { return l.Token() + 4*l.MaxRows }

// TableStart[r] is the index, among all int32 of the block, of the page table of
// row r's sequence: position p is in page block[TableStart[r]+p/PageTokens].
func (l BatchLayout) TableStart() int { return l.Pos() + 4*l.MaxRows }

// LogitRow[i] is the row whose logits are row i of the output; padding repeats the
// last, or is 0.
func (l BatchLayout) LogitRow() int { return l.TableStart() + 4*l.MaxRows }

// Tables is where the page tables begin, one after the other.
func (l BatchLayout) Tables() int { return l.LogitRow() + 4*l.MaxLogit }

// pack lays values (driver.Ptr, uint64, uint32, int32, float32) out as k's
// parameters.
func pack(k []ptx.Param, values ...any) []byte {
	offsets, size := (&ptx.Kernel{Params: k}).ParamOffsets()
	if len(values) != len(k) {
		panic(fmt.Sprintf("kernels: %d parameters given, %d wanted", len(values), len(k)))
	}
	out := make([]byte, size)
	for i, v := range values {
		at := out[offsets[i]:]
		switch v := v.(type) {
		case driver.Ptr:
			binary.LittleEndian.PutUint64(at, uint64(v))
		case uint64:
			binary.LittleEndian.PutUint64(at, v)
		case uint32:
			binary.LittleEndian.PutUint32(at, v)
		case int32:
			binary.LittleEndian.PutUint32(at, uint32(v))
		case float32:
			binary.LittleEndian.PutUint32(at, math.Float32bits(v))
		default:
			panic(fmt.Sprintf("kernels: parameter %s of type %T", k[i].Name, v))
		}
	}
	return out
}
