"""Text to token ids and back, and the models that only count."""

from .bytes import ByteTokenizer
from .chars import CharTokenizer
from .ngram import NGramModel
from .sources import MarkovSource

__all__ = ["ByteTokenizer", "CharTokenizer", "MarkovSource", "NGramModel"]
