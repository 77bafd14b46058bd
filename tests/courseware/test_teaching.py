"""The instructor guide covers the course: its table, its plans and the notes agree with the lectures and promises."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = [f"{n:02}" for n in range(21)]
GUIDE = (ROOT / "docs" / "instructor_guide.md").read_text(encoding="utf-8")
NOTES = sorted((ROOT / "docs" / "teaching").glob("*.md"))
PARTS = ["Show live.", "Polls, and the votes to expect.", "Pause", "Misconceptions.", "The slides.", "In the lab."]


def rows() -> dict[str, list[str]]:
    """The table of lectures: number -> title, classes, minutes, needs, keeps promises made in, what breaks."""
    found = re.findall(r"^\| \[(\d\d)\]\(teaching/\1\.md\) \| (.+) \|$", GUIDE, flags=re.MULTILINE)
    return {number: [cell.strip() for cell in rest.split(" | ")] for number, rest in found}


def test_the_table_has_every_lecture_and_its_minutes_are_those_of_the_opening():
    table = rows()
    assert sorted(table) == NUMBERS
    for source in (ROOT / "lectures" / "source").glob("[0-9][0-9]_*.py"):
        text = source.read_text(encoding="utf-8")
        stated = re.search(r"\*\*Time:\*\* core (\d+) minutes, optional (\d+) minutes; (one|two) class", text)
        core, optional = (int(part) for part in table[source.name[:2]][2].split(","))
        assert abs(core - int(stated[1])) <= 8 and abs(optional - int(stated[2])) <= 8, f"{source.name}: see the guide"
        assert table[source.name[:2]][1] == {"one": "1", "two": "2"}[stated[3]], f"{source.name}: classes in the guide"


def test_the_table_names_the_promises_that_a_lecture_keeps():
    kept: dict[str, set[str]] = {}
    for part in (ROOT / "docs" / "promises.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        number = re.match(r"\[Lecture (\d\d)\]", part)[1]
        kept[number] = set(re.findall(r"\d\d", " ".join(re.findall(r"promised in ([\d, ]+)", part))))
    for number, cells in rows().items():
        assert set(re.findall(r"\d\d", cells[4])) == kept.get(number, set()), f"lecture {number}: promises in the guide"


def test_the_plans_come_to_the_classes_they_say():
    total = sum(int(cells[1]) for cells in rows().values())
    assert f"All of it takes {total} classes" in GUIDE
    weeks = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", GUIDE, flags=re.MULTILINE)
    assert [int(week[0]) for week in weeks] == list(range(1, 15))
    days = re.findall(r"^\| (\d) \| ([^|]+) \| [^|]+ \|$", GUIDE, flags=re.MULTILINE)
    assert [int(day) for day, _ in days] == list(range(1, 6))
    assert all(classes.count(";") == 2 for _, classes in days), "three classes a day"


@pytest.mark.parametrize("number", NUMBERS)
def test_every_lecture_has_notes_with_the_parts_that_a_teacher_looks_for(number):
    path = ROOT / "docs" / "teaching" / f"{number}.md"
    text = path.read_text(encoding="utf-8")
    assert [part for part in PARTS if f"**{part}" not in text] == []
    assert "**Short of time?**" in text
    assert 250 <= len(text.split()) <= 500
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links[0].startswith(f"../../lectures/{number}_")
    assert all((path.parent / link).exists() for link in links if number != "20")  # built with the last lecture


def test_the_notes_name_no_question_that_a_lab_does_not_have():
    for path in NOTES:
        lab = next((ROOT / "solutions").glob(f"lab{path.stem}_*.py"), None)
        if lab is not None:
            has = set(re.findall(r'check\("lab\d\d\.q(\d)"', lab.read_text(encoding="utf-8")))
            part = path.read_text(encoding="utf-8").partition("**In the lab.**")[2].partition("\n\n")[0]
            assert set(re.findall(r"[Qq]uestion (\d)", part)) <= has, f"{path.name} names a question that is not there"


def test_the_glossary_is_in_order_and_names_lectures_that_exist():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    line = r"^- \*\*(.+?)\*\* \(\[(\d\d)\]\(\.\./lectures/(.+?)\.ipynb\)\): (.+)$"
    terms = re.findall(line, text, flags=re.MULTILINE)
    names = [name.lower().replace("-", "") for name, _, _, _ in terms]
    assert 100 <= len(terms) <= 160 and names == sorted(names) and len(set(names)) == len(names)
    assert {number for _, number, _, _ in terms} == set(NUMBERS)
    assert all((ROOT / "lectures" / "source" / f"{stem}.py").exists() for _, _, stem, _ in terms)
