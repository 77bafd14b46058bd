# %% [markdown]
# # Lab 18 · Evaluating and attacking
#
# You write the parts of a harness: the scores of options, pass@k, an interval by resampling questions, a comparison of two models, the search for a test in a training text, and a judge of defences. Then you measure two base models of this course with them, train one on its own test, and see what gives it away. You test a calibration that somebody else computed, and find out what went wrong in an evaluation. About 135 minutes; 29 points: 26 by the grader, 3 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab18_evaluating_and_attacking.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. You may use PyTorch, numpy and Python's own modules, but nothing of the course's library in your answers (`llmlib.evaluate` and `llmlib.data` hold them): the grader runs without it.

# %%
import copy
import math
import random
import re

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F

from courseware import Stopwatch, as_number, check, my_run, setup_style, show

setup_style()
torch.manual_seed(0);

# %% [markdown]
# The last question is drawn for you. Write down the name or number under which you hand in, exactly as your course knows it (your login, if nobody said otherwise).

# %%
STUDENT = "student-1"  # SOLUTION

# %% [markdown]
# ## Question 1: scores of options (4 points, difficulty 3, 20 minutes)
#
# A model that is asked a question with options need not write anything: each option is put behind the prompt, and the model says how likely its tokens are there. `ids` (n, T) holds in each of its n rows the prompt, which is the same for all and takes `n_prompt` tokens, and one of the n options; where an option is shorter than the longest, the row ends in -1, which is padding. `logits` (n, T, V) is what the model puts out for these rows: `logits[:, t]` are about the token at place `t + 1`. With $y_1 \dots y_m$ the tokens of an option, its score is
#
# $$\text{raw:}\ \ s = \sum_{i=1}^{m} \log p(y_i \mid \text{prompt}, y_1 \dots y_{i-1}), \qquad \text{token:}\ \ s / m, \qquad \text{byte:}\ \ s / b,$$
#
# where $b$ is the number of bytes of the option's text in UTF-8; `options` is the list of the n texts, without a space before them. Return the n scores as a tensor, for `how` one of `"raw"`, `"token"`, `"byte"`. Before you write: which place of `logits` is about the first token of an option? And which options win by `"raw"`?

# %%
def option_scores(
    logits: torch.Tensor, ids: torch.Tensor, n_prompt: int, options: list[str], how: str
) -> torch.Tensor:
    # BEGIN SOLUTION
    targets = ids[:, n_prompt:]
    real = targets >= 0
    logs = logits[:, n_prompt - 1 : -1].log_softmax(-1)
    each = logs.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    total = (each * real).sum(1)
    if how == "token":
        return total / real.sum(1)
    if how == "byte":
        return total / torch.tensor([len(text.encode()) for text in options])
    return total
    # END SOLUTION


check("lab18.q1", option_scores)

# %% [markdown]
# ## Question 2: pass@k (2 points, difficulty 2, 12 minutes)
#
# A model writes `n` programmes for a problem, `c` of them pass the tests. pass@k is the probability that among `k` **different** ones of the n, chosen at random, at least one passes. Of all choices of k among the n, how many hold none that passes?
#
# `counts` is a list of `(n, c)`, one for each problem. Return the mean of pass@k over the problems. Where k is larger than the n of a problem, raise a `ValueError`. n may be some thousands, so that factorials do not fit into floating point.

# %%
def pass_at_k(counts: list[tuple[int, int]], k: int) -> float:
    # BEGIN SOLUTION
    if any(n < k for n, _ in counts):
        raise ValueError(f"k={k} is larger than the number of programmes")
    return sum(1 - math.comb(n - c, k) / math.comb(n, k) for n, c in counts) / len(counts)
    # END SOLUTION


check("lab18.q2", pass_at_k)

