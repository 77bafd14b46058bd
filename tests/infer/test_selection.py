"""Votes, best of n and the curve of accuracy against tokens, counted by hand."""

import pytest

from llmlib.infer import best_of, compute_curve, extract_answer, majority_vote, self_consistency, tally


def test_the_most_frequent_answer_wins_and_none_never_does():
    assert majority_vote(["5", "7", "7"]) == "7"
    assert majority_vote([None, None, None, "5"]) == "5"
    assert majority_vote([None, None]) is None and majority_vote([]) is None
    assert majority_vote(["", None, None]) == "", "empty is an answer, None is none"
    assert majority_vote([0, 0, 1, None, None, None]) == 0


def test_ties_go_to_the_first_and_are_reported():
    vote = tally(["b", "a", "a", "b", None, "c"])
    assert (vote.answer, vote.tied, vote.abstained) == ("b", ("b", "a"), 1)
    assert vote.votes == {"b": 2, "a": 2, "c": 1} and list(vote.votes) == ["b", "a", "c"]
    assert vote.share == pytest.approx(0.4)
    assert tally(["a", "a", "b"]).tied == ("a",)
    assert (tally([None]).tied, tally([None]).share) == ((), 0.0)


def test_weights_are_votes():
    answers = ["5", "7", "7", None]
    assert majority_vote(answers, [0.9, 0.3, 0.3, 5.0]) == "5"
    assert tally(answers, [0.9, 0.5, 0.5, 5.0]).votes == {"7": 1.0, "5": 0.9}
    assert majority_vote(["5", "7"], [0, 0]) == "5"
    for bad in ([1, 1], [1, -1, 1, 1], [1, float("nan"), 1, 1]):
        with pytest.raises(ValueError, match="give one number of at least 0 for each of 4 answers"):
            majority_vote(answers, bad)


def test_self_consistency_votes_over_what_is_extracted():
    vote = self_consistency(["2+3=5", "It is 6", "so $5.00", "who knows"], extract_answer)
    assert (vote.answer, vote.votes, vote.abstained) == ("5", {"5": 2, "6": 1}, 1)


def test_best_of_takes_the_highest_score_and_of_equals_the_first():
    assert best_of(["a", "b", "c"], [0.1, 0.9, 0.9]) == "b"
    assert best_of(["a"], [float("-inf")]) == "a"
    with pytest.raises(ValueError, match="samples holds 2 and scores 1"):
        best_of(["a", "b"], [1])
    with pytest.raises(ValueError, match="samples holds 0"):
        best_of([], [])
    with pytest.raises(ValueError, match="NaN"):
        best_of(["a", "b"], [1, float("nan")])


def test_the_curve_uses_the_whole_pool_for_every_size():
    pools = [["x", "right", "right", "x"], ["right", "right", "right", "x"]]
    first = lambda i, part: part[0]
    points = compute_curve(pools, first, lambda i, answer: answer == "right", sizes=(1, 2, 3, 4), tokens=len)
    assert [point.n for point in points] == [1, 2, 3, 4]
    # n = 1: (2/4 + 3/4) / 2; n = 2: parts begin at 0 and 2: (0 + 1) / 2 and (1 + 1) / 2; n = 3 and 4: one part each.
    assert [point.accuracy for point in points] == pytest.approx([0.625, 0.75, 0.5, 0.5])
    assert points[0].tokens == pytest.approx((5 * 5 + 3) / 8) and points[3].tokens == pytest.approx(14)
    assert all(point.low <= point.accuracy <= point.high for point in points)
    with pytest.raises(ValueError, match=r"pools of \[4\] samples do not serve sizes=\[8\]"):
        compute_curve(pools, first, lambda i, answer: True, sizes=[8], tokens=len)
    with pytest.raises(ValueError, match=r"pools of \[3, 4\] samples"):
        compute_curve([pools[0], pools[1][:3]], first, lambda i, answer: True, sizes=[1], tokens=len)


def test_voting_needs_a_task_where_right_ways_agree_and_wrong_ones_differ():
    """Of eleven samples five are right, each wrong one different: the vote finds what a single sample mostly misses."""
    pool = ["9"] * 5 + [str(i) for i in range(6)]
    vote = lambda i, part: majority_vote(part)
    one, eleven = compute_curve([pool], vote, lambda i, answer: answer == "9", sizes=(1, 11), tokens=len)
    assert one.accuracy == pytest.approx(5 / 11) and eleven.accuracy == 1
