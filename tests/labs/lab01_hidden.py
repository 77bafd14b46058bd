"""Lab 01, for staff: hidden cases, keys, mutants, rubrics."""

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab01 import (
    _kneser_ney_fault,
    a_distribution,
    context_at_the_end,
    continued,
    counted,
    discount_left_out,
    frequency_of,
    interpolated,
    is_infinite,
    never_after_it,
    never_followed,
    orders_and_weights,
    perplexity,
    share_new,
    single_tokens,
    some_probabilities,
    tokens_and_n,
    tokens_and_previous,
    two_texts,
    unseen_context,
)


def discount_above_the_counts(counts: list[int]) -> list[float]:
    """A discount of 2 without the max: counts of 1 go below zero."""
    total, types = sum(counts), sum(c > 0 for c in counts)
    if not total:
        return [1 / len(counts)] * len(counts)
    return [(c - 2 * (c > 0)) / total + 2 * types / total / len(counts) for c in counts]


def only_to_the_unseen(counts: list[int]) -> list[float]:
    """The discount goes to unseen tokens; where there is none, it is lost."""
    total, unseen = sum(counts), counts.count(0)
    if not total:
        return [1 / len(counts)] * len(counts)
    taken = 0.2 * (len(counts) - unseen) / total
    return [(c - 0.2) / total if c else taken / unseen for c in counts]


def capped(counts: list[int]) -> list[float]:
    """Counts are capped at 5: from there on more counts make nothing likelier."""
    capped_counts = [min(c, 5) + 0.5 for c in counts]
    return [c / sum(capped_counts) for c in capped_counts]


def by_size(counts: list[int]) -> list[float]:
    """Right numbers in the wrong places: largest first."""
    return sorted(((c + 0.5) / (sum(counts) + 0.5 * len(counts)) for c in counts), reverse=True)


def unequal_zeros(counts: list[int]) -> list[float]:
    """What is free goes to the unseen in proportion to their position."""
    raised = [c + 0.5 if c else 0.4 * (i + 1) / len(counts) for i, c in enumerate(counts)]
    return [c / sum(raised) for c in raised]


HIDDEN = {
    "lab01.q1": [
        Case("other texts", inputs=tokens_and_n, expected=counted),
        Case("other tokens", inputs=single_tokens, expected=counted),
        Case("long n-grams", inputs=lambda draw: (tokens_and_n(draw)[0], 5), expected=counted),
    ],
    "lab01.q2": [
        Case("other contexts", inputs=context_at_the_end, expected=frequency_of),
        Case("other tokens that never follow", inputs=never_after_it, expected=0.0),
        Case("other unseen contexts", inputs=unseen_context, expected=0.0),
        Case("longer contexts", inputs=lambda draw: (lambda t: (t + t[:9], tuple(t[:3]), t[3]))(
            draw.numpy.integers(2, size=30).tolist()), expected=frequency_of),
    ],
    "lab01.q3": [
        Case("other texts", inputs=two_texts, expected=share_new),
        Case("all is new", inputs=lambda draw: ([1, 2, 3], [4, 5, 6, 4, 5], 2), expected=1.0),
        Case("nothing is new", inputs=lambda draw: ([1, 2, 1, 1, 2], [1, 2, 1], 2), expected=0.0),
    ],
    "lab01.q4": [
        Case("other probabilities", inputs=some_probabilities, expected=perplexity),
        Case(
            "a zero elsewhere", inputs=lambda draw: (draw.numpy.permutation([0.0, 0.1, 0.2, 0.3]),), judge=is_infinite
        ),
    ],
    "lab01.q5": [Case("other weights", inputs=orders_and_weights, expected=interpolated)],
    "lab01.q6": [
        Case("other texts", inputs=tokens_and_previous, expected=continued,
             separates=[_kneser_ney_fault(f) for f in ("raw", "right", "lost", "one discount", "total")]),
        Case("the discount left out", inputs=discount_left_out, expected=continued),
        Case("nothing followed", inputs=never_followed, expected=continued),
        Case("a distribution", inputs=tokens_and_previous, judge=a_distribution),
    ],
    "lab01.q7": [
        Subject("takes a discount of 2 off a count of 1", discount_above_the_counts),
        Subject("loses the discount when every token was seen", only_to_the_unseen),
        Subject("stops counting at 5", capped),
        Subject("gives the probabilities in another order than the counts", by_size),
        Subject("gives tokens that were seen equally often unequal probabilities", unequal_zeros),
    ],
    "lab01.q8": [
        Key(
            runs=dict(zip(("b7", "c2", "d5", "f1", "g8", "h3", "k6", "m4", "n9", "p2", "q7", "r5", "s1", "t8", "v3", "w6"),
                          "EAHCGBFDCHAGDFBE", strict=True)),
            true={"A": "abhk", "B": "fgi", "C": "degjl", "D": "abck", "E": "dkl", "F": "behij", "G": "eijl", "H": "acfi", "correct": "ik"},
        )
    ],
}  # fmt: skip

