"""The layout and the step that make decoding fast: the model's own numbers, and out of the way whenever they could not
be the model's own."""

import copy
import dataclasses

import pytest
import torch
from model_families import FAMILIES, build, small_config, tokens
from torch import nn
from torch.nn.utils import parametrize

from llmlib.infer import cpu_decoder as decoding
from llmlib.infer import decoding_layout, generate, token_step
from llmlib.model import KVCache, ModelConfig, Transformer, record
from llmlib.model.layers import RMSNorm
from llmlib.train import load_checkpoint, save_checkpoint

LLAMAS = {
    "grouped": dict(n_kv_heads=2),
    "interleaved": dict(rope_layout="interleaved", rope_theta=500.0),
    "multi-query, own head": dict(n_kv_heads=1, tie_embeddings=False),
    "wide heads": dict(head_dim=12, d_ff=40, norm_eps=1e-3),
}


def llama(**changes) -> Transformer:
    return decoding_layout(build(small_config("llama", **changes)))


def slow_step(model, token, cache):
    with torch.inference_mode():
        return model.head(model.hidden(token[:, None], cache=cache)[:, -1])


@pytest.fixture(params=[1, 2, 5])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_layout_changes_no_name_shape_or_value(family):
    model = build(small_config(family))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    parameters, logits = list(model.parameters()), model(tokens(2, 9))
    assert decoding_layout(model) is model
    after = model.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)
    assert all(old is new for old, new in zip(parameters, model.parameters(), strict=True))
    torch.testing.assert_close(model(tokens(2, 9)), logits, atol=1e-5, rtol=1e-5)
    assert {weight.stride(0) for weight in model.parameters() if weight.dim() == 2} == {1}


def test_training_and_checkpoints_work_in_the_layout(tmp_path):
    usual = build(small_config("llama"))
    model = decoding_layout(copy.deepcopy(usual))
    for each in (usual, model):
        optimizer = torch.optim.AdamW(each.parameters(), lr=1e-2)
        for _ in range(3):
            loss = nn.functional.cross_entropy(each(tokens(4, 8)).flatten(0, 1), tokens(4, 8, seed=3).flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.testing.assert_close(dict(model.named_parameters()), dict(usual.named_parameters()), atol=1e-4, rtol=1e-4)
    assert token_step(model) is not None, "updates in place keep the layout"
    loaded = load_checkpoint(save_checkpoint(tmp_path / "model", model)).model
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), atol=0, rtol=0)


@pytest.mark.parametrize("name", LLAMAS)
def test_the_step_equals_the_model(name, threads):
    model = llama(**LLAMAS[name])
    step, ids = token_step(model), tokens(1, 12)
    fast, slow = (KVCache(model.config, max_len=12) for _ in range(2))
    with torch.inference_mode():
        for cache in (fast, slow):
            model.hidden(ids[:, :5], cache=cache)
        for i in range(5, 12):
            logits = step(ids[:, i], fast)
            assert logits.shape == (1, model.config.vocab_size) and not logits.requires_grad
            torch.testing.assert_close(logits, slow_step(model, ids[:, i], slow), atol=2e-5, rtol=1e-5)
    assert fast.columns == slow.columns == 12
    with pytest.raises(ValueError, match="cache overflow"):
        step(ids[:, 0], fast)


def test_the_step_begins_with_an_empty_cache_and_ends_at_the_context():
    model = llama(max_seq_len=3)
    step, ids, cache = token_step(model), tokens(1, 4), KVCache(model.config)
    logits = [step(ids[:, i], cache) for i in range(3)]
    torch.testing.assert_close(torch.stack(logits, 1), model(ids[:, :3]).detach(), atol=2e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="context overflow: 4 tokens > max_seq_len 3"):
        step(ids[:, 3], cache)


def test_a_cache_with_padding_is_left_to_the_model():
    model, ids = llama(), tokens(1, 6)
    mask = torch.tensor([[False, False, True, True, True]])
    fast, slow = (KVCache(model.config) for _ in range(2))
    with torch.inference_mode():
        for cache in (fast, slow):
            model.hidden(ids[:, :5], cache=cache, pad_mask=mask)
    assert torch.equal(token_step(model)(ids[:, 5], fast), slow_step(model, ids[:, 5], slow))
    assert fast.lengths.tolist() == [4]


def test_the_step_sees_weights_that_were_updated_in_place():
    model, ids = llama(), tokens(1, 4)
    step = token_step(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05)
    cache = KVCache(model.config)
    logits = torch.stack([step(ids[:, i], cache) for i in range(4)], 1)
    torch.testing.assert_close(logits, model(ids).detach(), atol=2e-5, rtol=1e-5)


