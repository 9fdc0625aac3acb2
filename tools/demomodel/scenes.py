"""Scenes: very short texts about two characters, dense with their names.

They are stepping stones. In a story a name comes once in ten words, far from where it was said first; a small model learns
slowly to look back for it. Here every few words ask for one of the two names.
"""
from stories import an, cast

GIFTS = ["a ball", "a flower", "an apple", "a book", "a hat", "a stone"]


def sentences(a, b, gift):
    return [
        f"{a} met {b}.", f"{a} said hello to {b}.", f"{a} and {b} played.", f"{a} and {b} sat down.", f"{a} gave {b} {gift}.", f"{a} thanked {b}.",
        f"{a} likes {b}.", f"{a} ran, and {b} ran after {a}.", f"{a} sang for {b}.", f"\"Come here, {b}!\" said {a}.", f"\"I am here, {b},\" said {a}.",
        f"{a} looked at {b}, and {b} looked at {a}.", f"{a} waited for {b}.", f"{a} hugged {b}.", f"\"Hello, {b},\" said {a}.",
    ]


def make(r):
    a, b = cast(r)
    if r.random() < 0.3:
        return ", ".join([a.name, b.name] + [r.choice((a, b)).name for _ in range(r.randint(6, 30))]) + "."
    text = [r.choice([f"{a.name} is {an(a.kind)}. {b.name} is {an(b.kind)}.", f"Here are {a.name} and {b.name}.", f"This is {a.name}, and this is {b.name}."])]
    for _ in range(r.randint(4, 12)):
        x, y = r.sample((a, b), 2)
        text.append(r.choice(sentences(x.name, y.name, r.choice(GIFTS))))
    return " ".join(text)
