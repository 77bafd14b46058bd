"""Lab 09, for staff: hidden cases, keys, mutants, rubrics."""

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab09 import (
    _basis,
    _emerged,
    _exposed,
    _induced,
    _key,
    a_clear_case,
    a_modulus,
    a_small_table,
    a_square_table,
    a_table,
    as_far_as_it_goes,
    cut_off,
    every_window,
    from_the_start,
    is_fair,
    just_reached,
    known_best,
    never_reached,
    nothing_inside_another,
    nothing_known,
    one_wave,
    smooth_curves,
    some_codes,
    three_copies,
    tied_codes,
    to_split,
    to_split_down,
    two_copies,
    unlike_waves,
    up_and_down,
)


def one_token_less(text, training, k):
    return nothing_inside_another(text, training, max(1, k - 1))


def one_token_too_long(text, training, k):
    return [(i, n + 1) for i, n in nothing_inside_another(text, training, k)]


def counts_from_one(text, training, k):
    return [(i + 1, n) for i, n in nothing_inside_another(text, training, k)]


def start_and_end(text, training, k):
    return [(i, i + n) for i, n in nothing_inside_another(text, training, k)]


def twice(text, training, k):
    found = every_window(text, training, k)
    return found + found[:1]


def once_for_each_document(text, training, k):
    return sorted({piece for doc in training for piece in nothing_inside_another(text, [doc], k)[:1]})


def the_longest_only(text, training, k):
    return sorted(as_far_as_it_goes(text, training, k), key=lambda piece: -piece[1])[:1]


def a_passage_once(text, training, k):
    """A passage that the text repeats is reported at its first place."""
    found = {}
    for i, n in nothing_inside_another(text, training, k):
        found.setdefault(tuple(text[i : i + n]), (i, n))
    return list(found.values())


def first_document_only(text, training, k):
    return nothing_inside_another(text, training[:1], k)


def last_document_only(text, training, k):
    return nothing_inside_another(text, training[-1:], k)


def every_kth_place(text, training, k):
    return [(i, k) for i, _ in as_far_as_it_goes(text, training, k) if i % k == 0]


def misses_the_beginning(text, training, k):
    return [(i, n) for i, n in nothing_inside_another(text, training, k) if i > 0]


def misses_ends_of_documents(text, training, k):
    return nothing_inside_another(text, [doc[:-1] for doc in training], k)


def misses_beginnings_of_documents(text, training, k):
    return nothing_inside_another(text, [doc[1:] for doc in training], k)


def forgives_one(text, training, k):
    """One token may differ."""
    near = lambda a, b: len(a) == len(b) and sum(x != y for x, y in zip(a, b)) <= (len(a) > 3)
    return [
        (i, k)
        for i in range(len(text) - k + 1)
        if any(near(text[i : i + k], doc[j : j + k]) for doc in training for j in range(len(doc)))
    ]


def allows_gaps(text, training, k):
    def within(piece, doc):
        rest = iter(doc)
        return all(token in rest for token in piece)

    return [(i, k) for i in range(len(text) - k + 1) if any(within(text[i : i + k], doc) for doc in training)]


def windows_of_the_text_itself(text, training, k):
    return [(i, k) for i in range(len(text) - k + 1)]


def nothing(text, training, k):
    return []


