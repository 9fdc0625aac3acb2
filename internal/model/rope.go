package model

import (
	"fmt"
	"math"

	"github.com/sandwarp/sandwarp/internal/plan"
)

// RopeConfig says how positions turn queries and keys. Metadata names as in the
// GGUF specification.
type RopeConfig struct {
	NEOX     bool
	Dims     int     // leading columns of a head that are rotated, even
	FreqBase float64 // theta

	// Factor stretches positions: 1 for none.
	Factor float64
	// ExtFactor is how far the fast frequencies are spared from stretching: 0 for
	// linear scaling, 1 for YaRN.
	ExtFactor        float64
	OriginalContext  int     // before stretching
	BetaFast         float64 // turns over OriginalContext from which none is stretched
	BetaSlow         float64 // and below which all is
	AttnFactor       float64 // multiplies the magnitude of queries and keys
	LinearAttnFactor float64 // so, too, but only where ExtFactor is 0
}

// rope reads everything about rotary embeddings. Without a scaling type a factor
// means linear scaling; rope.scale_linear is what it was called first.
func (r *reader) rope(c *Config) RopeConfig {
	p := RopeConfig{NEOX: families[c.Arch].neox, Factor: 1}
	p.Dims = r.int("rope.dimension_count", c.KeyDim, 2, c.KeyDim)
	if p.Dims%2 != 0 {
		r.refuse("rope.dimension_count", p.Dims, fmt.Sprintf("even numbers from 2 to %d", c.KeyDim))
	}
	p.FreqBase = r.float("rope.freq_base", 10000, 1, 1e12)
	kind := r.scalingType()
	if kind != "none" {
		p.Factor = r.float("rope.scaling.factor", r.float("rope.scale_linear", 1, 0, 1e6), 0, 1e6)
	}
	if kind == "yarn" {
		p.ExtFactor = 1
	}
	if e := r.float("rope.scaling.yarn_ext_factor", -1, -2, 1); e >= 0 {
		p.ExtFactor = e
	}
	p.OriginalContext = r.int("rope.scaling.original_context_length", c.Context, 1, maxInt32)
	p.BetaFast = r.float("rope.scaling.yarn_beta_fast", 32, 0, 1e6)
	p.BetaSlow = r.float("rope.scaling.yarn_beta_slow", 1, 0, 1e6)
	p.AttnFactor = r.float("rope.scaling.attn_factor", 1, 0, 1e3)
	p.LinearAttnFactor = r.float("rope.scaling.yarn_attn_factor", 1, 0, 1e3)
	if m := r.float("rope.scaling.yarn_log_multiplier", 0, -1, 1e3); m != 0 {
		r.refuse("rope.scaling.yarn_log_multiplier", m, "0 for this architecture")
	}
	return p
}

func (r *reader) scalingType() string {
	if r.err != nil {
		return ""
	}
	kind, err := r.f.String(r.name+".rope.scaling.type", "linear")
	if err != nil {
		r.wrap(err, "none, linear, yarn")
	}
	switch kind {
	case "none", "linear", "yarn":
	default:
		r.refuse("rope.scaling.type", fmt.Sprintf("%.40q", kind), "none, linear, yarn")
	}
	return kind
}

// params folds all scaling into frequencies (Dims/2) and a magnitude. factors
// (Dims/2), nil for none, divide the frequencies: Llama 3 stores its scaling so.
//
// With L the original context, frequency i turns L*freq/2pi times over it. YaRN
// (Peng et al. 2023) keeps those that turn more often than BetaFast, stretches
// those below BetaSlow by Factor, and blends in between.
func (c *RopeConfig) params(factors []float32) *plan.RopeParams {
	p := &plan.RopeParams{NEOX: c.NEOX, Dims: c.Dims, Freqs: make([]float64, c.Dims/2), MScale: c.AttnFactor}
	turnsAt := func(beta float64) float64 { // the i whose frequency turns beta times
		return float64(c.Dims) * math.Log(float64(c.OriginalContext)/(beta*2*math.Pi)) / (2 * math.Log(c.FreqBase))
	}
	lo := max(0, math.Floor(turnsAt(c.BetaFast)))
	hi := min(float64(c.Dims-1), math.Ceil(turnsAt(c.BetaSlow)))
	for i := range p.Freqs {
		freq := math.Pow(c.FreqBase, -2*float64(i)/float64(c.Dims))
		if factors != nil {
			freq /= float64(factors[i])
		}
		slow := min(1, max(0, (float64(i)-lo)/max(0.001, hi-lo)))
		kept := c.ExtFactor * (1 - slow)
		p.Freqs[i] = freq/c.Factor*(1-kept) + freq*kept
	}
	switch {
	case c.ExtFactor == 0:
		p.MScale *= c.LinearAttnFactor
	case c.Factor > 1:
		p.MScale *= 1 + 0.1*math.Log(c.Factor)
	}
	return p
}
