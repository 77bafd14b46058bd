"""Speculative decoding writes with the target's distribution, whatever the draft, and counts what it did."""

import copy
from collections import Counter

import pytest
import torch
from model_families import build, small_config, tokens

from llmlib.infer import PromptLookup, Reader, decoding_layout, filter_logits, generate, speculative_generate


class Chain:
    """A reader without a network: what comes next depends on the newest token alone."""

    def __init__(self, seed: int, size: int = 5, spread: float = 1.5):
        self.config = small_config("llama", vocab_size=size)
        self.table = spread * torch.randn(size, size, generator=torch.Generator().manual_seed(seed))
        self.ids: list[int] = []

    @property
    def columns(self):
        return len(self.ids)

    def read(self, ids, last=1):
        self.ids += ids
        return self.table[self.ids[-last:]]

    def truncate(self, n):
        del self.ids[n:]


def distribution(chain: Chain, first: int, length: int, **settings) -> dict[tuple[int, ...], float]:
    """The probability of every continuation, by enumeration."""
    probs = filter_logits(chain.table, **settings).softmax(-1)
    known = {(): 1.0}
    for _ in range(length):
        known = {
            (*text, token): p * float(probs[text[-1] if text else first, token])
            for text, p in known.items()
            for token in range(len(probs))
        }
    return known


def chi_square(counts: Counter, expected: dict, n: int) -> tuple[float, int]:
    """The statistic and its degrees of freedom; rare cells are put together."""
    common = {cell: n * p for cell, p in expected.items() if n * p >= 5}
    rest = n - sum(common.values())
    terms = [(counts[cell] - e) ** 2 / e for cell, e in common.items()]
    others = n - sum(counts[cell] for cell in common)
    if rest >= 5:
        terms.append((others - rest) ** 2 / rest)
    else:
        assert others <= rest + 15
    return sum(terms), len(terms) - 1


def check_fits(counts: Counter, expected: dict, n: int) -> None:
    statistic, freedom = chi_square(counts, expected, n)
    assert statistic < freedom + 3.5 * (2 * freedom) ** 0.5, (statistic, freedom)  # about 1 in 2,000 by chance


