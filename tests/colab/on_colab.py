"""Run notebooks as Colab would: `python tests/colab/on_colab.py --python OTHER/bin/python [03 lab03 ...]`.

Each notebook lies alone in an empty folder; the interpreter named runs it, with whatever torch and ipywidgets it has
and without the course installed; `google.colab` is there, as an empty module. The set-up cell then clones the course
(from this checkout's last commit, in place of the public address) and installs what is missing. Prints one line a
notebook; exit code 1 if a cell failed. Takes as long as all lectures together, so `make test` leaves it out.

A Colab of another version is a virtual environment:

    python3.13 -m venv /tmp/colab
    /tmp/colab/bin/pip install torch==2.6.0 ipywidgets==7.7.1 ipykernel numpy matplotlib
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from courseware.authoring import badges
from courseware.authoring.build import ROOT, lab_sources, lecture_sources, select

CELL_SECONDS = 900  # a busy machine; Colab itself has no limit
VERSIONS = (
    "import importlib.metadata as m, sys; "
    "print(sys.version.split()[0], *(f'{n} {m.version(n)}' for n in ('torch', 'ipywidgets', 'numpy')))"
)


def environment(folder: Path, root: Path = ROOT) -> dict[str, str]:
    """Variables under which Python finds google.colab, and git this checkout under the course's public address."""
    startup = folder / "startup"
    (startup / "google" / "colab").mkdir(parents=True, exist_ok=True)
    (startup / "google" / "colab" / "__init__.py").write_text("")
    (startup / "sitecustomize.py").write_text("import google.colab\n")  # Colab's kernels have it from their start
    at = badges.home(root)
    git = {
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_0": f"url.{(folder / 'published').as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": at.url,
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
        "GIT_CONFIG_KEY_2": "protocol.file.allow",
        "GIT_CONFIG_VALUE_2": "always",
    }
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**kept, **git, "PYTHONPATH": str(startup), "MPLBACKEND": "module://matplotlib_inline.backend_inline"}


def publish(folder: Path, root: Path = ROOT) -> None:
    """A bare copy of this checkout's last commit under the branch that the set-up cells ask for."""
    at = badges.home(root)
    clone = folder / "published"
    subprocess.run(["git", "clone", "-q", "--bare", f"file://{root}", str(clone)], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True).stdout
    subprocess.run(["git", "-C", str(clone), "update-ref", f"refs/heads/{at.ref}", head.strip()], check=True)


def run(notebook: Path, command: Sequence[str], folder: Path, env: dict[str, str]) -> str:
    """Run one notebook in an empty folder; an empty text, or the cell that failed and how."""
    home = folder / notebook.stem
    home.mkdir()
    book = nbformat.read(notebook, as_version=4)
    nbformat.write(book, home / notebook.name)
    manager = KernelManager(kernel_spec_manager=KernelSpecManager())
    manager._kernel_spec = manager.kernel_spec_manager.get_kernel_spec("python3")
    manager._kernel_spec.argv = [*command, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec.env = {}
    client = NotebookClient(
        book, km=manager, timeout=CELL_SECONDS, startup_timeout=300, resources={"metadata": {"path": str(home)}}
    )
    try:
        client.execute(env=env, cwd=str(home))
    except (CellExecutionError, DeadKernelError, TimeoutError, AssertionError) as error:  # the last: a kernel gone
        return " ".join(f"{type(error).__name__}: {error}".split())[-400:]
    finally:  # the client leaves a manager that it was given alone
        manager.shutdown_kernel(now=True)
    if not list(home.glob(f"{badges.home(ROOT).slug.replace('/', '-')}*/llmlib")):
        return "the course was not cloned: the set-up cell did not see google.colab"
    return ""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="03, lab03, ...; everything when left out")
    parser.add_argument("--python", default=sys.executable, help="the interpreter, or a command that ends in one")
    options = parser.parse_args(argv)
    command = options.python.split()
    notebooks = [ROOT / "lectures" / f"{s.stem}.ipynb" for s in select(lecture_sources(ROOT), options.names)]
    notebooks += [ROOT / "labs" / f"{s.stem}.ipynb" for s in select(lab_sources(ROOT), options.names)]
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        env = environment(folder)
        publish(folder)
        said = subprocess.run([*command, "-c", VERSIONS], env=env, capture_output=True, text=True)
        print((said.stdout or said.stderr).strip(), flush=True)
        for notebook in notebooks:
            began = time.monotonic()
            wrong = run(notebook, command, folder, env)
            failed += [notebook.stem] if wrong else []
            verdict = f"FAILED {wrong}" if wrong else "ok"
            print(f"{notebook.stem:45} {time.monotonic() - began:6.0f} s  {verdict}", flush=True)
    print(f"{len(notebooks) - len(failed)} of {len(notebooks)} notebooks ran; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
