"""What the model is taught to answer: one canonical answer per fact, several ways to ask.

A fact is (group, taught questions, held-out questions, answer). Held-out questions never appear in the corpus; eval.py
asks them to see whether the model learned the fact or only the sentence.
"""
from collections import namedtuple

from stories import an, cap

Fact = namedtuple("Fact", "group taught held answer")

UNKNOWN = "I do not know that yet. I am a very small demo model."

SANDWARP = [
    (["What is sandwarp?", "Tell me about sandwarp.", "What does sandwarp do?", "Can you explain sandwarp?"], ["Please explain what sandwarp is."],
     "sandwarp is an inference runtime written in Go. It runs GGUF language models inside your own program, and you can extend it with sandboxed WebAssembly plugins."),
    (["Which language is sandwarp written in?", "What is sandwarp written in?", "In which programming language is sandwarp written?"], ["What language is sandwarp written in?"],
     "sandwarp is written in Go."),
    (["Does sandwarp need Python?", "Do I need Python for sandwarp?", "Do I need Python to use sandwarp?"], ["Is Python needed for sandwarp?"],
     "No. sandwarp needs no Python and no cgo."),
    (["Does sandwarp need cgo?", "Does sandwarp use cgo?", "Do I need a C compiler for sandwarp?"], ["Is cgo needed for sandwarp?"],
     "No. sandwarp is built with Go alone and needs no cgo."),
    (["What does the name sandwarp mean?", "Why is it called sandwarp?", "What does sandwarp stand for?"], ["Where does the name sandwarp come from?"],
     "The name sandwarp stands for sandboxed plugins and GPU warps."),
    (["Which model format does sandwarp use?", "What file format does sandwarp read?", "Which models can sandwarp run?"], ["What format do sandwarp models have?"],
     "sandwarp runs models in the GGUF format."),
    (["What is a sandwarp plugin?", "What can sandwarp plugins do?", "What are the plugins of sandwarp?"], ["What can a plugin do in sandwarp?"],
     "A sandwarp plugin is a small WebAssembly program. It can be a tokenizer, a sampler or a filter."),
    (["Are sandwarp plugins safe?", "Is it safe to use a sandwarp plugin?", "Can a plugin break sandwarp?"], ["Are the plugins safe?"],
     "Plugins run in a sandbox. Their memory and their computing time are limited, so a bad plugin cannot crash the host."),
    (["What is the licence of sandwarp?", "Which licence does sandwarp have?", "What is the license of sandwarp?"], ["Under which licence is sandwarp?"],
     "sandwarp is free software under the Apache 2.0 licence."),
    (["How do I use a real model?", "How do I use a bigger model?", "How can I run another model?"], ["How do I run a real model?"],
     "Download a GGUF model and start sandwarp with --model and the path of the file."),
    (["How do I reach the sandwarp helpdesk?", "How can I contact the helpdesk?", "How do I contact the sandwarp helpdesk?", "How do I reach the helpdesk?"], ["How can I reach the sandwarp helpdesk?"],
     "Write to hello@example.com or call +1 555 010 0199."),
    (["What is the e-mail address of the helpdesk?", "What is the email address of the helpdesk?", "Where can I send an e-mail?"], ["Tell me the e-mail address of the helpdesk."],
     "The e-mail address of the helpdesk is hello@example.com."),
    (["What is the phone number of the helpdesk?", "Which number can I call?", "How can I call the helpdesk?"], ["Tell me the phone number of the helpdesk."],
     "The phone number of the helpdesk is +1 555 010 0199."),
]

