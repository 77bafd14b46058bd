"""Lab 05: masks of three families, what a layer lets through, masked words, spans and sentinels, cross-attention,
pooling, a test of makers of masked texts, a run that went wrong."""

import functools
import itertools
import random

import numpy as np
import torch
import torch.nn.functional as F

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Number, Question, Subject, Tolerance, Ungraded

CUT_OFF = Mistake(
    "the result is cut off from its inputs (.detach(), .item(), torch.tensor(...)): nothing could be trained through it",
    error="does not require grad|no attribute 'backward'",
)

# ------------------------------------------------------------------------------------------------------ 1: three masks


def _padded(draw: Draw, front: bool, behind: bool, n: int = 3) -> torch.Tensor:
    """(n, T) bool: rows of 4 to 7 real tokens among pads; one row is full but where both sides have pads."""
    T = 7 + draw.integer(0, 2)
    real = torch.ones(n, T, dtype=torch.bool)
    for row in range(1, n):
        before = draw.integer(1, 3) if front else 0
        after = draw.integer(1, 3) if behind else 0
        real[row, :before] = False
        real[row, T - after :] = False
    return real


def _prefixes(draw: Draw, real: torch.Tensor) -> torch.Tensor:
    """At least two real tokens, and two behind them; the first row's differs from the second's."""
    lengths = real.sum(1).tolist()
    first = 2 + draw.integer(0, lengths[1] - 4)
    others = [2 + draw.integer(0, length - 3) for length in lengths[1:]]
    return torch.tensor([first + 1 if others[0] == first else first, *others])


def an_encoder(draw: Draw) -> tuple:
    real = _padded(draw, False, True)
    return "encoder", real, _prefixes(draw, real)


def a_decoder(draw: Draw) -> tuple:
    real = _padded(draw, True, False)
    return "decoder", real, _prefixes(draw, real)


def a_prefix_decoder(draw: Draw) -> tuple:
    real = _padded(draw, False, True)
    return "prefix", real, _prefixes(draw, real)


def pads_in_front(draw: Draw) -> tuple:
    real = _padded(draw, True, False)
    return "prefix", real, _prefixes(draw, real)


def run_pattern(student, family, real, prefix):
    """Recipe: the mask, (B, T, T); what stands in the rows of pads does not matter."""
    mask = torch.as_tensor(student(family, real.clone(), prefix.clone()))
    return torch.where(real[:, :, None], mask, torch.zeros((), dtype=mask.dtype))


def pattern(family, real, prefix, slip=""):
    """(B, T, T) bool, True = may look, or a slip's."""
    T = real.shape[1]
    i, j = torch.arange(T)[:, None], torch.arange(T)
    earlier = {"not itself": j < i, "one ahead": j <= i + 1}.get(slip, j <= i)
    place = j.expand_as(real) if slip == "columns" else real.long().cumsum(1) - 1
    n = {"one more": prefix + 1, "one less": prefix - 1, "the first row's": prefix[:1].expand_as(prefix)}
    inside = place < n.get(slip, prefix)[:, None]
    encoder, decoder = torch.ones(len(real), T, T, dtype=torch.bool), earlier.expand(len(real), T, T)
    prefix_mask = {
        "rows": earlier | inside[:, :, None],
        "the rest alone": (inside[:, :, None] & inside[:, None]) | (earlier & ~inside[:, None]),
        "the rest looks both ways": encoder,
        "the prefix alone": inside[:, None].expand(encoder.shape),
        "the prefix looks left": decoder,
    }.get(slip, earlier | inside[:, None])
    if slip == "all look left" or (slip, family) == ("an encoder looks left", "encoder"):
        family = "decoder"
    elif slip == "all look both ways" or (slip, family) == ("a decoder looks both ways", "decoder"):
        family = "encoder"
    mask = {"encoder": encoder, "decoder": decoder, "prefix": prefix_mask}[family]
    if slip == "turned":
        mask = mask.mT
    if slip != "pads":
        mask = mask & real[:, None]
    return ~mask if slip == "the wrong way round" else mask


@functools.cache
def _patterned(slip: str):
    return lambda family, real, prefix: run_pattern(functools.partial(pattern, slip=slip), family, real, prefix)


PATTERN_SLIPS = {
    "a decoder looks both ways": "a decoder's token may not look at what comes after it: with such a mask it reads the very token that it is to predict, and learns to copy it",
    "an encoder looks left": "an encoder looks both ways: this is a decoder's mask",
    "the prefix looks left": "within the prefix tokens see one another in both directions: this is a decoder's mask",
    "the rest looks both ways": "behind the prefix a token sees what came before it alone: this is an encoder's mask",
    "all look left": "this is a decoder's mask for all families: an encoder looks both ways, and within the prefix tokens see one another in both directions",
    "all look both ways": "this is an encoder's mask for all families: a decoder's token may not look at what comes after it, for it would read the very token that it is to predict",
    "rows": "the prefix is what is looked *at*, the columns: here its rows may look everywhere, at what is to be written as well",
    "the rest alone": "what stands behind the prefix sees the prefix, and what came before it behind the prefix",
    "the prefix alone": "what stands behind the prefix sees itself and what came before it, not the prefix alone",
    "columns": "the prefix counts real tokens: here the pads in front are counted with them",
    "one more": "the prefix is one token too long",
    "one less": "the prefix is one token too short",
    "the first row's": "each text has a prefix of its own: here the first one's is used for all",
    "not itself": "a token may look at itself",
    "one ahead": "a decoder's token sees one place too far: the very token that it is to predict",
    "turned": "rows and columns are exchanged: mask[b, i, j] says if place i may look at place j",
    "pads": "nobody may look at a pad: its state would enter the states of real tokens. Take out the columns of pads, j, not their rows",
    "the wrong way round": "True means: may look",
}  # fmt: skip
_ENCODER = tuple(map(_patterned, ("pads", "the wrong way round", "an encoder looks left", "all look left")))
_DECODER = tuple(map(_patterned, ("pads", "the wrong way round", "a decoder looks both ways", "all look both ways", "not itself", "one ahead", "turned")))  # fmt: skip
_OF_PREFIX = ("the prefix looks left", "the rest looks both ways", "rows", "the rest alone", "the prefix alone", "one more", "one less", "the first row's", "not itself", "turned")  # fmt: skip
_PREFIX = tuple(map(_patterned, ("the wrong way round", *_OF_PREFIX)))

