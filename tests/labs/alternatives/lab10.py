"""Lab 10: other right answers, each written its own way, and wrong ones that have no message of their own."""

_INPUTS = """
def examples():
    t = list(range(30, 42))
    return [
        ("single", [3], [], 3), ("single", t, [], 14), ("single", t, [], 13), ("single", t, [], 5),
        ("pair", [3, 4], [[5]], 6), ("pair", t, [[5, 6]], 17), ("pair", t, [[5, 6]], 16), ("pair", t, [[5, 6, 7]], 9),
        ("similar", [3, 4], [[5]], 30), ("similar", t, [[5, 6]], 10), ("similar", [3, 4, 5], [[6, 7, 8]], 9),
        ("choice", [3, 4], [[5], [6, 7]], 30), ("choice", t, [[9, 8, 7, 6], [5], [4, 4]], 12),
        ("choice", t, [[5], [6], [5]], 9), ("choice", [3, 4, 5], [[7, 6, 5], [9]], 7), ("choice", t, [[5, 6]], 8),
    ]

"""

RIGHT = {
    "lab10.q1": [
        """
def class_logits(hidden, mask, weight, bias):
    out = []
    for h, m in zip(hidden, mask):
        out.append(weight @ h[m][-1] + bias)
    return torch.stack(out)
""",
        """
def class_logits(hidden, mask, weight, bias):
    last = mask.shape[1] - 1 - mask.flip(1).int().argmax(1)
    state = hidden.gather(1, last[:, None, None].expand(-1, 1, hidden.shape[2])).squeeze(1)
    return F.linear(state, weight, bias)
""",
        """
def class_logits(hidden, mask, weight, bias):
    T = mask.size(1)
    last = (mask * torch.arange(1, T + 1)).argmax(dim=1)
    pick = F.one_hot(last, T).to(hidden.dtype)
    return torch.einsum("bt,btd,cd->bc", pick, hidden, weight) + bias
""",
        """
def class_logits(hidden, mask, weight, bias):
    every = hidden @ weight.t() + bias
    last = [max(t for t in range(mask.shape[1]) if mask[b, t]) for b in range(len(mask))]
    return every[range(len(mask)), last]
""",
        """
def class_logits(hidden, mask, weight, bias):
    h, m = hidden.numpy(), mask.numpy()
    rows = np.array([h[b, np.flatnonzero(m[b])[-1]] for b in range(len(h))])
    return torch.from_numpy(rows @ weight.numpy().T + bias.numpy())
""",
        """
def class_logits(hidden, mask, weight, bias):
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    ends = mask & ~F.pad(mask, (0, 1))[:, 1:]
    return layer(hidden[ends]).detach()
""",
        """
def class_logits(hidden, mask, weight, bias):
    last = mask.cumsum(1).argmax(1)
    return torch.addmm(bias, hidden[torch.arange(hidden.size(0)), last], weight.T)
""",
    ],
    "lab10.q2": [
        """
class Losses:
    def with_auxiliary(class_logits, token_logits, ids, labels, mask, weight):
        total, n = 0.0, 0
        for logits, row, real in zip(token_logits, ids, mask):
            for t in range(1, len(row)):
                if real[t]:
                    total = total - logits[t - 1].log_softmax(0)[row[t]]
                    n += 1
        first = sum(-logits.log_softmax(0)[label] for logits, label in zip(class_logits, labels)) / len(labels)
        return first + weight * total / n

    def of_answer(token_logits, ids, mask, starts):
        losses = []
        for logits, row, real, start in zip(token_logits, ids, mask, starts):
            end = int(real.sum())
            losses += [-logits[t - 1].log_softmax(0)[row[t]] for t in range(int(start), end)]
        return sum(losses) / len(losses)
""",
        """
class Losses:
    @staticmethod
    def _next(token_logits, ids, chosen):
        V = token_logits.shape[-1]
        each = F.cross_entropy(token_logits[:, :-1].reshape(-1, V), ids[:, 1:].reshape(-1), reduction="none")
        chosen = chosen[:, 1:].reshape(-1).float()
        return (each * chosen).sum() / chosen.sum()

    @staticmethod
    def with_auxiliary(class_logits, token_logits, ids, labels, mask, weight):
        return F.nll_loss(F.log_softmax(class_logits, -1), labels) + weight * Losses._next(token_logits, ids, mask)

    @staticmethod
    def of_answer(token_logits, ids, mask, starts):
        at = torch.arange(ids.shape[1]).unsqueeze(0).expand_as(ids)
        return Losses._next(token_logits, ids, torch.logical_and(mask, at >= starts.unsqueeze(1)))
""",
        """
class Losses:
    @staticmethod
    def with_auxiliary(class_logits, token_logits, ids, labels, mask, weight):
        real = mask[:, 1:]
        lm = F.cross_entropy(token_logits[:, :-1][real], ids[:, 1:][real])
        return nn.CrossEntropyLoss()(class_logits, labels) + lm * weight

    @staticmethod
    def of_answer(token_logits, ids, mask, starts):
        answer = mask.clone()
        for row, start in enumerate(starts.tolist()):
            answer[row, :start] = False
        answer = answer[:, 1:]
        return F.cross_entropy(token_logits[:, :-1][answer], ids[:, 1:][answer])
""",
        """
class Losses:
    @staticmethod
    def with_auxiliary(class_logits, token_logits, ids, labels, mask, weight):
        logp = token_logits - torch.logsumexp(token_logits, -1, keepdim=True)
        hit = logp[:, :-1].gather(2, ids[:, 1:].unsqueeze(2)).squeeze(2)
        lm = -(hit.masked_fill(~mask[:, 1:], 0).sum()) / mask[:, 1:].sum()
        lc = class_logits.logsumexp(-1).mean() - class_logits.gather(1, labels[:, None]).mean()
        return lc + weight * lm

    @staticmethod
    def of_answer(token_logits, ids, mask, starts):
        targets = torch.full_like(ids, -100)
        lengths = mask.sum(1)
        for b in range(len(ids)):
            targets[b, starts[b] - 1 : lengths[b] - 1] = ids[b, starts[b] : lengths[b]]
        return F.cross_entropy(token_logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
""",
        """
class Losses:
    @staticmethod
    def with_auxiliary(class_logits, token_logits, ids, labels, mask, weight):
        shifted = torch.roll(ids, -1, 1)
        keep = torch.roll(mask, -1, 1)
        keep[:, -1] = False
        lm = F.cross_entropy(token_logits.permute(0, 2, 1), shifted, reduction="none")
        loss = torch.where(keep, lm, torch.zeros_like(lm)).sum() / keep.sum()
        return weight * loss + F.cross_entropy(class_logits, labels, reduction="sum") / labels.numel()

    @staticmethod
    def of_answer(token_logits, ids, mask, starts):
        shifted, keep = torch.roll(ids, -1, 1), torch.roll(mask, -1, 1)
        keep[:, -1] = False
        keep &= torch.arange(ids.shape[1])[None] >= starts[:, None] - 1
        return (F.cross_entropy(token_logits.permute(0, 2, 1), shifted, reduction="none") * keep).sum() / keep.sum()
""",
        """
class Losses:
    @staticmethod
    def with_auxiliary(class_logits, token_logits, ids, labels, mask, weight):
        probability = token_logits[:, :-1].softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
        real = mask[:, 1:].to(token_logits)
        own = class_logits.softmax(-1)[range(len(labels)), labels.tolist()]
        return -own.log().mean() - weight * (probability.log() * real).sum() / real.sum()

    @staticmethod
    def of_answer(token_logits, ids, mask, starts):
        probability = token_logits[:, :-1].softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
        answer = (mask.cumsum(1) > starts[:, None]) & mask
        answer = answer[:, 1:].to(token_logits)
        return -(probability.log() * answer).sum() / answer.sum()
""",
    ],
    "lab10.q3": [
        """
def few_shot(pool, text, k, names):
    def words(t):
        return " ".join(t.split())
    queues = {y: [] for y in range(len(names))}
    for t, y in pool:
        if words(t).lower() == words(text).lower():
            continue
        queues[y].append(words(t))
    lines = []
    while True:
        before = len(lines)
        for y in range(len(names)):
            if queues[y] and len(lines) < k:
                lines.append("Review: " + queues[y].pop(0) + "\\nLabel: " + names[y] + "\\n\\n")
        if len(lines) == before:
            break
    return "".join(lines) + "Review: " + words(text) + "\\nLabel:"
""",
        """
def few_shot(pool, text, k, names):
    from itertools import chain, zip_longest
    norm = lambda t: " ".join(t.split())
    ok = [(norm(t), y) for t, y in pool if norm(t).casefold() != norm(text).casefold()]
    by = [[e for e in ok if e[1] == y] for y in range(len(names))]
    turns = [e for e in chain.from_iterable(zip_longest(*by)) if e is not None][:k]
    out = ""
    for t, y in turns:
        out += f"Review: {t}\\nLabel: {names[y]}\\n\\n"
    return out + f"Review: {norm(text)}\\nLabel:"
""",
        """
def few_shot(pool, text, k, names):
    import re
    one = lambda t: re.sub(r"\\s+", " ", t).strip()
    seen, order = [0] * len(names), []
    for i, (t, y) in enumerate(pool):
        if one(t).upper() != one(text).upper():
            order.append((seen[y], y, one(t)))
            seen[y] += 1
    order.sort()
    blocks = [f"Review: {t}\\nLabel: {names[y]}" for _, y, t in order[:k]]
    blocks.append(f"Review: {one(text)}\\nLabel:")
    return "\\n\\n".join(blocks)
""",
        """
def few_shot(pool, text, k, names):
    clean = lambda t: " ".join(t.split())
    left = [e for e in pool if clean(e[0]).lower() != clean(text).lower()]
    shown, turn = [], 0
    while len(shown) < k and left:
        for i, (t, y) in enumerate(left):
            if y == turn:
                shown.append((clean(t), names[y]))
                del left[i]
                break
        turn = (turn + 1) % len(names)
    return "".join("Review: %s\\nLabel: %s\\n\\n" % e for e in shown) + "Review: %s\\nLabel:" % clean(text)
""",
        """
def few_shot(pool, text, k, names):
    import collections
    asked = text.split()
    deques = [collections.deque() for _ in names]
    for t, y in pool:
        w = t.split()
        if [x.casefold() for x in w] != [x.casefold() for x in asked]:
            deques[y].append(w)
    lines = []
    n = 0
    while n < k and any(deques):
        for name, d in zip(names, deques):
            if d and n < k:
                lines += ["Review: " + " ".join(d.popleft()), "Label: " + name, ""]
                n += 1
    return "\\n".join(lines + ["Review: " + " ".join(asked), "Label:"])
""",
        """
def few_shot(pool, text, k, names):
    norm = lambda t: " ".join(t.split())
    rows = [[norm(t) for t, y in pool if y == c and norm(t).casefold() != norm(text).casefold()] for c in range(len(names))]
    def recurse(rows, k):
        if k <= 0 or not any(rows):
            return []
        now = [(row[0], c) for c, row in enumerate(rows) if row][:k]
        return now + recurse([row[1:] for row in rows], k - len(now))
    shown = recurse(rows, k)
    return "\\n\\n".join(f"Review: {t}\\nLabel: {names[c]}" for t, c in shown) + ("\\n\\n" if shown else "") + f"Review: {norm(text)}\\nLabel:"
""",
    ],
    "lab10.q4": [
        """
def score_labels(model, prompt, labels, per_token):
    width = max(len(l) for l in labels)
    rows = torch.tensor([prompt + l + [0] * (width - len(l)) for l in labels])
    logp = torch.log_softmax(model(rows), dim=-1)
    scores = []
    for b, label in enumerate(labels):
        s = sum(logp[b, len(prompt) + i - 1, t] for i, t in enumerate(label))
        scores.append(s / len(label) if per_token else s)
    return torch.stack(scores)
""",
        """
def score_labels(model, prompt, labels, per_token):
    scores = []
    for label in labels:
        context, total = list(prompt), 0.0
        for token in label:
            total += model(torch.tensor([context]))[0, -1].log_softmax(-1)[token].item()
            context.append(token)
        scores.append(total / (len(label) if per_token else 1))
    return scores
""",
        """
def score_labels(model, prompt, labels, per_token):
    def one(label):
        ids = torch.tensor([prompt + label])
        nll = F.cross_entropy(model(ids)[0, len(prompt) - 1 : -1], ids[0, len(prompt) :], reduction="none")
        return -(nll.mean() if per_token else nll.sum())
    return [one(label).item() for label in labels]
""",
        """
def score_labels(model, prompt, labels, per_token):
    out = []
    for label in labels:
        ids = torch.tensor(prompt + label)[None]
        logits = model(ids)[0].double()
        each = (logits - logits.logsumexp(-1, keepdim=True))[:-1].gather(1, ids[0, 1:, None])[:, 0]
        each = each[-len(label):]
        out.append(each.sum() / len(label) ** int(per_token))
    return tuple(float(x) for x in out)
""",
        """
def score_labels(model, prompt, labels, per_token):
    p = [model(torch.tensor([[*prompt, *label]]))[0].softmax(-1) for label in labels]
    scores = []
    for probs, label in zip(p, labels):
        product = 1.0
        for i, token in enumerate(label):
            product = product * float(probs[len(prompt) - 1 + i][token])
        scores.append(math.log(product) / (len(label) if per_token else 1))
    return scores
""".replace("def score", "import math\n\n\ndef score", 1),
        """
def score_labels(model, prompt, labels, per_token):
    groups = {}
    for place, label in enumerate(labels):
        groups.setdefault(len(label), []).append(place)
    scores = np.zeros(len(labels))
    for n, places in groups.items():
        ids = torch.tensor([prompt + labels[i] for i in places])
        logp = model(ids).log_softmax(-1)[:, -n - 1 : -1]
        each = logp.gather(-1, ids[:, -n:, None]).squeeze(-1)
        scores[places] = (each.mean(1) if per_token else each.sum(1)).numpy()
    return scores
""",
    ],
    "lab10.q5": [
        """
def calibrate(scores, own):
    prior = own.log_softmax(1).logsumexp(0) - math.log(len(own))
    return (scores - prior).softmax(1)
""".replace("def cal", "import math\n\n\ndef cal", 1),
        """
def calibrate(scores, own):
    def soft(row):
        e = [np.exp(float(x) - float(row.max())) for x in row]
        return np.array(e) / sum(e)
    prior = np.mean([soft(row) for row in own], axis=0)
    out = []
    for row in scores:
        p = soft(row) / prior
        out.append(p / p.sum())
    return torch.tensor(np.array(out))
""",
        """
def calibrate(scores, own):
    p = F.softmax(scores, dim=-1)
    w = 1 / F.softmax(own, dim=-1).mean(dim=0)
    return F.normalize(p * w, p=1, dim=-1)
""",
        """
def calibrate(scores, own):
    q = torch.softmax(own, -1).sum(0)
    s = scores.log_softmax(-1) - q.log()
    return torch.exp(s - torch.logsumexp(s, -1, keepdim=True))
""",
        """
def calibrate(scores, own):
    prior = torch.zeros(own.shape[1])
    for row in own:
        prior += row.softmax(0) / len(own)
    W = torch.diag(1 / prior)
    made = scores.softmax(1) @ W
    return made / made.sum(1)[:, None]
""",
        """
def calibrate(scores, own):
    items = scores - scores.max(1, keepdim=True).values
    others = own - own.amax(1, keepdim=True)
    p, q = items.exp(), others.exp()
    p, q = p / p.sum(1, keepdim=True), (q / q.sum(1, keepdim=True)).mean(0)
    return torch.stack([(row / q) / (row / q).sum() for row in p])
""",
    ],
    "lab10.q6": [
        _INPUTS
        + """
def holds(inputs, output):
    kind, first, others, limit = inputs
    def piece_ok(piece, room):
        n = min(len(first), room)
        return len(piece) == n and any(piece == first[i : i + n] for i in range(len(first) - n + 1))
    def pair_ok(row, other):
        if row[:1] != [0] or row[-1:] != [2] or row.count(1) != 1:
            return False
        cut = row.index(1)
        return row[cut + 1 : -1] == other and piece_ok(row[1:cut], limit - 3 - len(other))
    def turned_ok(row, other):
        return row[: len(other) + 2] == [0, *other, 1] and row[-1:] == [2] and piece_ok(row[len(other) + 2 : -1], limit - 3 - len(other))
    if kind == "single":
        return len(output) == 1 and output[0][:1] == [0] and output[0][-1:] == [2] and piece_ok(output[0][1:-1], limit - 2)
    if kind == "similar":
        o = others[0]
        return len(output) == 2 and any(pair_ok(a, o) and turned_ok(b, o) for a, b in (output, output[::-1]))
    return len(output) == len(others) and all(pair_ok(row, o) for row, o in zip(output, others))
""",
        _INPUTS
        + """
def holds(inputs, output):
    kind, first, others, limit = inputs
    text = lambda row: " " + " ".join(map(str, row)) + " "
    def good(row, head, tail):
        if row[: len(head)] != head or row[len(row) - len(tail) :] != tail:
            return False
        middle = row[len(head) : len(row) - len(tail)]
        return len(row) == min(limit, len(head) + len(tail) + len(first)) and text(middle) in text(first)
    if kind == "single":
        return len(output) == 1 and good(output[0], [0], [2])
    frames = [([0], [1, *o, 2]) for o in others]
    if kind == "similar":
        frames.append(([0, *others[0], 1], [2]))
        if len(output) == 2 and not good(output[0], *frames[0]):
            output = [output[1], output[0]]
    return len(output) == len(frames) and all(good(r, *f) for r, f in zip(output, frames))
""",
        _INPUTS
        + """
def holds(inputs, output):
    kind, first, others, limit = inputs
    if not isinstance(output, list) or any(len(row) > limit for row in output):
        return False
    wanted = 1 if kind == "single" else 2 if kind == "similar" else len(others)
    if len(output) != wanted:
        return False
    split = []
    for row in output:
        if row[0] != 0 or row[-1] != 2 or row.count(0) != 1 or row.count(2) != 1:
            return False
        parts, now = [], []
        for t in row[1:-1]:
            if t == 1:
                parts, now = [*parts, now], []
            else:
                now.append(t)
        split.append([*parts, now])
    def contained(piece, size):
        return len(piece) == size and any(first[i : i + size] == piece for i in range(len(first)))
    size = lambda o: min(len(first), limit - len(o) - 3)
    if kind == "single":
        return len(split[0]) == 1 and contained(split[0][0], min(len(first), limit - 2))
    if any(len(parts) != 2 for parts in split):
        return False
    if kind == "similar":
        o = others[0]
        straight = [p[1] == o and contained(p[0], size(o)) for p in split]
        turned = [p[0] == o and contained(p[1], size(o)) for p in split]
        return (straight[0] and turned[1]) or (straight[1] and turned[0])
    return all(p[1] == o and contained(p[0], size(o)) for p, o in zip(split, others))
""",
    ],
}

