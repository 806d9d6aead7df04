"""Cut recordings into windows of equal length, each a sample."""

from dataclasses import replace

import numpy as np

from .samples import Listing, Sample
from .survey import Survey

MOST_EMPTY = 100
"""Windows without events per window with some, from which on a clock must have jumped."""


def cut_into_windows(listing: Listing, survey: Survey, window_ms: int) -> Listing:
    """Return the listing with every recording cut into windows of `window_ms`.

    The first window begins with the first event. The last one, being incomplete, is left
    out, and so are windows without events; both are counted in the notes.

    Raises:
        ValueError: If nothing is left to train on, or to test on, or a recording's clock
            jumps, so that almost all its windows are empty.
    """
    _check_clocks(listing, survey)
    windows = [
        _windows(sample, int(first), int(count), window_ms * 1000)
        for sample, first, count in zip(
            listing.samples, survey.first_us, survey.windows, strict=True
        )
    ]
    recordings = len(listing.train)
    train = [part for parts in windows[:recordings] for part in parts]
    test = [part for parts in windows[recordings:] for part in parts]
    for kind, samples in (("training", train), ("test", test)):
        if not samples:
            raise ValueError(
                f"No {kind} recording in {listing.root} is as long as a window of "
                f"{window_ms} ms. Set a shorter `window_ms`."
            )
    notes = (*listing.notes, *_notes(listing, survey, window_ms))
    return replace(listing, train=train, test=test, notes=notes, drop_empty=True)


def _windows(sample: Sample, first: int, count: int, window_us: int) -> list[Sample]:
    starts = range(first, first + count * window_us, window_us)
    return [Sample(sample.file, sample.label, at, at + window_us) for at in starts]


def _check_clocks(listing: Listing, survey: Survey) -> None:
    empty = survey.windows - survey.filled
    jumps = np.flatnonzero(empty > MOST_EMPTY * (survey.filled + 1))
    if len(jumps):
        k = jumps[0]
        raise ValueError(
            f"{listing.root / listing.samples[k].file}: times run from "
            f"{survey.first_us[k]} to {survey.last_us[k]} microseconds, but only "
            f"{survey.filled[k]} of {survey.windows[k]} windows hold events. "
            f"Its clock seems to jump: cut the recording there, or take it out of the set."
        )


def _notes(listing: Listing, survey: Survey, window_ms: int) -> list[str]:
    lengths = survey.last_us - survey.first_us + 1
    incomplete = int(np.count_nonzero(lengths % (window_ms * 1000)))
    notes = [
        f"Windows of {window_ms} ms: {survey.windows.sum()} of {len(lengths)} recordings; "
        f"last, incomplete ones left out: {incomplete}."
    ]
    if short := int(np.count_nonzero(survey.windows == 0)):
        notes.append(f"Recordings shorter than a window, left out: {short}.")
    if listing.split:
        notes.append("The split divided recordings: all windows of one are on one side.")
    return notes
