"""How long the grader takes for a class: submissions of one lab, right, half right, wrong, hanging and not begun.

``python benchmarks/grading.py [--lab 03] [--submissions 100] [--workers 2]`` prints seconds, seconds per submission,
processor seconds, the peak memory of the process that hands out the work, and what the same command with ``--resume``
takes when all is graded. The targets are 180 s for 100 submissions on two cores and 500 MB.
"""

import argparse
import contextlib
import io
import os
import resource
import tempfile
import threading
import time
from pathlib import Path

from courseware.classroom import cases
from courseware.grading import command
from courseware.grading.staff_files import load_staff_files, notebook_of, untouched_cells


def submissions(lab_id: str, count: int) -> list[str]:
    """Notebooks in turn: right, the first question wrong, several wrong, one that hangs in a call, not begun."""
    lab = cases.load_lab(lab_id)
    staff = load_staff_files(lab)
    right = [cell.source for cell in staff.reference]
    by_question = {m.question: m.source for m in staff.mutants}
    wrong = list(by_question.values())
    hangs = f"def {lab.questions[0].name}(*args, **kwargs):\n    while True: pass"
    kinds = [right, [*right, wrong[0]], right, [*right, *wrong[1::2]], [c.source for c in untouched_cells(lab)]]
    kinds += [right, [*right, wrong[-1]], right, [*right, *wrong], [*right, hangs]]
    marked = [[f"STUDENT = 'student-{i}'\n'{lab_id}.q1'", *kinds[i % len(kinds)]] for i in range(count)]
    return [notebook_of(cells) for cells in marked]


class Processors(threading.Thread):
    """Processor seconds of everything below this process, sandboxes too, by looking at /proc ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seconds: dict[tuple[int, str], float] = {}

    def run(self) -> None:
        while True:
            parents, used = {}, {}
            for path in Path("/proc").glob("[0-9]*/stat"):
                with contextlib.suppress(OSError):
                    fields = path.read_text().rpartition(")")[2].split()
                    pid = int(path.parent.name)
                    parents[pid] = int(fields[1])
                    used[pid] = fields[19], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            for pid in parents:
                above = pid
                while above in parents and above != os.getpid():
                    above = parents[above]
                if above == os.getpid():
                    started, seconds = used[pid]
                    self.seconds[pid, started] = seconds
            time.sleep(0.1)

    def total(self) -> float:
        return sum(self.seconds.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lab", default="03")
    parser.add_argument("--submissions", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, text in enumerate(submissions(f"lab{options.lab}", options.submissions)):
            (folder / f"student{number}.ipynb").write_text(text)
        processors, start = Processors(), time.perf_counter()
        processors.start()
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            arguments = [str(folder), "--lab", options.lab, "--workers", str(options.workers)]
            arguments += ["--out", str(folder / "grades.csv")]
            status = command.main(arguments)
        seconds, used = time.perf_counter() - start, processors.total()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        again, start = io.StringIO(), time.perf_counter()
        with contextlib.redirect_stdout(again):
            command.main([*arguments, "--resume"])
        resumed = time.perf_counter() - start
    points = [line.split(": ")[1].split(" points")[0] for line in said.getvalue().splitlines() if " points (" in line]
    print(f"lab{options.lab}: {options.submissions} submissions, {options.workers} at a time, exit status {status}")
    print(f"points: {', '.join(points)}")
    each = f"{seconds / options.submissions:.2f} s a submission"
    print(f"{seconds:.1f} s, {each}; {used:.1f} processor seconds; load {os.getloadavg()[0]:.1f}")
    print(f"peak memory of the process that hands out the work: {peak:.0f} MB")
    print(f"again with --resume: {resumed:.1f} s; {again.getvalue().splitlines()[0]}")


if __name__ == "__main__":
    main()
