"""The picture that landmarks are drawn on, where that is a cut through a volume and no stored slice of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..image import Calibration, Image
from ..landmark import Landmark
from ..plane import PLANE_SETTING, picture_of


def as_drawn(image: Image, settings: Mapping[str, Any], result: Any) -> tuple[Image, Any]:
    """Image and frame result to draw: of a detection in a cut, the cut as an image and the landmarks in its pixels.

    A landmark that was moved off the cut is dropped onto it. Everything else is given back as it is.
    """
    if settings.get(PLANE_SETTING) is None:
        return image, result
    cut = picture_of(image, settings, min(result.landmarks.frame, image.frame_count - 1), 0)

    def on_cut(landmark: Landmark) -> Landmark:
        if landmark.ijk is None:
            return landmark
        x, y = cut.plane_from_ijk(np.array(landmark.ijk)).tolist()
        return replace(landmark, ijk=(x, y, 0.0))

    stated = image.calibration
    if stated.spacing_mm is not None:
        x, y = (float(side) for side in np.linalg.norm(cut.plane.plane_to_ras[:3, :2], axis=0))
        stated = Calibration(stated.kind, stated.source, (x, y))
    drawn = Image(cut.picture[None, None], cut.plane.plane_to_ras, stated, path=image.path)
    landmarks = replace(result.landmarks, landmarks=tuple(map(on_cut, result.landmarks)), frame=0)
    return drawn, replace(result, landmarks=landmarks)
