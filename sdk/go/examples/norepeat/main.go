// Command norepeat is a sampler that lets no run of n tokens come twice in an answer.
//
// It keeps the tokens of each answer. Where the last n-1 of them stood before, among the
// last 4,096, what followed them there is excluded: the latest 256 such tokens. It needs no
// logits, so it plans each step while the model computes; it takes tokens back, and copies
// a sequence, by itself. A step is bounded, however long the answer is.
//
// Configuration of the plugin, of a request, or both:
//
//	n   2 to 16, default 3
package main

import (
	"math"
	"slices"

	"github.com/sandwarp/sandwarp/abi"
	plugin "github.com/sandwarp/sandwarp/sdk/go"
	_ "github.com/sandwarp/sandwarp/sdk/go/fork"
	_ "github.com/sandwarp/sandwarp/sdk/go/plan"
	_ "github.com/sandwarp/sandwarp/sdk/go/rollback"
)

func init() {
	plugin.ServeSampler(plugin.Manifest{
		Name: "sandwarp/norepeat", Version: "1.0.0", Mode: abi.ModeMask,
		Description: "Lets no run of n tokens come twice in an answer",
		Fuel:        100_000_000, ConfigureFuel: 2_000_000_000,
	}, &noRepeat{n: 3})
}

func main() {}

const window, most = 4096, 256

type noRepeat struct{ n int }

// story is what is known of an answer.
type story struct {
	tokens []int32
	n      int
	ids    []int32       // excluded now
	list   plugin.Biases // the same as an answer, which must stay in place
}

func (p *noRepeat) Configure(config []byte, _ abi.Configure) (err error) {
	p.n, err = read(config, false, p.n)
	return err
}

func (p *noRepeat) Open(seq *plugin.Seq) error {
	n, err := read(seq.Config, true, p.n)
	seq.State = &story{n: n}
	return err
}

// read reads n, and of a request the seed, which is the host's.
func read(config []byte, request bool, n int) (int, error) {
	if config == nil {
		return n, nil
	}
	r := abi.NewReader("configuration", config)
	for pairs := r.Map(len(config)); pairs > 0; pairs-- {
		key := string(r.Bytes(len(config)))
		switch {
		case r.Err() != nil:
		case request && key == "seed":
			r.Skip()
		case key == "n":
			if n = int(r.Uint(16)); r.Err() != nil || n < 2 {
				return 0, abi.EINVAL.Errorf("n: want 2 to 16")
			}
		default:
			return 0, abi.EINVAL.Errorf("unknown key %s; known is n", key)
		}
	}
	if r.Err() != nil {
		return 0, abi.EINVAL.Errorf("the configuration is not a map")
	}
	return n, nil
}

// exclude lists what would complete a run, the latest first; a token must be left.
func (s *story) exclude(vocab int) {
	s.ids, s.list = s.ids[:0], s.list[:0]
	run, left := s.n-1, min(most, vocab-1)
	end := len(s.tokens) - run
	if end <= 0 {
		return
	}
	last := s.tokens[end:]
	for at := end - 1; at >= max(0, end-window) && left > 0; at-- {
		id := s.tokens[at+run]
		if slices.Equal(s.tokens[at:at+run], last) && id >= 0 && int(id) < vocab && !slices.Contains(s.ids, id) {
			s.ids = append(s.ids, id)
			s.list = s.list.Add(id, float32(math.Inf(-1)))
			left--
		}
	}
}

func (p *noRepeat) Sample(row *plugin.Row) error {
	s := row.Seq.State.(*story)
	if s.exclude(row.Vocab()); len(s.list) > 0 {
		row.UseBiases(s.list)
	}
	return nil
}

// Plan is Sample: no logits are needed.
func (p *noRepeat) Plan(row *plugin.Row) error { return p.Sample(row) }

func (p *noRepeat) Accept(seq *plugin.Seq, tokens []int32) error {
	s := seq.State.(*story)
	s.tokens = append(s.tokens, tokens...)
	return nil
}

func (p *noRepeat) Rollback(seq *plugin.Seq, n int) error {
	s := seq.State.(*story)
	if n > len(s.tokens) {
		return abi.EINVAL.Errorf("so many tokens were not accepted")
	}
	s.tokens = s.tokens[:len(s.tokens)-n]
	return nil
}

func (p *noRepeat) Fork(src, dst *plugin.Seq) error {
	s := src.State.(*story)
	dst.State = &story{n: s.n, tokens: slices.Clone(s.tokens)}
	return nil
}
