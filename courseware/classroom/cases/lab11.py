"""Lab 11: a chat as tokens, a prompt that fits, the loss of the replies, batches that are padded and packed, a test of
packers, demonstrations bought within a budget, a wrong run."""

import functools

import torch
import torch.nn.functional as F

from courseware.classroom.cases import (
    Budget,
    Case,
    Draw,
    Lab,
    Mistake,
    Number,
    Question,
    Score,
    Subject,
    Ungraded,
)
from courseware.classroom.cases.designs import row_of, tried

IGNORED = -100

# ------------------------------------------------------------------------------------------------ 1: a chat as tokens


def _frame(draw: Draw) -> dict:
    """Openings of different lengths, no id twice."""
    ids = (60 + draw.numpy.permutation(12)).tolist()
    sizes = [1 + draw.integer(0, 2) for _ in range(3)]
    cuts = [0, sizes[0], sizes[0] + sizes[1], sum(sizes)]
    roles = ("system", "user", "assistant")
    openings = {role: ids[a:b] for role, a, b in zip(roles, cuts, cuts[1:])}
    return {"open": openings, "end": ids[10], "after": [ids[11]]}


def _words(draw: Draw, low: int = 1, high: int = 5) -> list[int]:
    return [draw.integer(1, 50) for _ in range(draw.integer(low, high))]


def _turns(draw: Draw, pairs: int, system: bool) -> list[tuple[str, list[int]]]:
    turns = [("system", _words(draw))] if system else []
    for _ in range(pairs):
        turns += [("user", _words(draw)), ("assistant", _words(draw))]
    return turns


def with_a_system_turn(draw: Draw) -> tuple[list, dict]:
    return _turns(draw, 2 + draw.integer(0, 2), True), _frame(draw)


def ends_with_a_question(draw: Draw) -> tuple[list, dict]:
    return [*_turns(draw, 2, False), ("user", _words(draw))], _frame(draw)


def run_chat_tokens(student, turns, frame):
    """Recipe: ids, and the mask as 0 and 1."""
    ids, mask = student([(role, list(content)) for role, content in turns], frame)
    return {"ids": [int(i) for i in ids], "mask": [int(m) for m in mask]}


def chat_tokens(turns, frame, slip=""):
    """ids and mask, or those of a slip."""
    ids, mask = [], []
    last = max((i for i, (role, _) in enumerate(turns) if role == "assistant"), default=-1)
    for i, (role, content) in enumerate(turns):
        opening, after = frame["open"][role], frame["after"]
        counts = role == "assistant"
        if slip == "only the last":
            counts = i == last
        elif slip == "everybody":
            counts = True
        elif slip == "the others":
            counts = not counts
        ids += [*opening, *content, frame["end"], *after]
        mask += [counts and slip == "opening"] * len(opening)
        mask += [counts] * len(content)
        mask += [(counts and slip != "no end") or slip == "every end"]
        mask += [counts and slip == "line break"] * len(after)
    if slip == "places that predict":
        mask = [*mask[1:], False]
    if slip == "all ones":
        mask = [True] * len(ids)
    if slip == "first word lost":
        mask = [m and (i > 0 and mask[i - 1]) for i, m in enumerate(mask)]
    return ids, mask


@functools.cache
def _chatted(slip: str):
    return lambda turns, frame: run_chat_tokens(functools.partial(chat_tokens, slip=slip), turns, frame)


CHAT_SLIPS = {
    "no end": "the end token after a reply is part of what the assistant writes: a model that is never shown where to stop talks on",
    "every end": "the end tokens of the other turns are marked too: whoever reads on does not write them",
    "line break": "what comes after the end token is written by the software around the model: it is not marked",
    "opening": "the opening of the assistant's turn is given to the model: it is not marked",
    "only the last": "every turn of the assistant counts, not only the last one",
    "everybody": "what users and the system say is marked too: the model would learn to write their part",
    "the others": "the mask is turned round: the model would learn to ask, and not to answer",
    "places that predict": "the mask marks the places that predict: mark the tokens to be predicted. The shift by one happens in the loss",
    "all ones": "everything is marked: that is pre-training",
    "first word lost": "the first token of each reply is not marked: it is what the model begins with",
}
_CHATS = tuple(map(_chatted, CHAT_SLIPS))

# ------------------------------------------------------------------------------------------- 2: a prompt that fits


