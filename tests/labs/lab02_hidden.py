"""Lab 02, for staff: hidden cases, mutants, rubrics."""

from courseware.classroom.cases import Case, Mutant
from courseware.classroom.cases.lab02 import (
    _each,
    a_run,
    a_text,
    a_text_in_words,
    counted,
    decoded,
    encoded,
    ids_of,
    ids_of_text,
    invalid_ids,
    marked_text,
    merged,
    nothing_allowed,
    some_bytes,
    starts,
    ties_only,
    tokens_and_pair,
    too_few,
    trained,
    words_and_ranks,
)

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
        Case("no tokens", inputs=lambda draw: ([], (b"a", b"b")), expected=[]),
    ],
    "lab02.q4": [
        Case("other texts", inputs=a_text, expected=trained),
        Case("other ties", inputs=ties_only, expected=trained),
        Case("another short text", inputs=too_few, expected=trained),
    ],
    "lab02.q5": [Case("other vocabularies", inputs=words_and_ranks, expected=_each(encoded))],
    "lab02.q6": [
        Case("other texts", inputs=ids_of_text, expected=decoded),
        Case("other bytes", inputs=invalid_ids, expected=decoded),
    ],
    "lab02.q7": [
        Case("other texts", inputs=marked_text, expected=ids_of),
        Case("nothing allowed", inputs=nothing_allowed, expected=ids_of),
    ],
    "lab02.q8": [Case("the right causes", expected={"run 1": "C", "run 2": "E", "run 3": "A"})],
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


def _decoding(expression: str) -> str:
    return _function("decode(ids, vocabulary)", f"return {expression}")


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
    Mutant(
        "lab02.q6",
        "each token by itself",
        _decoding('"".join(vocabulary[i].decode("utf-8", errors="replace") for i in ids)'),
        "each token by itself",
    ),
    Mutant("lab02.q6", "strict", _decoding('b"".join(vocabulary[i] for i in ids).decode("utf-8")'), "not an error"),
    Mutant(
        "lab02.q6",
        "ignores",
        _decoding('b"".join(vocabulary[i] for i in ids).decode("utf-8", errors="ignore")'),
        "not vanish",
    ),
    Mutant("lab02.q6", "Latin-1", _decoding('b"".join(vocabulary[i] for i in ids).decode("latin-1")'), "Latin-1"),
    Mutant("lab02.q7", "always allowed", _special("list(special_tokens)"), "stays plain text"),
    Mutant("lab02.q7", "never allowed", _special("[]"), "recognised at all"),
    Mutant(
        "lab02.q7",
        "others removed",
        _special("allowed", before="for name in set(special_tokens) - set(allowed): text = text.replace(name, '')"),
        "must not be lost",
    ),
    Mutant("lab02.q7", "not escaped", _special("allowed", escape="name"), "escape the names"),
    Mutant(
        "lab02.q8",
        "blames the decoder",
        'diagnosis = {"run 1": "C", "run 2": "F", "run 3": "A"}',
        "compare each run with the correct one",
    ),
    Mutant(
        "lab02.q8",
        "counted once for types",
        'diagnosis = {"run 1": "B", "run 2": "E", "run 3": "A"}',
        "compare each run with the correct one",
    ),
    Mutant(
        "lab02.q8",
        "one cause for two runs",
        'diagnosis = {"run 1": "A", "run 2": "E", "run 3": "A"}',
        "three different causes",
    ),
]

RUBRICS = {
    "lab02.t1": "3: explains the bend by the order of merging (frequent first, each later merge applies to fewer "
    "places), says that the gap to the two other texts is what was learned about one text, and names a cost of more "
    "tokens (rows of the embedding, or rows too rare to be learned) with its direction for a small model. 2: two of "
    "the three. 1: describes the curves without a reason. 0: no plot read.",
}
