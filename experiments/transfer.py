"""Record GPT-1's experiment in small, for lecture 10: `python experiments/transfer.py`.

A decoder learns the next token of 18,600 headlines without labels, then tells jokes from earnest ones by 100 or 300
labels. Beside it: bag of words, the same decoder from scratch, with the auxiliary loss, an LSTM from scratch, and the
same decoder pre-trained on as many tokens of Wikipedia, in rows of the same lengths. And three places from which to
read the answer: the mean of all states, GPT-1's extract token, the end mark of pre-training.

Five seeds (weights, order and labels drawn). The rate of each contender is the better of three on the choose split with
300 labels that no reported run has; all are reported once on the report split. Some twenty minutes of one core.
transfer_more.py goes on with what is here.
"""

import argparse
import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import Experiment, Headline, TaskTokens, draw_per_class, headlines, pad_rows, prose, single_row
from llmlib.data.batches import IGNORE
from llmlib.data.recordings import source_hash
from llmlib.model import Classifier, ModelConfig, Transformer
from llmlib.text import BPETokenizer
from llmlib.train import AdamW, Muon

SEEDS, SIZES, CHOSEN_AT = (0, 1, 2, 3, 4), (100, 300), 300
WIDTH, LAYERS, HEADS, LIMIT, VOCABULARY = 96, 2, 4, 64, 3000
MARKS = ("<end>", "<start>", "<delimiter>", "<extract>")
ROWS, UPDATES = 64, 500  # of pre-training
PRETRAINING_RATE = {"transformer": 0.02, "lstm": 0.01}  # of Muon; half of it for what AdamW updates
BATCH, TUNING, DROPOUT, HEAD_FACTOR, AUXILIARY = 32, 120, 0.2, 5.0, 0.5
RATES, PENALTIES, CHOOSING = (3e-4, 1e-3, 3e-3), (0.1, 1.0, 5.0), 100  # the last: the seed that rates are chosen with
Rows = list[list[int]]


# --- text as rows of tokens -------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def tokenizer() -> BPETokenizer:
    """Learnt from the headlines without labels; all contenders but the bag of words read its tokens."""
    text = "\n".join(each.text for each in headlines("unlabelled"))
    return BPETokenizer.train(text, VOCABULARY, MARKS)


def ids_of(texts: Sequence[str]) -> Rows:
    return [tokenizer().encode(text)[: LIMIT - 3] for text in texts]


def mark(name: str) -> int:
    return tokenizer().special_tokens[f"<{name}>"]


def wikipedia_rows(lengths: Sequence[int], seed: int) -> Rows:
    """As many beginnings of sentences of Wikipedia, in lower case, with these lengths in tokens and one more each."""
    rng = random.Random(seed)
    passages = prose("wikipedia", "wikipedia-sections")
    rng.shuffle(passages)
    cut = re.compile(r"(?<=[.!?])\s+")
    sentences = (each for passage in passages for each in cut.split(passage.text.lower()) if len(each) > 30)
    found: Rows = []
    for length in lengths:
        while len(ids := tokenizer().encode(next(sentences))) < length + 1:
            pass
        found.append(ids[: length + 1])
    return found


# --- models -----------------------------------------------------------------------------------------------------------


def config(dropout: float = 0.0) -> ModelConfig:
    return ModelConfig(
        VOCABULARY, LAYERS, WIDTH, HEADS, max_seq_len=LIMIT, tie_embeddings=False, dropout=dropout, position="learned"
    )


