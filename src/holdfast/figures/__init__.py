"""Figures: what a platform did in the last hour, day and week, in rows that never grow more."""

from holdfast.figures.figure_history import FigureHistory, Resolution
from holdfast.figures.figure_slot import FigureSlot

__all__ = ["FigureHistory", "FigureSlot", "Resolution"]
