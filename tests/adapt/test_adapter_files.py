"""Adapters on disk: what is in a file, and which model it goes to."""

import json

import pytest
import torch
from model_families import FAMILIES, build, small_config, tokens
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from llmlib.adapt import (
    LoRAConfig,
    active_adapter,
    adapter_names,
    apply_lora,
    apply_peft,
    fingerprint,
    load_adapter,
    lora_layers,
    merge_lora,
    peft_methods,
    read_adapter,
    save_adapter,
    set_adapter,
)
from llmlib.train import load_checkpoint, save_checkpoint

from .adapted_models import BLOCKS, VARIANTS, Packed, adapted, random_adapter

ids = tokens(2, 6)


def trained(method: str, family: str = "gpt2", seed: int = 4) -> nn.Module:
    """A model on which a method has been applied, and whose trainable numbers have moved."""
    model = build(small_config(family))
    apply_peft(model, method)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(0.05 * torch.randn(p.shape, generator=generator))
    return model


@pytest.mark.parametrize("fields", VARIANTS)
def test_a_lora_file_holds_the_factors_and_nothing_else(tmp_path, fields: dict):
    model = adapted(name="json", targets=("*.v_proj", "lm_head"), alpha=5, dropout=0.1, **fields)
    path = save_adapter(tmp_path / "folder" / "json", model, "json")
    assert path == tmp_path / "folder" / "json.safetensors"
    file = read_adapter(path)
    assert (file.method, file.name, file.base) == ("lora", "json", fingerprint(model))
    assert LoRAConfig(**file.options) == LoRAConfig(
        rank=4, alpha=5, dropout=0.1, targets=("*.v_proj", "lm_head"), **fields
    )
    kinds = ["a", "b", *(["magnitude"] if "use_dora" in fields else [])]
    places = [*(f"blocks.{i}.attention.v_proj" for i in range(3)), "lm_head"]
    assert set(file.tensors) == {f"{place}.{kind}" for place in places for kind in kinds}
    assert path.stat().st_size < 4 * sum(t.numel() for t in file.tensors.values()) + 3000
    fresh = build(small_config())
    report = load_adapter(path, fresh)
    assert torch.equal(fresh(ids), model(ids)) and active_adapter(fresh) == "json"
    assert report.trainable == sum(t.numel() for t in file.tensors.values())


def test_several_files_on_one_base(tmp_path):
    outputs, paths = {}, {}
    for name, seed in (("first", 1), ("second", 2)):
        model = build(small_config())
        apply_lora(model, LoRAConfig(rank=seed, targets=BLOCKS), name)
        random_adapter(model, name, seed)
        paths[name], outputs[name] = save_adapter(tmp_path / name, model, name), model(ids)
    both = build(small_config())
    load_adapter(paths["first"], both)
    load_adapter(paths["second"], both)  # the base is recognised under the adapter that it has already
    load_adapter(paths["first"], both, "third")
    assert adapter_names(both) == ["first", "second", "third"]
    for name, out in (("first", "first"), ("second", "second"), ("third", "first")):
        set_adapter(both, name)
        assert torch.equal(both(ids), outputs[out])
    again = read_adapter(save_adapter(tmp_path / "again", both, "first"))
    assert all(torch.equal(t, again.tensors[n]) for n, t in read_adapter(paths["first"]).tensors.items())
    with pytest.raises(ValueError, match="name is 'first', which an adapter of the model has already"):
        load_adapter(paths["first"], both)


@pytest.mark.parametrize("method", peft_methods())
def test_every_method_is_saved_and_loaded(tmp_path, method: str):
    model = trained(method)
    path = save_adapter(tmp_path / "x", model)
    assert sum(t.numel() for t in read_adapter(path).tensors.values()) == sum(
        p.numel() for p in model.parameters() if p.requires_grad
    )
    fresh = build(small_config("gpt2"))
    load_adapter(path, fresh)
    assert torch.equal(fresh(ids), model(ids)) and not torch.equal(fresh(ids), build(small_config("gpt2"))(ids))


@pytest.mark.parametrize("method", [m for m in peft_methods() if m != "full"])
def test_every_method_refuses_another_base(tmp_path, method: str):
    path = save_adapter(tmp_path / "x", trained(method))
    other = build(small_config("gpt2"), seed=1)
    before = {name: p.clone() for name, p in other.named_parameters()}
    with pytest.raises(ValueError, match=r"was trained on another base model: one of .* with the fingerprint"):
        load_adapter(path, other)
    assert {name for name, _ in other.named_parameters()} == before.keys()
    assert all(torch.equal(p, before[name]) and p.requires_grad for name, p in other.named_parameters())


@pytest.mark.parametrize("method", peft_methods())
def test_checkpoints_of_the_trainable_part_work_as_well(tmp_path, method: str):
    model = trained(method)
    path = save_checkpoint(tmp_path / "x", model, weights="trainable")
    fresh = build(small_config("gpt2"))
    apply_peft(fresh, method)
    load_checkpoint(path, fresh)
    assert torch.equal(fresh(ids), model(ids))
    other = build(small_config("gpt2"), seed=1)
    apply_peft(other, method)
    if method != "full":
        with pytest.raises(ValueError, match="was trained on a base with other frozen weights"):
            load_checkpoint(path, other)


def test_added_biases_are_saved(tmp_path):
    model = build(small_config())
    apply_peft(model, "bitfit", add=True)
    with torch.no_grad():
        model.blocks[1].mlp.up_proj.shift.fill_(0.3)
    fresh = build(small_config())
    load_adapter(save_adapter(tmp_path / "x", model), fresh)
    assert torch.equal(fresh(ids), model(ids))


# The fingerprint


