"""Fitting all that a model's confidence for one scheme needs, from the pictures as the product detects them.

Three kinds of training cases come in: those the network learned from tell what the right kind of picture looks like;
those it never saw, as they are and varied as other hospitals would have them, tell how often a landmark is right and
how far a picture of the right kind may be from the others. Validation cases are never looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from ..dataset import Case
from ..detection.confidence_files import FEATURES, OTHERS, SHAPE
from ..detection.ends import ordered_ends, pairs_of
from ..detection.gaussian import LowRankGaussian
from ..detection.peak_features import peak_features
from ..detection.picture_check import PictureCheck, PictureLimits
from ..detection.pipeline import LandmarkDetector
from ..detection.shape_model import FARTHEST, ShapeModel
from ..evaluation.calibration import expected_calibration_error
from ..evaluation.landmarks import pixel_scale
from ..scheme import Scheme
from .logistic import choose_features, fit_logistic, fit_offsets, folded_probabilities, log_losses
from .observations import Observation, ReadCase, observe, seen_in

# Fewer held-out landmarks or subjects, or learned shapes, say too little.
ENOUGH_LANDMARKS = 50
ENOUGH_SUBJECTS = 5
_ENOUGH_SHAPES = 20
_COPIES_OF_A_SHAPE = 4
# Pictures that tell what the right kind looks like; more add time, not knowledge.
_MOST_LEARNED = 60
_ENOUGH_VARIED = 60
_MOST_COPIES = 3
_FEATURE_RANK = 16
# How far beyond what nearly all right pictures reach a limit lies: (features, shape). Many points in the right places
# are proof enough of the kind of picture, so that another hospital's grey levels may differ more. Detection fails in
# some right pictures; their points must not stretch the limit of the shape.
_MANY_POINTS = 10
_SLACK_MANY, _SLACK_FEW = (1.8, 2.5), (1.25, 1.5)
_FEATURES_PERCENT, _SHAPE_PERCENT = 99, 97
_LARGEST_SHAPE_LIMIT = 0.75 * FARTHEST
_JOINT_SLACK = 1.1
_LIKENESS_SLACK = 1.1
_TURN_SLACK_DEG = 20.0
_SIZE_SLACK = 1.6
# From few to many; the first is always there. Later signs must earn their place.
_CANDIDATES = (
    ("ln_score",),
    ("ln_score", "ln_shape"),
    ("ln_score", "ln_disagreement"),
    ("ln_score", "ln_spread"),
    ("ln_score", "second_peak"),
    ("ln_score", "ln_shape", "ln_disagreement"),
    ("ln_score", "ln_shape", "ln_spread"),
    ("ln_score", "ln_shape", "second_peak"),
)
# All but the peak's height speak against a landmark; a fit that has it otherwise follows chance.
_SIGNS = {"ln_score": 1.0}

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Calibration:
    """entry: for the model card, without the name of the arrays' file. arrays: float32, for that file.

    notes: what could not be fitted and why; entry is None where nothing could.
    """

    entry: dict[str, Any] | None
    arrays: dict[str, torch.Tensor] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def calibrate_scheme(
    detector: LandmarkDetector,
    learned: Sequence[ReadCase],
    held_out: Sequence[ReadCase],
    *,
    strangers: Sequence[Case] = (),
    seed: int = 0,
    progress: Progress | None = None,
) -> Calibration:
    """Fit the confidence of a detector for its scheme; `learned` and `held_out` are of split "train".

    strangers: what the network learned for other schemes. The detector's own confidence, if it has one, is not used.
    """
    scheme = detector.scheme
    subjects = len({case.subject for case, _ in held_out})
    if subjects < ENOUGH_SUBJECTS:
        few = f"{scheme.id}: {subjects} held-out subjects are too few ({ENOUGH_SUBJECTS} needed): not calibrated"
        return Calibration(None, notes=(few,))
    order = np.random.default_rng(seed).permutation(len(learned))[:_MOST_LEARNED]
    some = [learned[index] for index in order]
    copies = min(_MOST_COPIES, math.ceil(_ENOUGH_VARIED / len(held_out)))
    looks = np.cumsum([2 * len(some), (1 + copies) * len(held_out), len(strangers)])
    first, second = (looks[:2] / looks[2]).tolist()
    plain, varied = observe(detector, some, copies=1, seed=seed, progress=_part(progress, 0.0, first))
    held, held_varied = observe(
        detector, held_out, copies=copies, seed=seed + 1, progress=_part(progress, first, second)
    )
    shape = _shape_model(learned, scheme)
    seen = [item.peaks.features for item in (*plain, *varied) if item.peaks.features is not None]
    features = _gaussian(seen)
    others = _gaussian(seen_in(detector, strangers, _part(progress, second, 1.0)))
    check = PictureCheck(PictureLimits(), shape, features, scheme.modality, others)
    limits = _limits(check, [*varied, *held, *held_varied], [*held, *held_varied], scheme)
    if len(scheme) < _MANY_POINTS:
        limits = replace(limits, joint=_joint_limit(replace(check, limits=limits), [*held, *held_varied]))
    notes = () if shape else (f"{scheme.id}: fewer than {_ENOUGH_SHAPES} complete shapes: no check of the shape",)
    entry, fit_notes = _regression(held, held_varied, check, scheme)
    entry = {**entry, "picture": {name: value for name, value in vars(limits).items() if value is not None}}
    arrays = {
        **({SHAPE + name: array for name, array in shape.to_arrays().items()} if shape else {}),
        **({FEATURES + name: array for name, array in features.to_arrays().items()} if features else {}),
        **({OTHERS + name: array for name, array in others.to_arrays().items()} if others else {}),
    }
    return Calibration(entry, {name: torch.from_numpy(array) for name, array in arrays.items()}, notes + fit_notes)


def _shape_model(cases: Sequence[ReadCase], scheme: Scheme) -> ShapeModel | None:
    """From the readings, in the steady order of interchangeable ends that the network learned.

    Each counts several times, its points moved at random by as much as the scheme tolerates: points that are computed,
    as the ends of an ellipse's axes, lie so exactly to each other that no detection could be their like.
    """
    if len(scheme) < 3:
        return None
    generator = np.random.default_rng(0)
    complete = []
    for case, rater in cases:
        reading = case.reference(rater)
        if set(scheme.names) <= set(reading):
            points = np.array([reading[name] for name in scheme.names], float)
            spread = _tolerance_px(case, scheme) / (2.0 * math.sqrt(2.0))  # along each axis; half of it, radially
            complete += [points + generator.normal(0.0, spread, points.shape) for _ in range(_COPIES_OF_A_SHAPE)]
    if len(complete) < _ENOUGH_SHAPES * _COPIES_OF_A_SHAPE:
        return None
    return ShapeModel.fit(ordered_ends(torch.from_numpy(np.stack(complete)), pairs_of(scheme)).numpy())


def _tolerance_px(case: Case, scheme: Scheme) -> float:
    """The scheme's tolerance in pixels of the case; 0 where it is in mm and the case has no spacing."""
    if scheme.sdr_unit == "mm" and not case.spacing_mm:
        return 0.0
    return scheme.tolerance / float(np.mean(pixel_scale(case, scheme.sdr_unit, scheme)[:2]))


