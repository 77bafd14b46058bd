"""Lab 08: what a run costs, a power law, the best size at a budget, the best use of compute, a model to be served, a
sweep within a budget, a test of which points count, a wrong study."""

import functools
import math

import numpy as np

from courseware.classroom.cases import (
    Budget,
    Case,
    Draw,
    Lab,
    Mistake,
    Number,
    Question,
    Score,
    Subject,
    Tolerance,
    Ungraded,
)

# --------------------------------------------------------------------------------------------------- 1: what a run costs


def _shape(draw: Draw, tied: bool) -> dict:
    n_kv_heads, group, width = draw.choice([1, 2]), draw.choice([2, 3]), draw.choice([2, 4])
    d_model = n_kv_heads * group * width
    return {
        "n_layers": draw.integer(2, 6),
        "d_model": d_model,
        "n_heads": n_kv_heads * group,
        "n_kv_heads": n_kv_heads,
        "d_ff": d_model + draw.integer(1, 20),
        "vocab_size": draw.integer(11, 60),
        "seq_len": draw.integer(5, 30),
        "tied": tied,
    }


def tied_shape(draw: Draw) -> dict:
    return _shape(draw, True)


def untied_shape(draw: Draw) -> dict:
    return _shape(draw, False)


def run_count(student, **shape):
    """Recipe: both numbers."""
    parameters, flops = student(**shape)
    return {"parameters": float(parameters), "training FLOPs per token": float(flops)}


def count(n_layers, d_model, n_heads, n_kv_heads, d_ff, vocab_size, seq_len, tied=True, slip=""):
    """Parameters and training FLOPs per token, or those of a slip."""
    kv = d_model if slip == "keys as queries" else d_model // n_heads * n_kv_heads
    mlp = 2 if slip == "two matrices" else 3
    blocks = n_layers * (2 * d_model * d_model + 2 * d_model * kv + mlp * d_model * d_ff)
    norms = {"no norms": 0, "no last norm": 2 * n_layers * d_model, "one norm": (n_layers + 1) * d_model}
    gains = norms.get(slip, (2 * n_layers + 1) * d_model)
    table = vocab_size * d_model
    tables = 1 if tied or slip == "always tied" else 2
    if slip == "tied counted twice":
        tables = 2
    if slip in ("table in the FLOPs only", "embeddings nowhere"):
        tables = 0
    weights = blocks + table
    if slip in ("table in N only", "embeddings nowhere"):
        weights = blocks
    elif slip == "looking up paid":
        weights = blocks + 2 * table
    elif slip == "gains multiplied":
        weights = blocks + table + gains
    attention = 4 * n_layers * d_model * seq_len
    attention = {
        "no attention": 0,
        "half of the scores": attention // 2,
        "one layer": 4 * d_model * seq_len,
        "scores per head": attention // n_heads,
    }.get(slip, attention)
    flops = {
        "forward": 2 * weights + attention,
        "attention forward": 6 * weights + attention,
        "multiplications": 3 * weights + 3 * attention // 2,
        "two passes": 2 * (2 * weights + attention),
    }.get(slip, 3 * (2 * weights + attention))
    return blocks + gains + tables * table, flops


COUNT_SLIPS = {
    "forward": "that is 2 FLOPs a weight: the forward pass alone. The backward pass takes twice as much again, which makes 6",
    "table in N only": "the embeddings are counted in one place only: N has them, the FLOPs do not. Looking up is free, but the head multiplies with its whole matrix, tied or not",
    "table in the FLOPs only": "the embeddings are counted in one place only: the FLOPs have the head, N has no table",
    "embeddings nowhere": "the embeddings are left out of both numbers: here N is all parameters, and the head multiplies",
    "looking up paid": "looking up an embedding is free: no multiplication with the table, but for the head's",
    "tied counted twice": "a tied head has the table's own weights: N counts them once",
    "always tied": "with tied=False the head has a matrix of its own, and N counts it as well",
    "gains multiplied": "6 times all parameters: the gains of the norms multiply no matrix, and an untied table is looked up",
    "no norms": "the gains of the norms are parameters too: two norms in a block, and a last one",
    "no last norm": "after the blocks comes one more norm",
    "one norm": "a block has two norms: before attention and before the MLP",
    "keys as queries": "keys and values have n_kv_heads heads, not n_heads",
    "two matrices": "the MLP is a SwiGLU: three matrices (gate, up, down)",
    "no attention": "the FLOPs lack the scores and the weighted sum of attention, which have no weights",
    "half of the scores": "scores and weighted sum take 2 n_layers d_model seq_len FLOPs each: one of them is missing, or you halved for the mask",
    "attention forward": "the attention's own FLOPs are counted for the forward pass only: the backward pass takes twice as much again",
    "one layer": "the attention's own FLOPs are counted for one layer only",
    "scores per head": "the attention's own FLOPs are counted for one head only: together the heads are d_model wide",
    "multiplications": "a multiplication and an addition are two operations",
    "two passes": "the backward pass takes twice as much as the forward pass, not as much: three in all",
}


