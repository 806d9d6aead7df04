"""Figures: numbers in, picture out. Knows no torch."""

from .contact import event_sheet, image_sheet
from .figures import accuracy_over_time

__all__ = ["accuracy_over_time", "event_sheet", "image_sheet"]
