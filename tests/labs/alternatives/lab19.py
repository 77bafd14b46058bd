"""Lab 19: other right answers, each written its own way, and wrong ones that have no message of their own."""

_INPUTS = """
def examples():
    return [
        (["a", "a", "b", "c", "b", "a"], 2), (["a", "b", "a", "c", "b", "c", "a"], 3), (["a"] * 5, 2),
        (["a", "b", "c"] * 4, 2), (["a", "b", "c"] * 4, 3), (list("abcdefgh"), 3), (list("abcdef"), 3),
        (list("aabbccddee"), 4), (["Up", "up", "UP"], 2), (["up", "us", "un", "xp", "yp", "zp"], 3),
        (list("abacadaeafag"), 2), (["x"], 2), (list("abcda"), 2), (list("abcdeabcde"), 5), (list("aabbaabbaabb"), 2),
        (list("aaab"), 2), (list("baaa"), 2), (list("abcabcd"), 4),
    ]

"""


def _holds(body: str) -> str:
    return _INPUTS + "def holds(inputs, output):\n    names, size = inputs\n" + body


RIGHT = {
    "lab19.q1": [
        "def patchify(pictures, size):\n    return F.unfold(pictures, size, stride=size).transpose(1, 2)\n",
        "def patchify(pictures, size):\n    return F.pixel_unshuffle(pictures, size).flatten(2).mT\n",
        """
def patchify(pictures, size):
    B, C, H, W = pictures.shape
    rows = []
    for y in range(0, H, size):
        for x in range(0, W, size):
            rows.append(pictures[:, :, y : y + size, x : x + size].reshape(B, -1))
    return torch.stack(rows, 1)
""",
        """
def patchify(pictures, size):
    x = pictures.unfold(2, size, size).unfold(3, size, size)
    return x.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
""",
        """
def patchify(pictures, size):
    x = np.asarray(pictures)
    B, C, H, W = x.shape
    x = x.reshape(B, C, H // size, size, W // size, size).transpose(0, 2, 4, 1, 3, 5)
    return torch.from_numpy(x.reshape(B, (H // size) * (W // size), C * size * size).copy())
""",
        """
def patchify(pictures, size):
    strips = torch.stack(pictures.split(size, dim=2), 1)
    patches = torch.stack(strips.split(size, dim=-1), 2)
    return patches.flatten(3).flatten(1, 2)
""",
        """
def patchify(pictures, size):
    each = [torch.stack([p.flatten() for row in one.split(size, 1) for p in row.split(size, 2)]) for one in pictures]
    return torch.stack(each)
""",
        """
def patchify(pictures, size):
    B, C, H, W = pictures.shape
    return torch.einsum("bchiwj->bhwcij", pictures.reshape(B, C, H // size, size, W // size, size)).reshape(B, -1, C * size**2)
""",
        """
def patchify(pictures, size):
    B, C, H, W = pictures.shape
    number = torch.arange(C * H * W).view(C, H, W)
    order = torch.cat([number[:, y : y + size, x : x + size].flatten() for y in range(0, H, size) for x in range(0, W, size)])
    return pictures.flatten(1)[:, order].view(B, -1, C * size * size)
""",
        """
def patchify(pictures, size):
    C = pictures.shape[1]
    eye = torch.eye(C * size * size, dtype=pictures.dtype).view(-1, C, size, size)
    return F.conv2d(pictures, eye, stride=size).flatten(2).transpose(1, 2)
""",
    ],
    "lab19.q2": [
        """
def picture_loss(patches, ids, counted, projection, embedding, positions, decoder):
    N, T = patches.shape[1], ids.shape[1]
    x = torch.cat([patches @ projection + positions[:N], F.embedding(ids, embedding) + positions[N : N + T]], 1)
    logp = decoder(x).log_softmax(-1)[:, N - 1 : N + T - 1]
    own = logp.gather(-1, ids.unsqueeze(-1)).squeeze(-1)
    return -own[counted].sum() / counted.sum()
""",
        """
def picture_loss(patches, ids, counted, projection, embedding, positions, decoder):
    N = patches.shape[1]
    x = torch.cat([torch.einsum("bnp,pd->bnd", patches, projection), embedding[ids]], 1)
    logits = decoder(x + positions[None, : x.shape[1]])
    target = torch.full(x.shape[:2], -100)
    target[:, N:] = torch.where(counted, ids, -100)
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), target[:, 1:].flatten(), ignore_index=-100)
""",
        """
def picture_loss(patches, ids, counted, projection, embedding, positions, decoder):
    N, T = patches.shape[1], ids.shape[1]
    total, n = 0.0, 0
    logits = decoder(torch.cat([patches @ projection, embedding[ids]], 1) + positions[: N + T])
    for b in range(len(ids)):
        for t in range(T):
            if counted[b, t]:
                total = total - logits[b, N + t - 1].log_softmax(0)[ids[b, t]]
                n += 1
    return total / n
""",
        """
def picture_loss(patches, ids, counted, projection, embedding, positions, decoder):
    text = embedding[ids[:, :-1]]  # the last token predicts nothing
    x = torch.cat([patches @ projection, text], 1)
    logits = decoder(x + positions[: x.shape[1]])[:, -ids.shape[1] :]
    each = F.cross_entropy(logits.transpose(1, 2), ids, reduction="none")
    return (each * counted).sum() / counted.sum()
""",
        """
def picture_loss(patches, ids, counted, projection, embedding, positions, decoder):
    N = patches.shape[1]
    place = torch.arange(N + ids.shape[1])
    x = torch.cat([F.linear(patches, projection.T), F.one_hot(ids, len(embedding)).to(embedding) @ embedding], 1)
    logits = decoder(x + F.embedding(place, positions))
    b, t = counted.nonzero(as_tuple=True)
    return F.cross_entropy(logits[b, N + t - 1], ids[b, t])
""",
        """
def picture_loss(patches, ids, counted, projection, embedding, positions, decoder):
    N = patches.shape[1]
    x = torch.cat([patches @ projection, embedding[ids]], 1)
    logits = decoder(x + positions[: x.shape[1]]).roll(1, 1)[:, N:]
    chosen = logits[counted]
    return (chosen.logsumexp(-1) - chosen[torch.arange(len(chosen)), ids[counted]]).mean()
""",
        """
def picture_loss(patches, ids, counted, projection, embedding, positions, decoder):
    N, T = patches.shape[1], ids.shape[1]
    rows = [torch.cat([p @ projection, embedding[i]]) + positions[: N + T] for p, i in zip(patches, ids)]
    out = decoder(torch.stack(rows))
    losses = [F.cross_entropy(o[N - 1 : -1][c], i[c], reduction="sum") for o, i, c in zip(out, ids, counted)]
    return torch.stack(losses).sum() / counted.sum()
""",
    ],
    "lab19.q3": [
        """
def info_nce(a, b, temperature):
    s = F.cosine_similarity(a[:, None], b[None], dim=-1) / temperature
    own = s.diagonal()
    return ((s.logsumexp(1) - own).mean() + (s.logsumexp(0) - own).mean()) / 2
""",
        """
def info_nce(a, b, temperature):
    a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    s = a @ b.T / temperature
    return -(s.log_softmax(0).diagonal() + s.log_softmax(1).diagonal()).mean() / 2
""",
        """
def info_nce(a, b, temperature):
    s = torch.einsum("id,jd->ij", F.normalize(a, dim=1), F.normalize(b, dim=1)).div(temperature)
    return -0.5 * torch.diagonal(F.log_softmax(s, 1) + F.log_softmax(s.T, 1)).mean()
""",
        """
def info_nce(a, b, temperature):
    n, losses = len(a), []
    a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    for i in range(n):
        losses.append(-((b @ a[i]) / temperature).log_softmax(0)[i])
        losses.append(-((a @ b[i]) / temperature).log_softmax(0)[i])
    return torch.stack(losses).mean()
""",
        """
def info_nce(a, b, temperature):
    s = (a @ b.T) / (a.norm(dim=1)[:, None] * b.norm(dim=1)[None]) / temperature
    both = torch.cat([s, s.T])
    return F.cross_entropy(both, torch.arange(len(a)).repeat(2))
""",
        """
def info_nce(a, b, temperature):
    a, b = a.double(), b.double()
    s = F.normalize(a) @ F.normalize(b).T / temperature
    eye = torch.eye(len(a), dtype=torch.float64)
    return (F.cross_entropy(s, eye) + F.cross_entropy(s.T, eye)) / 2
""",
        """
def info_nce(a, b, temperature):
    s = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / temperature
    top = s.max()
    e = (s.double() - top).exp()
    own = s.double().diagonal() - top
    return (e.sum(0).log() + e.sum(1).log()).mean() / 2 - own.mean()
""",
        """
def info_nce(a, b, temperature):
    unit = lambda v: v * v.square().sum(-1, keepdim=True).rsqrt()
    s = unit(a) @ unit(b).mT * (1 / temperature)
    own = torch.arange(s.shape[0])
    return torch.stack([F.nll_loss(t.log_softmax(1), own) for t in (s, s.mT)]).mean()
""",
    ],
    "lab19.q4": [
        """
def quantize(x, codebook, commitment):
    flat = x.reshape(-1, x.shape[-1])
    codes = torch.cdist(flat, codebook).argmin(1).view(x.shape[:-1])
    chosen = F.embedding(codes, codebook)
    loss = F.mse_loss(chosen, x.detach()) + commitment * F.mse_loss(x, chosen.detach())
    return x + (chosen - x).detach(), codes, loss
""",
        """
def quantize(x, codebook, commitment):
    with torch.no_grad():
        d = x.square().sum(-1, keepdim=True) - 2 * x @ codebook.T + codebook.square().sum(-1)
        codes = d.argmin(-1)
    chosen = codebook[codes]
    loss = (chosen - x.detach()).pow(2).mean() + commitment * (chosen.detach() - x).pow(2).mean()
    return chosen.detach() + x - x.detach(), codes, loss
""",
        """
def quantize(x, codebook, commitment):
    codes = (x @ codebook.T - codebook.square().sum(1) / 2).argmax(-1)
    chosen = codebook.index_select(0, codes.flatten()).view_as(x)
    a, b = ((chosen - x.detach()) ** 2).mean(), ((x - chosen.detach()) ** 2).mean()
    return x - (x - chosen).detach(), codes, a + commitment * b
""",
        """
class Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, chosen):
        return chosen.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def quantize(x, codebook, commitment):
    codes = torch.cdist(x.reshape(-1, x.shape[-1]), codebook).argmin(-1).reshape(x.shape[:-1])
    chosen = codebook[codes]
    loss = F.mse_loss(chosen, x.detach()) + commitment * F.mse_loss(x, chosen.detach())
    return Through.apply(x, chosen.detach()), codes, loss
""",
        """
def quantize(x, codebook, commitment):
    flat = x.reshape(-1, x.shape[-1])
    codes = []
    for v in flat:
        codes.append(min(range(len(codebook)), key=lambda k: float((v - codebook[k]).square().sum())))
    codes = torch.tensor(codes).view(x.shape[:-1])
    picked = F.one_hot(codes, len(codebook)).to(codebook) @ codebook
    n = x.numel()
    loss = (picked - x.detach()).square().sum() / n + commitment * (x - picked.detach()).square().sum() / n
    return x + (picked - x).detach(), codes, loss
""",
        """
def quantize(x, codebook, commitment):
    codes = (x[..., None, :] - codebook).norm(dim=-1).min(-1).indices
    chosen = codebook[codes]
    still, moved = x.detach(), chosen.detach()
    loss = torch.mean((chosen - still) ** 2) + commitment * torch.mean((x - moved) ** 2)
    out = moved + (x - still)
    return out, codes, loss
""",
    ],
    "lab19.q5": [
        """
def compress(codes, n_codes, rate):
    import itertools
    runs = [(code, len(list(run))) for code, run in itertools.groupby(codes)]
    units, lengths = map(list, zip(*runs))
    return {"units": units, "lengths": lengths, "bits": (n_codes - 1).bit_length() * len(units) / len(codes) * rate}
""",
        """
def compress(codes, n_codes, rate):
    values, counts = torch.unique_consecutive(torch.tensor(codes), return_counts=True)
    seconds = len(codes) / rate
    return {"units": values.tolist(), "lengths": counts.tolist(), "bits": len(values) * math.ceil(math.log2(n_codes)) / seconds}
""",
        """
def compress(codes, n_codes, rate):
    x = np.array(codes)
    begins = np.flatnonzero(np.r_[True, x[1:] != x[:-1]])
    lengths = np.diff(np.r_[begins, len(x)])
    return {"units": x[begins].tolist(), "lengths": lengths.tolist(), "bits": float(np.ceil(np.log2(n_codes)) * len(begins) * rate / len(x))}
""",
        """
def compress(codes, n_codes, rate):
    bits = 0
    while 2**bits < n_codes:
        bits += 1
    units = [codes[0]] + [b for a, b in zip(codes, codes[1:]) if a != b]
    ends = [i for i in range(1, len(codes)) if codes[i] != codes[i - 1]] + [len(codes)]
    lengths = [b - a for a, b in zip([0] + ends, ends)]
    return {"units": units, "lengths": lengths, "bits": bits * len(units) / (len(codes) / rate)}
""",
        """
def compress(codes, n_codes, rate):
    units, lengths, i = [], [], 0
    while i < len(codes):
        j = i
        while j < len(codes) and codes[j] == codes[i]:
            j += 1
        units.append(codes[i])
        lengths.append(j - i)
        i = j
    each = len(format(n_codes - 1, "b"))
    return dict(units=units, lengths=lengths, bits=each * len(units) * rate / sum(lengths))
""",
        """
def compress(codes, n_codes, rate):
    if len(codes) == 1:
        found = {"units": list(codes), "lengths": [1]}
    else:
        before = compress(codes[:-1], n_codes, rate)
        same = before["units"][-1] == codes[-1]
        found = {"units": before["units"] + ([] if same else [codes[-1]]),
                 "lengths": before["lengths"][:-1] + [before["lengths"][-1] + 1] if same else before["lengths"] + [1]}
    return found | {"bits": -(-math.log2(n_codes) // 1) * len(found["units"]) * rate / len(codes)}
""",
        """
def compress(codes, n_codes, rate):
    units, lengths, last = [], [], None
    for code in codes:
        if code != last:
            units += [code]
            lengths += [0]
        lengths[-1] += 1
        last = code
    return {"lengths": torch.tensor(lengths), "units": torch.tensor(units), "bits": torch.tensor(math.ceil(math.log2(n_codes)) * len(units) * rate / len(codes))}
""",
    ],
    "lab19.q6": [
        """
def recall_at(similarity, own, k):
    hits = 0
    for row, i in zip(similarity.tolist(), own.tolist()):
        hits += sum(s >= row[i] for j, s in enumerate(row) if j != i) < k
    return hits / len(similarity)
""",
        """
def recall_at(similarity, own, k):
    rows = torch.arange(len(own))
    mine = similarity[rows, own]
    others = similarity.clone()
    others[rows, own] = -torch.inf
    if k > others.shape[1] - 1:
        return 1.0
    return (others.topk(k, dim=1).values[:, -1] < mine).float().mean().item()
""",
        """
def recall_at(similarity, own, k):
    mine = similarity[torch.arange(len(own)), own].unsqueeze(1)
    rank = (similarity > mine).sum(1) + (similarity == mine).sum(1)
    return torch.mean((rank <= k).double())
""",
        """
def recall_at(similarity, own, k):
    s, o = similarity.numpy(), own.numpy()
    mine = np.take_along_axis(s, o[:, None], 1)
    return float(np.mean((s >= mine).sum(1) <= k))
""",
        """
def recall_at(similarity, own, k):
    found = []
    for row, i in zip(similarity, own):
        order = sorted(range(len(row)), key=lambda j: (-float(row[j]), j == int(i)))
        found.append(order.index(int(i)) < k)
    return sum(found) / len(found)
""",
        """
def recall_at(similarity, own, k):
    mine = torch.take_along_dim(similarity, own[:, None], 1)
    below = (similarity < mine).sum(1)
    return float((below >= similarity.shape[1] - k).sum() / len(own))
""",
        """
def recall_at(similarity, own, k):
    is_own = F.one_hot(own, similarity.shape[1]).bool()
    mine = similarity[is_own]
    beaten = ((similarity >= mine[:, None]) & ~is_own).long().sum(1)
    return 1 - float((beaten >= k).float().mean())
""",
    ],
    "lab19.q7": [
        _holds("""    used = sum((list(b) for b in output), [])
    if sorted(set(used)) != sorted(used) or any(i not in range(len(names)) for i in used):
        return False
    if any(len(set(names[i] for i in b)) != size or len(b) != size for b in output):
        return False
    rest = set(n for i, n in enumerate(names) if i not in used)
    return len(rest) < size
"""),
        _holds("""    free = [True] * len(names)
    for batch in output:
        seen = []
        for i in batch:
            if i < 0 or i >= len(names) or not free[i] or names[i] in seen:
                return False
            free[i] = False
            seen.append(names[i])
        if len(seen) != size:
            return False
    return len({n for n, f in zip(names, free) if f}) <= size - 1
"""),
        _holds("""    from collections import Counter
    times = Counter(i for b in output for i in b)
    good = all(n == 1 and 0 <= i < len(names) for i, n in times.items())
    if not good:
        return False
    good = all(len(b) == size == len(Counter(names[i] for i in b)) for b in output)
    left = Counter(n for i, n in enumerate(names) if not times[i])
    return good and len(left) < size
"""),
        _holds("""    try:
        left = dict(enumerate(names))
        for batch in output:
            assert len(batch) == size
            mine = [left.pop(i) for i in batch]
            assert len(mine) == len(set(mine))
        assert len(set(left.values())) < size
        return True
    except (AssertionError, KeyError):
        return False
"""),
        _holds("""    flat = np.array([i for b in output for i in b], dtype=int)
    if len(np.unique(flat)) < len(flat) or (len(flat) and (flat.min() < 0 or flat.max() >= len(names))):
        return False
    for b in output:
        if len(b) != size or any(names[i] == names[j] for i in b for j in b if i != j):
            return False
    keep = np.setdiff1d(np.arange(len(names)), flat)
    return len(np.unique(np.array(names)[keep])) < size
"""),
        _holds("""    one = lambda b: len(b) == size and all(0 <= i < len(names) for i in b) and len({names[i] for i in b}) == size
    pairs = [(x, y) for n, x in enumerate(output) for y in output[:n]]
    apart = all(not set(x) & set(y) for x, y in pairs)
    used = set().union(*map(set, output))
    return all(map(one, output)) and apart and len(set(names[i] for i in range(len(names)) if i not in used)) < size
"""),
    ],
}

