"""A copy of the course as a git checkout, JupyterLab as `make lab` starts it, and a real browser in front of it.

`make browser` runs these tests; elsewhere they are skipped. They need Chromium (Debian: apt install chromium) and
playwright.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from courseware.authoring.pages import browser as find_browser

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Skipped, with the reason, unless `make browser` asks; there a module shares one worker, lectures do not."""
    for item in items:
        if not Path(item.path).is_relative_to(Path(__file__).parent):
            continue
        if not os.environ.get("COURSE_BROWSER"):
            item.add_marker(pytest.mark.skip(reason="needs a browser: make browser"))
        elif item.path.stem != "test_every_lecture":
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


class Course:
    """A fresh checkout of the course's present files, and what is asked of it from a terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "the course"]):
            git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *command]
            subprocess.run(git, cwd=folder, check=True)
        private = {f"JUPYTER_{kind}_DIR": str(folder.parent / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
        # On a slow machine a save that meets JupyterLab's own asks whether to overwrite; here the tests save.
        settings = folder.parent / "CONFIG" / "lab" / "user-settings" / "@jupyterlab" / "docmanager-extension"
        settings.mkdir(parents=True)
        (settings / "plugin.jupyterlab-settings").write_text('{"autosave": false}')
        self.environment = {**os.environ, **private, "PYTHONPATH": str(folder), "OMP_WAIT_POLICY": "passive"}
        if "PYTEST_XDIST_WORKER" in os.environ:  # two lectures at a time on two cores
            self.environment["OMP_NUM_THREADS"] = "1"

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)

    def changed(self) -> str:
        """What git would say, and what the next pull would stumble over."""
        status = ["git", "status", "--porcelain"]
        return subprocess.run(status, cwd=self.folder, check=True, capture_output=True, text=True).stdout


class Server:
    """`python -m courseware lab` in a terminal of its own."""

    def __init__(self, course: Course) -> None:
        self.terminal, end = os.openpty()
        command = [sys.executable, "-m", "courseware", "lab", "--no-browser", "--port=0"]
        command += ["--LabApp.expose_app_in_browser=True"]  # the tests scroll with it
        self.log = (course.folder.parent / "server.log").open("w+")
        self.process = subprocess.Popen(
            command, cwd=course.folder, env=course.environment, stdin=end, stdout=self.log, stderr=self.log
        )
        os.close(end)
        runtime = Path(course.environment["JUPYTER_RUNTIME_DIR"])
        info: dict = {}
        while not info:
            time.sleep(0.2)
            assert self.process.poll() is None, self.said()
            for path in runtime.glob(f"jpserver-{self.process.pid}.json"):
                try:
                    info = json.loads(path.read_text())
                except ValueError:
                    pass
        self.url, self.token = info["url"], info["token"]

    def address(self, path: str, workspace: str) -> str:
        """Where JupyterLab opens a file, in a workspace of its own: without the tabs that other tests have left."""
        return f"{self.url}lab/workspaces/{workspace}/tree/{path}?token={self.token}"

    def said(self) -> str:
        return Path(self.log.name).read_text()

    def kernels(self) -> list[dict]:
        request = Request(f"{self.url}api/kernels", headers={"Authorization": f"token {self.token}"})
        return json.loads(urlopen(request, timeout=60).read())

    def put(self, path: str, notebook: dict) -> tuple[int, str]:
        """Try to write a notebook: the server's status and words."""
        body = json.dumps({"type": "notebook", "format": "json", "content": notebook}).encode()
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        request = Request(f"{self.url}api/contents/{path}", body, headers, method="PUT")
        try:
            with urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        os.close(self.terminal)
        self.log.close()


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser") / "course"
    folder.mkdir()
    return Course(folder)


@pytest.fixture(scope="module")
def server(course):
    server = Server(course)
    yield server
    server.close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    api = pytest.importorskip("playwright.sync_api")
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium here (Debian: apt install chromium)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, server, request):
    """A screen of 1280 x 720 on the page that `make lab` opens."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.set_default_timeout(180_000)  # a busy machine
    name = re.sub(r"\W+", "-", request.node.name).strip("-")
    page.goto(server.address("work/README.md", name))
    page.locator(".jp-RenderedMarkdown table").first.wait_for()
    failed = request.session.testsfailed
    yield page
    if request.session.testsfailed > failed:
        shot = ROOT / "build" / "browser" / f"{name}.png"
        page.screenshot(path=shot)
        print(f"what the browser showed: {shot.relative_to(ROOT)}")
    context.close()
