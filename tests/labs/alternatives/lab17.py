"""Lab 17: other right answers, each written its own way, and wrong ones that have no message of their own."""

_IDF = "math.log(1 + (N - n + 0.5) / (n + 0.5))"

_TEXTS = """
def examples():
    search = '<tool>{"name": "search", "arguments": %s}</tool>'
    sums = '<tool>{"name": "calculator", "arguments": %s}</tool>'
    return [
        ("no call",), ("",), ("<tool>",), ("<tool></tool>",), ("<tool>null</tool>",), ("<tool>[1, 2]</tool>",),
        (search % '{"query": "a b", "k": 3}',), (search % '{"k": 3, "query": "a b"}' + sums % '{"expression": "1"}',),
        (sums % '{"expression": "1 + 1"}' + search % '{"query": "a", "k": 1}',), (search % '{"query": "a"}',),
        (search % '{"query": "a", "k": true}',), (search % '{"query": "a", "k": "3"}',), (search % '{"query": "a", "k": 3.0}',),
        (search % '{"query": "a", "k": 3, "more": 1}',), (search % "{'query': 'a', 'k': 3}",),
        (sums % '{"expression": 1 + 1}',), (sums % '{"expression": 2}',), (sums % "[]",), (sums % '{"query": "1"}',),
        ('<tool>{"name": "rm", "arguments": {"expression": "1"}}</tool>',), ('<tool>{"name": "search"}</tool>',),
        (search[:-7] % '{"query": "a", "k": 3}',), (sums % '{"expression": "1"}' + " and </tool>",), ("<tool>calculator(1)</tool>",),
    ]

"""

