# %% [markdown]
# # 10 · Transfer and prompting
#
# **The question of this lecture.** A language model has read a great deal and been told nothing about your task. *How do you get your task out of it: do you change its weights or choose your words, and what does each way need, cost and get wrong?*
#
# Day 24 shows GPT-1's way: "Pre-training + Fine-tuning outperforms training on the original task". 11-785 goes on to the way that came after, and sets the two side by side under "What to Pick?". This page runs both.
#
# **Afterwards you can**
# - write any task as rows of tokens that a language model can be fine-tuned on, and add GPT-1's second loss;
# - say what pre-training was worth in a small experiment, against which baselines, and where it lost;
# - train a model that learns a function from examples in its context, and test that it does;
# - read a label off a prompt, take the prompt's own preference out of it, and say how far to trust the number;
# - choose between fine-tuning and prompting by counting labels, operations and failures.
#
# **Before this:** lectures 03 and 07; lecture 00 for intervals. Lecture 05 is of help and not needed.
#
# **Time:** core 75 minutes, optional 26 minutes; one class. All cells together: under a minute of computing on a laptop CPU. What took longer was run once and is marked *recorded*.
#
# <!-- sources: day24, 11785, hlt -->

# %%
import hashlib
import math
import random
import re
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from courseware import (Claim, Diagram, bars, claims_table, curves, explore, panels,
                        poll, setup_style, show, table)
from llmlib.data import (TaskTokens, choice_rows, draw_per_class, headlines, pad_rows,
                         pair_row, prose, recorded, similarity_rows, single_row,
                         spearman)
from llmlib.evaluate import (bootstrap_interval, calibrate_labels,
                             continuation_logprobs, label_scores, score_texts,
                             split_at_answer)
from llmlib.hub import load_base
from llmlib.infer import few_shot_prompt, wilson_interval
from llmlib.model import Classifier, ModelConfig, Transformer, count_parameters, preset
from llmlib.train import TrainConfig
from llmlib.train.parameter_groups import build_optimizers

setup_style(compact=True)
torch.manual_seed(0);

# %% [markdown]
# ## I. Change the weights: GPT-1
#
# GPT-1 (Radford et al., 2018) was pre-trained on books and then fine-tuned on twelve tasks. They look different: is this sentence grammatical, do these two mean the same, which of four answers fits the passage? The paper's answer is to leave the model alone and change the *input*: everything becomes rows of tokens with three marks in them, and the answer is read off the last token.

# %% tags=["diagram"]
d = Diagram(12, 4.3)
def row_of(y, *parts):
    x = 3.1
    for text, color in parts:
        w = {"green": 1.25, "orange": 0.75}.get(color, 2.0)
        d.box(x + w / 2, y, text, w=w - 0.06, h=0.5, color=color, size=10.5)
        x += w
    return x
one, two, three = ("text", "blue"), ("first", "blue"), ("second", "sky")
start, between, end = ("start", "grey"), ("delim", "orange"), ("extract", "green")
start = ("start", "orange")
for y, name, rows in ((3.9, "single text", [(one,)]), (3.15, "pair, in order", [(two, three)]), (2.4, "similarity", [(two, three), (three, two)]), (1.05, "multiple choice", [(("context", "blue"), ("option A", "sky")), (("context", "blue"), ("option B", "sky"))])):
    d.label(0.1, y - 0.29 * (len(rows) - 1), name, align="left")
    for i, parts in enumerate(rows):
        row = [start, parts[0]] + ([between, parts[1]] if len(parts) > 1 else []) + [end]
        edge = row_of(y - 0.58 * i, *row)
        d.arrow((edge, y - 0.58 * i), (10.08, y - 0.29 * (len(rows) - 1)))
    middle = y - 0.29 * (len(rows) - 1)
    d.box(11.05, middle, {"similarity": "add, linear", "multiple choice": "linear, softmax"}.get(name, "linear"), w=1.9, h=0.5, color="grey", size=10)
d.show(alt="GPT-1's input transformations. A single text: start, text, extract. A pair: start, first, delimiter, second, extract. Similarity: the pair in both orders, the two vectors added. Multiple choice: one row for each option after the same context, a softmax over the rows. A linear layer reads the vector of the extract token.")

# %%
# NBVAL_CHECK_OUTPUT
marks = TaskTokens(start=0, delimiter=1, extract=2)


def row(*texts):
    """[start] text [extract]; of several texts with a delimiter between them."""
    ids = [marks.start, *texts[0]]
    for text in texts[1:]:
        ids += [marks.delimiter, *text]
    return [*ids, marks.extract]


a, b, c = [11, 12, 13], [21, 22], [31]                     # three texts as token ids
assert row(a) == single_row(a, marks, limit=64)
assert row(a, b) == pair_row(a, b, marks, limit=64)
assert [row(a, b), row(b, a)] == similarity_rows(a, b, marks, limit=64)
assert [row(a, b), row(a, c)] == choice_rows(a, [b, c], marks, limit=64)
print("single:", row(a), "  pair:", row(a, b))
with warnings.catch_warnings(record=True) as said:
    print("choice:", *choice_rows(a, [b, c], marks, limit=7))
print("warned:", said[0].message)

# %% [markdown]
# **By hand.** An exam question has a passage of 300 tokens and four answers of 20 each. How many tokens does the model read? Four rows, each with the passage, one answer and three marks: $4 \times 323 = 1292$. The passage is read four times.
#
# New weights are few: the vectors of the three marks and one linear layer. Everything else begins where pre-training left it. The loss has two parts,
#
# $$L \;=\; \underbrace{-\log p(y \mid x_1, \dots, x_T)}_{\text{the label}} \;+\; \lambda \, \underbrace{\tfrac{1}{T} \sum_t -\log p(x_t \mid x_{<t})}_{\text{the text itself}} , \qquad \lambda = 0.5 ,$$
#
# the second of which goes on with pre-training on the task's own texts: the *auxiliary loss*.

# %%
def two_losses(classifier, ids, real, labels, weight=0.5):
    """GPT-1's loss. ids, real: (B, T); labels: (B,)."""
    h = classifier.trunk.hidden(ids, pad_mask=real)                  # (B, T, d)
    text = (h * real[..., None]).sum(1) / real.sum(1, keepdim=True)  # mean: (B, d)
    label_loss = F.cross_entropy(classifier.class_head(text), labels)
    following = ids[:, 1:].masked_fill(~real[:, 1:], -100)           # no loss on pads
    tokens = classifier.trunk.head(h)[:, :-1].flatten(0, 1)
    return label_loss + weight * F.cross_entropy(tokens, following.flatten())


base, tokenizer = load_base("0.3m")
MARKS = TaskTokens(*(tokenizer.special_tokens[name] for name in
                     ("<|endoftext|>", "<|im_start|>", "<|im_end|>")))
ids, real = pad_rows([single_row(tokenizer.encode(text), MARKS, 64)
                      for text in ("man bites dog", "local man is fine")])
classifier, labels = Classifier(base, n_classes=2), torch.tensor([0, 1])
logits, after = classifier(ids, real, auxiliary=True)              # llmlib's
per_token = F.cross_entropy(after[:, :-1].mT, ids[:, 1:], reduction="none")
theirs = F.cross_entropy(logits, labels) + 0.5 * per_token[real[:, 1:]].mean()
torch.testing.assert_close(two_losses(classifier, ids, real, labels), theirs)

# %% [markdown]
# ### A task with real labels, and the baseline first
#
# 28,614 headlines, of which 48 % were printed by *The Onion*, in jest, and the others by *HuffPost*, in earnest (Misra and Arora, 2019; CC BY 4.0). The label is the *house*: nobody judged single headlines, and what tells the two houses apart helps. Headlines that share most of their words are in one split.
#
# Before any network: a *bag of words*, which knows which words occur and nothing of their order. Ridge regression, in closed form.

# %%
def bag_of_words(train, test, strength=10.0):
    """Ridge regression on which words occur: the share of `test` that is right."""
    words = lambda one: set(re.findall(r"[\w']+", one.text))
    known = sorted(set().union(*map(words, train)))
    bags = lambda some: torch.tensor([[w in bag for w in known] + [True]
                                      for bag in map(words, some)]).float()
    x, y = bags(train), torch.tensor([2.0 * one.label - 1 for one in train])
    w = x.T @ torch.linalg.solve(x @ x.T + strength * torch.eye(len(x)), y)
    return np.mean([(s > 0) == one.label for s, one in zip(bags(test) @ w, test)])


