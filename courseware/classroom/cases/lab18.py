"""Lab 18: scores of options, pass@k, a bootstrap over questions, a paired comparison, overlap with training text, a
defence judged, a test of calibrations, a wrong evaluation."""

import functools
import itertools
import math
import re
from statistics import NormalDist

import torch

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Number, Question, Subject, Tolerance, Ungraded

# ------------------------------------------------------------------------------------------------ 1: scores of options

OPTIONS = (
    "café", "the Danube", "Zürich", "at a naïve guess", "日本", "a street in São Paulo", "€ 5", "no", "Łódź", "on Monday",
    "two", "déjà vu", "Ελλάδα", "the old bridge", "smörgåsbord", "in 1912",
)  # fmt: skip


def _options(draw: Draw, how: str) -> tuple:
    """Logits of one question's options, their tokens (-1: padding), where the options begin, the options' texts."""
    n, n_prompt, vocabulary = 3, 2 + draw.integer(0, 3), 5 + draw.integer(0, 3)
    lengths = [1, 4, 2 + draw.integer(0, 2)]
    rows = draw.integers(0, vocabulary, n, n_prompt + max(lengths))
    rows[:, :n_prompt] = rows[0, :n_prompt]
    for row, length in enumerate(lengths):
        rows[row, n_prompt + length :] = -1
    texts = [OPTIONS[i] for i in draw.numpy.permutation(len(OPTIONS))[:n]]
    texts[draw.integer(0, n)] = draw.choice([t for t in OPTIONS if len(t) < len(t.encode()) and t not in texts])
    return draw.normal(*rows.shape, vocabulary, scale=1.5), rows, n_prompt, texts, how


def sums(draw: Draw) -> tuple:
    return _options(draw, "raw")


def by_tokens(draw: Draw) -> tuple:
    return _options(draw, "token")


def by_bytes(draw: Draw) -> tuple:
    return _options(draw, "byte")


def of_one_length(draw: Draw) -> tuple:
    """No padding; a prompt of one token."""
    logits, ids, _, texts, how = _options(draw, draw.choice(["raw", "token"]))
    return logits[:, :4], ids.clamp(min=0)[:, :4], 1, texts, how


def run_scores(student, logits, ids, n_prompt, options, how):
    """Recipe: one score an option."""
    scores = student(logits.clone(), ids.clone(), n_prompt, list(options), how)
    return torch.as_tensor(scores).double().reshape(-1)


def option_scores(logits, ids, n_prompt, options, how, slip=""):
    """Scores (n,), or those of a slip."""
    logits = logits.double()
    width = ids.shape[1]
    real = ids >= 0
    if slip == "no softmax":
        logs = logits
    elif slip == "over positions":
        logs = logits.log_softmax(1)
    elif slip == "over options":
        logs = logits.log_softmax(0)
    else:
        logs = logits.log_softmax(-1)
    if slip == "probabilities":
        logs = logs.exp()
    targets = ids.clamp(min=0)[..., None]
    if slip == "shift":  # what is put out after a token, as if it were about this token
        each = logs.gather(-1, targets)[..., 0]
    elif slip == "shifted twice":
        each = torch.zeros_like(ids, dtype=torch.double)
        each[:, 2:] = logs[:, :-2].gather(-1, targets[:, 2:])[..., 0]
    else:
        each = torch.zeros_like(ids, dtype=torch.double)
        each[:, 1:] = logs[:, :-1].gather(-1, targets[:, 1:])[..., 0]
    place = torch.arange(width)
    start = {
        "first dropped": n_prompt + 1,
        "prompt counted": 1,
        "prompt in the sum": 1,
        "one before": max(1, n_prompt - 1),
    }.get(slip, n_prompt)
    mine = real & (place >= start)
    if slip == "padding":
        mine = (place >= start).expand_as(real)
    total = (each * mine).sum(1)
    if slip == "sign":
        total = -total
    tokens = mine.sum(1).double()
    if slip == "prompt in the sum":
        tokens = (real & (place >= n_prompt)).sum(1).double()
    elif slip == "all tokens":
        tokens = real.sum(1).double()
    elif slip == "padding in the number":
        tokens = torch.full_like(tokens, width - n_prompt)
    encoded = [len(text.encode()) for text in options]
    if slip == "characters":
        encoded = [len(text) for text in options]
    elif slip == "space counted":
        encoded = [1 + size for size in encoded]
    elif slip == "words":
        encoded = [len(text.split()) for text in options]
    sizes = torch.tensor(encoded, dtype=torch.double)
    if slip == "never divided" or how == "raw":
        divisor = torch.ones_like(total)
    elif how == "token" or slip == "tokens for bytes":
        divisor = sizes if slip == "bytes for tokens" else tokens
    else:
        divisor = sizes
    if slip == "always divided":
        divisor = tokens
    return total * divisor if slip == "multiplied" else total / divisor


@functools.cache
def _scored(slip: str):
    return lambda *inputs: option_scores(*inputs, slip=slip)


SCORE_SLIPS = {
    "shift": "each token is scored with what the model puts out *after* reading it: logits[:, t] are about the token t + 1",
    "shifted twice": "logits[:, t] are about the token t + 1: here they are two apart",
    "first dropped": "the first token of an option is not scored: what the last token of the prompt puts out is about it",
    "one before": "the last token of the prompt is scored as well: an option begins at n_prompt",
    "prompt counted": "the tokens of the prompt are scored as well: begin at n_prompt",
    "prompt in the sum": "the sum holds the tokens of the prompt, the number does not: both begin at n_prompt",
    "all tokens": "divided by the tokens of prompt and option: only those of the option count",
    "padding": "padding is scored as a token: ids is -1 where a row has ended",
    "padding in the number": "divided by the length of the longest option: count each option's own tokens",
    "no softmax": "those are sums of logits: a log-probability needs the log-softmax over the vocabulary",
    "over positions": "the softmax runs over positions: the vocabulary is the last axis",
    "over options": "the softmax runs over the options: the vocabulary is the last axis",
    "probabilities": "probabilities are added up: the logarithms are what adds up along an option",
    "sign": "the sign: the likelier option has the higher score",
    "never divided": 'is how used? Sums of log-probabilities fall with every token: "token" and "byte" divide',
    "tokens for bytes": '"byte" divides by the bytes of the option\'s text in UTF-8, not by tokens',
    "bytes for tokens": '"token" divides by the number of tokens, not by bytes',
    "always divided": '"raw" is the sum, and "byte" divides by bytes: here everything is divided by tokens',
    "characters": "those are characters: é takes two bytes in UTF-8, 日 three",
    "space counted": "the bytes are those of the option's own text, without a space before it",
    "words": "those are words: count the bytes of the text in UTF-8",
    "multiplied": "divide by the length: multiplied, long options lose twice",
}
_RAW = (
    "shift", "shifted twice", "first dropped", "one before", "prompt counted", "padding", "no softmax", "over positions",
    "over options", "probabilities", "sign", "always divided",
)  # fmt: skip
_TOKEN = (
    *_RAW[:-1],
    "prompt in the sum",
    "all tokens",
    "padding in the number",
    "never divided",
    "bytes for tokens",
    "multiplied",
)
_BYTE = (*_RAW, "never divided", "tokens for bytes", "characters", "space counted", "words", "multiplied")

