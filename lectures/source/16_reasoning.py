# %% [markdown]
# # 16 · Reasoning
#
# **The question of this lecture.** A model spends the same computation on every token, whether it writes "the" or the result of a sum. *What changes when it may write its way to an answer, or write many answers, or be paid for right ones?*
#
# Business Analytics calls this a new paradigm: "Same model + more thinking/reasoning time = Better Performance". Day 24 shows chains, votes and trees of thoughts in one drawing; 11-785 names chain of thought among the ways to prompt. Here each of these is built in a few lines, and its price is counted in the same coin: generated tokens.
#
# **Afterwards you can**
# - say why steps help a model of fixed depth, and which other explanations the controls speak against, and how far;
# - keep apart prompted chains of thought and steps that a model was trained on;
# - read an answer off a reply, vote over many, choose by a verifier, search a tree, and count what each costs;
# - tell a learned verifier from an oracle, and say which of the two a curve was drawn with;
# - train a model on nothing but right and wrong, and say what changed in it.
#
# **Before this:** lectures 03, 11 and 13; lecture 00 for intervals.
#
# **Time:** core 123 minutes, optional 3 minutes; two classes. All cells together: under a minute of computing on a laptop CPU. What took longer was run once and is marked *recorded*.
#
# <!-- sources: analytics, day24, 11785 -->

# %%
import random
import re
import time
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch

from courseware import (Claim, Diagram, bars, claims_table, curves, explore, panels,
                        poll, setup_style, show, steps, table)
from llmlib.align import group_advantages
from llmlib.data import (Addition, AnyOrderSum, ShellGame, encode_problems, recorded,
                         step_verifier)
from llmlib.evaluate import bootstrap_interval
from llmlib.infer import (STEP_BY_STEP, Thought, Writer, beam_search, best_of,
                          extract_answer, few_shot_prompt, majority_vote,
                          tree_search, verified_steps, wilson_interval)
from llmlib.model import ModelConfig, Transformer
from llmlib.text import CharTokenizer
from llmlib.train import TrainConfig, next_token_loss
from llmlib.train.parameter_groups import build_optimizers

setup_style(compact=True)
torch.manual_seed(0);

# %% [markdown]
# ## I. A thing to keep in mind
#
# The shell game: a ball lies under one of five cups, cups are swapped in pairs, where is the ball? There is almost nothing to know and a long way to think. A reply may name the cup after every swap, or only the last.

# %%
# NBVAL_CHECK_OUTPUT
game = ShellGame(cups=5, swaps=8)
example = game.problem(3, [[1, 3], [4, 5], [1, 2], [2, 4],
                           [1, 5], [4, 5], [3, 5], [2, 3]])
print("the game:      ", example.prompt)
print("with steps:    ", example.reply(), " (the last is the answer)")
print("at once:       ", example.reply(steps=False))

# %% [markdown]
# **By hand.** Cover the second line and follow the ball. Most people keep one number in mind, the cup, and change it at each swap. A transformer that must answer with its next token has no such number. All tokens of the prompt are worked on side by side, but each result needs a layer above what it was made from, and there are as many layers as there are, whatever the length of the game. With steps, the cup is a token, and the next token may read it, from the lowest layer on.
#
# Following the ball one swap at a time is not the one way, though. Two swaps make one rearrangement of the cups, two of these another, and so on: twelve swaps fit into a handful of layers. Such *shortcuts* exist, and trained transformers have been seen to find some (Liu et al., 2023). Whether these models find one is a question for a measurement.

# %% tags=["diagram"]
d = Diagram(12, 3.4)
d.label(0.2, 3.1, "at once: all swaps within two layers", align="left")
for i, text in enumerate(["3:", "13", "45", "12", "24", "="]):
    d.box(0.8 + 1.0 * i, 2.4, text, w=0.85, h=0.55, color="grey")
one = d.box(7.4, 2.4, "2 layers", w=1.5, h=0.6, color="orange")
d.arrow((6.25, 2.4), one)
out = d.box(9.4, 2.4, "4", w=0.6, h=0.6, color="green")
d.arrow(one, out)
d.label(0.2, 1.5, "with steps: one swap for each token, the last step read again", align="left")
for i, (swap, cup) in enumerate([("13", "1"), ("45", "1"), ("12", "2"), ("24", "4")]):
    left = d.box(1.0 + 2.9 * i, 0.7, f"swap {swap}", w=1.45, h=0.55, color="grey")
    cell = d.box(2.45 + 2.9 * i, 0.7, cup, w=0.6, h=0.6, color="green")
    d.arrow(left, cell)
    if i < 3:
        d.arrow(cell, (3.17 + 2.9 * i, 0.7))
d.show(alt="Above: to answer at once, a model of two layers must compose all swaps between reading the equals sign and writing one token. Below: with steps, each token looks up one swap and the cup before it: 1, 1, 2, 4.")

# %% [markdown]
# Both models below have two layers and a quarter of a million weights. They get the same number of processor seconds, not of updates: replies with steps are longer, and a fair comparison makes them pay for that.

# %%
def small_model(task, longest, seed=0, layers=2):
    tokenizer = CharTokenizer(task.alphabet)
    model = Transformer(ModelConfig(tokenizer.vocab_size, layers, 96, 4,
                                    max_seq_len=longest, position="learned"))
    model.init_weights(torch.Generator().manual_seed(seed))
    return model, tokenizer

# %%
def train(model, tokenizer, problems, with_steps, seconds=60.0, updates=10_000, seed=0):
    """Train until either runs out; returns the processor seconds used."""
    rows = encode_problems(problems, tokenizer.encode, with_steps)
    config = TrainConfig(optimizer="muon", lr=0.01, embedding_lr=0.01,
                         head_lr=0.003, vector_lr=0.003, weight_decay=0.0)
    optimizers = build_optimizers(model, config)
    draws = torch.Generator().manual_seed(seed)
    began, used = time.process_time(), 0.0
    for update in range(updates):
        some = torch.randint(len(problems), (64,), generator=draws)
        total, count = next_token_loss(model, {k: v[some] for k, v in rows.items()})
        model.zero_grad()
        (total / count).backward()
        used = time.process_time() - began
        left = 1 - max(used / seconds, update / updates)
        for optimizer in optimizers:
            for group in optimizer.param_groups:        # rates fall over the last half
                first = group.setdefault("first", group["lr"])
                group["lr"] = first * min(1, 2 * left + 0.05)
            optimizer.step()
        if used >= seconds:
            break
    model.eval()
    return used

# %%
def written(model, tokenizer, problems, n=1, **how):
    """n replies to each problem, and the writer, which has counted their tokens."""
    longest = max(len(p.reply()) for p in problems) + 8
    writer = Writer(model, tokenizer, max_new_tokens=longest,
                    stop_tokens=tokenizer.encode("\n"), **how)
    return writer([p.prompt for p in problems], n=n), writer


practice = game.problems(6000, random.Random(0))
held_out = game.problems(400, random.Random(1), held_out=True)
seconds = 60.0
for name, with_steps in (("with steps", True), ("at once", False)):
    model, tokenizer = small_model(game, 48)
    seconds = train(model, tokenizer, practice, with_steps, seconds,
                    updates=190 if with_steps else 10_000)
    replies, writer = written(model, tokenizer, held_out, greedy=True)
    right = sum(game.is_right(p, r.text) for p, (r,) in zip(held_out, replies))
    print(f"{name:>10}: {seconds:.0f} s, {right} of {len(held_out)} right, "
          f"{writer.budget.generated / len(held_out):.0f} tokens a reply")

# %% [markdown]
# Chance is one in five. The figure shows the *recorded* runs over three seeds, with games of 12 swaps and 20 processor seconds for each model, and contenders that could explain the difference away. Look for one that comes near the steps.

# %% tags=["diagram"]
cot = recorded("chain_of_thought")["results"]
SHELL = "shell game, 12 swaps"
WAYS = ["steps", "direct", "deeper", "auxiliary heads", "filler", "shuffled", "four times the time"]


