"""The program: from a recipe to an answer, in words and in JSON."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import command
import pytest
import typer
from PIL import Image

import bntt
from bntt import config
from bntt.analysis.evaluation import Evaluation
from bntt.analysis.predict import Prediction
from bntt.commands import main as cli
from bntt.commands.evaluate import print_evaluation
from bntt.commands.predict import print_predictions
from bntt.commands.train import print_training
from bntt.data import load

trained, run, bntt_says = command.trained, command.run, command.bntt_says
COMMIT = "0123456789abcdef0123456789abcdef01234567"
COMMANDS = typer.main.get_command(cli.app).commands  # pyright: ignore


def test_training_prints_one_object_and_leaves_a_run(trained):
    folder, done = trained
    answer = json.loads(done.stdout)
    assert answer["status"] == "finished"
    assert answer["out"] == "runs/digits", "where it goes if --out is left out"
    assert answer["epochs"] == 1
    assert answer["validation_accuracy"] is None, "the recipe holds nothing out"
    assert "epoch 1/1" in done.stderr
    assert (folder / "best.safetensors").is_file()
    about = json.loads((folder / "run.json").read_text())
    assert about["command"] == "bntt train digits --out runs/digits --set epochs=1"


def test_training_says_what_comes_next(capsys):
    done = {"status": "finished", "epochs": 2, "seconds": 3.2, "validation_accuracy": 0.5}
    print_training(done, ["bntt", "evaluate", "my run"])
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "Trained 2 epochs in 3 s, validation accuracy 50.00%."
    assert out.splitlines()[1] == "Next: bntt evaluate 'my run'"
    assert err == ""


def test_without_a_validation_split_no_accuracy_is_claimed(capsys):
    done = {"status": "finished", "epochs": 1, "seconds": 3.2, "validation_accuracy": None}
    print_training(done, ["bntt"])
    assert capsys.readouterr().out.splitlines()[0] == "Trained 1 epoch in 3 s."


def test_evaluation_is_of_the_whole_test_set(run, bntt_says):
    answer = json.loads(bntt_says("evaluate", run, "--json"))
    assert answer["images"] == len(load("digits").test_images)
    assert answer["checkpoint"] == str(run / "best.safetensors")
    assert answer["seeds"] == [0], "direct coding draws nothing"
    assert len(answer["mean"]) == config.load_recipe("digits").num_steps
    kept = json.loads((run / "evaluation.json").read_text())
    assert kept["accuracy"] == answer["accuracy"]


def test_evaluation_prints_a_row_per_time_step(run, bntt_says):
    answer = json.loads(bntt_says("evaluate", run, "--json", "--num-steps", "3"))
    printed = bntt_says("evaluate", run, "--num-steps", "3")
    first, head, *rows = printed.splitlines()
    assert first == f"{run / 'best.safetensors'} on all 360 test images of digits"
    assert head.split() == ["step", "accuracy", "interval", "correct"]
    rows, about = rows[:3], "\n".join(rows[3:])
    sources = "bntt version" if " " in answer["commit"] else "commit"
    assert f"In {answer['precision']} on {answer['device']}, {sources} " in about
    assert f"{answer['source']['sklearn-digits'][:12]}… sklearn-digits" in about
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    for row, share in zip(rows, answer["mean"], strict=True):
        assert f"{share:.2%}" in row
        assert f"{round(share * 360)} of 360" in row


@pytest.mark.parametrize(
    ("commit", "said"),
    [
        (COMMIT, "commit 0123456789ab."),
        (COMMIT + "+", "commit 0123456789ab, changed since."),
        ("version 0.1.0", "bntt version 0.1.0."),
    ],
)
def test_an_evaluation_says_which_sources_answered(capsys, commit, said):
    result = Evaluation(
        dataset="digits",
        images=10,
        seeds=(0,),
        accuracy=((0.9,),),
        batch_size=10,
        precision="float32",
        commit=commit,
    )
    print_evaluation(result, Path("best.safetensors"))
    assert said in " ".join(capsys.readouterr().out.split())


def test_several_seeds_give_a_deviation(run, bntt_says):
    answer = json.loads(bntt_says("evaluate", run, "--seeds", "2", "--json"))
    assert answer["seeds"] == [0, 1]
    assert answer["spread"] == [0.0] * 4, "direct coding is the same for every seed"
    printed = bntt_says("evaluate", run, "--seeds", "2")
    assert "mean ± deviation over 2 encoder seeds" in printed
    assert f"{100 * answer['mean'][-1]:.2f} ± 0.00 %" in printed


@pytest.fixture
def pictures(tmp_path):
    """The first test digits as a user has them: larger, one with ink on paper."""
    digits = load("digits").test_images[:3, 0].numpy()
    paths = [tmp_path / f"digit {k}.png" for k in range(3)]
    for path, digit in zip(paths, [digits[0], digits[1], 255 - digits[2]], strict=True):
        Image.fromarray(digit.repeat(20, 0).repeat(20, 1)).save(path)
    return paths


def test_a_prediction_in_json_has_every_step(run, pictures, bntt_says):
    answer = json.loads(bntt_says("predict", run, *pictures, "--json", "--num-steps", "3"))
    assert [one["file"] for one in answer["samples"]] == [str(path) for path in pictures]
    for one in answer["samples"]:
        assert [step["step"] for step in one["steps"]] == [1, 2, 3]
        assert one["class"] == one["steps"][-1]["class"]
        assert one["probability"] == one["steps"][-1]["probability"]
        assert 1 <= one["settled_step"] <= 3


def test_a_prediction_is_printed_with_its_note(run, pictures, bntt_says):
    answer = json.loads(bntt_says("predict", run, pictures[2], "--json"))["samples"][0]
    lines = bntt_says("predict", run, pictures[2]).splitlines()
    assert lines[0].startswith(f"{pictures[2]}: {answer['class']} ")
    assert f"from step {answer['settled_step']} of 4 on" in lines[0]
    assert "--invert" in lines[1]
    assert lines[2].split() == ["step", "class", "probability"]
    assert len(lines) == 3 + 4
    inverted = bntt_says("predict", run, pictures[2], "--invert")
    assert "--invert" not in inverted


def test_a_prediction_says_when_the_class_was_settled(capsys):
    names = ("cat", "[red]", "cat", "cat")  # and what rich would take for markup
    print_predictions([Prediction("my cat.png", names, (0.25, 0.5, 0.75, 0.875))])
    first, _, *rows = capsys.readouterr().out.splitlines()
    assert first == "my cat.png: cat (87.5%), the same from step 3 of 4 on"
    assert rows[1].split() == ["2", "[red]", "50.0%"]


def test_recipes_are_listed_with_what_they_are(bntt_says):
    listed = json.loads(bntt_says("recipes", "--json"))
    assert sorted(listed) == config.recipe_names()
    for line, (name, about) in zip(
        bntt_says("recipes").splitlines(), listed.items(), strict=True
    ):
        assert line.split(maxsplit=1) == [name, about]
        assert not about.startswith("#")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_shows_an_example_that_parses(name, bntt_says):
    text = " ".join(bntt_says(name, "--help").split())
    example = text.partition("Example: ")[2]
    words = shlex.split(example)
    assert words[:2] == ["bntt", name]
    COMMANDS[name].make_context(name, words[2:])
    for parameter in COMMANDS[name].params:
        assert getattr(parameter, "help", "") or parameter.name == "help", parameter.name


def test_alone_it_shows_its_commands(bntt_says):
    assert bntt_says() == bntt_says("--help")
    for name in ("train", "evaluate", "predict", "recipes", "benchmark"):
        assert name in bntt_says()


def test_version(bntt_says):
    assert bntt_says("--version") == f"bntt {bntt.__version__}\n"


@pytest.mark.parametrize("option", ["--baseline-python", "--peer-python"])
def test_a_benchmark_is_run_as_asked(monkeypatch, bntt_says, tmp_path, option):
    from bntt import benchmark

    asked = {}

    def run_it(what, **options):
        asked.update(options, what=what)
        return {"what": what}

    monkeypatch.setattr(benchmark, "run", run_it)
    out = tmp_path / "speed.json"
    words = ["speed", "--num-steps", 3, "--batch-size", 4, "--repeats", 2, "--quick"]
    words += [option, "~/bin/python"]
    assert json.loads(bntt_says("benchmark", *words, "--out", out, "--json")) == {
        "what": "speed"
    }
    del asked["console"]
    sizes = {"num_steps": 3, "batch_size": 4, "repeats": 2, "quick": True}
    rest = {
        "baseline_python": Path.home() / "bin" / "python",
        "out": out,
        "allocator": "keep",
    }
    assert asked == {"what": "speed", **rest, **sizes}


def test_a_defect_keeps_its_traceback(monkeypatch):
    def defect():
        raise RuntimeError("not the user's fault")

    monkeypatch.setattr(config, "recipe_names", defect)
    with pytest.raises(RuntimeError, match="not the user's fault"):
        cli.main(["recipes"])


def test_bad_input_gives_its_traceback_on_request(monkeypatch):
    monkeypatch.setenv("BNTT_TRACEBACK", "1")
    with pytest.raises(ValueError, match="Unknown recipe"):
        cli.main(["train", "no-such-recipe"])


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
@pytest.mark.parametrize("unbuffered", ["", "1"])  # found out at the end, or while printing
def test_a_reader_that_leaves_early_is_no_drama(tmp_path, unbuffered):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*command.BNTT, "recipes"],
        cwd=tmp_path,
        env=command.ENVIRONMENT | {"PYTHONUNBUFFERED": unbuffered},
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == b""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
def test_an_interrupted_run_says_how_to_go_on_and_does(tmp_path):
    words = ["train", "digits", "--out", "my run", "--set", "epochs=3"]
    with subprocess.Popen(
        [*command.BNTT, *words],
        cwd=tmp_path,
        env=command.ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("epoch 1/3"):
            assert process.poll() is None, "it ended before its first epoch"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("Interrupted. To go on: bntt ")
    resumed = command.bntt_process(*shlex.split(last.partition(": ")[2])[1:], cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stderr.splitlines()[-1].startswith("epoch 3/3")
    assert "epoch 1/3" not in resumed.stderr
