"""BM25 against numbers worked out by hand and against its formula written out; ties, ranks, explanations."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmlib.retrieval import BM25
from llmlib.retrieval.bm25 import words

DOCUMENTS = ["the cat sat", "the dog sat on the log", "cats and dogs"]


def test_by_hand():
    """Lengths 3, 6, 3, mean 4. "sat": in 2 of 3, idf ln(1 + 1.5 / 2.5) = ln 1.6 = 0.470004; "cat": ln(8/3) = 0.980829.

    k1 = 1.5, b = 0.75: document 0 has 1.5 (0.25 + 0.75 * 3/4) = 1.21875 in its denominators, document 1 2.0625.
    """
    index = BM25(DOCUMENTS)
    sat, cat = 0.470004 * 2.5 / 2.21875, 0.980829 * 2.5 / 2.21875
    assert index.scores("cat sat") == pytest.approx([sat + cat, 0.470004 * 2.5 / 3.0625, 0], abs=1e-5)
    the_twice = 0.470004 * 2 * 2.5 / (2 + 2.0625)
    assert index.scores("the") == pytest.approx([sat, the_twice, 0], abs=1e-5)
    assert [hit.document for hit in index.search("cat sat")] == [0, 1]
    assert index.explain("cat sat and", 0) == pytest.approx({"cat": cat, "sat": sat}, abs=1e-5)
    assert index.idf("cat") == pytest.approx(0.980829, abs=1e-5) and index.idf("zebra") == pytest.approx(math.log(8))


def formula(documents, query, k1, b):
    counts = [Counter(words(text)) for text in documents]
    lengths = [each.total() for each in counts]
    mean = sum(lengths) / len(lengths)
    scores = []
    for each, length in zip(counts, lengths):
        score = 0.0
        for word in words(query):
            n = sum(word in other for other in counts)
            idf = math.log(1 + (len(documents) - n + 0.5) / (n + 0.5))
            tf = each[word]
            score += idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean)) if tf else 0.0
        scores.append(score)
    return scores


texts = st.lists(st.sampled_from("a b c d e".split()), max_size=8).map(" ".join)


@settings(max_examples=60)
@given(st.lists(texts, min_size=1, max_size=6), texts, st.sampled_from([0.0, 0.9, 1.5]), st.sampled_from([0, 0.5, 1]))
def test_postings_give_what_the_formula_gives(documents, query, k1, b):
    if not any(documents):
        documents = [*documents, "a"]
    index = BM25(documents, k1=k1, b=b)
    expected = np.array(formula(documents, query, k1, b))
    np.testing.assert_allclose(index.scores(query), expected, atol=1e-9)
    hits = index.search(query, 3)
    positive = sorted((-score, i) for i, score in enumerate(index.scores(query)) if score > 0)
    assert [(hit.document, -hit.score) for hit in hits] == [(i, score) for score, i in positive[:3]]
    for i in range(len(documents)):
        assert sum(index.explain(query, i).values()) == pytest.approx(index.scores(query)[i])


def test_documents_without_a_word_of_the_query_are_no_hits():
    index = BM25(DOCUMENTS)
    assert index.search("zebra") == [] and index.search("") == []
    assert len(index.search("the cat", 1)) == 1


def test_b_holds_long_documents_back_and_k1_ends_repetition():
    documents = ["cat", "cat " + "x " * 30]
    assert np.ptp(BM25(documents, b=0).scores("cat")) == 0
    short, long = BM25(documents, b=1).scores("cat")
    assert short > long
    once, often = BM25(["cat dog", "cat cat"], k1=0).scores("cat")
    assert once == often


def test_another_tokenizer():
    index = BM25(["ab", "cd"], tokenize=list)
    assert [hit.document for hit in index.search("db")] == [0, 1]
    assert words("The `__init__` method: 3.14") == ["the", "__init__", "method", "3", "14"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BM25([]), "give a list of texts, at least one"),
        (lambda: BM25("one text"), "documents is 'one text'"),
        (lambda: BM25(["a"], k1=-1), "k1=-1 must be 0 or more"),
        (lambda: BM25(["a"], b=2), "b=2 lie between 0 and 1"),
        (lambda: BM25(["a"]).search("a", 0), "k=0 must be at least 1"),
    ],
)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
