"""Lab 90, staff's part: hidden cases, mutants, rubrics."""

from courseware.classroom.cases import Case, Mutant
from minilab.lab90 import counted, large_scores, pairs, scores_and_target, sightings, softmax, surprise, word

HIDDEN = {
    "lab90.q1": [Case("other large scores", inputs=large_scores, expected=softmax)],
    "lab90.q2": [Case("other words", inputs=word, expected=pairs)],
    "lab90.q3": [Case("the size", expected=4)],
    "lab90.q4": [Case("other scores", inputs=scores_and_target, expected=surprise)],
    "lab90.q5": [Case("other numbers", inputs=sightings, expected=counted)],
}

_TABLE = """class Table:
    def __init__(self, size):
        self.counts = np.{fill}(size, dtype=int)

    def add(self, number):
        self.counts[number] {add} 1

    def most(self):
        return int(self.counts.{most}())
"""

MUTANTS = [
    Mutant("lab90.q1", "no sum", "def softmax(x):\n    return np.exp(x)", "divide by the sum"),
    Mutant("lab90.q1", "overflows", "def softmax(x):\n    return np.exp(x) / np.exp(x).sum()", "subtract the maximum"),
    Mutant("lab90.q1", "by the maximum", "def softmax(x):\n    return np.exp(x - x.max())", "not by the maximum"),
    Mutant("lab90.q2", "no overlap", "def bigrams(t):\n    return list(zip(t[::2], t[1::2]))", "overlap"),
    Mutant("lab90.q2", "empty", "def bigrams(t):\n    return []", "not be empty"),
    Mutant(
        "lab90.q2", "too far", "def bigrams(t):\n    return [(t[i], t[i + 1]) for i in range(len(t))]", "last letter"
    ),
    Mutant("lab90.q3", "letters", "vocab_size = 5", "counts once"),
    Mutant("lab90.q3", "no l", "vocab_size = 3", "l included"),
    Mutant("lab90.q3", "a word", "vocab_size = 'four'", "whole number"),
    Mutant("lab90.q4", "sign", "def surprise(x, t):\n    return math.log(softmax(x)[t])", "sign"),
    Mutant("lab90.q4", "bits", "def surprise(x, t):\n    return -math.log2(softmax(x)[t])", "nats"),
    Mutant("lab90.q4", "no log", "def surprise(x, t):\n    return float(softmax(x)[t])", "logarithm"),
    Mutant("lab90.q5", "overwrites", _TABLE.format(fill="zeros", add="=", most="argmax"), "go up by one"),
    Mutant("lab90.q5", "from one", _TABLE.format(fill="ones", add="+=", most="argmax"), "count from 0"),
    Mutant("lab90.q5", "the count", _TABLE.format(fill="zeros", add="+=", most="max"), "not the count"),
]

RUBRICS = {"lab90.t1": "2: exp overflows above 709 and the ratio does not change; 1: one of the two; 0: neither"}
