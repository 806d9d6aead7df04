"""What a network sees in the user's own pictures and recordings, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from . import checkpoint
from .data.geometry import Geometry, recalled
from .display import Display
from .network import Network
from .pictures import read_as_trained
from .recordings import read_parts
from .run_folder import RunFolder


@dataclass(frozen=True)
class Prediction:
    """The likeliest class of one picture or recording after each time-step."""

    file: str
    classes: tuple[str, ...]
    """Names, one per time-step."""
    probabilities: tuple[float, ...]
    """Of those classes: the softmax of the running mean read-out, in [0, 1]."""
    note: str = ""
    """What may be wrong with the picture or recording; empty if nothing is."""
    span_ms: tuple[int, int] | None = None
    """What part of a recording this is, from its first event on; None if it is whole."""

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
        net: In evaluation mode.
        image: As :func:`read_as_trained` makes it of a picture; for a
            network for events a frame per time-step.
        num_steps: Stop after so many time-steps; all that were trained if omitted.
        seed: Of the encoder. Each picture draws alone, so that its answer does not depend
            on the pictures beside it.
        file: A name to remember.

    Raises:
        ValueError: If more time-steps are asked for than trained, or the shape is wrong.
    """
    net.check_steps(num_steps)
    device = net.mean.device
    images = net.normalize(image[None].to(device))
    generator = torch.Generator(device=device).manual_seed(seed)
    logits = net(images, per_step=True, num_steps=num_steps, generator=generator)
    best = logits[:, 0].softmax(-1).max(-1)
    classes = tuple(net.class_names[k] for k in best.indices.tolist())
    note = _note(net, image)
    return Prediction(file, classes, tuple(best.values.tolist()), note)


def predict_run(
    run: str | Path,
    files: Sequence[str | Path],
    *,
    num_steps: int | None = None,
    seed: int = 0,
    invert: bool = False,
    quiet: bool = False,
) -> list[Prediction]:
    """Classify files with a run's best checkpoint.

    Args:
        run: The run folder.
        files: Pictures, as :func:`read_as_trained` takes them, or, if the run is one of
            events, recordings, as :func:`read_parts` does; all are read before the first
            is classified.
        num_steps: As :func:`predict`.
        seed: As :func:`predict`.
        invert: Whether to exchange light and dark in every picture.
        quiet: Whether to show no progress.

    Returns:
        One for every picture or recording; of recordings that are cut into windows, one
        for every window.

    Raises:
        FileNotFoundError: If the run, its checkpoint or a file is missing.
        ValueError: As :func:`predict`, if a file is neither a readable picture nor
            recording, or if recordings are to be inverted.
        ImportError: If Pillow, or what reads a recording, is not installed.
    """
    folder = RunFolder(run)
    net = checkpoint.load(folder.best)
    net.check_steps(num_steps)
    if net.encoder_name == "events":
        samples = _recordings(net, folder, files, invert)
    else:
        samples = _pictures(net, folder, files, invert)
    found = []
    with Display("samples", len(samples), quiet=quiet) as display:
        for file, image, about in samples:
            one = predict(net, image, num_steps=num_steps, seed=seed, file=str(file))
            notes = (one.note, about.pop("note", ""))
            found.append(replace(one, note=" ".join(filter(None, notes)), **about))
            display.advance()
    return found


def _pictures(
    net: Network, folder: RunFolder, files: Sequence[str | Path], invert: bool
) -> list[tuple[str | Path, Tensor, dict[str, Any]]]:
    """File, pixels, and what there is to say of every picture."""
    geometry, doubt = _geometry(net, folder)
    samples = []
    for file in files:
        pixels, note = read_as_trained(file, geometry, invert=invert)
        notes = " ".join(filter(None, (note, doubt)))
        samples.append((file, pixels, {"note": notes}))
    return samples


def _geometry(net: Network, folder: RunFolder) -> tuple[Geometry, str]:
    """How training made its images, and what is not known of that."""
    if net.geometry is not None:
        return net.geometry, ""
    recipe = folder.recipe()
    geometry = recalled(recipe.dataset, net.in_channels, net.image_size)
    if recipe.dataset == "npz" and recipe.image_size:
        return geometry, (
            "This run is too old to say whether its arrays had a border of zeros: the "
            "picture was scaled to all of the image. Train again to be sure."
        )
    return geometry, ""


def _recordings(
    net: Network, folder: RunFolder, files: Sequence[str | Path], invert: bool
) -> list[tuple[str | Path, Tensor, dict[str, Any]]]:
    """File, frames, and what else there is to say of every sample."""
    if invert:
        raise ValueError(
            "--invert exchanges light and dark in pictures, but this network takes "
            "recordings of an event camera. Leave it out."
        )
    recipe = folder.recipe()
    return [
        (
            file,
            torch.from_numpy(part.frames),
            {"span_ms": part.span_ms, "note": part.note},
        )
        for file in files
        for part in read_parts(file, recipe, net.image_size, net.geometry)
    ]


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
