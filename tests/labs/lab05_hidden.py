"""Lab 05, for staff: hidden cases, keys, mutants, rubrics."""

import torch

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab05 import (
    ORDINARY,
    VOCABULARY,
    _another,
    _corrupted,
    _crossed,
    _influenced,
    _lost,
    _made,
    _padded,
    _patterned,
    _pooled,
    _restored,
    _spanned,
    _states,
    a_decoder,
    a_longer_source,
    a_prefix_decoder,
    a_shorter_source,
    a_text_with_gaps,
    a_window,
    an_encoder,
    gaps_at_both_ends,
    logits_and_targets,
    nothing_chosen,
    nothing_taken,
    pads_in_front,
    pieces_of_words,
    run_corrupt,
    run_loss,
    run_restore,
    run_spans,
    texts_of_one_length,
    the_first,
    the_last,
    the_last_behind_pads,
    the_mean,
    which_are_honest,
    who_reaches_whom,
    written_badly,
    written_well,
)


def pads_on_both_sides(family, prefix):
    def inputs(draw):
        real = _padded(draw, True, True)
        return family, real, torch.full((len(real),), prefix)

    return inputs


def two_prefix_layers(draw):
    """A prefix decoder: honest from the last place of the prefix on."""
    T, prefix = 6 + draw.integer(0, 3), 2 + draw.integer(0, 2)
    mask = torch.ones(T, T, dtype=torch.bool).tril()
    mask[:, :prefix] = True
    return [mask, mask], "honest"


def nowhere_to_look():
    return [torch.zeros(4, 4, dtype=torch.bool)] * 2


def everything_chosen(draw):
    ids, word, u, fate, others, _, mask_id = pieces_of_words(draw)
    return ids, word, u, fate, others, 1.0, mask_id


def one_target(draw):
    logits, targets = nothing_chosen(draw)
    targets[1, 2] = 3
    return logits, targets


def nothing_written(draw):
    inputs, _, sentinels = written_well(draw)
    return inputs, [], sentinels


def all_taken(draw):
    return [7, 8, 9], [True] * 3, [95, 92]


# ------------------------------------------------------------------------------- further wrong makers of masked texts


def exchanged_for_marks(ids, seed):
    """A random token may be a mark, or the mask."""
    return _made(ids, seed, other=lambda rng: rng.choice((rng.randrange(ORDINARY), rng.randrange(VOCABULARY))))


def never_kept(ids, seed):
    return _made(ids, seed, kept=1.0)


def never_exchanged(ids, seed):
    return _made(ids, seed, kept=0.8)


def others_changed_too(ids, seed):
    """A token that was not chosen is exchanged now and then."""
    return _made(
        ids, seed, untouched=lambda token, rng: _another(rng) if token >= ORDINARY and rng.random() < 0.01 else token
    )


def shifted_targets(ids, seed):
    """The target stands one place before its token, as in a decoder."""
    inputs, targets = _made(ids, seed)
    return inputs, [*targets[1:], -100]


def half_as_many(ids, seed):
    return _made(ids, seed, rate=0.075)


def zeros_for_targets(ids, seed):
    inputs, targets = _made(ids, seed)
    return inputs, [0 if target == -100 else target for target in targets]


def masked_half_the_time(ids, seed):
    return _made(ids, seed, masked=0.5, kept=0.75)


def drops_the_last(ids, seed):
    inputs, targets = _made(ids, seed)
    return inputs[:-1], targets[:-1]


def marks_lost(ids, seed):
    """Marks are chosen for the inputs, but are no targets."""
    inputs, targets = _made(ids, seed, choose=lambda token, place: True)
    return inputs, [-100 if token < ORDINARY else target for token, target in zip(ids, targets)]


