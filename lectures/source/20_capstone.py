# %% [markdown]
# # 20 · Capstone: from raw text to your own chat model
#
# **The question of this lecture.** Business Analytics closes its account of training with a page called *Wrap it up*: eleven lines, from "download large scale text data" to "deploy, monitor, collect misbehaviors". Nineteen lectures took that page apart. *Can one person follow it from the first line to the last, on a laptop, and then say honestly what came out, what it costs, and what would show that it goes wrong?*
#
# **Afterwards you can**
# - run stages in a row, each on what the last one left, kill them anywhere, and say what a kill costs;
# - look into a stage instead of trusting its number;
# - say where the textbook analogy (exposition, worked problems, practice) fits and where it limps;
# - read a report card with intervals, and name what it cannot say;
# - watch a deployed model, and know how often your own alarm is false;
# - price a run in operations, hours, dollars and grams, and check a slide that does.
#
# **Before this:** lectures 07, 11, 12, 13 and 15; 17 for search, 18 for intervals.
#
# **Time:** core 133 minutes, optional 5 minutes; two classes (parts I to VI, then VII to X). All cells together: under a minute of computing on a laptop CPU. What took longer was run once and is marked *recorded*.
#
# <!-- sources: analytics, day24, hlt -->

# %%
import hashlib
import json
import math
import random
import tempfile
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from courseware import (Claim, Diagram, bars, chat, claims_table, curves, explore,
                        panels, poll, setup_style, show, steps, table)
from llmlib.adapt import quantize
from llmlib.align import chat_prompt, end_of_turn
from llmlib.capstone import (STAGES, Assistant, Monitor, Pipeline, Workshop,
                             capstone_preset, drift, model_card)
from llmlib.capstone.report import NOBODYS, OUTSIDE, CaseBook, answers
from llmlib.capstone.workshop import LONGEST_REPLY, read_lines, write_replies
from llmlib.data import SupportDesk, recorded
from llmlib.hub import load_smollm2
from llmlib.infer import stream, wilson_interval
from llmlib.retrieval.bm25 import words
from llmlib.text import encode_chat
from llmlib.train import SaveEvery
from llmlib.train.bits_per_byte import bits_per_byte, document_nats
from llmlib.train.energy import co2_grams

setup_style(compact=True)
torch.manual_seed(0);

# %% [markdown]
# ## I. A page of eleven lines
#
# The world is the support desk of lectures 11 to 13: generated customers and agents, in which the true worth of every reply is known, the *gold reward*. No stage is trained on it; it is for measuring. (The simulated annotators weigh the same things as it does, each a little differently and with noise, so that a reward model sees its shadow.) Here is the slide, and what stands for its lines on this page.

# %% tags=["figure"]
table([{"Wrap it up says": a, "here": b, "from lecture": c} for a, b, c in [
    ("download large scale text data (~10TB)", "draw transcripts; leave out copies and leaks; learn a tokenizer", "02, 07"), ("6k GPUs; compress the text into 100 billion parameters; obtain the base model", "one core; 127,296 parameters", "03, 04, 07"),
    ("write instructions; hire people, collect 100K prompt responses and comparisons", "200 demonstrations; rankings of six replies by simulated annotators", "11, 12"), ("finetune the base model; obtain assistant model", "SFT, reward model, GRPO; four bits; a book of solved cases", "11, 12, 13, 15, 17"), ("run a lot of evaluations", "a report card", "07, 09, 18"), ("deploy, monitor, collect misbehaviors", "a chat box, a log, counters, an alarm", "this one")]],
      caption="the slide's lines, shortened, and their counterparts")

# %% [markdown]
# The next slide borrows an analogy from a post by Andrej Karpathy (January 2025). A textbook has three kinds of pages: *exposition*, which one reads; *worked problems*, whose solutions one imitates; *practice problems*, which one tries. They are likened to pre-training, supervised fine-tuning and reinforcement learning. The chapters of this page are named after them.

# %% tags=["diagram"]
d = Diagram(12, 3.9)
kinds = [(1.9, "exposition", "read it", "sky"), (5.0, "worked problems", "imitate it", "green"), (8.1, "practice problems", "try, be marked", "orange"), (10.85, "after school", "be examined", "grey")]
inside = {1.9: ["transcripts", "tokenizer", "base model"], 5.0: ["200 demonstrations", "SFT model"], 8.1: ["rankings", "reward model", "policy"], 10.85: ["4 bits, cases", "report card", "chat, monitor"]}
last = None
for x, name, what, color in kinds:
    d.label(x, 3.65, name, bold=True, size=12)
    d.label(x, 3.27, what, size=11)
    boxes = [d.box(x, 2.6 - 0.85 * i, text, w=2.6 if x < 10 else 1.95, h=0.6, color=color, size=10.5) for i, text in enumerate(inside[x])]
    for i in range(1, len(boxes)):
        d.arrow(boxes[i - 1], boxes[i])
    if last is not None:
        d.arrow(last.right, boxes[0].left, dashed=True)
    last = boxes[-1]
d.label(6, 0.28, "each stage leaves files, and the next one reads them", size=11)
d.show(alt="The stages in four columns. Exposition: transcripts, tokenizer, base model. Worked problems: demonstrations, fine-tuned model. Practice problems: rankings, reward model, policy. After school: four bits and a book of cases, report card, chat and monitor. Each leaves files that the next reads.")

# %%
poll("A practice problem in a textbook comes with a key at the back. The bot of this page practises on customers' requests. What marks its attempts?",
     ["a model fitted to rankings, which errs where these were few or contradictory", "the gold reward, which knows what each customer wanted", "the demonstrations, compared with word by word", "the probability that the base model gives the reply"],
     "The gold reward is known in this world and is shown to no stage. So the key is itself a pupil's guess at what annotators would say. In lecture 16 the key was a program that checks the answer, and the analogy fits that better: the post speaks of problems that come with their final answer.")

# %% [markdown]
# One line decides how large everything is. `"class"` fits into this page. `"full"` is what was *recorded*: five seeds, each with a desk of its own. `"gpu"` trains 12 million parameters on transcripts *and* prose. (We had no GPU. Of `"gpu"` a few updates on a CPU are tested; more of it has not been run by us.)

# %%
PRESET = "class"                # or "full", or, with a GPU, "gpu"
settings = capstone_preset(PRESET)
folder = Path(tempfile.mkdtemp()) / "desk"
pipeline = Pipeline(folder, settings)
full = list(recorded("capstone_runs")["results"]["runs"].values())


def in_words(value):
    return f"{value:,}" if isinstance(value, int) and value < 1e9 else f"{value:,.4g}"


def stage(name):
    """Do what is left up to this stage; show its figures beside the recorded ones."""
    record = list(pipeline.run(name))[-1]
    def over_seeds(what):
        values = [run[name].get(what, math.nan) for run in full]
        ends = list(dict.fromkeys([in_words(min(values)), in_words(max(values))]))
        return " to ".join(ends)
    table([{"": what.replace("_", " "), "here": in_words(value),
            "recorded, full": over_seeds(what)}
           for what, value in record.figures.items()],
          caption=f"{name}: {record.seconds:.1f} s here; recorded: range of five seeds")
    return record.figures

# %% [markdown]
# ## II. Exposition
#
# ### Raw text, and what is left out
#
# *In:* raw transcripts. *Out:* those that a model may read. One is left out if it is a copy (lecture 07), if it is too long for a row of 128 tokens, or if it is a *leak*: a customer in it says, word for word, what one of the held-out customers will say in the examination (lecture 18).

# %%
stage("corpus")
shop = Workshop(folder, folder, settings, print)        # what the stages work with
held = {r.text for part in ("choose", "report")
        for group in shop.held_out(part).values() for r in group}
raw = shop.desk.transcripts(settings.transcripts, shop.draws("transcripts"))
print("left out:\n" + next(t for t in raw if held & set(t.split("\n"))))

# %% [markdown]
# Nothing is wrong with that text, except that its customer's words are an examination question. In a small language such meetings are common. And the filter knows strings only: a request that differs by a greeting stays in, so the examination is new as text and not as thought. What it measures is whether the bot copes with familiar wishes said anew.
#
# ### Tokens
#
# *In:* the corpus. *Out:* a vocabulary of 512: the 256 bytes, three special tokens, and what was merged. Which words got a token of their own?

