"""Measuring models: multiple choice, written answers, code, texts; how sure a score is, and whether it is honest.

Lectures 17 and 18; what happens inside a model: lecture 09. Everything that a model wrote is text to this room; what is
a programme runs in `llmlib.sandbox`.
"""

from .answers import contains_match, exact_match, plain_answer, token_f1
from .calibration import ReliabilityBin, calibration_error, option_probabilities, reliability, selective_accuracy
from .canaries import PlantedCode, candidate_logprobs, digit_codes, encode_codes, rank_code
from .choices import multiple_choice, option_scores, rescore
from .code import Verdict, completion_of, judge_code, pass_at_k, run_problem
from .contamination import Overlap, canary, exact_duplicates, exposure, find_overlaps
from .fourier import fourier_basis, frequency_power, keep_frequencies, key_frequencies, remove_frequencies
from .generation import first_line, generate_answers, reread
from .induction import in_context_gain, induction_scores, previous_token_scores, repeated_tokens, token_losses
from .intervals import Comparison, Interval, bootstrap_interval, compare, sign_test
from .labels import CONTENT_FREE, calibrate_labels, label_prior, label_scores
from .prompts import chance_level, cloze, few_shot, lettered, question_form
from .records import ItemResult, ResultLog, read_results, results_table, summary
from .scoring import continuation_logprobs, split_at_answer
from .texts import TextScore, score_texts

__all__ = [
    "CONTENT_FREE",
    "Comparison",
    "Interval",
    "ItemResult",
    "Overlap",
    "PlantedCode",
    "ReliabilityBin",
    "ResultLog",
    "TextScore",
    "Verdict",
    "bootstrap_interval",
    "calibrate_labels",
    "calibration_error",
    "canary",
    "candidate_logprobs",
    "chance_level",
    "cloze",
    "compare",
    "completion_of",
    "contains_match",
    "continuation_logprobs",
    "digit_codes",
    "encode_codes",
    "exact_duplicates",
    "exact_match",
    "exposure",
    "few_shot",
    "find_overlaps",
    "first_line",
    "fourier_basis",
    "frequency_power",
    "generate_answers",
    "in_context_gain",
    "induction_scores",
    "judge_code",
    "keep_frequencies",
    "key_frequencies",
    "label_prior",
    "label_scores",
    "lettered",
    "multiple_choice",
    "option_probabilities",
    "option_scores",
    "pass_at_k",
    "plain_answer",
    "previous_token_scores",
    "question_form",
    "rank_code",
    "read_results",
    "reliability",
    "remove_frequencies",
    "repeated_tokens",
    "reread",
    "rescore",
    "results_table",
    "run_problem",
    "score_texts",
    "selective_accuracy",
    "sign_test",
    "split_at_answer",
    "summary",
    "token_f1",
    "token_losses",
]
