"""Lab 08, for staff: hidden cases, keys, mutants, rubrics."""

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab08 import (
    CLOSE,
    NEARLY,
    _allocated,
    _best_of_each,
    _counted,
    _ends,
    _finished,
    _fitted,
    _points,
    _same_run,
    _served,
    _sized,
    below_the_floor,
    bent_the_other_way,
    best_size,
    bracketed,
    cheapest,
    exact_law,
    fits_the_runs,
    law_and_compute,
    law_without_floor,
    much_served,
    near_the_end,
    noisy_law,
    not_bracketed,
    nothing_served,
    on_a_law,
    opens_downwards,
    points_in_order,
    tied_shape,
    untied_shape,
)


def lowest_of_the_log(runs, text):
    """The lowest entry of each run's log instead of its end."""
    return [[i, *min(runs[i]["log"], key=lambda e: e[1])] for i, *_ in points_in_order(runs, text)]


def best_before_finished(runs, text):
    """The best of each size and length first, then those that were finished: a stopped run may beat a finished one."""
    ends = [[i, *r["log"][-1]] for i, r in enumerate(runs) if r["planned"] <= text]
    return [p for p in _best_of_each(ends, _same_run(runs)) if _finished(runs[p[0]])]


def one_of_each_size(runs, text):
    return _best_of_each(_ends(runs, text), lambda p: runs[p[0]]["N"])


def one_of_each_length(runs, text):
    return _best_of_each(_ends(runs, text), lambda p: runs[p[0]]["planned"])


def not_the_whole_text(runs, text):
    return points_in_order(runs, text - 1)


def cut_at_the_end_of_the_text(runs, text):
    """Long runs count as far as the text went: in the middle of their schedule."""
    cut = [r | {"log": [e for e in r["log"] if e[0] <= text]} for r in runs]
    more = [[i, *r["log"][-1]] for i, r in enumerate(cut) if r["planned"] > text and r["log"]]
    return points_in_order(runs, text) + more


def the_worst_rate(runs, text):
    return _best_of_each(_ends(runs, text), _same_run(runs), better=max)


def the_first_rate(runs, text):
    return _best_of_each(_ends(runs, text), _same_run(runs), better=lambda group, key: group[0])


def lowest_on_the_way(runs, text):
    """Of the rates the one whose log comes lowest anywhere is kept."""
    lowest = lambda p: min(e[1] for e in runs[p[0]]["log"])
    return _best_of_each(_ends(runs, text), _same_run(runs), better=lambda group, key: min(group, key=lowest))


def both_of_a_tie(runs, text):
    kept = {(_same_run(runs)(p), p[2]) for p in points_in_order(runs, text)}
    return [p for p in _ends(runs, text) if (_same_run(runs)(p), p[2]) in kept]


def drops_the_last(runs, text):
    return points_in_order(runs, text)[:-1]


def counts_from_one(runs, text):
    return [[i + 1, tokens, loss] for i, tokens, loss in points_in_order(runs, text)]


