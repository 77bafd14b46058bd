"""Lab 14's own oracles agree with the library, which the lab keeps away from its students."""

import importlib.util
import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from courseware.classroom.cases import Draw, Key, lab14
from llmlib.adapt import LoRAConfig, apply_lora, merge_lora, unmerge_lora
from llmlib.data import recorded
from llmlib.model import ModelConfig, Transformer

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_layer_and_its_merging_are_the_librarys(seed):
    weight, bias, rank, alpha, a, b, x = lab14.rows_with_bias(Draw(seed))
    base = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        base.weight.copy_(weight)
        base.bias.copy_(bias)
    ours = lab14.run_layer(lab14.LoRALayer, weight, bias, rank, alpha, a, b, x)
    model = nn.Sequential(base)
    apply_lora(model, LoRAConfig(rank=rank, alpha=alpha, targets=("0",)))
    torch.testing.assert_close(ours["output of a new layer"], model(x).detach())
    with torch.no_grad():
        model[0].adapters["default"].a.copy_(a)
        model[0].adapters["default"].b.copy_(b)
    torch.testing.assert_close(ours["output"], model(x).detach())
    adapter = {"alpha": alpha, "layers": {"0": (a, b)}}
    merge_lora(model)
    merged = lab14.switch({"0": weight}, None, adapter)
    torch.testing.assert_close(merged["0"], model[0].base.weight.detach())
    unmerge_lora(model)
    torch.testing.assert_close(
        lab14.switch(merged, adapter, None)["0"], model[0].base.weight.detach(), atol=1e-5, rtol=0
    )


def test_of_two_zero_factors_neither_has_a_gradient():
    """What the first mistake of question 1 costs."""
    given = lab14.rows_with_bias(Draw(0))
    right, wrong = (lab14._layer_of(slip)(*given) for slip in ("", "both zero"))
    assert right["b has a gradient"] and not right["a has a gradient"]
    assert not wrong["b has a gradient"] and not wrong["a has a gradient"]


@pytest.mark.parametrize("targets", [("*.q_proj", "*.v_proj"), ("blocks.*",)])
def test_counts_are_the_librarys(targets):
    config = ModelConfig(
        vocab_size=50, n_layers=2, d_model=16, n_heads=4, n_kv_heads=2, d_ff=24, max_seq_len=8, mlp="swiglu",
        norm="rmsnorm", position="rope", bias=False, tie_embeddings=True,
    )  # fmt: skip
    model = Transformer(config)
    shapes = {
        n.split(".")[-2]: tuple(w.shape)
        for n, w in model.named_parameters()
        if n.startswith("blocks.0") and w.dim() == 2
    }
    total = sum(p.numel() for p in model.parameters())
    other = total - 2 * sum(o * i for o, i in shapes.values())
    named = [name for name in shapes if targets == ("blocks.*",) or name in ("q_proj", "v_proj")]
    told = apply_lora(model, LoRAConfig(rank=3, targets=targets))
    found = lab14.costs(shapes, 2, other, named, 3)
    assert (found["parameters"], found["adapter"]) == (total, told.trainable)


def test_what_the_course_says_of_a_7b_model():
    """4.2 million for queries and values at rank 8, 20 million for all seven matrices."""
    d, ff = 4096, 11008
    shapes = {"q": (d, d), "k": (d, d), "v": (d, d), "o": (d, d), "gate": (ff, d), "up": (ff, d), "down": (d, ff)}
    few, all_ = (lab14.costs(shapes, 32, 2 * 32000 * d + 65 * d, targets, 8) for targets in (["q", "v"], list(shapes)))
    assert few["parameters"] == 6_738_415_616
    assert (few["adapter"], all_["adapter"]) == (4_194_304, 19_988_480)


@pytest.mark.parametrize("inputs", [lab14.a_tall_update, lab14.a_wide_update, lab14.a_square_update])
def test_no_adapter_of_that_rank_comes_nearer_than_the_singular_vectors(inputs):
    delta, rank, alpha = inputs(Draw(1))
    a, b = lab14.from_update(delta, rank, alpha)
    near = (delta - alpha / rank * b @ a).square().sum()
    assert near == pytest.approx(torch.linalg.svdvals(delta)[rank:].square().sum().item(), rel=1e-3, abs=1e-4)


def test_every_cause_has_a_proof_that_is_no_luck_of_a_seed():
    """The same one to three observations prove it among the runs of each recorded seed."""
    spec = importlib.util.spec_from_file_location("lab14_hidden", Path(__file__).parent / "lab14_hidden.py")
    staff = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(staff)
    (key,) = (entry for entry in staff.HIDDEN["lab14.q8"] if isinstance(entry, Key))
    results, causes = recorded("lab14_faults")["results"], {**key.runs, "correct": "correct"}
    seeds = [{name: results[name] for name in causes}]
    seeds += [
        {name: results[name]["other seeds"][i] for name in causes}
        for i in range(len(results["correct"]["other seeds"]))
    ]
    seen = [
        {name: {o for o, holds in staff.OBSERVED.items() if holds(run, runs["correct"])} for name, run in runs.items()}
        for runs in seeds
    ]
    assert len(seen) >= 2
    for name in key.runs:
        always = set.intersection(*(each[name] for each in seen))
        assert any(
            all(not set(proof) <= each[other] for each in seen for other in causes if other != name)
            for n in (1, 2, 3)
            for proof in itertools.combinations(sorted(always), n)
        ), f"{name}: cause {key.runs[name]} is proven by no observations that every seed shows"
