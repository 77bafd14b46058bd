import pytest
import torch
from torch import nn

from llmlib.model import ModelConfig, Transformer
from llmlib.train import AdamW, Muon, TrainConfig, build_optimizers, orthogonalize, register_optimizer, route_parameters


def parameters_and_gradients(seed=0, shapes=((5, 7), (7,), (2, 3, 4)), updates=12):
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(shape, generator=generator) for shape in shapes]
    gradients = [[torch.randn(shape, generator=generator) for shape in shapes] for _ in range(updates)]
    return weights, gradients


def follow(optimizer, parameters, gradients):
    for update in gradients:
        for parameter, gradient in zip(parameters, update):
            parameter.grad = None if gradient is None else gradient.clone()
        optimizer.step()


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(("betas", "eps"), [((0.9, 0.999), 1e-8), ((0.8, 0.95), 1e-10)])
def test_adamw_equals_torch(weight_decay, betas, eps):
    weights, gradients = parameters_and_gradients()
    ours = [nn.Parameter(w.clone()) for w in weights]
    theirs = [nn.Parameter(w.clone()) for w in weights]
    settings = dict(lr=3e-3, betas=betas, eps=eps)
    groups = lambda p: [dict(params=p[:1], weight_decay=weight_decay), dict(params=p[1:], weight_decay=0.0, lr=1e-2)]
    follow(AdamW(groups(ours), **settings), ours, gradients)
    follow(torch.optim.AdamW(groups(theirs), **settings), theirs, gradients)
    for a, b, start in zip(ours, theirs, weights):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
        assert not torch.allclose(a, start, atol=1e-3)


