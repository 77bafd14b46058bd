"""Lab 12: other right answers, each written its own way, and wrong ones that have no message of their own."""

_TIES = "    if all(len(set(row.tolist())) == 1 for row in places):\n        raise ValueError('ties only')\n"
_EMPTY = "    if not real.any(dim=1).all():\n        raise ValueError('empty')\n"
_NAMES = "    names = [' '.join(p.lower().split()) for p in prompts]\n"
_COUNT = "    k = min(len(different) - 1, max(1, round(share * len(different))))\n"
_SIDES = "    return [i for i, x in enumerate(names) if x not in held], [i for i, x in enumerate(names) if x in held]\n"

RIGHT = {
    "lab12.q1": [
        "def ranking_loss(scores, places):\n"
        + _TIES
        + """
    total, n = 0.0, 0
    for s, p in zip(scores, places):
        pairs = [F.softplus(s[j] - s[i]) for i in range(len(s)) for j in range(len(s)) if p[i] < p[j]]
        if pairs:
            total, n = total + sum(pairs) / len(pairs), n + 1
    return total / n
""",
        "def ranking_loss(scores, places):\n"
        + _TIES
        + """
    i, j = torch.combinations(torch.arange(scores.shape[1])).unbind(1)
    sign = (places[:, j] - places[:, i]).sign()
    losses = -F.logsigmoid(sign * (scores[:, i] - scores[:, j])) * sign.abs()
    n = sign.abs().sum(1)
    return (losses.sum(1)[n > 0] / n[n > 0]).mean()
""",
        "def ranking_loss(scores, places):\n"
        + _TIES
        + """
    d = scores.unsqueeze(2) - scores.unsqueeze(1)
    w = (places.unsqueeze(2) < places.unsqueeze(1)).float()
    w = w / w.sum((1, 2), keepdim=True).clamp(min=1)
    return F.binary_cross_entropy_with_logits(d, torch.ones_like(d), weight=w, reduction="sum") / (w.sum((1, 2)) > 0).sum()
""",
        "def ranking_loss(scores, places):\n"
        + _TIES
        + """
    order = places.argsort(1)
    s, p = scores.gather(1, order), places.gather(1, order)
    i, j = torch.triu_indices(s.shape[1], s.shape[1], 1)
    kept = p[:, i] != p[:, j]
    means = [F.softplus(-(s[r, i] - s[r, j]))[kept[r]].mean() for r in range(len(s)) if kept[r].any()]
    return torch.stack(means).mean()
""",
        "def ranking_loss(scores, places):\n"
        + _TIES
        + """
    two = torch.stack([scores[:, :, None].expand(-1, -1, scores.shape[1]), scores[:, None, :].expand(-1, scores.shape[1], -1)], -1)
    losses = two.logsumexp(-1) - two[..., 0]
    better = places[:, :, None] < places[:, None, :]
    return torch.stack([l[b].mean() for l, b in zip(losses, better) if b.any()]).mean()
""",
        "def ranking_loss(scores, places):\n"
        + _TIES
        + """
    rows, i, j = (places[:, :, None] < places[:, None, :]).nonzero(as_tuple=True)
    losses = -F.logsigmoid(scores[rows, i] - scores[rows, j])
    n = torch.bincount(rows, minlength=len(scores))
    sums = torch.zeros(len(scores)).index_add(0, rows, losses)
    return (sums[n > 0] / n[n > 0]).mean()
""",
        """
def ranking_loss(scores, places):
    per_prompt = []
    for r in range(scores.shape[0]):
        better = places[r][:, None] < places[r]
        if better.any():
            d = scores[r][:, None] - scores[r]
            per_prompt.append(torch.logaddexp(torch.zeros_like(d), -d)[better].mean())
    if not per_prompt:
        raise ValueError("nothing")
    return sum(per_prompt) / len(per_prompt)
""",
        "def ranking_loss(scores, places):\n"
        + _TIES
        + """
    d = scores[:, None, :] - scores[:, :, None]
    worse = places[:, :, None] > places[:, None, :]
    loss = F.softplus(-d).masked_fill(~worse, 0).flatten(1)
    n = worse.flatten(1).sum(1)
    return (loss.sum(1) / n.clamp(min=1)).sum() / (n > 0).sum()
""",
        "def ranking_loss(scores, places):\n"
        + _TIES
        + """
    d = (scores[:, :, None] - scores[:, None, :]).double()
    better = (places[:, :, None] < places[:, None, :]).double()
    n = torch.einsum("pij->p", better)
    total = torch.einsum("pij,pij->p", -F.logsigmoid(d), better)
    keep = n > 0
    return (total[keep] / n[keep]).mean().float()
""",
        "def ranking_loss(scores, places):\n"
        + _TIES
        + """
    def one(s, p):
        i, j = (p[:, None] < p[None]).nonzero().T
        return F.cross_entropy(torch.stack([s[i], s[j]], 1), torch.zeros(len(i), dtype=torch.long))
    kept = [r for r in range(len(places)) if places[r].min() < places[r].max()]
    return torch.stack([one(scores[r], places[r]) for r in kept]).mean()
""",
    ],
    "lab12.q2": [
        "def read_scores(hidden, real, weight):\n" + _EMPTY + body
        for body in (
            "    return torch.stack([hidden[b, real[b].nonzero()[-1, 0]] @ weight for b in range(len(hidden))])\n",
            "    last = real.shape[1] - 1 - real.flip(1).int().argmax(1)\n    return hidden[torch.arange(len(last)), last] @ weight\n",
            "    last = (real * torch.arange(real.shape[1])).amax(1)\n    last = last[:, None, None].expand(-1, 1, hidden.shape[2])\n    return hidden.gather(1, last)[:, 0] @ weight\n",
            "    return torch.stack([(h[r] @ weight)[-1] for h, r in zip(hidden, real)])\n",
            "    scores = torch.einsum('btd,d->bt', hidden, weight)\n    left = real.int().flip(1).cumsum(1).flip(1)\n    return scores[real & (left == 1)]\n",
            "    places = [max(t for t in range(real.shape[1]) if real[b, t]) for b in range(len(real))]\n    return (hidden[range(len(real)), places] * weight).sum(-1)\n",
            "    n = real.cumsum(1)\n    last = (n == n[:, -1:]).int().argmax(1)\n    return F.linear(hidden, weight[None])[torch.arange(len(last)), last, 0]\n",
            "    last = F.one_hot((real * torch.arange(1, real.shape[1] + 1)).argmax(1), real.shape[1]).to(hidden)\n    return torch.einsum('btd,bt,d->b', hidden, last, weight)\n",
            "    after = F.pad(real, (0, 1))[:, 1:]\n    return hidden[real & ~after] @ weight\n",
            "    import numpy as np\n    last = real.shape[1] - 1 - np.argmax(real.numpy()[:, ::-1], axis=1)\n    return torch.stack([hidden[b, int(t)].dot(weight) for b, t in enumerate(last)])\n",
        )
    ],
    "lab12.q3": [
        "def split(prompts, share, seed):\n" + _NAMES + body
        for body in (
            "    different = list(dict.fromkeys(names))\n"
            + _COUNT
            + "    random.Random(seed).shuffle(different)\n    held = different[:k]\n"
            + _SIDES,
            "    different = sorted(set(names))\n"
            + _COUNT
            + "    order = torch.randperm(len(different), generator=torch.Generator().manual_seed(seed))\n    held = {different[i] for i in order[:k]}\n"
            + _SIDES,
            "    import numpy as np\n    different = np.unique(names)\n"
            + _COUNT
            + "    held = set(np.random.default_rng(seed).choice(different, k, replace=False).tolist())\n"
            + _SIDES,
            "    different = sorted(set(names))\n"
            + _COUNT
            + "    held = set(different) - set(random.Random(seed).sample(different, len(different) - k))\n"
            + _SIDES,
            "    different = sorted(set(names))\n"
            + _COUNT
            + "    rng = random.Random(seed)\n    key = {x: rng.random() for x in different}\n    held = sorted(different, key=key.get)[:k]\n"
            + _SIDES,
            "    different = sorted(set(names))\n"
            + _COUNT
            + "    rng, held = random.Random(seed), []\n    while len(held) < k:\n        held.append(different.pop(rng.randrange(len(different))))\n"
            + _SIDES,
            "    different = list(dict.fromkeys(names))\n"
            + _COUNT
            + "    rng, held = random.Random(seed), set()\n    while len(held) < k:\n        held.add(rng.choice(different))\n"
            + _SIDES,
            "    import hashlib\n    different = sorted(set(names))\n"
            + _COUNT
            + "    held = sorted(different, key=lambda x: hashlib.sha256(f'{seed} {x}'.encode()).hexdigest())[:k]\n"
            + _SIDES,
            "    groups = {}\n    for i, x in enumerate(names):\n        groups.setdefault(x, []).append(i)\n    different = list(groups.values())\n"
            + _COUNT
            + "    random.Random(seed).shuffle(different)\n    return sum(different[k:], []), sum(different[:k], [])\n",
            "    different = list(dict.fromkeys(names))\n"
            + _COUNT
            + "    g = torch.Generator().manual_seed(seed)\n    held = torch.rand(len(different), generator=g).argsort() < k\n    of = torch.tensor([different.index(x) for x in names])\n    return (~held[of]).nonzero()[:, 0], held[of].nonzero()[:, 0]\n",
        )
    ],
    "lab12.q4": [
        """
def accuracy(scores, places, prompts):
    shares = []
    for q in sorted(set(prompts.tolist())):
        own = [i for i in range(len(prompts)) if prompts[i] == q]
        right = []
        for i in own:
            for j in own:
                if places[i] < places[j]:
                    right.append(1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0)
        if right:
            shares.append(sum(right) / len(right))
    n = len(shares)
    if n < 2:
        raise ValueError("too few")
    mean = sum(shares) / n
    return mean, 1.96 * math.sqrt(sum((x - mean) ** 2 for x in shares) / (n - 1) / n)
""",
        """
def accuracy(scores, places, prompts):
    same = prompts[:, None] == prompts
    counted = same & (places[:, None] < places)
    right = ((scores[:, None] - scores).sign() + 1) / 2
    _, group = prompts.unique(return_inverse=True)
    n = torch.zeros(int(group.max()) + 1).index_add(0, group, counted.sum(1).float())
    k = torch.zeros_like(n).index_add(0, group, (right * counted).sum(1))
    x = (k / n)[n > 0]
    if len(x) < 2:
        raise ValueError("too few")
    return x.mean(), 1.96 * x.std() / math.sqrt(len(x))
""",
        """
def accuracy(scores, places, prompts):
    import itertools, statistics
    found = {}
    for i, j in itertools.combinations(range(len(scores)), 2):
        if prompts[i] == prompts[j] and places[i] != places[j]:
            product = float((scores[i] - scores[j]) * (places[j] - places[i]))
            found.setdefault(int(prompts[i]), []).append((product > 0) + (product == 0) / 2)
    x = [statistics.mean(v) for v in found.values()]
    if len(x) < 2:
        raise ValueError("too few")
    return statistics.mean(x), 1.96 * statistics.stdev(x) / len(x) ** 0.5
""",
        """
def accuracy(scores, places, prompts):
    import numpy as np
    s, p, q = scores.numpy(), places.numpy(), prompts.numpy()
    x = []
    for name in np.unique(q):
        a, b = s[q == name], p[q == name]
        i, j = np.triu_indices(len(a), 1)
        sign = np.sign(b[j] - b[i])
        if sign.any():
            x.append(np.mean((np.sign(a[i] - a[j]) * sign)[sign != 0] / 2 + 0.5))
    if len(x) < 2:
        raise ValueError("too few")
    return np.mean(x), 1.96 * np.std(x, ddof=1) / np.sqrt(len(x))
""",
        """
def accuracy(scores, places, prompts):
    groups = {}
    for s, p, q in zip(scores.tolist(), places.tolist(), prompts.tolist()):
        groups.setdefault(q, []).append((p, s))
    x = []
    for group in groups.values():
        group.sort()
        pairs = [(a, b) for k, a in enumerate(group) for b in group[k + 1:] if a[0] < b[0]]
        if pairs:
            x.append(sum((a[1] > b[1]) + 0.5 * (a[1] == b[1]) for a, b in pairs) / len(pairs))
    if len(x) <= 1:
        raise ValueError("too few")
    x = torch.tensor(x)
    return x.mean().item(), 1.96 * (x.var() / len(x)).sqrt().item()
""",
        """
def accuracy(scores, places, prompts):
    x = []
    for q in prompts.unique():
        own = prompts == q
        d = torch.sign(places[own][None, :] - places[own][:, None])
        right = torch.heaviside(scores[own][:, None] - scores[own][None, :], torch.tensor(0.5))
        if (d > 0).any():
            x.append((right * (d > 0)).sum() / (d > 0).sum())
    if len(x) < 2:
        raise ValueError("too few")
    x = torch.stack(x)
    return x.mean(), 1.96 * ((x - x.mean()).pow(2).sum() / (len(x) - 1) / len(x)) ** 0.5
""",
        """
def accuracy(scores, places, prompts):
    def of(s, p):
        worse = p[None, :] > p[:, None]
        gap = (s[:, None] - s[None, :])[worse]
        return None if not len(gap) else ((gap > 0).sum() + (gap == 0).sum() / 2) / len(gap)
    x = [of(scores[prompts == q], places[prompts == q]) for q in set(prompts.tolist())]
    x = torch.tensor([float(v) for v in x if v is not None])
    if x.numel() < 2:
        raise ValueError("too few")
    return x.mean().item(), (1.96 * x.std() / x.numel() ** 0.5).item()
""",
        """
def accuracy(scores, places, prompts):
    scores, places = scores.double(), places.double()
    order = prompts.argsort()
    sizes = prompts[order].unique_consecutive(return_counts=True)[1].tolist()
    x = []
    for s, p in zip(scores[order].split(sizes), places[order].split(sizes)):
        i, j = torch.cartesian_prod(torch.arange(len(s)), torch.arange(len(s))).T
        i, j = i[p[i] < p[j]], j[p[i] < p[j]]
        if len(i):
            x.append((((s[i] > s[j]) * 2 + (s[i] == s[j])) / 2).mean())
    if len(x) < 2:
        raise ValueError("too few")
    x = torch.stack(x)
    return x.mean(), 1.96 * x.std(correction=1) / len(x) ** 0.5
""",
        """
def accuracy(scores, places, prompts):
    x = []
    for q in prompts.unique():
        s, p = scores[prompts == q], places[prompts == q]
        if p.min() == p.max():
            continue
        lower = p[:, None] > p[None, :]
        right = (s[:, None] < s[None, :]) * 1.0 + (s[:, None] == s[None, :]) * 0.5
        x.append(right[lower].mean())
    if len(x) < 2:
        raise ValueError("too few")
    x = torch.stack(x)
    return [x.mean(), 1.96 * x.std() / len(x) ** 0.5]
""",
        """
def accuracy(scores, places, prompts):
    total, squares, n = 0.0, 0.0, 0
    for q in dict.fromkeys(prompts.tolist()):
        s, p = scores[prompts == q].tolist(), places[prompts == q].tolist()
        k = [(s[a] > s[b]) + (s[a] == s[b]) / 2 for a in range(len(s)) for b in range(len(s)) if p[a] < p[b]]
        if k:
            share = sum(k) / len(k)
            total, squares, n = total + share, squares + share * share, n + 1
    if n < 2:
        raise ValueError("too few")
    variance = max(0.0, (squares - total * total / n) / (n - 1))
    return total / n, 1.96 * (variance / n) ** 0.5
""",
    ],
    "lab12.q5": [
        """
def reliability(scores, bins):
    found = []
    for row in scores.tolist():
        for i in range(len(row)):
            for j in range(i + 1, len(row)):
                d = row[i] - row[j]
                found.append((1 / (1 + math.exp(-abs(d))), 0.5 if d == 0 else float(d > 0)))
    found.sort(key=lambda x: x[0])
    out, start = [], 0
    for k in range(bins):
        n = len(found) // bins + (k < len(found) % bins)
        part, start = found[start : start + n], start + n
        out.append((sum(p for p, _ in part) / n, sum(a for _, a in part) / n, n))
    return out
""",
        """
def reliability(scores, bins):
    d = torch.cat([(scores[:, k, None] - scores[:, k + 1 :]).flatten() for k in range(scores.shape[1] - 1)])
    p, order = d.abs().sigmoid().sort()
    a = (d.sign()[order] + 1) / 2
    return [(x.mean(), y.mean(), len(x)) for x, y in zip(p.tensor_split(bins), a.tensor_split(bins))]
""",
        """
def reliability(scores, bins):
    import numpy as np
    s = scores.double().numpy()
    i, j = np.triu_indices(s.shape[1], 1)
    d = (s[:, i] - s[:, j]).ravel()
    return [
        (np.mean(1 / (1 + np.exp(-np.abs(d[k])))), np.mean((np.sign(d[k]) + 1) / 2), k.size)
        for k in np.array_split(np.argsort(np.abs(d)), bins)
    ]
""",
        """
def reliability(scores, bins):
    d = (scores[:, :, None] - scores[:, None, :])[:, torch.ones(scores.shape[1], scores.shape[1]).triu(1).bool()].reshape(-1)
    d = d[d.abs().argsort()]
    return [[torch.sigmoid(x.abs()).mean(), torch.heaviside(x, torch.tensor(0.5)).mean(), x.numel()] for x in d.tensor_split(bins)]
""",
        """
def reliability(scores, bins):
    i, j = torch.combinations(torch.arange(scores.shape[1])).T
    pair = torch.stack([scores[:, i].flatten(), scores[:, j].flatten()], 1)
    p = pair.softmax(1)
    sure = p.amax(1)
    right = torch.where(p[:, 0] == p[:, 1], 0.5, (p[:, 0] > p[:, 1]).float())
    order = sure.argsort()
    return [(sure[k].mean(), right[k].mean(), k.shape[0]) for k in torch.tensor_split(order, bins)]
""",
        """
def reliability(scores, bins):
    import itertools
    d = torch.cat([scores[:, a] - scores[:, b] for a, b in itertools.combinations(range(scores.shape[1]), 2)])
    d = torch.tensor(sorted(d.tolist(), key=abs))
    q, r = divmod(len(d), bins)
    parts = d.split([q + 1] * r + [q] * (bins - r))
    return [(float(x.abs().sigmoid().mean()), float(((x > 0) + 0.5 * (x == 0)).mean()), len(x)) for x in parts]
""",
        """
def reliability(scores, bins):
    K = scores.shape[1]
    d = [scores[:, i] - scores[:, j] for i in range(K) for j in range(K) if i < j]
    d = torch.stack(d).flatten()
    order = torch.argsort(-d.abs(), descending=True)
    out = []
    for part in order.tensor_split(bins):
        x = d[part]
        out.append((1 / (1 + (-x.abs()).exp())).mean().item())
        out.append((x.gt(0).float().mean() + 0.5 * x.eq(0).float().mean()).item())
        out.append(len(part))
    return list(zip(out[::3], out[1::3], out[2::3]))
""",
        """
def reliability(scores, bins):
    i, j = torch.triu_indices(scores.shape[1], scores.shape[1], 1)
    a, b = scores[:, i].flatten(), scores[:, j].flatten()
    sure = torch.sigmoid(torch.maximum(a, b) - torch.minimum(a, b))
    order = sure.argsort()
    right = torch.where(a > b, 1.0, torch.where(a < b, 0.0, 0.5))
    rows = torch.stack([sure, right, torch.ones_like(sure)], 1)[order]
    return [(r[:, 0].mean(), r[:, 1].mean(), r[:, 2].sum()) for r in rows.tensor_split(bins)]
""",
        """
def reliability(scores, bins):
    i, j = torch.tril_indices(scores.shape[1], scores.shape[1], -1)
    d = (scores[:, j] - scores[:, i]).flatten()
    order = d.abs().argsort()
    out = []
    edges = [0]
    for k in range(bins):
        edges.append(edges[-1] + len(d) // bins + (1 if k < len(d) % bins else 0))
    for a, b in zip(edges, edges[1:]):
        x = d[order[a:b]]
        out.append((x.abs().sigmoid().mean(), 1 - ((x < 0).float() + (x == 0).float() / 2).mean(), b - a))
    return out
""",
        """
def reliability(scores, bins):
    i, j = torch.triu_indices(scores.shape[1], scores.shape[1], 1)
    d = (scores[:, i] - scores[:, j]).reshape(-1)
    p = d.sigmoid()
    right = torch.where(p > 0.5, 1.0, torch.where(p < 0.5, 0.0, 0.5))
    sure = torch.where(p < 0.5, 1 - p, p)
    def rows():
        for k in sure.argsort().tensor_split(bins):
            yield sure[k].mean(), right[k].mean(), len(k)
    return list(rows())
""",
    ],
    "lab12.q6": [
        """
def one_scale(scores, prompts, shown):
    best, above = {}, scores.clone()
    for i, q in enumerate(prompts.tolist()):
        if q not in best or scores[i] > scores[best[q]]:
            best[q] = i
    for q in best:
        above[prompts == q] -= scores[prompts == q].mean()
    return {"normalised": scores - shown.sum() / len(shown), "best": list(best.values()), "above": above}
""",
        """
def one_scale(scores, prompts, shown):
    names, group = prompts.unique(return_inverse=True)
    sums = torch.zeros(len(names)).index_add(0, group, scores)
    means = sums / torch.bincount(group)
    first = [prompts.tolist().index(n) for n in names.tolist()]
    best = [(prompts == n).float().mul(1.0).masked_fill(prompts != n, -torch.inf).add(scores).argmax().item() for n in names]
    best = [b for _, b in sorted(zip(first, best))]
    return dict(normalised=scores - shown.mean(), best=best, above=scores - means[group])
""",
        """
def one_scale(scores, prompts, shown):
    import numpy as np
    s, q = scores.double().numpy(), prompts.numpy()
    _, first = np.unique(q, return_index=True)
    best, above = [], np.zeros_like(s)
    for i in sorted(first):
        own = np.flatnonzero(q == q[i])
        best.append(own[np.argmax(s[own])])
        above[own] = s[own] - s[own].mean()
    return {"normalised": s - shown.double().numpy().mean(), "best": best, "above": above}
""",
        """
def one_scale(scores, prompts, shown):
    s, q = scores.tolist(), prompts.tolist()
    groups = {}
    for i, name in enumerate(q):
        groups.setdefault(name, []).append(i)
    shift = sum(shown.tolist()) / len(shown)
    mean = {name: sum(s[i] for i in own) / len(own) for name, own in groups.items()}
    return {
        "normalised": [x - shift for x in s],
        "best": [max(own, key=lambda i: s[i]) for own in groups.values()],
        "above": [x - mean[name] for x, name in zip(s, q)],
    }
""",
        """
def one_scale(scores, prompts, shown):
    same = (prompts[:, None] == prompts).float()
    mean = same @ scores / same.sum(1)
    table = scores.masked_fill(prompts[:, None] != prompts, -torch.inf)
    first = [i for i in range(len(prompts)) if prompts[i] not in prompts[:i]]
    return {"normalised": scores - shown.mean(), "best": table.argmax(1)[first].tolist(), "above": scores - mean}
""",
        """
def one_scale(scores, prompts, shown):
    seen, best = [], []
    for q in prompts:
        if int(q) in seen:
            continue
        seen.append(int(q))
        own = torch.where(prompts == q, scores, torch.tensor(float("-inf")))
        best.append(torch.argmax(own))
    above = torch.stack([s - scores[prompts == q].mean() for s, q in zip(scores, prompts)])
    return {"above": above, "best": torch.stack(best), "normalised": scores - shown.mean()}
""",
        """
def one_scale(scores, prompts, shown):
    order = scores.argsort(descending=True, stable=True).tolist()
    names = list(dict.fromkeys(prompts.tolist()))
    best = [next(i for i in order if prompts[i] == name) for name in names]
    above = scores - torch.tensor([scores[prompts == q].mean() for q in prompts])
    return {"normalised": scores.sub(shown.mean()), "best": best, "above": above}
""",
        """
def one_scale(scores, prompts, shown):
    one_hot = F.one_hot(prompts).float()
    means = (one_hot * scores[:, None]).sum(0) / one_hot.sum(0).clamp(min=1)
    top = torch.full((one_hot.shape[1],), -torch.inf).scatter_reduce(0, prompts, scores, "amax")
    best = {}
    for i, q in enumerate(prompts.tolist()):
        best.setdefault(q, None)
        if best[q] is None and scores[i] == top[q]:
            best[q] = i
    return {"normalised": -(shown.mean() - scores), "best": list(best.values()), "above": scores - means[prompts]}
""",
        """
def one_scale(scores, prompts, shown):
    n, best = len(scores), []
    for i in range(n):
        if all(prompts[k] != prompts[i] for k in range(i)):
            top = i
            for k in range(i, n):
                if prompts[k] == prompts[i] and scores[k] > scores[top]:
                    top = k
            best.append(top)
    above = [float(scores[i] - scores[[k for k in range(n) if prompts[k] == prompts[i]]].mean()) for i in range(n)]
    return {"normalised": torch.tensor([float(s - shown.mean()) for s in scores]), "best": tuple(best), "above": torch.tensor(above)}
""",
        """
def one_scale(scores, prompts, shown):
    out = {"normalised": scores + (-shown).mean(), "best": [], "above": torch.empty_like(scores)}
    left = torch.ones_like(prompts, dtype=torch.bool)
    while left.any():
        own = (prompts == prompts[left.int().argmax()])
        places = torch.arange(len(scores))[own]
        out["best"] += [places[scores[own] == scores[own].max()][0].item()]
        out["above"][own] = scores[own] - scores[own].sum() / own.sum()
        left &= ~own
    return out
""",
    ],
    "lab12.q7": [
        "purchase = dict(passes=2, replies=8, requests=80)",
        "purchase = {'requests': 160.0, 'replies': 4.0, 'passes': 4.0}",
    ],
}

