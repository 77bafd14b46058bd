"""Generation: prompts in, continuations out, in batches of rows of any length, over a key-value cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from llmlib.infer.decoding import any_process, evaluation_mode, run_steps
from llmlib.infer.detokenize import StopFilter, TokenDecoder, Tokenizer
from llmlib.infer.requests import check_request, is_batch, to_ids
from llmlib.infer.sampling import Sampling, Step
from llmlib.model import KVCache

Finish = Literal["length", "stop_token", "stop_string"]


@dataclass(frozen=True, eq=False)
class Generation:
    """One continuation with its log-probabilities: what `generate(..., return_logprobs=True)` gives for each."""

    answer: str | list[int]
    """What `generate` returns otherwise: text for a text, token ids for token ids, without the stop token."""
    tokens: list[int]
    """Every token that was sampled for this row, the stop token included."""
    logprobs: Tensor
    """(len(tokens),) float32 under the distribution that was sampled, see `Step`."""
    raw_logprobs: Tensor
    """(len(tokens),) float32 under the model's own distribution."""
    finish: Finish
    """Why the row ended."""


@overload
def generate(model: nn.Module, prompts: str | list[int], **options) -> str | list[int]: ...
@overload
def generate(model: nn.Module, prompts: list[str] | list[list[int]], **options) -> list[str] | list[list[int]]: ...
def generate(
    model: nn.Module,
    prompts: str | list[int] | list[str] | list[list[int]],
    *,
    tokenizer: Tokenizer | None = None,
    max_new_tokens: int = 64,
    stop_tokens: Sequence[int] = (),
    stop_strings: Sequence[str] = (),
    n: int = 1,
    return_logprobs: bool = False,
    cache: KVCache | None = None,
    sliding: bool = False,
    sampling: Sampling | None = None,
    generator: torch.Generator | None = None,
    **settings: Any,
) -> Any:
    """Continue one prompt or a batch of prompts; only what is new is returned, in the shape of what was given.

    A str gives a str and a list of str a list of str (both need `tokenizer`); a list of token ids gives the list of new
    ids, and a list of such lists a list of lists. Rows may differ in length. Greedy rows do not depend on what else is
    in the batch; sampled rows share the random numbers of `generator`, so there the batch matters.

    - `stop_tokens`: a row ends before the first of these.
    - `stop_strings` (need `tokenizer`): a row ends before the first of these; of a row of ids the whole tokens that
      spell the stop string are kept, because it may begin or end inside one.
    - `n`: with n > 1 each prompt gives the list of its n samples, from one reading of the prompt.
    - `return_logprobs`: each sample is a `Generation`, which holds the answer, the tokens and their log-probabilities.
    - `cache`: the prompts continue what it holds, one row each. Afterwards it holds, in each of the len(prompts) * n
      rows, the prompt and all sampled tokens but the last, which nobody has read yet.
    - `sliding`: without it a prompt that would outgrow `model.config.max_seq_len` is refused before anything is
      sampled. With it, each token beyond that point reads the last max_seq_len tokens anew (no cache can be kept, as
      every position has moved), so it is slower and equals generation without a cache.
    - `sampling`, a `Sampling`, or its fields by name: temperature, top_k, top_p, min_p, greedy; and `generator`.

    The model is run in evaluation mode and left in the mode it was in. Under FSDP all processes call it, each with its
    own prompts, and end together. Built in lecture 03; the cache in lecture 04.
    """
    how = Sampling.of(sampling, settings)
    texts = prompts if is_batch(prompts) else [prompts]
    name = "prompts[{}]" if is_batch(prompts) else "prompt"
    rows = [to_ids(prompt, tokenizer, name.format(i)) for i, prompt in enumerate(texts)]
    check_request(
        model, rows, max_new_tokens=max_new_tokens, tokenizer=tokenizer, stop_strings=stop_strings, n=n, cache=cache,
        sliding=sliding,
    )  # fmt: skip
    columns = 0 if cache is None else cache.columns + max(map(len, rows))
    stop_ids = frozenset(stop_tokens)
    samples = [_Sample(stop_ids, tokenizer, stop_strings) for _ in range(len(rows) * n)]
    kept: list[Step] = []
    with evaluation_mode(model):
        for step in run_steps(model, rows, max_new_tokens, how, generator, n, cache, logprobs=return_logprobs):
            if return_logprobs:
                kept.append(step)
            for sample, token in zip(samples, step.tokens.tolist(), strict=True):
                if sample.finish is None:
                    sample.take(token)
            if not any_process(any(sample.finish is None for sample in samples), model):
                break
    if cache is not None and max_new_tokens > 0:
        cache.truncate([columns + len(sample.tokens) - 1 for sample in samples])
    answers: list[Any] = [
        sample.text() if isinstance(texts[i // n], str) else sample.answer for i, sample in enumerate(samples)
    ]
    if return_logprobs:
        answers = [_with_logprobs(answer, sample, i, kept) for i, (answer, sample) in enumerate(zip(answers, samples))]
    if n > 1:
        answers = [answers[i : i + n] for i in range(0, len(answers), n)]
    return answers if is_batch(prompts) else answers[0]


class _Sample:
    """One row while it is written."""

    def __init__(self, stop_ids: frozenset[int], tokenizer: Tokenizer | None, stop_strings: Sequence[str]):
        self.tokens: list[int] = []
        self.answer: list[int] = []  # the same without a stop token
        self.finish: Finish | None = None
        self._stop_ids, self._tokenizer = stop_ids, tokenizer
        self._watcher = _Watcher(tokenizer, stop_strings) if stop_strings else None

    def take(self, token: int) -> None:
        self.tokens.append(token)
        if token in self._stop_ids:
            self.finish = "stop_token"
            return
        self.answer.append(token)
        if self._watcher is not None and self._watcher.stops_at(token):
            self.finish = "stop_string"

    def text(self) -> str:
        return self._tokenizer.decode(self.answer) if self._watcher is None else self._watcher.text()


class _Watcher:
    """One row's text, watched for stop strings."""

    def __init__(self, tokenizer: Tokenizer, stop_strings: Sequence[str]):
        self._decoder = TokenDecoder(tokenizer)
        self._filter = StopFilter(stop_strings)
        self._pieces: list[str] = []

    def stops_at(self, token: int) -> bool:
        self._pieces.append(self._filter.push(self._decoder.push(token)))
        return self._filter.stopped

    def text(self) -> str:
        last = self._filter.push(self._decoder.finish()) + self._filter.finish()
        return "".join(self._pieces) + last


def _with_logprobs(answer: str | list[int], sample: _Sample, row: int, steps: list[Step]) -> Generation:
    steps = steps[: len(sample.tokens)]
    empty = torch.zeros(0)
    logprobs = torch.stack([step.logprobs[row] for step in steps]) if steps else empty
    raw = torch.stack([step.raw_logprobs[row] for step in steps]) if steps else empty
    return Generation(answer, sample.tokens, logprobs, raw, sample.finish or "length")
