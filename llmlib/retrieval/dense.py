"""Search by meaning: texts and questions as vectors, near ones belong together (Karpukhin et al., 2020). Lecture 17."""

import hashlib
import json
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llmlib.files import write_file
from llmlib.hub import embed_texts, load_minilm

from .hits import Hit, check_documents
from .vector_index import VectorIndex

Encode = Callable[[Sequence[str]], Any]
"""encode(texts) -> (n, d): an array or a tensor; vectors of length 1 if scores are to be cosines."""


def minilm_encoder(
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
    *,
    batch_size: int = 32,
    max_length: int = 128,
) -> Encode:
    """all-MiniLM-L6-v2 as texts -> (n, 384) float32 numpy: mean over real tokens, length 1. Fetches it, 91 MB.

    Texts of like length share a batch, and what is longer than max_length tokens is cut: 128 hold some 100 words. On a
    CPU with bfloat16 dtype=torch.bfloat16 takes half the time and hardly changes the vectors.
    """
    model, tokenizer = load_minilm(device, dtype)

    def encode(texts: Sequence[str]) -> np.ndarray:
        vectors = embed_texts(model, tokenizer, texts, batch_size=batch_size, max_length=max_length)
        return vectors.float().cpu().numpy()

    return encode


def as_matrix(vectors: Any) -> np.ndarray:
    """What an encoder returned as (n, d) float32 numpy."""
    if isinstance(vectors, torch.Tensor):
        vectors = vectors.detach().float().cpu().numpy()
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.ndim != 2:
        raise ValueError(f"encode returned shape {vectors.shape}: it must give (number of texts, d)")
    return vectors


class DenseRetriever:
    """An encoder and the vectors of all documents. A hit's score is the dot product: with MiniLM the cosine.

    encode: texts -> (n, d), see `minilm_encoder`; of the questions, and of the documents unless `index` has theirs.
    index: vectors made before, in the documents' order, a VectorIndex or FaissIndex.
    """

    def __init__(self, encode: Encode, documents: Sequence[str] | None = None, *, index: Any = None):
        if (documents is None) == (index is None):
            raise ValueError("give documents to be encoded or index with their vectors, one of the two")
        if documents is not None:
            check_documents(documents)
            index = VectorIndex(as_matrix(encode(list(documents))))
        self.encode, self.index = encode, index

    def search(self, query: str, k: int = 10) -> list[Hit]:
        """The k nearest documents, the nearest first. There always are some: look at the scores."""
        return self.search_batch([query], k)[0]

    def search_batch(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
        """`search` for each of several questions, encoded together."""
        if not queries:
            return []
        found = self.index.search(as_matrix(self.encode(list(queries))), k)
        return [
            [Hit(document, score) for document, score in zip(documents, scores)]
            for documents, scores in zip(found.indices.tolist(), found.scores.tolist())
        ]


def embed_once(
    path: str | PathLike, encode: Encode, documents: Sequence[str], *, dtype: str = "float16"
) -> VectorIndex:
    """The index of the documents' vectors, from the file `path` if they are the same ones, else made and saved there.

    A note beside the file says which documents they are; that the encoder is the same is tried on the first of them.
    """
    check_documents(documents)
    path = Path(path)
    path = path if path.suffix == ".npy" else path.with_name(path.name + ".npy")
    note, digest = path.with_suffix(".json"), _digest(documents)
    if path.exists() and note.exists() and json.loads(note.read_text(encoding="utf-8")).get("documents") == digest:
        index = VectorIndex.load(path)
        first, again = index.vectors[0].astype(np.float32), as_matrix(encode(documents[:1]))[0]
        if first.shape == again.shape and np.abs(first - again).max() < 0.02 * np.abs(again).max():
            return index
    path.parent.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    VectorIndex(as_matrix(encode(list(documents)))).save(path, dtype=dtype)
    write_file(note, json.dumps({"documents": digest, "count": len(documents)}) + "\n")
    return VectorIndex.load(path)


def _digest(documents: Sequence[str]) -> str:
    sums = hashlib.sha256()
    for text in documents:
        sums.update(hashlib.sha256(text.encode()).digest())
    return sums.hexdigest()[:16]