# %%
stage("tokenizer")
tokenizer = shop.tokenizer
cut = lambda text: "|".join(tokenizer.decode([i]) for i in tokenizer.encode(text))
special = set(tokenizer.special_tokens.values())
longest = sorted((tokenizer.decode([i]) for i in range(settings.vocab_size)
                  if i not in special), key=len)[-8:]
print("the longest:", *(text.strip() for text in longest))
print("a request:  ", cut("where is my printer"))
print("mistyped:   ", cut("where is my pritner"))

# %% [markdown]
# What is said often has become short; a typing error costs tokens, as in lecture 02.
#
# ### Pull the plug
#
# The next stage trains. On thousands of GPUs something breaks every few hours: Llama 3's run on 16,384 of them was interrupted 419 times in 54 days without anyone having planned it (Dubey et al., 2024). So a long run must be able to die.
#
# Two things make that possible. A *finished* stage is noted in `run.json`, with a hash of each file it wrote. On a start the pipeline walks down that list and stops at the first stage with a file that is missing or is not what was written. An *unfinished* stage saves a checkpoint every $k$ updates (weights, optimizer, place in the data) and goes on from the last one. The walk, in miniature:

# %%
def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def finished(folder):
    """Stages done, up to the first with a file that is not what was written."""
    noted, done = json.loads((folder / "run.json").read_text())["stages"], []
    for name in STAGES:
        if name not in noted:
            break
        paths = {folder / file: code for file, code in noted[name]["files"].items()}
        if any(not p.is_file() or digest(p) != code for p, code in paths.items()):
            break
        done.append(name)
    return done


vocabulary = folder / "vocabulary.bpe"
whole = vocabulary.read_bytes()
for what, content in (("as written:   ", whole), ("one byte more:", whole + b" "),
                      ("mended:       ", whole)):
    vocabulary.write_bytes(content)
    assert finished(folder) == [r.name for r in pipeline.records]   # what llmlib says
    print(what, "done:", ", ".join(finished(folder)))

# %% [markdown]
# Now a power cut, in small: 24 updates, a checkpoint after every 8, and an exception that nothing catches in update 21. **Predict:** where does the second start go on, and will the weights be those of a run to which nothing happened?

# %%
from unittest.mock import patch


class PowerCut(BaseException):
    """Nothing in the library catches this."""


def cut_after(update, save=SaveEvery.__call__):
    def call(self, trainer, event):
        save(self, trainer, event)
        if event == "step" and trainer.step == update:
            raise PowerCut
    return call


tiny = settings.replace(transcripts=200, held_out=8, width=32, layers=1,
                        pretrain_updates=24, pretrain_rows=8, save_every=8)
quiet = Pipeline(folder.parent / "quiet", tiny)
list(quiet.run("pretrain"))

said = []
try:
    with patch.object(SaveEvery, "__call__", cut_after(21)):
        list(Pipeline(folder.parent / "unlucky", tiny).run("pretrain"))
except PowerCut:
    unlucky = Pipeline(folder.parent / "unlucky", tiny, progress=said.append)
    print("cut; done:", ", ".join(finished(unlucky.folder)))
list(unlucky.run("pretrain"))
ends = [digest(p.folder / "base.safetensors") for p in (quiet, unlucky)]
print("second start:", said[0], "| the same file:", ends[0] == ends[1])
assert ends[0] == ends[1]

# %% tags=["diagram"]
d = Diagram(12, 2.9)
d.label(0.15, 2.1, "first start", align="left", size=11)
d.label(0.15, 0.55, "second start", align="left", size=11)
at = lambda update: 2.3 + 0.29 * update
for begin, end, y, color in ((0, 21, 2.1, "sky"), (16, 24, 0.55, "green")):
    d.stream((at(begin), y), (at(end), y), "", color=color)
for update in (8, 16):
    box = d.box(at(update), 1.33, f"checkpoint {update}", w=1.8, h=0.5, color="grey", size=10.5)
    d.arrow((at(update), 2.0), box.top)
d.arrow((at(16), 1.08), (at(16), 0.68))
d.label(at(21) + 0.15, 2.1, "cut at 21", align="left", bold=True, size=11)
d.bracket((at(16), 2.3), (at(21), 2.3), "5 updates lost")
d.label(at(24) + 0.15, 0.55, "24: the same file", align="left", size=11)
d.show(alt="A time line of updates. The first start writes checkpoints after 8 and 16 updates and is cut at 21. The second start reads checkpoint 16 and goes on to 24. The five updates between 16 and 21 are lost, and the file at the end is the same.")

# %% [markdown]
# Less than $k$ updates are lost, on average half of that. Saving more often loses less and costs more: if a save takes $s$ seconds, something breaks every $M$ seconds, and one saves every $t$ seconds, the share of time wasted is about
#
# $$\underbrace{\frac{s}{t}}_{\text{saving}} + \underbrace{\frac{t}{2M}}_{\text{work lost}}, \qquad \text{least at}\quad t^{\ast} = \sqrt{2\,s\,M}$$
#
# (Young, 1974). Llama 3's $M$ was about 186 minutes. **By hand:** let a save take one minute. How often should one save, and what is wasted even so? ($t^{\ast} = \sqrt{2 \cdot 186} \approx 19$ minutes; $1/19 + 19/372 \approx 10$ %. Such runs therefore go to some length to save in seconds.)
#
# ### A base model
#
# *In:* corpus and tokenizer. *Out:* a decoder of two layers, 64 wide, of lecture 04's make, trained by lecture 07's recipe.

# %%
base_figures = stage("pretrain")
start = tokenizer.special_tokens["<|endoftext|>"]
opening = [start, *tokenizer.encode("Customer:\n")]
for seed in (0, 1):
    sample = write_replies(shop.model("base"), [opening], start, seed)[0]
    print("Customer:\n" + tokenizer.decode(sample), end="\n\n")

# %% [markdown]
# It has the form down: a customer, an agent, this world's sentences. It also evades, as many agents do that it read: exposition teaches what *is* said, not what should be. And the agent talks of another thing than the customer.
#
# The slide says "compress the text into the parameters", a figure of speech of Karpathy's talk *Intro to large language models* (2023). Take it at its word: an arithmetic coder with a model that needs $b$ bits a byte writes a text in $b/8$ of its bytes, and whoever wants to read it needs the weights, too.

# %%
unread = read_lines(folder / "corpus_held_out.jsonl")
nats = document_nats(shop.model("base"), [tokenizer.encode(t) for t in unread], start)
b = bits_per_byte(nats, [len(t.encode()) for t in unread])
text = "".join(read_lines(folder / "corpus.jsonl")).encode()
print(f"{b.value:.2f} bits a byte on unread transcripts ({b.low:.2f} to {b.high:.2f})")
sizes = {"the text": len(text), "zip": len(zlib.compress(text, 9)),
         "coded by the model": len(text) * b.value / 8,
         "its weights, fp32": 4 * base_figures["parameters"]}
for what, size in sizes.items():
    print(f"{what:>18}: {size / 1000:8,.1f} kB")
slide = 10e12 / (2 * 100e9)
print(f"the slide: 10 TB in 100 billion weights of 2 bytes, {slide:.0f} to 1")

# %% [markdown]
# Without the weights the model beats zip clearly; with them it loses, for the weights are as large as the text. What is said to be compressed 50 to 1 is something else, and it cannot be unpacked: what stays is what predicts well, and most documents cannot be had back (lecture 09 found which can).

# %% [markdown]
# ## III. Worked problems
#
# *In:* the base model, 200 requests with a reply by the experienced team. *Out:* a model that answers. One in five of these replies is in good style, and four of the sixteen things that customers want are never demonstrated.

# %%
stage("sft")
asked = [r for group in shop.held_out("choose").values() for r in group[:2]]


def replies_of(name, requests=asked):
    model = shop.small_model() if name == "small" else shop.model(name)
    ids = answers(shop, model, [r.text for r in requests], name == "base")
    return [tokenizer.decode(reply) for reply in ids]


for request, *said in list(zip(asked, replies_of("base"), replies_of("sft")))[:2]:
    print("customer:", request.text)
    for name, text in zip(("base", "SFT "), said):
        print(f"   {name}: {text}  [{shop.desk.gold(request, text):.1f}]")

