// Command bias is a sampler that allows only some tokens, bans tokens, or makes
// them more or less likely. The plugin's configuration holds for all requests and
// a request's own comes on top (an "allow" of the request takes the place of the
// plugin's):
//
//	{"allow": [t, ...], "ban": [t, ...], "bias": [[t, number], ...]}
//
// where t is a token's id or its text. It works in mask mode: it never sees the
// logits, and the host applies its lists.
package main

import (
	"github.com/sandwarp/sandwarp/abi"
	plugin "github.com/sandwarp/sandwarp/sdk/go"
)

func init() {
	plugin.ServeSampler(plugin.Manifest{
		Name: "sandwarp/bias-go", Version: "1.0.0", Mode: abi.ModeMask,
		Description:          "allows, bans, or biases tokens by id or by text",
		OptionalCapabilities: []string{abi.CapVocab},
		Fuel:                 20_000_000, ConfigureFuel: 2_000_000_000,
	}, &bias{})
}

func main() {}

type bias struct {
	vocab    vocabulary
	standard request // of requests without lists of their own
}

// request is what applies to a sequence, laid out for a vocabulary.
type request struct {
	lists
	vocab  int // the laid out lists are for, 0 for none yet
	biases plugin.Biases
	bits   []uint32
}

func (b *bias) Configure(config []byte, _ abi.Configure) error {
	return b.standard.read(config, &b.vocab)
}

func (b *bias) Open(seq *plugin.Seq) error {
	seq.State = &b.standard
	if seq.Config == nil {
		return nil
	}
	own := &request{lists: b.standard.clone()}
	var asked lists
	if err := asked.read(seq.Config, &b.vocab); err != nil {
		return err
	}
	if asked.allow != nil {
		own.allow = asked.allow
	}
	for id, by := range asked.change {
		own.change[id] += by
	}
	seq.State = own
	return nil
}

// Sample answers with the sequence's lists.
func (b *bias) Sample(row *plugin.Row) error {
	q := row.Seq.State.(*request)
	if q.vocab != row.Vocab() {
		q.vocab, q.biases = row.Vocab(), q.lists.biases(row.Vocab())
		q.bits = make([]uint32, len(row.Mask()))
		q.mask(q.bits, q.vocab)
	}
	switch {
	case q.allow != nil:
		copy(row.Mask(), q.bits)
		row.UseMask(q.biases)
	case len(q.biases) > 0:
		row.UseBiases(q.biases)
	}
	return nil
}
