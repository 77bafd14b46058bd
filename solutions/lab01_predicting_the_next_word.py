# %% [markdown]
# # Lab 01 · Count, smooth, judge
#
# You write a language model that counts, from the first n-gram to Kneser-Ney, judge it, test a smoothing that somebody else wrote, and find out what is wrong with a program that prints a table. About 105 minutes; 20 points: 17 by the grader, 3 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab01_predicting_the_next_word.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. Plain Python and numpy are all you need; the library's n-gram model is the answer and therefore not allowed.

# %%
import math
from collections import Counter, defaultdict

import matplotlib.pyplot as plt
import numpy as np

from courseware import Stopwatch, as_number, check, my_run, setup_style, show
from llmlib.data import recorded, split_text, tiny_shakespeare

setup_style()

# %% [markdown]
# The last question is drawn for you. Write down the name or number under which you hand in, exactly as your course knows it (your login, if nobody said otherwise).

# %%
STUDENT = "student-1"  # SOLUTION

# %% [markdown]
# ## Before you start: two predictions (logged, not graded)
#
# Below you count the n-grams of 100,000 characters of Shakespeare and judge on other plays. Being wrong costs nothing; not having predicted costs you the surprise.
#
# 1. With 0.01 added to every count: **at which order, 1 to 6, will the perplexity on the other plays be lowest?** Order 1 knows only how frequent each character is; order 6 looks at five characters.
# 2. Take the 5-grams of the other plays, place by place. **What percentage of them never occurred in the 100,000 characters?** A number from 0 to 100. (There are a billion possible ones.)

# %%
predicted_order = 4  # SOLUTION

check("lab01.p1", predicted_order)

# %%
predicted_new = 30  # SOLUTION

check("lab01.p2", predicted_new)

# %% [markdown]
# ## Question 1: count n-grams (1 point, difficulty 1, 6 minutes)
#
# `tokens` is a list of token ids. Return a dictionary from each n-gram (a tuple of `n` ids) to how often it occurs. N-grams overlap: `[7, 7, 7]` holds the pair `(7, 7)` twice. How many n-grams does a list of `N` tokens hold? (None, if it is shorter than `n`.)

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
# ## Question 3: what is still new (2 points, difficulty 2, 10 minutes)
#
# You predicted it; now measure it. Both texts are lists of ids. Of the places in `test` at which an n-gram stands, what share holds one that never occurs in `train`? Return a number from 0 to 1. Every place counts, also when the same n-gram stands in several; `test` has at least `n` tokens.

# %%
def new_share(train: list[int], test: list[int], n: int) -> float:
    # BEGIN SOLUTION
    known = {tuple(train[i : i + n]) for i in range(len(train) - n + 1)}
    places = [tuple(test[i : i + n]) for i in range(len(test) - n + 1)]
    return sum(ngram not in known for ngram in places) / len(places)
    # END SOLUTION


check("lab01.q3", new_share)

# %% [markdown]
# Beside your measurement stands an estimate that never looks at the other plays: the number of 5-grams that occurred *once* in training, divided by all places there (Good, 1953, with Turing). Things seen once are a message from the things not seen yet. The estimate is about more of the *same* text; how far off is it for other plays, with other people in them?

# %% tags=["not-graded"]
text = tiny_shakespeare()
train_text, val_text = split_text(text, val_fraction=0.1)
alphabet = sorted(set(text))
V, id_of = len(alphabet), {c: i for i, c in enumerate(alphabet)}
train_ids = [id_of[c] for c in train_text[:100_000]]
texts = {"other plays": [id_of[c] for c in val_text[:20_000]], "training": train_ids[:20_000]}
print(f"{V} characters: a uniform guess has perplexity {V}, or {math.log2(V):.0f} bits per character\n")
try:
    print("order  new in the other plays  seen once in training  (%)")
    for n in range(1, 8):
        once = sum(times == 1 for times in count_ngrams(train_ids, n).values()) / len(train_ids)
        print(f"{n:5} {100 * new_share(train_ids, texts['other plays'], n):23.1f} {100 * once:22.1f}")
    print(f"your prediction at order 5: {as_number(predicted_new):.0f} %")
except NotImplementedError:
    print("Not yet: finish questions 1 and 3 first.")

# %% [markdown]
# ## Question 4: perplexity (1 point, difficulty 2, 8 minutes)
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
#
# Keep the default of `D`: it is asked for.

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
# ## Judge what you built
#
# Nothing to write here: the cell counts 100,000 characters with your functions, judges on 20,000 others, and lets Kneser-Ney write. If a piece is still missing, it says so and goes on. *Dashed*: the same models on text they have counted.

