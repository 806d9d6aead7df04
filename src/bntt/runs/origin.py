"""What data a run learned from, and how the data at hand differ from them."""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..config import Recipe
from ..data import Dataset

DIGEST = 12
"""Characters of a SHA-256 that a message shows."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What identifies the data of a run. What an older run did not record is None."""

    class_names: tuple[str, ...] | None
    images: Mapping[str, int] | None
    """How many samples there are in the parts ``train``, ``validation`` and ``test``."""
    source: Mapping[str, str] | None
    """SHA-256 of the bytes that were read, by name."""
    split_sha256: str | None
    """SHA-256 of which samples are in which part; empty if the division is official."""
    train_labels_sha256: str | None
    """SHA-256 of the labels of all training samples, in order."""
    held_out_sha256: str | None
    """SHA-256 of the indices of the samples held out for validation."""

    @classmethod
    def of(cls, dataset: Dataset, recipe: Recipe) -> "Origin":
        """The origin of a run that trains on this set by this recipe."""
        train, held_out = dataset.split(recipe.validation, recipe.seed)
        return cls(
            class_names=dataset.class_names,
            images={
                "train": len(train),
                "validation": len(held_out),
                "test": len(dataset.test_images),
            },
            source=dataset.source,
            split_sha256=dataset.split_sha256,
            train_labels_sha256=_sha256(dataset.train_labels),
            held_out_sha256=_sha256(held_out),
        )

    @classmethod
    def recorded(cls, info: Mapping[str, Any]) -> "Origin":
        """The origin that ``run.json`` recorded."""
        values = {name: info.get(name) for name in cls.__dataclass_fields__}
        names = values["class_names"]
        values["class_names"] = None if names is None else tuple(names)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All values in plain types, for ``run.json``."""
        return asdict(self)


def check_evaluation(run: Path, there: Origin, here: Origin, recipe: Recipe) -> list[str]:
    """Refuse data on which the accuracy of a run would mean something else.

    Args:
        run: The run folder.
        there: The data that the run learned from.
        here: The data at hand.
        recipe: The recipe of the run.

    Returns:
        Sentences on what else is different, or could not be compared.

    Raises:
        ValueError: If the classes differ, or samples moved between training and test.
    """
    _refuse_other_classes(run, there, here)
    _refuse_moved_split(run, there, here, recipe)
    counts = _other_counts(there, here)
    said = [f"The set is not as large as in training: {counts}."] if counts else []
    if not counts and _differ(there.train_labels_sha256, here.train_labels_sha256):
        said.append("The training labels are not those that the run learned from.")
    return [*said, *_other_bytes(run, there, here), *_not_compared(run, there)]


def check_resume(run: Path, there: Origin, here: Origin, recipe: Recipe) -> list[str]:
    """Refuse data on which a run would end with other weights than on its own.

    Args:
        run: The run folder.
        there: The data that the run learned from so far.
        here: The data at hand.
        recipe: The recipe of the run.

    Returns:
        Sentences on what else is different, or could not be compared.

    Raises:
        ValueError: If classes, training labels, their number or what is held out differ.
    """
    _refuse_other_classes(run, there, here)
    _refuse_moved_split(run, there, here, recipe)
    counts = _other_counts(there, here)
    if counts:
        raise ValueError(_not_the_same(run, f"the number of samples differs: {counts}"))
    if _differ(there.train_labels_sha256, here.train_labels_sha256):
        raise ValueError(_not_the_same(run, "the labels of the training samples differ"))
    if _differ(there.held_out_sha256, here.held_out_sha256):
        raise ValueError(_not_the_same(run, "other samples are held out for validation"))
    return [*_other_bytes(run, there, here), *_not_compared(run, there)]


def refuse_other_classes(run: Path, there: Sequence[str], here: Sequence[str]) -> None:
    """Refuse class names, or an order of them, that are not the run's.

    Names are compared in one Unicode normal form: file systems differ in the form that
    they keep.

    Args:
        run: The run folder.
        there: The run's class names.
        here: Those at hand.

    Raises:
        ValueError: Naming what differs.
    """
    one, other = ([unicodedata.normalize("NFC", n) for n in ns] for ns in (there, here))
    if one != other:
        raise ValueError(_not_the_same(run, _class_difference(one, other)))


def _refuse_other_classes(run: Path, there: Origin, here: Origin) -> None:
    if there.class_names is not None and here.class_names is not None:
        refuse_other_classes(run, there.class_names, here.class_names)


def _class_difference(there: list[str], here: list[str]) -> str:
    """How two lists of class names differ, in words."""
    missing = [name for name in there if name not in here]
    new = [name for name in here if name not in there]
    if len(there) == len(here) and not (missing or new):
        pairs = enumerate(zip(there, here, strict=True))
        k = next(k for k, (one, other) in pairs if one != other)
        return (
            f"the classes stand in another order (class {k} was {there[k]!r} and is "
            f"{here[k]!r})"
        )
    parts = [
        f"{what} {', '.join(map(repr, names[:5]))}{' and others' * (len(names) > 5)}"
        for what, names in (("missing", missing), ("new", new))
        if names
    ]
    parts.append(f"{len(there)} there, {len(here)} here")
    return f"the classes differ ({'; '.join(parts)})"


def _refuse_moved_split(run: Path, there: Origin, here: Origin, recipe: Recipe) -> None:
    """Refuse a set without an official division that is not divided as it was."""
    moved = _differ(there.split_sha256, here.split_sha256)
    if there.split_sha256 is None and recipe.split != "none":
        # an older run: a split of other sizes is surely another one
        moved = bool(_other_counts(there, here))
    if moved:
        raise ValueError(
            _not_the_same(
                run,
                "the division into training and test samples has moved, so that it may "
                "test on what it was trained on",
            )
        )


def _other_counts(there: Origin, here: Origin) -> str:
    """The parts whose sizes differ, in words; empty if none does."""
    if there.images is None or here.images is None:
        return ""
    parts = (("train", "train on"), ("validation", "hold out"), ("test", "test on"))
    return ", ".join(
        f"{there.images[part]} to {verb} there, {here.images[part]} here"
        for part, verb in parts
        if there.images.get(part, here.images[part]) != here.images[part]
    )


def _other_bytes(run: Path, there: Origin, here: Origin) -> list[str]:
    if there.source is None or here.source is None or there.source == here.source:
        return []
    names = sorted({*there.source.items()} ^ {*here.source.items()})
    names = list(dict.fromkeys(name for name, _ in names))
    shown = ", ".join(
        f"{n} ({_short(there.source.get(n))} there, {_short(here.source.get(n))} here)"
        for n in names[:3]
    )
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    if there.class_names is None:
        return [
            f"What identifies the data is not what {run} recorded, by SHA-256: {shown}"
            f"{more}. That run is of an older bntt, which did not always read the bytes, "
            f"so the data may or may not be the same."
        ]
    return [
        f"These are not the bytes that {run} was trained on, by SHA-256: {shown}{more}."
    ]


def _not_compared(run: Path, there: Origin) -> list[str]:
    """A sentence on what an older run did not record, so that it cannot be compared."""
    names = {
        "class_names": "class names",
        "images": "numbers of samples",
        "source": "the data's SHA-256",
        "split_sha256": "the division into training and test samples",
        "train_labels_sha256": "training labels",
    }
    missing = [words for name, words in names.items() if getattr(there, name) is None]
    if not missing:
        return []
    return [
        f"{run} is of an older bntt and does not record {', '.join(missing)}: whether "
        f"these are the same could not be compared."
    ]


def _not_the_same(run: Path, what: str) -> str:
    return (
        f"These are not the data that {run} was trained on: {what}. Give those with "
        f"--data DIR, or train on these in another folder with --out."
    )


def _differ(there: str | None, here: str | None) -> bool:
    return there is not None and there != here


def _short(sha256: str | None) -> str:
    return "none" if sha256 is None else sha256[:DIGEST]


def _sha256(numbers: Tensor) -> str:
    """SHA-256 of whole numbers, written as little-endian int64."""
    return hashlib.sha256(numbers.cpu().numpy().astype("<i8").tobytes()).hexdigest()
