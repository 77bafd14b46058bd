"""Lab 09: other right answers, each written its own way, and wrong ones that have no message of their own."""

_BASIS = "def fourier_basis(p):\n    a = torch.arange(p)\n"
_TURN = "    w = 2 * math.pi / p\n"
_INPUTS = """
def examples():
    return [
        ([1, 2, 3, 4], [[1, 2, 3], [2, 3, 4]], 3), ([2, 3, 4, 5, 6], [[0, 3, 4, 5], [2, 3, 4, 9]], 3),
        ([5, 6, 7, 8], [[1, 5, 6], [7, 8, 1]], 2), ([5, 6, 7, 8], [[1, 5, 6], [7, 8, 1]], 3),
        ([3, 2, 1], [[1, 2, 3]], 2), ([1, 2, 3], [[1, 9, 2, 9, 3]], 2), ([1, 2, 3], [[1, 9, 2, 9, 3]], 1),
        ([0, 1, 2, 3], [[1, 2, 3]], 3), ([1, 2, 3, 0], [[1, 2, 3]], 3), ([0, 1, 2, 3, 0], [[9, 1, 2, 3]], 3),
        ([0, 1, 2, 3, 0], [[1, 2, 3, 9]], 3), ([1, 2, 8, 1, 2], [[1, 2]], 2), ([4, 4, 4, 4], [[4, 4, 4]], 2),
        ([1, 2, 3, 4], [[9], [1, 2, 3, 4]], 2), ([1, 2, 3, 4], [[1, 2, 3, 4], [9]], 2), ([1, 2], [[1, 2]], 3),
        ([1, 2, 3, 0, 5, 6, 7], [[1, 2, 3], [8], [5, 6, 7]], 2), ([1, 2, 9, 4], [[1, 2, 3, 4]], 4), ([7], [[7]], 1),
        ([8, 1, 2, 8, 8, 1, 2, 3, 4], [[1, 2, 3, 4, 8, 8]], 2),
    ]

"""


def _holds(body: str) -> str:
    return _INPUTS + "def holds(inputs, output):\n" + body