HIDDEN = {
    "lab05.q1": [
        Case("another encoder", inputs=an_encoder, expected=_patterned("")),
        Case("another decoder", inputs=a_decoder, expected=_patterned("")),
        Case("another prefix decoder", inputs=a_prefix_decoder, expected=_patterned("")),
        Case("another one, pads in front", inputs=pads_in_front, expected=_patterned("")),
        Case("pads on both sides", inputs=pads_on_both_sides("prefix", 2), expected=_patterned("")),
        Case("an encoder, pads on both sides", inputs=pads_on_both_sides("encoder", 2), expected=_patterned("")),
        Case("an empty prefix", inputs=pads_on_both_sides("prefix", 0), expected=_patterned("")),
        Case("all of it prefix", inputs=pads_on_both_sides("prefix", 20), expected=_patterned("")),
    ],
    "lab05.q2": [
        Case("other layers", inputs=who_reaches_whom, expected=_influenced("")),
        Case("another window", inputs=lambda draw: (*a_window(draw), "reaches"), expected=_influenced("")),
        Case("nowhere to look", inputs=lambda draw: (nowhere_to_look(), "reaches"), expected=_influenced("")),
        Case("other honest places", inputs=which_are_honest, expected=_influenced("")),
        Case("a prefix decoder", inputs=two_prefix_layers, expected=_influenced("")),
        Case("nobody looks", inputs=lambda draw: (nowhere_to_look(), "honest"), expected=[0, 1, 2]),
    ],
    "lab05.q3": [
        Case("other texts", inputs=pieces_of_words, expected=_corrupted(""), recipe=run_corrupt),
        Case("every word chosen", inputs=everything_chosen, expected=_corrupted(""), recipe=run_corrupt),
        Case("another loss", inputs=logits_and_targets, expected=_lost(""), recipe=run_loss),
        Case("a single target", inputs=one_target, expected=_lost(""), recipe=run_loss),
        Case("nothing chosen again", inputs=nothing_chosen, expected=_lost(""), recipe=run_loss),
    ],
    "lab05.q4": [
        Case("three other spans", inputs=a_text_with_gaps, expected=_spanned(""), recipe=run_spans),
        Case("others at both ends", inputs=gaps_at_both_ends, expected=_spanned(""), recipe=run_spans),
        Case("nothing taken out again", inputs=nothing_taken, expected=_spanned(""), recipe=run_spans),
        Case("everything taken out", inputs=all_taken, expected={"inputs": [95], "targets": [95, 7, 8, 9, 92]}, recipe=run_spans),
        Case("another well written", inputs=written_well, expected=_restored(""), recipe=run_restore),
        Case("another badly written", inputs=written_badly, expected=_restored(""), recipe=run_restore),
        Case("nothing written", inputs=nothing_written, expected=_restored(""), recipe=run_restore),
    ],
    "lab05.q5": [
        Case("another longer source", inputs=a_longer_source, expected=_crossed("")),
        Case("others of one length", inputs=texts_of_one_length, expected=_crossed("")),
        Case("another shorter source", inputs=a_shorter_source, expected=_crossed("")),
    ],
    "lab05.q6": [
        Case("another mean", inputs=the_mean, expected=_pooled("")),
        Case("another first", inputs=the_first, expected=_pooled("")),
        Case("another last", inputs=the_last, expected=_pooled("")),
        Case("another last, pads on both sides", inputs=the_last_behind_pads, expected=_pooled("")),
        Case("the first, pads on both sides", inputs=lambda draw: _states(draw, "first", True, True), expected=_pooled("")),
        Case("the mean, pads in front", inputs=lambda draw: _states(draw, "mean", True, False), expected=_pooled("")),
    ],
    "lab05.q7": [
        Subject("puts marks in the place of tokens", exchanged_for_marks),
        Subject("never leaves a chosen token as it is", never_kept),
        Subject("never exchanges a chosen token", never_exchanged),
        Subject("changes tokens that it did not choose", others_changed_too),
        Subject("moves the targets by one place", shifted_targets),
        Subject("chooses half as many", half_as_many),
        Subject("gives 0 where there is no target", zeros_for_targets),
        Subject("masks half of the chosen tokens only", masked_half_the_time),
        Subject("loses the last token", drops_the_last),
        Subject("masks marks without making them targets", marks_lost),
    ],
    "lab05.q8": [
        Key(
            runs=dict(zip(("a6", "d1", "f9", "h3", "k7", "m2", "p5", "q8", "t0", "v4"), "HBEGAJCIFD", strict=True)),
            true={
                "A": "acehikl",
                "B": "acegikl",
                "C": "ehjm",
                "D": "ehjn",
                "E": "acdhkl",
                "F": "efhj",
                "G": "bcdfhj",
                "H": "bcehjl",
                "I": "bcehk",
                "J": "egj",
                "correct": "ehj",
            },
        )
    ],
}  # fmt: skip

# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab05_faults"
_HELD_OUT = "loss on held-out words, phonemes and stop"
_STOP, _MOVED = "written words that stop, percent", "change of the encoder's weights, percent"
OBSERVED = {
    "a": lambda t, correct: t[_HELD_OUT] < 0.2,
    "b": lambda t, correct: t[_HELD_OUT] > 0.8,
    "c": lambda t, correct: t["phoneme errors of what is written, percent"] > 50,
    "d": lambda t, correct: t[_STOP] < 5,
    "e": lambda t, correct: t[_STOP] > 95,
    "f": lambda t, correct: t["loss as logged, last 100 updates"] < 0.9 * t[_HELD_OUT],
    "g": lambda t, correct: t[_MOVED] < 1,
    "h": lambda t, correct: t[_MOVED] > 1,
    "i": lambda t, correct: t["moved by the decoder's input one place behind"] > 0.5,
    "j": lambda t, correct: t["moved by a letter of the word"] > 0.1,
    "k": lambda t, correct: t["moved by a letter of the word"] < 0.05,
    "l": lambda t, correct: t["moved by two letters that change places"] < 0.002,
    "m": lambda t, correct: t["moved by four more pads behind the word"] > 0.01,
    "n": lambda t, correct: t["first state of the encoder, moved by the last letter"] < 0.001,
}


def _pattern(
    encoder: str = "torch.ones(len(real), T, T, dtype=torch.bool)",
    decoder: str = "torch.ones(len(real), T, T, dtype=torch.bool).tril()",
    place: str = "real.cumsum(1) - 1",
    inside: str = "place < prefix[:, None]",
    prefix: str = "decoder | inside[:, None]",
    given: str = "mask & real[:, None]",
) -> str:
    return f"""def pattern(family, real, prefix):
    T = real.shape[1]
    place = {place}
    inside = {inside}
    encoder, decoder = {encoder}, {decoder}
    mask = {{"encoder": encoder, "decoder": decoder, "prefix": {prefix}}}[family]
    return {given}
"""


def _influence(
    layers: str = "layers",
    step: str = "((mask | same).float() @ found.float()) > 0",
    reached: str = "found",
    known: str = "Influence.reaches(layers)",
    last: str = "len(found) - 1",
    behind: str = "found[i, i + 1 :]",
    given: str = "[i for i in places if not ok(i)]",
) -> str:
    return f"""class Influence:
    @staticmethod
    def reaches(layers):
        same = torch.eye(len(layers[0]), dtype=torch.bool)
        found = same
        for mask in {layers}:
            found = {step}
        return {reached}

    @staticmethod
    def honest(layers):
        found = {known}
        ok = lambda i: bool(({behind}).any())
        places = range({last})
        return {given}
"""


