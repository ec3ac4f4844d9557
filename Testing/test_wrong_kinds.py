"""Pictures of the wrong kind are doubtful or missing in every landmark; right ones of another make are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from wrong_kinds import COUNT, DATASETS, wrong_kind_pictures

from MedLandmarkLib.dataset import read_dataset
from MedLandmarkLib.detection import LandmarkDetector
from MedLandmarkLib.image import read_image
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.models.catalogue import catalogue
from MedLandmarkLib.training.variation import varied_picture

# the schemes whose confidence knows what its pictures look like
CHECKED = [scheme for scheme, entry in (catalogue()["lite"].confidence or {}).items() if "picture" in entry]


def test_the_embedded_model_knows_its_pictures() -> None:
    assert CHECKED


MOST_BELIEVED = 3  # of 60 pictures of the wrong kind: 5 in 100


def is_flagged(detector: LandmarkDetector, picture: np.ndarray) -> bool:
    (peaks,) = detector.peaks([picture])
    judgements = detector.confidence.judge(peaks, [True] * len(peaks.score))
    return all(item.status in (Status.DOUBTFUL, Status.MISSING) for item in judgements)


def is_taken_for_another_kind(detector: LandmarkDetector, picture: np.ndarray) -> bool:
    (peaks,) = detector.peaks([picture])
    return all(item.confidence == 0.0 for item in detector.confidence.judge(peaks, [True] * len(peaks.score)))


@pytest.mark.real_data
@pytest.mark.parametrize("scheme_id", CHECKED)
def test_sixty_pictures_of_the_wrong_kind_are_flagged(scheme_id: str, the_data_folder: Path) -> None:
    detector = LandmarkDetector(scheme_id, "lite")
    pictures = wrong_kind_pictures(scheme_id, the_data_folder)
    believed = [name for name, picture in pictures if not is_flagged(detector, picture)]
    assert len(pictures) == COUNT
    assert len(believed) <= MOST_BELIEVED, believed


@pytest.mark.real_data
@pytest.mark.parametrize("scheme_id", CHECKED)
def test_right_pictures_of_another_make_are_not_flagged(scheme_id: str, the_data_folder: Path) -> None:
    """Cropped, tilted, of another contrast and pixel size, with a ruler or letters in them."""
    detector = LandmarkDetector(scheme_id, "lite")
    cases = read_dataset(the_data_folder / DATASETS[scheme_id]).split("train")[:34]
    varied = [
        varied_picture(read_image(case.image_path).display_rgb(), np.random.default_rng([7, number]))[0]
        for number, case in enumerate(cases)
    ]
    assert sum(is_taken_for_another_kind(detector, picture) for picture in varied) <= 2  # of 34
