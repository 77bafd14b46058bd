"""Lab 05: other right answers, each written its own way, and wrong ones that have no message of their own."""

_CORRUPT = """
class MaskedLM:
    @staticmethod
    def corrupt(ids, word, u, fate, others, rate, mask_id):
        chosen = torch.zeros_like(ids, dtype=torch.bool)
        for b in range(ids.shape[0]):
            for w in range(u.shape[1]):
                if u[b, w] < rate:
                    chosen[b] |= word[b] == w
        inputs = ids.clone()
        inputs[chosen & (fate < 0.8)] = mask_id
        swap = chosen & (fate >= 0.8) & (fate < 0.9)
        inputs[swap] = others[swap]
        return inputs, ids.masked_fill(~chosen, -100)

    @staticmethod
    def loss(logits, targets):
        %s
"""

_SPANS = """
class Spans:
    @staticmethod
    def corrupt(ids, taken, sentinels):
        from itertools import groupby
        inputs, targets, n = [], [], 0
        for gone, run in groupby(zip(ids, taken), key=lambda pair: pair[1]):
            run = [token for token, _ in run]
            if gone:
                inputs.append(sentinels[n])
                targets += [sentinels[n], *run]
                n += 1
            else:
                inputs += run
        return inputs, targets + [sentinels[n]]

    @staticmethod
    def restore(inputs, written, sentinels):
        %s
"""

_RESTORE = """spans, now = {}, None
        for token in written:
            if token in sentinels:
                now = token
                spans[now] = []
            elif now is not None:
                spans[now].append(token)
        return [t for token in inputs for t in (spans.get(token, ()) if token in sentinels else (token,))]"""

_EXAMPLES = """
def examples():
    draw = random.Random(%s)
    long = [draw.randrange(5, 100) for _ in range(1500)]
    return [(long, 7)] + [([0, 1, 2, 3] * 50 + [50] * 100, 9), ([1, 30, 31, 2], 5), ([9], 1)]

"""

