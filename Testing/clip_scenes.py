"""A clip in a scene, and the landmarks of a heart that beats in it, as a review has them open."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import slicer
from scenes import SceneHost, errors_in_callbacks

from MedLandmarkLib.image import Calibration
from MedLandmarkLib.image.clip import clip_from_pixels
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.mrml import CommandStack, add_clip, create_clip_result, open_review
from MedLandmarkLib.scheme import load_scheme
from MedLandmarkLib.track import Track

A4C = load_scheme("a4c-4")
FRAMES, RATE_HZ, BEAT_S = 60, 30.0, 1.0
PLACES = np.array([(80.0, 150.0), (120.0, 150.0), (100.0, 40.0), (100.0, 190.0)])  # in the scheme's order below


def a_clip(spacing_mm: float | None = 0.5, times: bool = True):
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 255, (FRAMES, 220, 200), dtype=np.uint8)
    matrix = np.diag((-1.0, -1.0, 1.0, 1.0))
    calibration = Calibration("none", "made up")
    if spacing_mm:
        matrix[:2, :2] *= spacing_mm
        calibration = Calibration("calibrated", "made up", (spacing_mm, spacing_mm))
    times_s = tuple(np.arange(FRAMES) / RATE_HZ) if times else None
    return clip_from_pixels(pixels, ijk_to_ras=matrix, calibration=calibration, times_s=times_s)


def beating_track(clip) -> Track:
    """The apex goes down and the hinges go up and back once in a beat; every point has a pixel of noise."""
    rng, detected = np.random.default_rng(7), []
    order = {name: number for number, name in enumerate(A4C.names)}
    for frame in range(clip.frame_count):
        squeeze = 0.5 - 0.5 * np.cos(2 * np.pi * frame / RATE_HZ / BEAT_S)
        landmarks = []
        for name, number in order.items():
            x, y = PLACES[number]
            y += (18.0 if y < 100 else -18.0) * squeeze
            ijk = (float(x + rng.normal(0, 0.4)), float(y + rng.normal(0, 0.4)), 0.0)
            ras = clip.ras_from_ijk(np.array(ijk))
            landmarks.append(
                Landmark(name, ijk=ijk, ras=None if ras is None else tuple(ras.tolist()), status=Status.PREDICTED,
                         confidence=0.9, score=0.8, predicted_ijk=ijk)
            )  # fmt: skip
        detected.append(LandmarkSet(A4C.id, tuple(landmarks), frame))
    matrix = None if clip.calibration.kind == "none" else clip.ijk_to_ras
    return Track(A4C.id, tuple(detected), times_s=clip.times_s, ijk_to_ras=matrix)


@pytest.fixture
def a_scene_with_a_clip():
    host = SceneHost()
    host.sequences = slicer.vtkSlicerSequencesLogic()
    host.sequences.SetMRMLApplicationLogic(host.application)
    host.sequences.SetMRMLScene(host.scene)
    clip = a_clip()
    volume = add_clip(host.scene, clip, "loop")
    with errors_in_callbacks() as errors:
        yield SimpleNamespace(host=host, scene=host.scene, clip=clip, volume=volume)
    assert not errors


@pytest.fixture
def a_reviewed_clip(a_scene_with_a_clip):
    desk = a_scene_with_a_clip
    desk.track = beating_track(desk.clip)
    desk.node = create_clip_result(desk.scene, desk.volume, desk.track, A4C, heart_rate_bpm=61.0)
    desk.stack = CommandStack()
    desk.review = open_review(desk.scene, desk.node, desk.stack)
    yield desk
    desk.review.close()


def column(node, name: str) -> list:
    values = node.GetTable().GetColumnByName(name)
    assert values is not None, name
    return [values.GetValue(number) for number in range(values.GetNumberOfValues())]


def shown(desk, number: int) -> np.ndarray:
    return np.array(desk.node.GetNthControlPointPositionWorld(number))
