# %% [markdown]
# # 05 · Encoders, decoders and in between
#
# **The question of this lecture.** GPT may look only to the left. BERT looks both ways, T5 does some of each. *Are these three kinds of machine, or one machine with three masks; and which of them should one build?*
#
# 11-785 shows the attention patterns, names a pre-training objective for each family, and ends on a table in which the decoder wins. Here the patterns are drawn from the masks that our code uses, the objectives are written in a few lines each and undone again, and the table is read with a ruler.
#
# **Afterwards you can**
# - draw who sees whom in an encoder, a causal decoder, a prefix decoder and an encoder-decoder, and prove it by gradient;
# - write masked language modelling, span corruption and prefix language modelling, and say how many targets a window pays for each;
# - write cross-attention, and say what it costs in parameters and time;
# - turn a BERT into sentence vectors, and say what averaging loses;
# - tell what a table of benchmark averages shows when its baseline is in it.
#
# **Before this:** lectures 03 and 04.
#
# **Time:** core 75 minutes, optional 33 minutes; one class. All cells together: under a minute of computing on a laptop CPU. What took longer was run once and is marked *recorded*.
#
# <!-- sources: 11785, analytics, day24, hlt -->

# %%
import random
import re
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from courseware import (Claim, Diagram, attention_map, bars, claims_table, explore,
                        heat_map, panels, poll, setup_style, show, table)
from llmlib.data import (IGNORE, corrupt_spans, mask_tokens, parallel_sentences,
                         phoneme_errors, pronunciations, recorded, restore_spans,
                         split_prefix, unmask_tokens)
from llmlib.hub import embed_texts, load_minilm
from llmlib.infer import generate_from, wilson_interval
from llmlib.model import (Attention, AttentionContext, Decoder, EncoderDecoder,
                          EncoderDecoderConfig, ModelConfig, Transformer, causal_mask,
                          intervene, parameter_table, pool_hidden, prefix_mask,
                          preset, record, t5_config)
from llmlib.retrieval import BM25, wikipedia_passages
from llmlib.text import gpt2_tokenizer
from llmlib.train import TrainConfig, Trainer, token_loss

setup_style(compact=True)
torch.manual_seed(0);

# %% [markdown]
# ## I. One core, four masks
#
# Three families, drawn with the same blocks (attention, then an MLP, each around a residual path). Look for what differs.

# %% tags=["diagram"]
d = Diagram(12, 4.3)
for x, name, who in ((1.9, "encoder", "BERT, MiniLM"), (5.2, "decoder", "GPT, Llama"), (9.6, "encoder-decoder", "the first Transformer, T5")):
    d.label(x, 4.05, name, bold=True)
    d.label(x, 3.65, who, size=10.5)
for x, text, color, out in ((1.9, "blocks,\nlook both ways", "blue", "a vector for\nevery token"), (5.2, "blocks,\nlook back", "orange", "the next token,\nat every place")):
    box = d.box(x, 1.7, text, w=2.5, h=1.2, color=color)
    d.arrow((x, 0.65), box)
    d.label(x, 0.4, "text")
    d.arrow(box, (x, 2.75))
    d.label(x, 3.05, out, size=10.5)
left = d.box(8.3, 1.7, "blocks,\nlook both ways", w=2.2, h=1.2, color="blue")
right = d.box(11.0, 1.7, "blocks,\nlook back", w=1.9, h=1.2, color="orange")
d.arrow((8.3, 0.65), left)
d.label(8.3, 0.4, "text to read")
d.arrow((11.0, 0.65), right)
d.label(11.0, 0.4, "text so far")
d.arrow(left, right, color="green")
d.label(9.72, 2.55, "cross-\nattention", size=10, color="green")
d.arrow(right, (11.0, 2.75))
d.label(11.0, 3.05, "the next token", size=10.5)
d.show(alt="Three families from the same blocks. An encoder looks both ways and gives a vector for every token. A decoder looks back and gives the next token at every place. An encoder-decoder has both stacks; the decoder reads the encoder's states by cross-attention.")

# %% [markdown]
# Inside one stack, all that has to differ is the mask $M$ that is added to the scores (lecture 03):
#
# $$A = \mathrm{softmax}\!\left(\frac{QK^\top}{\sqrt{d_h}} + M\right), \qquad M_{ts} = \begin{cases} 0 & \text{if } s \le t \;\text{ or }\; s \le p \\ -\infty & \text{otherwise.}\end{cases}$$
#
# The first $p$ positions, the **prefix**, are seen by everybody. With $p = 1$ this is the causal mask of GPT, with $p = T$ there is no mask and we have BERT; in between stands the **prefix decoder** (11-785: non-causal decoder). From one to the other, one line of code:

# %%
def who_sees_whom(T, p):
    """(T, T) bool, True where the row may look at the column: p = 1 GPT, p = T BERT."""
    row, column = torch.arange(T)[:, None], torch.arange(T)[None, :]
    return (column <= row) | (column < p)


assert torch.equal(who_sees_whom(8, 1), causal_mask(8))
for p in range(1, 9):
    theirs = prefix_mask(torch.tensor([p]), (1, 8))     # (1, 1, T, T)
    assert torch.equal(who_sees_whom(8, p), theirs[0, 0])
reads_all = ModelConfig(9, n_layers=1, d_model=8, n_heads=2, causal=False)
both_ways = AttentionContext.of(reads_all, torch.ones(1, 8, 8))
assert both_ways.mask is None and who_sees_whom(8, 8).all()

# %% tags=["diagram"]
def masked_by(prefix=4):
    fig, ax = plt.subplots(figsize=(2.4, 2.6))
    mask = who_sees_whom(8, prefix)
    heat_map(mask.float(), x="looked at", y="looks", vmin=0, vmax=1.6, ax=ax)
    ax.set_title(f"prefix {prefix}: {int(mask.sum())} pairs", fontsize=11)
    ax.set_aspect("equal")
    return fig


explore(masked_by, prefix=(1, 8, 1), panels=[1, 4, 8],
        alt=lambda prefix: f"Who may look at whom among 8 positions with a prefix of {prefix}: {int(who_sees_whom(8, prefix).sum())} of 64 pairs.")

# %% [markdown]
# **By hand.** A causal mask over $T$ positions allows $T(T+1)/2$ pairs; a prefix of $p$ adds the $p(p-1)/2$ that look forward inside it. For $T = 8$, $p = 4$: $36 + 6 = 42$. An encoder-decoder that reads four tokens and writes four allows $4 \cdot 4$ in its encoder, $4 \cdot 5 / 2 = 10$ in its decoder and $4 \cdot 4$ across: $16 + 10 + 16 = 42$. Is that a coincidence?
#
# ### By gradient
#
# A mask says what *one* layer may look at. What can influence what, through all layers and across stacks, is a question for the gradient: output $t$ depends on input $s$ if the derivative is not zero. We ask four models from the library, with random weights and three layers; four tokens are read, four written.

# %%
config = ModelConfig(9, n_layers=3, d_model=32, n_heads=4, max_seq_len=16)
causal = Decoder(config).eval()
encoder = Transformer(config.replace(causal=False)).eval()
both = EncoderDecoder(EncoderDecoderConfig(config)).eval()
for weights in (w for m in (causal, encoder, both) for w in m.parameters()):
    if weights.dim() == 2:                              # larger than before training,
        torch.nn.init.normal_(weights, std=0.2)         # for a picture that shows them


