"""The Game of 24: its solver against brute force over all expressions, its verifier against whatever may come."""

import itertools
import random
from fractions import Fraction

import pytest

from llmlib.data import GameOf24, evaluate_expression, is_solution, is_solvable, solve
from llmlib.data.game_of_24 import expression_of, moves_from, play

SHAPES = ["(({}{}{}){}{}){}{}", "({}{}({}{}{})){}{}", "({}{}{}){}({}{}{})", "{}{}(({}{}{}){}{})", "{}{}({}{}({}{}{}))"]


def brute_force(hand, target=24):
    """All orders, operations and five ways to put brackets, by Python's own arithmetic of fractions."""
    for numbers in set(itertools.permutations(hand)):
        for signs in itertools.product("+-*/", repeat=3):
            for shape in SHAPES:
                a, b, c, d = (f"Fraction({number})" for number in numbers)
                text = shape.format(a, signs[0], b, signs[1], c, signs[2], d)
                try:
                    if eval(text, {"Fraction": Fraction}) == target:
                        return True
                except ZeroDivisionError:
                    continue
    return False


def test_1362_of_1820_hands_can_be_solved():
    hands = list(itertools.combinations_with_replacement(range(1, 14), 4))
    assert (sum(is_solvable(hand) for hand in hands), len(hands)) == (1362, 1820)


def test_the_solver_agrees_with_brute_force():
    rng = random.Random(0)
    hands = [[1, 1, 1, 1], [13, 13, 13, 13]] + [[rng.randint(1, 13) for _ in range(4)] for _ in range(3)]
    hands += [next(hand for hand in iter(lambda: [rng.randint(1, 13) for _ in range(4)], 0) if not is_solvable(hand))]
    for hand in hands:
        assert is_solvable(hand) == brute_force(hand), hand


@pytest.mark.parametrize(
    "hand", [[3, 3, 8, 8], [1, 5, 5, 5], [3, 3, 7, 7], [1, 3, 4, 6], [4, 4, 10, 10], [12, 12, 1, 1]]
)
def test_hands_that_need_fractions_or_luck_are_solved(hand):
    answer = solve(hand)
    assert is_solution(answer, hand)
    assert eval(answer.replace("/", "*Fraction(1)/")) == 24


def test_the_solver_says_what_cannot_be_done():
    assert solve([1, 1, 1, 1]) is None
    assert is_solvable([24]) and is_solvable([5, 5], 0) and not is_solvable([5, 4], 0)
    assert is_solvable([1, 1, 1, 1, 20, 24], 48)


def test_moves_are_all_there_are():
    found = dict(moves_from([2, 3]))
    assert found == {
        "2+3=5:5": (5,), "2*3=6:6": (6,), "3-2=1:1": (1,), "2/3=2/3:2/3": (Fraction(2, 3),),
        "3/2=3/2:3/2": (Fraction(3, 2),),
    }  # fmt: skip
    assert "0/3=0:0" in dict(moves_from([0, 3])) and not any("/0" in move for move, _ in moves_from([0, 3]))
    assert len(moves_from([1, 2, 3, 4])) == 6 * 5, "of each pair +, * and -, and / both ways"


def test_moves_are_played_as_they_say():
    hand = [4, 9, 10, 13]
    assert play(hand, []) == (4, 9, 10, 13)
    assert play(hand, ["13-9=4:4 4 10", "10-4=6:4 6", "6*4=24:24"]) == (24,), "either order of a product"
    assert play([3, 3, 8, 8], ["8/3=8/3:8/3 3 8", "3-(8/3)=1/3:1/3 8", "8/(1/3)=24:24"]) == (24,)
    for wrong in [
        "13-9=5:4 5 10", "13-9=4:4 10",
        "13-9=4:4 4 11", "9-13=-4:-4 4 10", "13-8=5:4 5 9 10", "13-9=4", "", ":", "4/0=0:0",
        "13-9=4:4 4 10 ", "__import__('os')=1:1", "(1/0)+4=4:4",
    ]:  # fmt: skip
        assert play(hand, [wrong]) is None, wrong
    assert play([5, 5], ["5-5=0:0"]) == (0,) and play([5, 3], ["5-5=0:0"]) is None, "each number once"