class Adapter(nn.Linear):
    """Like an adapter: a linear layer that does more."""

    def forward(self, x):
        return super().forward(x) + 1


def with_adapter(model):
    old = model.blocks[1].attention.v_proj
    model.blocks[1].attention.v_proj = Adapter(old.in_features, old.out_features, bias=False)


def with_new_weight(model):
    model.blocks[2].mlp.up_proj.weight.data = torch.randn_like(model.blocks[2].mlp.up_proj.weight)


def with_hook(model):
    model.blocks[0].mlp.register_forward_hook(lambda *_: None)


def with_new_forward(model):
    old = model.blocks[1].mlp.forward
    model.blocks[1].mlp.forward = lambda x: old(x) + 1


def with_backward_hook(model):
    model.blocks[0].attention.q_proj.register_full_backward_hook(lambda *_: None)


def with_pre_hook(model):
    model.token_embedding.register_forward_pre_hook(lambda *_: None)


def with_parametrization(model):
    parametrize.register_parametrization(model.blocks[0].mlp.gate_proj, "weight", Twice())


class Twice(nn.Module):
    def forward(self, weight):
        return 2 * weight


class Int8Linear(nn.Module):
    """A foreign part without a float weight, as a quantizer puts it in place of a linear layer."""

    def __init__(self, linear):
        super().__init__()
        self.scale = linear.weight.abs().max() / 127
        self.register_buffer("stored", (linear.weight / self.scale).round().to(torch.int8))

    def forward(self, x):
        return x @ (self.stored.float() * self.scale).T


def with_int8(model):
    model.blocks[0].attention.k_proj = Int8Linear(model.blocks[0].attention.k_proj)


def with_foreign_norm(model):
    model.blocks[0].norm1 = nn.RMSNorm(32)


def with_foreign_block(model):
    model.blocks[1] = Skip()


class Skip(nn.Module):
    def forward(self, x, *args, **kwargs):
        return x


def with_weight_norm(model):
    nn.utils.weight_norm(model.blocks[0].mlp.down_proj)


def with_weight_subclass(model):
    class Counted(nn.Parameter):
        pass

    model.blocks[0].mlp.up_proj.weight = Counted(model.blocks[0].mlp.up_proj.weight.data)


def with_bias(model):
    linear = model.blocks[1].attention.o_proj
    linear.bias = nn.Parameter(torch.randn(linear.out_features))


def with_query_norm(model):
    model.blocks[1].attention.q_norm = RMSNorm(8)


