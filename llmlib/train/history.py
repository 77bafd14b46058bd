"""What a run has seen so far: the numbers every loss curve is drawn from."""

from dataclasses import dataclass, field


@dataclass
class History:
    """Losses in nats per token.

    `steps`, `train_loss` and `seconds` have one entry per update: its number (from 1), the loss of its batch before the
    update, and the training time so far, evaluations and callbacks left out. `val_steps`, `val_loss` and `val_seconds`
    have one entry per evaluation; val_steps counts finished updates, so 0 is the untrained model.
    """

    steps: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    val_steps: list[int] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_seconds: list[float] = field(default_factory=list)

    @property
    def training_seconds(self) -> float:
        """Time spent in updates so far."""
        return self.seconds[-1] if self.seconds else 0.0

    def seconds_to(self, loss: float) -> float | None:
        """Training time at the first evaluation with at most this validation loss; None if it was never reached."""
        return next((s for s, value in zip(self.val_seconds, self.val_loss) if value <= loss), None)
