"""Lab 06: other right answers, each written its own way, and wrong ones that have no message of their own."""

_EXAMPLES = """
def examples():
    rows = [[0.5, 0.3, 0.15, 0.05], [0.6, 0.25, 0.1, 0.05], [0.45, 0.05, 0.35, 0.15], [0.1, 0.5, 0.25, 0.15],
            [0.15, 0.25, 0.5, 0.1], [0.55, 0.04, 0.11, 0.3], [0.05, 0.1, 0.25, 0.6], [0.65, 0.2, 0.03, 0.12]]
    two = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]
    return [(rows, k, c) for k in (1, 2, 3) for c in (1, 3, 4)] + [(two, 1, 1), (two, 2, 2)]

"""

_COUNT = """
def count(config, batch):
    L, d, V, E, k = config["layers"], config["d_model"], config["vocabulary"], config["experts"], config["top_k"]
    expert = 3 * d * config["d_expert"]
    layer = 2 * d * d + 2 * d * config["d_kv"] + E * d + config["shared"] * expert
    met = E - E * (1 - k / E) ** batch
    total, active = L * (layer + E * expert) + 2 * V * d, L * (layer + k * expert) + 2 * V * d
    flops, read = 2 * (active - V * d), (L * (layer + met * expert) + V * d) * config["bytes"] / batch
    MORE
    return {"total": total, "active": active, "flops": flops, "bytes": read}
"""
_more = lambda line: _COUNT.replace("MORE", line)

