package modeltest

// Vocab is the number of tokens of every model here: 256 bytes, 28 merged pairs
// and 4 control tokens.
const Vocab = 288

// The control tokens.
const (
	BOS     int32 = 284 // <|bos|>
	EOS     int32 = 285 // <|eos|>
	IMStart int32 = 286 // <|im_start|>
	IMEnd   int32 = 287 // <|im_end|>
)

// ChatTemplate is the models' chat template, in the manner of ChatML.
const ChatTemplate = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" +
	"{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

// pairs are merged in this order; "_" stands for a space.
var pairs = [][2]string{
	{"t", "h"}, {"th", "e"}, {"_", "the"}, {"i", "n"}, {"_", "a"}, {"e", "r"}, {"o", "n"}, {"_", "s"}, {"a", "n"}, {"an", "d"},
	{"_", "and"}, {"r", "e"}, {"_", "w"}, {"o", "u"}, {"in", "g"}, {"_", "b"}, {"e", "d"}, {"l", "l"}, {"h", "e"}, {"_", "to"},
	{"t", "o"}, {"_", "o"}, {"i", "s"}, {"o", "r"}, {"a", "t"}, {"_", "he"}, {"e", "n"}, {"_", "c"},
}

// vocabulary is a byte-level BPE vocabulary: token i of the first 256 is the byte
// that is i-th when bytes are ordered by the printable character that stands for
// them (Radford et al. 2019).
func vocabulary(arch string) map[string]any {
	tokens := make([]string, 0, Vocab)
	for _, r := range alphabet() {
		tokens = append(tokens, string(r))
	}
	merges := make([]string, len(pairs))
	for i, p := range pairs {
		left, right := spaced(p[0]), spaced(p[1])
		merges[i] = left + " " + right
		tokens = append(tokens, left+right)
	}
	types := make([]int32, Vocab)
	for i := range types {
		types[i] = 1 // normal
	}
	for _, s := range []string{"<|bos|>", "<|eos|>", "<|im_start|>", "<|im_end|>"} {
		types[len(tokens)] = 3 // control
		tokens = append(tokens, s)
	}
	pre := "qwen2"
	if arch == "llama" {
		pre = "llama-bpe"
	}
	return map[string]any{
		"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre,
		"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types, "tokenizer.ggml.merges": merges,
		"tokenizer.ggml.bos_token_id": uint32(BOS), "tokenizer.ggml.eos_token_id": uint32(EOS),
		"tokenizer.ggml.add_bos_token": false, "tokenizer.chat_template": ChatTemplate,
	}
}

func spaced(s string) string {
	if s[0] == '_' {
		return string(rune(0x120)) + s[1:] // what stands for byte 32
	}
	return s
}

// alphabet is the printable characters that stand for the bytes, in ascending
// order: those of Latin-1 that are visible stand for themselves, the others for
// 256 and up.
func alphabet() []rune {
	visible := func(b rune) bool { return b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae && b <= 0xff }
	var all []rune
	for b := rune(0); b < 256; b++ {
		if visible(b) {
			all = append(all, b)
		}
	}
	for n := rune(256); len(all) < 256; n++ {
		all = append(all, n)
	}
	return all
}