pool, report = headlines("train"), headlines("report")
few = draw_per_class(pool, 150, seed=0)                # 150 of each kind
for one in few[:4]:
    print("jest:   " if one.label else "earnest:", one.text)
print(f"bag of words, 300 labels: {bag_of_words(few, report):.2f}")

# %% [markdown]
# **Before you go on:** a Transformer of 0.3 million weights that has read nothing and is trained on the same 300: clearly better than that, about as good, or worse?

# %%
def fine_tune(trunk, some, test, updates=100, rate=1e-3, batch=16):
    """A classifier on `trunk`, mean pooling: the share of `test` that is right."""
    model = Classifier(trunk.train(), 2, dropout=0.1)
    encode = lambda one: single_row(tokenizer.encode(one.text)[:100], MARKS, 128)
    rows, labels = list(map(encode, some)), torch.tensor([one.label for one in some])
    groups = [dict(params=model.trunk.parameters(), lr=rate),
              dict(params=model.class_head.parameters(), lr=5 * rate)]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: min((k + 1) / 10, 1.5 * (1 - k / updates), 1))
    for _ in range(updates):
        drawn = torch.randperm(len(rows))[:batch]
        logits = model(*pad_rows([rows[i] for i in drawn]))
        F.cross_entropy(logits, labels[drawn]).backward()
        optimizer.step(), schedule.step(), optimizer.zero_grad()
    test = sorted(test, key=lambda one: len(one.text))        # like lengths together
    rows = list(map(encode, test))
    with torch.no_grad():
        said = [model.eval()(*pad_rows(rows[i:i + 100])).argmax(1)
                for i in range(0, len(rows), 100)]
    return np.mean(torch.cat(said).numpy() == [one.label for one in test])


for name, trunk in (("from scratch", Transformer(base.config)), ("pre-trained", base)):
    began = time.process_time()
    print(f"{name}: {fine_tune(trunk, few, report):.2f} right, "
          f"{time.process_time() - began:.0f} s")

# %% [markdown]
# One draw of labels, one seed, and a base model that has read Wikipedia and tales and no headline. Even so its weights are, in this draw, a better place to start from than random ones, and the bag of words is level with them.

# %% [markdown]
# ### GPT-1's experiment in small
#
# *Recorded; five seeds, three of them with 5,000 labels.* The same task with everything GPT-1 compared: a decoder of 0.8 million weights, pre-trained on the 18,600 headlines of a split without labels, or on as many tokens of Wikipedia in rows of the same lengths, or not at all; with and without the auxiliary loss; and an LSTM of as many weights. (All networks read tokens learnt from the unlabelled headlines.) Each contender had three rates to choose from on the choose split (the bag of words three penalties); all are reported once, on 2,002 headlines. The intervals draw seeds and headlines anew. Look first for who is above the bag of words.

# %% tags=["diagram"]
transfer, sizes = recorded("transfer")["results"], recorded("transfer_sizes")["results"]
NAMED = {"bag of words": ("bag of words", "k", "s"), "pretrained": ("pre-trained on headlines", "#0072B2", "o"), "auxiliary": ("the same, auxiliary loss", "#56B4E9", "o"), "wikipedia": ("pre-trained on Wikipedia", "#009E73", "^"), "scratch": ("from scratch", "#D55E00", "v"), "lstm": ("LSTM from scratch", "#CC79A7", "v")}
RESULTS = {name: transfer["accuracy"][name] | sizes["accuracy"].get(name, {}) for name in NAMED}
SIZES_ = ["100", "300", "1000", "5000"]


def interval_of(one, fmt=".2f"):
    return f"{one['mean']:{fmt}} ({one['interval'][0]:{fmt}} to {one['interval'][1]:{fmt}})"


fig, ax = plt.subplots(figsize=(7.2, 3.2))
for i, (name, (label, color, shape)) in enumerate(NAMED.items()):
    at = [(j + 0.11 * (i - 2.5), RESULTS[name][n]["mean"], *RESULTS[name][n]["interval"]) for j, n in enumerate(SIZES_) if n in RESULTS[name]]
    places, means, lows, highs = np.array(at).T
    ax.errorbar(places, means, [means - lows, highs - means], fmt=shape, color=color, capsize=3, label=label)
ax.set_xticks(range(len(SIZES_)), [f"{int(n):,} labels" for n in SIZES_])
ax.set(ylabel="right, 95 % interval", ylim=(0.55, 0.88))
ax.legend(fontsize=8.5, loc="upper left", bbox_to_anchor=(1, 1))
show(fig, alt="Headlines right after fine-tuning, with 95 % intervals. " + " ".join(f"{label}: " + ", ".join(f"{interval_of(RESULTS[name][n])} with {n} labels" for n in SIZES_ if n in RESULTS[name]) + "." for name, (label, _, _) in NAMED.items()))
table([{"difference": f"{one['more']} less {one['less']}", "labels": one["labels"], "mean and 95 % interval": interval_of(one, "+.3f"), "by seed": ", ".join(f"{x:+.2f}" for x in one["seeds"])} for one in transfer["differences"] + [{"more": "pretrained", "less": "bag of words", "labels": int(n)} | one for n, one in sizes["less bag of words"]["pretrained"].items()] + [{"more": f"task of rated reviews: pre-trained on {text}", "less": "scratch", "labels": 300} | recorded("transfer_reviews")["results"]["less reviews, scratch"][f"reviews, {text}"]["300"] for text in ("reviews", "headlines")] if one["more"] not in ("extract token", "end mark")], caption="recorded: the same headlines and seeds, paired")

# %% [markdown]
# *On the task's own kind of text*, pre-training is worth about nine points over the same network from scratch with 100 labels and six and a half with 300, and the intervals of the accuracies are apart as well. GPT-1's conclusion holds here. The rest:
#
# - *As many tokens of Wikipedia* are worth nothing that five seeds can show. That model did learn something: it predicts unseen headlines with 6.7 nats a token, where an untrained one needs 8.0 and the one that read headlines 5.0. The base model above had never met a headline either and gained in its one run; it had read about ten times as many tokens, but its size and vocabulary differ, too.
# - *The auxiliary loss* changes nothing: zero, to within a point.
# - *The LSTM* is where the decoder from scratch is. (GPT-1's LSTM was pre-trained.)
# - *The bag of words* has no layers and next to no cost. It is three points behind the pre-trained model with 100 labels, with 300 and 1,000 the two cannot be told apart, and with 5,000 it is a point ahead in each of three seeds, with an interval that still holds zero.
# - *More labels* make pre-training worth less: under three points at 5,000.
# - *Another task*, rated reviews, three seeds: pre-training on reviews is worth two points, and on headlines not clearly less.
#
# ### Where to read the answer (*optional*)
#
# GPT-1 reads its answer from the *extract* token, which sees the whole row. This page has used the mean of all states. Does it matter? There is a trap in it. Pre-training usually *packs* its texts, one after another in long rows with an end mark between them. What does a model know at such a mark? It must predict how the next text begins, and the last one says nothing about that.
#
# *Recorded:* pre-training on the same headlines as above, one a row, and packed into rows of 60 tokens. Then 300 labels: all weights fine-tuned, and a logistic regression on the frozen states.

# %% tags=["diagram"]
packed, probe = recorded("transfer_packed")["results"], recorded("transfer_probe")["results"]["accuracy"]
frozen = lambda text, place: ", ".join(f"{x:.2f}" for x in probe[text][place]["300"])
table([{"read from": place, "one a row: fine-tuned": told_rows, "frozen, by seed": one, "packed: fine-tuned": told_packed, "frozen, by seed ": two} for place, told_rows, one, told_packed, two in (
    ("the mean of all states", interval_of(transfer["accuracy"]["pretrained"]["300"]), frozen("headlines", "mean"), interval_of(packed["accuracy"]["packed, mean"]["300"]), frozen("packed", "mean")),
    ("the end mark", interval_of(transfer["accuracy"]["end mark"]["300"]), frozen("headlines", "end mark"), interval_of(packed["accuracy"]["packed, end mark"]["300"]), frozen("packed", "end mark")),
    ("the last word", "", frozen("headlines", "last word"), "", frozen("packed", "last word")),
    ("GPT-1's extract token, new in fine-tuning", interval_of(transfer["accuracy"]["extract token"]["300"]), "", interval_of(packed["accuracy"]["packed, extract token"]["300"]), ""))],
      caption=f"recorded: right of {transfer['asked']:,} headlines; 95 % interval over five seeds, or three seeds")

