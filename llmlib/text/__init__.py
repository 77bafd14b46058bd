"""Text to token ids and back, and the models that only count."""

from .bpe import BPETokenizer
from .bpe_training import GPT2_PATTERN, MergeStep
from .bytes import ByteTokenizer
from .chars import CharTokenizer
from .chat import CHATML_TOKENS, SMOLLM2_SYSTEM, encode_chat, render_chat
from .ngram import NGramModel
from .published import gpt2_tokenizer, smollm2_tokenizer
from .skills import SkillSource
from .sources import MarkovSource
from .token_files import read_ranks
from .wordpiece import WordPieceTokenizer

__all__ = [
    "CHATML_TOKENS",
    "GPT2_PATTERN",
    "SMOLLM2_SYSTEM",
    "BPETokenizer",
    "ByteTokenizer",
    "CharTokenizer",
    "MarkovSource",
    "MergeStep",
    "NGramModel",
    "SkillSource",
    "WordPieceTokenizer",
    "encode_chat",
    "gpt2_tokenizer",
    "read_ranks",
    "render_chat",
    "smollm2_tokenizer",
]