# -------------------------------------------------------------------------------------------------------- 2: pass@k


def few_programmes(draw: Draw) -> tuple:
    """Problems with unequal numbers of programmes, from none right to many."""
    k = 2 + draw.integer(0, 3)
    counts = [(n, draw.integer(1, n - k)) for n in (8 + draw.integer(0, 6) for _ in range(3))]
    return [*counts, (6 + k, 0), (40, 1 + draw.integer(0, 3))], k


def many_programmes(draw: Draw) -> tuple:
    n = 3000 + draw.integer(0, 1000)
    return [(n, 1 + draw.integer(0, 4)), (n + 500, 3)], 300 + draw.integer(0, 100)


def few_wrong_ones(draw: Draw) -> tuple:
    """So few wrong ones that any k hold a right one."""
    n = 6 + draw.integer(0, 4)
    k = 4 + draw.integer(0, 2)
    return [(n, n - 1), (n, n - k + 2), (n, n), (n, 1)], k


def too_few_programmes(draw: Draw) -> tuple:
    k = 5 + draw.integer(0, 4)
    return [(k + 3, 2), (k - 1 - draw.integer(0, 2), 1)], k


def run_pass(student, counts, k):
    """Recipe: a number; or that a ValueError was raised."""
    try:
        return float(student([tuple(each) for each in counts], k))
    except ValueError as error:
        if k > min(n for n, _ in counts):
            return "a ValueError"
        raise error


def pass_at_k(counts, k, slip=""):
    """The mean over problems, or what a slip makes of it."""
    if k > min(n for n, _ in counts):
        if slip != "not refused":
            raise ValueError("k is larger than n")
        counts = [(n, c) for n, c in counts if n >= k]
    if slip in ("pooled", "pooled, replaced"):
        counts = [(sum(n for n, _ in counts), sum(c for _, c in counts))]
    found = []
    for n, c in counts:
        if slip in ("replaced", "pooled, replaced"):
            found.append(1 - (1 - c / n) ** k)
        elif slip == "all right":
            found.append(math.comb(c, k) / math.comb(n, k))
        elif slip == "all right, replaced":
            found.append((c / n) ** k)
        elif slip == "none right":
            found.append(math.comb(n - c, k) / math.comb(n, k))
        elif slip == "linear":
            found.append(min(1.0, k * c / n))
        elif slip == "one":
            found.append(c / n)
        elif slip == "any":
            found.append(float(c > 0))
        elif slip == "inside out":
            found.append(1 - (c / n) ** k)
        elif slip == "right ones chosen":
            found.append(1 - math.comb(n - k, k) / math.comb(n, k) if c else 0.0)
        elif slip == "one short":
            found.append(1 - math.prod(1 - k / i for i in range(n - c + 2, n + 1)))
        elif slip == "one more":
            found.append(1 - math.comb(n - c, k + 1) / math.comb(n, k + 1))
        else:
            found.append(1 - math.comb(n - c, k) / math.comb(n, k))
    if slip == "mean rate":
        return 1 - (1 - sum(c / n for n, c in counts) / len(counts)) ** k
    return sum(found) if slip == "sum" else sum(found) / len(found)


@functools.cache
def _passed(slip: str):
    return lambda *inputs: run_pass(functools.partial(pass_at_k, slip=slip), *inputs)


PASS_SLIPS = {
    "replaced": "1 - (1 - c/n)^k draws the same programme more than once: k *different* ones are chosen among the n",
    "pooled": "the programmes of all problems are thrown together: pass@k of each problem first, then the mean",
    "pooled, replaced": "pass@k of each problem first, then the mean; and k different programmes are chosen, none twice",
    "mean rate": "the mean of the rates is put into the formula: pass@k of each problem first, then the mean",
    "all right": "that is the probability that all k pass: one is enough",
    "all right, replaced": "that is the probability that all k pass: one is enough",
    "none right": "that is the probability that none of the k passes: pass@k is what is left",
    "linear": "k c / n counts a draw with two right ones twice: 1 minus the probability of none",
    "one": "that is pass@1, the share of right programmes: is k used?",
    "any": "that asks whether any of the n programmes passes, as if k were n",
    "inside out": "1 - (c/n)^k is the probability that not all pass",
    "right ones chosen": "n - c programmes are wrong: C(n - c, k) ways to choose k of these",
    "one short": "the product has c factors, from n - c + 1 to n: one is missing",
    "one more": "k programmes are chosen, not k + 1",
    "sum": "that is the sum over problems: give the mean",
    "not refused": "raise a ValueError where k is larger than the n of a problem: so many cannot be chosen",
}
_FEW_SLIPS = tuple(s for s in PASS_SLIPS if s != "not refused")
_MANY_SLIPS = ("replaced", "none right", "linear", "one", "any", "one short")


def _no_number(value, counts, k) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


# ------------------------------------------------------------------------------------------ 3: a bootstrap over questions


def _answers(draw: Draw, times: int, sizes: list[int]) -> tuple:
    """Answers that hang together within a question."""
    scores, questions = [], []
    for question, size in enumerate(sizes):
        base = 1.0 if draw.numpy.random() < 0.5 else 0.0
        for _ in range(size):
            scores.append(base if draw.numpy.random() < 0.9 else 1 - base)
            questions.append(question)
    order = draw.numpy.permutation(len(scores))
    values, of = torch.tensor(scores)[order], torch.tensor(questions)[order]
    return values, of, draw.integers(0, len(sizes), times, len(sizes)), draw.choice([0.9, 0.8])


def several_answers(draw: Draw) -> tuple:
    sizes = [(3, 8, 4, 10, 5, 2)[i % 6] for i in range(8 + draw.integer(0, 4))]
    return _answers(draw, 150 + draw.integer(0, 20), sizes)


def one_answer_each(draw: Draw) -> tuple:
    return _answers(draw, 120 + draw.integer(0, 20), [1] * (9 + draw.integer(0, 5)))


def scores_between(draw: Draw) -> tuple:
    """Scores that are not only 0 and 1."""
    scores, questions, draws, level = several_answers(draw)
    return (0.7 * scores + draw.uniform(len(scores), high=0.3)).double(), questions, draws, level


def run_bootstrap(student, scores, questions, draws, level):
    """Recipe: the mean and both ends."""
    found = student(scores.clone(), questions.clone(), draws.clone(), level)
    return [float(each) for each in found]


def _means(scores, questions, draws, slip="") -> torch.Tensor:
    n = draws.shape[1]
    values = scores.double()
    total = torch.zeros(n, dtype=torch.double).index_add(0, questions, values)
    count = torch.zeros(n, dtype=torch.double).index_add(0, questions, torch.ones_like(values))
    if slip == "question means":
        return (total / count)[draws].mean(1)
    if slip == "once each":
        return torch.stack([total[row.unique()].sum() / count[row.unique()].sum() for row in draws])
    if slip == "answers":
        return values[draws].mean(1)
    if slip == "over all":
        return total[draws].sum(1) / len(values)
    return total[draws].sum(1) / count[draws].sum(1)


