import itertools
import math
import random

import nltk.lm
import numpy as np
import pytest
import torch
from nltk.util import everygrams

from llmlib.text.ngram import NGramModel
from llmlib.text.ngram_counts import count_levels

SMOOTHINGS = ["mle", "add_k", "jelinek_mercer", "witten_bell", "kneser_ney"]
VOCAB = 6


def toy_text(n, seed=0, vocab=VOCAB):
    """Tokens with structure: each leans on the one before it, and some are much more frequent than others."""
    rng = np.random.default_rng(seed)
    favourite = rng.permutation(vocab)
    tokens = [0]
    for _ in range(n - 1):
        follow = rng.random() < 0.5
        tokens.append(int(favourite[tokens[-1]]) if follow else int(rng.random() ** 2 * vocab))
    return np.array(tokens)


def contexts_and_tokens(tokens, order):
    return [(tuple(tokens[max(0, i - order + 1) : i]), t) for i, t in enumerate(tokens)]


def nltk_logprob(model, train, test):
    """Train an nltk model on the unpadded n-grams of one text and score another, in nats."""
    train, test = [str(t) for t in train], [str(t) for t in test]
    model.fit([everygrams(train, max_len=model.order)], vocabulary_text=train)
    scores = [model.score(token, context) for context, token in contexts_and_tokens(test, model.order)]
    with np.errstate(divide="ignore"):
        return np.log(scores)


# --- against nltk -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("smoothing", ["mle", "add_k", "witten_bell"])
def test_equals_nltk(order, smoothing):
    train, test = toy_text(1500, 0), toy_text(300, 1)
    peer = {
        "mle": nltk.lm.MLE,
        "add_k": lambda order: nltk.lm.Lidstone(0.3, order),
        "witten_bell": nltk.lm.WittenBellInterpolated,
    }[smoothing](order)
    # nltk's vocabulary always holds one token more, <UNK>; add-k spends probability on it, so ours gets one more, too.
    vocab_size = VOCAB + 1 if smoothing == "add_k" else VOCAB
    ours = NGramModel(order, smoothing, k=0.3, vocab_size=vocab_size).fit(train)
    np.testing.assert_allclose(ours.logprob(test), nltk_logprob(peer, train, test), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("order", "discount"), [(2, 0.75), (3, 0.1), (4, 0.75)])
def test_kneser_ney_equals_nltk_where_the_opening_of_the_text_comes_again(order, discount):
    # Two texts, the second of which repeats the opening of the first: so no n-gram is confined to the start of a text.
    train, test = toy_text(1500, 0), toy_text(200, 1)
    train = np.concatenate([train, train[:10]])
    peer = nltk.lm.KneserNeyInterpolated(order, discount=discount)
    ours = NGramModel(order, "kneser_ney", discount=discount, vocab_size=VOCAB).fit(train)
    np.testing.assert_allclose(ours.logprob(test), nltk_logprob(peer, train, test), rtol=0, atol=1e-9)


def only_openers(texts, order):
    """The n-grams shorter than `order` that occur at the beginning of a text and nowhere else."""
    grams = [(i, tuple(text[i : i + n])) for text in texts for n in range(1, order) for i in range(len(text) - n + 1)]
    return {gram for _, gram in grams} - {gram for i, gram in grams if i}


def equals_nltk(texts, order, discount):
    """Whether every distribution is the same, and whether all of nltk's sum to 1."""
    n = max(map(max, texts)) + 1
    words = [[str(token) for token in text] for text in texts]
    peer = nltk.lm.KneserNeyInterpolated(order, discount=discount)
    peer.fit(
        [list(everygrams(text, max_len=order)) for text in words],
        vocabulary_text=[word for text in words for word in text],
    )
    ours = NGramModel(order, "kneser_ney", discount=discount).fit(texts)
    same, sums = True, True
    for length in range(order):
        for context in itertools.product(range(n), repeat=length):
            try:
                theirs = [peer.score(str(t), [str(c) for c in context]) for t in range(n)]
            except ZeroDivisionError:  # nltk's total is 0 after what only ever opens a text
                return False, False
            same &= np.allclose(ours.probs(context), theirs, atol=1e-9)
            sums &= math.isclose(sum(theirs), 1, abs_tol=1e-9)
            assert ours.probs(context).sum() == pytest.approx(1, abs=1e-12)
    return same, sums


