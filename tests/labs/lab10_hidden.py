"""Lab 10, for staff: hidden cases, keys, mutants, rubrics."""

import torch

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab10 import (
    DELIMITER,
    EXTRACT,
    _answered,
    _both,
    _calibrated,
    _headed,
    _prompted,
    _scored,
    _wrongly,
    a_batch_with_answers,
    a_batch_with_classes,
    a_class_runs_out,
    a_prompt_of_one_token,
    an_odd_number,
    by_token,
    by_word,
    fewer_than_k,
    long_words,
    no_examples,
    no_pads,
    no_weight,
    one_class_first,
    one_item,
    one_other,
    one_token_texts,
    pads_behind,
    pads_in_front,
    run_of_answer,
    run_with_auxiliary,
    some_items,
    texts_of_several_lines,
    the_item_in_other_letters,
    the_item_in_the_pool,
    the_item_with_other_spaces,
    three_classes,
    transform,
    words_of_one_length,
)


def _one_row(draw):
    hidden, mask, weight, bias = pads_behind(draw)
    return hidden[1:2], mask[1:2], weight, bias


def _pads_on_both_sides(draw):
    """Some rows padded behind, some in front."""
    hidden, mask, weight, bias = pads_behind(draw)
    mask[1] = mask[1].flip(0)
    return hidden, mask, weight, bias


def _all_out(draw):
    _, text, _, names = no_examples(draw)
    return [(text.upper(), 0), (f" {text}", 1)], text, 3, names


def _empty_pool(draw):
    _, text, _, names = no_examples(draw)
    return [], text, 2, names


def _equally_sure(draw):
    """The others are sure of both labels in turn: nothing is changed."""
    items, _ = some_items(draw)
    own = torch.full((items.shape[1], items.shape[1]), -40.0)
    return items, own + 40 * torch.eye(items.shape[1])


def every_second_token(kind, first, others, limit):
    """What is left of the text has gaps."""
    return transform(kind, first, others, limit, cut=lambda row, n: row[::2][:n] if len(row) > n else row)


def turned_round(kind, first, others, limit):
    return transform(kind, first, others, limit, cut=lambda row, n: row[:n][::-1] if len(row) > n else row)


def nothing_left(kind, first, others, limit):
    return transform(kind, first, others, limit, cut=lambda row, n: row if len(row) <= n else [])


def one_less_when_it_cuts(kind, first, others, limit):
    return transform(kind, first, others, limit, cut=lambda row, n: row if len(row) <= n else row[: n - 1])


def cuts_at_the_limit(kind, first, others, limit):
    return transform(kind, first, others, limit, cut=lambda row, n: row if len(row) < n else row[: n - 1])


def pads_to_the_limit(kind, first, others, limit):
    return [row + [0] * (limit - len(row)) for row in transform(kind, first, others, limit)]


def another_delimiter(kind, first, others, limit):
    rows = transform(kind, first, others, limit)
    return rows if kind != "choice" else [[EXTRACT if t == DELIMITER else t for t in row] for row in rows]


