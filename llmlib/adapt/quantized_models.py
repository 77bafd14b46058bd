"""A whole model quantized in one call, and what it cost. Lecture 15."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from llmlib.model import TiedHead, replace_linears
from llmlib.train.losses import Batch

from .calibration import InputStatistics, as_batches, calibrate
from .fake_quantization import FakeQuantLinear
from .lora import lora_layers
from .quantization_methods import QUANTIZATION_METHODS, Form, check_form, quantized_layer, resolve
from .quantized_linears import FrozenLinear
from .rounding import GroupSize, check_bits, output_error, width


@dataclass(frozen=True)
class LayerReport:
    """What quantization did to one linear layer."""

    name: str
    shape: tuple[int, int]
    bits_per_weight: float
    """Scales included."""
    nbytes: int
    nbytes_before: int
    output_error: float
    """The error's share of the output's mean square, see `output_error`; of rounded activations it knows nothing."""


@dataclass(frozen=True)
class QuantizationReport:
    """What `quantize_model` did; print it for a summary."""

    method: str
    bits: int
    group_size: GroupSize
    layers: tuple[LayerReport, ...]
    """The head last, if it was quantized."""
    calibrated: bool
    """Whether the output errors are over real inputs, or over inputs that are independent and equally large."""

    @property
    def nbytes(self) -> int:
        """Bytes of the quantized layers' weights, scales included."""
        return sum(layer.nbytes for layer in self.layers)

    @property
    def nbytes_before(self) -> int:
        return sum(layer.nbytes_before for layer in self.layers)

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.nbytes / sum(layer.shape[0] * layer.shape[1] for layer in self.layers)

    @property
    def output_error(self) -> float:
        """The mean over the layers."""
        return sum(layer.output_error for layer in self.layers) / len(self.layers)

    def __str__(self) -> str:
        inputs = "calibration" if self.calibrated else "white"
        return (
            f"{self.method}, {self.bits} bits, group size {self.group_size}: {len(self.layers)} layers, "
            f"{self.bits_per_weight:.2f} bits a weight, {self.nbytes_before / 1e6:.2f} -> {self.nbytes / 1e6:.2f} MB, "
            f"output error {self.output_error:.2e} on {inputs} inputs"
        )


@torch.no_grad()
def quantize_model(
    model: nn.Module,
    method: str = "rtn",
    *,
    bits: int | None = None,
    group_size: GroupSize | None = None,
    calibration: Tensor | Iterable[Batch] | None = None,
    targets: str = "blocks.*",
    head: int | None = None,
    form: Form = "packed",
    sequential: bool = False,
) -> QuantizationReport:
    """Quantize the linear layers of a model whose names match; in place. Lecture 15.

    method:
      "absmax", "rtn": round to nearest, symmetric and asymmetric (`quantize`);
      "awq", "gptq": chosen for the layer's inputs, so they need `calibration`;
      "nf4": 16 unequal steps for normally distributed weights; the base of QLoRA;
      "q8_0", "q4_1": GGUF's blocks, bit for bit;
      "w8a8": 8-bit weights, one scale a row, and activations rounded to 8 bits on the spot.
    bits, group_size: None for the method's own, see `QUANTIZATION_METHODS`: mostly 4 and 32. Where it leaves them open,
    2 to 8, and any divisor of a layer's inputs, "channel" or "tensor". Scales are float16.
    calibration: ids (B, T), or batches as `next_token_loss` takes them. With any method it makes the report's output
    errors those on real inputs.
    targets: names as in `replace_linears`; embeddings and norms stay as they are.
    head: None leaves lm_head to `targets`; 8 rounds it symmetrically to 8 bits a row, fewer as "rtn" in groups of 32
    (in none where 32 does not divide). A head tied to the embedding gets codes of its own, the embedding stays.
    form: "packed" saves memory and unpacks whenever a layer runs, in full precision; "kernel" runs torch's int4 or int8
    kernels in bfloat16 while decoding on a CPU (4 bits in groups, or 8 bits with "absmax" and group_size="channel");
    "simulated" puts the rounded values back into plain linear layers, for measuring quality at full speed.
    sequential: calibrate each block anew on a model whose earlier blocks are quantized already, as GPTQ's authors do;
    it costs a pass over the calibration for each block.

    Cast a model to its type before it is quantized: a cast afterwards would round the scales again. Gradients flow
    through the quantized layers but not into them. -> `QuantizationReport`. ValueError, and the model as it was, for an
    unknown method, bits or group sizes that do not fit, an empty calibration or none where one is needed, a pattern
    that matches nothing, layers that are quantized already or of another make, and a model with a merged adapter.
    """
    bits, group_size = resolve(method, bits, group_size)
    check_form(form, method, bits, group_size)
    body = _find(model, targets, bits, group_size, head)
    if head is not None:
        check_bits(head)
        if not isinstance(getattr(model, "lm_head", None), nn.Linear):
            raise ValueError(f"head={head}, but the model has no linear lm_head: leave head out")
        _check_plain("lm_head", model.lm_head)
    if QUANTIZATION_METHODS[method].calibrated and calibration is None:
        raise ValueError(f"calibration=None, and {method} is chosen by what layers read: give batches of token ids")
    batches = None if calibration is None else as_batches(calibration)

    chosen = dict(method=method, bits=bits, group_size=group_size)
    names = [*body, "lm_head"] if head is not None else list(body)
    made: dict[str, tuple[nn.Module, LayerReport]] = {}
    originals = {name: model.get_submodule(name) for name in names}
    try:
        for together in _by_block(names) if sequential and batches else [names]:
            inputs = {} if batches is None else calibrate(model, batches, together)
            for name in together:
                options = _head_options(originals[name], head) if head is not None and name == "lm_head" else chosen
                made[name] = _made(name, originals[name], inputs.get(name), form, **options)
            if sequential:
                _put(model, {name: made[name][0] for name in together})
    except BaseException:
        _put(model, originals)
        raise
    _put(model, {name: module for name, (module, _) in made.items()})
    return QuantizationReport(method, bits, group_size, tuple(report for _, report in made.values()), bool(batches))


