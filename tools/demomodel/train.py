"""Trains tokenizer and model. `python train.py WORKDIR` writes WORKDIR/{vocab.json,checkpoint.pt,loss.csv}; started again,
it goes on from the last checkpoint. Seeds are fixed; float32 throughout.
"""
import argparse
import csv
import json
import math
import os
import random
import time

import torch
import torch.nn.functional as F

import bpe
import corpus
from model import Config, Model
from muon import Muon

MERGES = 1021  # 256 bytes + 1021 merges + 3 special tokens = 1280
ADAM_PEAK, MUON_PEAK, FLOOR, WARMUP = 1.5e-3, 0.01, 0.01, 60  # FLOOR is a share of the peak
USER_WEIGHT = 0.1  # which question comes next cannot be known; at full weight that noise would drown the answers
HOLD = 0.7  # share of the steps before the rate begins to fall, so the length of a run need not be known at its start
PHASES = [  # (positions per row, rows per step, share of scenes among the documents, share of the steps)
    (256, 8, 0.6, 0.15),  # names first: without this phase the model tells stories, but forgets who they are about
    (256, 8, corpus.SCENE_SHARE, HOLD - 0.15),
    (512, 8, corpus.SCENE_SHARE, 0.2),
    (1024, 4, 0.05, 0.1),
]
SAVE_EVERY, LOG_EVERY = 50, 20


def vocabulary(path):
    """The tokenizer, trained once and kept in path."""
    if not os.path.exists(path):
        merges = bpe.train(corpus.documents(12000), MERGES, corpus.SPECIALS)
        with open(path, "w") as out:
            json.dump(merges, out)
    with open(path) as f:
        return bpe.Tokenizer([tuple(m) for m in json.load(f)], corpus.SPECIALS)


def rows(tok, length, scene_share, seed):
    """Endless rows of length+1 ids, each starting with a new document; longer rows hold longer conversations."""
    r, end = random.Random(seed), tok.id[corpus.END]
    while True:
        row = []
        while len(row) <= length:
            row += tok.encode(corpus.document(r, length // 256, scene_share)) + [end]
        yield row[:length + 1]


def schedule(steps):
    """(index of the phase, rows) of every step."""
    plan = []
    for i, (_, batch, _, share) in enumerate(PHASES):
        plan += [(i, batch)] * round(steps * share)
    return (plan + plan[-1:] * steps)[:steps]


def rate(step, steps):
    """Share of the peak learning rate: a linear rise, a plateau, then half a cosine down to FLOOR."""
    fall = max(0, step - HOLD * steps) / (steps - HOLD * steps)
    return min((step + 1) / WARMUP, FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * fall)))


def optimizers(model):
    """[(optimizer, its peak rate)]: Muon for the matrices of the blocks, AdamW for the embedding and the norms."""
    inside = [p for name, p in model.named_parameters() if name.startswith("blk.") and p.dim() == 2]
    outside = [p for name, p in model.named_parameters() if not (name.startswith("blk.") and p.dim() == 2)]
    return [(Muon(inside, MUON_PEAK), MUON_PEAK),
            (torch.optim.AdamW(outside, ADAM_PEAK, betas=(0.9, 0.95), weight_decay=0.0, fused=True), ADAM_PEAK)]


def weights(row, start, user, stop):
    """How much each token of a row counts as a target: what a user says counts little."""
    out, inside = [], False
    for before, token in zip([None] + row, row):
        inside = (inside or (before == start and token == user)) and before != stop
        out.append(USER_WEIGHT if inside else 1.0)
    return out


def batches(tok, plan):
    """Ids and target weights of every step, two tensors (batch, positions+1), the same on every run."""
    start, user, stop = tok.id[corpus.START], tok.encode("user")[0], tok.id[corpus.STOP]
    sources = [rows(tok, length, scenes, corpus.SEED + 1 + i) for i, (length, _, scenes, _) in enumerate(PHASES)]
    for phase, batch in plan:
        ids = [next(sources[phase]) for _ in range(batch)]
        yield torch.tensor(ids), torch.tensor([weights(row, start, user, stop) for row in ids])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("workdir")
    ap.add_argument("--steps", type=int, default=2000)
    ap.add_argument("--threads", type=int, default=1)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(corpus.SEED)
    os.makedirs(args.workdir, exist_ok=True)
    at = lambda name: os.path.join(args.workdir, name)
    tok = vocabulary(at("vocab.json"))
    model = Model(Config())
    opts, first = optimizers(model), 0
    if os.path.exists(at("checkpoint.pt")):
        saved = torch.load(at("checkpoint.pt"))
        model.load_state_dict(saved["model"])
        for (opt, _), state in zip(opts, saved["optimizers"]):
            opt.load_state_dict(state)
        first = saved["step"]
    print(sum(p.numel() for p in model.parameters()), "parameters, from step", first, flush=True)
    run(args, at, tok, model, opts, first)


def run(args, at, tok, model, opts, first):
    recent, start, seen = [], time.time(), 0
    for step, (ids, weight) in enumerate(batches(tok, schedule(args.steps))):
        if step < first:
            continue
        recent.append(update(model, opts, rate(step, args.steps), ids, weight, tok.id[corpus.END]))
        seen += ids.numel()
        if (step + 1) % LOG_EVERY == 0:
            log(at("loss.csv"), step + 1, recent, time.time() - start, seen)
            recent = []
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == args.steps:
            save(at("checkpoint.pt"), step + 1, model, opts)


def update(model, opts, share, ids, weight, end):
    """One step; returns the loss over all tokens and the weighted one that is trained."""
    ended = (ids[:, :-1] == end).cumsum(1)
    document = torch.cat([torch.zeros_like(ended[:, :1]), ended[:, :-1]], 1)  # the end of a text still belongs to it
    each = F.cross_entropy(model(ids[:, :-1], document).flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    weight = weight[:, 1:].flatten()
    loss = (each * weight).sum() / weight.sum()
    model.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for opt, peak in opts:
        for group in opt.param_groups:
            group["lr"] = peak * share
        opt.step()
    return each.mean().item(), loss.item()


def log(path, step, recent, spent, tokens):
    every, trained = (sum(column) / len(recent) for column in zip(*recent))
    with open(path, "a", newline="") as f:
        csv.writer(f).writerow([step, round(every, 4), round(trained, 4), round(spent, 1)])
    print(f"step {step} loss {every:.4f} trained {trained:.4f} {tokens / spent:.0f} tokens/s {spent:.0f}s", flush=True)


def save(path, step, model, opts):
    torch.save({"step": step, "model": model.state_dict(), "optimizers": [opt.state_dict() for opt, _ in opts]}, path + ".new")
    os.replace(path + ".new", path)


if __name__ == "__main__":
    main()
