"""Record what predicts people's mean rating of a film snippet, beside how well people agree: for lecture 12.

Bag-of-words ridge first, then small Transformers from scratch, then ridge on a pre-trained encoder's vectors; how each
grows with the number of ratings; and pairs, labelled by one rater each, against means at the same number of ratings.
All penalties, sizes and epochs are chosen on the choose split; the report split is read once. Intervals draw whole
sittings of 30 snippets with replacement, because their raters are the same people. Run it with

    OMP_NUM_THREADS=1 python experiments/review_rewards.py

About seventeen minutes of one quiet core, of which three embed the snippets; the vectors are kept in build/.
With one layer, a last token sees the same with and without the causal mask: these two runs agree to the last digit.
"""

import collections
import hashlib
import itertools
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import (
    Experiment,
    RatedText,
    bootstrap_interval,
    half_against_half,
    one_against_rest,
    pair_accuracy,
    rated_texts,
    spearman,
    spearman_brown,
    split_ratings,
)
from llmlib.hub import load_minilm
from llmlib.model import ModelConfig, Transformer, record
from llmlib.train import AdamW

SEEDS = (0, 1, 2)
SIZES = (100, 300, 1000, 3000, None)  # training snippets; None: all
BUDGETS = (300, 1000, 3000, 7000)  # single ratings of people
BOW_PENALTIES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
DENSE_PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5)
PAIR_PENALTIES = (1e5, 3e4, 1e4, 3e3, 1e3, 300.0, 100.0, 30.0, 10.0)
EPOCHS, BATCH, MAX_WORDS = 8, 64, 56
RATES = (0.001, 0.003)
RATERS = {  # causal, pooling, dropout
    "bidirectional, mean": (False, "mean", 0.5),
    "causal, last": (True, "last", 0.5),
    "causal, mean": (True, "mean", 0.5),
    "bidirectional, last": (False, "last", 0.5),
    "bidirectional, mean, no dropout": (False, "mean", 0.0),
    "causal, last, no dropout": (True, "last", 0.0),
}
BUILD = Path(__file__).parents[1] / "build"

Split = dict[str, list[RatedText]]
Features = Callable[[Sequence[RatedText]], Tensor]


def words(text: str) -> list[str]:
    """Words in lower case, with their apostrophes, and the marks ! and ?."""
    return re.findall(r"\w+(?:'\w+)*|[!?]", text.lower())


def means(texts: Sequence[RatedText]) -> Tensor:
    return torch.tensor([each.mean for each in texts])


# --- ridge ------------------------------------------------------------------------------------------------------------


def one_and_two_grams(text: str) -> set[str]:
    tokens = words(text)
    return {*tokens, *map(" ".join, itertools.pairwise(tokens))}


def bag_of_words(train: Sequence[RatedText]) -> Features:
    """1- and 2-grams seen twice in training or more, weighted by rarity; rows of length 1, so sparse that it helps."""
    counts = collections.Counter(gram for each in train for gram in one_and_two_grams(each.text))
    column = {gram: i for i, gram in enumerate(gram for gram, count in counts.items() if count > 1)}
    rarity = [float(np.log(len(train) / counts[gram])) for gram in column]

    def features(texts: Sequence[RatedText]) -> Tensor:
        places, values = [], []
        for i, each in enumerate(texts):
            known = sorted(column[gram] for gram in one_and_two_grams(each.text) & column.keys())
            weights = np.array([rarity[j] for j in known])
            values += list(weights / (np.linalg.norm(weights) or 1.0))
            places += [(i, j) for j in known]
        indices = torch.tensor(places, dtype=torch.long).reshape(-1, 2).T
        return torch.sparse_coo_tensor(
            indices, torch.tensor(values, dtype=torch.double), (len(texts), len(column)), check_invariants=True
        ).coalesce()

    return features


def minilm_vectors(layers: Sequence[int], train: Sequence[RatedText], table: dict[RatedText, Tensor]) -> Features:
    """The means over tokens of some of MiniLM's layers, each number standardised as in training."""
    raw = lambda texts: torch.stack([table[each][list(layers)].flatten() for each in texts]).double()
    x = raw(train)
    mean, std = x.mean(0), x.std(0).clamp_min(1e-6)
    return lambda texts: (raw(texts) - mean) / std


