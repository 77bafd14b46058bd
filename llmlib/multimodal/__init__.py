"""Beyond text: pictures and sounds as vectors before the text, or as units among its tokens (lecture 19)."""

from .contrastive import Temperature, info_nce, recall_at
from .patches import PictureDecoder, PictureEncoder, patchify, unpatchify
from .quantizer import Quantized, VectorQuantizer, codebook_use
from .sound import log_mel, mel_bands
from .units import deduplicate, kmeans, learn_unit_merges, merge_units, nearest_codes, split_units

__all__ = [
    "PictureDecoder",
    "PictureEncoder",
    "Quantized",
    "Temperature",
    "VectorQuantizer",
    "codebook_use",
    "deduplicate",
    "info_nce",
    "kmeans",
    "learn_unit_merges",
    "log_mel",
    "mel_bands",
    "merge_units",
    "nearest_codes",
    "patchify",
    "recall_at",
    "split_units",
    "unpatchify",
]