# -------------------------------------------------------------------------------------------- 2: what layers let through


def some_layers(draw: Draw) -> tuple:
    """Two or three layers with masks of their own, mostly of earlier places; not every place looks at itself."""
    T = 4 + draw.integer(0, 3)
    layers = []
    for _ in range(2 + draw.integer(0, 2)):
        mask = torch.from_numpy(draw.numpy.random((T, T)) < 0.45).tril()
        for _ in range(1 + draw.integer(0, 2)):
            i = draw.integer(0, T - 1)
            mask[i, draw.integer(i + 1, T)] = True
        layers.append(mask)
    return (layers,)


def a_window(draw: Draw) -> tuple:
    """Every place looks at itself and one or two before it."""
    T, width = 6 + draw.integer(0, 3), 1 + draw.integer(0, 2)
    mask = torch.ones(T, T, dtype=torch.bool).tril() & ~torch.ones(T, T, dtype=torch.bool).tril(-width - 1)
    return ([mask] * (2 + draw.integer(0, 2)),)


def who_reaches_whom(draw: Draw) -> tuple:
    return (*some_layers(draw), "reaches")


def which_are_honest(draw: Draw) -> tuple:
    return (*some_layers(draw), "honest")


def run_influence(student, layers, what):
    """Recipe: who reaches whom, or the honest places in the order given."""
    found = getattr(student, what)([mask.clone() for mask in layers])
    return found if what == "reaches" else [int(place) for place in found]


def reaches(layers, slip=""):
    """(T, T) bool, or a slip's."""
    same = torch.eye(len(layers[0]), dtype=torch.bool)
    if slip == "one step":
        return functools.reduce(torch.logical_or, layers) | same
    if slip == "in all":
        return functools.reduce(torch.logical_and, layers) | same
    if slip == "last":
        return layers[-1] | same
    if slip == "first of all":
        layers = [layers[0]] * len(layers)
    if slip == "order":
        layers = layers[::-1]
    found = same
    for mask in layers if slip != "one layer too few" else layers[:-1]:
        found = ((mask if slip == "no residual" else mask | same).float() @ found.float()) > 0
    return found.T if slip == "turned" else found


@functools.cache
def _influenced(slip: str):
    return lambda layers, what: reaches(layers, slip) if what == "reaches" else honest(layers, slip)


REACH_SLIPS = {
    "no residual": "reaches: what a place holds stays with it through every layer, by the residual connection, also where its mask does not allow it to look at itself",
    "one step": "reaches: that is who looks at whom in some layer: what i takes from k in the second layer holds what k took in the first",
    "in all": "reaches: a look in one layer is enough: here it has to be allowed in all of them",
    "last": "reaches: that is the last layer alone",
    "first of all": "reaches: each layer has a mask of its own: here the first one's is used for all",
    "one layer too few": "reaches: one layer is missing",
    "order": "reaches: the first layer of the list works first: here the last does",
    "turned": "reaches: rows and columns are exchanged: [i, j] says if the token at j can change the state at i",
}
_REACHES = tuple(_influenced(s) for s in REACH_SLIPS)


def honest(layers, slip=""):
    """Places whose state can be trained to predict the next token, or a slip's."""
    T = len(layers[0])
    found = reaches(layers, slip)  # a mistake there shows here as well
    if slip == "masks":
        found = reaches(layers, "one step")
    elif slip == "last mask":
        found = layers[-1]
    behind = {"the next one": lambda i: found[i, i + 1 : i + 2], "itself as well": lambda i: found[i, i:]}.get(
        slip, lambda i: found[i, i + 1 :]
    )
    places = [i for i in range(T if slip == "the last place" else T - 1) if not behind(i).any()]
    if slip == "the others":
        return [i for i in range(T - 1) if i not in places]
    return [i + 1 for i in places] if slip == "the next place" else places


HONEST_SLIPS = {
    "masks": "honest: a mask shows one step: a later token may come by a detour, through a place that saw it a layer below",
    "last mask": "honest: the last layer's mask is not enough: what it looks at may have seen a later token in a layer below",
    "the next one": "honest: nothing behind place i may reach it: here only the very next token was looked at",
    "itself as well": "honest: place i may know its own token, and what came before it: only what stands behind it must not reach it, [i, j] with j > i",
    "the last place": "honest: behind the last place there is nothing to predict",
    "the others": "honest: those are the places that see something later: give the honest ones",
    "the next place": "honest: those are the places of the tokens that are predicted: give the places that predict them",
}
_HONEST = tuple(_influenced(s) for s in HONEST_SLIPS)

# ---------------------------------------------------------------------------------------------------- 3: masked words


def pieces_of_words(draw: Draw) -> tuple:
    """Two or three texts: a first and a last token and pads, which belong to no word (-1), and words of 1 to 3 pieces."""
    texts = []
    for row in range(2 + draw.integer(0, 2)):
        word = [-1]
        for number in range(3 + draw.integer(0, 2) - (row == 1)):
            word += [number] * (1 + draw.integer(0, 3))
        texts.append([*word, -1])
    T = max(map(len, texts)) + 1
    word = torch.tensor([[*text, *[-1] * (T - len(text))] for text in texts])
    ids = torch.where(word >= 0, draw.integers(10, 40, *word.shape), 0)
    ids[:, 0] = 1
    for row, text in enumerate(texts):
        ids[row, len(text) - 1] = 2
    fate = draw.uniform(*word.shape)
    fate = torch.where(draw.uniform(*word.shape) < 0.5, 0.8 + 0.2 * fate, fate)
    others = draw.integers(40, 60, *word.shape)
    u = draw.uniform(len(texts), int(word.max()) + 1)
    return ids, word, u, fate, others, draw.choice([0.3, 0.4, 0.5]), 3


def run_corrupt(student, ids, word, u, fate, others, rate, mask_id):
    """Recipe: what is read and what is to be given back."""
    inputs, targets = student.corrupt(*(t.clone() for t in (ids, word, u, fate, others)), rate, mask_id)
    return {"inputs": torch.as_tensor(inputs), "targets": torch.as_tensor(targets)}


