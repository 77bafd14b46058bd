# %% [markdown]
# # Lab 11 · Teach a model to answer, and to stop
#
# You write what lies between a conversation and a loss: the mask, the prompt, the padded and the packed batch. With these you turn a model that continues transcripts into one that answers customers. You test packers that somebody else wrote, buy demonstrations within a budget, and find out what went wrong in a fine-tuning. About 130 minutes; 26 points: 23 by the grader, 3 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab11_supervised_fine_tuning.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. You may use any tensor operation of PyTorch, but not the library's own masks and batches (`llmlib.align`): those are the answer.

# %%
import copy
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
# ## Question 1: a chat as tokens (2 points, difficulty 2, 12 minutes)
#
# `turns` is a conversation, a list of `(role, ids)`: `role` is `"system"`, `"user"` or `"assistant"`, and `ids` is a list of what was said, as tokens. `frame` holds the tokens around a turn: `frame["open"][role]`, a list, comes before what this role says; then `frame["end"]`, one id; then `frame["after"]`, a list. So in ChatML `frame["open"]["user"]` is `<|im_start|>user` and a line break, `frame["end"]` is `<|im_end|>`, and `frame["after"]` is a line break.
#
# Return the ids of the whole conversation, turn after turn, and a mask of the same length: `True` for every token that the assistant has to write, `False` for all others. The assistant writes what it says, in each of its turns, and the end token that closes it. The software around it writes the rest.

# %%
def chat_tokens(turns: list[tuple[str, list[int]]], frame: dict) -> tuple[list[int], list[bool]]:
    # BEGIN SOLUTION
    ids, mask = [], []
    for role, content in turns:
        opening, written = frame["open"][role], [*content, frame["end"]]
        ids += [*opening, *written, *frame["after"]]
        mask += [False] * len(opening) + [role == "assistant"] * len(written) + [False] * len(frame["after"])
    return ids, mask
    # END SOLUTION


check("lab11.q1", chat_tokens)

# %% [markdown]
# ## Question 2: a prompt that fits (3 points, difficulty 3, 18 minutes)
#
# In use the conversation ends with a user's turn, and the model goes on. The prompt is the turns as in question 1, followed by the opening of the assistant's turn. It may have at most `limit` ids, because a model has a context, and the reply needs room as well. If it would be longer, drop the oldest turns, and no more of them than you must:
#
# - a system turn, which can only be the first, always stays;
# - turns are dropped whole, and what is left, the system turn aside, begins with a user's turn: an answer without its question would be misunderstood;
# - the last turn, which is the question, must stay. If it does not fit, raise a `ValueError`.
#
# Users and assistant take turns, a user begins. Return the ids, a list. You may call `chat_tokens`.

# %%
def prompt_tokens(turns: list[tuple[str, list[int]]], frame: dict, limit: int) -> list[int]:
    # BEGIN SOLUTION
    n_system = 1 if turns[0][0] == "system" else 0
    for start in range(n_system, len(turns), 2):
        ids, _ = chat_tokens(turns[:n_system] + turns[start:], frame)
        ids = [*ids, *frame["open"]["assistant"]]
        if len(ids) <= limit:
            return ids
    raise ValueError(f"the question alone makes a prompt of {len(ids)} ids, limit={limit}")
    # END SOLUTION


check("lab11.q2", prompt_tokens)

# %% [markdown]
# ## Question 3: the loss of the replies (2 points, difficulty 2, 12 minutes)
#
# `logits` (B, T, V) are what a model said when it read `ids` (B, T): those at place $t$ predict the token at $t + 1$. `mask` (B, T), bool, marks the tokens to be learned, as in question 1. Return the mean of $-\log p(\text{ids}_t \mid \text{ids}_{<t})$, in nats, over **all** tokens that are marked in any row, a tensor through which gradients flow. Rows may hold different numbers of marked tokens, or none. The first token of a row has nothing before it and is never a target, marked or not. If no target is left, raise a `ValueError`.

