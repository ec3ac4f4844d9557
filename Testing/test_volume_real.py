"""Real volumes for which there is no model, through every mode: doubtful or missing, never a confident point."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from MedLandmarkLib.detection import Detection, LandmarkDetector
from MedLandmarkLib.detection.projection import detect_in_projection, lateral_cephalogram
from MedLandmarkLib.detection.volume import VolumeDetector
from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image import Image, read_image
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.plane.midsagittal import find_midsagittal
from MedLandmarkLib.plane.placing import anatomical_plane
from MedLandmarkLib.plane.projection import KINDS, project


@pytest.fixture(scope="module")
def a_chest_ct() -> Image:
    """CTChest4.nrrd of the package slicerio."""
    specification = find_spec("slicerio")
    assert specification is not None and specification.origin, "pip install slicerio (extra 'test')"
    return read_image(Path(specification.origin).parent / "data" / "CTChest4.nrrd")


@pytest.fixture
def a_head_mr(the_data_folder: Path) -> Image:
    return read_image(the_data_folder / "brain_afids" / "images" / "MNI152Lin.nii.gz")


def nothing_is_believed(detection: Detection) -> bool:
    statuses = {landmark.status for landmark in detection.frames[0].landmarks}
    return statuses <= {Status.DOUBTFUL, Status.MISSING} and all(
        landmark.reason for landmark in detection.frames[0].landmarks
    )


def test_a_sweep_over_a_chest_believes_nothing(a_chest_ct: Image) -> None:
    detection = VolumeDetector("head-19", device="cpu").detect(a_chest_ct, directions=("axial",))
    assert nothing_is_believed(detection)
    for landmark in detection.frames[0].landmarks:
        if landmark.ras is not None:
            np.testing.assert_allclose(a_chest_ct.ras_from_ijk(landmark.ijk), landmark.ras, atol=1e-6)


def test_a_cephalogram_of_a_chest_is_refused_or_believed_in_nothing(a_chest_ct: Image) -> None:
    try:
        projection, midsagittal = lateral_cephalogram(a_chest_ct)
    except ImageError as error:
        assert "mid-sagittal" in str(error)
        return
    detection = detect_in_projection(LandmarkDetector("head-19", device="cpu"), a_chest_ct, projection, midsagittal)
    assert nothing_is_believed(detection)
    rays = detection.settings["projection"]["rays"]
    for definition in detection.scheme.landmarks:
        ray = rays.get(definition.name)  # none where it misses the chest
        if ray is not None:
            assert ray["depth_sd_mm"] > 0
            assert (ray["how"] == "on the mid-sagittal plane") == definition.midsagittal


@pytest.mark.parametrize("kind", KINDS)
def test_every_projection_of_a_chest_shows_it(a_chest_ct: Image, kind: str) -> None:
    plane = anatomical_plane(a_chest_ct, "coronal", 20, 3.0)
    picture = project(a_chest_ct, plane, 60.0, kind).picture
    assert picture.std() > 20


@pytest.mark.real_data
def test_an_mr_of_a_head_is_no_ct(a_head_mr: Image) -> None:
    with pytest.raises(ImageError, match="Hounsfield"):
        lateral_cephalogram(a_head_mr)
    found = find_midsagittal(a_head_mr)
    assert abs(found.point @ found.normal) < 3.0  # the template's middle plane is x = 0
    assert np.degrees(np.arccos(found.normal[0])) < 2.0


@pytest.mark.real_data
def test_a_sweep_over_an_mr_of_a_head_believes_nothing(a_head_mr: Image) -> None:
    detection = VolumeDetector("head-19", device="cpu").detect(a_head_mr, directions=("sagittal",))
    assert nothing_is_believed(detection)
