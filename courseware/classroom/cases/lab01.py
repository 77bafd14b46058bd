"""Lab 01: counting, relative frequencies, add-k, perplexity, interpolation, Kneser-Ney, writing, three broken tables."""

import math
from collections import Counter

import numpy as np

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Question, Ungraded

Array = np.ndarray


def tokens_and_n(draw: Draw) -> tuple[list[int], int]:
    return draw.numpy.integers(4, size=draw.integer(20, 40)).tolist(), draw.choice([2, 3])


def single_tokens(draw: Draw) -> tuple[list[int], int]:
    return draw.numpy.integers(6, size=draw.integer(12, 30)).tolist(), 1


def run_count(student, tokens, n):
    """Recipe: a Counter is as good as a dict."""
    return dict(student(tokens, n))


def counted(tokens: list[int], n: int, step: int = 1, short: int = 0) -> dict[tuple[int, ...], int]:
    return dict(Counter(tuple(tokens[i : i + n]) for i in range(0, len(tokens) - n + 1 - short, step)))


def _round_the_corner(tokens: list[int], n: int) -> dict[tuple[int, ...], int]:
    return counted(tokens + tokens[: n - 1], n)


def _key_types(value: object, tokens: list[int], n: int) -> bool:
    return isinstance(value, dict) and any(not isinstance(key, tuple) for key in value)


def context_at_the_end(draw: Draw) -> tuple[list[int], tuple[int, ...], int]:
    """The context also closes the text, where nothing follows it."""
    tokens = draw.numpy.integers(3, size=draw.integer(30, 50)).tolist()
    context = tuple(tokens[4 : 4 + draw.integer(1, 3)])
    return [*tokens, *context], context, tokens[4 + len(context)]


def no_context(draw: Draw) -> tuple[list[int], tuple[int, ...], int]:
    return draw.numpy.integers(5, size=draw.integer(20, 30)).tolist(), (), draw.integer(0, 5)


def unseen_context(draw: Draw) -> tuple[list[int], tuple[int, ...], int]:
    return draw.numpy.integers(3, size=20).tolist(), (draw.integer(3, 6), 0), 1


def frequency_of(tokens: list[int], context: tuple[int, ...], token: int) -> float:
    n = len(context) + 1
    following = Counter(
        tokens[i + n - 1] for i in range(len(tokens) - n + 1) if tuple(tokens[i : i + n - 1]) == context
    )
    return following[token] / max(following.total(), 1)


def _with_the_end(tokens: list[int], context: tuple[int, ...], token: int) -> float:
    return counted(tokens, len(context) + 1).get((*context, token), 0) / counted(tokens, len(context))[context]


def _joint(tokens: list[int], context: tuple[int, ...], token: int) -> float:
    counts = counted(tokens, len(context) + 1)
    return counts.get((*context, token), 0) / sum(counts.values())


def _given_the_token(tokens: list[int], context: tuple[int, ...], token: int) -> float:
    counts = counted(tokens, len(context) + 1)
    return counts.get((*context, token), 0) / sum(c for ngram, c in counts.items() if ngram[-1] == token)


def some_counts(draw: Draw) -> tuple[Array, float]:
    V = draw.integer(5, 12)
    return draw.numpy.poisson(1.5, size=V).astype(float), draw.choice([0.01, 0.1, 0.5, 2.0])


def no_counts(draw: Draw) -> tuple[Array, float]:
    return np.zeros(draw.integer(4, 9)), 0.5


def added(counts: Array, k: float) -> Array:
    return (counts + k) / (counts.sum() + k * len(counts))


def a_distribution(value: object, *inputs: object) -> str | None:
    p = np.asarray(value)
    if p.ndim != 1 or not np.isfinite(p).all():
        return "return one finite probability per token"
    if (p < 0).any():
        return "a probability is negative: counts below the discount keep 0, not less"
    return None if abs(p.sum() - 1) < 1e-6 else f"the probabilities should sum to 1, they sum to {p.sum():.4f}"


def some_probabilities(draw: Draw) -> tuple[Array]:
    return (draw.numpy.uniform(0.02, 0.9, size=draw.integer(6, 20)),)


