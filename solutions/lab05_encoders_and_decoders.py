# %% [markdown]
# # Lab 05 · Who may look where
#
# Encoder, decoder, and what lies between them are one stack of layers; what differs is which place may look at which, what the model is asked to give back, and what it is read for. You write the masks of three families and find out what a stack of them lets through, hide words and spans and put them back, let one text look at another, and make one vector of many. Then you train an encoder and a decoder on the same words and see what each of them knows. You test a maker of masked texts that somebody else wrote, and find out what went wrong in a training. About 90 minutes; 25 points: 22 by the grader, 3 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab05_encoders_and_decoders.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. You may use Python, PyTorch and numpy as you like, but nothing of the course's library in your answers (`llmlib.model` and `llmlib.data` hold them): the grader runs without it.

# %%
import random

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F

from courseware import Stopwatch, as_number, check, my_run, setup_style, show

setup_style()
torch.manual_seed(0)
# %% [markdown]
# The last question is drawn for you. Write down the name or number under which you hand in, exactly as your course knows it (your login, if nobody said otherwise).

# %%
STUDENT = "student-1"  # SOLUTION

# %% [markdown]
# ## Question 1: three masks (2 points, difficulty 2, 8 minutes)
#
# A mask says which place may look at which: `mask[b, i, j]` is True if in text b place i may look at place j. Make it for three families:
#
# * `"encoder"`: every token looks at all tokens of its text;
# * `"decoder"`: a token looks at itself and at what came before it;
# * `"prefix"`: as in a decoder; besides, all tokens look at the first `prefix[b]` real tokens of their text, which so see one another in both directions.
#
# `real` (B, T) is True where there is a token and False at pads, which may stand in front of a text, behind it, or on both sides: nobody looks at a pad. What the rows of the pads say does not matter. `prefix` (B,) counts real tokens, and is used by the third family alone. Return a bool tensor (B, T, T).


# %%
def pattern(family: str, real: torch.Tensor, prefix: torch.Tensor) -> torch.Tensor:
    # BEGIN SOLUTION
    T = real.shape[1]
    mask = torch.ones(len(real), T, T, dtype=torch.bool)
    if family != "encoder":
        mask = mask.tril()
    if family == "prefix":
        inside = real.cumsum(1) <= prefix[:, None]
        mask = mask | inside[:, None]
    return mask & real[:, None]
    # END SOLUTION


check("lab05.q1", pattern)

# %% [markdown]
# ## Question 2: what a stack lets through (3 points, difficulty 3, 12 minutes)
#
# A mask is one step. In the second layer place i looks at what place k holds by then, and k has looked around before. `layers` is a list of masks (T, T), the first layer's first; `[i, j]` is True if i may look at j in that layer. Between the layers there are residual connections, so that what a place holds stays with it, also where a mask does not let it look at itself.
#
# * `reaches` returns a (T, T) bool tensor: `[i, j]` is True if the token at place j can change the state at place i behind the last layer.
# * `honest` returns the list of those places, in order, at which the next token can be predicted without cheating: there is a next token, and nothing that stands behind place i reaches it.
#
# By hand first: with a window in which every place sees itself and the one before it, how many layers does place 5 need to know of place 0? At which places of a prefix decoder can it be trained?


# %%
class Influence:
    @staticmethod
    def reaches(layers: list[torch.Tensor]) -> torch.Tensor:
        # BEGIN SOLUTION
        same = torch.eye(len(layers[0]), dtype=torch.bool)
        found = same
        for mask in layers:
            found = ((mask | same).float() @ found.float()) > 0
        return found
        # END SOLUTION

    @staticmethod
    def honest(layers: list[torch.Tensor]) -> list[int]:
        # BEGIN SOLUTION
        found = Influence.reaches(layers)
        return [i for i in range(len(found) - 1) if not found[i, i + 1 :].any()]
        # END SOLUTION


check("lab05.q2", Influence)

