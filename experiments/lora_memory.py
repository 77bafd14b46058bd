"""Record what fine-tuning SmolLM2 takes in memory and time, in full and with adapters. Run it with

    OMP_NUM_THREADS=1 python experiments/lora_memory.py

Each way runs in a process of its own: load the model, three updates of 8 x 64 tokens (loss on the last 24 of each row),
AdamW. Noted: peak resident memory, what was resident before the first update, processor seconds of an update (median
of the second and third), and the bytes that arithmetic expects for weights, gradients and Adam's two moments.
"""

import json
import resource
import subprocess
import sys
import time

import torch

from llmlib.adapt import apply_peft, quantize_model
from llmlib.data import Experiment
from llmlib.hub import load_smollm2

UPDATES, ROWS, LENGTH, LEARNED = 3, 8, 64, 24
ARMS: dict[str, tuple[str, dict, torch.dtype]] = {
    "full, fp32": ("full", {}, torch.float32),
    "last two blocks, fp32": ("last_layers", dict(n_layers=2), torch.float32),
    "LoRA q and v, fp32": ("lora", dict(rank=8, alpha=16.0), torch.float32),
    "LoRA all, fp32": ("lora", dict(rank=8, alpha=16.0, targets="blocks.*"), torch.float32),
    "LoRA all, base in bf16": ("lora", dict(rank=8, alpha=16.0, targets="blocks.*"), torch.bfloat16),
    "LoRA all, base in NF4": ("lora", dict(rank=8, alpha=16.0, targets="blocks.*"), torch.bfloat16),
}


def peak_gb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 3)


def resident_gb() -> float:
    with open("/proc/self/status", encoding="utf-8") as file:
        return round(next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) * 1024 / 1e9, 3)


def measure(arm: str) -> dict:
    torch.set_num_threads(1)
    method, options, dtype = ARMS[arm]
    bare = resident_gb()
    model, _ = load_smollm2("cpu", dtype, fallback=False)
    if "NF4" in arm:
        quantize_model(model, "nf4")
    told = apply_peft(model, method, **options)
    ids = torch.randint(model.config.vocab_size, (ROWS, LENGTH), generator=torch.Generator().manual_seed(0))
    moving = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(moving, lr=1e-5)
    loaded, times = resident_gb(), []
    for _ in range(UPDATES):
        began = time.process_time()
        logits = model.head(model.hidden(ids)[:, -LEARNED - 1 : -1]).float()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, -LEARNED:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.process_time() - began)
    weights = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    trained = sum(w.numel() * w.element_size() for w in moving)
    return dict(
        arm=arm, trainable=told.trainable, total=told.total, bare_gb=bare, loaded_gb=loaded, peak_gb=peak_gb(),
        seconds=round(sum(times[1:]) / len(times[1:]), 2), weights=weights, gradients=trained, moments=2 * trained,
    )  # fmt: skip


def apart(arm: str) -> dict:
    command = [sys.executable, __file__, "--arm", arm]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> None:
    if "--arm" in sys.argv:
        print(json.dumps(measure(sys.argv[-1])))
        return
    modules = ["llmlib.adapt.lora", "llmlib.adapt.family", "llmlib.model.transformer", "llmlib.model.attention"]
    experiment = Experiment("lora_memory", script=__file__, modules=modules)
    runs = [experiment.once(arm, apart, arm) for arm in ARMS]
    print(*runs, sep="\n", flush=True)
    experiment.save(runs)


if __name__ == "__main__":
    main()
