"""Files out of registry packages, corpora, batches and recorded results."""

from .agreement import (
    bootstrap_interval,
    half_against_half,
    one_against_rest,
    pair_accuracy,
    spearman,
    spearman_brown,
)
from .batches import IGNORE, RandomWindows, ShuffledExamples, pack_documents, random_batch, windows
from .cleaning import contamination, flaws_of, minhash, near_duplicates, quality_flaws, split_documents
from .corpora import alice, all_plays, botchan, first_names, split_text, tiny_shakespeare
from .fetching import AssetError, fetch, names
from .preferences import PreferencePair, preference_pairs
from .prose import Document, prose
from .recordings import Experiment, recorded, recorded_names, save_recorded, stale
from .reviews import RatedText, rated_texts, split_ratings
from .support_desk import Request, SupportDesk

__all__ = [
    "IGNORE",
    "AssetError",
    "Document",
    "Experiment",
    "PreferencePair",
    "RandomWindows",
    "RatedText",
    "Request",
    "ShuffledExamples",
    "SupportDesk",
    "alice",
    "all_plays",
    "bootstrap_interval",
    "botchan",
    "contamination",
    "fetch",
    "first_names",
    "flaws_of",
    "half_against_half",
    "minhash",
    "names",
    "near_duplicates",
    "one_against_rest",
    "pack_documents",
    "pair_accuracy",
    "preference_pairs",
    "prose",
    "quality_flaws",
    "random_batch",
    "rated_texts",
    "recorded",
    "recorded_names",
    "save_recorded",
    "spearman",
    "spearman_brown",
    "split_documents",
    "split_ratings",
    "split_text",
    "stale",
    "tiny_shakespeare",
    "windows",
]
