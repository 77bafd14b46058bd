"""Five estimates of P(token | context) from counts, each a pure function of four arrays.

An n-gram model asks a smoothing for one order after the other, from single tokens up. Each answer becomes the `lower`
of the next order, so interpolation with shorter contexts is one line here and needs no recursion. All arguments
broadcast; where a context was never seen its `total` and `types` are zero. Built in lecture 01.

    count   how often the token followed the context (for Kneser-Ney below the highest order: continuation counts)
    total   the sum of `count` over all tokens, for this context
    types   how many distinct tokens followed the context
    lower   the estimate with the context shortened by one token; 1 / vocab_size below single tokens

Chen and Goodman (1999), "An empirical study of smoothing techniques for language modeling", compare all of them.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
SMOOTHINGS = ("mle", "add_k", "jelinek_mercer", "witten_bell", "kneser_ney")


def mle(count: FloatArray, total: FloatArray) -> FloatArray:
    """Maximum likelihood: the relative frequency; 0 for everything in a context never seen (really 0/0)."""
    return count / np.maximum(total, 1)


def add_k(count: FloatArray, total: FloatArray, k: float, vocab_size: int) -> FloatArray:
    """Additive smoothing (Lidstone, 1920; k=1: Laplace): every token counts as if seen k times more."""
    return (count + k) / (total + k * vocab_size)


def jelinek_mercer(count: FloatArray, total: FloatArray, lower: FloatArray, weight: float) -> FloatArray:
    """Interpolation with one fixed weight per order (Jelinek and Mercer, 1980)."""
    return np.where(total > 0, weight * mle(count, total) + (1 - weight) * lower, lower)


def tune_weights(
    weights: FloatArray, frequency: list[FloatArray], usable: list[NDArray[np.bool_]], uniform: FloatArray, n_steps: int
) -> FloatArray:
    """Expectation-maximisation for Jelinek-Mercer's weights on a held-out text of N tokens.

    weights: (order,) to start from; frequency, usable: per order (N,), the relative frequency of each token and whether
    its context was ever seen; uniform: (N,) the estimate below single tokens. A step sets each weight to the share of
    the tokens reaching that order, from the longest down, that the order itself explains. Returns new (order,) weights.
    """
    weights = weights.copy()
    for _ in range(n_steps):
        upto = [uniform]  # the mixture of all orders up to m
        for w, f, u in zip(weights, frequency, usable):
            upto.append(np.where(u, w * f + (1 - w) * upto[-1], upto[-1]))
        reach = 1 / np.maximum(upto[-1], np.finfo(float).tiny)  # P(the token is left to orders up to m) / P(token)
        for m in reversed(range(len(weights))):
            w, f, u = weights[m], frequency[m], usable[m]
            offered, taken = (upto[m + 1] * reach)[u].sum(), (w * f * reach)[u].sum()
            reach = np.where(u, (1 - w) * reach, reach)
            if offered > 0:
                weights[m] = taken / offered
    return weights


def witten_bell(count: FloatArray, total: FloatArray, types: FloatArray, lower: FloatArray) -> FloatArray:
    """Interpolation by how often something new followed the context (Witten and Bell, 1991, method C)."""
    return np.where(total > 0, (count + types * lower) / np.maximum(total + types, 1), lower)


def kneser_ney(
    count: FloatArray, total: FloatArray, types: FloatArray, lower: FloatArray, discount: float
) -> FloatArray:
    """Interpolated Kneser-Ney (Kneser and Ney, 1995; Chen and Goodman, 1999, section 2.7).

    Takes `discount` from every count and hands what was taken to the shorter context, whose counts say not how often a
    token occurred but after how many different tokens: "Francisco" is frequent, yet hardly ever follows anything new.
    """
    kept = np.maximum(count - discount, 0)
    return np.where(total > 0, (kept + discount * types * lower) / np.maximum(total, 1), lower)
