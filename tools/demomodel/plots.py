"""The plots. Each takes (r, h, f, home, spot): a seeded random.Random, hero, friend, home phrase and a spot near home.

A plot returns the sentences after the opening, as a list of paragraph strings.
"""
from stories import an, cap, ending, lesson, whenever

TREASURES = ["red ball", "blue kite", "warm hat", "green scarf", "silver bell", "toy boat", "golden key", "teddy bear"]
HIDING = ["under a bush", "behind a big rock", "in the tall grass", "under an old bench", "next to a tree", "inside a hollow log"]
TREATS = ["an apple pie", "a honey cake", "a basket of berries", "a warm loaf of bread", "a bag of nuts", "a bowl of soup",
          "a big pancake", "a box of cookies"]
FEARS = [("the dark", "the night"), ("thunder", "the storm"), ("deep water", "the lake"), ("high places", "the tall hill"),
         ("loud noises", "the noisy fair")]
SKILLS = ["swim", "sing", "whistle", "dance", "paint", "skip rope", "bake bread", "play the drum", "climb trees", "read"]
BUILDS = [("a sand castle", "a big wave"), ("a snow house", "the hot sun"), ("a tree house", "a strong wind"),
          ("a little raft", "a heavy rain"), ("a tower of stones", "a strong wind"), ("a tent of leaves", "a heavy rain")]
SEEDS = [("sunflower", "tall and golden"), ("pumpkin", "round and orange"), ("rose", "red and sweet"),
         ("tomato", "red and juicy"), ("bean", "long and green"), ("melon", "big and sweet")]
SMALL = ["a baby bird", "a little bee", "a tiny ladybird", "a small snail", "a young mouse", "a little butterfly"]
TROUBLE = ["was stuck in a net", "had fallen into a hole", "was caught in a thorny bush", "could not get out of a bucket"]
GIFTS = ["a shiny shell", "a pretty stone", "a purple flower", "a bright feather", "a string of beads", "a small lantern"]


def lost_thing(r, h, f, home, spot):
    thing, where = r.choice(TREASURES), r.choice(HIDING)
    return [
        r.choice([
            f"{h.name} had {an(thing)}. {h.Sub} loved it very much and took it everywhere.",
            f"{h.Pos} favourite thing in the world was {an(thing)}.",
            f"{h.name} liked to play with {h.pos} {thing} all day long.",
        ]) + " " + whenever(r) + " " + r.choice([
            f"{h.name} could not find it. {h.Sub} looked under the bed and behind the door, but the {thing} was gone.",
            f"the {thing} was gone! {h.name} looked everywhere, but {h.sub} could not find it.",
            f"{h.sub} came back from {spot} and saw that the {thing} was missing.",
        ]),
        r.choice([
            f"{h.name} felt very sad. Then {f.name} the {f.kind} came by. \"Why are you crying?\" asked {f.name}.",
            f"{h.name} began to cry. {an_(f)} named {f.name} heard {h.obj}. \"What is wrong?\" asked {f.name}.",
            f"{h.name} sat down and sighed. \"What is the matter?\" asked {f.name}, {an(f.trait)} {f.kind}.",
        ]) + " " + r.choice([
            f"\"I lost my {thing},\" said {h.name}. \"Do not worry,\" said {f.name}. \"I will help you.\"",
            f"\"My {thing} is gone,\" said {h.name}. \"Let us look for it together,\" said {f.name}.",
        ]),
        r.choice([
            f"They walked to {spot} and looked all around. At last, {f.name} saw something {where}. It was the {thing}!",
            f"They looked here and they looked there. Then {f.name} looked {where}. \"I found it!\" {f.sub} called.",
            f"Together they went back to {spot}. There it was, {where}. The {thing} was safe!",
        ]) + " " + r.choice([
            f"{h.name} jumped for joy. \"Thank you, {f.name}!\" {h.sub} said.",
            f"{h.name} hugged {f.name}. \"Thank you so much!\" {h.sub} said.",
            f"\"You are a true friend,\" said {h.name}, and {h.sub} smiled.",
        ]) + " " + ending(r, h, f),
    ]


