"""What a user may get wrong: one line that says what and how to mend it, exit code 2."""

import errno
import os
import shutil
import sys
from pathlib import Path

import command
import pytest
import torch
from made_up_cifar import publish
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load, save_file

from bntt import vgg5
from bntt.commands.main import main
from bntt.config import recipe_names
from bntt.machine.not_written import writing

trained, run, refusal = command.trained, command.run, command.refusal


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the run, to be spoilt."""
    return shutil.copytree(run, tmp_path / "copy")


@pytest.fixture
def picture(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian", "digits"], "Did you mean 'train'"),
        (["train"], "Missing argument 'RECIPE'"),
        (["train", "digits", "--epochs", "3"], "No such option: --epochs"),
        (["evaluate", "runs/x", "--num-steps", "0"], "--num-steps"),
        (["evaluate", "runs/x", "--seeds", "many"], "--seeds"),
        (["predict", "runs/x"], "Missing argument 'FILE...'"),
    ],
)
def test_words_that_are_no_command(refusal, words, said):
    line = refusal(*words)
    assert said in line
    assert "--help" in line


def test_unknown_recipe(refusal):
    line = refusal("train", "cifar10-vgg")
    assert "Unknown recipe 'cifar10-vgg'. Did you mean 'cifar10-vgg9'" in line
    assert all(name in line for name in recipe_names())


def test_missing_recipe_file(refusal, tmp_path):
    line = refusal("train", tmp_path / "mine.toml")
    assert f"No recipe file {tmp_path / 'mine.toml'}" in line


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("epoch=2", "Unknown recipe key 'epoch'. Did you mean 'epochs'?"),
        ("norm=bnt", "Unknown norm 'bnt'. Did you mean 'bntt'?"),
        ("lr=fast", "`lr` must be a number"),
        ("leak=20", "`leak` must lie in [0, 1]"),
        ("epochs", "written key=value"),
    ],
)
def test_unknown_key_or_value(refusal, tmp_path, override, said):
    assert said in refusal("train", "digits", "--out", tmp_path / "run", "--set", override)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_unknown_device(refusal, run, tmp_path, name):
    words = [run] if name == "evaluate" else ["digits", "--out", tmp_path / "run"]
    assert "No device 'gpu' here" in refusal(name, *words, "--device", "gpu")


def test_unknown_backend(refusal, run, monkeypatch):
    monkeypatch.setenv("BNTT_BACKEND", "fastest")
    line = refusal("evaluate", run)
    assert "BNTT_BACKEND" in line
    assert "Known: auto, reference, cpu" in line


def test_missing_data(refusal, tmp_path):
    out, data = tmp_path / "run", tmp_path / "data"
    line = refusal("train", "cifar10-vgg9", "--out", out, "--data", data)
    assert f"No CIFAR-10 in {data}" in line
    assert "--data DIR" in line
    assert not out.exists()


@pytest.mark.parametrize("which", [0, 1], ids=["python", "binary"])
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damaged_data(refusal, tmp_path, monkeypatch, which, damage):
    folder = publish(monkeypatch, "cifar10").write(which, tmp_path / "data")
    victim = folder / ["data_batch_3", "data_batch_3.bin"][which]
    data = victim.read_bytes()
    victim.write_bytes(data[:-100] if damage == "cut" else b"\xff" + data[1:])
    line = refusal("train", "cifar10-vgg9", "--out", tmp_path / "run", "--data", folder)
    assert str(victim) in line
    assert not (tmp_path / "run").exists()


def test_no_run(refusal, tmp_path, picture):
    for words in (["evaluate", tmp_path / "run"], ["predict", tmp_path / "run", picture]):
        assert str(tmp_path / "run") in refusal(*words)


def test_a_run_whose_first_epoch_is_not_over(refusal, copy, picture):
    (copy / "best.safetensors").unlink()
    for words in (["evaluate", copy], ["predict", copy, picture]):
        line = refusal(*words)
        assert f"no checkpoint {copy / 'best.safetensors'}" in line
        assert "first epoch" in line


def described(path):
    with safe_open(path, framework="pt") as file:
        return file.metadata()


def spoil(path, how):
    tensors = load(path.read_bytes())  # not mapped: the file is about to be overwritten
    match how:
        case "cut":
            path.write_bytes(path.read_bytes()[:-1000])
        case "empty":
            path.write_bytes(b"")
        case "pickle":
            torch.save({"state_dict": tensors}, path)
        case "foreign":
            save_file(tensors, path)
        case "tensor missing":
            del tensors["output.weight"]
            save_file(tensors, path, metadata=described(path))
        case "tensor of another shape":
            tensors["output.weight"] = torch.zeros(3, 3)
            save_file(tensors, path, metadata=described(path))


SPOILT = {
    "cut": "not a readable safetensors file",
    "empty": "not a readable safetensors file",
    "pickle": "bntt.load_reference",
    "foreign": "not one that bntt wrote",
    "tensor missing": "output.weight",
    "tensor of another shape": "wrong shape",
}


@pytest.mark.parametrize("how", SPOILT)
def test_wrong_checkpoint(refusal, copy, picture, how):
    spoil(copy / "best.safetensors", how)
    for words in (["evaluate", copy], ["predict", copy, picture]):
        line = refusal(*words)
        assert str(copy / "best.safetensors") in line
        assert SPOILT[how] in line


def test_more_steps_than_were_trained(refusal, run, picture):
    for words in (["evaluate", run], ["predict", run, picture]):
        line = refusal(*words, "--num-steps", "5")
        assert "trained for 4 time-steps" in line
        assert "num_steps is 5" in line
        assert "Ask for 1 to 4" in line


@pytest.mark.parametrize("encoder", ["direct", "poisson"])
def test_images_that_are_not_numbers(as_user, encoder):
    config = {"num_classes": 2, "num_steps": 2, "leak": 0.9, "image_size": 8}
    net = vgg5(in_channels=1, encoder=encoder, **config)
    images = torch.zeros(2, 1, 8, 8)
    images[1, 0, 3, 3] = float("nan")
    with pytest.raises(ValueError, match="NaN or infinity.*Check how they were read"):
        net(images)


@pytest.mark.slow
def test_loss_that_is_not_a_number(tmp_path):
    words = ["train", "digits", "--set", "lr=1e38", "--set", "optimizer=sgd"]
    done = command.bntt_process(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith(("bntt: The loss became ", "bntt: Training diverged: "))
    assert " at step " in line
    assert "--set lr=" in line


@pytest.mark.parametrize("out", ["notes", "notes/run"])
def test_a_file_in_place_of_a_folder(refusal, tmp_path, out):
    (tmp_path / "notes").write_text("mine")
    line = refusal("train", "digits", "--out", tmp_path / out)
    assert str(tmp_path / out) in line
    assert "--out" in line


def failing(number):
    def fail(path, *_, **__):
        raise OSError(number, os.strerror(number), str(path))

    return fail


def test_a_full_disk_that_only_words_tell_of(tmp_path):
    said = f"No space is left for {tmp_path}: .* or take a file"
    with pytest.raises(OSError, match=said), writing(tmp_path, "a file"):
        raise OSError("Cannot write x: No space left on device (os error 28)")


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "No space is left"), (errno.EROFS, "Read-only file system")],
)
def test_a_folder_that_takes_nothing_more(
    refusal, copy, tmp_path, monkeypatch, capsys, number, said
):
    out = tmp_path / "run"
    monkeypatch.setattr(Path, "write_text", failing(number))
    line = refusal("train", "digits", "--out", out)
    assert said in line
    assert str(out) in line
    assert "--out" in line
    assert main(["evaluate", str(copy)]) == 0, "work that is done is not lost"
    printed, warned = capsys.readouterr()
    assert "on all 360 test images of digits" in printed
    assert f"could not be written into {copy}" in warned
    assert os.strerror(number) in warned


def test_a_folder_that_must_not_be_made(refusal, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", failing(errno.EACCES))
    line = refusal("train", "digits", "--out", tmp_path / "run")
    assert "Permission denied" in line
    assert str(tmp_path / "run") in line
    assert "--out" in line


def test_a_run_that_is_there_already(refusal, copy):
    line = refusal("train", "digits", "--out", copy, "--set", "epochs=1")
    assert f"{copy} already holds a run of this recipe, which is finished" in line
    assert "bntt evaluate" in line
    assert "--out" in line


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_run_of_another_recipe(refusal, copy, resume):
    before = (copy / "recipe.toml").read_text()
    words = ["--set", "epochs=1", "--set", "lr=0.001", *resume]
    line = refusal("train", "digits", "--out", copy, *words)
    assert f"{copy} holds a run of another recipe" in line
    assert "lr (0.003 there, 0.001 here)" in line
    assert "epochs" not in line, "only what differs"
    assert (copy / "recipe.toml").read_text() == before


def test_nothing_to_resume(refusal, tmp_path):
    line = refusal("train", "digits", "--out", tmp_path / "run", "--resume")
    assert f"no run to resume in {tmp_path / 'run'}" in line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"", "it has 0 bytes"),
        (b"dear diary", "no format that Pillow knows"),
        ("cut", "Damaged, cut short"),
        ("folder", "is a folder"),
    ],
)
def test_wrong_picture(refusal, run, picture, content, said):
    if content == "cut":
        picture.write_bytes(picture.read_bytes()[:45])
    elif content is not None and content != "folder":
        picture.write_bytes(content)
    else:
        picture.unlink()
        if content:
            picture.mkdir()
    line = refusal("predict", run, picture)
    assert str(picture) in line
    assert said in line


def test_pictures_without_pillow(refusal, run, picture, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert 'pip install -c constraints.txt ".[data]"' in refusal("predict", run, picture)


def test_digits_without_scikit_learn(refusal, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    line = refusal("train", "digits", "--out", tmp_path / "run")
    assert "pip install scikit-learn" in line
