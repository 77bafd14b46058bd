"""Lab 09: a fair split, a Fourier basis, key frequencies, exposure, an induction score, a metric that makes ability
emerge, a test of searches for copies, a wrong run of grokking."""

import functools
import math

import torch

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Number, Question, Subject, Tolerance, Ungraded

# ---------------------------------------------------------------------------------------------------- 1: a fair split


def _to_split(draw: Draw, moduli: tuple, between: tuple[float, float]) -> tuple:
    """A modulus, a fraction and a seed. The fraction of all pairs is no whole number, and no half: its decimals lie
    between the two given."""
    fits = [
        (p, share / 100)
        for p in moduli
        for share in range(50, 76)
        if between[0] < (share / 100 * p * (p + 1) / 2) % 1 < between[1]
    ]
    return *draw.choice(fits), draw.integer(0, 1000)


def to_split(draw: Draw) -> tuple:
    return _to_split(draw, (23, 24, 29, 31), (0.55, 0.95))


def to_split_down(draw: Draw) -> tuple:
    return _to_split(draw, (23, 25, 27, 32), (0.05, 0.45))


def a_small_table(draw: Draw) -> tuple:
    return _to_split(draw, (7, 8, 9, 10), (0.1, 0.9))


def run_split(student, p, fraction, seed):
    """Recipe: both halves, the same once more, and those of another seed, as whole numbers."""
    train, test = student(p, fraction, seed)
    again, other = student(p, fraction, seed)[0], student(p, fraction, seed + 1)[0]
    halves = {"train": train, "test": test, "again": again, "other": other}
    return {name: torch.as_tensor(half).long() for name, half in halves.items()}


def is_fair(value, p, fraction, seed):
    """None where a split is fair, else what is wrong with it."""
    if any(half.ndim != 2 or half.shape[1] != 3 for half in value.values()):
        return "each half is a table with a row for each pair: a, b and their sum modulo p"
    train, test = ([tuple(row) for row in value[half].tolist()] for half in ("train", "test"))
    if any(not (0 <= a < p and 0 <= b < p) for a, b, _ in train + test):
        return f"the numbers that are added are 0 to {p - 1}"
    if any(c != (a + b) % p for a, b, c in train + test):
        return "the third number of a row is (a + b) modulo p"
    known, asked = ({(min(a, b), max(a, b)) for a, b, _ in half} for half in (train, test))
    n = p * (p + 1) // 2
    if known & asked:
        both = {(a, b) for a, b, _ in train} & {(a, b) for a, b, _ in test}
        if both:
            return "the same pair stands in both halves: what was trained on tests nothing"
        return (
            "(a, b) stands in training and (b, a) in the test half: a network that adds up two embeddings cannot tell "
            "them apart, and has seen the answer"
        )
    if len(known) < len(train) or len(asked) < len(test):
        return "a half holds a pair twice: (a, b) and (b, a) are one pair"
    if len(known | asked) < n:
        lost = [(a, b) for a in range(p) for b in range(a, p) if (a, b) not in known | asked]
        if len(lost) == p and all(a == b for a, b in lost):
            return "a number can be added to itself: (a, a) is a pair, too"
        return f"pairs are missing: there are p (p + 1) / 2 = {n}, and each is in one of the halves"
    if abs(len(train) - fraction * n) > 0.5:
        swapped = abs(len(test) - fraction * n) <= 0.5
        return (
            "the halves are exchanged: fraction is the share of training"
            if swapped
            else "training gets the whole number of pairs that is nearest to fraction times all of them"
        )
    if not torch.equal(value["train"], value["again"]):
        return "the same seed must give the same split: make a generator of your own from it"
    other = {(min(a, b), max(a, b)) for a, b, _ in value["other"].tolist()}
    if other == known or (p >= 20 and len(other & known) > 0.9 * len(known)):
        return "another seed must give another split: are the pairs drawn at random, with this seed?"
    if p >= 20 and len({number for pair in known for number in pair}) < p:
        return "some numbers are in no training pair: draw pairs at random, not numbers"
    return None


# ------------------------------------------------------------------------------------------------ 2: the Fourier basis


def a_modulus(draw: Draw) -> tuple:
    return (5 + 2 * draw.integer(0, 14),)


def run_basis(student, p):
    """Recipe: the basis in double precision."""
    return torch.as_tensor(student(p)).double()