RIGHT = {
    "lab09.q1": [
        """
def fair_split(p, fraction, seed):
    pairs = [(a, b, (a + b) % p) for a in range(p) for b in range(a + 1)]
    random.Random(seed).shuffle(pairs)
    n = round(fraction * len(pairs))
    return torch.tensor(pairs[:n]), torch.tensor(pairs[n:])
""",
        """
def fair_split(p, fraction, seed):
    import numpy as np
    a, b = np.triu_indices(p)
    rows = np.stack([a, b, (a + b) % p], 1)[np.random.default_rng(seed).permutation(len(a))]
    train, test = np.split(rows, [int(fraction * len(rows) + 0.5)])
    return torch.from_numpy(train), torch.from_numpy(test)
""",
        """
def fair_split(p, fraction, seed):
    i, j = torch.tril_indices(p, p)
    rows = torch.stack((i, j, (i + j).remainder(p)), dim=1)
    chance = torch.Generator().manual_seed(seed)
    mask = torch.zeros(len(rows), dtype=torch.bool)
    mask[torch.randperm(len(rows), generator=chance)[: round(len(rows) * fraction)]] = True
    return rows[mask], rows[~mask]
""",
        """
def fair_split(p, fraction, seed):
    pairs = torch.combinations(torch.arange(p), 2, with_replacement=True)
    rows = torch.cat([pairs, (pairs.sum(1) % p)[:, None]], 1)
    torch.manual_seed(seed)
    order = torch.randperm(len(rows))
    n = round(fraction * len(rows))
    return rows[order[:n]], rows[order[n:]]
""",
        """
def fair_split(p, fraction, seed):
    from itertools import combinations_with_replacement
    every = list(combinations_with_replacement(range(p), 2))
    known = set(random.Random(seed).sample(every, round(fraction * len(every))))
    table = lambda half: torch.tensor([[a, b, (a + b) % p] for a, b in half])
    return table(sorted(known)), table([pair for pair in every if pair not in known])
""",
        """
def fair_split(p, fraction, seed):
    ordered = torch.cartesian_prod(torch.arange(p), torch.arange(p))
    rows = ordered[ordered[:, 0] >= ordered[:, 1]]
    rows = torch.column_stack([rows, rows.sum(1).fmod(p)])
    score = torch.rand(len(rows), generator=torch.Generator().manual_seed(seed))
    order = score.argsort()
    n = round(fraction * len(rows))
    return rows[order][:n], rows[order][n:]
""",
        """
def fair_split(p, fraction, seed):
    rng = random.Random(str(seed))
    rest = [(a, b) for a in range(p) for b in range(a, p)]
    n, train = round(fraction * len(rest)), []
    while len(train) < n:
        train.append(rest.pop(rng.randrange(len(rest))))
    give = lambda half: [[a, b, (a + b) % p] for a, b in half]
    return give(train), give(rest)
""",
        """
def fair_split(p, fraction, seed):
    keys = [divmod(code, p) for code in range(p * p)]
    keys = [(a, b, (a + b) % p) for a, b in keys if a <= b]
    order = torch.randperm(len(keys), generator=torch.Generator().manual_seed(seed + 17)).tolist()
    cut = len(keys) - round((1 - fraction) * len(keys))
    return torch.tensor([keys[i] for i in order[:cut]]), torch.tensor([keys[i] for i in order[cut:]])
""",
        """
def fair_split(p, fraction, seed):
    rows = []
    for a in range(p):
        for b in range(a, p):
            flip = (a * b + seed) % 2
            rows.append([b, a, (a + b) % p] if flip else [a, b, (a + b) % p])
    rows = torch.tensor(rows)[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
    return torch.tensor_split(rows, [round(fraction * len(rows))])
""",
        """
def fair_split(p, fraction, seed):
    total = torch.arange(p)[:, None] + torch.arange(p)
    places = torch.ones(p, p).triu().nonzero()
    rows = torch.cat([places, (total[places[:, 0], places[:, 1]] % p).unsqueeze(1)], dim=1)
    import numpy as np
    order = np.random.RandomState(seed).permutation(len(rows))
    n = int(np.rint(fraction * len(rows)))
    return rows[order[:n]].float(), rows[order[n:]].float()
""",
    ],
    "lab09.q2": [
        _BASIS
        + _TURN
        + """    rows = [torch.full((p,), p**-0.5)]
    for k in range(1, (p + 1) // 2):
        rows.append((2 / p) ** 0.5 * torch.cos(w * k * a))
        rows.append((2 / p) ** 0.5 * torch.sin(w * k * a))
    return torch.stack(rows)
""",
        _BASIS
        + """    k = torch.arange(1, (p - 1) // 2 + 1)
    angle = 2 * math.pi * torch.outer(k, a) / p
    rows = torch.stack([angle.cos(), angle.sin()], dim=1).reshape(p - 1, p) * math.sqrt(2 / p)
    return torch.cat([torch.ones(1, p) / math.sqrt(p), rows])
""",
        """
def fourier_basis(p):
    table = torch.empty(p, p)
    for i in range(p):
        k = (i + 1) // 2
        for a in range(p):
            angle = 2 * math.pi * k * a / p
            table[i, a] = math.cos(angle) if i % 2 or i == 0 else math.sin(angle)
    return table / table.square().sum(1, keepdim=True).sqrt()
""",
        """
def fourier_basis(p):
    import numpy as np
    a = np.arange(p)
    rows = [np.ones(p) / np.sqrt(p)]
    for k in range(1, (p - 1) // 2 + 1):
        rows.extend(np.sqrt(2 / p) * f(2 * np.pi * k * a / p) for f in (np.cos, np.sin))
    return torch.tensor(np.array(rows))
""",
        """
def fourier_basis(p):
    waves = torch.fft.fft(torch.eye(p, dtype=torch.float64))[: p // 2 + 1]
    rows = torch.stack([waves.real, -waves.imag], 1).flatten(0, 1)
    rows = torch.cat([rows[:1], rows[2:]])
    return F.normalize(rows, dim=1)
""",
        _BASIS
        + """    turn = torch.exp(2j * math.pi * torch.outer(torch.arange(p // 2 + 1), a) / p)
    rows = torch.view_as_real(turn).permute(0, 2, 1).reshape(-1, p)
    rows = rows[[0, *range(2, p + 1)]]
    return rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
""",
        """
def fourier_basis(p):
    rows = [[1 / math.sqrt(p)] * p]
    for k in range(1, p // 2 + 1):
        for wave in (math.cos, math.sin):
            row = [wave(2 * math.pi * ((k * a) % p) / p) for a in range(p)]
            length = math.sqrt(sum(x * x for x in row))
            rows.append([x / length for x in row])
    return torch.tensor(rows)
""",
        _BASIS
        + """    ks = (torch.arange(p) + 1) // 2
    phase = torch.where(torch.arange(p) % 2 == 0, math.pi / 2, 0.0)
    phase[0] = 0
    table = torch.cos(2 * math.pi * ks[:, None] * a / p - phase[:, None])
    return table * torch.where(ks == 0, p**-0.5, (2 / p) ** 0.5)[:, None]
""",
        """
def fourier_basis(p):
    # sine and cosine by the angle sums, one number after the other
    table = torch.zeros(p, p, dtype=torch.float64)
    table[0] = 1
    for k in range(1, p // 2 + 1):
        c, s, x, y = math.cos(2 * math.pi * k / p), math.sin(2 * math.pi * k / p), 1.0, 0.0
        for a in range(p):
            table[2 * k - 1, a], table[2 * k, a] = x, y
            x, y = x * c - y * s, x * s + y * c
    return table / table.norm(dim=1)[:, None]
""",
        _BASIS
        + """    columns = [torch.ones(p) / p**0.5]
    for k in range(1, p // 2 + 1):
        columns += [f(k * a * (2 * math.pi / p)) / (p / 2) ** 0.5 for f in (torch.cos, torch.sin)]
    return torch.stack(columns, dim=1).T
""",
    ],
    "lab09.q3": [
        """
def on_key_frequencies(table, share):
    basis = fourier_basis(len(table)).to(table)
    c = basis @ table
    power = {k: float((c[2 * k - 1] ** 2).sum() + (c[2 * k] ** 2).sum()) for k in range(1, len(table) // 2 + 1)}
    total, held, keys = sum(power.values()), 0.0, []
    for k in sorted(power, key=power.get, reverse=True):
        if held >= share * total:
            break
        held += power[k]
        keys.append(k)
    kept = torch.outer(basis[0], c[0])
    for k in keys:
        kept = kept + torch.outer(basis[2 * k - 1], c[2 * k - 1]) + torch.outer(basis[2 * k], c[2 * k])
    return {"frequencies": sorted(keys), "kept": kept}
""",
        """
def on_key_frequencies(table, share):
    p = len(table)
    spectrum = torch.fft.rfft(table, dim=0)
    power = spectrum[1:].abs().square().sum(1)
    order = power.argsort(descending=True)
    n = int(torch.searchsorted(power[order].cumsum(0), share * power.sum())) + 1
    keys = (order[:n] + 1).sort().values
    masked = torch.zeros_like(spectrum)
    masked[0], masked[keys] = spectrum[0], spectrum[keys]
    return {"frequencies": keys.tolist(), "kept": torch.fft.irfft(masked, n=p, dim=0)}
""",
        """
def on_key_frequencies(table, share):
    import numpy as np
    x = table.double().numpy()
    spectrum = np.fft.fft(x, axis=0)
    p = len(x)
    power = (np.abs(spectrum) ** 2).sum(1)[1 : p // 2 + 1]
    order = np.argsort(-power)
    n = np.argmax(np.cumsum(power[order]) >= share * power.sum()) + 1
    keys = np.sort(order[:n] + 1)
    keep = np.zeros(p, bool)
    keep[0] = keep[keys] = keep[p - keys] = True
    kept = np.fft.ifft(np.where(keep[:, None], spectrum, 0), axis=0).real
    return {"frequencies": keys.tolist(), "kept": torch.from_numpy(kept)}
""",
        """
def on_key_frequencies(table, share):
    mean = table.mean(0, keepdim=True)
    basis = fourier_basis(len(table)).to(table.dtype)[1:]
    c = (basis @ (table - mean)).view(len(table) // 2, 2, -1)
    power = (c**2).sum((1, 2))
    ranked, order = torch.sort(power / power.sum(), descending=True)
    keys = order[ranked.cumsum(0) - ranked < share]
    pick = torch.zeros(len(power), 1, 1)
    pick[keys] = 1
    kept = mean + basis.T @ (c * pick).flatten(0, 1)
    return {"frequencies": sorted((keys + 1).tolist()), "kept": kept}
""",
        """
def on_key_frequencies(table, share):
    from itertools import combinations
    basis = fourier_basis(len(table)).to(table.dtype)
    parts = basis @ table
    n = len(table) // 2
    power = [float(parts[2 * k - 1 : 2 * k + 1].norm() ** 2) for k in range(1, n + 1)]
    keys, left = [], list(range(1, n + 1))
    while sum(power[k - 1] for k in keys) < share * sum(power):
        best = max(left, key=lambda k: power[k - 1])
        left.remove(best)
        keys.append(best)
    keys.sort()
    project = sum((torch.outer(basis[r], basis[r]) for k in keys for r in (2 * k - 1, 2 * k)), torch.outer(basis[0], basis[0]))
    return {"frequencies": keys, "kept": project @ table}
""",
        """
def on_key_frequencies(table, share):
    basis = fourier_basis(len(table)).to(table.dtype)
    c = basis @ table
    power = c[1::2].pow(2).sum(-1) + c[2::2].pow(2).sum(-1)
    held, chosen = 0.0, []
    for i in torch.argsort(-power).tolist():
        chosen.append(i)
        held += float(power[i])
        if held >= share * float(power.sum()):
            break
    mask = torch.zeros(len(table), dtype=table.dtype)
    mask[0] = 1
    for i in chosen:
        mask[2 * i + 1 : 2 * i + 3] = 1
    return {"frequencies": sorted(i + 1 for i in chosen), "kept": basis.T @ (mask[:, None] * c)}
""",
        """
def on_key_frequencies(table, share):
    p, d = table.shape
    a = torch.arange(p)
    power, parts = [], []
    for k in range(1, p // 2 + 1):
        cos, sin = torch.cos(2 * math.pi * k * a / p), torch.sin(2 * math.pi * k * a / p)
        part = (2 / p) * (cos[:, None] * (cos @ table) + sin[:, None] * (sin @ table))
        parts.append(part)
        power.append(float(part.square().sum()))
    order = sorted(range(len(power)), key=lambda i: -power[i])
    n = next(n for n in range(1, len(order) + 1) if sum(power[i] for i in order[:n]) >= share * sum(power))
    kept = table.mean(0).expand(p, d) + sum(parts[i] for i in order[:n])
    return {"frequencies": sorted(i + 1 for i in order[:n]), "kept": kept}
""",
        """
def on_key_frequencies(table, share):
    basis = fourier_basis(len(table)).to(table.dtype)
    c = basis @ table
    frequency = (torch.arange(len(table)) + 1) // 2
    power = torch.zeros(len(table) // 2 + 1, dtype=table.dtype).index_add(0, frequency, c.square().sum(1))
    power[0] = 0
    ranked = power.sort(descending=True)
    n = 1 + int((ranked.values.cumsum(0) < share * power.sum()).sum())
    keys = set(ranked.indices[:n].tolist())
    for row in range(1, len(table)):
        if int(frequency[row]) not in keys:
            c[row] = 0
    return {"frequencies": sorted(keys), "kept": basis.T @ c}
""",
        """
def on_key_frequencies(table, share):
    basis = fourier_basis(len(table)).to(table.dtype)
    c = basis @ table
    power = c.square().sum(1)[1:].view(-1, 2).sum(1)
    out = set(range(len(power)))                      # take the weakest away while enough is left
    for i in power.argsort().tolist():
        if sum(float(power[j]) for j in out - {i}) < share * float(power.sum()):
            break
        out.remove(i)
    lost = [r for i in range(len(power)) if i not in out for r in (2 * i + 1, 2 * i + 2)]
    return {"frequencies": [i + 1 for i in sorted(out)], "kept": table - basis[lost].T @ c[lost]}
""",
        """
def on_key_frequencies(table, share):
    basis = fourier_basis(len(table)).to(table.dtype)
    c = torch.linalg.solve(basis.T, table)
    power = torch.tensor([(c[i] @ c[i] + c[i + 1] @ c[i + 1]).item() for i in range(1, len(c), 2)])
    order = power.topk(len(power)).indices
    totals = power[order].cumsum(0)
    n = int(torch.nonzero(totals >= share * totals[-1])[0]) + 1
    keys = sorted(int(i) + 1 for i in order[:n])
    rows = torch.tensor([0] + [2 * k - 1 for k in keys] + [2 * k for k in keys])
    return {"frequencies": keys, "kept": torch.einsum("ra,rd->ad", basis[rows], c[rows])}
""",
    ],
    "lab09.q4": [
        """
def exposure(logprobs, planted):
    total = logprobs.sum(-1)
    rank = 1 + sum(bool(total[i] >= total[planted]) for i in range(len(total)) if i != planted)
    return math.log2(len(total) / rank)
""",
        """
def exposure(logprobs, planted):
    total = logprobs.double().sum(dim=1)
    return -math.log2((total >= total[planted]).double().mean().item())
""",
        """
def exposure(logprobs, planted):
    import numpy as np
    total = logprobs.numpy().sum(1)
    return float(np.log2(len(total)) - np.log2(np.count_nonzero(total >= total[planted])))
""",
        """
def exposure(logprobs, planted):
    sums = [sum(row) for row in logprobs.tolist()]
    ranked = sorted(sums)
    import bisect
    return math.log(len(sums) / (len(sums) - bisect.bisect_left(ranked, sums[planted])), 2)
""",
        """
def exposure(logprobs, planted):
    probability = logprobs.double().exp().prod(1)
    close = torch.isclose(probability, probability[planted], rtol=1e-9, atol=0.0)
    rank = ((probability > probability[planted]) | close).sum()
    return math.log2(len(probability)) - float(torch.log2(rank.double()))
""",
        """
def exposure(logprobs, planted):
    loss = -logprobs.mean(1)
    rank = len(loss) - int((loss > loss[planted]).sum())
    return math.log2(len(loss)) - math.log2(rank)
""",
        """
def exposure(logprobs, planted):
    total = logprobs.sum(1)
    others = torch.cat([total[:planted], total[planted + 1 :]])
    rank = int(torch.sum(others >= total[planted])) + 1
    return (math.log(len(total)) - math.log(rank)) / math.log(2)
""",
        """
def exposure(logprobs, planted):
    total = logprobs.sum(1)
    ascending = total.sort().values
    below = int(torch.searchsorted(ascending, total[planted]))
    return torch.tensor(len(total) / (len(total) - below)).log2().item()
""",
        """
def exposure(logprobs, planted):
    total = logprobs @ torch.ones(logprobs.shape[1])
    order = total.argsort(descending=True).tolist()
    rank = max(place for place, i in enumerate(order, 1) if total[i] == total[planted])
    return math.log2(len(order)) - math.log2(rank)
""",
        """
def exposure(logprobs, planted):
    difference = (logprobs - logprobs[planted]).sum(1)
    rank = torch.count_nonzero(difference >= 0)
    return torch.log2(torch.tensor(float(len(logprobs)))) - torch.log2(rank.float())
""",
    ],
    "lab09.q5": [
        """
def induction_score(attention, period):
    B, H, T, _ = attention.shape
    scores = torch.zeros(H)
    for h in range(H):
        seen = [attention[b, h, q, q - period + 1] for b in range(B) for q in range(period, T)]
        scores[h] = sum(seen) / len(seen)
    return scores
""",
        """
def induction_score(attention, period):
    return attention.diagonal(offset=1 - period, dim1=2, dim2=3)[..., 1:].mean(dim=(0, 2))
""",
        """
def induction_score(attention, period):
    return torch.diagonal(attention[:, :, period:, 1:], dim1=-2, dim2=-1).mean(-1).mean(0)
""",
        """
def induction_score(attention, period):
    T = attention.shape[-1]
    mask = torch.zeros(T, T)
    for q in range(period, T):
        mask[q, q - period + 1] = 1
    return torch.einsum("bhqk,qk->h", attention, mask) / (mask.sum() * len(attention))
""",
        """
def induction_score(attention, period):
    T = attention.size(-1)
    keys = (torch.arange(period, T) - (period - 1)).view(1, 1, -1, 1).expand(*attention.shape[:2], -1, 1)
    return attention[:, :, period:].gather(3, keys).squeeze(-1).transpose(0, 1).flatten(1).mean(1)
""",
        """
def induction_score(attention, period):
    import numpy as np
    w = attention.numpy()
    d = np.diagonal(w, 1 - period, axis1=2, axis2=3)[:, :, 1:]
    return torch.from_numpy(d.mean(axis=(0, 2)))
""",
        """
def induction_score(attention, period):
    T = attention.shape[3]
    total = 0
    for q in range(period, T):
        total = total + attention[:, :, q, q + 1 - period].mean(0)
    return total / (T - period)
""",
        """
def induction_score(attention, period):
    q, k = torch.meshgrid(torch.arange(attention.shape[2]), torch.arange(attention.shape[3]), indexing="ij")
    hit = (q - k == period - 1) & (q >= period)
    return attention[:, :, hit].mean((0, 2))
""",
        """
def induction_score(attention, period):
    mean = attention.mean(0)
    return torch.stack([torch.diag(head, 1 - period)[1:].mean() for head in mean])
""",
        """
def induction_score(attention, period):
    T = attention.shape[-1]
    tokens = [t % period for t in range(T)]
    places = []
    for q in range(period, T):
        last = max(k for k in range(q) if tokens[k] == tokens[q])
        places.append((q, last + 1))
    q, k = map(list, zip(*places))
    return attention[:, :, q, k].mean((0, 2))
""",
    ],
    "lab09.q6": [
        """
def emergence(sizes, accuracy, k, level):
    exact = torch.ones(len(sizes))
    for t in range(k):
        exact = exact * accuracy[:, t]
    if exact[0] >= level:
        return {"exact": exact, "size": float(sizes[0])}
    for i in range(1, len(sizes)):
        if exact[i] >= level:
            x0, x1 = math.log(sizes[i - 1]), math.log(sizes[i])
            x = x0 + (x1 - x0) * float((level - exact[i - 1]) / (exact[i] - exact[i - 1]))
            return {"exact": exact, "size": math.exp(x)}
    return {"exact": exact, "size": None}
""",
        """
def emergence(sizes, accuracy, k, level):
    exact = accuracy[:, :k].log().sum(1).exp()
    exact = accuracy[:, :k].double().prod(1)
    there = (exact >= level).nonzero().flatten()
    if len(there) == 0:
        return {"exact": exact, "size": None}
    i = int(there[0])
    if i == 0:
        return {"exact": exact, "size": sizes[0].item()}
    lower, upper = sizes[i - 1 : i + 1].double().log2()
    share = (level - exact[i - 1]) / (exact[i] - exact[i - 1])
    return {"exact": exact, "size": (2 ** (lower + share * (upper - lower))).item()}
""",
        """
def emergence(sizes, accuracy, k, level):
    import numpy as np
    exact = np.prod(accuracy.numpy()[:, :k], axis=1)
    there = np.flatnonzero(exact >= level)
    size = None
    if there.size:
        i = there[0]
        size = float(sizes[0]) if i == 0 else float(np.exp(np.interp(level, exact[i - 1 : i + 1], np.log(sizes.numpy()[i - 1 : i + 1]))))
    return {"exact": torch.from_numpy(exact), "size": size}
""",
        """
def emergence(sizes, accuracy, k, level):
    exact = [math.prod(row[:k]) for row in accuracy.tolist()]
    size = None
    for i, value in enumerate(exact):
        if value >= level - 1e-12:
            if i == 0:
                size = float(sizes[0])
            else:
                a, b = float(sizes[i - 1]), float(sizes[i])
                size = a * (b / a) ** ((level - exact[i - 1]) / (value - exact[i - 1]))
            break
    return {"exact": torch.tensor(exact), "size": size}
""",
        """
def emergence(sizes, accuracy, k, level):
    exact = accuracy[:, :k].cumprod(1)[:, -1]
    x = sizes.log10()
    i = next((i for i in range(len(x)) if exact[i] >= level), None)
    if not i:
        return {"exact": exact, "size": None if i is None else float(sizes[0])}
    weight = float((exact[i] - level) / (exact[i] - exact[i - 1]))
    return {"exact": exact, "size": 10 ** (weight * float(x[i - 1]) + (1 - weight) * float(x[i]))}
""",
        """
def emergence(sizes, accuracy, k, level):
    exact = accuracy[:, :k].prod(dim=1)
    if exact.max() < level:
        return {"exact": exact, "size": None}
    i = int((exact >= level).int().argmax())
    j = max(i - 1, 0)
    slope = (exact[i] - exact[j]) / (sizes[i].log() - sizes[j].log()) if i else torch.tensor(1.0)
    offset = (level - exact[j]) / slope if i else torch.tensor(0.0)
    return {"exact": exact, "size": (sizes[j] * offset.exp()).item()}
""",
        """
def emergence(sizes, accuracy, k, level):
    from functools import reduce
    exact = torch.stack([reduce(lambda a, b: a * b, row[:k]) for row in accuracy])
    points = list(zip(sizes.tolist(), exact.tolist()))
    if points[0][1] >= level:
        return {"exact": exact, "size": points[0][0]}
    for (s0, e0), (s1, e1) in zip(points, points[1:]):
        if e1 >= level:
            t = (level - e0) / (e1 - e0)
            return {"exact": exact, "size": s0 ** (1 - t) * s1**t}
    return {"exact": exact, "size": None}
""",
        """
def emergence(sizes, accuracy, k, level):
    exact = accuracy[:, :k].prod(1)
    def find(i):
        if i == len(exact):
            return None
        if exact[i] < level:
            return find(i + 1)
        if i == 0:
            return float(sizes[0])
        low, high = math.log(float(sizes[i - 1])), math.log(float(sizes[i]))
        for _ in range(60):    # bisection along the line
            middle = (low + high) / 2
            at = float(exact[i - 1]) + (middle - math.log(float(sizes[i - 1]))) / math.log(float(sizes[i] / sizes[i - 1])) * float(exact[i] - exact[i - 1])
            low, high = (middle, high) if at < level else (low, middle)
        return math.exp(high)
    return {"exact": exact, "size": find(0)}
""",
        """
def emergence(sizes, accuracy, k, level):
    exact = torch.einsum("s->s", accuracy[:, 0])
    for t in range(1, k):
        exact = exact * accuracy[:, t]
    crossed = [i for i in range(1, len(exact)) if exact[i - 1] < level <= exact[i]]
    size = None
    if exact[0] >= level:
        size = sizes[0]
    elif crossed:
        i = crossed[0]
        size = torch.exp(torch.lerp(sizes[i - 1].log(), sizes[i].log(), (level - exact[i - 1]) / (exact[i] - exact[i - 1])))
    return {"exact": exact, "size": size}
""",
        """
def emergence(sizes, accuracy, k, level):
    wrong_somewhere = 1 - accuracy[:, :k].prod(-1)
    exact = 1 - wrong_somewhere
    exact = accuracy[:, :k].prod(-1)
    before = None
    for size, value in zip(sizes, exact):
        if value >= level:
            if before is None:
                return {"exact": exact, "size": float(size)}
            ratio = (value - level) / (value - before[1])
            return {"exact": exact, "size": float(size * (before[0] / size) ** ratio)}
        before = (size, value)
    return {"exact": exact, "size": None}
""",
    ],
    "lab09.q7": [
        _holds("""    text, training, k = inputs
    stands = lambda piece: any(doc[i : i + len(piece)] == piece for doc in training for i in range(len(doc) - len(piece) + 1))
    ok = len(output) == len(set(map(tuple, output)))
    for s, n in output:
        ok = ok and n >= k and 0 <= s and s + n <= len(text) and stands(text[s : s + n])
    for i in range(len(text) - k + 1):
        if stands(text[i : i + k]):
            ok = ok and any(s <= i and s + n >= i + k for s, n in output)
    return ok
"""),
        _holds("""    text, training, k = inputs
    as_text = lambda tokens: "," + ",".join(map(str, tokens)) + ","
    documents = [as_text(doc) for doc in training]
    stands = lambda tokens: any(as_text(tokens) in doc for doc in documents)
    given = set()
    for start, length in output:
        if (start, length) in given or length < k or start < 0 or start + length > len(text) or not stands(text[start : start + length]):
            return False
        given.add((start, length))
    inside = {i for start, length in given for i in range(start, start + length - k + 1)}
    return all(i in inside for i in range(len(text) - k + 1) if stands(text[i : i + k]))
"""),
        _holds("""    text, training, k = inputs
    known = {tuple(doc[i:j]) for doc in training for i in range(len(doc)) for j in range(i + 1, len(doc) + 1)}
    pieces = [(s, s + n) for s, n in output]
    assert len(pieces) == len(set(pieces))
    assert all(0 <= s and e <= len(text) and e - s >= k and tuple(text[s:e]) in known for s, e in pieces)
    wanted = [(i, i + k) for i in range(len(text) - k + 1) if tuple(text[i : i + k]) in known]
    assert all(any(s <= a and b <= e for s, e in pieces) for a, b in wanted)
    return True
"""),
        _holds("""    text, training, k = inputs
    longest = []            # from every place, by comparing token by token
    for i in range(len(text)):
        best = 0
        for doc in training:
            for j in range(len(doc)):
                n = 0
                while i + n < len(text) and j + n < len(doc) and text[i + n] == doc[j + n]:
                    n += 1
                best = max(best, n)
        longest.append(best)
    covered = [0] * len(text)
    for s, n in output:
        if not 0 <= s < len(text) or not k <= n <= longest[s]:
            return False
        for i in range(s, s + n - k + 1):
            covered[i] = 1
    return len({(s, n) for s, n in output}) == len(output) and all(c or n < k for c, n in zip(covered, longest))
"""),
        _holds("""    import numpy as np
    text, training, k = inputs
    reach = np.zeros(len(text) + 1, int)
    for doc in training:
        table = np.zeros((len(text) + 1, len(doc) + 1), int)
        for i in reversed(range(len(text))):
            for j in reversed(range(len(doc))):
                table[i, j] = table[i + 1, j + 1] + 1 if text[i] == doc[j] else 0
        reach = np.maximum(reach, table.max(1))
    if any(s < 0 or s >= len(text) or n < k or n > reach[s] for s, n in output) or len(set(output)) != len(output):
        return False
    return all(any(s <= i <= s + n - k for s, n in output) for i in np.flatnonzero(reach >= k))
"""),
        _holds("""    text, training, k = inputs
    def stands(start, length):
        return any(text[start : start + length] == doc[i : i + length] for doc in training for i in range(len(doc) + 1 - length))
    def fine(start, length):
        return length >= k and start in range(len(text)) and start + length <= len(text) and stands(start, length)
    missed = [i for i in range(len(text) + 1 - k) if stands(i, k) and max((s + n for s, n in output if s <= i), default=-1) < i + k]
    return all(fine(s, n) for s, n in output) and not missed and sorted(output) == sorted(set(output))
"""),
        _holds("""    text, training, k = inputs
    text, training = "".join(map(str, text)), ["".join(map(str, doc)) for doc in training]
    for place, (s, n) in enumerate(output):
        piece = text[s : s + n] if s >= 0 else ""
        if n < k or len(piece) != n or not any(piece in doc for doc in training) or (s, n) in output[:place]:
            return False
    for i in range(len(text) - k + 1):
        if any(text[i : i + k] in doc for doc in training):
            if not [1 for s, n in output if s <= i and i + k <= s + n]:
                return False
    return True
"""),
        _holds("""    text, training, k = inputs
    windows = {tuple(doc[i : i + k]) for doc in training for i in range(len(doc) - k + 1)}
    todo = {i for i in range(len(text) - k + 1) if tuple(text[i : i + k]) in windows}
    seen = []
    for s, n in output:
        if n < k or s < 0 or s + n > len(text) or [s, n] in seen:
            return False
        if not any(text[s : s + n] == doc[i : i + n] for doc in training for i in range(len(doc))):
            return False
        seen.append([s, n])
        todo -= set(range(s, s + n - k + 1))
    return not todo
"""),
        _holds("""    text, training, k = inputs
    try:
        stretches = [(int(s), int(n)) for s, n in output]
    except TypeError:
        return False
    joined = [t for doc in training for t in [*doc, -1]]
    at = lambda piece: [j for j in range(len(joined)) if joined[j : j + len(piece)] == piece]
    good = all(n >= k and 0 <= s <= len(text) - n and at(text[s : s + n]) for s, n in stretches)
    full = all(any(s <= i and i + k <= s + n for s, n in stretches) for i in range(len(text) - k + 1) if at(text[i : i + k]))
    return good and full and len(dict.fromkeys(stretches)) == len(stretches)
"""),
        _holds("""    text, training, k = inputs
    import re
    letters = "abcdefghij"
    t = "".join(letters[x] for x in text)
    docs = ["".join(letters[x] for x in doc) for doc in training]
    found = lambda piece: any(re.search(piece, doc) for doc in docs)
    checks = [len(output) == len({*output})]
    checks += [s >= 0 and n >= k and len(t[s : s + n]) == n and found(t[s : s + n]) for s, n in output]
    for i in range(len(t) - k + 1):
        checks.append(not found(t[i : i + k]) or any(s <= i <= i + k <= s + n for s, n in output))
    return all(map(bool, checks))
"""),
    ],
}

