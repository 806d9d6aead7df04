"""A recipe is one row of the results table: everything that decides its number.

If it changes the result it is in the recipe; if it does not (device, paths, how often to
log) it is a flag of the command.
"""

import difflib
import json
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, no_type_check

RECIPES = Path(__file__).parent / "recipes"


@no_type_check  # any value may come, and `__post_init__` says what is wrong with it
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to train and how. Unknown choices and impossible values are refused here, once.

    Raises:
        ValueError: If a value has the wrong type, lies outside its range or names an
            unknown choice. An ``int`` is taken where a ``float`` is declared, a ``bool``
            never for either.
    """

    dataset: Literal["digits", "cifar10", "cifar100"]
    arch: Literal["vgg5", "vgg9", "vgg11"]
    num_steps: int
    """``T``: time-steps of every input, and rows in every BNTT layer. At least 1."""
    leak: float
    """``λ``: fraction of membrane potential kept per time-step, in [0, 1]."""
    epochs: int
    batch_size: int
    lr: float
    """Learning rate: initial for ``step`` and ``cosine``, the peak for ``one_cycle``."""
    norm: Literal["bntt", "shared", "none"] = "bntt"
    encoder: Literal["poisson", "direct"] = "poisson"
    v_threshold: float = 1.0
    surrogate_height: float = 0.3
    """Height of the triangle that stands in for the step's derivative in backward."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9
    """Of ``sgd``, in [0, 1); ``adamw`` does not read it."""
    weight_decay: float = 1e-4
    schedule: Literal["step", "cosine", "one_cycle"] = "step"
    """``step`` divides ``lr`` by 10 at 50, 70 and 90 % of the epochs."""
    warmup: float = 0.2
    """Share of the training steps over which ``one_cycle`` rises to ``lr``, in (0, 1)."""
    loss: Literal["last", "every_mean", "every_step"] = "last"
    """Cross-entropy of the last running mean of the read-outs, of all running means, or of
    every single step's read-out."""
    early_steps: int = 0
    """The first ``early_epochs`` train on only so many time-steps (M17): all of the images
    for a fraction of the time; 0 for none."""
    early_epochs: int = 0
    label_smoothing: float = 0.0
    augment: Literal["none", "crop-flip", "shift"] = "none"
    """``crop-flip``: random crop with padding 4 and horizontal flip; ``shift``: random crop
    with padding 1 and no flip, for digits."""
    cutout: int = 0
    """Side of the square blacked out in each training image, in pixels; 0 for none."""
    normalize: Literal["own", "authors"] = "own"
    """Mean and deviation: the set's own, or those the authors use for both CIFAR sets."""
    validation: int = 0
    """Training images held out, stratified and named by ``seed``; 0 trains on all."""
    fold: int = 0
    """Which of the five folds of ``digits`` is its test set."""
    seed: int = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """``auto`` is decided by the processor; a run folder's recipe records the decision."""

    def __post_init__(self) -> None:
        """Hold every value to its type, its range and its neighbours."""
        for field in fields(self):
            value = _checked(field.name, field.type, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        for name, (holds, meaning) in RANGES.items():
            if not holds(getattr(self, name)):
                raise ValueError(f"`{name}` must {meaning}, got {getattr(self, name)}.")
        if self.batch_size == 1 and self.norm != "none":
            raise ValueError(
                f"`batch_size` must be at least 2 with norm={self.norm!r}, got 1. The "
                f"hidden linear layer has no statistics of one image; take more, or "
                f"norm='none'."
            )
        if self.dataset == "digits" and self.normalize == "authors":
            raise ValueError(
                "normalize='authors' is the mean and deviation of colour images, but "
                "dataset='digits' is grey. Use normalize='own'."
            )
        if self.dataset != "digits" and self.fold:
            raise ValueError(
                f"`fold` must be 0 for dataset={self.dataset!r}, got {self.fold}. That set "
                f"has a test set of its own; only 'digits' is divided into folds."
            )

        self._check_early()

    def _check_early(self) -> None:
        steps, epochs = self.early_steps, self.early_epochs
        if (steps or epochs) and not (
            0 < steps < self.num_steps and 0 < epochs < self.epochs
        ):
            raise ValueError(
                f"`early_steps` and `early_epochs` go together: above 0, below num_steps "
                f"({self.num_steps}) and epochs ({self.epochs}), got {steps} and {epochs}."
            )
        if steps and self.norm == "shared":
            raise ValueError(
                "`early_steps` needs statistics per time-step, but norm='shared' pools "
                "them over all of time. Use norm='bntt', or early_steps=0."
            )

    def to_toml(self) -> str:
        """Write every field as TOML that `load_recipe` reads back to an equal recipe."""
        return "".join(
            f"{field.name} = {json.dumps(getattr(self, field.name))}\n"
            for field in fields(self)
        )


_COUNT = (lambda value: value >= 1, "be at least 1")
_POSITIVE = (lambda value: value > 0, "be positive")
_NOT_NEGATIVE = (lambda value: value >= 0, "not be negative")
_SHARE = (lambda value: 0 <= value < 1, "lie in [0, 1)")

RANGES: dict[str, tuple[Any, str]] = {
    "num_steps": _COUNT,
    "leak": (
        lambda value: 0 <= value <= 1,
        "lie in [0, 1] (the fraction of membrane potential kept per time-step; a time "
        "constant tau converts to 1 - 1/tau)",
    ),
    "epochs": _COUNT,
    "batch_size": _COUNT,
    "lr": _POSITIVE,
    "v_threshold": _POSITIVE,
    "surrogate_height": _POSITIVE,
    "momentum": _SHARE,
    "weight_decay": _NOT_NEGATIVE,
    "warmup": (lambda value: 0 < value < 1, "lie in (0, 1)"),
    "early_steps": _NOT_NEGATIVE,
    "early_epochs": _NOT_NEGATIVE,
    "label_smoothing": _SHARE,
    "cutout": _NOT_NEGATIVE,
    "validation": _NOT_NEGATIVE,
    "fold": (lambda value: 0 <= value <= 4, "be one of the five folds 0 to 4"),
    # the split and every generator take 32 bits
    "seed": (lambda value: 0 <= value < 2**32, "lie in [0, 2**32)"),
}


def recipe_names() -> list[str]:
    """Name the recipes that ship with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, then apply overrides.

    Args:
        name: One of `recipe_names`, or the path of a ``.toml`` file.
        overrides: ``key=value`` each, the value in TOML syntax; a choice may stand without
            quotes. The last one for a key wins.

    Raises:
        ValueError: If the recipe, a key or a value is unknown or impossible, a key is
            missing, or the file is not TOML.
        FileNotFoundError: If the path of a ``.toml`` file leads nowhere.

    Example:
        >>> load_recipe("cifar10-vgg9", ["epochs=2", "norm=shared"]).epochs
        2
    """
    path = Path(name)
    if path.suffix != ".toml":
        _one_of("recipe", str(name), recipe_names(), "; or give the path of a .toml file")
        path = RECIPES / f"{name}.toml"
    values = _read(path)
    for override in overrides:
        key, value = _parse(override)
        values[key] = value
    required = [field.name for field in fields(Recipe) if field.default is MISSING]
    missing = [name for name in required if name not in values]
    if missing:
        raise ValueError(
            f"{path} must also set {', '.join(missing)}: these have no default."
        )
    return Recipe(**values)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(
            f"No recipe file {path} (looked in {Path.cwd()}). Recipes that ship with the "
            f"package go by name: {', '.join(recipe_names())}."
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # both bad TOML and bad UTF-8
        raise ValueError(f"{path} is not a TOML file: {error}.") from error
    for key in values:
        _one_of("recipe key", key, _keys(), f" (in {path})")
    return values


def _parse(override: str) -> tuple[str, Any]:
    key, equals, text = (part.strip() for part in override.partition("="))
    if not equals:
        raise ValueError(
            f"An override is written key=value, such as epochs=2, but got {override!r}."
        )
    _one_of("recipe key", key, _keys())
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return key, text  # a bare word: `_checked` takes it as a choice or refuses it
    if len(parsed) > 1:
        raise ValueError(f"An override sets one key, but {override!r} holds several lines.")
    return key, parsed["value"]


def _keys() -> list[str]:
    return [field.name for field in fields(Recipe)]


def _checked(name: str, kind: Any, value: Any) -> Any:
    """Return `value` as the field's type holds it, or say what the field takes."""
    if choices := get_args(kind):
        if not isinstance(value, str):
            raise ValueError(
                f"`{name}` must be one of {', '.join(choices)}, got {value!r}."
            )
        _one_of(name, value, choices)
        return value
    accepted = (int, float) if kind is float else int
    if isinstance(value, bool) or not isinstance(value, accepted):
        example = "0.3 or 1e-4" if kind is float else "25"
        noun = "a number" if kind is float else "a whole number"
        raise ValueError(f"`{name}` must be {noun} such as {example}, got {value!r}.")
    if kind is float and not abs(value) <= sys.float_info.max:  # nan compares false
        raise ValueError(f"`{name}` must be finite, got {value}.")
    return kind(value)


def _one_of(what: str, got: str, allowed: Sequence[str], where: str = "") -> None:
    if got not in allowed:
        near = difflib.get_close_matches(got, allowed, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"Unknown {what} {got!r}.{hint} Known: {', '.join(allowed)}{where}."
        )
