# %% [markdown]
# # 01 · Predicting the next word: n-grams
#
# **The question of this lecture.** *The cat sat on the ___.* You know what comes next. How could a program know, if all it ever does is count? How far does counting get, what stops it, and how do we tell a good guesser from a lucky one?
#
# Everything in this course predicts the next token. Here we do it without any network, so that the idea, the measure and the traps stand in plain view. They come back in every later lecture.
#
# **Afterwards you can**
# - write a language model that counts, in a dozen lines, and let it write;
# - explain why it gives most of language the probability zero, and repair that in four ways, up to Kneser-Ney;
# - compute perplexity and bits per character, and say what a number like "perplexity 4.6" is to be compared with;
# - recognise a model that has memorised, from its numbers and from its text;
# - say what "autoregressive" promises that filling in blanks does not.
#
# **Before this:** conditional probability and logarithms; lecture 00 lets you check.
#
# **Time:** core 116 minutes, optional 30 minutes; two classes. All cells together: about half a minute of computing on a laptop CPU.
#
# <!-- sources: hlt -->

# %%
import math
import re
from collections import Counter, defaultdict
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from courseware import (
    Claim, Diagram, bars, claims_table, curves, explore, heat_map, panels, poll,
    setup_style, show, steps, table,
)
from llmlib.data import alice, all_plays, botchan, split_text, tiny_shakespeare
from llmlib.text import CharTokenizer, MarkovSource, NGramModel

setup_style()

# %% [markdown]
# ## I. The cat sat on the ___
#
# The HLT lecture opens with this sentence and one formula, $P(\text{mat} \mid \text{the cat sat on the})$: the probability of a **next word** given a **context**, also called the prefix. Ask the room first.

# %%
poll("The cat sat on the ___",
     options=["mat", "floor", "sofa", "throne"], opinion=True,
     explanation="Most rooms say *mat*, and hardly any cat sits on one: people answer "
                 "from "
     "having *read* the sentence. A language model is in the same position. What it "
     "predicts is text, not cats. And a full answer is not one word but a probability "
     "for "
     "every word: *mat* 60 %, *floor* 15 %, *sofa* 10 % says more than *mat*.")

# %% [markdown]
# Now the program. The obvious plan: find every place in a library where this context occurs, and count what comes next. Our library: all of Shakespeare's plays, *Alice in Wonderland* (which has a cat in it), and a translated Japanese novel, 5.2 million characters.
#
# **Predict:** how often does *the cat sat on the* occur in it?

# %%
# NBVAL_CHECK_OUTPUT
books = [all_plays(), alice(), botchan()]
library = [re.findall(r"[a-z']+", book.lower()) for book in books]  # words, in order
prefix = "the cat sat on the".split()


def occurrences(phrase):
    """How often a list of words occurs in the library, word for word."""
    n = len(phrase)
    return sum(ws[i : i + n] == phrase for ws in library for i in range(len(ws)))


n_characters = sum(map(len, books))
print(f"{n_characters:,} characters, {sum(map(len, library)):,} words")
for n in range(1, 6):
    print(f"{' '.join(prefix[:n]):20} {occurrences(prefix[:n]):7,}")
print(f"{'mat':20} {occurrences(['mat']):7,}")

# %% [markdown]
# Never. *The cat sat* does not occur even once, and *mat* occurs a single time (in Japan). The obvious plan fails on the first sentence of the lecture, and a library ten times as large would only push the problem a few words further: a sentence you make up today is, most likely, new to the world.
#
# If the whole context is too much to ask for, ask for less. Keep the last two words:

# %%
# NBVAL_CHECK_OUTPUT
after_on_the = Counter(
    words[i + 2]
    for words in library
    for i in range(len(words) - 2)
    if words[i : i + 2] == ["on", "the"]
)
print(f"'on the' occurs {after_on_the.total()} times, "
      f"followed by {len(after_on_the)} different words:")
print(", ".join(f"{word} {times}" for word, times in after_on_the.most_common(8)))

# %% [markdown]
# That is the whole plan of this lecture: shorten the context until there is something to count, without forgetting more than we must. A model that looks at the last $n-1$ tokens is an **n-gram model** of **order** $n$ (Markov, 1913, with the letters of *Eugene Onegin*; Shannon, 1948, for English).

# %% tags=["diagram"]
d = Diagram(12, 3.8)
words = ["the", "cat", "sat", "on", "the", "?"]
placed = [d.box(1 + 1.7 * i, 2.3, w, w=1.4, color="orange" if w == "?" else "blue" if i > 2 else "grey",
                dashed=i < 3) for i, w in enumerate(words)]
d.bracket((placed[3].left[0], 1.75), (placed[4].right[0], 1.75), "context of order 3: two tokens", side="below")
d.bracket((placed[0].left[0], 2.85), (placed[2].right[0], 2.85), "forgotten", side="above")
d.arrow((9.5, 1.1), (9.5, 1.85))
d.label(10.0, 0.8, r"$P(x_t \mid x_{t-2}, x_{t-1})$")
d.show(alt="Six boxes: the, cat, sat, on, the, and a question mark. The first three are dashed and "
       "marked forgotten; the last two before the question mark are the context of order 3.")

# %% [markdown]
# ### Any text is a chain of next words
#
# Why is *the next word* enough? Because the probability of a whole text is a product of such questions, one per token. This is the **chain rule**, and it is exact:
#
# $$P(x_1, x_2, \dots, x_T) = \prod_{t=1}^{T} P(x_t \mid x_1, \dots, x_{t-1})$$
#
# Nothing is assumed and nothing is lost. An n-gram model then makes its one approximation: it drops all but the last $n-1$ tokens of the condition,
#
# $$P(x_t \mid x_1, \dots, x_{t-1}) \approx P(x_t \mid x_{t-n+1}, \dots, x_{t-1}).$$
#
# From here on a token is a *character*, until part V: there are only 64 of them, so the same ideas show with less data. The text is "tiny Shakespeare", nine plays, cut into three. We count on the first nine tenths (**train**). Whatever has to be chosen is chosen on the next twentieth (**choose**). What the page claims is measured on the last twentieth (**report**), which nothing was chosen on.

# %%
# NBVAL_CHECK_OUTPUT
text = tiny_shakespeare()
train_text, rest = split_text(text, 0.1)
choose_text, report_text = split_text(rest, 0.5)
tokenizer = CharTokenizer.from_text(text)
V = tokenizer.vocab_size
train, choose, report = (
    np.array(tokenizer.encode(part)) for part in (train_text, choose_text, report_text)
)
print(f"{V} characters; {len(train):,} to count, {len(choose):,} to choose on, "
      f"{len(report):,} to report on")


def share(piece):
    """The share of places in the training text (a closed ring) where piece starts."""
    ring = train_text + train_text[: len(piece) - 1]
    return ring.count(piece) / len(train_text)


factors = [share("t"), *(share("thou"[: t + 1]) / share("thou"[:t]) for t in (1, 2, 3))]
print("P(t) P(h|t) P(o|th) P(u|tho) =", " x ".join(f"{f:.3f}" for f in factors),
      f"= {math.prod(factors):.5f}")
print(f"P(thou), counted directly     = {share('thou'):.5f}")
assert math.isclose(math.prod(factors), share("thou"))

# %% [markdown]
# And here is the catch: by direct counting, the probability of any *new* sentence is $0$, so at least one of its factors is $0$ as well. The chain rule moves the problem to where a shorter context can help.

