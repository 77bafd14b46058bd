"""Text to token ids and back, and the models that only count."""

from .bytes import ByteTokenizer
from .chars import CharTokenizer

__all__ = ["ByteTokenizer", "CharTokenizer"]
