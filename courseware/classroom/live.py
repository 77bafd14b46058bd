"""The loss of a run, drawn while it runs."""

import math
import time
from collections.abc import Sequence
from typing import Protocol

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.figure import Figure

from courseware.classroom.pictures import COLORS, image_html, render

POINTS = 400  # more would not be seen


class Run(Protocol):
    """What this looks at: a Trainer."""

    step: int
    history: object
    config: object


class LiveCurve:
    """A Trainer's callback that redraws its losses in the cell's output, every `seconds` and at the end.

        Trainer(model, config, tokens, evaluate=held_out, callbacks=[LiveCurve()]).run()

    Training loss thin and, from 50 updates on, smoothed; held-out loss with dots. What stays on the page is one picture
    with alternative text, however often it was redrawn.
    """

    def __init__(self, seconds: float = 2.0, *, y: str = "nats per token", scale: float = 1.0) -> None:
        """scale: what losses are multiplied with; 1 / ln 2 (and y="bits per ...") for bits."""
        if seconds < 0 or scale <= 0:
            raise ValueError(f"seconds={seconds} must not be negative and scale={scale} must be positive")
        self.seconds, self.y, self.scale = seconds, y, scale
        self._drawn_at = -math.inf
        self._handle = None

    def __call__(self, trainer: Run, event: str) -> None:
        if event == "start":
            self._handle, self._drawn_at = None, -math.inf
        due = time.monotonic() - self._drawn_at >= self.seconds
        if trainer.history.steps and (event == "end" or (event in ("step", "eval") and due)):
            self._show(trainer)
            self._drawn_at = time.monotonic()

    def _show(self, trainer: Run) -> None:
        alt = self.alt(trainer)
        picture = {"text/html": image_html(render(self.draw(trainer)), alt), "text/plain": alt}
        if self._handle is None:
            self._handle = display(picture, raw=True, display_id=True)
        else:
            self._handle.update(picture, raw=True)

    def draw(self, trainer: Run) -> Figure:
        """The figure of the run so far."""
        history = trainer.history
        fig, ax = plt.subplots()
        every = max(1, len(history.steps) // POINTS)
        losses = self.scale * np.array(history.train_loss)
        ax.plot(history.steps[::every], losses[::every], color=COLORS["sky"], linewidth=1, label="training")
        if len(losses) >= 50:
            ax.plot(history.steps[::every], smoothed(losses)[::every], color=COLORS["blue"], label="training, smoothed")
        if history.val_loss:
            held_out = self.scale * np.array(history.val_loss)
            ax.plot(history.val_steps, held_out, "o-", color=COLORS["orange"], label="held out")
        ax.set(xlabel="update", ylabel=self.y, xlim=(0, max(trainer.config.steps, history.steps[-1])))
        ax.legend()
        return fig

    def alt(self, trainer: Run) -> str:
        """The picture in words."""
        history = trainer.history
        first, last = self.scale * history.train_loss[0], self.scale * history.train_loss[-1]
        text = f"Training loss from {first:.2f} to {last:.2f} {self.y} in {trainer.step} updates"
        return f"{text}; held out {self.scale * history.val_loss[-1]:.2f}." if history.val_loss else f"{text}."


def smoothed(losses: Sequence[float], share: float = 0.05) -> np.ndarray:
    """A running mean whose weights fall off over `share` of the losses, without the pull of a start at zero."""
    keep = 1 - 1 / max(2.0, share * len(losses))
    total = weight = 0.0
    means = []
    for loss in losses:
        total, weight = keep * total + loss, keep * weight + 1
        means.append(total / weight)
    return np.array(means)
