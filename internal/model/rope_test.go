package model

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Frequencies and magnitudes computed independently, with numpy.
func TestRopeParams(t *testing.T) {
	plain := RopeConfig{Dims: 8, FreqBase: 10000, Factor: 1, OriginalContext: 512, BetaFast: 32, BetaSlow: 1, AttnFactor: 1, LinearAttnFactor: 1}
	with := func(change func(c *RopeConfig)) RopeConfig {
		c := plain
		change(&c)
		return c
	}
	for name, c := range map[string]struct {
		c       RopeConfig
		factors []float32
		freqs   []float64
		mscale  float64
	}{
		"plain":   {plain, nil, []float64{1, 0.1, 0.01, 0.001}, 1},
		"factors": {plain, []float32{1, 1, 4, 8}, []float64{1, 0.1, 0.0025, 0.000125}, 1},
		"linear":  {with(func(c *RopeConfig) { c.Factor = 4 }), nil, []float64{0.25, 0.025, 0.0025, 0.00025}, 1},
		"linear with magnitude": {with(func(c *RopeConfig) { c.Factor, c.AttnFactor, c.LinearAttnFactor = 4, 2, 1.5 }), nil,
			[]float64{0.25, 0.025, 0.0025, 0.00025}, 3},
		"yarn": {with(func(c *RopeConfig) { c.Dims, c.Factor, c.ExtFactor, c.OriginalContext = 16, 4, 1, 64 }), nil,
			[]float64{1, 0.23717082451262847, 0.05, 0.007905694150420948, 0.0025, 0.0007905694150420948, 0.00025, 7.905694150420948e-05}, 1.138629436111989},
		"yarn with magnitude": {with(func(c *RopeConfig) {
			c.Dims, c.Factor, c.ExtFactor, c.OriginalContext, c.AttnFactor, c.LinearAttnFactor = 2, 4, 1, 64, 2, 7
		}), nil,
			[]float64{1}, 2 * 1.138629436111989},
		"yarn that does not stretch": {with(func(c *RopeConfig) { c.ExtFactor = 1 }), nil, []float64{1, 0.1, 0.01, 0.001}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.c.params(c.factors)
			if d := cmp.Diff(c.freqs, got.Freqs, cmpopts.EquateApprox(1e-12, 0)); d != "" {
				t.Errorf("frequencies: -want +got\n%s", d)
			}
			if math.Abs(got.MScale-c.mscale) > 1e-12 || got.Dims != c.c.Dims || got.NEOX {
				t.Errorf("magnitude %v, want %v", got.MScale, c.mscale)
			}
		})
	}
}

// The blend keeps frequencies between the stretched and the plain one, falling,
// whatever the numbers are.
func TestYaRNStaysBetween(t *testing.T) {
	for _, beta := range []float64{0.001, 1, 32, 1e6} {
		for _, context := range []int{1, 64, 4096, math.MaxInt32} {
			c := RopeConfig{Dims: 64, FreqBase: 1e6, Factor: 8, ExtFactor: 1, OriginalContext: context, BetaFast: beta * 32, BetaSlow: beta, AttnFactor: 1}
			for i, f := range c.params(nil).Freqs {
				plain := math.Pow(1e6, -2*float64(i)/64)
				if !(f >= plain/8*(1-1e-12) && f <= plain*(1+1e-12)) {
					t.Errorf("beta %v, context %d: frequency %d is %v, plain %v", beta, context, i, f, plain)
				}
			}
		}
	}
}
