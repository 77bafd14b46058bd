"""From a row of logits to the next token: greedy, temperature, top-k, top-p and min-p, as pure functions."""

import dataclasses
import operator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How the next token is picked. Wherever one is taken its fields may also be given by name: `top_k=5`.

    The settings apply in the order in which they stand here, each to what the one before left over; see
    `filter_logits`. With greedy=True the most likely token is taken and the others play no part. Raises ValueError for
    settings that no distribution can follow.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    greedy: bool = False

    def __post_init__(self) -> None:
        if not self.greedy and not _within(self.temperature, 0, float("inf"), open_end=True):
            raise ValueError(
                f"temperature={self.temperature} must be a positive number; for the most likely token use greedy=True"
            )
        if self.top_k is not None and not _is_count(self.top_k):
            raise ValueError(f"top_k={self.top_k} must be a whole number of at least 1; use None to keep every token")
        if self.top_p is not None and not _within(self.top_p, 0, 1):
            raise ValueError(f"top_p={self.top_p} must lie in (0, 1]; use None to keep every token")
        if self.min_p is not None and not (self.min_p == 0 or _within(self.min_p, 0, 1)):
            raise ValueError(f"min_p={self.min_p} must lie in [0, 1]; use None to keep every token")

    @classmethod
    def of(cls, sampling: "Sampling | None", settings: dict[str, Any]) -> "Sampling":
        """`sampling`, or the defaults, with the fields in `settings` changed; an unknown name is a TypeError."""
        if sampling is not None and not isinstance(sampling, cls):
            raise TypeError(f"sampling={sampling!r} must be a Sampling; write its settings by name: temperature=0.7")
        return cls(**settings) if sampling is None else dataclasses.replace(sampling, **settings)


class Step(NamedTuple):
    """One token for each row, and how likely it was.

    tokens: (...) int64. logprobs: (...) float32, the logarithm of the probability with which the token was drawn, after
    temperature and filters; 0 where greedy=True, which leaves nothing to chance. raw_logprobs: (...) float32, under the
    model's own distribution. Policy gradients need the first (Schulman et al., 2017), scores of texts the second.
    """

    tokens: Tensor
    logprobs: Tensor
    raw_logprobs: Tensor


def filter_logits(logits: Tensor, sampling: Sampling | None = None, **settings: Any) -> Tensor:
    """Logits (..., V) -> logits (..., V) of the distribution that is really sampled; tokens ruled out are -inf.

    The filters of `Sampling` apply in the order in which they are written here, each to what the one before left over:

    - temperature divides the logits: below 1 sharpens, above 1 flattens;
    - top_k keeps the k largest logits (Fan et al., 2018), and every token tied with the k-th;
    - top_p keeps the smallest set of most likely tokens whose probabilities reach p (nucleus sampling, Holtzman et
      al., 2020), at least one; of equals the lower id comes first;
    - min_p keeps tokens at least min_p times as likely as the most likely one (Nguyen et al., 2024).

    `greedy` plays no part. The input is left as it was. Built in lecture 03 (temperature) and lecture 04 (the rest).
    """
    how = Sampling.of(sampling, settings)
    logits = _cooled(logits, 1.0 if how.greedy else how.temperature)
    if how.top_k is not None and how.top_k < logits.shape[-1]:
        threshold = logits.topk(how.top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < threshold, float("-inf"))
    if how.top_p is not None and how.top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        probs = ordered.softmax(-1)
        mass_before = probs.cumsum(-1) - probs
        dropped = mass_before >= how.top_p
        dropped[..., 0] = False  # a very small p must still leave the most likely token
        logits = logits.masked_fill(dropped.scatter(-1, order, dropped), float("-inf"))
    if how.min_p is not None:
        probs = logits.softmax(-1)
        logits = logits.masked_fill(probs < how.min_p * probs.amax(-1, keepdim=True), float("-inf"))
    return logits


