"""Lab 02: bytes, counting pairs, merging, training BPE, encoding by rank, a test of a screen, special tokens, a bad
tokenizer."""

import functools
import re
from collections import Counter
from itertools import pairwise

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Number, Question, Subject, Ungraded

Words = dict[tuple[bytes, ...], int]
Ranks = dict[bytes, int]
Pair = tuple[bytes, bytes]

ALPHABET = "abé中😀 ßя"


# ------------------------------------------------------------------------------------------------ 1: where characters begin


def some_bytes(draw: Draw) -> tuple[bytes]:
    """Characters of one to four bytes, capitals among them: their bits after the first look like those of 10xxxxxx."""
    return (("é" + draw.text(draw.integer(1, 9), ALPHABET) + draw.choice("AKZ") + "中a").encode(),)


def starts(data: bytes) -> list[int]:
    return [i for i, byte in enumerate(data) if byte < 0x80 or byte >= 0xC0]


def _binary_digits(data: bytes) -> list[int]:
    return [i for i, byte in enumerate(data) if bin(byte)[2:4] != "10"]


def _every_byte(data: bytes) -> list[int]:
    return list(range(len(data)))


def _one_byte_only(data: bytes) -> list[int]:
    return [i for i, byte in enumerate(data) if byte < 0x80]


def _longer_only(data: bytes) -> list[int]:
    return [i for i, byte in enumerate(data) if byte >= 0xC0]


def _in_the_text(data: bytes) -> list[int]:
    return list(range(len(data.decode())))


def _two_bytes_at_most(data: bytes) -> list[int]:
    return [i for i, byte in enumerate(data) if byte < 0x80 or 0xC0 <= byte < 0xE0]


def run_starts(student, data):
    """Recipe: positions as a list, in whatever sequence they come."""
    return list(student(data))


# ----------------------------------------------------------------------------------------------------------- 2: count pairs


def a_text_in_words(draw: Draw) -> tuple[Words]:
    words = [tuple(c.encode() for c in draw.text(draw.integer(2, 6), "abc")) for _ in range(draw.integer(1, 8))]
    return (
        {(b"a", b"a", b"a"): 3, (b"b", b"a", b"b", b"a"): 2, (b"c",): 5} | {word: draw.integer(2, 9) for word in words},
    )


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
    """The pair also stands at the very end; other neighbours give the same bytes when joined."""
    tokens = [draw.choice([b"a", b"b", b"ab", b"c", b"bc"]) for _ in range(draw.integer(1, 9))]
    return [b"a", b"b", b"c", *tokens, b"a", b"bc", b"ab", b"c", b"a", b"b", b"ab", b"c"], (b"ab", b"c")


def an_ending(draw: Draw) -> tuple[list[bytes], Pair]:
    return [draw.choice([b"a", b"c"]) for _ in range(draw.integer(1, 5))] + [b"a", b"b"], (b"a", b"b")


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


def _end_not_merged(tokens: list[bytes], pair: Pair) -> list[bytes]:
    return merged(tokens[:-1], pair) + tokens[-1:]


def _joined_bytes(tokens: list[bytes], pair: Pair) -> list[bytes]:
    out, i = [], 0
    while i < len(tokens):
        found = i + 1 < len(tokens) and tokens[i] + tokens[i + 1] == pair[0] + pair[1]
        out.append(tokens[i] + tokens[i + 1] if found else tokens[i])
        i += 2 if found else 1
    return out


def _either_way(tokens: list[bytes], pair: Pair) -> list[bytes]:
    out, i = [], 0
    while i < len(tokens):
        found = set(tokens[i : i + 2]) == set(pair) and i + 1 < len(tokens)
        out.append(tokens[i] + tokens[i + 1] if found else tokens[i])
        i += 2 if found else 1
    return out


def _nothing_merged(tokens: list[bytes], pair: Pair) -> list[bytes]:
    return tokens


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
    vocabulary = [draw.text(draw.integer(2, 6), "abcé") for _ in range(draw.integer(3, 12))]
    words = [draw.choice(vocabulary) for _ in range(draw.integer(4, 60))]
    return " ".join(words) + " é then the theme of the then", draw.integer(6, 16)


