package quantize

import (
	"fmt"
	"strings"

	"github.com/sandwarp/sandwarp/internal/tensor"
)

// Mix says which format each kind of tensor gets. The mixes are those of
// llama-quantize, by the same names, so that a file of a name means the same
// everywhere.
type Mix struct {
	Name string
	// Base is the format of most matrices.
	Base tensor.DType
	// size is 'S' or 'M' for the mixes of K formats, which give some tensors
	// more bits.
	size byte
	// fileType is the number of general.file_type.
	fileType uint32
}

var mixes = []Mix{
	{"F32", tensor.F32, 0, 0},
	{"F16", tensor.F16, 0, 1},
	{"BF16", tensor.BF16, 0, 32},
	{"Q8_0", tensor.Q8_0, 0, 7},
	{"Q6_K", tensor.Q6_K, 0, 18},
	{"Q5_K_M", tensor.Q5_K, 'M', 17},
	{"Q5_K_S", tensor.Q5_K, 'S', 16},
	{"Q5_1", tensor.Q5_1, 0, 9},
	{"Q5_0", tensor.Q5_0, 0, 8},
	{"Q4_K_M", tensor.Q4_K, 'M', 15},
	{"Q4_K_S", tensor.Q4_K, 'S', 14},
	{"Q4_1", tensor.Q4_1, 0, 3},
	{"Q4_0", tensor.Q4_0, 0, 2},
}

// alias are further names, those of llama-quantize too.
var alias = map[string]string{"Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}

// Names lists the mixes, the largest files first.
func Names() []string {
	names := make([]string, len(mixes))
	for i, m := range mixes {
		names[i] = m.Name
	}
	return names
}

// ParseMix finds a mix by name, in upper or lower case; "Q4_K" and "Q5_K" stand
// for their M mixes.
func ParseMix(name string) (Mix, error) {
	wanted := strings.ToUpper(name)
	if a, ok := alias[wanted]; ok {
		wanted = a
	}
	for _, m := range mixes {
		if m.Name == wanted {
			return m, nil
		}
	}
	return Mix{}, fmt.Errorf("quantize: unknown format %q, want one of %s", name, strings.Join(Names(), " "))
}

// shape is what the choice of formats depends on besides a tensor itself.
type shape struct {
	layers  int
	experts int
	tied    bool // no output.weight: the token embedding is the output matrix too
}

func shapeOf(tensors []tensor.Desc) shape {
	s := shape{tied: true}
	for _, t := range tensors {
		s.layers = max(s.layers, layerOf(t.Name)+1)
		s.tied = s.tied && t.Name != "output.weight"
	}
	return s
}

// Formats are the formats the mix gives the tensors of a dense model.
func (m Mix) Formats(tensors []tensor.Desc) []tensor.DType {
	s := shapeOf(tensors)
	formats := make([]tensor.DType, len(tensors))
	for i, t := range tensors {
		formats[i], _ = m.choose(t, s, false)
	}
	return formats
}

// keeps reports whether a tensor stays as it is: everything but matrices that
// are multiplied with, and of those the router, whose small errors would send
// tokens to other experts.
func keeps(d tensor.Desc) bool {
	if d.Rows() < 2 || !strings.HasSuffix(d.Name, ".weight") {
		return true // biases of experts are matrices in shape only
	}
	for _, part := range []string{
		"_norm.weight", "ffn_gate_inp.weight", "rope_freqs", "rope_factors",
		"position_embd", "token_types", "attn_rel_b", "ssm_conv1d", "shortconv.conv",
	} {
		if strings.Contains(d.Name, part) {
			return true
		}
	}
	return false
}

// choose returns the format of a tensor, and whether it is a substitute because
// its rows do not fit the one intended.
func (m Mix) choose(d tensor.Desc, s shape, pure bool) (t tensor.DType, substitute bool) {
	if keeps(d) {
		return d.DType, false
	}
	t = m.Base
	if t.BlockElems() > 1 && !pure {
		t = m.intended(d, s)
	}
	for d.RowLen()%t.BlockElems() != 0 {
		t, substitute = smaller(t), true
	}
	return t, substitute
}

// smaller is the format for rows that are no multiple of t's block: the next
// better one with blocks of 32, in the end F16.
func smaller(t tensor.DType) tensor.DType {
	switch t {
	case tensor.Q4_K:
		return tensor.Q5_0
	case tensor.Q5_K:
		return tensor.Q5_1
	case tensor.Q6_K:
		return tensor.Q8_0
	}
	return tensor.F16
}

// intended is the format of a matrix in a mix. The output matrix decides every
// token and gets at least Q6_K. The M mixes give six bits to the value and down
// projections, which suffer most, in the layers of moreBits; the S mix of Q4_K
// gives them five in the first layers. With eight experts the attention is a
// small part of the model, so it gets more.
func (m Mix) intended(d tensor.Desc, s shape) tensor.DType {
	layer := layerOf(d.Name)
	value := has(d.Name, "attn_v.weight", "attn_qkv.weight", "attn_kv_b.weight")
	down := has(d.Name, "ffn_down")
	k4small := m.size == 'S' && m.Base == tensor.Q4_K
	switch {
	case d.Name == "output.weight", s.tied && d.Name == "token_embd.weight":
		if d.RowLen()%m.Base.BlockElems() != 0 || m.Base == tensor.Q8_0 {
			return tensor.Q8_0
		}
		return tensor.Q6_K
	case s.experts == 8 && (value || has(d.Name, "attn_k.weight")):
		return tensor.Q8_0
	case s.experts == 8 && has(d.Name, "attn_output.weight") && m.Base == tensor.Q4_K:
		return tensor.Q5_K
	case m.size == 'M' && (value || down) && moreBits(layer, s.layers):
		return tensor.Q6_K
	case k4small && (value && layer < 4 || down && layer < s.layers/8):
		return tensor.Q5_K
	}
	return m.Base
}

// moreBits chooses the first and last eighth of the layers and every third one
// between them.
func moreBits(layer, layers int) bool {
	eighth := layers / 8
	return layer < eighth || layer >= 7*layers/8 || (layer-eighth)%3 == 2
}

func has(name string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(name, p) {
			return true
		}
	}
	return false
}

// layerOf is the n of "blk.n.", 0 where there is none.
func layerOf(name string) int {
	n := 0
	rest, ok := strings.CutPrefix(name, "blk.")
	for i := 0; ok && i < len(rest) && i < 6 && rest[i] >= '0' && rest[i] <= '9'; i++ {
		n = 10*n + int(rest[i]-'0')
	}
	return n
}
