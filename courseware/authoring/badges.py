"""Where the course lives on the web, in one place: [tool.course] in pyproject.toml.

`slug` (owner/repository) and `ref` (a branch, or the tag of a term) go into the badge row and the set-up cell of every
notebook, which `courseware build` writes, and into the links of README.md, CITATION.cff and docs/, which this tool
writes.

    python -m courseware badges --check               every link agrees with pyproject.toml and leads to a file
    python -m courseware badges                       rewrite the Colab links that don't
    python -m courseware badges --slug ME/COURSE --ref autumn-2026     move the course; then run `courseware build`
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW_ID = "badges"
SETUP_ID = "colab-setup"
COLAB = "https://colab.research.google.com"
_LINK = re.compile(
    rf"{re.escape(COLAB)}/github/(?P<slug>[^/\s]+/[^/\s]+)/blob/(?P<ref>[^/\s]+)/(?P<path>[\w./-]+\.ipynb)"
)
_SLUG = re.compile(r"[\w.-]+/[\w.-]+")
_REF = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Home:
    """Where the course is published: `slug` on GitHub, at `ref`, needing `packages` beside torch."""

    slug: str
    ref: str
    packages: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"https://github.com/{self.slug}"

    def colab(self, path: str) -> str:
        return f"{COLAB}/github/{self.slug}/blob/{self.ref}/{path}"

    def source(self, path: str) -> str:
        return f"{self.url}/blob/{self.ref}/{path}"


def home(root: Path = ROOT) -> Home:
    """Read [tool.course] and the dependencies. Raises ValueError for a slug or ref that no link could carry."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    course = project["tool"]["course"]
    _check_names(course["slug"], course["ref"])
    names = (re.match(r"[\w.-]+", dependency).group() for dependency in project["project"]["dependencies"])
    return Home(course["slug"], course["ref"], tuple(name for name in names if name != "torch"))


def _check_names(slug: str, ref: str) -> None:
    if not _SLUG.fullmatch(slug):
        raise ValueError(f"[tool.course] slug={slug!r}: write it as owner/repository")
    if not _REF.fullmatch(ref):
        raise ValueError(f"[tool.course] ref={ref!r}: use a tag or branch of letters, digits, dots and dashes")


def row(notebook: str, source: str | None, root: Path = ROOT) -> str:
    """The Markdown of a notebook's badge row. A lab names no source: that is where its solutions are."""
    at = home(root)
    links = [f"**[Open in Colab]({at.colab(notebook)})**"]  # words: a picture of another host is broken offline
    links += [f"[source]({at.source(source)})"] if source else []
    return " · ".join([*links, f"[course]({at.url})"])


def setup_cell(root: Path = ROOT) -> str:
    """The code of the set-up cell: one clone on Colab, next to nothing on a machine that has the course.

    On Colab it keeps the torch that is there and installs only packages that are missing. Running it twice is harmless.
    """
    at = home(root)
    folder = f"{at.slug.replace('/', '-')}-{at.ref}"  # a fork, or another term, is another folder
    return f'''\
# @title Set-up: run this first on Colab, where it fetches the course and keeps Colab's own torch
import os, sys

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "google.colab" in sys.modules:
    import importlib.util, subprocess

    course = os.path.abspath("{folder}")
    if not os.path.isdir(course):
        clone = ["git", "clone", "-q", "--depth", "1", "--branch", "{at.ref}", "{at.url}", course]
        subprocess.run(clone, check=True)
    if course not in sys.path:
        sys.path.insert(0, course)
    needed = "{" ".join(at.packages)}".split()
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", *missing], check=True)'''


# ------------------------------------------------------------------------------------------------------------ pages


def pages(root: Path = ROOT) -> list[Path]:
    """The hand-written pages that carry links to the course."""
    named = [root / "README.md", root / "CITATION.cff", root / "CONTRIBUTING.md"]
    return [*(path for path in named if path.exists()), *sorted((root / "docs").rglob("*.md"))]


def relink(text: str, at: Home) -> str:
    """The text with every Colab link pointing into this course at this ref."""
    return _LINK.sub(lambda link: at.colab(link["path"]), text)


def problems(root: Path = ROOT) -> list[str]:
    """One line for each link that points elsewhere, or to a notebook that is not there."""
    at, found = home(root), []
    for page in pages(root):
        for link in _LINK.finditer(page.read_text(encoding="utf-8")):
            where = page.relative_to(root).as_posix()
            if (link["slug"], link["ref"]) != (at.slug, at.ref):
                found.append(f"{where}: {link.group()} is not {at.slug} at {at.ref}: run python -m courseware badges")
            if not (root / link["path"]).exists():
                found.append(f"{where}: {link['path']} does not exist")
    return found


def move(slug: str, ref: str, root: Path = ROOT) -> None:
    """Publish the course elsewhere: change pyproject.toml and every mention of the old address in the pages."""
    _check_names(slug, ref)
    old = home(root)
    project = root / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    text = text.replace(f'slug = "{old.slug}"', f'slug = "{slug}"').replace(f'ref = "{old.ref}"', f'ref = "{ref}"')
    project.write_text(text, encoding="utf-8", newline="\n")
    for page in pages(root):
        text = page.read_text(encoding="utf-8")
        moved = re.sub(rf"(?<![\w-]){re.escape(old.slug)}(?![\w-])", slug, text)
        before, after = old.slug.split("/")[1], slug.split("/")[1]  # the folder that `git clone` makes
        moved = re.sub(rf"(git clone \S+ && cd ){re.escape(before)}$", rf"\g<1>{after}", moved, flags=re.MULTILINE)
        page.write_text(moved, encoding="utf-8", newline="\n")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="courseware badges", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a link is wrong")
    parser.add_argument("--slug", help="owner/repository to move to")
    parser.add_argument("--ref", help="branch or tag to move to")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    try:
        at = home(args.root)
        if not args.check:
            if args.slug or args.ref:
                move(args.slug or at.slug, args.ref or at.ref, args.root)
                at = home(args.root)
                print(f"the course is now {at.slug} at {at.ref}: run python -m courseware build")
            for page in pages(args.root):
                text = page.read_text(encoding="utf-8")
                if (new := relink(text, at)) != text:
                    page.write_text(new, encoding="utf-8", newline="\n")
                    print(f"rewrote the links of {page.relative_to(args.root)}")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found = problems(args.root)
    print("\n".join(found) if found else f"all links lead to {at.slug} at {at.ref}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
