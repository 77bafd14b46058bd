"""Lab 01: other right answers, each written its own way, and wrong ones that have no message of their own."""

RIGHT = {
    "lab01.q1": [
        """
def count_ngrams(tokens, n):
    counts = {}
    for i in range(len(tokens) - n + 1):
        key = tuple(tokens[i : i + n])
        counts[key] = counts.get(key, 0) + 1
    return counts
""",
        """
def count_ngrams(ids, size):
    table = defaultdict(int)
    for gram in zip(*(ids[k:] for k in range(size))):
        table[gram] += 1
    return table
""",
        """
def count_ngrams(tokens, n):
    if len(tokens) < n:
        return {}
    windows, times = np.unique(np.lib.stride_tricks.sliding_window_view(tokens, n), axis=0, return_counts=True)
    return {tuple(w): t for w, t in zip(windows, times)}
""",
        """
def count_ngrams(tokens, n):
    if len(tokens) < n:
        return Counter()
    return Counter([tuple(tokens[:n])]) + count_ngrams(tokens[1:], n)
""",
        """
def count_ngrams(tokens, n):
    counts, window = {}, []
    for token in tokens:
        window = [*window, token][-n:]
        if len(window) == n:
            counts.setdefault(tuple(window), 0)
            counts[tuple(window)] += 1
    return counts
""",
    ],
    "lab01.q2": [
        """
def relative_frequency(tokens, context, token):
    m, hits, times = len(context), 0, 0
    for i in range(m, len(tokens)):
        if tuple(tokens[i - m : i]) == tuple(context):
            times += 1
            hits += tokens[i] == token
    return hits / times if times else 0
""",
        """
def relative_frequency(tokens, context, token):
    following = [tokens[i + len(context)] for i in range(len(tokens) - len(context))
                 if list(context) == tokens[i : i + len(context)]]
    return following.count(token) / len(following) if following else 0.0
""",
        """
def relative_frequency(tokens, context, token):
    try:
        pairs = count_ngrams(tokens, len(context) + 1)
        return pairs.get(context + (token,), 0) / sum(v for k, v in pairs.items() if k[:-1] == context)
    except ZeroDivisionError:
        return 0.0
""",
        """
def relative_frequency(tokens, context, token):
    a, m = np.array(tokens), len(context)
    n = len(a) - m
    match = np.ones(n, dtype=bool)
    for j, c in enumerate(context):
        match &= a[j : j + n] == c
    return np.float32((a[m:][match] == token).mean()) if match.any() else np.float64(0)
""",
        """
def relative_frequency(tokens, context, token):
    ends = count_ngrams(tokens[:-1], len(context)) if context else {(): len(tokens)}
    total = ends.get(context, 0)
    return float(count_ngrams(tokens, len(context) + 1).get((*context, token), 0)) / total if total > 0 else 0.0
""",
    ],
    "lab01.q3": [
        """
def new_share(train, test, n):
    known = count_ngrams(train, n)
    places = count_ngrams(test, n)
    return sum(t for g, t in places.items() if g not in known) / sum(places.values())
""",
        """
def new_share(train, test, n):
    seen, new, places = set(zip(*[train[i:] for i in range(n)])), 0, 0
    for gram in zip(*[test[i:] for i in range(n)]):
        places += 1
        if gram not in seen:
            new += 1
    return new / places
""",
        """
def new_share(train, test, n):
    def grams(x):
        return [tuple(x[i : i + n]) for i in range(len(x) - n + 1)]
    old = grams(train)
    return float(np.mean([g not in old for g in grams(test)]))
""",
        """
def new_share(train, test, n):
    text = "," + ",".join(map(str, train)) + ","
    asked = ["," + ",".join(map(str, test[i : i + n])) + "," for i in range(len(test) - n + 1)]
    return 1 - sum(a in text for a in asked) / len(asked)
""",
        """
def new_share(train, test, n):
    return np.float64(np.mean([tuple(test[i:i+n]) not in count_ngrams(train, n) for i in range(len(test) - n + 1)]))
""",
    ],
    "lab01.q4": [
        "def perplexity(p):\n    return 2 ** -np.log2(p).mean()",
        "def perplexity(p):\n    return math.exp(-sum(float(np.log(x)) for x in p) / len(p))",
        "def perplexity(p):\n    return np.prod(p) ** (-1 / len(p))",
        "def perplexity(probabilities):\n    return np.exp(np.mean(np.log(1 / probabilities)))",
        "def perplexity(p):\n    return np.power(10.0, -np.log10(p).sum() / p.size)",
        "def perplexity(p):\n    return math.inf if (p == 0).any() else math.exp(-np.average(np.log(p)))",
        "def perplexity(p):\n    if 0 in p:\n        return float('inf')\n    return math.prod(1 / x for x in p) ** (1 / len(p))",
    ],
    "lab01.q5": [
        """
def interpolate(frequency, seen, weights, V):
    out = []
    for n in range(frequency.shape[1]):
        p = 1 / V
        for k in range(frequency.shape[0]):
            if seen[k, n]:
                p = weights[k] * frequency[k, n] + (1 - weights[k]) * p
        out.append(p)
    return np.array(out)
""",
        """
def interpolate(frequency, seen, weights, V):
    w = weights[:, None] * seen
    p = np.ones(frequency.shape[1]) / V
    for f, share in zip(frequency, w):
        p = share * f + (1 - share) * p
    return p
""",
        """
def interpolate(frequency, seen, weights, V):
    p = np.full(frequency.shape[1], 1.0 / V)
    for k, w in enumerate(weights):
        here = seen[k]
        p[here] *= 1 - w
        p[here] += w * frequency[k, here]
    return p
""",
        """
def interpolate(frequency, seen, weights, V):
    if len(weights) == 0:
        return np.full(frequency.shape[1], 1 / V)
    below = interpolate(frequency[:-1], seen[:-1], weights[:-1], V)
    return np.where(seen[-1], weights[-1] * frequency[-1] + (1 - weights[-1]) * below, below)
""",
        """
def interpolate(frequency, seen, weights, V):
    w = np.where(seen, weights[:, None], 0.0)
    left = np.vstack([np.cumprod((1 - w)[::-1], axis=0)[::-1], np.ones(w.shape[1])])
    return ((w * frequency) * left[1:]).sum(0) + left[0] / V
""",
    ],
    "lab01.q6": [
        """
def kneser_ney(tokens, previous, V, D=0.75):
    counts = np.zeros((V, V))
    for a, b in zip(tokens, tokens[1:]):
        counts[a, b] += 1
    cont = (counts > 0).sum(axis=0) / (counts > 0).sum()
    row = counts[previous]
    if row.sum() == 0:
        return cont
    return np.clip(row - D, 0, None) / row.sum() + D * np.count_nonzero(row) / row.sum() * cont
""",
        """
def kneser_ney(tokens, previous, V, D=0.75):
    pairs = count_ngrams(tokens, 2)
    cont = np.array([len([1 for a, b in pairs if b == x]) for x in range(V)], dtype=float)
    cont = cont / len(pairs)
    total = sum(c for (a, _), c in pairs.items() if a == previous)
    types = len({b for a, b in pairs if a == previous})
    if not total:
        return cont
    return np.array([max(pairs.get((previous, x), 0) - D, 0) / total + D * types / total * cont[x] for x in range(V)])
""",
        """
def kneser_ney(text, prev, size, D=0.75):
    before, after = defaultdict(set), Counter()
    for left, right in zip(text[:-1], text[1:]):
        before[right].add(left)
        if left == prev:
            after[right] += 1
    all_types = sum(len(s) for s in before.values())
    p = np.zeros(size)
    for x in range(size):
        p[x] = len(before[x]) / all_types
        if after:
            p[x] *= D * len(after) / sum(after.values())
            p[x] += max(0, after[x] - D) / sum(after.values())
    return p
""",
        """
def kneser_ney(tokens, previous, V, D=0.75):
    flat = np.bincount(np.array(tokens[:-1]) * V + np.array(tokens[1:]), minlength=V * V).reshape(V, V)
    lower = np.sign(flat).sum(0) / np.sign(flat).sum()
    following = flat[previous].astype(np.float32)
    if not following.any():
        return lower
    left = np.where(following > D, following - D, 0)
    return (left + (following.sum() - left.sum()) * lower) / following.sum()
""",
    ],
    "lab01.q7": [
        """
def examples():
    return [(row,) for row in ([0, 0], [0, 7], [1, 0, 2, 3, 0], [5, 5, 5], [0] * 30, [10_000, 7, 0], [2, 3, 4, 0, 1])]


def holds(inputs, output):
    counts = np.array(inputs[0])
    p = np.array(output, dtype=float)
    if p.shape != counts.shape or not math.isclose(p.sum(), 1, abs_tol=1e-6) or not (p > 0).all():
        return False
    for i in range(len(p)):
        for j in range(len(p)):
            if counts[i] > counts[j] and not p[i] > p[j]:
                return False
            if counts[i] == counts[j] and abs(p[i] - p[j]) > 1e-9:
                return False
    return True
""",
        """
def examples():
    return [([0, 0, 0, 0],), ([4, 0, 1, 2, 0],), ([1, 1, 0],), ([20, 3, 0, 2, 1, 5],), ([0, 6, 9],), ([2, 0],)]


def holds(inputs, output):
    counts = inputs[0]
    assert len(counts) == len(output)
    assert abs(sum(output) - 1) < 1e-6
    assert all(x > 0 for x in output)
    order = sorted(zip(counts, output))
    for (c, p), (d, q) in zip(order, order[1:]):
        assert (abs(p - q) <= 1e-9) if c == d else p < q
    return True
""",
    ],
}

