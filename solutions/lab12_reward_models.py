# %% [markdown]
# # Lab 12 · Teach a model what people prefer
#
# You write what lies between rankings and a reward: the loss of all pairs, the score at the last token, a split that does not leak, accuracy with an interval, calibration, one scale. With these you train a reward model for the support desk. You buy rankings within a budget, and find out what went wrong in a training. About 130 minutes; 26 points: 23 by the grader, 3 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab12_reward_models.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. You may use any tensor operation of PyTorch, but not the library's own reward models (`llmlib.align`): those are the answer.

# %%
import copy
import math
import random

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F

from courseware import Stopwatch, as_number, check, my_run, setup_style, show
from llmlib.data import SupportDesk, recorded

setup_style()
torch.manual_seed(0);

# %% [markdown]
# The last question is drawn for you. Write down the name or number under which you hand in, exactly as your course knows it (your login, if nobody said otherwise).

# %%
STUDENT = "student-1"  # SOLUTION

# %% [markdown]
# ## Question 1: the loss of rankings (3 points, difficulty 3, 15 minutes)
#
# An annotator has ranked the replies to each of some prompts. `scores` (P, K) are what the model gives to K replies to each of P prompts, in any order; `places` (P, K), whole numbers, are the annotator's: 1 is the best, and equal places mean that he or she saw no difference.
#
# If reply $i$ has a better place than reply $j$ of the same prompt, the loss of this pair is $-\log \sigma(s_i - s_j)$. Pairs on equal places have none. The loss of a prompt is the mean over its pairs, all of them, K (K - 1) / 2 where nothing is tied; return the mean over the prompts that have at least one, a tensor through which gradients flow. If there is none, raise a `ValueError`. Scores may be hundreds apart: nothing may become infinite that is not.

