package wasm

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sandwarp/sandwarp/abi"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// picker is a sampler in any mode that always picks token n.
func picker(n int32) []byte {
	return newGuest(abi.KindSampler, abi.ModeMask).with(abi.ExportSample,
		Loop(None, // every row of the call
			rowPtr, LocalGet(1), I32Const(abi.RowSize), I32Mul, I32Add, LocalTee(2),
			I32Const(int32(abi.ChoicePick)), I32Store(rowAction), LocalGet(2), I32Const(n), I32Store(rowToken),
			LocalGet(1), I32Const(1), I32Add, LocalTee(1), LocalGet(0), I32LtU, BrIf(0)),
		I32Const(0)).local(abi.ExportSample, I32, I32).bytes()
}

// local adds locals to an export.
func (g *guestModule) local(export string, types ...byte) *guestModule {
	g.locals[export] = types
	return g
}

func loaded(t testing.TB, module []byte, o Options) *Plugin {
	t.Helper()
	p, err := Load(t.Context(), module, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestSwapUnderLoad replaces a sampler and its twin a thousand times while requests
// run on many goroutines. None may fail, each must see one version only from its
// beginning to its end, and a version must be gone within a second of its last use.
func TestSwapUnderLoad(t *testing.T) {
	swaps := 1000
	if testing.Short() {
		swaps = 100
	}
	modules := make([][]byte, 10)
	for i := range modules {
		modules[i] = picker(int32(i))
	}
	cache := Options{CacheDir: t.TempDir()}
	s := NewSwap(loaded(t, modules[0], cache))
	var stop atomic.Bool
	var requests, failed atomic.Int64
	var next atomic.Uint64
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for !stop.Load() {
				if err := request(s, next.Add(2), rng); err != nil {
					failed.Add(1)
					t.Error(err)
					return
				}
				requests.Add(1)
			}
		})
	}
	var slowest time.Duration
	for i := 1; i <= swaps; i++ {
		old := s.Current()
		if err := s.Swap(loaded(t, modules[i%len(modules)], cache)); err != nil {
			t.Fatal(err)
		}
		began := time.Now() // requests take microseconds, so the old one is drained at once
		for !old.isClosed() && time.Since(began) < 5*time.Second {
			time.Sleep(50 * time.Microsecond)
		}
		slowest = max(slowest, time.Since(began))
	}
	stop.Store(true)
	wg.Wait()
	if slowest > time.Second {
		t.Errorf("an old version was still there after %v", slowest)
	}
	total := s.Stats()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if s.Draining() != 0 || failed.Load() > 0 || requests.Load() < int64(swaps) || total.Calls < uint64(requests.Load()) || total.Faults > 0 {
		t.Errorf("%d versions left, %d of %d requests failed, %+v", s.Draining(), failed.Load(), requests.Load(), total)
	}
	t.Logf("%d swaps, %d requests, the slowest version was gone after %v", swaps, requests.Load(), slowest)
}

// request is two sequences, the second of them a fork of the first, in calls of one
// and of both. What they pick says which version they are with.
func request(s *Swap, seq uint64, rng *rand.Rand) error {
	if err := s.OpenSeq(seq, nil); err != nil {
		return err
	}
	defer s.CloseSeq(seq)
	logits := make([]float32, 40)
	want, err := s.Process(seq, nil, logits)
	if err != nil || want < 0 {
		return fmt.Errorf("picked %d: %w", want, err)
	}
	if err := errors.Join(s.Accept(seq, []int32{want}), s.ForkSeq(seq, seq+1)); err != nil {
		return err
	}
	defer s.CloseSeq(seq + 1)
	seqs, histories := []uint64{seq, seq + 1}, [][]int32{{want}, {want}}
	rows, picks, errs := [][]float32{logits, logits}, make([]int32, 2), make([]error, 2)
	for range 1 + rng.IntN(5) {
		s.Plan(seqs, histories)
		s.ProcessRows(seqs, histories, rows, picks, errs)
		if err := errors.Join(errs...); err != nil || picks[0] != want || picks[1] != want {
			return fmt.Errorf("picked %v in the middle of a sequence that began with %d: %w", picks, want, err)
		}
		time.Sleep(time.Duration(rng.IntN(100)) * time.Microsecond)
	}
	if s.LastAction(seq) != uint8(abi.ChoicePick) {
		return fmt.Errorf("the last action was %d", s.LastAction(seq))
	}
	return s.Rollback(seq, 1)
}

