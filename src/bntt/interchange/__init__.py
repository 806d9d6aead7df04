"""Checkpoints of other programs, read as networks of this package."""

from .authors import load_reference

__all__ = ["load_reference"]
