"""Lab 02: other right answers, each written its own way, and wrong ones that have no message of their own."""

RIGHT = {
    "lab02.q1": [
        "def character_starts(data):\n    return [i for i, b in enumerate(data) if not 128 <= b < 192]",
        "def character_starts(data):\n    return [i for i in range(len(data)) if data[i] >> 6 != 2]",
        "def character_starts(data):\n    return [i for i, b in enumerate(data) if format(b, '08b')[:2] != '10']",
        """
def character_starts(data):
    starts, at = [], 0
    for character in data.decode():
        starts.append(at)
        at += len(character.encode())
    return starts
""",
        """
def character_starts(data):
    at, starts = 0, []
    while at < len(data):
        starts.append(at)
        first = data[at]
        at += 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    return tuple(starts)
""",
        "def character_starts(data):\n    return [m.start() for m in re.finditer(rb'[^\\x80-\\xbf]', data)]",
    ],
    "lab02.q2": [
        """
def count_pairs(words):
    counts = {}
    for word, n in words.items():
        for i in range(len(word) - 1):
            key = (word[i], word[i + 1])
            counts[key] = counts.get(key, 0) + n
    return counts
""",
        """
def count_pairs(words):
    total = Counter()
    for word, n in words.items():
        total += Counter({pair: n * k for pair, k in Counter(zip(word, word[1:])).items()})
    return total
""",
        "def count_pairs(words):\n    return Counter(pair for word, n in words.items() for _ in range(n) for pair in zip(word[:-1], word[1:]))",
        """
def count_pairs(words):
    pairs = {pair for word in words for pair in pairwise(word)}
    return {pair: sum(n * [*pairwise(word)].count(pair) for word, n in words.items()) for pair in pairs}
""",
        """
def count_pairs(words):
    counts = {}
    for word, n in words.items():
        left = None
        for right in word:
            if left is not None:
                counts.setdefault((left, right), 0)
                counts[left, right] += n
            left = right
    return counts
""",
    ],
    "lab02.q3": [
        """
def merge_pair(tokens, pair):
    if len(tokens) < 2:
        return list(tokens)
    if tuple(tokens[:2]) == tuple(pair):
        return [b"".join(pair), *merge_pair(tokens[2:], pair)]
    return [tokens[0], *merge_pair(tokens[1:], pair)]
""",
        """
def merge_pair(tokens, pair):
    tokens, i = list(tokens), 0
    while i < len(tokens) - 1:
        if tokens[i] == pair[0] and tokens[i + 1] == pair[1]:
            tokens[i : i + 2] = [pair[0] + pair[1]]
        i += 1
    return tokens
""",
        """
def merge_pair(tokens, pair):
    out, skip = [], False
    for left, right in zip(tokens, [*tokens[1:], None]):
        if skip:
            skip = False
        elif (left, right) == pair:
            out.append(left + right)
            skip = True
        else:
            out.append(left)
    return out
""",
        """
def merge_pair(tokens, pair):
    rest, out = iter(range(len(tokens))), []
    for i in rest:
        if tokens[i : i + 2] == list(pair):
            out += [tokens[i] + tokens[i + 1]]
            next(rest)
        else:
            out += [tokens[i]]
    return tuple(out)
""",
        """
def merge_pair(tokens, pair):
    tokens = tokens[::-1]
    out = []
    while tokens:
        first = tokens.pop()
        if tokens and first == pair[0] and tokens[-1] == pair[1]:
            first += tokens.pop()
        out.append(first)
    return out
""",
    ],
    "lab02.q4": [
        """
def train_bpe(text, n_merges):
    words = Counter(split_words(text))
    cut = {w: [bytes([b]) for b in w.encode()] for w in words}
    merges = []
    for _ in range(n_merges):
        counts = Counter()
        for w, n in words.items():
            for pair in zip(cut[w], cut[w][1:]):
                counts[pair] += n
        if not counts:
            return merges
        most = max(counts.values())
        best = max(pair for pair, n in counts.items() if n == most)
        merges.append(best)
        cut = {w: merge_pair(tokens, best) for w, tokens in cut.items()}
    return merges
""",
        """
def train_bpe(text, n_merges):
    words = Counter()
    for w in split_words(text):
        words[tuple(w.encode()[i : i + 1] for i in range(len(w.encode())))] += 1
    merges = []
    while n_merges > len(merges) and count_pairs(words):
        (best, _) = sorted(count_pairs(words).items(), key=lambda item: (item[1], item[0]))[-1]
        again = Counter()
        for w, n in words.items():
            again[tuple(merge_pair(list(w), best))] += n
        words = again
        merges.append(list(best))
    return merges
""",
        """
def train_bpe(text, n_merges):
    def go(words, left):
        counts = count_pairs(words)
        if left == 0 or not counts:
            return []
        best = max(counts.items(), key=lambda item: item[::-1])[0]
        return [best, *go({tuple(merge_pair(list(w), best)): n for w, n in words.items()}, left - 1)]
    return go(Counter(tuple(bytes([b]) for b in w.encode()) for w in split_words(text)), n_merges)
""",
        """
def train_bpe(text, n_merges):
    words = [[bytes([b]) for b in w.encode()] for w in split_words(text)]
    merges = []
    for _ in range(n_merges):
        counts = Counter(pair for w in words for pair in pairwise(w))
        if len(counts) == 0:
            break
        best = max(counts, key=lambda p: (counts[p],) + p)
        words = [merge_pair(w, best) if best in pairwise(w) else w for w in words]
        merges += [best]
    return tuple(merges)
""",
    ],
    "lab02.q5": [
        """
def encode_word(word, ranks):
    tokens = [word[i : i + 1] for i in range(len(word))]
    while len(tokens) > 1:
        best = min(pairwise(tokens), key=lambda p: ranks.get(p[0] + p[1], float("inf")))
        if best[0] + best[1] not in ranks:
            break
        tokens = merge_pair(tokens, best)
    return tokens
""",
        """
def encode_word(word, ranks):
    tokens = [bytes([b]) for b in word]
    while True:
        options = [(ranks[a + b], i) for i, (a, b) in enumerate(zip(tokens, tokens[1:])) if a + b in ranks]
        if not options:
            return tokens
        _, i = min(options)
        tokens = tokens[:i] + [tokens[i] + tokens[i + 1]] + tokens[i + 2 :]
""",
        """
def encode_word(word, ranks):
    def go(tokens):
        unions = [a + b for a, b in pairwise(tokens) if a + b in ranks]
        if not unions:
            return tokens
        lowest = min(unions, key=ranks.get)
        pair = next((a, b) for a, b in pairwise(tokens) if a + b == lowest)
        return go(merge_pair(tokens, pair))
    return tuple(go([bytes([b]) for b in word]))
""",
        """
def encode_word(word, ranks):
    tokens = [bytes([b]) for b in word]
    for token in sorted(ranks, key=ranks.get):
        again = len(token) > 1
        while again:
            again = False
            for i in range(len(tokens) - 1):
                if tokens[i] + tokens[i + 1] == token:
                    tokens[i : i + 2] = [token]
                    again = True
                    break
    return tokens
""",
    ],
    "lab02.q7": [
        """
def encode(text, ranks, special_tokens, allowed):
    ids, plain, i = [], "", 0

    def flush(plain):
        return [ranks[t] for w in split_words(plain) for t in encode_word(w.encode(), ranks)]

    while i < len(text):
        name = next((n for n in allowed if text.startswith(n, i)), None)
        if name is None:
            plain += text[i]
            i += 1
        else:
            ids += flush(plain) + [special_tokens[name]]
            plain, i = "", i + len(name)
    return ids + flush(plain)
""",
        """
def encode(text, ranks, special_tokens, allowed):
    for name in allowed:
        if name in text:
            before, after = text.split(name, 1)
            return encode(before, ranks, special_tokens, allowed) + [special_tokens[name]] + encode(
                after, ranks, special_tokens, allowed)
    return [ranks[t] for w in split_words(text) for t in encode_word(w.encode("utf-8"), ranks)]
""",
        """
def encode(text, ranks, special_tokens, allowed):
    parts = [text]
    for name in allowed:
        cut = []
        for part in parts:
            if part in allowed:
                cut.append(part)
            else:
                pieces = part.split(name)
                for k, piece in enumerate(pieces):
                    cut += ([name] if k else []) + [piece]
        parts = cut
    out = []
    for part in parts:
        if part in set(allowed):
            out.append(special_tokens[part])
        else:
            for w in split_words(part):
                out.extend(ranks[t] for t in encode_word(w.encode(), ranks))
    return tuple(out)
""",
        """
def encode(text, ranks, special_tokens, allowed):
    ids, end = [], 0
    found = re.finditer("|".join(map(re.escape, allowed)), text) if allowed else []
    for match in [*found, None]:
        plain = text[end : match.start() if match else len(text)]
        ids += [ranks[t] for w in split_words(plain) for t in encode_word(w.encode(), ranks)]
        if match:
            ids.append(special_tokens[match.group()])
            end = match.end()
    return ids
""",
    ],
    "lab02.q6": [
        """
def examples():
    return [(t,) for t in ([b"a b", b" c"], [b"\\xf0", b"\\x9f", b"\\x98", b"\\x80"], [b"\\xc3"], [b"a", b"\\xff", b"b"],
                           ["é".encode()[:1], "é".encode()[1:] + b" x"], [b"one ", b"two "], [b"x", b"\\xe4\\xb8"])]


def holds(inputs, output):
    tokens = inputs[0]
    good = len(output) == len(tokens)
    for i in range(1, len(output)):
        good = good and output[i][: len(output[i - 1])] == output[i - 1]
    return good and output[-1] == b"".join(tokens).decode("utf-8", "replace")
""",
        """
def examples():
    return [([b"a", b"b ", b"c "],), ([b"\\xc3", b"\\xa9"],), ([b"ok", b"\\xf0\\x9f"],), ([b"\\x80", b"z"],), ([b"\\xe4", b"\\xb8", b"\\xad"],)]


def holds(inputs, output):
    whole = bytes().join(*inputs).decode(errors="replace")
    assert len(output) == len(*inputs) and output[-1] == whole
    shown = ""
    for text in output:
        assert text.startswith(shown)
        shown = text
    return 1 == 1
""",
    ],
}