def ties_only(draw: Draw) -> tuple[str, int]:
    return draw.choice(["ab xy", "ab mn pq", "wx zy", "ba ab"]), 2


def ties_of_pairs(draw: Draw) -> tuple[str, int]:
    """At the third merge (a, bd) ties with (ab, c): as pairs the second is greater, as joined bytes the first."""
    a, b, c, d = (chr(ord("a") + n + draw.integer(0, 20)) for n in range(4))
    words = [b + d] * 6 + [a + b] * 3 + [a + b + d] * 2 + [a + b + c] * 2
    return ".".join(words[i] for i in draw.numpy.permutation(len(words))), 3


def too_few(draw: Draw) -> tuple[str, int]:
    return draw.choice(["abc", "xyz", "no"]), draw.integer(3, 9)


def run_train(student, text, n_merges):
    """Recipe: the merges as a list of tuples."""
    return [tuple(pair) for pair in student(text, n_merges)]


def _smallest_tie(text: str, n: int) -> list[Pair]:
    return trained(text, n, best=lambda counts: min(counts, key=lambda pair: (-counts[pair], pair)))


def _first_tie(text: str, n: int) -> list[Pair]:
    return trained(text, n, best=lambda counts: max(counts, key=counts.__getitem__))


def _uncut(text: str, n: int) -> list[Pair]:
    return trained(text, n, pieces=lambda t: [t])


def _joined_tie(text: str, n: int) -> list[Pair]:
    return trained(text, n, best=lambda counts: max(counts, key=lambda pair: (counts[pair], pair[0] + pair[1])))


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
    """Merges of four letters in an order in which neither the longest, nor the leftmost, nor the last learned is right."""
    a, b, c, d = (bytes([x]) for x in draw.numpy.permutation(list(b"abcdefgh"))[:4])
    ranks = ranks_of([(b, c), (a, b), (b + c, d), (a, b + c + d), (c, a)])
    letters = (a + b + c + d).decode()
    words = [draw.text(draw.integer(3, 9), letters).encode() for _ in range(draw.integer(1, 20))]
    return [a + b + c + d, a + b + c, b + c + a, *words, d + a + b + c + a, a + b + c + d + a + b], ranks


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


_highest_rank, _leftmost = _by_key(lambda rank: -rank), _by_key(lambda rank: 0)


def _one_merge(word: bytes, ranks: Ranks) -> list[bytes]:
    tokens = [bytes([b]) for b in word]
    known = [pair for pair in pairwise(tokens) if pair[0] + pair[1] in ranks]
    return merged(tokens, min(known, key=lambda pair: ranks[pair[0] + pair[1]])) if known else tokens


@functools.cache  # the same function for a mistake and for what separates it
def _each(encode):
    return lambda words, ranks: [encode(word, ranks) for word in words]


# ------------------------------------------------------------------------------------------------- 6: a test of a screen


def some_tokens(tokens: object) -> str | None:
    if not isinstance(tokens, list) or not all(type(t) is bytes and 1 <= len(t) <= 12 for t in tokens):
        return r"an example is one list of tokens of 1 to 12 bytes, in a tuple: ([b'a', b'\xc3', b'\xa9'],)"
    return None if 1 <= len(tokens) <= 20 else "between 1 and 20 tokens, please"


def whole_text(tokens: list[bytes]) -> str:
    return b"".join(tokens).decode("utf-8", errors="replace")


def as_soon_as_possible(tokens: list[bytes]) -> list[str]:
    import codecs

    decoder, shown = codecs.getincrementaldecoder("utf-8")(errors="replace"), [""]
    for token in tokens[:-1]:
        shown.append(shown[-1] + decoder.decode(token))
    return [*shown[1:], shown[-1] + decoder.decode(tokens[-1], final=True)]


def whole_words(tokens: list[bytes]) -> list[str]:
    """Shows a word when the space after it has come."""
    shown = [text[: text.rfind(" ") + 1] for text in as_soon_as_possible(tokens)[:-1]]
    return [*shown, whole_text(tokens)]


