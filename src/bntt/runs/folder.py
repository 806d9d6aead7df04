"""The folder of one run: recipe, record, log, checkpoints, and who works in it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..config import Recipe, load_recipe
from ..machine.files import replacing
from ..machine.terminal import one_line
from . import record
from .provenance import circumstances
from .record import Info


class RunFolder:
    """The files of a run, and how they are read and written (docs/runs.md).

    Every file is replaced whole, so that a reader finds the old one or the new one; only
    the log is appended to.

    Args:
        path: The run folder. It need not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.recipe_file = self.path / "recipe.toml"
        self.info_file = self.path / "run.json"
        self.log_file = self.path / "log.jsonl"
        self.last = self.path / "last.safetensors"
        self.best = self.path / "best.safetensors"
        self.lock_file = self.path / ".lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and hold its lock, so that no other process trains in it.

        A folder that was made here, and in which no run began, is removed at the end.

        The lock is the system's: it ends with the process, however that ends.

        Raises:
            BlockingIOError: If a living process trains in it.
            OSError: If it cannot be made or written.
        """
        made = self._make()
        lock = _lock(self.lock_file)
        try:
            lock.acquire()
        except _timeout() as error:
            raise BlockingIOError(
                f"{self.path} is being trained by {self._trainer()}. Wait for it or stop "
                f"it, or give another folder with --out."
            ) from error
        try:
            yield
        finally:
            if not self.info_file.exists():
                with suppress(OSError):  # Windows removes it when it is released
                    self.lock_file.unlink()
            lock.release()
            for folder in made:
                with suppress(OSError):  # it is not empty: a run began
                    folder.rmdir()

    def status(self) -> str:
        """How far the run is, such as ``"finished"`` or ``"interrupted"``.

        It is ``"running"`` only if a living process trains it; a run that says so and that
        nobody trains was ``"killed"``. A run that says nothing is ``"unknown"``.
        """
        said = self.info().get("status") or "unknown"
        return "killed" if said == "running" and not self._trained_now() else said

    def start(self, recipe: Recipe, info: Mapping[str, Any]) -> None:
        """Begin a run here: write its recipe and what it says of itself.

        An earlier run that failed before it saved anything is replaced.

        Args:
            recipe: The recipe as it was resolved.
            info: What to record in ``run.json`` beside the circumstances
                (:func:`bntt.runs.provenance.circumstances`).

        Raises:
            FileExistsError: If a run is in it already.
            OSError: If it cannot be written.
        """
        self.refuse_another(recipe)
        self._make()
        self.clear_leftovers()
        self.info_file.unlink(missing_ok=True)
        self.log_file.unlink(missing_ok=True)
        self._write(self.recipe_file, recipe.to_toml())
        about = {**circumstances(), **info}
        sitting = {name: about[name] for name in record.SITTING if name in about}
        segments = [record.segment(0, {**circumstances(), **sitting})]
        self.update(**about, recipe=asdict(recipe), segments=segments, status="running")

    def refuse_another(self, recipe: Recipe) -> None:
        """Refuse to start where there is a run that has saved anything or is still going.

        Raises:
            ValueError: If there is a run of another recipe.
            FileExistsError: If there is a run of this recipe.
        """
        info = self.info()
        lost = info.get("status") == "failed" and not self._saved()
        if not info or lost:
            return
        self._refuse_other(recipe)
        if info.get("status") == "finished":
            raise FileExistsError(
                f"{self.path} already holds a run of this recipe, which is finished: "
                f"evaluate it with bntt evaluate, or give another folder with --out."
            )
        raise FileExistsError(
            f"{self.path} already holds a run of this recipe. Continue it with "
            f"--resume, or give another folder with --out."
        )

    def resume(self, recipe: Recipe) -> None:
        """Check that a run of this recipe can go on here; nothing is written.

        Raises:
            FileNotFoundError: If there is nothing to resume.
            ValueError: If the folder holds another recipe, or lost its checkpoint.
        """
        if not self.info_file.exists():
            raise FileNotFoundError(
                f"There is no run to resume in {self.path}: it has no run.json. Leave out "
                f"--resume to start one."
            )
        self._refuse_other(recipe)
        step = self.info().get("step") or 0
        if step > 0 and not self.last.exists():
            raise ValueError(
                f"{self.path} came to step {step}, but last.safetensors, from which it "
                f"would go on, is missing. Put it back, or start again in another folder."
            )

    def sit_again(self, step: int, about: Mapping[str, Any]) -> str:
        """Record that a run goes on, in a new sitting.

        Args:
            step: How many training steps are already done.
            about: What this sitting says of itself (`bntt.runs.record.SITTING`).

        Returns:
            One line on what changed since the last sitting and may change the weights, or
            empty text if nothing did.
        """
        info = self.info()
        before = record.segments(info)
        now = record.segment(step, {**circumstances(), **about})
        change = record.changed(before[-1], now)
        if change:
            now["changed"] = change
        if "ended" not in before[-1] and info.get("status") == "running":
            before[-1]["ended"] = {"status": "killed"}
        self.update(segments=[*before, now], status="running", because=None)
        return record.in_words(change)

    def end(self, status: str, because: str | None = None, **values: Any) -> None:
        """Record how this sitting ended.

        Args:
            status: ``"finished"``, ``"interrupted"`` or ``"failed"``.
            because: Why it failed.
            values: Further entries of ``run.json``.
        """
        sittings = record.segments(self.info())
        ended = {"status": status} | ({"because": because} if because else {})
        sittings[-1]["ended"] = ended
        self.update(**values, status=status, because=because, segments=sittings)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Record the exception, of whatever kind, that ends what is done inside."""
        try:
            yield
        except BaseException as error:
            kind, said = type(error).__name__, str(error)
            with suppress(OSError, ValueError):  # a full disk hides no other error
                self.end("failed", f"{kind}: {one_line(error)[:500]}" if said else kind)
            raise

    def recipe(self) -> Recipe:
        """The recipe of the run, as it was resolved when the run began.

        Raises:
            FileNotFoundError: If the folder holds no run.
            ValueError: If the recipe is not the one that the run began with.
        """
        if not self.recipe_file.is_file():
            raise FileNotFoundError(
                f"{self.path} is not a run folder: it has no recipe.toml. Give the folder "
                f"that bntt train wrote with --out."
            )
        try:
            recipe = load_recipe(self.recipe_file)
        except ValueError as error:
            if str(self.recipe_file) in str(error):
                raise
            raise ValueError(f"{self.recipe_file}: {error}") from error
        self._refuse_edited(recipe)
        return recipe

    def info(self) -> Info:
        """What ``run.json`` says so far; an empty dictionary if there is no run.

        Raises:
            ValueError: If ``run.json`` is damaged.
        """
        return record.read(self.info_file)

    def update(self, **values: Any) -> None:
        """Add entries to ``run.json``, or change them."""
        text = json.dumps({**self.info(), **values}, indent=2, allow_nan=False)
        self._write(self.info_file, text + "\n")

    def log(self, **values: Any) -> None:
        """Append one line to the log, an object of these values."""
        with self.log_file.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(values, allow_nan=False) + "\n")

    def rewind_log(self, step: int) -> int:
        """Drop what was logged after ``step`` steps: these steps will be done again.

        Returns:
            How many damaged lines were dropped as well. A last line without its end is not
            counted: it was cut off by what ended the run.
        """
        if not self.log_file.exists():
            return 0
        *lines, _ = self.log_file.read_bytes().split(b"\n")
        steps = [_step_of(line) for line in lines]
        kept = [
            line + b"\n"
            for line, at in zip(lines, steps, strict=True)
            if at is not None and at <= step
        ]
        with replacing(self.log_file) as temporary:
            temporary.write_bytes(b"".join(kept))
        return steps.count(None)

    def clear_leftovers(self) -> None:
        """Remove what a kill in the middle of a write left behind.

        Only for the process that holds the lock: another one's writes would be lost.
        """
        for file in (self.recipe_file, self.info_file, self.log_file, self.last, self.best):
            for left in self.path.glob(f".{file.name}.*"):
                left.unlink(missing_ok=True)

    def keep_answer(
        self, name: str, answer: Mapping[str, Any], asked: Mapping[str, Any]
    ) -> Path:
        """Write what a command found; it replaces only what answers the same question.

        Args:
            name: Of the file, such as ``"energy"`` for ``energy.json``, or if that one
                answers another question ``energy-2.json`` and so on.
            answer: Everything that is to be written.
            asked: Those entries of ``answer`` that are the question.

        Returns:
            The file that was written.

        Raises:
            OSError: If it cannot be written.
        """
        number, file = 1, self.path / f"{name}.json"
        while not _answers(file, asked):
            number += 1
            file = self.path / f"{name}-{number}.json"
        self._write(file, json.dumps(answer, indent=2, allow_nan=False) + "\n")
        return file

    def _trained_now(self) -> bool:
        if not self.lock_file.exists():
            return False
        lock = _lock(self.lock_file)
        try:
            lock.acquire()
        except _timeout():
            return True
        except OSError:  # a folder that is only read holds no trainer of ours
            return False
        lock.release()
        return False

    def _saved(self) -> bool:
        return self.last.exists() or self.best.exists()

    def _make(self) -> list[Path]:
        """Make the folder, and return the folders that were made, the innermost first."""
        missing = [path for path in (self.path, *self.path.parents) if not path.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"Cannot make the run folder {self.path}: {error.strerror or error}. Give "
                f"one that can be written with --out."
            ) from error
        return missing

    def _write(self, path: Path, text: str) -> None:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")

    def _trainer(self) -> str:
        """The process that holds the lock, in words, as far as it is known."""
        with suppress(ValueError, OSError):
            sitting = record.segments(self.info())[-1]
            if "process" in sitting and "ended" not in sitting:
                return f"process {sitting['process']} on {sitting.get('host')}"
        return "another process"

    def _refuse_other(self, recipe: Recipe) -> None:
        held = self.recipe()
        differing = _differing(asdict(held), asdict(recipe), "there", "here")
        if differing:
            raise ValueError(
                f"{self.path} holds a run of another recipe: {differing}. Give another "
                f"folder with --out, or the same --set values as before."
            )

    def _refuse_edited(self, recipe: Recipe) -> None:
        """Refuse a recipe that is not the one that ``run.json`` knows."""
        began = self.info().get("recipe") or {}
        # lists, as JSON has them, in the place of tuples
        said = json.loads(json.dumps(asdict(recipe)))
        now = {name: value for name, value in said.items() if name in began}
        differing = _differing({name: began[name] for name in now}, now, "then", "now")
        if differing:
            raise ValueError(
                f"{self.recipe_file} was changed since the run began: {differing}. Put "
                f"back what it was, or train by the new recipe in another folder."
            )


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], a: str, b: str) -> str:
    """The keys whose values differ, in words."""
    return ", ".join(
        f"{name} ({one[name]} {a}, {other[name]} {b})"
        for name in one
        if one[name] != other[name]
    )


def _step_of(line: bytes) -> int | None:
    """The step of a line of the log; None if the line is damaged."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = entry.get("step") if isinstance(entry, dict) else None
    return step if type(step) is int and step >= 0 else None


def _answers(file: Path, asked: Mapping[str, Any]) -> bool:
    """Whether an evaluation may be written there: none is, or one of the same question."""
    if not file.exists():
        return True
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError):
        return False
    return isinstance(kept, dict) and all(kept.get(n) == v for n, v in asked.items())


def _lock(file: Path) -> Any:
    from filelock import FileLock

    # a moment, since who asks for the run's status holds it as long as that
    return FileLock(file, timeout=0.5)


def _timeout() -> type[BaseException]:
    from filelock import Timeout

    return Timeout