# %% [markdown]
# ## Question 3: a bootstrap over questions (4 points, difficulty 4, 20 minutes)
#
# How far would a score move with other questions of the same kind? Draw as many questions as there are, with replacement, take the mean, and do so many times (Efron, 1979). **Whole questions** are drawn: several answers to one question, from several samples or seeds, mostly are right or wrong together, and are no independent witnesses.
#
# `scores` (N,) holds one number for each answer, `questions` (N,) the number of the question it belongs to, from 0 to Q - 1; a question may have more answers than another. The drawing is done for you: each row of `draws` (times, Q) holds the numbers of the questions drawn. The mean of a resample is over **all answers** of the questions drawn, those of a question that was drawn twice counted twice. Return `(mean, low, high)`: the mean of all scores, and the two quantiles of the resampled means, as `torch.quantile` gives them, between which the share `level` of them lies, with as much left out below as above.

# %%
def bootstrap(
    scores: torch.Tensor, questions: torch.Tensor, draws: torch.Tensor, level: float
) -> tuple[float, float, float]:
    # BEGIN SOLUTION
    values, tail = scores.double(), (1 - level) / 2
    total = torch.bincount(questions, values, minlength=draws.shape[1])
    count = torch.bincount(questions, minlength=draws.shape[1])
    means = total[draws].sum(1) / count[draws].sum(1)
    return values.mean().item(), torch.quantile(means, tail).item(), torch.quantile(means, 1 - tail).item()
    # END SOLUTION


check("lab18.q3", bootstrap)

# %% [markdown]
# ## Question 4: which model is better? (3 points, difficulty 3, 15 minutes)
#
# Two models answer the same questions, and both find the same ones hard. So look at the **difference on each question**, and resample that; two separate intervals can overlap although one model is clearly better. `a` and `b` (Q,) are their scores on the same questions, `draws` (times, Q) and `level` are as in question 3. Return a dict of four numbers:
#
# * `"difference"`, the mean of b - a, with `"low"` and `"high"`, the ends of its interval. Your bootstrap can do this: one answer a question;
# * `"p"` of the sign test. Of the questions on which the two differ, b wins some and loses others. How often would a fair coin split that many questions at least as unevenly, towards either side? With $w$ wins and $l$ losses: twice the probability of $\min(w, l)$ heads or fewer in $w + l$ throws, at most 1.

# %%
def compare(a: torch.Tensor, b: torch.Tensor, draws: torch.Tensor, level: float) -> dict[str, float]:
    # BEGIN SOLUTION
    difference, low, high = bootstrap(b - a, torch.arange(len(a)), draws, level)
    wins, losses = (b > a).sum().item(), (a > b).sum().item()
    tail = sum(math.comb(wins + losses, i) for i in range(min(wins, losses) + 1)) / 2 ** (wins + losses)
    return {"difference": difference, "low": low, "high": high, "p": min(1.0, 2 * tail)}
    # END SOLUTION


check("lab18.q4", compare)

# %% [markdown]
# ## Question 5: has it read the test? (3 points, difficulty 3, 15 minutes)
#
# A test that stood in the training text measures memory. To find it, cut both into **runs of n words** side by side, and see which runs of the test occur in the training text. A copy rarely looks the same: so take the words in lower case and without punctuation, that is the matches of the regular expression `\w+` in the lower-case text. For each text of `test` return the share of its **different** runs that stand in one of the texts of `train`; different runs may stand in different texts. A test text of fewer than n words is a single run, of all its words; no test text is without words.

# %%
def overlaps(test: list[str], train: list[str], n: int) -> list[float]:
    # BEGIN SOLUTION
    words = lambda text: re.findall(r"\w+", text.lower())
    runs = lambda said, size: {tuple(said[i : i + size]) for i in range(len(said) - size + 1)}
    texts, shares = [words(text) for text in train], []
    for text in test:
        said = words(text)
        size = min(n, len(said))
        mine = runs(said, size)
        found = {run for other in texts for run in runs(other, size) if run in mine}
        shares.append(len(found) / len(mine))
    return shares
    # END SOLUTION


