"""Calibrating a volume in the scene: spacing, source, and everything on the image staying on its pixels."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install slicer-core)")
from profiles import FACE, HEAD
from scenes import SceneHost, a_rotation, add_transform, add_volume, detected

from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image import Calibration
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.measure import measure
from MedLandmarkLib.mrml import (
    Review,
    calibrate,
    calibrate_by_ruler,
    calibrate_by_spacing,
    create_result,
    image_from_volume,
    read_landmarks,
    volume_calibration,
)
from MedLandmarkLib.mrml.calibration import ijk_to_ras

POINTS = np.array(FACE) + [30, 10]


@pytest.fixture
def a_picture():
    """A picture without millimetres, with landmarks on it, of which Sella was moved by hand."""
    host = SceneHost()
    volume = add_volume(host.scene, (1, 200, 150))
    node = create_result(host.scene, volume, detected(HEAD, POINTS), HEAD)
    node.SetNthControlPointPositionWorld(0, -33.0, -44.0, 0.0)
    yield SimpleNamespace(host=host, scene=host.scene, volume=volume, node=node)
    host.scene.Clear(True)


def a_line(picture, *ends_ijk):
    line = picture.scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "ruler")
    for ijk in ends_ijk:
        line.AddControlPointWorld((ijk_to_ras(picture.volume) @ [*ijk, 1.0])[:3].tolist(), "")
    return line


def test_a_ruler_gives_millimetres_to_the_image_and_to_its_landmarks(a_picture) -> None:
    before = read_landmarks(a_picture.node)
    line = a_line(a_picture, (10, 20, 0), (90, 80, 0))  # 100 px
    calibration, warnings = calibrate_by_ruler(a_picture.scene, a_picture.volume, line, 25.0)
    assert calibration == Calibration("calibrated", "ruler: 100.0 px = 25 mm", (0.25, 0.25))
    assert warnings == ()
    assert volume_calibration(a_picture.volume) == image_from_volume(a_picture.volume).calibration == calibration
    assert line.GetLineLengthWorld() == pytest.approx(25.0)  # the ruler stayed on its pixels
    after = read_landmarks(a_picture.node)
    assert (before.unit, after.unit) == ("px", "mm")
    assert [(item.ijk, item.status) for item in after] == [(item.ijk, item.status) for item in before]
    assert after["Sella"].status is Status.EDITED
    np.testing.assert_allclose(a_picture.node.GetNthControlPointPositionWorld(0), [-33 / 4, -44 / 4, 0], atol=1e-9)
    values = {item.name: (item.value, item.unit) for item in measure(after, HEAD)}
    pixels = {item.name: item.value for item in measure(before, HEAD)}
    assert values["S-Go"] == (pytest.approx(pixels["S-Go"] / 4), "mm")


def test_the_first_pixel_stays_and_so_do_the_slices(a_picture) -> None:
    a_picture.volume.SetOrigin(7, 8, 9)
    calibrate_by_spacing(a_picture.scene, a_picture.volume, 0.3, 0.2)
    assert a_picture.volume.GetOrigin() == (7, 8, 9)
    assert a_picture.volume.GetSpacing() == (0.3, 0.2, 1.0)


def test_a_ruler_keeps_the_shape_of_pixels_that_are_not_square(a_picture) -> None:
    calibrate_by_spacing(a_picture.scene, a_picture.volume, 0.4, 0.2)
    line = a_line(a_picture, (10, 20, 0), (10, 120, 0))
    calibrate_by_ruler(a_picture.scene, a_picture.volume, line, 10.0)
    np.testing.assert_allclose(a_picture.volume.GetSpacing()[:2], (0.2, 0.1))


def test_a_ruler_works_under_a_transform_that_moves(a_picture) -> None:
    a_picture.volume.SetAndObserveTransformNodeID(add_transform(a_picture.scene, a_rotation()).GetID())
    line = a_line(a_picture, (10, 20, 0), (90, 80, 0))
    calibrate_by_ruler(a_picture.scene, a_picture.volume, line, 25.0)
    assert line.GetLineLengthWorld() == pytest.approx(25.0)
    assert volume_calibration(a_picture.volume).spacing_mm == pytest.approx((0.25, 0.25))


def test_saying_that_one_millimetre_is_right_is_a_calibration(a_picture) -> None:
    before = read_landmarks(a_picture.node)
    calibrate_by_spacing(a_picture.scene, a_picture.volume, 1.0, 1.0)
    after = read_landmarks(a_picture.node)
    assert (before.unit, after.unit) == ("px", "mm")
    assert after["Nasion"].ras == pytest.approx(tuple(a_picture.node.GetNthControlPointPositionWorld(1)))


def test_taking_a_calibration_back_takes_the_millimetres_away(a_picture) -> None:
    calibrate_by_spacing(a_picture.scene, a_picture.volume, 0.5, 0.5)
    calibrate(a_picture.scene, a_picture.volume, Calibration("none", "the ruler was wrong"))
    assert volume_calibration(a_picture.volume) == Calibration("none", "the ruler was wrong")
    assert read_landmarks(a_picture.node).unit == "px"


def test_a_calibration_is_saved_with_the_scene(a_picture, tmp_path) -> None:
    line = a_line(a_picture, (10, 20, 0), (90, 80, 0))
    calibration, _ = calibrate_by_ruler(a_picture.scene, a_picture.volume, line, 25.0)
    landmarks = read_landmarks(a_picture.node)
    scene = a_picture.host.saved_and_loaded(tmp_path / "scene.mrb")
    volume = scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    assert volume_calibration(volume) == calibration
    assert read_landmarks(scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode")) == landmarks


def test_the_calibration_of_a_detection_stays_with_the_volume() -> None:
    host = SceneHost()
    volume = add_volume(host.scene, spacing=(0.1, 0.1, 1))
    calibration = Calibration("detector-plane", "ImagerPixelSpacing", (0.1, 0.1))
    landmarks = detected(HEAD, POINTS, ijk_to_ras(volume))
    create_result(host.scene, volume, landmarks, HEAD, calibration=calibration)
    assert volume_calibration(volume) == calibration


def test_measurements_on_screen_follow_a_calibration(a_picture) -> None:
    review = Review(a_picture.scene, a_picture.node)
    before = {item.name: item for item in review.measurements}
    calibrate_by_spacing(a_picture.scene, a_picture.volume, 0.5, 0.5)
    after = {item.name: item for item in review.measurements}
    assert (before["N-Me"].unit, after["N-Me"].unit) == ("px", "mm")
    assert after["N-Me"].value == pytest.approx(before["N-Me"].value / 2)
    assert after["SNA"].value == pytest.approx(before["SNA"].value)


def test_undo_works_across_a_calibration(a_picture) -> None:
    review = Review(a_picture.scene, a_picture.node)
    before = review.landmarks
    review.revert(["Sella"])
    calibrate_by_spacing(a_picture.scene, a_picture.volume, 0.5, 0.5)
    assert review.stack.undo()
    assert [item.ijk for item in review.landmarks] == [item.ijk for item in before]
    assert review.landmarks.unit == "mm"
    assert review.landmarks["Sella"].ras == pytest.approx((-16.5, -22.0, 0.0))
    review.revert(["Sella"])
    assert review.landmarks["Sella"].ijk == review.prediction["Sella"].ijk
    assert review.landmarks["Sella"].ras == pytest.approx((-15.0, -5.0, 0.0))


@pytest.mark.parametrize(
    ("ends", "length", "message"),
    [
        ([], 10, "two ends"),
        ([(10, 20, 0)], 10, "two ends"),
        ([(10, 20, 0), (10.5, 20, 0)], 10, "as long as you can"),
        ([(10, 20, 0), (1000, 20, 0)], 10, "leaves the picture"),
        ([(10, 20, 0), (90, 20, 0)], 0, "0 mm long"),
        ([(10, 20, 0), (90, 20, 0)], float("nan"), "nan mm long"),
    ],
)
def test_a_ruler_that_makes_no_sense_changes_nothing(a_picture, ends: list, length: float, message: str) -> None:
    line = a_line(a_picture, *ends)
    with pytest.raises(ImageError, match=message):
        calibrate_by_ruler(a_picture.scene, a_picture.volume, line, length)
    assert a_picture.volume.GetSpacing() == (1, 1, 1)
    assert volume_calibration(a_picture.volume).kind == "none"


def test_an_unplaced_end_is_told(a_picture) -> None:
    line = a_line(a_picture, (10, 20, 0), (90, 20, 0))
    line.SetNthControlPointPositionMissing(1)
    with pytest.raises(ImageError, match="not placed"):
        calibrate_by_ruler(a_picture.scene, a_picture.volume, line, 10)


def test_no_spacing_can_be_given_below_a_transform_that_stretches(a_picture) -> None:
    transform = add_transform(a_picture.scene, np.diag([2.0, 1.0, 1.0, 1.0]))
    a_picture.volume.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(ImageError, match="stretches space"):
        calibrate_by_spacing(a_picture.scene, a_picture.volume, 0.5, 0.5)
    assert a_picture.volume.GetSpacing() == (1, 1, 1)


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan"), float("inf"), 5000.0])
def test_an_impossible_spacing_is_refused(a_picture, spacing: float) -> None:
    with pytest.raises(ImageError, match="the given spacing"):
        calibrate_by_spacing(a_picture.scene, a_picture.volume, 0.5, spacing)


def test_a_ruler_across_slices_is_refused() -> None:
    host = SceneHost()
    volume = add_volume(host.scene, (5, 60, 60), (1, 1, 3))
    line = a_line(SimpleNamespace(scene=host.scene, volume=volume), (5, 5, 1), (50, 5, 3))
    with pytest.raises(ImageError, match="different slices"):
        calibrate_by_ruler(host.scene, volume, line, 10)
