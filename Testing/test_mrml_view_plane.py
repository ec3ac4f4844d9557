"""What a slice view shows of a volume: a stored slice, or a cut through it."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install slicer-core)")
import slicer
from scenes import SceneHost, a_rotation, add_transform, add_volume

from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.mrml import Provenance, create_result, image_from_volume, restore_result
from MedLandmarkLib.mrml.calibration import ijk_to_ras
from MedLandmarkLib.mrml.view_plane import cut_in_view, stored_slice_in_view
from MedLandmarkLib.plane import plane_setting
from MedLandmarkLib.scheme import load_scheme

HEAD = load_scheme("head-19")


@pytest.fixture
def a_view():
    """A slice node whose field of view is wider than any volume here, and its scene."""
    host = SceneHost()
    node = slicer.vtkMRMLSliceNode()
    node.SetLayoutName("Red")
    node = host.scene.AddNode(node)
    node.SetDimensions(500, 500, 1)
    node.SetFieldOfView(500.0, 500.0, 1.0)
    yield host.scene, node
    host.scene.Clear(True)


def look(node, matrix: np.ndarray) -> None:
    node.GetSliceToRAS().DeepCopy(np.asarray(matrix, float).ravel().tolist())
    node.UpdateMatrices()


def along(volume, k: float) -> np.ndarray:
    """(4, 4): the view of a stored slice, as Slicer's "rotate to volume plane" makes it."""
    matrix = ijk_to_ras(volume)
    view = np.eye(4)
    view[:3, :3] = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    view[:3, 3] = matrix[:3, 3] + matrix[:3, :3] @ [10, 12, k]
    return view


def test_a_view_along_the_stored_slices_shows_one_of_them(a_view) -> None:
    scene, node = a_view
    volume = add_volume(scene, (9, 60, 50), (0.5, 0.7, 3.0))
    volume.SetAndObserveTransformNodeID(add_transform(scene, a_rotation()).GetID())
    for k, expected in ((0, 0), (4.3, 4), (8, 8), (-3, -3)):
        look(node, along(volume, k))
        assert stored_slice_in_view(node, volume) == expected
    tilted = along(volume, 4)
    c, s = np.cos(0.05), np.sin(0.05)
    tilted[:3, :3] = tilted[:3, :3] @ [[1, 0, 0], [0, c, -s], [0, s, c]]
    look(node, tilted)
    assert stored_slice_in_view(node, volume) is None


@pytest.mark.parametrize("is_left_handed", [False, True])
def test_a_cut_lies_in_the_view_and_covers_the_volume(a_view, is_left_handed: bool) -> None:
    scene, node = a_view
    volume = add_volume(scene, (9, 60, 50), (0.5, 0.7, 3.0))
    if is_left_handed:
        volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, -1)
    view = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # x to A, y to S, seen from R
    view[:3, 3] = (ijk_to_ras(volume) @ [20, 30, 4, 1])[:3]
    look(node, view)
    plane = cut_in_view(node, volume)
    assert plane.size_wh == (84, 54)  # 60 rows of 0.7 mm and 9 slices of 3 mm, in pixels of 0.5 mm
    first, last = plane.ras_from_plane([[0, 0], [83, 53]])
    assert first[2] > last[2]  # rows run downwards on the screen
    assert first[1] < last[1]
    np.testing.assert_allclose([first[0], last[0]], view[0, 3], atol=1e-9)
    corners = np.linalg.inv(ijk_to_ras(volume)) @ np.array([[*first, 1], [*last, 1]]).T
    np.testing.assert_allclose(sorted(corners[1]), (-0.5 + 0.25 / 0.7, 59.5 - 0.25 / 0.7), atol=1e-9)
    np.testing.assert_allclose(sorted(corners[2]), (-0.5 + 0.25 / 3, 8.5 - 0.25 / 3), atol=1e-9)


def test_a_cut_ends_where_the_field_of_view_ends(a_view) -> None:
    scene, node = a_view
    volume = add_volume(scene, (40, 60, 50))
    turned = a_rotation()
    turned[:3, 3] = (ijk_to_ras(volume) @ [25, 30, 20, 1])[:3]
    look(node, turned)
    node.SetFieldOfView(20.0, 10.0, 1.0)
    plane = cut_in_view(node, volume)
    assert plane.size_wh == (20, 10)
    np.testing.assert_allclose(plane.ras_from_plane([9.5, 4.5]), turned[:3, 3], atol=1e-9)
    node.SetXYZOrigin(4.0, -3.0, 0.0)  # panned
    middle = cut_in_view(node, volume).ras_from_plane([9.5, 4.5])
    np.testing.assert_allclose(middle, turned[:3, 3] + turned[:3, :2] @ [4.0, -3.0], atol=1e-9)
    np.testing.assert_allclose(middle, node.GetXYToRAS().MultiplyPoint([250.0, 250.0, 0.0, 1.0])[:3], atol=1e-9)
    node.SetXYZOrigin(400.0, 0.0, 0.0)
    assert cut_in_view(node, volume) is None


def test_a_view_beside_the_volume_shows_nothing_of_it(a_view) -> None:
    scene, node = a_view
    volume = add_volume(scene, (40, 60, 50))
    matrix = a_rotation()
    matrix[:3, 3] = 900.0, 0.0, 0.0
    look(node, matrix)
    assert cut_in_view(node, volume) is None


def test_points_found_in_a_view_say_in_which_plane(a_view) -> None:
    scene, node = a_view
    volume = add_volume(scene, (40, 60, 50), (0.5, 0.5, 2.0))
    turned = a_rotation()
    turned[:3, 3] = (ijk_to_ras(volume) @ [25, 30, 20, 1])[:3]
    look(node, turned)
    plane = cut_in_view(node, volume)
    ijk = plane_setting(image_from_volume(volume), plane)
    middle = (plane.size_wh[0] / 2, plane.size_wh[1] / 2)
    place = (np.linalg.inv(ijk_to_ras(volume)) @ [*plane.ras_from_plane(middle), 1.0])[:3]
    landmarks = LandmarkSet(
        HEAD.id, tuple(Landmark(name, ijk=tuple(place), status=Status.PREDICTED) for name in HEAD.names)
    )
    result = create_result(scene, volume, landmarks, HEAD, provenance=Provenance("lite", settings={"plane": ijk}))
    tilt = np.degrees(np.arccos(abs(turned[2, 2])))
    for number in (0, 5):
        text = result.GetNthControlPointDescription(number)
        assert re.search(
            rf"Found on a cut through slices \d+ to \d+, tilted by {tilt:.0f}° against them\. predicted\.", text
        )
    result.SetNthControlPointPosition(0, 1.0, 2.0, 3.0)
    restore_result(scene, result)
    assert "cut" not in result.GetNthControlPointDescription(0)  # placed by hand, wherever that is
    assert "cut" in result.GetNthControlPointDescription(1)

    of_slice = create_result(scene, volume, landmarks, HEAD, provenance=Provenance("lite", settings={"slice": 7}))
    assert "Found on slice 7. predicted." in of_slice.GetNthControlPointDescription(3)


def test_a_volume_without_extent_is_refused_in_plain_words(a_view) -> None:
    scene, node = a_view
    volume = add_volume(scene, (9, 60, 50))
    volume.SetSpacing(1.0, 1.0, 0.0)
    for function in (stored_slice_in_view, cut_in_view):
        with pytest.raises(ImageError, match="'ceph' cannot be cut: its axes do not span space"):
            function(node, volume)