@pytest.mark.parametrize("seed", range(30))
def test_kneser_ney_equals_nltk_unless_some_ngram_only_ever_opens_a_text(seed):
    rng = random.Random(seed)
    order = rng.choice([2, 3])
    texts = [[*range(3), *(rng.randrange(3) for _ in range(rng.randrange(2, 14)))] for _ in range(rng.choice([1, 2]))]
    same, _ = equals_nltk(texts, order, rng.choice([0.1, 0.5, 0.75]))
    assert same == (not only_openers(texts, order))


def test_kneser_ney_can_differ_from_nltk_where_nltk_sums_to_one():
    """The token 0 opens the text and never comes again: nltk's sums are right, and yet it gives 0 no probability."""
    assert only_openers([[0, 1, 2, 1, 2, 2, 1, 1]], 2) == {(0,)}
    assert equals_nltk([[0, 1, 2, 1, 2, 2, 1, 1]], 2, 0.5) == (False, True)
    assert equals_nltk([[0, 1, 2, 3, 2, 1, 1, 2, 0, 3, 3, 2, 3]], 3, 0.5) == (False, False)  # the pair (0, 1)


# --- against the definitions, written out slowly ------------------------------------------------------------------


def slow_prob(model, sequences, context, token):
    """The textbook recursion on tuples and dictionaries."""
    grams = {}
    lefts = {}
    for sequence in sequences:
        for n in range(1, model.order + 1):
            for i in range(len(sequence) - n + 1):
                gram = tuple(sequence[i : i + n])
                grams[gram] = grams.get(gram, 0) + 1
                lefts.setdefault(gram, set())
                if i > 0:
                    lefts[gram].add(sequence[i - 1])
    V = model.vocab_size

    def count(gram):
        if model.smoothing == "kneser_ney" and len(gram) < model.order and gram in grams:
            return len(lefts[gram]) or grams[gram]
        return grams.get(gram, 0)

    def p(context, token):
        counts = [count((*context, t)) for t in range(V)]
        c, total, types = counts[token], sum(counts), sum(x > 0 for x in counts)
        if model.smoothing == "mle":
            return c / total if total else 0
        if model.smoothing == "add_k":
            return (c + model.k) / (total + model.k * V)
        lower = p(context[1:], token) if context else 1 / V
        if total == 0:
            return lower
        weight = model.lambdas[len(context)]
        if model.smoothing == "jelinek_mercer":
            return weight * c / total + (1 - weight) * lower
        if not context and types == V:
            return c / total
        if model.smoothing == "witten_bell":
            return (c + types * lower) / (total + types)
        return max(c - model.discount, 0) / total + model.discount * types / total * lower

    return p(tuple(context)[max(0, len(context) - model.order + 1) :], token)


@pytest.mark.parametrize("vocab_size", [VOCAB, VOCAB + 2], ids=["whole vocabulary seen", "two ids never seen"])
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("order", [1, 2, 4])
def test_equals_the_definition(order, smoothing, vocab_size):
    sequences = [toy_text(40, seed).tolist() for seed in range(3)] + [[5], [4, 4]]
    lambdas = np.linspace(0.8, 0.3, order)
    model = NGramModel(order, smoothing, k=0.2, lambdas=lambdas, discount=0.6, vocab_size=vocab_size).fit(sequences)
    test = [*toy_text(30, 9).tolist(), vocab_size - 1, 0, vocab_size - 1]
    expected = [slow_prob(model, sequences, c, t) for c, t in contexts_and_tokens(test, order)]
    np.testing.assert_allclose(np.exp(model.logprob(test)), expected, rtol=0, atol=1e-12)