class LSTM(nn.Module):
    """Three layers of LSTM, which are as many parameters as the decoder has, with the same embedding and head."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.lstm = nn.LSTM(config.d_model, config.d_model, num_layers=3, batch_first=True, dropout=config.dropout)
        self.drop = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)

    def init_weights(self, generator: torch.Generator) -> None:
        for name, weights in self.named_parameters():
            if "bias" in name:
                nn.init.zeros_(weights)
            elif "lstm" in name:
                nn.init.uniform_(weights, -(WIDTH**-0.5), WIDTH**-0.5, generator=generator)
            else:
                nn.init.normal_(weights, std=0.02 if "head" in name else 0.1, generator=generator)

    def hidden(self, ids: Tensor, pad_mask: Tensor | None = None) -> Tensor:
        return self.lstm(self.drop(self.token_embedding(ids)))[0]

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.hidden(ids))


def build(kind: str, seed: int) -> nn.Module:
    model = (LSTM if kind == "lstm" else Transformer)(config())
    model.init_weights(torch.Generator().manual_seed(seed))
    return model


# --- pre-training -----------------------------------------------------------------------------------------------------


def batches(rows: Rows, rng: random.Random, size: int) -> Iterator[Rows]:
    """Without end: rows of like length together."""
    while True:
        order = sorted(range(len(rows)), key=lambda i: (len(rows[i]), rng.random()))
        groups = [order[i : i + size] for i in range(0, len(order), size)]
        rng.shuffle(groups)
        yield from ([rows[i] for i in group] for group in groups)


def next_token(model: nn.Module, rows: Rows) -> Tensor:
    """Mean loss of the next token in nats."""
    ids, real = pad_rows(rows)
    targets = ids[:, 1:].masked_fill(~real[:, 1:], IGNORE)
    return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), targets.flatten(), ignore_index=IGNORE)


def pretrain(kind: str, rows: Rows, seed: int, updates: int = UPDATES, size: int = ROWS) -> nn.Module:
    """A model that has read so many batches of `size` rows; the rate falls in a straight line over the last half."""
    rate = PRETRAINING_RATE[kind]
    torch.manual_seed(seed)
    model = build(kind, seed).train()
    hidden = [w for name, w in model.named_parameters() if name.startswith("blocks") and w.ndim == 2]
    chosen = {id(w) for w in hidden}
    rest = [w for w in model.parameters() if id(w) not in chosen]
    steppers = [(AdamW(rest, lr=rate / 2, weight_decay=0.0), rate / 2)]
    if hidden:
        steppers.append((Muon(hidden, lr=rate, weight_decay=0.0), rate))
    feed = batches(rows, random.Random(seed), size)
    for update in range(updates):
        share = min(1.0, (update + 1) / 50, 2 * (updates - update) / updates)
        loss = next_token(model, next(feed))
        loss.backward()
        for stepper, lr in steppers:
            for group in stepper.param_groups:
                group["lr"] = lr * share
            stepper.step()
            stepper.zero_grad()
    return model.eval()


@torch.inference_mode()
def held_out_loss(model: nn.Module, rows: Rows) -> float:
    """Nats a token."""
    total = count = 0.0
    for group in (rows[i : i + 128] for i in range(0, len(rows), 128)):
        n = sum(len(row) - 1 for row in group)
        total, count = total + float(next_token(model, group)) * n, count + n
    return total / count


# --- fine-tuning ------------------------------------------------------------------------------------------------------


def tuned(
    trunk: nn.Module, rows: Rows, labels: Sequence[int], *, rate: float, updates: int = TUNING, pooling: str = "mean",
    auxiliary: float = 0.0, seed: int = 0,
) -> Classifier:  # fmt: skip
    """A copy of the trunk with a head, trained on the labels. auxiliary: weight of the next token's loss."""
    torch.manual_seed(seed)
    copy = type(trunk)(config(DROPOUT))
    copy.load_state_dict(trunk.state_dict())
    model = Classifier(copy, 2, pooling=pooling, dropout=DROPOUT).train()
    head = list(model.class_head.parameters())
    body = [w for name, w in copy.named_parameters() if auxiliary or not name.startswith(("head", "lm_head"))]
    stepper = AdamW([{"params": body}, {"params": head}], lr=rate, weight_decay=0.01)
    rng = random.Random(seed)
    order: list[int] = []
    for update in range(updates):
        if len(order) < BATCH:
            order += rng.sample(range(len(rows)), len(rows))
        some, order = order[:BATCH], order[BATCH:]
        ids, real = pad_rows([rows[i] for i in some])
        target = torch.tensor([labels[i] for i in some])
        if auxiliary:
            logits, after = model(ids, real, auxiliary=True)
            following = ids[:, 1:].masked_fill(~real[:, 1:], IGNORE)
            loss = F.cross_entropy(after[:, :-1].flatten(0, 1), following.flatten(), ignore_index=IGNORE)
            loss = F.cross_entropy(logits, target) + auxiliary * loss
        else:
            loss = F.cross_entropy(model(ids, real), target)
        loss.backward()
        share = min((update + 1) / (0.1 * updates), (updates - update) / (0.9 * updates))
        for group, factor in zip(stepper.param_groups, (1.0, HEAD_FACTOR)):
            group["lr"] = rate * factor * share
        stepper.step()
        stepper.zero_grad()
    return model.eval()


@torch.inference_mode()
def right(model: nn.Module, rows: Rows, labels: Sequence[int]) -> np.ndarray:
    """Of each row whether its label is found."""
    found = np.zeros(len(rows), dtype=bool)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for some in (order[i : i + 256] for i in range(0, len(rows), 256)):
        ids, real = pad_rows([rows[i] for i in some])
        found[some] = model(ids, real).argmax(1).numpy() == np.array([labels[i] for i in some])
    return found