def basis(p: int, slip: str = "") -> torch.Tensor:
    """(p, p): the constant, then cosine and sine of each frequency; or what a slip gives."""
    numbers = torch.arange(p, dtype=torch.float64) + (slip == "from one")
    period = {"endpoint": p - 1, "half": 2 * p}.get(slip, p)
    ks = torch.arange(1, p // 2 + 1, dtype=torch.float64)
    if slip == "from zero":
        ks = ks - 1
    angle = torch.outer(ks, numbers) * 2 * math.pi / period
    if slip == "radians":
        angle = torch.outer(ks, numbers)
    cos, sin = angle.cos(), angle.sin()
    if slip == "cosines":
        every = torch.outer(torch.arange(1, p, dtype=torch.float64), numbers) * 2 * math.pi / p
        rows = every.cos()
    elif slip == "blocks":
        rows = torch.cat([cos, sin])
    elif slip == "sine first":
        rows = torch.stack([sin, cos], 1).flatten(0, 1)
    else:
        rows = torch.stack([cos, sin], 1).flatten(0, 1)
    constant = torch.ones(1, p, dtype=torch.float64)
    if slip == "constant last":
        return torch.cat([rows * math.sqrt(2 / p), constant / math.sqrt(p)])
    if slip != "no norm":
        rows = rows * math.sqrt({"one norm": 1, "full norm": 4 / p}.get(slip, 2) / p)
        constant = constant / {"loud constant": math.sqrt(p / 2), "plain constant": 1.0}.get(slip, math.sqrt(p))
    table = torch.cat([constant, rows])
    if slip == "divided by p":
        return torch.cat([torch.ones(1, p, dtype=torch.float64), rows / math.sqrt(2 / p)]) / p
    return table.T if slip == "columns" else table


@functools.cache
def _basis(slip: str):
    return functools.partial(basis, slip=slip)


BASIS_SLIPS = {
    "no norm": "the rows are not of length 1: a cosine over p numbers has length sqrt(p / 2)",
    "one norm": "cosines and sines have length sqrt(p / 2), not sqrt(p): only the constant is divided by sqrt(p)",
    "full norm": "cosines and sines are divided by their length, sqrt(p / 2), not by its square",
    "divided by p": "divide each row by its length, so that its squares add up to 1: that is not p",
    "loud constant": "the constant row has length sqrt(p), not sqrt(p / 2)",
    "plain constant": "the constant row is to be of length 1, too: divide it by sqrt(p)",
    "constant last": "the constant comes first",
    "sine first": "cosine first, then sine",
    "blocks": "the rows go by frequency: cos 1, sin 1, cos 2, sin 2, not all cosines first",
    "from zero": "frequency 0 is the constant, which has a row already, and its sine is 0 everywhere: frequencies begin with 1",
    "cosines": "cosines alone are no basis: cos of k and of p - k are the same over whole numbers. Each frequency up to (p - 1) / 2 needs its sine",
    "from one": "the numbers begin with 0, where every cosine is largest",
    "endpoint": "after p numbers a wave begins anew, so p itself is number 0 again: the angle is 2 pi k a / p, not over p - 1",
    "half": "a full turn is 2 pi",
    "radians": "where is 2 pi / p? The wave of frequency k goes round k times within p numbers",
    "columns": "a wave is a row: that is the basis transposed",
}
_ALL_BASES = tuple(map(_basis, BASIS_SLIPS))


def _no_constant(value, p) -> bool:
    return tuple(value.shape) == (p - 1, p)


# --------------------------------------------------------------------------------------------- 3: the key frequencies


def _waves_table(draw: Draw, p: int, d: int, n_strong: int) -> tuple:
    """A table made of some strong frequencies, weaker ones, and a mean; no sum of powers comes near the share."""
    for _ in range(200):
        n = p // 2
        strong = draw.numpy.permutation(n)[:n_strong] + 1
        weight = torch.full((p,), 0.25)
        weight[0] = 3.0
        for i, k in enumerate(strong.tolist()):
            weight[2 * k - 1 : 2 * k + 1] = 1.6 - 0.2 * i
        table = basis(p).float().T @ (draw.normal(p, d) * weight[:, None])
        share = draw.choice([0.7, 0.75, 0.8, 0.85, 0.9])
        parts = (basis(p) @ table.double()).square().sum(1)[1:].view(-1, 2).sum(1)
        held = parts.sort(descending=True).values.cumsum(0) / parts.sum()
        if (held - share).abs().min() > 0.01:
            return table, share
    raise ValueError("no table found")


def a_table(draw: Draw) -> tuple:
    return _waves_table(draw, 9 + 2 * draw.integer(0, 4), 4 + draw.integer(0, 3), 2 + draw.integer(0, 2))


def unlike_waves(draw: Draw) -> tuple:
    """Two strong waves: the stronger one is spread over all columns, cosine and sine; the other is one cosine in one
    column, larger than any number of the first."""
    p, d = 9 + 2 * draw.integer(0, 4), 4 + 2 * draw.integer(0, 2)
    spread, single = (draw.numpy.permutation(p // 2)[:2] + 1).tolist()
    parts = 0.1 * draw.normal(p, d)
    parts[0] += 2.0
    signs = torch.tensor([1.0, -1.0]).repeat(d // 2)
    parts[2 * spread - 1] = signs * math.sqrt(3 / d)
    parts[2 * spread] = signs * math.sqrt(3 / d) * draw.uniform(1, low=0.98, high=1.02)
    parts[2 * single - 1, draw.integer(0, d)] = math.sqrt(4.5)
    return basis(p).float().T @ parts, 0.5


def a_square_table(draw: Draw) -> tuple:
    """As many columns as numbers: the wrong axis fits, too."""
    p = 9 + 2 * draw.integer(0, 3)
    return _waves_table(draw, p, p, 2)


def one_wave(draw: Draw) -> tuple:
    """A single frequency and a mean; the others are faint."""
    p = 9 + 2 * draw.integer(0, 4)
    k = 2 + draw.integer(0, p // 2 - 2)
    coefficients = 0.05 * draw.normal(p, 4)
    coefficients[[0, 2 * k - 1, 2 * k]] = draw.uniform(3, 4, low=0.6, high=2.0)
    return basis(p).float().T @ coefficients, 0.9


def run_key(student, table, share):
    """Recipe: the frequencies as whole numbers, and the table in double precision."""
    found = student(table.clone(), share)
    kept = torch.as_tensor(found["kept"]).double()
    return {"frequencies": [int(k) for k in found["frequencies"]], "kept": kept}


def key(table, share, slip=""):
    """The key frequencies and what they leave of the table, or those of a slip."""
    table = table.double()
    p = len(table)
    rows = basis(p)
    across = slip == "columns"
    parts = rows @ (table.T if across else table)
    squares = parts.square()
    if slip == "cosines":
        squares[2::2] = 0
    size = squares.sum(1)
    if slip == "largest column":
        size = squares.amax(1)
    if slip == "signed":
        size = parts.sum(1).square()
    power = size[1:].view(-1, 2).sum(1)
    total = power.sum()
    if slip == "amplitude":
        power = power.sqrt()
        total = power.sum()
    if slip == "constant in total":
        total = size.sum()
    order = power.argsort(descending=slip != "smallest", stable=True)
    if slip == "in turn":
        order = torch.arange(len(power))
    held = power[order].cumsum(0)
    n = int((held < share * total).sum()) + 1
    n += {"one too few": -1, "one too many": 1}.get(slip, 0)
    chosen = order[:n]
    if slip == "each":
        chosen = (power >= share * power.max()).nonzero()[:, 0]
    if slip == "rows for frequencies":  # the fewest rows of the basis that hold the share
        ranked = size[1:].argsort(descending=True)
        chosen = torch.unique(ranked[: int((size[1:][ranked].cumsum(0) < share * total).sum()) + 1] // 2)
    if slip == "constant too":  # the constant is a frequency like the others
        with_it = torch.cat([size[:1], power])
        ranked = with_it.argsort(descending=True)
        some = ranked[: int((with_it[ranked].cumsum(0) < share * with_it.sum()).sum()) + 1]
        keep = torch.zeros(p, dtype=torch.bool)
        for k in some.tolist():
            keep[[0] if k == 0 else [2 * k - 1, 2 * k]] = True
        return {"frequencies": sorted(some.tolist()), "kept": rows[keep].T @ parts[keep]}
    keep = torch.zeros(p, dtype=torch.bool)
    keep[2 * chosen + 1] = True
    keep[2 * chosen + 2] = slip not in ("cosines", "cosines kept")
    keep[0] = slip != "constant removed"
    if slip == "removed":
        keep = ~keep
        keep[0] = True
    if slip == "removed with the constant":
        keep = ~keep
    kept = rows[keep].T @ parts[keep]
    if across:
        kept = kept.T
    if slip == "kept across":
        kept = table @ rows[keep].T @ rows[keep]
    if slip == "coefficients":
        kept = torch.where(keep[:, None], parts, 0.0)
    names = [int(k) + (slip != "from zero") for k in chosen]
    return {"frequencies": names if slip == "unsorted" else sorted(names), "kept": kept}


@functools.cache
def _key(slip: str):
    return lambda *inputs: key(*inputs, slip=slip)


KEY_SLIPS = {
    "constant in total": "the constant has no share in the power: count frequencies from 1 only, in the whole as well",
    "constant too": "the constant is no frequency here: neither does it count in the power nor is it among the key frequencies",
    "constant removed": "the constant stays in the table, whichever frequencies are kept",
    "cosines": "a frequency is a cosine and a sine: the sines are missing",
    "cosines kept": "what is kept of a frequency is its cosine and its sine",
    "amplitude": "power is the sum of squares, without a root",
    "largest column": "the power of a frequency is the sum over all columns, not that of the strongest",
    "signed": "square before you add up the columns: coefficients of unlike sign are no less power",
    "smallest": "that takes the weakest first: the fewest frequencies hold the share if the strongest are taken",
    "in turn": "that takes frequencies in their order, from 1 on: the fewest hold the share if the strongest are taken first",
    "one too few": "together they hold less than the share: the one that reaches it belongs to them",
    "one too many": "one fewer would do: the fewest that hold at least the share",
    "each": "each of them is compared with the largest: it is together that they hold the share",
    "rows for frequencies": "add up cosine and sine of a frequency first, then rank the frequencies",
    "columns": "the numbers are the rows of the table: the wave goes along axis 0",
    "kept across": "the wave goes along the numbers, axis 0: multiply from the left",
    "removed": "those are taken away, and the rest is kept: turn it round",
    "removed with the constant": "those are taken away, and the rest is kept: turn it round",
    "coefficients": "those are the coefficients: multiply by the waves again to come back to the table",
    "from zero": "frequencies count from 1: the first after the constant is 1",
    "unsorted": "give the frequencies in ascending order",
}
_SQUARE = ("columns", "kept across")
_UNLIKE = ("rows for frequencies", "largest column", "signed", "amplitude", "each")
_ONE = ("constant removed", "cosines kept")
_IN_TABLE = tuple(_key(s) for s in KEY_SLIPS if s not in (*_SQUARE, *_UNLIKE))

# ----------------------------------------------------------------------------------------------------- 4: the exposure


def _codes(draw: Draw, C: int) -> tuple:
    """Log-probabilities of the tokens of C codes, in steps of a quarter of a thousandth: sums are exact, ties are ties."""
    L = 3 + draw.integer(0, 2)
    steps = (draw.uniform(C, L, low=0.2, high=4.0) * 256).round()
    return -steps / 256


def some_codes(draw: Draw) -> tuple:
    """No two totals are equal; the planted code is neither the likeliest nor in the middle."""
    C = 20 + draw.integer(0, 20)
    logprobs = _codes(draw, C)
    while len(logprobs.sum(1).unique()) < C:
        logprobs = _codes(draw, C)
    order = logprobs.sum(1).argsort(descending=True)
    return logprobs, int(order[2 + draw.integer(0, 4)])


def tied_codes(draw: Draw) -> tuple:
    """Four codes are as likely as the planted one, made of other tokens, before and behind it in the list."""
    logprobs, planted = some_codes(draw)
    C = len(logprobs)
    others = [i for i in draw.numpy.permutation(C).tolist() if i != planted]
    behind, before = [i for i in others if i > planted], [i for i in others if i < planted]
    for i in (behind[:2] + before[:2])[:4]:
        logprobs[i] = logprobs[planted].roll(1 + i % 2)
    return logprobs, planted


def nothing_known(draw: Draw) -> tuple:
    """All codes are equally likely."""
    C = 8 + draw.integer(0, 30)
    return torch.full((C, 3), -2.25), draw.integer(0, C)


def known_best(draw: Draw) -> tuple:
    """The planted code is the likeliest."""
    logprobs, _ = some_codes(draw)
    return logprobs, int(logprobs.sum(1).argmax())


def run_exposure(student, logprobs, planted):
    """Recipe: the exposure as a number."""
    return float(student(logprobs.clone(), planted))


def exposure(logprobs, planted, slip=""):
    """Bits, or what a slip gives."""
    x = logprobs.double()
    C = len(x)
    total = x.sum(1)
    if slip == "first token":
        total = x[:, 0]
    elif slip == "last token":
        total = x[:, -1]
    elif slip == "probabilities added":
        total = x.exp().sum(1)
    elif slip == "multiplied":
        total = x.prod(1)
    elif slip == "worst token":
        total = x.amin(1)
    if slip == "ascending":
        total = -total
    own = total[planted]
    above, equal = int((total > own).sum()), int((total == own).sum()) - 1
    rank = above + equal + 1
    if slip == "flattered":
        rank = above + 1
    elif slip == "midway":
        rank = above + 1 + equal / 2
    elif slip == "by place":
        rank = total.argsort(descending=True, stable=True).tolist().index(planted) + 1
    elif slip == "from zero":
        rank = rank - 1
        if rank == 0:
            return math.inf
    if slip == "nats":
        return math.log(C) - math.log(rank)
    if slip == "tens":
        return math.log10(C) - math.log10(rank)
    if slip == "rank":
        return float(rank)
    if slip == "log of rank":
        return math.log2(rank)
    if slip == "negative":
        return math.log2(rank) - math.log2(C)
    if slip == "others":
        return math.log2(C - 1) - math.log2(rank)
    if slip == "share":
        return 1 - math.log2(rank) / math.log2(C)
    if slip == "surprise":
        return -float(own) / math.log(2)
    if slip == "normalised":
        return math.log2(C) + float(torch.log_softmax(total, 0)[planted]) / math.log(2)
    return math.log2(C) - math.log2(rank)


@functools.cache
def _exposed(slip: str):
    return lambda *inputs: exposure(*inputs, slip=slip)


EXPOSURE_SLIPS = {
    "nats": "exposure is in bits: logarithms to base 2",
    "tens": "exposure is in bits: logarithms to base 2, not 10",
    "from zero": "ranks begin with 1: the likeliest code has rank 1, and log2 of 1 is 0",
    "ascending": "the likeliest code has rank 1: a higher log-probability is more likely",
    "flattered": "of equally likely codes the planted one is ranked last: a model that holds all codes equally likely knows none",
    "midway": "of equally likely codes the planted one is ranked last, not in the middle of them",
    "by place": "the rank among equally likely codes must not hang on their place in the list: the planted one comes last of them",
    "first token": "the probability of a code is that of all its tokens",
    "last token": "the probability of a code is that of all its tokens, not of the last one",
    "probabilities added": "probabilities of tokens are multiplied: add up their logarithms",
    "multiplied": "the logarithms are added up: it is the probabilities that are multiplied",
    "worst token": "the probability of a code is that of all its tokens, not of the least likely one",
    "rank": "that is the rank: exposure is log2 of the number of codes less log2 of the rank",
    "log of rank": "that is log2 of the rank: it is subtracted from log2 of the number of codes",
    "negative": "the sign: exposure is largest for rank 1",
    "others": "the planted code is one of the candidates: they count all",
    "share": "in bits, please: log2 of the number of codes less log2 of the rank, not divided by anything",
    "surprise": "that is the surprise of the code itself: exposure compares it with the other codes, by rank",
    "normalised": "that compares probabilities: exposure compares ranks",
}
_TIED = ("flattered", "midway", "by place")
_EXPOSED = tuple(_exposed(s) for s in EXPOSURE_SLIPS if s not in _TIED)

# ----------------------------------------------------------------------------------------------- 5: an induction score


def _attention(draw: Draw, period: int, T: int) -> torch.Tensor:
    """(B, H, T, T): rows add up to 1, nothing looks ahead; heads and texts differ."""
    B, H = 2 + draw.integer(0, 2), 2 + draw.integer(0, 3)
    B += B == H
    logits = draw.normal(B, H, T, T, scale=1.5) + draw.normal(1, H, 1, T)
    return logits.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)


def two_copies(draw: Draw) -> tuple:
    period = 3 + draw.integer(0, 4)
    return _attention(draw, period, 2 * period), period


def three_copies(draw: Draw) -> tuple:
    period = 3 + draw.integer(0, 3)
    return _attention(draw, period, 3 * period), period


def cut_off(draw: Draw) -> tuple:
    """The last copy is not complete."""
    period = 4 + draw.integer(0, 3)
    return _attention(draw, period, 2 * period + 1 + draw.integer(0, 2)), period


def a_clear_case(draw: Draw) -> tuple:
    """Head 0 is an induction head, head 1 looks at the same token, head 2 at the one before: with weight 0.9 each."""
    period = 3 + draw.integer(0, 4)
    T = 2 * period
    weights = torch.ones(T, T).tril() * 0.1
    weights = (weights / weights.sum(1, keepdim=True) * 0.1).expand(2, 3, T, T).clone()
    for head, back in enumerate((period - 1, period, 1)):
        for query in range(T):
            weights[:, head, query, query - back if query >= back else 0] += 0.9
    return weights, period


def run_induction(student, attention, period):
    """Recipe: the scores in double precision."""
    return torch.as_tensor(student(attention.clone(), period)).double()


def induction(attention, period, slip=""):
    """(H,): the mean weight on the token after the last occurrence, or that of a slip."""
    w = attention.double()
    T = w.shape[-1]
    back = {"itself": period, "before": period + 1, "previous": 1, "own": 0}.get(slip, period - 1)
    queries = torch.arange(period, T)
    if slip == "itself" or slip == "before":
        queries = torch.arange(max(period, back), T)
    elif slip == "whole diagonal":
        queries = torch.arange(back, T)
    elif slip == "previous, all":
        queries, back = torch.arange(1, T), 1
    elif slip == "last copy":
        queries = torch.arange(T - period, T)
    elif slip == "one late":
        queries = torch.arange(period + 1, T)
    if slip == "exchanged":
        return w[:, :, queries - back, queries].mean((0, 2))
    if slip == "first occurrence":
        return w[:, :, queries, queries % period + 1].mean((0, 2))
    at = w[:, :, queries, queries - back]
    if slip == "every occurrence":
        at = torch.stack(
            [sum(w[:, :, q, k] for k in range(q - period + 1, 0, -period)) for q in queries.tolist()], dim=-1
        )
    elif slip == "largest":
        return at.amax((0, 2))
    elif slip == "sum":
        return at.sum(2).mean(0)
    elif slip == "over T":
        return at.sum(2).mean(0) / T
    elif slip == "batch summed":
        return at.mean(2).sum(0)
    elif slip == "hits":
        return (w[:, :, queries].argmax(-1) == queries - back).double().mean((0, 2))
    elif slip == "first text":
        return at[0].mean(1)
    elif slip == "heads":
        return at.mean((1, 2))
    return at.mean((0, 2))


@functools.cache
def _induced(slip: str):
    return lambda *inputs: induction(*inputs, slip=slip)


INDUCTION_SLIPS = {
    "itself": "that is the weight on the same token, period back: an induction head looks at what came *after* it, one place nearer",
    "before": "that is the weight on the token before the last occurrence, period + 1 back: what came *after* it is asked for, period - 1 back",
    "previous": "that is the weight on the token just before: count period - 1 places back",
    "previous, all": "that is the weight on the token just before, the other half of the circuit: count period - 1 places back",
    "own": "that is the weight of a token on itself",
    "whole diagonal": "one query too many: the diagonal begins with the last token of the first copy, which has not occurred before. Queries count from `period` on",
    "one late": "one query too few: the first token of the second copy has occurred before, too",
    "last copy": "all copies but the first count, not only the last period of tokens",
    "every occurrence": "the last occurrence counts, not all earlier ones",
    "first occurrence": "the last occurrence counts, not the first: the distance is period - 1 in every copy",
    "exchanged": "axis 2 are the queries, which look back, and axis 3 the keys: they are exchanged",
    "largest": "that is the largest weight: the mean over queries and texts is asked for",
    "sum": "that is the sum over queries: the mean is asked for",
    "over T": "the mean is one over the queries that count: the first copy's have nothing to look back at, and must not be divided by",
    "batch summed": "that is the sum over texts: the mean is asked for",
    "hits": "that counts how often the largest weight lies there: the mean weight is asked for",
    "first text": "that is the first text alone: the mean is over all",
    "heads": "that is one number for each text: a score belongs to a head, so take the mean over texts, axis 0",
}
_THREE = ("last copy", "every occurrence", "first occurrence")
_IN_TWO = tuple(_induced(s) for s in INDUCTION_SLIPS if s not in _THREE)

# ------------------------------------------------------------------------------------------------- 6: a sharp metric


def _smooth(draw: Draw, S: int, T: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sizes at unequal distances, and accuracies that rise smoothly with the logarithm of the size."""
    steps = draw.uniform(S, low=0.7, high=1.8).cumsum(0)
    sizes = 1e5 * torch.exp(steps)
    middle = steps[S // 2] - 1.5 + 0.5 * draw.normal(T)
    return sizes.round(), torch.sigmoid((steps[:, None] - middle) * 0.8)


def _reached(sizes, accuracy, k, where) -> float:
    """A level between the exact match of two sizes."""
    exact = accuracy[:, :k].prod(1)
    return round(float(exact[where] + 0.6 * (exact[where + 1] - exact[where])), 4)


def smooth_curves(draw: Draw) -> tuple:
    S, k = 5 + draw.integer(0, 3), 3 + draw.integer(0, 3)
    sizes, accuracy = _smooth(draw, S, k + 2)
    return sizes, accuracy, k, _reached(sizes, accuracy, k, 1 + draw.integer(0, S - 3))


def never_reached(draw: Draw) -> tuple:
    S, k = 5 + draw.integer(0, 3), 4 + draw.integer(0, 3)
    sizes, accuracy = _smooth(draw, S, k)
    return sizes, accuracy, k, round(float(accuracy.prod(1).max()) * 1.02 + 1e-3, 4)


def from_the_start(draw: Draw) -> tuple:
    S, k = 4 + draw.integer(0, 3), 2 + draw.integer(0, 2)
    sizes, accuracy = _smooth(draw, S, k + 1)
    return sizes, accuracy, k, round(0.8 * float(accuracy[0, :k].prod()), 4)


def just_reached(draw: Draw) -> tuple:
    """The largest size has the level exactly: halves and quarters are multiplied without rounding."""
    k = 2 + draw.integer(0, 2)
    sizes, _ = _smooth(draw, 4 + draw.integer(0, 2), k)
    rows = torch.linspace(0.2, 0.45, len(sizes))[:, None].expand(-1, k).clone()
    rows[-1], rows[-1, 0] = 0.5, 0.75
    return sizes, rows, k, 0.75 * 0.5 ** (k - 1)


def up_and_down(draw: Draw) -> tuple:
    """It reaches the level, falls below it, and reaches it again."""
    k = 2 + draw.integer(0, 3)
    sizes, _ = _smooth(draw, 6, k)
    level = torch.tensor([0.15, 0.35, 0.75, 0.45, 0.85, 0.9]) + draw.uniform(6, low=-0.03, high=0.03)
    accuracy = (level[:, None] ** (1 / k) + draw.uniform(6, k, low=-0.01, high=0.01)).clamp(0.01, 0.99)
    return sizes, accuracy, k, 0.6


def run_emergence(student, sizes, accuracy, k, level):
    """Recipe: the exact match in double precision, and the size as a number or None."""
    found = student(sizes.clone(), accuracy.clone(), k, level)
    size = found["size"]
    return {"exact": torch.as_tensor(found["exact"]).double(), "size": None if size is None else float(size)}


def emergence(sizes, accuracy, k, level, slip=""):
    """Exact match by size, and the size at which it reaches the level; or those of a slip."""
    p = accuracy.double()
    first = p[:, :k]
    if slip == "all tokens":
        first = p
    elif slip == "last tokens":
        first = p[:, -k:]
    elif slip == "one fewer":
        first = p[:, : k - 1]
    exact = {
        "mean": lambda: first.mean(1),
        "mean to the k": lambda: first.mean(1) ** k,
        "root": lambda: first.prod(1) ** (1 / k),
        "any": lambda: 1 - (1 - first).prod(1),
        "weakest": lambda: first.amin(1),
        "kth token": lambda: p[:, k - 1],
        "logs": lambda: first.log().sum(1),
    }.get(slip, lambda: first.prod(1))()
    x = sizes.double()
    if slip != "linear":
        x = x.log()
    y = exact.log() if slip == "log of exact" else exact
    wanted = math.log(level) if slip == "log of exact" else level
    above = [i for i, v in enumerate(y.tolist()) if (v > wanted if slip == "above" else v >= wanted)]
    nothing = {"never is the largest": float(sizes[-1]), "never is 0": 0.0}.get(slip)
    if not above:
        return {"exact": exact, "size": nothing}
    i = above[0]
    if slip == "last crossing":
        i = [j for j in above if j - 1 not in above][-1]
    if i == 0:
        return {"exact": exact, "size": None if slip == "not at the start" else float(sizes[0])}
    if slip == "no line":
        return {"exact": exact, "size": float(sizes[i])}
    if slip == "size before":
        return {"exact": exact, "size": float(sizes[i - 1])}
    if slip == "nearest":
        return {"exact": exact, "size": float(sizes[(exact - level).abs().argmin()])}
    if slip == "halfway":
        return {"exact": exact, "size": float((sizes[i].double() * sizes[i - 1].double()).sqrt())}
    share = (wanted - y[i - 1]) / (y[i] - y[i - 1])
    at = x[i - 1] + share * (x[i] - x[i - 1])
    if slip == "turned":
        at = x[i] - share * (x[i] - x[i - 1])
    if slip == "logarithm":
        return {"exact": exact, "size": float(at)}
    return {"exact": exact, "size": float(at if slip == "linear" else at.exp())}


@functools.cache
def _emerged(slip: str):
    return lambda *inputs: emergence(*inputs, slip=slip)


EMERGENCE_SLIPS = {
    "mean": "that is the mean over tokens, the smooth metric: an answer is right if *all* its tokens are, so their chances are multiplied",
    "mean to the k": "that is the mean to the power of k: tokens differ, so multiply their own chances",
    "root": "that is the product's k-th root, an accuracy per token: an answer is right with the product itself",
    "any": "that is the chance that *any* token is right: all of them must be",
    "weakest": "that is the least likely token alone: all of them must be right",
    "kth token": "that is token k alone: all of the first k must be right",
    "logs": "that is the logarithm of the exact match",
    "all tokens": "the answer has k tokens: those behind it do not count",
    "last tokens": "the answer is the first k tokens, not the last",
    "one fewer": "one token too few: the first k",
    "linear": "the line between two sizes is drawn over the *logarithm* of the size",
    "log of exact": "the line is one in the exact match itself, not in its logarithm",
    "no line": "that is the first size at which it is reached: draw a line from the size before, and find where it meets the level",
    "size before": "that is the last size below the level: draw a line to the next one, and find where it meets the level",
    "nearest": "that is the size that comes nearest to the level: draw a line between two sizes, and find where it meets the level",
    "halfway": "that is half-way between two sizes: draw a line, and find where it meets the level",
    "turned": "the share of the way counts from the smaller of the two sizes",
    "logarithm": "that is the logarithm of the size: give the size",
    "last crossing": "the *first* time it reaches the level counts, even if it falls below it again",
    "above": "at the level means reached: at least, not above",
    "not at the start": "where the smallest size is there already, it is the answer",
    "never is the largest": "where no size reaches the level the answer is None, not the largest size",
    "never is 0": "where no size reaches the level the answer is None, not 0",
}
_SMOOTH = tuple(
    _emerged(s)
    for s in (
        "mean", "mean to the k", "root", "any", "weakest", "kth token", "logs", "all tokens", "last tokens", "one fewer", "linear",
        "log of exact", "no line", "size before", "nearest", "halfway", "turned", "logarithm",
    )
)  # fmt: skip
_NEVER = tuple(map(_emerged, ("never is the largest", "never is 0")))


def _infinite(value, *inputs) -> bool:
    return isinstance(value, dict) and value["size"] is not None and math.isinf(value["size"])


# ----------------------------------------------------------------------------------- 7: a test of searches for copies

TOKENS, DOCUMENTS = 12, 3


def a_search(text: object, training: object, k: object) -> str | None:
    plain = lambda row: (
        isinstance(row, list) and 1 <= len(row) <= TOKENS and all(type(t) is int and 0 <= t <= 9 for t in row)
    )
    if not plain(text):
        return f"text is a list of 1 to {TOKENS} whole numbers from 0 to 9"
    if not isinstance(training, list) or not 1 <= len(training) <= DOCUMENTS or not all(map(plain, training)):
        return (
            f"training is a list of 1 to {DOCUMENTS} documents, each a list of 1 to {TOKENS} whole numbers from 0 to 9"
        )
    if type(k) is not int or not 1 <= k <= TOKENS:
        return f"k is a whole number from 1 to {TOKENS}"
    return None


def _stands(piece: list, training: list) -> bool:
    return any(piece == doc[i : i + len(piece)] for doc in training for i in range(len(doc) - len(piece) + 1))


def _windows(text: list, training: list, k: int) -> list[int]:
    """Where k tokens begin that stand in a document."""
    return [i for i in range(len(text) - k + 1) if _stands(text[i : i + k], training)]


def _longest(text: list, training: list, start: int, k: int) -> int:
    n = k
    while start + n < len(text) and _stands(text[start : start + n + 1], training):
        n += 1
    return n


def every_window(text, training, k):
    return [(i, k) for i in _windows(text, training, k)]


def as_far_as_it_goes(text, training, k):
    """From every place, the longest copy."""
    return [(i, _longest(text, training, i, k)) for i in _windows(text, training, k)]


def nothing_inside_another(text, training, k):
    found, end = [], 0
    for i, n in as_far_as_it_goes(text, training, k):
        if i + n > end:
            found.append((i, n))
            end = i + n
    return found


def longest_first(text, training, k):
    """The longest first, and whatever they do not cover yet."""
    found = []
    for i, n in sorted(as_far_as_it_goes(text, training, k), key=lambda piece: (-piece[1], -piece[0])):
        if not any(a <= i and i + n <= a + m for a, m in found):
            found.append((i, n))
    return found


def by_document(text, training, k):
    """Document by document, from its end: all maximal runs."""
    found = set()
    for doc in training:
        for i in range(len(text)):
            for j in range(len(doc)):
                n = 0
                while i + n < len(text) and j + n < len(doc) and text[i + n] == doc[j + n]:
                    n += 1
                if n >= k:
                    found.add((i, n))
    return sorted(found, reverse=True)


def merges_windows(text, training, k):
    """Windows that overlap or touch become one stretch, which may stand nowhere."""
    found = []
    for i in _windows(text, training, k):
        if found and i <= found[-1][0] + found[-1][1]:
            found[-1] = (found[-1][0], i + k - found[-1][0])
        else:
            found.append((i, k))
    return found


def joins_documents(text, training, k):
    return nothing_inside_another(text, [[t for doc in training for t in doc]], k)


def ignores_order(text, training, k):
    alike = lambda piece: any(
        sorted(piece) == sorted(doc[i : i + len(piece)]) for doc in training for i in range(len(doc) - len(piece) + 1)
    )
    return [(i, k) for i in range(len(text) - k + 1) if alike(text[i : i + k])]


def needs_one_more(text, training, k):
    return nothing_inside_another(text, training, k + 1)


def misses_the_end(text, training, k):
    return nothing_inside_another(text[:-1], training, k)


def goes_on_behind_a_copy(text, training, k):
    """After a copy it goes on behind it: a copy that begins inside another is missed."""
    found, i = [], 0
    while i + k <= len(text):
        if _stands(text[i : i + k], training):
            n = _longest(text, training, i, k)
            found.append((i, n))
            i += n
        else:
            i += 1
    return found


# ------------------------------------------------------------------------------------------------------ 8: a wrong run

BASELINE = 730.0  # steps; the given run, a mean over three seeds

FAULTS = {
    "A": "no weight decay",
    "B": "the ordered pairs are split: (a, b) and (b, a) may be in different halves",
    "C": "a fifth of the pairs is trained on, not half",
    "D": "the answers of the training pairs are shuffled among them",
    "E": "the weight decay is ten times too large",
    "F": "the learning rate is ten times too high",
    "G": "the test pairs are asked for sums modulo 58",
    "H": "the weight decay is added to the gradient that Adam gets (L2)",
    "I": "the embedding is not trained",
    "J": "the test pairs are among the training pairs",
}
RUNS = ("b4", "d9", "f1", "h6", "j2", "m7", "p3", "s8", "v5", "x0")
OBSERVATIONS = {
    "a": "the training loss ends below 0.01",
    "b": "the training loss ends above 0.0005",
    "c": "fewer than 4 % of the test pairs are right at the end",
    "d": "between 20 and 60 % of the test pairs are right at the end",
    "e": "more than 99 % of the test pairs are right at the end",
    "f": "the test loss ends above 8",
    "g": "the test loss ends at most a tenth above the training loss",
    "h": "99 % of the training pairs are right after step 60 only, or never",
    "i": "when 99 % of the training pairs are right, more than 30 % of the test pairs are",
    "j": "when 99 % of the training pairs are right, fewer than 90 % of the test pairs are",
    "k": "99 % of the test pairs are right within 200 steps",
    "l": "the weights end longer than they began",
    "m": "the weights end at 60 to 78 % of their length",
    "n": "the weights end at less than 30 % of their length",
    "o": "the weights end at more than 5 % of their length",
    "p": "20 or more frequencies hold 90 % of the power",
}


LAB = Lab(
    id="lab09",
    title="Memorise or generalise",
    questions=(
        Question(
            id="lab09.q1",
            title="A fair split",
            name="fair_split",
            points=2,
            difficulty=2,
            minutes=10,
            recipe=run_split,
            cases=(
                Case("pairs of some numbers", inputs=to_split, judge=is_fair),
                Case("another share of them", inputs=to_split_down, judge=is_fair),
                Case("a small table", inputs=a_small_table, judge=is_fair),
            ),
            mistakes=(
                Mistake("return two tables: training rows and test rows", error="values to unpack"),
                Mistake(
                    "torch.Generator().manual_seed(seed) makes a generator that begins with this seed",
                    error="Generator|generator",
                ),
            ),
        ),
        Question(
            id="lab09.q2",
            title="The Fourier basis",
            name="fourier_basis",
            points=2,
            difficulty=2,
            minutes=10,
            printed=True,
            recipe=run_basis,
            tolerance=Tolerance(rtol=1e-3, atol=1e-4),
            hint="basis @ basis.T should be the identity; look at which entries are not",
            cases=(
                Case("an odd modulus", inputs=a_modulus, expected=_basis(""), separates=_ALL_BASES),
                Case("another", inputs=lambda draw: (7 + 2 * draw.integer(0, 10),), expected=_basis("")),
            ),
            mistakes=(
                *(Mistake(message, wrong=_basis(slip)) for slip, message in BASIS_SLIPS.items()),
                Mistake("the constant is missing: p numbers need p waves, and it is the first", when=_no_constant),
            ),
        ),
        Question(
            id="lab09.q3",
            title="The key frequencies",
            name="on_key_frequencies",
            points=4,
            difficulty=4,
            minutes=20,
            printed=True,
            recipe=run_key,
            uses=("lab09.q2",),
            tolerance=Tolerance(rtol=1e-3, atol=1e-3),
            hint="one step at a time: coefficients (p, d), their squares, a power for each frequency, the strongest first",
            cases=(
                Case("some strong waves", inputs=a_table, expected=_key(""), separates=_IN_TABLE),
                Case(
                    "waves of unlike kinds",
                    inputs=unlike_waves,
                    expected=_key(""),
                    separates=tuple(map(_key, _UNLIKE)),
                ),
                Case(
                    "as many columns as numbers",
                    inputs=a_square_table,
                    expected=_key(""),
                    separates=tuple(map(_key, _SQUARE)),
                ),
                Case("a single wave", inputs=one_wave, expected=_key(""), separates=tuple(map(_key, _ONE))),
            ),
            mistakes=(
                *(Mistake(message, wrong=_key(slip)) for slip, message in KEY_SLIPS.items()),
                Mistake(
                    'return a dict with the keys "frequencies" and "kept"',
                    error="KeyError|not subscriptable|indices must be",
                ),
            ),
        ),
        Question(
            id="lab09.q4",
            title="Exposure",
            name="exposure",
            points=3,
            difficulty=2,
            minutes=12,
            printed=True,
            recipe=run_exposure,
            hint="which codes are at least as likely as the planted one? Count them, it among them",
            cases=(
                Case("some codes", inputs=some_codes, expected=_exposed(""), separates=_EXPOSED),
                Case(
                    "equally likely codes",
                    inputs=tied_codes,
                    expected=_exposed(""),
                    separates=tuple(map(_exposed, _TIED)),
                ),
                Case("nothing is known", inputs=nothing_known, expected=_exposed("")),
                Case("the likeliest of all", inputs=known_best, expected=_exposed("")),
            ),
            mistakes=(
                *(Mistake(message, wrong=_exposed(slip)) for slip, message in EXPOSURE_SLIPS.items()),
                Mistake(
                    "ranks begin with 1: the likeliest code has rank 1, and log2 of 1 is 0", error="math domain error"
                ),
            ),
        ),
        Question(
            id="lab09.q5",
            title="An induction score",
            name="induction_score",
            points=3,
            difficulty=3,
            minutes=12,
            printed=True,
            recipe=run_induction,
            hint="write down a row of two copies, A B C A B C, and mark for the second B which token an induction head looks at",
            cases=(
                Case("two copies", inputs=two_copies, expected=_induced(""), separates=_IN_TWO),
                Case(
                    "three copies",
                    inputs=three_copies,
                    expected=_induced(""),
                    separates=tuple(map(_induced, _THREE)),
                ),
                Case("cut off", inputs=cut_off, expected=_induced("")),
                Case("three heads of known kind", inputs=a_clear_case, expected=_induced("")),
            ),
            mistakes=tuple(Mistake(message, wrong=_induced(slip)) for slip, message in INDUCTION_SLIPS.items()),
        ),
        Question(
            id="lab09.q6",
            title="A metric that makes ability emerge",
            name="emergence",
            points=3,
            difficulty=3,
            minutes=15,
            recipe=run_emergence,
            tolerance=Tolerance(rtol=2e-3, atol=1e-5),
            hint="the exact match of each size first; then the two sizes between which it passes the level",
            cases=(
                Case("smooth curves", inputs=smooth_curves, expected=_emerged(""), separates=_SMOOTH),
                Case("never", inputs=never_reached, expected=_emerged(""), separates=_NEVER),
                Case(
                    "from the start",
                    inputs=from_the_start,
                    expected=_emerged(""),
                    separates=(_emerged("not at the start"),),
                ),
                Case("just reached", inputs=just_reached, expected=_emerged(""), separates=(_emerged("above"),)),
                Case("up and down", inputs=up_and_down, expected=_emerged(""), separates=(_emerged("last crossing"),)),
            ),
            mistakes=(
                *(Mistake(message, wrong=_emerged(slip)) for slip, message in EMERGENCE_SLIPS.items()),
                Mistake("where no size reaches the level the answer is None, not infinity", when=_infinite),
                Mistake(
                    'return a dict with the keys "exact" and "size"',
                    error="KeyError|not subscriptable|indices must be",
                ),
                Mistake(
                    "where no size reaches the level the answer is None; look before you take the first",
                    error="IndexError|StopIteration|empty",
                ),
            ),
        ),
        Question(
            id="lab09.q7",
            title="Test somebody else's search for copies",
            name="holds",
            kind="test",
            examples="examples",
            points=4,
            difficulty=4,
            minutes=20,
            valid=a_search,
            right=(
                Subject("all windows of k tokens", every_window),
                Subject("the longest copy from every place", as_far_as_it_goes),
                Subject("no stretch inside another", nothing_inside_another),
                Subject("the longest stretches first", longest_first),
                Subject("runs found document by document", by_document),
            ),
            wrong=(
                Subject("merges copies that overlap into stretches that stand nowhere", merges_windows),
                Subject("reads the documents as one text", joins_documents),
                Subject("does not mind the order of tokens", ignores_order),
                Subject("asks for one token more than k", needs_one_more),
                Subject("misses the end of the text", misses_the_end),
                Subject("misses a copy that begins inside another", goes_on_behind_a_copy),
            ),
        ),
        Question(
            id="lab09.q8",
            title="A run that surprises",
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
            "lab09.p1",
            "Test accuracy of a network that has learned nothing but its training pairs, with ordered pairs split",
            name="predicted_leak",
            number=Number(0, 100, unit="percent"),
        ),
        Ungraded("lab09.t1", "Your own plot, read", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab09.c1",
            "Fewest steps to 99 % of the test pairs, p = 59",
            name="fewest_steps",
            kind="challenge",
            number=Number(1, 5000, unit="steps"),
            baseline=BASELINE,
            better="lower",
            seconds=60,
        ),
    ),
)
