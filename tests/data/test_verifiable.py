"""Tasks with answers that can be checked: by hand, recomputed by other means, and split without leaks."""

import itertools
import random
import re
from collections import Counter

import pytest
import torch

from llmlib.data import (
    Addition,
    AnyOrderSum,
    GameOf24,
    Multiplication,
    Problem,
    ShellGame,
    WordProblems,
    encode_problems,
    filler_steps,
    gsm8k,
    held_out_key,
    shuffled_steps,
    step_verifier,
    verifiable_reward,
)
from llmlib.infer import extract_answer
from llmlib.text import CharTokenizer

TASKS = [
    Addition(3), Addition((1, 4), padded=False), Addition(4, reverse=True, marked=True), Multiplication((3, 2)),
    AnyOrderSum(), ShellGame(5, 6), ShellGame(3, (1, 4)), WordProblems((1, 4)),
    WordProblems(3, asides=2, wording="all"),
    GameOf24(), GameOf24(3, 12, 6, expression=False),
]  # fmt: skip
names = lambda task: type(task).__name__


def drawn(task, n=40, held_out=None, seed=0):
    return task.problems(n, random.Random(seed), held_out)


# --- all tasks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS, ids=names)
def test_what_a_task_writes_it_finds_right_and_in_its_alphabet(task):
    tokenizer = CharTokenizer(task.alphabet)
    for problem in drawn(task):
        reply = problem.reply()
        assert problem.parts(reply) == [*problem.steps, problem.answer]
        assert task.is_right(problem, reply) and task.is_right(problem, reply + "\n9=9;1")
        assert task.chain_is_right(problem, reply)
        assert tokenizer.decode(tokenizer.encode(problem.prompt + reply)) == problem.prompt + reply


@pytest.mark.parametrize("task", TASKS, ids=names)
def test_a_reply_with_one_character_changed_is_a_wrong_chain(task):
    rng = random.Random(3)
    caught = tried = 0
    for problem in drawn(task):
        reply = problem.reply()
        place = rng.choice([i for i, char in enumerate(reply) if char.isdigit()])
        digit = rng.choice([d for d in "0123456789" if d != reply[place]])
        caught += not task.chain_is_right(problem, reply[:place] + digit + reply[place + 1 :])
        tried += 1
    assert caught == tried


@pytest.mark.parametrize("task", TASKS, ids=names)
def test_the_same_seed_draws_the_same_and_sides_share_no_problem(task):
    assert drawn(task) == drawn(task) != drawn(task, seed=1)
    train, held_out = drawn(task, 150, False), drawn(task, 30, True)
    assert not {p.key for p in train} & {p.key for p in held_out}
    assert not {p.prompt for p in train} & {p.prompt for p in held_out}


def test_the_other_order_of_the_same_numbers_is_on_the_same_side():
    rng = random.Random(0)
    for task in (Addition(3), Multiplication()):
        assert task.problem(12, 34).key == task.problem(34, 12).key
    assert AnyOrderSum().problem([3, 1, 2], rng).key == AnyOrderSum().problem([2, 3, 1], rng).key
    assert GameOf24().problem([4, 9, 10, 13], rng).key == GameOf24().problem([13, 4, 10, 9], rng).key


def test_about_a_tenth_is_held_out_and_no_pair_of_digits_goes_missing_in_training():
    keys = [Addition(2).problem(a, b).key for a, b in itertools.combinations_with_replacement(range(100), 2)]
    share = sum(map(held_out_key, keys)) / len(keys)
    assert 0.08 < share < 0.12
    seen = {
        (place, p.prompt[place], p.prompt[place + 3]) for p in drawn(Addition(2), 3000, False) for place in (0, 1)
    }  # fmt: skip
    assert len(seen) == 200
    assert held_out_key("a", 1.0) and not held_out_key("a", 0.0)


def test_a_side_with_nothing_in_it_is_an_error():
    task = ShellGame(2, 1)  # two problems
    assert {held_out_key(task.problem(ball, [[1, 2]]).key) for ball in (1, 2)} == {False}
    with pytest.raises(ValueError, match="n=1 with held_out=True: only 0 were found; the task has too few problems"):
        task.problems(1, random.Random(0), held_out=True)