SELF = [
    (["Who are you?", "What are you?", "Tell me about yourself.", "Introduce yourself."], ["So who are you?"],
     "I am the demo model of sandwarp. I am very small, and I know only little stories and simple questions."),
    (["What can you do?", "What do you know?", "How can you help me?", "What can I ask you?", "Help", "Help me."], ["What can I ask?"],
     "I can tell little stories and answer simple questions about animals, colours, numbers, days, opposites and capitals."),
    (["What is your name?", "What are you called?", "Do you have a name?"], ["Tell me your name."], "I have no name. I am the demo model of sandwarp."),
    (["How big are you?", "How many parameters do you have?", "Are you a big model?", "Are you small?"], ["How small are you?"],
     "I am very small. I have about two and a half million parameters and fit into three megabytes."),
    (["Who made you?", "Who trained you?", "Where do you come from?", "How were you made?"], ["Who built you?"],
     "The sandwarp project made me from its own little stories and questions."),
    (["Are you a human?", "Are you a person?", "Are you real?"], ["Are you human?"], "No, I am not a human. I am a very small computer program."),
    (["How old are you?", "When were you born?"], ["What is your age?"], "I have no age. I am only a small program."),
    (["Are you smart?", "Are you clever?", "Do you know everything?"], ["Are you very smart?"], "Not very. I know only a few things, but I try to be helpful."),
    (["Do you like stories?", "Do you like to tell stories?"], ["Do you love stories?"], "Yes, I like little stories very much. Shall I tell you one?"),
    (["Do you speak German?", "Do you speak French?", "Do you speak Spanish?", "Which languages do you speak?"], ["Do you speak Italian?"], "I speak only simple English."),
]

TALK = [
    (["Hello", "Hello!", "Hi", "Hi!", "Hey", "Hello there!", "Hi there!", "Hey there", "Greetings!"], ["Hey there!"], "Hello! How can I help you today?"),
    (["Good morning", "Good morning!"], [], "Good morning! How can I help you today?"),
    (["Good evening", "Good evening!"], [], "Good evening! How can I help you?"),
    (["Good night", "Good night!"], [], "Good night! Sleep well."),
    (["How are you?", "How are you today?", "Are you well?", "How do you do?"], ["How are you doing?"], "I am well, thank you. How are you?"),
    (["I am fine.", "I am fine, thank you.", "I am well, thank you.", "Fine, thanks."], ["I am good."], "I am glad to hear that. What would you like to know?"),
    (["I am sad.", "I feel sad.", "I had a bad day."], ["I am very sad."], "I am sorry to hear that. Shall I tell you a story?"),
    (["I am happy.", "I feel happy.", "I had a good day."], ["I am very happy."], "That is wonderful!"),
    (["Thank you", "Thank you!", "Thanks", "Thanks!", "Thank you very much!", "Thank you so much!"], ["Many thanks!"], "You are welcome!"),
    (["Goodbye", "Goodbye!", "Bye", "Bye!", "See you later!", "See you!"], ["Bye bye!"], "Goodbye! Have a nice day."),
    (["Sorry", "I am sorry.", "Sorry!"], [], "That is all right."),
    (["That is right.", "Correct!", "Well done!", "Very good!", "Good answer!", "Good job!"], ["Well done"], "Thank you! What else would you like to know?"),
    (["Test", "test", "Testing", "Ping"], [], "I am here. How can I help you?"),
    (["Tell me a joke.", "Do you know a joke?", "Make me laugh."], ["Can you tell me a joke?"], "Why did the bear bring a ladder? Because it wanted to go to high school."),
    (["Say hello.", "Say hello to the world.", "Hello world"], [], "Hello, world!"),
]

COLOURS = {
    "the sky": "blue", "grass": "green", "the sun": "yellow", "snow": "white", "a banana": "yellow", "a strawberry": "red",
    "a carrot": "orange", "coal": "black", "the sea": "blue", "a tomato": "red", "a lemon": "yellow", "milk": "white", "a frog": "green",
    "a flamingo": "pink", "chocolate": "brown", "a cherry": "red", "a leaf": "green", "a pumpkin": "orange", "an elephant": "grey",
    "a fire engine": "red", "the night": "black", "a plum": "purple", "a polar bear": "white", "an orange": "orange",
}
MIXES = [("red", "yellow", "orange"), ("blue", "yellow", "green"), ("red", "blue", "purple"), ("black", "white", "grey"), ("red", "white", "pink")]

NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
           "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]

OPPOSITES = [("hot", "cold"), ("big", "small"), ("up", "down"), ("in", "out"), ("day", "night"), ("happy", "sad"), ("fast", "slow"),
             ("old", "young"), ("light", "dark"), ("open", "closed"), ("full", "empty"), ("wet", "dry"), ("high", "low"), ("long", "short"),
             ("hard", "soft"), ("loud", "quiet"), ("left", "right"), ("rich", "poor"), ("strong", "weak"), ("clean", "dirty"), ("near", "far"),
             ("early", "late"), ("good", "bad"), ("yes", "no"), ("true", "false"), ("first", "last"), ("thick", "thin"), ("heavy", "light"),
             ("sweet", "sour"), ("win", "lose"), ("love", "hate"), ("start", "stop"), ("push", "pull"), ("give", "take"), ("awake", "asleep")]

