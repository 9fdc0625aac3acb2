package main

import (
	"math"
	"slices"
	"strconv"

	"github.com/sandwarp/sandwarp/abi"
	plugin "github.com/sandwarp/sandwarp/sdk/go"
)

// policy is what applies to a sequence, ready to be handed over.
type policy struct {
	list  plugin.Biases // bans (-Inf) and biases
	allow []uint32      // a bit for each token; nil: all are allowed
	vocab int           // the list holds no id beyond it; 0 if not yet checked
}

const maxID, maxItems = abi.MaxVocab - 1, 1 << 24

func (p *policy) n() int { return len(p.list) / abi.CandidateSize }

func (p *policy) clone() *policy {
	return &policy{list: slices.Clone(p.list), allow: slices.Clone(p.allow), vocab: p.vocab}
}

func known(vocab, id uint32) error {
	if vocab == 0 || id < vocab {
		return nil
	}
	return abi.ERANGE.Errorf("token %d: the vocabulary has %d", id, vocab)
}

func (p *policy) read(config []byte, vocab uint32, request bool) error {
	r := abi.NewReader("configuration", config)
	p.vocab = 0
	for n := r.Map(maxItems); n > 0; n-- {
		key := string(r.Bytes(maxItems))
		if r.Err() != nil {
			break
		}
		var err error
		switch {
		case key == "ban":
			err = p.readBan(r, vocab)
		case key == "allow":
			err = p.readAllow(r, vocab)
		case key == "bias":
			err = p.readBias(r, vocab)
		case key == "seed" && request:
			r.Skip()
		default:
			err = abi.EINVAL.Errorf("unknown key %s; known are ban, allow, bias", key)
		}
		if err != nil {
			return err
		}
	}
	if r.Err() != nil {
		return abi.EINVAL.Errorf("the configuration is not a map")
	}
	return p.settle()
}

func (p *policy) readBan(r *abi.Reader, vocab uint32) error {
	for n := r.Array(maxItems); n > 0; n-- {
		id := uint32(r.Uint(maxID))
		if r.Err() != nil {
			break
		}
		if err := known(vocab, id); err != nil {
			return err
		}
		p.list = p.list.Add(int32(id), float32(math.Inf(-1)))
	}
	if r.Err() != nil {
		return abi.EINVAL.Errorf("ban: want an array of token ids")
	}
	return nil
}

// readID reads a token id: a number, or decimal text.
func readID(r *abi.Reader) uint32 {
	if !r.IsString() {
		return uint32(r.Uint(maxID))
	}
	text := r.Bytes(maxItems)
	id := 0
	for _, c := range text {
		if len(text) > 7 || c < '0' || c > '9' {
			r.Fail("not an id")
		}
	}
	if r.Err() == nil {
		id, _ = strconv.Atoi(string(text))
	}
	if len(text) == 0 || id > maxID {
		r.Fail("not an id")
	}
	return uint32(id)
}

func (p *policy) readBias(r *abi.Reader, vocab uint32) error {
	for n := r.Map(maxItems); n > 0; n-- {
		id := readID(r)
		by := float32(r.Float())
		if !(by <= math.MaxFloat32) { // NaN as well
			r.Fail("not finite")
		}
		if r.Err() != nil {
			break
		}
		if err := known(vocab, id); err != nil {
			return err
		}
		p.list = p.list.Add(int32(id), by)
	}
	if r.Err() != nil {
		return abi.EINVAL.Errorf("bias: want a map of token ids to finite numbers")
	}
	return nil
}

// readAllow reads the allowed ids into a mask, less what is not allowed already.
func (p *policy) readAllow(r *abi.Reader, vocab uint32) error {
	n := r.Array(maxItems)
	var mask []uint32
	for range n {
		id := uint32(r.Uint(maxID))
		if r.Err() != nil {
			break
		}
		if err := known(vocab, id); err != nil {
			return err
		}
		for int(id/32) >= len(mask) {
			mask = append(mask, 0)
		}
		mask[id/32] |= 1 << (id % 32)
	}
	if r.Err() != nil || n == 0 {
		return abi.EINVAL.Errorf("allow: want an array of token ids, one at least")
	}
	for i := range mask {
		switch {
		case p.allow == nil:
		case i < len(p.allow):
			mask[i] &= p.allow[i]
		default:
			mask[i] = 0
		}
	}
	p.allow = mask
	return nil
}

// settle takes banned tokens out of the mask; something must be left.
func (p *policy) settle() error {
	if p.allow == nil {
		return nil
	}
	list := abi.Candidates(p.list)
	for i := range p.n() {
		id := list.ID(i)
		if math.IsInf(float64(list.Logit(i)), -1) && int(id/32) < len(p.allow) {
			p.allow[id/32] &^= 1 << (id % 32)
		}
	}
	for _, word := range p.allow {
		if word != 0 {
			return nil
		}
	}
	return abi.EINVAL.Errorf("allow: no token is left")
}

// fit leaves out ids beyond the vocabulary, the first time its size is seen.
func (p *policy) fit(vocab int) {
	if p.vocab == vocab {
		return
	}
	list := abi.Candidates(p.list)
	kept := p.list[:0]
	for i := range p.n() {
		if id := list.ID(i); int(id) < vocab {
			kept = kept.Add(id, list.Logit(i))
		}
	}
	p.list, p.vocab = kept, vocab
}
