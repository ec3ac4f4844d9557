"""Clips through time: error per frame, beats, peaks, jitter against a known truth; change of length; seconds; memory.

python Testing/Benchmarks/cine.py DATA [--patients 20] [--model lite]

DATA is the folder of the public datasets (Testing/conftest.py); patients are those of the validation split of CAMUS.
How the clips are made: truth_clips.py.
"""

from __future__ import annotations

import csv
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from table import print_table, processor_name
from truth_clips import TruthClip, make_clip

from MedLandmarkLib.detection import LandmarkDetector
from MedLandmarkLib.detection.cine import ClipDetection, detect_clip
from MedLandmarkLib.image import Calibration, read_image
from MedLandmarkLib.image.clip import clip_from_pixels
from MedLandmarkLib.landmark import LandmarkSet
from MedLandmarkLib.measure import measure
from MedLandmarkLib.track import Track

SPACING_MM = 0.308
NAMES = ("mitral_hinge_septal", "mitral_hinge_lateral", "lv_apex", "la_roof")
SCHEME = "a4c-4"


@dataclass
class Scores:
    """Of one clip. Lengths in mm; beats and hits are counts."""

    error_single: float
    error_smooth: float
    jitter_single: float
    jitter_smooth: float
    beats: int
    beats_found: int
    diastoles_hit: int
    systoles_hit: int
    peak_error_percent: float
    peak_kept_percent: float
    peak_kept_without_rhythm_percent: float


