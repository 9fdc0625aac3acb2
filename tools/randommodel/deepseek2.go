package main

// latent holds the sizes that only DeepSeek-2 has: attention over a latent vector
// (MLA) and a mixture of experts.
type latent struct {
	query, kv          int // ranks of the latent vectors
	rope, plain, value int // of a head: columns with and without rotation, of values
	dense              int // first layers without experts
	experts, used      int
	ff                 int // width of an expert
	shared             int // experts that every token uses
}

// meta adds what the architecture is described with. The rotated key is shared by all
// heads, so the cache holds one head of kv+rope columns.
func (d *latent) meta(m map[string]any) {
	for key, v := range map[string]int{
		"attention.q_lora_rank": d.query, "attention.kv_lora_rank": d.kv, "attention.head_count_kv": 1,
		"attention.key_length": d.kv + d.rope, "attention.value_length": d.kv,
		"attention.key_length_mla": d.plain + d.rope, "attention.value_length_mla": d.value,
		"rope.dimension_count": d.rope, "leading_dense_block_count": d.dense,
		"expert_count": d.experts, "expert_used_count": d.used, "expert_feed_forward_length": d.ff,
		"expert_shared_count": d.shared, "expert_gating_func": 2, // sigmoid
	} {
		m[key] = uint32(v)
	}
	m["expert_weights_scale"], m["expert_weights_norm"] = float32(2.446), true
}

// block adds the tensors of layer b, whose names begin with p, behind attn_norm.
func (d *latent) block(l *list, s *shape, p string, b int) {
	l.add(p+"attn_q_a.weight", d.query, s.width)
	l.add(p+"attn_q_a_norm.weight", d.query)
	l.add(p+"attn_q_b.weight", s.heads*(d.plain+d.rope), d.query)
	l.add(p+"attn_kv_a_mqa.weight", d.kv+d.rope, s.width)
	l.add(p+"attn_kv_a_norm.weight", d.kv)
	l.add(p+"attn_k_b.weight", s.heads, d.kv, d.plain)
	l.add(p+"attn_v_b.weight", s.heads, d.value, d.kv)
	l.add(p+"attn_output.weight", s.width, s.heads*d.value)
	l.add(p+"ffn_norm.weight", s.width)
	if b < d.dense {
		l.add(p+"ffn_gate.weight", s.ff, s.width)
		l.add(p+"ffn_up.weight", s.ff, s.width)
		l.add(p+"ffn_down.weight", s.width, s.ff)
		return
	}
	l.add(p+"ffn_gate_inp.weight", d.experts, s.width)
	l.add(p+"exp_probs_b.bias", d.experts)
	l.add(p+"ffn_gate_exps.weight", d.experts, d.ff, s.width)
	l.add(p+"ffn_up_exps.weight", d.experts, d.ff, s.width)
	l.add(p+"ffn_down_exps.weight", d.experts, s.width, d.ff)
	l.add(p+"ffn_gate_shexp.weight", d.shared*d.ff, s.width)
	l.add(p+"ffn_up_shexp.weight", d.shared*d.ff, s.width)
	l.add(p+"ffn_down_shexp.weight", s.width, d.shared*d.ff)
}
