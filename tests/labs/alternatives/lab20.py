"""Answers to lab 20 in other words: right ones, which must be accepted, and wrong ones that nobody named."""

_SPELL = """
    def encode(text):
        data, ids, at = text.encode("utf-8"), [], 0
        while at < len(data):
            n = longest
            while data[at : at + n] not in number:
                n -= 1
            ids.append(number[data[at : at + n]])
            at += len(tokens[ids[-1]])
        return ids

    def decode(ids):
        return bytes(b for i in ids for b in tokens[i]).decode(errors="replace")

    return dict(tokens=tokens, encode=encode, decode=decode)
"""


def _tok(learn: str, spell: str = _SPELL) -> str:
    return f"""def make_tokenizer(texts, size, special):
    room = max(0, size - 256 - len(special))
{learn}
    tokens = [bytes([i]) for i in range(256)] + learned[:room]
    number = {{t: i for i, t in enumerate(tokens)}}
    longest = max(map(len, tokens))
    tokens = tokens + [s.encode() for s in special]
{spell}
"""


_WORDS = """    counts = Counter(" " + w for t in texts for w in t.split(" ") if w)
    learned = [w.encode() for w, _ in counts.most_common(room) if len(w.encode()) > 1]"""
_GRAMS = """    counts = {}
    for t in texts:
        data = t.encode()
        for n in (2, 3, 4, 5, 6):
            for i in range(len(data) - n + 1):
                counts[data[i : i + n]] = counts.get(data[i : i + n], 0) + n - 1
    learned = sorted(counts, key=lambda g: -counts[g])"""
_PAIRS = """    rows = [[bytes([b]) for b in t.encode()] for t in texts]
    learned = []
    for _ in range(room):
        pairs = Counter(p for row in rows for p in zip(row, row[1:]))
        if not pairs:
            break
        (a, b), _n = pairs.most_common(1)[0]
        if a + b not in learned:
            learned.append(a + b)
        new = []
        for row in rows:
            out, i = [], 0
            while i < len(row):
                if i + 1 < len(row) and row[i] == a and row[i + 1] == b:
                    out.append(a + b)
                    i += 2
                else:
                    out.append(row[i])
                    i += 1
            new.append(out)
        rows = new"""
_CLASS = """class Tok(dict):
    def __init__(self, texts, size, special):
        self.words = [w.encode() for w, _ in Counter(x for t in texts for x in re.findall(" ?[^ ]+", t)).most_common()]
        self.words = [w for w in self.words if len(w) > 1][: size - 256 - len(special)]
        self.list = [bytes((i,)) for i in range(256)] + self.words + [s.encode() for s in special]
        self.first = sorted(self.words, key=len, reverse=True)
        super().__init__(tokens=self.list, encode=self.encode, decode=self.decode)

    def encode(self, text):
        rest, out = text.encode(), []
        while rest:
            for w in self.first:
                if rest.startswith(w):
                    out.append(256 + self.words.index(w))
                    rest = rest[len(w) :]
                    break
            else:
                out.append(rest[0])
                rest = rest[1:]
        return out

    def decode(self, ids):
        whole = b""
        for i in ids:
            whole += self.list[i]
        return str(whole, "utf-8", "replace")


make_tokenizer = Tok
"""

