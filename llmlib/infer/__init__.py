"""Using a trained model: picking tokens, generating text, streaming it, and doing so fast on a CPU."""

from llmlib.infer.cpu_decoder import decoding_layout, token_step
from llmlib.infer.decoding import decode_steps, evaluation_mode, prefill
from llmlib.infer.detokenize import StopFilter, TokenDecoder, Tokenizer
from llmlib.infer.generation import Generation, generate
from llmlib.infer.intervals import wilson_interval
from llmlib.infer.sampling import Sampling, Step, filter_logits, log_probability, sample_next, sample_step
from llmlib.infer.speculative import PromptLookup, Reader, Speculation, speculative_generate
from llmlib.infer.streaming import stream

__all__ = [
    "Generation",
    "PromptLookup",
    "Reader",
    "Sampling",
    "Speculation",
    "Step",
    "StopFilter",
    "TokenDecoder",
    "Tokenizer",
    "decode_steps",
    "decoding_layout",
    "evaluation_mode",
    "filter_logits",
    "generate",
    "log_probability",
    "prefill",
    "sample_next",
    "sample_step",
    "speculative_generate",
    "stream",
    "token_step",
    "wilson_interval",
]
