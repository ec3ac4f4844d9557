"""Where DICOM frames lie in space and time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import GREY8, RAMP, item, sequence, write_dicom

from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image import read_image
from MedLandmarkLib.image.dicom_geometry import frame_layout


def test_a_tilted_slice_lies_where_itk_puts_it(tmp_path: Path):
    a, b = np.cos(0.4), np.sin(0.4)
    path = write_dicom(
        tmp_path / "a.dcm",
        RAMP,
        "CT",
        PixelSpacing=[0.5, 0.25],
        ImagePositionPatient=[-100, 50, 25],
        ImageOrientationPatient=[a, b, 0, 0, 0, -1],
    )
    image, expected = read_image(path), sitk.ReadImage(str(path))
    assert image.calibration.spacing_mm == (0.25, 0.5)
    for ijk in ((0, 0, 0), (49, 0, 0), (10.5, 39, 0)):
        x, y, z = expected.TransformContinuousIndexToPhysicalPoint(ijk)
        np.testing.assert_allclose(image.ras_from_ijk(ijk), (-x, -y, z), atol=1e-6)


def test_an_image_without_a_place_lies_as_slicer_lays_pictures(tmp_path: Path):
    image = read_image(write_dicom(tmp_path / "a.dcm", RAMP, "DX", ImagerPixelSpacing=[0.2, 0.1]))
    np.testing.assert_array_equal(image.ijk_to_ras, np.diag((-0.1, -0.2, 1, 1)))


@pytest.mark.parametrize(
    "orientation", [[1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0], [1, 0, 0, "nan", 1, 0], [2, 0, 0, 0, 1, 0]]
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
def test_an_orientation_without_axes_is_refused(tmp_path: Path, orientation):
    path = write_dicom(
        tmp_path / "a.dcm", RAMP, "CT", ImagePositionPatient=[0, 0, 0], ImageOrientationPatient=orientation
    )
    with pytest.raises(ImageError, match="ImageOrientationPatient"):
        read_image(path)


def an_enhanced(path: Path, places: list[float], **of_frame) -> Path:
    """Frame n has the constant value n and lies at z = places[n]."""
    frames = np.stack([np.full((20, 30), n, np.int16) for n in range(len(places))])
    shared = item(
        PixelMeasuresSequence=sequence(item(PixelSpacing=[0.5, 0.5], SliceThickness=3)),
        PlaneOrientationSequence=sequence(item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])),
    )
    groups = []
    for n, z in enumerate(places):
        group = item(PlanePositionSequence=sequence(item(ImagePositionPatient=[-10, -20, z])))
        for keyword, make in of_frame.items():
            setattr(group, keyword, sequence(make(n)))
        groups.append(group)
    return write_dicom(
        path,
        frames,
        "MR",
        SharedFunctionalGroupsSequence=sequence(shared),
        PerFrameFunctionalGroupsSequence=sequence(*groups),
    )


def test_frames_at_different_places_are_sorted_slices(tmp_path: Path):
    image = read_image(an_enhanced(tmp_path / "a.dcm", [6.0, 0.0, 4.0, 2.0]))
    assert (image.frame_count, image.size) == (1, (30, 20, 4))
    np.testing.assert_array_equal(image.pixels[0, :, 0, 0, 0], (1, 3, 2, 0))
    np.testing.assert_allclose(image.ras_from_ijk((0, 0, 3)), (10, 20, 6))
    np.testing.assert_allclose(image.ras_from_ijk((2, 4, 0)), (9, 18, 0))
    assert image.frame_times_s is None


def test_frames_at_one_place_are_a_cine(tmp_path: Path):
    image = read_image(an_enhanced(tmp_path / "a.dcm", [5.0] * 3))
    assert (image.frame_count, image.size) == (3, (30, 20, 1))
    np.testing.assert_allclose(image.ras_from_ijk((0, 0, 1)), (10, 20, 8))


def test_places_visited_again_are_a_volume_over_time(tmp_path: Path):
    image = read_image(an_enhanced(tmp_path / "a.dcm", [0.0, 2.0, 4.0, 0.0, 2.0, 4.0]))
    assert (image.frame_count, image.size) == (2, (30, 20, 3))
    np.testing.assert_array_equal(image.pixels[:, :, 0, 0, 0], [[0, 1, 2], [3, 4, 5]])


def test_places_visited_unequally_are_a_sequence_and_warned_of(tmp_path: Path):
    image = read_image(an_enhanced(tmp_path / "a.dcm", [0.0, 2.0, 2.0]))
    assert (image.frame_count, image.size) == (3, (30, 20, 1))
    assert "unequally" in image.warnings[0]


def test_uneven_gaps_are_warned_of(tmp_path: Path):
    image = read_image(an_enhanced(tmp_path / "a.dcm", [0.0, 2.0, 6.0]))
    assert "2 to 4 mm apart" in image.warnings[0]


def test_each_frame_has_its_own_rescale(tmp_path: Path):
    path = an_enhanced(
        tmp_path / "a.dcm",
        [0.0, 1.0, 2.0],
        PixelValueTransformationSequence=lambda n: item(RescaleSlope=n + 1, RescaleIntercept=10, RescaleType="US"),
    )
    np.testing.assert_allclose(read_image(path).pixels[0, :, 0, 0, 0], (10, 12, 16))


def test_a_thousand_frames_are_laid_out_quickly():
    groups = [item(PlanePositionSequence=sequence(item(ImagePositionPatient=[0, 0, n]))) for n in range(1000)]
    shared = item(PlaneOrientationSequence=sequence(item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])))
    dataset = item(SharedFunctionalGroupsSequence=sequence(shared), PerFrameFunctionalGroupsSequence=sequence(*groups))
    assert frame_layout(dataset, 1000, (1.0, 1.0)).order.shape == (1, 1000)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"FrameTime": 40}, (0, 0.04, 0.08)),
        ({"FrameTimeVector": [0, 40, 20]}, (0, 0.04, 0.06)),
        ({"CineRate": 25}, (0, 0.04, 0.08)),
        ({"RecommendedDisplayFrameRate": 50}, (0, 0.02, 0.04)),
        ({"FrameTime": 0}, None),
        ({}, None),
    ],
)
def test_frame_times_come_from_the_header(tmp_path: Path, attributes, expected):
    image = read_image(write_dicom(tmp_path / "a.dcm", np.stack([GREY8] * 3), "US", **attributes))
    assert image.frame_times_s == (None if expected is None else pytest.approx(expected))
