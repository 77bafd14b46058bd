"""EfficientNet-Lite0: published weights see what is in the photographs; shapes and bad pictures."""

import numpy as np
import pytest
import torch
from PIL import Image

from llmlib.data import fetch
from llmlib.hub import EfficientNetLite, load_efficientnet


@pytest.fixture(scope="module")
def model():
    return load_efficientnet()


def photo(name):
    picture = Image.open(fetch(f"photo-{name}")).convert("RGB")
    wide, high = picture.size
    side = min(wide, high)
    square = picture.crop(((wide - side) // 2, (high - side) // 2, (wide + side) // 2, (high + side) // 2))
    pixels = np.array(square.resize((224, 224), Image.Resampling.BICUBIC))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize(
    ("name", "classes", "probability"),
    [
        ("chelsea", {281, 282, 285}, 0.8),  # tabby, tiger cat, Egyptian cat
        ("coffee", {967}, 0.9),  # espresso
        ("camera", {872}, 0.9),  # tripod
        ("rocket", {657, 812, 744}, 0.3),  # missile, space shuttle, projectile
    ],
)
def test_it_sees_what_is_there(model, name, classes, probability):
    with torch.no_grad():
        seen = model(photo(name)).softmax(-1)[0]
    assert int(seen.argmax()) in classes
    assert float(seen[sorted(classes)].sum()) > probability


def test_every_weight_is_read_and_counted(model):
    assert sum(p.numel() for p in model.parameters()) == 4_652_008
    assert not model.training


@pytest.mark.parametrize(("size", "places"), [(224, 7), (64, 2), (50, 2), (33, 2)])
def test_features_are_a_32nd_of_the_picture_rounded_up(size, places):
    with torch.no_grad():
        assert EfficientNetLite().eval().features(torch.rand(1, 3, size, size)).shape == (1, 1280, places, places)


@pytest.mark.parametrize(
    "pictures", [torch.rand(3, 64, 64), torch.rand(1, 1, 64, 64), torch.zeros(1, 3, 64, 64).byte()]
)
def test_pictures_of_another_shape_or_kind_are_refused(model, pictures):
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\)"):
        model(pictures)