def test_the_fingerprint_knows_the_base_under_adapters_and_casts():
    base = build(small_config())
    mark = fingerprint(base)
    model = adapted(name="a")
    assert fingerprint(model) == mark
    apply_lora(model, LoRAConfig(rank=2, targets="*.k_proj"), "b")
    assert fingerprint(model) == mark == fingerprint(build(small_config()).bfloat16())
    assert fingerprint(build(small_config(), seed=1)) != mark
    with torch.no_grad():
        base.blocks[2].mlp.down_proj.weight[0, 0] += 0.1
    assert fingerprint(base) != mark


def test_an_adapter_goes_to_a_cast_base(tmp_path):
    model = adapted()
    cast = build(small_config()).bfloat16()
    load_adapter(save_adapter(tmp_path / "x", model), cast)
    assert (cast(ids) - model(ids)).abs().mean() < 0.05 * model(ids).abs().mean()


def test_another_base_only_if_asked_for(tmp_path):
    path = save_adapter(tmp_path / "x", adapted(targets=("*.q_proj", "*.down_proj")))
    packed = build(small_config())
    for block in packed.blocks:
        block.attention.q_proj = Packed(block.attention.q_proj)
    with pytest.raises(ValueError, match="for a quantized copy of it, any_base=True"):
        load_adapter(path, packed)
    load_adapter(path, packed, any_base=True)
    assert adapter_names(packed) == ["default"]
    back = build(small_config())
    load_adapter(save_adapter(tmp_path / "y", packed), back, any_base=True)
    assert torch.equal(back(ids), load(path)(ids))


def load(path) -> nn.Module:
    model = build(small_config())
    load_adapter(path, model)
    return model


# What is refused


def test_an_adapter_for_a_model_of_another_shape(tmp_path):
    path = save_adapter(tmp_path / "x", adapted())
    wide = build(small_config(d_model=64))
    with pytest.raises(ValueError, match=r"was trained on another base model.*this one has [\d,]+ and"):
        load_adapter(path, wide)
    message = r"is for another model: blocks.0.attention.q_proj.a has shape \(4, 32\) there and should have \(4, 64\)"
    with pytest.raises(ValueError, match=message):
        load_adapter(path, wide, any_base=True)
    with pytest.raises(ValueError, match=r"blocks.3.attention.q_proj.a has shape None there and should have \(4, 32\)"):
        load_adapter(path, build(small_config(n_layers=4)), any_base=True)
    no_match = nn.ModuleDict({"a": nn.Linear(3, 3)})
    with pytest.raises(ValueError, match=r"is for another model: targets holds 'blocks.\*', which matches no linear"):
        load_adapter(path, no_match, any_base=True)
    assert not lora_layers(wide) and not lora_layers(no_match)


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "llama"])
def test_an_adapter_for_a_model_of_another_family(tmp_path, family: str):
    path = save_adapter(tmp_path / "x", adapted(targets="*.v_proj"))
    with pytest.raises(ValueError, match="was trained on another base model"):
        load_adapter(path, build(small_config(family)))


def test_what_cannot_be_saved(tmp_path):
    model = build(small_config())
    with pytest.raises(ValueError, match="adapters are none: apply_lora or apply_peft adds one"):
        save_adapter(tmp_path / "x", model)
    apply_lora(model, LoRAConfig(rank=2), "mine")
    with pytest.raises(ValueError, match="name is 'default', and the model's adapters are 'mine'"):
        save_adapter(tmp_path / "x", model)
    merge_lora(model)
    for call in (lambda: save_adapter(tmp_path / "x", model, "mine"), lambda: fingerprint(model)):
        with pytest.raises(ValueError, match="adapter 'mine' is merged into the weights of the base"):
            call()
    norms = trained("norms").requires_grad_(False)
    with pytest.raises(ValueError, match="model has nothing trainable to save"):
        save_adapter(tmp_path / "x", norms)
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_adapters(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist; check the name"):
        read_adapter(tmp_path / "none")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(ValueError, match="is damaged or no safetensors file"):
        read_adapter(tmp_path / "text")
    save_checkpoint(tmp_path / "whole", build(small_config()))
    with pytest.raises(ValueError, match="was not written by save_adapter"):
        read_adapter(tmp_path / "whole")


def test_damage_is_noticed(tmp_path):
    path = save_adapter(tmp_path / "x", adapted())
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match="is damaged, its contents are not those that were saved"):
        load_adapter(path, build(small_config()))
    path.write_bytes(whole[:-10])
    with pytest.raises(ValueError, match="is damaged or no safetensors file"):
        load_adapter(path, build(small_config()))


def test_options_that_no_adapter_can_have(tmp_path):
    path = save_adapter(tmp_path / "x", adapted())
    file = read_adapter(path)
    with safe_open(path, framework="pt") as opened:
        notes = json.loads(opened.metadata()["next_token_adapter"])
    for options, message in (
        (dict(rank=0), "rank is 0"),
        (dict(speed=3), "speed"),
        (dict(rank=5), "is for another model"),
    ):
        changed = notes | {"options": notes["options"] | options}
        save_file(file.tensors, path, {"next_token_adapter": json.dumps(changed)})
        model = build(small_config())
        with pytest.raises(ValueError, match=message):
            load_adapter(path, model)
        assert not lora_layers(model)
    save_file(file.tensors, path, {"next_token_adapter": json.dumps(notes | {"method": "magic"})})
    with pytest.raises(ValueError, match="method is 'magic'; choose one of full"):
        load_adapter(path, build(small_config()))


def test_any_base_goes_with_lora_alone(tmp_path):
    path = save_adapter(tmp_path / "x", trained("ia3"))
    with pytest.raises(ValueError, match=r"any_base is True, but .* holds a 'ia3' adapter"):
        load_adapter(path, build(small_config("gpt2")), any_base=True)