_ROWS = "    rows = torch.tensor([(a, b, (a + b) % p) for a in range(p) for b in range(a, p)])\n"
_ORDER = "    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))\n    n = round(fraction * len(rows))\n"


def _split(rows: str = _ROWS, order: str = _ORDER, given: str = "rows[order[:n]], rows[order[n:]]") -> str:
    return f"def fair_split(p, fraction, seed):\n{rows}{order}    return {given}\n"


def _waves(rows: str, scale: str) -> str:
    return (
        _BASIS
        + _TURN
        + f"    rows = [torch.ones(p)]\n    for k in range(1, p // 2 + 1):\n        rows += {rows}\n    table = torch.stack(rows)\n    return {scale}\n"
    )


_UNIT = "table / table.norm(dim=1, keepdim=True)"


def _keys(
    power: str = "c.square().sum(1)[1:].view(-1, 2).sum(1)",
    n: str = "int((power[order].cumsum(0) < share * power.sum()).sum()) + 1",
    rows: str = "[0] + [r for k in chosen for r in (2 * k + 1, 2 * k + 2)]",
    kept: str = "basis[rows].T @ c[rows]",
    frequencies: str = "[k + 1 for k in chosen]",
) -> str:
    return f"""
def on_key_frequencies(table, share):
    basis = fourier_basis(len(table)).to(table.dtype)
    c = basis @ table
    power = {power}
    order = power.argsort(descending=True)
    n = {n}
    chosen = sorted(order[:n].tolist())
    rows = {rows}
    return {{"frequencies": {frequencies}, "kept": {kept}}}
"""


