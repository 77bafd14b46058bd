"""Lab 16's own oracles agree with the library, which the lab keeps away from its students."""

import itertools

import pytest
import torch

from courseware.classroom.cases import Draw, lab16
from llmlib import align
from llmlib.infer import best_of, extract_answer, tally, tree_search

SEEDS = range(6)
REPLIES = (
    lab16.last_of_the_steps, lab16.with_its_prompt, lab16.nothing_but_the_prompt, lab16.said_and_explained,
    lab16.in_other_letters, lab16.said_twice, lab16.asks_itself, lab16.in_a_box, lab16.as_people_write,
    lab16.decimals_and_signs, lab16.cut_off_behind_the_mark,
)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", REPLIES, ids=lambda inputs: inputs.__name__)
def test_the_answer_is_the_one_that_the_library_reads(inputs, seed):
    text, prompt = inputs(Draw(seed))
    library = extract_answer(text, prompt=prompt)
    assert lab16.read_answer(text, prompt) == (None if library is None else float(library))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "inputs",
    [lab16.some_votes, lab16.most_have_none, lab16.a_tie, lab16.later_ahead, lab16.weighted_votes, lab16.no_votes],
)
def test_the_vote_is_the_librarys(inputs, seed):
    answers, weights = inputs(Draw(seed))
    library = tally(answers, weights)
    assert lab16.vote(answers, weights) == {"answer": library.answer, "share": pytest.approx(library.share)}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab16.scored, lab16.tied_scores, lab16.one_of_k, lab16.all_of_them])
def test_the_best_of_k_is_the_mean_of_the_librarys_over_all_choices(inputs, seed):
    scores, right, k = inputs(Draw(seed))
    each = [
        best_of([row_right[i] for i in chosen], [row[i] for i in chosen])
        for row, row_right in zip(scores.tolist(), right.tolist())
        for chosen in itertools.combinations(range(len(row)), k)
    ]
    assert lab16.best_of_k(scores, right, k) == pytest.approx(sum(each) / len(each))


def test_the_best_of_k_of_an_oracle_is_whether_any_is_right():
    _, right, _ = lab16.scored(Draw(0))
    n = right.shape[1]
    any_right = [any(row[i] for i in c) for row in right.tolist() for c in itertools.combinations(range(n), 3)]
    assert lab16.best_of_k(right.float(), right, 3) == pytest.approx(sum(any_right) / len(any_right))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab16.a_way_back, lab16.a_threshold, lab16.no_goal, lab16.goal_at_once])
def test_the_search_is_the_librarys(inputs, seed):
    children, values, goals, _, threshold = inputs(Draw(seed))
    (tree,) = tree_search(
        ["s0"], lambda states: [children[s] for s in states], lambda states: [values[s] for s in states],
        goals.__contains__, strategy="dfs", threshold=threshold, max_depth=100,
    )  # fmt: skip
    found = lab16.searched(children, values, goals, lab16.CALLS, threshold)
    asked = [
        node.state
        for node in sorted(tree.nodes, key=lambda n: -1 if n.order is None else n.order)
        if node.order is not None
    ]
    assert found == {"path": tree.path(tree.goals[0]) if tree.goals else None, "asked": asked}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab16.differing, lab16.graded, lab16.all_alike])
def test_the_advantages_are_the_librarys(inputs, seed):
    (rewards,) = inputs(Draw(seed))
    ours, library = lab16.group_advantages(rewards).float(), align.group_advantages(rewards)
    torch.testing.assert_close(ours, library, rtol=1e-4, atol=1e-4)


def test_a_tiny_constant_makes_advantages_of_a_rounding_error():
    """What the lab says of seven rewards of 0.7 is so, at least where sums round as they do here."""
    rewards = torch.full((1, 7), 0.7)
    off = rewards.mean(1, keepdim=True) != rewards
    careless = (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-8)
    assert (careless.abs() > 0.5).equal(off)


@pytest.mark.parametrize(
    "search",
    [lab16.puts_aside, lab16.shares_places, lab16.keeps_in_the_pool, lab16.multiplies],
    ids=lambda f: f.__name__,
)
def test_right_beam_searches_with_room_for_everything_find_the_likeliest_text(search):
    model = [[0.1, 0.52, 0.38], [0.25, 0.4, 0.35], [0.8, 0.15, 0.05]]
    texts = search(model, 81, 3)
    assert texts[0][0] == [2, 0] and len(texts) == 15
    greedy = search(model, 1, 3)
    assert [tokens for tokens, _ in greedy] == [[1, 1, 1]]
