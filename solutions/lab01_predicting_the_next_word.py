# %% [markdown]
# # Lab 01 · Count, smooth, judge
#
# You write a language model that counts, from the first n-gram to Kneser-Ney, judge it, let it write, and find out what is wrong with three programs that print good-looking tables. About 95 minutes; 20 points, of which 3 are given by a person.
#
# **How this works.** Each question has a function to complete (remove the line that raises) followed by a `check`. Checks are friendly: they never stop the notebook, show you what was expected, and recognise common mistakes. The grader uses the same checks with fresh random inputs. Plain Python and numpy are all you need; the library's n-gram model is the answer and therefore not allowed.

# %%
import math
from collections import Counter, defaultdict

import matplotlib.pyplot as plt
import numpy as np

from courseware import check
from courseware.classroom.ui import setup_style, show
from llmlib.data import recorded, split_text, tiny_shakespeare

setup_style()

# %% [markdown]
# ## Before you start: a prediction (logged, not graded)
#
# Below you count the n-grams of 100,000 characters of Shakespeare, smooth them by adding 0.01 to every count, and judge on other text. Order 1 knows only how frequent each character is; order 6 looks at five characters. **At which order, 1 to 6, will the perplexity on the other text be lowest?** Being wrong costs nothing; not having predicted costs you the surprise.

# %%
predicted_order = 4  # SOLUTION

check("lab01.p1", predicted_order)

# %% [markdown]
# ## Question 1: count n-grams (2 points, difficulty 1, 6 minutes)
#
# `tokens` is a list of token ids. Return a dictionary from each n-gram (a tuple of `n` ids) to how often it occurs. N-grams overlap: `[7, 7, 7]` holds the pair `(7, 7)` twice. How many n-grams does a list of `N` tokens hold?

# %%
def count_ngrams(tokens: list[int], n: int) -> dict[tuple[int, ...], int]:
    # BEGIN SOLUTION
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
    # END SOLUTION


check("lab01.q1", count_ngrams)

# %% [markdown]
# ## Question 2: relative frequency (2 points, difficulty 2, 10 minutes)
#
# The maximum-likelihood estimate of $P(\text{token} \mid \text{context})$: of the times that something *followed* the context, how often was it this token? `context` is a tuple of ids of any length, also the empty one. If nothing ever followed it, return 0.

# %%
def relative_frequency(tokens: list[int], context: tuple[int, ...], token: int) -> float:
    # BEGIN SOLUTION
    counts = count_ngrams(tokens, len(context) + 1)
    total = sum(times for ngram, times in counts.items() if ngram[:-1] == tuple(context))
    return counts.get((*context, token), 0) / total if total else 0.0
    # END SOLUTION


check("lab01.q2", relative_frequency)

# %% [markdown]
# ## Question 3: add k (1 point, difficulty 1, 5 minutes)
#
# `counts` is `(V,)`: how often each of the `V` tokens followed one context, possibly all zeros. Return `(V,)` probabilities as if every token had been seen `k` more times.

# %%
def add_k(counts: np.ndarray, k: float) -> np.ndarray:
    # BEGIN SOLUTION
    return (counts + k) / (counts.sum() + k * len(counts))
    # END SOLUTION


check("lab01.q3", add_k)

# %% [markdown]
# ## Question 4: perplexity (2 points, difficulty 2, 8 minutes)
#
# `p` is `(N,)`: the probability that a model gave to each token that actually came. Return the perplexity. One zero among them makes it infinite (numpy's warning about `log(0)` is welcome to appear).

# %%
def perplexity(p: np.ndarray) -> float:
    # BEGIN SOLUTION
    return float(np.exp(-np.log(p).mean()))
    # END SOLUTION


check("lab01.q4", perplexity)

# %% [markdown]
# ## Question 5: interpolation (2 points, difficulty 3, 15 minutes)
#
# For `N` tokens at once. `frequency` is `(orders, N)`: row 0 the relative frequency of each token without context, row 1 with one token of context, and so on. `seen` is `(orders, N)` of booleans: was that context ever followed by anything in training? `weights` is `(orders,)`. Start from the uniform distribution over `V` tokens; then, for each order from the shortest up,
#
# $$p \leftarrow w \cdot \text{frequency} + (1 - w) \cdot p$$
#
# but only where the context was seen; elsewhere `p` stays as it was. Return `p`, `(N,)`.

