"""torch.compile where it works."""

import warnings

import torch
from torch import Tensor, nn


class Compiled:
    """The compiled model, or the model itself with a warning if compiling fails at the first call."""

    def __init__(self, model: nn.Module) -> None:
        self._orig_mod, self.compiled = model, torch.compile(model)
        self.works: bool | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self.__dict__["_orig_mod"], name)

    def __call__(self, *args: object, **kwargs: object) -> Tensor:
        if self.works is False:
            return self._orig_mod(*args, **kwargs)
        try:
            output = self.compiled(*args, **kwargs)
        except Exception as problem:
            if self.works:  # it ran before, so this is not about compiling
                raise
            self.works = False
            first_line = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
            warnings.warn(f"torch.compile failed, training goes on without it ({first_line})", stacklevel=2)
            return self._orig_mod(*args, **kwargs)
        self.works = True
        return output
