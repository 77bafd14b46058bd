# %% [markdown]
# # Lab 10 · Teach it, or ask it
#
# A model that has read a lot can be put to a task in two ways: train it on examples, as GPT-1 was, or put the examples into its prompt. You write both: the head that reads a text's class and the two losses of fine-tuning, a prompt with examples, the scores of label words behind it, and the calibration that takes the prompt's own preference out of them. You measure what eight prompts are worth, test a program that prepares texts for GPT-1, and find out what went wrong in a fine-tuning. About 90 minutes; 27 points: 24 by the grader, 3 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab10_transfer_and_prompting.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. You may use all of Python, PyTorch and numpy, and not the library's own classifier, scores or calibration: that is the answer.

# %%
import random

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from courseware import Stopwatch, as_number, check, my_run, setup_style, show
from llmlib.data import headlines, rated_texts, recorded

setup_style()

# %% [markdown]
# The last question is drawn for you. Write down the name or number under which you hand in, exactly as your course knows it (your login, if nobody said otherwise).

# %%
STUDENT = "student-1"  # SOLUTION

# %% [markdown]
# ## Question 1: the head (2 points, difficulty 2, 10 minutes)
#
# GPT-1 puts an *extract* token behind each text and reads the class from its state: it is the last token, so it has seen all others. `hidden` (B, T, d) holds the states of a batch; `mask` (B, T) is True where there is a token and False at pads. One program pads **behind** the texts, another **in front** of them; within a row the tokens stand together. Return the logits, (B, C): `weight` (C, d) and `bias` (C,) applied to the state of each row's last token. Before you write: what does `hidden[:, -1]` read in a batch of texts of unequal length?


