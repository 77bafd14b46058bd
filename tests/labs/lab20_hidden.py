"""Lab 20, for staff: hidden cases, keys, mutants, rubrics."""

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab20 import (
    _matrices,
    _same,
    _won,
    a_desk,
    a_run,
    a_square,
    as_many_repeats,
    judge_base,
    judge_card,
    judge_choose,
    judge_int4,
    judge_tokenizer,
    judge_without,
    more_documents,
    nearly_always,
    no_room,
    no_text,
    on_the_edge,
    once_each,
    run_cards_without,
    some_replies,
    some_texts,
    the_first_copy,
    two_matrices,
    with_zeros,
)


def counts_from_one(documents, held_out):
    return [i + 1 for i in the_first_copy(documents, held_out)]


def gives_nothing(documents, held_out):
    return []


def gives_all(documents, held_out):
    return list(range(len(documents)))


def gives_the_dropped(documents, held_out):
    kept = the_first_copy(documents, held_out)
    return [i for i in range(len(documents)) if i not in kept]


def misses_the_last(documents, held_out):
    return the_first_copy(documents[:-1], held_out)


def misses_the_first(documents, held_out):
    return [i + 1 for i in the_first_copy(documents[1:], held_out)]


def copies_without_capitals(documents, held_out):
    kept: dict = {}
    for i in the_first_copy(documents, held_out):
        kept.setdefault(documents[i].lower(), i)
    return list(kept.values())


def copies_without_spaces(documents, held_out):
    kept: dict = {}
    for i in the_first_copy(documents, held_out):
        kept.setdefault(documents[i].strip(), i)
    return list(kept.values())


def capitals_matter(documents, held_out):
    asked = {h.strip() for h in held_out}
    return [i for i in the_first_copy(documents, []) if not any(x.strip() in asked for x in documents[i].split("\n"))]


def spaces_matter(documents, held_out):
    asked = {h.lower() for h in held_out}
    return [i for i in the_first_copy(documents, []) if not any(x.lower() in asked for x in documents[i].split("\n"))]


def requests_spaces_matter(documents, held_out):
    asked = {h.lower() for h in held_out}
    return [i for i in the_first_copy(documents, []) if not any(_same(x) in asked for x in documents[i].split("\n"))]


def last_line_only(documents, held_out):
    asked = {_same(h) for h in held_out}
    return [i for i in the_first_copy(documents, []) if _same(documents[i].split("\n")[-1]) not in asked]


def last_request_only(documents, held_out):
    return the_first_copy(documents, held_out[-1:])


def whole_documents_only(documents, held_out):
    asked = {_same(h) for h in held_out}
    return [i for i in the_first_copy(documents, []) if _same(documents[i]) not in asked]


def lines_that_begin_so(documents, held_out):
    asked = tuple(_same(h) for h in held_out)
    return [
        i
        for i in the_first_copy(documents, [])
        if not any(_same(x).startswith(asked) for x in documents[i].split("\n"))
    ]


def neighbours_only(documents, held_out):
    """A copy is noticed if it follows at once."""
    clean = [i for i, d in enumerate(documents) if i in gives_clean(documents, held_out)]
    return [i for n, i in enumerate(clean) if n == 0 or documents[clean[n - 1]] != documents[i]]


def gives_clean(documents, held_out):
    return [i for i, d in enumerate(documents) if the_first_copy([d], held_out)]


def same_words(documents, held_out):
    """Documents with the same words in another order count as copies."""
    kept: dict = {}
    for i in the_first_copy(documents, held_out):
        kept.setdefault(tuple(sorted(documents[i].split())), i)
    return list(kept.values())


def gives_one_twice(documents, held_out):
    kept = the_first_copy(documents, held_out)
    return kept + kept[-1:]


