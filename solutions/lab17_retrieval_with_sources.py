# %% [markdown]
# # Lab 17 · Find it, cite it
#
# A model that may look things up is only as good as the search behind it. You write both kinds of search, BM25 and dense, join their rankings, cut a text into pieces, and measure how good a ranking is. Then you run it all over a small library in which many passages are about the same thing, build the prompt that a model answers from, and check what its answer cites. You test a parser of tool calls that somebody else wrote, and find out what went wrong in a search. About 130 minutes; 30 points: 27 by the grader, 3 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab17_retrieval_with_sources.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. You may use all of Python, PyTorch and numpy, and not the library's `llmlib.retrieval`: that is the answer.

# %%
import base64
import json
import math
import re
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from courseware import Stopwatch, as_number, check, my_run, setup_style, show
from llmlib.data import fetch, recorded

setup_style()

# %% [markdown]
# The last question is drawn for you. Write down the name or number under which you hand in, exactly as your course knows it (your login, if nobody said otherwise).

# %%
STUDENT = "student-1"  # SOLUTION

# %% [markdown]
# ## Question 1: BM25 (4 points, difficulty 3, 18 minutes)
#
# `documents` are lists of words, `query` is one. With $f$ the number of times the word $w$ stands in the document $d$, $|d|$ the length of the document in words, repetitions counted, and $\overline{|d|}$ the mean length, a document's score is
#
# $$\sum_{w \in \text{query}} \ln\!\left(1 + \frac{N - n_w + \tfrac12}{n_w + \tfrac12}\right)\cdot\frac{f\,(k_1 + 1)}{f + k_1\,\bigl(1 - b + b\,|d| / \overline{|d|}\bigr)},$$
#
# where $n_w$ of the $N$ documents hold the word. The sum goes over the words of the query as they stand, so a word asked for twice counts twice. A word that no document holds adds nothing. Return a list of scores, one for each document. Before you write: what does the first factor do for the word *the*, and what would happen to a word that stands in nearly all documents without the $1 +$?


# %%
def bm25(documents: list[list[str]], query: list[str], k1: float, b: float) -> list[float]:
    # BEGIN SOLUTION
    mean = sum(map(len, documents)) / len(documents)
    holding = {word: [i for i, document in enumerate(documents) if word in document] for word in query}
    scores = [0.0] * len(documents)
    for word in query:
        n = len(holding[word])
        idf = math.log(1 + (len(documents) - n + 0.5) / (n + 0.5))
        for i in holding[word]:
            f, relative = documents[i].count(word), len(documents[i]) / mean
            scores[i] += idf * f * (k1 + 1) / (f + k1 * (1 - b + b * relative))
    return scores
    # END SOLUTION


check("lab17.q1", bm25)

# %% [markdown]
# ## Question 2: dense search (3 points, difficulty 2, 12 minutes)
#
# An encoder gives each token of a text a vector, `hidden` (B, T, d) for a batch; `mask` (B, T) is True where there is a token and False at the pads behind a shorter text. `pool` returns one vector a text, (B, d): the mean over its real tokens, **brought to length 1**. A text without tokens gets the vector 0.
#
# `nearest` gets such vectors (N, d) and that of a question (d,), and returns the numbers of the `k` vectors with the largest dot product, the best first; **of equal scores the lower number comes first**. Where there are fewer than `k` vectors it returns those there are. A list of numbers, counted from 0.


# %%
class Dense:
    @staticmethod
    def pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        # BEGIN SOLUTION
        total = (hidden * mask[..., None]).sum(1)
        return F.normalize(total / mask.sum(1, keepdim=True).clamp(min=1), dim=-1)
        # END SOLUTION

    @staticmethod
    def nearest(vectors: torch.Tensor, query: torch.Tensor, k: int) -> list[int]:
        # BEGIN SOLUTION
        return torch.argsort(vectors @ query, descending=True, stable=True)[:k].tolist()
        # END SOLUTION


check("lab17.q2", Dense)