RIGHT = {
    "lab17.q1": [
        """
def bm25(documents, query, k1=1.5, b=0.75):
    N, mean = len(documents), np.mean([len(d) for d in documents])
    scores = np.zeros(N)
    for word in query:
        f = np.array([d.count(word) for d in documents], dtype=float)
        n = (f > 0).sum()
        length = np.array([len(d) for d in documents])
        scores += np.log1p((N - n + 0.5) / (n + 0.5)) * f * (k1 + 1) / (f + k1 * (1 - b + b * length / mean) + 1e-30)
    return scores
""",
        """
def bm25(documents, query, k1=1.5, b=0.75):
    counts = [Counter(d) for d in documents]
    df = Counter(w for c in counts for w in c)
    N = len(documents)
    avg = sum(c.total() for c in counts) / N
    def score(c):
        norm = k1 * (1 - b + b * c.total() / avg)
        return sum(math.log(1 + (N - df[w] + 0.5) / (df[w] + 0.5)) * c[w] * (k1 + 1) / (c[w] + norm) for w in query if w in c)
    return [score(c) for c in counts]
""",
        """
def bm25(documents, query, k1=1.5, b=0.75):
    index = {}
    for i, d in enumerate(documents):
        for w, f in Counter(d).items():
            index.setdefault(w, {})[i] = f
    N, total = len(documents), sum(map(len, documents))
    scores = torch.zeros(N, dtype=torch.float64)
    for w, times in Counter(query).items():
        holders = index.get(w, {})
        idf = math.log(N + 1) - math.log(len(holders) + 0.5)
        for i, f in holders.items():
            scores[i] += times * idf * f * (k1 + 1) / (f + k1 * (1 - b + b * len(documents[i]) * N / total))
    return scores
""",
        """
def bm25(documents, query, k1=1.5, b=0.75):
    N = len(documents)
    mean = sum(len(d) for d in documents) / N
    out = []
    for d in documents:
        s = 0
        for w in query:
            f = d.count(w)
            if f == 0:
                continue
            n = len([1 for e in documents if w in e])
            s += math.log((N + 1) / (n + 0.5)) * (k1 + 1) / (1 + k1 / f * (1 + b * (len(d) / mean - 1)))
        out.append(s)
    return out
""",
        """
def bm25(documents, query, k1=1.5, b=0.75):
    words = sorted({w for d in documents for w in d} | set(query))
    place = {w: i for i, w in enumerate(words)}
    tf = torch.zeros(len(documents), len(words))
    for i, d in enumerate(documents):
        for w in d:
            tf[i, place[w]] += 1
    n = (tf > 0).sum(0)
    idf = torch.log1p((len(documents) - n + 0.5) / (n + 0.5))
    length = tf.sum(1, keepdim=True)
    held = k1 * (1 - b + b * length / length.mean())
    weights = idf * torch.where(tf > 0, tf * (k1 + 1) / (tf + held), 0.0)
    return weights[:, [place[w] for w in query]].sum(1).tolist()
""",
        """
def bm25(documents, query, k1=1.5, b=0.75):
    N = len(documents)
    L = sum(len(d) for d in documents) / N
    return [
        sum(
            math.log(1 + (N - n + 0.5) / (n + 0.5)) * f * (k1 + 1) / (f + k1 * (1 - b + b * len(d) / L))
            for w in query
            for f, n in [(d.count(w), sum(1 for e in documents if w in e))]
            if f
        )
        for d in documents
    ]
""",
    ],
    "lab17.q2": [
        """
class Dense:
    def pool(hidden, mask):
        out = []
        for h, m in zip(hidden, mask):
            real = h[m]
            v = real.mean(0) if len(real) else torch.zeros(h.shape[1])
            n = v.norm()
            out.append(v / n if n > 0 else v)
        return torch.stack(out)

    def nearest(vectors, query, k):
        scores = [float(v @ query) for v in vectors]
        return sorted(range(len(scores)), key=lambda i: scores[i], reverse=True)[:k]
""",
        """
class Dense:
    @staticmethod
    def pool(hidden, mask):
        m = mask.to(hidden.dtype).unsqueeze(-1)
        mean = (hidden * m).sum(dim=1) / m.sum(dim=1).clamp(min=1e-9)
        return mean / mean.norm(dim=1, keepdim=True).clamp(min=1e-12)

    @staticmethod
    def nearest(vectors, query, k):
        return np.argsort(-(vectors @ query).numpy(), kind="stable")[:k]
""",
        """
class Dense:
    @staticmethod
    def pool(hidden, mask):
        return F.normalize(torch.einsum("btd,bt->bd", hidden, mask.float()), dim=-1)

    @staticmethod
    def nearest(vectors, query, k):
        return torch.sort(vectors @ query, descending=True, stable=True).indices[:k]
""",
        """
class Dense:
    @staticmethod
    def pool(hidden, mask):
        h, m = hidden.numpy().astype(float), mask.numpy()
        v = np.where(m[..., None], h, 0).sum(1)
        n = np.linalg.norm(v, axis=1, keepdims=True)
        return torch.from_numpy(np.divide(v, n, out=np.zeros_like(v), where=n > 0))

    @staticmethod
    def nearest(vectors, query, k):
        scores = (vectors.numpy() @ query.numpy()).tolist()
        return [i for _, i in sorted((-s, i) for i, s in enumerate(scores))][:k]
""",
        """
class Dense:
    @staticmethod
    def pool(hidden, mask):
        total = hidden.masked_fill(~mask[:, :, None], 0).sum(1)
        mean = torch.nan_to_num(total / mask.sum(1)[:, None], nan=0.0)
        return torch.nan_to_num(mean / mean.square().sum(1, keepdim=True).sqrt(), nan=0.0)

    @staticmethod
    def nearest(vectors, query, k):
        distance = (vectors - query).square().sum(1)
        return sorted(range(len(vectors)), key=lambda i: (round(float(distance[i]), 6), i))[:k]
""",
        """
class Dense:
    @staticmethod
    def pool(hidden, mask):
        weights = mask / mask.sum(1, keepdim=True).clamp(min=1)
        return F.normalize((weights[:, None, :].to(hidden.dtype) @ hidden)[:, 0], p=2.0, dim=1)

    @staticmethod
    def nearest(vectors, query, k):
        import heapq
        scores = torch.mv(vectors, query).tolist()
        return heapq.nsmallest(k, range(len(scores)), key=lambda i: (-scores[i], i))
""",
        """
class Dense:
    @staticmethod
    def pool(hidden, mask):
        vectors = []
        for b in range(len(hidden)):
            total, n = torch.zeros(hidden.shape[2]), 0
            for t in range(hidden.shape[1]):
                if mask[b, t]:
                    total, n = total + hidden[b, t], n + 1
            vectors.append(F.normalize(total / max(n, 1), dim=0))
        return torch.stack(vectors)

    @staticmethod
    def nearest(vectors, query, k):
        left, found = dict(enumerate((vectors @ query).tolist())), []
        while left and len(found) < k:
            best = max(left, key=left.get)
            found.append(best)
            del left[best]
        return found
""",
    ],
    "lab17.q3": [
        """
def fuse(searches, n, k=60):
    points = {}
    for scores in searches:
        ranked = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
        for rank, (d, _) in enumerate(ranked):
            points[d] = points.get(d, 0) + 1 / (k + rank + 1)
    return [d for d, _ in sorted(points.items(), key=lambda pair: (-pair[1], pair[0]))][:n]
""",
        """
def fuse(searches, n, k=60):
    everyone = sorted({d for scores in searches for d in scores})
    ranks = [{d: r for r, d in enumerate(sorted(sorted(s), key=s.get, reverse=True), 1)} for s in searches]
    total = [sum(1 / (k + r[d]) for r in ranks if d in r) for d in everyone]
    return [everyone[i] for i in np.argsort(-np.array(total), kind="stable")[:n]]
""",
        """
def fuse(searches, n, k=60):
    from fractions import Fraction
    total = {}
    for scores in searches:
        for d, s in scores.items():
            rank = 1 + sum(t > s or (t == s and e < d) for e, t in scores.items())
            total[d] = total.get(d, Fraction(0)) + Fraction(1, int(k) + rank)
    return sorted(sorted(total), key=lambda d: total[d], reverse=True)[:n]
""",
        """
def fuse(searches, n, k=60):
    from collections import defaultdict
    total = defaultdict(float)
    for scores in searches:
        order = sorted(scores)
        order.sort(key=lambda d: scores[d], reverse=True)
        for place, d in enumerate(order):
            total[d] += 1.0 / (place + 1 + k)
    import heapq
    return heapq.nsmallest(n, total, key=lambda d: (-total[d], d))
""",
        """
def fuse(searches, n, k=60):
    names = sorted(set().union(*searches))
    total = torch.zeros(len(names), dtype=torch.float64)
    for scores in searches:
        own = sorted(scores)
        values = torch.tensor([scores[d] for d in own], dtype=torch.float64)
        order = torch.argsort(values, descending=True, stable=True).tolist()
        for rank, i in enumerate(order, 1):
            total[names.index(own[i])] += 1 / (k + rank)
    return [names[i] for i in torch.argsort(total, descending=True, stable=True)[:n].tolist()]
""",
        """
def fuse(searches, n, k=60):
    def ranking(scores):
        return [d for _, d in sorted((-s, d) for d, s in scores.items())]
    lists = [ranking(s) for s in searches]
    def worth(d):
        return sum(1 / (k + order.index(d) + 1) for order in lists if d in order)
    return sorted(sorted({d for order in lists for d in order}), key=worth, reverse=True)[:n]
""",
    ],
    "lab17.q4": [
        """
def pieces(words, size, overlap):
    if overlap >= size:
        raise ValueError("too much")
    out, start = [], 0
    while start < len(words):
        out.append(words[start : start + size])
        if start + size >= len(words):
            break
        start += size - overlap
    return out
""",
        """
def pieces(words, size, overlap):
    step = size - overlap
    if step <= 0:
        raise ValueError("no step")
    n = 0 if not words else 1 + max(0, math.ceil((len(words) - size) / step))
    return [words[i * step : i * step + size] for i in range(n)]
""",
        """
def pieces(words, size, overlap):
    if not overlap < size:
        raise ValueError
    if not words:
        return []
    if len(words) <= size:
        return [list(words)]
    return [words[:size]] + pieces(words[size - overlap :], size, overlap)
""",
        """
def pieces(words, size, overlap):
    if overlap >= size:
        raise ValueError("overlap")
    made = [words[i : i + size] for i in range(0, len(words), size - overlap)]
    return [p for i, p in enumerate(made) if i == 0 or len(p) > overlap]
""",
        """
def pieces(words, size, overlap):
    if overlap >= size:
        raise ValueError("overlap")
    made, piece, fresh = [], [], 0
    for word in words:
        piece.append(word)
        fresh += 1
        if len(piece) == size:
            made.append(tuple(piece))
            piece, fresh = piece[size - overlap :], 0
    if fresh:
        made.append(tuple(piece))
    return made
""",
        """
def pieces(words, size, overlap):
    if overlap >= size:
        raise ValueError("overlap")
    def generate():
        end = 0
        while end < len(words):
            start = max(0, end - overlap)
            end = min(start + size, len(words))
            yield words[start:end]
    return list(generate())
""",
    ],
    "lab17.q5": [
        """
def measures(ranking, gains, k):
    top = ranking[:k]
    relevant = {d for d, g in gains.items() if g > 0}
    rr = 0
    for i, d in enumerate(top):
        if d in relevant:
            rr = 1 / (i + 1)
            break
    dcg = sum(gains.get(d, 0) / np.log2(i + 2) for i, d in enumerate(top))
    best = sum(g / np.log2(i + 2) for i, g in enumerate(sorted(gains.values())[::-1][:k]))
    return dict(recall=len(relevant & set(top)) / len(relevant), rr=rr, ndcg=dcg / best)
""",
        """
def measures(ranking, gains, k):
    g = torch.tensor([float(gains.get(d, 0)) for d in ranking[:k]], dtype=torch.float64)
    ideal = torch.tensor(sorted(map(float, gains.values()), reverse=True)[:k], dtype=torch.float64)
    weights = lambda n: 1 / torch.log2(torch.arange(2, n + 2, dtype=torch.float64))
    hits = (g > 0).nonzero().flatten()
    return {
        "ndcg": (g @ weights(len(g))) / (ideal @ weights(len(ideal))),
        "rr": 1 / (hits[0].item() + 1) if len(hits) else 0.0,
        "recall": len(hits) / sum(v > 0 for v in gains.values()),
    }
""",
        """
def measures(ranking, gains, k):
    n_relevant = sum(1 for g in gains.values() if g)
    recall = rr = dcg = 0.0
    for rank in range(1, min(k, len(ranking)) + 1):
        g = gains[ranking[rank - 1]] if ranking[rank - 1] in gains else 0
        if g > 0:
            recall += 1
            rr = rr or 1 / rank
        dcg += g * math.log(2) / math.log(rank + 1)
    ideal = 0.0
    for rank, g in enumerate(sorted(gains.values(), key=lambda x: -x), start=1):
        if rank > k:
            break
        ideal += g * math.log(2) / math.log(rank + 1)
    return {"recall": recall / n_relevant, "rr": rr, "ndcg": dcg / ideal}
""",
        """
def measures(ranking, gains, k):
    wanted = [d for d in gains if gains[d] > 0]
    found = [ranking.index(d) + 1 for d in wanted if d in ranking and ranking.index(d) < k]
    discount = lambda r: 1 / math.log(r + 1)
    dcg = sum(gains[d] * discount(ranking.index(d) + 1) for d in wanted if d in ranking[:k])
    best = sum(g * discount(r) for r, g in zip(range(1, k + 1), sorted(gains.values(), reverse=True)))
    return {"recall": len(found) / len(wanted), "rr": max((1 / r for r in found), default=0), "ndcg": dcg / best}
""",
        """
def measures(ranking, gains, k):
    padded = np.zeros(k)
    for i, d in enumerate(ranking[:k]):
        padded[i] = gains.get(d, 0)
    best = np.zeros(k)
    top = sorted(gains.values(), reverse=True)[:k]
    best[: len(top)] = top
    w = 1 / np.log2(np.arange(k) + 2)
    first = np.flatnonzero(padded)
    return {"recall": (padded > 0).sum() / sum(g > 0 for g in gains.values()), "rr": 1 / (1 + first[0]) if first.size else 0.0,
            "ndcg": padded @ w / (best @ w)}
""",
    ],
    "lab17.q6": [
        """
class Sources:
    @staticmethod
    def prompt(question, passages, cosines, least, most):
        out, number = "", 0
        for (title, text), cosine in zip(passages, cosines):
            if cosine < least or number == most:
                continue
            number += 1
            body = title + ": " + " ".join(text.split())
            out += "[" + str(number) + "] " + body.translate(str.maketrans("[]", "()")) + "\\n\\n"
        return out + "Question: " + question + "\\nAnswer:" if number else None

    @staticmethod
    def cited(answer, n):
        cited, invented = [], 0
        for inside in re.findall(r"\\[([\\d\\s,]+)\\]", answer):
            parts = [p.strip() for p in inside.split(",")]
            if not all(p.isdigit() for p in parts):
                continue
            for number in map(int, parts):
                if not 0 < number < n + 1:
                    invented += 1
                elif number not in cited:
                    cited.append(number)
        return {"cited": cited, "invented": invented}
""",
        """
class Sources:
    def prompt(question, passages, cosines, least, most):
        kept = [i for i in range(len(passages)) if cosines[i] >= least]
        if len(kept) == 0:
            return None
        lines = []
        for n, i in enumerate(kept[:most]):
            title, text = (re.sub(r"\\s+", " ", x).strip().replace("[", "(").replace("]", ")") for x in passages[i])
            lines.append(f"[{n + 1}] {title}: {text}")
        return "\\n\\n".join(lines) + f"\\n\\nQuestion: {question}\\nAnswer:"

    def cited(answer, n):
        found = re.finditer(r"\\[ *[0-9]+(?: *, *[0-9]+)* *\\]|\\[\\s*\\d+(?:\\s*,\\s*\\d+)*\\s*\\]", answer)
        numbers = [int(x) for m in found for x in re.findall(r"[0-9]+", m.group())]
        seen = {}
        for x in numbers:
            if x in range(1, n + 1):
                seen[x] = True
        return {"cited": list(seen), "invented": sum(x < 1 or x > n for x in numbers)}
""",
        """
class Sources:
    @staticmethod
    def prompt(question, passages, cosines, least, most):
        def clean(text):
            return "".join({"[": "(", "]": ")"}.get(c, c) for c in " ".join(text.split()))
        import itertools
        near = itertools.islice((p for p, c in zip(passages, cosines) if not c < least), most)
        lines = [f"[{i}] {clean(t)}: {clean(x)}" for i, (t, x) in enumerate(near, 1)]
        return "\\n".join(lines + [f"Question: {question}", "Answer: "]) if lines else None

    @staticmethod
    def cited(answer, n):
        numbers, rest = [], answer
        while "[" in rest:
            rest = rest[rest.index("[") + 1 :]
            if "]" not in rest:
                break
            inside = rest[: rest.index("]")]
            try:
                if re.fullmatch(r"[\\d,\\s]+", inside):
                    numbers += [int(x) for x in inside.split(",")]
            except ValueError:
                pass
        good = [x for x in numbers if 1 <= x <= n]
        return {"invented": len(numbers) - len(good), "cited": sorted(set(good), key=good.index)}
""",
        """
class Sources:
    @staticmethod
    def prompt(question, passages, cosines, least, most):
        order = np.flatnonzero(np.array(cosines) >= least)[:most]
        if not order.size:
            return None
        parts = []
        for number, i in enumerate(order.tolist(), start=1):
            title, text = passages[i]
            text = " ".join(text.split())
            for old, new in (("[", "("), ("]", ")")):
                title, text = title.replace(old, new), text.replace(old, new)
            parts += [f"[{number}] {title}: {text}", ""]
        return "\\n".join([*parts, "Question: " + question, "Answer:", ""])

    @staticmethod
    def cited(answer, n):
        counts = Counter()
        for group in re.findall(r"\\[(\\s*\\d+\\s*(?:,\\s*\\d+\\s*)*)\\]", answer):
            counts.update(int(x) for x in group.split(","))
        return {"cited": [x for x in counts if 1 <= x <= n], "invented": sum(c for x, c in counts.items() if not 1 <= x <= n)}
""",
        """
class Sources:
    @staticmethod
    def prompt(question, passages, cosines, least, most):
        prompt, used = [], 0
        for place in range(len(passages)):
            if cosines[place] >= least and used < most:
                used = used + 1
                line = "%s: %s" % (passages[place][0], " ".join(passages[place][1].splitlines()))
                prompt.append("[%d] %s" % (used, line.replace("[", "(").replace("]", ")")))
        if used == 0:
            return None
        prompt.append("Question: %s" % question)
        prompt.append("Answer:")
        return "\\n".join(prompt)

    @staticmethod
    def cited(answer, n):
        pattern = re.compile(r"\\[\\s*(?:\\d+\\s*,\\s*)*\\d+\\s*\\]")
        numbers = [int(x) for m in pattern.findall(answer) for x in m.strip("[]").split(",")]
        cited = []
        for x in numbers:
            if 1 <= x <= n and x not in cited:
                cited += [x]
        return {"cited": tuple(cited), "invented": len([x for x in numbers if x == 0 or x > n])}
""",
    ],
    "lab17.q7": [
        _TEXTS
        + """
def holds(inputs, output):
    text = inputs[0]
    start = text.find("<tool>")
    if start == -1:
        return output is None
    end = text.find("</tool>", start)
    inside = text[start + len("<tool>") : end if end >= 0 else len(text)]
    expected = None
    try:
        call = json.loads(inside)
        if isinstance(call, dict) and isinstance(call.get("arguments"), dict):
            a = call["arguments"]
            if call.get("name") == "calculator" and set(a) == {"expression"} and isinstance(a["expression"], str):
                expected = {"name": "calculator", "arguments": a}
            if call.get("name") == "search" and set(a) == {"query", "k"} and isinstance(a["query"], str) and type(a["k"]) is int:
                expected = {"name": "search", "arguments": a}
    except ValueError:
        pass
    if expected:
        return output == expected
    return isinstance(output, dict) and list(output) == ["error"] and isinstance(output["error"], str) and len(output["error"]) > 0
""",
        _TEXTS
        + """
def holds(inputs, output):
    match = re.search(r"<tool>(.*?)(</tool>|$)", inputs[0], re.DOTALL)
    if not match:
        return output is None
    def right(call):
        if not isinstance(call, dict) or not isinstance(call.get("name"), str) or not isinstance(call.get("arguments"), dict):
            return False
        kinds = {"search": {"query": str, "k": int}, "calculator": {"expression": str}}.get(call["name"], None)
        return kinds is not None and {n: type(v) for n, v in call["arguments"].items()} == kinds
    try:
        call = json.loads(match[1])
    except ValueError:
        call = None
    if right(call):
        assert output == {"name": call["name"], "arguments": call["arguments"]}
    else:
        assert set(output) == {"error"} and output["error"] and type(output["error"]) is str
    return True
""",
    ],
}


