"""Where a run's batches come from, and how far it has read: one interface to all that `Trainer` takes."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor


class Feed:
    """One batch after the other out of an iterable, or out of a function of the batch's number (0, 1, 2, ...).

    An iterable that ends is begun again, epoch after epoch. What it does not remember itself, in a `state_dict`, is
    made up for on resuming by reading up to the same place, so its order must be the same each time. A function
    remembers nothing.
    """

    def __init__(self, batches: Iterable | Callable[[int], object]) -> None:
        if not hasattr(batches, "__iter__") and not callable(batches):
            raise ValueError(
                f"batches is a {type(batches).__name__}: give a tensor of token ids, an iterable of batches "
                "or a function of the batch's number"
            )
        self.batches = batches
        self.drawn = 0  # batches in all
        self.place = 0  # batches of the present epoch
        self._iterator: Iterator | None = None

    def __next__(self) -> object:
        batch = self._next_of_epoch() if hasattr(self.batches, "__iter__") else self.batches(self.drawn)
        self.drawn += 1
        return batch

    def _next_of_epoch(self) -> object:
        for fresh in (False, True):
            if self._iterator is None:
                self._iterator = iter(self.batches)
            try:
                batch = next(self._iterator)
                self.place += 1
                return batch
            except StopIteration:
                if fresh or self._iterator is self.batches:
                    break
                self._iterator, self.place = None, 0
        raise ValueError(
            f"batches has nothing more to give after {self.drawn} of them: make it longer, or pass something "
            "that can be read again, such as a list"
        )

    def state_dict(self) -> dict:
        """How far the run has read, and what the iterable itself remembers."""
        own = self.batches.state_dict() if hasattr(self.batches, "state_dict") else None
        return dict(drawn=self.drawn, place=self.place, own=own)

    def load_state_dict(self, state: dict) -> None:
        """Go on where `state` was taken."""
        own, remembers = state["own"], hasattr(self.batches, "load_state_dict")
        if (own is not None) != remembers:
            raise ValueError("batches is of another kind than in the saved run: pass the same")
        self._iterator = None
        if remembers:
            self.batches.load_state_dict(own)
        elif hasattr(self.batches, "__iter__"):
            self.place = 0
            for _ in range(state["place"]):
                self._next_of_epoch()
        self.drawn, self.place = state["drawn"], state["place"]


def to_device(batch: object, device: torch.device) -> object:
    """The batch with all its tensors on the device; dicts, tuples and lists of them keep their form."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, Mapping):
        return {name: to_device(value, device) for name, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(to_device(value, device) for value in batch)
    return batch
