"""Edited run folders: a run goes on or is evaluated as it was, or a line names the file.

A few cases run by default; ``BNTT_FUZZ=5000`` in the environment runs so many of each.
"""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
import copy
import json
import os
import random
import shutil
from dataclasses import replace

import pytest
import torch
from conftest import THREADS
from fuzzing import damaged
from small_runs import RECIPE, interrupt, log, pictures, same, stopped, tensors

import bntt.runs.opened as opened
import bntt.training.train as training
from bntt.analysis.accuracy import evaluate_run
from bntt.networks import checkpoint
from bntt.training.train import train

pytestmark = pytest.mark.slow  # all of them together

CASES = int(os.environ.get("BNTT_FUZZ", "5"))
DATA = pictures(size=4)
REFUSALS = (ValueError, OSError)
NAMES = ("run.json", "log.jsonl", "recipe.toml", "last.safetensors", "best.safetensors")
VALUES = (None, True, -1, 0, 3, 1e308, "", "x", [], ["a"], {}, {"a": []}, [{}], [[[]]])


@pytest.fixture(autouse=True)
def as_a_user(as_user, monkeypatch):
    for module in (training, opened):
        monkeypatch.setattr(module, "dataset_of", lambda *_, **__: DATA)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "dataset_of", lambda *_, **__: DATA)
        folder = tmp_path_factory.mktemp("original") / "run"
        torch.set_num_threads(THREADS)
        stopped(folder, patch, 7, interrupt, epochs=2)
    return folder


@pytest.fixture(scope="module")
def ending(original, tmp_path_factory):
    """The weights that the run comes to."""
    folder = tmp_path_factory.mktemp("ending") / "run"
    shutil.copytree(original, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "dataset_of", lambda *_, **__: DATA)
        resumed(folder)
    return folder


def resumed(folder):
    return train(replace(RECIPE, epochs=2), folder, resume=True, device="cpu", quiet=True)


def outcome(folder, call):
    """What a call gave; of a refusal nothing, once it is seen to name what is wrong."""
    try:
        return call()
    except REFUSALS as error:
        said = f"{error} {getattr(error, 'filename', '')}"
    assert str(folder) in said
    return None


def try_both(folder, ending):
    """Evaluate and resume an edited folder: right, or refused."""
    result = outcome(folder, lambda: evaluate_run(folder, device="cpu", quiet=True))
    if result is not None:
        assert len(result.mean) == RECIPE.num_steps
    if outcome(folder, lambda: resumed(folder)) is not None:
        assert same(tensors(folder / NAMES[3]), tensors(ending / NAMES[3]))
        assert log(folder)[-1]["step"] == 10


def edited(value, draw):
    """A copy of plain values with one thing changed, removed or added somewhere."""
    value = copy.deepcopy(value)
    place = value
    while isinstance(place, dict | list) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw.choice(keys)
        if not isinstance(place[key], dict | list) or not place[key] or draw.random() < 0.3:
            break
        place = place[key]
    else:
        return draw.choice(VALUES)
    if draw.random() < 0.3:
        del place[key]
    else:
        place[key] = draw.choice(VALUES)
    return value


@pytest.mark.parametrize("seed", range(CASES))
def test_an_edited_record(original, ending, tmp_path, seed):
    draw = random.Random(seed)
    folder = shutil.copytree(original, tmp_path / "run")
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    for _ in range(draw.choice((1, 1, 3))):
        about = edited(about, draw)
    (folder / "run.json").write_text(json.dumps(about), encoding="utf-8")
    try_both(folder, ending)


@pytest.mark.parametrize("seed", range(CASES))
def test_an_edited_log(original, ending, tmp_path, seed):
    draw = random.Random(seed)
    folder = shutil.copytree(original, tmp_path / "run")
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    k = draw.randrange(len(lines))
    lines[k] = json.dumps(edited(json.loads(lines[k]), draw))
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert resumed(folder)["status"] == "finished"
    assert same(tensors(folder / NAMES[3]), tensors(ending / NAMES[3]))


@pytest.mark.parametrize("seed", range(CASES))
def test_an_edited_last_checkpoint(original, ending, tmp_path, seed):
    draw = random.Random(seed)
    folder = shutil.copytree(original, tmp_path / "run")
    net, extra, info = checkpoint.read(folder / "last.safetensors")
    what = draw.choice(("info", "drop", "reshape", "rename", "type"))
    name = draw.choice(sorted(extra))
    match what:
        case "info":
            info = edited(info, draw)
            info = info if isinstance(info, dict) else {}
        case "drop":
            del extra[name]
        case "reshape":
            extra[name] = torch.zeros(draw.choice(((), (1,), (2, 3))))
        case "rename":
            odd = ("optimizer/x/y", "a/b", "optimizer/0/step/1", "optimizer/-1/exp_avg")
            extra[draw.choice(odd)] = extra.pop(name)
        case "type":
            extra[name] = extra[name].to(torch.int64)
    checkpoint.write(folder / "last.safetensors", net, extra, info)
    done = outcome(folder, lambda: resumed(folder))
    assert done is None or what == "info", "only a figure for the reader was changed"


@pytest.mark.parametrize("name", NAMES[:3])
def test_damaged_text(original, ending, tmp_path, name):
    data = (original / name).read_bytes()
    for k, spoilt in enumerate(damaged(data, cases=CASES)):
        folder = shutil.copytree(original, tmp_path / str(k))
        (folder / name).write_bytes(spoilt)
        try_both(folder, ending)


@pytest.mark.parametrize("one", NAMES)
@pytest.mark.parametrize("other", NAMES)
def test_files_put_in_the_place_of_others(original, ending, tmp_path, one, other):
    folder = shutil.copytree(original, tmp_path / "run")
    shutil.copy(original / one, folder / other)
    if one == other:
        assert resumed(folder)["status"] == "finished"
    else:
        try_both(folder, ending)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["missing", "empty", "folder"])
def test_files_that_are_none(original, ending, tmp_path, name, how):
    folder = shutil.copytree(original, tmp_path / "run")
    (folder / name).unlink()
    if how == "empty":
        (folder / name).touch()
    elif how == "folder":
        (folder / name).mkdir()
    try_both(folder, ending)
