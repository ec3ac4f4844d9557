"""Clips as volume sequences: what comes back from the scene, its times, and what is no clip."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from clip_scenes import FRAMES, a_scene_with_a_clip

from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.mrml import clip_from_volume, frames_of
from MedLandmarkLib.mrml.sequences import browser_of, sequence_of

__all__ = ["a_scene_with_a_clip"]


def test_a_clip_comes_back_from_the_scene_as_it_went_in(a_scene_with_a_clip) -> None:
    desk = a_scene_with_a_clip
    again = clip_from_volume(desk.scene, desk.volume)
    assert frames_of(desk.scene, desk.volume) == again.frame_count == FRAMES
    assert again.size_wh == desk.clip.size_wh
    np.testing.assert_allclose(again.ijk_to_ras, desk.clip.ijk_to_ras)
    np.testing.assert_allclose(again.times_s, desk.clip.times_s, atol=1e-6)
    assert again.calibration == desk.clip.calibration
    for frame in (0, 17, FRAMES - 1):
        np.testing.assert_array_equal(again.picture(frame), desk.clip.picture(frame))


def test_playing_shows_the_pictures_one_after_another(a_scene_with_a_clip) -> None:
    desk = a_scene_with_a_clip
    browser = browser_of(desk.scene, desk.volume)
    for frame in (0, 1, 2, 30):
        browser.SetSelectedItemNumber(frame)
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(desk.volume)[0], desk.clip.picture(frame))


def test_a_sequence_that_is_not_indexed_by_time_has_no_times(a_scene_with_a_clip) -> None:
    desk = a_scene_with_a_clip
    sequence_of(desk.scene, desk.volume).SetIndexUnit("")
    clip = clip_from_volume(desk.scene, desk.volume)
    assert clip.times_s is None
    assert "not by time" in clip.time_source


def test_times_in_milliseconds_are_understood(a_scene_with_a_clip) -> None:
    desk = a_scene_with_a_clip
    sequence_of(desk.scene, desk.volume).SetIndexUnit("ms")
    clip = clip_from_volume(desk.scene, desk.volume)
    np.testing.assert_allclose(clip.times_s, np.array(desk.clip.times_s) / 1000, atol=1e-6)


def test_a_single_image_is_no_clip(a_scene_with_a_clip) -> None:
    scene = a_scene_with_a_clip.scene
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "still")
    slicer.util.updateVolumeFromArray(volume, np.zeros((1, 40, 50), np.uint8))
    assert frames_of(scene, volume) == 1
    with pytest.raises(ImageError, match="still"):
        clip_from_volume(scene, volume)


def test_frames_of_another_size_are_named(a_scene_with_a_clip) -> None:
    desk = a_scene_with_a_clip
    frame = sequence_of(desk.scene, desk.volume).GetNthDataNode(9)
    slicer.util.updateVolumeFromArray(frame, np.zeros((1, 100, 90, 3), np.uint8))
    with pytest.raises(ImageError, match="Frame 9"):
        clip_from_volume(desk.scene, desk.volume)
