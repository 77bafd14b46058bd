"""Lab 08: other right answers, each written its own way, and wrong ones that have no message of their own."""

_COUNT = "def count(n_layers, d_model, n_heads, n_kv_heads, d_ff, vocab_size, seq_len, tied=True):"

_RUNS = """
def _run(n, planned, *log):
    return {"N": n, "planned": planned, "log": list(log)}

"""

RIGHT = {
    "lab08.q1": [
        f"""
{_COUNT}
    head = d_model // n_heads
    matrices = [(d_model, n_heads * head), (d_model, n_kv_heads * head), (d_model, n_kv_heads * head)]
    matrices += [(n_heads * head, d_model), (d_model, d_ff), (d_model, d_ff), (d_ff, d_model)]
    matrices = matrices * n_layers + [(d_model, vocab_size)]
    weights = sum(a * b for a, b in matrices)
    forward = 2 * weights + n_layers * n_heads * seq_len * (2 * head + 2 * head)
    return weights + d_model * (1 + n_layers * 2) + (not tied) * vocab_size * d_model, 3 * forward
""",
        f"""
{_COUNT}
    import numpy as np
    width = d_model / n_heads
    N = vocab_size * d_model * (1 if tied else 2) + d_model
    for _ in range(n_layers):
        N += 2 * d_model + d_model * width * (2 * n_heads + 2 * n_kv_heads) + 3 * d_model * d_ff
    gains = (2 * n_layers + 1) * d_model
    looked_up = 0 if tied else vocab_size * d_model
    return np.float64(N), 6.0 * (N - gains - looked_up) + 12 * n_layers * n_heads * width * seq_len
""",
        f"""
{_COUNT}
    shapes = dict(q=(d_model, d_model), k=(d_model * n_kv_heads // n_heads, d_model), o=(d_model, d_model),
                  gate=(d_ff, d_model), up=(d_ff, d_model), down=(d_model, d_ff))
    shapes["v"] = shapes["k"]
    block = sum(torch.empty(s, device="meta").numel() for s in shapes.values())
    table = vocab_size * d_model
    training = n_layers * (6 * block + 12 * d_model * seq_len) + 6 * table
    return [n_layers * (block + 2 * d_model) + d_model + table * (2 - tied), training]
""",
    ],
    "lab08.q2": [
        """
def fit_law(x, loss):                                      # a grid over E, a straight line in the logarithms, refined
    low, high, lx = 0.0, float(loss.min()) * (1 - 1e-6), np.log(x)
    for _ in range(6):
        found = []
        for E in np.linspace(low, high, 60):
            y = np.log(loss - E)
            w = loss - E                                   # an error of the loss counts the same everywhere
            slope, intercept = np.polyfit(lx, y, 1, w=w)
            found.append((float(((E + np.exp(intercept + slope * lx) - loss) ** 2).sum()), E, np.exp(intercept), -slope))
        best = min(found)
        step = (high - low) / 59
        low, high = max(0.0, best[1] - step), min(float(loss.min()) * (1 - 1e-6), best[1] + step)
    return best[1:]
""",
        """
def fit_law(x, loss):                                      # golden section in alpha; E and A from torch's least squares
    X, y = torch.from_numpy(x), torch.from_numpy(loss)

    def at(alpha):
        u = X**-alpha
        E, A = torch.linalg.lstsq(torch.stack([torch.ones_like(u), u], 1), y[:, None]).solution[:, 0]
        if E < 0:
            E, A = torch.zeros(()), (u @ y) / (u @ u)
        return float(((E + A * u - y) ** 2).sum()), float(E), float(A), alpha

    low, high, g = 0.05, 1.2, (5**0.5 - 1) / 2
    for _ in range(60):
        a, b = high - g * (high - low), low + g * (high - low)
        if at(a)[0] < at(b)[0]:
            high = b
        else:
            low = a
    return at((low + high) / 2)[1:]
""",
        """
def fit_law(x, loss):                                      # Gauss and Newton, with E = exp(e) and A = exp(a), from starts
    best = None
    lx = np.log(x)
    for share in (0.001, 0.5, 0.95):
        for alpha in (0.2, 0.6):
            E = share * loss.min()
            p = np.array([np.log(E), np.log(loss[0] - E) + alpha * lx[0], alpha])
            damping = 1e-2
            def residual(p):
                return np.log(np.exp(p[0]) + np.exp(p[1] - p[2] * lx)) - np.log(loss)
            r = residual(p)
            for _ in range(100):
                u = np.exp(p[1] - p[2] * lx)
                total = np.exp(p[0]) + u
                J = np.stack([np.exp(p[0]) / total, u / total, -u * lx / total], 1)
                step = np.linalg.solve(J.T @ J + damping * np.diag((J * J).sum(0) + 1e-12), -J.T @ r)
                new = residual(p + np.clip(step, -2, 2))
                if (new @ new) < (r @ r):
                    p, r, damping = p + np.clip(step, -2, 2), new, damping / 3
                else:
                    damping = min(damping * 4, 1e6)
            if best is None or r @ r < best[0]:
                best = (r @ r, np.exp(p[0]), np.exp(p[1]), p[2])
    return best[1:]
""",
    ],
    "lab08.q3": [
        """
def best_size(n, loss):
    x = torch.tensor(n, dtype=torch.float64).log()
    design = torch.stack([x**2, x, torch.ones_like(x)], 1)
    a, b, c = torch.linalg.lstsq(design, torch.tensor(loss, dtype=torch.float64)[:, None]).solution[:, 0].tolist()
    if a <= 0:
        raise ValueError("opens downwards")
    x0 = -b / a / 2
    if not x.min() <= x0 <= x.max():
        raise ValueError("not bracketed")
    return math.exp(x0), a * x0**2 + b * x0 + c
""",
        """
def best_size(n, loss):
    middle = np.mean(np.log10(n))
    curve = np.polynomial.Polynomial.fit(np.log10(n) - middle, loss, 2)
    at = curve.deriv().roots()[0]
    smallest, largest = np.log10(min(n)) - middle, np.log10(max(n)) - middle
    if curve.deriv(2)(0) < 0 or at < smallest or at > largest:
        raise ValueError
    return 10 ** (at + middle), curve(at)
""",
    ],
    "lab08.q4": [
        """
def optimum(law, compute):
    a, b = law["alpha"], law["beta"]
    d = (b * law["B"] / (a * law["A"])) ** (1 / (a + b)) * (compute / 6) ** (a / (a + b))
    return compute / (6 * d), d
""",
        """
def optimum(law, compute):
    n = np.geomspace(1e3, 1e16, 400_001)
    d = compute / 6 / n
    i = (law["A"] / n ** law["alpha"] + law["B"] / d ** law["beta"]).argmin()
    return n[i], d[i]
""",
        """
def optimum(law, compute):                                 # where the slopes are equal, by halving in log N
    low, high = math.log(1.0), math.log(compute / 6)
    for _ in range(200):
        x = (low + high) / 2
        n, d = math.exp(x), compute / 6 / math.exp(x)
        if law["alpha"] * law["A"] * n ** -law["alpha"] > law["beta"] * law["B"] * d ** -law["beta"]:
            low = x
        else:
            high = x
    return [n, d]
""",
    ],
    "lab08.q5": [
        """
def cheapest(law, loss, served):
    if loss <= law["E"]:
        raise ValueError("out of reach")
    smallest = (law["A"] / (loss - law["E"])) ** (1 / law["alpha"])
    low, high = math.log(smallest) + 1e-6, math.log(smallest) + 25

    def at(x):
        n = math.exp(x)
        d = (law["B"] / (loss - law["E"] - law["A"] * n ** -law["alpha"])) ** (1 / law["beta"])
        return n * (3 * d + served), n, d

    g = (5**0.5 - 1) / 2
    for _ in range(120):
        a, b = high - g * (high - low), low + g * (high - low)
        if at(a)[0] < at(b)[0]:
            high = b
        else:
            low = a
    return at(low)[1:]
""",
        """
def cheapest(law, loss, served):
    d = np.geomspace(1e6, 1e20, 300_001)
    left = loss - law["E"] - law["B"] / d ** law["beta"]
    d, left = d[left > 0], left[left > 0]
    if len(d) == 0 or loss <= law["E"]:
        raise ValueError("out of reach")
    n = (law["A"] / left) ** (1 / law["alpha"])
    i = np.argmin(6 * n * d + 2 * n * served)
    return float(n[i]), float(d[i])
""",
        """
def cheapest(law, loss, served):
    rest = loss - law["E"]
    if not rest > 0:
        raise ValueError(rest)
    best, low, high = None, 0.0, 1.0
    for _ in range(8):                                     # ever finer around the best share
        for share in [low + (high - low) * i / 200 for i in range(1, 200)]:
            n = (law["A"] / (rest * share)) ** (1 / law["alpha"])
            d = (law["B"] / (rest * (1 - share))) ** (1 / law["beta"])
            cost = 6 * n * d + 2 * n * served
            if best is None or cost < best[0]:
                best = (cost, n, d, share)
        width = (high - low) / 50
        low, high = max(0.0, best[3] - width), min(1.0, best[3] + width)
    return torch.tensor(best[1]), torch.tensor(best[2])
""",
    ],
    "lab08.q6": [
        "sweep = [(1e7, 2e10), (8e7, 1e8), *[(8e7, 1.4e9)] * 4, (1e9, 3e11), (1e9, 5e10), (6e9, 4e10)]",
        "sweep = [[10_000_000, 20_000_000_000], *[[100_000_000, 1_000_000_000]] * 5, [100_000_000, 100_000_000],"
        " [100_000_000, 200_000_000_000], [1_000_000_000, 200_000_000_000], [2e9, 1e11], [6e9, 3e10]]",
    ],
    "lab08.q7": [
        _RUNS
        + """
def examples():
    base = [_run(10, 100, (50, 3.0), (100, 2.5)), _run(10, 100, (50, 2.0), (100, 2.6)), _run(10, 100, (50, 2.4)),
            _run(10, 200, (100, 2.2), (200, 2.3)), _run(20, 100, (60, 2.1), (100, 2.45)), _run(20, 200, (200, 2.1)),
            _run(20, 200, (100, 1.9), (200, 2.1)), _run(20, 300, (100, 1.5), (300, 1.4))]
    return [(base, text) for text in (99, 100, 200, 250, 300)] + [(base[::-1], 200)]


def holds(inputs, output):
    runs, text = inputs
    left = {}
    for i, run in enumerate(runs):
        tokens, loss = run["log"][-1]
        if tokens == run["planned"] and tokens <= text:
            left.setdefault((run["N"], tokens), []).append((loss, i))
    for number, tokens, loss in output:
        assert 0 <= number < len(runs)
        group = left.pop((runs[number]["N"], runs[number]["planned"]))      # a second one finds nothing
        assert (loss, number) in group and loss == min(group)[0] and tokens == runs[number]["planned"]
    return not left
""",
        _RUNS
        + """
def examples():
    return [([_run(5, 10, (5, 1.0), (10, 2.0)), _run(5, 10, (5, 1.5), (10, 1.9)), _run(5, 10, (5, 1.8))], 10),
            ([_run(5, 10, (10, 2.0)), _run(5, 20, (10, 1.2), (20, 1.9)), _run(6, 20, (20, 1.7))], 20),
            ([_run(5, 10, (10, 2.0)), _run(5, 10, (10, 2.0)), _run(6, 10, (10, 2.1))], 15),
            ([_run(5, 10, (10, 2.0)), _run(5, 20, (10, 1.2), (20, 1.9))], 12),
            ([_run(5, 10, (10, 2.5)), _run(5, 10, (10, 2.0)), _run(5, 10, (4, 1.7), (10, 2.2))], 15)]


def holds(inputs, output):
    runs, text = inputs
    good = [i for i, r in enumerate(runs) if r["planned"] <= text and r["log"][-1][0] == r["planned"]]
    numbers = [int(p[0]) for p in output]
    if not set(numbers) <= set(good) or len(set(numbers)) < len(numbers):
        return False
    if [[p[1], p[2]] for p in output] != [list(runs[i]["log"][-1]) for i in numbers]:
        return False
    kinds = [(runs[i]["N"], runs[i]["planned"]) for i in numbers]
    if len(set(kinds)) != len(kinds):
        return False
    for i in good:                                          # each good run is beaten, or equalled, by a kept one
        if not any(k == (runs[i]["N"], runs[i]["planned"]) and p[2] <= runs[i]["log"][-1][1] for k, p in zip(kinds, output)):
            return False
    return True
""",
    ],
}

