"""How fast a machine multiplies matrices, and what share of that a training run reaches. Built in lecture 07."""

import time

import torch

from llmlib.model import ModelConfig, Transformer, flops_per_token


def matmul_peak(
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    size: int | None = None,
    seconds: float = 0.5,
) -> float:
    """FLOP/s of a large square matrix product, the best of many: a ceiling that a real run can be held against.

    size: rows and columns, by default 1024 on a CPU and 8192 elsewhere. A data sheet's peak is higher and reached by
    nothing; what is measured here on the same machine, with the same threads, is.
    """
    device = torch.device(device)
    size = size or (1024 if device.type == "cpu" else 8192)
    if size < 1 or seconds <= 0:
        raise ValueError(f"size={size} and seconds={seconds} must be positive")
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best, spent = float("inf"), 0.0
    while spent < seconds or best == float("inf"):
        began = time.perf_counter()
        a @ b
        _wait(device)
        took = time.perf_counter() - began
        best, spent = min(best, took), spent + took
    return 2 * size**3 / best


def mfu(model: ModelConfig | Transformer, tokens_per_second: float, seq_len: int, peak: float) -> float:
    """Model FLOPs utilisation: the share of `peak` that training at tokens_per_second needs (PaLM, 2022).

    Counts what the model's mathematics asks for, forward and backward, and nothing that is done twice or thrown away.
    """
    if tokens_per_second < 0 or peak <= 0:
        raise ValueError(f"tokens_per_second={tokens_per_second} and peak={peak} must be positive")
    return tokens_per_second * flops_per_token(model, seq_len) / peak


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
