"""Lab 16, for staff: hidden cases, keys, mutants, rubrics."""

import math

import torch

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab16 import (
    LONGEST,
    TOKENS,
    _beam,
    _best,
    _grpo,
    _listed,
    _read,
    _searched,
    _spent,
    _voted,
    a_budget,
    a_threshold,
    a_tie,
    a_way_back,
    all_alike,
    all_of_them,
    as_people_write,
    asks_itself,
    cut_off_behind_the_mark,
    decimals_and_signs,
    differing,
    exactly_spent,
    goal_at_once,
    graded,
    in_a_box,
    in_other_letters,
    just_enough,
    last_of_the_steps,
    later_ahead,
    most_have_none,
    no_goal,
    no_votes,
    nothing_but_the_prompt,
    one_of_k,
    puts_aside,
    said_and_explained,
    said_twice,
    scored,
    some_do_not_fit,
    some_pools,
    some_votes,
    stops_at_the_first_end,
    tied_scores,
    weighted_votes,
    with_its_prompt,
)


def one_token_too_long(model, width, longest):
    return _beam(model, width, longest + 1)


def one_token_too_short(model, width, longest):
    return _beam(model, width, max(1, longest - 1))


def worst_first(model, width, longest):
    return puts_aside(model, width, longest)[::-1]


def greedy_only(model, width, longest):
    return puts_aside(model, 1, longest)


def a_text_too_many(model, width, longest):
    return puts_aside(model, width + 1, longest)


def a_wider_beam(model, width, longest):
    """Twice as wide as asked for inside; the list is as long as it should be."""
    return puts_aside(model, 2 * width, longest)[:width]


def begins_anywhere(model, width, longest):
    """Takes the last row for the beginning."""
    turned = [model[-1], *model[1:]]
    return puts_aside(turned, width, longest)


def reads_columns(model, width, longest):
    return _beam([list(column) for column in zip(*model)], width, longest)


def the_last_token_for_free(model, width, longest):
    """The end costs nothing."""
    found = puts_aside(model, width, longest)
    less = [(t, s - math.log(model[t[-2] if len(t) > 1 else 0][0]) if t[-1] == 0 else s) for t, s in found]
    return sorted(less, key=lambda text: -text[1])


def without_its_end(model, width, longest):
    return [(t[:-1] if t[-1] == 0 and len(t) > 1 else t, s) for t, s in puts_aside(model, width, longest)]


def twice_in_the_list(model, width, longest):
    found = puts_aside(model, width, longest)
    return [found[0], *found][:width]


def one_beginning_only(model, width, longest):
    """All texts begin with the likeliest token."""
    first = max(range(len(model)), key=lambda i: model[0][i])
    found = [(tuple(t), s) for t, s in puts_aside(model, TOKENS**LONGEST, longest) if t[0] == first]
    return _listed(found, width) if width > 1 else puts_aside(model, 1, longest)


def nothing_if_nothing_ends(model, width, longest):
    return [text for text in puts_aside(model, width, longest) if text[0][-1] == 0]