def read_and_write(x):
    """The encoder-decoder as a function of eight embeddings, the first four read."""
    states = both.encoder.hidden(embeds=x[:, :4])
    return torch.cat([states, both.decoder.hidden(embeds=x[:, 4:], source=states)], 1)


runs = {"causal decoder": lambda x: causal.hidden(embeds=x),
        "prefix decoder": lambda x: causal.hidden(embeds=x, prefix=torch.tensor([4])),
        "encoder": lambda x: encoder.hidden(embeds=x),
        "encoder-decoder": read_and_write}


def influence(run, T=8):
    """(T, T): size of the gradient of output t (row) by input s (column)."""
    x = torch.randn(1, T, 32, requires_grad=True)
    out = run(x) @ torch.randn(32)                      # one number for each position
    rows = [torch.autograd.grad(out[0, t], x, retain_graph=True)[0] for t in range(T)]
    return torch.cat(rows).norm(dim=-1)

# %%
# NBVAL_CHECK_OUTPUT
felt = {name: influence(run) for name, run in runs.items()}
assert torch.equal(felt["causal decoder"] > 0, causal_mask(8))
assert torch.equal(felt["prefix decoder"] > 0, who_sees_whom(8, 4))
assert (felt["encoder"] > 0).all()
print("encoder-decoder = prefix decoder:",
      torch.equal(felt["encoder-decoder"] > 0, felt["prefix decoder"] > 0))

# %% tags=["diagram"]
fig, axes = panels(4, titles=list(felt), height=2.3)
for i, (ax, sizes) in enumerate(zip(axes, felt.values())):
    shares = torch.where(sizes > 0, (sizes / sizes.max(1, keepdim=True).values).sqrt(), torch.nan)
    heat_map(shares, x="input", y="output" if i == 0 else "", vmin=0, vmax=1.2, ax=ax)
    ax.set_aspect("equal")
    ax.set_title(list(felt)[i], fontsize=10)
show(fig, alt="Size of the gradient of every output with respect to every input of four random models, white where it is exactly zero. Causal decoder: the lower triangle. Prefix decoder: also the square of the first four. Encoder: everything. Encoder-decoder: the same places as the prefix decoder.")

# %% [markdown]
# White is a gradient of exactly zero. It was no coincidence: **the encoder-decoder and the prefix decoder let the same things influence one another.** 11-785 says so in words, "attention is allowed to be bidirectional on any conditioning information". What then is left of the difference?
#
# - *Weights.* A prefix decoder reads and writes with the same matrices, an encoder-decoder has a set for each, and a third for looking across.
# - *Depth.* Layer 2 of a prefix decoder looks at the prefix as layer 2 sees it. Every layer of an encoder-decoder's decoder looks at the encoder's *last* layer.
# - *Cost.* Each token goes through one of two stacks. So with twice the parameters of a decoder, an encoder-decoder takes about the same number of operations per token. "Similar configuration" can mean equal parameters or equal compute, and not both.

# %% [markdown]
# ## II. Three objectives
#
# A model that sees everything cannot be asked for the next token. It has to be asked something else, and the question is made by damaging the text. The sentence is T5's own example (Raffel et al., 2020). Look at which tokens are *targets*.

# %% tags=["diagram"]
d = Diagram(12, 4.6)
said = "Thank you for inviting me to your party last week".split()
gone, masks = {2, 3, 8}, {1: "[MASK]", 6: "green", 8: "last"}
rows = [("causal LM", said, set(range(1, 10)), "each word from those before it"),
        ("masked LM", [masks.get(i, w) for i, w in enumerate(said)], set(masks), "you, your, last; the rest is not asked"),
        ("span corruption", ["Thank", "you", "<X>", "", "me", "to", "your", "party", "<Y>", "week"], {2, 8}, "<X> for inviting <Y> last <Z>"),
        ("prefix LM", said, set(range(5, 10)), "the second half, from the first")]
for r, (name, shown, marked, target) in enumerate(rows):
    y = 4.1 - 1.12 * r
    d.label(0.05, y + 0.02, name.replace("n c", "n\nc"), align="left", size=10.5, bold=True)
    for i, word in enumerate(shown):
        if word:
            d.box(2.45 + 1.0 * i, y, word, w=0.95, h=0.46, color="orange" if i in marked else "grey", size=8.6)
    d.label(2.0, y - 0.46, "to write: " + target, align="left", size=10)
d.show(alt="Thank you for inviting me to your party last week, under four objectives. Causal: every word but the first is a target. Masked: you becomes [MASK], your becomes green, last stays, and these three are asked for. Span corruption: for inviting and last are replaced by sentinels, and written after these. Prefix: the second half is written from the first.")

# %% [markdown]
# **Masked language modelling** (BERT; Devlin et al., 2018) chooses 15 % of the tokens. Of these, 80 % become `[MASK]`, 10 % another token at random, and 10 % stay as they are. Why not mask all of them? The paper's reason: nobody who *uses* a BERT hands it a `[MASK]`. With the other 20 % any token may be a wrong one, so the model has to have an opinion about all of them.

# %%
def mask_some(ids, mask_id, vocab_size, generator, rate=0.15):
    """BERT's inputs and targets; a target of -100 is not asked for."""
    chosen = torch.rand(ids.shape, generator=generator) < rate
    fate = torch.rand(ids.shape, generator=generator)
    other = torch.randint(vocab_size, ids.shape, generator=generator)
    inputs = torch.where(chosen & (fate < 0.8), mask_id, ids)                # 80 %
    inputs = torch.where(chosen & (fate >= 0.8) & (fate < 0.9), other, inputs)  # 10 %
    return inputs, torch.where(chosen, ids, IGNORE)


ids, seeded = torch.randint(1000, (400, 128)), torch.Generator().manual_seed
inputs, targets = mask_some(ids, 0, 1000, seeded(1))
theirs = mask_tokens(ids, 0, 1000, generator=seeded(1))
assert torch.equal(inputs, theirs[0]) and torch.equal(targets, theirs[1])
assert torch.equal(torch.where(targets == IGNORE, inputs, targets), ids)     # undone
assert torch.equal(unmask_tokens(inputs, targets), ids)
asked = targets != IGNORE
masked, same = inputs[asked] == 0, inputs[asked] == ids[asked]
print(f"asked {asked.float().mean():.1%}; of these masked "
      f"{masked.float().mean():.0%}, unchanged {same.float().mean():.0%}")

# %% [markdown]
# **Span corruption** (T5) takes out whole stretches and marks each by one *sentinel*. The decoder writes the stretches, each after its sentinel. The lengths are random parts of a sum, and so are the places. **Prefix language modelling** cuts the text in two.

# %%
def parts(total, n, rng):
    """n positive whole numbers that add up to total."""
    cuts = sorted(rng.sample(range(1, total), n - 1))
    return [b - a for a, b in zip([0, *cuts], [*cuts, total])]


