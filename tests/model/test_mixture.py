"""A mixture of experts against the plain sum over all experts, and against what its papers say of it."""

import copy

import pytest
import torch

from llmlib.infer import generate
from llmlib.model import (
    KVCache,
    MixtureOfExperts,
    ModelConfig,
    MoEConfig,
    Transformer,
    active_parameters,
    auxiliary_loss,
    balancing_loss,
    count_parameters,
    expected_experts,
    flops_per_token,
    parameter_table,
    preset,
    record,
    route,
    weight_bytes_per_pass,
    z_loss,
)
from llmlib.train import TrainConfig, Trainer, next_token_loss, route_parameters
from tests.model_families import build, small_config, tokens


def config(**moe):
    return small_config("llama", moe=MoEConfig(**(dict(n_experts=4, top_k=2) | moe)))


def layer(dtype=torch.float64, seed=0, d_model=8, **moe):
    torch.manual_seed(seed)
    shape = ModelConfig(11, 1, d_model, 2, d_ff=12, moe=MoEConfig(**(dict(n_experts=4, top_k=2) | moe)), init_std=0.5)
    return MixtureOfExperts(shape).to(dtype)


def every_expert(mixture, x, kept=None):
    """The definition: all experts on all tokens, times weights that are mostly zero."""
    flat = x.reshape(-1, x.shape[-1])
    probabilities = mixture.router(flat).softmax(-1)
    chosen = (probabilities + (0 if mixture.bias is None else mixture.bias)).topk(mixture.moe.top_k).indices
    gates = torch.zeros_like(probabilities).scatter(1, chosen, probabilities.gather(1, chosen))
    if mixture.moe.renormalise:
        gates = gates / gates.sum(-1, keepdim=True)
    if kept is not None:
        gates = gates * kept
    out = sum(gates[:, [e]] * expert(flat) for e, expert in enumerate(mixture.experts))
    return (out + sum(expert(flat) for expert in mixture.shared)).view(x.shape)


@pytest.mark.parametrize("top_k", [1, 2, 4])
@pytest.mark.parametrize("shared", [0, 1])
@pytest.mark.parametrize("renormalise", [True, False])
def test_a_pass_is_the_weighted_sum_over_experts(top_k, shared, renormalise):
    mixture = layer(top_k=top_k, n_shared_experts=shared, renormalise=renormalise)
    x = torch.randn(3, 5, 8, dtype=torch.float64)
    assert torch.allclose(mixture(x), every_expert(mixture, x), atol=1e-12)


def test_each_expert_runs_once_a_pass_on_its_own_tokens():
    mixture, seen = layer(), []
    for expert in mixture.experts:
        expert.register_forward_hook(lambda module, inputs, out: seen.append(len(inputs[0])))
    mixture(torch.randn(6, 7, 8, dtype=torch.float64))
    assert len(seen) == 4
    assert sum(seen) == 2 * 42


