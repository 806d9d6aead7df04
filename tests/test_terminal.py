"""What people read: escaped where it cannot be shown, whole, and never the end of a run."""

import json
import subprocess
import sys
import time

import command
import pytest
from rich.table import Table

from bntt.analysis.predict import Prediction
from bntt.commands.options import print_json
from bntt.commands.predict import print_predictions
from bntt.machine import strict_json, terminal
from bntt.machine.extras import how_to_install
from bntt.machine.progress import Display

trained, run = command.trained, command.run
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="descriptors of POSIX")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plain, ü, 猫, a b", "plain, ü, 猫, a b"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("over\rwritten\b", r"over\rwritten\x08"),
        ("two\nlines\u2028three", r"two\nlines\u2028three"),
        ("not UTF-8: \udcff", r"not UTF-8: \udcff"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("an emoji \U0001f468\u200d\U0001f469", "an emoji \U0001f468\u200d\U0001f469"),
    ],
)
def test_what_moves_the_cursor_is_escaped(text, said):
    assert terminal.shown(text) == said


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_takes_any_name(encoding, tmp_path):
    code = (
        "from bntt.machine import terminal; terminal.prepare()\n"
        "from bntt.analysis.predict import Prediction\n"
        "from bntt.commands.predict import print_predictions\n"
        "name = 'ü \\u2026 \\udcff \\u732b [red]'\n"
        "print_predictions([Prediction(name, (name, name), (0.5, 0.25))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=command.ENVIRONMENT | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    name = r"ü … \udcff 猫 [red]".encode(encoding, "backslashreplace")
    assert done.stdout.startswith(name + b": " + name + b" (25.0%)")
    assert done.stdout.count(name) == 4, "twice in the first line, once a row"


def test_nothing_is_cut_where_nobody_sees_it(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    name = "a class with a very long name " * 8
    print_predictions([Prediction("x.png", (name, name), (0.5, 0.25))])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["1", *name.split(), "50.0%"],
        ["2", *name.split(), "25.0%"],
    ]


def test_on_a_terminal_a_table_is_folded_and_whole(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    made = Table(box=None)
    made.add_column("name", overflow="fold")
    made.add_row("abcdefghij" * 10)
    terminal.table(made)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert "".join(line.strip() for line in lines[1:]) == "abcdefghij" * 10


def test_json_has_no_nan(capsys):
    print_json(a=float("nan"), b=[1.5, float("inf")], c={"d": (float("-inf"), 2)})
    said = capsys.readouterr().out
    assert json.loads(said, parse_constant=pytest.fail) == {
        "a": None,
        "b": [1.5, None],
        "c": {"d": [None, 2]},
    }
    assert strict_json.dumps({"x": 1}, indent=1) == '{\n "x": 1\n}'


def test_how_to_install_is_what_works_from_a_clone():
    assert 'pip install -c constraints.txt ".[plot]"' in how_to_install("plot")


class Broken:
    """A stream as it is on a full disk."""

    encoding = "utf-8"

    def write(self, text):
        raise OSError(28, "No space left on device")

    def flush(self):
        raise OSError(28, "No space left on device")

    def isatty(self):
        return self.terminal

    def __init__(self, terminal):
        self.terminal = terminal


@pytest.mark.parametrize("on_terminal", [False, True])
def test_progress_that_cannot_be_shown_ends_nothing(monkeypatch, on_terminal):
    monkeypatch.setattr("sys.stderr", Broken(on_terminal))
    with Display("work", 3) as display:
        display.advance("loss 0.5")
        display.say("half")
        display.report("one", last=True)
    terminal.note("and a note")


def test_markup_in_names_is_text(capsys):
    with Display("[bold]cache[/x]", 1) as display:
        display.say("kept in /tmp/[red]/[/nothing]/\x1b")
    assert capsys.readouterr().err == "kept in /tmp/[red]/[/nothing]/\\x1b\n"


def test_off_a_terminal_there_is_a_line_a_minute(capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with Display("digits", 400) as display:
        for epoch in range(1, 41):  # an epoch takes ten seconds
            for _ in range(10):
                now += 1
                display.advance("loss 0.5")
            display.report(f"epoch {epoch}", last=epoch == 40)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "epoch 1"
    assert lines[-1] == "epoch 40"
    assert len(lines) == 2 + 6, "400 seconds"
    assert lines[1] == "digits 70/400  loss 0.5"


def test_a_bar_leaves_the_cursor_alone(monkeypatch):
    class Screen(Broken):
        def __init__(self):
            self.text = ""
            self.terminal = True

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with Display("work", 3) as display:
        display.advance()
    assert "work" in screen.text
    assert "\x1b[?25l" not in screen.text, "killed now, it would stay hidden"


def shell(line, cwd, **environment):
    program = " ".join(f"'{word}'" for word in command.BNTT[:2])
    script = f"bntt() {{ {program} '{command.BNTT[2]}' \"$@\"; }}\n{line}"
    return subprocess.run(
        ["bash", "-c", script],
        cwd=cwd,
        env=command.ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        check=False,
    )


TRAIN = "bntt train digits --out run --set epochs=1"


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize("where", [">&- 2>&-", "2>/dev/full", "2>&1 | head -c 1"])
def test_a_run_is_trained_and_saved_whoever_listens(tmp_path, where):
    done = shell(f"{TRAIN} {where}; echo ${{PIPESTATUS[0]}} > code", tmp_path)
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "finished"
    assert (tmp_path / "run/best.safetensors").is_file()
    assert "Traceback" not in done.stderr
    read = "|" not in where
    assert (tmp_path / "code").read_text().strip() == ("0" if read else "1")


@POSIX
def test_an_answer_that_cannot_be_written_is_said(tmp_path):
    done = shell("bntt recipes > /dev/full", tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "The answer cannot be printed" in done.stderr
    assert "No space left" in done.stderr


@POSIX
def test_a_closed_stream_is_no_file_of_ours(tmp_path):
    code = (
        "from bntt.machine.terminal import prepare\n"
        "prepare(); print(open('x', 'w').fileno())"
    )
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -c "{code}" 2>&-'],
        cwd=tmp_path,
        env=command.ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert int(done.stdout) > 2
