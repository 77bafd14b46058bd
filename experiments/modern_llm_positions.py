"""Record lecture 04's losses by position: trained on windows of 64 characters, read on windows of 256, three seeds.

Run it with `python experiments/modern_llm_positions.py`; it takes about three minutes on one core.
"""

from dataclasses import asdict

import torch
import torch.nn.functional as F
from modern_llm import JUDGED, MODULES, SEEDS, gpt2_like, texts, trained

from llmlib.data import Experiment
from llmlib.model import Transformer
from llmlib.train import TrainConfig

TRAINED_ON, READ_AT = 64, 256
RECIPE = TrainConfig(
    steps=300, batch_size=16, seq_len=TRAINED_ON, lr=6e-3, warmup_steps=20, device="cpu", progress=False
)


@torch.no_grad()
def loss_by_position(model: Transformer, tokens: torch.Tensor, length: int, bins: int = 32) -> list[float]:
    """Mean loss in `bins` equal stretches of windows of `length` tokens."""
    n = (len(tokens) - 1) // length
    x, y = tokens[: n * length].view(n, length), tokens[1 : n * length + 1].view(n, length)
    losses = torch.cat(
        [F.cross_entropy(model(a).transpose(1, 2), b, reduction="none") for a, b in zip(x.split(32), y.split(32))]
    )
    return [round(value, 4) for value in losses.mean(0).view(bins, -1).mean(1).tolist()]


def main() -> None:
    vocab_size, train, _, report = texts()
    experiment = Experiment("modern_llm_positions", script=__file__, modules=MODULES, seeds=SEEDS)

    def run(position: str, seed: int) -> dict[str, list[float]]:
        # The table gets a row for every position it will be read at; training only ever reaches the first 64.
        config = gpt2_like(vocab_size, 2, 64, 4, READ_AT).replace(position=position)
        model = trained(config, RECIPE.replace(seed=seed), train)
        found = {position: loss_by_position(model, report[:JUDGED], READ_AT)}
        if position == "rope":  # the same weights, read with a slower clock ("NTK-aware" scaling for four times)
            slower = Transformer(config.replace(rope_theta=1e4 * (READ_AT / TRAINED_ON) ** (16 / 14)))
            slower.load_state_dict(model.state_dict())
            found["rope, slower"] = loss_by_position(slower, report[:JUDGED], READ_AT)
        return found

    curves: dict[str, list] = {}
    for position in ("learned", "sinusoidal", "rope", "none"):
        for seed in SEEDS:
            for name, curve in experiment.once(f"{position}, seed {seed}", run, position, seed).items():
                curves.setdefault(name, []).append(curve)
                print(name, seed, curve[::4], flush=True)
    experiment.save({"recipe": asdict(RECIPE), "trained_on": TRAINED_ON, "read_at": READ_AT, "curves": curves})


if __name__ == "__main__":
    main()
