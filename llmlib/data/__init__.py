"""Files out of registry packages, corpora, batches and recorded results."""

from .batches import IGNORE, RandomWindows, ShuffledExamples, pack_documents, random_batch, windows
from .cleaning import contamination, flaws_of, minhash, near_duplicates, quality_flaws, split_documents
from .corpora import alice, all_plays, botchan, first_names, split_text, tiny_shakespeare
from .fetching import AssetError, fetch, names
from .prose import Document, prose
from .recordings import Experiment, recorded, recorded_names, save_recorded, stale

__all__ = [
    "IGNORE",
    "AssetError",
    "Document",
    "Experiment",
    "RandomWindows",
    "ShuffledExamples",
    "alice",
    "all_plays",
    "botchan",
    "contamination",
    "fetch",
    "first_names",
    "flaws_of",
    "minhash",
    "names",
    "near_duplicates",
    "pack_documents",
    "prose",
    "quality_flaws",
    "random_batch",
    "recorded",
    "recorded_names",
    "save_recorded",
    "split_documents",
    "split_text",
    "stale",
    "tiny_shakespeare",
    "windows",
]
