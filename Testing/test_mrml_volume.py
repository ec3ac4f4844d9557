"""Volume nodes of a scene as images: pixels, geometry, grey values, and how far their millimetres go."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install slicer-core)")
import slicer
from scenes import SceneHost, a_rotation, add_bent_transform, add_transform, add_volume

from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image.display import Window
from MedLandmarkLib.mrml import calibrate_by_header, image_from_volume, volume_calibration
from MedLandmarkLib.mrml.calibration import CALIBRATION_KEY, INSTANCES_KEY, ijk_to_ras


@pytest.fixture
def a_scene():
    host = SceneHost()
    yield host.scene
    host.scene.Clear(True)


def stored_as(scene, volume, file_name: str) -> None:
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(file_name)
    volume.SetAndObserveStorageNodeID(storage.GetID())


def a_header(**attributes) -> Dataset:
    header = Dataset()
    for keyword, value in attributes.items():
        setattr(header, keyword, value)
    return header


def test_a_radiograph_has_its_pixels_and_its_place(a_scene) -> None:
    volume = add_volume(a_scene, (1, 40, 30), (0.5, 0.25, 1))
    image = image_from_volume(volume)
    assert image.size == (30, 40, 1)
    assert image.pixels.shape == (1, 1, 40, 30, 1)
    np.testing.assert_array_equal(image.pixels[0, 0, :, :, 0], slicer.util.arrayFromVolume(volume)[0])
    np.testing.assert_array_equal(image.display_rgb()[..., 0], image.pixels[0, 0, :, :, 0])  # 8 bits as they are
    np.testing.assert_allclose(image.ijk_to_ras @ [2, 4, 0, 1], [-1, -1, 0, 1])


def test_the_pixels_are_the_nodes_own_and_cannot_be_written(a_scene) -> None:
    volume = add_volume(a_scene)
    image = image_from_volume(volume)
    slicer.util.arrayFromVolume(volume)[0, 3, 4] = 77
    assert image.pixels[0, 0, 3, 4, 0] == 77
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0, 3, 4, 0] = 1


@pytest.mark.parametrize("channels", [3, 4])
def test_a_colour_picture_keeps_its_colours_and_loses_its_alpha(a_scene, channels: int) -> None:
    volume = add_volume(a_scene, (1, 40, 30, channels))
    image = image_from_volume(volume)
    assert image.pixels.shape == (1, 1, 40, 30, 3)
    np.testing.assert_array_equal(image.display_rgb(), slicer.util.arrayFromVolume(volume)[0, ..., :3])


def test_the_slices_of_a_volume_are_in_order(a_scene) -> None:
    volume = add_volume(a_scene, (5, 40, 30), (0.7, 0.7, 3), np.int16, "ct")
    image = image_from_volume(volume)
    assert image.size == (30, 40, 5)
    assert image.pixels[0, 4, 2, 1, 0] == slicer.util.arrayFromVolume(volume)[4, 2, 1]


def test_window_and_level_are_those_shown_where_asked_for(a_scene) -> None:
    volume = add_volume(a_scene, (1, 40, 30), dtype=np.int16)
    display = volume.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(100, 60)
    shown = image_from_volume(volume, grey="displayed")
    assert shown.display.rule == Window(60, 100, "LINEAR_EXACT")
    automatic = image_from_volume(volume).display.rule
    assert automatic != shown.display.rule
    with pytest.raises(ValueError, match="'nice'"):
        image_from_volume(volume, grey="nice")


@pytest.mark.parametrize("grey", ["automatic", "displayed"])
def test_a_volume_shown_in_inverted_grey_is_inverted(a_scene, grey: str) -> None:
    volume = add_volume(a_scene)
    plain = image_from_volume(volume, grey=grey).display_rgb()
    table = a_scene.GetFirstNodeByName("InvertedGrey")
    volume.GetDisplayNode().SetAndObserveColorNodeID(table.GetID())
    np.testing.assert_array_equal(image_from_volume(volume, grey=grey).display_rgb(), 255 - plain)


def test_parent_transforms_count(a_scene) -> None:
    volume = add_volume(a_scene, spacing=(0.5, 0.5, 1))
    inner, outer = add_transform(a_scene, a_rotation(20)), add_transform(a_scene, a_rotation(-50, (0, 90, 3)))
    inner.SetAndObserveTransformNodeID(outer.GetID())
    volume.SetAndObserveTransformNodeID(inner.GetID())
    own = np.diag([-0.5, -0.5, 1, 1])
    expected = a_rotation(-50, (0, 90, 3)) @ a_rotation(20) @ own
    np.testing.assert_allclose(image_from_volume(volume).ijk_to_ras, expected, atol=1e-12)


def test_numbers_that_are_none_are_replaced_and_said(a_scene) -> None:
    volume = add_volume(a_scene, dtype=np.float32)
    values = slicer.util.arrayFromVolume(volume)
    values[0, :2, 0] = np.nan, np.inf
    image = image_from_volume(volume)
    assert np.isfinite(image.pixels).all()
    assert image.warnings == ("2 pixels are not finite numbers; they are read as 0.",)
    assert np.isnan(values[0, 0, 0])  # the node itself is left alone


def empty(scene):
    return scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")


def label_map(scene):
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    slicer.util.updateVolumeFromArray(node, np.ones((1, 40, 30), np.uint8))
    return node


def under_a_bent_transform(scene):
    volume = add_volume(scene)
    volume.SetAndObserveTransformNodeID(add_bent_transform(scene).GetID())
    return volume


def without_spacing(scene, *spacing: float):
    volume = add_volume(scene, (20, 40, 30))
    volume.SetSpacing(*spacing)
    return volume


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda scene: None, "No image is chosen"),
        (lambda scene: without_spacing(scene, 0.0, 1.0, 1.0), "must be above 0"),
        (lambda scene: without_spacing(scene, 1.0, 1.0, 0.0), "do not span space"),
        (empty, "'empty' holds no image data"),
        (label_map, "'labels' is a label map"),
        (lambda scene: scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "F"), "not a scalar or vector volume"),
        (lambda scene: add_volume(scene, (1, 40, 30, 2)), "2 values per pixel"),
        (lambda scene: add_volume(scene, (1, 40, 30, 30)), "loaded as a sequence"),
        (lambda scene: add_volume(scene, (1, 40, 30, 3), dtype=np.float32), "vectors of float32"),
        (lambda scene: add_volume(scene, (1, 4, 30)), "at least 16 px"),
        (under_a_bent_transform, "'bent' above 'ceph' is not linear"),
    ],
)
def test_what_is_no_picture_is_refused(a_scene, make, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        image_from_volume(make(a_scene))


@pytest.mark.parametrize(
    ("file_name", "shape", "spacing", "kind", "source"),
    [
        ("ceph.png", (1, 40, 30), (1, 1, 1), "none", "PNG"),
        ("ceph.jpg", (1, 40, 30), (0.26, 0.26, 1), "none", "JPG"),
        ("ceph.nrrd", (1, 40, 30), (1, 1, 1), "none", "assumes"),  # a picture that Slicer saved
        ("ceph.nrrd", (1, 40, 30), (0.2, 0.2, 1), "calibrated", "header of ceph.nrrd"),
        ("ct.nii.gz", (5, 40, 30), (1, 1, 1), "calibrated", "header of ct.nii.gz"),
        ("", (5, 40, 30), (0.7, 0.7, 2), "calibrated", "volume in the scene"),
        ("", (1, 40, 30), (0.2, 0.2, 1), "none", "nothing says how"),
    ],
)
def test_the_spacing_of_a_node_is_believed_only_where_a_file_states_one(
    a_scene, file_name: str, shape: tuple, spacing: tuple, kind: str, source: str
) -> None:
    volume = add_volume(a_scene, shape, spacing)
    if file_name:
        stored_as(a_scene, volume, f"/somewhere/{file_name}")
    calibration = image_from_volume(volume).calibration
    assert calibration.kind == kind
    assert source in calibration.source
    assert calibration.spacing_mm == (spacing[:2] if kind == "calibrated" else None)


def test_a_dicom_radiograph_without_its_header_has_no_millimetres(a_scene) -> None:
    volume = add_volume(a_scene, spacing=(0.15, 0.15, 1))
    volume.SetAttribute(INSTANCES_KEY, "1.2.3")
    assert image_from_volume(volume).calibration.kind == "none"
    assert image_from_volume(volume, header_of=lambda uid: None).calibration.kind == "none"


def test_the_header_tells_detector_from_patient(a_scene) -> None:
    volume = add_volume(a_scene, spacing=(0.15, 0.15, 1))  # as ITK shows it: by ImagerPixelSpacing
    volume.SetAttribute(INSTANCES_KEY, "1.2.3 1.2.4")
    asked = []

    def header_of(uid: str) -> Dataset:
        asked.append(uid)
        return a_header(Modality="DX", ImagerPixelSpacing=[0.15, 0.15])

    image = image_from_volume(volume, header_of=header_of)
    assert image.calibration.kind == "detector-plane"
    assert image.modality == "DX"
    assert set(asked) == {"1.2.3"}


def test_a_calibrated_header_is_not_taken_for_what_the_scene_shows(a_scene) -> None:
    volume = add_volume(a_scene, spacing=(0.15, 0.15, 1))
    volume.SetAttribute(INSTANCES_KEY, "1.2.3")

    def header_of(uid: str) -> Dataset:
        return a_header(Modality="DX", ImagerPixelSpacing=[0.15, 0.15], PixelSpacing=[0.125, 0.13])

    before = image_from_volume(volume, header_of=header_of).calibration
    assert before.kind == "none"
    assert "0.13 x 0.125 mm per pixel, but the scene shows the volume with 0.15 x 0.15 mm" in before.source
    applied = calibrate_by_header(a_scene, volume, header_of)
    assert volume.GetSpacing() == (0.13, 0.125, 1)  # DICOM states rows first
    assert image_from_volume(volume, header_of=header_of).calibration == applied
    assert image_from_volume(volume).calibration == applied  # kept with the node: no header is needed any more


def test_a_header_that_states_nothing_changes_nothing(a_scene) -> None:
    volume = add_volume(a_scene)
    volume.SetAttribute(INSTANCES_KEY, "1.2.3")
    stated = calibrate_by_header(a_scene, volume, lambda uid: a_header(Modality="DX"))
    assert stated.kind == "none"
    assert volume.GetAttribute(CALIBRATION_KEY) is None


def test_a_calibration_ends_when_the_spacing_is_changed_elsewhere(a_scene) -> None:
    volume = add_volume(a_scene)
    volume.SetAttribute(INSTANCES_KEY, "1.2.3")
    calibrate_by_header(a_scene, volume, lambda uid: a_header(Modality="CT", PixelSpacing=[0.5, 0.5]))
    assert volume_calibration(volume).kind == "calibrated"
    volume.SetSpacing(1, 1, 1)
    assert volume_calibration(volume).kind == "none"


def test_a_transform_that_stretches_ends_a_calibration(a_scene) -> None:
    volume = add_volume(a_scene, spacing=(0.5, 0.5, 1))
    stored_as(a_scene, volume, "/somewhere/a.nrrd")
    assert image_from_volume(volume).calibration.kind == "calibrated"
    volume.SetAttribute(CALIBRATION_KEY, '{"kind":"calibrated","source":"ruler","spacing_mm":[0.5,0.5]}')
    volume.SetAndObserveTransformNodeID(add_transform(a_scene, np.diag([2.0, 2.0, 2.0, 1.0])).GetID())
    assert image_from_volume(volume).calibration.kind == "none"
    np.testing.assert_allclose(np.linalg.norm(ijk_to_ras(volume)[:3, 0]), 1.0)


@pytest.mark.parametrize(
    "text", ["not json", '{"kind":"sure"}', '{"kind":"calibrated","source":"","spacing_mm":[0,1]}']
)
def test_a_damaged_calibration_is_said_to_be_one(a_scene, text: str) -> None:
    volume = add_volume(a_scene)
    volume.SetAttribute(CALIBRATION_KEY, text)
    with pytest.raises(Exception, match="ceph") as caught:
        image_from_volume(volume)
    assert type(caught.value).__module__ == "MedLandmarkLib.errors"
