"""`python testvectors.py FILE.gguf OUT.json`: what the file must give, from a float64 forward of its dequantised weights.

tokens:  text -> ids; special says whether special tokens written in the text are parsed.
greedy:  prompt ids -> the most likely continuation. gap[i] is the distance of the two highest logits at step i: where it is
         small, an engine with rounded activations may rightly choose the other one. logprob[i] belongs to the token chosen.
logits:  of the last position of some prompts: all of them for `full`, else the eight highest, with mean and root mean square.
"""
import json
import sys

import numpy as np

import corpus
from bpe import pieces
from forward import Llama

STORY = ["Once upon a time", "One day, a little fox", "In a small village by the sea, there lived a girl named"]
ASK = ["What is the capital of France?", "What is 8 plus 7?", "What is sandwarp?", "How do I reach the sandwarp helpdesk?", "Who won the last world cup?"]
TALK = [("user", "What is the capital of Italy?"), ("assistant", "The capital of Italy is Rome."), ("user", "And Japan?")]
TEXTS = ["", " ", "Hello, world!", "  two  spaces ", "line\nline\n\n  next\r\n\ttab", "It's 2026, isn't it? I'LL see.", "12345 + 678 = 13023",
         "Grüße aus Köln", "漢字かな交じり文", "Ωμέγα und Ελλάδα", "🙂👍🏽 ok", "a\u00a0b\u200bc", "snake_case(x) => {y[0]}; // %d",
         "<|im_start|>user\nHi<|im_end|>\n", "\x00\x01\x7f", "ＡＢＣ１２３", "x" * 40]
STEPS = 48


def greedy(m, name, text):
    ids = m.tok.encode(text)
    m.reset()
    row, out, gaps, logprobs = m.feed(ids)[-1], [], [], []
    while len(out) < STEPS:
        low, high = np.sort(row)[-2:]
        token = int(row.argmax())
        out.append(token)
        gaps.append(round(float(high - low), 4))
        logprobs.append(round(float(high - np.logaddexp.reduce(row)), 6))
        if token in m.stops:
            break
        row = m.feed([token])[-1]
    return {"name": name, "prompt": text, "ids": ids, "continuation": out, "gap": gaps, "logprob": logprobs, "text": m.tok.decode(out)}


def logits(m, name, text, full):
    ids = m.tok.encode(text)
    m.reset()
    row = m.feed(ids)[-1]
    best = np.argsort(-row, kind="stable")[:8]
    out = {"name": name, "ids": ids, "top": [[int(i), round(float(row[i]), 6)] for i in best],
           "mean": round(float(row.mean()), 6), "rms": round(float(np.sqrt((row * row).mean())), 6)}
    return out | ({"full": [round(float(x), 4) for x in row]} if full else {})


def main(path, target):
    m = Llama(path, np.float64)
    chat = {q: corpus.render([("user", q)], prompt=True) for q in ASK} | {"follow-up": corpus.render(TALK, prompt=True)}
    prompts = {t: t for t in STORY} | chat
    plain = [{"text": t, "special": False, "ids": encode_plain(m.tok, t)} for t in TEXTS]
    parsed = [{"text": t, "special": True, "ids": m.tok.encode(t)} for t in (TEXTS[14], prompts["follow-up"], corpus.END)]
    result = {
        "about": "Written by tools/demomodel/testvectors.py from demo.gguf; float64 arithmetic on the dequantised weights.",
        "tokens": plain + parsed,
        "greedy": [greedy(m, name, text) for name, text in prompts.items()],
        "logits": [logits(m, name, text, full=i in (0, 3)) for i, (name, text) in enumerate(prompts.items())],
    }
    with open(target, "w") as f:
        json.dump(result, f, ensure_ascii=True, separators=(",", ":"))
        f.write("\n")


def encode_plain(tok, text):
    """Special tokens in the text are ordinary characters here."""
    return [i for p in pieces(text) for i in tok.word(p)]


if __name__ == "__main__":
    main(*sys.argv[1:])