RIGHT = {
    "lab06.q1": [
        """
def route(logits, top_k, bias=None):
    p = torch.softmax(logits, dim=1)
    chosen = torch.topk(p if bias is None else p + bias, top_k, dim=1)[1]
    w = torch.take_along_dim(p, chosen, 1)
    return chosen, w if top_k == 1 else w / w.sum(1, keepdim=True)
""",
        """
def route(logits, top_k, bias=None):
    p = logits.softmax(-1)
    order = (p + (0 if bias is None else bias)).argsort(dim=-1, descending=True)[:, :top_k]
    if top_k == 1:
        return order, p.gather(1, order)
    return order, logits.gather(1, order).softmax(-1)     # the same as dividing by the sum
""",
        """
def route(logits, top_k, bias=None):
    experts, weights = [], []
    for row in logits:
        p = row.exp() / row.exp().sum() if row.abs().max() < 30 else row.softmax(0)
        score = p.detach() if bias is None else p.detach() + bias
        best = sorted(range(len(row)), key=lambda e: -float(score[e]))[:top_k]
        w = torch.stack([p[e] for e in best])
        experts.append(best)
        weights.append(w / w.sum() if top_k >= 2 else w)
    return torch.tensor(experts), torch.stack(weights)
""",
        """
def route(logits, top_k, bias=None):
    p = F.softmax(logits.double(), -1)
    with torch.no_grad():
        left = p.clone() if bias is None else p + bias
        picks = []
        for _ in range(top_k):
            best = left.argmax(-1, keepdim=True)
            picks.append(best)
            left = left.scatter(-1, best, float("-inf"))
        experts = torch.cat(picks, -1)
    w = p.gather(-1, experts)
    if top_k > 1:
        w = F.normalize(w, p=1, dim=-1)
    return experts, w.float()
""",
        """
def route(logits, top_k, bias=None):
    n, E = logits.shape
    p = (logits - logits.logsumexp(-1, keepdim=True)).exp()
    if bias is None:
        bias = torch.zeros(E)
    experts = (p + bias).sort(-1, descending=True).indices[:, :top_k]
    w = p[torch.arange(n)[:, None], experts]
    return experts.to(torch.int32), [w, w / w.sum(1)[:, None]][top_k > 1]
""",
    ],
    "lab06.q2": [
        """
def balancing_loss(probabilities, experts):
    E = probabilities.size(1)
    f = F.one_hot(experts, E).float().mean((0, 1))
    return E * f @ probabilities.mean(0)
""",
        """
def balancing_loss(probabilities, experts):
    E = probabilities.size(-1)
    total = 0.0
    for e in range(E):
        total = total + (experts == e).float().mean() * probabilities[:, e].mean()
    return total * E
""",
        """
def balancing_loss(probabilities, experts):
    n, E = probabilities.shape
    counts = torch.zeros(E).scatter_add(0, experts.reshape(-1), torch.ones(experts.numel()))
    return (counts / (n * experts.shape[1]) * probabilities).sum() / n * E
""",
        """
def balancing_loss(probabilities, experts):
    f = torch.histc(experts.float(), bins=probabilities.shape[1], min=-0.5, max=probabilities.shape[1] - 0.5)
    return torch.einsum("e,ne->", f / f.sum(), probabilities) * probabilities.shape[1] / len(probabilities)
""",
        """
def balancing_loss(probabilities, experts):
    # the mean, over all choices, of the mean probability of the chosen expert
    mean = probabilities.mean(dim=0)
    return probabilities.shape[1] * mean[experts].mean()
""",
    ],
    "lab06.q3": [
        """
def dispatch(x, experts, weights, networks):
    out = torch.zeros_like(x)
    for e, network in enumerate(networks):
        token, rank = ((experts == e) & (weights != 0)).nonzero(as_tuple=True)
        if token.numel():
            out = out.index_add(0, token, weights[token, rank].unsqueeze(-1) * network(x[token]))
    return out
""",
        """
def dispatch(x, experts, weights, networks):
    n, k = experts.shape
    order = experts.T.flatten().argsort(stable=True)
    flat = weights.T.flatten()[order]
    order, flat = order[flat != 0], flat[flat != 0]
    who = experts.T.flatten()[order]
    made = torch.zeros(len(order), x.shape[1])
    pieces = []
    for e in who.unique().tolist():
        pieces.append(networks[e](x[order[who == e] % n]))
    if not pieces:
        return x * 0
    made = torch.cat(pieces) * flat[:, None]
    return torch.zeros(n, x.shape[1]).index_add_(0, order % n, made)
""",
        """
def dispatch(x, experts, weights, networks):
    n, k = experts.shape
    slots = torch.zeros(n * k, x.shape[1])
    for e, network in enumerate(networks):
        here = ((experts == e) & (weights != 0)).reshape(-1).nonzero()[:, 0]
        if here.numel() == 0:
            continue
        slots = slots.index_put((here,), network(x.repeat_interleave(k, 0)[here]))
    return (slots.view(n, k, -1) * weights.unsqueeze(-1)).sum(1)
""",
        """
def dispatch(x, experts, weights, networks):
    total = 0 * x
    for e in range(len(networks)):
        gate = (weights * (experts == e)).sum(1)         # a token chooses an expert once at most
        rows = gate.detach().nonzero()[:, 0]
        if len(rows) > 0:
            total = total + torch.zeros_like(x).index_copy(0, rows, gate[rows, None] * networks[e](x[rows]))
    return total
""",
        """
def dispatch(x, experts, weights, networks):
    # an expert without tokens is called with none of them: that is no run
    n, k = experts.shape
    out = torch.zeros_like(x)
    for e, network in enumerate(networks):
        mask = (experts == e) & (weights != 0)
        rows = mask.any(1).nonzero().flatten()
        out = out.scatter_add(0, rows[:, None].expand(-1, x.shape[1]), network(x[rows]) * (weights * mask).sum(1)[rows, None])
    return out
""",
        """
def dispatch(x, experts, weights, networks):
    rows, columns = weights.nonzero(as_tuple=True)
    who, order = experts[rows, columns].sort()
    rows, columns = rows[order], columns[order]
    sizes = [int((who == e).sum()) for e in range(len(networks))]
    made = [network(part) for network, part in zip(networks, x[rows].split(sizes)) if len(part)]
    if not made:
        return torch.zeros_like(x)
    mix = torch.zeros(len(x), len(rows)).index_put((rows, torch.arange(len(rows))), weights[rows, columns])
    return mix @ torch.cat(made)
""",
    ],
    "lab06.q4": [
        """
def keep(experts, n_experts, factor):
    n, k = experts.shape
    places = math.ceil(factor * n * k / n_experts)
    left = [places] * n_experts
    out = [[False] * k for _ in range(n)]
    for j in range(k):
        for i in range(n):
            e = experts[i][j]
            if left[e] > 0:
                left[e] -= 1
                out[i][j] = True
    return torch.tensor(out)
""",
        """
def keep(experts, n_experts, factor):
    n, k = experts.shape
    places = -int(-(factor * experts.numel() / n_experts) // 1)
    flat = experts.T.reshape(-1)
    kept = torch.zeros(n * k, dtype=torch.bool)
    for e in range(n_experts):
        kept[(flat == e).nonzero().flatten()[:places]] = True
    return kept.reshape(k, n).T
""",
        """
def keep(experts, n_experts, factor):
    n, k = experts.shape
    places = torch.tensor(factor * n * k / n_experts).ceil()
    before = torch.zeros(n_experts)
    columns = []
    for j in range(k):
        one = torch.nn.functional.one_hot(experts[:, j], n_experts)
        rank = (one.cumsum(0) - 1 + before)[torch.arange(n), experts[:, j]]
        columns.append(rank < places)
        before = before + one.sum(0)
    return torch.stack(columns, 1)
""",
        """
def keep(experts, n_experts, factor):
    n, k = experts.shape
    flat = experts.T.flatten()
    order = flat.argsort(stable=True)
    counts = torch.bincount(flat, minlength=n_experts)
    starts = counts.cumsum(0) - counts
    position = torch.empty_like(order)
    position[order] = torch.arange(n * k) - starts.repeat_interleave(counts)
    return (position < math.ceil(factor * n * k / n_experts)).unflatten(0, (k, n)).transpose(0, 1)
""",
        """
def keep(experts, n_experts, factor):
    import numpy as np
    a = experts.numpy()
    n, k = a.shape
    flat = a.T.ravel()
    earlier = np.array([(flat[:i] == flat[i]).sum() for i in range(n * k)])
    return torch.from_numpy((earlier < np.ceil(factor * n * k / n_experts)).reshape(k, n).T.copy())
""",
    ],
    "lab06.q5": [
        _more("pass"),
        """
def count(config, batch):
    c = config
    matrices = {
        "q": (c["d_model"], c["d_model"]), "o": (c["d_model"], c["d_model"]), "k": (c["d_model"], c["d_kv"]),
        "v": (c["d_model"], c["d_kv"]), "router": (c["d_model"], c["experts"]),
    }
    every = sum(a * b for a, b in matrices.values()) * c["layers"]
    one = sum([c["d_model"] * c["d_expert"]] * 3) * c["layers"]
    every += one * c["shared"]
    head = embedding = c["vocabulary"] * c["d_model"]
    missed = (1 - c["top_k"] / c["experts"]) ** batch
    return dict(
        total=every + head + embedding + one * c["experts"],
        active=every + head + embedding + one * c["top_k"],
        flops=2 * (every + head + one * c["top_k"]),
        bytes=c["bytes"] / batch * (every + head + one * c["experts"] * (1 - missed)),
    )
""",
        """
def count(config, batch):
    from fractions import Fraction
    L, d, E, k = (config[x] for x in ("layers", "d_model", "experts", "top_k"))
    f, V, kv = config["d_expert"], config["vocabulary"], config["d_kv"]
    rest = L * (2 * d * (d + kv) + d * E + 3 * d * f * config["shared"]) + V * d
    met = E * (1 - Fraction(E - k, E) ** batch)
    return {
        "total": rest + V * d + 3 * L * E * d * f,
        "active": rest + V * d + 3 * L * k * d * f,
        "flops": 2 * rest + 6 * L * k * d * f,
        "bytes": float((rest + 3 * L * d * f * met) * config["bytes"] / batch),
    }
""",
        """
def count(config, batch):
    import numpy as np
    L, d, E, k = config["layers"], config["d_model"], config["experts"], config["top_k"]
    ffn = 3 * d * config["d_expert"]
    total = 2 * config["vocabulary"] * d
    for _ in range(L):
        total += d * (d + 2 * config["d_kv"] + d) + d * E + (E + config["shared"]) * ffn
    active = total - L * (E - k) * ffn
    flops = 2 * (active - config["vocabulary"] * d)
    unmet = E * np.prod([1 - k / E] * batch)
    read = config["bytes"] * (total - config["vocabulary"] * d - L * unmet * ffn) / batch
    return {"total": total, "active": active, "flops": flops, "bytes": float(read)}
""",
        """
def count(config, batch):
    E, k, L, d = config["experts"], config["top_k"], config["layers"], config["d_model"]
    met = 0.0
    for _ in range(batch):
        met += k * (E - met) / E           # of k experts of one more token so many are new
    ffn = 3 * d * config["d_expert"]
    table = config["vocabulary"] * d
    fixed = L * (2 * d**2 + 2 * d * config["d_kv"] + E * d + config["shared"] * ffn)
    return {
        "total": fixed + L * E * ffn + 2 * table,
        "active": fixed + L * k * ffn + 2 * table,
        "flops": 2 * (fixed + L * k * ffn + table),
        "bytes": (fixed + L * met * ffn + table) / batch * config["bytes"],
    }
""",
    ],
    "lab06.q6": [
        'design = {"experts": 192, "top_k": 3, "d_expert": 368}',
        "design = dict(experts=256, top_k=4, d_expert=288)",
        'design = {"d_expert": 448, "top_k": 3, "experts": 154}',
    ],
    "lab06.q7": [
        _EXAMPLES
        + """
def holds(inputs, output):
    p, k, capacity = inputs
    n, E = len(p), len(p[0])
    if len(output) != n:
        return False
    table = [[None] * E for _ in range(n)]
    for i, entry in enumerate(output):
        for e, w in entry:
            if table[i][e] is not None:
                return False
            table[i][e] = w
    load = [sum(table[i][e] is not None for i in range(n)) for e in range(E)]
    if any(x > capacity for x in load):
        return False
    modes = {"kept", "chosen"}
    for i in range(n):
        threshold = sorted(p[i])[-k]
        for e in range(E):
            if p[i][e] < threshold and table[i][e] is not None:
                return False
            if p[i][e] >= threshold and table[i][e] is None and load[e] != capacity:
                return False
        sums = {
            "kept": sum(p[i][e] for e in range(E) if table[i][e] is not None),
            "chosen": sum(x for x in p[i] if x >= threshold),
        }
        for e in range(E):
            if table[i][e] is not None:
                modes = {m for m in modes if abs(table[i][e] * sums[m] - p[i][e]) < 1e-7}
    return bool(modes)
""",
        _EXAMPLES
        + """
def holds(inputs, output):
    p, k, capacity = inputs
    if len(output) != len(p):
        return False
    load = {}
    for entry in output:
        for e, _ in entry:
            load[e] = load.get(e, 0) + 1
    sums = []
    for row, entry in zip(p, output):
        best = dict(sorted(enumerate(row), key=lambda item: item[1], reverse=True)[:k])
        mine = dict(map(tuple, entry))
        if len(mine) != len(entry) or not mine.keys() <= best.keys():
            return False
        for e in best.keys() - mine.keys():
            if load.get(e, 0) < capacity:
                return False
        if mine:
            ratio = [w / row[e] for e, w in mine.items()]
            if max(ratio) - min(ratio) > 1e-6:
                return False
            share = sum(row[e] for e in mine) / sum(best.values())
            sums.append((abs(sum(mine.values()) - 1) < 1e-6, abs(sum(mine.values()) - share) < 1e-6))
    return max(load.values(), default=0) <= capacity and (all(a for a, _ in sums) or all(b for _, b in sums))
""",
        """
def examples():
    base = [0.4, 0.3, 0.2, 0.1]
    turned = [base[i:] + base[:i] for i in (0, 0, 0, 1, 2, 0, 3, 0)]
    turned[2] = [0.5, 0.05, 0.35, 0.1]
    turned[5] = [0.6, 0.02, 0.08, 0.3]
    return [(turned, k, c) for k in (1, 2, 3, 4) for c in (1, 2, 4)]


def holds(inputs, output):
    p, k, capacity = inputs

    def agrees(over):
        for row, entry in zip(p, output):
            order = sorted(row)[::-1][:k]
            kept = [row[e] for e, _ in entry]
            if len(set(kept)) < len(kept) or set(kept) - set(order):
                return False
            whole = sum(kept) if over else sum(order)
            if any(not math.isclose(w, row[e] / whole, abs_tol=1e-6) for e, w in entry):
                return False
        return True

    if len(output) != len(p) or not (agrees(True) or agrees(False)):
        return False
    for e in range(len(p[0])):
        took = [i for i, entry in enumerate(output) if e in [x for x, _ in entry]]
        asked = [i for i, row in enumerate(p) if sum(x > row[e] for x in row) < k]
        if len(took) != min(capacity, len(asked)):
            return False
    return True
""",
    ],
}

