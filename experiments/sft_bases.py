"""Base models of the support desk for the experiments of lecture 11: one for each seed, trained once and kept.

A base model takes a minute of one core. They lie in build/sft, named by the code that made them, so that code that has
changed trains anew.
"""

import hashlib
import time
from pathlib import Path

import support_desk as road
import torch
from safetensors import safe_open

from llmlib.data import SupportDesk
from llmlib.data.recordings import source_hash
from llmlib.hub.packaged import load_packaged, save_packaged
from llmlib.model import Transformer
from llmlib.text import BPETokenizer

FOLDER = Path(__file__).resolve().parents[1] / "build" / "sft"
MODULES = [*road.MODULES, "experiments/sft_bases.py"]


def base_of(seed: int, world: int = 0) -> tuple[Transformer, BPETokenizer]:
    """The base model of a seed of a world, and its tokenizer."""
    weights, vocabulary = _files(seed, world)
    if not (weights.exists() and vocabulary.exists()):
        FOLDER.mkdir(parents=True, exist_ok=True)
        began = time.process_time()
        model, tokenizer = road.pretrain(SupportDesk(world), seed)
        tokenizer.save(vocabulary)
        save_packaged(model, weights, torch.float32, seconds=f"{time.process_time() - began:.1f}")
    return load_packaged(weights, "cpu", torch.float32), BPETokenizer.load(vocabulary)


def seconds_of(seed: int, world: int = 0) -> float:
    """The processor time that pre-training took."""
    with safe_open(_files(seed, world)[0], framework="pt") as file:
        return float(file.metadata()["seconds"])


def _files(seed: int, world: int) -> tuple[Path, Path]:
    code = hashlib.sha256("".join(source_hash(module) for module in road.MODULES).encode()).hexdigest()[:8]
    return FOLDER / f"{world}-{seed}-{code}.safetensors", FOLDER / f"{world}-{seed}-{code}.bpe"