HIDDEN = {
    "lab08.q1": [
        Case("other tied heads", inputs=tied_shape, expected=_counted("")),
        Case("other heads of their own", inputs=untied_shape, expected=_counted("")),
        Case(
            "tied by default",
            inputs=lambda draw: {k: v for k, v in tied_shape(draw).items() if k != "tied"},
            expected=_counted(""),
        ),
    ],
    "lab08.q2": [
        Case("other laws", inputs=on_a_law, expected=_fitted(exact_law), tolerance=CLOSE),
        Case("another without a floor", inputs=law_without_floor, expected=_fitted(exact_law), tolerance=CLOSE),
        Case(
            "a floor just under the runs",
            inputs=lambda draw: _points(draw, E=3.0),
            expected=_fitted(exact_law),
            tolerance=CLOSE,
        ),
        Case("other noise", inputs=noisy_law, judge=fits_the_runs),
        Case("other noise that bends", inputs=bent_the_other_way, judge=fits_the_runs),
    ],
    "lab08.q3": [
        Case("others bracketed", inputs=bracketed, expected=_sized(best_size)),
        Case("others near the end", inputs=near_the_end, expected=_sized(best_size)),
        Case("others not bracketed", inputs=not_bracketed, expected=_sized(best_size)),
        Case("others open downwards", inputs=opens_downwards, expected=_sized(best_size)),
    ],
    "lab08.q4": [Case("other laws and budgets", inputs=law_and_compute, expected=_allocated(""), tolerance=NEARLY)],
    "lab08.q5": [
        Case("others to serve", inputs=much_served, expected=_served(cheapest), tolerance=NEARLY),
        Case("none to serve", inputs=nothing_served, expected=_served(cheapest), tolerance=NEARLY),
        Case(
            "a little to serve",
            inputs=lambda draw: (lambda law, loss, served: (law, loss, served / 30))(*much_served(draw)),
            expected=_served(cheapest),
            tolerance=NEARLY,
        ),
        Case("below the floor", inputs=below_the_floor, expected=_served(cheapest)),
    ],
    "lab08.q6": [],
    "lab08.q7": [
        Subject("gives the lowest entry of a log instead of the last", lowest_of_the_log),
        Subject("chooses the best rate first and then drops those that were stopped", best_before_finished),
        Subject("keeps one run of each size", one_of_each_size),
        Subject("keeps one run of each length", one_of_each_length),
        Subject("drops runs that read exactly the whole text", not_the_whole_text),
        Subject("cuts long runs where the text ends", cut_at_the_end_of_the_text),
        Subject("keeps the worst learning rate", the_worst_rate),
        Subject("keeps the first learning rate", the_first_rate),
        Subject("keeps the rate whose loss was lowest on the way", lowest_on_the_way),
        Subject("keeps both of two equally good runs", both_of_a_tie),
        Subject("forgets the last point", drops_the_last),
        Subject("counts the runs from 1", counts_from_one),
    ],
    "lab08.q8": [
        Key(
            runs=dict(zip(("c5", "e2", "h8", "k1", "n6", "q3", "t7", "w4", "z9"), "GCIADHBFE", strict=True)),
            true={
                "A": "bcehjl",
                "B": "bcdefhk",
                "C": "bceghkl",
                "D": "abehk",
                "E": "acehk",
                "F": "bcehik",
                "G": "bcefgkl",
                "H": "bcefhjk",
                "I": "bcdfhkl",
                "correct": "bcehk",
            },
        )
    ],
}


# What makes an observation true, from the recorded study: a test holds the key above to it.
RECORDING = "lab08_faults"


def _smallest(t):
    return min(t, key=lambda p: (p["N"], p["D"]))


def _most(t):
    return max(t, key=lambda p: p["D"])


def _per_token(p):
    return p["C"] / (p["N"] * p["D"])


def _gap(p):
    return p["held-out"] - p["training"]


def _last_budget(t):
    """Its points, the smallest size first."""
    return sorted((p for p in t if p["budget"] == max(q["budget"] for q in t)), key=lambda p: p["N"])


def _best(t):
    return min(_last_budget(t), key=lambda p: p["held-out"])


def _rates_of(t, n):
    return [p["highest rate"] for p in t if p["N"] == n]


def _ratio(values):
    return max(values) / min(values)


OBSERVED = {
    "a": lambda t, correct: not 5.5 < _per_token(_smallest(t)) < 6.5,
    "b": lambda t, correct: _ratio([_per_token(p) for p in t]) < 1.02,
    "c": lambda t, correct: sum(p["C"] for p in t) > 2e10,
    "d": lambda t, correct: _ratio(_rates_of(t, _smallest(t)["N"]) + _rates_of(t, max(p["N"] for p in t))) < 5,
    "e": lambda t, correct: _best(t) not in (_last_budget(t)[0], _last_budget(t)[-1]),
    "f": lambda t, correct: max(p["held-out"] for p in t) > 3.4,
    "g": lambda t, correct: _gap(_most(t)) > 0.25,
    "h": lambda t, correct: _gap(min(t, key=lambda p: p["D"])) < 0.25,
    "i": lambda t, correct: sum(_gap(p) < 0 for p in t) >= 10,
    "j": lambda t, correct: max(_ratio(_rates_of(t, p["N"])) for p in t) > 1.5,
    "k": lambda t, correct: _most(t)["rate at the point"] < 0.02 * _most(t)["highest rate"],
    "l": lambda t, correct: _best(t)["held-out"] > _best(correct)["held-out"] + 0.05,
}