# %%
def reply_loss(logits: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    # BEGIN SOLUTION
    marked = mask[:, 1:]
    if not marked.any():
        raise ValueError("mask marks no token that could be predicted")
    return F.cross_entropy(logits[:, :-1][marked], ids[:, 1:][marked])
    # END SOLUTION


check("lab11.q3", reply_loss)

# %% [markdown]
# ## Question 4: a padded batch (3 points, difficulty 3, 15 minutes)
#
# `examples` is a list of `(ids, mask)` as `chat_tokens` returns them, of different lengths. Make one batch of them, a dict:
#
# - `"ids"` (B, T): one example a row, padded on the right with `pad` to the length of the longest;
# - `"targets"` (B, T): for each place the token that it should predict, the *next* one of the same example, if that is marked; `-100` everywhere else. `F.cross_entropy` leaves -100 out;
# - `"real"` (B, T), bool: `True` for the tokens of an example, `False` for padding.
#
# `pad` may be any id. Many tokenizers have none for padding, and then people take the end token.

# %%
def collate(examples: list[tuple[list[int], list[bool]]], pad: int) -> dict[str, torch.Tensor]:
    # BEGIN SOLUTION
    T = max(len(ids) for ids, _ in examples)
    batch = {"ids": [], "targets": [], "real": []}
    for ids, mask in examples:
        rest = T - len(ids)
        batch["ids"].append(ids + [pad] * rest)
        batch["targets"].append([i if m else -100 for i, m in zip(ids[1:], mask[1:])] + [-100] * (rest + 1))
        batch["real"].append([True] * len(ids) + [False] * rest)
    return {name: torch.tensor(rows) for name, rows in batch.items()}
    # END SOLUTION


check("lab11.q4", collate)

# %% [markdown]
# ## Question 5: packed rows (4 points, difficulty 4, 22 minutes)
#
# Padding is read and thrown away. Packing puts several examples side by side into rows of `seq_len` tokens, and takes care that none notices the others. Go through the examples in their order and put each, whole, behind what stands in the **first** row with enough room; if there is none, begin a new row. An example longer than `seq_len` is a `ValueError`. Return a dict:
#
# - `"ids"` (rows, seq_len): what is left over at the end of a row is `pad`;
# - `"targets"` (rows, seq_len): as in question 4. The last token of an example predicts nothing;
# - `"segments"` (rows, seq_len): the number of the example in its row, from 0; -1 for what is left over;
# - `"positions"` (rows, seq_len): the place of a token in its own example, from 0; 0 for what is left over;
# - `"visible"` (rows, seq_len, seq_len), bool: `visible[r, i, j]` says whether place `i` may see place `j`. A token sees itself and the earlier tokens of its own example. A left-over place sees itself and nothing else (a softmax over nothing would be NaN).

# %%
def pack(examples: list[tuple[list[int], list[bool]]], seq_len: int, pad: int) -> dict[str, torch.Tensor]:
    # BEGIN SOLUTION
    rows = []
    for ids, mask in examples:
        if len(ids) > seq_len:
            raise ValueError(f"an example has {len(ids)} tokens, seq_len={seq_len}")
        row = next((row for row in rows if len(row["ids"]) + len(ids) <= seq_len), None)
        if row is None:
            row = {"ids": [], "targets": [], "segments": [], "positions": []}
            rows.append(row)
        row["segments"] += [row["positions"].count(0)] * len(ids)
        row["ids"] += ids
        row["targets"] += [i if m else -100 for i, m in zip(ids[1:], mask[1:])] + [-100]
        row["positions"] += range(len(ids))
    fill = {"ids": pad, "targets": -100, "segments": -1, "positions": 0}
    batch = {name: torch.tensor([row[name] + [x] * (seq_len - len(row[name])) for row in rows]) for name, x in fill.items()}
    segments, T = batch["segments"], torch.arange(seq_len)
    same = (segments[:, :, None] == segments[:, None, :]) & (segments >= 0)[:, :, None]
    batch["visible"] = same & (T[:, None] >= T) | (T[:, None] == T)
    return batch
    # END SOLUTION


check("lab11.q5", pack)

# %% [markdown]
# ## A base model, and people's replies
#
# Nothing to write in the next two cells. The model is a small Llama that has read transcripts of a support desk as they come: customers who want something, agents who mostly evade or ramble. It continues such text; it has never seen a chat's frame. A **demonstration** is a request with the reply of an experienced agent, and half of these are also in good style: polite, with a next step. The desk is generated, so the true worth of any reply is known: the **gold reward**, at most 1.6, is 1 for solving the request, 0.3 for politeness, 0.3 for a next step, and less for evasions, wrong promises and broken sentences. It is there for measuring, never for training. If one of your pieces is still missing, the cells say so and go on.

# %% tags=["not-graded"]
from llmlib.hub import load_desk
from llmlib.infer import decode_steps

desk, (base, tokenizer) = SupportDesk(0), load_desk()
start, end = tokenizer.special_tokens["<|im_start|>"], tokenizer.special_tokens["<|im_end|>"]
frame = {
    "open": {role: [start, *tokenizer.encode(f"{role}\n")] for role in ("system", "user", "assistant")},
    "end": end,
    "after": tokenizer.encode("\n"),
}
requests = desk.requests(150, random.Random("requests of the lab"))


def examples_of(demonstrations: list) -> list[tuple[list[int], list[bool]]]:
    said = [(tokenizer.encode(request.text), tokenizer.encode(reply)) for request, reply in demonstrations]
    return [chat_tokens([("user", asked), ("assistant", answered)], frame) for asked, answered in said]


@torch.no_grad()
def answer(model: nn.Module, requests: list, longest: int = 48) -> list[str]:
    """A reply to each request, sampled at temperature 1; one that has not ended is cut off."""
    prompts = [prompt_tokens([("user", tokenizer.encode(request.text))], frame, 128) for request in requests]
    steps = decode_steps(model.eval(), prompts, longest, generator=torch.Generator().manual_seed(0))
    replies = torch.stack([step.tokens for step in steps], dim=1).tolist()
    return [tokenizer.decode(reply[: reply.index(end)] if end in reply else reply).strip() for reply in replies]


def gold(model: nn.Module) -> float:
    return sum(map(desk.gold, requests, answer(model, requests))) / len(requests)


# %% tags=["not-graded"]
def fine_tune(examples: list, updates: int = 60, rows: int = 16, lr: float = 6e-3, seed: int = 0) -> tuple[nn.Module, list]:
    """A copy of the base model after so many updates of `rows` examples each, packed; and the losses."""
    torch.manual_seed(seed)
    model, order, losses = copy.deepcopy(base).train(), [], []
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.0)
    for step in range(updates):
        optimizer.param_groups[0]["lr"] = lr * min(1, (step + 1) / 5) * (1 - step / updates)
        if len(order) < rows:
            order += torch.randperm(len(examples)).tolist()
        batch = pack([examples[order.pop(0)] for _ in range(rows)], seq_len=128, pad=0)
        logits = model(batch["ids"], segments=batch["segments"])         # makes `visible` and `positions` itself
        loss = F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return model, losses