# %%
def class_logits(hidden: torch.Tensor, mask: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    # BEGIN SOLUTION
    places = torch.arange(mask.shape[1])
    last = torch.where(mask, places, -1).amax(1)
    return hidden[torch.arange(len(hidden)), last] @ weight.T + bias
    # END SOLUTION


check("lab10.q1", class_logits)

# %% [markdown]
# ## Question 2: two losses (4 points, difficulty 3, 15 minutes)
#
# Two ways of fine-tuning, two losses. In both `ids` (B, T) are rows with pads behind, `mask` is True at tokens, and `token_logits` (B, T, V) are the model's: those at a place predict the **next** token.
#
# `with_auxiliary` is GPT-1's. The class of each text has `class_logits` (B, C) and a label (B,); the loss of the next tokens is added as an auxiliary one:
#
# $$L = \frac1B \sum_{\text{texts}} -\ln p(\text{label}) \;+\; \text{weight} \cdot \frac1n \sum_{\text{targets}} -\ln p(\text{token} \mid \text{tokens before}).$$
#
# The $n$ targets are all tokens of the batch but the first of each text; a pad is none.
#
# `of_answer` is for a task that is put in words: a row is a prompt and then its answer, which begins at the place `starts` (B,), counted from 0 and at least 1. Its loss is the mean over the tokens of all answers of the batch, and of nothing else. Return scalars that can be trained on. Which place's logits predict an answer's first token?


# %%
class Losses:
    @staticmethod
    def with_auxiliary(
        class_logits: torch.Tensor,
        token_logits: torch.Tensor,
        ids: torch.Tensor,
        labels: torch.Tensor,
        mask: torch.Tensor,
        weight: float,
    ) -> torch.Tensor:
        # BEGIN SOLUTION
        targets = ids.masked_fill(~mask, -100)[:, 1:]
        auxiliary = F.cross_entropy(token_logits[:, :-1].transpose(1, 2), targets)
        return F.cross_entropy(class_logits, labels) + weight * auxiliary
        # END SOLUTION

    @staticmethod
    def of_answer(
        token_logits: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, starts: torch.Tensor
    ) -> torch.Tensor:
        # BEGIN SOLUTION
        answer = mask & (torch.arange(ids.shape[1]) >= starts[:, None])
        targets = ids.masked_fill(~answer, -100)[:, 1:]
        return F.cross_entropy(token_logits[:, :-1].transpose(1, 2), targets)
        # END SOLUTION


check("lab10.q2", Losses)

# %% [markdown]
# ## Question 3: a prompt with examples (4 points, difficulty 3, 15 minutes)
#
# `pool` holds labelled examples, (text, label); labels count from 0, and `names[label]` is a label's word. `few_shot` writes a prompt that shows `k` of them and asks for the label of `text`:
#
# 1. **Leave out** of the pool whatever is the text itself. Two texts are the same if they are so without regard to case, their words joined by single spaces.
# 2. **Take the classes in turns**: the first example of class 0 in the pool, the first of class 1, and so on, then the second of class 0, ... A class that has no more is passed over. Stop at `k`, or when there are none left.
# 3. **Write** them in this order, an empty line between any two, and the text last, with nothing behind the colon:
#
# ```
# Review: works again and again
# Label: positive
#
# Review: the screen broke
# Label:
# ```
#
# The words of every text are joined by single spaces, so that no text brings lines of its own. What would a measured accuracy mean if step 1 were missing? And why nothing behind the colon, not even a space?


# %%
def few_shot(pool: list[tuple[str, int]], text: str, k: int, names: list[str]) -> str:
    # BEGIN SOLUTION
    clean = lambda t: " ".join(t.split())
    asked = clean(text)
    rows = [[] for _ in names]
    for example, label in pool:
        if clean(example).casefold() != asked.casefold():
            rows[label].append(f"Review: {clean(example)}\nLabel: {names[label]}")
    shown = []
    while len(shown) < k and any(rows):
        shown += [row.pop(0) for row in rows if row]
    return "\n\n".join([*shown[:k], f"Review: {asked}\nLabel:"])
    # END SOLUTION


check("lab10.q3", few_shot)

# %% [markdown]
# ## Question 4: scores of label words (3 points, difficulty 3, 15 minutes)
#
# What does a model answer? Not whatever it would write: we compare the labels, by how likely each is behind the prompt. But `delighted` is one token, and `dissatisfied` two. `model(ids)` takes a batch of ids (B, T) and gives logits (B, T, V), those at a place for the next token; it reads from left to right and knows no mask. `prompt` is a list of ids, `labels` a list of such lists, of unequal lengths. Return a list with one score for each label:
#
# * `per_token=False`: the log-probability of the whole label behind the prompt, the sum over its tokens;
# * `per_token=True`: that sum divided by the label's number of tokens.
#
# Each of the two favours some labels for a reason that has nothing to do with the text. Which?


# %%
def score_labels(model, prompt: list[int], labels: list[list[int]], per_token: bool) -> list[float]:
    # BEGIN SOLUTION
    scores = []
    for label in labels:
        row = torch.tensor([[*prompt, *label]])
        logp = model(row)[0, len(prompt) - 1 : -1].log_softmax(-1)
        each = logp.gather(-1, torch.tensor(label)[:, None])
        scores.append((each.mean() if per_token else each.sum()).item())
    return scores
    # END SOLUTION


check("lab10.q4", score_labels)

# %% [markdown]
# ## Question 5: calibration (3 points, difficulty 3, 10 minutes)
#
# A prompt leans to a label before it has read the text. So read it with other texts too, whose labels nobody needs to know, and see what it says **on average**. `scores` (n, C) are log-scores of the labels for the items to be classified, `own` (m, C) for the others, under the same prompt. Turn each row of both into probabilities over the labels, by a softmax; let $\bar p$ be the mean of the others' rows; then
#
# $$p_{\text{calibrated}}(\text{label}) \;\propto\; p(\text{label}) / \bar p(\text{label}),$$
#
# each row summing to 1. Return (n, C). By hand first: if $\bar p = (0.8, 0.2)$, which label gets an item with the probabilities $(0.7, 0.3)$? Scores of long words may be as low as $-800$.


# %%
def calibrate(scores: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    # BEGIN SOLUTION
    calibrated = scores.softmax(1) / own.softmax(1).mean(0)
    return calibrated / calibrated.sum(1, keepdim=True)
    # END SOLUTION


check("lab10.q5", calibrate)

# %% [markdown]
# ## The pieces together
#
# Nothing to write in the next cells. The texts are sentences of customers' reviews that many raters found clearly good or clearly bad (Hutto and Gilbert, 2014), half of each. SmolLM2 reads a prompt of yours:

# %% tags=["not-graded"]
from llmlib.hub import load_smollm2

rated = rated_texts("product")
made = recorded("lab10_scores")["results"]
shots = [(rated[i].text, int(rated[i].mean < 0)) for i in made["sentences"]["calibration"]]
items = [rated[i].text for i in made["sentences"]["measured"]]
try:
    words = ["delighted", "dissatisfied"]
    prompt = few_shot(shots, items[1], 2, words)
    print(prompt)
    smollm2, tokenizer = load_smollm2()
    labels = [tokenizer.encode(" " + word) for word in words]
    for per_token in (False, True):
        with torch.inference_mode():
            found = score_labels(smollm2, tokenizer.encode(prompt), labels, per_token)
        print("per token:" if per_token else "whole word:", dict(zip(words, (f"{s:.1f}" for s in found))))
except NotImplementedError:
    print("Not yet: finish questions 3 and 4 first.")

# %% [markdown]
# ## Before you measure: a prediction (logged, not graded)
#
# To score 120 sentences under eight prompts takes minutes; it is recorded. Each prompt has two label words of its own and no examples; it was written before anything was measured on these sentences, and all eight are kept. The answer is the label with the larger sum. Then each prompt is calibrated on 60 other sentences, half of them good as well, whose labels are not used. **By how many points does that change the accuracy, on average over the eight prompts?** Give a number from -50 to 50. Before calibration three of them do about as well as a coin.

# %%
predicted_gain = 15  # SOLUTION

check("lab10.p1", predicted_gain)


# %% tags=["not-graded"]
def right(numbers: torch.Tensor) -> np.ndarray:
    """Is the label with the largest number the sentence's? Good and bad ones take turns."""
    return (numbers.argmax(1) == torch.arange(len(numbers)) % 2).numpy()


def in_order(sums: torch.Tensor) -> float:
    """Of all pairs of a good and a bad sentence, the share in which the good one is nearer to the good label."""
    lean = sums[:, 0] - sums[:, 1]
    return float((lean[0::2, None] > lean[None, 1::2]).float().mean())


ways = ("sum", "per token", "calibrated on empty texts", "calibrated on 60 sentences")
try:
    rows = []
    print(f"{'':<42}{'tokens':<8}{'  '.join(ways)}  pairs in order")
    for each in made["prompts"]:
        sums, own, empty = (torch.tensor(each[name]) for name in ("measured", "calibration", "empty"))
        numbers = (sums, sums / torch.tensor(each["tokens"]), calibrate(sums, empty), calibrate(sums, own))
        rows.append([100 * right(x).mean() for x in numbers])
        shown = "".join(f"{value:>{len(way)}.0f}  " for value, way in zip(rows[-1], ways))
        name = each["prompt"].replace("\n", " / ")
        print(f"{name:<42}{'{} + {}'.format(*each['tokens']):<8}{shown}{100 * in_order(sums):>14.0f}")
    accuracy = np.array(rows)
    changed = accuracy[:, 3] - accuracy[:, 0]
    print(
        f"calibration changes the accuracy by {changed.min():+.0f} to {changed.max():+.0f} points, "
        f"{changed.mean():+.1f} on average; you predicted {as_number(predicted_gain):+.0f}"
    )
except NotImplementedError:
    print("Not yet: finish question 5 first.")

# %% [markdown]
# The last column asks for less than an answer: is the good sentence of a pair nearer to the good label than the bad one? A coin has 50.
#
# ## Your own plot, read (3 points, given by a person)
#
# On the left a row is a prompt, by its labels and their tokens, and each mark a way of reading its scores; the line is the 95 % interval of the last. On the right, how the accuracy changes with the number of sentences that a prompt is calibrated on, the mean over 40 draws of them; the broken lines are without calibration. It has no title and no explanation; these are yours.

# %% tags=["not-graded"]
try:
    fig, axes = plt.subplots(1, 2, figsize=(11, 3.8))
    for place, row in enumerate(accuracy):
        half = 196 * np.sqrt(row[3] / 100 * (1 - row[3] / 100) / 120)
        axes[0].plot([row[3] - half, row[3] + half], [place, place], color="0.6", lw=2, zorder=0)
        for n, (value, mark) in enumerate(zip(row, "osv*")):
            label = None if place else ways[n]
            axes[0].plot(value, place, mark, color=f"C{n}", ms=9 if mark == "*" else 6, label=label)
    names = ["{} / {}  ({} + {})".format(*each["labels"], *each["tokens"]) for each in made["prompts"]]
    axes[0].set_yticks(range(8), names)
    axes[0].invert_yaxis()
    axes[0].axvline(50, color="0.8", lw=1, zorder=0)
    axes[0].set(xlabel="accuracy (percent)", xlim=(25, 100))
    axes[0].legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.4, 1), ncol=2)
    draw, counts = random.Random(0), (1, 2, 4, 8, 16, 32, 60)
    curves = np.zeros((8, len(counts)))
    for place, each in enumerate(made["prompts"]):
        sums, own = torch.tensor(each["measured"]), torch.tensor(each["calibration"])
        for n, count in enumerate(counts):
            draws = [draw.sample(range(len(own)), count) for _ in range(40)]
            curves[place, n] = 100 * np.mean([right(calibrate(sums, own[some])).mean() for some in draws])
    for name, some, color in (
        ("gains most", [int(changed.argmax())], "C2"),
        ("mean of the eight", list(range(8)), "C0"),
        ("loses most", [int(changed.argmin())], "C1"),
    ):
        axes[1].plot(counts, curves[some].mean(0), "o-", color=color, label=name)
        axes[1].axhline(accuracy[some, 0].mean(), color=color, ls="--", lw=1)
    axes[1].set(xlabel="sentences calibrated on", ylabel="accuracy (percent)", xscale="log")
    axes[1].set_xticks(counts, [str(count) for count in counts])
    axes[1].minorticks_off()
    axes[1].legend(fontsize=8)
    show(
        fig,
        alt="Left: accuracy of eight prompts by sums, per token, calibrated on empty texts and on sentences. Right: accuracy against the number of sentences calibrated on, for the mean of the prompts, the one that gains most and the one that loses most.",
    )