# %% [markdown]
# ## II. Counting
#
# A model of order $n$ is a table: for each context $c$ of $n-1$ tokens, how often was each token seen next?
#
# $$P(x \mid c) = \frac{\text{count}(c, x)}{\text{count}(c)}$$
#
# This estimate is called **maximum likelihood**: no other table gives the training text itself a higher probability.
#
# ### By hand
#
# Take the text `abracadabra`, eleven characters, order 2. After `a` come `b`, `c`, `d`, `b`: four times something follows, twice it is `b`. So $P(b \mid a) = 2/4$, $P(c \mid a) = P(d \mid a) = 1/4$, and $P(r \mid a) = 0$. Fill in the row of `b` and of `r` yourself before you look at the table. We come back to this row with every repair.

# %%
# NBVAL_CHECK_OUTPUT
def followers(ngrams):
    """{context: Counter of next tokens} from n-grams: the last token follows."""
    found = defaultdict(Counter)
    for *context, token in ngrams:
        found[tuple(context)][token] += 1
    return found


def all_ngrams(tokens, n):
    """Every window of n tokens, as tuples."""
    return zip(*(tokens[i:] for i in range(n)))


by_hand = followers(all_ngrams("abracadabra", 2))
for letter in "abcdr":
    print(letter, "->", dict(sorted(by_hand[letter,].items())))

# %% [markdown]
# (`zip(*...)` walks along several shifted copies of the text at once: with $n = 2$ it pairs each token with the next.) The library keeps the same table in sorted arrays, which is faster. Are the numbers the same?

# %%
def relative_frequencies(counts, V):
    """(V,) maximum likelihood: count / sum of counts."""
    p = np.zeros(V)
    p[list(counts)] = list(counts.values())
    return p / p.sum()


small = train[:100_000].tolist()                # dictionaries are slow: a tenth will do
trigrams = followers(all_ngrams(small, 3))
library_model = NGramModel(3, "mle", vocab_size=V).fit(np.array(small))
for context in ("th", "Ro", "qu"):
    ids = tokenizer.encode(context)
    ours = relative_frequencies(trigrams[tuple(ids)], V)
    np.testing.assert_allclose(ours, library_model.probs(ids))

# %% [markdown]
# They are, so we use the library from here on.
#
# **Look for** the two kinds of rows in the picture of order 2: rows with one dark cell, and rows with many pale ones. Which letter has the emptiest row?

# %%
letters = " abcdefghijklmnopqrstuvwxyz"
letter_ids = tokenizer.encode(letters)
bigram = NGramModel(2, "mle", vocab_size=V).fit(train)
rows = np.stack([bigram.probs([i])[letter_ids] for i in letter_ids])    # (27, 27)
q_to_u = rows[letters.index("q"), letters.index("u")]
t_to_h = rows[letters.index("t"), letters.index("h")]

# %% tags=["figure"]
names = ["␣", *letters[1:]]
heat_map(rows, rows=names, columns=names, x="next character", y="character before", color="probability", height=3.6, width=5.4,
         alt=f"Heat map of P(next | before) for space and a to z. The row of q has one dark cell, u, {q_to_u:.2f}; "
         f"t to h is {t_to_h:.2f}; the row of the space is spread over many letters.")

# %% [markdown]
# After `q` one thing can happen, after a space nearly anything. A row with one dark cell is a place where the next character is certain; part III turns that into a number.
#
# ### Letting it write
#
# A model of the next token is also a writer: draw a token from the distribution, append it, repeat. Each token is drawn given what the model itself has written. That loop is what **autoregressive** means.

# %%
def write(model, order, prompt, n, seed=0):
    """Prompt + n drawn characters; only the last order - 1 characters are looked at."""
    tokens = tokenizer.encode(prompt)
    for u in np.random.default_rng(seed).random(n):
        context = tokens[max(0, len(tokens) - (order - 1)) :] if order > 1 else []
        cumulative = np.cumsum(model.probs(context))
        place = np.searchsorted(cumulative, u * cumulative[-1], side="right")
        tokens.append(int(place))
    return tokenizer.decode(tokens)


from_library = bigram.sample(200, tokenizer.encode("R"), rng=0).tolist()
assert write(bigram, 2, "R", 200)[1:] == tokenizer.decode(from_library)

# %% [markdown]
# (`searchsorted` finds where the random number `u` falls among the running sums: a long stretch of the ruler is hit more often than a short one.) **Step through** eight characters. The bars are the row of the table for the last three characters; the orange one was drawn. When is the model certain, and when does it gamble?

# %% tags=["diagram"]
fourgram = NGramModel(4, "mle", vocab_size=V).fit(train)
written = write(fourgram, 4, "KING ", 8, seed=3)


def drawing(i):
    context, drawn = written[:i], written[i]
    p = fourgram.probs(tokenizer.encode(context[-3:]))
    top = sorted({*np.argsort(-p, kind="stable")[:7].tolist(), tokenizer.encode(drawn)[0]}, key=lambda t: -p[t])
    seen = [{" ": "␣", "\n": "⏎"}.get(c, c) for c in tokenizer.decode(top)]
    fig, ax = plt.subplots(figsize=(3.5, 2.5))
    ax.bar(range(len(top)), p[top], color=["#D55E00" if t == tokenizer.encode(drawn)[0] else "#56B4E9" for t in top])
    ax.set(xticks=range(len(top)), xticklabels=seen, ylim=(0, 1.02), ylabel="probability")
    ax.set_title(repr(context) + " → " + repr(drawn), fontsize=11)
    return fig


steps([drawing(i) for i in range(5, 13)], panels=[0, 1], name="character", start=1,
      alt=[f"After {written[:i]!r} the model draws {written[i]!r}." for i in range(5, 13)])

# %% [markdown]
# Some bars leave no choice and some leave ten. What you saw is all that any language model does when it writes, the largest included; they differ in where the bars come from.
#
# Longer contexts make it look better. **Move the order and read.** Characters in orange lie in a stretch of at least 25 characters that stands *word for word* in the training text. At which order does it start to look like Shakespeare, and at which order *is* it Shakespeare?

# %%
long_memory = NGramModel(14, "mle", vocab_size=V).fit(train)    # all orders up to 14
STRETCH = 25
stretches = {train_text[i : i + STRETCH] for i in range(len(train_text) - STRETCH + 1)}


def copied(piece):
    """(len,) True where a character lies in a stretch of the training text."""
    mask = np.zeros(len(piece), bool)
    for i in range(len(piece) - STRETCH + 1):
        mask[i : i + STRETCH] |= piece[i : i + STRETCH] in stretches
    return mask

# %% tags=["diagram"]
def written_by(order, seed):
    sample = write(long_memory, order, "KING ", 130, seed)
    fig, ax = plt.subplots(figsize=(3.5, 2.3))
    row = column = 0
    for character, is_copy in zip(sample, copied(sample)):
        if character == "\n" or column == 26:
            row, column = row + 1, 0
        if character != "\n":
            color = "#D55E00" if is_copy else "black"
            ax.text(column, -row, character, family="monospace", fontsize=11, color=color, ha="center")
            column += 1
    ax.set(xlim=(-0.5, 26), ylim=(-7.4, 0.8))
    ax.set_title(f"order {order}: {100 * copied(sample).mean():.0f} % copied", fontsize=12)
    ax.axis("off")
    return fig


explore(written_by, order=[1, 2, 3, 4, 5, 6, 8, 10, 12, 14], seed=(0, 9, 1),
        panels=[dict(order=o, seed=0) for o in (5, 14)],
        alt="Text drawn from models of order 5 and 14, copied stretches in orange. Order 5 has "
        "mostly real words and nothing copied, order 14 reads like the plays and nearly all of it is copied.")

# %% [markdown]
# By order 8 or so it reads well, and from about there the reading stops being a compliment. How much of a text is copied, measured over three seeds, and against a fair baseline: how much of the *held-out* Shakespeare happens to stand in the training text?