# %% [markdown]
# ## Question 3: rank fusion (3 points, difficulty 3, 15 minutes)
#
# BM25's scores go to 20 and cosines to 1: added as they are, one search drowns the other, and a weight between them would have to be tuned. **Reciprocal rank fusion** looks at places only. Each of `searches` is a dict, document to score, in no order and not always with the same documents: what a search has not found is not in it. Rank the documents of each search by their scores, the best has rank 1; of equal scores the lower number has the better rank. A document's score is then
#
# $$\sum_{\text{searches that found it}} \frac{1}{k + \text{rank}}.$$
#
# Return the `n` best documents, best first; of equal scores the lower number comes first.


# %%
def fuse(searches: list[dict[int, float]], n: int, k: float) -> list[int]:
    # BEGIN SOLUTION
    total = Counter()
    for scores in searches:
        for rank, document in enumerate(sorted(scores, key=lambda d: (-scores[d], d)), 1):
            total[document] += 1 / (k + rank)
    return sorted(total, key=lambda d: (-total[d], d))[:n]
    # END SOLUTION


check("lab17.q3", fuse)

# %% [markdown]
# ## Question 4: pieces (2 points, difficulty 2, 12 minutes)
#
# Long texts are cut into pieces of `size` words; each piece begins `overlap` words before the end of the one before, so that what a cut tears apart stands whole in one of the two. The last piece may be shorter, and is not there to repeat: no piece lies wholly within the one before. Every word is in a piece; a text without words has none. Return a list of lists of words. Raise a `ValueError` where the overlap is as long as a piece or longer. By hand first: which pieces make ten words, in pieces of four with an overlap of one?


# %%
def pieces(words: list[str], size: int, overlap: int) -> list[list[str]]:
    # BEGIN SOLUTION
    if overlap >= size:
        raise ValueError(f"overlap={overlap} must be below size={size}")
    starts = range(0, max(len(words) - overlap, min(1, len(words))), size - overlap)
    return [words[start : start + size] for start in starts]
    # END SOLUTION


check("lab17.q4", pieces)

# %% [markdown]
# ## Question 5: how good is a ranking? (3 points, difficulty 3, 15 minutes)
#
# `ranking` lists documents, best first. `gains` says how much each document that somebody judged is worth; those with a gain above 0 are **relevant**, and there is at least one. A document that is not in `gains` is worth 0. Return `{"recall": ..., "rr": ..., "ndcg": ...}`, where only the **first** $k$ places of the ranking count:
#
# * **recall**: the share of all relevant documents that are among them;
# * **rr**, the reciprocal rank: 1 over the rank of the first relevant document, 0 if there is none;
# * **ndcg**: with $g_r$ the gain of the document at rank $r$, $\mathrm{DCG} = \sum_{r=1}^{k} g_r / \log_2(r + 1)$, over the DCG of the best order that there could be: all documents of `gains`, found or not, the largest gain first, cut to $k$ places as well.
#
# Does it matter for nDCG which logarithm you take?


# %%
def measures(ranking: list[int], gains: dict[int, float], k: int) -> dict[str, float]:
    # BEGIN SOLUTION
    def dcg(worth: list[float]) -> float:
        return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(worth[:k], 1))

    found = [gains.get(document, 0) for document in ranking[:k]]
    return {
        "recall": sum(gain > 0 for gain in found) / sum(gain > 0 for gain in gains.values()),
        "rr": next((1 / rank for rank, gain in enumerate(found, 1) if gain > 0), 0.0),
        "ndcg": dcg(found) / dcg(sorted(gains.values(), reverse=True)),
    }
    # END SOLUTION


check("lab17.q5", measures)

# %% [markdown]
# ## The pieces together
#
# Nothing to write in the next cells. The library are 511 passages of Wikipedia, from the 85 articles that have five or more passages in BoolQ (Clark et al., 2019; CC BY-SA 3.0): the right article is easily found, the right passage less so. The questions are people's own; a question counts as answered by the passage it was asked about, although another may answer it as well. The passages and questions have been encoded with MiniLM, which would take half a minute here; the vectors are recorded. If one of your functions is missing, the cells say so and go on.

