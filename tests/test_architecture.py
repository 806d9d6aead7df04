"""The house rules that a machine can check."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import bntt

PACKAGE = Path(bntt.__file__).parent
ROOT = Path(__file__).parents[1]
FILES = sorted(PACKAGE.rglob("*.py"))

FLOORS = [  # a room may import only from floors below its own
    {"choices", "version"},
    {"machine"},
    {"ops", "config", "report"},
    {"layers", "data"},
    {"networks"},
    {"runs", "interchange"},
    {"analysis", "benchmark"},
    {"training"},
    {"commands"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
FRONT = {"__init__", "__main__"}
"""The doors: they hold no knowledge of their own, and may open every room."""


def module_of(path):
    """A file as the names that lead to it, such as ("ops", "reference")."""
    names = path.relative_to(PACKAGE).with_suffix("").parts
    return names[:-1] if names[-1] == "__init__" else names


MODULES = {module_of(path): path for path in FILES}


def imports_of(path):
    """The modules of the package that a file imports, wherever in it."""
    inside = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = inside[: len(inside) - node.level + 1]
            base += tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                whole = (*base, alias.name)
                yield whole if whole in MODULES else base


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_room_stands_on_a_floor_and_none_is_empty():
    rooms = {room_of(path) for path in FILES} - FRONT
    assert rooms == set(FLOOR), "change FLOORS, docs/design.md and the README's tree"
    lines = {
        room: sum(
            len(path.read_text().splitlines()) for path in FILES if room_of(path) == room
        )
        for room in rooms - {"version"}
    }
    assert min(lines.values()) > 20, lines


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_go_down(path):
    room = room_of(path)
    for target, *_ in imports_of(path) if room not in FRONT else ():
        assert target == room or FLOOR[target] < FLOOR[room], f"{room} imports {target}"


def test_no_module_is_imported_by_what_it_imports():
    graph = {
        module: {other for other in imports_of(path) if other != module}
        for module, path in MODULES.items()
        if module
    }
    assert sum(map(len, graph.values())) > 100
    list(TopologicalSorter(graph).static_order())  # names the circle if there is one


def test_the_documents_draw_the_same_house():
    design = (ROOT / "docs" / "design.md").read_text()
    rows = re.findall(r"^\| (\d+) \| `(\w+)/?` \| \S", design, re.MULTILINE)
    assert {room: int(floor) for floor, room in rows} == FLOOR
    assert len(rows) == len(FLOOR)
    floors = [int(floor) for floor, _ in rows]
    assert floors == sorted(floors, reverse=True)
    readme = (ROOT / "README.md").read_text().partition("## The house")[2]
    tree = re.findall(r"^    (\w+)/ +\S", readme, re.MULTILINE)
    assert set(tree) == {room for room in FLOOR if (PACKAGE / room).is_dir()}
    levels = [FLOOR[room] for room in tree]
    assert levels == sorted(levels, reverse=True)


def test_the_package_imports_itself_only_relatively():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            assert "bntt" not in {name.split(".")[0] for name in names}, path.name


def test_every_equation_cited_is_written_down():
    method = (ROOT / "docs" / "method.md").read_text()
    for path in [*FILES, *PACKAGE.rglob("*.toml")]:
        for first, last in re.findall(r"\bM(\d+)\b(?:-M?(\d+)\b)?", path.read_text()):
            for number in range(int(first), int(last or first) + 1):
                assert f"**M{number}**" in method, f"{path.name} cites M{number}"


def test_equations_are_numbered_once_and_in_order():
    method = (ROOT / "docs" / "method.md").read_text()
    numbers = [int(n) for n in re.findall(r"\*\*M(\d+)\*\*", method)]
    assert numbers == list(range(1, len(numbers) + 1))


def top_level_modules_after(statement):
    """The third-party packages that a fresh interpreter holds after `statement`."""
    code = f"{statement}\nimport sys; print(*{{n.split('.')[0] for n in sys.modules}})"
    path = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split()) - sys.stdlib_module_names


def test_all_public_names_together_load_only_the_five():
    five = top_level_modules_after(
        "import torch, numpy, numba, safetensors.torch, jaxtyping"
    )
    loaded = top_level_modules_after("from bntt import *; LIF, save, vgg9")
    assert not (extra := loaded - five - {"bntt"}), f"`import bntt` loads {sorted(extra)}"


@pytest.mark.parametrize("words", ["--help", "train --help", "recipes", "--version"])
def test_what_needs_no_network_does_not_load_torch(words):
    run = f"from bntt.commands.main import main; main({words.split()!r})"
    silent = (
        f"import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()): {run}\n"
    )
    assert not {"torch", "numpy", "numba"} & top_level_modules_after(silent)


def test_the_front_door_says_the_same_to_a_program_and_to_a_type_checker():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    promised = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert promised == bntt._ROOM_OF
    assert [name for name in bntt.__all__ if not hasattr(bntt, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'vgg8'"):
        getattr(bntt, "vgg8")  # noqa: B009 - a type checker knows that there is none


def test_what_is_not_python_travels_in_the_package():
    assert (PACKAGE / "py.typed").is_file()
    assert list((PACKAGE / "recipes").glob("*.toml"))
    assert (PACKAGE / "ops" / "README.md").is_file()
    assert (PACKAGE / "report" / "page.html.jinja").is_file()


def test_the_quick_tests_of_the_wheel_exist():
    script = ROOT / "test"
    if not script.exists():
        pytest.skip("the sources are not here")
    (names,) = re.findall(r"^ *set -- (.+)$", script.read_text(), re.MULTILINE)
    assert len(names.split()) > 5
    for name in names.split():
        assert (ROOT / "tests" / f"test_{name}.py").is_file(), f"./test names {name}"


def required_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    lines = [line for lines in (*lists, pins) for line in lines if not line.startswith("#")]
    return {re.split(r"[\[<>=!~ ;]", line)[0].lower() for line in lines} - {"bntt", ""}


def test_no_dependency_is_under_the_gpl():
    seen = Counter()
    for name in required_packages():
        try:
            about = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that is not installed
        fields = [about.get_all(key) or [] for key in ("License-Expression", "Classifier")]
        words = " ".join(sum(fields, []))
        assert not re.search(r"\bA?GPL|Affero|GNU General", words), f"{name}: {words}"
        seen[name] += 1
    assert {"torch", "numpy", "numba", "typer"} <= set(seen)
