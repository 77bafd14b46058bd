"""Beam search against enumeration of all texts."""

import itertools

import pytest
import torch

from llmlib.infer import Budget, OutOfBudget, beam_search, generate, log_probability
from llmlib.model import ModelConfig, Transformer

PROMPTS = [[3, 1, 4], [1, 5], [2, 2, 2, 2]]


def tiny(vocab_size=6, seed=0):
    torch.manual_seed(seed)
    model = Transformer(
        ModelConfig(vocab_size=vocab_size, n_layers=2, d_model=32, n_heads=4, n_kv_heads=2, max_seq_len=24)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(6)
    return model


@torch.no_grad()
def score(model, prompt, answer):
    """The definition, in one pass without a cache."""
    ids = torch.tensor([prompt + answer])
    return log_probability(model.eval()(ids[:, :-1]), ids[:, 1:])[0, len(prompt) - 1 :].sum().item()


@torch.no_grad()
def every_text(model, prompt, length, ends):
    """The log-probability of all texts that end with one of `ends`, or are of `length` tokens."""
    found = {}
    for n in range(1, length + 1):
        texts = [
            t for t in itertools.product(range(6), repeat=n) if not ends & {*t[:-1]} and (n == length or t[-1] in ends)
        ]
        ids = torch.tensor([[*prompt, *text] for text in texts])
        totals = log_probability(model.eval()(ids[:, :-1]), ids[:, 1:])[:, len(prompt) - 1 :].sum(1)
        found |= dict(zip(texts, totals.tolist()))
    return found


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_beam_wide_enough_finds_the_best_of_all_texts(alpha):
    model = tiny()
    penalised = lambda text, total: total / ((5 + len(text)) / 6) ** alpha
    settings = dict(max_new_tokens=3, stop_tokens=[0], length_penalty=alpha)
    for prompt, beams in zip(PROMPTS, beam_search(model, PROMPTS, 250, **settings)):
        every = every_text(model, prompt, 3, {0})
        ranked = sorted(every, key=lambda text: -penalised(text, every[text]))
        assert len(beams) == len(every) and sum(beam.ended for beam in beams) == sum(text[-1] == 0 for text in every)
        for beam, text in list(zip(beams, ranked))[:20]:
            assert tuple(beam.tokens) == text
            assert beam.logprob == pytest.approx(every[text], abs=1e-4)
            assert beam.score == pytest.approx(penalised(text, every[text]), abs=1e-4)
            assert beam.answer == [token for token in text if token != 0]


def test_several_ends_and_an_early_stop_change_nothing():
    """Where no beginning can overtake what was put aside, going on would not have changed the best."""
    model = tiny()
    for prompt, beams in zip(PROMPTS, beam_search(model, PROMPTS, 30, max_new_tokens=4, stop_tokens=[0, 1])):
        every = every_text(model, prompt, 4, {0, 1})
        assert tuple(beams[0].tokens) == max(every, key=every.get)
        assert [beam.score for beam in beams] == sorted((beam.score for beam in beams), reverse=True)


def test_width_one_is_greedy_and_prompts_do_not_disturb_each_other():
    model = tiny(20)
    greedy = generate(model, PROMPTS, greedy=True, max_new_tokens=8)
    assert [beams[0].tokens for beams in beam_search(model, PROMPTS, 1, max_new_tokens=8)] == greedy
    together = beam_search(model, PROMPTS, 3, max_new_tokens=6, stop_tokens=[7])
    alone = [beam_search(model, [prompt], 3, max_new_tokens=6, stop_tokens=[7])[0] for prompt in PROMPTS]
    assert [[beam.tokens for beam in beams] for beams in together] == [[b.tokens for b in beams] for beams in alone]
    likely = lambda beams: beams[0].logprob
    wide = beam_search(model, PROMPTS, 16, max_new_tokens=8)
    for prompt, tokens, beams in zip(PROMPTS, greedy, wide):
        assert likely(beams) >= score(model, prompt, tokens) - 1e-4


def test_tokens_are_counted_for_every_beginning_and_step():
    budget = Budget()
    beam_search(tiny(20), [PROMPTS[0]], 4, max_new_tokens=5, budget=budget)
    assert (budget.generated, budget.read, budget.calls) == (1 + 4 * 4, 3, 1)
    with pytest.raises(OutOfBudget):
        beam_search(tiny(20), [PROMPTS[0]], max_new_tokens=2, budget=Budget(limit=0))
    model = tiny(20).train()
    beam_search(model, PROMPTS, 2, max_new_tokens=2)
    assert model.training
    for wrong, message in [(dict(width=0), "width=0"), (dict(length_penalty=-1), "length_penalty=-1")]:
        with pytest.raises(ValueError, match=message):
            beam_search(model, PROMPTS, **wrong)
    with pytest.raises(ValueError, match="max_seq_len=24"):
        beam_search(model, PROMPTS, max_new_tokens=30)
