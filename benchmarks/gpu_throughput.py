"""Training throughput on one CUDA card: tokens a second and share of the peak (MFU), in bf16 with torch.compile.

Two models through the same `Trainer` as everything else: `shakespeare-gpu`, and GPT-2 124M at context 1024. The peer,
measured in the same run, is the same model without torch.compile; the ratio is printed last. Model FLOPs utilisation
(MFU; PaLM, Chowdhery et al., 2022, appendix B) counts the multiplications the model needs, not those the card did.

    python benchmarks/gpu_throughput.py [--steps 20] [--gpt2-batch 16] [--peak 989e12]

Without a CUDA card it says so and measures nothing.
"""

import argparse
import sys
import time

import torch

from llmlib.model import ModelConfig, Transformer, flops_per_token, preset
from llmlib.train import TrainConfig, Trainer, train_preset

# Dense bf16 peak in FLOP/s from the makers' data sheets, by a part of the card's name; the first that fits counts.
PEAK_FLOPS = {
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "H200": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}


def tokens_per_second(model_config: ModelConfig, config: TrainConfig, steps: int, warmup: int = 5) -> float:
    """Median speed of `steps` updates on random tokens, after `warmup` that also compile."""
    torch.manual_seed(0)
    tokens = torch.randint(model_config.vocab_size, (1_000_000,))
    trainer = Trainer(Transformer(model_config), config, tokens)
    seconds = []
    for step in range(warmup + steps):
        torch.cuda.synchronize()
        started = time.perf_counter()
        trainer.train_step()
        torch.cuda.synchronize()
        if step >= warmup:
            seconds.append(time.perf_counter() - started)
    return config.tokens_per_step / sorted(seconds)[len(seconds) // 2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--gpt2-batch", type=int, default=16, help="sequences of 1024 tokens in a batch")
    parser.add_argument("--peak", type=float, help="the card's dense bf16 peak in FLOP/s, if it is not in the list")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("gpu_throughput needs a CUDA card and torch built for CUDA; none was found, nothing was measured")
        return 1
    card = torch.cuda.get_device_name()
    peak = args.peak or next((flops for name, flops in PEAK_FLOPS.items() if name in card), None)
    print(f"{card}, torch {torch.__version__}, peak {'unknown' if peak is None else f'{peak / 1e12:.0f} TFLOP/s'}")

    shakespeare = train_preset("shakespeare-gpu").replace(device="cuda", progress=False)
    gpt2 = shakespeare.replace(
        seq_len=1024, batch_size=args.gpt2_batch, optimizer="adamw", lr=6e-4, embedding_lr=None, head_lr=None,
        vector_lr=None, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, average=0.0,
    )  # fmt: skip
    ratios = []
    for name, config in (("shakespeare-gpu", shakespeare), ("gpt2", gpt2)):
        speeds = {}
        for compiled in (False, True):
            speed = tokens_per_second(preset(name), config.replace(compile=compiled), args.steps)
            flops = speed * flops_per_token(preset(name), config.seq_len)
            mfu = "" if peak is None else f", MFU {flops / peak:.1%}"
            how = "compiled" if compiled else "eager"
            print(f"{name:16} {how:9} {speed:12,.0f} tokens/s, {flops / 1e12:6.1f} TFLOP/s{mfu}", flush=True)
            speeds[compiled] = speed
            torch.cuda.empty_cache()
        ratios.append(f"{name} {speeds[True] / speeds[False]:.2f}")
    print(f"ratio of compiled to eager: {', '.join(ratios)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