def test_kneser_ney_counts_contexts_and_not_occurrences():
    # "san francisco" twenty times: frequent, but after one word only. "the" follows three different words.
    san, francisco, the, a, b, c = range(6)
    text = [san, francisco] * 20 + [a, the, b, the, c, the] * 2
    model = NGramModel(2, "kneser_ney").fit(text)
    new_context = 5 if model.count([5]) == 0 else b
    assert model.count([francisco]) > 3 * model.count([the])
    unigram = NGramModel(1, "mle").fit(text)
    assert unigram.prob(francisco) > unigram.prob(the)
    assert model.probs()[the] > model.probs()[francisco]
    assert model.prob(the, [new_context]) > model.prob(francisco, [new_context])


def test_hand_computed_values():
    text = [0, 1, 0, 1, 0, 2]  # after 0: 1 1 2; after 1: 0 0
    assert NGramModel(2, "mle").fit(text).prob(1, [0]) == pytest.approx(2 / 3)
    assert NGramModel(2, "add_k", k=1).fit(text).prob(1, [0]) == pytest.approx(3 / 6)
    assert NGramModel(2, "witten_bell").fit(text).prob(1, [0]) == pytest.approx((2 + 2 * 2 / 6) / 5)
    jelinek = NGramModel(2, "jelinek_mercer", lambdas=[1, 0.5]).fit(text)
    assert jelinek.prob(1, [0]) == pytest.approx(0.5 * 2 / 3 + 0.5 * 2 / 6)
    # Pairs 01 10 02: 0 follows one token (and opened the text, which is no token), 1 follows one, 2 follows one.
    kneser = NGramModel(2, "kneser_ney", discount=0.5).fit(text)
    assert kneser.prob(1, [0]) == pytest.approx((2 - 0.5) / 3 + 0.5 * 2 / 3 * (1 / 3))


# --- what holds for every model -----------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_distributions_sum_to_one_and_agree_with_prob_and_logprob(order, smoothing):
    train, test = toy_text(400, 0), toy_text(60, 5)
    model = NGramModel(order, smoothing, vocab_size=VOCAB + 1).fit(train)
    logprobs = model.logprob(test)
    for i in range(0, 60, 7):
        p = model.probs(test[:i])
        unknown_to_mle = smoothing == "mle" and not p.any()
        assert p.sum() == pytest.approx(0 if unknown_to_mle else 1, abs=1e-12)
        assert p[test[i]] == pytest.approx(np.exp(logprobs[i]), abs=1e-12)
        assert model.prob(int(test[i]), test[:i]) == pytest.approx(p[test[i]], abs=1e-12)
    assert model.probs().shape == (VOCAB + 1,)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_every_smoothing_but_mle_leaves_nothing_impossible(smoothing):
    model = NGramModel(4, smoothing, vocab_size=50).fit(toy_text(200))
    rare = [49, 49, 0, 48]
    assert (model.prob(49, rare) > 0) == (smoothing != "mle")
    assert math.isfinite(model.perplexity(rare)) == (smoothing != "mle")


def test_mle_on_an_unseen_ngram_has_infinite_perplexity_and_no_warning():
    model = NGramModel(2, "mle").fit([0, 1, 0, 1, 2])
    assert model.prob(2, [0]) == 0
    assert model.logprob([0, 2])[1] == -math.inf
    assert model.perplexity([0, 2]) == math.inf
    assert model.bits_per_token([0, 2]) == math.inf
    assert not model.probs([2]).any()  # 2 only ever ended the text


def test_uniform_data_has_the_perplexity_of_its_vocabulary():
    die = np.tile(np.arange(8), 20)
    assert NGramModel(1, "mle").fit(die).perplexity(die) == pytest.approx(8)
    assert NGramModel(1, "mle").fit(die).bits_per_token(die) == pytest.approx(3)
    assert NGramModel(2, "mle").fit(die).perplexity(die[8:]) == pytest.approx(8 ** (1 / len(die[8:])))