def ridge(x: Tensor, y: Tensor, penalties: Sequence[float], *others: Tensor) -> dict[float, list[Tensor]]:
    """The predictions for each x in `others`, under each penalty; the intercept is not penalised.

    x: (n, d). Dense rows: in closed form, from n equations if there are fewer texts than features, else from d.
    Sparse ones: the same n equations by conjugate gradients, which never multiply the rows out.
    """
    centre = y.mean().double()
    target = y.double() - centre
    found = {}
    if x.is_sparse:
        rows, columns = x.to_sparse_csr(), x.t().to_sparse_csr()
        for penalty in penalties:
            a = conjugate_gradients(lambda v, penalty=penalty: rows @ (columns @ v) + penalty * v, target)
            found[penalty] = [other @ (columns @ a) + centre for other in others]
        return found
    dual = len(x) < x.shape[1]
    gram, moment = (x @ x.T, target) if dual else (x.T @ x, x.T @ target)
    for penalty in penalties:
        factor = torch.linalg.cholesky(gram + penalty * torch.eye(len(gram), dtype=gram.dtype))
        w = torch.cholesky_solve(moment[:, None], factor)[:, 0]
        w = x.T @ w if dual else w
        found[penalty] = [other @ w + centre for other in others]
    return found


def conjugate_gradients(times: Callable[[Tensor], Tensor], b: Tensor, tolerance: float = 1e-8) -> Tensor:
    """Solve times(v) = b for a symmetric positive definite map (Hestenes and Stiefel, 1952)."""
    v, residual = torch.zeros_like(b), b.clone()
    direction, size = residual.clone(), residual @ residual
    while size > tolerance**2 * (b @ b):
        image = times(direction)
        step = size / (direction @ image)
        v += step * direction
        residual -= step * image
        size, before = residual @ residual, size
        direction = residual + size / before * direction
    return v


def best_ridge(
    features: Features, train: Sequence[RatedText], y: Tensor, splits: Split, penalties: Sequence[float]
) -> dict:
    """Scores of the report split under the penalty that is best on the choose split."""
    predictions = ridge(features(train), y, penalties, features(splits["choose"]), features(splits["report"]))
    return best_of(predictions, splits)


def best_of(predictions: dict[float, list[Tensor]], splits: Split) -> dict:
    choose = {key: spearman(p[0].numpy(), means(splits["choose"])) for key, p in predictions.items()}
    best = max(choose, key=choose.get)
    return dict(chosen=best, choose=round(choose[best], 4), scores=[round(s, 4) for s in predictions[best][1].tolist()])


# --- Transformers from scratch ----------------------------------------------------------------------------------------


class Rater(nn.Module):
    """A Transformer's vectors, pooled to one for a text, and a linear layer to a scalar."""

    def __init__(self, vocab_size: int, causal: bool, pool: str, dropout: float) -> None:
        super().__init__()
        self.pool = pool
        self.body = Transformer(
            ModelConfig(vocab_size, n_layers=1, d_model=64, n_heads=4, max_seq_len=MAX_WORDS, causal=causal,
                        dropout=dropout, mlp="gelu")
        )  # fmt: skip
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(64, 1)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) ids, 0 for padding on the right -> (B,)."""
        real = ids > 0
        h = self.body.hidden(ids, pad_mask=real)
        if self.pool == "mean":
            pooled = (h * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        else:
            pooled = h[torch.arange(len(ids)), real.sum(1) - 1]
        return self.head(self.dropout(pooled))[:, 0]


def encoded(train: Sequence[RatedText], splits: Split) -> dict[str, list[Tensor]]:
    """Ids of each split's words: 0 is padding, 1 a word seen less than twice in training."""
    counts = collections.Counter(word for each in train for word in words(each.text))
    number = {word: i + 2 for i, word in enumerate(word for word, count in counts.items() if count > 1)}
    ids = lambda text: torch.tensor([number.get(word, 1) for word in words(text)[:MAX_WORDS]] or [1])
    return {name: [ids(each.text) for each in texts] for name, texts in splits.items()}


