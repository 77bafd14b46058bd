"""Lab 12: the loss of rankings, a score at the last token, a split by prompt, accuracy with its interval, calibration,
one scale, rankings bought within a budget, a wrong run."""

import functools
import itertools
import math

import torch
import torch.nn.functional as F

from courseware.classroom.cases import (
    Budget,
    Case,
    Draw,
    Lab,
    Mistake,
    Number,
    Question,
    Score,
    Ungraded,
)
from courseware.classroom.cases.designs import row_of, tried

REFUSED = "refused with a ValueError"

# ---------------------------------------------------------------------------------------------- 1: the loss of rankings


def _places(draw: Draw, P: int, K: int) -> torch.Tensor:
    return torch.stack([1 + torch.from_numpy(draw.numpy.permutation(K)) for _ in range(P)])


def without_ties(draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    P, K = 2 + draw.integer(0, 2), 3 + draw.integer(0, 3)
    return draw.normal(P, K, scale=1.5), _places(draw, P, K)


def with_ties(draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    """The first prompt has one pair of equal places, the second nothing else."""
    P, K = 3 + draw.integer(0, 2), 3 + draw.integer(0, 2)
    places = _places(draw, P, K)
    places[0] = places[0].clamp(max=K - 1)
    places[1] = 1
    return draw.normal(P, K, scale=1.5), places


def far_apart(draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    """The better reply has by far the lower score, and once by far the higher one."""
    apart = 150.0 + draw.integer(0, 100)
    return torch.tensor([[0.0, apart], [apart, 0.0]]), torch.tensor([[1, 2], [1, 2]])


def ties_only(draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    P, K = 1 + draw.integer(0, 3), 2 + draw.integer(0, 3)
    return draw.normal(P, K), torch.full((P, K), draw.choice([0, 1, 2]))


def run_ranking(student, scores, places):
    """Recipe: the loss and its gradient by the scores, or that it was refused."""
    scores = scores.clone().requires_grad_()
    try:
        loss = student(scores, places.clone())
    except ValueError:
        return "refused with a ValueError"
    loss.backward()
    return {"loss": loss.item(), "gradient": torch.zeros_like(scores) if scores.grad is None else scores.grad}


def ranking_loss(scores, places, slip=""):
    """The mean over the prompts of the mean over their pairs, or that of a slip."""
    if slip == "order of the row":
        places = torch.arange(places.shape[1]).expand_as(places)
    if slip == "across":
        scores, places = scores.reshape(1, -1), places.reshape(1, -1)
    if slip == "log of 1 - p" and scores.abs().max() > 80:
        raise ArithmeticError("infinite: what becomes of the gradient depends on how it is written")
    if slip == "Plackett-Luce":
        ordered = scores.gather(1, places.argsort(1))
        return (ordered.flip(1).logcumsumexp(1).flip(1) - ordered)[:, :-1].sum(1).mean()
    difference = scores[:, :, None] - scores[:, None, :]
    better = places[:, :, None] < places[:, None, :]
    if slip == "turned round":
        better = places[:, :, None] > places[:, None, :]
    elif slip == "neighbours":
        better = places[:, :, None] + 1 == places[:, None, :]
    elif slip == "best only":
        better = better & (places == places.min(1, keepdim=True).values)[:, :, None]
    elif slip == "both ways":
        better = places[:, :, None] != places[:, None, :]
    elif slip == "ties counted":
        better = torch.ones(places.shape[1], places.shape[1]).triu(1).bool() & (
            places[:, :, None] == places[:, None, :]
        ) | (better)
    elif slip == "with itself":
        better = places[:, :, None] <= places[:, None, :]
    values = {
        "a probability": -difference.sigmoid(),
        "a hinge": F.relu(1 - difference),
        "squares": (1 - difference) ** 2,
        "log of 1 - p": (1 - difference.sigmoid()).log(),
    }.get(slip, -F.logsigmoid(difference))
    losses, pairs = (values * better).sum((1, 2)), better.sum((1, 2))
    if not pairs.any() and slip != "nothing is zero":
        raise ValueError("nothing but ties")
    if slip == "sums":
        return losses[pairs > 0].mean()
    if slip == "pooled":
        return losses.sum() / pairs.sum()
    if slip == "all prompts":
        return (losses / pairs.clamp(min=1)).mean()
    if slip == "all places":
        return (values * better).mean()
    if slip == "nothing is zero":
        return (losses / pairs.clamp(min=1)).sum() / max(1, int((pairs > 0).sum()))
    return (losses / pairs.clamp(min=1))[pairs > 0].mean()


@functools.cache
def _ranked(slip: str):
    return lambda scores, places: run_ranking(functools.partial(ranking_loss, slip=slip), scores, places)


RANKING_SLIPS = {
    "turned round": "the better reply is the one with the *lower* place: this loss teaches the model to prefer the worse one",
    "order of the row": "are the places used? The replies stand in any order",
    "across": "replies to different prompts are compared: a place says how a reply stands among the replies to its own prompt, and nothing of another prompt's",
    "neighbours": "only replies on neighbouring places are compared: a ranking of K replies has K (K - 1) / 2 pairs",
    "best only": "only the best reply is compared with the others: a ranking of K replies has K (K - 1) / 2 pairs",
    "both ways": "every pair counts in both directions: then the model is asked to prefer each of the two, and learns nothing but equal scores",
    "with itself": "a reply is compared with itself: that adds log 2 for each and teaches nothing",
    "ties counted": "a pair on equal places is counted: nobody said which is better, leave it out",
    "a probability": "that is the probability and not its logarithm",
    "log of 1 - p": "that is the logarithm of the probability of the *other* order, and rewards a wrong ranking",
    "a hinge": "that is a hinge loss: the loss of a pair is -log of the sigmoid of the difference",
    "squares": "that is a square: the loss of a pair is -log of the sigmoid of the difference",
    "Plackett-Luce": "that is the Plackett-Luce loss of the whole ranking: here every pair has a loss of its own",
    "sums": "the pairs of a prompt are added up: take their mean, so that a prompt counts once, however many replies were ranked",
    "pooled": "that is the mean over all pairs: average the pairs of each prompt first, then the prompts",
    "all prompts": "a prompt whose replies all have equal places says nothing: it counts neither in the sum nor in the number",
    "all places": "divided by all places of the table: a prompt has fewer pairs than K times K",
    "nothing is zero": "nothing to learn from is no loss of zero: raise a ValueError",
}
_WITHOUT = tuple(
    _ranked(s) for s in RANKING_SLIPS if s not in ("ties counted", "pooled", "all prompts", "nothing is zero")
)
_WITH = tuple(map(_ranked, ("ties counted", "pooled", "all prompts", "turned round", "both ways", "order of the row")))

# ------------------------------------------------------------------------------------------- 2: a score at the last token


def _texts(draw: Draw) -> tuple[torch.Tensor, list[int], torch.Tensor]:
    B, T, d = 3 + draw.integer(0, 2), 6 + draw.integer(0, 3), 2 + draw.integer(0, 3)
    lengths = [2 + draw.integer(0, T - 4) for _ in range(B - 2)]
    lengths.insert(draw.integer(0, B - 1), 1)
    lengths.insert(draw.integer(0, B), T)
    return draw.normal(B, T, d), lengths, draw.normal(d)


def padded_right(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    hidden, lengths, weight = _texts(draw)
    return hidden, torch.arange(hidden.shape[1]) < torch.tensor(lengths)[:, None], weight


def padded_left(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    hidden, real, weight = padded_right(draw)
    return hidden, real.flip(1), weight


def padded_on_both_sides(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    hidden, real, weight = padded_right(draw)
    for row in range(len(real)):
        room = int((~real[row]).sum())
        real[row] = real[row].roll(1 if room > 1 else draw.integer(0, room + 1))
    return hidden, real, weight


def an_empty_text(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    hidden, real, weight = padded_right(draw)
    real[draw.integer(0, len(real))] = False
    return hidden, real, weight


def run_scores(student, hidden, real, weight):
    """Recipe: the scores and the gradient of their sum by what is read, or that it was refused."""
    hidden = hidden.clone().requires_grad_()
    try:
        scores = student(hidden, real.clone(), weight.clone())
    except ValueError:
        return "refused with a ValueError"
    scores.sum().backward()
    return {"scores": scores.detach(), "gradient": torch.zeros_like(hidden) if hidden.grad is None else hidden.grad}


def read_scores(hidden, real, weight, slip=""):
    """Scores at the last real token, or those of a slip."""
    B, T, _ = hidden.shape
    count, at, rows = real.sum(1), torch.arange(T), torch.arange(B)
    last = torch.where(real, at, -1).amax(1)
    if (last < 0).any() and slip != "not refused":
        raise ValueError("a text without a token")
    scores = hidden @ weight
    if slip == "mean":
        return (scores * real).sum(1) / count
    if slip == "mean of the row":
        return scores.mean(1)
    if slip == "sum":
        return (scores * real).sum(1)
    if slip == "highest":
        return scores.masked_fill(~real, -math.inf).amax(1)
    places = {
        "last column": torch.full((B,), T - 1),
        "by the number": count - 1,
        "first pad": (last + 1).clamp(max=T - 1),
        "first": real.int().argmax(1),
        "first column": torch.zeros(B, dtype=torch.long),
        "before the last": last - 1,
        "not refused": last,
    }
    return scores[rows, places.get(slip, last)]


@functools.cache
def _read(slip: str):
    return lambda hidden, real, weight: run_scores(functools.partial(read_scores, slip=slip), hidden, real, weight)


SCORE_SLIPS = {
    "last column": "the score is read at a pad: the last column is padding wherever a text is shorter than the longest. Then a score depends on what else is in the batch",
    "first pad": "the score is read at a pad, the first one after the text: the last token is one place before it",
    "by the number": "the number of real tokens gives the place of the last one only where the padding is on the right: with padding on the left this reads in the middle of the text, or at a pad",
    "mean": "that is the mean over the tokens of a text: read the last one",
    "mean of the row": "that is the mean over the row, pads and all: read the last real token",
    "sum": "that is the sum over the tokens of a text: read the last one",
    "highest": "that is the highest of the tokens' scores: read the last token",
    "first": "that is the first token: in a causal model it has not seen the reply. Read the last one",
    "first column": "that is the first column: in a causal model it has not seen the reply, and it may be a pad",
    "before the last": "that is the token before the last: the last one alone has read the whole text",
    "not refused": "a text without a token has no score: raise a ValueError",
}
_ALWAYS = ("mean", "mean of the row", "sum", "highest", "before the last", "first")
_RIGHT_PADDED = tuple(map(_read, ("last column", "first pad", "first column", *_ALWAYS)))
_LEFT_PADDED = tuple(map(_read, ("by the number", "first column", *_ALWAYS)))
_BOTH = tuple(map(_read, ("last column", "by the number")))

# ------------------------------------------------------------------------------------------------- 3: a split by prompt


def _same(prompt: str) -> str:
    return " ".join(prompt.lower().split())


def _spelt(prompt: str, draw: Draw) -> str:
    """The same prompt, typed by somebody else."""
    how = draw.integer(0, 4)
    return (prompt, prompt.capitalize(), f" {prompt} ", prompt.replace(" ", "  ").upper())[how]


def _comparisons(draw: Draw, counts: list[int]) -> list[str]:
    items = ("lamp", "kettle", "chair", "phone", "clock", "radio", "sofa", "oven", "watch", "rug", "fan", "bike")
    asked = [f"my {items[i]} is late" for i in draw.numpy.permutation(len(items))[: len(counts)]]
    pairs = [_spelt(prompt, draw) for prompt, n in zip(asked, counts) for _ in range(n)]
    return [pairs[i] for i in draw.numpy.permutation(len(pairs))]


def some_prompts(draw: Draw) -> tuple[list[str], float, list[int]]:
    """2 to 4 comparisons a prompt; the share rounds up. The first seed comes five times."""
    n, share = draw.choice([(7, 0.25), (6, 0.3), (9, 0.3), (8, 0.2), (7, 0.4)])
    seed = draw.integer(0, 1000)
    return (
        _comparisons(draw, [2 + draw.integer(0, 3) for _ in range(n)]),
        share,
        [seed] * 4 + list(range(seed, seed + 16)),
    )


def one_is_frequent(draw: Draw) -> tuple[list[str], float, list[int]]:
    """A third of the prompts go to validation, and the frequent one no more often than others."""
    seed = draw.integer(0, 1000)
    counts = [12 + draw.integer(0, 6), 1, 1, 1, 1, 1]
    return _comparisons(draw, counts), 1 / 3, [seed] * 4 + list(range(seed, seed + 100))


def few_prompts(draw: Draw) -> tuple[list[str], float, list[int]]:
    """Rounding would leave one side without a prompt."""
    seed = draw.integer(0, 1000)
    return _comparisons(draw, [3, 2, 4]), draw.choice([0.1, 0.9]), [seed] * 4 + list(range(seed, seed + 16))


def run_split(student, prompts, share, seeds):
    """Recipe: both sides for each of the seeds, as sorted lists of numbers."""
    found = []
    for seed in seeds:
        training, validation = student(list(prompts), share, seed)
        found.append([sorted(int(i) for i in training), sorted(int(i) for i in validation)])
    return found


def judge_split(found, prompts, share, seeds):
    names = [_same(prompt) for prompt in prompts]
    different = sorted(set(names))
    wanted = min(len(different) - 1, max(1, round(share * len(different))))
    sizes = {len({names[i] for i in training if 0 <= i < len(names)}) for training, _ in found}
    exchanged = sizes == {wanted} and 2 * wanted != len(different)
    for training, validation in found:
        if [i for i in (*training, *validation) if not 0 <= i < len(prompts)]:
            return "both sides are lists of places in the list of prompts, from 0"
        twice = [i for side in (training, validation) for i in side if side.count(i) > 1] or sorted(
            set(training) & set(validation)
        )
        if twice:
            return f"comparison {twice[0]} comes twice: each belongs to one side, once"
        if missing := sorted(set(range(len(prompts))) - {*training, *validation}):
            return f"comparison {missing[0]} is lost: each belongs to one side"
        if both := sorted({names[i] for i in training} & {names[i] for i in validation}):
            exact = {prompts[i] for i in training} & {prompts[i] for i in validation}
            if not exact:
                return f"{both[0]!r} is in training and in validation, typed in two ways: capitals and white space make no new prompt"
            return f"{both[0]!r} is in training *and* in validation: pairs of one prompt share replies and an annotator, so the model has read the answers it is tested on. Draw prompts, not pairs"
        if exchanged:
            return "the two sides are exchanged: give training first, then validation"
        n = len({names[i] for i in validation})
        if not 1 <= n < len(different):
            return "one side is empty: leave at least one prompt to each"
        if n != wanted:
            return f"validation has {n} of {len(different)} prompts: share={share:.2f} of the *prompts*, rounded, are {wanted}"
    again = seeds.count(seeds[0])
    if any(split != found[0] for split in found[:again]):
        return "the same seed gives two different splits: draw with a generator of your own, made from seed"
    if all(split == found[0] for split in found):
        return "every seed gives the same split: draw the prompts at random"
    if len(seeds) > 60:
        frequent, n_splits = max(different, key=names.count), len(seeds) - again + 1
        for name in different:
            times = sum(any(names[i] == name for i in validation) for _, validation in found[again - 1 :])
            expected, spread = wanted / len(different), n_splits**0.5 / 2
            if abs(times - expected * n_splits) > 5 * spread:
                which = "the prompt with the most comparisons" if name == frequent else "a prompt"
                return f"{which} goes to validation in {times} of {n_splits} splits, where {expected:.0%} are expected: every prompt is as likely as any other, however many comparisons it has"
    return None


# ------------------------------------------------------------------------- 4: accuracy within prompts, with its interval


def _annotated(draw: Draw, ties: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Replies of several prompts, mixed; the prompts' levels differ, and the numbers of their replies."""
    scores, places, prompts = [], [], []
    sizes = [2, 3, 4, 3 + draw.integer(0, 2), *[2 + draw.integer(0, 3) for _ in range(draw.integer(1, 4))]]
    for name, K in zip((3 + draw.numpy.permutation(20)).tolist(), sizes):
        level = draw.choice([-6.0, -3.0, 0.0, 4.0, 8.0])
        order = _places(draw, 1, K)[0]
        noise = draw.integers(-2, 3, K) / 2 if ties else draw.normal(K)
        scores.append(level - 0.8 * order + 1.2 * noise if not ties else level - torch.div(order, 2) + noise)
        places.append(torch.div(order + 1, 2, rounding_mode="floor") if ties and K > 2 else order)
        prompts += [name] * K
    mixed = torch.from_numpy(draw.numpy.permutation(len(prompts)))
    return torch.cat(scores).float()[mixed], torch.cat(places)[mixed], torch.tensor(prompts)[mixed]


def different_places(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return _annotated(draw, False)


def equal_places_and_scores(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Some pairs have equal places, some equal scores; the last prompt has equal places only."""
    scores, places, prompts = _annotated(draw, True)
    more = torch.ones(3, dtype=torch.long)
    return torch.cat([scores, draw.normal(3)]), torch.cat([places, more]), torch.cat([prompts, more])


def two_prompts(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The fewest from which a deviation can be told."""
    places = torch.cat([_places(draw, 1, 3)[0], _places(draw, 1, 4)[0]])
    return draw.normal(7), places, torch.tensor([5, 5, 5, 2, 2, 2, 2])


def one_prompt_alone(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The second has equal places only: of one prompt nobody knows how far prompts differ."""
    scores, places = draw.normal(5), torch.tensor([1, 2, 3, 1, 1])
    return scores, places, torch.tensor([4, 4, 4, 2, 2])


def run_accuracy(student, scores, places, prompts):
    """Recipe: two numbers, or that it was refused."""
    try:
        accuracy, half_width = student(scores.clone(), places.clone(), prompts.clone())
    except ValueError as error:
        if "unpack" in str(error):
            raise
        return "refused with a ValueError"
    return {"accuracy": float(accuracy), "half width": float(half_width)}


def accuracy(scores, places, prompts, slip=""):
    """The mean over prompts and its half interval, or those of a slip."""
    if slip == "across":
        prompts = torch.zeros_like(prompts)
    if slip == "turned round":
        scores = -scores
    tie = {"ties are wrong": 0.0, "ties are right": 1.0}.get(slip, 0.5)
    shares, all_pairs = [], []
    for name in prompts.unique():
        s, p = scores[prompts == name], places[prompts == name]
        right = torch.where(s[:, None] > s[None, :], 1.0, torch.where(s[:, None] == s[None, :], tie, 0.0))
        counted = p[:, None] < p[None, :]
        if slip == "equal places counted":
            counted = counted | ((p[:, None] == p[None, :]) & torch.ones_like(counted).triu(1))
        if slip == "best only":
            counted = counted & (p == p.min())[:, None]
        if slip == "neighbours":
            counted = p[:, None] + 1 == p[None, :]
        if counted.any():
            shares.append(right[counted].mean())
            all_pairs += right[counted].tolist()
        elif slip == "ties are zero":
            shares.append(torch.tensor(0.0))
    if slip == "across":
        half = 1.96 * torch.tensor(all_pairs).std() / len(all_pairs) ** 0.5
        return shares[0], half
    if len(shares) < 2 and slip != "not refused":
        raise ValueError("too few prompts")
    each = torch.tensor(all_pairs) if slip in ("pooled", "interval of pairs") else torch.stack(shares)
    mean = torch.stack(shares).mean() if slip == "interval of pairs" else each.mean()
    spread = each.std(unbiased=slip != "n") if len(each) > 1 else torch.tensor(0.0)
    factor = {"standard error": 1.0, "full width": 3.92}.get(slip, 1.96)
    number = {"not divided": 1.0, "divided by n": float(len(each))}.get(slip, len(each) ** 0.5)
    if slip == "binomial":
        spread = (mean * (1 - mean)).sqrt()
    return mean, factor * spread / number


@functools.cache
def _judged(slip: str):
    return lambda *inputs: run_accuracy(functools.partial(accuracy, slip=slip), *inputs)


ACCURACY_SLIPS = {
    "across": "raw scores are compared across prompts: a reward model is trained to order the replies to one prompt, and its scores are free by a constant for each. Compare replies to the same prompt only",
    "turned round": "place 1 is the best: the reply with the *lower* place should have the higher score",
    "pooled": "that is the mean over all pairs: a prompt with many replies has many of them. Take the share of each prompt, then the mean of the prompts",
    "interval of pairs": "the interval treats pairs as independent: pairs of one prompt share replies, so it comes out too narrow. The prompts are the sample",
    "ties are wrong": "equal scores count as one half: the model has no opinion, and a coin would be right half of the time",
    "ties are right": "equal scores count as one half: a model that says nothing must not be always right",
    "equal places counted": "a pair on equal places has no right order: leave it out",
    "ties are zero": "a prompt without a pair to judge is left out: it is not one on which the model is wrong",
    "best only": "only the pairs with the best reply are counted: count every pair of different places",
    "neighbours": "only pairs on neighbouring places are counted: count every pair of different places",
    "n": "the deviation of a sample is divided by n - 1 (torch's std does so by itself)",
    "standard error": "that is one standard error: half of a 95 % interval is 1.96 of them",
    "full width": "that is the whole width of the interval: give half of it, what stands behind the plus-minus",
    "not divided": "that is the spread of the prompts, not that of their mean: divide by the root of their number",
    "divided by n": "divide the deviation by the *root* of the number of prompts",
    "binomial": "that is the deviation of a coin: a prompt's share is no coin toss, it has a deviation of its own. Take that of the shares",
    "not refused": "from one prompt nobody knows how much prompts differ: raise a ValueError",
}
_DIFFERENT = tuple(
    _judged(s)
    for s in ACCURACY_SLIPS
    if s not in ("ties are wrong", "ties are right", "equal places counted", "ties are zero", "not refused")
)
_EQUAL = tuple(map(_judged, ("ties are wrong", "ties are right", "equal places counted", "ties are zero", "across")))

# --------------------------------------------------------------------------------------------------- 5: calibration


def several_bins(draw: Draw) -> tuple[torch.Tensor, int]:
    P, K = 3 + draw.integer(0, 3), 3 + draw.integer(0, 2)
    return draw.normal(P, K, scale=1.2) - 0.4 * torch.arange(K), 2 + draw.integer(0, 3)


def a_remainder(draw: Draw) -> tuple[torch.Tensor, int]:
    """The bins cannot be of one size, and some replies have equal scores."""
    scores = draw.normal(4, 3, scale=1.2) - 0.4 * torch.arange(3)
    scores[0, 1] = scores[0, 0]
    return scores, draw.choice([5, 7])


def run_reliability(student, scores, bins):
    """Recipe: a list of three numbers for each bin."""
    return [[float(p), float(a), int(n)] for p, a, n in student(scores.clone(), bins)]


def reliability(scores, bins, slip=""):
    """Mean prediction, share that agreed, and number of pairs, by bin; or those of a slip."""
    if slip == "across":
        scores = scores.reshape(1, -1)
    K = scores.shape[1]
    i, j = torch.triu_indices(K, K, 1)
    if slip == "neighbours":
        i, j = torch.arange(K - 1), torch.arange(1, K)
    d = (scores[:, i] - scores[:, j]).flatten()
    if slip == "both ways":
        d = torch.cat([d, -d])
    tie = {"ties are wrong": 0.0, "ties are right": 1.0}.get(slip, 0.5)
    signed = slip in ("signed", "both ways")
    agreed = torch.where(d > 0, 1.0, torch.where(d == 0, tie, 0.0))
    if slip == "turned round":
        agreed = 1 - agreed
    predicted = d.sigmoid() if signed else d.abs().sigmoid()
    key = predicted if slip != "not sorted" else torch.arange(len(d)).float()
    order = key.argsort(descending=slip == "surest first", stable=True)
    if slip == "equal width":
        edges = torch.linspace(0.5, 1, bins + 1)
        parts = [((predicted >= a) & (predicted < b)).nonzero()[:, 0] for a, b in itertools.pairwise(edges)]
        parts = [part for part in parts if len(part)]
    elif slip == "remainder lost":
        size = len(d) // bins
        parts = [order[k * size : (k + 1) * size] for k in range(bins)]
    elif slip == "remainder last":
        size = len(d) // bins
        parts = [order[k * size : (k + 1) * size if k < bins - 1 else len(d)] for k in range(bins)]
    else:
        parts = order.tensor_split(bins)
    shown = {"a difference": d.abs(), "two sigmoids": 2 * predicted - 1}.get(slip, predicted)
    means = [shown[part].mean() for part in parts]
    if slip == "sigmoid of the mean":
        means = [d.abs()[part].mean().sigmoid() for part in parts]
    return [(m, agreed[part].mean(), len(part)) for m, part in zip(means, parts)]


@functools.cache
def _binned(slip: str):
    return lambda scores, bins: run_reliability(functools.partial(reliability, slip=slip), scores, bins)


RELIABILITY_SLIPS = {
    "signed": "the prediction is made for the reply with the *higher score*: its probability is at least one half. Here it looks at who the annotator preferred, which a prediction must not",
    "both ways": "every pair is there twice, once for each of its replies: then any model looks calibrated in the middle. Take the reply that the model prefers, once",
    "turned round": "agreed means that the annotator, too, preferred the reply with the higher score: the replies stand best first",
    "not sorted": "the bins hold pairs as they come: sort them by the prediction first, so that a bin holds pairs about which the model is equally sure",
    "surest first": "the bins run from the least sure to the surest",
    "equal width": "those are bins of equal width: take bins of equal numbers of pairs, or some hold next to nothing",
    "remainder lost": "some pairs are lost: where the bins cannot be of one size, the first ones hold one more",
    "remainder last": "sizes differ by at most one, and the first bins are the larger ones (as torch.tensor_split does it)",
    "a difference": "a difference of scores is no probability: take the sigmoid",
    "two sigmoids": "an indifferent model predicts one half, not zero",
    "sigmoid of the mean": "that is the sigmoid of the mean difference: take the mean of the probabilities",
    "ties are wrong": "of equal scores half agree: the model predicts one half, and is right",
    "ties are right": "of equal scores half agree: the model predicts one half, and is right",
    "neighbours": "only neighbours in the ranking are compared: take all K (K - 1) / 2 pairs",
    "across": "replies to different prompts are compared: the annotator has ranked those of one prompt",
}
_BINNED_SLIPS = ("remainder lost", "remainder last", "ties are wrong", "ties are right")
_SEVERAL = tuple(_binned(s) for s in RELIABILITY_SLIPS if s not in _BINNED_SLIPS)
_REMAINDER = tuple(map(_binned, _BINNED_SLIPS))

# ------------------------------------------------------------------------------------------------------ 6: one scale


def replies_of_several(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Replies come mixed; prompts are not numbered in the order in which they come."""
    names = (3 + draw.numpy.permutation(9)).tolist()[: 3 + draw.integer(0, 2)]
    prompts = [name for name in names for _ in range(2 + draw.integer(0, 3))]
    prompts = torch.tensor([prompts[i] for i in draw.numpy.permutation(len(prompts))])
    levels = draw.normal(20, scale=4)
    scores = draw.normal(len(prompts)) + levels[prompts] + 2
    return scores, prompts, draw.normal(4 + draw.integer(0, 3)) - 1.5


def with_equal_scores(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The best score of a prompt comes twice; the other prompts' levels lie above it."""
    scores, prompts, shown = replies_of_several(draw)
    scores = torch.where(prompts == prompts[0], scores - 30, scores)
    best = scores[prompts == prompts[0]].max()
    more = torch.stack([best, best])
    return torch.cat([scores, more]), torch.cat([prompts, prompts[:1], prompts[:1]]), shown


def run_scale(student, scores, prompts, shown):
    """Recipe: two tensors and a list of places."""
    found = student(scores.clone(), prompts.clone(), shown.clone())
    return {
        "normalised": torch.as_tensor(found["normalised"]).float(),
        "best": [int(i) for i in found["best"]],
        "above": torch.as_tensor(found["above"]).float(),
    }


def one_scale(scores, prompts, shown, slip=""):
    """What is asked, or what a slip gives."""
    reference = {"mean of the replies": scores.mean(), "no shift": torch.tensor(0.0), "median": shown.median()}
    normalised = scores - reference.get(slip, shown.mean())
    if slip == "spread too":
        normalised = normalised / shown.std()
    if slip == "added":
        normalised = scores + shown.mean()
    first_seen = list(dict.fromkeys(prompts.tolist()))
    names = sorted(first_seen) if slip == "sorted" else first_seen
    own = [(prompts == name).nonzero()[:, 0] for name in names]
    best = [int(part[scores[part].argmax()]) for part in own]
    if slip == "last of the best":
        best = [int(part[(scores[part] == scores[part].max()).nonzero()[-1, 0]]) for part in own]
    elif slip == "across":
        best = scores.argsort(descending=True, stable=True)[: len(own)].tolist()
    elif slip == "place in the prompt":
        best = [int(scores[part].argmax()) for part in own]
    elif slip == "worst":
        best = [int(part[scores[part].argmin()]) for part in own]
    above = torch.zeros_like(scores)
    for part in own:
        s = scores[part]
        above[part] = s - s.mean()
        if slip == "others":
            above[part] = s - (s.sum() - s) / max(1, len(s) - 1)
        elif slip == "above the demonstrations":
            above[part] = s - shown.mean()
        elif slip == "above all":
            above[part] = s - scores.mean()
        elif slip == "above the best":
            above[part] = s - s.max()
        elif slip == "own deviation":
            above[part] = (s - s.mean()) / s.std() if len(s) > 1 else math.nan
    return {"normalised": normalised, "best": best, "above": above}


@functools.cache
def _scaled(slip: str):
    return lambda *inputs: run_scale(functools.partial(one_scale, slip=slip), *inputs)


SCALE_SLIPS = {
    "mean of the replies": "the shift is such that the *demonstrations* have mean 0: their scores are in shown",
    "no shift": "nothing is shifted: the demonstrations should have mean 0",
    "median": "that is the median of the demonstrations' scores: take their mean",
    "spread too": "shift only: divided by a deviation, a difference of scores would no longer be the logarithm of odds",
    "added": "subtract the mean of the demonstrations, so that theirs becomes 0",
    "across": "the best are sought across prompts: raw scores of different prompts are not comparable. Every prompt has a best reply of its own",
    "place in the prompt": "best holds places in the whole list, not among the replies of a prompt",
    "worst": "those are the worst",
    "sorted": "the prompts come in the order in which they are first seen, not sorted",
    "last of the best": "of equal scores take the first",
    "others": "that is the mean of the *other* replies to the prompt: take that of all of them",
    "above the demonstrations": "above is measured from the mean of the replies to the same prompt, not from the demonstrations",
    "above all": "above compares across prompts here: take the mean of the replies to the *same* prompt",
    "above the best": "above is measured from the prompt's mean, not from its best",
    "own deviation": "nothing is divided by: above is the score minus the mean of its prompt",
}
_MIXED = tuple(_scaled(s) for s in SCALE_SLIPS if s != "last of the best")

# ---------------------------------------------------------------------------------------- 7: rankings for a budget

NUMBERS, REPLIES, PASSES = (40, 80, 160, 320), (2, 4, 8), (1, 2, 4)
A_REQUEST, A_REPLY = 1.0, 0.5  # minutes of an annotator
HOURS, LOSS, GOAL = 10, 0.58, 0.68

an_order = tried({"requests": NUMBERS, "replies": REPLIES, "passes": PASSES})


def hours(design: dict) -> float:
    return design["requests"] * (A_REQUEST + A_REPLY * design["replies"]) / 60


def reported_loss(design: dict) -> float:
    losses = row_of("lab12_table", design)["loss, to report"]
    return sum(losses) / len(losses)


def reported_accuracy(design: dict) -> float:
    """The lower end of its interval."""
    row = row_of("lab12_table", design)
    seeds = row["accuracy, to report"]
    return sum(seeds) / len(seeds) - row["half width, to report"]


# --------------------------------------------------------------------------------------------------------- 8: a wrong run

FAULTS = {
    "A": "the score is read in the last column, which is a pad in all but the longest rows",
    "B": "the replies come worst first",
    "C": "pairs are split into training and validation, and not prompts",
    "D": "the annotators like long replies",
    "E": "nothing shifts the scores after training",
    "F": "the learning rate is 20 times too low",
    "G": "the reply is read without its request",
    "H": "there are 25 rankings, read 24 times",
    "I": "replies are cut off after 8 tokens",
}
RUNS = ("b7", "d2", "f9", "h4", "j8", "m3", "p6", "s1", "w5")
OBSERVATIONS = {
    "a": "the program's accuracy on training pairs is more than 20 points above the accuracy on new prompts",
    "b": "the training loss of the last 10 updates is above 0.6",
    "c": "the accuracy on new prompts is below 52 %",
    "d": "the accuracy on new prompts is above 56 %",
    "e": "the deviation of the scores of one request is above 0.5",
    "f": "the mean score of new replies is above -0.3",
    "g": "12 columns of padding change a score by more than 0.02 deviations",
    "h": "another reply's words from the 9th token on change a score by less than 0.3 deviations",
    "i": "another customer's request changes no score",
    "j": "the loss on new prompts is above 1 nat per pair",
    "k": "training has read prompts of the validation pairs",
    "l": "the correlation of score and length is above 0.7",
}


LAB = Lab(
    id="lab12",
    title="Reward models",
    provides=("llmlib.data", "llmlib.text"),
    questions=(
        Question(
            id="lab12.q1",
            title="The loss of rankings",
            name="ranking_loss",
            points=3,
            difficulty=3,
            minutes=15,
            printed=True,
            recipe=run_ranking,
            cases=(
                Case("no ties", inputs=without_ties, expected=_ranked(""), separates=_WITHOUT),
                Case("ties, and a prompt with nothing else", inputs=with_ties, expected=_ranked(""), separates=_WITH),
                Case("scores far apart", inputs=far_apart, expected=_ranked("")),
                Case(
                    "nothing to learn",
                    inputs=ties_only,
                    expected=_ranked(""),
                    separates=(_ranked("nothing is zero"),),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_ranked(slip)) for slip, message in RANKING_SLIPS.items()),
                Mistake(
                    "the logarithm of zero: the sigmoid of -200 is 0 in floating point, and its logarithm infinite. F.logsigmoid computes both in one",
                    when=lambda value, scores, places: (
                        not isinstance(value, str)
                        and not math.isfinite(value["loss"])
                        and bool((places != places[:, :1]).any())
                    ),
                ),
                Mistake(
                    "NaN: 0 / 0. Where no pair is left, raise a ValueError",
                    when=lambda value, scores, places: (
                        not isinstance(value, str)
                        and value["loss"] != value["loss"]
                        and not bool((places != places[:, :1]).any())
                    ),
                ),
                Mistake(
                    "the loss is cut off from the scores (.item(), .detach(), torch.tensor)",
                    error="does not require grad|has no attribute 'backward'|has no attribute 'item'",
                ),
            ),
        ),
        Question(
            id="lab12.q2",
            title="A score at the last token",
            name="read_scores",
            points=2,
            difficulty=2,
            minutes=12,
            printed=True,
            recipe=run_scores,
            cases=(
                Case("padding on the right", inputs=padded_right, expected=_read(""), separates=_RIGHT_PADDED),
                Case("padding on the left", inputs=padded_left, expected=_read(""), separates=_LEFT_PADDED),
                Case("padding on both sides", inputs=padded_on_both_sides, expected=_read(""), separates=_BOTH),
                Case("an empty text", inputs=an_empty_text, expected=_read(""), separates=(_read("not refused"),)),
            ),
            mistakes=(
                *(Mistake(message, wrong=_read(slip)) for slip, message in SCORE_SLIPS.items()),
                Mistake(
                    "return one score for each text, (B,): a ranking compares texts, not tokens",
                    when=lambda value, *inputs: not isinstance(value, str) and value["scores"].ndim != 1,
                ),
                Mistake(
                    "the scores are cut off from what is read (.item(), .detach(), torch.tensor): the model could not learn",
                    error="does not require grad",
                ),
            ),
        ),
        Question(
            id="lab12.q3",
            title="A split by prompt",
            name="split",
            points=3,
            difficulty=3,
            minutes=18,
            recipe=run_split,
            cases=(
                Case("some prompts", inputs=some_prompts, judge=lambda value, *inputs: judge_split(value, *inputs)),
                Case(
                    "a frequent prompt",
                    inputs=one_is_frequent,
                    judge=lambda value, *inputs: judge_split(value, *inputs),
                ),
                Case("few prompts", inputs=few_prompts, judge=lambda value, *inputs: judge_split(value, *inputs)),
            ),
            mistakes=(
                Mistake("give places in the list of prompts, numbers from 0, not the prompts", error="invalid literal"),
                Mistake("return two lists: training and validation", error="to unpack|cannot unpack"),
            ),
        ),
        Question(
            id="lab12.q4",
            title="Accuracy, and how sure you are of it",
            name="accuracy",
            points=4,
            difficulty=4,
            minutes=22,
            recipe=run_accuracy,
            cases=(
                Case("different places", inputs=different_places, expected=_judged(""), separates=_DIFFERENT),
                Case(
                    "equal places, equal scores", inputs=equal_places_and_scores, expected=_judged(""), separates=_EQUAL
                ),
                Case("two prompts", inputs=two_prompts, expected=_judged(""), separates=(_judged("n"),)),
                Case(
                    "one prompt",
                    inputs=one_prompt_alone,
                    expected=_judged(""),
                    separates=(_judged("not refused"),),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_judged(slip)) for slip, message in ACCURACY_SLIPS.items()),
                Mistake(
                    ACCURACY_SLIPS["not refused"],
                    when=lambda value, *inputs: (
                        not isinstance(value, str) and value["half width"] != value["half width"]
                    ),
                ),
                Mistake(
                    "return two numbers: the accuracy and half of its interval",
                    error="to unpack|cannot unpack|iteration over a 0-d tensor",
                ),
            ),
        ),
        Question(
            id="lab12.q5",
            title="Is 80 % really 80 %?",
            name="reliability",
            points=3,
            difficulty=3,
            minutes=18,
            printed=True,
            recipe=run_reliability,
            cases=(
                Case("several bins", inputs=several_bins, expected=_binned(""), separates=_SEVERAL),
                Case("a remainder, and equal scores", inputs=a_remainder, expected=_binned(""), separates=_REMAINDER),
            ),
            mistakes=(
                *(Mistake(message, wrong=_binned(slip)) for slip, message in RELIABILITY_SLIPS.items()),
                Mistake(
                    "give three for each bin: the mean prediction, the share that agreed, the number of pairs",
                    error="to unpack|cannot unpack",
                ),
            ),
        ),
        Question(
            id="lab12.q6",
            title="One scale",
            name="one_scale",
            points=2,
            difficulty=2,
            minutes=12,
            recipe=run_scale,
            cases=(
                Case("replies to several prompts", inputs=replies_of_several, expected=_scaled(""), separates=_MIXED),
                Case(
                    "the best score comes twice",
                    inputs=with_equal_scores,
                    expected=_scaled(""),
                    separates=(_scaled("last of the best"),),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_scaled(slip)) for slip, message in SCALE_SLIPS.items()),
                Mistake(
                    'return a dict with the keys "normalised", "best" and "above"',
                    error="KeyError|not subscriptable|indices must be",
                ),
            ),
        ),
        Question(
            id="lab12.q7",
            title="Rankings for a budget",
            name="purchase",
            kind="design",
            points=3,
            difficulty=3,
            minutes=15,
            valid=an_order,
            budgets=(
                Budget("annotators", "hours", HOURS, hours),
                Budget("loss on the requests to report", "nats per pair", LOSS, reported_loss),
            ),
            score=Score(
                "accuracy on the requests to report", "lower end of its 95 % interval", GOAL, reported_accuracy
            ),
        ),
        Question(
            id="lab12.q8",
            title="A training that went wrong",
            name="diagnosis",
            kind="diagnosis",
            points=3,
            difficulty=4,
            minutes=20,
            faults=FAULTS,
            observations=OBSERVATIONS,
            runs=RUNS,
        ),
    ),
    ungraded=(
        Ungraded(
            "lab12.p1",
            "Accuracy beside another customer's request",
            name="predicted_accuracy",
            number=Number(0, 1, unit="accuracy"),
        ),
        Ungraded("lab12.t1", "Read your plot", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab12.c1",
            "Highest accuracy after 30 s",
            name="best_accuracy",
            kind="challenge",
            number=Number(0, 1, unit="accuracy"),
            baseline=0.72,
            better="higher",
            seconds=30,
        ),
    ),
)
