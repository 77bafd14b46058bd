"""Record how LoRA teaches SmolLM2 to answer in JSON, and what that costs. Run it with

    OMP_NUM_THREADS=1 python experiments/lora_json.py

Adapters of rank 8 on all linear layers, float32, on a base in bf16: 24 updates of 8 questions of NQ-open with their
published short answers, written as {"answer": "..."}; three seeds (other questions, another order, other adapters). The
loss and the output head are computed at the tokens of the reply alone. Each training runs in a process of its own,
which notes its processor seconds, its seconds by the clock and its peak resident memory. The rate, 2e-3, is that of an
earlier trial. With the model's own sentences for answers, one seed each and other held-out questions, 36 of 40 replies
were valid (rate 2e-3, 32 updates, 40 new tokens) and 28 of 40 (1e-3, 24 updates, 32 new tokens): long replies rambled
on and were cut off, or held quotes.

Asked before and at the end, greedily, in float32: 40 questions of NQ-open that no seed was trained on;
and lecture 11's 12 questions of fact and 8 requests of other kinds. "valid": the reply parses as JSON with the one key
"answer". "right": the expected words stand in a reply to a question of fact. Bits a byte on prose tell what it cost
elsewhere.
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import sft_format as lecture_11
import torch

from llmlib.adapt import LoRAConfig, apply_lora, load_adapter, save_adapter
from llmlib.align import chat_prompt, end_of_turn, pad_examples, reply_example, sample_replies
from llmlib.align.sft import IGNORE
from llmlib.data import Experiment, fetch, prose
from llmlib.hub import load_smollm2
from llmlib.model import Transformer
from llmlib.text import BPETokenizer
from llmlib.train import TrainConfig, Trainer, bits_per_byte, document_nats

SEEDS, QUESTIONS, EPOCHS, ROWS, HELD_OUT, RATE = (0, 1, 2), 64, 3, 8, 40, 2e-3
CONFIG = LoRAConfig(rank=8, alpha=16.0, targets=("blocks.*",))
MORE = [*(question for question, _ in lecture_11.FACTS), *lecture_11.REQUESTS]


def questions() -> list[tuple[str, str]]:
    """All questions with a short published answer, in an order of our own; the first 40 are the held-out ones."""
    with open(fetch("nq-open"), encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    asked = sorted({(f"{row['question']}?", row["answer"][0]) for row in rows if len(row["answer"][0]) < 30})
    random.Random(15).shuffle(asked)
    return asked


def label_loss(model: torch.nn.Module, batch: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy at the reply's tokens: the head, the largest matrix, is not asked about the others.

    Rows are padded on the right, where a causal model's other tokens do not look: no mask is needed.
    """
    which = batch["targets"] != IGNORE
    logits = model.head(model.hidden(batch["ids"])[which]).float()
    return torch.nn.functional.cross_entropy(logits, batch["targets"][which], reduction="sum"), which.sum()


def batches(tokenizer: BPETokenizer, pairs: list[tuple[str, str]], seed: int, epochs: int = EPOCHS) -> list[dict]:
    examples = [reply_example(tokenizer, question, json.dumps({"answer": answer})) for question, answer in pairs]
    rng = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(examples), generator=rng) for _ in range(epochs)]
    padded = [pad_examples([examples[i] for i in part.tolist()]) for order in orders for part in order.split(ROWS)]
    return [{"ids": each["ids"], "targets": each["targets"]} for each in padded]


def train(seed: int, folder: Path) -> dict:
    """In a process of its own: the adapter goes to a file, the costs are returned."""
    torch.set_num_threads(1)
    model, tokenizer = load_smollm2("cpu", torch.bfloat16, fallback=False)
    report = apply_lora(model, CONFIG, generator=torch.Generator().manual_seed(seed))
    rows = batches(tokenizer, random.Random(seed).sample(questions()[HELD_OUT:], QUESTIONS), seed)
    recipe = TrainConfig(steps=len(rows), lr=RATE, weight_decay=0.0, warmup_steps=3, device="cpu", progress=False)
    trainer = Trainer(model, recipe, rows, loss=label_loss)
    wall, cpu, losses = time.perf_counter(), time.process_time(), []
    for _ in rows:
        losses.append(trainer.train_step())
    seconds = dict(cpu=time.process_time() - cpu, wall=time.perf_counter() - wall)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    size = save_adapter(folder / "adapter", model).stat().st_size
    return dict(
        seed=seed, trainable=report.trainable, total=report.total, losses=[round(loss, 3) for loss in losses],
        seconds={name: round(value, 1) for name, value in seconds.items()}, peak_gb=round(peak, 2),
        file_mb=round(size / 1e6, 1), tokens=[list(row["ids"].shape) for row in rows[:3]],
    )  # fmt: skip


def look(model: Transformer, tokenizer: BPETokenizer, texts: list[str]) -> dict:
    """What the model replies, and its bits a byte on prose."""
    asked = [*(question for question, _ in questions()[:HELD_OUT]), *MORE]
    prompts = [chat_prompt(tokenizer, question) for question in asked]
    said: list[str] = []
    for i in range(0, len(prompts), 20):
        replies = sample_replies(model, prompts[i : i + 20], end_of_turn(tokenizer), 32, greedy=True).replies
        said += [tokenizer.decode(reply) for reply in replies]
    held, facts, requests = said[:HELD_OUT], said[HELD_OUT : HELD_OUT + 12], said[HELD_OUT + 12 :]
    right = sum(any(w in text.lower() for w in words.split("|")) for text, (_, words) in zip(facts, lecture_11.FACTS))
    nats = document_nats(model, [tokenizer.encode(text) for text in texts], tokenizer.special_tokens["<|endoftext|>"])
    valid = [sum(map(lecture_11.valid, part)) for part in (held, facts, requests)]
    failures = [text for text in held if not lecture_11.valid(text)][:3]
    return dict(
        valid=valid, asked=[len(held), len(facts), len(requests)], right=right,
        bits_per_byte=round(bits_per_byte(nats, [len(text.encode()) for text in texts])[0], 4),
        said={asked[i]: said[i] for i in (0, 1, HELD_OUT, HELD_OUT + 2, HELD_OUT + 12, HELD_OUT + 14)},
        failures=failures,
    )  # fmt: skip


def run(seed: int, texts: list[str]) -> dict:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, __file__, "--train", str(seed), name]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        model, tokenizer = load_smollm2("cpu", fallback=False)
        load_adapter(folder / "adapter", model)
        return told | dict(after=look(model, tokenizer, texts))


def base_look(texts: list[str]) -> dict:
    return look(*load_smollm2("cpu", fallback=False), texts)


def main() -> None:
    if "--train" in sys.argv:
        print(json.dumps(train(int(sys.argv[2]), Path(sys.argv[3]))))
        return
    torch.set_num_threads(1)
    modules = ["llmlib.adapt.lora", "llmlib.adapt.adapters", "llmlib.align.sft", "llmlib.train.loop"]
    experiment = Experiment(
        "lora_json", script=__file__, modules=[*modules, "experiments/sft_format.py"], seeds=SEEDS
    )  # fmt: skip
    texts = [document.text[:400] for document in prose("wikipedia")[:8]]
    runs = []
    for seed in SEEDS:
        runs.append(experiment.once(f"seed {seed}", run, seed, texts))
        print(runs[-1], flush=True)
    before = experiment.once("before", base_look, texts)
    print(before, flush=True)
    experiment.save(dict(before=before, runs=runs, rank=CONFIG.rank, rows=ROWS, updates=EPOCHS * QUESTIONS // ROWS))


if __name__ == "__main__":
    main()