def sample_next(
    logits: Tensor, sampling: Sampling | None = None, *, generator: torch.Generator | None = None, **settings: Any
) -> Tensor:
    """Pick one token per row: logits (..., V) -> token ids (...), int64.

    A pure function: the logits are not changed and the only source of chance is `generator` (torch's global one if
    None). The settings are a `Sampling`, or its fields by name: temperature, top_k, top_p, min_p, greedy. Raises
    ValueError for settings out of range and for a row that leaves nothing to choose (every logit -inf, or a NaN or
    +inf among them).
    """
    return _pick(logits, Sampling.of(sampling, settings), generator)[0]


def sample_step(
    logits: Tensor, sampling: Sampling | None = None, *, generator: torch.Generator | None = None, **settings: Any
) -> Step:
    """`sample_next` with log-probabilities: logits (..., V) -> Step. The same tokens from the same generator."""
    how = Sampling.of(sampling, settings)
    tokens, kept = _pick(logits, how, generator)
    raw = log_probability(logits, tokens)
    return Step(tokens, torch.zeros_like(raw) if kept is None else log_probability(kept, tokens), raw)


def log_probability(logits: Tensor, tokens: Tensor) -> Tensor:
    """log softmax(logits)[token]: logits (..., V), tokens (...) int64 -> (...) float32. Differentiable.

    With the logits of `filter_logits` it is the log-probability under the distribution that is sampled, -inf for a
    token that was ruled out.
    """
    chosen = logits.float().gather(-1, tokens[..., None])[..., 0]
    return chosen - logits.float().logsumexp(-1)


def _pick(logits: Tensor, how: Sampling, generator: torch.Generator | None) -> tuple[Tensor, Tensor | None]:
    """The tokens, and the logits they were drawn from; None where nothing was drawn."""
    best, token = logits.max(-1)  # max carries a NaN along, so this one number vouches for the whole row
    if not best.isfinite().all():
        raise ValueError(_bad_row_message(logits, best))
    if how.greedy:
        return token, None
    if generator is not None and generator.device.type != logits.device.type:
        raise ValueError(
            f"generator lives on {generator.device} but the logits on {logits.device}; "
            f"make it with torch.Generator('{logits.device.type}')"
        )
    kept = filter_logits(logits.float(), how)
    probs = kept.softmax(-1)
    flat = torch.multinomial(probs.reshape(-1, probs.shape[-1]), 1, generator=generator)
    return flat.reshape(logits.shape[:-1]), kept


def _cooled(logits: Tensor, temperature: float) -> Tensor:
    """logits / temperature, as a distribution also where the quotient is more than the type can hold."""
    largest = torch.finfo(torch.float32).max  # the division is done in float32, where more than this is infinite
    scaled = logits / min(temperature, largest)
    if temperature < 1:
        best = logits.amax(-1, keepdim=True)
        if temperature < 1 / largest or (scaled.amax(-1, keepdim=True).isfinite() != best.isfinite()).any():
            # The same distribution, with the largest logit moved to 0 and the others below, at worst to -inf.
            scaled = ((logits - best).double() / temperature).to(logits.dtype)
    return scaled


def _within(value: Any, low: float, high: float, open_end: bool = False) -> bool:
    """low < value <= high, or low < value < high; False for what is no number."""
    try:
        return bool(low < value < high if open_end else low < value <= high)
    except (TypeError, RuntimeError):
        return False


def _is_count(value: Any) -> bool:
    try:
        return operator.index(value) >= 1 and not isinstance(value, bool)
    except TypeError:
        return False


def _bad_row_message(logits: Tensor, best: Tensor) -> str:
    row = int((~best.isfinite()).reshape(-1).nonzero()[0])
    worst = best.reshape(-1)[row].item()
    if worst == float("-inf"):
        return f"logits of row {row} are all -inf, so no token can be chosen; leave at least one token unmasked"
    return (
        f"logits of row {row} contain {worst}; look for a division by zero or an overflow in the model before sampling"
    )
