"""make(r): one whole story. Joins an opening with a plot; paragraphs are separated by one blank line or by a space."""
import re

import plots
from stories import PLACES, cast, opening, short_opening



def tidy(text):
    """Capital letters at sentence starts; one space between sentences."""
    text = re.sub(r" +", " ", text)
    return re.sub(r"(^|[.!?]\"? |\n\n)([a-z])", _raise, text)


def _raise(m):
    # A closing quote followed by lower case is a speech tag (`"Help!" he called`), not a new sentence.
    return m.group(0) if m.group(1).endswith('" ') else m.group(1) + m.group(2).upper()


def make(r, kind=None):
    """Return (text, hero). kind fixes what the hero is, for requests such as "a story about a fox"."""
    hero, friend = cast(r, kind)
    home, spot = r.choice(PLACES)
    straight = r.random() < 0.2
    plot = r.choice(plots.AFTER_WALK if straight else plots.ALL)
    paragraphs = plot(r, hero, friend, home, spot)
    first = short_opening(r, hero, spot) if straight else opening(r, hero, home)
    if straight:
        paragraphs[0] = _without_second_start(paragraphs[0])
    paragraphs[0] = first + " " + paragraphs[0]
    return tidy("\n\n".join(paragraphs) if r.random() < 0.8 else " ".join(paragraphs)), hero


def _without_second_start(text):
    """A story that began with "One day, ..." does not say "One day," again."""
    return re.sub(r"(^| )(One (sunny |windy |cold winter )?(day|morning|afternoon)|On a warm summer day|After breakfast),",
                  r"\1Then", text, count=1)