def test_shuffled_and_filler_steps_keep_what_they_should():
    problem = Addition(3).problem(47, 385)
    assert filler_steps(problem).reply() == "........;........;.......;0432"
    mixed = shuffled_steps(problem, random.Random(1))
    assert sorted(mixed.steps) == sorted(problem.steps) and mixed.answer == problem.answer
    assert {shuffled_steps(problem, random.Random(i)).steps for i in range(40)} == set(
        itertools.permutations(problem.steps)
    )


# --- arithmetic -------------------------------------------------------------------------------------------------------


def test_addition_by_hand():
    assert Addition(3).problem(47, 385) == Problem("047+385=", ("7+5+0=12", "4+8+1=13", "0+3+1=4"), "0432", "3:47+385")
    plain = Addition(3, padded=False, reverse=True).problem(147, 385)
    assert (plain.prompt, plain.answer, plain.reply(False)) == ("147+385=", "235", "235")
    marked = Addition(2, marked=True).problem(47, 85, first_mark=3)
    assert marked.prompt == "d4e7+d8e5=" and marked.steps == ("e7+5+0=12", "d4+8+1=13") and marked.answer == "c1d3e2"
    assert Addition(2, marked=True, reverse=True).problem(47, 85, first_mark=3).answer == "e2d3c1"


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("marked", [True, False])
def test_additions_are_true_and_their_steps_spell_the_answer(padded, reverse, marked):
    for problem in drawn(Addition((1, 6), padded=padded, reverse=reverse, marked=marked)):
        bare = re.sub("[a-z]", "", problem.prompt)
        a, b = bare.rstrip("=").split("+")
        answer = re.sub("[a-z]", "", problem.answer)
        answer = answer[::-1] if reverse else answer
        assert int(answer) == int(a) + int(b) and len(a) == len(b) == len(problem.steps)
        assert len(answer) == len(a) + 1 if padded else answer == str(int(answer))
        sums = [int(step.split("=")[1]) for step in problem.steps]
        assert sum(total % 10 * 10**i for i, total in enumerate(sums)) + sums[-1] // 10 * 10 ** len(a) == int(answer)
        if marked:
            marks = re.findall("[a-z]", problem.prompt)
            assert marks == marks[: len(a)] * 2
            assert ord(marks[-1]) - ord(marks[0]) == len(a) - 1
            assert [step[0] for step in problem.steps] == marks[: len(a)][::-1]


def test_lengths_are_drawn_evenly_and_every_letter_marks():
    problems = drawn(Addition((1, 4), marked=True), 2000)
    lengths = Counter(len(problem.steps) for problem in problems)
    assert set(lengths) == {1, 2, 3, 4} and min(lengths.values()) > 400
    assert {char for problem in problems for char in problem.prompt if char.isalpha()} == set(
        "bcdefghijklmnopqrstuvwxyz"
    )


def test_multiplication_by_hand_and_in_general():
    problem = Multiplication().problem(47, 35)
    assert problem.steps == ("47*5=235", "47*3=141", "235+1410=1645") and problem.answer == "1645"
    for problem in drawn(Multiplication((3, 3), reverse=True)):
        a, b = map(int, problem.prompt.rstrip("=").split("*"))
        assert int(problem.answer[::-1]) == a * b and 100 <= a < 1000 and 100 <= b < 1000
        for step in problem.steps:
            left, right = step.split("=")
            assert eval(left) == int(right)


def test_a_sum_may_be_taken_in_any_order_but_not_with_other_numbers():
    task = AnyOrderSum()
    problem = task.problem([34, 57, 8], random.Random(0))
    for order in itertools.permutations([34, 57, 8]):
        a, b, c = order
        assert task.chain_is_right(problem, f"{a}+{b}={a + b};{a + b}+{c}=99;99")
    right = lambda *parts: task.step_is_right(problem, parts)
    assert right("57+8=65") and right("57+8=65", "65+34=99", "99")
    for wrong in [
        ("57+8=66",), ("57+9=66",), ("57+57=114",), ("57+8=65", "34+65=99"), ("57+8=65", "65+8=73"), ("99",), (),
        ("57+8=65", "65+34=99", "98"), ("57+8=65", "65+34=99", "99", "99"), ("57+8=65", "65"), ("57+8=",), ("",),
        ("57+8=65 ",),
    ]:  # fmt: skip
        assert not right(*wrong), wrong
    assert not task.chain_is_right(problem, "99") and task.is_right(problem, "99")
    assert not task.chain_is_right(problem, "57+8=65;65+34=99"), "without the answer"
    ways = {task.problem([34, 57, 8], random.Random(i)).steps for i in range(200)}
    assert len(ways) == 6