def corrupt(ids, word, u, fate, others, rate, mask_id, slip=""):
    """Inputs and targets as ids, or a slip's."""
    at = word if slip == "no word" else word.clamp(min=0)
    chosen = u.gather(1, at % u.shape[1]) < rate
    if slip == "the others":
        chosen = u.gather(1, at % u.shape[1]) >= rate
    if slip == "piece by piece":
        chosen = fate < rate
    if slip not in ("no word", "first word"):
        chosen = chosen & (word >= 0)
    if slip == "first pieces":
        chosen = chosen & (word != word.roll(1, 1))
    masked, exchanged = chosen & (fate < 0.8), chosen & (fate >= 0.8) & (fate < 0.9)
    if slip == "always masked":
        masked, exchanged = chosen, chosen & False
    elif slip == "never kept":
        exchanged = chosen & (fate >= 0.8)
    elif slip == "never exchanged":
        exchanged = chosen & False
    elif slip == "fates exchanged":
        masked, exchanged = chosen & (fate >= 0.2), chosen & (fate >= 0.1) & (fate < 0.2)
    elif slip == "exchanged everywhere":
        exchanged = (fate >= 0.8) & (fate < 0.9) & (word >= 0)
    inputs = torch.where(masked, mask_id, torch.where(exchanged, others, ids))
    given = {"none where kept": inputs != ids, "none but masked": inputs == mask_id}.get(slip, chosen)
    if slip == "all are targets":
        given = torch.ones_like(chosen)
    elif slip == "all words are targets":
        given = word >= 0
    targets = torch.where(given, inputs if slip == "targets from inputs" else ids, 0 if slip == "zeros" else -100)
    return {"inputs": inputs, "targets": targets}


@functools.cache
def _corrupted(slip: str):
    def made(*inputs):
        if len(inputs) != 7:
            raise TypeError("no text")
        return corrupt(*inputs, slip=slip)

    return made


CORRUPT_SLIPS = {
    "all are targets": "corrupt: every token is a target: the loss is then mostly about tokens that stand in the inputs for all to see. Where nothing was chosen the target is -100",
    "all words are targets": "corrupt: every token of a word is a target: the loss is then mostly about tokens that stand in the inputs for all to see. Where nothing was chosen the target is -100",
    "none where kept": "corrupt: a chosen token that stays as it is is a target all the same: that is what makes the model doubt what it reads",
    "none but masked": "corrupt: all chosen tokens are targets, those that were exchanged or kept as well",
    "targets from inputs": "corrupt: a target is the token that stood there before, not what was put in its place",
    "zeros": "corrupt: where there is no target stands -100: 0 is a token",
    "no word": "corrupt: tokens that belong to no word are chosen: word is -1 there, and the last draw of the row is read",
    "first word": "corrupt: tokens that belong to no word are chosen along with the first word",
    "piece by piece": "corrupt: a word is chosen as a whole, by its number in u; `fate` says what becomes of each of its pieces",
    "first pieces": "corrupt: all pieces of a chosen word are chosen, not only its first",
    "the others": "corrupt: a word is chosen where its draw is *below* the rate",
    "always masked": "corrupt: every chosen token is masked: the model then learns nothing about texts without masks, which is all it will see later",
    "never kept": "corrupt: from a fate of 0.9 on a chosen token stays as it is: here it is exchanged",
    "never exchanged": "corrupt: with a fate between 0.8 and 0.9 a chosen token is exchanged: here it stays as it is",
    "fates exchanged": "corrupt: masked is a fate below 0.8, exchanged one from 0.8 to 0.9",
    "exchanged everywhere": "corrupt: tokens are exchanged that were not chosen",
}  # fmt: skip
_CORRUPT = tuple(_corrupted(s) for s in CORRUPT_SLIPS)


def logits_and_targets(draw: Draw) -> tuple:
    """Rows of unequal numbers of targets."""
    B, T, V = 2 + draw.integer(0, 2), 5 + draw.integer(0, 3), 4 + draw.integer(0, 3)
    targets = draw.integers(0, V, B, T)
    for row in range(B):
        keep = draw.numpy.permutation(T)[: 1 + row % 3].tolist()
        targets[row, [t for t in range(T) if t not in keep]] = -100
    return draw.normal(B, T, V, scale=2.0), targets


def nothing_chosen(draw: Draw) -> tuple:
    logits, targets = logits_and_targets(draw)
    return logits, torch.full_like(targets, -100)


def run_loss(student, logits, targets):
    """Recipe: the loss, and its gradient where anything was chosen."""
    logits = logits.clone().requires_grad_()
    loss = student.loss(logits, targets.clone())
    if bool((targets != -100).any()):
        loss.backward()
    gradient = torch.zeros_like(logits) if logits.grad is None else logits.grad
    return {"loss": float(torch.as_tensor(loss).detach()), "gradient": gradient}


def masked_loss(logits, targets, slip=""):
    """Mean over the targets, or a slip's."""
    given = targets != -100
    each = F.cross_entropy(logits.mT, targets, reduction="none", ignore_index=-100)
    if slip == "shifted":
        each = F.cross_entropy(logits[:, :-1].mT, targets[:, 1:], reduction="none", ignore_index=-100)
        return each.sum() / (targets[:, 1:] != -100).sum().clamp(min=1)
    if slip == "rows":
        return (each.sum(1) / given.sum(1).clamp(min=1)).mean()
    if slip == "all are targets":
        return F.cross_entropy(logits.mT, targets.clamp(min=0))
    total = {"all places": targets.numel(), "sum": 1, "texts": len(targets)}
    loss = each.sum() / total.get(slip, given.sum().clamp(min=1))
    return -loss if slip == "sign" else loss


@functools.cache
def _lost(slip: str):
    class Answer:
        loss = staticmethod(functools.partial(masked_loss, slip=slip))

    return lambda logits, targets: run_loss(Answer, logits, targets)


LOSS_SLIPS = {
    "all are targets": "loss: places without a target are in it, as if token 0 stood there",
    "all places": "loss: divide by the number of targets, not by that of all places: with few tokens masked it would be small whatever the model says",
    "rows": "loss: the mean is over all targets of the batch: a mean of each text's mean gives a token of a text with few targets more weight",
    "sum": "loss: the mean over the targets, not their sum",
    "texts": "loss: divide by the number of targets, not by that of the texts",
    "shifted": "loss: nothing is shifted here: the state at a masked place is to give back the token of that very place",
    "sign": "loss: the log-probability has to be turned round: a loss is small where the token is likely",
}
_LOSSES = tuple(_lost(s) for s in LOSS_SLIPS)