WRONG = {
    "lab01.q1": [
        "def count_ngrams(tokens, n):\n    return {g: tokens.count(g[0]) for g in zip(*(tokens[i:] for i in range(n)))}",
        "def count_ngrams(tokens, n):\n    return [(g, 1) for g in zip(*(tokens[i:] for i in range(n)))]",
        "def count_ngrams(tokens, n):\n    return Counter(tuple(tokens[i : i + n]) for i in range(1, len(tokens) - n + 1))",
        "def count_ngrams(tokens, n):\n    return Counter(tuple(tokens[i : i + 2]) for i in range(len(tokens) - 1))",
    ],
    "lab01.q2": [
        "def relative_frequency(tokens, context, token):\n    m = len(context)\n    f = [tokens[i] for i in range(m, len(tokens)) if set(tokens[i - m : i]) == set(context)]\n    return f.count(token) / len(f) if f else 0.0",
        "def relative_frequency(tokens, context, token):\n    m = len(context)\n    f = [tokens[i] for i in range(m, len(tokens)) if tuple(tokens[i - m : i]) == context]\n    return (f.count(token) + 0.01) / (len(f) + 0.01) if f else 0.0",
        "def relative_frequency(tokens, context, token):\n    m = len(context)\n    f = [tokens[i] for i in range(m, len(tokens)) if tuple(tokens[i - m : i]) == context]\n    return f.count(token)",
    ],
    "lab01.q3": [
        "def new_share(train, test, n):\n    known = set(train)\n    return sum(t not in known for t in test) / len(test)",
        "def new_share(train, test, n):\n    k = {tuple(train[i : i + n]) for i in range(len(train) - n)}\n    p = [tuple(test[i : i + n]) for i in range(len(test) - n + 1)]\n    return sum(g not in k for g in p) / len(p)",
        "def new_share(train, test, n):\n    k = {tuple(sorted(train[i : i + n])) for i in range(len(train) - n + 1)}\n    p = [tuple(sorted(test[i : i + n])) for i in range(len(test) - n + 1)]\n    return sum(g not in k for g in p) / len(p)",
    ],
    "lab01.q4": [
        "def perplexity(p):\n    return float(np.exp(-np.log(p + 1e-10).mean()))",
        "def perplexity(p):\n    return float(np.exp(-np.median(np.log(p))))",
        "def perplexity(p):\n    p = p[p > 0]\n    return float(np.exp(-np.log(p).mean()))",
    ],
    "lab01.q5": [
        "def interpolate(frequency, seen, weights, V):\n    return np.where(seen[-1], weights[-1] * frequency[-1], 1 / V)",
        "def interpolate(frequency, seen, weights, V):\n    w = weights / weights.sum()\n    return (w[:, None] * frequency).sum(0)",
        "def interpolate(frequency, seen, weights, V):\n    p = np.full(frequency.shape[1], 1 / V)\n    for f, s, w in zip(frequency, seen, weights):\n        p = np.where(f > 0, w * f + (1 - w) * p, p)\n    return p",
    ],
    "lab01.q6": [
        "def kneser_ney(tokens, previous, V, D=0.75):\n    row = np.bincount([b for a, b in zip(tokens, tokens[1:]) if a == previous], minlength=V) + D\n    return row / row.sum()",
        "def kneser_ney(tokens, previous, V, D=0.75):\n    pairs = set(zip(tokens, tokens[1:]))\n    c = np.bincount([b for _, b in pairs], minlength=V) / len(pairs)\n    return c",
        "def kneser_ney(tokens, previous, V, D=0.75):\n    pairs = list(zip(tokens, tokens[1:]))\n    c = np.bincount([b for _, b in set(pairs)], minlength=V) / V\n    row = np.bincount([b for a, b in pairs if a == previous], minlength=V)\n    return np.maximum(row - D, 0) / row.sum() + D * (row > 0).sum() / row.sum() * c if row.sum() else c",
    ],
    "lab01.q7": [
        "def examples():\n    return [([3, 0, 1],), ([0, 0],)]\n\n\ndef holds(inputs, output):\n    return np.allclose(output, np.array(inputs[0]) + 0.5 / (sum(inputs[0]) + 0.5 * len(inputs[0])))",
        "def examples():\n    return [([3, 0, 1],), ([0, 0],)]\n\n\ndef holds(inputs, output):\n    return True",
        "def examples():\n    return [([3, 0, 1],), ([0, 0],)]\n\n\ndef holds(inputs, output):\n    return False",
    ],
}