def test_bits_per_character_and_per_byte_divide_by_the_text():
    text = "déjà"  # four characters, six bytes
    model = NGramModel(1, "mle").fit([0, 1, 2, 3])
    assert model.bits_per_char([0, 1], text) == pytest.approx(2 * 2 / 4)
    assert model.bits_per_byte([0, 1], text) == pytest.approx(2 * 2 / 6)


def test_high_orders_with_a_large_vocabulary_do_not_overflow():
    vocab = 100_000  # 12 packed tokens would need 200 bits
    rng = np.random.default_rng(0)
    text = rng.integers(0, vocab, 300)
    text = np.concatenate([text, text])
    model = NGramModel(12, "mle", vocab_size=vocab).fit(text)
    assert model.distinct[0] == len(np.unique(text))
    assert model.count(text[:12]) == 2
    assert model.count(text[290:302]) == 1
    assert model.prob(int(text[320]), text[300:320]) == 1


def test_order_beyond_the_length_of_the_text():
    model = NGramModel(9, "kneser_ney").fit([0, 1, 2])
    assert model.distinct == [3, 2, 1, 0, 0, 0, 0, 0, 0]
    assert model.probs([0, 1, 2, 0, 1, 2, 0, 1]).sum() == pytest.approx(1)
    assert len(model.sample(20, rng=0)) == 20


def test_sorting_and_table_give_the_same_counts():
    # Ids far apart force the sorting path, neighbouring ids the table: the models must not differ.
    text = toy_text(500)
    near = NGramModel(4, "kneser_ney", vocab_size=VOCAB).fit(text)
    far = NGramModel(4, "kneser_ney", vocab_size=90_000).fit(text * 10_000)
    assert near.distinct == far.distinct
    for m in (1, 4, 17):
        assert near.count(text[m : m + 4]) == far.count(text[m : m + 4] * 10_000)
    levels = count_levels(text, np.zeros(1, np.int64), 3, VOCAB, False)
    triples = {}
    for gram in zip(text[:-2], text[1:-1], text[2:]):
        triples[gram] = triples.get(gram, 0) + 1
    assert sorted(triples.values()) == sorted(levels[2].raw[:-1])


# --- sequences, counts, unseen ------------------------------------------------------------------------------------


def test_ngrams_do_not_cross_from_one_sequence_to_the_next():
    model = NGramModel(2, "mle", vocab_size=5).fit([[0, 1], [2, 3], [], [0, 4]])
    assert model.count([1, 2]) == 0
    assert model.prob(1, [0]) == pytest.approx(0.5)
    together = model.logprob([[0, 1], [0, 4]])
    apart = np.concatenate([model.logprob([0, 1]), model.logprob([0, 4])])
    np.testing.assert_array_equal(together, apart)


def test_a_start_token_predicts_the_first_letter_under_kneser_ney():
    start = 0
    names = [[start, 1, 2, 3], [start, 1, 3, 2], [start, 1, 2, 2], [start, 2, 3, 3]]
    model = NGramModel(3, "kneser_ney").fit(names)
    assert model.topk([start], 1)[0].tolist() == [1]
    assert model.prob(1, [start]) > 0.5


def test_one_sequence_may_be_a_list_an_array_or_a_tensor():
    text = toy_text(100)
    expected = NGramModel(3).fit(text).logprob(text)
    for same in (text.tolist(), tuple(text.tolist()), text.astype(np.uint8), torch.tensor(text), [text]):
        np.testing.assert_array_equal(NGramModel(3).fit(same).logprob(same), expected)