def _count(
    kv: str = "d_model // n_heads * n_kv_heads",
    mlp: str = "3 * d_model * d_ff",
    norms: str = "(2 * n_layers + 1) * d_model",
    multiplied: str = "n_layers * block + table",
    parameters: str = "n_layers * block + table + norms + (0 if tied else table)",
    flops: str = "6 * multiplied + 3 * attention",
    attention: str = "4 * n_layers * d_model * seq_len",
) -> str:
    return f"""def count(n_layers, d_model, n_heads, n_kv_heads, d_ff, vocab_size, seq_len, tied=True):
    kv = {kv}
    block = 2 * d_model**2 + 2 * d_model * kv + {mlp}
    table = vocab_size * d_model
    norms = {norms}
    multiplied = {multiplied}
    parameters = {parameters}
    attention = {attention}
    return parameters, {flops}
"""


def _fit(
    floors: str = "np.linspace(0, 0.999, 500) * loss.min()",
    points: str = "np.log(x), np.log(loss - E)",
    law: str = "E, np.exp(intercept), -slope",
) -> str:
    return f"""def fit_law(x, loss):
    best = (math.inf,)
    for E in {floors}:
        u, v = {points}
        du = u - u.mean()
        slope = (du @ v) / (du @ du)
        intercept = v.mean() - slope * u.mean()
        error = ((E + np.exp(intercept) * x**slope - loss) ** 2).sum()
        best = min(best, (float(error), *map(float, ({law}))))
    return best[1:]
"""


def _vertex(
    fit: str = "np.polyfit(np.log(n), loss, 2)",
    at: str = "-b / (2 * a)",
    refuse: str = "a <= 0 or not np.log(min(n)) <= at <= np.log(max(n))",
    size: str = "np.exp(at)",
    value: str = "a * at * at + b * at + c",
    sizes: str = "n, loss",
) -> str:
    return f"""def best_size(n, loss):
    n, loss = np.array(n), np.array(loss)
    all_n = n
    n, loss = {sizes}
    a, b, c = {fit}
    at = {at}
    if {refuse}:
        raise ValueError("not bracketed")
    return {size}, {value}
"""


def _optimum(
    g: str = "(alpha * A / (beta * B)) ** (1 / (alpha + beta))",
    product: str = "compute / 6",
    exponent: str = "beta / (alpha + beta)",
    d: str = "product / n",
    out: str = "n, d",
) -> str:
    return f"""def optimum(law, compute):
    A, alpha, B, beta = (law[k] for k in ("A", "alpha", "B", "beta"))
    product = {product}
    n = {g} * product ** ({exponent})
    d = {d}
    return {out}
"""


def _cheapest(
    cost: str = "6 * n * d + 2 * n * served",
    rest: str = "loss - law['E']",
    refuse: str = "if rest <= 0: raise ValueError('no model')",
    best: str = "np.argmin(cost)",
    out: str = "n[i], d[i]",
) -> str:
    return f"""def cheapest(law, loss, served):
    rest = {rest}
    {refuse}
    share = 1 / (1 + np.exp(np.linspace(-12, 12, 10_001)))
    n = (law["A"] / (rest * share)) ** (1 / law["alpha"])
    d = (law["B"] / (rest * (1 - share))) ** (1 / law["beta"])
    cost = {cost}
    i = {best}
    return {out}
"""


_ROW = "[(1e7, 1e8), (1e7, 2e10), (1e8, 1e8), *[(8e7, 1.4e9)] * 5, (7e8, 8e10), (1.6e9, 2.2e11), (6e9, 3e10)]"

_RUNS = """[
        {"N": 10, "planned": 100, "log": [(50, 3.0), (100, 2.5)]},
        {"N": 10, "planned": 100, "log": [(50, 2.0), (100, 2.6)]},
        {"N": 10, "planned": 100, "log": [(50, 2.4)]},
        {"N": 10, "planned": 200, "log": [(100, 2.2), (200, 2.3)]},
        {"N": 20, "planned": 100, "log": [(60, 2.1), (100, 2.45)]},
        {"N": 20, "planned": 200, "log": [(100, 2.2), (200, 2.1)]},
        {"N": 20, "planned": 200, "log": [(100, 1.9), (200, 2.1)]},
        {"N": 20, "planned": 201, "log": [(100, 2.2), (200, 1.8), (201, 1.7)]},
        {"N": 40, "planned": 200, "log": [(100, 2.0), (150, 1.7)]},
    ]"""
_LEGAL = "all(i in ends and (tokens, loss) == tuple(ends[i]) for i, tokens, loss in output)"
_ONE = "kept == sorted(best)"
_BEST = "all(loss == best[kind[i]] for i, _, loss in output)"


