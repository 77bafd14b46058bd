"""Training: the loop, optimizers, schedules, checkpoints, and the losses to beat."""

from llmlib.train.adamw import AdamW
from llmlib.train.averaging import WeightAverage
from llmlib.train.bits_per_byte import BitsPerByte, bits_per_byte, document_nats
from llmlib.train.callbacks import SaveEvery, StopEarly, WriteMetrics, read_metrics
from llmlib.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from llmlib.train.config import TrainConfig
from llmlib.train.energy import CARBON_INTENSITY, EnergyMeter, co2_grams, training_joules
from llmlib.train.evaluation import count_baselines, evaluate_loss, evaluation_mode, mean_loss
from llmlib.train.history import History
from llmlib.train.loop import Callback, Trainer, accumulate_gradients
from llmlib.train.losses import bits, mean_cross_entropy, next_token_loss, token_loss
from llmlib.train.memory import Memory, MemoryPlan, activation_bytes, memory_plan, training_memory
from llmlib.train.muon import Muon, orthogonalize
from llmlib.train.parameter_groups import build_optimizers, group_parameters, route_parameters
from llmlib.train.presets import train_preset, train_presets
from llmlib.train.progress import ProgressBar
from llmlib.train.registry import optimizer_names, register_optimizer
from llmlib.train.scaling import (
    PowerLaw,
    ScalingLaw,
    bootstrap,
    envelope,
    fit_isoflop,
    fit_power_law,
    fit_scaling_law,
    interval,
)
from llmlib.train.schedules import cosine_schedule, wsd_schedule
from llmlib.train.sgd import SGD
from llmlib.train.soap import SOAP
from llmlib.train.throughput import matmul_peak, mfu

__all__ = [
    "CARBON_INTENSITY",
    "SGD",
    "SOAP",
    "AdamW",
    "BitsPerByte",
    "Callback",
    "Checkpoint",
    "EnergyMeter",
    "History",
    "Memory",
    "MemoryPlan",
    "Muon",
    "PowerLaw",
    "ProgressBar",
    "SaveEvery",
    "ScalingLaw",
    "StopEarly",
    "TrainConfig",
    "Trainer",
    "WeightAverage",
    "WriteMetrics",
    "accumulate_gradients",
    "activation_bytes",
    "bits",
    "bits_per_byte",
    "bootstrap",
    "build_optimizers",
    "co2_grams",
    "cosine_schedule",
    "count_baselines",
    "document_nats",
    "envelope",
    "evaluate_loss",
    "evaluation_mode",
    "fit_isoflop",
    "fit_power_law",
    "fit_scaling_law",
    "group_parameters",
    "interval",
    "load_checkpoint",
    "matmul_peak",
    "mean_cross_entropy",
    "mean_loss",
    "memory_plan",
    "mfu",
    "next_token_loss",
    "optimizer_names",
    "orthogonalize",
    "read_metrics",
    "register_optimizer",
    "route_parameters",
    "save_checkpoint",
    "token_loss",
    "train_preset",
    "train_presets",
    "training_joules",
    "training_memory",
    "wsd_schedule",
]