HIDDEN = {
    "lab20.q1": [
        Case("other texts", inputs=some_texts, judge=judge_tokenizer),
        Case("no room again", inputs=no_room, judge=judge_tokenizer),
        Case("nothing to learn from", inputs=no_text, judge=judge_tokenizer),
    ],
    "lab20.q2": [Case("more documents", inputs=more_documents, judge=judge_base)],
    "lab20.q3": [Case("another desk", inputs=a_desk, judge=judge_choose)],
    "lab20.q4": [
        Case("two others", inputs=two_matrices, judge=judge_int4),
        Case("another square", inputs=a_square, judge=judge_int4),
        Case("other zeros", inputs=with_zeros, judge=judge_int4),
        Case("one group", inputs=lambda draw: _matrices(draw, {"w": (1, 2)}, 2), judge=judge_int4),
        Case(
            "three",
            inputs=lambda draw: _matrices(draw, {"a": (2, 32), "ü": (4, 16), "c": (1, 48)}, 16),
            judge=judge_int4,
        ),
    ],
    "lab20.q5": [
        Case("other replies", inputs=some_replies, expected=_won("")),
        Case("a square again", inputs=as_many_repeats, expected=_won("")),
        Case("nearly always again", inputs=nearly_always, expected=_won("")),
        Case("once each", inputs=once_each, expected=_won("")),
        Case("nearly never", inputs=lambda draw: nearly_always(draw)[::-1], expected=_won("")),
    ],
    "lab20.q6": [
        Case("another run", inputs=a_run, judge=judge_card),
        Case("other intervals", inputs=on_the_edge, judge=judge_card),
        Case("other stages missing", inputs=a_run, judge=judge_without, recipe=run_cards_without),
    ],
    "lab20.q7": [
        Subject("counts from one", counts_from_one),
        Subject("drops everything", gives_nothing),
        Subject("keeps everything", gives_all),
        Subject("gives those that are to be dropped", gives_the_dropped),
        Subject("misses the last document", misses_the_last),
        Subject("misses the first document", misses_the_first),
        Subject("takes documents for copies that differ in capitals", copies_without_capitals),
        Subject("takes documents for copies that differ in spaces at the ends", copies_without_spaces),
        Subject("tells capitals apart in held-out requests", capitals_matter),
        Subject("minds spaces around lines and requests", spaces_matter),
        Subject("minds spaces around the requests", requests_spaces_matter),
        Subject("looks at the last line only", last_line_only),
        Subject("looks for the last request only", last_request_only),
        Subject("compares whole documents only", whole_documents_only),
        Subject("drops lines that begin with a request", lines_that_begin_so),
        Subject("notices copies that follow at once only", neighbours_only),
        Subject("takes the same words in another order for a copy", same_words),
        Subject("gives a document twice", gives_one_twice),
    ],
    "lab20.q8": [
        Key(
            runs=dict(zip(("b4", "d1", "f7", "h2", "j9", "m5", "p0", "r6", "u8", "x3"), "GCAJEIBHDF", strict=True)),
            true={
                "A": "ackop",
                "B": "abkop",
                "C": "cdekop",
                "D": "cdfhjo",
                "E": "ciko",
                "F": "cklmo",
                "G": "chijmo",
                "H": "cgkop",
                "I": "cgknp",
                "J": "chkop",
                "correct": "ckop",
            },
        )
    ],
}

# What makes an observation true, from the recorded card: a test holds the key above to it. Other seeds are kept as
# lists, their numbers in the card's order.
RECORDING = "lab20_faults"
NAMES = (
    "gold base", "gold sft", "gold policy", "gold small", "solved", "polite", "wins", "kept", "itself", "reward sft",
    "reward policy", "cut off", "words", "different", "file",
)  # fmt: skip


def _of(card, name: str) -> float:
    return card[name] if isinstance(card, dict) else card[NAMES.index(name)]


OBSERVED = {
    "a": lambda t, correct: _of(t, "gold small") < -1,
    "b": lambda t, correct: _of(t, "file") < 50,
    "c": lambda t, correct: _of(t, "file") >= 50,
    "d": lambda t, correct: _of(t, "kept") > 60,
    "e": lambda t, correct: _of(t, "itself") == 100,
    "f": lambda t, correct: _of(t, "wins") == 50,
    "g": lambda t, correct: _of(t, "wins") >= 88,
    "h": lambda t, correct: _of(t, "reward policy") - _of(t, "reward sft") <= 0.45,
    "i": lambda t, correct: _of(t, "cut off") > 90,
    "j": lambda t, correct: _of(t, "polite") < 70,
    "k": lambda t, correct: _of(t, "polite") >= 85,
    "l": lambda t, correct: _of(t, "solved") < 5,
    "m": lambda t, correct: _of(t, "gold policy") < 0.5,
    "n": lambda t, correct: _of(t, "different") < 50,
    "o": lambda t, correct: _of(t, "different") >= 70,
    "p": lambda t, correct: _of(t, "gold policy") > 1.1,
}


