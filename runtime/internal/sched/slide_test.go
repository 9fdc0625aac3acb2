package sched

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// diary writes down what it is told, and takes back.
type diary struct {
	idler
	opened, closed int
	accepted       []int32
	took           []int // back, by call
}

func (p *diary) OpenSeq(uint64, []byte) error { p.opened++; return nil }
func (p *diary) CloseSeq(uint64)              { p.closed++ }
func (p *diary) Accept(_ uint64, ids []int32) error {
	p.accepted = append(p.accepted, ids...)
	return nil
}

func (p *diary) Rollback(_ uint64, n int) error {
	p.took = append(p.took, n)
	p.accepted = p.accepted[:len(p.accepted)-n]
	return nil
}

// TestProcessorsStayOpenOverSlides has sequences slide many times beside each other,
// more than there are places for.
func TestProcessorsStayOpenOverSlides(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := start(t, toyLimits(), nil)
		var all []*Request
		var notes []*diary
		for i := range 7 {
			d := &diary{}
			r := &Request{Cache: &Cache{}, Prompt: prompt(5, i), MaxTokens: 300, Room: 64, Processors: []Processor{d}}
			if err := s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			all, notes = append(all, r), append(notes, d)
		}
		got := make([][]int32, len(all))
		var slides atomic.Int32
		var readers sync.WaitGroup
		for i, r := range all {
			readers.Go(func() {
				for e, ok := r.Next(); ok; e, ok = r.Next() {
					got[i] = append(got[i], e.ID)
					if e.Slid {
						slides.Add(1)
					}
				}
			})
		}
		readers.Wait()
		for i, r := range all {
			if want := aloneIn(64, r.Prompt, 300, r.Sample, nil); !slices.Equal(got[i], want) {
				t.Errorf("request %d: %v, want %v", i, got[i], want)
			}
			if d := notes[i]; d.opened != 1 || d.closed != 1 || !slices.Equal(d.accepted, got[i]) || d.took != nil {
				t.Errorf("request %d: opened %d times, closed %d, %d tokens accepted, %v taken back", i, d.opened, d.closed, len(d.accepted), d.took)
			}
			if _, st, err := r.Ended(); st.Generated != 300 || st.Prompt != 5 || err != nil {
				t.Errorf("request %d: %+v, %v", i, st, err)
			}
		}
		if n := slides.Load(); n < 7*5 {
			t.Errorf("%d slides", n)
		}
	})
}

// TestWaitingSlidesAreClosed cancels sequences, or closes the scheduler, while they
// wait for their turn after a slide.
func TestWaitingSlidesAreClosed(t *testing.T) {
	for _, closes := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			lim := toyLimits()
			lim.MaxSeqs = 1
			s, _ := start(t, lim, nil)
			d := &diary{}
			first := &Request{Cache: &Cache{}, Prompt: prompt(5, 1), MaxTokens: 100, Room: 16, Processors: []Processor{d}}
			second := &Request{Cache: &Cache{}, Prompt: prompt(5, 2), MaxTokens: 100}
			for _, r := range []*Request{first, second} {
				if err := s.Submit(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			for range 9 { // two more are there: 16 ids
				first.Next()
			}
			synctest.Wait()
			if l := s.Load(); l.Waiting != 1 || d.opened != 1 || d.closed != 0 {
				t.Fatalf("%+v, %+v", l, d)
			}
			if closes {
				s.Close()
			} else {
				first.Cancel()
			}
			drain(first)
			second.Cancel()
			drain(second)
			if d.closed != 1 || !closes && !slices.Equal(d.took, []int{2}) {
				t.Errorf("%+v", d)
			}
		})
	}
}

// TestTakesBackWhatNobodyRead ends an answer while the scheduler is ahead of its
// reader.
func TestTakesBackWhatNobodyRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := start(t, toyLimits(), nil)
		for read := range 6 {
			d := &diary{}
			r := &Request{Cache: &Cache{}, Prompt: prompt(5, 1), MaxTokens: 6, Processors: []Processor{d, &idler{}}}
			if err := s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			var got []int32
			for range read {
				e, _ := r.Next()
				got = append(got, e.ID)
			}
			synctest.Wait()
			ended := read+runAhead >= 6 // it was over before the reader left
			r.Cancel()
			drain(r)
			want := []int{runAhead}
			if ended {
				want, got = nil, aloneIn(0, r.Prompt, 6, r.Sample, nil)
			}
			if !slices.Equal(d.took, want) || !slices.Equal(d.accepted, got) || d.closed != 1 {
				t.Errorf("%d read: %v taken back, %v accepted, read %v", read, d.took, d.accepted, got)
			}
		}
	})
}
