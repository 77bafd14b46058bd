"""CLIP's loss against transformers', recall against sorting."""

import math

import pytest
import torch
from torch.nn import functional as F
from transformers.models.clip.modeling_clip import image_text_contrastive_loss

from llmlib.multimodal import Temperature, info_nce, recall_at


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
def test_the_loss_is_clips(temperature):
    torch.manual_seed(0)
    a, b = torch.randn(7, 5), torch.randn(7, 5)
    similarity = F.normalize(b, dim=-1) @ F.normalize(a, dim=-1).T / temperature
    assert torch.allclose(info_nce(a, b, temperature), image_text_contrastive_loss(similarity), atol=1e-6)
    assert torch.allclose(info_nce(a, b, temperature), info_nce(b, 3 * a, temperature), atol=1e-6)


def test_vectors_all_alike_cost_the_log_of_the_batch():
    same = torch.ones(6, 4)
    assert info_nce(same, same, 0.07).item() == pytest.approx(math.log(6), abs=1e-5)


def test_the_temperature_learns_and_stays_above_its_floor():
    temperature = Temperature()
    assert temperature().item() == pytest.approx(0.07)
    torch.manual_seed(0)
    a = torch.randn(8, 4)
    info_nce(a, a + 0.01 * torch.randn(8, 4), temperature()).backward()
    assert temperature.log_scale.grad < 0  # pairs that fit well ask for a lower temperature
    with torch.no_grad():
        temperature.log_scale.fill_(20.0)
    assert temperature().item() == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("a", "b", "temperature", "says"),
    [
        (torch.ones(3, 2), torch.ones(3, 4), 0.07, r"\(3, 4\)"),
        (torch.ones(1, 2), torch.ones(1, 2), 0.07, "1 pairs"),
        (torch.ones(3, 2), torch.ones(3, 2), 0.0, "temperature=0.0"),
    ],
)
def test_bad_batches_are_refused(a, b, temperature, says):
    with pytest.raises(ValueError, match=says):
        info_nce(a, b, temperature)


def test_recall_counts_own_columns_among_the_first():
    torch.manual_seed(0)
    similarity = torch.randn(30, 30)
    for k in (1, 5, 30):
        found = sum(i in row.argsort(descending=True)[:k] for i, row in enumerate(similarity)) / 30
        assert recall_at(similarity, k) == pytest.approx(found)
    assert recall_at(torch.zeros(10, 10), 5) == 0.0  # ties are no recall
    with pytest.raises(ValueError, match="k=0"):
        recall_at(similarity, 0)


def test_a_larger_gallery_only_gets_in_the_way():
    own, others = torch.eye(3), torch.tensor([[0.0, 0.5], [2.0, 0.5], [2.0, 3.0]])
    wide = torch.cat([own, others], 1)
    assert recall_at(own, 1) == 1.0
    assert [recall_at(wide, k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1.0])
    with pytest.raises(ValueError, match=r"\(5, 3\)"):
        recall_at(wide.T, 1)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        recall_at(torch.ones(3), 1)
