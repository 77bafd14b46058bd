"""Lab 19, for staff: hidden cases, keys, mutants, rubrics."""

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab19 import (
    _compressed,
    _loss,
    _nce,
    _patches,
    _quantized,
    _read,
    _recalled,
    _vectors,
    a_power_of_two,
    a_sound,
    all_alike,
    answers_count,
    as_many_as_wide,
    cuts,
    from_the_first,
    grey_pictures,
    in_turn,
    long_codes,
    no_repeats,
    one_patch,
    one_tone,
    patches_of_pictures,
    sharp,
    some_pairs,
    some_pictures,
    some_vectors,
    square_pictures,
    square_table,
    tied,
    untied,
)


def counts_from_one(names, size):
    return [[i + 1 for i in batch] for batch in in_turn(names, size)]


def the_first_only(names, size):
    return in_turn(names, size)[:1]


def none_at_all(names, size):
    return []


def one_too_many(names, size):
    return in_turn(names, size + 1)


def one_too_few(names, size):
    return in_turn(names, size - 1) if size > 2 else in_turn(names, size)


def misses_the_last(names, size):
    return in_turn(names[:-1], size)


def misses_the_first(names, size):
    return [[i + 1 for i in batch] for batch in in_turn(names[1:], size)] if len(names) > 1 else []


def gives_the_last_twice(names, size):
    batches = in_turn(names, size)
    return batches + batches[-1:]


def names_for_pictures(names, size):
    """The first picture of a name in place of its others."""
    return [[names.index(names[i]) for i in batch] for batch in in_turn(names, size)]


def without_capitals(names, size):
    return in_turn([n.lower() for n in names], size)


def first_letters(names, size):
    return in_turn([n[0] for n in names], size)


def last_letters(names, size):
    return in_turn([n[-1] for n in names], size)


def one_name_a_batch(names, size):
    """Gathers what is alike, which is the opposite."""
    order = sorted(range(len(names)), key=lambda i: names[i])
    return [order[i : i + size] for i in range(0, len(order) - size + 1, size)]


def the_first_and_the_last_compared(names, size):
    return [b for b in cuts(names, size) if names[b[0]] != names[b[-1]]]


def twice_is_all_right(names, size):
    """A name may stand in a batch twice, not three times."""
    left, batches = list(range(len(names))), []
    while True:
        batch: list = []
        for i in left:
            if len(batch) < size and sum(names[j] == names[i] for j in batch) < 2:
                batch.append(i)
        if len(batch) < size:
            return batches
        batches.append(batch)
        left = [i for i in left if i not in batch]


def at_most_two(names, size):
    return in_turn(names, size)[:2]


def a_name_in_two_batches_at_most(names, size):
    """A third picture of a name is thrown away."""
    keep = [i for i in range(len(names)) if names[:i].count(names[i]) < 2]
    return [[keep[i] for i in batch] for batch in in_turn([names[i] for i in keep], size)]


