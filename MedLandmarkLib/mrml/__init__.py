"""The scene layer: landmarks and volumes of the library as nodes of a 3D Slicer scene, and back.

Every function is given the scene, or a node that is in one; none looks for a scene by itself, so that all of it works
in Slicer, in a Slicer without windows, and in several scenes at a time.

    image = image_from_volume(volume)
    node = create_result(scene, volume, landmarks, scheme)
    review = Review(scene, node, stack)          # follows edits; review.landmarks, review.measurements
    review.accept_all_confident()
    stack.undo()
"""

from __future__ import annotations

from .actions import next_to_review
from .calibration import volume_calibration
from .clip_review import ClipReview, open_review
from .commands import CommandStack, LandmarksChanged, ResultCreated, clear_on_close
from .edits import EditObserver
from .lines import Drawings
from .markups import volume_of, write_landmarks
from .measurements import MeasurementTable
from .origin import Provenance, prediction_of, provenance_of, scheme_of
from .reading import read_landmarks
from .recalibrate import calibrate, calibrate_by_header, calibrate_by_ruler, calibrate_by_spacing
from .results import (
    adopt_markups,
    create_result,
    find_result,
    is_result,
    keep_on_pixels,
    remove_result,
    restore_result,
    results,
    results_of,
)
from .review import Review
from .sequences import add_clip, clip_from_volume, frames_of
from .tracks import create_clip_result, is_clip_result, track_of
from .volume import check_volume, image_from_volume

__all__ = [
    "ClipReview",
    "CommandStack",
    "Drawings",
    "EditObserver",
    "LandmarksChanged",
    "MeasurementTable",
    "Provenance",
    "ResultCreated",
    "Review",
    "add_clip",
    "adopt_markups",
    "calibrate",
    "calibrate_by_header",
    "calibrate_by_ruler",
    "calibrate_by_spacing",
    "check_volume",
    "clear_on_close",
    "clip_from_volume",
    "create_clip_result",
    "create_result",
    "find_result",
    "frames_of",
    "image_from_volume",
    "is_clip_result",
    "is_result",
    "keep_on_pixels",
    "next_to_review",
    "open_review",
    "prediction_of",
    "provenance_of",
    "read_landmarks",
    "remove_result",
    "restore_result",
    "results",
    "results_of",
    "scheme_of",
    "track_of",
    "volume_calibration",
    "volume_of",
    "write_landmarks",
]
