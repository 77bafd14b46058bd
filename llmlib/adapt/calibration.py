"""What the linear layers of a model are given to read: statistics of their inputs over some text. Lecture 15."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from llmlib.infer import evaluation_mode
from llmlib.train.losses import Batch, unpack


@dataclass
class InputStatistics:
    """Means over all the inputs x (n_in,) that a linear layer has read; float32."""

    second_moment: Tensor
    """(n_in, n_in): mean of x x^T, half the second derivative of the squared output error by a row of the weight."""
    mean_abs: Tensor
    """(n_in,): mean of |x|, how large each input channel is."""
    n_inputs: int = 0

    def add(self, x: Tensor) -> None:
        """Take more inputs in: (n, n_in)."""
        x = x.detach().float()
        self.n_inputs += len(x)
        share = len(x) / max(self.n_inputs, 1)
        self.second_moment.lerp_(x.T @ x / max(len(x), 1), share)
        self.mean_abs.lerp_(x.abs().sum(0) / max(len(x), 1), share)

    @classmethod
    def of(cls, x: Tensor) -> InputStatistics:
        """Of the inputs (..., n_in) alone. ValueError if there are none."""
        if x.dim() < 2 or not x.numel():
            raise ValueError(f"x has shape {tuple(x.shape)}: give at least one input, (n, n_in)")
        statistics = cls.empty(x.shape[-1], x.device)
        statistics.add(x.flatten(0, -2))
        return statistics

    @classmethod
    def empty(cls, n_in: int, device: torch.device | str = "cpu") -> InputStatistics:
        return cls(torch.zeros(n_in, n_in, device=device), torch.zeros(n_in, device=device))


@torch.no_grad()
def calibrate(
    model: nn.Module, calibration: Tensor | Iterable[Batch], names: Sequence[str]
) -> dict[str, InputStatistics]:
    """Run token batches through a model and keep statistics of what its named linear layers read.

    calibration: ids (B, T), or batches as `next_token_loss` takes them; targets are not needed, padding is left out.
    A few thousand tokens of the text that the model is for are usual. The model runs in evaluation mode and is not
    changed. ValueError for an empty calibration, and for a layer that no token reaches.
    """
    batches = as_batches(calibration)
    parts = {name: model.get_submodule(name) for name in names}
    device = next(model.parameters()).device
    seen = {name: InputStatistics.empty(part.in_features, device) for name, part in parts.items()}
    real: list[Tensor | None] = [None]  # of the present batch, which of its tokens are no padding

    def keep(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x, mask = inputs[0], real[0]
        seen[name].add(x[mask] if mask is not None and x.shape[:-1] == mask.shape else x.flatten(0, -2))

    run = model if "lm_head" in parts or not hasattr(model, "hidden") else model.hidden
    with _listening(parts, keep), evaluation_mode(model):
        for batch in batches:
            ids, _, inputs = unpack(batch)
            inputs = {key: value.to(device) for key, value in inputs.items()}
            real[0] = inputs["segments"] >= 0 if "segments" in inputs else inputs.get("pad_mask")
            run(ids.to(device), **inputs)
    if missed := [name for name, statistics in seen.items() if not statistics.n_inputs]:
        raise ValueError(f"calibration reached no input of {missed[0]}: leave that layer out with targets=")
    return seen


def as_batches(calibration: Tensor | Iterable[Batch] | None) -> list[Batch]:
    """The batches as a list, so that they can be read more than once; ValueError if there is none."""
    if isinstance(calibration, Tensor):
        calibration = [calibration] if calibration.numel() else []
    batches = list(calibration or [])
    if not batches:
        raise ValueError("calibration is empty: give batches of token ids, say 16 rows of text that the model is for")
    return batches


@contextmanager
def _listening(parts: dict[str, nn.Module], keep) -> Iterator[None]:
    handles = [part.register_forward_pre_hook(partial(keep, name)) for name, part in parts.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
