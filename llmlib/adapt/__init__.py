"""Efficient models: LoRA and its family (lecture 14), quantization and distillation (lecture 15)."""

from .adapter_files import AdapterFile, fingerprint, load_adapter, read_adapter, save_adapter
from .adapters import (
    active_adapter,
    adapter_names,
    apply_lora,
    merge_lora,
    remove_lora,
    set_adapter,
    unmerge_lora,
)
from .awq import awq_scales
from .blockwise import BlockwiseMatrix, blockwise_matmul_plain, pack_tiles, round_activations
from .bottleneck import Bottleneck, add_bottlenecks
from .calibration import InputStatistics, calibrate
from .distillation import (
    DistillationLoss,
    HiddenStateLoss,
    attach_projections,
    distillation_kl,
    drop_projections,
    hidden_distance,
)
from .fake_quantization import FakeQuantLinear, fake_quantize, prepare_qat
from .family import apply_peft, peft_methods
from .fast_decoding import FastDecoder, fast_decoder
from .generated_targets import OnPolicyLoss, teacher_batches
from .gguf_encoding import from_blocks, quantize_q4_1, quantize_q8_0, to_blocks
from .gptq import quantize_gptq
from .lora import LoRAConfig, LoRALinear, LoRAWeights, lora_layers
from .native import NativeError, NativeKernel, native_kernel
from .nf4 import nf4_levels, quantize_nf4
from .packing import pack_bits, pack_int4, unpack_bits, unpack_int4
from .prefix import PrefixAttention, add_prefix, prefix_cache
from .prompt import PromptedTransformer, add_soft_prompt
from .quantization_methods import QUANTIZATION_METHODS
from .quantized_linears import FrozenLinear, Int4Linear, Int8Linear, QuantizedLinear, W8A8Linear
from .quantized_models import LayerReport, QuantizationReport, quantize_model
from .rounding import Quantized, output_error, quantize
from .selection import tune_all, tune_last_layers, tune_norms
from .vectors import Shifted, Stretched, add_ia3, merge_ia3, tune_biases
from .wrapping import PeftReport

__all__ = [
    "QUANTIZATION_METHODS",
    "AdapterFile",
    "BlockwiseMatrix",
    "Bottleneck",
    "DistillationLoss",
    "FakeQuantLinear",
    "FastDecoder",
    "FrozenLinear",
    "HiddenStateLoss",
    "InputStatistics",
    "Int4Linear",
    "Int8Linear",
    "LayerReport",
    "LoRAConfig",
    "LoRALinear",
    "LoRAWeights",
    "NativeError",
    "NativeKernel",
    "OnPolicyLoss",
    "PeftReport",
    "PrefixAttention",
    "PromptedTransformer",
    "QuantizationReport",
    "Quantized",
    "QuantizedLinear",
    "Shifted",
    "Stretched",
    "W8A8Linear",
    "active_adapter",
    "adapter_names",
    "add_bottlenecks",
    "add_ia3",
    "add_prefix",
    "add_soft_prompt",
    "apply_lora",
    "apply_peft",
    "attach_projections",
    "awq_scales",
    "blockwise_matmul_plain",
    "calibrate",
    "distillation_kl",
    "drop_projections",
    "fake_quantize",
    "fast_decoder",
    "fingerprint",
    "from_blocks",
    "hidden_distance",
    "load_adapter",
    "lora_layers",
    "merge_ia3",
    "merge_lora",
    "native_kernel",
    "nf4_levels",
    "output_error",
    "pack_bits",
    "pack_int4",
    "pack_tiles",
    "peft_methods",
    "prefix_cache",
    "prepare_qat",
    "quantize",
    "quantize_gptq",
    "quantize_model",
    "quantize_nf4",
    "quantize_q4_1",
    "quantize_q8_0",
    "read_adapter",
    "remove_lora",
    "round_activations",
    "save_adapter",
    "set_adapter",
    "teacher_batches",
    "to_blocks",
    "tune_all",
    "tune_biases",
    "tune_last_layers",
    "tune_norms",
    "unmerge_lora",
    "unpack_bits",
    "unpack_int4",
]