WRONG = {
    "lab02.q1": [
        "def character_starts(data):\n    return [i + 1 for i, b in enumerate(data) if b & 0xC0 != 0x80]",
        "def character_starts(data):\n    return [i for i, b in enumerate(data) if b & 0x80 == 0 or b & 0x40]  [:-1]",
        "def character_starts(data):\n    return [b for b in data if b & 0xC0 != 0x80]",
        "def character_starts(data):\n    return [i for i, b in enumerate(data) if b & 0xC0 == 0x80]",
    ],
    "lab02.q2": [
        "def count_pairs(words):\n    return Counter((w[0], w[-1]) for w in words)",
        "def count_pairs(words):\n    c = Counter()\n    for w, n in words.items():\n        for p in pairwise(w):\n            c[p] = n\n    return c",
        "def count_pairs(words):\n    c = Counter()\n    tokens = [t for w, n in words.items() for t in w * n]\n    return Counter(pairwise(tokens))",
        "def count_pairs(words):\n    c = Counter()\n    for w, n in words.items():\n        for a, b in pairwise(w):\n            c[a + b] += n\n    return c",
    ],
    "lab02.q3": [
        "def merge_pair(tokens, pair):\n    return b'|'.join(tokens).replace(b'|'.join(pair), b''.join(pair)).split(b'|')",
        "def merge_pair(tokens, pair):\n    out = list(tokens)\n    for i in range(len(out) - 1):\n        if (out[i], out[i + 1]) == pair:\n            out[i] = out[i] + out[i + 1]\n    return out",
        "def merge_pair(tokens, pair):\n    return [t for t in tokens if t not in pair] + [pair[0] + pair[1]]",
    ],
    "lab02.q4": [
        "def train_bpe(text, n_merges):\n    return sorted(count_pairs(Counter(tuple(bytes([b]) for b in w.encode()) for w in split_words(text))))[:n_merges]",
        "def train_bpe(text, n_merges):\n    words = Counter(tuple(bytes([b]) for b in w.encode()) for w in text.split())\n    merges = []\n    while len(merges) < n_merges and (c := count_pairs(words)):\n        merges.append(max(c, key=lambda p: (c[p], p)))\n        words = {tuple(merge_pair(list(w), merges[-1])): n for w, n in words.items()}\n    return merges",
        "def train_bpe(text, n_merges):\n    words = Counter(tuple(bytes([b]) for b in w.encode()) for w in split_words(text.lower()))\n    merges = []\n    while len(merges) < n_merges + 1 and (c := count_pairs(words)):\n        merges.append(max(c, key=lambda p: (c[p], p)))\n        words = {tuple(merge_pair(list(w), merges[-1])): n for w, n in words.items()}\n    return merges",
    ],
    "lab02.q5": [
        "def encode_word(word, ranks):\n    return [word] if word in ranks else [bytes([b]) for b in word]",
        "def encode_word(word, ranks):\n    t = [bytes([b]) for b in word]\n    while k := [p for p in pairwise(t) if p[0] + p[1] in ranks]:\n        t = merge_pair(t, max(k, key=lambda p: len(p[0] + p[1])))\n    return t",
        "def encode_word(word, ranks):\n    t = [bytes([b]) for b in word]\n    while k := [p for p in pairwise(t) if p[0] + p[1] in ranks]:\n        t = merge_pair(t, min(k, key=lambda p: ranks[p[0] + p[1]]))\n    return [ranks[x] for x in t]",
    ],
    "lab02.q7": [
        "def encode(text, ranks, special_tokens, allowed):\n    return [ranks[t] for w in split_words(text) for t in encode_word(w.encode(), ranks)] + [special_tokens[n] for n in allowed if n in text]",
        "def encode(text, ranks, special_tokens, allowed):\n    ids = []\n    for w in split_words(text):\n        ids += [special_tokens[w.strip()]] if w.strip() in allowed else [ranks[t] for t in encode_word(w.encode(), ranks)]\n    return ids",
        "def encode(text, ranks, special_tokens, allowed):\n    if any(n in text for n in special_tokens if n not in allowed):\n        raise ValueError('not allowed')\n    return [ranks[t] for t in encode_word(text.encode(), ranks)]",
    ],
    "lab02.q6": [
        "def examples():\n    return [([b'a', b'b'],), ([b'\\xc3', b'\\xa9'],)]\n\n\ndef holds(inputs, output):\n    return output[-1] == b''.join(inputs[0]).decode(errors='replace')",
        "def examples():\n    return [([b'a', b'b'],), ([b'\\xc3', b'\\xa9 '],), ([b'\\xff'],)]\n\n\ndef holds(inputs, output):\n    return '\\ufffd' not in ''.join(output)",
        "def examples():\n    return []\n\n\ndef holds(inputs, output):\n    return len(output) == len(inputs[0])",
    ],
}
