"""Files out of registry packages, corpora, batches and recorded results."""

from .batches import IGNORE, RandomWindows, ShuffledExamples, pack_documents, random_batch, windows
from .corpora import alice, all_plays, botchan, first_names, split_text, tiny_shakespeare
from .fetching import AssetError, fetch, names
from .recordings import Experiment, recorded, recorded_names, save_recorded, stale

__all__ = [
    "IGNORE",
    "AssetError",
    "Experiment",
    "RandomWindows",
    "ShuffledExamples",
    "alice",
    "all_plays",
    "botchan",
    "fetch",
    "first_names",
    "names",
    "pack_documents",
    "random_batch",
    "recorded",
    "recorded_names",
    "save_recorded",
    "split_text",
    "stale",
    "tiny_shakespeare",
    "windows",
]