# %% [markdown]
# The trap is in the *frozen* states: after packed pre-training the end mark knows less about its headline than the mean does, in every seed. Fine-tuning mends it; with all weights free, 120 updates are enough to give any place the use that is asked of it, and no difference is left that five seeds can show. (Packing itself costs a little here.) So one may read where one likes *if one trains all weights*; of states that stay as they are, take the mean.

# %% [markdown]
# ### What GPT-1's own table says (*optional*)
#
# Day 24 shows the ablation table of the paper and concludes that pre-training plus fine-tuning is better. It is. But look at the rows with and without the auxiliary loss.

# %%
# NBVAL_CHECK_OUTPUT
tasks = "CoLA SST2 MRPC STSB QQP MNLI QNLI RTE".split()
rows = {"with auxiliary LM (full)": (74.7, "45.4 91.3 82.3 82.0 70.3 81.8 88.1 56.0"),
        "without pre-training":     (59.9, "18.9 84.0 79.4 30.9 65.5 75.7 71.2 53.8"),
        "without auxiliary LM":     (75.0, "47.9 92.0 84.9 83.2 69.8 81.1 86.9 54.4"),
        "LSTM with auxiliary LM":   (69.1, "30.3 90.5 83.2 71.8 68.1 73.7 81.1 54.6")}
table5 = {name: [float(x) for x in text.split()] for name, (_, text) in rows.items()}
for name, (printed, _) in rows.items():
    print(f"{name:26} printed {printed}, mean of the eight {np.mean(table5[name]):.2f}")
full, without = list(table5.values())[::2]
helped = [task for task, a, b in zip(tasks, full, without) if a > b]
print("the auxiliary loss helps on", helped)

# %% [markdown]
# The full method, which the paper recommends, has the *lower* average: 74.7 against 75.0. (The LSTM's eight numbers have a mean of 69.16, not 69.1, which their own rounding can explain.) The paper says that larger datasets profit from the auxiliary loss and smaller ones do not. Three of the four on which it helps are its largest, and the fourth, RTE, is its smallest. One run for each number and no intervals: a third of a point decides nothing, in either direction. Ours, over five seeds, finds nothing to decide.

# %% [markdown]
# ## II. Change nothing: learning in context
#
# GPT-3 (Brown et al., 2020) was given examples in its *input*, and its weights stayed as they were. Lecture 03 promised to look at what a model can pick up from its context alone. <!-- keeps: 10-in-context-learning --> In a model of text that is hard to see: it may know the task already. So here is a task that nobody can know beforehand. Every row of training has a linear function of its own, $y = w \cdot x$, with $w$ drawn anew and never shown. The model reads pairs $(x_1, y_1), (x_2, y_2), \dots$ and predicts the next $y$ (Garg et al., 2022).
#
# **By hand.** With one number in place of three: the pairs are $(2, 6)$ and $(-1, -3)$, the question is $x = 4$. The answer is 12, and you found a rule to get it. With $x$ of three numbers it takes three pairs to fix $w$; after $k < 3$ of them, $3 - k$ directions of $w$ are unknown, and the best possible guess errs by $(3 - k)/3$ of the variance of $y$: 1, 0.67, 0.33, 0. That best guess is ridge regression with almost no ridge, and it is the mark to reach.

# %%
def draw(n, rng, pairs=10):
    """x (n, pairs + 1, 3) and y (n, pairs + 1): a function for each row."""
    w = torch.randn(n, 3, generator=rng)
    x = torch.randn(n, pairs + 1, 3, generator=rng)
    return x, (x * w[:, None]).sum(-1)


def as_row(x, y):
    """A place for each question, (x, 0, 1), then one for its pair, (x, y, 0)."""
    zero, one = torch.zeros_like(y)[..., None], torch.ones_like(y)[..., None]
    asked = torch.cat([x, zero, one], -1)
    told = torch.cat([x, y[..., None], zero], -1)
    return torch.stack([asked, told], 2).flatten(1, 2)[:, :-1]      # (n, 21, 5)


def ridge(x, y, strength=1e-3):
    """The next y by ridge regression on the pairs before it: (n, pairs + 1)."""
    guesses = []
    for k in range(x.shape[1]):
        X, Y, eye = x[:, :k], y[:, :k, None], strength * torch.eye(3)
        w = torch.linalg.solve(X.mT @ X + eye, X.mT @ Y)
        guesses.append((x[:, k] * w[..., 0]).sum(-1))
    return torch.stack(guesses, 1)


x, y = draw(1, torch.Generator().manual_seed(0))
w, *_ = np.linalg.lstsq(x[0, :10].numpy(), y[0, :10].numpy(), rcond=None)
assert abs(x[0, 10].numpy() @ w - ridge(x, y)[0, 10].item()) < 1e-2

# %% tags=["diagram"]
d = Diagram(12, 2.9)
for i, (text, color) in enumerate([("$x_1$ ?", "grey"), ("$x_1, y_1$", "blue"), ("$x_2$ ?", "grey"), ("$x_2, y_2$", "blue"), ("$x_3$ ?", "grey")]):
    place = d.box(1.5 + 2.1 * i, 0.7, text, w=1.6, h=0.6, color=color)
    d.arrow(place, (1.5 + 2.1 * i, 1.5))
    if color == "grey":
        out = d.box(1.5 + 2.1 * i, 2.5, rf"$\hat y_{i // 2 + 1}$", w=0.9, h=0.55, color="green")
        d.arrow((1.5 + 2.1 * i, 1.98), out)
d.box(5.7, 1.75, "two layers, causal attention: each place sees all pairs to its left", w=10.4, h=0.5, color="orange")
d.label(0.3, 0.15, "all eleven questions of a row are asked in one pass; no question sees its own answer", align="left", size=10.5)
d.show(alt="A row alternates questions, x with a blank, and pairs, x with its y. A causal Transformer of two layers reads the row, and above each question the next y is predicted from the pairs to its left.")

# %%
def new_model(seed=0):
    """No norms at the ends, for sizes matter; no positions, for order does not."""
    model = Transformer(ModelConfig(1, 2, 64, 4, d_ff=64, mlp="gelu", position="none",
                                    qk_norm=True, tie_embeddings=False))
    model.token_embedding, model.final_norm = torch.nn.Linear(5, 64), None
    rng = torch.Generator().manual_seed(seed)
    model.init_weights(rng)
    torch.nn.init.normal_(model.token_embedding.weight, std=0.5, generator=rng)
    return model


def predict(model, x, y):
    h = model.hidden(embeds=model.token_embedding(as_row(x, y)))
    return model.head(h[:, 0::2])[..., 0]                           # at the questions

# %%
def learn_to_learn(seed=0, updates=400):
    model, rng = new_model(seed), torch.Generator().manual_seed(1000 + seed)
    config = TrainConfig(optimizer="muon", lr=0.03, embedding_lr=0.006, head_lr=0.006,
                         vector_lr=0.006, weight_decay=0.0)
    optimizers = build_optimizers(model, config)
    for update in range(updates):
        x, y = draw(64, rng)                      # 64 functions, never seen again
        F.mse_loss(predict(model, x, y), y).backward()
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                first, left = group.setdefault("first", group["lr"]), updates - update
                group["lr"] = first * min((update + 1) / 20, 1, 2 * left / updates)
            optimizer.step(), optimizer.zero_grad()
    return model


began = time.process_time()
learner = learn_to_learn()
x, y = draw(2000, torch.Generator().manual_seed(7))     # functions of its examination
with torch.no_grad():
    guess, misled = predict(learner, x, y), predict(learner, x, y.roll(1, dims=1))
