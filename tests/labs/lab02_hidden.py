"""Lab 02, for staff: hidden cases, keys, mutants, rubrics."""

import codecs

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab02 import (
    _each,
    _joined_tie,
    a_run,
    a_text,
    a_text_in_words,
    an_ending,
    as_soon_as_possible,
    counted,
    encoded,
    ids_of,
    marked_text,
    merged,
    nothing_allowed,
    some_bytes,
    starts,
    ties_of_pairs,
    ties_only,
    tokens_and_pair,
    too_few,
    trained,
    whole_text,
    words_and_ranks,
)


def latin(tokens: list[bytes]) -> list[str]:
    """One character for each byte."""
    shown = [token.decode("latin-1") for token in tokens]
    return ["".join(shown[: i + 1]) for i in range(len(tokens))]


def new_text_only(tokens: list[bytes]) -> list[str]:
    """What each token adds, instead of all that is shown."""
    shown = as_soon_as_possible(tokens)
    return [shown[0], *(b[len(a) :] for a, b in zip(shown, shown[1:]))]


def stripped(tokens: list[bytes]) -> list[str]:
    """White space at the end is cut off, at the end too."""
    return [text.rstrip() for text in as_soon_as_possible(tokens)]


def two_bytes_only(tokens: list[bytes]) -> list[str]:
    """Waits for one more token only: characters spread over three tokens break."""
    shown, pending = [""], b""
    for token in tokens:
        data, waited = pending + token, bool(pending)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        text = decoder.decode(data)
        pending = decoder.getstate()[0]
        if waited and pending:
            text, pending = data.decode("utf-8", errors="replace"), b""
        shown.append(shown[-1] + text)
    shown[-1] += pending.decode("utf-8", errors="replace")
    return shown[1:]


def one_too_few(tokens: list[bytes]) -> list[str]:
    """Says nothing after the first of several tokens."""
    shown = as_soon_as_possible(tokens)
    return shown[1:] if len(shown) > 1 else shown


HIDDEN = {
    "lab02.q1": [
        Case("other characters", inputs=some_bytes, expected=starts),
        Case("no bytes", inputs=lambda draw: (b"",), expected=[]),
    ],
    "lab02.q2": [
        Case("other words", inputs=a_text_in_words, expected=counted),
        Case("words of one token", inputs=lambda draw: ({(b"a",): 3, (b"ab",): draw.integer(1, 5)},), expected={}),
    ],
    "lab02.q3": [
        Case("other tokens", inputs=tokens_and_pair, expected=merged),
        Case("other runs", inputs=a_run, expected=merged),
        Case("other endings", inputs=an_ending, expected=merged),
        Case("no tokens", inputs=lambda draw: ([], (b"a", b"b")), expected=[]),
    ],
    "lab02.q4": [
        Case("other texts", inputs=a_text, expected=trained),
        Case("other ties", inputs=ties_only, expected=trained),
        Case("other pairs that join alike", inputs=ties_of_pairs, expected=trained, separates=(_joined_tie,)),
        Case("another short text", inputs=too_few, expected=trained),
        Case("no merges", inputs=lambda draw: ("abab", 0), expected=[]),
    ],
    "lab02.q5": [
        Case("other vocabularies", inputs=words_and_ranks, expected=_each(encoded)),
        Case("a single byte, and none", inputs=lambda draw: ([b"a", b""], words_and_ranks(draw)[1]), expected=_each(encoded)),
    ],
    "lab02.q6": [
        Subject("shows one character for each byte", latin),
        Subject("shows what each token adds, not all that is there", new_text_only),
        Subject("cuts off white space at the end", stripped),
        Subject("breaks characters that are spread over three tokens", two_bytes_only),
        Subject("shows nothing for one of the tokens", one_too_few),
    ],
    "lab02.q7": [
        Case("other texts", inputs=marked_text, expected=ids_of),
        Case("nothing allowed", inputs=nothing_allowed, expected=ids_of),
        Case("no text", inputs=lambda draw: ("", *marked_text(draw)[1:]), expected=[]),
        Case("a name alone", inputs=lambda draw: ("<|end|>", *marked_text(draw)[1:3], ["<|end|>"]), expected=ids_of),
    ],
    "lab02.q8": [
        Key(
            runs=dict(zip(("a4", "b9", "d2", "e6", "f3", "g1", "h8", "k5", "m7", "n2", "p6", "r9", "s4", "t1", "v8", "w3"),
                          "CGBHEADFGCFAHDBE", strict=True)),
            true={"A": "dgjl", "B": "befgl", "C": "bdgl", "D": "fhjl", "E": "ckl", "F": "afj", "G": "ijl", "H": "ace",
                  "correct": "fjl"},
        )
    ],
}  # fmt: skip

# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab02_faults"
OBSERVED = {
    "a": lambda t, correct: not t["gives back"]["the sample"],
    "b": lambda t, correct: t["characters per token"]["a novel"] < 1.9,
    "c": lambda t, correct: not any(token.startswith(" ") for token in t["first"]),
    "d": lambda t, correct: not any(c.isupper() for token in t["longest"] for c in token),
    "e": lambda t, correct: t["never used"] >= 25,
    "f": lambda t, correct: t["first"][0] == " t",
    "g": lambda t, correct: t["characters per token"]["plays it learned from"] < 1.9,
    "h": lambda t, correct: t["places where a longer token would fit"] == 0,
    "i": lambda t, correct: any(c.isupper() for token in t["first"] for c in token),
    "j": lambda t, correct: max(map(len, t["first"])) >= 4,
    "k": lambda t, correct: any(" " in token[1:] for token in t["first"]),
    "l": lambda t, correct: all(t["gives back"].values()),
}


def _function(head: str, body: str) -> str:
    return f"def {head}:\n    " + "\n    ".join(body.strip().splitlines())


def _starts(expression: str) -> str:
    return _function("character_starts(data)", f"return {expression}")


def _counting(step: str) -> str:
    return _function(
        "count_pairs(words)", f"counts = Counter()\nfor word, frequency in words.items():\n    {step}\nreturn counts"
    )


def _merging(body: str) -> str:
    return _function("merge_pair(tokens, pair)", body)


def _training(
    words="split_words(text)",
    best="max(counts, key=lambda pair: (counts[pair], pair))",
    stop="    if not counts:\n        break",
    count="count_pairs(words)",
) -> str:
    body = f"words = Counter(tuple(bytes([b]) for b in word.encode()) for word in {words})\nmerges = []\n"
    body += f"while len(merges) < n_merges:\n    counts = {count}\n{stop}\n    best = {best}\n"
    body += "    words = {tuple(merge_pair(list(w), best)): f for w, f in words.items()}\n    merges.append(best)\n"
    body += "return merges"
    return _function("train_bpe(text, n_merges)", body)


def _encoding(best: str, ending: str = "") -> str:
    body = "tokens = [bytes([b]) for b in word]\nwhile True:\n"
    body += "    known = [p for p in pairwise(tokens) if p[0] + p[1] in ranks]\n"
    body += f"    if not known:\n        return tokens\n    tokens = merge_pair(tokens, {best}){ending}"
    return _function("encode_word(word, ranks)", body)


def _special(allowed: str, escape: str = "re.escape(name)", before: str = "pass") -> str:
    body = f"{before}\nrecognised = {allowed}\nnames = '|'.join({escape} for name in recognised)\nids = []\n"
    body += "for part in re.split(f'({names})', text) if names else [text]:\n"
    body += "    if part in recognised:\n        ids.append(special_tokens[part])\n"
    body += "    else:\n        words = [word.encode() for word in split_words(part or '')]\n"
    body += "        ids += [ranks[t] for word in words for t in encode_word(word, ranks)]\nreturn ids"
    return _function("encode(text, ranks, special_tokens, allowed)", body)


_OVERLAP = """
out, i = [], 0
while i < len(tokens):
    if tuple(tokens[i : i + 2]) == pair:
        out.append(tokens[i] + tokens[i + 1])
        i += 1 if tuple(tokens[i + 1 : i + 3]) == pair else 2
    else:
        out.append(tokens[i])
        i += 1
return out
"""

_FIRST = """
for i in range(len(tokens) - 1):
    if (tokens[i], tokens[i + 1]) == pair:
        return tokens[:i] + [pair[0] + pair[1]] + tokens[i + 2 :]
return list(tokens)
"""

_LAST_LOST = """
out, i = [], 0
while i < len(tokens) - 1:
    if (tokens[i], tokens[i + 1]) == pair:
        out.append(tokens[i] + tokens[i + 1])
        i += 2
    else:
        out.append(tokens[i])
        i += 1
return out
"""

_RIGHT = """
out, i = [], len(tokens) - 1
while i >= 0:
    if i and (tokens[i - 1], tokens[i]) == pair:
        out.insert(0, tokens[i - 1] + tokens[i])
        i -= 2
    else:
        out.insert(0, tokens[i])
        i -= 1
return out
"""

