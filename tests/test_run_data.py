"""A run knows the data it learned from: others are refused, or it is said."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
import json
import shutil
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from small_runs import RECIPE, go, info, interrupt, pictures, stopped

import bntt.runs.opened as opened
import bntt.training.loop as loop
import bntt.training.train as training
from bntt.analysis.accuracy import evaluate, evaluate_run
from bntt.networks import checkpoint
from bntt.runs.folder import RunFolder
from bntt.runs.origin import Origin, check_evaluation, check_resume
from bntt.training.train import train

DATA = pictures(size=4)


@pytest.fixture
def given(monkeypatch):
    """Let training and evaluation find these data."""

    def give(dataset):
        for module in (training, opened):
            monkeypatch.setattr(module, "dataset_of", lambda *_, **__: dataset)

    give(DATA)
    return give


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


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "dataset_of", lambda *_, **__: DATA)
        folder = tmp_path_factory.mktemp("interrupted") / "run"
        stopped(folder, patch, 7, interrupt, epochs=2)
    return folder


@pytest.fixture
def half(interrupted, tmp_path, given):
    """A copy of a run that was interrupted in its second epoch."""
    return shutil.copytree(interrupted, tmp_path / "half")


def asked(run, **options):
    return evaluate_run(run, device="cpu", quiet=True, **options)


def renamed(*names):
    return replace(DATA, class_names=names)


OTHER_CLASSES = {
    "order": (
        renamed("class 1", "class 0", "class 2", "class 3"),
        r"in another order \(class 0 was 'class 0' and is 'class 1'\)",
    ),
    "names": (
        renamed("class 0", "class 1", "class 2", "cat"),
        r"classes differ \(missing 'class 3'; new 'cat'; 4 there, 4 here\)",
    ),
    "one more": (
        renamed("class 0", "class 1", "class 2", "class 3", "class 4"),
        r"classes differ \(new 'class 4'; 4 there, 5 here\)",
    ),
    "one less": (
        replace(
            pictures(size=4, classes=3),
            class_names=("class 0", "class 1", "class 2"),
        ),
        r"classes differ \(missing 'class 3'; 4 there, 3 here\)",
    ),
}


@pytest.mark.parametrize("what", OTHER_CLASSES)
def test_other_classes_are_refused(run, half, given, what):
    data, said = OTHER_CLASSES[what]
    given(data)
    with pytest.raises(ValueError, match=f"{run} was trained on: the .*{said}.*--data"):
        asked(run)
    assert not (run / "evaluation.json").exists()
    before = (half / "last.safetensors").read_bytes()
    with pytest.raises(ValueError, match=f"{half} was trained on: the .*{said}"):
        go(half, resume=True, epochs=2)
    assert (half / "last.safetensors").read_bytes() == before
    assert json.loads((half / "run.json").read_text())["status"] == "interrupted"


def test_other_classes_are_refused_by_the_checkpoint_of_an_old_run_too(run, given):
    forget(run, "class_names")
    given(OTHER_CLASSES["order"][0])
    with pytest.raises(ValueError, match="in another order"):
        asked(run)


def test_one_name_in_two_normal_forms_is_one_name(tmp_path, given):
    def named(form):
        names = ("Käfer", "b", "c", "d")
        return renamed(*(unicodedata.normalize(form, name) for name in names))

    given(named("NFC"))
    go(tmp_path, epochs=1)
    given(named("NFD"))
    assert asked(tmp_path, seeds=(0,)).warnings == ()
    go(tmp_path, epochs=1, resume=True)


def test_a_moved_split_is_refused(tmp_path, given):
    given(replace(DATA, split_sha256="a" * 64))
    go(tmp_path, epochs=1)
    given(replace(DATA, split_sha256="b" * 64))
    said = "has moved, so that it may test on what it was trained on"
    with pytest.raises(ValueError, match=said):
        asked(tmp_path)
    with pytest.raises(ValueError, match=said):
        go(tmp_path, epochs=1, resume=True)


def test_files_added_to_a_set_that_is_divided_by_chance_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("BNTT_DATA", str(tmp_path / "cache"))
    random = np.random.default_rng(0)

    def add(name):
        for label in "ab":
            folder = tmp_path / "data" / label
            folder.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}.png")

    for k in range(20):
        add(f"{k:02}")
    changes = {"dataset": "imagefolder", "split": "random-90-10", "image_size": 8}
    recipe = replace(RECIPE, **changes, epochs=1, augment="none", validation=4)
    options = {"data": tmp_path / "data", "device": "cpu", "quiet": True}
    train(recipe, tmp_path / "run", **options)
    before = evaluate_run(tmp_path / "run", **options)
    assert before.images == 4
    assert before.warnings == ()
    kept = (tmp_path / "run" / "evaluation.json").read_bytes()
    for k in range(10):
        add(f"new{k}")
    with pytest.raises(ValueError, match="has moved"):
        evaluate_run(tmp_path / "run", **options)
    with pytest.raises(ValueError, match="has moved"):
        train(recipe, tmp_path / "run", resume=True, **options)
    assert (tmp_path / "run" / "evaluation.json").read_bytes() == kept


def test_other_bytes_of_the_same_shape_are_said_and_written(run, half, given, capsys):
    given(replace(DATA, source={"made up": "f" * 64}))
    result = asked(run, seeds=(0,))
    (said,) = result.warnings
    assert said == (
        f"These are not the bytes that {run} was trained on, by SHA-256: made up "
        f"(0 there, ffffffffffff here)."
    )
    kept = json.loads((run / "evaluation.json").read_text())
    assert kept["warnings"] == [said]
    assert kept["source"] == {"made up": "f" * 64}
    capsys.readouterr()
    train(replace(RECIPE, epochs=2), half, resume=True, device="cpu")
    assert "These are not the bytes" in capsys.readouterr().err
    first, second = json.loads((half / "run.json").read_text())["segments"]
    assert first["source"] == {"made up": "0"}
    assert second["source"] == {"made up": "f" * 64}
    assert "These are not the bytes" in second["data"][0]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            replace(DATA, train_labels=DATA.train_labels.roll(1)),
            "labels of the training samples differ",
        ),
        (pictures(train=47, size=4), "39 here"),
        (pictures(train=48, test=4, size=4), "8 to test on there, 4 here"),
    ],
    ids=["labels", "fewer files", "fewer tests"],
)
def test_resuming_on_other_data_is_refused(half, given, data, said):
    given(data)
    before = (half / "last.safetensors").read_bytes()
    with pytest.raises(ValueError, match=f"not the data that {half} was .*{said}"):
        go(half, resume=True, epochs=2)
    assert (half / "last.safetensors").read_bytes() == before


def test_labels_of_no_class_are_refused_before_training(tmp_path, monkeypatch):

    from bntt.runs import opened

    odd = replace(DATA, train_labels=DATA.train_labels + 1)
    monkeypatch.setattr(opened, "load", lambda *_, **__: odd)
    with pytest.raises(ValueError, match=r"lie in \[0, 4\), but 12 of 48 train labels"):
        go(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def forget(run, *names):
    """Make an older run's record, which never had these entries."""
    about = json.loads((run / "run.json").read_text())
    for name in (*names, "segments", "recipe"):
        del about[name]
    (run / "run.json").write_text(json.dumps(about))


