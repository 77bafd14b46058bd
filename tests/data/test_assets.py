"""The table of assets, its command line, and DATA.md."""

import re
from pathlib import Path

import pytest
from fake_packages import wheel

from llmlib.data import assets, fetch, names
from llmlib.data.registry import ASSETS

ROOT = Path(__file__).parents[2]
TWO = {"text": (b"content", [("box", "box/text.txt")]), "other": (b"more", [("crate", "crate/more.txt")])}


def test_every_row_is_complete_and_pinned():
    for asset in ASSETS.values():
        assert re.fullmatch("[0-9a-f]{64}", asset.sha256), asset.name
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", asset.name)
        assert re.fullmatch(r"(\.[a-z0-9]+)+", asset.suffix), asset.name
        assert asset.size > 0 and asset.sources
        for text in (asset.what, asset.licence, asset.credit):
            assert text.strip() and "|" not in text and "\n" not in text, asset.name
        for source in asset.sources:
            assert source.package.kind in ("wheel", "sdist")
            assert re.fullmatch(r"[0-9][0-9a-z.]*", source.package.version)


def test_no_file_is_listed_twice():
    assert len({asset.sha256 for asset in ASSETS.values()}) == len(ASSETS)


def test_what_the_course_relies_on_is_there():
    wanted = {"smollm2", "minilm", "minilm-vocab", "gpt2-ranks", "shakespeare-plays", "names-female", "names-male"}
    assert wanted | {"botchan", "alice", "boolq", "quac", "cmudict", "grimm", "human-eval"} <= set(names())


def test_the_files_with_a_second_source_have_it():
    for name in ("minilm", "minilm-vocab", "gpt2-ranks"):
        assert len({source.package.name for source in ASSETS[name].sources}) == 2


def test_data_md_is_what_the_registry_says():
    written = (ROOT / "DATA.md").read_text(encoding="utf-8")
    assert written == assets.attribution(), "run: python -m llmlib.data.assets attribution > DATA.md"


def test_fetch_and_list_and_verify(stocked_shop, capsys):
    shop = stocked_shop
    shop.sells({"box": "wheel", "crate": "wheel"}, TWO)
    wheel(shop.shelf, "box", {"box/text.txt": b"content"})
    assert assets.main(["fetch", "text"]) == 0
    path = fetch("text")
    assert capsys.readouterr().out == f"text: {path}\n"

    assert assets.main(["list"]) == 0
    listed = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert " here " in listed["text"] and " here " not in listed["other"]

    assert assets.main(["verify"]) == 0
    assert capsys.readouterr().out == "text: good\n"
    path.write_bytes(b"c0ntent!")
    assert assets.main(["verify"]) == 1
    assert re.fullmatch(r"text: damaged \(.*\): run `python -m .* fetch text` .*\n", capsys.readouterr().out)


def test_fetch_all_goes_on_after_a_failure(stocked_shop, capsys):
    shop = stocked_shop
    shop.sells({"box": "wheel", "crate": "wheel"}, TWO)
    wheel(shop.shelf, "crate", {"crate/more.txt": b"more"})
    assert assets.main(["fetch", "--all"]) == 1
    said = capsys.readouterr()
    assert f"other: {fetch('other')}" in said.out
    assert "asset 'text' cannot be had" in said.err


@pytest.mark.parametrize("arguments", [["fetch"], ["fetch", "text", "--all"], ["steal"], []])
def test_a_wrong_command_line_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        assets.main(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err
