"""Lab 01: counting, relative frequencies, what is still unseen, perplexity, interpolation, Kneser-Ney, a test of
smoothing, a table that is wrong."""

import functools
import math
from collections import Counter

import numpy as np

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Number, Question, Subject, Ungraded

Array = np.ndarray
Context = tuple[int, ...]

# --------------------------------------------------------------------------------------------------- 1: count n-grams


def tokens_and_n(draw: Draw) -> tuple[list[int], int]:
    return draw.numpy.integers(3, size=draw.integer(7, 30)).tolist(), draw.choice([2, 3])


def single_tokens(draw: Draw) -> tuple[list[int], int]:
    return draw.numpy.integers(4, size=draw.integer(5, 24)).tolist(), 1


def run_count(student, tokens, n):
    """Recipe: a Counter is as good as a dict, numpy's integers as good as Python's."""
    counts = dict(student(tokens, n))
    return {tuple(map(int, key)) if isinstance(key, tuple) else key: int(times) for key, times in counts.items()}


def counted(tokens: list[int], n: int, step: int = 1, short: int = 0) -> dict[Context, int]:
    return dict(Counter(tuple(tokens[i : i + n]) for i in range(0, len(tokens) - n + 1 - short, step)))


def _round_the_corner(tokens: list[int], n: int) -> dict[Context, int]:
    return dict(Counter(tuple((tokens + tokens[: n - 1])[i : i + n]) for i in range(len(tokens))))


def _apart(tokens: list[int], n: int) -> dict[Context, int]:
    return counted(tokens, n, step=n)


def _last_missing(tokens: list[int], n: int) -> dict[Context, int]:
    return counted(tokens, n, short=1)


def _present(tokens: list[int], n: int) -> dict[Context, int]:
    return dict.fromkeys(counted(tokens, n), 1)


def _unordered(tokens: list[int], n: int) -> dict[Context, int]:
    return dict(Counter(tuple(sorted(tokens[i : i + n])) for i in range(len(tokens) - n + 1)))


def _key_types(value: object, tokens: list[int], n: int) -> bool:
    return isinstance(value, dict) and any(not isinstance(key, tuple) for key in value)


def _ragged_end(value: object, tokens: list[int], n: int) -> bool:
    return isinstance(value, dict) and any(isinstance(key, tuple) and len(key) < n for key in value)


# --------------------------------------------------------------------------------------------- 2: relative frequencies


def context_at_the_end(draw: Draw) -> tuple[list[int], Context, int]:
    """The context also closes the text, where nothing follows it."""
    tokens = draw.numpy.integers(3, size=draw.integer(9, 30)).tolist()
    context = tuple(tokens[4 : 4 + draw.choice([1, 2])])
    return [*tokens, *context], context, tokens[4 + len(context)]


def no_context(draw: Draw) -> tuple[list[int], Context, int]:
    tokens = draw.numpy.integers(4, size=draw.integer(6, 24)).tolist()
    return tokens, (), draw.choice(tokens)


def unseen_context(draw: Draw) -> tuple[list[int], Context, int]:
    return draw.numpy.integers(3, size=draw.integer(6, 20)).tolist(), (draw.choice([3, 4, 5]), 0), 1


def never_after_it(draw: Draw) -> tuple[list[int], Context, int]:
    """The context is seen and the token is seen, but never one after the other."""
    tokens = [t for _ in range(draw.integer(3, 9)) for t in draw.choice([[0, 1], [0, 2, 1], [3, 2], [3, 0, 2]])]
    return [3, 0, 1, *tokens, 0, 2], (0,), 3


def frequency_of(tokens: list[int], context: Context, token: int) -> float:
    n = len(context) + 1
    windows = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    following = Counter(window[-1] for window in windows if window[:-1] == tuple(context))
    return following[token] / max(following.total(), 1)


