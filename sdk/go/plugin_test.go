//go:build !wasip1

package plugin

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/sandwarp/sandwarp/abi"
)

// recorder is a plugin of every kind that notes what it is told.
type recorder struct {
	config   []byte
	accepted []int32
	closed   []uint64
	sample   func(*Row) error
}

func (r *recorder) Configure(config []byte, m abi.Configure) error {
	if bytes.Equal(config, []byte{0xc2}) {
		return errors.New("no")
	}
	r.config = bytes.Clone(config)
	return nil
}

func (r *recorder) Open(seq *Seq) error {
	seq.State = "open"
	if seq.Config != nil {
		return abi.EINVAL.Errorf("sequence %d: %q", seq.ID, seq.Config)
	}
	return nil
}

func (r *recorder) Close(seq *Seq) { r.closed = append(r.closed, seq.ID) }

func (r *recorder) Accept(_ *Seq, tokens []int32) error {
	r.accepted = append(r.accepted, tokens...)
	return nil
}

func (r *recorder) Sample(row *Row) error { return r.sample(row) }

func (r *recorder) Filter(seq *Seq, pending []byte, flags uint32) Verdict {
	return Replace(len(pending), []byte(seq.State.(string)))
}

func TestSequences(t *testing.T) {
	r := &recorder{}
	ServeFilter(Manifest{Name: "r", Features: []string{"replay"}}, r)
	if served.manifest.Kind != abi.KindFilter || served.features != abi.FeatureReplay {
		t.Errorf("%+v", served.manifest)
	}
	if err := configure(abi.AppendConfigure(nil, &abi.Configure{Config: []byte{7}})); err != nil || !bytes.Equal(r.config, []byte{7}) {
		t.Errorf("%v %v", r.config, err)
	}
	if err := configure(abi.AppendConfigure(nil, &abi.Configure{Config: []byte{0xc2}})); fail(err) != abi.EIO || served.lastErr != "no" {
		t.Errorf("%v %q", err, served.lastErr)
	}
	if err := seqOpen(5, abi.AppendSeqOpen(nil, &abi.SeqOpen{})); err != nil {
		t.Fatal(err)
	}
	err := seqOpen(6, abi.AppendSeqOpen(nil, &abi.SeqOpen{Config: []byte{1}}))
	if fail(err) != abi.EINVAL || served.lastErr != `sequence 6: "\x01"` {
		t.Errorf("%v %q", err, served.lastErr)
	}
	v, err := filter(5, []byte("abc"), 0)
	if a, n, ok := abi.UnpackVerdict(v); err != nil || a != abi.ActionReplace || n != 3 || !ok || string(served.out) != "open" {
		t.Errorf("%v %d %q %v", a, n, served.out, err)
	}
	if err := accept(5, []int32{1, 2}); err != nil || !slices.Equal(r.accepted, []int32{1, 2}) {
		t.Errorf("%v %v", r.accepted, err)
	}
	if err := seqClose(5); err != nil || !slices.Equal(r.closed, []uint64{5}) {
		t.Errorf("%v %v", r.closed, err)
	}
	for _, err := range []error{seqClose(5), accept(5, nil)} {
		if fail(err) != abi.ENOENT {
			t.Error(err)
		}
	}
	if _, err := filter(5, nil, 0); fail(err) != abi.ENOENT {
		t.Error(err)
	}
	if err := sample(nil, 1); err == nil && fail(err) == abi.OK {
		t.Error("sampled by a filter")
	}
}

func TestRows(t *testing.T) {
	r := &recorder{}
	ServeSampler(Manifest{Name: "r", Mode: abi.ModeDense}, r)
	if err := seqOpen(9, abi.AppendSeqOpen(nil, &abi.SeqOpen{Seed: 3})); err != nil {
		t.Fatal(err)
	}
	l, err := abi.NewLayout(abi.ModeDense, 2, 100, 8, 4)
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, l.Size())
	l.PutHeader(frame, 1, 1, 1)
	row := abi.Row(frame[l.RowOff(1):])
	row.Begin(9, 17, 55, l.HistOff(1), 2, 8)
	copy(frame[l.HistOff(1):], []byte{1, 0, 0, 0, 2, 0, 0, 0})
	c := abi.Candidates(frame[l.CandOff(1):])
	for i := range 8 {
		c.Set(i, int32(i*10), float32(-i))
	}
	r.sample = func(row *Row) error {
		list, n := row.Candidates()
		if row.Vocab() != 100 || row.Pos() != 17 || row.Seed() != 55 || row.Seq.ID != 9 || n != 8 || list.ID(3) != 30 ||
			!slices.Equal(row.History(), []int32{1, 2}) || len(row.Logits()) != 100 || len(row.Mask()) != 4 {
			t.Errorf("%+v", row)
		}
		row.Logits()[99] = 1
		row.Pick(99)
		return nil
	}
	if err := sample(frame, 1); err != nil || row.Action() != abi.ChoicePick || row.Token() != 99 {
		t.Errorf("%v %v %d", err, row.Action(), row.Token())
	}
	for want, f := range map[abi.Choice]func(*Row){
		abi.ChoiceEdit: (*Row).UseLogits, abi.ChoiceKeep: func(r *Row) { r.KeepCandidates(3) },
		abi.ChoiceMask: func(r *Row) { r.UseMask(nil) }, abi.ChoiceBias: func(r *Row) { r.UseBiases(Biases{}.Add(1, 2)) },
	} {
		r.sample = func(row *Row) error { f(row); return nil }
		if err := sample(frame, 1); err != nil || row.Action() != want {
			t.Errorf("%v, want %v: %v", row.Action(), want, err)
		}
	}
	frame[0]++
	if err := sample(frame, 1); err == nil {
		t.Error("took a frame of another kind")
	}
}

