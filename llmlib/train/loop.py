"""The training loop: draw a batch, measure the loss, follow the gradient, look at the validation split now and then."""

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from llmlib.data.batches import random_batch
from llmlib.model import default_device
from llmlib.train.averaging import WeightAverage
from llmlib.train.config import DTYPES, TrainConfig
from llmlib.train.evaluation import evaluate_loss, token_loss
from llmlib.train.history import History
from llmlib.train.parameter_groups import build_optimizers
from llmlib.train.progress import ProgressBar
from llmlib.train.schedules import cosine_schedule, wsd_schedule

Callback = Callable[["Trainer", str], None]


def clip_gradients(parameters: Sequence[Tensor], max_norm: float) -> float:
    """Scale all gradients by one factor so that their joint norm is at most max_norm. Returns the norm before.

    One factor for all of them keeps the direction of the step; clipping tensor by tensor would turn it
    (Pascanu et al., 2013; lecture 07). max_norm 0 leaves the gradients alone.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return 0.0
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    if max_norm > 0:
        torch._foreach_mul_(gradients, (max_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm.item()


def accumulate_gradients(
    model: Callable[[Tensor], Tensor],
    parts: Sequence[tuple[Tensor, Tensor]],
    autocast: AbstractContextManager | None = None,
) -> float:
    """Add the gradient of the mean loss over all parts to the parameters' .grad; returns that mean, in nats per token.

    parts: (x, y) pairs of (B, T) ids and targets, where a target of -100 is left out. Every token weighs the same, so
    the result is that of one large batch even when the parts hold different numbers of targets; the mean of the parts'
    means would not be (lecture 07).
    """
    n_targets = sum((y != -100).sum() for _, y in parts)
    total: Tensor | float = 0.0
    for x, y in parts:
        with autocast or nullcontext():
            loss = token_loss(model(x), y) / n_targets
        loss.backward()
        total += loss.detach()
    return float(total)


class Trainer:
    """Train a model on an array of token ids. Built in lecture 03.

        history = Trainer(model, TrainConfig(steps=400), train_tokens, val_tokens).run()

    model: maps (B, T) ids to (B, T, V) logits; it is moved to the config's device. train_tokens, val_tokens: (N,) ids.
    callbacks are called as `callback(trainer, event)` with event "start", "step" (after each update), "eval" (after
    each evaluation) or "end"; they may read `trainer.step`, `.history`, `.model` and `.config`, and set
    `trainer.stop = True` to end the run. `run` leaves the model in evaluation mode, with
    its averaged weights if `config.average` is set.
    The same seed, model and thread count give the same run. `train_step()` makes one update by itself.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        train_tokens: Tensor,
        val_tokens: Tensor | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        limit = getattr(getattr(model, "config", None), "max_seq_len", None)
        if limit is not None and config.seq_len > limit:
            raise ValueError(f"seq_len={config.seq_len} exceeds the model's max_seq_len={limit}: lower seq_len")
        for name, tokens in (("train_tokens", train_tokens), ("val_tokens", val_tokens)):
            if tokens is not None:
                _check_tokens(name, tokens, model, at_least=config.seq_len + 1 if name == "train_tokens" else 2)
        self.config = config
        self.device = torch.device(config.device or default_device())
        self.model = model.to(self.device)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        if not self.parameters:
            raise ValueError("model has no trainable parameter: unfreeze some with requires_grad_(True)")
        self.optimizers = build_optimizers(model, config)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["base_lr"] = group["lr"]
        self.average = WeightAverage(self.parameters, config.average) if config.average else None
        self.train_tokens = train_tokens.to(self.device)
        self.val_tokens = val_tokens
        self.callbacks = list(callbacks)
        self.history = History()
        self.step = 0  # finished updates
        self.stop = False
        self.progress: ProgressBar | None = None
        self._generator = torch.Generator().manual_seed(config.seed)
        self._forward = _compiled(model) if config.compile else model

    def learning_rate_share(self, step: int) -> float:
        """The schedule's multiplier for the update after `step` finished ones."""
        c = self.config
        if c.schedule == "cosine":
            return cosine_schedule(step, c.steps, warmup_steps=c.warmup_steps, final=c.final_lr)
        return wsd_schedule(
            step, c.steps, warmup_steps=c.warmup_steps, decay_fraction=c.decay_fraction, final=c.final_lr
        )

    def draw_batch(self) -> tuple[Tensor, Tensor]:
        """x and y, both (batch_size, seq_len), on the device. Override it to train on anything else."""
        return random_batch(self.train_tokens, self.config.batch_size, self.config.seq_len, self._generator)

    def train_step(self) -> float:
        """One update; returns the mean loss of its batch before the update, in nats per token."""
        started = time.perf_counter()
        self.model.train()
        share = self.learning_rate_share(self.step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * share
        parts = [self.draw_batch() for _ in range(self.config.accumulate)]
        loss = accumulate_gradients(self._forward, parts, self._autocast())
        if self.config.grad_clip:
            clip_gradients(self.parameters, self.config.grad_clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.update()
        self.step += 1
        self.history.steps.append(self.step)
        self.history.train_loss.append(loss)
        self.history.seconds.append(self.history.training_seconds + time.perf_counter() - started)
        return loss

    def evaluate(self) -> float:
        """Loss over the full validation split, noted in the history."""
        if self.val_tokens is None:
            raise ValueError("val_tokens is None: give the Trainer a validation split to evaluate on")
        with self.averaged(), self._autocast():
            loss = evaluate_loss(self.model, self.val_tokens, self.config.seq_len)
        self.history.val_steps.append(self.step)
        self.history.val_loss.append(loss)
        self.history.val_seconds.append(self.history.training_seconds)
        self._announce("eval")
        return loss

    def averaged(self) -> AbstractContextManager:
        """Within this context the model has its averaged weights, if the config asks for an average."""
        return self.average.applied() if self.average else nullcontext()

    def run(self) -> History:
        """Train until config.steps updates are done, or a callback sets `stop`; returns the history."""
        self.progress = ProgressBar(self.config.steps) if self.config.progress else None
        self._announce("start")
        if self.val_tokens is not None and self.step == 0:
            self.evaluate()
        while self.step < self.config.steps and not self.stop:
            loss = self.train_step()
            if self.progress:
                self.progress.update(self.step, self._note(loss))
            self._announce("step")
            every = self.config.eval_every
            if self.val_tokens is not None and (self.step == self.config.steps or (every and self.step % every == 0)):
                self.evaluate()
        if self.progress:
            self.progress.close()
        if self.average:
            self.average.keep()
        self.model.eval()
        self._announce("end")
        return self.history

    def _announce(self, event: str) -> None:
        for callback in self.callbacks:
            callback(self, event)

    def _autocast(self) -> AbstractContextManager:
        dtype = DTYPES[self.config.dtype]
        return nullcontext() if dtype == torch.float32 else torch.autocast(self.device.type, dtype)

    def _note(self, loss: float) -> str:
        note = f"loss {loss:.2f}"
        past = self.history
        return f"{note}, held out {past.val_loss[-1]:.2f} at step {past.val_steps[-1]}" if past.val_loss else note


def _check_tokens(name: str, tokens: Tensor, model: nn.Module, at_least: int) -> None:
    if not isinstance(tokens, Tensor) or tokens.ndim != 1:
        shape = tuple(tokens.shape) if isinstance(tokens, Tensor) else type(tokens).__name__
        raise ValueError(f"{name} must be a one-dimensional tensor of token ids, got {shape}: use torch.tensor(ids)")
    if len(tokens) < at_least:
        raise ValueError(f"{name} holds {len(tokens)} ids but at least {at_least} are needed: give more text")
    vocab_size = getattr(getattr(model, "config", None), "vocab_size", None)
    largest, smallest = int(tokens.max()), int(tokens.min())
    if vocab_size is not None and (largest >= vocab_size or smallest < 0):
        culprit = largest if largest >= vocab_size else smallest
        raise ValueError(f"{name} holds id {culprit}, outside the model's vocab_size={vocab_size}: check the tokenizer")


def _compiled(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """The compiled model, or the model itself with a warning if compiling fails at the first call."""
    compiled = torch.compile(model)
    works: list[bool] = []

    def forward(ids: Tensor) -> Tensor:
        if works == [False]:
            return model(ids)
        try:
            logits = compiled(ids)
        except Exception as problem:
            if works:  # it ran before, so this is not about compiling
                raise
            works.append(False)
            first_line = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
            warnings.warn(f"torch.compile failed, training goes on without it ({first_line})", stacklevel=2)
            return model(ids)
        if not works:
            works.append(True)
        return logits

    return forward
