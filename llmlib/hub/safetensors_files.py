"""Reading safetensors, the format in which weights are published: a table as JSON, then the numbers, nothing to run."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor


def read_safetensors(path: str | os.PathLike) -> dict[str, Tensor]:
    """The tensors of a file by name. A damaged file is a ValueError in one line."""
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"weights file {str(path)!r} is damaged or no safetensors file ({reason})") from None
