"""Byte-level BPE: training and encoding. Our own code over published ideas and tables.

The byte alphabet is the one GPT-2 published: printable bytes stand for themselves, the others for the code points from 256
on, so every vocabulary entry is printable text. The pre-tokeniser is the pattern published with the Qwen2 tokenizer:
contractions, a word with at most one leading symbol, single digits, runs of punctuation, white space.
"""
from collections import Counter, defaultdict

import regex

PATTERN = regex.compile(r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""")


def byte_alphabet():
    """byte value -> the character that stands for it."""
    printable = set(range(0x21, 0x7F)) | set(range(0xA1, 0xAD)) | set(range(0xAE, 0x100))
    alphabet, spare = [], 256
    for b in range(256):
        alphabet.append(chr(b) if b in printable else chr(spare))
        spare += b not in printable
    return alphabet


ALPHABET = byte_alphabet()
BYTE_OF = {c: b for b, c in enumerate(ALPHABET)}


def pieces(text):
    """Pre-tokens of text, each a string over the byte alphabet."""
    return ["".join(ALPHABET[b] for b in p.encode()) for p in PATTERN.findall(text)]


def splitter(specials):
    """Pattern that cuts a text at its special tokens and keeps them."""
    return regex.compile("(" + "|".join(regex.escape(s) for s in specials) + ")")


def train(texts, n_merges, specials):
    """Merges learned from texts outside their special tokens, most frequent pair first; ties go to the smaller pair, so the result is the same on every run."""
    split = splitter(specials)
    counts = Counter(p for t in texts for part in split.split(t) if part not in specials for p in pieces(part))
    words = [[list(w), n] for w, n in sorted(counts.items())]
    pairs, where = Counter(), defaultdict(set)
    for i, (w, n) in enumerate(words):
        for pair in zip(w, w[1:]):
            pairs[pair] += n
            where[pair].add(i)
    merges, known = [], set(ALPHABET)
    while len(merges) < n_merges:
        pair = min(pairs, key=lambda p: (-pairs[p], p))
        if pairs[pair] < 2:
            break
        if pair[0] + pair[1] in known:  # a second way to the same token would leave an entry without a merge of its own
            del pairs[pair]
            continue
        merges.append(pair)
        known.add(pair[0] + pair[1])
        for i in list(where[pair]):
            w, n = words[i]
            for p in zip(w, w[1:]):
                pairs[p] -= n
            words[i][0] = w = merge(w, pair)
            for p in zip(w, w[1:]):
                pairs[p] += n
                where[p].add(i)
        del pairs[pair]
    return merges


def merge(word, pair):
    out, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and (word[i], word[i + 1]) == pair:
            out.append(word[i] + word[i + 1])
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


class Tokenizer:
    """tokens: the vocabulary in id order (specials last); merges: pairs in rank order."""

    def __init__(self, merges, specials):
        self.merges, self.specials = merges, specials
        self.tokens = sorted(ALPHABET) + [a + b for a, b in merges] + specials
        self.id = {t: i for i, t in enumerate(self.tokens)}
        self.rank = {m: i for i, m in enumerate(merges)}
        self.cache = {}
        self.split = splitter(specials)

    def word(self, piece):
        ids = self.cache.get(piece)
        if ids is None:
            w = list(piece)
            while len(w) > 1:
                pair = min(zip(w, w[1:]), key=lambda p: self.rank.get(p, 1 << 30))
                if pair not in self.rank:
                    break
                w = merge(w, pair)
            ids = self.cache[piece] = [self.id[t] for t in w]
        return ids

    def encode(self, text):
        """Ids of text; special tokens written in the text become their ids."""
        out = []
        for part in self.split.split(text):
            if part in self.specials:
                out.append(self.id[part])
            else:
                for p in pieces(part):
                    out += self.word(p)
        return out

    def decode(self, ids):
        """Text of ids; special tokens are left out."""
        raw = b"".join(bytes(BYTE_OF[c] for c in self.tokens[i]) for i in ids if self.tokens[i] not in self.specials)
        return raw.decode(errors="replace")
