"""Landmarks carried over from one annotated volume: to known deformations, and to what cannot be right."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner
from volumes import BALL_CENTRES, BALLS, a_geometry, an_image, grid_ras, rotation

import MedLandmarkLib
from MedLandmarkLib.cli import app
from MedLandmarkLib.detection.atlas import AtlasDetector
from MedLandmarkLib.detection.atlas.grids import Grid, Sampled, affine_transform, carried
from MedLandmarkLib.detection.atlas.matching import PatchSize, correlation_map, match
from MedLandmarkLib.detection.atlas.registration import Pair, affine_registration
from MedLandmarkLib.detection.opening import is_for_volumes
from MedLandmarkLib.errors import DatasetError, DetectionCancelled, ImageError, ModelError
from MedLandmarkLib.image import Image, read_image
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.models.catalogue import read_card
from MedLandmarkLib.models.store import load_model
from MedLandmarkLib.oneshot.volume import most_central, teach_from_volume, teach_volume
from MedLandmarkLib.resources import resource_path
from MedLandmarkLib.scheme import Scheme, own_scheme, write_scheme

SPACING = 1.0
SHAPE = (44, 48, 46)
# Where three balls meet or are cut by another, and centres: points that their surroundings tell.
POINTS = np.array([*BALL_CENTRES[1:], (3.0, -1.0, 2.0), (-3.0, -1.0, 2.0), (0.0, 4.0, -3.0)])
NAMES = tuple(f"point {number}" for number in range(len(POINTS)))


def a_soft_body(move: np.ndarray, waves_mm: float = 0.0, seed: int = 0, ijk_to_ras: np.ndarray | None = None) -> Image:
    """The body of BALLS at a pose, drawn through a smooth deformation whose inverse is known (`deformed`)."""
    if ijk_to_ras is None:
        ijk_to_ras = np.diag([SPACING, SPACING, SPACING, 1.0])
        ijk_to_ras[:3, 3] = -(np.array(SHAPE[::-1]) - 1) / 2 * SPACING
    ras = grid_ras(SHAPE, ijk_to_ras)
    own = (ras - move[:3, 3]) @ np.linalg.inv(move[:3, :3]).T
    own = own + wave(own, waves_mm)
    values = np.zeros(SHAPE)
    for centre, radius, grey in BALLS:
        distance = np.linalg.norm(own - np.array(centre, float), axis=-1)
        values = np.maximum(values, grey / (1 + np.exp((distance - radius) / 0.4)))
    texture = 25.0 * np.sin(1.1 * own[..., 0]) * np.sin(0.9 * own[..., 1] + 1.0) * np.sin(1.3 * own[..., 2] + 2.0)
    values += texture * (values > 30)
    values += np.random.default_rng(seed).normal(0, 2, SHAPE)
    return an_image(np.clip(values, 0, 255).astype(np.uint8), ijk_to_ras)


def wave(own: np.ndarray, size_mm: float) -> np.ndarray:
    """A smooth displacement of points (..., 3), at most size_mm along each axis."""
    x, y, z = np.moveaxis(own / 9.0, -1, 0)
    return size_mm * np.stack((np.sin(y + 0.5), np.sin(z - 1.0), np.cos(x + y)), axis=-1)


def deformed(points: np.ndarray, move: np.ndarray, waves_mm: float) -> np.ndarray:
    """Where points of the plain body lie in `a_soft_body(move, waves_mm)`, (n, 3) RAS."""
    own = points.copy()
    for _ in range(50):  # the fixed point of own + wave(own) = point
        own = points - wave(own, waves_mm)
    return own @ move[:3, :3].T + move[:3, 3]


def a_move(angles=(0.0, 0.0, 0.0), shift=(0.0, 0.0, 0.0), scale: float = 1.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(*angles) * scale
    matrix[:3, 3] = shift
    return matrix


@pytest.fixture(scope="module")
def a_scheme(tmp_path_factory: pytest.TempPathFactory) -> Scheme:
    """A person's own scheme; its tolerance is 4 voxels."""
    _, content = own_scheme(NAMES, "balls")
    return write_scheme(content, tmp_path_factory.mktemp("scheme") / "balls.json")