error = lambda guess: (((guess - y) ** 2).mean(0) / (y ** 2).mean()).numpy()
seconds = time.process_time() - began
print(f"{seconds:.0f} s; error after ten pairs {error(guess)[10]:.2f}")

# %%
poll("In a test row each $x$ is now given the $y$ of the pair *before* it, so that no pair belongs together. What will the error be after ten pairs, as a share of the variance of $y$ (a model that always says 0 has 1)?",
     ["about 2: it trusts the pairs and is led astray", "about 1: it sees that the pairs are nonsense and says 0", "about 0.03 as before: the functions were learned in training", "about 0.5: half of the information is still there"],
     "A learner that uses the pairs follows some function that is not the true one, and the error of an independent guess of the same size is the sum of the two variances. Saying 0 would be wiser, and needs a model that has met nonsense in training. The measurement is in the figure below.")

# %% tags=["figure"]
NUMBERS = list(range(11))
curves({"Transformer": error(guess), "ridge regression": error(ridge(x, y)), "pairs mixed up": error(misled)}, at=NUMBERS, x="pairs in the context", y="squared error / variance of y", reference={"always 0": 1.0},
       alt=f"Error on new functions against the pairs in the context. Transformer {error(guess)[0]:.2f} with none, {error(guess)[3]:.2f} with three, {error(guess)[10]:.2f} with ten; ridge regression {error(ridge(x, y))[2]:.2f} with two and {error(ridge(x, y))[4]:.2f} from four on; with pairs mixed up the Transformer's error rises to {error(misled)[10]:.2f}.")

# %% [markdown]
# No weight has changed between the left end of the blue line and the right end, and yet the model gets better at *this* function with every pair. With one pair it is about as good as anything can be, with two not quite; at three, where ridge regression is all but done, it still has a fifth of the variance to go, and it closes in on the rest slowly. Mixed-up pairs send the error to nearly 2, which an independent guess of the same size would have: it does use the pairs, and it believes them.

# %% [markdown]
# ### Learned to learn, or learned by heart? (*optional*)
#
# First the answers themselves, of the model trained above, one dot for each new function.

# %% tags=["diagram"]
def answers(pairs=3):
    """Predicted against true y after so many pairs."""
    fig, ax = plt.subplots(figsize=(3.5, 2.7))
    ax.plot([-5, 5], [-5, 5], color="0.6", linewidth=1)
    ax.plot(y[:300, pairs], guess[:300, pairs], ".", color="#0072B2", markersize=4)
    ax.set(xlabel="true y", ylabel="predicted y", xlim=(-5, 5), ylim=(-5, 5), title=f"after {pairs} pairs")
    return fig


explore(answers, pairs=(0, 10, 1), panels=[0, 2, 10],
        alt=lambda pairs: f"Predicted against true y of 300 new functions after {pairs} pairs: error {error(guess)[pairs]:.2f} of the variance.")

# %% [markdown]
# The training rows held 25,600 functions, none twice. What if they had held few? *Recorded, three seeds:* training on 1 to 1,024 different functions, 400 updates each, then questions about those functions and about new ones (after Raventós et al., 2023). On the right the recipe of this page over five seeds; over three seeds one layer, four layers, and four times as many updates. Look for the number of functions at which the two lines on the left meet.

# %% tags=["diagram"]
garden = recorded("in_context")["results"]
POOLS = sorted({run["functions"] for run in garden["pools"]})


def after_ten(which):
    return [[run[which][10] for n in POOLS for run in garden["pools"] if (run["functions"], run["seed"]) == (n, seed)] for seed in range(3)]


def variant(layers, updates):
    return [run["model"] for run in garden["runs"] if (run["layers"], run["updates"]) == (layers, updates)]


VARIANTS = {"one layer": (1, 400), "this page": (2, 400), "four layers": (4, 400), "four times as long": (2, 1600)}
fig, (left, right) = panels(2, titles=["few functions in training", "depth and time"], height=2.9)
curves({"its own functions": after_ten("known"), "new functions": after_ten("new")}, at=POOLS, x="functions in training", y="error after ten pairs", log="xy", ax=left, labels=False)
curves({name: variant(*key) for name, key in VARIANTS.items()} | {"ridge": garden["runs"][0]["ridge"]}, at=NUMBERS, x="pairs", y="error", log="y", ax=right, labels=False)
left.set_ylim(1e-3, 3), right.set_ylim(1e-3, 3)
left.legend(fontsize=8, loc="lower right"), right.legend(fontsize=7.5, loc="lower left", frameon=True)
show(fig, alt="Left, error after ten pairs against the number of functions in training: " + ", ".join(f"{n}: {np.mean(after_ten('known'), 0)[i]:.3f} on its own and {np.mean(after_ten('new'), 0)[i]:.2f} on new ones" for i, n in enumerate(POOLS)) + ". Right, error after ten pairs: " + ", ".join(f"{name} {np.mean(variant(*key), 0)[10]:.3f}" for name, key in VARIANTS.items()) + ".")
table([{"": name, "3 pairs": np.mean(variant(*key), 0)[3], "10 pairs, by seed": ", ".join(f"{run[10]:.3f}" for run in variant(*key))} for name, key in VARIANTS.items()] + [{"": "ridge regression", "3 pairs": garden["runs"][0]["ridge"][3], "10 pairs, by seed": f"{garden['runs'][0]['ridge'][10]:.3f}"}], caption="recorded: squared error over the variance of y, on 2,000 new functions")

# %% [markdown]
# With one function or four the model learns them by heart: on its own functions it is good after a pair or none, which ridge regression cannot be, and on new ones it is worse than one that always says 0. From 64 on the two lines nearly meet. So *learning in context is itself learned*, and in this experiment only where training was varied. On the right: one layer leaves several times the error of two, and either more layers or more updates bring the error closer to ridge regression, which none of them reaches.
#
# What of a less tidy task, recall: eight pairs of a key and a value, both symbols, then one of the keys again?

# %% tags=["figure"]
recalled = {name: [run["right"] for run in garden["recall"] if run["apart"] is apart] for name, apart in (("key and value in one place", False), ("key and value in two places", True))}
table([{"": name, "right values, by seed": ", ".join(f"{share:.2f}" for share in shares)} for name, shares in recalled.items()], caption=f"recorded: {garden['recall_updates']} updates, three seeds; guessing among the eight values of the row gives {1 / garden['kept']:.3f}, among all {1 / garden['symbols']:.3f}")

# %% [markdown]
# Side by side in one place, pairs are recalled without a fault. One after the other, as text has them, the model is hardly above guessing after as many updates. To look a key up it would first have to carry each key on to the place of its value, which is the induction head of lecture 03: two steps, of which neither pays without the other; that may be why. We tried this once and did not tune it.
#
# ## III. Choose the words: prompting
#
# GPT-2's step, in 11-785's notation, is from a model of $P(\text{output} \mid \text{input})$ to one of $P(\text{output} \mid \text{input}, \text{task})$, in which the task is *text* (lecture 03). With no example that is **zero-shot**, with one **one-shot**, with several **few-shot** (Brown et al., 2020, who call all three in-context learning).

# %%
# NBVAL_CHECK_OUTPUT
SHOTS = [("Nothing in it works.", "negative"), ("A warm, clever film.", "positive")]


def ask(text, examples=SHOTS):
    return few_shot_prompt(text, examples, labels=("Review:", "Sentiment:"))


print(ask("It is better than it sounds."))

# %% [markdown]
# The answer need not be written: a model that gives probabilities can be asked which label it finds likelier. The score of a label is the log-probability of all its tokens,
#
# $$s_\ell(x) = \sum_i \log p(\ell_i \mid \text{prompt}(x), \ell_{<i}) .$$
#
# Before the model has read the review it leans towards a label: the last example's, the commoner word, the majority (Zhao et al., 2021). That lean can be estimated with texts $r_1, \dots, r_m$ that say nothing, or with unlabelled reviews, and taken out:
#
# $$\tilde s_\ell(x) = s_\ell(x) - \log \frac{1}{m} \sum_{j=1}^{m} p(\ell \mid r_j), \qquad p(\ell \mid r) = \operatorname{softmax}(s(r))_\ell .$$
#
# **By hand.** A prompt says "positive" with 0.9 about the text "N/A", and with 0.8 about a review. Taken as it is, the review is positive. With the lean taken out, the odds of 4 are divided by odds of 9: negative.