# %% [markdown]
# In brackets the gold reward, at most 1.6. The base model goes on with a transcript, in which agents evade and ramble; the fine-tuned one makes promises. Whether it is the right promise, for the right thing, is another matter.
#
# ## IV. Practice problems
#
# *In:* the SFT model, and rankings of six replies each by five annotators who disagree: three replies of the model's own, three of agents. *Out:* a reward model, which makes a number of a reply (lecture 12). On the page it ranks four replies to one customer.

# %%
stage("reward")
judge, end = shop.reward(), end_of_turn(tokenizer)
request = shop.held_out("choose")["demonstrated"][3]
four = [shop.desk.reply(request, random.Random(0), style)
        for style in ("good", "plain", "mistaken", "evasive")]
scores = judge.score([chat_prompt(tokenizer, request.text)] * 4,
                     [tokenizer.encode(text) for text in four], end)
print("customer:", request.text)
table([{"reply": text, "reward model": score, "gold": shop.desk.gold(request, text)}
       for score, text in sorted(zip(scores.tolist(), four), reverse=True)], fmt=".2f")

# %% [markdown]
# Is it the wish or the manners that this judge marks? Two styles of agents differ in each alone. *Good* and *plain* replies both promise the right thing, and only good ones are always polite and name a next step; *plain* and *mistaken* ones differ in whether the promise is right.

# %%
KNOWN = ("demonstrated", "compared")                    # what was shown or ranked


def preferred(better, worse, n=200):
    """How often the judge puts a reply of one style above one of another."""
    rng = random.Random(better + worse)
    some = shop.desk.requests(n, rng, KNOWN)
    prompts = [chat_prompt(tokenizer, r.text) for r in some]
    a, b = (judge.score(prompts, [tokenizer.encode(shop.desk.reply(r, rng, style))
                                  for r in some], end) for style in (better, worse))
    right = int((a > b).sum())
    return "{:.0%} ({:.0%} to {:.0%})".format(right / n, *wilson_interval(right, n))


print("manners, good above plain:       ", preferred("good", "plain"))
print("the wish, plain above mistaken:  ", preferred("plain", "mistaken"))
print("any promise, plain above evasive:", preferred("plain", "evasive"))

# %% [markdown]
# Manners it marks well, and evasions. Which of sixteen promises fits which of sixteen wishes it has hardly learned from a few hundred rankings. (The recorded judges saw 6,000, and order four pairs of five as their annotators do.) And all of this is about replies by agents. The policy will soon write what no agent ever wrote, and about that nobody has been asked.
#
# Next comes GRPO (lecture 13): eight replies to a prompt, each pushed up or down by its score less the mean of its group, near the SFT model. Before you look at the next cells, a question about the examination.

# %%
poll("The short run of this page has a few hundred rankings, and then trains the policy on the judge's score for a few updates. Against the base model on held-out requests, which result should worry you most?",
     ["it wins most comparisons by gold reward, and solves hardly a request", "it wins only slightly more than half of the comparisons", "the reward model's score falls during training", "its replies are longer than the base model's"],
     "The gold reward is a sum: 1 for a solved request, 0.3 for politeness, 0.3 for a next step, less 0.3 for a wrong promise. A policy can win by manners alone, against a base model that evades, and then the win rate rises while customers get nothing. A weak result is at least visible; this one looks like success. The cells below show what happened here.", draw=4)

# %%
policy_figures = stage("align")

# %% tags=["diagram"]
fig, (left, right) = panels(2, titles=["what it was paid by", "what it was worth"], height=3.0)
for run in full:
    a = run["align"]
    left.annotate("", (a["kl"], a["reward_last"]), (0, a["reward_first"]), arrowprops=dict(arrowstyle="->", color="#0072B2"))
    left.plot(a["kl"], a["reward_last"], "o", color="#0072B2", markersize=4)
left.annotate("", (policy_figures["kl"], policy_figures["reward_last"]), (0, policy_figures["reward_first"]), arrowprops=dict(arrowstyle="->", color="#D55E00", linewidth=2))
ends_ = [run["align"]["kl"] for run in full] + [policy_figures["kl"]]
tops = [run["align"][k] for run in full for k in ("reward_first", "reward_last")] + [policy_figures["reward_first"], policy_figures["reward_last"]]
left.set(xlabel="KL from the SFT model (nats a reply)", ylabel="reward model's score", xlim=(-0.4, 1.1 * max(ends_)), ylim=(min(tops) - 0.2, max(tops) + 0.3))
left.plot([], [], color="#0072B2", label="recorded, five seeds")
left.plot([], [], color="#D55E00", label="this page")
left.legend(fontsize=8, loc="lower right")
gold_of = lambda name, group: [run["report"]["gold"][name][group] for run in full]
GROUPS = ("demonstrated", "compared", "unseen")
bars({name: {group: gold_of(key, group) for group in GROUPS} for key, name in (("sft", "SFT"), ("policy", "policy"))}, x="gold reward (recorded)", fmt="", ax=right)
show(fig, alt=f"Left: the reward model's score against the distance from the SFT model, first to last update; five recorded seeds rise from {min(r['align']['reward_first'] for r in full):.1f} to {max(r['align']['reward_first'] for r in full):.1f} up to {min(r['align']['reward_last'] for r in full):.1f} to {max(r['align']['reward_last'] for r in full):.1f} at {min(r['align']['kl'] for r in full):.0f} to {max(r['align']['kl'] for r in full):.0f} nats, this page's run to {policy_figures['reward_last']:.1f} at {policy_figures['kl']:.1f}. Right: gold reward of SFT and policy, means: " + "; ".join(f"{group} {np.mean(gold_of('sft', group)):.2f} and {np.mean(gold_of('policy', group)):.2f}" for group in GROUPS) + ".")

# %% [markdown]
# The scores rise in every run. In the full runs the gold reward follows in every seed on requests that were *demonstrated*. On those that were *compared*, ranked but never demonstrated, it rises by 0.29 to 0.95 in four desks, and in the fifth it falls a little: there the policy is behind its own SFT model. On what nobody ranked it changes by anything from −0.05 to +0.42. On this page the score rises, too. What is it worth?

# %% tags=["diagram"]
live = {name: replies_of(name) for name in ("base", "sft", "policy")}
kept_texts = full[0]["replies"]
frames = {}
for key, name in (("base", "base model"), ("sft", "after worked problems"), ("policy", "after practice"), ("small", "in four bits")):
    said_here = live.get(key)
    lines = ["recorded, 6,000 rankings:"] + [f"  {row['request']}\n    {row[key][0]}  [{row[key][1]:.1f}]" for row in kept_texts[:4:2]]
    if said_here:
        lines = ["this page:"] + [f"  {r.text}\n    {t}  [{shop.desk.gold(r, t):.1f}]" for r, t in list(zip(asked, said_here))[:3:2]] + [""] + lines
    frames[name] = "\n".join(lines)
steps(frames, panels=[0, 1, 2], name="model")

# %% [markdown]
# On this page, practice has made a courtier: sorry to hear about it, some promise, a next step, nearly the same to everybody, whatever the wish. That is what the judge above can mark, and the policy found it within a few updates. The recorded policy answers the question far more often, and has a tic: *you you you you*. Its judge does not mind. The gold reward does, a little: 1.4 where 1.6 was to be had. Hardly a reply of the SFT model doubles a word, so annotators met few such replies to rank low; this, we take it, is why. These are lecture 13's blind spots: a policy finds what its judge likes without reason, or does not mind, and the curve that is optimised shows neither.

# %% [markdown]
# ## V. After school: small, and with a book
#
# ### Four bits
#
# *In:* the policy. *Out:* the same with its linear layers in four bits, each group of 16 weights with a scale and an offset (lecture 15).

# %%
quantized = stage("quantize")

# %% tags=["diagram"]
matrix = next(p for n, p in shop.model("policy").named_parameters() if p.dim() == 2 and "embed" not in n).detach().cpu()


def in_bits(bits=4):
    q = quantize(matrix, bits, settings.group_size, scale_dtype=torch.float16)
    fig, ax = plt.subplots(figsize=(3.5, 2.6))
    ax.plot(matrix[:6].flatten(), q.dequantize()[:6].flatten(), ".", markersize=3, color="#0072B2")
    ends = [float(matrix[:6].min()), float(matrix[:6].max())]
    ax.plot(ends, ends, color="0.5", linewidth=0.8)
    error = float(((q.dequantize() - matrix) ** 2).mean() / matrix.var())
    ax.set(xlabel="weight", ylabel="after rounding")
    ax.set_title(f"{bits} bits ({q.bits_per_weight:.0f} with scales), error {error:.1%}", fontsize=10)
    return fig


