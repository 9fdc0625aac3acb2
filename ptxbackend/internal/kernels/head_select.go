package kernels

import "github.com/sandwarp/sandwarp/ptxbackend/internal/ptx"

// A key is a U64 that orders logits: above the low 20 bits the logit, so that larger
// ones are larger as integers, in the low 20 bits how far its id is below the
// largest. No two logits have the same key, and no logit has key 0.

const keyIDs = 1<<topIDBits - 1

// keySource calls visit for each of the keys a thread has, with the predicate that
// says whether it has it. It may be called several times.
type keySource func(visit func(key, in ptx.Reg))

// logitKeys are the keys of logits whose slice begins at id first. None is NaN.
func logitKeys(b *ptx.Builder, x []logit, first ptx.Reg) keySource {
	ordered := make([]ptx.Reg, len(x))
	for i, l := range x {
		// Of a positive number the sign bit is set, of a negative one all bits are
		// inverted. Adding 0 makes -0 the 0 it is equal to.
		bits := b.As(ptx.S32, b.Add(l.x, 0.0))
		ordered[i] = b.As(ptx.U32, b.Xor(bits, b.Or(b.Shr(bits, 31), -1<<31)))
	}
	last := b.Sub(b.Var(ptx.U32, keyIDs), first)
	return func(visit func(key, in ptx.Reg)) {
		for i, l := range x {
			id := b.Cvt(ptx.U64, b.Sub(last, l.at))
			visit(b.Or(b.Shl(b.Cvt(ptx.U64, ordered[i]), topIDBits), id), l.in)
		}
	}
}

// keyLogit takes a key apart.
func keyLogit(b *ptx.Builder, key ptx.Reg) (id, x ptx.Reg) {
	id = b.Sub(b.Var(ptx.U32, keyIDs), b.And(b.Cvt(ptx.U32, key), keyIDs))
	ordered := b.As(ptx.S32, b.Cvt(ptx.U32, b.Shr(key, topIDBits)))
	bits := b.Xor(ordered, b.Or(b.Not(b.Shr(ordered, 31)), -1<<31))
	return b.As(ptx.S32, id), b.As(ptx.F32, bits)
}

// storedKeys are n keys in global memory.
func storedKeys(b *ptx.Builder, tid, src ptx.Reg, n int) keySource {
	const together = 4 // loads under way at once
	return func(visit func(key, in ptx.Reg)) {
		b.For(tid, n, together*topThreads, func(i ptx.Reg) {
			var keys, in [together]ptx.Reg
			addr := b.MadWide(i, 8, src)
			for j := range keys {
				keys[j] = b.Var(ptx.U64, 0)
				in[j] = b.Setp(ptx.Lt, b.Add(i, j*topThreads), n)
				b.Under(in[j], func() { b.LdTo(keys[j:j+1], ptx.Global, addr, 8*j*topThreads) })
			}
			for j := range keys {
				visit(keys[j], in[j])
			}
		})
	}
}

// selection finds the k largest of the keys of a block of threads, by radix: it
// counts the keys by their leading bits, finds the bits of the k-th largest, and
// goes on with the next bits of the keys that share them, until the keys with those
// bits are just as many as are still wanted. With logits as they are that takes two
// or three rounds, at worst five.
type selection struct {
	threads, k         int
	bins, totals, next ptx.Reg // shared: counts; sums of the warps; what findBin found
}

const (
	radixBits = 11
	radixBins = 1 << radixBits
)

func newSelection(b *ptx.Builder, threads, k int) selection {
	return selection{threads, k, b.Shared("bins", 16, 4*radixBins), b.Shared("totals", 4, 4*threads/32), b.Shared("next", 4, 16)}
}

// take calls put for the k largest of n keys, or all where there are not more, each
// with another place below k.
func (s selection) take(b *ptx.Builder, n ptx.Reg, keys keySource, put func(place, key ptx.Reg)) {
	least := b.Var(ptx.U64, 1)
	b.If(b.Setp(ptx.Gt, n, s.k), func() { b.Set(least, s.threshold(b, keys)) })
	b.Under(b.Setp(ptx.Eq, b.Tid(0), 0), func() { b.St(ptx.Shared, s.next, 12, b.Var(ptx.U32, 0)) })
	b.Bar()
	one := b.Var(ptx.U32, 1)
	keys(func(key, in ptx.Reg) {
		b.If(b.And(in, b.Setp(ptx.Ge, key, least)), func() {
			put(b.Atom(ptx.Shared, "", "add", s.next, 12, one), key)
		})
	})
}

