"""Landmarks in whole volumes: what comes out, what is said of it, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plane_truth import TrueReader
from volumes import BALL_CENTRES, a_body, an_image, rotation

from MedLandmarkLib.detection.volume import VolumeDetector
from MedLandmarkLib.detection.volume.confidence import fitted_spread, probability_within
from MedLandmarkLib.detection.volume.knowledge import PlaneGeometry, VolumeKnowledge
from MedLandmarkLib.detection.volume.pose import PoseTemplate
from MedLandmarkLib.detection.volume.reader import NetworkReader
from MedLandmarkLib.detection.volume.shape import ShapePrior, transformed
from MedLandmarkLib.errors import DetectionCancelled, ImageError, ModelError
from MedLandmarkLib.image import Calibration, Image
from MedLandmarkLib.image.display import Display, Window
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.models.catalogue import read_card
from MedLandmarkLib.models.lite import LiteNetwork
from MedLandmarkLib.models.store import load_model, model_card, verify_model
from MedLandmarkLib.resources import resource_path
from MedLandmarkLib.scheme import Scheme, load_scheme
from MedLandmarkLib.training.canvases import Task
from MedLandmarkLib.training.model_folder import write_model_folder
from MedLandmarkLib.training.recipe import Recipe

GEOMETRY = PlaneGeometry(0.5, 0.25, size_px=65)


@pytest.fixture(scope="module")
def a_scheme(tmp_path_factory) -> Scheme:
    """The eight balls of the body."""
    path = tmp_path_factory.mktemp("scheme") / "balls-8.json"
    fields = json.loads(load_scheme("mouse-skull-45").path.read_text())
    fields["id"] = "balls-8"
    fields["landmarks"] = fields["landmarks"][: len(BALL_CENTRES)]
    fields["evaluation"] |= {"radii": [1], "tolerance": 1}
    fields.pop("$schema")
    path.write_text(json.dumps(fields))
    return load_scheme(str(path))


@pytest.fixture(scope="module")
def a_model_folder(a_scheme: Scheme, tmp_path_factory) -> Path:
    """An untrained network that knows how the body looks and lies."""
    torch.manual_seed(0)
    network = LiteNetwork(len(a_scheme), sigma=1.5, activation="softmax-or-absent")
    task = Task(a_scheme.id, a_scheme.names, (), "nobody", slice(0, len(a_scheme)), (65, 65), padding=1.0)
    task = replace(task, cases=(_a_case(),))
    folder = write_model_folder(
        tmp_path_factory.mktemp("run") / "model", network, [task], Recipe(sigma=1.5), model_id="balls",
        mean=(124, 116, 104), std=(58, 57, 57),
    )  # fmt: skip
    upright = a_body(np.eye(4), shape=(40, 48, 40))
    template = PoseTemplate(upright.pixels[0, ..., 0].astype(np.float32) / 255, upright.ijk_to_ras)
    shapes = BALL_CENTRES + np.random.default_rng(0).normal(0, 0.4, (12, *BALL_CENTRES.shape))
    shape = replace(ShapePrior.from_shapes(shapes), mean=BALL_CENTRES)
    VolumeKnowledge(GEOMETRY, template, shape, noise=1.0, spread=1.0).save(folder)
    return folder


def _a_case():
    from MedLandmarkLib.dataset import Case

    return Case("none", Path("bodies/images/none.nii"), (40, 48, 40), None, "none", "train", {})


@pytest.fixture(scope="module")
def a_detector(a_scheme: Scheme, a_model_folder: Path) -> VolumeDetector:
    return VolumeDetector(a_scheme, load_model(f"{a_model_folder}/"), device="cpu")


def a_pose(angles=(0.5, -0.3, 0.8), shift=(1.0, 0.0, -2.0)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(*angles)
    matrix[:3, 3] = shift
    return matrix


def found_by_truth(detector: VolumeDetector, image: Image, pose: np.ndarray, points: np.ndarray = BALL_CENTRES):
    reader = TrueReader(transformed(pose, points), GEOMETRY.fade_px)
    return detector.detect_with(reader, image)


def test_knowledge_is_kept_in_the_model_folder(a_model_folder: Path, tmp_path: Path) -> None:
    known = VolumeKnowledge.load(a_model_folder)
    assert known.geometry == GEOMETRY and known.spread == 1.0 and known.noise == 1.0
    np.testing.assert_allclose(known.shape.mean, BALL_CENTRES)
    assert VolumeKnowledge.load(tmp_path) is None and VolumeKnowledge.load(None) is None
    (tmp_path / "volume.safetensors").write_bytes(b"no tensors at all")
    with pytest.raises(ModelError, match="damaged"):
        VolumeKnowledge.load(tmp_path)
    with pytest.raises(ModelError, match="fine_mm"):
        PlaneGeometry(1.0, 0.0)


def test_the_card_names_the_knowledge_file_by_hash_and_size(a_scheme, a_model_folder: Path, tmp_path: Path) -> None:
    import jsonschema

    folder = Path(shutil.copytree(a_model_folder, tmp_path / "model"))
    card = read_card(folder / "card.json")
    path = folder / "volume.safetensors"
    assert (card.volume.file, card.volume.size_bytes) == (path.name, path.stat().st_size)
    assert card.volume.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    schema = json.loads(resource_path("Model-schema.json").read_text())
    fields = json.loads((folder / "card.json").read_text())
    jsonschema.Draft202012Validator({**schema["$defs"]["card"], "$defs": schema["$defs"]}).validate(fields)
    assert VolumeDetector(a_scheme, load_model(f"{folder}/"), device="cpu").knowledge.geometry == GEOMETRY

    other = VolumeKnowledge.load(folder)
    replace(other, spread=2.0).save(tmp_path)  # a folder without a card
    shutil.copy(tmp_path / "volume.safetensors", path)
    with pytest.raises(ModelError, match="not the file that the model's card names"):
        VolumeDetector(a_scheme, load_model(f"{folder}/"), device="cpu")
    path.unlink()
    with pytest.raises(ModelError, match="is gone"):
        VolumeDetector(a_scheme, load_model(f"{folder}/"), device="cpu")
    fields = json.loads((folder / "card.json").read_text())
    fields["volume"]["file"] = "../volume.safetensors"
    (folder / "card.json").write_text(json.dumps(fields))
    with pytest.raises(ModelError, match="not beside the card"):
        read_card(folder / "card.json")


def test_the_knowledge_file_of_an_installed_model_is_verified_and_missed(
    a_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLANDMARK_HOME", str(tmp_path))
    path = Path(shutil.copytree(a_model_folder, tmp_path / "models" / "balls")) / "volume.safetensors"
    assert {check.path.name: check.is_right for check in verify_model("balls")} == {
        "model.safetensors": True, "volume.safetensors": True,
    }  # fmt: skip
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert [check.path for check in verify_model("balls") if not check.is_right] == [path]
    path.unlink()
    with pytest.raises(ModelError, match="lost"):
        model_card("balls")


def test_a_card_of_an_earlier_version_names_no_knowledge_file_and_still_loads(
    a_scheme, a_model_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(a_model_folder, tmp_path / "model"))
    fields = json.loads((folder / "card.json").read_text())
    del fields["volume"]
    (folder / "card.json").write_text(json.dumps(fields))
    assert VolumeDetector(a_scheme, load_model(f"{folder}/"), device="cpu").knowledge.spread == 1.0


def test_points_are_found_in_patient_space_and_stand_on_the_right_voxels(a_detector) -> None:
    pose = a_pose()
    image = a_body(pose)
    detection = found_by_truth(a_detector, image, pose)
    for landmark, truth in zip(detection.frames[0].landmarks, transformed(pose, BALL_CENTRES), strict=True):
        assert np.linalg.norm(np.array(landmark.ras) - truth) < 0.2  # voxels of 1 mm; the shape draws a little
        np.testing.assert_allclose(image.ras_from_ijk(landmark.ijk), landmark.ras, atol=1e-6)
        assert landmark.status is Status.PREDICTED and landmark.confidence > 0.9
    settings = detection.settings["volume"]
    assert np.array(settings["covariance_ras_mm2"]["1"]).shape == (3, 3)
    assert settings["pose_correlation"] > 0.9
    assert any("turned by" in note for note in detection.notes)


def test_a_landmark_outside_the_field_of_view_is_missing_and_not_at_the_border(a_detector) -> None:
    pose = a_pose(angles=(0.0, 0.0, 0.0), shift=(0.0, 0.0, 0.0))
    image = a_body(pose)
    cut = an_image(image.pixels[0, :, :36].copy(), image.ijk_to_ras)  # the front, with the third ball's centre
    detection = found_by_truth(a_detector, cut, pose)
    third = detection.frames[0].landmarks["3"]
    assert third.status is Status.MISSING and "outside the field of view" in third.reason
    assert third.ras[1] > cut.ras_from_ijk((0, 35.5, 0))[1]
    assert detection.frames[0].landmarks["1"].status is Status.PREDICTED


def test_a_point_that_no_plane_shows_is_doubtful_though_the_others_tell_its_place(a_detector) -> None:
    pose = a_pose()
    hidden = BALL_CENTRES.copy()
    hidden[4] = (90.0, 0.0, 0.0)
    landmark = found_by_truth(a_detector, a_body(pose), pose, hidden).frames[0].landmarks["5"]
    assert landmark.status is Status.DOUBTFUL and "placed by the other landmarks" in landmark.reason
    assert np.linalg.norm(np.array(landmark.ras) - transformed(pose, BALL_CENTRES)[4]) < 1.0


def test_a_point_far_from_where_the_others_have_it_is_doubtful(a_detector) -> None:
    pose = a_pose()
    wrong = BALL_CENTRES.copy()
    wrong[4] += (0.0, 5.0, 3.0)
    landmark = found_by_truth(a_detector, a_body(pose), pose, wrong).frames[0].landmarks["5"]
    assert landmark.status is Status.DOUBTFUL and "spreads from where" in landmark.reason


def test_another_anatomy_gives_no_points(a_detector) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 40)).astype(np.uint8)
    detection = found_by_truth(a_detector, an_image(noise, np.eye(4)), np.eye(4))
    assert {landmark.status for landmark in detection.frames[0].landmarks} == {Status.MISSING}
    assert "not in this volume" in detection.frames[0].landmarks["1"].reason


def test_a_model_that_was_not_trained_on_volumes_is_never_believed(a_scheme, a_model_folder, tmp_path) -> None:
    detector = VolumeDetector(a_scheme, load_model(f"{a_model_folder}/"), device="cpu")
    detector.knowledge = None
    image = a_body(np.eye(4))
    pixel = 48 / 257
    reader = TrueReader(BALL_CENTRES, 257 / 24)
    landmarks = detector.detect_with(reader, image).frames[0].landmarks
    assert {landmark.status for landmark in landmarks} == {Status.DOUBTFUL}
    assert "not trained on planes of volumes" in landmarks["1"].reason
    errors = np.linalg.norm([landmark.ras for landmark in landmarks] - BALL_CENTRES, axis=1)
    assert errors.max() < pixel


def test_the_network_reads_planes_a_batch_at_a_time_and_stops_when_asked(a_detector) -> None:
    image = a_body(a_pose())
    told: list[float] = []
    with pytest.raises(DetectionCancelled):
        a_detector.detect(image, progress=lambda fraction, _: told.append(fraction), should_stop=lambda: len(told) > 1)
    assert 0.0 <= told[-1] < 0.3


def test_planes_that_show_nothing_are_not_given_to_the_network(a_detector) -> None:
    from MedLandmarkLib.plane import plane_about

    image = a_body(a_pose())
    reader = NetworkReader(image, a_detector.detector.detector, 8)
    away = plane_about((900, 0, 0), (1, 0, 0), (0, 1, 0), 0.5, (65, 65))
    through = plane_about((0, 0, 0), (1, 0, 0), (0, 1, 0), 0.5, (65, 65))
    readings = reader.read([away, through, away])
    assert reader.planes_shown == 1
    assert not readings.heights[[0, 2]].any() and readings.heights[1].any()


def a_volume(values: np.ndarray, **changes: object) -> Image:
    image = an_image(values, np.eye(4))
    return replace(image, **changes) if changes else image


def with_nan(values: np.ndarray) -> Image:
    """Made by hand: nobody has replaced what is no number."""
    values = np.where(values > 250, np.nan, values).astype(np.float32)
    return an_image(values, np.eye(4), Display(Window(128, 256, "LINEAR_EXACT")))


NOISE = np.random.default_rng(1).integers(0, 255, (20, 24, 28)).astype(np.uint8)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image(np.stack([NOISE[..., None]] * 3), np.eye(4), Calibration("calibrated", "t", (1, 1))), "3 volumes"),
        (a_volume(NOISE[:1]), "too few slices"),
        (a_volume(NOISE, calibration=Calibration("none", "the header states no spacing")), "no voxel size"),
        (a_volume((NOISE // 64).astype(np.uint8)), "label map"),
        (a_volume(np.full_like(NOISE, 7)), "value 7 everywhere"),
        (with_nan(NOISE), "no finite numbers"),
    ],
    ids=["4D", "one slice", "no spacing", "label map", "one value", "NaN"],
)
def test_what_cannot_be_searched_is_refused_before_any_work(a_detector, image, message) -> None:
    with pytest.raises(ImageError, match=message):
        a_detector.detect(image)


def test_voxels_that_are_no_numbers_are_refused_without_a_grey_window_too() -> None:
    with pytest.raises(ImageError, match="no finite numbers"):
        an_image(np.full((20, 24, 28), np.nan, np.float32), np.eye(4))


def test_a_named_frame_of_several_volumes_is_taken(a_detector) -> None:
    body = a_body(a_pose()).pixels[0]
    both = np.stack((np.zeros_like(body), body))
    image = Image(both, a_body(a_pose()).ijk_to_ras, Calibration("calibrated", "test", (1, 1)))
    reader = TrueReader(transformed(a_pose(), BALL_CENTRES), GEOMETRY.fade_px)
    assert a_detector.detect_with(reader, image, frame=1).frames[0].landmarks.frame == 1
    with pytest.raises(ImageError, match="no frame 2"):
        a_detector.detect(image, frame=2)


def test_directions_must_be_known(a_detector) -> None:
    with pytest.raises(ImageError, match="one or more of"):
        a_detector.detect(a_body(a_pose()), directions=("sideways",))


def test_confidence_is_the_share_of_errors_within_the_tolerance() -> None:
    rng = np.random.default_rng(0)
    errors = np.linalg.norm(rng.normal(0, 0.4, (20000, 3)), axis=1)
    said = probability_within(0.6, np.eye(3) * 0.4**2)
    assert said == pytest.approx((errors <= 0.6).mean(), abs=0.01)
    assert fitted_spread(errors, np.tile(np.eye(3) * 0.2**2, (20000, 1, 1))) == pytest.approx(2.0, abs=0.05)
