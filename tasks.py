#!/usr/bin/env python3
"""Every command of the course, on every system: `python tasks.py COMMAND` (on Linux and macOS also `make COMMAND`).

Needs nothing but Python 3.11 or newer. The first command makes `.venv` with the Python that runs this file and installs
the course with the exact versions of constraints.txt. Later ones install again only if pyproject.toml or
constraints.txt has changed, so they need no network. pip's own settings (index, find-links, proxy) are respected.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - said here, because a student's `python3` is often older
    version = ".".join(map(str, sys.version_info[:3]))
    sys.exit(
        f"The course needs Python 3.11 or newer, this is {version} ({sys.executable}).\n"
        "Install a newer one and name it: make test PYTHON=python3.12, or python3.12 tasks.py test"
    )

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "installed.json"
PINNED = ("-c", "constraints.txt")


# --- set-up -----------------------------------------------------------------------------------------------------------


def fingerprint() -> str:
    """What decides whether the installed packages are still the right ones: not, say, a lint rule in pyproject.toml."""
    import tomllib  # not at the top: an older Python must get as far as its error message

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [project.get("project"), project.get("build-system"), project.get("tool", {}).get("setuptools"), str(ROOT)]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return hashlib.sha256((json.dumps(parts, sort_keys=True) + pins).encode()).hexdigest()


def installed() -> bool:
    try:
        return json.loads(STAMP.read_text(encoding="utf-8"))["fingerprint"] == fingerprint() and works(PYTHON)
    except (OSError, ValueError, KeyError):
        return False


def works(python: Path) -> bool:
    command = [python, "-c", "import llmlib, courseware"]
    try:
        return subprocess.run(command, capture_output=True, cwd=ROOT).returncode == 0
    except OSError:
        return False


def setup(cpu: str | None = None) -> None:
    """Make .venv and install the course into it, once. cpu: the address of an index that has torch's CPU build."""
    if installed():
        return
    start = time.monotonic()
    if not PYTHON.exists() or subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode:
        say(f"making {VENV.name} with Python {sys.version.split()[0]}")
        if subprocess.run([sys.executable, "-m", "venv", "--clear", VENV]).returncode:
            sys.exit("Could not make a virtual environment. On Debian and Ubuntu: apt install python3-venv")
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", *PINNED]
    if cpu:  # one look-up for torch alone: its CPU build sorts above the default one, and the rest comes as usual
        say("installing the CPU build of torch")
        install([*pip, "--no-deps", "--extra-index-url", cpu, "torch"])
    elif sys.platform == "linux" and not shutil.which("nvidia-smi"):
        say("no NVIDIA driver here; if pip now wants gigabytes of CUDA packages, stop it and see --cpu in the README")
    say("installing the course (a few minutes the first time)")
    install([*pip, "-e", ".[course,test]"])
    # Threads that spin while they wait make a busy two-core laptop ten times slower; the kernel must know at its start.
    kernel = [PYTHON, "-m", "ipykernel", "install", "--sys-prefix", "--env", "OMP_WAIT_POLICY", "passive"]
    subprocess.run(kernel, check=True, stdout=subprocess.DEVNULL)
    STAMP.write_text(json.dumps({"fingerprint": fingerprint()}) + "\n", encoding="utf-8")
    say(f"set up in {time.monotonic() - start:.0f} s")


def install(command: list) -> None:
    if subprocess.run(command, cwd=ROOT).returncode:
        sys.exit(
            "pip could not install the course; its message is above. Without a network, point pip at a folder of "
            "wheels: PIP_NO_INDEX=1 PIP_FIND_LINKS=folder"
        )


def say(text: str) -> None:
    print(f"[next-token] {text}", flush=True)


# --- running things ---------------------------------------------------------------------------------------------------