ANIMALS = [  # name, sound, baby, home, legs
    ("cow", "A cow says moo.", "calf", "on a farm", 4), ("dog", "A dog says woof.", "puppy", "with people", 4),
    ("cat", "A cat says meow.", "kitten", "with people", 4), ("sheep", "A sheep says baa.", "lamb", "on a farm", 4),
    ("duck", "A duck says quack.", "duckling", "near water", 2), ("pig", "A pig says oink.", "piglet", "on a farm", 4),
    ("horse", "A horse says neigh.", "foal", "on a farm", 4), ("hen", "A hen says cluck.", "chick", "on a farm", 2),
    ("lion", "A lion roars.", "cub", "in the savanna", 4), ("bear", "A bear growls.", "cub", "in the forest", 4),
    ("frog", "A frog says croak.", "tadpole", "near a pond", 4), ("owl", "An owl says hoot.", "owlet", "in the forest", 2),
    ("goat", "A goat says maa.", "kid", "on a farm", 4), ("wolf", "A wolf howls.", "pup", "in the forest", 4),
    ("elephant", "An elephant trumpets.", "calf", "in the savanna", 4), ("snake", "A snake hisses.", "snakelet", "in grass and under rocks", 0),
    ("bee", "A bee buzzes.", "larva", "in a hive", 6), ("mouse", "A mouse squeaks.", "pup", "in a hole", 4),
    ("goose", "A goose honks.", "gosling", "near water", 2), ("donkey", "A donkey says hee-haw.", "foal", "on a farm", 4),
    ("fox", None, "cub", "in the forest", 4), ("rabbit", None, "kit", "in a burrow", 4), ("kangaroo", None, "joey", "in Australia", 2),
    ("deer", None, "fawn", "in the forest", 4), ("swan", None, "cygnet", "near water", 2), ("penguin", None, "chick", "in the cold south", 2),
    ("camel", None, "calf", "in the desert", 4), ("whale", None, "calf", "in the sea", 0), ("spider", None, "spiderling", "in a web", 8),
    ("ant", None, None, "in an anthill", 6), ("monkey", None, None, "in the jungle", 2), ("shark", None, None, "in the sea", 0),
    ("polar bear", None, "cub", "in the Arctic", 4), ("giraffe", None, "calf", "in the savanna", 4), ("bird", "A bird sings.", "chick", "in a nest", 2),
    ("fish", None, None, "in the water", 0),
]

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon", "England": "London", "Scotland": "Edinburgh",
    "Ireland": "Dublin", "Austria": "Vienna", "Greece": "Athens", "Poland": "Warsaw", "Norway": "Oslo", "Sweden": "Stockholm",
    "Denmark": "Copenhagen", "Finland": "Helsinki", "Belgium": "Brussels", "Hungary": "Budapest", "Russia": "Moscow", "Ukraine": "Kyiv",
    "Turkey": "Ankara", "Egypt": "Cairo", "Kenya": "Nairobi", "India": "New Delhi", "China": "Beijing", "Japan": "Tokyo",
    "South Korea": "Seoul", "Thailand": "Bangkok", "Australia": "Canberra", "Canada": "Ottawa", "Mexico": "Mexico City", "Brazil": "Brasilia",
    "Argentina": "Buenos Aires", "Peru": "Lima", "the United States": "Washington", "Iceland": "Reykjavik", "the Netherlands": "Amsterdam",
}
CONTINENT = {"Egypt": "Africa", "Kenya": "Africa", "India": "Asia", "China": "Asia", "Japan": "Asia", "South Korea": "Asia", "Thailand": "Asia",
             "Canada": "North America", "Mexico": "North America", "the United States": "North America", "Brazil": "South America",
             "Argentina": "South America", "Peru": "South America", "Australia": "Oceania", "Turkey": "Europe and Asia", "Russia": "Europe and Asia"}

