"""Lab 16: the answer in a reply, a vote, a measurement at equal tokens, the best of k, a search over thoughts, GRPO's
advantages, a test of beam searches, a wrong measurement of test-time compute."""

import functools
import math
import re
from itertools import pairwise

import torch

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Number, Question, Subject, Tolerance, Ungraded

# -------------------------------------------------------------------------------------------- 1: the answer in a reply

NAMES = ("Ann", "Ben", "Cleo", "Dan", "Eva", "Finn", "Ida", "Tom")
THINGS = ("pens", "apples", "books", "coins", "shells", "stamps")


def _story(draw: Draw) -> tuple[str, str, int, str]:
    """A question, the steps of its answer, the answer, and what it is about."""
    name, thing = draw.choice(NAMES), draw.choice(THINGS)
    boxes, each, gone = 3 + draw.integer(0, 6), 12 + draw.integer(0, 20), 2 + draw.integer(0, 9)
    question = f"Q: {name} has {boxes} boxes with {each} {thing} in each and gives {gone} away. How many are left?\nA:"
    steps = f" {boxes} boxes hold {boxes} x {each} = {boxes * each} {thing}. {boxes * each} - {gone} = {boxes * each - gone}."
    return question, steps, boxes * each - gone, thing


def _shots(draw: Draw) -> tuple[str, str]:
    """A question after a solved one, and its steps."""
    first, steps, answer, _ = _story(draw)
    prompt, more, *_ = _story(draw)
    return f"{first}{steps} The answer is {answer}.\n\n{prompt}", more


def last_of_the_steps(draw: Draw) -> tuple:
    """No mark: the last number."""
    prompt, steps, _, thing = _story(draw)
    return draw.choice([steps, f"{steps} So many {thing} are left."]), prompt


def with_its_prompt(draw: Draw) -> tuple:
    """The text begins with its prompt, a few-shot one, and a mark stands in there too."""
    prompt, steps = _shots(draw)
    return prompt + steps, prompt


def nothing_but_the_prompt(draw: Draw) -> tuple:
    prompt = draw.choice([_shots, _story])(draw)[0]
    return prompt + draw.choice([" I do not know.", " That depends on the boxes.", ""]), prompt


def said_and_explained(draw: Draw) -> tuple:
    """A mark, and numbers before and after."""
    prompt, steps, answer, thing = _story(draw)
    return f"{steps} The answer is {answer}. That is {answer - 3 - draw.integer(0, 5)} {thing} more than 3.", prompt


def in_other_letters(draw: Draw) -> tuple:
    prompt, steps, answer, thing = _story(draw)
    mark = draw.choice(["the answer is", "THE ANSWER IS", "Hence the answer is"])
    return f"{steps} {mark} {answer}, out of {answer + 40} {thing}.", prompt


def said_twice(draw: Draw) -> tuple:
    """It corrects itself: the last mark counts."""
    prompt, steps, answer, _ = _story(draw)
    return f" The answer is {answer + 2 + draw.integer(0, 7)}. Wait.{steps} The answer is {answer}, not 1 less.", prompt


def asks_itself(draw: Draw) -> tuple:
    """After its answer it goes on with a question of its own, and answers that."""
    prompt, steps, answer, _ = _story(draw)
    more, others, other, _ = _story(draw)
    said = draw.choice([steps, f"{steps} The answer is {answer}."])
    return f"{said}\n\n{more}{others} The answer is {other}.", prompt


def in_a_box(draw: Draw) -> tuple:
    prompt, steps, answer, thing = _story(draw)
    first = draw.choice(["", rf" First guess: \boxed{{{answer + 9}}}.", f" The answer is {answer + 4}, roughly."])
    unit = draw.choice(["", rf"\text{{ {thing}}}", f" {thing}"])
    return f"{first}{steps} \\boxed{{{answer}{unit}}} Checked 2 times.", prompt


def as_people_write(draw: Draw) -> tuple:
    """Thousands separators, decimals, signs, units, currencies."""
    prompt, _, _, thing = _story(draw)
    euros, cents, thousands = 100 + draw.integer(0, 800), 11 + draw.integer(0, 80), 1 + draw.integer(0, 90)
    number = draw.choice(
        [f"${thousands},{euros}.{cents}", f"-{thousands},{euros}", f"{thousands},{euros},{euros} {thing}"]
    )
    return draw.choice([f" 7 and 8 are no help. The answer is {number}.", f" It comes to {number}."]), prompt


def decimals_and_signs(draw: Draw) -> tuple:
    prompt, *_ = _story(draw)
    number = f"{draw.choice(['-', ''])}{10 + draw.integer(0, 80)}.{1 + draw.integer(0, 8)}"
    return f" Half of it, then 3 less: {number}{draw.choice(['%', ' km', ''])}.", prompt


def cut_off_behind_the_mark(draw: Draw) -> tuple:
    """No number follows the mark: it does not count."""
    prompt, steps, *_ = _story(draw)
    return f"{steps} So the answer is", prompt


def run_read(student, text, prompt):
    """Recipe: the answer as a number, or None."""
    found = student(text, prompt)
    return None if found is None else float(found)


_NUMBER = re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?")


