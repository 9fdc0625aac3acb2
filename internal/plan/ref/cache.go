package ref

import (
	"fmt"

	"github.com/sandwarp/sandwarp/internal/plan"
)

// Cache is a KV cache: for each layer and sequence a row of keys and a row of
// values per position.
type Cache struct {
	// Round, if set, is applied to every number AppendKV stores: the rounding of a
	// backend whose cache is not float64.
	Round func(float64) float64

	p      *plan.Plan
	layers []map[int32]*sequence
}

type sequence struct {
	keys, values [][]float64 // by position; nil where nothing was stored
}

// NewCache returns an empty cache for the layers of p.
func NewCache(p *plan.Plan) *Cache {
	c := &Cache{p: p, layers: make([]map[int32]*sequence, len(p.KV))}
	for i := range c.layers {
		c.layers[i] = map[int32]*sequence{}
	}
	return c
}

// Set stores the key (Heads*KeyDim) and the value (Heads*ValueDim) of a position,
// as they are. It keeps the slices and panics if they have another length.
func (c *Cache) Set(layer int, seq, pos int32, key, value []float64) {
	kv := c.p.KV[layer]
	if len(key) != kv.Heads*kv.KeyDim || len(value) != kv.Heads*kv.ValueDim {
		panic(fmt.Sprintf("ref: key of %d and value of %d for layer %d, want %d heads of %d and %d",
			len(key), len(value), layer, kv.Heads, kv.KeyDim, kv.ValueDim))
	}
	s := c.layers[layer][seq]
	if s == nil {
		s = &sequence{}
		c.layers[layer][seq] = s
	}
	for int(pos) >= len(s.keys) {
		s.keys, s.values = append(s.keys, nil), append(s.values, nil)
	}
	s.keys[pos], s.values[pos] = key, value
}

// Get returns what is stored at a position, nil where nothing is. The slices are
// the cache's own.
func (c *Cache) Get(layer int, seq, pos int32) (key, value []float64) {
	s := c.layers[layer][seq]
	if s == nil || pos < 0 || int(pos) >= len(s.keys) {
		return nil, nil
	}
	return s.keys[pos], s.values[pos]
}

// append stores the batch's rows.
func (c *Cache) append(layer int, env *Env, keys, values [][]float64) {
	for r := range keys {
		c.Set(layer, env.Seq[r], env.Pos[r], c.round(keys[r]), c.round(values[r]))
	}
}

func (c *Cache) round(x []float64) []float64 {
	if c.Round == nil {
		return x
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = c.Round(v)
	}
	return out
}

// upTo returns the keys and values of positions 0 to pos.
func (c *Cache) upTo(layer int, seq, pos int32) (keys, values [][]float64, err error) {
	s := c.layers[layer][seq]
	for i := int32(0); i <= pos; i++ {
		if s == nil || int(i) >= len(s.keys) || s.keys[i] == nil {
			return nil, nil, fmt.Errorf("layer %d, sequence %d: nothing is stored at position %d", layer, seq, i)
		}
	}
	return s.keys[:pos+1], s.values[:pos+1], nil
}
