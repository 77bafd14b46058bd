"""The course's own base models: small Llamas of several sizes, one tokenizer, pre-trained on the same prose."""

from __future__ import annotations

from pathlib import Path

import torch

from llmlib.data.recordings import FOLDER
from llmlib.model import Transformer
from llmlib.text import BPETokenizer

from .packaged import load_packaged

VOCABULARY = FOLDER / "base.bpe"


def base_sizes() -> list[str]:
    """The names that `load_base` knows, smallest first."""
    sizes = [path.stem.removeprefix("base_") for path in FOLDER.glob("base_*m.safetensors")]
    return sorted(sizes, key=lambda size: float(size.removesuffix("m")))


def checkpoint_file(size: str, updates: int) -> Path:
    """Where the weights of a size after so many updates lie."""
    return FOLDER / f"base_{size}_{updates}.safetensors"


def load_base(
    size: str = "1m",
    *,
    updates: int | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Transformer, BPETokenizer]:
    """A base model of about that many parameters, in evaluation mode, and its tokenizer. Lecture 08 looks at them.

    size: one of `base_sizes()`. updates: the weights as they were after so many updates, of which a few are kept; None
    for the end of training. ValueError for one that is not there. Pre-trained by experiments/base_models.py on passages
    of Wikipedia, fairy tales and novels (`llmlib.data.prose`), 3 million tokens read twice; kept in bf16. How good each
    is: `recorded("base_models")`. Context: 256 tokens. A text begins after "<|endoftext|>"; "<|im_start|>" and
    "<|im_end|>" were never trained, as lecture 11 gives them a meaning. The weights are made from share-alike text and
    stay under CC BY-SA 4.0 (DATA.md).
    """
    if size not in base_sizes():
        raise ValueError(f"size={size!r} is not a base model of the course: choose one of {', '.join(base_sizes())}")
    path = FOLDER / f"base_{size}.safetensors" if updates is None else checkpoint_file(size, updates)
    if not path.exists():
        kept = sorted(int(each.stem.rpartition("_")[2]) for each in FOLDER.glob(f"base_{size}_*.safetensors"))
        raise ValueError(
            f"updates={updates!r} is not kept of {size}: choose one of {', '.join(map(str, [*kept, None]))}"
        )
    return load_packaged(path, device, dtype), BPETokenizer.load(VOCABULARY)
