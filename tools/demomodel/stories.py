"""Little stories from a grammar of our own.

A story is a plot (a function) filled with a cast and a place. Each plot walks the same arc: beginning, problem, help,
ending. The cast is chosen once and every sentence asks it for names and pronouns, so a story never mixes them up.
"""

# Few names, so that a model this small can keep them apart to the end of a story.
CHILDREN = [  # (name, kind, pronoun set)
    ("Mia", "girl", "she"), ("Lily", "girl", "she"), ("Anna", "girl", "she"), ("Nora", "girl", "she"),
    ("Tom", "boy", "he"), ("Ben", "boy", "he"), ("Leo", "boy", "he"), ("Sam", "boy", "he"),
]
ANIMAL_NAMES = [
    ("Pip", "he"), ("Rusty", "he"), ("Otto", "he"), ("Milo", "he"),
    ("Bella", "she"), ("Daisy", "she"), ("Luna", "she"), ("Coco", "she"),
]
ANIMALS = ["fox", "rabbit", "bear", "mouse", "owl", "hedgehog", "duck", "cat", "puppy", "turtle", "squirrel", "frog",
           "lamb", "pony", "penguin", "dragon", "robin"]
TRAITS = ["little", "small", "kind", "brave", "happy", "curious", "shy", "cheerful", "young", "gentle"]
PLACES = [  # (where somebody lives, a spot near it to go to)
    ("in a small village by the sea", "the beach"), ("in a small village", "the market"),
    ("in a green forest", "the river"), ("in a quiet valley", "the old bridge"),
    ("on a farm near a hill", "the apple tree"), ("near a blue lake", "the lake"),
    ("in a cosy house at the edge of the woods", "the woods"), ("at the foot of a tall mountain", "the meadow"),
    ("in a little town", "the park"), ("beside a big garden", "the garden"),
]
PRONOUNS = {"she": ("she", "her", "her", "herself"), "he": ("he", "him", "his", "himself")}


def an(noun):
    """noun with its indefinite article."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def cap(text):
    return text[0].upper() + text[1:]


class Who:
    """One character: name, kind ("fox", "girl") and the four pronoun forms."""

    def __init__(self, name, kind, pronoun, trait):
        self.name, self.kind, self.trait = name, kind, trait
        self.sub, self.obj, self.pos, self.own = PRONOUNS[pronoun]
        self.Sub, self.Pos = cap(self.sub), cap(self.pos)
        self.human = kind in ("girl", "boy")

    def intro(self):
        return f"{an(self.trait)} {self.kind} named {self.name}"


def some_child(r):
    name, kind, pronoun = r.choice(CHILDREN)
    return Who(name, kind, pronoun, r.choice(TRAITS))


def some_animal(r, kind=None):
    name, pronoun = r.choice(ANIMAL_NAMES)
    return Who(name, kind or r.choice(ANIMALS), pronoun, r.choice(TRAITS))


def cast(r, kind=None):
    """A hero and a friend of different kinds; kind fixes the hero's. One is "he" and the other "she", so pronouns are clear."""
    if kind in ("girl", "boy"):
        name, k, pronoun = r.choice([c for c in CHILDREN if c[1] == kind])
        hero = Who(name, k, pronoun, r.choice(TRAITS))
    elif kind:
        hero = some_animal(r, kind)
    else:
        hero = some_child(r) if r.random() < 0.5 else some_animal(r)
    while True:
        friend = some_animal(r)
        if friend.sub != hero.sub and friend.kind != hero.kind:
            return hero, friend


def opening(r, h, home):
    """The first sentence: who the hero is and where the hero lives."""
    a = h.intro()
    once = [
        f"Once upon a time, there was {a}. {h.Sub} lived {home}.",
        f"Once upon a time, {home}, there lived {a}.",
        f"Once upon a time, there lived {a} {home}.",
        f"Once upon a time {a} lived {home}.",
    ]
    other = [
        f"{cap(home)}, there lived {a}.",
        f"There was once {a} who lived {home}.",
        f"Long ago, {a} lived {home}.",
        f"Far away, {home}, lived {a}.",
        f"This is a story about {h.name}, {an(h.trait)} {h.kind} who lived {home}.",
        f"{h.name} was {an(h.trait)} {h.kind} who lived {home}.",
    ]
    return r.choice(once) if r.random() < 0.55 else r.choice(other)


def whenever(r):
    """The start of the first event; ends with a comma."""
    return r.choice(["One day,", "One day,", "One day,", "One sunny morning,", "One morning,", "One afternoon,", "One windy day,",
                     "On a warm summer day,", "One cold winter day,", "After breakfast,"])


def short_opening(r, h, spot):
    """Openings that go straight into the day."""
    a = h.intro()
    return r.choice([
        f"One day, {a} went to {spot}.", f"One sunny day, {a} walked to {spot}.",
        f"It was a bright morning, and {a} was on the way to {spot}.",
        f"Early in the morning, {a} ran to {spot}.",
    ])


def ending(r, h, f):
    """The last sentences. Both characters are friends by now."""
    return r.choice([
        f"From that day on, {h.name} and {f.name} were the best of friends.",
        f"That night, {h.name} fell asleep with a smile.",
        f"And they lived happily ever after.",
        f"{h.name} went home with a warm heart. The end.",
        f"After that, {h.name} and {f.name} played together every day.",
        f"{h.name} and {f.name} laughed and danced until the stars came out.",
        f"It was the best day ever. The end.",
        f"{h.name} never forgot that day.",
    ])


def lesson(r, text):
    """A closing thought, in one of three forms."""
    return r.choice([f"Now everyone knew that {text}.", f"And so they learned that {text}.", f"Remember: {text}."])