# %%
ORDERS = [2, 5, 8, 11, 14]
copied_share = np.array([
    [copied(write(long_memory, order, "KING ", 400, seed)).mean() for order in ORDERS]
    for seed in range(3)
]) * 100
by_accident = 100 * copied(report_text[:20_000]).mean()
print(f"held-out Shakespeare that stands in the training text: {by_accident:.1f} %")

# %% tags=["figure"]
mean_copied = dict(zip(ORDERS, copied_share.mean(axis=0)))
curves({"the model": copied_share}, at=ORDERS, x="order n (characters it looks at, plus 1)", y="copied (%)",
       reference={"held-out Shakespeare": by_accident}, height=2.6, alt=f"Copied characters against order: {mean_copied[5]:.0f} % "
       f"at order 5, {mean_copied[8]:.0f} % at 8, {mean_copied[14]:.0f} % at 14; held-out Shakespeare {by_accident:.1f} %.")

# %% [markdown]
# A context of eleven characters usually occurred *once*. Then the row of the table has a single entry, and "drawing" means reciting. Good-looking text is therefore no evidence of a good model. We need a judge that cannot be fooled by recitation.

# %% [markdown]
# ## III. How good is a guess?
#
# The judge: take text the model has never seen, ask for the probability of each token that *really* came, and average. But average what?
#
# **Before you read on:** model A gave the four tokens that came the probabilities 0.5, 0.5, 0.5, 0.5. Model B gave them 0.9, 0.9, 0.9, 0.0001. Whose probabilities are higher on average? And which model would you rather bet your money with?

# %%
def perplexity(p):
    """p: (N,) the probability that was given to each token that came."""
    return float(np.exp(-np.log(p).mean()))


def bits(p):
    """Mean surprise in bits per token."""
    return float(-np.log2(p).mean())


model_a, model_b = np.array([0.5, 0.5, 0.5, 0.5]), np.array([0.9, 0.9, 0.9, 0.0001])
for name, p in (("A", model_a), ("B", model_b)):
    print(f"{name}: mean {p.mean():.2f}   whole text {p.prod():.5f}   "
          f"{bits(p):.2f} bits per token   perplexity {perplexity(p):.2f}")

# %% [markdown]
# On average B's probabilities are higher. But the probability that each gave to the *whole* text is the product (chain rule), and there A is nearly a thousand times ahead: B was sure of something false, once. The product punishes that and the mean does not. So we average logarithms. Two units are in use for one and the same thing:
#
# $$\text{bits per token} = -\frac1N \sum_{t=1}^{N} \log_2 P(x_t \mid x_{<t}), \qquad \text{perplexity} = 2^{\,\text{bits per token}}$$
#
# A perfect compressor driven by the model needs that many **bits** (Shannon, 1948). **Perplexity** says the same as a number of options: as uncertain as a fair choice among that many tokens.

# %%
unigram_model = NGramModel(1, "mle", vocab_size=V).fit(train)
uniform, unigram = np.full(len(report), 1 / V), unigram_model.probs()[report]
assert math.isclose(perplexity(unigram), unigram_model.perplexity(report))
assert math.isclose(bits(unigram), unigram_model.bits_per_token(report))
for name, p in (("uniform", uniform), ("unigram", unigram)):
    print(f"{name}  {bits(p):.2f} bits per character = perplexity {perplexity(p):.1f}")

# %% [markdown]
# These two are the baselines of everything that follows. **Uniform** knows only the alphabet: perplexity 64 by definition. **Unigram** knows that `e` is frequent and `Z` is not, and halves it without looking at any context. A model that does not beat the unigram has learned nothing about *order*.

# %%
poll("A model has perplexity 12 on held-out English, per character. Which statement "
     "is right?",
     options=["It is as uncertain, on average, as a fair choice among 12 characters",
              "Each character is guessed right once in 12 times",
              "Its context is 12 characters long",
              "Per word it would have perplexity 12 too"],
     explanation="Perplexity is an average on a log scale: at some places the model "
                 "is nearly "
     "certain, at others it faces thirty options. Guessing right is accuracy, and can "
     "be much "
     "higher than once in 12. The length of the context is the order, another matter. "
     "And a "
     "word of five characters and a space multiplies six such choices, $12^6 \\approx "
     "3$ "
     "million: a perplexity means nothing until you know per *what*.")

# %% [markdown]
# ### More context, and a wall
#
# Now raise the order. **Predict** both columns before running: perplexity on the *training* text (its first 100,000 characters), and on text the model has not seen.

# %%
def fitted(order, smoothing, n=len(train), **settings):
    """An n-gram model of the first n training characters."""
    return NGramModel(order, smoothing, vocab_size=V, **settings).fit(train[:n])


UP_TO_8 = range(1, 9)
unseen = 100 * long_memory.unseen(report)               # % of the n-grams never counted
print("order   training   report    n-grams of the report text never seen in training")
for n in UP_TO_8:
    model = fitted(n, "mle")
    seen, new = model.perplexity(train[:100_000]), model.perplexity(report)
    print(f"{n:5} {seen:10.2f} {new:8.2f} {unseen[n - 1]:10.2f} %")

# %% [markdown]
# The training column is a triumph and worthless: with enough context any text predicts itself. The other column is *infinite* from order 2 on, because a single character pair that never occurred before gets the probability 0, and $-\log 0 = \infty$. The model did not say "rare". It said "impossible", and was wrong.
#
# It is not a matter of a few odd cases (last column). **Look for** how fast the possibilities outgrow the text:

# %%
# NBVAL_CHECK_OUTPUT
print("order   possible n-grams   seen in training")
for n, seen in zip(UP_TO_8, long_memory.distinct):
    print(f"{n:5} {float(V) ** n:18.1e} {seen:18,}")
times = Counter(all_ngrams(train.tolist(), 5)).values()
once = sum(n == 1 for n in times)
print(f"of the {len(times):,} different 5-grams, "
      f"{100 * once / len(times):.0f} % occurred once only")

# %% [markdown]
# This is **sparsity**: a million characters fill a vanishing part of the table. At order 8 about half of what Shakespeare wrote next would be impossible. And nearly half of the different 5-grams we *have* seen, we have seen once, which suggests how much is still unseen: things seen once are a message from the things not seen yet (Good, 1953, credits Turing).

# %% [markdown]
# ## IV. Never say never: smoothing
#
# We must take some probability from what we saw and give it to what we did not. The question is how much, and to whom.
#
# ### Add a little to everything
#
# The oldest answer: pretend every token was seen $k$ more times in every context (Laplace used $k = 1$). The denominator must grow too, by $k$ for each of the $V$ tokens, or the row no longer sums to 1:
#
# $$P(x \mid c) = \frac{\text{count}(c, x) + k}{\text{count}(c) + k V}$$
#
# By hand, the row of `a` in `abracadabra` ($V = 5$, $k = 1$): $P(b \mid a) = (2+1)/(4+5) = 1/3$, and $P(r \mid a) = (0+1)/(4+5) = 1/9$, no longer zero.
#
# **Predict:** is perplexity at order 5 better with $k = 1$ or with $k = 0.01$? And is order 8 better than order 5?

# %%
from llmlib.text import smoothing as formulas

assert formulas.add_k(2.0, 4.0, 1.0, 5) == 1 / 3        # by hand, as above

curve = {"add 1": [], "add 0.01": []}           # bits per character, choose text
for n in UP_TO_8:
    model = fitted(n, "add_k")
    for k in (1, 0.01):                                 # k may change without a recount
        model.k = k
        curve[f"add {k:g}"].append(model.bits_per_token(choose))
for name, values in curve.items():
    print(f"{name:9}", " ".join(f"{2**b:6.2f}" for b in values),
          f"   best: order {1 + int(np.argmin(values))}")