// TestSwapDrains has a long sequence keep its version while calls mix it with new ones.
func TestSwapDrains(t *testing.T) {
	first := loaded(t, picker(1), Options{Name: "sampler"})
	s := NewSwap(first)
	open := func(seqs ...uint64) {
		for _, seq := range seqs {
			if err := s.OpenSeq(seq, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	open(1, 2)
	if err := s.Swap(loaded(t, picker(7), Options{Name: "another"})); err != nil {
		t.Fatal(err)
	}
	open(3)
	seqs := []uint64{3, 1, 99, 2}
	histories, rows := make([][]int32, 4), make([][]float32, 4)
	for i := range rows {
		rows[i] = make([]float32, 40)
	}
	picks, errs := make([]int32, 4), make([]error, 4)
	s.Plan(seqs, histories)
	s.ProcessRows(seqs, histories, rows, picks, errs)
	if !slices.Equal(picks, []int32{7, 1, -1, 1}) || !errors.Is(errs[2], ErrSequence) || errors.Join(errs[0], errs[1], errs[3]) != nil {
		t.Errorf("%v, %v", picks, errs)
	}
	if s.Name() != "sampler" || s.Current().Name() != "another" || s.Draining() != 1 || first.isClosed() {
		t.Errorf("%q, %q, %d versions draining", s.Name(), s.Current().Name(), s.Draining())
	}
	if err := s.ForkSeq(2, 4); err != nil {
		t.Error(err)
	}
	s.CloseSeq(1)
	s.CloseSeq(2)
	if pick, err := s.Process(4, nil, rows[0]); pick != 1 || err != nil || s.Draining() != 1 {
		t.Errorf("the fork of a draining sequence: %d, %v", pick, err)
	}
	s.CloseSeq(4)
	s.CloseSeq(4) // twice is nothing
	if s.Draining() != 0 {
		t.Errorf("%d versions draining", s.Draining())
	}
	if err := s.OpenSeq(3, nil); err == nil {
		t.Error("a sequence was opened twice")
	}
	wrong := newGuest(abi.KindFilter, "").load(t, Options{})
	if err := s.Swap(wrong); !errors.Is(err, ErrKind) {
		t.Errorf("a filter in the place of a sampler: %v", err)
	}
	s.closing.Wait() // what has drained is closed aside
	if err := s.Swap(first); err == nil {
		t.Error("a closed plugin was put in")
	}
	if err := s.Close(); err != nil || !first.isClosed() || !s.Current().isClosed() {
		t.Errorf("Close: %v", err)
	}
	if _, err := s.Process(3, nil, rows[0]); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	s.CloseSeq(3)
	if err := s.OpenSeq(5, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := s.Swap(wrong); !errors.Is(err, ErrClosed) || s.Close() != nil {
		t.Errorf("after Close: %v", err)
	}
}

// TestSwapOfTextKinds swaps filters and tokenizers.
func TestSwapOfTextKinds(t *testing.T) {
	f := NewSwap(loaded(t, newGuest(abi.KindFilter, "").bytes(), Options{}))
	defer f.Close()
	if err := f.OpenSeq(1, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Swap(loaded(t, newGuest(abi.KindFilter, "").bytes(), Options{})); err != nil {
		t.Fatal(err)
	}
	if out, n, _, err := f.Filter(1, []byte("text"), abi.FlagEnd); string(out) != "text" || n != 4 || err != nil {
		t.Errorf("%q, %d, %v", out, n, err)
	}
	f.CloseSeq(1)
	k := NewSwap(loaded(t, newGuest(abi.KindTokenizer, "").bytes(), Options{}))
	defer k.Close()
	old := k.Current()
	if err := k.Swap(loaded(t, newGuest(abi.KindTokenizer, "").bytes(), Options{})); err != nil {
		t.Fatal(err)
	}
	if ids, err := k.Encode([]int32{4}, "x", false); len(ids) != 1 || err != nil {
		t.Errorf("%v, %v", ids, err)
	}
	if b, err := k.Decode(nil, []int32{4}, false); len(b) != 0 || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	k.closing.Wait()
	if !old.isClosed() {
		t.Error("nobody used the old one, but it is open")
	}
}

// A plugin that was replaced is closed when it has drained: it cannot come back, and
// its counters are not lost meanwhile.
func TestSwapDoesNotTakeBack(t *testing.T) {
	first := loaded(t, picker(1), Options{})
	s := NewSwap(first)
	if err := s.OpenSeq(1, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Process(1, nil, make([]float32, 40)); err != nil {
		t.Fatal(err)
	}
	if err := s.Swap(loaded(t, picker(7), Options{})); err != nil {
		t.Fatal(err)
	}
	if n := s.Stats().Calls; n != 1 {
		t.Errorf("%d calls of the draining version", n)
	}
	if err := s.Swap(first); err == nil {
		t.Error("a draining plugin was put in again")
	}
	s.CloseSeq(1)
	s.closing.Wait()
	if err := s.OpenSeq(2, nil); err != nil || s.Stats().Calls != 1 {
		t.Errorf("%v, %+v", err, s.Stats())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Close also closes a version that is only in use by a call.
func TestSwapCloseDuringCall(t *testing.T) {
	s := NewSwap(loaded(t, newGuest(abi.KindTokenizer, "").bytes(), Options{}))
	old, err := s.enter() // as Encode does
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Swap(loaded(t, newGuest(abi.KindTokenizer, "").bytes(), Options{})); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil || !old.isClosed() || s.Draining() != 0 {
		t.Errorf("%v, closed %v, %d draining", err, old.isClosed(), s.Draining())
	}
	s.leave(old)
}
