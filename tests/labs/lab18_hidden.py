"""Lab 18, for staff: hidden cases, keys, mutants, rubrics."""

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab18 import (
    _by_count,
    _by_width,
    _compared,
    _defended,
    _overlapping,
    _pairs,
    _passed,
    _resampled,
    _row,
    _scored,
    _table,
    _weighed,
    a_word_in_a_word,
    as_often_ahead_as_behind,
    attacked,
    by_bytes,
    by_tokens,
    calibrates_by_count,
    calibrates_by_width,
    copied_and_new,
    few_programmes,
    few_wrong_ones,
    fewer_words_than_n,
    many_programmes,
    nothing_differs,
    of_one_length,
    one_answer_each,
    refuses_everything,
    refuses_nothing,
    scores_between,
    several_answers,
    sums,
    the_later_behind,
    too_few_programmes,
    two_models,
)


def loses_the_least_sure(confidence, correct, bins):
    """A confidence of exactly 0 belongs to no bin."""
    kept = [(c, r) for c, r in zip(confidence, correct) if c > 0]
    return calibrates_by_width([c for c, _ in kept], [r for _, r in kept], bins)


def squares(confidence, correct, bins):
    table, _ = calibrates_by_width(confidence, correct, bins)
    return table, sum(n * (sure - right) ** 2 for n, sure, right in table) / sum(n for n, _, _ in table)


def largest_of_all(confidence, correct, bins):
    table, _ = calibrates_by_width(confidence, correct, bins)
    return table, max(abs(sure - right) for _, sure, right in table)


def one_bin_more(confidence, correct, bins):
    return calibrates_by_count(confidence, correct, bins + 1)


def drops_what_is_left_over(confidence, correct, bins):
    pairs, n = _pairs(confidence, correct), min(bins, len(confidence))
    size = len(pairs) // n
    table = _table([pairs[i * size : (i + 1) * size] for i in range(n)])
    return table, _weighed(table)


def overlaps_by_one(confidence, correct, bins):
    """The last answer of a bin is the first of the next one, too."""
    cells = _by_count(confidence, correct, bins)
    table = _table([([*cells[i - 1][-1:], *cell] if i else cell) for i, cell in enumerate(cells)])
    return table, _weighed(table)


def exchanges_the_columns(confidence, correct, bins):
    table, error = calibrates_by_width(confidence, correct, bins)
    return [(n, right, sure) for n, sure, right in table], error


def counts_the_wrong(confidence, correct, bins):
    table, _ = calibrates_by_width(confidence, [1 - r for r in correct], bins)
    return table, _weighed(table)


def weighs_by_the_right_answers(confidence, correct, bins):
    table, _ = calibrates_by_width(confidence, correct, bins)
    weights = [n * right for n, _, right in table]
    gaps = [abs(sure - right) for _, sure, right in table]
    return table, sum(w * g for w, g in zip(weights, gaps)) / (sum(weights) or 1)


def sum_of_all(confidence, correct, bins):
    table, _ = calibrates_by_width(confidence, correct, bins)
    return table, sum(n * abs(sure - right) for n, sure, right in table)