# What makes an observation true, from the recorded table of a run: a test holds the key above to it.
RECORDING = "lab01_faults"
OBSERVED = {
    "a": lambda t, correct: any(p is not None and p < 60 for p in t["random characters"]),
    "b": lambda t, correct: t["other plays"][7] < t["other plays"][4],
    "c": lambda t, correct: t["training text"][7] < 1.5,
    "d": lambda t, correct: t["random characters"][4] > 70,
    "e": lambda t, correct: t["training text"][1] > 20,
    "f": lambda t, correct: t["other plays"][1] < 10,
    "g": lambda t, correct: not 25 <= t["training text"][0] <= 28,
    "h": lambda t, correct: (
        t["other plays"][7] < 1.3 * t["training text"][7] and t["training text"][7] < 1.3 * t["other plays"][7]
    ),
    "i": lambda t, correct: t["random characters"][7] is not None and round(t["random characters"][7]) == 64,
    "j": lambda t, correct: t["training text"][7] > 1.9,
    "k": lambda t, correct: abs(t["training text"][1] / correct["training text"][1] - 1) < 0.02,
    "l": lambda t, correct: t["random characters"][3] is not None and t["random characters"][3] > 100,
}


def _count(expression: str) -> str:
    return f"def count_ngrams(tokens, n):\n    return {expression}"


def _frequency(denominator: str) -> str:
    return (
        "def relative_frequency(tokens, context, token):\n"
        "    n = len(context) + 1\n"
        "    ngrams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]\n"
        "    count = ngrams.count((*context, token))\n"
        f"    total = {denominator}\n"
        "    return count / total if total else 0.0"
    )


def _perplexity(expression: str) -> str:
    return f"def perplexity(p):\n    return float({expression})"


def _interpolate(start: str, orders: str, mixed: str) -> str:
    return (
        "def interpolate(frequency, seen, weights, V):\n"
        f"    p = np.full(frequency.shape[1], {start})\n"
        f"    for f, s, w in {orders}:\n"
        f"        p = {mixed}\n"
        "    return p"
    )


def _kneser_ney(
    lower: str = "(pairs > 0).sum(0)",
    kept: str = "np.maximum(row - D, 0)",
    back: str = "D * types",
    D: str = "0.75",
    nothing: str = "if total == 0: return lower",
) -> str:
    return (
        f"def kneser_ney(tokens, previous, V, D={D}):\n"
        "    pairs = np.zeros((V, V))\n"
        "    np.add.at(pairs, (tokens[:-1], tokens[1:]), 1)\n"
        f"    lower = {lower}\n"
        "    lower, row = lower / lower.sum(), pairs[previous]\n"
        "    total, types = row.sum(), (row > 0).sum()\n"
        f"    {nothing}\n"
        f"    return {kept} / total + {back} / total * lower"
    )


_ORDERS = "zip(frequency, seen, weights)"
_MIX = "np.where(s, w * f + (1 - w) * p, p)"


def _new(expression: str) -> str:
    return (
        "def new_share(train, test, n):\n"
        "    windows = lambda tokens: [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]\n"
        "    places, known, asked = windows(test), set(windows(train)), set(windows(test))\n"
        f"    return {expression}"
    )


_EXAMPLES = "[([0, 0, 0],), ([3, 0, 1, 1, 0],), ([1, 2],), ([9, 6, 0],)]"
_HOLDS = (
    "len(output) == len(inputs[0]) and abs(sum(output) - 1) < 1e-6 and min(output) > 0 and all("
    "(a > b) == (p > q + 1e-12) for a, p in zip(inputs[0], output) for b, q in zip(inputs[0], output))"
)


def _test(examples: str = _EXAMPLES, holds: str = _HOLDS) -> str:
    return f"def examples():\n    return {examples}\n\n\ndef holds(inputs, output):\n    return {holds}"


