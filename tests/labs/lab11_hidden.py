"""Lab 11, for staff: hidden cases, keys, mutants, rubrics."""

import torch

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab11 import (
    REFUSED,
    _chatted,
    _collated,
    _examples,
    _filled,
    _frame,
    _lossy,
    _packed,
    _plain,
    _prompted,
    _spoilt,
    _turns,
    _words,
    all_of_it_fits,
    ends_with_a_question,
    exactly_full,
    first_tokens_marked,
    just_fits,
    nothing_marked,
    one_token_too_long,
    one_too_long,
    pack,
    padded_with_another,
    padded_with_the_end,
    question_too_long,
    several_rows,
    unequal_replies,
    with_a_system_turn,
)


def _sees_ahead(packed):
    same = packed["segments"][:, :, None] == packed["segments"][:, None, :]
    packed["visible"] |= (same & (packed["segments"] >= 0)[:, :, None]).long()


def _third_sees_the_second(packed):
    third, second = packed["segments"] == 2, packed["segments"] == 1
    packed["visible"] |= (third[:, :, None] & second[:, None, :]).long()


def _sees_the_leftover(packed):
    real = packed["segments"] >= 0
    packed["visible"] |= (real[:, :, None] & ~real[:, None, :]).long()


def _not_its_first(packed):
    """The first token of an example is hidden from those after it."""
    first = (packed["positions"] == 0) & (packed["segments"] >= 0)
    T = torch.arange(first.size(1))
    packed["visible"] *= (~(first[:, None, :] & (T[:, None] > T))).long()


def _leftover_is_a_target(packed):
    unused = packed["segments"] < 0
    packed["targets"][unused] = 0


def _learns_the_first_pad(packed):
    border = (packed["segments"][:, 1:] < 0) & (packed["segments"][:, :-1] >= 0)
    packed["targets"][:, :-1][border] = 0


def _positions_from_one(packed):
    packed["positions"] += (packed["segments"] >= 1).long()


def _one_number(packed):
    """All examples of a row have the segment 0; what they see is right."""
    packed["segments"].clamp_(max=0)


def _end_lost(packed):
    """The last marked token of every row is no target: the end token, where a row ends in a reply."""
    for targets in packed["targets"]:
        at = (targets != -100).nonzero()
        if len(at):
            targets[at[-1]] = -100


def splits_at_the_end_of_a_row(examples, seq_len):
    """An example that does not fit is cut, and its rest begins the next row."""
    rows, left = [[]], [(list(ids), list(mask)) for ids, mask in examples]
    while left:
        ids, mask = left.pop(0)
        room = seq_len - sum(len(other) for other, _ in rows[-1])
        if room == 0:
            rows.append([])
            room = seq_len
        rows[-1].append((ids[:room], mask[:room]))
        if len(ids) > room:
            left.insert(0, (ids[room:], mask[room:]))
    return _plain(_packed(rows, seq_len, 0))


def drops_copies(examples, seq_len):
    kept = [e for i, e in enumerate(examples) if e not in examples[:i]]
    return _plain(pack(kept, seq_len, 0))


def fills_up_with_another_copy(examples, seq_len):
    """What is left over in the last row is filled up with the first example again, if it fits."""
    used = pack(examples, seq_len, 0)["segments"]
    more = examples[:1] if int((used[-1] < 0).sum()) >= len(examples[0][0]) else []
    return _plain(pack([*examples, *more], seq_len, 0))


def shifts_ids_alone(examples, seq_len):
    return _plain(pack(examples, seq_len, 0, slip="mask not shifted"))


def drops_the_last_token(examples, seq_len):
    return _plain(pack([(ids[:-1], mask[:-1]) if len(ids) > 1 else (ids, mask) for ids, mask in examples], seq_len, 0))