explore(in_bits, bits=[2, 3, 4, 6, 8], panels=[2, 4],
        alt=lambda bits: f"Weights of one matrix of the policy before and after rounding to {bits} bits in groups of {settings.group_size}; each group of weights has its own stairs of {2 ** bits} steps.")

# %% [markdown]
# Each group of sixteen weights has its own stairs. Scale and offset, two half-precision numbers for sixteen weights, are two bits a weight on top; and the embeddings, which stay as they are, make up most of the file.
#
# ### A book of solved cases
#
# *In:* the corpus and the reward model. *Out:* the quarter of the old replies that the judge likes best, with what they answered. A new request is looked up by BM25 (lecture 17), and the old reply is given again, with today's item put in.

# %%
stage("cases")
book = CaseBook(shop)
for request in (asked[0], asked[1]):
    hit = book.index.search(request.text, 1)[0]
    reply = book(request.text)
    print(f"asked:    {request.text}\nfound:    {book.cases[hit.document][0]}\n"
          f"answered: {reply}  [{shop.desk.gold(request, reply):.1f}]\n")

# %% [markdown]
# No training of its own, no sampling, the grammar of whoever wrote the old reply. Remember it for the examination: a cheap contender belongs into every table.
#
# ## VI. The report card
#
# Every model answers the same held-out customers, sampled. A *win rate* asks for each request which of two replies has the higher gold reward, ties half. By hand, and as the pipeline has it:

# %%
card = list(pipeline.run("report"))[-1].figures
exam = [r for group in ("demonstrated", "compared", "unseen")
        for r in shop.held_out()[group]]
written = {name: replies_of(name, exam) for name in ("base", "sft", "policy")}
worth = {name: [shop.desk.gold(r, t) for r, t in zip(exam, texts)]
         for name, texts in written.items()}
n = 2 * settings.held_out                               # without the unseen ones


def win_rate(a, b):
    won = sum((x > y) + 0.5 * (x == y) for x, y in zip(a[:n], b[:n]))
    return won / n, *wilson_interval(won, n)


for a, b in (("sft", "base"), ("policy", "base"), ("policy", "sft")):
    ours = win_rate(worth[a], worth[b])
    np.testing.assert_allclose(ours, card["wins"][f"{a} against {b}"], atol=1e-4)
    print(f"{a} against {b}: {{:.2f}} ({{:.2f}} to {{:.2f}})".format(*ours))

# %% tags=["diagram"]
def over(*path):
    """What the recorded report cards have at the end of a path of keys."""
    found = [run["report"] for run in full]
    for key in path:
        found = [each[key] for each in found]
    return found


spread = lambda values, f=".0%": f"{np.mean(values):{f}}  ({min(values):{f}} to {max(values):{f}})"
rows = []
for label, path in (("solved", "solved"), ("right promise, other item", "half solved"), ("promised something wrong", "wrong promise"), ("polite", "polite"), ("with a next step", "next step"), ("evasive", "evasive")):
    rows.append({"share of replies": label} | {f"{name}, here": f"{card['tasks'][key][path]:.0%}" for key, name in (("base", "base"), ("sft", "SFT"), ("policy", "policy"))} | {f"{name}, recorded": spread(over("tasks", key, path)) for key, name in (("sft", "SFT"), ("policy", "policy"))})
rows.append({"share of replies": "off-topic: promised something"} | {f"{name}, here": f"{card['outside'][key]:.0%}" for key, name in (("base", "base"), ("sft", "SFT"), ("policy", "policy"))} | {f"{name}, recorded": spread(over("outside", key)) for key, name in (("sft", "SFT"), ("policy", "policy"))})
table(rows, caption=f"{3 * settings.held_out} requests here, 600 a seed recorded (mean and range of five seeds); twenty off-topic questions")

# %% [markdown]
# There it is. The policy of this page wins against the base model and against SFT, with intervals clear of one half, and hardly solves a request. Is that the fault of a short run? The recorded ones have twenty-five times the rankings, five times the updates and five times the pre-training, and two of the five policies solve half of all requests. But look at the ranges. In one desk the policy wins 87 % of the comparisons with its SFT model and solves 2 %: it promises the right thing for another *item* in 28 %. Where its base model names an item at all, it is the customer's in 7 % of the replies, about what chance gives with sixteen items; for the other base models it is 71 to 97 %. Copying a word from the text is what lecture 09's induction heads do; this base model, we take it, had not learned to, and neither worked problems nor practice made up for what exposition had left out.
#
# Off-topic, most questions get a promise, and after fine-tuning more than before. Nothing taught these models to refuse: no demonstration declines, and no ranking was about declining.

# %% tags=["diagram"]
NAMES = {"base": "base", "sft": "SFT", "policy": "policy", "small": "policy, 4 bits", "cases": "book of cases"}
bars({label: {group: over("gold", key, group) for group in GROUPS} for key, label in NAMES.items()}, x="gold reward of a reply, at most 1.6", fmt="", height=3.6,
     alt="Recorded gold reward by group of requests, mean and range of five seeds. " + " ".join(f"{label}: " + ", ".join(f"{group} {np.mean(over('gold', key, group)):.2f}" for group in GROUPS) + "." for key, label in NAMES.items()))
table([{"recorded": a, "value": b} for a, b in [("SFT against base, wins", spread([v[0] for v in over("wins", "sft against base")], ".2f")), ("policy against base", spread([v[0] for v in over("wins", "policy against base")], ".2f")), ("policy against SFT", spread([v[0] for v in over("wins", "policy against sft")], ".2f")),
       ("4 bits against the policy", spread([v[0] for v in over("wins", "small against policy")], ".2f")), ("4 bits: share of the policy's win rate kept", spread(recorded("capstone_runs")["results"]["kept"], ".1%")), ("bits a byte, base model", spread([v[0] for v in over("bits_per_byte")], ".3f")),
       ("replies that are a demonstration word for word", spread(over("demonstrations_repeated"), ".2%")), ("replies cut off", spread(over("unfinished"), ".1%")), ("tokens a second, policy / 4 bits", f"{np.mean(over('tokens_per_second', 'policy')):,.0f} / {np.mean(over('tokens_per_second', 'small')):,.0f}")]],
      caption="report cards of five desks: mean and range")

# %% [markdown]
# Three things to notice.
#
# - In every recorded desk the policy is ahead of SFT, and SFT of the base model, on demonstrated requests. On compared ones the policy is ahead in four desks of five.
# - Four bits cost a little: in the mean they win slightly less than half against the policy they were made from. Of its win rate against SFT they keep 99.0 % in the mean over desks, 96.8 % in the lowest, and in two desks more than all of it, which we take for chance. They are *slower* here; matrices of 64 by 64 give four bits little to gain from (lecture 15).
# - Hardly a reply is a demonstration word for word. With a few hundred sentences to combine that is no privacy test; lecture 09's canaries are one.
#
# ### What it was gained by, and who else can do it
#
# The gold reward is a sum, so a gain can be taken apart. And the book of cases has a judge: what is a book worth that has none? Both *recorded*, on the same requests.

# %% tags=["figure"]
habits = recorded("capstone_habits")["results"]
PARTS = ("requests solved, in full or half", "manners", "wrong promises", "the rest: debris, repetitions, evasions")
table([{"policy less SFT, gold": part} | {group: spread([h["gold"]["policy"][group][i] - h["gold"]["sft"][group][i] for h in habits], "+.2f") for group in GROUPS} for i, part in enumerate(PARTS)], caption="what practice changed: mean and range of five desks")
table([{"gold reward": label} | {group: spread(values(group), ".2f") for group in GROUPS} for label, values in [("policy", lambda g: gold_of("policy", g)), ("book of cases, chosen by the judge", lambda g: gold_of("cases", g)), ("book of the 200 demonstrations", lambda g: [h["books"]["demonstrations"][g] for h in habits]), ("book of 500 old replies, as they come", lambda g: [h["books"]["old"][g] for h in habits])]], caption="looking up, with and without a judge")
table([{"by desk": label} | {str(i + 1): f"{h[what][model]:.0%}" for i, h in enumerate(habits)} for label, what, model in [("a doubled word or a sentence said twice: SFT", "tic", "sft"), ("the same: policy", "tic", "policy"), ("names the customer's item, of replies that name one: base", "item", "base"), ("the same: SFT", "item", "sft"), ("the same: policy", "item", "policy")]], caption="habits: share of 600 replies")

