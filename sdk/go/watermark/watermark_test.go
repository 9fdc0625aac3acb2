package watermark

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The first vectors of the reference implementation: key 00 01 ... 0f, input 00 01 ...
func TestSipHash(t *testing.T) {
	const k0, k1 = 0x0706050403020100, 0x0f0e0d0c0b0a0908
	var in []byte
	for i, want := range []uint64{0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d} {
		if got := siphash(k0, k1, in); got != want {
			t.Errorf("%d bytes: %x, want %x", i, got, want)
		}
		in = append(in, byte(i))
	}
	in = in[:0]
	for i := range 15 {
		in = append(in, byte(i))
	}
	if got := siphash(k0, k1, in); got != 0xa129ca6149be45e5 {
		t.Errorf("the paper's vector: %x", got)
	}
}

func TestTail(t *testing.T) {
	for _, c := range []struct {
		n, k int
		p    float64
		want float64
	}{{10, 0, 0.5, 1}, {10, 10, 0.5, 1.0 / 1024}, {10, 5, 0.5, 638.0 / 1024}, {1, 1, 0.25, 0.25}} {
		if got := tail(c.n, c.k, c.p); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestChance: texts nobody marked score as chance has it.
func TestChance(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, gamma := range []float64{0.1, 0.25, 0.5} {
		for _, window := range []int{1, 4} {
			k, err := New("secret", gamma, window)
			if err != nil {
				t.Fatal(err)
			}
			var sum, squares float64
			over, low := 0, 0
			const texts = 4000
			for range texts {
				tokens := make([]int32, 120)
				for i := range tokens {
					tokens[i] = int32(r.IntN(30000))
				}
				s := k.Score(tokens)
				sum += s.Z
				squares += s.Z * s.Z
				if s.Z > 4 {
					over++
				}
				if s.P < 0.05 {
					low++
				}
			}
			mean, sd := sum/texts, math.Sqrt(squares/texts)
			t.Logf("gamma %.2f, window %d: z mean %.3f, deviation %.3f; above 4: %d of %d; p below 0.05: %.3f", gamma, window, mean, sd, over, texts, float64(low)/texts)
			if math.Abs(mean) > 0.06 || math.Abs(sd-1) > 0.05 || over > 3 || float64(low)/texts > 0.06 {
				t.Error("not as chance has it")
			}
		}
	}
}

// TestRepetition: a text that only repeats itself is no marked text.
func TestRepetition(t *testing.T) {
	k, _ := New("secret", 0.25, 1)
	var most float64
	for first := range int32(200) {
		text := make([]int32, 400)
		for i := range text {
			text[i] = first + int32(i%3)
		}
		s := k.Score(text)
		if s.Tokens != 3 {
			t.Fatalf("%+v", s)
		}
		most = max(most, s.Z)
	}
	if most > 4 {
		t.Errorf("z %v", most)
	}
	if s := k.Score(nil); s.Tokens != 0 || s.P != 1 || s.Z != 0 {
		t.Errorf("%+v", s)
	}
}

func TestNew(t *testing.T) {
	for _, c := range []struct {
		secret string
		gamma  float64
		window int
	}{{"", 0, 0}, {"x", 1, 0}, {"x", -0.1, 0}, {"x", math.NaN(), 0}, {"x", 0.5, 9}, {"x", 0.5, -1}} {
		if _, err := New(c.secret, c.gamma, c.window); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
	k, err := New("x", 0, 0)
	if err != nil || k.gamma != 0.25 || k.window != 1 {
		t.Errorf("%+v, %v", k, err)
	}
	if _, ok := k.Green(nil, 3); ok {
		t.Error("nothing came before")
	}
}