// whole is a sampler with everything.
type whole struct{ recorder }

func (w *whole) Plan(row *Row) error {
	row.UseBiases(Biases{}.Add(3, 1))
	return nil
}

func (w *whole) Rollback(_ *Seq, n int) error {
	w.accepted = w.accepted[:len(w.accepted)-n]
	return nil
}

func (w *whole) Fork(src, dst *Seq) error {
	dst.State = src.State.(string) + ", copied"
	return nil
}

func TestOptionalParts(t *testing.T) {
	w := &whole{}
	ServeSampler(Manifest{Name: "w", Mode: abi.ModeMask}, w)
	if err := seqOpen(1, abi.AppendSeqOpen(nil, &abi.SeqOpen{Seed: 3})); err != nil {
		t.Fatal(err)
	}
	if err := fork(1, 2); err != nil || served.seqs[2].State != "open, copied" || served.seqs[2].Seed != 3 || served.seqs[2].ID != 2 {
		t.Errorf("%v %+v", err, served.seqs[2])
	}
	if err := accept(1, []int32{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if err := rollback(1, 2); err != nil || !slices.Equal(w.accepted, []int32{1}) {
		t.Errorf("%v %v", err, w.accepted)
	}
	l, err := abi.NewLayout(abi.ModeMask, 1, 100, 8, 0)
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, l.Size())
	l.PutHeader(frame, 0, 1, 1)
	row := abi.Row(frame[l.RowOff(0):])
	row.Begin(1, 0, 0, 0, 0, 0)
	if err := plan(frame, 1); err != nil || row.Action() != abi.ChoiceBias || row.OutN() != 1 {
		t.Errorf("%v %v", err, row.Action())
	}
	for _, err := range []error{fork(9, 1), rollback(9, 1)} {
		if fail(err) != abi.ENOENT {
			t.Error(err)
		}
	}
	ServeSampler(Manifest{Name: "r", Mode: abi.ModeMask}, &recorder{})
	for _, err := range []error{fork(1, 2), rollback(1, 1), plan(frame, 1)} {
		if fail(err) != abi.ENOSYS {
			t.Error(err)
		}
	}
}

func TestSplitVocab(t *testing.T) {
	b := []byte{2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c'}
	if v, err := splitVocab(b); err != nil || !slices.Equal(v, []string{"a", "bc"}) {
		t.Errorf("%q %v", v, err)
	}
	for _, bad := range [][]byte{nil, b[:10], b[:17], {255, 255, 255, 255, 0, 0, 0, 0}} {
		if v, err := splitVocab(bad); err == nil {
			t.Errorf("%v gives %q", bad, v)
		}
	}
}

// The native stand-ins of host functions mean what the host's mean.
func TestNativeOps(t *testing.T) {
	logits := []float32{1, -2, 3, 0}
	out := make(abi.Candidates, 2*abi.CandidateSize)
	if n, err := TopK(logits, 2, out); n != 2 || err != nil || out.ID(0) != 2 || out.ID(1) != 0 {
		t.Errorf("%d %v %v", n, err, out)
	}
	if err := Penalty(logits, []int32{2, 2, 9}, 2, 0.5, 0.25); err != nil || logits[2] != 0.5 {
		t.Errorf("%v %v", logits, err)
	}
	if err := Scale(logits, 2, 1); err != nil || logits[0] != 3 {
		t.Errorf("%v %v", logits, err)
	}
	if got := LogSumExp([]float32{0, 0}); got < 0.693 || got > 0.694 {
		t.Error(got)
	}
	if err := Gather(logits, []int32{3, 0}, logits[:2]); err != nil || logits[0] != 1 {
		t.Errorf("%v %v", logits, err)
	}
	if err := ApplyMask(logits, []uint32{0b0111}); err != nil || logits[3] >= -1e30 {
		t.Errorf("%v %v", logits, err)
	}
	if err := Set("k", []byte("v")); err != nil {
		t.Error(err)
	}
	if v, err := Get("k"); err != nil || string(v) != "v" {
		t.Errorf("%q %v", v, err)
	}
	if a, b, c, d := Rand(), Rand(), Now(), Now(); a == b || c >= d {
		t.Error("random numbers or the clock stand still")
	}
}