# %% [markdown]
# On demonstrated requests nearly all of the gain is manners. On compared ones two of the five policies learned to solve, and the other three did not. On unseen ones manners are nearly all that was gained; four desks of five solve fewer of them than before.
#
# The last row of the first table and the first two of the third belong together. Before practice about one reply in a hundred doubles a word or says a sentence twice; after it, in four desks, a third to nine tenths do. In the fifth desk this costs as much as the new manners bring, and on compared and unseen requests the gold reward falls, while the reward model's score rises by 1.2. That is over-optimisation, and half of it can be seen by a counter that knows nothing of gold: part VIII's counts repeated sentences.
#
# **The book of cases is ahead of the policy in every desk**, narrowly on demonstrated requests (by 0.05 to 0.19), on compared ones by 0.18 to 1.32, on unseen ones in three desks. It is not free: its judge took longer than all other stages together. Without a judge old replies are worth little, since most of them evade or err. But the 200 demonstrations, looked up and repeated with no training at all, are ahead of the policy in four desks of five where the wish was demonstrated, and worth nothing elsewhere. In a world of sixteen wishes looking up is hard to beat; where wishes are endless, the book would have to be.
#
# ### What the card cannot say
#
# It knows what somebody thought of counting: not whether a promise is *kept*, not what other customers would get. Its intervals are about customers drawn from the generator that wrote the training text. Tokens a second are those of one machine on one day. And the gold reward is itself a choice of weights. How much of it are manners?

# %%
for name in ("base", "sft", "policy"):
    found = [shop.desk.findings(r, t) for r, t in zip(exam, written[name])]
    solved = np.mean([each.get("solved", 0) for each in found[:n]])
    manners = 0.3 * np.mean([each.get("polite", 0) + each.get("next step", 0)
                             for each in found[:n]])
    print(f"{name:>6}: gold {np.mean(worth[name][:n]):5.2f}; solved requests add "
          f"{solved:.2f}, manners {manners:.2f}")
page = model_card(pipeline.records, settings)
meant = page.split("**Meant for.** ")[1].split("\n\n")[0].replace("**", "")
print("\nfrom its model card, what it is meant for:", meant, sep="\n")

# %% [markdown]
# On this page, too, nearly all that the policy gained is manners. The last lines are from the **model card** (Mitchell et al., 2019), which the pipeline writes when it is done: what was made, of what, how good it is, what it took, and what it is not for. It refuses to be written when a stage is missing.

# %% [markdown]
# ## VII. Talk to it
#
# *Here the second class may begin.* The assistant puts a message into the frame the model was trained with, samples at temperature 0.7, and gives out pieces as they come. It refuses a message that would not fit into the context, before anything is said. When this notebook runs, there is a box to write in; the page shows three exchanges.

# %%
monitor = Monitor(folder / "chats" / "log.jsonl")
assistant = Assistant(shop.model("policy"), tokenizer, monitor=monitor, seed=0)
try:
    assistant.stream("my lamp arrived broken . " * 40)
except ValueError as problem:
    print("refused:", problem)
chat(assistant.stream, name="your model", examples=[
    "where is my kettle", "the tent is too small", "what is the capital of france"])

# %% [markdown]
# And the same box with SmolLM2, which has a thousand times as many parameters and has read some ten million times as much:

# %%
smol, smol_tokenizer = load_smollm2("cpu")              # fp32: fast on every processor
stop = smol_tokenizer.special_tokens["<|im_end|>"]


def smol_answer(message):
    prompt = encode_chat(smol_tokenizer, [{"role": "user", "content": message}])
    return stream(smol, prompt, tokenizer=smol_tokenizer, max_new_tokens=24,
                  greedy=True, stop_tokens=[stop])


chat(smol_answer, name="SmolLM2", examples=[
    "What is the capital of France?", "My lamp arrived broken."])

# %% [markdown]
# One knows Paris and has nothing to offer for a lamp. The other has something to offer for everything, and knows nothing. Which of them would you put at the desk? Neither, as they are; but for each you can say by now what it would take.
#
# ## VIII. Deploy, monitor, collect misbehaviors
#
# The slide's last line is three words long. After deployment nobody knows the gold reward. What can be seen is what goes in, what comes out, and what is plainly wrong with it: a reply that is empty, cut off, says a sentence twice, or repeats the last reply. The monitor counts these and writes a line for each exchange.

# %%
for name, value in json.loads(monitor.path.read_text().splitlines()[1]).items():
    print(f"{name:>8}: {value}")
print(dict(monitor.counts))

# %% [markdown]
# ### Do people ask what they used to ask?
#
# A model was made for certain requests. If others come, its card no longer applies. Take the words of the requests it was made for, with frequencies $p$, and those of the last $n$ messages, $q$. How different are they? The **Jensen–Shannon divergence** is the mean KL to the middle of both:
#
# $$\mathrm{JS}(p, q) = \tfrac12\,\mathrm{KL}(p \,\Vert\, m) + \tfrac12\,\mathrm{KL}(q \,\Vert\, m), \qquad m = \tfrac12 (p + q),$$
#
# in bits: 0 if they are the same, 1 if they share no word. **By hand:** "my lamp" against "my tent": $m$ gives *my* ½ and the others ¼ each; every KL is $\tfrac12 \log_2 1 + \tfrac12 \log_2 2 = \tfrac12$, so JS is ½ bit.

# %%
def word_counts(texts):
    return Counter(word for text in texts for word in words(text))


def jensen_shannon(p, q):
    """Two Counters of words; bits, from 0 to 1."""
    n, m, bits = p.total(), q.total(), 0.0
    for word in p.keys() | q.keys():
        x, y = p[word] / n, q[word] / m
        bits += sum(z / 2 * math.log2(z / ((x + y) / 2)) for z in (x, y) if z)
    return bits


ask = lambda n, seed, desk=shop.desk, groups=KNOWN: [
    r.text for r in desk.requests(n, random.Random(f"visitor {seed}"), groups)]
assert jensen_shannon(word_counts(["my lamp"]), word_counts(["my tent"])) == 0.5
reference, today = ask(400, "before"), ask(40, "today")
made_for = word_counts(reference)
value = jensen_shannon(made_for, word_counts(today))
check = drift(reference, today)
assert math.isclose(value, check.value)                 # what llmlib computes
print(f"40 usual messages: {value:.3f} bits; by chance one sample in twenty "
      f"reaches {check.by_chance:.3f}: alarm {check.alarm}")

# %% [markdown]
# Two samples of the *same* customers are never equal, and small ones less so. So the bar has to come from chance: draw as many messages from the reference itself, compare them with the rest, a hundred times, and take what one draw in twenty exceeds. An alarm is a value above the bar.

# %%
poll("The bar is set so that usual customers exceed it in one look out of twenty. You look after every tenth message, at the last forty. How likely is at least one false alarm within 400 messages of usual customers?",
     ["more than a half", "one in twenty", "about one in five", "practically certain: 37 looks at 5 %, and no two overlap"],
     "Thirty-seven looks at one in twenty each would give 85 % if they were independent: $1 - 0.95^{37}$. They overlap in three quarters of their messages, which makes them alike and the chance smaller, but nowhere near one in twenty. The next cell measures it. Whoever looks often needs a higher bar, or two alarms in a row.", draw=1)

# %%
other = SupportDesk(settings.world + 1)                 # the same wishes, other habits
mixed = lambda n, seed, share: [
    rng.choice(OUTSIDE) if rng.random() < share else text
    for rng in [random.Random(f"mixed {seed}")] for text in ask(n, seed)]
visitors = {
    "usual customers": ask,
    "1 in 10 off-topic": lambda n, seed: mixed(n, seed, 0.1),
    "1 in 4 off-topic": lambda n, seed: mixed(n, seed, 0.25),
    "another desk's": lambda n, seed: ask(n, seed, other),
    "unseen wishes": lambda n, seed: ask(n, seed, groups=("unseen",)),
}
SIZES, DRAWS = [5, 10, 20, 40, 80], 100                 # messages a look; looks
bar_at = {n: drift(reference, ask(n, 0)).by_chance for n in SIZES}