# %% [markdown]
# Infinity is gone, but look at order 8: *worse than order 2*, and with $k = 1$ about as bad as no context at all. Adding is blind. After the context `wherefor`, the 63 characters that never came get as much as each other, `e` and `Z` alike, and a context never seen at all gets the uniform distribution, as if we had learned nothing whatsoever.
#
# ### Ask the shorter context
#
# When the long context has little to say, the shorter one knows more. **Interpolation** mixes them (Jelinek and Mercer, 1980), all the way down to the uniform distribution:
#
# $$P_n(x \mid c) = \lambda \cdot \frac{\text{count}(c, x)}{\text{count}(c)} + (1 - \lambda) \cdot P_{n-1}(x \mid c')$$
#
# where $c'$ is $c$ without its first token.

# %% tags=["diagram"]
d = Diagram(12, 3.6)
ladder = [("c, a, d", "order 4: seen once"), ("a, d", "order 3"), ("d", "order 2"), ("(nothing)", "order 1"), ("uniform", "1/V")]
steps_down = [d.box(1.5 + 2.2 * i, 2.8 - 0.5 * i, name, w=1.7, h=0.62, color="blue" if i < 4 else "grey") for i, (name, _) in enumerate(ladder)]
for i, (_, note) in enumerate(ladder):
    d.label(1.5 + 2.2 * i, 2.2 - 0.5 * i, note, size=10)
for upper, lower in pairwise(steps_down):
    d.arrow(upper, lower)
d.label(8.6, 3.1, "each step down: one token forgotten,\nmore evidence, less said", size=11)
d.show(alt="A staircase of contexts from c, a, d over a, d and d and the empty context down to the uniform distribution; "
       "each step forgets the first token and has more evidence.")

# %% [markdown]
# How much of the probability goes down the stairs, $1 - \lambda$? A fixed number per order can be tuned on text that was not used for counting. Witten and Bell (1991) let each context decide: a context after which *many different* tokens were seen is likely to bring another new one. With $\text{types}(c)$ the number of different tokens seen after $c$:
#
# $$P_n(x \mid c) = \frac{\text{count}(c, x) + \text{types}(c) \cdot P_{n-1}(x \mid c')}{\text{count}(c) + \text{types}(c)}$$
#
# By hand: after `a` came four tokens of three types. Of eleven characters two are `b`, so $P(b \mid a) = (2 + 3 \cdot \tfrac{2}{11})/(4 + 3) = 0.364$, and $P(r \mid a) = (0 + 3 \cdot \tfrac{2}{11})/7 = 0.078$.

# %%
def witten_bell(tables, context, V):
    """(V,) P(. | context). tables[m]: {context of m tokens: Counter of next tokens}."""
    p = np.full(V, 1 / V)
    for m, counted in enumerate(tables):
        counts = counted.get(tuple(context[len(context) - m :]), Counter())
        types = len(counts) if m or len(counts) < V else 0  # all V seen: none to come
        total = counts.total()
        if counts:
            seen = relative_frequencies(counts, V) * total
            p = (seen + types * p) / (total + types)
    return p


abra = ["abcdr".index(c) for c in "abracadabra"]
row = witten_bell([followers(all_ngrams(abra, m)) for m in (1, 2)], [0], 5)
assert np.allclose(row[[1, 4]], [0.364, 0.078], atol=5e-4)      # b and r, by hand

tables = [followers(all_ngrams(small, m)) for m in (1, 2, 3, 4)]
library_model = NGramModel(4, "witten_bell", vocab_size=V).fit(np.array(small))
for context in ("the", "Rom", "qZx"):                   # often, sometimes, never seen
    ids = tokenizer.encode(context)
    np.testing.assert_allclose(witten_bell(tables, ids, V), library_model.probs(ids))

# %% [markdown]
# ### How many *different* places?
#
# Two more things were seen.
#
# **First, a discount** (Ney, Essen and Kneser, 1994). Take the same small amount $D$ (about 0.75) off *every* count. A count of 100 hardly notices; a count of 1 loses most of what it had, which is right, since counts of 1 are the least trustworthy. What was taken is handed to the shorter context.
#
# **Second, what to count there** (Kneser and Ney, 1995). The shorter context is asked when the long one is at a loss: in a *new* situation. So it should not say how often a token occurs, but in how many different situations: after how many **different** left neighbours. The textbook example is *Francisco*: frequent, but hardly ever after anything but *San*. The plays have their own, as part V shows. In the interpolated form of Chen and Goodman (1999):
#
# $$P_n(x \mid c) = \frac{\max(\text{count}(c, x) - D,\, 0)}{\text{count}(c)} + \frac{D \cdot \text{types}(c)}{\text{count}(c)}\, P_{n-1}(x \mid c'), \qquad P_1(x) = \frac{\lvert\{w : \text{count}(w x) > 0\}\rvert}{\sum_y \lvert\{w : \text{count}(w y) > 0\}\rvert}$$
#
# By hand, with $D = 0.75$: `abracadabra` has seven different pairs, `ab br ra ac ca ad da`. Three of them end in `a`, one each in `b`, `c`, `d`, `r`; so $P_1(b) = 1/7$ although `b` is twice as frequent as `c`. Then $P(b \mid a) = \frac{2 - 0.75}{4} + \frac{0.75 \cdot 3}{4} \cdot \frac17 = 0.393$ and $P(a \mid a) = 0 + 0.5625 \cdot \frac37 = 0.241$.

# %%
def kneser_ney_tables(tokens, order):
    """Raw counts on top; below, each distinct longer n-gram counts once."""
    distinct = set(all_ngrams(tokens, order))
    tables = [followers(all_ngrams(tokens, order))]
    for m in range(order - 1, 0, -1):
        shorter = [ngram[1:] for ngram in distinct]
        opening = tuple(tokens[:m])             # nothing stands before the first n-gram
        if opening not in set(shorter):
            shorter.append(opening)
        distinct = set(shorter)
        tables.insert(0, followers(shorter))
    return tables


def kneser_ney(tables, context, V, discount=0.75):
    """(V,) P(. | context), interpolated."""
    p = np.full(V, 1 / V)
    for m, counted in enumerate(tables):
        counts = counted.get(tuple(context[len(context) - m :]), Counter())
        D = discount if m or len(counts) < V else 0
        if counts:
            total = counts.total()
            seen = relative_frequencies(counts, V) * total
            p = np.maximum(seen - D, 0) / total + D * len(counts) / total * p
    return p

# %%
row = kneser_ney(kneser_ney_tables(abra, 2), [0], 5)
print("by hand:", {letter: round(float(p), 3) for letter, p in zip("abcdr", row)})
assert np.allclose(row[[0, 1]], [0.241, 0.393], atol=5e-4)

tables = kneser_ney_tables(small, 4)
library_model = NGramModel(4, "kneser_ney", vocab_size=V).fit(np.array(small))
for context in ("the", "Rom", "qZx"):
    ids = tokenizer.encode(context)
    np.testing.assert_allclose(kneser_ney(tables, ids, V), library_model.probs(ids))
    assert math.isclose(kneser_ney(tables, ids, V).sum(), 1)

# %% [markdown]
# **What does the discount do to one row?** Outlined: the bare relative frequencies. Filled: after smoothing. Compare a context seen thousands of times, one seen a dozen times, and one never seen. **Predict** in which the slider moves most.

# %% tags=["diagram"]
kn5, mle5 = fitted(5, "kneser_ney"), fitted(5, "mle")   # a discount can be moved without counting again


def after(context, discount):
    ids = tokenizer.encode(context)
    kn5.discount = discount
    smooth, bare = kn5.probs(ids), mle5.probs(ids)
    top = np.argsort(-(smooth + bare), kind="stable")[:8]
    fig, ax = plt.subplots(figsize=(3.5, 2.6))
    ax.bar(range(8), smooth[top], color="#56B4E9", label="Kneser-Ney")
    ax.bar(range(8), bare[top], fill=False, edgecolor="black", linewidth=1.5, label="frequency")
    ax.set(xlabel=f"next character, D = {discount:.2f}", ylabel="probability", ylim=(0, 1.05), xticks=range(8),
           xticklabels=[{" ": "␣", "\n": "⏎"}.get(c, c) for c in tokenizer.decode(top.tolist())])
    ax.set_title(f"{context!r}, seen {kn5.count(ids):,} times", fontsize=11)
    ax.legend(loc="upper right", fontsize=10)
    return fig


