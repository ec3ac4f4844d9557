"""A clip with a known truth, made from a real patient: beats, peaks and jitter. All 20: Benchmarks/cine.py."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.real_data


def test_a_clip_made_from_a_patient_is_followed(
    the_data_folder: Path, the_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(the_repository / "Testing" / "Benchmarks"))
    import cine

    from MedLandmarkLib.detection import LandmarkDetector

    points, _ = cine.camus(the_data_folder)
    truth = cine.truth_clip(the_data_folder, "patient0345", points, seed=0)
    assert truth.es_misfit_px < 3  # the clip reaches the shape of end-systole
    detection = cine.detected(LandmarkDetector(cine.SCHEME), truth)
    scores = cine.score(detection.track, detection, truth)
    assert (scores.diastoles_hit, scores.systoles_hit, scores.beats_found) == (3, 3, 3)
    assert scores.jitter_smooth <= 0.5 * scores.jitter_single and scores.error_smooth <= scores.error_single
    assert scores.peak_error_percent <= 3 and abs(scores.peak_kept_percent) <= 1
    assert detection.measurement.heart_rate.bpm == pytest.approx(60 / 0.8, rel=0.03)
