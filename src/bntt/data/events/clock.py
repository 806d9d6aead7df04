"""What is wrong with a recording's clock, and what the order of its events tells instead.

Events stand in a file in the order in which they were recorded, so their times ascend.
Where they do not, one of four things has happened, and each is told from the others by the
events around it, whatever the unit and the length of the recording:

* a few events were recorded a little late: they are put in order of time;
* the time of an event, or of a few in a row, is wrong altogether (a stray zero): it lies
  far from those before *and* after it, and theirs is taken;
* the clock was set back: what follows is all earlier than what came before. Sorting would
  put the two halves into one another, so time goes on from where it was;
* anything else cannot be told, and is refused.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from .recording import Events

AROUND = 64
"""Number of events on either side with whose times a stray one is compared."""
FAR = 4
"""A time is stray if it lies further outside the middle half of the times around it than so
many times the length of that half."""
CLEAN = 16
"""A clock was set back where so many events before are all later than as many after."""
MOST_SET_BACK = 8
"""The most times that a clock can have been set back; where there are more, the events are
in an order of another kind."""
FURTHEST_US = 1 << 58
"""The furthest time from 0 that is taken: nine thousand years. Sums of a few such times are
still numbers of 64 bits."""
TOO_LONG = 100
"""A silence is the clock's fault if it is so many times as long as all the rest."""
FEW = 4
"""Number of events below which no silence is taken to be long."""
ALONE = 10
"""A silence beside a few events shows them to be astray if it is so many times as long as
the next longest."""
BLOCK = 1 << 14
"""Number of falls looked at together, which bounds the memory for the events around
them."""


class Faults(NamedTuple):
    """What was wrong with the clock of one recording."""

    strays: int = 0
    """Events whose times lay far from those around them, and were replaced by these."""
    set_back: int = 0
    """How often the clock was set back."""
    late: int = 0
    """Events recorded after a later one; they are in order of time now."""
    silence_us: int = 0
    """The longest time without events, if the clock may have leapt: if it is longer than
    all the rest, or parts an event from all others that stand close together; else 0."""
    beside: int = 0
    """Number of events on that side of the silence which has fewer."""
    at_once: int = 0
    """The number of all events, if they are several and have one time; else 0."""


def settle(path: Path, events: Events) -> tuple[Events, Faults]:
    """Return the events in order of time, and what was wrong with their clock.

    Events of one time stay in the order recorded. Of a clock that was set back the later
    part goes on at the last time before: how long that took is not recorded.

    Args:
        path: The file, for messages.
        events: As recorded.

    Raises:
        ValueError: If the times are in an order that no camera leaves, or further apart
            than any clock counts.
    """
    first, last = _ends(events.t)
    if first < -FURTHEST_US or last > FURTHEST_US:
        raise ValueError(
            f"{path}: times run from {first} to {last} microseconds, further than any "
            f"camera counts. Damaged, or not in microseconds?"
        )
    faults = Faults()
    if events.backward:
        events, faults = _mended(path, events)
    if len(events) > 1 and first == last:
        return events, faults._replace(at_once=len(events))
    return events, _with_silence(events.t, faults)


def refuse_uneven(path: Path, events: Events, faults: Faults) -> None:
    """Refuse to divide a whole recording by time if its clock leaps.

    Raises:
        ValueError: If a silence is all but the whole recording, or only stray events lie
            on one side of it.
    """
    if not faults.silence_us:
        return
    first, last = _ends(events.t)
    rest = last - first - faults.silence_us
    few = _is_few(faults.beside, len(events)) and faults.silence_us > rest
    if few or faults.silence_us > TOO_LONG * rest:
        raise ValueError(
            f"{path}: times run from {first} to {last} microseconds, but "
            f"{faults.silence_us} of these pass without an event, and {faults.beside} of "
            f"{len(events)} events are alone on one side. Its clock seems to leap: frames "
            f"of equal time would have nearly all events in one. Cut the recording there, "
            f"divide it by `window_ms`, or take frames='count'."
        )


def refuse_set_back(path: Path, faults: Faults) -> None:
    """Refuse a recording of which parts are wanted by the times that its camera wrote.

    Raises:
        ValueError: If its clock was set back, so that a time names more than one moment.
    """
    if faults.set_back:
        raise ValueError(
            f"{path}: its clock was set back, so that the times of its labels may mean "
            f"either part. Get the file again, or cut the recording there."
        )


def said(found: Mapping[str, Faults]) -> list[str]:
    """Return sentences on the clocks of recordings, by name; none if nothing is wrong."""
    notes = []
    for field, text in _SENTENCES.items():
        wrong = {name: n for name, f in found.items() if (n := getattr(f, field))}
        if wrong:
            first = next(iter(wrong))
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            notes.append(text.format(sum=sum(wrong.values()), of=f"{first}{more}"))
    return notes


_SENTENCES = {
    "strays": "Times far from those recorded around them, which were taken instead: {sum} "
    "events of {of}.",
    "set_back": "Clocks set back, where time was taken to go on in the order recorded: "
    "{sum}, in {of}.",
    "late": "Events recorded after later ones and put in order of time: {sum}, in {of}.",
    "silence_us": "Silences so long that the clock may have leapt; frames of equal time "
    "are empty there: {sum} microseconds in {of}.",
    "at_once": "Events that all have one time, as where the clock stood still; frames of "
    "equal time have them in the first: {sum}, in {of}.",
}


def _ends(t: Int64[np.ndarray, " E"]) -> tuple[int, int]:
    return (int(t.min()), int(t.max())) if len(t) else (0, 0)