try:
    with torch.no_grad():                                                # three ways to compute the same number
        some = examples_of(desk.demonstrations(12, random.Random(7), quality=0.5))
        padded, packed = collate(some, pad=end), pack(some, seq_len=128, pad=end)
        by_mask = [reply_loss(base(torch.tensor([ids])), torch.tensor([ids]), torch.tensor([mask])) for ids, mask in some]
        in_rows = F.cross_entropy(base(packed["ids"], segments=packed["segments"]).transpose(1, 2), packed["targets"])
        in_batch = F.cross_entropy(base(padded["ids"], pad_mask=padded["real"]).transpose(1, 2), padded["targets"])
    counts = torch.tensor([float(sum(mask)) for _, mask in some])
    print(f"one by one {torch.stack(by_mask) @ counts / counts.sum():.4f}, packed {in_rows:.4f}, padded {in_batch:.4f}")
    print(f"padded {tuple(padded['ids'].shape)}, packed {tuple(packed['ids'].shape)}")
    print(f"The base model, asked {requests[0].text!r}: {answer(base, requests[:1])[0]!r}")
except NotImplementedError:
    print("Not yet: finish questions 1 to 5 first.")

# %% [markdown]
# ## Before you train: a prediction (logged, not graded)
#
# The next cell fine-tunes twice from the same 200 demonstrations, with the same 60 updates and two seeds each: once with the loss on the replies, once with the loss on *everything*, the requests included. More targets from the same text, or the wrong ones? **By how much will the mean gold reward of the first be higher than that of the second?** Give a number between -1 and 1; below 0 if you think it will be lower. Being wrong costs nothing; not having predicted costs you the surprise.

# %%
predicted_difference = 0.3  # SOLUTION

check("lab11.p1", predicted_difference)

