"""Every seed that a notebook gives, moved by an offset: the lecture as another draw of chance would have written it.

`shift_seeds` replaces the few doors through which a seed enters: `torch.manual_seed`, `torch.Generator.manual_seed`,
`numpy.random.default_rng`, `numpy.random.seed`, `random.Random` and `random.seed`. A seed moves if the line that gives
it stands in the notebook or in llmlib; those of other packages and of the classroom (concept tests, polls) stay.

Two things in llmlib stay too (`FIXED`), because the course's small models and recordings learned from them: the world
of the support desk, and which text of a data set belongs to which split. Two generators that a page starts at one seed
start at one seed still, so a page may go on comparing its own code with the library's.
"""

import random
import sys
from types import FrameType

FIXED = ("llmlib.data.support_desk.SupportDesk.__init__", "llmlib.data.headlines._splits", "llmlib.data.reviews.split_")


def shift_seeds(offset: int) -> None:
    """Move all seeds given from now on in this process by `offset`. An offset of 0 changes nothing."""
    if not offset:
        return
    import numpy as np
    import torch

    def moved(seed: object, caller: FrameType) -> object:
        return _shifted(seed, offset) if _moves(caller) else seed

    class Generator(torch._C.Generator):
        def manual_seed(self, seed: int) -> torch._C.Generator:
            return super().manual_seed(moved(seed, sys._getframe(1)))

    class Random(random.Random):
        def __init__(self, x: object = None) -> None:
            super().__init__(moved(x, sys._getframe(1)))

        def seed(self, a: object = None, version: int = 2) -> None:
            super().seed(moved(a, sys._getframe(1)), version)

    doors = {(torch, "manual_seed"): torch.manual_seed, (random, "seed"): random.seed}
    doors |= {(np.random, name): getattr(np.random, name) for name in ("default_rng", "seed")}
    for (module, name), door in doors.items():

        def shifted_door(seed: object = None, *rest: object, _door=door, **named: object) -> object:
            return _door(moved(seed, sys._getframe(1)), *rest, **named)

        setattr(module, name, shifted_door)
    torch.Generator, random.Random = Generator, Random


def _moves(caller: FrameType) -> bool:
    module = caller.f_globals.get("__name__", "")
    name = f"{module}.{caller.f_code.co_qualname}"
    return module == "__main__" or (module.split(".")[0] == "llmlib" and not name.startswith(FIXED))


def _shifted(seed: object, offset: int) -> object:
    """A seed moved: numbers by addition, text and lists by something appended; generators and None as they are."""
    if isinstance(seed, bool) or seed is None:
        return seed
    if isinstance(seed, str):
        return f"{seed} {offset}"
    if isinstance(seed, list | tuple):
        return [*seed, offset]
    try:
        return int(seed) + offset  # an int, or numpy's and torch's
    except (TypeError, ValueError):
        return seed
