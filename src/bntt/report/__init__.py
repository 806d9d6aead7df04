"""Figures: numbers in, picture out. Knows no torch."""

from .contact import event_sheet, image_sheet
from .figures import accuracy_over_time
from .target import check_target

__all__ = ["accuracy_over_time", "check_target", "event_sheet", "image_sheet"]
