"""An encoder-decoder (Vaswani et al., 2017) out of public parts, with cross-attention and cached decoding."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from llmlib.model import (
    Attention,
    AttentionContext,
    KVCache,
    ModelConfig,
    RMSNorm,
    SwiGLU,
    TiedHead,
    Transformer,
    auxiliary_loss,
    intervene,
    record,
)
from llmlib.train import TrainConfig, Trainer, token_loss

START, VOCAB = 0, 12
SHAPE = dict(vocab_size=VOCAB, n_layers=2, d_model=32, n_heads=4, n_kv_heads=2, max_seq_len=32)


class DecoderBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.norms = nn.ModuleList(RMSNorm(config.d_model) for _ in range(3))
        self.attention, self.cross = Attention(config), Attention(config)
        self.mlp = SwiGLU(config.d_model, config.d_ff)

    def forward(self, x, context, cross, memory=None, source_memory=None):
        x = x + self.attention(self.norms[0](x), context, memory)
        x = x + self.cross(self.norms[1](x), cross, source_memory)
        return x + self.mlp(self.norms[2](x))


class EncoderDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.config = ModelConfig(**SHAPE)
        self.encoder = Transformer(ModelConfig(**SHAPE, causal=False, position="learned"))
        self.embedding = nn.Embedding(VOCAB, self.config.d_model)
        self.blocks = nn.ModuleList(DecoderBlock(self.config) for _ in range(self.config.n_layers))
        self.norm, self.lm_head = RMSNorm(self.config.d_model), TiedHead(self.embedding)
        nn.init.normal_(self.embedding.weight, 0.0, 0.02)

    def caches(self, batch_size):
        """One for the text, one for the source, which is read once."""
        return KVCache(self.config, batch_size), KVCache(self.config, batch_size)

    def forward(self, source, ids, pad_mask=None, caches=None):
        x = self.embedding(ids)
        context = AttentionContext.of(self.config, x, caches[0].columns if caches else 0)
        states = source if source.is_floating_point() else self.encoder.hidden(source, pad_mask=pad_mask)
        cross = AttentionContext(source=states, mask=None if pad_mask is None else pad_mask[:, None, None])
        for i, block in enumerate(self.blocks):
            x = block(x, context, cross, *(cache.layers[i] for cache in caches or ()))
        return self.lm_head(self.norm(x))


def reversal(number, batch_size=16, length=5):
    """A task that needs the whole source for its first token: write it backwards."""
    generator = torch.Generator().manual_seed(number)
    source = 1 + torch.rand(batch_size, VOCAB - 1, generator=generator).argsort(1)[:, :length]
    return {"source": source, "ids": F.pad(source.flip(1), (1, 0), value=START)}


def sequence_loss(model, batch):
    logits = model(batch["source"], batch["ids"][:, :-1])
    targets = batch["ids"][:, 1:]
    return token_loss(logits, targets) + auxiliary_loss(model) * targets.numel(), targets.numel()


def random_model(seed=0):
    torch.manual_seed(seed)
    model = EncoderDecoder().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(0.0, 0.2)
    return model


@torch.no_grad()
def write(model, source, n, pad_mask=None):
    """Greedy decoding over both caches."""
    caches, ids = model.caches(len(source)), torch.full((len(source), 1), START)
    states, text = model.encoder.hidden(source, pad_mask=pad_mask), []
    for _ in range(n):
        ids = model(states, ids, pad_mask, caches)[:, -1:].argmax(-1)
        text.append(ids)
    return torch.cat(text, 1)


def test_it_learns_to_write_backwards():
    torch.manual_seed(0)
    model = EncoderDecoder()
    config = TrainConfig(steps=120, lr=5e-3, warmup_steps=10, weight_decay=0.0, device="cpu", progress=False)
    Trainer(model, config, reversal, loss=sequence_loss).run()
    fresh = reversal(10**6)
    right = (write(model.eval(), fresh["source"], 5) == fresh["ids"][:, 1:]).float().mean()
    assert right > 0.8


@torch.no_grad()
@pytest.mark.parametrize("cuts", [[1] * 7, [3, 1, 3], [7]])
def test_cached_decoding_equals_one_pass_also_beside_padding(cuts):
    model, source, ids = random_model(), torch.randint(1, VOCAB, (3, 6)), torch.randint(VOCAB, (3, 7))
    pad_mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2, [False] * 3 + [True] * 3])
    expected = model(source, ids, pad_mask)
    caches, reads = model.caches(3), []
    handle = model.blocks[0].cross.k_proj.register_forward_hook(lambda *_: reads.append(1))
    parts = [model(source, part, pad_mask, caches) for part in ids.split(cuts, 1)]
    handle.remove()
    assert (torch.cat(parts, 1) - expected).abs().max() <= 1e-5
    assert len(reads) == 1  # keys and values of the source were made once
    alone = model(source[1:2, :4], ids[1:2])
    assert (expected[1] - alone[0]).abs().max() <= 1e-5  # padding of the source changes nothing


@torch.no_grad()
def test_nobody_sees_later_tokens_and_all_see_the_whole_source():
    model, source, ids = random_model(), torch.randint(1, VOCAB, (1, 6)), torch.randint(VOCAB, (1, 7))
    plain, later, other = model(source, ids), ids.clone(), source.clone()
    later[0, 4] = (ids[0, 4] + 1) % VOCAB
    other[0, -1] = source[0, -1] % (VOCAB - 1) + 1
    assert (model(source, later) - plain)[:, :4].abs().max() == 0
    assert (model(other, ids) - plain).abs().amax(-1).min() > 1e-4


@torch.no_grad()
def test_beams_reorder_both_caches():
    model, source, ids = random_model(), torch.randint(1, VOCAB, (2, 6)), torch.randint(VOCAB, (2, 4))
    caches, rows = model.caches(2), [1, 0, 1]
    model(source, ids, caches=caches)
    for cache in caches:
        cache.select(rows)
    new = torch.randint(VOCAB, (3, 1))
    step = model(source[rows], new, caches=caches)
    assert (step[:, 0] - model(source[rows], torch.cat([ids[rows], new], 1))[:, -1]).abs().max() <= 1e-5


@torch.no_grad()
def test_who_looks_where_in_the_source_can_be_seen_and_changed():
    model, source, ids = random_model(), torch.randint(1, VOCAB, (1, 6)), torch.randint(VOCAB, (1, 4))
    with record(model, "blocks.*.cross.weights") as seen:
        plain = model(source, ids)
    assert [w.shape for w in seen.values()] == [(1, 4, 4, 6)] * 2
    with intervene(model, {"blocks.*.cross": "zero"}):
        blind = model(source, ids)
        assert torch.equal(blind, model(source.flip(1), ids)) and not torch.equal(blind, plain)