HIDDEN = {
    "lab16.q1": [
        Case(f"{name} again", inputs=inputs, expected=_read(""))
        for name, inputs in (
            ("steps", last_of_the_steps), ("repeated", with_its_prompt), ("only the prompt", nothing_but_the_prompt),
            ("explained", said_and_explained), ("capitals", in_other_letters), ("corrected", said_twice), ("asked", asks_itself),
            ("boxed", in_a_box), ("as people write", as_people_write), ("decimals", decimals_and_signs), ("cut off", cut_off_behind_the_mark),
        )
    ] + [
        Case("nothing was written", inputs=lambda draw: ("", "Q: 1 + 1?\nA:"), expected=_read("")),
        Case("a box that was left open", inputs=lambda draw: (r" 3 + 4 = 7. \boxed{", "Q: 3 + 4?\nA:"), expected=_read("")),
        Case("zero", inputs=lambda draw: (" 5 - 5 = 0. The answer is 0.", "Q: 5 - 5?\nA:"), expected=_read("")),
        Case("a list", inputs=lambda draw: (" They are 3, 400, 500 and 6,000, in all 6,903.", "Q: sum?\nA:"), expected=_read("")),
    ],
    "lab16.q2": [
        Case("others", inputs=some_votes, expected=_voted("")),
        Case("most have none again", inputs=most_have_none, expected=_voted("")),
        Case("another tie", inputs=a_tie, expected=_voted("")),
        Case("another of three", inputs=later_ahead, expected=_voted("")),
        Case("other weights", inputs=weighted_votes, expected=_voted("")),
        Case("nobody again", inputs=no_votes, expected=_voted("")),
        Case("0 is an answer", inputs=lambda draw: ([None, 0.0, 0.0, 3.0], None), expected=_voted("")),
        Case("no sample at all", inputs=lambda draw: ([], None), expected=_voted("")),
    ],
    "lab16.q3": [
        Case("other pools", inputs=some_pools, expected=_spent("")),
        Case("others that do not fit", inputs=some_do_not_fit, expected=_spent("")),
        Case("others exactly", inputs=exactly_spent, expected=_spent("")),
        Case("more than enough", inputs=lambda draw: (*some_pools(draw)[:2], 10_000), expected=_spent("")),
        Case("nothing fits", inputs=lambda draw: (*some_pools(draw)[:2], 5), expected=_spent("")),
    ],
    "lab16.q4": [
        Case("other scores", inputs=scored, expected=_best("")),
        Case("others that are equal", inputs=tied_scores, expected=_best("")),
        Case("one again", inputs=one_of_k, expected=_best("")),
        Case("all again", inputs=all_of_them, expected=_best("")),
        Case("16 samples", inputs=lambda draw: (draw.normal(5, 16), draw.uniform(5, 16) < 0.3, 8), expected=_best("")),
    ],
    "lab16.q5": [
        Case("another way back", inputs=a_way_back, expected=_searched("")),
        Case("another threshold", inputs=a_threshold, expected=_searched("")),
        Case("another budget", inputs=a_budget, expected=_searched("")),
        Case("just enough again", inputs=just_enough, expected=_searched("")),
        Case("the root again", inputs=goal_at_once, expected=_searched("")),
        Case("none again", inputs=no_goal, expected=_searched("")),
        Case("no calls at all", inputs=lambda draw: (*a_way_back(draw)[:3], 0, 0.0), expected=_searched("")),
    ],
    "lab16.q6": [
        Case("other replies", inputs=differing, expected=_grpo("")),
        Case("other widths", inputs=graded, expected=_grpo("")),
        Case("others alike", inputs=all_alike, expected=_grpo("")),
        Case("pairs", inputs=lambda draw: (draw.normal(5, 2, scale=3.0),), expected=_grpo("")),
        Case("all but one alike", inputs=lambda draw: (torch.cat([torch.full((3, 7), 0.3), draw.normal(1, 7)]),), expected=_grpo("")),
    ],
    "lab16.q7": [
        Subject("gives texts that are one token too long", one_token_too_long),
        Subject("stops one token too early", one_token_too_short),
        Subject("gives the least likely first", worst_first),
        Subject("has a beam of 1, whatever is asked", greedy_only),
        Subject("gives one text too many", a_text_too_many),
        Subject("has a wider beam than asked for", a_wider_beam),
        Subject("begins with the last row", begins_anywhere),
        Subject("reads columns for rows", reads_columns),
        Subject("stops at the first end", stops_at_the_first_end),
        Subject("does not count the end", the_last_token_for_free),
        Subject("cuts the end off", without_its_end),
        Subject("gives a text twice", twice_in_the_list),
        Subject("keeps one beginning only", one_beginning_only),
        Subject("gives nothing where no text has ended", nothing_if_nothing_ends),
    ],
    "lab16.q8": [
        Key(
            runs=dict(zip(("b2", "c7", "e1", "g5", "h8", "k3", "n6", "r4", "s9", "w0"), "GBIEAJCHDF", strict=True)),
            true={"A": "abcehm", "B": "fikn", "C": "bcfhkln", "D": "cfin", "E": "fijn", "F": "dfin", "G": "afi", "H": "ein", "I": "aghjklm", "J": "afhm", "correct": "fin"},
        )
    ],
}  # fmt: skip

# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab16_faults"
_ONE, _GREEDY, _VOTE = "one sample, right, percent", "greedy, right, percent", "vote of 16, right, percent"
_LEARNED, _ORACLE = "best of 16 by the learned verifier, right, percent", "best of 16 by the oracle, right, percent"
_NONE = "samples without an answer, percent"
OBSERVED = {
    "a": lambda t, correct: abs(t[_GREEDY] - t[_ONE]) <= 5,
    "b": lambda t, correct: abs(t[_VOTE] - t[_ONE]) <= 0.1,
    "c": lambda t, correct: abs(t[_LEARNED] - t[_ORACLE]) <= 2,
    "d": lambda t, correct: t[_LEARNED] < t[_ONE] - 10,
    "e": lambda t, correct: t[_NONE] < 1,
    "f": lambda t, correct: 10 <= t[_NONE] <= 30,
    "g": lambda t, correct: t[_NONE] > 40,
    "h": lambda t, correct: t[_ORACLE] < 50,
    "i": lambda t, correct: t[_ORACLE] > 90,
    "j": lambda t, correct: t["a vote of 16, tokens"] < 370,
    "k": lambda t, correct: t["votes of 16 that end without an answer, percent"] > 5,
    "l": lambda t, correct: t["different answers to a problem in 16 samples"] < 3,
    "m": lambda t, correct: t[_ONE] < 10,
    "n": lambda t, correct: t[_GREEDY] > 45,
}


def _reader(
    reply: str = "text.removeprefix(prompt).split('\\nQ:')[0]",
    number: str = r"-?\d+(?:,\d{3})*(?:\.\d+)?",
    marks: str = r"(r'\\boxed\{', 'the answer is')",
    flags: str = "re.IGNORECASE",
    behind: str = "places[-1:]",
    which: str = "numbers(reply[place.end() :])[:1]",
    nothing: str = "pass",
    last: str = "found[-1]",
    none: str = "None",
) -> str:
    return f'''def read_answer(text, prompt):
    reply = {reply}
    numbers = lambda part: [float(x.replace(",", "")) for x in re.findall(r"{number}", part)]
    for mark in {marks}:
        places = list(re.finditer(mark, reply, {flags}))
        for place in {behind}:
            found = {which}
            if found:
                return found[0]
            {nothing}
    found = numbers(reply)
    return {last} if found else {none}
'''


def _voting(
    skip: str = "answer is None",
    add: str = "votes.get(answer, 0) + weight",
    weights: str = "weights or [1] * len(answers)",
    empty: str = 'return {"answer": None, "share": 0.0}',
    winner: str = "max(votes, key=votes.get)",
    share: str = "votes[winner] / sum(votes.values())",
) -> str:
    return f"""def vote(answers, weights=None):
    votes = {{}}
    for answer, weight in zip(answers, {weights}):
        if {skip}:
            continue
        votes[answer] = {add}
    if not votes:
        {empty}
    winner = {winner}
    return {{"answer": winner, "share": {share}}}
"""


def _spending(
    pool: str = "pool",
    over: str = "spent + cost > budget",
    stop: str = "break",
    before: str = "pass",
    right: str = "vote([a for a, _ in taken])['answer'] == true",
    cost: str = "spent",
    count: str = "len(taken)",
    n: str = "len(pools)",
    given: str = '{"accuracy": right / n, "tokens": tokens / n, "samples": samples / n}',
    start: str = "taken, spent = [], 0",
) -> str:
    return f"""def at_budget(pools, truths, budget):
    right = tokens = samples = spent = 0
    n = {n}
    for pool, true in zip(pools, truths):
        {start}
        for answer, cost in {pool}:
            {before}
            if {over}:
                {stop}
            taken.append((answer, cost))
            spent += cost
        right += {right}
        tokens += {cost}
        samples += {count}
    return {given}
"""


def _bests(
    order: str = "scores.argsort(dim=1, descending=True, stable=True)",
    ways: str = "math.comb(n - 1 - r, k - 1) / math.comb(n, k)",
    given: str = "(right.gather(1, order).float() @ taken).mean()",
    first: str = "pass",
) -> str:
    return f"""def best_of_k(scores, right, k):
    n = scores.shape[1]
    {first}
    order = {order}
    taken = torch.tensor([float({ways}) for r in range(n)])
    return ({given}).item()
"""


