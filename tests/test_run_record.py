"""What a run says of itself: its sittings, how each ended, and who works in its folder."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
import json
import os
import shutil
import sys
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from conftest import THREADS
from small_runs import (
    RECIPE,
    Killed,
    go,
    info,
    interrupt,
    kill,
    log,
    pictures,
    status,
    stopped,
)

import bntt.training.train as training
from bntt.networks import checkpoint
from bntt.runs import record
from bntt.runs.folder import RunFolder
from bntt.training.train import train


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    monkeypatch.setattr(training, "dataset_of", lambda *_, **__: pictures(size=4))


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "dataset_of", lambda *_, **__: pictures(size=4))
        folder = tmp_path_factory.mktemp("interrupted") / "run"
        torch.set_num_threads(THREADS)
        stopped(folder, patch, 7, interrupt, epochs=2)
    return folder


@pytest.fixture
def half(interrupted, tmp_path):
    """A copy of a run that was interrupted in its second epoch."""
    return shutil.copytree(interrupted, tmp_path / "half")


def segments(folder):
    return json.loads((folder / "run.json").read_text())["segments"]


def test_every_sitting_is_recorded_with_what_changed(half, capsys):
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    train(replace(RECIPE, epochs=2), half, resume=True, device="cpu", command="again")
    first, second = segments(half)
    assert (first["start_step"], second["start_step"]) == (0, 8)
    assert first["ended"] == {"status": "interrupted"}
    assert second["ended"] == {"status": "finished"}
    assert (first["threads"], second["threads"]) == (threads, threads + 1)
    assert second["changed"]["threads"] == [threads, threads + 1]
    assert second["command"] == "again"
    for name in ("commit", "versions", "backend", "processes", "device", "precision"):
        assert second[name] == first[name] or name == "backend", name
    assert second["processor"]["flags"] == first["processor"]["flags"]
    said = capsys.readouterr().err
    assert "Resuming at step 8; since the last sitting changed: " in said
    assert f"threads ({threads}, now {threads + 1})" in said


def test_a_sitting_in_which_nothing_changed_says_nothing(half, capsys):
    train(replace(RECIPE, epochs=2), half, resume=True, device="cpu")
    assert "changed" not in capsys.readouterr().err
    assert "changed" not in segments(half)[1]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 7 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0"),
        KeyboardInterrupt(),
        SystemExit(3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_ends_a_run_is_recorded(half, monkeypatch, error):
    def fail():
        raise error

    with pytest.raises(type(error)):
        stopped(half, monkeypatch, 9, fail, epochs=2, resume=True)
    about = json.loads((half / "run.json").read_text())
    assert about["status"] == "failed"
    assert about["because"].startswith(type(error).__name__)
    assert str(error) in about["because"]
    assert about["segments"][1]["ended"]["because"] == about["because"]
    assert go(half, resume=True, epochs=2)["status"] == "finished"
    assert json.loads((half / "run.json").read_text())["because"] is None


def test_a_run_that_failed_before_it_saved_gives_way(tmp_path, monkeypatch):
    def fail():
        raise MemoryError("too large")

    with pytest.raises(MemoryError):
        stopped(tmp_path, monkeypatch, 0, fail, batch_size=16)
    assert status(tmp_path) == "failed"
    assert go(tmp_path, epochs=1)["status"] == "finished"
    assert RunFolder(tmp_path).recipe().batch_size == 8
    assert {entry["step"] for entry in log(tmp_path)} == {1, 2, 3, 4, 5}


def test_a_shape_that_does_not_fit_leaves_no_folder(tmp_path, monkeypatch):
    frames = pictures().train_images[:, None].repeat(1, 3, 1, 1, 1)
    odd = replace(pictures(), train_images=frames, test_images=frames[:8])
    monkeypatch.setattr(training, "dataset_of", lambda *_, **__: odd)
    said = r"frames of events of shape \(3, 1, 8, 8\), for which encoder='poisson' is not"
    with pytest.raises(ValueError, match=said):
        go(tmp_path / "deep" / "run")
    assert not (tmp_path / "deep").exists()


def test_a_run_that_was_killed_is_known_by_its_lock(tmp_path, monkeypatch):
    with pytest.raises(Killed):
        stopped(tmp_path, monkeypatch, 7, kill, epochs=2)
    folder = RunFolder(tmp_path)
    folder.update(status="running")  # as a kill leaves it
    sitting = segments(tmp_path)
    del sitting[0]["ended"]
    folder.update(segments=sitting)
    assert folder.status() == "killed"
    with folder.held():
        assert RunFolder(tmp_path).status() == "running"
    go(tmp_path, resume=True, epochs=2)
    assert segments(tmp_path)[0]["ended"] == {"status": "killed"}
    assert folder.status() == "finished"


@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_that_is_being_trained_takes_no_second_run(half, resume):
    folder = RunFolder(half)
    sitting = [{"start_step": 0, "process": 12345, "host": "here"}]
    folder.update(status="running", segments=sitting)
    before = {path.name: path.read_bytes() for path in half.iterdir() if path.is_file()}
    said = f"{half} is being trained by process 12345 on here. Wait"
    with folder.held(), pytest.raises(BlockingIOError, match=said):
        go(half, resume=resume, epochs=2)
    after = {path.name: path.read_bytes() for path in half.iterdir() if path.is_file()}
    assert after == before


def test_two_trainings_into_one_new_folder(tmp_path, monkeypatch):
    refused = []

    def second():
        with pytest.raises(BlockingIOError, match=f"by process {os.getpid()} on"):
            go(tmp_path / "run", epochs=1)
        refused.append(True)

    stopped(tmp_path / "run", monkeypatch, 2, second, epochs=1)
    assert refused
    assert status(tmp_path / "run") == "finished"


def test_a_folder_in_which_no_run_began_goes_again(tmp_path):
    with RunFolder(tmp_path / "a" / "b").held():
        assert (tmp_path / "a" / "b").is_dir()
    assert not (tmp_path / "a").exists()
    (tmp_path / "mine").mkdir()
    with RunFolder(tmp_path / "mine").held():
        pass
    assert list((tmp_path / "mine").iterdir()) == []


DAMAGED = {
    "nul": b"\0" * 100 + b"\n",
    "half a line": b'{"step": 3, "lo\n',
    "empty object": b"{}\n",
    "list": b"[1]\n",
    "no text": b"\xff\xfe\n",
    "step of another kind": b'{"step": "3"}\n{"step": true}\n{"step": -1}\n',
    "deep": b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_log_keeps_no_run_from_going_on(half, capsys, what):
    lines = (half / "log.jsonl").read_bytes().splitlines(keepends=True)
    whole = log(half)
    spoilt = [*lines[:3], DAMAGED[what], *lines[3:], b'{"step": 8, "cut']
    (half / "log.jsonl").write_bytes(b"".join(spoilt))
    train(replace(RECIPE, epochs=2), half, resume=True, device="cpu")
    assert log(half)[: len(whole)] == whole
    count = DAMAGED[what].count(b"\n")
    assert f"had {count} damaged line" in capsys.readouterr().err


def test_leftovers_of_a_killed_save_are_cleared(half):
    for name in (".last.safetensors.4711", ".run.json.some-host.3.0.tmp"):
        (half / name).write_bytes(b"half")
    go(half, resume=True, epochs=2)
    left = {path.name for path in half.iterdir()} - {"tensorboard"}
    assert left == {
        *("recipe.toml", "run.json", "log.jsonl", "best.safetensors"),
        *("last.safetensors", ".lock"),
    }


def test_a_lost_checkpoint_is_not_trained_anew_in_silence(half):
    (half / "last.safetensors").unlink()
    with pytest.raises(ValueError, match=f"{half} came to step 8, but last.safetensors"):
        go(half, resume=True, epochs=2)


def test_the_best_checkpoint_is_not_the_last(half):
    shutil.copy(half / "best.safetensors", half / "last.safetensors")
    said = f"{half / 'last.safetensors'} does not say how far training came.*says epoch"
    with pytest.raises(ValueError, match=said):
        go(half, resume=True, epochs=2)


def rewrite(path, change):
    """Save a checkpoint with changed tensors and values."""
    net, tensors, values = checkpoint.read(path)
    change(net, tensors, values)
    checkpoint.write(path, net, tensors, values)


def drop(net, tensors, values):
    del tensors[sorted(tensors)[0]]


def grow(net, tensors, values):
    tensors[sorted(tensors)[0]] = torch.zeros(1, 2, 3)


def count(net, tensors, values):
    tensors[sorted(tensors)[0]] = tensors[sorted(tensors)[0]].long()


def rename(net, tensors, values):
    tensors["optimizer/99/momentum_buffer"] = tensors.pop(sorted(tensors)[0])


def forget(net, tensors, values):
    tensors.clear()


STATE = {drop: "missing or too", grow: "of shape", count: "floating", rename: "99/momentum"}
STATE[forget] = "missing or too many"


@pytest.mark.parametrize("change", STATE, ids=lambda change: change.__name__)
def test_another_optimisers_state_is_refused(half, change):
    rewrite(half / "last.safetensors", change)
    with pytest.raises(ValueError, match=f"last.safetensors.*{STATE[change]}"):
        go(half, resume=True, epochs=2)


@pytest.mark.parametrize(
    ("name", "value"),
    [("step", 99), ("step", -1), ("step", "8"), ("seen", None), ("correct", 10**6)],
)
def test_progress_that_cannot_be_is_refused(half, name, value):
    rewrite(half / "last.safetensors", lambda *a: a[2].update({name: value}))
    with pytest.raises(ValueError, match=r"last.safetensors says .* cannot be in a run"):
        go(half, resume=True, epochs=2)
    assert info(half / "last.safetensors")[name] == value


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        '"x"',
        "[" * 100_000,
        '{"status": 3}',
        '{"segments": {}}',
        '{"segments": [3]}',
        '{"step": -1}',
        '{"class_names": "ab"}',
        '{"source": []}',
        '{"images": {"train": "many"}}',
    ],
    ids=lambda text: text[:24],
)
def test_a_record_that_says_what_no_run_says_is_named(half, text):
    (half / "run.json").write_text(text)
    for call in (RunFolder(half).info, lambda: go(half, resume=True, epochs=2)):
        with pytest.raises(ValueError, match=str(half / "run.json")):
            call()


def test_only_what_decides_weights_counts_as_changed():
    one = {"threads": 1, "versions": {"torch": "2.6", "numpy": "2"}, "started": "then"}
    two = {"threads": 2, "versions": {"torch": "2.7", "numpy": "2"}, "started": "now"}
    one["precision_because"], two["precision_because"] = "hardware", "as the run began"
    change = record.changed(one, two | {"new": 1})
    assert change == {"threads": [1, 2], "versions.torch": ["2.6", "2.7"]}
    assert record.in_words(change) == "threads (1, now 2), versions.torch (2.6, now 2.7)"


# curves never end training


def broken(monkeypatch):
    module = ModuleType("torch.utils.tensorboard.writer")

    class SummaryWriter:
        def __init__(self, *_, **__):
            raise TypeError("MessageToJson() got an unexpected keyword")

    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", module)


def test_a_broken_tensorboard_is_said_once(tmp_path, monkeypatch, capsys):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    broken(monkeypatch)
    assert go(tmp_path, epochs=1)["status"] == "finished"
    assert capsys.readouterr().err.count("TensorBoard does not work here") == 1


def test_a_folder_called_tensorboard_is_no_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "tensorboard")
    (tmp_path / "tensorboard").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    from bntt.training.board import Board

    board = Board(tmp_path / "run", True)
    board.write(1, {"loss": 1.0})
    board.close()
    assert board.writer is None


def test_curves_go_back_where_a_run_goes_on(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(Killed):
        stopped(tmp_path, monkeypatch, 8, kill, epochs=2)
    assert info(tmp_path / "last.safetensors")["step"] == 5, "8 were logged"
    go(tmp_path, resume=True, epochs=2)
    curves = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [e.step for e in curves.Scalars("loss")] == list(range(1, 11))
