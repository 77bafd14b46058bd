"""Making a model whose weights are about to come from a file."""

from __future__ import annotations

from torch.overrides import TorchFunctionMode


class Unfilled(TorchFunctionMode):
    """`with Unfilled(): model = Transformer(config)`: the weights have memory but no values yet.

    Drawing random numbers that a checkpoint overwrites takes seconds for a large model; memory that nothing was written
    to costs nothing. On the meta device it also spares a second, in which torch loads its compiler to draw nothing.
    Only for models whose every weight is loaded afterwards.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        draws = getattr(func, "__name__", "") in ("normal_", "uniform_", "kaiming_uniform_", "trunc_normal_")
        if draws:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))