def _nan(value, *inputs) -> bool:
    return isinstance(value, dict) and isinstance(value.get("loss"), float) and np.isnan(value["loss"])


# ------------------------------------------------------------------------------------------- 4: spans and sentinels


def a_text_with_gaps(draw: Draw) -> tuple:
    """Three spans of unequal lengths in the middle of a text; sentinels are numbers in no order."""
    ids, taken = [], []
    for number in range(3):
        for gone, n in ((False, 1 + draw.integer(0, 2)), (True, 1 + (number + draw.integer(0, 3)) % 3)):
            ids += [draw.integer(10, 60) for _ in range(n)]
            taken += [gone] * n
    return [*ids, draw.integer(10, 60)], [*taken, False], _sentinels(draw)


def _sentinels(draw: Draw) -> list[int]:
    return (90 + draw.numpy.permutation(12)).tolist()


def gaps_at_both_ends(draw: Draw) -> tuple:
    ids = [draw.integer(10, 60) for _ in range(6)]
    return ids, [True, False, False, True, False, True], _sentinels(draw)


def nothing_taken(draw: Draw) -> tuple:
    return [draw.integer(10, 60) for _ in range(4)], [False] * 4, _sentinels(draw)


def run_spans(student, ids, taken, sentinels):
    """Recipe: what is read and what is to be written, as lists of numbers."""
    inputs, targets = student.corrupt(list(ids), list(taken), list(sentinels))
    return {"inputs": [int(x) for x in inputs], "targets": [int(x) for x in targets]}


def spans(ids, taken, sentinels, slip=""):
    """Inputs and targets, or a slip's."""
    inputs, targets, used = [], [], 1 if slip == "from the second" else 0
    for t, (token, gone) in enumerate(zip(ids, taken)):
        begins = gone and (t == 0 or not taken[t - 1] or slip == "each token")
        ends = gone and (t + 1 == len(ids) or not taken[t + 1])
        mark = (
            sentinels[0] if slip == "one sentinel" else sorted(sentinels)[used] if slip == "sorted" else sentinels[used]
        )
        if begins:
            if slip not in ("nothing left", "behind"):
                inputs.append(mark)
            if slip not in ("targets bare", "behind"):
                targets.append(mark)
        if gone:
            targets.append(token)
            if slip == "behind" and ends:
                inputs.append(mark)
                targets.append(mark)
            used += ends or slip == "each token"
            if slip == "nothing taken out":
                inputs.append(token)
        else:
            inputs.append(token)
    last = sentinels[min(used, len(sentinels) - 1)]
    if slip == "sorted":
        last = sorted(sentinels)[used]
    if slip == "one sentinel":
        last = sentinels[0]
    if slip != "no end":
        targets.append(last)
    if slip == "an end in the inputs":
        inputs.append(last)
    if slip == "whole text":
        targets = [*ids, last]
    return {"inputs": inputs, "targets": targets}


@functools.cache
def _spanned(slip: str):
    def made(ids, taken, sentinels):
        if len(taken) != len(ids) or not all(isinstance(gone, bool) for gone in taken):
            raise TypeError("no text")
        return spans(ids, taken, sentinels, slip=slip)

    return made


SPAN_SLIPS = {
    "each token": "corrupt: tokens taken out side by side are one span, with one sentinel: here each has its own",
    "one sentinel": "corrupt: each span has a sentinel of its own, the next one of the list: nobody could tell otherwise which gap is meant",
    "from the second": "corrupt: the first span gets the first sentinel",
    "sorted": "corrupt: the sentinels are used in the order in which they are given",
    "nothing left": "corrupt: in the inputs a sentinel stands for each span: here nothing shows that something is missing",
    "nothing taken out": "corrupt: the tokens of a span still stand in the inputs: the answer can be read off",
    "targets bare": "corrupt: in the targets each span stands behind its sentinel",
    "behind": "corrupt: in the targets the sentinel comes *before* its span: it says which gap is written now",
    "no end": "corrupt: the targets end with one more sentinel, which says that nothing follows",
    "an end in the inputs": "corrupt: the last sentinel ends the targets; the inputs have one for each span and no more",
    "whole text": "corrupt: the targets hold the spans alone, not the whole text: that is what makes them short",
}
_SPANS = tuple(_spanned(s) for s in SPAN_SLIPS)


def written_well(draw: Draw) -> tuple:
    """What a perfect model would write, in another order of the spans."""
    ids, taken, sentinels = a_text_with_gaps(draw)
    both = spans(ids, taken, sentinels)
    targets = both["targets"]
    starts = [targets.index(s) for s in sentinels[:4]]
    parts = [targets[a:b] for a, b in itertools.pairwise(starts)]
    return both["inputs"], [*parts[1], *parts[2], *parts[0], sentinels[3]], sentinels


def written_badly(draw: Draw) -> tuple:
    """A word before any sentinel, a gap that is left out, an empty one, a sentinel that nobody asked for, and talk."""
    ids, taken, sentinels = a_text_with_gaps(draw)
    inputs = spans(ids, taken, sentinels)["inputs"]
    said = [draw.integer(61, 80) for _ in range(6)]
    empty, full = (0, 2) if draw.integer(0, 2) else (2, 0)
    return (
        inputs,
        [
            said[0],
            sentinels[full],
            said[1],
            said[2],
            sentinels[4],
            said[3],
            sentinels[empty],
            sentinels[3],
            said[4],
            said[5],
        ],
        sentinels,
    )


def run_restore(student, inputs, written, sentinels):
    """Recipe: the text, as a list of numbers."""
    return [int(x) for x in student.restore(list(inputs), list(written), list(sentinels))]


def restore(inputs, written, sentinels, slip=""):
    """The text, or a slip's."""
    parts, current = {}, None
    for token in written:
        if token in sentinels:
            current = parts.setdefault(token, [])
        elif current is not None:
            current.append(token)
        elif slip == "talk first":
            parts[sentinels[0]] = [*parts.get(sentinels[0], []), token]
    order = list(parts.values())
    text = []
    for token in inputs:
        if token not in sentinels:
            text.append(token)
        elif slip == "in the order written":
            text += order.pop(0) if order else []
        else:
            text += parts.get(token, [token] if slip == "left standing" else [])
            if slip == "sentinels kept" and token in parts:
                text[len(text) - len(parts[token]) : len(text) - len(parts[token])] = [token]
    if slip == "talk behind":
        text += [t for s, part in parts.items() if s not in inputs for t in part]
    if slip == "gaps alone":
        text = [t for s in sentinels if s in inputs for t in parts.get(s, [])]
    return text