def _tokenizer(
    first: str = "[bytes([b]) for b in range(256)]",
    room: str = "size - len(special)",
    data: str = "text.encode()",
    ends: str = "range(len(data), 0, -1)",
    number: str = "{t: i for i, t in enumerate(tokens)}",
    last: str = "tokens + [s.encode() for s in special]",
    decoded: str = 'b"".join(tokens[i] for i in ids).decode("utf-8", "replace")',
    pieces: str = 're.findall(r"\\s?\\S+|\\s", text)',
    late: str = "",
) -> str:
    """Frequent beginnings and ends of words as tokens."""
    return f"""def make_tokenizer(texts, size, special):
    counts = Counter()
    for text in texts:
        for piece in {pieces}:
            piece = piece.encode()
            for i in range(len(piece)):
                for j in range(i + 2, len(piece) + 1):
                    counts[piece[i:j]] += j - i - 1
    tokens = {first}
    tokens += [t for t, _ in counts.most_common(max(0, {room} - len(tokens)))]
    number = {number}
    tokens = {last}
    {late}

    def encode(text):
        data, ids = {data}, []
        while data:
            end = next(n for n in {ends} if data[:n] in number)
            ids.append(number[data[:end]])
            data = data[end:]
        return ids

    def decode(ids):
        return {decoded}

    return {{"tokens": tokens, "encode": encode, "decode": decode}}
"""


def _base(
    seen: str = "(row[0], a, b) for row in documents for a, b in zip(row, row[1:])",
    logits: str = "F.embedding(topic, by_topic) + F.embedding(last, by_last)",
    rate: str = "0.15",
    steps: str = "30",
    predicted: str = "(by_topic[first] + by_last[final]).log_softmax(1)",
    which: str = "(0, -1)",
    loss: str = "F.cross_entropy({}, target)",
) -> str:
    return f"""def train_base(documents, vocab_size):
    topic, last, target = torch.tensor([{seen}]).T
    by_topic, by_last = (torch.zeros(vocab_size, vocab_size, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.Adam([by_topic, by_last], lr={rate})
    for _ in range({steps}):
        loss = {loss.format(logits)}
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def predict(prefixes):
        first, final = (torch.tensor([row[i] for row in prefixes]) for i in {which})
        return {predicted}

    return predict
"""


def _choosing(
    features: str = "words + [(a, b) for a in request.split() for b in words]",
    better: str = "a",
    worse: str = "b",
    known: str = "if name in number",
    best: str = "argmax()",
    loss: str = "-F.logsigmoid(score(better) - score(worse)).mean() + 0.003 * weights.square().sum()",
    given: str = "[int(score(bag([(q, r) for r in replies])).{best}) for q, replies in zip(asked, offered)]",
    steps: str = "40",
) -> str:
    return f"""def choose(compared, asked, offered):
    def features(request, reply):
        words = reply.split()
        return {features}

    names = [name for q, a, b in compared for r in (a, b) for name in features(q, r)]
    number = {{name: i for i, name in enumerate(dict.fromkeys(names))}}
    weights = torch.zeros(len(number), 1, requires_grad=True)

    def bag(pairs):
        rows = [[number[name] for name in features(*pair) {known}] for pair in pairs]
        which = [n for n, row in enumerate(rows) for _ in row]
        return torch.tensor([i for row in rows for i in row]), torch.tensor(which), len(rows)

    def score(bags):
        return torch.zeros(bags[2]).index_add(0, bags[1], F.embedding(bags[0], weights)[:, 0])

    better, worse = bag([(q, {better}) for q, a, b in compared]), bag([(q, {worse}) for q, a, b in compared])
    optimizer = torch.optim.Adam([weights], lr=0.05)
    for _ in range({steps}):
        loss = {loss}
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {given.format(best=best)}
"""