def _test(
    examples: str = "[(many, 200), (many, 1000), (many[::-1], 200)]",
    ends: str = "r['log'][-1][0] == r['planned'] <= text",
    holds: str = f"{_LEGAL} and {_ONE} and {_BEST}",
) -> str:
    return f"""def examples():
    many = {_RUNS}
    return {examples}


def holds(inputs, output):
    runs, text = inputs
    ends = {{i: r["log"][-1] for i, r in enumerate(runs) if {ends}}}
    kind = {{i: (r["N"], r["planned"]) for i, r in enumerate(runs)}}
    kept = sorted(kind[i] for i, *_ in output)
    best = {{k: min((ends[i][1] for i in ends if kind[i] == k)) for k in {{kind[i] for i in ends}}}}
    return {holds}
"""


MUTANTS = [
    Mutant("lab08.q1", "2ND for 6ND", _count(flops="2 * multiplied + attention"), "the forward pass alone"),
    Mutant("lab08.q1", "embeddings in N only", _count(multiplied="n_layers * block"), "the FLOPs do not"),
    Mutant("lab08.q1", "embeddings in the FLOPs only", _count(parameters="n_layers * block + norms"), "N has no table"),
    Mutant("lab08.q1", "embeddings nowhere", _count(multiplied="n_layers * block", parameters="n_layers * block + norms"), "left out of both"),
    Mutant("lab08.q1", "looking up paid", _count(flops="6 * (multiplied + table) + 3 * attention"), "looking up an embedding is free"),
    Mutant("lab08.q1", "tied counted twice", _count(parameters="n_layers * block + 2 * table + norms"), "N counts them once"),
    Mutant("lab08.q1", "always tied", _count(parameters="n_layers * block + table + norms"), "a matrix of its own"),
    Mutant("lab08.q1", "gains multiplied", _count(flops="6 * (multiplied + norms) + 3 * attention"), "the gains of the norms multiply no matrix"),
    Mutant("lab08.q1", "no gains", _count(norms="0"), "are parameters too"),
    Mutant("lab08.q1", "no last norm", _count(norms="2 * n_layers * d_model"), "one more norm"),
    Mutant("lab08.q1", "one norm a block", _count(norms="(n_layers + 1) * d_model"), "a block has two norms"),
    Mutant("lab08.q1", "no grouping", _count(kv="d_model"), "not n_heads"),
    Mutant("lab08.q1", "two matrices", _count(mlp="2 * d_model * d_ff"), "three matrices"),
    Mutant("lab08.q1", "no attention", _count(attention="0"), "which have no weights"),
    Mutant("lab08.q1", "causal half", _count(attention="2 * n_layers * d_model * seq_len"), "halved for the mask"),
    Mutant("lab08.q1", "attention forward only", _count(flops="6 * multiplied + attention"), "for the forward pass only"),
    Mutant("lab08.q1", "attention of one layer", _count(attention="4 * d_model * seq_len"), "for one layer only"),
    Mutant("lab08.q1", "attention of one head", _count(attention="4 * n_layers * d_model * seq_len // n_heads"), "for one head only"),
    Mutant("lab08.q1", "multiplications only", _count(flops="3 * multiplied + 3 * attention // 2"), "are two operations"),
    Mutant("lab08.q1", "backward as forward", _count(flops="4 * multiplied + 2 * attention"), "three in all"),
    Mutant("lab08.q1", "one number", _count().replace("return parameters, ", "return "), "return two numbers"),
    Mutant("lab08.q2", "without E", _fit(floors="[0.0]"), "a fit without E"),
    Mutant("lab08.q2", "without E, by least squares", "def fit_law(x, loss):\n    best = (math.inf,)\n    for alpha in np.arange(0.001, 1, 0.001):\n        u = x**-alpha\n        A = (u @ loss) / (u @ u)\n        best = min(best, (((A * u - loss) ** 2).sum(), A, alpha))\n    return 0.0, *best[1:]", "a fit without E"),
    Mutant("lab08.q2", "alpha upside down", _fit(law="E, np.exp(intercept), slope"), "alpha is negative"),
    Mutant("lab08.q2", "log A", _fit(law="E, intercept, -slope"), "not the intercept"),
    Mutant("lab08.q2", "power of ten", _fit(law="E, 10**intercept, -slope"), "not by a power of ten"),
    Mutant("lab08.q2", "the least loss as floor", _fit(floors="[loss.min() - 1e-6]"), "the floor lies below"),
    Mutant("lab08.q2", "floor at the least loss", "def fit_law(x, loss):\n    E = loss.min()\n    slope, intercept = np.polyfit(np.log(x), np.log(loss - E), 1)\n    return E, np.exp(intercept), -slope", "below every loss"),
    Mutant("lab08.q2", "a search that ends too early", _fit(floors="np.linspace(0, 0.3, 100) * loss.min()"), "within 0.01"),
    Mutant("lab08.q2", "a floor below 0", "def fit_law(x, loss):\n    best = (math.inf,)\n    for alpha in np.arange(0.05, 1.1, 0.004):\n        A, E = np.polyfit(x**-alpha, loss, 1)\n        best = min(best, (((E + A * x**-alpha - loss) ** 2).sum(), E, A, alpha))\n    return best[1:]", "E is below 0"),
    Mutant("lab08.q2", "two numbers", _fit(law="E, -slope"), "three numbers"),
    Mutant("lab08.q3", "parabola in N", _vertex(fit="np.polyfit(n, loss, 2)", refuse="not min(n) <= at <= max(n) or a <= 0", size="at"), "fit it in log N"),
    Mutant("lab08.q3", "log N returned", _vertex(size="at"), "bring it back"),
    Mutant("lab08.q3", "log10 and exp", _vertex(fit="np.polyfit(np.log10(n), loss, 2)", refuse="a <= 0 or not np.log10(min(n)) <= at <= np.log10(max(n))"), "one kind of logarithm"),
    Mutant("lab08.q3", "wrong sign", _vertex(at="b / (2 * a)", refuse="False"), "mind the sign"),
    Mutant("lab08.q3", "twice as far", _vertex(at="-b / a", refuse="False"), "not at -b / a"),
    Mutant("lab08.q3", "three lowest", _vertex(sizes="n[np.argsort(loss)[:3]], loss[np.argsort(loss)[:3]]", refuse="False"), "not the three lowest"),
    Mutant("lab08.q3", "best run", _vertex(refuse="False", size="n[loss.argmin()]", value="loss.min()"), "best of the sizes tried"),
    Mutant("lab08.q3", "best run's loss", _vertex(value="loss.min()"), "not the best run's"),
    Mutant("lab08.q3", "never refuses", _vertex(refuse="False"), "nobody has seen a minimum"),
    Mutant("lab08.q3", "opening not looked at", _vertex(refuse="not np.log(min(n)) <= at <= np.log(max(n))"), "the worst size"),
    Mutant("lab08.q3", "range not looked at", _vertex(refuse="a <= 0"), "lies outside the sizes tried"),
    Mutant("lab08.q3", "best run at the end refused", _vertex(refuse="loss.argmin() in (n.argmin(), n.argmax())"), "the vertex that decides"),
    Mutant("lab08.q3", "always refuses", _vertex(refuse="True"), "refused, although"),
    Mutant("lab08.q3", "one number", "def best_size(n, loss):\n    return 1.0", "return two numbers"),
    Mutant("lab08.q4", "2ND for 6ND", _optimum(product="compute / 2"), "C = 2ND"),
    Mutant("lab08.q4", "ND for 6ND", _optimum(product="compute"), "C = ND"),
    Mutant("lab08.q4", "exponents exchanged", _optimum(exponent="alpha / (alpha + beta)"), "exponents are exchanged"),
    Mutant("lab08.q4", "equal terms", _optimum(g="(A / B) ** (1 / (alpha + beta))"), "slopes are equal"),
    Mutant("lab08.q4", "G upside down", _optimum(g="(beta * B / (alpha * A)) ** (1 / (alpha + beta))"), "upside down"),
    Mutant("lab08.q4", "G without its exponent", _optimum(g="alpha * A / (beta * B)"), "has the exponent"),
    Mutant("lab08.q4", "no G", _optimum(g="1"), "factor G missing"),
    Mutant("lab08.q4", "20 tokens", _optimum(g="20**-0.5", exponent="0.5"), "rule of thumb"),
    Mutant("lab08.q4", "the root of C", _optimum(exponent="0.5"), "only if alpha and beta"),
    Mutant("lab08.q4", "6 forgotten in D", _optimum(d="compute / n"), "cost more than C"),
    Mutant("lab08.q4", "turned round", _optimum(out="d, n"), "return N, then D"),
    Mutant("lab08.q5", "training only", _cheapest(cost="n * d"), "the tokens it will serve cost too"),
    Mutant("lab08.q5", "served at 6", _cheapest(cost="6 * n * (d + served)"), "training takes 6ND"),
    Mutant("lab08.q5", "2ND for 6ND", _cheapest(cost="2 * n * d + 2 * n * served"), "training takes 6ND"),
    Mutant("lab08.q5", "20 tokens", _cheapest(best="np.abs(np.log(d / n / 20)).argmin()"), "rule of thumb"),
    Mutant("lab08.q5", "E forgotten", _cheapest(rest="loss"), "E is left out"),
    Mutant("lab08.q5", "served tokens read", _cheapest(cost="n * d", out="n[i], d[i] + served"), "teach nothing"),
    Mutant("lab08.q5", "never refuses", _cheapest(refuse="rest = rest if rest > 0 else 1e-3"), "raise a ValueError"),
    Mutant("lab08.q5", "breaks below the floor", _cheapest(refuse="1 / max(rest, 0)"), "raise a ValueError"),
    Mutant("lab08.q6", "20 tokens a parameter", "sweep = [((c / 120) ** 0.5, 20 * (c / 120) ** 0.5) for c in np.geomspace(1e19, 1.5e21, 10).tolist()]", "not measurable"),
    Mutant("lab08.q6", "three budgets, narrow", "sweep = [((c / 6 / k) ** 0.5, k * (c / 6 / k) ** 0.5) for c in (6e19, 3e20, 1.2e21) for k in (5, 20, 80)]", "not good enough yet"),
    Mutant("lab08.q6", "too expensive", f"sweep = {_ROW} + [(1e9, 1e12)]", "over the budget (compute of all runs)"),
    Mutant("lab08.q6", "too many runs", f"sweep = {_ROW} + [(8e7, 1.4e9)] * 2", "over the budget (runs)"),
    Mutant("lab08.q6", "off the law", f"sweep = {_ROW} + [(1e7, 1e12)]", "tokens a parameter"),
    Mutant("lab08.q6", "not pairs", "sweep = [1e8, 2e9]", "a pair (N, D)"),
    Mutant("lab08.q7", "stopped runs counted", _test(ends="r['planned'] <= text"), "refuses a right answer"),
    Mutant("lab08.q7", "ends not looked at", _test(holds="len(set(kept)) == len(kept)"), "stopped in the middle"),
    Mutant("lab08.q7", "text never short", _test(examples="[(many, 1000)]"), "more than once"),
    Mutant("lab08.q7", "rates not counted", _test(holds=f"{_LEGAL} and set(kept) == set(best)"), "all learning rates"),
    Mutant("lab08.q7", "one way only", _test(holds=f"{_LEGAL} and {_ONE} and {_BEST} and [p[0] for p in output] == sorted(p[0] for p in output)"), "refuses a right answer"),
    Mutant("lab08.q7", "the first of a tie only", _test(holds=f"{_LEGAL} and {_ONE} and {_BEST} and 6 not in [p[0] for p in output]"), "refuses a right answer"),
    Mutant("lab08.q8", "another cause", 'diagnosis = {"cause": "A", "evidence": ["g", "h"]}', "not what went wrong"),
    Mutant("lab08.q8", "untrue evidence", 'diagnosis = {"cause": "C", "evidence": ["g", "a"]}', "is not true of your run"),
    Mutant("lab08.q8", "evidence for two causes", 'diagnosis = {"cause": "C", "evidence": ["g"]}', "seen under another cause"),
    Mutant("lab08.q8", "a letter", 'diagnosis = "C"', "write it as"),
]  # fmt: skip

# The challenge: 2.00 with a context of 6, a table 16 wide, a hidden layer of 48, batches of 256 and a rate of 0.04 (0.04
# to 0.05 below the baseline), and a row of 48 weights for every pair of last characters, looked up and added to the hidden
# layer before its tanh: that takes no product.
RUBRICS = {
    "lab08.t1": "3: reads from the plot that the two laws agree within the sweep and part beyond it; says that the bar of the law with E is the wider one, or that E "
    "changes with the run left out, so that a sweep of so short a range hardly knows E; draws no more than one larger run allows (one seed, one size, one point "
    "beyond the sweep), and names runs that would help: larger ones, or several seeds at the small ones. 2: two of the three. 1: describes the curves without a "
    "conclusion. 0: no plot read.",
}
