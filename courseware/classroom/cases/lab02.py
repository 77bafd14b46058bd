"""Lab 02: bytes, counting pairs, merging, training BPE, encoding by rank, decoding, special tokens, three bad tokenizers."""

import re
from collections import Counter
from itertools import pairwise

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Question, Ungraded

Words = dict[tuple[bytes, ...], int]
Ranks = dict[bytes, int]
Pair = tuple[bytes, bytes]

ALPHABET = "abé中😀 ßя"


# ------------------------------------------------------------------------------------------------ 1: where characters begin


def some_bytes(draw: Draw) -> tuple[bytes]:
    return (("é" + draw.text(draw.integer(6, 12), ALPHABET) + "中a").encode(),)


def starts(data: bytes) -> list[int]:
    return [i for i, byte in enumerate(data) if byte < 0x80 or byte >= 0xC0]


def run_starts(student, data):
    """Recipe: positions as a list, in whatever sequence they come."""
    return list(student(data))


# ----------------------------------------------------------------------------------------------------------- 2: count pairs


def a_text_in_words(draw: Draw) -> tuple[Words]:
    words = [tuple(c.encode() for c in draw.text(draw.integer(2, 7), "abc")) for _ in range(8)]
    return ({(b"a", b"a", b"a", b"a"): 3, (b"c",): 5} | {word: draw.integer(2, 9) for word in words},)


def run_count(student, words):
    """Recipe: counts as a plain dict without zeros, so that a Counter is as good."""
    return {pair: n for pair, n in dict(student(words)).items() if n}


def counted(words: Words) -> dict[Pair, int]:
    counts: Counter[Pair] = Counter()
    for word, frequency in words.items():
        for pair in pairwise(word):
            counts[pair] += frequency
    return dict(counts)


def _without_frequency(words: Words) -> dict[Pair, int]:
    return counted(dict.fromkeys(words, 1))


def _once_a_word(words: Words) -> dict[Pair, int]:
    counts: Counter[Pair] = Counter()
    for word, frequency in words.items():
        for pair in set(pairwise(word)):
            counts[pair] += frequency
    return dict(counts)


def _without_overlap(words: Words) -> dict[Pair, int]:
    counts: Counter[Pair] = Counter()
    for word, frequency in words.items():
        last: dict[Pair, int] = {}
        for i, pair in enumerate(pairwise(word)):
            if last.get(pair) != i - 1:
                counts[pair] += frequency
                last[pair] = i
    return dict(counts)


def _either_order(words: Words) -> dict[Pair, int]:
    counts: Counter[Pair] = Counter()
    for pair, n in counted(words).items():
        counts[min(pair), max(pair)] += n
    return dict(counts)


# ----------------------------------------------------------------------------------------------------------------- 3: merge


def tokens_and_pair(draw: Draw) -> tuple[list[bytes], Pair]:
    tokens = [draw.choice([b"a", b"b", b"ab", b"c"]) for _ in range(draw.integer(9, 14))]
    return [b"a", b"b", b"c", *tokens, b"a", b"b", b"c", b"ab", b"c", b"a"], (b"a", b"b")


def a_run(draw: Draw) -> tuple[list[bytes], Pair]:
    return [b"b", *[b"a"] * (2 * draw.integer(1, 4) + 1), b"b", b"a"], (b"a", b"a")


def merged(tokens: list[bytes], pair: Pair) -> list[bytes]:
    out, i = [], 0
    while i < len(tokens):
        found = tuple(tokens[i : i + 2]) == pair
        out.append(tokens[i] + tokens[i + 1] if found else tokens[i])
        i += 2 if found else 1
    return out


def _overlapping(tokens: list[bytes], pair: Pair) -> list[bytes]:
    places = {i for i, p in enumerate(pairwise(tokens)) if p == pair}
    inside = {i + 1 for i in places}
    return [pair[0] + pair[1] if i in places else t for i, t in enumerate(tokens) if i in places or i not in inside]


def _from_the_right(tokens: list[bytes], pair: Pair) -> list[bytes]:
    flipped = merged([t[::-1] for t in reversed(tokens)], (pair[1][::-1], pair[0][::-1]))
    return [t[::-1] for t in reversed(flipped)]


