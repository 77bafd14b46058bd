"""The address of the course stands in one place; the set-up cell works on Colab, twice, and does nothing elsewhere."""

import os
import subprocess
import sys

import pytest

from courseware.authoring import badges, build

FOLDER = "someone-some-course-spring"
LINK = "https://colab.research.google.com/github/{}/blob/{}/labs/lab90_waves.ipynb"


def write_readme(course, slug="someone/some-course", ref="spring") -> None:
    (course / "README.md").write_text(
        f"[lab]({LINK.format(slug, ref)})\n\ngit clone https://github.com/{slug}.git\n\n"
        f"git clone https://github.com/{slug} && cd {slug.split('/')[1]}\n"
        "see https://github.com/karpathy/nanoGPT and https://github.com/other/someone/some-course-2\n"
    )


def test_row_of_a_lecture_links_its_source_and_that_of_a_lab_does_not(course):
    row = badges.row("lectures/90_waves.ipynb", "lectures/source/90_waves.py", course)
    assert "colab.research.google.com/github/someone/some-course/blob/spring/lectures/90_waves.ipynb" in row
    assert "github.com/someone/some-course/blob/spring/lectures/source/90_waves.py" in row
    assert "solutions" not in build.notebook_text(
        build.student_notebook(course / "solutions" / "lab90_waves.py", course)
    )


@pytest.mark.parametrize("wrong", [("else/where", "spring"), ("someone/some-course", "main")])
def test_check_finds_links_that_lead_elsewhere(course, capsys, wrong):
    build.main(["--root", str(course)])
    write_readme(course)
    assert badges.main(["--check", "--root", str(course)]) == 0
    write_readme(course, *wrong)
    assert badges.main(["--check", "--root", str(course)]) == 1
    assert "README.md" in capsys.readouterr().out
    assert badges.main(["--root", str(course)]) == 0
    assert LINK.format("someone/some-course", "spring") in (course / "README.md").read_text()


def test_check_finds_links_to_notebooks_that_do_not_exist(course, capsys):
    write_readme(course)
    assert badges.main(["--check", "--root", str(course)]) == 1
    assert "labs/lab90_waves.ipynb does not exist" in capsys.readouterr().out


def test_moving_the_course_changes_every_mention_and_nothing_else(course):
    build.main(["--root", str(course)])
    write_readme(course)
    assert badges.main(["--slug", "new/home", "--ref", "autumn-2026", "--root", str(course)]) == 0
    text = (course / "README.md").read_text()
    assert LINK.format("new/home", "autumn-2026") in text
    assert "git clone https://github.com/new/home.git" in text
    assert "git clone https://github.com/new/home && cd home\n" in text, "into the folder that git makes"
    assert "karpathy/nanoGPT" in text and "some-course-2" in text
    at = badges.home(course)
    assert (at.slug, at.ref) == ("new/home", "autumn-2026")
    assert build.main(["--check", "--root", str(course)]) == 1, "the notebooks carry the old address"


@pytest.mark.parametrize(("slug", "ref"), [("nowhere", "main"), ("a/b; rm -rf", "main"), ("a/b", 'x", "--evil')])
def test_an_address_no_link_can_carry_is_refused(course, capsys, slug, ref):
    assert badges.main(["--slug", slug, "--ref", ref, "--root", str(course)]) == 1
    assert "[tool.course]" in capsys.readouterr().err


def test_packages_are_the_dependencies_without_torch(course):
    assert badges.home(course).packages == ("numpy", "surely-missing")


# ----------------------------------------------------------------------------------------------------- set-up cell

FAKE_COLAB = "import sys, types; sys.modules['google.colab'] = types.ModuleType('google.colab')\n"
# Record what pip is asked for instead of asking it.
FAKE_PIP = """
import subprocess
_run = subprocess.run
def run(command, **kw):
    if "pip" in command:
        print("pip", *command[command.index("-q") + 1:])
        return None
    print("git clone")
    return _run(command, **kw)
subprocess.run = run
"""


@pytest.fixture
def published(course, tmp_path_factory):
    """The course as a local git repository that answers to its GitHub address, and an empty folder to work in."""
    (course / "llmlib_probe.py").write_text("HERE = __file__\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(course)]
    for command in (["init", "-q", "-b", "spring"], ["add", "."], ["commit", "-q", "-m", "a term"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    environment = {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{course.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/someone/some-course",
    }
    environment.pop("OMP_WAIT_POLICY", None)
    return environment, tmp_path_factory.mktemp("content")


def run_cell(published, before: str, cell: str, after: str) -> str:
    environment, folder = published
    code = f"{before}\n{cell}\n{cell}\n{after}"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_on_colab_the_cell_clones_once_and_installs_only_what_is_missing(course, published):
    after = "import llmlib_probe; print(llmlib_probe.HERE); print(sum('some-course-spring' in p for p in sys.path))"
    printed = run_cell(published, FAKE_COLAB + FAKE_PIP, badges.setup_cell(course), after).splitlines()
    assert printed.count("git clone") == 1
    assert printed.count("pip surely-missing") == 2, "asked for again only because nothing was installed"
    assert printed[-2] == str(published[1] / FOLDER / "llmlib_probe.py")
    assert printed[-1] == "1"


def test_a_fork_or_another_term_is_not_taken_for_the_course_that_is_there(course, published):
    (published[1] / "some-course" / "llmlib").mkdir(parents=True)  # a clone of another owner's, or of last term's
    after = "import llmlib_probe; print(llmlib_probe.HERE)"
    printed = run_cell(published, FAKE_COLAB + FAKE_PIP, badges.setup_cell(course), after).splitlines()
    assert printed[-1] == str(published[1] / FOLDER / "llmlib_probe.py")


def test_the_badge_row_needs_no_picture_from_elsewhere(course):
    assert "![" not in badges.row("lectures/90_waves.ipynb", "lectures/source/90_waves.py", course)


def test_elsewhere_the_cell_only_calms_openmp(course, published):
    printed = run_cell(published, FAKE_PIP, badges.setup_cell(course), "print(os.environ['OMP_WAIT_POLICY'])")
    assert printed == "passive\n"
    assert list(published[1].iterdir()) == []