# %%
def ranking_loss(scores: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    # BEGIN SOLUTION
    difference = scores[:, :, None] - scores[:, None, :]
    better = places[:, :, None] < places[:, None, :]
    pairs = better.sum((1, 2))
    if not pairs.any():
        raise ValueError("places holds ties only: nobody said which reply is better")
    losses = -(F.logsigmoid(difference) * better).sum((1, 2))
    return (losses[pairs > 0] / pairs[pairs > 0]).mean()
    # END SOLUTION


check("lab12.q1", ranking_loss)

# %% [markdown]
# ## Question 2: a score at the last token (2 points, difficulty 2, 12 minutes)
#
# `hidden` (B, T, d) is what a causal model has made of B texts, prompt and reply, of different lengths: one vector for each place. `real` (B, T), bool, is `True` for the tokens of a text and `False` for padding. The padding may be on the right, on the left, or on both sides; the tokens of a text stand side by side. The reward head is a vector, `weight` (d,).
#
# Return the scores (B,): the product of `weight` and the vector at the **last real token** of each text, the only one that has read all of it. A text without any token is a `ValueError`.

# %%
def read_scores(hidden: torch.Tensor, real: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    # BEGIN SOLUTION
    if not real.any(1).all():
        raise ValueError("real has a row without a token: an empty text has no score")
    places = torch.arange(real.shape[1])
    last = torch.where(real, places, -1).amax(1)
    return hidden[torch.arange(len(hidden)), last] @ weight
    # END SOLUTION


check("lab12.q2", read_scores)

# %% [markdown]
# Before you build on a loss, try it where you know the answer. The next cell has nothing to write: two closed forms, a slow version that takes one pair after the other, and a text that is padded on either side.

# %% tags=["not-graded"]
try:
    gap, K = 1.7, 5
    print(f"all scores equal: {ranking_loss(torch.zeros(3, K), torch.arange(K).expand(3, K)):.4f}, log 2 is {math.log(2):.4f}")
    print(f"two replies, {gap} apart: {ranking_loss(torch.tensor([[gap, 0]]), torch.tensor([[1, 2]])):.4f}, log(1 + exp(-gap)) is {math.log1p(math.exp(-gap)):.4f}")
    scores, places = torch.randn(4, K), torch.stack([torch.randperm(K) for _ in range(4)])
    slow = []
    for s, p in zip(scores, places):
        slow.append([math.log1p(math.exp(s[j] - s[i])) for i in range(K) for j in range(K) if p[i] < p[j]])
    print(f"{len(slow[0])} pairs a prompt, one by one {sum(map(sum, slow)) / sum(map(len, slow)):.4f}, in one pass {ranking_loss(scores, places):.4f}")
except NotImplementedError:
    print("Not yet: finish question 1 first.")

# %% [markdown]
# ## Question 3: a split by prompt (3 points, difficulty 3, 18 minutes)
#
# Comparisons are published as long lists, and `prompts[i]` is the prompt of comparison `i`. Many comparisons have the same prompt: those of one ranking, and those of several annotators. They share replies, so that a model that has read one of them half knows the others. Prompts that differ in **capitals or white space** only are the same prompt.
#
# Return two lists of places in `prompts`, `(training, validation)`, which together hold every comparison once. All comparisons of a prompt are on the same side. Validation gets `share` of the *different prompts*, `round(share * number)` of them, but at least one, and leaves at least one to training. Which ones is drawn at random, every prompt as likely as any other however many comparisons it has. `seed` decides: the same seed gives the same split, also when somebody else has drawn random numbers in between.

# %%
def split(prompts: list[str], share: float, seed: int) -> tuple[list[int], list[int]]:
    # BEGIN SOLUTION
    names = [" ".join(prompt.lower().split()) for prompt in prompts]
    different = sorted(set(names))
    number = min(len(different) - 1, max(1, round(share * len(different))))
    held = set(random.Random(seed).sample(different, number))
    training = [i for i, name in enumerate(names) if name not in held]
    return training, [i for i, name in enumerate(names) if name in held]
    # END SOLUTION


check("lab12.q3", split)

# %% [markdown]
# ## Question 4: accuracy, and how sure you are of it (4 points, difficulty 4, 22 minutes)
#
# Three tensors (N,), one entry for each of N replies, in any order: its score, the place that an annotator gave it among the replies to its prompt (1 is the best), and the number of its prompt. Prompts have different numbers of replies.
#
# For each prompt take the share of its pairs that the scores order as the places do. A pair on equal places does not count; a pair of equal *scores* on different places counts as one half right. Prompts without a pair that counts are left out. Return two numbers: the **accuracy**, the mean of the prompts' shares, and **half of its 95 % interval**, with the prompts as the sample: $1.96\, s / \sqrt{n}$ for $n$ prompts whose shares have the deviation $s$ (with $n - 1$). With fewer than two prompts left raise a `ValueError`. What does training say about the scores of two replies to *different* prompts?

# %%
def accuracy(scores: torch.Tensor, places: torch.Tensor, prompts: torch.Tensor) -> tuple[float, float]:
    # BEGIN SOLUTION
    shares = []
    for name in prompts.unique():
        s, p = scores[prompts == name], places[prompts == name]
        right = (s[:, None] > s[None, :]).float() + 0.5 * (s[:, None] == s[None, :])
        counted = p[:, None] < p[None, :]
        if counted.any():
            shares.append(right[counted].mean())
    if len(shares) < 2:
        raise ValueError(f"only {len(shares)} prompts have a pair to judge: give at least two")
    shares = torch.stack(shares)
    return shares.mean().item(), 1.96 * shares.std().item() / len(shares) ** 0.5
    # END SOLUTION


check("lab12.q4", accuracy)

# %% [markdown]
# ## Question 5: is 80 % really 80 %? (3 points, difficulty 3, 18 minutes)
#
# `scores` (P, K) are now those of replies in the annotator's order, the best **first**. Of two replies to a prompt the model predicts that the one with the higher score wins, with the probability $\sigma(|s_i - s_j|)$, at least one half. It is *right* where the annotator agrees; of equal scores half count as right.
#
# Sort all P K (K - 1) / 2 pairs by the predicted probability and cut them into `bins` parts of equal size; where that does not come out even, the first parts hold one pair more, as `torch.tensor_split` does it. Return one tuple for each part, from the least sure to the surest: the mean of the predictions, the share of right ones, and the number of pairs.

# %%
def reliability(scores: torch.Tensor, bins: int) -> list[tuple[float, float, int]]:
    # BEGIN SOLUTION
    i, j = torch.triu_indices(scores.shape[1], scores.shape[1], 1)
    difference = (scores[:, i] - scores[:, j]).flatten()
    right = (difference > 0).float() + 0.5 * (difference == 0)
    parts = difference.abs().argsort().tensor_split(bins)
    return [(difference[p].abs().sigmoid().mean().item(), right[p].mean().item(), len(p)) for p in parts]
    # END SOLUTION


check("lab12.q5", reliability)

# %% [markdown]
# ## Question 6: one scale (2 points, difficulty 2, 12 minutes)
#
# A ranking loss knows differences only, so a constant may be added to all scores, and even one for each prompt. InstructGPT shifts its rewards such that the **demonstrations**, the replies that people wrote, have mean 0. `scores` (N,) and `prompts` (N,), whole numbers, belong to N replies in any order; `shown` (M,) are the scores of demonstrations. Return a dict:
#
# - `"normalised"` (N,): the scores, shifted so that those of the demonstrations have mean 0. Nothing is divided;
# - `"best"`: a list, for each prompt, in the order in which they first come, the place in `scores` of its best reply, the first if there are several;
# - `"above"` (N,): how far each score lies above the mean of the replies **to the same prompt**.

# %%
def one_scale(scores: torch.Tensor, prompts: torch.Tensor, shown: torch.Tensor) -> dict:
    # BEGIN SOLUTION
    best, above = [], torch.zeros_like(scores)
    for name in dict.fromkeys(prompts.tolist()):
        own = (prompts == name).nonzero()[:, 0]
        best.append(int(own[scores[own].argmax()]))
        above[own] = scores[own] - scores[own].mean()
    return {"normalised": scores - shown.mean(), "best": best, "above": above}
    # END SOLUTION


check("lab12.q6", one_scale)

# %% [markdown]
# ## The desk's rankings, and a reward model
#
# Nothing to write in the next two cells, nor in the two after your prediction. The model is the fine-tuned one of lecture 11. Each of 150 requests went to two annotators, who each ranked four replies of agents: one that solves the problem, one that promises the wrong thing, and two as they come. There are five annotators. Their tastes differ a little, and they rank with some noise: of two replies they prefer the better one with a probability that grows with the difference of what the desk really thinks of them, its **gold reward**. So nobody reaches an accuracy of 1. Ranking by the gold reward itself sets the **ceiling**, and the gold reward is there for measuring, never for training. If one of your pieces is still missing, the cells say so and go on.

# %% tags=["not-graded"]
from llmlib.align import chat_prompt, load_desk_reward
from llmlib.hub import load_desk
from llmlib.text import encode_chat

desk, (sft, tokenizer) = SupportDesk(0), load_desk("sft")
end = tokenizer.special_tokens["<|im_end|>"]
judges = desk.annotators(5, random.Random("annotators of the lab"))


def ranked(requests: list, rng: random.Random) -> list[tuple]:
    """Each request with four replies to it, best first as one of the annotators sees it today."""
    rankings = []
    for request in requests:
        replies = []
        for style in ("plain", "mistaken", None, None):
            while (reply := desk.reply(request, rng, style)) in replies:
                pass
            replies.append(reply)
        order = desk.rank(request, replies, rng, rng.choice(judges))
        rankings.append((request, [replies[i] for i in order]))
    return rankings


rng = random.Random("rankings of the lab")
rankings = ranked(2 * desk.requests(150, rng), rng)                      # every request twice
new_rankings = ranked(desk.requests(200, rng), rng)
print(rankings[0][0].text, *rankings[0][1], sep="\n  ")


# %% tags=["not-graded"]
class RewardModel(nn.Module):
    """The fine-tuned model with a vector in place of the vocabulary; all scores begin at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = copy.deepcopy(sft)
        self.weight = nn.Parameter(torch.zeros(sft.config.d_model))

    def forward(self, texts: list[tuple[str, str]], left: bool = False) -> torch.Tensor:
        """Scores (B,) of texts (request, reply); left: padded on the left."""
        messages = [[{"role": "user", "content": asked}, {"role": "assistant", "content": reply}] for asked, reply in texts]
        ids = [encode_chat(tokenizer, m, add_generation_prompt=False) for m in messages]
        ids = [text[: len(text) - text[::-1].index(end)] for text in ids]              # up to the end of the reply
        T = max(map(len, ids))
        rows = [[0] * (T - len(text)) * left + text + [0] * (T - len(text)) * (not left) for text in ids]
        real = [[False] * (T - len(t)) * left + [True] * len(t) + [False] * (T - len(t)) * (not left) for t in ids]
        real = torch.tensor(real)
        return read_scores(self.trunk.hidden(torch.tensor(rows), pad_mask=real), real, self.weight)


@torch.no_grad()
def scores_of(model: RewardModel, rankings: list[tuple]) -> torch.Tensor:
    """(rankings, K), in the annotators' order."""
    texts = [(request.text, reply) for request, replies in rankings for reply in replies]
    scores = torch.cat([model.eval()(texts[i : i + 160]) for i in range(0, len(texts), 160)])
    return scores.view(len(rankings), -1)


def judged(scores: torch.Tensor) -> tuple[float, float]:
    """Accuracy and half its interval, of scores in the annotators' order."""
    P, K = scores.shape
    return accuracy(scores.flatten(), torch.arange(1, K + 1).repeat(P), torch.arange(P).repeat_interleave(K))


try:
    model = RewardModel()
    nn.init.normal_(model.weight)
    texts = [(rankings[0][0].text, reply) for reply in rankings[0][1]]
    print("padded on the right", *(f"{s:.3f}" for s in model(texts).tolist()))
    print("padded on the left ", *(f"{s:.3f}" for s in model(texts, left=True).tolist()))
    gold = torch.tensor([[desk.gold(request, reply) for reply in replies] for request, replies in new_rankings])
    print("The ceiling, an accuracy of {:.2f} ± {:.2f}".format(*judged(gold)))
except NotImplementedError:
    print("Not yet: finish questions 2 and 4 first.")

# %% [markdown]
# ## Before you train: a prediction (logged, not graded)
#
# The next cell trains a reward model on about 225 rankings, which takes seconds, and must reach an accuracy on new prompts whose interval lies **above 0.60**. Then every reply to the new prompts is scored once more, but as if *another* customer had asked: the promise to repair a lamp stands below a question about a bill. The annotators' order stays as it was. **What accuracy will be left?** Give a number between 0 and 1; 0.5 is what a coin gets. Being wrong costs nothing; not having predicted costs you the surprise.

# %%
predicted_accuracy = 0.55  # SOLUTION

check("lab12.p1", predicted_accuracy)

# %% tags=["not-graded"]
def train(rankings: list[tuple], passes: int = 4, rows: int = 8, lr: float = 3e-3, after_pass=None) -> RewardModel:
    """A reward model that has read all rankings so many times, `rows` of them an update."""
    torch.manual_seed(0)
    model, step = RewardModel(), 0
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.0)
    steps = passes * math.ceil(len(rankings) / rows)
    for _ in range(passes):
        for part in torch.randperm(len(rankings)).split(rows):
            optimizer.param_groups[0]["lr"] = lr * min(1, (step + 1) / 5) * (1 - step / steps)
            texts = [(rankings[i][0].text, reply) for i in part.tolist() for reply in rankings[i][1]]
            scores = model.train()(texts).view(len(part), -1)
            loss = ranking_loss(scores, torch.arange(scores.shape[1]).expand_as(scores))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
        if after_pass:
            after_pass(model)
    return model


# %% tags=["not-graded"]
try:
    training, validation = ([rankings[i] for i in side] for side in split([r.text for r, _ in rankings], 0.25, seed=0))
    curve = {"rankings that were read": [], "new prompts": []}
    seen = []

    def watch(model: RewardModel) -> None:
        seen.append(scores_of(model, validation))
        curve["rankings that were read"].append(judged(scores_of(model, training[: len(validation)])))
        curve["new prompts"].append(judged(seen[-1]))

    model = train(training, after_pass=watch)
    reached = judged(scores_of(model, new_rankings))
    swapped = [(other, replies) for (other, _), (_, replies) in zip(new_rankings[1:] + new_rankings[:1], new_rankings)]
    left_over = judged(scores_of(model, swapped))
    shipped, _ = load_desk_reward()
    fig, axes = plt.subplots(1, 2, figsize=(11, 3.8))
    for name, values in curve.items():
        y, half = zip(*values)
        axes[0].errorbar(range(1, len(y) + 1), y, half, marker="o", capsize=4, label=name)
    axes[0].axhline(judged(gold)[0], color="0.4", ls="--", label="ceiling: the gold reward")
    axes[0].axhline(0.5, color="0.7", ls=":", label="a coin")
    axes[0].set(xlabel="passes over the training rankings", ylabel="accuracy, with 95 % intervals", xticks=range(1, len(y) + 1))
    for name, scores in (("after the first pass", seen[0]), ("after the last", seen[-1])):
        predicted, agreed, _ = zip(*reliability(scores, 6))
        axes[1].plot(predicted, agreed, marker="o", label=name)
    axes[1].plot([0.5, 1], [0.5, 1], color="0.7", ls=":", label="calibrated")
    axes[1].set(xlabel="predicted probability, mean of a bin", ylabel="share that agreed", title="prompts of the validation")
    for ax in axes:
        ax.legend(fontsize=8)
    show(fig, alt="Left: accuracy after each pass on rankings that were read and on new prompts, with intervals, the ceiling and a coin. Right: predicted probability against the share that agreed, after the first and the last pass.")
    print(f"{len(training)} rankings. On 200 new prompts: {reached[0]:.2f} ± {reached[1]:.2f};", "reached" if reached[0] - reached[1] > 0.6 else "not yet above 0.60")
    print(f"each reply beside another customer's request: {left_over[0]:.2f} ± {left_over[1]:.2f}, you predicted {as_number(predicted_accuracy):.2f}")
    for name, some in (("on the new prompts", new_rankings), ("beside another's request", swapped)):
        prompts = [chat_prompt(tokenizer, request.text) for request, replies in some for _ in replies]
        scores = shipped.score(prompts, [tokenizer.encode(reply) for _, replies in some for reply in replies], end)
        print("the shipped model of 6,000 rankings {}: {:.2f} ± {:.2f}".format(name, *judged(scores.view(len(some), -1))))
except NotImplementedError:
    print("Not yet: finish questions 1 to 5 first.")

# %% [markdown]
# The last two lines are about the reward model that lies in the package, `load_desk_reward()`. It has read 6,000 rankings of six replies, some of them written by the model itself, and its numbers are from the same rankings as yours. Read two of the rankings above again: what do the replies of most pairs differ in, and which pairs can nobody judge who has not read the request?
#
# ## Read your plot (3 points, given by a person)
#
# In four or five sentences about *your* figure and the numbers below it: What happens to the two accuracies from pass to pass, and which differences are larger than their intervals? How far is the model from the ceiling, and why does the ceiling not lie at 1? Of its surest pairs, how often is it right, before and after the last passes, and what would you do about it? What does the accuracy beside the wrong request say about what yours has learned and the shipped one, and what could a chatbot do that is trained against yours?

# %%
interpretation = """On rankings that it has read the accuracy rises from pass to pass, 0.66 to 0.82. On new prompts it rises from 0.61 to 0.70 in three passes
and then stops; from the second pass on these intervals of 0.05 overlap, while the two curves end 0.12 apart, which is more than either interval. It stays 0.14 below the ceiling of 0.84, and that is not 1
because annotators differ in taste and rank with noise. After the first pass it claims about 0.8 of its surest pairs and keeps it; after the last it claims 0.97 and keeps 0.8, so I would stop earlier
or divide the scores by a temperature found on other prompts. Beside the wrong request it loses next to nothing, so it has learned how good replies sound and not whether they answer: a chatbot trained
against it would be polite and promise anything to anybody. The shipped model falls from 0.81 to 0.63 there, so it does read requests; my 224 rankings were too few for that, I guess, since it has also read other replies."""  # SOLUTION

check("lab12.t1", interpretation)

# %% [markdown]
# ## Question 7: rankings for a budget (3 points, difficulty 3, 15 minutes)
#
# An annotator reads a request in a minute and each of its replies in half a minute; putting them in order takes no time worth counting. So a ranking of K replies takes $1 + K / 2$ minutes, and gives K (K - 1) / 2 pairs. Somebody has trained reward models, nearly as you did (the rate stays where it is), with all combinations of
#
# - `"requests"`: 40, 80, 160 or 320, each ranked by one annotator;
# - `"replies"`: 2, 4 or 8 to each of them;
# - `"passes"`: 1, 2 or 4 over all rankings;
#
# two seeds each, and has measured them on rankings of four replies to 200 requests to choose by, which the next cell shows, and to 200 others to report. Choose one combination:
#
# - at most **10 hours** of annotators;
# - a loss on the requests to report of at most **0.58** nats per pair (a model that knows nothing has log 2, 0.69; one that is sure and wrong has more).
#
# Within these, the **lower end of the interval** of its accuracy on the requests to report must be at least **0.68**. `check` shows it. The interval is over requests; how much depends on which rankings a model has read, only the two seeds show. Ask `check` once: requests that are looked at again and again are no longer there to report on.

# %% tags=["not-graded"]
table = recorded("lab12_table")["results"]
fig, axes = plt.subplots(1, 2, figsize=(11, 3.6))
for K, color in ((2, "C0"), (4, "C1"), (8, "C2")):
    for passes, style in ((1, "-"), (2, "--"), (4, ":")):
        at = [r for r in table if (r["replies"], r["passes"]) == (K, passes)]
        hours = [r["requests"] * (1 + K / 2) / 60 for r in at]
        axes[0].plot(hours, [sum(r["accuracy, to choose by"]) / 2 for r in at], style, color=color, marker=".")
        axes[1].plot(hours, [sum(r["loss, to choose by"]) / 2 for r in at], style, color=color, marker=".", label=f"{K} replies, passes: {passes}")
for ax, what in zip(axes, ("accuracy", "loss (nats per pair)")):
    ax.set(xscale="log", xlabel="hours of annotators", ylabel=f"{what}, to choose by")
    ax.axvline(10, color="0.4", ls="--")
    ax.set_xticks([2, 5, 10, 30], labels=["2", "5", "10", "30"])
    ax.xaxis.set_minor_formatter("")
axes[1].legend(fontsize=7, ncols=2)
show(fig, alt="Accuracy and loss on requests to choose by against hours of annotators, one line for each number of replies and of passes; a vertical line at 10 hours.")
print(f"{'requests':>8} {'replies':>8} {'passes':>7} {'hours':>6}   accuracy, two seeds, ± half   loss, two seeds")
for r in table:
    a, loss = r["accuracy, to choose by"], r["loss, to choose by"]
    print(f"{r['requests']:>8} {r['replies']:>8} {r['passes']:>7} {r['requests'] * (1 + r['replies'] / 2) / 60:>6.1f}   {a[0]:>12.3f} {a[1]:.3f} ± {r['half width, to choose by']:.3f}   {loss[0]:>9.3f} {loss[1]:.3f}")

# %%
purchase = {"requests": 160, "replies": 4, "passes": 4}  # SOLUTION

check("lab12.q7", purchase)

# %% [markdown]
# ## Question 8: a training that went wrong (3 points, difficulty 4, 20 minutes)
#
# Somebody trained the reward model of this lab on 200 rankings of four replies: three passes, eight rankings an update; afterwards the scores were shifted such that 200 demonstrations have mean 0. One thing is wrong. You get the log; a correct run stands beside it.
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | the score is read in the last column, which is a pad in all but the longest rows | `F` | the learning rate is 20 times too low |
# | `B` | the replies come worst first | `G` | the reply is read without its request |
# | `C` | pairs are split into training and validation, and not prompts | `H` | there are 25 rankings, read 24 times |
# | `D` | the annotators like long replies | `I` | replies are cut off after 8 tokens |
# | `E` | nothing shifts the scores after training | | |
#
# The first four numbers of the log come from the program itself, with what is wrong in it. For the others the program has scored the same 200 new rankings as every other program, and 200 new demonstrations; accuracy and loss are computed in the right way, the annotators are those of the correct run, and scores are compared within requests. A *change* is the mean change of a score, in units of the deviation of the scores of one request, when something is done to the text: padding is added on the right, it answers another customer, its end is that of another reply. Prove the cause from your run. These observations may or may not be true of it:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | the program's accuracy on training pairs is more than 20 points above the accuracy on new prompts | `g` | 12 columns of padding change a score by more than 0.02 deviations |
# | `b` | the training loss of the last 10 updates is above 0.6 | `h` | another reply's words from the 9th token on change a score by less than 0.3 deviations |
# | `c` | the accuracy on new prompts is below 52 % | `i` | another customer's request changes no score |
# | `d` | the accuracy on new prompts is above 56 % | `j` | the loss on new prompts is above 1 nat per pair |
# | `e` | the deviation of the scores of one request is above 0.5 | `k` | training has read prompts of the validation pairs |
# | `f` | the mean score of new replies is above -0.3 | `l` | the correlation of score and length is above 0.7 |
#
# Answer with the cause and one to three observations that are true of your run and that *together* would be seen neither under another cause nor in a correct run, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. For each cause ask: what does the model learn all the same, and what can a score no longer depend on?

# %% tags=["not-graded"]
runs = {name: recorded("lab12_faults")["results"][name] for name in filter(None, ("correct", my_run("lab12.q8", STUDENT)))}
fig, ax = plt.subplots(figsize=(7.5, 3.2))
for name, run in runs.items():
    ax.plot(run["steps"], run["training"], label=name)
ax.axhline(math.log(2), color="0.7", ls=":", label="log 2")
ax.set(xlabel="update", ylabel="training loss (nats per pair)")
ax.legend()
show(fig, alt="Training loss of a correct run and, once STUDENT is filled in, of yours, each as its program computes it, with a line at log 2.")
width = max(len(what) for what in runs["correct"])
print(" " * width, *(f"{name:>8}" for name in runs))
for what, value in runs["correct"].items():
    if isinstance(value, int | float):
        print(f"{what:<{width}}", *(f"{run[what]:>8.3g}" for run in runs.values()))

# %%
diagnosis = {"cause": "G", "evidence": ["d", "i"]}  # SOLUTION

check("lab12.q8", diagnosis)

# %% [markdown]
# ## Open challenge: 300 rankings, 30 seconds
#
# Start from the fine-tuned model and the 300 `rankings` above, both annotators' of each request; besides them you may use whatever the desk's agents write, `desk.reply(request, rng)`, unranked, as much as you like. You know nothing else of the desk: its gold reward, its annotators, its lists of phrases and its findings are for measuring only, and more rankings are not for sale. Optimizer, rates, losses, averages of several models, and what you make of a ranking: all yours. What stays true of a ranking if another item is put into the request and into all replies?
#
# The score is the accuracy on the 300 rankings of the next cell; look at it once, and tune on a split of your own. The training above, on all 300 rankings, reaches about **0.72**: the score to beat. Training may take 30 seconds on a CPU.

# %% tags=["not-graded"]
try:
    with Stopwatch(30) as clock:
        challenger = train(rankings[:80], passes=1)                      # all of them, when you mean it
    rng = random.Random("rankings of the challenge")
    challenge = ranked(desk.requests(300, rng), rng)
    print("accuracy {:.3f} ± {:.3f}".format(*judged(scores_of(challenger, challenge))))
except NotImplementedError:
    print("Not yet: finish questions 1, 2 and 4 first.")

# %% [markdown]
# Write down your best figure, and how you got it. The check prints the line for your course's leaderboard.

# %%
best_accuracy = 0.731  # SOLUTION

check("lab12.c1", best_accuracy, seconds=None)  # seconds=clock.seconds puts the time into the line