def fair_choice(draw: Draw) -> tuple[Array]:
    return (np.full(7, 1 / draw.integer(3, 40)),)


def with_a_zero(draw: Draw) -> tuple[Array]:
    return (np.array([0.5, 0.0, 0.9, 0.2]),)


def perplexity(p: Array) -> float:
    return float(np.exp(-np.log(p).mean()))


def is_infinite(value: object, p: Array) -> str | None:
    return None if float(value) == math.inf else "a token that was called impossible came: the perplexity is infinite"


def orders_and_weights(draw: Draw) -> tuple[Array, Array, Array, int]:
    orders, N, V = draw.integer(2, 5), draw.integer(6, 12), draw.integer(10, 60)
    frequency = draw.numpy.uniform(0, 0.6, size=(orders, N)) * (draw.numpy.random((orders, N)) < 0.7)
    seen = np.cumprod(draw.numpy.random((orders, N)) < 0.75, axis=0).astype(bool)
    seen[0], seen[-1, 0] = True, False
    return frequency * seen, seen, draw.numpy.uniform(0.2, 0.9, size=orders), V


def interpolated(frequency: Array, seen: Array, weights: Array, V: int) -> Array:
    p = np.full(frequency.shape[1], 1 / V)
    for f, s, w in zip(frequency, seen, weights):
        p = np.where(s, w * f + (1 - w) * p, p)
    return p


def _from_zero(frequency: Array, seen: Array, weights: Array, V: int) -> Array:
    return interpolated(frequency, seen, weights, V) - interpolated(0 * frequency, seen, weights, V)


def tokens_and_previous(draw: Draw) -> tuple[list[int], int, int, float]:
    """A text in which token 0 is frequent but only ever follows token 1."""
    V = draw.integer(5, 8)
    tokens = draw.numpy.integers(2, V, size=draw.integer(40, 60)).tolist()
    for _ in range(draw.integer(8, 12)):
        at = draw.integer(0, len(tokens))
        tokens[at:at] = [1, 0] if tokens[at - 1] != 1 or at == 0 else []
    previous = draw.choice(sorted(set(tokens[:-1]) - {0, 1}))
    return tokens, previous, V + 1, draw.choice([0.5, 0.75, 0.9])  # the last token never occurs


def never_followed(draw: Draw) -> tuple[list[int], int, int, float]:
    tokens, _, V, discount = tokens_and_previous(draw)
    return tokens, V - 1, V, discount


def continued(tokens: list[int], previous: int, V: int, D: float = 0.75, fault: str = "") -> Array:
    pairs = np.zeros((V, V))
    np.add.at(pairs, (tokens[:-1], tokens[1:]), 1)
    lower = {"raw": pairs.sum(0), "right": (pairs > 0).sum(1)}.get(fault, (pairs > 0).sum(0))
    lower, row = lower / lower.sum(), pairs[previous]
    total, types = row.sum(), (row > 0).sum()
    if total == 0:
        return lower
    kept = row - D if fault == "below zero" else np.maximum(row - D, 0)
    back = {"lost": 0, "one discount": D, "total": D * total}.get(fault, D * types)
    return kept / total + back / total * lower


def _kneser_ney_fault(fault: str):
    return lambda tokens, previous, V, D=0.75: continued(tokens, previous, V, D, fault)


def table_start_draws(draw: Draw) -> tuple[Array, int, Array]:
    V = draw.integer(4, 8)
    table = draw.numpy.dirichlet(np.full(V, 0.6), size=V)
    return table, draw.integer(0, V), draw.numpy.random(draw.integer(12, 25))


def run_write(student, table, start, draws):
    """Recipe: numpy integers are as good as Python's."""
    return [int(token) for token in student(table, start, draws)]


def written(table: Array, start: int, draws: Array, fault: str = "") -> list[int]:
    out, token = [], start
    for u in draws:
        p = table[:, token] if fault == "column" else table[start if fault == "start" else token]
        token = int(p.argmax()) if fault == "argmax" else min(int((p.cumsum() <= u).sum()), len(p) - 1)
        token = max(token - 1, 0) if fault == "early" else token
        out.append(token)
    return out