def test_adamw_decay_is_decoupled_from_the_gradient():
    w = nn.Parameter(torch.full((3,), 2.0))
    w.grad = torch.zeros(3)
    AdamW([w], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(w.detach(), torch.full((3,), 2.0 * (1 - 0.1 * 0.5)))


def test_adamw_corrects_the_bias_of_each_parameter_by_its_own_age():
    weights, gradients = parameters_and_gradients(updates=6)
    late = [[update[0], None if i < 3 else update[1], update[2]] for i, update in enumerate(gradients)]
    ours, theirs = ([nn.Parameter(w.clone()) for w in weights] for _ in range(2))
    follow(AdamW(ours, lr=1e-2), ours, late)
    follow(torch.optim.AdamW(theirs, lr=1e-2), theirs, late)
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


def test_adamw_state_survives_a_round_trip():
    weights, gradients = parameters_and_gradients()
    straight = [nn.Parameter(w.clone()) for w in weights]
    follow(AdamW(straight, lr=1e-2), straight, gradients)
    broken = [nn.Parameter(w.clone()) for w in weights]
    first = AdamW(broken, lr=1e-2)
    follow(first, broken, gradients[:5])
    second = AdamW(broken, lr=1e-2)
    second.load_state_dict(first.state_dict())
    follow(second, broken, gradients[5:])
    for a, b in zip(straight, broken):
        torch.testing.assert_close(a, b, atol=0, rtol=0)


@pytest.mark.parametrize(("setting", "name"), [(dict(lr=-1.0), "lr=-1.0"), (dict(betas=(0.9, 1.0)), "betas")])
def test_adamw_refuses_bad_settings(setting, name):
    with pytest.raises(ValueError, match=name):
        AdamW([nn.Parameter(torch.zeros(2))], **setting)


@pytest.mark.parametrize("shape", [(32, 32), (16, 64), (64, 16), (3, 24, 48)])
def test_singular_values_land_near_one(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 7.0
    values = torch.linalg.svdvals(orthogonalize(matrices))
    assert values.min() > 0.5
    assert values.max() < 1.3
    assert values.mean() == pytest.approx(1.0, abs=0.15)


def test_orthogonalising_keeps_the_singular_vectors():
    matrix = torch.randn(12, 20, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    ours = u.T @ orthogonalize(matrix) @ vh.T  # diagonal if the vectors are the same
    off_diagonal = ours - torch.diag(ours.diag())
    assert off_diagonal.abs().max() < 1e-8
    assert (ours.diag() > 0.5).all()


def test_batched_equals_one_by_one():
    matrices = torch.randn(5, 24, 40, generator=torch.Generator().manual_seed(3))
    singly = torch.stack([orthogonalize(matrix) for matrix in matrices])
    torch.testing.assert_close(orthogonalize(matrices), singly, atol=1e-5, rtol=1e-5)


def test_orthogonalising_ignores_the_scale_and_survives_zero():
    matrix = torch.randn(8, 8, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(orthogonalize(matrix), orthogonalize(1000 * matrix), atol=1e-4, rtol=1e-4)
    assert torch.equal(orthogonalize(torch.zeros(4, 6)), torch.zeros(4, 6))


@pytest.mark.parametrize(("arguments", "name"), [((torch.zeros(3),), "shape"), ((torch.zeros(3, 3), 0), "steps=0")])
def test_orthogonalize_refuses(arguments, name):
    with pytest.raises(ValueError, match=name):
        orthogonalize(*arguments)


def test_muon_first_update_is_the_orthogonalised_gradient():
    start = torch.randn(12, 6, generator=torch.Generator().manual_seed(5))
    gradient = torch.randn(12, 6, generator=torch.Generator().manual_seed(6))
    w = nn.Parameter(start.clone())
    w.grad = gradient.clone()
    Muon([w], lr=0.1, weight_decay=0.5).step()
    expected = start * (1 - 0.1 * 0.5) - 0.1 * 2**0.5 * orthogonalize(gradient)  # 12 / 6 = 2
    torch.testing.assert_close(w.detach(), expected, atol=1e-5, rtol=1e-5)


def test_muon_gives_each_matrix_what_it_would_get_alone():
    shapes = ((6, 6), (8, 4), (6, 6), (4, 8), (6, 6))
    weights, gradients = parameters_and_gradients(seed=7, shapes=shapes, updates=5)
    together = [nn.Parameter(w.clone()) for w in weights]
    alone = [nn.Parameter(w.clone()) for w in weights]
    follow(Muon(together, lr=0.05), together, gradients)
    for i, w in enumerate(alone):
        follow(Muon([w], lr=0.05), [w], [[update[i]] for update in gradients])
    for a, b in zip(together, alone):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_muon_momentum_warms_up():
    """Two updates by hand: the second uses a momentum halfway between the start and the end."""
    g1, g2 = (torch.randn(4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) for seed in (8, 9))
    w = nn.Parameter(torch.zeros(4, 4, dtype=torch.float64))
    optimizer = Muon([w], lr=1.0, momentum=0.9, momentum_start=0.5, momentum_warmup=2)
    follow(optimizer, [w], [[g1], [g2]])
    buffer = 0.5 * g1  # momentum 0.5
    expected = -orthogonalize(0.5 * g1 + 0.5 * buffer)
    buffer = 0.7 * buffer + 0.3 * g2  # momentum 0.7
    expected -= orthogonalize(0.3 * g2 + 0.7 * buffer)
    torch.testing.assert_close(w.detach(), expected)


def test_muon_takes_matrices_only():
    with pytest.raises(ValueError, match="matrices"):
        Muon([nn.Parameter(torch.zeros(3))])


def tiny(**changes):
    shape = dict(vocab_size=11, n_layers=2, d_model=8, n_heads=2, max_seq_len=16, norm="layernorm", bias=True)
    return Transformer(ModelConfig(**{**shape, **changes}))


def test_every_parameter_has_exactly_one_route():
    model = tiny(position="learned", tie_embeddings=False)
    routes = route_parameters(model)
    routed = [id(w) for weights in routes.values() for w in weights]
    assert sorted(routed) == sorted(id(w) for w in model.parameters())
    assert [tuple(w.shape) for w in routes["embeddings"]] == [(11, 8), (16, 8)]
    assert [w is model.lm_head.weight for w in routes["head"]] == [True]
    assert all(w.ndim == 1 for w in routes["vectors"])
    assert any(w is model.blocks[1].mlp.down_proj.weight for w in routes["matrices"])


def test_a_matrix_as_tall_as_the_vocabulary_is_no_head():
    model = tiny(vocab_size=32, d_ff=32, tie_embeddings=False, bias=False)
    assert [w is model.lm_head.weight for w in route_parameters(model)["head"]] == [True]


def test_a_tied_head_counts_as_embedding_and_frozen_weights_are_left_out():
    model = tiny(tie_embeddings=True)
    model.blocks[0].requires_grad_(False)
    routes = route_parameters(model)
    assert not routes["head"]
    assert [w is model.token_embedding.weight for w in routes["embeddings"]] == [True]
    frozen = {id(w) for w in model.blocks[0].parameters()}
    assert not frozen & {id(w) for weights in routes.values() for w in weights}


def test_optimizers_of_a_config():
    model = tiny(tie_embeddings=False)
    (adamw,) = build_optimizers(model, TrainConfig(optimizer="adamw", lr=1e-3, weight_decay=0.1))
    assert isinstance(adamw, AdamW)
    for group in adamw.param_groups:
        assert group["weight_decay"] == (0.0 if all(w.ndim == 1 for w in group["params"]) else 0.1)
    config = TrainConfig(optimizer="muon", lr=0.02, embedding_lr=0.3, head_lr=0.004, vector_lr=0.005)
    muon, adamw = build_optimizers(model, config)
    assert isinstance(muon, Muon)
    assert muon.param_groups[0]["lr"] == 0.02
    assert [group["lr"] for group in adamw.param_groups] == [0.3, 0.004, 0.005]


def test_a_stack_of_expert_matrices_trains_as_if_each_were_alone():
    (stack,), gradients = parameters_and_gradients(seed=10, shapes=((3, 8, 4),), updates=4)
    together, alone = nn.Parameter(stack.clone()), [nn.Parameter(matrix.clone()) for matrix in stack]
    follow(Muon([together], lr=0.05, weight_decay=0.1), [together], gradients)
    follow(Muon(alone, lr=0.05, weight_decay=0.1), alone, [list(update[0]) for update in gradients])
    torch.testing.assert_close(together.detach(), torch.stack([w.detach() for w in alone]), atol=1e-5, rtol=1e-5)


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.up_bias = nn.Parameter(torch.randn(4, 6, 3)), nn.Parameter(torch.zeros(4, 6))
        self.convolution = nn.Conv1d(3, 3, 2)


def test_expert_stacks_are_matrices_and_their_biases_and_convolutions_are_not():
    model = Experts()
    routes = route_parameters(model)
    assert [w is model.up for w in routes["matrices"]] == [True]
    vectors = {id(w) for w in routes["vectors"]}
    assert vectors == {id(w) for w in (model.up_bias, model.convolution.weight, model.convolution.bias)}
    (adamw,) = build_optimizers(model, TrainConfig(weight_decay=0.1))
    decays = {id(w): group["weight_decay"] for group in adamw.param_groups for w in group["params"]}
    assert decays[id(model.up)] == 0.1
    assert decays[id(model.up_bias)] == 0.0
    muon, _ = build_optimizers(model, TrainConfig(optimizer="muon", weight_decay=0.1))
    assert muon.param_groups[0]["weight_decay"] == 0.1


class Wrapped(nn.Module):
    """As torch.compile wraps: the model's names are a level deeper."""

    def __init__(self, model):
        super().__init__()
        self._orig_mod = model


def test_the_head_of_a_wrapped_model_is_still_the_head():
    model = tiny(tie_embeddings=False)
    assert [w is model.lm_head.weight for w in route_parameters(Wrapped(model))["head"]] == [True]


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda model, config: [torch.optim.SGD(list(model.parameters())[1:])], "leave out 'token_embedding.weight'"),
        (lambda model, config: [torch.optim.SGD(model.parameters()) for _ in range(2)], "share a parameter"),
        (lambda model: [], "do not suit optimizer='wrong'"),
    ],
)
def test_a_factory_that_forgets_a_parameter_is_refused(factory, message, monkeypatch):
    monkeypatch.setattr("llmlib.train.registry._FACTORIES", {})
    register_optimizer("wrong", factory)
    with pytest.raises(ValueError, match=message):
        build_optimizers(tiny(), TrainConfig(optimizer="wrong"))


@pytest.mark.parametrize(("name", "factory", "message"), [("", print, "name=''"), ("x", None, "factory=None")])
def test_what_is_no_optimizer_is_not_registered(name, factory, message):
    with pytest.raises(ValueError, match=message):
        register_optimizer(name, factory)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the fused kernel that we take is CUDA's")
def test_on_cuda_the_fused_kernel_does_what_the_readable_twin_does():
    weights, gradients = parameters_and_gradients()
    model = nn.ParameterList([nn.Parameter(w.cuda()) for w in weights])
    (fused,) = build_optimizers(model, TrainConfig(lr=1e-2))
    assert fused.param_groups[0]["fused"]
    twin = [nn.Parameter(w.clone()) for w in weights]
    follow(fused, list(model), [[g.cuda() for g in update] for update in gradients])
    follow(
        AdamW([dict(params=twin[:1]), dict(params=twin[1:], weight_decay=0.0)], 1e-2, (0.9, 0.95), weight_decay=0.1),
        twin,
        gradients,
    )
    for a, b in zip(model, twin):
        torch.testing.assert_close(a.cpu(), b, atol=1e-5, rtol=0)


def test_the_fused_kernel_does_what_the_readable_twin_does():
    weights, gradients = parameters_and_gradients()
    ours, theirs = ([nn.Parameter(w.clone()) for w in weights] for _ in range(2))
    follow(AdamW(ours, lr=1e-2, weight_decay=0.1), ours, gradients)
    follow(torch.optim.AdamW(theirs, lr=1e-2, weight_decay=0.1, fused=True), theirs, gradients)
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