explore(after, context=[" the", "Juli", "zard", "xyz "], discount=(0.05, 0.95, 0.05),
        panels=[dict(context=c, discount=0.9) for c in (" the", "zard", "xyz ")],
        alt="Next-character distributions after ' the', 'zard' and 'xyz '. The first, seen thousands of times, hardly changes with the "
        "discount; the second lowers the characters it saw and admits others; the third, never seen, takes its shape from shorter contexts.")

# %% [markdown]
# Seen thousands of times: the evidence stands, whatever the discount. Seen a dozen times: what occurred once is cut down to a guess among others. Never seen: the shorter contexts speak, and they speak sense. No rule like "if count < 5" was needed.
#
# ### The race
#
# All of them, on the *choose* text, where we also pick each method's order. **Look for** which curves turn up again, and which merely flatten.

# %%
for name, smoothing in (("Witten-Bell", "witten_bell"), ("Kneser-Ney", "kneser_ney")):
    curve[name] = [fitted(n, smoothing).bits_per_token(choose) for n in UP_TO_8]
best_order = {name: 1 + int(np.argmin(values)) for name, values in curve.items()}
print("best order on the choose text:", best_order)

# %% tags=["figure"]
curves(curve, at=list(UP_TO_8), x="order n", y="bits per character, choose text", reference={"unigram": bits(unigram)}, height=3.2, ylim=(2, 5.2),
       alt=f"Bits per character against order. All fall together to order 3. Add 1 turns up at once, to {curve['add 1'][7]:.2f} at order 8; "
       f"add 0.01 to {curve['add 0.01'][7]:.2f}; Witten-Bell turns up gently; Kneser-Ney flattens near {min(curve['Kneser-Ney']):.2f}.")

# %% [markdown]
# Up to order 3 the methods hardly differ: the counts are dense, and what little is added makes no difference. From order 4 on, smoothing *is* the model. The blind method gets worse with more context: it is told more and knows less. Kneser-Ney is best from order 4 on and hardly suffers beyond its best order.
#
# One free number remains in Kneser-Ney, $D$; and interpolation with fixed weights deserves to be tuned as well. We choose both on the choose text. Then, once, the **report** text. Its 55,000 characters are a sample too: the interval comes from the spread over blocks of 1,000 characters.