def _with_the_end(tokens: list[int], context: Context, token: int) -> float:
    return counted(tokens, len(context) + 1).get((*context, token), 0) / counted(tokens, len(context))[context]


def _joint(tokens: list[int], context: Context, token: int) -> float:
    counts = counted(tokens, len(context) + 1)
    return counts.get((*context, token), 0) / sum(counts.values())


def _given_the_token(tokens: list[int], context: Context, token: int) -> float:
    counts = counted(tokens, len(context) + 1)
    return counts.get((*context, token), 0) / sum(c for ngram, c in counts.items() if ngram[-1] == token)


def _context_ignored(tokens: list[int], context: Context, token: int) -> float:
    return tokens.count(token) / len(tokens)


def _different_ones(tokens: list[int], context: Context, token: int) -> float:
    following = {ngram[-1] for ngram in counted(tokens, len(context) + 1) if ngram[:-1] == context}
    return (token in following) / len(following)


# ------------------------------------------------------------------------------------------------ 3: what is still new


def two_texts(draw: Draw) -> tuple[list[int], list[int], int]:
    """The first and the last n-gram of train stand nowhere else in it, and both stand in test."""
    n = draw.choice([2, 3])
    train = [4, *draw.numpy.integers(4, size=draw.integer(5, 22)).tolist(), 5]
    return train, [*train[-n:], *draw.numpy.integers(4, size=draw.integer(5, 20)).tolist(), *train[:n]], n


def single_texts(draw: Draw) -> tuple[list[int], list[int], int]:
    train, test, _ = two_texts(draw)
    return train, [*test, 7, 7, *test[:2]], 1


def share_new(train: list[int], test: list[int], n: int) -> float:
    known = set(counted(train, n))
    return sum(tuple(test[i : i + n]) not in known for i in range(len(test) - n + 1)) / (len(test) - n + 1)


def _new_types(train: list[int], test: list[int], n: int) -> float:
    known, asked = set(counted(train, n)), set(counted(test, n))
    return len(asked - known) / len(asked)


def _new_contexts(train: list[int], test: list[int], n: int) -> float:
    known = {ngram[:-1] for ngram in counted(train, n)}
    return sum(tuple(test[i : i + n - 1]) not in known for i in range(len(test) - n + 1)) / (len(test) - n + 1)


def _over_all_tokens(train: list[int], test: list[int], n: int) -> float:
    return share_new(train, test, n) * (len(test) - n + 1) / len(test)


def _seen_instead(train: list[int], test: list[int], n: int) -> float:
    return 1 - share_new(train, test, n)


def _percent(train: list[int], test: list[int], n: int) -> float:
    return 100 * share_new(train, test, n)


def _last_not_known(train: list[int], test: list[int], n: int) -> float:
    return share_new(train[:-1], test, n)


def _first_not_known(train: list[int], test: list[int], n: int) -> float:
    return share_new(train[1:], test, n)


def _missed_training(train: list[int], test: list[int], n: int) -> float:
    return share_new(test, train, n)


# ------------------------------------------------------------------------------------------------------- 4: perplexity


def some_probabilities(draw: Draw) -> tuple[Array]:
    return (draw.numpy.uniform(0.02, 0.9, size=draw.integer(3, 12)),)


def fair_choice(draw: Draw) -> tuple[Array]:
    return (np.full(draw.integer(3, 8), 1 / draw.choice([3, 5, 8, 20])),)


def with_a_zero(draw: Draw) -> tuple[Array]:
    return (np.array([0.5, 0.0, 0.9, 0.2]),)


def perplexity(p: Array) -> float:
    return float(np.exp(-np.log(p).mean()))


def _inverse_mean(p: Array) -> float:
    return float(1 / p.mean())


def _log2_and_exp(p: Array) -> float:
    return float(np.exp(-np.log2(np.maximum(p, 1e-300)).mean()))


def _log_and_power_of_two(p: Array) -> float:
    return float(2 ** -np.log(np.maximum(p, 1e-300)).mean())