_GRID = "    B, C, H, W = pictures.shape\n    x = pictures.reshape(B, C, H // size, size, W // size, size)\n"


def _patch(given: str) -> str:
    return f"def patchify(pictures, size):\n{_GRID}    return {given}\n"


def _loss(
    x: str = "torch.cat([s, t], 1) + positions[: N + T]",
    here: str = "out[:, N - 1 : -1]",
    loss: str = "F.cross_entropy(here[counted], ids[counted])",
) -> str:
    return f"""
def picture_loss(patches, ids, counted, projection, embedding, positions, decoder):
    N, T = patches.shape[1], ids.shape[1]
    s, t = patches @ projection, embedding[ids]
    out = decoder({x})
    here = {here}
    return {loss}
"""


def _nce(loss: str, s: str = "F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / temperature") -> str:
    return f"def info_nce(a, b, temperature):\n    s = {s}\n    own = torch.arange(len(a))\n    return {loss}\n"


_BOTH = "(F.cross_entropy(s, own) + F.cross_entropy(s.T, own)) / 2"


def _vq(
    codes: str = "d.argmin(-1)",
    loss: str = "(c - x.detach()).square().mean() + commitment * (x - c.detach()).square().mean()",
    out: str = "x + (c - x).detach()",
    given: str = "out, codes, loss",
) -> str:
    return f"""
def quantize(x, codebook, commitment):
    d = (x.unsqueeze(-2) - codebook).square().sum(-1)
    codes = {codes}
    c = codebook[codes]
    out, loss = {out}, {loss}
    return {given}
"""


