"""Stages in a row, each with its files, its figures and its bill; what is done is kept."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from llmlib.files import write_file
from llmlib.train.energy import EnergyMeter

from .settings import CapstoneSettings
from .stages import STAGES
from .workshop import Workshop

MANIFEST = "run.json"
Progress = Callable[[str], None]


@dataclass(frozen=True)
class StageRecord:
    """What a finished stage left: figures, seconds and joules over all its attempts, and its files by hash."""

    name: str
    figures: dict[str, Any]
    seconds: float
    joules: float
    energy_source: str
    files: dict[str, str] = field(default_factory=dict)


class Pipeline:
    """All stages of `STAGES` in a folder.

        pipeline = Pipeline("runs/desk", capstone_preset("class"))
        for record in pipeline.run():
            print(record.name, record.figures)

    A folder belongs to one setting: ValueError for another one, and nothing there is touched. A stage that is done is
    not done again, one that was killed goes on from its last checkpoint. A file of a finished stage that is missing or
    isn't what was written makes this stage and those after it run again. progress: is told what happens within a stage;
    bars: long stages show a bar with the time left.
    """

    def __init__(
        self, folder: str | Path, settings: CapstoneSettings, *, progress: Progress | None = None, bars: bool = False
    ) -> None:
        self.folder, self.settings, self.progress, self.bars = Path(folder), settings, progress, bars
        self._manifest = self._read()

    @property
    def records(self) -> list[StageRecord]:
        """Those of the stages that are done, in order."""
        done = []
        for name in STAGES:
            kept = self._manifest["stages"].get(name)
            if kept is None or not self._whole(kept):
                break
            done.append(StageRecord(**kept))
        return done

    def run(self, until: str | None = None) -> Iterator[StageRecord]:
        """Do what is left, up to and with stage `until`; yields each stage's record, those done before included."""
        if until is not None and until not in STAGES:
            raise ValueError(f"until={until!r} is no stage: choose one of {', '.join(STAGES)}")
        done = self.records
        yield from (record for record in done if until is None or _at(record.name) <= _at(until))
        for name in list(STAGES)[len(done) : None if until is None else _at(until) + 1]:
            yield self._do(name)

    def _do(self, name: str) -> StageRecord:
        for later in list(STAGES)[_at(name) :]:
            self._manifest["stages"].pop(later, None)
        spent = self._manifest["spent"].setdefault(name, {"seconds": 0.0, "joules": 0.0})
        self._write()
        partial = self.folder / "partial" / name
        partial.mkdir(parents=True, exist_ok=True)
        workshop = Workshop(self.folder, partial, self.settings, self.progress or (lambda _: None), self.bars)
        before = {path.name: path.stat().st_mtime_ns for path in self.folder.iterdir() if path.is_file()}
        meter = EnergyMeter()
        try:
            with meter:
                figures = STAGES[name](workshop)
        finally:  # an attempt that was broken off was paid for, too
            spent["seconds"] += meter.seconds
            spent["joules"] += meter.joules
            self._write()
        files = {
            path.name: _digest(path)
            for path in sorted(self.folder.iterdir())
            if path.is_file() and path.name != MANIFEST and before.get(path.name) != path.stat().st_mtime_ns
        }
        record = StageRecord(name, figures, round(spent["seconds"], 2), round(spent["joules"], 1), meter.source, files)
        self._manifest["stages"][name] = asdict(record)
        self._write()
        shutil.rmtree(partial, ignore_errors=True)
        return record

    def _read(self) -> dict[str, Any]:
        path = self.folder / MANIFEST
        fresh = {"settings": self.settings.to_dict(), "stages": {}, "spent": {}}
        if not path.exists():
            if self.folder.exists() and any(self.folder.iterdir()):
                raise ValueError(f"folder={str(self.folder)!r} holds files and is no capstone run: give another folder")
            return fresh
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            theirs, _, _ = kept["settings"], kept["stages"].items(), kept["spent"].items()
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise ValueError(
                f"{str(path)!r} is damaged ({type(problem).__name__}): remove the folder, or mend it"
            ) from None
        if theirs != fresh["settings"]:
            changed = sorted(k for k in {*theirs, *fresh["settings"]} if theirs.get(k) != fresh["settings"].get(k))
            raise ValueError(
                f"folder={str(self.folder)!r} was begun with another {', '.join(changed)}: give another folder, or "
                "these settings again"
            )
        return kept

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_file(self.folder / MANIFEST, json.dumps(self._manifest, indent=1))

    def _whole(self, kept: dict[str, Any]) -> bool:
        return all(
            (self.folder / name).is_file() and _digest(self.folder / name) == code
            for name, code in kept["files"].items()
        )


def _at(name: str) -> int:
    return list(STAGES).index(name)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
