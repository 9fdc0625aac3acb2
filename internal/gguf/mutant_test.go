package gguf

import (
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var mutants = flag.Int("mutants", 40_000, "structure-aware mutants TestMutants parses")

// TestMutants parses sound files in which numbers of the header were changed,
// records moved, doubled or dropped, bits flipped or the end cut off. Nothing may
// panic, and a batch together may allocate no more than one file is allowed.
func TestMutants(t *testing.T) {
	n := *mutants
	if testing.Short() {
		n = min(n, 2000)
	}
	const batch = 32
	rng := rand.New(rand.NewPCG(1, 2))
	accepted, refused, slowest := 0, 0, time.Duration(0)
	for _, seed := range seeds(t) {
		fields, records := anatomy(seed)
		for range n / len(seeds(t)) / batch {
			var files [batch][]byte
			for i := range files {
				files[i] = mutate(rng, seed, fields, records)
			}
			var parsed [batch]*File
			var errs [batch]error
			bytes := allocated(func() {
				for i, data := range files {
					start := time.Now()
					parsed[i], errs[i] = Parse("mutant", data)
					slowest = max(slowest, time.Since(start))
				}
			})
			if bytes > bound(len(seed)) {
				t.Fatalf("%d files of about %d bytes allocated %d bytes", batch, len(seed), bytes)
			}
			for i, err := range errs {
				if err != nil {
					wellSaid(t, err)
					refused++
				} else {
					sound(t, parsed[i])
					accepted++
				}
			}
		}
	}
	if slowest > 100*time.Millisecond {
		t.Errorf("one took %v", slowest)
	}
	if accepted == 0 || refused == 0 {
		t.Error("the mutants are all alike")
	}
	t.Logf("%d accepted, %d refused, the slowest in %v", accepted, refused, slowest)
}

// mutate changes one to three things.
func mutate(rng *rand.Rand, seed []byte, fields []field, records []record) []byte {
	b := slices.Clone(seed)
	for range 1 + rng.IntN(3) {
		switch rng.IntN(10) {
		case 0:
			b = b[:rng.IntN(len(b)+1)]
		case 1:
			if len(b) > 0 {
				b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
			}
		case 2, 3:
			b = moveRecord(rng, b, records)
		default:
			changeNumber(rng, b, fields[rng.IntN(len(fields))])
		}
	}
	return b
}

// changeNumber sets a number to one that breaks things.
func changeNumber(rng *rand.Rand, b []byte, f field) {
	if f.at+f.width > len(b) {
		return
	}
	var v [8]byte
	copy(v[:], b[f.at:f.at+f.width])
	old := binary.LittleEndian.Uint64(v[:])
	values := []uint64{
		0, 1, 2, 7, 8, 9, 12, 13, 32, 64, 255, 256, 65535, 65536, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1,
		old + 1, old - 1, old * 2, old / 2, old ^ 1<<rng.IntN(64), -old, old + 32, old - 32, old << 32,
		uint64(len(b)), uint64(len(b) - f.at), uint64(len(b)-f.at) / 8, uint64(len(b)-f.at) - 8, rng.Uint64(), uint64(rng.IntN(1000)),
	}
	binary.LittleEndian.PutUint64(v[:], values[rng.IntN(len(values))])
	copy(b[f.at:f.at+f.width], v[:])
}

// moveRecord doubles a record, drops it, or puts it over another.
func moveRecord(rng *rand.Rand, b []byte, records []record) []byte {
	from, to := records[rng.IntN(len(records))], records[rng.IntN(len(records))]
	if from.to > len(b) || to.to > len(b) {
		return b
	}
	text := slices.Clone(b[from.from:from.to])
	switch rng.IntN(3) {
	case 0:
		return slices.Insert(b, to.from, text...)
	case 1:
		return slices.Delete(b, from.from, from.to)
	}
	return slices.Replace(b, to.from, to.to, text...)
}
