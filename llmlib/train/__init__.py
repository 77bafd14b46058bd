"""Training: the loop, optimizers, schedules, checkpoints, and the losses to beat."""

from llmlib.train.adamw import AdamW
from llmlib.train.averaging import WeightAverage
from llmlib.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from llmlib.train.config import TrainConfig
from llmlib.train.evaluation import count_baselines, evaluate_loss, evaluation_mode, mean_loss
from llmlib.train.history import History
from llmlib.train.loop import Callback, Trainer, accumulate_gradients
from llmlib.train.losses import bits, mean_cross_entropy, next_token_loss, token_loss
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

__all__ = [
    "SGD",
    "SOAP",
    "AdamW",
    "Callback",
    "Checkpoint",
    "History",
    "Muon",
    "PowerLaw",
    "ProgressBar",
    "ScalingLaw",
    "TrainConfig",
    "Trainer",
    "WeightAverage",
    "accumulate_gradients",
    "bits",
    "bootstrap",
    "build_optimizers",
    "cosine_schedule",
    "count_baselines",
    "envelope",
    "evaluate_loss",
    "evaluation_mode",
    "fit_isoflop",
    "fit_power_law",
    "fit_scaling_law",
    "group_parameters",
    "interval",
    "load_checkpoint",
    "mean_cross_entropy",
    "mean_loss",
    "next_token_loss",
    "optimizer_names",
    "orthogonalize",
    "register_optimizer",
    "route_parameters",
    "save_checkpoint",
    "token_loss",
    "train_preset",
    "train_presets",
    "wsd_schedule",
]