# --- bag of words -----------------------------------------------------------------------------------------------------


def features(text: str, pairs: bool) -> set[str]:
    words = re.findall(r"[\w']+|[^\w\s]", text.lower())
    return {*words, *(map(" ".join, pairwise(words)) if pairs else ())}


def bag_of_words(texts: Sequence[str], labels: Sequence[int], penalty: float, pairs: bool) -> Callable:
    """Logistic regression on which words (and pairs of neighbours) occur: texts -> log odds of label 1."""
    known = {name: i for i, name in enumerate(sorted(set().union(*(features(text, pairs) for text in texts))))}

    def matrix(some: Sequence[str]) -> Tensor:
        places = [(i, known[name]) for i, text in enumerate(some) for name in features(text, pairs) if name in known]
        rows, columns = torch.tensor(places).T if places else torch.zeros(2, 0, dtype=torch.long)
        shape, ones = (len(some), len(known)), torch.ones(len(rows))
        return torch.sparse_coo_tensor(torch.stack([rows, columns]), ones, shape, check_invariants=False).coalesce()

    x, y = matrix(texts), torch.tensor(labels, dtype=torch.float32)
    w, b = torch.zeros(len(known), 1, requires_grad=True), torch.zeros(1, requires_grad=True)
    stepper = torch.optim.LBFGS([w, b], max_iter=200, history_size=20, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        stepper.zero_grad()
        total = F.binary_cross_entropy_with_logits((torch.sparse.mm(x, w) + b)[:, 0], y, reduction="sum")
        total = total + penalty / 2 * (w**2).sum()
        total.backward()
        return total

    stepper.step(loss)
    return lambda some: (torch.sparse.mm(matrix(some), w.detach()) + b.detach())[:, 0].numpy()


# --- the recording ----------------------------------------------------------------------------------------------------


def labels_of(some: Sequence[Headline]) -> list[int]:
    return [each.label for each in some]


def form(ids: Rows, way: str) -> Rows:
    """Texts as the rows of fine-tuning. "mean": as pre-training began. "extract": GPT-1's. "end": two end marks."""
    if way == "extract":
        marks = TaskTokens(mark("start"), mark("delimiter"), mark("extract"))
        return [single_row(row, marks, LIMIT) for row in ids]
    end = mark("end")
    return [[end, *row, end] if way == "end" else [end, *row] for row in ids]


@lru_cache(maxsize=3)
def pretrained(text: str, seed: int) -> nn.Module:
    """text: "headlines", "wikipedia", or "nothing" and "lstm" for models that have read nothing."""
    if text in ("nothing", "lstm"):
        return build("lstm" if text == "lstm" else "transformer", seed).eval()
    kept = (
        Path(__file__).parents[1] / "build" / "transfer" / f"{source_hash('experiments/transfer.py')}-{text}-{seed}.pt"
    )
    model = build("transformer", seed).eval()
    if kept.exists():
        model.load_state_dict(torch.load(kept))
        return model
    ids = ids_of([each.text for each in headlines("unlabelled")])
    rows = form(ids, "end") if text == "headlines" else with_end(wikipedia_rows(list(map(len, ids)), seed))
    model = pretrain("transformer", rows, seed)
    kept.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), kept)
    return model


def with_end(rows: Rows) -> Rows:
    return [[mark("end"), *row] for row in rows]


# name -> text of pre-training, weight of the auxiliary loss, where the answer is read
CONTENDERS = {
    "scratch": ("nothing", 0.0, "mean"),
    "lstm": ("lstm", 0.0, "mean"),
    "pretrained": ("headlines", 0.0, "mean"),
    "auxiliary": ("headlines", AUXILIARY, "mean"),
    "wikipedia": ("wikipedia", 0.0, "mean"),
    "extract token": ("headlines", 0.0, "extract"),
    "end mark": ("headlines", 0.0, "end"),
}
READING = ("extract token", "end mark")  # reported at CHOSEN_AT alone