def _first_only(tokens: list[bytes], pair: Pair) -> list[bytes]:
    for i, found in enumerate(pairwise(tokens)):
        if found == pair:
            return [*tokens[:i], pair[0] + pair[1], *tokens[i + 2 :]]
    return tokens


def _last_lost(tokens: list[bytes], pair: Pair) -> list[bytes]:
    return merged(tokens, pair)[:-1]


# ----------------------------------------------------------------------------------------------------------------- 4: train


def split_words(text: str) -> list[str]:
    return re.findall(r"\s?\w+|\s?[^\w\s]+|\s+", text)


def trained(text: str, n_merges: int, pieces=split_words, best=None) -> list[Pair]:
    """The reference; `pieces` and `best` are what the known mistakes change."""
    best = best or (lambda counts: max(counts, key=lambda pair: (counts[pair], pair)))
    words: Words = Counter(tuple(bytes([b]) for b in word.encode()) for word in pieces(text))
    merges: list[Pair] = []
    while len(merges) < n_merges and (counts := counted(words)):
        merges.append(best(counts))
        words = {tuple(merged(list(word), merges[-1])): n for word, n in words.items()}
    return merges


def a_text(draw: Draw) -> tuple[str, int]:
    vocabulary = [draw.text(draw.integer(2, 6), "abcé") for _ in range(12)]
    return " ".join(draw.choice(vocabulary) for _ in range(60)) + " the theme of the then", draw.integer(10, 16)


def ties_only(draw: Draw) -> tuple[str, int]:
    return draw.choice(["ab xy", "ab mn pq", "wx zy"]), 2


def too_few(draw: Draw) -> tuple[str, int]:
    return draw.choice(["abc", "xyz"]), draw.integer(5, 9)


def run_train(student, text, n_merges):
    """Recipe: the merges as a list of tuples."""
    return [tuple(pair) for pair in student(text, n_merges)]


def _smallest_tie(text: str, n: int) -> list[Pair]:
    return trained(text, n, best=lambda counts: min(counts, key=lambda pair: (-counts[pair], pair)))


def _first_tie(text: str, n: int) -> list[Pair]:
    return trained(text, n, best=lambda counts: max(counts, key=counts.__getitem__))


def _uncut(text: str, n: int) -> list[Pair]:
    return trained(text, n, pieces=lambda t: [t])


def _counted_once(text: str, n: int) -> list[Pair]:
    words: Words = Counter(tuple(bytes([b]) for b in word.encode()) for word in split_words(text))
    counts = counted(words)
    return sorted(counts, key=lambda pair: (counts[pair], pair), reverse=True)[:n]


def _characters(text: str, n: int) -> list[Pair]:
    words: Words = Counter(tuple(c.encode() for c in word) for word in split_words(text))
    merges: list[Pair] = []
    while len(merges) < n and (counts := counted(words)):
        merges.append(max(counts, key=lambda pair: (counts[pair], pair)))
        words = {tuple(merged(list(word), merges[-1])): k for word, k in words.items()}
    return merges


def _types(text: str, n: int) -> list[Pair]:
    return trained(text, n, pieces=lambda t: sorted(set(split_words(t))))


# ---------------------------------------------------------------------------------------------------------------- 5: encode


def ranks_of(merges: list[Pair]) -> Ranks:
    return {bytes([b]): b for b in range(256)} | {a + b: 256 + i for i, (a, b) in enumerate(merges)}


def words_and_ranks(draw: Draw) -> tuple[list[bytes], Ranks]:
    """Forty words, so that no wrong way of encoding is right by luck on all of them."""
    text = " ".join(draw.text(draw.integer(3, 8), "abc") for _ in range(60))
    ranks = (
        ranks_of([(b"b", b"c"), (b"a", b"b"), (b"c", b"d"), (b"ab", b"c")])
        if draw.integer(0, 2)
        else ranks_of(trained(text, 25))
    )
    return [b"abcd", b"abc", b"x", *(draw.text(draw.integer(4, 11), "abcd").encode() for _ in range(40))], ranks


def run_encode(student, words, ranks):
    """Recipe: encode many words."""
    return [list(student(word, ranks)) for word in words]


def encoded(word: bytes, ranks: Ranks) -> list[bytes]:
    tokens = [bytes([b]) for b in word]
    while known := [pair for pair in pairwise(tokens) if pair[0] + pair[1] in ranks]:
        tokens = merged(tokens, min(known, key=lambda pair: ranks[pair[0] + pair[1]]))
    return tokens