def _mended(path: Path, events: Events) -> tuple[Events, Faults]:
    t = events.t
    if len(_falls(t)) <= len(t) // 4:  # else they are in no order, and nothing is astray
        t = _without_strays(path, t)
    strays = int(np.count_nonzero(t != events.t))
    starts = _set_back(path, t)
    _check_grouped(path, events.polarity, starts)
    events = replace(events, t=_going_on(path, t, starts))
    late = events.backward
    faults = Faults(strays, len(starts), late)
    return events.sorted() if late else events, faults


def _with_silence(t: Int64[np.ndarray, " E"], faults: Faults) -> Faults:
    if len(t) < FEW:
        return faults
    steps = np.diff(t)
    k = int(np.argmax(steps))
    beside = min(k + 1, len(t) - k - 1)
    silence, next_longest = (int(n) for n in np.partition(steps, (-1, -2))[[-1, -2]])
    longer = 2 * silence > int(t[-1]) - int(t[0])
    alone = _is_few(beside, len(t)) and silence > ALONE * next_longest
    if not longer and not alone:
        return faults
    return faults._replace(silence_us=silence, beside=beside)


def _is_few(beside: int, count: int) -> bool:
    return beside <= max(1, count // 100)


def _falls(t: Int64[np.ndarray, " E"]) -> Int64[np.ndarray, " F"]:
    """Indices of the events after which time goes back."""
    return np.flatnonzero(t[1:] < t[:-1])


def _without_strays(path: Path, t: Int64[np.ndarray, " E"]) -> Int64[np.ndarray, " E"]:
    """Give events with times far from all around them the time of a neighbour.

    Those of several in a row come off one by one, the outermost first.
    """
    settled = t.copy()
    at = _falls(settled)
    for _ in range(AROUND // 2):
        above, below = (at[far] for far in _far(settled, at))
        if not len(above) and not len(below):
            return settled
        settled[above] = settled[above + 1]
        settled[below + 1] = settled[below]
        changed = np.count_nonzero(settled != t)
        if changed > 1 + len(t) // 10:
            raise ValueError(
                _no_order(path, f"the times of {changed} of {len(t)} do not fit")
            )
        near = np.concatenate([above - 1, above, below, below + 1])
        at = np.intersect1d(near, _falls(settled))
    return settled


def _far(
    t: Int64[np.ndarray, " E"], at: Int64[np.ndarray, " F"]
) -> tuple[Bool[np.ndarray, " F"], Bool[np.ndarray, " F"]]:
    """Return at which falls the upper event is far above all around, the lower below."""
    above, below = np.zeros(len(at), bool), np.zeros(len(at), bool)
    number = min(2 * AROUND, len(t))
    quarter = number // 4
    for first in range(0, len(at), BLOCK):
        part = slice(first, first + BLOCK)
        start = np.clip(at[part] + 1 - AROUND, 0, len(t) - number)
        around = t[start[:, None] + np.arange(number)]
        middle = np.partition(around, (quarter, number - 1 - quarter), axis=1)
        low, high = middle[:, quarter], middle[:, number - 1 - quarter]
        reach = FAR * np.maximum(high - low, 1)
        above[part] = t[at[part]] - high > reach
        below[part] = low - t[at[part] + 1] > reach
    return above, below


def _set_back(path: Path, t: Int64[np.ndarray, " E"]) -> list[int]:
    """Return the indices of the first events after the clock was set back."""
    width = min(max(len(t) // 8, 2), CLEAN)
    at = _falls(t)
    at = at[(at + 1 >= width) & (at + 1 <= len(t) - width)]
    starts = []
    for first in range(0, len(at), BLOCK):
        part = at[first : first + BLOCK, None]
        before, after = t[part - np.arange(width)], t[part + 1 + np.arange(width)]
        clean = before.min(axis=1) > after.max(axis=1)
        starts += (part[clean, 0] + 1).tolist()
    if len(starts) > MOST_SET_BACK:
        raise ValueError(_no_order(path, f"time goes back {len(starts)} times"))
    return starts


def _going_on(
    path: Path, t: Int64[np.ndarray, " E"], starts: list[int]
) -> Int64[np.ndarray, " E"]:
    """Return times that after each of `starts` go on from the latest so far."""
    if not starts:
        return t
    parts = np.split(t, starts)
    for before, part in zip(parts[:-1], parts[1:], strict=True):
        _check_no_return(path, before, part)
    going = [parts[0]]
    for part in parts[1:]:
        going.append(part - part.min() + going[-1].max())
    return np.concatenate(going)


def _check_no_return(path: Path, before: np.ndarray, part: np.ndarray) -> None:
    """Refuse a clock that leaps to where it is set back from, or ahead to there again."""
    high, low = int(before[-1]), int(part[0])
    if 2 * max(_leap_over(before, low), _leap_over(part, high)) > high - low:
        raise ValueError(_no_order(path, "time leaps back and forth"))


def _leap_over(t: Int64[np.ndarray, " E"], level: int) -> int:
    """Return the longest step ahead that reaches or passes a time, in microseconds."""
    over = np.flatnonzero((t[:-1] < level) & (t[1:] >= level))
    return int((t[over + 1] - t[over]).max(initial=0))


def _check_grouped(path: Path, polarity: np.ndarray, starts: list[int]) -> None:
    parts = np.split(polarity, starts)
    if starts and all((part == part[0]).all() for part in parts):
        raise ValueError(_no_order(path, "events are grouped by polarity"))


def _no_order(path: Path, why: str) -> str:
    return (
        f"{path}: events must stand in the order in which they were recorded, but {why}. "
        f"If their times are right and only their order is lost, sort them by time and "
        f"save them again; else cut the recording where its clock was changed."
    )