def read_answer(text: str, prompt: str, slip: str = "") -> float | None:
    """The number that a reply comes to, or that of a slip."""
    if slip == "questions first":
        text = text.split("\nQ:")[0]
    if text.startswith(prompt) and slip != "prompt":
        text = text[len(prompt) :]
    if slip not in ("asks itself", "questions first"):
        text = text.split("\nQ:")[0]
    number = {
        "commas": re.compile(r"-?[0-9]+(?:\.[0-9]+)?"),
        "whole": re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"),
        "signs": re.compile(r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?"),
    }.get(slip, _NUMBER)
    numbers = lambda part: [float(each.replace(",", "")) for each in number.findall(part)]
    every = numbers(text)
    nothing = 0.0 if slip == "zero" else None
    if slip == "first":
        return every[0] if every else nothing
    if slip == "last":
        return every[-1] if every else nothing
    if slip == "largest":
        return max(every) if every else nothing
    marks = [r"\\boxed\{", r"(?i:the answer is)"]
    if slip == "case":
        marks[1] = "The answer is"
    if slip == "no box":
        marks = marks[1:]
    elif slip == "no mark":
        marks = marks[:1]
    elif slip == "mark before box":
        marks = marks[::-1]
    for mark in marks:
        places = list(re.finditer(mark, text))
        if slip == "first mark":
            places = places[:1]
        for place in reversed(places):
            after = text[place.end() :]
            if found := numbers(after):
                return found[0]
            if slip == "cut off":
                return None
    if slip == "marks only":
        return nothing
    return every[-1] if every else nothing


@functools.cache
def _read(slip: str):
    return lambda *inputs: read_answer(*inputs, slip=slip)


READ_SLIPS = {
    "questions first": "the prompt itself may hold a line that begins with Q:. Take the prompt off first, then look for a new question",
    "prompt": "that number is echoed from the prompt: where text begins with its prompt, only what follows is the reply",
    "asks itself": "that answers a question which the model asked itself: nothing counts from a new line with Q: on",
    "mark before box": "a \\boxed{...} goes before 'the answer is' and everything else",
    "no box": "a \\boxed{...} goes before 'the answer is' and everything else",
    "case": "'the answer is' may begin with a capital or not, or be all capitals",
    "no mark": "'the answer is' stands there: the first number behind it is the answer",
    "first mark": "there is more than one mark, for the model has corrected itself: the last one counts",
    "cut off": "no number follows the mark, so it does not count: the last number of the reply is the answer",
    "marks only": "there is no mark: then the last number of the reply is the answer, not None",
    "zero": "without a number there is no answer: None. 0 would be one, and might win a vote",
    "commas": "a comma before three digits separates thousands: 1,250 is one number",
    "whole": "the decimals are lost",
    "signs": "the sign is lost",
    "first": "that is the first number of the reply, a number of the first step: where there is no mark the *last* one is the answer",
    "last": "that is the last number of all: where a mark stands, a box or 'the answer is', the *first* number behind it is the answer",
    "largest": "that is the largest number: the answer is where the rules say, however large",
}
_at = lambda *slips: tuple(map(_read, slips))

# ------------------------------------------------------------------------------------------------------------- 2: a vote


def some_votes(draw: Draw) -> tuple:
    """A clear winner, samples without an answer, no weights."""
    winner = float(draw.integer(10, 90))
    answers = (
        [winner] * 4 + [winner + 1 + i for i in range(3)] + [winner - 5, winner - 5] + [None] * (2 + draw.integer(0, 2))
    )
    return [answers[i] for i in draw.numpy.permutation(len(answers))], None


def most_have_none(draw: Draw) -> tuple:
    """More samples without an answer than with any."""
    winner = float(draw.integer(10, 90))
    answers = [None] * (5 + draw.integer(0, 3)) + [winner, winner, winner + 2, winner - 3]
    return [answers[i] for i in draw.numpy.permutation(len(answers))], None


def a_tie(draw: Draw) -> tuple:
    """Two answers with equally many votes: the one given first is neither the smaller nor the larger of the two always."""
    a, b = draw.choice([(3.0, 8.0), (8.0, 3.0), (20.0, 11.0), (11.0, 20.0)])
    return [None, a, b, b, a, 50.0, 1.0] if draw.choice([True, False]) else [1.0, a, None, 50.0, b, b, a], None


def later_ahead(draw: Draw) -> tuple:
    """A tie of three: the one given first is neither the smallest nor the largest, and gets its last vote late."""
    b = float(draw.integer(20, 50))
    low, high = b - 1 - draw.integer(0, 9), b + 1 + draw.integer(0, 9)
    second, third = draw.choice([(low, high), (high, low)])
    return [None, b, second, third, second, b, third, b + 30], None


def weighted_votes(draw: Draw) -> tuple:
    """The answer with most weight is neither that of the heaviest sample nor the most frequent one."""
    a, b, c = (float(x) for x in draw.numpy.permutation(range(10, 30))[:3])
    answers = [a, b, b, c, c, c, None]
    weights = [1.0, 0.75 + 0.25 * draw.integer(0, 1), 0.75, 0.25, 0.25, 0.125, 4.0]
    order = draw.numpy.permutation(len(answers))
    return [answers[i] for i in order], [weights[i] for i in order]


def no_votes(draw: Draw) -> tuple:
    return [None] * (1 + draw.integer(0, 4)), None


def run_vote(student, answers, weights):
    """Recipe: the answer and its share."""
    found = student(list(answers), None if weights is None else list(weights))
    won = found["answer"]
    return {"answer": None if won is None else float(won), "share": float(found["share"])}


def vote(answers, weights=None, slip=""):
    """Answer and share, or those of a slip."""
    given = [1.0] * len(answers) if weights is None or slip == "unweighted" else weights
    votes: dict = {}
    for answer, weight in zip(answers, given):
        if answer is not None or slip in ("none wins", "none wins, share"):
            if slip == "heaviest":
                votes[answer] = max(votes.get(answer, 0), weight)
            else:
                votes[answer] = votes.get(answer, 0) + weight
    if not votes:
        return {"answer": None, "share": float("nan") if slip == "0 / 0" else 0.0}
    if slip == "mean weight":
        votes = {a: v / answers.count(a) for a, v in votes.items()}
    most = max(votes.values())
    tied = [a for a, v in votes.items() if v == most]
    winner = tied[0]
    key = lambda a: -math.inf if a is None else a
    if slip == "last of tied":
        winner = max(tied, key=lambda a: max(i for i, b in enumerate(answers) if b == a))
    elif slip == "reached first":  # whose last vote came first
        winner = min(tied, key=lambda a: max(i for i, b in enumerate(answers) if b == a))
    elif slip == "smallest of tied":
        winner = min(tied, key=key)
    elif slip == "largest of tied":
        winner = max(tied, key=key)
    elif slip == "mean":
        return {
            "answer": sum(a * v for a, v in votes.items()) / sum(votes.values()),
            "share": most / sum(votes.values()),
        }
    elif slip == "rarest":
        winner = min(votes, key=votes.get)
    total = sum(votes.values())
    if slip == "of all":
        total = sum(given)
    elif slip == "votes":
        total = 1.0
    elif slip == "percent":
        total /= 100
    elif slip == "of answers":
        total = float(sum(a is not None for a in answers))
    return {"answer": winner, "share": votes[winner] / total}


@functools.cache
def _voted(slip: str):
    return lambda *inputs: run_vote(functools.partial(vote, slip=slip), *inputs)


VOTE_SLIPS = {
    "none wins": "None wins the vote: a sample without an answer has no vote",
    "of all": "the share is one of the votes that were cast: those without an answer cast none",
    "votes": "the share is the winner's votes over all that were cast",
    "percent": "a share lies between 0 and 1: that is in percent",
    "last of tied": "a tie goes to the answer that was given first, not last",
    "reached first": "a tie goes to the answer that was given first, wherever its other votes stand",
    "smallest of tied": "a tie goes to the answer that was given first, not to the smallest",
    "largest of tied": "a tie goes to the answer that was given first, not to the largest",
    "unweighted": "are the weights used?",
    "heaviest": "that is the sample with the largest weight, best of n: in a vote the weights of equal answers add up",
    "mean weight": "that is the mean weight of an answer: in a vote the weights of equal answers add up",
    "of answers": "with weights the share is one of the weights that were cast, not of the number of answers",
    "mean": "that is the mean of the answers, which may be nobody's: the most frequent one is asked for",
    "rarest": "that is the answer with the fewest votes",
}
_PLAIN = tuple(_voted(s) for s in ("of all", "votes", "percent", "mean", "rarest"))
_NONES = tuple(_voted(s) for s in ("none wins", "of all"))
_TIES = tuple(_voted(s) for s in ("last of tied", "reached first", "smallest of tied", "largest of tied"))
_WEIGHTS = tuple(_voted(s) for s in ("unweighted", "heaviest", "mean weight", "of answers", "of all", "none wins"))


def _no_share(value, answers, weights) -> bool:
    return isinstance(value, dict) and value["share"] != value["share"]


# ----------------------------------------------------------------------------------------------- 3: at equal tokens


def _pool(draw: Draw, true: float, n: int) -> list[tuple[float | None, int]]:
    """Samples in the order in which they were drawn, with their tokens: wrong ones and those without an answer too."""
    near = [true, true, true + 1, true - 2, true + 1, None]
    return [(draw.choice(near), 8 + draw.integer(0, 9) + (20 if draw.integer(0, 4) == 0 else 0)) for _ in range(n)]


def some_pools(draw: Draw) -> tuple:
    truths = [float(draw.integer(5, 60)) for _ in range(8 + draw.integer(0, 4))]
    return [_pool(draw, true, 8) for true in truths], truths, 60 + draw.integer(0, 20)


def some_do_not_fit(draw: Draw) -> tuple:
    """For some problems not even the first sample is within the budget."""
    pools, truths, _ = some_pools(draw)
    for i in range(0, len(pools), 3):
        pools[i][0] = (truths[i], 45)
    return pools, truths, 40


def exactly_spent(draw: Draw) -> tuple:
    """All samples are of the same length, and so many of them are the budget."""
    pools, truths, _ = some_pools(draw)
    length, taken = 10 + draw.integer(0, 5), 2 + draw.integer(0, 3)
    return [[(answer, length) for answer, _ in pool] for pool in pools], truths, taken * length


def run_budget(student, pools, truths, budget):
    """Recipe: accuracy, tokens and samples, all means over problems."""
    found = student([[tuple(each) for each in pool] for pool in pools], list(truths), budget)
    return {name: float(found[name]) for name in ("accuracy", "tokens", "samples")}


def at_budget(pools, truths, budget, slip=""):
    """What votes within a budget a problem come to, or those of a slip."""
    taken = []
    spent_in_all = 0
    every = [tokens for pool in pools for _, tokens in pool]
    for pool in pools:
        mine: list = []
        if slip == "fixed n":
            mine = pool[: int(budget // (sum(every) / len(every)))]
        elif slip == "shortest":
            for each in sorted(pool, key=lambda each: each[1]):
                if sum(t for _, t in mine) + each[1] <= budget:
                    mine.append(each)
        elif slip == "everything":
            mine = pool
        elif slip == "one":
            mine = pool[:1]
        else:
            for answer, tokens in pool:
                spent = (
                    spent_in_all
                    if slip == "of all problems"
                    else sum(t for a, t in mine if slip != "free" or a is not None)
                )
                within = spent + tokens < budget if slip == "strict" else spent + tokens <= budget
                if slip == "overshoot":
                    within = spent < budget
                elif slip == "free" and answer is None:
                    within = True
                elif slip == "each":
                    within = tokens <= budget
                if not within:
                    if slip in ("skips", "each"):
                        continue
                    break
                mine.append((answer, tokens))
                spent_in_all += tokens
        taken.append(mine)
    voted = [vote([a for a, _ in mine], slip="none wins" if slip == "none votes" else "")["answer"] for mine in taken]
    right = [answer == true for answer, true in zip(voted, truths)]
    if slip == "oracle":
        right = [any(a == true for a, _ in mine) for mine, true in zip(taken, truths)]
    elif slip == "mean of samples":
        right = [sum(a == true for a, _ in mine) / max(1, len(mine)) for mine, true in zip(taken, truths)]
    answered = [answer is not None for answer in voted]
    n = len(pools)
    accuracy = sum(right) / (max(1, sum(answered)) if slip == "answered only" else n)
    tokens = sum(t for mine in taken for a, t in mine if slip != "free" or a is not None)
    if slip == "winner's tokens":
        tokens = sum(t for mine, answer in zip(taken, voted) for a, t in mine if a == answer)
    elif slip == "budget for tokens":
        tokens = budget * n
    samples = sum(len(mine) for mine in taken)
    if slip == "votes for samples":
        samples = sum(a is not None for mine in taken for a, _ in mine)
    if slip == "sums":
        return {"accuracy": accuracy, "tokens": tokens, "samples": samples}
    if slip == "a sample":
        return {"accuracy": accuracy, "tokens": tokens / max(1, samples), "samples": samples / n}
    return {"accuracy": accuracy, "tokens": tokens / n, "samples": samples / n}


@functools.cache
def _spent(slip: str):
    return lambda *inputs: run_budget(functools.partial(at_budget, slip=slip), *inputs)


BUDGET_SLIPS = {
    "overshoot": "more tokens than the budget are spent: the sample that would pass it is not taken",
    "skips": "a sample that does not fit is skipped for a later, shorter one: that favours short replies. The first one that does not fit ends it",
    "each": "the budget is one for all samples of a problem together, not for each",
    "shortest": "the samples are taken in the order in which they were drawn: to take the shortest first is to choose what nobody knows before it is written",
    "of all problems": "every problem has the whole budget for itself",
    "fixed n": "the samples differ in length: count the tokens of each problem's own samples, not the mean",
    "strict": "samples that spend the budget exactly are within it",
    "everything": "is budget used?",
    "one": "more than one sample fits: take as many as the budget allows",
    "free": "a sample without an answer costs its tokens like any other",
    "none votes": "None has won a vote: use the answer of your vote",
    "oracle": "that asks whether any sample is right, which only an oracle knows: the answer is that of the vote",
    "mean of samples": "that is the accuracy of single samples: the answer is that of the vote",
    "answered only": "a problem without an answer is a wrong one: the accuracy is one over all problems",
    "winner's tokens": "all samples were written and paid for, not only those that voted for the winner",
    "budget for tokens": "tokens are what was spent, which is less than the budget",
    "votes for samples": "samples are all that were taken, those without an answer too",
    "sums": "tokens and samples are means over problems",
    "a sample": "tokens are those of a problem, all its samples together",
}
_POOLS = tuple(_spent(s) for s in BUDGET_SLIPS if s not in ("strict", "answered only", "each"))
_UNFIT = tuple(_spent(s) for s in ("overshoot", "skips", "answered only", "each"))
_EXACT = (_spent("strict"),)

# ---------------------------------------------------------------------------------------------------- 4: the best of k


def scored(draw: Draw) -> tuple:
    """Scores that know something of what is right, not everything."""
    P, n = 4 + draw.integer(0, 4), 5 + draw.integer(0, 4)
    right = draw.uniform(P, n) < draw.uniform(P, 1, low=0.1, high=0.7)
    right[0, 0], right[0, 1] = True, False
    return draw.normal(P, n) + 0.8 * right, right, 2 + draw.integer(0, 2)


def tied_scores(draw: Draw) -> tuple:
    """Scores of which many are equal: the sample that was drawn first is the better one."""
    scores, right, k = scored(draw)
    return (2 * scores).round() / 2, right, k


def one_of_k(draw: Draw) -> tuple:
    scores, right, _ = scored(draw)
    return scores, right, 1


def all_of_them(draw: Draw) -> tuple:
    scores, right, _ = scored(draw)
    return scores, right, scores.shape[1]


def run_best(student, scores, right, k):
    """Recipe: the accuracy."""
    return float(student(scores.clone(), right.clone(), k))


def best_of_k(scores, right, k, slip=""):
    """The mean over problems and choices of k samples, or that of a slip."""
    P, n = scores.shape
    total = 0.0
    if slip == "first k":
        return sum(float(right[i, scores[i, :k].argmax()]) for i in range(P)) / P
    if slip == "parts of k":
        parts = [(i, j) for i in range(P) for j in range(0, n - k + 1, k)]
        return sum(float(right[i, j + scores[i, j : j + k].argmax()]) for i, j in parts) / len(parts)
    if slip == "all n":
        k = n
    for i in range(P):
        order = sorted(range(n), key=lambda j: float(scores[i, j]), reverse=slip != "lowest")
        if slip == "lowest":
            order = sorted(range(n), key=lambda j: float(scores[i, j]))
        elif slip == "last of equals":
            order = sorted(range(n), key=lambda j: (-float(scores[i, j]), -j))
        elif slip == "oracle":
            order = sorted(range(n), key=lambda j: not right[i, j])
        elif slip == "unsorted":
            order = list(range(n))
        elif slip == "scores plus right":
            order = sorted(range(n), key=lambda j: (-float(scores[i, j]), not right[i, j]))
        for rank, j in enumerate(order):
            ways = math.comb(n - 1 - rank, k - 1) / math.comb(n, k)
            if slip == "replacement":
                ways = ((n - rank) ** k - (n - rank - 1) ** k) / n**k
            elif slip == "k for k - 1":
                ways = math.comb(n - 1 - rank, k) / math.comb(n, k)
            elif slip == "n for n - 1":
                ways = math.comb(n - rank, k - 1) / math.comb(n, k)
            elif slip == "mean":
                ways = 1 / n
            elif slip == "top k":
                ways = 1 / k if rank < k else 0
            elif slip == "not divided":
                ways = math.comb(n - 1 - rank, k - 1)
            total += ways * float(right[i, j])
    return total if slip == "sum" else total / P


@functools.cache
def _best(slip: str):
    return lambda *inputs: run_best(functools.partial(best_of_k, slip=slip), *inputs)


BEST_SLIPS = {
    "oracle": "that takes a right sample wherever there is one: only an oracle can. The verifier takes the one with the highest *score*, right or not",
    "lowest": "that takes the sample with the lowest score",
    "unsorted": "are the scores used? Of the k samples the one with the highest score counts",
    "mean": "that is the accuracy of one sample: is k used?",
    "all n": "that is the best of all n samples: is k used?",
    "first k": "that is one choice of k samples, the first ones: average over all choices, as the formula does",
    "parts of k": "that cuts the samples into parts of k: average over *all* choices of k, as the formula does",
    "top k": "that is the mean over the k best samples: only the best of k counts, and which k were drawn is luck",
    "replacement": "no sample is drawn twice: count choices of k different samples",
    "k for k - 1": "when a sample is the best, k - 1 others come with it, from those with lower scores",
    "n for n - 1": "the others come from those with lower scores: n - 1 - r of them, the sample itself is not among them",
    "not divided": "divide by the number of choices of k out of n",
    "sum": "that is the sum over problems: the mean is asked for",
    "last of equals": "of equal scores the sample that was drawn first is taken",
}
_SCORED = tuple(_best(s) for s in BEST_SLIPS if s not in ("last of equals",))
_ALL = tuple(_best(s) for s in ("oracle", "lowest", "mean", "top k"))

# ------------------------------------------------------------------------------------------- 5: a search over thoughts

CALLS = 60


def _thoughts(draw: Draw, n: int) -> tuple[dict, dict]:
    """n states, each with up to three ways on, some of them to states that were proposed before; and their values."""
    names = [f"s{i}" for i in range(n)]
    children: dict[str, list[str]] = {name: [] for name in names}
    for i in range(1, n):
        children[names[draw.integer(max(0, (i - 3) // 2), max(1, (i + 2) // 2))]].append(names[i])
    for _ in range(n // 3):  # ways back and across
        a, b = (int(x) for x in draw.numpy.integers(0, n, 2))
        if names[b] not in children[names[a]]:
            children[names[a]].insert(draw.integer(0, len(children[names[a]]) + 1), names[b])
    values = {name: round(0.1 * (1 + draw.integer(0, 9)), 1) for name in names}
    return children, values


def a_way_back(draw: Draw) -> tuple:
    """A goal far down, where the most valued way does not lead."""
    children, values = _thoughts(draw, 14 + draw.integer(0, 6))
    return children, values, [f"s{len(children) - 1}"], CALLS, 0.0


def a_threshold(draw: Draw) -> tuple:
    """Some states are not worth following, some exactly at the threshold are."""
    children, values = _thoughts(draw, 14 + draw.integer(0, 6))
    return children, values, [f"s{len(children) - 1 - i}" for i in (0, 3)], CALLS, 0.4


def a_budget(draw: Draw) -> tuple:
    """More calls would be needed than there are."""
    children, values = _thoughts(draw, 16 + draw.integer(0, 6))
    return children, values, [f"s{len(children) - 1}"], 4, 0.0


def just_enough(draw: Draw) -> tuple:
    """The budget is exactly what the search takes."""
    children, values, goals, _, threshold = a_way_back(draw)
    asked = len(searched(children, values, goals, CALLS, threshold)["asked"])
    return children, values, goals, asked, threshold


def goal_at_once(draw: Draw) -> tuple:
    children, values, *_ = a_way_back(draw)
    return children, values, ["s0"], 5, 0.0


def no_goal(draw: Draw) -> tuple:
    children, values, *_ = a_way_back(draw)
    return children, values, [], CALLS, 0.3


def run_search(student, children, values, goals, budget, threshold):
    """Recipe: the path, and for which states the model was asked; a search that goes on and on is stopped."""

    class Stopped(BaseException):
        pass

    asked = []

    def propose(state):
        if len(asked) == 90:
            raise Stopped
        asked.append(state)
        return list(children[state])

    try:
        path = student("s0", propose, values.__getitem__, set(goals).__contains__, budget, threshold)
    except Stopped:
        return {"path": "it never ends", "asked": asked[:90]}
    return {"path": None if path is None else [str(state) for state in path], "asked": asked}


def search(root, propose, value, is_goal, budget, threshold, slip=""):
    """The path from root to a goal or None, or what a slip gives."""
    if is_goal(root) and slip != "root not tested":
        return [root] if slip != "path without root" else []
    parents, open_, calls, deepest = {root: None}, [root], 0, root
    asked = []

    def path(state):
        states = []
        while state is not None:
            states.append(state)
            state = parents[state]
        states = states if slip == "reversed" else states[::-1]
        if slip == "path without root":
            return states[1:]
        if slip == "goal only":
            return states[-1:]
        return states

    while open_:
        if slip == "one call too many" and calls > budget:
            break
        if slip == "one call too few" and calls >= budget - 1:
            break
        if slip not in ("no budget", "one call too many", "one call too few") and calls >= budget:
            break
        if slip == "breadth first":
            state = open_.pop(0)
        elif slip == "best first":
            state = open_.pop(max(range(len(open_)), key=lambda i: (value(open_[i]), i)))
        else:
            state = open_.pop()
        if slip == "goal tested late" and is_goal(state):
            return path(state)
        calls += 1
        asked.append(state)
        fresh = []
        for child in propose(state):
            if child in parents and (slip != "seen not kept" or child == root):
                continue
            if slip != "seen not kept" or child not in parents:
                parents[child] = state
            if is_goal(child) and slip != "goal tested late":
                return [*asked, child] if slip == "order for path" else path(child)
            low = value(child) <= threshold if slip == "threshold too" else value(child) < threshold
            if not low or slip == "no threshold":
                fresh.append(child)
        if slip == "unsorted":
            ordered = fresh[::-1]
        elif slip == "worst first":
            ordered = sorted(fresh, key=value, reverse=True)
        elif slip == "equals last first":
            ordered = sorted(fresh, key=value)
        else:
            ordered = sorted(fresh[::-1], key=value)
        if slip == "no way back":
            open_ = ordered[-1:]
        elif slip == "breadth first":
            open_ += ordered[::-1]
        else:
            open_ += ordered
        deepest = state
    return path(deepest) if slip == "best so far" else None


def searched(children, values, goals, budget, threshold, slip=""):
    return run_search(functools.partial(search, slip=slip), children, values, goals, budget, threshold)


@functools.cache
def _searched(slip: str):
    return lambda *inputs: searched(*inputs, slip=slip)


SEARCH_SLIPS = {
    "no way back": "it never turns back: where a way ends, go on with the next best state that is still open, of an earlier call if need be",
    "no budget": "more calls of propose than the budget allows",
    "one call too many": "one call too many: at most `budget` calls of propose",
    "one call too few": "one call too few: with `budget` calls allowed the last of them is made, too",
    "breadth first": "that goes level by level: depth first goes on below the state it has just come to, before its siblings",
    "best first": "that takes the most valued of all open states: depth first finishes all below a state before it goes to the state's siblings",
    "unsorted": "the states that are proposed are followed in the order of their values, the best first",
    "worst first": "the worst is followed first: from a stack the last is taken",
    "equals last first": "of equal values the one that was proposed first comes first: from a stack the last is taken",
    "no threshold": "states valued below the threshold are not followed",
    "threshold too": "only states valued *below* the threshold are dropped, not those exactly at it",
    "seen not kept": "a state that was proposed before is followed again: drop it, or the search pays twice, and may go round in circles",
    "goal tested late": "a goal is recognised as soon as it is proposed: other states are asked for first here, and each costs a call",
    "root not tested": "the root may be a goal already: then no call is needed",
    "path without root": "the path begins with the root",
    "reversed": "the path goes from the root to the goal",
    "goal only": "the whole path is asked for, from the root to the goal",
    "order for path": "those are the states in the order in which they were asked for, dead ends among them: the path holds each state's own parent",
    "best so far": "without a goal there is no path: None. What the search came to last is no solution",
}


def _goes_round(value, *inputs) -> bool:
    return isinstance(value, dict) and (
        value["path"] == "it never ends" or len(set(value["asked"])) < len(value["asked"])
    )


_WAY = tuple(
    _searched(s)
    for s in SEARCH_SLIPS
    if s
    not in (
        "no budget",
        "one call too many",
        "one call too few",
        "no threshold",
        "threshold too",
        "root not tested",
        "best so far",
        "goal tested late",
    )
)
_LOW = tuple(_searched(s) for s in ("no threshold", "threshold too"))
_FEW = tuple(_searched(s) for s in ("no budget", "one call too many", "one call too few", "best so far"))
_ENOUGH = tuple(_searched(s) for s in ("one call too few", "goal tested late"))

# ----------------------------------------------------------------------------------------------- 6: GRPO's advantages


def differing(draw: Draw) -> tuple:
    """Rewards of right and wrong replies; every group has both."""
    P, G = 3 + draw.integer(0, 3), 4 + draw.integer(0, 4)
    rewards = (draw.uniform(P, G) < 0.5).float()
    rewards[:, 0], rewards[:, 1] = 0.0, 1.0
    rewards[0, 2:] = 0.0  # not all groups alike
    return (rewards,)


def graded(draw: Draw) -> tuple:
    """Rewards that are any numbers, of unequal level and width."""
    P, G = 3 + draw.integer(0, 3), 3 + draw.integer(0, 4)
    width = torch.tensor([0.4 * 2.0**i for i in range(P)])[:, None]
    base = torch.tensor([3.0 - 2 * i for i in range(P)])[:, None]
    rewards = draw.uniform(P, G, low=-1.0, high=1.0)
    rewards[:, 0], rewards[:, 1] = -1.0, 1.0
    return (base + width * rewards,)


def all_alike(draw: Draw) -> tuple:
    """Some groups have equal rewards: all right, all wrong, or the same tenth, whose mean is off by a rounding error."""
    (rewards,) = differing(draw)
    G = 7
    rewards = rewards[:, :4].repeat(1, 2)[:, :G]
    same = torch.tensor([0.0, 1.0, 0.7, 0.3, 0.6])[:, None].expand(-1, G)
    return (torch.cat([rewards, same])[torch.from_numpy(draw.numpy.permutation(len(rewards) + 5))],)


def run_advantages(student, rewards):
    """Recipe: the advantages."""
    return torch.as_tensor(student(rewards.clone())).double()


def group_advantages(rewards, slip=""):
    """(P, G), or what a slip gives."""
    rewards = rewards.double()
    axis = 0 if slip == "columns" else 1
    keep = dict(dim=axis, keepdim=True)
    mean, deviation = rewards.mean(**keep), rewards.std(**keep)
    if slip == "batch":
        mean, deviation = rewards.mean(), rewards.std()
    elif slip == "batch deviation":
        deviation = rewards.std()
    elif slip == "batch mean":
        mean = rewards.mean()
    elif slip == "not centred":
        mean = 0.0
    elif slip == "median":
        mean = rewards.median(**keep).values
    elif slip == "population":
        deviation = rewards.std(**keep, unbiased=False)
    elif slip == "variance":
        deviation = deviation**2
    elif slip == "others' mean":
        mean = (rewards.sum(**keep) - rewards) / (rewards.shape[1] - 1)
    elif slip == "range":
        deviation = rewards.amax(**keep) - rewards.amin(**keep)
    centred = rewards - mean
    if slip == "large constant":
        return centred / (deviation + 0.1)
    if slip in ("no deviation", "others' mean"):
        return centred
    out = torch.where(
        deviation > 1e-9, centred / torch.clamp(torch.as_tensor(deviation), min=1e-9), torch.zeros_like(centred)
    )
    if slip == "positive only":
        return out.clamp(min=0)
    if slip == "sign":
        return -out
    if slip == "softmax":
        return torch.softmax(rewards, 1)
    return out


def _grpo(slip: str):
    return _GRPO[slip]


ADVANTAGE_SLIPS = {
    "batch": "mean and deviation are those of all rewards: every group has its own, for a prompt's replies are compared with one another",
    "batch deviation": "the deviation is that of all rewards: every group has its own",
    "batch mean": "the mean is that of all rewards: every group has its own, or the replies to an easy prompt would all be praised",
    "columns": "a group is a row: the mean runs over axis 1",
    "not centred": "where is the mean? A reply is compared with the others to the same prompt, so subtract the group's mean",
    "median": "subtract the mean, not the median",
    "no deviation": "divide by the group's deviation",
    "others' mean": "that is the reward less the mean of the others: subtract the mean of all G, and divide by the deviation",
    "population": "the deviation divides by G - 1, as rewards.std(1) does",
    "variance": "divide by the deviation, not by the variance",
    "range": "divide by the standard deviation, not by the distance of the largest from the smallest",
    "large constant": "that constant is so large that it changes the advantages of groups that differ",
    "positive only": "what is worse than the group's mean has a negative advantage",
    "sign": "the sign: what is better than the group's mean has a positive advantage",
    "softmax": "advantages have mean 0 in each group: that is a distribution",
}
_GRPO = {
    slip: (lambda *inputs, slip=slip: run_advantages(functools.partial(group_advantages, slip=slip), *inputs))
    for slip in ("", *ADVANTAGE_SLIPS)
}
_DIFFER = tuple(map(_grpo, ADVANTAGE_SLIPS))


def _nan_groups(value, rewards) -> bool:
    """Not a number, and only where a whole group has equal rewards."""
    broken = ~value.isfinite()
    return bool(value.shape == rewards.shape and broken.any() and not _nan_elsewhere(value, rewards))


def _nan_elsewhere(value, rewards) -> bool:
    """Not a number in a group whose rewards differ: it is the replies of one column that were equal."""
    return bool(value.shape == rewards.shape and (~value.isfinite())[rewards.amax(1) > rewards.amin(1)].any())


def _noise(value, rewards) -> bool:
    """Groups of equal rewards have advantages that are made of a rounding error."""
    if value.shape != rewards.shape or not value.isfinite().all():
        return False
    alike = rewards.amax(1) == rewards.amin(1)
    right = group_advantages(rewards)
    return bool(alike.any() and value[alike].abs().max() > 2e-3 and (value - right)[~alike].abs().max() < 2e-3)


# ------------------------------------------------------------------------------------- 7: a test of beam searches

TOKENS, LONGEST = 4, 4


def a_model(model: object, width: object, longest: object) -> str | None:
    if not isinstance(model, list) or not 2 <= len(model) <= TOKENS or not all(isinstance(r, list) for r in model):
        return f"model is a list of 2 to {TOKENS} rows, each a list"
    if any(len(row) != len(model) for row in model):
        return "the model has as many columns as rows: one for each token"
    if any(type(p) not in (int, float) or not 0.01 <= p <= 0.99 for row in model for p in row):
        return "probabilities are numbers from 0.01 to 0.99"
    if any(abs(sum(row) - 1) > 1e-6 for row in model):
        return "the probabilities of a row add up to 1"
    if type(width) is not int or not 1 <= width <= TOKENS**LONGEST:
        return f"width is a whole number from 1 to {TOKENS**LONGEST}"
    if type(longest) is not int or not 1 <= longest <= LONGEST:
        return f"longest is a whole number from 1 to {LONGEST}"
    for row in model:
        ordered = sorted(row, reverse=True)
        if any(a - b < 1e-3 for a, b in pairwise(ordered)):
            return "the probabilities of a row differ by at least 0.001: ties are another question"
    return None


def _beam(
    model, width, longest, slots="separate", ended=lambda tokens, longest: tokens[-1] == 0, key=None, log=math.log
):
    """A beam search. slots: whether texts that ended take places of the beam ("shared"), wait beside it ("separate"), or
    compete with the others in every step ("pool")."""
    key = key or (lambda text: text[1])
    alive, done = [((), 0.0)], []
    for _ in range(longest):
        grown = [
            ((*tokens, token), total + log(p))
            for tokens, total in alive
            for token, p in enumerate(model[tokens[-1] if tokens else 0])
        ]
        grown.sort(key=key, reverse=True)
        if slots == "shared":
            grown = grown[:width]
            done += [text for text in grown if ended(text[0], longest)]
            alive = [text for text in grown if not ended(text[0], longest)]
        elif slots == "pool":
            both = sorted([*done, *grown], key=key, reverse=True)[:width]
            done = [text for text in both if ended(text[0], longest)]
            alive = [text for text in both if not ended(text[0], longest)]
        else:
            done += [text for text in grown[:width] if ended(text[0], longest)]
            alive = [text for text in grown if not ended(text[0], longest)][:width]
        if not alive:
            break
    return _listed([*done, *alive], width, key)


def _listed(texts, width, key=lambda text: text[1]):
    texts = sorted(texts, key=key, reverse=True)[:width]
    return [(list(tokens), total) for tokens, total in texts]


def puts_aside(model, width, longest):
    return _beam(model, width, longest)


def shares_places(model, width, longest):
    return _beam(model, width, longest, slots="shared")


def keeps_in_the_pool(model, width, longest):
    return _beam(model, width, longest, slots="pool")


def multiplies(model, width, longest):
    """With probabilities in place of logarithms, as far as the last line."""
    alive, done = [([], 1.0)], []
    for _ in range(longest):
        grown = [([*t, v], p * q) for t, p in alive for v, q in enumerate(model[t[-1] if t else 0])]
        grown = sorted(grown, key=lambda text: -text[1])
        done += [text for text in grown[:width] if text[0][-1] == 0]
        alive = [text for text in grown if text[0][-1] != 0][:width]
    return [(t, math.log(p)) for t, p in sorted(done + alive, key=lambda text: -text[1])[:width]]


def forgets_what_ended(model, width, longest):
    """Only what is in the beam at the end is given."""
    alive = [((), 0.0)]
    for _ in range(longest):
        grown = sorted(
            (((*t, v), s + math.log(p)) for t, s in alive for v, p in enumerate(model[t[-1] if t else 0])),
            key=lambda text: -text[1],
        )
        last = [text for text in grown[:width] if text[0][-1] == 0]
        alive = [text for text in grown if text[0][-1] != 0][:width]
    return _listed([*alive, *last], width)


def goes_on_behind_the_end(model, width, longest):
    return _beam(model, width, longest, ended=lambda tokens, longest: False)


def ranks_by_the_mean(model, width, longest):
    """The mean log-probability of a token decides, in the beam and in the list."""
    return _beam(model, width, longest, slots="pool", key=lambda text: text[1] / len(text[0]))


def adds_probabilities(model, width, longest):
    return _beam(model, width, longest, log=lambda p: p)


def stops_at_the_first_end(model, width, longest):
    alive = [((), 0.0)]
    for _ in range(longest):
        grown = sorted(
            (((*t, v), s + math.log(p)) for t, s in alive for v, p in enumerate(model[t[-1] if t else 0])),
            key=lambda text: -text[1],
        )
        if any(text[0][-1] == 0 for text in grown[:width]):
            return _listed([text for text in grown[:width] if text[0][-1] == 0], width)
        alive = grown[:width]
    return _listed(alive, width)


def in_bits(model, width, longest):
    return _beam(model, width, longest, log=math.log2)


def drops_what_is_cut_off(model, width, longest):
    """Of the texts that have not ended only one is kept if there is no other."""
    texts = [(tuple(t), s) for t, s in _beam(model, TOKENS**LONGEST, longest)]
    found = [text for text in texts if text[0][-1] == 0]
    return _listed(found or texts, width) if width > 1 else _beam(model, 1, longest)


def samples_a_beam(model, width, longest):
    """The second best of the first step is kept, never the best."""
    first = sorted(enumerate(model[0]), key=lambda each: -each[1])[1][0]
    if first == 0 or longest == 1:
        return _listed([((first,), math.log(model[0][first]))], width)
    rest = _beam([model[first], *model[1:]], width, longest - 1)
    shift = math.log(model[0][first])
    return _listed([((first, *t), s + shift) for t, s in rest], width)


# ------------------------------------------------------------------------------------------------ 8: a wrong measurement

BASELINE = 61.0  # percent; greedy decoding, as the notebook's last code cell measures it

FAULTS = {
    "A": "the first number of a reply is read as its answer",
    "B": "a sample without an answer votes for having none",
    "C": "all samples of a problem are drawn with the same seed",
    "D": "the learned verifier's scores are the oracle's",
    "E": "only the tokens of the first sample are counted",
    "F": "the sample with the lowest score is taken",
    "G": "greedy decoding samples as well",
    "H": "an answer is looked for in prompt and reply together",
    "I": "replies are cut off after 22 tokens",
    "J": "replies are compared with the answer of the next problem",
}
RUNS = ("b2", "c7", "e1", "g5", "h8", "k3", "n6", "r4", "s9", "w0")
OBSERVATIONS = {
    "a": "greedy decoding is at most 5 points from one sample",
    "b": "the vote of 16 is right as often as one sample, to a tenth of a point",
    "c": "the best of 16 by the learned verifier is at most 2 points from that by the oracle",
    "d": "the best of 16 by the learned verifier is more than 10 points below one sample",
    "e": "fewer than 1 % of the samples are without an answer",
    "f": "between 10 and 30 % of the samples are without an answer",
    "g": "more than 40 % of the samples are without an answer",
    "h": "the best of 16 by the oracle is right in less than half of the problems",
    "i": "the best of 16 by the oracle is right in more than 90 % of the problems",
    "j": "a vote of 16 costs less than 370 tokens",
    "k": "more than 5 % of the votes of 16 end without an answer",
    "l": "16 samples hold fewer than 3 different answers to a problem",
    "m": "one sample is right in less than 10 % of the problems",
    "n": "greedy decoding is right in more than 45 % of the problems",
}


LAB = Lab(
    id="lab16",
    title="Reasoning",
    provides=("llmlib.data", "llmlib.text"),
    questions=(
        Question(
            id="lab16.q1",
            title="The answer in a reply",
            name="read_answer",
            points=3,
            difficulty=3,
            minutes=20,
            printed=True,
            recipe=run_read,
            hint="in this order: what is the reply, which mark counts, which number belongs to it",
            cases=(
                Case(
                    "steps without a mark",
                    inputs=last_of_the_steps,
                    expected=_read(""),
                    separates=_at("first", "marks only"),
                ),
                Case(
                    "the prompt is repeated",
                    inputs=with_its_prompt,
                    expected=_read(""),
                    separates=_at("prompt", "questions first"),
                ),
                Case(
                    "nothing but the prompt",
                    inputs=nothing_but_the_prompt,
                    expected=_read(""),
                    separates=_at("prompt", "zero"),
                ),
                Case(
                    "an answer and an explanation",
                    inputs=said_and_explained,
                    expected=_read(""),
                    separates=_at("no mark", "last", "first", "largest"),
                ),
                Case("in capitals", inputs=in_other_letters, expected=_read(""), separates=_at("case", "no mark")),
                Case(
                    "it corrects itself",
                    inputs=said_twice,
                    expected=_read(""),
                    separates=_at("first mark", "last", "no mark"),
                ),
                Case("it asks itself", inputs=asks_itself, expected=_read(""), separates=_at("asks itself", "first")),
                Case(
                    "a box",
                    inputs=in_a_box,
                    expected=_read(""),
                    separates=_at("no box", "mark before box", "last", "first"),
                ),
                Case(
                    "as people write numbers",
                    inputs=as_people_write,
                    expected=_read(""),
                    separates=_at("commas"),
                ),
                Case(
                    "decimals and signs",
                    inputs=decimals_and_signs,
                    expected=_read(""),
                    separates=_at("whole", "signs", "first"),
                ),
                Case(
                    "cut off behind the mark",
                    inputs=cut_off_behind_the_mark,
                    expected=_read(""),
                    separates=_at("cut off", "first"),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_read(slip)) for slip, message in READ_SLIPS.items()),
                Mistake(
                    "take the commas out before float(): 1,250 is one number",
                    error="could not convert string to float",
                ),
                Mistake("a reply may hold no number at all: then the answer is None", error="IndexError|NoneType"),
            ),
        ),
        Question(
            id="lab16.q2",
            title="A vote",
            name="vote",
            points=2,
            difficulty=2,
            minutes=10,
            printed=True,
            recipe=run_vote,
            hint="add up the weights of equal answers, those that are None left out",
            cases=(
                Case("some votes", inputs=some_votes, expected=_voted(""), separates=_PLAIN),
                Case("most have no answer", inputs=most_have_none, expected=_voted(""), separates=_NONES),
                Case("a tie", inputs=a_tie, expected=_voted("")),
                Case("the later of two", inputs=later_ahead, expected=_voted(""), separates=_TIES),
                Case("weights", inputs=weighted_votes, expected=_voted(""), separates=_WEIGHTS),
                Case("no votes", inputs=no_votes, expected=_voted("")),
            ),
            mistakes=(
                *(Mistake(message, wrong=_voted(slip)) for slip, message in VOTE_SLIPS.items()),
                Mistake("where nobody voted the share is 0, not 0 / 0", when=_no_share),
                Mistake(
                    "where nobody voted the answer is None and the share 0",
                    error="ZeroDivisionError|empty|IndexError|StatisticsError",
                ),
                Mistake(
                    'return a dict with the keys "answer" and "share"',
                    error="KeyError|not subscriptable|indices must be",
                ),
            ),
        ),
        Question(
            id="lab16.q3",
            title="At equal tokens",
            name="at_budget",
            points=3,
            difficulty=3,
            minutes=15,
            recipe=run_budget,
            uses=("lab16.q2",),
            hint="one problem first: which samples are taken, what do they cost, what does their vote say?",
            cases=(
                Case("samples of unequal length", inputs=some_pools, expected=_spent(""), separates=_POOLS),
                Case("some do not fit", inputs=some_do_not_fit, expected=_spent(""), separates=_UNFIT),
                Case("spent exactly", inputs=exactly_spent, expected=_spent(""), separates=_EXACT),
            ),
            mistakes=(
                *(Mistake(message, wrong=_spent(slip)) for slip, message in BUDGET_SLIPS.items()),
                Mistake(
                    'return a dict with the keys "accuracy", "tokens" and "samples"',
                    error="KeyError|not subscriptable|indices must be",
                ),
            ),
        ),
        Question(
            id="lab16.q4",
            title="The best of k",
            name="best_of_k",
            points=3,
            difficulty=4,
            minutes=20,
            recipe=run_best,
            hint="n = 3 samples and k = 2 by hand: three choices, and the highest score of each",
            cases=(
                Case("scores that know something", inputs=scored, expected=_best(""), separates=_SCORED),
                Case("equal scores", inputs=tied_scores, expected=_best(""), separates=(_best("last of equals"),)),
                Case("k = 1", inputs=one_of_k, expected=_best("")),
                Case("k = n", inputs=all_of_them, expected=_best(""), separates=_ALL),
            ),
            mistakes=tuple(Mistake(message, wrong=_best(slip)) for slip, message in BEST_SLIPS.items()),
        ),
        Question(
            id="lab16.q5",
            title="A search over thoughts",
            name="search",
            points=4,
            difficulty=4,
            minutes=25,
            recipe=run_search,
            hint="draw the states as a tree, and number them in the order in which they are asked for",
            cases=(
                Case("a way back", inputs=a_way_back, expected=_searched(""), separates=_WAY),
                Case(
                    "a goal beside",
                    inputs=a_way_back,
                    expected=_searched(""),
                    separates=(_searched("goal tested late"),),
                ),
                Case("a threshold", inputs=a_threshold, expected=_searched(""), separates=_LOW),
                Case("a budget", inputs=a_budget, expected=_searched(""), separates=_FEW),
                Case("just enough", inputs=just_enough, expected=_searched(""), separates=_ENOUGH),
                Case(
                    "the root is a goal",
                    inputs=goal_at_once,
                    expected=_searched(""),
                    separates=(_searched("root not tested"), _searched("path without root")),
                ),
                Case("no goal", inputs=no_goal, expected=_searched(""), separates=(_searched("best so far"),)),
            ),
            mistakes=(
                *(Mistake(message, wrong=_searched(slip)) for slip, message in SEARCH_SLIPS.items()),
                Mistake(
                    "a state that was proposed before is followed again: the search goes round in circles",
                    when=_goes_round,
                ),
            ),
        ),
        Question(
            id="lab16.q6",
            title="Advantages of a group",
            name="group_advantages",
            points=2,
            difficulty=2,
            minutes=10,
            printed=True,
            recipe=run_advantages,
            tolerance=Tolerance(rtol=1e-3, atol=1e-3),
            hint="one group of four by hand: its mean, its deviation, (reward - mean) / deviation",
            cases=(
                Case("right and wrong replies", inputs=differing, expected=_grpo("")),
                Case("rewards of unequal width", inputs=graded, expected=_grpo(""), separates=_DIFFER),
                Case("groups in which all are alike", inputs=all_alike, expected=_grpo("")),
            ),
            mistakes=(
                *(
                    Mistake(message, wrong=_grpo(slip), when=_nan_elsewhere if slip == "columns" else None)
                    for slip, message in ADVANTAGE_SLIPS.items()
                ),
                Mistake(
                    "a group of equal rewards gives 0 / 0, not a number, and one update with it makes all weights NaN: its advantages are 0",
                    when=_nan_groups,
                ),
                Mistake(
                    "in a group of equal rewards the mean may be off by a rounding error, and a tiny constant under the line blows it up: its advantages are 0",
                    when=_noise,
                ),
            ),
        ),
        Question(
            id="lab16.q7",
            title="Test somebody else's beam search",
            name="holds",
            kind="test",
            examples="examples",
            points=4,
            difficulty=4,
            minutes=20,
            valid=a_model,
            right=(
                Subject("puts texts that ended aside", puts_aside),
                Subject("lets texts that ended take places of the beam", shares_places),
                Subject("keeps texts that ended in the beam", keeps_in_the_pool),
                Subject("multiplies probabilities", multiplies),
            ),
            wrong=(
                Subject("forgets the texts that ended before the last step", forgets_what_ended),
                Subject("goes on behind the end", goes_on_behind_the_end),
                Subject("ranks by the mean of the tokens", ranks_by_the_mean),
                Subject("adds probabilities, not their logarithms", adds_probabilities),
                Subject("gives bits for nats", in_bits),
                Subject("drops what is cut off", drops_what_is_cut_off),
            ),
        ),
        Question(
            id="lab16.q8",
            title="A measurement that went wrong",
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
            "lab16.p1",
            "Accuracy of a vote of 16, less that of greedy decoding",
            name="predicted_gain",
            number=Number(-60, 60, unit="percentage points"),
        ),
        Ungraded("lab16.t1", "Your own plot, read", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab16.c1",
            "Highest accuracy at 120 tokens a problem",
            name="best_accuracy",
            kind="challenge",
            number=Number(0, 100, unit="percent"),
            baseline=BASELINE,
            better="higher",
            seconds=60,
        ),
    ),
)
