package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	. "github.com/sandwarp/sandwarp/wasm/wasmtest"
)

// forker is a tally guest that forks sequences itself, and marks what it forked.
func forker(mode abi.Mode, act []byte) *guestModule {
	at := func(local uint32) []byte {
		return Cat(LocalGet(local), Op(0xa7), I32Const(63), Op(0x71), I32Const(16), I32Mul, I32Const(tallies), I32Add)
	}
	return tally(mode, act).with(abi.ExportSeqFork, at(1), at(0), I32Load(0), I32Store(0), I32Const(0))
}

// tallyOf is what the plugin picks for a sequence: its tally.
func tallyOf(t *testing.T, p *Plugin, seq uint64) int32 {
	t.Helper()
	st := newStep(seq).run(p)
	if st.errs[0] != nil {
		t.Fatal(st.errs[0])
	}
	return st.picks[0]
}

// However a fork is made, it goes on from the same past, and on its own.
func TestForkSeq(t *testing.T) {
	for _, c := range []struct {
		name    string
		guest   *guestModule
		options Options
		copies  int
	}{
		{"its own", forker(abi.ModeMask, pickTally), Options{}, 0},
		{"copied", tally(abi.ModeMask, pickTally), Options{}, 2},
		{"told", tally(abi.ModeMask, pickTally), Options{Forks: -1}, 0},
		{"one copied, the others told", tally(abi.ModeCandidates, pickTally), Options{Forks: 1}, 1},
	} {
		p := c.guest.load(t, c.options)
		open(t, p, 1, 2)
		accept(t, p, 1, 3)
		accept(t, p, 2, 4)
		fork := func(src, dst uint64) {
			t.Helper()
			if err := p.ForkSeq(src, dst); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		tallyOf(t, p, 1)
		fork(1, 5)
		fork(5, 6)
		accept(t, p, 5, 1)
		accept(t, p, 6, 2)
		accept(t, p, 1, 5)
		for seq, want := range map[uint64]int32{1: 3*31 + 5, 2: 4, 5: 3*31 + 1, 6: 3*31 + 2} {
			if got := tallyOf(t, p, seq); got != want {
				t.Errorf("%s: sequence %d: %d, want %d", c.name, seq, got, want)
			}
		}
		if p.forks != c.copies {
			t.Errorf("%s: %d copies", c.name, p.forks)
		}
		if err := p.ForkSeq(1, 2); err == nil {
			t.Errorf("%s: a second sequence 2", c.name)
		}
		if err := p.ForkSeq(77, 78); !errors.Is(err, ErrSequence) {
			t.Errorf("%s: %v", c.name, err)
		}
		// A fork outlives its origin, whose number is then free.
		p.CloseSeq(1)
		open(t, p, 1)
		if got := tallyOf(t, p, 1); got != 0 {
			t.Errorf("%s: a new sequence has tally %d", c.name, got)
		}
		if err := p.Rollback(5, 1); err != nil {
			t.Fatal(err)
		}
		if got := tallyOf(t, p, 5); got != 3 {
			t.Errorf("%s: %d after a rollback", c.name, got)
		}
		// A fault in one leaves the others as they are.
		before := tallyOf(t, p, 6)
		accept(t, p, 5, poison-3*31)
		newStep(5).run(p)
		if p.Stats().Faults != 1 || tallyOf(t, p, 6) != before || tallyOf(t, p, 2) != 4 {
			t.Errorf("%s: %+v", c.name, p.Stats())
		}
		for _, s := range []uint64{1, 2, 5, 6} {
			p.CloseSeq(s)
		}
		if n := p.Stats(); n.Sequences != 0 || p.forks != 0 {
			t.Errorf("%s: %+v, %d copies left", c.name, n, p.forks)
		}
	}
}

// A fork is made of what the guest does not know yet, too.
func TestForkOfLostSequence(t *testing.T) {
	p := tally(abi.ModeMask, pickTally).load(t, Options{})
	open(t, p, 1, 2)
	accept(t, p, 1, 9)
	accept(t, p, 2, poison)
	newStep(2).run(p) // resets the instance
	if err := p.ForkSeq(1, 3); err != nil {
		t.Fatal(err)
	}
	if a, b := tallyOf(t, p, 1), tallyOf(t, p, 3); a != 9 || b != 9 {
		t.Error(a, b)
	}
}

func TestForkErrors(t *testing.T) {
	g := forker(abi.ModeMask, pickTally).with(abi.ExportSeqFork, I32Const(-5))
	p := g.load(t, Options{})
	open(t, p, 1)
	accept(t, p, 1, 9)
	if err := p.ForkSeq(1, 2); err != nil {
		t.Fatal(err)
	}
	if got := tallyOf(t, p, 2); got != 9 {
		t.Error("not rebuilt after its fork failed:", got)
	}
	p.Close()
	if err := p.ForkSeq(1, 3); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := newGuest(abi.KindTokenizer, "").load(t, Options{}).ForkSeq(1, 2); err == nil {
		t.Error("forked a tokenizer's sequence")
	}
}

// A filter forked in the middle of a text goes on as if it had seen all of it.
func TestForkedFilter(t *testing.T) {
	for _, forks := range []int{-1, 4} {
		p := loadRedact(t, Options{Forks: forks})
		const text, rest = "Ann, born in Bath, wrote to ann@exam", "ple.org and went to bed."
		open(t, p, 1)
		pending := []byte(text)
		var shown bytes.Buffer
		feed := func(seq uint64, text []byte, flags uint32, to *bytes.Buffer) []byte {
			for {
				out, n, _, err := p.Filter(seq, text, flags)
				if err != nil {
					t.Fatal(err)
				}
				to.Write(out)
				if text = text[n:]; n == 0 || len(text) == 0 {
					return text
				}
			}
		}
		pending = feed(1, pending, 0, &shown)
		if err := p.ForkSeq(1, 2); err != nil {
			t.Fatal(err)
		}
		for seq := uint64(1); seq <= 2; seq++ {
			all := bytes.NewBuffer(bytes.Clone(shown.Bytes()))
			feed(seq, fmt.Appendf(bytes.Clone(pending), "%s", rest), abi.FlagEnd, all)
			if want := "Ann, born in Bath, wrote to [email] and went to bed."; all.String() != want {
				t.Errorf("forks %d, sequence %d: %q", forks, seq, all)
			}
		}
	}
}

func loadRedact(t testing.TB, o Options) *Plugin {
	t.Helper()
	p, err := Load(t.Context(), examples.Redact, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// opened is where a lateFrame guest notes that there was a sequence.
const opened = 2060

// lateFrame is a tally guest that has memory for a frame only once a sequence is open,
// so that no image of it has one.
func lateFrame(mode abi.Mode, act []byte) *guestModule {
	return tally(mode, act).
		with(abi.ExportSeqOpen, I32Const(opened), I32Const(1), I32Store(0), I32Const(0)).
		with(abi.ExportFrame, I32Const(opened), I32Load(0), Op(0x45), If(None, I32Const(0), Return),
			MemorySize, I32Const(16), Op(0x74), LocalGet(0), I32Const(65535), I32Add, I32Const(16), Op(0x76), MemoryGrow, Drop)
}

// A copy may have a frame that the image it began with has not.
func TestForkWithoutFramedImage(t *testing.T) {
	for _, mode := range []abi.Mode{abi.ModeMask, abi.ModeDense, abi.ModeCandidates} {
		p := lateFrame(mode, pickTally).load(t, Options{})
		open(t, p, 1)
		accept(t, p, 1, 9)
		if got := tallyOf(t, p, 1); got != 9 {
			t.Errorf("%s: %d", mode, got)
		}
		if err := p.ForkSeq(1, 2); err != nil {
			t.Fatal(err)
		}
		if !p.unframed || p.forks != 1 {
			t.Fatalf("%s: this tests nothing: %v, %d copies", mode, p.unframed, p.forks)
		}
		if got := tallyOf(t, p, 2); got != 9 {
			t.Errorf("%s: the fork's tally is %d", mode, got)
		}
	}
}

// A reset to an image without a frame leaves no row in what is then the guest's heap.
func TestResetWithoutFramedImage(t *testing.T) {
	g := lateFrame(abi.ModeDense, editTally)
	g.Memory(16, -1) // which need not grow for the frame
	g.noMemory = true
	g.with(abi.ExportFrame, framePtr, I32Const(0), I32Const(opened), I32Load(0), Select)
	p := g.load(t, Options{})
	open(t, p, 1)
	row, err := p.Frame(1, 2000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Process(1, nil, row); err != nil || !p.unframed {
		t.Fatal(err, p.unframed)
	}
	in := p.instances[0]
	mapped := in.mapped != nil && in.mapped[0] != nil
	if err := p.Reset(); err != nil {
		t.Fatal(err)
	}
	row[0] = 12345 // what the next request's logits would do
	mem, _ := in.raw.Mem(0, in.raw.MemSize())
	if mapped && bytes.Contains(mem, []byte{0, 0xe4, 0x40, 0x46}) {
		t.Error("the guest's heap holds a row of logits")
	}
}