# %% tags=["not-graded"]
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
    total = np.array([[row.sum() for row in order] for order in counts])
    times = np.array([[row[x] for row, x in zip(order, ids[longest:])] for order in counts])
    added = [perplexity(p) for p in (times + 0.01) / (total + 0.01 * V)]
    frequency = times / np.maximum(total, 1)
    mixed = [perplexity(interpolate(frequency[:n], total[:n] > 0, np.full(n, 0.7), V)) for n in ORDERS]
    return {"add 0.01": added, "interpolation": mixed}


def write(table, token, n, rng):
    """n characters after `token`, each drawn given the one before it."""
    written = []
    for u in rng.random(n):
        token = min(int(np.searchsorted(table[token].cumsum(), u, side="right")), V - 1)
        written.append(alphabet[token])
    return "".join(written)


try:
    tables = [rows(order) for order in ORDERS]
    results = {name: curves(ids, tables) for name, ids in texts.items()}
    fig, ax = plt.subplots()
    for smoothing, colour in (("add 0.01", "#0072B2"), ("interpolation", "#D55E00")):
        ax.plot(ORDERS, results["other plays"][smoothing], marker="o", color=colour, label=f"{smoothing}, other plays")
        ax.plot(ORDERS, results["training"][smoothing], linestyle="--", color=colour, label=f"{smoothing}, training")
    ax.axvline(as_number(predicted_order), color="0.5", linestyle=":", label="your prediction")
    ax.set(yscale="log", yticks=[2, 4, 8, 16, 32], yticklabels=[2, 4, 8, 16, 32], xlabel="order n", ylabel="perplexity per character (log scale)")
    ax.minorticks_off()
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    show(fig, alt="Perplexity of your two models against order, on other plays and on training text, with your prediction as a dotted line.")
    pairs = np.array([kneser_ney(train_ids[:20_000], a, V) for a in range(V)])
    print("R" + write(pairs, id_of["R"], 150, np.random.default_rng(0)))
except NotImplementedError:
    print("Not yet: finish questions 1 to 6 first.")

# %% [markdown]
# ## Read your own plot (3 points, given by a person)
#
# In three or four sentences: Why do the training curves keep falling while the curves on other plays turn up, and at which order? Why does one of them turn up so much more than the other? What would ten times as much training text do to each of the four curves at order 6, and why?

# %%
interpretation = """The training curves fall because a longer context has usually occurred only once in what was counted, so the text predicts itself.
On other plays both curves are lowest at order 4. Then add-0.01 doubles, since most contexts of five characters were never seen and get a uniform guess; interpolation loses
only a little, because it asks the shorter context where it knows nothing (what it loses is the fixed weight of 0.7, too much trust in contexts seen once). With ten times
the text both curves on other plays would fall, add-0.01 by more, and both training curves would rise, because fewer contexts occur once only."""  # SOLUTION

check("lab01.t1", interpretation)

# %% [markdown]
# ## Question 7: test somebody else's smoothing (3 points, difficulty 3, 15 minutes)
#
# Now you write the test. Somebody gives you `smooth(counts)`: from how often each token followed one context, such as `[3, 0, 1]`, it makes the smoothed probabilities, a list of as many floats. You don't know which method it uses, and there are many right ones. They all keep these promises:
#
# 1. one probability for each count, in the same order, and they sum to 1 (within a millionth);
# 2. nothing is impossible: every probability is greater than 0;
# 3. a token that was seen more often is more likely, and tokens that were seen equally often are equally likely (within a billionth);
# 4. it also works when nothing was counted at all.
#
# Write `examples()`, a list of 1 to 24 inputs to try, each a tuple that holds one list of 2 to 30 counts (0 to 10,000), and `holds(inputs, output)`: are the promises kept for these inputs and this output? Your test must pass several right implementations, written with different rules, and every wrong one must fail on one of your examples. `check` tries four wrong ones, the grader more: which inputs would make a mistake visible?

# %%
def examples() -> list[tuple]:
    # BEGIN SOLUTION
    return [([0, 0, 0],), ([3, 0, 1, 1, 0],), ([1, 2],), ([9, 6, 0],), ([0, 5, 20, 3, 0],)]
    # END SOLUTION


def holds(inputs: tuple, output: list[float]) -> bool:
    # BEGIN SOLUTION
    (counts,) = inputs
    if len(output) != len(counts) or abs(sum(output) - 1) > 1e-6 or min(output) <= 0:
        return False
    pairs = list(zip(counts, output))
    return all((a > b) == (p > q + 1e-9) for a, p in pairs for b, q in pairs)
    # END SOLUTION