_NET = """def train_base(documents, vocab_size):
    rows = [(r[0], r[i - 1], r[i]) for r in documents for i in range(1, len(r))]
    x, y = torch.tensor([r[:2] for r in rows]), torch.tensor([r[2] for r in rows])
    net = torch.nn.ModuleDict({"a": torch.nn.Embedding(vocab_size, vocab_size), "b": torch.nn.Embedding(vocab_size, vocab_size)})
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.15, weight_decay=0.01)
    for _ in range(35):
        loss = F.nll_loss((net["a"](x[:, 0]) + net["b"](x[:, 1])).log_softmax(-1), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def predict(prefixes):
        with torch.no_grad():
            x = torch.tensor([[p[0], p[-1]] for p in prefixes])
            return F.log_softmax(net["a"](x[:, 0]) + net["b"](x[:, 1]), dim=-1)

    return predict
"""
_PRODUCT = """def train_base(documents, vocab_size):
    import numpy as np
    pair, topic, alone = np.ones((vocab_size, vocab_size)), np.ones((8, vocab_size)), np.ones(vocab_size)
    seen = np.array([(r[0], a, b) for r in documents for a, b in zip(r, r[1:])])
    A, T = np.zeros((vocab_size, vocab_size)), np.zeros((8, vocab_size))
    onehot = np.zeros((len(seen), vocab_size))
    onehot[np.arange(len(seen)), seen[:, 2]] = 1
    mA, mT, vA, vT = np.zeros_like(A), np.zeros_like(T), np.zeros_like(A), np.zeros_like(T)
    for step in range(1, 31):
        x = T[seen[:, 0]] + A[seen[:, 1]]
        p = np.exp(x - x.max(1, keepdims=True))
        d = onehot - p / p.sum(1, keepdims=True)
        pick_t, pick_a = np.eye(8)[seen[:, 0]], np.eye(vocab_size)[seen[:, 1]]
        for w, m, v, g in ((A, mA, vA, pick_a.T @ d / len(seen)), (T, mT, vT, pick_t.T @ d / len(seen))):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            w += 0.15 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)

    def predict(prefixes):
        x = np.stack([T[p[0]] + A[p[-1]] for p in prefixes])
        x = x - x.max(1, keepdims=True)
        return x - np.log(np.exp(x).sum(1, keepdims=True))

    return predict
"""


def _fit(body: str) -> str:
    return f"""def choose(compared, asked, offered):
{body}
"""


_PERCEPTRON = _fit("""    w = {}
    def names(q, r):
        return [x for b in r.split() for x in (b, *((a, b) for a in q.split()))]
    def score(q, r):
        return sum(w.get(n, 0.0) for n in names(q, r))
    for epoch in range(4):
        for q, a, b in compared:
            p = 1 / (1 + math.exp(min(30, score(q, a) - score(q, b))))
            for n in names(q, a):
                w[n] = w.get(n, 0.0) + 0.1 * p
            for n in names(q, b):
                w[n] = w.get(n, 0.0) - 0.1 * p
    return [max(range(len(o)), key=lambda i: score(q, o[i])) for q, o in zip(asked, offered)]""")
_COUNTED = _fit("""    up, down = Counter(), Counter()
    f = lambda q, r: {(a, b) for a in q.split() for b in r.split()}
    for q, a, b in compared:
        up.update(f(q, a) - f(q, b))
        down.update(f(q, b) - f(q, a))
    s = lambda q, r: sum(math.log((up[n] + 2) / (down[n] + 2)) for n in f(q, r))
    return [max(enumerate(o), key=lambda e: s(q, e[1]))[0] for q, o in zip(asked, offered)]""")

_LOOPS = """def write_int4(matrices, group):
    entries, body = {}, bytearray()
    for name in matrices:
        rows, columns = matrices[name].shape
        entries[name] = {"start": len(body), "shape": [rows, columns]}
        steps, codes = [], []
        for row in matrices[name].tolist():
            for g in range(0, columns, group):
                some = row[g : g + group]
                step = struct.unpack("<e", struct.pack("<e", max(abs(x) for x in some) / 7))[0]
                steps.append(step)
                codes += [max(-8, min(7, round(x / step))) if step else 0 for x in some]
        body += struct.pack(f"<{len(steps)}e", *steps)
        for i in range(0, len(codes), 2):
            body.append((codes[i] + 8) | (codes[i + 1] + 8) << 4)
    head = json.dumps({"group": group, "matrices": entries}, ensure_ascii=False).encode("utf-8")
    return len(head).to_bytes(4, "little") + head + bytes(body)
"""
_NUMPY = """def write_int4(matrices, group):
    import numpy as np
    blobs, where, at = [], {}, 0
    for name, m in matrices.items():
        x = m.numpy().astype(np.float64).reshape(-1, group)
        best, low = None, None
        for top in (7.0, 7.3, 7.6):
            s = (np.abs(x).max(1) / top).astype(np.float16)
            q = np.clip(np.rint(np.divide(x, s[:, None].astype(float), out=np.zeros_like(x), where=s[:, None] > 0)), -8, 7)
            e = ((q * s[:, None].astype(float) - x) ** 2).sum(1)
            if best is None:
                best, low, err = s.copy(), q.copy(), e
            better = e < err
            best[better], low[better], err = s[better], q[better], np.minimum(e, err)
        u = (low.reshape(-1, 2) + 8).astype(np.uint8)
        blob = best.astype("<f2").tobytes() + (u[:, 0] | (u[:, 1] << 4)).tobytes()
        where[name] = {"shape": list(map(int, m.shape)), "start": at}
        at += len(blob)
        blobs.append(blob)
    head = json.dumps({"group": group, "matrices": where}, indent=1).encode()
    return struct.pack("<I", len(head)) + head + b"".join(blobs)
"""