def camus(data: Path) -> tuple[dict[str, np.ndarray], dict[str, dict[str, str]]]:
    """Points (4, 2) px by case, NaN where there is none, and the rows of cases.csv."""
    points: dict[str, np.ndarray] = {}
    with open(data / "camus" / "landmarks.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            xy = points.setdefault(row["case"], np.full((4, 2), np.nan))
            xy[NAMES.index(row["landmark"])] = float(row["x"]), float(row["y"])
    with open(data / "camus" / "cases.csv", encoding="utf-8") as file:
        return points, {row["case"]: row for row in csv.DictReader(file)}


def truth_clip(data: Path, patient: str, points: dict[str, np.ndarray], seed: int) -> TruthClip:
    folder, (ed, es) = data / "camus", (f"{patient}_ED", f"{patient}_ES")
    masks = [folder / "masks" / f"{case}.png" for case in (ed, es)]
    return make_clip(folder / "images" / f"{ed}.png", *masks, points[ed], points[es], seed)


def detected(detector: LandmarkDetector, truth: TruthClip) -> ClipDetection:
    clip = clip_from_pixels(
        truth.pictures,
        times_s=truth.times_s,
        time_source="made so",
        calibration=Calibration("calibrated", "CAMUS", (SPACING_MM, SPACING_MM)),
        ijk_to_ras=np.diag((-SPACING_MM, -SPACING_MM, 1.0, 1.0)),
    )
    return detect_clip(detector, clip)


def score(track: Track, detection: ClipDetection, truth: TruthClip) -> Scores:
    """How far a track, and what is measured from it, are from the truth."""
    single, smooth = (_xy(frames) - truth.points for frames in (track.detected, track.frames))  # (F, K, 2)
    measured = detection.measurement
    curve = measured.curve("LV long axis")
    true_length = _length(truth.points)
    found = [(beat.end_diastole, beat.end_systole) for beat in measured.beats]
    pairs = list(zip(truth.end_diastoles, truth.end_systoles, strict=True))
    peak = [curve.values[beat[0]] for beat in found]
    true_peak = np.mean([true_length[frame] for frame in truth.end_diastoles])
    return Scores(
        error_single=float(np.nanmean(np.linalg.norm(single, axis=2))) * SPACING_MM,
        error_smooth=float(np.nanmean(np.linalg.norm(smooth, axis=2))) * SPACING_MM,
        jitter_single=_jitter(single),
        jitter_smooth=_jitter(smooth),
        beats=len(pairs),
        beats_found=len(found),
        diastoles_hit=sum(any(abs(beat[0] - ed) <= 1 for beat in found) for ed, _ in pairs),
        systoles_hit=sum(any(abs(beat[1] - es) <= 1 for beat in found) for _, es in pairs),
        peak_error_percent=100 * abs(np.mean(peak) - true_peak) / true_peak if peak else float("nan"),
        peak_kept_percent=_peak_kept_percent(track, truth),
        peak_kept_without_rhythm_percent=_peak_kept_percent(replace(track, rhythm=()), truth),
    )


def _peak_kept_percent(track: Track, truth: TruthClip) -> float:
    """What smoothing adds to the length at the true end-diastoles, in the mean; below 0 where it flattens the peak."""
    frames = list(truth.end_diastoles)
    single, smooth = (_length(_xy(sets))[frames].mean() for sets in (track.detected, track.frames))
    return float(100 * (smooth - single) / _length(truth.points)[frames].mean())


def _xy(frames: tuple[LandmarkSet, ...]) -> np.ndarray:
    """(F, K, 2) px; NaN where a landmark has no usable place."""
    return np.array(
        [[item.ijk[:2] if item.status.is_usable and item.ijk else (np.nan, np.nan) for item in one] for one in frames]
    )


def _length(points: np.ndarray) -> np.ndarray:
    """(F,) mm, apex to the middle of the hinges."""
    return np.linalg.norm(points[:, 2] - points[:, :2].mean(axis=1), axis=1) * SPACING_MM


def _jitter(error: np.ndarray) -> float:
    """Root mean square change of the error from frame to frame, mm."""
    return float(np.sqrt(np.nanmean(np.sum(np.diff(error, axis=0) ** 2, axis=2)))) * SPACING_MM


def change_of_length(data: Path, detector: LandmarkDetector, patients: list[str]) -> tuple[float, float, int]:
    """ED to ES change of the LV long axis against the masks': mean absolute error in mm, correlation, patients."""
    _, cases = camus(data)
    found, true = [], []
    for patient in patients:
        lengths = {}
        for phase in ("ED", "ES"):
            row = cases[f"{patient}_{phase}"]
            image = read_image(data / "camus" / row["file"], spacing_mm=SPACING_MM)
            result = detector.detect(image).frames[0]
            value = next(
                item.value for item in measure(result.landmarks, detector.scheme) if item.name == "LV long axis"
            )
            lengths[phase] = value, float(row["lv_length_mm"])
        if lengths["ED"][0] is not None and lengths["ES"][0] is not None:
            found.append(lengths["ED"][0] - lengths["ES"][0])
            true.append(lengths["ED"][1] - lengths["ES"][1])
    away = np.abs(np.array(found) - np.array(true))
    return float(away.mean()), float(np.corrcoef(found, true)[0, 1]), len(found)


def summary_rows(scores: list[Scores]) -> list[list[str]]:
    """What the clips together show, with what is asked."""

    def mean(field: str) -> float:
        return float(np.nanmean([getattr(item, field) for item in scores]))

    beats = sum(item.beats for item in scores)
    hits = {name: sum(getattr(item, name) for item in scores) for name in ("diastoles_hit", "systoles_hit")}
    peaks = [item.peak_error_percent for item in scores]
    return [
        ["mean error per frame, single frames, mm", "", f"{mean('error_single'):.2f}"],
        ["mean error per frame, smoothed, mm", "", f"{mean('error_smooth'):.2f}"],
        ["end-diastole within 1 frame", ">= 90 %", f"{100 * hits['diastoles_hit'] / beats:.0f} % of {beats} beats"],
        ["end-systole within 1 frame", ">= 90 %", f"{100 * hits['systoles_hit'] / beats:.0f} % of {beats} beats"],
        ["peak LV length from the truth, mean", "<= 3 %", f"{np.nanmean(peaks):.1f} %"],
        ["clips with the peak within 3 %", "", f"{sum(peak <= 3 for peak in peaks)} of {len(peaks)}"],
        ["LV length at end-diastole, smoothed against single frames", "", f"{mean('peak_kept_percent'):+.2f} %"],
        ["the same, smoothed without the pictures' rhythm", "", f"{mean('peak_kept_without_rhythm_percent'):+.2f} %"],
        ["jitter, smoothed over single frames", "<= 0.5", f"{mean('jitter_smooth') / mean('jitter_single'):.2f}"],
    ]


def main(
    data: Annotated[Path, typer.Argument(help="Folder of the datasets.")],
    patients: int = typer.Option(20, help="How many of the validation split."),
    model: str = typer.Option("lite", help="Id of a model, or its folder."),
) -> None:
    """Print the tables of the clips with a known truth and of the change of length."""
    points, cases = camus(data)
    names = sorted({row["subject"] for row in cases.values() if row["split"] == "val"})
    detector = LandmarkDetector(SCHEME, model)
    scores, start = [], time.process_time()
    for number, patient in enumerate(names[:patients]):
        truth = truth_clip(data, patient, points, number)
        detection = detected(detector, truth)
        scores.append(score(detection.track, detection, truth))
        print(patient, scores[-1], file=sys.stderr)
    print(f"{processor_name()}; {time.process_time() - start:.0f} s of processor time")
    print_table(
        f"{len(scores)} clips with a known truth, model {model}", ("", "asked", "measured"), summary_rows(scores)
    )
    error, correlation, count = change_of_length(data, detector, names)
    rows = [
        ["mean absolute error, mm", "<= 4", f"{error:.1f}"],
        ["correlation with the masks'", "", f"{correlation:.2f}"],
    ]
    print_table(f"Change of the LV long axis from ED to ES, {count} patients", ("", "asked", "measured"), rows)


if __name__ == "__main__":
    typer.run(main)
