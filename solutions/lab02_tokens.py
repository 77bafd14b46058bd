# %% [markdown]
# # Lab 02 · Build a tokenizer, then find out what is wrong with another
#
# You write byte-pair encoding from the bytes up: counting, merging, training, encoding, special tokens. You test a screen that somebody else wrote, and find out what is wrong with a tokenizer that was drawn for you. About 118 minutes; 21 points: 18 by the grader, 3 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab02_tokens.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. Everything here is plain Python; the packages that tokenize, and the library's own tokenizer, are the answer and not available.

# %%
import re
from collections import Counter
from itertools import pairwise

import matplotlib.pyplot as plt

from courseware import Stopwatch, as_number, check, my_run, setup_style, show
from llmlib.data import botchan, recorded, split_text, tiny_shakespeare

setup_style()

# %% [markdown]
# The last question is drawn for you. Write down the name or number under which you hand in, exactly as your course knows it (your login, if nobody said otherwise).

# %%
STUDENT = "student-1"  # SOLUTION

# %% [markdown]
# ## Before you start: a prediction (logged, not graded)
#
# In the middle of this lab you train BPE with 500 merges on a part of Shakespeare's plays. **How many characters will one token hold, on average, on plays it has not read?** A number; whole ones count too. (Bytes: 1. GPT-2, with a hundred times your merges and the whole web to learn them from: about 3.3 on this text.)

# %%
predicted_characters_per_token = 2.0  # SOLUTION

check("lab02.p1", predicted_characters_per_token)

# %% [markdown]
# ## Question 1: where characters begin (2 points, difficulty 2, 10 minutes)
#
# A model writes tokens, tokens are bytes, and a screen wants characters. Given bytes in UTF-8, return the positions at which characters begin: for `"aé中".encode()` that is `[0, 1, 3]`. (The bits of a byte tell: a first byte begins with `0`, `110`, `1110` or `11110`, all others with `10`.)

# %%
def character_starts(data: bytes) -> list[int]:
    # BEGIN SOLUTION
    return [i for i, byte in enumerate(data) if byte & 0b1100_0000 != 0b1000_0000]
    # END SOLUTION


check("lab02.q1", character_starts)

# %% [markdown]
# ## Question 2: count pairs (1 point, difficulty 2, 8 minutes)
#
# The text has been cut into words, and each different word is kept once: `words` maps a word, a tuple of tokens, to its frequency. Return how often each two tokens stand side by side in the whole text, as `{(left, right): count}`. Every place counts: in `a a a` the pair `(a, a)` stands in two.

# %%
def count_pairs(words: dict[tuple[bytes, ...], int]) -> dict[tuple[bytes, bytes], int]:
    # BEGIN SOLUTION
    counts = Counter()
    for word, frequency in words.items():
        for pair in pairwise(word):
            counts[pair] += frequency
    return counts
    # END SOLUTION


check("lab02.q2", count_pairs)

# %% [markdown]
# ## Question 3: merge a pair (1 point, difficulty 2, 10 minutes)
#
# Replace each occurrence of `pair` in a list of tokens by one token, going from left to right. Here, unlike in counting, occurrences cannot overlap: merging `(a, a)` in `a a a` gives `aa a`. A pair is two whole tokens: `(a, bc)` is not `(ab, c)`, though the bytes are the same. Return a new list.

