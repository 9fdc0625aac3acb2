// Package watermark finds the watermark that the sampler sandwarp/watermark
// (sdk/c/examples/watermark.c) leaves in a text: which tokens are green after which,
// and whether a text has more of them than chance gives.
//
// The method is that of Kirchenbauer et al. 2023, "A Watermark for Large Language
// Models", https://arxiv.org/abs/2301.10226.
package watermark

import (
	"errors"
	"math"
)

// Key says how texts are marked: the settings of the sampler. It is read only, and
// safe for concurrent use.
type Key struct {
	k0, k1 uint64
	gamma  float64
	below  uint64
	window int
}

// New returns the key of a secret. gamma is the part of the vocabulary that is green,
// window how many tokens before decide which; 0 stands for the sampler's defaults,
// 0.25 and 1.
func New(secret string, gamma float64, window int) (*Key, error) {
	if gamma == 0 {
		gamma = 0.25
	}
	if window == 0 {
		window = 1
	}
	switch {
	case secret == "":
		return nil, errors.New("watermark: the key is empty")
	case !(gamma > 0 && gamma < 1):
		return nil, errors.New("watermark: gamma must be between 0 and 1")
	case window < 1 || window > 8:
		return nil, errors.New("watermark: window must be from 1 to 8")
	}
	s := []byte(secret)
	return &Key{siphash(0, 0, s), siphash(0, 1, s), gamma, uint64(gamma * (1 << 53)), window}, nil
}

// Green says whether token is green after the tokens before it, of which as many as
// the window count. ok is false if there are fewer.
func (k *Key) Green(before []int32, token int32) (green, ok bool) {
	if len(before) < k.window {
		return false, false
	}
	context := k.context(before[len(before)-k.window:])
	return mix(context+0x9e3779b97f4a7c15*(uint64(uint32(token))+1))>>11 < k.below, true
}

func (k *Key) context(tokens []int32) uint64 {
	var b [32]byte
	n := 0
	for _, t := range tokens {
		b[n], b[n+1], b[n+2], b[n+3] = byte(t), byte(t>>8), byte(t>>16), byte(t>>24)
		n += 4
	}
	return siphash(k.k0, k.k1, b[:n])
}

// Score is what was counted in a text.
type Score struct {
	Tokens int     // that count: each once after the same tokens
	Green  int     // of them
	Z      float64 // how many standard deviations Green is above the mean without a mark
	P      float64 // the probability of so many or more without a mark
}

// Score counts the green tokens of a text. A token counts once after the same tokens
// before: repetitions tell nothing new, and would make a text look marked that only
// repeats itself. Z above 4 (P below 3e-5) is commonly taken for a mark.
func (k *Key) Score(tokens []int32) Score {
	type place struct {
		context uint64
		token   int32
	}
	seen := make(map[place]bool, len(tokens))
	var s Score
	for i := k.window; i < len(tokens); i++ {
		at := place{k.context(tokens[i-k.window : i]), tokens[i]}
		if seen[at] {
			continue
		}
		seen[at] = true
		s.Tokens++
		if green, _ := k.Green(tokens[:i], tokens[i]); green {
			s.Green++
		}
	}
	s.P = 1
	if s.Tokens > 0 {
		n := float64(s.Tokens)
		s.Z = (float64(s.Green) - k.gamma*n) / math.Sqrt(n*k.gamma*(1-k.gamma))
		s.P = tail(s.Tokens, s.Green, k.gamma)
	}
	return s
}

// tail is the probability of at least k successes in n tries.
func tail(n, k int, p float64) float64 {
	if k == 0 {
		return 1
	}
	lgamma := func(x int) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	sum := 0.0
	for i := n; i >= k; i-- { // from the smallest on
		sum += math.Exp(lgamma(n) - lgamma(i) - lgamma(n-i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return min(sum, 1)
}

// siphash is SipHash-2-4 (Aumasson and Bernstein 2012).
func siphash(k0, k1 uint64, p []byte) uint64 {
	v := [4]uint64{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	last := uint64(len(p)) << 56
	for ; len(p) >= 8; p = p[8:] {
		var m uint64
		for i := range 8 {
			m |= uint64(p[i]) << (8 * i)
		}
		sipWord(&v, m)
	}
	for i, c := range p {
		last |= uint64(c) << (8 * i)
	}
	sipWord(&v, last)
	v[2] ^= 0xff
	for range 4 {
		sipRound(&v)
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

func sipWord(v *[4]uint64, m uint64) {
	v[3] ^= m
	sipRound(v)
	sipRound(v)
	v[0] ^= m
}

func sipRound(v *[4]uint64) {
	turn := func(x uint64, n int) uint64 { return x<<n | x>>(64-n) }
	v[0] += v[1]
	v[1] = turn(v[1], 13) ^ v[0]
	v[0] = turn(v[0], 32)
	v[2] += v[3]
	v[3] = turn(v[3], 16) ^ v[2]
	v[0] += v[3]
	v[3] = turn(v[3], 21) ^ v[0]
	v[2] += v[1]
	v[1] = turn(v[1], 17) ^ v[2]
	v[2] = turn(v[2], 32)
}

// mix is the finish of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