def of(task, way, key="right"):
    return [run[key] for run in cot["runs"] if run["task"] == task and run["way"] == way]


bars({way: of(SHELL, way) for way in WAYS if of(SHELL, way)}, fmt="", x="whole answers right (%)", reference={"chance": 20}, height=2.9,
     alt="Shell game of 12 swaps, answers right on held-out games, mean and range of three seeds: " + ", ".join(f"{way} {np.mean(of(SHELL, way)):.0f} %" for way in WAYS if of(SHELL, way)) + ". Chance is 20 %.")
table([{"": way, "right (%), by seed": ", ".join(f"{x:.0f}" for x in of(SHELL, way)), "tokens a reply": np.mean(of(SHELL, way, "tokens")), "updates": np.mean(of(SHELL, way, "updates")), "seconds": of(SHELL, way, "seconds")[0]} for way in WAYS if of(SHELL, way)],
      fmt={"tokens a reply": ".0f", "updates": ".0f"}, caption=f"recorded: {cot['tested']} held-out games of 12 swaps, greedy, three seeds")

# %% [markdown]
# **What the controls say.** Each row has the same problems and, but for the last, the same processor time.
#
# - *direct* answers at once, *deeper* does so with four times the layers. They ask whether steps were only a substitute for depth. Four times the layers also mean a quarter of the updates, as the table shows: this row says that depth is no quick replacement, not that it is none.
# - *auxiliary heads* predict the same steps from the last token of the prompt, beside the answer: the same labels in the loss, but nothing written, and nothing to read again.
# - *filler* writes as many tokens, all dots: the extra computation without content.
# - *shuffled* writes the right steps in a random order: the right words without the way from one to the next.
# - *four times the time* is *direct* with 80 seconds instead of 20.
#
# None of the others is more than four points above chance. Were the labels enough, auxiliary heads would show it; were the tokens enough, filler would. What these leave as the likeliest reason is what 11-785's phrase says, "work through the steps": a written result that the next token can build on.
#
# How far does that go? It says what is learned *in this time*, by models of this size. Four times the time changed nothing for the answer at once; whether forty times would, the figure cannot tell. The next section has a task in which the answer at once does come later.
#
# ### Where steps buy nothing
#
# Addition has steps, too: two digits and a carry at a time. But the direct model can add some numbers at once. How many digits does it take until the steps pay?

# %%
# NBVAL_CHECK_OUTPUT
addition = Addition(3)
example = addition.problem(47, 385)
print(example.prompt + example.reply(steps=False))
print(example.prompt + example.reply())

# %% tags=["diagram"]
def adding(k):
    """The scratchpad of 047+385 after k of its four parts."""
    d = Diagram(5.6, 3.2)
    x, y, places = "047", "385", [4.2, 3.2, 2.2]
    for i in range(3):
        d.box(2.2 + i, 2.7, x[i], w=0.7, h=0.55, color="orange" if k < 4 and k and i == 3 - k else "grey")
        d.box(2.2 + i, 2.0, y[i], w=0.7, h=0.55, color="orange" if k < 4 and k and i == 3 - k else "grey")
    d.label(1.2, 2.0, "+")
    digits = "2340"
    for i in range(min(k, 3)):
        d.box(places[i], 1.2, digits[i], w=0.7, h=0.55, color="green")
    if k == 4:
        d.box(1.2, 1.2, "0", w=0.7, h=0.55, color="green")
    d.label(2.8, 0.4, (*example.parts(example.reply()), "")[k - 1] if k else "047+385=")
    return d


steps([adding(k) for k in range(5)], panels=[1, 2, 4], name="part",
      alt=[f"The sum 047+385 after {k} of four parts of its reply: " + ";".join(example.parts(example.reply())[:k]) for k in range(5)])

# %% tags=["diagram"]
SUMS = [name for name in dict.fromkeys(run["task"] for run in cot["runs"]) if name.startswith("addition")]
SUMS.sort(key=lambda name: (int(re.search(r"\d+", name)[0]), of(name, "steps", "seconds")[0]))
label = {name: f"{re.search(r'[0-9]+', name)[0]} digits, {of(name, 'steps', 'seconds')[0]} s" for name in SUMS}
bars({f"{label[name]}, {how}": of(name, way) for name in SUMS for way, how in (("steps", "steps"), ("direct", "at once"))}, fmt="", x="whole sums right (%)", height=3.5,
     alt="Whole sums right, mean and range of three seeds. " + " ".join(f"{label[name]}: with steps {np.mean(of(name, 'steps')):.0f} %, at once {np.mean(of(name, 'direct')):.0f} %." for name in SUMS))

# %% [markdown]
# Two digits: no difference. Four digits: none either, once both have 45 seconds; in 30 one direct model of three lags behind. Six and eight digits: with steps every seed has learned it; at once five of the six models have learned most of it, and one of six digits almost nothing. So in addition steps change how soon and how surely it is learned, not whether it can be: a model of two layers finds its way to a sum without them. Our guess at the shortcut: every digit of a sum depends on the two digits above it and on whether a carry arrives, and attention can look for the next place that settles the carry, wherever it is. Whether the shell game is the same case, and merely needs longer, is open on this page.
#
# In lecture 04, SmolLM2 got a two-digit sum wrong that the models above add at once after 20 seconds. They were shown nothing but sums; it has read mostly prose. <!-- keeps: 16-sums-in-steps -->
#
# ### Longer than anything seen (*optional*)
#
# A model that has followed 1 to 6 swaps should follow 12, if what it does is the same at each. *Recorded, three seeds:* with the learned positions of this page; with none at all, where only the causal mask tells what came before; and with none, but a letter before every swap, which its step repeats. The letters begin anywhere in the alphabet ("index hints", Zhou et al., 2023): to find the next swap the model can look for a *mark* instead of counting to a place.

# %% tags=["diagram"]
lengths = recorded("length_generalisation")["results"]
SWAPS = [int(n) for n in lengths["runs"][0]["lengths"]]


def by_length(way, key="chain"):
    return [[run["lengths"][str(n)][key] for n in SWAPS] for run in lengths["runs"] if run["way"] == way]


NAMED = {"learned": "learned positions", "none": "no positions", "none, marked": "no positions, marked swaps"}
fig, axes = panels(2, titles=["whole chains", "answers"], height=2.9, share_y=True)
for ax, key in zip(axes, ("chain", "right")):
    curves({label_: by_length(way, key) for way, label_ in NAMED.items()}, at=SWAPS, x="swaps", y="right (%)" if key == "chain" else "", ax=ax, labels=False)
    ax.axvline(lengths["trained"][1], color="0.4", linestyle=":")
    ax.set_ylim(-3, 103)
    ax.set_xticks(SWAPS)
axes[0].legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 0.1))
show(fig, alt=f"Whole chains right against the number of swaps; training ended at {lengths['trained'][1]}. Mean and range of three seeds. " + " ".join(f"{label_}: " + ", ".join(f"{value:.0f} % at {n}" for n, value in zip(SWAPS, np.mean(by_length(way), 0)) if n >= 6) + "." for way, label_ in NAMED.items()))

# %% [markdown]
# Beyond the dotted line, where training ended, the learned positions are lost at once, and the answers fall to chance: the vectors of those places were never trained. Without positions the model learns the trained lengths less well and goes no further. With marks it carries on: seven swaps nearly always, eight mostly; by twelve it is lost, too. So one change helps, by one or two swaps, and is no cure. Steps make a long way quick to learn; by themselves they do not make a method that goes on.
#
# ### A trap: the score that hides broken chains
#
# During training a model is always shown the right steps before the one it predicts. Asked that way, nearly every token may be right while nearly every chain is broken. From here on we need a model that errs: sums of five digits whose terms may be added in any order, stopped half way through its training.