def _mean_of_logs(p: Array) -> float:
    return float(-np.log(np.maximum(p, 1e-300)).mean())


def _bits(p: Array) -> float:
    return float(-np.log2(np.maximum(p, 1e-300)).mean())


def _no_minus(p: Array) -> float:
    return float(np.exp(np.log(p).mean()))


def _summed(p: Array) -> float:
    return float(np.exp(-np.log(np.maximum(p, 1e-300)).sum()))


_PERPLEXITIES = (_inverse_mean, _log2_and_exp, _log_and_power_of_two, _mean_of_logs, _bits, _no_minus, _summed)


def is_infinite(value: object, p: Array) -> str | None:
    if math.isnan(float(value)):
        return "NaN: 0 times minus infinity? Average the logarithms as they are; one of them is minus infinity"
    return None if float(value) == math.inf else "a token that was called impossible came: the perplexity is infinite"


# ---------------------------------------------------------------------------------------------------- 5: interpolation


def orders_and_weights(draw: Draw) -> tuple[Array, Array, Array, int]:
    orders, N, V = draw.choice([2, 3, 4]), draw.integer(3, 10), draw.choice([10, 20, 50])
    frequency = draw.numpy.choice([0.0, 0.1, 0.25, 0.5], size=(orders, N))
    seen = np.cumprod(draw.numpy.random((orders, N)) < 0.75, axis=0).astype(bool)
    seen[0], seen[-1, 0], seen[-1, 1] = True, False, True
    return frequency * seen, seen, draw.numpy.choice([0.2, 0.3, 0.6, 0.7, 0.9], size=orders), V


def interpolated(frequency: Array, seen: Array, weights: Array, V: int) -> Array:
    p = np.full(frequency.shape[1], 1 / V)
    for f, s, w in zip(frequency, seen, weights):
        p = np.where(s, w * f + (1 - w) * p, p)
    return p


def _from_zero(frequency: Array, seen: Array, weights: Array, V: int) -> Array:
    return interpolated(frequency, seen, weights, V) - interpolated(0 * frequency, seen, weights, V)


def _exchanged(f: Array, s: Array, w: Array, V: int) -> Array:
    return interpolated(f, s, 1 - w, V)


def _seen_ignored(f: Array, s: Array, w: Array, V: int) -> Array:
    return interpolated(f, np.ones_like(s), w, V)


def _longest_first(f: Array, s: Array, w: Array, V: int) -> Array:
    return interpolated(f[::-1], s[::-1], w[::-1], V)


def _nothing_below(f: Array, s: Array, w: Array, V: int) -> Array:
    p = np.full(f.shape[1], 1 / V)
    for frequency, was_seen, weight in zip(f, s, w):
        p = np.where(was_seen, weight * frequency, p)
    return p


# ------------------------------------------------------------------------------------------------------- 6: Kneser-Ney


def tokens_and_previous(draw: Draw) -> tuple[list[int], int, int, float]:
    """A text in which token 0 is frequent but only ever follows token 1; the last token of the vocabulary never occurs."""
    V = draw.choice([5, 6, 7])
    tokens = draw.numpy.integers(2, V, size=draw.integer(14, 50)).tolist()
    for _ in range(draw.integer(4, 9)):
        at = draw.integer(1, len(tokens))
        tokens[at:at] = [1, 0] if tokens[at - 1] != 1 else []
    previous = draw.choice(sorted(set(tokens[:-1]) - {0, 1}))
    return tokens, previous, V + 1, draw.choice([0.5, 0.6, 0.9])


def discount_left_out(draw: Draw) -> tuple[list[int], int, int]:
    return tokens_and_previous(draw)[:3]


def never_followed(draw: Draw) -> tuple[list[int], int, int, float]:
    tokens, _, V, discount = tokens_and_previous(draw)
    return tokens, V - 1, V, discount