# %%
def interpolate(frequency: np.ndarray, seen: np.ndarray, weights: np.ndarray, V: int) -> np.ndarray:
    # BEGIN SOLUTION
    p = np.full(frequency.shape[1], 1 / V)
    for f, s, w in zip(frequency, seen, weights):
        p = np.where(s, w * f + (1 - w) * p, p)
    return p
    # END SOLUTION


check("lab01.q5", interpolate)

# %% [markdown]
# ## Question 6: Kneser-Ney (3 points, difficulty 4, 20 minutes)
#
# Order 2, interpolated. Return `(V,)`, the distribution of the token after `previous`:
#
# $$P(x \mid \text{previous}) = \frac{\max(\text{count}(\text{previous}, x) - D,\ 0)}{\text{total}} + \frac{D \cdot \text{types}}{\text{total}} \cdot P_{\text{cont}}(x)$$
#
# - `total`: how often anything followed `previous`; `types`: how many *different* tokens did.
# - $P_{\text{cont}}(x)$: the number of different tokens seen directly *before* `x`, divided by the sum of these numbers over all `x`.
# - If nothing ever followed `previous`, return $P_{\text{cont}}$.

# %%
def kneser_ney(tokens: list[int], previous: int, V: int, D: float = 0.75) -> np.ndarray:
    # BEGIN SOLUTION
    following, continuation = np.zeros(V), np.zeros(V)
    for (before, token), times in count_ngrams(tokens, 2).items():
        continuation[token] += 1
        if before == previous:
            following[token] = times
    continuation /= continuation.sum()
    total, types = following.sum(), (following > 0).sum()
    if total == 0:
        return continuation
    return np.maximum(following - D, 0) / total + D * types / total * continuation
    # END SOLUTION


check("lab01.q6", kneser_ney)

# %% [markdown]
# ## Question 7: let it write (2 points, difficulty 3, 10 minutes)
#
# `table` is `(V, V)`: row `a` holds $P(\cdot \mid a)$. Starting after token `start`, draw one token for each number `u` in `draws` (all in $[0, 1)$): the first token at which the cumulative probability of its row *exceeds* `u`. Return the list of drawn ids, without `start`.

# %%
def write(table: np.ndarray, start: int, draws: np.ndarray) -> list[int]:
    # BEGIN SOLUTION
    written, token = [], start
    for u in draws:
        cumulative = table[token].cumsum()
        token = min(int(np.searchsorted(cumulative, u, side="right")), len(table) - 1)
        written.append(token)
    return written
    # END SOLUTION


check("lab01.q7", write)

# %% [markdown]
# ## Judge what you built
#
# Nothing to write here: the cell counts 100,000 characters with your functions and judges on 20,000 others. If a piece is still missing, it says so and goes on. *Dashed*: the same models on text they have counted.

# %% tags=["not-graded"]
text = tiny_shakespeare()
train_text, val_text = split_text(text, val_fraction=0.1)
alphabet = sorted(set(text))
V, id_of = len(alphabet), {c: i for i, c in enumerate(alphabet)}
train_ids = [id_of[c] for c in train_text[:100_000]]
texts = {"held out": [id_of[c] for c in val_text[:20_000]], "training": train_ids[:20_000]}
ORDERS = range(1, 7)


def rows(order):
    """{context: (V,) counts of what followed}, from your count_ngrams."""
    table = defaultdict(lambda: np.zeros(V))
    for ngram, times in count_ngrams(train_ids, order).items():
        table[ngram[:-1]][ngram[-1]] = times
    return table


def curves(ids, tables):
    """Perplexity of add-0.01 and of interpolation (all weights 0.7) for orders 1 to 6."""
    longest, nothing = max(ORDERS), np.zeros(V)
    counts = [[table.get(tuple(ids[t - m : t]), nothing) for t in range(longest, len(ids))] for m, table in enumerate(tables)]
    came = ids[longest:]
    added = [perplexity(np.array([add_k(row, 0.01)[x] for row, x in zip(order, came)])) for order in counts]
    total = np.array([[row.sum() for row in order] for order in counts])
    frequency = np.array([[row[x] for row, x in zip(order, came)] for order in counts]) / np.maximum(total, 1)
    mixed = [perplexity(interpolate(frequency[:n], total[:n] > 0, np.full(n, 0.7), V)) for n in ORDERS]
    return {"add 0.01": added, "interpolation": mixed}