def _searching(
    root: str = "if is_goal(root):\n        return [root]",
    go_on: str = "waiting and calls < budget",
    take: str = "waiting.pop()",
    late: str = "pass",
    seen: str = "child in parent",
    goal: str = "is_goal(child)",
    path: str = "back(child)",
    low: str = "value(child) >= threshold",
    ordered: str = "sorted(followed, key=value, reverse=True)[::-1]",
    put: str = "waiting += ordered",
    end: str = "None",
    turn: str = "states[::-1]",
) -> str:
    return f"""def search(root, propose, value, is_goal, budget, threshold):
    {root}
    parent, waiting, calls, asked = {{root: None}}, [root], 0, []

    def back(state):
        states = []
        while state is not None:
            states.append(state)
            state = parent[state]
        return {turn}

    while {go_on}:
        state, fresh = {take}, []
        {late}
        calls += 1
        asked.append(state)
        for child in propose(state):
            if {seen}:
                continue
            parent.setdefault(child, state)
            fresh.append(child)
            if {goal}:
                return {path}
        followed = [child for child in fresh if {low}]
        ordered = {ordered}
        {put}
    return {end}
"""


def _grouped(
    mean: str = "rewards.mean(1, keepdim=True)",
    deviation: str = "rewards.std(1, keepdim=True)",
    value: str = "torch.where(alike, 0.0, (rewards - mean) / deviation)",
) -> str:
    return f"""def group_advantages(rewards):
    mean, deviation = {mean}, {deviation}
    alike = rewards.amax(1, keepdim=True) == rewards.amin(1, keepdim=True)
    return {value}
"""


_LATE = "[[0.1, 0.52, 0.38], [0.25, 0.4, 0.35], [0.8, 0.15, 0.05]]"
_EARLY = "[[0.45, 0.3, 0.25], [0.5, 0.2, 0.3], [0.05, 0.15, 0.8]]"
_SIZES = "((1, 3), (2, 3), (3, 4), (27, 3), (3, 1))"


def _test(
    examples: str = f"[(m, width, longest) for m in ({_LATE}, {_EARLY}) for width, longest in {_SIZES}]",
    many: str = "not 1 <= len(texts) <= width or len(set(texts)) < len(texts)",
    form: str = "not 1 <= len(tokens) <= longest or 0 in tokens[:-1] or (tokens[-1] != 0 and len(tokens) < longest)",
    total: str = "abs(sum(math.log(model[i][j]) for i, j in zip([0, *tokens], tokens)) - logprob) > 1e-6",
    order: str = "any(a[1] < b[1] - 1e-9 for a, b in zip(output, output[1:]))",
    greedy: str = "width == 1",
    all_: str = "width >= len(model) ** longest and len(texts) != sum((len(model) - 1) ** n for n in range(longest)) + (len(model) - 1) ** longest",
    more: str = "False",
) -> str:
    return f"""def examples():
    return {examples}


def holds(inputs, output):
    model, width, longest = inputs
    texts = [tuple(tokens) for tokens, _ in output]
    if {many}:
        return False
    for tokens, logprob in output:
        if {form}:
            return False
        if {total}:
            return False
    if {order}:
        return False
    if {greedy}:
        text = []
        while len(text) < longest and (not text or text[-1] != 0):
            row = model[text[-1] if text else 0]
            text.append(row.index(max(row)))
        return texts == [tuple(text)]
    if {more}:
        return False
    return not ({all_})
"""


