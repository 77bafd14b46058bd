"""LoRA against full fine-tuning of SmolLM2: peak memory and processor time of an update, as ratios in one run.

Both learn the same rows of 8 x 64 tokens with AdamW, the loss on the last 24 tokens of each: full fine-tuning in fp32
(`apply_peft(model, "full")`), LoRA of rank 8 on all linear layers with adapters in fp32, on a base in fp32 and in bf16.
Each runs in a process of its own, in turns; the medians of the rounds count, the first update of each is left out.

    OMP_NUM_THREADS=1 python benchmarks/lora_vs_full.py [--rounds 1] [--updates 4]
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import torch

from llmlib.adapt import apply_peft
from llmlib.hub import load_smollm2

ROWS, LENGTH, LEARNED = 8, 64, 24
WAYS = {"full, fp32": torch.float32, "LoRA, base in fp32": torch.float32, "LoRA, base in bf16": torch.bfloat16}


def measure(way: str, updates: int) -> dict:
    """In a process of its own: seconds of each update, and the peak of resident memory."""
    torch.set_num_threads(1)
    model, _ = load_smollm2("cpu", WAYS[way], fallback=False)
    if way.startswith("full"):
        told = apply_peft(model, "full")
    else:
        told = apply_peft(model, "lora", rank=8, alpha=16.0, targets="blocks.*")
    ids = torch.randint(model.config.vocab_size, (ROWS, LENGTH), generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=1e-5)
    times = []
    for _ in range(updates):
        began = time.process_time()
        logits = model.head(model.hidden(ids)[:, -LEARNED - 1 : -1]).float()
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, -LEARNED:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    return dict(trainable=told.share, seconds=times[1:], peak=peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--updates", type=int, default=4, help="of each way in each round; at least 2")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(measure(args.way, args.updates)))
        return
    found: dict[str, list[dict]] = {way: [] for way in WAYS}
    for _ in range(args.rounds):
        for way, results in found.items():
            command = [sys.executable, __file__, "--way", way, "--updates", str(args.updates)]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            results.append(json.loads(told.splitlines()[-1]))
    peak = {way: statistics.median(each["peak"] for each in results) for way, results in found.items()}
    seconds = {way: statistics.median(s for each in results for s in each["seconds"]) for way, results in found.items()}
    for way, results in found.items():
        share = results[0]["trainable"]
        print(f"{way}: {share:.2%} trained, peak {peak[way]:.2f} GB, {seconds[way]:.2f} processor seconds an update")
    full, *others = WAYS
    for way in others:
        memory, pace = peak[way] / peak[full], seconds[way] / seconds[full]
        print(f"{way} / {full}: memory {memory:.2f}x, time of an update {pace:.2f}x")


if __name__ == "__main__":
    main()