try:
    tables = [rows(order) for order in ORDERS]
    results = {name: curves(ids, tables) for name, ids in texts.items()}
    fig, ax = plt.subplots()
    for smoothing, colour in (("add 0.01", "#0072B2"), ("interpolation", "#D55E00")):
        ax.plot(ORDERS, results["held out"][smoothing], marker="o", color=colour, label=f"{smoothing}, held out")
        ax.plot(ORDERS, results["training"][smoothing], linestyle="--", color=colour, label=f"{smoothing}, training")
    ax.axvline(predicted_order if isinstance(predicted_order, int) else math.nan, color="0.5", linestyle=":", label="your prediction")
    ax.set(yscale="log", yticks=[2, 4, 8, 16, 32], yticklabels=[2, 4, 8, 16, 32], xlabel="order n", ylabel="perplexity per character (log scale)")
    ax.minorticks_off()
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    show(fig, alt="Perplexity of your two models against order, on held-out text and on training text, with your prediction as a dotted line.")
    pairs = np.array([kneser_ney(train_ids[:20_000], a, V) for a in range(V)])
    print("".join(alphabet[i] for i in write(pairs, id_of["R"], np.random.default_rng(0).random(150))))
except NotImplementedError:
    print("Not yet: finish questions 1 to 7 first.")

# %% [markdown]
# ## Read your own plot (3 points, given by a person)
#
# In three or four sentences: Why do the training curves keep falling while the held-out curves turn up, and at which order? Why does one of them turn up so much more than the other? What would ten times as much training text do to each of the four curves at order 6, and why?

# %%
interpretation = """The training curves fall because a longer context has usually occurred only once in what was counted, so the text predicts itself.
Held out, both curves are lowest at order 4. Then add-0.01 doubles, since most contexts of five characters were never seen and get a uniform guess; interpolation loses
only a little, because it asks the shorter context where it knows nothing (what it loses is the fixed weight of 0.7, too much trust in contexts seen once). With ten times
the text both held-out curves would fall, add-0.01 by more, and both training curves would rise, because fewer contexts occur once only."""  # SOLUTION

check("lab01.t1", interpretation)

# %% [markdown]
# ## Question 8: three tables that are too good (3 points, difficulty 4, 20 minutes)
#
# Three students each wrote a program that counts the characters of Shakespeare, adds 0.01 and prints perplexities for orders 1 to 8. Each has one line that is wrong. Beside the held-out plays you get their numbers for a second text: 100,000 characters drawn *uniformly at random* from the 64. What is the least perplexity that any honest model can average there? Each program has a different one of these causes:
#
# | letter | cause |
# | --- | --- |
# | `A` | the text that is judged was counted as well |
# | `B` | it averages the probabilities instead of their logarithms |
# | `C` | it takes `log2`, then `exp` |
# | `D` | the denominator adds `k` instead of `k·V` |
# | `E` | tokens with an unseen context are left out of the average |
# | `F` | the characters of the training text were shuffled before counting |
#
# Work on paper: what does each cause do at order 1, where every context is seen? What at order 8, where hardly any is?

# %% tags=["not-graded"]
broken = recorded("lab01_broken_tables")["results"]
print("order".ljust(24), *(f"{order:9}" for order in range(1, 9)))
for program, table in broken.items():
    print(f"--- {program} ---")
    for judged_on, row in table.items():
        print(judged_on.ljust(24), *(f"{p:9.2f}" for p in row))

# %%
diagnosis = {"program 1": "D", "program 2": "A", "program 3": "B"}  # SOLUTION

check("lab01.q8", diagnosis)

# %% [markdown]
# ## Open challenge: 30 seconds of counting
#
# The fewest **bits per character** on the *whole* held-out text (`val_text`) that a model of counts reaches with at most 30 seconds of computing, counting included. Anything goes that uses no gradient and only the training text: other smoothings, several discounts, words and characters together, a cache of what was said on this page. Tune on a piece you cut from the training text, and look at the held-out text once. The library's Kneser-Ney of order 8 with a discount of 0.9 needs 2.20 bits. Write your best figure below, and how you got it.

# %%
best_bits = 2.20  # SOLUTION

check("lab01.c1", best_bits)
