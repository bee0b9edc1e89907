#!/usr/bin/env python3
"""Writes short children's stories made by a grammar of our own.

  make_corpus.py --stories 40000 --seed 1 --out corpus.txt

Stories are separated by a line that holds only "===". The same arguments always give the same text.
A story is a plot of story_plots.py played by a cast drawn from story_words.py.

Template language: [a|b|c] is a choice (may be nested), {key} an entry of the cast; {Key} is the same
with a capital letter.
"""
import argparse
import random

import story_words as words
from story_plots import PLOTS

PRONOUNS = {
    "he": {"he": "he", "him": "him", "his": "his", "himself": "himself"},
    "she": {"he": "she", "him": "her", "his": "her", "himself": "herself"},
}


def with_article(phrase):
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


class Cast(dict):
    """Who and what a story is about; {Key} gives the entry `key` with a capital letter."""

    def __missing__(self, key):
        value = self[key[0].lower() + key[1:]] if key[0].isupper() else None
        if value is None:
            raise KeyError(key)
        return value[0].upper() + value[1:]

    def add_pronouns(self, prefix, pronoun):
        for key, value in PRONOUNS[pronoun].items():
            self[prefix + key] = value


def draw_cast(rng):
    cast = Cast()
    girls, boys = rng.sample(words.GIRLS, 2), rng.sample(words.BOYS, 2)
    people = [(girls[0], "girl", "she"), (boys[0], "boy", "he")]
    if rng.random() < 0.3:  # a story among animals
        kinds = rng.sample(words.ANIMAL_KINDS, 2)
        people = [(rng.choice(words.SHE_ANIMALS), kinds[0], "she"), (rng.choice(words.HE_ANIMALS), kinds[1], "he")]
    elif rng.random() < 0.3:  # two children of one sex
        people = [(n, "girl", "she") for n in girls] if rng.random() < 0.5 else [(n, "boy", "he") for n in boys]
    rng.shuffle(people)
    for prefix, key, (name, kind, pronoun) in zip(("", "f_"), ("hero", "friend"), people):
        cast[key], cast[prefix + "kind"], cast["a_" + prefix + "kind"] = name, kind, with_article(kind)
        cast.add_pronouns(prefix, pronoun)

    cast["trait"], cast["f_trait"] = rng.sample(words.TRAITS, 2)
    cast["elder"], pronoun = rng.choice(words.ELDERS)
    cast.add_pronouns("e_", pronoun)
    cast["helper"], pronoun = rng.choice(words.HELPERS)
    cast["a_helper"] = with_article(cast["helper"])
    cast.add_pronouns("h_", pronoun)
    cast["creature"], cast["stuck"], pronoun = rng.choice(words.CREATURES)
    cast.add_pronouns("c_", pronoun)

    cast["place"], cast["in_place"], spots = rng.choice(words.PLACES)
    cast["spot"], cast["spot2"], cast["spot3"] = rng.sample(spots, 3)
    color, cast["toy"] = rng.choice(words.COLORS), rng.choice(words.TOYS)
    cast["color_toy"] = color + " " + cast["toy"]
    cast["a_toy"] = with_article(cast["color_toy"])
    cast["cuddly"] = rng.choice(words.CUDDLY)
    cast["a_treat"] = rng.choice(words.TREATS)
    cast["a_project"], cast["project"], cast["stuff"] = rng.choice(words.PROJECTS)
    cast["seed"], cast["plant"] = rng.choice(words.PLANTS)
    cast["a_seed"], cast["a_plant"] = with_article(cast["seed"]), with_article(cast["plant"])
    cast["fear"], cast["scare"], cast["comfort"] = rng.choice(words.FEARS)
    cast["treasure"] = rng.choice(words.TREASURES)
    return cast


def expand(template, rng):
    """Resolves the innermost choices first until none is left."""
    while "[" in template:
        start = template.rindex("[")
        end = template.index("]", start)
        template = template[:start] + rng.choice(template[start + 1 : end].split("|")) + template[end + 1 :]
    return template


def tell(rng):
    """One story: its paragraphs, a blank line between them."""
    cast = draw_cast(rng)
    paragraphs = []
    for beats in rng.choice(PLOTS):
        sentences = []
        for alternatives in beats:
            text = expand(rng.choice(alternatives), rng).format_map(cast)
            if text:
                sentences.append(text)
        paragraphs.append(" ".join(sentences))
    return "\n\n".join(paragraphs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stories", type=int, default=40000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with open(args.out, "w", encoding="utf-8") as file:
        file.write("\n===\n".join(tell(rng) for _ in range(args.stories)) + "\n")


if __name__ == "__main__":
    main()
