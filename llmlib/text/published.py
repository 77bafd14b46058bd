"""Vocabularies that others learned, in our tokenizers: GPT-2's and SmolLM2's (lecture 02)."""

from collections.abc import Mapping
from typing import Any

from llmlib.data import fetch
from llmlib.text.bpe import BPETokenizer
from llmlib.text.bpe_training import GPT2_PATTERN
from llmlib.text.printable import bytes_to_printable, printable_to_bytes
from llmlib.text.token_files import read_ranks

# SmolLM2 cuts every digit off before GPT-2's pattern applies, which as one pattern reads: digits first, and a run of
# spaces before a digit stays whole.
SMOLLM2_PATTERN = r"\p{N}|'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?=\p{N})|\s+(?!\S)|\s+"

__all__ = ["SMOLLM2_PATTERN", "bytes_to_printable", "gpt2_tokenizer", "printable_to_bytes", "smollm2_tokenizer"]

_CONTROL = 3  # GGUF's token type of special tokens


def gpt2_tokenizer() -> BPETokenizer:
    """GPT-2's tokenizer (Radford et al., 2019): 50,256 tokens and <|endoftext|>. Fetches the asset "gpt2-ranks"."""
    ranks = read_ranks(fetch("gpt2-ranks"))
    return BPETokenizer(ranks, {"<|endoftext|>": len(ranks)}, GPT2_PATTERN)


def smollm2_tokenizer(metadata: Mapping[str, Any]) -> BPETokenizer:
    """SmolLM2's tokenizer (Allal et al., 2025) out of the metadata of its GGUF file: 49,152 tokens, 17 of them special.

    metadata: `GGUFFile(path).metadata`; this room does not read model files, `llmlib.hub.load_smollm2` puts the two
    together. 21 bytes that ordinary text does not contain have no token; text with them cannot be encoded. Metadata of
    another tokenizer, or damaged, is a ValueError.
    """
    if not isinstance(metadata, Mapping):
        raise ValueError(f"metadata is a {type(metadata).__name__}: pass the metadata of SmolLM2's GGUF file")
    kind = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if kind != ("gpt2", "smollm"):
        shown = [repr(name)[:40] for name in kind]
        raise ValueError(f"metadata is of a tokenizer {shown[0]} with pre-tokenizer {shown[1]}: expected SmolLM2's")
    try:
        tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    except KeyError as error:
        raise ValueError(f"metadata has no entry {error.args[0]!r}: pass the metadata of SmolLM2's GGUF file") from None
    texts = isinstance(tokens, list) and all(isinstance(token, str) for token in tokens)
    if not texts or not hasattr(types, "__len__"):
        raise ValueError("metadata has tokens or token types that are no lists: the file is damaged")
    if len(tokens) != len(types):
        raise ValueError(f"metadata has {len(tokens)} tokens but {len(types)} token types: the file is damaged")
    ranks: dict[bytes, int] = {}
    special_tokens: dict[str, int] = {}
    for i, (token, kind) in enumerate(zip(tokens, types)):
        if kind == _CONTROL:
            known, key = special_tokens, token
        else:
            known, key = ranks, printable_to_bytes(token)
        if key in known:
            raise ValueError(f"metadata holds token {token[:80]!r} twice, as {known[key]} and {i}: the file is damaged")
        known[key] = i
    missing = [b for b in range(256) if bytes([b]) not in ranks]
    return BPETokenizer(ranks, special_tokens, SMOLLM2_PATTERN, missing_bytes=missing)
