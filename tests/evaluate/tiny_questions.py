"""A model small enough to run everywhere, and questions about nothing."""

import torch

from llmlib.data import ChoiceQuestion, OpenQuestion
from llmlib.model import ModelConfig, Transformer
from llmlib.text import BPETokenizer, ByteTokenizer

BYTES = ByteTokenizer()
CHAT_TOKENS = ("<|im_start|>", "<|im_end|>")
TEXT = "Question: what is it? Answer: a cat. Question: where is it? Answer: on the mat, near the hat. " * 20
BPE = BPETokenizer.train(TEXT, 290, special_tokens=CHAT_TOKENS)


def tiny_model(vocab_size=290, seed=0, **changes):
    torch.manual_seed(seed)
    settings = dict(vocab_size=vocab_size, n_layers=2, d_model=32, n_heads=4, n_kv_heads=2, max_seq_len=256)
    model = Transformer(ModelConfig(**settings | changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(4)
    return model


CHOICES = [
    ChoiceQuestion("q1", "what is it?", ("a cat", "a hat on the mat", "it"), 0),
    ChoiceQuestion("q2", "where?", ("on the mat", "near"), 1, context="The cat is near the mat."),
    ChoiceQuestion("q3", "", ("sat on the mat.", "is a hat."), 0, context="The cat"),
    ChoiceQuestion("q4", "what is it near, and where is the hat now?", ("x", "the hat", "é", "on on on"), 3),
]
OPENS = [
    OpenQuestion("o1", "what?", ("a cat", "other"), worked="It is a cat. #### cat"),
    OpenQuestion("o2", "where is it?", ("mat",)),
    OpenQuestion("o3", "where is the hat?", ("near", "near the mat")),
]