# %% tags=["not-graded"]
made = recorded("lab17_vectors")["results"]
rows = [json.loads(line) for line in fetch("boolq").read_text(encoding="utf-8").splitlines()]
texts = [rows[place]["passage"].replace(" -- ", "\n", 1) for place in made["passages"]]
asked = [(rows[place]["question"], passage) for place, passage in made["questions"] + made["challenge"]]
bits = np.unpackbits(np.frombuffer(base64.b64decode(made["vectors"]), dtype=np.uint8))
codes = bits.reshape(-1, 384, 5) @ [16, 8, 4, 2, 1] - 16  # five bits a number
vectors = F.normalize(torch.tensor(codes, dtype=torch.float32), dim=-1)
passage_vectors, question_vectors = vectors[: len(texts)], vectors[len(texts) :]
n_questions = len(made["questions"])  # the others are for the challenge


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


library = [words(text) for text in texts]
print(
    f"{len(texts)} passages of {sum(map(len, library)) / len(library):.0f} words, {n_questions} questions, for example:"
)
print(f"  {asked[0][0]}?\n  {texts[asked[0][1]][:150]!r} ...")


# %% tags=["not-graded"]
def searched(number: int) -> dict[str, list[int]]:
    """The first 50 passages for a question, by method."""
    scores = bm25(library, words(asked[number][0]), k1=1.5, b=0.75)
    by_words = {i: score for i, score in enumerate(scores) if score > 0}
    near = Dense.nearest(passage_vectors, question_vectors[number], 50)
    by_meaning = {i: float(passage_vectors[i] @ question_vectors[number]) for i in near}
    first = sorted(by_words, key=lambda i: (-by_words[i], i))[:50]
    return {"BM25": first, "dense": near, "fused": fuse([{i: by_words[i] for i in first}, by_meaning], 50, k=60)}


def interval(values: list[float]) -> tuple[float, float]:
    """95 % of the means of questions drawn again, with replacement."""
    draws = np.random.default_rng(0).choice(values, (2000, len(values))).mean(1)
    return tuple(np.quantile(draws, [0.025, 0.975]))


# %% [markdown]
# ## Before you measure: a prediction (logged, not graded)
#
# BM25 sees words, the dense search meanings. **Of how many questions in a hundred do both have the right passage at the first place?** Give a number from 0 to 100. Being wrong costs nothing; not having predicted costs you the surprise.

# %%
predicted_both = 50  # SOLUTION

check("lab17.p1", predicted_both)

# %% tags=["not-graded"]
try:
    found = [searched(number) for number in range(n_questions)]
    right = [passage for _, passage in asked[:n_questions]]
    for method in ("BM25", "dense", "fused"):
        each = [measures(hits[method], {passage: 1}, 10) for hits, passage in zip(found, right)]
        shown = {name: [m[name] for m in each] for name in ("recall", "rr", "ndcg")}
        print(
            f"{method:<6}",
            *(
                f"{name}@10 {np.mean(v):.2f} ({interval(v)[0]:.2f} to {interval(v)[1]:.2f})  "
                for name, v in shown.items()
            ),
        )
    firsts = {m: np.array([hits[m][:1] == [p] for hits, p in zip(found, right)]) for m in ("BM25", "dense", "fused")}
    gain = [
        measures(h["fused"], {p: 1}, 10)["rr"] - measures(h["dense"], {p: 1}, 10)["rr"] for h, p in zip(found, right)
    ]
    print(
        f"rr of the fusion above that of the dense search, question by question: {np.mean(gain):+.2f} ({interval(gain)[0]:+.2f} to {interval(gain)[1]:+.2f})"
    )
    print(
        f"both have it first: {100 * (firsts['BM25'] & firsts['dense']).mean():.0f} %, you predicted {as_number(predicted_both):.0f}; "
        f"BM25 alone {100 * (firsts['BM25'] & ~firsts['dense']).mean():.0f} %, dense alone {100 * (~firsts['BM25'] & firsts['dense']).mean():.0f} %, "
        f"neither {100 * (~firsts['BM25'] & ~firsts['dense']).mean():.0f} %"
    )