HIDDEN = {
    "lab10.q1": [
        Case("other pads behind", inputs=pads_behind, expected=_headed("")),
        Case("other pads in front", inputs=pads_in_front, expected=_headed("")),
        Case("pads on either side", inputs=_pads_on_both_sides, expected=_headed("")),
        Case("no pads again", inputs=no_pads, expected=_headed("")),
        Case("one text", inputs=_one_row, expected=_headed("")),
    ],
    "lab10.q2": [
        Case("other classes", inputs=a_batch_with_classes, expected=_both(""), recipe=run_with_auxiliary),
        Case("a weight of 0 again", inputs=no_weight, expected=_both(""), recipe=run_with_auxiliary),
        Case("another text of one token", inputs=one_token_texts, expected=_both(""), recipe=run_with_auxiliary),
        Case("other answers", inputs=a_batch_with_answers, expected=_answered(""), recipe=run_of_answer),
        Case("others again", inputs=a_batch_with_answers, expected=_answered(""), recipe=run_of_answer),
    ],
    "lab10.q3": [
        Case("another class first", inputs=one_class_first, expected=_prompted("")),
        Case("another item in the pool", inputs=the_item_in_the_pool, expected=_prompted("")),
        Case("another in other letters", inputs=the_item_in_other_letters, expected=_prompted("")),
        Case("another with other spaces", inputs=the_item_with_other_spaces, expected=_prompted("")),
        Case("another odd number", inputs=an_odd_number, expected=_prompted("")),
        Case("three other classes", inputs=three_classes, expected=_prompted("")),
        Case("another class runs out", inputs=a_class_runs_out, expected=_prompted("")),
        Case("fewer again", inputs=fewer_than_k, expected=_prompted("")),
        Case("no examples again", inputs=no_examples, expected=_prompted("")),
        Case("other lines", inputs=texts_of_several_lines, expected=_prompted("")),
        Case("nothing but the item", inputs=_all_out, expected=_prompted("")),
        Case("an empty pool", inputs=_empty_pool, expected=_prompted("")),
    ],
    "lab10.q4": [
        Case("other words by token", inputs=by_token, expected=_scored("")),
        Case("other words", inputs=by_word, expected=_scored("")),
        Case("another prompt of one token", inputs=a_prompt_of_one_token, expected=_scored("")),
        Case("others of one length", inputs=words_of_one_length, expected=_scored("")),
    ],
    "lab10.q5": [
        Case("other items", inputs=some_items, expected=_calibrated("")),
        Case("another other", inputs=one_other, expected=_calibrated("")),
        Case("one item again", inputs=one_item, expected=_calibrated("")),
        Case("other long words", inputs=long_words, expected=_calibrated("")),
        Case("equally sure of all", inputs=_equally_sure, expected=_calibrated("")),
    ],
    "lab10.q6": [
        Subject("writes no START", _wrongly("no start")),
        Subject("writes no EXTRACT", _wrongly("no extract")),
        Subject("writes START in place of the delimiter", _wrongly("start between")),
        Subject("keeps to one token less than the limit", _wrongly("too tight")),
        Subject("does not cut a single text", _wrongly("single without limit")),
        Subject("cuts the text alike for all answers", _wrongly("alike")),
        Subject("gives each part half of the room", _wrongly("in halves")),
        Subject("writes the other text of a pair first", _wrongly("pair turned")),
        Subject("writes a pair in both orders", _wrongly("pair in both orders")),
        Subject("writes the same order of two similar texts twice", _wrongly("the same twice")),
        Subject("writes answers without the text", _wrongly("answers alone")),
        Subject("turns the order of the answers round", _wrongly("answers turned")),
        Subject("leaves out an answer that comes again", _wrongly("no repeats")),
        Subject("reads the first answer only", _wrongly("first answer only")),
        Subject("writes the answer before the text", _wrongly("choice turned")),
        Subject("leaves gaps in what it keeps", every_second_token),
        Subject("turns round what it keeps", turned_round),
        Subject("keeps nothing of a text that is too long", nothing_left),
        Subject("cuts one token more than it has to", one_less_when_it_cuts),
        Subject("cuts a row that meets the limit exactly", cuts_at_the_limit),
        Subject("writes EXTRACT in place of the delimiter of a multiple choice", another_delimiter),
        Subject("pads every row to the limit", pads_to_the_limit),
    ],
    "lab10.q7": [
        Key(
            runs=dict(zip(("b4", "c9", "d2", "f7", "h1", "k5", "m3", "p8", "s6", "v0"), "DHAFJCGBIE", strict=True)),
            true={
                "A": "bfjmo",
                "B": "cfgp",
                "C": "adekp",
                "D": "adfgp",
                "E": "bdjko",
                "F": "filp",
                "G": "flnp",
                "H": "cegp",
                "I": "bfhijo",
                "J": "afhij",
                "correct": "fp",
            },
        )
    ],
}  # fmt: skip


