package kv

import (
	"testing"

	"pgregory.net/rapid"
)

// TestPool drives random operations on a few tables and checks after each that
// no page is lost, held twice by one table, or written while shared.
func TestPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const pages, size = 12, 4
		pool := NewPool(pages, size)
		tables := make([]Table, 4)
		for range rapid.IntRange(1, 60).Draw(t, "ops") {
			i := rapid.IntRange(0, 3).Draw(t, "table")
			tb := &tables[i]
			switch rapid.IntRange(0, 2).Draw(t, "op") {
			case 0: // append some positions
				n := tb.Len + rapid.IntRange(1, 9).Draw(t, "n")
				missing, before := pool.Missing(tb, n), pool.Free()
				c, copied, err := pool.Reserve(tb, n)
				if (err != nil) != (missing > before) {
					t.Fatalf("Missing says %d of %d free, Reserve says %v", missing, before, err)
				}
				if err != nil {
					break
				}
				if pool.Free() != before-missing {
					t.Fatalf("Reserve took %d pages, Missing said %d", before-pool.Free(), missing)
				}
				if copied && c.Dst == c.Src {
					t.Fatal("a page copied onto itself")
				}
				for p := tb.Len; p < n; p++ {
					if page := tb.Pages[p/size]; pool.refs[page] != 1 {
						t.Fatalf("position %d would write page %d, shared by %d", p, page, pool.refs[page])
					}
				}
				tb.Len = n
			case 1:
				pool.Truncate(tb, rapid.IntRange(0, tb.Len).Draw(t, "keep"))
			case 2:
				src := &tables[(i+1)%4]
				pool.Truncate(tb, 0)
				pool.Fork(tb, src)
			}
			held := map[int32]int32{}
			for _, tb := range tables {
				for _, p := range tb.Pages {
					held[p]++
				}
			}
			for p, n := range pool.refs {
				if held[int32(p)] != n {
					t.Fatalf("page %d: %d references booked, %d held", p, n, held[int32(p)])
				}
			}
			if len(held)+pool.Free() != pages {
				t.Fatalf("%d pages held, %d free, of %d", len(held), pool.Free(), pages)
			}
		}
	})
}