# --- the shell game ---------------------------------------------------------------------------------------------------


def test_the_shell_game_by_hand():
    problem = ShellGame().problem(3, [[1, 2], [4, 5], [1, 3]])
    assert (problem.prompt, problem.steps, problem.answer) == ("3:124513=", ("3", "3"), "1")
    assert problem.reply() == "331" and problem.reply(False) == "1" and problem.parts("331\n") == ["3", "3", "1"]
    task = ShellGame()
    assert task.step_is_right(problem, ["3", "3"]) and not task.step_is_right(problem, ["3", "2"])
    assert task.is_right(problem, "1") and not task.chain_is_right(problem, "1")
    assert not task.chain_is_right(problem, "31") and not task.chain_is_right(problem, "3311")
    assert not task.is_right(problem, "")


def test_shell_games_are_played_as_permutations():
    for problem in drawn(ShellGame(6, (2, 9))):
        start, swaps = problem.prompt.rstrip("=").split(":")
        cups = list("123456")  # cups[i]: which first cup's content stands at place i
        for a, b in zip(swaps[::2], swaps[1::2]):
            i, j = int(a) - 1, int(b) - 1
            cups[i], cups[j] = cups[j], cups[i]
        assert cups.index(start) + 1 == int(problem.answer) and len(problem.steps) + 1 == len(swaps) // 2


# --- word problems ----------------------------------------------------------------------------------------------------


def test_word_problems_are_true_whole_and_said_with_their_numbers():
    for problem in drawn(WordProblems((1, 5), asides=2), 200):
        given = Counter(re.findall("[0-9]+", problem.prompt))
        total = None
        for step in problem.steps:
            left, result = step.split("=")
            a, sign, b = re.fullmatch(r"(\d+)([-+*/])(\d+)", left).groups()
            value = {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b), "/": int(a) / int(b)}[sign]
            assert value == int(result) and 0 < value <= 999
            given.update([result])
            for used in (a, b):
                assert given[used] > 0, (problem, used)
            total = value
        assert str(int(total)) == problem.answer
        assert extract_answer(problem.reply()) == problem.answer
        assert "{" not in problem.prompt and "  " not in problem.prompt


