import json
import platform

import pytest

from llmlib.data import Experiment, recorded, recorded_names, recordings, save_recorded, stale
from llmlib.data.recordings import _first_parts


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """An empty repository with one package of two modules and one script."""
    monkeypatch.setattr(recordings, "PACKAGE", tmp_path / "llmlib")
    monkeypatch.setattr(recordings, "FOLDER", tmp_path / "llmlib" / "recorded")
    for name in ("llmlib/recorded", "llmlib/train", "benchmarks"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "llmlib/train/loop.py").write_text(
        '"""The loop."""\n\nRATE = 3  # steps\n\n\ndef f():\n    return "a # b"\n'
    )
    (tmp_path / "llmlib/train/optim.py").write_text("class Adam:\n    beta = 0.9\n")
    (tmp_path / "benchmarks/sweep.py").write_text("print(1)\n")
    return tmp_path


SCRIPT = "benchmarks/sweep.py"


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_was_saved_is_read_with_its_origin(repository):
    path = save_recorded("sweep", {"loss": [1.5, 1.25]}, SCRIPT, ["llmlib.train.loop"], machine="a laptop")
    assert path == repository / "llmlib/recorded/sweep.json"
    recording = recorded("sweep")
    assert recording["results"] == {"loss": [1.5, 1.25]}
    assert recording["script"] == SCRIPT and recording["machine"] == "a laptop"
    assert recording["command"] == f"python {SCRIPT}" and recording["seeds"] == [] and recording["seconds"] >= 0
    assert set(recording["modules"]) == {"llmlib.train.loop", SCRIPT}
    assert recorded_names() == ["sweep"]


def test_the_machine_is_described_without_its_name(repository):
    save_recorded("sweep", 1, SCRIPT, [])
    machine = recorded("sweep")["machine"]
    assert "torch" in machine and "Python" in machine
    assert not platform.node() or platform.node() not in machine


@pytest.mark.parametrize("module, file", [("llmlib.train.loop", "llmlib/train/loop.py"), (SCRIPT, SCRIPT)])
def test_changed_code_makes_a_recording_stale(repository, module, file):
    save_recorded("sweep", 1, SCRIPT, ["llmlib.train.loop", "llmlib.train.optim"])
    assert stale("sweep") == []
    (repository / file).write_text((repository / file).read_text() + "x = 2\n")
    assert stale("sweep") == [module]


def test_a_package_stands_for_all_its_modules(repository):
    save_recorded("sweep", 1, SCRIPT, ["llmlib.train"])
    edit(repository / "llmlib/train/optim.py", "0.9", "0.95")
    assert stale("sweep") == ["llmlib.train"]


def test_words_may_change_and_code_may_not(repository):
    save_recorded("sweep", 1, SCRIPT, ["llmlib.train.loop"])
    loop = repository / "llmlib/train/loop.py"
    edit(loop, '"""The loop."""', '"""The training loop, told\n\nat greater length."""\n# and a remark')
    edit(loop, "  # steps", "  # steps per second")
    edit(loop, "def f():", 'def f():\n    """Now with a docstring."""\n')
    loop.write_bytes(loop.read_bytes().replace(b"\n", b"\r\n"))
    assert stale("sweep") == []
    edit(loop, "a # b", "a # c")
    assert stale("sweep") == ["llmlib.train.loop"]


def test_a_module_that_is_gone_is_stale(repository):
    save_recorded("sweep", 1, SCRIPT, ["llmlib.train.loop"])
    (repository / "llmlib/train/loop.py").unlink()
    assert stale("sweep") == ["llmlib.train.loop"]


def test_wrong_names_are_errors_with_a_remedy(repository):
    with pytest.raises(
        ValueError, match=r"nothing is recorded under name 'sweep': choose one of none yet.*make recorded"
    ):
        recorded("sweep")
    with pytest.raises(FileNotFoundError, match=r"module 'llmlib.trian' is not a file or folder"):
        save_recorded("sweep", 1, SCRIPT, ["llmlib.trian"])
    with pytest.raises(ValueError, match="JSON"):
        save_recorded("sweep", float("nan"), SCRIPT, [])
    assert recorded_names() == []


@pytest.mark.parametrize("name", recorded_names())
def test_no_recording_of_the_course_is_stale(name):
    assert stale(name) == [], f"the code behind {name} changed: run {recorded(name)['script']} (make recorded)"


@pytest.mark.parametrize("name", recorded_names())
def test_a_recording_of_the_course_says_where_it_comes_from(name):
    recording = recorded(name)
    assert {"script", "date", "machine", "modules", "results"} <= set(recording)
    if recording["date"] > "2026-11-21":  # the first recordings, until they are made again
        assert {"command", "seeds", "seconds"} < set(recording) and recording["seconds"] > 0
        assert recording["command"].startswith(f"python {recording['script']}")
    assert recording["script"] in recording["modules"] and len(recording["modules"]) > 1
    assert (recordings.PACKAGE.parent / recording["script"]).is_file()
    assert len(json.dumps(recording)) < 400_000


def test_each_recorded_experiment_has_a_command_of_its_own():
    commands = [recorded(name)["command"] for name in recorded_names() if recorded(name)["date"] > "2026-11-21"]
    assert len(set(commands)) == len(commands)


def test_a_recording_keeps_its_command_seeds_and_seconds(repository, monkeypatch):
    monkeypatch.setattr("sys.argv", [str(repository / SCRIPT), "--steps", "10 000"])
    save_recorded("sweep", 1, str(repository / SCRIPT), [], seeds=range(3), seconds=12.345)
    recording = recorded("sweep")
    assert recording["script"] == SCRIPT, "also where the script gave its __file__"
    assert recording["command"] == f"python {SCRIPT} --steps '10 000'"
    assert recording["seeds"] == [0, 1, 2] and recording["seconds"] == 12.3