except NotImplementedError:
    print("Not yet: finish questions 1, 2, 3 and 5 first.")

# %% [markdown]
# ## Your own plot, read (3 points, given by a person)
#
# On the left, how often the right passage is among the first $k$. On the right the questions are split by how many of their words the passage holds; a bar is the share whose passage is at the first place, its line the 95 % interval. It has no title and no explanation; these are yours.

# %% tags=["not-graded"]
try:
    shared = np.array([len(set(words(q)) & set(library[p])) / len(set(words(q))) for q, p in asked[:n_questions]])
    cuts = np.quantile(shared, [0, 1 / 3, 2 / 3])
    third = np.searchsorted(cuts, shared, side="right") - 1
    fig, axes = plt.subplots(1, 2, figsize=(11, 3.6))
    for place, method in enumerate(("BM25", "dense", "fused")):
        ranks = np.array([hits[method].index(p) if p in hits[method] else 99 for hits, p in zip(found, right)])
        ks = np.arange(1, 51)
        axes[0].plot(ks, [100 * (ranks < k).mean() for k in ks], "-", label=method)
        for group in range(3):
            hit = firsts[method][third == group].astype(float).tolist()
            low, high = interval(hit)
            x = group + 0.27 * (place - 1)
            axes[1].bar(x, 100 * np.mean(hit), 0.25, color=f"C{place}", label=method if not group else None)
            axes[1].plot([x, x], [100 * low, 100 * high], color="0.35", lw=1.5)
    axes[0].set(xlabel="k (first places looked at)", ylabel="right passage found (percent)", xscale="log")
    axes[0].set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes[0].minorticks_off()
    axes[0].legend(fontsize=8)
    labels = [
        f"{100 * shared[third == g].min():.0f} to {100 * shared[third == g].max():.0f} %\n({(third == g).sum()} questions)"
        for g in range(3)
    ]
    axes[1].set_xticks(range(3), labels)
    axes[1].set(
        xlabel="words of the question that its passage holds", ylabel="right passage first (percent)", ylim=(0, 100)
    )
    show(
        fig,
        alt="Left: recall against k for BM25, dense search and their fusion. Right: share of first places for three thirds of the questions, by the share of their words that the passage holds, with 95 percent intervals.",
    )
except NameError:
    print("Not yet: measure first.")

# %% [markdown]
# In four or five sentences: Which search is best at the first place, and which among the first ten? What does the fusion add to the better of the two, and is that more than the interval allows you to say? How does each depend on the words that question and passage share, and what does that mean for a question set whose questions were written while looking at the passage? Name one reason why the true quality is better, or worse, than these numbers say.

# %%
interpretation = """At the first place the dense search is ahead: it has the right passage there for about 4 questions in 10, BM25 and the fusion for a third; among the first ten all three have it for 95 to 99 %, which the intervals do not
tell apart. So the fusion adds nothing to the dense search here: its reciprocal rank is lower by 0.04, and the interval of the differences, -0.09 to 0, lets me say that it does not help by much, hardly that it harms. Where question and passage
share three words in four both are equally good, 50 %; with half of the words shared or fewer BM25 finds one in five and the dense search a third, though 39 questions leave intervals of 30 points. A question that is written with the passage at hand
repeats its words, so such a set flatters BM25. These were asked first and then given a passage, yet only the passage that was given counts: another one of the same article may answer as well, so the true quality is better than these numbers say; with 511 passages
instead of millions it is worse."""  # SOLUTION

check("lab17.t1", interpretation)