# %%
reader, words = load_base("1m")
START = [words.special_tokens["<|endoftext|>"]]
LABELS = ("negative", "positive")


def score(prompt, label):
    """log p(label | prompt), the sum over the label's tokens, in nats."""
    told, said = words.encode(prompt), words.encode(" " + label)
    with torch.no_grad():
        logp = reader(torch.tensor([START + told + said]))[0, :-1].log_softmax(-1)
    return logp[range(-len(said), 0), said].sum().item()


def calibrated(scores, reference):
    """Both (texts, labels): the scores less the prompt's own preference."""
    return scores - reference.softmax(1).mean(0).log()


texts = ["It is better than it sounds.", "A dull, empty hour.", "N/A", "[MASK]"]
ours = torch.tensor([[score(ask(t), label) for label in LABELS] for t in texts],
                    dtype=torch.double)
requests = [split_at_answer(words, ask(t), LABELS) for t in texts]
theirs = label_scores(continuation_logprobs(
    reader, [(START + prompt, options) for prompt, options in requests]))
torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
torch.testing.assert_close(calibrated(ours[:2], ours[2:]),
                           calibrate_labels(theirs[:2], theirs[2:]), atol=1e-4, rtol=0)
fair = calibrated(ours[:2], ours[2:]).softmax(1)
for text, a, b in zip(texts, ours.softmax(1)[:, 1], fair[:, 1]):
    print(f"positive: {a:.2f} as it is, {b:.2f} calibrated   {text}")

# %% [markdown]
# (A million weights have no opinion on films.)
#
# How much can a lean do? Below, two heaps of reviews that a reader tells apart very well: asked which of two reviews is the better one it is right 95 times in 100 (the *AUC*, which knows no threshold). Move the lean.

# %% tags=["diagram"]
APART = 1.163  # half the distance of two normal heaps whose AUC is 0.95


def accuracy_at(lean):
    normal = lambda z: 0.5 * (1 + math.erf(z / 2**0.5))
    return 0.5 * (normal(APART + lean) + normal(APART - lean))


def heaps(lean=0.0):
    """Scores of bad and good reviews under a prompt that leans so far towards positive."""
    fig, ax = plt.subplots(figsize=(3.5, 2.5))
    xs = np.linspace(-6, 6, 300)
    for middle, color, name in ((lean - APART, "#D55E00", "bad"), (lean + APART, "#0072B2", "good")):
        ys = np.exp(-((xs - middle) ** 2) / 2)
        ax.plot(xs, ys, color=color, label=name)
        ax.fill_between(xs, ys, where=(xs > 0) == (name == "bad"), color=color, alpha=0.3)
    ax.axvline(0, color="k", linewidth=1)
    ax.set(xlabel="score of positive less negative", yticks=[], ylim=(0, 1.35), title=f"lean {lean:+.1f}: {accuracy_at(lean):.0%} right")
    ax.legend(fontsize=8, loc="upper left", ncol=2)
    return fig


explore(heaps, lean=(-4.0, 4.0, 0.5), panels=[-3.0, 0.0, 1.0], alt=lambda lean: f"Drawn, not measured: two heaps of scores with AUC 0.95, moved by {lean:+.1f}. {accuracy_at(lean):.0%} are on the right side of zero; the wrong ones are shaded.")

# %% [markdown]
# The reader is the same in all panels. Accuracy mixes two things, what the model can tell apart and where the prompt puts the line.
#
# **Before you look:** SmolLM2's AUC on the reviews below is above 0.9, whichever examples stand in its prompt. How far will its plain answers spread?
#
# *Recorded:* SmolLM2 on film reviews that people had rated clearly good or bad, 200 of them, half of each. Four draws of the examples; nothing was chosen among prompts, label words or draws. Scores as they are, with the lean taken out by two texts that say nothing, and by 60 unlabelled reviews of another split.

# %% tags=["diagram"]
shots_run = recorded("few_shot")["results"]
N_ASKED, KS = shots_run["n"], ["0", "1", "4", "8"]


def shot_results(task, model, k, key):
    """One number for each draw of examples: raw, free and own as shares of right, or auc."""
    draws = shots_run["models"][task][model][k]
    if key == "auc":
        return [one["raw"]["auc"] for one in draws]
    return [(one["raw"]["right"] if key == "raw" else one[key]) / N_ASKED for one in draws]


WAYS = {"as it is": ("raw", "#0072B2", -0.2), "calibrated, texts that say nothing": ("free", "#E69F00", 0.0), "calibrated, unlabelled reviews": ("own", "#009E73", 0.2)}
fig, (left, right) = panels(2, titles=["right answers", "AUC"], height=3.0, widths=[2, 1])
for name, (key, color, shift) in WAYS.items():
    for i, k in enumerate(KS):
        left.plot([i + shift] * len(shot_results("reviews", "smollm2", k, key)), shot_results("reviews", "smollm2", k, key), "o", color=color, label=name if not i else None, alpha=0.8)
for i, k in enumerate(KS):
    right.plot([i] * len(shot_results("reviews", "smollm2", k, "auc")), shot_results("reviews", "smollm2", k, "auc"), "o", color="k")
for ax in (left, right):
    ax.set_xticks(range(4), KS), ax.set(xlabel="examples", ylim=(0.3, 1.0))
left.set_ylabel(f"share of {N_ASKED}"), left.legend(fontsize=8, loc="lower left")
show(fig, alt="SmolLM2 on film reviews. " + " ".join(f"{name}: " + ", ".join(f"{min(shot_results('reviews', 'smollm2', k, key)):.2f} to {max(shot_results('reviews', 'smollm2', k, key)):.2f} with {k}" for k in KS) + "." for name, (key, _, _) in WAYS.items()) + " AUC: " + ", ".join(f"{min(shot_results('reviews', 'smollm2', k, 'auc')):.2f} to {max(shot_results('reviews', 'smollm2', k, 'auc')):.2f} with {k}" for k in KS) + ".")

# %% [markdown]
# The black dots move by a few hundredths. With or without examples SmolLM2 ranks these reviews well, so it knew what a good review is before it saw one. The blue dots are all over the place: what the examples change most is the line. Sixty reviews *without labels* bring most of it back; the method takes for granted that about half of them are favourable. Texts that say nothing do so less reliably, and at times make it worse.
#
# Two checks: all eight labels *the wrong way round*, and twelve orders of the same four examples. Below them the AUC of every model, on both tasks.

# %% tags=["diagram"]
def spread(values, fmt=".2f"):
    return f"{min(values):{fmt}} to {max(values):{fmt}}" if len(values) > 1 else f"{values[0]:{fmt}}"


def line_of_prompts(name, draws):
    return {"SmolLM2, reviews": name, "prompts": len(draws), "right as it is": spread([one["raw"]["right"] / N_ASKED for one in draws]), "calibrated on reviews": spread([one["own"] / N_ASKED for one in draws]), "AUC": spread([one["raw"]["auc"] for one in draws])}


reviews = shots_run["models"]["reviews"]["smollm2"]
table([line_of_prompts("eight examples", reviews["8"]), line_of_prompts("eight, labels the wrong way round", shots_run["flipped"]), line_of_prompts("four examples", reviews["4"]), line_of_prompts("the first four, in other orders", shots_run["orders"])], caption="recorded: smallest to largest over prompts; an AUC below 0.5 would mean that wrong labels were followed")
table([{"AUC": f"{task}, {name if name == 'smollm2' else 'ladder ' + name}"} | {f"{k} examples": spread(shot_results(task, name, k, "auc")) for k in KS} for task in ("reviews", "headlines") for name in shots_run["models"][task]],
      caption=f"recorded: {N_ASKED} texts; half the width of a 95 % interval is about 0.08 near 0.5")

