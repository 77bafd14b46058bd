"""The training loop: draw a batch, measure the loss, follow the gradient, look at the held-out split now and then."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, get_total_norm
from torch.optim import Optimizer

from llmlib.data.batches import RandomWindows
from llmlib.model import default_device
from llmlib.train import distributed
from llmlib.train.averaging import WeightAverage
from llmlib.train.checkpoint import Checkpoint, Contents, save_checkpoint
from llmlib.train.compiled import Compiled
from llmlib.train.config import DTYPES, TrainConfig
from llmlib.train.evaluation import mean_loss, split_batches
from llmlib.train.feed import Feed, to_device
from llmlib.train.history import History
from llmlib.train.interrupts import finish_on_interrupt
from llmlib.train.losses import Batch, Loss, next_token_loss, refuse_readers
from llmlib.train.parameter_groups import build_optimizers
from llmlib.train.progress import ProgressBar
from llmlib.train.schedules import cosine_schedule, wsd_schedule
from llmlib.train.state import collect_state, prepare_state

Callback = Callable[["Trainer", str], None]


def accumulate_gradients(
    model: nn.Module,
    parts: Sequence[Batch],
    loss: Loss = next_token_loss,
    autocast: AbstractContextManager | None = None,
    scaler: torch.amp.GradScaler | None = None,
) -> float:
    """Add the gradient of the mean loss over all parts, of all processes, to the parameters' .grad; returns that mean.

    loss(model, part) -> (sum, count). Every target weighs the same, so the result is that of one large batch even when
    the parts hold different numbers of targets; the mean of the parts' means would not be (lecture 07). With `scaler`
    the gradients are left scaled by it. ValueError if no part has a target; then the gradients mean nothing.
    """
    world_size = distributed.world_size()
    unit: Tensor | None = None  # what a sum is divided by before its backward pass: near the mean, and the same for all
    total: Tensor | float = 0.0
    n_targets: Tensor | float = 0.0
    for number, part in enumerate(parts, start=1):
        with distributed.synchronised(model, last=number == len(parts)):
            with autocast or nullcontext():
                value, count = loss(model, part)
            count = torch.as_tensor(count, dtype=torch.float32, device=value.device)
            if unit is None:
                unit = distributed.all_sum(count) / world_size
                unit = torch.where(unit > 0, unit, torch.ones_like(unit))
            (value / unit if scaler is None else scaler.scale(value / unit)).backward()
        total, n_targets = total + value.detach().float(), n_targets + count
    total, n_targets = distributed.all_sum(torch.stack([total, n_targets])).unbind()
    if len(parts) > 1:  # processes average their gradients, which leaves n_targets / world_size to divide by
        scale = unit * world_size / n_targets
        torch._foreach_mul_(distributed.local([p.grad for p in model.parameters() if p.grad is not None]), scale)
    total, n_targets = torch.stack([total / n_targets, n_targets]).tolist()
    if n_targets == 0:
        raise ValueError("the batch holds no target: its mean loss is 0 / 0; check its targets or the mask")
    return total


class Trainer:
    """Train a model. Built in lecture 03.

        history = Trainer(model, TrainConfig(steps=400), train_tokens, evaluate=val_tokens).run()

    model: moved to the config's device. It may be wrapped in DistributedDataParallel or sharded by `fully_shard`: start
    the same script with torchrun; config.batch_size is then that of each process.
    batches: (N,) token ids, of which random windows are drawn; or an iterable of batches, read again when it ends; or a
    function of the batch's number. A batch is whatever `loss` takes: tensors, or tuples and dicts of them.
    loss: loss(model, batch) -> (sum, count); by default `next_token_loss`.
    evaluate: (N,) token ids; or batches that can be read again and again, for `loss`; or a function of the model that
    returns a number. optimizers: a list of them, or a function (model, config) -> list; by default the config's.
    callbacks are called as `callback(trainer, event)` with event "start", "step" (after each update), "eval" (after
    each evaluation) or "end", on every process; they may read `trainer.step`, `.history`, `.model` and `.config`, and
    set `trainer.stop = True` to end the run. `run` leaves the model in evaluation mode, with its averaged weights if
    `config.average` is set.
    A loss or gradient that is no finite number ends the run with a FloatingPointError, before any weight is touched.
    Ctrl-C, or a notebook's stop button, lets the present update finish and then ends the run as `stop` would; a second
    one breaks it off.
    The same seed, model and thread count give the same run. `train_step()` makes one update by itself; `save(path)` and
    `resume(path)` break a run off and go on as if it had not been.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        batches: Tensor | Iterable[Batch] | Callable[[int], Batch],
        *,
        loss: Loss = next_token_loss,
        evaluate: Tensor | Iterable[Batch] | Callable[[nn.Module], float] | None = None,
        optimizers: Sequence[Optimizer] | Callable[[nn.Module, TrainConfig], Sequence[Optimizer]] | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.config = config
        self.device = torch.device(config.device or default_device())
        self.wrapped = model.to(self.device)  # what is called in training
        self.model = distributed.unwrapped(model)  # what is evaluated, sampled from and saved
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        if not self.parameters:
            raise ValueError("model has no trainable parameter: unfreeze some with requires_grad_(True)")
        if distributed.world_size() > 1 and not distributed.is_wrapped(model):
            raise ValueError(
                f"model is not wrapped and {distributed.world_size()} processes train: give each its gradients with "
                "DistributedDataParallel(model) or fully_shard(model)"
            )
        if loss is next_token_loss:
            refuse_readers(self.model)
        self.loss = loss
        self.feed = Feed(self._windows(batches) if _is_tokens("batches", batches) else batches)
        if _is_tokens("evaluate", evaluate):
            _check_tokens("evaluate", evaluate, self.model, at_least=2)
        self.evaluation = evaluate
        build = build_optimizers if optimizers is None else optimizers
        self.optimizers = list(build(self.model, config) if callable(build) else build)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["base_lr"] = group["lr"]
        self.average = WeightAverage(self.parameters, config.average) if config.average else None
        self.scaler = torch.amp.GradScaler(self.device.type) if config.dtype == "float16" else None
        self.callbacks = list(callbacks)
        self.last_saved: Path | None = None  # what to go on from if this run fails
        self.history = History()
        self.step = 0  # finished updates
        self.stop = False
        self.progress: ProgressBar | None = None
        self._forward = Compiled(self.wrapped) if config.compile else self.wrapped
        distributed.let_methods_gather(self.model)
        if distributed.world_size() > 1:
            torch.manual_seed(config.seed + distributed.rank())  # or all would drop the same units

    def _windows(self, tokens: Tensor) -> RandomWindows:
        c = self.config
        limit = getattr(getattr(self.model, "config", None), "max_seq_len", None)
        if limit is not None and c.seq_len > limit:
            raise ValueError(f"seq_len={c.seq_len} exceeds the model's max_seq_len={limit}: lower seq_len")
        _check_tokens("batches", tokens, self.model, at_least=c.seq_len + 1)
        place = dict(seed=c.seed, rank=distributed.rank(), world_size=distributed.world_size())
        return RandomWindows(tokens.to(self.device), c.batch_size, c.seq_len, **place)

    def learning_rate_share(self, step: int) -> float:
        """The schedule's multiplier for the update after `step` finished ones."""
        c = self.config
        if c.schedule == "cosine":
            return cosine_schedule(step, c.steps, warmup_steps=c.warmup_steps, final=c.final_lr)
        return wsd_schedule(
            step, c.steps, warmup_steps=c.warmup_steps, decay_fraction=c.decay_fraction, final=c.final_lr
        )

    def draw_batch(self) -> Batch:
        """The next batch, on the device."""
        return to_device(next(self.feed), self.device)

    def train_step(self) -> float:
        """One update; returns the mean loss of its batch before the update, for the default loss in nats per token."""
        started = time.perf_counter()
        self.wrapped.train()
        if self.average:
            self.average.restore()
        share = self.learning_rate_share(self.step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * share
        parts = [self.draw_batch() for _ in range(self.config.accumulate)]
        loss = accumulate_gradients(self._forward, parts, self.loss, self._autocast(), self.scaler)
        self._update(loss)
        if self.average:
            self.average.update()
        self.step += 1
        self.history.steps.append(self.step)
        self.history.train_loss.append(loss)
        self.history.seconds.append(self.history.training_seconds + time.perf_counter() - started)
        return loss

    def _update(self, loss: float) -> None:
        """Clip the gradients, check them, and let the optimizers use them."""
        for optimizer in self.optimizers if self.scaler else ():
            self.scaler.unscale_(optimizer)
        if self.config.grad_clip:
            norm = clip_grad_norm_(self.parameters, self.config.grad_clip)
        else:
            norm = get_total_norm([w.grad for w in self.parameters if w.grad is not None])
        norm = float(distributed.whole(norm))
        too_large = self.scaler is not None and math.isfinite(loss)  # then the scaler skips the update and goes lower
        if not (math.isfinite(loss) and math.isfinite(norm)) and not too_large:
            for optimizer in self.optimizers:
                optimizer.zero_grad(set_to_none=True)
            raise FloatingPointError(self._non_finite(loss, norm))
        for optimizer in self.optimizers:
            if self.scaler:
                self.scaler.step(optimizer)
            else:
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self.scaler:
            self.scaler.update()

    def _non_finite(self, loss: float, norm: float) -> str:
        saved = f"the last checkpoint is {str(self.last_saved)!r}" if self.last_saved else "no checkpoint was saved"
        before = self.history.train_loss[-1] if self.history.train_loss else math.nan
        return (
            f"update {self.step + 1} has loss {loss} (the one before: {before:.3g}) and a gradient of norm {norm}; the "
            f"weights are as they were and {saved}. Try a lower lr (now {self.config.lr:g}), a longer warm-up, "
            "grad_clip=1.0 or dtype='float32', or look at the batch"
        )

    def evaluate(self) -> float:
        """Loss over the full held-out split, noted in the history."""
        split = self.evaluation
        if split is None:
            raise ValueError("evaluate is None: give the Trainer a held-out split to evaluate on")
        with self.averaged(), self._autocast():
            if callable(split) and not hasattr(split, "__iter__"):
                loss = float(split(self.model))
            else:
                parts = split_batches(self.model, split, self.config.seq_len) if isinstance(split, Tensor) else split
                loss = mean_loss(self.model, (to_device(part, self.device) for part in parts), self.loss)
        self.history.val_steps.append(self.step)
        self.history.val_loss.append(loss)
        self.history.val_seconds.append(self.history.training_seconds)
        self._announce("eval")
        return loss

    def averaged(self) -> AbstractContextManager:
        """Within this context the model has its averaged weights, if the config asks for an average. May be nested."""
        return self.average.applied() if self.average else nullcontext()

    def run(self) -> History:
        """Train until config.steps updates are done, or a callback sets `stop`; returns the history."""
        show = self.config.progress and distributed.rank() == 0
        self.progress = ProgressBar(self.config.steps) if show else None
        with finish_on_interrupt(self):
            self._announce("start")
            if self.evaluation is not None and self.step == 0:
                self.evaluate()
            while self.step < self.config.steps and not distributed.any_rank(self.stop, self.device):
                loss = self.train_step()
                if self.progress:
                    self.progress.update(self.step, self._note(loss))
                self._announce("step")
                every = self.config.eval_every
                if self.evaluation is not None and (
                    self.step == self.config.steps or (every and self.step % every == 0)
                ):
                    self.evaluate()
        if self.progress:
            self.progress.close()
        if self.average:
            self.average.keep()
        self.wrapped.eval()
        self._announce("end")
        return self.history

    def save(self, path: str | Path, tokenizer: object | None = None) -> Path:
        """A checkpoint from which `resume` goes on: weights, optimizers, average, batches, random numbers."""
        state = collect_state(self)
        self.last_saved = save_checkpoint(path, self.model, self.optimizers, self.step, tokenizer, state=state)
        return self.last_saved

    def resume(self, path: str | Path) -> Checkpoint:
        """Go on from a checkpoint of `save`, in a Trainer built as the saved one was.

        ValueError, before anything changes, for another model, other optimizers or other settings; only steps (to
        prolong a run), eval_every, device, compile and progress may differ.
        """
        contents = Contents(path)
        load_weights = contents.prepare(self.model, self.optimizers)
        checkpoint = Checkpoint(self.model, contents.step, contents.tokenizer(), contents.state)
        try:
            load_state = prepare_state(self, contents.state, contents.step)
        except ValueError as problem:
            raise contents.refusal(f"cannot be resumed here: {problem}") from None
        load_weights()
        load_state()
        return checkpoint

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


def _is_tokens(name: str, data: object) -> bool:
    """Whether `data` is an array of token ids; ValueError for what was probably meant to be one."""
    if isinstance(data, Tensor) or (isinstance(data, list) and data and isinstance(data[0], int)):
        if not isinstance(data, Tensor) or data.ndim != 1:
            shape = tuple(data.shape) if isinstance(data, Tensor) else type(data).__name__
            raise ValueError(
                f"{name} must be a one-dimensional tensor of token ids, got {shape}: use torch.tensor(ids)"
            )
        return True
    return False


def _check_tokens(name: str, tokens: Tensor, model: nn.Module, at_least: int) -> None:
    if len(tokens) < at_least:
        raise ValueError(f"{name} holds {len(tokens)} ids but at least {at_least} are needed: give more text")
    vocab_size = getattr(getattr(model, "config", None), "vocab_size", None)
    largest, smallest = int(tokens.max()), int(tokens.min())
    if vocab_size is not None and (largest >= vocab_size or smallest < 0):
        culprit = largest if largest >= vocab_size else smallest
        raise ValueError(f"{name} holds id {culprit}, outside the model's vocab_size={vocab_size}: check the tokenizer")
