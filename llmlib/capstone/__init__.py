"""From raw text to a chat model of one's own, in ten stages that go on where they were interrupted (lecture 20)."""

from .card import model_card
from .chatting import Assistant
from .monitoring import Monitor, drift
from .pipeline import Pipeline, StageRecord
from .settings import PRESETS, CapstoneSettings, capstone_preset
from .stages import STAGES
from .workshop import Workshop

__all__ = [
    "PRESETS",
    "STAGES",
    "Assistant",
    "CapstoneSettings",
    "Monitor",
    "Pipeline",
    "StageRecord",
    "Workshop",
    "capstone_preset",
    "drift",
    "model_card",
]
