"""A made-up class in which two students copied with other names for their variables: the hint points at them."""

import hashlib
import importlib.util
from pathlib import Path

import pytest

from courseware.classroom import cases
from courseware.grading import similarity
from courseware.grading.grader import Report
from courseware.grading.records import Record
from courseware.grading.staff_files import untouched_cells

spec = importlib.util.spec_from_file_location("simulated_class", Path(__file__).with_name("simulated_class.py"))
simulated = importlib.util.module_from_spec(spec)
spec.loader.exec_module(simulated)


@pytest.mark.parametrize("lab_id", ["lab03", "lab09"])
def test_copies_with_other_names_come_first(lab_id, tmp_path):
    lab = cases.load_lab(lab_id)
    paths = simulated.write_class(tmp_path, lab_id, n=24, copies=2, seed=3)
    records = [
        Record(Report(path.stem, lab, checksum=hashlib.sha256(path.read_bytes()).hexdigest()), str(path))
        for path in paths
    ]
    paths[4].write_text(paths[4].read_text() + " ")  # handed in again since
    found = similarity.of_class(lab, records, untouched_cells(lab))
    assert found.missing == (paths[4].stem,)
    copies = {path.stem for path in paths[-2:]}
    assert {pair.second for pair in found.pairs[:2]} == copies, "the two copies, each beside what it was copied from"
    assert found.pairs[1].rarity > found.pairs[2].rarity
    for question, likenesses in found.base.items():
        assert all(0 <= value < 1 for value in likenesses), f"{question}: two independent answers of one shape"
