package sched

import (
	"fmt"
	"testing"

	"github.com/sandwarp/sandwarp/runtime/internal/sample"
)

// BenchmarkChain measures what a row costs besides the processors' own work: three
// that take several rows and do nothing, with their words on what they did.
func BenchmarkChain(b *testing.B) {
	for _, rows := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			s := &Scheduler{}
			s.group.reserve(rows)
			stages := []stage{newStage(&still{}), newStage(&still{idler{"b"}}), newStage(&still{idler{"c"}})}
			for i := range rows {
				r := &Request{id: uint64(i), ids: prompt(10, i), stages: stages, acts: make([]uint8, 3), chain: sample.NewChain(sample.Params{}, toyVocab)}
				s.owners, s.rows = append(s.owners, r), append(s.rows, make([]float32, toyVocab))
			}
			b.ReportAllocs()
			for b.Loop() {
				s.process()
				for _, r := range s.owners {
					r.report()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
		})
	}
}
