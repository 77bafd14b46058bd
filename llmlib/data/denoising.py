"""What a model is asked to give back: masked tokens, corrupted spans, the rest of a text. Pure functions on ids.

Each can be undone: inputs and targets hold the text. Lecture 05.
"""

import random
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from .batches import IGNORE


def mask_tokens(
    ids: Tensor,
    mask_id: int,
    vocab_size: int,
    *,
    rate: float = 0.15,
    keep: Collection[int] = (),
    shares: tuple[float, float] = (0.8, 0.1),
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """BERT's masked language modelling (Devlin et al., 2018, section 3.1): ids (...,) -> inputs and targets, as ids.

    Each token is chosen with probability `rate`; of the chosen, shares[0] become mask_id, shares[1] another token drawn
    evenly from the vocabulary, the rest stay as they are. A target is the token that stood there, and -100, which a
    loss leaves out, where nothing was chosen. keep: ids that are never chosen, such as [CLS] and padding.
    """
    if not 0 < rate < 1:
        raise ValueError(f"rate={rate} must lie between 0 and 1: the share of tokens to give back")
    if min(shares) < 0 or sum(shares) > 1:
        raise ValueError(f"shares={shares} must be two shares of at most 1 together: masked, and exchanged")
    if not 0 <= mask_id < vocab_size:
        raise ValueError(f"mask_id={mask_id} is outside the vocabulary of {vocab_size}")
    draw = lambda: torch.rand(ids.shape, generator=generator, device=ids.device)
    chosen = draw() < rate
    if keep:
        chosen &= ~torch.isin(ids, torch.tensor(sorted(keep), device=ids.device))
    fate = draw()
    others = torch.randint(vocab_size, ids.shape, generator=generator, device=ids.device)
    inputs = torch.where(chosen & (fate < shares[0]), mask_id, ids)
    inputs = torch.where(chosen & (fate >= shares[0]) & (fate < sum(shares)), others, inputs)
    return inputs, torch.where(chosen, ids, IGNORE)


def unmask_tokens(inputs: Tensor, targets: Tensor) -> Tensor:
    """The text behind `mask_tokens`: the target wherever there is one."""
    return torch.where(targets == IGNORE, inputs, targets)


def corrupt_spans(
    ids: Sequence[int],
    sentinels: Sequence[int],
    *,
    rate: float = 0.15,
    mean_length: float = 3.0,
    rng: random.Random | None = None,
) -> tuple[list[int], list[int]]:
    """T5's span corruption (Raffel et al., 2020, section 3.1.4): ids -> what is read, and what is to be written.

        Thank you for inviting me to your party last week
        inputs:  Thank you <X> me to your party <Y> week
        targets: <X> for inviting <Y> last <Z>

    round(rate * length) tokens, at least one, are taken out in spans of mean_length on average, of random lengths and
    in random places that never touch. Each span is replaced by one of `sentinels`, in order, and written after it in
    the targets; one more sentinel ends these. ValueError for a text of fewer than two tokens, one that holds a
    sentinel, or too few sentinels.
    """
    rng = rng or random.Random()
    n = len(ids)
    if n < 2:
        raise ValueError(f"ids holds {n} tokens: at least two are needed, one to read and one to give back")
    if not 0 < rate < 1 or mean_length < 1:
        raise ValueError(f"rate={rate} must lie between 0 and 1, mean_length={mean_length} be at least 1")
    if set(ids) & set(sentinels):
        raise ValueError(f"ids holds the sentinel {min(set(ids) & set(sentinels))}: use ids that no text has")
    taken = min(max(1, round(n * rate)), n - 1)
    spans = min(max(1, round(taken / mean_length)), taken, n - taken)
    if spans + 1 > len(sentinels):
        raise ValueError(f"sentinels holds {len(sentinels)}, but {spans} spans and an end need {spans + 1}")
    noise, kept = _parts(taken, spans, rng), _parts(n - taken + 2, spans + 1, rng)
    kept[0] -= 1  # a text may begin with a span, and end with one; between two spans something stays
    inputs: list[int] = []
    targets: list[int] = []
    at = 0
    for i, length in enumerate(noise):
        inputs += [*ids[at : at + kept[i]], sentinels[i]]
        at += kept[i]
        targets += [sentinels[i], *ids[at : at + length]]
        at += length
    return [*inputs, *ids[at:]], [*targets, sentinels[spans]]


def restore_spans(inputs: Sequence[int], targets: Sequence[int], sentinels: Sequence[int]) -> list[int]:
    """The text behind `corrupt_spans`, or behind what a model wrote for it. A span that is not written is left out."""
    known = set(sentinels)
    spans: dict[int, list[int]] = {}
    current: list[int] = []
    for token in targets:
        if token in known:
            current = spans.setdefault(token, [])
        else:
            current.append(token)
    return [each for token in inputs for each in (spans.get(token, []) if token in known else [token])]


def split_prefix(ids: Sequence[int], *, rng: random.Random | None = None) -> tuple[list[int], list[int]]:
    """A text cut in two at a random place, what is read and what is to be written: prefix language modelling.

    Both have at least one token; all places are equally likely (Raffel et al., 2020, section 3.2.1).
    """
    if len(ids) < 2:
        raise ValueError(f"ids holds {len(ids)} tokens: at least two are needed, one to read and one to write")
    at = (rng or random.Random()).randrange(1, len(ids))
    return list(ids[:at]), list(ids[at:])


def _parts(total: int, n: int, rng: random.Random) -> list[int]:
    """n positive numbers that add up to total, every such list equally likely."""
    cuts = sorted(rng.sample(range(1, total), n - 1))
    return [b - a for a, b in zip([0, *cuts], [*cuts, total])]
