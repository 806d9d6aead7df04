"""A run opened once: what every command finds in it, and `bntt.load` of run and file."""

import json
import shutil

import pytest
import torch
from small_runs import RECIPE, go, pictures, same, status

import bntt
import bntt.runs.opened as opened
import bntt.training.train as training
from bntt.config import Recipe
from bntt.networks import checkpoint
from bntt.networks.config import NetworkConfig
from bntt.runs.network_values import SHARED, network_values
from bntt.runs.opened import open_run

DATA = pictures(size=4)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "dataset_of", lambda *_, **__: DATA)
        go(folder := tmp_path_factory.mktemp("finished") / "run", epochs=1)
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy of a finished run."""
    return shutil.copytree(finished, tmp_path / "run")


def test_a_run_is_opened_with_all_that_a_command_needs(run, monkeypatch):
    monkeypatch.setattr(opened, "dataset_of", lambda *_, **__: DATA)
    one = open_run(run, device="cpu")
    assert one.folder.path == run
    assert one.recipe.epochs == 1
    assert one.device == one.net.mean.device == torch.device("cpu")
    assert not one.net.training
    assert (one.precision, one.trained_steps) == ("float32", RECIPE.num_steps)
    assert one.warnings() == []
    dataset, warnings = one.load_data()
    assert dataset is DATA
    assert warnings == []


def test_a_run_says_that_it_has_not_come_to_its_end(run):
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(about | {"status": "interrupted"}))
    (said,) = open_run(run, device="cpu").warnings()
    assert said.startswith(f"{run} was interrupted before its end: ")
    assert status(run) == "interrupted", "to open is not to change"


@pytest.mark.parametrize("name", ["run", "best.safetensors", "last.safetensors"])
def test_load_takes_a_run_folder_or_a_file(run, name):
    net = bntt.load(run if name == "run" else run / name)
    assert not net.training
    file = run / ("best.safetensors" if name == "run" else name)
    assert same(dict(net.state_dict()), dict(checkpoint.load(file).state_dict()))


def test_load_says_what_is_no_run_and_what_is_not_there(run, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run folder"):
        bntt.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="There is no checkpoint .*nothing"):
        bntt.load(tmp_path / "nothing")
    (run / "best.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"best\.safetensors\. A run folder"):
        bntt.load(run)


def test_load_refuses_a_network_that_is_not_the_runs(run):
    net = bntt.load(run)
    net.v_threshold = 2.0
    bntt.save(net, run / "best.safetensors")
    said = r"not of the run whose recipe lies beside it: v_threshold \(2.0 in the file, 1.0"
    for call in (bntt.load, open_run):
        with pytest.raises(ValueError, match=said):
            call(run)


def test_names_that_recipe_and_network_share_mean_the_same_in_both():
    both = set(Recipe.__dataclass_fields__) & set(NetworkConfig.__dataclass_fields__)
    # the optimiser's momentum is not the norms', and a recipe's size may be the set's own
    assert both - set(SHARED) == {"momentum", "image_size"}
    assert set(SHARED) >= {"arch", "num_steps", "leak", "norm", "window", "encoder"}


@pytest.mark.parametrize(
    ("encoder", "arch", "expected"), [("permuted", "seq", 7), ("rows", "seq", 0)]
)
def test_a_permutation_is_the_networks_only_where_pixels_are_permuted(
    encoder, arch, expected
):
    values = {"dataset": "mnist", "num_steps": 4, "leak": 0.9, "epochs": 1}
    recipe = Recipe(
        arch=arch, encoder=encoder, permutation=7, batch_size=8, lr=0.1, **values
    )
    assert network_values(recipe)["permutation"] == expected