def test_gradients_reach_router_and_experts():
    mixture = layer(z_weight=0.1, auxiliary_weight=0.3, d_model=4)
    x = torch.randn(5, 4, dtype=torch.float64)
    mixture(x)
    chosen = route(mixture.router(x), 2).chosen

    def loss():
        out = mixture(x).sin().sum()
        return out + mixture.auxiliary_loss

    loss().backward()
    for name, weight in mixture.named_parameters():
        if weight.grad is None:  # an expert that no token chose
            assert int(name.split(".")[1]) not in chosen
            continue
        flat, eps = weight.data.view(-1), 1e-6
        for i in (0, flat.numel() // 2):
            old = flat[i].item()
            flat[i] = old + eps
            above = loss().item()
            flat[i] = old - eps
            below = loss().item()
            flat[i] = old
            assert (above - below) / (2 * eps) == pytest.approx(weight.grad.view(-1)[i].item(), rel=1e-3, abs=1e-6), (
                name
            )


def test_one_expert_is_the_dense_network_and_top_1_still_teaches_its_router():
    mixture = layer(n_experts=1, top_k=1, renormalise=True)
    x = torch.randn(5, 8, dtype=torch.float64)
    assert torch.allclose(mixture(x), mixture.experts[0](x))
    switch = layer(top_k=1, balancing="none")  # renormalise left out: not with one expert
    switch(x).sum().backward()
    assert switch.router.weight.grad.abs().sum() > 0
    always_one = layer(top_k=1, balancing="none", renormalise=True)
    always_one(x).sum().backward()
    assert always_one.router.weight.grad.abs().max() < 1e-12


def test_a_capacity_that_drops_nothing_changes_nothing_and_a_small_one_drops_the_last():
    x = torch.randn(40, 8, dtype=torch.float64)
    free, wide, narrow = layer(), layer(capacity_factor=4.0), layer(capacity_factor=0.5)
    assert torch.equal(free(x), wide(x))
    with record(narrow, "dropped") as seen:
        out = narrow(x)
    limit = narrow.capacity(40)
    assert limit == 10
    chosen = route(narrow.router(x), 2).chosen
    kept = torch.zeros(40, 4, dtype=torch.float64)
    for expert in range(4):
        comers = [(rank, t) for rank in range(2) for t in range(40) if chosen[t, rank] == expert][:limit]
        for _, t in comers:
            kept[t, expert] = 1
    assert torch.allclose(out, every_expert(narrow, x, kept), atol=1e-12)
    assert seen["dropped"].item() == pytest.approx(1 - kept.sum().item() / 80)
    assert seen["dropped"] >= 0.5
    narrow.eval()
    assert torch.allclose(narrow(x), free(x), atol=1e-12)


def test_statistics_are_read_through_hooks():
    model = build(config())
    with record(
        model, "blocks.*.mlp.load", "blocks.0.mlp.entropy", "blocks.0.mlp.dropped", "blocks.0.mlp.router"
    ) as seen:
        model(tokens(2, 9))
    logits = seen["blocks.0.mlp.router"]
    assert logits.shape == (18, 4)
    counts = torch.zeros(4).index_add(0, logits.topk(2).indices.flatten(), torch.ones(36))
    assert torch.allclose(seen["blocks.0.mlp.load"], counts / 36)
    p = logits.softmax(-1)
    assert seen["blocks.0.mlp.entropy"].item() == pytest.approx(-(p * p.log()).sum(-1).mean().item(), abs=1e-5)
    assert seen["blocks.0.mlp.dropped"] == 0
    assert sorted(name for name in seen if name.endswith("load")) == [f"blocks.{i}.mlp.load" for i in range(3)]


def test_losses_by_hand():
    even = route(torch.tensor([[3.0, 0.0], [0.0, 3.0]]), 1)
    assert balancing_loss(even).item() == pytest.approx(1.0)
    p = torch.tensor([3.0, 0.0]).softmax(0)
    one_sided = route(torch.tensor([[3.0, 0.0], [3.0, 0.0]]), 1)
    assert balancing_loss(one_sided).item() == pytest.approx(2 * p[0].item())
    assert z_loss(torch.zeros(5, 4)).item() == pytest.approx(torch.tensor(4.0).log().item() ** 2)


def test_transformers_agrees_on_the_balancing_loss():
    modeling = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
    logits = torch.randn(30, 6)
    theirs = modeling.load_balancing_loss_func((logits,), 6, 2)
    assert 2 * balancing_loss(route(logits, 2)).item() == pytest.approx(theirs.item(), rel=1e-5)  # theirs is k if even


def test_a_bias_chooses_without_weighing_and_moves_against_the_load():
    mixture = layer(balancing="bias", bias_rate=0.25)
    x = torch.randn(30, 8, dtype=torch.float64)
    load = torch.bincount(route(mixture.router(x), 2).chosen.flatten(), minlength=4) / 60
    mixture(x)
    assert torch.equal(mixture.bias.sign(), (0.25 - load).sign().to(mixture.bias))
    assert mixture.auxiliary_loss is None
    moved = mixture.bias.clone()
    mixture.eval()
    assert torch.allclose(mixture(x), every_expert(mixture, x), atol=1e-12)
    assert torch.equal(mixture.bias, moved)
    assert "bias" in mixture.state_dict()


@pytest.mark.parametrize("balancing", ["auxiliary", "bias"])
def test_balancing_feeds_an_expert_that_had_starved(balancing):
    mixture = layer(torch.float32, balancing=balancing, auxiliary_weight=1.0, bias_rate=0.02)
    x = torch.randn(200, 8) + 2.0
    with torch.no_grad():
        mixture.router.weight[0] = 0.3  # all go there first
    with record(mixture, "load") as before:
        mixture(x)
    optimizer = torch.optim.Adam(mixture.router.parameters(), lr=0.03)
    for _ in range(150):
        mixture(x)
        if mixture.auxiliary_loss is not None:
            optimizer.zero_grad()
            mixture.auxiliary_loss.backward()
            optimizer.step()
    with record(mixture, "load") as after:
        mixture(x)
    assert before["load"].min() < 0.1
    assert after["load"].min() > 0.15


def test_a_model_of_experts_caches_batches_and_generates_like_its_full_pass():
    model = build(config())
    ids = tokens(3, 12)
    with torch.no_grad():
        whole = model(ids)
        cache = KVCache(model.config, 3)
        steps = torch.cat([model(ids[:, :5], cache=cache)] + [model(ids[:, [t]], cache=cache) for t in range(5, 12)], 1)
    assert torch.allclose(whole, steps, atol=1e-5)
    prompts = [[1, 2, 3], [4, 5, 6, 7, 8], [9]]
    together = generate(model, prompts, max_new_tokens=6, greedy=True)
    alone = [generate(model, prompt, max_new_tokens=6, greedy=True) for prompt in prompts]
    assert together == alone


def test_a_model_of_experts_trains_and_is_copied_in_between():
    model = Transformer(config())
    ids = tokens(4, 12)
    total, count = next_token_loss(model, ids)
    assert auxiliary_loss(model).item() == pytest.approx(sum(b.mlp.auxiliary_loss.item() for b in model.blocks))
    twin = copy.deepcopy(model)
    assert twin.blocks[0].mlp.auxiliary_loss is None
    (total / count).backward()
    run = TrainConfig(steps=30, batch_size=8, seq_len=16, lr=0.01, optimizer="muon", device="cpu", progress=False)
    text = torch.arange(600) % 7
    with torch.no_grad():
        before = next_token_loss(model, text[None, :33])[0].item()
    Trainer(model, run, text).run()
    with torch.no_grad():
        assert next_token_loss(model, text[None, :33])[0].item() < 0.5 * before
        assert auxiliary_loss(model) == 0.0 or not model.training
    assert sum("experts" in name for name, _ in model.named_parameters()) == 3 * 4 * 3
    assert any(w is model.blocks[0].mlp.experts[0].up_proj.weight for w in route_parameters(model)["matrices"])


def test_initialising_follows_the_config():
    deep = Transformer(config())
    assert torch.allclose(deep.blocks[0].mlp.experts[0].up_proj.weight.std(), torch.tensor(0.02), rtol=0.1)
    assert torch.allclose(deep.blocks[0].mlp.experts[0].down_proj.weight.std(), torch.tensor(0.02 / 6**0.5), rtol=0.1)
    still = Transformer(config().replace(zero_init_residual=True))
    assert still.blocks[1].mlp.experts[2].down_proj.weight.abs().max() == 0


def test_counts_of_a_small_mixture_by_hand():
    dense = small_config("llama")
    shape = dense.replace(moe=MoEConfig(n_experts=4, top_k=2, n_shared_experts=1))
    expert, layers, router = 3 * 32 * dense.d_ff, 3, 4 * 32
    assert count_parameters(shape) == count_parameters(dense) + layers * (4 * expert + router)
    assert active_parameters(shape) == count_parameters(dense) + layers * (2 * expert + router)
    assert dict(parameter_table(shape))["experts"] == layers * 4 * expert
    assert dict(parameter_table(shape))["router"] == layers * router
    extra = flops_per_token(shape, 8, training=False) - flops_per_token(dense, 8, training=False)
    assert extra == 2 * layers * (2 * expert + router)
    rows = lambda n: n * 32  # of the embedding; the tied head reads the whole table, counted in its place
    one = weight_bytes_per_pass(shape, 1, torch.float32)
    assert one == pytest.approx(4 * (active_parameters(shape) + rows(1)))
    many = weight_bytes_per_pass(shape, 10_000, torch.float32)
    assert many == pytest.approx(4 * (count_parameters(shape) + rows(10_000)))
    with pytest.raises(ValueError, match="n_tokens is 0; give at least 1"):
        weight_bytes_per_pass(shape, 0)


def test_mixtral_on_the_meta_device():
    shape = preset("mixtral-8x7b")
    assert count_parameters(shape) == 46_702_792_704
    assert active_parameters(shape) == 12_879_925_248
    assert flops_per_token(shape, 1, training=False) == pytest.approx(2 * (12_879_925_248 - 131_072_000), rel=0.001)
    gigabytes = [weight_bytes_per_pass(shape, n) / 1e9 for n in (1, 8, 256)]
    assert gigabytes[0] == pytest.approx(2 * (12.880 - 0.131), rel=0.001)
    assert gigabytes[1] == pytest.approx(2 * (1.474 + 45.097 * (1 - 0.75**8)), rel=0.001)
    assert gigabytes[2] == pytest.approx(2 * 46.572, rel=0.001)
    assert expected_experts(8, 2, 1) == 2


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (dict(n_experts=4, top_k=5), "top_k is 5 of n_experts 4; choose at most n_experts"),
        (dict(top_k=0), "top_k is 0; use a whole number of at least 1"),
        (dict(capacity_factor=0.0), "capacity_factor is 0.0, .* use a positive number"),
        (dict(capacity_factor=float("nan")), "capacity_factor is nan"),
        (dict(balancing="luck"), "balancing is 'luck'; choose one of none, auxiliary, bias"),
        (dict(n_shared_experts=-1), "n_shared_experts is -1"),
        (dict(auxiliary_weight=-0.1), "auxiliary_weight is -0.1; use 0 or a positive number"),
        (dict(d_expert=0), "d_expert is 0"),
    ],
)
def test_a_mixture_that_cannot_be_is_refused(fields, told):
    with pytest.raises(ValueError, match=told):
        MoEConfig(**fields)


def test_more_refusals():
    with pytest.raises(ValueError, match="moe is 8; give a MoEConfig"):
        small_config("llama", moe=8)
    with pytest.raises(ValueError, match="moe is None; give"):
        MixtureOfExperts(small_config("llama"))
    with pytest.raises(ValueError, match="no tokens to route"):
        layer()(torch.zeros(0, 8, dtype=torch.float64))


def test_a_config_survives_json():
    shape = config(capacity_factor=1.25, balancing="bias")
    assert ModelConfig.from_dict(shape.to_dict()) == shape