SETTINGS = {
    "plain": {},
    "cold": dict(temperature=0.4),
    "top_k": dict(top_k=2),
    "top_p": dict(top_p=0.8, temperature=1.2),
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("drafted", ["chain", "lookup"])
def test_the_distribution_is_that_of_the_target(name, drafted):
    settings, n, prompt = SETTINGS[name], 700, [1, 2, 3, 1, 2, 3, 1]
    target = Chain(0)
    draft = Chain(1) if drafted == "chain" else PromptLookup(ngram=2, shortest=1)
    generator = torch.Generator().manual_seed(7)
    seen, accepted = Counter(), 0
    for _ in range(n):
        result = speculative_generate(target, draft, prompt, 4, n_draft=2, generator=generator, **settings)
        seen[tuple(result.tokens[:3])] += 1
        accepted += result.accepted
    check_fits(seen, distribution(target, prompt[-1], 3, **settings), n)
    assert 0 < accepted < 3 * n


def test_a_wrong_rule_would_be_found():
    """The test above has teeth: keeping every proposal gives another distribution."""
    target, draft, n = Chain(0), Chain(1), 600
    generator, seen = torch.Generator().manual_seed(7), Counter()
    for _ in range(n):
        first = speculative_generate(draft, PromptLookup(), [1], 3, generator=generator)
        seen[tuple(first.tokens)] += 1
    statistic, freedom = chi_square(seen, distribution(target, 1, 3), n)
    assert statistic > 5 * freedom


def test_a_real_model_drafted_by_another():
    target, draft = (build(small_config("llama", vocab_size=6, n_layers=n, d_model=16), seed=n) for n in (2, 1))
    n, prompt = 300, [1, 2, 3]
    expected = {}
    with torch.no_grad():
        ids = torch.tensor([[*prompt, a] for a in range(6)])
        after = target(ids).softmax(-1)
        expected = {(a, b): float(after[0, 2, a] * after[a, 3, b]) for a in range(6) for b in range(6)}
    generator = torch.Generator().manual_seed(1)
    seen = Counter(
        tuple(speculative_generate(target, draft, prompt, 3, n_draft=2, generator=generator).tokens[:2])
        for _ in range(n)
    )
    check_fits(seen, expected, n)


def test_the_share_accepted_is_the_overlap_of_the_two_distributions():
    """One proposal: it is kept with probability sum min(p, q) (Leviathan et al., 2023, corollary 3.6)."""
    target, draft, n = Chain(3), Chain(4), 1000
    generator = torch.Generator().manual_seed(0)
    kept = sum(speculative_generate(target, draft, [2], 2, n_draft=1, generator=generator).accepted for _ in range(n))
    p, q = target.table[2].softmax(-1), draft.table[2].softmax(-1)
    overlap = float(torch.minimum(p, q).sum())
    assert abs(kept / n - overlap) < 4 * (overlap * (1 - overlap) / n) ** 0.5


@pytest.mark.parametrize("n_draft", [1, 4, 9])
@pytest.mark.parametrize("layout", [False, True])
def test_greedy_equals_greedy(n_draft, layout):
    target = build(small_config("llama", n_kv_heads=2))
    close = copy.deepcopy(target)
    with torch.no_grad():
        for parameter in close.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5)))
    if layout:
        decoding_layout(target)
    prompt = tokens(1, 6)[0].tolist()
    expected = generate(target, prompt, max_new_tokens=25, greedy=True)
    for draft in (close, target, build(small_config("gpt2"), seed=3), PromptLookup(), PromptLookup(1, 1)):
        result = speculative_generate(target, draft, prompt, 25, n_draft=n_draft, greedy=True)
        assert result.tokens == result.answer == expected and result.finish == "length"
        assert result.accepted + result.target_passes == 25, "each pass gives one token of the target's own"
        assert 0 <= result.accepted <= result.proposed
        if draft is target:
            assert result.accepted == result.proposed and result.acceptance == 1.0
            assert result.target_passes == -(-25 // (n_draft + 1))


def test_stop_tokens_end_the_text():
    target = build(small_config("llama"))
    prompt = tokens(1, 6)[0].tolist()
    alone = generate(target, prompt, max_new_tokens=12, greedy=True)
    stop = alone[7]
    end = alone.index(stop)
    result = speculative_generate(target, target, prompt, 12, greedy=True, stop_tokens=[stop])
    assert result.answer == alone[:end] and result.tokens == alone[: end + 1] and result.finish == "stop_token"


def test_the_same_seed_writes_the_same_and_modes_are_kept():
    target, draft = build(small_config("llama")).train(), build(small_config("llama"), seed=1)
    texts = [
        speculative_generate(target, draft, [3, 4], 10, generator=torch.Generator().manual_seed(2), top_k=9).tokens
        for _ in range(2)
    ]
    assert texts[0] == texts[1] and target.training and not draft.training
    assert speculative_generate(target, draft, [3, 4], 0).tokens == []
    assert len(speculative_generate(target, draft, [3], 38).tokens) == 38, "up to the end of the context"


def test_lookup_takes_the_latest_place_and_the_longest_run():
    lookup = PromptLookup(ngram=3, shortest=2)
    assert lookup.propose([1, 2, 3, 9, 1, 2, 3, 8, 7, 1, 2, 3], 2) == [8, 7]
    assert lookup.propose([1, 2, 3, 9, 5, 2, 3, 8, 7, 1, 2, 3], 3) == [9, 5, 2], "three tokens tell more than two"
    assert lookup.propose([5, 2, 3, 8, 7, 1, 2, 3], 9) == [8, 7, 1, 2, 3]
    assert lookup.propose([1, 3, 4, 3], 4) == [] and lookup.propose([1], 4) == []
    assert PromptLookup(1, 1).propose([1, 3, 4, 3], 4) == [4, 3]
    assert PromptLookup(2, 1).propose([6, 6, 6], 4) == [6]


def test_bad_requests():
    target, lookup = build(small_config("llama")), PromptLookup()
    for n_draft in (0, -1, 2.0):
        with pytest.raises(ValueError, match=f"n_draft={n_draft} must be"):
            speculative_generate(target, lookup, [1], 4, n_draft=n_draft)
    with pytest.raises(ValueError, match="draft knows 7 tokens and target 61"):
        speculative_generate(target, build(small_config("llama", vocab_size=7)), [1], 4)
    with pytest.raises(ValueError, match="needs 41 positions but max_seq_len=40"):
        speculative_generate(target, lookup, [1] * 10, 32)
    with pytest.raises(ValueError, match="needs 21 positions but max_seq_len=20"):
        speculative_generate(target, build(small_config("llama", max_seq_len=20)), [1] * 10, 12)
    with pytest.raises(ValueError, match="empty"):
        speculative_generate(target, lookup, [], 4)
    with pytest.raises(ValueError, match="knows 0 to 60"):
        speculative_generate(target, lookup, [61], 4)
    with pytest.raises(ValueError, match="temperature=0"):
        speculative_generate(target, lookup, [1], 4, temperature=0)
    with pytest.raises(ValueError, match="shortest"):
        PromptLookup(ngram=1)
    assert isinstance(Chain(0), Reader)