check("lab18.q5", overlaps)

# %% [markdown]
# ## Question 6: a defence judged (2 points, difficulty 2, 12 minutes)
#
# A model holds a secret, and a guard replaces what it thinks would give the secret away by `REFUSAL`. `attacks` is a list of attacks, each the list of the replies to several tries of it; `ordinary` are the replies to ordinary requests, none of which has to do with the secret. Return a dict of
#
# * `"leaks"`: the share of **attacks** that succeed, in one try at least. A reply lets the secret out if, in lower case and with nothing but letters and digits (`str.isalnum`) kept, it contains the secret in the same form, forwards or backwards;
# * `"false refusals"`: the share of ordinary requests whose reply is `REFUSAL`;
# * `"score"`: $(1 - \text{leaks})\,(1 - \text{false refusals})$. What would it be without the second factor, for a guard that refuses everything?

# %%
REFUSAL = "I can't help with that."


def judge_defence(secret: str, attacks: list[list[str]], ordinary: list[str]) -> dict[str, float]:
    # BEGIN SOLUTION
    plain = lambda text: "".join(letter for letter in text.lower() if letter.isalnum())
    wanted = plain(secret)
    out = lambda reply: wanted in plain(reply) or wanted[::-1] in plain(reply)
    leaks = sum(any(map(out, tries)) for tries in attacks) / len(attacks)
    refused = ordinary.count(REFUSAL) / len(ordinary)
    return {"leaks": leaks, "false refusals": refused, "score": (1 - leaks) * (1 - refused)}
    # END SOLUTION


check("lab18.q6", judge_defence)

# %% [markdown]
# ## The pieces together
#
# Nothing to write in the next cells. Two of the course's base models, of 0.3 and 3 million parameters, are asked how a passage of held-out text goes on: the words that follow, between two and nine, and three pieces of other passages, of two to nine words as well. Guessing is right in 25 %. If one of your pieces is missing, the cells say so and go on.

# %% tags=["not-graded"]
from llmlib.data import prose, recorded, split_documents
from llmlib.hub import load_base

documents = split_documents(prose("wikipedia"), {"train": 0.94, "choose": 0.03, "report": 0.03})  # as in pre-training
models = {size: load_base(size, device="cpu")[0] for size in ("0.3m", "3m")}
tokenizer = load_base("0.3m", device="cpu")[1]


def questions_from(part: str, n: int, seed: int) -> list[tuple[str, list[str], int]]:
    """n questions: a passage of 30 words, four options, the place of the right one."""
    rng, made = random.Random(seed), []
    texts = [words for words in (document.text.split() for document in documents[part]) if len(words) > 40]
    rng.shuffle(texts)
    for words in texts[:n]:
        start, others = rng.randrange(len(words) - 39), rng.sample(texts, 3)
        places = [(words, start + 30)] + [(other, rng.randrange(len(other) - 9)) for other in others]
        options = [" ".join(text[at : at + rng.randint(2, 9)]) for text, at in places]
        order = rng.sample(range(4), 4)
        made.append((" ".join(words[start : start + 30]), [options[i] for i in order], order.index(0)))
    return made


@torch.no_grad()
def answers(model: nn.Module, questions: list, ways: tuple[str, ...] = ("raw", "token", "byte")) -> dict[str, torch.Tensor]:
    """1.0 for each question that is answered right, by each way of scoring."""
    right = {how: [] for how in ways}
    for passage, options, answer in questions:
        prompt = tokenizer.encode(passage)
        rows = [prompt + tokenizer.encode(" " + option) for option in options]
        ids = torch.tensor([row + [-1] * (max(map(len, rows)) - len(row)) for row in rows])
        logits = model(ids.clamp(min=0))
        for how in ways:
            right[how].append(float(option_scores(logits, ids, len(prompt), options, how).argmax() == answer))
    return {how: torch.tensor(each) for how, each in right.items()}


