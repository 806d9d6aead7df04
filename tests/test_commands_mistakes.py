"""What newcomers type: every message says what they meant, and where it fails."""

import errno
import json
import os
import shutil
import sys
import typing
from pathlib import Path

import command
import pytest
from PIL import Image

from bntt.commands import main as cli
from bntt.commands.options import expanded

trained, run, refusal = command.trained, command.run, command.refusal
bntt_says = command.bntt_says


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["digits", "--epochs", "3"], "--set epochs=3"),
        (["--epochs", "3", "digits"], "--set epochs=3"),
        (["digits", "--epochs=3"], "--set epochs=3"),
        (["digits", "epochs=3"], "--set epochs=3"),
        (["digits", "--batch-size", "64"], "--set batch_size=64"),
        (["digits", "--epoch", "3"], "--set epochs=3"),
        (["digits", "--lr", "0.1", "--seed=7"], "--set lr=0.1 --set seed=7"),
        (["digits", "--set", "lr=1", "epochs=2"], "--set: --set epochs=2"),
        (["digits", "--epochs"], "--set epochs=VALUE"),
        (["digits", "--set", "epochs", "3"], "--set: --set epochs=3"),
    ],
)
def test_keys_of_the_recipe_are_no_options(refusal, words, said):
    line = refusal("train", *words)
    assert f"{said}. See bntt train --help" in line


@pytest.mark.parametrize("words", [["--colour", "red"], ["x=3"], ["more"]])
def test_other_words_get_no_such_hint(refusal, words):
    line = refusal("train", "digits", *words)
    assert "--set" not in line
    assert "--help" in line


