"""Figures: numbers in, picture out. Knows no torch."""

from .figures import accuracy_over_time

__all__ = ["accuracy_over_time"]