def at_the_end(tokens: list[bytes]) -> list[str]:
    return [""] * (len(tokens) - 1) + [whole_text(tokens)]


def each_by_itself(tokens: list[bytes]) -> list[str]:
    shown = [token.decode("utf-8", errors="replace") for token in tokens]
    return ["".join(shown[: i + 1]) for i in range(len(tokens))]


def repaired_later(tokens: list[bytes]) -> list[str]:
    return [whole_text(tokens[: i + 1]) for i in range(len(tokens))]


def rest_dropped(tokens: list[bytes]) -> list[str]:
    import codecs

    decoder, shown = codecs.getincrementaldecoder("utf-8")(errors="replace"), [""]
    for token in tokens:
        shown.append(shown[-1] + decoder.decode(token))
    return shown[1:]


def invalid_ignored(tokens: list[bytes]) -> list[str]:
    shown = at_the_end(tokens)
    return [*shown[:-1], b"".join(tokens).decode("utf-8", errors="ignore")]


# -------------------------------------------------------------------------------------------------------- 7: special tokens

SPECIAL = {"<|end|>": 1000, "<|start|>": 1001, "[pad]": 1002}


def marked_text(draw: Draw) -> tuple[str, Ranks, dict[str, int], list[str]]:
    def words() -> str:
        return " ".join(draw.text(draw.integer(2, 5), "abden") for _ in range(3))

    text = f"<|start|>{words()} end<|end|>\n[pad]{words()}<|end|><|start|>{words()} | start"
    allowed = draw.choice([["<|end|>", "<|start|>"], ["<|end|>", "[pad]"], ["<|start|>", "[pad]"]])
    return (
        text,
        ranks_of([(b"a", b"n"), (b"e", b"n"), (b"en", b"d"), (b" ", b"b"), (b"a", b"d"), (b"n", b" ")]),
        SPECIAL,
        allowed,
    )


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


def _unescaped(text: str, ranks: Ranks, special_tokens: dict[str, int], allowed: list[str]) -> list[int]:
    return ids_of(text, ranks, special_tokens, allowed, escape=str)


def _cut_only_at_names(text: str, ranks: Ranks, special_tokens: dict[str, int], allowed: list[str]) -> list[int]:
    names = "|".join(re.escape(name) for name in allowed)
    ids: list[int] = []
    for part in re.split(f"({names})", text) if names else [text]:
        found = [special_tokens[part]] if part in allowed else [ranks[token] for token in encoded(part.encode(), ranks)]
        ids += found
    return ids


def _always(text: str, ranks: Ranks, special_tokens: dict[str, int], allowed: list[str]) -> list[int]:
    return ids_of(text, ranks, special_tokens, list(special_tokens))


def _never(text: str, ranks: Ranks, special_tokens: dict[str, int], allowed: list[str]) -> list[int]:
    return ids_of(text, ranks, special_tokens, [])


def _others_removed(text: str, ranks: Ranks, special_tokens: dict[str, int], allowed: list[str]) -> list[int]:
    for name in set(special_tokens) - set(allowed):
        text = text.replace(name, "")
    return ids_of(text, ranks, special_tokens, allowed)


# ------------------------------------------------------------------------------------------------------- 8: a bad tokenizer