HIDDEN = {
    "lab09.q1": [
        Case("other pairs", inputs=to_split, judge=is_fair),
        Case("rounded down", inputs=to_split_down, judge=is_fair),
        Case("another small table", inputs=a_small_table, judge=is_fair),
        Case("few in training", inputs=lambda draw: (draw.choice([12, 13]), 0.11, draw.integer(0, 99)), judge=is_fair),
    ],
    "lab09.q2": [
        Case("other moduli", inputs=a_modulus, expected=_basis("")),
        Case("the smallest", inputs=lambda draw: (3,), expected=_basis("")),
        Case("the lecture's", inputs=lambda draw: (draw.choice([59, 97]),), expected=_basis("")),
    ],
    "lab09.q3": [
        Case("other waves", inputs=a_table, expected=_key("")),
        Case("others of unlike kinds", inputs=unlike_waves, expected=_key("")),
        Case("square again", inputs=a_square_table, expected=_key("")),
        Case("a single one again", inputs=one_wave, expected=_key("")),
        Case("a larger table", inputs=lambda draw: (draw.normal(31, 12), 0.5), expected=_key("")),
    ],
    "lab09.q4": [
        Case("other codes", inputs=some_codes, expected=_exposed("")),
        Case("other equals", inputs=tied_codes, expected=_exposed("")),
        Case("nothing again", inputs=nothing_known, expected=_exposed("")),
        Case("the likeliest again", inputs=known_best, expected=_exposed("")),
        Case(
            "the least likely",
            inputs=lambda draw: (lambda table: (table, int(table.sum(1).argmin())))(some_codes(draw)[0]),
            expected=_exposed(""),
        ),
        Case(
            "a single token",
            inputs=lambda draw: (-draw.uniform(100, 1, low=0.1, high=9.0), draw.integer(0, 100)),
            expected=_exposed(""),
        ),
    ],
    "lab09.q5": [
        Case("two again", inputs=two_copies, expected=_induced("")),
        Case("three again", inputs=three_copies, expected=_induced("")),
        Case("cut off again", inputs=cut_off, expected=_induced("")),
        Case("known heads again", inputs=a_clear_case, expected=_induced("")),
    ],
    "lab09.q6": [
        Case("other curves", inputs=smooth_curves, expected=_emerged("")),
        Case("never again", inputs=never_reached, expected=_emerged("")),
        Case("from the start again", inputs=from_the_start, expected=_emerged("")),
        Case("just reached again", inputs=just_reached, expected=_emerged("")),
        Case("up and down again", inputs=up_and_down, expected=_emerged("")),
        Case(
            "one token",
            inputs=lambda draw: (lambda sizes, accuracy, k, level: (sizes, accuracy, 1, 0.5))(*up_and_down(draw)),
            expected=_emerged(""),
        ),
    ],
    "lab09.q7": [
        Subject("allows one token less than k", one_token_less),
        Subject("gives stretches that are one token too long", one_token_too_long),
        Subject("counts from one", counts_from_one),
        Subject("gives start and end", start_and_end),
        Subject("gives a stretch twice", twice),
        Subject("finds one copy of each document", once_for_each_document),
        Subject("gives the longest copy only", the_longest_only),
        Subject("gives a passage once that the text holds twice", a_passage_once),
        Subject("reads the first document only", first_document_only),
        Subject("reads the last document only", last_document_only),
        Subject("looks at every k-th place only", every_kth_place),
        Subject("misses the beginning of the text", misses_the_beginning),
        Subject("misses the ends of documents", misses_ends_of_documents),
        Subject("misses the beginnings of documents", misses_beginnings_of_documents),
        Subject("lets one token differ", forgives_one),
        Subject("lets tokens lie between", allows_gaps),
        Subject("calls everything a copy", windows_of_the_text_itself),
        Subject("finds nothing", nothing),
    ],
    "lab09.q8": [
        Key(
            runs=dict(zip(("b4", "d9", "f1", "h6", "j2", "m7", "p3", "s8", "v5", "x0"), "EBJAGDICFH", strict=True)),
            true={
                "A": "acfjlop",
                "B": "aeijkmo",
                "C": "acfjmop",
                "D": "abcfjop",
                "E": "bcghno",
                "F": "bhijo",
                "G": "adjmo",
                "H": "bcghnp",
                "I": "adjlop",
                "J": "aegikmo",
                "correct": "aejmo",
            },
        )
    ],
}

# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab09_faults"
_TRAIN_LOSS, _TEST_LOSS = "training loss, nats", "test loss, nats"
_TEST, _THEN = "test, right, percent", "test at that step of training, percent"
_LEARNED, _GROKKED = "training, 99 % at step", "test, 99 % at step"
_LENGTH, _WAVES = "length of weights, end / beginning", "frequencies with 90 % of the power"
OBSERVED = {
    "a": lambda t, correct: t[_TRAIN_LOSS] < 0.01,
    "b": lambda t, correct: t[_TRAIN_LOSS] > 0.0005,
    "c": lambda t, correct: t[_TEST] < 4,
    "d": lambda t, correct: 20 <= t[_TEST] <= 60,
    "e": lambda t, correct: t[_TEST] > 99,
    "f": lambda t, correct: t[_TEST_LOSS] > 8,
    "g": lambda t, correct: t[_TEST_LOSS] <= 1.1 * t[_TRAIN_LOSS],
    "h": lambda t, correct: t[_LEARNED] is None or t[_LEARNED] > 60,
    "i": lambda t, correct: t[_THEN] is not None and t[_THEN] > 30,
    "j": lambda t, correct: t[_THEN] is not None and t[_THEN] < 90,
    "k": lambda t, correct: t[_GROKKED] is not None and t[_GROKKED] <= 200,
    "l": lambda t, correct: t[_LENGTH] > 1,
    "m": lambda t, correct: 0.6 <= t[_LENGTH] <= 0.78,
    "n": lambda t, correct: t[_LENGTH] < 0.3,
    "o": lambda t, correct: t[_LENGTH] > 0.05,
    "p": lambda t, correct: t[_WAVES] >= 20,
}


