"""What generation is asked for: prompts as token ids, and a request refused before anything is computed."""

import operator
from collections.abc import Sequence

from torch import Tensor, nn

from llmlib.infer.detokenize import Tokenizer
from llmlib.model import KVCache, ModelConfig, Transformer


def is_batch(prompts: object) -> bool:
    """Whether these are several prompts: a list of texts or of lists of token ids."""
    return isinstance(prompts, (list, tuple)) and bool(prompts) and _is_prompt(prompts[0])


def _is_prompt(value: object) -> bool:
    return isinstance(value, (str, list, tuple)) or (isinstance(value, Tensor) and value.dim() > 0)


def to_ids(prompt: str | Sequence[int], tokenizer: Tokenizer | None, name: str = "prompt") -> list[int]:
    """A prompt as token ids; `name` is how errors call it."""
    if isinstance(prompt, str):
        if tokenizer is None:
            raise ValueError(f"{name} is text but tokenizer is None; pass tokenizer=... or a list of token ids")
        ids = tokenizer.encode(prompt)
    elif isinstance(prompt, Tensor):
        raise TypeError(f"{name} is a tensor of shape {tuple(prompt.shape)}; pass a list of token ids: {name}.tolist()")
    else:
        try:
            ids = [operator.index(token) for token in prompt]
        except TypeError:
            raise TypeError(f"{name} is {str(prompt)[:40]!r}; pass a text or a list of token ids") from None
    if not ids:
        raise ValueError(
            f"{name} is empty, so there is nothing to continue; start with at least one token, say a newline"
        )
    return ids


def to_rows(prompts: Sequence[str | Sequence[int]], tokenizer: Tokenizer | None = None) -> list[list[int]]:
    """Several prompts as token ids."""
    if isinstance(prompts, (str, Tensor)) or (prompts and not _is_prompt(prompts[0])):
        raise TypeError(f"rows is {str(prompts)[:40]!r}; pass a list of lists of token ids, for one prompt [ids]")
    if not prompts:
        raise ValueError("rows is empty; pass at least one list of token ids")
    return [
        to_ids(prompt, tokenizer, f"prompts[{i}]" if len(prompts) > 1 else "prompt") for i, prompt in enumerate(prompts)
    ]


def check_request(
    model: nn.Module,
    rows: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    tokenizer: Tokenizer | None = None,
    stop_strings: Sequence[str] = (),
    n: int = 1,
    cache: KVCache | None = None,
    sliding: bool = False,
) -> None:
    """Refuse, before anything is computed, what could only fail later: each reason is one line with its remedy."""
    config = model_config(model)
    if not config.causal:
        raise ValueError("model has causal=False: an encoder reads both ways and cannot write; use a causal model")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens={max_new_tokens} must be 0 or more")
    if not isinstance(n, int) or n < 1:
        raise ValueError(f"n={n!r} must be a whole number of at least 1, the samples for each prompt")
    if isinstance(stop_strings, str):
        raise ValueError(f"stop_strings={stop_strings!r} must be a list of strings; write [{stop_strings!r}]")
    if "" in stop_strings:
        raise ValueError("stop_strings contains '', which would stop at once; remove it")
    if stop_strings and tokenizer is None:
        raise ValueError(f"stop_strings={list(stop_strings)} need a tokenizer; pass tokenizer=... or use stop_tokens")
    held = _held(config, rows, max_new_tokens, cache)
    for i, row in enumerate(rows):
        name = "prompt" if len(rows) == 1 else f"prompts[{i}]"
        outside = next((t for t in row if not 0 <= t < config.vocab_size), None)
        if outside is not None:
            raise ValueError(
                f"{name} contains token {outside} but the model knows 0 to {config.vocab_size - 1}; "
                "use the tokenizer the model was trained with"
            )
        needed = held[i] + len(row) + max_new_tokens - 1  # the last new token is never read
        if needed > config.max_seq_len and max_new_tokens > 0 and not (sliding and cache is None):
            room = config.max_seq_len - held[i] - len(row) + 1
            advice = f"max_new_tokens of at most {room}" if room > 0 else "a shorter prompt"
            rest = ", or sliding=True to read only the last tokens" if cache is None else "; no cache can slide"
            after = f" after {held[i]} in the cache" if held[i] else ""
            raise ValueError(
                f"{name} of {len(row)} tokens{after} with max_new_tokens={max_new_tokens} needs {needed} positions but "
                f"max_seq_len={config.max_seq_len}; use {advice}{rest}"
            )


def _held(config: ModelConfig, rows: Sequence[Sequence[int]], max_new_tokens: int, cache: KVCache | None) -> list[int]:
    """How many tokens the cache holds already for each row; ValueError if the request does not fit into it."""
    if cache is None or max_new_tokens == 0:
        return [0] * len(rows)
    new_columns = max(map(len, rows)) + max_new_tokens - 1
    if cache.batch_size == len(rows) and cache.max_len is not None and cache.columns + new_columns > cache.max_len:
        raise ValueError(
            f"cache has max_len {cache.max_len} with {cache.columns} columns used, and the request needs {new_columns} "
            "more; make the KVCache with a larger max_len, or None to let it grow"
        )
    cache.check_fits(config, (len(rows), 1))
    return cache.lengths.tolist()


def model_config(model: nn.Module) -> ModelConfig:
    """The config of a model or of what a wrapper such as DistributedDataParallel holds."""
    config = getattr(model, "config", None) or getattr(getattr(model, "module", None), "config", None)
    if config is None:
        raise TypeError(f"model is a {type(model).__name__} without a config; pass a Transformer")
    return config


def unwrapped(model: nn.Module) -> Transformer | nn.Module:
    """`model`, or what is inside DistributedDataParallel: each of its processes holds the whole model."""
    return model if hasattr(model, "config") else getattr(model, "module", model)
