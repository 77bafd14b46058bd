"""Lab 20: the pieces of a chat model of one's own, each judged by what it leaves: a vocabulary, predictions of a base
model, choices of a reward, a file of four-bit matrices, a win rate, a card, a test of a filter, a wrong report card."""

import functools
import hashlib
import json
import math
import re
import struct
from collections import Counter

import numpy as np
import torch

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Number, Question, Subject, Tolerance, Ungraded

# What must not travel with a case's inputs, for these reach the student's process: what the texts go on with, which
# reply is good. A case's inputs are drawn here again before they are judged, so what was noted is at hand.
_KEPT: dict[str, object] = {}


def _note(what: object, *inputs: object) -> None:
    if len(_KEPT) > 512:
        _KEPT.clear()
    _KEPT[_key(*inputs)] = what


def _noted(*inputs: object) -> object:
    return _KEPT[_key(*inputs)]


def _key(*inputs: object) -> str:
    return hashlib.sha256(repr(inputs).encode()).hexdigest()


def _words(draw: Draw, n: int, letters: str = "aeiouéß") -> list[str]:
    """n different invented words."""
    found: dict[str, None] = {}
    while len(found) < n:
        syllables = [draw.choice("bdfgklmnprstvz") + draw.choice(letters) for _ in range(1 + draw.integer(0, 3))]
        found["".join(syllables)] = None
    return list(found)


# ------------------------------------------------------------------------------------------------------- 1: a tokenizer

SPECIAL = ["<|end|>", "<|ask|>", "<|say|>"]
ODD = [
    "", "\n\t  \n", "🙂🎉 naïve 日本語", "e\u0301 \u200d! ẞtraße IN Ünna", "<|end|>", "so <|ask|> or <|say|>, <|end|", "two  spaces ",
    "\x00\x7f ÿ",
]  # fmt: skip
GOAL = 0.6  # tokens a byte


def _texts(draw: Draw, n: int, room: int) -> dict:
    words = _words(draw, 24)
    weights = 1 / np.arange(1, 25)
    sentence = lambda: " ".join(
        words[i] for i in draw.numpy.choice(24, 5 + draw.integer(0, 8), p=weights / weights.sum())
    )
    cut = list("né 🙂".encode())
    return {
        "texts": [sentence() for _ in range(n)],
        "size": 256 + room + len(SPECIAL),
        "special": list(SPECIAL),
        "unread": [sentence() for _ in range(6)],
        "odd": list(ODD),
        "rows": [cut, cut[:2], cut[:-1], [0xC3, -3, 0xA9], [-1, 72, 105, -2], [255, 0xE2, 0x82], []],
    }  # fmt: skip


def some_texts(draw: Draw) -> dict:
    return _texts(draw, 40, 60 + draw.integer(0, 30))


def no_room(draw: Draw) -> dict:
    """Bytes and special tokens only."""
    return _texts(draw, 10, 0)


def no_text(draw: Draw) -> dict:
    """Nothing to learn from."""
    return _texts(draw, 0, 50)


def run_tokenizer(student, texts, size, special, unread, odd, rows):
    """Recipe: the vocabulary, what texts become and come back as, and some rows decoded (negative: from the end)."""
    made = student(list(texts), size, list(special))
    tokens, encode, decode = made["tokens"], made["encode"], made["decode"]
    ids = [[int(i) for i in encode(text)] for text in [*unread, *odd]]
    back = [decode(list(row)) for row in ids]
    at = lambda row: [i if i >= 0 else len(tokens) + i for i in row]
    return {"tokens": list(tokens), "ids": ids, "back": back, "decoded": [decode(at(row)) for row in rows]}


def judge_tokenizer(value, texts, size, special, unread, odd, rows):
    """A vocabulary that spells every text, keeps special tokens out of texts, and shortens."""
    tokens, n = value["tokens"], len(value["tokens"])
    if not all(type(t) is bytes for t in tokens):
        return "tokens is a list of bytes, such as b'the'"
    if n > size:
        return f"{n} tokens are more than size, {size}: the single bytes and the special tokens count, too"
    if tokens[:256] != [bytes([b]) for b in range(256)]:
        return "the first 256 tokens are the single bytes, in order: without them not every text can be written"
    if tokens[n - len(special) :] != [s.encode() for s in special]:
        return "the last tokens are the special ones, in their order"
    if len(set(tokens)) < n:
        return f"{Counter(tokens).most_common(1)[0][0]!r} stands twice among the tokens"
    for text, ids, back in zip([*unread, *odd], value["ids"], value["back"], strict=True):
        if not all(0 <= i < n for i in ids):
            return f"encode({text!r}) gives a number that no token has"
        if any(i >= n - len(special) for i in ids):
            return (
                f"encode({text!r}) gives a special token: whoever writes its letters could end a turn or speak for "
                "somebody else. What is typed is ordinary text"
            )
        spelled = b"".join(tokens[i] for i in ids)
        if spelled != text.encode():
            if spelled == " ".join(text.split()).encode() or spelled.strip() == text.strip().encode():
                return f"the tokens of {text!r} spell {spelled!r}: spaces and line ends are text, too"
            return f"the tokens of {text!r} spell {spelled!r}, which is another text"
        if back == "".join(tokens[i].decode("utf-8", "replace") for i in ids) != text:
            return "a character may be cut by two tokens: join the bytes of all of them first, then decode"
        if back != text:
            return f"decode(encode({text!r})) is {back!r}"
    at = lambda row: [tokens[i] for i in row]
    for row, got in zip(rows, value["decoded"], strict=True):
        wanted = b"".join(at(row)).decode("utf-8", "replace")
        if got != wanted:
            apart = "".join(piece.decode("utf-8", "replace") for piece in at(row))
            if got == apart:
                return "a character may be cut by two tokens: join the bytes of all of them first, then decode"
            if got == b"".join(at(row)).decode("utf-8", "ignore"):
                return "bytes that are no UTF-8 are shown as �, not left out: errors='replace'"
            if got == b"".join(tokens[i] for i in row if 0 <= i < n - len(special)).decode("utf-8", "replace"):
                return "decode shows special tokens as they are written, so that one sees what a model does"
            return f"decode of {b''.join(at(row))!r} gives {got!r}, not {wanted!r}"
    share = sum(map(len, value["ids"][: len(unread)])) / sum(len(t.encode()) for t in unread)
    if texts and size - 256 - len(special) >= 40 and share > GOAL:
        if n < size - 20:
            return f"{share:.2f} tokens a byte on unread texts, at most {GOAL} are asked for: only {n} of {size} tokens are there"
        used = {i for ids in value["ids"] for i in ids}
        if not any(i >= 256 for i in used):
            return f"{share:.2f} tokens a byte on unread texts: encode never uses a token of more than one byte"
        return f"{share:.2f} tokens a byte on unread texts, at most {GOAL} are asked for: which tokens are frequent?"
    return None