NEW = ("class_names", "split_sha256", "train_labels_sha256", "held_out_sha256")


def test_an_older_run_is_read_and_what_was_not_compared_is_said(run, given):
    forget(run, *NEW)
    (said,) = asked(run, seeds=(0,)).warnings
    assert said == (
        f"{run} is of an older bntt and does not record class names, the division into "
        f"training and test samples, training labels: whether these are the same could "
        f"not be compared."
    )
    given(replace(DATA, source={"made up": "f" * 64}))
    first, _, third = asked(run, seeds=(0,)).warnings
    assert "What identifies the data is not what" in first
    assert "answers another question" in third


def test_an_older_run_goes_on(half):
    forget(half, *NEW)
    assert go(half, resume=True, epochs=2)["status"] == "finished"
    first, second = json.loads((half / "run.json").read_text())["segments"]
    assert (first["start_step"], second["start_step"]) == (0, 8)
    assert first["versions"] == second["versions"]


def test_an_older_run_with_a_split_of_another_size_is_refused(tmp_path, given):
    there = replace(Origin.of(DATA, RECIPE), split_sha256=None, train_labels_sha256=None)
    more = Origin.of(replace(pictures(train=50, size=4), split_sha256="1"), RECIPE)
    recipe = replace(RECIPE, dataset="cifar10dvs", encoder="events", split="random-90-10")
    for check in (check_evaluation, check_resume):
        with pytest.raises(ValueError, match="has moved"):
            check(tmp_path, there, more, recipe)


