package main

import (
	"math"
	"slices"

	"github.com/sandwarp/sandwarp/abi"
	plugin "github.com/sandwarp/sandwarp/sdk/go"
)

// lists say which tokens are allowed, banned or changed.
type lists struct {
	allow  []int32 // sorted; nil: all
	change map[int32]float32
}

const maxEntries = 1 << 20

// vocabulary finds tokens by their text. It is asked for at most once, and only
// if a configuration names texts.
type vocabulary struct {
	loaded bool
	err    error
	ids    map[string][]int32 // several tokens can have the same text
}

func (v *vocabulary) find(text string) ([]int32, error) {
	if !v.loaded {
		v.loaded = true
		var pieces []string
		pieces, v.err = plugin.Vocab()
		v.ids = make(map[string][]int32, len(pieces))
		for id, s := range pieces {
			v.ids[s] = append(v.ids[s], int32(id))
		}
	}
	return v.ids[text], v.err
}

// read adds a configuration to l: {"allow": [t, ...], "ban": [t, ...],
// "bias": [[t, number], ...]}, where t is a token's id or its text.
func (l *lists) read(config []byte, v *vocabulary) error {
	if config == nil {
		return nil
	}
	r := abi.NewReader("bias configuration", config)
	change := func(ids []int32, by float32) {
		if l.change == nil {
			l.change = map[int32]float32{}
		}
		for _, id := range ids {
			l.change[id] += by
		}
	}
	r.Fields(16, func(key string) {
		switch key {
		case "allow":
			if l.allow == nil {
				l.allow = []int32{}
			}
			each(r, func() { l.allow = append(l.allow, token(r, v)...) })
		case "ban":
			each(r, func() { change(token(r, v), float32(math.Inf(-1))) })
		case "bias":
			each(r, func() {
				if n := r.Array(2); n != 2 {
					r.Fail("bias: want pairs of a token and a number")
					return
				}
				ids := token(r, v)
				by := r.Float()
				if !(math.Abs(by) <= 1000) && !math.IsInf(by, -1) {
					r.Fail("bias: want a number from -1000 to 1000, or -infinity")
					return
				}
				change(ids, float32(by))
			})
		default:
			r.Skip()
		}
	})
	slices.Sort(l.allow)
	l.allow = slices.Compact(l.allow)
	return r.Done()
}

func each(r *abi.Reader, f func()) {
	for n := r.Array(maxEntries); n > 0 && r.Err() == nil; n-- {
		f()
	}
}

// token reads an id or a text and returns the ids it stands for.
func token(r *abi.Reader, v *vocabulary) []int32 {
	if r.IsString() {
		text := r.String(1024)
		ids, err := v.find(text)
		if err != nil {
			r.Fail("token %q: the vocabulary is not to be had: %v", text, err)
		} else if len(ids) == 0 {
			r.Fail("no token has the text %q", text)
		}
		return ids
	}
	return []int32{int32(r.Uint(abi.MaxVocab - 1))}
}

// clone copies l, so that a request can add to the plugin's lists.
func (l *lists) clone() lists {
	c := lists{allow: slices.Clone(l.allow), change: make(map[int32]float32, len(l.change))}
	for id, by := range l.change {
		c.change[id] = by
	}
	return c
}

// biases is the list as the host takes it, for a vocabulary of n tokens.
func (l *lists) biases(n int) plugin.Biases {
	ids := make([]int32, 0, len(l.change))
	for id := range l.change {
		if int(id) < n {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var b plugin.Biases
	for _, id := range ids {
		b = b.Add(id, l.change[id])
	}
	return b
}

// mask sets the bits of the allowed tokens.
func (l *lists) mask(bits []uint32, n int) {
	for _, id := range l.allow {
		if int(id) < n {
			bits[id/32] |= 1 << (id % 32)
		}
	}
}