# %% [markdown]
# On the reviews: whichever examples, whichever order, the ranking stays, and with every label wrong it suffers little. So what looked like learning from examples, with rising and falling accuracies, was mostly the line moving. SmolLM2 hardly reads which label goes with which example (Min et al., 2022, found much the same in larger models). Asked like this, the ladder can do neither task: its intervals hold 0.5, or lie on the wrong side of it.
#
# The headlines are the other case. Asked for their tone, SmolLM2 is near guessing without examples, and with eight its ranking gets better in all four draws. Where a prompt does not say what is meant, and "sarcastic" does not say "printed by *The Onion*", examples have something to tell. It is little: the fine-tuned 0.8 million weights of part I are right three times in four.
#
# ### Twenty ways to say the same
#
# One question, is this review positive or negative, in twenty wordings, all written before any was tried and none left out. The label words are the same in all.

# %% tags=["diagram"]
said = recorded("paraphrases")["results"]
zero = said["ways"]["zero-shot"]
n_said, by_raw = said["n"]["zero-shot"], sorted(range(len(zero)), key=lambda i: zero[i]["raw"]["right"])
fig, (ax, right) = panels(2, titles=["twenty wordings, zero-shot", "AUC"], height=3.0, widths=[2.4, 1])
for name, color, values in (("as it is", "#0072B2", [zero[i]["raw"]["right"] for i in by_raw]), ("calibrated on reviews", "#009E73", [zero[i]["own"] for i in by_raw])):
    ends = np.array([wilson_interval(v, n_said) for v in values]).T
    shares = np.array(values) / n_said
    ax.errorbar(np.arange(20) + (0.2 if color == "#009E73" else 0), shares, [shares - ends[0], ends[1] - shares], fmt="o", color=color, label=name, markersize=4, linewidth=1)
ax.set(xlabel="wordings, sorted", ylabel=f"right of {n_said}, 95 % interval", ylim=(0.4, 1.0), xticks=[])
ax.legend(fontsize=8, loc="upper left")
right.plot(range(20), [zero[i]["raw"]["auc"] for i in by_raw], "ok", markersize=4)
right.set(ylim=(0.4, 1.0), xticks=[], xlabel="the same")
raws, owns = ([one["raw"]["right"] / n_said for one in zero], [one["own"] / n_said for one in zero])
show(fig, alt=f"SmolLM2, zero-shot, twenty wordings: {min(raws):.2f} to {max(raws):.2f} right as it is (median {np.median(raws):.2f}), {min(owns):.2f} to {max(owns):.2f} calibrated, AUC {min(one['raw']['auc'] for one in zero):.2f} to {max(one['raw']['auc'] for one in zero):.2f}.")
lengths = [len(wording) for wording in said["wordings"]]
longer, longer_fair = spearman(lengths, raws), spearman(lengths, owns)
told = lambda name, n: interval_of(transfer["accuracy"][name][str(n)])
aux = next(one for one in transfer["differences"] if one["more"] == "auxiliary" and one["labels"] == 300)
prompt_of = lambda task, k, key: spread(shot_results(task, "smollm2", k, key))
tried = max(range(20), key=lambda i: zero[i]["trial"])
table([{"wording": said["wordings"][i].format("…").replace("\n", " ⏎ "), "": name, "as it is": raws[i], "calibrated": owns[i], "AUC": zero[i]["raw"]["auc"]} for name, i in (("worst", by_raw[0]), ("best", by_raw[-1]), (f"best on {said['trial']} others", tried))])

# %% [markdown]
# Twenty honest wordings of one question, and the accuracy runs from guessing to nearly nine in ten. Calibration closes much of the gap, not all: the AUC differs between wordings as well, so some do ask worse.
#
# The best of twenty *on these reviews* is no result, since it was picked by what it reports. Picked on forty other labelled reviews, as in the last row, it is one. But forty labels are then part of the price of a "zero-shot" prompt (Perez et al., 2021).

# %% [markdown]
# ## IV. What to pick?
#
# 11-785 gives four options, from full fine-tuning ("+Strongest performance", "- Need curated and labeled dataset", "- Poor generalization, spurious feature exploitation") over few-shot ("+No spurious feature exploitation") and one-shot to zero-shot ("+Most convenient"). Three of these can be measured here.
#
# **Spurious features.** Suppose the labels were collected badly: every favourable review came from the web and begins with "(web)", no other does. *Recorded:* 120 reviews asked three times, without the tag, with it as in training, and with it the wrong way round. Four ways to use the same 32 tagged examples, and the trained ones with 300.

# %%
poll("Of the four ways, which is least moved when the tag is the wrong way round?",
     ["SmolLM2 with the examples in its prompt", "a bag of words, which counts the tag as one word among many", "a base model that is fine-tuned whole", "a classifier on SmolLM2's frozen states"],
     "A tag that goes with the label in every example is the best feature there is, and training looks for the best feature. A prompt trains nothing, so that what the model already takes for good and bad still counts. How much it counts is measured below.")

# %% tags=["diagram"]
cue = recorded("planted_cue")["results"]
cue_of = lambda results: ", ".join(f"{np.mean(results[t]) / cue['n']:.2f}" for t in ("absent", "agrees", "reversed"))
TESTS = {"no tag": "absent", "as in training": "agrees", "reversed": "reversed"}
on_cue = {f"{name}, {n}": cue["trained"][name][n]["planted"] for n in ("32", "300") for name in cue["trained"]} | {f"SmolLM2 prompted, 32{'' if way == 'raw' else ', calibrated'}": cue["prompted"]["32"]["planted"][way] for way in ("raw", "own")}
order = [name for name in on_cue if name.endswith("32")] + [name for name in on_cue if "calibrated" in name] + [name for name in on_cue if name.endswith("300")]
bars({name: {test: [right / cue["n"] for right in on_cue[name][key]] for test, key in TESTS.items()} for name in order}, fmt="", x=f"right of {cue['n']}", reference={"chance": 0.5}, height=3.6,
     alt="Reviews right after training or prompting with a tag that goes with the label. " + " ".join(f"{name}: " + ", ".join(f"{test} {np.mean(on_cue[name][key]) / cue['n']:.2f}" for test, key in TESTS.items()) + "." for name in order))
for n in ("8", "32"):
    print(f"SmolLM2 prompted, {n} examples, calibrated; no tag, agreeing, reversed: clean examples {cue_of(cue['prompted'][n]['clean']['own'])}; tagged examples {cue_of(cue['prompted'][n]['planted']['own'])}")
print("300 clean labels, no tag: " + ", ".join(f"{name} {np.mean(cue['trained'][name]['300']['clean']['absent']) / cue['n']:.2f}" for name in cue["trained"]))
print("300 labels, one in ten against the tag; no tag, agreeing, reversed: " + "; ".join(f"{name} {cue_of(cue['trained'][name]['300']['mostly'])}" for name in cue["trained"]))

# %% [markdown]
# A cue that goes with every label takes over whatever is trained: words, a whole network, and with 300 labels also a line on the states of a model that knows what a good review is. With the tag reversed they are nearly always wrong, and without it they are right half of the time, like one who always says the same.
#
# The prompt is moved as well, but by much less. Part of that is no learning: with *clean* examples the tag already pushes it a little, as the line below the figure shows. With eight examples hardly anything beyond that is to be seen, with 32 there is, in all three draws. So "+No spurious feature exploitation" is too strong, "less" would hold, and what protects the prompt is less of a compliment than it sounds: as the wrong labels showed, it takes little from its examples at all. If one in ten of 300 labels contradicts the tag, the classifier on frozen states gets part of its sense back (last line above).

# %% tags=["diagram"]
smollm2 = preset("smollm2-135m")
WORK = {"smollm2": lambda tokens: 2 * count_parameters(smollm2) * tokens, "bag": lambda tokens: 0}
trained = shots_run["trained"]


def measured(results, key="right"):
    return spread([one[key] / N_ASKED for one in results])


def cost(name, labels, train_tokens, ask_tokens, reviews, headlines_):
    flops = lambda tokens, passes: f"{passes * 2 * count_parameters(smollm2) * tokens:.1e}" if tokens else "hardly any"
    return {"": name, "labels": labels, "training (operations)": flops(train_tokens, 1) if train_tokens else "none", "each question (operations)": flops(ask_tokens, 1), "reviews": reviews, "headlines": headlines_}


