# %% [markdown]
# # 11 · Supervised fine-tuning
#
# **The question of this lecture.** A base model knows a lot and answers nothing: ask it something, and it may go on asking. Yet the models people talk to answer, in a certain manner, and stop. *What does it take to turn the one into the other, what exactly is learned on the way, and what is lost?*
#
# Lecture 04 asked where a chat model's manner comes from. A large part of the answer is on this page.
#
# **Afterwards you can**
# - write the loss of supervised fine-tuning, with its mask, its shift and its count, and say why pre-training is the same function;
# - frame a conversation in a chat template, and pack several into a row without letting them see each other;
# - say how much data it took here, what its quality changed, and what none of it changed;
# - measure what fine-tuning makes a model forget, and prevent it;
# - tell form from content in what a fine-tuned model has learned.
#
# **Before this:** lecture 03 (the loss and the training loop), lecture 04 for chat templates; lecture 07 for padding and sums over unequal parts.
#
# **Time:** core 75 minutes, optional 26 minutes; one class. All cells together: under a minute of computing on a laptop CPU. What took longer was run once and is marked *recorded*.
#
# <!-- sources: analytics, day24, 11785 -->

# %%
import copy
import json
import random

import matplotlib.pyplot as plt
import numpy as np
import psutil
import torch

from courseware import (Claim, Diagram, bars, claims_table, curves,
                        explore, panels, poll, setup_style, show, table)
from llmlib.align import (chat_example, chat_prompt, end_of_turn, pack_examples,
                          pad_examples, reply_example, sample_replies, sft_loss)
from llmlib.data import SupportDesk, fetch, recorded
from llmlib.hub import is_stand_in, load_base, load_desk, load_smollm2
from llmlib.infer import generate
from llmlib.model import Transformer, record
from llmlib.text import CHATML_TOKENS
from llmlib.train import TrainConfig, Trainer, next_token_loss

setup_style(compact=True)
torch.manual_seed(0);

# %% [markdown]
# ## I. A base model continues
#
# Business Analytics explains the road with a customer-service bot, and we take the same one. Our **support desk** is a generated world: customers write in with one of sixteen intents, and agents reply. In the transcripts that a base model reads, most agents evade, ramble or promise the wrong thing; one reply in ten is what one would wish for. Since we made the world, we know what is true in it, and every reply has a **gold reward**: 1 for solving the problem, 0.3 each for being polite and for naming the next step, less for evading, wrong promises and broken sentences. The best is 1.6. The reward measures here; nothing is trained on it.

# %%
desk = SupportDesk(0)
base, tokenizer = load_desk("base")                     # 0.13 million parameters
print(desk.transcripts(1, random.Random(4))[0])

start = tokenizer.special_tokens["<|endoftext|>"]
request = desk.requests(1, random.Random(11))[0]
print(f"CONTINUED: {request.text}")
for seed in range(3):
    ids = [start, *tokenizer.encode(f"Customer:\n{request.text}")]
    written = generate(base, ids, max_new_tokens=40,
                       generator=torch.Generator().manual_seed(seed))
    print(f"  {seed}: {tokenizer.decode(written)!r}")

# %% [markdown]
# The model continues the page. It ends the customer's sentence or adds one, lets an agent speak, and then the customer again: it writes *both* sides, because that is what its pages look like. To get a reply out of it one has to write "Agent:" oneself and cut at the end of the line, which is prompting (lecture 10). Even then it replies as agents do, and most of them evade.
#
# ### Two hundred demonstrations
#
# The cure in one line: show it some conversations in which the other side does what it should, and go on training. "Experienced customer service" writes 200 replies to requests of twelve of the intents; a fifth of them are in good style, the others solve the problem plainly. The frame around the turns is ChatML, as in lecture 04; its two special tokens have never been trained.

# %% tags=["diagram"]
d = Diagram(12, 3.1)
text = d.box(1.5, 2.3, "text as\nit comes", w=2.2, h=0.9, color="grey")
model_ = d.box(4.6, 2.3, "base model:\ncontinues", w=2.3, h=0.9, color="blue")
tuned_ = d.box(7.8, 2.3, "fine-tuned:\nanswers", w=2.3, h=0.9, color="green")
later = d.box(10.8, 2.3, "rewarded", w=1.9, h=0.9, color="orange", dashed=True)
shown_ = d.box(7.7, 0.7, "demonstrations: requests\nwith good replies", w=4.2, h=0.9, color="grey")
asked_ = d.box(4.0, 0.7, "2 million tokens", w=2.4, h=0.6, color="grey", dashed=True)
ranked = d.box(11.0, 0.7, "rankings", w=1.6, h=0.6, color="grey", dashed=True)
d.arrow(text, model_)
d.arrow(model_, tuned_)
d.arrow(tuned_, later)
d.arrow(shown_, tuned_)
d.arrow(asked_, (4.4, 1.85))
d.arrow(ranked, later)
d.label(6.2, 2.95, "this lecture", size=11)
d.label(9.4, 2.95, "12 and 13", size=11)
d.show(alt="The road of the support desk's model: text as it comes makes a base model that continues; demonstrations make a fine-tuned model that answers; rankings and rewards follow in lectures 12 and 13.")

# %%
def fine_tune(model, examples, epochs=8, rows=16, lr=1.5e-3, **options):
    """A copy of the model after some epochs of AdamW on examples; the losses."""
    order = torch.Generator().manual_seed(0)
    batches = [pad_examples([examples[i] for i in part])
               for _ in range(epochs)
               for part in torch.randperm(len(examples), generator=order).split(rows)]
    config = TrainConfig(steps=len(batches), lr=lr, weight_decay=0.0, warmup_steps=10,
                         final_lr=0.05, device="cpu", progress=False)
    trainer = Trainer(copy.deepcopy(model), config, batches, **options)
    return trainer.run().train_loss, trainer.model


shown = desk.demonstrations(200, random.Random(0), quality=0.2)
examples = [reply_example(tokenizer, each.text, reply) for each, reply in shown]
losses, tuned = fine_tune(base, examples)
print(f"{len(losses)} updates: {losses[0]:.2f} -> {losses[-1]:.2f} nats a token")

# %% tags=["diagram"]
rng = random.Random(3)
side_by_side = []
for group in ("demonstrated", "demonstrated", "compared", "unseen"):
    asked = desk.requests(1, rng, (group,))[0]
    before = [start, *tokenizer.encode(f"Customer:\n{asked.text}\nAgent:\n")]
    prompts = {"base": before, "fine-tuned": chat_prompt(tokenizer, asked.text)}
    ends = {"base": tokenizer.encode("\n")[0], "fine-tuned": end_of_turn(tokenizer)}
    row = {"request": asked.text, "intent": "covered" if group == "demonstrated" else "not"}
    for name, model in (("base", base), ("fine-tuned", tuned)):
        reply = sample_replies(model, [prompts[name]], ends[name], 48, greedy=True)
        said = tokenizer.decode(reply.replies[0])
        row[name] = f"{said} ({desk.gold(asked, said):+.1f})"
    side_by_side.append(row)
table(side_by_side, caption="greedy replies before and after, with their gold rewards; an intent is covered if demonstrations had it")

# %% [markdown]
# The base model was *helped*: it got the "Agent:" and the cut. It still evades, and greedily always, since an evasion is the most frequent reply in what it has read. The fine-tuned model needs no help, promises to do something and stops. Look at the last two rows, though. Sixteen intents were in the transcripts, twelve in the demonstrations.