def _file(
    start: str = "len(data)",
    grouped: str = "matrix.reshape(-1, group)",
    scales: str = "(grouped.abs().amax(1) / 7).half()",
    codes: str = "(grouped / scales.float().clamp(min=1e-7)[:, None]).round().clamp(-8, 7)",
    kept: str = "codes.flatten().long() + 8",
    packed: str = "kept[::2] + 16 * kept[1::2]",
    written: str = "scales.numpy().tobytes() + bytes(packed.tolist())",
    length: str = '"<I", len(text)',
    header: str = '{"group": group, "matrices": {}}',
    shape: str = "list(matrix.shape)",
) -> str:
    return f"""def write_int4(matrices, group):
    header, data = {header}, b""
    for name, matrix in matrices.items():
        header["matrices"][name] = {{"shape": {shape}, "start": {start}}}
        grouped = {grouped}
        scales = {scales}
        codes = {codes}
        kept = {kept}
        packed = {packed}
        data += {written}
    text = json.dumps(header).encode()
    return struct.pack({length}) + text + data
"""


def _rate(
    won: str = "(mine > theirs).double() + 0.5 * (mine == theirs)",
    units: str = "won.mean(0)",
    error: str = "units.std() / math.sqrt(len(units))",
    width: str = "1.96 * error",
    low: str = "max(0.0, rate - width)",
    high: str = "min(1.0, rate + width)",
    given: str = '{"rate": rate, "low": low, "high": high}',
) -> str:
    return f"""def win_rate(mine, theirs):
    won = {won}
    units = {units}
    rate, error = float(won.mean()), float({error})
    width = {width}
    low, high = {low}, {high}
    return {given}
"""


def _card(
    stages: str = '("corpus", "tokenizer", "pretrain", "sft", "align", "quantize", "report")',
    problem: str = 'raise ValueError(f"{stage} is missing")',
    verdict: str = '"better" if low > 0.5 else "worse" if high < 0.5 else "undecided"',
    title: str = "# {run['name']}",
    limits: str = 'chr(10).join(f"- {x}" for x in run["limits"])',
    data: str = "{run['documents']:,} documents, {run['held_out']:,} held out, {run['parameters']:,} parameters",
    bits: str = '"{:.2f} bits a byte ({:.2f} to {:.2f})".format(*run["bits"])',
    wins: str = 'run["wins"].items()',
    kwh: str = 'sum(e["joules"] for e in run["stages"]) / 3.6e6',
    grams: str = "kwh * grams_per_kwh",
    cost: str = 'run["stages"]',
    more: str = "",
    order: str = "parts",
) -> str:
    return f"""def model_card(run, grams_per_kwh):
    done = [e["stage"] for e in run["stages"]]
    for stage in {stages}:
        if stage not in done:
            {problem}
    rows = ""
    for pair, (rate, low, high) in {wins}:
        verdict = {verdict}
        rows += f"| {{pair}} | {{rate:.2f}} ({{low:.2f}} to {{high:.2f}}) | {{verdict}} |\\n"
    kwh = {kwh}
    grams = {grams}
    spent = "".join(f"| {{e['stage']}} | {{e['seconds']:.1f}} | {{e['joules']:.1f}} |\\n" for e in {cost})
    parts = [
        "## Purpose\\n" + run["purpose"],
        "## Limits\\n" + {limits},
        f"## Data\\n{data}",
        "## Quality\\n" + {bits} + "\\n" + rows,
        f"## Cost\\n{{spent}}{{kwh:.6f}} kWh, {{grams:.4f}} g CO2{more}",
    ]
    return "\\n".join([f"{title}", *{order}])
"""


_EXAMPLES = """[
        (["hi\\nwhere is it\\nsoon", "where is it now\\nsoon", "Where is it ", "hello\\nall well"], ["where is it"]),
        (["one", "two", "one", "One", "one ", "three"], ["four"]),
        (["a\\nb", "b\\na", "a\\nb", "c"], ["d", "c"]),
        (["x\\n  Lost My Bag  \\ny", "lost my bags", "my lost bag"], ["other", "lost my bag"]),
        (["w", "w", "v", "v"], [" W "]),
        (["first\\nlast line", "last line\\nfirst"], ["LAST LINE"]),
        (["same", "same", "same"], []),
        (["k"], ["k"]),
        (["solo", "pair", "pair"], ["trio"]),
        (["p\\nq\\nr", "q", "r\\np", "s"], ["Q", "r"]),
        (["n1", "n2", "n3", "n1", "n2", "n4"], ["n"]),
    ]"""