# %%
sums = AnyOrderSum(terms=5, digits=1)
unsure, letters = small_model(sums, 96)
train(unsure, letters, sums.problems(4000, random.Random(0)), True, updates=165)
drawn = sums.problems(600, random.Random(1), held_out=True)
asked = list({p.key: p for p in drawn}.values())        # no sum twice
rows = encode_problems(asked, letters.encode)
with torch.no_grad():
    guess = unsure(rows["ids"]).argmax(-1)
real = rows["targets"] >= 0
token_right = (guess == rows["targets"])[real].float().mean()
chains, _ = written(unsure, letters, asked, greedy=True)
whole = np.mean([sums.chain_is_right(p, r.text) for p, (r,) in zip(asked, chains)])
print(f"tokens right when the text so far is given: {token_right:.0%}; "
      f"whole chains right when it writes: {whole:.0%}")
print("one of them:", asked[0].prompt + chains[0][0].text)

# %% [markdown]
# Were the tokens right independently of one another, 95 % each would leave $0.95^{30} \approx 21$ % of chains of thirty. (The first number is low here for another reason as well: where any order will do, no one can know which term comes next, and a token that differs from the one shown counts as wrong.) All accuracies on this page are of whole answers, written freely.
#
# ## II. Asking for steps
#
# So far the models were *trained* on steps. Chain-of-thought prompting (Wei et al., 2022) trains nothing: examples in the prompt show their steps, or the reply is begun with "Let's think step by step." (Kojima et al., 2022). Both are called chain of thought; that a network can be *trained* to use a scratchpad says little about whether a prompt gets a given model to. A prompt is quickly written:

# %%
def prompt_of(question, examples=(), cue=""):
    """Solved examples, then the question: zero-, one- or few-shot."""
    shown = [f"Q: {q}\nA: {a}" for q, a in examples]
    return "\n\n".join([*shown, f"Q: {question}\nA:" + (f" {cue}" if cue else "")])


shot = ("Tom has 3 pens and buys 4. How many has he?", "3 + 4 = 7. The answer is 7.")
for examples in ((), [shot], [shot, ("2 * 3?", "2 * 3 = 6. The answer is 6.")]):
    for cue in ("", STEP_BY_STEP):
        ours = prompt_of("How much is 5 and 6?", examples, cue)
        assert ours == few_shot_prompt("How much is 5 and 6?", examples, cue=cue)
print(prompt_of("How much is 5 and 6?", [shot], STEP_BY_STEP))

# %% [markdown]
# A reply in words has to be *read*, and a careless reader makes a model look worse, or better, than it is. A common rule: what follows "the answer is", else the last number.

# %%
def answer_in(text):
    """What follows "answer is", else the last number; without $ and commas."""
    *_, said = re.split(r"answer is", text, flags=re.IGNORECASE)
    concluded = said != text
    found = re.findall(r"(?<![\w.])(-?)\$?(\d[\d,]*(?:\.\d+)?)", said)
    if not found:
        return None
    sign, digits = found[0] if concluded else found[-1]
    return f"{float(sign + digits.replace(',', '')):g}"


for text in ("3 + 4 = 7. The answer is 7.", "So it costs $1,000.00 in total.",
             "First 12, then 5, so 17.", "The answer is -4.", "I do not know."):
    assert answer_in(text) == extract_answer(text), text
hard = ["Step 2: we get 40.\n2. Then stop.", r"Thus \boxed{\frac{1}{2}}.",
        "The answer is 3 * 4 = 12.", "7 apples.\nQ: What is 5 + 5?\nA: 10"]
table([{"reply": t, "these lines": str(answer_in(t)),
        "extract_answer": str(extract_answer(t))} for t in hard])

# %% [markdown]
# These lines and the library agree on ordinary replies and part on the four above: a label, a box, an equation, and a question that the model asked itself. `extract_answer` is what lab 16 builds.
#
# ### SmolLM2 on GSM8K
#
# *Recorded:* 40 of the 100 problems from GSM8K's test split (Cobbe et al., 2021) that the course has at hand; the examples come from others of them, the shortest first, and nothing was tuned. Look at the intervals first, then at the column of tokens. *At once:* the reply begins with "The answer is". *Steps:* it begins with "Let's think step by step.", and a reply that is cut off at 120 tokens is asked for its conclusion, as Kojima et al. did.

# %%
poll("SmolLM2 has 135 million parameters. What do four examples with worked steps do for it on grade-school problems, against four without?",
     ["no difference that forty problems can show", "it solves about a third instead of almost none", "it solves more than half", "it does clearly worse than with answers at once"],
     "Wei et al. found gains only from about 100 billion parameters on, and called the ability emergent. A model that gets single steps wrong gets more steps wrong more often. What was measured stands below; other answers were not unreasonable, since larger models of today's kind do gain.")

# %% tags=["diagram"]
prompting = recorded("gsm8k_prompting")["results"]
lines = {}
for part in prompting:
    line = lines.setdefault((part["way"], part["shots"]), dict(right=[], tokens=[], none=0, cut=0))
    for key in line:
        line[key] += part[key]
rates = {key: (np.mean(line["right"]), *wilson_interval(sum(line["right"]), len(line["right"]))) for key, line in lines.items()}
fig, ax = plt.subplots(figsize=(7.2, 2.6))
for i, way in enumerate(("at once", "steps")):
    some = [key for key in rates if key[0] == way]
    middle = np.array([rates[key][0] for key in some]) * 100
    ends = np.abs(np.array([[rates[key][1] * 100, rates[key][2] * 100] for key in some]).T - middle)
    ax.errorbar(np.arange(len(some)) + 0.12 * i, middle, ends, fmt="os"[i], color=["#0072B2", "#D55E00"][i], capsize=4, label=way)
ax.set_xticks(np.arange(3) + 0.06, [f"{key[1]} examples" for key in rates if key[0] == "steps"])
ax.set(ylabel="right (%), 95 % interval", ylim=(-0.5, 22), xlim=(-0.4, 2.5))
ax.legend(loc="upper left", fontsize=9)
show(fig, alt="SmolLM2 on 40 problems of GSM8K, share right with 95 % intervals. " + " ".join(f"{way}, {shots} examples: {rate[0]:.0%} ({rate[1]:.0%} to {rate[2]:.0%})." for (way, shots), rate in rates.items()))
table([{"": way, "examples": shots, "right": f"{sum(line['right'])} of {len(line['right'])}", "95 % interval": f"{rates[way, shots][1]:.0%} to {rates[way, shots][2]:.0%}", "tokens": np.mean(line["tokens"]), "cut off": line["cut"] if way == "steps" else "", "no answer found": line["none"]} for (way, shots), line in lines.items()],
      fmt={"tokens": ".0f"}, caption="recorded: SmolLM2-135M, greedy")

# %% tags=["diagram"]
four = {way: lines[way, 4]["right"] for way in ("at once", "steps")}
shown_parts = [part for part in prompting if part["way"] == "steps" and part["shots"] in (0, 4)]
table([{"examples": part["shots"], "a reply": reply["text"][:380].replace("*", "\\*"), "read as": reply["found"]} for part in shown_parts for reply in part["replies"][:2]],
      caption="recorded: the first two problems, unpicked; cut at 380 characters")

# %% [markdown]
# The intervals tell how little forty problems can say: no two of the six can be told apart, and all are compatible with a few per cent. Steps cost ten to twenty times the tokens and bought nothing that shows. What the replies show is not in the score. Begun with Kojima's sentence they look like reasoning, and in the ones above the steps are wrong: quantities are mixed up, products are invented, and a phrase repeats. Worked examples change the *form*: about half of the replies now end by themselves, with "The answer is", where without examples nearly all ran until they were cut off. So in this model the prompt called up the form and no ability that forty problems can show. Our guess at why: where single steps are often wrong, a chain of them is wrong more often still.
#
# For comparison, a model of the previous sections, about six hundred times smaller and trained on steps of one kind, makes hardly a mistake in them.
#
# ### An answer that no step gives away
#
# Business Analytics uses this 7th-grade problem to show that choosing is easier than writing.