def environment(one_thread: bool = False) -> dict:
    env = dict(os.environ, PYTHONUTF8="1", PATH=str(PYTHON.parent) + os.pathsep + os.environ.get("PATH", ""))
    env.setdefault("OMP_WAIT_POLICY", "passive")
    if one_thread:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            env[name] = "1"
        env.update(MPLBACKEND="Agg", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")
    return env


def python(*arguments: str, here: bool = False) -> int:
    """Run the course's Python in the repository (here: where the user is); returns the exit code.

    Ctrl-C reaches the tool as well, and the tool decides: JupyterLab asks first, the grader finishes its row.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which the tool would inherit
    try:
        code = subprocess.run([PYTHON, *arguments], cwd=None if here else ROOT, env=environment()).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    return 130 if code == -signal.SIGINT else code


def steps(names: dict) -> int:
    """Run named commands, all of them, and close with one line that counts what passed and what failed."""
    start, counts, table = time.monotonic(), {"failed": 0, "passed": 0, "skipped": 0}, []
    for name, arguments in names.items():
        say(name)
        began = time.monotonic()
        code, found = watch([PYTHON, *arguments])
        if not found or (code and not found.get("failed")):  # a step that counts nothing itself counts as one
            found["failed" if code else "passed"] = found.get("failed" if code else "passed", 0) + 1
        for word, number in found.items():
            counts[word] += number
        table.append((name, "failed" if code else "ok", time.monotonic() - began))
    print()
    for name, verdict, seconds in table:
        print(f"  {verdict:6} {seconds:7.1f} s  {name}")
    failed = counts["failed"] > 0
    summary = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
    print(f"{f' {summary} in {time.monotonic() - start:.2f}s ':=^100}", flush=True)
    return 1 if failed else 0


def watch(command: list) -> tuple[int, dict]:
    """Run a command, show its output as it comes, and read pytest's counts off its last summary line."""
    found: dict = {}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(True), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        encoding="utf-8", errors="replace",
    )  # fmt: skip
    for line in process.stdout:
        print(line, end="", flush=True)
        counts = re.findall(r"(\d+) (passed|failed|errors?|skipped)\b", line)
        if counts and re.search(r" in [\d.]+ ?s", line):
            found = {}
            for number, word in counts:
                word = "failed" if word.startswith("error") else word
                found[word] = found.get(word, 0) + int(number)
    return process.wait(), found


# --- commands ---------------------------------------------------------------------------------------------------------

CHECKS = {
    "code style (ruff)": ["-m", "ruff", "check", "."],
    "rooms of llmlib (import-linter)": ["-c", "from importlinter.cli import lint_imports_command as run; run()"],
    "notebooks match their sources": ["-m", "courseware", "build", "--check"],
    "lectures are executed": ["-m", "courseware", "execute", "--check"],
    "badges and addresses": ["-m", "courseware", "badges", "--check"],
    "claims are collected": ["-m", "courseware", "claims", "--check"],
    "promises are kept": ["-m", "courseware", "promises", "--check"],
}


def task_setup(options, rest) -> int:
    """install or update .venv"""
    return 0


def task_lab(options, rest) -> int:
    """open JupyterLab on your own copies of the notebooks, in work/"""
    return python("-m", "courseware", "lab", *rest)


def task_author(options, rest) -> int:
    """open JupyterLab on the originals, to change the course"""
    return python("-m", "courseware", "lab", "--author", *rest)


def task_test(options, rest) -> int:
    """run every check, every test and every notebook"""
    # A module stays on one worker: what its tests share (a trained model, a lab's judged mutants) is made once.
    spread = ["-n", str(options.workers), "--dist", "loadscope"]
    unit = {"unit tests": ["-m", "pytest", "-q", "--durations=8", *spread, *rest]}
    notebooks = {"every notebook, from an empty folder": ["-m", "courseware", "run"]}
    return steps({**CHECKS, **unit, **notebooks})


def task_check(options, rest) -> int:
    """run the quick checks only: style, rooms, notebooks up to date"""
    return steps(CHECKS)


def task_demo(options, rest) -> int:
    """train a GPT on Shakespeare in the terminal and let it write"""
    return python("-m", "llmlib.train", "--preset", "shakespeare-cpu", "--steps", "800", *rest)


def task_lectures(options, rest) -> int:
    """build the lectures and execute those whose source has changed"""
    return python("-m", "courseware", "build") or python("-m", "courseware", "execute", *rest)


def task_labs(options, rest) -> int:
    """write the student notebooks from solutions/"""
    return python("-m", "courseware", "build", *rest)


def task_recorded(options, rest) -> int:
    """run again the scripts behind llmlib/recorded (names to run only some; takes long)"""
    scripts = {}
    for path in sorted((ROOT / "llmlib" / "recorded").glob("*.json")):
        if not rest or path.stem in rest:
            scripts.setdefault(json.loads(path.read_text(encoding="utf-8"))["script"], []).append(path.stem)
    if not scripts:
        say("no recorded results" + (f" called {', '.join(rest)}" if rest else "") + " in llmlib/recorded")
        return 1 if rest else 0
    failed = []
    for script, names in scripts.items():
        say(f"{script} makes {', '.join(names)}")
        if python(*script.split()):
            failed.append(script)
    say(f"failed: {', '.join(failed)}" if failed else f"{len(scripts)} scripts done")
    return 1 if failed else 0


