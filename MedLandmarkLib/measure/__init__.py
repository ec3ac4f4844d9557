"""From landmarks to numbers: the distances, angles and ratios of a scheme, and what may be believed of each."""

from __future__ import annotations

from .geometry import DegenerateGeometry
from .measurement import Measurement, measure

__all__ = ["DegenerateGeometry", "Measurement", "measure"]
