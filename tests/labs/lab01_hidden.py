"""Lab 01, for staff: hidden cases, mutants, rubrics."""

from courseware.classroom.cases import Case, Mutant
from courseware.classroom.cases.lab01 import (
    a_distribution,
    added,
    context_at_the_end,
    continued,
    counted,
    frequency_of,
    interpolated,
    is_infinite,
    never_followed,
    no_counts,
    orders_and_weights,
    perplexity,
    single_tokens,
    some_counts,
    some_probabilities,
    table_start_draws,
    tokens_and_n,
    tokens_and_previous,
    unseen_context,
    written,
)

HIDDEN = {
    "lab01.q1": [
        Case("other texts", inputs=tokens_and_n, expected=counted),
        Case("other tokens", inputs=single_tokens, expected=counted),
        Case("shorter than n", inputs=lambda draw: ([draw.integer(0, 9)], 3), expected={}),
    ],
    "lab01.q2": [
        Case("other contexts", inputs=context_at_the_end, expected=frequency_of),
        Case("other unseen contexts", inputs=unseen_context, expected=0.0),
    ],
    "lab01.q3": [
        Case("other counts", inputs=some_counts, expected=added),
        Case("no counts", inputs=no_counts, expected=added),
    ],
    "lab01.q4": [
        Case("other probabilities", inputs=some_probabilities, expected=perplexity),
        Case(
            "a zero elsewhere", inputs=lambda draw: (draw.numpy.permutation([0.0, 0.1, 0.2, 0.3]),), judge=is_infinite
        ),
    ],
    "lab01.q5": [Case("other weights", inputs=orders_and_weights, expected=interpolated)],
    "lab01.q6": [
        Case("other texts", inputs=tokens_and_previous, expected=continued),
        Case("nothing followed", inputs=never_followed, expected=continued),
        Case("a distribution", inputs=tokens_and_previous, judge=a_distribution),
    ],
    "lab01.q7": [Case("other tables", inputs=table_start_draws, expected=written)],
    "lab01.q8": [Case("the right causes", expected={"program 1": "D", "program 2": "A", "program 3": "B"})],
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


def _add(expression: str) -> str:
    return f"def add_k(counts, k):\n    return {expression}"


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
    lower: str = "(pairs > 0).sum(0)", kept: str = "np.maximum(row - D, 0)", back: str = "D * types"
) -> str:
    return (
        "def kneser_ney(tokens, previous, V, D=0.75):\n"
        "    pairs = np.zeros((V, V))\n"
        "    np.add.at(pairs, (tokens[:-1], tokens[1:]), 1)\n"
        f"    lower = {lower}\n"
        "    lower, row = lower / lower.sum(), pairs[previous]\n"
        "    total, types = row.sum(), (row > 0).sum()\n"
        "    if total == 0:\n"
        "        return lower\n"
        f"    return {kept} / total + {back} / total * lower"
    )


def _write(draw: str, row: str = "table[token]", written: str = "[]") -> str:
    return (
        "def write(table, start, draws):\n"
        f"    written, token = {written}, start\n"
        "    for u in draws:\n"
        f"        p = {row}\n"
        f"        token = {draw}\n"
        "        written.append(token)\n"
        "    return written"
    )


_ORDERS = "zip(frequency, seen, weights)"
_MIX = "np.where(s, w * f + (1 - w) * p, p)"
_PICK = "min(int(np.searchsorted(p.cumsum(), u, side='right')), len(p) - 1)"

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
    Mutant("lab01.q3", "no k·V", _add("(counts + k) / counts.sum()"), "is k·V in the denominator"),
    Mutant("lab01.q3", "k instead of k·V", _add("(counts + k) / (counts.sum() + k)"), "k·V, not k"),
    Mutant(
        "lab01.q3",
        "only the zeros",
        _add("np.where(counts == 0, k, counts) / np.where(counts == 0, k, counts).sum()"),
        "only the zeros",
    ),
    Mutant("lab01.q3", "always one", _add("(counts + 1) / (counts.sum() + len(counts))"), "k is not used"),
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
    Mutant("lab01.q7", "never moves on", _write(_PICK, row="table[start]"), "drawn after start"),
    Mutant("lab01.q7", "greedy", _write("int(p.argmax())"), "draw, don't take"),
    Mutant("lab01.q7", "columns", _write(_PICK, row="table[:, token]"), "a column was used"),
    Mutant("lab01.q7", "one too early", _write(f"max({_PICK} - 1, 0)"), "one too early"),
    Mutant("lab01.q7", "start included", _write(_PICK, written="[start]"), "without start"),
    Mutant(
        "lab01.q8",
        "leak and denominator exchanged",
        'diagnosis = {"program 1": "A", "program 2": "D", "program 3": "B"}',
        "cannot average below 64",
    ),
    Mutant(
        "lab01.q8",
        "blames the base",
        'diagnosis = {"program 1": "D", "program 2": "A", "program 3": "C"}',
        "cannot average below 64",
    ),
    Mutant(
        "lab01.q8",
        "one cause for two",
        'diagnosis = {"program 1": "A", "program 2": "A", "program 3": "B"}',
        "three different causes",
    ),
]

RUBRICS = {
    "lab01.t1": "3: says that long contexts of the training text occurred once and predict themselves, names the order "
    "at which the held-out curves turn up and why add-0.01 suffers more (unseen contexts become uniform guesses) than "
    "interpolation (which falls back on shorter contexts), and predicts that more text lowers the held-out and raises "
    "the training curves. 2: two of the three. 1: describes the curves without a reason. 0: no plot read.",
}