def train_rater(splits: Split, causal: bool, pool: str, dropout: float, lr: float, seed: int) -> dict:
    """Scores of the report split after the epoch that is best on the choose split. Squared error."""
    ids = encoded(splits["train"], splits)
    y = (means(splits["train"]) - means(splits["train"]).mean()) / means(splits["train"]).std()
    torch.manual_seed(seed)
    model = Rater(2 + max(int(row.max()) for row in ids["train"]), causal, pool, dropout)
    optimizer = AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    steps, done = EPOCHS * (len(y) // BATCH), 0
    predictions = {}
    for epoch in range(1, EPOCHS + 1):
        model.train()
        # Texts of similar length share a batch, drawn from chunks of the shuffled texts.
        for chunk in torch.randperm(len(y)).split(16 * BATCH):
            chunk = chunk[torch.tensor([len(ids["train"][i]) for i in chunk]).argsort()]
            batches = chunk.split(BATCH)
            for i in torch.randperm(len(batches)):
                loss = F.mse_loss(model(padded([ids["train"][k] for k in batches[i]])), y[batches[i]])
                for group in optimizer.param_groups:
                    group["lr"] = lr * min(1.0, (done + 1) / 100) * max(0.0, 1 - done / steps)
                model.zero_grad()
                loss.backward()
                optimizer.step()
                done += 1
        model.eval()
        with torch.no_grad():
            predictions[epoch] = [
                torch.cat([model(padded(ids[name][k : k + 256])) for k in range(0, len(ids[name]), 256)])
                for name in ("choose", "report")
            ]
    return best_of(predictions, splits)


def padded(rows: Sequence[Tensor]) -> Tensor:
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)


# --- the same number of human ratings, spent in four ways -------------------------------------------------------------


def logistic(differences: Tensor, first_wins: Tensor, penalties: Sequence[float], *others: Tensor) -> dict:
    """Scores under each penalty of the linear reward that fits pairs (Bradley and Terry, 1952): no intercept.

    differences: (pairs, d), the first text's features minus the second's. Each fit starts from the one before.
    """
    found, w = {}, torch.zeros(differences.shape[1], dtype=torch.double, requires_grad=True)
    sign = first_wins.double() * 2 - 1
    for penalty in sorted(penalties, reverse=True):
        optimizer = torch.optim.LBFGS([w], max_iter=100, tolerance_grad=1e-4, line_search_fn="strong_wolfe")

        def loss(penalty: float = penalty, optimizer: torch.optim.Optimizer = optimizer) -> Tensor:
            optimizer.zero_grad()
            value = -F.logsigmoid(sign * (differences @ w)).sum() + penalty / 2 * (w @ w)
            value.backward()
            return value

        optimizer.step(loss)
        found[penalty] = [other @ w.detach() for other in others]
    return found