def _gaussian(features: Sequence[np.ndarray]) -> LowRankGaussian | None:
    return LowRankGaussian.fit(np.stack(features), _FEATURE_RANK) if len(features) >= _ENOUGH_SHAPES else None


def _limits(
    check: PictureCheck, detected: Sequence[Observation], unseen: Sequence[Observation], scheme: Scheme
) -> PictureLimits:
    """Beyond what pictures of the right kind reach: `detected` by their points, `unseen` by the network's features."""
    feature_slack, shape_slack = _SLACK_MANY if len(scheme) >= _MANY_POINTS else _SLACK_FEW
    distances = [check.feature_distance(item.peaks) for item in unseen]
    likeness = [check.likeness(item.peaks) for item in unseen]
    fits = [fit for fit in (check.fit_shape(item.peaks) for item in detected) if fit is not None]
    turns, sizes = ([getattr(fit, name) for fit in fits] for name in ("turn_deg", "size"))
    least_turn, most_turn = np.percentile(turns, (1, 99)) if turns else (0.0, 0.0)
    has_turn = bool(turns) and not scheme.interchangeable and most_turn - least_turn < 180.0
    return PictureLimits(
        features=None if None in distances else _rounded(feature_slack * np.percentile(distances, _FEATURES_PERCENT)),
        shape=_shape_limit([fit.distance for fit in fits], shape_slack),
        turn_deg=(_rounded(least_turn - _TURN_SLACK_DEG), _rounded(most_turn + _TURN_SLACK_DEG)) if has_turn else None,
        size=(_rounded(np.percentile(sizes, 1) / _SIZE_SLACK), _rounded(np.percentile(sizes, 99) * _SIZE_SLACK))
        if sizes
        else None,
        likeness=None if None in likeness else _rounded(_LIKENESS_SLACK * np.percentile(likeness, _FEATURES_PERCENT)),
    )