def an_(who):
    return cap(an(who.trait)) + " " + who.kind


def lost_way(r, h, f, home, spot):
    gift = r.choice(GIFTS)
    return [
        whenever(r) + " " + r.choice([
            f"{h.name} went for a long walk. {h.Sub} followed a butterfly past {spot} and far into the hills.",
            f"{h.name} wanted to see what was behind the hills. {h.Sub} walked and walked.",
            f"{h.name} chased a falling leaf. {h.Sub} ran past {spot} and did not look back.",
        ]) + " " + r.choice([
            f"When {h.sub} stopped, {h.sub} did not know the way home.",
            f"Soon the sun went down, and {h.name} was lost.",
            f"Then {h.sub} looked around. Nothing looked the same. {h.Sub} was lost!",
        ]),
        r.choice([
            f"\"Oh no,\" said {h.name}. \"How will I get home?\"",
            f"{h.name} was a little afraid, but {h.sub} took a deep breath.",
            f"\"I must stay calm,\" {h.name} told {h.own}.",
        ]) + " " + r.choice([
            f"Just then, {f.intro()} came along the path. \"Are you lost?\" asked {f.name}. \"Yes,\" said {h.name}. \"I live {home}.\"",
            f"Soon {h.sub} met {f.intro()}. \"Can you help me?\" asked {h.name}. \"I live {home}.\"",
        ]),
        r.choice([
            f"\"I know the way,\" said {f.name}. \"Follow me!\" They walked past {spot} and sang a song.",
            f"{f.name} smiled. \"I can show you,\" {f.sub} said. {f.Sub} walked in front, and {h.name} walked behind.",
            f"\"Do not be afraid,\" said {f.name}. \"We can follow the stars.\" And so they did.",
        ]) + " " + r.choice([
            f"Before long, {h.name} saw {h.pos} own front door.",
            f"At last, {h.name} was home again.",
        ]) + " " + r.choice([
            f"\"Thank you,\" said {h.name}, and {h.sub} gave {f.name} {gift}.",
            f"{h.name} invited {f.name} to supper, and they ate warm soup.",
        ]) + " " + ending(r, h, f),
    ]


def sharing(r, h, f, home, spot):
    treat = r.choice(TREATS)
    food = treat.split(" of ")[-1] if " of " in treat else treat.split(" ", 1)[1]
    return [
        whenever(r) + " " + r.choice([
            f"{h.name} made {treat}. It smelled so good!",
            f"{h.pos} grandmother gave {h.obj} {treat}. \"Enjoy it,\" she said.",
            f"{h.name} packed {treat} and walked to {spot}.",
        ]) + " " + r.choice([
            f"{h.Sub} sat down to eat it all by {h.own}.",
            f"{h.Sub} could not wait to eat it.",
        ]),
        r.choice([
            f"Then {h.sub} saw {f.intro()}. {f.name} looked tired and hungry.",
            f"But near {spot} sat {f.intro()}. {f.Sub} had nothing to eat.",
        ]) + " " + r.choice([
            f"\"Are you hungry?\" asked {h.name}. \"Yes, very,\" said {f.name} in a small voice.",
            f"\"That smells wonderful,\" said {f.name}. \"I have not eaten all day.\"",
        ]) + " " + r.choice([
            f"{h.name} thought for a moment. Then {h.sub} smiled. \"Let us share,\" {h.sub} said.",
            f"{h.name} looked at the {food}. There was enough for two. \"Come and eat with me,\" {h.sub} said.",
        ]),
        r.choice([
            f"They ate together and told each other funny stories.",
            f"{f.name} ate and smiled. \"This is the best {food} in the world!\" {f.sub} said." if food not in ("berries", "nuts", "cookies")
            else f"{f.name} ate and smiled. \"These are the best {food} in the world!\" {f.sub} said.",
        ]) + " " + r.choice([
            f"The next day, {f.name} came back with {r.choice(GIFTS)} for {h.name}.",
            f"\"One day I will help you too,\" said {f.name}. And {f.sub} did.",
            f"The food tasted even better because they shared it.",
        ]) + " " + lesson(r, r.choice(["sharing makes everything better", "a shared meal makes a new friend",
                                       "kindness always comes back"])) + " " + ending(r, h, f),
    ]


