"""Weights in eight bits (Dettmers et al., 2022), row by row, behind the interface of nn.Linear."""

import torch
import torch.nn.functional as F
from torch import nn

from llmlib.infer import generate
from llmlib.model import KVCache, ModelConfig, Transformer, flops_per_token, record, replace_linears


class Int8Linear(nn.Module):
    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        scale = linear.weight.detach().abs().amax(1, keepdim=True) / 127
        self.register_buffer("codes", (linear.weight.detach() / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())

    def forward(self, x):
        return F.linear(x, self.codes.to(x.dtype) * self.scale.to(x.dtype), self.bias)


def gpt(**changes):
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocab_size=50, n_layers=2, d_model=64, n_heads=4, max_seq_len=48, **changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(5)
    return model


@torch.no_grad()
def test_eight_bits_are_close_and_every_matrix_is_packed():
    for changes in (
        dict(),
        dict(tie_embeddings=False),
        dict(norm="layernorm", mlp="gelu", position="learned", bias=True),
    ):
        model, ids = gpt(**changes), torch.randint(50, (2, 20))
        expected = model(ids)
        names = replace_linears(model, "*", lambda _, linear: Int8Linear(linear))
        assert "lm_head" in names and not any(isinstance(part, nn.Linear) for part in model.modules())
        error = (model(ids) - expected).abs().max() / expected.std()
        assert 0 < error < 0.2
        cache = KVCache(model.config, batch_size=2)
        cached = torch.cat([model(ids[:, a:b], cache=cache) for a, b in ((0, 13), (13, 14), (14, 20))], 1)
        assert (cached - model(ids)).abs().max() <= 1e-4


@torch.no_grad()
def test_a_packed_model_decodes_counts_and_is_saved():
    model = gpt()
    flops = flops_per_token(model, 30)
    replace_linears(model, "blocks.*", lambda _, linear: Int8Linear(linear))
    replace_linears(model, "lm_head", lambda _, linear: Int8Linear(linear))
    text = generate(model, [3, 1, 4], greedy=True, max_new_tokens=10)
    by_hand = [3, 1, 4]
    for _ in range(10):
        by_hand.append(int(model(torch.tensor([by_hand]))[0, -1].argmax()))
    assert text == by_hand[3:]
    assert flops_per_token(model, 30) == flops  # the same products, whatever the weights are kept in
    with record(model, "lm_head", "blocks.0.mlp.down_proj") as seen:
        logits = model(torch.tensor([[1, 2]]))
    assert torch.equal(seen["lm_head"], logits)
    twin = gpt()
    replace_linears(twin, "*", lambda _, linear: Int8Linear(linear))
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin(torch.tensor([[1, 2]])), logits)
    size = sum(t.nbytes for name, t in model.state_dict().items() if "codes" in name or "scale" in name)
    floats = sum(p.nbytes for name, p in gpt().named_parameters() if "proj" in name or "embedding" in name)
    assert size < 0.3 * floats
