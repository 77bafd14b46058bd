"""Patches against torch's unfold and convolution; a decoder that sees."""

import pytest
import torch
from torch.nn import functional as F

from llmlib.model import ModelConfig, Transformer
from llmlib.multimodal import PictureDecoder, PictureEncoder, patchify, unpatchify


def decoder(**changes):
    given = dict(vocab_size=20, n_layers=2, d_model=16, n_heads=2, max_seq_len=24) | changes
    torch.manual_seed(0)
    return Transformer(ModelConfig(**given)).eval()


@pytest.mark.parametrize(("height", "width", "size"), [(8, 8, 4), (6, 12, 3), (5, 5, 5), (4, 6, 1)])
def test_patches_are_those_of_unfold_and_go_back(height, width, size):
    pictures = torch.rand(3, 2, height, width)
    patches = patchify(pictures, size)
    assert torch.equal(patches, F.unfold(pictures, size, stride=size).transpose(1, 2))
    assert torch.equal(unpatchify(patches, height, width, size), pictures)


def test_projected_patches_are_a_convolution():
    torch.manual_seed(1)
    encoder = PictureEncoder(12, 4, 8, n_layers=0)
    pictures = torch.rand(2, 3, 12, 12)
    weight = encoder.projection.weight.view(8, 3, 4, 4)
    expected = F.conv2d(pictures, weight, encoder.projection.bias, stride=4).flatten(2).transpose(1, 2)
    assert torch.allclose(encoder(pictures), expected + encoder.positions, atol=1e-6)


def test_every_patch_sees_every_other():
    torch.manual_seed(1)
    encoder = PictureEncoder(12, 4, 8, n_layers=1, n_heads=2)
    pictures = torch.rand(1, 3, 12, 12, requires_grad=True)
    encoder(pictures)[0, 0].square().sum().backward()  # the first patch's vector
    assert (patchify(pictures.grad, 4).abs().sum(-1) > 0).all()


@pytest.mark.parametrize(
    ("pictures", "size", "says"),
    [
        (torch.rand(3, 8, 8), 4, "one picture"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 4, "float"),
        (torch.rand(1, 3, 8, 9), 4, "8 x 9"),
        (torch.rand(1, 3, 8, 8), 0, "size=0"),
    ],
)
def test_pictures_that_cannot_be_cut_are_refused(pictures, size, says):
    with pytest.raises(ValueError, match=says):
        patchify(pictures, size)


def test_patches_that_do_not_fill_a_picture_are_refused():
    with pytest.raises(ValueError, match="doesn't fill"):
        unpatchify(torch.rand(1, 5, 12), 4, 4, 2)


def test_an_encoder_says_what_it_reads():
    with pytest.raises(ValueError, match="patch=5 does not divide side=12"):
        PictureEncoder(12, 5, 8, n_layers=0)
    with pytest.raises(ValueError, match=r"\(B, 3, 12, 12\)"):
        PictureEncoder(12, 4, 8, n_layers=0)(torch.rand(1, 4, 12, 12))  # with an alpha channel


def test_text_sees_the_picture_and_the_text_before_it():
    model = decoder()
    seeing = PictureDecoder(model, PictureEncoder(8, 4, 12, n_layers=0), 12).eval()
    pictures, ids = torch.rand(2, 3, 8, 8), torch.randint(20, (2, 5))
    logits = seeing(pictures, ids)
    assert logits.shape == (2, 5, 20)
    other = seeing(pictures.flip(3), ids)
    assert (logits - other).abs().amax((0, 2)).min() > 0  # the picture is seen at every place of the text
    changed = ids.clone()
    changed[:, -1] = (changed[:, -1] + 1) % 20
    assert torch.equal(seeing(pictures, changed)[:, :-1], logits[:, :-1])  # no place sees a later one
    embeds = torch.cat([seeing.projector(seeing.encoder(pictures)), model.token_embedding(ids)], 1)
    assert torch.equal(model(embeds=embeds)[:, 4:], logits)


def test_gradients_reach_picture_and_projector_with_a_frozen_decoder():
    seeing = PictureDecoder(decoder().requires_grad_(False), PictureEncoder(8, 4, 12, n_layers=1, n_heads=2), 12)
    logits = seeing(torch.rand(2, 3, 8, 8), torch.randint(20, (2, 5)))
    logits.square().sum().backward()
    moved = {name.split(".")[0] for name, p in seeing.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {"encoder", "projector"}


def test_a_projector_is_left_out_where_widths_agree_and_can_be_given():
    assert isinstance(PictureDecoder(decoder(), PictureEncoder(8, 4, 16, 0), 16).projector, torch.nn.Identity)
    own = torch.nn.Linear(12, 16)
    assert PictureDecoder(decoder(), PictureEncoder(8, 4, 12, 0), 12, own).projector is own


def test_too_few_pictures_and_too_long_a_text_are_refused():
    seeing = PictureDecoder(decoder(), PictureEncoder(8, 4, 16, 0), 16)
    with pytest.raises(ValueError, match="1 pictures and 2 texts"):
        seeing(torch.rand(1, 3, 8, 8), torch.randint(20, (2, 5)))
    with pytest.raises(ValueError, match="max_seq_len"):
        seeing(torch.rand(1, 3, 8, 8), torch.randint(20, (1, 21)))
