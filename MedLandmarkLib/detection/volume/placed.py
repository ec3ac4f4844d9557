"""A point in patient space, as a landmark of the volume that it was found in."""

from __future__ import annotations

import numpy as np

from ...image import Image
from ...landmark import Landmark, Status
from ..confidence import Judgement


def ijk_of(image: Image, point_ras: np.ndarray) -> np.ndarray:
    """(3,) continuous voxel coordinates of a point (3,) in RAS mm."""
    return np.linalg.solve(image.ijk_to_ras[:3, :3], point_ras - image.ijk_to_ras[:3, 3])


def lies_inside(image: Image, point_ras: np.ndarray) -> bool:
    """Whether a point (3,) in RAS mm lies in a voxel of the volume."""
    ijk = ijk_of(image, point_ras)
    return bool(np.all((ijk >= -0.5) & (ijk <= np.array(image.size) - 0.5)))


def placed_landmark(
    name: str, image: Image, point_ras: np.ndarray | None, judgement: Judgement, score: float
) -> Landmark:
    """The landmark of a found point (3,) in RAS mm, or of None, with what was decided of it."""
    if point_ras is None:
        return Landmark(name, status=judgement.status, reason=judgement.reason, score=0.0)
    position = tuple(ijk_of(image, point_ras).tolist())
    return Landmark(
        name,
        ijk=position,
        ras=tuple(point_ras.tolist()),
        status=judgement.status,
        confidence=judgement.confidence,
        score=score,
        reason=judgement.reason,
        predicted_ijk=None if judgement.status is Status.MISSING else position,
    )
