"""How far a policy has moved from its reference: estimators of the Kullback-Leibler divergence from samples."""

import math

from torch import Tensor

KINDS = ("k1", "k2", "k3")


def kl_estimate(logprobs: Tensor, ref_logprobs: Tensor, kind: str = "k1") -> Tensor:
    """An estimate of KL(policy || reference) from each sampled token, in nats; same shape as given. Lecture 13.

    logprobs, ref_logprobs: of the same tokens, which the policy sampled. With d = logprobs - ref_logprobs:
    "k1": d, unbiased, may be negative; "k2": d^2 / 2, biased, never negative, of low variance; "k3": exp(-d) - 1 + d,
    unbiased and never negative (Schulman, "Approximating KL divergence", 2020). For tokens that another policy sampled
    they estimate something else.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is none of {', '.join(KINDS)}")
    difference = logprobs - ref_logprobs
    if kind == "k1":
        return difference
    if kind == "k2":
        return difference.square() / 2
    return (-difference).expm1() + difference  # exp(-d) - 1 rounds to below -d for small d


def best_of_n_kl(n: int) -> float:
    """log n - (n - 1) / n, in nats: what choosing the best of n samples moves a policy at most.

    Exact where no two replies are alike and no two get the same score; an upper bound otherwise (Stiennon et al., 2020,
    appendix G.3; Beirami et al., 2024, show that it is a bound only).
    """
    if n < 1:
        raise ValueError(f"n={n} samples: draw at least one")
    return math.log(n) - (n - 1) / n