def _masked(
    at: str = "word.clamp(min=0)",
    chosen: str = "(drawn < rate) & (word >= 0)",
    masked: str = "chosen & (fate < 0.8)",
    exchanged: str = "chosen & (fate >= 0.8) & (fate < 0.9)",
    targets: str = "torch.where(chosen, ids, -100)",
    loss: str = "each[given].mean() if given.any() else logits.sum() * 0",
) -> str:
    return f"""class MaskedLM:
    @staticmethod
    def corrupt(ids, word, u, fate, others, rate, mask_id):
        drawn = u.gather(1, {at})
        chosen = {chosen}
        masked, exchanged = {masked}, {exchanged}
        inputs = torch.where(masked, mask_id, torch.where(exchanged, others, ids))
        return inputs, {targets}

    @staticmethod
    def loss(logits, targets):
        given = targets != -100
        each = -logits.log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
        return {loss}
"""


def _spans(
    begins: str = "gone and (t == 0 or not taken[t - 1])",
    start: str = "0",
    mark: str = "sentinels[used]",
    into_inputs: str = "inputs.append(mark)",
    into_targets: str = "targets.append(mark)",
    take: str = "targets.append(token)",
    end: str = "targets.append(sentinels[used])",
    known: str = "parts.get(token, [])",
    before: str = "pass",
    after: str = "[]",
) -> str:
    return f"""class Spans:
    @staticmethod
    def corrupt(ids, taken, sentinels):
        inputs, targets, used = [], [], {start}
        for t, (token, gone) in enumerate(zip(ids, taken)):
            if {begins}:
                mark = {mark}
                used += 1
                {into_inputs}
                {into_targets}
            if gone:
                {take}
            else:
                inputs.append(token)
        {end}
        return inputs, targets

    @staticmethod
    def restore(inputs, written, sentinels):
        parts, current = {{}}, None
        for token in written:
            if token in sentinels:
                current = parts.setdefault(token, [])
            elif current is not None:
                current.append(token)
            else:
                {before}
        text, order = [], list(parts.values())
        for token in inputs:
            text += {known} if token in sentinels else [token]
        return text + {after}
"""


def _cross(
    q: str = "x",
    k: str = "states",
    v: str = "states",
    split: str = "y.view(len(y), -1, n_heads, d // n_heads).transpose(1, 2)",
    scale: str = "(d // n_heads) ** 0.5",
    mask: str = "scores.masked_fill(~real[:, None, None], -1e9)",
    softmax: str = "scores.softmax(-1)",
    merged: str = "(weight @ v).transpose(1, 2).reshape(len(x), -1, d)",
    out: str = 'merged @ weights["o"]',
) -> str:
    return f"""def cross_attention(x, states, real, weights, n_heads):
    d = x.shape[-1]
    split = lambda y: {split}
    q, k, v = split({q} @ weights["q"]), split({k} @ weights["k"]), split({v} @ weights["v"])
    scores = q @ k.transpose(-2, -1) / {scale}
    scores = {mask}
    weight = {softmax}
    merged = {merged}
    return {out}
"""


def _pool(
    mean: str = "(hidden * real[..., None]).sum(1) / real.sum(1, keepdim=True)",
    first: str = "real.long().argmax(1)",
    last: str = "real.shape[1] - 1 - real.flip(1).long().argmax(1)",
) -> str:
    return f"""def pool(hidden, real, how):
    rows = torch.arange(len(hidden))
    if how == "mean":
        return {mean}
    return hidden[rows, {first} if how == "first" else {last}]
"""


def _test(
    examples: str = "[(long, 1), (mixed, 2), ([1, 7, 8, 9, 2, 0, 0], 3)]",
    lengths: str = "len(ids) == len(read) == len(targets)",
    untouched: str = "put == token",
    right: str = "token >= 5 and target == token and (put == 4 or 5 <= put <= 99)",
    enough: str = "800",
    near: str = "0.09",
    rate: str = "abs(chosen / ordinary - 0.15) < 0.04",
) -> str:
    return f"""def examples():
    draw = random.Random(0)
    long = [draw.randrange(5, 100) for _ in range(1000)]
    mixed = [draw.choice([0, 1, 2, 3, draw.randrange(5, 100)]) for _ in range(150)]
    return {examples}


def holds(inputs, output):
    (ids, _), (read, targets) = inputs, output
    if not ({lengths}):
        return False
    counts = [0, 0, 0]
    for token, put, target in zip(ids, read, targets):
        if target == -100:
            if not ({untouched}):
                return False
            continue
        if not ({right}):
            return False
        counts[0 if put == 4 else 2 if put == token else 1] += 1
    ordinary, chosen = sum(token >= 5 for token in ids), sum(counts)
    if ordinary < {enough}:
        return True
    shares = [count / max(chosen, 1) for count in counts]
    return all(abs(share - wanted) < {near} for share, wanted in zip(shares, (0.8, 0.1, 0.1))) and {rate}
"""


