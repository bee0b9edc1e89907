"""Beats that many plots of the demo stories share: lists of alternatives (see story_plots.py)."""

INTRO = [
    "Once upon a time, there was a [little|small|young] {kind} named {hero}.",
    "Once upon a time, there was a {trait} [little |]{kind} named {hero}.",
    "Once upon a time, there was a {trait} {kind} [named|called] {hero}.",
    "Once upon a time, in a [small|quiet|pretty] village, there lived {a_kind} named {hero}.",
    "Once upon a time, a {trait} {kind} named {hero} lived near [a forest|a river|a big hill|the sea].",
    "There once was a {trait} {kind} named {hero}.",
    "{hero} was a {trait} little {kind}.",
    "In a [little|cozy|small] house [by the river|near the forest|on the hill] lived a {kind} named {hero}.",
]
LIKES = [
    "{He} loved to [play|run and play|explore|sing and dance] {in_place}.",
    "{He} was very {trait} and liked to [help|make others smile|ask many questions|play outside].",
    "Every day, {he} [went to the {place}|played {in_place}|took a walk to the {place}].",
    "{He} lived with {his} {elder}, who [told the best stories|baked the best bread|loved {him} very much].",
    "{He} lived with {his} {elder} near the {place}.",
    "",
]
DAY = [
    "One [sunny|bright|warm|fine] [morning|day], {hero} went to the {place}.",
    "One [windy|cloudy|cool|gray] day, {hero} was playing {in_place}.",
    "One morning, the [sun was shining|sky was blue|birds were singing], and {hero} ran to the {place}.",
    "One day, {hero} and {his} {elder} went for a walk {in_place}.",
    "It was a [lovely spring|warm summer|golden autumn|clear winter] day, and {hero} was {in_place}.",
    "One afternoon, {hero} put on {his} [boots|coat|shoes] and walked to the {place}.",
]
THANKS = [
    "\"Thank you[ so much|], {friend}!\" said {hero}. \"You are a [good|true|wonderful] friend.\"",
    "{hero} gave {friend} a [big|long|warm] hug. \"Thank you,\" {he} said.",
    "\"You helped me when I was sad,\" said {hero}. \"I will never forget it.\"",
    "\"I could not have done it without you,\" said {hero}, and {friend} smiled.",
    "{hero} smiled from ear to ear. \"Thank you! What would I do without you?\"",
]
FRIENDS_END = [
    "From that day on, {hero} and {friend} were [the best of friends|always together|best friends].",
    "After that, {hero} and {friend} played together [every day|every afternoon|all summer long].",
    "{hero} and {friend} laughed and played until the [sun went down|stars came out|moon rose].",
    "Then the two friends [walked|skipped|ran] home together, hand in hand.",
    "They were both very happy, and they [stayed friends forever|never forgot that day].",
]
NIGHT_END = [
    "That night, {hero} fell asleep with a [smile on {his} face|happy heart|warm feeling inside].",
    "When the [moon|first star] came out, {hero} told {his} {elder} all about {his} day.",
    "That evening, {his} {elder} tucked {him} in and said, \"I am [so |very |]proud of you.\"",
    "{hero} went home, ate {his} supper, and dreamed of the {place} all night.",
    "And that night, {hero} slept [very well|soundly|like a baby].",
    "",
]


def lesson(*lines):
    told = ["{hero} learned that " + line for line in lines]
    told += ["And so {hero} [learned|found out] that " + line for line in lines]
    told += ["From then on, {hero} always remembered that " + line for line in lines]
    told += ["\"I know now that " + line[:-1] + ",\" said {hero}." for line in lines]
    return told
