"""From a row of logits to the next token: greedy, temperature, top-k, top-p and min-p, as pure functions."""

from typing import TypedDict

import torch
from torch import Tensor


class Sampling(TypedDict, total=False):
    """The keyword arguments that say how the next token is picked; `generate` and `stream` pass them on."""

    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None
    greedy: bool
    generator: torch.Generator | None


def check_sampling(
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    greedy: bool = False,
    generator: torch.Generator | None = None,
) -> None:
    """Raise ValueError for settings that no distribution can follow, so that callers can refuse before they sample."""
    if not greedy and not 0 < temperature < float("inf"):
        raise ValueError(
            f"temperature={temperature} must be a positive number; for the most likely token use greedy=True"
        )
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k} must be at least 1; use None to keep every token")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p} must lie in (0, 1]; use None to keep every token")
    if min_p is not None and not 0 <= min_p <= 1:
        raise ValueError(f"min_p={min_p} must lie in [0, 1]; use None to keep every token")


def filter_logits(
    logits: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
) -> Tensor:
    """Logits (..., V) -> logits (..., V) of the distribution that is really sampled; tokens ruled out are -inf.

    The filters apply in the order in which they are written here, each to what the one before left over:

    - temperature divides the logits: below 1 sharpens, above 1 flattens;
    - top_k keeps the k largest logits (Fan et al., 2018), and every token tied with the k-th;
    - top_p keeps the smallest set of most likely tokens whose probabilities reach p (nucleus sampling, Holtzman et
      al., 2020), at least one; of equals the lower id comes first;
    - min_p keeps tokens at least min_p times as likely as the most likely one (Nguyen et al., 2024).

    The input is left as it was. Built in lecture 03 (temperature) and lecture 04 (the rest).
    """
    logits = logits / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        threshold = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < threshold, float("-inf"))
    if top_p is not None and top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        probs = ordered.softmax(-1)
        mass_before = probs.cumsum(-1) - probs
        dropped = mass_before >= top_p
        dropped[..., 0] = False  # a very small p must still leave the most likely token
        logits = logits.masked_fill(dropped.scatter(-1, order, dropped), float("-inf"))
    if min_p is not None:
        probs = logits.softmax(-1)
        logits = logits.masked_fill(probs < min_p * probs.amax(-1, keepdim=True), float("-inf"))
    return logits


def sample_next(
    logits: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    greedy: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Pick one token per row: logits (..., V) -> token ids (...), int64.

    A pure function: the logits are not changed and the only source of chance is `generator` (torch's global one if
    None). With greedy=True the most likely token is taken and the other settings play no part. `filter_logits` says
    what temperature, top_k, top_p and min_p do and in which order. Raises ValueError for settings out of range and for
    a row that leaves nothing to choose (every logit -inf, or a NaN or +inf among them).
    """
    if not greedy or temperature != 1.0:  # the common greedy call skips straight to the maximum
        check_sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, greedy=greedy)
    best, token = logits.max(-1)  # max carries a NaN along, so this one number vouches for the whole row
    if not best.isfinite().all():
        raise ValueError(_bad_row_message(logits, best))
    if greedy:
        return token
    if generator is not None and generator.device.type != logits.device.type:
        raise ValueError(
            f"generator lives on {generator.device} but the logits on {logits.device}; "
            f"make it with torch.Generator('{logits.device.type}')"
        )
    kept = filter_logits(logits.float(), temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    probs = kept.softmax(-1)
    flat = torch.multinomial(probs.reshape(-1, probs.shape[-1]), 1, generator=generator)
    return flat.reshape(logits.shape[:-1])


def _bad_row_message(logits: Tensor, best: Tensor) -> str:
    row = int((~best.isfinite()).reshape(-1).nonzero()[0])
    worst = best.reshape(-1)[row].item()
    if worst == float("-inf"):
        return f"logits of row {row} are all -inf, so no token can be chosen; leave at least one token unmasked"
    return (
        f"logits of row {row} contain {worst}; look for a division by zero or an overflow in the model before sampling"
    )