WRONG = {
    "lab10.q1": [
        "def class_logits(hidden, mask, weight, bias):\n    return hidden[mask].reshape(len(hidden), -1, hidden.shape[-1])[:, -1] @ weight.T + bias\n",
        "def class_logits(hidden, mask, weight, bias):\n    return (hidden * mask[..., None])[:, -1] @ weight.T + bias\n",
        "def class_logits(hidden, mask, weight, bias):\n    last = mask.sum(1) - 1\n    last = torch.where(mask[:, 0], last, mask.shape[1] - 2)\n    return hidden[torch.arange(len(hidden)), last] @ weight.T + bias\n",
        "def class_logits(hidden, mask, weight, bias):\n    last = torch.where(mask, torch.arange(mask.shape[1]), -1).amax(1)\n    return F.layer_norm(hidden[torch.arange(len(hidden)), last], hidden.shape[-1:]) @ weight.T + bias\n",
        "def class_logits(hidden, mask, weight, bias):\n    last = torch.where(mask, torch.arange(mask.shape[1]), -1).amax(1)\n    return hidden[torch.arange(len(hidden)), last] @ weight.T - bias\n",
        "def class_logits(hidden, mask, weight, bias):\n    last = torch.where(mask, torch.arange(mask.shape[1]), -1).amax(1)\n    return (hidden[torch.arange(len(hidden)), last] @ weight.T + bias).argmax(-1)\n",
        "def class_logits(hidden, mask, weight, bias):\n    return (hidden * mask[..., None]).cumsum(1)[:, -1] @ weight.T / mask.sum() + bias\n",
        "def class_logits(hidden, mask, weight, bias):\n    return (hidden.masked_fill(~mask[..., None], 0)[:, -1] + hidden[:, 0]) @ weight.T + bias\n",
    ],
    "lab10.q2": [],
    "lab10.q3": [],
    "lab10.q4": [],
    "lab10.q5": [],
    "lab10.q6": [],
}