HIDDEN = {
    "lab19.q1": [
        Case("other pictures", inputs=some_pictures, expected=_patches("")),
        Case("other squares", inputs=square_pictures, expected=_patches("")),
        Case("other grey ones", inputs=grey_pictures, expected=_patches("")),
        Case("single pixels", inputs=lambda draw: (draw.uniform(2, 3, 3, 4), 1), expected=_patches("")),
        Case("one patch", inputs=lambda draw: (draw.uniform(2, 3, 5, 5), 5), expected=_patches("")),
        Case(
            "views of a larger one",
            inputs=lambda draw: (draw.uniform(2, 4, 6, 3).permute(0, 3, 1, 2), 2),
            expected=_patches(""),
        ),
    ],
    "lab19.q2": [
        Case("other answers", inputs=answers_count, expected=_loss("")),
        Case("other captions", inputs=from_the_first, expected=_loss("")),
        Case("one patch again", inputs=one_patch, expected=_loss("")),
        Case("as many counted in each", inputs=lambda draw: _read(draw, 3, 3, 5, False, even=True), expected=_loss("")),
        Case("a single text", inputs=lambda draw: _read(draw, 1, 4, 6, True), expected=_loss("")),
    ],
    "lab19.q3": [
        Case("other pairs", inputs=some_pairs, expected=_nce("")),
        Case("square again", inputs=as_many_as_wide, expected=_nce("")),
        Case("low again", inputs=sharp, expected=_nce("")),
        Case("two pairs", inputs=lambda draw: (draw.normal(2, 5), draw.normal(2, 5), 0.5), expected=_nce("")),
        Case("a temperature of 2", inputs=lambda draw: (draw.normal(7, 3), draw.normal(7, 3), 2.0), expected=_nce("")),
    ],
    "lab19.q4": [
        Case("other vectors", inputs=some_vectors, expected=_quantized("")),
        Case("other lengths", inputs=long_codes, expected=_quantized("")),
        Case("other patches", inputs=patches_of_pictures, expected=_quantized("")),
        Case("one code", inputs=lambda draw: (draw.normal(4, 3), draw.normal(1, 3), 0.25), expected=_quantized("")),
        Case("four axes", inputs=lambda draw: _vectors(draw, 2, 2, 3, 4), expected=_quantized("")),
        Case("a single vector", inputs=lambda draw: _vectors(draw, 5), expected=_quantized("")),
    ],
    "lab19.q5": [
        Case("another sound", inputs=a_sound, expected=_compressed("")),
        Case("another power of two", inputs=a_power_of_two, expected=_compressed("")),
        Case("one tone again", inputs=one_tone, expected=_compressed("")),
        Case("no repeats again", inputs=no_repeats, expected=_compressed("")),
        Case("a single frame", inputs=lambda draw: ([draw.integer(0, 50)], 50, 40), expected=_compressed("")),
        Case("the first code of all", inputs=lambda draw: ([0, 0, 3, 0, 0, 0], 4, 50), expected=_compressed("")),
    ],
    "lab19.q6": [
        Case("others", inputs=untied, expected=_recalled("")),
        Case("other equals", inputs=tied, expected=_recalled("")),
        Case("square again", inputs=square_table, expected=_recalled("")),
        Case("all alike again", inputs=all_alike, expected=_recalled("")),
        Case("few names", inputs=lambda draw: (draw.normal(20, 4), draw.integers(0, 4, 20), 2), expected=_recalled("")),
        Case("the first", inputs=lambda draw: (*untied(draw)[:2], 1), expected=_recalled("")),
    ],
    "lab19.q7": [
        Subject("counts from one", counts_from_one),
        Subject("makes the first batch only", the_first_only),
        Subject("makes none", none_at_all),
        Subject("puts one picture more into a batch", one_too_many),
        Subject("puts one picture less into a batch", one_too_few),
        Subject("misses the last picture", misses_the_last),
        Subject("misses the first picture", misses_the_first),
        Subject("gives the last batch twice", gives_the_last_twice),
        Subject("gives the first picture of a name for all of its pictures", names_for_pictures),
        Subject("takes capitals and small letters for the same", without_capitals),
        Subject("compares the first letters only", first_letters),
        Subject("compares the last letters only", last_letters),
        Subject("gathers pictures of one name", one_name_a_batch),
        Subject("compares the first and the last of a batch only", the_first_and_the_last_compared),
        Subject("allows a name to stand twice", twice_is_all_right),
        Subject("makes at most two batches", at_most_two),
        Subject("uses a name at most twice in all", a_name_in_two_batches_at_most),
    ],
    "lab19.q8": [
        Key(
            runs=dict(zip(("a3", "c8", "e0", "g5", "k1", "n7", "q2", "t9", "w4", "y6"), "FBIDHAJEGC", strict=True)),
            true={
                "A": "bcfgjlo",
                "B": "acflp",
                "C": "bdegjl",
                "D": "glmn",
                "E": "bdegkno",
                "F": "acel",
                "G": "acfil",
                "H": "cfhl",
                "I": "bdegkmn",
                "J": "acfgl",
                "correct": "acfl",
            },
        )
    ],
}

# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab19_faults"
OBSERVED = {
    "a": lambda t, correct: t["loss"] < 0.5,
    "b": lambda t, correct: t["loss"] > 1.2,
    "c": lambda t, correct: t["known right"] >= 85,
    "d": lambda t, correct: t["known right"] < 60,
    "e": lambda t, correct: t["test right"] < 50,
    "f": lambda t, correct: t["test right"] >= 71,
    "g": lambda t, correct: t["test loss"] <= 1.5 * t["known loss"],
    "h": lambda t, correct: t["loss"] >= t["known loss"] + 0.4,
    "i": lambda t, correct: t["top logit"] > 11,
    "j": lambda t, correct: t["top logit"] < 0.3,
    "k": lambda t, correct: t["codes"] < 12,
    "l": lambda t, correct: t["codes"] >= 35,
    "m": lambda t, correct: t["rounding"] > 0.7,
    "n": lambda t, correct: t["moved"] < 0.5,
    "o": lambda t, correct: t["gradient"] < 0.01,
    "p": lambda t, correct: t["two ways"] > 0.0003,
}


def _cut(
    order: str = "0, 2, 4, 1, 3, 5",
    split: str = "B, C, H // size, size, W // size, size",
    given: str = "x.reshape(B, -1, C * size * size)",
) -> str:
    return f"""def patchify(pictures, size):
    B, C, H, W = pictures.shape
    x = pictures.reshape({split}).permute({order})
    return {given}
"""


def _seen(
    row: str = "torch.cat([seen, text], 1)",
    seen: str = "patches @ projection",
    text: str = "embedding[ids]",
    placed: str = "row + positions[: N + T]",
    predicting: str = "logits[:, N - 1 : -1]",
    wanted: str = "ids",
    mask: str = "counted",
    loss: str = "F.cross_entropy(predicting[mask], wanted[mask])",
) -> str:
    return f"""def picture_loss(patches, ids, counted, projection, embedding, positions, decoder):
    N, T = patches.shape[1], ids.shape[1]
    seen, text = {seen}, {text}
    row = {row}
    logits = decoder({placed})
    predicting, wanted, mask = {predicting}, {wanted}, {mask}
    return {loss}
"""


def _pairs(
    a: str = "F.normalize(a, dim=-1)",
    b: str = "F.normalize(b, dim=-1)",
    logits: str = "a @ b.T / temperature",
    loss: str = "(F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2",
) -> str:
    return f"""def info_nce(a, b, temperature):
    a, b = {a}, {b}
    logits = {logits}
    own = torch.arange(len(a))
    return {loss}
"""


def _rounded(
    codes: str = "(x.unsqueeze(-2) - codebook).square().sum(-1).argmin(-1)",
    first: str = "(chosen - x.detach()).square()",
    second: str = "(x - chosen.detach()).square()",
    loss: str = "first.mean() + commitment * second.mean()",
    vectors: str = "x + (chosen - x).detach()",
    given: str = "vectors, codes, loss",
) -> str:
    return f"""def quantize(x, codebook, commitment):
    codes = {codes}
    chosen = codebook[codes]
    first, second = {first}, {second}
    loss = {loss}
    vectors = {vectors}
    return {given}
"""


def _units(
    new: str = "not units or units[-1] != code",
    length: str = "1",
    after: str = "pass",
    each: str = "math.ceil(math.log2(n_codes))",
    kept: str = "len(units)",
    seconds: str = "len(codes) / rate",
    given: str = '{"units": units, "lengths": lengths, "bits": bits}',
) -> str:
    return f"""def compress(codes, n_codes, rate):
    units, lengths = [], []
    for code in codes:
        if {new}:
            units.append(code)
            lengths.append({length})
        else:
            lengths[-1] += 1
    {after}
    bits = {each} * {kept} / ({seconds})
    return {given}
"""


def _recalling(
    before: str = "(s >= mine).sum(1) - 1",
    found: str = "(before < k).float().mean()",
    mine: str = "s[torch.arange(len(s)), own][:, None]",
) -> str:
    return f"""def recall_at(similarity, own, k):
    s = similarity
    mine = {mine}
    before = {before}
    return float({found})
"""


