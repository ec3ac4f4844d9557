"""Giving a volume in the scene its millimetres, with all landmarks on it staying on their pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ImageError
from ..image import Calibration
from ..image.limits import check_spacing
from .calibration import HeaderLookup, ijk_to_ras, keep_calibration, stated_calibration
from .markups import DEFINED
from .nodes import one_modification
from .results import keep_on_pixels, results_of
from .sequences import calibrate_frames
from .tracks import keep_track_on_pixels
from .volume import image_from_volume

_SAME_SLICE = 0.5  # how far apart, in slices, the ends of a ruler may lie


def calibrate(scene: Any, volume: Any, calibration: Calibration) -> None:
    """Show a volume with a calibration's spacing, keep its source with the node, and take its landmarks along.

    The centre of the first pixel stays where it is. Raises ImageError (see `keep_calibration`).
    """
    on_it = results_of(scene, volume)
    for result in on_it:
        keep_on_pixels(
            result
        )  # first takes note of points moved while nobody watched: they were placed on this spacing
    with one_modification(volume):  # a browser that hears of it first would show the frame as it was
        keep_calibration(volume, calibration)
        calibrate_frames(scene, volume, calibration)
    for result in on_it:
        keep_on_pixels(result)
        keep_track_on_pixels(scene, result)


def calibrate_by_header(scene: Any, volume: Any, header_of: HeaderLookup) -> Calibration:
    """Apply what the DICOM header, or the file's format, states; returns it. Kind "none" leaves the volume as it is.

    A calibration that was given by hand before stays. Raises ImageError for a header with an impossible spacing.
    """
    stated = stated_calibration(volume, header_of)
    if stated.kind != "none":
        calibrate(scene, volume, stated)
    return stated


def calibrate_by_spacing(scene: Any, volume: Any, x_mm: float, y_mm: float) -> Calibration:
    """Apply a pixel spacing that the user knows: between columns, and between rows. Raises ImageError."""
    spacing = (check_spacing(x_mm, "the given spacing"), check_spacing(y_mm, "the given spacing"))
    calibration = Calibration("calibrated", "user: pixel spacing given by hand", spacing)
    calibrate(scene, volume, calibration)
    return calibration


def calibrate_by_ruler(
    scene: Any, volume: Any, line: Any, length_mm: float, header_of: HeaderLookup | None = None
) -> tuple[Calibration, tuple[str, ...]]:
    """Calibrate by a line node drawn over something of known length; returns the calibration and warnings.

    The ruler stays on its pixels too, so that afterwards its own length is the true one. The ratio of row and column
    spacing is kept where one is stated. Raises ImageError where the line has not two ends on one slice of the image,
    or its length makes no sense.
    """
    if line is None or line.GetNumberOfControlPoints() != 2:
        raise ImageError("The ruler needs a line with two ends; draw one over something whose length you know.")
    if any(line.GetNthControlPointPositionStatus(number) != DEFINED for number in (0, 1)):
        raise ImageError(f"An end of the line '{line.GetName()}' is not placed; place both ends first.")
    image = image_from_volume(volume, header_of=header_of)
    to_ijk = np.linalg.inv(ijk_to_ras(volume))
    ends_ijk = [(to_ijk @ [*line.GetNthControlPointPositionWorld(number), 1.0])[:3] for number in (0, 1)]
    if image.size[2] > 1 and not abs(ends_ijk[0][2] - ends_ijk[1][2]) <= _SAME_SLICE:
        raise ImageError(f"The ends of the line '{line.GetName()}' lie on different slices; draw it within one.")
    calibrated = image.calibrated_by_ruler(*ends_ijk[0][:2], *ends_ijk[1][:2], length_mm)
    calibrate(scene, volume, calibrated.calibration)
    matrix = ijk_to_ras(volume)
    for number, ijk in enumerate(ends_ijk):
        k = ijk[2] if image.size[2] > 1 else 0.0
        line.SetNthControlPointPositionWorld(number, *(matrix @ [*ijk[:2], k, 1.0])[:3].tolist())
    return calibrated.calibration, calibrated.warnings[len(image.warnings) :]
