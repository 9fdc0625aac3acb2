"""The corpus: documents from a seed. `python corpus.py OUT.jsonl [COUNT]` writes one JSON document a line.

A document is plain text (a story, or a question with its answer without chat markup) or a rendered conversation. Special
tokens are written as text here; the tokenizer maps them back to their ids.
"""
import json
import random
import sys

import chats
import scenes
import story

END, START, STOP = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIALS = [END, START, STOP]
CHAT_TEMPLATE = ("{%- for message in messages -%}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{%- endfor -%}"
                 "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}")
SEED = 20261123
SCENE_SHARE = 0.15


def render(turns, prompt=False):
    """The conversation as CHAT_TEMPLATE renders it; prompt adds the start of the assistant's turn."""
    text = "".join(f"{START}{role}\n{content}{STOP}\n" for role, content in turns)
    return text + (f"{START}assistant\n" if prompt else "")


def document(r, stretch=1, scene_share=SCENE_SHARE):
    """One document, without the end-of-text token. stretch makes conversations that many times as long."""
    if r.random() < scene_share:
        return scenes.make(r)
    k = r.random()
    if k < 0.33:
        return story.make(r)[0]
    if k < 0.37:
        (_, q), (_, a) = chats.plain(r)
        return r.choice(["Question: {}\nAnswer: {}", "Q: {}\nA: {}", "{} {}", "{}\n{}"]).format(q, a)
    return render(chats.make(r, stretch))


def documents(count, seed=SEED):
    r = random.Random(seed)
    for _ in range(count):
        yield document(r)


if __name__ == "__main__":
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 30000
    with open(sys.argv[1], "w") as out:
        for text in documents(count):
            out.write(json.dumps(text) + "\n")
