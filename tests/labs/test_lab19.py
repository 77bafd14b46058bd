"""Lab 19's own oracles agree with the library, which the lab keeps away from its students."""

import pytest
import torch

from courseware.classroom.cases import Draw, lab19
from llmlib import multimodal
from llmlib.model import ModelConfig, Transformer

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab19.some_pictures, lab19.square_pictures, lab19.grey_pictures])
def test_patches_are_the_librarys(inputs, seed):
    pictures, size = inputs(Draw(seed))
    torch.testing.assert_close(lab19.patches(pictures, size).float(), multimodal.patchify(pictures, size))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_loss_of_a_text_behind_a_picture_is_the_librarys_decoders(seed):
    """The library's decoder, with the picture's positions learned beside the text's, gives the same logits."""
    chance = torch.Generator().manual_seed(seed)
    body = Transformer(ModelConfig(7, n_layers=1, d_model=8, n_heads=2, max_seq_len=12, position="none"))
    body.init_weights(chance)
    project = torch.nn.Linear(6, 8, bias=False)
    model = multimodal.PictureDecoder(body, torch.nn.Identity(), 6, project)
    patches, ids = torch.randn(2, 3, 6, generator=chance), torch.randint(0, 7, (2, 4), generator=chance)
    row = torch.cat([patches @ project.weight.T, body.token_embedding(ids)], 1)
    torch.testing.assert_close(body.head(body.hidden(embeds=row))[:, 3:], model(patches, ids))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab19.some_pairs, lab19.as_many_as_wide, lab19.sharp])
def test_info_nce_and_its_gradients_are_the_librarys(inputs, seed):
    a, b, temperature = inputs(Draw(seed))
    library = lab19.run_info_nce(multimodal.info_nce, a, b, temperature)
    ours = lab19.info_nce(a, b, temperature)
    for name, value in library.items():
        torch.testing.assert_close(ours[name], value, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab19.some_vectors, lab19.long_codes, lab19.patches_of_pictures])
def test_the_quantizer_and_its_gradients_are_the_librarys(inputs, seed):
    x, codebook, commitment = inputs(Draw(seed))

    def quantize(x, codebook, commitment):
        layer = multimodal.VectorQuantizer(*codebook.shape, commitment=commitment, patience=None)
        del layer.codebook
        layer.codebook = codebook
        return layer(x)

    library = lab19.run_quantize(quantize, x, codebook, commitment)
    ours = lab19.quantize(x, codebook, commitment)
    for name, value in library.items():
        torch.testing.assert_close(ours[name], value, atol=1e-4, rtol=1e-3, check_dtype=False)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab19.a_sound, lab19.a_power_of_two, lab19.one_tone, lab19.no_repeats])
def test_units_and_lengths_are_the_librarys(inputs, seed):
    codes, n_codes, rate = inputs(Draw(seed))
    found = lab19.compress(codes, n_codes, rate)
    assert (found["units"], found["lengths"]) == multimodal.deduplicate(codes)


def test_two_thousand_units_take_eleven_bits():
    assert lab19.compress([5, 7], 2000, 1)["bits"] == 11


@pytest.mark.parametrize("seed", SEEDS)
def test_recall_is_the_librarys_where_each_row_has_its_own_column(seed):
    similarity, _, k = lab19.square_table(Draw(seed))
    own = torch.arange(len(similarity))
    assert lab19.recall(similarity, own, k) == pytest.approx(multimodal.recall_at(similarity, k))


@pytest.mark.parametrize(
    "make",
    [lab19.in_turn, lab19.from_the_end, lab19.stirred, lab19.frequent_first, lab19.filled_side_by_side],
    ids=lambda f: f.__name__,
)
def test_right_batches_keep_every_promise(make):
    draw = Draw(1)
    for _ in range(200):
        names = [draw.choice("abcdefg") for _ in range(1 + draw.integer(0, 14))]
        size = 2 + draw.integer(0, 5)
        assert lab19.a_pool(names, size) is None
        batches = make(names, size)
        used = [i for batch in batches for i in batch]
        assert len(set(used)) == len(used) and set(used) <= set(range(len(names)))
        assert all(len(batch) == size == len({names[i] for i in batch}) for batch in batches)
        assert len({names[i] for i in range(len(names)) if i not in used}) < size