RIGHT = {
    "lab05.q1": [
        """
def pattern(family, real, prefix):
    B, T = real.shape
    mask = torch.zeros(B, T, T, dtype=torch.bool)
    for b in range(B):
        seen = 0
        first = []
        for t in range(T):
            if real[b, t] and seen < prefix[b]:
                first.append(t)
                seen += 1
        for i in range(T):
            for j in range(T):
                if not real[b, j]:
                    continue
                if family == "encoder" or j <= i or (family == "prefix" and j in first):
                    mask[b, i, j] = True
    return mask
""",
        """
def pattern(family, real, prefix):
    T = real.size(1)
    both = (real.unsqueeze(1) & real.unsqueeze(2))
    if family == "encoder":
        return both
    earlier = torch.arange(T).view(1, T, 1) >= torch.arange(T).view(1, 1, T)
    if family == "decoder":
        return both & earlier
    number = real.int().cumsum(-1)
    return both & (earlier | (number <= prefix.view(-1, 1)).unsqueeze(1))
""",
        """
def pattern(family, real, prefix):
    B, T = real.shape
    future = torch.triu(torch.ones(T, T), diagonal=1).bool()
    masks = []
    for row, n in zip(real, prefix.tolist()):
        m = row.expand(T, T).clone()
        if family != "encoder":
            blocked = future.clone()
            if family == "prefix":
                blocked[:, row.nonzero().flatten()[:n]] = False
            m[blocked] = False
        masks.append(m)
    return torch.stack(masks)
""",
        """
def pattern(family, real, prefix):
    n = {"encoder": real.sum(1), "decoder": torch.zeros_like(prefix), "prefix": prefix}[family]
    T = real.shape[1]
    place = torch.cumsum(real, 1) - 1
    return real[:, None] & (torch.tril(torch.ones(T, T)).bool() | (place < n[:, None])[:, None])
""",
        """
def pattern(family, real, prefix):
    r = real.numpy()
    B, T = r.shape
    import numpy as np
    m = np.repeat(np.tri(T, dtype=bool)[None], B, 0)
    if family == "encoder":
        m[:] = True
    elif family == "prefix":
        m |= (np.cumsum(r, 1) <= prefix.numpy()[:, None])[:, None, :]
    m &= r[:, None, :]
    return torch.from_numpy(m)
""",
        """
def pattern(family, real, prefix):
    scores = torch.zeros(len(real), real.shape[1], real.shape[1])
    if family != "encoder":
        scores = scores + torch.full_like(scores[0], float("-inf")).triu(1)
    if family == "prefix":
        scores = scores.masked_fill((real.cumsum(1) <= prefix[:, None])[:, None], 0.0)
    return scores.masked_fill(~real[:, None], float("-inf")) == 0
""",
    ],
    "lab05.q2": [
        """
class Influence:
    @staticmethod
    def reaches(layers):
        T = len(layers[0])
        holds = [{i} for i in range(T)]
        for mask in layers:
            holds = [holds[i].union(*(holds[j] for j in range(T) if mask[i, j])) for i in range(T)]
        return torch.tensor([[j in holds[i] for j in range(T)] for i in range(T)])

    @staticmethod
    def honest(layers):
        T = len(layers[0])
        r = Influence.reaches(layers)
        return [i for i in range(T - 1) if all(not r[i, j] for j in range(i + 1, T))]
""",
        """
class Influence:
    def reaches(layers):
        total = torch.eye(len(layers[0]))
        for mask in layers:
            total = total + mask.float() @ total
        return total > 0

    def honest(layers):
        ahead = Influence.reaches(layers).triu(1).any(1)
        return (~ahead[:-1]).nonzero().flatten().tolist()
""",
        """
class Influence:
    @staticmethod
    def reaches(layers):
        x = torch.eye(len(layers[0]), dtype=torch.float64, requires_grad=True)
        h = x
        for mask in layers:
            h = h + mask.double() @ h
        out = []
        for i in range(len(x)):
            (g,) = torch.autograd.grad(h[i].sum(), x, retain_graph=True)
            out.append(g.abs().sum(1) > 0)
        return torch.stack(out)

    @staticmethod
    def honest(layers):
        r = Influence.reaches(layers)
        return [i for i, row in enumerate(r[:-1]) if not row[i + 1 :].any().item()]
""",
        """
class Influence:
    @staticmethod
    def reaches(layers):
        import numpy as np
        steps = [m.numpy() | np.eye(len(m), dtype=bool) for m in layers]
        total = steps[-1].astype(int)
        for m in steps[-2::-1]:
            total = (total @ m > 0).astype(int)
        return torch.from_numpy(total > 0)

    @staticmethod
    def honest(layers):
        r = Influence.reaches(layers)
        last = [max(r[i].nonzero().flatten().tolist()) for i in range(len(r))]
        return [i for i in range(len(r) - 1) if last[i] == i]
""",
        """
class Influence:
    @staticmethod
    def reaches(layers):
        T = layers[0].shape[0]
        found = torch.zeros(T, T, dtype=torch.bool)
        for start in range(T):
            here = torch.zeros(T, dtype=torch.bool)
            here[start] = True
            for mask in layers:
                here = here | (mask & here).any(1)
            found[:, start] = here
        return found

    @staticmethod
    def honest(layers):
        r = Influence.reaches(layers)
        return tuple(i for i in range(r.shape[0] - 1) if r[i, i + 1 :].sum() == 0)
""",
        """
class Influence:
    @staticmethod
    def reaches(layers):
        if not layers[1:]:
            return layers[0] | torch.eye(len(layers[0]), dtype=torch.bool)
        below = Influence.reaches(layers[:-1])
        return below | torch.einsum("ik,kj->ij", layers[-1].int(), below.int()).bool()

    @staticmethod
    def honest(layers):
        r = Influence.reaches(layers)
        return [i for i in range(len(r) - 1) if torch.equal(r[i], r[i] & torch.ones_like(r).tril()[i])]
""",
    ],
    "lab05.q3": [
        _CORRUPT
        % "return F.cross_entropy(logits[targets != -100], targets[targets != -100]) if (targets != -100).any() else logits.sum() * 0",
        _CORRUPT
        % """given = targets.ne(-100)
        if not given.any():
            return torch.zeros(())
        return F.nll_loss(logits.log_softmax(-1).flatten(0, 1), targets.flatten(), ignore_index=-100)""",
        _CORRUPT
        % "return torch.nan_to_num(F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=-100), nan=0.0)",
        _CORRUPT
        % """if (targets == -100).all():
            return 0.0
        total, n = 0, 0
        for row, wanted in zip(logits, targets):
            for scores, t in zip(row, wanted.tolist()):
                if t != -100:
                    total, n = total + torch.logsumexp(scores, 0) - scores[t], n + 1
        return total / n""",
        """
class MaskedLM:
    @staticmethod
    def corrupt(ids, word, u, fate, others, rate, mask_id):
        padded = torch.cat([u, torch.full_like(u[:, :1], 2.0)], dim=1)
        chosen = padded.gather(1, torch.where(word < 0, u.shape[1], word)) < rate
        new = torch.where(fate < 0.8, torch.full_like(ids, mask_id), torch.where(fate < 0.9, others, ids))
        targets = torch.full_like(ids, -100)
        targets[chosen] = ids[chosen]
        return torch.where(chosen, new, ids), targets

    @staticmethod
    def loss(logits, targets):
        one_hot = F.one_hot(targets.clamp(min=0), logits.shape[-1]) * (targets >= 0)[..., None]
        return -(logits.log_softmax(-1) * one_hot).sum() / one_hot.sum().clamp(min=1)
""",
        """
class MaskedLM:
    @staticmethod
    def corrupt(ids, word, u, fate, others, rate, mask_id):
        inputs, targets = ids.tolist(), [[-100] * ids.shape[1] for _ in ids]
        for b, row in enumerate(word.tolist()):
            for t, w in enumerate(row):
                if w == -1 or u[b, w] >= rate:
                    continue
                targets[b][t] = int(ids[b, t])
                if fate[b, t] < 0.8:
                    inputs[b][t] = mask_id
                elif fate[b, t] < 0.9:
                    inputs[b][t] = int(others[b, t])
        return torch.tensor(inputs), torch.tensor(targets)

    @staticmethod
    def loss(logits, targets):
        keep = (targets != -100).float()
        each = F.cross_entropy(logits.permute(0, 2, 1), targets, reduction="none")
        return (each * keep).sum() / max(1.0, float(keep.sum()))
""",
        """
class MaskedLM:
    def corrupt(ids, word, u, fate, others, rate, mask_id):
        rows = torch.arange(len(ids))[:, None]
        chosen = torch.logical_and(u[rows, word] < rate, word != -1)
        kind = torch.bucketize(fate.double(), torch.tensor([0.8, 0.9]).double(), right=True)
        choices = torch.stack([torch.full_like(ids, mask_id), others, ids])
        inputs = choices.gather(0, kind[None])[0]
        return torch.where(chosen, inputs, ids), torch.where(chosen, ids, torch.tensor(-100))

    def loss(logits, targets):
        mask = targets >= 0
        if mask.sum() == 0:
            return (logits * 0).sum()
        p = torch.softmax(logits[mask].double(), -1)
        return -p[torch.arange(len(p)), targets[mask]].log().mean()
""",
    ],
    "lab05.q4": [
        _SPANS % _RESTORE,
        _SPANS
        % """text = []
        for token in inputs:
            if token not in sentinels:
                text.append(token)
            elif token in written:
                i = written.index(token) + 1
                while i < len(written) and written[i] not in sentinels:
                    text.append(written[i])
                    i += 1
        return text""",
        _SPANS
        % """marks = set(sentinels)
        cuts = [i for i, token in enumerate(written) if token in marks] + [len(written)]
        parts = {written[a]: written[a + 1 : b] for a, b in zip(cuts, cuts[1:])}
        return sum(([t] if t not in marks else parts.get(t, []) for t in inputs), [])""",
        """
class Spans:
    @staticmethod
    def corrupt(ids, taken, sentinels):
        inputs, targets = [], []
        k, i = 0, 0
        while i < len(ids):
            if not taken[i]:
                inputs.append(ids[i])
                i += 1
                continue
            inputs.append(sentinels[k])
            targets.append(sentinels[k])
            k += 1
            while i < len(ids) and taken[i]:
                targets.append(ids[i])
                i += 1
        targets.append(sentinels[k])
        return tuple(inputs), tuple(targets)

    @staticmethod
    def restore(inputs, written, sentinels):
        where, parts = -1, {}
        for token in written:
            if token in sentinels:
                where = token
            else:
                parts.setdefault(where, []).append(token)
        text = []
        for token in inputs:
            text.extend(parts.get(token, []) if token in sentinels else [token])
        return text
""",
        """
class Spans:
    @staticmethod
    def corrupt(ids, taken, sentinels):
        starts = [t for t in range(len(ids)) if taken[t] and (t == 0 or not taken[t - 1])]
        inputs, targets = [], []
        for t, token in enumerate(ids):
            if t in starts:
                inputs.append(sentinels[starts.index(t)])
                targets.append(sentinels[starts.index(t)])
            if taken[t]:
                targets.append(token)
            else:
                inputs.append(token)
        return inputs, targets + [sentinels[len(starts)]]

    @staticmethod
    def restore(inputs, written, sentinels):
        def said(mark):
            if mark not in written:
                return []
            rest = written[written.index(mark) + 1 :]
            end = next((i for i, t in enumerate(rest) if t in sentinels), len(rest))
            return rest[:end]
        out = []
        for token in inputs:
            out += said(token) if token in sentinels else [token]
        return out
""",
        """
class Spans:
    @staticmethod
    def corrupt(ids, taken, sentinels):
        gone = np.array(taken, dtype=int) if False else [int(g) for g in taken]
        number, last = [], 0
        for before, now in zip([0, *gone], gone):
            last += now > before
            number.append(last)
        inputs, targets = [], []
        for token, now, n, before in zip(ids, gone, number, [0, *number]):
            if now and n != before:
                inputs.append(sentinels[n - 1])
                targets.append(sentinels[n - 1])
            (inputs, targets)[now].append(token)
        return torch.tensor(inputs), torch.tensor([*targets, sentinels[last]])

    @staticmethod
    def restore(inputs, written, sentinels):
        chunks, marks = [[]], [None]
        for token in written:
            if token in sentinels:
                marks.append(token)
                chunks.append([])
            else:
                chunks[-1].append(token)
        table = dict(zip(marks, chunks))
        return [t for token in inputs for t in ([token] if token not in sentinels else table.get(token) or [])]
""",
    ],
    "lab05.q5": [
        """
def cross_attention(x, states, real, weights, n_heads):
    B, T, d = x.shape
    S, w = states.shape[1], d // n_heads
    q = (x @ weights["q"]).reshape(B, T, n_heads, w)
    k = (states @ weights["k"]).reshape(B, S, n_heads, w)
    v = (states @ weights["v"]).reshape(B, S, n_heads, w)
    scores = torch.einsum("bthw,bshw->bhts", q, k) / math.sqrt(w) if "math" in globals() else torch.einsum("bthw,bshw->bhts", q, k) * w**-0.5
    scores = scores + torch.where(real, 0.0, float("-inf"))[:, None, None, :]
    return torch.einsum("bhts,bshw->bthw", torch.softmax(scores, -1), v).reshape(B, T, d) @ weights["o"]
""",
        """
def cross_attention(x, states, real, weights, n_heads):
    d = x.shape[-1]
    w = d // n_heads
    q, k, v = x @ weights["q"], states @ weights["k"], states @ weights["v"]
    heads = []
    for h in range(n_heads):
        part = slice(h * w, (h + 1) * w)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / w**0.5
        scores[~real[:, None].expand_as(scores)] = float("-inf")
        heads.append(scores.softmax(-1) @ v[..., part])
    return torch.cat(heads, -1) @ weights["o"]
""",
        """
def cross_attention(x, states, real, weights, n_heads):
    out = []
    w = x.shape[-1] // n_heads
    for b in range(len(x)):
        source = states[b][real[b]]
        q = (x[b] @ weights["q"]).view(-1, n_heads, w).transpose(0, 1)
        k = (source @ weights["k"]).view(-1, n_heads, w).permute(1, 2, 0)
        v = (source @ weights["v"]).view(-1, n_heads, w).transpose(0, 1)
        weight = torch.softmax(torch.bmm(q, k) / w**0.5, dim=2)
        out.append(torch.bmm(weight, v).transpose(0, 1).reshape(len(x[b]), -1) @ weights["o"])
    return torch.stack(out)
""",
        """
def cross_attention(x, states, real, weights, n_heads):
    split = lambda y: torch.stack(y.chunk(n_heads, dim=-1), 1)
    q, k, v = split(x @ weights["q"]), split(states @ weights["k"]), split(states @ weights["v"])
    scores = (q @ k.transpose(-1, -2)) * q.size(-1) ** -0.5
    e = torch.exp(scores - scores.amax(-1, keepdim=True).detach()) * real[:, None, None].float()
    y = (e / e.sum(-1, keepdim=True)) @ v
    return torch.cat(list(y.unbind(1)), -1) @ weights["o"]
""",
        """
def cross_attention(x, states, real, weights, n_heads):
    w = x.shape[-1] // n_heads
    total = 0
    for h in range(n_heads):
        part = slice(h * w, h * w + w)
        q, k, v = x @ weights["q"][:, part], states @ weights["k"][:, part], states @ weights["v"][:, part]
        scores = (q @ k.mT / w**0.5).masked_fill(~real.unsqueeze(1), torch.finfo(q.dtype).min)
        total = total + F.softmax(scores, dim=-1) @ v @ weights["o"][part]
    return total
""",
        """
def cross_attention(x, states, real, weights, n_heads):
    def attend(q, k, v, mask):
        scores = q @ k.T / q.shape[-1] ** 0.5
        return torch.softmax(torch.where(mask, scores, -torch.inf), -1) @ v
    q = (x @ weights["q"]).unflatten(2, (n_heads, -1))
    k = F.linear(states, weights["k"].T).unflatten(2, (n_heads, -1))
    v = F.linear(states, weights["v"].T).unflatten(2, (n_heads, -1))
    rows = [torch.cat([attend(q[b, :, h], k[b, :, h], v[b, :, h], real[b]) for h in range(n_heads)], -1) for b in range(len(x))]
    return torch.stack(rows) @ weights["o"]
""",
    ],
    "lab05.q6": [
        """
def pool(hidden, real, how):
    out = []
    for h, r in zip(hidden, real):
        tokens = h[r]
        out.append({"mean": tokens.mean(0), "first": tokens[0], "last": tokens[-1]}[how])
    return torch.stack(out)
""",
        """
def pool(hidden, real, how):
    if how == "mean":
        weights = real.float() / real.sum(-1, keepdim=True)
    else:
        n = real.long().cumsum(1)
        wanted = 1 if how == "first" else n[:, -1:]
        weights = ((n == wanted) & real).float()
    return torch.einsum("bt,btd->bd", weights, hidden)
""",
        """
def pool(hidden, real, how):
    T = real.shape[1]
    t = torch.arange(T)
    if how == "mean":
        return hidden.masked_fill(~real.unsqueeze(-1), 0).sum(dim=1).div(real.sum(dim=1).unsqueeze(-1))
    place = torch.where(real, t, T).min(1).values if how == "first" else torch.where(real, t, -1).max(1).values
    return hidden.gather(1, place[:, None, None].expand(-1, 1, hidden.shape[-1])).squeeze(1)
""",
        """
def pool(hidden, real, how):
    m = real.unsqueeze(-1).to(hidden.dtype)
    if how == "mean":
        return torch.sum(hidden * m, 1) / torch.clamp(m.sum(1), min=1e-9)
    order = real.long() * (torch.arange(real.shape[1], 0, -1) if how == "first" else torch.arange(1, real.shape[1] + 1))
    return hidden[range(len(hidden)), order.argmax(1)]
""",
        """
def pool(hidden, real, how):
    import numpy as np
    h, r = hidden.numpy(), real.numpy()
    if how == "mean":
        return torch.from_numpy(np.stack([h[b][r[b]].mean(0) for b in range(len(h))]))
    pick = 0 if how == "first" else -1
    return torch.from_numpy(np.stack([h[b, np.flatnonzero(r[b])[pick]] for b in range(len(h))]))
""",
        """
def pool(hidden, real, how):
    if how == "mean":
        return torch.nanmean(torch.where(real[..., None], hidden, float("nan")), 1)
    if how == "last":
        return pool(hidden.flip(1), real.flip(1), "first")
    return torch.stack([hidden[b, real[b].tolist().index(True)] for b in range(len(real))])
""",
    ],
    "lab05.q7": [
        _EXAMPLES % "1"
        + """
def holds(inputs, output):
    ids, read, targets = inputs[0], output[0], output[1]
    if len(read) != len(ids) or len(targets) != len(ids):
        return False
    rows = list(zip(ids, read, targets))
    if any(r != i for i, r, t in rows if t == -100):
        return False
    chosen = [(i, r, t) for i, r, t in rows if t != -100]
    if any(i < 5 or t != i or (r != 4 and r < 5) for i, r, t in chosen):
        return False
    n = sum(i >= 5 for i in ids)
    if n < 1000:
        return True
    masked = sum(r == 4 for _, r, _ in chosen) / len(chosen)
    kept = sum(r == i for i, r, _ in chosen) / len(chosen)
    return 0.12 < len(chosen) / n < 0.18 and 0.73 < masked < 0.87 and 0.05 < kept < 0.16 and 0.04 < 1 - masked - kept < 0.16
""",
        _EXAMPLES % "2"
        + """
def holds(inputs, output):
    ids, (read, targets) = inputs[0], output
    assert len(ids) == len(read) == len(targets)
    for token, put, target in zip(ids, read, targets):
        assert target in (-100, token)
        assert target == token or put == token
        if token < 5:
            assert put == token and target == -100
        assert put >= 4 or put == token
    chosen = [(i, r) for i, r, t in zip(ids, read, targets) if t != -100]
    if len(ids) == 1500 and min(ids) >= 5:
        assert 170 <= len(chosen) <= 280
        assert 0.7 < sum(r == 4 for _, r in chosen) / len(chosen) < 0.9
        assert 0.03 < sum(r == i for i, r in chosen) / len(chosen) < 0.2
        assert 0.03 < sum(r != i and r != 4 for i, r in chosen) / len(chosen) < 0.2
    return True
""",
        _EXAMPLES % "3"
        + """
def holds(inputs, output):
    ids, read, targets = (torch.tensor(x) for x in (inputs[0], *output))
    if not ids.shape == read.shape == targets.shape:
        return False
    chosen = targets != -100
    fine = (read == ids)[~chosen].all() and (targets == ids)[chosen].all() and (ids >= 5)[chosen].all() and (read >= 4)[chosen].all()
    n = (ids >= 5).sum()
    if n > 1200 and fine:
        share = torch.stack([(read == 4)[chosen].double().mean(), (read == ids)[chosen].double().mean(), chosen.sum() / n])
        fine = ((share - torch.tensor([0.8, 0.1, 0.15]).double()).abs() < torch.tensor([0.08, 0.06, 0.03])).all()
    return fine
""",
    ],
}

