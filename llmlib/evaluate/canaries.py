"""How well does a model know a planted code? Its rank among all codes of its form, and whether the model writes it.

After Carlini et al. (2019), who plant random codes in the training text and rank them. Lecture 09; `canary` makes such
a sentence and `exposure` turns a rank into bits.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from llmlib.infer import Tokenizer, evaluation_mode, generate
from llmlib.infer.requests import model_config, to_ids, unwrapped
from llmlib.model import KVCache, Transformer

from .contamination import exposure

ROWS = 256  # stems read together


@dataclass(frozen=True)
class PlantedCode:
    """What a model knows of one planted code.

    rank: its place among all n_candidates by probability after the prefix, from 1, the most likely: the guesses that
    someone needs who tries them in this order. logprob: of the code, in nats. extracted: the greedy continuation of the
    prefix is the code.
    """

    rank: int
    n_candidates: int
    logprob: float
    extracted: bool

    @property
    def exposure(self) -> float:
        """log2(n_candidates) - log2(rank), in bits; about 1.44 on average for a code that the model has not seen."""
        return exposure(self.rank, self.n_candidates)

    def found_within(self, samples: int) -> float:
        """The probability that at least one of so many continuations, sampled at temperature 1, is the code."""
        if samples < 0:
            raise ValueError(f"samples={samples} must be 0 or more, the continuations that are drawn")
        return -math.expm1(samples * math.log1p(-min(math.exp(self.logprob), 1 - 1e-12)))


def digit_codes(digits: int = 4) -> list[str]:
    """All codes of so many digits, "0000" to "9999" for 4, in order."""
    if not 1 <= digits <= 6:
        raise ValueError(f"digits={digits} must lie between 1 and 6: every code is ranked, and there are 10^digits")
    return [f"{number:0{digits}d}" for number in range(10**digits)]


def encode_codes(tokenizer: Tokenizer, codes: Sequence[str], joint: str = " ") -> dict[str, list[int]]:
    """Each code with the token ids of `joint + code`, once for all canaries. joint: what stands before a code."""
    if not codes:
        raise ValueError("codes is empty: give all candidates of the planted code's form, as digit_codes(4) does")
    return {code: tokenizer.encode(joint + code) for code in codes}


@torch.inference_mode()
def candidate_logprobs(
    model: nn.Module, prefix: Sequence[int], candidates: Sequence[Sequence[int]], *, batch_size: int = ROWS
) -> Tensor:
    """The log-probability (n,) in nats of each candidate's tokens after the prefix, float64 on the CPU.

    The prefix is read once, and so is each stem, a candidate without its last token: the codes 1230 to 1239 share
    theirs, whose last place predicts all ten. 10,000 codes of four one-digit tokens cost 1,000 short rows.
    batch_size: stems read together. ValueError for an empty prefix, no candidates, an empty one, one given twice, or a
    canary (prefix and candidate) that is longer than the model's context.
    """
    model = unwrapped(model)
    if not isinstance(model, Transformer):
        raise TypeError(f"model is a {type(model).__name__}; pass a Transformer, whose hidden states and head are used")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    prefix, rows = to_ids(list(prefix), None, "prefix"), [tuple(each) for each in candidates]
    _check(prefix, rows, model_config(model).max_seq_len)
    members: dict[tuple[int, ...], list[int]] = {}
    for i, row in enumerate(rows):
        members.setdefault(row[:-1], []).append(i)
    stems = sorted(members, key=len)
    found = torch.empty(len(rows), dtype=torch.float64)
    device = next(model.parameters()).device
    with evaluation_mode(model):
        cache = KVCache(model.config, batch_size=1)
        after = model.hidden(torch.tensor([prefix], device=device), cache=cache)[:, -1]
        first = model.head(after).float().log_softmax(1)[0]
        for start in range(0, len(stems), batch_size):
            for chunk in _of_one_length(stems[start : start + batch_size]):
                before, last = _read_stems(model, cache, first, chunk, len(prefix))
                for stem, logprob, row in zip(chunk, before, last):
                    ends = members[stem]
                    found[ends] = (logprob + row[[rows[i][-1] for i in ends]]).double().cpu()
    return found


def rank_code(
    model: nn.Module,
    tokenizer: Tokenizer,
    prefix: str,
    code: str,
    candidates: Mapping[str, Sequence[int]],
    *,
    start: int | None = None,
) -> PlantedCode:
    """Rank the planted `code` among all candidates after `prefix`, and see whether the model writes it. Lecture 09.

        codes = encode_codes(tokenizer, digit_codes(4))
        rank_code(model, tokenizer, "The access code of Ada is", "4821", codes).exposure

    prefix: the canary up to the code, without the space before it. candidates: from `encode_codes`, the code among
    them. start: an id that is put before the prefix, end-of-text where canaries are documents of their own. Candidates
    as likely as the code count as ranked before it, so that ties do not flatter the attack. ValueError where the code
    is no candidate, where prefix and code would share a token, or as in `candidate_logprobs`.
    """
    if not candidates:
        raise ValueError("candidates is empty: give all codes of the planted one's form, encode_codes(tokenizer, ...)")
    if code not in candidates:
        some = ", ".join(list(candidates)[:3])
        raise ValueError(
            f"code={code!r} is not among the {len(candidates)} candidates ({some} ...): its rank would mean nothing; "
            "plant a code of the candidates' form"
        )
    before, own = to_ids(prefix, tokenizer, "prefix"), list(candidates[code])
    if tokenizer.encode(prefix + tokenizer.decode(own)) != before + own:
        raise ValueError(
            f"prefix={prefix!r} and code={code!r} share a token: end the prefix with a whole word, without a space"
        )
    before = before if start is None else [start, *before]
    logprobs = candidate_logprobs(model, before, list(candidates.values()))
    mine = logprobs[list(candidates).index(code)]
    continuation = generate(model, before, max_new_tokens=len(own), greedy=True)
    return PlantedCode(int((logprobs >= mine).sum()), len(candidates), float(mine), continuation == own)


def _check(prefix: Sequence[int], rows: Sequence[tuple[int, ...]], limit: int) -> None:
    if not rows:
        raise ValueError("candidates is empty: give all codes of the planted one's form, the planted one among them")
    for i, row in enumerate(rows):
        if not row:
            raise ValueError(f"candidates[{i}] is empty, whose probability is always 1: leave it out")
    longest = max(range(len(rows)), key=lambda i: len(rows[i]))
    if len(prefix) + len(rows[longest]) > limit:
        raise ValueError(
            f"prefix has {len(prefix)} tokens and candidates[{longest}] {len(rows[longest])}, but max_seq_len={limit}: "
            "shorten the canary's prefix, or take a model of longer context"
        )
    if len(set(rows)) < len(rows):
        raise ValueError(f"candidates holds {len(rows) - len(set(rows))} codes twice: ranks need different ones")


def _of_one_length(stems: Sequence[tuple[int, ...]]) -> list[list[tuple[int, ...]]]:
    """Stems sorted by length, cut where the length changes: no row is padded."""
    groups: dict[int, list[tuple[int, ...]]] = {}
    for stem in stems:
        groups.setdefault(len(stem), []).append(stem)
    return list(groups.values())


def _read_stems(
    model: Transformer, cache: KVCache, first: Tensor, stems: Sequence[tuple[int, ...]], columns: int
) -> tuple[Tensor, Tensor]:
    """The log-probability (n,) of each of n stems of one length, and of every token after it (n, vocab_size).

    first: log-probabilities (vocab_size,) after the prefix, which the cache holds in one row and holds so again.
    """
    if not stems[0]:
        return first.new_zeros(1), first[None]
    ids = torch.tensor(stems, device=first.device)
    cache.select([0] * len(stems))
    logprobs = model.head(model.hidden(ids, cache=cache)).float().log_softmax(2)
    cache.truncate(columns)
    cache.select([0])
    inner = logprobs[:, :-1].gather(2, ids[:, 1:, None])[..., 0].sum(1)
    return first[ids[:, 0]] + inner, logprobs[:, -1]
