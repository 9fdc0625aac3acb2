// Command banlist is a sampler that excludes tokens, or makes them more or less likely.
//
// It answers in mask mode with a list of biases, so that it needs no logits, and a step
// costs no more than reading the list. With "allow" it sets a mask besides. Its answers
// do not depend on the text, so that it plans all of them.
//
// Configuration of the plugin, of a request, or both; every key may be left out:
//
//	ban     [id, ...]           never these
//	allow   [id, ...]           only these
//	bias    {id: number, ...}   added to the logit; ids may be decimal text, for
//	                            JSON's sake; -Infinity is a ban
//
// What both say applies: bans and biases add up, allowed is what both allow. Ids the
// model does not have are an error if the host names the vocabulary's size at the
// start, and otherwise without effect.
package main

import (
	"github.com/sandwarp/sandwarp/abi"
	plugin "github.com/sandwarp/sandwarp/sdk/go"
	_ "github.com/sandwarp/sandwarp/sdk/go/fork"
	_ "github.com/sandwarp/sandwarp/sdk/go/plan"
)

func init() {
	plugin.ServeSampler(plugin.Manifest{
		Name: "sandwarp/banlist", Version: "1.0.0", Mode: abi.ModeMask,
		Description: "Excludes tokens, or makes them more or less likely",
		Fuel:        20_000_000, ConfigureFuel: 2_000_000_000,
	}, &banlist{})
}

func main() {}

type banlist struct {
	standard policy
	vocab    uint32 // 0 if not known
}

func (b *banlist) Configure(config []byte, host abi.Configure) error {
	b.vocab = host.Vocab
	if config == nil {
		return nil
	}
	return b.standard.read(config, b.vocab, false)
}

func (b *banlist) Open(seq *plugin.Seq) error {
	seq.State = &b.standard
	if seq.Config == nil {
		return nil
	}
	own := b.standard.clone()
	seq.State = own
	return own.read(seq.Config, b.vocab, true)
}

// Sample answers with the sequence's policy.
func (b *banlist) Sample(row *plugin.Row) error {
	p := row.Seq.State.(*policy)
	p.fit(row.Vocab())
	switch {
	case p.n() > row.Vocab():
		return abi.E2BIG.Errorf("there are more bans and biases than tokens")
	case p.allow != nil:
		copy(row.Mask(), p.allow)
		row.UseMask(p.list)
	case p.n() > 0:
		row.UseBiases(p.list)
	}
	return nil
}

// Plan is Sample: no logits are needed.
func (b *banlist) Plan(row *plugin.Row) error { return b.Sample(row) }

// Fork copies the request's own policy.
func (b *banlist) Fork(src, dst *plugin.Seq) error {
	p := src.State.(*policy)
	if p != &b.standard {
		p = p.clone()
	}
	dst.State = p
	return nil
}
