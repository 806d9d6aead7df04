"""Every key of a recipe, and which values go together."""

import json
from dataclasses import dataclass, fields
from typing import Literal, no_type_check

from .sets import EVENTS, FOLDED, GREY, FrameRule, OutsideRule, SetName, SplitName
from .values import RANGES, GainDecay, Stages, checked, each, sensor_sides

PIECES = ("rows", "pixels", "permuted")


@no_type_check  # any value may come, and `__post_init__` says what is wrong with it
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to train and how. Unknown choices and impossible values are refused here, once.

    Raises:
        ValueError: If a value has the wrong type, lies outside its range or names an
            unknown choice. An ``int`` is taken where a ``float`` is declared, a ``bool``
            never for either.
    """

    dataset: SetName
    """``imagefolder``, ``eventfolder`` and ``npz`` are files of the user's own."""
    arch: Literal["vgg5", "vgg7", "vgg9", "vgg11", "seq", "seq-long"]
    num_steps: int
    """``T``: time-steps of every input, frames of every recording. At least 1."""
    leak: float
    """``λ``: fraction of membrane potential kept per time-step, in [0, 1]."""
    epochs: int
    batch_size: int
    lr: float
    """Learning rate: initial for ``step`` and ``cosine``, the peak for ``one_cycle``."""
    norm: Literal["bntt", "shared", "none"] = "bntt"
    window: int = 1
    """Time-steps in a row that share the statistics of ``bntt``; divides ``num_steps``."""
    encoder: Literal["poisson", "direct", "events", "rows", "pixels", "permuted"] = (
        "poisson"
    )
    """``events`` for event sets, the others for images; the last three feed ``seq`` and
    ``seq-long``."""
    permutation: int = 0
    """Seed of the order in which ``permuted`` pixels come."""
    v_threshold: float = 1.0
    surrogate_height: float = 0.3
    """Height of the triangle that stands in for the step's derivative in backward."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9
    """Of ``sgd``, in [0, 1); ``adamw`` does not read it."""
    weight_decay: float = 1e-4
    gain_decay: GainDecay = "weight_decay"
    """Weight decay of the norms' gains alone (M26); by default that of all others."""
    schedule: Literal["step", "cosine", "one_cycle"] = "step"
    """``step`` divides ``lr`` by 10 at 50, 70 and 90 % of the epochs."""
    warmup: float = 0.2
    """Share of the training steps over which ``one_cycle`` rises to ``lr``, in (0, 1)."""
    loss: Literal["last", "every_mean", "every_step"] = "last"
    """Cross-entropy of the last running mean of the read-outs, of all running means, or of
    every single step's read-out."""
    step_growth: float = 1.0
    """How much the answer of a time-step counts in the loss against that of the step before
    (M13): below 1 early answers count more, above 1 late ones. Of the two losses that look
    at every step."""
    activity_penalty: float = 0.0
    """Weight in the loss of the share of synaptic operations that spikes cause (M27)."""
    target_rate: float = 0.0
    """The share, in [0, 1), from which on ``activity_penalty`` asks for no fewer."""
    early_steps: Stages = 0
    """The first ``early_epochs`` train on only so many time-steps (M17): all of the images
    for a fraction of the time; 0 for none. Lists, such as ``[1, 4, 10]``, for stages."""
    early_epochs: Stages = 0
    """Epochs on ``early_steps`` time-steps; of each stage, where that is a list."""
    label_smoothing: float = 0.0
    augment: Literal["none", "crop-flip", "shift", "nda", "event-mix"] = "none"
    """``crop-flip``: random crop with padding 4 and horizontal flip; ``shift``: random crop
    with padding 1 and no flip, for digits; ``nda``: flip, then roll, rotate, cut out or
    shear, for events (:func:`bntt.training.augment.events.nda`); ``event-mix``: a part of
    every recording, and a share of its label, comes from another, for events (M22)."""
    cutout: int = 0
    """Side of the square blacked out in each training image, in pixels; 0 for none."""
    normalize: Literal["own", "authors"] = "own"
    """Mean and deviation: the set's own, or those the authors use for both CIFAR sets."""
    validation: int = 0
    """Training images held out, stratified and named by ``seed``; 0 trains on all."""
    split: SplitName = "none"
    """Which images are the test set, where a set has no official one."""
    split_seed: int = 0
    """Of a random ``split``; apart from ``seed``, so that seeds share a test set."""
    fold: int = 0
    """Which of the five folds of ``digits`` and ``digits-dvs`` is the test set."""
    image_size: int = 0
    """Side in pixels; 0 for the set's own."""
    white: int = 0
    """``imagefolder`` and ``npz``: the value that means white in pictures of more than 8
    bits a sample, such as 4095; 0 for the most that a file's own kind of numbers holds."""
    frames: FrameRule = "time"
    """Events: frames of equal time, or of equally many events."""
    window_ms: int = 0
    """``eventfolder``: cut recordings into samples of so many milliseconds; 0 for none."""
    sensor: str = ""
    """``eventfolder``: width and height, such as ``"240x180"``, of the sensor of files that
    do not say it; empty for what their kind implies."""
    outside: OutsideRule = "refuse"
    """Recordings: what to do with events outside the sensor; ``drop`` counts them."""
    seed: int = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """``auto`` is decided by the processor; a run folder's recipe records the decision."""

    def __post_init__(self) -> None:
        """Hold every value to its type, its range and its neighbours."""
        for field in fields(self):
            value = checked(field.name, field.type, getattr(self, field.name))
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
        sensor_sides(self.sensor)
        self._check_set()
        self._check_coding()
        self._check_early()
        self._check_mixing()
        self._check_decay()
        self._check_step_growth()
        self._check_activity()

    def trained_steps(self, epoch: int) -> int | None:
        """How many time-steps epoch ``epoch``, from 0, trains on; None for all of them."""
        stages = zip(each(self.early_steps), each(self.early_epochs), strict=True)
        for steps, epochs in stages:
            if epoch < epochs:
                return steps
            epoch -= epochs
        return None

    def _check_set(self) -> None:
        if self.normalize == "authors" and self.dataset in GREY + EVENTS:
            raise ValueError(
                f"normalize='authors' is the mean and deviation of colour images, but "
                f"dataset={self.dataset!r} has none. Use normalize='own'."
            )
        if self.fold and self.dataset not in FOLDED:
            raise ValueError(
                f"`fold` must be 0 for dataset={self.dataset!r}, got {self.fold}. That set "
                f"has a test set of its own; only {' and '.join(FOLDED)} have folds."
            )

    def _check_coding(self) -> None:
        events = self.encoder == "events"
        if self.dataset != "npz" and events != (self.dataset in EVENTS):
            needed = "encoder='events'" if not events else "another encoder"
            raise ValueError(
                f"dataset={self.dataset!r} needs {needed}, got encoder={self.encoder!r}: "
                f"events are fed as they are, and images are coded."
            )
        if (self.encoder in PIECES) != self.arch.startswith("seq"):
            raise ValueError(
                f"arch={self.arch!r} and encoder={self.encoder!r} do not go together: the "
                f"encoders {', '.join(PIECES)} feed 'seq' and 'seq-long', and only they."
            )
        if self.num_steps % self.window or (self.window > 1 and self.norm != "bntt"):
            raise ValueError(
                f"`window` must divide num_steps ({self.num_steps}) and be 1 unless "
                f"norm='bntt', got {self.window} with norm={self.norm!r}."
            )

    def _check_early(self) -> None:
        steps, epochs = self.early_steps, self.early_epochs
        rising = [0, *each(steps), self.num_steps]
        if (steps or epochs) and not (
            len(each(steps)) == len(each(epochs))
            and all(fewer < more for fewer, more in zip(rising, rising[1:], strict=False))
            and min(each(epochs)) > 0
            and sum(each(epochs)) < self.epochs
        ):
            raise ValueError(
                f"`early_steps` and `early_epochs` go together, one of each for a stage: "
                f"above 0, steps rising, and in all below num_steps ({self.num_steps}) "
                f"and epochs ({self.epochs}), got {steps} and {epochs}."
            )
        if steps and (self.norm == "shared" or self.window > 1):
            raise ValueError(
                f"`early_steps` needs statistics per time-step, but norm={self.norm!r} "
                f"with window={self.window} pools them over time. Use norm='bntt' with "
                f"window=1, or early_steps=0."
            )

    def _check_mixing(self) -> None:
        if self.augment != "event-mix":
            return
        if self.encoder != "events":
            raise ValueError(
                f"augment='event-mix' mixes recordings by their numbers of events, but "
                f"encoder={self.encoder!r} codes images. Use another augment, such as "
                f"'crop-flip'."
            )
        if self.early_steps:
            raise ValueError(
                f"augment='event-mix' weighs labels by the events of all time-steps, but "
                f"early_steps={self.early_steps} trains on the first ones alone. Use "
                f"early_steps=0, or another augment."
            )

    def _check_decay(self) -> None:
        if self.norm == "none" and self.gain_decay != "weight_decay":
            raise ValueError(
                f"`gain_decay` is the weight decay of a norm's gains, but norm='none' has "
                f"none, got {self.gain_decay}. Use norm='bntt', or leave it out."
            )

    def _check_step_growth(self) -> None:
        if self.loss == "last" and self.step_growth != 1:
            raise ValueError(
                f"`step_growth` weighs the losses of all time-steps, but loss='last' has "
                f"one, got {self.step_growth}. Use loss='every_step' or 'every_mean', or "
                f"step_growth=1."
            )

    def _check_activity(self) -> None:
        if self.target_rate and not self.activity_penalty:
            raise ValueError(
                f"`target_rate` is where an activity penalty ends, but there is none, got "
                f"{self.target_rate}. Set activity_penalty, such as 1, or leave it out."
            )

    def to_toml(self) -> str:
        """Write every field as TOML that `load_recipe` reads back to an equal recipe."""
        return "".join(
            f"{field.name} = {json.dumps(getattr(self, field.name))}\n"
            for field in fields(self)
        )
