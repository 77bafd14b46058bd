"""Trained weights and their tokenizers in our own core, published ones and the course's, and their file formats."""

from .base import base_sizes, load_base
from .desk import load_desk
from .efficientnet import EfficientNetLite, load_efficientnet
from .gguf import GGUFError, GGUFFile
from .gpt2 import load_gpt2
from .minilm import load_minilm
from .sentences import embed_texts
from .smollm2 import load_smollm2
from .stand_in import is_stand_in, load_stand_in
from .state_dicts import load_hf_state_dict
from .t5 import load_t5_state_dict
from .unfilled import Unfilled

__all__ = [
    "EfficientNetLite",
    "GGUFError",
    "GGUFFile",
    "Unfilled",
    "base_sizes",
    "embed_texts",
    "is_stand_in",
    "load_base",
    "load_desk",
    "load_efficientnet",
    "load_gpt2",
    "load_hf_state_dict",
    "load_minilm",
    "load_smollm2",
    "load_stand_in",
    "load_t5_state_dict",
]
