"""Texts that people have rated: what the files hold, and splits that leak nothing."""

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from llmlib.data import RatedText, rated_texts, split_ratings

COUNTS = {
    "film": (10_605, 354, 0),
    "product": (3_708, 300, 0),
    "tweets": (4_200, 4_200, 199),
    "editorials": (5_190, 498, 0),
}


@pytest.fixture(scope="module")
def film():
    return rated_texts("film")


@pytest.mark.parametrize("kind", COUNTS)
def test_each_kind_is_read_whole(kind):
    texts = rated_texts(kind)
    n_texts, n_groups, n_contradicted = COUNTS[kind]
    assert len(texts) == n_texts and len({each.group for each in texts}) == n_groups
    assert sum(each.ratings is None for each in texts) == n_contradicted
    for each in texts:
        assert each.text and each.text == each.text.strip() and "&amp;" not in each.text and "\t" not in each.text
        if each.ratings is not None:
            assert len(each.ratings) >= 15 and set(each.ratings) <= set(range(-4, 5))
            assert each.mean == pytest.approx(np.mean(each.ratings), abs=1e-6)
        assert each.group.startswith(f"{kind} ")


def test_film_is_the_default_and_keeps_the_order_of_the_file(film):
    assert rated_texts() == film
    assert film[2] == RatedText(
        "Effective but too tepid biopic",
        -0.6,
        (-1, 0, -1, 0, -1, -1, -1, -1, 0, -2, 1, 1, -1, -1, -1),
        "film sitting 0",
    )
    means = np.array([each.mean for each in film])
    assert means[:4000].mean() > 1 and means[-4000:].mean() < -1  # favourable ones first
    assert not any("�" in each.text for each in film) and any("é" in each.text for each in film)


def agreement_of_columns(texts, shift):
    """Mean product of two neighbours' departures from their means, ratings[k] with ratings[k + shift]."""
    products = []
    for a, b in pairwise(texts):
        if a.group == b.group:
            one, other = np.array(a.ratings) - a.mean, np.array(b.ratings) - b.mean
            products.append((one * np.roll(other, shift)).mean())
    return np.mean(products)


def test_the_same_people_rated_a_sitting_in_the_same_order(film):
    sizes = Counter(each.group for each in film)
    assert set(list(sizes.values())[:-1]) == {30} and sizes["film sitting 353"] == 15
    raters = {}
    for each in film:
        raters.setdefault(each.group, set()).add(len(each.ratings))
    assert all(len(numbers) == 1 for numbers in raters.values())
    assert agreement_of_columns(film, 0) > 0.2 > 0.02 > abs(agreement_of_columns(film, 1))
    assert abs(agreement_of_columns(rated_texts("product"), 0)) < 0.02  # elsewhere the places mean nothing


def test_some_people_have_turned_the_scale_round(film):
    sittings = {}
    for each in film:
        sittings.setdefault(each.group, []).append(each.ratings)
    against = []
    for rows in map(np.array, sittings.values()):
        rest = rows.sum(axis=1, keepdims=True) - rows
        against += list((np.sign(rows) * np.sign(rest) < 0).mean(axis=0))
    turned = np.mean(np.array(against) > 0.5)
    assert 1 / 90 < turned < 1 / 60


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(ValueError, match="kind is 'books': choose one of film, product, tweets, editorials"):
        rated_texts("books")


# --- splits -----------------------------------------------------------------------------------------------------------


def words(text):
    return " ".join(re.findall(r"\w+", text.lower())) or text


@pytest.mark.parametrize("kind", COUNTS)
def test_splits_share_no_text_and_no_group(kind):
    texts = rated_texts(kind)
    splits = split_ratings(texts)
    assert list(splits) == ["train", "choose", "report"]
    assert Counter(each for part in splits.values() for each in part) == Counter(texts)
    for which in (lambda each: each.group, lambda each: words(each.text)):
        seen = [{which(each) for each in part} for part in splits.values()]
        assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert len(splits["choose"]) == pytest.approx(0.1 * len(texts), rel=0.1)
    assert len(splits["report"]) == pytest.approx(0.2 * len(texts), rel=0.1)


def test_twins_in_different_groups_bring_their_groups_together():
    texts = [RatedText(text, 0.0, (0, 0), group) for group in "abcdefgh" for text in (f"one {group}", f"two {group}")]
    texts += [RatedText("One, B!", 0.0, (0, 0), "a"), RatedText("two b", 0.0, (0, 0), "c")]  # a with b, b with c
    for seed in range(20):
        parts = split_ratings(texts, choose=0.2, report=0.2, seed=seed)
        homes = [name for name, part in parts.items() if any(each.group in "abc" for each in part)]
        assert len(homes) == 1


def test_a_seed_gives_a_split_and_another_another(film):
    some = film[:1200]
    assert split_ratings(some, seed=1) == split_ratings(some, seed=1) != split_ratings(some, seed=2)


def test_the_first_texts_of_a_split_are_a_fair_sample(film):
    train = split_ratings(film)["train"]
    assert abs(np.mean([each.mean for each in train[:1000]]) - np.mean([each.mean for each in train])) < 0.25


@pytest.mark.parametrize("shares", [dict(choose=0), dict(report=-0.1), dict(choose=0.5, report=0.5)])
def test_shares_must_leave_something_to_train_on(film, shares):
    with pytest.raises(ValueError, match=r"choose=.* and report=.* must be positive and leave a share to train on"):
        split_ratings(film[:90], **shares)


def test_too_few_groups_are_refused(film):
    with pytest.raises(ValueError, match="texts has 1 groups, too few for a"):
        split_ratings(film[:30])