HIDDEN = {
    "lab11.q1": [
        Case("other conversations", inputs=with_a_system_turn, expected=_chatted("")),
        Case("others that end with a question", inputs=ends_with_a_question, expected=_chatted("")),
        Case(
            "nothing after the end token",
            inputs=lambda draw: (_turns(draw, 2, True), _frame(draw) | {"after": []}),
            expected=_chatted(""),
        ),
        Case(
            "a question and nothing else", inputs=lambda draw: ([("user", _words(draw))], _frame(draw)), expected=_chatted("")
        ),
    ],
    "lab11.q2": [
        Case("others one token too long", inputs=one_token_too_long, expected=_prompted("")),
        Case("others that just fit", inputs=just_fits, expected=_prompted("")),
        Case("others that fit", inputs=all_of_it_fits, expected=_prompted("")),
        Case("other questions too long", inputs=question_too_long, expected=_prompted("")),
        Case(
            "the question alone, and a little too long",
            inputs=lambda draw: ([("user", [1, 2, 3])], _frame(draw), 3),
            expected=REFUSED,
        ),
    ],
    "lab11.q3": [
        Case("other replies", inputs=unequal_replies, expected=_lossy("")),
        Case("other first tokens", inputs=first_tokens_marked, expected=_lossy("")),
        Case("nothing again", inputs=nothing_marked, expected=_lossy("")),
    ],
    "lab11.q4": [
        Case("others padded with the end", inputs=padded_with_the_end, expected=_collated("")),
        Case("others padded with another", inputs=padded_with_another, expected=_collated("")),
        Case(
            "one example alone",
            inputs=lambda draw: (_examples(draw, 1, 51), 51),
            expected=_collated(""),
        ),
    ],
    "lab11.q5": [
        Case("other rows", inputs=several_rows, expected=_filled("")),
        Case("others exactly full", inputs=exactly_full, expected=_filled("")),
        Case("others too long", inputs=one_too_long, expected=_filled("")),
        Case(
            "one example as long as a row",
            inputs=lambda draw: ([([4, 5, 51], [False, True, True])], 3, 51),
            expected=_filled(""),
        ),
    ],
    "lab11.q6": [
        Subject("lets a token see the later ones of its example", _spoilt(_sees_ahead)),
        Subject("lets the third example of a row see the second", _spoilt(_third_sees_the_second)),
        Subject("lets tokens see what is left over", _spoilt(_sees_the_leftover)),
        Subject("hides the first token of an example from those after it", _spoilt(_not_its_first)),
        Subject("makes what is left over a target", _spoilt(_leftover_is_a_target)),
        Subject("asks the last token of a row for the padding", _spoilt(_learns_the_first_pad)),
        Subject("counts positions from 1, but for the first example of a row", _spoilt(_positions_from_one)),
        Subject("gives all examples of a row the same segment", _spoilt(_one_number)),
        Subject("loses the last target of a row", _spoilt(_end_lost)),
        Subject("cuts examples at the end of a row", splits_at_the_end_of_a_row),
        Subject("keeps one of two examples that are alike", drops_copies),
        Subject("fills up the last row with a copy", fills_up_with_another_copy),
        Subject("shifts the ids and not the mask", shifts_ids_alone),
        Subject("drops the last token of every example", drops_the_last_token),
    ],
    "lab11.q7": [],
    "lab11.q8": [
        Key(
            runs=dict(zip(("a3", "c8", "e5", "g1", "k6", "n2", "r9", "u4", "x7"), "HDAGFCIBE", strict=True)),
            true={
                "A": "ak", "B": "cefhjl", "C": "bdejk", "D": "fhi", "E": "fk", "F": "cdef", "G": "gjkl", "H": "bfgh",
                "I": "adefhjl", "correct": "fh",
            },
        )
    ],
}  # fmt: skip

# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab11_faults"
_TARGETS, _TRAINING = "share of the tokens that are targets, percent", "training loss, last 10 updates"
OBSERVED = {
    "a": lambda t, correct: t[_TARGETS] < 47,
    "b": lambda t, correct: t[_TARGETS] > 50,
    "c": lambda t, correct: t[_TRAINING] < 0.12,
    "d": lambda t, correct: t["held-out loss, as the program computes it"] > t[_TRAINING] + 0.12,
    "e": lambda t, correct: t["loss on the first token of held-out replies"] > 2,
    "f": lambda t, correct: t["loss on the end token of held-out replies"] < 1,
    "g": lambda t, correct: t["loss on transcripts"] < 1.7,
    "h": lambda t, correct: t["replies that end, percent"] >= 95,
    "i": lambda t, correct: t["change of a target's loss behind another example"] > 0.01,
    "j": lambda t, correct: t["polite, percent"] < 50,
    "k": lambda t, correct: t["replies that end, percent"] < 50,
    "l": lambda t, correct: t["evasive, percent"] > 5,
}