# %%
poll("What is $x$, if $\\sqrt{2x + 1} - 2 = x - 3$?",
     ["4", "0", "2", "3"],
     "$\\sqrt{2x+1} = x - 1$; squaring, $2x + 1 = x^2 - 2x + 1$, so $x^2 = 4x$ and $x$ is 0 or 4. Squaring has let 0 in: $\\sqrt{1} - 2 = -1$ is not $0 - 3$. Each line follows from the one before, and yet 0 is no solution. That is why the option <2> is on the slide: it catches those who calculate well and do not look back.")

# %%
# NBVAL_CHECK_OUTPUT
for x in (0, 4, 2, 3):
    left, right_side = (2 * x + 1) ** 0.5 - 2, x - 3
    squared = 2 * x + 1 == (x - 1) ** 2
    print(f"x = {x}: left {left:5.2f}, right {right_side:2d}, "
          f"solves the squared equation: {squared}, solves it: {left == right_side}")

# %% [markdown]
# Two ways to supervise a chain come apart here. A judge of *steps* that asks whether each line follows would pass the chain that ends in "0 or 4"; a judge of the *answer* that puts it back into the problem takes a second and is never fooled. Where checking is that cheap, thinking can be turned into searching. The second class is about that.

# %% [markdown]
# ## III. Many answers instead of one
#
# *Here the second class begins.* The model of sums is unsure; sampled at temperature 1 it writes another way each time. From now on every method gets the same coin, generated tokens, and two baselines are always in the picture: one sample, and greedy decoding.
#
# ### Self-consistency
#
# Many ways lead to the right answer, and wrong ones end here and there. So let many samples *vote* (Wang et al., 2023).

# %%
def vote(answers):
    """The answer given most often; None is no vote; of equals the first."""
    counts = {}
    for answer in answers:
        if answer is not None:
            counts[answer] = counts.get(answer, 0) + 1
    return max(counts, key=counts.get) if counts else None


for elections in (["40", "38", "40", None], [None, None], [], ["1", "2", "2", "1"]):
    assert vote(elections) == majority_vote(elections)

few = asked[:100]
pools, spent = written(unsure, letters, few, n=16,
                       generator=torch.Generator().manual_seed(0))
final = [[p.parts(r.text)[-1] for r in pool] for p, pool in zip(few, pools)]
for p, pool in zip(few[:2], pools):
    print(p.prompt, *dict.fromkeys(r.text for r in pool[:3]), sep="\n   ")

# %% tags=["diagram"]
d = Diagram(12, 3.4)
problem = d.box(1.3, 1.7, few[0].prompt.replace("=", " = ?"), w=2.4, h=0.6, color="blue")
tallied = {}
for answer in final[0]:
    tallied[answer] = tallied.get(answer, 0) + 1
ranked = sorted(tallied.items(), key=lambda item: -item[1])[:4]
for i, (answer, count) in enumerate(ranked):
    y = 3.0 - 0.85 * i
    way = next(r.text for r, a in zip(pools[0], final[0]) if a == answer)
    middle = d.box(6.3, y, way if len(way) < 38 else way[:35] + "…", w=6.0, h=0.6, color="grey")
    end_box = d.box(10.1, y, answer, w=0.8, h=0.6, color="green" if answer == few[0].answer else "orange")
    d.arrow(problem.right, middle.left)
    d.arrow(middle, end_box)
    d.label(11.3, y, f"{count} of 16")
d.show(alt=f"Sixteen samples for the problem {few[0].prompt} and where they end: " + ", ".join(f"{answer} {count} times" for answer, count in ranked) + f". The right answer is {few[0].answer}.")

# %%
single = np.mean([[a == p.answer for a in mine] for p, mine in zip(few, final)])
voted = np.mean([vote(mine) == p.answer for p, mine in zip(few, final)])
best, _ = written(unsure, letters, few, greedy=True)
greedy = np.mean([sums.is_right(p, r.text) for p, (r,) in zip(few, best)])
print(f"one sample {single:.2f}, greedy {greedy:.2f}, vote of 16 {voted:.2f} "
      f"({spent.budget.generated / len(few):.0f} tokens a problem)")

# %% [markdown]
# When does a vote help? Suppose a share $p$ of the samples is right. If the wrong ones scatter, the right answer needs no majority, only to be the most frequent one. If they agree, as where a model has learned something wrong, voting makes the error *certain*. Look at how the three lines part as votes are added.

# %% tags=["diagram"]
def polled(p=0.3, together=0.1, most=31, trials=1500):
    """How often n votes elect the right answer; of the wrong samples a share errs together, the rest scatter over 30."""
    rng = np.random.default_rng(0)
    sizes = [1, 3, 5, 9, 15, 23, most]
    draw = rng.random((trials, most))
    votes = np.where(draw < p, 0, np.where(draw < p + (1 - p) * together, 1, rng.integers(2, 32, (trials, most))))
    elected = []
    for n in sizes:
        counts = np.apply_along_axis(np.bincount, 1, votes[:, :n], minlength=32)
        elected.append((counts.argmax(1) == 0).mean())
    return sizes, elected


def election(p=0.3, together=0.1):
    fig, ax = plt.subplots(figsize=(3.5, 2.6))
    sizes, elected = polled(p, together)
    ax.plot(sizes, elected, "o-", color="#0072B2")
    ax.axhline(p, color="0.4", linestyle=":")
    ax.set(xlabel="samples that vote", ylabel="share of right votes", ylim=(0, 1.02), title=f"p = {p}, together {together}")
    return fig


explore(election, p=[0.2, 0.3, 0.5], together=[0.1, 0.4, 0.8], panels=[dict(p=0.3, together=0.1), dict(p=0.3, together=0.4), dict(p=0.3, together=0.8)],
        alt=lambda p, together: f"Share of elections that the right answer wins if it has a share of {p} and {together:.0%} of the wrong samples err together: {polled(p, together)[1][0]:.2f} with one vote, {polled(p, together)[1][-1]:.2f} with 31.")

# %% [markdown]
# Voting amplifies whatever is most frequent. Whether that is the right answer depends on the *wrong* ones. *Recorded, three seeds, samples at temperature 1.* On the left such models of five-digit sums at three moments of their training: where does voting overtake greedy decoding? On the right a harder task, four numbers of up to two digits, some 800 held-out sums, with 95 % intervals for three models together: how many votes does it take?

# %%
ttc = recorded("test_time_compute")["results"]
elections = recorded("voting")["results"]


def over_models(runs, way, which=-1, groups=None):
    """Tokens, accuracy over three models, and its interval, resampling problems."""
    points = [run[way][which] for run in runs]
    each = np.array([[(ord(x) - ord("a")) / 16 for x in p[4]] for p in points])
    found = bootstrap_interval(each.mean(0), groups=groups)
    return float(np.mean([p[0] for p in points])), *found


def pooled(task, way, which=-1):
    return over_models(ttc[task], way, which, ttc["groups"][task].split())