def _scores(idf=_IDF, part="f * (k1 + 1) / (f + k1 * (1 - b + b * len(d) / mean))", given="scores"):
    return f"""def bm25(documents, query, k1=1.5, b=0.75):
    N, scores = len(documents), []
    mean = sum(map(len, documents)) / N
    for d in documents:
        s = 0.0
        for w in query:
            n, f = sum(w in e for e in documents), d.count(w)
            if f:
                s += {idf} * {part}
        scores.append(s)
    return {given}
"""


def _dense(pool="F.normalize((hidden * mask[..., None]).sum(1), dim=-1)", nearest="torch.argsort(vectors @ query, descending=True, stable=True)[:k].tolist()"):  # fmt: skip
    return f"class Dense:\n    def pool(hidden, mask):\n        return {pool}\n\n    def nearest(vectors, query, k):\n        return {nearest}\n"


def _rrf(order="sorted(s, key=lambda d: (-s[d], d))", part="1 / (k + rank)", given="sorted(t, key=lambda d: (-t[d], d))[:n]"):  # fmt: skip
    return f"def fuse(searches, n, k=60):\n    t = Counter()\n    for s in searches:\n        for rank, d in enumerate({order}, 1):\n            t[d] += {part}\n    return {given}\n"


def _measure(recall="len(w & set(top)) / len(w)", rr="next((1 / r for r, d in enumerate(top, 1) if d in w), 0.0)", gain="gains.get(d, 0)", best="sorted(gains, key=gains.get, reverse=True)[:k]", discount="math.log2(r + 1)"):  # fmt: skip
    return f"""def measures(ranking, gains, k):
    top, w = ranking[:k], {{d for d in gains if gains[d] > 0}}
    dcg = lambda ds: sum(({gain}) / ({discount}) for r, d in enumerate(ds, 1))
    return {{"recall": {recall}, "rr": {rr}, "ndcg": dcg(top) / (dcg({best}) or 1)}}
"""