def afraid(r, h, f, home, spot):
    fear, test = r.choice(FEARS)
    return [
        r.choice([
            f"{h.name} was afraid of {fear}. {h.Sub} did not tell anyone.",
            f"There was only one problem. {h.name} was afraid of {fear}.",
            f"{h.name} liked many things, but {h.sub} did not like {fear}.",
        ]) + " " + whenever(r) + " " + r.choice([
            f"{f.name} the {f.kind} came to visit. \"Come with me to {spot},\" {f.sub} said.",
            f"{h.pos} friend {f.name}, {an(f.trait)} {f.kind}, asked {h.obj} to come along to {spot}.",
        ]),
        r.choice([
            f"{h.name} shook {h.pos} head. \"I am afraid of {fear},\" {h.sub} whispered.",
            f"\"I cannot,\" said {h.name}. \"I am too afraid of {fear}.\"",
        ]) + " " + r.choice([
            f"{f.name} did not laugh. \"Everyone is afraid of something,\" {f.sub} said. \"Hold on to me.\"",
            f"\"That is all right,\" said {f.name}. \"I am afraid of spiders. We can be brave together.\"",
            f"{f.name} sat down next to {h.obj}. \"We will go slowly,\" {f.sub} said. \"One step at a time.\"",
        ]),
        r.choice([
            f"{h.name} took one small step, and then another. {cap(test)} was not so bad after all.",
            f"They counted to ten and went on. {cap(test)} did not hurt them at all.",
            f"{h.name} closed {h.pos} eyes, then opened them again. {cap(test)} was beautiful!",
        ]) + " " + r.choice([
            f"\"I did it!\" shouted {h.name}. \"I am brave!\"",
            f"\"Look at me!\" called {h.name}. \"I am not afraid any more.\"",
        ]) + " " + lesson(r, r.choice(["being brave means trying even when you are afraid",
                                       "a good friend can make you brave"])) + " " + ending(r, h, f),
    ]


def building(r, h, f, home, spot):
    build, breaker = r.choice(BUILDS)
    noun = build.split(" ", 1)[1]
    return [
        whenever(r) + " " + r.choice([
            f"{h.name} wanted to build {build}. {h.Sub} worked all morning near {spot}.",
            f"{h.name} had a big idea. \"I will build {build}!\" {h.sub} said.",
        ]) + " " + r.choice([
            f"When it was done, {h.sub} was very proud.",
            f"It was not easy, but {h.sub} did not stop.",
        ]),
        r.choice([
            f"Then {breaker} came, and the {noun} fell apart.",
            f"But {breaker} came and broke the {noun} to pieces.",
        ]) + " " + r.choice([
            f"{h.name} was so sad that {h.sub} wanted to give up.",
            f"\"All my work is gone,\" said {h.name}, and a tear rolled down {h.pos} face.",
        ]) + " " + r.choice([
            f"{f.name}, {an(f.trait)} {f.kind}, saw it all. \"Let us try again,\" {f.sub} said. \"Two can do more than one.\"",
            f"Then {f.intro()} came over. \"May I help?\" asked {f.name}. \"We can make it stronger.\"",
        ]),
        r.choice([
            f"So they worked side by side. {h.name} carried the big pieces, and {f.name} carried the small ones.",
            f"{f.name} had good ideas, and {h.name} had strong hands." if h.human else f"{f.name} had good ideas, and {h.name} was very strong.",
        ]) + " " + r.choice([
            f"The new {noun} was bigger and better than before.",
            f"By evening, the {noun} stood tall and strong.",
        ]) + " " + lesson(r, r.choice(["you should never give up", "working together makes hard things easy"])) + " " + ending(r, h, f),
    ]


