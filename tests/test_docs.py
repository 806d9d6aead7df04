"""What the README says can be done: its Python runs, its commands exist and parse."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import bntt
from bntt.commands.main import app
from bntt.config import load_recipe

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
BLOCKS = FENCE.findall(README)


def commands():
    """Every `bntt ...` in a fenced block or between backticks, as words."""
    prose = FENCE.sub("", README)
    lines = re.findall(r"`([^`\n]+)`", prose)
    for language, text in BLOCKS:
        if language not in ("python", "toml", "pycon"):
            lines += text.replace("\\\n", " ").splitlines()
    for line in lines:
        for part in re.split(r"&&|;|\|\|", line):
            words = [word.strip("[]") for word in part.removeprefix("$ ").split()]
            if words and re.fullmatch(r"(\S*/)?bntt", words[0]):
                yield part.strip().removeprefix("$ ")


COMMANDS = sorted(set(commands()))


def resolve(words):
    """The click command that `words` name, and the words that are left."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"no command {words[0]!r}"  # pyright: ignore
        command, words = command.commands[words[0]], words[1:]  # pyright: ignore
    return command, words


def options_of(command):
    named = [opt for param in command.params for opt in param.opts + param.secondary_opts]
    return {opt for opt in named if opt.startswith("-")} | {"--help"}


def test_the_readme_promises_something():
    assert any(language == "python" for language, _ in BLOCKS)
    assert any("train" in command for command in COMMANDS)


def test_python_in_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "readme"}  # one session: later blocks see earlier names
    for language, code in BLOCKS:
        if language not in ("python", "pycon"):
            continue
        if ">>>" in code:
            test = doctest.DocTestParser().get_doctest(code, names, "README", None, None)
            outcome = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(
                test, clear_globs=False
            )
            assert not outcome.failed, code
            names |= test.globs
        else:
            exec(compile(code, "README.md", "exec"), names)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_in_the_readme_exist_and_parse(line):
    words = [word.strip("[]") for word in shlex.split(line, comments=True)][1:]
    command, words = resolve([word for word in words if word not in ("", "...", "|")])
    for word in words:
        if word.startswith("-"):
            assert word.split("=")[0] in options_of(command), f"{line}: no option {word}"
    if command.name == "train" and words and not words[0].isupper():
        overrides = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
        load_recipe(words[0], [o for o in overrides if o != "key=value"])


@pytest.mark.parametrize("name", sorted(typer.main.get_command(app).commands))  # pyright: ignore
def test_every_command_explains_itself(name):
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f"bntt {name}" in result.output, "its help shows no example"


EXAMPLES = """
import doctest, importlib, importlib.util, pkgutil, bntt
tried = failed = 0
triton = importlib.util.find_spec("triton") is not None
for module in pkgutil.walk_packages(bntt.__path__, "bntt."):
    needs_triton = module.name.startswith("bntt.ops.gpu.")
    if module.name.endswith("__main__") or (needs_triton and not triton):
        continue
    outcome = doctest.testmod(importlib.import_module(module.name))
    tried, failed = tried + outcome.attempted, failed + outcome.failed
assert tried and not failed, f"{failed} of {tried} lines"
"""


def test_examples_in_docstrings_are_true(tmp_path):
    # apart from this process, whose shape checks hide functions from doctest
    path = str(Path(bntt.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", EXAMPLES],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([path, *sys.path])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", ["run", "test"])
def test_the_two_commands_are_printed(script):
    assert f"./{script}" in README
