"""Confidence: from peaks and their picture to predicted, doubtful with the reason, or missing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import BLACK
from shapes import peaks_at, similar, some_shapes

from MedLandmarkLib.detection.confidence import ConfidenceModel, FeatureWeight
from MedLandmarkLib.detection.confidence_files import read_confidence
from MedLandmarkLib.detection.gaussian import LowRankGaussian
from MedLandmarkLib.detection.peak_features import PEAK_FEATURES, peak_features
from MedLandmarkLib.detection.picture_check import PictureCheck, PictureLimits
from MedLandmarkLib.detection.pooled_features import pooled_features
from MedLandmarkLib.detection.shape_model import ShapeModel
from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.models.catalogue import catalogue
from MedLandmarkLib.models.lite import LiteNetwork
from MedLandmarkLib.scheme import load_scheme
from MedLandmarkLib.training.calibrate_model import write_calibration
from MedLandmarkLib.training.confidence_fit import Calibration

INSIDE = [True] * 12
LIMITS = PictureLimits(features=2.0, shape=3.0, turn_deg=(-40.0, 40.0), size=(40.0, 250.0))


@pytest.fixture
def a_shape() -> np.ndarray:
    return some_shapes(1, seed=5)[0]


@pytest.fixture
def a_check() -> PictureCheck:
    features = LowRankGaussian.fit(np.random.default_rng(0).normal(size=(100, 8)), rank=4)
    return PictureCheck(LIMITS, ShapeModel.fit(some_shapes()), features, "outline drawing")


@pytest.fixture
def a_confidence(a_check: PictureCheck) -> ConfidenceModel:
    """Falls with the height of the peak and with the distance from where the other points put the landmark."""
    features = {"ln_score": FeatureWeight(1.5), "ln_shape": FeatureWeight(-2.0, mean=0.7, scale=0.6)}
    return ConfidenceModel(intercept=3.0, features=features, check=a_check)


def test_clear_peaks_in_their_places_are_predicted(a_confidence: ConfidenceModel, a_shape: np.ndarray) -> None:
    judgements = a_confidence.judge(peaks_at(a_shape, features=np.zeros(8)), INSIDE)
    assert {item.status for item in judgements} == {Status.PREDICTED}
    assert all(0.5 <= item.confidence <= 1.0 and item.reason == "" for item in judgements)


def test_a_point_out_of_place_is_doubtful_and_says_so(a_confidence: ConfidenceModel, a_shape: np.ndarray) -> None:
    a_shape[4] += (20.0, -20.0)
    judgements = a_confidence.judge(peaks_at(a_shape), INSIDE)
    assert judgements[4].status is Status.DOUBTFUL and judgements[4].confidence < 0.1
    assert "below 0.50" in judgements[4].reason and "from where the other points put it" in judgements[4].reason
    assert sum(item.status is Status.PREDICTED for item in judgements) >= 9


def test_a_lower_peak_is_believed_less(a_confidence: ConfidenceModel, a_shape: np.ndarray) -> None:
    scores = np.linspace(0.05, 1.0, 12)
    steady = replace(a_confidence, features={"ln_score": FeatureWeight(1.5)})
    confidence = [item.confidence for item in steady.judge(peaks_at(a_shape, scores), INSIDE)]
    assert confidence == sorted(confidence)


def test_without_a_peak_or_outside_the_picture_a_landmark_is_missing(
    a_confidence: ConfidenceModel, a_shape: np.ndarray
) -> None:
    scores = np.full(12, 0.9)
    scores[2] = 0.0
    judgements = a_confidence.judge(peaks_at(a_shape, scores), [True] * 11 + [False])
    assert judgements[2].status is Status.MISSING and "no peak" in judgements[2].reason
    assert judgements[11].status is Status.MISSING and "outside the picture" in judgements[11].reason


def _upside_down(shape: np.ndarray) -> np.ndarray:
    return similar(shape, 180.0, 1.0, (0.0, 0.0))


@pytest.mark.parametrize(
    ("changed", "features", "reason"),
    [
        (lambda shape: shape, np.full(8, 9.0), "content is unlike"),
        (lambda shape: np.random.default_rng(3).uniform(0, 100, shape.shape), np.zeros(8), "do not lie to each other"),
        (lambda shape: shape * (-1.0, 1.0) + (100.0, 0.0), np.zeros(8), "in a mirror"),
        (_upside_down, np.zeros(8), "turned by"),
        (lambda shape: similar(shape, 0.0, 0.1, (0.0, 0.0)), np.zeros(8), "closer together"),
    ],
    ids=["unlike content", "scattered points", "mirrored", "upside down", "tiny"],
)
def test_in_a_picture_of_another_kind_no_landmark_is_believed(
    a_confidence: ConfidenceModel, a_shape: np.ndarray, changed, features: np.ndarray, reason: str
) -> None:
    judgements = a_confidence.judge(peaks_at(changed(a_shape), features=features), INSIDE)
    assert {item.status for item in judgements} == {Status.DOUBTFUL}
    assert all(item.confidence == 0.0 for item in judgements)
    assert all(reason in item.reason and "(outline drawing)" in item.reason for item in judgements)


def test_content_that_is_more_like_another_kind_the_network_learned_is_told(
    a_check: PictureCheck, a_shape: np.ndarray
) -> None:
    others = LowRankGaussian.fit(np.random.default_rng(1).normal(1.5, 1.0, size=(100, 8)), rank=4)
    check = replace(a_check, others=others, limits=replace(LIMITS, likeness=1.0))
    of_theirs, of_others = (peaks_at(a_shape, features=np.full(8, level)) for level in (0.1, 1.4))
    assert check.feature_distance(of_others) < LIMITS.features
    assert check.objection(of_theirs, check.fit_shape(of_theirs)) == ""
    assert "as like other kinds of pictures as theirs" in check.objection(of_others, check.fit_shape(of_others))
    assert a_check.likeness(of_others) is None


def test_a_picture_near_two_limits_at_once_is_of_another_kind(a_check: PictureCheck, a_shape: np.ndarray) -> None:
    near = peaks_at(a_shape + np.random.default_rng(0).normal(0, 1.8, a_shape.shape), features=np.full(8, 1.8))
    box, both = a_check, replace(a_check, limits=replace(LIMITS, joint=1.0))
    shape = box.fit_shape(near)
    assert 1.0 < shape.distance < LIMITS.shape and 1.5 < box.feature_distance(near) < LIMITS.features
    assert box.objection(near, shape) == ""
    assert "together are unlike theirs" in both.objection(near, shape)


def test_a_network_without_features_is_checked_by_shape_alone(
    a_confidence: ConfidenceModel, a_shape: np.ndarray
) -> None:
    assert a_confidence.judge(peaks_at(a_shape, features=None), INSIDE)[0].status is Status.PREDICTED
    assert a_confidence.judge(peaks_at(_upside_down(a_shape)), INSIDE)[0].status is Status.DOUBTFUL


def test_a_card_of_the_first_version_is_still_read() -> None:
    model = ConfidenceModel.from_card({"intercept": 1.0, "slope": 2.0, "doubtful_below": 0.6})
    peaks = peaks_at(np.zeros((3, 2)), np.array([1.0, 0.5, 0.1]))
    judgements = model.judge(peaks, [True] * 3)
    expected = 1.0 / (1.0 + np.exp(-(1.0 + 2.0 * np.log([1.0, 0.5, 0.1]))))
    assert [item.confidence for item in judgements] == pytest.approx(expected, rel=1e-5)
    assert [item.status for item in judgements] == [Status.PREDICTED, Status.DOUBTFUL, Status.DOUBTFUL]


def test_a_model_that_was_never_calibrated_gives_no_confidence() -> None:
    judgements = ConfidenceModel.from_card(None).judge(peaks_at(np.zeros((2, 2)), np.array([0.9, 0.1])), [True] * 2)
    assert [item.confidence for item in judgements] == [None, None]
    assert [item.status for item in judgements] == [Status.PREDICTED, Status.DOUBTFUL]


def test_of_two_equal_peaks_that_of_the_harder_landmark_is_believed_less() -> None:
    entry = {"intercept": 0.4, "features": {"ln_score": {"weight": 1.0}}, "offsets": [0.5, -1.5]}
    judgements = ConfidenceModel.from_card(entry).judge(peaks_at(np.zeros((2, 2)), np.ones(2)), [True] * 2)
    expected = [1.0 / (1.0 + np.exp(-exponent)) for exponent in (0.9, -1.1)]
    assert [item.confidence for item in judgements] == pytest.approx(expected)
    assert [item.status for item in judgements] == [Status.PREDICTED, Status.DOUBTFUL]


def test_a_sign_that_the_detection_did_not_give_counts_as_usual() -> None:
    model = ConfidenceModel(0.3, {"ln_score": FeatureWeight(1.0), "ln_disagreement": FeatureWeight(-5.0, 0.2, 0.1)})
    peaks = peaks_at(np.zeros((1, 2)), 1.0)
    usual = replace(peaks, flip_disagreement_px=np.exp([0.2]))
    assert model.judge(peaks, [True])[0].confidence == pytest.approx(model.judge(usual, [True])[0].confidence)


def test_every_sign_is_a_number_whatever_the_peak() -> None:
    peaks = replace(
        peaks_at(np.array([[-1.0, -1.0], [3.0, 4.0]]), np.array([-0.2, 0.5])),
        spread_px=np.array([np.inf, 2.0]), second_peak_ratio=np.array([1.0, 0.0]),
        flip_disagreement_px=np.array([np.inf, 0.0]),
    )  # fmt: skip
    found = peak_features(peaks, None)
    assert set(found) == set(PEAK_FEATURES) - {"ln_shape"}
    assert all(np.isfinite(values).all() for values in found.values())


def test_pooled_features_are_the_mean_of_the_deepest_level() -> None:
    network = LiteNetwork(2).eval()
    canvas = torch.rand(2, 3, 97, 65)
    with torch.inference_mode(), pooled_features(network) as seen:
        network(canvas)
        network(canvas.flip(3))
    assert len(seen) == 2
    with torch.inference_mode():
        assert torch.allclose(seen[0], network.trunk(canvas)[-1].mean(dim=(2, 3)), atol=1e-5)
    assert not network.trunk._forward_hooks


def test_a_network_without_a_trunk_offers_no_features() -> None:
    with pooled_features(torch.nn.Identity()) as seen:
        assert seen == []


@pytest.fixture
def a_model_folder(tmp_path: Path, a_check: PictureCheck) -> Path:
    """The card of the embedded model in a folder of its own, with a made-up calibration for head-19."""
    folder = tmp_path / "model"
    folder.mkdir()
    card = catalogue()["lite"].to_json()
    (folder / "card.json").write_text(json.dumps({**card, "confidence": None}))
    arrays = {"shape." + name: torch.from_numpy(array) for name, array in a_check.shape.to_arrays().items()}
    entry = {
        "intercept": 1.0, "features": {"ln_score": {"weight": 2.0, "mean": -0.1, "scale": 0.2}},
        "picture": {"shape": 3.0, "turn_deg": [-40.0, 40.0]},
    }  # fmt: skip
    write_calibration(folder, "head-19", Calibration(entry, arrays))
    return folder


def _read(folder: Path) -> ConfidenceModel:
    from MedLandmarkLib.models.catalogue import read_card

    return read_confidence(read_card(folder / "card.json"), load_scheme("head-19"))


def test_a_calibration_is_read_from_the_folder_as_it_was_written(
    a_model_folder: Path, a_check: PictureCheck, a_shape: np.ndarray
) -> None:
    model = _read(a_model_folder)
    assert model.check.limits == PictureLimits(shape=3.0, turn_deg=(-40.0, 40.0))
    assert model.features == {"ln_score": FeatureWeight(2.0, -0.1, 0.2)}
    assert model.check.kind == "lateral cephalometric radiograph"
    expected = a_check.shape.compare(a_shape).residual
    assert np.allclose(model.check.shape.compare(a_shape).residual, expected, rtol=1e-3)


def test_a_lost_or_changed_file_of_the_confidence_is_named(a_model_folder: Path) -> None:
    (path,) = a_model_folder.glob("confidence-*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelError, match=f"{path.name} is not the file"):
        _read(a_model_folder)
    path.unlink()
    with pytest.raises(ModelError, match=r"lost .*confidence-head-19"):
        _read(a_model_folder)


@pytest.mark.parametrize(
    "entry",
    [
        {"features": {"ln_score": {"wait": 1.0}}},
        {"intercept": 1.0, "features": 3, "picture": {}},
        {"picture": {"x": 1}},
        {"features": {"ln_score": {"weight": 1.0}}, "offsets": [0.1, 0.2]},
    ],
)
def test_a_confidence_with_a_wrong_field_is_refused(a_model_folder: Path, entry: dict) -> None:
    card = json.loads((a_model_folder / "card.json").read_text())
    (a_model_folder / "card.json").write_text(json.dumps({**card, "confidence": {"head-19": entry}}))
    with pytest.raises(ModelError, match="confidence for head-19"):
        _read(a_model_folder)


def test_an_array_file_elsewhere_is_not_read(a_model_folder: Path) -> None:
    card = json.loads((a_model_folder / "card.json").read_text())
    card["confidence"]["head-19"]["arrays"]["file"] = "../confidence-head-19.safetensors"
    (a_model_folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="is not beside its card"):
        _read(a_model_folder)


def test_black_is_not_a_cephalogram() -> None:
    from MedLandmarkLib.detection import LandmarkDetector

    detector = LandmarkDetector("head-19", "lite")
    (peaks,) = detector.peaks([BLACK])
    assert not [item for item in detector.confidence.judge(peaks, [True] * 19) if item.status is Status.PREDICTED]