// threshold is a number that just k of the keys, more than k, reach.
func (s selection) threshold(b *ptx.Builder, keys keySource) ptx.Reg {
	const keyBits = 32 + topIDBits
	least := b.Var(ptx.U64, 0) // the bits found so far
	above, shift := b.Var(ptx.U32, keyBits), b.Var(ptx.U32, keyBits-radixBits)
	want, more, one := b.Var(ptx.U32, s.k), b.Var(ptx.U32, 1), b.Var(ptx.U32, 1)
	b.Loop(func() ptx.Reg { return b.Setp(ptx.Ne, more, 0) }, func() {
		s.clear(b)
		b.Bar()
		keys(func(key, in ptx.Reg) {
			same := b.And(in, b.Setp(ptx.Eq, b.Shr(b.Xor(key, least), above), 0))
			bin := b.And(b.Cvt(ptx.U32, b.Shr(key, shift)), radixBins-1)
			addr := b.Mad(bin, 4, s.bins)
			b.Under(same, func() { b.Red(ptx.Shared, "", "add", addr, 0, one) })
		})
		b.Bar()
		s.findBin(b, want)
		b.Bar()
		bin, count := b.Ld(ptx.Shared, ptx.U32, s.next, 0), b.Ld(ptx.Shared, ptx.U32, s.next, 4)
		b.LdTo([]ptx.Reg{want}, ptx.Shared, s.next, 8)
		b.Set(least, b.Or(least, b.Shl(b.Cvt(ptx.U64, bin), shift)))
		// At shift 0 keys are told apart and count is 1.
		b.Set(more, b.Selp(b.Var(ptx.U32, 1), 0, b.And(b.Setp(ptx.Ne, count, want), b.Setp(ptx.Ne, shift, 0))))
		b.Set(above, shift)
		b.Set(shift, b.Sub(b.Max(shift, radixBits), radixBits))
	})
	return least
}

// clear empties the bins.
func (s selection) clear(b *ptx.Builder) {
	zero := b.Var(ptx.U32, 0)
	per := radixBins / s.threads
	for i := range per {
		b.St(ptx.Shared, b.Mad(b.Tid(0), 4, s.bins), 4*i*s.threads, zero)
	}
}

// findBin finds, counting from the highest bin down, the one that holds the want-th
// key. It leaves in next the bin, how many keys it holds, and how many of those are
// wanted.
func (s selection) findBin(b *ptx.Builder, want ptx.Reg) {
	tid := b.Tid(0)
	lane, warp := b.And(tid, 31), b.Shr(tid, 5)
	per := radixBins / s.threads // bins of a thread; the first thread has the highest
	highest := b.Sub(b.Var(ptx.U32, radixBins-1), b.Mul(tid, per))
	addr := b.Mad(highest, 4, s.bins)
	counts := make([]ptx.Reg, per)
	sum := b.Var(ptx.U32, 0)
	for i := range counts {
		counts[i] = b.Ld(ptx.Shared, ptx.U32, addr, -4*i)
		b.AddTo(sum, counts[i])
	}
	through := b.Var(ptx.U32, sum) // of the warp's lanes up to this one
	for n := 1; n < 32; n *= 2 {
		y := b.Shfl("up", through, n)
		b.Set(through, b.Selp(b.Add(through, y), through, b.Setp(ptx.Ge, lane, n)))
	}
	b.Under(b.Setp(ptx.Eq, lane, 31), func() { b.St(ptx.Shared, b.Mad(warp, 4, s.totals), 0, through) })
	b.Bar()
	total := b.Ld(ptx.Shared, ptx.U32, b.Mad(b.Selp(lane, 0, b.Setp(ptx.Lt, lane, s.threads/32)), 4, s.totals), 0)
	before := b.WarpReduce("add", b.Selp(total, 0, b.Setp(ptx.Lt, lane, warp)))
	before = b.Add(before, b.Sub(through, sum))
	for i, n := range counts {
		after := b.Add(before, n)
		bin, left := b.Sub(highest, i), b.Sub(want, before)
		here := b.And(b.Setp(ptx.Lt, before, want), b.Setp(ptx.Ge, after, want))
		b.Under(here, func() {
			b.St(ptx.Shared, s.next, 0, bin)
			b.St(ptx.Shared, s.next, 4, n)
			b.St(ptx.Shared, s.next, 8, left)
		})
		before = after
	}
}

// sortDescending sorts n U64 keys, n a power of two, in shared memory by a bitonic
// network (Batcher 1968): a thread compares two keys at a time. Where the pairs of a
// warp lie within the 64 keys they lay in before, the warp need not wait for others.
func sortDescending(b *ptx.Builder, tid, keys ptx.Reg, n int) {
	for run := 2; run <= n; run *= 2 {
		for dist := run / 2; dist > 0; dist /= 2 {
			for first := 0; first < n/2; first += topThreads {
				pair := b.Add(tid, first)
				b.If(b.Setp(ptx.Lt, pair, n/2), func() { exchange(b, pair, keys, run, dist) })
			}
			if dist > 32 || (dist == 1 && run >= 64) {
				b.Bar()
			} else {
				b.WarpSync()
			}
		}
	}
	b.Bar()
}

// exchange orders the pair-th two keys that are dist apart, within runs of run keys
// that fall and rise in turn.
func exchange(b *ptx.Builder, pair, keys ptx.Reg, run, dist int) {
	i := b.Add(b.Shl(b.And(pair, ^uint32(dist-1)), 1), b.And(pair, dist-1))
	addr := b.Mad(i, 8, keys)
	x, y := b.Ld(ptx.Shared, ptx.U64, addr, 0), b.Ld(ptx.Shared, ptx.U64, addr, 8*dist)
	up := b.Setp(ptx.Ne, b.And(i, run), 0)
	large, small := b.Max(x, y), b.Min(x, y)
	b.St(ptx.Shared, addr, 0, b.Selp(small, large, up))
	b.St(ptx.Shared, addr, 8*dist, b.Selp(large, small, up))
}