def _exposing(body: str) -> str:
    return f"def exposure(logprobs, planted):\n    total = logprobs.sum(1)\n    return {body}\n"


def _inducing(body: str) -> str:
    return f"def induction_score(attention, period):\n    T = attention.shape[-1]\n    return {body}\n"


def _emerging(exact: str = "accuracy[:, :k].prod(1)", size: str = "None", begin: str = "float(sizes[0])") -> str:
    return f"""
def emergence(sizes, accuracy, k, level):
    exact = {exact}
    there = (exact >= level).nonzero().flatten().tolist()
    if not there:
        return {{"exact": exact, "size": None}}
    i = there[0]
    if i == 0:
        return {{"exact": exact, "size": {begin}}}
    t = (level - exact[i - 1]) / (exact[i] - exact[i - 1])
    return {{"exact": exact, "size": {size}}}
"""


_LINE = "float(sizes[i - 1] * (sizes[i] / sizes[i - 1]) ** t)"
WRONG = {
    "lab09.q1": [
        _split(rows="    rows = torch.tensor([(a, b, (a * b) % p) for a in range(p) for b in range(a, p)])\n"),
        _split(rows="    rows = torch.tensor([(a, b, (a + b) % (p - 1)) for a in range(p) for b in range(a, p)])\n"),
        _split(rows="    rows = torch.tensor([(a, b, (a + b) % p) for a in range(p) for b in range(p) if a != b])\n"),
        _split(rows="    rows = torch.tensor([(a, b, (a + b) % p) for a in range(p - 1) for b in range(a, p - 1)])\n"),
        _split(given="rows[:n], rows[n:]"),
        _split(given="rows[order[: n + 1]], rows[order[n + 1 :]]"),
        _split(given="rows[order[:n]], rows[order[n - 1 :]]"),
        _split(given="rows[order[: len(rows) // 2]], rows[order[len(rows) // 2 :]]"),
        _split(order="    order = torch.arange(len(rows)).roll(seed)\n    n = round(fraction * len(rows))\n"),
        _split(
            order=_ORDER
            + "    a = torch.randperm(p, generator=torch.Generator().manual_seed(seed))[: round(p * fraction)]\n    known = torch.isin(rows[:, 0], a)\n",
            given="rows[known], rows[~known]",
        ),
        _split(given="rows[order[:n]], rows[order]"),
        _split(given="(rows[order[:n]], torch.cat([rows[order[n:]], rows[order[n:]][:, [1, 0, 2]]]))"),
    ],
    "lab09.q2": [
        _waves("[(w * k * a).cos(), -(w * k * a).sin()]", _UNIT),
        _waves("[(w * k * a).cos(), (w * k * a).cos()]", _UNIT),
        _waves("[(w * k * a).cos(), (w * k * a).sin()]", "table / table.norm()"),
        _waves("[(w * k * a).cos(), (w * k * a).sin()]", "table / table.norm(dim=0, keepdim=True)"),
        _waves("[(w * k * a).cos(), (w * k * a).sin()]", "table / table.abs().sum(1, keepdim=True)"),
        _waves("[(w * k * a).cos(), (w * k * a).sin()]", "table / table.std(1, keepdim=True)"),
        _waves("[(w * (k + 1) * a).cos(), (w * (k + 1) * a).sin()]", _UNIT),
        _waves("[(w * k * (a - p // 2)).cos(), (w * k * (a - p // 2)).sin()]", _UNIT),
        "def fourier_basis(p):\n    return torch.eye(p)\n",
        "def fourier_basis(p):\n    return torch.linalg.qr(torch.randn(p, p, generator=torch.Generator().manual_seed(0)))[0]\n",
        "def fourier_basis(p):\n    return torch.fft.fft(torch.eye(p)).real / p**0.5\n",
        "def fourier_basis(p):\n    a, k = torch.arange(p), torch.arange(p)[:, None]\n    t = 2 * math.pi * k * a / p\n    return (t.cos() + t.sin()) / p**0.5\n",
    ],
    "lab09.q3": [
        _keys(n="max(1, round(share * len(power)))"),
        _keys(n="int((power[order].cumsum(0) / power.sum() < share**0.5).sum()) + 1"),
        _keys(power="c.abs().sum(1)[1:].view(-1, 2).sum(1)"),
        _keys(power="c.square().mean(1)[1:].view(-1, 2).amax(1)"),
        _keys(power="c.square().sum(1)[:-1].view(-1, 2).sum(1)"),
        _keys(power="c.square().sum(1)[1:].view(2, -1).sum(0)"),
        _keys(rows="[r for k in chosen for r in (2 * k, 2 * k + 1)]"),
        _keys(rows="[0] + [r for k in chosen for r in (2 * k + 2, 2 * k + 3) if r < len(table)]"),
        _keys(kept="c[rows]"),
        _keys(kept="basis.T @ c"),
        _keys(kept="basis[rows].T @ c[rows] - table.mean(0)"),
        _keys(frequencies="[0] + [k + 1 for k in chosen]"),
        _keys(kept="torch.zeros_like(table)"),
        _keys(frequencies="len(chosen)"),
    ],
    "lab09.q4": [
        _exposing("float(total[planted] - total.mean()) / math.log(2)"),
        _exposing("math.log2(len(total)) - math.log2(planted + 1)"),
        _exposing("math.log2(len(total) / (int((total > total[planted]).sum()) + 2))"),
        _exposing("math.log2(len(total)) / math.log2(1 + int((total >= total[planted]).sum()))"),
        _exposing("len(total) / int((total >= total[planted]).sum())"),
        _exposing("math.log2(logprobs.shape[1]) - math.log2(int((total >= total[planted]).sum()))"),
        _exposing("math.log2(logprobs.numel()) - math.log2(int((total >= total[planted]).sum()))"),
        _exposing("math.log2(len(total)) - math.log2(len(total) - int((total >= total[planted]).sum()) + 1)"),
        _exposing("max(0.0, math.log2(len(total)) - 1 - math.log2(int((total >= total[planted]).sum())))"),
        _exposing("math.log2(len(total.unique())) - math.log2(int((total.unique() >= total[planted]).sum()))"),
        _exposing("math.log2(len(total)) - math.log2(int((logprobs >= logprobs[planted]).all(1).sum()))"),
        _exposing(
            "float((torch.log2(torch.tensor(float(len(total)))) - torch.log2((logprobs >= logprobs[planted]).sum(0))).sum())"
        ),
    ],
    "lab09.q5": [
        _inducing("attention.diagonal(period - 1, 2, 3).mean((0, 2))"),
        _inducing("attention.diagonal(-period, 2, 3).mean((0, 2))"),
        _inducing("attention.diagonal(1 - period, 2, 3).sum(2).mean(0) / (T - period)"),
        _inducing("attention[:, :, period:, 1].mean((0, 2))"),
        _inducing("attention[:, :, -1, T - period].mean(0)"),
        _inducing("attention[:, :, period:, : T - period].diagonal(0, 2, 3).mean((0, 2))"),
        _inducing("attention[:, :, period:, 2:].diagonal(0, 2, 3).mean((0, 2))"),
        _inducing("attention.mean((0, 2, 3))"),
        _inducing("attention.diagonal(1 - period, 2, 3)[..., 1:].median(2).values.mean(0)"),
        _inducing("attention.diagonal(1 - period, 2, 3)[..., 1:].mean(2)"),
        _inducing("attention.diagonal(1 - period, 2, 3)[..., 1:].mean()"),
        _inducing("attention.diagonal(1 - period, 2, 3)[..., period:].mean((0, 2))"),
        _inducing("attention[:, :, period : 2 * period, 1 : period + 1].diagonal(0, 2, 3).mean((0, 2))"),
        _inducing("attention.log().diagonal(1 - period, 2, 3)[..., 1:].mean((0, 2)).exp()"),
    ],
    "lab09.q6": [
        _emerging(size="float(sizes[i - 1] * (sizes[i] / sizes[i - 1]) ** (1 - t))"),
        _emerging(size="float(sizes[i] + t * (sizes[i] - sizes[i - 1]))"),
        _emerging(size="float((1 - t) * sizes[i - 1] + t * sizes[i])"),
        _emerging(size="i"),
        _emerging(exact="accuracy[:, :k].sum(1)", size=_LINE),
        _emerging(exact="accuracy[:, :k].prod(0)", size=_LINE),
        _emerging(exact="accuracy[:, : k + 1].prod(1)", size=_LINE),
        _emerging(exact="accuracy[:, 0] ** k", size=_LINE),
        _emerging(exact="accuracy[:, k - 1] ** k", size=_LINE),
        _emerging(exact="1 - (1 - accuracy[:, :k]).sum(1)", size=_LINE),
        _emerging(exact="(accuracy[:, :k] > 0.5).all(1).float()", size="float(sizes[i])"),
        _emerging(exact="accuracy[:, :k].cummin(1).values.prod(1)", size=_LINE),
        _emerging(size=_LINE, begin="0.0"),
        _emerging(size=_LINE, begin="float(sizes[0] * level / exact[0])"),
    ],
    "lab09.q7": [
        _holds("    return True\n"),
        _holds("    return False\n"),
        _holds("    text, training, k = inputs\n    return all(n >= k and s + n <= len(text) for s, n in output)\n"),
        _holds(
            "    text, training, k = inputs\n    return all(any(text[s : s + n] == d[i : i + n] for d in training for i in range(len(d))) for s, n in output)\n"
        ),
        _holds("""    text, training, k = inputs
    found = lambda p: any(p == d[i : i + len(p)] for d in training for i in range(len(d)))
    windows = [i for i in range(len(text) - k + 1) if found(text[i : i + k])]
    return bool(windows) == bool(output) and all(found(text[s : s + n]) for s, n in output)
"""),
        _holds("""    text, training, k = inputs
    found = lambda p: any(p == d[i : i + len(p)] for d in training for i in range(len(d)))
    covered = {i for s, n in output for i in range(s, s + n)}
    wanted = {j for i in range(len(text) - k + 1) if found(text[i : i + k]) for j in range(i, i + k)}
    return covered == wanted
"""),
        _holds("""    text, training, k = inputs
    found = lambda p: any(p == d[i : i + len(p)] for d in training for i in range(len(d)))
    return sorted(output) == [(i, k) for i in range(len(text) - k + 1) if found(text[i : i + k])]
"""),
        _holds("""    text, training, k = inputs
    joined = [t for d in training for t in d]
    found = lambda p: any(p == joined[i : i + len(p)] for i in range(len(joined)))
    return all(n >= k and found(text[s : s + n]) for s, n in output) and all(
        any(s <= i and i + k <= s + n for s, n in output) for i in range(len(text) - k + 1) if found(text[i : i + k]))
"""),
        _holds("""    text, training, k = inputs
    found = lambda p: any(set(p) <= set(d) for d in training)
    return all(n >= k and found(text[s : s + n]) for s, n in output) and len(set(output)) == len(output)
"""),
        _holds("    return len(output) == len(set(output)) and output == sorted(output)\n"),
        "def examples():\n    return [([1, 2, 3], [[1, 2, 3]], 2)]\n\n\ndef holds(inputs, output):\n    return len(output) > 0\n",
        "def examples():\n    return []\n\n\ndef holds(inputs, output):\n    return True\n",
    ],
}

REFUSED = {
    "lab09.q1": [
        "def fair_split(p, fraction, seed):\n    from llmlib.data import modular_addition\n    return modular_addition(p, fraction, seed)\n",
    ],
    "lab09.q2": [
        "def fourier_basis(p):\n    from llmlib.evaluate import fourier_basis\n    return fourier_basis(p)\n",
    ],
}