@functools.cache
def _restored(slip: str):
    def made(inputs, written, sentinels):
        if any(isinstance(token, bool) for token in written):
            raise TypeError("nothing was written")
        return restore(inputs, written, sentinels, slip=slip)

    return made


RESTORE_SLIPS = {
    "in the order written": "restore: a model may write the gaps in any order: the sentinel before a span says where it belongs",
    "left standing": "restore: a gap that was not written is left empty: no sentinel stays in the text",
    "sentinels kept": "restore: no sentinel stays in the text",
    "talk first": "restore: what stands before the first sentinel belongs to no gap, and is dropped",
    "talk behind": "restore: what stands behind a sentinel that is not among the inputs belongs to no gap, and is dropped",
    "gaps alone": "restore: the whole text, with what was in the inputs",
}
_RESTORED_WELL = tuple(map(_restored, ("in the order written", "sentinels kept", "gaps alone")))
_RESTORED_BADLY = tuple(map(_restored, ("left standing", "sentinels kept", "talk first", "talk behind", "gaps alone")))

# ------------------------------------------------------------------------------------------------ 5: cross-attention


def _two_texts(draw: Draw, T: int, S: int, n_heads: int) -> tuple:
    """Decoder states (2, T, d), encoder states (2, S, d) that are large at the pads, the four matrices."""
    d = 3 * n_heads if n_heads > 1 else 5
    real = torch.ones(2, S, dtype=torch.bool)
    real[1, S - 1 - draw.integer(0, 2) :] = False
    weights = {name: draw.normal(d, d, scale=0.5) for name in "qkvo"}
    return draw.normal(2, T, d), draw.normal(2, S, d) + draw.normal(1, 1, d), real, weights, n_heads


def a_longer_source(draw: Draw) -> tuple:
    T = 3 + draw.integer(0, 2)
    return _two_texts(draw, T, T + 1 + draw.integer(0, 3), draw.choice([2, 3]))


def texts_of_one_length(draw: Draw) -> tuple:
    """Here nothing complains when one text is taken for the other."""
    T = 4 + draw.integer(0, 2)
    return _two_texts(draw, T, T, 2)


def a_shorter_source(draw: Draw) -> tuple:
    S = 3 + draw.integer(0, 2)
    return _two_texts(draw, S + 2, S, 1)


def run_cross(student, x, states, real, weights, n_heads):
    """Recipe: the output, and the gradients that reach both texts."""
    x, states = x.clone().requires_grad_(), states.clone().requires_grad_()
    out = student(x, states, real.clone(), {name: w.clone() for name, w in weights.items()}, n_heads)
    out.pow(2).sum().backward()
    zero = lambda t: torch.zeros_like(t) if t.grad is None else t.grad
    return {"output": out.detach(), "gradient of x": zero(x), "gradient of states": zero(states)}