def continued(tokens: list[int], previous: int, V: int, D: float = 0.75, fault: str = "") -> Array:
    pairs = np.zeros((V, V))
    np.add.at(pairs, (tokens[:-1], tokens[1:]), 1)
    lower = {"raw": pairs.sum(0), "right": (pairs > 0).sum(1), "uniform": np.ones(V)}.get(fault, (pairs > 0).sum(0))
    lower, row = lower / lower.sum(), pairs[previous]
    total, types = row.sum(), (row > 0).sum()
    if total == 0:
        return lower
    kept = row - D if fault == "below zero" else np.maximum(row - D, 0)
    back = {"lost": 0, "one discount": D, "total": D * total, "all types": D * V}.get(fault, D * types)
    return kept / total + back / total * lower


@functools.cache  # the same function for a mistake and for what separates it
def _kneser_ney_fault(fault: str):
    return lambda tokens, previous, V, D=0.75: continued(tokens, previous, V, D, fault)


@functools.cache
def _another_default(D: float):
    return lambda tokens, previous, V: continued(tokens, previous, V, D)


def a_distribution(value: object, *inputs: object) -> str | None:
    p = np.asarray(value)
    if p.ndim != 1 or not np.isfinite(p).all():
        return "return one finite probability per token"
    if (p < 0).any():
        return "a probability is negative: counts below the discount keep 0, not less"
    return None if abs(p.sum() - 1) < 1e-6 else f"the probabilities should sum to 1, they sum to {p.sum():.4f}"


# ------------------------------------------------------------------------------------------------ 7: a test of smoothing


def row_of_counts(counts: object) -> str | None:
    if not isinstance(counts, list) or not all(type(c) is int and 0 <= c <= 10_000 for c in counts):
        return "an example is one list of whole numbers from 0 to 10,000, in a tuple: ([3, 0, 1],)"
    return None if 2 <= len(counts) <= 30 else "between 2 and 30 tokens, please"


def add_half(counts: list[int]) -> list[float]:
    return [(c + 0.5) / (sum(counts) + 0.5 * len(counts)) for c in counts]


def witten_bell(counts: list[int]) -> list[float]:
    types = sum(c > 0 for c in counts) or 1
    return [(c + types / len(counts)) / (sum(counts) + types) for c in counts]


def absolute_discount(counts: list[int]) -> list[float]:
    total, types = sum(counts), sum(c > 0 for c in counts)
    if not total:
        return [1 / len(counts)] * len(counts)
    return [max(c - 0.75, 0) / total + 0.75 * types / total / len(counts) for c in counts]


def unsmoothed(counts: list[int]) -> list[float]:
    return [c / sum(counts) for c in counts] if sum(counts) else [1 / len(counts)] * len(counts)


def k_for_k_times_v(counts: list[int]) -> list[float]:
    return [(c + 0.5) / (sum(counts) + 0.5) for c in counts]


def nothing_for_nothing(counts: list[int]) -> list[float]:
    return add_half(counts) if sum(counts) else [0.0] * len(counts)


def zeros_raised_to_two(counts: list[int]) -> list[float]:
    raised = [c or 2 for c in counts]
    return [c / sum(raised) for c in raised]


# ---------------------------------------------------------------------------------------------------- 8: a wrong table

FAULTS = {
    "A": "the text that is judged was counted as well",
    "B": "it averages the probabilities instead of their logarithms",
    "C": "it takes log2, then exp",
    "D": "the denominator adds k instead of k times V",
    "E": "tokens with an unseen context are left out of the average",
    "F": "the characters of the training text were shuffled before counting",
    "G": "the context is one token too short",
    "H": "the context ends with the token that is to be predicted",
}
OBSERVATIONS = {
    "a": "random characters: at some order the value is below 60",
    "b": "other plays: at order 8 the value is lower than at order 5",
    "c": "training text: at order 8 the value is below 1.5",
    "d": "random characters: at order 5 the value is above 70",
    "e": "training text: at order 2 the value is above 20",
    "f": "other plays: at order 2 the value is below 10",
    "g": "training text: at order 1 the value is not between 25 and 28",
    "h": "at order 8 the values on training text and on other plays differ by less than 30 %",
    "i": "random characters: at order 8 the value is 64",
    "j": "training text: at order 8 the value is above 1.9",
    "k": "training text: at order 2 the value is within 2 % of the correct program's",
    "l": "random characters: at order 4 the value is above 100",
}
RUNS = ("b7", "c2", "d5", "f1", "g8", "h3", "k6", "m4", "n9", "p2", "q7", "r5", "s1", "t8", "v3", "w6")