# %% tags=["not-graded"]
try:
    demonstrations = desk.demonstrations(200, random.Random("demonstrations of the lab"), quality=0.5)
    replies_only = examples_of(demonstrations)
    everything = [(ids, [True] * len(ids)) for ids, _ in replies_only]
    golds, fig = {}, plt.figure(figsize=(7.5, 3.4))
    for name, chosen in (("replies only", replies_only), ("everything", everything)):
        runs = [fine_tune(chosen, seed=seed) for seed in (0, 1)]
        golds[name] = [gold(model) for model, _ in runs]
        plt.plot(runs[0][1], label=f"{name}: gold reward {golds[name][0]:.2f} and {golds[name][1]:.2f}")
        print(f"{name}: gold rewards {golds[name][0]:.2f} and {golds[name][1]:.2f}; {answer(runs[0][0], requests[:1])[0]!r}")
    plt.gca().set(xlabel="update", ylabel="training loss (nats per target)", yscale="log")
    plt.legend()
    show(fig, alt="Training loss of one run with the loss on the replies and one with the loss on everything; the legend has the gold rewards of two seeds.")
    difference = (sum(golds["replies only"]) - sum(golds["everything"])) / 2
    print(f"difference {difference:+.2f}, you predicted {as_number(predicted_difference):+.2f}")
except NotImplementedError:
    print("Not yet: finish questions 1 to 5 first.")

# %% [markdown]
# The two losses are means over different targets and cannot be compared; only the replies can. How large is the difference beside that between two seeds?
#
# ## Question 6: test somebody else's packing (3 points, difficulty 4, 18 minutes)
#
# There are many right ways to pack. `packer(examples, seq_len)` takes `examples`, a list of `(ids, mask)`, and gives a dict as in question 5, of nested lists: `"ids"`, `"targets"`, `"segments"`, `"positions"` (one list of `seq_len` numbers a row) and `"visible"` (`output["visible"][r][i][j]`). Whatever its order and its number of rows, it keeps these promises:
#
# 1. every example stands in one row, whole, its tokens side by side and in order, exactly once; its places share a segment number from 0 on, which no other example of *that row* has. What is left over has -1, and there is nothing else;
# 2. the positions of an example count from 0;
# 3. a token of an example sees itself and the earlier tokens of its example, and no other place;
# 4. targets are as in question 5: the next token of the same example, if its mask marks it; -100 everywhere else.
#
# What ids and positions a left-over place has, and what it sees, is free. Two examples may be alike. Write `examples()`, a list of 1 to 24 inputs `(examples, seq_len)` to try, and `holds(inputs, output)`: are the promises kept? An input has 1 to 8 examples of 1 to `seq_len` ids (from 1 to 99), `seq_len` is at most 24. Your test must pass several right packers, and every wrong one must fail on one of your inputs. `check` tries five wrong ones, the grader more. What must an input contain for a mistake to show?

# %%
def examples() -> list[tuple]:
    # BEGIN SOLUTION
    asked = [([5, 6, 7, 8], [False, False, True, True]), ([9, 10, 8], [False, True, True])]
    read = [([11, 12, 13], [True, True, True]), ([14, 8], [True, True]), ([15, 16, 17, 18, 8], [True] * 5)]
    return [(asked + read, 12), (read + asked + read, 7), (read + asked, 24), ([read[2], asked[0], asked[0]], 5)]
    # END SOLUTION


def holds(inputs: tuple, output: dict) -> bool:
    # BEGIN SOLUTION
    wanted = sorted((list(ids), [i if m else -100 for i, m in zip(ids[1:], mask[1:])] + [-100]) for ids, mask in inputs[0])
    found, seq_len = [], inputs[1]
    for row in range(len(output["ids"])):
        ids, targets, segments, positions = (output[name][row] for name in ("ids", "targets", "segments", "positions"))
        visible = output["visible"][row]
        for segment in set(segments):
            places = [i for i in range(seq_len) if segments[i] == segment]
            if segment < 0:
                if segment != -1 or any(targets[i] != -100 for i in places):
                    return False
                continue
            if places != list(range(places[0], places[-1] + 1)) or [positions[i] for i in places] != list(range(len(places))):
                return False
            if any(visible[i][j] != (j in places and j <= i) for i in places for j in range(seq_len)):
                return False
            found.append(([ids[i] for i in places], [targets[i] for i in places]))
    return sorted(found) == wanted
    # END SOLUTION


check("lab11.q6", examples, holds)