# %% [markdown]
# ## Question 6: a prompt and its citations (4 points, difficulty 3, 20 minutes)
#
# `passages` are (title, text), in the order of a fused ranking, and `cosines` says how near each is to the question. `prompt` chooses the passages whose cosine is **at least** `least`, keeps the order, takes the first `most` of them, and numbers them as they stand in the prompt:
#
# ```
# [1] Title: text
# [2] Title: text
# Question: ...
# Answer:
# ```
#
# (Empty lines between them do not matter.) A passage is somebody else's text: it may hold `[3]`, or a line that looks like a source of its own. So the square brackets of titles and texts become round ones, and a text's words are joined by single spaces, which leaves one line a source. If no passage is near enough, return `None`: without a source nobody is asked.
#
# `cited` reads an answer that was given `n` sources. A citation is a pair of square brackets that holds whole numbers, parted by commas, with or without spaces, and nothing else: `[2]` or `[1, 3]`. Return `{"cited": [...], "invented": ...}`: the sources that are cited and exist, each once, in the order of their first appearance; and the number of citations of sources that do not exist, counted as often as they stand.


# %%
class Sources:
    @staticmethod
    def prompt(
        question: str, passages: list[tuple[str, str]], cosines: list[float], least: float, most: int
    ) -> str | None:
        # BEGIN SOLUTION
        near = [passage for passage, cosine in zip(passages, cosines) if cosine >= least][:most]
        if not near:
            return None
        lines = [f"{title}: {' '.join(text.split())}".replace("[", "(").replace("]", ")") for title, text in near]
        sources = [f"[{number}] {line}" for number, line in enumerate(lines, 1)]
        return "\n".join([*sources, f"Question: {question}", "Answer:"])
        # END SOLUTION

    @staticmethod
    def cited(answer: str, n: int) -> dict[str, object]:
        # BEGIN SOLUTION
        groups = re.findall(r"\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]", answer)
        numbers = [int(number) for group in groups for number in group.split(",")]
        real = [number for number in numbers if 1 <= number <= n]
        return {"cited": list(dict.fromkeys(real)), "invented": len(numbers) - len(real)}
        # END SOLUTION


check("lab17.q6", Sources)

# %% [markdown]
# What a model would be given for the first question, from your search:

# %% tags=["not-graded"]
try:
    hits = searched(0)["fused"][:4]
    near = [float(passage_vectors[i] @ question_vectors[0]) for i in hits]
    short = [(texts[i].split("\n")[0], " ".join(texts[i].split("\n")[1].split()[:25]) + " ...") for i in hits]
    print(Sources.prompt(asked[0][0] + "?", short, near, least=0.4, most=2))
    print(Sources.cited("It was added later [2, 7].", 2))
except NotImplementedError:
    print("Not yet: finish questions 1, 2, 3 and 6 first.")

# %% [markdown]
# ## Question 7: test somebody else's parser (4 points, difficulty 4, 20 minutes)
#
# A model writes a tool call between `<tool>` and `</tool>`, in JSON. There are two tools, and **all** of their arguments have to be given:
#
# | tool | arguments |
# | --- | --- |
# | `calculator` | `expression`, a string |
# | `search` | `query`, a string; `k`, a whole number |
#
# `parser(text)` gets what the model wrote and promises:
#
# 1. a text without `<tool>` gives `None`: it is an answer;
# 2. otherwise the **first** call counts: what stands between the first `<tool>` and the next `</tool>`, or the end of the text if there is none. What comes after it is not looked at;
# 3. if that is JSON of the form `{"name": ..., "arguments": {...}}`, with a tool that exists and exactly its arguments, each of its kind (`true` and `2.0` are no whole numbers), the output is `{"name": ..., "arguments": ...}` with just these values; keys beside these two are left out;
# 4. anything else gives `{"error": ...}` with a message, a string that is not empty, for the model to mend its call. Nothing is ever executed, and no error is raised.
#
# Write `examples()`, a list of 1 to 24 inputs, each a tuple `(text,)` with a text of at most 300 characters, and `holds(inputs, output)`: are the promises kept? Your test must pass several right parsers, whose messages differ, and every wrong one must fail on one of your inputs. `check` tries six wrong ones, the grader more. What must a call look like for a parser to show that it runs `eval` on it?


