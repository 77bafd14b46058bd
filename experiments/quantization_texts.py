"""Record what models write in fewer bits, the 5m base model and SmolLM2: for lecture 15.

    OMP_NUM_THREADS=1 python experiments/quantization_texts.py

Greedy continuations; the body is rounded to nearest in groups of 32, embedding and head stay as they are. Of SmolLM2
also how far its predictions move from those of the model as published on 256 tokens of held-out prose.
A minute of one core.
"""

import torch
from quantization_data import CODE, base, end_of, texts

from llmlib.adapt import distillation_kl, quantize_model
from llmlib.data import Experiment
from llmlib.hub import load_smollm2
from llmlib.infer import generate
from llmlib.text import encode_chat

BITS = (None, 4, 3, 2)
OURS = ("The river rises in", "Once upon a time there was a", "The film was directed by")
ASKED = ("What is the capital of France?", "Why is the sky blue?")
TOKENS = 28


def ours(bits: int | None) -> dict[str, str]:
    model, tokenizer = base("5m")
    if bits:
        quantize_model(model, "rtn", bits=bits, form="simulated")
    ids = lambda text: [end_of(tokenizer), *tokenizer.encode(text)]
    return {
        text: tokenizer.decode(generate(model, ids(text), max_new_tokens=TOKENS, greedy=True)) for text in OURS
    }  # fmt: skip


@torch.no_grad()
def published(bits: int | None) -> dict:
    """SmolLM2's replies, and how its predictions moved."""
    model, tokenizer = load_smollm2("cpu", fallback=False)
    passage = torch.tensor([tokenizer.encode(" ".join(texts()["report"][:4]))[:256]])
    before = model(passage)
    if bits:
        quantize_model(model, "rtn", bits=bits, form="simulated")
    after, stop = model(passage), [tokenizer.special_tokens["<|im_end|>"]]
    replies = {}
    for text in ASKED:
        ids = encode_chat(tokenizer, [{"role": "user", "content": text}])
        replies[text] = tokenizer.decode(
            generate(model, ids, max_new_tokens=TOKENS, greedy=True, stop_tokens=stop)
        )  # fmt: skip
    return {
        "kl": round(float(distillation_kl(after, before).mean()), 4),
        "same": round(float((after.argmax(-1) == before.argmax(-1)).float().mean()), 4),
        "replies": replies,
    }


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("quantization_texts", script=__file__, modules=CODE)
    mine = {str(bits): experiment.once(f"ours {bits}", ours, bits) for bits in BITS}
    theirs = {str(bits): experiment.once(f"smollm2 {bits}", published, bits) for bits in BITS}
    experiment.save(dict(ours=mine, smollm2=theirs))


if __name__ == "__main__":
    main()
