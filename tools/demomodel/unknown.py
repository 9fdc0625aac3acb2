"""Questions the model must decline, so that it says "I do not know that yet" instead of inventing an answer.

Taught and held-out questions come from the same templates with different fillings, and from sentences kept apart.
"""

COUNTRIES = ["Mongolia", "Chile", "Ghana", "Nigeria", "Vietnam", "Nepal", "Cuba", "Fiji", "Malta", "Serbia", "Croatia", "Morocco", "Libya",
             "Sudan", "Uganda", "Zambia", "Mali", "Chad", "Oman", "Qatar", "Iran", "Iraq", "Israel", "Jordan", "Laos", "Bhutan", "Bolivia", "Ecuador",
             "Panama", "Haiti", "Latvia", "Estonia", "Slovakia", "Slovenia", "Albania", "Cyprus", "Senegal", "Angola", "Tunisia", "Georgia",
             "Zimbabwe", "Ethiopia", "Somalia", "Rwanda", "Namibia", "Botswana", "Cameroon", "Gabon", "Niger", "Togo", "Benin", "Madagascar",
             "Venezuela", "Uruguay", "Paraguay", "Guyana", "Honduras", "Nicaragua", "Guatemala", "Jamaica", "Barbados", "Belize", "Romania", "Bulgaria",
             "Moldova", "Belarus", "Armenia", "Azerbaijan", "Kazakhstan", "Uzbekistan", "Afghanistan", "Bangladesh", "Sri Lanka", "Myanmar",
             "Cambodia", "Indonesia", "Singapore", "Taiwan", "New Zealand", "Samoa", "Tonga", "Yemen", "Syria", "Lebanon", "Kuwait", "Saudi Arabia",
             "Luxembourg", "Monaco", "Switzerland", "Bosnia", "Montenegro", "Andorra", "Liechtenstein", "South Africa", "Costa Rica", "Burundi"]
COUNTRIES_HELD = ["Lithuania", "Tanzania", "Colombia", "Malaysia", "Algeria", "Pakistan"]
TOPICS = ["quantum physics", "the stock market", "football", "black holes", "cooking pasta", "politics", "the Roman empire", "cars", "chemistry",
          "algebra", "dinosaurs", "history", "philosophy", "tennis", "the weather", "biology", "the economy", "taxes", "painting", "law",
          "medicine", "space travel", "opera", "movies", "chess", "the moon landing", "gravity", "electricity", "DNA", "computer games"]
TOPICS_HELD = ["astronomy", "basketball", "poetry", "the ocean floor", "engines", "the Middle Ages"]
SENTENCES = [
    "Who won the last world cup?", "What is the weather like today?", "What will the weather be tomorrow?", "What time is it?", "What day is it today?",
    "Who is the president of France?", "Who is the king of Spain?", "Who wrote Hamlet?", "Who painted the Mona Lisa?", "Who invented the telephone?",
    "How far away is the moon?", "How far is it to Paris?", "How tall is Mount Everest?", "How deep is the sea?", "How fast is light?",
    "Write a poem about love.", "Write a program that sorts numbers.", "Write an essay about history.", "Translate this into German.",
    "What is the meaning of life?", "Why is the sky blue?", "Why do people dream?", "Why do cats purr?", "How does a car work?", "How do planes fly?",
    "How do I cook rice?", "How do I bake a cake?", "What should I eat tonight?", "Which film should I watch?", "What is the price of gold?",
    "Solve this equation.", "What is the square root of two?", "What is pi?", "How many people live in China?", "How many stars are in the sky?",
    "What is the best phone?", "Which car should I buy?", "Can you drive a car?", "Can you read my mail?", "Where are my keys?", "Where do I live?",
    "How old am I?", "Who am I?", "What am I thinking?", "What did I eat yesterday?", "Summarize this text.", "Fix my code.", "Play some music.",
    "Turn on the light.", "Call my mother.", "Book a flight to Rome.", "What is the news today?", "Who is your favourite singer?",
    "What is the fastest car?", "Who was the first man on the moon?", "When did the war end?", "When was Rome built?", "What is the longest river?",
    "What is the largest city?", "How many countries are there?", "How much does a house cost?", "What is a black hole?", "What is an atom?",
    "What is inflation?", "What is democracy?", "What is a transformer?", "What is calculus?", "What is a neutron?", "Who was Napoleon?", "Who was Einstein?",
    "Who is Shakespeare?", "Is there life on Mars?", "Will it rain tomorrow?", "Do you believe in ghosts?", "What is the tallest building?",
    "How do I learn the guitar?", "How do I fix a flat tyre?", "What is the speed of sound?", "Tell me a secret.", "Give me a recipe.",
    "How many bones does a person have?", "What is the temperature of the sun?", "How heavy is the Earth?", "Who discovered America?",
]
SENTENCES_HELD = ["Who wrote Faust?", "How far away is the sun?", "What is the weather in Berlin?", "How do I repair my bicycle?", "What is the best computer?",
                  "Who invented the radio?", "How many people live in India?", "What is a proton?", "Why do dogs bark?", "When was Berlin built?"]
ABOUT = ["Tell me about {}.", "Explain {}.", "What do you know about {}?", "Can you explain {}?", "I want to know more about {}."]
CAPITAL = ["What is the capital of {}?", "Which city is the capital of {}?", "Tell me the capital of {}."]
BIG = ["What is {} plus {}?", "What is {} + {}?", "How much is {} plus {}?", "What is {} minus {}?", "What is {} times {}?", "What is {} divided by {}?"]


def taught(r):
    """One question to decline."""
    k = r.random()
    if k < 0.4:
        return r.choice(SENTENCES)
    if k < 0.64:
        return r.choice(CAPITAL).format(r.choice(COUNTRIES))
    if k < 0.8:
        return r.choice(ABOUT).format(r.choice(TOPICS))
    if k < 0.9:
        return r.choice(BIG).format(r.randint(21, 999), r.randint(2, 999))
    a = r.randint(1, 20)
    return r.choice(BIG[:3]).format(a, r.randint(21 - a, 20))  # sums just past the taught ones


def held():
    """The questions kept for evaluation."""
    return (SENTENCES_HELD + [CAPITAL[0].format(c) for c in COUNTRIES_HELD] + [ABOUT[0].format(t) for t in TOPICS_HELD]
            + ["What is 45 plus 37?", "What is 130 plus 9?", "What is 512 minus 77?", "What is 14 plus 17?"])


TAUGHT_SAMPLE = SENTENCES + [CAPITAL[0].format(c) for c in COUNTRIES] + [ABOUT[0].format(t) for t in TOPICS]