# %%
def examples() -> list[tuple]:
    # BEGIN SOLUTION
    good = '<tool>{"name": "search", "arguments": {"query": "sorted lists", "k": 2}}</tool>'
    sums = '<tool>{"name": "calculator", "arguments": {"expression": "2 + 3"}}</tool>'
    call = '<tool>{"name": "search", "arguments": %s}</tool>'
    bad = ['{"query": "a"}', '{"query": "a", "k": "2"}', '{"query": "a", "k": true}', '{"query": 1, "k": 2}',
           '{"query": "a", "k": 2, "all": 1}', '{"query": "a", "k": 2.0}', '["a", 2]', "{'query': 'a', 'k': 2}",
           '{"query": "a", "k": 1 + 1}', '{"query": "a", "k": null}']  # fmt: skip
    odd = ['<tool>{"name": "shell", "arguments": {}}</tool>', "<tool>search(a)</tool>", "<tool></tool>",
           '<tool>["search"]</tool>', '<tool>{"arguments": {}}</tool>', '<tool>{"name": "search"}</tool>',
           '<tool>{"name": "calculator", "arguments": {"expression": 2}}</tool>',
           "The answer is 5.", "Let me see. " + good + " and " + sums, sums + good, good[:-7], sums + " </tool>"]  # fmt: skip
    return [(text,) for text in [*(call % arguments for arguments in bad), *odd]]
    # END SOLUTION


def holds(inputs: tuple, output: object) -> bool:
    # BEGIN SOLUTION
    (text,) = inputs
    if "<tool>" not in text:
        return output is None
    kinds = {"calculator": {"expression": str}, "search": {"query": str, "k": int}}
    try:
        call = json.loads(text.split("<tool>", 1)[1].split("</tool>")[0])
        name, arguments = call["name"], call["arguments"]
        right = {key: type(value) for key, value in arguments.items()} == kinds[name]
    except (ValueError, KeyError, TypeError, AttributeError):
        right = False
    if right:
        return output == {"name": name, "arguments": arguments}
    message = output.get("error") if isinstance(output, dict) else None
    return isinstance(message, str) and message != "" and set(output) == {"error"}
    # END SOLUTION


check("lab17.q7", examples, holds)

# %% [markdown]
# ## Question 8: a search that went wrong (4 points, difficulty 4, 20 minutes)
#
# Somebody built the same search over another library, some 115 articles with three or four passages each. 160 questions have their passage in it; 100 are about articles that it does not hold, and should be **refused**: the program refuses where the cosine of the nearest passage is below 0.5. (What it cannot know is that an article may be there and the answer not.) One thing is wrong with it. You get the log; a correct run stands beside it.
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | the mean over tokens includes the pads | `F` | the dense search's passage numbers are off by one |
# | `B` | the vectors are not brought to length 1 | `G` | the encoder reads only the first 12 tokens of a passage |
# | `C` | the fusion adds scores instead of ranks | `H` | BM25's passages are not lower-cased, the questions are |
# | `D` | the dense search puts the smallest score first | `I` | every second passage is left out of both indexes |
# | `E` | BM25 gives all words the same weight | `J` | the threshold for refusals is applied to the fused score |
#
# The log is as the program writes it, with what is wrong in it. **Recall** counts a question's own passage. The **score** of the dense search is its dot product; *score of two passages* is the mean over all pairs of the library. The fusion takes the first 100 of each search. Prove the cause from your run. These observations may or may not be true of it:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | recall@10 of BM25 is below 80 % | `i` | the score of the first hit is below 0.39 on average for unanswerable questions |
# | `b` | recall@10 of BM25 is below 93 % | `j` | fewer than 10 % of the unanswerable questions are refused |
# | `c` | recall@10 of BM25 is above 80 % | `k` | more than 10 % of the unanswerable questions are refused |
# | `d` | recall@10 of the dense search is below 70 % | `l` | more than 90 % of the answerable questions are refused |
# | `e` | recall@10 of the dense search is above 85 % | `m` | fewer than 30 % of the answerable questions are refused |
# | `f` | recall@1 of the dense search is below 25 % | `n` | the first hit of the fusion is that of BM25 for more than 90 % of the questions |
# | `g` | the first hit of the dense search is from the right article for more than 80 % of the questions | `o` | the mean reciprocal rank of the fusion is below 0.58 |
# | `h` | the score of two passages is above 0.04 on average | `p` | the score of the first hit is above 0.39 on average for unanswerable questions |
#
# Answer with the cause and one to three observations that are true of your run and that *together* would be seen neither under another cause nor in a correct run, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. For each cause ask: which of the two searches sees it, does the ranking change or only its scores, and what does the refusal look at?

