"""Measurements in the scene: the table, Slicer's own measurements, lines and angles."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install slicer-core)")
import slicer
import vtk
from profiles import FACE, HEAD
from scenes import SceneHost, add_volume, detected, drag, drawn_lines, errors_in_callbacks, is_drawn

from MedLandmarkLib.landmark import Status
from MedLandmarkLib.measure import measure
from MedLandmarkLib.mrml import Review, calibrate_by_spacing, create_result
from MedLandmarkLib.mrml.calibration import ijk_to_ras
from MedLandmarkLib.mrml.drawn import ANGLE, ARC_RADIUS, LINE, PERPENDICULAR, drawings_of
from MedLandmarkLib.mrml.lines import CERTAIN, DOUBTFUL
from MedLandmarkLib.mrml.measurements import COLUMNS
from MedLandmarkLib.scheme import list_schemes

POINTS = np.array(FACE) + [30, 10]


@pytest.fixture(params=["mm", "px"])
def a_desk(request):
    host = SceneHost()
    volume = add_volume(host.scene)
    if request.param == "mm":
        calibrate_by_spacing(host.scene, volume, 0.5, 0.5)
    landmarks = detected(HEAD, POINTS, ijk_to_ras(volume) if request.param == "mm" else None)
    node = create_result(host.scene, volume, landmarks, HEAD)
    review = Review(host.scene, node)
    with errors_in_callbacks() as errors:
        yield SimpleNamespace(scene=host.scene, volume=volume, node=node, review=review, unit=request.param)
        review.close()
    assert errors == []
    host.scene.Clear(True)


def rows(desk) -> dict[str, dict[str, object]]:
    table = desk.review.table.node.GetTable()
    content = [[table.GetColumn(c).GetValue(r) for c in range(len(COLUMNS))] for r in range(table.GetNumberOfRows())]
    return {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in content}


def world(desk, i: float, j: float) -> np.ndarray:
    return (ijk_to_ras(desk.volume) @ [i, j, 0, 1])[:3]


def point(desk, number: int) -> np.ndarray:
    return np.array(desk.node.GetNthControlPointPositionWorld(number))


def test_the_table_holds_every_measurement(a_desk) -> None:
    expected = {item.name: item for item in measure(a_desk.review.landmarks, HEAD)}
    shown = rows(a_desk)
    assert shown.keys() == expected.keys()
    for name, item in expected.items():
        row = shown[name]
        assert row["Value"] == item.value or (item.value is None and math.isnan(row["Value"]))
        assert (row["Unit"], row["Status"], row["Remark"]) == (item.unit, item.status.value, item.reason)
    assert shown["SNA"]["Normal range"] == "79.4 to 83.2"
    assert shown["SNA"]["Verdict"] == "prognathic maxilla"
    assert shown["N-Me"]["Unit"] == a_desk.unit
    assert shown["N-S-Ar"]["Status"] == "missing"
    assert shown["PP-FH"]["Status"] == "doubtful"
    assert a_desk.review.table.node.GetLocked()


def test_the_table_follows_in_place(a_desk) -> None:
    table, columns = a_desk.review.table.node, [a_desk.review.table.node.GetTable().GetColumn(c) for c in range(7)]
    events = []
    table.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: events.append(1))
    drag(a_desk.node, 4, tuple((ijk_to_ras(a_desk.volume) @ [95, 70, 0, 1])[:3]))
    assert rows(a_desk)["SNA"]["Value"] < 90
    assert rows(a_desk)["SNA"]["Status"] == "predicted"  # the least certain of its landmarks
    assert events
    assert [table.GetTable().GetColumn(c) for c in range(7)] == columns
    events.clear()
    a_desk.review.table.update(a_desk.review.measurements)
    assert events == []


def test_a_table_that_the_user_deleted_stays_deleted(a_desk) -> None:
    a_desk.scene.RemoveNode(a_desk.review.table.node)
    a_desk.review.mark_missing(["Sella"])
    assert a_desk.scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0


def test_slicers_own_measurements_tell_the_same(a_desk) -> None:
    def own(name: str):
        return a_desk.node.GetMeasurement(name)

    assert own("SNA").GetDisplayValue() == pytest.approx(90)
    assert own("SNA").GetValueWithUnitsAsPrintableString() == "90.0 deg"
    assert own("FHI").GetValueWithUnitsAsPrintableString() == "0.65 ratio"
    assert own("N-Me").GetUnits() == a_desk.unit
    assert own("PP-FH").GetValueWithUnitsAsPrintableString().endswith("deg (doubtful)")
    assert "the heatmap is flat" in own("PP-FH").GetDescription()
    assert not own("N-S-Ar").GetValueDefined()
    a_desk.review.mark_missing(["Nasion"])
    assert not own("SNA").GetValueDefined()
    assert own("SNA").GetDescription() == "missing; Nasion is missing"
    a_desk.review.stack.undo()
    assert own("SNA").GetDisplayValue() == pytest.approx(90)


@pytest.mark.parametrize("scheme", list_schemes(), ids=lambda scheme: scheme.id)
def test_every_length_and_angle_of_every_scheme_can_be_drawn(scheme) -> None:
    drawings = drawings_of(scheme)
    drawn = {name for item in drawings for name in item.measurements}
    assert drawn == {item.name for item in scheme.measurements if not item.terms}
    lines = [frozenset(item.points) for item in drawings if item.kind == LINE]
    assert len(lines) == len(set(lines))  # S-N and N-S are one line
    for item in drawings:
        assert len(item.points) == (2 if item.kind == LINE else 3)


def test_the_foot_of_a_perpendicular_lies_on_its_line() -> None:
    (convexity,) = [item for item in drawings_of(HEAD) if item.kind == PERPENDICULAR]
    places = {name: np.array([*point, 0.0]) for name, point in zip(HEAD.names, FACE, strict=True)}
    point, foot = convexity.places(places)
    start, end = places["Nasion"], places["Pogonion"]
    np.testing.assert_allclose(point, places["Subspinale (A point)"])
    assert (foot - point) @ (end - start) == pytest.approx(0)
    assert np.linalg.norm(np.cross(foot - start, end - start)) == pytest.approx(0)
    places["Pogonion"] = places["Nasion"]
    assert convexity.places(places) is None


def test_drawings_are_made_when_first_shown_and_follow_the_points(a_desk) -> None:
    assert a_desk.review.drawings.nodes == {}
    a_desk.review.show_drawings(True)
    assert set(a_desk.review.drawings.nodes) == {CERTAIN, DOUBTFUL}
    place, nasion, before = world(a_desk, 35, 15), a_desk.node.GetNthControlPointPositionWorld(1), point(a_desk, 0)
    assert is_drawn(drawn_lines(a_desk.review), before, nasion)
    drag(a_desk.node, 0, place)
    assert is_drawn(drawn_lines(a_desk.review), place, nasion)
    assert not is_drawn(drawn_lines(a_desk.review), before, nasion)
    a_desk.review.stack.undo()
    assert is_drawn(drawn_lines(a_desk.review), before, nasion)


def test_drawings_are_seen_in_the_slice_of_their_points_and_do_not_catch_a_dragged_point(a_desk) -> None:
    a_desk.review.show_drawings(True)
    thickness = a_desk.volume.GetSpacing()[2]
    for node in a_desk.review.drawings.nodes.values():
        assert not node.GetSelectable()
        assert node.GetDisplayNode().GetVisibility2D()
        assert node.GetPolyData().GetBounds()[4:] == pytest.approx((-thickness / 2, thickness / 2))


def test_a_line_with_a_missing_end_is_left_out(a_desk) -> None:
    a_desk.review.show_drawings(True)
    sella, nasion, orbitale, porion = (point(a_desk, number) for number in range(4))
    lines = drawn_lines(a_desk.review)
    assert is_drawn(lines, sella, nasion) and is_drawn(lines, porion, orbitale)
    assert not is_drawn(lines, sella, point(a_desk, HEAD.index("Articulare")))  # which was never found
    a_desk.review.mark_missing(["Nasion"])
    lines = drawn_lines(a_desk.review)
    assert not is_drawn(lines, sella, nasion) and is_drawn(lines, porion, orbitale)
    a_desk.review.revert(["Nasion"])
    assert is_drawn(drawn_lines(a_desk.review), sella, nasion)


def test_drawings_are_hidden_and_shown_at_will(a_desk) -> None:
    a_desk.review.show_drawings(True)
    count = len(drawn_lines(a_desk.review))
    a_desk.review.show_drawings(False)
    assert len(drawn_lines(a_desk.review)) == 0
    place, nasion = world(a_desk, 35, 15), point(a_desk, 1)
    drag(a_desk.node, 0, place)
    assert len(drawn_lines(a_desk.review)) == 0
    a_desk.review.show_drawings(True)
    assert len(drawn_lines(a_desk.review)) == count
    assert is_drawn(drawn_lines(a_desk.review), place, nasion)


def test_drawings_that_the_user_deleted_are_let_go_until_they_are_asked_for(a_desk) -> None:
    a_desk.review.show_drawings(True)
    a_desk.scene.RemoveNode(a_desk.review.drawings.nodes[CERTAIN])
    a_desk.review.mark_missing(["Nasion"])
    a_desk.review.revert(["Nasion"])
    assert set(a_desk.review.drawings.nodes) == {DOUBTFUL}
    a_desk.review.show_drawings(True)
    assert set(a_desk.review.drawings.nodes) == {CERTAIN, DOUBTFUL}


def test_a_line_that_depends_on_doubt_looks_doubtful(a_desk) -> None:
    a_desk.review.show_drawings(True)
    names = ("Posterior nasal spine", "Anterior nasal spine")
    ends = [point(a_desk, HEAD.index(name)) for name in names]
    assert a_desk.review.landmarks["Anterior nasal spine"].status is Status.DOUBTFUL
    assert is_drawn(drawn_lines(a_desk.review, DOUBTFUL), *ends)
    assert not is_drawn(drawn_lines(a_desk.review, CERTAIN), *ends)
    points, nodes = a_desk.node.GetDisplayNode(), a_desk.review.drawings.nodes
    assert nodes[DOUBTFUL].GetDisplayNode().GetColor() == points.GetColor()
    assert nodes[CERTAIN].GetDisplayNode().GetColor() == points.GetSelectedColor()
    a_desk.review.accept(["Anterior nasal spine"])
    assert is_drawn(drawn_lines(a_desk.review, CERTAIN), *ends)
    assert len(drawn_lines(a_desk.review, DOUBTFUL)) == 0


def test_drawings_do_not_catch_the_points_that_the_user_places(a_desk) -> None:
    selection = a_desk.scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    assert selection.GetActivePlaceNodeID() == a_desk.node.GetID()
    a_desk.review.show_drawings(True)
    assert selection.GetActivePlaceNodeID() == a_desk.node.GetID()
    assert selection.GetActivePlaceNodeClassName() == "vtkMRMLMarkupsFiducialNode"


def test_an_angle_is_drawn_as_two_legs_and_an_arc_about_its_vertex() -> None:
    sna = next(item for item in drawings_of(HEAD) if item.name == "SNA")
    assert (sna.kind, sna.points[1]) == (ANGLE, ("Nasion",))
    places = {name: np.array([*point, 0.0]) for name, point in zip(HEAD.names, FACE, strict=True)}
    start, vertex, end = sna.places(places)
    legs, arc = np.split(sna.segments(places), [2])
    np.testing.assert_allclose(legs, [[start, vertex], [vertex, end]])
    radius = ARC_RADIUS * min(np.linalg.norm(start - vertex), np.linalg.norm(end - vertex))
    np.testing.assert_allclose(np.linalg.norm(arc - vertex, axis=-1), radius)
    np.testing.assert_allclose(arc[1:, 0], arc[:-1, 1])
    for place, leg in ((arc[0, 0], start), (arc[-1, 1], end)):
        np.testing.assert_allclose(place, vertex + radius * (leg - vertex) / np.linalg.norm(leg - vertex))


@pytest.mark.parametrize("other_end", [(70, 0), (0, 0), (140, 0)], ids=["no leg", "no angle", "straight"])
def test_an_angle_without_an_inside_is_drawn_without_a_fault(other_end) -> None:
    sna = next(item for item in drawings_of(HEAD) if item.name == "SNA")
    places = {name: np.array([*point, 0.0]) for name, point in zip(HEAD.names, FACE, strict=True)}
    with np.errstate(all="raise"):
        segments = sna.segments({**places, sna.points[2][0]: np.array([*other_end, 0.0])})
    assert np.isfinite(segments).all()


def test_a_measurement_column_is_a_number_for_other_modules(a_desk) -> None:
    values = slicer.util.arrayFromTableColumn(a_desk.review.table.node, "Value")
    assert values.dtype == np.float64
    assert np.isnan(values).sum() == sum(item.value is None for item in a_desk.review.measurements)
