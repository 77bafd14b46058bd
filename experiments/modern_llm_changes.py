"""Record lecture 04's steps from GPT-2's recipe to Llama's: one change at a time, four learning rates, three seeds.

Run it with `python experiments/modern_llm_changes.py`; it takes about six minutes on one core and goes on where it was
interrupted.
"""

import statistics
from dataclasses import asdict

from modern_llm import JUDGED, MODULES, SEEDS, gpt2_like, texts, trained

from llmlib.data import Experiment
from llmlib.model import ModelConfig, count_parameters
from llmlib.train import TrainConfig, evaluate_loss

RATES = (3e-3, 6e-3, 1.2e-2, 2.4e-2)
CHANGES: dict[str, dict] = {
    "GPT-2's recipe": {},
    "ReLU": {"mlp": "relu"},
    "SwiGLU": {"mlp": "swiglu", "d_ff": 128},  # 3 x 128 x 48 weights, as many as 2 x 192 x 48
    "RMSNorm": {"norm": "rmsnorm"},
    "RoPE": {"position": "rope"},
    "2 key heads for 6": {"n_kv_heads": 2},
    "all of Llama's": {"mlp": "swiglu", "d_ff": 128, "norm": "rmsnorm", "position": "rope", "n_kv_heads": 2},
}
RECIPE = TrainConfig(steps=240, batch_size=8, seq_len=64, lr=1e-3, warmup_steps=20, device="cpu", progress=False)


def main() -> None:
    vocab_size, train, choose, report = texts()
    experiment = Experiment("modern_llm_changes", script=__file__, modules=MODULES, seeds=SEEDS)

    def losses_of(config: ModelConfig, lr: float, seed: int) -> list[float]:
        model = trained(config, RECIPE.replace(lr=lr, seed=seed), train)
        return [round(evaluate_loss(model, part[:JUDGED], seq_len=64), 4) for part in (choose, report)]

    rows = []
    for name, change in CHANGES.items():
        config = gpt2_like(vocab_size, 3, 48, 6, 64).replace(**change)
        for lr in RATES:
            both = [experiment.once(f"{name}, lr {lr}, seed {seed}", losses_of, config, lr, seed) for seed in SEEDS]
            on_choose, on_report = map(list, zip(*both))
            rows.append({"change": name, "lr": lr, "choose": on_choose, "report": on_report})
            rows[-1]["parameters"] = count_parameters(config)
            print(rows[-1], flush=True)
    spread = statistics.mean(statistics.stdev(row["report"]) for row in rows)
    print(f"typical deviation between seeds: {spread:.4f}")
    experiment.save({"recipe": asdict(RECIPE), "rows": rows})


if __name__ == "__main__":
    main()
