"""The picture of a whole volume: each landmark in three planes through it, as the slice views show the patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from test_plane_projection import a_head
from typer.testing import CliRunner
from volumes import an_image

from MedLandmarkLib.cli import app
from MedLandmarkLib.detection import Detection
from MedLandmarkLib.detection.result import FrameResult, ModelIdentity
from MedLandmarkLib.export import write_outputs
from MedLandmarkLib.export.volume_sheet import _planes_through
from MedLandmarkLib.image import Image
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.plane.sweep import VOLUME_SETTING
from MedLandmarkLib.scheme import load_scheme

SIDE_MM = 40.0


def a_volume_with_a_ball(ras: tuple[float, float, float]) -> Image:
    """2 mm voxels, stored obliquely to the patient; grey, with a bright ball at a point and a brighter one far off."""
    turn = np.radians(25.0)
    matrix = np.diag([2.0, 2.0, 2.0, 1.0])
    matrix[:2, :2] = 2.0 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix[:3, 3] = -matrix[:3, :3] @ (40.0, 40.0, 30.0)
    k, j, i = np.mgrid[:61, :81, :81]
    places = np.stack((i, j, k), axis=-1) @ matrix[:3, :3].T + matrix[:3, 3]
    values = np.full(k.shape, 100, np.int16)
    values[np.linalg.norm(places - ras, axis=-1) < 5.0] = 200
    values[np.linalg.norm(places - (40.0, 40.0, 40.0), axis=-1) < 8.0] = 3000
    return an_image(values, matrix)


def a_detection(image: Image, statuses: dict[int, Status]) -> Detection:
    """All landmarks of afids-32 in a row through the volume, predicted but where `statuses` says otherwise."""
    scheme = load_scheme("afids-32")
    landmarks = []
    for number, name in enumerate(scheme.names):
        status = statuses.get(number, Status.PREDICTED)
        ras = None if status is Status.MISSING else (float(number - 16), 5.0, -3.0)
        ijk = None if ras is None else tuple((np.linalg.inv(image.ijk_to_ras) @ [*ras, 1.0])[:3])
        landmarks.append(Landmark(name, ijk, ras, status, confidence=0.8))
    settings = {VOLUME_SETTING: {"expected_error_mm": {scheme.names[0]: 1.25}}}
    frames = (FrameResult(LandmarkSet(scheme.id, tuple(landmarks))),)
    return Detection(image, scheme, ModelIdentity("afids", "1", ""), settings, frames)


def test_a_landmark_stands_in_the_middle_of_three_planes_that_show_the_patient_as_radiology_does() -> None:
    ras = (6.0, -10.0, 8.0)
    picture = _planes_through(a_volume_with_a_ball(ras), ras, SIDE_MM, 0).astype(float)[..., 0]
    side = len(picture)
    assert picture.shape == (side, 3 * side)
    for plane in np.split(picture, 3, axis=1):
        bright = np.argwhere(plane > 128)
        np.testing.assert_allclose(bright.mean(axis=0), (side - 1) / 2, atol=1.0)
        assert plane.max() == 255.0 and plane.min() == 0.0  # the far brighter ball does not darken it
    above, to_the_left, in_front = ((6.0, -10.0, -2.0), (16.0, -10.0, 8.0), (6.0, -20.0, 8.0))
    place = {}
    for name, centre in (("S", above), ("L", to_the_left), ("A", in_front)):
        shown = _planes_through(a_volume_with_a_ball(ras), centre, SIDE_MM, 0).astype(float)[..., 0]
        sagittal, coronal, axial = (np.argwhere(plane > 128) for plane in np.split(shown, 3, axis=1))
        place[name] = {"sagittal": sagittal, "coronal": coronal, "axial": axial}
    middle = (side - 1) / 2
    assert all(place["S"][name].mean(axis=0)[0] < middle - 5 for name in ("sagittal", "coronal"))  # upwards
    assert all(place["L"][name].mean(axis=0)[1] > middle + 5 for name in ("coronal", "axial"))  # the left on the right
    assert place["A"]["axial"].mean(axis=0)[0] < middle - 5 and place["A"]["sagittal"].mean(axis=0)[1] < middle - 5


def test_doubtful_and_missing_landmarks_are_told_apart_on_the_sheet(tmp_path: Path) -> None:
    image = a_volume_with_a_ball((0.0, 5.0, -3.0))
    orange, blue, counts = np.array([0xE6, 0x9F, 0x00]), np.array([0x56, 0xB4, 0xE9]), {}
    for name, statuses in (
        ("sure", {}),
        ("doubtful", {3: Status.DOUBTFUL}),
        ("missing", dict.fromkeys(range(16), Status.MISSING)),
    ):
        written = write_outputs(a_detection(image, statuses), tmp_path, name, with_figure=True)
        page = sitk.GetArrayFromImage(sitk.ReadImage(str(written[-1])))[..., :3].astype(int)
        counts[name] = [int((np.abs(page - colour).sum(axis=-1) < 30).sum()) for colour in (orange, blue)]
    assert counts["sure"][0] == 0 < counts["doubtful"][0]
    assert counts["missing"][1] < 0.6 * counts["sure"][1]  # half of the landmarks have no cross-hair


def test_a_volume_of_several_frames_is_shown_at_the_detected_one(tmp_path: Path) -> None:
    image = a_volume_with_a_ball((0.0, 5.0, -3.0))
    twice = replace(image, pixels=np.concatenate([np.full_like(image.pixels, 100), image.pixels]))
    assert np.ptp(_planes_through(twice, (0.0, 5.0, -3.0), SIDE_MM, 0)) == 0
    assert np.ptp(_planes_through(twice, (0.0, 5.0, -3.0), SIDE_MM, 1)) == 255


def test_the_command_draws_it_for_a_whole_volume(tmp_path: Path) -> None:
    volume = sitk.GetImageFromArray(a_head().pixels[0, ..., 0])
    volume.SetSpacing((2.0, 2.0, 2.0))
    sitk.WriteImage(volume, str(tmp_path / "head.nrrd"))
    command = ["volume", str(tmp_path / "head.nrrd"), "--scheme", "head-19", "--directions", "sagittal", "--figure"]
    result = CliRunner().invoke(app, [*command, "--output", str(tmp_path / "out"), "--device", "cpu"])
    assert result.exit_code == 0, result.output
    size = sitk.ReadImage(str(tmp_path / "out/head.png")).GetSize()
    assert size[0] > 1200 and size[1] > 600
