"""A running average of the weights: a steadier model than the last step leaves."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from llmlib.train.distributed import local


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
        self.set_aside: list[Tensor] | None = None  # the weights in training, while the model shows the average

    @torch.no_grad()
    def update(self) -> None:
        """Take the parameters' present values into the average."""
        if self.set_aside is not None:
            raise ValueError("the parameters hold the average itself: call restore() before training goes on")
        self.updates += 1
        decay = min(self.decay, (self.updates - 1) / (self.updates + 9))
        torch._foreach_lerp_(local(self.average), local(self.parameters), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within this context the parameters hold the average, after it what they held before. May be nested."""
        shown_before = self.set_aside is not None
        self.keep()
        try:
            yield
        finally:
            if not shown_before:
                self.restore()

    @torch.no_grad()
    def keep(self) -> None:
        """Put the average into the parameters, and keep what they held for `restore`."""
        if self.set_aside is None:
            self.set_aside = [p.detach().clone() for p in self.parameters]
            torch._foreach_copy_(local(self.parameters), local(self.average))

    @torch.no_grad()
    def restore(self) -> None:
        """Put the weights in training back, if the average is in their place."""
        if self.set_aside is not None:
            torch._foreach_copy_(local(self.parameters), local(self.set_aside))
            self.set_aside = None

    def state_dict(self) -> dict:
        """The average and its age; the weights in training as well if the parameters hold the average just now."""
        return dict(average=list(self.average), updates=self.updates, set_aside=self.set_aside)

    def check_state(self, state: object) -> None:
        """ValueError for a state of another model's average."""
        state = state if isinstance(state, dict) else {}
        shapes = [p.shape for p in self.parameters]
        average, set_aside = state.get("average"), state.get("set_aside")
        for values in (average, average if set_aside is None else set_aside):
            if not isinstance(values, list) or [getattr(value, "shape", None) for value in values] != shapes:
                raise ValueError("the saved weight average does not fit the model's trainable parameters")
        if not isinstance(state.get("updates"), int) or state["updates"] < 0:
            raise ValueError(f"updates={state.get('updates')!r} of the saved weight average must be a count")

    @torch.no_grad()
    def load_state_dict(self, state: dict) -> None:
        """The inverse of `state_dict`."""
        self.check_state(state)
        for mine, saved in zip(local(self.average), local(state["average"])):
            mine.copy_(saved)
        self.updates = state["updates"]
        self.set_aside = None
        if state["set_aside"] is not None:
            self.set_aside = [p.detach().clone() for p in self.parameters]
            for mine, saved in zip(local(self.set_aside), local(state["set_aside"])):
                mine.copy_(saved)