WRONG = {
    "lab05.q1": [
        "def pattern(family, real, prefix):\n    return torch.ones(len(real), real.shape[1], real.shape[1]).tril().bool() & real[:, None]\n",
        """
def pattern(family, real, prefix):
    T = real.shape[1]
    mask = torch.ones(len(real), T, T).bool()
    if family != "encoder":
        mask = mask.tril()
    if family == "prefix":
        for b, n in enumerate(prefix.tolist()):
            mask[b, :n, :n] = True
    return mask & real[:, None]
""",
        """
def pattern(family, real, prefix):
    T = real.shape[1]
    mask = torch.ones(len(real), T, T).bool()
    if family != "encoder":
        mask = mask.tril()
    if family == "prefix":
        mask = mask | (real.cumsum(1) <= prefix.max())[:, None]
    return mask & real[:, None]
""",
        """
def pattern(family, real, prefix):
    T = real.shape[1]
    mask = torch.ones(len(real), T, T)
    if family != "encoder":
        mask = mask.tril()
    if family == "prefix":
        mask = torch.maximum(mask, (real.cumsum(1) <= prefix[:, None]).float()[:, None])
    return mask * real[:, None]
""",
    ],
    "lab05.q2": [
        """
class Influence:
    def reaches(layers):
        total = torch.eye(len(layers[0]))
        for mask in layers:
            total = mask.float() @ total + torch.eye(len(mask))
        return total > 0

    def honest(layers):
        r = Influence.reaches(layers)
        return [i for i in range(len(r) - 1) if not r[i, i + 1 :].any()]
""",
        """
class Influence:
    def reaches(layers):
        found = torch.eye(len(layers[0]), dtype=torch.bool)
        for mask in layers:
            found = found | mask
        return torch.matrix_power(found.float(), len(layers)) > 0

    def honest(layers):
        r = Influence.reaches(layers)
        return [i for i in range(len(r) - 1) if not r[i, i + 1 :].any()]
""",
        """
class Influence:
    def reaches(layers):
        total = torch.eye(len(layers[0]))
        for mask in layers:
            total = total + mask.float() @ total
        return total > 0

    def honest(layers):
        r = Influence.reaches(layers)
        return [i for i in range(len(r) - 1) if not r[i:, i + 1].any()]
""",
    ],
    "lab05.q3": [
        _CORRUPT % "return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)",
        _CORRUPT
        % "return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction='sum') / len(targets.flatten())",
        _CORRUPT
        % "return -logits.log_softmax(1).gather(-1, targets.clamp(min=0)[..., None])[..., 0][targets >= 0].sum() / (targets >= 0).sum().clamp(min=1)",
        """
class MaskedLM:
    @staticmethod
    def corrupt(ids, word, u, fate, others, rate, mask_id):
        chosen = torch.zeros_like(ids, dtype=torch.bool)
        for b in range(ids.shape[0]):
            for w in range(u.shape[1]):
                if u[b, w] < rate:
                    chosen[b] |= word[b] == w
        whole = torch.where(chosen, fate[:, :1], fate)
        inputs = torch.where(chosen & (whole < 0.8), mask_id, ids)
        inputs = torch.where(chosen & (whole >= 0.8) & (whole < 0.9), others, inputs)
        return inputs, ids.masked_fill(~chosen, -100)

    @staticmethod
    def loss(logits, targets):
        n = (targets != -100).sum()
        return F.cross_entropy(logits.mT, targets, ignore_index=-100, reduction="sum") / n.clamp(min=1)
""",
    ],
    "lab05.q4": [
        _SPANS % "return [t for t in inputs if t not in sentinels] + [t for t in written if t not in sentinels]",
        _SPANS % _RESTORE.replace("now = token", "now = sentinels[len(spans)]"),
        _SPANS % _RESTORE.replace("elif now is not None:", "elif now is not None and not spans[now]:"),
        _SPANS.replace("inputs += run", "inputs += run[:1]") % _RESTORE,
    ],
    "lab05.q5": [
        """
def cross_attention(x, states, real, weights, n_heads):
    d = x.shape[-1]
    w = d // n_heads
    q, k, v = (y.unflatten(-1, (w, n_heads)).permute(0, 3, 1, 2) for y in (x @ weights["q"], states @ weights["k"], states @ weights["v"]))
    scores = (q @ k.mT / w**0.5).masked_fill(~real[:, None, None], float("-inf"))
    return (scores.softmax(-1) @ v).permute(0, 2, 3, 1).flatten(2) @ weights["o"]
""",
        """
def cross_attention(x, states, real, weights, n_heads):
    w = x.shape[-1] // n_heads
    split = lambda y: y.unflatten(-1, (n_heads, w)).transpose(1, 2)
    q, k, v = split(x @ weights["q"]), split(states @ weights["v"]), split(states @ weights["k"])
    scores = (q @ k.mT / w**0.5).masked_fill(~real[:, None, None], float("-inf"))
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2) @ weights["o"]
""",
        """
def cross_attention(x, states, real, weights, n_heads):
    w = x.shape[-1] // n_heads
    split = lambda y: y.unflatten(-1, (n_heads, w)).transpose(1, 2)
    q, k, v = split(x @ weights["q"]), split(states @ weights["k"]), split(states @ weights["v"])
    scores = (q @ k.mT / w**0.5) * real[:, None, None]
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2) @ weights["o"]
""",
        """
def cross_attention(x, states, real, weights, n_heads):
    w = x.shape[-1] // n_heads
    split = lambda y: y.unflatten(-1, (n_heads, w)).transpose(1, 2)
    q, k, v = split(x @ weights["q"]), split(states @ weights["k"]), split(states @ weights["v"])
    scores = (q @ k.mT / w**0.5).masked_fill(~real[:, None, None], float("-inf"))
    return ((scores.softmax(-1) @ v).transpose(1, 2).flatten(2) @ weights["o"]).detach() + 0 * x + 0 * states.sum()
""",
    ],
    "lab05.q6": [
        "def pool(hidden, real, how):\n    return {'mean': (hidden * real[..., None]).sum(1) / real.sum(1, keepdim=True), 'first': hidden[:, 0], 'last': hidden[:, -1]}[how]\n",
        """
def pool(hidden, real, how):
    tokens = [h[r] for h, r in zip(hidden, real)]
    return torch.stack([{"mean": t.mean(0), "first": t[0], "last": t[1]}[how] for t in tokens])
""",
        """
def pool(hidden, real, how):
    tokens = [h[r] for h, r in zip(hidden, real)]
    return torch.stack([{"mean": t.median(0).values, "first": t[0], "last": t[-1]}[how] for t in tokens])
""",
    ],
    "lab05.q7": [
        _EXAMPLES % "1"
        + """
def holds(inputs, output):
    ids, (read, targets) = inputs[0], output
    return all(t in (-100, i) for i, t in zip(ids, targets))
""",
        _EXAMPLES % "2"
        + """
def holds(inputs, output):
    return True
""",
        _EXAMPLES % "3"
        + """
def holds(inputs, output):
    ids, (read, targets) = inputs[0], output
    chosen = [(i, r) for i, r, t in zip(ids, read, targets) if t != -100]
    return len(chosen) == round(0.15 * sum(i >= 5 for i in ids))
""",
    ],
}

REFUSED = {
    "lab05.q1": [
        """
def pattern(family, real, prefix):
    from llmlib.model import prefix_mask
    n = {"encoder": real.sum(1), "decoder": 0 * prefix, "prefix": prefix}[family]
    tags = torch.where(real, 0, -1)
    return prefix_mask(n, real.shape, tags)[:, 0] & real[:, None]
""",
    ],
    "lab05.q5": [
        """
def cross_attention(x, states, real, weights, n_heads):
    split = lambda y: y.unflatten(-1, (n_heads, -1)).transpose(1, 2)
    q, k, v = split(x @ weights["q"]), split(states @ weights["k"]), split(states @ weights["v"])
    return F.scaled_dot_product_attention(q, k, v, real[:, None, None]).transpose(1, 2).flatten(2) @ weights["o"]
""",
    ],
    "lab05.q6": [
        """
def pool(hidden, real, how):
    from llmlib.model import pool_hidden
    return pool_hidden(hidden, real, how)
""",
    ],
}