def alarmed(texts):
    return jensen_shannon(made_for, word_counts(texts)) > bar_at[len(texts)]


rates = {who: [np.mean([alarmed(come(n, f"{who} {k}")) for k in range(DRAWS)])
               for n in SIZES] for who, come in visitors.items()}
looks = [[alarmed(day[i - 40:i]) for i in range(40, 401, 10)]
         for day in (ask(400, f"day {k}") for k in range(60))]
print(f"usual customers: {np.mean(looks):.0%} of looks are false alarms; "
      f"of 60 days of 400 messages {np.mean([any(d) for d in looks]):.0%} have one")

# %% tags=["figure"]
curves(rates, at=SIZES, log="x", x="messages looked at", y="share of looks with an alarm", reference={"1 in 20": 0.05}, ylim=(0, 1.03), height=3.2,
       alt="Share of looks that raise the alarm, against the messages looked at (" + ", ".join(map(str, SIZES)) + "). " + " ".join(f"{who}: " + ", ".join(f"{v:.2f}" for v in values) + "." for who, values in rates.items()))

# %% [markdown]
# (A hundred draws a point: give or take ten points.) Wishes that were never ranked are noticed within ten messages, since their words are new. One off-topic question in ten hides behind the other nine even in eighty messages about every second time. And customers of a desk with *the same sixteen wishes*, who merely prefer other phrases, ring the bell more and more surely.
#
# ### What a bar is made of (*optional*)
#
# A bar has a history, too: it is drawn from one sample of 400 requests. **Predict:** if six colleagues each collect 400 of their own, do all six get alarms at 5 %?

# %%
per_reference = []
for k in range(6):
    own = ask(400, f"colleague {k}")
    bar, counted = drift(own, ask(40, 0), draws=60).by_chance, word_counts(own)
    rings = [jensen_shannon(counted, word_counts(ask(40, f"{k} {i}"))) > bar
             for i in range(60)]
    per_reference.append(np.mean(rings))
low, high = wilson_interval(60 * sum(per_reference), 360)
print("false alarms by colleague:", " ".join(f"{r:.0%}" for r in per_reference),
      f"| together {np.mean(per_reference):.0%} ({low:.0%} to {high:.0%})")

# %% tags=["diagram"]
def watched(off_topic=0.1, looked_at=40):
    usual = [jensen_shannon(made_for, word_counts(ask(looked_at, f"w{k}"))) for k in range(60)]
    drifted = [jensen_shannon(made_for, word_counts(mixed(looked_at, f"w{k}", off_topic))) for k in range(60)]
    fig, ax = plt.subplots(figsize=(3.5, 2.5))
    edges = np.linspace(min(usual + drifted), max(usual + drifted), 18)
    ax.hist(usual, edges, color="#0072B2", alpha=0.6, label="usual")
    ax.hist(drifted, edges, color="#D55E00", alpha=0.6, label="drifted")
    ax.axvline(bar_at[looked_at], color="0.2", linestyle="--")
    ax.set(xlabel="JS from the reference (bits)", ylabel="draws of 60")
    ax.set_title(f"{off_topic:.0%} off-topic, {looked_at} messages", fontsize=10)
    ax.legend(fontsize=8)
    return fig


explore(watched, off_topic=[0.05, 0.1, 0.25, 0.5], looked_at=SIZES, panels=[dict(off_topic=0.1, looked_at=20), dict(off_topic=0.25, looked_at=80)],
        alt=lambda off_topic, looked_at: f"Divergences of sixty samples of {looked_at} messages from usual customers and sixty with {off_topic:.0%} off-topic questions, and the bar at {bar_at[looked_at]:.2f} bits.")

# %% [markdown]
# ### An alarm, and harm
#
# What does an alarm say about the customers' luck? Five streams of sixty messages, the last one with a mistake of ours: the *base* model is deployed, in a frame it has never seen. **Predict** which rows ring, which show misbehaviour, and which serve customers badly.

# %%
streams = {"usual customers": (shop.desk, KNOWN, "policy"),
           "another desk's": (other, KNOWN, "policy"),
           "unseen wishes": (shop.desk, ("unseen",), "policy"),
           "off-topic": (None, (), "policy"),
           "usual, wrong model": (shop.desk, KNOWN, "base")}
rows = []
for who, (desk, groups, which) in streams.items():
    rng, watch = random.Random("stream"), Monitor()
    come = desk.requests(60, rng, groups) if desk else [
        replace(NOBODYS, text=text) for text in rng.choices(OUTSIDE, k=60)]
    prompts = [chat_prompt(tokenizer, r.text) for r in come]
    written = write_replies(shop.model(which), prompts, end)
    texts = [tokenizer.decode(ids) for ids in written]
    for r, text, ids in zip(come, texts, written):
        watch.note(r.text, text, finished=len(ids) < LONGEST_REPLY)
    found = [shop.desk.findings(r, text) for r, text in zip(come, texts)]
    rows.append({
        "": who,
        "drift alarm": "yes" if drift(reference, watch.messages).alarm else "no",
        **{k.replace("_", " "): f"{v:.0%}" for k, v in watch.rates().items()},
        "wrong promise": f"{np.mean(['wrong promise' in f for f in found]):.0%}",
        "solved": f"{np.mean(['solved' in f for f in found]):.0%}"})
table(rows, caption="sixty messages each; the last two columns are what only the gold "
      "reward knows")

# %% [markdown]
# The alarm sees words that come in. It rings for another desk's customers, who are served about as badly as the usual ones (sixty messages: give or take ten points), and stays silent when the model is exchanged. The counters see that: in a frame it does not know, the base model runs on until it is cut off. Neither sees a polite wrong promise: it is well-formed, ends in time, and answers a usual question. To see *that* takes somebody who reads, and the log is there to be read. What is found there is the beginning of the next round: new rankings where people were served badly. On the slide the arrow ends at "collect misbehaviors"; in practice it goes back to "hire people".

# %% tags=["diagram"]
d = Diagram(12, 3.0)
users = d.box(1.3, 1.9, "customers", w=2.0, h=0.7, color="grey")
model_box = d.box(5.0, 1.9, "policy", w=2.0, h=0.7, color="blue")
answer = d.box(8.9, 1.9, "replies", w=2.0, h=0.7, color="grey")
drift_box = d.box(3.1, 0.6, "words in:\ndrift alarm", w=2.2, h=0.9, color="orange")
count_box = d.box(7.2, 0.6, "form out:\ncounters", w=2.2, h=0.9, color="orange")
read_box = d.box(10.7, 0.6, "sense: someone\nwho reads", w=2.5, h=0.9, color="green")
d.arrow(users, model_box)
d.arrow(model_box, answer)
d.arrow((3.1, 1.9), drift_box.top)
d.arrow((7.2, 1.9), count_box.top)
d.arrow(answer, read_box)
d.ax.plot([11.6, 11.6, 5.0], [1.1, 2.65, 2.65], color="0.3", linestyle="--", linewidth=1.5)
d.arrow((5.0, 2.65), model_box.top, dashed=True)
d.label(8.2, 2.85, "new rankings", size=11)
d.show(alt="Customers write to the policy, which replies. A drift alarm sees the words that come in, counters see the form of what goes out, and only somebody who reads sees its sense. From there new rankings go back to the policy.")

# %% [markdown]
# ## IX. The bill
#
# Every stage ran under a meter (lecture 07). Where a processor's own counters may be read, the joules are theirs; elsewhere they are an *estimate*, 30 W times the clock time, and the source says so.

# %%
bill = pipeline.records
print("source of the joules:", ", ".join({r.energy_source for r in bill}))
joules = sum(r.joules for r in bill)
recorded_j = [sum(run["joules"].values()) for run in full]
print(f"this page: {joules:,.0f} J, {co2_grams(joules):.2f} g CO2; recorded full run: "
      f"{np.mean(recorded_j):,.0f} J, {co2_grams(np.mean(recorded_j)):.1f} g "
      f"({min(recorded_j):,} to {max(recorded_j):,} J)")

# %% tags=["figure"]
minutes_of = lambda name: [run["seconds"][name] / 60 for run in full]
costly = [name for name in STAGES if np.mean(minutes_of(name)) > 0.02]
bars({name: minutes_of(name) for name in costly}, x="minutes of a recorded full run", fmt=".1f",
     alt="Minutes by stage of the recorded full runs, mean and range of five seeds: " + ", ".join(f"{name} {np.mean(minutes_of(name)):.1f}" for name in costly) + ".")