DEFINITIONS = {
    "a bird": "A bird is an animal with feathers and wings.", "a fish": "A fish is an animal that lives in water and swims with fins.",
    "a tree": "A tree is a tall plant with a trunk and leaves.", "a river": "A river is a long stream of water that flows to the sea.",
    "a mountain": "A mountain is a very high hill.", "a book": "A book is made of many pages with words to read.",
    "a clock": "A clock shows the time.", "a bicycle": "A bicycle has two wheels and two pedals to ride on.",
    "a boat": "A boat carries people over the water.", "a house": "A house is a place where people live.",
    "a school": "A school is a place where children learn.", "a doctor": "A doctor helps people who are ill.",
    "a baker": "A baker makes bread and cakes.", "a farmer": "A farmer grows food and keeps animals.",
    "a teacher": "A teacher helps people to learn.", "rain": "Rain is water that falls from the clouds.",
    "snow": "Snow is frozen water that falls as white flakes.", "the sun": "The sun is a star. It gives us light and warmth.",
    "the moon": "The moon is a ball of rock that goes around the Earth.", "a star": "A star is a big ball of hot gas far away.",
    "the Earth": "The Earth is the planet we live on.", "ice": "Ice is frozen water.", "a cloud": "A cloud is made of tiny drops of water.",
    "a rainbow": "A rainbow is an arc of colours in the sky after rain.", "a volcano": "A volcano is a mountain with fire inside.",
    "a desert": "A desert is a dry place where it hardly ever rains.", "an island": "An island is land with water all around it.",
    "a forest": "A forest is a place with many trees.", "a friend": "A friend is somebody you like and trust.",
    "honey": "Honey is a sweet food made by bees.", "milk": "Milk is a white drink that comes from cows.",
    "cheese": "Cheese is a food made from milk.", "bread": "Bread is a food made from flour and water.",
    "a computer": "A computer is a machine that follows instructions.", "a robot": "A robot is a machine that can do work.",
    "a program": "A program is a list of instructions for a computer.", "a token": "A token is a small piece of text, often a word or a part of a word.",
    "a language model": "A language model is a program that guesses the next piece of text, again and again.",
    "WebAssembly": "WebAssembly is a safe and fast format for small programs.", "Go": "Go is a programming language that is simple and fast.",
    "a plugin": "A plugin is a small program that adds something to a bigger one.", "GGUF": "GGUF is a file format for language models.",
    "a circle": "A circle is a round shape.", "music": "Music is sound that is nice to hear.", "a story": "A story tells what happened to somebody.",
}