def task_start(options, rest) -> int:
    """copy a lecture and its lab into work/ without opening anything: start 03"""
    from courseware.classroom import copies, lab

    if not rest:
        say(f"say which: start 03. There are {', '.join(copies.notebooks(ROOT)) or 'none yet'}")
        return 2
    return lab.start(rest, ROOT)


def task_update(options, rest) -> int:
    """git pull; notebooks of the course that you changed in place are moved into work/ first"""
    from courseware.classroom import copies

    try:
        for line in copies.rescue(ROOT):
            say(line)
    except copies.GitError as error:
        say(str(error))
        return 1
    if code := subprocess.run(["git", "pull", "--ff-only", *rest], cwd=ROOT).returncode:
        return code
    for line in copies.refresh(ROOT):
        say(line)
    return 0


def task_mutation(options, rest) -> int:
    """change the labs' references one operator at a time: every change must cost points (takes long)"""
    return python("tests/labs/mutation.py", *rest)


def bring(extra: str, modules: str) -> None:
    """Install the packages of one of pyproject.toml's extras, unless these modules are there already."""
    if subprocess.run([PYTHON, "-c", f"import {modules}"], capture_output=True, cwd=ROOT).returncode:
        say(f"installing what this needs (pyproject.toml's extra {extra!r})")
        install([PYTHON, "-m", "pip", "install", "--disable-pip-version-check", *PINNED, "-e", f".[{extra}]"])


SITE = "sphinx, myst_nb, sphinx_book_theme, mathjax, sphinx_revealjs"


def task_site(options, rest) -> int:
    """write the course as a site, in build/site/html: it needs no kernel and asks nothing of other hosts"""
    bring("site", SITE)
    return python("-m", "courseware", "site", *rest)


def task_slides(options, rest) -> int:
    """make slides of a lecture, in build/slides: slides 03"""
    bring("site", SITE)
    return python("-m", "courseware", "slides", *rest)


def task_browser(options, rest) -> int:
    """walk through JupyterLab and the site in a real browser (needs Chromium; a few minutes)"""
    bring("browser", "playwright, axe_playwright_python")
    bring("site", SITE)
    os.environ["COURSE_BROWSER"] = "1"
    # Lectures go to whichever worker is free; what shares a page or a site stays together.
    spread = ["-n", str(options.workers), "--dist", "loadgroup"]
    return python("-m", "pytest", "-v", *spread, "tests/browser", *rest)


def task_colab(options, rest) -> int:
    """run notebooks as Colab would, from an empty folder: colab --python OTHER/bin/python 03 lab03 (takes long)"""
    return python("tests/colab/on_colab.py", *rest)


def task_fresh(options, rest) -> int:
    """what a new machine does, empty home: clone, lab, check, one lecture and lab, timed (fresh test: lab, test)"""
    import tempfile

    commands = [rest] if rest else [["check"], ["run", "01", "lab01"]]
    with tempfile.TemporaryDirectory() as scratch:
        home, clone, seconds = Path(scratch) / "home", Path(scratch) / "course", {}
        home.mkdir()
        # Where a home of one's own could still be read from, it is taken away.
        env = {name: v for name, v in os.environ.items() if not name.startswith(("XDG_", "JUPYTER_", "LLMLIB_"))}
        env |= {"HOME": str(home), "USERPROFILE": str(home), "APPDATA": str(home), "LOCALAPPDATA": str(home)}
        for command in [["git", "clone", "-q", str(ROOT), str(clone)], ["lab"], *commands]:
            start = time.monotonic()
            program = command if command[0] == "git" else [sys.executable, "tasks.py", *command]
            where = scratch if command[0] == "git" else clone
            if command == ["lab"]:
                code = 0 if lab_answers(program, where, env) else 1
            else:
                code = subprocess.run(program, cwd=where, env=env).returncode
            if code:
                say(f"{' '.join(command)} failed")
                return code
            seconds[" ".join(command[:1] if command[0] == "git" else command)] = time.monotonic() - start
    say(", ".join(f"{name} {taken:.0f} s" for name, taken in seconds.items()))
    return 0


