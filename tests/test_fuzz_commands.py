"""Words that newcomers and chance put on the command line: a line, never a traceback."""

import random

import pytest
from fuzzing import CASES

from bntt.commands import main as cli
from bntt.config.recipe import Recipe

COMMANDS = ("train", "evaluate", "predict", "data", "recipes", "benchmark", "trian", "")
OPTIONS = (
    "--out", "--data", "--set", "--resume", "--device", "--log-every", "--json", "--figure",
    "--num-steps", "--seeds", "--seed", "--invert", "--from", "--split", "--image-size",
    "--frames", "--window-ms", "--sheet", "--epochs", "--help", "--version", "-h", "--",
)  # fmt: skip
VALUES = (
    "digits", "runs/digits", "digits.toml", "x.png", "list", "nothing", "0", "-1", "3",
    "1e9", "nan", "", " ", "=", "epochs=3", "epochs=", "=3", "epochs=nan", "lr=inf",
    "lr=[[[[", "norm=bnt", "num_steps=0", "batch_size=1", "seed=-1", "[red]", "[/]", "~",
    "~nobody/x", "a\nb", "\x1b[31m", "\udcff", "猫", "a" * 5000, "/", "/dev/null", "..",
    "time", "count", "random-90-10", "cpu", "gpu", "speed", "{", "%s", "*", "'", '"',
)  # fmt: skip
SETTINGS = tuple(Recipe.__dataclass_fields__)


def some_words(draw):
    """A command line of which nothing can train: every training is one that must fail."""
    words = [draw.choice(COMMANDS)]
    for _ in range(draw.randrange(6)):
        word = draw.choice((*OPTIONS, *VALUES, *VALUES))
        if word == "--set" or draw.random() < 0.1:
            words.append("--set")
            word = f"{draw.choice(SETTINGS)}={draw.choice(VALUES)}"
        words.append(word)
    if words[0] == "train":
        words += ["--set", "fold=9"]
    if words[0] == "benchmark":
        words += ["--repeats", "0"]
    return words


@pytest.fixture
def answered(capsys, as_user, tmp_path, monkeypatch):
    """Run words and hold the answer to what is promised of every answer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BNTT_DATA", str(tmp_path / "cache"))

    def answer(words):
        capsys.readouterr()
        code = cli.main(words)
        out, err = capsys.readouterr()
        assert code in (0, 1, 2, 130), words
        assert "Traceback" not in out + err, words
        if code == 2:
            assert err.startswith("bntt: "), (words, err)
            assert err.count("\n") == 1, (words, err)
        assert not {c for c in out + err if ord(c) < 32} - {"\n"}, words
        return code, out, err

    return answer


def test_random_words_get_an_answer(answered):
    draw = random.Random(0)
    codes = {answered(some_words(draw))[0] for _ in range(CASES)}
    assert 2 in codes