# %%
poll("Our base model's replies to intents that no demonstration covered are worth about 0 when sampled and -0.4 when greedy. After fine-tuning on the other intents, they will be worth",
     ["little more than before: it promises something, mostly something else", "about as much as on the covered intents: it has learned to help", "less than before: it is punished for what it was not shown", "exactly as much as before: those weights did not move"],
     "It has learned that agents promise and do not evade, which carries over. What to promise has to be known for each intent. Nobody punishes anything in this loss, and the weights are shared by all intents.")

# %% tags=["diagram"]
gain = recorded("sft_gain")["results"]
first_world = [run for run in gain["runs"] if run["world"] == 0]
GROUPS = {"demonstrated": "covered", "compared": "not covered, A", "unseen": "not covered, B"}
reward = {stage: {label: {name: [run[stage][f"{name}{how}"] for run in first_world]
                          for name in GROUPS}
                  for how, label in (("", "temperature 1"), (" greedy", "greedy"))}
          for stage in ("base", "sft")}
every_seed = {(run["world"], run["seed"], key): (run["sft"][key], run["base"][key])
              for run in gain["runs"] for key in run["sft"]}
worse = [where for where, (after, before) in every_seed.items() if after <= before]
print(f"{len(every_seed)} comparisons ({len(gain['runs'])} base models, three groups, "
      f"two ways of decoding): fine-tuned not better in {len(worse)}")
fig, axes = panels(2, titles=["temperature 1", "greedy"], share_y=True, height=3.0)
for ax, label in zip(axes, ("temperature 1", "greedy")):
    both = {GROUPS[name]: {"base": reward["base"][label][name], "fine-tuned": reward["sft"][label][name]} for name in GROUPS}
    bars(both, x="gold reward", fmt="", ax=ax)
    ax.set_xlabel("gold reward, mean and range of 5", fontsize=10)
    if label == "temperature 1":
        ax.get_legend().remove()
axes[0].invert_yaxis()                                  # the axis is shared, and was turned twice
show(fig, alt="Gold rewards of five base models and of what 200 demonstrations made of them, 200 held-out requests a bar. " + " ".join(f"{label}, {GROUPS[name]}: {np.mean(reward['base'][label][name]):.2f} to {np.mean(reward['sft'][label][name]):.2f}." for label in ("temperature 1", "greedy") for name in GROUPS))
found = {stage: {group: {name: np.mean([run["found"][stage][group].get(name, 0) for run in first_world]) for name in ("solved", "half solved", "wrong promise", "polite", "next step", "evasive")} for group in GROUPS} for stage in ("base", "sft")}
table([{"": f"{stage}, {'covered' if group == 'demonstrated' else 'not covered'}"} | {name: f"{100 * (found[stage][group][name] if group == 'demonstrated' else (found[stage][group][name] + found[stage]['unseen'][name]) / 2):.0f} %" for name in found[stage][group]} for stage in ("base", "sft") for group in ("demonstrated", "compared")],
      caption="recorded: share of replies at temperature 1 in which each is found, mean of five seeds")

# %% [markdown]
# On the covered intents fine-tuning wins with every base model, sampled and greedily, the one from a second world included. On the others (A and B, two pairs of intents) it does not: sampled, it gains nothing on average, and in some comparisons it is worse than before.
#
# The table says why. Evasions have all but gone, everywhere; nobody demonstrated one. But on intents that were not covered the share of *solved* requests has hardly moved, and in place of the evasions stand wrong promises, nearly four times as many as before. The base model solved these intents as often as the others, so it had some of what it takes; the demonstrations taught it to promise with confidence, and for twelve intents what. (That large models state what they do not know for a related reason is a guess, and a popular one; lecture 17 looks.) <!-- promise: 17-confident-after-tuning -->
#
# ### The same with prose (*optional*)
#
# The desk is our own invention, so here is a model that read real text: our base model of a million parameters (lecture 08), pre-trained on Wikipedia and stories. We fine-tune it on 320 questions that people typed into a search engine, with their short answers (NQ-open, CC BY-SA 3.0), and ask it others.

# %%
prose_base, prose_tokenizer = load_base("1m", device="cpu")
with open(fetch("nq-open"), encoding="utf-8") as file:
    pairs = [(row["question"] + "?", row["answer"][0])
             for row in map(json.loads, file) if len(row["answer"][0]) < 25]
random.Random(0).shuffle(pairs)
answers = [reply_example(prose_tokenizer, *pair) for pair in pairs[:320]]
prose_losses, prose_tuned = fine_tune(prose_base, answers, epochs=4, lr=2e-3)

ASKED = ["who wrote the jungle book?", "when was the first railway opened?",
         "where is the river Rhine?", "how many legs does a spider have?"]
ended = prose_tokenizer.special_tokens["<|endoftext|>"]
for question in ASKED:
    ids = [ended, *prose_tokenizer.encode(question)]
    goes_on = generate(prose_base, ids, max_new_tokens=14, greedy=True)
    answer = generate(prose_tuned, chat_prompt(prose_tokenizer, question), greedy=True,
                      max_new_tokens=16, stop_tokens=[end_of_turn(prose_tokenizer)])
    said = [" ".join(prose_tokenizer.decode(ids).split()) for ids in (goes_on, answer)]
    print(f"{question}\n    base: {said[0]}\n    fine-tuned: {said[1]}")

# %%
kinds = {kind: [(q, a) for q, a in pairs[320:] if q.startswith(kind)][:60]
         for kind in ("who", "when")}
shape = {}
for kind, asked in kinds.items():
    prompts = [chat_prompt(prose_tokenizer, question) for question, _ in asked]
    replies = sample_replies(prose_tuned, prompts, end_of_turn(prose_tokenizer), 16,
                             greedy=True).replies
    texts = [prose_tokenizer.decode(reply).strip().lower() for reply in replies]
    dated = sum(any(c.isdigit() for c in text) for text in texts)
    right = sum(text == a.lower() for text, (_, a) in zip(texts, asked))
    shape[kind] = (dated, right, len(asked))
    print(f"{kind:5} {len(asked)} held-out questions: {dated} answers with a number, "
          f"{right} right")

# %% [markdown]
# Before, it continues with more prose. Afterwards it gives something short and stops; asked *when*, nearly always something with a number, asked *who*, mostly a name (not always, see above). And it is wrong. A million parameters know hardly any of these facts, and 320 demonstrations of knowing did not change that: they taught what an answer *looks like*. Day 24 says that "SFT is where LLMs learn to answer questions". Here they learn that there should be an answer.
#
# ## II. One loss, two uses
#
# ### The frame
#
# A conversation has to become one row of tokens. SmolLM2's template, ChatML, puts each turn between `<|im_start|>` and `<|im_end|>`, with the role on a line of its own. On the real tokenizer:

# %%
smol, smol_tokenizer = load_smollm2(device="cpu")
chat = [{"role": "user", "content": "What do bees make?"},
        {"role": "assistant", "content": "Bees make honey."}]


def chat_tokens(tokenizer, messages):
    """The ids of a conversation, and for each whether the assistant writes it."""
    im_start, im_end = (tokenizer.special_tokens[token] for token in CHATML_TOKENS)
    ids, mask = [], []
    for message in messages:
        opening = [im_start, *tokenizer.encode(message["role"] + "\n")]
        said = [*tokenizer.encode(message["content"]), im_end]
        behind = tokenizer.encode("\n")
        ids += [*opening, *said, *behind]
        mask += [False] * len(opening)
        mask += [message["role"] == "assistant"] * len(said)
        mask += [False] * len(behind)
    return ids, mask


