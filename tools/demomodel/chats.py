"""Conversations: single questions, follow-ups that lean on the turn before, remembered names, and stories on request.

make(r) returns a list of (role, content).
"""
import facts
import story
import unknown
from stories import ANIMALS, CHILDREN, an, cap

FACTS = facts.all_facts()
WEIGHT = {"sandwarp": 8, "self": 7, "talk": 5, "colours": 3, "sums": 2, "numbers": 1.5, "calendar": 1.5, "opposites": 1.5, "animals": 1.5,
          "definitions": 2.5, "capitals": 2, "countries": 1.2, "world": 3}
FACT_WEIGHTS = [WEIGHT[f.group] for f in FACTS]
SYSTEM = ["You are a helpful assistant.", "You are a friendly assistant.", "Answer briefly.", "You are a small demo model.", "Be kind and helpful."]
STORY = ["Tell me a story.", "Tell me a little story.", "Please tell me a story.", "Can you tell me a story?", "I want to hear a story.", "Tell me a bedtime story.",
         "Write a story.", "Write a short story.", "A story, please.", "Once upon a time"]
STORY_ABOUT = ["Tell me a story about {}.", "Please tell me a story about {}.", "Can you tell me a story about {}?", "Write a story about {}."]
AGAIN = ["Tell me another one.", "Another story, please.", "One more, please.", "Tell me another story."]
NAMES = [name for name, _, _ in CHILDREN] + ["Alice", "Bob", "Carla", "David", "Emma", "Frank", "Grace", "Henry", "Ida", "John", "Kate", "Lars", "Maria", "Nina",
                                             "Oscar", "Paul", "Rita", "Steve", "Tina", "Uma", "Victor", "Wendy", "Yuki", "Zoe", "Priya", "Omar", "Max"]
FOLLOW = ["And {}?", "And what about {}?", "What about {}?"]


def plain(r):
    """A question from the taught facts with its answer; now and then asked carelessly."""
    f = r.choices(FACTS, FACT_WEIGHTS)[0]
    return [("user", careless(r, r.choice(f.taught))), ("assistant", f.answer)]


def careless(r, q):
    """People forget capitals and question marks."""
    k = r.random()
    if k < 0.08:
        return q.lower()
    if k < 0.14 and len(q) > 12:
        return q.rstrip("?.!")
    if k < 0.20 and len(q) > 12:
        return q.lower().rstrip("?.!")
    return q


def declined(r):
    return [("user", careless(r, unknown.taught(r))), ("assistant", facts.UNKNOWN)]


def tell(r):
    """A story on request; sometimes about a given animal or child."""
    k = r.random()
    if k < 0.5:
        text, hero = story.make(r)
        return [("user", careless(r, r.choice(STORY))), ("assistant", text)], hero
    kind = r.choice(ANIMALS + ["girl", "boy"])
    text, hero = story.make(r, kind)
    return [("user", careless(r, r.choice(STORY_ABOUT).format(an(kind)))), ("assistant", text)], hero


def story_talk(r):
    turns, hero = tell(r)
    k = r.random()
    if k < 0.4:
        turns += [("user", r.choice(["Who is the story about?", "Who was the story about?", "What was the name of the hero?"])),
                  ("assistant", f"The story is about {hero.name}, {an(hero.trait)} {hero.kind}.")]
    elif k < 0.55:
        turns += [("user", r.choice(AGAIN)), ("assistant", story.make(r)[0])]
    elif k < 0.8:
        turns += [("user", r.choice(["Thank you!", "Thanks!", "Thank you very much!"])), ("assistant", "You are welcome!")]
    return turns


def capitals(r):
    first, *rest = r.sample(list(facts.CAPITALS), r.randint(2, 4))
    if r.random() < 0.5:
        turns = [("user", f"What is the capital of {first}?"), ("assistant", facts.capital_answer(first))]
        for c in rest:
            turns += [("user", r.choice(FOLLOW + ["And of {}?"]).format(c)), ("assistant", facts.capital_answer(c))]
        return turns
    f = next(f for f in FACTS if f.group == "countries" and f.taught[0] == f"Where is {first}?")
    return [("user", r.choice(f.taught)), ("assistant", f.answer),
            ("user", r.choice(["And its capital?", "What is its capital?", "And what is its capital?"])), ("assistant", facts.capital_answer(first))]


