"""Recordings of event cameras: their files, their frames, and the sets made of them."""

from .aedat2 import read_aedat2
from .aedat3 import read_aedat3
from .aedat4 import read_aedat4
from .arrays import read_npz
from .clock import settle
from .nmnist_file import read_nmnist
from .reading import read_recording
from .recording import Events

__all__ = [
    "Events",
    "read_aedat2",
    "read_aedat3",
    "read_aedat4",
    "read_nmnist",
    "read_npz",
    "read_recording",
    "settle",
]
