"""Record the family of parameter-efficient methods on one task, each through `apply_peft`. Run it with

    OMP_NUM_THREADS=1 python experiments/peft_family.py

The base model of 1 million parameters, which has read Wikipedia, tales and novels, learns plays: 60 updates of 8 x 64
tokens of Shakespeare. Judged in bits a byte on passages of plays that nobody was trained on, and on passages of
Wikipedia for what is forgotten. Every method gets one rate of three, chosen on other passages with seed 100; the grids
are equally wide and lie where a method's parameters live. Then three seeds.

Memory is counted, not sampled: bytes of all weights, of the gradients and Adam's two moments of the trained ones, and
of what the forward pass keeps for the backward pass. Time: processor seconds an update, the median of a run; and of
decoding 48 tokens by the plain loop against the base model, in turns (median of 7), before and, where it can be done,
after merging.
"""

import copy
import statistics
import time
from collections.abc import Callable

import torch

from llmlib.adapt import PeftReport, apply_peft, merge_ia3, merge_lora
from llmlib.data import Experiment, prose
from llmlib.data.corpora import all_plays
from llmlib.hub import load_base
from llmlib.infer import decode_steps
from llmlib.model import Transformer
from llmlib.text import BPETokenizer
from llmlib.train import TrainConfig, Trainer, bits_per_byte, document_nats, next_token_loss

SEEDS, TUNING_SEED = (0, 1, 2), 100
UPDATES, ROWS, LENGTH, PASSAGES, CHARACTERS, DECODED, TURNS = 60, 8, 64, 24, 400, 48, 7
HIGH, MIDDLE, LOW = (1e-2, 3e-2, 1e-1), (1e-3, 3e-3, 1e-2), (3e-4, 1e-3, 3e-3)
METHODS: dict[str, tuple[str, dict, tuple[float, ...]]] = {
    "full": ("full", {}, LOW),
    "last layer": ("last_layers", dict(n_layers=1), LOW),
    "norms": ("norms", {}, HIGH),
    "BitFit": ("bitfit", dict(add=True), HIGH),
    "(IA)³": ("ia3", {}, HIGH),
    "bottleneck, 16": ("bottleneck", dict(size=16), MIDDLE),
    "LoRA q, v, r = 8": ("lora", dict(rank=8, alpha=16.0), MIDDLE),
    "LoRA all, r = 8": ("lora", dict(rank=8, alpha=16.0, targets="blocks.*"), MIDDLE),
    "prefix, 16": ("prefix", dict(length=16), HIGH),
    "prompt, 16": ("prompt", dict(length=16), HIGH),
}


def adapted(name: str, seed: int) -> tuple[Transformer, PeftReport]:
    method, options, _ = METHODS[name]
    if method in ("lora", "prefix", "prompt"):
        options = options | dict(generator=torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)
    model, _ = load_base("1m", device="cpu")
    return model, apply_peft(model, method, **options)


