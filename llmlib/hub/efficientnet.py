"""EfficientNet-Lite0: a convolutional network that has seen ImageNet, as eyes that are frozen. Lecture 19.

Tan and Le (2019); the Lite models (2020) leave out squeeze-and-excitation and use ReLU6. 4.65 million parameters.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llmlib.data import fetch

# expansion, channels, repeats, stride of the first, kernel
STAGES = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5))
STAGES += ((6, 320, 1, 1, 3),)
EPS = 1e-3


class EfficientNetLite(nn.Module):
    """(B, 3, H, W) pictures in [0, 1] -> (B, 1000) logits of ImageNet's classes; trained on 224 x 224.

    `features` gives what lies before the classes: (B, 1280, H / 32, W / 32), at 224 pixels 49 places.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _ConvNorm(3, 32, 3, stride=2)
        self.blocks = nn.ModuleList()
        channels = 32
        for expansion, wide, repeats, stride, kernel in STAGES:
            for i in range(repeats):
                self.blocks.append(_InvertedResidual(channels, wide, expansion, kernel, stride if i == 0 else 1))
                channels = wide
        self.last = _ConvNorm(channels, 1280, 1)
        self.classifier = nn.Linear(1280, 1000)

    def features(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 1280, ceil(H / 32), ceil(W / 32))."""
        if pictures.dim() != 4 or pictures.shape[1] != 3 or not pictures.is_floating_point():
            raise ValueError(
                f"pictures is {tuple(pictures.shape)} of {pictures.dtype}: give (B, 3, H, W) floats from 0 to 1"
            )
        x = self.stem((255 * pictures - 127) / 128)
        for block in self.blocks:
            x = block(x)
        return self.last(x)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.classifier(self.features(pictures).mean((2, 3)))


def load_efficientnet(device: str | torch.device | None = None) -> EfficientNetLite:
    """The network with its published weights (asset "efficientnet-lite0", Apache-2.0, 19 MB), in evaluation mode."""
    published = torch.load(fetch("efficientnet-lite0"), map_location="cpu", weights_only=True)
    model = EfficientNetLite()
    model.load_state_dict({_ours(name): weight for name, weight in published.items()}, strict=True)
    return model.eval().to(device or "cpu")


class _ConvNorm(nn.Module):
    """Convolution, batch norm, ReLU6; padded as TensorFlow pads: the odd pixel to the right and below."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, depthwise: bool = False, relu: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, groups=c_in if depthwise else 1, bias=False)
        self.norm = nn.BatchNorm2d(c_out, eps=EPS)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.conv.kernel_size, self.conv.stride
        sides = []
        for size in (x.shape[3], x.shape[2]):
            missing = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            sides += [missing // 2, missing - missing // 2]
        x = self.norm(self.conv(F.pad(x, sides)))
        return F.relu6(x) if self.relu else x


class _InvertedResidual(nn.Module):
    """Wider, a filter for each channel, narrower again; around it a residual where the shape stays (MobileNetV2)."""

    def __init__(self, c_in: int, c_out: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        inside = c_in * expansion
        self.expand = _ConvNorm(c_in, inside, 1) if expansion != 1 else None
        self.depthwise = _ConvNorm(inside, inside, kernel, stride, depthwise=True)
        self.project = _ConvNorm(inside, c_out, 1, relu=False)
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        inside = self.depthwise(x if self.expand is None else self.expand(x))
        return x + self.project(inside) if self.residual else self.project(inside)


PARTS = {"_expand_conv": "expand.conv", "_bn0": "expand.norm", "_depthwise_conv": "depthwise.conv"}
PARTS |= {"_bn1": "depthwise.norm", "_project_conv": "project.conv", "_bn2": "project.norm"}
ENDS = {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "last.conv", "_bn1": "last.norm"}
ENDS |= {"_fc": "classifier"}


def _ours(name: str) -> str:
    """The published name of a weight -> ours."""
    parts = name.split(".")
    if parts[0] == "_blocks":
        return f"blocks.{parts[1]}.{PARTS[parts[2]]}.{parts[3]}"
    return f"{ENDS[parts[0]]}.{parts[1]}"