def _head(
    at: str = "torch.where(mask, places, -1).amax(1)",
    state: str = "hidden[torch.arange(len(hidden)), last]",
    logits: str = "v @ weight.T + bias",
) -> str:
    return f"""def class_logits(hidden, mask, weight, bias):
    places = torch.arange(mask.shape[1])
    last = {at}
    v = {state}
    return {logits}
"""


_SHIFTED = "token_logits[:, :-1]"
_TARGETS = "ids[:, 1:]"


def _losses(
    predicts: str = _SHIFTED,
    token: str = _TARGETS,
    real: str = "mask[:, 1:]",
    mean: str = "(each * real).sum() / real.sum()",
    first: str = "F.cross_entropy(class_logits, labels)",
    loss: str = "first + weight * second",
    answer_predicts: str = _SHIFTED,
    answer_token: str = _TARGETS,
    answer: str = "real & (places >= starts[:, None])",
    answer_mean: str = "(each * answer).sum() / answer.sum()",
) -> str:
    return f"""class Losses:
    @staticmethod
    def with_auxiliary(class_logits, token_logits, ids, labels, mask, weight):
        each = F.cross_entropy(({predicts}).transpose(1, 2), {token}, reduction="none")
        real = {real}
        second = {mean}
        first = {first}
        return {loss}

    @staticmethod
    def of_answer(token_logits, ids, mask, starts):
        each = F.cross_entropy(({answer_predicts}).transpose(1, 2), {answer_token}, reduction="none")
        places, real = torch.arange(1, ids.shape[1]), mask[:, 1:]
        answer = {answer}
        return {answer_mean}
"""


def _prompt(
    same: str = "clean(a).casefold() == clean(b).casefold()",
    usable: str = "[e for e in pool if not same(e[0], text)]",
    clean: str = "' '.join(t.split())",
    taken: str = "[row[i] for i in range(len(usable)) for row in rows if i < len(row)]",
    chosen: str = "taken[:k]",
    word: str = "names[y]",
    line: str = "f'Review: {clean(t)}\\nLabel: {word(y)}'",
    last: str = "f'Review: {clean(text)}\\nLabel:'",
    whole: str = "[*shown, last]",
    between: str = "\\n\\n",
) -> str:
    return f"""def few_shot(pool, text, k, names):
    clean = lambda t: {clean}
    same = lambda a, b: {same}
    word = lambda y: {word}
    usable = {usable}
    rows = [[e for e in usable if e[1] == y] for y in range(len(names))]
    taken = {taken}
    chosen = {chosen}
    shown = [{line} for t, y in chosen]
    last = {last}
    return "{between}".join({whole})
"""


def _score(
    row: str = "[*prompt, *label]",
    logp: str = "logits.log_softmax(-1)",
    targets: str = "range(len(prompt), len(row))",
    of: str = "logp[t - 1, row[t]]",
    each: str = "torch.stack(of)",
    divide: str = "len(of) if per_token else 1",
    score: str = "each.sum() / divide",
    given: str = "scores",
) -> str:
    return f"""def score_labels(model, prompt, labels, per_token):
    scores, width = [], max(len(label) for label in labels)
    for label in labels:
        row = {row}
        logits = model(torch.tensor([row]))[0]
        logp = {logp}
        of = [{of} for t in {targets}]
        each, divide = {each}, {divide}
        scores.append(float({score}))
    return {given}
"""


def _calibrate(
    given: str = "scores.softmax(1)",
    other: str = "own.softmax(1)",
    prior: str = "other.mean(0)",
    made: str = "given / prior",
    out: str = "made / made.sum(1, keepdim=True)",
) -> str:
    return f"""def calibrate(scores, own):
    given, other = {given}, {other}
    prior = {prior}
    made = {made}
    return {out}
"""


_EXAMPLES = """[
        ("single", short, [], 12), ("single", long, [], 10), ("single", long, [], 6),
        ("pair", short, [[8, 9]], 12), ("pair", long, [[8, 9]], 13), ("pair", long, [[8, 9]], 9),
        ("similar", short, [[8, 9]], 12), ("similar", long, [[8, 9]], 9), ("similar", long, [[8]], 12),
        ("choice", short, [[9, 8], [4]], 12), ("choice", long, [[9], [4, 8, 3], [20, 21]], 9),
        ("choice", long, [[9], [4], [9]], 12), ("choice", short, [[4]], 7),
    ]"""