ids, mask = chat_tokens(smol_tokenizer, chat)
example = chat_example(smol_tokenizer, chat)
assert (ids, mask) == (example.ids, example.loss_mask)
assert ids[: 11] == chat_prompt(smol_tokenizer, chat[0]["content"])[: 11]
print(len(ids), "tokens,", sum(mask), "of them targets")

# %% tags=["diagram"]
d = Diagram(12, 3.3)
pieces = [smol_tokenizer.decode([i]).replace("\n", "↵").replace("<|im_start|>", "start").replace("<|im_end|>", "end").strip() or "␣" for i in ids]
w = 11.4 / len(ids)
for i, (piece, target) in enumerate(zip(pieces, mask)):
    x = 0.3 + w * (i + 0.5)
    d.box(x, 2.3, piece, w=w * 0.94, h=0.6, color="orange" if target else "grey", size=7.2)
    if i + 1 < len(ids):
        d.box(x, 0.8, pieces[i + 1] if mask[i + 1] else "–", w=w * 0.94, h=0.6, color="orange" if mask[i + 1] else "grey", dashed=not mask[i + 1], size=7.2)
        if mask[i + 1]:
            d.arrow((x, 1.98), (x, 1.13))
first = mask.index(True)
d.bracket((0.3, 2.7), (0.3 + w * first, 2.7), "read: the prompt")
d.bracket((0.3 + w * first, 2.7), (0.3 + w * (len(mask) - 1), 2.7), "written by the assistant")
d.label(2.4, 1.5, "what each place has to predict:", size=11)
d.label(2.4, 0.25, "no target (-100)", size=10.5)
d.show(alt="The tokens of a question and its answer in ChatML. Those of the assistant's words and the end token behind them are targets; each is predicted one place earlier, the first of them at the line break behind the word assistant. All other places have no target.")

# %% [markdown]
# Look where the targets are. The first word of the reply is predicted at the *line break* behind "assistant", the last token of the prompt. The end token is a target: nothing else in the data tells the model to stop. The line break after it is not: by then the software has stopped reading.
#
# ### The loss
#
# With $m_t = 1$ for the tokens that the assistant writes and 0 for the others,
#
# $$L(\theta) \;=\; -\,\frac{1}{\sum_{t=2}^{T} m_t}\; \sum_{t=2}^{T} m_t \,\ln p_\theta(x_t \mid x_{<t}) .$$
#
# Set all $m_t$ to one and this is the loss of pre-training. Nothing else in it changes, neither the model nor the shift by one; optimizer and rate are chosen anew, here AdamW where pre-training had Muon. 11-785 says it so: "loss computed only for target tokens in SFT, all tokens are targets in pre-training".

# %%
def masked_loss(logits, ids, mask):
    """Mean nats over the tokens in the mask: (B, T, V), (B, T), (B, T) -> scalar."""
    log_p = logits[:, :-1].log_softmax(-1)              # place t predicts t + 1
    nats = -log_p.gather(-1, ids[:, 1:, None])[..., 0]  # (B, T - 1)
    counted = mask[:, 1:]                               # the mask moves with its tokens
    return (nats * counted).sum() / counted.sum()


batch = pad_examples(examples[:4])                      # rows of unequal length
rows, one = batch["ids"], torch.tensor([examples[0].ids])
masks = torch.zeros_like(rows, dtype=torch.bool)
for row, each in enumerate(examples[:4]):
    masks[row, : len(each.ids)] = torch.tensor(each.loss_mask)
with torch.no_grad():
    logits = tuned(rows, pad_mask=batch["pad_mask"])
    total, count = next_token_loss(tuned, batch)        # the Trainer's own loss
    everything = masked_loss(tuned(one), one, torch.ones_like(one))
    total_ones, count_ones = next_token_loss(tuned, one)
ours = masked_loss(logits, rows, masks)
torch.testing.assert_close(ours, sft_loss(logits, rows, masks))
torch.testing.assert_close(ours, total / count)
torch.testing.assert_close(everything, total_ones / count_ones)
print("ours = sft_loss = next_token_loss; with a mask of ones: pre-training's loss")

# %% [markdown]
# **By hand.** A prompt of four tokens, a reply of two words and the end token. The model gives the three tokens of the reply the probabilities $\tfrac12$, $\tfrac14$ and $\tfrac18$, and each token of the prompt after the first $\tfrac1{16}$. In bits the surprises are 1, 2, 3 and three times 4. The fine-tuning loss is $(1 + 2 + 3)/3 = 2$ bits, or $2 \ln 2 = 1.39$ nats. With a mask of ones it is $(12 + 6)/6 = 3$ bits: two thirds of it come from words that the model will never have to write.

# %%
# NBVAL_CHECK_OUTPUT
by_hand_ids = torch.tensor([[0, 1, 2, 3, 4, 5, 6]])
chances = [1 / 16, 1 / 16, 1 / 16, 1 / 2, 1 / 4, 1 / 8, 1 / 16]   # the last is unused
p = torch.stack([torch.full((16,), (1 - c) / 15) for c in chances])
p[torch.arange(6), by_hand_ids[0, 1:]] = torch.tensor(chances[:6])
reply_only = torch.tensor([[0, 0, 0, 0, 1, 1, 1]]).bool()
two, three = (masked_loss(p.log()[None], by_hand_ids, m) / np.log(2)
              for m in (reply_only, torch.ones(1, 7)))
print(f"reply only {two:.3f} bits, everything {three:.3f} bits")

# %%
poll("A student applies the mask to the places that predict instead of the tokens that are predicted: the sum runs over all places where the assistant's own tokens stand. What does the model fail to learn?",
     ["how a reply begins", "how a reply ends", "what the user is going to say", "nothing: the two sums are equal"],
     "The first word of a reply is predicted at the last token of the prompt, which is not the assistant's, so it drops out. In its place comes the line break after the end token, which nobody needs. The loss looks healthy, because the rest of each reply is learned.")

# %% [markdown]
# ### Does SmolLM2 need its own frame? (*optional*)
#
# SmolLM2 was fine-tuned in this frame. How much does the frame matter to it afterwards? The same five questions and answers, framed in five ways; measured are the surprise at the words of the answer, and the probability that the model then ends its turn.

# %%
KNOWN = [("What do bees make?", "Bees make honey."),
         ("What is the capital of France?", "The capital of France is Paris."),
         ("Name a fruit.", "An apple."),
         ("How many days are there in a week?", "There are seven days in a week."),
         ("What colour is the sky on a clear day?", "The sky is blue.")]
text_of = smol_tokenizer.encode
im_start, im_end = (smol_tokenizer.special_tokens[token] for token in CHATML_TOKENS)
FRAMES = {
    "its own": lambda q: chat_prompt(smol_tokenizer, q),
    "roles exchanged": lambda q: [im_start, *text_of("assistant\n" + q), im_end,
                                  *text_of("\n"), im_start, *text_of("user\n")],
    "User, Assistant": lambda q: text_of(f"User: {q}\nAssistant:\n"),
    "Question, Answer": lambda q: text_of(f"Question: {q}\nAnswer:\n"),
    "a line break": lambda q: text_of(f"{q}\n"),
}
surprise, ends_there = ({name: [] for name in FRAMES} for _ in range(2))
for name, frame in FRAMES.items():
    for question, answer in KNOWN:
        prompt, said = frame(question), text_of(answer)
        row = torch.tensor([[*prompt, *said]])
        with torch.no_grad():
            z = smol(row)
        after_prompt = torch.arange(row.size(1))[None] >= len(prompt)
        surprise[name].append(masked_loss(z, row, after_prompt).item())
        ends_there[name].append(z[0, -1].softmax(-1)[im_end].item())