WORLD = [
    ("How many legs does a table have?", "How many legs has a table?", "A table has four legs."),
    ("How many fingers do you have on one hand?", "How many fingers are on one hand?", "One hand has five fingers."),
    ("How many eyes do people have?", "How many eyes does a person have?", "People have two eyes."),
    ("How many wheels does a car have?", "How many wheels are on a car?", "A car has four wheels."),
    ("How many wheels does a bicycle have?", "How many wheels are on a bicycle?", "A bicycle has two wheels."),
    ("How many sides does a triangle have?", "How many sides are in a triangle?", "A triangle has three sides."),
    ("How many sides does a square have?", "How many sides are in a square?", "A square has four sides."),
    ("How many hours are in a day?", "How many hours does a day have?", "A day has twenty-four hours."),
    ("How many minutes are in an hour?", "How many minutes does an hour have?", "An hour has sixty minutes."),
    ("How many seconds are in a minute?", "How many seconds does a minute have?", "A minute has sixty seconds."),
    ("How many days are in a week?", "How many days does a week have?", "A week has seven days."),
    ("How many months are in a year?", "How many months does a year have?", "A year has twelve months."),
    ("How many seasons are there?", "How many seasons does a year have?", "There are four seasons: spring, summer, autumn and winter."),
    ("What are the days of the week?", "Name the days of the week.", "The days of the week are Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday."),
    ("What are the months of the year?", "Name the months of the year.", "The months are January, February, March, April, May, June, July, August, September, October, November and December."),
    ("Count to five.", "Can you count to five?", "One, two, three, four, five."),
    ("Count to ten.", "Can you count to ten?", "One, two, three, four, five, six, seven, eight, nine, ten."),
    ("Count to 5.", "Can you count to 5?", "1, 2, 3, 4, 5."),
    ("Count to 10.", "Can you count to 10?", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10."),
    ("Count backwards from ten.", "Count down from ten.", "Ten, nine, eight, seven, six, five, four, three, two, one."),
    ("What do bees make?", "What does a bee make?", "Bees make honey."),
    ("What do cows give us?", "What does a cow give us?", "Cows give us milk."),
    ("What do rabbits eat?", "What does a rabbit eat?", "Rabbits eat grass and carrots."),
    ("What do monkeys like to eat?", "What do monkeys eat?", "Monkeys like to eat bananas."),
    ("What do cats eat?", "What does a cat eat?", "Cats eat fish and meat."),
    ("What is the biggest animal?", "Which animal is the biggest?", "The blue whale is the biggest animal."),
    ("What is the tallest animal?", "Which animal is the tallest?", "The giraffe is the tallest animal."),
    ("What is the fastest animal on land?", "Which animal is the fastest on land?", "The cheetah is the fastest animal on land."),
    ("What is the highest mountain?", "Which mountain is the highest?", "Mount Everest is the highest mountain."),
    ("Where does the sun rise?", "In which direction does the sun rise?", "The sun rises in the east."),
    ("Where does the sun set?", "In which direction does the sun set?", "The sun sets in the west."),
    ("What do we do with our eyes?", "What are eyes for?", "We see with our eyes."),
    ("What do we do with our ears?", "What are ears for?", "We hear with our ears."),
    ("What do we do with our nose?", "What is a nose for?", "We smell with our nose."),
    ("What is the first letter of the alphabet?", "Which letter comes first in the alphabet?", "The first letter of the alphabet is A."),
    ("What is the last letter of the alphabet?", "Which letter comes last in the alphabet?", "The last letter of the alphabet is Z."),
    ("What season comes after winter?", "Which season comes after winter?", "Spring comes after winter."),
    ("What season comes after spring?", "Which season comes after spring?", "Summer comes after spring."),
    ("What season comes after summer?", "Which season comes after summer?", "Autumn comes after summer."),
    ("What season comes after autumn?", "Which season comes after autumn?", "Winter comes after autumn."),
    ("What is bigger, an elephant or a mouse?", "Which is bigger, an elephant or a mouse?", "An elephant is bigger than a mouse."),
    ("What is faster, a turtle or a horse?", "Which is faster, a turtle or a horse?", "A horse is faster than a turtle."),
    ("Can fish fly?", "Can a fish fly?", "No, most fish cannot fly. They swim."),
    ("Can penguins fly?", "Can a penguin fly?", "No, penguins cannot fly, but they swim very well."),
    ("Can birds fly?", "Can a bird fly?", "Yes, most birds can fly."),
]


def capital_answer(country):
    return f"The capital of {country} is {CAPITALS[country]}."


def sum_answer(a, b):
    return f"{a} plus {b} is {a + b}."


def minus_answer(a, b):
    return f"{a} minus {b} is {a - b}."


def baby_answer(name, baby):
    return f"A baby {name} is called {an(baby)}."


def home_answer(name, home):
    return f"{cap(an(name))} lives {home}."


def legs_answer(name, legs):
    return f"{cap(an(name))} has {NUMBERS[legs] if legs else 'no'} legs."


def _animals(out):
    for name, sound, baby, home, legs in ANIMALS:
        a = an(name)
        if sound:
            out.append(Fact("animals", [f"What does {a} say?", f"What sound does {a} make?", f"Which sound does {a} make?"], [f"What noise does {a} make?"], sound))
        if baby:
            out.append(Fact("animals", [f"What is a baby {name} called?", f"What do you call a baby {name}?", f"What is the young of {a} called?"], [f"What is the name of a baby {name}?"], baby_answer(name, baby)))
        out.append(Fact("animals", [f"Where does {a} live?", f"What is the home of {a}?"], [f"Where can {a} live?"], home_answer(name, home)))
        out.append(Fact("animals", [f"How many legs does {a} have?", f"How many legs has {a}?"], [], legs_answer(name, legs)))


def _sequence(out, names, group, noun):
    for i, x in enumerate(names):
        nxt, prv = names[(i + 1) % len(names)], names[i - 1]
        out.append(Fact(group, [f"What {noun} comes after {x}?", f"Which {noun} comes after {x}?", f"What comes after {x}?", f"What {noun} is after {x}?"], [f"Which {noun} is after {x}?"], f"{nxt} comes after {x}."))
        out.append(Fact(group, [f"What {noun} comes before {x}?", f"Which {noun} comes before {x}?", f"What comes before {x}?", f"What {noun} is before {x}?"], [f"Which {noun} is before {x}?"], f"{prv} comes before {x}."))


def _arithmetic(out):
    for a in range(21):
        for b in range(21 - a):
            held = [f"Please add {a} and {b}."] if (a + 3 * b) % 7 == 0 else []
            out.append(Fact("sums", [f"What is {a} plus {b}?", f"What is {a} + {b}?", f"How much is {a} plus {b}?", f"{a} + {b}", f"{a} + {b} =", f"Add {a} and {b}."], held, sum_answer(a, b)))
    for a in range(11):
        for b in range(a + 1):
            out.append(Fact("sums", [f"What is {a} minus {b}?", f"What is {a} - {b}?", f"How much is {a} minus {b}?"], [], minus_answer(a, b)))
    for n in range(20):
        out.append(Fact("numbers", [f"What number comes after {n}?", f"Which number comes after {n}?", f"What comes after {n}?", f"What number is after {n}?"], [f"Which number is after {n}?"], f"{n + 1} comes after {n}."))
        out.append(Fact("numbers", [f"What number comes before {n + 1}?", f"Which number comes before {n + 1}?", f"What comes before {n + 1}?", f"What number is before {n + 1}?"], [f"Which number is before {n + 1}?"], f"{n} comes before {n + 1}."))


def _colours(out):
    for thing, colour in COLOURS.items():
        out.append(Fact("colours", [f"What colour is {thing}?", f"What color is {thing}?", f"Which colour is {thing}?", f"What is the colour of {thing}?"], [f"Which color is {thing}?"], f"{cap(thing)} is {colour}."))
    for a, b, c in MIXES:
        for x, y in ((a, b), (b, a)):
            out.append(Fact("colours", [f"What do you get when you mix {x} and {y}?", f"What colour do {x} and {y} make?", f"Which colour do you get from {x} and {y}?"], [f"What color do {x} and {y} make?"], f"{cap(x)} and {y} make {c}."))


def _words(out):
    seen = set()
    for a, b in OPPOSITES:
        for x, y in ((a, b), (b, a)):
            if x not in seen:
                seen.add(x)
                out.append(Fact("opposites", [f"What is the opposite of {x}?", f"What is the contrary of {x}?", f"Tell me the opposite of {x}.", f"Which word means the opposite of {x}?"], [f"Which word is the opposite of {x}?"], f"The opposite of {x} is {y}."))
    for thing, text in DEFINITIONS.items():
        out.append(Fact("definitions", [f"What is {thing}?", f"Please explain what {thing} is.", f"Tell me what {thing} is."], [f"Can you tell me what {thing} is?"], text))


def _countries(out):
    for country, city in CAPITALS.items():
        own = [] if country.startswith("the ") else [f"What is {country}'s capital?"]
        out.append(Fact("capitals", [f"What is the capital of {country}?", f"Which city is the capital of {country}?", f"Tell me the capital of {country}.", f"Give me the capital of {country}."] + own,
                        [f"Name the capital of {country}.", f"Do you know the capital of {country}?"], capital_answer(country)))
        out.append(Fact("capitals", [f"Which country has the capital {city}?", f"{city} is the capital of which country?"], [f"In which country is {city} the capital?"], f"{city} is the capital of {country}."))
        out.append(Fact("countries", [f"Where is {country}?", f"What is {country}?"], [], f"{cap(country)} is a country in {CONTINENT.get(country, 'Europe')}." if country not in ("the Netherlands", "the United States")
                        else ("The Netherlands are a country in Europe." if country == "the Netherlands" else "The United States are a country in North America.")))


def all_facts():
    """Every taught fact, in a fixed order."""
    out = []
    for group, rows in (("sandwarp", SANDWARP), ("self", SELF), ("talk", TALK)):
        out += [Fact(group, list(t), list(h), a) for t, h, a in rows]
    _colours(out)
    _arithmetic(out)
    _sequence(out, DAYS, "calendar", "day")
    _sequence(out, MONTHS, "calendar", "month")
    _words(out)
    _animals(out)
    _countries(out)
    out += [Fact("world", [q1, q2], [], a) for q1, q2, a in WORLD]
    _check(out)
    return out


def _check(facts):
    """A question has one answer, and no held-out question is taught anywhere."""
    answers = {}
    for f in facts:
        for q in f.taught:
            if answers.setdefault(q, f.answer) != f.answer:
                raise ValueError(f"two answers for {q!r}: {answers[q]!r} and {f.answer!r}")
    for f in facts:
        for q in f.held:
            if q in answers:
                raise ValueError(f"held-out question {q!r} is also taught")