def _test(
    examples: str = _EXAMPLES,
    limit: str = "limit",
    n: str = "min(len(first), limit - 2 - len(rest))",
    kept: str = "[first[i : i + n] for i in range(len(first) - n + 1)]",
    row: str = "[0, *other, 1, *piece, 2] if turned else [0, *piece, *rest, 2]",
    count: str = "len(found) == len(wanted)",
    fits: str = "all(row in may for row, may in zip(found, wanted))",
    similar: str = "wanted.append(rows(others[0], turned=True))",
    given: str = "fits(output) or (kind == 'similar' and fits(output[::-1]))",
) -> str:
    return f"""def examples():
    short, long = [5, 6, 7], [10, 11, 12, 13, 14, 15, 16, 17]
    return {examples}


def holds(inputs, output):
    kind, first, others, limit = inputs
    limit = {limit}

    def rows(other, turned=False):
        rest = [] if other is None else [1, *other]
        n = {n}
        kept = {kept}
        return [{row} for piece in kept]

    wanted = [rows(other) for other in others] if others else [rows(None)]
    if kind == "similar":
        {similar}
    fits = lambda found: {count} and {fits}
    return {given}
"""


# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab10_faults"
_ENDS, _BEGINS = "last 20 updates", "first update"
_CLASS, _AUXILIARY = "training loss of the class, ", "auxiliary loss as the program computes it, "
_BEFORE, _AFTER = "loss of next words on test headlines before", "loss of next words on test headlines after"
_ON = "accuracy on {} headlines, percent"
_SPREAD = "spread of the margin over test headlines"
OBSERVED = {
    "a": lambda t, correct: t[_CLASS + _ENDS] < 0.2,
    "b": lambda t, correct: t[_CLASS + _ENDS] > 0.62,
    "c": lambda t, correct: t[_AUXILIARY + _ENDS] < 4.7,
    "d": lambda t, correct: t[_AUXILIARY + _ENDS] > 6,
    "e": lambda t, correct: t[_AFTER] > t[_BEFORE],
    "f": lambda t, correct: t[_AFTER] < t[_BEFORE] - 0.3,
    "g": lambda t, correct: t[_AUXILIARY + _BEGINS] > 7.45,
    "h": lambda t, correct: t["test headlines called jokes, percent"] in (0, 100),
    "i": lambda t, correct: t[_ON.format("test")] < 55,
    "j": lambda t, correct: t[_SPREAD] < 0.8,
    "k": lambda t, correct: t["change of the trunk's weights, percent"] < 2,
    "l": lambda t, correct: t[_ON.format("validation")] > t[_ON.format("test")] + 14,
    "m": lambda t, correct: t["change of the margin behind 8 more pads"] > 0.001,
    "n": lambda t, correct: t[_ON.format("validation")] > 80,
    "o": lambda t, correct: t[_ON.format("training")] < 70,
    "p": lambda t, correct: t[_SPREAD] > 0.9,
}