# %% [markdown]
# (Clock time, two runs at once on two cores with other work beside them. The joules of these runs are that time times 30 W: each run is charged for what its neighbours did, and nobody put a meter to the plug.) Day 24 passes on 4.32 g of CO2 for *one* query to a large model, 70 g for a kettle, and lecture 07 found the first number high. In these coins, and in training runs that were published:

# %%
each = co2_grams(np.mean(recorded_j))
published = {"a kettle (Day 24)": 70, "a query (Day 24)": 4.32,
             "a median text prompt (Google, 2025)": 0.03,
             "GPT-3's training (Patterson et al., 2021)": 552e6}
for what, grams in published.items():
    print(f"{what:>42}: {grams / each:11,.3g} of our full runs")

# %% [markdown]
# By that estimate a whole chain from raw text to chat model emits less than the slide's page gives for a single query. What the bill leaves out: five seeds instead of one, every trial before them, making the laptop, and the people.
#
# In our chain practice took longer than exposition, the reward model most of it. In InstructGPT supervised fine-tuning and PPO took 64.9 petaflop/s-days, and pre-training 3,640: 2 % (Ouyang et al., 2022; the reward model not counted). Such a share does not carry over from a small world to a large one.
#
# ## X. What would it cost to mean it?
#
# The same chain at three sizes: $10^{18}$, $10^{21}$ and $10^{25}$ operations. With lecture 08's rule of thumb, 20 tokens a parameter, a budget of $C$ operations buys
#
# $$C = 6ND,\quad D = 20N \;\;\Rightarrow\;\; N = \sqrt{C/120}, \qquad \text{GPU-hours} = \frac{C}{3600\; u\, P},$$
#
# with $P$ the peak of a GPU and $u$ the share of it that is used. The slide's own terms are 6,000 GPUs, 12 days, \$2M. What do they imply?

# %%
PEAK, USED, DOLLARS = 312e12, 0.4, 2e6 / (6000 * 12 * 24)     # an A100, bf16
gpu_hours = 6000 * 12 * 24
print(f"{gpu_hours:,} GPU-hours, ${DOLLARS:.2f} each")
for n_params, n_tokens in ((70e9, 2e12), (100e9, 2e12)):
    share = 6 * n_params * n_tokens / (gpu_hours * 3600 * PEAK)
    print(f"{n_params / 1e9:.0f}B parameters on {n_tokens / 1e12:.0f}T tokens: "
          f"{6 * n_params * n_tokens:.1e} FLOPs, {share:.0%} of the peak")
at_40 = gpu_hours * 3600 * PEAK * USED
print(f"at {USED:.0%} of the peak: {at_40:.1e} FLOPs, which 20 tokens a parameter "
      f"spend on {math.sqrt(at_40 / 120) / 1e9:.0f}B")


def price(C):
    """Parameters, tokens, and what training takes."""
    n_params, hours = math.sqrt(C / 120), C / 3600 / USED / PEAK
    kwh = hours * 0.4 * 1.1                             # 400 W, a tenth on top
    return dict(parameters=n_params, tokens=20 * n_params, gpu_hours=hours,
                days_on_6000=hours / 6000 / 24, dollars=hours * DOLLARS, kwh=kwh,
                tonnes=co2_grams(kwh * 3.6e6) / 1e6)