# %% tags=["diagram"]
moments = [stage["update"] for stage in ttc["sums"][0]["stages"]] + [200]
final_of = {"one sample": ("one sample", 0), "greedy": ("greedy", 0), "vote of 8": ("vote", 3)}
stages = {way: [[stage[way][0] for stage in run["stages"]] + [run[last][k][1]] for run in ttc["sums"]] for way, (last, k) in final_of.items()}
many = [2**k for k in range(len(elections[0]["vote"]))]
polls_ = [over_models(elections, "vote", k) for k in range(len(many))]
_, sure, sure_low, sure_high = over_models(elections, "greedy")
fig, (left, right) = panels(2, titles=["five digits, while it learns", "four two-digit numbers"], height=2.9)
curves(stages, at=moments, x="updates of training", y="right", ax=left, labels=False)
left.legend(fontsize=8, loc="upper left")
right.errorbar(many, [p[1] for p in polls_], [[p[1] - p[2] for p in polls_], [p[3] - p[1] for p in polls_]], fmt="s-", color="#0072B2", capsize=3, label="vote of n")
right.axhline(sure, color="k", linestyle="--", label="greedy")
right.axhspan(sure_low, sure_high, color="k", alpha=0.12, linewidth=0)
right.set(xscale="log", xlabel="samples n", ylabel="right", ylim=(0, 0.8))
right.set_xticks(many, map(str, many))
right.minorticks_off()
right.legend(fontsize=8, loc="upper left")
show(fig, alt="Left: sums of five digits right after " + ", ".join(map(str, moments)) + " updates, mean and range of three seeds: " + "; ".join(f"{way} " + ", ".join(f"{x:.2f}" for x in np.mean(rows_, 0)) for way, rows_ in stages.items()) + f". Right: sums of four two-digit numbers, votes of {', '.join(map(str, many))} samples: " + ", ".join(f"{p[1]:.2f}" for p in polls_) + f", greedy {sure:.2f} ({sure_low:.2f} to {sure_high:.2f}).")
print(f"vote of {many[-1]}: {polls_[-1][1]:.2f} ({polls_[-1][2]:.2f} to {polls_[-1][3]:.2f}); greedy: {sure:.2f} ({sure_low:.2f} to {sure_high:.2f}); one sample: {polls_[0][1]:.2f}")

# %% [markdown]
# *Left.* While the model learns, greedy decoding is ahead of eight votes in all three seeds; at the end the vote has caught up in one of them. A vote is taken among *samples*, and at temperature 1 the half-trained model slips at some token in more than half of them. *Right.* Two votes are no better than one, since a tie goes to the first. Eight are still below greedy decoding, sixteen a little above, and it takes all 32 until the intervals are apart: thirty-two times the tokens for about ten points. One sample is left behind early on.
#
# All samples are drawn at temperature 1; no other is recorded. At a lower one samples are better and more alike, and the vote may overtake sooner; Wang et al. used 0.5 to 0.7. So "voting helps" needs its second half: than what? Papers usually compare with greedy decoding, and with reason.
#
# ### Somebody who knows better
#
# A vote needs answers that can be equal. The alternative is a *verifier* that scores each sample; the best-scored one is taken. Two kinds must not be confused:
#
# - an **oracle** looks the answer up, or runs a program that checks it. It shows what is *in* the samples; with it, accuracy is the share of problems for which at least one sample is good (pass@n).
# - a **learned verifier** has errors of its own. Ours is made of the writer's *doubts*: how likely did it find the least likely token so far, separately for four places in a step (before the sign, between sign and "=", after "=", after ":")? A logistic regression on these numbers, fit on 2,000 judged replies to training problems, says how likely a beginning is to end well. Cobbe et al. (2021) trained a language model to judge whole replies, Lightman et al. (2023) one for steps.

# %%
def choose(samples, scores):
    """Best of n: the sample with the highest score, of equals the first."""
    return samples[max(range(len(samples)), key=lambda i: scores[i])]


assert choose("abc", [0.2, 0.9, 0.9]) == best_of("abc", [0.2, 0.9, 0.9]) == "b"
sound = [[sums.chain_is_right(p, r.text) for r in pool] for p, pool in zip(few, pools)]
for n in (1, 4, 16):
    picked = [choose(pool[:n], good[:n]) for pool, good in zip(pools, sound)]
    share = np.mean([sums.is_right(p, r.text) for p, r in zip(few, picked)])
    print(f"best of {n:2d} by the oracle: {share:.2f}")

# %% [markdown]
# The oracle here checks every step, not only the answer: of sixteen guesses at a sum of five digits one is often right by luck, and a verifier that pays for luck would flatter the model.
#
# ### Judge the step, not the reply
#
# A verifier of whole replies can only throw a reply away when all of it is written. A verifier of *steps* throws away a step (Lightman et al., 2023). If each of $k$ steps is right with probability $p$, independently, then the steps one has to write for one right reply are, on average,
#
# $$\underbrace{k \,/\, p^{\,k}}_{\text{whole replies, until one is right}} \qquad\text{and}\qquad \underbrace{k \,/\, p}_{\text{each step, until it is right}} ,$$
#
# if a wrong reply is always written to its end and the judge is never wrong. The first grows exponentially with the length of the way, the second does not.

# %%
def step_by_step(think, prompt, accept, retries=4, longest=10):
    """One reply whose parts are judged as they come: (reply, tokens)."""
    state, tokens, failed = Thought(prompt), 0, 0
    while not state.ended and len(state.parts) < longest:
        [[attempt]] = think([state])
        tokens += attempt.tokens
        if accept(0, attempt.parts, attempt.ended) or failed == retries:
            state, failed = attempt, 0
        else:
            failed += 1
    return state.reply, tokens


def thinker(seed):
    writer = Writer(unsure, letters, generator=torch.Generator().manual_seed(seed))
    return partial(writer.think, max_new_tokens=16)


for k in range(5):
    judge = step_verifier(sums, [few[k]])
    ours = step_by_step(thinker(k), few[k].prompt, judge)
    library = verified_steps(thinker(k), [few[k].prompt], judge, max_steps=10)[0]
    assert ours == (library.reply, library.tokens)
found = verified_steps(thinker(0), [p.prompt for p in few], step_verifier(sums, few),
                       max_steps=10)
share = np.mean([sums.is_right(p, v.reply) for p, v in zip(few, found)])
cost = np.mean([v.tokens for v in found])
print(f"verified steps, oracle: {share:.2f} with {cost:.0f} tokens; "
      f"best of 16: {spent.budget.generated / len(few):.0f} tokens")

# %%
poll("A model's steps are right four times in five, and a reply has five of them. You may spend about sixteen replies. Which spends less to get a right reply, and why?",
     ["verifying steps: a wrong step costs one step, a wrong reply all five", "best of 16: it needs the verifier only once per reply", "they cost the same: both throw away what is wrong", "voting: it needs no verifier at all"],
     "A reply is right with probability 0.8 to the fifth, about a third, so a right one takes about three replies, fifteen steps. With steps verified each takes 1.25 attempts, six and a quarter in all. The gap grows exponentially with the length. But a step verifier has to know more than a verifier of answers: what a good step is.")

# %% [markdown]
# ### The likeliest reply
#
# Sampling ignores a thing the model can tell: how likely it finds a reply as a whole. Beam search keeps the few likeliest beginnings.

# %%
@torch.no_grad()
def beams(model, prompt, width, end, longest):
    """The likeliest reply that a beam finds: (tokens, log-probability)."""
    alive, done = [([], 0.0)], []
    for _ in range(longest):
        ids = torch.tensor([[*prompt, *tokens] for tokens, _ in alive])
        logp = model(ids)[:, -1].log_softmax(-1)
        total = (torch.tensor([score for _, score in alive])[:, None] + logp).flatten()
        best = total.topk(2 * width)
        alive_next = []
        for rank, (score, place) in enumerate(zip(*(x.tolist() for x in best))):
            row, token = divmod(place, logp.shape[1])
            reply = ([*alive[row][0], token], score)
            if token != end and len(alive_next) < width:
                alive_next.append(reply)
            elif token == end and rank < width:
                done.append(reply)
        alive = alive_next
        if len(done) >= width and sorted(s for _, s in done)[-width] >= alive[0][1]:
            break
    return max(done, key=lambda reply: reply[1])


end = letters.encode("\n")[0]
for p in few[:4]:
    tokens, score = beams(unsure, letters.encode(p.prompt), 3, end, 48)
    library = beam_search(unsure, [letters.encode(p.prompt)], 3, max_new_tokens=48,
                          stop_tokens=[end])[0][0]
    assert tokens == library.tokens and abs(score - library.logprob) < 1e-3

# %% [markdown]
# ### A tree of thoughts
#
# Yao et al. (2023) put these together: *propose* several ways to go on, *value* each beginning, keep the best few, go on from there. A thought is a step. Who values is a choice again: an oracle, the rules of a game, or the learned verifier, which has an opinion on beginnings as well.