# %% [markdown]
# ## Question 3: masked words (3 points, difficulty 3, 14 minutes)
#
# BERT's later versions hide whole words: if *straw* is hidden and *##berry* is not, little is left to guess. `ids` (B, T) are tokens, `word` (B, T) says to which word of its text a token belongs, counted from 0; it is -1 for tokens that belong to none, which are never chosen ([CLS], [SEP], pads). The drawing is done for you, evenly between 0 and 1: `u` (B, W) has a number for each word, `fate` (B, T) one for each token, `others` (B, T) a random token for each place.
#
# `corrupt` returns `(inputs, targets)`, both (B, T). A word is chosen if its u is below `rate`, and all of its tokens with it. Of the chosen tokens those with a fate below 0.8 become `mask_id`, those from 0.8 to below 0.9 become the token in `others`, and the rest stay as they are. The target is the token that stood there wherever one was chosen, and -100 everywhere else.
#
# `loss` gets logits (B, T, V) of a model that has read the inputs, and the targets: the mean negative log-probability of **all targets of the batch**. Where there are none it is 0.


# %%
class MaskedLM:
    @staticmethod
    def corrupt(
        ids: torch.Tensor,
        word: torch.Tensor,
        u: torch.Tensor,
        fate: torch.Tensor,
        others: torch.Tensor,
        rate: float,
        mask_id: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # BEGIN SOLUTION
        chosen = (u.gather(1, word.clamp(min=0)) < rate) & (word >= 0)
        inputs = torch.where(chosen & (fate < 0.8), mask_id, ids)
        inputs = torch.where(chosen & (fate >= 0.8) & (fate < 0.9), others, inputs)
        return inputs, torch.where(chosen, ids, -100)
        # END SOLUTION

    @staticmethod
    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        # BEGIN SOLUTION
        total = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="sum")
        return total / (targets != -100).sum().clamp(min=1)
        # END SOLUTION


check("lab05.q3", MaskedLM)

# %% [markdown]
# ## Question 4: spans and sentinels (3 points, difficulty 3, 12 minutes)
#
# T5 reads a text with gaps and writes what was in them. With the **sentinels** `<X>`, `<Y>`, `<Z>`:
#
# ```
# text:    Thank you for inviting me to your party last week
# taken:             ~~~~~~~~~~~~                  ~~~~
# inputs:  Thank you <X> me to your party <Y> week
# targets: <X> for inviting <Y> last <Z>
# ```
#
# `corrupt(ids, taken, sentinels)` gets a list of ids, a list of bools that says which are taken out, and a list of sentinels, of which there are enough. Tokens taken out side by side are one span. Return the inputs and the targets, two lists.
#
# `restore(inputs, written, sentinels)` puts together the text from the inputs and what **a model wrote**, which need not be well formed: the spans may come in any order; a gap that was not written is left empty; what stands before the first sentinel, or behind one that is not among the inputs, is dropped. No sentinel is written twice. Return a list without sentinels.


# %%
class Spans:
    @staticmethod
    def corrupt(ids: list[int], taken: list[bool], sentinels: list[int]) -> tuple[list[int], list[int]]:
        # BEGIN SOLUTION
        inputs, targets, left, before = [], [], iter(sentinels), False
        for token, gone in zip(ids, taken):
            if gone and not before:
                mark = next(left)
                inputs.append(mark)
                targets.append(mark)
            (targets if gone else inputs).append(token)
            before = gone
        return inputs, [*targets, next(left)]
        # END SOLUTION

    @staticmethod
    def restore(inputs: list[int], written: list[int], sentinels: list[int]) -> list[int]:
        # BEGIN SOLUTION
        parts, current = {}, []
        for token in written:
            if token in sentinels:
                current = parts[token] = []
            else:
                current.append(token)
        return [x for token in inputs for x in (parts.get(token, []) if token in sentinels else [token])]
        # END SOLUTION


check("lab05.q4", Spans)

# %% [markdown]
# ## Question 5: cross-attention (3 points, difficulty 3, 12 minutes)
#
# A decoder that writes a translation has to look at the source. `x` (B, T, d) are its states, `states` (B, S, d) those of the encoder, `real` (B, S) is True where the source has a token; every source has one. `weights` holds four matrices (d, d), `"q"`, `"k"`, `"v"` and `"o"`, used as `y @ weights["q"]`. With `n_heads` heads of $d_{\text{head}} = d / n_{\text{heads}}$ features each, head h takes the features from $h\,d_{\text{head}}$ to $(h + 1)\,d_{\text{head}}$ of queries, keys and values:
#
# $$\operatorname{softmax}\!\left(\frac{Q_h K_h^\top}{\sqrt{d_{\text{head}}}}\right) V_h,$$
#
# where nobody looks at a pad of the source. The heads side by side times the output matrix are the result, (B, T, d). Before you write: which of Q, K and V come from which text, and which mask does a decoder need here?


