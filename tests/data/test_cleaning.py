"""Filters, MinHash, duplicates, splits and contamination: against exact definitions and hand-made cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmlib.data.cleaning import (
    contamination,
    flaws_of,
    jaccard,
    minhash,
    near_duplicates,
    quality_flaws,
    shingles,
    split_documents,
)
from llmlib.data.prose import SOURCES, Document, prose

GOOD = (
    "The ferry to the island leaves twice a day, and in winter it leaves once. People who live there have to plan "
    "what they buy, and they keep enough flour and oil in the house to last for a week of storms."
)


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("", "empty"),
        ("The cat sat on the mat.", "too short"),
        (GOOD.replace(" ", ""), "too short"),
        ("a b c of the to be " * 8, "word length"),
        (GOOD + " ###" * 4, "symbols"),
        ("\n".join(line + " …" for line in GOOD.split(", ")), "ellipses"),
        ("\n".join("- " + line for line in GOOD.split(", ")), "bullets"),
        (GOOD + " 213-484-0480" * 20, "letters"),
        ("Cheap watches, best price, fast shipping, buy now online. " * 4, "common words"),
        ("Access all of the records now.\n" * 12, "repeated lines"),
        (GOOD + " call us to book a room" * 20, "repeated words"),
    ],
)
def test_each_rule_finds_what_it_is_for(text, flaw):
    assert flaw in quality_flaws(text)
    assert quality_flaws(GOOD) == []


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_no_text_breaks_the_filters(text):
    assert isinstance(quality_flaws(text), list)
    assert shingles(text)


def test_shingles_ignore_case_and_punctuation():
    assert shingles("One, two; THREE four", n=3) == {"one two three", "two three four"}
    assert shingles("One two") == {"one two"}


@pytest.mark.parametrize("shared", [0, 20, 50, 90, 100])
def test_minhash_estimates_jaccard_without_bias(shared):
    """40 pairs of sets, 128 hashes each: the mean is within 4 standard errors of the truth."""
    estimates = []
    for trial in range(40):
        a = {f"{trial} a{i}" for i in range(100 - shared)} | {f"{trial} s{i}" for i in range(shared)}
        b = {f"{trial} b{i}" for i in range(100 - shared)} | {f"{trial} s{i}" for i in range(shared)}
        truth = jaccard(a, b)
        estimates.append((minhash(a) == minhash(b)).mean())
    error = np.sqrt(truth * (1 - truth) / 128 / 40)
    assert np.mean(estimates) == pytest.approx(truth, abs=4 * error + 1e-9)


def test_near_duplicates_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(300)]
    texts = [" ".join(rng.choice(words, 60)) for _ in range(30)]
    for i in range(10):  # copies with one to ten words changed
        copy = texts[i].split()
        for place in rng.integers(0, 60, 1 + i):
            copy[place] = "changed"
        texts.append(" ".join(copy))
    alike = {
        (i, j) for i in range(40) for j in range(i + 1, 40) if jaccard(shingles(texts[i]), shingles(texts[j])) >= 0.5
    }
    assert 2 <= len(alike) <= 9  # the draw has pairs on both sides of the threshold
    found = {tuple(group) for group in near_duplicates(texts, 0.5)}
    assert found == alike


def test_a_stranger_in_the_bucket_hides_nobody():
    """It comes first and shares with two twins just the shingle that all three have as their least."""
    twins = [" ".join(f"w{i}" for i in range(40)), " ".join(f"w{i}" for i in range(41))]
    least = min(shingles(twins[0]), key=lambda shingle: minhash([shingle], 1)[0])
    candidates = (f"{least} " + " ".join(f"x{seed} {i}" for i in range(10)) for seed in range(500))
    stranger = next(text for text in candidates if minhash(shingles(text), 1) == minhash(shingles(twins[0]), 1))
    assert near_duplicates([stranger, *twins], bands=1, rows=1) == [[1, 2]]


def test_duplicates_of_duplicates_are_one_group():
    base = [f"w{i}" for i in range(40)]
    texts = [" ".join(base[i:]) for i in (0, 8, 16)]  # neighbours 0.78 and 0.71 alike, the ends 0.56
    assert near_duplicates(texts, 0.7) == [[0, 1, 2]]


def test_the_longest_of_near_duplicates_stays_and_trusted_sources_are_not_judged():
    documents = [
        Document("web", "a", GOOD),
        Document("web", "b", GOOD + " Nobody minds."),
        Document("web", "c", "Buy now."),
        Document("tales", "d", "Once."),
    ]
    assert flaws_of(documents, trusted=("tales",)) == {0: "duplicate of 1", 2: "too short"}


def test_a_split_keeps_groups_together_and_moves_nobody():
    documents = [Document("s", f"group {i // 3}", f"text {i}") for i in range(3000)]
    shares = {"train": 0.8, "choose": 0.1, "report": 0.1}
    parts = split_documents(documents, shares)
    sides = {document.group: name for name, part in parts.items() for document in part}
    assert sum(map(len, parts.values())) == 3000
    assert all(sides[document.group] == name for name, part in parts.items() for document in part)
    for name, share in shares.items():
        assert len(parts[name]) / 3000 == pytest.approx(share, abs=0.03)
    fewer = split_documents(documents[::-1][:1500], shares)
    assert all(sides[document.group] == name for name, part in fewer.items() for document in part)
    assert split_documents(documents, shares, salt="another") != parts


def test_contamination_is_the_share_of_runs_that_occur():
    train = ["one two three four five six seven eight"]
    assert contamination(["two three four", "nine ten eleven", "seven eight nine"], train, n=2) == [1.0, 0.0, 0.5]
    assert contamination([], train) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: near_duplicates(["a"], 0), "threshold=0"),
        (lambda: near_duplicates(["a"], bands=0), "bands=0"),
        (lambda: minhash([]), "empty"),
        (lambda: split_documents([], {"train": 0.5}), "sum to 1"),
        (lambda: prose("wikipaedia"), "'wikipaedia'"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_prose_is_what_it_is_said_to_be():
    documents = prose()
    counts = {name: [document for document in documents if document.source == name] for name in SOURCES}
    assert {name: len(each) for name, each in counts.items()} == {
        "wikipedia": 12271, "wikipedia-sections": 1000, "wikipedia-articles": 30, "web": 300, "tales": 57, "novels": 57,
    }  # fmt: skip
    assert 12.1e6 < sum(len(document.text) for document in documents) < 12.3e6
    assert all(document.text.strip() == document.text and document.text for document in documents)
    assert not any("CANNOTANSWER" in document.text for document in documents)
