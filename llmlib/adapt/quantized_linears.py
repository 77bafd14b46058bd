"""Linear layers whose weight is kept as codes: nn.Linear's interface, so that whoever runs the model never knows.

`weight` is a property that unpacks; there is no parameter but the bias, nothing of the weight is trained, and an
adapter may be put around such a layer (QLoRA, Dettmers et al., 2023: LoRA on an NF4 base). Lecture 15.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import kernels
from .packing import pack_bits, unpack_bits
from .rounding import Quantized

FEW_ROWS = 16  # up to so many vectors at once, as in decoding, a packed kernel wins; beyond, unpacking pays


class FrozenLinear(nn.Linear):
    """What the layers of this module share: y = (x / input_scale) W^T + b with W from `unpacked`.

    `weight` is W with the input's scale taken in, float32 (out_features, in_features), made anew at each look, of
    which nothing is kept for the backward pass: gradients flow to the input and the bias.
    """

    def __init__(self, like: nn.Linear, input_scale: Tensor | None = None):
        nn.Module.__init__(self)
        self.in_features, self.out_features = like.in_features, like.out_features
        self.register_parameter("bias", like.bias)
        self.register_buffer("input_scale", None if input_scale is None else input_scale.half())

    def unpacked(self) -> Tensor:
        """The matrix as it was rounded: (out_features, in_features), float32."""
        raise NotImplementedError

    @property
    def weight(self) -> Tensor:
        weight = self.unpacked()
        return weight if self.input_scale is None else weight / self.input_scale.float()

    @property
    def nbytes(self) -> int:
        """Bytes of everything in place of the weight; the bias is not counted."""
        return sum(buffer.numel() * buffer.itemsize for name, buffer in self.named_buffers() if name != "levels")

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features), in the type of x."""
        y = _FrozenProduct.apply(x, self)
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def scaled(self, x: Tensor) -> Tensor:
        return x if self.input_scale is None else x / self.input_scale.to(x.dtype)


class _FrozenProduct(torch.autograd.Function):
    """x W^T that unpacks W once more for its backward pass instead of keeping it."""

    @staticmethod
    def forward(ctx, x: Tensor, linear: FrozenLinear) -> Tensor:
        ctx.linear = linear
        return F.linear(x, linear.weight.to(x.dtype))

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return grad @ ctx.linear.weight.to(grad.dtype), None


class QuantizedLinear(FrozenLinear):
    """Any `Quantized` matrix as a layer: codes packed without gaps, unpacked whenever the layer runs.

    It saves memory, not time. input_scale: (in_features,), what the columns were multiplied by before rounding
    (`awq_scales`).
    """

    def __init__(self, like: nn.Linear, quantized: Quantized, input_scale: Tensor | None = None):
        super().__init__(like, input_scale)
        self.bits, self.signed = quantized.bits, quantized.codes.dtype == torch.int8
        self.register_buffer("packed", pack_bits(quantized.codes, quantized.bits))
        for name in ("scale", "offset", "levels"):
            self.register_buffer(name, getattr(quantized, name))

    @property
    def quantized(self) -> Quantized:
        codes = unpack_bits(self.packed, self.bits, self.in_features, self.signed)
        return Quantized(codes, self.scale, self.bits, self.offset, self.levels)

    def unpacked(self) -> Tensor:
        return self.quantized.dequantize()

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, bits={self.bits}, groups={self.scale.shape[-1]}"


