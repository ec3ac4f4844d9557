"""Landmarks in a real slice view, drawn by Slicer's displayable managers without a screen, and dragged by mouse events.

$MEDLANDMARK_ARTEFACTS names a folder to keep the pictures in.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install slicer-core)")
pytest.importorskip("PySide6", reason="PySide6 is not installed (pip install PySide6-Essentials)")
import slicer
import vtk
from profiles import FACE, HEAD
from scenes import SceneHost, add_volume, detected, drawn_lines, is_drawn
from SlicerHost.application import qt_application
from SlicerHost.views import SliceView
from vtk.util.numpy_support import vtk_to_numpy

from MedLandmarkLib.image import read_image
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.mrml import Review, calibrate_by_spacing, create_result
from MedLandmarkLib.mrml.calibration import ijk_to_ras
from MedLandmarkLib.scheme import load_scheme

PREDICTED, DOUBTFUL = (255, 128, 128), (102, 255, 255)  # Slicer's own colours of selected and unselected points


@pytest.fixture(scope="module")
def offscreen_opengl() -> None:
    """VTK ends the whole process where it finds no way to draw, so another process tries first."""
    program = "import vtk; w = vtk.vtkRenderWindow(); w.SetOffScreenRendering(1); w.Render()"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120, check=False)
    if result.returncode != 0:
        pytest.fail("VTK cannot draw without a screen here: install libegl1 (Mesa's EGL) or libosmesa6.")


@pytest.fixture
def a_view(offscreen_opengl, monkeypatch):
    """A slice view that shows nothing yet, and draws only when it is told to."""
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    application = qt_application()  # the view has a timer
    host = SceneHost()
    view = SliceView("Red", host.application, host.scene)
    view.is_paused = True
    yield SimpleNamespace(host=host, scene=host.scene, view=view, qt_application=application)
    host.scene.Clear(True)
    view.window.Finalize()


def show(desk, volume) -> None:
    desk.view.logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
    desk.view.fit()
    desk.view.window.Render()


def grabbed(desk) -> vtk.vtkWindowToImageFilter:
    desk.view.window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(desk.view.window)
    grab.ReadFrontBufferOff()
    grab.Update()
    return grab


def picture(desk) -> np.ndarray:
    """What the view shows: (rows, columns, 3), row 0 at the bottom as VTK counts."""
    output = grabbed(desk).GetOutput()
    columns, rows, _ = output.GetDimensions()
    return vtk_to_numpy(output.GetPointData().GetScalars()).reshape(rows, columns, -1)[..., :3].copy()


def saved(desk, path: Path) -> Path:
    """What the view shows as a file; a copy goes to the artefacts where a folder for them is named."""
    grab, writer = grabbed(desk), vtk.vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputConnection(grab.GetOutputPort())
    writer.Write()
    if folder := os.environ.get("MEDLANDMARK_ARTEFACTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)
    return path


def view_xy(desk, ras) -> np.ndarray:
    """Where the view's own matrix puts a place of the world, in pixels from the lower left."""
    matrix = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(desk.view.slice_node.GetXYToRAS(), matrix)
    return np.array(matrix.MultiplyPoint([*ras, 1.0]))[:2]


