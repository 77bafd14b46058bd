"""What the sweeps of lecture 04 share: the models, the text, and how one is trained. The sweeps are modern_llm_*.py."""

import torch

from llmlib.data import split_text, tiny_shakespeare
from llmlib.model import ModelConfig, Transformer
from llmlib.text import CharTokenizer
from llmlib.train import TrainConfig, Trainer

SEEDS = (0, 1, 2)
MODULES = ["llmlib.model.transformer", "llmlib.model.layers", "llmlib.model.rope", "llmlib.train.loop"]
MODULES += ["experiments/modern_llm.py"]
JUDGED = 48 * 1024  # characters of held-out text that every model is judged on


def texts() -> tuple[int, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tiny Shakespeare by characters: the size of the vocabulary; the text to train, to choose and to report on."""
    torch.set_num_threads(1)
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train_text, rest = split_text(text, 0.1)
    parts = (train_text, *split_text(rest, 0.5))
    train, choose, report = (torch.tensor(tokenizer.encode(part)) for part in parts)
    return tokenizer.vocab_size, train, choose, report


def gpt2_like(vocab_size: int, n_layers: int, d_model: int, n_heads: int, context: int) -> ModelConfig:
    """GPT-2's recipe at toy size. Its initial deviation, 0.02 at width 768, goes with 1/sqrt(width)."""
    return ModelConfig(
        vocab_size=vocab_size, n_layers=n_layers, d_model=d_model, n_heads=n_heads, max_seq_len=context,
        norm="layernorm", mlp="gelu", position="learned", bias=False, init_std=0.02 * (768 / d_model) ** 0.5,
    )  # fmt: skip


def trained(config: ModelConfig, recipe: TrainConfig, text: torch.Tensor) -> Transformer:
    """A model trained from a seed that fixes its first weights and its batches."""
    torch.manual_seed(recipe.seed)
    model = Transformer(config)
    Trainer(model, recipe, text).run()
    return model
