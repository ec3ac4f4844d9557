"""Training pictures as the product detects them, with the errors that a reader would find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..dataset import Case
from ..detection.picture_peaks import PicturePeaks
from ..detection.pipeline import LandmarkDetector
from ..evaluation.landmarks import pixel_scale, reference_points
from ..evaluation.points import point_results
from ..image import read_image
from ..landmark import Landmark, LandmarkSet, Status
from ..scheme import Scheme
from .variation import moved, varied_picture

Progress = Callable[[float, str], None]
ReadCase = tuple[Case, str]  # an image, and the reader whose points count in it


@dataclass(frozen=True)
class Observation:
    """What was found in one picture. errors: (K,), in the unit of the scheme's tolerance, NaN where nobody read.

    weight: how much it counts beside others; the varied copies of a picture share one picture's weight.
    """

    subject: str
    peaks: PicturePeaks
    errors: np.ndarray
    weight: float = 1.0


def observe(
    detector: LandmarkDetector,
    cases: Sequence[ReadCase],
    *,
    copies: int,
    seed: int,
    progress: Progress | None = None,
) -> tuple[list[Observation], list[Observation]]:
    """(as they are, varied): each case once, and `copies` varied copies of it (`variation.varied_picture`)."""
    plain, varied = [], []
    for number, (case, rater) in enumerate(cases):
        if progress:
            progress(number / len(cases), f"Detecting in {case.id} for {detector.scheme.id}")
        picture = read_image(case.image_path).display_rgb()
        (peaks,) = detector.peaks([picture])
        plain.append(Observation(case.subject, peaks, errors_of(peaks.picture_xy, case, rater, detector.scheme)))
        for copy in range(copies):
            changed, matrix = varied_picture(picture, np.random.default_rng([seed, number, copy]))
            (peaks,) = detector.peaks([changed])
            picture_xy = moved(peaks.picture_xy, _inverse(matrix))
            errors = errors_of(picture_xy, case, rater, detector.scheme)
            varied.append(Observation(case.subject, peaks, errors, 1.0 / copies))
    return plain, varied


def seen_in(detector: LandmarkDetector, cases: Sequence[Case], progress: Progress | None = None) -> np.ndarray:
    """(N, C) float32: the network's pooled features of each case's picture, first frame; (0, 0) where it has none."""
    looking = LandmarkDetector(detector.scheme, detector.model, device=str(detector.detector.device), views=False)
    found = []
    for number, case in enumerate(cases):
        if progress:
            progress(number / len(cases), f"Looking at {case.id}, which is not of {detector.scheme.id}")
        found.append(looking.peaks([read_image(case.image_path).display_rgb()])[0].features)
    return np.stack(found) if found and found[0] is not None else np.zeros((0, 0), np.float32)


def errors_of(picture_xy: np.ndarray, case: Case, rater: str, scheme: Scheme) -> np.ndarray:
    """(K,) errors of points (K, 2) in the case's picture, as evaluation counts them; NaN where nobody read.

    All NaN where the tolerance is in mm and the case has no spacing.
    """
    if scheme.sdr_unit == "mm" and not case.spacing_mm:
        return np.full(len(scheme), np.nan)
    found = LandmarkSet(
        scheme.id,
        tuple(
            Landmark(name, ijk=(float(x), float(y), 0.0), status=Status.PREDICTED)
            for name, (x, y) in zip(scheme.names, picture_xy, strict=True)
        ),
    )
    scale = pixel_scale(case, scheme.sdr_unit, scheme)[:2]
    results, _ = point_results(case, reference_points(case, rater, scheme.names), found, scheme, scale)
    errors = {result.landmark: result.error for result in results}
    return np.array([np.nan if errors.get(name) is None else errors[name] for name in scheme.names], float)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])