def _changed(question, number, *replacements):
    """A right answer with something changed."""
    source = RIGHT[question][number]
    for old, new in replacements:
        assert old in source, (question, number, old)
        source = source.replace(old, new)
    return source


WRONG["lab10.q2"] = [
    _changed("lab10.q2", 2, ("ids[:, 1:][real]", "ids[:, :-1][real]")),
    _changed("lab10.q2", 2, ("real = mask[:, 1:]\n", "real = mask[:, :-1] | mask[:, 1:]\n")),
    _changed("lab10.q2", 2, ("answer[row, :start] = False", "answer[row, : start + 1] = False")),
    _changed("lab10.q2", 2, ("answer[row, :start] = False", "answer[row, start:] = False")),
    _changed("lab10.q2", 2, ("lm * weight", "lm * weight**2")),
    _changed("lab10.q2", 2, ("lm * weight", "lm.exp() * weight")),
    _changed("lab10.q2", 2, ("lm * weight", "lm / lm.detach() * weight")),
    _changed("lab10.q2", 2, ("lm * weight", "lm.detach() * weight")),
    _changed("lab10.q2", 2, ("answer = answer[:, 1:]", "answer = answer[:, :-1]")),
    _changed("lab10.q2", 4, ("keep[:, -1] = False\n        lm", "lm")),
    _changed("lab10.q2", 5, (".log().mean() - weight", ".mean() - weight")),
    _changed("lab10.q2", 5, ("(mask.cumsum(1) > starts[:, None])", "(mask.cumsum(1) >= starts[:, None])")),
]
WRONG["lab10.q3"] = [
    _changed("lab10.q3", 2, ("order.sort()", "order.sort(reverse=True)")),
    _changed("lab10.q3", 2, ("(seen[y], y, one(t))", "(seen[y], -y, one(t))"), ("names[y]}", "names[-y]}")),
    _changed("lab10.q3", 2, ("order[:k]", "order[: k + 1]")),
    _changed("lab10.q3", 2, ("order[:k]", "order[: k - k % len(names)]")),
    _changed("lab10.q3", 2, ("{one(text)}", "{text}")),
    _changed("lab10.q3", 2, ("{one(text)}", "{one(text).lower()}"), ("Review: {t}", "Review: {t.lower()}")),
    _changed("lab10.q3", 2, ("one(text).upper()", "one(text)[:4].upper()"), ("one(t).upper()", "one(t)[:4].upper()")),
    _changed(
        "lab10.q3", 2, ('blocks.append(f"Review: {one(text)}\\nLabel:")', 'blocks.append(f"Review: {one(text)}")')
    ),
    _changed("lab10.q3", 2, ("Label: {names[y]}", "Label:{names[y]}")),
    _changed("lab10.q3", 3, ("turn = (turn + 1) % len(names)", "turn = 1 - turn if len(names) == 2 else 0")),
    _changed("lab10.q3", 1, ("if e is not None][:k]", "if e is not None][-k:]")),
]
WRONG["lab10.q4"] = [
    _changed("lab10.q4", 0, ("prompt + l + [0] * (width - len(l))", "[0] * (width - len(l)) + prompt + l")),
    _changed("lab10.q4", 0, ("s / len(label) if", "s / width if")),
    _changed("lab10.q4", 0, ("dim=-1)", "dim=1)")),
    _changed("lab10.q4", 0, ("dim=-1)", "dim=0)")),
    _changed("lab10.q4", 1, ("[0, -1].log_softmax(-1)", "[0, 0].log_softmax(-1)")),
    _changed("lab10.q4", 1, ("context.append(token)", "pass")),
    _changed("lab10.q4", 1, ("context, total = list(prompt), 0.0", "context, total = list(prompt)[-1:], 0.0")),
    _changed("lab10.q4", 2, ("prompt + label", "label + prompt")),
    _changed("lab10.q4", 3, ("** int(per_token)", "** (0.5 * per_token)")),
    _changed("lab10.q4", 4, ("product = product *", "product = min(product,"), ("[token])\n", "[token]))\n")),
    _changed("lab10.q4", 3, ("tuple(float(x) for x in out)", "tuple(float(x - max(out)) for x in out)")),
]
WRONG["lab10.q5"] = [
    _changed("lab10.q5", 2, ("1 / F.softmax", "F.softmax")),
    _changed("lab10.q5", 2, ("p=1, dim=-1", "p=2, dim=-1")),
    _changed("lab10.q5", 2, ("mean(dim=0)", "amax(dim=0)")),
    _changed("lab10.q5", 2, ("mean(dim=0)", "median(dim=0).values")),
    _changed("lab10.q5", 2, ("mean(dim=0)", "mean(dim=0).sqrt()")),
    _changed("lab10.q5", 2, ("mean(dim=0)", "mean(dim=1, keepdim=True)[: len(p)]")),
    _changed("lab10.q5", 2, ("F.softmax(own, dim=-1)", "F.softmax(own, dim=0)")),
    _changed("lab10.q5", 2, ("F.softmax(own, dim=-1)", "F.sigmoid(own)")),
    _changed("lab10.q5", 0, ("- math.log(len(own))", "- scores.log_softmax(1).logsumexp(0)")),
    _changed("lab10.q5", 0, ("own.log_softmax(1).logsumexp(0)", "own.logsumexp(0)")),
    _changed("lab10.q5", 3, ("q = torch.softmax(own, -1).sum(0)", "q = torch.softmax(own, -1).prod(0)")),
]
WRONG["lab10.q6"] = [
    _changed("lab10.q6", 1, ("text(middle) in text(first)", "set(middle) <= set(first)")),
    _changed("lab10.q6", 1, ("len(row) == min(limit, len(head) + len(tail) + len(first))", "len(row) <= limit")),
    _changed("lab10.q6", 1, ("text(middle) in text(first)", "middle == first[: len(middle)]")),
    _changed("lab10.q6", 1, ("len(output) == len(frames) and", "")),
    _changed("lab10.q6", 1, ("len(output) == 1 and good", "good"))
    + "\n\ndef examples():\n    return [('single', [3, 4, 5, 6], [], 5)]\n",
    _changed("lab10.q6", 0, ("row.count(1) != 1", "False"), ("cut = row.index(1)", "cut = len(row) - len(other) - 2")),
    _changed(
        "lab10.q6",
        0,
        (
            "any(pair_ok(a, o) and turned_ok(b, o) for a, b in (output, output[::-1]))",
            "pair_ok(output[0], o) and turned_ok(output[1], o)",
        ),
    ),
    _changed(
        "lab10.q6",
        0,
        (
            "any(pair_ok(a, o) and turned_ok(b, o) for a, b in (output, output[::-1]))",
            "all(pair_ok(a, o) or turned_ok(a, o) for a in output)",
        ),
    ),
    _changed("lab10.q6", 2, ("row[-1] != 2 or ", ""), ("row[1:-1]", "row[1:]"), ("row.count(2) != 1", "False")),
    _changed("lab10.q6", 2, ("straight[0] and turned[1]", "straight[0]")),
    "def examples():\n    return [('pair', [3, 4, 5, 6], [[7]], 6)]\n\n\ndef holds(inputs, output):\n    return True\n",
]