# %% [markdown]
# ## Question 7: demonstrations for a budget (3 points, difficulty 3, 15 minutes)
#
# Demonstrations are written by people, and people are paid: a plain one costs 2 dollars, one in good style 6. Fine-tuning also makes a model forget: before it, the loss of the base model on transcripts is 0.44 nats per token. If some of the 16 rows of every update are transcripts (**replay**), it keeps what it knew, and reads fewer demonstrations. Somebody has fine-tuned with all combinations of
#
# - `"n"`: 20, 40, 80 or 160 demonstrations;
# - `"good"`: a share of 0, 0.5 or 1 of them in good style;
# - `"replay"`: a share of 0, 0.25 or 0.5 of the rows,
#
# two seeds each, 60 updates, and has measured gold rewards on two sets of requests: one to choose by, which the next cell shows, and one to report. Choose one combination:
#
# - at most **500 dollars**;
# - a loss on transcripts of at most **0.7** nats per token, the mean of the two seeds.
#
# Within these, its mean gold reward on the requests to *report* must be at least **1.05**. `check` shows it. Ask it once: requests that are looked at again and again are no longer there to report on.

# %% tags=["not-graded"]
table = recorded("lab11_table")["results"]
fig, axes = plt.subplots(1, 2, figsize=(11, 3.6))
for good, color in ((0.0, "C0"), (0.5, "C1"), (1.0, "C2")):
    for replay, style in ((0.0, "-"), (0.25, "--"), (0.5, ":")):
        at = [r for r in table if (r["good"], r["replay"]) == (good, replay)]
        n, label = [r["n"] for r in at], f"good {good:g}, replay {replay:g}"
        axes[0].plot(n, [sum(r["gold, to choose by"]) / 2 for r in at], style, color=color)
        axes[1].plot(n, [sum(r["loss on transcripts"]) / 2 for r in at], style, color=color, label=label)
for ax, what in zip(axes, ("gold reward, to choose by", "loss on transcripts (nats)")):
    ax.set(xscale="log", xlabel="demonstrations", ylabel=what)
    ax.set_xticks([20, 40, 80, 160], labels=["20", "40", "80", "160"])
    ax.xaxis.set_minor_formatter("")
axes[1].legend(fontsize=8, ncols=3, loc="center", bbox_to_anchor=(0.5, 0.35))
show(fig, alt="Gold reward and loss on transcripts against the number of demonstrations, one line for each share in good style and of replay.")
print(f"{'n':>4} {'good':>5} {'replay':>7}   gold reward, two seeds   loss on transcripts, two seeds")
for r in table:
    seeds = [f"{a:6.2f} {b:5.2f}" for a, b in (r["gold, to choose by"], r["loss on transcripts"])]
    print(f"{r['n']:>4} {r['good']:>5g} {r['replay']:>7g}   {seeds[0]:>23}   {seeds[1]:>29}")

# %%
purchase = {"n": 80, "good": 1.0, "replay": 0.25}  # SOLUTION

check("lab11.q7", purchase)

# %% [markdown]
# ## Read the table (3 points, given by a person)
#
# In four or five sentences: What does eight times the number of demonstrations buy, plain and in good style? Which is worth more for about the same money, many plain ones or few good ones, and what in the gold reward makes it so? What does replay cost, and what does it save, at which share? Which of these differences are larger than those between the two seeds, and what can two seeds and this one world not tell you?

# %%
interpretation = """From 20 to 160 demonstrations the reward rises from 0.42 to 0.92 if they are plain, and from 0.88 to 1.34 if they are good (no replay). Good ones
are worth their price: 20 of them for 120 dollars come nearly as far as 160 plain ones for 320 (0.88 and 0.92), and 80 for 480 dollars reach 1.25. The model copies the style of what it is shown, and 0.6 of the reward
is style, politeness and a next step, which plain demonstrations rarely have however many there are; their number buys the other part, solving requests.
A quarter of replay brings the loss on transcripts from 2 to 3 down to 0.52 and costs at most 0.2 of reward, with few demonstrations nothing that I could see; half of it saves hardly more text and costs
about twice as much, up to 0.4. Seeds differ by 0.1 to 0.2 and sometimes more, so the effects of style and of eight times the number stand, while most steps from one number to the next, and a quarter of replay in a single row, do not. Two seeds give no
interval worth the name, the number of updates was the same everywhere, and what style is worth was decided by whoever made this world."""  # SOLUTION

check("lab11.t1", interpretation)

