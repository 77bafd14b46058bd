"""Where to run."""

from __future__ import annotations

import torch


def default_device() -> torch.device:
    """CUDA when present, otherwise the CPU. MPS only on request, torch.device("mps"): its numbers differ."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
