"""Joules and grams: what a piece of computing takes from the socket, and what making that electricity emits.

Built in lecture 07.
"""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

RAPL = Path("/sys/class/powercap")
LAPTOP_WATTS = 30.0  # what a laptop's two busy cores and their share of the rest draw, about
JOULES_PER_KWH = 3.6e6

# Grams of CO2-equivalent per kWh of electricity, whole life cycle, 2023 (Ember, Yearly Electricity Data, as given by
# Our World in Data), rounded. A grid's hour-by-hour value differs by a factor of two from its mean.
CARBON_INTENSITY = {
    "world": 480, "norway": 30, "sweden": 40, "france": 56, "brazil": 100, "united kingdom": 240, "eu": 240,
    "united states": 370, "germany": 380, "japan": 485, "australia": 550, "china": 580, "poland": 660,
    "south africa": 710, "india": 710,
}  # fmt: skip


class EnergyMeter:
    """Measure a `with` block: its seconds, its joules, and where the joules come from.

        with EnergyMeter() as meter:
            trainer.run()
        print(meter.joules, meter.source, co2_grams(meter.joules, "germany"))

    Reads the processor's own counters (RAPL, Linux, where they may be read) and a CUDA card's power through nvidia-smi,
    four times a second. Where neither can be read, joules is seconds times `watts`, and source says "estimate".
    """

    def __init__(self, watts: float = LAPTOP_WATTS, *, rapl: Path = RAPL) -> None:
        if watts < 0:
            raise ValueError(f"watts={watts} must not be negative: what the machine draws while it computes")
        self.watts = watts
        self.seconds = self.joules = 0.0
        self.source = "estimate"
        self._rapl = rapl
        self._counters: dict[Path, int] = {}
        self._samples: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "EnergyMeter":
        self._counters = read_counters(self._rapl)
        self._samples = []
        if (power := gpu_power()) is not None:
            self._samples.append((time.perf_counter(), power))
            self._stop.clear()
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        ended = time.perf_counter()
        self.seconds = ended - self._began
        sources, joules = [], 0.0
        ends = read_counters(self._rapl)
        if ends and ends.keys() == self._counters.keys():
            joules += sum(_difference(path, self._counters[path], end) for path, end in ends.items()) / 1e6
            sources.append("RAPL")
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            joules += _area(self._samples, self._began, ended)
            sources.append("nvidia-smi")
        self.joules, self.source = (joules, " + ".join(sources)) if sources else (self.seconds * self.watts, "estimate")

    @property
    def kwh(self) -> float:
        """Kilowatt-hours."""
        return self.joules / JOULES_PER_KWH

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            if (power := gpu_power()) is not None:
                self._samples.append((time.perf_counter(), power))


def co2_grams(joules: float, region: str = "world", *, overhead: float = 1.0) -> float:
    """Grams of CO2-equivalent that the electricity emits. overhead: the data centre's power usage effectiveness, the
    ratio of all it draws to what its computers draw: 1.1 to 1.6 (a laptop's is 1)."""
    name = region.lower()
    if name not in CARBON_INTENSITY:
        raise ValueError(f"region={region!r} is not in the table: choose from {', '.join(CARBON_INTENSITY)}")
    if joules < 0 or overhead < 1:
        raise ValueError(f"joules={joules} must not be negative and overhead={overhead} not below 1")
    return joules / JOULES_PER_KWH * CARBON_INTENSITY[name] * overhead


def training_joules(flops: float, flops_per_second: float, watts: float) -> float:
    """Energy of `flops` operations on chips that reach flops_per_second, each drawing watts."""
    if flops < 0 or flops_per_second <= 0 or watts < 0:
        raise ValueError(f"flops={flops}, flops_per_second={flops_per_second} and watts={watts} must not be negative")
    return flops / flops_per_second * watts


def read_counters(folder: Path = RAPL) -> dict[Path, int]:
    """Microjoules of each processor package so far; empty where there are no counters or they may not be read."""
    counters = {}
    try:
        for path in sorted(folder.glob("*-rapl:[0-9]*")):
            if path.name.count(":") == 1:  # packages; their parts have a second colon and are contained in them
                counters[path] = int((path / "energy_uj").read_text())
    except (OSError, ValueError):
        return {}
    return counters


def gpu_power(run: Callable[..., subprocess.CompletedProcess] = subprocess.run) -> float | None:
    """Watts of all CUDA cards together as nvidia-smi says; None where there is none to say."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        output = run(
            [program, "--query-gpu=power.draw", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=5,
        )  # fmt: skip
        return sum(float(line) for line in output.stdout.split()) if output.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def _difference(path: Path, before: int, after: int) -> int:
    """Microjoules between two readings; a counter begins again at 0 when it is full."""
    if after >= before:
        return after - before
    try:
        return after - before + int((path / "max_energy_range_uj").read_text())
    except (OSError, ValueError):
        return after


def _area(samples: list[tuple[float, float]], began: float, ended: float) -> float:
    """Joules from `began` to `ended`: each sample's watts last until the next one."""
    starts = [began, *(t for t, _ in samples[1:])]
    ends = [*starts[1:], ended]
    return sum(watts * max(0.0, min(end, ended) - start) for (_, watts), start, end in zip(samples, starts, ends))
