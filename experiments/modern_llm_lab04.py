"""Record the three wrongly loaded models that lab 04 asks students to diagnose.

Each is SmolLM2 with one mistake, compared with the right one on a text of 48 tokens. Run it with
`python experiments/modern_llm_lab04.py`; it takes about half a minute on one core.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from llmlib.data import save_recorded
from llmlib.hub import load_smollm2
from llmlib.model import KVCache, Transformer

TEXT = """\
The lighthouse had stood on the cliff for two hundred years. Every evening an old man climbed its stairs, lit the
lamp, and waited for the ships to pass. One night in winter, when the storm was at its worst, he saw a small boat"""
CAUSES = {
    "model 1": "rotary base 10,000",
    "model 2": "repeat for repeat_interleave",
    "model 3": "positions restart at 0",
}

Read = Callable[[Tensor, KVCache | None], Tensor]


def with_config(model: Transformer, **changes: object) -> Transformer:
    """The same weights in a model of another config."""
    other = Transformer(model.config.replace(**changes)).eval()
    other.load_state_dict(model.state_dict())
    return other


def with_repeat(model: Transformer) -> Transformer:
    """The same weights, with each query head meeting the key head that `repeat` would give it."""
    c, other = model.config, with_config(model)
    order = torch.arange(c.n_heads).view(-1, c.n_kv_heads).T.flatten()  # heads that meet key head 0, then 1, ...
    with torch.no_grad():
        for block in other.blocks:
            for weight, axis in ((block.attention.q_proj.weight, 0), (block.attention.o_proj.weight, 1)):
                heads = weight.detach().clone().unflatten(axis, (c.n_heads, -1))
                weight.copy_(heads.index_select(axis, order).flatten(axis, axis + 1))
    return other


def reader(model: Transformer, restart: bool = False) -> Read:
    def read(ids: Tensor, cache: KVCache | None) -> Tensor:
        return model(ids, cache=cache, positions=torch.arange(ids.shape[1]) if restart else None)

    return read


@torch.inference_mode()
def logits_one_by_one(read: Read, ids: Tensor, config) -> Tensor:
    cache = KVCache(config)
    return torch.cat([read(token, cache) for token in ids.split(1, 1)], 1)


@torch.inference_mode()
def continuation(read: Read, ids: Tensor, config, n: int = 32) -> list[int]:
    cache, new = KVCache(config), []
    for _ in range(n):
        new.append(int(read(ids, cache)[0, -1].argmax()))
        ids = torch.tensor([[new[-1]]])
    return new


@torch.inference_mode()
def main() -> None:
    torch.set_num_threads(1)
    model, tokenizer = load_smollm2(device="cpu", fallback=False)
    ids = torch.tensor([tokenizer.encode(TEXT)[:48]])
    right = model(ids)
    results = {}
    for name, cause in CAUSES.items():
        if cause.startswith("rotary base"):
            read = reader(with_config(model, rope_theta=1e4))
        elif cause.startswith("repeat"):
            read = reader(with_repeat(model))
        else:
            read = reader(model, restart=True)
        errors = {}
        for way, logits in (("whole", read(ids, None)), ("one_by_one", logits_one_by_one(read, ids, model.config))):
            errors[way] = [round(e, 3) for e in (logits - right)[0].pow(2).mean(-1).sqrt().tolist()]
        changed = ids.clone()
        changed[0, 10] = tokenizer.encode(" green")[0]
        moved = (logits_one_by_one(read, changed, model.config)[0, -1] - logits[0, -1]).pow(2).mean().sqrt().item()
        errors["influence"] = round(moved, 3)  # of token 10 on the last logits, read one at a time
        results[name] = {**errors, "sample": tokenizer.decode(continuation(read, ids[:, :24], model.config))}
        print(
            name,
            cause,
            errors["whole"][::8],
            errors["one_by_one"][::8],
            moved,
            repr(results[name]["sample"]),
            flush=True,
        )
    save_recorded(
        "modern_llm_lab04",
        results,
        script=__file__,
        modules=["llmlib.model.transformer", "llmlib.model.rope"],
    )


if __name__ == "__main__":
    main()
