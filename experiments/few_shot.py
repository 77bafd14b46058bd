"""Record zero-, one-, four- and eight-shot prompts on the ladder and SmolLM2, for lecture 10.

    OMP_NUM_THREADS=1 python experiments/few_shot.py

Two tasks (prompting_tasks.py): film reviews and headlines, 200 items each, half of each label. Four draws of examples,
half of each label, the same for all models; the four examples are among the eight. Label words are scored as they are,
after calibration on two texts that say nothing, and after calibration on 60 unlabelled items of another split. Nothing
was chosen among prompts, words or draws. On reviews also: SmolLM2 with eight examples whose labels are all the wrong
way round, and four examples in 12 of their 24 orders. Beside it, with as many labels and more: bag of words, and
logistic regression on SmolLM2's last hidden state after the zero-shot prompt. A quarter of an hour of a core.
"""

import random
from dataclasses import replace
from itertools import permutations

import prompting_tasks as tasks
import torch
from prompting_tasks import SMOLLM2, TASKS

from llmlib.data import Experiment, draw_per_class
from llmlib.hub import base_sizes

N, PRIOR, SHOTS, DRAWS, ORDERS = 200, 60, (0, 1, 4, 8), 4, 12
LABELS, LABEL_DRAWS = (8, 100, 300), 4
MODULES = [
    "experiments/prompting_tasks.py", "llmlib.evaluate.labels", "llmlib.evaluate.scoring", "llmlib.data.headlines",
    "llmlib.data.reviews", "llmlib.infer.prompting",
]  # fmt: skip


def prompt(task: str, model: str, shots: list) -> dict:
    """One prompt's results, and its tokens with an item, on average."""
    form, words, items = tasks.prompts_for(TASKS[task], shots), TASKS[task].words, tasks.reported(task, N)
    read = lambda texts: tasks.read_labels(model, [form(text) for text in texts], words)
    found = tasks.measure(read, items, tasks.prior_texts(task, PRIOR))
    tokens = sum(len(tasks.load(model)[1].encode(form(item.text))) for item in items)
    return found | dict(tokens=round(tokens / len(items)))


def few_shot(task: str, model: str, k: int, flipped: bool = False) -> list[dict]:
    """A result for each draw of k examples."""
    found = []
    for draw in range(DRAWS if k else 1):
        shots = tasks.draw_shots(task, k, draw) if k else []
        if flipped:
            shots = [replace(shot, label=1 - shot.label) for shot in shots]
        found.append(prompt(task, model, shots))
    return found


def orders(task: str, model: str) -> list[dict]:
    """The four examples of the first draw in different orders."""
    shots = tasks.draw_shots(task, 4, 0)
    some = random.Random(0).sample(list(permutations(range(4))), ORDERS)
    return [prompt(task, model, order) | dict(shots=[each.label for each in order])
            for order in ([shots[i] for i in which] for which in some)]  # fmt: skip


def trained(task: str) -> dict[str, dict[int, list[dict]]]:
    """Two classifiers on so many labels; the eight are those of the eight-shot prompts."""
    items, zero_shot = tasks.reported(task, N), tasks.prompts_for(TASKS[task], [])
    truth, texts = [item.label for item in items], [item.text for item in items]
    states = tasks.last_states([zero_shot(text) for text in texts])
    found: dict = {"bag of words": {}, "frozen head": {}}
    for n in LABELS:
        for draw in range(LABEL_DRAWS):
            pool = tasks.items_of(task, "train")
            train = tasks.draw_shots(task, 8, draw) if n == 8 else draw_per_class(pool, n // 2, seed=draw)
            said, labels = [item.text for item in train], [item.label for item in train]
            x, new = tasks.bag_of_words(said, texts)
            bag = tasks.judge(tasks.logistic(x, labels)(new), truth)
            x, new = tasks.standardised(tasks.last_states([zero_shot(text) for text in said]), states)
            head = tasks.judge(tasks.logistic(x, labels, penalty=HEAD_PENALTY)(new), truth)
            for name, one in (("bag of words", bag), ("frozen head", head)):
                found[name].setdefault(n, []).append(one)
    return found


HEAD_PENALTY = 100.0  # fixed beforehand: 576 features, few labels


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("few_shot", script=__file__, modules=MODULES, seeds=range(DRAWS))
    found: dict = dict(n=N, prior=PRIOR, draws=DRAWS, words={name: task.words for name, task in TASKS.items()})
    for task in TASKS:
        models = found.setdefault("models", {}).setdefault(task, {})
        for model in [*base_sizes(), SMOLLM2]:
            for k in SHOTS:
                one = experiment.once(f"{task}, {model}, {k}", few_shot, task, model, k)
                models.setdefault(model, {})[str(k)] = one
                print(task, model, k, one, flush=True)
        found.setdefault("trained", {})[task] = experiment.once(f"{task}, trained", trained, task)
        print(found["trained"][task], flush=True)
    found["shots"] = {
        task: {
            k: [[shot.label for shot in tasks.draw_shots(task, k, draw)] for draw in range(DRAWS)] for k in SHOTS[1:]
        }
        for task in TASKS
    }
    found["flipped"] = experiment.once("flipped", few_shot, "reviews", SMOLLM2, 8, True)
    found["orders"] = experiment.once("orders", orders, "reviews", SMOLLM2)
    experiment.save(found)


if __name__ == "__main__":
    main()