def prompted(k, key):
    own = lambda task: spread([one[key] / N_ASKED if key == "own" else one["raw"]["right"] / N_ASKED for one in shots_run["models"][task]["smollm2"][k]])
    asked = np.mean([one["tokens"] for one in reviews[k]])
    return cost(f"SmolLM2, {k} examples" + (", calibrated" if key == "own" else ""), k, 0, asked, own("reviews"), own("headlines"))


table([prompted("0", "raw"), prompted("0", "own"), prompted("8", "raw"), prompted("8", "own")]
      + [cost(f"{name}, {n} labels", n, int(n) * np.mean([one["tokens"] for one in reviews["0"]]) if name == "frozen head" else 0, np.mean([one["tokens"] for one in reviews["0"]]) if name == "frozen head" else 0, measured(trained["reviews"][name][n]), measured(trained["headlines"][name][n])) for name in ("bag of words", "frozen head") for n in ("8", "100", "300")],
      caption=f"recorded: share right of the same {N_ASKED} texts, smallest to largest over draws; operations 2 x parameters x tokens")

# %% [markdown]
# Three things to read off.
#
# - *Which is stronger depends on the task and on the labels.* On reviews, which SmolLM2 understands, a calibrated prompt without any label is far ahead of 300 labels in a bag of words; a hundred labels on its frozen states are ahead of every prompt of the table, though eight are not. On headlines none of these prompts reaches what a hundred labels do, even in a bag of words.
# - *Where the work is.* Training is paid once and prompts at every question: eight examples make a question several times as long. (A cache of the examples' keys and values, lecture 04, takes most of that back, as long as all questions share them.)
# - *Copies.* Each fine-tuned task keeps weights of its own, 270 MB a task for SmolLM2 in 16 bits; 11-785 counts "Too many copies of the model" against it. A prompt is a line of text. Lecture 14 makes the copies small.

# %% [markdown]
# ### A system message and example turns (*optional*)
#
# 11-785's example of a prompt for ChatGPT is a system message, "You are an assistant that translates corporate jargon into plain English.", and pairs of turns that show how. *Recorded:* SmolLM2, greedy, six sentences of ours; the request alone, as a system message, and with two turns of example. Read the replies; counts of words would not tell whether a sentence says the same.

# %% tags=["diagram"]
turns = recorded("prompt_turns")["results"]
table([{"way": way, "the sentence": turns["sentences"][i], "SmolLM2's reply": turns["replies"][way][i]["text"][:150]} for i in (0, 4) for way in turns["replies"]], caption="recorded: the first and the fifth sentence, unpicked, cut at 150 characters")
table([{"": way, "words a reply": np.mean([one["words"] for one in replies]), "jargon left": f"{sum(one['jargon'] for one in replies)} of {sum(one['of'] for one in replies)}", "new words": np.mean([one["new"] for one in replies]), "ended by itself": f"{sum(one['ended'] for one in replies)} of {len(replies)}"} for way, replies in turns["replies"].items()], fmt=".1f")

# %% [markdown]
# The request as a system message often makes SmolLM2 write *about* the sentence. Two turns bring the form back: one short sentence, and an end. What the sentence says is lost or copied more often than put plainly. So turns, too, brought form here, and no competence that shows in six sentences. For the models that the slide is about this may be otherwise.
#
# ### GPT-2's table, read closely (*optional*)
#
# HLT and 11-785 both print the table of GPT-2's zero-shot results. They differ in one number, the best accuracy on LAMBADA before it.

# %%
# NBVAL_CHECK_OUTPUT
LAMBADA = {"117M": 45.99, "345M": 55.48, "762M": 60.12, "1542M": 63.24}
ONE_BW = {"117M": 75.20, "345M": 55.72, "762M": 44.575, "1542M": 42.16}
for deck, best in (("HLT", 56.25), ("11-785", 59.23)):
    print(f"{deck}: best before {best}; above it:",
          ", ".join(size for size, value in LAMBADA.items() if value > best))
print(f"1BW: the largest has {ONE_BW['1542M'] / 21.8:.1f} times the best perplexity")

# %% [markdown]
# Whichever is right, the same two sizes win, so nothing that a reader concludes from the table depends on it. (Both numbers look like those of systems of 2018 that *pick* the word from the passage, Dehghani et al. and Hoang et al.; GPT-2 may say any word, and the best language model before it had under 20 %.)
#
# The column that GPT-2 loses is 1BW, the One Billion Word benchmark. The paper's likely reasons: 1BW is the largest of the training sets, and its sentences are *shuffled*, so that there is no context to use beyond one sentence. Can shuffling do that? The ladder's held-out articles, as they are and with their sentences in random order:

# %%
held = set(recorded("base_models")["results"]["report_documents"])
name_of = lambda text: hashlib.sha256(text.encode()).hexdigest()[:12]
in_order, shuffled = [], []
rng = random.Random(0)
for article in prose("wikipedia-sections"):
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", article.text)[:8]
    if name_of(article.text) in held and len(sentences) == 8:
        in_order.append(" ".join(sentences))
        shuffled.append(" ".join(rng.sample(sentences, 8)))
scores = [score_texts(reader, words, some, START[0]) for some in (in_order, shuffled)]
size = np.array([len(text.encode()) for text in in_order])
lost = (np.array(scores[1].nats) - np.array(scores[0].nats)) / np.log(2) / size
mean, low, high = bootstrap_interval(lost)
print(f"{len(size)} articles, perplexity {scores[0].perplexity:.0f} in order, "
      f"{scores[1].perplexity:.0f} shuffled; {mean:.3f} bits a byte lost "
      f"({low:.3f} to {high:.3f})")

# %% [markdown]
# It can, and for this model it does: the interval is above zero. But a few per cent of perplexity are no factor of two. A million weights with 256 tokens of context make little of it; GPT-2 makes more, and we cannot say from here how much of its loss on 1BW that explains. The other reason is untested: the best model on 1BW was *trained* on 800 million words of it, and GPT-2 was not.
#
# **A mini-LAMBADA.** *Recorded:* from held-out articles, the last word of a sentence if it stood in the passage before, is rare, and does not stand in the sentence. Models get the passage and the sentence, or the sentence alone; a word is right if every token of it is the likeliest.

# %% tags=["diagram"]
mini = recorded("mini_lambada")["results"]
table([{"": name if name == "smollm2" else f"ladder {name}", "with the passage": f"{one['right']} of {mini['n']}", "95 % interval": "{:.0%} to {:.0%}".format(*wilson_interval(one["right"], mini["n"])), "sentence alone": f"{one['alone']} of {mini['n']}", "nats, with": one["nats"], "nats, alone": one["nats_alone"]} for name, one in mini["models"].items()]
      + [{"": "the passage's most frequent rare word", "with the passage": f"{mini['most_frequent']} of {mini['n']}", "95 % interval": "{:.0%} to {:.0%}".format(*wilson_interval(mini["most_frequent"], mini["n"]))}], caption="recorded; SmolLM2 has probably read these articles")

# %% [markdown]
# With the passage the larger models of the ladder get more of the words right, and without it all get a handful: a word that can be read back is read back more and more often. In nats the passage is of use earlier: it makes the word likelier in every model, the smallest included. Still, up to five million weights the passage's most frequent rare word is a better guess than any of them. GPT-2's smallest has twenty times as many.
#
# ### Foundation models, by the letter (*optional*)
#
# Day 24 gives a definition: trained on broad data; generally uses self-supervision; *contains at least tens of billions of parameters*; applicable across a wide range of contexts. Which models of this course would that be?

# %%
# NBVAL_CHECK_OUTPUT
for name in ("gpt1", "bert-large", "gpt2-xl", "smollm2-135m", "llama2-7b",
             "llama2-13b", "llama2-70b", "gpt3"):
    billions = count_parameters(preset(name)) / 1e9
    print(f"{name:13} {billions:8.2f} billion  ", "yes" if billions >= 20 else "no")

