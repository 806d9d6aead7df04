"""Recordings of event cameras: their files, their frames, and the sets made of them."""

from .clock import settle
from .files import read_recording
from .files.aedat2 import read_aedat2
from .files.aedat3 import read_aedat3
from .files.aedat4 import read_aedat4
from .files.five_byte import read_nmnist
from .files.npz import read_npz
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