FOREIGN = {
    "adapter": with_adapter,
    "int8": with_int8,
    "norm": with_foreign_norm,
    "block": with_foreign_block,
    "parametrization": with_parametrization,
    "weight norm": with_weight_norm,
    "replaced forward": with_new_forward,
    "bias": with_bias,
    "norm of queries": with_query_norm,
}
REASONS = {
    **FOREIGN,
    "weight subclass": with_weight_subclass,
    "backward hook": with_backward_hook,
    "pre-hook": with_pre_hook,
    "replaced hidden": lambda model: setattr(model, "hidden", model.hidden),
    "hook on the whole": lambda model: model.register_forward_hook(lambda *_: None),
    "hook": with_hook,
    "new weight": with_new_weight,
    "training": lambda model: model.train(),
    "bfloat16": lambda model: model.bfloat16(),
    "weights seen": lambda model: model.blocks[0].attention.weights.register_forward_hook(print),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm")
@pytest.mark.parametrize("reason", REASONS)
def test_no_step_where_the_model_is_not_itself(reason):
    model = llama()
    assert token_step(model) is not None
    REASONS[reason](model)
    assert token_step(model) is None


@pytest.mark.filterwarnings("ignore:.*weight_norm")
@pytest.mark.parametrize("foreign", FOREIGN)
def test_the_layout_and_generation_take_foreign_parts_as_they_are(foreign):
    usual = build(small_config("llama"))
    FOREIGN[foreign](usual)
    prompt = tokens(1, 5)[0].tolist()
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(8):
            ids.append(int(usual(torch.tensor([ids]))[0, -1].argmax()))
    before = usual(tokens(2, 6)).detach()
    assert decoding_layout(usual) is usual and token_step(usual) is None
    torch.testing.assert_close(usual(tokens(2, 6)).detach(), before, atol=1e-5, rtol=1e-5)
    assert generate(usual, prompt, max_new_tokens=8, greedy=True) == ids[5:]


def test_a_global_hook_is_not_passed_over():
    model, heard = llama(), []
    hooks = nn.modules.module
    for register in (
        hooks.register_module_forward_hook,
        hooks.register_module_forward_pre_hook,
        hooks.register_module_full_backward_hook,
    ):
        step = token_step(model)
        handle = register(lambda *args: heard.append(1) if not isinstance(args[0], nn.Dropout) else None)
        try:
            assert token_step(model) is None and not step.is_current()
            generate(model, [1, 2], max_new_tokens=3, greedy=True)
        finally:
            handle.remove()
        assert token_step(model) is not None and step.is_current()
    assert heard


@pytest.mark.parametrize("name", ["forward", "hidden", "head"])
def test_a_class_that_was_changed_is_left_alone(name, monkeypatch):
    model = llama()
    if isinstance(getattr(Transformer, name, None), type(lambda: None)):
        monkeypatch.setattr(Transformer, name, lambda *args, **kwargs: None)
        assert token_step(model) is None


def test_a_subclass_of_the_model_runs_itself():
    class Louder(Transformer):
        def forward(self, *args, **kwargs):
            return 2 * super().forward(*args, **kwargs)

    model = decoding_layout(Louder(small_config("llama")).eval())
    assert token_step(model) is None


def test_a_field_of_the_config_that_the_step_does_not_know_needs_its_default():
    @dataclasses.dataclass(frozen=True)
    class Wider(ModelConfig):
        window: int | None = None

    model = llama()
    fields = model.config.to_dict()
    for window in (None, 128):
        object.__setattr__(model, "config", Wider(**fields, window=window))
        assert (token_step(model) is None) == (window is not None)


@pytest.mark.filterwarnings("ignore:.*weight_norm")
@pytest.mark.parametrize("reason", REASONS)
def test_a_step_knows_when_it_no_longer_is_the_model(reason):
    model = llama()
    step, old = token_step(model), model.state_dict()  # holds on to the old memory, or a new tensor may get its place
    assert step.is_current() and old
    REASONS[reason](model)
    assert not step.is_current()


def test_a_step_stays_current_while_weights_are_updated_in_place():
    model = llama()
    step = token_step(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    assert step.is_current()
    model.train()
    assert not step.is_current()
    model.eval()
    assert step.is_current()


@pytest.mark.parametrize("family", [name for name in FAMILIES if not name.startswith("llama")])
def test_no_step_for_other_families(family):
    assert token_step(decoding_layout(build(small_config(family)))) is None


def test_no_step_in_the_usual_layout_which_copies_have():
    assert token_step(build(small_config("llama"))) is None
    model = llama()
    twin = copy.deepcopy(model)
    assert token_step(model) is not None
    with torch.no_grad():
        twin.blocks[0].attention.q_proj.weight.zero_()
    assert model.blocks[0].attention.q_proj.weight.abs().max() > 0


def test_generation_takes_the_step_and_writes_the_same(monkeypatch):
    usual = build(small_config("llama"))
    model = decoding_layout(copy.deepcopy(usual))
    prompt = tokens(1, 5)[0].tolist()
    taken = []
    monkeypatch.setattr(decoding.TokenStep, "__call__", spy(decoding.TokenStep.__call__, taken))
    assert generate(model, prompt, max_new_tokens=20, greedy=True) == generate(
        usual, prompt, max_new_tokens=20, greedy=True
    )
    assert len(taken) == 19
    generate(model, [prompt, prompt], max_new_tokens=5, greedy=True)
    assert len(taken) == 19, "batches are left to the model"
    with record(model, "blocks.0.mlp") as seen:
        generate(model, prompt, max_new_tokens=5, greedy=True)
    assert len(taken) == 19 and seen["blocks.0.mlp"].shape == (1, 1, 32), "whoever looks sees every step"


def spy(function, calls):
    def spied(*args):
        calls.append(args)
        return function(*args)

    return spied


@pytest.mark.parametrize("fast_bags", [True, False])
def test_weighted_sum_is_the_product(fast_bags, threads, monkeypatch):
    monkeypatch.setattr(decoding, "fast_bags", lambda: fast_bags)
    for n, m in ((1, 3), (3, 1), (7, 33), (64, 200)):
        columns, weights = torch.randn(n, m), torch.randn(n)
        expected = weights.double() @ columns.double()
        torch.testing.assert_close(decoding.weighted_sum(columns, weights).double(), expected, atol=1e-5, rtol=1e-5)
