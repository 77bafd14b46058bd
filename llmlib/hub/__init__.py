"""Published weights and their tokenizers in our own core: SmolLM2 and MiniLM."""

from .minilm import embed_texts, load_minilm
from .smollm2 import load_smollm2
from .stand_in import is_stand_in, load_stand_in

__all__ = ["embed_texts", "is_stand_in", "load_minilm", "load_smollm2", "load_stand_in"]
