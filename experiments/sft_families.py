"""Record FLAN's question in small: does fine-tuning on more kinds of instruction help with a kind it has not met?

    OMP_NUM_THREADS=1 python experiments/sft_families.py

A system message says which sentences the reply shall have, and in which order: "sorry" (a polite one), "promise" (what
will be done) and "next" (the next step). Each of the fifteen orders of one to three of them is a family. A model is
fine-tuned on k families, always on 400 demonstrations in all and in 150 updates of 16, and asked for replies of three
families that it has not met, whose words it may have. Right: a reply with the sentences of that kind in that order and
no others. The base model is `sft_bases`'s. Four seeds, each with families of its own held out; two minutes of one core.
"""

import itertools
import random

import sft_bases
import sft_learning
import support_desk as road
import torch

from llmlib.align import Example, chat_example, end_of_turn
from llmlib.data import Experiment, Request, SupportDesk
from llmlib.data.support_phrases import NEXT_STEPS, POLITE, PROMISES
from llmlib.model import Transformer
from llmlib.text import BPETokenizer, encode_chat

SEEDS, KS, DEMONSTRATIONS, UPDATES, HELD_OUT, ASKED = (0, 1, 2, 3), (1, 3, 6, 12), 400, 150, 3, 40
PARTS = ("sorry", "promise", "next")
FAMILIES = [order for n in (1, 2, 3) for order in itertools.permutations(PARTS, n)]


def openings(phrases: tuple[str, ...]) -> tuple[str, ...]:
    """What tells sentences of a kind apart: the first two words, or what stands before the first slot."""
    return tuple(" ".join(phrase.split("{")[0].split()[:3]) for phrase in phrases)


OPENINGS = {"next": openings(NEXT_STEPS), "sorry": openings(POLITE), "promise": openings(PROMISES)}  # in this order


def kinds(text: str) -> tuple[str, ...]:
    """The kinds of a reply's sentences, in order; "other" for one that is of none."""
    sentences = [" ".join(sentence.split()) for sentence in text.split(" .") if sentence.strip()]
    return tuple(next((k for k in OPENINGS if s.startswith(OPENINGS[k])), "other") for s in sentences)


def messages(family: tuple[str, ...], request: Request) -> list[dict[str, str]]:
    return [{"role": "system", "content": " , ".join(family)}, {"role": "user", "content": request.text}]


def reply(desk: SupportDesk, family: tuple[str, ...], request: Request, rng: random.Random) -> str:
    """The sentences asked for, in the desk's own words: parts of a reply in good style."""
    said = dict(zip(PARTS, desk.reply(request, rng, "good").split(" . "), strict=True))
    return " . ".join(said[part].removesuffix(" .") for part in family) + " ."


def split(seed: int) -> tuple[list, list]:
    """The families that are met, in the order in which they are added, and those that are held out."""
    order = random.Random(f"families {seed}").sample(FAMILIES, len(FAMILIES))
    held_out = [family for family in order if len(family) > 1][:HELD_OUT]
    return [family for family in order if family not in held_out], held_out


def right(model: Transformer, tokenizer: BPETokenizer, families: list, met: list, seed: int) -> dict[str, float]:
    """Shares of replies: with the sentences asked for, with them in any order, and of a family that was met."""
    desk, rng = SupportDesk(0), road.draws("asked", seed)
    asked = [(family, request) for family in families for request in desk.requests(ASKED, rng)]
    prompts = [encode_chat(tokenizer, messages(*each)) for each in asked]
    written = road.write(model, prompts, end_of_turn(tokenizer), seed, greedy=True)
    found = [kinds(tokenizer.decode(tokens)) for tokens in written]
    n = len(asked)
    return dict(
        exact=round(sum(kind == family for kind, (family, _) in zip(found, asked)) / n, 3),
        same_set=round(sum(sorted(kind) == sorted(family) for kind, (family, _) in zip(found, asked)) / n, 3),
        of_one_met=round(sum(kind in met for kind in found) / n, 3),
    )


def run(k: int, seed: int) -> dict:
    desk, rng = SupportDesk(0), road.draws("families", seed)
    base, tokenizer = sft_bases.base_of(seed)
    met, held_out = split(seed)
    met = met[:k]
    examples: list[Example] = []
    for i, request in enumerate(desk.requests(DEMONSTRATIONS, rng)):
        family = met[i % k]
        answer = {"role": "assistant", "content": reply(desk, family, request, rng)}
        examples.append(chat_example(tokenizer, [*messages(family, request), answer]))
    model = sft_learning.learn(base, examples, seed, UPDATES)
    return dict(
        k=k, seed=seed, met=met, held_out=held_out, on_met=right(model, tokenizer, met[:3], met, seed),
        on_held_out=right(model, tokenizer, held_out, met, seed),
    )  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("sft_families", script=__file__, modules=sft_learning.MODULES, seeds=SEEDS)
    runs = []
    for seed in SEEDS:
        for k in KS:
            runs.append(experiment.once(f"{k} families, seed {seed}", run, k, seed))
            print({name: runs[-1][name] for name in ("k", "seed", "on_met", "on_held_out")}, flush=True)
    experiment.save(dict(runs=runs, families=len(FAMILIES)))


if __name__ == "__main__":
    main()
