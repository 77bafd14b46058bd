"""Lab 10's own oracles agree with the library, which the lab keeps away from its students."""


import pytest
import torch

from courseware.classroom.cases import Draw, lab10
from llmlib.data import (
    TaskTokens,
    choice_rows,
    pair_row,
    rated_texts,
    recorded,
    similarity_rows,
    single_row,
)
from llmlib.evaluate import calibrate_labels, label_scores
from llmlib.infer import few_shot_prompt
from llmlib.model import pool_hidden
from llmlib.train.losses import mean_cross_entropy

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab10.pads_behind, lab10.pads_in_front, lab10.no_pads])
def test_the_head_reads_what_the_librarys_reads(inputs, seed):
    hidden, mask, weight, bias = inputs(Draw(seed))
    library = pool_hidden(hidden, mask, "last") @ weight.T + bias
    torch.testing.assert_close(lab10.head(hidden, mask, weight, bias).float(), library)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_losses_are_means_over_targets(seed):
    class_logits, token_logits, ids, labels, mask, weight = lab10.a_batch_with_classes(Draw(seed))
    targets = ids[:, 1:].masked_fill(~mask[:, 1:], -100)
    library = mean_cross_entropy(class_logits, labels) + weight * mean_cross_entropy(token_logits[:, :-1], targets)
    found = lab10.with_auxiliary(class_logits, token_logits, ids, labels, mask, weight)
    torch.testing.assert_close(found.float(), library)
    token_logits, ids, mask, starts = lab10.a_batch_with_answers(Draw(seed))
    answer = mask & (torch.arange(ids.shape[1]) >= starts[:, None])
    library = mean_cross_entropy(token_logits[:, :-1], ids[:, 1:].masked_fill(~answer[:, 1:], -100))
    torch.testing.assert_close(lab10.of_answer(token_logits, ids, mask, starts).float(), library)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab10.one_class_first, lab10.an_odd_number, lab10.three_classes])
def test_the_prompt_is_written_as_the_librarys_and_holds_what_was_to_be_taken(inputs, seed):
    pool, text, k, names = inputs(Draw(seed))
    prompt = lab10.few_shot(pool, text, k, names)
    shown = [tuple(block.removeprefix("Review: ").split("\nLabel: ")) for block in prompt.split("\n\n")[:-1]]
    assert prompt == few_shot_prompt(text, shown, labels=("Review:", "Label:"))
    assert len(shown) == k and {(t, names.index(name)) for t, name in shown} <= set(pool)
    counts = [sum(name == one for _, name in shown) for one in names]
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("per_token", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_scores_are_the_librarys(per_token, seed):
    embed, out, prompt, labels, _ = (lab10.by_token if per_token else lab10.by_word)(Draw(seed))

    def logprobs(label):
        state, found = torch.zeros(embed.shape[1]), []
        for place, token in enumerate([*prompt, *label]):
            if place >= len(prompt):
                found.append((state @ out).log_softmax(-1)[token])
            state = torch.tanh(0.7 * state + embed[token])
        return torch.stack(found)

    library = label_scores([[logprobs(label) for label in labels]], "mean" if per_token else "sum")
    assert lab10.scores(embed, out, prompt, labels, per_token) == pytest.approx(library[0].tolist(), rel=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab10.some_items, lab10.one_other, lab10.one_item, lab10.long_words])
def test_calibration_is_the_librarys(inputs, seed):
    items, own = inputs(Draw(seed))
    library = calibrate_labels(items, own).softmax(1)
    torch.testing.assert_close(lab10.calibrate(items, own), library.double(), rtol=1e-4, atol=1e-5)


def test_rows_that_need_no_cut_are_the_librarys():
    marks = TaskTokens(lab10.START, lab10.DELIMITER, lab10.EXTRACT)
    first, second, third = [5, 6, 7], [8, 9], [4]
    assert lab10.transform("single", first, [], 9) == [single_row(first, marks, 9)]
    assert lab10.transform("pair", first, [second], 9) == [pair_row(first, second, marks, 9)]
    assert lab10.transform("similar", first, [second], 9) == list(similarity_rows(first, second, marks, 9))
    assert lab10.transform("choice", first, [second, third], 9) == choice_rows(first, [second, third], marks, 9)


def test_the_recorded_sentences_are_clear_and_half_of_them_good():
    made, texts = recorded("lab10_scores")["results"], rated_texts("product")
    places = made["sentences"]
    assert not set(places["calibration"]) & set(places["measured"])
    for name, rows in places.items():
        assert len({texts[i].text for i in rows}) == len(rows)
        assert [texts[i].mean >= 2 for i in rows] == [n % 2 == 0 for n in range(len(rows))]
        assert all(len(each[name]) == len(rows) for each in made["prompts"])