MUTANTS = [
    Mutant("lab05.q1", "a bidirectional decoder", _pattern(decoder="torch.ones(len(real), T, T, dtype=torch.bool)", prefix="decoder.tril() | inside[:, None]"), "reads the very token that it is to predict"),
    Mutant("lab05.q1", "a causal encoder", _pattern(encoder="torch.ones(len(real), T, T, dtype=torch.bool).tril()"), "an encoder looks both ways"),
    Mutant("lab05.q1", "a causal prefix", _pattern(prefix="decoder"), "see one another in both directions"),
    Mutant("lab05.q1", "all of it a prefix", _pattern(prefix="encoder"), "this is an encoder's mask"),
    Mutant("lab05.q1", "rows of the prefix", _pattern(prefix="decoder | inside[:, :, None]"), "what is looked *at*, the columns"),
    Mutant("lab05.q1", "a prefix by columns", _pattern(place="torch.arange(T).expand_as(real)"), "the pads in front are counted"),
    Mutant("lab05.q1", "one more", _pattern(inside="place <= prefix[:, None]"), "one token too long"),
    Mutant("lab05.q1", "one prefix for all", _pattern(inside="place < prefix[0]"), "a prefix of its own"),
    Mutant("lab05.q1", "pads", _pattern(given="mask"), "nobody may look at a pad"),
    Mutant("lab05.q1", "pads as rows", _pattern(given="mask & real[:, :, None]"), "the columns of pads"),
    Mutant("lab05.q1", "not itself", _pattern(decoder="torch.ones(len(real), T, T, dtype=torch.bool).tril(-1)"), "may look at itself"),
    Mutant("lab05.q1", "True is masked", _pattern(given="~(mask & real[:, None])"), "True means: may look"),
    Mutant("lab05.q2", "no residual", _influence(step="(mask.float() @ found.float()) > 0"), "by the residual connection"),
    Mutant("lab05.q2", "one step", _influence(step="found | mask"), "holds what k took in the first"),
    Mutant("lab05.q2", "in all layers", _influence(reached="same | torch.stack(layers).all(0)"), "a look in one layer is enough"),
    Mutant("lab05.q2", "the first mask for all", _influence(layers="[layers[0]] * len(layers)"), "a mask of its own"),
    Mutant("lab05.q2", "the last comes first", _influence(step="(found.float() @ (mask | same).float()) > 0"), "the first layer of the list works first"),
    Mutant("lab05.q2", "turned", _influence(reached="found.T", known="Influence.reaches(layers).T"), "rows and columns are exchanged"),
    Mutant("lab05.q2", "masks", _influence(known="torch.stack(layers).any(0)"), "a later token may come by a detour"),
    Mutant("lab05.q2", "the last mask", _influence(known="layers[-1]"), "the last layer's mask is not enough"),
    Mutant("lab05.q2", "the next token alone", _influence(behind="found[i, i + 1]"), "only the very next token"),
    Mutant("lab05.q2", "its own token", _influence(behind="found[i, i:]"), "may know its own token"),
    Mutant("lab05.q2", "the last place", _influence(last="len(found)"), "there is nothing to predict"),
    Mutant("lab05.q2", "counts", _influence(step="(mask | same).float() @ found.float()"), "expected booleans"),
    Mutant("lab05.q3", "loss on unmasked tokens", _masked(targets="ids"), "for all to see"),
    Mutant("lab05.q3", "targets where masked", _masked(targets="torch.where(masked, ids, -100)"), "those that were exchanged or kept as well"),
    Mutant("lab05.q3", "targets where changed", _masked(targets="torch.where(inputs != ids, ids, -100)"), "a target all the same"),
    Mutant("lab05.q3", "targets from inputs", _masked(targets="torch.where(chosen, inputs, -100)"), "not what was put in its place"),
    Mutant("lab05.q3", "the last draw of the row", _masked(at="word % u.shape[1]", chosen="drawn < rate"), "word is -1 there"),
    Mutant("lab05.q3", "piece by piece", _masked(chosen="(fate < rate) & (word >= 0)"), "chosen as a whole"),
    Mutant("lab05.q3", "always masked", _masked(masked="chosen"), "nothing about texts without masks"),
    Mutant("lab05.q3", "never kept", _masked(exchanged="chosen & (fate >= 0.8)"), "stays as it is: here it is exchanged"),
    Mutant("lab05.q3", "over all places", _masked(loss="(each * given).mean()"), "not by that of all places"),
    Mutant("lab05.q3", "a mean of means", _masked(loss="((each * given).sum(1) / given.sum(1).clamp(min=1)).mean()"), "a mean of each text's mean"),
    Mutant("lab05.q3", "no target is token 0", _masked(loss="each.mean()"), "as if token 0 stood there"),
    Mutant("lab05.q3", "0 / 0", _masked(loss="each[given].mean()"), "not 0 / 0"),
    Mutant("lab05.q3", "cut off", _masked(loss="torch.tensor(each[given].mean().item()) if given.any() else 0.0"), "cut off from its inputs"),
    Mutant("lab05.q4", "a sentinel each", _spans(begins="gone"), "side by side are one span"),
    Mutant("lab05.q4", "one sentinel", _spans(mark="sentinels[0]", end="targets.append(sentinels[0])"), "a sentinel of its own"),
    Mutant("lab05.q4", "nothing left", _spans(into_inputs="pass"), "nothing shows that something is missing"),
    Mutant("lab05.q4", "not taken out", _spans(take="targets.append(token)\n                inputs.append(token)"), "can be read off"),
    Mutant("lab05.q4", "bare targets", _spans(into_targets="pass"), "stands behind its sentinel"),
    Mutant("lab05.q4", "no end", _spans(end="pass"), "one more sentinel"),
    Mutant("lab05.q4", "as written", _spans(known="(order.pop(0) if order else [])"), "in any order"),
    Mutant("lab05.q4", "a sentinel stays", _spans(known="parts.get(token, [token])"), "left empty"),
    Mutant("lab05.q4", "KeyError", _spans(known="parts[token]"), "left empty"),
    Mutant("lab05.q4", "talk first", _spans(before="current = parts.setdefault(sentinels[0], [])\n                current.append(token)"), "before the first sentinel"),
    Mutant("lab05.q4", "talk behind", _spans(after="[t for s, part in parts.items() if s not in inputs for t in part]"), "not among the inputs"),
    Mutant("lab05.q5", "keys from the decoder", _cross(k="x"), "the keys come from the decoder"),
    Mutant("lab05.q5", "values from the decoder", _cross(v="x"), "the values come from the decoder"),
    Mutant("lab05.q5", "self-attention", _cross(k="x", v="x"), "nothing of the source is read"),
    Mutant("lab05.q5", "queries from the encoder", _cross(q="states"), "the decoder asks"),
    Mutant("lab05.q5", "pads", _cross(mask="scores"), "the pads of the source are looked at"),
    Mutant("lab05.q5", "after the softmax", _cross(mask="scores", softmax="scores.softmax(-1) * real[:, None, None]"), "no longer add up to 1"),
    Mutant("lab05.q5", "zero scores", _cross(mask="scores * real[:, None, None]"), "exp(0) is 1"),
    Mutant("lab05.q5", "a causal mask", _cross(mask="scores.masked_fill(~(real[:, None, None] & torch.ones(scores.shape[-2:], dtype=torch.bool).tril()), -1e9)"), "all of it has been read"),
    Mutant("lab05.q5", "over queries", _cross(softmax="scores.softmax(-2)"), "over the places of the source"),
    Mutant("lab05.q5", "scale of the model", _cross(scale="d ** 0.5"), "not of the model's"),
    Mutant("lab05.q5", "view for transpose", _cross(merged="(weight @ v).reshape(len(x), -1, d)"), "put together wrongly"),
    Mutant("lab05.q5", "residual", _cross(out='x + merged @ weights["o"]'), "the block's business"),
    Mutant("lab05.q6", "pads in the mean", _pool(mean="hidden.mean(1)"), "what it is batched with"),
    Mutant("lab05.q6", "length 1", _pool(mean="F.normalize((hidden * real[..., None]).sum(1), dim=-1)"), "nothing is to be brought"),
    Mutant("lab05.q6", "the first place", _pool(first="0 * rows"), "a pad where pads stand in front"),
    Mutant("lab05.q6", "the last place", _pool(last="0 * rows - 1"), "a pad where pads stand behind"),
    Mutant("lab05.q6", "counted", _pool(last="real.sum(1) - 1"), "only where no pads stand in front"),
    Mutant("lab05.q7", "exact shares", _test(near="0.001"), "refuses a right answer"),
    Mutant("lab05.q7", "short texts counted", _test(enough="1"), "refuses a right answer"),
    Mutant("lab05.q7", "short texts alone", _test(examples="[(long[:20], 1), (mixed[:20], 2)]"), "your test accepts"),
    Mutant("lab05.q7", "kept tokens are no targets", _test(right="token >= 5 and target == token and put != token"), "refuses a right answer"),
    Mutant("lab05.q7", "no rate", _test(rate="True"), "twice as many"),
    Mutant("lab05.q7", "targets not looked at", _test(right="token >= 5"), "gives what it put there as the target"),
    Mutant("lab05.q7", "no marks", _test(examples="[(long, 1)]"), "chooses marks as well"),
    Mutant("lab05.q7", "a long text", _test(examples="[(long * 4, 1)]"), "1 to 3000 ids"),
    Mutant("lab05.q8", "another cause", 'diagnosis = {"cause": "H", "evidence": ["b", "k"]}', "not what went wrong"),
    Mutant("lab05.q8", "untrue evidence", 'diagnosis = {"cause": "I", "evidence": ["b", "j"]}', "is not true of your run"),
    Mutant("lab05.q8", "evidence for two causes", 'diagnosis = {"cause": "I", "evidence": ["b", "c"]}', "seen under another cause"),
    Mutant("lab05.q8", "a letter", 'diagnosis = "I"', "write it as"),
]  # fmt: skip

# The challenge: counting which letter stands between which neighbours in all 105,000 words, up to three on each side, and
# adding the counts' shares with weights, reaches 46 % on the report words in 12 processor seconds, without any training.
# The plot after ten times the updates (1,500, one seed): on average over the places the decoder has 30 %, the encoders 38 %
# and 39 %; at the last place the decoder is still ahead, 56 % against 43 % and 44 %. So more updates turn the averages
# round and leave the gap at the last place, and three times the targets close nothing.
RUBRICS = {
    "lab05.t1": "3: says what each model reads at the first and the last place, and that the encoders are hardly ahead where the decoder reads nothing; the decoder is ahead at the last place, about 9 points, with its interval; "
    "targets in an update are 768, about 115 and 384, and half of the letters chosen is no better than 15 %, so the number of targets is not all; a second reason (inputs half masked, many patterns of gaps, too few updates) and an experiment that would tell "
    "(longer training, a decoder whose loss counts 15 % of the letters, an encoder trained with one gap). 2: two or three of these. 1: describes the curves without intervals. 0: no plot read.",
}
