"""What is kept of every question, so that a score can be taken apart and a run goes on where it stopped."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from llmlib.files import write_file
from llmlib.infer.requests import model_config

from .intervals import Interval, bootstrap_interval


@dataclass(frozen=True)
class ItemResult:
    """One question answered. score: from 0 to 1. answer, expected: an option's place, or text (None: not readable).

    asked: a hash of what the model was given, so that a result is never taken for that of another prompt. details:
    what else the task keeps, such as the log-probabilities of all options.
    """

    id: str
    score: float
    answer: Any
    expected: Any
    asked: str = ""
    details: dict[str, Any] = field(default_factory=dict)


class ResultLog:
    """A JSONL file: a line of settings, then a line for each question. What is in it is not computed again.

    path=None keeps nothing. An existing file must have the same settings, or it is a ValueError: results of two models
    or prompts are never mixed. A line that a killed process left half written is dropped.
    """

    def __init__(self, path: str | Path | None, settings: Mapping[str, Any]):
        self.path = None if path is None else Path(path)
        self.done: dict[str, ItemResult] = {}
        settings = json.loads(json.dumps(settings))
        if self.path is None:
            return
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_file(self.path, json.dumps({"settings": settings}, ensure_ascii=False) + "\n")
            return
        text = self.path.read_text(encoding="utf-8")
        head, *rest = _whole_lines(text) or [""]
        before = _settings_of(head)
        if before != settings:
            wrong = _first_difference(before, settings)
            raise ValueError(f"path={str(path)!r} holds results with other settings ({wrong}): give another path")
        for line in rest:
            result = ItemResult(**json.loads(line))
            self.done[result.id] = result
        if not text.endswith("\n"):
            write_file(self.path, "".join(f"{line}\n" for line in [head, *rest]))

    def find(self, item_id: str, asked: str) -> ItemResult | None:
        """The result of a question that was put in just these words before."""
        result = self.done.get(item_id)
        return result if result is not None and result.asked == asked else None

    def add(self, results: Sequence[ItemResult]) -> None:
        """Keep results, in the file as well."""
        self.done |= {result.id: result for result in results}
        if self.path is not None:
            lines = [json.dumps(asdict(result), ensure_ascii=False) + "\n" for result in results]
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.writelines(lines)


def read_results(path: str | Path) -> list[ItemResult]:
    """The results in a file that an evaluation wrote, in the order in which they came; the last of each question."""
    _, *lines = _whole_lines(Path(path).read_text(encoding="utf-8"))
    return list({(result := ItemResult(**json.loads(line))).id: result for line in lines}.values())


def summary(results: Sequence[ItemResult], **options: Any) -> Interval:
    """The mean score and its interval over questions; options as for `bootstrap_interval`."""
    if not results:
        raise ValueError("results is empty: there is nothing to average")
    return bootstrap_interval([result.score for result in results], **options)


def results_table(runs: Mapping[str, Sequence[ItemResult]], chance: Mapping[str, float] | None = None) -> str:
    """A Markdown table: a row for each run, with its questions, mean score in percent and 95 % interval.

    chance: what guessing gives, by run, for a column beside it: a score whose interval holds chance ranks nothing.
    """
    head = ["run", "questions", "score (%)", "95 % interval", *(["chance (%)"] if chance else [])]
    rows = []
    for name, results in runs.items():
        mean = summary(results)
        row = [name, str(len(results)), f"{100 * mean.value:.1f}", f"{100 * mean.low:.1f} to {100 * mean.high:.1f}"]
        rows.append([*row, f"{100 * chance[name]:.1f}"] if chance else row)
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines)


def fingerprint(*parts: Any) -> str:
    """Twelve hex digits of what can be written as JSON."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, default=str).encode()).hexdigest()[:12]


@torch.no_grad()
def model_fingerprint(model: nn.Module) -> str:
    """Twelve hex digits of a model: its shape and the first numbers of each of its parameters and buffers."""
    sums = hashlib.sha256(repr(model_config(model)).encode())
    for name, tensor in model.state_dict().items():
        first = tensor.flatten()[:64].to("cpu", torch.float32) if isinstance(tensor, torch.Tensor) else torch.zeros(0)
        sums.update(f"{name} {tuple(getattr(tensor, 'shape', ()))}".encode() + first.numpy().tobytes())
    return sums.hexdigest()[:12]


def _whole_lines(text: str) -> list[str]:
    """Without a last one that was not ended. Line ends alone part them: texts may hold other separators."""
    return text.split("\n")[:-1]


def _settings_of(line: str) -> Any:
    try:
        return json.loads(line).get("settings")
    except (ValueError, AttributeError):
        return None


def _first_difference(before: Any, now: Mapping[str, Any]) -> str:
    if not isinstance(before, dict):
        return "its first line has none"
    name = next(name for name in {**before, **now} if before.get(name) != now.get(name))
    return f"{name}: {before.get(name)!r} there, {now.get(name)!r} now"