class Int4Linear(FrozenLinear):
    """4-bit weights times 16-bit activations (w4a16), for decoding on a CPU.

    Up to 16 vectors at once go through torch's int4 kernel in bfloat16, whatever the type of x; more, as in reading a
    prompt, or a pass that needs gradients, through the unpacked matrix in the type of x. The kernel wants its own
    order of the codes: made at the first call, kept beside them and not saved, another 4 bits a weight. Scales are
    bfloat16. Where the kernel is missing, or the matrix has a shape that it does not take, its plain twin runs.
    """

    def __init__(self, like: nn.Linear, quantized: Quantized, input_scale: Tensor | None = None):
        super().__init__(like, input_scale)
        if quantized.bits != 4 or quantized.levels is not None or quantized.scale.shape[0] != like.out_features:
            raise ValueError(
                f"quantized has {quantized.bits} bits and scales {tuple(quantized.scale.shape)}: Int4Linear takes 4 "
                "bits in groups or channels with even steps"
            )
        self.group_size = like.in_features // quantized.scale.shape[1]
        shift = 8 if quantized.offset is None else 0  # the kernel's codes are 0..15 and mean code - 8
        self.register_buffer("packed", pack_bits(quantized.codes.to(torch.int16) + shift, 4))
        scale = quantized.scale.bfloat16().float()
        zero = torch.zeros_like(scale) if quantized.offset is None else quantized.offset.float() + 8 * scale
        self.register_buffer("scales_and_zeros", torch.stack([scale.T, zero.T], -1).bfloat16().contiguous())
        self._layout: Tensor | None = None

    def codes(self) -> Tensor:
        return unpack_bits(self.packed, 4, self.in_features)

    def unpacked(self) -> Tensor:
        return kernels.int4_weight(self.codes(), self.scales_and_zeros, self.group_size)

    def forward(self, x: Tensor) -> Tensor:
        if _wants_gradient(x) or x.numel() > FEW_ROWS * self.in_features:
            return super().forward(x)
        rows, scales = self.scaled(x).reshape(-1, self.in_features).bfloat16(), self.scales_and_zeros.bfloat16()
        if self.runs_kernel():
            if self._layout is None or self._layout.device != x.device:
                with torch.inference_mode(False):  # it outlives the request that first needs it
                    self._layout = kernels.int4_layout(self.codes())
            y = kernels.int4_matmul(rows, self._layout, scales, self.group_size)
        else:
            y = kernels.int4_matmul_plain(rows, self.codes(), scales, self.group_size)
        return _finished(y, x, self)

    def runs_kernel(self) -> bool:
        """Whether torch's kernel is there and takes this matrix."""
        fits = kernels.int4_fits(self.out_features, self.in_features, self.group_size)
        return fits and self.packed.device.type == "cpu" and kernels.has_kernel("int4")

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        self._layout = None
        super()._load_from_state_dict(*args, **kwargs)


class Int8Linear(FrozenLinear):
    """8-bit weights times 16-bit activations (w8a16), one scale a row; otherwise as `Int4Linear`, without a copy."""

    def __init__(self, like: nn.Linear, quantized: Quantized, input_scale: Tensor | None = None):
        super().__init__(like, input_scale)
        _check_rows_of_int8(quantized, like, type(self).__name__)
        self.register_buffer("codes", quantized.codes.contiguous())
        self.register_buffer("scale", quantized.scale[:, 0].bfloat16())

    def unpacked(self) -> Tensor:
        return self.codes.float() * self.scale.float()[:, None]

    def forward(self, x: Tensor) -> Tensor:
        if _wants_gradient(x) or x.numel() > FEW_ROWS * self.in_features:
            return super().forward(x)
        rows = self.scaled(x).reshape(-1, self.in_features).bfloat16()
        product = kernels.int8_matmul if self.runs_kernel() else kernels.int8_matmul_plain
        return _finished(product(rows, self.codes, self.scale.bfloat16()), x, self)

    def runs_kernel(self) -> bool:
        """Whether torch's kernel is there."""
        return self.codes.device.type == "cpu" and kernels.has_kernel("int8")


class W8A8Linear(FrozenLinear):
    """8-bit weights times activations rounded to 8 bits on the spot, an integer product: see `w8a8_matmul`.

    In a pass that needs gradients the activations stay as they are.
    """

    def __init__(self, like: nn.Linear, quantized: Quantized):
        super().__init__(like)
        _check_rows_of_int8(quantized, like, type(self).__name__)
        self.register_buffer("codes", quantized.codes.contiguous())
        self.register_buffer("scale", quantized.scale[:, 0].clone())

    def unpacked(self) -> Tensor:
        return self.codes.float() * self.scale.float()[:, None]

    def forward(self, x: Tensor) -> Tensor:
        if _wants_gradient(x):
            return super().forward(x)
        rows = x.reshape(-1, self.in_features)
        return _finished(kernels.w8a8_matmul(rows, self.codes, self.scale, self.runs_kernel()), x, self)

    def runs_kernel(self) -> bool:
        """Whether torch's kernel is there."""
        return self.codes.device.type == "cpu" and kernels.has_kernel("w8a8")


def _wants_gradient(x: Tensor) -> bool:
    return torch.is_grad_enabled() and x.requires_grad


def _finished(y: Tensor, x: Tensor, linear: nn.Linear) -> Tensor:
    """(n, n_out) in the shape and type of x, with the bias."""
    y = y.to(x.dtype).view(*x.shape[:-1], linear.out_features)
    return y if linear.bias is None else y + linear.bias.to(y.dtype)


def _check_rows_of_int8(quantized: Quantized, like: nn.Linear, name: str) -> None:
    if quantized.codes.dtype != torch.int8 or quantized.bits != 8 or quantized.scale.shape != (like.out_features, 1):
        raise ValueError(
            f"quantized has {quantized.bits} bits, {quantized.codes.dtype} codes and scales "
            f"{tuple(quantized.scale.shape)}: {name} takes quantize(weight, 8, 'channel', symmetric=True)"
        )
