// Command bytes is a tokenizer whose ids are the bytes, and some more for control
// tokens.
//
// Ids 0 to 255 stand for the bytes; 256 and the following for the control tokens, in
// the order of the configuration:
//
//	special   [text, ...]   at most 32 of 1 to 32 bytes each, all different;
//	                        ["<|begin|>", "<|end|>"] if it is left out
//
// Where several control tokens match, the longest wins.
package main

import (
	"slices"
	"strings"

	"github.com/sandwarp/sandwarp/abi"
	plugin "github.com/sandwarp/sandwarp/sdk/go"
)

func init() {
	plugin.ServeTokenizer(plugin.Manifest{
		Name: "sandwarp/bytes", Version: "1.0.0",
		Description: "Bytes as tokens, and control tokens",
		Fuel:        20_000_000, FuelPerByte: 20_000, ConfigureFuel: 2_000_000_000, Vocab: 288,
	}, &tokens{special: []string{"<|begin|>", "<|end|>"}})
}

func main() {}

const most = 32 // control tokens, and bytes of one

type tokens struct{ special []string }

// Configure reads {"special": [text, ...]}.
func (t *tokens) Configure(config []byte, _ abi.Configure) error {
	if config == nil {
		return nil
	}
	t.special = nil
	r := abi.NewReader("configuration", config)
	for n := r.Map(len(config)); n > 0; n-- {
		key := string(r.Bytes(len(config)))
		if r.Err() != nil {
			break
		}
		if key != "special" {
			return abi.EINVAL.Errorf("unknown key %s; known is special", key)
		}
		if err := t.read(r, len(config)); err != nil {
			return err
		}
	}
	if r.Err() != nil {
		return abi.EINVAL.Errorf("the configuration is not a map")
	}
	return nil
}

func (t *tokens) read(r *abi.Reader, max int) error {
	for n := r.Array(max); n > 0; n-- {
		text := string(r.Bytes(max))
		switch {
		case r.Err() != nil:
		case len(t.special) == most || text == "" || len(text) > most:
			return abi.EINVAL.Errorf("special: at most 32 texts of 1 to 32 bytes each")
		case slices.Contains(t.special, text):
			return abi.EINVAL.Errorf("special: %s appears twice", text)
		}
		t.special = append(t.special, text)
	}
	if r.Err() != nil {
		return abi.EINVAL.Errorf("special: want an array of texts")
	}
	return nil
}

// control is the longest control token that text begins with, -1 for none.
func (t *tokens) control(text string) int {
	best, longest := -1, 0
	for i, s := range t.special {
		if len(s) > longest && strings.HasPrefix(text, s) {
			best, longest = i, len(s)
		}
	}
	return best
}

// Encode appends the ids of text.
func (t *tokens) Encode(ids []int32, text []byte, special bool) ([]int32, error) {
	ids = slices.Grow(ids, len(text))
	if !special {
		for _, c := range text {
			ids = append(ids, int32(c))
		}
		return ids, nil
	}
	for s := string(text); s != ""; {
		if k := t.control(s); k >= 0 {
			ids, s = append(ids, int32(256+k)), s[len(t.special[k]):]
		} else {
			ids, s = append(ids, int32(s[0])), s[1:]
		}
	}
	return ids, nil
}

// Decode appends the bytes of ids.
func (t *tokens) Decode(text []byte, ids []int32, special bool) ([]byte, error) {
	for _, id := range ids {
		switch {
		case id < 0 || int(id) >= 256+len(t.special):
			return nil, abi.ERANGE.Errorf("token %d: the vocabulary has %d", id, 256+len(t.special))
		case id < 256:
			text = append(text, byte(id))
		case special:
			text = append(text, t.special[id-256]...)
		}
	}
	return text, nil
}
