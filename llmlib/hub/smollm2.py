"""SmolLM2-135M-Instruct (Allal et al., 2025), or a stand-in where it cannot be had. Lecture 04 chats with it."""

from __future__ import annotations

import os

import torch

from llmlib.data import AssetError, fetch
from llmlib.model import Transformer, default_device
from llmlib.text import BPETokenizer, smollm2_tokenizer

from .llama_gguf import load_llama_gguf
from .stand_in import load_stand_in

NOTICE = """\
NOTE: SmolLM2 could not be had, so a stand-in of 0.4 million parameters takes its place: same interface, but trained on
Shakespeare alone. It answers every question with a line in the manner of a play. Text, numbers and speeds below are
therefore not those of the course. The reason: {reason}"""


def load_smollm2(
    device: torch.device | str | None = None, dtype: torch.dtype = torch.float32, *, fallback: bool = True
) -> tuple[Transformer, BPETokenizer]:
    """SmolLM2-135M-Instruct and its tokenizer, in evaluation mode.

    Its weights are published in 4 bits (Q4_1) and unpacked to `dtype`: in float32 538 MB. Fetches the asset "smollm2",
    98 MB, once. device: default `default_device()`. Conversations are written in ChatML, and a reply ends with
    "<|im_end|>":

        model, tokenizer = load_smollm2()
        prompt = encode_chat(tokenizer, [{"role": "user", "content": "What is the capital of France?"}])
        reply = generate(model, prompt, stop_tokens=[tokenizer.special_tokens["<|im_end|>"]], greedy=True)

    If the file cannot be had, a notice is printed and the result is `load_stand_in()`, so that a notebook still runs
    from top to bottom (`is_stand_in(model)` tells); with fallback=False the AssetError is raised instead. Setting the
    environment variable LLMLIB_NO_SMOLLM2 to anything but 0 acts as if the file could not be had.
    """
    try:
        if os.environ.get("LLMLIB_NO_SMOLLM2", "0") not in ("", "0"):
            raise AssetError("the environment variable LLMLIB_NO_SMOLLM2 is set: unset it to use SmolLM2")
        path = fetch("smollm2")
    except AssetError as error:
        if not fallback:
            raise
        print(NOTICE.format(reason=error))
        return load_stand_in(device, dtype)
    model, metadata = load_llama_gguf(path, device or default_device(), dtype)
    return model, smollm2_tokenizer(metadata)
