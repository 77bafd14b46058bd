"""The course's own base models as they lie in the package, against what was recorded when they were trained."""

import hashlib

import pytest
import torch
from safetensors import safe_open

from llmlib.data import prose, recorded, recorded_names
from llmlib.hub import base_sizes, load_base
from llmlib.hub.base import FOLDER, checkpoint_file
from llmlib.train import bits_per_byte, document_nats

SIZES = base_sizes()
RESULTS = recorded("base_models")["results"] if SIZES else dict(sizes={}, differences=[], beyond_ngram={})
CHECKPOINTS = [path.stem.split("_")[1:] for path in FOLDER.glob("base_*m_*.safetensors")]
SOURCES = ("wikipedia", "wikipedia-sections", "wikipedia-articles", "tales", "novels")
FEW = 6


@pytest.fixture(scope="module")
def report():
    """The report documents, found again by their hashes: no run and no split is needed for that."""
    texts = {hashlib.sha256(d.text.encode()).hexdigest()[:12]: d.text for d in prose(*SOURCES)}
    return [texts[digest] for digest in RESULTS["report_documents"]]


@pytest.fixture(scope="module")
def few(report):
    """The numbers of a few shorter ones."""
    return [number for number, text in enumerate(report) if len(text) < 1500][:FEW]


def nats(model, tokenizer, texts):
    return document_nats(model, [tokenizer.encode(text) for text in texts], tokenizer.special_tokens["<|endoftext|>"])


def test_what_is_shipped_is_what_was_recorded():
    assert ("base_models" in recorded_names()) == bool(SIZES) and list(RESULTS["sizes"]) == SIZES


@pytest.mark.parametrize("size", SIZES)
def test_a_base_model_is_ready_to_use(size):
    model, tokenizer = load_base(size, device="cpu")
    assert not model.training and model.config.max_seq_len == 256
    assert model.num_parameters() == RESULTS["sizes"][size]["parameters"]
    assert model.num_parameters() == pytest.approx(1e6 * float(size.removesuffix("m")), rel=0.25)
    assert tokenizer.vocab_size == model.config.vocab_size == 4096
    assert {"<|endoftext|>", "<|im_start|>", "<|im_end|>"} == set(tokenizer.special_tokens)
    ids = tokenizer.encode("The river rises in the mountains, é 日本.")
    assert tokenizer.decode(ids) == "The river rises in the mountains, é 日本."
    with torch.no_grad():
        logits = model(torch.tensor([ids]))
    assert logits.shape == (1, len(ids), 4096) and logits.isfinite().all()


@pytest.mark.parametrize("size", SIZES)
def test_weights_are_kept_in_bf16_with_their_licence(size):
    with safe_open(FOLDER / f"base_{size}.safetensors", framework="pt") as file:
        notes = file.metadata()
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.bfloat16}
    assert notes["licence"] == "CC BY-SA 4.0" and "Wikipedia" in notes["attribution"]
    exact, rounded = (load_base(size, device="cpu", dtype=dtype)[0] for dtype in (torch.float32, torch.bfloat16))
    for one, other in zip(exact.parameters(), rounded.parameters()):
        assert (one.dtype, other.dtype) == (torch.float32, torch.bfloat16) and torch.equal(one, other.float())


@pytest.mark.parametrize("size", SIZES)
def test_a_base_model_predicts_as_well_as_was_recorded(size, report, few):
    recorded_nats = RESULTS["sizes"][size]["report_nats"]
    now = nats(*load_base(size, device="cpu"), [report[number] for number in few])
    assert now == pytest.approx([recorded_nats[number] for number in few], abs=0.05)
    n_bytes = [len(text.encode()) for text in report]
    assert n_bytes == RESULTS["report_bytes"]
    assert list(bits_per_byte(recorded_nats, n_bytes)) == pytest.approx(RESULTS["sizes"][size]["report"], abs=1e-3)


def test_an_earlier_checkpoint_predicts_worse(request):
    for size, updates in CHECKPOINTS:
        report, few = (request.getfixturevalue(name) for name in ("report", "few"))
        recorded_sizes = RESULTS["sizes"][size]
        assert int(updates) in [point[0] for point in recorded_sizes["checkpoints"]]
        earlier = nats(*load_base(size, updates=int(updates), device="cpu"), [report[number] for number in few])
        assert sum(earlier) > sum(recorded_sizes["report_nats"][number] for number in few)


def test_each_size_predicts_better_than_the_one_before():
    assert [(large, small) for large, small, *_ in RESULTS["differences"]] == list(zip(SIZES[1:], SIZES))
    for large, small, value, _low, high in RESULTS["differences"]:
        assert value < high < 0, f"{large} against {small}, the same documents resampled for both"
        assert RESULTS["sizes"][large]["choose"][0] < RESULTS["sizes"][small]["choose"][0]


def test_from_a_million_parameters_on_no_n_gram_predicts_as_well():
    for size in SIZES[1:]:
        assert RESULTS["beyond_ngram"][size][2] < 0, f"{size} against {RESULTS['ngram']}"


def test_the_ladder_fits_its_room():
    files = list(FOLDER.glob("base_*.safetensors"))
    assert {f"base_{size}.safetensors" for size in SIZES} <= {path.name for path in files}
    assert sum(path.stat().st_size for path in files) <= 25e6


def test_who_asks_for_another_is_told_what_there_is(monkeypatch):
    with pytest.raises(ValueError, match="size='2m' is not a base model of the course: choose one of"):
        load_base("2m")
    monkeypatch.setattr("llmlib.hub.base.base_sizes", lambda: ["1m"])
    with pytest.raises(ValueError, match=r"updates=63 is not kept of 1m: choose one of .*None"):
        load_base("1m", updates=63)
    assert checkpoint_file("1m", 64) == FOLDER / "base_1m_64.safetensors"
