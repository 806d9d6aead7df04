"""Every bug of scripts/mutants.py can still be put into the package."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "mutants.py"
if not SCRIPT.exists():
    pytest.skip("the sources are not here", allow_module_level=True)


def of_the_script():
    spec = importlib.util.spec_from_file_location("mutants", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MUTANTS = of_the_script()


@pytest.mark.parametrize(("file", "tests"), MUTANTS.BUGS)
def test_every_bug_has_one_place_and_tests_that_exist(file, tests):
    source = (MUTANTS.PACKAGE / file).read_text(encoding="utf-8")
    bugs = MUTANTS.BUGS[file, tests]
    assert [name for name, old, _ in bugs if source.count(old) != 1] == []
    assert [name for name, old, new in bugs if old == new] == []
    modules = [word for word in tests.split() if word.endswith(".py")]
    assert modules
    assert [name for name in modules if not Path(__file__).with_name(name).exists()] == []