def spent(way: str, budget: int, features: Features, splits: Split, seed: int) -> dict:
    """A linear reward on MiniLM's six layers from `budget` ratings of single people, spent in this way."""
    rng = np.random.default_rng(seed)
    train = [splits["train"][i] for i in rng.permutation(len(splits["train"]))]
    outside = features(splits["choose"]), features(splits["report"])
    one = lambda each: each.ratings[rng.integers(len(each.ratings))]
    if way in ("all ratings of few", "one rating of many"):
        if way == "one rating of many":
            texts = train[:budget]
            y = torch.tensor([float(one(each)) for each in texts])
        else:
            ends = np.cumsum([len(each.ratings) for each in train])
            texts = train[: int(np.searchsorted(ends, budget)) + 1]
            y = means(texts)
        return dict(
            texts=len(texts),
            **correlations(best_of(ridge(features(texts), y, DENSE_PENALTIES, *outside), splits), splits),
        )
    first, second, labels = [], [], []
    if way == "pairs of two people":
        for a, b in zip(train[: budget // 2], train[budget // 2 : budget]):
            first.append(a), second.append(b), labels.append(one(a) - one(b))
    else:
        sittings = collections.defaultdict(list)
        for each in train:
            sittings[each.group].append(each)
        for a in train[: budget // 2]:
            others = [each for each in sittings[a.group] if each is not a]
            b, person = others[rng.integers(len(others))], rng.integers(len(a.ratings))
            first.append(a), second.append(b), labels.append(a.ratings[person] - b.ratings[person])
    told = [i for i, label in enumerate(labels) if label]
    agree = np.mean([labels[i] * (first[i].mean - second[i].mean) > 0 for i in told])
    x = features([first[i] for i in told]) - features([second[i] for i in told])
    fits = logistic(x, torch.tensor([labels[i] > 0 for i in told]), PAIR_PENALTIES, *outside)
    return dict(pairs=len(told), ties=len(labels) - len(told), labels_agree_with_means=round(float(agree), 4),
                **correlations(best_of(fits, splits), splits))  # fmt: skip


def correlations(fit: dict, splits: Split) -> dict:
    """A fit without its scores."""
    report = round(spearman(fit["scores"], means(splits["report"])), 4)
    return dict(chosen=fit["chosen"], choose=fit["choose"], report=report)


# --- what is reported -------------------------------------------------------------------------------------------------


def rows_of(texts: Sequence[RatedText], which: str) -> np.ndarray:
    mean = means(texts).numpy()
    return {"all": mean == mean, "favourable": mean > 0, "unfavourable": mean < 0}[which]


def reported(scores: list[list[float]], baseline: list[float] | None, report: Sequence[RatedText]) -> dict:
    """Spearman with intervals, the mean over the seeds' scores; on all snippets and on those of one sentiment."""
    y, groups = means(report).numpy(), np.array([each.group for each in report])
    measure = lambda y, *seeds: float(np.mean([spearman(s, y) for s in seeds]))
    found: dict = {}
    for which in ("all", "favourable", "unfavourable"):
        rows = rows_of(report, which)
        data = [y[rows], *(np.array(s)[rows] for s in scores)]
        found[which] = [measure(*data), *bootstrap_interval(measure, *data, groups=groups[rows])]
    found["pair_accuracy"] = float(np.mean([pair_accuracy(s, y) for s in scores]))
    found["seeds"] = [spearman(s, y) for s in scores]
    if baseline is not None:
        gain = lambda y, base, *seeds: measure(y, *seeds) - spearman(base, y)
        data = [y, np.array(baseline), *map(np.array, scores)]
        found["gain_over_bag_of_words"] = [gain(*data), *bootstrap_interval(gain, *data, groups=groups)]
    return rounded(found)


def ceilings(report: Sequence[RatedText]) -> dict:
    """How well people agree on these snippets, on the same measures."""
    ratings, groups = np.array([each.ratings for each in report], dtype=object), [each.group for each in report]
    found: dict = {}
    for which in ("all", "favourable", "unfavourable"):
        rows = rows_of(report, which)
        some = ratings[rows]
        of = np.array(groups)[rows]
        one = partial(one_against_rest, times=3)
        half = lambda some: spearman_brown(half_against_half(some, times=1))
        found[which] = {
            "one rater against the rest": [
                one_against_rest(some), *bootstrap_interval(one, some, groups=of, times=200)
            ],
            "half against half": half_against_half(some),
            "reliability of the mean": [
                spearman_brown(half_against_half(some)), *bootstrap_interval(half, some, groups=of, times=200)
            ],
        }  # fmt: skip
    found["pair_accuracy of one rater"] = one_against_rest(ratings, measure=pair_accuracy, times=5)
    found["ratings a snippet"] = float(np.mean([len(row) for row in ratings]))
    return rounded(found)


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [round(each, 4) for each in value] if isinstance(value, list) else round(value, 4)


@torch.no_grad()
def vectors(texts: Sequence[RatedText]) -> dict[RatedText, Tensor]:
    """The (6, 384) means over tokens of MiniLM's layers, computed once and kept in build/."""
    digest = hashlib.sha256("\n".join(each.text for each in texts).encode()).hexdigest()[:8]
    path = BUILD / f"minilm_film_{digest}.pt"
    if not path.exists():
        model, tokenizer = load_minilm("cpu")
        names = [f"blocks.{i}" for i in range(6)]
        found = torch.empty(len(texts), 6, 384)
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i].text))
        for start in range(0, len(texts), 64):
            rows = by_length[start : start + 64]
            ids, real = tokenizer.encode_batch([texts[i].text for i in rows], max_length=64)
            with record(model, *names) as seen:
                model.hidden(ids, pad_mask=real)
            weights = (real / real.sum(1, keepdim=True))[..., None]
            found[rows] = torch.stack([(seen[name] * weights).sum(1) for name in names], dim=1)
        path.parent.mkdir(exist_ok=True)
        torch.save(found, path)
    return dict(zip(texts, torch.load(path)))