except (NameError, NotImplementedError):
    print("Not yet: measure first.")

# %% [markdown]
# In four or five sentences: What does dividing by the number of tokens do to labels of unequal lengths here? Which prompts does calibration help, which does it harm, and by more than the intervals allow for chance? What do the *pairs in order* say about that: what can calibration mend, and what not? How many sentences does it need, and what has it been told here that a user may not know?

# %%
interpretation = """Per token the prompts whose labels have unequal lengths fall to 50 %: the longer label's last tokens are nearly sure once its first is said, so its mean is high whatever the text, and it is always the answer;
the sum errs less. Calibration on 60 sentences lifts 'great / terrible' from 51 to 76 % and 'wonderful / a disappointment' from 64 to 79 %, more than the 9 points that 120 sentences leave to chance, and lets '5 / 1' fall from 50 to 36 %, below a coin.
It moves the border between two labels and not the order of the texts: where most pairs are in order a leaning prompt gets better, and where the order is wrong, or there is none, moving the border cannot help, and a prompt that always said the same
loses the safety of its 50 %. On average over the eight it is 4 points, nearly all of it from the first four sentences. It has been told that half of the sentences are good: among customers of whom nine in ten are content it would take away what the prompt rightly expects."""  # SOLUTION

check("lab10.t1", interpretation)