check("lab01.q7", examples, holds)

# %% [markdown]
# ## Question 8: a table that is wrong (3 points, difficulty 4, 20 minutes)
#
# Somebody wrote a program that counts the characters of Shakespeare, adds 0.01 and prints perplexities for orders 1 to 8, on three texts: the plays that were counted, other plays, and characters drawn *uniformly at random* from the 64. One line of it is wrong. Which one was drawn for you; a correct program's table stands beside it. (Programs counted different plays, so small differences mean nothing.)
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | the text that is judged was counted as well | `E` | tokens with an unseen context are left out of the average |
# | `B` | it averages the probabilities instead of their logarithms | `F` | the characters of the training text were shuffled before counting |
# | `C` | it takes `log2`, then `exp` | `G` | the context is one token too short |
# | `D` | the denominator adds `k` instead of `k` times `V` | `H` | the context ends with the token that is to be predicted |
#
# Prove it from your table. These observations may or may not be true of it:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | random characters: at some order the value is below 60 | `g` | training text: at order 1 the value is not between 25 and 28 |
# | `b` | other plays: at order 8 the value is lower than at order 5 | `h` | at order 8 the values on training text and on other plays differ by less than 30 % |
# | `c` | training text: at order 8 the value is below 1.5 | `i` | random characters: at order 8 the value is 64 |
# | `d` | random characters: at order 5 the value is above 70 | `j` | training text: at order 8 the value is above 1.9 |
# | `e` | training text: at order 2 the value is above 20 | `k` | training text: at order 2 the value is within 2 % of the correct program's |
# | `f` | other plays: at order 2 the value is below 10 | `l` | random characters: at order 4 the value is above 100 |
#
# Answer with the cause and one to three observations that are true of your table and that *together* would be seen neither under another cause nor in a correct program, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. Work on paper: what does each cause do at order 1, where every context is seen? What at order 8, where hardly any is? What is the least that an honest model can average on random characters?

# %% tags=["not-graded"]
tables_printed = recorded("lab01_faults")["results"]
for program in filter(None, ("correct", my_run("lab01.q8", STUDENT))):
    print(f"--- {program} ---".ljust(24), *(f"order {order}".rjust(9) for order in range(1, 9)))
    for judged_on, row in tables_printed[program].items():
        print(judged_on.ljust(24), *("(nothing)" if p is None else f"{p:9.4g}" for p in row))

# %%
diagnosis = {"cause": "A", "evidence": ["a", "h"]}  # SOLUTION

check("lab01.q8", diagnosis)

# %% [markdown]
# ## Open challenge: 30 seconds of counting
#
# The fewest **bits per character** on the *whole* of `val_text` that a model of counts reaches with at most 30 seconds of computing, counting included. Anything goes that uses no gradient and only the training text: other smoothings, several discounts, words and characters together, a cache of what was said on this page. Tune on a piece you cut from the training text, and look at `val_text` once. The library's Kneser-Ney of order 8 with a discount of 0.9 needs **2.20 bits**: the score to beat.
#
# The cell shows the rules as code: your model gives `probabilities`, one for each character of `val_text`, each made from what stands before that character. It begins with your Kneser-Ney of order 2, counted on 100,000 characters, and a thousandth of a uniform guess for what they lack.

# %% tags=["not-graded"]
def bits_per_character(probabilities) -> float:
    """The score: mean of -log2 over the whole of val_text."""
    p = np.asarray(probabilities, dtype=float)
    assert p.shape == (len(val_text),) and (p > 0).all() and (p <= 1).all(), "one probability for each character of val_text"
    return float(-np.log2(p).mean())


try:
    with Stopwatch(30) as clock:
        counted, judged = [id_of[c] for c in train_text], np.array([id_of[c] for c in val_text])
        pairs = np.array([kneser_ney(counted[:100_000], a, V) for a in range(V)])
        pairs = 0.999 * pairs + 0.001 / V  # a character that did not occur is not impossible
        score = bits_per_character(pairs[np.append(counted[-1], judged[:-1]), judged])
    print(f"{score:.3f} bits per character")
except NotImplementedError:
    print("Not yet: finish questions 1 and 6 first, or write a model of your own.")

# %% [markdown]
# Write down your best figure, and how many seconds it took. The check prints the line for your course's leaderboard.

# %%
best_bits = 2.20  # SOLUTION

check("lab01.c1", best_bits, seconds=None)  # seconds=clock.seconds puts the time into the line
