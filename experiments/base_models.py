"""Pre-train a base model of the course on its prose: `python experiments/base_models.py --size 1m`.

Cleans, splits and tokenises the prose once (a minute), then trains. Stopped at any moment, killed or interrupted, it
goes on from its last checkpoint when it is started again. The same script runs on many devices:

    torchrun --nproc-per-node 8 experiments/base_models.py --size 5m

docs/from_laptop_to_nodes.md has the arithmetic of each step.
"""

import argparse
import json
from pathlib import Path

import torch

from llmlib.data import flaws_of, prose, split_documents
from llmlib.data.shards import TokenShards, write_shards
from llmlib.files import write_file
from llmlib.model import ModelConfig, Transformer, count_parameters
from llmlib.text import BPETokenizer
from llmlib.train import (
    SaveEvery,
    TrainConfig,
    Trainer,
    WriteMetrics,
    bits_per_byte,
    distributed,
    document_nats,
)
from llmlib.train.launch import distribute, join_processes, leave_processes

SOURCES = ("wikipedia", "wikipedia-sections", "wikipedia-articles", "tales", "novels")
SHARES = {"train": 0.94, "choose": 0.03, "report": 0.03}
VOCAB_SIZE, CONTEXT, TOKENS_PER_UPDATE, EPOCHS = 4096, 256, 4096, 2
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")  # the last two are for lecture 11
SIZES = {  # Llama-style: RoPE, RMSNorm, SwiGLU, a tied head
    "0.3m": dict(n_layers=4, d_model=48, n_heads=3, d_ff=128),
    "1m": dict(n_layers=6, d_model=96, n_heads=3, d_ff=256),
    "3m": dict(n_layers=6, d_model=160, n_heads=5, d_ff=432),
    "5m": dict(n_layers=7, d_model=224, n_heads=7, d_ff=608),
}


def prepare(folder: Path) -> tuple[BPETokenizer, TokenShards]:
    """The tokenizer and the training shards, made by the first process if they are not there."""
    if distributed.rank() == 0 and not (folder / "train" / "meta.json").exists():
        documents = prose(*SOURCES)
        out = flaws_of(documents, trusted=("tales", "novels"))
        parts = split_documents([d for i, d in enumerate(documents) if i not in out], SHARES)
        print(f"{len(documents)} documents, {len(out)} left out, {len(parts['train'])} to train on", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        texts = {name: [document.text for document in part] for name, part in parts.items()}
        tokenizer = BPETokenizer.train(texts["train"], VOCAB_SIZE, special_tokens=list(SPECIAL))
        tokenizer.save(folder / "tokenizer.bpe")
        for name in ("choose", "report"):
            write_file(folder / f"{name}.json", json.dumps(texts[name]))
        end = tokenizer.special_tokens[SPECIAL[0]]
        write_shards(folder / "train", map(tokenizer.encode, texts["train"]), vocab_size=VOCAB_SIZE, end=end)
    distributed.barrier()
    return BPETokenizer.load(folder / "tokenizer.bpe"), TokenShards(folder / "train")


def shape(size: str) -> ModelConfig:
    """A small Llama. Its first weights deviate as one over the root of the width, 0.02 at GPT-2's 768."""
    width = SIZES[size]["d_model"]
    return ModelConfig(
        vocab_size=VOCAB_SIZE, max_seq_len=CONTEXT, init_std=0.02 * (768 / width) ** 0.5, **SIZES[size]
    )  # fmt: skip


def recipe(
    n_tokens: int, parameters: int, world_size: int, device: torch.device, epochs: int, steps: int | None
) -> TrainConfig:
    """Lecture 03's recipe for longer texts; its rates fall with the fourth root of the size. On CUDA in bf16."""
    if TOKENS_PER_UPDATE % (CONTEXT * world_size):
        raise ValueError(
            f"world_size={world_size} does not divide the {TOKENS_PER_UPDATE // CONTEXT} sequences of an update"
        )
    rate = (1e6 / parameters) ** 0.25
    return TrainConfig(
        steps=steps or epochs * n_tokens // TOKENS_PER_UPDATE,
        batch_size=TOKENS_PER_UPDATE // CONTEXT // world_size, seq_len=CONTEXT,
        optimizer="muon", lr=0.02 * rate, embedding_lr=0.03 * rate, vector_lr=0.005, betas=(0.8, 0.95), eps=1e-10,
        schedule="wsd", warmup_steps=min(50, steps or 50), decay_fraction=0.25, final_lr=0.0, grad_clip=1.0,
        device=device.type, dtype="bfloat16" if device.type == "cuda" else "float32", compile=device.type == "cuda",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="1m")
    parser.add_argument("--folder", type=Path, default=Path("build/base"), help="for data, checkpoints and logs")
    parser.add_argument("--strategy", choices=("ddp", "fsdp"), default="ddp")
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--steps", type=int, help="updates, instead of whole epochs")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    device = join_processes(args.device)
    tokenizer, shards = prepare(args.folder)
    rank, world_size = distributed.rank(), distributed.world_size()
    torch.manual_seed(args.seed)
    model = Transformer(shape(args.size))
    config = recipe(len(shards), count_parameters(model), world_size, device, args.epochs, args.steps)
    if rank == 0:
        print(f"{args.size}: {count_parameters(model):,} parameters, {len(shards):,} tokens, {config.steps} updates")
    place = dict(seed=args.seed, rank=rank, world_size=world_size)
    run = args.folder / f"{args.size}-seed{args.seed}"
    trainer = Trainer(
        distribute(model, device, args.strategy), config, shards.batches(config.batch_size, CONTEXT, **place),
        callbacks=[
            WriteMetrics(run.with_name(f"{run.name}.jsonl")),
            SaveEvery(run, 100, tokenizer=tokenizer, keep_powers_of_two=True),
        ],
    )  # fmt: skip
    checkpoint = run.with_name(f"{run.name}.safetensors")
    if checkpoint.exists():
        trainer.resume(checkpoint)
        if rank == 0:
            print(f"goes on after update {trainer.step}", flush=True)
    trainer.run()
    if args.strategy == "ddp" and rank == 0:
        for name in ("choose", "report"):
            texts = json.loads((args.folder / f"{name}.json").read_text(encoding="utf-8"))
            ids = [tokenizer.encode(text) for text in texts]
            nats = document_nats(trainer.model, ids, tokenizer.special_tokens[SPECIAL[0]])
            value, low, high = bits_per_byte(nats, [len(text.encode()) for text in texts])
            print(f"{name}: {value:.3f} bits per byte, 95 % of resampled documents {low:.3f} to {high:.3f}", flush=True)
    leave_processes()


if __name__ == "__main__":
    main()