# %% [markdown]
# ## Question 6: test somebody else's input transformations (4 points, difficulty 4, 15 minutes)
#
# GPT-1 takes every task as rows of tokens (Radford et al., 2018, figure 1). `transform(kind, first, others, limit)` prepares them. `first` and each of `others` are texts, lists of tokens from 3 on; the marks are START = 0, DELIMITER = 1, EXTRACT = 2. It promises a list of rows:
#
# | `kind` | `others` | rows |
# | --- | --- | --- |
# | `"single"` | none | one: START, first, EXTRACT |
# | `"pair"` | one text | one: START, first, DELIMITER, other, EXTRACT |
# | `"similar"` | one text | two, as it has no order of its own: that of a pair and START, other, DELIMITER, first, EXTRACT; either may come first |
# | `"choice"` | 1 to 4 answers | one for each answer, in their order: START, first, DELIMITER, answer, EXTRACT |
#
# No row is longer than `limit`. Where one would be, **`first` is cut**, and nothing else: what is left is a piece of it without gaps, from wherever, as long as there is room for in this row. Marks and other texts stand there whole.
#
# Write `examples()`, a list of 1 to 24 inputs, each a tuple `(kind, first, others, limit)`, and `holds(inputs, output)`: are the promises kept? `first` has 1 to 12 tokens, an other text 1 to 6, all from 3 to 99; `limit` is at most 30 and leaves room for the marks, the other text and one token of `first`. Your test must pass several right programs, which cut at different ends, and every wrong one must fail on one of your inputs. `check` tries six wrong ones, the grader more. What if the limit is met exactly? What if the answers are of unequal lengths?