def broke_it(r, h, f, home, spot):
    thing = r.choice(["toy boat", "blue cup", "little drum", "wooden flute", "red kite", "glass jar"])
    return [
        r.choice([
            f"{h.pos} best friend was {f.name}, {an(f.trait)} {f.kind}.",
            f"{h.name} had a good friend, {an(f.kind)} named {f.name}.",
        ]).replace(h.pos + " best", h.Pos + " best") + " " + whenever(r) + " " + r.choice([
            f"{f.name} let {h.obj} play with {f.pos} {thing}. But {h.name} dropped it, and it broke.",
            f"{h.name} borrowed {f.name}'s {thing}. {h.Sub} was not careful, and it broke.",
        ]),
        r.choice([
            f"\"Oh no!\" said {h.name}. {h.Sub} wanted to hide the {thing} under the bed.",
            f"{h.name} felt bad. {h.Pos} tummy hurt, and {h.sub} could not eat supper.",
        ]) + " " + r.choice([
            f"{h.Pos} mother said, \"It is always best to tell the truth.\"",
            f"A wise old owl said, \"The truth makes a heavy heart light.\"",
            f"But deep inside, {h.sub} knew what to do.",
        ]),
        r.choice([
            f"So {h.name} went to {f.name}. \"I broke your {thing},\" {h.sub} said. \"I am very sorry.\"",
            f"The next morning, {h.sub} told {f.name} everything. \"I am sorry,\" said {h.name}.",
        ]) + " " + r.choice([
            f"{f.name} was sad for a moment. Then {f.sub} smiled. \"Thank you for telling me the truth,\" {f.sub} said.",
            f"\"It was an accident,\" said {f.name}. \"We can fix it together.\"",
        ]) + " " + r.choice([
            f"They took some glue and mended the {thing}. It looked almost like new.",
            f"They worked all afternoon, and soon the {thing} was whole again.",
        ]) + " " + lesson(r, r.choice(["it is good to tell the truth", "saying sorry can mend a friendship"])) + " " + ending(r, h, f),
    ]


def rescue(r, h, f, home, spot):
    who, trouble = r.choice(SMALL), r.choice(TROUBLE)
    noun = who.split(" ", 1)[1]
    return [
        whenever(r) + " " + r.choice([
            f"{h.name} was walking near {spot} when {h.sub} heard a tiny cry. \"Help! Help!\"",
            f"{h.name} heard a soft sound near {spot}. Somebody was calling for help.",
        ]) + " " + f"It was {who}. It {trouble}.",
        r.choice([
            f"{h.name} wanted to help, but {h.sub} could not do it alone.",
            f"\"Do not be afraid,\" said {h.name}. {h.Sub} tried and tried, but it was too hard for one.",
        ]) + " " + r.choice([
            f"So {h.sub} ran to {f.name} the {f.kind}. \"Please come quickly!\" {h.sub} said.",
            f"Then {f.name}, {an(f.trait)} {f.kind}, came by. \"Let me help,\" {f.sub} said.",
        ]),
        r.choice([
            f"Very gently, they worked together, and soon the {noun} was free.",
            f"{h.name} pulled and {f.name} pushed. One, two, three! The {noun} was free.",
        ]) + " " + r.choice([
            f"\"Thank you, thank you!\" said the {noun}. \"You saved me.\"",
            f"The {noun} was so happy that it danced around them.",
        ]) + " " + lesson(r, r.choice(["no one is too small to be helped", "it feels good to help others"])) + " " + ending(r, h, f),
    ]