# %%
def cross_attention(
    x: torch.Tensor, states: torch.Tensor, real: torch.Tensor, weights: dict[str, torch.Tensor], n_heads: int
) -> torch.Tensor:
    # BEGIN SOLUTION
    split = lambda y: y.unflatten(-1, (n_heads, -1)).transpose(1, 2)
    q, k, v = split(x @ weights["q"]), split(states @ weights["k"]), split(states @ weights["v"])
    scores = q @ k.mT / q.shape[-1] ** 0.5
    scores = scores.masked_fill(~real[:, None, None], float("-inf"))
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2) @ weights["o"]
    # END SOLUTION


check("lab05.q5", cross_attention)

# %% [markdown]
# ## Question 6: one vector for a text (1 point, difficulty 2, 6 minutes)
#
# `hidden` (B, T, d) are the states of the last layer, `real` (B, T) is True where there is a token; pads may stand in front of a text, behind it, or on both sides, and their states are as large as any. Return (B, d): for `how="mean"` the mean over a text's tokens, for `"first"` the state of its first token (BERT's [CLS]), for `"last"` that of its last (GPT-1's extract token). Every text has a token.


# %%
def pool(hidden: torch.Tensor, real: torch.Tensor, how: str) -> torch.Tensor:
    # BEGIN SOLUTION
    if how == "mean":
        return (hidden * real[..., None]).sum(1) / real.sum(1, keepdim=True)
    places = [row.nonzero()[0 if how == "first" else -1, 0] for row in real]
    return torch.stack([states[place] for states, place in zip(hidden, places)])
    # END SOLUTION


check("lab05.q6", pool)

# %% [markdown]
# ## The pieces together
#
# Nothing to write in the next cells. The same small stack is trained on the 16,000 words of eight letters in the CMU dictionary: as a decoder that predicts every letter from those before it, with your decoder's mask; and as an encoder that gives back letters hidden by your `MaskedLM`, with your encoder's mask, once with 15 % of the letters chosen and once with half of them. Each makes the same number of updates on the same number of words. Then each guesses letters of 800 words it has not seen: the decoder each letter from those before it, the encoders each letter from all others, with that letter masked. If one of your pieces is missing, the cells say so and go on.

# %% tags=["not-graded"]
from llmlib.data import pronunciations, recorded

LETTERS, HIDDEN = 8, 28  # 1 to 26 are letters, 28 stands for a hidden letter and in front of a word
words = {
    split: torch.tensor([[ord(c) - 96 for c in w.word] for w in pronunciations(split) if len(w.word) == LETTERS])
    for split in ("train", "choose", "report")
}


class Stack(nn.Module):
    """Two layers: (B, 8) letters and a mask (8, 8), True = may look -> (B, 8, 27) logits."""

    def __init__(self, d: int = 48):
        super().__init__()
        self.letters, self.places = nn.Embedding(29, d), nn.Parameter(torch.randn(LETTERS, d))
        layer = nn.TransformerEncoderLayer(d, 4, 3 * d, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(d), enable_nested_tensor=False)
        self.head = nn.Linear(d, 27)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(self.letters(ids) + self.places, mask=~mask))


def mask_of(family: str) -> torch.Tensor:
    return pattern(family, torch.ones(1, LETTERS, dtype=torch.bool), torch.zeros(1, dtype=torch.long))[0]


def behind_a_start(ids: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.full_like(ids[:, :1], HIDDEN), ids[:, :-1]], 1)