def corrupt(text, sentinels, rng, rate=0.15, mean_length=3.0):
    """A list of tokens -> what is read, and what is to be written."""
    n = len(text)
    taken = min(max(1, round(n * rate)), n - 1)
    spans = min(max(1, round(taken / mean_length)), taken, n - taken)
    gone, kept = parts(taken, spans, rng), parts(n - taken + 2, spans + 1, rng)
    kept[0] -= 1                                        # a text may begin with a span
    inputs, targets, at = [], [], 0
    for sentinel, stay, go in zip(sentinels, kept, gone):
        inputs += [*text[at : at + stay], sentinel]
        targets += [sentinel, *text[at + stay : at + stay + go]]
        at += stay + go
    return [*inputs, *text[at:]], [*targets, sentinels[spans]]


def cut_in_two(text, rng):
    at = rng.randrange(1, len(text))
    return text[:at], text[at:]

# %%
# NBVAL_CHECK_OUTPUT
def put_back(inputs, targets, sentinels):
    """The text behind `corrupt`: each sentinel gives way to what follows it."""
    spans, last = {}, None
    for token in targets:
        if token in sentinels:
            last = spans.setdefault(token, [])
        else:
            last.append(token)
    return [t for token in inputs for t in spans.get(token, [token])]


SENTINELS = [f"<{i}>" for i in range(40)]
for seed in range(300):
    text = [str(i) for i in range(2 + seed)]
    pair = corrupt(text, SENTINELS, random.Random(seed))
    assert pair == corrupt_spans(text, SENTINELS, rng=random.Random(seed))
    assert put_back(*pair, SENTINELS) == restore_spans(*pair, SENTINELS) == text
    halves = cut_in_two(text, random.Random(seed))
    assert halves == split_prefix(text, rng=random.Random(seed))
    assert halves[0] + halves[1] == text
print(*corrupt("Thank you for inviting me to your party last week".split(),
               ["<X>", "<Y>", "<Z>"], random.Random(3), mean_length=1), sep="\n")

# %% [markdown]
# Every objective can be undone, so none throws anything away: inputs and targets together hold the text. What does a window pay? *Targets* are what the loss is made of; *read* and *written* go through a stack:

# %%
window, rng = [str(i) for i in range(512)], random.Random(0)
draws = [corrupt(window, SENTINELS, rng) for _ in range(200)]
halves = [cut_in_two(window, rng) for _ in range(200)]
count = lambda texts: round(np.mean([len(text) for text in texts]))
hidden = (mask_some(torch.arange(512).expand(200, -1), 0, 512, seeded(0))[1] >= 0)
pays = [("causal LM", 512, 0, 511), ("prefix LM", 512, 0, count(b for _, b in halves)),
        ("masked LM", 512, 0, round(hidden.sum(1).float().mean().item())),
        ("span corruption", count(a for a, _ in draws), count(b for _, b in draws),
         count(b for _, b in draws))]
table([{"objective": name, "read": a, "written": b, "targets": c,
        "targets per token processed": c / (a + b)} for name, a, b, c in pays],
      caption="a window of 512 tokens, means over 200 draws")

# %% [markdown]
# A causal model is asked about every token, a masked one about one in seven. Per token processed that is a factor of about seven in *targets*; what each target teaches has to be measured.

# %% [markdown]
# ### Turn the dials (*optional*)
#
# Move the sliders. At which setting is span corruption nearly masked language modelling, and at which nearly a prefix LM?

# %% tags=["diagram"]
STORY = "Once upon a time there was a miller who was poor but who had a beautiful daughter and it happened one day that he came to speak with the king".split()


def damaged(share=0.15, mean_length=3):
    read, written = corrupt(STORY, SENTINELS, random.Random(4), share, mean_length)
    return f"read:  {' '.join(read)}\nwrite: {' '.join(written)}"


explore(damaged, share=[0.15, 0.3, 0.5, 0.8], mean_length=[1, 3, 8, 15],
        panels=[dict(share=0.15, mean_length=1), dict(share=0.15, mean_length=3), dict(share=0.5, mean_length=15)])

# %% [markdown]
# Short spans are single masked words, though written instead of filled in; one long span is nearly a prefix LM.

# %%
poll("A prefix LM is trained on texts cut in two. By mistake the loss also counts the tokens of the prefix, each predicted from the place before it. What happens?",
     ["the loss on the prefix falls towards zero, and little is learned from it", "nothing: the prefix is part of the text and adds targets", "the model turns into a causal one", "training diverges, since the mask is not triangular"],
     "Inside the prefix every place sees the next token, so predicting it is copying: lecture 03's model without a mask did just that. A target may only be predicted from places that do not see it. Masked language modelling gets round this by removing the token from the input.")

# %% [markdown]
# ### What the other side is worth (*optional*)
#
# In lecture 01 a table of counts guessed a hidden character better from one neighbour on each side than from four on the left. Now with transformers. *Recorded, three seeds:* models of one shape (3 layers, 0.3M weights), with as many updates each, learn English words letter by letter. Then one letter of a word from a family never seen is hidden. A causal model can answer from the *left*. But it can also use both sides, by the *chain rule*: put each of the 26 letters in, and take the probabilities of the 26 whole words. <!-- keeps: 05-causal-and-bidirectional -->

# %% tags=["diagram"]
cloze = recorded("cloze")["results"]
LABEL = {("causal", "left"): "causal, from the left", ("causal", "chain rule"): "causal, 26 whole words",
         ("masked, 15 %", "both sides"): "masked, 15 % of letters", ("masked, 40 %", "both sides"): "masked, 40 % of letters"}
bits = {label: [f["bits"] for run in cloze["runs"] if run["way"] == way for f in run["found"] if f["how"] == how] for (way, how), label in LABEL.items()}
right = {label: [f["right"] for run in cloze["runs"] if run["way"] == way for f in run["found"] if f["how"] == how] for (way, how), label in LABEL.items()}
bars(bits, x=f"bits for the hidden letter ({cloze['asked']} words of the report split)", reference={"letter frequencies": cloze["unigram"]["bits"]}, height=2.5,
     alt="Bits for a hidden letter, mean of three seeds: " + ", ".join(f"{name} {np.mean(values):.2f}" for name, values in bits.items()) + f"; letter frequencies alone {cloze['unigram']['bits']:.2f}.")
table([{"": name, "letter guessed right (%), by seed": ", ".join(f"{x:.0f}" for x in values), "passes a question": 26 if "26" in name else 1} for name, values in right.items()], caption=f"recorded: {cloze['runs'][0]['updates']} updates of 64 words")

# %% [markdown]
# Looking both ways is worth three quarters of a bit: compare the two causal bars, which come from one model. But the masked models, which were *made* for this question, are behind the causal one that is asked the long way round. With as many updates, those that give back 15 % of the letters had one target where it had seven or eight, which may be the reason: with 40 % they do better. (Wettig et al., 2023, found 40 % better in large BERTs, too.) What the mask buys is the answer in one pass instead of 26; with a vocabulary of 50,000, instead of 50,000. Not tried: more updates, and rates above the .02 that all three preferred to .01 in trials of 150 updates.

# %% [markdown]
# ## III. A reader at work
#
# BERT's descendants are used less to fill gaps than to *read*: a vector for every token, made with both sides in view. Lecture 03 found a model without a mask worthless as a writer and said that it can be a fine reader. <!-- keeps: 05-readers --> Here is one: MiniLM, 22.7 million weights, distilled from a model of BERT-base's size (Wang et al., 2020) and then tuned on a billion pairs of sentences until partners lie close. It runs in the class that ran GPT, with `causal=False`. A vector for the *sentence* is the mean of the vectors of its tokens:

# %%
reader, wordpieces = load_minilm("cpu")


@torch.inference_mode()
def sentence_vectors(texts):
    """(n, 384): the mean over real tokens, scaled to length 1."""
    ids, real = wordpieces.encode_batch(texts)          # (n, T), padded; real: (n, T)
    h = reader.hidden(ids, pad_mask=real)               # (n, T, 384)
    mean = (h * real[..., None]).sum(1) / real.sum(1, keepdim=True)
    return F.normalize(mean, dim=-1)


SENTENCES = ["The bank raised its interest rates.",
             "Lenders are charging more for loans.",
             "The bank of the river was flooded.", "Heavy rain made the stream rise.",
             "The dog chased the cat.", "The cat chased the dog.",
             "A kitten ran after a puppy.", "She enjoyed the film.",
             "She did not enjoy the film.", "The movie was dull."]
vectors = sentence_vectors(SENTENCES)
torch.testing.assert_close(vectors, embed_texts(reader, wordpieces, SENTENCES),
                           atol=1e-4, rtol=1e-4)

# %% tags=["figure"]
cosines = vectors @ vectors.T
heat_map(cosines, rows=SENTENCES, columns=[str(i + 1) for i in range(10)], fmt=".2f", vmin=0, vmax=1.2, height=3.5,
         alt=f"Cosines of ten sentences. Interest rates and lenders {cosines[0, 1]:.2f}, the two banks {cosines[0, 2]:.2f}, river bank and stream {cosines[2, 3]:.2f}; dog chased cat and cat chased dog {cosines[4, 5]:.2f}; enjoyed and did not enjoy {cosines[7, 8]:.2f}.")

# %% [markdown]
# *Look first* at sentence 1: its nearest is the one about lenders, with which it shares no word, not the other *bank*. *Then* at 5 and 6, dog and cat exchanged: nearly the same vector. And at 8, 9 and 10: the nearest to having enjoyed a film is not having enjoyed it, and "dull" is about as far from the one as from the other. Who did what to whom, and whether at all is a small part of a mean over tokens. A reader of this kind is good at *what is it about*.
#
# ### What the mean does, and what the mask does (*optional*)
#
# Which part does the work: the blocks, the looking both ways, or the pooling? A test with real text: first and last sentence of 150 passages of Wikipedia; given one, find its partner among 150. The control "as a causal reader" takes the same weights and turns the mask on, without any training.

# %%
found = [re.findall(r"[A-Z][^.!?]{30,90}[.!?](?= |$)", passage.text)
         for passage in wikipedia_passages()]
mates = random.Random(0).sample([(s[0], s[-1]) for s in found if len(s) > 1], 150)
as_causal = Transformer(reader.config.replace(causal=True)).eval()
as_causal.load_state_dict(reader.state_dict())


@torch.inference_mode()
def pooled(model, texts):
    """Five ways to one vector for each text: {name: (n, 384)}."""
    made, order = {}, sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for some in (order[i : i + 25] for i in range(0, len(order), 25)):
        ids, real = wordpieces.encode_batch([texts[i] for i in some])
        h, words = model.hidden(ids, pad_mask=real), model.token_embedding(ids)
        ways = {"mean": pool_hidden(h, real), "mean, pads too": h.mean(1),
                "first token": pool_hidden(h, real, "first"),
                "last token": pool_hidden(h, real, "last"),
                "words alone, mean": pool_hidden(words, real)}
        for name, v in ways.items():
            made.setdefault(name, torch.empty(len(texts), 384))[some] = v
    return {name: F.normalize(v, dim=-1) for name, v in made.items()}

# %%
first, last = zip(*mates)
both_ends = {"": [pooled(reader, t) for t in (first, last)],
             "as a causal reader: ": [pooled(as_causal, t) for t in (first, last)]}
hits = {mode + way: ((a[way] @ b[way].T).argmax(1) == torch.arange(150)).sum().item()
        for mode, (a, b) in both_ends.items() for way in a}
for same in ("words alone, mean", "mean, pads too"):
    del hits["as a causal reader: " + same]
by_words = BM25(list(last))
hits["BM25 (lecture 17)"] = sum(int(by_words.scores(a).argmax()) == i
                               for i, a in enumerate(first))
bounds = {name: wilson_interval(n, 150) for name, n in hits.items()}
table([{"": name, "found, of 150": n, "95 % interval": f"{low:.0%} to {high:.0%}"}
       for (name, n), (low, high) in zip(hits.items(), bounds.values())])

# %% [markdown]
# All rows have read the same texts; what differs by less than about fifteen should not be read as a difference. What is clear: mean, first and last token of the reader all find more than the mean of the word vectors that go *into* its blocks, and its mean more than word counting does. Mean or last token: no difference here, though only the mean was tuned. Pads in the mean seem to cost something, and worse, the vector of a text then depends on its neighbours in the batch. With the mask on, the first token finds one partner in 150, by luck: it sees nothing but itself, so its vector is the same for every text. The mean and the last token lose no more than luck could take, and nobody trained them for it. That is less than we had expected the mask to matter for this test; what a text is about can be gathered from the left as well. (MiniLM's billion pairs may have held such passages; that would help all its rows.) In the other direction, decoders have been made into good sentence encoders by removing the mask and a little training (BehnamGhader et al., 2024).

# %% [markdown]
# ## IV. Looking across
#
# A decoder that reads a *source* has a second attention in every block. Its queries come from the text being written, its keys and values from the encoder's states $H$:
#
# $$\mathrm{cross}(X, H) = \mathrm{softmax}\!\left(\frac{(X W_Q)(H W_K)^\top}{\sqrt{d_h}}\right) H W_V\, W_O .$$
#
# Scores have one row for each token written and one column for each token read. There is no causal mask: the source is all there from the beginning.

# %%
def cross_attention(x, states, part):
    """x (B, T, d) looks at states (B, S, d) -> (B, T, d), and weights (B, H, T, S)."""
    split = lambda y: y.view(*y.shape[:2], part.n_heads, part.head_dim).transpose(1, 2)
    q = split(part.q_proj(x))                           # (B, H, T, d_head), text
    k, v = split(part.k_proj(states)), split(part.v_proj(states))   # from the source
    scores = q @ k.transpose(-2, -1) / part.head_dim**0.5           # (B, H, T, S)
    weights = scores.softmax(-1)
    return part.o_proj((weights @ v).transpose(1, 2).flatten(2)), weights


part = Attention(config)
x, states = torch.randn(2, 5, 32), torch.randn(2, 7, 32)
ours, weights = cross_attention(x, states, part)
torch.testing.assert_close(ours, part(x, AttentionContext(source=states)))
print("weights:", tuple(weights.shape), "each row sums to",
      f"{weights.sum(-1).mean():.3f}")

# %% tags=["diagram"]
d = Diagram(12, 3.5)
d.stream((0.9, 0.5), (9.2, 0.5))
d.label(0.05, 0.16, "text so far", size=10, align="left")
for x, name, color in ((1.9, "self-attention,\ncausal", "orange"), (4.9, "cross-attention", "green"), (7.9, "MLP", "grey")):
    box = d.box(x, 1.75, name, w=2.2, h=0.9, color=color)
    d.arrow((x - 0.7, 0.6), (x - 0.7, 1.28))
    plus = d.plus(x + 0.7, 0.5)
    d.arrow((x + 0.7, 1.28), plus)
