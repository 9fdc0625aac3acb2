"""`python eval.py FILE.gguf [--every N]`: what the final file really does: exact answers in per cent, and sample stories.

--every N asks only every Nth question.
"""
import argparse
from collections import Counter
import random

import numpy as np

import chats
import corpus
import facts
import unknown
from forward import Llama

OPENINGS = ["Once upon a time", "One day, a little", "In a small village", "Once upon a time, there was a little dragon named", "Long ago,"]


def answer(m, turns):
    """(text of the greedy reply, whether it ended with the end-of-turn token)."""
    ids = m.tok.encode(corpus.render(turns, prompt=True))
    out = m.generate(ids, 120)
    return m.tok.decode(out), out[-1] == m.tok.id[corpus.STOP]


def score(m, name, questions, wrong):
    """questions: [(turns, answer, group)]. Prints the share answered exactly and ended properly."""
    good, groups = 0, Counter()
    for turns, want, group in questions:
        got, ended = answer(m, turns)
        if got == want and ended:
            good += 1
        else:
            groups[group] += 1
            wrong.append((name, turns[-1][1], got, want, ended))
    print(f"{name}: {good}/{len(questions)} = {100 * good / len(questions):.1f}%  wrong by group: {dict(groups)}", flush=True)


def follow_ups(count, seed=5):
    """Last answers of multi-turn conversations drawn from the grammar, with all earlier turns given."""
    r, out = random.Random(seed), []
    while len(out) < count:
        kind = r.choice([chats.capitals, chats.sums, chats.days, chats.animal, chats.opposites, chats.remembered])
        turns = kind(r)
        out.append((turns[:-1], turns[-1][1], kind.__name__))
    return out


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("file")
    ap.add_argument("--every", type=int, default=1)
    ap.add_argument("--samples", type=int, default=2)
    args = ap.parse_args()
    m = Llama(args.file)
    ask = lambda q: [("user", q)]
    all_facts, wrong = facts.all_facts(), []
    taught = [(ask(q), f.answer, f.group) for f in all_facts for q in f.taught]
    held = [(ask(q), f.answer, f.group) for f in all_facts for q in f.held]
    score(m, "taught phrasings", taught[::args.every], wrong)
    score(m, "held-out phrasings", held[::args.every], wrong)
    score(m, "declined, taught", [(ask(q), facts.UNKNOWN, "unknown") for q in unknown.TAUGHT_SAMPLE[::args.every]], wrong)
    score(m, "declined, held out", [(ask(q), facts.UNKNOWN, "unknown") for q in unknown.held()], wrong)
    score(m, "follow-up questions", follow_ups(240 // args.every), wrong)
    for name, q, got, want, ended in wrong[:60]:
        print(f"  [{name}] {q!r} -> {got!r}{'' if ended else ' (not ended)'}, want {want!r}")
    stories(m, args.samples)


def stories(m, samples):
    rng = np.random.default_rng(7)
    for opening in OPENINGS:
        for temperature in [0.0] + [0.7] * samples:
            out = m.generate(m.tok.encode(opening), 400, temperature, rng)
            end = "ended" if out[-1] in m.stops else "not ended"
            print(f"\n--- {opening!r}, temperature {temperature}, {len(out)} tokens, {end}\n{opening}{m.tok.decode(out)}")


if __name__ == "__main__":
    main()