# %%
def examples() -> list[tuple]:
    # BEGIN SOLUTION
    short, long = [5, 6, 7], [10, 11, 12, 13, 14, 15, 16, 17]
    return [
        ("single", short, [], 12), ("single", long, [], 10), ("single", long, [], 6),
        ("pair", short, [[8, 9]], 12), ("pair", long, [[8, 9]], 13), ("pair", long, [[8, 9]], 9),
        ("similar", short, [[8, 9]], 12), ("similar", long, [[8, 9]], 9), ("similar", long, [[8]], 12),
        ("choice", short, [[9, 8], [4]], 12), ("choice", long, [[9], [4, 8, 3], [20, 21]], 9),
        ("choice", long, [[9], [4], [9]], 12), ("choice", short, [[4]], 7),
    ]  # fmt: skip
    # END SOLUTION


def holds(inputs: tuple, output: object) -> bool:
    # BEGIN SOLUTION
    kind, first, others, limit = inputs

    def rows(other: list[int] | None, turned: bool = False) -> list[list[int]]:
        """All that a row may be."""
        rest = [] if other is None else [1, *other]
        n = min(len(first), limit - 2 - len(rest))
        kept = [first[i : i + n] for i in range(len(first) - n + 1)]
        return [[0, *other, 1, *piece, 2] if turned else [0, *piece, *rest, 2] for piece in kept]

    wanted = [rows(other) for other in others] if others else [rows(None)]
    if kind == "similar":
        wanted.append(rows(others[0], turned=True))
    fits = lambda found: len(found) == len(wanted) and all(row in may for row, may in zip(found, wanted))
    return fits(output) or (kind == "similar" and fits(output[::-1]))
    # END SOLUTION


check("lab10.q6", examples, holds)

# %% [markdown]
# ## Question 7: a fine-tuning that went wrong (4 points, difficulty 4, 15 minutes)
#
# Somebody fine-tuned the course's smallest base model to tell the headlines of a paper that jokes from those of one that does not: 600 headlines in batches of 32, padded behind, 120 updates, a head that reads the extract token, and the auxiliary loss with a weight of 0.5. One thing is wrong with it. You get the log; a correct run stands beside it.
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | the head reads the last place of the padded row | `F` | the labels of the test headlines are turned round |
# | `B` | the auxiliary loss counts the pads | `G` | the validation headlines are among the training headlines |
# | `C` | the auxiliary loss is left out | `H` | the auxiliary loss is not shifted: each token predicts itself |
# | `D` | the pre-trained weights are not loaded | `I` | the head reads the first place |
# | `E` | the trunk is frozen, only the head is trained | `J` | the training headlines were sorted by label before the first 600 were taken |
#
# The **trunk** is the pre-trained model, all but the head. The **margin** is the logit of *joke* less that of *news*. What the program computes is computed with what is wrong in it; the *loss of next words on test headlines* is measured in the same, right way for all runs, before the first update and after the last. Prove the cause from your run. These observations may or may not be true of it:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | the training loss of the class ends below 0.2 | `i` | the accuracy on test headlines is below 55 % |
# | `b` | the training loss of the class ends above 0.62 | `j` | the spread of the margin is below 0.8 |
# | `c` | the auxiliary loss that the program computes ends below 4.7 | `k` | the trunk's weights change by less than 2 % |
# | `d` | the auxiliary loss that the program computes ends above 6 | `l` | the accuracy on validation headlines is more than 14 points above that on test headlines |
# | `e` | the loss of next words on test headlines rises | `m` | 8 more pads change the margin by more than 0.001 |
# | `f` | the loss of next words on test headlines falls by more than 0.3 | `n` | the accuracy on validation headlines is above 80 % |
# | `g` | the auxiliary loss that the program computes begins above 7.45 | `o` | the accuracy on training headlines is below 70 % |
# | `h` | all test headlines get the same answer | `p` | the spread of the margin is above 0.9 |
#
# Answer with the cause and one to three observations that are true of your run and that *together* would be seen neither under another cause nor in a correct run, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. For each cause ask: which of the two losses sees it, does the head get anything to learn from, and what would the model say of a text that it has never seen?