def _rate(body: str) -> str:
    return f"def win_rate(mine, theirs):\n{body}\n"


_STAGES = '{"corpus", "tokenizer", "pretrain", "sft", "align", "quantize", "report"}'


def _md(
    body: str = "",
    check: str = f"""    lacking = {_STAGES} - {{s["stage"] for s in run["stages"]}}
    if lacking:
        raise ValueError("no record of " + ", ".join(sorted(lacking)))""",
    title: str = '"# " + run["name"]',
    data: str = '"Read: {documents:,} documents ({held_out:,} held out).\\n\\n{parameters:,} parameters.".format(**run)',
    verdict: str = '["worse", "undecided", "better"][(lo > 0.5) - (hi < 0.5) + 1]',
    cost: str = 'sum(s["joules"] for s in run["stages"]) / 3_600_000',
    end: str = '""',
    limits: str = '"\\n".join("- " + x for x in run["limits"])',
    heads: str = '["Purpose", "Limits", "Data", "Quality", "Cost"]',
) -> str:
    return f"""def model_card(run, grams_per_kwh):
{check}
    out = [{title}, ""]
    texts = {{"Purpose": run["purpose"], "Limits": {limits}, "Data": {data}}}
    rows = []
    for pair, (v, lo, hi) in run["wins"].items():
        word = {verdict}
        rows.append(f"| {{pair}} | {{v:.2f}} ({{lo:.2f}} to {{hi:.2f}}) | {{word}} |")
    b = run["bits"]
    texts["Quality"] = f"{{b[0]:.2f}} bits a byte ({{b[1]:.2f}} to {{b[2]:.2f}})\\n\\n" + "\\n".join(rows)
    kwh = {cost}
    spent = [f"| {{s['stage']}} | {{s['seconds']:.1f}} | {{s['joules']:.1f}} |" for s in run["stages"]]
    texts["Cost"] = "\\n".join(spent) + f"\\n\\nTotal: {{kwh:.6f}} kWh or {{kwh * grams_per_kwh:.4f}} g CO2"
    {body}
    for head in {heads}:
        out += ["## " + head, "", texts[head], ""]
    return "\\n".join(out) + {end}
"""


_INPUTS = """def examples():
    return [
        (["solo", "pair", "pair"], ["trio"]), (["a", "A", " a", "a ", "a\\nb", "b\\na", "ab a"], ["a"]),
        (["q\\nr", "r\\nq", "q r", "Q\\n", "z"], ["x", " q "]), (["m", "m", "n", "m", "n", "o"], ["p"]),
        (["x y", "y x", "X Y", "x y "], []), (["lost", "lost bag", "bag lost", "my lost bag"], ["lost", "nothing"]),
        (["k"], ["k"]), (["first\\nmid\\nlast", "mid", "mid first"], ["MID"]), (["tail", "t", "tail"], ["t", "u"]),
        (["one\\ntwo", "one\\nTwo", "one\\ntwo"], ["three"]),
    ]


"""


def _holds(body: str) -> str:
    return f"{_INPUTS}def holds(inputs, output):\n    documents, held_out = inputs\n{body}"