# %% tags=["not-graded"]
def trained(family: str, rate: float = 0.0, updates: int = 150, rows: int = 96, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model, mask, each = Stack(), mask_of(family), torch.arange(LETTERS).expand(rows, -1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: min(1, (n + 1) / 30, 1.02 - n / updates))
    for _ in range(updates):
        ids = words["train"][torch.randint(len(words["train"]), (rows,))]
        if family == "decoder":
            inputs, targets = behind_a_start(ids), ids
        else:
            u, fate, others = torch.rand(ids.shape), torch.rand(ids.shape), torch.randint(1, 27, ids.shape)
            inputs, targets = MaskedLM.corrupt(ids, each, u, fate, others, rate, HIDDEN)
        loss = MaskedLM.loss(model(inputs, mask), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.inference_mode()
def guesses(model: nn.Module, family: str, ids: torch.Tensor) -> torch.Tensor:
    """(N, 8): the likeliest letter at each place."""
    if family == "decoder":
        return model(behind_a_start(ids), mask_of(family)).argmax(-1)
    hidden = torch.where(
        torch.eye(LETTERS, dtype=torch.bool), HIDDEN, ids[:, None]
    )  # (N, 8, 8): place p hidden in row p
    return model(hidden.flatten(0, 1), mask_of(family)).unflatten(0, (-1, LETTERS)).diagonal(dim1=1, dim2=2).argmax(1)


try:
    text = "Thank you for inviting me to your party last week".split()
    numbers, marks = list(range(len(text))), {90: "<X>", 91: "<Y>", 92: "<Z>"}
    for part in Spans.corrupt(numbers, [2 <= i <= 3 or i == 8 for i in numbers], list(marks)):
        print(" ".join(marks.get(i) or text[i] for i in part))
except NotImplementedError:
    print("Not yet: finish question 4 first.")

# %% [markdown]
# ## Before you measure: a prediction (logged, not graded)
#
# At the last place all models read the same seven letters. **By how many percentage points is the share of last letters that the encoder guesses right (15 % of the letters chosen in training) above the decoder's?** Give a number from -100 to 100, below 0 if you think that the decoder is ahead. Being wrong costs nothing; not having predicted costs you the surprise.

# %%
predicted_lead = 5  # SOLUTION

check("lab05.p1", predicted_lead)

# %% tags=["not-graded"]
try:
    models = {"decoder": trained("decoder"), "encoder, 15 % chosen": trained("encoder", 0.15)}
    models["encoder, 50 % chosen"] = trained("encoder", 0.5)
    right = {
        name: (guesses(model, name[:7], words["choose"]) == words["choose"]).double() for name, model in models.items()
    }
    print("share of letters guessed right, in percent, by place")
    for name, each in right.items():
        shares = " ".join(f"{100 * share:5.0f}" for share in each.mean(0))
        print(f"{name:<22}{shares}   on average {100 * each.mean():.0f}")
    lead = 100 * (right["encoder, 15 % chosen"] - right["decoder"])[:, -1]
    error = 1.96 * lead.std() / len(lead) ** 0.5
    print(
        f"lead of the encoder (15 %) at the last place: {lead.mean():+.0f} points ({lead.mean() - error:+.0f} to {lead.mean() + error:+.0f}), you predicted {as_number(predicted_lead):+.0f}"
    )
except NotImplementedError:
    print("Not yet: finish questions 1 and 3 first.")

# %% [markdown]
# ## Your own plot, read (3 points, given by a person)
#
# The next cell plots what you measured, with 95 % intervals over words. It has no title and no explanation; these are yours.

# %% tags=["not-graded"]
try:
    fig, ax = plt.subplots(figsize=(8, 3.6))
    for shift, (name, each) in zip((-0.08, 0, 0.08), right.items()):
        error = 196 * each.std(0) / len(each) ** 0.5
        ax.errorbar(
            torch.arange(1, LETTERS + 1) + shift, 100 * each.mean(0), yerr=error, marker="o", capsize=2, label=name
        )
    ax.set(xlabel="place of the letter in the word", ylabel="guessed right (percent)", ylim=(0, 60))
    ax.legend()
    show(
        fig,
        alt="Share of letters guessed right, in percent with 95 percent intervals, by their place in the word: a decoder, and two encoders trained with 15 and with 50 percent of the letters chosen.",
    )
except NameError:
    print("Not yet: measure first.")

# %% [markdown]
# In four or five sentences: What can each model read at the first place and at the last, and does its curve show it? Who is ahead at the last place, where all read the same, and by more than the intervals allow for luck? How many letters does each model learn from in an update, and what did choosing half of the letters change? Name a second reason that could explain the gap, and an experiment that would tell the two apart.

# %%
interpretation = """At the first place the decoder has read nothing and is right for one letter in ten, as often as the commonest first letter would be; the encoders have read the seven that follow, and are only a few points ahead. At the last
place all three have read the same seven letters, and the decoder is ahead: 39 % against 30 %, a lead of 9 points (5 to 12, word by word), which is more than the luck of the words. So having more to read is not all: on average over the places the
decoder, which reads less, is right more often, 25 % against 20 %. In an update it learns from all 96 x 8 letters, an encoder with 15 % chosen from about 115. But with half of the letters chosen there are 384, and the encoder is no better, so
this cannot be all of it: it then reads words that are half masked, and at the end is asked about words with a single gap. Another reason may be that a decoder's places always see the same thing, the last one seven letters, while an encoder has to do with every
pattern of gaps, which takes more updates. Training the encoder for six times as many updates would tell: if the gap closes, it was the number of targets or of updates; training a decoder whose loss counts only 15 % of the letters would separate these two. That a
decoder understands words better cannot be read from 150 updates."""  # SOLUTION

check("lab05.t1", interpretation)

# %% [markdown]
# ## Question 7: test somebody else's masked texts (4 points, difficulty 4, 14 minutes)
#
# Somebody wrote the whole of BERT's masking, with the drawing in it, token by token this time. `make(ids, seed)` gets a list of ids: those below 5 are marks ([PAD], [CLS], ...), 4 is the mask, 5 to 99 are ordinary tokens. It gives `(inputs, targets)`, two lists as long as `ids`, and promises:
#
# 1. marks are never chosen; of the other tokens each is chosen with probability 0.15;
# 2. where a token was chosen, the target is the token that stood there; everywhere else the target is -100 and the input as it was;
# 3. of the chosen tokens four in five become 4 and one in ten a random ordinary token; the rest stay as they are.
#
# These are shares by luck: of ten tokens, all may be chosen or none. Write `examples()`, a list of 1 to 24 inputs, each a tuple `(ids, seed)` with 1 to 3000 ids from 0 to 99, without 4, and a seed below a billion; and `holds(inputs, output)`: are the promises kept? Your test must pass several right makers, which draw in ways of their own, and every wrong one must fail on one of your inputs. `check` tries six wrong ones, the grader more. Which promises can a single token break? Which shares can you see in 3000 tokens, and how far may they be off before you call it a fault?


# %%
def examples() -> list[tuple]:
    # BEGIN SOLUTION
    draw = random.Random(0)
    long = [draw.randrange(5, 100) for _ in range(1000)]
    mixed = [draw.choice([0, 1, 2, 3, draw.randrange(5, 100)]) for _ in range(150)]
    return [(long, 1), (mixed, 2), ([1, 7, 8, 9, 2, 0, 0], 3)]
    # END SOLUTION


def holds(inputs: tuple, output: tuple) -> bool:
    # BEGIN SOLUTION
    (ids, _), (read, targets) = inputs, output
    if not len(ids) == len(read) == len(targets):
        return False
    fates = {"masked": 0, "exchanged": 0, "kept": 0}
    for token, put, target in zip(ids, read, targets):
        if target == -100:
            if put != token:
                return False
            continue
        if token < 5 or target != token or (put != 4 and not 5 <= put <= 99):
            return False
        fates["masked" if put == 4 else "kept" if put == token else "exchanged"] += 1
    ordinary, chosen = sum(token >= 5 for token in ids), sum(fates.values())
    if ordinary < 800:
        return True
    shares = [fates["masked"] / chosen, fates["exchanged"] / chosen, fates["kept"] / chosen] if chosen else [0, 0, 0]
    near = all(abs(share - right) < 0.09 for share, right in zip(shares, (0.8, 0.1, 0.1)))
    return near and abs(chosen / ordinary - 0.15) < 0.04
    # END SOLUTION


check("lab05.q7", examples, holds)

# %% [markdown]
# ## Question 8: a training that went wrong (3 points, difficulty 4, 12 minutes)
#
# A small encoder reads words of four to seven letters, a small decoder writes their phonemes and a stop. Both texts of a batch are filled up with pads to eight places. In training the decoder is given the right phonemes, one place later than it is to write them. Somebody ran it with one thing wrong. You get the log; a correct run stands beside it.
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | the decoder looks both ways | `F` | the loss counts the places behind the stop |
# | `B` | the cross-attention takes its keys and values from the decoder | `G` | the stop is not among the targets |
# | `C` | the pads behind a word are not masked | `H` | the encoder has no positions |
# | `D` | the encoder looks to the left only | `I` | words and pronunciations are paired at random |
# | `E` | the decoder reads the phoneme that it is to write: its input is not shifted | `J` | the encoder's states are detached from the graph |
#
# What *moves a prediction*: at a place in the middle, one thing is exchanged in what the model reads; the number is half the sum of the absolute changes of the probabilities there, 0 if nothing changes and 1 if the prediction is another one altogether. The decoder's input *at this place* is what stands at the same place as the prediction, normally the phoneme just before it. Prove the cause from your run. These observations may or may not be true of it:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | the loss on held-out words is below 0.2 | `h` | the encoder's weights have changed by more than 1 % |
# | `b` | the loss on held-out words is above 0.8 | `i` | the decoder's input one place behind moves a prediction by more than 0.5 |
# | `c` | more than 50 % phoneme errors are written | `j` | a letter of the word moves a prediction by more than 0.1 |
# | `d` | fewer than 5 % of the written words stop | `k` | a letter of the word moves a prediction by less than 0.05 |
# | `e` | more than 95 % of the written words stop | `l` | two letters that change places move a prediction by less than 0.002 |
# | `f` | the loss as logged is more than 10 % below that on held-out words | `m` | four more pads behind the word move a prediction by more than 0.01 |
# | `g` | the encoder's weights have changed by less than 1 % | `n` | the last letter moves the first state of the encoder by less than 0.001 |
#
# Answer with the cause and one to three observations that are true of your run and that *together* would be seen neither under another cause nor in a correct run, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. For each cause ask: what could the model know in training that it does not know when it writes? And what can it not know at all?

# %% tags=["not-graded"]
runs = {
    name: recorded("lab05_faults")["results"][name] for name in filter(None, ("correct", my_run("lab05.q8", STUDENT)))
}
fig, ax = plt.subplots(figsize=(7, 3.2))
for name, run in runs.items():
    ax.plot(run["updates"], run["loss"], label=name)
ax.set(xlabel="updates", ylabel="loss as logged (nats)", ylim=(0, None))
ax.legend()
show(fig, alt="The loss as logged against updates, of a correct run and, once STUDENT is filled in, of yours.")
width = max(len(what) for what in runs["correct"])
print(" " * width, *(f"{name:>8}" for name in runs))
for what, value in runs["correct"].items():
    if isinstance(value, int | float):
        print(f"{what:<{width}}", *(f"{run[what]:>8g}" for run in runs.values()))

# %%
diagnosis = {"cause": "I", "evidence": ["b", "k"]}  # SOLUTION

check("lab05.q8", diagnosis)

# %% [markdown]
# ## Open challenge: the hidden letter
#
# One letter of a word of eight is hidden; which is it? The encoder above, trained for a few seconds, is right for about **21 %** of the letters of words it has never seen: the score to beat. Do better: train longer, hide more or fewer letters, learn from the dictionary's words of other lengths (`pronunciations("train")` has 105,000), put a decoder from the left and one from the right together, count what stands between which neighbours, or do all of it. Choose on `words["choose"]`; the score is on `words["report"]`, look at it once. **Nothing may be trained on either.** Training and guessing together may take 60 seconds on a CPU.


# %% tags=["not-graded"]
def guess_hidden(ids: torch.Tensor) -> torch.Tensor:
    """(N, 8): for each word and each place the letter that stands there, guessed from the seven others."""
    return guesses(models["encoder, 50 % chosen"], "encoder", ids)


try:
    with Stopwatch(60) as clock:
        right_letters = (guess_hidden(words["report"]) == words["report"]).double()
    score = 100 * right_letters.mean()
    print(
        f"{score:.1f} % of the hidden letters, give or take {196 * right_letters.mean(1).std() / len(right_letters) ** 0.5:.1f} by the luck of the words"
    )
except (NotImplementedError, NameError):
    print("Not yet: finish questions 1 and 3, and run the cells that train.")

# %% [markdown]
# Write down your best figure in percent, and how you got it. The check prints the line for your course's leaderboard.

# %%
best_letters = 46.0  # SOLUTION

check("lab05.c1", best_letters, seconds=None)  # seconds=clock.seconds puts the time into the line