_EXAMPLES = """[
        (["cat", "cat", "dog", "sun", "dog", "cat"], 2),
        (["cat", "dog", "cat", "sun", "dog", "sun", "cat"], 3),
        (["sun", "sun", "sun", "sun"], 2),
        (["cat", "dog", "sun", "cat", "dog", "sun", "cat", "dog"], 2),
        (list("abcdefg"), 3),
        (list("abcdef"), 3),
        (list("aabbccddee"), 4),
        (list("abcabcabcabc"), 3),
        (["Cat", "cat", "CAT", "cat "], 2),
        (["ab", "ac", "ad", "bb", "cb", "db"], 3),
        (list("abacadaeafag"), 2),
        (list("aabcd"), 2),
        (list("abcda"), 2),
    ]"""


def _test(
    examples: str = _EXAMPLES,
    twice: str = "len(set(used)) < len(used)",
    inside: str = "not set(used) <= set(range(len(names)))",
    sizes: str = "len(batch) != size",
    alike: str = "len({names[i] for i in batch}) < len(batch)",
    wasted: str = "len({names[i] for i in set(range(len(names))) - set(used)}) >= size",
    more: str = "False",
) -> str:
    return f"""def examples():
    return {examples}


def holds(inputs, output):
    names, size = inputs
    used = [i for batch in output for i in batch]
    if {twice} or {inside}:
        return False
    for batch in output:
        if {sizes} or {alike}:
            return False
    if {more}:
        return False
    return not ({wasted})
"""