# %%
def tree(root, propose, value, is_goal, width, deepest):
    """Level by level the `width` most valued states; (goals with values, cost)."""
    level, goals, cost, seen = [root], [], 0, {root}
    for _ in range(deepest):
        fresh = []
        for states in propose(level):
            for state in states:
                cost += state.tokens
                if state not in seen:
                    seen.add(state)
                    fresh.append(state)
        valued = list(zip(fresh, value(fresh)))
        goals += [(s, v) for s, v in valued if is_goal(s)]
        rest = [(s, v) for s, v in valued if not is_goal(s)]
        level = [s for s, _ in sorted(rest, key=lambda sv: -sv[1])[:width]]
        if not level:
            break
    return goals, cost

# %%
def soundness(p):
    """Values by the oracle: 1 while every step of a beginning is right."""
    right = lambda s: all(sums.step_is_right(p, s.parts[: k + 1])
                          for k in range(len(s.parts)))
    return lambda states: [float(right(s)) for s in states]


for p in few[:3]:
    parts = soundness(p), (lambda s: s.ended)
    goals, cost = tree(Thought(p.prompt), partial(thinker(7), n=3), *parts, 2, 8)
    [library] = tree_search([Thought(p.prompt)], partial(thinker(7), n=3), *parts,
                            width=2, max_depth=8, cost=lambda s: s.tokens, first=False)
    assert [s for s, _ in goals] == [library.nodes[i].state for i in library.goals]
    assert cost == library.spent
print(f"{len(few[:3])} trees, the same goals at the same cost")

# %% [markdown]
# ## IV. All of them on one plot
#
# *Recorded:* sums of five digits, a model stopped early, 400 held-out sums, three seeds. Every point is a method at a budget: how many tokens it *generated* for a problem, thrown-away ones included, and how often its answer was right. The vertical axis begins at 0.6. Filled marks were drawn with an oracle and show what a perfect judge would make of the samples; hollow ones are methods one could use tomorrow. Before looking, decide where verified steps by the learned verifier will lie: nearer to the oracle's, or to best of $n$?

# %% tags=["diagram"]
TICKS = [32, 64, 128, 256, 512]
ORACLES = {"best of n, oracle": "#D55E00", "verified steps, oracle": "#882255", "tree search, oracle value": "#AA4499"}
USABLE = {"one sample": "0.3", "greedy": "k", "vote": "#0072B2", "best of n, learned verifier": "#E69F00", "verified steps, learned": "#009E73", "beam search": "#56B4E9", "tree search, learned value": "#CC79A7"}


def mean_points(task, way):
    return np.mean([[point[:4] for point in run[way]] for run in ttc[task]], axis=0)


def compute_plot(task, names, ax, filled):
    for name, color in names.items():
        if name in ttc[task][0]:
            points = mean_points(task, name)
            for run in ttc[task]:
                ax.plot([p[0] for p in run[name]], [p[1] for p in run[name]], "-", color=color, alpha=0.25, linewidth=1)
            ax.plot(points[:, 0], points[:, 1], ("o-" if filled else "s--"), color=color, markerfacecolor=color if filled else "white", label=name, markersize=6)


fig, ax = plt.subplots(figsize=(7.2, 3.6))
compute_plot("sums", USABLE, ax, False), compute_plot("sums", ORACLES, ax, True)
ax.set(xscale="log", xlabel="generated tokens a problem (log scale)", ylabel="right", ylim=(0.6, 1.01))
ax.set_xticks(TICKS, map(str, TICKS))
ax.minorticks_off()
ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
show(fig, alt="Accuracy against generated tokens on sums, mean of three seeds. " + " ".join(f"{name}: " + ", ".join(f"{p[1]:.2f} at {p[0]:.0f}" for p in mean_points("sums", name)) + "." for name in {**USABLE, **ORACLES}))

# %% tags=["diagram"]
def judge_of(name):
    return "oracle" if "oracle" in name else "learned" if "learned" in name else "none"


def line_of(task, name, which=-1):
    tokens, value, low, high = pooled(task, name, which)
    seeds = [run[name][which][1] for run in ttc[task]]
    return {"": name, "judge": judge_of(name), "tokens": f"{tokens:.0f}", "right": f"{value:.2f}", "95 % interval": f"{low:.2f} to {high:.2f}", "seeds": f"{min(seeds):.2f} to {max(seeds):.2f}"}


table([line_of("sums", name) for name in {**USABLE, "vote weighted by the learned verifier": "", **ORACLES}],
      caption=f"recorded: the largest budget of each method; 400 sums, orders of {len(set(ttc['groups']['sums'].split()))} sets of digits, three models; the interval is over sets")
cost, share, *_ = pooled("sums", "verified steps, oracle")
cost_16, share_16, *_ = pooled("sums", "best of n, oracle")
print(f"oracles: verified steps {share:.2f} with {cost / cost_16:.0%} of the tokens of best of 16, which has {share_16:.2f}")

# %% [markdown]
# Read it from left to right. At the price of *one* reply, greedy decoding is hard to beat. A judge of steps does better there if it is an oracle: about two points below best of 16, for less than a tenth of the tokens. With the learned verifier the same method loses nine points. That is above the better of two samples, at little more than half their price, and below greedy decoding, which is cheaper still: judged by this verifier, steps are not worth it here.
#
# With more to spend, every method climbs, and they differ in how far. A vote needs sixteen samples to get about where a judge gets with four. Best of $n$ by the learned verifier ends one or two points below the oracle, from the same samples: there its errors set the height. The favourite of this plot is none of the clever ones. Beam search asks nobody at all, and up to four replies' worth of tokens no usable method is above it; two beams beat even the oracle's choice of two samples. What this model finds likely is mostly right. That need not be so where likely texts are dull or wrong (Holtzman et al., 2020).
#
# Why does a verifier of *five weights* do so well? Its inputs are all the writer's own probabilities, so these must tell a good deal about where it slipped. A model that is sure of its errors would leave such a verifier nothing to see.
#
# ### Tree against sampling at equal tokens
#
# "Tree of thoughts solves more" is usually reported beside a single sample. The fair rival spends as many tokens on samples, and has the same judge. For each budget of the tree the table takes, of *best of n* and of *vote*, the smallest $n$ that spends **at least** as much, so that in doubt the sampler has more.

# %% tags=["diagram"]
def duel(task, mine, rivals):
    lines_ = []
    for i in range(len(ttc[task][0][mine])):
        tokens, value, low, high = pooled(task, mine, i)
        line = {"the tree's tokens": f"{tokens:.0f}", mine: f"{value:.2f} ({low:.2f} to {high:.2f})"}
        for rival in rivals:
            spends = mean_points(task, rival)[:, 0]
            k = int(np.argmax(spends >= tokens)) if (spends >= tokens).any() else len(spends) - 1
            _, other, low_, high_ = pooled(task, rival, k)
            verdict = "tree" if low > high_ else "sampling" if high < low_ else "open"
            line[rival] = f"{other:.2f} ({low_:.2f} to {high_:.2f}) at {spends[k]:.0f}: {verdict}"
        lines_.append(line)
    return lines_


table(duel("sums", "tree search, learned value", ["best of n, learned verifier", "vote"]),
      caption="recorded, sums: right, 95 % interval, and who wins with intervals apart")
table(duel("game", "tree search, learned value", ["best of n, oracle"]),
      caption=f"recorded, Game of 24, {len(ttc['groups']['game'].split())} held-out hands; there the rules are an oracle for whole replies, free for everybody")

# %% [markdown]
# The second table is the **Game of 24**: make 24 of four numbers, each used once. Yao et al. chose it for the tree, and whoever plays knows whether she has won, so sampling may stop at the first success, too. The tree's states are checked against the rules at every move. How much of what it does comes from the rules, and how much from the value? Filled marks again need a judge that no player has; the rules everybody has, so that best of $n$ is hollow here, and its first mark is one sample.

