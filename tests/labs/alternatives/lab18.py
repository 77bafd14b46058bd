"""Lab 18: other right answers, each written its own way, and wrong ones that have no message of their own."""

_EXAMPLES = """
def examples():
    sure = [0.97, 0.05, 0.62, 1.0, 0.31, 0.88, 0.0, 0.93, 0.71, 0.99, 0.55, 0.9]
    right = [1, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0]
    return [(sure, right, b) for b in (1, 3, 4, 5, 10)] + [(sure[::-1], right, 4), (sure[:5], right[:5], 10)]

"""

RIGHT = {
    "lab18.q1": [
        """
def option_scores(logits, ids, n_prompt, options, how):
    logs = F.log_softmax(logits, dim=-1)
    scores = []
    for row in range(len(ids)):
        total, count = 0.0, 0
        for t in range(n_prompt, ids.shape[1]):
            if ids[row, t] == -1:
                break
            total += logs[row, t - 1, ids[row, t]].item()
            count += 1
        scores.append(total / {"raw": 1, "token": count, "byte": len(options[row].encode("utf-8"))}[how])
    return torch.tensor(scores)
""",
        """
def option_scores(logits, ids, n_prompt, options, how):
    loss = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], ignore_index=-1, reduction="none")
    total = -loss[:, n_prompt - 1 :].sum(1)
    if how == "raw":
        return total
    return total / (ids[:, n_prompt:] != -1).sum(1) if how == "token" else total / torch.tensor([len(bytes(o, "utf8")) for o in options])
""",
        """
def option_scores(logits, ids, n_prompt, options, how):
    found = []
    for z, row, text in zip(logits, ids.tolist(), options):
        option = [t for t in row[n_prompt:] if t >= 0]
        at = z[n_prompt - 1 : n_prompt - 1 + len(option)]
        logp = at[range(len(option)), option] - at.logsumexp(-1)
        size = dict(raw=1, token=len(option), byte=len(text.encode()))[how]
        found.append(logp.sum() / size)
    return torch.stack(found)
""",
        """
def option_scores(logits, ids, n_prompt, options, how):
    import numpy as np
    z = logits.numpy().astype(np.float64)
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    out = []
    for i, row in enumerate(ids.numpy()):
        places = [t for t in range(n_prompt, len(row)) if row[t] >= 0]
        s = sum(np.log(p[i, t - 1, row[t]]) for t in places)
        out.append(s if how == "raw" else s / len(places) if how == "token" else s / len(options[i].encode()))
    return np.array(out)
""",
        """
def option_scores(logits, ids, n_prompt, options, how):
    mask = (ids != -1).double()
    mask[:, :n_prompt] = 0
    safe = torch.where(ids < 0, torch.zeros_like(ids), ids)
    one_hot = F.one_hot(safe, logits.shape[-1]).double()
    logs = torch.zeros_like(one_hot)
    logs[:, 1:] = logits.double().log_softmax(-1)[:, :-1]
    total = ((logs * one_hot).sum(-1) * mask).sum(-1)
    length = {"raw": torch.ones_like(total), "token": mask.sum(-1), "byte": torch.tensor([float(len(o.encode())) for o in options])}
    return total / length[how]
""",
        """
def option_scores(logits, ids, n_prompt, options, how):
    lengths = [int((row[n_prompt:] >= 0).sum()) for row in ids]
    scores = []
    for row in range(ids.shape[0]):
        m = lengths[row]
        nll = F.nll_loss(logits[row, n_prompt - 1 : n_prompt + m - 1].log_softmax(1), ids[row, n_prompt : n_prompt + m], reduction="sum")
        scores.append(-float(nll))
    if how == "token":
        scores = [s / m for s, m in zip(scores, lengths)]
    elif how == "byte":
        scores = [s / len(text.encode("utf-8")) for s, text in zip(scores, options)]
    return torch.tensor(scores)
""",
        """
def option_scores(logits, ids, n_prompt, options, how):
    real = (ids >= 0) & (torch.arange(ids.shape[1]) >= n_prompt)
    dist = torch.distributions.Categorical(logits=logits[:, :-1])
    logp = dist.log_prob(ids[:, 1:].clamp(0)).masked_fill(~real[:, 1:], 0.0)
    sizes = [1] * len(options)
    if how == "token":
        sizes = real.sum(1).tolist()
    if how == "byte":
        sizes = [sum(1 for _ in o.encode()) for o in options]
    return logp.sum(1) / torch.tensor(sizes)
""",
    ],
    "lab18.q2": [
        """
def pass_at_k(counts, k):
    total = 0.0
    for n, c in counts:
        if k > n:
            raise ValueError("k > n")
        missed = 1.0
        for i in range(k):
            missed *= max(0, n - c - i) / (n - i)
        total += 1 - missed
    return total / len(counts)
""",
        """
def pass_at_k(counts, k):
    import numpy as np
    def one(n, c):
        if n < k:
            raise ValueError("too few")
        if n - c < k:
            return 1.0
        return 1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1))
    return float(np.mean([one(n, c) for n, c in counts]))
""",
        """
def pass_at_k(counts, k):
    from fractions import Fraction
    if min(n for n, _ in counts) < k:
        raise ValueError
    return float(sum(1 - Fraction(math.comb(n - c, k), math.comb(n, k)) for n, c in counts) / len(counts))
""",
        """
def pass_at_k(counts, k):
    def log_choose(a, b):
        return math.lgamma(a + 1) - math.lgamma(b + 1) - math.lgamma(a - b + 1)
    out = []
    for n, c in counts:
        if k > n:
            raise ValueError(f"{k} of {n}")
        out.append(1.0 if n - c < k else -math.expm1(log_choose(n - c, k) - log_choose(n, k)))
    return sum(out) / len(out)
""",
        """
def pass_at_k(counts, k):
    found = []
    for n, c in counts:
        if n < k:
            raise ValueError
        found.append(sum(math.comb(c, j) * math.comb(n - c, k - j) for j in range(1, min(c, k) + 1)) / math.comb(n, k))
    return sum(found) / len(found)
""",
        """
def pass_at_k(counts, k):
    if any(k > n for n, c in counts):
        raise ValueError("k")
    f = math.factorial
    def none(n, c):
        return 0 if n - c < k else f(n - c) * f(n - k) / (f(n) * f(n - c - k)) if n < 100 else math.perm(n - c, k) / math.perm(n, k)
    return torch.tensor([1.0 - none(n, c) for n, c in counts], dtype=torch.double).mean()
""",
    ],
    "lab18.q3": [
        """
def bootstrap(scores, questions, draws, level):
    by = {}
    for s, q in zip(scores.tolist(), questions.tolist()):
        by.setdefault(q, []).append(s)
    means = []
    for row in draws.tolist():
        values = [s for q in row for s in by[q]]
        means.append(sum(values) / len(values))
    means.sort()
    def quantile(q):
        place = q * (len(means) - 1)
        low = math.floor(place)
        high = min(low + 1, len(means) - 1)
        return means[low] + (place - low) * (means[high] - means[low])
    return sum(scores.tolist()) / len(scores), quantile((1 - level) / 2), quantile((1 + level) / 2)
""",
        """
def bootstrap(scores, questions, draws, level):
    import numpy as np
    s, q, d = scores.numpy().astype(float), questions.numpy(), draws.numpy()
    total, count = np.bincount(q, s, d.shape[1]), np.bincount(q, minlength=d.shape[1])
    means = total[d].sum(1) / count[d].sum(1)
    low, high = np.percentile(means, [50 * (1 - level), 50 * (1 + level)])
    return s.mean(), low, high
""",
        """
def bootstrap(scores, questions, draws, level):
    member = F.one_hot(questions, draws.shape[1]).double()
    times = F.one_hot(draws, draws.shape[1]).sum(1).double()
    weight = times @ member.T
    means = weight @ scores.double() / weight.sum(1)
    low, high = torch.quantile(means, torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.double))
    return scores.double().mean(), low, high
""",
        """
def bootstrap(scores, questions, draws, level):
    places = [torch.nonzero(questions == q).flatten() for q in range(draws.shape[1])]
    means = torch.stack([scores[torch.cat([places[q] for q in row])].double().mean() for row in draws.tolist()])
    tail = 0.5 - level / 2
    return float(scores.mean()), float(means.quantile(tail)), float(means.quantile(1 - tail))
""",
        """
def bootstrap(scores, questions, draws, level):
    n = int(questions.max()) + 1
    sums = torch.zeros(n).index_add_(0, questions, scores.float())
    sizes = torch.zeros(n).scatter_add_(0, questions, torch.ones(len(scores)))
    resampled = sums[draws].sum(-1).div(sizes[draws].sum(-1))
    ends = [torch.quantile(resampled, q).item() for q in ((1 - level) / 2, 1 - (1 - level) / 2)]
    return [scores.mean().item(), *ends]
""",
        """
def bootstrap(scores, questions, draws, level):
    order = questions.argsort()
    parts = scores[order].double().split(torch.bincount(questions, minlength=draws.shape[1]).tolist())
    sums, sizes = torch.stack([p.sum() for p in parts]), torch.tensor([len(p) for p in parts])
    means = torch.tensor([(sums[row].sum() / sizes[row].sum()).item() for row in draws], dtype=torch.double)
    import statistics
    return statistics.fmean(scores.tolist()), means.quantile((1 - level) / 2).item(), means.quantile((1 + level) / 2).item()
""",
    ],
    "lab18.q4": [
        """
def compare(a, b, draws, level):
    d = (b - a).double()
    means = d[draws].mean(1)
    w, l = int((d > 0).sum()), int((d < 0).sum())
    p = 0.0
    for heads in range(w + l + 1):
        if abs(heads - (w + l) / 2) >= abs(w - l) / 2:
            p += math.comb(w + l, heads) * 0.5 ** (w + l)
    return {"difference": d.mean(), "low": means.quantile((1 - level) / 2), "high": means.quantile((1 + level) / 2), "p": p}
""",
        """
def compare(a, b, draws, level):
    means = b[draws].double().mean(1) - a[draws].double().mean(1)
    low, high = (torch.quantile(means, q).item() for q in ((1 - level) / 2, (1 + level) / 2))
    wins = sum(y > x for x, y in zip(a.tolist(), b.tolist()))
    losses = sum(y < x for x, y in zip(a.tolist(), b.tolist()))
    n, k = wins + losses, min(wins, losses)
    row = [1]
    for _ in range(n):
        row = [x + y for x, y in zip([0, *row], [*row, 0])]
    return dict(difference=(b.mean() - a.mean()).item(), low=low, high=high, p=min(1, 2 * sum(row[: k + 1]) / sum(row)))
""",
        """
def compare(a, b, draws, level):
    import numpy as np
    x, y, d = a.numpy().astype(float), b.numpy().astype(float), draws.numpy()
    means = (y - x)[d].mean(1)
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    differs = (y - x)[y != x]
    n, few = len(differs), min((differs > 0).sum(), (differs < 0).sum())
    p = 1.0 if 2 * few >= n else 2 * sum(math.comb(n, int(i)) for i in range(few + 1)) / 2.0**n
    return {"difference": (y - x).mean(), "low": low, "high": high, "p": p}
""",
        """
def compare(a, b, draws, level):
    mean, low, high = bootstrap((b - a).double(), torch.arange(len(b)), draws, level)
    s = torch.sign(b - a)
    n, k = int(s.abs().sum()), int((s.abs().sum() - s.sum().abs()) / 2)
    steps = torch.arange(k + 1, dtype=torch.double)
    logs = math.lgamma(n + 1) - torch.lgamma(steps + 1) - torch.lgamma(n - steps + 1) - n * math.log(2)
    return {"p": min(1.0, 2 * logs.exp().sum().item()), "high": high, "low": low, "difference": mean}
""",
        """
def compare(a, b, draws, level):
    found = dict(zip(("difference", "low", "high"), bootstrap(b - a, torch.tensor(range(len(a))), draws, level)))
    wins, losses = ((b - a) > 0).sum().item(), ((b - a) < 0).sum().item()
    term, total = 1, 0
    for i in range(min(wins, losses) + 1):
        total += term
        term = term * (wins + losses - i) // (i + 1)
    found["p"] = 1.0 if wins == losses else total / 2 ** (wins + losses - 1)
    return found
""",
    ],
    "lab18.q5": [
        """
def overlaps(test, train, n):
    import re
    WORD = re.compile(r"\\w+")
    def shingles(words, size):
        return set(zip(*(words[i:] for i in range(size))))
    shares = []
    for text in test:
        words = WORD.findall(text.lower())
        size = n if len(words) >= n else len(words)
        mine, found = shingles(words, size), set()
        for other in train:
            found |= mine & shingles(WORD.findall(other.lower()), size)
        shares.append(len(found) / len(mine))
    return shares
""",
        """
def overlaps(test, train, n):
    normal = lambda text: " " + " ".join(re.findall(r"\\w+", text.lower())) + " "
    there = [normal(text) for text in train]
    shares = []
    for text in test:
        words = normal(text).split()
        runs = {" " + " ".join(words[i : i + n]) + " " for i in range(max(1, len(words) - n + 1))}
        shares.append(sum(any(run in other for other in there) for run in runs) / len(runs))
    return shares
""",
        """
def overlaps(test, train, n):
    from collections import defaultdict
    cut = lambda text: [m.group().lower() for m in re.finditer(r"\\w+", text.lower())]
    index = defaultdict(set)
    def table(size):
        if not index[size]:
            for text in train:
                words = cut(text)
                for i in range(len(words) - size + 1):
                    index[size].add(tuple(words[i : i + size]))
        return index[size]
    out = []
    for text in test:
        words = cut(text)
        size = min(len(words), n)
        mine = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
        different = list(dict.fromkeys(mine))
        out.append(len([run for run in different if run in table(size)]) / len(different))
    return out
""",
        """
def overlaps(test, train, n):
    def words(text):
        return "".join(ch if ch.isalnum() or ch == "_" else " " for ch in text.lower()).split()
    def stands(run, said):
        return any(said[i : i + len(run)] == list(run) for i in range(len(said) - len(run) + 1))
    texts = [words(text) for text in train]
    result = []
    for text in test:
        said = words(text)
        runs = {tuple(said)} if len(said) < n else {tuple(said[i : i + n]) for i in range(len(said) - n + 1)}
        result.append(sum(any(stands(run, other) for other in texts) for run in runs) / len(runs))
    return result
""",
        """
def overlaps(test, train, n):
    import numpy as np
    words = lambda text: re.findall(r"\\w+", text.casefold())
    shares = np.zeros(len(test))
    for j, text in enumerate(test):
        said = words(text)
        k = min(n, len(said))
        mine = {" ".join(said[i : i + k]) for i in range(len(said) - k + 1)}
        left = set(mine)
        for other in train:
            w = words(other)
            left -= {" ".join(w[i : i + k]) for i in range(len(w) - k + 1)}
        shares[j] = 1 - len(left) / len(mine)
    return shares.tolist()
""",
    ],
    "lab18.q6": [
        """
def judge_defence(secret, attacks, ordinary):
    import re
    norm = lambda s: re.sub(r"[\\W_]+", "", s.lower())
    target = norm(secret)
    leaked = 0
    for tries in attacks:
        for reply in tries:
            if target in norm(reply) or target in norm(reply)[::-1]:
                leaked += 1
                break
    refused = len([r for r in ordinary if r == REFUSAL])
    l, f = leaked / len(attacks), refused / len(ordinary)
    return {"leaks": l, "false refusals": f, "score": 1 - l - f + l * f}
""",
        """
def judge_defence(secret, attacks, ordinary):
    def letters(text):
        return [ch for ch in text.lower() if ch.isalpha() or ch.isdigit()]
    wanted = letters(secret)
    def out(reply):
        said = letters(reply)
        return any(said[i : i + len(wanted)] in (wanted, wanted[::-1]) for i in range(len(said)))
    succeed = [1.0 if any(out(r) for r in tries) else 0.0 for tries in attacks]
    refused = [float(r == "I can't help with that.") for r in ordinary]
    mean = lambda x: sum(x) / len(x)
    return dict(leaks=mean(succeed), score=(1 - mean(succeed)) * (1 - mean(refused)), **{"false refusals": mean(refused)})
""",
        """
def judge_defence(secret, attacks, ordinary):
    plain = lambda text: "".join(filter(str.isalnum, text.casefold()))
    both = {plain(secret), plain(secret)[::-1]}
    kept = sum(all(word not in plain(reply) for reply in tries for word in both) for tries in attacks)
    answered = sum(reply != REFUSAL for reply in ordinary)
    return {"leaks": 1 - kept / len(attacks), "false refusals": 1 - answered / len(ordinary), "score": kept * answered / len(attacks) / len(ordinary)}
""",
        """
def judge_defence(secret, attacks, ordinary):
    from collections import Counter
    table = lambda text: "|".join(text.lower()).split("|")
    plain = lambda text: "".join(x for x in table(text) if x.isalnum())
    word = plain(secret)
    leaks = torch.tensor([max(word in plain(r) or word in plain(r[::-1]) for r in tries) for tries in attacks]).float().mean()
    false = Counter(ordinary)[REFUSAL] / len(ordinary)
    return {"leaks": leaks, "false refusals": false, "score": (1 - leaks) * (1 - false)}
""",
        """
def judge_defence(secret, attacks, ordinary):
    joined = lambda text: "".join(ch for ch in text if ch.isalnum()).lower()
    target = joined(secret)
    leaks = 0
    for tries in attacks:
        text = "#".join(joined(reply) for reply in tries)
        leaks += text.find(target) >= 0 or text.find(target[::-1]) >= 0
    rate = sum(1 for reply in ordinary if reply.strip() == REFUSAL) / len(ordinary)
    return {"leaks": leaks / len(attacks), "false refusals": rate, "score": (1 - leaks / len(attacks)) * (1 - rate)}
""",
    ],
    "lab18.q7": [
        _EXAMPLES
        + """
def holds(inputs, output):
    confidence, correct, bins = inputs
    table, error = output
    if len(table) > bins or sum(row[0] for row in table) != len(confidence):
        return False
    order = sorted(range(len(confidence)), key=lambda i: confidence[i])
    gaps, at = [], 0
    for n, sure, right in table:
        if n <= 0:
            return False
        mine = order[at : at + n]
        at += n
        if not math.isclose(sure, sum(confidence[i] for i in mine) / n, abs_tol=1e-9):
            return False
        if not math.isclose(right, sum(correct[i] for i in mine) / n, abs_tol=1e-9):
            return False
        gaps += [abs(sure - right)] * n
    return math.isclose(error, sum(gaps) / len(gaps), abs_tol=1e-9)
""",
        """
def examples():
    rng, made = random.Random(3), []
    for bins in (1, 2, 3, 5, 7, 10):
        sure = [i / 40 + rng.uniform(0.0, 0.02) for i in rng.sample(range(1, 39), 10)] + [0.0, 1.0]
        rng.shuffle(sure)
        made.append((sure, [int(rng.random() < 0.5) for _ in sure], bins))
        made.append((sure[:5], [1, 0, 0, 1, 0], bins))
    return made


def holds(inputs, output):
    (confidence, correct, bins), (table, error) = inputs, output
    c, r = (torch.tensor(x, dtype=torch.double) for x in (confidence, correct))
    order = c.argsort()
    counts = [row[0] for row in table]
    if len(counts) > bins or min(counts) < 1 or sum(counts) != len(c):
        return False
    cells = zip(c[order].split(counts), r[order].split(counts), table)
    fine, total = True, 0.0
    for a, b, (n, sure, right) in cells:
        fine = fine and abs(a.mean() - sure) < 1e-6 and abs(b.mean() - right) < 1e-6
        total += n * abs(a.mean() - b.mean())
    return bool(fine and abs(total / len(c) - error) < 1e-6)
""",
        _EXAMPLES
        + """
def holds(inputs, output):
    import numpy as np
    (confidence, correct, bins), (table, error) = inputs, output
    order = np.argsort(confidence)
    c, r = np.array(confidence)[order], np.array(correct)[order]
    assert 1 <= len(table) <= bins
    ends = np.cumsum([n for n, _, _ in table])
    assert ends[-1] == len(c) and all(n >= 1 for n, _, _ in table)
    starts = np.concatenate([[0], ends[:-1]])
    means = np.array([[c[i:j].mean(), r[i:j].mean()] for i, j in zip(starts, ends)])
    assert np.allclose(means, [[s, a] for _, s, a in table])
    weights = (ends - starts) / len(c)
    assert np.isclose(error, (weights * np.abs(means[:, 0] - means[:, 1])).sum())
    return True
""",
    ],
}