RIGHT = {
    "lab20.q1": [
        _tok(_WORDS),
        _tok(_GRAMS),
        _tok(_PAIRS),
        _CLASS,
        _tok("    counts = Counter(t[i:j].encode() for t in texts for i in range(len(t)) for j in range(i + 2, min(i + 8, len(t) + 1)))\n    learned = sorted(counts, key=lambda w: -counts[w] * (len(w) - 1))"),
    ],
    "lab20.q2": [
        _NET,
        _PRODUCT,
        _NET.replace("AdamW", "Adam").replace(", weight_decay=0.01", "").replace("range(35)", "range(45)"),
        _NET.replace("torch.optim.AdamW(net.parameters(), lr=0.15, weight_decay=0.01)", "torch.optim.RMSprop(net.parameters(), lr=0.05)"),
    ],
    "lab20.q3": [
        _PERCEPTRON,
        _COUNTED,
        _PERCEPTRON.replace("range(4)", "range(6)").replace("return [max", "return [max", 1),
        _COUNTED.replace("+ 2)", "+ 1)"),
    ],
    "lab20.q4": [_LOOPS, _NUMPY, _LOOPS.replace("/ 7))", "* (1 / 7)))"), _LOOPS.replace("ensure_ascii=False", "sort_keys=False")],
    "lab20.q5": [
        _rate("""    R, N = mine.shape
    each = [sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in zip(x, y)) / R for x, y in zip(mine.T.tolist(), theirs.T.tolist())]
    m = sum(each) / N
    s = math.sqrt(sum((e - m) ** 2 for e in each) / (N - 1) / N)
    return dict(rate=m, low=max(m - 1.96 * s, 0.0), high=min(m + 1.96 * s, 1.0))"""),
        _rate("""    import statistics
    w = ((torch.sign(mine - theirs) + 1) / 2).mean(0).tolist()
    m, h = statistics.mean(w), 1.96 * statistics.stdev(w) / len(w) ** 0.5
    return {"high": min(1.0, m + h), "low": max(0.0, m - h), "rate": m}"""),
        _rate("""    import numpy as np
    d = mine.numpy() - theirs.numpy()
    w = np.where(d > 0, 1.0, np.where(d < 0, 0.0, 0.5)).mean(axis=0)
    se = w.std(ddof=1) / np.sqrt(w.size)
    lo, hi = np.clip([w.mean() - 1.96 * se, w.mean() + 1.96 * se], 0, 1)
    return {"rate": float(w.mean()), "low": float(lo), "high": float(hi)}"""),
        _rate("""    w = torch.heaviside(mine - theirs, torch.tensor(0.5, dtype=mine.dtype)).mean(dim=0)
    half = 1.96 * (w.var() / w.numel()).sqrt()
    ends = torch.stack([w.mean() - half, w.mean() + half]).clamp(0, 1).tolist()
    return {"rate": w.mean().item(), "low": ends[0], "high": ends[1]}"""),
    ],
    "lab20.q6": [
        _md(),
        _md(title='f"# {run[chr(110) + chr(97) + chr(109) + chr(101)]}"'),
        _md(verdict='"undecided" if lo <= 0.5 <= hi else ("better" if v > 0.5 else "worse")'),
        _md(end='"\\n"'),
        _md(body='texts["Quality"] += "\\n\\nIntervals: 95 %."'),
        _md(body='texts["Cost"] += f"; {sum(s[chr(115) + chr(101) + chr(99) + chr(111) + chr(110) + chr(100) + chr(115)] for s in run[chr(115) + chr(116) + chr(97) + chr(103) + chr(101) + chr(115)]):.1f} seconds"'),
    ],
    "lab20.q7": [
        _holds("""    bad = [h.strip().lower() for h in held_out]
    stay = []
    for d in documents:
        if d not in stay and all(line.strip().lower() not in bad for line in d.splitlines() or [""]):
            stay.append(d)
    return all(i in range(len(documents)) for i in output) and sorted(documents[i] for i in output) == sorted(stay)
"""),
        _holds("""    leak = lambda d: any(x.strip().casefold() == h.strip().casefold() for x in d.split("\\n") for h in held_out)
    if any(i < 0 or i >= len(documents) for i in output) or any(leak(documents[i]) for i in output):
        return False
    for i, d in enumerate(documents):
        if sum(documents[j] == d for j in output) != (0 if leak(d) else 1):
            return False
    return True
"""),
        _holds("""    good = Counter(d for d in set(documents) if not {x.strip().lower() for x in d.split("\\n")} & {h.strip().lower() for h in held_out})
    try:
        return min(output, default=0) >= 0 and Counter(documents[i] for i in output) == good
    except IndexError:
        return False
"""),
    ],
}  # fmt: skip

