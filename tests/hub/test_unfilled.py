"""A model made without values draws nothing, and is whole once they are loaded."""

import torch
from model_families import FAMILIES, build, small_config, tokens

from llmlib.hub import Unfilled
from llmlib.infer import decoding_layout, token_step
from llmlib.model import Transformer


def test_nothing_is_drawn_and_loading_makes_it_whole():
    for family in FAMILIES:
        source = build(small_config(family))
        before = torch.get_rng_state()
        with Unfilled():
            model = Transformer(small_config(family)).eval()
        assert torch.equal(torch.get_rng_state(), before)
        model.load_state_dict(source.state_dict())
        assert torch.equal(model(tokens(2, 9)), source(tokens(2, 9)))


def test_drawing_works_again_afterwards():
    with Unfilled():
        assert torch.ones(3).normal_().tolist() == [1, 1, 1]
    assert torch.ones(3).normal_().tolist() != [1, 1, 1]


def test_the_layout_may_come_before_the_values():
    source = build(small_config("llama"))
    with Unfilled():
        model = decoding_layout(Transformer(small_config("llama")).eval(), keep_values=False)
    model.load_state_dict(source.state_dict())
    assert token_step(model) is not None
    torch.testing.assert_close(model(tokens(2, 9)), source(tokens(2, 9)), atol=1e-5, rtol=1e-5)
