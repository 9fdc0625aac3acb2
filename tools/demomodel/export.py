"""`python export.py WORKDIR OUT.gguf`: writes the trained model and its tokenizer as GGUF with Q8_0 matrices."""
import sys

import torch

import corpus
import gguf
from model import Config
from train import vocabulary

LIMIT = 3_000_000  # bytes; the file lives in the repository


def metadata(c, tok):
    end, stop = tok.id[corpus.END], tok.id[corpus.STOP]
    normal, control = 1, 3
    types = [control if t in corpus.SPECIALS else normal for t in tok.tokens]
    llama = [("vocab_size", c.vocab), ("context_length", c.context), ("embedding_length", c.width), ("block_count", c.blocks),
             ("feed_forward_length", c.hidden), ("attention.head_count", c.heads), ("attention.head_count_kv", c.kv_heads),
             ("attention.key_length", c.head_dim), ("attention.value_length", c.head_dim), ("rope.dimension_count", c.head_dim)]
    return [
        ("general.architecture", gguf.STRING, "llama"),
        ("general.name", gguf.STRING, "sandwarp demo"),
        ("general.description", gguf.STRING, "A very small demonstration model: little stories and simple questions, from a corpus made by rules."),
        ("general.license", gguf.STRING, "apache-2.0"),
        ("general.file_type", gguf.U32, 7),  # mostly Q8_0
        ("general.quantization_version", gguf.U32, 2),
        *[("llama." + key, gguf.U32, value) for key, value in llama],
        ("llama.attention.layer_norm_rms_epsilon", gguf.FLOAT, c.eps),
        ("llama.rope.freq_base", gguf.FLOAT, c.theta),
        ("tokenizer.ggml.model", gguf.STRING, "gpt2"),
        ("tokenizer.ggml.pre", gguf.STRING, "qwen2"),
        ("tokenizer.ggml.tokens", gguf.ARRAY, (gguf.STRING, tok.tokens)),
        ("tokenizer.ggml.token_type", gguf.ARRAY, (gguf.I32, types)),
        ("tokenizer.ggml.merges", gguf.ARRAY, (gguf.STRING, [a + " " + b for a, b in tok.merges])),
        ("tokenizer.ggml.bos_token_id", gguf.U32, end),
        ("tokenizer.ggml.eos_token_id", gguf.U32, end),   # ends a text
        ("tokenizer.ggml.eot_token_id", gguf.U32, stop),  # ends a turn of a conversation
        ("tokenizer.ggml.padding_token_id", gguf.U32, end),
        ("tokenizer.ggml.add_bos_token", gguf.BOOL, False),
        ("tokenizer.chat_template", gguf.STRING, corpus.CHAT_TEMPLATE),
    ]


def main(workdir, path):
    c, tok = Config(), vocabulary(f"{workdir}/vocab.json")
    state = torch.load(f"{workdir}/checkpoint.pt")["model"]
    tensors = [(name, p.numpy()) for name, p in state.items()]  # the modules carry GGUF's tensor names
    gguf.write(path, metadata(c, tok), tensors)
    with open(path, "rb") as f:
        size = len(f.read())
    if size > LIMIT:
        raise SystemExit(f"{path}: {size} bytes, the limit is {LIMIT}")
    print(f"{path}: {size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