MUTANTS = [
    Mutant("lab19.q1", "a view alone", "def patchify(pictures, size):\n    B, C, H, W = pictures.shape\n    return pictures.reshape(B, (H // size) * (W // size), -1)\n", "a reshape alone cuts rows of pixels"),
    Mutant("lab19.q1", "no permute", _cut(order="0, 1, 2, 3, 4, 5"), "a reshape alone cuts rows of pixels"),
    Mutant("lab19.q1", "spread pixels", _cut(split="B, C, size, H // size, size, W // size", order="0, 3, 5, 1, 2, 4"), "these pixels are no neighbours"),
    Mutant("lab19.q1", "down the columns", _cut(order="0, 4, 2, 1, 3, 5"), "the patches run down the columns"),
    Mutant("lab19.q1", "channels last", _cut(order="0, 2, 4, 3, 5, 1"), "the colours come first"),
    Mutant("lab19.q1", "channels between", _cut(order="0, 2, 4, 3, 1, 5"), "the colours come first"),
    Mutant("lab19.q1", "down inside", _cut(order="0, 2, 4, 1, 5, 3"), "inside a patch the pixels run down"),
    Mutant("lab19.q1", "down both", _cut(order="0, 4, 2, 1, 5, 3"), "the pixels in them run down"),
    Mutant("lab19.q1", "channels apart", _cut(order="0, 1, 2, 4, 3, 5", given="x.reshape(B, -1, size * size)"), "a patch holds all colours"),
    Mutant("lab19.q1", "unfold", "def patchify(pictures, size):\n    return F.unfold(pictures, size, stride=size)\n", "Axes 1 and 2 are exchanged"),
    Mutant("lab19.q1", "batch lost", _cut(given="x.reshape(-1, C * size * size)"), "the batch is lost"),
    Mutant("lab19.q1", "a grid", _cut(given="x.reshape(B, H // size, W // size, -1)"), "stand in one row"),
    Mutant("lab19.q1", "view", _cut(given="x.view(B, -1, C * size * size)"), "use reshape, or contiguous"),
    Mutant("lab19.q2", "the same place", _seen(predicting="logits[:, N:]"), "it has just been read"),
    Mutant("lab19.q2", "the picture's places", _seen(predicting="logits[:, :T]"), "the text's logits stand behind them"),
    Mutant("lab19.q2", "one early", _seen(predicting="torch.cat([logits[:, :1], logits], 1)[:, N - 1 : N + T - 1]"), "two places before the token"),
    Mutant("lab19.q2", "the first lost", _seen(predicting="logits[:, N:-1]", wanted="ids[:, 1:]", mask="counted[:, 1:]"), "the first token of the text is predicted, too"),
    Mutant("lab19.q2", "the mask late", _seen(predicting="logits[:, N:-1]", wanted="ids[:, 1:]", mask="counted[:, :-1]"), "`counted` is moved by one"),
    Mutant("lab19.q2", "picture behind", _seen(row="torch.cat([text, seen], 1)", predicting="logits[:, : T - 1]", wanted="ids[:, 1:]", mask="counted[:, 1:]"), "the picture stands behind the text"),
    Mutant("lab19.q2", "positions anew", _seen(placed="row + torch.cat([positions[:N], positions[:T]])"), "the text's positions begin with 0 again"),
    Mutant("lab19.q2", "text before", _seen(placed="row + torch.cat([positions[T : N + T], positions[:T]])"), "the picture comes first"),
    Mutant("lab19.q2", "no positions for patches", _seen(placed="torch.cat([seen, text + positions[N : N + T]], 1)"), "the patches need positions, too"),
    Mutant("lab19.q2", "positions of the text from zero", _seen(placed="torch.cat([seen, text + positions[:T]], 1)"), "picture and text share the positions"),
    Mutant("lab19.q2", "no positions", _seen(placed="row"), "where are the positions"),
    Mutant("lab19.q2", "blind", _seen(seen="0 * (patches @ projection)"), "the patches are not used"),
    Mutant("lab19.q2", "pictures count", _seen(predicting="logits[:, :-1]", wanted="torch.cat([torch.zeros(len(ids), N, dtype=ids.dtype), ids], 1)[:, 1:]", mask="torch.cat([torch.ones(len(ids), N, dtype=torch.bool), counted], 1)[:, 1:]"), "asks the picture's places for something"),
    Mutant("lab19.q2", "everything counts", _seen(loss="F.cross_entropy(predicting.flatten(0, 1), wanted.flatten())"), "all tokens of the text are counted"),
    Mutant("lab19.q2", "the others", _seen(mask="~counted"), "`counted` is turned round"),
    Mutant("lab19.q2", "mean of means", _seen(loss="torch.stack([F.cross_entropy(p[m], w[m]) for p, w, m in zip(predicting, wanted, mask)]).mean()"), "a mean of the texts' means"),
    Mutant("lab19.q2", "over all places", _seen(loss="(F.cross_entropy(predicting.transpose(1, 2), wanted, reduction='none') * mask).mean()"), "do not divide by the others"),
    Mutant("lab19.q2", "sum", _seen(loss="F.cross_entropy(predicting[mask], wanted[mask], reduction='sum')"), "that is a sum: the mean"),
    Mutant("lab19.q2", "sum over texts", _seen(loss="F.cross_entropy(predicting[mask], wanted[mask], reduction='sum') / len(ids)"), "divided by the number of texts"),
    Mutant("lab19.q2", "picture detached", _seen(seen="(patches @ projection).detach()"), "no gradient reaches the projection"),
    Mutant("lab19.q2", "text detached", _seen(text="embedding[ids].detach()"), "no gradient reaches the embedding"),
    Mutant("lab19.q2", "loss detached", _seen(loss="F.cross_entropy(predicting[mask], wanted[mask]).detach()"), "is the loss detached"),
    Mutant("lab19.q2", "classes on the last axis", _seen(loss="F.cross_entropy(predicting, wanted)"), "wants the classes on axis 1"),
    Mutant("lab19.q3", "one way", _pairs(loss="F.cross_entropy(logits, own)"), "only the a choose"),
    Mutant("lab19.q3", "the other way", _pairs(loss="F.cross_entropy(logits.T, own)"), "only the b choose"),
    Mutant("lab19.q3", "not halved", _pairs(loss="F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)"), "the sum of both directions"),
    Mutant("lab19.q3", "not normalised", _pairs(a="a", b="b"), "lengths must not matter"),
    Mutant("lab19.q3", "a only", _pairs(b="b"), "both vectors are divided by theirs"),
    Mutant("lab19.q3", "over the batch", _pairs(a="F.normalize(a, dim=0)", b="F.normalize(b, dim=0)"), "not over the batch"),
    Mutant("lab19.q3", "squared length", _pairs(a="a / a.square().sum(-1, keepdim=True)", b="b / b.square().sum(-1, keepdim=True)"), "not by its square"),
    Mutant("lab19.q3", "multiplied", _pairs(logits="a @ b.T * temperature"), "*divided* by the temperature"),
    Mutant("lab19.q3", "no temperature", _pairs(logits="a @ b.T"), "where is the temperature"),
    Mutant("lab19.q3", "root", _pairs(logits="a @ b.T / temperature**0.5"), "not by its root"),
    Mutant("lab19.q3", "distances", _pairs(logits="-torch.cdist(a, b) / temperature"), "not distances"),
    Mutant("lab19.q3", "sum", _pairs(loss="(F.cross_entropy(logits, own, reduction='sum') + F.cross_entropy(logits.T, own, reduction='sum')) / 2"), "the sum over the pairs"),
    Mutant("lab19.q3", "sigmoid", _pairs(loss="F.binary_cross_entropy_with_logits(logits, torch.eye(len(a)))"), "asks of each pair whether"),
    Mutant("lab19.q3", "without itself", _pairs(loss="(lambda o: ((o.logsumexp(0) + o.logsumexp(1)) / 2 - logits.diagonal()).mean())(logits.masked_fill(torch.eye(len(a), dtype=torch.bool), -torch.inf))"), "belongs into the sum of the softmax"),
    Mutant("lab19.q3", "one softmax", _pairs(loss="-logits.flatten().log_softmax(0).view(len(a), -1).diagonal().mean()"), "one softmax over the whole table"),
    Mutant("lab19.q3", "no logarithm", _pairs(loss="-(logits.softmax(0).diagonal().mean() + logits.softmax(1).diagonal().mean()) / 2"), "the *logarithm* of the probability"),
    Mutant("lab19.q3", "bits", _pairs(loss="(F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2 / math.log(2)"), "in nats"),
    Mutant("lab19.q3", "sign", _pairs(loss="-(F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2"), "the sign"),
    Mutant("lab19.q3", "b detached", _pairs(b="F.normalize(b, dim=-1).detach()"), "both towers learn"),
    Mutant("lab19.q3", "a number", _pairs(loss="((F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2).detach()"), "is the loss detached"),
    Mutant("lab19.q4", "largest product", _rounded(codes="(x @ codebook.T).argmax(-1)"), "favours long codes"),
    Mutant("lab19.q4", "largest cosine", _rounded(codes="(x @ F.normalize(codebook, dim=-1).T).argmax(-1)"), "largest cosine"),
    Mutant("lab19.q4", "farthest", _rounded(codes="(x.unsqueeze(-2) - codebook).square().sum(-1).argmax(-1)"), "farthest"),
    Mutant("lab19.q4", "absolute values", _rounded(codes="(x.unsqueeze(-2) - codebook).abs().sum(-1).argmin(-1)"), "not absolute values"),
    Mutant("lab19.q4", "no line", _rounded(vectors="chosen"), "no gradient passes from the vectors to x"),
    Mutant("lab19.q4", "nothing detached", _rounded(vectors="x + (chosen - x)"), "no gradient passes from the vectors to x"),
    Mutant("lab19.q4", "cut off", _rounded(vectors="chosen.detach()"), "cut off from everything"),
    Mutant("lab19.q4", "both gradients", _rounded(vectors="x + chosen - x.detach()"), "reaches the codebook, too"),
    Mutant("lab19.q4", "turned", _rounded(vectors="chosen + (x - chosen).detach()"), "vectors that were not rounded"),
    Mutant("lab19.q4", "not rounded", _rounded(vectors="x.clone()"), "vectors that were not rounded"),
    Mutant("lab19.q4", "no detach in the loss", _rounded(first="(chosen - x).square()", second="(chosen - x).square()"), "each term moves one side only"),
    Mutant("lab19.q4", "exchanged", _rounded(first="(chosen.detach() - x).square()", second="(x.detach() - chosen).square()"), "the detached sides are exchanged"),
    Mutant("lab19.q4", "codebook fixed", _rounded(first="(chosen.detach() - x.detach()).square()"), "does not move the codebook"),
    Mutant("lab19.q4", "x free", _rounded(second="(x.detach() - chosen.detach()).square()"), "does not draw x to the codes"),
    Mutant("lab19.q4", "roots", _rounded(first="((chosen - x.detach()).square().sum(-1) + 1e-12).sqrt()", second="((x - chosen.detach()).square().sum(-1) + 1e-12).sqrt()"), "without a root"),
    Mutant("lab19.q4", "sums", _rounded(loss="first.sum() + commitment * second.sum()"), "the mean over all numbers"),
    Mutant("lab19.q4", "squared lengths", _rounded(loss="first.sum(-1).mean() + commitment * second.sum(-1).mean()"), "the d numbers of a vector among them"),
    Mutant("lab19.q4", "no commitment", _rounded(loss="first.mean()"), "draws x to the codes is missing"),
    Mutant("lab19.q4", "commitment only", _rounded(loss="commitment * second.mean()"), "draws the codes to x is missing"),
    Mutant("lab19.q4", "both committed", _rounded(loss="commitment * (first.mean() + second.mean())"), "weighs one of the terms only"),
    Mutant("lab19.q4", "equal", _rounded(loss="first.mean() + second.mean()"), "is weighed with `commitment`"),
    Mutant("lab19.q4", "no codes", _rounded(given="vectors, loss"), "return three things"),
    Mutant("lab19.q5", "each once", _units(new="code not in units", after="lengths = [codes.count(u) for u in units]"), "a unit that comes back later"),
    Mutant("lab19.q5", "sorted", _units(after="units = sorted(set(codes)); lengths = [codes.count(u) for u in units]"), "keep their order"),
    Mutant("lab19.q5", "last lost", _units(after="units, lengths = units[:-1], lengths[:-1]"), "the last run is missing"),
    Mutant("lab19.q5", "repeats only", _units(length="0"), "the first one, too"),
    Mutant("lab19.q5", "ends", _units(after="lengths = torch.tensor(lengths).cumsum(0).tolist()"), "not where it ends"),
    Mutant("lab19.q5", "starts", _units(after="lengths = [sum(lengths[:i]) for i in range(len(lengths))]"), "not where it begins"),
    Mutant("lab19.q5", "seconds", _units(after="lengths = [n / rate for n in lengths]"), "a length is a number of frames"),
    Mutant("lab19.q5", "not shortened", _units(new="True"), "repeats in a row are written once"),
    Mutant("lab19.q5", "not rounded", _units(each="math.log2(n_codes)"), "a whole number of bits"),
    Mutant("lab19.q5", "rounded down", _units(each="int(math.log2(n_codes))"), "cannot tell all codes apart"),
    Mutant("lab19.q5", "to the nearest", _units(each="round(math.log2(n_codes))"), "not to the nearest"),
    Mutant("lab19.q5", "bit length", _units(each="n_codes.bit_length()"), "for a power of two log2 is exact"),
    Mutant("lab19.q5", "natural logarithm", _units(each="math.ceil(math.log(n_codes))"), "logarithms to base 2"),
    Mutant("lab19.q5", "32 bits", _units(each="32"), "and not 32 bits"),
    Mutant("lab19.q5", "used codes", _units(each="math.ceil(math.log2(max(2, len(set(codes)))))"), "any of the n_codes may come"),
    Mutant("lab19.q5", "every frame", _units(kept="len(codes)"), "as every frame would take"),
    Mutant("lab19.q5", "the whole sound", _units(seconds="1"), "divide by its length in seconds"),
    Mutant("lab19.q5", "seconds of units", _units(seconds="len(units) / rate"), "lasts as long as before"),
    Mutant("lab19.q5", "bits a frame", _units(seconds="len(codes)"), "bits for a frame"),
    Mutant("lab19.q5", "lengths sent", _units(each="(math.ceil(math.log2(n_codes)) + math.ceil(math.log2(max(2, max(lengths)))))"), "the lengths are not sent"),
    Mutant("lab19.q5", "multiplied", _units(seconds="rate / len(codes)"), "divide by them"),
    Mutant("lab19.q5", "a tuple", _units(given="units, lengths, bits"), "return a dict"),
    Mutant("lab19.q6", "flattered", _recalling(before="(s > mine).sum(1)"), "recalls nothing"),
    Mutant("lab19.q6", "midway", _recalling(before="(s > mine).sum(1) + ((s == mine).sum(1) - 1) / 2"), "all of it"),
    Mutant("lab19.q6", "by place", _recalling(before="(s.argsort(dim=1, descending=True, stable=True) == own[:, None]).int().argmax(1)"), "must not hang on its place"),
    Mutant("lab19.q6", "columns", _recalling(before="(s[:, own] >= s[torch.arange(len(s)), own]).sum(0) - 1"), "rank within the row"),
    Mutant("lab19.q6", "diagonal", _recalling(mine="s.diagonal()[:, None]"), "in the column own[i]"),
    Mutant("lab19.q6", "smallest", _recalling(before="(s <= mine).sum(1) - 1"), "the most similar"),
    Mutant("lab19.q6", "itself counted", _recalling(before="(s >= mine).sum(1)"), "not before itself"),
    Mutant("lab19.q6", "one more", _recalling(found="(before <= k).float().mean()"), "not up to k"),
    Mutant("lab19.q6", "the first", _recalling(found="(before < 1).float().mean()"), "recall@1"),
    Mutant("lab19.q6", "count", _recalling(found="(before < k).sum()"), "their share"),
    Mutant("lab19.q6", "percent", _recalling(found="100 * (before < k).float().mean()"), "from 0 to 1"),
    Mutant("lab19.q6", "precision", _recalling(found="(before < k).float().mean() / k"), "do not divide by k"),
    Mutant("lab19.q6", "missed", _recalling(found="(before >= k).float().mean()"), "*not* among the first k"),
    Mutant("lab19.q6", "reciprocal", _recalling(found="(1 / (before + 1)).mean()"), "reciprocal rank"),
    Mutant("lab19.q6", "over names", _recalling(found="(before < k).sum() / s.shape[1]"), "a share of the pictures"),
    Mutant("lab19.q7", "an order asked for", _test(more="used != sorted(used)"), "refuses a right answer"),
    Mutant("lab19.q7", "as many as fit", _test(more="len(output) < len(names) // size"), "refuses a right answer"),
    Mutant("lab19.q7", "nothing left over", _test(wasted="len(used) < len(names)"), "refuses a right answer"),
    Mutant("lab19.q7", "names not compared", _test(alike="False"), "your test accepts"),
    Mutant("lab19.q7", "waste not looked for", _test(wasted="False"), "your test accepts"),
    Mutant("lab19.q7", "sizes not counted", _test(sizes="False"), "your test accepts"),
    Mutant("lab19.q7", "used twice", _test(twice="any(len(set(b)) < len(b) for b in output)"), "your test accepts"),
    Mutant("lab19.q7", "all names different", _test(examples='[(list("abcdefgh"), 3), (list("abcdef"), 2)]'), "your test accepts"),
    Mutant("lab19.q7", "a size of one", _test(examples='[(["a", "b"], 1)]'), "size is a whole number"),
    Mutant("lab19.q8", "another cause", 'diagnosis = {"cause": "H", "evidence": ["f", "l"]}', "not what went wrong"),
    Mutant("lab19.q8", "untrue evidence", 'diagnosis = {"cause": "B", "evidence": ["i", "p"]}', "is not true of your run"),
    Mutant("lab19.q8", "evidence for two causes", 'diagnosis = {"cause": "B", "evidence": ["a", "c"]}', "seen under another cause"),
    Mutant("lab19.q8", "a letter", 'diagnosis = "B"', "write it as"),
]  # fmt: skip

RUBRICS = {
    "lab19.t1": "3: says that known pictures are learned by heart and new ones hardly found; compares the two curves on the right with a standard error of about 2 points and says that neither their difference nor their "
    "distance from chance is safe from one seed; sees that shuffled names are learned as well, so that recall on known pictures measures memory and nothing else; names what would be needed (more seeds, intervals, more pictures, "
    "pretrained towers, chosen on a part of the training set). 2: two of the first three, with numbers. 1: describes the curves. 0: no plot read, or takes the difference on the right for understanding.",
}