def _find(model: nn.Module, targets: str, bits: int, group_size: GroupSize, head: int | None) -> dict[str, nn.Linear]:
    """The layers that match, each module once; ValueError as `quantize_model` says."""
    if merged := [name for name, layer in lora_layers(model).items() if layer.merged is not None]:
        raise ValueError(
            f"{merged[0]} has an adapter merged into it: merge_lora(model, unwrap=True) or unmerge_lora first"
        )
    found: dict[str, nn.Linear] = {}
    seen: set[int] = set()
    for name, part in model.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if not name or not isinstance(part, nn.Linear) or not fnmatchcase(name, targets) or id(part) in seen or inside:
            continue
        if name == "lm_head" and head is not None:
            continue
        _check_plain(name, part)
        try:
            width(part.weight, group_size)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        seen.add(id(part))
        found[name] = part
    if not found:
        try:
            replace_linears(model, targets, lambda name, linear: linear)  # says what is wrong with the pattern
        except ValueError as error:
            raise ValueError(str(error).replace("pattern", "targets", 1)) from None
        raise ValueError(
            f"targets={targets!r} matches lm_head alone, which head={head} speaks of: leave one of them out"
        )
    return found


def _check_plain(name: str, part: nn.Module) -> None:
    if isinstance(part, FrozenLinear):
        raise ValueError(f"{name} is quantized already: load the model anew, or leave the layer out with targets=")
    if type(part) not in (nn.Linear, TiedHead, FakeQuantLinear):
        kind = type(part).__name__
        raise ValueError(f"{name} is a {kind}, not a plain linear layer: merge adapters first, or quantize before them")


def _head_options(linear: nn.Linear, bits: int) -> dict:
    if bits == 8:
        return dict(method="absmax", bits=8, group_size="channel")
    return dict(method="rtn", bits=bits, group_size=32 if linear.in_features % 32 == 0 else "channel")


def _made(
    name: str,
    linear: nn.Linear,
    inputs: InputStatistics | None,
    form: Form,
    method: str,
    bits: int,
    group_size: GroupSize,
) -> tuple[nn.Module, LayerReport]:
    """The module for a layer's place, and what to report of it."""
    module = quantized_layer(linear, inputs, method, bits, group_size, form)
    weight = linear.weight.detach()
    error = output_error(weight, module.weight, None if inputs is None else inputs.second_moment)
    report = LayerReport(
        name,
        tuple(weight.shape),
        8 * module.nbytes / weight.numel(),
        module.nbytes,
        weight.numel() * weight.itemsize,
        error,
    )
    return (_plain(linear, module.weight) if form == "simulated" else module), report


def _plain(linear: nn.Linear, weight: Tensor) -> nn.Linear:
    """A plain layer of the same kind with this weight, and the bias of the old one."""
    plain = nn.Linear(linear.in_features, linear.out_features, bias=False, device="meta")
    plain.weight = nn.Parameter(weight.to(linear.weight.dtype), requires_grad=linear.weight.requires_grad)
    plain.register_parameter("bias", linear.bias)
    return plain.train(linear.training)


def _by_block(names: Sequence[str]) -> list[list[str]]:
    """Names that are alike up to their first number stand together: all of blocks.0, all of blocks.1, lm_head."""
    chunks: dict[str, list[str]] = {}
    for name in names:
        block = re.match(r"(.*?\.)?\d+(?=\.)", name)
        chunks.setdefault(block[0] if block else name, []).append(name)
    return list(chunks.values())


def _put(model: nn.Module, modules: dict[str, nn.Module]) -> None:
    """Each module in its place, and wherever else the one that stands there stands."""
    for name, module in modules.items():
        old = model.get_submodule(name)
        if old is not module:
            places = [other for other, part in model.named_modules(remove_duplicate=False) if part is old]
            for place in places:
                parent, _, last = place.rpartition(".")
                setattr(model.get_submodule(parent), last, module)
