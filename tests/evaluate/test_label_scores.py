"""Scores of label words, and the prompt's own preference taken out of them."""

import pytest
import torch
from torch.testing import assert_close

from llmlib.evaluate import (
    CONTENT_FREE,
    calibrate_labels,
    continuation_logprobs,
    label_prior,
    label_scores,
    split_at_answer,
)
from llmlib.infer import few_shot_prompt
from llmlib.model import ModelConfig, Transformer
from llmlib.text import ByteTokenizer

LOGPROBS = [[[-1.0], [-2.0, -3.0]], [[-4.0], [-0.5, -0.5]]]


def test_labels_of_different_lengths_are_scored_whole_or_per_token():
    assert label_scores(LOGPROBS).tolist() == [[-1.0, -5.0], [-4.0, -1.0]]
    assert label_scores(LOGPROBS, "mean").tolist() == [[-1.0, -2.5], [-4.0, -0.5]]
    assert label_scores([[torch.tensor(each) for each in row] for row in LOGPROBS]).tolist() == [[-1, -5], [-4, -1]]


def test_calibrated_probabilities_are_those_divided_by_the_mean_of_the_reference():
    scores, reference = torch.randn(5, 3).double(), torch.randn(4, 3).double()
    divided = scores.softmax(1) / reference.softmax(1).mean(0)
    assert_close(calibrate_labels(scores, reference).softmax(1), divided / divided.sum(1, keepdim=True))
    assert_close(label_prior(reference).exp(), reference.softmax(1).mean(0))


def test_one_reference_text_gives_every_label_the_same():
    scores, reference = torch.randn(6, 2).double(), torch.randn(1, 2).double()
    assert_close(calibrate_labels(reference, reference).softmax(1), torch.full((1, 2), 0.5).double())
    lean = torch.tensor([3.0, -1.0]).double()
    assert_close(
        calibrate_labels(scores + lean, reference + lean).softmax(1), calibrate_labels(scores, reference).softmax(1)
    )


def test_a_label_that_costs_more_tokens_is_not_held_back_after_calibration():
    """The second label costs two nats more, whatever the text: calibrated, it is as if it did not."""
    scores, reference, longer = torch.randn(40, 2).double(), torch.randn(1, 2).double(), torch.tensor([0.0, -2.0])
    assert (scores + longer).argmax(1).tolist() != scores.argmax(1).tolist()
    dearer, as_before = calibrate_labels(scores + longer, reference + longer), calibrate_labels(scores, reference)
    assert_close(dearer.softmax(1), as_before.softmax(1))


def test_probabilities_are_averaged_not_their_logarithms():
    """One item that is very sure moves a mean of log-probabilities past every other item."""
    reference = torch.tensor([[0.0, -50.0], [-0.2, 0.0], [-0.2, 0.0]])
    assert_close(label_prior(reference).exp(), reference.double().softmax(1).mean(0))
    assert label_prior(reference)[0] - label_prior(reference)[1] < 1.5


def test_from_prompt_to_calibrated_scores_with_a_model():
    tokenizer = ByteTokenizer()
    model = Transformer(ModelConfig(tokenizer.vocab_size, 1, 16, 2, max_seq_len=128))
    model.init_weights(torch.Generator().manual_seed(0))
    shots = [("A delight.", "good"), ("A bore.", "terrible")]

    def scores(texts) -> torch.Tensor:
        prompts = [few_shot_prompt(text, shots, labels=("Review:", "Verdict:")) for text in texts]
        requests = [split_at_answer(tokenizer, prompt, ["good", "terrible"]) for prompt in prompts]
        return label_scores(continuation_logprobs(model, requests))

    asked, free = scores(["Lovely work.", "A mess.", "Dull."]), scores(CONTENT_FREE)
    assert (asked[:, 0] > asked[:, 1]).all()  # an untrained model: the shorter word wins
    assert calibrate_labels(asked, free).softmax(1).sub(0.5).abs().max() < asked.softmax(1).sub(0.5).abs().min()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "logprobs is empty"),
        ([[[-1.0]]], "has 1 labels"),
        ([[[-1.0], [-2.0]], [[-1.0]]], r"logprobs\[1\] has 1 labels but logprobs\[0\] has 2"),
        ([[[-1.0], []]], r"logprobs\[0\]\[1\]"),
        ([[[-1.0], [0.3]]], "at most 0"),
        ([[[-1.0], [float("-inf")]]], "finite"),
    ],
)
def test_a_missing_label_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        label_scores(wrong)


def test_an_unknown_length_is_named():
    with pytest.raises(ValueError, match="'median'"):
        label_scores(LOGPROBS, "median")


def test_a_bad_reference_is_named():
    scores = torch.zeros(3, 2)
    with pytest.raises(ValueError, match="reference is empty"):
        calibrate_labels(scores, torch.empty(0, 2))
    with pytest.raises(ValueError, match="reference is empty"):
        calibrate_labels(scores, [])
    with pytest.raises(ValueError, match="reference has 3 labels and scores has 2"):
        calibrate_labels(scores, torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"scores\[1, 0\] is nan"):
        calibrate_labels(torch.tensor([[0.0, 1.0], [float("nan"), 0.0]]), scores)
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        calibrate_labels(torch.zeros(2), scores)
