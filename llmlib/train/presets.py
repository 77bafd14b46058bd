"""The recipes that go with the models of the same name in `llmlib.model.preset`."""

from llmlib.train.config import TrainConfig

_PRESETS: dict[str, TrainConfig] = {
    # nanoGPT's published CPU recipe (Karpathy, 2022): the peer of benchmarks/shakespeare_time_to_loss.py.
    "nanogpt-cpu": TrainConfig(
        steps=2000,
        batch_size=12,
        seq_len=64,
        optimizer="adamw",
        lr=1e-3,
        betas=(0.9, 0.99),
        weight_decay=0.1,
        schedule="cosine",
        warmup_steps=100,
        final_lr=0.1,
        grad_clip=1.0,
    ),
    # Found by short runs at equal CPU time; what each part is worth is measured in lecture 07.
    "shakespeare-cpu": TrainConfig(
        steps=1180,
        batch_size=24,
        seq_len=64,
        optimizer="muon",
        lr=0.02,
        embedding_lr=0.02,
        head_lr=0.005,
        vector_lr=0.005,
        betas=(0.8, 0.95),
        eps=1e-10,
        weight_decay=0.0,
        schedule="wsd",
        warmup_steps=20,
        decay_fraction=0.5,
        final_lr=0.0,
        grad_clip=0.0,
        average=0.98,
    ),
    # One CUDA card: a model 25 times larger on the same text needs dropout, or it learns the plays by heart.
    "shakespeare-gpu": TrainConfig(
        steps=2000,
        batch_size=64,
        seq_len=256,
        optimizer="muon",
        lr=0.02,
        embedding_lr=0.02,
        head_lr=0.005,
        vector_lr=0.005,
        betas=(0.8, 0.95),
        eps=1e-10,
        weight_decay=0.01,
        schedule="wsd",
        warmup_steps=20,
        decay_fraction=0.5,
        final_lr=0.0,
        grad_clip=1.0,
        average=0.98,
        dtype="bfloat16",
        compile=True,
    ),
}


def train_presets() -> list[str]:
    """The names `train_preset` knows; `llmlib.model.preset` has the model of each."""
    return list(_PRESETS)


def train_preset(name: str) -> TrainConfig:
    """The training recipe of that name. ValueError for any other name."""
    if name not in _PRESETS:
        raise ValueError(f"preset={name!r} is unknown: choose one of {', '.join(_PRESETS)}")
    return _PRESETS[name]