def run(name: str, n: int, seed: int, setting: float, split: str, trunk_seed: int | None = None) -> np.ndarray:
    """Which headlines of the split a contender gets right after n labels, and what it took to train."""
    some, asked = draw_per_class(headlines("train"), n // 2, seed=seed), headlines(split)
    texts, questions = [each.text for each in some], [each.text for each in asked]
    if name == "bag of words":
        odds = bag_of_words(texts, labels_of(some), setting, pairs=True)(questions)
        return (odds > 0) == np.array(labels_of(asked))
    text, auxiliary, way = CONTENDERS[name]
    trunk = pretrained(text, seed if trunk_seed is None else trunk_seed)
    pooling = "mean" if way == "mean" else "last"
    model = tuned(
        trunk, form(ids_of(texts), way), labels_of(some), rate=setting, pooling=pooling, auxiliary=auxiliary, seed=seed
    )
    return right(model, form(ids_of(questions), way), labels_of(asked))


def choose(name: str) -> dict:
    """The accuracy of each setting on the choose split."""
    settings = PENALTIES if name == "bag of words" else RATES
    tried = {s: float(run(name, CHOSEN_AT, CHOOSING, s, "choose", trunk_seed=SEEDS[0]).mean()) for s in settings}
    return {"tried": [[s, round(a, 4)] for s, a in tried.items()], "chosen": max(tried, key=tried.get)}


def packed(found: np.ndarray) -> str:
    return np.packbits(found).tobytes().hex()


def unpacked(text: str, n: int) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8))[:n].astype(float)


def summary(rows: Sequence[np.ndarray], seed: int = 0) -> dict:
    """rows: for each seed of each headline 1 or 0, or a difference of two. Mean, 95 % interval, and each seed's mean.

    The interval draws seeds and headlines anew, both with replacement.
    """
    table = np.stack(rows)
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(2000):
        some = table[rng.integers(0, len(table), len(table))].mean(0)
        means.append(some[rng.integers(0, table.shape[1], table.shape[1])].mean())
    low, high = np.quantile(means, [0.025, 0.975])
    r = lambda x: round(float(x), 4)
    return {"mean": r(table.mean()), "interval": [r(low), r(high)], "seeds": [r(x) for x in table.mean(1)]}


def language(text: str, seed: int) -> float:
    """Nats a token on headlines that no model has read."""
    rows = form(ids_of([each.text for each in headlines("choose")[:500]]), "end")
    return round(held_out_loss(pretrained(text, seed), rows), 3)


DIFFERENCES = (
    ("pretrained", "scratch"), ("pretrained", "bag of words"), ("pretrained", "lstm"), ("auxiliary", "pretrained"),
    ("pretrained", "wikipedia"), ("wikipedia", "scratch"), ("extract token", "pretrained"), ("end mark", "pretrained"),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    modules = [
        "llmlib.data.headlines", "llmlib.data.task_inputs", "llmlib.model.heads", "llmlib.model.transformer",
        "llmlib.model.attention", "llmlib.model.layers", "llmlib.train.muon", "llmlib.train.adamw", "llmlib.text.bpe",
    ]  # fmt: skip
    experiment = Experiment("transfer", script=__file__, modules=modules, seeds=SEEDS)

    def once(key: str, compute: Callable, *arguments: object) -> object:
        found = experiment.once(key, compute, *arguments)
        print(key, "" if isinstance(found, str) else found, f"{experiment.seconds:.0f} s", flush=True)
        return found

    names = ["bag of words", *CONTENDERS]
    chosen = {name: once(f"choose {name}", choose, name) for name in names}
    asked = len(headlines("report"))
    rows: dict[tuple[str, int], list[np.ndarray]] = {}
    losses: dict[str, list[float]] = {"headlines": [], "wikipedia": [], "nothing": []}
    for seed in SEEDS:
        for text, of in losses.items():
            of.append(once(f"nats a token, {text}, seed {seed}", language, text, seed))
        for name in names:
            for n in (CHOSEN_AT,) if name in READING else SIZES:
                setting = chosen[name]["chosen"]
                answer = lambda *which: packed(run(*which, "report"))
                found = once(f"{name}, {n} labels, seed {seed}", answer, name, n, seed, setting)
                rows.setdefault((name, n), []).append(unpacked(found, asked))
    results: dict[str, object] = {
        "updates": UPDATES, "rows": ROWS, "tuning": TUNING, "asked": asked, "chosen": chosen, "nats": losses,
        "parameters": sum(w.numel() for w in build("transformer", 0).parameters()),
        "accuracy": {name: {str(n): summary(rows[name, n]) for n in SIZES if (name, n) in rows} for name in names},
        "differences": [
            {"more": a, "less": b, "labels": n, **summary([x - y for x, y in zip(rows[a, n], rows[b, n])])}
            for a, b in DIFFERENCES for n in SIZES if (a, n) in rows
        ],
    }  # fmt: skip
    experiment.save(results)


if __name__ == "__main__":
    main()