_M1, _M2, _M3, _M4, _M5, _M6, _M7 = (f"lab10.q{n}" for n in range(1, 8))
MUTANTS = [
    Mutant(_M1, "last place of the padded row", _head(state="hidden[:, -1]"), "the head reads a pad: the last place"),
    Mutant(_M1, "place of the longest", _head(at="torch.where(mask, places, -1).amax().expand(len(hidden))"), "the head reads a pad"),
    Mutant(_M1, "number of tokens", _head(at="mask.sum(1) - 1"), "where pads stand *in front*"),
    Mutant(_M1, "one behind", _head(at="(torch.where(mask, places, -1).amax(1) + 1).clamp(max=mask.shape[1] - 1)"), "one place too far"),
    Mutant(_M1, "one before", _head(at="torch.where(mask, places, -1).amax(1) - 1"), "one place too early"),
    Mutant(_M1, "first place", _head(state="hidden[:, 0]"), "that is the first place"),
    Mutant(_M1, "first token", _head(at="mask.int().argmax(1)"), "that is the first "),
    Mutant(_M1, "mean", _head(state="(hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)"), "the mean over the real tokens"),
    Mutant(_M1, "mean over all", _head(state="hidden.mean(1)"), "a mean over all places"),
    Mutant(_M1, "sum", _head(state="(hidden * mask[..., None]).sum(1)"), "the sum over the real tokens"),
    Mutant(_M1, "largest", _head(state="hidden.masked_fill(~mask[..., None], -torch.inf).amax(1)"), "the largest value"),
    Mutant(_M1, "no bias", _head(logits="v @ weight.T"), "where is the bias"),
    Mutant(_M1, "softmax", _head(logits="(v @ weight.T + bias).softmax(-1)"), "the softmax belongs to the loss"),
    Mutant(_M1, "log-softmax", _head(logits="(v @ weight.T + bias).log_softmax(-1)"), "the log-softmax belongs"),
    Mutant(_M1, "all places", _head(state="hidden"), "not for each place"),
    Mutant(_M2, "auxiliary loss on pads", _losses(real="torch.ones_like(mask[:, 1:])"), "the auxiliary loss counts the pads"),
    Mutant(_M2, "mask of the place that predicts", _losses(real="mask[:, :-1]"), "the mask of the *next* place"),
    Mutant(_M2, "weight forgotten", _losses(loss="first + second"), "the weight is forgotten"),
    Mutant(_M2, "weight 0.5", _losses(loss="first + 0.5 * second"), "is the weight used"),
    Mutant(_M2, "no auxiliary loss", _losses(loss="first"), "where is the auxiliary loss"),
    Mutant(_M2, "auxiliary loss alone", _losses(loss="weight * second"), "where is the loss of the classes"),
    Mutant(_M2, "weight on the classes", _losses(loss="weight * first + second"), "not that of the classes"),
    Mutant(_M2, "mixed", _losses(loss="(1 - weight) * first + weight * second"), "not mixed in"),
    Mutant(_M2, "subtracted", _losses(loss="first - weight * second"), "not taken away"),
    Mutant(_M2, "not shifted", _losses(predicts="token_logits[:, 1:]"), "the token that it has read"),
    Mutant(_M2, "shifted the wrong way", _losses(predicts="token_logits[:, 1:]", token="ids[:, :-1]"), "shifted the wrong way"),
    Mutant(_M2, "text by text", _losses(mean="((each * real).sum(1) / real.sum(1).clamp(min=1)).mean()"), "a short text weighs as much"),
    Mutant(_M2, "over all places", _losses(mean="(each * real).mean()"), "counted below it"),
    Mutant(_M2, "over all tokens", _losses(mean="(each * real).sum() / mask.sum()"), "not of tokens"),
    Mutant(_M2, "over texts", _losses(mean="(each * real).sum() / len(ids)"), "not of texts"),
    Mutant(_M2, "tokens summed", _losses(mean="(each * real).sum()"), "the mean over the targets"),
    Mutant(_M2, "classes summed", _losses(first="F.cross_entropy(class_logits, labels, reduction='sum')"), "the mean over the texts"),
    Mutant(_M2, "softmax twice", _losses(first="F.cross_entropy(class_logits.softmax(-1), labels)"), "it is applied twice"),
    Mutant(_M2, "loss on the prompt's tokens", _losses(answer="real"), "the loss is on the prompt's tokens too"),
    Mutant(_M2, "loss on the prompt alone", _losses(answer="real & (places < starts[:, None])"), "turn the condition round"),
    Mutant(_M2, "answer with pads", _losses(answer="places >= starts[:, None]"), "as part of the answer"),
    Mutant(_M2, "first token of the answer lost", _losses(answer="real & (places > starts[:, None])"), "is not a target"),
    Mutant(_M2, "last token of the prompt counted", _losses(answer="real & (places >= starts[:, None] - 1)"), "last token is counted"),
    Mutant(_M2, "first token alone", _losses(answer="places == starts[:, None]"), "the answer's first token"),
    Mutant(_M2, "answer not shifted", _losses(answer_predicts="token_logits[:, 1:]"), "of_answer: each token"),
    Mutant(_M2, "answers summed", _losses(answer_mean="(each * answer).sum()"), "not their sum"),
    Mutant(_M2, "answer by answer", _losses(answer_mean="((each * answer).sum(1) / answer.sum(1)).mean()"), "a short answer weighs as much"),
    Mutant(_M2, "answers over texts", _losses(answer_mean="(each * answer).sum() / len(ids)"), "of_answer: divide by the number of the answers' tokens, not of texts"),
    Mutant(_M2, "answers over places", _losses(answer_mean="(each * answer).mean()"), "not of places"),
    Mutant(_M2, "answers over tokens", _losses(answer_mean="(each * answer).sum() / real.sum()"), "the prompts' are not among them"),
    Mutant(_M2, "a number", _losses(loss="torch.tensor((first + weight * second).item())"), "without item() and detach()"),
    Mutant(_M2, "detached", _losses(answer_mean="((each * answer).sum() / answer.sum()).detach()"), "without item() and detach()"),
    Mutant(_M3, "the test item among the examples", _prompt(usable="list(pool)"), "is among the examples, with its answer"),
    Mutant(_M3, "compared as they stand", _prompt(same="a == b"), "in other letters or with other spaces"),
    Mutant(_M3, "compared with case", _prompt(same="clean(a) == clean(b)"), "in other letters: compare"),
    Mutant(_M3, "strip and lower", _prompt(same="a.strip().lower() == b.strip().lower()"), "with other spaces: compare"),
    Mutant(_M3, "taken out afterwards", _prompt(usable="list(pool)", chosen="[e for e in taken[:k] if not same(e[0], text)]"), "an example is missing"),
    Mutant(_M3, "first k", _prompt(taken="usable"), "the first k of the pool"),
    Mutant(_M3, "one class after the other", _prompt(taken="[e for row in rows for e in row]"), "before those of the next"),
    Mutant(_M3, "blocks", _prompt(chosen="[e for row in rows for e in row[: -(-k // len(names))]][:k]"), "stand in blocks"),
    Mutant(_M3, "other class first", _prompt(taken="[row[i] for i in range(len(usable)) for row in rows[::-1] if i < len(row)]"), "class 0 comes first"),
    Mutant(_M3, "zip", _prompt(taken="[e for turn in zip(*rows) for e in turn]"), "the others go on"),
    Mutant(_M3, "last first", _prompt(taken="[row[-1 - i] for i in range(len(usable)) for row in rows if i < len(row)]"), "the first of the pool comes first"),
    Mutant(_M3, "all", _prompt(chosen="taken"), "not the whole pool"),
    Mutant(_M3, "k each", _prompt(chosen="taken[: k * len(names)]"), "k examples in all"),
    Mutant(_M3, "turned round", _prompt(chosen="taken[:k][::-1]"), "in which they were taken"),
    Mutant(_M3, "order of the pool", _prompt(chosen="[e for e in usable if e in taken[:k]]"), "not in that of the pool"),
    Mutant(_M3, "numbers", _prompt(word="str(y)"), "shown by its word"),
    Mutant(_M3, "names turned", _prompt(word="names[-1 - y]"), "names[0] is the word"),
    Mutant(_M3, "no labels", _prompt(line="f'Review: {clean(t)}\\nLabel:'"), "need their labels"),
    Mutant(_M3, "space behind the colon", _prompt(last="f'Review: {clean(text)}\\nLabel: '"), "ends in a space"),
    Mutant(_M3, "new line behind the colon", _prompt(last="f'Review: {clean(text)}\\nLabel:\\n'"), "ends in a new line"),
    Mutant(_M3, "answered", _prompt(last="f'Review: {clean(text)}\\nLabel: {names[0]}'"), "is an answer"),
    Mutant(_M3, "item first", _prompt(whole="[last, *shown]"), "the item comes last"),
    Mutant(_M3, "without the item", _prompt(whole="shown"), "is missing"),
    Mutant(_M3, "no empty line", _prompt(between="\\n"), "an empty line stands"),
    Mutant(_M3, "not cleaned", _prompt(clean="t", same="' '.join(a.split()).casefold() == ' '.join(b.split()).casefold()"), "a label of its own"),
    Mutant(_M4, "sum for words of different lengths", _score(divide="1"), "the sum makes a longer word less likely"),
    Mutant(_M4, "always the mean", _score(divide="len(of)"), "the log-probability of the whole word"),
    Mutant(_M4, "exchanged", _score(divide="1 if per_token else len(of)"), "the wrong way round"),
    Mutant(_M4, "first token", _score(targets="[len(prompt)]"), "the first token of each alone"),
    Mutant(_M4, "last token", _score(targets="[len(row) - 1]"), "the last token of each label alone"),
    Mutant(_M4, "cut to the shortest", _score(targets="range(len(prompt), len(prompt) + min(map(len, labels)))"), "cut to the shortest"),
    Mutant(_M4, "pads scored", _score(row="[*prompt, *label, *[0] * (width - len(label))]"), "the pads behind the shorter ones"),
    Mutant(_M4, "prompt scored", _score(targets="range(1, len(row))"), "the prompt's tokens are scored"),
    Mutant(_M4, "from the prompt alone", _score(of="logp[len(prompt) - 1, row[t]]"), "the second token of a label follows"),
    Mutant(_M4, "not shifted", _score(of="logp[t, row[t]]"), "the token that it has read"),
    Mutant(_M4, "two before", _score(of="logp[t - 2, row[t]]"), "one place too early"),
    Mutant(_M4, "logits", _score(logp="logits"), "those are logits"),
    Mutant(_M4, "probabilities", _score(logp="logits.softmax(-1)"), "take logarithms"),
    Mutant(_M4, "product", _score(divide="1", score="each.sum().exp()"), "not the probability"),
    Mutant(_M4, "among the labels", _score(given="torch.tensor(scores).log_softmax(0).tolist()"), "to sum to one over the labels"),
    Mutant(_M4, "shares", _score(given="torch.tensor(scores).softmax(0).tolist()"), "and these are logarithms"),
    Mutant(_M4, "over all tokens", _score(divide="len(row) if per_token else 1"), "the prompt's are not among them"),
    Mutant(_M4, "losses", _score(given="[-s for s in scores]"), "that is its negative"),
    Mutant(_M4, "a ragged batch", "def score_labels(model, prompt, labels, per_token):\n    logp = model(torch.tensor([[*prompt, *label] for label in labels])).log_softmax(-1)\n    return [0.0 for _ in labels]\n", "no rectangular tensor"),
    Mutant(_M5, "calibrated on the test items", _calibrate(other="scores.softmax(1)"), "on the test items themselves"),
    Mutant(_M5, "test items among them", _calibrate(other="torch.cat([scores, own]).softmax(1)"), "the test items are among those"),
    Mutant(_M5, "first of the others", _calibrate(prior="other[0]"), "the first of the others"),
    Mutant(_M5, "not calibrated", _calibrate(made="given"), "before calibration"),
    Mutant(_M5, "logarithms averaged", _calibrate(other="own.log_softmax(1)", prior="other.mean(0).exp()"), "one sure item would decide"),
    Mutant(_M5, "scores averaged", _calibrate(prior="own.mean(0).softmax(0)"), "or the scores"),
    Mutant(_M5, "likely texts weigh more", _calibrate(other="(own - own.max()).exp()"), "likely texts weigh more"),
    Mutant(_M5, "votes", _calibrate(prior="F.one_hot(own.argmax(1), own.shape[1]).float().mean(0).clamp(min=1e-12)"), "votes for one label"),
    Mutant(_M5, "multiplied", _calibrate(made="given * prior"), "counts twice"),
    Mutant(_M5, "subtracted", _calibrate(out="given - prior"), "a difference of probabilities"),
    Mutant(_M5, "scores less the prior", _calibrate(out="scores - prior.log()"), "those are scores"),
    Mutant(_M5, "scores by the prior", _calibrate(made="(scores / prior).softmax(1)"), "are divided by the mean"),
    Mutant(_M5, "scores less probabilities", _calibrate(made="(scores - prior).softmax(1)"), "the *logarithm* of the mean"),
    Mutant(_M5, "not renormalised", _calibrate(out="made"), "to sum to 1 again"),
    Mutant(_M5, "softmax again", _calibrate(out="made.softmax(1)"), "no second softmax"),
    Mutant(_M5, "logarithms", _calibrate(out="(made / made.sum(1, keepdim=True)).log()"), "not their logarithms"),
    Mutant(_M5, "labels", _calibrate(out="made.argmax(1).double()"), "not the best label"),
    Mutant(_M5, "over the items", _calibrate(prior="given.mean(0)", out="made / made.sum(0)"), "the labels are the last axis"),
    Mutant(_M5, "exp", _calibrate(given="scores.exp() / scores.exp().sum(1, keepdim=True)", other="own.exp() / own.exp().sum(1, keepdim=True)"), "softmax takes the largest away"),
    Mutant(_M6, "nothing too long", _test(examples='[("single", short, [], 12), ("pair", short, [[8, 9]], 12), ("similar", short, [[8]], 12), ("choice", short, [[9], [4, 8]], 12)]'), "loses the extract token"),
    Mutant(_M6, "limit not looked at", _test(n="min(len(first), max(limit - 2 - len(rest), max([0, *map(len, output)]) - 2 - len(rest)))"), "longer than the limit"),
    Mutant(_M6, "the end is cut", _test(kept="[first[:n]]"), "cuts its beginning"),
    Mutant(_M6, "the beginning is cut", _test(kept="[first[len(first) - n :]]"), "cuts the end of the first text"),
    Mutant(_M6, "order of two similar texts", _test(given="fits(output)"), "refuses a right answer"),
    Mutant(_M6, "one order is enough", _test(similar="wanted = wanted + [rows(others[0], turned=True)] if len(output) > 1 else wanted"), "in one order only"),
    Mutant(_M6, "one choice only", _test(examples='[("single", long, [], 6), ("pair", long, [[8, 9]], 9), ("similar", long, [[8, 9]], 9), ("choice", long, [[9]], 9)]'), "into one row"),
    Mutant(_M6, "delimiter not looked at", _test(given="(lambda bare: bare(output) or (kind == 'similar' and bare(output[::-1])))(lambda found: len(found) == len(wanted) and all([t for t in row if t != 1] in [[t for t in one if t != 1] for one in may] for row, may in zip(found, wanted)))"), "no delimiter"),
    Mutant(_M6, "always true", _test(given="True"), "your test accepts"),
    Mutant(_M6, "first rows only", _test(count="len(found) >= 1"), "in one order only"),
    Mutant(_M7, "another cause", 'diagnosis = {"cause": "F", "evidence": ["l", "n"]}', "not what went wrong"),
    Mutant(_M7, "untrue evidence", 'diagnosis = {"cause": "G", "evidence": ["n", "i"]}', "is not true of your run"),
    Mutant(_M7, "evidence for two causes", 'diagnosis = {"cause": "G", "evidence": ["l", "p"]}', "seen under another cause"),
    Mutant(_M7, "a letter", 'diagnosis = "G"', "write it as"),
]  # fmt: skip

RUBRICS = {
    "lab10.t1": "3: sees that dividing by the number of tokens leaves the prompts with labels of unequal lengths at 50 %, the longer label always chosen; names prompts that calibration helps and one that it harms, by more than the 9 points that 120 sentences leave to chance; "
    "reads from the pairs in order that calibration moves the border and cannot mend an order that is wrong; says that a few sentences do, and that it was told that half of the sentences are good, which harms where the classes are not equally frequent. "
    "2: two or three of these. 1: describes the marks without intervals or causes. 0: no plot read.",
}
