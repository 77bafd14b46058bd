"""Distillation through texts: those that the teacher writes, and those that the student writes. Lecture 15."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from llmlib.data.batches import IGNORE
from llmlib.infer import decode_steps, generate
from llmlib.train.distributed import unwrapped
from llmlib.train.losses import Batch, unpack

from .distillation import Divergence, check_vocabulary, distillation_kl, teacher_call


def teacher_batches(
    teacher: nn.Module,
    prompts: Sequence[Sequence[int]],
    batch_size: int = 16,
    *,
    max_new_tokens: int = 64,
    stop_tokens: Sequence[int] = (),
    pad_id: int = 0,
    generator: torch.Generator | None = None,
    **sampling,
) -> list[dict[str, Tensor]]:
    """Let the teacher continue each prompt, and make of it batches for `next_token_loss`: sequence-level distillation.

    Kim and Rush, "Sequence-Level Knowledge Distillation", 2016; there the teacher's best text by beam search, here its
    greedy one, or with sampling settings (temperature=1.0) a draw. -> dicts of "ids", "targets" and "pad_mask" (B, T),
    padded on the right; what the teacher wrote is the target, its stop token included, the prompt is not. Needs no
    common logits, only a common tokenizer. ValueError as in `generate`, and for no prompts or an empty one.
    """
    if not len(prompts) or batch_size < 1:
        raise ValueError(f"prompts holds {len(prompts)}, batch_size is {batch_size}: give at least one of each")
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens={max_new_tokens} must be at least 1: the teacher has to write something")
    how = sampling or {"greedy": True}
    batches = []
    for start in range(0, len(prompts), batch_size):
        rows = [list(prompt) for prompt in prompts[start : start + batch_size]]
        written = generate(
            teacher, rows, max_new_tokens=max_new_tokens, stop_tokens=stop_tokens, return_logprobs=True,
            generator=generator, **how,
        )  # fmt: skip
        batches.append(_batch(rows, [each.tokens for each in written], pad_id))
    return batches


def _batch(prompts: list[list[int]], written: list[list[int]], pad_id: int) -> dict[str, Tensor]:
    texts = [prompt + tokens for prompt, tokens in zip(prompts, written)]
    longest = max(map(len, texts))
    ids = torch.full((len(texts), longest), pad_id)
    targets = torch.full_like(ids, IGNORE)
    for row, (text, prompt) in enumerate(zip(texts, prompts)):
        ids[row, : len(text)] = torch.tensor(text)
        targets[row, len(prompt) - 1 : len(text) - 1] = torch.tensor(text[len(prompt) :])
    pad_mask = torch.arange(longest) < torch.tensor([len(text) for text in texts])[:, None]
    return {"ids": ids, "targets": targets, "pad_mask": pad_mask}


@dataclass(frozen=True)
class OnPolicyLoss:
    """The student writes, and at each of its tokens is compared with the teacher over the whole vocabulary.

    A student trained on texts of others never sees its own mistakes (Agarwal et al., "On-Policy Distillation of
    Language Models", 2024). batch: prompts, (B, T) ids, or a dict with "ids" and "pad_mask" if they differ in length,
    padded on the right. The student continues each at temperature 1, without gradients; then the divergence, by default
    KL(student || teacher), is summed over what it wrote, up to a stop token. -> (sum in nats, tokens written).
    Gradients do not run through the choice of the tokens. It draws anew at each call, a held-out loss too.
    """

    teacher: nn.Module
    max_new_tokens: int = 32
    stop_token: int | None = None
    temperature: float = 1.0
    divergence: Divergence = "reverse"
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens={self.max_new_tokens} must be at least 1: the student has to write")

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        ids, _, inputs = unpack(batch)
        pad_mask = inputs.get("pad_mask")
        rows = ids.tolist() if pad_mask is None else [row[mask].tolist() for row, mask in zip(ids, pad_mask)]
        columns, going = [], torch.ones(len(rows), dtype=torch.bool, device=ids.device)
        for step in decode_steps(unwrapped(model), rows, self.max_new_tokens, generator=self.generator):
            columns.append(step.tokens)
            going = going & (step.tokens != self.stop_token) if self.stop_token is not None else going
            if not going.any():
                break
        written = [self._taken(tokens) for tokens in torch.stack(columns, 1).tolist()]
        made = {name: value.to(ids.device) for name, value in _batch(rows, written, 0).items()}
        ids, targets, mask = (made[name][:, :-1] for name in ("ids", "targets", "pad_mask"))  # none reads the last
        real = targets != IGNORE
        teacher_logits = teacher_call(self.teacher, ids, {"pad_mask": mask})
        logits = model(ids, pad_mask=mask)
        check_vocabulary(logits, teacher_logits)
        kl = distillation_kl(logits[real], teacher_logits[real], self.temperature, self.divergence)
        return kl.sum(), real.sum()

    def _taken(self, tokens: list[int]) -> list[int]:
        return tokens[: tokens.index(self.stop_token) + 1] if self.stop_token in tokens else tokens