# %% [markdown]
# ## Question 8: a fine-tuning that went wrong (3 points, difficulty 4, 20 minutes)
#
# Somebody fine-tuned the base model of this lab on 200 demonstrations, half of them in good style: 60 updates of 16 examples, padded, the loss on the replies. One thing is wrong. You get the log; a correct run stands beside it.
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | the end token is the padding, and padding is found by its id | `F` | there are 20 demonstrations, read 48 times |
# | `B` | the ids are shifted by one, and the mask is not | `G` | the learning rate is 20 times too low |
# | `C` | the mask is turned round | `H` | there is no mask |
# | `D` | several examples stand in a row, and attention and positions run on | `I` | the demonstrations are replies of the desk as they come |
# | `E` | in use, the program waits for <|endoftext|> to end a reply | | |
#
# The first four numbers of the log come from the program itself, with what is wrong in it: which tokens it counts, its losses, its batches. The losses on tokens of held-out replies and on transcripts were measured afterwards, on the same text for every model, in the right way. The replies, at most 48 tokens each, were written by the program to 150 held-out requests. Prove the cause from your run. These observations may or may not be true of it:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | fewer than 47 % of the tokens are targets | `g` | the loss on transcripts is below 1.7 |
# | `b` | more than 50 % of the tokens are targets | `h` | at least 95 % of the replies end |
# | `c` | the training loss of the last 10 updates is below 0.12 | `i` | the loss of a target changes by more than 0.01 when another example stands before its own |
# | `d` | the program's held-out loss is more than 0.12 above its training loss of the last 10 updates | `j` | fewer than 50 % of the replies are polite |
# | `e` | the loss on the first token of held-out replies is above 2 | `k` | fewer than 50 % of the replies end |
# | `f` | the loss on the end token of held-out replies is below 1 | `l` | more than 5 % of the replies are evasive |
#
# Answer with the cause and one to three observations that are true of your run and that *together* would be seen neither under another cause nor in a correct run, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. For each cause ask: which tokens are learned that should not be, or the other way round, and what will the model do where it has learned nothing?

# %% tags=["not-graded"]
runs = {name: recorded("lab11_faults")["results"][name] for name in filter(None, ("correct", my_run("lab11.q8", STUDENT)))}
fig, ax = plt.subplots(figsize=(7.5, 3.2))
for name, run in runs.items():
    ax.plot(run["steps"], run["training"], label=name)
ax.set(xlabel="update", ylabel="training loss (nats per target)", yscale="log")
ax.legend()
show(fig, alt="Training loss of a correct run and, once STUDENT is filled in, of yours, each as its program computes it.")
width = max(len(what) for what in runs["correct"])
print(" " * width, *(f"{name:>8}" for name in runs))
for what, value in runs["correct"].items():
    if isinstance(value, int | float):
        print(f"{what:<{width}}", *(f"{run[what]:>8g}" for run in runs.values()))
for name, run in runs.items():
    print(f"--- {name} ---", *(f"{request}\n    -> {reply}" for request, reply in run["samples"]), sep="\n")

# %%
diagnosis = {"cause": "C", "evidence": ["b", "e"]}  # SOLUTION

check("lab11.q8", diagnosis)

# %% [markdown]
# ## Open challenge: 200 demonstrations, 30 seconds
#
# Start from the base model and the 200 demonstrations of the training cell above, `demonstrations`; besides them you may use transcripts of the desk, `desk.transcripts(n, rng)`, as many as you like. You know nothing else of the desk: its gold reward, its lists of phrases and its findings are for measuring only, and more demonstrations are not for sale. Which demonstrations would you rather have the model imitate? What else do they show, if you look at them as people do? Optimizer, rates, mask, weights of examples, averages of weights: all yours. Replies are sampled at temperature 1, as in `answer`.
#
# The score is the mean gold reward on the 300 requests of the next cell; look at it once, and tune on requests of your own. The fine-tuning above reaches about **1.04**: the score to beat. Training may take 30 seconds on a CPU.

# %% tags=["not-graded"]
try:
    with Stopwatch(30) as clock:
        challenger, _ = fine_tune(examples_of(demonstrations), updates=10)   # 60, or what you have time for, when you mean it
    challenge = desk.requests(300, random.Random("requests of the challenge"))
    print(f"mean gold reward {sum(map(desk.gold, challenge, answer(challenger, challenge))) / len(challenge):.2f}")
except NotImplementedError:
    print("Not yet: finish questions 1 to 5 first.")

# %% [markdown]
# Write down your best figure, and how you got it. The check prints the line for your course's leaderboard.

# %%
best_reward = 1.38  # SOLUTION

check("lab11.c1", best_reward, seconds=None)  # seconds=clock.seconds puts the time into the line