def test_a_checkpoint_of_another_run_is_refused(run, given, tmp_path):
    go(tmp_path / "other", epochs=1, leak=0.5)
    shutil.copy(tmp_path / "other" / "best.safetensors", run / "best.safetensors")
    said = r"best.safetensors is not of the run .* leak \(0.5 in the file, 0.9 in the"
    with pytest.raises(ValueError, match=said):
        asked(run)


def test_an_edited_recipe_is_refused(run, given):
    text = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(text.replace("fold = 0", "fold = 1"))
    with pytest.raises(ValueError, match=r"recipe.toml was changed .*fold \(0 then, 1 now"):
        asked(run)


def test_steps_that_were_never_trained_are_said(tmp_path, monkeypatch, given):
    changes = {"early_steps": 1, "early_epochs": 1, "epochs": 2}
    stopped(tmp_path, monkeypatch, 6, interrupt, **changes)
    assert info(tmp_path / "best.safetensors") == {"epoch": 1}
    result = asked(tmp_path, seeds=(0,))
    assert result.trained_steps == 1
    assert any("train the first 1 time-step only" in said for said in result.warnings)
    assert any("was interrupted before its end" in said for said in result.warnings)
    assert not any("first 1" in w for w in asked(tmp_path, num_steps=1).warnings)
    kept = json.loads((tmp_path / "evaluation.json").read_text())
    assert kept["trained_steps"] == 1
    go(tmp_path, resume=True, **changes)
    whole = asked(tmp_path, seeds=(0,))
    assert (whole.trained_steps, whole.warnings) == (3, ())


@pytest.mark.parametrize("hardware", [True, False])
def test_the_precision_is_the_runs(tmp_path, monkeypatch, given, hardware):
    go(tmp_path, epochs=1, precision="bfloat16")
    monkeypatch.setattr(opened.hardware, "bf16_in_hardware", lambda _: hardware)
    result = asked(tmp_path, seeds=(0,))
    assert result.precision == ("bfloat16" if hardware else "float32")
    said = [w for w in result.warnings if "trained in bfloat16" in w]
    assert len(said) == (not hardware)
    assert json.loads((tmp_path / "evaluation.json").read_text())["precision"] == (
        result.precision
    )


def test_a_resumed_run_keeps_the_precision_that_was_decided(half, monkeypatch):
    monkeypatch.setattr(training.hardware, "precision", lambda *_: ("bfloat16", "here"))
    assert go(half, resume=True, epochs=2, precision="auto")["status"] == "finished"
    segments = json.loads((half / "run.json").read_text())["segments"]
    assert [one["precision"] for one in segments] == ["float32", "float32"]


def test_an_earlier_evaluation_gives_way_to_the_same_question_only(run, given):
    first = asked(run, seeds=(0,))
    assert first.file == str(run / "evaluation.json")
    kept = (run / "evaluation.json").read_bytes()
    other = asked(run, seeds=(0, 1))
    assert other.file == str(run / "evaluation-2.json")
    assert "answers another question and stays" in other.warnings[-1]
    assert asked(run, seeds=(0,), num_steps=2).file == str(run / "evaluation-3.json")
    given(replace(DATA, source={"made up": "f" * 64}))
    assert asked(run, seeds=(0,)).file == str(run / "evaluation-4.json")
    assert (run / "evaluation.json").read_bytes() == kept
    given(DATA)
    again = asked(run, seeds=(0,))
    assert (again.file, again.warnings) == (first.file, ())
    assert asked(run, seeds=(0, 1)).file == other.file


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"mean": [1]', "[" * 10_000])
def test_an_evaluation_that_cannot_be_read_stays(run, given, text):
    (run / "evaluation.json").write_text(text)
    assert asked(run, seeds=(0,)).file == str(run / "evaluation-2.json")
    assert (run / "evaluation.json").read_text() == text


def test_an_evaluation_that_cannot_be_written_is_returned(run, given, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "keep_answer", full)
    result = asked(run, seeds=(0,))
    assert result.file == ""
    assert len(result.mean) == 3
    assert f"could not be written into {run} (No space left" in result.warnings[-1]


def test_an_evaluation_says_what_it_is_of(run, given):
    given(replace(DATA, note="A note."))
    result = asked(run, seeds=(0,))
    kept = json.loads((run / "evaluation.json").read_text())
    for name in ("note", "commit", "device", "precision", "split_sha256", "source"):
        assert kept[name] == getattr(result, name)
    assert (kept["note"], kept["source"]) == ("A note.", {"made up": "0"})
    assert kept["spread"] is None
    assert kept["commit"]


