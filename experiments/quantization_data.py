"""What the experiments of lecture 15 share: the base models' own splits, and how a quantized model is judged on them.

Calibration texts are drawn from the training split, rates are chosen on another, and reported is the third, which no
base model has read.
"""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from base_models import SHARES, SOURCES

from llmlib.data import flaws_of, prose, split_documents
from llmlib.files import write_file
from llmlib.hub import load_base
from llmlib.text import BPETokenizer
from llmlib.train import document_nats

KEPT = Path(__file__).resolve().parent.parent / "build" / "quantization_texts.json"
DRAWS = (0, 1, 2)  # three different calibration texts
CODE = [
    "experiments/quantization_data.py", "llmlib.adapt.rounding", "llmlib.adapt.gptq", "llmlib.adapt.awq",
    "llmlib.adapt.nf4", "llmlib.adapt.gguf_encoding", "llmlib.adapt.calibration", "llmlib.adapt.quantization_methods",
    "llmlib.data.prose", "llmlib.data.cleaning",
]  # fmt: skip


@lru_cache
def texts() -> dict[str, list[str]]:
    """Documents to calibrate or train on (2,000), to choose by and to report (60 each), as the base models' split."""
    if not KEPT.exists():
        documents = prose(*SOURCES)
        out = flaws_of(documents, trusted=("tales", "novels"))
        parts = split_documents([d for i, d in enumerate(documents) if i not in out], SHARES)
        shared = {}
        for name, part in parts.items():
            order = torch.randperm(len(part), generator=torch.Generator().manual_seed(0)).tolist()
            shared[name] = [part[i].text for i in order[: 2000 if name == "train" else 60]]
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        write_file(KEPT, json.dumps(shared))
    return json.loads(KEPT.read_text(encoding="utf-8"))


def end_of(tokenizer: BPETokenizer) -> int:
    return tokenizer.special_tokens["<|endoftext|>"]


def rows_of(tokenizer: BPETokenizer, documents: list[str], length: int = 256) -> torch.Tensor:
    """Documents one after the other, an end token before each, cut into rows: (n, length)."""
    end = end_of(tokenizer)
    ids = [each for text in documents for each in [end, *tokenizer.encode(text)]]
    return torch.tensor(ids[: len(ids) // length * length]).view(-1, length)


def calibration_rows(tokenizer: BPETokenizer, draw: int, rows: int = 32) -> torch.Tensor:
    """8,192 tokens of training text, others for each draw."""
    documents = texts()["train"]
    generator = torch.Generator().manual_seed(draw)
    chosen = [documents[i] for i in torch.randperm(len(documents), generator=generator)[:80].tolist()]
    return rows_of(tokenizer, chosen)[:rows]


def nats_of(model: torch.nn.Module, tokenizer: BPETokenizer, split: str = "report") -> tuple[np.ndarray, np.ndarray]:
    """Nats and tokens of each document of a split."""
    ids = [tokenizer.encode(text) for text in texts()[split]]
    return np.array(document_nats(model, ids, end_of(tokenizer))), np.array([len(each) for each in ids])


def costs(before: np.ndarray, after: np.ndarray, tokens: np.ndarray) -> dict[str, float | list[float]]:
    """By what share the perplexity has grown, in percent, with a 95 % interval over documents, pairs kept together."""
    rows = np.random.default_rng(0).integers(0, len(tokens), (1000, len(tokens)))
    more = (after - before)[rows].sum(1) / tokens[rows].sum(1)
    percent = lambda nats: round(100 * float(np.expm1(nats)), 4)
    return {
        "percent": percent((after - before).sum() / tokens.sum()),
        "interval": [percent(end) for end in np.quantile(more, [0.025, 0.975])],
        "perplexity": round(float(np.exp(after.sum() / tokens.sum())), 4),
    }


def base(size: str):
    return load_base(size, device="cpu")


@lru_cache
def nats_before(size: str) -> tuple[np.ndarray, np.ndarray]:
    """`nats_of` the base model as it is."""
    return nats_of(*base(size))