def main() -> None:
    torch.set_num_threads(1)
    texts = rated_texts("film")
    splits = split_ratings(texts)
    train, report = splits["train"], splits["report"]
    modules = ["llmlib.data.reviews", "llmlib.data.agreement", "llmlib.model.transformer", "llmlib.hub.minilm"]
    modules += ["llmlib.text.wordpiece", "llmlib.train.adamw"]
    experiment = Experiment("review_rewards", script=__file__, modules=modules, seeds=SEEDS)
    table = vectors(texts)

    def bow(n: int | None, seed: int) -> dict:
        some = sample(n, seed)
        return best_ridge(bag_of_words(some), some, means(some), splits, BOW_PENALTIES)

    def minilm(layers: Sequence[int], n: int | None, seed: int) -> dict:
        some = sample(n, seed)
        return best_ridge(minilm_vectors(layers, some, table), some, means(some), splits, DENSE_PENALTIES)

    def sample(n: int | None, seed: int) -> list[RatedText]:
        return [train[i] for i in np.random.default_rng(seed).permutation(len(train))[:n]]

    def once(key: str, compute: Callable[..., dict], *arguments) -> dict:
        found = experiment.once(key, compute, *arguments)
        print(key, found.get("chosen"), found.get("choose"), f"{experiment.seconds:.0f} s", flush=True)
        return found

    fits: dict[str, list[dict]] = {"bag of words": [once("bag of words", bow, None, 0)]}
    every = tuple(range(6))
    fits["MiniLM, last layer"] = [once("MiniLM, last layer", minilm, every[-1:], None, 0)]
    fits["MiniLM, six layers"] = [once("MiniLM, six layers", minilm, every, None, 0)]
    for name, (causal, pool, dropout) in RATERS.items():
        tries = {lr: once(f"{name}, {lr}, seed 0", train_rater, splits, causal, pool, dropout, lr, 0) for lr in RATES}
        lr = max(tries, key=lambda lr: tries[lr]["choose"])
        more = [once(f"{name}, {lr}, seed {s}", train_rater, splits, causal, pool, dropout, lr, s) for s in SEEDS[1:]]
        fits[name] = [dict(fit, lr=lr) for fit in (tries[lr], *more)]

    curves: dict[str, list[dict]] = {"bag of words": [], "MiniLM, six layers": []}
    for n in SIZES:
        for seed in SEEDS if n else SEEDS[:1]:
            for name, compute in (("bag of words", bow), ("MiniLM, six layers", partial(minilm, every))):
                fit = once(f"{name}, {n} texts, seed {seed}", compute, n, seed) if n else fits[name][0]
                curves[name].append(dict(texts=n or len(train), seed=seed, **correlations(fit, splits)))

    ways = ("all ratings of few", "one rating of many", "pairs of two people", "pairs of one person")
    features, budgets = minilm_vectors(every, train, table), []
    for budget in BUDGETS:
        for way in ways:
            for seed in SEEDS:
                found = once(f"{way}, {budget} ratings, seed {seed}", spent, way, budget, features, splits, seed)
                budgets.append(dict(way=way, ratings=budget, seed=seed, **found))

    baseline = fits["bag of words"][0]["scores"]
    models = {
        name: dict(
            reported([fit["scores"] for fit in of], None if name == "bag of words" else baseline, report),
            chosen=[{key: fit[key] for key in ("chosen", "choose", "lr") if key in fit} for fit in of],
        )
        for name, of in fits.items()
    }
    sizes = {name: len(part) for name, part in splits.items()}
    experiment.save(
        dict(splits=sizes, ratings=sum(len(each.ratings) for each in train), models=models,
             people=ceilings(report), curves=curves, budgets=budgets)
    )  # fmt: skip


if __name__ == "__main__":
    main()