def _shape_limit(distances: Sequence[float], slack: float) -> float | None:
    if not distances:
        return None
    return _rounded(min(slack * np.percentile(distances, _SHAPE_PERCENT), _LARGEST_SHAPE_LIMIT))


def _joint_limit(check: PictureCheck, unseen: Sequence[Observation]) -> float | None:
    """Few points alone tell little of the kind of picture; a little of both signs then counts as well."""
    joint = [check.joint_distance(item.peaks, check.fit_shape(item.peaks)) for item in unseen]
    if None in joint:
        return None
    return _rounded(max(1.0, _JOINT_SLACK * np.percentile(joint, _SHAPE_PERCENT)))


def _regression(
    held: Sequence[Observation], held_varied: Sequence[Observation], check: PictureCheck, scheme: Scheme
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The card's entry for the probability; empty with a note where there is too little to learn from."""
    columns, is_right, subjects, weights, landmarks = _table([*held, *held_varied], check, scheme)
    plain = sum(int((~np.isnan(item.errors)).sum()) for item in held)  # the first rows: of the pictures as they are
    if plain < ENOUGH_LANDMARKS:
        few = f"{scheme.id}: {plain} held-out landmarks are too few ({ENOUGH_LANDMARKS} needed): not calibrated"
        return {}, (few,)
    plausible = [names for names in _CANDIDATES if _is_plausible(names, columns, is_right, weights)]
    notes = ()
    if not plausible:  # then every landmark has the same confidence: the share that is right
        notes = (f"{scheme.id}: a higher peak is not right more often; the network has not learned the scheme",)
        plausible, columns = [_CANDIDATES[0]], {**columns, "ln_score": np.zeros(len(is_right))}
    names = choose_features(plausible, columns, is_right, subjects, weights)
    values = np.column_stack([columns[name] for name in names])
    fitted = fit_logistic(values, is_right, weights)
    folded = folded_probabilities(values, is_right, subjects, weights)
    by_landmark = folded_probabilities(values, is_right, subjects, weights, landmarks)
    offsets = None
    if np.average(log_losses(by_landmark, is_right) - log_losses(folded, is_right), weights=weights) < 0:
        offsets = fit_offsets(fitted.exponent(values), is_right, landmarks, len(scheme), weights)
        folded = by_landmark
    features = {
        name: {"weight": float(fitted.weights[n]), "mean": float(fitted.mean[n]), "scale": float(fitted.scale[n])}
        for n, name in enumerate(names)
    }
    figures = {
        "pictures": len(held),
        "landmarks": plain,
        "share_right": _rounded(is_right[:plain].mean()),
        "expected_calibration_error": _rounded(expected_calibration_error(folded, is_right)),
    }
    told = {} if offsets is None else {"offsets": [_rounded(offset) for offset in offsets]}
    return {"intercept": fitted.intercept, "features": features, **told, "calibration": figures}, notes


def _table(
    observations: Sequence[Observation], check: PictureCheck, scheme: Scheme
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A row for each landmark that was read: the signs by name, whether right, subject, weight, number; (N,) each."""
    rows: dict[str, list[np.ndarray]] = {}
    is_right, subjects, weights, landmarks = [], [], [], []
    for item in observations:
        known = ~np.isnan(item.errors)
        for name, values in peak_features(item.peaks, check.fit_shape(item.peaks)).items():
            rows.setdefault(name, []).append(values[known])
        is_right.append(item.errors[known] <= scheme.tolerance)
        subjects += [item.subject] * int(known.sum())
        weights.append(np.full(int(known.sum()), item.weight))
        landmarks.append(np.flatnonzero(known))
    columns = {name: np.concatenate(values) for name, values in rows.items()}
    joined = (np.concatenate(is_right), np.array(subjects), np.concatenate(weights), np.concatenate(landmarks))
    return columns, *joined


def _is_plausible(
    names: Sequence[str], columns: dict[str, np.ndarray], is_right: np.ndarray, weights: np.ndarray
) -> bool:
    """Whether the detection gave all these signs, and each speaks for or against a landmark as it should."""
    if not set(names) <= set(columns):
        return False
    fitted = fit_logistic(np.column_stack([columns[name] for name in names]), is_right, weights)
    return all(_SIGNS.get(name, -1.0) * weight > 0 for name, weight in zip(names, fitted.weights, strict=True))


def _rounded(value: float) -> float:
    return round(float(value), 3)


def _part(progress: Progress | None, start: float, stop: float) -> Progress | None:
    if progress is None:
        return None
    return lambda fraction, text: progress(start + fraction * (stop - start), text)
