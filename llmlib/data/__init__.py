"""Files out of registry packages, corpora, batches and recorded results."""

from .agreement import (
    bootstrap_interval,
    half_against_half,
    one_against_rest,
    pair_accuracy,
    spearman,
    spearman_brown,
)
from .arithmetic import Addition, AnyOrderSum, Multiplication
from .batches import IGNORE, RandomWindows, ShuffledExamples, pack_documents, random_batch, windows
from .cleaning import contamination, flaws_of, minhash, near_duplicates, quality_flaws, split_documents
from .corpora import alice, all_plays, botchan, first_names, split_text, tiny_shakespeare
from .denoising import corrupt_spans, mask_tokens, restore_spans, split_prefix, unmask_tokens
from .emoji import Emoji, colour_of, draw_emoji, emoji
from .expressions import evaluate_expression, is_solution
from .fetching import AssetError, fetch, names
from .game_of_24 import GameOf24, is_solvable, solve
from .headlines import Headline, draw_per_class, headlines
from .lookup_questions import LookupQuestion, lookup_questions, one_wording
from .modular import modular_addition
from .parallel import parallel_sentences
from .preferences import PreferencePair, preference_pairs
from .pronunciations import Pronunciation, edit_distance, phoneme_errors, pronunciations
from .prose import Document, prose
from .question_sets import (
    ChoiceQuestion,
    CodeProblem,
    OpenQuestion,
    choice_questions,
    choice_sets,
    code_problems,
    open_questions,
    open_sets,
    split_of,
)
from .recordings import Experiment, recorded, recorded_names, save_recorded, stale
from .reviews import RatedText, rated_texts, split_ratings
from .shell_game import ShellGame
from .support_desk import Request, SupportDesk
from .syllables import SYLLABLES, Speaker, say
from .task_inputs import TaskTokens, choice_rows, pad_rows, pair_row, similarity_rows, single_row
from .verifiable import (
    Problem,
    Task,
    encode_problems,
    filler_steps,
    gsm8k,
    held_out_key,
    shuffled_steps,
    step_verifier,
    verifiable_reward,
)
from .word_problems import WordProblems

__all__ = [
    "IGNORE",
    "SYLLABLES",
    "Addition",
    "AnyOrderSum",
    "AssetError",
    "ChoiceQuestion",
    "CodeProblem",
    "Document",
    "Emoji",
    "Experiment",
    "GameOf24",
    "Headline",
    "LookupQuestion",
    "Multiplication",
    "OpenQuestion",
    "PreferencePair",
    "Problem",
    "Pronunciation",
    "RandomWindows",
    "RatedText",
    "Request",
    "ShellGame",
    "ShuffledExamples",
    "Speaker",
    "SupportDesk",
    "Task",
    "TaskTokens",
    "WordProblems",
    "alice",
    "all_plays",
    "bootstrap_interval",
    "botchan",
    "choice_questions",
    "choice_rows",
    "choice_sets",
    "code_problems",
    "colour_of",
    "contamination",
    "corrupt_spans",
    "draw_emoji",
    "draw_per_class",
    "edit_distance",
    "emoji",
    "encode_problems",
    "evaluate_expression",
    "fetch",
    "filler_steps",
    "first_names",
    "flaws_of",
    "gsm8k",
    "half_against_half",
    "headlines",
    "held_out_key",
    "is_solution",
    "is_solvable",
    "lookup_questions",
    "mask_tokens",
    "minhash",
    "modular_addition",
    "names",
    "near_duplicates",
    "one_against_rest",
    "one_wording",
    "open_questions",
    "open_sets",
    "pack_documents",
    "pad_rows",
    "pair_accuracy",
    "pair_row",
    "parallel_sentences",
    "phoneme_errors",
    "preference_pairs",
    "pronunciations",
    "prose",
    "quality_flaws",
    "random_batch",
    "rated_texts",
    "recorded",
    "recorded_names",
    "restore_spans",
    "save_recorded",
    "say",
    "shuffled_steps",
    "similarity_rows",
    "single_row",
    "solve",
    "spearman",
    "spearman_brown",
    "split_documents",
    "split_of",
    "split_prefix",
    "split_ratings",
    "split_text",
    "stale",
    "step_verifier",
    "tiny_shakespeare",
    "unmask_tokens",
    "verifiable_reward",
    "windows",
]