def prompt(turns, frame, limit, slip=""):
    """The longest allowed end of a conversation, or REFUSED; or what a slip gives."""
    opening = [] if slip == "no opening" else frame["open"]["assistant"]
    first = 1 if turns[0][0] == "system" else 0
    system, rest = turns[:first], turns[first:]

    def written(start, kept=system, end=None):
        return [*chat_tokens([*kept, *rest[start:end]], frame)[0], *opening]

    whole = written(0)
    if slip == "never cut" or (slip != "strictly shorter" and len(whole) <= limit):
        return whole
    if slip == "cut in the middle":
        return whole[-limit:]
    if slip == "the newest lost":
        return next((p for e in range(len(rest), 0, -1) if len(p := written(0, end=e)) <= limit), REFUSED)
    starts = [i for i, (role, _) in enumerate(rest) if role == "user" or slip == "begins with a reply"]
    if slip == "nothing but the question":
        starts = starts[-1:]
    for start in starts:
        kept = [] if slip == "system lost" and start else system
        found = written(start, kept)
        length = len(found)
        if slip == "opening not counted":
            length -= len(opening)
        elif slip == "system not counted":
            length -= len(chat_tokens(system, frame)[0])
        if length < limit or (length == limit and slip != "strictly shorter"):
            return found
    return found if slip == "not refused" else REFUSED


REFUSED = "refused with a ValueError"


def run_prompt(student, turns, frame, limit):
    """Recipe: the ids, or that it was refused."""
    try:
        return [int(i) for i in student([(role, list(content)) for role, content in turns], frame, limit)]
    except ValueError:
        return "refused with a ValueError"


@functools.cache
def _prompted(slip: str):
    return lambda turns, frame, limit: prompt(turns, frame, limit, slip)


def _lengths(turns: list, frame: dict) -> list[int]:
    """Of the prompts that begin with each of the user's turns."""
    first = 1 if turns[0][0] == "system" else 0
    users = [i for i, (role, _) in enumerate(turns) if role == "user"]
    opening = len(frame["open"]["assistant"])
    return [len(chat_tokens([*turns[:first], *turns[i:]], frame)[0]) + opening for i in users]


def _conversation(draw: Draw, system: bool) -> tuple[list, dict]:
    return [*_turns(draw, 3 + draw.integer(0, 2), system), ("user", _words(draw))], _frame(draw)


def one_token_too_long(draw: Draw) -> tuple[list, dict, int]:
    """One more exchange would almost fit; at least one before the question does."""
    turns, frame = _conversation(draw, True)
    lengths = _lengths(turns, frame)
    return turns, frame, lengths[draw.integer(0, len(lengths) - 2)] - 1


def just_fits(draw: Draw) -> tuple[list, dict, int]:
    turns, frame = _conversation(draw, False)
    return turns, frame, draw.choice(_lengths(turns, frame)[:-2])


def all_of_it_fits(draw: Draw) -> tuple[list, dict, int]:
    turns, frame = _conversation(draw, draw.choice([True, False]))
    return turns, frame, 500


def question_too_long(draw: Draw) -> tuple[list, dict, int]:
    turns, frame = _conversation(draw, True)
    return turns, frame, _lengths(turns, frame)[-1] - draw.choice([1, 2])


PROMPT_SLIPS = {
    "no opening": "the opening of the assistant's turn is missing: without it the model may go on as anybody",
    "opening not counted": "the opening counts towards the limit as well",
    "system not counted": "the system's turn counts towards the limit as well",
    "system lost": "the system's turn went with the oldest ones: it stays",
    "begins with a reply": "what is left begins with the assistant's answer to a question that was dropped: begin with a user's turn",
    "cut in the middle": "a turn is cut in the middle: drop whole turns, from the oldest on",
    "the newest lost": "the newest turns are dropped, and with them the question: drop the oldest",
    "nothing but the question": "more of the conversation would fit: drop no more than you must",
    "strictly shorter": "a prompt of exactly limit tokens fits",
    "never cut": "is limit used?",
    "not refused": "where not even the last question fits, raise a ValueError: a prompt longer than limit is cut by somebody else",
}
_TOO_LONG = tuple(_prompted(s) for s in PROMPT_SLIPS if s not in ("strictly shorter", "not refused"))
_JUST_FITS = tuple(map(_prompted, ("no opening", "strictly shorter", "never cut")))
_REFUSED = tuple(_prompted(s) for s in ("not refused", "never cut", "cut in the middle", "no opening"))

# ---------------------------------------------------------------------------------------- 3: the loss of the replies