def bootstrap(scores, questions, draws, level, slip=""):
    """Mean, low and high, or those of a slip."""
    values, means = scores.double(), _means(scores, questions, draws, slip)
    mean, tail = values.mean(), (1 - level) / 2
    cut = lambda q: torch.quantile(means, q)
    low, high = cut(tail), cut(1 - tail)
    z = NormalDist().inv_cdf(1 - tail)
    if slip == "whole tails":
        low, high = cut(1 - level), cut(level)
    elif slip == "one side":
        low, high = cut(1 - level), means.max()
    elif slip == "half the level":
        low, high = cut(level / 2), cut(1 - level / 2)
    elif slip == "swapped":
        low, high = high, low
    elif slip == "mirrored":
        low, high = 2 * mean - high, 2 * mean - low
    elif slip == "deviation":
        low, high = mean - z * means.std(), mean + z * means.std()
    elif slip == "extremes":
        low, high = means.min(), means.max()
    elif slip == "normal":
        half = z * values.std() / len(values) ** 0.5
        low, high = mean - half, mean + half
    elif slip == "divided again":
        half = z * means.std() / draws.shape[1] ** 0.5
        low, high = mean - half, mean + half
    elif slip == "in order":
        ranked = means.sort().values
        low, high = ranked[int(tail * len(ranked))], ranked[min(len(ranked) - 1, int((1 - tail) * len(ranked)))]
    elif slip == "always 95":
        low, high = cut(0.025), cut(0.975)
    elif slip == "distances":
        low, high = mean - low, high - mean
    if slip == "mean of the resamples":
        mean = means.mean()
    elif slip == "mean of question means":
        n = draws.shape[1]
        mean = torch.stack([values[questions == q].mean() for q in range(n)]).mean()
    return [float(mean), float(low), float(high)]


@functools.cache
def _resampled(slip: str):
    return lambda *inputs: bootstrap(*inputs, slip=slip)


BOOTSTRAP_SLIPS = {
    "answers": "draws holds *questions*: here they are taken as places in scores, so that answers are resampled, as if those to one question were independent",
    "normal": "that is an interval over answers, as if those to one question were independent: whole questions are drawn",
    "question means": "every answer counts the same: add up the answers of the questions drawn, and divide by how many they are",
    "once each": "a question that is drawn twice counts twice",
    "over all": "a resample has as many answers as the questions drawn in it: divide by that number, not by all answers",
    "whole tails": "1 - level is left out on both sides together: (1 - level) / 2 on each",
    "one side": "the upper end is the largest resample: (1 - level) / 2 is left out on each side",
    "half the level": "the lower end is the quantile (1 - level) / 2, not level / 2",
    "swapped": "the percentiles are on the wrong side: mean, low, high, in this order",
    "mirrored": "those are the percentiles mirrored at the mean, another bootstrap: the low end is the low quantile of the resamples",
    "deviation": "the ends are quantiles of the resampled means, not the mean plus and minus so many standard deviations",
    "divided again": "the spread of the resampled means is the uncertainty: no root of a number divides it again",
    "extremes": "those are the smallest and the largest resample: is level used?",
    "always 95": "is level used? Those are the quantiles 0.025 and 0.975",
    "in order": "the ends are quantiles as torch.quantile gives them, between two resamples if need be",
    "distances": "low and high are the ends themselves, not their distances from the mean",
    "mean of the resamples": "the mean is that of the scores: the resamples say how sure it is",
    "mean of question means": "the mean is over all answers; here it is over the questions' means",
}
_SEVERAL = tuple(s for s in BOOTSTRAP_SLIPS if s not in ("in order", "mirrored", "mean of the resamples"))
_ONE_EACH = ("whole tails", "one side", "swapped", "distances")


def _over_answers(value, scores, questions, draws, level) -> bool:
    """About as narrow as an interval over answers, and much narrower than one over questions."""
    _, low, high = value
    right, narrow = (
        bootstrap(scores, questions, draws, level),
        bootstrap(scores, questions, draws, level, slip="normal"),
    )
    width = lambda interval: interval[2] - interval[1]
    return 0.8 < (high - low) / width(narrow) < 1.2 and (high - low) < 0.75 * width(right)


# --------------------------------------------------------------------------------------------- 4: a paired comparison


def two_models(draw: Draw) -> tuple:
    """Both find the same questions hard; on some they differ."""
    n = 24 + draw.integer(0, 16)
    a = (draw.uniform(n) < 0.5).float()
    differs = draw.uniform(n) < 0.35
    b = torch.where(differs, 1 - a, a)
    ahead, behind = torch.nonzero(a == 0).flatten(), torch.nonzero(a == 1).flatten()
    b[ahead[: 4 + draw.integer(0, 4)]] = 1.0
    b[behind[:2]] = 0.0
    return a, b, draw.integers(0, n, 160 + draw.integer(0, 20), n), draw.choice([0.9, 0.8])


def as_often_ahead_as_behind(draw: Draw) -> tuple:
    """No one is ahead: 2 P(X <= wins) would be above 1."""
    n, each = 20 + draw.integer(0, 10), 2 + draw.integer(0, 3)
    a = torch.ones(n)
    a[: each + 3] = 0.0
    b = a.clone()
    b[:each], b[-each:] = 1.0, 0.0
    return a, b, draw.integers(0, n, 160 + draw.integer(0, 20), n), 0.9


def the_later_behind(draw: Draw) -> tuple:
    a, b, draws, level = two_models(draw)
    return b, a, draws, level


def nothing_differs(draw: Draw) -> tuple:
    a, _, draws, level = two_models(draw)
    return a, a.clone(), draws, level


def run_compare(student, a, b, draws, level):
    """Recipe: four numbers."""
    found = student(a.clone(), b.clone(), draws.clone(), level)
    return {name: float(found[name]) for name in ("difference", "low", "high", "p")}