def test_a_recipe_where_a_run_belongs(refusal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (["evaluate", "digits"], ["predict", "digits", "x.png"]):
        assert "bntt train digits" in refusal(*words)
    Path("runs/digits").mkdir(parents=True)
    Path("runs/digits/recipe.toml").write_text("")
    for words in (["evaluate", "digits"], ["predict", "digits", "x.png"]):
        assert refusal(*words).endswith(f"Did you mean {Path('runs/digits')}?")


def test_a_run_where_a_recipe_belongs(refusal, tmp_path):
    """Who goes on with a run names it, and is told the words that do so."""
    (tmp_path / "recipe.toml").write_text("")
    said = f"bntt train {tmp_path / 'recipe.toml'} --out {tmp_path} --resume."
    assert refusal("train", tmp_path, "--resume").endswith(said)


@pytest.mark.parametrize("name", ["best.safetensors", "last.safetensors", "run.json"])
def test_a_file_of_a_run_stands_for_it(run, tmp_path, bntt_says, name):
    copy = shutil.copytree(run, tmp_path / "copy")
    Image.new("L", (8, 8)).save(tmp_path / "x.png")
    answer = json.loads(bntt_says("evaluate", copy / name, "--json"))
    assert answer["checkpoint"] == str(copy / "best.safetensors")
    answer = json.loads(bntt_says("predict", copy / name, tmp_path / "x.png", "--json"))
    assert answer["checkpoint"] == str(copy / "best.safetensors")


def test_home_is_expanded_where_the_shell_leaves_it(run, tmp_path, monkeypatch, bntt_says):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    shutil.copytree(run, tmp_path / "copy")
    Image.new("L", (8, 8)).save(tmp_path / "x.png")
    bntt_says("evaluate", "~/copy", "--figure=~/curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000
    bntt_says("predict", "~/copy", "~/x.png")
    bntt_says("data", "digits", "--sheet=~/sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_every_path_is_expanded():
    seen = 0
    for one in cli.app.registered_commands:
        for name, hint in typing.get_type_hints(one.callback, include_extras=True).items():
            if "Path" in str(typing.get_args(hint)[:1]):
                seen += 1
                assert typing.get_args(hint)[1].parser is expanded, (one.name, name)
    assert seen >= 10


@pytest.fixture
def unevaluated(monkeypatch):
    """Fail if the work begins."""

    def begun(*_, **__):
        raise AssertionError("the target is looked at first")

    monkeypatch.setattr("bntt.analysis.accuracy.evaluate_run", begun)
    monkeypatch.setattr("bntt.analysis.dataset_summary.load_whole", begun)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("curve.mp3", "'mp3' is not supported"),
        ("curve", "'' is not supported"),
        ("missing/curve.png", "There is no folder"),
        ("folder.png", "is a folder"),
    ],
)
def test_a_picture_that_cannot_be_drawn(refusal, run, tmp_path, unevaluated, target, said):
    (tmp_path / "folder.png").mkdir()
    assert said in refusal("evaluate", run, "--figure", tmp_path / target)
    assert said in refusal("data", "digits", "--sheet", tmp_path / target)


@pytest.mark.parametrize("module", ["jinja2", "matplotlib.figure"])
def test_a_page_without_what_makes_it_names_one_extra(refusal, run, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    line = refusal("report", run)
    assert "A page needs" in line
    assert ".[report]" in line


def test_a_picture_without_matplotlib(refusal, run, tmp_path, monkeypatch, unevaluated):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    line = refusal("evaluate", run, "--figure", tmp_path / "curve.png")
    assert 'pip install -c constraints.txt ".[plot]"' in line


def test_the_answer_is_there_though_drawing_fails(run, tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    copy = shutil.copytree(run, tmp_path / "copy")
    target = tmp_path / "curve.png"
    target.write_bytes(b"an older picture")
    assert cli.main(["evaluate", str(copy), "--json", "--figure", str(target)]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["images"] == 360
    assert err == f"bntt: Not drawn: No space left on device: {target}.\n"
    assert target.read_bytes() == b"an older picture"
    assert cli.main(["data", "digits", "--json", "--sheet", str(target)]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["sheet"] is None
    assert err.splitlines()[-1] == f"bntt: Not drawn: No space left on device: {target}."


@pytest.mark.skipif(os.name != "posix", reason="a recipe nobody may read")
def test_an_input_that_cannot_be_read_is_the_one_named(refusal, tmp_path, monkeypatch):
    def locked(self, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    recipe = tmp_path / "mine.toml"
    recipe.write_text("epochs = 1")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", locked)
        line = refusal("train", recipe, "--out", tmp_path / "run")
    assert line == f"bntt: Permission denied: {recipe}."
    monkeypatch.setattr(
        "bntt.training.train.dataset_of", lambda *_, **__: locked("batch_1")
    )
    line = refusal("train", "digits", "--out", tmp_path / "run")
    assert line == "bntt: Permission denied: batch_1."


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LOCAL_RANK", "1", "MASTER_ADDR is not"),
        ("LOCAL_RANK", "0", "MASTER_ADDR is not"),
        ("LOCAL_RANK", "", "must be a whole number"),
        ("WORLD_SIZE", "two", "must be a whole number"),
    ],
)
def test_half_a_launch(refusal, monkeypatch, tmp_path, name, value, said):
    monkeypatch.setenv(name, value)
    line = refusal("train", "digits", "--out", tmp_path / "run")
    assert name in line
    assert said in line
    assert "nset" in line
    assert "to train in one process" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("environment", [{"RANK": "3"}, {"RANK": ""}, {"RANK": "one"}])
def test_who_speaks_is_what_training_says(monkeypatch, capsys, tmp_path, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = {"status": "finished", "epochs": 1, "seconds": 1.0, "validation_accuracy": None}
    for main, words in ((True, []), (True, ["--json"]), (False, []), (False, ["--json"])):
        monkeypatch.setattr(
            "bntt.training.train.train", lambda *_, m=main, **__: done | {"main": m}
        )
        assert cli.main(["train", "digits", "--out", str(tmp_path), *words]) == 0
        out = capsys.readouterr().out
        assert bool(out) == main
        if out and words:
            assert json.loads(out) == done
