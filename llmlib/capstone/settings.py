"""How large each stage of the capstone is: one dataclass, three presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class CapstoneSettings:
    """What decides the result of a run; checked when it is made.

    - seed: of the weights and of everything drawn; world: which `SupportDesk`.
    - transcripts: documents drawn, before the filter. prose: whether the base model also reads `llmlib.data.prose`.
    - vocab_size: of the tokenizer. width, layers: of the model.
    - pretrain_updates of pretrain_rows rows of 128 tokens; demonstrations, read sft_epochs times; rankings of six
      replies each; align_updates of GRPO, with kl_coef.
    - bits, group_size: of the last model's weights.
    - held_out: requests of each group that no stage sees. save_every: updates between two checkpoints; a stage that is
      killed loses at most so many.
    """

    seed: int = 0
    world: int = 0
    transcripts: int = 12_000
    prose: bool = False
    vocab_size: int = 512
    width: int = 64
    layers: int = 2
    pretrain_updates: int = 1000
    pretrain_rows: int = 16
    demonstrations: int = 200
    sft_epochs: int = 8
    rankings: int = 6000
    align_updates: int = 80
    kl_coef: float = 0.05
    bits: int = 4
    group_size: int = 16
    held_out: int = 200
    save_every: int = 50

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = 0 if name in ("seed", "world", "prose", "kl_coef") else 1
            if value < least:
                raise ValueError(f"{name}={value} must be at least {least}")
        if self.width % 16:
            raise ValueError(f"width={self.width} must be a multiple of 16, the width of a head")
        if self.vocab_size < 300:
            raise ValueError(
                f"vocab_size={self.vocab_size} must be 300 or more: 256 bytes, 3 special tokens and merges"
            )
        if not 2 <= self.bits <= 8:
            raise ValueError(f"bits={self.bits} must lie between 2 and 8")
        if self.width % self.group_size or (self.width * 5 // 2) % self.group_size:
            raise ValueError(
                f"group_size={self.group_size} must divide the width {self.width} and {self.width * 5 // 2}"
            )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def replace(self, **changes: Any) -> CapstoneSettings:
        """The same with some changed, checked again; ValueError for what is no setting."""
        unknown = sorted(set(changes) - set(asdict(self)))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a setting: the settings are {', '.join(asdict(self))}")
        return replace(self, **changes)


PRESETS = {
    "class": CapstoneSettings(
        transcripts=3000, pretrain_updates=200, rankings=240, align_updates=15, held_out=60, save_every=25
    ),
    "full": CapstoneSettings(),
    "gpu": CapstoneSettings(
        transcripts=40_000,
        prose=True,
        vocab_size=4096,
        width=384,
        layers=6,
        pretrain_updates=3000,
        pretrain_rows=128,
        group_size=32,
    ),
}


def capstone_preset(name: str) -> CapstoneSettings:
    """ "class" (under a minute of one core), "full" (some ten minutes) or "gpu" (12 million parameters, prose, too)."""
    if name not in PRESETS:
        raise ValueError(f"preset={name!r} is unknown: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