def surprise(r, h, f, home, spot):
    treat = r.choice(["a big cake", "a honey cake", "a chocolate cake", "an apple pie"])
    return [
        whenever(r) + " " + r.choice([
            f"{h.name} woke up early. It was {h.pos} birthday!",
            f"it was the birthday of {h.name}. {h.Sub} jumped out of bed.",
        ]) + " " + r.choice([
            f"But nobody said a word about it.",
            f"{h.Sub} waited and waited, but nobody came.",
        ]),
        r.choice([
            f"{h.name} met {f.name} the {f.kind} at {spot}. \"Do you know what day it is?\" asked {h.name}. \"No,\" said {f.name}, and {f.sub} hurried away.",
            f"{h.pos} friend {f.name}, {an(f.trait)} {f.kind}, walked past without a word.".replace(h.pos, h.Pos, 1),
        ]) + " " + r.choice([
            f"{h.name} felt lonely. \"They have all forgotten me,\" {h.sub} thought.",
            f"\"Nobody remembers,\" said {h.name} with a sigh.",
        ]),
        r.choice([
            f"In the evening, {h.name} opened the door of {h.pos} house. \"Surprise!\" everyone shouted.",
            f"When the sun went down, {h.sub} walked slowly home. Suddenly all the lights came on. \"Surprise!\"",
        ]) + " " + r.choice([
            f"There was {treat}, and there were balloons and songs.",
            f"{f.name} had made {treat}, and all the friends were there.",
        ]) + " " + r.choice([
            f"\"We did not forget you,\" said {f.name}. \"We only wanted to surprise you.\"",
            f"{f.name} gave {h.obj} {r.choice(GIFTS)}. \"Happy birthday, {h.name}!\" {f.sub} said.",
        ]) + " " + ending(r, h, f),
    ]


def garden(r, h, f, home, spot):
    seed, looks = r.choice(SEEDS)
    return [
        whenever(r) + " " + r.choice([
            f"{h.name} found a small seed near {spot}. \"What will it be?\" {h.sub} asked.",
            f"{f.name}, {an(f.trait)} {f.kind}, gave {h.name} a tiny seed. \"Take good care of it,\" {f.sub} said.",
        ]) + " " + f"{h.name} put the seed into the soft ground and gave it water.",
        r.choice([
            f"The next day, nothing had grown. The day after that, there was still nothing.",
            f"Every morning {h.sub} looked at the ground, but there was nothing to see.",
        ]) + " " + r.choice([
            f"\"It does not work,\" said {h.name} sadly.",
            f"{h.name} wanted to give up. \"Maybe it is a bad seed,\" {h.sub} said.",
        ]) + " " + r.choice([
            f"\"Be patient,\" said {f.name} the {f.kind}. \"Good things take time.\"",
            f"\"Wait a little longer,\" said {f.name} the {f.kind}. \"It needs sun, water and love.\"",
        ]),
        r.choice([
            f"So {h.name} waited. {h.Sub} gave the seed water every day and sang to it.",
            f"Day after day, {h.name} and {f.name} brought water to the little seed.",
        ]) + " " + r.choice([
            f"Then one morning, a green leaf came out of the ground! Week by week it grew.",
            f"At last, a tiny green plant came up and stretched toward the sun.",
        ]) + " " + f"In the end it was a wonderful {seed}, {looks}. " + r.choice([
            f"{h.name} was very proud.", f"\"We did it!\" said {h.name}.",
        ]) + " " + lesson(r, "good things take time") + " " + ending(r, h, f),
    ]


def learning(r, h, f, home, spot):
    skill = r.choice(SKILLS)
    return [
        r.choice([
            f"More than anything, {h.name} wanted to learn to {skill}.",
            f"{h.name} had a dream. {h.Sub} wanted to {skill}.",
        ]) + " " + whenever(r) + " " + r.choice([
            f"{h.sub} tried it for the first time. It did not go well at all.",
            f"{h.name} went to {spot} and tried to {skill}. But it was very hard.",
        ]),
        r.choice([
            f"\"I will never learn it,\" said {h.name}.",
            f"Some of the others laughed, and {h.name} felt sad.",
        ]) + " " + r.choice([
            f"{f.name}, {an(f.trait)} {f.kind}, came to {h.obj}. \"I could not {skill} at first,\" {f.sub} said. \"I will teach you.\"",
            f"Then {h.sub} met {f.intro()}. \"You only need to practise,\" said {f.name}. \"Come, I will show you.\"",
        ]),
        r.choice([
            f"Every day they practised together. {h.name} made many mistakes, but {h.sub} did not stop.",
            f"{h.name} practised in the morning and in the evening. Little by little, it got easier.",
        ]) + " " + r.choice([
            f"Then, one fine day, {h.name} could {skill} all by {h.own}!",
            f"After many days, {h.name} could {skill} better than anyone.",
        ]) + " " + r.choice([
            f"Everyone clapped, and {f.name} clapped the loudest.",
            f"\"Thank you for believing in me,\" {h.sub} said to {f.name}.",
        ]) + " " + lesson(r, r.choice(["practice makes you better", "everyone can learn something new"])) + " " + ending(r, h, f),
    ]