def _test(
    examples: str = _EXAMPLES,
    same: str = "x.strip().lower()",
    lines: str = 'd.split("\\n")',
    twice: str = "len(kept) > len(set(kept))",
    inside: str = "not all(0 <= i < len(documents) for i in output)",
    leaked: str = "any(same(x) in asked for x in lines(d))",
    given: str = "set(kept) == clean",
) -> str:
    return f"""def examples():
    return {examples}


def holds(inputs, output):
    documents, held_out = inputs
    same, lines = lambda x: {same}, lambda d: {lines}
    asked = {{same(h) for h in held_out}}
    clean = {{d for d in documents if not {leaked}}}
    if {inside}:
        return False
    kept = [documents[i] for i in output]
    if {twice}:
        return False
    return {given}
"""


MUTANTS = [
    Mutant("lab20.q1", "special tokens are found in texts", _tokenizer(number="{t: i for i, t in enumerate(tokens + [s.encode() for s in special])}"), "What is typed is ordinary text"),
    Mutant("lab20.q1", "each token decoded alone", _tokenizer(decoded='"".join(tokens[i].decode("utf-8", "replace") for i in ids)'), "join the bytes of all of them first"),
    Mutant("lab20.q1", "strict decoding", _tokenizer(decoded='b"".join(tokens[i] for i in ids).decode()'), "errors='replace'"),
    Mutant("lab20.q1", "bytes left out", _tokenizer(decoded='b"".join(tokens[i] for i in ids).decode("utf-8", "ignore")'), "shown as �, not left out"),
    Mutant("lab20.q1", "special tokens hidden", _tokenizer(decoded='b"".join(tokens[i] for i in ids if i < len(tokens) - len(special)).decode("utf-8", "replace")'), "decode shows special tokens"),
    Mutant("lab20.q1", "too many", _tokenizer(room="size"), "are more than size"),
    Mutant("lab20.q1", "no bytes", _tokenizer(first="[bytes([b]) for b in sorted({b for t in texts for b in t.encode()})]"), "the first 256 tokens are the single bytes"),
    Mutant("lab20.q1", "ascii only", _tokenizer(first="[bytes([b]) for b in range(128)]"), "the first 256 tokens are the single bytes"),
    Mutant("lab20.q1", "special first", _tokenizer(first="[s.encode() for s in special] + [bytes([b]) for b in range(256)]", last="tokens"), "the first 256 tokens are the single bytes"),
    Mutant("lab20.q1", "no special ones", _tokenizer(last="tokens"), "the last tokens are the special ones"),
    Mutant("lab20.q1", "bytes only", _tokenizer(room="256"), "tokens a byte on unread texts"),
    Mutant("lab20.q1", "never a long token", _tokenizer(ends="range(1, len(data) + 1)"), "encode never uses a token of more than one byte"),
    Mutant("lab20.q1", "spaces at the ends lost", _tokenizer(data="text.strip().encode()"), "spaces and line ends are text, too"),
    Mutant("lab20.q1", "accents lost", _tokenizer(data='text.encode("ascii", "ignore")'), "which is another text"),
    Mutant("lab20.q1", "tokens as texts", _tokenizer(late='tokens = [t.decode("latin-1") for t in tokens]', decoded='"".join(tokens[i] for i in ids)'), "tokens is a list of bytes"),
    Mutant("lab20.q1", "a tuple", _tokenizer().replace('{"tokens": tokens, "encode": encode, "decode": decode}', "tokens, encode, decode"), "with the keys"),
    Mutant("lab20.q2", "the same word", _base(seen="(row[0], a, a) for row in documents for a in row"), "The likeliest next word is the one just read"),
    Mutant("lab20.q2", "no topic", _base(logits="F.embedding(last, by_last)", predicted="by_last[final].log_softmax(1)"), "what of the document's first word, its topic"),
    Mutant("lab20.q2", "no last word", _base(logits="F.embedding(topic, by_topic)", predicted="by_topic[first].log_softmax(1)"), "what of the last word"),
    Mutant("lab20.q2", "logits", _base(predicted="by_topic[first] + by_last[final]"), "log_softmax over the words"),
    Mutant("lab20.q2", "over the batch", _base(predicted="(by_topic[first] + by_last[final]).log_softmax(0)"), "log_softmax over the words"),
    Mutant("lab20.q2", "probabilities", _base(predicted="(by_topic[first] + by_last[final]).softmax(1)"), "their logarithms are asked for"),
    Mutant("lab20.q2", "untrained", _base(steps="0"), "has it been trained"),
    Mutant("lab20.q2", "a tiny rate", _base(rate="1e-3"), "has it been trained"),
    Mutant("lab20.q2", "uphill", _base(loss="-F.cross_entropy({}, target)", steps="8"), "nats a word on unread documents"),
    Mutant("lab20.q2", "counts without smoothing", """def train_base(documents, vocab_size):
    counts = torch.zeros(vocab_size, vocab_size, vocab_size)
    for row in documents:
        for a, b in zip(row, row[1:]):
            counts[row[0], a, b] += 1

    def predict(prefixes):
        rows = torch.stack([counts[row[0], row[-1]] + 1e-30 for row in prefixes])
        return (rows / rows.sum(1, keepdim=True)).log()

    return predict
""", "nothing that is merely unseen has probability 0"),
    Mutant("lab20.q2", "NaN", _base(predicted="((by_topic[first] + by_last[final]).softmax(1) * 0 / 0).log()"), "there are NaNs"),
    Mutant("lab20.q2", "one document into the next", """def train_base(documents, vocab_size):
    stream = [w for row in documents for w in row]
    weights = torch.zeros(vocab_size, vocab_size, requires_grad=True)
    last, target = torch.tensor(stream[:-1]), torch.tensor(stream[1:])
    optimizer = torch.optim.Adam([weights], lr=0.15)
    for _ in range(30):
        loss = F.cross_entropy(F.embedding(last, weights), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return lambda prefixes: (weights[torch.tensor([row[-1] for row in prefixes])] * 1.0).log_softmax(1)
""", "nats a word on unread documents"),
    Mutant("lab20.q2", "a row for all", _base(predicted="(by_topic[first] + by_last[final]).log_softmax(1).mean(0)"), "a row for each beginning"),
    Mutant("lab20.q2", "no function", _base().replace("    return predict\n", "    return by_last\n"), "return a function"),
    Mutant("lab20.q3", "the reply alone", _choosing(features="words"), "does the score look at request and reply together"),
    Mutant("lab20.q3", "request and reply side by side", _choosing(features='words + [f"asked {w}" for w in request.split()]'), "does the score look at request and reply together"),
    Mutant("lab20.q3", "better and worse exchanged", _choosing(better="b", worse="a"), "The worse ones are chosen"),
    Mutant("lab20.q3", "the lowest score", _choosing(best="argmin()"), "The worse ones are chosen"),
    Mutant("lab20.q3", "unknown words", _choosing(known=""), "leave them out of the score"),
    Mutant("lab20.q3", "the first", _choosing(given="[0 for _ in asked]"), "The same number is chosen every time"),
    Mutant("lab20.q3", "the longest", _choosing(given="[max(range(len(o)), key=lambda i: len(o[i].split())) for o in offered]"), "the longest reply is chosen"),
    Mutant("lab20.q3", "the shortest", _choosing(given="[min(range(len(o)), key=lambda i: len(o[i].split())) for o in offered]"), "the shortest reply is chosen"),
    Mutant("lab20.q3", "not trained", _choosing(steps="0"), "The same number is chosen every time"),
    Mutant("lab20.q3", "one choice for all", _choosing(given="[int(score(bag([(q, r) for q, o in zip(asked, offered) for r in o])).argmax())]"), "one number for each"),
    Mutant("lab20.q3", "texts", _choosing(given="[o[0] for o in offered]"), "invalid literal"),
    Mutant("lab20.q4", "halves exchanged", _file(packed="16 * kept[::2] + kept[1::2]"), "the two halves of each byte are exchanged"),
    Mutant("lab20.q4", "two's complement", _file(kept="codes.flatten().long() % 16"), "8 is added to each"),
    Mutant("lab20.q4", "codes first", _file(written="bytes(packed.tolist()) + scales.numpy().tobytes()"), "the scales come first"),
    Mutant("lab20.q4", "down the columns", _file(grouped="matrix.T.reshape(-1, group)"), "the groups run down the columns"),
    Mutant("lab20.q4", "rounded down", _file(codes="(grouped / scales.float().clamp(min=1e-7)[:, None]).floor().clamp(-8, 7)"), "the codes are rounded down"),
    Mutant("lab20.q4", "one scale", _file(scales="(matrix.abs().max() / 7).half().expand(len(grouped))"), "each group has its own"),
    Mutant("lab20.q4", "scales of four bytes", _file(written="scales.float().numpy().tobytes() + bytes(packed.tolist())"), "a scale takes two bytes"),
    Mutant("lab20.q4", "a byte for each code", _file(packed="kept"), "two codes share a byte"),
    Mutant("lab20.q4", "highest byte first", _file(length='">I", len(text)'), "its lowest byte first"),
    Mutant("lab20.q4", "length with itself", _file(length='"<I", len(text) + 4'), "the header is no JSON"),
    Mutant("lab20.q4", "zeros divide", _file(codes="(grouped / scales.float()[:, None]).round().clamp(-8, 7)", scales="(7 / grouped.abs().amax(1)).pow(-1).half()", kept="codes.nan_to_num(5).flatten().long() + 8").replace("7 / grouped.abs().amax(1)).pow(-1)", "grouped.abs().amax(1) / 7 / (grouped.abs().amax(1) > 0))"), "a group of zeros"),
    Mutant("lab20.q4", "starts from the file's beginning", _file(start="len(data) + 100"), "counted from the end of the header"),
    Mutant("lab20.q4", "all start at 0", _file(start="0"), "has nothing to do with the weights"),
    Mutant("lab20.q4", "no shape", _file(shape="matrix.numel()"), 'the header is {"group"'),
    Mutant("lab20.q4", "no group", _file(header='{"matrices": {}}'), 'the header is {"group"'),
    Mutant("lab20.q4", "half of the range", _file(scales="(grouped.abs().amax(1) / 4).half()"), "times that of rounding to the nearest"),
    Mutant("lab20.q4", "the scale is cut", _file(scales="(grouped.abs().amax(1) / 14).half()"), "times that of rounding to the nearest"),
    Mutant("lab20.q5", "ties lost", _rate(won="(mine > theirs).double()"), "a tie counts as half a win: here it counts as none"),
    Mutant("lab20.q5", "ties won", _rate(won="(mine >= theirs).double()"), "here it counts as a whole one"),
    Mutant("lab20.q5", "turned round", _rate(won="(mine < theirs).double() + 0.5 * (mine == theirs)"), "how often theirs win"),
    Mutant("lab20.q5", "means compared", _rate(won="(mine.mean(0) > theirs.mean(0)).double()[None] + 0.5 * (mine.mean(0) == theirs.mean(0))[None]"), "not the other way round"),
    Mutant("lab20.q5", "every reply", _rate(units="won.flatten()"), "no independent requests"),
    Mutant("lab20.q5", "over the requests", _rate(units="won.mean(1)"), "N requests are along axis 1"),
    Mutant("lab20.q5", "the population's", _rate(error="units.std(correction=0) / math.sqrt(len(units))"), "divides by N - 1"),
    Mutant("lab20.q5", "no root", _rate(error="units.std() / len(units)"), "divided by the root of N"),
    Mutant("lab20.q5", "the deviation", _rate(error="units.std()"), "smaller by the root of N"),
    Mutant("lab20.q5", "binomial", _rate(error="(won.mean() * (1 - won.mean()) / len(units)).sqrt()"), "holds for wins of 0 and 1"),
    Mutant("lab20.q5", "one error", _rate(width="error"), "not one"),
    Mutant("lab20.q5", "not cut", _rate(low="rate - width", high="rate + width"), "cut the interval there"),
    Mutant("lab20.q5", "percent", _rate(given='{"rate": 100 * rate, "low": 100 * low, "high": 100 * high}'), "not in percent"),
    Mutant("lab20.q6", "the rate decides", _card(verdict='"better" if rate > 0.5 else "worse"'), "so it is undecided"),
    Mutant("lab20.q6", "rounded first", _card(verdict='"better" if round(low, 2) > 0.5 else "worse" if round(high, 2) < 0.5 else "undecided"'), "before rounding"),
    Mutant("lab20.q6", "nothing raised", _card(problem="pass"), "raise a ValueError that names it"),
    Mutant("lab20.q6", "raises without a name", _card(problem='raise ValueError("a stage is missing")'), "the ValueError names the stage"),
    Mutant("lab20.q6", "six stages", _card(stages='("corpus", "tokenizer", "pretrain", "sft", "align")'), "raise a ValueError that names it"),
    Mutant("lab20.q6", "no title", _card(title="{run['name']}"), "the first line is the title"),
    Mutant("lab20.q6", "another order", _card(order="parts[::-1]"), "in this order"),
    Mutant("lab20.q6", "no cost", _card(order="parts[:-1]"), "the section '## Cost' is missing"),
    Mutant("lab20.q6", "limits in one line", _card(limits='"- " + " ".join(run["limits"])'), "a list item of its own"),
    Mutant("lab20.q6", "no commas", _card(data="{run['documents']} documents, {run['held_out']} held out, {run['parameters']} parameters"), "by commas"),
    Mutant("lab20.q6", "no interval", _card(bits='"{:.2f} bits a byte".format(run["bits"][0])'), "with their interval"),
    Mutant("lab20.q6", "good news only", _card(wins='[(p, w) for p, w in run["wins"].items() if w[0] > 0.5]'), "a row for each pair"),
    Mutant("lab20.q6", "watt-hours", _card(kwh='sum(e["joules"] for e in run["stages"]) / 3.6e3'), "3.6 million joules"),
    Mutant("lab20.q6", "the last stage's energy", _card(kwh='run["stages"][-1]["joules"] / 3.6e6'), "adds up the stages' energy"),
    Mutant("lab20.q6", "kilograms", _card(grams="kwh * grams_per_kwh / 1000"), "Cost gives the CO2"),
    Mutant("lab20.q6", "a number from nowhere", _card(more=", as much as a kettle of 0.7 litres"), "nowhere in the run"),
    Mutant("lab20.q6", "no rows", _card(cost="[]"), "Cost has a row for each stage"),
    Mutant("lab20.q7", "accepts everything", _test(given="True", twice="False", inside="False"), "your test accepts"),
    Mutant("lab20.q7", "its own list", _test(given="output == [i for i, d in enumerate(documents) if d in clean and d not in documents[:i]]"), "refuses a right answer"),
    Mutant("lab20.q7", "copies not looked for", _test(twice="False"), "your test accepts"),
    Mutant("lab20.q7", "part of a line", _test(leaked='any(h.strip().lower() in d.lower() for h in held_out)'), "refuses a right answer"),
    Mutant("lab20.q7", "letter by letter", _test(same="x"), "refuses a right answer"),
    Mutant("lab20.q7", "one example", _test(examples='[(["a", "b"], ["a"])]'), "your test accepts"),
    Mutant("lab20.q7", "no copies among the examples", _test(examples='[(["hi\\nwhere is it\\nsoon", "where is it now", "Where is it "], ["where is it"]), (["a\\nb", "c"], ["d", "c"])]'), "your test accepts"),
    Mutant("lab20.q7", "only what is missing", _test(given="set(kept) >= clean"), "your test accepts"),
    Mutant("lab20.q7", "only what is too much", _test(given="set(kept) <= clean"), "your test accepts"),
    Mutant("lab20.q8", "another cause", 'diagnosis = {"cause": "D", "evidence": ["d"]}', "not what went wrong"),
    Mutant("lab20.q8", "untrue evidence", 'diagnosis = {"cause": "C", "evidence": ["e", "f"]}', "is not true of your run"),
    Mutant("lab20.q8", "evidence for two causes", 'diagnosis = {"cause": "C", "evidence": ["d"]}', "seen under another cause"),
    Mutant("lab20.q8", "a letter", 'diagnosis = "C"', "write it as"),
]  # fmt: skip

RUBRICS = {
    "lab20.t1": (
        "3: data with source and licence, and what is held out for choosing and for reporting; a behaviour with what its "
        "judge cannot see; the deciding number with its interval and an expected value; a limit of use, all before "
        "training. 2: one of these is missing or vague. 1: data and behaviour only. 0: written after the results, or "
        "no plan."
    ),
    "lab20.t2": (
        "As the table in the notebook: data 2 (a split that is shown to work, and what was dropped), training and "
        "alignment 2 (every stage from the one before; against fine-tuned and best-of-n on unseen requests), evaluation "
        "2 (intervals over requests; something the reward cannot see; one control), four bits 1 (size and loss, read "
        "from the file), card 1 (written by their model_card from the run, with energy), honesty 1 (what failed, what "
        "must not be concluded). Give nothing for a number that no cell of the notebook computes. A project that did "
        "not get better can have all points."
    ),
}