def _chat(
    opening: str = "[False] * len(opening)",
    said: str = "[role == 'assistant'] * len(content)",
    end: str = "[role == 'assistant']",
    after: str = "[False] * len(frame['after'])",
    last: str = "ids, mask",
) -> str:
    return f"""def chat_tokens(turns, frame):
    ids, mask = [], []
    replies = [i for i, (role, _) in enumerate(turns) if role == "assistant"]
    for i, (role, content) in enumerate(turns):
        opening = frame["open"][role]
        ids += [*opening, *content, frame["end"], *frame["after"]]
        mask += {opening} + {said} + {end} + {after}
    return {last}
"""


def _prompt(
    start: str = "range(first, len(turns), 2)",
    kept: str = "turns[:first] + turns[start:]",
    opening: str = "frame['open']['assistant']",
    length: str = "len(ids)",
    fits: str = "<=",
    otherwise: str = "raise ValueError('too long')",
) -> str:
    return f"""def prompt_tokens(turns, frame, limit):
    first = 1 if turns[0][0] == "system" else 0
    for start in {start}:
        ids = list(chat_tokens({kept}, frame)[0]) + {opening}
        if {length} {fits} limit:
            return ids
    {otherwise}
"""


def _loss(
    first: str = "",
    scores: str = "logits[:, :-1]",
    targets: str = "ids[:, 1:]",
    counted: str = "mask[:, 1:]",
    refuse: str = "if counted.sum() == 0: raise ValueError('nothing')",
    value: str = "(losses * counted).sum() / counted.sum()",
) -> str:
    return f"""def reply_loss(logits, ids, mask):
    {first or "pass"}
    counted = {counted}
    {refuse}
    losses = F.cross_entropy(({scores}).transpose(1, 2), {targets}, reduction="none")
    return {value}
"""


def _collate(
    targets: str = "[i if m else -100 for i, m in zip(ids[1:], mask[1:])] + [-100] * (T - n + 1)",
    rows: str = "ids + [pad] * (T - n)",
    real: str = "[True] * n + [False] * (T - n)",
    width: str = "max(len(ids) for ids, _ in examples)",
    after: str = "pass",
) -> str:
    return f"""def collate(examples, pad):
    T = {width}
    batch = dict(ids=[], targets=[], real=[])
    for ids, mask in examples:
        n = len(ids)
        batch["ids"].append({rows})
        batch["targets"].append({targets})
        batch["real"].append({real})
    batch = {{name: torch.tensor(rows) for name, rows in batch.items()}}
    {after}
    return batch
"""


def _pack(
    first: str = "pass",
    refuse: str = "if max(len(ids) for ids, _ in examples) > seq_len: raise ValueError('too long')",
    place: str = "next((i for i, left in enumerate(room) if left >= len(ids)), None)",
    targets: str = "[i if m else -100 for i, m in zip(ids[1:], mask[1:])] + [-100]",
    segment: str = "number[place]",
    positions: str = "list(range(len(ids)))",
    rest: str = "0",
    visible: str = "same & real[:, :, None] & (T[:, None] >= T) | (T[:, None] == T)",
    after: str = "pass",
) -> str:
    return f"""def pack(examples, seq_len, pad):
    {first}
    {refuse}
    rows, room, number = [], [], []
    for ids, mask in examples:
        place = {place}
        if place is None:
            place = len(rows)
            rows.append([[], [], [], []])
            room.append(seq_len)
            number.append(0)
        begin = seq_len - room[place]
        for row, more in zip(rows[place], (ids, {targets}, [{segment}] * len(ids), {positions})):
            row += more
        room[place] -= len(ids)
        number[place] += 1
    for row, left in zip(rows, room):
        for part, fill in zip(row, (pad, -100, -1, {rest})):
            part += [fill] * left
    names = ("ids", "targets", "segments", "positions")
    batch = {{name: torch.tensor([row[i] for row in rows]) for i, name in enumerate(names)}}
    segments, T = batch["segments"], torch.arange(seq_len)
    same, real = segments[:, :, None] == segments[:, None, :], segments >= 0
    causal = (T[:, None] >= T).expand(len(rows), -1, -1)
    batch["visible"] = {visible}
    {after}
    return batch
"""


