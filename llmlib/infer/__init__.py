"""Using a trained model: picking tokens, generating text, streaming it."""

from llmlib.infer.generate import generate
from llmlib.infer.pieces import StopFilter, TokenDecoder, Tokenizer
from llmlib.infer.sampling import filter_logits, sample_next
from llmlib.infer.stream import stream

__all__ = ["StopFilter", "TokenDecoder", "Tokenizer", "filter_logits", "generate", "sample_next", "stream"]