@functools.cache
def _counted(slip: str):
    return lambda **shape: run_count(functools.partial(count, slip=slip), **shape)


_TIED = tuple(_counted(s) for s in COUNT_SLIPS if s != "always tied")
_UNTIED = tuple(_counted(s) for s in COUNT_SLIPS if s != "tied counted twice")

# -------------------------------------------------------------------------------------------------- 2: a law with a floor


def on_a_law(draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Seven to nine runs that lie on a law."""
    return _points(draw, E=0.6 + 0.1 * draw.integer(0, 12))


def law_without_floor(draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    return _points(draw, E=0.0)


def _points(draw: Draw, E: float, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    alpha, first = 0.25 + 0.05 * draw.integer(0, 6), draw.choice([2.0, 5.0, 10.0])
    n = 7 + draw.integer(0, 3)
    x = first * 10 ** np.linspace(0, 2.5, n)
    A = draw.choice([1.2, 1.6, 2.0]) * first**alpha
    return x, (E + A * x**-alpha) * np.exp(noise * draw.numpy.normal(size=n))


def noisy_law(draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """The same with a little noise: half a percent."""
    return _points(draw, E=0.8 + 0.1 * draw.integer(0, 8), noise=0.005)


def bent_the_other_way(draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """No floor, and noise that would rather have one below 0."""
    while True:
        x, loss = _points(draw, E=0.0, noise=0.005)
        loss = loss * np.exp(-0.01 * np.linspace(-1, 1, len(x)) ** 2)
        if fit(x, loss, least=-math.inf)[0] < -0.03:
            return x, loss


def run_fit(student, x, loss):
    """Recipe: E, alpha, and what the law says of a run thirty times as large as the largest."""
    E, A, alpha = (float(value) for value in student(x.copy(), loss.copy()))
    return {"E": E, "alpha": alpha, "loss at 30 times the largest x": E + A * (30 * float(x.max())) ** -alpha}


def run_residuals(student, x, loss):
    """Recipe: by how much the law misses each run, as a share of its loss."""
    E, A, alpha = (float(value) for value in student(x.copy(), loss.copy()))
    return (E + A * x**-alpha) / loss - 1


def fit(x, loss, least=0.0):
    """E (at least `least`), A, alpha with the least squared error: for each alpha E and A are a linear fit."""
    alpha = np.arange(0.02, 1.2, 0.002)
    u = x ** -alpha[:, None]
    du = u - u.mean(axis=1, keepdims=True)
    E = np.maximum(least, loss.mean() - du @ loss / (du * du).sum(axis=1) * u.mean(axis=1))
    A = (u * (loss - E[:, None])).sum(axis=1) / (u * u).sum(axis=1)
    i = ((E[:, None] + A[:, None] * u - loss) ** 2).sum(axis=1).argmin()
    return float(E[i]), float(A[i]), float(alpha[i])


def _exact_law(x, loss):
    """The law that these points lie on; ValueError if they lie on none. Mistakes say nothing about noisy runs."""
    k = (len(x) - 1) // 2  # x grows by equal factors
    first, middle, last = loss[0], loss[k], loss[2 * k]
    alpha = math.log((first - middle) / (middle - last)) / math.log(x[k] / x[0])
    A = (first - middle) / (x[0] ** -alpha - x[k] ** -alpha)
    E = first - A * x[0] ** -alpha
    if np.abs(E + A * x**-alpha - loss).max() > 1e-6:
        raise ValueError("not on a law")
    return E, A, alpha


def exact_law(x, loss):
    E, A, alpha = _exact_law(x, loss)
    return max(E, 0.0), A, alpha


def _line(x, loss):
    slope, intercept = np.polyfit(np.log(x), np.log(loss), 1)
    return 0.0, math.exp(intercept), -slope


def _log_A(x, loss):
    E, A, alpha = _exact_law(x, loss)
    return E, math.log(A), alpha


def _power_of_ten(x, loss):
    E, A, alpha = _exact_law(x, loss)
    return E, 10 ** math.log(A), alpha


@functools.cache
def _fitted(function):
    return lambda x, loss: run_fit(function, x, loss)


def _miss(law, x, loss) -> float:
    """Root mean square of the relative error, in percent."""
    E, A, alpha = law
    return 100 * float(np.sqrt((((E + A * x**-alpha) / loss - 1) ** 2).mean()))


def fits_the_runs(value, x, loss):
    """No worse than 1.25 times the best that three numbers can do."""
    E, alpha = value["E"], value["alpha"]
    if E < -1e-6:
        return "E is below 0, and no loss ever is: where the best fit would go there, E is 0 (and A and alpha fit best with that)"
    A = (value[FAR] - E) * (30 * float(x.max())) ** alpha
    best = fit(x, loss)
    yours, least = _miss((E, A, alpha), x, loss), _miss(best, x, loss)
    if yours <= 1.25 * least:
        return None
    return (
        f"your law misses the runs by {yours:.2f} % (root mean square), one with E = {best[0]:.2f} and "
        f"alpha = {best[2]:.2f} by {least:.2f} %"
    )


def _no_floor_given(value, x, loss) -> bool:
    """E is 0, and the runs do not lie on a straight line."""
    return abs(value["E"]) < 1e-6 and _miss(_line(x, loss), x, loss) > 1


FAR = "loss at 30 times the largest x"
WITHOUT_E = "E is 0: that is a straight line on log-log paper, a fit without E, and the runs bend away from it. It would promise of much larger runs what no run can reach"
BELOW = "log(loss - E) exists only for an E below every loss: begin the search at 0 and end it before the least loss"
CLOSE = Tolerance(rtol=0, atol=0.01)

# ------------------------------------------------------------------------------------------- 3: the best size at a budget


def _bowl(draw: Draw, vertex: float, lowest: float = 2.0, bend: float = 0.0) -> tuple[list, list]:
    """Five or six sizes over a factor of 30, not sorted; vertex as a share of the range of log N."""
    n = 5 + draw.integer(0, 2)
    sizes = np.round(draw.choice([1e5, 1e6, 1e7]) * 30 ** np.linspace(0, 1, n))
    place = np.log(sizes / sizes[0]) / math.log(30)
    bend = bend or draw.choice([0.5, 0.8])
    losses = lowest + bend * (place - vertex) ** 2 + 0.006 * draw.numpy.normal(size=n)
    order = draw.numpy.permutation(n)
    return [float(s) for s in sizes[order]], [float(x) for x in losses[order]]


def bracketed(draw: Draw) -> tuple[list, list]:
    """A parabola in N has its vertex inside too, somewhere else: who refuses here has not just taken no logarithm."""
    while True:
        n, loss = _bowl(draw, draw.choice([0.35, 0.45, 0.55, 0.65]))
        if REFUSED not in (best_size(n, loss), _in_n(n, loss)):
            return n, loss


def near_the_end(draw: Draw) -> tuple[list, list]:
    """The vertex lies inside, but the best run is the first or the last."""
    while True:
        n, loss = _bowl(draw, draw.choice([0.05, 0.95]))
        if n[int(np.argmin(loss))] in (min(n), max(n)) and not isinstance(best_size(n, loss), str):
            return n, loss


def not_bracketed(draw: Draw) -> tuple[list, list]:
    return _bowl(draw, draw.choice([-0.5, 1.5]))


def opens_downwards(draw: Draw) -> tuple[list, list]:
    return _bowl(draw, draw.choice([0.4, 0.5, 0.6]), bend=-draw.choice([0.4, 0.6]))


def run_best_size(student, n, loss):
    """Recipe: the best size and its loss, or that it was refused."""
    try:
        size, at = student(list(n), list(loss))
    except ValueError:
        return "refused with a ValueError"
    return {"best size": float(size), "loss there": float(at)}


REFUSED = "refused with a ValueError"


def best_size(n, loss, refuses="vertex", of=np.log, back=np.exp, sign=-1.0, points=None):
    """The vertex, or REFUSED; other arguments give the mistakes."""
    n, loss = np.asarray(n), np.asarray(loss)
    inside = n
    if points:
        kept = np.sort(np.argsort(loss)[:points])
        n, loss = n[kept], loss[kept]
    a, b, c = np.polyfit(of(n), loss, 2)
    x = sign * b / (2 * a)
    if refuses == "vertex" and (a <= 0 or not of(inside.min()) <= x <= of(inside.max())):
        return REFUSED
    if refuses == "outside" and not of(inside.min()) <= x <= of(inside.max()):
        return REFUSED
    if refuses == "opening" and a <= 0:
        return REFUSED
    if refuses == "end" and int(np.argmin(loss)) in (int(np.argmin(n)), int(np.argmax(n))):
        return REFUSED
    return float(back(x)), float(a * x * x + b * x + c)


def _best_run(n, loss):
    i = int(np.argmin(loss))
    return n[i], loss[i]


def _loss_of_the_best_run(n, loss):
    found = best_size(n, loss)
    return found if isinstance(found, str) else (found[0], min(loss))


@functools.cache
def _sized(function):
    def outcome(n, loss):
        found = function(n, loss)
        return found if isinstance(found, str) else {"best size": float(found[0]), "loss there": float(found[1])}

    return outcome


_in_n = functools.partial(best_size, of=np.asarray, back=float)
_not_back = functools.partial(best_size, back=float)
_log10 = functools.partial(best_size, of=np.log10)
_other_sign = functools.partial(best_size, sign=1.0, refuses="")
_twice = functools.partial(best_size, sign=-2.0, refuses="")
_three = functools.partial(best_size, points=3, refuses="")
_never = functools.partial(best_size, refuses="")
_only_outside = functools.partial(best_size, refuses="outside")
_only_opening = functools.partial(best_size, refuses="opening")
_at_the_end = functools.partial(best_size, refuses="end")
_SIZES = tuple(map(_sized, (_in_n, _not_back, _log10, _other_sign, _twice, _three, _best_run, _loss_of_the_best_run)))

# ------------------------------------------------------------------------------------------ 4 and 5: what compute is for


def a_law(draw: Draw) -> dict:
    """loss = E + A / N^alpha + B / D^beta; at 1e21 FLOPs 10 to 60 tokens a parameter are best."""
    alpha = 0.3 + 0.01 * draw.integer(0, 11)
    beta = alpha + 0.01 * draw.choice([-8, -5, 5, 8])
    A, ratio = 200.0 + 50 * draw.integer(0, 9), draw.choice([10, 30, 60])
    n = math.sqrt(1e21 / 6 / ratio)
    B = float(f"{alpha * A / beta * n**-alpha * (ratio * n) ** beta:.3g}")
    return {"E": 1.5 + 0.1 * draw.integer(0, 5), "A": A, "alpha": round(alpha, 2), "B": B, "beta": round(beta, 2)}


def law_and_compute(draw: Draw) -> tuple[dict, float]:
    return a_law(draw), draw.choice([1e18, 3e19, 1e21, 6e23])


def run_allocation(student, law, compute):
    """Recipe: N and D."""
    n, d = student(dict(law), compute)
    return {"N": float(n), "D": float(d)}


def allocation(law, compute, slip=""):
    """Hoffmann et al. (2022), equation 4, or a slip."""
    A, alpha, B, beta = (law[name] for name in ("A", "alpha", "B", "beta"))
    product = compute / {"2ND": 2, "ND": 1}.get(slip, 6)
    if slip == "20 tokens":
        n = math.sqrt(product / 20)
        return n, 20 * n
    g = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    if slip == "slopes left out":
        g = (A / B) ** (1 / (alpha + beta))
    elif slip == "upside down":
        g = 1 / g
    elif slip == "no root":
        g = alpha * A / (beta * B)
    elif slip == "no g":
        g = 1.0
    a = (alpha if slip == "exponents exchanged" else beta) / (alpha + beta)
    n = g * product ** (0.5 if slip == "half" else a)
    d = compute / n if slip == "D without 6" else product / n
    return (d, n) if slip == "turned round" else (n, d)


ALLOCATION_SLIPS = {
    "2ND": "that is the optimum for C = 2ND, the forward pass alone: training costs 6ND",
    "ND": "that is the optimum for C = ND: training costs 6ND",
    "exponents exchanged": "the exponents are exchanged: the faster the loss falls with the size (large alpha), the slower N has to grow, so N ~ C^(beta / (alpha + beta))",
    "slopes left out": "at the optimum the slopes are equal, not the two terms: alpha A / N^alpha = beta B / D^beta",
    "upside down": "G is upside down: the harder the size is to make up for (large A), the larger N",
    "no root": "G has the exponent 1 / (alpha + beta)",
    "no g": "is the factor G missing?",
    "20 tokens": "20 tokens a parameter is a rule of thumb for one law: compute the ratio from the one you are given",
    "half": "N grows as the root of C only if alpha and beta are equal",
    "D without 6": "D is C / (6N): N and D together cost more than C",
    "turned round": "return N, then D",
}


@functools.cache
def _allocated(slip: str):
    return lambda law, compute: run_allocation(functools.partial(allocation, slip=slip), law, compute)


_ALLOCATIONS = tuple(map(_allocated, ALLOCATION_SLIPS))


def _law_at(law, n, d):
    return law["E"] + law["A"] * n ** -law["alpha"] + law["B"] * d ** -law["beta"]


def much_served(draw: Draw) -> tuple[dict, float, float]:
    """A loss that some reasonable model has, and many more tokens to be served than it was trained on."""
    law, compute = a_law(draw), draw.choice([1e20, 1e21, 1e22])
    n, d = allocation(law, compute)
    return law, round(_law_at(law, n, d), 4), float(f"{d * draw.choice([10, 30, 60]):.2g}")


def nothing_served(draw: Draw) -> tuple[dict, float, float]:
    law, loss, _ = much_served(draw)
    return law, loss, 0.0


def below_the_floor(draw: Draw) -> tuple[dict, float, float]:
    law = a_law(draw)
    return law, law["E"] - draw.choice([0.0, 0.1]), 1e12


def run_cheapest(student, law, loss, served):
    """Recipe: the loss of the model, and what it costs in its life; or that it was refused."""
    try:
        n, d = (float(value) for value in student(dict(law), loss, served))
    except ValueError:
        return "refused with a ValueError"
    reached = law["E"] + law["A"] * n ** -law["alpha"] + law["B"] * d ** -law["beta"]
    return {"loss": reached, "FLOPs in its life": 6 * n * d + 2 * n * served}


def cheapest(law, loss, served, training=6, serving=2, ratio=None, floor=True):
    """N and D of the least training N D + serving N served that reach the loss. ratio: with that many tokens a parameter."""
    rest = loss - (law["E"] if floor else 0.0)
    if rest <= 0:
        return REFUSED
    best, width = 0.0, 12.0  # log odds of the share of the rest that the size is to blame for
    for _ in range(3):  # ever finer around the best
        odds = best + np.linspace(-width, width, 1001)
        n, d = _reaching(law, rest, odds)
        off = np.abs(np.log(d / n / ratio)) if ratio else training * n * d + serving * n * served
        best, width = float(odds[off.argmin()]), width / 100
    n, d = _reaching(law, rest, best)
    return float(n), float(d)


def _reaching(law, rest, odds):
    n = (law["A"] * (1 + np.exp(-odds)) / rest) ** (1 / law["alpha"])
    return n, (law["B"] * (1 + np.exp(odds)) / rest) ** (1 / law["beta"])


def _costs_like(function):
    """Costs what this answer costs, to within 2 %: where a cost is flat, grids end a little off its minimum."""

    def recognised(value, law, loss, served):
        n, d = function(law, loss, served)
        made = run_cheapest(lambda *given: (n, d), law, loss, served)
        return all(abs(value[name] / made[name] - 1) < within for name, within in (("loss", 2e-3), (LIFE, 0.02)))

    return recognised


LIFE = "FLOPs in its life"


@functools.cache
def _served(function):
    def outcome(law, loss, served):
        found = function(law, loss, served)
        return found if isinstance(found, str) else run_cheapest(lambda *given: found, law, loss, served)

    return outcome


_training_only = functools.partial(cheapest, serving=0)
_equal_costs = functools.partial(cheapest, serving=6)
_twenty = functools.partial(cheapest, ratio=20)
_no_floor = functools.partial(cheapest, floor=False)


def _served_are_read(law, loss, served):
    """The tokens to be served are trained on."""
    n, d = cheapest(law, loss, 0.0)
    return n, d + served


_SERVED = tuple(map(_served, (_training_only, _equal_costs, _twenty, _no_floor, _served_are_read)))

NEARLY = Tolerance(rtol=2e-3, atol=0)

# ------------------------------------------------------------------------------------------------------------- 6: a sweep

SWEEP_LAW = {"E": 1.82, "A": 482.0, "alpha": 0.3478, "B": 2085.4, "beta": 0.3658}
TARGET = (8e9, 15e12)
NOISE = 0.005
SMALLEST, LARGEST, LEAST, MOST = 1e7, 1e11, 1e8, 2e12


def a_sweep(design: object) -> str | None:
    if not isinstance(design, list) or not 1 <= len(design) <= 40:
        return "give a list of 1 to 40 runs (N, D)"
    for run in design:
        if not isinstance(run, list | tuple) or len(run) != 2 or any(type(x) not in (int, float) for x in run):
            return f"a run is a pair (N, D) of numbers, and {run!r} is none"
        if not (SMALLEST <= run[0] <= LARGEST and LEAST <= run[1] <= MOST):
            return f"N is from {SMALLEST:.0e} to {LARGEST:.0e} and D from {LEAST:.0e} to {MOST:.0e}, not {run[0]:.3g}, {run[1]:.3g}"
        if not 0.999 <= run[1] / run[0] <= 2001:
            return (
                f"D is from 1 to 2000 tokens a parameter, not {run[1] / run[0]:.3g} as in ({run[0]:.3g}, {run[1]:.3g})"
            )
    return None


def sweep_flops(design: list) -> float:
    """In units of 1e21."""
    return sum(6 * n * d for n, d in design) / 1e21


def _derivatives(n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Of log-loss by E, log A, alpha, log B, beta."""
    a, b = SWEEP_LAW["A"] * n ** -SWEEP_LAW["alpha"], SWEEP_LAW["B"] * d ** -SWEEP_LAW["beta"]
    columns = np.stack([np.ones_like(n), a, -a * np.log(n / 1e9), b, -b * np.log(d / 1e11)], axis=-1)
    return columns / (SWEEP_LAW["E"] + a + b)[..., None]


def standard_error(design: list) -> float:
    """Of the loss predicted for TARGET, in percent, when each run's loss has an error of NOISE; infinite if the runs leave
    the law open."""
    n, d = np.array(design, dtype=float).T
    rows, target = _derivatives(n, d), _derivatives(*(np.array([x]) for x in TARGET))[0]
    _, s, vt = np.linalg.svd(rows, full_matrices=False)
    if len(design) < 5 or s[-1] < 1e-7 * s[0]:
        return math.inf
    return 100 * NOISE * float(np.linalg.norm((vt @ target) / s))


# ------------------------------------------------------------------------------------------------ 7: which points count


def runs_and_text(runs: object, text: object) -> str | None:
    if not isinstance(runs, list) or not 1 <= len(runs) <= 12:
        return "runs is a list of 1 to 12 runs"
    if type(text) is not int or not 1 <= text <= 10**9:
        return "text is a whole number from 1 to 1,000,000,000"
    for run in runs:
        if not isinstance(run, dict) or set(run) != {"N", "planned", "log"}:
            return "a run is a dict with the keys N, planned, log"
        if any(type(run[k]) is not int or not 1 <= run[k] <= 10**9 for k in ("N", "planned")):
            return "N and planned are whole numbers from 1 to 1,000,000,000"
        log = run["log"]
        if not isinstance(log, list) or not 1 <= len(log) <= 8:
            return "a log is a list of 1 to 8 entries"
        if not all(isinstance(e, list | tuple) and len(e) == 2 and type(e[0]) is int for e in log):
            return "an entry of a log is a pair (tokens, loss); tokens is a whole number"
        if not all(type(e[1]) is float and 0 < e[1] < 20 for e in log):
            return "a loss is a float between 0 and 20"
        tokens = [e[0] for e in log]
        if tokens != sorted(set(tokens)) or not 1 <= tokens[0] or tokens[-1] > run["planned"]:
            return "the tokens of a log grow, begin at 1 or later, and end at planned at the latest"
    return None


def _finished(run: dict) -> bool:
    return run["log"][-1][0] == run["planned"]


def _ends(runs: list, text: int) -> list[list]:
    """(number, tokens, loss) of every run that may count."""
    return [[i, *r["log"][-1]] for i, r in enumerate(runs) if _finished(r) and r["planned"] <= text]


def _best_of_each(points: list, key, better=min) -> list[list]:
    groups: dict = {}
    for point in points:
        groups.setdefault(key(point), []).append(point)
    return [better(group, key=lambda p: p[2]) for group in groups.values()]


def _same_run(runs: list):
    return lambda p: (runs[p[0]]["N"], runs[p[0]]["planned"])


def points_in_order(runs, text):
    return _best_of_each(_ends(runs, text), _same_run(runs))


def points_from_behind(runs, text):
    return _best_of_each(_ends(runs, text)[::-1], _same_run(runs))


def points_by_loss(runs, text):
    """Sorted by loss, the first of each size and length is kept; the later run where two are equal."""
    best = {}
    for point in sorted(_ends(runs, text), key=lambda p: (p[2], -p[0])):
        best.setdefault(_same_run(runs)(point), point)
    return list(best.values())


def keeps_stopped_runs(runs, text):
    ends = [[i, *r["log"][-1]] for i, r in enumerate(runs) if r["planned"] <= text]
    return _best_of_each(ends, _same_run(runs))


def every_entry(runs, text):
    kept = {p[0] for p in points_in_order(runs, text)}
    return [[i, *entry] for i, r in enumerate(runs) if i in kept for entry in r["log"]]


def repeats_the_text(runs, text):
    return points_in_order(runs, max(r["planned"] for r in runs))


def keeps_every_rate(runs, text):
    return _ends(runs, text)


# ---------------------------------------------------------------------------------------------------- 8: a wrong study

# ---------------------------------------------------------------------------------------------------- 8: a wrong study

FAULTS = {
    "A": "the points are checkpoints from the middle of longer runs",
    "B": "all sizes have the learning rate of the smallest",
    "C": "the text is short and read many times, and every reading counts as new tokens",
    "D": "compute is counted as 2ND",
    "E": "embeddings are counted in the compute and not in the sizes",
    "F": "the held-out text is also part of the training text",
    "G": "the held-out loss is in bits, the training loss in nats",
    "H": "every run has a warm-up of 200 updates, however short it is",
    "I": "the sizes tried are all too large",
}
STUDIES = ("c5", "e2", "h8", "k1", "n6", "q3", "t7", "w4", "z9")
OBSERVATIONS = {
    "a": "C / (N D) of the smallest model is not between 5.5 and 6.5",
    "b": "C / (N D) is the same in all runs, to within 2 %",
    "c": "all runs together cost more than 2e10 FLOPs, as C is written down",
    "d": "the highest rates of the smallest and of the largest model differ by a factor of less than 5",
    "e": "at the largest budget the best size is neither the smallest nor the largest tried",
    "f": "some held-out loss is above 3.4",
    "g": "in the run with the most tokens the held-out loss is more than 0.25 above the training loss",
    "h": "in the run with the fewest tokens the held-out loss is less than 0.25 above the training loss",
    "i": "in at least 10 of the 15 runs the held-out loss is below the training loss",
    "j": "two runs of one size have highest rates that differ by a factor of more than 1.5",
    "k": "in the run with the most tokens the rate at the point is below 2 % of the highest",
    "l": "at the largest budget the lowest held-out loss is more than 0.05 above the correct study's",
}


LAB = Lab(
    id="lab08",
    title="Scaling laws",
    provides=("llmlib.data", "llmlib.text"),
    forbids=("scipy",),
    questions=(
        Question(
            id="lab08.q1",
            title="What a run costs",
            name="count",
            points=2,
            difficulty=2,
            minutes=15,
            recipe=run_count,
            tolerance=Tolerance(rtol=1e-6, atol=0),
            cases=(
                Case("a tied head", inputs=tied_shape, expected=_counted(""), separates=_TIED),
                Case("a head of its own", inputs=untied_shape, expected=_counted(""), separates=_UNTIED),
            ),
            mistakes=(
                *(Mistake(message, wrong=_counted(slip)) for slip, message in COUNT_SLIPS.items()),
                Mistake(
                    "return two numbers: the parameters and the FLOPs",
                    error="not enough values to unpack|cannot unpack",
                ),
            ),
        ),
        Question(
            id="lab08.q2",
            title="A law with a floor",
            name="fit_law",
            points=3,
            difficulty=3,
            minutes=18,
            recipe=run_fit,
            cases=(
                Case(
                    "runs on a law",
                    inputs=on_a_law,
                    expected=_fitted(exact_law),
                    tolerance=CLOSE,
                    separates=tuple(map(_fitted, (_line, _log_A, _power_of_ten))),
                    hint="the law that these runs lie on is asked for to within 0.01",
                ),
                Case(
                    "a law without a floor",
                    inputs=law_without_floor,
                    expected=_fitted(exact_law),
                    tolerance=CLOSE,
                    separates=(_fitted(_log_A), _fitted(_power_of_ten)),
                    hint="E may be 0 too",
                ),
                Case("runs with a little noise", inputs=noisy_law, judge=fits_the_runs),
                Case("noise that bends them the other way", inputs=bent_the_other_way, judge=fits_the_runs),
            ),
            mistakes=(
                Mistake(BELOW, when=lambda value, x, loss: any(map(math.isnan, value.values()))),
                Mistake(WITHOUT_E, wrong=_fitted(_line), when=_no_floor_given),
                Mistake(
                    "alpha is negative: the law is A x^-alpha, and the slope of the straight line is -alpha",
                    when=lambda value, x, loss: value["alpha"] < 0,
                ),
                Mistake("A is the exponential of the line's intercept, not the intercept", wrong=_fitted(_log_A)),
                Mistake("logarithms to base e are undone by exp, not by a power of ten", wrong=_fitted(_power_of_ten)),
                Mistake(
                    "E is the least loss measured: the floor lies below every run, and how far is what is to be fitted",
                    when=lambda value, x, loss: abs(value["E"] - float(loss.min())) < 2e-3,
                ),
                Mistake(BELOW, error="SVD did not converge|DLASCL|infs or NaNs|LinAlgError"),
                Mistake("return three numbers: E, A, alpha", error="not enough values to unpack|cannot unpack"),
            ),
        ),
        Question(
            id="lab08.q3",
            title="The best size at a budget",
            name="best_size",
            points=2,
            difficulty=2,
            minutes=12,
            printed=True,
            recipe=run_best_size,
            cases=(
                Case("bracketed", inputs=bracketed, expected=_sized(best_size), separates=_SIZES),
                Case("near the end", inputs=near_the_end, expected=_sized(best_size), separates=(_sized(_at_the_end),)),
                Case(
                    "not bracketed",
                    inputs=not_bracketed,
                    expected=_sized(best_size),
                    separates=(_sized(_never), _sized(_only_opening)),
                ),
                Case(
                    "opens downwards",
                    inputs=opens_downwards,
                    expected=_sized(best_size),
                    separates=(_sized(_never), _sized(_only_outside)),
                ),
            ),
            mistakes=(
                Mistake(
                    "the best run is the smallest or the largest, but the vertex lies between the sizes tried: it is the vertex that decides",
                    wrong=_sized(_at_the_end),
                ),
                Mistake("that is the vertex of a parabola in N: fit it in log N", wrong=_sized(_in_n)),
                Mistake("that is the vertex in log N: bring it back to N", wrong=_sized(_not_back)),
                Mistake("fitted in log10 and brought back with exp: take one kind of logarithm", wrong=_sized(_log10)),
                Mistake("the vertex of a x^2 + b x + c lies at -b / (2a): mind the sign", wrong=_sized(_other_sign)),
                Mistake("the vertex of a x^2 + b x + c lies at -b / (2a), not at -b / a", wrong=_sized(_twice)),
                Mistake("all runs belong to the parabola, not the three lowest alone", wrong=_sized(_three)),
                Mistake(
                    "that is the best of the sizes tried: the parabola tells where between them the best one lies",
                    wrong=_sized(_best_run),
                ),
                Mistake(
                    "the loss is the parabola's at its vertex, not the best run's", wrong=_sized(_loss_of_the_best_run)
                ),
                Mistake(
                    "the parabola opens downwards: its vertex is the worst size, not the best. Raise a ValueError",
                    wrong=_sized(_only_outside),
                ),
                Mistake(
                    "the vertex lies outside the sizes tried: raise a ValueError, nobody has seen a minimum",
                    wrong=_sized(_only_opening),
                ),
                Mistake(
                    "the vertex lies outside the sizes tried, or the parabola opens downwards: raise a ValueError, nobody has seen a minimum",
                    wrong=_sized(_never),
                ),
                Mistake(
                    "refused, although the parabola opens upwards and its vertex lies between the sizes tried",
                    when=lambda value, n, loss: value == REFUSED and best_size(n, loss) != REFUSED,
                ),
                Mistake("return two numbers: the size and the loss", error="not enough values to unpack|cannot unpack"),
            ),
        ),
        Question(
            id="lab08.q4",
            title="The best use of a budget",
            name="optimum",
            points=2,
            difficulty=3,
            minutes=12,
            printed=True,
            recipe=run_allocation,
            cases=(
                Case(
                    "laws and budgets",
                    inputs=law_and_compute,
                    expected=_allocated(""),
                    separates=_ALLOCATIONS,
                    tolerance=Tolerance(rtol=2e-3, atol=0),
                ),
            ),
            mistakes=tuple(Mistake(message, wrong=_allocated(slip)) for slip, message in ALLOCATION_SLIPS.items()),
        ),
        Question(
            id="lab08.q5",
            title="A model to be served",
            name="cheapest",
            points=3,
            difficulty=5,
            minutes=20,
            recipe=run_cheapest,
            cases=(
                Case(
                    "many tokens to serve",
                    inputs=much_served,
                    expected=_served(cheapest),
                    separates=_SERVED,
                    tolerance=NEARLY,
                    hint="does the model reach the loss, and is there none that costs less?",
                ),
                Case(
                    "none to serve",
                    inputs=nothing_served,
                    expected=_served(cheapest),
                    separates=(_served(_twenty), _served(_no_floor)),
                    tolerance=NEARLY,
                    hint="does the model reach the loss, and is there none that costs less?",
                ),
                Case("a loss that no model reaches", inputs=below_the_floor, expected=_served(cheapest)),
            ),
            mistakes=(
                Mistake(
                    "no model reaches a loss of E or less: raise a ValueError",
                    when=lambda value, law, loss, served: loss <= law["E"] and value != REFUSED,
                ),
                Mistake(
                    "no model reaches a loss of E or less: raise a ValueError",
                    error="complex|ZeroDivisionError|math domain|argmin of an empty",
                ),
                Mistake(
                    "that is the cheapest model to train: the tokens it will serve cost too, and a smaller one, trained for longer, saves there",
                    wrong=_served(_training_only),
                    when=_costs_like(_training_only),
                ),
                Mistake(
                    "that is the cheapest if a token served cost as much as a token trained on (2 and 2, or 6 and 6): training takes 6ND, serving 2N a token",
                    wrong=_served(_equal_costs),
                    when=_costs_like(_equal_costs),
                ),
                Mistake(
                    "20 tokens a parameter is a rule of thumb for the best training, and for one law: here serving counts",
                    wrong=_served(_twenty),
                ),
                Mistake(
                    "E is left out of the loss to be reached: what size and tokens can bring down is loss - E",
                    wrong=_served(_no_floor),
                ),
                Mistake(
                    "the tokens served are not trained on: they cost, and teach nothing",
                    wrong=_served(_served_are_read),
                ),
                Mistake("return N and D", error="not enough values to unpack|cannot unpack"),
            ),
        ),
        Question(
            id="lab08.q6",
            title="A sweep within a budget",
            name="sweep",
            kind="design",
            points=3,
            difficulty=4,
            minutes=18,
            valid=a_sweep,
            budgets=(
                Budget("compute of all runs", "times 1e21 FLOPs", 5, sweep_flops),
                Budget("runs", "runs", 12, len),
            ),
            score=Score("standard error of the prediction", "% of the loss", 0.8, standard_error, better="lower"),
        ),
        Question(
            id="lab08.q7",
            title="Test somebody else's choice of points",
            name="holds",
            kind="test",
            examples="examples",
            points=3,
            difficulty=3,
            minutes=18,
            valid=runs_and_text,
            right=(
                Subject("the runs in their order", points_in_order),
                Subject("the runs from the last to the first", points_from_behind),
                Subject("the runs sorted by their loss", points_by_loss),
            ),
            wrong=(
                Subject("counts runs that were stopped in the middle of their schedule", keeps_stopped_runs),
                Subject("gives every entry of a log, the middle of the schedule included", every_entry),
                Subject("counts runs that read the text more than once", repeats_the_text),
                Subject("keeps all learning rates, the bad ones too", keeps_every_rate),
            ),
        ),
        Question(
            id="lab08.q8",
            title="A study that went wrong",
            name="diagnosis",
            kind="diagnosis",
            points=3,
            difficulty=4,
            minutes=20,
            faults=FAULTS,
            observations=OBSERVATIONS,
            runs=STUDIES,
        ),
    ),
    ungraded=(
        Ungraded(
            "lab08.p1",
            "Loss of the larger run",
            name="predicted_loss",
            number=Number(0.5, 4.2, unit="nats per character"),
        ),
        Ungraded("lab08.t1", "Read your own plot", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab08.c1",
            "Lowest validation loss for 1e10 FLOPs",
            name="best_loss",
            kind="challenge",
            number=Number(0.5, 5, unit="nats per character"),
            baseline=2.14,
            seconds=60,
        ),
    ),
)