def _purchase(**changes) -> str:
    fine = BOUGHT | changes
    return f"purchase = {fine}"


BOUGHT = {"n": 80, "good": 1.0, "replay": 0.25}

_EXAMPLES = """[(asked + read, 12), (read + asked + read, 7), (read + asked, 24), ([read[2], asked[0], asked[0]], 5)]"""
_WHOLE = "places == list(range(places[0], places[-1] + 1))"
_POSITIONS = "[positions[i] for i in places] == list(range(len(places)))"
_VISIBLE = "all(visible[i][j] == (j in places and j <= i) for i in places for j in range(seq_len))"
_LEFTOVER = "segment == -1 and all(targets[i] == -100 for i in places)"
_FOUND = "([ids[i] for i in places], [targets[i] for i in places])"
_WANTED = "(list(ids), [i if m else -100 for i, m in zip(ids[1:], mask[1:])] + [-100])"


def _test(
    examples: str = _EXAMPLES,
    whole: str = _WHOLE,
    positions: str = _POSITIONS,
    visible: str = _VISIBLE,
    leftover: str = _LEFTOVER,
    found: str = _FOUND,
    wanted: str = _WANTED,
    more: str = "True",
) -> str:
    return f"""def examples():
    asked = [([5, 6, 7, 8], [False, False, True, True]), ([9, 10, 8], [False, True, True])]
    read = [([11, 12, 13], [True, True, True]), ([14, 8], [True, True]), ([15, 16, 17, 18, 8], [True] * 5)]
    return {examples}


def holds(inputs, output):
    wanted, found, seq_len = sorted({wanted} for ids, mask in inputs[0]), [], inputs[1]
    for row in range(len(output["ids"])):
        ids, targets, segments, positions = (output[n][row] for n in ("ids", "targets", "segments", "positions"))
        visible = output["visible"][row]
        for segment in set(segments):
            places = [i for i in range(seq_len) if segments[i] == segment]
            if segment < 0:
                if not ({leftover}):
                    return False
                continue
            if not ({whole} and {positions} and {visible}):
                return False
            found.append({found})
    return sorted(found) == wanted and {more}
"""