def test_weights_that_are_no_numbers_are_refused(run, given):
    net = checkpoint.load(run / "best.safetensors")
    with torch.no_grad():
        net.output.weight[0, 0] = float("nan")
    with pytest.raises((ValueError, FloatingPointError), match="NaN or infin"):
        evaluate(net, DATA.test_images, DATA.test_labels)


def test_training_that_runs_away_saves_nothing_of_it(tmp_path, given, as_user):
    """Its loss alone does not show it: no membrane that is NaN fires."""
    with pytest.raises(FloatingPointError) as caught:
        go(tmp_path, optimizer="sgd", lr=1e38, epochs=4, validation=8)
    said = str(caught.value)
    assert said.startswith("Training diverged: "), "the loss alone does not show it"
    assert "at step " in said
    assert "--out" in said
    assert "precision=float32" not in said, "that is in use"
    about = json.loads((tmp_path / "run.json").read_text())
    assert about["status"] == "failed"
    assert about["because"].startswith("FloatingPointError: Training diverged: ")
    for file in tmp_path.glob("*.safetensors"):
        net, extra, _ = checkpoint.read(file)
        assert checkpoint.first_nonfinite({**net.state_dict(), **extra}) is None


@pytest.mark.parametrize("where", ["convs.0.weight", "layers.0.norm.running_var"])
def test_the_last_good_checkpoint_stays(tmp_path, monkeypatch, given, where):
    step = loop.TrainingLoop.step

    def watched(self, at):
        result = step(self, at)
        if at == 7:
            self.net.state_dict()[where].fill_(float("inf"))
        return result

    monkeypatch.setattr(loop.TrainingLoop, "step", watched)
    with pytest.raises(
        FloatingPointError, match=f"{where} holds NaN or infinity at step 7"
    ):
        go(tmp_path, epochs=2)
    assert info(tmp_path / "last.safetensors")["step"] == 5
    monkeypatch.setattr(loop.TrainingLoop, "step", step)
    assert go(tmp_path, epochs=2, resume=True)["status"] == "finished"


def test_frozen_norms_stay_frozen_whatever_happens(given):
    from bntt.analysis.accuracy import count_correct
    from bntt.training.start import new_network

    net = new_network(RECIPE, DATA).train()
    net.layers[1].norm.eval()
    before = [module.training for module in net.modules()]
    count_correct(net, DATA.test_images, DATA.test_labels)
    assert [module.training for module in net.modules()] == before

    def fail(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count_correct(net, DATA.test_images, DATA.test_labels, advance=fail)
    assert [module.training for module in net.modules()] == before


def test_a_share_has_wilsons_interval():
    from bntt.analysis.evaluation import wilson

    # by hand: centre (k + z^2/2) / (n + z^2), from Wilson 1927
    low, high = wilson(0.9, 100)
    assert low == pytest.approx(0.8256, abs=1e-4)
    assert high == pytest.approx(0.9448, abs=1e-4)
    assert wilson(0.0, 10)[0] == 0.0
    assert wilson(1.0, 10)[1] == pytest.approx(1.0)


def test_a_part_of_a_set_is_called_a_part():
    from bntt.analysis.evaluation import Evaluation

    values = {"seeds": (0,), "accuracy": ((0.5,),), "batch_size": 1, "precision": "float32"}
    part = Evaluation(dataset="nmnist", images=10, **values)
    assert part.whole == "10 test images of nmnist, which has 10,000"
    assert part.to_dict()["official_images"] == 10_000
    assert Evaluation(dataset="nmnist", images=10_000, **values).whole.startswith("all ")
    assert Evaluation(dataset="digits", images=360, **values).whole.startswith("all 360")


@pytest.mark.slow
def test_one_bad_file_costs_the_others_nothing(tmp_path, capsys):
    from bntt.commands.main import main

    picture = tmp_path / "good.png"
    Image.new("L", (8, 8)).save(picture)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    files = [picture, tmp_path / "bad.png", tmp_path / "missing.png", picture]
    run = tmp_path / "run"
    assert main(["train", "digits", "--set", "epochs=1", "--out", str(run)]) == 0
    capsys.readouterr()
    assert main(["predict", str(run), *map(str, files), "--json"]) == 2
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert [one["file"] for one in answer["samples"]] == [str(picture)] * 2
    assert [one["file"] for one in answer["errors"]] == [str(f) for f in files[1:3]]
    assert all(one["file"] in one["error"] for one in answer["errors"])
    assert err.count("bntt: ") == 2