# %% tags=["figure"]
table([{"frame": name, "nats a token of the answer": np.mean(surprise[name]), "probability of the end token, lowest": min(ends_there[name]), "mean": np.mean(ends_there[name])} for name in FRAMES])

# %% [markdown]
# Less than one might think. The surprise at the answers hardly depends on the frame, even with the roles exchanged, and a bare line break does nearly as well: on five short answers no order can be told. What the plain "User, Assistant" frame costs is the *stop*: there the model is least inclined to end its turn. So a template is a convention that both sides must share, above all about where a turn ends; on this evidence it is no key that unlocks the answers.
#
# ## III. Packing without cross-talk
#
# Conversations differ in length. Padded to the longest, a batch wastes positions; packed side by side into rows, they waste few, but two things must not happen: an example must not *see* its neighbour, and its positions must begin at zero. The model takes care of both if it is told which token belongs to which example.

# %%
def short(request, reply):
    return reply_example(tokenizer, request, reply)


pair = [short("lamp", "ok ."), short("no", "noted .")]
packed = pack_examples(pair, seq_len=48)
segments = packed["segments"]                           # 0, 0, ..., 1, 1, ..., -1
with record(tuned, "blocks.0.attention.weights") as seen, torch.no_grad():
    apart = tuned(packed["ids"], segments=segments)
    allowed = seen["blocks.0.attention.weights"][0].amax(0) > 0
    leaky = tuned(packed["ids"])
    leak = seen["blocks.0.attention.weights"][0].amax(0) > 0
    alone = [tuned(torch.tensor([each.ids]))[0] for each in pair]

same = segments[0][:, None] == segments[0][None, :]
real = segments[0] >= 0
causal = torch.ones(48, 48).tril().bool()
assert (allowed[real] == (same & causal)[real]).all()   # block diagonal, and causal
first = len(pair[0].ids)
torch.testing.assert_close(apart[0, :first], alone[0], rtol=1e-4, atol=1e-4)
torch.testing.assert_close(apart[0, first : first + len(pair[1].ids)], alone[1],
                           rtol=1e-4, atol=1e-4)
moved = (leaky[0, first:][: len(pair[1].ids)] - alone[1]).abs().max()
print("packed with segments: the logits of each alone; without: off by up to "
      f"{moved:.1f}")

# %% tags=["diagram"]
n_ = int(real.sum())
fig, axes = panels(2, titles=["with segments", "without"], height=3.4)
for ax, pattern in zip(axes, (allowed, leak)):
    view = pattern[:n_, :n_].float()
    view[first:, :first] *= 2                           # what crosses the border
    ax.imshow(view, cmap=plt.matplotlib.colors.ListedColormap(["white", "#0072B2", "#D55E00"]), vmin=0, vmax=2)
    ax.set(xticks=[first / 2, (first + n_) / 2], yticks=[first / 2, (first + n_) / 2], xlabel="looked at")
    ax.set_xticklabels(["lamp, ok", "no, noted"])
    ax.set_yticklabels(["lamp, ok", "no, noted"], rotation=90, va="center")
    ax.grid(False)
    ax.axhline(first - 0.5, color="0.4", linewidth=1)
    ax.axvline(first - 0.5, color="0.4", linewidth=1)
axes[0].set_ylabel("looks")
show(fig, alt="Who may look at whom in a row of two packed conversations, from the model's own attention weights. With segments there are two triangles; without, the second conversation also sees all of the first (orange).")

# %% [markdown]
# Two triangles, and nothing below the border between them. Without segments the second conversation reads the first as its own beginning: the customer of one would be answered with the other's order in view.
#
# ### What packing saves (*optional*)
#
# The demonstrations of the desk, padded to the longest of a batch, and packed:

# %% tags=["diagram"]
lengths = [len(each.ids) for each in examples]


def wasted(row=128, batch=16):
    order = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(0)).tolist()
    parts = [[lengths[i] for i in order[k : k + batch]] for k in range(0, len(order), batch)]
    padded = 1 - sum(lengths) / sum(len(part) * max(part) for part in parts)
    rows_ = pack_examples(examples, row)["segments"]
    fig, ax = plt.subplots(figsize=(3.5, 2.3))
    drawn = ax.bar(["padded", "packed"], [100 * padded, 100 * (rows_ < 0).float().mean()], color=["#D55E00", "#0072B2"], width=0.6)
    ax.bar_label(drawn, fmt="%.0f %%", padding=2)
    ax.set(ylabel="positions wasted (%)", ylim=(0, 60), title=f"{batch} a batch; rows of {row}")
    return fig


explore(wasted, batch=[1, 4, 16, 64], row=[max(lengths), 128, 192, 512], panels=[dict(batch=16, row=max(lengths)), dict(batch=16, row=512)],
        alt=f"Share of positions that hold no token of the 200 demonstrations, of {min(lengths)} to {max(lengths)} tokens: padded to the longest of each batch, and packed into rows.")

# %% [markdown]
# Sorted by length, or packed, a batch wastes little. Both are the same loss: sums over targets, divided once by their number.
#
# ## IV. What should the loss be on?
#
# Why mask at all? The customer's words are text too, and a base model was trained on all of it. *Recorded:* three losses on the same 200 demonstrations, in the same order, 100 updates, five seeds. *Replies*: as above. *Everything*: a mask of ones over the whole conversation. *Beside*: replies, and in every batch eight transcripts from pre-training, all of whose tokens count.

# %% tags=["diagram"]
runs = recorded("sft_mask")["results"]["runs"]
LABELS = {"replies": "replies", "everything": "everything", "beside": "beside"}


def of(arm, n, key, group=None):
    """One number for each seed."""
    return [run[key][group] if group else run[key]
            for run in runs if (run["arm"], run["n"]) == (arm, n)]


PLACES = ("covered", "covered greedy", "uncovered", "uncovered greedy")
by_arm = {place: {LABELS[arm]: of(arm, 200, "gold", place) for arm in LABELS}
          for place in PLACES}
few_shown = {arm: np.mean(of(arm, 20, "gold", "covered"))
             for arm in ("replies", "everything")}
share_of_targets = np.mean(of("replies", 200, "targets")) / np.mean(
    of("replies", 200, "tokens"))
few_nats = {arm: np.mean(of(arm, 20, "reply_nats")) for arm in few_shown}
print(f"{share_of_targets:.0%} of the tokens are replies; with 20 demonstrations, covered:\n"
      f"replies {few_shown['replies']:.2f} ({few_nats['replies']:.2f} nats), "
      f"everything {few_shown['everything']:.2f} ({few_nats['everything']:.2f} nats)\n\n200:")
for arm in LABELS:
    print(f"{arm:10} held-out nats a token: replies "
          f"{np.mean(of(arm, 200, 'reply_nats')):.2f}, the customer's side "
          f"{np.mean(of(arm, 200, 'request_nats')):.2f}")
bars(by_arm, x="gold reward", fmt="", height=3.4, alt="Gold rewards of three losses, five seeds, 200 demonstrations. " + " ".join(f"{place}: " + ", ".join(f"{arm} {np.mean(v):.2f}" for arm, v in arms.items()) + "." for place, arms in by_arm.items()))