LAB = Lab(
    id="lab01",
    title="Predicting the next word",
    provides=("llmlib.data",),
    forbids=("NGramModel", "llmlib.text"),
    questions=(
        Question(
            id="lab01.q1",
            title="Count n-grams",
            name="count_ngrams",
            points=1,
            difficulty=1,
            minutes=6,
            printed=True,
            recipe=run_count,
            cases=(
                Case("single tokens", inputs=single_tokens, expected=counted, separates=(_last_missing, _present)),
                Case(
                    "pairs and triples",
                    inputs=tokens_and_n,
                    expected=counted,
                    separates=(_last_missing, _apart, _round_the_corner, _present, _unordered),
                ),
                Case("fewer tokens than n", inputs=lambda draw: ([draw.integer(0, 9)], 3), expected={}),
            ),
            mistakes=(
                Mistake("is the last n-gram missing? N tokens hold N - n + 1 of them", wrong=_last_missing),
                Mistake("n-grams overlap: move on by one token, not by n", wrong=_apart),
                Mistake("the text is not a ring: no n-gram runs from its end to its start", wrong=_round_the_corner),
                Mistake("the keys should be tuples of token ids, also for n = 1", when=_key_types),
                Mistake("some keys are shorter than n: stop where the last whole n-gram begins", when=_ragged_end),
                Mistake("a list cannot be a key of a dictionary: make it a tuple", error="unhashable type"),
                Mistake("return how often each n-gram occurs, not only that it does", wrong=_present),
                Mistake("the order counts: (1, 2) and (2, 1) are different n-grams", wrong=_unordered),
            ),
        ),
        Question(
            id="lab01.q2",
            title="Relative frequency",
            name="relative_frequency",
            points=2,
            difficulty=2,
            minutes=10,
            printed=True,
            uses=("lab01.q1",),
            cases=(
                Case("no context", inputs=no_context, expected=frequency_of),
                Case(
                    "a context that also ends the text",
                    inputs=context_at_the_end,
                    expected=frequency_of,
                    separates=(_with_the_end, _joint, _given_the_token, _context_ignored, _different_ones),
                ),
                Case("a token that never follows its context", inputs=never_after_it, expected=frequency_of),
                Case("a context never seen", inputs=unseen_context, expected=0.0),
            ),
            mistakes=(
                Mistake(
                    "count only the places where something follows: at the end of the text nothing follows the context",
                    wrong=_with_the_end,
                ),
                Mistake("is the context used? That is how often the token occurs at all", wrong=_context_ignored),
                Mistake(
                    "that is the share among all n-grams: divide by those that start with this context", wrong=_joint
                ),
                Mistake(
                    "that is P(context | token): divide by what starts with the context, not by what ends in the token",
                    wrong=_given_the_token,
                ),
                Mistake("of the times, not of the different tokens: how often did it follow?", wrong=_different_ones),
                Mistake("what if the context was never seen? Return 0", error="ZeroDivisionError"),
                Mistake("a token that never followed the context has been counted 0 times", error="KeyError"),
            ),
        ),
        Question(
            id="lab01.q3",
            title="What is still new",
            name="new_share",
            points=2,
            difficulty=2,
            minutes=10,
            cases=(
                Case(
                    "pairs and triples",
                    inputs=two_texts,
                    expected=share_new,
                    separates=(
                        _new_types,
                        _new_contexts,
                        _over_all_tokens,
                        _missed_training,
                        _seen_instead,
                        _percent,
                        _last_not_known,
                        _first_not_known,
                    ),
                ),
                Case(
                    "single tokens", inputs=single_texts, expected=share_new, separates=(_new_types, _missed_training)
                ),
            ),
            mistakes=(
                Mistake(
                    "every place counts, however often the same n-gram comes: the share of places, not of types",
                    wrong=_new_types,
                ),
                Mistake("that is the share that was seen before", wrong=_seen_instead),
                Mistake("a share between 0 and 1, please, not percent", wrong=_percent),
                Mistake("the other way round: how much of test is not in train?", wrong=_missed_training),
                Mistake("the last n-gram of train is known, too: it begins at len(train) - n", wrong=_last_not_known),
                Mistake("whole n-grams, not only their contexts", wrong=_new_contexts),
                Mistake("divide by the number of n-grams in test, not by its tokens", wrong=_over_all_tokens),
            ),
        ),
        Question(
            id="lab01.q4",
            title="Perplexity",
            name="perplexity",
            points=1,
            difficulty=2,
            minutes=8,
            printed=True,
            cases=(
                Case("a fair choice", inputs=fair_choice, expected=perplexity),
                Case("random probabilities", inputs=some_probabilities, expected=perplexity, separates=_PERPLEXITIES),
                Case("an impossible token came", inputs=with_a_zero, judge=is_infinite),
            ),
            mistakes=(
                Mistake(
                    "average the logarithms, not the probabilities: the text's probability is a product",
                    wrong=_inverse_mean,
                ),
                Mistake(
                    "log2 and exp do not belong together: log with exp, or log2 with 2 **",
                    wrong=_log2_and_exp,
                ),
                Mistake(
                    "log and 2 ** do not belong together: log with exp, or log2 with 2 **",
                    wrong=_log_and_power_of_two,
                ),
                Mistake(
                    "that is the mean of -log: the perplexity is its exponential",
                    wrong=_mean_of_logs,
                ),
                Mistake(
                    "that is bits per token: the perplexity is 2 to their power",
                    wrong=_bits,
                ),
                Mistake(
                    "is the minus sign there? A perplexity is never below 1",
                    wrong=_no_minus,
                ),
                Mistake(
                    "the mean per token, not the sum: the perplexity should not grow with the length of the text",
                    wrong=_summed,
                ),
                Mistake("math.log refuses a 0: np.log gives minus infinity, as it should", error="math domain error"),
            ),
        ),
        Question(
            id="lab01.q5",
            title="Interpolation",
            name="interpolate",
            points=2,
            difficulty=3,
            minutes=15,
            cases=(
                Case(
                    "random frequencies and weights",
                    inputs=orders_and_weights,
                    expected=interpolated,
                    separates=(_exchanged, _seen_ignored, _from_zero, _longest_first, _nothing_below),
                ),
            ),
            mistakes=(
                Mistake(
                    "the weight belongs to this order's frequency, 1 - weight to the shorter context", wrong=_exchanged
                ),
                Mistake(
                    "is seen used? Where the context was never seen its frequency says nothing, and p should stay as it was",
                    wrong=_seen_ignored,
                ),
                Mistake("start from the uniform distribution, 1 / V, not from 0", wrong=_from_zero),
                Mistake("from the shortest context up: the longest should be mixed in last", wrong=_longest_first),
                Mistake("what the shorter contexts said is lost: the (1 - w) · p is missing", wrong=_nothing_below),
            ),
        ),
        Question(
            id="lab01.q6",
            title="Kneser-Ney",
            name="kneser_ney",
            points=3,
            difficulty=4,
            minutes=20,
            printed=True,
            uses=("lab01.q1",),
            cases=(
                Case(
                    "a frequent token with one neighbour",
                    inputs=tokens_and_previous,
                    expected=continued,
                    separates=[
                        _kneser_ney_fault(fault)
                        for fault in (
                            "raw",
                            "right",
                            "uniform",
                            "lost",
                            "one discount",
                            "total",
                            "all types",
                            "below zero",
                        )
                    ],
                ),
                Case(
                    "the discount left out",
                    inputs=discount_left_out,
                    expected=continued,
                    separates=[_another_default(D) for D in (0.5, 0.7, 0.8, 1.0)],
                ),
                Case(
                    "nothing ever followed",
                    inputs=never_followed,
                    expected=continued,
                    separates=[_kneser_ney_fault(fault) for fault in ("raw", "right", "uniform")],
                ),
                Case("a distribution", inputs=tokens_and_previous, judge=a_distribution),
            ),
            mistakes=(
                Mistake(
                    "the lower order uses raw counts: count after how many different tokens x was seen, "
                    "not how often it was seen",
                    wrong=_kneser_ney_fault("raw"),
                ),
                Mistake(
                    "different tokens before x, not after it: the neighbours on the left",
                    wrong=_kneser_ney_fault("right"),
                ),
                Mistake(
                    "the lower order is uniform: P_cont counts the different tokens before x",
                    wrong=_kneser_ney_fault("uniform"),
                ),
                Mistake(
                    "what the discount took must be handed on, D for each type: the second term is missing",
                    wrong=_kneser_ney_fault("lost"),
                ),
                Mistake(
                    "D was taken from every type, so D times types is handed on, not D once",
                    wrong=_kneser_ney_fault("one discount"),
                ),
                Mistake(
                    "types counts the different tokens that followed, not how often anything followed",
                    wrong=_kneser_ney_fault("total"),
                ),
                Mistake(
                    "types counts the tokens that followed, not the whole vocabulary",
                    wrong=_kneser_ney_fault("all types"),
                ),
                Mistake("max(count - D, 0): a count of 0 cannot go below zero", wrong=_kneser_ney_fault("below zero")),
                Mistake("the default of D is 0.75", wrong=_another_default(0.5)),
                Mistake(
                    "NaN where nothing followed: 0 / 0. Then return P_cont",
                    when=lambda v, tokens, previous, V, D=0.75: previous == V - 1 and bool(np.isnan(v).any()),
                ),
                Mistake("what if nothing ever followed previous? Then return P_cont", error="ZeroDivisionError"),
            ),
        ),
        Question(
            id="lab01.q7",
            title="Test somebody else's smoothing",
            name="holds",
            kind="test",
            examples="examples",
            points=3,
            difficulty=3,
            minutes=15,
            valid=row_of_counts,
            right=(
                Subject("add 0.5", add_half),
                Subject("Witten and Bell's rule", witten_bell),
                Subject("a discount of 0.75", absolute_discount),
            ),
            wrong=(
                Subject("gives no probability to what was never seen", unsmoothed),
                Subject("adds k instead of k times V in the denominator", k_for_k_times_v),
                Subject("gives nothing to anybody when nothing was counted", nothing_for_nothing),
                Subject("raises only the zeros, and above those that were seen once", zeros_raised_to_two),
            ),
        ),
        Question(
            id="lab01.q8",
            title="A table that is wrong",
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
        Ungraded("lab01.p1", "The best order, before counting", name="predicted_order", options=(1, 2, 3, 4, 5, 6)),
        Ungraded(
            "lab01.p2", "How much is still new, before measuring", name="predicted_new", number=Number(0, 100, unit="%")
        ),
        Ungraded("lab01.t1", "Read your own plot", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab01.c1",
            "Fewest bits per character in 30 seconds",
            name="best_bits",
            kind="challenge",
            number=Number(0.5, 7, unit="bits per character"),
            baseline=2.20,
            seconds=30,
        ),
    ),
)
