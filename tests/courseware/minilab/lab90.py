"""Lab 90, public part."""

import numpy as np

from courseware.classroom.cases import Case, Lab, Mistake, Question, Ungraded, close_to


def scores(draw):
    return (draw.numpy.normal(0.0, 3.0, draw.integer(2, 6)),)


def large_scores(draw):
    return (draw.numpy.normal(0.0, 3.0, 4) + 1000.0,)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def word(draw):
    return (draw.text(draw.integer(3, 9)),)


def pairs(text):
    return [(text[i], text[i + 1]) for i in range(len(text) - 1)]


def scores_and_target(draw):
    (x,) = scores(draw)
    return x, draw.integer(0, len(x))


def surprise(x, target):
    return float(-np.log(softmax(x)[target]))


def sums_to_one(p, x):
    return None if close_to(float(p.sum()), 1.0, 1e-6) else "probabilities should sum to 1"


def count_words(student, size, seen):
    """Recipe: make a table, show it numbers, read its weights."""
    table = student(size)
    for number in seen:
        table.add(number)
    return {"counts": np.asarray(table.counts), "most": table.most()}


def sightings(draw):
    size = draw.integer(2, 5)
    return size, [draw.integer(0, size) for _ in range(9)] + [size - 1] * 9


def counted(size, seen):
    counts = np.bincount(seen, minlength=size)
    return {"counts": counts, "most": int(counts.argmax())}


LAB = Lab(
    id="lab90",
    title="A small lab",
    preload=("numpy",),
    forbids=("scipy", "logaddexp"),
    questions=(
        Question(
            id="lab90.q1",
            title="Softmax",
            name="softmax",
            points=2,
            difficulty=2,
            minutes=5,
            cases=(
                Case("sums to one", inputs=scores, judge=sums_to_one, hint="divide by the sum of what?"),
                Case("small scores", inputs=scores, expected=softmax),
                Case("large scores", inputs=large_scores, expected=softmax, hint="which number overflows?"),
            ),
            mistakes=(
                Mistake("did you forget to divide by the sum?", wrong=lambda x: np.exp(x)),
                Mistake(
                    "exp of a large number overflows: subtract the maximum first",
                    when=lambda p, x: x.max() > 700 and bool(np.isnan(p).any()),
                ),
                Mistake("divide by the sum, not by the maximum", wrong=lambda x: np.exp(x - x.max())),
            ),
        ),
        Question(
            id="lab90.q2",
            title="Bigrams",
            name="bigrams",
            points=2,
            difficulty=1,
            minutes=5,
            cases=(Case("a word", inputs=word, expected=pairs),),
            mistakes=(
                Mistake("the pairs should overlap: 'abc' has ab and bc", wrong=lambda t: list(zip(t[::2], t[1::2]))),
                Mistake("the list should not be empty", wrong=[]),
                Mistake("mind the last letter: it starts no pair", error="IndexError"),
            ),
        ),
        Question(
            id="lab90.q3",
            title="Size of a vocabulary",
            name="vocab_size",
            points=1,
            difficulty=1,
            minutes=2,
            cases=(Case("a whole number", judge=lambda v: None if type(v) is int else "give a whole number"),),
            mistakes=(
                Mistake("each letter counts once", wrong=5),
                Mistake("count every letter of the word, l included", wrong=3),
            ),
        ),
        Question(
            id="lab90.q4",
            title="Surprise",
            name="surprise",
            points=1,
            difficulty=2,
            minutes=5,
            uses=("lab90.q1",),
            cases=(Case("random scores", inputs=scores_and_target, expected=surprise),),
            mistakes=(
                Mistake("surprise is positive: mind the sign", wrong=lambda x, t: -surprise(x, t)),
                Mistake("natural logarithm, please: nats, not bits", wrong=lambda x, t: surprise(x, t) / np.log(2)),
                Mistake("that is the probability: take its logarithm", wrong=lambda x, t: float(softmax(x)[t])),
            ),
        ),
        Question(
            id="lab90.q5",
            title="A table of counts",
            name="Table",
            points=1,
            difficulty=3,
            minutes=10,
            recipe=count_words,
            cases=(Case("some numbers", inputs=sightings, expected=counted),),
            mistakes=(
                Mistake(
                    "counts should go up by one each time", when=lambda v, size, seen: v["counts"].sum() < len(seen)
                ),
                Mistake(
                    "count from 0: do all counts start at 1?",
                    when=lambda v, size, seen: v["counts"].min() > 0 and v["counts"].sum() > len(seen),
                ),
                Mistake(
                    "most() is the index of the largest count, not the count",
                    wrong=lambda size, seen: counted(size, seen) | {"most": int(counted(size, seen)["counts"].max())},
                ),
            ),
        ),
    ),
    ungraded=(
        Ungraded("lab90.p1", "How many bigrams?", name="guess"),
        Ungraded("lab90.t1", "Why subtract the maximum?", name="why", kind="text", points=2),
    ),
)