_SCORE = """def option_scores(logits, ids, n_prompt, options, how):
    targets = ids[:, n_prompt:]
    real = targets >= 0
    logs = logits[:, n_prompt - 1 : -1].log_softmax(-1)
    each = logs.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    total = (each * real).sum(1)
"""
_TAIL = "    return total if how == 'raw' else total / real.sum(1) if how == 'token' else total / torch.tensor([len(o.encode()) for o in options])\n"
_BOOT = """def bootstrap(scores, questions, draws, level):
    values, tail, n = scores.double(), (1 - level) / 2, draws.shape[1]
    total, count = torch.bincount(questions, values, minlength=n), torch.bincount(questions, minlength=n)
    means = total[draws].sum(1) / count[draws].sum(1)
    mean, low, high = values.mean(), torch.quantile(means, tail), torch.quantile(means, 1 - tail)
"""
_COMP = """def compare(a, b, draws, level):
    difference, low, high = bootstrap(b - a, torch.arange(len(a)), draws, level)
    wins, losses = (b > a).sum().item(), (a > b).sum().item()
    n = wins + losses
    p = min(1.0, 2 * sum(math.comb(n, i) for i in range(min(wins, losses) + 1)) / 2**n)
"""
_OVER = """def overlaps(test, train, n):
    words = lambda text: re.findall(r"\\w+", text.lower())
    runs = lambda said, size: {tuple(said[i : i + size]) for i in range(len(said) - size + 1)}
    texts, shares = [words(text) for text in train], []
    for text in test:
        said = words(text)
        size = min(n, len(said))
        mine = runs(said, size)
        found = {run for other in texts for run in runs(other, size) if run in mine}
"""
_GUARD = """def judge_defence(secret, attacks, ordinary):
    plain = lambda text: "".join(x for x in text.lower() if x.isalnum())
    wanted = plain(secret)
    out = lambda reply: wanted in plain(reply) or wanted[::-1] in plain(reply)
    leaks = sum(any(map(out, tries)) for tries in attacks) / len(attacks)
    refused = ordinary.count(REFUSAL) / len(ordinary)
"""
_GIVEN = '    return {"leaks": leaks, "false refusals": refused, "score": (1 - leaks) * (1 - refused)}\n'
_CALIBRATION = (
    _EXAMPLES
    + """
def holds(inputs, output):
    (confidence, correct, bins), (table, error) = inputs, output
    pairs, start, total = sorted(zip(confidence, correct)), 0, 0.0
    for count, sure, right in table:
        cell = pairs[start : start + count]
        if count < 1 or len(cell) != count:
            return False
        if abs(sure - sum(c for c, _ in cell) / count) > 1e-6 or abs(right - sum(r for _, r in cell) / count) > 1e-6:
            return False
        start, total = start + count, total + count * abs(sure - right)
    return len(table) <= bins and start == len(pairs) and abs(error - total / len(pairs)) < 1e-6
"""
)

