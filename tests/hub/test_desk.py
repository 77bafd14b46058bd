"""The support desk's models as they lie in the package, against what was recorded when they were made."""

import random

import pytest
import torch

from llmlib.align import chat_prompt, end_of_turn, sample_replies
from llmlib.data import SupportDesk, recorded
from llmlib.hub import load_desk
from llmlib.hub.desk import STAGES

RESULTS = recorded("sft_desk_stages")["results"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_ready_to_use(stage):
    model, tokenizer = load_desk(stage, device="cpu")
    assert not model.training and model.config.max_seq_len == 192
    assert model.num_parameters() == RESULTS["parameters"] < 150_000
    assert tokenizer.vocab_size == model.config.vocab_size
    assert {"<|endoftext|>", "<|im_start|>", "<|im_end|>"} == set(tokenizer.special_tokens)
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_the_fine_tuned_one_answers_what_was_demonstrated():
    desk = SupportDesk(0)
    model, tokenizer = load_desk("sft", device="cpu")
    requests = desk.requests(40, random.Random("a test"))
    prompts = [chat_prompt(tokenizer, request.text) for request in requests]
    written = sample_replies(model, prompts, end_of_turn(tokenizer), 48, greedy=True)
    gold = [desk.gold(request, tokenizer.decode(reply)) for request, reply in zip(requests, written.replies)]
    assert written.finished.all()
    assert sum(gold) / len(gold) == pytest.approx(RESULTS["gold"]["sft"]["demonstrated greedy"], abs=0.25)


def test_another_stage_is_refused():
    with pytest.raises(ValueError, match=r"stage='dpo' is not a stage .* choose one of"):
        load_desk("dpo")
