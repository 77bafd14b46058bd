"""Seeded random inputs for cases, and parameters that depend on nothing but their names."""

import numpy as np


class Draw:
    """Seeded random inputs. Tensors come from ``torch``; ``draw.numpy`` is a numpy ``Generator`` for labs without it.

    ``draw.seed`` is what a report prints, so that a failing hidden case can be drawn again. With ``small=True`` the
    numbers of ``integer`` and ``choice`` keep to the low end of their range: ``check`` looks there for an input that a
    student can follow by hand.
    """

    def __init__(self, seed: int, small: bool = False) -> None:
        self.seed, self.small = seed, small
        self.numpy = np.random.default_rng(seed)

    def normal(self, *shape: int, scale: float = 1.0):
        """A float32 tensor of the given shape, entries N(0, scale^2)."""
        import torch

        return torch.from_numpy(self.numpy.normal(0.0, scale, shape).astype(np.float32))

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0):
        """A float32 tensor of the given shape, entries uniform in [low, high)."""
        import torch

        return torch.from_numpy(self.numpy.uniform(low, high, shape).astype(np.float32))

    def integers(self, low: int, high: int, *shape: int):
        """An int64 tensor of the given shape, entries in [low, high)."""
        import torch

        return torch.from_numpy(self.numpy.integers(low, high, shape, dtype=np.int64))

    def integer(self, low: int, high: int) -> int:
        """One int in [low, high)."""
        if self.small:
            high = low + max(1, (high - low) // 3)
        return int(self.numpy.integers(low, high))

    def choice(self, options):
        """One of ``options``."""
        return options[int(self.numpy.integers(0, len(options)))]

    def text(self, length: int, alphabet: str = "abcdefgh ") -> str:
        """A random string over ``alphabet``."""
        return "".join(self.choice(alphabet) for _ in range(length))


def set_parameters(module, scale: float = 0.1, seed: int = 0) -> None:
    """Fill every parameter of a torch module with values that depend only on its *name*, shape and ``seed``.

    Two modules whose parameters carry the same names and shapes become equal whatever their initialisation. Available
    to recipes under this name; the reference in ``expected`` calls it too.
    """
    import zlib

    import numpy
    import torch

    with torch.no_grad():
        for name, parameter in module.named_parameters():
            draw = numpy.random.default_rng([seed, zlib.crc32(name.encode())])
            values = draw.normal(0.0, scale, tuple(parameter.shape)).astype(numpy.float32)
            parameter.copy_(torch.from_numpy(values))
