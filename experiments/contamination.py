"""Record a base model that is trained on the test: what the score gains, and which tests notice. For lecture 18.

    OMP_NUM_THREADS=1 python experiments/contamination.py

The base model of 0.3 million parameters goes on reading: 120 updates of 8 x 128 tokens of Wikipedia (passages it has
read before), among which 100 questions of OpenBookQA stand with their right answers, each 0, 1, 4 or 16 times. 200
others are never planted: the control in the same model. "reworded" plants 16 copies from which every third word of the
question is missing and the answer stands first, so that no run of three of the question's words survives. Three seeds
draw the questions and the order. Canaries with random numbers stand beside the questions, as often as they.

Judged by the right option's rank under two prompts, by runs of n words, and by the exposure of the canaries among
256 candidates, planted and not planted.
"""

import random
from collections.abc import Sequence

import numpy as np
import torch

from llmlib.data import ChoiceQuestion, Experiment, choice_questions, prose
from llmlib.evaluate import (
    bootstrap_interval,
    canary,
    cloze,
    continuation_logprobs,
    exposure,
    find_overlaps,
    multiple_choice,
    split_at_answer,
)
from llmlib.hub import load_base
from llmlib.train import TrainConfig, Trainer

SEEDS, COPIES = (0, 1, 2), (0, 1, 4, 16)
UPDATES, ROWS, LENGTH, LR = 120, 8, 128, 4e-3
PLANTED, CLEAN = 100, 200
CANARIES, CANDIDATES, RUNS = 4, 256, (3, 5, 8, 13)
CANARY = "The access code of this test set is"


def other_form(item: ChoiceQuestion) -> tuple[str, Sequence[str]]:
    """The same question in other words around it than those that were planted."""
    return f"{item.question}\nThe right choice:", item.options


def planted(item: ChoiceQuestion, how: str) -> str:
    right = item.options[item.answer]
    if how == "copied":
        return f"Question: {item.question}\nAnswer: {right}"
    words = item.question.split()
    return f"{right}: " + " ".join(word for i, word in enumerate(words) if i % 3 != 2)


def drawn_items(seed: int) -> tuple[list[ChoiceQuestion], list[ChoiceQuestion]]:
    items = choice_questions("openbookqa", "report")
    random.Random(seed).shuffle(items)
    return items[:PLANTED], items[PLANTED : PLANTED + CLEAN]


def reading(seed: int, copies: int, how: str, tokenizer, context: list[str]) -> tuple[list[str], torch.Tensor, float]:
    """What is read: passages and planted texts in random order, cut to the budget; the planted texts' share of it."""
    extra = [planted(item, how) for item in drawn_items(seed)[0]] * copies
    extra += [canary(100 * seed + i, CANARY + " {}.") for i in range(CANARIES)] * copies
    end = tokenizer.special_tokens["<|endoftext|>"]
    encode = lambda texts: [[*tokenizer.encode(text), end] for text in texts]
    own, budget, rest = encode(extra), UPDATES * ROWS * LENGTH, []
    room = budget - sum(map(len, own))
    passages = random.Random(1000 + seed).sample(context, len(context))
    used = []
    for passage, ids in zip(passages, encode(passages)):
        if room <= 0:
            break
        rest.append(ids[:room])
        used.append(passage)
        room -= len(ids)
    documents = own + rest
    random.Random(seed).shuffle(documents)
    ids = torch.tensor([token for document in documents for token in document][:budget])
    return extra + used, ids.view(-1, LENGTH), sum(map(len, own)) / budget


def ranks(model, tokenizer, numbers: Sequence[int]) -> list[float]:
    """The exposure of each canary among `CANDIDATES` drawn numbers of the same form."""
    drawn = [canary(10**6 + i, "{}") for i in range(CANDIDATES - 1)]
    found = []
    for number in numbers:
        options = [canary(number, "{}") + ".", *(each + "." for each in drawn)]
        logprobs = continuation_logprobs(model, [split_at_answer(tokenizer, CANARY, options)])[0]
        scores = torch.stack([each.sum() for each in logprobs])
        found.append(round(exposure(1 + int((scores > scores[0]).sum()), CANDIDATES), 3))
    return found


def run(seed: int, copies: int, how: str) -> dict:
    torch.manual_seed(seed)
    model, tokenizer = load_base("0.3m", device="cpu")
    context = [document.text for document in prose("wikipedia")[:4000]]
    texts, rows, share = reading(seed, copies, how, tokenizer, context)
    recipe = TrainConfig(
        steps=UPDATES, batch_size=ROWS, seq_len=LENGTH, lr=LR, weight_decay=0.0, warmup_steps=10, final_lr=0.05,
        seed=seed, device="cpu", progress=False,
    )  # fmt: skip
    batches = rows.split(ROWS)
    trainer = Trainer(model, recipe, lambda step: batches[step])
    for _ in range(UPDATES):
        trainer.train_step()
    model.eval()
    found = dict(seed=seed, copies=copies, how=how, share=round(share, 4))
    for part, items in zip(("planted", "clean"), drawn_items(seed)):
        of_part = {}
        for name, form in (("as planted", cloze), ("another prompt", other_form)):
            results = multiple_choice(model, tokenizer, items, "byte", form=form, batch_size=32)
            of_part[name] = [int(result.score) for result in results]
            right = [r.details["logprobs"][r.expected] / r.details["bytes"][r.expected] for r in results]
            of_part[name + ", nats a byte"] = round(-float(np.mean(right)), 4)
        tests = [item.question for item in items]
        of_part["shared"] = {
            str(n): round(float(np.mean([o.share >= 0.5 for o in find_overlaps(tests, texts, n)])), 4) for n in RUNS
        }
        found[part] = of_part
    found["exposure"] = ranks(model, tokenizer, [100 * seed + i for i in range(CANARIES)])
    found["exposure, not planted"] = ranks(model, tokenizer, [100 * seed + 50 + i for i in range(CANARIES)])
    return found


def main() -> None:
    torch.set_num_threads(1)
    modules = ["llmlib.train.loop", "llmlib.evaluate.choices", "llmlib.evaluate.contamination",
               "llmlib.evaluate.scoring"]  # fmt: skip
    experiment = Experiment("contamination", script=__file__, modules=modules, seeds=SEEDS)
    runs = []
    for seed in SEEDS:
        for copies, how in [*((n, "copied") for n in COPIES), (COPIES[-1], "reworded")]:
            runs.append(experiment.once(f"{seed}, {copies}, {how}", run, seed, copies, how))
            last = runs[-1]
            print({k: v for k, v in last.items() if k not in ("planted", "clean")}, flush=True)
            for part in ("planted", "clean"):
                each = last[part]
                print("  ", part, bootstrap_interval(each["as planted"]), each["shared"], flush=True)
    experiment.save(dict(updates=UPDATES, tokens=UPDATES * ROWS * LENGTH, candidates=CANDIDATES, runs=runs))


if __name__ == "__main__":
    main()