def test_new_wordings_are_new_and_names_do_not_make_a_new_problem():
    sentences = lambda wording: {
        re.sub("[0-9]+", "#", sentence)
        for problem in drawn(WordProblems((1, 5), asides=1, wording=wording), 800)
        for sentence in re.split(r"(?<=[.?]) ", problem.prompt)
    }
    known, new = sentences("known"), sentences("new")
    assert not known & new and len(known) > len(new) > 8
    keys = Counter(problem.key for problem in drawn(WordProblems(1, kinds=["times"]), 300))
    assert max(keys.values()) > 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WordProblems(0), "events=0 must be at least 1"),
        (
            lambda: WordProblems(kinds=["share"]),
            "must name some of gain, lose, packs, times, share, and not share alone",
        ),
        (lambda: WordProblems(wording="odd"), "wording='odd' is none of known, new, all"),
        (lambda: Addition(0), "digits=0 must be a number from 1 to 100"),
        (lambda: Addition((3, 2)), "the smaller first"),
        (lambda: Addition(26, marked=True), "from 1 to 25"),
        (lambda: Addition(2, marked=True).problem(1, 2, first_mark=26), "first_mark=26 must be 1 to 25 for 1 digits"),
        (lambda: AnyOrderSum(1), "terms=1 must be at least 2"),
        (lambda: ShellGame(10), "cups=10 must be 2 to 9"),
        (lambda: ShellGame(5, 0), "swaps=0 must be at least 1"),
        (lambda: GameOf24(7), "numbers=7 must be 2 to 6"),
        (lambda: GameOf24(highest=0), "highest=0 must be at least 1"),
        (lambda: GameOf24(2, 999).problem([1, 2], random.Random(0)), r"hand=\[1, 2\] cannot give 999"),
        (lambda: encode_problems([], list), "problems is empty"),
    ],
)
def test_errors_name_argument_value_and_remedy(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- people's problems ------------------------------------------------------------------------------------------------


def test_gsm8k_holds_a_hundred_problems_whose_answers_can_be_read():
    problems = gsm8k()
    assert len(problems) == len({p.prompt for p in problems}) == 100
    assert problems[0].answer == "18" and problems[0].steps[0].endswith("5 * 2 = 10")
    for problem in problems:
        assert "<<" not in problem.reply() and re.fullmatch("-?[0-9.]+", problem.answer)
        assert extract_answer(f"{problem.reply()}") == problem.answer
        assert problem.parts(problem.reply())[-1] == problem.answer


# --- training ---------------------------------------------------------------------------------------------------------


def test_rows_count_the_reply_and_its_end_alone():
    task = ShellGame(3, 2)
    tokenizer = CharTokenizer(task.alphabet)
    problems = [task.problem(1, [[1, 2], [2, 3]]), task.problem(2, [[1, 3]])]
    rows = encode_problems(problems, tokenizer.encode)
    assert tokenizer.decode(rows["ids"][0]) == "1:1223=23\n"
    assert rows["targets"][0].tolist() == [-100] * 6 + tokenizer.encode("23\n") + [-100]
    assert tokenizer.decode(rows["ids"][1, :7]) == "2:13=2\n" and rows["ids"][1, 7:].tolist() == [0] * 3
    assert rows["targets"][1].tolist() == [-100] * 4 + tokenizer.encode("2\n") + [-100] * 4
    direct = encode_problems(problems, tokenizer.encode, steps=False)
    assert tokenizer.decode(direct["ids"][0]) == "1:1223=3\n"


def test_a_verifiable_reward_knows_its_prompts():
    task = Addition(1)
    tokenizer = CharTokenizer(task.alphabet)
    problems = [task.problem(3, 4), task.problem(9, 9)]
    prompts = [tokenizer.encode(problem.prompt) for problem in problems]
    reward = verifiable_reward(problems, prompts, tokenizer.decode, task.is_right)
    replies = [tokenizer.encode(reply) for reply in ("07", "3+4+0=7;07", "8", "9+9+0=19;18")]
    given = reward([prompts[0], prompts[0], prompts[1], prompts[1]], replies)
    assert given.dtype == torch.float32 and given.tolist() == [1, 1, 0, 1]
    strict = verifiable_reward(problems, prompts, tokenizer.decode, task.chain_is_right)
    assert strict([prompts[0], prompts[0], prompts[1], prompts[1]], replies).tolist() == [0, 1, 0, 0]
    length = verifiable_reward(problems, prompts, tokenizer.decode, lambda problem, reply: -len(reply))
    assert length(prompts, [[], [1, 2]]).tolist() == [0, -2]
    with pytest.raises(ValueError, match=r"prompt '8\+1=' is none of the 2"):
        reward([tokenizer.encode("8+1=")], [[1]])
    with pytest.raises(ValueError, match="problems holds 2 and prompts 1"):
        verifiable_reward(problems, prompts[:1], tokenizer.decode, task.is_right)
    with pytest.raises(ValueError, match="twice, with different answers"):
        verifiable_reward(problems, [prompts[0], prompts[0]], tokenizer.decode, task.is_right)


def test_a_step_verifier_judges_steps_and_whole():
    task = ShellGame()
    accept = step_verifier(task, [task.problem(3, [[1, 2], [4, 5], [1, 3]])])
    assert accept(0, ("3",), False) and accept(0, ("3", "3", "1"), False) and accept(0, ("3", "3", "1"), True)
    assert not accept(0, ("3", "3"), True), "ended too early"
    assert not accept(0, ("3", "3", "1", "1"), False), "goes on too long"