# ------------------------------------------------------------------------------------------------------ 2: a base model

ABOVE = 0.30  # nats a word above the source itself
TOPICS, VOCABULARY = 8, 30


def _source(draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Logits of the next word by the word before it and by the topic."""
    return draw.numpy.normal(0, 1.5, (VOCABULARY, VOCABULARY)), draw.numpy.normal(0, 2.0, (TOPICS, VOCABULARY))


def _documents(draw: Draw, n: int, source: tuple, long: int) -> list[list[int]]:
    """Documents: the topic, 0 to 7, then words, 8 to 37; the last word's probabilities go unread."""
    after, topic = source
    topics = draw.numpy.integers(0, TOPICS, n)
    rows, last = [topics], draw.numpy.integers(0, VOCABULARY, n)
    for _ in range(long):
        logits = after[last] + topic[topics]
        last = (logits + draw.numpy.gumbel(size=logits.shape)).argmax(1)
        rows.append(last + TOPICS)
    lengths = draw.numpy.integers(long // 2, long + 1, n)
    return [[int(w) for w in row[: 1 + k]] for row, k in zip(np.stack(rows, 1), lengths)]


def some_documents(draw: Draw) -> dict:
    return _corpus(draw, 280)


def more_documents(draw: Draw) -> dict:
    return _corpus(draw, 340)


def _corpus(draw: Draw, n: int) -> dict:
    source = _source(draw)
    documents = _documents(draw, n, source, 20)
    unread = _documents(draw, 300, source, 20)
    cuts = [2 + draw.integer(0, len(row) - 3) for row in unread]
    prefixes = [row[:cut] for row, cut in zip(unread, cuts)]
    _note(([row[cut] for row, cut in zip(unread, cuts)], source), documents, prefixes)
    return {"documents": documents, "vocab_size": TOPICS + VOCABULARY, "prefixes": prefixes}


def run_base(student, documents, vocab_size, prefixes):
    """Recipe: log-probabilities (B, vocab_size) of the word after each prefix."""
    predict = student([list(row) for row in documents], vocab_size)
    return torch.as_tensor(predict([list(row) for row in prefixes])).detach().double()


def judge_base(value, documents, vocab_size, prefixes):
    """The loss on words that were never sent, against that of the source itself."""
    nexts, (after, topic) = _noted(documents, prefixes)
    if tuple(value.shape) != (len(prefixes), vocab_size):
        return f"predict gives ({len(prefixes)}, {vocab_size}), a row for each beginning; this is {tuple(value.shape)}"
    p = np.asarray(value, dtype=float)
    if np.isnan(p).any():
        return "there are NaNs among the log-probabilities: a rate that is too high, or the logarithm of 0 times 0?"
    sums = np.exp(np.minimum(p, 50)).sum(1)
    if np.allclose(np.exp(p).sum(1), math.e**1) or (np.allclose(p.sum(1), 1, atol=1e-3) and (p >= 0).all()):
        return "these are probabilities: their logarithms are asked for"
    if not np.allclose(sums, 1, atol=1e-3):
        return (
            f"the probabilities of a row add up to {sums[0]:.3g}, not to 1: log_softmax over the words makes them do so"
        )
    here, nexts = np.arange(len(nexts)), np.array(nexts)
    last, topics = np.array([row[-1] for row in prefixes]) - TOPICS, np.array([row[0] for row in prefixes])
    true = _log_softmax(after[last] + topic[topics])
    best, loss = -true[here, nexts - TOPICS].mean(), -np.maximum(p, -50)[here, nexts].mean()
    if loss <= best + ABOVE:
        return None
    said = f"{loss:.2f} nats a word on unread documents; the source itself has {best:.2f}, and {best + ABOVE:.2f} are asked for"
    if p.argmax(1).tolist() == [row[-1] for row in prefixes] or _mean_rank(p, last + TOPICS) < 1.5:
        return f"{said}. The likeliest next word is the one just read: is the target the word after it?"
    words = _log_softmax(p[:, TOPICS:])
    if loss > 50 - 1e-9 or np.median(-p[here, nexts]) > 30 or ((p < -30).any() and loss > best + 1):
        return f"{said}. Some words that come are held for impossible: nothing that is merely unseen has probability 0"
    if words.std(1).mean() < 0.35:
        return f"{said}. All words are about as likely as each other: has it been trained, long enough and fast enough?"
    if np.exp(p[:, :TOPICS]).sum(1).mean() > 0.1:
        return f"{said}. Topics are predicted after words: does a document's end run into the next one's beginning?"
    by_last, by_topic = _spread(p, last), _spread(p, topics)
    if by_last < 1e-6:
        return f"{said}. Beginnings that end in the same word all get the same prediction: what of the document's first word, its topic?"
    if by_topic < 1e-6:
        return f"{said}. Beginnings with the same topic all get the same prediction: what of the last word?"
    return said


def _log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def _mean_rank(p: np.ndarray, word: np.ndarray) -> float:
    """How many words are on average at least as likely as the given one."""
    return float((p >= p[np.arange(len(p)), word][:, None]).sum(1).mean())


def _spread(p: np.ndarray, group: np.ndarray) -> float:
    """How far rows of the same group lie from each other, in nats, on average."""
    apart = [np.abs(p[group == g] - p[group == g][0]).mean() for g in set(group.tolist()) if (group == g).sum() > 1]
    return float(np.mean(apart)) if apart else 1.0


# -------------------------------------------------------------------------------------------- 3: learn from comparisons

WIN = 0.7
KINDS = 4


def _desk(draw: Draw, comparisons: int, requests: int) -> dict:
    """A desk whose words are invented anew: what is asked for, what is promised, what is liked."""
    words = _words(draw, 2 * KINDS + 13, "aeiou")
    keys, deeds, polite, evasive, filler, late = (
        words[:4],
        words[4:8],
        words[8:10],
        words[10:12],
        words[12:18],
        words[18:],
    )

    def request() -> tuple[int, str]:
        kind = draw.integer(0, KINDS)
        around = [draw.choice(filler) for _ in range(1 + draw.integer(0, 2))]
        around.insert(draw.integer(0, len(around) + 1), keys[kind])
        return kind, " ".join(around)

    def reply(kind: int) -> tuple[float, str]:
        said, gold = [draw.choice(filler) for _ in range(1 + draw.integer(0, 6))], 0.0
        if draw.numpy.random() < 0.8:
            deed = kind if draw.numpy.random() < 0.2 else draw.integer(0, KINDS)
            said.insert(draw.integer(0, len(said) + 1), deeds[deed])
            gold += 1.5 if deed == kind else -0.8
        for some, value, share in ((polite, 0.25, 0.5), (evasive, -0.25, 0.3)):
            if draw.numpy.random() < share:
                said.insert(draw.integer(0, len(said) + 1), draw.choice(some))
                gold += value
        return gold - 0.03 * len(said), " ".join(said)

    compared = []
    while len(compared) < comparisons:
        kind, text = request()
        (a, one), (b, other) = reply(kind), reply(kind)
        first = draw.numpy.random() < 1 / (1 + math.exp((b - a) / 0.2))
        compared.append((text, one, other) if first else (text, other, one))
    asked, offered, gold = [], [], []
    filler += late  # words that no comparison held
    for _ in range(requests):
        kind, text = request()
        values, replies = zip(*(reply(kind) for _ in range(5)))
        asked.append(text)
        offered.append(list(replies))
        gold.append((list(values), [deeds[kind] in r.split() for r in replies]))
    _note(gold, compared, asked, offered)
    return {"compared": compared, "asked": asked, "offered": offered}


def a_desk(draw: Draw) -> dict:
    return _desk(draw, 400, 250)


def run_choose(student, compared, asked, offered):
    """Recipe: the numbers of the chosen replies."""
    found = student([tuple(c) for c in compared], list(asked), [list(o) for o in offered])
    return [int(i) for i in found]


def judge_choose(value, compared, asked, offered):
    """The win rate of the chosen replies against the first ones, by the gold reward that no student has seen."""
    gold = _noted(compared, asked, offered)
    if len(value) != len(asked):
        return f"{len(value)} choices for {len(asked)} requests: one number for each"
    if not all(0 <= i < len(o) for i, o in zip(value, offered)):
        return f"a choice is the number of a reply, 0 to {len(offered[0]) - 1}"
    won = [(v[i] > v[0]) + 0.5 * (v[i] == v[0]) for i, (v, _) in zip(value, gold, strict=True)]
    rate = sum(won) / len(won)
    if rate >= WIN:
        return None
    said = f"the chosen replies win {100 * rate:.0f} % against the first ones, at least {100 * WIN:.0f} % are asked for"
    if len(set(value)) == 1:
        return f"{said}. The same number is chosen every time"
    if rate < 0.4:
        return (
            f"{said}. The worse ones are chosen: which of two compared replies was preferred, which score is the best?"
        )
    longest = sum(len(o[i].split()) == max(len(r.split()) for r in o) for i, o in zip(value, offered)) / len(value)
    shortest = sum(len(o[i].split()) == min(len(r.split()) for r in o) for i, o in zip(value, offered)) / len(value)
    if longest > 0.95 or shortest > 0.95:
        return f"{said}. Nearly always the {'longest' if longest > shortest else 'shortest'} reply is chosen: what is it in a reply that was preferred?"
    possible = [(i, fits) for i, (_, fits) in zip(value, gold) if any(fits) and not all(fits)]
    right = sum(fits[i] for i, fits in possible) / max(1, len(possible))
    chance = sum(sum(fits) / len(fits) for _, fits in possible) / max(1, len(possible))
    if rate > 0.54 and right < chance + 0.2:
        return (
            f"{said}. The chosen replies are well-mannered, but they promise what was asked for in {100 * right:.0f} % only, "
            f"{100 * chance:.0f} % by chance: does the score look at request and reply together?"
        )
    return said


# ------------------------------------------------------------------------------------------------------ 4: an int4 file


def _matrices(draw: Draw, shapes: dict[str, tuple[int, int]], group: int) -> dict:
    """Matrices whose rows and groups differ in size."""
    made = {}
    for name, (rows, columns) in shapes.items():
        scale = draw.uniform(rows, columns // group, 1, low=0.05, high=2.0).expand(-1, -1, group).reshape(rows, columns)
        made[name] = draw.normal(rows, columns) * scale
    return {"matrices": made, "group": group}


def two_matrices(draw: Draw) -> dict:
    group = draw.choice([4, 8])
    return _matrices(draw, {"up": (3, 4 * group), "down": (5, 2 * group)}, group)


def a_square(draw: Draw) -> dict:
    """As many rows as columns: the wrong axis fits, too."""
    return _matrices(draw, {"größer": (16, 16)}, 8)


def with_zeros(draw: Draw) -> dict:
    """A group of zeros, and one with a single large weight."""
    made = _matrices(draw, {"a": (2, 16)}, 8)
    made["matrices"]["a"][0, :8] = 0
    made["matrices"]["a"][1, 8:] *= 40
    return made


def run_int4(student, matrices, group):
    """Recipe: the file."""
    return student({name: m.clone() for name, m in matrices.items()}, group)


def read_int4(file: bytes, swap: bool = False, signed: bool = False, late: bool = False, down: bool = False) -> dict:
    """The matrices of a file, or what a slip of the writer would need to be read; ValueError where it is damaged."""
    (length,) = struct.unpack("<I", file[:4])
    if length > len(file) - 4:
        raise ValueError(
            f"the first four bytes say that the header has {length} bytes: an unsigned integer, its lowest byte first"
        )
    try:
        header = json.loads(file[4 : 4 + length].decode("utf-8"))
    except ValueError:
        raise ValueError("the header is no JSON in UTF-8 of the length that the first four bytes say") from None
    data, found = file[4 + length :], {}
    group = header["group"]
    for name, entry in header["matrices"].items():
        rows, columns = entry["shape"]
        n, start = rows * columns, entry["start"]
        where_scales, where_codes = (start + n // 2, start) if late else (start, start + 2 * (n // group))
        raw = np.frombuffer(data, np.uint8, n // 2, where_codes)
        scales = np.frombuffer(data, "<f2", n // group, where_scales).astype(np.float64)
        halves = np.stack([raw >> 4, raw & 15] if swap else [raw & 15, raw >> 4], 1).reshape(-1).astype(np.int64)
        codes = (halves ^ 8) - 8 if signed else halves - 8
        flat = (codes.reshape(-1, group) * scales[:, None]).reshape(-1)
        found[name] = flat.reshape(columns, rows).T if down else flat.reshape(rows, columns)
    return found


def judge_int4(value, matrices, group):
    """Can the file be read, is it as large as it must be, and how far are its weights from those of the matrices?"""
    if type(value) is not bytes:
        return "write_int4 returns bytes"
    if len(value) < 6:
        return f"a file of {len(value)} bytes has no header"
    try:
        found = read_int4(value)
    except ValueError as problem:
        said = str(problem)
        if "buffer" in said or "offset" in said:
            said = "the file ends before the data that its header promises: where does each matrix start, counted from the end of the header?"
        return said
    except (KeyError, TypeError, AttributeError, IndexError):
        return 'the header is {"group": ..., "matrices": {name: {"shape": [rows, columns], "start": ...}, ...}}'
    (length,) = struct.unpack("<I", value[:4])
    if list(found) != list(matrices) or any(found[n].shape != tuple(m.shape) for n, m in matrices.items()):
        return "the header names every matrix with its shape, in their order"
    wanted = sum(m.numel() // 2 + 2 * (m.numel() // group) for m in matrices.values())
    if len(value) - 4 - length != wanted:
        extra = len(value) - 4 - length - wanted
        if extra == 2 * sum(m.numel() // group for m in matrices.values()):
            return f"behind the header there are {wanted + extra} bytes, not {wanted}: a scale takes two bytes, float16"
        if extra == sum(m.numel() // 2 for m in matrices.values()):
            return f"behind the header there are {wanted + extra} bytes, not {wanted}: two codes share a byte"
        return f"behind the header there are {wanted + extra} bytes, and {wanted} are needed"
    for name, matrix in matrices.items():
        true = matrix.double().numpy()
        best = _nearest(true, group)
        allowed = 1.05 * ((best - true) ** 2).mean() + 1e-12
        if not np.isfinite(found[name]).all():
            return f"{name} has weights that are no numbers: a group of zeros has no largest weight to divide by"
        if ((found[name] - true) ** 2).mean() <= allowed:
            continue
        slips = {
            "the two halves of each byte are exchanged: the first code is in the low one": dict(swap=True),
            "the codes are kept as they are: 8 is added to each, so that -8 to 7 become 0 to 15": dict(signed=True),
            "the codes stand before the scales: the scales come first": dict(late=True),
            "the groups run down the columns: they are neighbours in a row, row by row": dict(down=True),
        }
        for said, slip in slips.items():
            with_slip = _attempted(value, name, slip)
            if with_slip is not None and ((with_slip - true) ** 2).mean() <= 3 * allowed:
                return f"{name} cannot be read: {said}"
        if np.allclose(found[name], _nearest(true, group, down=True), atol=1e-3 * np.abs(true).max()):
            return f"{name}: the codes are rounded down, they are to be rounded to the nearest"
        if np.allclose(found[name], _nearest(true, true.size), atol=2e-3 * np.abs(true).max()):
            return f"{name}: the scale is that of the whole matrix, each group has its own"
        if ((found[name] - true) ** 2).mean() > 0.5 * (true**2).mean():
            return f"{name}: what is read has nothing to do with the weights"
        ratio = ((found[name] - true) ** 2).mean() / ((best - true) ** 2).mean()
        return f"{name}: the squared error is {ratio:.3g} times that of rounding to the nearest with the largest weight of a group at 7"
    return None


def _attempted(file: bytes, name: str, slip: dict) -> np.ndarray | None:
    try:
        return read_int4(file, **slip)[name]
    except (ValueError, KeyError):
        return None


def _nearest(matrix: np.ndarray, group: int, down: bool = False) -> np.ndarray:
    """Through four bits, the largest weight of a group at 7."""
    grouped = matrix.reshape(-1, group)
    scale = np.abs(grouped).max(1, keepdims=True) / 7
    scale = np.where(scale > 0, scale, 1.0).astype("<f2").astype(np.float64)
    codes = np.floor(grouped / scale) if down else np.rint(grouped / scale)
    return (np.clip(codes, -8, 7) * scale).reshape(matrix.shape)


# --------------------------------------------------------------------------------------------------------- 5: win rate


def _golds(draw: Draw, repeats: int, requests: int, ahead: float) -> tuple:
    """Gold rewards (repeats, requests) in steps, so that there are ties; requests differ."""
    easy = draw.numpy.normal(0, 0.8, requests)
    grid = lambda x: torch.from_numpy(np.round(x, 0)).double() / 2
    mine = grid(draw.numpy.normal(ahead, 0.8, (repeats, requests)) + easy)
    return mine, grid(draw.numpy.normal(0, 0.8, (repeats, requests)) - easy)


def some_replies(draw: Draw) -> tuple:
    return _golds(draw, 3 + draw.integer(0, 3), 12 + draw.integer(0, 12), 0.5)


def as_many_repeats(draw: Draw) -> tuple:
    """As many repeats as requests: the wrong axis fits, too."""
    n = 6 + draw.integer(0, 4)
    return _golds(draw, n, n, 0.2)


def nearly_always(draw: Draw) -> tuple:
    """The normal interval reaches beyond 1."""
    mine, theirs = _golds(draw, 2, 6, 0.0)
    mine = theirs + 1
    mine[0, draw.integer(0, 6)] -= 2
    return mine, theirs


def once_each(draw: Draw) -> tuple:
    return _golds(draw, 1, 20 + draw.integer(0, 10), 0.3)


def win_rate(mine, theirs, slip=""):
    """Rate, low, high; or those of a slip."""
    won = (mine > theirs).double() + 0.5 * (mine == theirs).double()
    if slip == "ties lost":
        won = (mine > theirs).double()
    elif slip == "ties won":
        won = (mine >= theirs).double()
    elif slip == "ties dropped":
        apart = mine != theirs
        won = (mine > theirs).double()[apart][None]
    elif slip == "turned":
        won = 1 - won
    elif slip == "means first":
        a, b = mine.mean(0, keepdim=True), theirs.mean(0, keepdim=True)
        won = (a > b).double() + 0.5 * (a == b).double()
    elif slip == "first repeat":
        won = won[:1]
    units = won.mean(0)
    if slip == "replies":
        units = won.flatten()
    elif slip == "other axis":
        if len(won) == 1:
            raise ValueError("one repeat has no deviation")
        units = won.mean(1)
    n, rate = len(units), won.mean()
    deviation = units.std(correction=0 if slip == "population" else 1)
    error = deviation / math.sqrt(n)
    if slip == "no root":
        error = deviation / n
    elif slip == "deviation":
        error = deviation
    elif slip == "binomial":
        error = (rate * (1 - rate) / n).sqrt()
    width = {"one error": 1.0, "two errors": 2.0, "90 %": 1.645, "half": 0.98}.get(slip, 1.96) * error
    low, high = rate - width, rate + width
    if slip != "not cut":
        low, high = low.clamp(min=0), high.clamp(max=1)
    if slip == "percent":
        rate, low, high = 100 * rate, 100 * low, 100 * high
    if slip == "exchanged":
        low, high = high, low
    return {"rate": float(rate), "low": float(low), "high": float(high)}


@functools.cache
def _won(slip: str):
    return functools.partial(win_rate, slip=slip)


WIN_SLIPS = {
    "ties lost": "a tie counts as half a win: here it counts as none",
    "ties won": "a tie counts as half a win: here it counts as a whole one",
    "ties dropped": "ties count as half a win each: here they are left out",
    "turned": "that is how often theirs win",
    "means first": "each reply is compared with the reply beside it, and then the mean over the repeats is taken; not the other way round",
    "first repeat": "all repeats count, not the first alone",
    "replies": "the replies to one request are no independent requests: take each request's mean over the repeats first; the error is that of these N numbers",
    "other axis": "N requests are along axis 1: the error is that of the requests' means, not of the repeats'",
    "population": "the sample's standard deviation divides by N - 1",
    "no root": "the standard error is the deviation divided by the root of N",
    "deviation": "that is the deviation of single requests: the error of their mean is smaller by the root of N",
    "binomial": "the root of p(1 - p) / N holds for wins of 0 and 1; here there are halves and means: take the deviation of the requests' means",
    "one error": "95 %: 1.96 standard errors to each side, not one",
    "two errors": "95 %: 1.96 standard errors to each side, not 2",
    "90 %": "95 %: 1.96 standard errors to each side",
    "half": "1.96 standard errors to each side: here the whole interval is that wide",
    "not cut": "no share is below 0 or above 1: cut the interval there",
    "percent": "from 0 to 1, not in percent",
    "exchanged": "low is the lower end",
}
_CUT = ("not cut",)
_SQUARE = ("other axis",)

# -------------------------------------------------------------------------------------------------------------- 6: card

SECTIONS = ("Purpose", "Limits", "Data", "Quality", "Cost")
STAGES = ("corpus", "tokenizer", "pretrain", "sft", "align", "quantize", "report")


def _run(draw: Draw) -> dict:
    def interval(middle: float, half: float) -> list[float]:
        return [round(v, 4) for v in (middle, middle - half, middle + half)]

    joules = [round(float(j), 1) for j in draw.numpy.uniform(20, 900, len(STAGES))]
    seconds = [round(float(s), 1) for s in draw.numpy.uniform(1, 60, len(STAGES))]
    near = 0.5 + draw.choice([-1, 1]) * (0.015 + 0.002 * draw.integer(0, 5))
    verse = draw.choice(["answers a desk's customers", "writes headlines", "goes on with verses", "invents names"])
    return {
        "name": f"{draw.choice(['Kettle', 'Lantern', 'Magpie', 'Fennel'])} {draw.integer(1, 9)}",
        "purpose": f"A model that {verse}, for teaching.",
        "limits": [
            f"Not for {draw.choice(['customers', 'newspapers', 'school reports'])}.",
            f"Knows {draw.integer(3, 40)} kinds of request and no facts.",
            f"Repeats {draw.integer(1, 9)} % of its examples word for word.",
        ][: 2 + draw.integer(0, 2)],
        "documents": 1000 + draw.integer(200, 90_000),
        "held_out": 100 + draw.integer(0, 800),
        "parameters": 100_000 + draw.integer(0, 9_000_000),
        "bits": interval(0.9 + float(draw.numpy.random()), 0.031),
        "wins": {
            "policy against sft": interval(0.72 + 0.1 * float(draw.numpy.random()), 0.06),
            "sft against base": interval(0.58, 0.078),
            "small against policy": interval(near, 0.07),
            "small against base": interval(0.3, 0.05),
        },
        "stages": [{"stage": s, "seconds": t, "joules": j} for s, t, j in zip(STAGES, seconds, joules)],
    }


def a_run(draw: Draw) -> tuple:
    return _run(draw), draw.choice([380, 45, 480])


def on_the_edge(draw: Draw) -> tuple:
    """Intervals that end at 0.5 when they are rounded, and not before."""
    run = _run(draw)
    run["wins"]["policy against sft"] = [0.5642, 0.5031, 0.6253]
    run["wins"]["sft against base"] = [0.4417, 0.3871, 0.4963]
    run["wins"] |= {
        "small against policy": [0.5621, 0.4978, 0.6264],
        "small against base": [0.42, 0.34, 0.5],
        "policy against base": [0.58, 0.5, 0.66],
    }
    return run, 380


def run_card(student, run, grams_per_kwh):
    """Recipe: the card, or what the ValueError said."""
    try:
        return {"card": student(run, grams_per_kwh)}
    except ValueError as problem:
        return {"refused": str(problem)}


def run_cards_without(student, run, grams_per_kwh):
    """Recipe: what comes of the run without each of its stages in turn: the ValueError's words, or the card."""
    found = []
    for gone in run["stages"]:
        try:
            found.append(
                {"card": student({**run, "stages": [s for s in run["stages"] if s is not gone]}, grams_per_kwh)}
            )
        except ValueError as problem:
            found.append({"refused": str(problem)})
    return found


def judge_without(value, run, grams_per_kwh):
    """A run that lacks a stage is refused, and the stage named."""
    for entry, found in zip(run["stages"], value, strict=True):
        if "refused" not in found:
            return (
                f"the stage {entry['stage']!r} is missing in the run: raise a ValueError that names it, for a card that "
                "leaves a stage out would be believed"
            )
        if entry["stage"] not in found["refused"]:
            return f"the ValueError names the stage that is missing, {entry['stage']!r}"
    return None


def verdict(interval: list[float]) -> str:
    _, low, high = interval
    return "better" if low > 0.5 else "worse" if high < 0.5 else "undecided"


def judge_card(value, run, grams_per_kwh):
    """Is everything on the card, is it what the run says, and nothing else?"""
    if "refused" in value:
        return f"nothing is missing in this run, but there was a ValueError: {value['refused'][:80]}"
    card = value["card"]
    if type(card) is not str:
        return "the card is a text"
    if card.split("\n")[0].strip() != f"# {run['name']}":
        return f"the first line is the title: # {run['name']}"
    heads = re.findall(r"^## (.*?)\s*$", card, re.MULTILINE)
    if absent := [s for s in SECTIONS if s not in heads]:
        return f"the section '## {absent[0]}' is missing"
    if tuple(heads) != SECTIONS:
        return f"the sections are {', '.join(SECTIONS)}, each once and in this order"
    parts = dict(zip(SECTIONS, re.split(r"^## .*$", card, flags=re.MULTILINE)[1:]))
    lines = {name: [line.strip() for line in part.split("\n")] for name, part in parts.items()}
    if run["purpose"] not in parts["Purpose"]:
        return "Purpose says what the model is for, in the run's words"
    for limit in run["limits"]:
        if f"- {limit}" not in lines["Limits"]:
            return f"every limit is a list item of its own under Limits: '- {limit}' is missing"
    for what in ("documents", "held_out", "parameters"):
        if f"{run[what]:,}" not in _numbers(parts["Data"]):
            return f"Data gives {what}, thousands apart by commas: {run[what]:,}"
    bits = "{:.2f} bits a byte ({:.2f} to {:.2f})".format(*run["bits"])
    if bits not in parts["Quality"]:
        return f"Quality gives the bits with their interval: '{bits}'"
    for pair, interval in run["wins"].items():
        row = "| {} | {:.2f} ({:.2f} to {:.2f}) | {} |".format(pair, *interval, verdict(interval))
        if row in lines["Quality"]:
            continue
        (start,) = [" | ".join(row.split(" | ")[:-1])]
        given = next((line for line in lines["Quality"] if line.startswith(start)), None)
        if given is None:
            return f"Quality has a row for each pair of models, '{row}' among them"
        return _wrong_verdict(pair, interval, given)
    joules = sum(entry["joules"] for entry in run["stages"])
    kwh, grams = joules / 3.6e6, joules / 3.6e6 * grams_per_kwh
    for entry in run["stages"]:
        row = "| {stage} | {seconds:.1f} | {joules:.1f} |".format(**entry)
        if row not in lines["Cost"]:
            return f"Cost has a row for each stage, '{row}' among them"
    if not re.search(rf"(?<![\d.]){re.escape(f'{kwh:.6f}')} kWh", parts["Cost"]):
        if f"{joules / 3.6e3:.6f} kWh" in parts["Cost"] or f"{joules / 1e3:.6f} kWh" in parts["Cost"]:
            return "a kilowatt-hour is 3.6 million joules"
        return f"Cost adds up the stages' energy: {kwh:.6f} kWh"
    if not re.search(rf"(?<![\d.]){re.escape(f'{grams:.4f}')} g CO2", parts["Cost"]):
        return f"Cost gives the CO2, the energy in kWh times {grams_per_kwh} g: {grams:.4f} g CO2"
    known = {n for line in (run["name"], run["purpose"], *run["limits"]) for n in _numbers(line)}
    known |= {f"{run[what]:,}" for what in ("documents", "held_out", "parameters")}
    known |= {f"{v:.2f}" for interval in (run["bits"], *run["wins"].values()) for v in interval}
    known |= {f"{e[what]:.1f}" for e in run["stages"] for what in ("seconds", "joules")}
    seconds = sum(e["seconds"] for e in run["stages"])
    known |= {
        f"{kwh:.6f}",
        f"{grams:.4f}",
        str(grams_per_kwh),
        "2",
        "95",
        f"{seconds:.1f}",
        f"{joules:.1f}",
        "0.5",
        "0.50",
    }
    known |= {str(len(run["stages"])), str(len(run["wins"])), str(len(run["limits"]))}
    if strange := [n for n in _numbers(card) if n not in known]:
        return f"{strange[0]} stands on the card and nowhere in the run: a card holds measured numbers only"
    return None


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d[\d,]*(?:\.\d+)?", re.sub(r"(?<=\d),(?!\d)", " ", text))


def _wrong_verdict(pair: str, interval: list[float], given: str) -> str:
    said, right = given.rstrip("| ").rpartition("|")[2].strip(), verdict(interval)
    if right == "undecided":
        return f"{pair}: 0.5 lies within {interval[1]} to {interval[2]}, so it is undecided, not {said!r}"
    return f"{pair}: the interval {interval[1]} to {interval[2]} leaves 0.5 out (before rounding), so it is {right}, not {said!r}"


# --------------------------------------------------------------------------------------------- 7: test a corpus' filter

DOCUMENTS = 12


def a_corpus(documents: object, held_out: object) -> str | None:
    if (
        not isinstance(documents, list)
        or not 1 <= len(documents) <= DOCUMENTS
        or not all(type(d) is str for d in documents)
    ):
        return f"documents is a list of 1 to {DOCUMENTS} texts"
    if not isinstance(held_out, list) or not 0 <= len(held_out) <= 6 or not all(type(h) is str for h in held_out):
        return "held_out is a list of at most 6 texts"
    if any(not 1 <= len(d) <= 80 for d in documents):
        return "a document has 1 to 80 characters"
    if any(not h.strip() or "\n" in h or len(h) > 40 for h in held_out):
        return "a held-out request is one line of 1 to 40 characters, not of spaces alone"
    return None


def _same(text: str) -> str:
    return text.strip().lower()


def _leaks(document: str, held_out: list) -> bool:
    asked = {_same(h) for h in held_out}
    return any(_same(line) in asked for line in document.split("\n"))


def _filtered(documents: list, held_out: list, order: list) -> list:
    kept: dict = {}
    for i in order:
        if not _leaks(documents[i], held_out):
            kept.setdefault(documents[i], i)
    return list(kept.values())


def the_first_copy(documents, held_out):
    return _filtered(documents, held_out, list(range(len(documents))))


def the_last_copy(documents, held_out):
    return sorted(_filtered(documents, held_out, list(range(len(documents)))[::-1]))


def from_the_end(documents, held_out):
    return _filtered(documents, held_out, list(range(len(documents)))[::-1])


def long_ones_first(documents, held_out):
    order = sorted(range(len(documents)), key=lambda i: (-len(documents[i]), (7 * i + 3) % 13))
    return _filtered(documents, held_out, order)


def keeps_copies(documents, held_out):
    return [i for i, d in enumerate(documents) if not _leaks(d, held_out)]


def drops_all_copies(documents, held_out):
    return [i for i, d in enumerate(documents) if documents.count(d) == 1 and not _leaks(d, held_out)]


def looks_anywhere(documents, held_out):
    """A held-out request within a longer line counts as found."""
    return [i for i in the_first_copy(documents, []) if not any(_same(h) in _same(documents[i]) for h in held_out)]


def exact_lines(documents, held_out):
    return [i for i in the_first_copy(documents, []) if not set(documents[i].split("\n")) & set(held_out)]


def first_line_only(documents, held_out):
    return [i for i in the_first_copy(documents, []) if not _leaks(documents[i].split("\n")[0], held_out)]


def first_request_only(documents, held_out):
    return the_first_copy(documents, held_out[:1])


# ------------------------------------------------------------------------------------------------ 8: a wrong report card

FAULTS = {
    "A": "the two halves of each byte are exchanged when the small file is read",
    "B": "the small model gets two bits a weight, not four",
    "C": "a tie counts as a win",
    "D": "what is called the policy is the file of the fine-tuned model",
    "E": "the end of a turn is looked for under the number of another token",
    "F": "each reply is judged against the next customer's request",
    "G": "the chat models are asked in the transcripts' frame, the base model in the chat's",
    "H": "the policy is compared with the base model instead of the fine-tuned one",
    "I": "the replies are the likeliest ones, not sampled ones",
    "J": "the reward model reads the replies with the words in alphabetical order",
}
RUNS = ("b4", "d1", "f7", "h2", "j9", "m5", "p0", "r6", "u8", "x3")
OBSERVATIONS = {
    "a": "the small model's gold reward is below -1",
    "b": "the file has fewer than 50 thousand bytes",
    "c": "the file has at least 50 thousand bytes",
    "d": "the small model keeps more than 60 %",
    "e": "the fine-tuned model wins 100 % against itself",
    "f": "the policy wins exactly half",
    "g": "the policy wins at least 88 %",
    "h": "the reward of the policy is at most 0.45 above that of the fine-tuned model",
    "i": "more than 90 % of the replies are cut off",
    "j": "fewer than 70 % of the replies are polite",
    "k": "at least 85 % of the replies are polite",
    "l": "fewer than 5 % of the replies solve the problem",
    "m": "the policy's gold reward is below 0.5",
    "n": "fewer than 50 % of the replies are different",
    "o": "at least 70 % of the replies are different",
    "p": "the policy's gold reward is above 1.1",
}


LAB = Lab(
    id="lab20",
    title="From raw text to your own chat model",
    preload=("numpy", "torch", "torch._dynamo"),  # the first optimizer imports it, a second that counts for no answer
    call_seconds=30.0,
    questions=(
        Question(
            id="lab20.q1",
            title="A vocabulary",
            name="make_tokenizer",
            points=4,
            difficulty=3,
            minutes=20,
            recipe=run_tokenizer,
            cases=(
                Case("some texts", inputs=some_texts, judge=judge_tokenizer),
                Case("no room for more than bytes", inputs=no_room, judge=judge_tokenizer),
            ),
            mistakes=(
                Mistake(
                    "a model may stop inside a character, and then bytes are no UTF-8: decode with errors='replace'",
                    error="UnicodeDecodeError",
                ),
                Mistake(
                    'return a dict with the keys "tokens", "encode" and "decode"',
                    error="KeyError: '(tokens|encode|decode)'|not subscriptable|indices must be",
                ),
                Mistake(
                    "encode found no token for a byte: the first 256 tokens are the single bytes, all of them",
                    error="StopIteration|KeyError: (b'|[0-9])",
                ),
            ),
        ),
        Question(
            id="lab20.q2",
            title="A base model",
            name="train_base",
            points=4,
            difficulty=4,
            minutes=25,
            recipe=run_base,
            cases=(Case("some documents", inputs=some_documents, judge=judge_base),),
            mistakes=(Mistake("return a function, predict(prefixes)", error="object is not callable"),),
        ),
        Question(
            id="lab20.q3",
            title="Learn from comparisons",
            name="choose",
            points=4,
            difficulty=4,
            minutes=25,
            recipe=run_choose,
            cases=(Case("a desk", inputs=a_desk, judge=judge_choose),),
            mistakes=(
                Mistake(
                    "the requests and replies hold words that no comparison held: leave them out of the score",
                    error="KeyError: [('\"]",
                ),
            ),
        ),
        Question(
            id="lab20.q4",
            title="A file of four bits",
            name="write_int4",
            points=4,
            difficulty=3,
            minutes=20,
            recipe=run_int4,
            cases=(
                Case("two matrices", inputs=two_matrices, judge=judge_int4),
                Case("as many rows as columns", inputs=a_square, judge=judge_int4),
                Case("a group of zeros", inputs=with_zeros, judge=judge_int4),
            ),
        ),
        Question(
            id="lab20.q5",
            title="A win rate",
            name="win_rate",
            points=2,
            difficulty=2,
            minutes=12,
            tolerance=Tolerance(rtol=1e-3, atol=1e-4),
            cases=(
                Case(
                    "some replies",
                    inputs=some_replies,
                    expected=_won(""),
                    separates=tuple(_won(s) for s in WIN_SLIPS if s not in _CUT),
                ),
                Case(
                    "as many repeats as requests",
                    inputs=as_many_repeats,
                    expected=_won(""),
                    separates=tuple(map(_won, _SQUARE)),
                ),
                Case(
                    "nearly always better",
                    inputs=nearly_always,
                    expected=_won(""),
                    separates=tuple(map(_won, _CUT)),
                ),
            ),
            mistakes=tuple(Mistake(message, wrong=_won(slip)) for slip, message in WIN_SLIPS.items()),
        ),
        Question(
            id="lab20.q6",
            title="A card",
            name="model_card",
            points=3,
            difficulty=3,
            minutes=20,
            recipe=run_card,
            cases=(
                Case("a run", inputs=a_run, judge=judge_card),
                Case("intervals near a half", inputs=on_the_edge, judge=judge_card),
                Case("a stage is missing", inputs=a_run, judge=judge_without, recipe=run_cards_without),
            ),
        ),
        Question(
            id="lab20.q7",
            title="Test somebody else's filter",
            name="holds",
            kind="test",
            examples="examples",
            points=3,
            difficulty=4,
            minutes=18,
            valid=a_corpus,
            right=(
                Subject("the first of copies", the_first_copy),
                Subject("the last of copies", the_last_copy),
                Subject("from the end", from_the_end),
                Subject("long ones first", long_ones_first),
            ),
            wrong=(
                Subject("keeps copies", keeps_copies),
                Subject("throws away every document that has a copy, the first one, too", drops_all_copies),
                Subject("throws away a document because a held-out request is part of a longer line", looks_anywhere),
                Subject("compares lines letter by letter, capitals and spaces around them included", exact_lines),
                Subject("looks at the first line of a document only", first_line_only),
                Subject("looks for the first held-out request only", first_request_only),
            ),
        ),
        Question(
            id="lab20.q8",
            title="A card that is wrong",
            name="diagnosis",
            kind="diagnosis",
            points=4,
            difficulty=4,
            minutes=20,
            faults=FAULTS,
            observations=OBSERVATIONS,
            runs=RUNS,
        ),
    ),
    ungraded=(
        Ungraded(
            "lab20.p1",
            "How often the model of four bits is at least as good",
            name="predicted_kept",
            number=Number(0, 100, unit="percent"),
        ),
        Ungraded("lab20.t1", "The project: data, behaviour, plan", name="plan", kind="text", points=3),
        Ungraded("lab20.t2", "The project: report and card", name="project", kind="text", points=9),
        Ungraded(
            "lab20.c1",
            "Gold reward of the best of eight",
            name="best_gold",
            kind="challenge",
            number=Number(-4, 1.6, unit="gold reward"),
            baseline=1.3,
            better="higher",
            seconds=60,
        ),
    ),
)
