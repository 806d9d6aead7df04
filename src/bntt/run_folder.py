"""The folder of one run: recipe, circumstances, log, checkpoints."""

import json
from pathlib import Path
from typing import Any

from .config import Recipe, load_recipe
from .files import replacing
from .provenance import circumstances


class RunFolder:
    """Reads and writes the files of a run; every write but the log's is atomic.

    Args:
        path: The folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.recipe_file = self.path / "recipe.toml"
        self.info_file = self.path / "run.json"
        self.log_file = self.path / "log.jsonl"
        self.last = self.path / "last.safetensors"
        self.best = self.path / "best.safetensors"

    def start(self, recipe: Recipe, info: dict[str, Any]) -> None:
        """Make the folder and write the recipe and the circumstances.

        Raises:
            FileExistsError: If a run is in it already.
            OSError: If it cannot be written.
        """
        if self.info_file.exists():
            self._refuse_other(recipe)
            raise FileExistsError(
                f"{self.path} already holds a run of this recipe. Continue it with "
                f"--resume, or give another folder with --out."
            )
        self._make()
        self._write(self.recipe_file, recipe.to_toml())
        self.update(**circumstances(), **info, status="running")

    def resume(self, recipe: Recipe) -> None:
        """Check that this recipe's run can go on here.

        Raises:
            FileNotFoundError: If there is nothing to resume.
            ValueError: If the folder holds another recipe.
        """
        if not self.info_file.exists():
            raise FileNotFoundError(
                f"There is no run to resume in {self.path}: it has no run.json. Leave out "
                f"--resume to start one."
            )
        self._refuse_other(recipe)

    def recipe(self) -> Recipe:
        """The recipe as it was resolved.

        Raises:
            FileNotFoundError: If the folder is not a run's.
        """
        if not self.recipe_file.is_file():
            raise FileNotFoundError(
                f"{self.path} is not a run folder: it has no recipe.toml. Give the folder "
                f"that bntt train wrote with --out."
            )
        return load_recipe(self.recipe_file)

    def info(self) -> dict[str, Any]:
        """The circumstances, as written so far."""
        if not self.info_file.exists():
            return {}
        try:
            return json.loads(self.info_file.read_text())
        except ValueError as error:
            raise ValueError(
                f"{self.info_file} is not JSON ({error}): it was changed or cut. Start "
                f"again in another folder."
            ) from error

    def update(self, **values: Any) -> None:
        """Add to the circumstances or change them."""
        text = json.dumps({**self.info(), **values}, indent=2)
        self._write(self.info_file, text + "\n")

    def log(self, **values: Any) -> None:
        """Append one object to the log."""
        with self.log_file.open("a") as file:
            file.write(json.dumps(values) + "\n")

    def rewind_log(self, step: int) -> None:
        """Drop what was logged after ``step`` steps: it will be done again."""
        if not self.log_file.exists():
            return
        lines = self.log_file.read_text().splitlines(keepends=True)
        # a last line without its end was cut off by what killed the run
        whole = [line for line in lines if line.endswith("\n")]
        kept = [line for line in whole if json.loads(line)["step"] <= step]
        self._write(self.log_file, "".join(kept))

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"Cannot make the run folder {self.path}: {error.strerror or error}. Give "
                f"one that can be written with --out."
            ) from error

    def _write(self, path: Path, text: str) -> None:
        with replacing(path) as temporary:
            temporary.write_text(text)

    def _refuse_other(self, recipe: Recipe) -> None:
        held = self.recipe()
        names = [n for n in held.__dict__ if getattr(held, n) != getattr(recipe, n)]
        if names:
            differing = ", ".join(
                f"{n} ({getattr(held, n)} there, {getattr(recipe, n)} here)" for n in names
            )
            raise ValueError(
                f"{self.path} holds a run of another recipe: {differing}. Give another "
                f"folder with --out, or the same --set values as before."
            )
