"""Search over thoughts: propose ways to go on, value them, follow the good ones, turn back from the bad. Lecture 16.

"Tree of thoughts" (Yao et al., 2023) as a search that knows nothing of language: what a state is, who proposes and who
values are functions. Many trees grow in step, so that a model is asked for all of them in one batch.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

State = TypeVar("State", bound=Hashable)
STRATEGIES = ("beam", "bfs", "dfs", "best")


@dataclass
class Node:
    """A state in a tree."""

    state: Hashable
    parent: int | None
    """The number of the node that it was proposed from; None for the root."""
    depth: int
    value: float
    goal: bool = False
    order: int | None = None
    """As which of the tree's nodes it was expanded, from 0; None if it never was."""
    pruned: bool = False
    """Whether it was dropped: below the threshold, or not among the beam's best."""


@dataclass
class Tree:
    """All that one search has seen. nodes[0] is the root."""

    nodes: list[Node] = field(default_factory=list)
    spent: float = 0
    """What all proposals and valuations cost."""
    expanded: int = 0
    backtracks: int = 0
    """How often the search went on elsewhere than below the node it had just expanded."""
    goals: list[int] = field(default_factory=list)
    """The numbers of the nodes that are goals, as they were found."""
    out_of_budget: bool = False

    @property
    def solved(self) -> bool:
        return bool(self.goals)

    @property
    def best(self) -> Hashable:
        """The goal with the highest value; without a goal the deepest node's state, of equals the most valued."""
        if self.goals:
            return self.nodes[max(self.goals, key=lambda i: self.nodes[i].value)].state
        return max(self.nodes, key=lambda node: (node.depth, node.value)).state

    def path(self, number: int) -> list[Hashable]:
        """The states from the root to a node."""
        states = []
        at: int | None = number
        while at is not None:
            states.append(self.nodes[at].state)
            at = self.nodes[at].parent
        return states[::-1]


def tree_search(
    roots: Sequence[State],
    propose: Callable[[list[State]], list[list[State]]],
    value: Callable[[list[State]], Sequence[float]],
    is_goal: Callable[[State], bool],
    *,
    strategy: str = "beam",
    width: int = 5,
    max_depth: int = 10,
    threshold: float = float("-inf"),
    budget: float | None = None,
    cost: Callable[[State], float] = lambda state: 1,
    value_cost: Callable[[State], float] = lambda state: 0,
    first: bool = True,
) -> list[Tree]:
    """A tree for each root, of states that are hashable.

    - propose(states): the states that each can go on to; value(states): a number for each, higher is better. Both are
      asked for the states of all trees together. is_goal(state): whether it is what is searched for.
    - strategy: "beam", level by level, the `width` best of each level (Yao et al.'s breadth-first search); "bfs", level
      by level, all of it; "dfs", the best child first and deeper at once, back to the last node that has another child
      where there is no way on; "best", whichever open node has the highest value.
    - States valued below `threshold` are not followed, nor is what lies at max_depth (the root is at 0), nor a state
      that this tree has seen before.
    - budget: how much each tree may spend. Every proposed state costs `cost` (repeated ones too, for they were
      written), and value_cost when it is valued; the tokens of a `Thought` are cost=lambda thought: thought.tokens.
      A tree goes on while it has spent less than its budget, so it may end somewhat above.
    - first: a tree ends at its first goal; otherwise it goes on for others until budget, depth or nodes run out.

    A tree that finds nothing is no error: look at `solved`.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy={strategy!r} is none of {', '.join(STRATEGIES)}")
    if width < 1 or max_depth < 1:
        raise ValueError(f"width={width} and max_depth={max_depth} must be at least 1")
    searches = [_Search(root, strategy, width, max_depth, threshold) for root in roots]
    for search, number in zip(searches, value([search.tree.nodes[0].state for search in searches]) if searches else []):
        search.tree.nodes[0].value = float(number)
        search.tree.spent += value_cost(search.tree.nodes[0].state)
    for search in searches:
        search.note_goal(0, is_goal)
    while True:
        turns = [(search, number) for search in searches for number in search.take(budget, first)]
        if not turns:
            return [search.tree for search in searches]
        proposals = propose([search.tree.nodes[number].state for search, number in turns])
        fresh: list[tuple[_Search, int, State]] = []
        for (search, number), states in zip(turns, proposals, strict=True):
            for state in states:
                search.tree.spent += cost(state)
                if state not in search.seen:
                    search.seen.add(state)
                    fresh.append((search, number, state))
        values = value([state for _, _, state in fresh]) if fresh else []
        for (search, parent, state), number in zip(fresh, values, strict=True):
            search.tree.spent += value_cost(state)
            search.add(state, parent, float(number), is_goal)
        for search in {id(search): search for search, _ in turns}.values():
            search.settle()


class _Search:
    """One tree and the nodes that are still to be expanded."""

    def __init__(self, root: Hashable, strategy: str, width: int, max_depth: int, threshold: float) -> None:
        self.strategy, self.width, self.max_depth, self.threshold = strategy, width, max_depth, threshold
        self.tree = Tree([Node(root, None, 0, 0.0)])
        self.seen = {root}
        self.open = [0]
        self.new: list[int] = []
        self.last: int | None = None  # expanded

    def take(self, budget: float | None, first: bool) -> list[int]:
        """The nodes to expand now, none when the search is over."""
        tree = self.tree
        if not self.open or (first and tree.goals):
            return []
        tree.out_of_budget = budget is not None and tree.spent >= budget
        if tree.out_of_budget:
            return []
        if self.strategy in ("beam", "bfs"):
            taken, self.open = self.open, []
        else:
            place = -1
            if self.strategy == "best":  # of equals the newest
                place = max(range(len(self.open)), key=lambda i: (tree.nodes[self.open[i]].value, i))
            taken = [self.open.pop(place)]
            below = self.last is None or tree.nodes[taken[0]].parent == self.last
            tree.backtracks += not below
            self.last = taken[0]
        for number in taken:
            tree.nodes[number].order = tree.expanded
            tree.expanded += 1
        return taken

    def add(self, state: Hashable, parent: int, value: float, is_goal: Callable[[Hashable], bool]) -> None:
        tree = self.tree
        tree.nodes.append(Node(state, parent, tree.nodes[parent].depth + 1, value))
        self.new.append(len(tree.nodes) - 1)
        self.note_goal(len(tree.nodes) - 1, is_goal)

    def note_goal(self, number: int, is_goal: Callable[[Hashable], bool]) -> None:
        node = self.tree.nodes[number]
        node.goal = bool(is_goal(node.state))
        if node.goal:
            self.tree.goals.append(number)
            self.open = [n for n in self.open if n != number]

    def settle(self) -> None:
        """Decide which of the new nodes are followed, and in which order."""
        nodes = self.tree.nodes
        best_first = sorted(self.new, key=lambda number: -nodes[number].value)  # stable: of equals the first proposed
        followed = [number for number in best_first if not nodes[number].goal and nodes[number].value >= self.threshold]
        if self.strategy == "beam":
            followed = followed[: self.width]
        for number in self.new:
            nodes[number].pruned = not nodes[number].goal and number not in followed
        followed = [number for number in followed if nodes[number].depth < self.max_depth]
        self.open += followed[::-1] if self.strategy == "dfs" else followed  # depth first takes the last
        self.new = []