_LONGEST = """
tokens = []
while word:
    n = next(n for n in range(len(word), 0, -1) if word[:n] in ranks)
    tokens.append(word[:n])
    word = word[n:]
return tokens
"""

_ONCE = """
words = Counter(tuple(bytes([b]) for b in word.encode()) for word in split_words(text))
counts = count_pairs(words)
return sorted(counts, key=lambda pair: (counts[pair], pair), reverse=True)[:n_merges]
"""

_NO_OVERLAP = (
    "last = {}\n    for i, pair in enumerate(pairwise(word)):\n        if last.get(pair) != i - 1:\n"
    "            counts[pair] += frequency\n            last[pair] = i"
)

_JOINED = """
out, i = [], 0
while i < len(tokens):
    if i + 1 < len(tokens) and tokens[i] + tokens[i + 1] == pair[0] + pair[1]:
        out.append(tokens[i] + tokens[i + 1])
        i += 2
    else:
        out.append(tokens[i])
        i += 1
return out
"""

_END = """
out, i = [], 0
while i < len(tokens):
    if i + 2 < len(tokens) and (tokens[i], tokens[i + 1]) == pair:
        out.append(tokens[i] + tokens[i + 1])
        i += 2
    else:
        out.append(tokens[i])
        i += 1
return out
"""

_PAST = """
out, i = [], 0
while i < len(tokens):
    if (tokens[i], tokens[i + 1]) == pair:
        out.append(tokens[i] + tokens[i + 1])
        i += 2
    else:
        out.append(tokens[i])
        i += 1
return out
"""

_EXAMPLES = r"[([b'ab', b'c d'],), ([b'a', b'\xe4', b'\xb8', b'\xad '],), ([b'\xff', b'\xc3'],), ([b'x', b'\xf0\x9f', b'\x98\x80'],)]"
_HOLDS = (
    "len(output) == len(inputs[0]) and output[-1] == b''.join(inputs[0]).decode('utf-8', errors='replace') "
    "and all(b.startswith(a) for a, b in zip(output, output[1:]))"
)


def _screen(examples: str = _EXAMPLES, holds: str = _HOLDS) -> str:
    return f"def examples():\n    return {examples}\n\n\ndef holds(inputs, output):\n    return {holds}"