WRONG = {
    "lab20.q1": [
        _tok("    learned = []"),
        _tok(_WORDS, _SPELL.replace('text.encode("utf-8")', "text.lower().encode()")),
        _tok(_WORDS, _SPELL.replace('text.encode("utf-8")', 'text.encode("utf-8").replace(b"  ", b" ")')),
        _tok(_WORDS, _SPELL.replace('text.encode("utf-8")', 'text.encode("utf-16")')),
        _tok(_WORDS, _SPELL.replace('errors="replace"', 'encoding="latin-1"')),
        _tok(_WORDS, _SPELL.replace("return ids", "return ids + [len(tokens) - 1]")),
        _tok(_WORDS, _SPELL.replace("return ids", "return ids[::-1]")),
        _tok(_WORDS, _SPELL.replace("tokens=tokens,", "tokens=[t.decode(errors='replace') for t in tokens],")),
        _tok(_WORDS, _SPELL.replace("tokens=tokens,", "tokens=tokens[:-1],")),
        _tok("    learned = [b'ab'] * room"),
        _tok("    learned = [bytes([97, i % 256, i // 256]) for i in range(room)]"),
        _tok(_WORDS).replace("max(0, size - 256 - len(special))", "size"),
        _tok(_WORDS, _SPELL.replace("return ids", "memory.append(text)\n        return [0]").replace("    def encode", "    memory = []\n\n    def encode").replace('return bytes(b for i in ids for b in tokens[i]).decode(errors="replace")', "return memory[-1]")),
    ],
    "lab20.q2": [
        "def train_base(documents, vocab_size):\n    return lambda prefixes: torch.full((len(prefixes), vocab_size), -math.log(vocab_size))\n",
        _NET.replace("r[0], r[i - 1], r[i]", "r[0], r[max(0, i - 2)], r[i]"),
        _NET.replace("r[0], r[i - 1], r[i]", "r[-1], r[i - 1], r[i]"),
        _NET.replace("[p[0], p[-1]]", "[p[-1], p[0]]"),
        _NET.replace("[p[0], p[-1]]", "[p[0], p[-2]]"),
        _NET.replace("range(35)", "range(2)"),
        _NET.replace("lr=0.15", "lr=20.0"),
        _NET.replace("documents for", "documents[:12] for"),
        _NET.replace("r[i]) for", "r[1]) for"),
        _NET.replace("dim=-1)\n", "dim=-1).exp()\n"),
        _NET.replace("dim=-1)\n", "dim=-1) / math.log(2)\n"),
        _NET.replace("weight_decay=0.01", "weight_decay=5.0"),
        "def train_base(documents, vocab_size):\n    c = torch.ones(vocab_size, vocab_size)\n    for r in documents:\n        for a, b in zip(r, r[1:]):\n            c[a, b] += 1\n    return lambda prefixes: (c / c.sum(1, keepdim=True)).log()[[p[-1] for p in prefixes]]\n",
        "def train_base(documents, vocab_size):\n    return lambda prefixes: torch.zeros(len(prefixes), vocab_size)\n",
    ],
    "lab20.q3": [
        _fit("    return [len(o) - 1 for o in offered]"),
        _fit("    return [random.Random(q).randrange(5) for q in asked]"),
        _fit("    return [max(range(5), key=lambda i: len(set(q.split()) & set(o[i].split()))) for q, o in zip(asked, offered)]"),
        _fit("    good = Counter(w for _, a, _ in compared for w in a.split())\n    return [max(range(5), key=lambda i: sum(good[w] for w in o[i].split())) for o in offered]"),
        _fit("    seen = {a for _, a, _ in compared}\n    return [next((i for i, r in enumerate(o) if r in seen), 0) for o in offered]"),
        _fit("    return [1 for _ in asked]"),
        _fit("    return [5 for _ in asked]"),
        _fit("    return []"),
        _PERCEPTRON.replace("(b, *((a, b) for a in q.split()))", "(b,)"),
        _PERCEPTRON.replace("range(4)", "range(0)"),
        _PERCEPTRON.replace("min(30, score(q, a) - score(q, b))", "0.0").replace("for q, a, b in compared", "for q, b, a in compared"),
        _COUNTED.replace("key=lambda e: s", "key=lambda e: -s"),
    ],
    "lab20.q4": [
        _LOOPS.replace("round(x / step)", "int(x / step)"),
        _LOOPS.replace("max(abs(x) for x in some) / 7", "max(some) / 7"),
        _LOOPS.replace("max(abs(x) for x in some) / 7", "max(abs(x) for x in some) / 15"),
        _LOOPS.replace("max(abs(x) for x in some) / 7", "sum(abs(x) for x in some) / len(some) / 7"),
        _LOOPS.replace('"<e"', '">e"').replace('f"<{len(steps)}e"', 'f">{len(steps)}e"'),
        _LOOPS.replace("(codes[i + 1] + 8) << 4", "(codes[i] + 8) << 4"),
        _LOOPS.replace("codes[i] + 8", "codes[i] + 7").replace("codes[i + 1] + 8", "codes[i + 1] + 7").replace("max(-8", "max(-7"),
        _LOOPS.replace('"shape": [rows, columns]', '"shape": [columns, rows]'),
        _LOOPS.replace("return len(head).to_bytes(4, \"little\") + head", "return head"),
        _LOOPS.replace('to_bytes(4, "little")', 'to_bytes(8, "little")'),
        _LOOPS.replace("+ bytes(body)", "+ bytes(body) + b'end'"),
        _LOOPS.replace("+ bytes(body)", "+ bytes(body)[:-1]"),
        _LOOPS.replace("for name in matrices", "for name in sorted(matrices, reverse=True)").replace("entries[name] =", "entries[name[:1]] ="),
        "def write_int4(matrices, group):\n    return b''\n",
        "def write_int4(matrices, group):\n    return json.dumps({n: m.tolist() for n, m in matrices.items()}).encode()\n",
    ],
    "lab20.q5": [
        _rate("    w = (mine > theirs).double()\n    return {'rate': w.mean().item(), 'low': 0.0, 'high': 1.0}"),
        _rate("    w = ((torch.sign(mine - theirs) + 1) / 2).mean(0)\n    q = w.quantile(torch.tensor([0.025, 0.975]).double())\n    return {'rate': w.mean().item(), 'low': q[0].item(), 'high': q[1].item()}"),
        _rate("    w = (mine - theirs).mean(0)\n    s = 1.96 * w.std().item() / len(w) ** 0.5\n    return {'rate': w.mean().item(), 'low': w.mean().item() - s, 'high': w.mean().item() + s}"),
        _rate("    w = ((torch.sign(mine - theirs) + 1) / 2).mean(0)\n    n, p, z = len(w), w.mean().item(), 1.96\n    m = (p + z * z / 2 / n) / (1 + z * z / n)\n    h = z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n) / (1 + z * z / n)\n    return {'rate': p, 'low': m - h, 'high': m + h}"),
        _rate("    w = ((torch.sign(mine - theirs) + 1) / 2).mean(0)\n    s = 1.96 * w.std().item() / (len(w) - 1) ** 0.5\n    p = w.mean().item()\n    return {'rate': p, 'low': max(0.0, p - s), 'high': min(1.0, p + s)}"),
        _rate("    w = ((torch.sign(mine - theirs) + 1) / 2).mean(0)\n    s = 2.576 * w.std().item() / len(w) ** 0.5\n    p = w.mean().item()\n    return {'rate': p, 'low': max(0.0, p - s), 'high': min(1.0, p + s)}"),
        _rate("    w = ((torch.sign(mine - theirs) + 1) / 2).max(0).values\n    s = 1.96 * w.std().item() / len(w) ** 0.5\n    p = w.mean().item()\n    return {'rate': p, 'low': max(0.0, p - s), 'high': min(1.0, p + s)}"),
        _rate("    w = ((torch.sign(mine - theirs) + 1) / 2).mean(0)\n    s = 1.96 * w.std().item() / len(w) ** 0.5\n    p = w.median().item()\n    return {'rate': p, 'low': max(0.0, p - s), 'high': min(1.0, p + s)}"),
        _rate("    w = ((torch.sign(mine - theirs) + 1) / 2).mean(0)\n    s = 1.96 * w.std().item() / len(w) ** 0.5\n    p = w.mean().item()\n    return p, max(0.0, p - s), min(1.0, p + s)"),
        _rate("    w = ((torch.sign(mine[0] - theirs[-1]) + 1) / 2)\n    s = 1.96 * w.std().item() / len(w) ** 0.5\n    p = w.mean().item()\n    return {'rate': p, 'low': max(0.0, p - s), 'high': min(1.0, p + s)}"),
    ],
    "lab20.q6": [
        "def model_card(run, grams_per_kwh):\n    return ''\n",
        "def model_card(run, grams_per_kwh):\n    return str(run)\n",
        _md(check=""),
        _md(check=f"""    lacking = {_STAGES} - {{s["stage"] for s in run["stages"]}}
    if lacking:
        return "no record of " + ", ".join(sorted(lacking))"""),
        _md(check=f"""    lacking = {_STAGES} - {{s["stage"] for s in run["stages"]}}
    if lacking:
        raise KeyError(", ".join(sorted(lacking)))"""),
        _md(verdict='"better" if lo >= 0.4 else "worse"'),
        _md(verdict='["worse", "undecided", "better"][(lo > 0.5) - (hi < 0.5)]'),
        _md(title='"# Model card"'),
        _md(title='"Card\\n# " + run["name"]'),
        _md(limits='"- " + run["limits"][0]'),
        _md(limits='"\\n".join("* " + x for x in run["limits"])'),
        _md(cost='sum(s["seconds"] for s in run["stages"]) / 3_600_000'),
        _md(cost='sum(s["joules"] for s in run["stages"][1:]) / 3_600_000'),
        _md(end='"\\n\\n99.9 % satisfied"'),
        _md(heads='["Purpose", "Data", "Limits", "Quality", "Cost"]'),
        _md(heads='["Purpose", "Limits", "Data", "Quality", "Cost", "Cost"]'),
        _md(data='"{documents:,} documents".format(**run)'),
        _md(body='texts["Quality"] = texts["Quality"].replace(" to ", " - ")'),
    ],
    "lab20.q7": [
        _holds("    return True\n"),
        _holds("    return False\n"),
        _holds("    return len(output) == len(set(output))\n"),
        _holds("    return len({documents[i] for i in output}) == len(output)\n"),
        _holds("    return not any(h in documents[i] for i in output for h in held_out)\n"),
        _holds("    bad = {h.strip().lower() for h in held_out}\n    return not any(x.strip().lower() in bad for i in output for x in documents[i].split(chr(10)))\n"),
        _holds("    bad = {h.strip().lower() for h in held_out}\n    clean = {d for d in documents if not any(x.strip().lower() in bad for x in d.split(chr(10)))}\n    return {documents[i] for i in output} == clean\n"),
        _holds("    bad = {h.strip().lower() for h in held_out}\n    clean = {d for d in documents if not any(x.strip().lower() in bad for x in d.split(chr(10)))}\n    return len(output) == len(clean)\n"),
        _holds("    bad = {h.strip().lower() for h in held_out}\n    mine = []\n    for i, d in enumerate(documents):\n        if d not in documents[:i] and not any(x.strip().lower() in bad for x in d.split(chr(10))):\n            mine.append(i)\n    return output == mine\n"),
        _holds("    bad = {h.strip().lower() for h in held_out}\n    clean = {d.lower() for d in documents if not any(x.strip().lower() in bad for x in d.split(chr(10)))}\n    return len(output) == len(clean) and {documents[i].lower() for i in output} == clean\n"),
        "def examples():\n    return []\n\n\ndef holds(inputs, output):\n    return True\n",
        "def examples():\n    return [(['a'], [])] * 25\n\n\ndef holds(inputs, output):\n    return True\n",
    ],
}  # fmt: skip

REFUSED = {
    "lab20.q1": [
        "def make_tokenizer(texts, size, special):\n    from llmlib.text import BPETokenizer\n    return BPETokenizer.train(texts, size, special_tokens=special)\n",
    ],
    "lab20.q3": [
        "def choose(compared, asked, offered):\n    from llmlib.data import SupportDesk\n    return [0 for _ in asked]\n",
    ],
}