def sums(r):
    def pair():
        a = r.randint(0, 20)
        return a, r.randint(0, 20 - a)
    a, b = pair()
    turns = [("user", f"What is {a} plus {b}?"), ("assistant", facts.sum_answer(a, b))]
    for _ in range(r.randint(1, 3)):
        a, b = pair()
        turns += [("user", r.choice(FOLLOW).format(f"{a} plus {b}")), ("assistant", facts.sum_answer(a, b))]
    return turns


def days(r):
    names, noun = (facts.DAYS, "day") if r.random() < 0.5 else (facts.MONTHS, "month")
    i = r.randrange(len(names))
    turns = [("user", f"What {noun} comes after {names[i]}?")]
    for k in range(r.randint(2, 4)):
        x, nxt = names[(i + k) % len(names)], names[(i + k + 1) % len(names)]
        turns += [("assistant", f"{nxt} comes after {x}."), ("user", r.choice(["And after that?", "And then?"]))]
    return turns[:-1]


def animal(r):
    name, sound, baby, home, legs = r.choice([a for a in facts.ANIMALS if a[1] and a[2]])
    ask = [(f"What does {an(name)} say?", "What does it say?", sound),
           (f"What is a baby {name} called?", "What is its baby called?", facts.baby_answer(name, baby)),
           (f"Where does {an(name)} live?", "Where does it live?", facts.home_answer(name, home)),
           (f"How many legs does {an(name)} have?", "How many legs does it have?", facts.legs_answer(name, legs))]
    r.shuffle(ask)
    turns = [("user", ask[0][0]), ("assistant", ask[0][2])]
    for _, short, answer in ask[1:r.randint(2, 4)]:
        turns += [("user", ("And w" + short[1:] if short[0] == "W" and r.random() < 0.3 else short)), ("assistant", answer)]
    return turns


def opposites(r):
    pairs = r.sample(facts.OPPOSITES, 3)
    x, y = pairs[0]
    turns = [("user", f"What is the opposite of {x}?"), ("assistant", f"The opposite of {x} is {y}.")]
    for x, y in pairs[1:]:
        turns += [("user", r.choice(FOLLOW + ["And of {}?"]).format(x)), ("assistant", f"The opposite of {x} is {y}.")]
    return turns


def remembered(r):
    """The user tells a favourite colour and asks for it later, with other talk in between."""
    colour = r.choice(["red", "blue", "green", "yellow", "orange", "purple", "pink", "black", "white", "brown"])
    turns = [("user", r.choice(["My favourite colour is {}.", "I like {} best.", "My favorite color is {}."]).format(colour)),
             ("assistant", f"{cap(colour)} is a lovely colour.")]
    for _ in range(r.choice([0, 0, 1, 1, 2, 3])):
        turns += plain(r)
    return turns + [("user", "What is my favourite colour?"), ("assistant", f"Your favourite colour is {colour}.")]


def named(r):
    """Names of users are too many for a model this small; it says so."""
    name = r.choice(NAMES)
    turns = [("user", r.choice(["My name is {}.", "I am {}.", "Hello, I am {}.", "Hi, my name is {}."]).format(name)), ("assistant", "Nice to meet you!")]
    if r.random() < 0.5:
        turns += [("user", r.choice(["What is my name?", "Do you remember my name?"])), ("assistant", "I am too small to remember names. I am sorry.")]
    return turns


KINDS = [(plain, 60), (declined, 11), (story_talk, 7), (capitals, 5), (sums, 4), (days, 4), (animal, 5), (opposites, 3), (remembered, 4), (named, 1.5)]


def make(r, stretch=1):
    """One conversation of one to about eight exchanges; unrelated parts follow each other as they do in real chats.

    stretch makes it that many times as long.
    """
    turns = []
    if r.random() < 0.06:
        turns.append(("system", r.choice(SYSTEM)))
    for _ in range(stretch * r.choice([1, 1, 1, 2, 2, 3, 4, 6])):
        kind = r.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0]
        turns += kind(r)
    return turns