FAULTS = {
    "A": "learned from lower-cased text",
    "B": "the pairs were counted once, at the start, and never again",
    "C": "each different word was counted once, however often it occurs",
    "D": "encodes by longest match instead of by rank",
    "E": "the text was not cut into words before learning",
    "F": "decodes each token to UTF-8 by itself",
    "G": "the learned tokens were saved in alphabetical order, so their ranks are lost",
    "H": "the text was cut at spaces, and the spaces were thrown away",
}
OBSERVATIONS = {
    "a": "the sample does not come back as it was",
    "b": "characters per token: below 1.9 on the novel",
    "c": "none of the first twelve tokens begins with a space",
    "d": "none of the ten longest tokens holds a capital letter",
    "e": "25 tokens or more are never used",
    "f": "the first token is a space and a t",
    "g": "characters per token: below 1.9 on the plays it learned from",
    "h": "there is no place where a longer token would fit",
    "i": "one of the first twelve tokens holds a capital letter",
    "j": "one of the first twelve tokens has four characters or more",
    "k": "one of the first twelve tokens has a space behind another character",
    "l": "both texts come back as they were",
}
RUNS = ("a4", "b9", "d2", "e6", "f3", "g1", "h8", "k5", "m7", "n2", "p6", "r9", "s4", "t1", "v8", "w3")


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
            cases=(
                Case(
                    "characters of one to four bytes",
                    inputs=some_bytes,
                    expected=starts,
                    separates=(
                        _binary_digits,
                        _every_byte,
                        _one_byte_only,
                        _longer_only,
                        _in_the_text,
                        _two_bytes_at_most,
                    ),
                ),
                Case("four bytes", inputs=lambda draw: (draw.choice(["😀", "a😀", "😀é"]).encode(),), expected=starts),
            ),
            mistakes=(
                Mistake(
                    "bin() writes no zeros in front: the bits 10 at the beginning are those of all eight",
                    wrong=_binary_digits,
                ),
                Mistake(
                    "is every byte the beginning of a character? Those that begin with the bits 10 are not",
                    wrong=_every_byte,
                ),
                Mistake(
                    "only characters of one byte are found: the first byte of a longer one begins with 110, 1110 or 11110",
                    wrong=_one_byte_only,
                ),
                Mistake(
                    "characters of one byte are missing: a byte below 0x80 is a whole character", wrong=_longer_only
                ),
                Mistake("a character may have three or four bytes: 1110 and 11110", wrong=_two_bytes_at_most),
                Mistake("positions of characters in the text, not of bytes in the data?", wrong=_in_the_text),
            ),
        ),
        Question(
            id="lab02.q2",
            title="Count pairs",
            name="count_pairs",
            points=1,
            difficulty=2,
            minutes=8,
            printed=True,
            recipe=run_count,
            cases=(
                Case(
                    "a text of many words",
                    inputs=a_text_in_words,
                    expected=counted,
                    separates=(_without_frequency, _once_a_word, _without_overlap, _either_order),
                ),
                Case("a word of one token", inputs=lambda draw: ({(b"a",): draw.integer(1, 9)},), expected={}),
            ),
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
            points=1,
            difficulty=2,
            minutes=10,
            printed=True,
            cases=(
                Case(
                    "a list of tokens",
                    inputs=tokens_and_pair,
                    expected=merged,
                    separates=(_first_only, _last_lost, _end_not_merged, _joined_bytes, _either_way, _nothing_merged),
                ),
                Case(
                    "the pair at the end",
                    inputs=an_ending,
                    expected=merged,
                    separates=(_last_lost, _end_not_merged, _nothing_merged),
                ),
                Case("a run of one token", inputs=a_run, expected=merged, separates=(_overlapping, _from_the_right)),
            ),
            mistakes=(
                Mistake("a token can be merged only once: after a merge in a a a, go on behind it", wrong=_overlapping),
                Mistake("go from left to right: a a a becomes aa a, not a aa", wrong=_from_the_right),
                Mistake("merge every occurrence, not only the first", wrong=_first_only),
                Mistake(
                    "compare whole tokens: (a, bc) is not (ab, c), though they join to the same bytes",
                    wrong=_joined_bytes,
                ),
                Mistake("a pair at the very end is not merged: how far does the loop go?", wrong=_end_not_merged),
                Mistake("is the last token lost?", wrong=_last_lost),
                Mistake("(b, a) is not the pair (a, b)", wrong=_either_way),
                Mistake(
                    "nothing was merged: return a new list, or change the one that you return", wrong=_nothing_merged
                ),
                Mistake("the loop looks one token past the end", error="list index out of range"),
            ),
        ),
        Question(
            id="lab02.q4",
            title="Train",
            name="train_bpe",
            points=3,
            difficulty=3,
            minutes=20,
            printed=True,
            recipe=run_train,
            uses=("lab02.q2", "lab02.q3"),
            cases=(
                Case(
                    "a text",
                    inputs=a_text,
                    expected=trained,
                    separates=(_uncut, _counted_once, _characters, _types),
                ),
                Case("pairs that tie", inputs=ties_only, expected=trained, separates=(_smallest_tie, _first_tie)),
                Case("pairs that tie and join alike", inputs=ties_of_pairs, expected=trained, separates=(_joined_tie,)),
                Case("more merges than the text has", inputs=too_few, expected=trained),
            ),
            mistakes=(
                Mistake("ties go to the lexicographically greatest pair, not the smallest", wrong=_smallest_tie),
                Mistake(
                    "ties: compare the pairs, (ab, c) with (a, bd), not the bytes that they join to", wrong=_joined_tie
                ),
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
            points=2,
            difficulty=3,
            minutes=15,
            printed=True,
            recipe=run_encode,
            uses=("lab02.q3",),
            cases=(
                Case(
                    "many words",
                    inputs=words_and_ranks,
                    expected=_each(encoded),
                    separates=[_each(wrong) for wrong in (_longest_match, _highest_rank, _leftmost, _one_merge)],
                ),
            ),
            mistakes=(
                Mistake(
                    "is that the longest token that fits? Merge by rank instead: the lowest first",
                    wrong=_each(_longest_match),
                ),
                Mistake("the lowest rank merges first: it was learned first", wrong=_each(_highest_rank)),
                Mistake(
                    "among the possible merges take the one of the lowest rank, not the leftmost",
                    wrong=_each(_leftmost),
                ),
                Mistake("what if no neighbours can be merged? Then the word is done", error=r"(min|max)\(\).*empty"),
                Mistake("not every union is in the vocabulary: ask before you take its rank", error="KeyError"),
                Mistake("go on merging until no union is in the vocabulary", wrong=_each(_one_merge)),
            ),
        ),
        Question(
            id="lab02.q6",
            title="Test somebody else's screen",
            name="holds",
            kind="test",
            examples="examples",
            points=3,
            difficulty=3,
            minutes=15,
            valid=some_tokens,
            right=(
                Subject("what can be shown at once", as_soon_as_possible),
                Subject("whole words", whole_words),
                Subject("everything at the end", at_the_end),
            ),
            wrong=(
                Subject("decodes each token by itself", each_by_itself),
                Subject("shows a replacement character and takes it back when the rest has come", repaired_later),
                Subject("forgets what is incomplete at the end", rest_dropped),
                Subject("leaves invalid bytes out", invalid_ignored),
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
                Case(
                    "some are allowed",
                    inputs=marked_text,
                    expected=ids_of,
                    separates=(_always, _never, _others_removed, _unescaped, _cut_only_at_names),
                ),
                Case("none is allowed", inputs=nothing_allowed, expected=ids_of, separates=(_always, _others_removed)),
            ),
            mistakes=(
                Mistake(
                    "a special token that is not allowed stays plain text: whoever types it must not get its power",
                    wrong=_always,
                ),
                Mistake("is the text cut into words? A merge must not run across them", wrong=_cut_only_at_names),
                Mistake("are allowed special tokens recognised at all?", wrong=_never),
                Mistake("what is not allowed is still text: its characters must not be lost", wrong=_others_removed),
                Mistake(
                    "the bar | and the brackets mean something in a regular expression: escape the names",
                    wrong=_unescaped,
                ),
            ),
        ),
        Question(
            id="lab02.q8",
            title="A tokenizer that went wrong",
            name="diagnosis",
            kind="diagnosis",
            points=3,
            difficulty=4,
            minutes=20,
            faults=FAULTS,
            observations=OBSERVATIONS,
            runs=RUNS,
        ),
    ),
    ungraded=(
        Ungraded(
            "lab02.p1",
            "Characters per token before training",
            name="predicted_characters_per_token",
            number=Number(1, 20, unit="characters per token"),
        ),
        Ungraded("lab02.t1", "Read your own plot", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab02.c1",
            "Fewest tokens with a vocabulary of 500",
            name="fewest_tokens",
            kind="challenge",
            number=Number(1_000, 110_000, whole=True, unit="tokens"),
            baseline=59_426,
            seconds=120,
        ),
    ),
)