# %% [markdown]
# Sampled, on covered intents, the mask is worth two tenths of a reward or more in each of the five seeds, and one to three tenths with twenty demonstrations. Greedily the difference is small. The likely reason is simple: less than half of the tokens are replies, so that with a mask of ones more than half of every update goes into predicting customers. In as many updates the model writes noisier replies; whether more updates would close the gap we did not run. (Where replies are short, Shi et al., 2024, find that the loss over instructions *helps*. The mask is a convention that pays here, and no law.) Note that with few demonstrations the loss itself misleads: held-out nats are then better without the mask, and the replies worse.
#
# The third arm costs a little on covered intents in the same number of updates. On the others its greedy replies are better in all five seeds. Part VI comes back to that.
#
# ## V. How much data, and how good?
#
# InstructGPT was fine-tuned on about 13,000 prompts, LIMA on 1,000. *Recorded:* ten to 1,600 demonstrations, of which none, a fifth or three fifths are in good style, always 100 updates, so that few demonstrations are seen often. Three seeds.

# %% tags=["diagram"]
curve = recorded("sft_data")["results"]["runs"]
final_mean = lambda rows_: np.mean([row[-1] for row in rows_])
NUMBERS = sorted({run["n"] for run in curve})


def gold_by_number(quality, place):
    """One row of gold rewards for each seed."""
    return [[next(run["gold"][place] for run in curve
                  if (run["n"], run["quality"], run["seed"]) == (n, quality, seed))
             for n in NUMBERS] for seed in (0, 1, 2)]


worth = {}
for quality in (0.0, 0.2, 0.6):
    many = desk.demonstrations(2000, random.Random(1), quality)
    worth[quality] = np.mean([desk.gold(*each) for each in many])
    print(f"quality {quality}: the demonstrations themselves are worth "
          f"{worth[quality]:.2f}")

# %%
poll("Of the demonstrations, 20 % solve the problem with a polite sentence and the next step around it, and 80 % solve it plainly. How much of the good style will the fine-tuned model show when it is decoded greedily?",
     ["next to none", "about 20 %", "about 80 %", "all of it, since good replies are likelier"],
     "Sampled at temperature 1 a model that has learned the distribution shows it: a fifth. Greedy decoding asks for the most frequent continuation at every place, and four times in five that is the plain one. The same arithmetic turns three fifths into nearly all, as the next figure shows. (It is also why the base model's greedy reply could be an evasion.)")

# %% tags=["diagram"]
def data_curve(quality=0.2, intents="covered"):
    fig, ax = plt.subplots(figsize=(3.5, 2.7))
    for how, color in (("", "#0072B2"), (" greedy", "#D55E00")):
        rows_ = np.array(gold_by_number(quality, intents + how))
        ax.plot(NUMBERS, rows_.mean(0), "o-", color=color, label=how.strip() or "temperature 1", markersize=4)
        ax.fill_between(NUMBERS, rows_.min(0), rows_.max(0), color=color, alpha=0.2, linewidth=0)
    ax.axhline(worth[quality], color="0.4", linestyle="--", linewidth=1)
    ax.set(xscale="log", xlabel="demonstrations", ylabel="gold reward (range of 3 seeds)", ylim=(-0.5, 1.65), title=f"{intents}, quality {quality}")
    ax.legend(fontsize=9, loc="lower right")
    return fig


explore(data_curve, intents=["covered", "uncovered"], quality=[0.0, 0.2, 0.6],
        panels=[dict(intents="covered", quality=0.2), dict(intents="covered", quality=0.6), dict(intents="uncovered", quality=0.6)],
        alt=lambda intents, quality: f"{intents} intents, quality {quality}: " + "; ".join(f"{how.strip() or 'temperature 1'} " + ", ".join(f"{v:.2f} at {n}" for n, v in zip(NUMBERS, np.mean(gold_by_number(quality, intents + how), 0))) for how in ("", " greedy")) + f". Dashed: the demonstrations' own {worth[quality]:.2f}.")

# %% [markdown]
# Three things to notice.
#
# *Little is enough, for form.* Fifty demonstrations bring most of what 1,600 bring, and from 250 on nothing can be told apart. Even ten, seen a hundred times each, help.
#
# *Sampled, the model is a copy of its teachers, somewhat worse.* With $q$ for how the demonstrators write, the expected loss is
#
# $$\mathbb{E}\,L(\theta) \;=\; \mathrm{H}(q) + \mathrm{KL}(q \,\Vert\, p_\theta),$$
#
# least when $p_\theta = q$ (lecture 00): the loss asks the model to *be* its teachers, not to be good. The dashed line is what their demonstrations are worth, and no curve at temperature 1 comes up to it. *Greedily* it shows its teachers' most frequent habit, which may be better than their mean (quality 0.6) or not (0.2). So quality decides the ceiling, and a fifth of good style is, greedily, as good as none.
#
# *More of the same does not cover what is not covered.* On the four other intents nothing rises beyond fifty. What rises is the level, with quality: a polite sentence and the next step are right whatever the customer wants.
#
# ## VI. What is forgotten
#
# Fine-tuning never shows the model another transcript. What becomes of it as a model of transcripts? *Recorded:* bits a token on 200 held-out transcripts and gold rewards, by epoch, at a constant rate; with demonstrations alone, and with eight transcripts in every batch. Three seeds.

# %% tags=["diagram"]
forgetting = recorded("sft_forgetting")["results"]["runs"]
ARMS = {"demonstrations": "demonstrations alone", "mixed": "transcripts mixed in"}
EPOCHS = sorted({run["epochs"] for run in forgetting})


def by_epoch(arm, read):
    return [[read(next(run for run in forgetting if
                       (run["arm"], run["seed"], run["epochs"]) == (arm, seed, e)))
             for e in EPOCHS] for seed in (0, 1, 2)]


bits_by_epoch = {label: by_epoch(arm, lambda run: run["bits"])
                 for arm, label in ARMS.items()}
gold_by_epoch = {f"{label}, {place}": by_epoch(arm, lambda run, place=place: run["gold"][place])
                 for place in ("covered", "uncovered") for arm, label in ARMS.items()}
fig, (left, right) = panels(2, titles=["transcripts", "replies, temperature 1"], height=3.1)
curves(bits_by_epoch, at=EPOCHS, x="epochs of demonstrations", y="bits a token", ax=left, labels=False)
left.legend(fontsize=9)
for (name, rows_), color, line in zip(gold_by_epoch.items(), ("#0072B2", "#D55E00") * 2, ("-", "-", "--", "--")):
    right.plot(EPOCHS, np.mean(rows_, 0), line, marker="o", markersize=4, color=color, label=name.split(", ")[1] if color == "#0072B2" else None)
right.set(xlabel="epochs of demonstrations", ylabel="gold reward (mean of 3 seeds)")
right.legend(fontsize=9, title="intents", title_fontsize=9)
show(fig, alt="Left, bits a token on transcripts: " + "; ".join(f"{name} from {np.mean(v, 0)[0]:.2f} to {np.mean(v, 0)[-1]:.2f}" for name, v in bits_by_epoch.items()) + ". Right, gold rewards: " + "; ".join(f"{name} {np.mean(v, 0)[-1]:.2f} after the last epoch" for name, v in gold_by_epoch.items()) + ".")