_ROUTE = """
def route(logits, top_k, bias=None):
    p = logits.softmax(-1)
    b = torch.zeros(p.shape[1]) if bias is None else bias
    experts = (p + b).topk(top_k, dim=-1).indices
    w = p.gather(-1, experts)
    return experts, """

_LOSS = """
def balancing_loss(probabilities, experts):
    n, E = probabilities.shape
    k = experts.shape[1]
    counts = torch.bincount(experts.flatten(), minlength=E).float()
    f, P = counts / (n * k), probabilities.mean(0)
    return """

_DISPATCH = """
def dispatch(x, experts, weights, networks):
    n, k = experts.shape
    out = torch.zeros_like(x)
    for e, network in enumerate(networks):
        token, rank = ((experts == e) & (weights != 0)).nonzero(as_tuple=True)
        if len(token):
            made = network(x[token]) * weights[token, rank][:, None]
            out = out.index_add(0, token, made)
    return out
"""

_KEEP = """
def keep(experts, n_experts, factor):
    n, k = experts.shape
    places = math.ceil(factor * n * k / n_experts)
    one = F.one_hot(experts.T.flatten(), n_experts)
    position = (one.cumsum(0) * one).sum(1)
    return (position <= places).view(k, n).T
"""

WRONG = {
    "lab06.q1": [
        *(
            _ROUTE + value + "\n"
            for value in (
                "w / w.amax(-1, keepdim=True)",
                "w / w.sum()",
                "w / w.sum(0, keepdim=True) if top_k > 1 else w",
                "w / (w.sum(-1, keepdim=True) + 0.01) if top_k > 1 else w",
                "torch.ones_like(w)",
                "(w / w.sum(-1, keepdim=True)).detach() + w - w.detach() if top_k > 1 else w",
                "w / w.sum(-1, keepdim=True).detach() if top_k > 1 else w",
                "w.flip(-1) / w.sum(-1, keepdim=True) if top_k > 1 else w",
                "w.square() / w.square().sum(-1, keepdim=True) if top_k > 1 else w",
                "F.normalize(w, dim=-1) if top_k > 1 else w",
            )
        ),
        """
def route(logits, top_k, bias=None):
    p = logits.softmax(-1)
    experts = (p if bias is None else p - bias).topk(top_k, dim=-1).indices
    w = p.gather(-1, experts)
    return experts, w / w.sum(-1, keepdim=True) if top_k > 1 else w
""",
        """
def route(logits, top_k, bias=None):
    p = logits.softmax(-1)
    experts = (p if bias is None else p * (1 + bias)).topk(top_k, dim=-1).indices
    w = p.gather(-1, experts)
    return experts, w / w.sum(-1, keepdim=True) if top_k > 1 else w
""",
        """
def route(logits, top_k, bias=None):
    p = logits.softmax(-1)
    kept = torch.full_like(p, 0).scatter(-1, p.topk(top_k, dim=-1).indices, 1.0) * p
    return p.topk(top_k, dim=-1).indices, kept / kept.sum(-1, keepdim=True)
""",
    ],
    "lab06.q2": [
        _LOSS + value + "\n"
        for value in (
            "E * (f * P).mean()",
            "E * (f * P.square()).sum()",
            "E * k * (f * P).sum()",
            "E * f.max() * P.max()",
            "(f - 1 / E).square().sum() * E",
            "E * (f * P).sum().detach()",
            "(E * f * P).sum() - (E * P.detach() * f).sum()",
            "E * (P * P.log()).sum()",
            "E * (f.log() * P).sum()",
            "E**2 * (f * P).sum()",
            "((f * E) * (P * E)).sum()",
            "E * ((counts / n).clamp(max=1) * P).sum()",
            "E * (f.sqrt() * P).sum()",
            "k / E * (f * P).sum()",
        )
    ],
    "lab06.q3": [
        _DISPATCH.replace("index_add(0, token, made)", "index_add(0, token.flip(0), made)"),
        _DISPATCH.replace("index_add(0, token, made)", "index_add(0, rank, made)"),
        _DISPATCH.replace("weights[token, rank]", "weights[token].sum(1)"),
        _DISPATCH.replace("weights[token, rank]", "weights[token].amax(1)"),
        _DISPATCH.replace("weights[token, rank]", "weights[token, k - 1 - rank]"),
        _DISPATCH.replace("network(x[token])", "x[token] + network(x[token])"),
        _DISPATCH.replace("return out", "return x + out"),
        _DISPATCH.replace("return out", "return out / k"),
        _DISPATCH.replace("enumerate(networks)", "enumerate(networks[::-1])"),
        _DISPATCH.replace("enumerate(networks)", "enumerate(networks[:-1])"),
        _DISPATCH.replace("network(x[token])", "network(x)[token]"),
        _DISPATCH.replace("if len(token):", "if len(token) > 1:"),
        _DISPATCH.replace("made = network(x[token])", "network(x[token])\n            made = network(x[token])"),
        _DISPATCH.replace("made)\n    return", "made.detach())\n    return"),
        """
def dispatch(x, experts, weights, networks):
    out = torch.zeros_like(x)
    for i in range(len(x)):
        for e, w in zip(experts[i].tolist(), weights[i]):
            out[i] = out[i] + w * networks[e](x[i])
    return out
""",
    ],
    "lab06.q4": [
        _KEEP.replace("position <= places", "position < places"),
        _KEEP.replace("position <= places", "position <= places + 1"),
        _KEEP.replace("math.ceil(factor * n * k / n_experts)", "round(factor * n * k / n_experts)"),
        _KEEP.replace("math.ceil(factor * n * k / n_experts)", "int(factor * n * k / n_experts) + 1"),
        _KEEP.replace("math.ceil(factor * n * k / n_experts)", "math.ceil(n * k / n_experts) * factor"),
        _KEEP.replace("math.ceil(factor * n * k / n_experts)", "math.ceil(factor * n * k / len(experts.unique()))"),
        _KEEP.replace("math.ceil(factor * n * k / n_experts)", "math.ceil(factor * n * k / (int(experts.max()) + 1))"),
        _KEEP.replace(".view(k, n).T", ".view(n, k)"),
        _KEEP.replace("experts.T.flatten()", "experts.flatten()"),
        _KEEP.replace("(position <= places)", "(position > places)"),
        _KEEP.replace("return (position", "return experts * (position"),
        """
def keep(experts, n_experts, factor):
    n, k = experts.shape
    places = math.ceil(factor * n * k / n_experts)
    out = torch.zeros(n, k, dtype=torch.bool)
    left = [places] * n_experts
    for i in range(n):
        if left[experts[i, 0]] > 0:
            left[experts[i, 0]] -= 1
            out[i, 0] = True
    for i in range(n):
        for j in range(1, k):
            if out[i, 0] and left[experts[i, j]] > 0:      # second choices of served tokens only
                left[experts[i, j]] -= 1
                out[i, j] = True
    return out
""",
    ],
    "lab06.q5": [
        _more(line)
        for line in (
            "total += 1",
            "total -= L * E * d",
            "active = total - L * (E - k) * config['d_expert'] * d",
            "active -= V * d; flops = 2 * active - 2 * V * d",
            "flops *= L",
            "flops += 2 * config['vocabulary']",
            "read = read * batch / k",
            "read = config['bytes'] * (L * (layer + max(1, int(met)) * expert) + V * d) / batch",
            "read = config['bytes'] * (L * (layer + E * (1 - (k / E) ** batch) * expert) + V * d) / batch",
            "read = config['bytes'] * (L * (layer + E * (1 - (1 - (k + config['shared']) / E) ** batch) * expert) + V * d) / batch",
            "read = config['bytes'] * (L * layer + met * expert + V * d) / batch",
            "read = 2 * read / config['bytes']",
        )
    ],
    "lab06.q6": [
        'design = {"experts": 256, "top_k": 4, "d_expert": 336}',
        'design = {"experts": 64, "top_k": 1, "d_expert": 1216}',
        'design = {"experts": 320, "top_k": 5, "d_expert": 240}',
        'design = {"experts": 256, "top_k": 4, "d_expert": 256}',
        'design = {"experts": 160, "top_k": 4, "d_expert": 448}',
        'design = {"experts": 240, "top_k": 4}',
        'design = {"experts": 240.0, "top_k": 4, "d_expert": 304}',
        'design = {"experts": 240, "top_k": 300, "d_expert": 304}',
    ],
    "lab06.q7": [
        _EXAMPLES + "def holds(inputs, output):\n    return True\n",
        _EXAMPLES + "def holds(inputs, output):\n    return False\n",
        _EXAMPLES + "def holds(inputs, output):\n    return len(output) == len(inputs[0])\n",
        _EXAMPLES + "def holds(inputs, output):\n    return all(len(entry) == inputs[1] for entry in output)\n",
        _EXAMPLES
        + "def holds(inputs, output):\n    return all(abs(sum(w for _, w in entry) - 1) < 1e-6 for entry in output)\n",
        _EXAMPLES
        + "def holds(inputs, output):\n    return all(sum(e == x for entry in output for e, _ in entry) <= inputs[2] for x in range(6))\n",
        _EXAMPLES + "def holds(inputs, output):\n    return all(0 < w <= 1 for entry in output for _, w in entry)\n",
        _EXAMPLES
        + """
def holds(inputs, output):
    rows, k, capacity = inputs
    left, expected = {}, [[] for _ in rows]
    for j in range(k):
        for i, row in enumerate(rows):
            best = sorted(range(len(row)), key=lambda e: -row[e])[:k]
            if left.setdefault(best[j], capacity) > 0:
                left[best[j]] -= 1
                expected[i].append(best[j])
    return expected == [[e for e, _ in entry] for entry in output]
""",
        """
def examples():
    return [([[0.7, 0.3], [0.6, 0.4]], 1, 2)]


def holds(inputs, output):
    return [len(entry) for entry in output] == [1, 1]
""",
        """
def examples():
    return []


def holds(inputs, output):
    return True
""",
    ],
}

REFUSED = {
    "lab06.q1": [
        """
def route(logits, top_k, bias=None):
    from llmlib.model.mixture import route
    found = route(logits, top_k, top_k > 1, bias)
    return found.chosen, found.weights
""",
    ],
    "lab06.q2": [
        """
def balancing_loss(probabilities, experts):
    from llmlib.model.mixture import Routing, balancing_loss
    return balancing_loss(Routing(experts, None, probabilities))
""",
    ],
    "lab06.q3": [
        """
def dispatch(x, experts, weights, networks):
    import llmlib.model
    return llmlib.model.mixture.MixtureOfExperts._dispatch
""",
    ],
}