def _logits_and_ids(draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    B, T, V = 2 + draw.integer(0, 2), 6 + draw.integer(0, 3), draw.choice([5, 7])
    return draw.normal(B, T, V, scale=1.5), draw.integers(0, V, B, T)


def unequal_replies(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A short reply in the first row, a long one in the last; what comes after is not marked."""
    logits, ids = _logits_and_ids(draw)
    B, T = ids.shape
    mask = torch.zeros(B, T, dtype=torch.bool)
    for row in range(B):
        start = 2 + draw.integer(0, 2)
        mask[row, start : start + (1 if row == 0 else 2 if row < B - 1 else T - 5)] = True
    return logits, ids, mask


def first_tokens_marked(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """As in pre-training; and one row has no target at all."""
    logits, ids = _logits_and_ids(draw)
    mask = torch.ones_like(ids, dtype=torch.bool)
    mask[1] = False
    mask[0, 4:] = False
    return logits, ids, mask


def nothing_marked(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    logits, ids = _logits_and_ids(draw)
    mask = torch.zeros_like(ids, dtype=torch.bool)
    mask[:, 0] = draw.choice([True, False])
    return logits, ids, mask


def run_loss(student, logits, ids, mask):
    """Recipe: the loss and its gradient by the logits, or that it was refused."""
    logits = logits.clone().requires_grad_()
    try:
        loss = student(logits, ids.clone(), mask.clone())
    except ValueError:
        return "refused with a ValueError"
    loss.backward()
    return {"loss": loss.item(), "gradient": torch.zeros_like(logits) if logits.grad is None else logits.grad}


def reply_loss(logits, ids, mask, slip=""):
    """The loss of the marked tokens, or that of a slip."""
    targets, counted, scores = ids[:, 1:], mask[:, 1:].float(), logits[:, :-1]
    if slip == "not shifted":
        targets, counted, scores = ids, mask.float(), logits
    elif slip == "mask not shifted":
        counted = mask[:, :-1].float()
    elif slip == "shifted twice":
        targets, counted, scores = ids[:, 2:], mask[:, 2:].float(), logits[:, :-2]
    elif slip == "rolled":
        targets, counted, scores = ids.roll(-1, 1), mask.roll(-1, 1).float(), logits
    elif slip == "turned round":
        counted = 1 - counted
    elif slip == "not masked":
        counted = torch.ones_like(counted)
    elif slip == "first of each reply lost":
        counted = counted * mask[:, :-1].float()
    elif slip == "logits masked":
        scores = scores * counted[..., None]
    losses = F.cross_entropy(scores.transpose(1, 2), targets, reduction="none")
    if slip == "logits masked":
        return losses.mean()
    if counted.sum() == 0 and slip != "nothing is zero":
        raise ValueError("mask marks no target")
    total = (losses * counted).sum()
    if slip == "mean of means":
        rows = counted.sum(1)
        return ((losses * counted).sum(1)[rows > 0] / rows[rows > 0]).mean()
    if slip == "mean of means, empty rows too":
        return ((losses * counted).sum(1) / counted.sum(1).clamp(min=1)).mean()
    over = {"all places": losses.numel(), "rows": len(ids), "sum": 1.0, "tokens marked": mask.sum()}
    return total / over.get(slip, counted.sum().clamp(min=1))


@functools.cache
def _lossy(slip: str):
    return lambda logits, ids, mask: run_loss(functools.partial(reply_loss, slip=slip), logits, ids, mask)


LOSS_SLIPS = {
    "not shifted": "the logits at a place predict the next token: compare logits[:, :-1] with ids[:, 1:]",
    "mask not shifted": "the ids are shifted and the mask is not: the first token of every reply drops out, and the token after its end is learned instead",
    "first of each reply lost": "the first token of every reply drops out: the opening before it predicts it",
    "shifted twice": "the targets are shifted twice: the logits are asked for the token after the next",
    "rolled": "roll brings the first token to the end: nothing predicts the first token, and the last logits predict nothing that is there",
    "turned round": "that is the loss of what is not marked",
    "not masked": "is the mask used? That is the loss of all tokens",
    "logits masked": "the mask belongs to the losses: logits that are set to zero still have a loss, log V",
    "mean of means": "that is the mean of the rows' means: a token of a short reply weighs more. Add up all losses and divide by all marked tokens",
    "mean of means, empty rows too": "that is the mean of the rows' means: a token of a short reply weighs more. Add up all losses and divide by all marked tokens",
    "all places": "divided by all places: divide by the tokens that count",
    "rows": "divided by the number of rows: divide by the tokens that count",
    "sum": "that is the sum: divide by the number of tokens that count",
    "tokens marked": "the first token of a row is no target, even where it is marked: it counts neither in the sum nor in the number",
    "nothing is zero": "nothing to learn from is no loss of zero: raise a ValueError",
}
_UNEQUAL = tuple(
    _lossy(s) for s in LOSS_SLIPS if s not in ("rolled", "tokens marked", "mean of means, empty rows too", "nothing is zero")
)  # fmt: skip
_FIRST_MARKED = tuple(
    map(_lossy, ("not shifted", "mask not shifted", "rolled", "tokens marked", "mean of means", "mean of means, empty rows too", "sum"))
)  # fmt: skip

# ------------------------------------------------------------------------------------------------- 4: a padded batch


def _examples(draw: Draw, n: int, end: int, shortest: int = 3, longest: int = 9) -> list[tuple[list, list]]:
    """Prompts and replies; a reply ends in `end`, after which an example may go on; some are marked throughout."""
    examples = []
    for i in range(n):
        asked, said = draw.integer(1, longest - 2), draw.integer(1, 3)
        ids = [1 + draw.integer(0, 40) for _ in range(asked + said)] + [end]
        mask = [False] * asked + [True] * (said + 1)
        if draw.choice([0, 1]):
            ids, mask = [*ids, 50], [*mask, False]
        if i % 3 == 1:
            mask = [True] * len(ids)
        examples.append((ids[:longest], mask[:longest]))
    return [(ids, mask) for ids, mask in examples if len(ids) >= shortest] or [([4, 5, end], [False, True, True])]


def padded_with_the_end(draw: Draw) -> tuple[list, int]:
    end = 51 + draw.integer(0, 5)
    return _examples(draw, 3 + draw.integer(0, 2), end), end


def padded_with_another(draw: Draw) -> tuple[list, int]:
    return _examples(draw, 2 + draw.integer(0, 3), 51 + draw.integer(0, 5)), 0


def run_batch(student, examples, pad):
    """Recipe: tensors, or lists of numbers, as whole numbers."""
    batch = student(examples, pad)
    return {name: torch.as_tensor(values).long() for name, values in batch.items()}


def run_rows(student, examples, seq_len, pad):
    """Recipe: the same, or that it was refused."""
    try:
        batch = student(examples, seq_len, pad)
    except ValueError as error:
        if "expected sequence of length" in str(error):  # torch's, of rows that differ
            raise
        return "refused with a ValueError"
    return {name: torch.as_tensor(values).long() for name, values in batch.items()}


def _targets(ids, mask, slip=""):
    """What each place of one example predicts; its last one nothing."""
    if slip == "not shifted":
        return [i if m else IGNORED for i, m in zip(ids, mask)]
    counted = mask[:-1] if slip == "mask not shifted" else mask[1:]
    if slip == "not masked":
        counted = [True] * (len(ids) - 1)
    return [i if m else IGNORED for i, m in zip(ids[1:], counted)] + [IGNORED]


def collate(examples, pad, slip=""):
    """A padded batch, or that of a slip."""
    width = max(len(ids) for ids, _ in examples) + (slip == "one too wide")
    ids = torch.full((len(examples), width), pad)
    targets = torch.full_like(ids, pad if slip == "pads learned" else IGNORED)
    real = torch.zeros_like(ids)
    for row, (tokens, mask) in enumerate(examples):
        n = len(tokens)
        here = slice(width - n, width) if slip == "padded on the left" else slice(0, n)
        ids[row, here], real[row, here] = torch.tensor(tokens), 1
        targets[row, here] = torch.tensor(_targets(tokens, mask, slip))
        if slip == "first pad learned" and n < width:
            targets[row, n - 1] = pad
        if slip == "rolled" and mask[0]:
            targets[row, width - 1] = tokens[0]
        if slip == "pads learned":
            targets[row, n - 1] = pad
    if slip in ("pads found by id", "found by id"):
        targets[targets == pad] = IGNORED
    if slip in ("real by id", "found by id"):
        real = (ids != pad).long()
    if slip == "real turned round":
        real = 1 - real
    return {"ids": ids, "targets": targets, "real": real}


@functools.cache
def _collated(slip: str):
    return lambda examples, pad: run_batch(functools.partial(collate, slip=slip), examples, pad)


COLLATE_SLIPS = {
    "pads found by id": "the targets lack the real end tokens: here the padding has the same id, and whoever removes the padding by its id removes them too. Such a model never stops. Tell the two apart by their place",
    "found by id": "the targets lack the real end tokens, and real hides them: here the padding has the same id. Such a model never stops. Tell the two apart by their place",
    "real by id": "real says that the end tokens are padding: here both have the same id. Tell them apart by their place",
    "pads learned": "padding is among the targets: what is not a token of an example is -100",
    "first pad learned": "the last token of an example predicts the padding after it: it predicts nothing",
    "not shifted": "targets[b, t] is what the model should say after ids[b, : t + 1]: the next token",
    "mask not shifted": "a target counts where the mask marks *that token*, not the place that predicts it: the first token of every reply is lost here",
    "not masked": "are the masks used?",
    "rolled": "roll brings the first token of a row to its end: nothing predicts it",
    "padded on the left": "padding comes on the right",
    "one too wide": "the batch is as wide as its longest example",
    "real turned round": "real is True for tokens and False for padding",
}
_WITH_END = tuple(map(_collated, COLLATE_SLIPS))
_WITH_ANOTHER = tuple(
    _collated(s) for s in COLLATE_SLIPS if s not in ("pads found by id", "found by id", "real by id", "rolled")
)

# -------------------------------------------------------------------------------------------------- 5: packed rows


def several_rows(draw: Draw) -> tuple[list, int, int]:
    """Two of the examples are short: one token, and two."""
    examples = _examples(draw, 5 + draw.integer(0, 3), 51)
    examples[1:1] = [
        ([1 + draw.integer(0, 40)], [True]),
        ([1 + draw.integer(0, 40), 51], [draw.choice([True, False]), True]),
    ]
    return examples, 11 + draw.integer(0, 4), 0


def exactly_full(draw: Draw) -> tuple[list, int, int]:
    """Some examples fill what is left to the last place."""
    examples = _examples(draw, 4 + draw.integer(0, 2), 51)
    n = [len(ids) for ids, _ in examples]
    return examples, max(n[0] + n[-1], max(n)), 51


def one_too_long(draw: Draw) -> tuple[list, int, int]:
    examples = _examples(draw, 3, 51, longest=8)
    return examples, max(len(ids) for ids, _ in examples) - 1, 0


def pack(examples, seq_len, pad, slip="", fit="first"):
    """Rows of whole examples, or those of a slip. fit: "first", "next", "best", "alone"."""
    if any(len(ids) > seq_len for ids, _ in examples) and slip != "not refused":
        raise ValueError("an example is longer than seq_len")
    if slip == "longest first":
        examples = sorted(examples, key=lambda example: -len(example[0]))
    if slip == "not refused":
        examples = [(ids[:seq_len], mask[:seq_len]) for ids, mask in examples]
    rows: list[list] = []
    for ids, mask in examples:
        room = [seq_len - sum(len(other) for other, _ in row) for row in rows]
        strict = slip == "strictly shorter"
        fits = [i for i, left in enumerate(room) if left > len(ids) or (left == len(ids) and not strict)]
        if fit == "alone":
            fits = []
        elif fit == "next":
            fits = [i for i in fits if i == len(rows) - 1]
        elif fit == "best" and fits:
            fits = [min(fits, key=lambda i: room[i])]
        if not fits:
            rows.append([])
            fits = [len(rows) - 1]
        rows[fits[0]].append((ids, mask))
    return _packed(rows, seq_len, pad, slip)


def _packed(rows, seq_len, pad, slip=""):
    shape = len(rows), seq_len
    ids, targets = torch.full(shape, pad), torch.full(shape, IGNORED)
    segments, positions = torch.full(shape, -1), torch.zeros(shape, dtype=torch.long)
    count = 0
    for row, contents in enumerate(rows):
        start = 0
        for number, (tokens, mask) in enumerate(contents):
            end = start + len(tokens)
            ids[row, start:end] = torch.tensor(tokens)
            targets[row, start:end] = torch.tensor(_targets(tokens, mask, slip))
            if slip == "across the border" and number + 1 < len(contents) and contents[number + 1][1][0]:
                targets[row, end - 1] = contents[number + 1][0][0]
            segments[row, start:end] = {"from 1": number + 1, "through": count}.get(slip, number)
            from_zero = torch.arange(end - start)
            positions[row, start:end] = from_zero + (start if slip == "positions run on" else 0)
            start, count = end, count + 1
        if slip == "leftover counted":
            positions[row, start:] = torch.arange(seq_len - start)
    if slip == "positions run on everywhere":
        positions[:] = torch.arange(seq_len)
    T = torch.arange(seq_len)
    causal, same = T[:, None] >= T, segments[:, :, None] == segments[:, None, :]
    real = segments >= 0
    visible = same & causal
    if slip != "leftover sees leftover":
        visible = visible & real[:, :, None] & real[:, None, :]
        if slip != "leftover sees nothing":
            visible = visible | (T[:, None] == T) & ~real[:, :, None]
    if slip == "cross-talk":
        visible = causal & (real[:, None, :] | (T[:, None] == T))
    elif slip == "causal only":
        visible = causal.expand(len(rows), -1, -1)
    elif slip == "not causal":
        visible = same & real[:, :, None] | (T[:, None] == T)
    elif slip == "not itself":
        visible = same & (T[:, None] > T) & real[:, :, None]
    elif slip == "keys first":
        visible = visible.transpose(1, 2)
    return {"ids": ids, "targets": targets, "segments": segments, "positions": positions, "visible": visible.long()}


def _pack_with(slip):
    fits = {"next fit": "next", "best fit": "best", "one a row": "alone"}
    return functools.partial(pack, slip="" if slip in fits else slip, fit=fits.get(slip, "first"))


@functools.cache
def _filled(slip: str):
    return lambda examples, seq_len, pad: run_rows(_pack_with(slip), examples, seq_len, pad)


PACK_SLIPS = {
    "cross-talk": "examples of a row see each other: a token sees the tokens of its own example up to itself, nothing before it",
    "causal only": "that is one causal mask for the whole row: the examples see each other, and the padding",
    "not causal": "tokens see later ones of their example: they would copy the answer",
    "not itself": "a token sees itself as well",
    "keys first": "visible[r, i, j]: may place i see place j? It is the other way round here",
    "positions run on": "the positions run on through the row: each example begins at 0, as it will when it stands alone",
    "positions run on everywhere": "the positions run on through the row: each example begins at 0, as it will when it stands alone",
    "leftover counted": "positions of what is left over are 0",
    "leftover sees leftover": "what is left over sees itself and nothing else",
    "leftover sees nothing": "what is left over sees itself: a softmax over nothing is NaN",
    "across the border": "the last token of an example is asked for the first one of the next: it predicts nothing",
    "not shifted": "targets[r, t] is the token that follows ids[r, t] in its example",
    "mask not shifted": "a target counts where the mask marks *that token*, not the place that predicts it: the first token of every reply is lost here",
    "not masked": "are the masks used?",
    "next fit": "only the last row is tried: first fit tries all rows, from the first on",
    "best fit": "that is the row with the least room: first fit takes the first with enough",
    "one a row": "every example has a row to itself: nothing is packed",
    "longest first": "the examples were sorted: first fit takes them as they come",
    "strictly shorter": "an example that fills the room to the last place fits",
    "from 1": "segments are numbered from 0 in each row",
    "through": "segments are numbered from 0 in each row",
    "not refused": "an example longer than seq_len cannot be packed: raise a ValueError, and do not cut off its end, which is where the reply is",
}
_ROWS = tuple(_filled(s) for s in PACK_SLIPS if s not in ("strictly shorter", "not refused"))
_FULL = tuple(map(_filled, ("strictly shorter", "cross-talk", "positions run on", "not masked", "one a row")))

# ---------------------------------------------------------------------------------------------- 6: a test of packers


def examples_and_seq_len(examples: object, seq_len: object) -> str | None:
    if type(seq_len) is not int or not 1 <= seq_len <= 24:
        return "seq_len is a whole number from 1 to 24"
    if not isinstance(examples, list) or not 1 <= len(examples) <= 8:
        return "examples is a list of 1 to 8 examples"
    for example in examples:
        if not isinstance(example, list | tuple) or len(example) != 2 or not all(isinstance(x, list) for x in example):
            return "an example is a pair (ids, mask) of two lists"
        ids, mask = example
        if not 1 <= len(ids) == len(mask) <= seq_len:
            return "an example has 1 to seq_len ids, and as many entries in its mask"
        if any(type(i) is not int or not 1 <= i <= 99 for i in ids) or any(type(m) is not bool for m in mask):
            return "ids are whole numbers from 1 to 99, and a mask holds True and False"
    return None


def _plain(packed: dict) -> dict:
    """Lists, as a test sees them; visible as True and False."""
    return {name: (t.bool() if name == "visible" else t).tolist() for name, t in packed.items()}


def packs_first_fit(examples, seq_len):
    return _plain(pack(examples, seq_len, 0))


def packs_longest_first(examples, seq_len):
    """Into the fullest row; segments are numbered through all rows, and what is left over sees what is left over."""
    longest_first = sorted(examples, key=lambda example: -len(example[0]))
    packed = pack(longest_first, seq_len, 0, slip="through", fit="best")
    unused = packed["segments"] < 0
    packed["visible"] |= (unused[:, :, None] & unused[:, None, :]).long()
    return _plain(packed)


def packs_from_behind(examples, seq_len):
    """The last row is filled up before the next begins; segments count from 7, leftover positions go on, pads are 99."""
    packed = pack(examples[::-1], seq_len, 99, fit="next")
    unused = packed["segments"] < 0
    packed["segments"] += 7 * (~unused).long()
    packed["positions"] = torch.where(unused, torch.arange(seq_len), packed["positions"])
    packed["visible"] = torch.where(unused[:, :, None], 0, packed["visible"])
    return _plain(packed)


def _spoilt(change, **options):
    """First fit, and then one thing spoilt: change(packed) changes the tensors in place."""

    def packer(examples, seq_len):
        packed = pack(examples, seq_len, 0, **options)
        change(packed)
        return _plain(packed)

    return packer


def _own_business(packed: dict) -> torch.Tensor:
    """Places of examples: (rows, T) bool."""
    return packed["segments"] >= 0


def _sees_all_before(packed):
    T = packed["ids"].size(1)
    real = _own_business(packed)
    packed["visible"] |= (torch.ones(T, T).tril().bool() & real[:, :, None] & real[:, None, :]).long()


def _runs_on(packed):
    T = packed["ids"].size(1)
    packed["positions"] = torch.where(_own_business(packed), torch.arange(T), packed["positions"])


def _asks_across(packed):
    """The last token of an example is asked for the first of the next."""
    border = (packed["segments"][:, 1:] == packed["segments"][:, :-1] + 1) & (packed["segments"][:, :-1] >= 0)
    packed["targets"][:, :-1] = torch.where(border, packed["ids"][:, 1:], packed["targets"][:, :-1])


def loses_what_does_not_fit(examples, seq_len):
    """Next fit that forgets to open a row for the example that did not fit."""
    rows = [[]]
    for example in examples:
        if sum(len(ids) for ids, _ in [*rows[-1], example]) <= seq_len:
            rows[-1].append(example)
        else:
            rows.append([])
    return _plain(_packed([row for row in rows if row], seq_len, 0))


packs_with_cross_talk = _spoilt(_sees_all_before)
packs_with_running_positions = _spoilt(_runs_on)
packs_with_targets_across = _spoilt(_asks_across)


def packs_without_masks(examples, seq_len):
    return _plain(pack([(ids, [True] * len(ids)) for ids, _ in examples], seq_len, 0))


# ------------------------------------------------------------------------------------- 7: demonstrations for a budget

NUMBERS, SHARES, REPLAYS = (20, 40, 80, 160), (0.0, 0.5, 1.0), (0.0, 0.25, 0.5)
PLAIN, IN_STYLE = 2, 6  # what a demonstration costs
DOLLARS, FORGOTTEN, GOAL = 500, 0.7, 1.05

an_order = tried({"n": NUMBERS, "good": SHARES, "replay": REPLAYS})


def price(design: dict) -> float:
    return design["n"] * (PLAIN + (IN_STYLE - PLAIN) * design["good"])


def loss_on_transcripts(design: dict) -> float:
    losses = row_of("lab11_table", design)["loss on transcripts"]
    return sum(losses) / len(losses)


def reported_gold(design: dict) -> float:
    golds = row_of("lab11_table", design)["gold, to report"]
    return sum(golds) / len(golds)


# --------------------------------------------------------------------------------------------------------- 8: a wrong run

FAULTS = {
    "A": "the end token is the padding, and padding is found by its id",
    "B": "the ids are shifted by one, and the mask is not",
    "C": "the mask is turned round",
    "D": "several examples stand in a row, and attention and positions run on",
    "E": "in use, the program waits for <|endoftext|> to end a reply",
    "F": "there are 20 demonstrations, read 48 times",
    "G": "the learning rate is 20 times too low",
    "H": "there is no mask",
    "I": "the demonstrations are replies of the desk as they come",
}
RUNS = ("a3", "c8", "e5", "g1", "k6", "n2", "r9", "u4", "x7")
OBSERVATIONS = {
    "a": "fewer than 47 % of the tokens are targets",
    "b": "more than 50 % of the tokens are targets",
    "c": "the training loss of the last 10 updates is below 0.12",
    "d": "the program's held-out loss is more than 0.12 above its training loss of the last 10 updates",
    "e": "the loss on the first token of held-out replies is above 2",
    "f": "the loss on the end token of held-out replies is below 1",
    "g": "the loss on transcripts is below 1.7",
    "h": "at least 95 % of the replies end",
    "i": "the loss of a target changes by more than 0.01 when another example stands before its own",
    "j": "fewer than 50 % of the replies are polite",
    "k": "fewer than 50 % of the replies end",
    "l": "more than 5 % of the replies are evasive",
}


LAB = Lab(
    id="lab11",
    title="Supervised fine-tuning",
    provides=("llmlib.data", "llmlib.text"),
    questions=(
        Question(
            id="lab11.q1",
            title="A chat as tokens",
            name="chat_tokens",
            points=2,
            difficulty=2,
            minutes=12,
            printed=True,
            recipe=run_chat_tokens,
            cases=(
                Case(
                    "a conversation with a system turn",
                    inputs=with_a_system_turn,
                    expected=_chatted(""),
                    separates=_CHATS,
                ),
                Case(
                    "one that ends with a question",
                    inputs=ends_with_a_question,
                    expected=_chatted(""),
                    separates=_CHATS,
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_chatted(slip)) for slip, message in CHAT_SLIPS.items()),
                Mistake("return two things: the ids and the mask", error="values to unpack|cannot unpack"),
                Mistake(
                    "the mask is as long as the ids: one entry for every token, those of the frame too",
                    when=lambda value, turns, frame: len(value["ids"]) != len(value["mask"]),
                ),
            ),
        ),
        Question(
            id="lab11.q2",
            title="A prompt that fits",
            name="prompt_tokens",
            points=3,
            difficulty=3,
            minutes=18,
            uses=("lab11.q1",),
            recipe=run_prompt,
            cases=(
                Case("one token too long", inputs=one_token_too_long, expected=_prompted(""), separates=_TOO_LONG),
                Case("just fits", inputs=just_fits, expected=_prompted(""), separates=_JUST_FITS),
                Case(
                    "all of it fits",
                    inputs=all_of_it_fits,
                    expected=_prompted(""),
                    separates=(_prompted("no opening"),),
                ),
                Case("the question is too long", inputs=question_too_long, expected=_prompted(""), separates=_REFUSED),
            ),
            mistakes=tuple(Mistake(message, wrong=_prompted(slip)) for slip, message in PROMPT_SLIPS.items()),
        ),
        Question(
            id="lab11.q3",
            title="The loss of the replies",
            name="reply_loss",
            points=2,
            difficulty=2,
            minutes=12,
            printed=True,
            recipe=run_loss,
            cases=(
                Case("replies of unequal length", inputs=unequal_replies, expected=_lossy(""), separates=_UNEQUAL),
                Case(
                    "first tokens are marked, and a row has no target",
                    inputs=first_tokens_marked,
                    expected=_lossy(""),
                    separates=_FIRST_MARKED,
                ),
                Case(
                    "nothing to learn",
                    inputs=nothing_marked,
                    expected=_lossy(""),
                    separates=(_lossy("nothing is zero"),),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_lossy(slip)) for slip, message in LOSS_SLIPS.items()),
                Mistake(
                    "the loss is cut off from the logits (.item(), .detach(), torch.tensor)",
                    error="does not require grad|has no attribute 'backward'|has no attribute 'item'",
                ),
                Mistake(
                    "NaN: 0 / 0. Where no target is left, raise a ValueError",
                    when=lambda value, *inputs: not isinstance(value, str) and value["loss"] != value["loss"],
                ),
            ),
        ),
        Question(
            id="lab11.q4",
            title="A padded batch",
            name="collate",
            points=3,
            difficulty=3,
            minutes=15,
            recipe=run_batch,
            cases=(
                Case(
                    "the end token is the padding",
                    inputs=padded_with_the_end,
                    expected=_collated(""),
                    separates=_WITH_END,
                ),
                Case(
                    "another token is the padding",
                    inputs=padded_with_another,
                    expected=_collated(""),
                    separates=_WITH_ANOTHER,
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_collated(slip)) for slip, message in COLLATE_SLIPS.items()),
                Mistake(
                    "rows of one tensor have the same length: fill up ids, targets and real alike",
                    error="expected sequence of length",
                ),
            ),
        ),
        Question(
            id="lab11.q5",
            title="Packed rows",
            name="pack",
            points=4,
            difficulty=4,
            minutes=22,
            recipe=run_rows,
            cases=(
                Case("several rows", inputs=several_rows, expected=_filled(""), separates=_ROWS),
                Case("exactly full", inputs=exactly_full, expected=_filled(""), separates=_FULL),
                Case(
                    "one is too long",
                    inputs=one_too_long,
                    expected=_filled(""),
                    separates=(_filled("not refused"),),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_filled(slip)) for slip, message in PACK_SLIPS.items()),
                Mistake(
                    "rows of one tensor have the same length: fill up what is left over",
                    error="expected sequence of length",
                ),
            ),
        ),
        Question(
            id="lab11.q6",
            title="Test somebody else's packing",
            name="holds",
            kind="test",
            examples="examples",
            points=3,
            difficulty=4,
            minutes=18,
            valid=examples_and_seq_len,
            right=(
                Subject("first fit", packs_first_fit),
                Subject("the longest first, and segments numbered through all rows", packs_longest_first),
                Subject("the last one first, and segments numbered from 7", packs_from_behind),
            ),
            wrong=(
                Subject("lets the examples of a row see each other", packs_with_cross_talk),
                Subject("lets positions run on through a row", packs_with_running_positions),
                Subject("asks the last token of an example for the first of the next", packs_with_targets_across),
                Subject("loses an example that did not fit into the row", loses_what_does_not_fit),
                Subject("makes every token a target", packs_without_masks),
            ),
        ),
        Question(
            id="lab11.q7",
            title="Demonstrations for a budget",
            name="purchase",
            kind="design",
            points=3,
            difficulty=3,
            minutes=15,
            valid=an_order,
            budgets=(
                Budget("price", "dollars", DOLLARS, price),
                Budget("loss on transcripts", "nats per token", FORGOTTEN, loss_on_transcripts),
            ),
            score=Score("gold reward on the requests to report", "mean of two seeds", GOAL, reported_gold),
        ),
        Question(
            id="lab11.q8",
            title="A fine-tuning that went wrong",
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
            "lab11.p1",
            "Gold reward of replies only minus that of everything",
            name="predicted_difference",
            number=Number(-1, 1, unit="gold reward"),
        ),
        Ungraded("lab11.t1", "Read the table", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab11.c1",
            "Highest gold reward after 30 s",
            name="best_reward",
            kind="challenge",
            number=Number(-5, 1.6, unit="gold reward"),
            baseline=1.04,
            better="higher",
            seconds=30,
        ),
    ),
)