d.label(3.55, 0.95, "queries", size=10)
states_box = d.box(4.9, 3.05, "encoder's states, made once", w=4.3, h=0.6, color="blue")
d.arrow(states_box, (4.9, 2.22))
d.label(6.35, 2.5, "keys, values", size=10)
d.label(10.6, 0.5, "next block", size=11)
d.show(alt="A decoder block with cross-attention: the residual stream feeds causal self-attention, then cross-attention, whose queries come from the stream and whose keys and values come from the encoder's states, then the MLP; each adds its result to the stream.")

# %% [markdown]
# The states are the same for every token written, so their keys and values are made once and kept: `DecoderCache` remembers them as a KV cache remembers the text. Taking keys *and* values from the text instead of the source is a mistake that raises no error, since all shapes fit; the model then never reads its source.
#
# ## V. Letters in, sounds out
#
# A real task for such a machine: the CMU dictionary says how 117,000 English words are pronounced. Lecture 04 asked what its blocks (RMSNorm, RoPE, SwiGLU) would do if they could look both ways: they are the encoder of this section, by `causal=False`. <!-- keeps: 05-same-blocks-both-ways -->
#
# To read are letters, to write are phonemes (stress left out). Letters and sounds are in the same order but not one to one: *ph* is one sound, *x* is two, and what a vowel is depends on letters to come. Test words come from families, words that begin with the same five letters, of which none is in training.

# %%
practice, held_out = pronunciations("train"), pronunciations("report")
SYMBOLS = ["<pad>", "<start>", "<stop>", *"abcdefghijklmnopqrstuvwxyz",
           *sorted({p for word in practice for way in word.spoken for p in way})]
ID = {symbol: i for i, symbol in enumerate(SYMBOLS)}
of_length = {}
for word in practice:
    of_length.setdefault(len(word.word), []).append(word)


def padded(rows, value=0):
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows],
                                           batch_first=True, padding_value=value)


def batch(number, rows=48):
    """Letters to read, phonemes so far, phonemes to write; words of like length."""
    rng = random.Random(number)
    same = of_length[len(rng.choice(practice).word)]
    some = rng.sample(same, min(rows, len(same)))
    said = [[ID[p] for p in rng.choice(word.spoken)] for word in some]
    return {"source": padded([[ID[c] for c in word.word] for word in some]),
            "ids": padded([[1, *way] for way in said]),
            "targets": padded([[*way, 2] for way in said], IGNORE)}


print(*[f"{w.word}: {' '.join(w.spoken[0])}" for w in held_out[100:3000:800]], sep="\n")

# %%
shape = ModelConfig(len(SYMBOLS), n_layers=1, d_model=96, n_heads=4, max_seq_len=24)
torch.manual_seed(0)
speaker = EncoderDecoder(EncoderDecoderConfig(shape, n_encoder_layers=2))


def loss(model, batch):
    """Sum of the loss over the phonemes and the stop, and their number."""
    source = batch["source"]
    logits = model(source, batch["ids"], source_mask=source != 0)
    return token_loss(logits, batch["targets"]), (batch["targets"] != IGNORE).sum()


recipe = TrainConfig(steps=300, optimizer="muon", lr=0.02, embedding_lr=0.01,
                     vector_lr=0.01, head_lr=0.01, weight_decay=0.0, warmup_steps=20,
                     final_lr=0.02, device="cpu")
history = Trainer(speaker, recipe, batch, loss=loss).run()
speaker.eval();

# %%
def say(words):
    """The phonemes that the model writes for each word, greedily."""
    sources = [[ID[c] for c in word.word] for word in words]
    written = generate_from(speaker, sources, start=1, stop=2, max_new_tokens=18)
    return [[SYMBOLS[token] for token in text] for text in written]


tested = random.Random(0).sample(held_out, 800)
spoken = say(tested)
counted = np.array([phoneme_errors(w, s) for w, s in zip(tested, spoken)])
live = 100 * counted[:, 0].sum() / counted[:, 1].sum()
print(f"{speaker.num_parameters():,} parameters, 300 updates: {live:.0f} % phoneme "
      f"errors, {np.mean(counted[:, 0] == 0):.0%} of words without one")
table([{"word": w.word, "said": " ".join(s), "in the dictionary": " / ".join(
    " ".join(way) for way in w.spoken)} for w, s in zip(tested[:8], spoken[:8])])

# %% [markdown]
# After a quarter of a minute the model writes words that one can read aloud; in the table most of what is wrong is a vowel. These are the first eight words, unpicked. Where does it look while it writes? Each row of the next picture is a phoneme about to be written, each column a letter.

# %% tags=["diagram"]
def looked(word="fracture"):
    """Cross-attention while the model writes, mean over heads: (phonemes + stop, letters)."""
    source = torch.tensor([[ID[c] for c in word]])
    written = generate_from(speaker, source.tolist(), start=1, stop=2, max_new_tokens=18)[0]
    with torch.no_grad(), record(speaker, "decoder.blocks.0.cross_attention.weights") as seen:
        speaker(source, torch.tensor([[1, *written]]))
    return [SYMBOLS[t] for t in written] + ["stop"], seen["decoder.blocks.0.cross_attention.weights"][0].mean(0)


WORDS = [w.word for w in tested if 7 <= len(w.word) <= 9][:2]
fig, axes = panels(2, titles=WORDS, height=3.2)
for ax, word in zip(axes, WORDS):
    rows, weights = looked(word)
    attention_map(weights, rows, keys=list(word), ax=ax)
    ax.set_title(word)
show(fig, alt=" ".join(f"Cross-attention for {word}, mean over four heads: " + ", ".join(f"{p} looks most at {word[int(row.argmax())]}" for p, row in zip(*looked(word))) + "." for word in WORDS))

# %% [markdown]
# Roughly a diagonal: the alignment of letters and sounds, which nobody showed to the model.
#
# ### Is it used? (*optional*)
#
# A map of weights shows where a model looks and does not prove what it uses (Jain and Wallace, 2019). Two controls: cut the cross-attention, and shuffle the order of the looks.

# %%
with intervene(speaker, {"decoder.blocks.0.cross_attention": "zero"}):
    blind = np.array([phoneme_errors(word, said) for word, said
                      in zip(tested[:200], say(tested[:200]))])
onward, shuffled, rng = [], [], random.Random(0)
for word in tested[:100]:
    at = looked(word.word)[1].argmax(1).tolist()        # the letter looked at most
    onward += [b >= a for a, b in pairwise(at)]
    rng.shuffle(at)
    shuffled += [b >= a for a, b in pairwise(at)]
wrong = 100 * blind[:, 0].sum() / blind[:, 1].sum()
print(f"phoneme errors without cross-attention: {wrong:.0f} %\nthe next look is not "
      f"further left: {np.mean(onward):.0%}, shuffled {np.mean(shuffled):.0%}")

# %% [markdown]
# Without its source the decoder still writes something, with about as many errors as there are phonemes. (Cutting a part also shows a model something that it never met in training.)

# %% [markdown]
# ### Three ways, the same minutes (*optional*)
#
# Does the task need an encoder? *Recorded, three seeds:* an encoder-decoder (3 and 2 layers), a prefix decoder and a causal decoder (6 layers), all of about 0.65 million weights, four minutes of a core each. The decoders read the letters, a mark, and go on with the phonemes; the loss counts the phonemes alone. The rate of each was the better of two, .02 for all, chosen by one seed in trials of 40 seconds on the choose split; no higher one was tried. Predict the order.

