"""Windows and macOS: nothing is taken for granted that only some systems have."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import command
import pytest

import bntt

FILES = sorted(Path(bntt.__file__).parent.rglob("*.py"))

ELSEWHERE = """
import os, signal, sys
import accelerate, filelock, matplotlib.figure, numba, rich.progress, safetensors.torch
import sklearn.datasets, torch, typer  # others' business
for name in ("register_at_fork", "fork", "getloadavg", "sched_getaffinity", "sysconf",
             "statvfs", "getuid", "posix_fallocate", "WNOHANG", "mkfifo"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGALRM", "pthread_sigmask", "sigwait"):
    if hasattr(signal, name):
        delattr(signal, name)
for name in ("fcntl", "resource", "pwd", "grp", "termios", "triton"):
    sys.modules[name] = None
"""


def there(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", ELSEWHERE + code],
        env=command.ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_module_is_imported_where_less_is_there():
    done = there(
        "import bntt, importlib, pkgutil\n"
        "for module in pkgutil.walk_packages(bntt.__path__, 'bntt.'):\n"
        "    kernels = module.name.startswith('bntt.ops.gpu.')\n"
        "    if not kernels and not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
        "from bntt.machine.shortage import free_memory\n"
        "print(free_memory())\n"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_network_is_trained_where_less_is_there(tmp_path):
    words = ["train", "digits", "--out", str(tmp_path / "run"), "--set", "epochs=1"]
    done = there(f"from bntt.commands.main import main; raise SystemExit(main({words!r}))")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "best.safetensors").is_file()


def test_no_file_depends_on_the_systems_encoding():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _opens_text(node):
                named = {keyword.arg for keyword in node.keywords}
                assert "encoding" in named, f"{path}:{node.lineno}"


def _opens_text(call):
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if isinstance(call.func, ast.Attribute) and name in ("read_text", "write_text"):
        return True
    modes = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
    return name == "open" and any(
        isinstance(mode, str) and len(mode) < 4 and set(mode) <= set("rwax+t")
        for mode in modes
    )


def test_a_locale_without_utf8_lists_recipes():

    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "utf8=0",
            "-c",
            "from bntt.commands.main import main; main()",
            "recipes",
        ],
        env=command.ENVIRONMENT | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert os.linesep.encode() in done.stdout