def newcomer(r, h, f, home, spot):
    game = r.choice(["hide and seek", "catch", "pirates", "tag", "ball"])
    return [
        whenever(r) + " " + r.choice([
            f"{f.intro()} moved into the house next door.", f"somebody new came to {spot}. It was {f.intro()}.",
        ]) + " " + r.choice([
            f"{f.name} did not know anyone and sat all alone.", f"{f.name} was too shy to say hello.",
        ]),
        r.choice([
            f"{h.name} saw {f.obj} and thought, \"{f.Sub} looks lonely.\"",
            f"{h.name} remembered how it feels to be alone.",
        ]) + " " + r.choice([
            f"So {h.sub} went over and said, \"Hello! I am {h.name}. Do you want to play {game}?\"",
            f"So {h.sub} walked up to {f.obj} with a smile. \"My name is {h.name},\" {h.sub} said. \"Shall we play {game}?\"",
        ]),
        r.choice([
            f"{f.name} looked up, and {f.pos} eyes grew bright. \"I would love to,\" {f.sub} said.",
            f"\"Yes, please!\" said {f.name}. {f.Sub} was not shy any more.",
        ]) + " " + r.choice([
            f"They played {game} until it was dark.", f"All afternoon they ran, laughed and played {game}.",
        ]) + " " + r.choice([
            f"\"I am glad that you came here,\" said {h.name}. \"Me too,\" said {f.name}.",
            f"The next day, {f.name} was waiting at the door. \"Can we play again?\" {f.sub} asked.",
        ]) + " " + lesson(r, r.choice(["a kind word can make a friend", "a smile is a good way to begin"])) + " " + ending(r, h, f),
    ]


def wish(r, h, f, home, spot):
    thing = r.choice(["lamp", "stone", "ring", "feather", "shell", "bell"])
    want = r.choice(["to fly like a bird", "to be as tall as a tree", "to have all the sweets in the world",
                     "to be the fastest of all", "to stay awake for ever"])
    return [
        whenever(r) + " " + r.choice([
            f"{h.name} found a magic {thing} near {spot}. \"I can give you one wish,\" said the {thing}.",
            f"{h.name} saw something shiny near {spot}. It was a magic {thing}, and it could talk! \"Make a wish,\" it said.",
        ]) + " " + f"{h.name} wished {want}, and the wish came true.",
        r.choice([
            f"At first it was great fun. But soon {h.name} felt lonely, because nobody could play with {h.obj}.",
            f"For one day {h.sub} was very happy. But then {h.sub} missed {h.pos} friends and {h.pos} old life.",
        ]) + " " + r.choice([
            f"{h.name} told {f.name} the {f.kind} about it. \"Ask the {thing} to turn everything back,\" said {f.name}.",
            f"\"What should I do?\" {h.sub} asked {f.name}, {an(f.trait)} {f.kind}. \"Tell the {thing} the truth,\" said {f.name}.",
        ]),
        f"So {h.name} went back to the magic {thing}. \"Please take my wish back,\" {h.sub} said. \"I only want to be {h.name}.\" " + r.choice([
            f"The {thing} glowed softly, and everything was as before.",
            f"There was a flash of light, and {h.name} was {h.own} again.",
        ]) + " " + r.choice([
            f"{f.name} laughed. \"I like you just the way you are,\" {f.sub} said.",
            f"\"Welcome back,\" said {f.name}, and {f.sub} gave {h.obj} a hug.",
        ]) + " " + lesson(r, r.choice(["friends are worth more than magic", "it is best to be yourself"])) + " " + ending(r, h, f),
    ]


ALL = [lost_thing, lost_way, sharing, afraid, building, broke_it, rescue, surprise, garden, learning, newcomer, wish]

# Plots whose first sentence may follow "One day, a little fox went to the river."
AFTER_WALK = [building, learning, garden, newcomer, wish]
