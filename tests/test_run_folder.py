"""The folder of a run: what it says of itself, and what it refuses.

What a user reads of a folder that holds another run: ``test_commands_errors.py``.
"""

import json
from dataclasses import replace

import pytest
import torch
from small_runs import RECIPE

import bntt
from bntt.runs.folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "deep" / "run")
    folder.start(RECIPE, {"command": "bntt train x", "seed": 0})
    return folder


def test_a_start_tells_what_and_on_what(folder):
    assert folder.recipe() == RECIPE
    info = folder.info()
    assert info["command"] == "bntt train x"
    assert info["status"] == "running"
    assert info["versions"]["torch"] == torch.__version__
    assert info["threads"] == torch.get_num_threads()
    assert info["backend"] == bntt.backend_report()
    for name in ("started", "commit", "python", "platform", "processor"):
        assert info[name], name


def test_what_is_updated_changes_and_the_rest_stays(folder):
    before = folder.info()
    folder.update(status="finished", step=3)
    assert folder.info() == {**before, "status": "finished", "step": 3}


def test_a_start_is_refused_where_a_run_is(folder):
    with pytest.raises(FileExistsError, match="holds a run of this recipe. Continue it"):
        folder.start(RECIPE, {})


@pytest.mark.parametrize("how", ["start", "resume"])
def test_another_recipe_is_refused_by_the_keys_that_differ(folder, how):
    other = replace(RECIPE, lr=0.02, seed=3)
    said = r"another recipe: lr \(0.01 there, 0.02 here\), seed \(0 there, 3 here\)\. Give"
    with pytest.raises(ValueError, match=said):
        folder.start(other, {}) if how == "start" else folder.resume(other)
    assert folder.recipe() == RECIPE


def test_the_same_recipe_may_go_on(folder):
    before = folder.info()
    folder.resume(replace(RECIPE))
    assert folder.info() == before


def test_where_nothing_is_there_is_nothing_to_read(tmp_path):
    empty = RunFolder(tmp_path)
    assert empty.info() == {}
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} is not a run folder"):
        empty.recipe()
    with pytest.raises(FileNotFoundError, match="no run to resume in .* Leave out"):
        empty.resume(RECIPE)


def test_a_start_that_never_got_to_its_circumstances_may_start_again(tmp_path):
    folder = RunFolder(tmp_path)
    folder.recipe_file.write_text(replace(RECIPE, lr=0.5).to_toml())
    folder.start(RECIPE, {})
    assert folder.recipe() == RECIPE


@pytest.mark.parametrize("text", ["", '{"status": "run', "no JSON"])
def test_damaged_circumstances_are_named(folder, text):
    folder.info_file.write_text(text)
    for damaged in (folder.info, lambda: folder.update(step=1)):
        with pytest.raises(ValueError, match=rf"{folder.info_file} is not JSON .*another"):
            damaged()
    assert folder.info_file.read_text() == text


def entries(folder):
    return [json.loads(line) for line in folder.log_file.read_text().splitlines()]


def test_the_log_grows_and_goes_back(folder):
    folder.rewind_log(0)  # before there is one
    for step in (1, 2, 2, 3, 4):
        folder.log(step=step, loss=0.5)
    folder.rewind_log(3)
    assert [entry["step"] for entry in entries(folder)] == [1, 2, 2, 3]
    assert entries(folder)[0] == {"step": 1, "loss": 0.5}
    folder.log(step=4, loss=0.25)
    assert [entry["step"] for entry in entries(folder)] == [1, 2, 2, 3, 4]
    folder.rewind_log(0)
    assert entries(folder) == []


def test_a_last_line_that_was_cut_does_not_keep_a_run_from_going_on(folder):
    folder.log(step=1)
    with folder.log_file.open("a") as file:
        file.write('{"step": 2, "lo')
    folder.rewind_log(2)
    assert entries(folder) == [{"step": 1}]