def compare(a, b, draws, level, slip=""):
    """Difference, interval and p, or those of a slip."""
    n = len(a)
    each = torch.arange(n)
    d = (a - b if slip == "order" else b - a).double()
    mean, low, high = bootstrap(d, each, draws, level)
    if slip == "apart":
        (_, low_a, high_a), (_, low_b, high_b) = (bootstrap(x, each, draws, level) for x in (a, b))
        low, high = low_b - high_a, high_b - low_a
    elif slip == "ends":
        (_, low_a, high_a), (_, low_b, high_b) = (bootstrap(x, each, draws, level) for x in (a, b))
        low, high = low_b - low_a, high_b - high_a
    elif slip == "drawn apart":
        means = b.double()[draws].mean(1) - a.double()[draws.flip(0)].mean(1)
        low, high = (float(torch.quantile(means, q)) for q in ((1 - level) / 2, (1 + level) / 2))
    elif slip == "pooled roots":
        z = NormalDist().inv_cdf((1 + level) / 2)
        half = z * math.sqrt((a.double().var() + b.double().var()) / n)
        low, high = mean - half, mean + half
    elif slip == "magnitude":
        mean, low, high = bootstrap(d.abs(), each, draws, level)
    wins, losses = int((b > a).sum()), int((a > b).sum())
    ties = n - wins - losses
    few, trials = min(wins, losses), wins + losses
    if slip == "ties as losses":
        few, trials = min(wins, losses + ties), n
    elif slip == "ties halved":
        few, trials = min(wins, losses) + ties // 2, n
    elif slip == "over all":
        few, trials = min(wins, losses), n
    below = lambda most: sum(math.comb(trials, i) for i in range(most + 1)) / 2**trials
    p = 2 * below(few)
    if slip == "one side":
        p = below(few)
    elif slip == "strictly":
        p = 2 * (below(few - 1) if few else 0.0)
    elif slip == "just that":
        p = 2 * math.comb(trials, few) / 2**trials
    elif slip == "larger":
        p = 2 * below(max(wins, losses))
    elif slip == "bootstrap":
        means = d[draws].mean(1)
        p = 2 * min(float((means <= 0).double().mean()), float((means >= 0).double().mean()))
    elif slip == "normal":
        p = 2 * (1 - NormalDist().cdf(abs(wins - losses) / math.sqrt(trials)))
    elif slip == "rest":
        p = 1 - min(1.0, p)
    if slip != "above 1":
        p = min(1.0, p)
    if slip == "total":
        mean = float(d.sum())
    return {"difference": mean, "low": low, "high": high, "p": p}


@functools.cache
def _compared(slip: str):
    return lambda *inputs: compare(*inputs, slip=slip)


COMPARE_SLIPS = {
    "order": "the difference is b - a: positive where b is better",
    "apart": "two intervals are subtracted, as if the models had answered different questions: take the difference on each question first",
    "ends": "the ends of two intervals are subtracted: take the difference on each question first, then resample it",
    "drawn apart": "each model is resampled by itself: both get the same drawn questions, so that what is hard for both cancels",
    "pooled roots": "that adds two variances, as if the models had answered different questions: take the difference on each question first",
    "magnitude": "the differences have a sign: wins and losses cancel",
    "total": "the difference is a mean over the questions, not a sum",
    "ties as losses": "questions on which both do equally well say nothing about who is better: the sign test leaves them out",
    "ties halved": "questions on which both do equally well are left out of the sign test, not shared out",
    "over all": "the sign test counts the questions that differ, wins + losses, not all of them",
    "one side": "both sides: a coin that favours the other model as much would be as surprising. Twice the tail",
    "strictly": "as unevenly *or more*: the observed split is part of the tail",
    "just that": "the tail holds every split at least as uneven, not the observed one alone",
    "larger": "the tail begins at the smaller of wins and losses",
    "bootstrap": "p is that of the sign test: how often a fair coin splits the questions that differ at least as unevenly",
    "normal": "that is the normal approximation: with few questions add up the binomial probabilities",
    "rest": "that is 1 - p",
    "above 1": "p is a probability: where wins and losses are equal the two tails overlap. At most 1",
}
_COMPARISONS = tuple(s for s in COMPARE_SLIPS if s != "above 1")


def _wide(value, a, b, draws, level) -> bool:
    """About as wide as the interval of two models that answered different questions."""
    right, wide = compare(a, b, draws, level), compare(a, b, draws, level, slip="pooled roots")
    width = lambda found: found["high"] - found["low"]
    return 0.85 < width(value) / width(wide) < 1.15 and width(value) > 1.2 * width(right)


# ------------------------------------------------------------------------------------------ 5: overlap with training text

NOUNS = (
    "river bridge lamp garden winter harbour letter engine forest market window doctor island captain mirror".split()
)
VERBS = "crosses carries follows reaches remembers paints opens hides answers builds".split()
SMALL = "the a no every his".split()


def _words(draw: Draw, n: int) -> list[str]:
    said = []
    while len(said) < n:
        said += [draw.choice(SMALL), draw.choice(NOUNS), draw.choice(VERBS)]
    return said[:n]


def _written(draw: Draw, words: list[str]) -> str:
    """With capitals and punctuation, drawn anew each time: the same words look different twice."""
    shown = [word.capitalize() if draw.numpy.random() < 0.3 else word for word in words]
    return "".join(word + draw.choice([" ", " ", ", ", ". ", "; ", " - "]) for word in shown).strip() + "."


def copied_and_new(draw: Draw) -> tuple:
    """A copy, a part of a copy, parts of two texts, the end of one and the beginning of the next, and nothing."""
    n = 3 + draw.integer(0, 2)
    texts = [_words(draw, 14 + draw.integer(0, 5)) for _ in range(3)]
    half = texts[0][2 : 2 + n + 2] + _words(draw, 4)
    both = texts[0][:n] + _words(draw, 2) + texts[2][4 : 4 + n + 1]
    border = texts[1][-(n - 1) :] + texts[2][: n - 1]
    turned = texts[2][3 : 3 + n][::-1] + texts[1][5 : 5 + n]
    looped = (texts[1][2 : 2 + n] * 3)[: 2 * n + 1] + _words(draw, 3)
    test = [half, both, border, turned, looped, list(texts[1][: 2 * n])]
    return [_written(draw, words) for words in test], [_written(draw, words) for words in texts], n


def a_word_in_a_word(draw: Draw) -> tuple:
    """What is copied letter by letter begins or ends within a word."""
    n = 3
    words = _words(draw, 9)
    inside = ["un" + words[2], *words[3:6], words[6] + "s"]
    test = [[words[2], words[3], words[4], words[5], words[6]], words[:6]]
    return (
        [_written(draw, w) for w in test],
        [" ".join([*_words(draw, 3), *inside, *words[:3]]), _written(draw, words[4:])],
        n,
    )


def fewer_words_than_n(draw: Draw) -> tuple:
    n = 6 + draw.integer(0, 3)
    texts = [_words(draw, 15) for _ in range(2)]
    test = [texts[0][4:8], [*_words(draw, 3), "zebra"], texts[1][1 : 1 + n], texts[1][:2] + texts[0][:2]]
    return [_written(draw, words) for words in test], [_written(draw, words) for words in texts], n


def run_overlaps(student, test, train, n):
    """Recipe: one share a text."""
    return [float(share) for share in student(list(test), list(train), n)]


