"""Distillation: a student learns what a teacher thinks of every token, not the right answer alone. Lecture 15.

The losses are for the Trainer, as `next_token_loss` is: loss(student, batch) -> (sum in nats, number of targets). A
held-out loss, without gradients, is the plain one, so that runs with and without a teacher compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data.batches import IGNORE
from llmlib.infer import evaluation_mode
from llmlib.model import auxiliary_loss, intervene, record
from llmlib.train import next_token_loss, token_loss
from llmlib.train.distributed import unwrapped
from llmlib.train.losses import Batch, Loss, following, refuse_readers, unpack

Divergence = Literal["forward", "reverse"]


def distillation_kl(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0, divergence: Divergence = "forward"
) -> Tensor:
    """T^2 times the divergence of two next-token distributions at temperature T: (..., V) twice -> (...), nats.

    "forward": KL(teacher || student), which makes the student cover all that the teacher holds possible (Hinton et al.,
    "Distilling the Knowledge in a Neural Network", 2015). "reverse": KL(student || teacher), which makes it leave out
    what the teacher holds impossible (Gu et al., "MiniLLM", 2024). The gradient by a logit shrinks as 1 / T^2 as the
    distributions get flatter; the factor makes up for that, so that a change of T leaves the balance with other losses.
    The teacher gets no gradient.
    """
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} must be positive; 1 leaves the distributions as they are")
    if divergence not in ("forward", "reverse"):
        raise ValueError(f"divergence={divergence!r} is none of forward, reverse")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"student_logits is {tuple(student_logits.shape)}, teacher_logits {tuple(teacher_logits.shape)}: both "
            "models read the same tokens and have the same vocabulary"
        )
    student = F.log_softmax(student_logits.float() / temperature, -1)
    teacher = F.log_softmax(teacher_logits.detach().float() / temperature, -1)
    weight, difference = (teacher, teacher - student) if divergence == "forward" else (student, student - teacher)
    return temperature**2 * (weight.exp() * difference).sum(-1)


@dataclass(frozen=True)
class DistillationLoss:
    """weight * T^2 KL(teacher || student) + (1 - weight) * cross-entropy with the targets, summed over the targets.

    teacher: any model of the same vocabulary that is called like the student; it is not changed. weight 1 leaves the
    labels out, 0 the teacher. Batches are those of `next_token_loss`; where it has no target neither loss has one.
    """

    teacher: nn.Module
    temperature: float = 2.0
    weight: float = 0.5
    divergence: Divergence = "forward"

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature={self.temperature} must be positive; 1 leaves the distributions as they are")
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight={self.weight} must lie in [0, 1]: the teacher's share of the loss")

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        if not torch.is_grad_enabled():
            return next_token_loss(model, batch)
        refuse_readers(model)
        ids, targets, inputs = unpack(batch)
        targets = following(ids, **inputs) if targets is None else targets
        real = targets != IGNORE
        count = real.sum()
        teacher_logits = teacher_call(self.teacher, ids, inputs)
        logits = model(ids, **inputs)
        check_vocabulary(logits, teacher_logits)
        soft = distillation_kl(logits[real], teacher_logits[real], self.temperature, self.divergence).sum()
        total = self.weight * soft + (1 - self.weight) * token_loss(logits, targets)
        return total + auxiliary_loss(model) * count, count


@dataclass(frozen=True)
class HiddenStateLoss:
    """Another loss, plus weight times how far the student's hidden states are from the teacher's, per token.

    layers: student's part -> teacher's part, names of `model.named_modules()` that put out (B, T, d), say
    {"blocks.1": "blocks.3"} (FitNets, Romero et al., 2015; every k-th layer: Sun et al., 2019). kind: "mse", the mean
    over the d numbers of the squared difference; "cosine", one minus the cosine (DistilBERT, Sanh et al., 2019). Where
    the widths differ call `attach_projections` first. base: the loss that this is added to; with a `DistillationLoss`
    of the same teacher that runs once for both. Padding is left out.
    """

    teacher: nn.Module
    layers: Mapping[str, str]
    weight: float = 1.0
    kind: Literal["mse", "cosine"] = "mse"
    base: Loss = next_token_loss

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("layers is empty: name at least one pair, {'blocks.0': 'blocks.0'}")
        if self.kind not in ("mse", "cosine"):
            raise ValueError(f"kind={self.kind!r} is none of mse, cosine")
        if not self.weight >= 0:
            raise ValueError(f"weight={self.weight} must not be negative: the hidden states' share of the loss")

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor | int | float]:
        if not torch.is_grad_enabled():
            return self.base(model, batch)
        student, kept = unwrapped(model), {}

        def keep(name: str):
            return lambda out: kept.setdefault(name, out)  # with its gradient, which `record` would cut off

        with record(self.teacher, *self.layers.values()) as seen, intervene(student, {n: keep(n) for n in self.layers}):
            total, count = self.base(model, batch)
            ids, _, inputs = unpack(batch)
            if not seen:
                teacher_call(self.teacher, ids, inputs)
        real = inputs["segments"] >= 0 if "segments" in inputs else inputs.get("pad_mask")
        distance = 0.0
        for name, teacher_name in self.layers.items():
            h = projected(student, name, kept[name], seen[teacher_name])
            each = hidden_distance(h, seen[teacher_name], self.kind)
            distance = distance + (each if real is None else each[real]).mean()
        return total + self.weight * distance * count, count


def hidden_distance(student: Tensor, teacher: Tensor, kind: str = "mse") -> Tensor:
    """How far hidden states (..., d) are from the teacher's (..., d): (...). See `HiddenStateLoss`."""
    student, teacher = student.float(), teacher.detach().float()
    if kind == "cosine":
        return 1 - F.cosine_similarity(student, teacher, -1)
    return (student - teacher).square().mean(-1)


