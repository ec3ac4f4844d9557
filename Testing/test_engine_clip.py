"""A clip on its way to the worker, and its track on the way back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from MedLandmarkLib.engine.clip_exchange import (
    clip_document,
    clip_fields,
    clip_from_fields,
    track_of_document,
    write_pictures,
)
from MedLandmarkLib.errors import EngineError, ImageError, MedLandmarkError
from MedLandmarkLib.image import Calibration
from MedLandmarkLib.image.clip import clip_from_pixels
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.track import Track, track_to_fields


@dataclass(frozen=True)
class Model:
    id: str
    version: str
    sha256: str


@pytest.fixture
def a_clip():
    pixels = np.random.default_rng(3).integers(0, 255, (12, 30, 40), dtype=np.uint8)
    return clip_from_pixels(
        pixels,
        ijk_to_ras=np.diag((-0.4, -0.3, 1.0, 1.0)),
        calibration=Calibration("calibrated", "made up", (0.4, 0.3)),
        times_s=np.arange(12) / 25,
        time_source="made up",
        heart_rate_bpm=72.0,
    )


def sent(fields: dict) -> dict:
    """What arrives where it was written as JSON."""
    return json.loads(json.dumps(fields, allow_nan=False))


def test_a_clip_arrives_as_it_was_sent(a_clip, tmp_path) -> None:
    path = tmp_path / "clip.npy"
    write_pictures(a_clip, path, lambda: False)
    there = clip_from_fields(sent(clip_fields(a_clip, path)))
    assert (there.size_wh, there.frame_count) == (a_clip.size_wh, 12)
    assert (there.times_s, there.time_source, there.heart_rate_bpm) == (a_clip.times_s, "made up", 72.0)
    assert there.calibration == a_clip.calibration
    np.testing.assert_array_equal(there.ijk_to_ras, a_clip.ijk_to_ras)
    for one, other in zip(there.pictures(), a_clip.pictures(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_pictures_that_nobody_wants_any_more_are_not_written(a_clip, tmp_path) -> None:
    path, asked = tmp_path / "clip.npy", []
    write_pictures(a_clip, path, lambda: len(asked.append(0) or asked) > 3)
    assert path.stat().st_size < 5 * 30 * 40 * 3
    with pytest.raises(ImageError, match=r"clip\.npy"):
        clip_from_fields(clip_fields(a_clip, path))


@pytest.mark.parametrize("name", ["calibration", "times_s", "ijk_to_ras", "pixels"])
def test_a_clip_without_a_field_is_refused(a_clip, tmp_path, name: str) -> None:
    path = tmp_path / "clip.npy"
    write_pictures(a_clip, path, lambda: False)
    fields = clip_fields(a_clip, path)
    del fields[name]
    with pytest.raises(EngineError, match=name):
        clip_from_fields(fields)


def test_a_track_comes_back_as_it_left(a_clip) -> None:
    detected = tuple(
        LandmarkSet(
            "a4c-4", (Landmark("a", ijk=(1.25 * f, 2.0, 0.0), status=Status.PREDICTED, confidence=0.9, score=0.1),), f
        )
        for f in range(12)
    )
    track = Track("a4c-4", detected, times_s=a_clip.times_s, ijk_to_ras=a_clip.ijk_to_ras)
    document = clip_document(
        SimpleNamespace(
            track=track, model=Model("lite", "1", "0" * 64), settings={"device": "cpu"}, notes=("one",),
            sector=SimpleNamespace(found=True, box=np.array([1, 2, 3, 4])),
        )
    )  # fmt: skip
    assert len(document["frames"]) == 12
    assert track_to_fields(track_of_document(sent(document))) == track_to_fields(track)
    with pytest.raises(MedLandmarkError):
        track_of_document({"frames": []})