def cross(x, states, real, weights, n_heads, slip=""):
    """(B, T, d), or a slip's."""
    B, T, d = x.shape
    S = states.shape[1]
    weights = {name: w.T for name, w in weights.items()} if slip == "matrices turned" else weights
    sides = {"keys from the decoder": "dDe", "values from the decoder": "ded", "self-attention": "ddd", "queries from the encoder": "eee", "the texts exchanged": "edd"}.get(slip, "dee").lower()  # fmt: skip
    q, k, v = ((x if side == "d" else states) @ weights[name] for side, name in zip(sides, "qkv"))
    if slip == "keys as they are":
        k = states
    if slip == "values as they are":
        v = states
    split = lambda y: y.view(B, -1, n_heads, d // n_heads).transpose(1, 2)
    if slip == "heads cut wrongly":
        split = lambda y: y.reshape(B, n_heads, -1, d // n_heads)
    if slip == "one head":
        split = lambda y: y[:, None]
    q, k, v = split(q), split(k), split(v)
    scores = (
        q
        @ k.mT
        / {"no scale": 1.0, "scale of the model": d**0.5, "scale without a root": d / n_heads}.get(
            slip, (d / (1 if slip == "one head" else n_heads)) ** 0.5
        )
    )
    seen = torch.ones(T, S, dtype=torch.bool).tril() if slip == "causal" else torch.ones(T, S, dtype=torch.bool)
    seen = seen if slip in ("pads", "after the softmax", "zero scores") else seen & real[:, None, None]
    if slip == "mask as rows":
        seen = real[:, None, :, None].expand(-1, -1, -1, S)
    if slip == "the wrong way round":
        seen = ~real[:, None, None] | ~real.logical_not().any(1)[:, None, None, None]
    if slip == "zero scores":
        scores = scores * real[:, None, None]
    scores = scores.masked_fill(~seen, -1e9)
    weight = scores.softmax(-2 if slip == "over queries" else -1)
    if slip == "after the softmax":
        weight = weight * real[:, None, None]
    out = weight @ v
    out = out.reshape(B, -1, d) if slip == "heads not put together" else out.transpose(1, 2).reshape(B, -1, d)
    out = out if slip == "no output matrix" else out @ weights["o"]
    return out + x if slip == "residual" else out


@functools.cache
def _crossed(slip: str):
    return lambda *inputs: run_cross(functools.partial(cross, slip=slip), *inputs)


CROSS_SLIPS = {
    "keys from the decoder": "the keys come from the decoder's states x: they come from the encoder's, so that a query finds the place in the source that it needs",
    "values from the decoder": "the values come from the decoder's states x: what is fetched comes from the encoder",
    "self-attention": "keys and values come from the decoder's states x: this is self-attention, and nothing of the source is read",
    "queries from the encoder": "the queries come from the encoder's states: the decoder asks, so they come from x",
    "the texts exchanged": "the two texts are exchanged: queries come from x, keys and values from states",
    "pads": "the pads of the source are looked at: mask them, or a text's translation depends on what it is batched with",
    "after the softmax": "the pads are taken out after the softmax: the weights then no longer add up to 1. Set their scores to -inf before",
    "zero scores": "a score of 0 is no mask: exp(0) is 1. Set the scores of pads to -inf",
    "mask as rows": "`real` is about the places of the source, the keys: here it is laid over the queries",
    "the wrong way round": "`real` is True where there is a token: here the pads are looked at, and nothing else",
    "causal": "a causal mask over the source: all of it has been read before the first token is written, so every place may look at all of it",
    "over queries": "the softmax runs over the queries: it has to run over the places of the source, the last axis",
    "no scale": "where is the division by the root of a head's width?",
    "scale of the model": "divide by the root of a head's width, not of the model's",
    "scale without a root": "divide by the *root* of a head's width",
    "one head": "this is one head of the full width: cut queries, keys and values into n_heads",
    "heads cut wrongly": "the heads are cut wrongly: each takes a part of the features of every token, (B, T, n_heads, d_head), and then the axes 1 and 2 change places",
    "heads not put together": "the heads are put together wrongly: let the axes of heads and places change back before you reshape",
    "no output matrix": "where is the output matrix weights['o']?",
    "residual": "x is added: the residual connection is the block's business",
    "keys as they are": "the keys are the encoder's states times weights['k']: here the states are taken as they are",
    "values as they are": "the values are the encoder's states times weights['v']: here the states are taken as they are",
    "matrices turned": "y = x @ W: here the matrices are transposed, as in the weight of an nn.Linear",
}
_SAME_LENGTH = ("keys from the decoder", "values from the decoder", "self-attention", "queries from the encoder", "the texts exchanged", "mask as rows")  # fmt: skip
_CROSS = tuple(_crossed(s) for s in CROSS_SLIPS if s not in _SAME_LENGTH)
_CONFUSED = tuple(map(_crossed, _SAME_LENGTH))

# -------------------------------------------------------------------------------------------------------- 6: pooling


def _states(draw: Draw, how: str, front: bool, behind: bool) -> tuple:
    real = _padded(draw, front, behind)
    return draw.normal(*real.shape, 3 + draw.integer(0, 3)) + 0.5, real, how


def the_mean(draw: Draw) -> tuple:
    return _states(draw, "mean", draw.choice([True, False]), True)


def the_first(draw: Draw) -> tuple:
    return _states(draw, "first", True, False)


def the_last(draw: Draw) -> tuple:
    return _states(draw, "last", False, True)


def the_last_behind_pads(draw: Draw) -> tuple:
    return _states(draw, "last", True, True)


def run_pool(student, hidden, real, how):
    """Recipe: a vector for each text."""
    return torch.as_tensor(student(hidden.clone(), real.clone(), how))


def pool(hidden, real, how, slip=""):
    """(B, d), or a slip's."""
    B, T, _ = hidden.shape
    rows, count = torch.arange(B), real.sum(1)
    first = real.long().argmax(1)
    last = T - 1 - real.flip(1).long().argmax(1)
    if how == "first" or (how == "last" and slip == "first for last"):
        return hidden[rows, torch.zeros_like(first) if slip == "first place" else first]
    if how == "last":
        return hidden[rows, {"last place": torch.full_like(last, T - 1), "counted": count - 1, "one too far": (last + 1).clamp(max=T - 1), "one before": last - 1}.get(slip, last)]  # fmt: skip
    total = (hidden * real[..., None]).sum(1)
    if slip == "pads":
        return hidden.mean(1)
    if slip == "pads over tokens":
        return hidden.sum(1) / count[:, None]
    if slip == "over all places":
        return total / T
    if slip == "sum":
        return total
    if slip == "over the batch":
        return total / count.sum()
    mean = total / count[:, None]
    if slip == "length 1":
        return F.normalize(mean, dim=-1)
    return (hidden * ~real[..., None]).sum(1) / (~real).sum(1).clamp(min=1)[:, None] if slip == "mask turned" else mean


@functools.cache
def _pooled(slip: str):
    return functools.partial(pool, slip=slip)


POOL_SLIPS = {
    "pads": "mean: the pads are in the mean: a text's vector then depends on what it is batched with. Multiply by the mask before you sum, and divide by the number of real tokens",
    "pads over tokens": "mean: the states of the pads are in the sum: they are not 0",
    "over all places": "mean: divide by the number of real tokens, not by that of all places",
    "sum": "mean: this is the sum",
    "over the batch": "mean: each text is divided by its own number of tokens, not by that of the batch",
    "mask turned": "mean: this is the mean over the pads: real is True where there is a token",
    "length 1": "mean: nothing is to be brought to length 1",
    "first place": "first: the first place is a pad where pads stand in front",
    "last place": "last: the last place is a pad where pads stand behind",
    "counted": "last: the number of tokens is the place of the last one only where no pads stand in front",
    "one too far": "last: one place too far: that is a pad",
    "one before": "last: one place too early",
    "first for last": "last: this is the first token",
}
_MEANS = tuple(map(_pooled, ("pads", "pads over tokens", "over all places", "sum", "over the batch", "mask turned", "length 1")))  # fmt: skip
_LASTS = tuple(map(_pooled, ("last place", "one too far", "one before", "first for last")))

# ------------------------------------------------------------------------------------- 7: makers of masked texts, tested

MASK, ORDINARY, VOCABULARY = 4, 5, 100  # the ids below 5 are marks, the others tokens
LONGEST = 3000


def a_masked_text(ids, seed) -> str | None:
    """What is wrong with an example, or None."""
    if not isinstance(ids, list) or not 1 <= len(ids) <= LONGEST:
        return f"ids is a list of 1 to {LONGEST} ids"
    if not all(type(x) is int and 0 <= x < VOCABULARY and x != MASK for x in ids):
        return f"an id is a whole number from 0 to {VOCABULARY - 1}, and not {MASK}, the mask"
    return None if type(seed) is int and 0 <= seed < 10**9 else "seed is a whole number from 0 to 999999999"


def _made(ids, seed, *, rate=0.15, masked=0.8, kept=0.9, choose=None, other=None, target=None, untouched=None):
    """Inputs and targets, one draw a token."""
    rng = random.Random(seed)
    inputs, targets = [], []
    for place, token in enumerate(ids):
        open_to = token >= ORDINARY if choose is None else choose(token, place)
        if not (rng.random() < rate and open_to):
            inputs.append(token if untouched is None else untouched(token, rng))
            targets.append(-100)
            continue
        fate = rng.random()
        put = MASK if fate < masked else token if fate >= kept else (other or _another)(rng)
        inputs.append(put)
        targets.append(token if target is None else target(token, put))
    return inputs, targets


def _another(rng) -> int:
    return rng.randrange(ORDINARY, VOCABULARY)


def masks_token_by_token(ids, seed):
    return _made(ids, seed)


def masks_with_torch(ids, seed):
    generator = torch.Generator().manual_seed(seed)
    given = torch.tensor(ids)
    chosen = (torch.rand(len(ids), generator=generator) < 0.15) & (given >= ORDINARY)
    fate = torch.rand(len(ids), generator=generator)
    others = torch.randint(ORDINARY, VOCABULARY, (len(ids),), generator=generator)
    inputs = torch.where(chosen & (fate < 0.8), MASK, given)
    inputs = torch.where(chosen & (fate >= 0.8) & (fate < 0.9), others, inputs)
    return inputs.tolist(), torch.where(chosen, given, -100).tolist()


def masks_an_exact_share(ids, seed):
    """As many as 15 % of the tokens are, rounded by luck; of these the first eight tenths in a random order are masked."""
    rng = np.random.default_rng(seed)
    open_to = [i for i, token in enumerate(ids) if token >= ORDINARY]
    n = int(0.15 * len(open_to) + rng.random())
    order = rng.permutation(open_to)[:n].tolist()
    inputs, targets = list(ids), [-100] * len(ids)
    edges = int(0.8 * n + rng.random()), int(0.9 * n + rng.random())
    for number, i in enumerate(order):
        targets[i] = ids[i]
        if number < edges[0]:
            inputs[i] = MASK
        elif number < edges[1]:
            inputs[i] = int(rng.integers(ORDINARY, VOCABULARY))
    return inputs, targets


def masks_from_a_shuffled_list(ids, seed):
    """Every token is given a fate out of twenty: three of them mean chosen, by and large."""
    rng = random.Random(seed + 1)
    inputs, targets = [], []
    for token in ids:
        lot = rng.randrange(200)
        if token < ORDINARY or lot >= 30:
            inputs.append(token)
            targets.append(-100)
            continue
        inputs.append(MASK if lot < 24 else _another(rng) if lot < 27 else token)
        targets.append(token)
    return inputs, targets


def everything_is_a_target(ids, seed):
    inputs, _ = _made(ids, seed)
    return inputs, list(ids)


def no_target_where_it_stays(ids, seed):
    inputs, targets = _made(ids, seed)
    return inputs, [-100 if put == token else target for put, token, target in zip(inputs, ids, targets)]


def marks_are_chosen(ids, seed):
    return _made(ids, seed, choose=lambda token, place: True)


def always_masked(ids, seed):
    return _made(ids, seed, masked=1.0, kept=1.0)


def targets_from_inputs(ids, seed):
    return _made(ids, seed, target=lambda token, put: put)


def twice_as_many(ids, seed):
    return _made(ids, seed, rate=0.3)


# -------------------------------------------------------------------------------------------------------- 8: a wrong run

BASELINE = 21.0  # percent of hidden letters, by what the notebook's cell does

FAULTS = {
    "A": "the decoder looks both ways",
    "B": "the cross-attention takes its keys and values from the decoder",
    "C": "the pads behind a word are not masked",
    "D": "the encoder looks to the left only",
    "E": "the decoder reads the phoneme that it is to write: its input is not shifted",
    "F": "the loss counts the places behind the stop",
    "G": "the stop is not among the targets",
    "H": "the encoder has no positions",
    "I": "words and pronunciations are paired at random",
    "J": "the encoder's states are detached from the graph",
}
RUNS = ("a6", "d1", "f9", "h3", "k7", "m2", "p5", "q8", "t0", "v4")
OBSERVATIONS = {
    "a": "the loss on held-out words is below 0.2",
    "b": "the loss on held-out words is above 0.8",
    "c": "more than 50 % phoneme errors are written",
    "d": "fewer than 5 % of the written words stop",
    "e": "more than 95 % of the written words stop",
    "f": "the loss as logged is more than 10 % below that on held-out words",
    "g": "the encoder's weights have changed by less than 1 %",
    "h": "the encoder's weights have changed by more than 1 %",
    "i": "the decoder's input one place behind moves a prediction by more than 0.5",
    "j": "a letter of the word moves a prediction by more than 0.1",
    "k": "a letter of the word moves a prediction by less than 0.05",
    "l": "two letters that change places move a prediction by less than 0.002",
    "m": "four more pads behind the word move a prediction by more than 0.01",
    "n": "the last letter moves the first state of the encoder by less than 0.001",
}


LAB = Lab(
    id="lab05",
    title="Encoders and decoders",
    questions=(
        Question(
            id="lab05.q1",
            title="Three masks",
            name="pattern",
            points=2,
            difficulty=2,
            minutes=8,
            printed=True,
            recipe=run_pattern,
            hint="draw the mask of a text of five tokens on paper, a row for each place that looks",
            cases=(
                Case("an encoder, pads behind", inputs=an_encoder, expected=_patterned(""), separates=_ENCODER),
                Case("a decoder, pads in front", inputs=a_decoder, expected=_patterned(""), separates=_DECODER),
                Case(
                    "a prefix decoder, pads behind", inputs=a_prefix_decoder, expected=_patterned(""), separates=_PREFIX
                ),
                Case(
                    "a prefix decoder, pads in front",
                    inputs=pads_in_front,
                    expected=_patterned(""),
                    separates=(_patterned("columns"), _patterned("pads")),
                ),
            ),
            mistakes=tuple(Mistake(message, wrong=_patterned(slip)) for slip, message in PATTERN_SLIPS.items()),
        ),
        Question(
            id="lab05.q2",
            title="What a stack lets through",
            name="Influence",
            points=3,
            difficulty=3,
            minutes=12,
            recipe=run_influence,
            hint="follow one token by hand: which places hold something of it after the first layer, after the second?",
            cases=(
                Case(
                    "layers with masks of their own",
                    inputs=who_reaches_whom,
                    expected=_influenced(""),
                    separates=_REACHES,
                ),
                Case("a window", inputs=lambda draw: (*a_window(draw), "reaches"), expected=_influenced("")),
                Case("honest places", inputs=which_are_honest, expected=_influenced(""), separates=_HONEST),
                Case(
                    "all places are honest", inputs=lambda draw: (*a_window(draw), "honest"), expected=_influenced("")
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_influenced(slip)) for slip, message in HONEST_SLIPS.items()),
                *(Mistake(message, wrong=_influenced(slip)) for slip, message in REACH_SLIPS.items()),
            ),
        ),
        Question(
            id="lab05.q3",
            title="Masked words",
            name="MaskedLM",
            points=3,
            difficulty=3,
            minutes=14,
            printed=True,
            hint="one text on paper: which words are chosen, what becomes of each of their tokens, what is asked for?",
            cases=(
                Case(
                    "texts of words in pieces",
                    inputs=pieces_of_words,
                    expected=_corrupted(""),
                    recipe=run_corrupt,
                    separates=_CORRUPT,
                ),
                Case("a loss", inputs=logits_and_targets, expected=_lost(""), recipe=run_loss, separates=_LOSSES),
                Case("nothing was chosen", inputs=nothing_chosen, expected=_lost(""), recipe=run_loss),
            ),
            mistakes=(
                *(Mistake(message, wrong=_corrupted(slip)) for slip, message in CORRUPT_SLIPS.items()),
                *(Mistake(message, wrong=_lost(slip)) for slip, message in LOSS_SLIPS.items()),
                Mistake("loss: where nothing was chosen it is 0, not 0 / 0", when=_nan),
                CUT_OFF,
            ),
        ),
        Question(
            id="lab05.q4",
            title="Spans and sentinels",
            name="Spans",
            points=3,
            difficulty=3,
            minutes=12,
            hint="corrupt: go through the text once, and ask at every token if a span begins; restore: first find out what was written for each sentinel",
            cases=(
                Case("three spans", inputs=a_text_with_gaps, expected=_spanned(""), recipe=run_spans, separates=_SPANS),
                Case("spans at both ends", inputs=gaps_at_both_ends, expected=_spanned(""), recipe=run_spans),
                Case("nothing taken out", inputs=nothing_taken, expected=_spanned(""), recipe=run_spans),
                Case(
                    "written well, in another order",
                    inputs=written_well,
                    expected=_restored(""),
                    recipe=run_restore,
                    separates=_RESTORED_WELL,
                ),
                Case(
                    "written badly",
                    inputs=written_badly,
                    expected=_restored(""),
                    recipe=run_restore,
                    separates=_RESTORED_BADLY,
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_spanned(slip)) for slip, message in SPAN_SLIPS.items()),
                *(Mistake(message, wrong=_restored(slip)) for slip, message in RESTORE_SLIPS.items()),
                Mistake("restore: a gap that was not written is left empty", error="KeyError|is not in list"),
            ),
        ),
        Question(
            id="lab05.q5",
            title="Cross-attention",
            name="cross_attention",
            points=3,
            difficulty=3,
            minutes=12,
            printed=True,
            recipe=run_cross,
            tolerance=Tolerance(rtol=1e-3, atol=1e-4),
            forbids=("scaled_dot_product_attention", "MultiheadAttention", "multi_head_attention_forward"),
            hint="write the shapes beside each line: scores are (B, n_heads, T, S)",
            cases=(
                Case("a longer source", inputs=a_longer_source, expected=_crossed(""), separates=_CROSS),
                Case("texts of one length", inputs=texts_of_one_length, expected=_crossed(""), separates=_CONFUSED),
                Case("a shorter source, one head", inputs=a_shorter_source, expected=_crossed("")),
            ),
            mistakes=(*(Mistake(message, wrong=_crossed(slip)) for slip, message in CROSS_SLIPS.items()), CUT_OFF),
        ),
        Question(
            id="lab05.q6",
            title="One vector for a text",
            name="pool",
            points=1,
            difficulty=2,
            minutes=6,
            printed=True,
            recipe=run_pool,
            hint="which places of the second text are pads?",
            cases=(
                Case("the mean", inputs=the_mean, expected=_pooled(""), separates=_MEANS),
                Case(
                    "the first, pads in front",
                    inputs=the_first,
                    expected=_pooled(""),
                    separates=(_pooled("first place"),),
                ),
                Case("the last, pads behind", inputs=the_last, expected=_pooled(""), separates=_LASTS),
                Case(
                    "the last, pads on both sides",
                    inputs=the_last_behind_pads,
                    expected=_pooled(""),
                    separates=(_pooled("counted"),),
                ),
            ),
            mistakes=tuple(Mistake(message, wrong=_pooled(slip)) for slip, message in POOL_SLIPS.items()),
        ),
        Question(
            id="lab05.q7",
            title="Test somebody else's masked texts",
            name="holds",
            kind="test",
            examples="examples",
            points=4,
            difficulty=4,
            minutes=14,
            valid=a_masked_text,
            right=(
                Subject("a draw for each token", masks_token_by_token),
                Subject("tensors", masks_with_torch),
                Subject("as many as 15 % of the tokens are", masks_an_exact_share),
                Subject("lots out of 200", masks_from_a_shuffled_list),
            ),
            wrong=(
                Subject("makes every token a target", everything_is_a_target),
                Subject("has no target where a chosen token stays as it is", no_target_where_it_stays),
                Subject("chooses marks as well", marks_are_chosen),
                Subject("masks every chosen token", always_masked),
                Subject("gives what it put there as the target", targets_from_inputs),
                Subject("chooses twice as many", twice_as_many),
            ),
        ),
        Question(
            id="lab05.q8",
            title="A training that went wrong",
            name="diagnosis",
            kind="diagnosis",
            points=3,
            difficulty=4,
            minutes=12,
            faults=FAULTS,
            observations=OBSERVATIONS,
            runs=RUNS,
        ),
    ),
    ungraded=(
        Ungraded(
            "lab05.p1",
            "Lead of the encoder at the last place",
            name="predicted_lead",
            number=Number(-100, 100, unit="percentage points"),
        ),
        Ungraded("lab05.t1", "Your own plot, read", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab05.c1",
            "Most hidden letters in 60 s",
            name="best_letters",
            kind="challenge",
            number=Number(0, 100, unit="percent of hidden letters"),
            baseline=BASELINE,
            better="higher",
            seconds=60,
        ),
    ),
)
