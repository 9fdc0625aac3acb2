package ref

import (
	"fmt"
	"math"

	"github.com/sandwarp/sandwarp/internal/plan"
)

func (m *Machine) embed(s *plan.Step, env *Env) ([][]float64, error) {
	if len(env.Tokens) != len(env.Pos) {
		return nil, fmt.Errorf("no tokens")
	}
	w, d := m.weight(s.W[plan.WEmbed]), m.p.ValueInfo(s.Out[0]).Width
	out := make([][]float64, len(env.Tokens))
	for r, t := range env.Tokens {
		out[r] = w[int(t)*d : (int(t)+1)*d]
	}
	return out, nil
}

// norm normalises each run of len(w) columns: the whole row for RMSNorm.
func norm(x [][]float64, w []float64, eps float64) [][]float64 {
	out := make([][]float64, len(x))
	for r, row := range x {
		out[r] = make([]float64, len(row))
		for h := 0; h < len(row); h += len(w) {
			sum := 0.0
			for _, v := range row[h : h+len(w)] {
				sum += v * v
			}
			scale := 1 / math.Sqrt(sum/float64(len(w))+eps)
			for i, v := range row[h : h+len(w)] {
				out[r][h+i] = v * scale * w[i]
			}
		}
	}
	return out
}

// linear multiplies by the transpose of a matrix (n, k) and adds a bias (n), if
// there is one.
func (m *Machine) linear(x [][]float64, mat, bias plan.Weight) [][]float64 {
	w, n := m.weight(mat), m.p.WeightDesc(mat).Rows()
	out := make([][]float64, len(x))
	for r, row := range x {
		out[r] = make([]float64, n)
		for i := range n {
			out[r][i] = dot(row, w[i*len(row):(i+1)*len(row)])
		}
		if bias != 0 {
			for i, b := range m.weight(bias) {
				out[r][i] += b
			}
		}
	}
	return out
}

// dot keeps four sums, for the processor adds only so fast to one.
func dot(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	for len(a) >= 4 && len(b) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	for i, v := range a {
		s0 += v * b[i]
	}
	return s0 + s1 + (s2 + s3)
}

// rope rotates pairs of columns of each head by position times frequency.
func rope(x [][]float64, pos []int32, dim int, p *plan.RopeParams) [][]float64 {
	out := make([][]float64, len(x))
	for r, row := range x {
		out[r] = append([]float64(nil), row...)
		for i, freq := range p.Freqs {
			sin, cos := math.Sincos(float64(pos[r]) * freq)
			sin, cos = sin*p.MScale, cos*p.MScale
			j, k := 2*i, 2*i+1
			if p.NEOX {
				j, k = i, i+p.Dims/2
			}
			for h := 0; h < len(row); h += dim {
				a, b := row[h+j], row[h+k]
				out[r][h+j], out[r][h+k] = a*cos-b*sin, a*sin+b*cos
			}
		}
	}
	return out
}

// attention lets each head of each row look at its sequence's positions up to the
// row's own. q: (rows, Heads*KeyDim); out: (rows, Heads*ValueDim).
func attention(kv plan.KVLayer, s *plan.Step, env *Env, q [][]float64) ([][]float64, error) {
	heads, group := s.Attr.Heads, s.Attr.Heads/s.Attr.KVHeads
	out := make([][]float64, len(q))
	for r, row := range q {
		keys, values, err := env.Cache.upTo(s.Layer, env.Seq[r], env.Pos[r])
		if err != nil {
			return nil, err
		}
		out[r] = make([]float64, heads*kv.ValueDim)
		p := make([]float64, len(keys))
		for h := range heads {
			query, from := row[h*kv.KeyDim:(h+1)*kv.KeyDim], h/group
			for t, k := range keys {
				p[t] = float64(s.Attr.Scale) * dot(query, k[from*kv.KeyDim:(from+1)*kv.KeyDim])
			}
			softmax(p)
			head := out[r][h*kv.ValueDim : (h+1)*kv.ValueDim]
			for t, v := range values {
				for i, x := range v[from*kv.ValueDim : (from+1)*kv.ValueDim] {
					head[i] += p[t] * x
				}
			}
		}
	}
	return out, nil
}

func softmax(x []float64) {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	sum := 0.0
	for i, v := range x {
		x[i] = math.Exp(v - top)
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}

func silu(x float64) float64 { return x / (1 + math.Exp(-x)) }

func each(x, y [][]float64, f func(a, b float64) float64) [][]float64 {
	out := make([][]float64, len(x))
	for r := range x {
		out[r] = make([]float64, len(x[r]))
		for i, a := range x[r] {
			out[r][i] = f(a, y[r][i])
		}
	}
	return out
}