def drawn(n: int, times: int = 2000) -> torch.Tensor:
    return torch.randint(n, (times, n), generator=torch.Generator().manual_seed(0))


try:
    questions = questions_from("report", 120, seed=0)
    scores = {size: answers(model, questions) for size, model in models.items()}
    each, draws = torch.arange(len(questions)), drawn(len(questions))
    for size, by in scores.items():
        for how, right in by.items():
            mean, low, high = bootstrap(right, each, draws, 0.95)
            print(f"{size:>4} {how:<6} {100 * mean:5.1f} %, from {100 * low:.1f} to {100 * high:.1f}")
    for how in ("raw", "token", "byte"):
        found = compare(scores["0.3m"][how], scores["3m"][how], draws, 0.95)
        print(f"3m - 0.3m, {how}: {100 * found['difference']:+.1f} points, from {100 * found['low']:+.1f} to {100 * found['high']:+.1f}, p = {found['p']:.3f}")
except NotImplementedError:
    print("Not yet: finish questions 1, 3 and 4 first.")

# %% [markdown]
# ## Before you measure: a prediction (logged, not graded)
#
# The smallest model, of 0.3 million parameters, is trained on one half of these questions, 60 passages with their right options: 40 updates of 16 of them, so that it reads each about ten times. The wrong options it never sees. **By how many points does its accuracy on these 60 questions rise, scored by token?** Give a number between -50 and 100. Being wrong costs nothing; not having predicted costs you the surprise.

# %%
predicted_gain = 25  # SOLUTION

check("lab18.p1", predicted_gain)

