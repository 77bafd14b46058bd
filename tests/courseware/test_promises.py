"""Promises between lectures: made, kept, broken."""

import pytest

from courseware.authoring import promises


@pytest.fixture
def lectures(tmp_path):
    (tmp_path / "lectures" / "source").mkdir(parents=True)
    (tmp_path / "docs").mkdir()

    def write(**texts: str):
        for name, text in texts.items():
            lines = "\n".join(f"# {line}" for line in text.splitlines())
            (tmp_path / "lectures" / "source" / f"{name[1:]}_x.py").write_text(f"# %% [markdown]\n{lines}\n")
        return sorted((tmp_path / "lectures" / "source").glob("*.py"))

    write.root = tmp_path
    return write


def test_a_kept_promise_and_a_planned_one_are_fine_and_listed(lectures):
    sources = lectures(
        _01="First. Lecture 03 has to beat this. <!-- promise: 03-beat-it -->\n"
        "On sizes, see 08. <!-- promise: 08-sizes -->",
        _03="Here is the line. <!-- keeps: 03-beat-it -->",
    )
    assert promises.problems(sources) == []
    page = promises.page(sources)
    assert "## [Lecture 03](../lectures/03_x.ipynb)" in page and "## Lecture 08 (planned)" in page
    assert "- `03-beat-it`, promised in 01, kept: Lecture 03 has to beat this." in page
    assert "- `08-sizes`, promised in 01, owed: On sizes, see 08." in page


@pytest.mark.parametrize(
    ("texts", "wrong"),
    [
        ({"_01": "<!-- promise: 03-beat-it -->", "_03": "no"}, "lecture 03 exists and does not keep it"),
        ({"_03": "<!-- keeps: 03-beat-it -->"}, "nobody promised that"),
        ({"_01": "<!-- promise: 03-x --><!-- keeps: 03-x -->"}, "owed by lecture 03, so it is kept there"),
        ({"_01": "<!-- promise: beat it -->"}, "write it as"),
        ({"_01": "<!-- promises: 09-x -->"}, "write it as"),
    ],
)
def test_what_is_wrong_is_said(lectures, texts, wrong):
    assert any(wrong in line for line in promises.problems(lectures(**texts)))


def test_the_command_writes_the_page_and_checks_it(lectures, capsys):
    lectures(_01="See 08. <!-- promise: 08-sizes -->")
    root = ["--root", str(lectures.root)]
    assert promises.main(["--check", *root]) == 1
    assert "promises.md is stale" in capsys.readouterr().out
    assert promises.main(root) == 0 and promises.main(["--check", *root]) == 0
    assert "1 promises, none broken" in capsys.readouterr().out
