"""Lab 12, for staff: hidden cases, keys, mutants, rubrics."""

import torch

from courseware.classroom.cases import Case, Key, Mutant
from courseware.classroom.cases.lab12 import (
    _binned,
    _judged,
    _ranked,
    _read,
    _scaled,
    a_remainder,
    an_empty_text,
    different_places,
    equal_places_and_scores,
    far_apart,
    few_prompts,
    judge_split,
    one_is_frequent,
    one_prompt_alone,
    padded_left,
    padded_on_both_sides,
    padded_right,
    replies_of_several,
    several_bins,
    some_prompts,
    ties_only,
    two_prompts,
    with_equal_scores,
    with_ties,
    without_ties,
)

HIDDEN = {
    "lab12.q1": [
        Case("other rankings", inputs=without_ties, expected=_ranked("")),
        Case("other ties", inputs=with_ties, expected=_ranked("")),
        Case("scores far apart again", inputs=far_apart, expected=_ranked("")),
        Case("other ties and nothing else", inputs=ties_only, expected=_ranked("")),
        Case(
            "nine replies, places from 0",
            inputs=lambda draw: (draw.normal(2, 9), torch.from_numpy(draw.numpy.permutation(9)).expand(2, 9)),
            expected=_ranked(""),
        ),
    ],
    "lab12.q2": [
        Case("others padded on the right", inputs=padded_right, expected=_read("")),
        Case("others padded on the left", inputs=padded_left, expected=_read("")),
        Case("others padded on both sides", inputs=padded_on_both_sides, expected=_read("")),
        Case("another empty text", inputs=an_empty_text, expected=_read("")),
        Case(
            "one text, no padding",
            inputs=lambda draw: (draw.normal(1, 4, 3), torch.ones(1, 4, dtype=torch.bool), draw.normal(3)),
            expected=_read(""),
        ),
    ],
    "lab12.q3": [
        Case("other prompts", inputs=some_prompts, judge=lambda value, *inputs: judge_split(value, *inputs)),
        Case("another frequent one", inputs=one_is_frequent, judge=lambda value, *inputs: judge_split(value, *inputs)),
        Case("few again", inputs=few_prompts, judge=lambda value, *inputs: judge_split(value, *inputs)),
    ],
    "lab12.q4": [
        Case("other replies", inputs=different_places, expected=_judged("")),
        Case("other equal places and scores", inputs=equal_places_and_scores, expected=_judged("")),
        Case("two prompts again", inputs=two_prompts, expected=_judged("")),
        Case("one prompt alone again", inputs=one_prompt_alone, expected=_judged("")),
    ],
    "lab12.q5": [
        Case("other scores", inputs=several_bins, expected=_binned("")),
        Case("another remainder", inputs=a_remainder, expected=_binned("")),
        Case("one bin", inputs=lambda draw: (draw.normal(3, 4), 1), expected=_binned("")),
        Case("one prompt, five replies", inputs=lambda draw: (draw.normal(1, 5), 3), expected=_binned("")),
    ],
    "lab12.q6": [
        Case("others of several prompts", inputs=replies_of_several, expected=_scaled("")),
        Case("other equal scores", inputs=with_equal_scores, expected=_scaled("")),
        Case(
            "one reply a prompt",
            inputs=lambda draw: (draw.normal(4), torch.tensor([7, 2, 5, 3]), draw.normal(3)),
            expected=_scaled(""),
        ),
    ],
    "lab12.q7": [],
    "lab12.q8": [
        Key(
            runs=dict(zip(("b7", "d2", "f9", "h4", "j8", "m3", "p6", "s1", "w5"), "FBIDHAGEC", strict=True)),
            true={
                "A": "bcfgh", "B": "acefj", "C": "dek", "D": "del", "E": "def", "F": "bdf", "G": "dei", "H": "adej", "I": "deh",
                "correct": "de",
            },
        )
    ],
}  # fmt: skip

# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab12_faults"
_NEW = "accuracy on new prompts, percent"
OBSERVED = {
    "a": lambda t, correct: t["accuracy on training pairs, as the program computes it, percent"] > t[_NEW] + 20,
    "b": lambda t, correct: t["training loss, last 10 updates"] > 0.6,
    "c": lambda t, correct: t[_NEW] < 52,
    "d": lambda t, correct: t[_NEW] > 56,
    "e": lambda t, correct: t["deviation of the scores of one request"] > 0.5,
    "f": lambda t, correct: t["mean score of new replies"] > -0.3,
    "g": lambda t, correct: t["change by 12 columns of padding (deviations)"] > 0.02,
    "h": lambda t, correct: t["change by another reply's words from the 9th token on (deviations)"] < 0.3,
    "i": lambda t, correct: t["change by another customer's request (deviations)"] == 0,
    "j": lambda t, correct: t["loss on new prompts (nats per pair)"] > 1,
    "k": lambda t, correct: t["prompts of the validation pairs that training has read, percent"] > 0,
    "l": lambda t, correct: t["correlation of score and length, within requests"] > 0.7,
}


def _ranking(
    refuse: str = "if not pairs.any(): raise ValueError('nothing')",
    better: str = "places[:, :, None] < places[:, None, :]",
    first: str = "pass",
    value: str = "-F.logsigmoid(d)",
    result: str = "(losses[pairs > 0] / pairs[pairs > 0]).mean()",
) -> str:
    return f"""def ranking_loss(scores, places):
    {first}
    d = scores[:, :, None] - scores[:, None, :]
    better = {better}
    pairs = better.sum((1, 2))
    {refuse}
    losses = (torch.where(better, {value}, 0.0)).sum((1, 2))
    return {result}
"""


def _head(
    last: str = "(real * torch.arange(1, real.shape[1] + 1)).argmax(1)",
    refuse: str = "if (real.sum(1) == 0).any(): raise ValueError('empty')",
    value: str = "hidden[torch.arange(len(hidden)), last] @ weight",
) -> str:
    return f"""def read_scores(hidden, real, weight):
    {refuse}
    last = {last}
    return {value}
"""


def _split(
    names: str = "[' '.join(p.split()).lower() for p in prompts]",
    pool: str = "sorted(set(names))",
    rng: str = "random.Random(seed)",
    number: str = "min(len(pool) - 1, max(1, round(share * len(pool))))",
    shuffle: str = "rng.shuffle(pool)",
    held: str = "set(pool[:n])",
    result: str = "[i for i, x in enumerate(names) if x not in held], [i for i, x in enumerate(names) if x in held]",
) -> str:
    return f"""def split(prompts, share, seed):
    rng, names = {rng}, {names}
    pool = {pool}
    n = {number}
    {shuffle}
    held = {held}
    return {result}
"""


def _accuracy(
    first: str = "pass",
    right: str = "(s[:, None] > s).float() + 0.5 * (s[:, None] == s)",
    counted: str = "p[:, None] < p",
    otherwise: str = "pass",
    refuse: str = "if len(shares) < 2: raise ValueError('too few')",
    each: str = "torch.stack(shares)",
    half: str = "1.96 * x.std() / len(x) ** 0.5",
    result: str = "x.mean(), half",
) -> str:
    return f"""def accuracy(scores, places, prompts):
    shares, pairs = [], []
    {first}
    for name in set(prompts.tolist()):
        s, p = scores[prompts == name], places[prompts == name]
        right, counted = {right}, {counted}
        if counted.any():
            shares.append(right[counted].mean())
            pairs += right[counted].tolist()
        else:
            {otherwise}
    {refuse}
    x = {each}
    half = {half}
    return {result}
"""


def _reliability(
    first: str = "pass",
    pairs: str = "torch.triu_indices(K, K, 1)",
    d: str = "(scores[:, i] - scores[:, j]).flatten()",
    right: str = "(d > 0).float() + 0.5 * (d == 0)",
    predicted: str = "d.abs().sigmoid()",
    order: str = "predicted.argsort()",
    parts: str = "order.tensor_split(bins)",
    row: str = "(float(predicted[p].mean()), float(right[p].mean()), len(p))",
) -> str:
    return f"""def reliability(scores, bins):
    {first}
    K = scores.shape[1]
    i, j = {pairs}
    d = {d}
    right = {right}
    predicted = {predicted}
    order = {order}
    return [{row} for p in {parts}]
"""


def _scale(
    shift: str = "scores - shown.mean()",
    names: str = "dict.fromkeys(prompts.tolist())",
    best: str = "int(own[scores[own].argmax()])",
    above: str = "scores[own] - scores[own].mean()",
    after: str = "pass",
) -> str:
    return f"""def one_scale(scores, prompts, shown):
    best, above = [], torch.zeros_like(scores)
    for name in {names}:
        own = (prompts == name).nonzero().flatten()
        best.append({best})
        above[own] = {above}
    {after}
    return {{"normalised": {shift}, "best": best, "above": above}}
"""