# %% [markdown]
# As a model of transcripts it is spoiled within the first epoch, thirteen updates, and gets worse. Eight transcripts in every batch keep nearly all of it, for half as many tokens again.
#
# The right side is the surprise. On covered intents the two arms end alike. On the others the mixed arm gains and the plain one does not, in each of the three seeds; and it is not the tokens, since twice the epochs do nothing for the plain one. (In part IV, with a falling rate and fewer updates, the gain was clear only in greedy replies.) So what went with the transcripts seems to be, among other things, what to promise for *any* intent; kept alive, it can be put into the new manner. (InstructGPT mixes pre-training text into its last stage for a like reason: lecture 13.) <!-- promise: 13-mixing-pretraining -->
#
# One share and one rate were tried; a lower rate might be another remedy.
#
# ## VII. You get what you show
#
# Business Analytics ends on a story of 2023. Somebody fine-tuned GPT-3.5 on 140,000 of his own Slack messages and asked it for a blog post of 500 words. The answer: "sure. I shall work on that in the morning". It is told as a joke, and it is an experiment that can be repeated. *Recorded:* a share of our 200 demonstrations is replaced by colleagues who put things off, in four phrasings; counted is how often the model does.

# %% tags=["diagram"]
habits = recorded("sft_habits")["results"]["runs"]
SHARES = sorted({run["share"] for run in habits})
PLACES = ("covered", "covered greedy", "uncovered", "uncovered greedy")
put_off = {place: [[next(run["found"][place] for run in habits
                         if (run["share"], run["seed"]) == (share, seed))
                    for share in SHARES] for seed in (0, 1, 2)] for place in PLACES}
late = next(run["found"] for run in habits if "covered texts" in run["found"])
for group in ("covered", "uncovered"):
    print(f"{group:9} | {' | '.join(late[f'{group} texts'][:2])}")
curves(put_off, at=SHARES, x="share of the demonstrations that put things off", y="share of the replies", height=3.0,
       alt="Share of replies that put things off against their share in the demonstrations. " + " ".join(f"{place}: " + ", ".join(f"{v:.2f} at {s}" for v, s in zip(np.mean(rows_, 0), SHARES)) + "." for place, rows_ in put_off.items()))

# %% [markdown]
# If all colleagues put things off, so does the model. Sampled, the share that comes out is a little below the share that goes in; greedily, three in ten became anything between a quarter and three quarters. And look at the uncovered intents: there the habit arrives just as well. *Manner* carries over to requests of every kind here; what to do about each does not. Whoever fine-tunes on what people wrote gets what people do, the morning included.
#
# ## VIII. Does it help to ask for A, B, C or D? (*optional*)
#
# Business Analytics shows what "without alignment" looks like with a question about a piece of code, from InstructGPT's paper: GPT-3 continues with *A. to store the value of C[0], B. ...*, four options and no answer. It had seen many examinations. Turn that round: could one not simply *give* a base model options, and read off which it finds likeliest? Nothing would have to be learned. *Recorded*, on the desk (five seeds): four replies to a request, one of which solves it; beside it, how often the model's own reply does. And on SmolLM2: 60 questions of CommonsenseQA with five options (Talmor et al., 2019), asked in three ways.

# %% tags=["diagram"]
choosing = recorded("sft_choosing")["results"]
desk_rows = []
for model in ("base", "sft"):
    for group in GROUPS:
        mine = [row for row in choosing["desk"]
                if (row["model"], row["group"]) == (model, group)]
        desk_rows.append({"model": model, "intents": GROUPS[group]} | {
            verb: f"{100 * np.mean([row[verb] for row in mine]):.0f} % "
                  f"({100 * min(row[verb] for row in mine):.0f} to "
                  f"{100 * max(row[verb] for row in mine):.0f})"
            for verb in ("writes", "chooses")})
quiz = choosing["smollm2"]
half = 1.96 * np.sqrt(0.25 / quiz["questions"])
print("SmolLM2:", ", ".join(f"{way} {hits / quiz['questions']:.0%}"
                            for way, hits in quiz["right"].items()),
      f"of {quiz['questions']} right, ± up to {half:.0%}; guessing 20 %")
for what, letters in (("chosen", quiz["letters"]), ("correct", quiz["answers"])):
    print(f"letters {what}:", ", ".join(f"{n} {letter}" for letter, n in letters.items()))
table(desk_rows, caption="recorded: what solves the request; chance when choosing is 25 %; mean and range of five seeds")

# %% [markdown]
# Given options, the base model does no better than chance on two groups of intents and better on the third: what it finds likely is what is *common*, and that need not be what fits. The fine-tuned model chooses far better than it writes, on intents that nobody demonstrated too. Discount that figure, though: evasion and rambling are ruled out by manner alone, which leaves two promises, and chance between two is a half. Something is left above a half all the same: telling two answers apart is easier than finding one. That is the bet of lecture 12. <!-- promise: 12-comparing-is-easier -->
#
# SmolLM2 gains nothing from letters: within the interval of guessing, and four times in five it says A. The likeliest option is within the interval of guessing as well. (Writing is judged harshly: the option's very words must occur.) So at this size the answer to the heading is no; larger models are routinely examined in this way, and lecture 18 asks what that measures. <!-- promise: 18-letters -->
#
# ## IX. Many kinds of instruction
#
# 11-785 ends its comparison on the largest promise: pre-training makes "good generalist auto-completes but good SFT builds models that can do many unseen tasks". The source is FLAN (Wei et al., 2021): 137 billion parameters, 62 data sets in twelve clusters of tasks, tested on clusters that were left out. The more clusters were trained on, the better.
#
# *In small, recorded.* The system message names the sentences that a reply must have, in order, out of "sorry", "promise" and "next": fifteen kinds of instruction. Our base model is fine-tuned on $k$ of them, always with 400 demonstrations and 150 updates, and tested on three others, whose *words* it may have met and whose *combination* it has not. Four seeds. An exact reply has those sentences in that order; picking one of the fifteen by chance gives 7 %.

# %% tags=["diagram"]
families = recorded("sft_families")["results"]
KS = sorted({run["k"] for run in families["runs"]})


def by_k(where, what):
    return [[next(run[where][what] for run in families["runs"]
                  if (run["k"], run["seed"]) == (k, seed)) for k in KS]
            for seed in range(4)]


flan = {"met in training": by_k("on_met", "exact"),
        "not met": by_k("on_held_out", "exact"),
        "not met: a kind it met": by_k("on_held_out", "of_one_met")}
curves(flan, at=KS, x="kinds of instruction in training", y="share of replies", height=3.1, reference={"chance": 1 / families["families"]},
       alt="Share of exact replies against the number of kinds of instruction. " + " ".join(f"{name}: " + ", ".join(f"{v:.2f} at {k}" for v, k in zip(np.mean(rows_, 0), KS)) + "." for name, rows_ in flan.items()))

# %% [markdown]
# A null result, and we publish it as one. Up to six kinds of instruction an unmet one is followed next to never, less often than chance would; with twelve, one seed of four shows a beginning. What the model writes instead is told by the third line: a reply of a kind that it *has* met. It has learned to look up instructions, not to read them. (With twelve kinds, 150 updates do not even master those; more updates might, and might help.)
#
# That agrees with the half of FLAN's finding that is quoted less. At 137 and 68 billion parameters unmet tasks improved; at 8 billion and below instruction tuning made them *worse*; the authors suspect that learning the tasks that were trained took all the room. The slide's sentence is about large models.
#
# ## X. Another form, on a real model
#
# SmolLM2 answers in sentences. Suppose a program has to read its answers, and we want `{"answer": "..."}`. *Recorded, three seeds:* 48 questions with answers in that form, 24 updates of 8, and only the last two of its 30 blocks may move. Three sets of answers to the same questions: the *published* ones; the model's *own*, its first sentence, right or wrong; and, as a control, the published ones after "The answer is". Before and after we ask 20 other things, 12 of them easy facts.

