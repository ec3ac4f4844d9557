"""Landmarks through time: what a model saw in each frame of a clip, what a person corrected, and the smooth course.

Needs no network, so that a correction is followed at once where the user makes it.
"""

from __future__ import annotations

from .document import track_from_fields, track_to_fields
from .smoothing import SmoothingSettings, smooth
from .track import Track

__all__ = ["SmoothingSettings", "Track", "smooth", "track_from_fields", "track_to_fields"]