BOUGHT = {"requests": 160, "replies": 4, "passes": 4}


def _purchase(**changes) -> str:
    return f"purchase = {BOUGHT | changes}"


_TWO_SIDES = "[i for i in range(len(names)) if i not in held], [i for i in range(len(names)) if i in held]"

MUTANTS = [
    Mutant("lab12.q1", "worse first", _ranking(better="places[:, :, None] > places[:, None, :]"), "prefer the worse one"),
    Mutant("lab12.q1", "order of the row", _ranking(first="places = torch.arange(places.shape[1]).expand_as(places)", refuse="if (places == places[:, :1]).all(): raise ValueError()"), "are the places used"),
    Mutant("lab12.q1", "across prompts", _ranking(first="scores, places = scores.view(1, -1), places.view(1, -1)"), "replies to different prompts are compared"),
    Mutant("lab12.q1", "neighbours", _ranking(better="places[:, :, None] + 1 == places[:, None, :]"), "neighbouring places"),
    Mutant("lab12.q1", "best only", _ranking(better="(places[:, :, None] < places[:, None, :]) & (places == places.amin(1, keepdim=True))[:, :, None]"), "only the best reply is compared"),
    Mutant("lab12.q1", "both ways", _ranking(better="places[:, :, None] != places[:, None, :]"), "in both directions"),
    Mutant("lab12.q1", "with itself", _ranking(better="places[:, :, None] <= places[:, None, :]"), "compared with itself"),
    Mutant("lab12.q1", "ties counted", _ranking(better="(places[:, :, None] < places[:, None, :]) | (places[:, :, None] == places[:, None, :]) & torch.ones(places.shape[1], places.shape[1]).triu(1).bool()", refuse="if (places == places[:, :1]).all(): raise ValueError()"), "a pair on equal places is counted"),
    Mutant("lab12.q1", "probability", _ranking(value="-d.sigmoid()"), "the probability and not its logarithm"),
    Mutant("lab12.q1", "log of the other order", _ranking(value="torch.log(1 - d.sigmoid())"), "rewards a wrong ranking"),
    Mutant("lab12.q1", "hinge", _ranking(value="F.relu(1 - d)"), "a hinge loss"),
    Mutant("lab12.q1", "squares", _ranking(value="(1 - d) ** 2"), "that is a square"),
    Mutant("lab12.q1", "log of the sigmoid", _ranking(value="-torch.log(d.sigmoid())"), "logarithm of zero"),
    Mutant("lab12.q1", "sums", _ranking(result="losses[pairs > 0].mean()"), "are added up"),
    Mutant("lab12.q1", "pooled", _ranking(result="losses.sum() / pairs.sum()"), "mean over all pairs"),
    Mutant("lab12.q1", "all prompts", _ranking(result="(losses / pairs.clamp(min=1)).mean()"), "neither in the sum nor in the number"),
    Mutant("lab12.q1", "all places", _ranking(result="torch.where(better, -F.logsigmoid(d), 0.0).mean()"), "divided by all places"),
    Mutant("lab12.q1", "zero for nothing", _ranking(refuse="pass", result="(losses / pairs.clamp(min=1)).sum() / (pairs > 0).sum().clamp(min=1)"), "no loss of zero"),
    Mutant("lab12.q1", "NaN for nothing", _ranking(refuse="pass"), "NaN: 0 / 0"),
    Mutant("lab12.q1", "a number", _ranking(result="(losses[pairs > 0] / pairs[pairs > 0]).mean().item()"), "cut off from the scores"),
    Mutant("lab12.q1", "Plackett-Luce", "def ranking_loss(scores, places):\n    if (places == places[:, :1]).all(): raise ValueError()\n    s = scores.gather(1, places.argsort(1))\n    return torch.stack([s[:, k:].logsumexp(1) - s[:, k] for k in range(s.shape[1] - 1)]).sum(0).mean()", "Plackett-Luce"),
    Mutant("lab12.q2", "last column", _head(last="torch.full((len(real),), real.shape[1] - 1)"), "read at a pad: the last column"),
    Mutant("lab12.q2", "minus one", _head(value="hidden[:, -1] @ weight"), "read at a pad: the last column"),
    Mutant("lab12.q2", "first pad", _head(last="((real * torch.arange(1, real.shape[1] + 1)).argmax(1) + 1).clamp(max=real.shape[1] - 1)"), "read at a pad, the first one"),
    Mutant("lab12.q2", "number of tokens", _head(last="real.sum(1) - 1"), "with padding on the left"),
    Mutant("lab12.q2", "mean", _head(value="(hidden * real[..., None]).sum(1) / real.sum(1, keepdim=True) @ weight"), "mean over the tokens"),
    Mutant("lab12.q2", "mean of the row", _head(value="hidden.mean(1) @ weight"), "pads and all"),
    Mutant("lab12.q2", "sum", _head(value="((hidden @ weight) * real).sum(1)"), "sum over the tokens"),
    Mutant("lab12.q2", "highest", _head(value="(hidden @ weight).masked_fill(~real, -1e9).max(1).values"), "highest of the tokens' scores"),
    Mutant("lab12.q2", "first", _head(last="real.int().argmax(1)"), "that is the first token"),
    Mutant("lab12.q2", "first column", _head(value="hidden[:, 0] @ weight"), "that is the first column"),
    Mutant("lab12.q2", "before the last", _head(last="(real * torch.arange(1, real.shape[1] + 1)).argmax(1) - 1"), "the token before the last"),
    Mutant("lab12.q2", "not refused", _head(refuse="pass", last="torch.where(real, torch.arange(real.shape[1]), -1).amax(1)"), "has no score"),
    Mutant("lab12.q2", "every place", _head(value="hidden @ weight"), "one score for each text"),
    Mutant("lab12.q2", "numbers", _head(value="(hidden[torch.arange(len(hidden)), last] @ weight).detach()"), "cut off from what is read"),
    Mutant("lab12.q3", "pairs drawn", _split(pool="list(range(len(names)))", result=_TWO_SIDES), "in training *and* in validation"),
    Mutant("lab12.q3", "pairs cut", _split(pool="list(range(len(names)))", shuffle="pass", result=_TWO_SIDES), "in training *and* in validation"),
    Mutant("lab12.q3", "each pair by a coin", "def split(prompts, share, seed):\n    rng = random.Random(seed)\n    coins = [rng.random() < share for _ in prompts]\n    return [i for i, c in enumerate(coins) if not c], [i for i, c in enumerate(coins) if c]", "in training *and* in validation"),
    Mutant("lab12.q3", "as typed", _split(names="list(prompts)"), "typed in two ways"),
    Mutant("lab12.q3", "white space only", _split(names="[' '.join(p.split()) for p in prompts]"), "typed in two ways"),
    Mutant("lab12.q3", "not shuffled", _split(shuffle="pass"), "every seed gives the same split"),
    Mutant("lab12.q3", "one seed", _split(rng="random.Random(0)"), "every seed gives the same split"),
    Mutant("lab12.q3", "no seed", _split(rng="random"), "two different splits"),
    Mutant("lab12.q3", "rounded down", _split(number="min(len(pool) - 1, max(1, int(share * len(pool))))"), "rounded, are"),
    Mutant("lab12.q3", "none", _split(number="round(share * len(pool))"), "one side is empty"),
    Mutant("lab12.q3", "exchanged", _split(result="[i for i, x in enumerate(names) if x in held], [i for i, x in enumerate(names) if x not in held]"), "are exchanged"),
    Mutant("lab12.q3", "share of the pairs", _split(number="next(k for k in range(1, len(pool)) if k == len(pool) - 1 or sum(names.count(x) for x in pool[:k]) >= share * len(names))", shuffle="pass", pool="rng.sample(sorted(set(names)), len(set(names)))"), "rounded, are"),
    Mutant("lab12.q3", "frequent ones first", _split(shuffle="chosen = []\n    while len(chosen) < n: chosen += [x for x in [rng.choice(names)] if x not in chosen]", held="set(chosen)"), "however many comparisons"),
    Mutant("lab12.q3", "some lost", _split(result="[names.index(x) for x in pool if x not in held], [i for i, x in enumerate(names) if x in held]"), "is lost"),
    Mutant("lab12.q3", "prompts", _split(result="[x for x in names if x not in held], [x for x in names if x in held]"), "give places in the list"),
    Mutant("lab12.q4", "across prompts", _accuracy(first="prompts = torch.zeros_like(prompts)", refuse="pass", half="1.96 * torch.tensor(pairs).std() / len(pairs) ** 0.5"), "compared across prompts"),
    Mutant("lab12.q4", "lower is better", _accuracy(right="(s[:, None] < s).float() + 0.5 * (s[:, None] == s)"), "place 1 is the best"),
    Mutant("lab12.q4", "pooled", _accuracy(each="torch.tensor(pairs)"), "mean over all pairs"),
    Mutant("lab12.q4", "interval of pairs", _accuracy(half="1.96 * torch.tensor(pairs).std() / len(pairs) ** 0.5"), "treats pairs as independent"),
    Mutant("lab12.q4", "ties wrong", _accuracy(right="(s[:, None] > s).float()"), "a coin would be right"),
    Mutant("lab12.q4", "ties right", _accuracy(right="(s[:, None] >= s).float()"), "must not be always right"),
    Mutant("lab12.q4", "equal places", _accuracy(counted="(p[:, None] < p) | (p[:, None] == p) & torch.ones(len(p), len(p)).triu(1).bool()"), "has no right order"),
    Mutant("lab12.q4", "zero for nothing", _accuracy(otherwise="shares.append(torch.tensor(0.0))"), "not one on which the model is wrong"),
    Mutant("lab12.q4", "best only", _accuracy(counted="(p[:, None] < p) & (p == p.min())[:, None]"), "pairs with the best reply"),
    Mutant("lab12.q4", "neighbours", _accuracy(counted="p[:, None] + 1 == p"), "neighbouring places"),
    Mutant("lab12.q4", "n", _accuracy(half="1.96 * x.std(unbiased=False) / len(x) ** 0.5"), "divided by n - 1"),
    Mutant("lab12.q4", "standard error", _accuracy(half="x.std() / len(x) ** 0.5"), "one standard error"),
    Mutant("lab12.q4", "full width", _accuracy(half="2 * 1.96 * x.std() / len(x) ** 0.5"), "the whole width"),
    Mutant("lab12.q4", "not divided", _accuracy(half="1.96 * x.std()"), "the spread of the prompts"),
    Mutant("lab12.q4", "divided by n", _accuracy(half="1.96 * x.std() / len(x)"), "by the *root*"),
    Mutant("lab12.q4", "a coin", _accuracy(half="1.96 * (x.mean() * (1 - x.mean()) / len(x)) ** 0.5"), "deviation of a coin"),
    Mutant("lab12.q4", "not refused", _accuracy(refuse="pass", half="1.96 * (x.std() if len(x) > 1 else 0.0) / len(x) ** 0.5"), "from one prompt"),
    Mutant("lab12.q4", "NaN", _accuracy(refuse="pass"), "from one prompt"),
    Mutant("lab12.q4", "one number", _accuracy(result="x.mean()"), "two numbers"),
    Mutant("lab12.q5", "signed", _reliability(predicted="d.sigmoid()"), "with the *higher score*"),
    Mutant("lab12.q5", "both ways", _reliability(pairs="[(a, b) for a in range(K) for b in range(K) if a != b][0]", d="torch.cat([(scores[:, a] - scores[:, b]) for a in range(K) for b in range(K) if a != b])", predicted="d.sigmoid()"), "every pair is there twice"),
    Mutant("lab12.q5", "worst first", _reliability(right="(d < 0).float() + 0.5 * (d == 0)"), "the replies stand best first"),
    Mutant("lab12.q5", "not sorted", _reliability(order="torch.arange(len(d))"), "sort them by the prediction"),
    Mutant("lab12.q5", "surest first", _reliability(order="predicted.argsort(descending=True)"), "from the least sure"),
    Mutant("lab12.q5", "equal width", _reliability(order="[((predicted >= 0.5 + k * 0.5 / bins) & (predicted < 0.5 + (k + 1) * 0.5 / bins)).nonzero().flatten() for k in range(bins)]", parts="[p for p in order if len(p)]"), "bins of equal width"),
    Mutant("lab12.q5", "remainder lost", _reliability(parts="order[: len(d) // bins * bins].view(bins, -1)"), "some pairs are lost"),
    Mutant("lab12.q5", "remainder last", _reliability(parts="[order[k * (len(d) // bins) : (k + 1) * (len(d) // bins) if k < bins - 1 else None] for k in range(bins)]"), "differ by at most one"),
    Mutant("lab12.q5", "a difference", _reliability(predicted="d.abs()"), "no probability"),
    Mutant("lab12.q5", "from zero", _reliability(predicted="2 * d.abs().sigmoid() - 1"), "predicts one half, not zero"),
    Mutant("lab12.q5", "sigmoid of the mean", _reliability(row="(float(d[p].abs().mean().sigmoid()), float(right[p].mean()), len(p))"), "the mean of the probabilities"),
    Mutant("lab12.q5", "ties wrong", _reliability(right="(d > 0).float()"), "of equal scores half agree"),
    Mutant("lab12.q5", "ties right", _reliability(right="(d >= 0).float()"), "of equal scores half agree"),
    Mutant("lab12.q5", "neighbours", _reliability(pairs="torch.arange(K - 1), torch.arange(1, K)"), "only neighbours"),
    Mutant("lab12.q5", "across prompts", _reliability(first="scores = scores.view(1, -1)"), "replies to different prompts"),
    Mutant("lab12.q5", "two numbers", _reliability(row="(float(predicted[p].mean()), float(right[p].mean()))"), "three for each bin"),
    Mutant("lab12.q6", "mean of the replies", _scale(shift="scores - scores.mean()"), "the *demonstrations* have mean 0"),
    Mutant("lab12.q6", "no shift", _scale(shift="scores"), "nothing is shifted"),
    Mutant("lab12.q6", "median", _scale(shift="scores - shown.median()"), "the median"),
    Mutant("lab12.q6", "spread too", _scale(shift="(scores - shown.mean()) / shown.std()"), "shift only"),
    Mutant("lab12.q6", "added", _scale(shift="scores + shown.mean()"), "subtract the mean"),
    Mutant("lab12.q6", "across prompts", _scale(after="best = scores.topk(len(best)).indices.tolist()"), "sought across prompts"),
    Mutant("lab12.q6", "place in the prompt", _scale(best="int(scores[own].argmax())"), "in the whole list"),
    Mutant("lab12.q6", "worst", _scale(best="int(own[scores[own].argmin()])"), "those are the worst"),
    Mutant("lab12.q6", "sorted", _scale(names="sorted(set(prompts.tolist()))"), "first seen, not sorted"),
    Mutant("lab12.q6", "last of the best", _scale(best="int(own[scores[own] == scores[own].max()][-1])"), "of equal scores"),
    Mutant("lab12.q6", "others", _scale(above="scores[own] - (scores[own].sum() - scores[own]) / max(1, len(own) - 1)"), "mean of the *other* replies"),
    Mutant("lab12.q6", "above the demonstrations", _scale(above="scores[own] - shown.mean()"), "not from the demonstrations"),
    Mutant("lab12.q6", "above all", _scale(above="scores[own] - scores.mean()"), "compares across prompts"),
    Mutant("lab12.q6", "above the best", _scale(above="scores[own] - scores[own].max()"), "not from its best"),
    Mutant("lab12.q6", "own deviation", _scale(above="(scores[own] - scores[own].mean()) / scores[own].std()"), "nothing is divided by"),
    Mutant("lab12.q7", "too expensive", _purchase(requests=320), "over the budget (annotators)"),
    Mutant("lab12.q7", "read too often", _purchase(requests=80, replies=8), "over the budget (loss on the requests to report)"),
    Mutant("lab12.q7", "too few", _purchase(requests=80, passes=2), "not good enough yet"),
    Mutant("lab12.q7", "a number that nobody tried", _purchase(requests=100), "nothing else was tried"),
    Mutant("lab12.q8", "another cause", 'diagnosis = {"cause": "H", "evidence": ["d", "i"]}', "not what went wrong"),
    Mutant("lab12.q8", "untrue evidence", 'diagnosis = {"cause": "G", "evidence": ["i", "c"]}', "is not true of your run"),
    Mutant("lab12.q8", "evidence for two causes", 'diagnosis = {"cause": "G", "evidence": ["d"]}', "seen under another cause"),
    Mutant("lab12.q8", "a letter", 'diagnosis = "G"', "write it as"),
]  # fmt: skip

# The challenge: 0.72 as it stands, ± 0.02; 0.72 with items exchanged in copies of the rankings, one pass; 0.73 with the mean
# score of four models (two and four passes, exchanged items, half the rate), 29 s in all. The intervals overlap.
RUBRICS = {
    "lab12.t1": "3: reads from the student's own figure that accuracy on read rankings goes on rising while that on new prompts stops, weighing it against the "
    "intervals; that after more passes the model claims more than it keeps (and a remedy: stop earlier, a temperature, more rankings), below a ceiling that "
    "annotators' noise sets; and that nearly nothing is lost beside the wrong request, so that it has learned style, with what follows for a model trained "
    "against it. 2: two of the three. 1: describes the curves without weighing them. 0: no figure read.",
}