WRONG = {
    "lab08.q1": [
        f"{_COUNT}\n    return None",
        f"{_COUNT}\n    n = 12 * n_layers * d_model**2\n    return n, 6 * n",
        f"""
{_COUNT}
    kv = d_model // n_heads * n_kv_heads
    block = 2 * d_model**2 + 2 * d_model * kv + 3 * d_model * d_ff
    table = vocab_size * d_model * (1 if tied else 2)
    N = n_layers * block + table + (2 * n_layers + 1) * d_model
    return N, 6 * N + 12 * n_layers * d_model * seq_len
""",
        f"""
{_COUNT}
    kv = d_model // n_heads * n_kv_heads
    block = 2 * d_model**2 + 2 * d_model * kv + 3 * d_model * d_ff
    table = vocab_size * d_model
    N = n_layers * block + table + (2 * n_layers + 1) * d_model + (0 if tied else table)
    return N, (6 * (n_layers * block + table) + 12 * n_layers * d_model * seq_len) * seq_len
""",
        f"""
{_COUNT}
    kv = d_model // n_heads * n_kv_heads
    block = 2 * d_model**2 + 2 * d_model * kv + 3 * d_model * d_ff
    table = vocab_size * d_model
    N = n_layers * block + table + (2 * n_layers + 1) * d_model + (table if tied else 0)
    return N, 6 * (n_layers * block + table) + 12 * n_layers * d_model * seq_len
""",
        f"""
{_COUNT}
    kv = d_model // n_heads * n_kv_heads
    block = 2 * d_model**2 + 2 * d_model * kv + 3 * d_model * d_ff
    table = vocab_size * d_model
    N = n_layers * block + table + (2 * n_layers + 1) * d_model + (0 if tied else table)
    return N, 6 * (n_layers * block + table) + 12 * n_layers * kv * seq_len
""",
    ],
    "lab08.q2": [
        "def fit_law(x, loss):\n    return 1.0, 1.0, 0.5",
        "def fit_law(x, loss):\n    return None",
        """
def fit_law(x, loss):                                      # the floor at half of the least loss
    E = loss.min() / 2
    slope, intercept = np.polyfit(np.log(x), np.log(loss - E), 1)
    return E, np.exp(intercept), -slope
""",
        """
def fit_law(x, loss):                                      # alpha is taken for granted
    A, E = np.polyfit(x**-0.5, loss, 1)
    return max(0.0, E), A, 0.5
""",
        """
def fit_law(x, loss):                                      # three of the runs decide, whatever their noise
    k = (len(x) - 1) // 2
    a, b, c = loss[0], loss[k], loss[2 * k]
    if not a > b > c:
        return 0.0, a, 0.1
    alpha = math.log((a - b) / (b - c)) / math.log(x[k] / x[0])
    A = (a - b) / (x[0] ** -alpha - x[k] ** -alpha)
    E = a - A * x[0] ** -alpha
    return (E, A, alpha) if np.abs(E + A * x**-alpha - loss).max() < 1e-5 else (0.0, a * x[0] ** 0.3, 0.3)
""",
        """
def fit_law(x, loss):                                      # A and alpha exchanged
    best = (math.inf,)
    for alpha in np.arange(0.05, 1.1, 0.002):
        A, E = np.polyfit(x**-alpha, loss, 1)
        best = min(best, (((E + A * x**-alpha - loss) ** 2).sum(), E, A, alpha))
    return best[1], best[3], best[2]
""",
        """
def fit_law(x, loss):                                      # log2 of x
    best = (math.inf,)
    for E in np.linspace(0, 0.999, 500) * loss.min():
        slope, intercept = np.polyfit(np.log2(x), np.log(loss - E), 1)
        best = min(best, (((E + np.exp(intercept + slope * np.log2(x)) - loss) ** 2).sum(), E, np.exp(intercept), -slope))
    return best[1:]
""",
    ],
    "lab08.q3": [
        "def best_size(n, loss):\n    return None",
        "def best_size(n, loss):\n    raise ValueError('never')",
        """
def best_size(n, loss):                                    # sizes are taken to be sorted
    a, b, c = np.polyfit(np.log(n), loss, 2)
    at = -b / (2 * a)
    if a <= 0 or not np.log(n[0]) <= at <= np.log(n[-1]):
        raise ValueError
    return math.exp(at), c - b * b / (4 * a)
""",
        """
def best_size(n, loss):                                    # one is returned instead of refused
    a, b, c = np.polyfit(np.log(n), loss, 2)
    at = -b / (2 * a)
    if a <= 0 or not np.log(min(n)) <= at <= np.log(max(n)):
        return None
    return math.exp(at), c - b * b / (4 * a)
""",
        """
def best_size(n, loss):                                    # a parabola in the log of the loss
    a, b, c = np.polyfit(np.log(n), np.log(loss), 2)
    at = -b / (2 * a)
    if a <= 0 or not np.log(min(n)) <= at <= np.log(max(n)):
        raise ValueError
    return math.exp(at), math.exp(c - b * b / (4 * a))
""",
    ],
    "lab08.q4": [
        "def optimum(law, compute):\n    return None",
        """
def optimum(law, compute):
    n = math.sqrt(compute / 6)
    return n, n
""",
        """
def optimum(law, compute):
    a, b = law["alpha"], law["beta"]
    g = (a * law["A"] / (b * law["B"])) ** (1 / (a + b))
    n = g * (compute / 6) ** (b / (a + b))
    return n, (compute / 6) ** (a / (a + b)) * g
""",
        """
def optimum(law, compute):
    a, b = law["alpha"], law["beta"]
    n = (a * law["A"] / (b * law["B"]) * compute / 6) ** (b / (a + b))
    return n, compute / 6 / n
""",
    ],
    "lab08.q5": [
        "def cheapest(law, loss, served):\n    return None",
        """
def cheapest(law, loss, served):                           # a fixed ratio of 200
    rest = loss - law["E"]
    if rest <= 0:
        raise ValueError
    n = np.geomspace(1e3, 1e15, 100_001)
    reached = law["A"] / n ** law["alpha"] + law["B"] / (200 * n) ** law["beta"]
    i = np.abs(reached - rest).argmin()
    return n[i], 200 * n[i]
""",
        """
def cheapest(law, loss, served):                           # the smallest size that can reach the loss, nearly
    rest = loss - law["E"]
    if rest <= 0:
        raise ValueError
    n = 1.05 * (law["A"] / rest) ** (1 / law["alpha"])
    return n, (law["B"] / (rest - law["A"] * n ** -law["alpha"])) ** (1 / law["beta"])
""",
        """
def cheapest(law, loss, served):                           # half the rest each
    rest = loss - law["E"]
    if rest <= 0:
        raise ValueError
    return (2 * law["A"] / rest) ** (1 / law["alpha"]), (2 * law["B"] / rest) ** (1 / law["beta"])
""",
        """
def cheapest(law, loss, served):                           # serving without N
    rest = loss - law["E"]
    if rest <= 0:
        raise ValueError
    share = np.linspace(0.001, 0.999, 9981)
    n = (law["A"] / (share * rest)) ** (1 / law["alpha"])
    d = (law["B"] / ((1 - share) * rest)) ** (1 / law["beta"])
    i = (6 * n * d + 2 * served).argmin()
    return n[i], d[i]
""",
        """
def cheapest(law, loss, served):                           # too coarse
    rest = loss - law["E"]
    if rest <= 0:
        raise ValueError
    share = np.array([0.25, 0.5, 0.75])
    n = (law["A"] / (share * rest)) ** (1 / law["alpha"])
    d = (law["B"] / ((1 - share) * rest)) ** (1 / law["beta"])
    i = (6 * n * d + 2 * n * served).argmin()
    return n[i], d[i]
""",
    ],
    "lab08.q6": [
        "sweep = []",
        "sweep = 5",
        "sweep = [(1e7, 1e8)] * 12",
        "sweep = [(8e9, 15e12)]",
        "sweep = [(n, d) for n in (1e8, 4e8, 1.6e9) for d in (1e10, 4e10, 1.6e11)]",
        "sweep = [(1e8, 2e9), (2e8, 4e9), (4e8, 8e9), (8e8, 16e9), (16e8, 32e9)]",
        "sweep = [(1e8, d) for d in (1e9, 3e9, 1e10, 3e10, 1e11, 2e11)]",
        "sweep = [(float('nan'), 1e9)]",
    ],
    "lab08.q7": [
        _RUNS
        + "def examples():\n    return [([_run(5, 10, (10, 2.0))], 20)]\n\n\ndef holds(inputs, output):\n    return True",
        _RUNS
        + "def examples():\n    return [([_run(5, 10, (10, 2.0))], 20)]\n\n\ndef holds(inputs, output):\n    return False",
        _RUNS
        + """
def examples():
    return [([_run(5, 10, (10, 2.0)), _run(5, 20, (10, 1.2), (20, 1.9))], 12)]


def holds(inputs, output):
    runs, text = inputs
    return len(output) == 1 and output[0] == [0, 10, 2.0]
""",
        _RUNS
        + """
def examples():
    return [([_run(5, 10, (5, 3.0), (10, 2.0)), _run(5, 10, (5, 3.0)), _run(6, 30, (10, 2.2), (30, 1.9))], 20)]


def holds(inputs, output):
    runs, text = inputs
    return all(tokens == runs[i]["planned"] <= text and loss == runs[i]["log"][-1][1] for i, tokens, loss in output)
""",
    ],
}