def _units(
    units: str = "u", lengths: str = "n", bits: str = "math.ceil(math.log2(n_codes)) * len(u) * rate / len(codes)"
) -> str:
    return f"""
def compress(codes, n_codes, rate):
    v, m = torch.unique_consecutive(torch.tensor(codes), return_counts=True)
    u, n = v.tolist(), m.tolist()
    return {{"units": {units}, "lengths": {lengths}, "bits": {bits}}}
"""


def _recall(body: str) -> str:
    return (
        f"def recall_at(similarity, own, k):\n    mine = similarity.gather(1, own[:, None])\n    return float({body})\n"
    )


WRONG = {
    "lab19.q1": [
        _patch("x.permute(0, 4, 2, 1, 5, 3).reshape(B, -1, C * size * size)"),
        _patch("x.permute(0, 2, 4, 5, 3, 1).reshape(B, -1, C * size * size)"),
        _patch("x.permute(0, 2, 4, 1, 3, 5).reshape(B, C * size * size, -1)"),
        _patch("x.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, size * size)"),
        _patch("x.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, C * size * size).flip(1)"),
        _patch("x.permute(0, 2, 4, 1, 3, 5).flip(3).reshape(B, -1, C * size * size)"),
        _patch("x.mean((3, 5)).flatten(2).transpose(1, 2)"),
        _patch("x.permute(0, 3, 5, 1, 2, 4).reshape(B, size * size, -1)"),
        "def patchify(pictures, size):\n    return F.unfold(pictures, size).transpose(1, 2)\n",
        "def patchify(pictures, size):\n    return pictures.flatten(2).transpose(1, 2).reshape(len(pictures), -1, pictures.shape[1] * size * size)\n",
        "def patchify(pictures, size):\n    return F.unfold(pictures.transpose(2, 3), size, stride=size).transpose(1, 2)\n",
    ],
    "lab19.q2": [
        _loss(x="torch.cat([s, t], 1) + positions[1 : N + T + 1]"),
        _loss(x="torch.cat([s, t], 1) * positions[: N + T]"),
        _loss(x="torch.cat([s, t], 1) + positions[: N + T].flip(0)"),
        _loss(x="torch.cat([s.mean(1, keepdim=True).expand_as(s), t], 1) + positions[: N + T]"),
        _loss(x="torch.cat([s.flip(1), t], 1) + positions[: N + T]"),
        _loss(x="torch.cat([s, t.flip(1)], 1) + positions[: N + T]"),
        _loss(x="torch.cat([s.roll(1, 0), t], 1) + positions[: N + T]"),
        _loss(x="F.normalize(torch.cat([s, t], 1) + positions[: N + T], dim=-1)"),
        _loss(loss="F.cross_entropy(here[counted], ids[counted]) / math.log(2)"),
        _loss(loss="-F.cross_entropy(here[counted], ids[counted])"),
        _loss(loss="F.cross_entropy(here[counted].softmax(-1), ids[counted])"),
        _loss(loss="F.cross_entropy(here[counted], ids[counted], label_smoothing=0.1)"),
        _loss(
            loss="F.cross_entropy(here[counted], ids[counted]) + 0 * out[:, :N].square().mean() + out[:, : N - 1].logsumexp(-1).sum() * 0.01"
        ),
        _loss(here="out[:, N - 1 : -1].flip(1)"),
        _loss(here="out[:, -T:]"),
    ],
    "lab19.q3": [
        _nce("torch.maximum(F.cross_entropy(s, own), F.cross_entropy(s.T, own))"),
        _nce("(F.cross_entropy(s, own) + F.cross_entropy(s, own)) / 2"),
        _nce("F.cross_entropy((s + s.T) / 2, own)"),
        _nce("-s.diagonal().mean()"),
        _nce("(1 - F.cosine_similarity(a, b)).mean() / temperature"),
        _nce("(F.cross_entropy(s, own) + F.cross_entropy(s.T, own)) / 2 - math.log(len(a))"),
        _nce("(F.cross_entropy(s, own) * F.cross_entropy(s.T, own)).sqrt()"),
        _nce("(s.exp().sum(1).log() - s.diagonal()).mean()"),
        _nce(_BOTH, s="F.normalize(a, p=1, dim=1) @ F.normalize(b, p=1, dim=1).T / temperature"),
        _nce(_BOTH, s="F.normalize(a - a.mean(0), dim=1) @ F.normalize(b - b.mean(0), dim=1).T / temperature"),
        _nce(_BOTH, s="F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / temperature**2"),
        _nce(_BOTH, s="F.normalize(a, dim=1) @ F.normalize(b, dim=1).T - temperature"),
        _nce(_BOTH, s="F.normalize(a, dim=1) @ F.normalize(a, dim=1).T / temperature"),
        _nce(_BOTH + " * temperature"),
    ],
    "lab19.q4": [
        _vq(codes="d.argmax(-1)"),
        _vq(codes="torch.zeros(x.shape[:-1], dtype=torch.int64)"),
        _vq(codes="(x.unsqueeze(-2) - codebook).abs().amax(-1).argmin(-1)"),
        _vq(codes="d.flatten(0, -2).argmin(0)[torch.zeros(x.shape[:-1], dtype=torch.int64)] % len(codebook)"),
        _vq(loss="(c - x.detach()).square().mean() + commitment * (x.detach() - c).square().mean()"),
        _vq(loss="(1 + commitment) * (x - c.detach()).square().mean()"),
        _vq(loss="(c - x.detach()).abs().mean() + commitment * (x - c.detach()).abs().mean()"),
        _vq(loss="commitment * (c - x.detach()).square().mean() + (1 - commitment) * (x - c.detach()).square().mean()"),
        _vq(loss="(c - x.detach()).square().mean() - commitment * (x - c.detach()).square().mean()"),
        _vq(loss="d.mean() + commitment * (x - c.detach()).square().mean()"),
        _vq(loss="((c - x.detach()).square().mean() + commitment * (x - c.detach()).square().mean()) / 2"),
        _vq(out="x.detach() + (c - x.detach())"),
        _vq(out="c + x - x.detach()"),
        _vq(out="torch.softmax(-d, -1) @ codebook"),
        _vq(given="codes, out, loss"),
        _vq(given="out, F.one_hot(codes, len(codebook)), loss"),
    ],
    "lab19.q5": [
        _units(bits="round(math.log2(n_codes)) * len(u) * rate / len(codes)"),
        _units(bits="math.ceil(math.log2(n_codes)) * sum(n) / len(u) * rate"),
        _units(bits="math.ceil(math.log2(n_codes)) * rate"),
        _units(bits="math.ceil(math.log2(n_codes)) * len(set(codes)) * rate / len(codes)"),
        _units(bits="math.ceil(math.log2(n_codes) * len(u) * rate / len(codes))"),
        _units(bits="8 * math.ceil(math.log2(n_codes) / 8) * len(u) * rate / len(codes)"),
        _units(bits="math.ceil(math.log2(n_codes)) * (len(u) - 1) * rate / len(codes)"),
        _units(bits="math.ceil(math.log2(n_codes)) * len(u) * rate / (len(codes) - 1 + 1e-9)"),
        _units(bits="math.ceil(math.log2(max(codes) + 1)) * len(u) * rate / len(codes)"),
        _units(lengths="[x / len(codes) for x in n]"),
        _units(lengths="sorted(n)"),
        _units(lengths="len(n)"),
        _units(units="[x for x, m in zip(u, n) if m > 1]"),
        _units(units="u[::-1]"),
        _units(units="[x + 1 for x in u]"),
    ],
    "lab19.q6": [
        _recall("(similarity.topk(k, dim=1).indices == own[:, None]).any(1).float().mean()"),
        _recall("((similarity >= mine).sum(1) < k).float().mean()"),
        _recall("((similarity > mine).sum(1) <= k).float().mean()"),
        _recall("((similarity >= mine).sum(0) <= k).float().mean()"),
        _recall("(similarity.topk(k, dim=1).values >= mine).any(1).float().mean()"),
        _recall("(similarity.topk(k, dim=1).values[:, -1:] < mine).float().mean()"),
        _recall("(similarity.argmax(1) == own).float().mean()"),
        _recall("mine.mean()"),
        _recall("k / similarity.shape[1]"),
        _recall("((similarity - mine).abs().argsort(1)[:, :k] == own[:, None]).any(1).float().mean()"),
        _recall("((similarity.abs() >= mine.abs()).sum(1) <= k).float().mean()"),
        _recall("(((similarity >= mine).sum(1) <= k).float() / (similarity >= mine).sum(1)).mean()"),
        _recall("((similarity >= mine).sum(1) <= k).float().median()"),
    ],
    "lab19.q7": [
        _holds("    return True\n"),
        _holds("    return False\n"),
        _holds("    return all(len(b) == size for b in output)\n"),
        _holds("    return all(len({names[i] for i in b}) == size for b in output)\n"),
        _holds(
            "    used = [i for b in output for i in b]\n    return len(set(used)) == len(used) and all(len({names[i] for i in b}) == size for b in output)\n"
        ),
        _holds("    used = [i for b in output for i in b]\n    return len(used) == size * (len(names) // size)\n"),
        _holds("    return len(output) == len(names) // size\n"),
        _holds("""    used = [i for b in output for i in b]
    ok = all(len(b) == size and len({names[i] for i in b}) == size for b in output)
    return ok and len(set(used)) == len(used) and len(names) - len(used) < size
"""),
        _holds("""    used = {i for b in output for i in b}
    ok = all(len(b) == size and len({names[i].lower() for i in b}) == size for b in output)
    return ok and len({n for i, n in enumerate(names) if i not in used}) < size
"""),
        _holds("""    left, mine = list(range(len(names))), []
    while True:
        chosen = {}
        for i in left:
            if len(chosen) < size:
                chosen.setdefault(names[i], i)
        if len(chosen) < size:
            return [list(b) for b in output] == mine
        mine.append(list(chosen.values()))
        left = [i for i in left if i not in mine[-1]]
"""),
        _holds("""    for b in output:
        if len(b) != size or any(names[x] == names[y] for x, y in zip(b, b[1:])):
            return False
    used = [i for b in output for i in b]
    return len(set(used)) == len(used) and len({n for i, n in enumerate(names) if i not in used}) < size
"""),
        "def examples():\n    return [(['a', 'b', 'c'], 2)]\n\n\ndef holds(inputs, output):\n    return len(output) == 1\n",
        "def examples():\n    return []\n\n\ndef holds(inputs, output):\n    return True\n",
    ],
}

REFUSED = {
    "lab19.q1": [
        "def patchify(pictures, size):\n    from llmlib.multimodal import patchify\n    return patchify(pictures, size)\n",
    ],
    "lab19.q3": [
        "def info_nce(a, b, temperature):\n    from llmlib.multimodal import info_nce\n    return info_nce(a, b, temperature)\n",
    ],
}
