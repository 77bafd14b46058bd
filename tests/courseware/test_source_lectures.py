"""The source lectures are named alike in the registry, in the box and on the page."""

from pathlib import Path

import pytest

from courseware.classroom.claims import Claim, markdown_table
from courseware.classroom.sources import SOURCES, short_names, sources_box

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sources.md"


def test_the_page_lists_every_source_as_the_registry_names_it():
    page = PAGE.read_text(encoding="utf-8")
    for source in SOURCES.values():
        assert f"| **{source.short}** | *{source.title}* |" in page
        assert all(part in page for part in (source.course, source.lecturer, source.when))


def test_a_box_names_each_source_once_with_its_short_form():
    box = sources_box(["day24", "analytics"])
    assert "**Day 24**: *Deep Learning, Day 24: LLMs* (CSCI 1470, Eric Ewing, March 2025)" in box
    assert box.endswith("Lecture 5: Training & Scaling LLMs*"), "no empty brackets where nothing more is known"
    assert all(line.startswith(">") for line in box.splitlines())


def test_a_claim_names_its_sources_and_its_split():
    claim = Claim("GPT-2 has 117M", "2019", "124M", "fails", source=("hlt", "day24"), split="report")
    assert "| GPT-2 has 117M (HLT, Day 24) | 2019 | 124M *(report split)* | **fails** |" in markdown_table([claim])
    with pytest.raises(ValueError, match="source='J': choose from day24"):
        Claim("a", "b", "c", "holds", source="J")
    with pytest.raises(ValueError, match="split='test': choose one of 'train'"):
        Claim("a", "b", "c", "holds", split="test")
    assert short_names("hlt") == "HLT"