def _longest_match(word: bytes, ranks: Ranks) -> list[bytes]:
    tokens = []
    while word:
        n = next(n for n in range(len(word), 0, -1) if word[:n] in ranks)
        tokens.append(word[:n])
        word = word[n:]
    return tokens


def _by_key(key):
    """Encoding that chooses among the possible merges by another key than the lowest rank."""

    def encode(word: bytes, ranks: Ranks) -> list[bytes]:
        tokens = [bytes([b]) for b in word]
        while known := [pair for pair in pairwise(tokens) if pair[0] + pair[1] in ranks]:
            tokens = merged(tokens, min(known, key=lambda pair: key(ranks[pair[0] + pair[1]])))
        return tokens

    return encode


def _one_merge(word: bytes, ranks: Ranks) -> list[bytes]:
    tokens = [bytes([b]) for b in word]
    known = [pair for pair in pairwise(tokens) if pair[0] + pair[1] in ranks]
    return merged(tokens, min(known, key=lambda pair: ranks[pair[0] + pair[1]])) if known else tokens


def _each(encode):
    return lambda words, ranks: [encode(word, ranks) for word in words]


# ---------------------------------------------------------------------------------------------------------------- 6: decode

VOCABULARY = [bytes([b]) for b in range(256)] + [b"\xe4\xb8", b"\xad\xe6", b"the", b"\xf0\x9f", b" \xc3", b"\xa9t"]


def ids_of_text(draw: Draw) -> tuple[list[int], list[bytes]]:
    data = (draw.text(8, ALPHABET) + " été 中文😀").encode()
    ids: list[int] = []
    while data:  # now and then a token that ends inside a character
        longer = [i for i in range(256, len(VOCABULARY)) if data.startswith(VOCABULARY[i])]
        ids.append(longer[0] if longer and draw.integer(0, 3) else data[0])
        data = data[len(VOCABULARY[ids[-1]]) :]
    return ids, VOCABULARY


def invalid_ids(draw: Draw) -> tuple[list[int], list[bytes]]:
    text, vocabulary = ids_of_text(draw)
    return [*text, 0xC3, draw.choice([0x41, 0x62]), 0xFF, *text, 0xE4, 0xB8], vocabulary


def decoded(ids: list[int], vocabulary: list[bytes]) -> str:
    return b"".join(vocabulary[i] for i in ids).decode("utf-8", errors="replace")


# -------------------------------------------------------------------------------------------------------- 7: special tokens

SPECIAL = {"<|end|>": 1000, "<|start|>": 1001, "[pad]": 1002}


def marked_text(draw: Draw) -> tuple[str, Ranks, dict[str, int], list[str]]:
    def words() -> str:
        return " ".join(draw.text(draw.integer(2, 5), "abden") for _ in range(3))

    text = f"<|start|>{words()} end<|end|>\n[pad]{words()}<|end|><|start|>{words()} | start"
    allowed = draw.choice([["<|end|>", "<|start|>"], ["<|end|>", "[pad]"], ["<|start|>", "[pad]"]])
    return text, ranks_of([(b"a", b"n"), (b"e", b"n"), (b"en", b"d"), (b" ", b"b"), (b"a", b"d")]), SPECIAL, allowed


def nothing_allowed(draw: Draw) -> tuple[str, Ranks, dict[str, int], list[str]]:
    text, ranks, special_tokens, _ = marked_text(draw)
    return text, ranks, special_tokens, []


def run_special(student, text, ranks, special_tokens, allowed):
    """Recipe: ids as a list."""
    return list(student(text, ranks, special_tokens, allowed))


def ids_of(text: str, ranks: Ranks, special_tokens: dict[str, int], allowed: list[str], escape=re.escape) -> list[int]:
    names = "|".join(escape(name) for name in allowed)
    ids: list[int] = []
    for part in re.split(f"({names})", text) if names else [text]:
        if part in allowed:
            ids.append(special_tokens[part])
        else:
            ids += [ranks[token] for word in split_words(part or "") for token in encoded(word.encode(), ranks)]
    return ids


def _always(text: str, ranks: Ranks, special_tokens: dict[str, int], allowed: list[str]) -> list[int]:
    return ids_of(text, ranks, special_tokens, list(special_tokens))


