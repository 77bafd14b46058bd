"""How long the grader takes for a class: 30 submissions of one lab, right, half right, wrong and hostile.

``python benchmarks/grading.py [--lab 03] [--submissions 30] [--workers 2]`` prints seconds, seconds per submission and
processor seconds; the target is 60 s for 30 submissions on two cores.
"""

import argparse
import contextlib
import io
import os
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
    parser.add_argument("--submissions", type=int, default=30)
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
            status = command.main([*arguments, "--out", str(folder / "grades.csv")])
        seconds = time.perf_counter() - start
    points = [line.split(": ")[1].split(" points")[0] for line in said.getvalue().splitlines() if " points (" in line]
    print(f"lab{options.lab}: {options.submissions} submissions, {options.workers} at a time, exit status {status}")
    print(f"points: {', '.join(points)}")
    each = f"{seconds / options.submissions:.2f} s a submission"
    print(f"{seconds:.1f} s, {each}; {processors.total():.1f} processor seconds")


if __name__ == "__main__":
    main()
