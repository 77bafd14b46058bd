"""Beam search, best of n, a tree of thoughts and speculative decoding, out of public parts alone: `prefill` reads,
`model(ids, cache=cache)` reads on, `cache.select` and `cache.truncate` move about."""

import itertools

import pytest
import torch

from llmlib.infer import decode_steps, evaluation_mode, generate, log_probability, prefill, sample_step
from llmlib.model import KVCache, ModelConfig, Transformer

PROMPT = [3, 14, 15, 9]


def tiny(seed=0, **changes):
    torch.manual_seed(seed)
    shape = dict(vocab_size=12, n_layers=2, d_model=32, n_heads=4, n_kv_heads=2, max_seq_len=64)
    model = Transformer(ModelConfig(**shape | changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(6)
    return model


@torch.no_grad()
def score(model, prompt, answer):
    """The definition: the log-probability of an answer, in one pass without a cache."""
    ids = torch.tensor([prompt + answer])
    return log_probability(model(ids[:, :-1]), ids[:, 1:])[0, len(prompt) - 1 :].sum().item()


@torch.no_grad()
def beam_search(model, prompt, width, length):
    logits, cache = prefill(model, [prompt])
    texts, scores = [[]], torch.zeros(1)
    for _ in range(length):
        candidates = (scores[:, None] + logits.log_softmax(-1)).flatten()
        scores, best = candidates.topk(min(width, len(candidates)))
        rows, tokens = best // logits.shape[-1], best % logits.shape[-1]
        texts = [texts[row] + [token] for row, token in zip(rows.tolist(), tokens.tolist(), strict=True)]
        cache.select(rows)
        logits = model(tokens[:, None], cache=cache)[:, -1]
    return texts, scores


def test_beam_search_finds_what_reading_everything_finds():
    model, prompt = tiny(vocab_size=6), [3, 1, 4]
    texts, scores = beam_search(model, prompt, width=6**3, length=4)  # wide enough to be exhaustive
    every = {answer: score(model, prompt, list(answer)) for answer in itertools.product(range(6), repeat=4)}
    best = max(every, key=every.get)
    assert texts[0] == list(best)
    for text, found in zip(texts[:20], scores.tolist(), strict=False):
        assert found == pytest.approx(every[tuple(text)], abs=1e-4)


def test_a_narrow_beam_is_greedy_at_width_one_and_never_worse_when_wider():
    model = tiny(vocab_size=20)
    greedy = generate(model, PROMPT, greedy=True, max_new_tokens=8)
    one, _ = beam_search(model, PROMPT, 1, 8)
    four, scores = beam_search(model, PROMPT, 4, 8)
    assert one == [greedy]
    assert scores[0].item() == pytest.approx(score(model, PROMPT, four[0]), abs=1e-4)
    assert score(model, PROMPT, four[0]) >= score(model, PROMPT, greedy) - 1e-4


def test_best_of_n_takes_the_sample_that_the_model_finds_likeliest():
    model = tiny(vocab_size=20)
    samples = generate(
        model, PROMPT, n=8, max_new_tokens=6, generator=torch.Generator().manual_seed(0), return_logprobs=True
    )
    best = max(samples, key=lambda sample: sample.raw_logprobs.mean().item())
    assert len({tuple(sample.answer) for sample in samples}) > 1
    assert best.raw_logprobs.sum().item() == pytest.approx(score(model, PROMPT, best.answer), abs=1e-4)


@torch.no_grad()
def speculative_greedy(model, draft, prompt, length, ahead):
    """Leviathan et al. (2023), greedy: the draft proposes, one pass of the model judges all proposals at once."""
    text, calls = [], 1
    logits, cache = prefill(model, [prompt])
    draft_cache = KVCache(draft.config)
    unread = list(prompt)  # what the draft has not seen yet
    token = int(logits.argmax(-1))
    while len(text) < length:
        text.append(token)
        unread.append(token)
        proposal = [int(step.tokens) for step in decode_steps(draft, [unread], ahead, greedy=True, cache=draft_cache)]
        judged = model(torch.tensor([[token, *proposal]]), cache=cache)[0].argmax(-1).tolist()
        calls += 1
        accepted = next((i for i, token in enumerate(proposal) if judged[i] != token), ahead)
        cache.truncate(cache.columns - (ahead - accepted))
        # The draft never reads the last token that it proposes: it holds one column less.
        draft_cache.truncate(draft_cache.columns - max(ahead - 1 - accepted, 0))
        unread = proposal[-1:] if accepted == ahead else []
        text += proposal[:accepted]
        token = judged[accepted]
    return text[:length], calls


@pytest.mark.parametrize("ahead", [1, 2, 4])
@pytest.mark.parametrize("draft_seed", [0, 1])
def test_speculative_greedy_decoding_writes_what_plain_greedy_writes(ahead, draft_seed):
    model = tiny(vocab_size=20)
    draft = model if draft_seed == 0 else tiny(draft_seed, vocab_size=20, n_layers=1)
    text, calls = speculative_greedy(model, draft, PROMPT, 24, ahead)
    assert text == generate(model, PROMPT, greedy=True, max_new_tokens=24)
    if draft is model:
        assert calls == 1 + -(-24 // (ahead + 1)), "a perfect draft is always accepted"


def test_a_tree_of_continuations_costs_one_cache_that_is_cut_back():
    """Depth first: every node is scored from the cache of its parent, without reading the prompt again."""
    model, prompt, depth = tiny(vocab_size=5), [1, 2, 3], 3
    found = {}

    @torch.no_grad()
    def visit(answer, total, logits, cache):
        if len(answer) == depth:
            found[answer] = total
            return
        for token in range(5):
            place = cache.columns
            after = model(torch.tensor([[token]]), cache=cache)[:, -1]
            visit((*answer, token), total + logits.log_softmax(-1)[0, token].item(), after, cache)
            cache.truncate(place)

    visit((), 0.0, *prefill(model, [prompt]))
    assert len(found) == 125
    for answer in [(0, 0, 0), (4, 2, 1), (3, 3, 4)]:
        assert found[answer] == pytest.approx(score(model, prompt, list(answer)), abs=1e-4)


def test_a_loop_of_ones_own_equals_generate():
    model = tiny(vocab_size=20, dropout=0.5).train()
    chance = [torch.Generator().manual_seed(4) for _ in range(2)]
    expected = generate(model, PROMPT, max_new_tokens=10, temperature=1.2, generator=chance[0])
    text = []
    with torch.no_grad():
        logits, cache = prefill(model, [PROMPT])
        for _ in range(10):
            step = sample_step(logits, temperature=1.2, generator=chance[1])
            text.append(int(step.tokens))
            with evaluation_mode(model):
                logits = model(step.tokens[:, None], cache=cache)[:, -1]
    assert text == expected and model.training