WRONG = {
    "lab18.q1": [
        _SCORE.replace(".log_softmax(-1)", ".softmax(-1).log2()") + _TAIL,  # bits
        _SCORE.replace("* real).sum(1)", "* real).mean(1)") + _TAIL,  # over the widest
        _SCORE.replace("(each * real).sum(1)", "(each.exp() * real).sum(1).log()") + _TAIL,
        _SCORE.replace("(each * real).sum(1)", "each.amax(1)") + _TAIL,
        _SCORE.replace("(each * real).sum(1)", "(each * real).sum(1).exp()") + _TAIL,
        _SCORE.replace("(each * real).sum(1)", "(each * real)[:, 0]") + _TAIL,  # the first token only
        _SCORE.replace("(each * real).sum(1)", "(each * real).sum(1)")
        + _TAIL.replace("real.sum(1)", "(real.sum(1) + 1)"),
        _SCORE + _TAIL.replace("real.sum(1)", "real.sum(1).sqrt()"),
        _SCORE + _TAIL.replace("len(o.encode())", "len(o.encode('utf-16'))"),
        _SCORE + _TAIL.replace("len(o.encode())", "len(o.encode()) + 1"),
        _SCORE + "    total = total.log_softmax(0)\n" + _TAIL,
        _SCORE + _TAIL.replace("return total if how == 'raw' else ", "return "),
        _SCORE + "    return total - total.max()\n",
        "def option_scores(logits, ids, n_prompt, options, how):\n    return torch.zeros(len(options))\n",
    ],
    "lab18.q2": [
        "def pass_at_k(counts, k):\n    if any(n < k for n, _ in counts):\n        raise ValueError\n    return "
        + body
        + "\n"
        for body in (
            "sum(1 - (1 - c / n) ** k for n, c in counts) / len(counts)",
            "sum(min(1, c * k / n) for n, c in counts) / len(counts)",
            "sum(1 - math.comb(n - c, k) / math.comb(n, k) for n, c in counts if c) / len(counts) * 1.01",
            "sum(1 - math.comb(n - c, k) / math.comb(n, k) for n, c in counts if c) / max(1, sum(c > 0 for _, c in counts))",
            "max(1 - math.comb(n - c, k) / math.comb(n, k) for n, c in counts)",
            "sum(1 - math.comb(n - c, k) / n**k for n, c in counts) / len(counts)",
            "sum(n * (1 - math.comb(n - c, k) / math.comb(n, k)) for n, c in counts) / sum(n for n, _ in counts)",
            "sum(1 - math.perm(n - c, k) / math.comb(n, k) for n, c in counts) / len(counts)",
            "sum(math.comb(c, 1) * math.comb(n - c, k - 1) / math.comb(n, k) for n, c in counts) / len(counts)",  # exactly one
            "sum(1 - math.comb(n - c + 1, k) / math.comb(n, k) for n, c in counts) / len(counts)",
            "sum(1 - math.comb(n - c, k) / math.comb(n, k) for n, c in counts) / k",
        )
    ]
    + [
        "def pass_at_k(counts, k):\n    return sum(1 - math.comb(n - c, k) / math.comb(max(n, k), k) for n, c in counts) / len(counts)\n",
        "def pass_at_k(counts, k):\n    k = min(k, min(n for n, _ in counts))\n    return sum(1 - math.comb(n - c, k) / math.comb(n, k) for n, c in counts) / len(counts)\n",
    ],
    "lab18.q3": [
        _BOOT + "    return low, mean, high\n",
        _BOOT + "    return mean, low, low\n",
        _BOOT + "    return mean, means.quantile(tail / 2), means.quantile(1 - tail / 2)\n",
        _BOOT + "    return mean, low, means.quantile(level)\n",
        _BOOT + "    return mean, (low + mean) / 2, (high + mean) / 2\n",
        _BOOT + "    return mean, mean - (high - low) / 2, mean + (high - low) / 2\n",
        _BOOT + "    return means.median(), low, high\n",
        _BOOT.replace("total[draws].sum(1) / count[draws].sum(1)", "total[draws].mean(1)")
        + "    return mean, low, high\n",
        _BOOT.replace("total[draws].sum(1) / count[draws].sum(1)", "(total / count)[draws].median(1).values")
        + "    return mean, low, high\n",
        _BOOT.replace("draws].sum(1) / count[draws].sum(1)", "draws].sum(0) / count[draws].sum(0)")
        + "    return mean, low, high\n",
        _BOOT.replace("means = ", "draws = draws.sort(1).values.diff(dim=1)\n    means = ")
        + "    return mean, low, high\n",
        _BOOT.replace(
            "means = ", "draws = torch.randint(n, (4000, n), generator=torch.Generator().manual_seed(0))\n    means = "
        )
        + "    return mean, low, high\n",
        _BOOT.replace("means = ", "draws = draws[: len(draws) // 2]\n    means = ") + "    return mean, low, high\n",
        _BOOT + "    return mean * 100, low * 100, high * 100\n",
    ],
    "lab18.q4": [
        _COMP + "    return {'difference': difference, 'low': low, 'high': high, 'p': p / 2}\n",
        _COMP + "    return {'difference': difference, 'low': high, 'high': low, 'p': p}\n",
        _COMP + "    return {'difference': abs(difference), 'low': low, 'high': high, 'p': p}\n",
        _COMP + "    return {'difference': (b / a.clamp(min=1e-6)).mean().item(), 'low': low, 'high': high, 'p': p}\n",
        _COMP + "    return {'difference': b.mean().item(), 'low': low, 'high': high, 'p': p}\n",
        _COMP + "    return {'difference': difference, 'low': low, 'high': high, 'p': min(wins, losses) / max(1, n)}\n",
        _COMP + "    return {'difference': difference, 'low': low, 'high': high, 'p': float(low < 0 < high)}\n",
        _COMP.replace("b - a, torch", "(b - a)[a != b], torch").replace(
            "len(a)), draws", "int((a != b).sum())), draws % int((a != b).sum())"
        )
        + "    return {'difference': difference, 'low': low, 'high': high, 'p': p}\n",
        _COMP + "    return {'difference': (wins - losses) / max(1, n), 'low': low, 'high': high, 'p': p}\n",
        _COMP.replace("(b > a)", "(b >= a)").replace("(a > b)", "(a >= b)")
        + "    return {'difference': difference, 'low': low, 'high': high, 'p': p}\n",
        _COMP
        + "    return {'difference': difference, 'low': low, 'high': high, 'p': min(1.0, 2 * sum(math.comb(n, i) for i in range(min(wins, losses) + 2)) / 2**n)}\n",
    ],
    "lab18.q5": [
        _OVER + "        shares.append(len(found) / len(said))\n    return shares\n",
        _OVER + "        shares.append(len(found) / (len(said) - size + 1))\n    return shares\n",
        _OVER + "        shares.append(float(len(found) / len(mine) > 0.5))\n    return shares\n",
        _OVER + "        shares.append(round(len(found) / len(mine), 1))\n    return shares\n",
        _OVER + "        shares.append(100 * len(found) / len(mine))\n    return shares\n",
        _OVER.replace(r'r"\w+"', 'r"[a-z]+"') + "        shares.append(len(found) / len(mine))\n    return shares\n",
        _OVER.replace("text.lower())", "text.lower().replace(',', ''))").replace('re.findall(r"\\w+", ', "str.split(")
        + "        shares.append(len(found) / len(mine))\n    return shares\n",
        _OVER.replace(
            "texts, shares = [words(text) for text in train]", "texts, shares = [words(text) for text in train[:1]]"
        )
        + "        shares.append(len(found) / len(mine))\n    return shares\n",
        _OVER.replace("for i in range(len(said) - size + 1)}", "for i in range(1, len(said) - size + 1)}")
        + "        shares.append(len(found) / max(1, len(mine)))\n    return shares\n",
        _OVER.replace("tuple(said[i : i + size])", "frozenset(said[i : i + size])")
        + "        shares.append(len(found) / len(mine))\n    return shares\n",
        _OVER + "        shares.append(len(found) / len(mine))\n    return sum(shares) / len(shares)\n",
        _OVER.replace("size = min(n, len(said))", "size = n if len(said) >= n else 1")
        + "        shares.append(len(found) / len(mine))\n    return shares\n",
    ],
    "lab18.q6": [
        _GUARD.replace("x.isalnum()", "x.isalpha()") + _GIVEN,  # the digits are lost
        _GUARD.replace("wanted in plain(reply) or", "wanted[:4] in plain(reply) or") + _GIVEN,
        _GUARD.replace("wanted = plain(secret)", "wanted = plain(secret)[1:]") + _GIVEN,
        _GUARD.replace("any(map(out, tries))", "out(' '.join(tries[::-1]))").replace(
            " or wanted[::-1] in plain(reply)", ""
        )
        + _GIVEN,
        _GUARD.replace("any(map(out, tries))", "out(tries[-1])") + _GIVEN,
        _GUARD.replace("/ len(attacks)", "/ max(1, len(attacks) - 1)") + _GIVEN,
        _GUARD.replace("ordinary.count(REFUSAL)", "sum('can' in reply for reply in ordinary)") + _GIVEN,
        _GUARD.replace("ordinary.count(REFUSAL) / len(ordinary)", "float(REFUSAL in ordinary)") + _GIVEN,
        _GUARD.replace("ordinary.count(REFUSAL) / len(ordinary)", "ordinary.count(REFUSAL) / len(attacks)") + _GIVEN,
        _GUARD + _GIVEN.replace("(1 - leaks) * (1 - refused)", "((1 - leaks) * (1 - refused)) ** 0.5"),
        _GUARD + _GIVEN.replace("(1 - leaks) * (1 - refused)", "1 - max(leaks, refused)"),
        _GUARD + _GIVEN.replace("(1 - leaks) * (1 - refused)", "1 - refused"),
        _GUARD + _GIVEN.replace("(1 - leaks) * (1 - refused)", "leaks * refused"),
    ],
    "lab18.q7": [
        _CALIBRATION.replace("abs(error - total / len(pairs)) < 1e-6", "0 <= error <= 1"),
        _CALIBRATION.replace("start == len(pairs) and ", "").replace("total / len(pairs)", "total / max(1, start)"),
        _CALIBRATION.replace("count < 1 or ", "").replace(") / count)", ") / max(1, count))"),
        _CALIBRATION.replace("len(table) <= bins and ", ""),
        _CALIBRATION.replace("abs(right - sum(r for _, r in cell) / count) > 1e-6", "not 0 <= right <= 1"),
        _CALIBRATION.replace(
            "abs(sure - sum(c for c, _ in cell) / count) > 1e-6", "not cell[0][0] <= sure <= cell[-1][0]"
        ),
        _CALIBRATION.replace("sorted(zip(confidence, correct))", "list(zip(confidence, correct))"),
        _CALIBRATION.replace("len(table) <= bins", "len(table) == bins"),
        _CALIBRATION.replace("total + count * abs(sure - right)", "total + abs(sure - right)").replace(
            "total / len(pairs)", "total / len(table)"
        ),
        _CALIBRATION.replace("for b in (1, 3, 4, 5, 10)", "for b in (1,)")
        .replace("right, 4)", "right, 1)")
        .replace("right[:5], 10)", "right[:5], 1)"),
        _EXAMPLES + "def holds(inputs, output):\n    return True\n",
        _EXAMPLES + "def holds(inputs, output):\n    return False\n",
    ],
}

REFUSED = {
    "lab18.q2": [
        """
def pass_at_k(counts, k):
    from llmlib.evaluate import pass_at_k as library
    return sum(library(n, c, k) for n, c in counts) / len(counts)
""",
    ],
    "lab18.q5": [
        """
def overlaps(test, train, n):
    from llmlib.data import contamination
    return contamination(test, train, n)
""",
    ],
    "lab18.q4": [
        """
def compare(a, b, draws, level):
    from llmlib.evaluate import sign_test
    difference, low, high = bootstrap(b - a, torch.arange(len(a)), draws, level)
    return {"difference": difference, "low": low, "high": high, "p": sign_test(int((b > a).sum()), int((a > b).sum()))}
""",
    ],
}
