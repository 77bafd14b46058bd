"""Decoding step by step: read the prompts once, then one token a row a step, with log-probabilities.

These are the parts that `generate` and `stream` are made of, and with `cache.select` and `cache.truncate` all that beam
search, best of n, tree search and speculative decoding need: `prefill` reads the prompts, `model(ids, cache=cache)`
reads what comes after, `sample_step` picks. Lectures 04 and 16.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from llmlib.infer.cpu_decoder import token_step
from llmlib.infer.requests import check_request, model_config, to_rows, unwrapped
from llmlib.infer.sampling import Sampling, Step, sample_next, sample_step
from llmlib.model import KVCache, Transformer


@torch.no_grad()
def prefill(model: nn.Module, rows: Sequence[Sequence[int]], cache: KVCache | None = None) -> tuple[Tensor, KVCache]:
    """Read B rows of token ids of any lengths -> the logits (B, V) after the last token of each, and the cache.

    cache: what the rows continue; without it one is made that grows. Shorter rows are padded on the right, which uses
    columns of the cache but is never looked at. The model runs in evaluation mode, without gradients. Raises ValueError
    for rows that the model or the cache cannot take, and changes nothing then.
    """
    rows = to_rows(rows)
    check_request(model, rows, max_new_tokens=1, cache=cache)
    model = unwrapped(model)
    if cache is None:
        cache = KVCache(model_config(model), batch_size=len(rows))
    with evaluation_mode(model):
        return _read(model, rows, cache), cache


def decode_steps(
    model: nn.Module,
    rows: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: Sampling | None = None,
    *,
    generator: torch.Generator | None = None,
    n: int = 1,
    cache: KVCache | None = None,
    sliding: bool = False,
    **settings: Any,
) -> Iterator[Step]:
    """Yield max_new_tokens times a `Step` of B * n rows: the loop under `generate` and `stream`.

    The n samples of a prompt stand next to each other. Every row goes on to the end, so the caller drops what comes
    after a stop token. The arguments are those of `generate` and are checked at the call. The model is in evaluation
    mode while a step is computed, and in its own mode between two steps.
    """
    how = Sampling.of(sampling, settings)
    rows = to_rows(rows)
    check_request(model, rows, max_new_tokens=max_new_tokens, n=n, cache=cache, sliding=sliding)
    return stepwise(model, run_steps(model, rows, max_new_tokens, how, generator, n, cache, watched=True))


def run_steps(
    model: nn.Module,
    rows: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: Sampling,
    generator: torch.Generator | None = None,
    n: int = 1,
    cache: KVCache | None = None,
    *,
    logprobs: bool = True,
    watched: bool = False,
) -> Iterator[Step]:
    """The steps of a request that was checked; with logprobs=False their log-probabilities are None.

    watched: somebody else may change the model between two steps, so look again each time what may take over.
    """
    model = unwrapped(model)
    # FSDP gathers and frees its weights in place, which inference tensors do not allow.
    guard = torch.no_grad if is_sharded(model) else torch.inference_mode
    return guard()(_steps)(model, rows, max_new_tokens, sampling, generator, n, cache, logprobs, watched)


def _steps(model, rows, max_new_tokens, sampling, generator, n, cache, logprobs, watched) -> Iterator[Step]:
    if max_new_tokens == 0:
        return
    limit, longest = model_config(model).max_seq_len, max(map(len, rows))
    grows_to = longest + max_new_tokens - 1
    history = None
    if cache is None and grows_to > limit:  # sliding: from then on each step reads everything anew
        history = [list(row) for row in rows for _ in range(n)]
    cached_steps = max_new_tokens if history is None else limit - longest
    if cache is None and cached_steps >= 0:
        cache = KVCache(model_config(model), batch_size=len(rows), max_len=min(grows_to, limit))
    logits = _read(model, rows, cache, limit)
    if n > 1:
        logits = logits.repeat_interleave(n, 0)
        if cache is not None:
            cache.select([row for row in range(len(rows)) for _ in range(n)])
    fast = token_step(model) if len(logits) == 1 else None
    for step in range(1, max_new_tokens + 1):
        if logprobs:
            picked = sample_step(logits, sampling, generator=generator)
            with torch.inference_mode(False):
                picked = Step(*(tensor.clone() for tensor in picked))  # plain tensors: a loss may be computed with them
        else:
            picked = Step(sample_next(logits, sampling, generator=generator), None, None)
        yield picked
        if step == max_new_tokens:
            return
        if history is not None:
            for row, token in zip(history, picked.tokens.tolist(), strict=True):
                row.append(token)
        if watched and fast is not None and not fast.is_current():
            fast = token_step(model)
        if step > cached_steps:
            logits = _read(model, history, None, limit)
        elif fast is not None:
            logits = fast(picked.tokens, cache)
        else:
            logits = _last_logits(model, picked.tokens[:, None], None, cache=cache)


def _read(model: nn.Module, rows: Sequence[Sequence[int]], cache: KVCache | None, limit: int | None = None) -> Tensor:
    """Logits (B, V) after the last token of each row, from the last `limit` tokens of each, padded on the right."""
    device = next(model.parameters()).device
    rows = rows if limit is None else [row[-limit:] for row in rows]
    lengths = torch.tensor([len(row) for row in rows])
    width = int(lengths.max())
    ids = torch.tensor([list(row) + [0] * (width - len(row)) for row in rows]).to(device)
    equal = bool((lengths == width).all())
    pad_mask = None if equal else (torch.arange(width) < lengths[:, None]).to(device)
    return _last_logits(model, ids, (lengths - 1).to(device), cache=cache, pad_mask=pad_mask)


def _last_logits(model: nn.Module, ids: Tensor, last: Tensor | None, **inputs: Any) -> Tensor:
    """Logits (B, V) at the places `last` (B,) of ids (B, T), None: the last column.

    A Transformer that nobody has wrapped or changed is asked for these places only: the logits of a whole prompt may
    take more memory than the model. Any other is called, so that its hooks (FSDP's gather the weights) all run.
    """
    places = -1 if last is None else (torch.arange(len(ids), device=ids.device), last)
    pick = lambda values: values[:, -1] if last is None else values[places]
    if _is_plain(model):
        return model.head(pick(model.hidden(ids, **inputs)))
    return pick(model(ids, **inputs))


def _is_plain(model: nn.Module) -> bool:
    ours = isinstance(model, Transformer) and type(model).forward is Transformer.forward
    return ours and not (model._forward_hooks or model._forward_pre_hooks or "forward" in vars(model))


def stepwise(model: nn.Module, steps: Iterator[Step]) -> Iterator[Step]:
    """The same steps, each computed in evaluation mode: whoever reads them may train in between."""
    while True:
        with evaluation_mode(model):
            step = next(steps, None)
        if step is None:
            return
        yield step


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """`with evaluation_mode(model)`: dropout and the like are off; afterwards every module is as it was before."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def is_sharded(model: nn.Module) -> bool:
    """Whether the model's weights are spread over processes by FSDP, so that all must take every step together."""
    fsdp = sys.modules.get("torch.distributed.fsdp")  # not imported: nothing is sharded
    kinds = tuple(getattr(fsdp, name) for name in ("FSDPModule", "FullyShardedDataParallel") if hasattr(fsdp, name))
    return bool(kinds) and any(isinstance(module, kinds) for module in model.modules())


def any_process(flag: bool, model: nn.Module) -> bool:
    """Whether `flag` is true in any of the processes that share the model; `flag` itself where it is not sharded."""
    if not (dist.is_available() and dist.is_initialized() and is_sharded(model)):
        return flag
    flags = torch.tensor(float(flag), device=next(model.parameters()).device)
    dist.all_reduce(flags, dist.ReduceOp.MAX)
    return bool(flags)