def test_distinct_count_and_unseen_by_order():
    model = NGramModel(3, "mle", vocab_size=4).fit([0, 1, 2, 0, 1])
    assert model.distinct == [3, 3, 3]
    assert [model.count(g) for g in ([0], [0, 1], [0, 1, 2], [3], [1, 1])] == [2, 2, 1, 0, 0]
    np.testing.assert_allclose(model.unseen([0, 1, 3, 0, 1]), [1 / 5, 2 / 4, 3 / 3])
    assert np.isnan(model.unseen([0, 1])[2])


def test_fitting_again_forgets_the_earlier_text():
    model = NGramModel(2).fit([0, 1, 0])
    model.fit([7, 7, 7, 1])
    assert model.vocab_size == 8
    assert model.count([0]) == 0


# --- topk, sampling, tuning ---------------------------------------------------------------------------------------


def test_topk_is_sorted_and_breaks_ties_by_id():
    model = NGramModel(1, "mle").fit([3, 3, 3, 1, 1, 2, 2, 0])
    ids, p = model.topk((), 3)
    assert ids.tolist() == [3, 1, 2]
    np.testing.assert_allclose(p, [3 / 8, 2 / 8, 2 / 8])
    assert len(model.topk((), 99)[0]) == 4


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_samples_follow_the_distribution(smoothing):
    train = toy_text(600)
    model = NGramModel(2, smoothing).fit(train)
    drawn = model.sample(6000, context=[3], rng=0)
    after = np.bincount(drawn[1:][drawn[:-1] == 2], minlength=VOCAB)
    np.testing.assert_allclose(after / after.sum(), model.probs([2]), atol=0.06)


def test_sampling_is_reproducible_and_long_contexts_are_cut():
    model = NGramModel(3).fit(toy_text(300))
    assert np.array_equal(model.sample(50, [1, 2], rng=4), model.sample(50, [5, 5, 0, 1, 2], rng=4))
    assert np.array_equal(model.sample(50, rng=4), model.sample(50, rng=np.random.default_rng(4)))
    assert model.sample(0).shape == (0,)


def test_temperature_sharpens_and_flattens():
    model = NGramModel(1, "mle").fit([0] * 70 + [1] * 20 + [2] * 10)
    share = [np.mean(model.sample(4000, temperature=t, rng=0) == 0) for t in (0.5, 1.0, 4.0)]
    p = np.array([0.7, 0.2, 0.1])
    expected = [(p ** (1 / t) / (p ** (1 / t)).sum())[0] for t in (0.5, 1.0, 4.0)]
    np.testing.assert_allclose(share, expected, atol=0.03)
    assert set(model.sample(20, temperature=1e-3, rng=0)) == {0}


def test_mle_samples_only_what_it_saw_and_never_stops():
    train = [0, 1, 2, 3, 0, 2, 1]  # the final 2 1 has no continuation
    model = NGramModel(3, "mle").fit(train)
    drawn = model.sample(200, context=[3, 3, 3], rng=0)
    assert len(drawn) == 200 and set(drawn) <= set(train)
    pairs = set(itertools.pairwise(train)) | {(1, t) for t in train}
    assert set(itertools.pairwise(drawn.tolist())) <= pairs | {(2, 1)}


def test_tuned_lambdas_are_the_best_on_the_held_out_text():
    train, held_out = toy_text(300, 0), toy_text(300, 0)[::-1].copy()
    model = NGramModel(3, "jelinek_mercer", lambdas=0.5, vocab_size=VOCAB + 1).fit(train)
    before = model.perplexity(held_out)
    tuned = model.tune_lambdas(held_out, n_steps=300).lambdas.copy()
    best = model.perplexity(held_out)
    assert best < before
    for m in range(3):
        for step in (-0.02, 0.02):
            model.lambdas = tuned.copy()
            model.lambdas[m] = np.clip(tuned[m] + step, 0, 1)
            assert model.perplexity(held_out) >= best - 1e-6


# --- bad input ----------------------------------------------------------------------------------------------------


