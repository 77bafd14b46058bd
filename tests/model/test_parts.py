"""Parts of a model exchanged, hooked and counted as they are built."""

import copy
import io

import pytest
import torch
from model_families import FAMILIES, VOCAB, build, encoder_config, small_config, tokens
from torch import nn

from llmlib.model import (
    ModelConfig,
    TiedHead,
    Transformer,
    auxiliary_loss,
    count_parameters,
    flops_per_token,
    preset,
    presets,
    replace_linears,
)


class Adapter(nn.Module):
    """A frozen linear layer and a low-rank path beside it."""

    def __init__(self, base: nn.Linear, rank: int = 2):
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        return self.base(x) + x @ self.down.T @ self.up.T


class Packed(nn.Module):
    """A linear layer whose weights are no parameters."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer("codes", torch.zeros(linear.out_features, linear.in_features, dtype=torch.int8))

    def forward(self, x):
        return x @ self.codes.T.to(x.dtype)


class Experts(nn.Module):
    """A stack of matrices of which a token meets one."""

    def __init__(self, n: int, d: int):
        super().__init__()
        self.weight, self.active_fraction = nn.Parameter(torch.randn(n, d, d)), 1 / n

    def forward(self, x):
        return x @ self.weight[0]


def refuses(match, call, *args, **kwargs):
    with pytest.raises(ValueError, match=match) as error:
        call(*args, **kwargs)
    assert "\n" not in str(error.value)


# The head


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_the_head_is_a_module_that_can_be_hooked_and_exchanged(tied):
    model, ids = build(small_config(tie_embeddings=tied)), tokens(1, 5)
    expected, seen = model(ids), []
    handle = model.lm_head.register_forward_hook(lambda _m, inputs, out: seen.append((inputs[0], out)))
    logits = model(ids)
    handle.remove()
    assert torch.equal(seen[0][0], model.hidden(ids)) and torch.equal(seen[0][1], logits)
    assert torch.equal(logits, expected) and isinstance(model.lm_head, nn.Linear)
    model.lm_head = nn.Linear(32, 7)
    assert torch.equal(model(ids), model.lm_head(model.hidden(ids))) and model(ids).shape == (1, 5, 7)


def test_a_tied_head_follows_its_embedding_and_is_counted_saved_and_loaded_once():
    model = build(small_config())
    names = [name for name, _ in model.named_parameters()]
    assert not any("lm_head" in name for name in (*names, *model.state_dict()))
    assert model.lm_head.weight is model.token_embedding.weight and model.lm_head.bias is None
    twin = copy.deepcopy(model)
    assert twin.lm_head.weight is twin.token_embedding.weight is not model.token_embedding.weight
    assert model.bfloat16().lm_head.weight.dtype == torch.bfloat16
    file = io.BytesIO()
    torch.save(twin, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert loaded.lm_head.weight is loaded.token_embedding.weight
    ids = tokens(1, 4)
    assert torch.equal(loaded(ids), twin(ids))
    larger = nn.Embedding(VOCAB + 2, 32)
    twin.token_embedding, twin.lm_head = larger, TiedHead(larger)
    assert twin(ids).shape == (1, 4, VOCAB + 2)


# replace_linears


def test_linears_are_replaced_by_name():
    model, ids = build(small_config()), tokens(1, 6)
    expected = model(ids)
    asked = []
    make = lambda name, linear: asked.append((name, linear)) or Adapter(linear)
    names = replace_linears(model, "blocks.*.attention.[qv]_proj", make)
    assert names == [f"blocks.{i}.attention.{p}_proj" for i in range(3) for p in "qv"] == [name for name, _ in asked]
    assert all(isinstance(linear, nn.Linear) for _, linear in asked)
    assert (model(ids) - expected).abs().max() <= 1e-6
    with torch.no_grad():
        model.blocks[1].attention.q_proj.up.add_(1.0)
    assert (model(ids) - expected).abs().max() > 1e-3
    assert "blocks.0.attention.q_proj.base.weight" in model.state_dict()


def test_a_tied_head_can_be_replaced_and_leaves_the_embedding_alone():
    model, ids = build(small_config()), tokens(1, 6)
    assert replace_linears(model, "lm_head", lambda _, linear: Packed(linear)) == ["lm_head"]
    assert (model(ids) == 0).all() and model.token_embedding.weight.abs().sum() > 0


def test_a_linear_that_stands_twice_is_made_once():
    shared = nn.Linear(4, 4)
    model = nn.ModuleDict({"a": shared, "b": nn.ModuleList([shared])})
    assert replace_linears(model, "*", lambda _, linear: Adapter(linear)) == ["a", "b.0"]
    assert isinstance(model["a"], Adapter) and model["a"] is model["b"][0]


def test_what_replace_linears_refuses_changes_nothing():
    model = build(small_config())
    before = list(model.modules())
    refuses(
        r"pattern is 'blocks.0.attention.q', which matches no linear layer of the model; did you mean blocks.0",
        replace_linears, model, "blocks.0.attention.q", lambda _, linear: linear,
    )  # fmt: skip
    refuses("print.model. shows the names", replace_linears, nn.ReLU(), "x", lambda _, linear: linear)
    results = iter([nn.Identity(), None])
    refuses(
        "make returned a NoneType for blocks.0.attention.k_proj", replace_linears, model, "*", lambda *_: next(results)
    )
    assert list(model.modules()) == before


# init_weights


@pytest.mark.parametrize("config", [*map(small_config, FAMILIES), encoder_config()], ids=[*FAMILIES, "encoder"])
def test_initial_weights_are_drawn_in_the_order_of_the_parameters(config: ModelConfig):
    """Recorded runs depend on it: one draw a matrix, in the order of named_parameters."""
    torch.manual_seed(5)
    Transformer(config)  # torch draws for its own initialisation, too
    model = Transformer(config)
    model.init_weights(torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(7)
    depth = (2 * config.n_layers) ** -0.5 if config.norm_position == "pre" else 1.0
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            assert (parameter == (0.0 if name.endswith("bias") else 1.0)).all()
        else:
            std = config.init_std * (depth if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0)
            assert torch.equal(parameter, torch.empty_like(parameter).normal_(0.0, std, generator=generator)), name


def test_init_weights_leaves_foreign_parts_alone():
    model = build(small_config())
    replace_linears(model, "blocks.*.attention.q_proj", lambda _, linear: Adapter(linear))
    replace_linears(model, "blocks.0.attention.o_proj", lambda _, linear: Packed(linear))
    model.blocks[1].mlp = Experts(3, 32)
    model.register_parameter("prompt", nn.Parameter(torch.full((4, 32), 5.0)))
    foreign = lambda: {
        name: tensor.clone()
        for name, tensor in model.state_dict().items()
        if any(part in name for part in ("q_proj", "codes", "blocks.1.mlp", "prompt"))
    }
    before, own = foreign(), model.blocks[2].mlp.up_proj.weight.clone()
    model.init_weights()
    assert len(before) == 9 + 1 + 1 + 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in foreign().items())
    assert not torch.equal(own, model.blocks[2].mlp.up_proj.weight)


# Costs


def formula(config: ModelConfig, seq_len: int) -> int:
    attention = (2 * config.n_heads + 2 * config.n_kv_heads) * config.head_dim * config.d_model
    mlp = (3 if config.mlp == "swiglu" else 2) * config.d_model * config.d_ff
    if config.moe is not None:
        mlp = config.moe.top_k * mlp + config.moe.n_experts * config.d_model
    weights = config.n_layers * (attention + mlp) + config.d_model * config.vocab_size
    return 3 * (2 * weights + 4 * config.n_layers * config.n_heads * config.head_dim * seq_len)


@pytest.mark.parametrize("name", presets())
def test_flops_of_built_models_are_those_of_the_formula(name):
    assert flops_per_token(preset(name), 100) == formula(preset(name), 100)


def test_flops_follow_what_was_built():
    config = small_config("llama")
    plain = Transformer(config)
    base = plain.flops_per_token(10, training=False)
    assert base == flops_per_token(plain, 10, training=False) == formula(config, 10) // 3

    adapted = Transformer(config)
    replace_linears(adapted, "blocks.*.attention.q_proj", lambda _, linear: Adapter(linear))
    assert adapted.flops_per_token(10, training=False) == base + 3 * 2 * (2 * 32 + 32 * 2)
    assert count_parameters(adapted) == count_parameters(config) + 3 * (2 * 32 + 32 * 2)

    packed = Transformer(config)
    replace_linears(packed, "*", lambda _, linear: Packed(linear))
    assert packed.flops_per_token(10, training=False) == base
    assert count_parameters(packed) == sum(p.numel() for p in packed.parameters()) < count_parameters(config)

    mixture = Transformer(config)
    mlp = sum(p.numel() for p in mixture.blocks[1].mlp.parameters())
    mixture.blocks[1].mlp = Experts(3, 32)
    assert mixture.flops_per_token(10, training=False) == base - 2 * mlp + 2 * 32 * 32
    assert count_parameters(mixture) == count_parameters(config) - mlp + 3 * 32 * 32
    mixture.blocks[1].mlp = nn.Sequential(experts := nn.ModuleList(nn.Linear(32, 32) for _ in range(3)))
    experts.active_fraction = 1 / 3  # holds for all below it, and rounds to a whole number in the end
    assert mixture.flops_per_token(10, training=False) == base - 2 * mlp + 2 * 32 * 32

    shallow = Transformer(config)
    shallow.blocks = shallow.blocks[:1]
    head = 2 * 32 * VOCAB
    assert shallow.flops_per_token(10, training=False) - head == (base - head) // 3


def test_scores_reach_no_further_than_the_window():
    config = small_config("llama", sliding_window=6)
    assert flops_per_token(config, 5) == flops_per_token(config.replace(sliding_window=None), 5)
    assert flops_per_token(config, 30) == flops_per_token(config.replace(sliding_window=None), 6)


# auxiliary_loss


def test_auxiliary_losses_add_up():
    model = build(small_config())
    assert auxiliary_loss(model) == 0.0 and auxiliary_loss(nn.Linear(2, 2)) == 0.0
    weight = model.blocks[0].norm1.weight
    model.blocks[0].mlp.auxiliary_loss = 2 * weight.sum()
    model.blocks[2].mlp.auxiliary_loss = weight.square().sum()
    model.blocks[1].mlp.auxiliary_loss = None  # asks for nothing
    auxiliary_loss(model).backward()
    assert torch.allclose(weight.grad, 2 + 2 * weight)