# %% [markdown]
# Read as "at least twenty", it leaves out GPT-2, BERT and every model that this course runs. Bommasani et al. (2021), who coined the word, count BERT among their first examples and set no size. The slide's text is nearly that of Executive Order 14110, which defines something narrower, the *dual-use* foundation model: the same clauses and one more, that it shows, or could easily be modified to show, high levels of performance at tasks that pose a serious risk to security. The order is of 30 October 2023 and was rescinded on 20 January 2025; May 4th 2023, which the slide gives, is the day of an earlier announcement. A definition written to decide who must report to a government is not one to sort models by in a lecture; "what pre-training on broad data gave it can be turned to many tasks" is, and this page has measured how far that reaches for small ones.
#
# ## Scale warning
#
# > **What these models can and cannot tell you.** What holds at every size: a row with marks is all the input a decoder needs; a lean can be estimated without labels and moves accuracy without moving the AUC; of two prompts chosen on the test set the better one's score is not a result; a cue that goes with every label is the best feature for whoever is trained on it. What does not: *how much* pre-training is worth (ours has read 18,600 headlines and GPT-1 thousands of books), whether examples in a prompt teach (ours is a toy that was trained for nothing else, and one model of 135 million weights whose examples move a line; models a thousand times larger do follow examples whose labels were exchanged, Wei et al., 2023), and how far wordings spread. Two tasks of short English texts are two tasks.
#
# ## Claims
#
# What the source lectures say about this topic, against what the papers say and what was measured here.

# %%
claims_table([
    Claim("Language modeling, then fine-tuning, improves performance over just training on the desired task",
          "Radford et al. (2018), table 5: 74.7 against 59.9 on average",
          f"300 labels: pre-trained {told('pretrained', 300)}, scratch {told('scratch', 300)}, "
          f"bag of words {told('bag of words', 300)}",
          "holds for text of the task's kind, though on reviews by two points; as much Wikipedia gave nothing, and the gain shrinks with labels", source="day24", split="report"),
    Claim("Transformer w/ aux LM (full) 74.7; w/o aux LM 75.0",
          "the same table; the text says that larger datasets profit",
          f"the eight numbers give {np.mean(full):.2f} and {np.mean(without):.2f}; here, with less without: "
          f"{interval_of(aux, '+.3f')}",
          "holds; the part called full has the lower average", source="day24", split="report"),
    Claim("LSTM w/ aux LM: average score 69.1", "the same in the paper",
          f"its eight numbers have a mean of {np.mean(table5['LSTM with auxiliary LM']):.2f}",
          "holds; the eight are rounded, too", source="day24"),
    Claim("In-context learning (Brown, 21): providing examples within LLM prompts, and not zero-shot prompting",
          "Brown et al. (2020) call zero-, one- and few-shot all in-context learning",
          f"linear functions: error {error(guess)[0]:.2f} with no pair, {error(guess)[10]:.2f} with ten, no weight changed",
          "holds in the narrow sense of the word; the year is 2020", source="11785", split="report",
          rule=error(guess)[10] < 0.1 * error(guess)[0]),
    Claim("Few-shot: no spurious feature exploitation", "Brown et al. (2020) expect less of it",
          f"no tag, as shown, reversed: {cue_of(cue['prompted']['32']['planted']['own'])}, calibrated; 32 tagged examples",
          "fails; there is some with 32 examples, far less than in training", source="11785", split="report"),
    Claim("Full fine-tuning: poor generalization, spurious feature exploitation",
          "Gururangan et al. (2018): two in three labels of SNLI can be told from half of the input",
          f"no tag, as trained, reversed: {cue_of(cue['trained']['fine-tuned']['32']['planted'])}; 32 tagged labels, and the same with 300",
          "holds for the planted cue; for frozen states and a bag of words as well", source="11785", split="report"),
    Claim("Full fine-tuning: strongest performance", "Brown et al. (2020): on many benchmarks",
          f"headlines: {told('pretrained', 300)} against prompts {prompt_of('headlines', '8', 'own')}; reviews: "
          f"prompts {prompt_of('reviews', '8', 'own')}, frozen head {measured(trained['reviews']['frozen head']['300'])}",
          "holds for 300 labels against eight examples; with eight labels the calibrated prompt leads on reviews; fine-tuning all of SmolLM2 was not run", source="11785", split="report"),
    Claim("Rule of thumb: be as specific and descriptive as possible", "no paper named",
          f"20 wordings: rank correlation of length and accuracy {longer:+.2f}; calibrated {longer_fair:+.2f}",
          "cannot be tested at this scale; no sign of it in twenty wordings of one question", source="11785", split="report"),
    Claim("LAMBADA, best accuracy before GPT-2: 59.23 (11-785), 56.25 (HLT)", "two versions of one table",
          "762M and 1542M are above both, 117M and 345M above neither",
          "cannot be tested at this scale; the conclusion is the same", source=("hlt", "11785")),
    Claim("A model can do many disparate tasks with no training at all",
          "Radford et al. (2019): zero-shot, of very different quality",
          f"SmolLM2, no example: reviews {prompt_of('reviews', '0', 'raw')}, headlines {prompt_of('headlines', '0', 'raw')}",
          "holds for what its text has taught; guessing elsewhere", source="11785", split="report"),
    Claim("Foundation model: tens of billions of parameters; executive order of May 4th 2023",
          "Executive Order 14110 is of 30 October 2023 and defines a dual-use foundation model",
          "by that size BERT, GPT-1 and GPT-2 are none", "fails; the date, and a clause is left out", source="day24"),
])

# %% [markdown]
# ## Summary
#
# 1. GPT-1 left its model alone and changed the input: every task a row of tokens with three marks, one linear layer to read it.
# 2. On headlines, pre-training on text of the task's own kind was worth six to nine points with few labels, over five seeds, and on reviews two; as much other text was worth nothing that shows, the auxiliary loss nothing, and a bag of words was level from 300 labels on.
# 3. A small Transformer trained on nothing but functions it will never see again learns a new one from the pairs in its context, and gets better with every pair; here it learned to do so only if training was varied enough.
# 4. In SmolLM2, examples in a prompt mostly move the line between the labels. On reviews the AUC hardly knows them; calibration on unlabelled texts puts the line back; twenty wordings spread from guessing to nine in ten.
# 5. What to pick depends on whether the model knows the task and has words for it, on how many labels there are, and on what else goes with them: a cue in every label took over all that was trained, and with 32 examples moved the prompt a little.
#
# ## Exercises
#
# *Lab 10* builds on this page: a classification head with the auxiliary loss, a builder of few-shot prompts, scores of labels and their calibration.
#
# 1. By hand: a prompt says "positive" with 0.3 about "N/A". From which raw probability on is a review positive after calibration?
# 2. Give `learn_to_learn` pairs with noise of deviation 0.5. The best estimate is now ridge regression with a strength of 0.25. Which does the model come nearer to, that or least squares, after three pairs?
# 3. In `as_row`, put $x$ and $y$ of a pair into places of their own. Predict how many updates it takes now, and which kind of position it needs. Then train.
# 4. Train on rows of which half have their pairs mixed up. Does the model learn to say 0 when the pairs are nonsense? After how many pairs does it know?
# 5. `fine_tune` reads the mean of all states. Read the extract token instead (`pooling="last"`), which no pre-training has seen.
# 6. Write ten prompts for the headlines, choose the best on 40 headlines of the split "choose", and report once. How far apart are the two numbers?
#
# ## Further reading
#
# Radford et al. (2018), *Improving language understanding by generative pre-training* (GPT-1). Radford et al. (2019), *Language models are unsupervised multitask learners* (GPT-2). Brown et al. (2020), *Language models are few-shot learners* (GPT-3). Garg et al. (2022), *What can transformers learn in-context?* Raventós et al. (2023), *Pretraining task diversity and the emergence of non-Bayesian in-context learning for regression*. Zhao et al. (2021), *Calibrate before use*. Zhou et al. (2023), *Batch calibration*. Min et al. (2022), *Rethinking the role of demonstrations*. Lu et al. (2022), *Fantastically ordered prompts and where to find them*. Wei et al. (2023), *Larger language models do in-context learning differently*. Perez et al. (2021), *True few-shot learning with language models*. Gururangan et al. (2018), *Annotation artifacts in natural language inference data*. Paperno et al. (2016), *The LAMBADA dataset*. Bommasani et al. (2021), *On the opportunities and risks of foundation models*. Misra and Arora (2019), *Sarcasm detection using hybrid neural network*.