def lab_answers(program: list, clone: Path, env: dict, patience: float = 1800.0) -> bool:
    """Start `lab` as a student does, wait until JupyterLab gives the page of copies, and end it."""
    import urllib.request

    runtime = Path(env["HOME"]) / "runtime"
    env = env | {"JUPYTER_RUNTIME_DIR": str(runtime)}
    process = subprocess.Popen([*program, "--no-browser", "--port=0"], cwd=clone, env=env, stdin=subprocess.DEVNULL)
    began, answered = time.monotonic(), False
    while not answered and process.poll() is None and time.monotonic() - began < patience:
        time.sleep(0.5)
        for path in runtime.glob("jpserver-*.json"):
            try:
                info = json.loads(path.read_text(encoding="utf-8"))
                page = f"{info['url']}api/contents/work/README.md?token={info['token']}"
                with urllib.request.urlopen(page, timeout=60) as reply:
                    answered = reply.status == 200
                os.kill(info["pid"], signal.SIGTERM)
            except (OSError, ValueError):
                pass
    if process.poll() is None and not answered:
        process.terminate()
    process.wait()
    return answered


# --- the course's tools: whatever follows is theirs, and files are named from where you are ---------------------------

TOOLS = {
    "check-lab": ("courseware check", "what the public cases say about a lab notebook of yours"),
    "grade": ("courseware grade", "grade submissions in a sandbox (Linux)"),
    "autograder": ("courseware autograder", "write a lab's grader as a zip for Gradescope: autograder 03"),
    "summary": ("courseware summary", "a page on how a class did: scores, questions, mistakes, and likenesses"),
    "answers": ("courseware answers", "collect written answers to read, and put the points of a person back"),
    "moodle": ("courseware moodle", "write a lab's points as a file that Moodle imports"),
    "convert": ("courseware convert", "write a lab as an nbgrader or an otter assignment"),
    "release": ("courseware release", "write the students' copy of the course"),
    "gain": ("courseware gain", "what a class learned, from the concept tests its students kept"),
    "assets": ("llmlib.data.assets", "list or fetch the texts and models that the notebooks need"),
    "badges": ("courseware badges", "write badges, set-up cells and addresses from [tool.course] in pyproject.toml"),
    "frames": ("courseware frames", "draw what sliders show on the site, for lectures whose code has changed"),
    "adopt": ("courseware adopt", "carry an edit made in a lecture's .ipynb back to its source"),
    "pages": ("courseware pages", "export an executed lecture to HTML and pictures"),
    "claims": ("courseware claims", "collect the claims tables into docs/claims.md"),
    "promises": ("courseware promises", "collect what lectures promise of later ones into docs/promises.md"),
    "minutes": ("courseware minutes", "how long a lecture's sections take in class, by the course's rule: minutes 03"),
    "stability": ("courseware stability", "run lectures on three seeds, into docs/stability.md (long): stability 03"),
    "run": ("courseware run", "run notebooks from an empty folder, as the tests do: run 03 lab03"),
}


def tool(name: str, rest: list) -> int:
    return python("-m", *TOOLS[name][0].split(), *rest, here=True)


TASKS = {name.removeprefix("task_"): task for name, task in list(globals().items()) if name.startswith("task_")}
WITHOUT_SETUP = {"start", "update"}


def main(argv: list) -> int:
    lines = {name: task.__doc__ for name, task in TASKS.items()} | {name: what for name, (_, what) in TOOLS.items()}
    parser = argparse.ArgumentParser(
        prog="tasks.py",
        description="The course's commands. What follows the command's own options is handed on to the tool it runs; "
        "`tasks.py COMMAND --help` shows the options of the tools.",
        epilog="commands:\n" + "\n".join(f"  {name:10} {what}" for name, what in lines.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("command", choices=lines, metavar="COMMAND")
    parser.add_argument(
        "--cpu",
        metavar="ADDRESS",
        help="take torch from this index of CPU builds (PyTorch's installation page gives the address): on Linux the "
        "default build brings gigabytes of CUDA; only the first time",
    )
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes for the unit tests")
    if argv and argv[0] in TOOLS:  # its options are its own: nothing of them is ours but --cpu ADDRESS in front
        ours = 3 if argv[1:2] == ["--cpu"] else 1
        options, rest = parser.parse_args(argv[:ours]), list(argv[ours:])
    else:
        options, rest = parser.parse_known_args(argv)
    if hasattr(sys.stdout, "reconfigure"):  # a Windows console may not know every character that tools print
        sys.stdout.reconfigure(errors="replace")
    try:
        if options.command not in WITHOUT_SETUP:
            setup(options.cpu)
        return tool(options.command, rest) if options.command in TOOLS else TASKS[options.command](options, rest)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