# %% tags=["diagram"]
said_by = recorded("pronunciation")["results"]
WAYS = list(dict.fromkeys(run["way"] for run in said_by["runs"]))
by_way = {way: [run for run in said_by["runs"] if run["way"] == way] for way in WAYS}


def error_rate(way, other=None):
    """Phoneme errors in per cent over all seeds, less those of another way, and the interval, resampling words."""
    draws = np.random.default_rng(0).integers(0, said_by["asked"], (1000, said_by["asked"]))
    draws[0] = np.arange(said_by["asked"])
    sums = [np.array(said_by["each"][w])[draws].sum(1) for w in (way, other) if w]
    found = [100 * s[:, 0] / s[:, 1] for s in sums]
    found = found[0] - found[1] if other else found[0]
    return (found[0], *np.percentile(found, [2.5, 97.5]))


rates = {way: error_rate(way) for way in WAYS}
behind = {way: error_rate(way, WAYS[0]) for way in WAYS[1:]}
mask_alone = error_rate("causal decoder", "prefix decoder")
bars({way: [run["phoneme_errors"] for run in by_way[way]] for way in WAYS}, x=f"phoneme errors (%), {said_by['asked']:,} words of the report split", fmt=".1f", height=2.2,
     alt="Phoneme errors after four minutes, mean of three seeds: " + ", ".join(f"{way} {np.mean([run['phoneme_errors'] for run in by_way[way]]):.1f} %" for way in WAYS) + ".")
table([{"": way, "phoneme errors (%)": "{:.1f} ({:.1f} to {:.1f})".format(*rates[way]), "behind the first": "{:.1f} ({:.1f} to {:.1f})".format(*behind[way]) if way in behind else "", "words right (%)": ", ".join(f"{run['words_right']:.0f}" for run in runs_), "updates": ", ".join(f"{run['updates']:,}" for run in runs_), "parameters": runs_[0]["parameters"]} for way, runs_ in by_way.items()],
      caption="recorded: equal processor seconds, three seeds; in brackets 95 % intervals over words")
print("causal less prefix decoder: {:.1f} points ({:.1f} to {:.1f}); in the trials of {:.0f} s, one seed, choose split: ".format(*mask_alone, said_by["tried"][0]["seconds"]) + ", ".join(f"{way} {min(run['phoneme_errors'] for run in said_by['tried'] if run['way'] == way):.0f} %" for way in WAYS))

# %% [markdown]
# Each encoder-decoder is ahead of every decoder. In the same minutes it has also made nearly twice the updates, since a letter passes through three of its layers and a phoneme through two, where every token of a decoder passes through six. So its lead says what four minutes of a core buy, and not which pattern is better.
#
# The other two have as many weights and differ in the mask (and, since the prefix mask takes a little longer, in some 80 of 1,100 updates), and here that is a third of a point, with an interval that reaches zero: no difference that three runs show. In the short trials it was five points, the other way round, for the one seed tried. So do not judge families by their first minute.

# %% [markdown]
# ## VI. Which family?
#
# 11-785 ends this topic with "Empirical Observations (Wang et. al)": "Decoder-only models outperform encoder-decoder models using similar configuration", and this table of mean accuracies in per cent, right after pre-training.

# %% tags=["figure"]
slide = {"causal decoder": (44.2, 42.4), "non-causal decoder": (43.5, 41.8), "encoder-decoder": (39.9, 41.7), "random baseline": (32.9, 41.7)}
table([{"": name, "EAI-EVAL": a, "T0-EVAL": b} for name, (a, b) in slide.items()], fmt=".1f")

# %%
poll("What does the column T0-EVAL say about the three families?",
     ["nothing yet: none of them is shown to do more than guess", "the causal decoder generalises best", "the three are equally good at these tasks", "these tasks are easier than those of EAI-EVAL"],
     "The encoder-decoder equals the random baseline to the digit, the others are 0.1 and 0.7 points above it. A test on which everybody guesses cannot rank anybody, and cannot show that they are equal either: equal at what? The first column does tell something apart, with 7 to 11 points above its baseline.", draw=1)

# %% [markdown]
# Put the baseline at zero, where it belongs, and the table has one column: 11.3, 10.6 and 7.0 points. In it the decoders are ahead, *before* any tuning. Two things stand in the paper (Wang et al., 2022) and not on the slide. "Similar configuration" means equal compute: the decoders have about 5 billion parameters, the encoder-decoder 11. And the paper goes on: after **multitask tuning**, training on many tasks put as prompts, the best models are those that see their input both ways and were pre-trained on masked spans. A slide with one stage tells half of it.
#
# ### Both stages, in small
#
# *Recorded, three seeds.* Four contenders: a causal decoder with full language modelling, a prefix decoder with prefix language modelling, an encoder-decoder with the same, and one with span corruption (its last sixth prefix language modelling, as before T0). All get the same *operations* in each stage; the encoder-decoders have twice the parameters for them, 0.53 million against 0.27, as in the paper. Stage one is prose. Stage two is nine prompted tasks at once: is a review good, a headline serious, a text a story; which word or letter of a list is first, last, after another. Three rates for each stage were tried in full by one seed, on the choose split. Write down the order that you expect, for each.

# %% tags=["diagram"]
fam = recorded("architecture_families")["results"]
NAMED = {"causal decoder": "causal decoder", "prefix decoder": "prefix decoder", "encoder-decoder": "encoder-decoder, prefix LM", "encoder-decoder, spans": "encoder-decoder, spans"}
stage = {s: {row["way"]: row for row in fam[s]} for s in ("first", "second")}
gap = {row["way"]: row for row in fam["against_causal"]["second"]}
guess = {"trained": (3 * fam["chance"]["texts"] + 6 * fam["chance"]["lists"]) / 9, "new_words": fam["chance"]["lists"], "continuation": 0.5}
fig, (left, right) = panels(2, titles=["pre-training alone", "after tuning"], height=2.4, widths=[1, 1])
bars({NAMED[way]: row["nats_per_byte"] for way, row in stage["first"].items()}, x="nats per byte", ax=left)
bars({NAMED[way]: row["trained"][3:] for way, row in stage["second"].items()}, x="trained tasks right", reference={"": guess["trained"]}, ax=right)
right.set_yticklabels([])
for ax, unit in ((left, "nats per byte"), (right, "tasks right; dashed: guessing")):
    ax.set_xlabel(unit, fontsize=9)
show(fig, alt="Left, nats per byte of what follows a prefix, after pre-training: " + ", ".join(f"{NAMED[way]} {np.mean(row['nats_per_byte']):.2f}" for way, row in stage["first"].items()) + ". Right, trained tasks right after tuning: " + ", ".join(f"{NAMED[way]} {row['trained'][0]:.2f}" for way, row in stage["second"].items()) + f"; chance {guess['trained']:.2f}. Mean and range of three seeds.")
both_stages = lambda way, key: "{:.2f} → {:.2f} ({:.2f} to {:.2f})".format(stage["first"][way][key][0], *stage["second"][way][key][:3])
table([{"": NAMED[way], f"trained tasks, chance {guess['trained']:.2f}": both_stages(way, "trained"), f"new words, chance {guess['new_words']:.2f}": both_stages(way, "new_words"), "true continuation, chance 0.50": both_stages(way, "continuation")} for way in NAMED],
      caption="recorded: before → after tuning, report split; in brackets 95 % intervals over questions, three seeds together")