# %%
def report_blocks(model):
    """(55,) bits per character in each block of 1,000 characters of the report text."""
    each = -model.logprob(report) / math.log(2)
    return each[: len(each) // 1000 * 1000].reshape(-1, 1000).mean(axis=1)


grid = {}
for n in (6, 7, 8):
    model = fitted(n, "kneser_ney")
    for discount in (0.6, 0.75, 0.85, 0.9, 0.95):
        model.discount = discount
        grid[n, discount] = model.bits_per_token(choose)
n_kn, D_kn = min(grid, key=grid.get)
fixed = NGramModel(6, "jelinek_mercer", vocab_size=V).fit(train)
fixed = fixed.tune_lambdas(choose, n_steps=10)

# %%
chosen = {
    "add 0.01": fitted(best_order["add 0.01"], "add_k", k=0.01),
    "Witten-Bell": fitted(best_order["Witten-Bell"], "witten_bell"),
    "fixed weights, tuned": fixed,
    "Kneser-Ney, D = 0.75": fitted(best_order["Kneser-Ney"], "kneser_ney"),
    f"Kneser-Ney, D = {D_kn}": fitted(n_kn, "kneser_ney", discount=D_kn),
}
blocks = {name: report_blocks(model) for name, model in chosen.items()}
winner = blocks[f"Kneser-Ney, D = {D_kn}"]
best = winner.mean()
half = {name: 1.96 * b.std(ddof=1) / math.sqrt(len(b)) for name, b in blocks.items()}

# %% tags=["figure"]
table([{"method": name, "order": chosen[name].order, "bits per character": f"{b.mean():.2f} ± {half[name]:.2f}",
        "perplexity": f"{2 ** b.mean():.2f}", "blocks in which the winner is better": "–" if b is winner else f"{(winner < b).sum()} of {len(b)}"}
       for name, b in blocks.items()], highlight=[4], caption="Chosen on the choose text, measured once on the report text.")

# %% [markdown]
# Kneser-Ney wins, and the tuned discount allows one character more. The intervals of the last three overlap. But they say how far another sample of text would move *each* number, and all methods were judged on the *same* characters: where the text is hard, it is hard for all. Compared block by block (last column), the order is hardly in doubt. Lecture 18 makes a method of that. <!-- promise: 18-paired-comparison -->
#
# Keep **2.2 bits per character** in mind. In lecture 03 a transformer has to earn its keep against this table of counts, and with a minute of computing that is not a foregone conclusion. <!-- promise: 03-against-kneser-ney -->

# %% [markdown]
# ## V. Words instead of characters (*optional*)
#
# The cat sat on the *word*. Nothing in the method knows what a token is, so let us cut the text into words. We cut so that nothing is lost (each word keeps the space before it), and map words seen only once in training to `<unk>`, so that the model knows how often the unknown happens.

# %%
# NBVAL_CHECK_OUTPUT
def cut(text):
    """Words with the space before them, punctuation, line breaks; nothing is lost."""
    return re.findall(r" ?\w+(?:'\w+)?| ?[^\w\s]|\s", text)


train_words, report_words = cut(train_text), cut(report_text)
assert "".join(train_words) == train_text
frequency = Counter(train_words)
vocabulary = ["<unk>", *(w for w, n in frequency.items() if n > 1)]
word_id = {w: i for i, w in enumerate(vocabulary)}
train_w = np.array([word_id.get(w, 0) for w in train_words])
report_w = np.array([word_id.get(w, 0) for w in report_words])
n_once = sum(n == 1 for n in frequency.values())
print(f"{len(train_words):,} tokens, {len(frequency):,} different, {n_once:,} of them "
      f"once only: a vocabulary of {len(vocabulary):,}")
print(f"{100 * np.mean(report_w == 0):.1f} % of the report words are unknown")

# %%
W = len(vocabulary)
word_models = {
    n: NGramModel(n, "kneser_ney", vocab_size=W).fit(train_w) for n in (1, 2, 3, 4)
}
word_unseen = NGramModel(4, "mle", vocab_size=W).fit(train_w).unseen(report_w)
print("order   perplexity   n-grams never seen")
for n, model in word_models.items():
    never = 100 * word_unseen[n - 1]
    print(f"{n:5} {model.perplexity(report_w):12.1f} {never:12.0f} %")
print(f"uniform {W:10,}")
for context in (["\n", "My"], ["I", " will", " not"], [" on", " the"]):
    ids, p = word_models[4].topk([word_id[w] for w in context], 5)
    likely = "  ".join(f"{vocabulary[i]!r} {q:.2f}" for i, q in zip(ids, p))
    print(f"{''.join(context).strip()!r:12} {likely}")

# %% [markdown]
# Words are sparser by far: about half of the three-token sequences of the report text are new, and three quarters of those of four. The gain comes with *one* word of context; the second adds a little, the third next to nothing. Our first sentence needed five.
#
# ### The San Francisco of the plays
#
# **Look for** words far below the crowd: frequent, but always after the same neighbour.

# %%
pairs = np.unique(train_w[:-1] * W + train_w[1:])       # one number per pair: a * W + b
left_neighbours = np.bincount(pairs % W, minlength=W)   # how often each b occurs
how_often = np.bincount(train_w, minlength=W)
is_word = [w[0] == " " and w[1:].isalpha() for w in vocabulary]
often = [i for i in range(1, W) if how_often[i] > 100 and is_word[i]]
lonely = sorted(often, key=lambda i: left_neighbours[i] / how_often[i])[:5]
for i in [*lonely, word_id[" and"], word_id[" good"]]:
    print(f"{vocabulary[i].strip():10} {how_often[i]:6,} times "
          f"after {left_neighbours[i]:5,} different words")

# %% tags=["diagram"]
fig, ax = plt.subplots(figsize=(7.2, 3.0))
crowd = np.flatnonzero(how_often >= 20)[1:]             # without <unk>
sociable = [word_id[w] for w in (" and", " good")]
ax.scatter(how_often[crowd], left_neighbours[crowd], s=6, color="#9DC3E0", linewidths=0)
for i in [*lonely, *sociable]:
    ax.scatter(how_often[i], left_neighbours[i], s=36, color="#D55E00" if i in lonely else "#009E73")
for i, place in [(lonely[0], (8, 4)), (lonely[-1], (-20, 8)), *((i, (8, -12)) for i in sociable)]:
    ax.annotate(vocabulary[i].strip(), (how_often[i], left_neighbours[i]), xytext=place, textcoords="offset points")
ax.set(xscale="log", yscale="log", xlabel="occurrences in the training text", ylabel="different left neighbours")
show(fig, alt=f"Scatter of all words: occurrences against different left neighbours, log-log. Most lie in a band; "
     f"{vocabulary[lonely[0]].strip()} occurs {how_often[lonely[0]]} times after {left_neighbours[lonely[0]]} neighbour.")

# %% [markdown]
# In these plays *RICHARD* (in capitals, as the speaker) comes only after *KING*, *VINCENTIO* only after *DUKE*: San Francisco all over again. Their raw counts are large, and yet in a *new* situation they are a poor guess. Does it pay to know that? The same bigram model twice, the lower order once from raw counts and once from continuation counts:

# %%
pair_counts = Counter((train_w[:-1] * W + train_w[1:]).tolist())
asked = (report_w[:-1] * W + report_w[1:]).tolist()
count = np.array([pair_counts[k] for k in asked])
total = np.bincount(train_w[:-1], minlength=W)[report_w[:-1]]
types = np.bincount(pairs // W, minlength=W)[report_w[:-1]]
lower = {"raw counts": how_often / how_often.sum(),
         "continuation counts": left_neighbours / left_neighbours.sum()}
for name, q in lower.items():
    q = np.maximum(q, 1e-9)[report_w[1:]]
    p = formulas.kneser_ney(count, total, types, q, 0.75)
    print(f"word bigram, lower order from {name:20} perplexity {perplexity(p):.1f}")

# %% [markdown]
# It pays a little at order 2: the gain is the distance between the two lines above.
#
# ### Are words better than characters?
#
# A perplexity above eighty looks terrible beside one below five, and that comparison means *nothing*: one is per word, the other per character. The fair unit is bits per character **of the same text**. And there is a second trap: `<unk>` is cheap to predict, but it does not say *which* word came. An honest word model must spell it. So we let a small character model, trained on the words seen once, pay for the spelling.

# %%
def spelled(word):
    return np.array([*tokenizer.encode(word), V])       # V: end of the word


once_only = [spelled(w) for w, n in frequency.items() if n == 1]
speller = NGramModel(5, "kneser_ney", vocab_size=V + 1).fit(once_only)
unknown = [spelled(w) for w in report_words if w not in word_id]
spelling_bits = -speller.logprob(unknown).sum() / math.log(2) / len(report_text)
word_bits = word_models[3].bits_per_char(report_w, report_text)
per_character = {
    "characters": best,
    "words, <unk> unspelled": word_bits,
    "words, <unk> spelled out": word_bits + spelling_bits,
}

# %% tags=["figure"]
bars(per_character, x="bits per character, report text", height=1.9, alt="Bits per character: " + ", ".join(
    f"{name} {value:.2f}" for name, value in per_character.items()) + ".")

# %% [markdown]
# Not spelling the unknown words would have made the word model the winner by a wide margin; paying for them costs the lead. Whenever two models with different vocabularies are compared, ask for bits per character (or per byte) of the same text, and ask who pays for the unknown words. Lecture 02 finds a cut between words and characters that has no unknown words at all. <!-- promise: 02-no-unknown-words -->

# %% [markdown]
# ## VI. More text (*optional*)
#
# The HLT lecture says that scaling generally improves performance, larger pre-training datasets among other things. The cheapest place to test that is here. **Predict:** with 1,000 characters of training text, which order is best? And with a million?

# %%
SIZES = [1_000, 10_000, 100_000, len(train)]
by_size = {
    n: [fitted(n, "kneser_ney", size).bits_per_token(report) for size in SIZES]
    for n in (1, 2, 3, 5, 8)
}
unseen_of = [100 * fitted(8, "mle", size).unseen(report) for size in SIZES]
unseen_by_size = {n: [some[n - 1] for some in unseen_of] for n in (2, 3, 5, 8)}

# %% tags=["figure"]
fig, (left, right) = panels(2, titles=["bits per character", "n-grams never seen (%)"], width=7.6)
curves({f"order {n}": v for n, v in by_size.items()}, at=SIZES, x="training characters", log="x", ax=left)
curves({f"order {n}": v for n, v in unseen_by_size.items()}, at=SIZES, x="training characters", log="x", ax=right)
show(fig, alt=f"Left: bits per character against training size. Order 1 is flat, order 5 falls from {by_size[5][0]:.2f} to {by_size[5][-1]:.2f}. "
     f"Right: unseen 5-grams fall from {unseen_by_size[5][0]:.0f} to {unseen_by_size[5][-1]:.0f} %, 8-grams to {unseen_by_size[8][-1]:.0f} %.")

# %% [markdown]
# With a thousand characters, anything beyond one character of context is worth next to nothing; with a million, four and more are put to use. The unigram curve is nearly flat: it was done after a few pages. *More data helps a model that has room to use it*, a first glimpse of lecture 08. <!-- promise: 08-more-data-needs-room -->
#
# And the tail on the right goes down with every factor of ten, ever so slowly, and never arrives. "Tail phenomena will never go away", says the HLT lecture. For n-grams of this text, a thousandfold of data did not make them go away.

# %% [markdown]
# ## VII. A language whose limit is known
#
# Is 2.2 bits per character good? Shannon (1951) let people guess and put the entropy of printed English between 0.6 and 1.3 bits per letter; but his alphabet had 27 symbols, no capitals, no punctuation and no line breaks, so the two numbers are not of the same kind. And nobody *knows* the entropy of English, so no one can say how far a model is from perfect.
#
# To see what approaching the limit looks like, we make a language with a known one: eight symbols, each drawn from a distribution that depends on the *two* before it and on nothing else. The **entropy rate** of such a source is a formula,
#
# $$H = -\sum_{a, b} \pi(a, b) \sum_{x} P(x \mid a, b) \log_2 P(x \mid a, b),$$
#
# with $\pi(a, b)$ the share of places that stand after $a, b$. No model, however clever, can need fewer bits on average on *new* text.

# %%
source = MarkovSource.random(order=2, vocab_size=8, concentration=0.3, rng=0)
limit = source.entropy_rate
surprise = -(source.transitions * np.log2(source.transitions.clip(1e-300))).sum(axis=-1)
assert math.isclose(limit, (source.stationary * surprise).sum(), rel_tol=1e-6)
test_symbols = source.sample(100_000, rng=1)
print(f"uniform {math.log2(8):.2f} bits, entropy rate {limit:.2f} bits; "
      f"the source on new symbols: {source.bits_per_symbol(test_symbols):.2f}")

# %% [markdown]
# **Predict:** you count n-grams of order 1 to 7 in 1,000, 10,000 or 100,000 symbols. Which order is best? What happens beyond it? And how many bits will a maximum-likelihood model of order 7 need on *its own training symbols*?

# %%
def symbol_model(order, smoothing, symbols):
    return NGramModel(order, smoothing, vocab_size=8).fit(symbols)


SOURCE_ORDERS = list(range(1, 8))
samples = [source.sample(100_000, rng=10 + seed) for seed in range(3)]
new = {
    size: np.array([
        [symbol_model(n, "kneser_ney", s[:size]).bits_per_token(test_symbols)
         for n in SOURCE_ORDERS]
        for s in samples
    ])
    for size in (1_000, 10_000, 100_000)
}
own = np.array([
    [symbol_model(n, "mle", s).bits_per_token(s) for n in SOURCE_ORDERS]
    for s in (sample[:10_000] for sample in samples)
])
print(f"order 3, 100,000 symbols: {new[100_000][:, 2].mean():.2f} bits on new symbols")
print(f"order 7 on its own 10,000 symbols: {own[:, 6].mean():.2f} bits")

# %% tags=["figure"]
fig, (left, right) = panels(2, titles=["on new symbols", "10,000 symbols"], width=7.6, share_y=True)
curves({f"{s:,}": runs for s, runs in new.items()}, at=SOURCE_ORDERS, x="order n", y="bits per symbol", reference={"entropy": limit}, ax=left, ylim=(0, 3.2))
curves({"new": new[10_000], "its own": own}, at=SOURCE_ORDERS, x="order n", reference={"entropy": limit}, ax=right, ylim=(0, 3.2))
show(fig, alt=f"Left: bits per new symbol against order; all curves bottom out at order 3 just above the entropy rate of {limit:.2f}, none below it. "
     f"Right: on its own training symbols maximum likelihood falls below the entropy from order 3 on, to {own[:, 6].mean():.2f} bits at order 7.")

# %% [markdown]
# Left: every curve has its minimum at order 3, one more than the source's memory of two. Below it a model cannot see enough; above it there is nothing to see, only sparser counts. The limit is approached from above and not crossed.
#
# Right: on its *own* symbols the maximum-likelihood model goes straight through the floor. It is not better than perfect. It describes those 10,000 symbols, noise included, and "fewer bits than the entropy" is the signature of memorising. On real text the floor is invisible, which is why one holds out text at all.

# %%
poll("A classmate reports 1.2 bits per symbol on this source (entropy 1.85). "
     "What is the most likely explanation?",
     options=["the test symbols were among the training symbols",
              "a better smoothing than Kneser-Ney", "a longer context than ours",
              "a lucky test sample"],
     explanation="No model of *new* symbols can average less than the entropy rate, "
                 "so neither "
     "a better smoothing nor a longer context helps: the source has no more to give. "
     "Luck "
     "exists but is small: over 100,000 symbols the average moves by about a "
     "hundredth of a "
     "bit. What does go below the entropy is a model that has seen the answers.")

# %% [markdown]
# ## VIII. Looking both ways
#
# All along, the model was only allowed to look to the left. The HLT lecture calls such a model **causal** or **auto-regressive**, and contrasts it with **non-autoregressive** ones, as used for tagging and classification. What does the restriction cost, and what does it buy?
#
# Hide one character and let a table see neighbours on *both* sides: `to be or not t▢ be`. This is a **cloze** test, the training task of BERT (lecture 05). <!-- promise: 05-causal-and-bidirectional --> The table is Witten-Bell again; it accepts any columns as context and adds one after the other.

# %%
def occurrences_of(queries, keys):
    """How often each query occurs among the keys."""
    values, counts = np.unique(keys, return_counts=True)
    at = np.searchsorted(values, queries).clip(max=len(values) - 1)
    return np.where(values[at] == queries, counts[at], 0)


def from_columns(columns, target, new_columns, new_target, n_targets):
    """(N,) what Witten-Bell over these columns gives to each new target."""
    known, asked = np.zeros(len(target), np.int64), np.zeros(len(new_target), np.int64)
    p = np.full(len(new_target), 1 / n_targets)
    for m in range(len(columns) + 1):
        if m:                                           # one number per context: base V
            known = known * V + columns[m - 1]
            asked = asked * V + new_columns[m - 1]
        seen = known * n_targets + target
        total = occurrences_of(asked, known)
        types = occurrences_of(asked, np.unique(seen) // n_targets)
        types = np.where((m == 0) & (types == n_targets), 0, types)
        count = occurrences_of(asked * n_targets + new_target, seen)
        p = np.where(total > 0, (count + types * p) / np.maximum(total + types, 1), p)
    return p

# %%
def at(tokens, offset):
    """The token `offset` places away, wherever 4 stand before and 2 after."""
    return tokens[4 + offset : len(tokens) - 2 + offset]


def hidden_bits(*offsets):
    """Bits for a hidden character, given its neighbours at these offsets."""
    return bits(from_columns([at(train, o) for o in offsets], at(train, 0),
                             [at(report, o) for o in offsets], at(report, 0), V))


same_as_before = fitted(5, "witten_bell").bits_per_token(report)
assert math.isclose(hidden_bits(-1, -2, -3, -4), same_as_before, rel_tol=1e-3)

# %% [markdown]
# **Predict:** two neighbours on the left, or one on each side: which is worth more? And is it harder to read backwards?

# %%
cloze = {
    "2 left": hidden_bits(-1, -2), "2 right": hidden_bits(1, 2),
    "1 left, 1 right": hidden_bits(-1, 1),
    "4 left": hidden_bits(-1, -2, -3, -4), "2 left, 2 right": hidden_bits(-1, 1, -2, 2),
}

# %% tags=["figure"]
bars(cloze, x="bits for the hidden character, report text", highlight=["1 left, 1 right", "2 left, 2 right"], height=2.4,
     alt="Bits for a hidden character: " + ", ".join(f"{name} {value:.2f}" for name, value in cloze.items()) + ".")

# %% [markdown]
# One neighbour on each side beats two on either side, and even *four* on the left. Reading backwards costs about the same as reading forwards: the chain rule works in any order.
#
# Then why would anyone look only to the left? Because of the chain rule. Probabilities that follow *one* order, whichever it is, multiply to the probability of a text, and over all texts they sum to 1. Answers to cloze questions, each given all the other characters, do not. For texts of two characters we can add up all 4,096 of them:

# %%
ring = np.stack([train, np.roll(train, -1)])    # roll: shifted by one, end to start
pair_table = np.zeros((V, V))
np.add.at(pair_table, (ring[0], ring[1]), 1)            # how often a is followed by b
first, second = pair_table.sum(axis=1), pair_table.sum(axis=0)
to_right, to_left = pair_table / first[:, None], pair_table / second
sums = {
    "left to right, P(a) P(b | a)": (first[:, None] / first.sum() * to_right).sum(),
    "right to left, P(b) P(a | b)": (second / second.sum() * to_left).sum(),
    "cloze, P(a | b) P(b | a)": (to_left * to_right).sum(),
}
for name, value in sums.items():
    print(f"{name:30} {value:6.2f}")

# %% [markdown]
# So a cloze score must not be compared with a language model's: it answers easier questions, and its answers do not add up to a language. It is excellent, though, when nothing has to be *written*. (Text can be written with such models too, by fixing an order, or many random ones, in which the blanks are filled; masked diffusion models do. The order, then, brings the chain rule back.)
#
# ### Tagging: one answer per position, all at once (*optional*)
#
# Someone typed the plays in lower case. Restore the capitals: for each letter, yes or no. That is the HLT lecture's "1-to-1 tagging": the output has the length of the input, each answer may look at the whole input, and no answer waits for another.

# %%
characters = tokenizer.decode(range(V))
lower_ids = np.array(tokenizer.encode(characters.lower()))
upper = np.array([c.isupper() for c in characters]).astype(int)
is_letter = np.array([c.isalpha() for c in characters])[at(report, 0)]


def tag_errors(*offsets):
    """Share (%) of the letters whose case is wrong, given lower-cased neighbours."""
    p = from_columns([at(lower_ids[train], o) for o in offsets], upper[at(train, 0)],
                     [at(lower_ids[report], o) for o in offsets],
                     upper[at(report, 0)], 2)
    return 100 * (p < 0.5)[is_letter].mean()


tags = {
    "always lower case": tag_errors(), "the letter alone": tag_errors(0),
    "4 to the left": tag_errors(0, -1, -2, -3, -4),
    "2 on each side": tag_errors(0, -1, 1, -2, 2),
}

# %% tags=["figure"]
bars(tags, x="letters with the wrong case (%)", fmt=".1f", height=2.1,
     alt="Letters with the wrong case: " + ", ".join(f"{name} {value:.1f} %" for name, value in tags.items()) + ".")

# %% [markdown]
# With the same number of neighbours, the tagger that may look ahead makes somewhat fewer mistakes: whether `r` starts *romeo* or *ROMEO* depends on what follows. Two kinds of models, then, for two kinds of tasks: causal ones to write, bidirectional ones to read. Lecture 05 builds both from the same parts.

# %%
poll("A cloze model spends 1.6 bits on a hidden character, a causal model 2.2 on the "
     "same text. "
     "What follows about which of them gives the *text* the higher probability?",
     options=["nothing: the cloze answers do not multiply to the probability of the "
              "text",
              "the cloze model, by 0.6 bits per character",
              "the causal model, because it looks only one way",
              "they are equal: both count the same characters"],
     explanation="Each cloze answer is given everything else, the later characters "
                 "too, so the "
     "same information is used again and again. The product of such answers is no "
     "probability "
     "of a text: over all two-character texts it summed to far more than 1.")

# %% [markdown]
# ## Scale warning
#
# > **What this lecture's models can and cannot tell you.** Perplexity, the chain rule, the entropy floor and the need for held-out text are the same for a model of any size. The *ranking of methods* is not: with tens of billions of words the crudest backing off comes close to Kneser-Ney (Brants et al., 2007, "stupid backoff"). That more context stops paying at order 6 or 7 is a fact about *counting* a million characters, not about language; a transformer profits from thousands of tokens, because it does not need to have seen a context to make use of it. And copying changes its face with scale: our order-14 model copies because each context is unique, large models copy above all what they have seen *often* (lecture 09). <!-- promise: 09-copying-against-duplication -->

# %% [markdown]
# ## Claims
#
# What the source lecture says about this topic, against what the papers say and what you have just measured.

# %%
claims_table([
    Claim(r"$P(X_t \mid X_1, \dots, X_{t-1})$: next word given context or prefix",
          "the chain rule makes it exact (Shannon, 1948)",
          f"four factors of 'thou' multiply to its frequency; cut to order {n_kn}: "
          f"{best:.2f} bits", "holds; a model of finite order approximates it",
          source="hlt", split="report"),
    Claim("language models are self-supervised",
          "Radford et al. (2018): the text is its own target",
          f"{len(train):,} examples, no label: {math.log2(V):.0f} bits (uniform), "
          f"{bits(unigram):.2f} (unigram), {best:.2f} (Kneser-Ney)", "holds",
          source="hlt", split="report"),
    Claim("language modelling is auto-regressive",
          "Radford et al. (2018) train from left to right",
          "probabilities of all two-character texts sum to 1.00 in either reading "
          f"order, cloze answers to {list(sums.values())[2]:.2f}",
          "holds; any fixed order gives a distribution over texts", source="hlt",
          split="train"),
    Claim("1-to-1 tagging and classification are non-auto-regressive",
          "Devlin et al. (2018) tag with both sides in view",
          f"wrong case: {tags['4 to the left']:.1f} % with 4 letters to the left, "
          f"{tags['2 on each side']:.1f} % with 2 on each side",
          "holds; looking ahead helps, and nothing has to be written", source="hlt",
          split="report"),
    Claim("larger pre-training datasets generally improve performance",
          "Brants et al. (2007): translation improves up to 2 trillion tokens",
          f"1,000 to 1 million characters: order 5 {by_size[5][0]:.2f} to "
          f"{by_size[5][-1]:.2f} bits, order 1 {by_size[1][0]:.2f} to "
          f"{by_size[1][-1]:.2f}", "holds; for a model with room to use them",
          source="hlt", split="report"),
    Claim("tail phenomena will never go away",
          "Good (1953): what was seen once estimates the unseen",
          "unseen 5-grams: " + ", ".join(f"{u:.0f} %" for u in unseen_by_size[5])
          + " from 1,000 to 1 million characters",
          "holds; for n-grams of this text", source="hlt", split="report"),
    Claim("results as PPL, bits per byte and bits per character in one table",
          "Radford et al. (2019), table 3: different units for different test sets",
          f"one text: {best:.2f} bits per character; a word model of perplexity "
          f"{word_models[3].perplexity(report_w):.0f} is "
          f"{word_bits + spelling_bits:.2f}",
          "holds; columns in different units do not compare", source="hlt",
          split="report"),
])

# %% [markdown]
# ## Summary
#
# 1. A text's probability is a product of next-token probabilities, exactly; an n-gram model shortens the context and counts.
# 2. Counting alone calls most of language impossible; smoothing asks shorter contexts, and Kneser-Ney asks them the right question: after how many *different* neighbours?
# 3. Perplexity and bits per character measure the same thing; compare them per the same unit, on held-out text, against uniform and unigram, and let someone pay for the unknown words.
# 4. No model beats the entropy on new text; below it lies memorising, which also shows as copying.
# 5. Looking both ways predicts better, but its answers do not multiply to the probability of a text; any fixed order does.
#
# **Still unexplained.** To a table, *cat* and *dog* have nothing in common: what it learned about one says nothing about the other. And a context it has not seen, it cannot use. What would it take to compute with contexts instead of looking them up? (Lecture 03.) And who decided that the units are words or characters? (Lecture 02.)
#
# ## Exercises
#
# *Lab 01* builds on this page: you will judge, repair and diagnose counting models of your own, graded, and end with an open challenge: the fewest bits per character that counting can reach in 30 seconds.
#
# 1. Turn the order of the training text around and predict the *previous* character at order 6. Is Shakespeare easier to read backwards? (Compare bits, not impressions.)
# 2. Draw a million characters from the order-5 Kneser-Ney model and train a new model on them. Repeat five times. What happens to the bits on the real report text? (Lecture 07 calls it model collapse.) <!-- promise: 07-model-collapse -->
# 3. Shannon's game: let a friend guess a held-out sentence character by character, count the tries, and work out his bits per character from the histogram of tries (Shannon, 1951).
#
# ## Further reading
#
# Shannon (1948), *A mathematical theory of communication*; Shannon (1951), *Prediction and entropy of printed English*. Good (1953), *The population frequencies of species and the estimation of population parameters*. Jelinek and Mercer (1980), *Interpolated estimation of Markov source parameters from sparse data*. Witten and Bell (1991), *The zero-frequency problem*. Kneser and Ney (1995), *Improved backing-off for m-gram language modeling*. Chen and Goodman (1999), *An empirical study of smoothing techniques for language modeling*. Brants et al. (2007), *Large language models in machine translation*. Bengio et al. (2003), *A neural probabilistic language model*. Jurafsky and Martin, *Speech and language processing*, the chapter on n-gram models.
