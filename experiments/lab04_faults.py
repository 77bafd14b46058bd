"""Record how SmolLM2 behaves in eight faulty programs, one of which lab 04 gives to a student to diagnose.

Each has one line wrong and is compared with the right one on a text of 48 tokens, read whole and read one token at a
time with a cache. Run it with `python experiments/lab04_faults.py`; it takes about a minute on one free core.
"""

import torch
from torch import Tensor

from llmlib.data import save_recorded
from llmlib.hub import load_smollm2

TEXT = """\
The lighthouse had stood on the cliff for two hundred years. Every evening an old man climbed its stairs, lit the
lamp, and waited for the ships to pass. One night in winter, when the storm was at its worst, he saw a small boat"""
FAULTS = {
    "A": "the rotary layout is the interleaved one, and the weights are for halves",
    "B": "positions restart at 0 with every call that uses the cache",
    "C": "the mask is aligned top-left, also when there is a cache",
    "D": "key heads are repeated with repeat instead of repeat_interleave",
    "E": "the causal mask is missing",
    "F": "the rotary base is 10,000 instead of 100,000",
    "G": "the gate and the up matrix are exchanged",
    "H": "the scores are divided by the head width instead of its root",
}
RUNS = dict(zip(("b6", "d1", "f8", "j3", "m5", "q2", "t9", "x4"), "EHBFCADG", strict=True))
CHANGED, SAMPLED = 10, 24


def rope(x: Tensor, positions: Tensor, theta: float, interleaved: bool) -> Tensor:
    d = x.size(-1)
    angle = positions[:, None] / theta ** (torch.arange(0, d, 2) / d)
    cos, sin = angle.cos(), angle.sin()
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else x.chunk(2, dim=-1)
    turned = a * cos - b * sin, a * sin + b * cos
    return torch.stack(turned, -1).flatten(-2) if interleaved else torch.cat(turned, -1)


class Program:
    """SmolLM2 in forty lines, with one of them wrong."""

    def __init__(self, model, fault: str) -> None:
        self.w, self.c, self.fault = model.state_dict(), model.config, fault

    def read(self, ids: Tensor, cache: list) -> Tensor:
        """Logits of the new tokens; the cache is a list of (k, v), one pair per layer."""
        w, c, fault = self.w, self.c, self.fault
        past = cache[0][0].size(2) if cache else 0
        B, T = ids.shape
        positions = torch.arange(T) if fault == "B" else torch.arange(past, past + T)
        mask = torch.ones(T, past + T, dtype=torch.bool).tril(0 if fault == "C" else past)
        if fault == "E":
            mask = torch.ones_like(mask)
        theta = 10_000.0 if fault == "F" else c.rope_theta
        x = w["token_embedding.weight"][ids]
        for i in range(c.n_layers):
            p = f"blocks.{i}."
            h = self.norm(x, w[p + "norm1.weight"])
            projected = (h @ w[p + f"attention.{name}_proj.weight"].T for name in "qkv")
            q, k, v = (part.view(B, T, -1, c.head_dim).transpose(1, 2) for part in projected)
            q, k = rope(q, positions, theta, fault == "A"), rope(k, positions, theta, fault == "A")
            if past:
                k, v = torch.cat([cache[i][0], k], dim=2), torch.cat([cache[i][1], v], dim=2)
            cache[i : i + 1] = [(k, v)]
            x = x + self.attend(q, k, v, mask).transpose(1, 2).reshape(B, T, -1) @ w[p + "attention.o_proj.weight"].T
            h = self.norm(x, w[p + "norm2.weight"])
            gate, up, down = (w[p + f"mlp.{name}_proj.weight"] for name in ("gate", "up", "down"))
            if fault == "G":
                gate, up = up, gate
            x = x + (torch.nn.functional.silu(h @ gate.T) * (h @ up.T)) @ down.T
        return self.norm(x, w["final_norm.weight"]) @ w["token_embedding.weight"].T

    def norm(self, x: Tensor, gain: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.c.norm_eps) * gain

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        share = q.size(1) // k.size(1)
        if self.fault == "D":
            k, v = k.repeat(1, share, 1, 1), v.repeat(1, share, 1, 1)
        else:
            k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
        scores = q @ k.transpose(-2, -1) / q.size(-1) ** (1.0 if self.fault == "H" else 0.5)
        return scores.masked_fill(~mask, float("-inf")).softmax(-1) @ v

    def one_by_one(self, ids: Tensor) -> Tensor:
        cache: list = []
        return torch.cat([self.read(token, cache) for token in ids.split(1, 1)], 1)

    def continuation(self, ids: Tensor, n: int = 24) -> list[int]:
        cache, new = [], []
        for _ in range(n):
            new.append(int(self.read(ids, cache)[0, -1].argmax()))
            ids = torch.tensor([[new[-1]]])
        return new


def spread(difference: Tensor) -> list[float]:
    """(T,) root mean square over the vocabulary."""
    return [round(e, 3) for e in difference[0].pow(2).mean(-1).sqrt().tolist()]


@torch.inference_mode()
def main() -> None:
    torch.set_num_threads(1)
    model, tokenizer = load_smollm2(device="cpu", fallback=False)
    ids = torch.tensor([tokenizer.encode(TEXT)[:48]])
    changed = ids.clone()
    changed[0, CHANGED] = tokenizer.encode(" green")[0]
    right, results = model(ids), {}
    for name, fault in {"correct": "", **RUNS}.items():
        program = Program(model, fault)
        whole, cached = program.read(ids, []), program.one_by_one(ids)
        moved = spread(program.read(changed, []) - whole)
        results[name] = {
            "read whole": spread(whole - right),
            "one by one": spread(cached - right),
            "moved, earlier": max(moved[:CHANGED]),
            "moved, last": spread(program.one_by_one(changed) - cached)[-1],
            "sample": tokenizer.decode(program.continuation(ids[:, :SAMPLED])),
        }
        seen = results[name]
        for way in ("read whole", "one by one"):
            print(name, fault, way, seen[way][:3], seen[way][::12], seen[way][-1])
        print(seen["moved, earlier"], seen["moved, last"], repr(seen["sample"][:60]), flush=True)
    save_recorded(
        "lab04_faults",
        results,
        script=__file__,
        modules=["llmlib.hub.smollm2", "llmlib.hub.gguf", "llmlib.hub.llama_gguf"],
        seeds=(),
    )


if __name__ == "__main__":
    main()
