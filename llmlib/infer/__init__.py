"""Using a trained model: picking tokens, generating text, streaming it, and doing so fast on a CPU."""

from llmlib.infer.answers import extract_answer
from llmlib.infer.beam_search import Beam, beam_search
from llmlib.infer.cpu_decoder import decoding_layout, token_step
from llmlib.infer.decoding import decode_steps, evaluation_mode, prefill
from llmlib.infer.detokenize import StopFilter, TokenDecoder, Tokenizer
from llmlib.infer.generation import Generation, generate
from llmlib.infer.intervals import wilson_interval
from llmlib.infer.prompting import STEP_BY_STEP, few_shot_prompt
from llmlib.infer.sampling import Sampling, Step, filter_logits, log_probability, sample_next, sample_step
from llmlib.infer.selection import ComputePoint, Tally, best_of, compute_curve, majority_vote, self_consistency, tally
from llmlib.infer.seq2seq import generate_from
from llmlib.infer.speculative import PromptLookup, Reader, Speculation, speculative_generate
from llmlib.infer.streaming import stream
from llmlib.infer.tree_search import Node, Tree, tree_search
from llmlib.infer.verification import VerifiedReply, verified_steps
from llmlib.infer.writer import Budget, OutOfBudget, Thought, Writer, Written

__all__ = [
    "STEP_BY_STEP",
    "Beam",
    "Budget",
    "ComputePoint",
    "Generation",
    "Node",
    "OutOfBudget",
    "PromptLookup",
    "Reader",
    "Sampling",
    "Speculation",
    "Step",
    "StopFilter",
    "Tally",
    "Thought",
    "TokenDecoder",
    "Tokenizer",
    "Tree",
    "VerifiedReply",
    "Writer",
    "Written",
    "beam_search",
    "best_of",
    "compute_curve",
    "decode_steps",
    "decoding_layout",
    "evaluation_mode",
    "extract_answer",
    "few_shot_prompt",
    "filter_logits",
    "generate",
    "generate_from",
    "log_probability",
    "majority_vote",
    "prefill",
    "sample_next",
    "sample_step",
    "self_consistency",
    "speculative_generate",
    "stream",
    "tally",
    "token_step",
    "tree_search",
    "verified_steps",
    "wilson_interval",
]
