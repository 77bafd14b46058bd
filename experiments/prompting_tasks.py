"""What the prompting experiments of lecture 10 have in common: two tasks, their items, and how an answer is scored.

Reviews: snippets that people rated (mean at least 1.5 from neutral), is the sentiment positive? Headlines: was it
published as a joke? Examples come from "train", the items of the prior from "choose", reported is on "report".
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from llmlib.data import draw_per_class, headlines, rated_texts, split_ratings
from llmlib.evaluate import CONTENT_FREE, calibrate_labels, continuation_logprobs, label_scores, split_at_answer
from llmlib.hub import load_base, load_smollm2
from llmlib.infer import few_shot_prompt

SMOLLM2, BATCH = "smollm2", 16
SHORTEST, LONGEST, LONGEST_SHOT = 20, 80, 45  # characters: 8 examples and an item fit the ladder's 256 tokens


@dataclass(frozen=True)
class Item:
    text: str
    label: int


@dataclass(frozen=True)
class Task:
    asks: tuple[str, str]  # what stands before a text, and before its label
    words: tuple[str, str]  # of label 0 and label 1


TASKS = {
    "reviews": Task(("Review:", "Sentiment:"), ("negative", "positive")),
    "headlines": Task(("Headline:", "Tone:"), ("serious", "sarcastic")),
}


@lru_cache
def items_of(task: str, split: str) -> list[Item]:
    """All short items of a split, shuffled."""
    if task == "reviews":
        clear = [each for each in split_ratings(rated_texts("film"))[split] if abs(each.mean) >= 1.5]
        found = [Item(each.text, int(each.mean > 0)) for each in clear]
    else:
        found = [Item(each.text, each.label) for each in headlines(split)]
    return [item for item in found if SHORTEST <= len(item.text) <= LONGEST]


def reported(task: str, n: int) -> list[Item]:
    """n items, half of each label."""
    return draw_per_class(items_of(task, "report"), n // 2, seed=10)


def prior_texts(task: str, n: int) -> list[str]:
    """The texts of n further items as they come; nobody looks at their labels."""
    return [item.text for item in items_of(task, "choose")[:n]]


def draw_shots(task: str, k: int, draw: int, longest: int = LONGEST_SHOT) -> list[Item]:
    """k short examples, half of each label, in random order; a single one has label 0 in even draws, 1 in odd ones."""
    pool = [item for item in items_of(task, "train") if len(item.text) <= longest]
    shots = draw_per_class(pool, max(1, k // 2), seed=draw)
    return [next(shot for shot in shots if shot.label == draw % 2)] if k == 1 else shots[:k]


@lru_cache
def load(name: str):
    return load_smollm2("cpu", fallback=False) if name == SMOLLM2 else load_base(name, device="cpu")


def read_labels(name: str, prompts: Sequence[str], words: Sequence[str]) -> Tensor:
    """Scores (n, labels) of label words after prompts. The base models' texts begin behind the mark for it."""
    model, tokenizer = load(name)
    start = [] if name == SMOLLM2 else [tokenizer.special_tokens["<|endoftext|>"]]
    requests = [split_at_answer(tokenizer, prompt, words) for prompt in prompts]
    return label_scores(
        continuation_logprobs(model, [([*start, *ids], options) for ids, options in requests], batch_size=BATCH)
    )


def prompts_for(task: Task, shots: Sequence[Item]) -> Callable[[str], str]:
    """A text -> the prompt that asks for its label after these examples."""
    shown = [(shot.text, task.words[shot.label]) for shot in shots]
    return lambda text: few_shot_prompt(text, shown, labels=task.asks)


def judge(scores: Tensor, labels: Sequence[int]) -> dict[str, int | float]:
    """right: how many are. ones: how many were given label 1. auc: how often an item of label 1 has the larger margin
    of two with different labels; it knows no threshold, so that no calibration can change it."""
    margin, truth = scores[:, 1] - scores[:, 0], torch.tensor(labels)
    pairs = margin[truth == 1][:, None] - margin[truth == 0]
    auc = ((pairs > 0).double() + 0.5 * (pairs == 0)).mean().item()
    said = (margin > 0).long()
    return dict(right=int((said == truth).sum()), ones=int(said.sum()), auc=round(auc, 3))


def measure(read: Callable[[Sequence[str]], Tensor], items: Sequence[Item], prior: Sequence[str]) -> dict:
    """One prompt: read(texts) gives its scores. raw: see `judge`. free and own: how many are right after calibration on
    texts that say nothing, and on the prior's items. lean: the mean probability of label 1 for these and for those."""
    texts = [item.text for item in items]
    scores = read([*texts, *prior, *CONTENT_FREE])
    asked, own, free = scores.split([len(texts), len(prior), len(CONTENT_FREE)])
    labels = [item.label for item in items]
    found = dict(raw=judge(asked, labels))
    for name, reference in (("free", free), ("own", own)):
        found[name] = judge(calibrate_labels(asked, reference), labels)["right"]
    found["lean"] = [round(reference.softmax(1)[:, 1].mean().item(), 3) for reference in (free, own)]
    return found


def logistic(x: Tensor, labels: Sequence[int], penalty: float = 1.0) -> Callable[[Tensor], Tensor]:
    """Logistic regression, with penalty / 2 times the squared weights -> a function from features to scores (n, 2)."""
    x, y = x.double(), torch.tensor(labels).double()
    w, b = torch.zeros(x.shape[1], dtype=torch.double), torch.zeros((), dtype=torch.double)
    solver = torch.optim.LBFGS([w.requires_grad_(), b.requires_grad_()], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(x @ w + b, y, reduction="sum")
        (value + penalty / 2 * w.square().sum()).backward()
        return value + penalty / 2 * w.square().sum()

    solver.step(loss)
    w, b = w.detach(), b.detach()
    return lambda new: torch.stack([torch.zeros(len(new), dtype=torch.double), new.double() @ w + b], 1)


def standardised(train: Tensor, *others: Tensor) -> list[Tensor]:
    """All on the scale of the first, whose features have mean 0 and deviation 1."""
    mean, std = train.mean(0), train.std(0, correction=0).clamp_min(1e-6)
    return [(each - mean) / std for each in (train, *others)]


def words_of(text: str) -> list[str]:
    return re.findall(r"[\w'\[\]#]+", text.lower())


def bag_of_words(train: Sequence[str], *others: Sequence[str]) -> list[Tensor]:
    """Which of the words of the first texts each text has, (n, words) of 0 and 1."""
    known = {word: i for i, word in enumerate(sorted({word for text in train for word in words_of(text)}))}
    bags = []
    for texts in (train, *others):
        bag = torch.zeros(len(texts), len(known))
        for row, text in zip(bag, texts):
            row[[known[word] for word in words_of(text) if word in known]] = 1
        bags.append(bag)
    return bags


@torch.inference_mode()
def last_states(texts: Sequence[str]) -> Tensor:
    """SmolLM2's hidden state (n, d) after the last token of the zero-shot prompt; nothing of it is trained."""
    model, tokenizer = load(SMOLLM2)
    rows = [tokenizer.encode(text) for text in texts]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    found = torch.empty(len(rows), model.config.d_model)
    for start in range(0, len(order), BATCH):
        some = order[start : start + BATCH]
        width = max(len(rows[i]) for i in some)
        ids = torch.tensor([rows[i] + [0] * (width - len(rows[i])) for i in some])
        h = model.hidden(ids)  # causal, so that padding on the right changes nothing before it
        found[some] = h[range(len(some)), [len(rows[i]) - 1 for i in some]]
    return found
