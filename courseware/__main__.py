"""`python -m courseware COMMAND ...`: each command is a function of one of the three rooms, loaded when asked for."""

from __future__ import annotations  # an older Python must get as far as being told so

import importlib
import sys
from collections.abc import Sequence

COMMANDS = {  # command: (where its function is, what it does)
    "lab": ("classroom.lab:main", "open JupyterLab on your own copies of the notebooks"),
    "start": ("classroom.lab:start_main", "copy a lecture and its lab into work/"),
    "build": ("authoring.build:main", "write lectures/, labs/ (and on demand solution notebooks) from their sources"),
    "execute": ("authoring.execute:main", "run lectures and store their normalised outputs"),
    "run": ("authoring.run:main", "run every notebook once from an empty folder, as a test"),
    "frames": ("authoring.frames:main", "draw what sliders show on the site, where no kernel runs"),
    "site": ("authoring.site:main", "write the course as a site that needs no kernel"),
    "slides": ("authoring.slides:main", "make slides of an executed lecture"),
    "adopt": ("authoring.adopt:main", "carry an edit made in a lecture's .ipynb back to its source"),
    "pages": ("authoring.pages:main", "export an executed lecture to HTML and pictures, to look at it"),
    "minutes": ("authoring.timing:main", "how long lectures take by the rule, beside what their openings say"),
    "promises": ("authoring.promises:main", "collect what lectures promise of later ones into docs/promises.md"),
    "badges": ("authoring.badges:main", "write the repository's address into badges and the README"),
    "claims": ("authoring.claims:main", "collect the claims tables into docs/claims.md"),
    "stability": ("authoring.stability:main", "run lectures on several seeds and compare what they claim"),
    "check": ("grading.command:check_main", "show what the public cases say about a lab notebook"),
    "grade": ("grading.command:main", "grade submissions in a sandbox"),
    "autograder": ("grading.autograder:main", "write a lab's grader as a zip for Gradescope"),
    "summary": ("grading.summary:main", "a page on how a class did: scores, questions, mistakes, and likenesses"),
    "answers": ("grading.answers:main", "collect written answers to read, and put the points of a person back"),
    "moodle": ("grading.moodle:main", "write a lab's points as a file that Moodle imports"),
    "convert": ("authoring.convert:main", "write a lab as an nbgrader or an otter assignment"),
    "release": ("grading.release:main", "pack what students or staff get"),
    "gain": ("classroom.concept_test:main", "what a class learned, from the concept tests its students kept"),
}


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in {"-h", "--help"}:
        print("usage: python -m courseware COMMAND ...\n")
        print("\n".join(f"  {name:10} {what}" for name, (_, what) in COMMANDS.items()))
        return 0
    if argv[0] not in COMMANDS:
        print(f"unknown command {argv[0]!r}: choose one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    module, _, function = COMMANDS[argv[0]][0].partition(":")
    try:
        if sys.version_info < (3, 11):  # noqa: UP036 - a student's `python` is often older
            raise ModuleNotFoundError("it is older than 3.11")
        run = getattr(importlib.import_module(f"courseware.{module}"), function)
        return run(argv[1:]) or 0
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in {"courseware", "llmlib"}:
            raise
        print(wrong_python(argv, error), file=sys.stderr)
        return 2


def wrong_python(argv: Sequence[str], error: ModuleNotFoundError) -> str:
    """What to type instead, when this Python is not the one that the course was installed for."""
    task = {"check": "check-lab", "build": "labs", "execute": "lectures", "run": "test"}.get(argv[0], argv[0])
    command = " ".join([task, *(argv[1:] if task not in {"labs", "lectures", "test"} else ())])
    return (
        f"{sys.executable} is not the course's Python: {error}.\n"
        f"Use the course's own, in the folder of the course: python tasks.py {command}"
    )


if __name__ == "__main__":
    sys.exit(main())