def attach_projections(student: nn.Module, teacher: nn.Module, layers: Mapping[str, str]) -> nn.ModuleDict:
    """Give the student a linear map into the teacher's width for each of its layers named; in place.

    They are trained with the student, as its parameters, and serve for nothing else: `drop_projections` afterwards.
    Widths are the configs' d_model. ValueError for a name that is no part of its model.
    """
    for model, names, which in ((student, layers, "student"), (teacher, layers.values(), "teacher")):
        parts = dict(model.named_modules())
        if missing := [name for name in names if name not in parts]:
            raise ValueError(f"layers names {missing[0]!r}, which the {which} has not; print the model for its names")
    weight = next(student.parameters())
    make = lambda: nn.Linear(student.config.d_model, teacher.config.d_model, device=weight.device, dtype=weight.dtype)
    student.hidden_projections = nn.ModuleDict({_key(name): make() for name in layers})
    return student.hidden_projections


def drop_projections(student: nn.Module) -> None:
    """Take away what `attach_projections` gave."""
    if hasattr(student, "hidden_projections"):
        del student.hidden_projections


def projected(student: nn.Module, name: str, h: Tensor, like: Tensor) -> Tensor:
    """A hidden state in the teacher's width; ValueError if no projection leads there."""
    projections = getattr(student, "hidden_projections", {})
    if _key(name) in projections:
        return projections[_key(name)](h)
    if h.shape != like.shape:
        raise ValueError(
            f"{name} puts out {tuple(h.shape)}, the teacher's part {tuple(like.shape)}: "
            "call attach_projections(student, teacher, layers) before the Trainer is made"
        )
    return h


def teacher_call(teacher: nn.Module, ids: Tensor, inputs: dict[str, Tensor]) -> Tensor:
    """The teacher's logits (B, T, V), in evaluation mode and without gradients."""
    with torch.no_grad(), evaluation_mode(teacher):
        return teacher(ids, **inputs)


def check_vocabulary(student_logits: Tensor, teacher_logits: Tensor) -> None:
    """ValueError for models with different vocabularies."""
    if student_logits.shape[-1] != teacher_logits.shape[-1]:
        raise ValueError(
            f"teacher gives {teacher_logits.shape[-1]} logits a token, the student {student_logits.shape[-1]}: both "
            "need the same tokenizer; across vocabularies only texts can be handed on (teacher_batches)"
        )


def _key(name: str) -> str:
    return name.replace(".", "_")
