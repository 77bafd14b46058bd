"""Everything that decides a training run besides the model and the data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from dataclasses import replace as _replace

import torch

from llmlib.train.registry import optimizer_names

SCHEDULES = ("cosine", "wsd")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run; checked when they are made. Used by `Trainer` (lecture 03 on).

    - steps: number of updates, each of `accumulate` batches of batch_size sequences of seq_len tokens.
      Of several processes each takes that much, so that an update sees world_size times as many tokens.
    - optimizer: "adamw" or "sgd" for everything, "muon" or "soap" for hidden matrices and AdamW for the rest, or
      another name given to `register_optimizer`; optimizer_options are further arguments for what was registered.
    - lr: learning rate of the hidden matrices. embedding_lr, head_lr (None: as lr) for token and position embeddings
      and for an untied head; vector_lr (None: as lr) for norm weights and biases. With "muon" give these three, as the
      two optimizers' steps are of very different size.
    - betas, eps: AdamW's; momentum: Muon's and SGD's; newton_schulz_steps: Muon's.
      weight_decay acts on matrices, never on vectors.
    - schedule: "cosine" or "wsd" over `steps`, after warmup_steps, down to final_lr * lr; decay_fraction is wsd's.
    - grad_clip: largest global norm of the gradient, 0 to leave it alone.
    - average: decay of a moving average of the weights that is evaluated, sampled and kept in place of the last
      weights (0.98: over some 50 updates); 0 for none.
    - eval_every: steps between evaluations on the whole validation split, 0 for only the first and the last.
    - seed: fixes the batches. device: None takes what `default_device()` finds. dtype "bfloat16" or "float16" computes
      under autocast while the weights stay fp32; float16, of small range, has its loss scaled. compile: torch.compile
      the model, or go on without it and say so.
    - progress: show a progress line with the time left.
    """

    steps: int = 1000
    batch_size: int = 16
    seq_len: int = 64
    accumulate: int = 1
    optimizer: str = "adamw"
    optimizer_options: Mapping[str, object] = field(default_factory=dict, hash=False)
    lr: float = 1e-3
    embedding_lr: float | None = None
    head_lr: float | None = None
    vector_lr: float | None = None
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.1
    momentum: float = 0.95
    newton_schulz_steps: int = 5
    schedule: str = "cosine"
    warmup_steps: int = 0
    decay_fraction: float = 0.5
    final_lr: float = 0.1
    grad_clip: float = 1.0
    average: float = 0.0
    eval_every: int = 0
    seed: int = 0
    device: str | None = None
    dtype: str = "float32"
    compile: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "seq_len", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        for name in ("lr", "embedding_lr", "head_lr", "vector_lr", "weight_decay", "grad_clip", "eval_every"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        if not 0 <= self.average < 1:
            raise ValueError(f"average={self.average} must lie in [0, 1): 0 is off, 0.98 averages over some 50 updates")
        for name in ("decay_fraction", "final_lr"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} must lie between 0 and 1")
        for name, allowed in (("optimizer", optimizer_names()), ("schedule", SCHEDULES), ("dtype", tuple(DTYPES))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r} is unknown: choose one of {', '.join(allowed)}")
        if not 0 <= self.warmup_steps <= self.steps:
            raise ValueError(f"warmup_steps={self.warmup_steps} must lie between 0 and steps={self.steps}")

    def replace(self, **changes) -> "TrainConfig":
        """The same settings with some changed, checked again."""
        known = {each.name for each in fields(self)}
        for name in changes:
            if name not in known:
                raise ValueError(f"{name!r} is not a training setting: the settings are {', '.join(sorted(known))}")
        return _replace(self, **changes)

    def to_dict(self) -> dict:
        """Plain types only."""
        return asdict(self)

    @property
    def tokens_per_step(self) -> int:
        """Tokens of this process that one update sees."""
        return self.batch_size * self.seq_len * self.accumulate