# --- experiments that are interrupted ---------------------------------------------------------------------------------


def sweep(calls, stop_at=None, name="sweep"):
    experiment = Experiment(name, SCRIPT, ["llmlib.train.loop"], seeds=(0, 1, 2))

    def train(seed):
        if seed == stop_at:
            raise KeyboardInterrupt
        calls.append(seed)
        return {"seed": seed, "losses": (1.5, 1.25)}

    return experiment.save([experiment.once(f"seed {seed}", train, seed) for seed in (0, 1, 2)])


def test_an_interrupted_experiment_goes_on_where_it_stopped(repository, capsys, monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(recordings.time, "monotonic", lambda: float(next(clock)))
    whole, parts = [], []
    sweep(whole)
    expected = recorded("sweep")["results"]
    with pytest.raises(KeyboardInterrupt):
        sweep(parts, stop_at=2)
    assert parts == [0, 1]
    assert sweep(parts) == repository / "llmlib/recorded/sweep.json"
    assert parts == whole == [0, 1, 2] and recorded("sweep")["results"] == expected
    assert expected[0] == {"seed": 0, "losses": [1.5, 1.25]}, "the same types whether it was interrupted or not"
    assert recorded("sweep")["seeds"] == [0, 1, 2]
    assert recorded("sweep")["seconds"] == 40, "20 to the last result of the first run, 20 in the second"
    assert "goes on after 2 results" in capsys.readouterr().out
    assert list((repository / "build/experiments").iterdir()) == []


def test_what_was_computed_in_a_folder_of_its_own_counts_to_the_time(repository, monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(recordings.time, "monotonic", lambda: float(next(clock)))
    experiment = Experiment("sweep", SCRIPT, ["llmlib.train.loop"])
    experiment.took_before(500.0)
    experiment.save([1])
    assert recorded("sweep")["seconds"] == 510


@pytest.mark.parametrize("file", ["llmlib/train/loop.py", SCRIPT])
def test_results_of_other_code_are_not_used(repository, file):
    parts = []
    with pytest.raises(KeyboardInterrupt):
        sweep(parts, stop_at=1)
    (repository / file).write_text((repository / file).read_text() + "x = 2\n")
    sweep(parts)
    assert parts == [0, 0, 1, 2]


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"code": 1}', "\x00"])
def test_a_damaged_file_on_the_way_costs_no_run(repository, damage):
    parts = []
    with pytest.raises(KeyboardInterrupt):
        sweep(parts, stop_at=1)
    (repository / "build/experiments/sweep.json").write_text(damage)
    sweep(parts)
    assert parts == [0, 0, 1, 2]


def test_unchanged_numbers_are_confirmed_by_running_the_first_parts_again(repository, monkeypatch, capsys):
    sweep([])
    (repository / "llmlib/train/loop.py").write_text("def train():\n    return 2 - 1\n")
    assert stale("sweep") == ["llmlib.train.loop"]
    results, again = recorded("sweep")["results"], []
    monkeypatch.setattr(recordings.sys, "argv", [SCRIPT, "--confirm"])
    with pytest.raises(SystemExit) as end:
        sweep(again)
    assert end.value.code == 0 and again == [0, 1]
    assert stale("sweep") == [] and recorded("sweep")["results"] == results
    assert set(recorded("sweep")["confirmed"]["differences"].values()) == {0.0}
    assert "--confirm" not in recorded("sweep")["command"]


def test_other_numbers_are_not_confirmed(repository, monkeypatch):
    sweep([])
    path = repository / "llmlib/recorded/sweep.json"
    before = path.read_text().replace("1.5", "1.7")
    path.write_text(before)
    monkeypatch.setattr(recordings.sys, "argv", [SCRIPT, "--confirm"])
    with pytest.raises(SystemExit, match="comes out differently"):
        sweep([])
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({"x": [1.0, 2]}, {"x": [1.0, 2.5]}, 0.25),
        ({"x": 1}, {"y": 1}, float("inf")),
        (["a", True, None], ["a", True, None], 0.0),
        ("a", "b", float("inf")),
        ([1], [1, 2], float("inf")),
        (100.0, 101.0, 0.01),
        ({"loss": 1.0, "seconds": [1.0, 2.0]}, {"loss": 1.0, "seconds": [9.0]}, 0.0),
        ({"loss": 1.0, "seconds": 1.0}, {"loss": 1.5, "seconds": 1.0}, 0.5),
    ],
)
def test_differences_of_results(a, b, expected):
    assert recordings.difference(a, b) == pytest.approx(expected)


def test_of_parts_the_beginnings_are_kept_and_compared(repository, monkeypatch, capsys):
    assert _first_parts({"a": {"x": [0.5] * 50, "y": "text"}}) == {"a": {"x": [0.5] * 3, "y": "text"}}
    assert _first_parts({"a": {"x": "y" * 50, **{str(i): i for i in range(50)}}}) == {
        "a": {"x": "y" * 40, **{str(i): i for i in range(7)}}
    }
    long = [["word" * 10] * 3] * 9
    assert list(_first_parts({"a": [long] * 3, "b": 1, "c": 2})) == ["a"]
    assert list(_first_parts({"a": 1, "b": 2, "c": 3})) == ["a", "b"]

    def measure(values):
        experiment = Experiment("sweep", SCRIPT, ["llmlib.train.loop"])
        return experiment.save([experiment.once("all", list, values)])

    measure(range(100))
    monkeypatch.setattr("sys.argv", [SCRIPT, "--confirm"])
    measure(range(100))
    assert "confirmed by running 1 parts again" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="comes out differently"):
        measure(range(1, 101))