def passages(tokenizer: BPETokenizer) -> tuple[torch.Tensor, dict[str, list[str]]]:
    """Tokens to train on, and texts to judge by: the last fifth of the plays is held out, half for choosing."""
    plays = all_plays()
    cut = int(0.8 * len(plays))
    held = [
        plays[i : i + CHARACTERS] for i in range(cut, len(plays) - CHARACTERS, (len(plays) - cut) // (2 * PASSAGES))
    ]
    wikipedia = [document.text[:CHARACTERS] for document in prose("wikipedia")[:PASSAGES]]
    texts = dict(choose=held[:PASSAGES], report=held[PASSAGES : 2 * PASSAGES], wikipedia=wikipedia)
    return torch.tensor(tokenizer.encode(plays[: cut // 4])), texts


def bits(model: Transformer, tokenizer: BPETokenizer, texts: list[str]) -> float:
    documents = [tokenizer.encode(text) for text in texts]
    nats = document_nats(model, documents, tokenizer.special_tokens["<|endoftext|>"])
    return round(bits_per_byte(nats, [len(text.encode()) for text in texts])[0], 4)


def held_bytes(model: Transformer, ids: torch.Tensor) -> dict[str, int]:
    """What training holds at the end of a forward pass, by kind."""
    saved: dict[int, torch.Tensor] = {}
    own = {weight.untyped_storage()._cdata for weight in (*model.parameters(), *model.buffers())}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage()._cdata not in own:
            saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        total, _ = next_token_loss(model, ids)
    kept = sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
    del total
    weights = sum(w.numel() * w.element_size() for w in model.parameters())
    trained = sum(w.numel() * w.element_size() for w in model.parameters() if w.requires_grad)
    return dict(weights=weights, gradients=trained, moments=2 * trained, activations=kept)


def train(name: str, lr: float, seed: int, tokens: torch.Tensor) -> tuple[Transformer, dict]:
    model, told = adapted(name, seed)
    recipe = TrainConfig(
        steps=UPDATES, batch_size=ROWS, seq_len=LENGTH, lr=lr, weight_decay=0.0, warmup_steps=5, final_lr=0.05,
        seed=seed, device="cpu", progress=False,
    )  # fmt: skip
    trainer, times = Trainer(model, recipe, tokens), []
    for _ in range(UPDATES):
        began = time.process_time()
        trainer.train_step()
        times.append(time.process_time() - began)
    model.eval()
    return model, dict(
        method=name, lr=lr, seed=seed, trainable=told.trainable, seconds=round(statistics.median(times), 4)
    )  # fmt: skip


def tune(name: str, lr: float, tokens: torch.Tensor, texts: dict, tokenizer: BPETokenizer) -> dict:
    model, found = train(name, lr, TUNING_SEED, tokens)
    return found | dict(choose=bits(model, tokenizer, texts["choose"]))


def run(name: str, lr: float, seed: int, tokens: torch.Tensor, texts: dict, tokenizer: BPETokenizer) -> dict:
    model, found = train(name, lr, seed, tokens)
    return found | {part: bits(model, tokenizer, texts[part]) for part in ("report", "wikipedia")}


def decoding(model: Transformer) -> Callable[[], float]:
    def seconds() -> float:
        began = time.process_time()
        for _ in decode_steps(model, [[1, 2, 3, 4]], DECODED, greedy=True):
            pass
        return time.process_time() - began

    return seconds


def costs(name: str) -> dict:
    """Counted bytes, and the time of decoding by that of the base model: ratios of each turn."""
    model, _ = adapted(name, 0)
    ids = torch.arange(ROWS * LENGTH).view(ROWS, LENGTH)
    found = dict(method=name, held=held_bytes(model, ids))
    base, _ = load_base("1m", device="cpu")
    base.register_forward_hook(lambda *_: None)  # so that all take the plain loop
    models = {"unmerged": model.eval()}
    if METHODS[name][0] in ("lora", "ia3"):
        models["merged"] = copy.deepcopy(model)
        if METHODS[name][0] == "lora":
            merge_lora(models["merged"], unwrap=True)
        else:
            merge_ia3(models["merged"])
        models["merged"].register_forward_hook(lambda *_: None)
    clocks = {kind: decoding(each) for kind, each in models.items()}
    reference, ratios = decoding(base), {kind: [] for kind in clocks}
    for _ in range(TURNS):
        alone = reference()
        for kind, clock in clocks.items():
            ratios[kind].append(clock() / alone)
    return found | {"seconds": {kind: [round(r, 3) for r in sorted(each)] for kind, each in ratios.items()}}


def main() -> None:
    torch.set_num_threads(1)
    parts = ("adapters", "bottleneck", "family", "lora", "prefix", "prompt", "selection", "vectors", "wrapping")
    modules = [*(f"llmlib.adapt.{part}" for part in parts), "llmlib.train.loop", "llmlib.train.bits_per_byte"]
    experiment = Experiment("peft_family", script=__file__, modules=modules, seeds=[*SEEDS, TUNING_SEED])
    base, tokenizer = load_base("1m", device="cpu")
    tokens, texts = passages(tokenizer)
    before = {part: bits(base, tokenizer, each) for part, each in texts.items()}
    tuning, runs = [], []
    for name, (_, _, grid) in METHODS.items():
        own = [experiment.once(f"tune {name}, {lr}", tune, name, lr, tokens, texts, tokenizer) for lr in grid]
        tuning += own
        best = min(own, key=lambda run: run["choose"])["lr"]
        for seed in SEEDS:
            runs.append(experiment.once(f"{name}, {seed}", run, name, best, seed, tokens, texts, tokenizer))
        print(*own, *runs[-len(SEEDS) :], sep="\n", flush=True)
    of_cost = [experiment.once(f"costs of {name}", costs, name) for name in METHODS]
    print(*of_cost, sep="\n", flush=True)
    experiment.save(
        dict(before=before, tuning=tuning, runs=runs, costs=of_cost, total=sum(p.numel() for p in base.parameters()))
    )


if __name__ == "__main__":
    main()