# %% tags=["figure"]
PAGES = {"this page": base_figures["flops"], "recorded": full[0]["pretrain"]["flops"], "1e18": 1e18, "1e21": 1e21, "the slide, 40 % of peak": at_40, "1e25": 1e25}
short = lambda v: f"{v:.3g}" if v < 1000 else next(f"{v / s:.3g}{u}" for s, u in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")) if v >= s)
table([{"FLOPs": name} | {key.replace("_", " "): short(v) for key, v in price(C).items()} for name, C in PAGES.items()],
      caption=f"an A100 at {USED:.0%} of its peak, ${DOLLARS:.2f} an hour, 400 W and a tenth on top, the world's mean grid; parameters and tokens by 20 to 1")

# %% [markdown]
# The first two rows say what a GPU *would* take if it reached 40 % of its peak on such small matrices, which it would not, and what parameters the rule would choose: 57 and 128 thousand; the model of either has 127,296.
#
# Three orders of magnitude are three different trades. $10^{18}$ is a few dollars: homework. $10^{21}$ is what SmolLM2-135M took, whose makers spent it on 2 trillion tokens for 135 million parameters ($1.6 \cdot 10^{21}$; Allal et al., 2025), some 740 times the rule's ratio: a small model is cheap to *use*. $10^{25}$ is where the European Union's AI Act begins to presume "systemic risk"; Llama 3 405B took $3.8 \cdot 10^{25}$ (Dubey et al., 2024). For the slide's cluster the rule picks about 80 billion parameters: its GPUs, days and dollars are those of Llama-2-70B, as in lecture 07, and not of 100 billion.
#
# Computing is one of three bills. The slide hires people for 100,000 answers and comparisons; at ten minutes each that is \$33,000 at \$2 an hour and \$667,000 at \$40 (both wages stand in the source lectures, lecture 07). And a model that is used writes: $n$ tokens of answers cost $2Nn$ operations, as many as the training once
#
# $$2Nn = 6ND \quad\Longleftrightarrow\quad n = 3D .$$
#
# Move the budget. Which bill is the largest?

# %% tags=["diagram"]
def bills(log10_flops=24, answers_served=1e9):
    C = 10.0**log10_flops
    p = price(C)
    serving = 2 * p["parameters"] * answers_served * 500 / (3600 * 0.1 * PEAK) * DOLLARS
    named_ = {"training": p["dollars"], "people, $2 an hour": 1e5 / 6 * 2, "people, $40": 1e5 / 6 * 40, "serving": serving}
    fig, ax = plt.subplots(figsize=(3.5, 2.4))
    drawn = ax.barh(list(named_), list(named_.values()), color=["#0072B2", "#009E73", "#009E73", "#D55E00"])
    ax.bar_label(drawn, [f"${short(v)}" for v in named_.values()], padding=3, fontsize=9.5)
    ax.set(xscale="log", xlim=(0.5, 1e11), xlabel="dollars (log)")
    ax.set_title(f"1e{log10_flops} FLOPs, {short(p['parameters'])} parameters, {short(answers_served)} answers", fontsize=9.5)
    ax.invert_yaxis()
    return fig


explore(bills, log10_flops=(18, 26, 1), answers_served=[1e6, 1e9, 1e12], panels=[dict(log10_flops=18, answers_served=1e9), dict(log10_flops=21, answers_served=1e9), dict(log10_flops=25, answers_served=1e9)],
        alt=lambda log10_flops, answers_served: f"Dollars at 1e{log10_flops} FLOPs: training {short(price(10.0 ** log10_flops)['dollars'])}; people 33k to 667k; serving {short(answers_served)} answers of 500 tokens at a tenth of the peak {short(2 * price(10.0 ** log10_flops)['parameters'] * answers_served * 500 / (3600 * 0.1 * PEAK) * DOLLARS)}.")

# %% [markdown]
# With a billion answers: up to $10^{21}$ making the model costs more for people than for machines, and the answers cost more than the training they come from. At $10^{25}$ training is by far the largest bill, until somebody asks for a trillion answers. A slide that prices "an LLM" without its size and its use prices one of these.
#
# HLT remarks that while a model like GPT-3 costs a lot, its existence prevents the training of many mediocre ones, so that the net cost may be negative. How many would that have to be?

# %%
gpt3, smol_flops = 3.14e23, 6 * 135e6 * 2e12
print(f"GPT-3: {gpt3:.1e} FLOPs, as much as {gpt3 / smol_flops:.0f} runs of "
      f"SmolLM2-135M, {gpt3 / 1e21:.0f} of 1e21, {gpt3 / 1e18:,.0f} of 1e18")

# %% [markdown]
# Some two hundred avoided runs of a small modern model, or 300,000 of homework size, before a query is served. Whether so many were avoided nobody has counted.
#
# ## Scale warning
#
# > **What this page can and cannot tell you.** The order of the stages, the way to resume, the arithmetic of prices, the false alarms of a bar at one in twenty, and that a win rate can rise while the purpose is missed: these do not depend on size. Sixteen wishes, some hundred sentences and a known gold reward do not: they make looking up hard to beat, memorisation harmless to look at and evaluation nearly free. Real customers cannot be drawn from a generator, annotators are people, and nobody hands out a gold reward. Our policy finds its judge's blind spots within a few updates, and with 6,000 rankings within eighty; how soon a large one does was measured by Gao et al. (2023), not here. The shares of time and energy by stage are upside down against a large run. And the version for a GPU has been prepared and not run.
#
# ## Claims
#
# What the source lectures say about this topic, against what the papers say and what was measured here.

# %%
claims_table([
    Claim("download large scale text data (~10TB)",
          "Touvron et al. (2023b): Llama 2 read 2.0 trillion tokens",
          "at lecture 02's 3.3 to 3.9 bytes a token of English, 10 TB are "
          f"{10 / 3.9:.1f} to {10 / 3.3:.1f} trillion tokens",
          "holds; as an order of magnitude", source="analytics"),
    Claim("6k GPUs, ~12 days, ~$2M: 100 billion parameters",
          "Touvron et al. (2023b): 1,720,320 A100-hours for 70B and 2.0T tokens; no price",
          f"{at_40:.1e} FLOPs at 40 % of the peak, ${DOLLARS:.2f} a GPU-hour; 100B on 2T tokens "
          f"would need {6 * 100e9 * 2e12 / (gpu_hours * 3600 * PEAK):.0%}",
          "fails; the cluster and the dollars fit 70B", source="analytics"),
    Claim("compress the text into the parameters",
          "Karpathy's talk (2023): 10 TB into 140 GB, 'lossy'; Delétang et al. (2024): as a coder, weights not counted",
          f"text {sizes['the text'] / 1e3:.0f} kB, zip {sizes['zip'] / 1e3:.0f}, coded by the model "
          f"{sizes['coded by the model'] / 1e3:.0f} and its weights {sizes['its weights, fp32'] / 1e3:.0f} kB",
          "fails; taken literally: with its weights it loses to zip here", source="analytics", split="report",
          rule=sizes["coded by the model"] < sizes["zip"] < sizes["its weights, fp32"]),
    Claim("collect 100K high quality prompt responses, and comparisons",
          "InstructGPT (2022): 13k, 33k and 31k prompts; Llama 2 (2023): 27,540 and 1.4 million comparisons",
          f"200 demonstrations: SFT wins {np.mean([v[0] for v in over('wins', 'sft against base')]):.2f} against base; "
          f"6,000 rankings: policy {np.mean([v[0] for v in over('wins', 'policy against sft')]):.2f} against SFT",
          "cannot be tested at this scale; between two published numbers", source="analytics", split="report"),
    Claim("finetune the base model on this data: obtain assistant",
          "Ouyang et al. (2022)",
          f"gold on demonstrated requests: base {np.mean(over('gold', 'base', 'demonstrated')):.2f}, SFT "
          f"{np.mean(over('gold', 'sft', 'demonstrated')):.2f}, policy {np.mean(over('gold', 'policy', 'demonstrated')):.2f}; "
          f"book of cases {np.mean(over('gold', 'cases', 'demonstrated')):.2f}",
          "holds; in all five desks, and looking up did better", source="analytics", split="report",
          rule=all(a < b < c for a, b, c in zip(*(over("gold", m, "demonstrated") for m in ("base", "sft", "policy"))))),
    Claim("exposition, worked problems, practice: pre-training, SFT, RL 'until you reach the correct answer'",
          "the post: practice problems come with the final answer; Ouyang et al. (2022): a model's opinion",
          f"our judges order {np.mean([r['reward']['accuracy'] for r in full]):.0%} of held-out pairs as annotators do; this page's {pipeline.records[4].figures['accuracy']:.0%}",
          "holds as a picture; RLHF has no answer key", source="analytics", split="report",
          rule=pipeline.records[4].figures["accuracy"] < 0.95),
    Claim("run a lot of evaluations", "Liang et al. (2022): many metrics, many scenarios",
          f"this page: policy wins {card['wins']['policy against base'][0]:.2f} against base and solves "
          f"{card['tasks']['policy']['solved']:.0%}",
          "holds; one number would have hidden it", source="analytics", split="report",
          rule=card["wins"]["policy against base"][1] > 0.5 and card["tasks"]["policy"]["solved"] < 0.25),
    Claim("deploy, monitor, collect misbehaviors",
          "Rabanser et al. (2019): tests for shift",
          f"alarm within 5 messages for unseen wishes {rates['unseen wishes'][0]:.0%}, 1 in 10 off-topic within 80: "
          f"{rates['1 in 10 off-topic'][-1]:.0%}; false on {np.mean([any(d) for d in looks]):.0%} of days",
          "holds; words and form are seen, wrong promises are not", source="analytics", split="report",
          rule=rates["unseen wishes"][1] > 0.9 and rates["1 in 10 off-topic"][1] < 0.5),
    Claim("these models take a lot of electricity to train",
          "Patterson et al. (2021): GPT-3, 1,287 MWh, 552 t",
          f"ours: {np.mean(recorded_j) / 3.6e6 * 1000:.1f} Wh, {each:.1f} g by the estimate of 30 W",
          "holds; for large ones, by a factor of 1e8", source="day24"),
    Claim("GPT-3's availability prevents training many mediocre models: the net cost may be negative",
          "none", f"break-even: {gpt3 / smol_flops:.0f} runs of SmolLM2-135M",
          "cannot be tested at this scale; nobody counts runs not made", source="hlt"),
])

# %% [markdown]
# ## Summary
#
# 1. The slide's eleven lines are a chain of files. Each stage reads what the last one left; with hashes and checkpoints it can be killed anywhere; less than one interval is lost, and the file at the end was the same to the last bit.
# 2. Exposition teaches form, worked problems teach to answer, practice teaches what the judge pays for. That helped with wishes that were demonstrated, with ranked ones in four desks of five, and with those nobody thought of by little but manners.
# 3. A policy can win four comparisons of five and solve hardly a request. Look at samples, count findings apart, and put a cheap rival into the table: here a book of old cases, chosen by the same judge, was ahead of the policy in every desk.
# 4. After deployment words and form can be watched, sense only by reading. A bar at one in twenty, looked at often, rings on most days for nothing.
# 5. A chat model of one's own took minutes and grams. Meant seriously it costs three bills, machines, people and use, and which is largest depends on size and success.
#
# ## Exercises
#
# *Lab 20* is an open project: your data, your behaviour, your model and its card, judged by a rubric.
#
# 1. By hand: saves take 30 seconds and something breaks every 8 hours. How often should one save, and what is wasted?
# 2. By hand: two lists of words that share half of their words, all equally frequent. What is their JS divergence?
# 3. Give the `"class"` preset 2,000 rankings and 40 updates of practice (`settings.replace(rankings=2000, align_updates=40)`) and a folder of its own. Predict the share of solved requests first. How much longer does it take?
# 4. Teach the bot to refuse: write ten demonstrations that decline an off-topic question, add them to `demonstrations`, and measure both the promises to off-topic questions and the refusals of honest ones.
# 5. Change the monitor to look after every tenth message with at most one false alarm in 400. Which bar does that need, and how much later does it notice one off-topic question in four?
# 6. Deploy the book of cases instead of the policy. Which of the counters still mean something?
# 7. From a terminal, `python -m llmlib.capstone --preset full` makes a run like the recorded ones and ends in a chat. Kill it in the middle of `reward` and start it again.
#
# ## Further reading
#
# Karpathy (2023), *Intro to large language models* (talk). Ouyang et al. (2022), *Training language models to follow instructions with human feedback*. Touvron et al. (2023), *Llama 2: open foundation and fine-tuned chat models*. Dubey et al. (2024), *The Llama 3 herd of models*, section 3.3. Allal et al. (2025), *SmolLM2*. Hoffmann et al. (2022), *Training compute-optimal large language models*. Young (1974), *A first order approximation to the optimum checkpoint interval*. Gao et al. (2023), *Scaling laws for reward model overoptimization*. Mitchell et al. (2019), *Model cards for model reporting*. Delétang et al. (2024), *Language modeling is compression*. Rabanser et al. (2019), *Failing loudly: an empirical study of methods for detecting dataset shift*. Patterson et al. (2021), *Carbon emissions and large neural network training*. Sculley et al. (2015), *Hidden technical debt in machine learning systems*. Liang et al. (2022), *Holistic evaluation of language models*.
