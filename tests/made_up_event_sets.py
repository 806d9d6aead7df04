"""Event sets made up small, in their official layouts; each returns what it has written."""

import dataclasses

import numpy as np
from made_up_events import aedat2, aedat3, make_up, npz, write
from made_up_events import nmnist as five_bytes

from bntt.data.sets.cifar10_dvs import CLASSES

CIFAR10 = list(CLASSES)
GESTURES = 11
LENGTH_US = 5_000
"""Of every gesture, in microseconds; it begins at a whole number of these."""
FORMATS = {".aedat": aedat2, ".npz": npz, ".bin": five_bytes, ".bs2": five_bytes}


def aedat2_transposed(events):
    """The set's own files, whose rows are the pictures' columns."""
    return aedat2(dataclasses.replace(events, x=events.y, y=events.x))


def cifar10dvs(folder, each=3, classes=CIFAR10, ending=".aedat"):
    """Ten class folders of AEDAT 2.0 recordings; the first names as they are numbered."""
    made = {}
    for label, name in enumerate(classes):
        for k in range(each):
            events = make_up(seed=1000 * label + k)
            made[f"{name}/cifar10_{name}_{k}{ending}"] = events
    return _written(folder, made, FORMATS | {".aedat": aedat2_transposed})


def nmnist(folder, train=2, test=1):
    """Training and test recordings of ten digits, 34x34, five bytes an event."""
    made = {}
    for part, each in (("Train", train), ("Test", test)):
        for digit in range(10):
            for k in range(each):
                seed = 100 * digit + k + (50 if part == "Test" else 0)
                events = make_up(width=34, height=34, seed=seed)
                made[f"{part}/{digit}/{seed:05d}.bin"] = events
    return _written(folder, made)


def dvs_gesture(folder, train=("user01_led", "user02_lab"), test=("user24_led",)):
    """AEDAT 3.1 recordings of all eleven gestures, their labels and the lists of trials."""
    made = {}
    for k, trial in enumerate((*train, *test)):
        events = make_up(count=600, seed=k)
        made[f"{trial}.aedat"] = dataclasses.replace(events, t=np.arange(600) * 200)
        starts = [LENGTH_US * (2 * gesture - 1) for gesture in range(1, GESTURES + 1)]
        lines = [f"{g},{at},{at + LENGTH_US}" for g, at in enumerate(starts, 1)]
        header = "class,startTime_usec,endTime_usec"
        text = "\n".join([header, *lines]) + "\n"
        write(folder / f"{trial}_labels.csv", text.encode())
    for name, events in made.items():
        write(folder / name, aedat3(events))
    for part, trials in (("train", train), ("test", test)):
        listed = "".join(f"{trial}.aedat\n" for trial in trials)
        write(folder / f"trials_to_{part}.txt", listed.encode())
    write(folder / "gesture_mapping.csv", b"action,label\nhand_clapping,1\n")
    return made


def eventfolder(
    folder,
    parts=("train", "test"),
    classes=("left", "right"),
    each=2,
    ending=".bs2",
    **made_up,
):
    """A user's own recordings; ``parts=("",)`` for class folders and no parts."""
    side = 34 if ending == ".bin" else 128
    made = {}
    for p, part in enumerate(parts):
        for label, name in enumerate(classes):
            for k in range(each):
                seed = 100 * p + 10 * label + k
                events = make_up(width=side, height=side, seed=seed, **made_up)
                made[f"{part}/{name}/{k}{ending}".lstrip("/")] = events
    return _written(folder, made)


def _written(folder, made, formats=FORMATS):
    for name, events in made.items():
        ending = name[name.rindex(".") :]
        write(folder / name, formats[ending](events))
    return made
