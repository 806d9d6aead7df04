"""What a network sees in the user's own pictures and recordings, step by step."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from ..config import Recipe
from ..data import DataOptions
from ..data.geometry import Geometry
from ..data.single_file import read_as_trained, read_parts
from ..machine.progress import Display
from ..machine.terminal import one_line
from ..networks.network import Network
from ..runs.opened import OpenedRun, open_run
from .answers import refuse_nonfinite


@dataclass(frozen=True)
class Prediction:
    """The likeliest class of one picture or recording after each time-step."""

    file: str
    classes: tuple[str, ...]
    """Names, one per time-step."""
    probabilities: tuple[float, ...]
    """Probabilities of those classes, in [0, 1]: softmax of the running mean read-out."""
    note: str = ""
    """What may be wrong with the picture or recording; empty if nothing seems to be."""
    span_ms: tuple[int, int] | None = None
    """Begin and end of the part of a recording that this is, in milliseconds from its first
    event on; None for a whole recording or a picture."""

    @property
    def settled(self) -> int:
        """The time-step, from 1, after which the class no longer changes."""
        last = self.classes[-1]
        others = [step for step, name in enumerate(self.classes, 1) if name != last]
        return max(others, default=0) + 1

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values."""
        steps = enumerate(zip(self.classes, self.probabilities, strict=True), 1)
        return {
            "file": self.file,
            "span_ms": self.span_ms,
            "class": self.classes[-1],
            "probability": self.probabilities[-1],
            "settled_step": self.settled,
            "steps": [{"step": t, "class": c, "probability": p} for t, (c, p) in steps],
            "note": self.note,
        }


@dataclass(frozen=True)
class Unread:
    """A file that got no answer, and why."""

    file: str
    error: str

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return asdict(self)


Sample = tuple[Tensor, dict[str, Any]]
"""The input of the network, and what is known of it: fields of its `Prediction`."""


@torch.inference_mode()
def predict(
    net: Network,
    image: UInt8[Tensor, "C H W"] | UInt8[Tensor, "T C H W"],
    *,
    num_steps: int | None = None,
    seed: int = 0,
    file: str = "",
) -> Prediction:
    """Classify one picture, or the frames of one recording, after every time-step.

    Args:
        net: The network, in evaluation mode.
        image: What :func:`bntt.data.single_file.read_as_trained` makes of a picture; for a
            network for events a frame per time-step.
        num_steps: Stop after so many time-steps; all that were trained if omitted.
        seed: Seed of the encoder. Each picture draws its own random numbers, so that its
            answer does not depend on other pictures.
        file: The name of the file, for the result.

    Raises:
        ValueError: If more time-steps are asked for than trained, or the shape is wrong.
        FloatingPointError: If the network answers with NaN or infinity.
    """
    net.check_steps(num_steps)
    device = net.mean.device
    images = net.normalize(image[None].to(device))
    generator = torch.Generator(device=device).manual_seed(seed)
    logits = net(images, per_step=True, num_steps=num_steps, generator=generator)
    refuse_nonfinite(logits)
    likeliest = logits[:, 0].softmax(-1).max(-1)
    classes = tuple(net.class_names[k] for k in likeliest.indices.tolist())
    note = _note(net, image)
    return Prediction(file, classes, tuple(likeliest.values.tolist()), note)


def predict_run(
    run: str | Path,
    files: Sequence[str | Path],
    *,
    num_steps: int | None = None,
    seed: int = 0,
    invert: bool = False,
    quiet: bool = False,
) -> list[Prediction | Unread]:
    """Classify files with a run's best checkpoint.

    A file that cannot be read does not keep the others from being classified.

    Args:
        run: The run folder.
        files: Pictures, as :func:`read_as_trained` takes them, or, if the run is one of
            events, recordings, as :func:`read_parts` does.
        num_steps: As :func:`predict`.
        seed: As :func:`predict`.
        invert: Whether to exchange light and dark in every picture.
        quiet: Whether to show no progress.

    Returns:
        One for every picture or recording, in order; of recordings that are cut into
        windows, one for every window. Of a file that cannot be read, why.

    Raises:
        FileNotFoundError: If the run or its checkpoint is missing, or every file.
        ValueError: As :func:`predict`, if the checkpoint is not the run's, if no file is a
            readable picture or recording, or if recordings are to be inverted.
        ImportError: If Pillow, or what reads a recording, is not installed.
        FloatingPointError: As :func:`predict`.
    """
    opened = open_run(run, device="cpu")
    opened.net.check_steps(num_steps)
    doubt = opened.untrained_warning(num_steps)
    samples = _reader(opened, invert)
    answer = partial(predict, opened.net, num_steps=num_steps, seed=seed)
    found: list[Prediction | Unread] = []
    errors: list[OSError | ValueError] = []
    with Display("files", len(files), quiet=quiet) as display:
        for file in files:
            try:
                found += [_answered(answer, str(file), doubt, s) for s in samples(file)]
            except (OSError, ValueError) as error:
                errors.append(error)
                said = one_line(error)
                said = said if str(file) in said else f"{file}: {said}"
                found.append(Unread(str(file), said))
            display.advance()
    if errors and len(errors) == len(files):
        raise errors[0]
    return found


def _answered(
    answer: Callable[..., Prediction], file: str, doubt: str, sample: Sample
) -> Prediction:
    """The answer to one sample, with everything that must be said of it."""
    image, about = sample
    one = answer(image, file=file)
    notes = (one.note, about.get("note", ""), doubt)
    return replace(one, **about | {"note": " ".join(filter(None, notes))})


def _reader(run: OpenedRun, invert: bool) -> Callable[[str | Path], Iterator[Sample]]:
    """How the samples of a file are read for the run's network.

    Raises:
        ValueError: If recordings are to be inverted.
    """
    geometry, doubt = run.geometry()
    if run.net.encoder_name != "events":
        return lambda file: _picture(file, geometry, doubt, invert)
    if invert:
        raise ValueError(
            "--invert exchanges light and dark in pictures, but this network takes "
            "recordings of an event camera. Leave it out."
        )
    return lambda file: _recording(file, run.recipe, geometry)


def _picture(
    file: str | Path, geometry: Geometry, doubt: str, invert: bool
) -> Iterator[Sample]:
    pixels, note = read_as_trained(file, geometry, invert=invert)
    yield pixels, {"note": " ".join(filter(None, (note, doubt)))}


def _recording(file: str | Path, recipe: Recipe, geometry: Geometry) -> Iterator[Sample]:
    options = DataOptions.of(recipe)
    for part in read_parts(file, recipe.dataset, options, geometry):
        yield torch.from_numpy(part.frames), {"span_ms": part.span_ms, "note": part.note}


def _note(net: Network, image: Tensor) -> str:
    """A warning if a grey picture is light where the training images were dark."""
    mean, inside = net.mean.mean().item(), image
    if net.geometry is not None:  # a border is dark in every picture
        inside = image[..., *net.geometry.inside]
        mean *= image.numel() / inside.numel()
    light = inside.float().mean().item() / 255
    if net.in_channels == 1 and mean < 0.5 < light:
        return (
            f"This picture is mostly light ({light:.0%} of white), but the network learned "
            f"light strokes on dark ground: try --invert."
        )
    return ""