def _split(
    pairs: str = "[(a, b) for a in range(p) for b in range(a, p)]",
    order: str = "torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))",
    n: str = "round(fraction * len(pairs))",
    label: str = "(a + b) % p",
    given: str = "rows[order[:n]], rows[order[n:]]",
) -> str:
    return f"""def fair_split(p, fraction, seed):
    pairs = {pairs}
    rows = torch.tensor([(a, b, {label}) for a, b in pairs])
    order = {order}
    n = {n}
    return {given}
"""


def _waves(
    a: str = "torch.arange(p)",
    frequencies: str = "range(1, p // 2 + 1)",
    angle: str = "2 * math.pi * k * a / p",
    both: str = "[angle.cos(), angle.sin()]",
    scale: str = "table / table.norm(dim=1, keepdim=True)",
    begin: str = "[torch.ones(p)]",
) -> str:
    return f"""def fourier_basis(p):
    a, rows = {a}, {begin}
    for k in {frequencies}:
        angle = {angle}
        rows += {both}
    table = torch.stack(rows)
    return {scale}
"""


def _keys(
    power: str = "coefficients.square().sum(1)[1:].view(-1, 2).sum(1)",
    total: str = "power.sum()",
    order: str = "power.argsort(descending=True)",
    n: str = "int((power[order].cumsum(0) < share * total).sum()) + 1",
    chosen: str = "sorted(order[:n].tolist())",
    rows: str = "[0] + [row for k in chosen for row in (2 * k + 1, 2 * k + 2)]",
    kept: str = "basis[rows].T @ coefficients[rows]",
    names: str = "[k + 1 for k in chosen]",
    coefficients: str = "basis @ table",
    given: str = '{"frequencies": names, "kept": kept}',
) -> str:
    return f"""def on_key_frequencies(table, share):
    basis = fourier_basis(len(table)).to(table.dtype)
    coefficients = {coefficients}
    power = {power}
    total = {total}
    order = {order}
    n = {n}
    chosen = {chosen}
    rows = {rows}
    kept = {kept}
    names = {names}
    return {given}
"""


def _exposing(
    total: str = "logprobs.sum(1)",
    rank: str = "int((total >= total[planted]).sum())",
    bits: str = "math.log2(len(total)) - math.log2(rank)",
) -> str:
    return f"""def exposure(logprobs, planted):
    total = {total}
    rank = {rank}
    return {bits}
"""


def _inducing(
    queries: str = "torch.arange(period, T)",
    keys: str = "queries - period + 1",
    at: str = "attention[:, :, queries, keys]",
    mean: str = "at.mean((0, 2))",
) -> str:
    return f"""def induction_score(attention, period):
    T = attention.shape[-1]
    queries = {queries}
    keys = {keys}
    at = {at}
    return {mean}
"""


def _emerging(
    exact: str = "accuracy[:, :k].prod(1)",
    reached: str = "value >= level",
    start: str = "float(sizes[0])",
    share: str = "(level - exact[i - 1]) / (value - exact[i - 1])",
    size: str = "float(sizes[i - 1] * (sizes[i] / sizes[i - 1]) ** share)",
    never: str = "None",
    given: str = '{"exact": exact, "size": found}',
    places: str = "range(len(exact))",
) -> str:
    return f"""def emergence(sizes, accuracy, k, level):
    exact = {exact}
    found = {never}
    for i in {places}:
        value = exact[i]
        if {reached}:
            if i == 0:
                found = {start}
            else:
                share = {share}
                found = {size}
            break
    return {given}
"""


_EXAMPLES = """[
        ([1, 2, 3, 4], [[1, 2, 3, 9], [2, 3, 4]], 3),
        ([1, 2, 3, 4, 5], [[1, 2, 3, 4], [7, 2, 3, 4, 5]], 3),
        ([5, 6, 7, 8], [[1, 5, 6], [7, 8, 1]], 3),
        ([3, 2, 1, 3], [[1, 2, 3, 1]], 3),
        ([9, 1, 2, 3], [[1, 2, 3, 4]], 3),
        ([1, 2, 3, 9, 1, 2, 3, 8], [[0, 7, 7, 1, 2, 3]], 3),
        ([1, 2, 0, 3, 4, 0], [[1, 2, 3, 4]], 2),
        ([1, 2, 3], [[1, 9, 2, 9, 3]], 2),
        ([1, 2, 9, 4, 5], [[1, 2, 3, 4, 5]], 4),
        ([0, 1, 2, 0, 4, 5, 6, 7, 0], [[1, 2], [8, 8], [4, 5, 6, 7]], 2),
        ([7, 7, 7, 7, 7], [[7, 7, 7]], 2),
    ]"""