MUTANTS = [
    Mutant("lab02.q1", "every byte", _starts("list(range(len(data)))"), "begin with the bits 10"),
    Mutant(
        "lab02.q1",
        "ASCII only",
        _starts("[i for i, b in enumerate(data) if b < 128]"),
        "characters of one byte are found",
    ),
    Mutant("lab02.q1", "no ASCII", _starts("[i for i, b in enumerate(data) if b >= 192]"), "is a whole character"),
    Mutant("lab02.q1", "positions in the text", _starts("list(range(len(data.decode())))"), "not of bytes"),
    Mutant("lab02.q2", "frequency ignored", _counting("counts.update(pairwise(word))"), "is the frequency used"),
    Mutant(
        "lab02.q2",
        "once a word",
        _counting("for pair in set(pairwise(word)): counts[pair] += frequency"),
        "count every place",
    ),
    Mutant("lab02.q2", "aaa counted once", _counting(_NO_OVERLAP), "places may overlap"),
    Mutant(
        "lab02.q2",
        "order ignored",
        _counting("for pair in pairwise(word): counts[tuple(sorted(pair))] += frequency"),
        "different pairs",
    ),
    Mutant("lab02.q3", "overlapping aaa", _merging(_OVERLAP), "merged only once"),
    Mutant("lab02.q3", "first only", _merging(_FIRST), "not only the first"),
    Mutant("lab02.q3", "from the right", _merging(_RIGHT), "left to right"),
    Mutant("lab02.q3", "last token lost", _merging(_LAST_LOST), "last token lost"),
    Mutant(
        "lab02.q4",
        "smallest of ties",
        _training(best="min(counts, key=lambda pair: (-counts[pair], pair))"),
        "not the smallest",
    ),
    Mutant("lab02.q4", "first of ties", _training(best="max(counts, key=counts.get)"), "how are ties broken"),
    Mutant("lab02.q4", "not cut into words", _training(words="[text]"), "run across words"),
    Mutant("lab02.q4", "counted once", _function("train_bpe(text, n_merges)", _ONCE), "count again"),
    Mutant("lab02.q4", "types for tokens", _training(words="set(split_words(text))"), "as often as it occurs"),
    Mutant("lab02.q4", "never stops early", _training(stop="    pass"), "no word has two tokens left"),
    Mutant("lab02.q5", "longest match", _function("encode_word(word, ranks)", _LONGEST), "longest token that fits"),
    Mutant(
        "lab02.q5",
        "highest rank",
        _encoding("max(known, key=lambda p: ranks[p[0] + p[1]])"),
        "lowest rank merges first",
    ),
    Mutant("lab02.q5", "leftmost", _encoding("known[0]"), "not the leftmost"),
    Mutant(
        "lab02.q5",
        "one merge",
        _encoding("min(known, key=lambda p: ranks[p[0] + p[1]])", "\n    return tokens"),
        "go on merging",
    ),
    Mutant("lab02.q7", "always allowed", _special("list(special_tokens)"), "stays plain text"),
    Mutant("lab02.q7", "never allowed", _special("[]"), "recognised at all"),
    Mutant(
        "lab02.q7",
        "others removed",
        _special("allowed", before="for name in set(special_tokens) - set(allowed): text = text.replace(name, '')"),
        "must not be lost",
    ),
    Mutant("lab02.q7", "not escaped", _special("allowed", escape="name"), "escape the names"),
    Mutant("lab02.q1", "digits of bin", _starts("[i for i, b in enumerate(data) if bin(b)[2:4] != '10']"), "writes no zeros in front"),
    Mutant("lab02.q1", "two bytes at most", _starts("[i for i, b in enumerate(data) if b < 128 or 192 <= b < 224]"), "three or four bytes"),
    Mutant("lab02.q3", "joined bytes", _merging(_JOINED), "compare whole tokens"),
    Mutant("lab02.q3", "end not merged", _merging(_END), "very end is not merged"),
    Mutant("lab02.q3", "past the end", _merging(_PAST), "past the end"),
    Mutant("lab02.q4", "ties by joined bytes", _training(best="max(counts, key=lambda pair: (counts[pair], pair[0] + pair[1]))"), "join to"),
    Mutant("lab02.q4", "characters", _training().replace("bytes([b]) for b in word.encode()", "c.encode() for c in word"), "not from characters"),
    Mutant("lab02.q5", "empty min", _function("encode_word(word, ranks)", "tokens = [bytes([b]) for b in word]\nwhile True:\n    best = min((p for p in pairwise(tokens) if p[0] + p[1] in ranks), key=lambda p: ranks[p[0] + p[1]])\n    tokens = merge_pair(tokens, best)"), "no neighbours can be merged"),
    Mutant("lab02.q6", "final text only", _screen(holds="output[-1] == b''.join(inputs[0]).decode('utf-8', errors='replace')"), "takes it back"),
    Mutant("lab02.q6", "ASCII only", _screen(examples="[([b'ab', b'c d'],)]"), "accepts an implementation that decodes each token by itself"),
    Mutant("lab02.q6", "as soon as possible only", _screen(holds="output == [b''.join(inputs[0][: i + 1]).decode('utf-8', errors='ignore') for i in range(len(inputs[0]))]"), "refuses a right answer"),
    Mutant("lab02.q6", "two tokens only", _screen(examples="[([b'a', b'\\xc3', b'\\xa9 '],), ([b'a\\xff', b'\\xc3'],)]"), "spread over three tokens"),
    Mutant("lab02.q6", "length not tested", _screen(holds="output[-1] == b''.join(inputs[0]).decode('utf-8', errors='replace') and all(b.startswith(a) for a, b in zip(output, output[1:]))"), "shows nothing for one"),
    Mutant("lab02.q7", "not cut into words", _special("allowed").replace("[word.encode() for word in split_words(part or '')]", "[(part or '').encode()]"), "must not run across them"),
    Mutant("lab02.q8", "another cause", 'diagnosis = {"cause": "A", "evidence": ["d", "l"]}', "not what went wrong"),
    Mutant("lab02.q8", "untrue evidence", 'diagnosis = {"cause": "C", "evidence": ["a", "b"]}', "is not true of your run"),
    Mutant("lab02.q8", "evidence for two causes", 'diagnosis = {"cause": "C", "evidence": ["b", "l"]}', "seen under another cause"),
]

RUBRICS = {
    "lab02.t1": "3: explains the bend by the order of merging (frequent first, each later merge applies to fewer "
    "places), says that the gap to the two other texts is what was learned about one text, and names a cost of more "
    "tokens (rows of the embedding, or rows too rare to be learned) with its direction for a small model. 2: two of "
    "the three. 1: describes the curves without a reason. 0: no plot read.",
}