MUTANTS = [
    Mutant(
        "lab01.q1",
        "last n-gram missing",
        _count("Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n))"),
        "N - n + 1",
    ),
    Mutant(
        "lab01.q1",
        "no overlap",
        _count("Counter(tuple(tokens[i : i + n]) for i in range(0, len(tokens) - n + 1, n))"),
        "n-grams overlap",
    ),
    Mutant(
        "lab01.q1",
        "wraps around",
        _count("Counter(tuple((tokens + tokens[: n - 1])[i : i + n]) for i in range(len(tokens)))"),
        "not a ring",
    ),
    Mutant(
        "lab01.q1",
        "lists as keys",
        _count("Counter(tokens[i : i + n] for i in range(len(tokens) - n + 1))"),
        "make it a tuple",
    ),
    Mutant(
        "lab01.q1",
        "strings as keys",
        _count("Counter(str(tokens[i : i + n]) for i in range(len(tokens) - n + 1))"),
        "tuples of token ids",
    ),
    Mutant(
        "lab01.q1",
        "a set",
        _count("dict.fromkeys((tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)), 1)"),
        "how often",
    ),
    Mutant(
        "lab01.q2",
        "the context at the end counts",
        _frequency(
            "sum(tuple(tokens[i : i + n - 1]) == context "
            "for i in range(len(tokens) - n + 2 if context else len(tokens)))"
        ),
        "nothing follows the context",
    ),
    Mutant("lab01.q2", "joint probability", _frequency("len(ngrams)"), "share among all n-grams"),
    Mutant("lab01.q2", "the wrong way round", _frequency("sum(g[-1] == token for g in ngrams)"), "P(context | token)"),
    Mutant(
        "lab01.q2",
        "divides by zero",
        "def relative_frequency(tokens, context, token):\n"
        "    counts = count_ngrams(tokens, len(context) + 1)\n"
        "    return counts.get((*context, token), 0) / sum(c for g, c in counts.items() if g[:-1] == context)",
        "never seen? Return 0",
    ),
    Mutant("lab01.q4", "mean of probabilities", _perplexity("1 / p.mean()"), "average the logarithms"),
    Mutant("lab01.q4", "log2 with exp", _perplexity("np.exp(-np.log2(p).mean())"), "log2 and exp"),
    Mutant("lab01.q4", "log with 2 **", _perplexity("2 ** -np.log(p).mean()"), "log and 2 **"),
    Mutant("lab01.q4", "no minus sign", _perplexity("np.exp(np.log(p).mean())"), "minus sign"),
    Mutant("lab01.q4", "sum", _perplexity("np.exp(-np.log(p).sum())"), "not the sum"),
    Mutant("lab01.q4", "zeros skipped", _perplexity("np.exp(-np.log(p[p > 0]).mean())"), "called impossible"),
    Mutant(
        "lab01.q5",
        "weights exchanged",
        _interpolate("1 / V", _ORDERS, "np.where(s, (1 - w) * f + w * p, p)"),
        "weight belongs to",
    ),
    Mutant("lab01.q5", "seen ignored", _interpolate("1 / V", _ORDERS, "w * f + (1 - w) * p"), "is seen used"),
    Mutant("lab01.q5", "starts from zero", _interpolate("0.0", _ORDERS, _MIX), "1 / V, not from 0"),
    Mutant(
        "lab01.q5",
        "longest first",
        _interpolate("1 / V", "zip(frequency[::-1], seen[::-1], weights[::-1])", _MIX),
        "shortest context up",
    ),
    Mutant("lab01.q6", "raw counts below", _kneser_ney(lower="pairs.sum(0)"), "uses raw counts"),
    Mutant("lab01.q6", "neighbours on the right", _kneser_ney(lower="(pairs > 0).sum(1)"), "on the left"),
    Mutant("lab01.q6", "discount lost", _kneser_ney(back="0"), "second term is missing"),
    Mutant("lab01.q6", "one discount handed on", _kneser_ney(back="D"), "not D once"),
    Mutant("lab01.q6", "total for types", _kneser_ney(back="D * total"), "types counts the different"),
    Mutant("lab01.q6", "below zero", _kneser_ney(kept="(row - D)"), "below zero"),
    Mutant(
        "lab01.q1",
        "a ragged end",
        _count("Counter(tuple(tokens[i : i + n]) for i in range(len(tokens)))"),
        "shorter than n",
    ),
    Mutant(
        "lab01.q1",
        "order ignored",
        _count("Counter(tuple(sorted(tokens[i : i + n])) for i in range(len(tokens) - n + 1))"),
        "different n-grams",
    ),
    Mutant(
        "lab01.q2",
        "no such pair",
        "def relative_frequency(tokens, context, token):\n"
        "    counts = dict(count_ngrams(tokens, len(context) + 1))\n"
        "    total = sum(c for g, c in counts.items() if g[:-1] == context)\n"
        "    return counts[(*context, token)] / total if total else 0.0",
        "has been counted 0 times",
    ),
    Mutant(
        "lab01.q2",
        "at least once",
        "def relative_frequency(tokens, context, token):\n"
        "    counts = count_ngrams(tokens, len(context) + 1)\n"
        "    total = sum(c for g, c in counts.items() if g[:-1] == context)\n"
        "    return max(counts.get((*context, token), 0), 1) / total if total else 0.0",
        "expected 0",
    ),
    Mutant(
        "lab01.q2",
        "context ignored",
        "def relative_frequency(tokens, context, token):\n    return tokens.count(token) / len(tokens) if token in tokens and (not context or context[0] in tokens) else 0.0",
        "is the context used",
    ),
    Mutant("lab01.q3", "types", _new("len(asked - known) / len(asked)"), "not of types"),
    Mutant("lab01.q3", "what is known", _new("sum(g in known for g in places) / len(places)"), "was seen before"),
    Mutant("lab01.q3", "percent", _new("100 * sum(g not in known for g in places) / len(places)"), "not percent"),
    Mutant(
        "lab01.q3",
        "the last n-gram of train unknown",
        _new("sum(g not in set(windows(train)[:-1]) for g in places) / len(places)"),
        "begins at len(train) - n",
    ),
    Mutant("lab01.q3", "over all tokens", _new("sum(g not in known for g in places) / len(test)"), "not by its tokens"),
    Mutant(
        "lab01.q3",
        "contexts only",
        _new("sum(g[:-1] not in {k[:-1] for k in windows(train)} for g in places) / len(places)"),
        "not only their contexts",
    ),
    Mutant(
        "lab01.q3",
        "the other way round",
        _new("sum(g not in asked for g in windows(train)) / len(windows(train))"),
        "other way round",
    ),
    Mutant("lab01.q4", "no exponential", _perplexity("-np.log(p).mean()"), "exponential"),
    Mutant(
        "lab01.q4",
        "math.log",
        "def perplexity(p):\n    return math.exp(-sum(math.log(x) for x in p) / len(p))",
        "np.log gives minus infinity",
    ),
    Mutant(
        "lab01.q5", "the shorter orders lost", _interpolate("1 / V", _ORDERS, "np.where(s, w * f, p)"), "said is lost"
    ),
    Mutant("lab01.q6", "uniform below", _kneser_ney(lower="np.ones(V)"), "lower order is uniform"),
    Mutant("lab01.q6", "another default", _kneser_ney(D="0.5"), "default of D"),
    Mutant("lab01.q6", "no default kept", _kneser_ney(D="0.9"), "entries differ"),
    Mutant("lab01.q6", "all types", _kneser_ney(back="D * V"), "not the whole vocabulary"),
    Mutant("lab01.q6", "nothing followed", _kneser_ney(nothing="pass"), "Then return P_cont"),
    Mutant(
        "lab01.q7",
        "sums only",
        _test(holds="abs(sum(output) - 1) < 1e-6"),
        "accepts an implementation that gives no probability",
    ),
    Mutant(
        "lab01.q7",
        "no row without counts",
        _test(examples="[([3, 0, 1, 1, 0],), ([1, 2],), ([9, 6, 0],)]"),
        "nothing was counted",
    ),
    Mutant(
        "lab01.q7",
        "equality with one rule",
        _test(holds="np.allclose(output, [(c + 0.5) / (sum(inputs[0]) + 0.5 * len(inputs[0])) for c in inputs[0]])"),
        "refuses a right answer",
    ),
    Mutant(
        "lab01.q7",
        "order not tested",
        _test(holds="abs(sum(output) - 1) < 1e-6 and min(output) > 0"),
        "above those that were seen once",
    ),
    Mutant(
        "lab01.q7",
        "small counts only",
        _test(examples="[([0, 0, 0],), ([3, 0, 1, 1, 0],), ([1, 2],)]"),
        "stops counting at 5",
    ),
    Mutant(
        "lab01.q7",
        "no full row",
        _test(examples="[([0, 0, 0],), ([3, 0, 1, 1, 0],), ([9, 6, 0],)]"),
        "loses the discount",
    ),
    Mutant("lab01.q7", "accepts all", _test(holds="True"), "your test accepts"),
    Mutant("lab01.q8", "another cause", 'diagnosis = {"cause": "H", "evidence": ["a"]}', "not what went wrong"),
    Mutant(
        "lab01.q8", "untrue evidence", 'diagnosis = {"cause": "A", "evidence": ["i", "h"]}', "is not true of your run"
    ),
    Mutant(
        "lab01.q8",
        "evidence for two causes",
        'diagnosis = {"cause": "A", "evidence": ["a", "b"]}',
        "seen under another cause",
    ),
    Mutant("lab01.q8", "a letter", 'diagnosis = "D"', "write it as"),
]

RUBRICS = {
    "lab01.t1": "3: says that long contexts of the training text occurred once and predict themselves, names the order "
    "at which the held-out curves turn up and why add-0.01 suffers more (unseen contexts become uniform guesses) than "
    "interpolation (which falls back on shorter contexts), and predicts that more text lowers the held-out and raises "
    "the training curves. 2: two of the three. 1: describes the curves without a reason. 0: no plot read.",
}