MUTANTS = [
    Mutant("lab11.q1", "end token not marked", _chat(end="[False]"), "where to stop talks on"),
    Mutant("lab11.q1", "every end token marked", _chat(end="[True]"), "of the other turns are marked"),
    Mutant("lab11.q1", "line break marked", _chat(after="[role == 'assistant'] * len(frame['after'])"), "after the end token"),
    Mutant("lab11.q1", "opening marked", _chat(opening="[role == 'assistant'] * len(opening)"), "is given to the model"),
    Mutant("lab11.q1", "last reply only", _chat(said="[i == replies[-1]] * len(content)", end="[i == replies[-1]]"), "not only the last one"),
    Mutant("lab11.q1", "everybody's words", _chat(said="[True] * len(content)", end="[True]"), "to write their part"),
    Mutant("lab11.q1", "turned round", _chat(said="[role != 'assistant'] * len(content)", end="[role != 'assistant']"), "the mask is turned round"),
    Mutant("lab11.q1", "places that predict", _chat(last="ids, mask[1:] + [False]"), "The shift by one happens in the loss"),
    Mutant("lab11.q1", "all ones", _chat(last="ids, [True] * len(ids)"), "that is pre-training"),
    Mutant("lab11.q1", "first word not marked", _chat(said="([False] + [role == 'assistant'] * (len(content) - 1))"), "what the model begins with"),
    Mutant("lab11.q1", "mask without the frame", _chat(opening="[]", after="[]"), "as long as the ids"),
    Mutant("lab11.q1", "ids alone", _chat(last="ids"), "return two things"),
    Mutant("lab11.q2", "no opening", _prompt(opening="[]"), "the opening of the assistant's turn is missing"),
    Mutant("lab11.q2", "opening not counted", _prompt(length="len(ids) - len(frame['open']['assistant'])"), "counts towards the limit as well"),
    Mutant("lab11.q2", "system not counted", _prompt(length="len(ids) - len(chat_tokens(turns[:first], frame)[0])"), "the system's turn counts"),
    Mutant("lab11.q2", "system lost", _prompt(kept="turns[:first] * (start == first) + turns[start:]"), "it stays"),
    Mutant("lab11.q2", "begins with a reply", _prompt(start="range(first, len(turns))"), "begin with a user's turn"),
    Mutant("lab11.q2", "cut in the middle", _prompt(start="[first]", otherwise="return ids[-limit:]"), "cut in the middle"),
    Mutant("lab11.q2", "the newest dropped", _prompt(start="range(len(turns), first, -1)", kept="turns[:start]"), "drop the oldest"),
    Mutant("lab11.q2", "nothing but the question", _prompt(start="[first, len(turns) - 1]"), "no more than you must"),
    Mutant("lab11.q2", "strictly shorter", _prompt(fits="<"), "exactly limit tokens fits"),
    Mutant("lab11.q2", "never cut", _prompt(fits=">= 0 *"), "is limit used"),
    Mutant("lab11.q2", "not refused", _prompt(otherwise="return ids"), "raise a ValueError"),
    Mutant("lab11.q3", "not shifted", _loss(scores="logits", targets="ids", counted="mask"), "predict the next token"),
    Mutant("lab11.q3", "mask not shifted", _loss(counted="mask[:, :-1]"), "and the mask is not"),
    Mutant("lab11.q3", "first token of a reply lost", _loss(counted="mask[:, 1:] & mask[:, :-1]"), "the opening before it predicts it"),
    Mutant("lab11.q3", "shifted twice", _loss(scores="logits[:, :-2]", targets="ids[:, 2:]", counted="mask[:, 2:]"), "shifted twice"),
    Mutant("lab11.q3", "rolled", _loss(scores="logits", targets="ids.roll(-1, 1)", counted="mask.roll(-1, 1)"), "nothing predicts the first token"),
    Mutant("lab11.q3", "turned round", _loss(counted="~mask[:, 1:]"), "of what is not marked"),
    Mutant("lab11.q3", "not masked", _loss(counted="torch.ones_like(mask[:, 1:])", refuse="if not mask[:, 1:].any(): raise ValueError()"), "is the mask used"),
    Mutant("lab11.q3", "logits masked", _loss(scores="logits[:, :-1] * mask[:, 1:, None]", value="losses.mean()"), "belongs to the losses"),
    Mutant("lab11.q3", "mean of means", _loss(value="torch.stack([l[c].mean() for l, c in zip(losses, counted) if c.any()]).mean()"), "mean of the rows' means"),
    Mutant("lab11.q3", "mean of all rows' means", _loss(value="((losses * counted).sum(1) / counted.sum(1).clamp(min=1)).mean()"), "mean of the rows' means"),
    Mutant("lab11.q3", "over all places", _loss(value="(losses * counted).mean()"), "divided by all places"),
    Mutant("lab11.q3", "over rows", _loss(value="(losses * counted).sum() / len(ids)"), "number of rows"),
    Mutant("lab11.q3", "sum", _loss(value="(losses * counted).sum()"), "that is the sum"),
    Mutant("lab11.q3", "first tokens counted", _loss(value="(losses * counted).sum() / mask.sum()"), "neither in the sum nor in the number"),
    Mutant("lab11.q3", "zero for nothing", _loss(refuse="pass", value="(losses * counted).sum() / counted.sum().clamp(min=1)"), "no loss of zero"),
    Mutant("lab11.q3", "NaN for nothing", _loss(refuse="pass"), "NaN: 0 / 0"),
    Mutant("lab11.q3", "a number", _loss(value="((losses * counted).sum() / counted.sum()).item()"), "cut off from the logits"),
    Mutant("lab11.q4", "padding found by its id in the targets", _collate(after="batch['targets'][batch['targets'] == pad] = -100"), "Such a model never stops"),
    Mutant("lab11.q4", "padding found by its id", _collate(after="batch['targets'][batch['targets'] == pad] = -100; batch['real'] = batch['ids'] != pad"), "and real hides them"),
    Mutant("lab11.q4", "real found by its id", _collate(after="batch['real'] = batch['ids'] != pad"), "says that the end tokens are padding"),
    Mutant("lab11.q4", "padding learned", _collate(targets="[i if m else -100 for i, m in zip(ids[1:], mask[1:])] + [pad] * (T - n + 1)"), "padding is among the targets"),
    Mutant("lab11.q4", "first pad learned", _collate(targets="[i if m else -100 for i, m in zip(ids[1:], mask[1:])] + ([pad] + [-100] * (T - n) if n < T else [-100])"), "predicts the padding after it"),
    Mutant("lab11.q4", "not shifted", _collate(targets="[i if m else -100 for i, m in zip(ids, mask)] + [-100] * (T - n)"), "the next token"),
    Mutant("lab11.q4", "mask not shifted", _collate(targets="[i if m else -100 for i, m in zip(ids[1:], mask)] + [-100] * (T - n + 1)"), "the first token of every reply is lost here"),
    Mutant("lab11.q4", "not masked", _collate(targets="ids[1:] + [-100] * (T - n + 1)"), "are the masks used"),
    Mutant("lab11.q4", "rolled", _collate(targets="[i if m else -100 for i, m in zip(ids[1:], mask[1:])] + [-100] * (T - n) + [ids[0] if mask[0] else -100]"), "to its end: nothing predicts it"),
    Mutant("lab11.q4", "padded on the left", _collate("[-100] * (T - n) + [i if m else -100 for i, m in zip(ids[1:], mask[1:])] + [-100]", "[pad] * (T - n) + ids", "[False] * (T - n) + [True] * n"), "padding comes on the right"),
    Mutant("lab11.q4", "one too wide", _collate(width="1 + max(len(ids) for ids, _ in examples)"), "as wide as its longest"),
    Mutant("lab11.q4", "real turned round", _collate(real="[False] * n + [True] * (T - n)"), "False for padding"),
    Mutant("lab11.q4", "targets not filled up", _collate(targets="[i if m else -100 for i, m in zip(ids[1:], mask[1:])]"), "have the same length"),
    Mutant("lab11.q5", "cross-talk", _pack(visible="causal & real[:, None, :] | (T[:, None] == T)"), "see each other: a token sees"),
    Mutant("lab11.q5", "one causal mask", _pack(visible="causal"), "one causal mask for the whole row"),
    Mutant("lab11.q5", "not causal", _pack(visible="same & real[:, :, None] | (T[:, None] == T)"), "they would copy the answer"),
    Mutant("lab11.q5", "not itself", _pack(visible="same & real[:, :, None] & (T[:, None] > T)"), "sees itself as well"),
    Mutant("lab11.q5", "keys first", _pack(after="batch['visible'] = batch['visible'].transpose(1, 2)"), "may place i see place j"),
    Mutant("lab11.q5", "positions run on", _pack(positions="list(range(begin, begin + len(ids)))"), "run on through the row"),
    Mutant("lab11.q5", "positions run on to the end", _pack(after="batch['positions'] = T.expand(len(rows), -1)"), "run on through the row"),
    Mutant("lab11.q5", "leftover positions counted", _pack(after="batch['positions'] = torch.where(real, batch['positions'], T - (T * 0 + (~real).int().argmax(1)[:, None]))"), "left over are 0"),
    Mutant("lab11.q5", "leftover sees leftover", _pack(visible="same & causal"), "sees itself and nothing else"),
    Mutant("lab11.q5", "leftover sees nothing", _pack(visible="same & real[:, :, None] & causal"), "softmax over nothing"),
    Mutant("lab11.q5", "across the border", _pack(targets="[i if m else -100 for i, m in zip(ids[1:], mask[1:])] + [None]", after="pass").replace("    for row, left in zip(rows, room):", "    for row in rows:\n        row[1] = [row[0][i + 1] if t is None and i + 1 < len(row[0]) and first_counts(examples, row, i + 1) else -100 if t is None else t for i, t in enumerate(row[1])]\n    for row, left in zip(rows, room):") + "\n\ndef first_counts(examples, row, at):\n    rest = row[0][at:]\n    n = next((k for k in range(1, len(rest)) if row[3][at + k] == 0), len(rest))\n    return next(mask[0] for ids, mask in examples if ids == rest[:n])\n", "for the first one of the next"),
    Mutant("lab11.q5", "not shifted", _pack(targets="[i if m else -100 for i, m in zip(ids, mask)]"), "is the token that follows"),
    Mutant("lab11.q5", "mask not shifted", _pack(targets="[i if m else -100 for i, m in zip(ids[1:], mask)] + [-100]"), "the first token of every reply is lost here"),
    Mutant("lab11.q5", "not masked", _pack(targets="ids[1:] + [-100]"), "are the masks used"),
    Mutant("lab11.q5", "next fit", _pack(place="len(rows) - 1 if rows and room[-1] >= len(ids) else None"), "only the last row is tried"),
    Mutant("lab11.q5", "best fit", _pack(place="min((i for i, left in enumerate(room) if left >= len(ids)), key=lambda i: room[i], default=None)"), "the least room"),
    Mutant("lab11.q5", "one a row", _pack(place="None"), "nothing is packed"),
    Mutant("lab11.q5", "longest first", _pack(first="examples = sorted(examples, key=lambda e: -len(e[0]))"), "takes them as they come"),
    Mutant("lab11.q5", "strictly shorter", _pack(place="next((i for i, left in enumerate(room) if left > len(ids)), None)"), "to the last place fits"),
    Mutant("lab11.q5", "segments from 1", _pack(segment="number[place] + 1"), "numbered from 0 in each row"),
    Mutant("lab11.q5", "segments through all rows", _pack(after="batch['segments'] = torch.where(real, segments + torch.tensor([0, *number[:-1]]).cumsum(0)[:, None], -1)"), "numbered from 0 in each row"),
    Mutant("lab11.q5", "cut instead of refused", _pack(refuse="examples = [(ids[:seq_len], mask[:seq_len]) for ids, mask in examples]"), "do not cut off its end"),
    Mutant("lab11.q5", "not filled up", _pack().replace("part += [fill] * left", "pass"), "fill up what is left over"),
    Mutant("lab11.q6", "ids only", _test(whole="True", positions="True", visible="True", leftover="True", found="[ids[i] for i in places]", wanted="list(ids)"), "see each other"),
    Mutant("lab11.q6", "positions not looked at", _test(positions="True"), "positions run on"),
    Mutant("lab11.q6", "visible not looked at", _test(visible="True"), "see each other"),
    Mutant("lab11.q6", "targets not looked at", _test(leftover="True", found="[ids[i] for i in places]", wanted="list(ids)"), "for the first of the next"),
    Mutant("lab11.q6", "one example at a time", _test(examples="[([e], 6) for e in asked + read]"), "your test accepts"),
    Mutant("lab11.q6", "every row is full", _test(examples="[([e], len(e[0])) for e in asked + read]"), "your test accepts"),
    Mutant("lab11.q6", "first fit only", _test(more="min(map(min, output['segments'])) <= 0 and all(0 in row for row in output['segments'])"), "refuses a right answer"),
    Mutant("lab11.q6", "an example too long", _test(examples="[(asked, 3)]"), "1 to seq_len ids"),
    Mutant("lab11.q7", "too expensive", _purchase(n=160), "over the budget (price)"),
    Mutant("lab11.q7", "forgets", _purchase(replay=0.0), "over the budget (loss on transcripts)"),
    Mutant("lab11.q7", "many plain ones", _purchase(n=160, good=0.0), "not good enough yet"),
    Mutant("lab11.q7", "too much replay", _purchase(replay=0.5), "not good enough yet"),
    Mutant("lab11.q7", "a number that nobody tried", _purchase(n=100), "nothing else was tried"),
    Mutant("lab11.q8", "another cause", 'diagnosis = {"cause": "H", "evidence": ["b", "e"]}', "not what went wrong"),
    Mutant("lab11.q8", "untrue evidence", 'diagnosis = {"cause": "C", "evidence": ["h", "b"]}', "is not true of your run"),
    Mutant("lab11.q8", "evidence for two causes", 'diagnosis = {"cause": "C", "evidence": ["b"]}', "seen under another cause"),
    Mutant("lab11.q8", "a letter", 'diagnosis = "C"', "write it as"),
]  # fmt: skip

# The challenge: 1.24 with the 100 demonstrations in good style alone, 1.32 when the plain ones are given a first and a last
# sentence of theirs, 1.38 with items exchanged besides and 300 updates, 13 s.
RUBRICS = {
    "lab11.t1": "3: reads from the table that good demonstrations beat several times as many plain ones for the same money, and says why (style is copied, "
    "and part of the reward is style); that a quarter of replay keeps the transcripts at a small price, and half saves little more; and weighs differences "
    "against those between seeds, with a limit named. 2: two of the three. 1: describes the curves without weighing them. 0: no table read.",
}
