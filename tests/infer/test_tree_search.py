"""Tree search on trees small enough to draw, against what the strategies are defined to do."""

import random

import pytest

from llmlib.infer import tree_search

CHILDREN = {"r": "abc", "a": "de", "b": "fg", "c": "h", "e": "G", "f": "G", "h": "i"}
VALUES = dict(r=0, a=3, b=2, c=1, d=5, e=0, f=4, g=1, h=9, i=2, G=10)
propose = lambda states: [list(CHILDREN.get(state, "")) for state in states]
value = lambda states: [VALUES[state] for state in states]


def search(roots="r", **options):
    options = dict(propose=propose, value=value, is_goal=lambda state: state == "G") | options
    return tree_search(list(roots), **options)


def expanded(tree):
    order = sorted((node for node in tree.nodes if node.order is not None), key=lambda node: node.order)
    return "".join(node.state for node in order)


def test_a_beam_keeps_the_best_of_each_level():
    [tree] = search(strategy="beam", width=2)
    # Level 1: a, b (c pruned). Level 2: of d 5, e 0, f 4, g 1 the best two. Level 3: f's child.
    assert expanded(tree) == "rabdf" and tree.solved and tree.best == "G"
    assert tree.path(tree.goals[0]) == ["r", "b", "f", "G"]
    assert "".join(sorted(node.state for node in tree.nodes if node.pruned)) == "ceg"
    assert tree.spent == 3 + 4 + 1 and tree.expanded == 5 and not tree.out_of_budget
    [narrow] = search(strategy="beam", width=1)
    assert expanded(narrow) == "rad" and not narrow.solved and narrow.best == "d"


def test_breadth_first_expands_all_of_a_level():
    [tree] = search(strategy="bfs")
    assert expanded(tree) == "rabcdefgh"[:4] + "".join(sorted("defgh", key=lambda s: -VALUES[s]))
    assert tree.solved and tree.expanded == 9


def test_depth_first_goes_down_and_back():
    [tree] = search(strategy="dfs")
    assert expanded(tree) == "rade" and tree.path(tree.goals[0]) == ["r", "a", "e", "G"]
    assert tree.backtracks == 1, "from d, which has no way on, to e"
    [cautious] = search(strategy="dfs", threshold=1)
    assert expanded(cautious) == "radbf" and cautious.backtracks == 1
    assert [node.state for node in cautious.nodes if node.pruned] == ["e"]
    [shallow] = search(strategy="dfs", max_depth=2)
    assert not shallow.solved and expanded(shallow) == "rabc" and shallow.backtracks == 2


def test_best_first_takes_the_most_valued_open_node():
    [tree] = search(strategy="best")
    assert expanded(tree) == "radbf" and tree.backtracks == 1
    [every] = search(strategy="best", first=False)
    assert expanded(every) == "radbfgchie" and len(every.goals) == 1, "the second G has been seen"


def test_what_is_spent_and_when_it_ends():
    [tree] = search(strategy="bfs", budget=3)
    assert expanded(tree) == "r" and tree.out_of_budget and tree.spent == 3 and not tree.solved
    [tree] = search(strategy="dfs", budget=4)
    assert expanded(tree) == "ra" and tree.spent == 5, "the call that passes the budget is made"
    [tree] = search(strategy="beam", width=2, cost=lambda state: 10, value_cost=lambda state: 1)
    assert tree.spent == 80 + 9, "value looked at the root too"
    [repeated] = tree_search(
        ["r"], lambda states: [["x", "x", "r"] for _ in states], lambda s: [0] * len(s), lambda s: False
    )
    assert repeated.spent == 6 and len(repeated.nodes) == 2 and repeated.expanded == 2


def test_a_root_may_be_the_goal_and_there_may_be_no_root():
    [tree] = search("G")
    assert tree.solved and tree.expanded == 0 and tree.best == "G" and tree.path(0) == ["G"]
    assert tree_search([], propose, value, bool) == []


@pytest.mark.parametrize("strategy", ["beam", "bfs", "dfs", "best"])
def test_many_trees_grow_as_each_would_alone_in_fewer_calls(strategy):
    calls = []

    def counted(states):
        calls.append(len(states))
        return propose(states)

    together = search("rabcr", strategy=strategy, width=2, propose=counted)
    n = len(calls)
    alone = [search(root, strategy=strategy, width=2, propose=counted)[0] for root in "rabcr"]
    assert together == alone and n < len(calls) - n


@pytest.mark.parametrize(("option", "message"), [(dict(strategy="mcts"), "strategy='mcts' is none of beam, bfs"),
                                                 (dict(width=0), "width=0")])  # fmt: skip
def test_errors(option, message):
    with pytest.raises(ValueError, match=message):
        search(**option)


def test_every_strategy_finds_the_same_goals_when_nothing_is_left_out():
    rng = random.Random(0)
    tree = {number: [4 * number + i for i in range(1, 4)] for number in range(80)}
    scores = {number: rng.random() for number in range(400)}
    goals = lambda state: state % 17 == 3
    run = lambda strategy: tree_search(
        [0], lambda states: [tree.get(s, []) for s in states], lambda states: [scores[s] for s in states], goals,
        strategy=strategy, width=10**6, first=False, max_depth=50,
    )[0]  # fmt: skip
    found = {
        strategy: {t.nodes[i].state for i in t.goals}
        for strategy in ("beam", "bfs", "dfs", "best")
        for t in [run(strategy)]
    }
    assert len(found["bfs"]) > 3 and all(goals == found["bfs"] for goals in found.values())


def test_with_a_fair_value_a_tree_beats_sampling_where_the_way_is_long():
    """A lock of ten dials with four positions each: a tree that is told, truly in 9 of 10 cases, whether the
    dials set so far are right, opens many; at as many dials turned nobody does who hears only at the end."""
    rng = random.Random(0)
    locks = [tuple(rng.choices("abcd", k=10)) for _ in range(30)]
    turned = lambda states: [[(i, (*dials, one)) for one in "abcd"] for i, dials in states]
    opinion = lambda states: [(dials == locks[i][: len(dials)]) ^ (rng.random() < 0.1) for i, dials in states]
    trees = tree_search(
        [(i, ()) for i in range(30)], turned, opinion, lambda state: state[1] == locks[state[0]], width=4, budget=200
    )
    assert sum(tree.solved for tree in trees) > 12
    assert all(len(tree.path(i)) == 11 for tree in trees for i in tree.goals)
    tries = [[tuple(rng.choices("abcd", k=10)) for _ in range(20)] for _ in locks]
    assert sum(lock in mine for lock, mine in zip(locks, tries)) < 2
