"""A running average of the weights: a steadier model than the last step leaves."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class WeightAverage:
    """Exponential moving average of parameters (Polyak and Juditsky, 1992). Built in lecture 07.

    At a high learning rate the weights bounce around a valley and their average lies nearer to its bottom: the average
    over the last tens of steps predicts about as well as the weights would after a decay of the learning rate, while
    training goes on undisturbed. `decay` 0.98 averages over some 1 / (1 - 0.98) = 50 updates; early on over fewer, so
    that the random initial weights are forgotten at once.
    """

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay={decay} must lie in [0, 1): 0.98 averages over some 50 updates")
        self.parameters, self.decay, self.updates = list(parameters), decay, 0
        self.average = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Take the parameters' present values into the average."""
        self.updates += 1
        decay = min(self.decay, (self.updates - 1) / (self.updates + 9))
        torch._foreach_lerp_(self.average, self.parameters, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within this context the parameters hold the average, after it what they held before."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def keep(self) -> None:
        """Put the average into the parameters for good."""
        torch._foreach_copy_(self.parameters, self.average)

    @torch.no_grad()
    def _swap(self) -> None:
        present = [p.detach().clone() for p in self.parameters]
        torch._foreach_copy_(self.parameters, self.average)
        self.average = present