def fitted(**settings):
    return NGramModel(2, **settings).fit([0, 1, 2, 0, 1])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: NGramModel(0), ValueError, "order must be an integer of at least 1, got 0"),
        (lambda: NGramModel(2.5), ValueError, "got 2.5"),
        (lambda: NGramModel(True), ValueError, "got True"),
        (lambda: NGramModel(2, "good_turing"), ValueError, "smoothing must be one of mle.*got 'good_turing'"),
        (lambda: NGramModel(2, "add_k", k=0), ValueError, "k must be positive, got 0.*mle"),
        (lambda: NGramModel(2, "add_k", k=math.nan), ValueError, "k must be positive, got nan"),
        (lambda: NGramModel(2, discount=0), ValueError, "discount must lie between 0 and 1.*got 0"),
        (lambda: NGramModel(2, discount=1.0), ValueError, "discount must lie between 0 and 1.*got 1.0"),
        (lambda: NGramModel(2, lambdas=[0.5] * 3), ValueError, r"one number or 2 .*got shape \(3,\)"),
        (lambda: NGramModel(2, lambdas=1.5), ValueError, "lambdas must lie in 0..1, got 1.5"),
        (lambda: NGramModel(2, vocab_size=0), ValueError, "vocab_size must be at least 1, got 0"),
        (lambda: NGramModel(2).fit([]), ValueError, "tokens is empty: pass at least one"),
        (lambda: NGramModel(2).fit([[], []]), ValueError, "tokens is empty"),
        (lambda: NGramModel(2).fit("abc"), TypeError, "tokens must be .* got str.*encode text"),
        (lambda: NGramModel(2).fit(["abc", "d"]), TypeError, "encode text with a tokenizer"),
        (lambda: NGramModel(2).fit([0.5, 1.5]), TypeError, "dtype float64"),
        (lambda: NGramModel(2).fit(np.zeros((2, 2), int)), TypeError, "2-D array"),
        (lambda: NGramModel(2).fit([3, -1]), ValueError, "not negative, got id -1 at position 1"),
        (lambda: NGramModel(2, vocab_size=3).fit([0, 3]), ValueError, r"in 0\.\.2, got id 3 at position 1.*vocab_size"),
        (lambda: NGramModel(2).logprob([0]), RuntimeError, r"call fit\(tokens\) first"),
        (lambda: NGramModel(2).prob(0), RuntimeError, "fit"),
        (lambda: NGramModel(2).probs(), RuntimeError, "fit"),
        (lambda: NGramModel(2).sample(3), RuntimeError, "fit"),
        (lambda: NGramModel(2).distinct, RuntimeError, "fit"),
        (lambda: fitted().perplexity([]), ValueError, "tokens is empty"),
        (lambda: fitted().logprob([0, 3]), ValueError, "got id 3 at position 1"),
        (lambda: fitted().prob(7, [0]), ValueError, "got id 7"),
        (lambda: fitted().probs("ab"), TypeError, "context must be a sequence of token ids, got 'ab'"),
        (lambda: fitted().probs(1), TypeError, "context must be .* got 1: .*list"),
        (lambda: fitted().probs([0.5]), TypeError, "context must be .*dtype float64"),
        (lambda: fitted().probs([9]), ValueError, "context must be in 0..2, got id 9"),
        (lambda: fitted().count([0, 1, 2]), ValueError, "1 to 2 tokens, got 3"),
        (lambda: fitted().sample(-1), ValueError, "n must not be negative, got -1"),
        (lambda: fitted().sample(3, temperature=0), ValueError, "temperature must be positive, got 0"),
        (lambda: fitted().topk((), 0), ValueError, "k must be at least 1, got 0"),
        (lambda: fitted().bits_per_char([0], ""), ValueError, "text is empty"),
        (lambda: fitted().tune_lambdas([0, 1]), ValueError, "smoothing='jelinek_mercer'"),
    ],
)
def test_bad_input_is_named(make, error, message):
    with pytest.raises(error, match=message) as raised:
        make()
    assert "\n" not in str(raised.value)