print("trained tasks after tuning, less the causal decoder: " + "; ".join(f"{NAMED[way]} {row['trained'][0]:+.2f} ({row['trained'][1]:+.2f} to {row['trained'][2]:+.2f})" for way, row in gap.items()))
print("trained tasks and new words after tuning from scratch, one seed: " + "; ".join(f"{row['way']} {row['trained'][0]:.2f} and {row['new_words'][0]:.2f}" for row in fam["scratch"]))

# %% [markdown]
# *Before tuning* the slide's order appears in nats per byte, in every seed. On prompted tasks all four guess: the T0 column in small. *After tuning* little of the order is left. On the trained tasks the two decoders cannot be told apart, and both encoder-decoders are two or three points behind. Where the decoders are ahead is on *new words* (a trained question about words that no trained list held): there the others guess. So do models tuned from scratch (one seed), which on the trained tasks do nearly as well.
#
# **What nearly stood here.** A first recording chose the first stage's rates by trials of a fifth of its length. In it, after tuning, the span model was far ahead of the other encoder-decoder in every seed, and the prefix decoder ahead of the causal one with an interval clear of zero: both the paper's way. With rates tried in full, both leads are gone. We would have "confirmed" a finding that our models do not show.
#
# ### Why this is not the last word (*optional*)
#
# For equal operations the causal model was asked for nearly twice as many tokens as the prefix model and four times as many as the span model, and in tuning the decoders made a fifth more updates. After pre-training neither encoder-decoder shows that it uses its source (last column). The span model's first rate was the lowest tried. New words were added to the design after a first look at one seed.

# %% [markdown]
# ## VII. Where the parameters sit (*optional*)
#
# The models that made the three families famous, built on the *meta* device (shapes, no memory) and counted. Look at the share of cross-attention, and at what a vocabulary costs.

# %%
def parts_of(config):
    """{part: parameters} of a Transformer or of an encoder-decoder, built empty."""
    if isinstance(config, ModelConfig):
        counted = dict(parameter_table(config))
        tables = [part for part in counted if "embedding" in part]
        counted["embeddings"] = sum(counted.pop(part) for part in tables)
        return counted
    with torch.device("meta"):
        model = EncoderDecoder(config)
    counted = dict.fromkeys(("embeddings", "attention", "cross-attention", "mlp"), 0)
    for name, weights in model.named_parameters():      # a shared table comes up once
        kind = ("cross-attention" if ".cross_attention." in name else
                "attention" if ".attention." in name else "mlp" if ".mlp." in name else
                "embeddings" if "embedding" in name else "other")
        counted[kind] = counted.get(kind, 0) + weights.numel()
    return counted


MODELS = {"BERT-base": preset("bert-base"), "GPT-1": preset("gpt1"),
          "GPT-2": preset("gpt2"), "T5-base": t5_config("t5-base"),
          "BERT-large": preset("bert-large"), "GPT-2 XL": preset("gpt2-xl"),
          "T5-11B": t5_config("t5-11b")}
sizes = {name: parts_of(cfg) for name, cfg in MODELS.items()}
millions = {name: sum(found.values()) / 1e6 for name, found in sizes.items()}

# %% tags=["figure"]
KINDS = ("embeddings", "attention", "cross-attention", "mlp")
table([{"model": name, "parameters (M)": f"{millions[name]:,.0f}", **{kind: f"{found.get(kind, 0) / 1e4 / millions[name]:.0f} %" for kind in KINDS}, "norms and other": f"{(millions[name] * 1e6 - sum(found.get(k, 0) for k in KINDS)) / 1e4 / millions[name]:.1f} %"} for name, found in sizes.items()],
      caption="counted from the library's configs")

# %% [markdown]
# T5-base is two stacks of a BERT's size and a bridge between them: cross-attention is an eighth of all its weights, and as much as a third of all its attention. A fifth to a third of the three smallest models is their vocabulary; in the largest it hardly shows. Day 24 says that "a decoder-only-transformer is just the decoder of a transformer". Nearly: it is that decoder without the bridge.
#
# ### Other languages (*optional*)
#
# A vocabulary is bought for some language. The same 37 short sentences (messages of a web framework to its users, from its translators) in ten languages: how many tokens does each need, compared with English? GPT-2's tokenizer was trained on English web pages; the wordpieces are those of MiniLM, of the English BERT.

# %% tags=["diagram"]
gpt2_pieces, spoken_in = gpt2_tokenizer(), parallel_sentences()
lengths = {name: {"GPT-2 tokens": sum(len(gpt2_pieces.encode(s)) for s in texts), "bytes": sum(len(s.encode()) for s in texts), "characters": sum(map(len, texts)), "wordpieces": sum(len(wordpieces.encode(s, add_special_tokens=False)) for s in texts), "unknown": sum(wordpieces.encode(s).count(wordpieces.unk_id) for s in texts)} for name, texts in spoken_in.items()}
relative = {name: {key: value / lengths["English"][key] for key, value in found.items() if key != "unknown"} for name, found in lengths.items()}
table([{"language": name, **{key: found[key] for key in ("characters", "bytes", "GPT-2 tokens", "wordpieces")}, "[UNK] among them": lengths[name]["unknown"]} for name, found in sorted(relative.items(), key=lambda item: item[1]["GPT-2 tokens"])], fmt=".1f",
      caption=f"as multiples of English ({lengths['English']['GPT-2 tokens']} GPT-2 tokens, {lengths['English']['bytes']} bytes)")

# %% [markdown]
# Every other language pays more, and not for longer texts: in characters, none is more than a quarter longer than English. GPT-2's vocabulary is made of byte sequences that are frequent in English, so the bill mostly follows the script: twice to two and a half times for languages in Latin letters, more for others, most for Hindi, whose letters take nearly three times the bytes. A model's context is shorter by that factor, and a bill by the token longer. The wordpieces look kinder than they are: what the vocabulary lacks becomes `[UNK]`, one token for a whole word or character, and is lost. These are 37 short, similar sentences; longer texts give other factors (one other sentence stands in lecture 02).

# %% [markdown]
# ## Scale warning
#
# > **What these models can and cannot tell you.** Who may look at whom, which gradients are zero, what an objective asks for, how many parameters a family has: these hold at every size. What was trained here has a quarter to two thirds of a million weights, and learned words, sounds or simple prose. That an encoder-decoder is ahead of decoders after four minutes on letters and sounds, or a causal model ahead of masked ones after 500 updates, need not hold for text, for other budgets or for other sizes; the comparison in two stages ran for three quarters of a minute a model. MiniLM is a real sentence encoder, and a small one; 150 pairs of sentences cannot show a difference of a few points. Wang et al. compared 5 and 11 billion parameters on 168 billion tokens; that the large models built since are nearly all causal decoders has reasons which no table on this page weighs.
#
# ## Claims
#
# What the source lectures say about this topic, against what the papers say and what was measured here.