def _never(text: str, ranks: Ranks, special_tokens: dict[str, int], allowed: list[str]) -> list[int]:
    return ids_of(text, ranks, special_tokens, [])


def _others_removed(text: str, ranks: Ranks, special_tokens: dict[str, int], allowed: list[str]) -> list[int]:
    for name in set(special_tokens) - set(allowed):
        text = text.replace(name, "")
    return ids_of(text, ranks, special_tokens, allowed)


# ------------------------------------------------------------------------------------------------------------- 8: diagnosis


def _one_letter_each(value: object) -> str | None:
    if not isinstance(value, dict) or set(value) != {"run 1", "run 2", "run 3"}:
        return 'give a dict with the keys "run 1", "run 2" and "run 3"'
    if any(v not in tuple("ABCDEF") for v in value.values()):
        return "each answer is one letter from A to F"
    return None if len(set(value.values())) == 3 else "the three runs have three different causes"


LAB = Lab(
    id="lab02",
    title="Tokens: bytes to BPE",
    provides=("llmlib.data",),
    forbids=("tiktoken", "tokenizers", "sentencepiece", "transformers"),
    questions=(
        Question(
            id="lab02.q1",
            title="Where characters begin",
            name="character_starts",
            points=2,
            difficulty=2,
            minutes=10,
            recipe=run_starts,
            cases=(Case("characters of one to four bytes", inputs=some_bytes, expected=starts),),
            mistakes=(
                Mistake(
                    "is every byte the beginning of a character? Those that begin with the bits 10 are not",
                    wrong=lambda data: list(range(len(data))),
                ),
                Mistake(
                    "only characters of one byte are found: the first byte of a longer one begins with 110, 1110 or 11110",
                    wrong=lambda data: [i for i, byte in enumerate(data) if byte < 0x80],
                ),
                Mistake(
                    "characters of one byte are missing: a byte below 0x80 is a whole character",
                    wrong=lambda data: [i for i, byte in enumerate(data) if byte >= 0xC0],
                ),
                Mistake(
                    "positions of characters in the text, not of bytes in the data?",
                    wrong=lambda data: list(range(len(data.decode()))),
                ),
            ),
        ),
        Question(
            id="lab02.q2",
            title="Count pairs",
            name="count_pairs",
            points=2,
            difficulty=2,
            minutes=8,
            recipe=run_count,
            cases=(Case("a text of many words", inputs=a_text_in_words, expected=counted),),
            mistakes=(
                Mistake(
                    "a word that occurs five times has its pairs five times: is the frequency used?",
                    wrong=_without_frequency,
                ),
                Mistake("a pair can stand in one word more than once: count every place", wrong=_once_a_word),
                Mistake(
                    "places may overlap in counting: in a a a the pair (a, a) stands twice", wrong=_without_overlap
                ),
                Mistake("(a, b) and (b, a) are different pairs", wrong=_either_order),
            ),
        ),
        Question(
            id="lab02.q3",
            title="Merge a pair",
            name="merge_pair",
            points=2,
            difficulty=2,
            minutes=10,
            cases=(
                Case(
                    "a list of tokens",
                    inputs=tokens_and_pair,
                    expected=merged,
                    hint="compare whole tokens: what stands beside each other, not the bytes when joined",
                ),
                Case("a run of one token", inputs=a_run, expected=merged),
            ),
            mistakes=(
                Mistake("a token can be merged only once: after a merge in a a a, go on behind it", wrong=_overlapping),
                Mistake("go from left to right: a a a becomes aa a, not a aa", wrong=_from_the_right),
                Mistake("merge every occurrence, not only the first", wrong=_first_only),
                Mistake("is the last token lost?", wrong=_last_lost),
            ),
        ),
        Question(
            id="lab02.q4",
            title="Train",
            name="train_bpe",
            points=4,
            difficulty=3,
            minutes=20,
            recipe=run_train,
            uses=("lab02.q2", "lab02.q3"),
            cases=(
                Case("a text", inputs=a_text, expected=trained),
                Case("pairs that tie", inputs=ties_only, expected=trained),
                Case(
                    "more merges than the text has",
                    inputs=too_few,
                    expected=trained,
                    hint="stop when no word has two tokens left",
                ),
            ),
            mistakes=(
                Mistake("ties go to the lexicographically greatest pair, not the smallest", wrong=_smallest_tie),
                Mistake("how are ties broken? Not by what comes first: the greatest pair wins", wrong=_first_tie),
                Mistake("merges run across words: cut the text with split_words first", wrong=_uncut),
                Mistake("the counts change with every merge: count again before the next one", wrong=_counted_once),
                Mistake("start from single bytes, not from characters: é is two of them", wrong=_characters),
                Mistake("each different word counts as often as it occurs", wrong=_types),
                Mistake("stop when no word has two tokens left", error=r"(max|min)\(\).*empty"),
            ),
        ),
        Question(
            id="lab02.q5",
            title="Encode by rank",
            name="encode_word",
            points=3,
            difficulty=3,
            minutes=15,
            recipe=run_encode,
            uses=("lab02.q3",),
            cases=(Case("many words", inputs=words_and_ranks, expected=_each(encoded)),),
            mistakes=(
                Mistake(
                    "is that the longest token that fits? Merge by rank instead: the lowest first",
                    wrong=_each(_longest_match),
                ),
                Mistake("the lowest rank merges first: it was learned first", wrong=_each(_by_key(lambda rank: -rank))),
                Mistake(
                    "among the possible merges take the one of the lowest rank, not the leftmost",
                    wrong=_each(_by_key(lambda rank: 0)),
                ),
                Mistake("go on merging until no union is in the vocabulary", wrong=_each(_one_merge)),
            ),
        ),
        Question(
            id="lab02.q6",
            title="Decode",
            name="decode",
            points=2,
            difficulty=2,
            minutes=8,
            cases=(
                Case("text", inputs=ids_of_text, expected=decoded),
                Case("bytes that are not valid UTF-8", inputs=invalid_ids, expected=decoded),
            ),
            mistakes=(
                Mistake(
                    "did you decode each token by itself? A token may end inside a character: join the bytes first",
                    wrong=lambda ids, vocabulary: "".join(vocabulary[i].decode("utf-8", errors="replace") for i in ids),
                ),
                Mistake(
                    "a model may write invalid bytes: they should become the replacement character, not an error",
                    error="UnicodeDecodeError",
                ),
                Mistake(
                    "invalid bytes should show as the replacement character, not vanish",
                    wrong=lambda ids, vocabulary: b"".join(vocabulary[i] for i in ids).decode("utf-8", errors="ignore"),
                ),
                Mistake(
                    "one character for each byte: that is Latin-1, not UTF-8",
                    wrong=lambda ids, vocabulary: b"".join(vocabulary[i] for i in ids).decode("latin-1"),
                ),
            ),
        ),
        Question(
            id="lab02.q7",
            title="Special tokens",
            name="encode",
            points=3,
            difficulty=4,
            minutes=20,
            recipe=run_special,
            uses=("lab02.q3", "lab02.q5"),
            cases=(
                Case("some are allowed", inputs=marked_text, expected=ids_of),
                Case("none is allowed", inputs=nothing_allowed, expected=ids_of),
            ),
            mistakes=(
                Mistake(
                    "a special token that is not allowed stays plain text: whoever types it must not get its power",
                    wrong=_always,
                ),
                Mistake("are allowed special tokens recognised at all?", wrong=_never),
                Mistake("what is not allowed is still text: its characters must not be lost", wrong=_others_removed),
                Mistake(
                    "the bar | and the brackets mean something in a regular expression: escape the names",
                    wrong=lambda *inputs: ids_of(*inputs, escape=str),
                ),
            ),
        ),
        Question(
            id="lab02.q8",
            title="Three bad tokenizers",
            name="diagnosis",
            points=4,
            difficulty=4,
            minutes=20,
            cases=(Case("one letter for each run", judge=_one_letter_each),),
            hint="compare each run with the correct one: which tokens are missing, and which are there that should not be?",
        ),
    ),
    ungraded=(
        Ungraded("lab02.p1", "Characters per token before training", name="predicted_characters_per_token"),
        Ungraded("lab02.t1", "Read your own plot", name="interpretation", kind="text", points=3),
        Ungraded("lab02.c1", "Fewest tokens with a vocabulary of 500", name="fewest_tokens", kind="challenge"),
    ),
)