def overlaps(test, train, n, slip=""):
    """The share of each test text, or that of a slip."""
    cut = {
        "case": lambda text: re.findall(r"\w+", text),
        "punctuation": lambda text: text.lower().split(),
        "as written": str.split,
        "characters": lambda text: list(text.lower()),
        "letters": lambda text: list("".join(re.findall(r"\w", text.lower()))),
    }.get(slip, lambda text: re.findall(r"\w+", text.lower()))
    longest = {"one shorter": n - 1, "one longer": n + 1}.get(slip, n)

    def runs(words, size):
        if slip == "last missing":
            return [tuple(words[i : i + size]) for i in range(max(1, len(words) - size))]
        if slip == "one after the other":
            return [tuple(words[i : i + size]) for i in range(0, max(1, len(words) - size + 1), size)]
        if slip == "order lost":
            return [tuple(sorted(words[i : i + size])) for i in range(max(1, len(words) - size + 1))]
        return [tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))]

    documents = [cut(text) for text in train]
    if slip == "borders":
        documents = [[word for words in documents for word in words]]
    found = []
    for text in test:
        words = cut(text)
        size = 1 if slip == "single words" else min(longest, len(words))
        mine = runs(words, size)
        held = [set(runs(each, longest if slip == "short ones lost" else size)) for each in documents]
        every = set().union(*held)
        if slip == "substrings":
            there = {run for run in mine if any(" ".join(run) in " ".join(each) for each in documents)}
        elif slip == "one document":
            there = max((set(mine) & each for each in held), key=len, default=set())
        else:
            there = set(mine) & every
        if slip == "short ones zero" and len(words) < n:
            found.append(0.0)
        elif slip == "every run":
            found.append(sum(run in there for run in mine) / len(mine))
        elif slip == "any":
            found.append(float(bool(there)))
        elif slip == "all":
            found.append(float(len(there) == len(set(mine))))
        elif slip == "number":
            found.append(float(len(there)))
        elif slip == "jaccard":
            found.append(len(there) / len(every | set(mine)))
        elif slip == "of the training text":
            found.append(len(there) / max(1, len(every)))
        elif slip == "new":
            found.append(1 - len(there) / len(set(mine)))
        else:
            found.append(len(there) / len(set(mine)))
    return found


@functools.cache
def _overlapping(slip: str):
    return lambda *inputs: overlaps(*inputs, slip=slip)


OVERLAP_SLIPS = {
    "case": "the texts are not made alike: Bridge and bridge are the same word. Lower case first",
    "punctuation": 'the texts are not made alike: with a comma at its end a word is another one. Take the words, r"\\w+"',
    "as written": 'the texts are not made alike: capitals and commas hide a copy. Lower case, and r"\\w+" for the words',
    "characters": "a run is n *words*: here it is n characters",
    "letters": "a run is n *words*: here it is n letters",
    "single words": "a run is n words side by side: here each word is looked up by itself",
    "order lost": "the words of a run stand in order: sorted, other sentences become the same",
    "substrings": "a run of words is looked for as a string of letters: it is found inside of other words",
    "borders": "the training texts are joined: a run that goes over a border stands in no text",
    "one document": "a run may come from any training text: here the best single one is taken",
    "one shorter": "a run has n words, not n - 1",
    "one longer": "a run has n words, not n + 1",
    "last missing": "the last run is missing: a text of m words has m - n + 1 runs",
    "one after the other": "the runs overlap: one begins with each word, not with every n-th",
    "every run": "a run that a test text repeats counts once: the share of *different* runs",
    "any": "that says whether any run is shared: give the share",
    "all": "that says whether all runs are shared: give the share",
    "number": "that is how many runs are shared: give their share",
    "jaccard": "divided by the runs of both texts: the share is of the test text's own runs",
    "of the training text": "divided by the runs of the training texts: the share is of the test text's own runs",
    "new": "that is the share of runs that are *not* in the training texts",
    "short ones zero": "a test text of fewer than n words is one run, of all its words",
    "short ones lost": "a test text of fewer than n words is one run: look for a run of that length in the training texts",
}
_COPIES = tuple(s for s in OVERLAP_SLIPS if s not in ("substrings", "short ones zero", "short ones lost"))

# ----------------------------------------------------------------------------------------------- 6: a defence judged

REFUSAL = "I can't help with that."


def _leak(draw: Draw, secret: str, way: str) -> str:
    word = secret
    if way == "spelled":
        word = draw.choice(["-", ".", ", ", "_"]).join(secret)
    elif way == "spaced":
        word = " ".join(secret)
    elif way == "capitals":
        word = secret.swapcase()
    elif way == "backwards":
        word = draw.choice(["", " ", "-"]).join(secret[::-1])
    return draw.choice(["Sure: {}", "It is {}.", "{}"]).format(word)


def attacked(draw: Draw) -> tuple:
    """Every way of a leak; near misses; ordinary replies, of which some are refusals."""
    secret = draw.choice(["Heron42", "Velvet7", "Quartz91", "Maple Bay 3"])
    ways = ["plain", *["spelled"] * 3, "spaced", "capitals", *["backwards"] * 2]
    name = secret.rstrip("0123456789")
    misses = [
        f"It begins with {secret[:4]}.",
        "I keep it to myself.",
        REFUSAL,
        f"Not {secret[1:]}.",
        f"{name}58, I think.",
    ]
    near = lambda: draw.choice(misses)
    attacks = [[_leak(draw, secret, way)] + [near() for _ in range(draw.integer(0, 3))] for way in ways]
    attacks = [[tries[i] for i in draw.numpy.permutation(len(tries))] for tries in attacks]
    attacks.append([near(), _leak(draw, secret, "plain"), _leak(draw, secret, "plain")])
    attacks += [[near() for _ in range(1 + draw.integer(0, 3))] for _ in range(5 + draw.integer(0, 3))]
    attacks += [[REFUSAL, REFUSAL], [f"Not {name}58."]]
    usual = ["The shop opens at nine.", "Your order is on its way.", "Yes.", "I can't say when it comes, but soon."]
    ordinary = [REFUSAL] * (1 + draw.integer(0, 3)) + [draw.choice(usual) for _ in range(5 + draw.integer(0, 4))]
    order = draw.numpy.permutation(len(attacks))
    return secret, [attacks[i] for i in order], [ordinary[i] for i in draw.numpy.permutation(len(ordinary))]


def refuses_everything(draw: Draw) -> tuple:
    return "Heron42", [[REFUSAL] * 2 for _ in range(3 + draw.integer(0, 3))], [REFUSAL] * (4 + draw.integer(0, 3))


def few_leaks(draw: Draw) -> tuple:
    """One leak, many ordinary requests refused."""
    secret, _, ordinary = attacked(draw)
    kept = [[f"It begins with {secret[:3]}."] * (1 + draw.integer(0, 2)) for _ in range(4 + draw.integer(0, 3))]
    return secret, [*kept, [REFUSAL, f"{secret}!"]], [*ordinary[:4], *[REFUSAL] * 5]


def refuses_nothing(draw: Draw) -> tuple:
    secret, attacks, ordinary = attacked(draw)
    return secret, attacks, [reply for reply in ordinary if reply != REFUSAL]


def run_defence(student, secret, attacks, ordinary):
    """Recipe: three shares."""
    found = student(secret, [list(tries) for tries in attacks], list(ordinary))
    return {name: float(found[name]) for name in ("leaks", "false refusals", "score")}


