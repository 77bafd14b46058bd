"""Claims: validated rows, a Markdown table, one ledger out of all executed lectures."""

import pytest

from courseware.authoring import claims, execute
from courseware.classroom.claims import Claim, claims_table, markdown_table


def claim(**changes: str) -> Claim:
    return Claim(**{"says": "s", "paper": "p", "measured": "m", "verdict": "holds"} | changes)


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        ("holds", "holds"),
        ("holds on this task; the rate depends on noise", "holds"),
        ("fails; by a factor of two", "fails"),
        ("cannot be tested at this scale", "cannot be tested at this scale"),
    ],
)
def test_verdicts(verdict, kind):
    assert claim(verdict=verdict).verdict_kind == kind


@pytest.mark.parametrize("verdict", ["true", "Holds", "holdsish", "it holds", "failsafe"])
def test_an_unknown_verdict_is_refused_and_the_choices_named(verdict):
    with pytest.raises(ValueError, match="'cannot be tested at this scale'"):
        claim(verdict=verdict)


@pytest.mark.parametrize("field", ["says", "paper", "measured"])
def test_an_empty_field_is_refused_by_name(field):
    with pytest.raises(ValueError, match=f"{field} is empty"):
        claim(**{field: "  "})


def test_an_empty_table_is_refused():
    with pytest.raises(ValueError, match="at least one Claim"):
        claims_table([])


def test_the_table_escapes_bars_and_line_ends():
    row = markdown_table([claim(says="$P(a|b)$\nis small", verdict="fails; see above")]).splitlines()[-1]
    assert row == r"| $P(a\|b)$ is small | p | m | **fails**; see above |"


def test_the_table_is_shown_as_markdown_with_its_rows_in_the_metadata(shown):
    claims_table([claim(), claim(says="other")])
    (output,) = shown
    assert output.data["text/markdown"].count("\n") == 3
    assert output.metadata["courseware"]["claims"][1]["says"] == "other"


def test_the_ledger_is_collected_from_executed_lectures(course, capsys):
    assert claims.main(["--check", "--root", str(course)]) == 1
    assert execute.main(["--root", str(course)]) == 0
    assert claims.main(["--root", str(course)]) == 0
    page = (course / "docs" / "claims.md").read_text()
    assert "1 claims: 1 holds, 0 fails" in page
    assert "## [90 · Waves](../lectures/90_waves.ipynb)" in page
    assert "| lines are straight (HLT) | Euclid, 300 BC | 2 of 2 | **holds**; on paper |" in page
    assert claims.main(["--check", "--root", str(course)]) == 0
