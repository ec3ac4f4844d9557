"""Which of several volumes to annotate: the one that the others resemble most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...detection.atlas.template import pose_template
from ...detection.volume.pose import find_pose
from ...image import Image
from ...plane.placing import box_ras


def most_central(images: Sequence[Image]) -> tuple[int, np.ndarray]:
    """The number of the volume whose anatomy, laid on the others as it is, correlates best with them; and the means.

    Returns (number, (n,) mean correlations). No landmark is needed, nor read. The time grows with the square of the
    number of volumes, some seconds for each pair. Raises ImageError for a black volume.
    """
    templates = [pose_template(image, *box_ras(image)) for image in images]
    correlations = np.full((len(images), len(images)), np.nan)
    for one, template in enumerate(templates):
        for other, image in enumerate(images):
            if one < other:
                correlations[one, other] = correlations[other, one] = find_pose(image, template).correlation
    means = np.nanmean(correlations, axis=1) if len(images) > 1 else np.ones(len(images))
    return int(np.argmax(means)), means