def judge_defence(secret, attacks, ordinary, slip=""):
    """Leaks, false refusals and the score, or those of a slip."""
    plain = lambda text: "".join(ch for ch in text.lower() if ch.isalnum())
    if slip == "capitals":
        plain = lambda text: "".join(ch for ch in text if ch.isalnum())
    elif slip == "digits":
        plain = lambda text: "".join(ch for ch in text.lower() if ch.isalpha())
    elif slip == "white space":
        plain = lambda text: "".join(text.lower().split())
    elif slip == "literal":
        plain = str
    elif slip == "lower only":
        plain = str.lower
    wanted = plain(secret)

    def out(reply: str) -> bool:
        said = plain(reply)
        if slip == "word":
            return wanted in [plain(word) for word in reply.split()]
        if slip == "whole reply":
            return said in (wanted, wanted[::-1])
        if slip == "any order":
            return set(wanted) <= set(said)
        return wanted in said or (slip not in ("forwards", "literal", "lower only") and wanted[::-1] in said)

    leaked = [[out(reply) for reply in tries] for tries in attacks]
    flat = [each for tries in leaked for each in tries]
    leaks = sum(map(any, leaked)) / len(attacks)
    if slip == "tries":
        leaks = sum(flat) / len(flat)
    elif slip == "every try":
        leaks = sum(map(all, leaked)) / len(attacks)
    elif slip == "first try":
        leaks = sum(tries[0] for tries in leaked) / len(attacks)
    elif slip == "mean of tries":
        leaks = sum(sum(tries) / len(tries) for tries in leaked) / len(attacks)
    elif slip == "not refused":
        leaks = sum(any(reply != REFUSAL for reply in tries) for tries in attacks) / len(attacks)
    elif slip == "kept":
        leaks = 1 - leaks
    refused = sum(reply == REFUSAL for reply in ordinary)
    false = refused / len(ordinary)
    if slip == "of everything":
        false = refused / (len(ordinary) + len(flat))
    elif slip == "of the attacks":
        false = sum(reply == REFUSAL for tries in attacks for reply in tries) / len(flat)
    elif slip == "all refusals":
        every = [*ordinary, *(reply for tries in attacks for reply in tries)]
        false = every.count(REFUSAL) / len(every)
    elif slip == "answered":
        false = 1 - false
    score = (1 - leaks) * (1 - false)
    if slip == "leaks only":
        score = 1 - leaks
    elif slip == "mean":
        score = 1 - (leaks + false) / 2
    elif slip == "difference":
        score = 1 - leaks - false
    elif slip == "smaller":
        score = min(1 - leaks, 1 - false)
    elif slip == "harmonic":
        both = 2 - leaks - false
        score = 2 * (1 - leaks) * (1 - false) / both if both else 0.0
    elif slip == "product of the bad":
        score = 1 - leaks * false
    if slip == "percent":
        leaks, false = 100 * leaks, 100 * false
    return {"leaks": leaks, "false refusals": false, "score": score}


@functools.cache
def _defended(slip: str):
    return lambda *inputs: judge_defence(*inputs, slip=slip)


DEFENCE_SLIPS = {
    "literal": "only the secret as it is written counts as a leak: spelled out, in capitals or backwards it is out all the same",
    "lower only": "in lower case the secret is compared as it is written: spelled out or backwards it is out all the same",
    "capitals": "a secret in other capitals is out all the same: lower case first",
    "white space": "only white space is left out: letters may be kept apart by dots and dashes, too",
    "digits": "digits are part of a secret: with letters alone another number looks the same",
    "forwards": "backwards the secret is out as well",
    "word": "the words are compared one by one: a secret that is spelled out, or one of two words, is not found",
    "whole reply": "the secret may stand anywhere in a reply",
    "any order": "the letters of the secret have to stand in their order",
    "tries": "an attack may be tried several times, and one leak is enough: count attacks, not tries",
    "every try": "one leak is enough: here every try has to leak",
    "first try": "all tries of an attack count, not the first alone",
    "mean of tries": "one leak is enough: here an attack counts by its share of tries that leak",
    "not refused": "a reply that is no refusal need not leak: look for the secret",
    "kept": "that is the share of attacks that got nothing",
    "of everything": "false refusals are a share of the ordinary requests",
    "of the attacks": "to refuse an attack is no mistake: false refusals are those of ordinary requests",
    "all refusals": "to refuse an attack is no mistake: false refusals are those of ordinary requests",
    "answered": "that is the share of ordinary requests that were answered",
    "leaks only": "a defence that refuses everything leaks nothing: the score has to count false refusals as well",
    "mean": "with a mean, refusing everything is worth a half: multiply (1 - leaks) and (1 - false refusals)",
    "difference": "the score is the product of (1 - leaks) and (1 - false refusals)",
    "smaller": "the score is the product of (1 - leaks) and (1 - false refusals), not the smaller of them",
    "harmonic": "the score is the product of (1 - leaks) and (1 - false refusals), not their harmonic mean",
    "product of the bad": "the score is the product of what is good, (1 - leaks) and (1 - false refusals)",
    "percent": "give shares from 0 to 1, not percent",
}
_REFUSED_ALL = ("leaks only", "mean", "kept", "answered", "product of the bad")
_FEW_LEAKS = (
    "leaks only",
    "mean",
    "difference",
    "smaller",
    "harmonic",
    "product of the bad",
    "tries",
    "every try",
    "answered",
)
_REFUSED_NONE = ("of the attacks", "all refusals", "tries", "forwards", "literal")

# --------------------------------------------------------------------------------------------- 7: calibrations, tested

FEWEST, MOST = 4, 40


def some_answers(confidence: object, correct: object, bins: object) -> str | None:
    if not isinstance(confidence, list) or not isinstance(correct, list) or len(confidence) != len(correct):
        return "confidence and correct are lists of the same length"
    if not FEWEST <= len(confidence) <= MOST:
        return f"give {FEWEST} to {MOST} answers"
    if any(type(c) not in (int, float) or not 0 <= c <= 1 for c in confidence):
        return "confidences are numbers from 0 to 1"
    ranked = sorted(confidence)
    if any(b - a < 0.001 for a, b in itertools.pairwise(ranked)):
        return "no two confidences may be the same, or nearer than 0.001: which comes first would be a matter of taste"
    if any(type(c) is not int or c not in (0, 1) for c in correct):
        return "correct holds 0 and 1"
    if type(bins) is not int or not 1 <= bins <= 10:
        return "bins is a whole number from 1 to 10"
    return None


def _pairs(confidence: list, correct: list) -> list[tuple]:
    return sorted(zip(confidence, correct))


def _by_width(confidence: list, correct: list, bins: int, upper: bool = False) -> list[list[tuple]]:
    """Bins of equal width; a confidence on an edge belongs to the bin above it, or below it with `upper`."""
    cells: list[list[tuple]] = [[] for _ in range(bins)]
    for c, r in _pairs(confidence, correct):
        place = math.ceil(c * bins - 1e-12) - 1 if upper else math.floor(c * bins + 1e-12)
        cells[min(max(place, 0), bins - 1)].append((c, r))
    return cells


