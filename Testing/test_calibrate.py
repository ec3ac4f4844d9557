"""Calibration: what a probability is fitted to, and a model folder that carries it."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from typer.testing import CliRunner

from MedLandmarkLib.cli.application import app
from MedLandmarkLib.detection import LandmarkDetector, detect
from MedLandmarkLib.detection.views import STANDARD_VIEWS
from MedLandmarkLib.errors import DatasetError, ModelError
from MedLandmarkLib.evaluation import least_calibration_error
from MedLandmarkLib.image import read_image
from MedLandmarkLib.models.catalogue import SchemeChannels, Weights, catalogue, read_card
from MedLandmarkLib.models.lite import LiteNetwork
from MedLandmarkLib.models.loading import load
from MedLandmarkLib.models.tensors import write_tensors
from MedLandmarkLib.resources import resource_path
from MedLandmarkLib.training.calibrate_model import _calibration, calibrate_model, holdout_of, write_calibration
from MedLandmarkLib.training.logistic import (
    choose_features,
    fit_logistic,
    fit_offsets,
    folded_probabilities,
    log_losses,
)
from MedLandmarkLib.training.tasks import TaskRequest
from MedLandmarkLib.training.variation import moved, varied_picture

LANDMARKS = ("OFD_1", "OFD_2", "BPD_1", "BPD_2")


def a_dataset_of_ellipses(folder: Path, subjects: int, brightness: int = 200) -> Path:
    """Ellipses whose axes' ends are the landmarks of fetal-head-4; one picture of 48 × 40 px per subject."""
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    cases, landmarks = [], []
    y, x = np.mgrid[:40, :48]
    for number in range(subjects):
        (cx, cy), (a, b) = generator.uniform((20, 16), (28, 24)), generator.uniform((11, 7), (15, 10))
        picture = np.where(((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1, brightness, 30).astype(np.uint8)
        sitk.WriteImage(sitk.GetImageFromArray(picture), str(folder / f"images/{number}.png"))
        cases.append((number, f"images/{number}.png", 48, 40, 0.5, 0.5, f"s{number}", "train"))
        ends = ((cx - a, cy), (cx + a, cy), (cx, cy - b), (cx, cy + b))
        landmarks += [(number, "a reader", name, *end) for name, end in zip(LANDMARKS, ends, strict=True)]
    _write_csv(folder / "cases.csv", "case,file,width,height,spacing_x_mm,spacing_y_mm,subject,split", cases)
    _write_csv(folder / "landmarks.csv", "case,rater,landmark,x,y", landmarks)
    names = [{"name": name} for name in LANDMARKS]
    (folder / "dataset.json").write_text(json.dumps({"name": "ellipses", "dimension": 2, "landmarks": names}))
    return folder


def _write_csv(path: Path, header: str, rows: list[tuple]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])


@pytest.fixture
def a_model_folder(tmp_path: Path) -> Path:
    """A network that learned nothing, for fetal-head-4 on a canvas of 65 × 65 px, whose card tells of no confidence."""
    folder = tmp_path / "model"
    folder.mkdir()
    torch.manual_seed(0)
    network = LiteNetwork(4)
    sha256 = write_tensors(folder / "model.safetensors", network.state_dict())
    lite = catalogue()["lite"]
    card = replace(
        lite, id="ellipses", family="lite", confidence=None,
        architecture={"keypoints": 4, "width": 64, "sigma": 2.0, "activation": "softmax", "domains": [[0, 4]]},
        input=replace(lite.input, size_wh=(65, 65), heatmap_size_wh=(17, 17)),
        schemes={"fetal-head-4": SchemeChannels(0, 4)},
        training={"data": ["ellipses"], "recipe": json.dumps({"holdout": 0.4, "seed": 0})},
        weights=Weights("model.safetensors", sha256, (folder / "model.safetensors").stat().st_size),
    )  # fmt: skip
    (folder / "card.json").write_text(json.dumps(card.to_json()))
    return folder


def test_a_model_folder_is_calibrated_by_one_command(a_model_folder: Path, tmp_path: Path) -> None:
    dataset = a_dataset_of_ellipses(tmp_path / "data", subjects=40)
    weights = (a_model_folder / "model.safetensors").read_bytes()
    result = CliRunner().invoke(app, ["models", "calibrate", str(a_model_folder), f"{dataset}=fetal-head-4"])
    assert result.exit_code == 0, result.output
    card = json.loads((a_model_folder / "card.json").read_text())
    schema = json.loads(resource_path("Model-schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator({**schema["$defs"]["card"], "$defs": schema["$defs"]}).validate(card)
    entry = card["confidence"]["fetal-head-4"]
    assert entry["calibration"]["pictures"] == 16 and entry["calibration"]["landmarks"] == 64
    assert set(entry["picture"]) == {
        "features",
        "shape",
        "size",
        "joint",
    }  # the ends of an axis have no turn of their own
    assert (a_model_folder / "model.safetensors").read_bytes() == weights
    assert (a_model_folder / entry["arrays"]["file"]).stat().st_size < 100_000
    landmarks = detect(dataset / "images/0.png", "fetal-head-4", f"{a_model_folder}/").frames[0].landmarks
    assert all(landmark.confidence is not None for landmark in landmarks)


def test_a_calibration_may_change_in_how_many_views_a_scheme_is_detected(a_model_folder: Path, tmp_path: Path) -> None:
    request = TaskRequest(a_dataset_of_ellipses(tmp_path / "data", subjects=20), "fetal-head-4")
    calibrate_model(a_model_folder, [request], holdout=0.5, seed=1, views={"fetal-head-4": 3})
    assert read_card(a_model_folder / "card.json").channels("fetal-head-4").views == STANDARD_VIEWS[:2]
    with pytest.raises(DatasetError, match="fetal-head-4: 9 views are not possible; give 1 to 4"):
        calibrate_model(a_model_folder, [request], holdout=0.5, seed=1, views={"fetal-head-4": 9})
    command = ["models", "calibrate", str(a_model_folder), f"{request.folder}=fetal-head-4", "--views", "fetal-head-4"]
    assert "is not SCHEME=N" in CliRunner().invoke(app, command).output


def test_a_model_that_learned_from_all_cases_takes_the_probabilities_of_its_twin(
    a_model_folder: Path, tmp_path: Path
) -> None:
    request = TaskRequest(a_dataset_of_ellipses(tmp_path / "data", subjects=40), "fetal-head-4")
    twin = shutil.copytree(a_model_folder, tmp_path / "twin")
    with pytest.raises(ModelError, match="states no probabilities for scheme 'fetal-head-4': calibrate it first"):
        calibrate_model(a_model_folder, [request], holdout=0.4, seed=0, twins={"fetal-head-4": twin})
    calibrate_model(twin, [request], holdout=0.5, seed=3)
    command = ["models", "calibrate", str(a_model_folder), f"{request.folder}=fetal-head-4", "--twin"]
    assert "is not SCHEME=FOLDER" in CliRunner().invoke(app, [*command, str(twin)]).output
    assert CliRunner().invoke(app, [*command, f"fetal-head-4={twin}"]).exit_code == 0
    own, its = (read_card(folder / "card.json").confidence["fetal-head-4"] for folder in (a_model_folder, twin))
    assert own["calibration"] == its["calibration"] and own["calibration"]["pictures"] == 20
    assert (own["intercept"], own["features"]) == (its["intercept"], its["features"])
    assert own["picture"] != its["picture"] and own["arrays"]["sha256"] != its["arrays"]["sha256"]


def test_what_the_network_learned_for_other_schemes_tells_what_is_no_picture_of_this_one(
    a_model_folder: Path, tmp_path: Path
) -> None:
    own = TaskRequest(a_dataset_of_ellipses(tmp_path / "data", subjects=30), "fetal-head-4")
    other = TaskRequest(a_dataset_of_ellipses(tmp_path / "dark", subjects=30, brightness=60), "another-scheme")
    told: list[tuple[float, str]] = []
    loaded = load(read_card(a_model_folder / "card.json"))
    calibration = _calibration(loaded, [own], [other], 0.5, 0, None, lambda *step: told.append(step))
    fractions = np.array([fraction for fraction, _ in told])
    assert fractions[0] == 0.0 and 0.95 < fractions[-1] < 1.0 and np.diff(fractions).min() >= 0.0
    assert np.diff(fractions).max() < 0.05 and "which is not of fetal-head-4" in told[-1][1]
    write_calibration(a_model_folder, "fetal-head-4", calibration)
    detector = LandmarkDetector("fetal-head-4", f"{a_model_folder}/")
    check = detector.confidence.check
    likeness = []
    for request in (own, other):
        (peaks,) = detector.peaks([read_image(request.folder / "images/3.png").display_rgb()])
        likeness.append(check.likeness(peaks))
    assert likeness[0] < check.limits.likeness < likeness[1]


def test_the_same_calibration_gives_the_same_files(a_model_folder: Path, tmp_path: Path) -> None:
    request = TaskRequest(a_dataset_of_ellipses(tmp_path / "data", subjects=30), "fetal-head-4")
    written = []
    for _ in range(2):
        calibrate_model(a_model_folder, [request], holdout=0.5, seed=1)
        written.append({path.name: path.read_bytes() for path in a_model_folder.iterdir()})
    assert written[0] == written[1]


def test_too_few_held_out_cases_are_said_and_leave_the_model_as_it_was(a_model_folder: Path, tmp_path: Path) -> None:
    request = TaskRequest(a_dataset_of_ellipses(tmp_path / "data", subjects=4), "fetal-head-4")
    (note,) = calibrate_model(a_model_folder, [request], holdout=0.12, seed=0)
    assert "fetal-head-4: 0 held-out subjects are too few" in note
    assert read_card(a_model_folder / "card.json").confidence is None
    assert not list(a_model_folder.glob("confidence-*"))


def test_a_card_that_does_not_tell_its_holdout_says_which_options_to_give(a_model_folder: Path) -> None:
    assert holdout_of(a_model_folder) == (0.4, 0)
    card = json.loads((a_model_folder / "card.json").read_text())
    (a_model_folder / "card.json").write_text(json.dumps({**card, "training": None}))
    with pytest.raises(ModelError, match="--holdout and --seed"):
        holdout_of(a_model_folder)


@pytest.mark.parametrize("seed", range(6))
def test_points_follow_a_varied_picture(seed: int) -> None:
    picture = np.zeros((300, 240, 3), np.uint8)
    spot_xy = np.array([121.0, 148.0])
    y, x = np.mgrid[:300, :240]
    picture[...] = (250 * np.exp(-((x - spot_xy[0]) ** 2 + (y - spot_xy[1]) ** 2) / 60.0))[..., None].astype(np.uint8)
    changed, matrix = varied_picture(picture, np.random.default_rng(seed), marked_share=0.0)
    weight = changed[..., 0].astype(float) ** 4
    y, x = np.mgrid[: changed.shape[0], : changed.shape[1]]
    found = np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()
    assert np.allclose(found, moved(spot_xy, matrix), atol=0.5)


def test_a_varied_picture_is_the_same_for_the_same_seed_and_marked_now_and_then() -> None:
    picture = np.full((80, 60, 3), 90, np.uint8)
    copies = [varied_picture(picture, np.random.default_rng(seed))[0] for seed in range(12)]
    assert np.array_equal(copies[0], varied_picture(picture, np.random.default_rng(0))[0])
    assert 2 <= sum(int(copy.max()) > 200 for copy in copies) <= 10
    assert len({copy.shape for copy in copies}) > 6


def test_a_regression_finds_the_truth_it_was_drawn_from() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal((1.0, -3.0), (0.5, 2.0), size=(4000, 2))
    truth = 1.0 / (1.0 + np.exp(-(0.5 + 1.2 * (features[:, 0] - 1.0) - 0.4 * (features[:, 1] + 3.0))))
    fitted = fit_logistic(features, generator.uniform(size=4000) < truth)
    assert np.abs(fitted(features) - truth).mean() < 0.02


def test_a_regression_of_cases_that_are_all_right_stays_below_certainty() -> None:
    features = np.random.default_rng(0).normal(size=(60, 1))
    probabilities = fit_logistic(features, np.ones(60, bool))(features)
    assert np.isfinite(probabilities).all() and 0.9 < probabilities.min() <= probabilities.max() < 0.999


def test_a_landmark_that_is_harder_than_its_signs_say_is_believed_less() -> None:
    generator = np.random.default_rng(2)
    kinds, exponent = np.arange(1200) % 4, generator.normal(1.0, 0.3, size=1200)
    truth = np.array([0.8, 0.0, -1.5, 0.0])
    is_right = generator.uniform(size=1200) < 1.0 / (1.0 + np.exp(-(exponent + truth[kinds])))
    np.testing.assert_allclose(fit_offsets(exponent, is_right, kinds, 4), truth, atol=0.35)
    few = fit_offsets(exponent[:8], is_right[:8], kinds[:8], 5)
    assert np.abs(few).max() < 1.0 and few[4] == 0.0  # what was never seen is as usual
    groups = np.arange(1200) // 4
    losses = [
        log_losses(folded_probabilities(exponent[:, None], is_right, groups, kinds=own), is_right).mean()
        for own in (None, kinds)
    ]
    assert losses[1] < losses[0] - 0.02


def test_folds_keep_a_subject_together() -> None:
    features = np.arange(12.0)[:, None]
    groups = np.repeat(["a", "b", "c"], 4)
    is_right = groups == "b"
    # were a row of b in the fit of another row of b, an extreme value could be learned from it
    probabilities = folded_probabilities(features, is_right, groups)
    assert probabilities[is_right].max() < 0.5


def test_a_sign_that_says_nothing_is_not_chosen_and_one_that_does_is() -> None:
    generator = np.random.default_rng(1)
    columns = {name: generator.normal(size=600) for name in ("ln_score", "ln_shape", "noise")}
    exponent = 0.8 + columns["ln_score"] - 1.5 * columns["ln_shape"]
    is_right = generator.uniform(size=600) < 1.0 / (1.0 + np.exp(-exponent))
    candidates = (("ln_score",), ("ln_score", "noise"), ("ln_score", "ln_shape"), ("ln_score", "ln_shape", "noise"))
    chosen = choose_features(candidates, columns, is_right, np.repeat(np.arange(60), 10))
    assert chosen == ("ln_score", "ln_shape")


def test_few_landmarks_cannot_show_a_small_calibration_error() -> None:
    few, many = (least_calibration_error(np.linspace(0.3, 0.95, count)) for count in (60, 6000))
    assert few > 0.06 and many < 0.015