def glyph_xy(pixels: np.ndarray, near_xy: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """The middle of what has a colour within 12 pixels of a place; a pixel's own middle lies half a pixel into it."""
    x, y = np.round(near_xy).astype(int)
    left, low = max(x - 12, 0), max(y - 12, 0)
    part = pixels[low : y + 13, left : x + 13].astype(int)
    rows, columns = np.nonzero(np.abs(part - colour).max(axis=-1) < 40)
    assert len(rows) > 10, f"nothing of colour {colour} near {near_xy}"
    return np.array([left + columns.mean() + 0.5, low + rows.mean() + 0.5])


def mouse(desk, event: str, xy) -> None:
    interactor = desk.view.interactor
    interactor.SetEventInformation(*(round(float(value)) for value in xy), 0, 0)
    interactor.InvokeEvent(getattr(vtk.vtkCommand, event))


@pytest.fixture
def a_ceph_on_screen(a_view):
    """A made-up radiograph of 400 x 300 px with spread-out landmarks, of which one is doubtful and one missing."""
    volume = add_volume(a_view.scene, (1, 400, 300))
    rows, columns = np.mgrid[:400, :300]
    slicer.util.updateVolumeFromArray(volume, (rows // 4 + columns // 5).astype(np.uint8)[np.newaxis])
    calibrate_by_spacing(a_view.scene, volume, 0.4, 0.4)
    points = np.array(FACE) * 2.2 + [70, 60]
    node = create_result(a_view.scene, volume, detected(HEAD, points, ijk_to_ras(volume)), HEAD)
    review = Review(a_view.scene, node)
    show(a_view, volume)
    yield SimpleNamespace(**vars(a_view), volume=volume, node=node, review=review)
    review.close()


def test_glyphs_stand_where_the_landmarks_are(a_ceph_on_screen, tmp_path) -> None:
    desk = a_ceph_on_screen
    assert saved(desk, tmp_path / "landmarks.png").stat().st_size > 10_000
    desk.node.GetDisplayNode().SetPointLabelsVisibility(False)  # text has the colour of its glyph
    pixels = picture(desk)
    apart_px = []
    for name in ("Sella", "Nasion", "Gonion", "Menton", "Orbitale"):
        expected = view_xy(desk, desk.review.landmarks[name].ras)
        apart_px.append(np.linalg.norm(glyph_xy(pixels, expected, PREDICTED) - expected))
    assert max(apart_px) < 1.0
    doubtful = view_xy(desk, desk.review.landmarks["Anterior nasal spine"].ras)
    assert np.linalg.norm(glyph_xy(pixels, doubtful, DOUBTFUL) - doubtful) < 1.0
    with pytest.raises(AssertionError, match="nothing of colour"):
        glyph_xy(pixels, view_xy(desk, desk.review.landmarks["Articulare"].ras), PREDICTED)  # missing


def test_the_mapping_of_the_view_is_that_of_the_image(a_ceph_on_screen) -> None:
    desk = a_ceph_on_screen
    first, last = (view_xy(desk, (ijk_to_ras(desk.volume) @ [*ijk, 1.0])[:3]) for ijk in ((0, 0, 0), (299, 399, 0)))
    assert first[0] < last[0] and first[1] > last[1]  # columns to the right, rows down: as the picture was taken


def test_a_point_is_dragged_with_the_mouse(a_ceph_on_screen, tmp_path) -> None:
    desk = a_ceph_on_screen
    desk.review.show_drawings(True)
    before = {item.name: item.value for item in desk.review.measurements}
    start = view_xy(desk, desk.review.landmarks["Sella"].ras)
    end = start + [40, -30]
    mouse(desk, "MouseMoveEvent", start)
    mouse(desk, "LeftButtonPressEvent", start)
    seen = []
    desk.review._on_change = lambda names: seen.append((names, desk.review.landmarks["Sella"].status))
    for part in (0.25, 0.5, 0.75, 1.0):
        mouse(desk, "MouseMoveEvent", start + part * (end - start))
    assert len(seen) == 4
    assert set(seen) == {(("Sella",), Status.EDITED)}
    assert desk.review.stack.undo_text == ""  # the button is still down
    mouse(desk, "LeftButtonReleaseEvent", end)
    assert desk.review.stack.undo_text == "edit Sella"
    sella = desk.review.landmarks["Sella"]
    assert np.linalg.norm(view_xy(desk, sella.ras) - end) < 1.0
    assert sella.ijk[2] == 0.0
    after = {item.name: item.value for item in desk.review.measurements}
    assert after["S-Go"] != before["S-Go"] and after["FMA"] == before["FMA"]
    ends = [desk.node.GetNthControlPointPositionWorld(number) for number in range(2)]
    assert is_drawn(drawn_lines(desk.review), *ends)
    saved(desk, tmp_path / "dragged.png")
    assert desk.review.stack.undo()
    assert {item.name: item.value for item in desk.review.measurements} == before


def test_drawings_are_drawn_and_let_the_mouse_through(a_ceph_on_screen, tmp_path) -> None:
    desk = a_ceph_on_screen
    desk.node.GetDisplayNode().SetPointLabelsVisibility(False)
    plain = picture(desk)
    desk.review.show_drawings(True)
    drawn = picture(desk)
    saved(desk, tmp_path / "drawings.png")
    middle = view_xy(desk, np.mean([desk.review.landmarks[name].ras for name in ("Porion", "Orbitale")], axis=0))
    x, y = np.round(middle).astype(int)
    is_new = (drawn != plain).any(axis=-1)
    rows, _ = np.nonzero(is_new[y - 6 : y + 7, x - 6 : x + 7])
    assert abs(y - 6 + rows.mean() - middle[1]) < 1  # the line, which is level there, passes through the middle
    mouse(desk, "MouseMoveEvent", middle)
    mouse(desk, "LeftButtonPressEvent", middle)
    mouse(desk, "MouseMoveEvent", middle + 20)
    mouse(desk, "LeftButtonReleaseEvent", middle + 20)
    assert desk.review.stack.undo_text == ""
    desk.review.show_drawings(False)
    mouse(desk, "MouseMoveEvent", (3, 3))  # away from everything, so that nothing is highlighted
    np.testing.assert_array_equal(picture(desk), plain)


@pytest.mark.real_data
def test_a_real_cephalogram_on_screen(a_view, the_data_folder: Path, tmp_path) -> None:
    folder = the_data_folder / "ceph_isbi"
    image = read_image(folder / "images" / "001.jpg")
    volume = a_view.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "001")
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    slicer.util.updateVolumeFromArray(volume, image.pixels[0, ..., 0])
    volume.CreateDefaultDisplayNodes()
    calibrate_by_spacing(a_view.scene, volume, 0.2, 0.2)
    with open(folder / "landmarks.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["case"], row["rater"]) == ("001", "mean")]
    scheme = load_scheme("head-19")
    places = {row["landmark"]: (float(row["x"]), float(row["y"])) for row in rows}
    landmarks = detected(scheme, [places[name] for name in scheme.names], ijk_to_ras(volume))
    node = create_result(a_view.scene, volume, landmarks, scheme)
    review = Review(a_view.scene, node)
    review.show_drawings(True)
    show(a_view, volume)
    saved(a_view, tmp_path / "cephalogram.png")
    node.GetDisplayNode().SetPointLabelsVisibility(False)
    review.show_drawings(False)
    pixels = picture(a_view)
    for name in ("Sella", "Nasion", "Gonion", "Menton"):
        expected = view_xy(a_view, landmarks[name].ras)
        assert np.linalg.norm(glyph_xy(pixels, expected, PREDICTED) - expected) < 1.0
    values = {item.name: item.value for item in review.measurements}
    assert 70 < values["SNA"] < 95 and 90 < values["N-Me"] < 150