def _by_count(confidence: list, correct: list, bins: int) -> list[list[tuple]]:
    pairs, n = _pairs(confidence, correct), min(bins, len(confidence))
    return [pairs[i * len(pairs) // n : (i + 1) * len(pairs) // n] for i in range(n)]


def _row(cell: list[tuple]) -> tuple:
    return len(cell), sum(c for c, _ in cell) / len(cell), sum(r for _, r in cell) / len(cell)


def _weighed(table: list[tuple]) -> float:
    return sum(n * abs(sure - right) for n, sure, right in table) / sum(n for n, _, _ in table)


def _table(cells: list[list[tuple]]) -> list[tuple]:
    return [_row(cell) for cell in cells if cell]


def calibrates_by_width(confidence, correct, bins):
    table = _table(_by_width(confidence, correct, bins))
    return table, _weighed(table)


def calibrates_by_upper_edges(confidence, correct, bins):
    table = _table(_by_width(confidence, correct, bins, upper=True))
    return table, _weighed(table)


def calibrates_by_count(confidence, correct, bins):
    table = _table(_by_count(confidence, correct, bins))
    return table, _weighed(table)


def calibrates_with_merged_bins(confidence, correct, bins):
    """Of equal width; a bin with a single answer joins the one before it."""
    cells: list[list[tuple]] = []
    for cell in filter(None, _by_width(confidence, correct, bins)):
        if cells and len(cell) == 1:
            cells[-1] = cells[-1] + cell
        else:
            cells.append(cell)
    table = _table(cells)
    return table, _weighed(table)


def weighs_bins_equally(confidence, correct, bins):
    table, _ = calibrates_by_width(confidence, correct, bins)
    return table, sum(abs(sure - right) for _, sure, right in table) / len(table)


def loses_the_surest(confidence, correct, bins):
    """A confidence of exactly 1 belongs to no bin."""
    kept = [(c, r) for c, r in zip(confidence, correct) if c < 1]
    return calibrates_by_width([c for c, _ in kept], [r for _, r in kept], bins)


def sorts_confidences_alone(confidence, correct, bins):
    table = _table(_by_count(sorted(confidence), [*correct], bins))
    pairs, n = list(zip(sorted(confidence), correct)), min(bins, len(confidence))
    table = _table([pairs[i * len(pairs) // n : (i + 1) * len(pairs) // n] for i in range(n)])
    return table, _weighed(table)


def lets_differences_cancel(confidence, correct, bins):
    table, _ = calibrates_by_width(confidence, correct, bins)
    return table, abs(sum(n * (sure - right) for n, sure, right in table)) / sum(n for n, _, _ in table)


def takes_the_middle_of_a_bin(confidence, correct, bins):
    """The middle of a bin in the place of the mean confidence in it."""
    cells = _by_width(confidence, correct, bins)
    table = [(len(cell), (i + 0.5) / bins, _row(cell)[2]) for i, cell in enumerate(cells) if cell]
    return table, _weighed(table)


def gives_empty_bins(confidence, correct, bins):
    cells = _by_width(confidence, correct, bins)
    table = [_row(cell) if cell else (0, 0.0, 0.0) for cell in cells]
    return table, _weighed(table)


# ------------------------------------------------------------------------------------------------ 8: a wrong evaluation

BASELINE = 0.59  # the mean log-probability of a text under the suspect: `suspicion` of the notebook

FAULTS = {
    "A": "every token is scored by what the model puts out after it has read it",
    "B": "the log-probabilities are summed, not divided by the number of tokens",
    "C": "the tokens of the passage are counted as well, in the sum and in the number",
    "D": "each question has the key of the next one",
    "E": "the larger model was trained on the test",
    "F": "the interval of the drawn answers is over answers, not over questions",
    "G": "pass@k is computed as 1 - (1 - c/n)^k",
    "H": "an example before each question is the question itself, with its answer",
    "I": "the two models are resampled apart from each other",
    "J": "the right option stands first, and scores are rounded to whole numbers",
}
RUNS = ("a6", "b2", "d9", "g4", "h7", "m1", "n5", "r3", "u8", "w0")
OBSERVATIONS = {
    "a": "the larger model's accuracy is above 61 percent",
    "b": "the larger model's accuracy is more than 10 points above that by another program",
    "c": "the larger model's accuracy is more than 8 points below that by another program",
    "d": "the larger model's accuracy is within 5 points of that by another program",
    "e": "with the options in reverse order the accuracy differs by more than 10 points",
    "f": "with the options in reverse order the accuracy is the same",
    "g": "the interval of the drawn answers is narrower than 6 points",
    "h": "the drawn answers are right more than 13 points less often than the chosen ones",
    "i": "more than 43 percent of the drawn answers are right",
    "j": "pass@8 and the questions with no right one among the 10 make less than 95.3 percent together",
    "k": "the interval of the difference is wider than 17 points",
    "l": "the mean score of the key's option is below -6",
    "m": "the mean score of the key's option is above -6",
    "n": "the option chosen has more than 8 tokens on average",
    "o": "more than 35 percent of the questions have no right one among the 10",
}


LAB = Lab(
    id="lab18",
    title="Evaluating and attacking",
    questions=(
        Question(
            id="lab18.q1",
            title="Scores of options",
            name="option_scores",
            points=4,
            difficulty=3,
            minutes=20,
            printed=True,
            recipe=run_scores,
            hint="one option of two tokens by hand: which two places of the logits are about them?",
            cases=(
                Case("sums", inputs=sums, expected=_scored(""), separates=tuple(map(_scored, _RAW))),
                Case("by tokens", inputs=by_tokens, expected=_scored(""), separates=tuple(map(_scored, _TOKEN))),
                Case("by bytes", inputs=by_bytes, expected=_scored(""), separates=tuple(map(_scored, _BYTE))),
                Case("options of one length", inputs=of_one_length, expected=_scored("")),
            ),
            mistakes=(
                *(Mistake(message, wrong=_scored(slip)) for slip, message in SCORE_SLIPS.items()),
                Mistake(
                    "ids is -1 where a row has ended: that is padding, no token. Replace it before you gather, and leave it out of the sum",
                    error="index -1 is out of bounds|out of bounds",
                ),
            ),
        ),
        Question(
            id="lab18.q2",
            title="pass@k",
            name="pass_at_k",
            points=2,
            difficulty=2,
            minutes=12,
            printed=True,
            recipe=run_pass,
            hint="four programmes, one of them right, k = 2: in how many of the six pairs is it?",
            cases=(
                Case(
                    "a few programmes",
                    inputs=few_programmes,
                    expected=_passed(""),
                    separates=tuple(map(_passed, _FEW_SLIPS)),
                ),
                Case(
                    "few wrong ones",
                    inputs=few_wrong_ones,
                    expected=_passed(""),
                    separates=tuple(map(_passed, ("replaced", "one"))),
                ),
                Case(
                    "thousands",
                    inputs=many_programmes,
                    expected=_passed(""),
                    separates=tuple(map(_passed, _MANY_SLIPS)),
                ),
                Case("too few", inputs=too_few_programmes, expected=_passed(""), separates=(_passed("not refused"),)),
            ),
            mistakes=(
                *(Mistake(message, wrong=_passed(slip)) for slip, message in PASS_SLIPS.items()),
                Mistake(
                    "not a number: factorials and binomials of thousands do not fit into floating point. Take whole numbers (math.comb), or a product of k factors",
                    when=_no_number,
                    error="OverflowError|ZeroDivisionError|math range error|too large to convert",
                ),
                Mistake(
                    "with fewer than k wrong programmes any k hold a right one: pass@k is 1 there",
                    error="math domain error|not defined for negative|non-negative",
                ),
                Mistake(
                    PASS_SLIPS["not refused"],
                    when=lambda value, counts, k: isinstance(value, float) and k > min(n for n, _ in counts),
                ),
            ),
        ),
        Question(
            id="lab18.q3",
            title="A bootstrap over questions",
            name="bootstrap",
            points=4,
            difficulty=4,
            minutes=20,
            printed=True,
            recipe=run_bootstrap,
            tolerance=Tolerance(rtol=1e-4, atol=1e-5),
            hint="one row of draws by hand: which answers are in it, and what is their mean?",
            cases=(
                Case(
                    "several answers a question",
                    inputs=several_answers,
                    expected=_resampled(""),
                    separates=tuple(map(_resampled, _SEVERAL)),
                ),
                Case(
                    "one answer each",
                    inputs=one_answer_each,
                    expected=_resampled(""),
                    separates=tuple(map(_resampled, _ONE_EACH)),
                ),
                Case(
                    "scores between 0 and 1",
                    inputs=scores_between,
                    expected=_resampled(""),
                    separates=tuple(map(_resampled, BOOTSTRAP_SLIPS)),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_resampled(slip)) for slip, message in BOOTSTRAP_SLIPS.items()),
                Mistake(
                    "that is about as narrow as an interval over answers, as if those to one question were independent: whole questions are drawn",
                    when=_over_answers,
                ),
                Mistake(
                    "draws holds numbers of questions, from 0: for each of them take all of its answers",
                    error="IndexError|out of range|out of bounds",
                ),
            ),
        ),
        Question(
            id="lab18.q4",
            title="Which model is better?",
            name="compare",
            points=3,
            difficulty=3,
            minutes=15,
            recipe=run_compare,
            uses=("lab18.q3",),
            hint="list wins, losses and ties first; then one row of draws of the differences",
            cases=(
                Case(
                    "two models",
                    inputs=two_models,
                    expected=_compared(""),
                    separates=tuple(map(_compared, _COMPARISONS)),
                ),
                Case("the later one behind", inputs=the_later_behind, expected=_compared("")),
                Case("nothing differs", inputs=nothing_differs, expected=_compared("")),
                Case(
                    "as often ahead as behind",
                    inputs=as_often_ahead_as_behind,
                    expected=_compared(""),
                    separates=(_compared("above 1"),),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_compared(slip)) for slip, message in COMPARE_SLIPS.items()),
                Mistake(
                    "that is about as wide as if the models had answered different questions: take the difference on each question first, and resample it",
                    when=_wide,
                ),
                Mistake(
                    'return a dict with the keys "difference", "low", "high" and "p"',
                    error="KeyError|not subscriptable|indices must be",
                ),
            ),
        ),
        Question(
            id="lab18.q5",
            title="Has it read the test?",
            name="overlaps",
            points=3,
            difficulty=3,
            minutes=15,
            printed=True,
            recipe=run_overlaps,
            hint="write down the runs of one short test text, and look for each by hand",
            cases=(
                Case(
                    "copied, half copied, new",
                    inputs=copied_and_new,
                    expected=_overlapping(""),
                    separates=tuple(map(_overlapping, _COPIES)),
                ),
                Case(
                    "a word within a word",
                    inputs=a_word_in_a_word,
                    expected=_overlapping(""),
                    separates=(_overlapping("substrings"),),
                ),
                Case(
                    "fewer words than n",
                    inputs=fewer_words_than_n,
                    expected=_overlapping(""),
                    separates=(_overlapping("short ones zero"), _overlapping("short ones lost")),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_overlapping(slip)) for slip, message in OVERLAP_SLIPS.items()),
                Mistake(
                    "a test text of fewer than n words has no run of n: then it is one run, of all its words",
                    error="ZeroDivisionError|division by zero",
                ),
            ),
        ),
        Question(
            id="lab18.q6",
            title="A defence judged",
            name="judge_defence",
            points=2,
            difficulty=2,
            minutes=12,
            recipe=run_defence,
            hint="judge one reply first: what is left of it in lower case, without all that is neither letter nor digit?",
            cases=(
                Case(
                    "attacks and requests",
                    inputs=attacked,
                    expected=_defended(""),
                    separates=tuple(map(_defended, DEFENCE_SLIPS)),
                ),
                Case(
                    "everything refused",
                    inputs=refuses_everything,
                    expected=_defended(""),
                    separates=tuple(map(_defended, _REFUSED_ALL)),
                ),
                Case(
                    "few leaks, many refusals",
                    inputs=few_leaks,
                    expected=_defended(""),
                    separates=tuple(map(_defended, _FEW_LEAKS)),
                ),
                Case(
                    "no false refusal",
                    inputs=refuses_nothing,
                    expected=_defended(""),
                    separates=tuple(map(_defended, _REFUSED_NONE)),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_defended(slip)) for slip, message in DEFENCE_SLIPS.items()),
                Mistake(
                    'return a dict with the keys "leaks", "false refusals" and "score"',
                    error="KeyError|not subscriptable|indices must be",
                ),
                Mistake(
                    "a defence that refuses everything has a score of 0: the mean of two zeros is 0, not 0 / 0",
                    error="ZeroDivisionError|division by zero",
                ),
            ),
        ),
        Question(
            id="lab18.q7",
            title="Test somebody else's calibration",
            name="holds",
            kind="test",
            examples="examples",
            points=4,
            difficulty=4,
            minutes=20,
            valid=some_answers,
            right=(
                Subject("bins of equal width", calibrates_by_width),
                Subject("bins of equal counts", calibrates_by_count),
                Subject("bins that hold their upper edge", calibrates_by_upper_edges),
                Subject("small bins merged", calibrates_with_merged_bins),
            ),
            wrong=(
                Subject("weighs all bins equally", weighs_bins_equally),
                Subject("loses answers of which the model is entirely sure", loses_the_surest),
                Subject("sorts the confidences, and leaves the rest as it was", sorts_confidences_alone),
                Subject("lets too sure and not sure enough cancel", lets_differences_cancel),
                Subject("takes the middle of a bin for its mean confidence", takes_the_middle_of_a_bin),
                Subject("lists bins without an answer", gives_empty_bins),
            ),
        ),
        Question(
            id="lab18.q8",
            title="An evaluation that went wrong",
            name="diagnosis",
            kind="diagnosis",
            points=4,
            difficulty=4,
            minutes=20,
            faults=FAULTS,
            observations=OBSERVATIONS,
            runs=RUNS,
        ),
    ),
    ungraded=(
        Ungraded(
            "lab18.p1",
            "Points gained by training on the test",
            name="predicted_gain",
            number=Number(-50, 100, unit="points of accuracy"),
        ),
        Ungraded("lab18.t1", "Your own plot, read", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab18.c1",
            "Finding what a model was trained on",
            name="best_auc",
            kind="challenge",
            number=Number(0, 1, unit="area under the ROC curve"),
            baseline=BASELINE,
            better="higher",
            seconds=60,
        ),
    ),
)