_MINE = """def mine(model, width, longest):
    alive, done = [((), 0.0)], []
    for _ in range(longest):
        grown = [((*t, v), s + math.log(p)) for t, s in alive for v, p in enumerate(model[t[-1] if t else 0])]
        grown = sorted(grown, key=lambda text: -text[1])[:width]
        done += [text for text in grown if text[0][-1] == 0]
        alive = [text for text in grown if text[0][-1] != 0]
    return [t for t, _ in sorted(done + alive, key=lambda text: -text[1])[:width]]


"""
_MEANS = '{"accuracy": right / n, "tokens": tokens / samples, "samples": samples / n}'
MUTANTS = [
    Mutant("lab16.q1", "prompt not taken off", _reader(reply="text if text.startswith(prompt) else text.split('\\nQ:')[0]"), "echoed from the prompt"),
    Mutant("lab16.q1", "new question first", _reader(reply="text.split('\\nQ:')[0].removeprefix(prompt)"), "Take the prompt off first"),
    Mutant("lab16.q1", "its own questions read", _reader(reply="text.removeprefix(prompt)"), "a question which the model asked itself"),
    Mutant("lab16.q1", "first number", _reader(marks="()", last="found[0]"), "the first number of the reply"),
    Mutant("lab16.q1", "last number", _reader(marks="()"), "the last number of all"),
    Mutant("lab16.q1", "largest number", _reader(marks="()", last="max(found)"), "the largest number"),
    Mutant("lab16.q1", "box not seen", _reader(marks="('the answer is',)"), "and everything else"),
    Mutant("lab16.q1", "mark before box", _reader(marks=r"('the answer is', r'\\boxed\{')"), "and everything else"),
    Mutant("lab16.q1", "mark not seen", _reader(marks=r"(r'\\boxed\{',)"), "the first number behind it is the answer"),
    Mutant("lab16.q1", "first mark", _reader(behind="places[:1]"), "more than one mark"),
    Mutant("lab16.q1", "last number behind the mark", _reader(which="numbers(reply[place.end() :])[-1:]"), "the last number of all"),
    Mutant("lab16.q1", "one spelling", _reader(marks=r"(r'\\boxed\{', 'The answer is')", flags="0"), "begin with a capital or not"),
    Mutant("lab16.q1", "mark without number", _reader(nothing="return None"), "no number follows the mark"),
    Mutant("lab16.q1", "marks only", _reader(last="None"), "there is no mark"),
    Mutant("lab16.q1", "0 for None", _reader(none="0.0"), "0 would be one"),
    Mutant("lab16.q1", "commas", _reader(number=r"-?\d+(?:\.\d+)?"), "separates thousands"),
    Mutant("lab16.q1", "float of a comma", _reader().replace('x.replace(",", "")', "x"), "take the commas out before float()"),
    Mutant("lab16.q1", "whole numbers", _reader(number=r"-?\d+(?:,\d{3})*"), "the decimals are lost"),
    Mutant("lab16.q1", "signs", _reader(number=r"\d+(?:,\d{3})*(?:\.\d+)?"), "the sign is lost"),
    Mutant("lab16.q1", "always a number", _reader(none="found[-1]"), "may hold no number at all"),
    Mutant("lab16.q2", "None votes", _voting(skip="False"), "None wins the vote"),
    Mutant("lab16.q2", "share of all", _voting(share="votes[winner] / sum(weights or [1] * len(answers))"), "the votes that were cast"),
    Mutant("lab16.q2", "votes for a share", _voting(share="votes[winner]"), "over all that were cast"),
    Mutant("lab16.q2", "percent", _voting(share="100 * votes[winner] / sum(votes.values())"), "in percent"),
    Mutant("lab16.q2", "last of tied", _voting(winner="max(reversed([a for i, a in enumerate(answers) if a is not None and a not in answers[i + 1 :]]), key=votes.get)"), "given first, not last"),
    Mutant("lab16.q2", "largest of tied", _voting(winner="max(votes, key=lambda a: (votes[a], a))"), "not to the largest"),
    Mutant("lab16.q2", "smallest of tied", _voting(winner="max(votes, key=lambda a: (votes[a], -a))"), "not to the smallest"),
    Mutant("lab16.q2", "reached first", "def vote(answers, weights=None):\n    votes, winner = {}, None\n    for a, w in zip(answers, weights or [1] * len(answers)):\n        if a is not None:\n            votes[a] = votes.get(a, 0) + w\n            if winner is None or votes[a] > votes[winner]:\n                winner = a\n    return {'answer': winner, 'share': votes[winner] / sum(votes.values()) if votes else 0.0}\n", "wherever its other votes stand"),
    Mutant("lab16.q2", "no weights", _voting(weights="[1] * len(answers)"), "are the weights used"),
    Mutant("lab16.q2", "the heaviest", _voting(add="max(votes.get(answer, 0), weight)"), "the largest weight, best of n"),
    Mutant("lab16.q2", "mean weight", _voting(winner="max(votes, key=lambda a: votes[a] / answers.count(a))", share="(votes[winner] / answers.count(winner)) / sum(votes[a] / answers.count(a) for a in votes)"), "the mean weight of an answer"),
    Mutant("lab16.q2", "share of answers", _voting(share="votes[winner] / sum(a is not None for a in answers)"), "the weights that were cast"),
    Mutant("lab16.q2", "mean", _voting(winner="sum(a * v for a, v in votes.items()) / sum(votes.values())", share="max(votes.values()) / sum(votes.values())"), "the mean of the answers"),
    Mutant("lab16.q2", "fewest votes", _voting(winner="min(votes, key=votes.get)"), "the fewest votes"),
    Mutant("lab16.q2", "nobody", _voting(empty="pass", winner="max(votes, key=votes.get, default=None)", share="votes.get(winner, 0) / sum(votes.values())"), "the answer is None and the share 0"),
    Mutant("lab16.q2", "0 / 0", _voting(empty='return {"answer": None, "share": float("nan")}'), "not 0 / 0"),
    Mutant("lab16.q2", "a pair", _voting().replace('return {"answer": winner, "share": votes[winner] / sum(votes.values())}', "return winner, votes[winner] / sum(votes.values())"), "return a dict"),
    Mutant("lab16.q3", "overshoot", _spending(over="spent >= budget"), "the sample that would pass it is not taken"),
    Mutant("lab16.q3", "skips", _spending(stop="continue"), "that favours short replies"),
    Mutant("lab16.q3", "each", _spending(over="cost > budget", stop="continue"), "not for each"),
    Mutant("lab16.q3", "shortest first", _spending(pool="sorted(pool, key=lambda each: each[1])"), "the order in which they were drawn"),
    Mutant("lab16.q3", "one budget for all", _spending(start="taken = []; first = spent", cost="spent - first"), "the whole budget for itself"),
    Mutant("lab16.q3", "as many for each", _spending(pool="pool[: int(budget // (sum(t for p in pools for _, t in p) / sum(map(len, pools))))]", over="False"), "not the mean"),
    Mutant("lab16.q3", "less than the budget", _spending(over="spent + cost >= budget"), "spend the budget exactly"),
    Mutant("lab16.q3", "no budget", _spending(over="False"), "is budget used"),
    Mutant("lab16.q3", "one sample", _spending(pool="pool[:1]", over="False"), "more than one sample fits"),
    Mutant("lab16.q3", "None costs nothing", _spending(before="cost = 0 if answer is None else cost"), "costs its tokens like any other"),
    Mutant("lab16.q3", "None votes", _spending(right="(lambda a: max(dict.fromkeys(a), key=a.count) == true if a else False)([a for a, _ in taken])"), "None has won a vote"),
    Mutant("lab16.q3", "oracle", _spending(right="any(a == true for a, _ in taken)"), "which only an oracle knows"),
    Mutant("lab16.q3", "single samples", _spending(right="sum(a == true for a, _ in taken) / max(1, len(taken))"), "the accuracy of single samples"),
    Mutant("lab16.q3", "answered only", _spending(before="pass", given='{"accuracy": right / max(1, answered), "tokens": tokens / n, "samples": samples / n}', n="len(pools); answered = 0", count="len(taken); answered += vote([a for a, _ in taken])['answer'] is not None"), "is a wrong one"),
    Mutant("lab16.q3", "tokens of the winner", _spending(cost="sum(t for a, t in taken if a == vote([b for b, _ in taken])['answer'])"), "not only those that voted for the winner"),
    Mutant("lab16.q3", "budget for tokens", _spending(cost="budget"), "what was spent"),
    Mutant("lab16.q3", "votes for samples", _spending(count="sum(a is not None for a, _ in taken)"), "samples are all that were taken"),
    Mutant("lab16.q3", "sums", _spending(given='{"accuracy": right / n, "tokens": tokens, "samples": samples}'), "are means over problems"),
    Mutant("lab16.q3", "tokens of a sample", _spending(given=_MEANS), "all its samples together"),
    Mutant("lab16.q3", "a tuple", _spending(given="right / n, tokens / n, samples / n"), "return a dict"),
    Mutant("lab16.q4", "oracle", _bests(order="right.float().argsort(dim=1, descending=True, stable=True)"), "only an oracle can"),
    Mutant("lab16.q4", "pass at k", "def best_of_k(scores, right, k):\n    n = scores.shape[1]\n    return sum(1 - math.comb(n - int(c), k) / math.comb(n, k) for c in right.sum(1)) / len(right)\n", "only an oracle can"),
    Mutant("lab16.q4", "lowest", _bests(order="scores.argsort(dim=1, stable=True)"), "the lowest score"),
    Mutant("lab16.q4", "not sorted", _bests(order="torch.arange(n).expand(len(scores), n)"), "are the scores used"),
    Mutant("lab16.q4", "mean", _bests(ways="1 / n"), "is k used"),
    Mutant("lab16.q4", "all n", _bests(first="k = n"), "the best of all n samples"),
    Mutant("lab16.q4", "first k", _bests(given="right.gather(1, scores[:, :k].argmax(1, keepdim=True)).float().mean()"), "one choice of k samples"),
    Mutant("lab16.q4", "parts of k", "def best_of_k(scores, right, k):\n    n = scores.shape[1]\n    parts = [right[:, i : i + k].gather(1, scores[:, i : i + k].argmax(1, keepdim=True)).float().mean() for i in range(0, n - k + 1, k)]\n    return float(sum(parts) / len(parts))\n", "cuts the samples into parts"),
    Mutant("lab16.q4", "top k", _bests(ways="(r < k) / k"), "the mean over the k best"),
    Mutant("lab16.q4", "with replacement", _bests(ways="((n - r) ** k - (n - r - 1) ** k) / n**k"), "no sample is drawn twice"),
    Mutant("lab16.q4", "k for k - 1", _bests(ways="math.comb(n - 1 - r, k) / math.comb(n, k)"), "k - 1 others come with it"),
    Mutant("lab16.q4", "n for n - 1", _bests(ways="math.comb(n - r, k - 1) / math.comb(n, k)"), "the sample itself is not among them"),
    Mutant("lab16.q4", "not divided", _bests(ways="math.comb(n - 1 - r, k - 1)"), "the number of choices"),
    Mutant("lab16.q4", "sum", _bests(given="(right.gather(1, order).float() @ taken).sum()"), "the sum over problems"),
    Mutant("lab16.q4", "last of equals", _bests(order="n - 1 - scores.flip(1).argsort(dim=1, descending=True, stable=True)"), "was drawn first is taken"),
    Mutant("lab16.q5", "no way back", _searching(put="waiting = ordered[-1:]"), "never turns back"),
    Mutant("lab16.q5", "no budget", _searching(go_on="waiting"), "more calls of propose than the budget"),
    Mutant("lab16.q5", "one call too many", _searching(go_on="waiting and calls <= budget"), "one call too many"),
    Mutant("lab16.q5", "one call too few", _searching(go_on="waiting and calls < budget - 1"), "one call too few"),
    Mutant("lab16.q5", "breadth first", _searching(take="waiting.pop(0)", ordered="sorted(followed, key=value, reverse=True)"), "level by level"),
    Mutant("lab16.q5", "best first", _searching(take="waiting.pop(max(range(len(waiting)), key=lambda i: (value(waiting[i]), i)))"), "the most valued of all open states"),
    Mutant("lab16.q5", "not sorted", _searching(ordered="followed[::-1]"), "in the order of their values"),
    Mutant("lab16.q5", "worst first", _searching(ordered="sorted(followed, key=value, reverse=True)"), "the worst is followed first"),
    Mutant("lab16.q5", "equals in reverse", _searching(ordered="sorted(followed, key=value)"), "of equal values the one that was proposed first"),
    Mutant("lab16.q5", "no threshold", _searching(low="True"), "below the threshold are not followed"),
    Mutant("lab16.q5", "at the threshold", _searching(low="value(child) > threshold"), "not those exactly at it"),
    Mutant("lab16.q5", "nothing remembered", _searching(seen="child == root"), "followed again"),
    Mutant("lab16.q5", "goal tested late", _searching(goal="False", late="if is_goal(state):\n            return back(state)"), "as soon as it is proposed"),
    Mutant("lab16.q5", "root not tested", _searching(root="pass"), "the root may be a goal"),
    Mutant("lab16.q5", "path without root", _searching(turn="states[::-1][1:]", root="if is_goal(root):\n        return []"), "the path begins with the root"),
    Mutant("lab16.q5", "reversed", _searching(turn="states"), "from the root to the goal"),
    Mutant("lab16.q5", "goal only", _searching(turn="states[:1]"), "the whole path is asked for"),
    Mutant("lab16.q5", "as asked", _searching(path="[*asked, child]"), "the order in which they were asked for"),
    Mutant("lab16.q5", "best so far", _searching(end="back(asked[-1])"), "without a goal there is no path"),
    Mutant("lab16.q6", "mean and deviation of all", _grouped(mean="rewards.mean()", deviation="rewards.std()", value="(rewards - mean) / deviation"), "mean and deviation are those of all rewards"),
    Mutant("lab16.q6", "deviation of all", _grouped(deviation="rewards.std()"), "the deviation is that of all rewards"),
    Mutant("lab16.q6", "mean of all", _grouped(mean="rewards.mean()"), "the mean is that of all rewards"),
    Mutant("lab16.q6", "columns", _grouped(mean="rewards.mean(0)", deviation="rewards.std(0)", value="(rewards - mean) / deviation"), "a group is a row"),
    Mutant("lab16.q6", "not centred", _grouped(mean="0.0"), "where is the mean"),
    Mutant("lab16.q6", "median", _grouped(mean="rewards.median(1, keepdim=True).values"), "not the median"),
    Mutant("lab16.q6", "no deviation", _grouped(deviation="1.0"), "divide by the group's deviation"),
    Mutant("lab16.q6", "mean of the others", _grouped(mean="(rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)", deviation="1.0"), "less the mean of the others"),
    Mutant("lab16.q6", "over G", _grouped(deviation="rewards.std(1, keepdim=True, unbiased=False)"), "divides by G - 1"),
    Mutant("lab16.q6", "variance", _grouped(deviation="rewards.var(1, keepdim=True)"), "not by the variance"),
    Mutant("lab16.q6", "range", _grouped(deviation="rewards.amax(1, keepdim=True) - rewards.amin(1, keepdim=True)"), "from the smallest"),
    Mutant("lab16.q6", "0 / 0", _grouped(value="(rewards - mean) / deviation"), "0 / 0, not a number"),
    Mutant("lab16.q6", "a tiny constant", _grouped(value="(rewards - mean) / (deviation + 1e-8)"), "a tiny constant under the line"),
    Mutant("lab16.q6", "a large constant", _grouped(value="(rewards - mean) / (deviation + 0.1)"), "so large that it changes"),
    Mutant("lab16.q6", "positive only", _grouped(value="torch.where(alike, 0.0, (rewards - mean) / deviation).clamp(min=0)"), "has a negative advantage"),
    Mutant("lab16.q6", "sign", _grouped(value="torch.where(alike, 0.0, (mean - rewards) / deviation)"), "has a positive advantage"),
    Mutant("lab16.q6", "softmax", _grouped(value="rewards.softmax(1)"), "advantages have mean 0"),
    Mutant("lab16.q7", "compares with its own", _MINE + _test(more="texts != mine(model, width, longest)"), "refuses a right answer"),
    Mutant("lab16.q7", "the likeliest at any width", _MINE + _test(more="texts != mine(model, 256, longest)[:width]"), "refuses a right answer"),
    Mutant("lab16.q7", "form not looked at", _test(form="False", all_="False"), "your test accepts"),
    Mutant("lab16.q7", "sums not looked at", _test(total="False"), "your test accepts"),
    Mutant("lab16.q7", "order not looked at", _test(order="False"), "your test accepts"),
    Mutant("lab16.q7", "all texts not asked for", _test(all_="False"), "your test accepts"),
    Mutant("lab16.q7", "greedy only", _test(examples=f"[({_LATE}, 1, 3)]"), "your test accepts"),
    Mutant("lab16.q7", "a row that is no distribution", _test(examples="[([[0.5, 0.3], [0.6, 0.4]], 2, 2)]"), "add up to 1"),
    Mutant("lab16.q8", "another cause", 'diagnosis = {"cause": "G", "evidence": ["a", "h"]}', "not what went wrong"),
    Mutant("lab16.q8", "untrue evidence", 'diagnosis = {"cause": "I", "evidence": ["g", "i"]}', "is not true of your run"),
    Mutant("lab16.q8", "evidence for two causes", 'diagnosis = {"cause": "I", "evidence": ["a", "h"]}', "seen under another cause"),
    Mutant("lab16.q8", "a letter", 'diagnosis = "I"', "write it as"),
]  # fmt: skip

# The challenge, on its 300 problems: greedy 61.0. Four samples and their vote, at 100 tokens, do worse at any temperature
# tried (0.4: 53 to 55, 0.6: 47 to 49, 0.8: 36 to 43), and so does the surest of the four (46 to 56). The terms asked for in
# four orders, each answered greedily, and a vote weighted by exp(5 x mean log-probability): 65.3 with one draw of the
# orders, 62.7 with another; at least one of the four is right in 78 to 80.
RUBRICS = {
    "lab16.t1": "3: compares at equal tokens with greedy decoding always named (at temperature 1 the vote of 16 loses clearly, at 0.6 it is at best level with one reply at a "
    "sixteenth of the tokens); says what the lower temperature does (one sample and with it the vote and the oracle gain; near 0 all three become the greedy reply), and that an oracle is no "
    "method; weighs differences against about 6 points of luck, with a limit named: a half-trained model, few possible answers, one task. 2: two of the three. 1: describes "
    "the curves without tokens or without greedy. 0: no plot read.",
}
