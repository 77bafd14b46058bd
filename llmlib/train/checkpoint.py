"""Checkpoints: one safetensors file that holds the weights, the optimizers' state and, as JSON in its header, the rest.

Nothing in it is executed on loading, unlike pickle. The file appears under its name only when it is complete.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from llmlib import text
from llmlib.model import ModelConfig, Transformer

FORMAT = "next-token-checkpoint-1"


@dataclass
class Checkpoint:
    """What `load_checkpoint` returns. tokenizer is None if none was saved."""

    model: nn.Module
    step: int
    tokenizer: object | None = None


def save_checkpoint(
    path: str | Path,
    model: Transformer,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
    step: int = 0,
    tokenizer: object | None = None,
) -> Path:
    """Write the model, and what is needed to go on training, to one file; returns its path.

    The name gets the ending .safetensors if it has none; missing folders are made. An interrupted save leaves an
    earlier file under the same name as it was.
    """
    path = _with_ending(path)
    optimizers = _as_list(optimizer)
    tensors = {f"model.{name}": tensor for name, tensor in _weights(model).items()}
    optimizer_notes = []
    for number, each in enumerate(optimizers):
        saved = each.state_dict()
        plain: dict[str, dict] = {}
        for index, state in saved["state"].items():
            plain[index] = {key: value for key, value in state.items() if not isinstance(value, Tensor)}
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{number}.{index}.{key}"] = value
        optimizer_notes.append(dict(type=type(each).__name__, groups=saved["param_groups"], plain=plain))
    notes = dict(
        format=FORMAT,
        config=model.config.to_dict(),
        step=step,
        optimizers=optimizer_notes,
        tokenizer=None if tokenizer is None else _pack_tokenizer(tokenizer),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, temporary, metadata={"next_token": json.dumps(notes)})
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def load_checkpoint(
    path: str | Path,
    model: Transformer | None = None,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
) -> Checkpoint:
    """Read a checkpoint. Without `model` one is built from the saved config, in evaluation mode, on the CPU.

    model, optimizer: loaded in place where given; the optimizers must be built like those that were saved.
    ValueError, in one line, for a file that is no checkpoint or is damaged, and for a model or an optimizer of another
    shape; FileNotFoundError where there is none. In those cases nothing has been changed.
    """
    path = _with_ending(path)
    if not path.is_file():
        raise FileNotFoundError(f"path={str(path)!r} does not exist: check the name, or save_checkpoint first")
    notes, tensors = _read(path)
    config = ModelConfig.from_dict(notes["config"])
    optimizers = _as_list(optimizer)
    if model is not None:
        _check_same_config(path, config, model.config)
    _check_same_optimizers(path, notes["optimizers"], optimizers)
    if model is None:
        model = Transformer(config).eval()
    weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    expected = _weights(model)
    if weights.keys() != expected.keys() or any(weights[name].shape != expected[name].shape for name in expected):
        raise ValueError(f"path={str(path)!r} does not hold the weights its config promises: save the checkpoint anew")
    model.load_state_dict(weights, strict=False)
    for number, (each, saved) in enumerate(zip(optimizers, notes["optimizers"])):
        state = {int(index): dict(values) for index, values in saved["plain"].items()}
        for name, tensor in tensors.items():
            if name.startswith(f"optimizer.{number}."):
                index, key = name.split(".")[2:]
                state[int(index)][key] = tensor
        each.load_state_dict(dict(state=state, param_groups=saved["groups"]))
    return Checkpoint(model, notes["step"], notes["tokenizer"] and _unpack_tokenizer(path, notes["tokenizer"]))


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """The state dict with every tensor once: safetensors refuses two names for one memory."""
    unique: dict[int, str] = {}
    state = model.state_dict()
    for name, tensor in state.items():
        unique.setdefault(tensor.data_ptr(), name)
    return {name: state[name] for name in unique.values()}


def _read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            notes = json.loads((file.metadata() or {})["next_token"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as problem:
        raise ValueError(f"path={str(path)!r} is damaged or no safetensors file ({problem}): save it anew") from None
    except (KeyError, json.JSONDecodeError):
        raise ValueError(f"path={str(path)!r} was not written by save_checkpoint: it has no notes of ours") from None
    if notes.get("format") != FORMAT:
        raise ValueError(f"path={str(path)!r} has format {notes.get('format')!r}, not {FORMAT!r}: update the course")
    return notes, tensors


def _check_same_config(path: Path, saved: ModelConfig, given: ModelConfig) -> None:
    saved_fields, given_fields = saved.to_dict(), given.to_dict()
    different = [f"{k}={saved_fields[k]!r} (the model has {given_fields[k]!r})" for k in saved_fields
                 if saved_fields[k] != given_fields.get(k)]  # fmt: skip
    if different:
        raise ValueError(
            f"path={str(path)!r} is a checkpoint of another config, with {', '.join(different)}: "
            "load it without model=, which builds the right one"
        )


def _check_same_optimizers(path: Path, saved: list[dict], given: list[Optimizer]) -> None:
    if not given:
        return
    sizes = [[len(group["params"]) for group in each["groups"]] for each in saved]
    given_sizes = [[len(group["params"]) for group in each.param_groups] for each in given]
    types, given_types = [each["type"] for each in saved], [type(each).__name__ for each in given]
    if types != given_types or sizes != given_sizes:
        raise ValueError(
            f"path={str(path)!r} holds the state of {types or 'no optimizer'} with groups of {sizes} parameters, but "
            f"optimizer is {given_types} with {given_sizes}: build them with the TrainConfig of the saved run"
        )


def _pack_tokenizer(tokenizer) -> dict:
    """A tokenizer as the text its own save() writes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tokenizer.json"
        tokenizer.save(file)
        return dict(type=type(tokenizer).__name__, saved=file.read_text(encoding="utf-8"))


def _unpack_tokenizer(path: Path, packed: dict):
    cls = getattr(text, packed["type"], None)
    if packed["type"] not in text.__all__ or not hasattr(cls, "load"):
        raise ValueError(f"path={str(path)!r} has a tokenizer of unknown type {packed['type']!r}: update the course")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tokenizer.json"
        file.write_text(packed["saved"], encoding="utf-8")
        return cls.load(file)


def _as_list(optimizer: Optimizer | Sequence[Optimizer] | None) -> list[Optimizer]:
    if optimizer is None:
        return []
    return [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer)


def _with_ending(path: str | Path) -> Path:
    path = Path(path)
    return path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")
