"""Print the lowest versions that pyproject.toml declares, as constraints for pip.

python scripts/lowest.py > lowest.txt && pip install -c lowest.txt -e ".[dev]"
"""

import re
import tomllib
from pathlib import Path

BOUND = re.compile(r"([A-Za-z0-9_-]+)(?:\[[^]]*\])?>=([0-9.]+)")


def lowest(project: dict) -> dict[str, str]:
    """The highest of the lower bounds that stand anywhere, by package."""
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    found: dict[str, str] = {}
    for line in sum(lists, []):
        if bound := BOUND.match(line):
            name, version = bound.groups()
            found[name] = max(found.get(name, "0"), version, key=_numbers)
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


if __name__ == "__main__":
    text = Path(__file__).parents[1].joinpath("pyproject.toml").read_text(encoding="utf-8")
    for name, version in lowest(tomllib.loads(text)["project"]).items():
        print(f"{name}=={version}")