# %% tags=["not-graded"]
runs = {
    name: recorded("lab17_faults")["results"][name] for name in filter(None, ("correct", my_run("lab17.q8", STUDENT)))
}
fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True)
for ax, method in zip(axes, ("BM25", "dense", "fused")):
    for name, run in runs.items():
        ax.plot(run["k"], run[method], label=name)
    ax.set(xlabel=f"k, first places of {method}", ylim=(0, 102))
axes[0].set(ylabel="right passage among them (percent)")
axes[-1].legend()
show(
    fig,
    alt="Recall against k of BM25, the dense search and their fusion, of a correct run and, once STUDENT is filled in, of yours.",
)
width = max(len(what) for what in runs["correct"])
print(" " * width, *(f"{name:>8}" for name in runs))
for what, value in runs["correct"].items():
    if isinstance(value, int | float):
        print(f"{what:<{width}}", *(f"{run[what]:>8g}" for run in runs.values()))

# %%
diagnosis = {"cause": "I", "evidence": ["a", "d"]}  # SOLUTION

check("lab17.q8", diagnosis)

# %% [markdown]
# ## Open challenge: the right passage first
#
# Everybody finds the right article here; the right passage stands first for about one question in two. Do better: words that are stemmed, or left out, or weighed by where they stand; other $k_1$ and $b$; pairs of words; a better encoder, or MiniLM over sentences instead of passages; weights in the fusion; a second look at the first ten. All is yours, your own functions or the library's, **but nothing may know which passage a challenge question belongs to**. Tune on the questions of the measurements above; these here are others, look at them once.
#
# The score is the mean reciprocal rank over the 120 challenge questions, the first ten places counted. What the cell does reaches about **0.59**: the score to beat. Preparing the library and answering all questions may take 60 seconds on a CPU, the recorded vectors not counted.


# %% tags=["not-graded"]
def retrieve(question: str, vector: torch.Tensor) -> list[int]:
    """The first ten passages for a question, given its words and its vector."""
    scores = bm25(library, words(question), k1=1.5, b=0.75)
    by_words = {i: score for i, score in enumerate(scores) if score > 0}
    near = Dense.nearest(passage_vectors, vector, 50)
    return fuse([by_words, {i: float(passage_vectors[i] @ vector) for i in near}], 10, k=60)


try:
    with Stopwatch(60) as clock:
        answers = [
            retrieve(question, question_vectors[n_questions + i]) for i, (question, _) in enumerate(asked[n_questions:])
        ]
    ranks = [measures(hits, {passage: 1}, 10)["rr"] for hits, (_, passage) in zip(answers, asked[n_questions:])]
    print(
        f"mean reciprocal rank {np.mean(ranks):.3f} ({interval(ranks)[0]:.2f} to {interval(ranks)[1]:.2f} for other questions)"
    )
except NotImplementedError:
    print("Not yet: finish questions 1, 2, 3 and 5 first.")

# %% [markdown]
# Write down your best figure, and how you got it. The check prints the line for your course's leaderboard.

# %%
best_rr = 0.65  # SOLUTION

check("lab17.c1", best_rr, seconds=None)  # seconds=clock.seconds puts the time into the line