@pytest.fixture(scope="module")
def a_model(a_scheme: Scheme, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Taught from the plain body."""
    return teach_volume(a_soft_body(np.eye(4)), POINTS, a_scheme, tmp_path_factory.mktemp("model") / "balls", "balls")


@pytest.fixture(scope="module")
def a_detector(a_model: Path, a_scheme: Scheme) -> AtlasDetector:
    return AtlasDetector(a_scheme, f"{a_model}/")


def placed(detection) -> np.ndarray:
    landmarks = detection.frames[0].landmarks
    return np.array([(np.nan,) * 3 if landmark.ras is None else landmark.ras for landmark in landmarks], float)


def statuses(detection) -> set[Status]:
    return {landmark.status for landmark in detection.frames[0].landmarks}


def test_the_affine_map_does_not_depend_on_the_number_of_threads() -> None:
    """Sums in changing order once moved a ventricle's landmark by 0.1 mm, and its confidence from 17 to 35 %."""
    bodies = (a_soft_body(np.eye(4)), a_soft_body(a_move((0.1, 0.0, -0.1), (1.0, 2.0, 0.0)), 1.0, seed=5))
    pair = Pair(*(sitk.GetImageFromArray(body.pixels[0, ..., 0].astype(np.float32)) for body in bodies))
    before, found = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads(), []
    try:
        for count in (1, 2, 5, 5):
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
            found.append(affine_registration(pair, np.array(SHAPE[::-1]) / 2.0).GetParameters())
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    assert set(found) == {found[0]} and found[0] != sitk.AffineTransform(3).GetParameters()


@pytest.fixture(scope="module")
def a_deformed_case(a_detector: AtlasDetector):
    """A body turned upside down and deformed by up to 1.5 mm along each axis; what was found, and the truth."""
    move = a_move((2.6, 0.4, -0.6), (1.0, -2.0, 1.5), 1.05)
    seen: list[tuple[float, str]] = []
    image = a_soft_body(move, 1.5, seed=3)
    detection = a_detector.detect(image, progress=lambda fraction, text: seen.append((fraction, text)))
    return image, detection, deformed(POINTS, move, 1.5), seen


def test_a_smooth_deformation_in_another_orientation_is_followed(a_deformed_case) -> None:
    _, detection, truth, _ = a_deformed_case
    error = np.linalg.norm(placed(detection) - truth, axis=1)
    assert error.mean() < 0.6 and error.max() < 1.5  # voxels of 1 mm
    assert statuses(detection) <= {Status.PREDICTED, Status.DOUBTFUL}


def test_the_stated_errors_are_in_mm_and_of_the_right_size(a_deformed_case) -> None:
    _, detection, truth, _ = a_deformed_case
    stated = detection.settings["volume"]["expected_error_mm"]
    error = np.linalg.norm(placed(detection) - truth, axis=1)
    expected = np.array([stated[name] for name in NAMES])
    assert 0.3 < expected.mean() / error.mean() < 6.0
    covariance = np.array(detection.settings["volume"]["covariance_ras_mm2"][NAMES[0]])
    assert covariance.shape == (3, 3) and np.linalg.eigvalsh(covariance).min() > 0


def test_progress_rises_to_the_end_and_names_the_steps(a_deformed_case) -> None:
    seen = a_deformed_case[3]
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    steps = " ".join(text for _, text in seen)
    for step in ("how the anatomy lies", "Affine", "Deformable", "surroundings", "back"):
        assert step in steps


def test_a_point_beyond_the_field_of_view_is_missing(a_detector: AtlasDetector) -> None:
    image = a_soft_body(np.eye(4), seed=1)
    first = 15  # the lowest balls lie in front of it
    matrix = image.ijk_to_ras.copy()
    matrix[:3, 3] += first * matrix[:3, 1]
    cut = replace(image, pixels=image.pixels[:, :, first:].copy(), ijk_to_ras=matrix, display=None)
    detection = a_detector.detect(cut)
    low_y = matrix[1, 3] - 0.5
    for landmark, truth in zip(detection.frames[0].landmarks, POINTS, strict=True):
        if truth[1] < low_y - 1.0:
            assert landmark.status is Status.MISSING and "field of view" in landmark.reason
        elif truth[1] > low_y + 6.0:
            assert np.linalg.norm(np.array(landmark.ras) - truth) < 1.5


def test_something_else_has_no_landmark_that_is_believed(a_detector: AtlasDetector) -> None:
    rng = np.random.default_rng(0)
    noise = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(rng.normal(size=SHAPE)), 3.0))
    noise = np.clip((noise - noise.min()) / np.ptp(noise) * 255, 0, 255).astype(np.uint8)
    detection = a_detector.detect(an_image(noise, a_soft_body(np.eye(4)).ijk_to_ras))
    assert statuses(detection) <= {Status.MISSING, Status.DOUBTFUL}
    assert all(landmark.reason for landmark in detection.frames[0].landmarks)


@pytest.mark.parametrize("after", ["how the anatomy", "Affine", "Deformable", "Matching the", "Matching back"])
def test_a_cancel_is_obeyed_in_every_step(a_detector: AtlasDetector, after: str) -> None:
    reached: list[str] = []

    def progress(fraction: float, text: str) -> None:
        reached.append(text)

    with pytest.raises(DetectionCancelled):
        a_detector.detect(
            a_soft_body(a_move(shift=(1, 0, 0))),
            progress=progress,
            should_stop=lambda: any(after in t for t in reached),
        )
    assert after in reached[-1]