# %%
claims_table([
    Claim("Causal decoder: each token attends to the previous tokens only",
          "Wang et al. (2022), figure 2: to itself as well",
          "by gradient: exactly the lower triangle, the diagonal included", "holds; and to itself",
          source="11785"),
    Claim("In both non-causal decoder and encoder-decoder, attention is allowed to be bidirectional on any "
          "conditioning information", "Raffel et al. (2020), section 3.2.1",
          "by gradient: the two have the same pattern of influence, place by place", "holds", source="11785"),
    Claim("Encoder-only (BERT): great for classification tasks, but hard to do generation",
          "Devlin et al. (2018) fine-tune, and generate nothing",
          f"MiniLM finds {hits['mean']} partners of 150, counting words {hits['BM25 (lecture 17)']}; "
          "writing without a mask failed in lecture 03",
          "holds in part: a reader, and no writer; classification comes in lecture 10", source="11785", split="report",
          rule=bounds["mean"][0] > bounds["BM25 (lecture 17)"][1]),
    Claim("Decoder-only (GPT): stable training, faster convergence, better generalization after pre-training",
          "Wang et al. (2022): best zero-shot before multitask tuning",
          f"nats per byte after pre-training: causal {np.mean(stage['first']['causal decoder']['nats_per_byte']):.2f}, encoder-decoder "
          f"{np.mean(stage['first']['encoder-decoder']['nats_per_byte']):.2f}; sounds, equal time: {rates['causal decoder'][0]:.1f} and {rates['encoder-decoder'][0]:.1f} % errors",
          "holds for prose, fails for sounds; stability was not tested", source="11785", split="report"),
    Claim("Encoder-decoder: good for tasks like MT, summarization", "Raffel et al. (2020): best of the families they compare",
          f"letters to sounds, equal time: {rates['encoder-decoder'][0]:.1f} % errors; decoders {rates['prefix decoder'][0]:.1f} and "
          f"{rates['causal decoder'][0]:.1f} %", "holds for a task of this form, in equal time; translation was not tested", source="11785", split="report"),
    Claim("Encoder-decoder (T0/T5): masked span prediction; mask continuous set of tokens, predict this "
          "masked span from the decoder", "Raffel et al. (2020), section 3.1.4",
          "written here, equal to the library's, undone in 300 texts", "holds", source="11785"),
    Claim("Decoder-only models outperform encoder-decoder models: T0-EVAL 42.4, 41.8, 41.7",
          "Wang et al. (2022): before multitask tuning; after it, models that see their input both ways lead",
          f"0.7, 0.1, 0.0 points above random; small, tuned: causal {stage['second']['causal decoder']['trained'][0]:.2f}, "
          f"prefix {stage['second']['prefix decoder']['trained'][0]:.2f}, spans {stage['second']['encoder-decoder, spans']['trained'][0]:.2f}",
          "fails for this column; holds for EAI-EVAL, and in small", source="11785"),
    Claim("... using similar configuration", "Wang et al. (2022): about 5 billion parameters against 11, equal compute",
          f"T5-base has {millions['T5-base'] / millions['BERT-base']:.1f} times BERT-base's parameters, for as much work a token",
          "holds for compute; fails for parameters", source="11785"),
    Claim("GPT-2 uses only Transformer decoders (no encoders); it masks the future words",
          "Radford et al. (2019), section 2.3", "one stack without cross-attention; by gradient, no output depends on a later input",
          "holds", source="hlt"),
    Claim("BERT-base 0.11, BERT-large 0.34, GPT1 0.12, GPT2 1.5 billion parameters",
          "Devlin et al. (2018): 110M, 340M; Radford et al. (2019): 1,542M",
          f"{millions['BERT-base']:.0f}M, {millions['BERT-large']:.0f}M, {millions['GPT-1']:.0f}M, {millions['GPT-2 XL']:,.0f}M",
          "holds, rounded", source="analytics"),
    Claim("A decoder-only-transformer is just the decoder of a transformer",
          "Vaswani et al. (2017): the decoder has a third sub-layer",
          f"T5-base: {sizes['T5-base']['cross-attention'] / 1e6:.0f}M weights of cross-attention, "
          f"{sizes['T5-base']['cross-attention'] / 1e4 / millions['T5-base']:.0f} % of all",
          "holds, without cross-attention", source="day24"),
    Claim("We don't need a separate encoder and decoder; input and output are one and the same",
          "Raffel et al. (2020): a prefix LM", "a prefix decoder lets the same places influence each other",
          "holds for language modelling; a choice where a text is read and another written", source="day24"),
])

# %% [markdown]
# ## Summary
#
# 1. One stack of blocks is an encoder, a decoder or something in between, by its mask. Prefix decoder and encoder-decoder let the same things influence each other; they differ in weights, in depth and in what equal size means.
# 2. A model that sees everything has to be asked something that it does not see: masked tokens, corrupted spans, the rest of a text. Each can be undone. Per token processed, a causal model has twice the targets of a prefix LM and several times those of the others, a likely reason for its lead at our small budgets.
# 3. A reader's mean over tokens tells what a text is about, and hardly who did what to whom. Turning the mask on, untrained, cost little in one test of this.
# 4. Cross-attention takes queries from the text and keys and values from the source. In our speaker it learned to go through a word from left to right; without it there were about as many errors as phonemes.
# 5. A benchmark column at its random baseline ranks nothing. In the paper the family that leads depends on the stage, and "similar configuration" on what is held equal. In our small copy the causal decoder led after pre-training; after tuning the two decoders were level and no encoder-decoder led.
#
# **Still unexplained.** What is a pre-trained model worth to somebody with a hundred labels, and what can a prompt replace? (Lecture 10.)
#
# ## Exercises
#
# *Lab 05* has you write masks, both objectives, cross-attention and pooling, and find the faults in models that train without an error.
#
# 1. By hand: how many pairs may look at each other in a prefix decoder with $T = 10$ and $p = 6$? How many in an encoder-decoder that reads six and writes four? Show that the two agree for every $T$ and $p$.
# 2. Take the keys of `cross_attention` from the text instead of the source. Which shapes still fit, and what does `influence` show?
# 3. BERT masks each word piece by itself; later models mask whole words. Change `mask_some` so that all pieces of a word are chosen together. What happens to the share of tokens chosen?
# 4. Draw the influence of a prefix decoder whose *first* layer is causal. Of one whose last layer is.
# 5. `recorded("cloze")` tells seeds apart. How many updates would the 15 % model need if what matters were the number of targets? Change the script's `UPDATES` and test it (most of an hour).
# 6. Give the live speaker a causal encoder (one flag). Predict which words suffer first, then look.
#
# ## Further reading
#
# Vaswani et al. (2017), *Attention is all you need*. Devlin et al. (2018), *BERT*. Raffel et al. (2020), *Exploring the limits of transfer learning with a unified text-to-text transformer* (T5). Lewis et al. (2020), *BART*. Wang et al. (2022), *What language model architecture and pretraining objective work best for zero-shot generalization?* Sanh et al. (2022), *Multitask prompted training enables zero-shot task generalization* (T0). Tay et al. (2023), *UL2*. Wettig et al. (2023), *Should you mask 15 % in masked language modeling?* Reimers and Gurevych (2019), *Sentence-BERT*. Wang et al. (2020), *MiniLM*. BehnamGhader et al. (2024), *LLM2Vec*. Petrov et al. (2023), *Language model tokenizers introduce unfairness between languages*. Jain and Wallace (2019), *Attention is not explanation*.
