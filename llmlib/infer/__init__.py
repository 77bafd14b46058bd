"""Using a trained model: picking tokens, generating text, streaming it, and doing so fast on a CPU."""

from llmlib.infer.cpu_decoder import decoding_layout, token_step
from llmlib.infer.detokenize import StopFilter, TokenDecoder, Tokenizer
from llmlib.infer.generation import generate
from llmlib.infer.sampling import filter_logits, sample_next
from llmlib.infer.streaming import stream

__all__ = [
    "StopFilter",
    "TokenDecoder",
    "Tokenizer",
    "decoding_layout",
    "filter_logits",
    "generate",
    "sample_next",
    "stream",
    "token_step",
]