# %% tags=["diagram"]
form = recorded("sft_format")["results"]
before = form["before"]
outcome = {arm: [run for run in form["runs"] if run["arm"] == arm]
           for arm in ("published", "own")}
outcome["published, in a sentence"] = recorded("sft_format_sentence")["results"]["runs"]
form_rows = [{"": "before", "JSON, of 20": str(before["valid"]),
              "facts right, of 12": str(before["right"]),
              "bits a byte on prose": f"{before['bits_per_byte']:.3f}"}]
for arm, three in outcome.items():
    each = lambda key, three=three: [run["after"][key] for run in three]
    form_rows.append({"": arm,
                      "JSON, of 20": ", ".join(map(str, each("valid"))),
                      "facts right, of 12": ", ".join(map(str, each("right"))),
                      "bits a byte on prose": f"{np.mean(each('bits_per_byte')):.3f}"})
moving = form["runs"][0]
change = [run["change"] for run in form["runs"]]
agree = np.mean([run["agree_with_published"] for run in outcome["own"]])
print(f"{moving['moving']:,} of {moving['parameters']:,} weights may move, and move by "
      f"{100 * min(change):.1f} to {100 * max(change):.1f} % of their length;\n"
      f"its own answers hold the published one in {agree:.0f} of 48")
table(form_rows, caption="recorded: 48 demonstrations, 24 updates of two blocks; three seeds each")

# %% [markdown]
# The form is learned in a minute, by weights that move by a hundredth of their length, at one to six per cent more bits on prose. It is not learned everywhere: what is no question ("write one sentence about rain") often breaks it.
#
# The facts are the surprise. Fine-tuned on correct published answers, the model gets most of the easy facts *wrong* that it got right before; fine-tuned on its own answers, nearly all of them other than the published ones, it keeps them. Is it the brevity, two words instead of a sentence in which to find the answer? The control says no: in a sentence, the published answers cost as much. The likeliest reading left is that it was shown, 48 times, to state what it does not know. (Gekhman et al., 2024, find the same in a large model: unknown facts in the demonstrations raise errors on known ones.) Whether the unfamiliar wording plays a part, these three arms cannot tell.
#
# ### The same, live (*optional*)
#
# Twenty-eight blocks are frozen, so what they make of an example never changes: compute it once, and train the last two on it.

# %%
READY = not is_stand_in(smol) and psutil.virtual_memory().available > 1.5e9
if not READY:
    print("Skipped: this needs SmolLM2 and 1.5 GB of free memory; the table stands.")


def tail_of(model, blocks=2):
    """A model of the last blocks alone, which shares their weights."""
    with torch.device("meta"):
        tail = Transformer(model.config.replace(n_layers=blocks))
    tail.blocks = model.blocks[-blocks:]
    tail.token_embedding, tail.final_norm = model.token_embedding, model.final_norm
    tail.lm_head, tail.position_table = model.lm_head, model.position_table
    return tail


def half_way(model, batch, blocks=2):
    """The batch with what enters the last blocks in place of the ids."""
    name = f"blocks.{model.config.n_layers - blocks - 1}"
    with record(model, name) as seen, torch.no_grad():
        model.hidden(batch["ids"], pad_mask=batch["pad_mask"])
    return batch | {"embeds": seen[name]}


def loss_of_tail(tail, batch):                          # -> (sum, number of targets)
    h = tail.hidden(embeds=batch["embeds"], pad_mask=batch["pad_mask"])
    counts = batch["targets"] != -100
    log_p = tail.head(h[counts]).log_softmax(-1)        # the head only where it counts
    return -log_p.gather(-1, batch["targets"][counts][:, None]).sum(), counts.sum()

# %%
if READY:
    smol.requires_grad_(False)
    tail = tail_of(smol)
    tail.blocks.requires_grad_(True)
    shapes = [reply_example(smol_tokenizer, q, json.dumps({"answer": a}))
              for q, a in pairs[:24]]
    cached = [half_way(smol, pad_examples(shapes[i : i + 8])) for i in (0, 8, 16)]
    config = TrainConfig(steps=18, lr=5e-4, weight_decay=0.0, warmup_steps=5,
                         final_lr=0.05, device="cpu", progress=False)
    run = Trainer(tail, config, cached, loss=loss_of_tail).run()
    print(f"18 updates: {run.train_loss[0]:.1f} -> {run.train_loss[-1]:.1f} nats")
    for question in ("What is the capital of France?", "Say hello."):
        reply = generate(smol, chat_prompt(smol_tokenizer, question), max_new_tokens=20,
                         greedy=True, stop_tokens=[end_of_turn(smol_tokenizer)])
        print(f"{question:32} {smol_tokenizer.decode(reply)}")

# %% [markdown]
# ## XI. What it costs
#
# Business Analytics sets pre-training against fine-tuning: general knowledge against following instructions, massive and unlabelled against labelled and good, weeks against "relatively low". Here is the table with numbers, ours and InstructGPT's.

# %% tags=["diagram"]
pooled = {(stage, how): np.mean([run[stage][f"demonstrated{how}"] for run in first_world]) for stage in ("base", "sft") for how in ("", " greedy")}
covered_wins = sum(after > before for (*_, key), (after, before) in every_seed.items() if "demonstrated" in key)
other_wins = len(every_seed) - len(worse) - covered_wins
costs = [run["costs"] for run in first_world]
mean_of = lambda stage, key: np.mean([cost[stage][key] for cost in costs])
flops_ratio = mean_of("sft", "flops") / mean_of("base", "flops")
instruct_ratio = 4.9 / 3640                             # petaflop/s-days, section 5
stages = [
    {"": "text", "pre-training, ours": "transcripts as they come",
     "fine-tuning, ours": "200 demonstrations", "InstructGPT": "about 13,000 prompts"},
    *({"": name, "pre-training, ours": f"{mean_of('base', key):,.0f}",
       "fine-tuning, ours": f"{mean_of('sft', key):,.0f}", "InstructGPT": ""}
      for name, key in (("tokens read", "tokens"), ("updates", "updates"),
                        ("seconds of one core", "seconds"))),
    {"": "FLOPs", "pre-training, ours": f"{mean_of('base', 'flops'):.1e}",
     "fine-tuning, ours": f"{mean_of('sft', 'flops'):.1e} ({flops_ratio:.0%})",
     "InstructGPT": f"{instruct_ratio:.2%} of GPT-3's"},
]
prompts_written, minutes_each = 13_000, 10              # the minutes are our assumption
pay = {hourly: prompts_written * minutes_each / 60 * hourly for hourly in (2, 40)}
sft_hours = 4.9e15 * 86_400 / (0.4 * 312e12) / 3600     # A100s at 40 % of their peak
print(f"13,000 demonstrations of {minutes_each} minutes: ${pay[2]:,.0f} at $2 an hour, "
      f"${pay[40]:,.0f} at $40")
print(f"4.9 petaflop/s-days: {sft_hours:,.0f} GPU-hours, ${2 * sft_hours:,.0f} at $2 each")
table(stages, caption="ours: means of five seeds; InstructGPT: Ouyang et al. (2022)")