# %% tags=["diagram"]
GAME = {"beam search": "#56B4E9", "best of n, oracle": "#0072B2", "tree search, rules alone": "#E69F00", "tree search, learned value": "#CC79A7", "tree search, oracle value": "#D55E00", "greedy": "k"}
fig, ax = plt.subplots(figsize=(7.2, 3.0))
EXACT = "tree search, oracle value"
compute_plot("game", {name: color for name, color in GAME.items() if name != EXACT}, ax, False)
compute_plot("game", {EXACT: GAME[EXACT]}, ax, True)
ax.set(xscale="log", xlabel="generated tokens a problem (log scale)", ylabel="solved", ylim=(0, 0.45))
ax.set_xticks(TICKS, map(str, TICKS))
ax.minorticks_off()
ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
show(fig, alt="Share of Game of 24 solved against generated tokens, mean of three seeds. " + " ".join(f"{name}: " + ", ".join(f"{p[1]:.2f} at {p[0]:.0f}" for p in mean_points("game", name)) + "." for name in GAME))

# %% [markdown]
# Two tables, two outcomes. In the **sums** the tree with the learned value is far above a *vote* of as many tokens, intervals apart at both budgets. Against best of $n$ with *the same verifier* it is a tie: what the tree has over the vote, the judge has without a tree. And greedy decoding is level with the smaller tree for less than a third of its tokens, beam search with the larger one for about half. In the **Game of 24** the larger tree solves more than twice as many hands as sampling does with as many tokens, intervals apart, though sampling has the rules as a judge of whole replies.
#
# Look at the plot before crediting the value model. The rules alone, without any value, are as good within the intervals. The exact value, which knows whether 24 can still be reached, is no better, and in the larger tree it solves *fewer* hands than the learned value, intervals apart. We have not found out why; one guess is that the learned value prefers beginnings of which the writer is sure, and an exact one does not care who has to finish them. What is left as the tree's advantage over sampling is that a forbidden move is dropped at once and not carried to the end. And two methods that ask no judge, greedy decoding and beam search, are as good as the tree or better. This writer learned for a minute and solves four hands in a hundred with a single sample. Where proposals are so poor, better judging buys little.
#
# What generated tokens leave out: a verifier *reads* every candidate, one forward pass each, and a tree asks for many short continuations, which use a processor badly. And the learned verifier needed 2,000 judged replies once. A price list in tokens is a choice, and each method looks best in its own currency.
#
# **What was chosen when.** The tasks, budgets and rivals of this part were fixed before the runs shown. Three things were changed after trials and should be known: the first learned verifier, a copy of the writer trained to say 1 or 0, was of hardly any use as a judge and gave way to the doubts; training goes on a little longer than at first, since early on a vote had nothing to win; and 32 votes were added when sixteen left the intervals overlapping.
#
# ## V. Paid for right answers
#
# Everything so far left the model as it was. The same check can also *train* it: GRPO (lecture 13) with a reward that a program gives, 1 for a right answer and 0 otherwise. No demonstration, no preference, no judge that could be fooled by style. DeepSeek-R1-Zero (2025) was trained much like that, with a second reward for a form in which the thinking stands between two marks, and its replies grew longer during the training.
#
# An advantage is what a reply earned beyond its group of $G$ replies to one prompt:
#
# $$A_i \;=\; \frac{r_i - \bar r}{\operatorname{std}(r_1, \dots, r_G)} .$$

# %%
def advantages(rewards):
    """(groups, G): rewards less the mean of their group, over its deviation."""
    centred = rewards - rewards.mean(1, keepdim=True)
    deviation = rewards.std(1, keepdim=True)
    return torch.where(deviation > 1e-6, centred / (deviation + 1e-6), 0.0)


rewards = torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
torch.testing.assert_close(advantages(rewards), group_advantages(rewards))
print(advantages(rewards).numpy().round(2))

# %% [markdown]
# The last two lines are why such training must begin in the middle: a group that is all right or all wrong teaches nothing. A model that never succeeds has no signal, and one that always does has none left.
#
# *Recorded, three seeds each:* a model has seen a task half with steps and half with the answer alone, was stopped half way, and writes either kind about equally often. (Where to stop and the rate were chosen in trial runs; at five times the rate the policy fell apart.) Then come 60 updates of 64 replies, paid for the right answer: *nothing in the reward mentions steps.* Two tasks: the shell game of 8 swaps, where an answer at once is a guess, and sums of five digits, which a model of this size can learn to answer at once. What will happen to the length of the replies, in the one and in the other?

# %% tags=["diagram"]
rl = recorded("reasoning_rl")["results"]
LOOKS_AT = [look["update"] for look in rl[0]["looks"]]
RL_TASKS = list(dict.fromkeys(run["task"] for run in rl))


def path(task, key):
    return [[look[key][0] if isinstance(look[key], list) else look[key] for look in run["looks"]] for run in rl if run["task"] == task]


fig, axes = panels(3, titles=["right", "replies with steps", "length"], height=2.7)
for ax, key, unit in zip(axes, ("sampled", "sampled steps", "sampled tokens"), ("share", "share", "tokens a reply")):
    curves({task: path(task, key) for task in RL_TASKS}, at=LOOKS_AT, x="update", y=unit, ax=ax, labels=False)
axes[0].legend(fontsize=8, loc="lower right")
for ax in axes[:2]:
    ax.set_ylim(0, 1.02)
from_to = lambda task, key, f: f"{np.mean(path(task, key), 0)[0]:{f}} to {np.mean(path(task, key), 0)[-1]:{f}}"
show(fig, alt="GRPO with a reward for right answers, sampled replies, mean and range of three seeds, against updates. " + " ".join(f"{task}: right {from_to(task, 'sampled', '.2f')}, with steps {from_to(task, 'sampled steps', '.2f')}, tokens {from_to(task, 'sampled tokens', '.0f')}." for task in RL_TASKS))

# %% tags=["diagram"]
def share_of(look, key):
    right, n = look[key]
    return f"{right / n:.2f} of {n}" if n else "none"


table([{"": run["task"], "seed": run["seed"], "sampled": f"{first['sampled'][0]:.2f} → {last['sampled'][0]:.2f}", "greedy": f"{first['greedy'][0]:.2f} → {last['greedy'][0]:.2f}", "with steps": f"{share_of(first, 'sampled with steps')} → {share_of(last, 'sampled with steps')}", "at once": f"{share_of(first, 'sampled at once')} → {share_of(last, 'sampled at once')}", "a greedy reply": f"{first['reply']} → {last['reply']}"} for run in rl for first, last in [(run["looks"][0], run["looks"][-1])]],
      caption="recorded: share right before and after 60 updates on 200 held-out problems; 'with steps' and 'at once' part the sampled replies by kind")

# %% [markdown]
# In the shell game nearly every reply shows its steps after 20 updates, in every seed, and replies are longer. Nobody asked for that: a group in which the long replies are right more often than the short ones pushes towards long ones. Two things were learned, as the table's column "with steps" shows: to choose the kind that pays, and to do it better. The right steps themselves were in the model before; it had seen them as demonstrations.
#
# In the sums it is the other way round. At the start an answer at once was right more often than one with steps, and the same reward made replies *shorter*. That made no better adder: sampled accuracy hardly moved, and greedy accuracy fell in every seed. Our guess: where a group's rewards are mostly luck, 60 updates without a price on distance (lecture 13) wear out what supervised training had built. A run with that price would tell; none was made. "Replies grow longer by themselves" is thus no law of such training. They go where the reward is, as seen from where the model stands.
#
# ## VI. Same model, more thinking?
#
# Lecture 08 ended its vote with a third axis, compute at the time of the question, and the promise of a law for it. <!-- keeps: 16-compute-at-question-time --> What this page has measured of it, for sampling: on the plot, the curves rise with the logarithm of tokens and then flatten, and how high depends on the *judge*. A vote flattens where the most frequent answer is wrong. Best of $n$ by a learned verifier flattens where the verifier prefers a wrong reply. An oracle goes on until some sample is right. More samples are worth as much as one's ability to tell a good one from a bad one. The axis that o1 made famous, one *longer* chain, was not swept here: our models write the steps they were taught.

