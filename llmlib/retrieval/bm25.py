"""BM25: the score that full-text search has used for thirty years, over an inverted index. Built in lecture 17."""

import re
from array import array
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from .hits import Hit, best, check_documents

WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Lower-case runs of letters, digits and underscores: "The `__init__` method" -> the, __init__, method."""
    return WORD.findall(text.lower())


class BM25:
    """Okapi BM25 (Robertson and Walker, 1994; Robertson and Zaragoza, 2009) over a list of texts.

    score(query, d) = sum over the query's words of idf(w) * tf (k1 + 1) / (tf + k1 (1 - b + b len(d) / mean length)),
    tf the times that w stands in d, idf(w) = ln(1 + (N - n + 1/2) / (n + 1/2)) with n of N documents holding w, which
    stays above 0 for words that most documents have (Lucene's form).

    k1 >= 0: how soon further occurrences stop counting (0: at once). b in [0, 1]: how much long documents are held
    back. tokenize: text -> words, of documents and queries alike. For each word the documents that hold it and what
    each adds are kept sorted (its postings), so that a query looks at these alone.
    """

    def __init__(
        self,
        documents: Sequence[str],
        *,
        k1: float = 1.5,
        b: float = 0.75,
        tokenize: Callable[[str], Sequence[str]] = words,
    ):
        check_documents(documents)
        if k1 < 0 or not 0 <= b <= 1:
            raise ValueError(f"k1={k1} must be 0 or more and b={b} lie between 0 and 1; usual are 1.5 and 0.75")
        self.tokenize, self.n_documents = tokenize, len(documents)
        self._number: dict[str, int] = {}
        term_of, document_of, count_of, lengths = array("q"), array("q"), array("q"), np.zeros(len(documents))
        for i, text in enumerate(documents):
            counts = Counter(tokenize(text))
            lengths[i] = counts.total()
            for word, count in counts.items():
                term_of.append(self._number.setdefault(word, len(self._number)))
                document_of.append(i)
                count_of.append(count)
        terms, documents_, tf = (np.array(column, dtype=np.int64) for column in (term_of, document_of, count_of))
        holders = np.bincount(terms, minlength=len(self._number))
        self._idf = np.log1p((len(documents) - holders + 0.5) / (holders + 0.5))
        relative = lengths / max(lengths.mean(), 1e-9)
        weights = self._idf[terms] * tf * (k1 + 1) / (tf + k1 * (1 - b + b * relative[documents_]))
        order = np.argsort(terms, kind="stable")
        self._documents, self._weights = documents_[order].astype(np.int32), weights[order]
        self._starts = np.concatenate([[0], np.cumsum(holders)])

    def idf(self, word: str) -> float:
        """How rare the word is; that of a word nowhere to be found for one that no document holds."""
        if word in self._number:
            return float(self._idf[self._number[word]])
        return float(np.log1p((self.n_documents + 0.5) / 0.5))

    def scores(self, query: str) -> np.ndarray:
        """(N,) float64: the score of every document, 0 where no word of the query stands."""
        found = np.zeros(self.n_documents)
        for word, times in Counter(self.tokenize(query)).items():
            if word in self._number:
                documents, weights = self._postings(word)
                found[documents] += times * weights  # a document stands once in a word's postings
        return found

    def search(self, query: str, k: int = 10) -> list[Hit]:
        """The k best documents, best first; fewer where fewer share a word with the query."""
        return best(self.scores(query), k, above=0.0)

    def explain(self, query: str, document: int) -> dict[str, float]:
        """What each word of the query adds to the score of a document, the most first."""
        parts = {}
        for word, times in Counter(self.tokenize(query)).items():
            if word in self._number:
                documents, weights = self._postings(word)
                place = np.searchsorted(documents, document)
                if place < len(documents) and documents[place] == document:
                    parts[word] = times * float(weights[place])
        return dict(sorted(parts.items(), key=lambda part: -part[1]))

    def _postings(self, word: str) -> tuple[np.ndarray, np.ndarray]:
        number = self._number[word]
        where = slice(self._starts[number], self._starts[number + 1])
        return self._documents[where], self._weights[where]