def test_an_expression_from_moves_has_the_brackets_it_needs_and_no_more():
    assert expression_of([4, 9, 10, 13], ["13-9=4:4 4 10", "10-4=6:4 6", "4*6=24:24"]) in (
        "(13-9)*(10-4)", "4*(10-(13-9))",
    )  # fmt: skip
    assert expression_of([8, 4, 2], ["8-4=4:2 4", "4-2=2:2"]) == "8-4-2"
    assert expression_of([8, 4, 2], ["4-2=2:2 8", "8-2=6:6"]) == "8-(4-2)"
    assert expression_of([8, 4, 2], ["4/2=2:2 8", "8/2=4:4"]) == "8/(4/2)"
    assert expression_of([8, 4, 2], ["4*2=8:8 8", "8+8=16:16"]) in ("4*2+8", "8+4*2")
    with pytest.raises(ValueError, match="leave 2 numbers"):
        expression_of([8, 4, 2], ["4/2=2:2 8"])


def test_drawn_ways_are_solutions_by_both_accounts():
    task = GameOf24()
    problems = task.problems(40, random.Random(0))
    for problem in problems:
        hand = task.hand(problem)
        assert play(hand, problem.steps) == (24,) and is_solution(problem.answer, hand)
        assert expression_of(hand, problem.steps) == problem.answer
        assert all(task.can_win(problem, problem.steps[:i]) for i in range(4))
    ways = {task.problem([2, 3, 4, 6], random.Random(i)).answer for i in range(40)}
    assert len(ways) > 8, "many ways are shown"


def test_what_is_judged_is_the_end_of_a_reply_or_its_moves():
    task = GameOf24()
    problem = task.problem([4, 9, 10, 13], random.Random(0))
    moves = "13-9=4:4 4 10;10-4=6:4 6;4*6=24:24"
    assert task.is_right(problem, moves) and task.is_right(problem, f"{moves};(13-9)*(10-4)")
    assert task.is_right(problem, "(13-9)*(10-4)") and task.is_right(problem, "nonsense;(10-4)*(13-9)=24")
    assert not task.chain_is_right(problem, "nonsense;(10-4)*(13-9)")
    assert not task.is_right(problem, "13-9=4:4 4 10;10+4=14:4 14;4+14=18:18")
    assert not task.is_right(problem, "4*6=24:24"), "a last move without the others"
    assert task.step_is_right(problem, ["13-9=4:4 4 10", "10+4=14:4 14"]), "allowed, and hopeless"
    assert not task.can_win(problem, ["13-9=4:4 4 10", "10+4=14:4 14"])
    assert not task.step_is_right(problem, []) and not task.is_right(problem, "")


# --- expressions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "used"),
    [
        ("1+2*3", 7, [1, 2, 3]), ("(1+2)*3", 9, [1, 2, 3]), ("8-4-2", 2, [8, 4, 2]), ("8/4/2", 1, [8, 4, 2]),
        ("8/(3-8/3)", 24, [8, 3, 8, 3]), (" ( 7 ) ", 7, [7]), ("6×4", 24, [6, 4]), ("1/3+1/3+1/3", 1, [1, 3] * 3),
        ("12−2·3÷6", 11, [12, 2, 3, 6]), ("0012", 12, [12]),
    ],
)  # fmt: skip
def test_expressions_are_read_exactly(text, value, used):
    assert evaluate_expression(text) == (value, used)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "1+", "+1", "-1", "1 2", "(1", "1)", "()", "1**2", "2^3", "1/0", "1/(2-2)", "1.5", "a", "1_0", "0x18",
        "1//2",
        "4!", "24j", "__import__('os').system('x')", "9" * 201, "(" * 99 + "1" + ")" * 99, "1+" * 99, "２4+",
        "1,2", "2(3)",
        "lambda:0", "1 if 1 else 1", "١",
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused_and_never_run(text):
    with pytest.raises(ValueError, match="text"):
        evaluate_expression(text)
    assert not is_solution(text, [24])


def test_a_solution_uses_each_number_once_and_no_other():
    hand = [4, 9, 10, 13]
    assert is_solution("(13 - 9) * (10 - 4) = 24", hand) and is_solution("(10-4)×(13−9)", hand)
    for wrong in [
        "4*6",
        "24",
        "(13-9)*(10-4)*1",
        "(13-9)*(10-4)=25",
        "(13-9)*(10-4)=24=24",
        "13-9+10-4",
        "4*9-10-13+11",
        "=",
    ]:
        assert not is_solution(wrong, hand), wrong
    assert not is_solution("2*12", [2, 1, 2]) and not is_solution("3*8", [3, 3, 8, 8]) and is_solution("3*8", [8, 3])