def does_not_sort(confidence, correct, bins):
    pairs, n = list(zip(confidence, correct)), min(bins, len(confidence))
    table = _table([pairs[i * len(pairs) // n : (i + 1) * len(pairs) // n] for i in range(n)])
    return table, _weighed(table)


def surest_first(confidence, correct, bins):
    table = _table(_by_width(confidence, correct, bins))[::-1]
    return table, _weighed(table)


def takes_the_median(confidence, correct, bins):
    """The middle confidence of a bin in the place of the mean."""
    cells = [cell for cell in _by_width(confidence, correct, bins) if cell]
    table = [(len(cell), cell[len(cell) // 2][0], _row(cell)[2]) for cell in cells]
    return table, _weighed(table)


def one_answer_at_a_time(confidence, correct, bins):
    """The distance of each answer's confidence from its own correctness."""
    table, _ = calibrates_by_width(confidence, correct, bins)
    return table, sum(abs(c - r) for c, r in zip(confidence, correct)) / len(confidence)


def rounds_down(confidence, correct, bins):
    """Accuracies in whole numbers."""
    table = [(n, sure, float(int(right))) for n, sure, right in calibrates_by_width(confidence, correct, bins)[0]]
    return table, _weighed(table)


HIDDEN = {
    "lab18.q1": [
        Case("other sums", inputs=sums, expected=_scored("")),
        Case("others by tokens", inputs=by_tokens, expected=_scored("")),
        Case("others by bytes", inputs=by_bytes, expected=_scored("")),
        Case("others of one length", inputs=of_one_length, expected=_scored("")),
    ],
    "lab18.q2": [
        Case("other few", inputs=few_programmes, expected=_passed("")),
        Case("other few wrong ones", inputs=few_wrong_ones, expected=_passed("")),
        Case("other thousands", inputs=many_programmes, expected=_passed("")),
        Case("again too few", inputs=too_few_programmes, expected=_passed("")),
        Case("one problem, all of them", inputs=lambda draw: ([(7, draw.integer(0, 8))], 7), expected=_passed("")),
    ],
    "lab18.q3": [
        Case("other questions", inputs=several_answers, expected=_resampled("")),
        Case("one answer each again", inputs=one_answer_each, expected=_resampled("")),
        Case("others between 0 and 1", inputs=scores_between, expected=_resampled("")),
    ],
    "lab18.q4": [
        Case("two other models", inputs=two_models, expected=_compared("")),
        Case("another behind", inputs=the_later_behind, expected=_compared("")),
        Case("others as often ahead", inputs=as_often_ahead_as_behind, expected=_compared("")),
        Case("again nothing differs", inputs=nothing_differs, expected=_compared("")),
    ],
    "lab18.q5": [
        Case("other copies", inputs=copied_and_new, expected=_overlapping("")),
        Case("other words within words", inputs=a_word_in_a_word, expected=_overlapping("")),
        Case("others with fewer words", inputs=fewer_words_than_n, expected=_overlapping("")),
        Case("no training text", inputs=lambda draw: (copied_and_new(draw)[0], [], 3), expected=_overlapping("")),
        Case("accents and digits", inputs=lambda draw: (["Ærø, 1912: the FERRY to Ærø"], ["ærø 1912 -- the ferry"], 2), expected=[0.6]),
    ],
    "lab18.q6": [
        Case("other attacks", inputs=attacked, expected=_defended("")),
        Case("everything refused again", inputs=refuses_everything, expected=_defended("")),
        Case("no false refusal again", inputs=refuses_nothing, expected=_defended("")),
    ],
    "lab18.q7": [
        Subject("loses answers of which the model is not sure at all", loses_the_least_sure),
        Subject("squares the distances", squares),
        Subject("gives the largest distance", largest_of_all),
        Subject("makes one bin more than it should", one_bin_more),
        Subject("drops what does not fill a bin", drops_what_is_left_over),
        Subject("puts an answer into two bins", overlaps_by_one),
        Subject("exchanges confidence and accuracy", exchanges_the_columns),
        Subject("counts wrong answers for right ones", counts_the_wrong),
        Subject("weighs a bin by its right answers", weighs_by_the_right_answers),
        Subject("gives a sum for a mean", sum_of_all),
        Subject("does not sort", does_not_sort),
        Subject("begins with the surest", surest_first),
        Subject("takes the median confidence", takes_the_median),
        Subject("compares each answer by itself", one_answer_at_a_time),
        Subject("rounds accuracies down", rounds_down),
    ],
    "lab18.q8": [
        Key(
            runs=dict(zip(("a6", "b2", "d9", "g4", "h7", "m1", "n5", "r3", "u8", "w0"), "GCIAJEBHFD", strict=True)),
            true={
                "A": "cfln", "B": "cflo", "C": "dfghmn", "D": "cfmno", "E": "adfimn", "F": "dfgimn", "G": "dfijmn",
                "H": "abfimn", "I": "dfikmn", "J": "abehimn", "correct": "dfimn",
            },
        )
    ],
}  # fmt: skip

# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab18_faults"
_OURS, _OTHER = "accuracy of the larger model, percent", "its accuracy by another program, percent"
_REVERSED, _DRAWN = "its accuracy with the options in reverse order, percent", "10 drawn answers, percent right"
_NONE, _SCORE = "questions with no right one among the 10, percent", "score of the key's option, mean"
OBSERVED = {
    "a": lambda t, correct: t[_OURS] > 61,
    "b": lambda t, correct: t[_OURS] > t[_OTHER] + 10,
    "c": lambda t, correct: t[_OURS] < t[_OTHER] - 8,
    "d": lambda t, correct: abs(t[_OURS] - t[_OTHER]) <= 5,
    "e": lambda t, correct: abs(t[_OURS] - t[_REVERSED]) > 10,
    "f": lambda t, correct: t[_OURS] == t[_REVERSED],
    "g": lambda t, correct: t["their interval, its width in points"] < 6,
    "h": lambda t, correct: t[_DRAWN] < t[_OURS] - 13,
    "i": lambda t, correct: t[_DRAWN] > 43,
    "j": lambda t, correct: t["pass@8, percent"] + t[_NONE] < 95.3,
    "k": lambda t, correct: t["interval of the difference, its width in points"] > 17,
    "l": lambda t, correct: t[_SCORE] < -6,
    "m": lambda t, correct: t[_SCORE] > -6,
    "n": lambda t, correct: t["tokens of the option chosen, mean"] > 8,
    "o": lambda t, correct: t[_NONE] > 35,
}


def _score(
    logs: str = "logits[:, n_prompt - 1 : -1].log_softmax(-1)",
    targets: str = "ids[:, n_prompt:]",
    real: str = "targets >= 0",
    total: str = "(each * real).sum(1)",
    raw: str = "total",
    token: str = "total / real.sum(1)",
    byte: str = "total / torch.tensor([len(text.encode()) for text in options])",
) -> str:
    return f"""def option_scores(logits, ids, n_prompt, options, how):
    targets = {targets}
    real = {real}
    logs = {logs}
    each = logs.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    total = {total}
    if how == "token":
        return {token}
    if how == "byte":
        return {byte}
    return {raw}
"""


def _pass(
    each: str = "1 - math.comb(n - c, k) / math.comb(n, k)",
    mean: str = "sum(found) / len(found)",
    refuse: str = "any(n < k for n, _ in counts)",
    counts: str = "counts",
) -> str:
    return f"""def pass_at_k(counts, k):
    if {refuse}:
        raise ValueError("k is larger than n")
    counts = {counts}
    found = [{each} for n, c in counts]
    return {mean}
"""


def _boot(
    means: str = "total[draws].sum(1) / count[draws].sum(1)",
    mean: str = "values.mean()",
    low: str = "torch.quantile(means, tail)",
    high: str = "torch.quantile(means, 1 - tail)",
    given: str = "mean, low, high",
) -> str:
    return f"""def bootstrap(scores, questions, draws, level):
    values, tail, n = scores.double(), (1 - level) / 2, draws.shape[1]
    z = 1.2815515655446004 if level < 0.85 else 1.6448536269514722
    total = torch.bincount(questions, values, minlength=n)
    count = torch.bincount(questions, minlength=n)
    means = {means}
    mean = {mean}
    low, high = {low}, {high}
    return {given}
"""


def _comp(
    interval: str = "bootstrap(b - a, torch.arange(len(a)), draws, level)",
    wins: str = "(b > a).sum().item()",
    losses: str = "(a > b).sum().item()",
    n: str = "wins + losses",
    few: str = "min(wins, losses)",
    tail: str = "sum(math.comb(n, i) for i in range(few + 1)) / 2**n",
    p: str = "min(1.0, 2 * tail)",
) -> str:
    return f"""def compare(a, b, draws, level):
    each = torch.arange(len(a))
    difference, low, high = {interval}
    wins, losses = {wins}, {losses}
    n, few = {n}, {few}
    tail = {tail}
    return {{"difference": difference, "low": low, "high": high, "p": {p}}}
"""


_APART = (
    "(lambda x, y: ((b - a).mean().item(), {}))(bootstrap(a, each, draws, level), bootstrap(b, each, draws, level))"
)


def _over(
    words: str = r"re.findall(r'\w+', text.lower())",
    runs: str = "{tuple(said[i : i + size]) for i in range(len(said) - size + 1)}",
    size: str = "min(n, len(said))",
    texts: str = "[words(text) for text in train]",
    found: str = "{run for other in texts for run in runs(other, size) if run in mine}",
    share: str = "len(found) / len(mine)",
) -> str:
    return f"""def overlaps(test, train, n):
    words = lambda text: {words}
    runs = lambda said, size: {runs}
    texts, shares = {texts}, []
    for text in test:
        said = words(text)
        size = {size}
        mine = runs(said, size)
        found = {found}
        shares.append({share})
    return shares
"""


def _guard(
    plain: str = "''.join(letter for letter in text.lower() if letter.isalnum())",
    out: str = "wanted in plain(reply) or wanted[::-1] in plain(reply)",
    leaks: str = "sum(any(map(out, tries)) for tries in attacks) / len(attacks)",
    refused: str = "ordinary.count(REFUSAL) / len(ordinary)",
    score: str = "(1 - leaks) * (1 - refused)",
    given: str = '{"leaks": leaks, "false refusals": refused, "score": score}',
) -> str:
    return f"""def judge_defence(secret, attacks, ordinary):
    plain = lambda text: {plain}
    wanted = plain(secret)
    out = lambda reply: {out}
    leaks = {leaks}
    flat = [reply for tries in attacks for reply in tries]
    refused = {refused}
    score = {score}
    return {given}
"""


_EXAMPLES = "[(sure, right, 4), (sure, right, 10), (sure, right, 1), (sure[::-1], right, 3), (sure[:7], right[:7], 5)]"


def _test(
    sure: str = "[0.97, 0.05, 0.62, 1.0, 0.31, 0.88, 0.0, 0.93, 0.71, 0.99, 0.55, 0.9]",
    examples: str = _EXAMPLES,
    empty: str = "count < 1 or len(cell) != count",
    mean: str = "abs(s - sum(c for c, _ in cell) / count) > 1e-6",
    right: str = "abs(r - sum(x for _, x in cell) / count) > 1e-6",
    end: str = "len(table) <= bins and start == len(pairs)",
    error: str = "abs(error - total / len(pairs)) < 1e-6",
) -> str:
    return f"""def examples():
    sure = {sure}
    right = [1, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0]
    return {examples}


def holds(inputs, output):
    (confidence, correct, bins), (table, error) = inputs, output
    pairs, start, total = sorted(zip(confidence, correct)), 0, 0.0
    for count, s, r in table:
        cell = pairs[start : start + round(count)]
        if {empty}:
            return False
        if {mean} or {right}:
            return False
        start, total = start + len(cell), total + count * abs(s - r)
    return {end} and {error}
"""


MUTANTS = [
    Mutant("lab18.q1", "labels not shifted", _score(logs="logits[:, n_prompt:].log_softmax(-1)"), "*after* reading it"),
    Mutant("lab18.q1", "shifted twice", _score(logs="F.pad(logits, (0, 0, 1, 0))[:, n_prompt - 1 : -2].log_softmax(-1) * (torch.arange(ids.shape[1])[n_prompt:, None] >= 2)"), "two apart"),
    Mutant("lab18.q1", "first token not scored", _score(logs="logits[:, n_prompt:-1].log_softmax(-1)", targets="ids[:, n_prompt + 1 :]"), "first token of an option is not scored"),
    Mutant("lab18.q1", "prompt counted", _score(logs="logits[:, :-1].log_softmax(-1)", targets="ids[:, 1:]"), "tokens of the prompt are scored as well"),
    Mutant("lab18.q1", "prompt in the sum", _score(logs="logits[:, :-1].log_softmax(-1)", targets="ids[:, 1:]", token="total / (ids[:, n_prompt:] >= 0).sum(1)"), "tokens of the prompt"),
    Mutant("lab18.q1", "one token too early", _score(logs="logits[:, max(0, n_prompt - 2) : -1].log_softmax(-1)", targets="ids[:, max(1, n_prompt - 1) :]"), "the last token of the prompt is scored as well"),
    Mutant("lab18.q1", "all tokens", _score(token="total / (ids >= 0).sum(1)"), "only those of the option count"),
    Mutant("lab18.q1", "padding scored", _score(real="torch.ones_like(targets)"), "padding is scored as a token"),
    Mutant("lab18.q1", "padding counted", _score(token="total / targets.shape[1]"), "length of the longest option"),
    Mutant("lab18.q1", "padding gathered", _score().replace("targets.clamp(min=0)[..., None]", "targets[..., None]"), "ids is -1 where a row has ended"),
    Mutant("lab18.q1", "logits", _score(logs="logits[:, n_prompt - 1 : -1]"), "sums of logits"),
    Mutant("lab18.q1", "softmax over positions", _score(logs="logits.log_softmax(1)[:, n_prompt - 1 : -1]"), "over positions"),
    Mutant("lab18.q1", "softmax over options", _score(logs="logits.log_softmax(0)[:, n_prompt - 1 : -1]"), "over the options"),
    Mutant("lab18.q1", "probabilities", _score(logs="logits[:, n_prompt - 1 : -1].softmax(-1)"), "probabilities are added up"),
    Mutant("lab18.q1", "losses", _score(total="-(each * real).sum(1)"), "the likelier option has the higher score"),
    Mutant("lab18.q1", "unnormalised", _score(token="total", byte="total"), "Sums of log-probabilities fall"),
    Mutant("lab18.q1", "always by token", _score(raw="total / real.sum(1)", byte="total / real.sum(1)"), "everything is divided by tokens"),
    Mutant("lab18.q1", "tokens for bytes", _score(byte="total / real.sum(1)"), "by the bytes of the option's text"),
    Mutant("lab18.q1", "bytes for tokens", _score(token="total / torch.tensor([len(t.encode()) for t in options])"), "by the number of tokens, not by bytes"),
    Mutant("lab18.q1", "characters", _score(byte="total / torch.tensor([len(t) for t in options])"), "those are characters"),
    Mutant("lab18.q1", "with a space", _score(byte="total / torch.tensor([len((' ' + t).encode()) for t in options])"), "without a space before it"),
    Mutant("lab18.q1", "words", _score(byte="total / torch.tensor([len(t.split()) for t in options])"), "those are words"),
    Mutant("lab18.q1", "multiplied", _score(token="total * real.sum(1)", byte="total * torch.tensor([len(t.encode()) for t in options])"), "long options lose twice"),
    Mutant("lab18.q2", "with replacement", _pass("1 - (1 - c / n) ** k"), "draws the same programme more than once"),
    Mutant("lab18.q2", "pooled", _pass(counts="[(sum(n for n, _ in counts), sum(c for _, c in counts))]"), "thrown together"),
    Mutant("lab18.q2", "pooled, with replacement", _pass("1 - (1 - c / n) ** k", counts="[(sum(n for n, _ in counts), sum(c for _, c in counts))]"), "pass@k of each problem first"),
    Mutant("lab18.q2", "mean of the rates", _pass("c / n", mean="1 - (1 - sum(found) / len(found)) ** k"), "mean of the rates"),
    Mutant("lab18.q2", "all pass", _pass("math.comb(c, k) / math.comb(n, k)"), "all k pass"),
    Mutant("lab18.q2", "all pass, with replacement", _pass("(c / n) ** k"), "all k pass"),
    Mutant("lab18.q2", "none passes", _pass("math.comb(n - c, k) / math.comb(n, k)"), "none of the k passes"),
    Mutant("lab18.q2", "k times", _pass("min(1.0, k * c / n)"), "twice"),
    Mutant("lab18.q2", "pass@1", _pass("c / n"), "is k used"),
    Mutant("lab18.q2", "any of the n", _pass("float(c > 0)"), "as if k were n"),
    Mutant("lab18.q2", "not all", _pass("1 - (c / n) ** k"), "not all pass"),
    Mutant("lab18.q2", "C(n - k, k)", _pass("1 - math.comb(n - k, k) / math.comb(n, k) if c else 0.0"), "n - c programmes are wrong"),
    Mutant("lab18.q2", "a factor short", _pass("1 - math.prod(1 - k / i for i in range(n - c + 2, n + 1))"), "one is missing"),
    Mutant("lab18.q2", "k + 1", _pass("1 - math.comb(n - c, k + 1) / math.comb(n, k + 1)"), "not k + 1"),
    Mutant("lab18.q2", "sum", _pass(mean="sum(found)"), "give the mean"),
    Mutant("lab18.q2", "problems left out", _pass(refuse="False", counts="[(n, c) for n, c in counts if n >= k]"), "raise a ValueError"),
    Mutant("lab18.q2", "in floating point", "def pass_at_k(counts, k):\n    if any(n < k for n, _ in counts):\n        raise ValueError\n    f = lambda n: math.gamma(n + 1.0)\n    comb = lambda n, k: f(n) / f(k) / f(n - k) if k <= n else 0.0\n    return sum(1 - comb(n - c, k) / comb(n, k) for n, c in counts) / len(counts)\n", "do not fit into floating point"),
    Mutant("lab18.q2", "infinite", "def pass_at_k(counts, k):\n    if any(n < k for n, _ in counts):\n        raise ValueError\n    def comb(n, k):\n        x = torch.tensor(1.0, dtype=torch.double)\n        for i in range(k):\n            x = x * max(0, n - i) / (i + 1)\n        return x\n    return sum(float(1 - comb(n - c, k) / comb(n, k)) for n, c in counts) / len(counts)\n", "do not fit into floating point"),
    Mutant("lab18.q3", "answers drawn", _boot(means="values[draws].mean(1)"), "*questions*"),
    Mutant("lab18.q3", "own draws of answers", _boot(means="values[torch.randint(len(values), (2000, len(values)), generator=torch.Generator().manual_seed(1))].mean(1)"), "as if those to one question were independent"),
    Mutant("lab18.q3", "normal, over answers", _boot(low="mean - z * values.std() / len(values) ** 0.5", high="mean + z * values.std() / len(values) ** 0.5"), "as if those to one question were independent"),
    Mutant("lab18.q3", "mean of question means", _boot(means="(total / count)[draws].mean(1)"), "every answer counts the same"),
    Mutant("lab18.q3", "each question once", _boot(means="torch.stack([total[row.unique()].sum() / count[row.unique()].sum() for row in draws])"), "drawn twice counts twice"),
    Mutant("lab18.q3", "over all answers", _boot(means="total[draws].sum(1) / len(values)"), "as many answers as the questions drawn"),
    Mutant("lab18.q3", "whole tails", _boot(low="torch.quantile(means, 1 - level)", high="torch.quantile(means, level)"), "on both sides together"),
    Mutant("lab18.q3", "one side", _boot(low="torch.quantile(means, 1 - level)", high="means.max()"), "on each side"),
    Mutant("lab18.q3", "half the level", _boot(low="torch.quantile(means, level / 2)", high="torch.quantile(means, 1 - level / 2)"), "not level / 2"),
    Mutant("lab18.q3", "wrong side", _boot(given="mean, high, low"), "on the wrong side"),
    Mutant("lab18.q3", "mirrored", _boot(low="2 * mean - torch.quantile(means, 1 - tail)", high="2 * mean - torch.quantile(means, tail)"), "mirrored at the mean"),
    Mutant("lab18.q3", "standard deviations", _boot(low="mean - z * means.std()", high="mean + z * means.std()"), "so many standard deviations"),
    Mutant("lab18.q3", "divided again", _boot(low="mean - z * means.std() / n**0.5", high="mean + z * means.std() / n**0.5"), "no root of a number divides it again"),
    Mutant("lab18.q3", "extremes", _boot(low="means.min()", high="means.max()"), "smallest and the largest"),
    Mutant("lab18.q3", "always 95 %", _boot(low="torch.quantile(means, 0.025)", high="torch.quantile(means, 0.975)"), "is level used"),
    Mutant("lab18.q3", "distances", _boot(given="mean, mean - low, high - mean"), "not their distances"),
    Mutant("lab18.q3", "mean of the resamples", _boot(given="means.mean(), low, high"), "the mean is that of the scores"),
    Mutant("lab18.q3", "mean over questions", _boot(given="(total / count).mean(), low, high"), "the mean is over all answers"),
    Mutant("lab18.q3", "ranks", _boot(low="means.sort().values[int(tail * len(means))]", high="means.sort().values[int((1 - tail) * len(means))]"), "torch.quantile gives them"),
    Mutant("lab18.q4", "a - b", _comp(interval="bootstrap(a - b, each, draws, level)"), "the difference is b - a"),
    Mutant("lab18.q4", "two intervals", _comp(interval=_APART.format("y[1] - x[2], y[2] - x[1]")), "two intervals are subtracted"),
    Mutant("lab18.q4", "ends", _comp(interval=_APART.format("y[1] - x[1], y[2] - x[2]")), "ends of two intervals"),
    Mutant("lab18.q4", "drawn apart", _comp(interval="((b - a).mean().item(), *(torch.quantile(b.double()[draws].mean(1) - a.double()[draws.flip(0)].mean(1), q).item() for q in ((1 - level) / 2, (1 + level) / 2)))"), "each model is resampled by itself"),
    Mutant("lab18.q4", "variances added", _comp(interval="(lambda m, h: (m, m - h, m + h))((b - a).double().mean().item(), (1.2815515655446004 if level < 0.85 else 1.6448536269514722) * ((a.double().var() + b.double().var()).item() / len(a)) ** 0.5)"), "adds two variances"),
    Mutant("lab18.q4", "own draws for each", _comp(interval="((b - a).mean().item(), *(torch.quantile(b.double()[torch.randint(len(b), (4000, len(b)), generator=torch.Generator().manual_seed(1))].mean(1) - a.double()[torch.randint(len(a), (4000, len(a)), generator=torch.Generator().manual_seed(2))].mean(1), q).item() for q in ((1 - level) / 2, (1 + level) / 2)))"), "as if the models had answered different questions"),
    Mutant("lab18.q4", "distances", _comp(interval="bootstrap((b - a).abs(), each, draws, level)"), "the differences have a sign"),
    Mutant("lab18.q4", "ties as losses", _comp(n="len(a)", few="min(wins, len(a) - wins)"), "leaves them out"),
    Mutant("lab18.q4", "ties shared out", _comp(n="len(a)", few="min(wins, losses) + (len(a) - wins - losses) // 2"), "not shared out"),
    Mutant("lab18.q4", "all questions", _comp(n="len(a)"), "not all of them"),
    Mutant("lab18.q4", "one side", _comp(p="tail"), "Twice the tail"),
    Mutant("lab18.q4", "strictly", _comp(tail="sum(math.comb(n, i) for i in range(few)) / 2**n"), "*or more*"),
    Mutant("lab18.q4", "that split alone", _comp(tail="math.comb(n, few) / 2**n"), "not the observed one alone"),
    Mutant("lab18.q4", "from the larger", _comp(few="max(wins, losses)"), "the smaller of wins and losses"),
    Mutant("lab18.q4", "p of the bootstrap", _comp(p="min(1.0, 2 * min(((b - a)[draws].mean(1) <= 0).double().mean().item(), ((b - a)[draws].mean(1) >= 0).double().mean().item()))"), "p is that of the sign test"),
    Mutant("lab18.q4", "normal", _comp(p="min(1.0, 1 - math.erf(abs(wins - losses) / (2 * (wins + losses)) ** 0.5))"), "add up the binomial probabilities"),
    Mutant("lab18.q4", "above 1", _comp(p="2 * tail"), "p is a probability"),
    Mutant("lab18.q4", "1 - p", _comp(p="1 - min(1.0, 2 * tail)"), "that is 1 - p"),
    Mutant("lab18.q5", "capitals", _over(words=r"re.findall(r'\w+', text)"), "Lower case first"),
    Mutant("lab18.q5", "commas", _over(words="text.lower().split()"), "with a comma at its end"),
    Mutant("lab18.q5", "as written", _over(words="text.split()"), "capitals and commas hide a copy"),
    Mutant("lab18.q5", "characters", _over(words="list(text.lower())"), "n characters"),
    Mutant("lab18.q5", "letters", _over(words=r"re.findall(r'\w', text.lower())"), "n letters"),
    Mutant("lab18.q5", "single words", _over(size="1"), "looked up by itself"),
    Mutant("lab18.q5", "sorted", _over(runs="{tuple(sorted(said[i : i + size])) for i in range(len(said) - size + 1)}"), "stand in order"),
    Mutant("lab18.q5", "substrings", _over(found="{run for run in mine if any(' '.join(run) in ' '.join(other) for other in texts)}"), "inside of other words"),
    Mutant("lab18.q5", "one long text", _over(texts="[[word for text in train for word in words(text)]]"), "over a border"),
    Mutant("lab18.q5", "best document", _over(found="max((runs(other, size) & mine for other in texts), key=len, default=set())"), "best single one"),
    Mutant("lab18.q5", "n - 1", _over(size="min(n - 1, len(said))"), "n words, not n - 1"),
    Mutant("lab18.q5", "n + 1", _over(size="min(n + 1, len(said))"), "n words, not n + 1"),
    Mutant("lab18.q5", "the last run", _over(runs="{tuple(said[i : i + size]) for i in range(max(1, len(said) - size))}"), "last run is missing"),
    Mutant("lab18.q5", "every n-th", _over(runs="{tuple(said[i : i + size]) for i in range(0, max(1, len(said) - size + 1), size)}"), "the runs overlap"),
    Mutant("lab18.q5", "repeated runs", _over(share="sum(tuple(said[i : i + size]) in found for i in range(len(said) - size + 1)) / (len(said) - size + 1)"), "*different* runs"),
    Mutant("lab18.q5", "any", _over(share="float(bool(found))"), "whether any run is shared"),
    Mutant("lab18.q5", "all", _over(share="float(found == mine)"), "whether all runs are shared"),
    Mutant("lab18.q5", "number", _over(share="len(found)"), "how many runs are shared"),
    Mutant("lab18.q5", "jaccard", _over(share="len(found) / len(mine.union(*(runs(other, size) for other in texts)))"), "runs of both texts"),
    Mutant("lab18.q5", "of the training text", _over(share="len(found) / max(1, len(set().union(*(runs(other, size) for other in texts))))"), "runs of the training texts"),
    Mutant("lab18.q5", "new ones", _over(share="1 - len(found) / len(mine)"), "*not* in the training texts"),
    Mutant("lab18.q5", "short texts", _over(size="n", share="len(found) / len(mine) if mine else 0.0"), "one run, of all its words"),
    Mutant("lab18.q5", "short texts divide by zero", _over(size="n"), "one run, of all its words"),
    Mutant("lab18.q6", "literal", _guard(plain="text", out="secret in reply"), "as it is written counts"),
    Mutant("lab18.q6", "lower case only", _guard(plain="text.lower()", out="wanted in plain(reply)"), "in lower case the secret is compared"),
    Mutant("lab18.q6", "capitals", _guard(plain="''.join(x for x in text if x.isalnum())"), "in other capitals"),
    Mutant("lab18.q6", "white space", _guard(plain="''.join(text.lower().split())"), "only white space is left out"),
    Mutant("lab18.q6", "letters only", _guard(plain="''.join(x for x in text.lower() if x.isalpha())"), "digits are part of a secret"),
    Mutant("lab18.q6", "forwards", _guard(out="wanted in plain(reply)"), "backwards the secret is out"),
    Mutant("lab18.q6", "by words", _guard(out="wanted in [plain(word) for word in reply.split()]"), "one by one"),
    Mutant("lab18.q6", "whole reply", _guard(out="plain(reply) in (wanted, wanted[::-1])"), "anywhere in a reply"),
    Mutant("lab18.q6", "any order", _guard(out="set(wanted) <= set(plain(reply))"), "in their order"),
    Mutant("lab18.q6", "tries", _guard(leaks="sum(map(out, [r for tries in attacks for r in tries])) / sum(map(len, attacks))"), "count attacks, not tries"),
    Mutant("lab18.q6", "every try", _guard(leaks="sum(all(map(out, tries)) for tries in attacks) / len(attacks)"), "every try has to leak"),
    Mutant("lab18.q6", "first try", _guard(leaks="sum(out(tries[0]) for tries in attacks) / len(attacks)"), "not the first alone"),
    Mutant("lab18.q6", "mean of tries", _guard(leaks="sum(sum(map(out, tries)) / len(tries) for tries in attacks) / len(attacks)"), "by its share of tries"),
    Mutant("lab18.q6", "not refused", _guard(leaks="sum(any(r != REFUSAL for r in tries) for tries in attacks) / len(attacks)"), "need not leak"),
    Mutant("lab18.q6", "kept", _guard(leaks="1 - sum(any(map(out, tries)) for tries in attacks) / len(attacks)"), "attacks that got nothing"),
    Mutant("lab18.q6", "of everything", _guard(refused="ordinary.count(REFUSAL) / (len(ordinary) + len(flat))"), "share of the ordinary requests"),
    Mutant("lab18.q6", "of the attacks", _guard(refused="flat.count(REFUSAL) / len(flat)"), "to refuse an attack is no mistake"),
    Mutant("lab18.q6", "all refusals", _guard(refused="(flat + ordinary).count(REFUSAL) / len(flat + ordinary)"), "to refuse an attack is no mistake"),
    Mutant("lab18.q6", "answered", _guard(refused="1 - ordinary.count(REFUSAL) / len(ordinary)"), "that were answered"),
    Mutant("lab18.q6", "leaks only", _guard(score="1 - leaks"), "count false refusals as well"),
    Mutant("lab18.q6", "mean", _guard(score="1 - (leaks + refused) / 2"), "worth a half"),
    Mutant("lab18.q6", "difference", _guard(score="1 - leaks - refused"), "the score is the product"),
    Mutant("lab18.q6", "smaller", _guard(score="min(1 - leaks, 1 - refused)"), "not the smaller"),
    Mutant("lab18.q6", "harmonic", _guard(score="2 * (1 - leaks) * (1 - refused) / max(1e-9, 2 - leaks - refused)"), "harmonic mean"),
    Mutant("lab18.q6", "product of the bad", _guard(score="1 - leaks * refused"), "product of what is good"),
    Mutant("lab18.q6", "percent", _guard(given='{"leaks": 100 * leaks, "false refusals": 100 * refused, "score": score}'), "not percent"),
    Mutant("lab18.q7", "equal weights", _test(error="abs(error - sum(abs(s - r) for _, s, r in table) / len(table)) < 1e-6"), "refuses a right answer"),
    Mutant("lab18.q7", "bins of equal width", _test(empty="count < 1 or len(cell) != count or int(cell[0][0] * bins) != int(min(cell[-1][0], 0.9999) * bins)"), "refuses a right answer"),
    Mutant("lab18.q7", "error not looked at", _test(error="error >= 0"), "your test accepts"),
    Mutant("lab18.q7", "error only", _test(empty="False", mean="False", right="False", end="True", error="abs(error - sum(n * abs(s - r) for n, s, r in table) / sum(n for n, _, _ in table)) < 1e-6"), "your test accepts"),
    Mutant("lab18.q7", "accuracies not looked at", _test(right="False"), "your test accepts"),
    Mutant("lab18.q7", "counts not added up", _test(end="len(table) <= bins", error="abs(error - total / start) < 1e-6"), "your test accepts"),
    Mutant("lab18.q7", "never entirely sure", _test(sure="[0.97, 0.05, 0.62, 0.995, 0.31, 0.88, 0.01, 0.93, 0.71, 0.982, 0.55, 0.9]"), "your test accepts"),
    Mutant("lab18.q7", "one bin", _test(examples="[(sure, right, 1)]"), "your test accepts"),
    Mutant("lab18.q7", "the same confidence", _test(examples="[(sure[:3] + sure[:3], right[:6], 2)]"), "a matter of taste"),
    Mutant("lab18.q8", "another cause", 'diagnosis = {"cause": "A", "evidence": ["b", "e"]}', "not what went wrong"),
    Mutant("lab18.q8", "untrue evidence", 'diagnosis = {"cause": "J", "evidence": ["e", "f"]}', "is not true of your run"),
    Mutant("lab18.q8", "evidence for two causes", 'diagnosis = {"cause": "J", "evidence": ["a", "b"]}', "seen under another cause"),
    Mutant("lab18.q8", "a letter", 'diagnosis = "J"', "write it as"),
]  # fmt: skip

# The challenge: 0.79 with the mean log-probability under the suspect minus that under the base model it came from, which
# takes out how easy a text is; 0.81 with the mean of two suspects of one's own, trained with other seeds on 380 passages
# of the training part, in the place of the base model, for that takes out what any such training does. With 80 texts on
# either side the standard error is about 0.035.
RUBRICS = {
    "lab18.t1": "3: names the way of scoring and says that sums favour short options; compares the models pair by pair (the separate intervals of the two models overlap by "
    "token, the interval of the difference lies above 0); sees that training moves the half that was read and not the other, and that fresh questions, or the runs of words, give it away; "
    "names something that the intervals leave out (the form of the question, the distractors, one draw of the training, one tokenizer). 2: three of the four. 1: describes the bars "
    "without the intervals. 0: no plot read.",
}