# %%
def merge_pair(tokens: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    # BEGIN SOLUTION
    merged, i = [], 0
    while i < len(tokens):
        if i + 1 < len(tokens) and (tokens[i], tokens[i + 1]) == pair:
            merged.append(tokens[i] + tokens[i + 1])
            i += 2
        else:
            merged.append(tokens[i])
            i += 1
    return merged
    # END SOLUTION


check("lab02.q3", merge_pair)

# %% [markdown]
# ## Question 4: train (3 points, difficulty 3, 20 minutes)
#
# Learn `n_merges` merges from a text, in order. Cut it with `split_words` (given), turn each word into single bytes, and then merge the most frequent pair again and again. Ties go to the pair that is greatest as Python compares pairs (tuples) of bytes. When no word has two tokens left, stop early.

# %%
def split_words(text: str) -> list[str]:
    """The words of a text, each with the one space or line end before it; joined they give the text again."""
    return re.findall(r"\s?\w+|\s?[^\w\s]+|\s+", text)


def train_bpe(text: str, n_merges: int) -> list[tuple[bytes, bytes]]:
    # BEGIN SOLUTION
    words = Counter(tuple(bytes([b]) for b in word.encode()) for word in split_words(text))
    merges = []
    while len(merges) < n_merges:
        counts = count_pairs(words)
        if not counts:
            break
        best = max(counts, key=lambda pair: (counts[pair], pair))
        words = {tuple(merge_pair(list(word), best)): frequency for word, frequency in words.items()}
        merges.append(best)
    return merges
    # END SOLUTION


check("lab02.q4", train_bpe)

# %% [markdown]
# ## Question 5: encode by rank (2 points, difficulty 3, 15 minutes)
#
# `ranks` maps tokens to their ids: the 256 single bytes first, then the merged tokens in the order in which they were learned. Encode one word, given as bytes: start from single bytes; merge the neighbours whose union has the *lowest* rank; stop when no union is in the vocabulary. Return the tokens.

# %%
def encode_word(word: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    # BEGIN SOLUTION
    tokens = [bytes([b]) for b in word]
    while True:
        known = [pair for pair in pairwise(tokens) if pair[0] + pair[1] in ranks]
        if not known:
            return tokens
        tokens = merge_pair(tokens, min(known, key=lambda pair: ranks[pair[0] + pair[1]]))
    # END SOLUTION


check("lab02.q5", encode_word)

# %% [markdown]
# ## Question 6: test somebody else's screen (3 points, difficulty 3, 15 minutes)
#
# A model writes one token after the other, and a screen shows the text so far. A token may end in the middle of a character, and a model may write bytes that are not valid UTF-8 at all. Somebody gives you `screen(tokens)`: from a list of tokens (bytes) it makes a list of texts, what is shown after each token. Programs differ in how early they show things (some wait for whole words), and all of them are right as long as they keep these promises:
#
# 1. there is one text for each token;
# 2. what was shown stays: every text begins with the one before it;
# 3. after the last token everything is shown, as `b"".join(tokens).decode("utf-8", errors="replace")` gives it.
#
# Write `examples()`, a list of 1 to 24 inputs to try, each a tuple that holds one list of 1 to 20 tokens of 1 to 12 bytes, and `holds(inputs, output)`: are the promises kept? Your test must pass several right programs, and every wrong one must fail on one of your examples. `check` tries four wrong ones, the grader more. Which inputs would make a mistake visible?

# %%
def examples() -> list[tuple]:
    # BEGIN SOLUTION
    return [
        ([b"ab", b"c d", b" "],),
        ([b"a", b"\xe4", b"\xb8", b"\xad "],),
        ([b"\xff", b"\xc3"],),
        ([b"x", b"\xf0\x9f", b"\x98\x80"],),
    ]
    # END SOLUTION


def holds(inputs: tuple, output: list[str]) -> bool:
    # BEGIN SOLUTION
    (tokens,) = inputs
    if len(output) != len(tokens) or output[-1] != b"".join(tokens).decode("utf-8", errors="replace"):
        return False
    return all(after.startswith(before) for before, after in pairwise(output))
    # END SOLUTION


check("lab02.q6", examples, holds)

# %% [markdown]
# ## Question 7: special tokens (3 points, difficulty 4, 20 minutes)
#
# Now a whole text. `special_tokens` maps names such as `"<|end|>"` to ids. A special token becomes its id *only if its name is in `allowed`*; otherwise its characters are ordinary text. Everything else is cut with `split_words` and encoded with your `encode_word`. Mind that a name may hold characters that mean something in a regular expression.

# %%
def encode(text: str, ranks: dict[bytes, int], special_tokens: dict[str, int], allowed: list[str]) -> list[int]:
    # BEGIN SOLUTION
    names = "|".join(re.escape(name) for name in allowed)
    ids = []
    for part in re.split(f"({names})", text) if names else [text]:
        if part in allowed:
            ids.append(special_tokens[part])
        else:
            ids += [ranks[token] for word in split_words(part) for token in encode_word(word.encode(), ranks)]
    return ids
    # END SOLUTION


check("lab02.q7", encode)

# %% [markdown]
# ## Train what you built
#
# Nothing to write here: 500 merges from a piece of the plays with *your* functions, then the same tokenizer on the text it learned from, on other plays, and on a novel. If a function is still missing, the cell says so and goes on.

# %% tags=["not-graded"]
plays, other_plays = split_text(tiny_shakespeare(), val_fraction=0.1)
texts = {"text it learned from": plays[:30_000], "other plays": other_plays[:60_000], "a novel": botchan()[:60_000]}


def characters_per_token(text: str, ranks: dict[bytes, int]) -> float:
    """Each different word is encoded once, which is what makes this quick."""
    words = Counter(split_words(text))
    return len(text) / sum(frequency * len(encode_word(word.encode(), ranks)) for word, frequency in words.items())


try:
    merges = train_bpe(texts["text it learned from"], 500)
    sizes, curves = [0, 10, 30, 100, 200, 350, 500], {name: [] for name in texts}
    for n in sizes:
        ranks = {bytes([b]): b for b in range(256)} | {left + right: 256 + i for i, (left, right) in enumerate(merges[:n])}
        for name, text in texts.items():
            curves[name].append(characters_per_token(text, ranks))
    fig, ax = plt.subplots()
    for (name, curve), marker in zip(curves.items(), "os^"):
        ax.plot(sizes, curve, marker=marker, label=name)
    ax.axhline(as_number(predicted_characters_per_token), color="0.5", linestyle=":", label="your prediction")
    ax.set(xlabel="merges", ylabel="characters per token", ylim=(0.9, 2.6))
    ax.legend()
    show(fig, alt="Characters per token against the number of merges for three texts, with your prediction as a dotted line.")
except NotImplementedError:
    print("Not yet: finish questions 2 to 5 first.")

# %% [markdown]
# ## Read your own plot (3 points, given by a person)
#
# In three or four sentences: Why do the curves bend, and what would the next 500 merges bring? What is the distance between the three curves at 500 merges made of? Suppose you must choose *one* number of merges for a small model that will read novels: what else would you have to know, and in which direction does it push?

# %%
interpretation = """The curves bend because merges are made in order of frequency: each one applies to fewer places than the one before, so the next 500 bring much less
than the first 500. The gap between the learned text and the two others is what was learned about this text only, its names and rare words. That a novel comes out no worse than other
plays shows that most of the rest is plain English; plays have names in capitals and short lines that cost extra. To choose a number I would need to know the size of the rest of
the model: each merge costs a row of the embedding, which weighs more the smaller the model is, so a small model pushes towards fewer merges; and I would learn them from novels."""  # SOLUTION

check("lab02.t1", interpretation)

# %% [markdown]
# ## Question 8: a tokenizer that went wrong (3 points, difficulty 4, 20 minutes)
#
# All were meant to be the tokenizer called *correct*: 500 tokens (the 256 bytes and 244 learned ones) from some of Shakespeare's plays. Yours was made with one thing wrong. (They learned from different plays, so small differences mean nothing.)
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | learned from lower-cased text | `E` | the text was not cut into words before learning |
# | `B` | the pairs were counted once, at the start, and never again | `F` | decodes each token to UTF-8 by itself |
# | `C` | each different word was counted once, however often it occurs | `G` | the learned tokens were saved in alphabetical order, so their ranks are lost |
# | `D` | encodes by longest match instead of by rank | `H` | the text was cut at spaces, and the spaces were thrown away |
#
# Prove it from what you see. These observations may or may not be true of your tokenizer:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | the sample does not come back as it was | `g` | characters per token: below 1.9 on the plays it learned from |
# | `b` | characters per token: below 1.9 on the novel | `h` | there is no place where a longer token would fit |
# | `c` | none of the first twelve tokens begins with a space | `i` | one of the first twelve tokens holds a capital letter |
# | `d` | none of the ten longest tokens holds a capital letter | `j` | one of the first twelve tokens has four characters or more |
# | `e` | 25 tokens or more are never used | `k` | one of the first twelve tokens has a space behind another character |
# | `f` | the first token is a space and a t | `l` | both texts come back as they were |
#
# Answer with the cause and one to three observations that are true of your tokenizer and that *together* would be seen neither under another cause nor in a correct tokenizer, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. Ask of each cause: what does it do to the learned tokens, what to the way they are used, and what to the way back?

# %% tags=["not-graded"]
for name in filter(None, ("correct", my_run("lab02.q8", STUDENT))):
    seen = recorded("lab02_faults")["results"][name]
    print(f"--- {name} ---")
    print("the first twelve tokens:", seen["first"])
    print("the ten longest tokens: ", seen["longest"])
    print("the most used tokens:   ", seen["most used"])
    print("never used in other plays:", seen["never used"], "of 244")
    print("places in other plays where a longer token would fit:", seen["places where a longer token would fit"])
    print("characters per token:", ", ".join(f"{where} {value}" for where, value in seen["characters per token"].items()))
    print("decode(encode(text)) == text:", ", ".join(f"{where} {same}" for where, same in seen["gives back"].items()))
    print("the sample:", "|".join(seen["sample"]).replace("\n", "↵"), end="\n\n")

# %%
diagnosis = {"cause": "C", "evidence": ["b", "d"]}  # SOLUTION

check("lab02.q8", diagnosis)

# %% [markdown]
# ## Open challenge: 500 tokens
#
# The **fewest tokens for the last tenth of tiny Shakespeare** with a vocabulary of 500 tokens: the 256 bytes and 244 byte strings of your choice, learned from the first nine tenths only, with at most 120 seconds of computing. Any way of cutting, choosing and encoding is allowed as long as joining the tokens gives the text back. BPE with GPT-2's word pattern needs **59,426 tokens**: the score to beat. Two ideas to begin with: is greedy merging the best way to *use* a vocabulary, and is it the best way to *choose* one?
#
# The cell shows the rules as code. It begins with your own BPE, learned from a small piece.

# %% tags=["not-graded"]
def count_tokens(tokens: list[bytes], vocabulary: set[bytes]) -> int:
    """The score: how many tokens the held-out text takes."""
    assert len(vocabulary | {bytes([b]) for b in range(256)}) <= 500, "at most 500 tokens, the 256 bytes among them"
    assert set(tokens) <= vocabulary and b"".join(tokens) == other_plays.encode(), "joining the tokens gives the text back"
    return len(tokens)


try:
    with Stopwatch(120) as clock:
        learned = [left + right for left, right in train_bpe(plays[:30_000], 244)]
        ranks = {token: rank for rank, token in enumerate([*(bytes([b]) for b in range(256)), *learned])}
        cut = {word: encode_word(word.encode(), ranks) for word in set(split_words(other_plays))}
        score = count_tokens([token for word in split_words(other_plays) for token in cut[word]], set(ranks))
    print(f"{score:,} tokens")
except NotImplementedError:
    print("Not yet: finish questions 2 to 5 first, or choose tokens in your own way.")

# %% [markdown]
# Write down your best figure, and how you got it. The check prints the line for your course's leaderboard.

# %%
fewest_tokens = 59_426  # SOLUTION

check("lab02.c1", fewest_tokens, seconds=None)  # seconds=clock.seconds puts the time into the line
