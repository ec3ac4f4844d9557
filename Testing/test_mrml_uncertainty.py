"""The uncertainty of landmarks in a scene: kept with the result, turned with its image, drawn as ellipsoids."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import slicer
from scenes import SceneHost, a_rotation, add_transform, add_volume, drag
from vtk.util.numpy_support import vtk_to_numpy

from MedLandmarkLib.errors import MedLandmarkError
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.mrml import Provenance, Review, create_result
from MedLandmarkLib.mrml.calibration import ijk_to_ras
from MedLandmarkLib.mrml.ellipsoids import RADIUS_SD, ellipsoids
from MedLandmarkLib.mrml.uncertainty import kept_uncertainty, worst_sd_mm
from MedLandmarkLib.scheme import load_scheme

SCHEME = load_scheme("a4c-4")
COVARIANCE = np.array([[1.0, 0.3, 0.0], [0.3, 2.0, -0.5], [0.0, -0.5, 4.0]])


@pytest.fixture
def a_host() -> SceneHost:
    return SceneHost()


@pytest.fixture
def a_volume(a_host: SceneHost):
    return add_volume(a_host.scene, (20, 40, 30), (0.7, 0.7, 2.0), name="ct")


def found_in(volume) -> LandmarkSet:
    matrix = ijk_to_ras(volume)
    places = [(10.0, 12.0, 5.0), (14.5, 20.0, 9.0), (8.0, 30.0, 11.0), (20.0, 8.0, 15.0)]
    return LandmarkSet(
        SCHEME.id,
        tuple(
            Landmark(
                name, ijk=ijk, ras=tuple((matrix @ [*ijk, 1.0])[:3].tolist()), status=Status.DOUBTFUL,
                reason="nobody looked", predicted_ijk=ijk,
            )
            for name, ijk in zip(SCHEME.names, places, strict=True)
        ),
    )  # fmt: skip


def searched(scene, volume, names=SCHEME.names):
    settings = {"volume": {"covariance_ras_mm2": {name: COVARIANCE.tolist() for name in names}}}
    return create_result(scene, volume, found_in(volume), SCHEME, provenance=Provenance("m", "1", "0", settings))


def covariances(review: Review) -> dict[str, np.ndarray]:
    return review.ellipsoids.covariances(review.landmarks)


def test_the_uncertainty_of_a_search_is_kept_and_said_in_the_description(a_host, a_volume) -> None:
    node = searched(a_host.scene, a_volume, SCHEME.names[:3])
    review = Review(a_host.scene, node)
    assert list(covariances(review)) == list(SCHEME.names[:3])
    for covariance in covariances(review).values():
        np.testing.assert_allclose(covariance, COVARIANCE, atol=1e-9)
    largest = np.sqrt(np.linalg.eigvalsh(COVARIANCE)[-1])
    assert worst_sd_mm(COVARIANCE) == pytest.approx(largest)
    assert f"Standard deviation up to {largest:.2f} mm. doubtful: nobody looked." in (
        node.GetNthControlPointDescription(0)
    )
    assert "Standard deviation" not in node.GetNthControlPointDescription(3)


def test_it_turns_with_the_image_and_lasts_when_the_transform_is_hardened(a_host, a_volume) -> None:
    review = Review(a_host.scene, searched(a_host.scene, a_volume))
    turn = a_rotation(40)
    a_volume.SetAndObserveTransformNodeID(add_transform(a_host.scene, turn).GetID())
    expected = turn[:3, :3] @ COVARIANCE @ turn[:3, :3].T
    np.testing.assert_allclose(covariances(review)[SCHEME.names[0]], expected, atol=1e-9)
    a_volume.HardenTransform()
    np.testing.assert_allclose(covariances(review)[SCHEME.names[0]], expected, atol=1e-9)


def test_a_point_that_was_moved_or_is_missing_has_none_until_it_is_reverted(a_host, a_volume) -> None:
    node = searched(a_host.scene, a_volume)
    review = Review(a_host.scene, node)
    first, second = SCHEME.names[:2]
    drag(node, 0, (1.0, 2.0, 3.0))
    review.mark_missing([second])
    assert not {first, second} & set(covariances(review))
    assert "Standard deviation" not in node.GetNthControlPointDescription(0)
    review.revert([first, second])
    assert {first, second} <= set(covariances(review))
    review.accept([first])
    assert first in covariances(review)


def test_along_the_rays_of_a_projection_the_depth_counts_and_across_them_a_pixel(a_host, a_volume) -> None:
    to_ijk = np.linalg.inv(ijk_to_ras(a_volume)) @ np.array(
        [[0, 0, -0.5, 0], [0.5, 0, 0, 0], [0, -0.5, 0, 0], [0, 0, 0, 1.0]]
    )
    ray = {"direction_ras": [1.0, 0.0, 0.0], "depth_sd_mm": 6.0, "how": "at the maximum"}
    projection = {"kind": "maximum", "plane_to_ijk": to_ijk.tolist(), "rays": {SCHEME.names[0]: ray}}
    provenance = Provenance("m", "1", "0", {"projection": projection})
    node = create_result(a_host.scene, a_volume, found_in(a_volume), SCHEME, provenance=provenance)
    found = covariances(Review(a_host.scene, node))
    assert list(found) == [SCHEME.names[0]]
    np.testing.assert_allclose(found[SCHEME.names[0]], np.diag([36.0, 0.25, 0.25]), atol=1e-9)
    assert "Found in a maximum projection of the volume." in node.GetNthControlPointDescription(0)


def test_a_projection_is_measured_as_it_shows_its_points_and_not_in_space(a_host, a_volume) -> None:
    """As the detection itself measures, and as norms of radiographs want it."""
    scheme, volume = load_scheme("fetal-head-4"), a_volume
    found = found_in(volume)
    found = LandmarkSet(
        scheme.id, tuple(replace(old, name=name) for old, name in zip(found, scheme.names, strict=True))
    )
    to_ras = np.array([[0, 0, -0.5, 0], [0.5, 0, 0, 0], [0, -0.5, 0, 0], [0, 0, 0, 1.0]])  # seen along R
    to_ijk = np.linalg.inv(ijk_to_ras(volume)) @ to_ras
    projection = {"kind": "maximum", "plane_to_ijk": to_ijk.tolist(), "rays": {}}
    provenance = Provenance("m", "1", "0", {"projection": projection})
    node = create_result(a_host.scene, volume, found, scheme, provenance=provenance)
    review = Review(a_host.scene, node)

    def across(first: int, second: int) -> float:
        points = [np.array(found.landmarks[number].ras)[1:] for number in (first, second)]  # without the depth
        return float(np.linalg.norm(points[0] - points[1]))

    lengths = {one.name: one for one in scheme.measurements if one.kind == "distance"}
    assert lengths
    for measurement in review.measurements:
        if measurement.name in lengths:
            ends = [scheme.index(point[0]) for point in lengths[measurement.name].points]
            assert measurement.value == pytest.approx(across(*ends))
            assert measurement.unit == "mm"
    turned = [one.value for one in review.measurements]
    volume.SetAndObserveTransformNodeID(add_transform(a_host.scene, a_rotation(40)).GetID())
    np.testing.assert_allclose([one.value for one in review.measurements], turned)


def test_a_saved_and_loaded_scene_has_it_and_so_has_the_markups_file_alone(a_host, a_volume, tmp_path: Path) -> None:
    node = searched(a_host.scene, a_volume)
    review = Review(a_host.scene, node)
    review.show_uncertainty(True)
    storage = a_host.scene.AddNode(slicer.vtkMRMLMarkupsJsonStorageNode())
    storage.SetFileName(str(tmp_path / "points.mrk.json"))
    assert storage.WriteData(node)
    alone = a_host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "alone")
    assert storage.ReadData(alone)
    np.testing.assert_allclose(kept_uncertainty(alone)[SCHEME.names[1]], kept_uncertainty(node)[SCHEME.names[1]])
    review.close()
    a_host.scene.RemoveNode(alone)
    a_host.scene.RemoveNode(storage)
    scene = a_host.saved_and_loaded(tmp_path / "case.mrb")
    again = Review(scene, scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode"))
    assert again.ellipsoids.is_shown  # the very node that was saved
    np.testing.assert_allclose(covariances(again)[SCHEME.names[0]], COVARIANCE, atol=1e-6)


def test_ellipsoids_hold_95_in_100_of_normal_points() -> None:
    centre = np.array([5.0, -3.0, 8.0])
    surface = vtk_to_numpy(ellipsoids(centre[None], COVARIANCE[None]).GetPoints().GetData())
    offset = surface - centre
    distance = np.sqrt(np.einsum("ni,ij,nj->n", offset, np.linalg.inv(COVARIANCE), offset))
    np.testing.assert_allclose(distance, RADIUS_SD, rtol=1e-4)
    drawn = np.random.default_rng(0).multivariate_normal(np.zeros(3), COVARIANCE, 40000)
    own = np.sqrt(np.einsum("ni,ij,nj->n", drawn, np.linalg.inv(COVARIANCE), drawn))
    assert (own < RADIUS_SD).mean() == pytest.approx(0.95, abs=0.005)


def test_ellipsoids_are_made_on_request_follow_their_point_and_hide(a_host, a_volume) -> None:
    node = searched(a_host.scene, a_volume)
    review = Review(a_host.scene, node)
    assert review.ellipsoids.node is None
    review.show_uncertainty(True)
    model = review.ellipsoids.node
    per_point = model.GetPolyData().GetNumberOfPoints() // 4
    surface = vtk_to_numpy(model.GetPolyData().GetPoints().GetData())
    np.testing.assert_allclose(
        surface.reshape(4, per_point, 3).mean(axis=1)[2], node.GetNthControlPointPositionWorld(2), atol=0.2
    )
    drag(node, 2, (1.0, 2.0, 3.0))
    assert model.GetPolyData().GetNumberOfPoints() == 3 * per_point
    review.show_uncertainty(False)
    assert not model.GetDisplayNode().GetVisibility()
    assert model.GetDisplayNode().GetVisibility2D()


def test_a_result_without_uncertainty_makes_no_node(a_host, a_volume) -> None:
    review = Review(a_host.scene, create_result(a_host.scene, a_volume, found_in(a_volume), SCHEME))
    assert not review.ellipsoids.has_any
    review.show_uncertainty(True)
    assert review.ellipsoids.node is None


@pytest.mark.parametrize("covariance", [[[1.0]], "large", None], ids=["small", "text", "none"])
def test_damaged_settings_are_said_to_be_damaged_and_leave_no_result(a_host, a_volume, covariance) -> None:
    settings = {"volume": {"covariance_ras_mm2": {SCHEME.names[0]: covariance}}}
    before = a_host.scene.GetNumberOfNodes()
    with pytest.raises(MedLandmarkError, match="uncertainty among the settings of a detection is damaged"):
        create_result(
            a_host.scene, a_volume, found_in(a_volume), SCHEME, provenance=Provenance("m", "1", "0", settings)
        )
    assert a_host.scene.GetNumberOfNodes() == before
