"""Record what a planted cue does to four ways of using examples, for lecture 10: `python experiments/planted_cue.py`.

Film reviews. In training every favourable one begins with the tag "(web)" and no other does ("planted"), or one in ten
has it the wrong way round ("mostly"), or none has it ("clean"). Asked about 120 reviews, half of each label, without
the tag, with it where it agrees, and with it reversed. Contenders: logistic regression on words; a base model of a
million parameters, fine-tuned whole; logistic regression on SmolLM2's last state after the zero-shot prompt; SmolLM2
with the examples in its prompt, as it is and calibrated on 40 untagged reviews of its own. Exposure is matched with 8
and with 32 examples, the same for all; the 300 of the trained ones find no place in a prompt, and are not matched. Each
trained one has two settings to choose from, on the split "choose", at 300 clean examples. Three draws; nine minutes.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

import prompting_tasks as tasks
import torch
from prompting_tasks import SMOLLM2, TASKS, Item
from torch import Tensor

from llmlib.data import Experiment, draw_per_class, pad_rows
from llmlib.evaluate import calibrate_labels
from llmlib.hub import load_base
from llmlib.model import Classifier
from llmlib.train import AdamW

CUE, TASK, DRAWS, N, PRIOR = "(web)", "reviews", 3, 120, 40
STRENGTH = {"clean": None, "planted": 1.0, "mostly": 0.9}  # how often the tag goes with the label
TESTS = ("absent", "agrees", "reversed")
SETTINGS = {"bag of words": (1.0, 10.0), "fine-tuned": (3e-4, 1e-3), "frozen head": (30.0, 300.0)}  # penalties, rates
EXAMPLES, UPDATES, BATCH = (8, 32, 300), 100, 16
BASE, DROPOUT = "1m", 0.2
MODULES = [
    "experiments/prompting_tasks.py", "llmlib.data.reviews", "llmlib.evaluate.labels", "llmlib.evaluate.scoring",
    "llmlib.infer.prompting", "llmlib.model.heads",
]  # fmt: skip


def tagged(items: Sequence[Item], tags: Sequence[bool]) -> list[Item]:
    return [replace(item, text=f"{CUE} {item.text}") if tag else item for item, tag in zip(items, tags, strict=True)]


def training_set(n: int, training: str, draw: int) -> list[Item]:
    """n examples, half of each label; the 8 are among the 32."""
    if n == 300:
        items = draw_per_class(tasks.items_of(TASK, "train"), n // 2, seed=draw)
    else:
        items = tasks.draw_shots(TASK, n, draw)
    strength, rng = STRENGTH[training], random.Random(draw)
    if strength is None:
        return items
    return tagged(items, [item.label == int(rng.random() < strength) for item in items])


def tests() -> dict[str, list[Item]]:
    items = tasks.reported(TASK, N)
    return {"absent": items, "agrees": tagged(items, [item.label == 1 for item in items]),
            "reversed": tagged(items, [item.label == 0 for item in items])}  # fmt: skip


def bag_of_words(train: list[Item], asked: list[list[str]], penalty: float, seed: int) -> list[Tensor]:
    x, *others = tasks.bag_of_words([item.text for item in train], *asked)
    score = tasks.logistic(x, [item.label for item in train], penalty)
    return [score(other) for other in others]


STATES: dict[str, Tensor] = {}  # of a prompt: the same texts come again and again


def states_of(texts: Sequence[str]) -> Tensor:
    new = [text for text in dict.fromkeys(texts) if text not in STATES]
    if new:
        STATES.update(zip(new, tasks.last_states(new)))
    return torch.stack([STATES[text] for text in texts])


def frozen_head(train: list[Item], asked: list[list[str]], penalty: float, seed: int) -> list[Tensor]:
    form = tasks.prompts_for(TASKS[TASK], [])
    states = [states_of([form(text) for text in texts]) for texts in ([item.text for item in train], *asked)]
    x, *others = tasks.standardised(*states)
    score = tasks.logistic(x, [item.label for item in train], penalty)
    return [score(other) for other in others]


def fine_tuned(train: list[Item], asked: list[list[str]], rate: float, seed: int) -> list[Tensor]:
    """100 updates of 16, the rate falling to 0, the new layer's five times as high."""
    trunk, tokenizer = load_base(BASE, device="cpu")
    start = tokenizer.special_tokens["<|endoftext|>"]
    torch.manual_seed(seed)
    model = Classifier(trunk, 2, dropout=DROPOUT)
    head = {id(weight) for weight in model.class_head.parameters()}
    groups = [dict(params=[p for p in model.parameters() if (id(p) in head) == new], lr=rate * (5 if new else 1))
              for new in (False, True)]  # fmt: skip
    optimizer = AdamW(groups, lr=rate, weight_decay=0.01)
    rates = [group["lr"] for group in optimizer.param_groups]
    rows, labels = [[start, *tokenizer.encode(item.text)] for item in train], torch.tensor([i.label for i in train])
    order: list[int] = []
    model.train()
    for step in range(UPDATES):
        while len(order) < BATCH:
            order += torch.randperm(len(rows)).tolist()
        some, order = order[:BATCH], order[BATCH:]
        for group, full in zip(optimizer.param_groups, rates):
            group["lr"] = full * (1 - step / UPDATES)
        loss = torch.nn.functional.cross_entropy(model(*pad_rows([rows[i] for i in some])), labels[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.inference_mode():
        return [model(*pad_rows([[start, *tokenizer.encode(text)] for text in texts])) for texts in asked]


CONTENDERS = {"bag of words": bag_of_words, "fine-tuned": fine_tuned, "frozen head": frozen_head}


def right(scores: Tensor, items: Sequence[Item]) -> int:
    return tasks.judge(scores, [item.label for item in items])["right"]


def choose(name: str) -> dict[str, float]:
    """Setting -> accuracy on 200 items of another split, clean, 300 examples, over the draws."""
    items = tasks.items_of(TASK, "choose")[PRIOR:]
    texts, found = [item.text for item in items], {}
    for setting in SETTINGS[name]:
        scores = [CONTENDERS[name](training_set(300, "clean", d), [texts], setting, d)[0] for d in range(DRAWS)]
        found[str(setting)] = round(sum(right(each, items) for each in scores) / DRAWS / len(items), 4)
    return found


def trained(name: str, setting: float, n: int, training: str) -> dict[str, list[int]]:
    """test -> how many are right, for each draw."""
    asked = tests()
    texts = [[item.text for item in items] for items in asked.values()]
    found: dict[str, list[int]] = {test: [] for test in asked}
    for draw in range(DRAWS):
        scores = CONTENDERS[name](training_set(n, training, draw), texts, setting, draw)
        for (test, items), each in zip(asked.items(), scores):
            found[test].append(right(each, items))
    return found


def prompted(k: int, training: str) -> dict[str, dict[str, list[int]]]:
    """The same for a prompt, raw and calibrated."""
    asked, prior = tests(), tasks.prior_texts(TASK, PRIOR)
    found: dict = {way: {test: [] for test in asked} for way in ("raw", "own")}
    for draw in range(DRAWS):
        form = tasks.prompts_for(TASKS[TASK], training_set(k, training, draw))
        texts = [*(item.text for items in asked.values() for item in items), *prior]
        scores = tasks.read_labels(SMOLLM2, [form(text) for text in texts], TASKS[TASK].words)
        *parts, own = scores.split([N] * len(asked) + [PRIOR])
        for (test, items), each in zip(asked.items(), parts):
            found["raw"][test].append(right(each, items))
            found["own"][test].append(right(calibrate_labels(each, own), items))
    return found


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("planted_cue", script=__file__, modules=MODULES, seeds=range(DRAWS))
    found: dict = dict(n=N, prior=PRIOR, cue=CUE, draws=DRAWS, chosen={}, trained={}, prompted={})
    for name in CONTENDERS:
        scores = found["chosen"][name] = experiment.once(f"choose, {name}", choose, name)
        setting = float(max(scores, key=scores.get))
        for n in EXAMPLES:
            for training in STRENGTH if n == 300 else ("clean", "planted"):
                one = experiment.once(f"{name}, {n}, {training}", trained, name, setting, n, training)
                found["trained"].setdefault(name, {}).setdefault(str(n), {})[training] = one
                print(name, setting, n, training, one, flush=True)
    for k in EXAMPLES[:2]:
        for training in ("clean", "planted"):
            one = experiment.once(f"prompt, {k}, {training}", prompted, k, training)
            found["prompted"].setdefault(str(k), {})[training] = one
            print("prompt", k, training, one, flush=True)
    experiment.save(found)


if __name__ == "__main__":
    main()