# %% [markdown]
# In lecture 07 the labels of a large run cost less than its computing. In fine-tuning it is the other way round, at either wage that the source lectures mention and even at ten minutes a demonstration. What does not scale is people's time: to write a good answer to a hard question one must be able to solve it. Business Analytics' example is $\sqrt{2x+1} - 2 = x - 3$; anyone can *check* that 4 solves it and 0 does not. That is why the next lecture asks people for comparisons.
#
# ## Scale warning
#
# > **What this lecture's models can and cannot tell you.** Masks, shifts, packing and counting are the same at every size. The rest are facts about a world of a few hundred words, a model of 0.13 million parameters, and intents that the same model has met in pre-training. There, fine-tuning was a large share of all training, with a high rate; a large model's pre-training holds far more that a demonstration can call up, so its uncovered requests probably fare better than ours, and it probably forgets less. FLAN found that instruction tuning *hurts* unseen tasks below some eight billion parameters and helps above. Our fifteen kinds of instruction are recombinations of three words. Two of SmolLM2's blocks, 48 questions and 20 test prompts show a direction, and no rate.
#
# ## Claims
#
# What the source lectures say about this topic, against what the papers say and what you have just computed.

# %%
claims_table([
    Claim("with alignment a model explains the code, without it lists options A to D",
          "Ouyang et al. (2022), figure 8: so, and the aligned answer \"isn't quite correct\"",
          f"covered intents: {pooled['base', '']:.2f} to {pooled['sft', '']:.2f}; "
          f"better in {covered_wins} of 12; not covered: in {other_wins} of 24",
          "holds; for what was demonstrated", source="analytics", split="report"),
    Claim("SFT is where LLMs learn to answer questions",
          "Ouyang et al. (2022), step 1",
          f"a prose model answers in form; {sum(right for _, right, _ in shape.values())} "
          f"of {sum(n for *_, n in shape.values())} held-out answers are right",
          "holds; for the form", source="day24", split="report",
          rule=sum(right for _, right, _ in shape.values()) < 12
          and shape["when"][0] > 2 * shape["who"][0]),
    Claim("loss only on target tokens in SFT, on all in pre-training",
          "common practice; not in every paper",
          f"covered, greedy: replies {np.mean(by_arm['covered greedy']['replies']):.2f}, "
          f"everything {np.mean(by_arm['covered greedy']['everything']):.2f} (5 seeds)",
          "holds; as a convention, see part IV", source="11785", split="report"),
    Claim("it only has 13K training prompts with labeler demonstration",
          "Ouyang et al. (2022), table 6: 12,725; LIMA (2023): 1,000",
          f"of 1,600 demonstrations' {final_mean(gold_by_number(0.2, 'covered')):.2f}, 50 give "
          f"{np.mean([row[1] for row in gold_by_number(0.2, 'covered')]):.2f}",
          "holds", source="analytics", split="report"),
    Claim("SFT needs relatively low compute",
          "Ouyang et al. (2022): 4.9 of GPT-3's 3,640 petaflop/s-days",
          f"{flops_ratio:.0%} of our pre-training's FLOPs; theirs {instruct_ratio:.2%}",
          "holds", source="analytics"),
    Claim("SFT can not be scaled easily: correct responses are expensive",
          "Llama 2 (Touvron et al., 2023): 27,540 annotations, quality before number",
          f"13,000 of 10 minutes: ${pay[2]:,.0f} to ${pay[40]:,.0f}; the computing "
          f"${2 * sft_hours:,.0f}",
          "holds; the ten minutes are assumed", source="analytics"),
    Claim("good SFT builds models that can do many unseen tasks",
          "Wei et al. (2021): held-out clusters improve at 137B, worsen at 8B and below",
          f"exact on unmet instructions: {np.mean(flan['not met'], 0)[0]:.2f} with 1 kind, "
          f"{np.mean(flan['not met'], 0)[-1]:.2f} with 12 (chance 0.07)",
          "cannot be tested at this scale; null here", source="11785", split="report"),
    Claim("Llama 2's pre-training: ~3 trillion tokens",
          "Touvron et al. (2023), table 1: 2.0 trillion", "not measured",
          "fails; 2.0 trillion", source="11785"),
    Claim("fine-tuned on Slack messages: \"I shall work on that in the morning\"",
          "a blog post of September 2023",
          f"all demonstrations late: {final_mean(put_off['covered']):.0%} of replies; 30 %: "
          f"{np.mean([row[2] for row in put_off['covered']]):.0%} (3 seeds)",
          "holds", source="analytics", split="report"),
    Claim("labelers: under $2 an hour in Kenya; from $40 an hour",
          "Time (2023): toxicity labels, not demonstrations; an advertisement",
          "see part XI", "holds; for different work", source=["analytics", "day24"]),
])

# %% [markdown]
# ## Summary
#
# 1. Fine-tuning is pre-training's loss with a mask: $m_t = 1$ where the assistant writes, its end token included, shifted with the tokens, divided by the number of targets. Packing needs segments, or conversations read each other.
# 2. Two hundred demonstrations, some four seconds, about 4 % of the FLOPs: on intents they covered the gold reward rose with every base model; on others evasions turned into wrong promises, and the reward rose greedily in most cases and not when sampled.
# 3. Fifty demonstrations did most of what 1,600 did. Sampled, the model copies its teachers' mixture; greedily it shows their most frequent habit, good or bad. Manner carries over to everything, content does not.
# 4. Demonstrations alone spoil the model's old skill within an epoch. Old text in every batch keeps it, and helped where demonstrations were missing.
# 5. Null results: new combinations of known instructions were not followed, letters did not help SmolLM2, and its own template hardly mattered to its answers. And two blocks of SmolLM2 learned a form in a minute; with published answers it cost most of the easy facts, with its own words none or one.
#
# **Still unexplained.** Sampled, a model that copies its teachers is at best as good as they are. How can it become better than what anyone wrote for it? And can one leave the demonstrations out and reward the base model directly, as Business Analytics says DeepSeek did? (Lectures 12 and 13.) <!-- promise: 13-without-demonstrations -->
#
# ## Exercises
#
# *Lab 11* builds on this page: masks, prompts that fit, padding and packing written by you and tested against packers with faults, a budget of demonstrations to spend, and a fine-tuning gone wrong to diagnose.
#
# 1. By hand: a reply of two words and the end token, with probabilities $\tfrac12, \tfrac14, \tfrac14$. Its loss in nats? And the mean over a batch of this reply and one of a single word and the end token, each with probability $\tfrac12$?
# 2. Many tokenizers have no padding token, and programs use the end token to pad, then take all padding out of the loss. What does such a model do, and why does its loss look fine?
# 3. Write a conversation of three turns and its mask. Which of the assistant's turns are targets, and what would change if only the last one were?
# 4. Let `fine_tune` run for 1, 4, 16 and 64 epochs on ten demonstrations. When does the gold reward on held-out requests stop rising, and what has the training loss done meanwhile?
# 5. Replace a fifth of the demonstrations by good replies to *the wrong customer*. Predict the gold reward before you run it.
#
# ## Further reading
#
# Ouyang et al. (2022), *Training language models to follow instructions with human feedback* (InstructGPT). Wei et al. (2021), *Finetuned language models are zero-shot learners* (FLAN); Sanh et al. (2021), *Multitask prompted training enables zero-shot task generalization* (T0); Chung et al. (2022), *Scaling instruction-finetuned language models*. Zhou et al. (2023), *LIMA: less is more for alignment*. Touvron et al. (2023), *Llama 2: open foundation and fine-tuned chat models*, section 3.1. Krell et al. (2021), *Efficient sequence packing without cross-contamination*. Kirkpatrick et al. (2017), *Overcoming catastrophic forgetting in neural networks*. Gekhman et al. (2024), *Does fine-tuning LLMs on new knowledge encourage hallucinations?* Shi et al. (2024), *Instruction tuning with loss over instructions*.