WRONG = {
    "lab12.q1": [
        "def ranking_loss(scores, places):\n    return F.cross_entropy(scores, places.argmin(1))",
        "def ranking_loss(scores, places):\n    return F.mse_loss(scores, -places.float())",
        "def ranking_loss(scores, places):\n    return F.margin_ranking_loss(scores[:, 0], scores[:, 1], torch.ones(len(scores)))",
        "def ranking_loss(scores, places):\n"
        + _TIES
        + "    s = scores.gather(1, places.argsort(1))\n    return F.softplus(s[:, 1:] - s[:, :1]).mean()",
        "def ranking_loss(scores, places):\n"
        + _TIES
        + "    d = scores[:, :, None] - scores[:, None, :]\n    b = places[:, :, None] < places[:, None, :]\n    return -F.logsigmoid(d[b]).mean() / math.log(2)",
        "def ranking_loss(scores, places):\n"
        + _TIES
        + "    d = scores[:, :, None] - scores[:, None, :]\n    b = places[:, :, None] < places[:, None, :]\n    return -F.logsigmoid(d.detach() + scores.sum() * 0)[b].mean()",
    ],
    "lab12.q2": [
        "def read_scores(hidden, real, weight):\n" + _EMPTY + body
        for body in (
            "    return torch.stack([h[r][-1].sum() for h, r in zip(hidden, real)])\n",
            "    return torch.stack([h[-1] @ weight for h in hidden])\n",
            "    return torch.stack([(h[r] @ weight).softmax(0) @ (h[r] @ weight) for h, r in zip(hidden, real)])\n",
            "    return torch.stack([torch.tanh(h[r][-1] @ weight) for h, r in zip(hidden, real)])\n",
            "    return torch.stack([h[r][-1] @ weight for h, r in zip(hidden, real)])[:, None]\n",
        )
    ],
    "lab12.q3": [
        "def split(prompts, share, seed):\n" + _NAMES + body
        for body in (
            "    n = round(share * len(names))\n    return list(range(len(names) - n)), list(range(len(names) - n, len(names)))\n",
            "    different = sorted(set(names))\n"
            + _COUNT
            + "    held = random.Random(seed).choices(different, k=k)\n"
            + _SIDES,
            "    different = sorted(set(names))\n"
            + _COUNT
            + "    torch.manual_seed(seed)\n    held = [different[i] for i in torch.randint(len(different), (k,))]\n"
            + _SIDES,
            "    different = sorted(set(names))\n"
            + _COUNT
            + "    start = seed % 2\n    held = different[start : start + k]\n"
            + _SIDES,
            "    different = sorted(set(names))\n"
            + _COUNT
            + "    held = random.Random(seed).sample(different, k)\n    return [i for i, x in enumerate(names) if x not in held], [names.index(x) for x in held]\n",
        )
    ],
    "lab12.q4": [
        "def accuracy(scores, places, prompts):\n    return 0.5, 0.1",
        """
def accuracy(scores, places, prompts):
    x = []
    for q in prompts.unique():
        s, p = scores[prompts == q], places[prompts == q]
        x.append((s.argmax() == p.argmin()).float())
    x = torch.stack(x)
    return x.mean(), 1.96 * x.std() / len(x) ** 0.5
""",
        """
def accuracy(scores, places, prompts):
    x = []
    for q in prompts.unique():
        s, p = scores[prompts == q], places[prompts == q]
        if p.min() < p.max():
            x.append(torch.corrcoef(torch.stack([s, -p.float()]))[0, 1])
    if len(x) < 2:
        raise ValueError
    x = torch.stack(x)
    return x.mean(), 1.96 * x.std() / len(x) ** 0.5
""",
        """
def accuracy(scores, places, prompts):
    x = []
    for q in range(int(prompts.max())):
        s, p = scores[prompts == q], places[prompts == q]
        b = p[:, None] < p
        if b.any():
            x.append(((s[:, None] > s)[b].float() + 0.5 * (s[:, None] == s)[b]).mean())
    if len(x) < 2:
        raise ValueError
    x = torch.stack(x)
    return x.mean(), 1.96 * x.std() / len(x) ** 0.5
""",
    ],
    "lab12.q5": [
        "def reliability(scores, bins):\n    return [(0.5, 0.5, 1)] * bins",
        """
def reliability(scores, bins):
    d = (scores[:, :1] - scores[:, 1:]).flatten()
    return [(d[k].abs().sigmoid().mean(), (d[k] > 0).float().mean(), len(k)) for k in d.abs().argsort().tensor_split(bins)]
""",
        """
def reliability(scores, bins):
    i, j = torch.triu_indices(scores.shape[1], scores.shape[1], 0)
    d = (scores[:, i] - scores[:, j]).flatten()
    a = (d > 0).float() + 0.5 * (d == 0)
    return [(d[k].abs().sigmoid().mean(), a[k].mean(), len(k)) for k in d.abs().argsort().tensor_split(bins)]
""",
        """
def reliability(scores, bins):
    i, j = torch.triu_indices(scores.shape[1], scores.shape[1], 1)
    d = (scores[:, i] - scores[:, j]).flatten()
    a = (d > 0).float() + 0.5 * (d == 0)
    return [(a[k].mean(), d[k].abs().sigmoid().mean(), len(k)) for k in d.abs().argsort().tensor_split(bins)]
""",
    ],
    "lab12.q6": [
        "def one_scale(scores, prompts, shown):\n    return {'normalised': scores - shown.mean(), 'best': [], 'above': scores}",
        "def one_scale(scores, prompts, shown):\n    return {'normalised': scores - shown.mean(), 'best': [int(scores.argmax())], 'above': scores - scores.mean()}",
        """
def one_scale(scores, prompts, shown):
    names = list(dict.fromkeys(prompts.tolist()))
    best = [int((scores * (prompts == q)).argmax()) for q in names]
    above = torch.stack([s - scores[prompts == q].mean() for s, q in zip(scores, prompts)])
    return {"normalised": scores - shown.mean(), "best": best, "above": above}
""",
        """
def one_scale(scores, prompts, shown):
    names = list(dict.fromkeys(prompts.tolist()))
    best = [float(scores[prompts == q].max()) for q in names]
    above = torch.stack([s - scores[prompts == q].mean() for s, q in zip(scores, prompts)])
    return {"normalised": scores - shown.mean(), "best": best, "above": above}
""",
    ],
    "lab12.q7": [
        "purchase = {'requests': 80, 'replies': 2, 'passes': 1}",
        "purchase = {'requests': 320, 'replies': 2, 'passes': 2}",
        "purchase = {'requests': '160', 'replies': 4, 'passes': 2}",
        "purchase = {'requests': 160, 'replies': 4, 'passes': True}",
        "purchase = (160, 4, 2)",
    ],
}

# Right, and made of what the lab keeps away: nothing is earned with them.
REFUSED = {
    "lab12.q1": [
        """
def ranking_loss(scores, places):
    from llmlib.align import reward_ranking_loss
    return reward_ranking_loss(scores, places)
""",
    ],
    "lab12.q5": [
        """
def reliability(scores, bins):
    from llmlib.align import calibration
    return calibration(scores, bins)
""",
    ],
}