def _reader(near="[p for p, c in zip(passages, cosines) if c >= least][:most]", line="f'[{i}] {t}: {x}'", clean="' '.join(x.split()).replace('[', '(').replace(']', ')')", end="['Question: ' + question, 'Answer:']", pattern=r"\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]", good="1 <= x <= n", invented="len(xs) - len(good)"):  # fmt: skip
    return f"""class Sources:
    def prompt(question, passages, cosines, least, most):
        clean = lambda x: {clean}
        near = [(clean(t), clean(x)) for t, x in {near}]
        return "\\n".join([{line} for i, (t, x) in enumerate(near, 1)] + {end}) if near else None

    def cited(answer, n):
        xs = [int(x) for g in re.findall(r"{pattern}", answer) for x in g.split(",")]
        good = [x for x in xs if {good}]
        return {{"cited": list(dict.fromkeys(good)), "invented": {invented}}}
"""


WRONG = {
    "lab17.q1": [
        _scores(idf="math.log((N + 0.5) / (n + 0.5))"),
        _scores(idf="math.log(1 + (N - n + 0.5) / (n + 1))"),
        _scores(idf="math.log(1 + (N - n + 1) / (n + 1))"),
        _scores(idf="abs(math.log((N - n + 0.5) / (n + 0.5)))"),
        _scores(idf="math.log(2 + (N - n + 0.5) / (n + 0.5))"),
        _scores(idf="1 / n"),
        _scores(part="(1 + math.log(f))"),
        _scores(part="f * (k1 + 1) / (f + k1 * (1 - b + b * (len(d) / mean) ** 0.5))"),
        _scores(part="f * (k1 + 1) / (f + k1 * (1 - b) + b * len(d) / mean)"),
        _scores(part="f * (k1 + 1) / (f + k1) * (1 - b + b * len(d) / mean)"),
        _scores(part="(f * k1 + 1) / (f + k1 * (1 - b + b * len(d) / mean))"),
        _scores(given="[s / max(scores) if max(scores) else s for s in scores]"),
        _scores(given="sorted(scores, reverse=True)"),
    ],
    "lab17.q2": [
        _dense(pool="F.normalize(hidden.mean(1) * mask.float().mean(1, keepdim=True), dim=-1)"),
        _dense(pool="F.normalize((hidden * mask[..., None]).sum(1), dim=-1) * mask.sum(1, keepdim=True)"),
        _dense(pool="F.normalize((hidden * mask[..., None]).sum(1), p=float('inf'), dim=-1)"),
        _dense(pool="F.normalize(hidden[:, 1:].mul(mask[:, 1:, None]).sum(1), dim=-1)"),
        _dense(pool="F.normalize(hidden.median(1).values * mask[:, :1], dim=-1)"),
        _dense(pool="F.normalize((hidden * mask[..., None]).sum(2), dim=-1)"),
        _dense(pool="F.normalize((hidden * mask[..., None]).sum(1) + 0.05, dim=-1)"),
        _dense(nearest="torch.argsort(vectors @ query, descending=True, stable=True)[1 : k + 1].tolist()"),
        _dense(nearest="torch.argsort((vectors - query).norm(dim=1), descending=True, stable=True)[:k].tolist()"),
        _dense(nearest="torch.argsort(vectors.sum(1), descending=True, stable=True)[:k].tolist()"),
        _dense(nearest="torch.argsort(vectors @ query, stable=True).flip(0)[:k].tolist()"),
        _dense(nearest="[int(i) for i in np.argsort((vectors @ query).numpy())[-k:][::-1]]"),
        _dense(nearest="(vectors @ query > 0).nonzero().flatten().tolist()[:k]"),
    ],
    "lab17.q3": [
        _rrf(part="1 / (k + rank) ** 2"),
        _rrf(part="1 / (k + rank + 1)"),
        _rrf(part="1 / (k * rank)"),
        _rrf(part="len(s) - rank"),
        _rrf(part="math.exp(-rank / k)"),
        _rrf(part="1 / math.log2(rank + 1)"),
        _rrf(part="s[d] / sum(s.values())"),
        _rrf(part="1 / (n + rank)"),
        _rrf(order="sorted(s)"),
        _rrf(order="sorted(s, key=lambda d: (-s[d], d))[:10 if n > 10 else n]"),
        _rrf(order="sorted(s, key=lambda d: (-s[d], -d))"),
        _rrf(given="[d for d, _ in t.most_common(n)]"),
        _rrf(given="sorted(sorted(t, key=lambda d: -t[d])[:n])"),
    ],
    "lab17.q4": [
        "def pieces(words, size, overlap):\n    if overlap >= size:\n        raise ValueError\n    " + body + "\n"
        for body in (
            "return [words[i : i + size] for i in range(0, len(words) - overlap, size - overlap)]",  # short texts
            "return [words[i : i + size] for i in range(0, max(1, len(words) - overlap), size - overlap)]",  # no words
            "return [words[i : i + size] for i in range(0, len(words) - overlap + 1, size - overlap)]",
            "return [words[i : i + size] for i in range(0, len(words) - overlap - 1, size - overlap)] or [words][: len(words)]",
            "return [words[max(0, i - overlap) : i + size - overlap] for i in range(0, len(words), size - overlap)]",
            "return [words[i : i + size] for i in range(0, len(words), size)]",
            "return [words[i : i + size - overlap] for i in range(0, len(words), size - overlap)]",
            "return [words[i : i + size] for i in range(len(words) - size + 1)]",
            "made = [words[i : i + size] for i in range(0, len(words), size - overlap)]\n    return made[:-1] or made",
            "made = [words[i : i + size] for i in range(0, len(words), size - overlap)]\n    return made[: -(overlap > 0) or None] or made",
            "made = [words[i : i + size] for i in range(0, len(words), size - overlap)]\n    return [list(dict.fromkeys(p)) for p in made if len(p) >= overlap]",
        )
    ]
    + [
        "def pieces(words, size, overlap):\n    step = max(1, size - overlap)\n    made = [words[i : i + size] for i in range(0, len(words), step)]\n    return [p for i, p in enumerate(made) if i == 0 or len(p) > overlap]\n"
    ],  # fmt: skip
    "lab17.q5": [
        _measure(recall="len(w & set(ranking)) / len(w)"),
        _measure(recall="sum(gains.get(d, 0) for d in top) / sum(gains.values())"),
        _measure(recall="len(set(gains) & set(top)) / len(gains)"),
        _measure(recall="1 - len(w - set(top)) / k"),
        _measure(rr="next((1 / r for r, d in enumerate(top, 1) if gains.get(d, 0) > 1), 0.0)"),
        _measure(rr="next((1 / r for r, d in enumerate(top, 1) if d in gains), 0.0)"),
        _measure(rr="next((1 / r for r, d in enumerate(top, 1) if d in w), 1 / k)"),
        _measure(rr="next((1 / math.log2(r + 1) for r, d in enumerate(top, 1) if d in w), 0.0)"),
        _measure(gain="gains.get(d, 0) ** 2"),
        _measure(gain="gains.get(d, 1)"),
        _measure(best="list(gains)[:k]"),
        _measure(best="sorted(gains, key=gains.get, reverse=True)[: len(top)]"),
        _measure(discount="math.log2(r) + 1"),
        _measure(discount="math.sqrt(r)"),
    ],
    "lab17.q6": [
        _reader(near="[p for p, c in zip(passages, cosines) if c >= 0.3][:most]"),
        _reader(near="[p for c, p in sorted(zip(cosines, passages), reverse=True) if c >= least][:most]"),
        _reader(near="[p for p, c in zip(passages, cosines) if c >= least][-most:]"),
        _reader(near="[p for p, c in zip(passages, cosines) if c >= least or len(passages) == 3][:most]"),
        _reader(line="f'[{i}]. {t}: {x}'"),
        _reader(line="f'[{i}] {t} {x}'"),
        _reader(line="f'[{i}] {t}: {x[:20]}'"),
        _reader(line="f'Source {i}: {t}: {x}'"),
        _reader(clean="' '.join(x.split()).replace('[', '').replace(']', '')"),
        _reader(clean="' '.join(x.split()).replace('[', '{').replace(']', '}')"),
        _reader(clean="' '.join(x.split())"),
        _reader(end="['Question: ' + question]"),
        _reader(end="['Answer:', 'Question: ' + question]"),
        _reader(pattern=r"\[(\d+(?:, \d+)*)\]"),
        _reader(pattern=r"\[(\d)\]"),
        _reader(pattern=r"\[\s*(\d+(?:\s*[,-]\s*\d+)*)\s*").replace('g.split(",")', 're.findall(r"\\d+", g)'),
        _reader(good="x <= n"),
        _reader(good="1 <= x <= n + 9"),
        _reader(invented="max(0, len(set(xs)) - n)"),
        _reader(invented="len(xs) - len(set(good))"),
    ],
    "lab17.q7": [
        _TEXTS + "def holds(inputs, output):\n    return True\n",
        _TEXTS + "def holds(inputs, output):\n    return False\n",
        _TEXTS + "def holds(inputs, output):\n    return output is None or isinstance(output, dict)\n",
        _TEXTS
        + "def holds(inputs, output):\n    return output is None if '<tool>' not in inputs[0] else isinstance(output, dict) and ('error' in output) != ('name' in output)\n",
        _TEXTS
        + """
def holds(inputs, output):
    if "<tool>" not in inputs[0]:
        return output is None
    try:
        call = json.loads(inputs[0].split("<tool>")[1].split("</tool>")[0])
        return output == call if call["name"] in ("search", "calculator") else "error" in output
    except (ValueError, KeyError, TypeError):
        return "error" in output
""",
        _TEXTS
        + """
def holds(inputs, output):
    if "<tool>" not in inputs[0]:
        return output is None
    try:
        call = json.loads(inputs[0].split("<tool>")[-1].split("</tool>")[0])
        right = {k: type(v) for k, v in call["arguments"].items()} == {"search": {"query": str, "k": int}, "calculator": {"expression": str}}[call["name"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        right = False
    return output == call if right else isinstance(output, dict) and bool(output.get("error"))
""",
        """
def examples():
    return [('<tool>{"name": "search", "arguments": {"query": "a", "k": 1}}</tool>',), ("no",)]


def holds(inputs, output):
    return output is None if inputs[0] == "no" else output == {"name": "search", "arguments": {"query": "a", "k": 1}}
""",
    ],
}

REFUSED = {
    "lab17.q1": [
        """
def bm25(documents, query, k1=1.5, b=0.75):
    from llmlib.retrieval import BM25
    return BM25([" ".join(d) for d in documents], k1=k1, b=b).scores(" ".join(query)).tolist()
""",
    ],
    "lab17.q3": [
        """
def fuse(searches, n, k=60):
    from llmlib.retrieval import reciprocal_rank_fusion
    rankings = [sorted(s, key=lambda d: (-s[d], d)) for s in searches]
    return [f.document for f in reciprocal_rank_fusion(rankings, k)][:n]
""",
    ],
    "lab17.q5": [
        """
def measures(ranking, gains, k):
    from llmlib.retrieval import ndcg, recall_at_k, reciprocal_rank
    wanted = {d for d in gains if gains[d] > 0}
    return {"recall": recall_at_k(ranking, wanted, k), "rr": reciprocal_rank(ranking[:k], wanted),
            "ndcg": ndcg([gains.get(d, 0) for d in ranking], k, ideal=list(gains.values()))}
""",
    ],
}