# %% tags=["not-graded"]
runs = {
    name: recorded("lab10_faults")["results"][name] for name in filter(None, ("correct", my_run("lab10.q7", STUDENT)))
}
fig, axes = plt.subplots(1, 2, figsize=(10, 3.2))
for ax, (curve, name) in zip(axes, (("class", "loss of the class (nats)"), ("auxiliary", "auxiliary loss (nats)"))):
    for which, run in runs.items():
        ax.plot(run["steps"], run[curve], label=which)
    ax.set(xlabel="update", ylabel=name)
axes[-1].legend()
show(
    fig,
    alt="Loss of the class and auxiliary loss against the update, of a correct run and, once STUDENT is filled in, of yours.",
)
width = max(len(what) for what in runs["correct"])
print(" " * width, *(f"{name:>9}" for name in runs))
for what, value in runs["correct"].items():
    if isinstance(value, int | float):
        print(f"{what:<{width}}", *(f"{run[what]:>9.3g}" for run in runs.values()))

# %%
diagnosis = {"cause": "G", "evidence": ["l", "n"]}  # SOLUTION

check("lab10.q7", diagnosis)

# %% [markdown]
# ## Open challenge: 300 labels
#
# Tell jokes from news with the labels of 300 headlines. (A label is the paper that printed the headline, The Onion or HuffPost; nobody judged single ones.) The cell fine-tunes the smallest base model with your head and your loss. Do better: a larger base model, other rates, poolings and weights; words and pairs of words; and 18,600 further headlines **without labels**, `headlines("unlabelled")`, to pre-train on. Choose by the 2,000 of `headlines("choose")`; the score is the share of the 1,000 challenge headlines that is right: look at them once. No other labels, please, and no model that has been trained on such headlines.
#
# What the cell does reaches about **0.63**: the score to beat. All training and reading may take 60 seconds on a CPU.


# %% tags=["not-graded"]
from llmlib.hub import load_base


def rows_of(texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """ids and mask of START, a headline, EXTRACT, padded behind."""
    special = base_tokenizer.special_tokens
    start, extract = special["<|endoftext|>"], special["<|im_end|>"]
    rows = [[start, *base_tokenizer.encode(text)[:24], extract] for text in texts]
    width = max(map(len, rows))
    mask = torch.tensor([[place < len(row) for place in range(width)] for row in rows])
    return torch.tensor([row + [start] * (width - len(row)) for row in rows]), mask


try:
    labelled, challenge = headlines("train")[:300], headlines("report")[:1000]
    with Stopwatch(60) as clock:
        torch.manual_seed(0)
        base, base_tokenizer = load_base("0.3m")
        head = nn.Linear(base.config.d_model, 2)
        nn.init.normal_(head.weight, std=0.02)
        optimizer = torch.optim.AdamW(
            [{"params": base.parameters(), "lr": 1e-3}, {"params": head.parameters(), "lr": 5e-3}]
        )
        draw = random.Random(0)
        for _ in range(60):
            some = draw.sample(labelled, 16)
            ids, mask = rows_of([one.text for one in some])
            h = base.hidden(ids)
            logits = class_logits(h, mask, head.weight, head.bias)
            loss = Losses.with_auxiliary(
                logits, base.head(h), ids, torch.tensor([one.label for one in some]), mask, weight=0.5
            )
            loss.backward()
            nn.utils.clip_grad_norm_([*base.parameters(), *head.parameters()], 1.0)
            optimizer.step()
            optimizer.zero_grad()
        with torch.inference_mode():
            ids, mask = rows_of([one.text for one in challenge])
            said = class_logits(base.hidden(ids), mask, head.weight, head.bias).argmax(1)
    share = float((said == torch.tensor([one.label for one in challenge])).float().mean())
    print(f"{share:.3f} of the challenge headlines are right (plus or minus {1.96 * (share * (1 - share) / 1000) ** 0.5:.2f})")
except NotImplementedError:
    print("Not yet: finish questions 1 and 2 first.")

# %% [markdown]
# Write down your best figure, and how you got it. The check prints the line for your course's leaderboard.

# %%
best_accuracy = 0.73  # SOLUTION

check("lab10.c1", best_accuracy, seconds=None)  # seconds=clock.seconds puts the time into the line