def test_one_slice_or_a_volume_of_one_value_is_refused(a_detector: AtlasDetector) -> None:
    image = a_soft_body(np.eye(4))
    with pytest.raises(ImageError, match="too few slices"):
        a_detector.detect(replace(image, pixels=image.pixels[:, :1].copy()))
    with pytest.raises(ImageError, match="everywhere"):
        a_detector.detect(replace(image, pixels=np.zeros_like(image.pixels)))


def test_values_that_are_no_numbers_do_not_spread(a_detector: AtlasDetector, tmp_path: Path) -> None:
    image = a_soft_body(np.eye(4), seed=2)
    values = image.pixels[0, ..., 0].astype(np.float32)
    values[:4] = np.nan
    volume = sitk.GetImageFromArray(values)
    volume.SetOrigin((np.diag((-1.0, -1.0, 1.0)) @ image.ijk_to_ras[:3, 3]).tolist())
    volume.SetDirection((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    sitk.WriteImage(volume, str(tmp_path / "holes.nii.gz"))
    detection = a_detector.detect(read_image(tmp_path / "holes.nii.gz"))
    assert np.linalg.norm(placed(detection) - POINTS, axis=1).mean() < 1.0


def test_a_landmark_that_the_template_lacks_is_missing_and_the_others_are_found(a_scheme, tmp_path: Path) -> None:
    points = POINTS.copy()
    points[2] = np.nan
    model = teach_volume(a_soft_body(np.eye(4)), points, a_scheme, tmp_path / "few", "few")
    detection = AtlasDetector(a_scheme, f"{model}/").detect(a_soft_body(a_move(shift=(2, 1, 0)), seed=4))
    lacking = detection.frames[0].landmarks[NAMES[2]]
    assert lacking.status is Status.MISSING and "not annotated" in lacking.reason and lacking.ras is None
    error = np.linalg.norm(np.delete(placed(detection) - (POINTS + (2, 1, 0)), 2, axis=0), axis=1)
    assert error.max() < 1.0


def test_a_volume_that_cannot_be_a_template_is_refused(a_scheme: Scheme, tmp_path: Path) -> None:
    image = a_soft_body(np.eye(4))
    with pytest.raises(ModelError, match="None of the landmarks"):
        teach_volume(image, np.full_like(POINTS, np.nan), a_scheme, tmp_path / "a", "a")
    with pytest.raises(ModelError, match="outside the template"):
        teach_volume(image, POINTS + 100.0, a_scheme, tmp_path / "b", "b")
    with pytest.raises(DatasetError, match="shape"):
        teach_volume(image, POINTS[:3], a_scheme, tmp_path / "c", "c")
    with pytest.raises(ImageError, match="too few slices"):
        teach_volume(replace(image, pixels=image.pixels[:, :1].copy()), POINTS, a_scheme, tmp_path / "d", "d")
    sheared = image.ijk_to_ras.copy()
    sheared[1, 2] += 0.2
    with pytest.raises(DatasetError, match="sheared"):
        teach_volume(replace(image, ijk_to_ras=sheared), POINTS, a_scheme, tmp_path / "e", "e")
    assert not any(tmp_path.iterdir())


def test_a_model_folder_describes_itself(a_model: Path, a_scheme: Scheme) -> None:
    schema = json.loads(resource_path("Model-schema.json").read_text(encoding="utf-8"))
    card = json.loads((a_model / "card.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator({**schema["$defs"]["card"], "$defs": schema["$defs"]}).validate(card)
    assert {path.name for path in a_model.iterdir()} == {
        "card.json", "points.mrk.json", "template.nii.gz", "scheme.json",
    }  # fmt: skip
    loaded = load_model(f"{a_model}/")
    np.testing.assert_allclose(loaded.atlas.points(a_scheme.names), POINTS, atol=1e-5)
    np.testing.assert_allclose(loaded.atlas.image.ijk_to_ras, a_soft_body(np.eye(4)).ijk_to_ras, atol=1e-5)
    assert read_card(a_model / "card.json").family == "atlas" and is_for_volumes(f"{a_model}/")


def test_a_template_that_was_exchanged_is_noticed(a_model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in a_model.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "template.nii.gz").write_bytes((a_model / "template.nii.gz").read_bytes() + b"\0")
    with pytest.raises(ModelError, match="not the volume that the points"):
        load_model(f"{other}/")
    (other / "points.mrk.json").write_text("{}")
    with pytest.raises(ModelError, match="does not hold the points"):
        load_model(f"{other}/")


def test_a_model_is_taught_from_files_and_used_from_the_command_line(a_scheme, a_model: Path, tmp_path: Path) -> None:
    taught = teach_from_volume(
        a_model / "template.nii.gz", a_model / "points.mrk.json", a_scheme, tmp_path / "m", "mine"
    )
    again = load_model(f"{taught}/").atlas.points(a_scheme.names)
    np.testing.assert_allclose(again, POINTS, atol=1e-5)
    volume = str(a_model / "template.nii.gz")
    for command, folder in (("detect", "one"), ("volume", "two")):
        arguments = [command, volume, "--scheme", "balls", "--model", f"{taught}/", "--output", str(tmp_path / folder)]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        document = json.loads((tmp_path / folder / "template.landmarks.json").read_text())
        found = np.array([landmark["ras"] for landmark in document["frames"][0]["landmarks"]], float)
        assert np.linalg.norm(found - POINTS, axis=1).max() < 0.5


def test_python_finds_the_whole_volume_and_says_so_where_a_slice_was_named(a_model: Path, a_scheme: Scheme) -> None:
    image = a_soft_body(a_move(shift=(1, 1, 1)), seed=5)
    detection = MedLandmarkLib.detect(image, a_scheme, f"{a_model}/", slice_index=3)
    assert np.linalg.norm(placed(detection) - POINTS - 1.0, axis=1).max() < 1.0
    assert any("whole volumes" in note for note in detection.notes)
    with pytest.raises(ModelError, match="whole volumes"):
        MedLandmarkLib.detection.LandmarkDetector(a_scheme, f"{a_model}/")


def test_the_most_central_volume_is_the_undeformed_one() -> None:
    images = [a_soft_body(np.eye(4), 2.5, seed=1), a_soft_body(np.eye(4), 0.0, seed=2), a_soft_body(np.eye(4), -2.5)]
    number, means = most_central(images)
    assert number == 1 and means.shape == (3,)


def test_a_patch_is_found_where_it_was_cut_from() -> None:
    rng = np.random.default_rng(0)
    area = rng.normal(size=(17, 17, 17))
    patch = area[3:12, 6:15, 5:14]
    found = correlation_map(2.0 * patch + 5.0, area)  # brightness and contrast do not matter
    assert np.unravel_index(found.argmax(), found.shape) == (3, 6, 5)
    assert found.max() == pytest.approx(1.0, abs=1e-6)
    assert correlation_map(np.ones((9, 9, 9)), area) is None


def test_an_edge_is_less_sure_along_than_across() -> None:
    def wall(point: np.ndarray, radius: int, spacing: float) -> np.ndarray:
        x = point[0] + spacing * np.arange(-radius, radius + 1)
        rng = np.random.default_rng(int(1000 * abs(point).sum()))
        shape = (2 * radius + 1,) * 3
        return np.broadcast_to(1 / (1 + np.exp(-x)), shape) + rng.normal(0, 0.05, shape)

    found = match(wall, wall, np.zeros(3), np.array((1.0, 0.0, 0.0)), PatchSize(5, 3, 1.0))
    assert found.offset[0] == pytest.approx(-1.0, abs=0.3)
    assert found.covariance[1, 1] > 3 * found.covariance[0, 0]


def test_a_grid_samples_a_volume_stored_anyhow() -> None:
    """A sheared, left-handed storage of a linear ramp gives the ramp."""
    matrix = a_geometry((0.7, 0.9, 1.1), is_left_handed=True, tilt=0.1)
    shape = (30, 30, 30)
    ramp = grid_ras(shape, matrix) @ (1.0, 2.0, -1.0)
    low, high = ramp.min(), ramp.max()
    image = an_image(np.rint((ramp - low) / (high - low) * 255).astype(np.uint8), matrix)
    centre = image.ras_from_ijk((14.5, 14.5, 14.5))
    grid = Grid.about(centre, 3, 1.0)
    found = grid.sampled(Sampled.of(image, 0, 0.7), affine_transform(np.eye(4))) * (high - low) + low
    k, j, i = np.meshgrid(*[np.arange(7)] * 3, indexing="ij")
    wanted = (grid.low + np.stack((i, j, k), axis=-1)) @ (1.0, 2.0, -1.0)
    np.testing.assert_allclose(found, wanted, atol=0.6 * (high - low) / 255)
    moved = carried(affine_transform(a_move((0.3, 0.1, 0.2), (1, 2, 3))), np.ones((2, 3)))
    np.testing.assert_allclose(moved[0], a_move((0.3, 0.1, 0.2), (1, 2, 3))[:3] @ (1, 1, 1, 1))