def _write_fault(fault: str):
    return lambda table, start, draws: written(table, start, draws, fault)


def _one_letter_each(value: object) -> str | None:
    if not isinstance(value, dict) or set(value) != {"program 1", "program 2", "program 3"}:
        return 'give a dict with the keys "program 1", "program 2" and "program 3"'
    if any(v not in tuple("ABCDEF") for v in value.values()):
        return "each answer is one letter from A to F"
    return None if len(set(value.values())) == 3 else "the three programs have three different causes"


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
            points=2,
            difficulty=1,
            minutes=6,
            recipe=run_count,
            cases=(
                Case("single tokens", inputs=single_tokens, expected=counted),
                Case("pairs and triples", inputs=tokens_and_n, expected=counted),
            ),
            mistakes=(
                Mistake(
                    "is the last n-gram missing? N tokens hold N - n + 1 of them",
                    wrong=lambda tokens, n: counted(tokens, n, short=1),
                ),
                Mistake(
                    "n-grams overlap: move on by one token, not by n",
                    wrong=lambda tokens, n: counted(tokens, n, step=n),
                ),
                Mistake("the text is not a ring: no n-gram runs from its end to its start", wrong=_round_the_corner),
                Mistake("the keys should be tuples of token ids, also for n = 1", when=_key_types),
                Mistake("a list cannot be a key of a dictionary: make it a tuple", error="unhashable type"),
                Mistake(
                    "return how often each n-gram occurs, not only that it does",
                    wrong=lambda tokens, n: dict.fromkeys(counted(tokens, n), 1),
                ),
            ),
        ),
        Question(
            id="lab01.q2",
            title="Relative frequency",
            name="relative_frequency",
            points=2,
            difficulty=2,
            minutes=10,
            uses=("lab01.q1",),
            cases=(
                Case("no context", inputs=no_context, expected=frequency_of),
                Case("a context that also ends the text", inputs=context_at_the_end, expected=frequency_of),
                Case("a context never seen", inputs=unseen_context, expected=0.0),
            ),
            mistakes=(
                Mistake(
                    "count only the places where something follows: at the end of the text nothing follows the context",
                    wrong=_with_the_end,
                ),
                Mistake(
                    "that is the share among all n-grams: divide by those that start with this context", wrong=_joint
                ),
                Mistake(
                    "that is P(context | token): divide by what starts with the context, not by what ends in the token",
                    wrong=_given_the_token,
                ),
                Mistake("what if the context was never seen? Return 0", error="ZeroDivisionError"),
            ),
        ),
        Question(
            id="lab01.q3",
            title="Add k",
            name="add_k",
            points=1,
            difficulty=1,
            minutes=5,
            cases=(
                Case("random counts", inputs=some_counts, expected=added),
                Case("nothing was ever seen", inputs=no_counts, expected=added),
            ),
            mistakes=(
                Mistake(
                    "is k·V in the denominator? k is added V times, once for each token",
                    wrong=lambda counts, k: (counts + k) / max(counts.sum(), 1e-300),
                ),
                Mistake(
                    "k·V, not k, in the denominator: every one of the V tokens got k more",
                    wrong=lambda counts, k: (counts + k) / (counts.sum() + k),
                ),
                Mistake(
                    "every token gets k more, also those that were seen: only the zeros were raised here",
                    wrong=lambda counts, k: (counts + k * (counts == 0)) / (counts + k * (counts == 0)).sum(),
                ),
                Mistake("k is not used: 1 was added instead", wrong=lambda counts, k: added(counts, 1.0)),
            ),
        ),
        Question(
            id="lab01.q4",
            title="Perplexity",
            name="perplexity",
            points=2,
            difficulty=2,
            minutes=8,
            cases=(
                Case("a fair choice", inputs=fair_choice, expected=perplexity),
                Case("random probabilities", inputs=some_probabilities, expected=perplexity),
                Case("an impossible token came", inputs=with_a_zero, judge=is_infinite),
            ),
            mistakes=(
                Mistake(
                    "average the logarithms, not the probabilities: the text's probability is a product",
                    wrong=lambda p: float(1 / p.mean()),
                ),
                Mistake(
                    "log2 and exp do not belong together: log with exp, or log2 with 2 **",
                    wrong=lambda p: float(np.exp(-np.log2(np.maximum(p, 1e-300)).mean())),
                ),
                Mistake(
                    "log and 2 ** do not belong together: log with exp, or log2 with 2 **",
                    wrong=lambda p: float(2 ** -np.log(np.maximum(p, 1e-300)).mean()),
                ),
                Mistake("a perplexity below 1: is the minus sign there?", when=lambda value, p: 0 <= float(value) < 1),
                Mistake(
                    "the mean per token, not the sum: the perplexity should not grow with the length of the text",
                    wrong=lambda p: float(np.exp(-np.log(np.maximum(p, 1e-300)).sum())),
                ),
            ),
        ),
        Question(
            id="lab01.q5",
            title="Interpolation",
            name="interpolate",
            points=2,
            difficulty=3,
            minutes=15,
            cases=(Case("random frequencies and weights", inputs=orders_and_weights, expected=interpolated),),
            mistakes=(
                Mistake(
                    "the weight belongs to this order's frequency, 1 - weight to the shorter context",
                    wrong=lambda f, s, w, V: interpolated(f, s, 1 - w, V),
                ),
                Mistake(
                    "is seen used? Where the context was never seen its frequency says nothing, and p should stay as it was",
                    wrong=lambda f, s, w, V: interpolated(f, np.ones_like(s), w, V),
                ),
                Mistake("start from the uniform distribution, 1 / V, not from 0", wrong=_from_zero),
                Mistake(
                    "from the shortest context up: the longest should be mixed in last",
                    wrong=lambda f, s, w, V: interpolated(f[::-1], s[::-1], w[::-1], V),
                ),
            ),
        ),
        Question(
            id="lab01.q6",
            title="Kneser-Ney",
            name="kneser_ney",
            points=3,
            difficulty=4,
            minutes=20,
            uses=("lab01.q1",),
            cases=(
                Case("a frequent token with one neighbour", inputs=tokens_and_previous, expected=continued),
                Case("nothing ever followed", inputs=never_followed, expected=continued),
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
                Mistake("max(count - D, 0): a count of 0 cannot go below zero", wrong=_kneser_ney_fault("below zero")),
            ),
        ),
        Question(
            id="lab01.q7",
            title="Let it write",
            name="write",
            points=2,
            difficulty=3,
            minutes=10,
            recipe=run_write,
            cases=(Case("random tables and draws", inputs=table_start_draws, expected=written),),
            mistakes=(
                Mistake(
                    "each token is drawn given the one before it: here every one was drawn after start",
                    wrong=_write_fault("start"),
                ),
                Mistake("draw, don't take the likeliest: is u used?", wrong=_write_fault("argmax")),
                Mistake("row a holds P(. | a): a column was used", wrong=_write_fault("column")),
                Mistake(
                    "the first token whose cumulative probability exceeds u: yours is one too early",
                    wrong=_write_fault("early"),
                ),
                Mistake(
                    "return the drawn tokens only, without start",
                    wrong=lambda table, start, draws: [start, *written(table, start, draws)],
                ),
            ),
        ),
        Question(
            id="lab01.q8",
            title="Three tables that are too good",
            name="diagnosis",
            points=3,
            difficulty=4,
            minutes=20,
            cases=(Case("one letter for each program", judge=_one_letter_each),),
            hint="on random characters an honest model cannot average below 64: which programs do, and at which orders?",
        ),
    ),
    ungraded=(
        Ungraded("lab01.p1", "The best order, before counting", name="predicted_order", options=(1, 2, 3, 4, 5, 6)),
        Ungraded("lab01.t1", "Read your own plot", name="interpretation", kind="text", points=3),
        Ungraded("lab01.c1", "Fewest bits per character in 30 seconds", name="best_bits", kind="challenge"),
    ),
)