def _test(
    examples: str = _EXAMPLES,
    twice: str = "len(set(found)) < len(found)",
    short: str = "length < k",
    stands: str = "not stands(text[start : start + length])",
    within: str = "start < 0 or start + length > len(text)",
    missed: str = "stands(text[i : i + k]) and not any(s <= i and i + k <= s + n for s, n in found)",
    more: str = "False",
) -> str:
    return f"""def examples():
    return {examples}


def holds(inputs, output):
    text, training, k = inputs
    stands = lambda piece: any(piece == doc[i : i + len(piece)] for doc in training for i in range(len(doc)))
    found = [tuple(stretch) for stretch in output]
    if {twice}:
        return False
    for start, length in found:
        if {short} or {within} or {stands}:
            return False
    if {more}:
        return False
    return not any({missed} for i in range(len(text) - k + 1))
"""


_WINDOWS = "sorted(found) != [(i, k) for i in range(len(text) - k + 1) if stands(text[i : i + k])]"
_INSIDE = "any(a != b and a[0] <= b[0] and b[0] + b[1] <= a[0] + a[1] for a in found for b in found)"
MUTANTS = [
    Mutant("lab09.q1", "ordered pairs", _split(pairs="[(a, b) for a in range(p) for b in range(p)]"), "cannot tell them apart"),
    Mutant("lab09.q1", "no number with itself", _split(pairs="[(a, b) for a in range(p) for b in range(a + 1, p)]"), "(a, a) is a pair, too"),
    Mutant("lab09.q1", "not modulo p", _split(label="a + b"), "(a + b) modulo p"),
    Mutant("lab09.q1", "from one", _split(pairs="[(a, b) for a in range(1, p + 1) for b in range(a, p + 1)]"), "the numbers that are added are"),
    Mutant("lab09.q1", "test pairs in training", _split(given="rows[order[:n]], rows[order]"), "stands in both halves"),
    Mutant("lab09.q1", "drawn with replacement", _split(order="torch.randint(len(pairs), (len(pairs),), generator=torch.Generator().manual_seed(seed))"), "stands in both halves"),
    Mutant("lab09.q1", "both orders in one half", _split(pairs="[(a, b) for a in range(p) for b in range(a, p)]", given="torch.cat([rows[order[:n]], rows[order[:n]][:, [1, 0, 2]]]), rows[order[n:]]"), "are one pair"),
    Mutant("lab09.q1", "the last is lost", _split(given="rows[order[:n]], rows[order[n:-1]]"), "pairs are missing"),
    Mutant("lab09.q1", "halves exchanged", _split(given="rows[order[n:]], rows[order[:n]]"), "fraction is the share of training"),
    Mutant("lab09.q1", "rounded down", _split(n="int(fraction * len(pairs))"), "nearest to fraction"),
    Mutant("lab09.q1", "rounded up", _split(n="math.ceil(fraction * len(pairs))"), "nearest to fraction"),
    Mutant("lab09.q1", "no seed", _split(order="torch.randperm(len(pairs))"), "the same seed must give the same split"),
    Mutant("lab09.q1", "not shuffled", _split(order="torch.arange(len(pairs))"), "another seed must give another split"),
    Mutant("lab09.q1", "one seed for all", _split(order="torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))"), "another seed must give another split"),
    Mutant("lab09.q1", "numbers drawn", _split(order="torch.argsort((rows[:, :2, None] == torch.randperm(p, generator=torch.Generator().manual_seed(seed))).int().argmax(2).amax(1), stable=True)"), "draw pairs at random, not numbers"),
    Mutant("lab09.q1", "pairs only", _split(given="rows[order[:n]][:, :2], rows[order[n:]][:, :2]"), "a row for each pair"),
    Mutant("lab09.q1", "one table", _split(given="rows[order]"), "return two tables"),
    Mutant("lab09.q2", "not normalised", _waves(scale="table"), "not of length 1"),
    Mutant("lab09.q2", "sqrt(p) for all", _waves(scale="table / p**0.5"), "only the constant is divided by sqrt(p)"),
    Mutant("lab09.q2", "half of p", _waves(scale="torch.cat([table[:1] / p**0.5, table[1:] * 2 / p])"), "not by its square"),
    Mutant("lab09.q2", "over p", _waves(scale="table / p"), "so that its squares add up to 1"),
    Mutant("lab09.q2", "constant as the others", _waves(scale="table * (2 / p) ** 0.5"), "not sqrt(p / 2)"),
    Mutant("lab09.q2", "constant of ones", _waves(scale="torch.cat([table[:1], table[1:] * (2 / p) ** 0.5])"), "the constant row is to be of length 1"),
    Mutant("lab09.q2", "constant last", _waves(scale="(lambda t: torch.cat([t[1:], t[:1]]))(table / table.norm(dim=1, keepdim=True))"), "the constant comes first"),
    Mutant("lab09.q2", "no constant", _waves(begin="[]"), "the constant is missing"),
    Mutant("lab09.q2", "sine first", _waves(both="[angle.sin(), angle.cos()]"), "cosine first, then sine"),
    Mutant("lab09.q2", "all cosines first", _waves(scale="(lambda t: torch.cat([t[:1], t[1::2], t[2::2]]))(table / table.norm(dim=1, keepdim=True))"), "go by frequency"),
    Mutant("lab09.q2", "frequency 0", _waves(frequencies="range(p // 2)", scale="torch.cat([table[:1] / p**0.5, table[1:] * (2 / p) ** 0.5])"), "frequencies begin with 1"),
    Mutant("lab09.q2", "cosines only", _waves(frequencies="range(1, p)", both="[angle.cos()]"), "cosines alone are no basis"),
    Mutant("lab09.q2", "numbers from 1", _waves(a="torch.arange(1, p + 1)"), "the numbers begin with 0"),
    Mutant("lab09.q2", "end included", _waves(angle="2 * math.pi * k * a / (p - 1)", scale="torch.cat([table[:1] / p**0.5, table[1:] * (2 / p) ** 0.5])"), "p itself is number 0 again"),
    Mutant("lab09.q2", "half a turn", _waves(angle="math.pi * k * a / p", scale="torch.cat([table[:1] / p**0.5, table[1:] * (2 / p) ** 0.5])"), "a full turn is 2 pi"),
    Mutant("lab09.q2", "no turn", _waves(angle="1.0 * k * a", scale="torch.cat([table[:1] / p**0.5, table[1:] * (2 / p) ** 0.5])"), "where is 2 pi / p"),
    Mutant("lab09.q2", "columns", _waves(scale="(table / table.norm(dim=1, keepdim=True)).T"), "a wave is a row"),
    Mutant("lab09.q3", "constant in the total", _keys(total="coefficients.square().sum()"), "count frequencies from 1 only"),
    Mutant("lab09.q3", "constant among them", "def on_key_frequencies(table, share):\n    basis = fourier_basis(len(table))\n    c = basis @ table\n    size = c.square().sum(1)\n    power = torch.cat([size[:1], size[1:].view(-1, 2).sum(1)])\n    order = power.argsort(descending=True)\n    n = int((power[order].cumsum(0) < share * power.sum()).sum()) + 1\n    chosen = sorted(order[:n].tolist())\n    rows = [r for k in chosen for r in ([0] if k == 0 else [2 * k - 1, 2 * k])]\n    return {'frequencies': chosen, 'kept': basis[rows].T @ c[rows]}\n", "the constant is no frequency here"),
    Mutant("lab09.q3", "constant thrown away", _keys(rows="[row for k in chosen for row in (2 * k + 1, 2 * k + 2)]"), "the constant stays in the table"),
    Mutant("lab09.q3", "cosines only", _keys(power="coefficients.square().sum(1)[1::2]", total="power.sum()", rows="[0] + [2 * k + 1 for k in chosen]"), "the sines are missing"),
    Mutant("lab09.q3", "cosines kept", _keys(rows="[0] + [2 * k + 1 for k in chosen]"), "its cosine and its sine"),
    Mutant("lab09.q3", "root of the power", _keys(power="coefficients.square().sum(1)[1:].view(-1, 2).sum(1).sqrt()"), "without a root"),
    Mutant("lab09.q3", "largest column", _keys(power="coefficients.square().amax(1)[1:].view(-1, 2).sum(1)"), "not that of the strongest"),
    Mutant("lab09.q3", "columns added first", _keys(power="coefficients.sum(1).square()[1:].view(-1, 2).sum(1)"), "square before you add up"),
    Mutant("lab09.q3", "weakest first", _keys(order="power.argsort()"), "the weakest first"),
    Mutant("lab09.q3", "in their order", _keys(order="torch.arange(len(power))"), "takes frequencies in their order"),
    Mutant("lab09.q3", "one too few", _keys(n="int((power[order].cumsum(0) < share * total).sum())"), "the one that reaches it belongs to them"),
    Mutant("lab09.q3", "one too many", _keys(n="int((power[order].cumsum(0) < share * total).sum()) + 2"), "one fewer would do"),
    Mutant("lab09.q3", "each for itself", _keys(chosen="(power >= share * power.max()).nonzero()[:, 0].tolist()"), "it is together that they hold"),
    Mutant("lab09.q3", "rows ranked", _keys(chosen="(lambda size: sorted({r // 2 for r in size.argsort(descending=True)[: int((size.sort(descending=True).values.cumsum(0) < share * total).sum()) + 1].tolist()}))(coefficients.square().sum(1)[1:])"), "then rank the frequencies"),
    Mutant("lab09.q3", "along the columns", _keys(coefficients="basis @ table.T", kept="(basis[rows].T @ coefficients[rows]).T"), "the wave goes along axis 0"),
    Mutant("lab09.q3", "kept along the columns", _keys(kept="table @ basis[rows].T @ basis[rows]"), "multiply from the left"),
    Mutant("lab09.q3", "removed", _keys(kept="table - basis[rows[1:]].T @ coefficients[rows[1:]]"), "turn it round"),
    Mutant("lab09.q3", "removed with the constant", _keys(kept="table - basis[rows].T @ coefficients[rows]"), "turn it round"),
    Mutant("lab09.q3", "coefficients", _keys(kept="torch.zeros_like(coefficients).index_copy(0, torch.tensor(rows), coefficients[rows])"), "multiply by the waves again"),
    Mutant("lab09.q3", "from zero", _keys(names="chosen"), "frequencies count from 1"),
    Mutant("lab09.q3", "by power", _keys(chosen="order[:n].tolist()"), "in ascending order"),
    Mutant("lab09.q3", "a pair", _keys(given="names, kept"), "return a dict"),
    Mutant("lab09.q4", "nats", _exposing(bits="math.log(len(total)) - math.log(rank)"), "logarithms to base 2"),
    Mutant("lab09.q4", "tens", _exposing(bits="math.log10(len(total)) - math.log10(rank)"), "not 10"),
    Mutant("lab09.q4", "from zero", _exposing(rank="int((total >= total[planted]).sum()) - 1", bits="math.log2(len(total)) - float(torch.tensor(float(rank)).log2())"), "ranks begin with 1"),
    Mutant("lab09.q4", "log of zero", _exposing(rank="int((total > total[planted]).sum())"), "ranks begin with 1"),
    Mutant("lab09.q4", "ascending", _exposing(rank="int((total <= total[planted]).sum())"), "a higher log-probability is more likely"),
    Mutant("lab09.q4", "flattered", _exposing(rank="int((total > total[planted]).sum()) + 1"), "knows none"),
    Mutant("lab09.q4", "midway", _exposing(rank="float((total > total[planted]).sum() + ((total == total[planted]).sum() + 1) / 2)"), "not in the middle"),
    Mutant("lab09.q4", "by place", _exposing(rank="total.argsort(descending=True, stable=True).tolist().index(planted) + 1"), "their place in the list"),
    Mutant("lab09.q4", "first token", _exposing(total="logprobs[:, 0]"), "that of all its tokens"),
    Mutant("lab09.q4", "last token", _exposing(total="logprobs[:, -1]"), "not of the last one"),
    Mutant("lab09.q4", "probabilities added", _exposing(total="logprobs.double().exp().sum(1)"), "add up their logarithms"),
    Mutant("lab09.q4", "logarithms multiplied", _exposing(total="logprobs.double().prod(1)"), "the logarithms are added up"),
    Mutant("lab09.q4", "worst token", _exposing(total="logprobs.amin(1)"), "not of the least likely one"),
    Mutant("lab09.q4", "rank", _exposing(bits="rank"), "that is the rank"),
    Mutant("lab09.q4", "log of rank", _exposing(bits="math.log2(rank)"), "it is subtracted"),
    Mutant("lab09.q4", "negative", _exposing(bits="math.log2(rank) - math.log2(len(total))"), "largest for rank 1"),
    Mutant("lab09.q4", "others only", _exposing(bits="math.log2(len(total) - 1) - math.log2(rank)"), "they count all"),
    Mutant("lab09.q4", "a share", _exposing(bits="1 - math.log2(rank) / math.log2(len(total))"), "not divided by anything"),
    Mutant("lab09.q4", "surprise", _exposing(bits="-float(total[planted]) / math.log(2)"), "the surprise of the code itself"),
    Mutant("lab09.q4", "probabilities compared", _exposing(bits="math.log2(len(total)) + float(total.double().log_softmax(0)[planted]) / math.log(2)"), "exposure compares ranks"),
    Mutant("lab09.q5", "the token itself", _inducing(keys="queries - period"), "what came *after* it, one place nearer"),
    Mutant("lab09.q5", "the token before", _inducing(queries="torch.arange(period + 1, T)", keys="queries - period - 1"), "the token before the last occurrence"),
    Mutant("lab09.q5", "previous token", _inducing(keys="queries - 1"), "the token just before"),
    Mutant("lab09.q5", "previous token everywhere", _inducing(queries="torch.arange(1, T)", keys="queries - 1"), "the other half of the circuit"),
    Mutant("lab09.q5", "own", _inducing(keys="queries"), "on itself"),
    Mutant("lab09.q5", "the whole diagonal", "def induction_score(attention, period):\n    return attention.diagonal(1 - period, 2, 3).mean((0, 2))\n", "one query too many"),
    Mutant("lab09.q5", "one late", _inducing(queries="torch.arange(period + 1, T)"), "one query too few"),
    Mutant("lab09.q5", "last copy", _inducing(queries="torch.arange(T - period, T)"), "all copies but the first"),
    Mutant("lab09.q5", "every occurrence", "def induction_score(attention, period):\n    T = attention.shape[-1]\n    q, k = torch.arange(T)[:, None], torch.arange(T)\n    hit = (k > 0) & (k <= q) & ((q - k + 1) % period == 0) & (q >= period)\n    return (attention * hit).sum((2, 3)).mean(0) / (T - period)\n", "not all earlier ones"),
    Mutant("lab09.q5", "first occurrence", _inducing(keys="queries % period + 1"), "the last occurrence counts, not the first"),
    Mutant("lab09.q5", "exchanged", _inducing(at="attention[:, :, keys, queries]"), "they are exchanged"),
    Mutant("lab09.q5", "largest", _inducing(mean="at.amax((0, 2))"), "the largest weight"),
    Mutant("lab09.q5", "sum", _inducing(mean="at.sum(2).mean(0)"), "the sum over queries"),
    Mutant("lab09.q5", "over T", _inducing(mean="at.sum(2).mean(0) / T"), "must not be divided by"),
    Mutant("lab09.q5", "sum over texts", _inducing(mean="at.mean(2).sum(0)"), "the sum over texts"),
    Mutant("lab09.q5", "hits", _inducing(mean="(attention[:, :, queries].argmax(-1) == keys).float().mean((0, 2))"), "counts how often"),
    Mutant("lab09.q5", "first text", _inducing(mean="at[0].mean(1)"), "the first text alone"),
    Mutant("lab09.q5", "mean over heads", _inducing(mean="at.mean((1, 2))"), "a score belongs to a head"),
    Mutant("lab09.q6", "mean", _emerging(exact="accuracy[:, :k].mean(1)"), "the smooth metric"),
    Mutant("lab09.q6", "mean to the k", _emerging(exact="accuracy[:, :k].mean(1) ** k"), "the mean to the power of k"),
    Mutant("lab09.q6", "root", _emerging(exact="accuracy[:, :k].prod(1) ** (1 / k)"), "k-th root"),
    Mutant("lab09.q6", "any", _emerging(exact="1 - (1 - accuracy[:, :k]).prod(1)"), "*any* token is right"),
    Mutant("lab09.q6", "weakest", _emerging(exact="accuracy[:, :k].amin(1)"), "the least likely token alone"),
    Mutant("lab09.q6", "token k", _emerging(exact="accuracy[:, k - 1]"), "token k alone"),
    Mutant("lab09.q6", "logarithm of the product", _emerging(exact="accuracy[:, :k].log().sum(1)"), "the logarithm of the exact match"),
    Mutant("lab09.q6", "all tokens", _emerging(exact="accuracy.prod(1)"), "those behind it do not count"),
    Mutant("lab09.q6", "last tokens", _emerging(exact="accuracy[:, -k:].prod(1)"), "not the last"),
    Mutant("lab09.q6", "one fewer", _emerging(exact="accuracy[:, : k - 1].prod(1)"), "one token too few"),
    Mutant("lab09.q6", "line over sizes", _emerging(size="float(sizes[i - 1] + (sizes[i] - sizes[i - 1]) * share)"), "over the *logarithm* of the size"),
    Mutant("lab09.q6", "line in logarithms", _emerging(share="math.log(level / exact[i - 1]) / math.log(value / exact[i - 1])"), "not in its logarithm"),
    Mutant("lab09.q6", "no line", _emerging(size="float(sizes[i])"), "the first size at which it is reached"),
    Mutant("lab09.q6", "the size before", _emerging(size="float(sizes[i - 1])"), "the last size below"),
    Mutant("lab09.q6", "the nearest", _emerging(size="float(sizes[(exact - level).abs().argmin()])"), "comes nearest to the level"),
    Mutant("lab09.q6", "half-way", _emerging(size="float((sizes[i] * sizes[i - 1]) ** 0.5)"), "half-way between"),
    Mutant("lab09.q6", "turned round", _emerging(share="1 - (level - exact[i - 1]) / (value - exact[i - 1])"), "counts from the smaller"),
    Mutant("lab09.q6", "logarithm of the size", _emerging(size="math.log(sizes[i - 1] * (sizes[i] / sizes[i - 1]) ** share)"), "the logarithm of the size"),
    Mutant("lab09.q6", "the last time", _emerging(places="reversed(range(len(exact)))", reached="value >= level and (i == 0 or exact[i - 1] < level)"), "the *first* time"),
    Mutant("lab09.q6", "above the level", _emerging(reached="value > level"), "at least, not above"),
    Mutant("lab09.q6", "not at the start", _emerging(start="None"), "the smallest size is there already"),
    Mutant("lab09.q6", "infinite", _emerging(never="math.inf"), "not infinity"),
    Mutant("lab09.q6", "the largest", _emerging(never="float(sizes[-1])"), "not the largest size"),
    Mutant("lab09.q6", "zero", _emerging(never="0.0"), "not 0"),
    Mutant("lab09.q6", "first of none", "def emergence(sizes, accuracy, k, level):\n    exact = accuracy[:, :k].prod(1)\n    i = int((exact >= level).nonzero()[0])\n    if i == 0:\n        return {'exact': exact, 'size': float(sizes[0])}\n    share = (level - exact[i - 1]) / (exact[i] - exact[i - 1])\n    return {'exact': exact, 'size': float(sizes[i - 1] * (sizes[i] / sizes[i - 1]) ** share)}\n", "look before you take the first"),
    Mutant("lab09.q6", "a pair", _emerging(given="exact, found"), "return a dict"),
    Mutant("lab09.q7", "windows asked for", _test(more=_WINDOWS), "refuses a right answer"),
    Mutant("lab09.q7", "none inside another", _test(more=_INSIDE), "refuses a right answer"),
    Mutant("lab09.q7", "an order asked for", _test(more="found != sorted(found)"), "refuses a right answer"),
    Mutant("lab09.q7", "one of a kind", _test(more="len({start for start, _ in found}) < len(found)"), "refuses a right answer"),
    Mutant("lab09.q7", "stretches not read", _test(stands="False"), "your test accepts"),
    Mutant("lab09.q7", "nothing looked for", _test(missed="False"), "your test accepts"),
    Mutant("lab09.q7", "beginnings only", _test(missed="stands(text[i : i + k]) and not any(s <= i < s + n for s, n in found)"), "your test accepts"),
    Mutant("lab09.q7", "no overlap tried", _test(examples=_EXAMPLES.replace("([1, 2, 3, 4], [[1, 2, 3, 9], [2, 3, 4]], 3),", "").replace("([1, 2, 3, 4, 5], [[1, 2, 3, 4], [7, 2, 3, 4, 5]], 3),", "").replace("([7, 7, 7, 7, 7], [[7, 7, 7]], 2),", "")), "your test accepts"),
    Mutant("lab09.q7", "letters", _test(examples='[(["a", "b"], [["a", "b"]], 2)]'), "text is a list of"),
    Mutant("lab09.q8", "another cause", 'diagnosis = {"cause": "I", "evidence": ["d", "j"]}', "not what went wrong"),
    Mutant("lab09.q8", "untrue evidence", 'diagnosis = {"cause": "G", "evidence": ["c", "d"]}', "is not true of your run"),
    Mutant("lab09.q8", "evidence for two causes", 'diagnosis = {"cause": "G", "evidence": ["a", "d"]}', "seen under another cause"),
    Mutant("lab09.q8", "a letter", 'diagnosis = "G"', "write it as"),
]  # fmt: skip

# The challenge, seeds 0 to 2: the given run takes 680, 600 and 910 steps, 730 on average. A weight decay of 3 makes it 1,440, a rate
# of 0.03 587, and 0.05 487 (480, 530, 450).
RUBRICS = {
    "lab09.t1": "3: gives the delay between training and test pairs, and sees that something inside moves long before the test accuracy jumps (the share of the power in the final key frequencies, then accuracy with "
    "these alone), so that the jump is the end of a gradual change; says that at the end the key frequencies suffice and that without them the network is at chance; names a control (as many frequencies drawn at "
    "random, other seeds, a run without weight decay) or that keys read off the end predict nothing about a run that goes on. 2: two of the three. 1: describes the left panel only. 0: no plot read.",
}