# %%
poll("A company triples the number of samples its assistant draws per question and picks one by its own reward model. On questions whose answers nobody can check, what is the safest prediction?",
     ["gains level off early, and the picked replies drift to what the reward model likes", "accuracy grows with the logarithm of the number of samples", "nothing changes: the model is the same", "accuracy triples as long as samples differ"],
     "Best of n climbs the judge's score, as PPO did in lecture 13, and where the judge errs it climbs the error. Curves that go on growing with the number of samples, as in Brown et al. (2024), count a problem as solved if an oracle finds one right sample.")

# %% [markdown]
# ## Scale warning
#
# > **What these models can and cannot tell you.** That a model of fixed depth cannot follow ever longer shell games of five cups within one token (if a conjecture holds that most people believe; Merrill and Sabharwal, 2024), that votes amplify the most frequent answer, that steps judged without error need fewer tokens than replies judged without error, and what GRPO does with groups of equal rewards: these hold at every size. At twelve swaps the first says nothing yet. Everything else here is about models of a quarter of a million weights trained on one task of arithmetic, with steps that a program wrote and a program can check. Large models reason in words, about things no program checks; their steps need not be how they got to the answer; they were *trained* on worked solutions, so that "prompted" and "trained-on" are hard to part. SmolLM2's failure on GSM8K says nothing about models a thousand times its size, which solve nearly all of it, and a sample of 40 problems could not show a difference of a few points.
#
# ## Claims
#
# What the source lectures say about this topic, against what the papers say and what was measured here.

# %%
claims_table([
    Claim("New paradigm: same model + more thinking/reasoning time = better performance",
          "Snell et al. (2024): gains depend on the method and on how hard the question is",
          f"sums: one sample {pooled('sums', 'one sample')[1]:.2f}, greedy {pooled('sums', 'greedy')[1]:.2f}, best of 16 "
          f"{pooled('sums', 'best of n, learned verifier')[1]:.2f} learned, {pooled('sums', 'best of n, oracle')[1]:.2f} oracle",
          "holds for sums, with a judge; no gain seen for SmolLM2 on GSM8K", source="analytics", split="report"),
    Claim("o1-mini (fast), o1 (standard), o1-pro (extended thinking)",
          "OpenAI (2024) published curves without numbers for tokens", "not measured",
          "cannot be tested at this scale; the models are closed", source="analytics"),
    Claim("Chain of thought prompting (Wei, 2021): get the model to work through the steps",
          "Wei et al. (January 2022): gains from about 100B parameters on",
          f"SmolLM2, four examples: {sum(four['at once'])} of {len(four['at once'])} at once, "
          f"{sum(four['steps'])} with steps",
          "cannot be tested at this scale; a model of 135M gets single steps wrong", source="11785", split="report"),
    Claim("GSM8K (8-shot): GPT-4 92.0, GPT-3.5 57.1",
          "OpenAI (2023), table 2: 5-shot, GPT-4 with chain of thought and with part of "
          "GSM8K's training set in its training", "not measured",
          "fails; the number of shots, and the two are not prompted alike", source="11785"),
    Claim("Chain of Thought: training still required",
          "Wei et al. (2022) and Kojima et al. (2022) train nothing",
          f"20 s of training: shell game with steps {np.mean(of(SHELL, 'steps')):.0f} %, at once "
          f"{np.mean(of(SHELL, 'direct')):.0f} %; prompted, SmolLM2: no gain seen",
          "fails as a rule; whether a prompt is enough depends on the model", source="day24", split="report"),
    Claim("Each rectangle box represents a thought: a tree searched with valued thoughts",
          "Yao et al. (2023): Game of 24, GPT-4, 74 % against 4 % for one chain, 49 % for the best of 100",
          f"tree {pooled('game', 'tree search, learned value')[1]:.2f} at "
          f"{pooled('game', 'tree search, learned value')[0]:.0f} tokens; best of 2 "
          f"{pooled('game', 'best of n, oracle', 1)[1]:.2f} at {pooled('game', 'best of n, oracle', 1)[0]:.0f}; greedy "
          f"{pooled('game', 'greedy')[1]:.2f} at {pooled('game', 'greedy')[0]:.0f}",
          "holds against sampling; greedy decoding and beam search do as well", source="day24", split="report"),
    Claim("What is x if sqrt(2x + 1) - 2 = x - 3: A. 0, B. 4, C. 2, D. 3",
          "no paper", "0 solves the squared equation only, 4 solves both",
          "holds; A is what careful steps without a check arrive at", source="analytics"),
])

# %% [markdown]
# ## Summary
#
# 1. A model of fixed depth can work through results one at a time by writing them down. In the shell game, after 20 seconds of training, steps made the difference between always and chance, and neither depth, labels, filler nor shuffled steps did; four times the time did not help the answer at once, and more was not tried. In addition steps made learning quicker and surer, and the answer at once mostly came, too.
# 2. Steps that were trained on are one thing, steps that a prompt calls up another. SmolLM2 took on the form, and forty problems showed no gain.
# 3. A vote amplifies the most frequent answer and has to be compared with greedy decoding, which it overtook late. A judge makes more of the same samples, and an oracle of steps does it for a tenth of the tokens; steps judged by the learned verifier fell below greedy decoding. At equal tokens no usable method was above beam search.
# 4. At equal tokens the tree beat a vote, tied with best of $n$ by the same judge, and beat sampling in the Game of 24, with or without a value; greedy decoding and beam search did as well or better in both.
# 5. Paid for right answers alone, replies grew longer where steps paid and shorter where they did not, and greedy accuracy fell in the second case.
#
# ## Exercises
#
# *Lab 16* builds on this page: reading answers off hostile replies, votes with ties and abstentions, tree search under a budget, GRPO's advantages.
#
# 1. By hand: steps are right with probability 0.9. How likely is a chain of ten? How many attempts does it take with verified steps, how many chains with best of $n$?
# 2. In `polled`, find the share of wrong samples that may err together before a vote of 31 does worse than one sample at $p = 0.3$. Then derive it.
# 3. Give `step_by_step` a judge that errs: it accepts a wrong step with probability $e$. At which $e$ does best of 16 by an oracle of whole replies win at equal tokens?
# 4. Train the shell game with steps that name the cup only after every *second* swap. Which depth does it need now? Predict before you train.
# 5. The learned verifier reads the writer's probabilities. Train a copy of the writer to say 1 or 0 after each step instead (targets at the separators only). How many judged replies does it need until it ranks them better than the five weights?
# 6. Let GRPO start from a model that has never seen a step (`with_steps=False`). Can it invent them? Say first what a group would have to contain.
#
# ## Further reading
#
# Nye et al. (2021), *Show your work: scratchpads for intermediate computation*. Wei et al. (2022), *Chain-of-thought prompting elicits reasoning in large language models*. Kojima et al. (2022), *Large language models are zero-shot reasoners*. Wang et al. (2023), *Self-consistency improves chain of thought reasoning*. Yao et al. (2023), *Tree of thoughts*. Cobbe et al. (2021), *Training verifiers to solve math word problems* (GSM8K). Lightman et al. (2023), *Let's verify step by step*. Pfau et al. (2024), *Let's think dot by dot* (filler tokens). Liu et al. (2023), *Transformers learn shortcuts to automata*. Zhou et al. (2023), *What algorithms can transformers learn?* Holtzman et al. (2020), *The curious case of neural text degeneration*. Merrill and Sabharwal (2024), *The expressive power of transformers with chain of thought*. Snell et al. (2024), *Scaling LLM test-time compute optimally can be more effective than scaling model parameters*. Brown et al. (2024), *Large language monkeys* (pass@n). Turpin et al. (2023), *Language models don't always say what they think*. Shao et al. (2024), *DeepSeekMath* (GRPO). DeepSeek-AI (2025), *DeepSeek-R1*. Lambert et al. (2024), *Tülu 3* (verifiable rewards).