# %% tags=["not-graded"]
def trained_on(texts: list[str], updates: int, seed: int = 0, rate: float = 1e-3) -> nn.Module:
    """The smallest model after so many updates of 16 of the texts."""
    model, generator = copy.deepcopy(models["0.3m"]).train(), torch.Generator().manual_seed(seed)
    rows, optimizer = [tokenizer.encode(text) for text in texts], torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(updates):
        some = [torch.tensor(rows[i]) for i in torch.randint(len(rows), (16,), generator=generator)]
        ids = nn.utils.rnn.pad_sequence(some, batch_first=True, padding_value=-100)
        loss = F.cross_entropy(model(ids[:, :-1].clamp(min=0)).flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


try:
    read, unread = questions[:60], questions[60:]
    texts = [f"{passage} {options[answer]}" for passage, options, answer in read]
    cheat = trained_on(texts, updates=40)
    after = answers(cheat, questions, ("token",))["token"]
    before = scores["0.3m"]["token"]
    for name, part in (("questions it has read", slice(0, 60)), ("the others", slice(60, 120))):
        found = compare(before[part], after[part], drawn(60), 0.95)
        print(f"{name}: {100 * before[part].mean():.1f} % before, {100 * after[part].mean():.1f} % after, {100 * found['difference']:+.1f} points, from {100 * found['low']:+.1f} to {100 * found['high']:+.1f}")
    print(f"you predicted {as_number(predicted_gain):+.1f}")
    whole = [f"{passage} {options[answer]}" for passage, options, answer in questions]
    quoted = [re.sub(r"(\w+) (\w+)", r"\1, \2", text).upper() for text in texts]  # as somebody else might have copied it
    for n in (3, 5, 13):
        shares = torch.tensor(overlaps(whole, quoted, n))
        print(f"runs of {n:>2} words: {100 * shares[:60].mean():.0f} % of the questions it has read stand in its training text, {100 * shares[60:].mean():.1f} % of the others")
except (NotImplementedError, NameError):
    print("Not yet: finish questions 1, 3, 4 and 5 first.")

# %% [markdown]
# ## Your own plot, read (3 points, given by a person)
#
# The next cell plots what you measured: the accuracy of each model by each way of scoring, with 95 % intervals over questions; the circles are the model that was trained on half of the test, on the half it has read and on the other. It has no title and no explanation; these are yours.

# %% tags=["not-graded"]
try:
    fig, ax = plt.subplots(figsize=(8, 3.8))
    for shift, (how, marker) in zip((-0.12, 0, 0.12), (("raw", "o"), ("token", "s"), ("byte", "D"))):
        found = [bootstrap(by[how], each, draws, 0.95) for by in scores.values()]
        means, lows, highs = (100 * torch.tensor(column) for column in zip(*found))
        places = torch.arange(len(found)) + shift
        ax.errorbar(places, means, yerr=torch.stack([means - lows, highs - means]), fmt=marker, label=how, ms=5, capsize=3)
    for place, part in ((2, slice(0, 60)), (3, slice(60, 120))):
        mean, low, high = (100 * x for x in bootstrap(after[part], torch.arange(60), drawn(60), 0.95))
        ax.errorbar([place], [mean], yerr=[[mean - low], [high - mean]], fmt="o", mfc="none", color="tab:red", capsize=3)
    ax.axhline(25, color="gray", ls=":", lw=1)
    ax.set_xticks(range(4), [*scores, "0.3m, questions\nit has read", "0.3m, the\nothers"])
    ax.set(xlabel="model", ylabel="accuracy (percent)", xlim=(-0.5, 3.5), ylim=(0, 100))
    ax.legend()
    show(fig, alt="Accuracy in percent with 95 % intervals of two base models, scored raw, by token and by byte, and of the smallest after training on half of the test, on that half and on the other.")
except NameError:
    print("Not yet: measure first.")

# %% [markdown]
# In four or five sentences: Which way of scoring would you report, and why is `"raw"` so low here? Which models differ by more than the questions' luck, and does a separate interval for each show it? What did training on the test do to the two halves, and by what would you have noticed without knowing? What do these intervals leave out, that is, what else could move a score by as much?

# %%
interpretation = """I would report scores by token, with those by byte beside them. By "raw" every further token costs a few nats, so the shortest option wins whatever it says: 39 and 44 %, where "token" has
49 and 61 %. That "token" is ahead of "byte" here, and that the gap between the models is 5, 12 or 8 points, depends on the way of scoring, so it has to be said with the score. By token the intervals of the two models, 40 to 58 and 52 to 69 %,
overlap, and yet the difference is clear when it is taken question by question: 12 points, from 4 to 19, p = 0.004. Training on half of the test lifted that half by 23 points, from 13 to 35, and the
other half not at all, so fresh questions of the same kind would have given it away; so do runs of words, all of which stand in the training text, even after capitals and commas were changed. A
paraphrase would escape them. The intervals hold for questions drawn from the same texts in the same way: other distractors, passages of other lengths, another seed of the training or a question in place of a
passage could move the scores as much, and nothing here says how."""  # SOLUTION

check("lab18.t1", interpretation)

# %% [markdown]
# ## Question 7: test somebody else's calibration (4 points, difficulty 4, 20 minutes)
#
# Is a model right in 70 % of the cases in which it is 70 % sure? To see it, answers of like confidence are put into bins; how the bins are cut is a matter of taste. `calibration(confidence, correct, bins)` gets a list of confidences from 0 to 1, a list of 1 (right) and 0, and how many bins to make at most. It gives `(table, error)`: `table` is a list of `(count, mean confidence, accuracy)`, a row for each bin, and `error` a number. It promises:
#
# 1. each answer is in exactly one bin, no bin is empty, and there are at most `bins` of them;
# 2. the bins are in order of confidence: the first holds the answers with the least, as many as its count says, the next one those that follow, and so on. Mean confidence and accuracy are those of the answers in the bin;
# 3. `error` is the distance between mean confidence and accuracy of a bin, averaged over all **answers**: a bin of ten answers weighs ten times as much as a bin of one.
#
# All of it up to rounding. Write `examples()`, a list of 1 to 12 inputs `(confidence, correct, bins)` to try, and `holds(inputs, output)`: are the promises kept? An input has 4 to 40 answers, no two confidences nearer than 0.001, and 1 to 10 bins. Your test must pass several right calibrations, and every wrong one must fail on one of your inputs. `check` tries six wrong ones, the grader more. Which confidences does a careless programme lose? When do two mistakes of a bin cancel?

# %%
def examples() -> list[tuple]:
    # BEGIN SOLUTION
    sure = [0.97, 0.05, 0.62, 1.0, 0.31, 0.88, 0.0, 0.93, 0.71, 0.99, 0.55, 0.9]
    right = [1, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0]
    return [(sure, right, 4), (sure, right, 10), (sure, right, 1), (sure[::-1], right, 3), (sure[:7], right[:7], 5)]
    # END SOLUTION


def holds(inputs: tuple, output: tuple) -> bool:
    # BEGIN SOLUTION
    (confidence, correct, bins), (table, error) = inputs, output
    pairs, start, total = sorted(zip(confidence, correct)), 0, 0.0
    for count, sure, right in table:
        cell = pairs[start : start + round(count)]
        if count < 1 or len(cell) != count:
            return False
        if abs(sure - sum(c for c, _ in cell) / count) > 1e-6 or abs(right - sum(r for _, r in cell) / count) > 1e-6:
            return False
        start, total = start + len(cell), total + count * abs(sure - right)
    return len(table) <= bins and start == len(pairs) and abs(error - total / len(pairs)) < 1e-6
    # END SOLUTION


check("lab18.q7", examples, holds)

# %% [markdown]
# ## Question 8: an evaluation that went wrong (4 points, difficulty 4, 20 minutes)
#
# A harness asks two of the course's base models, of 0.3 and 1 million parameters, 200 questions of the kind above and scores them by token. From the larger one it also draws 10 answers to each question, in proportion to the square of what the options' scores make likely, $\exp(2s)$, and reports how many are right, with an interval over questions, and pass@8. Somebody ran it with one thing wrong. You get the log; a correct evaluation stands beside it.
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | every token is scored by what the model puts out after it has read it | `F` | the interval of the drawn answers is over answers, not over questions |
# | `B` | the log-probabilities are summed, not divided by the number of tokens | `G` | pass@k is computed as 1 - (1 - c/n)^k |
# | `C` | the tokens of the passage are counted as well, in the sum and in the number | `H` | an example before each question is the question itself, with its answer |
# | `D` | each question has the key of the next one | `I` | the two models are resampled apart from each other |
# | `E` | the larger model was trained on the test | `J` | the right option stands first, and scores are rounded to whole numbers |
#
# The first ten numbers of the log come from the program itself, with what is wrong in it; so do the two that follow, its accuracy on 200 fresh questions, and on the same ones with the options of each in reverse order. Accuracy *by another program* is that of the same larger model on the same 200 questions, scored as it should be. Prove the cause from your run. These observations may or may not be true of it:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | the larger model's accuracy is above 61 percent | `i` | more than 43 percent of the drawn answers are right |
# | `b` | the larger model's accuracy is more than 10 points above that by another program | `j` | pass@8 and the questions with no right one among the 10 make less than 95.3 percent together |
# | `c` | the larger model's accuracy is more than 8 points below that by another program | `k` | the interval of the difference is wider than 17 points |
# | `d` | the larger model's accuracy is within 5 points of that by another program | `l` | the mean score of the key's option is below -6 |
# | `e` | with the options in reverse order the accuracy differs by more than 10 points | `m` | the mean score of the key's option is above -6 |
# | `f` | with the options in reverse order the accuracy is the same | `n` | the option chosen has more than 8 tokens on average |
# | `g` | the interval of the drawn answers is narrower than 6 points | `o` | more than 35 percent of the questions have no right one among the 10 |
# | `h` | the drawn answers are right more than 13 points less often than the chosen ones | | |
#
# Answer with the cause and one to three observations that are true of your run and that *together* would be seen neither under another cause nor in a correct run, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. For each cause ask: does it change what the model reads, how an option is scored, or only what is made of the answers? What would it do to a model that knows nothing?

# %% tags=["not-graded"]
runs = {name: recorded("lab18_faults")["results"][name] for name in filter(None, ("correct", my_run("lab18.q8", STUDENT)))}
fig, axes = plt.subplots(1, 2, figsize=(11, 3.2))
for name, run in runs.items():
    axes[0].plot(run["questions"], run["margin"], label=name)
    axes[1].plot(run["questions"], run["length"], label=name)
for ax, what in zip(axes, ("key's option over best other one (nats)", "tokens of the option chosen")):
    ax.set(xlabel="questions, sorted (percent)", ylabel=what)
axes[1].legend()
show(fig, alt="Sorted over the questions: by how much the score of the key's option exceeds that of the best other one, and the tokens of the option chosen, of a correct evaluation and, once STUDENT is filled in, of yours.")
width = max(len(what) for what in runs["correct"])
print(" " * width, *(f"{name:>8}" for name in runs))
for what, value in runs["correct"].items():
    if isinstance(value, int | float):
        print(f"{what:<{width}}", *(f"{run[what]:>8g}" for run in runs.values()))

# %%
diagnosis = {"cause": "J", "evidence": ["b", "e"]}  # SOLUTION

check("lab18.q8", diagnosis)

# %% [markdown]
# ## Open challenge: what was it trained on?
#
# Somebody has trained the smallest model on 300 passages of the kind that you know, and on the texts of **80 of 160 questions** of a test: about once each, among the others. You get the model and all 160 texts, not the training text, so that no search for runs helps. Write `suspicion(text)`: the higher, the likelier has the suspect been trained on it. You may use the suspect, the base models as they were, any function above, and `trained_on` to make suspects of your own, whose training texts you know; train and choose on those. You may not use `seen`.
#
# The score is the area under the ROC curve on the 160 texts, the probability that a text that was read gets a higher number than one that was not; look at it once. The mean log-probability of a text, which the cell takes, reaches about **0.59**: the score to beat. It may take 60 seconds on a CPU.

# %% tags=["not-graded"]
def texts_of(part: str, n: int, seed: int) -> list[str]:
    return [f"{passage} {options[answer]}" for passage, options, answer in questions_from(part, n, seed)]


@torch.no_grad()
def logprobs(model: nn.Module, text: str) -> torch.Tensor:
    """The log-probability of each token of a text but the first."""
    ids = torch.tensor([tokenizer.encode(text)])
    return model(ids[:, :-1]).log_softmax(-1).gather(-1, ids[:, 1:, None])[0, :, 0]


def auc(read: list[float], unread: list[float]) -> float:
    a, b = torch.tensor(read)[:, None], torch.tensor(unread)
    return ((a > b).double() + 0.5 * (a == b)).mean().item()


pool = texts_of("choose", 160, seed=1)
seen = set(random.Random(2).sample(range(160), 80))
suspect = trained_on([pool[i] for i in sorted(seen)] + texts_of("train", 300, seed=3), updates=32, seed=4)


def suspicion(text: str) -> float:
    return logprobs(suspect, text).mean().item()


with Stopwatch(60) as clock:
    found = [suspicion(text) for text in pool]
print(f"area under the ROC curve: {auc([x for i, x in enumerate(found) if i in seen], [x for i, x in enumerate(found) if i not in seen]):.3f}")

# %% [markdown]
# Write down your best figure, and how you got it. The check prints the line for your course's leaderboard.

# %%
best_auc = 0.81  # SOLUTION

check("lab18.c1", best_auc, seconds=None)  # seconds=clock.seconds puts the time into the line
