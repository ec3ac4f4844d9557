"""A clip's result under review: the frame that is shown as a single image's, and what all frames say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import vtk

from ..errors import MedLandmarkError
from ..landmark import LandmarkSet, Status
from ..measure.cine import CineMeasurement, measure_track
from ..track import Track
from .clip_tables import CurveTable, ValueTable
from .commands import CommandStack
from .lines import SHOWN_KEY
from .plot import CurvePlot
from .results import RESULT_KEY
from .review import Review
from .sequences import browser_of, markups_sequence
from .track_commands import TrackChanged
from .tracks import TRACK_KEY, heart_rate_of, is_clip_result, keep_track_on_pixels, track_of, write_track

_BY_HAND = (Status.EDITED, Status.ACCEPTED, Status.MISSING)


class ClipReview(Review):
    """A review of the frame that the browser shows, whose every change is a key frame of the track.

    An edit keeps its frame, the frames beside it are smoothed anew, and curves, beats, values, tables and plot follow.
    `track` and `measurement` are those of the scene; measurement is None where the scheme measures nothing through
    time. on_track() is called after the track changed, on_frame() after the browser was changed:
    another frame, or playing and stopping.
    """

    def __init__(
        self,
        scene: Any,
        node: Any,
        stack: CommandStack | None = None,
        on_change: Callable[[tuple[str, ...]], None] = lambda names: None,
    ) -> None:
        self.sequence, self.browser = markups_sequence(scene, node), browser_of(scene, node)
        self.track: Track = track_of(scene, node)
        self.on_track: Callable[[], None] = lambda: None
        self.on_frame: Callable[[], None] = lambda: None
        super().__init__(scene, node, stack, on_change)
        self._share_attributes()
        self.curves, self.values = CurveTable(scene, node), ValueTable(scene, node)
        self.plot = CurvePlot(scene, node, self.curves.node)
        self._show_track()
        self._track_text = self.sequence.GetAttribute(TRACK_KEY)
        self._observations.add(self.sequence, vtk.vtkCommand.ModifiedEvent, self._on_sequence)
        self._observations.add(self.browser, vtk.vtkCommand.ModifiedEvent, self._on_browser)
        self._take_over_edits()

    @property
    def frame(self) -> int:
        """The frame that is shown, from 0."""
        return max(0, self.browser.GetSelectedItemNumber())

    def go_to(self, frame: int) -> None:
        """Show a frame. Raises MedLandmarkError where there is none with that number."""
        if not 0 <= frame < len(self.track):
            raise MedLandmarkError(f"There is no frame {frame}: the clip has frames 0 to {len(self.track) - 1}.")
        self.browser.SetSelectedItemNumber(frame)

    def revert(self, names: Iterable[str]) -> tuple[str, ...]:
        """Leave landmarks of this frame to the model again. Returns the names of those that a person had fixed."""
        fixed = self.track.fixed.get(self.frame, {})
        names = tuple(name for name in names if name in fixed)
        track = self.track
        for name in names:
            track = track.without_fixed(self.frame, name)
        if names:
            self._change("revert", names, track)
        return names

    def revert_frame(self) -> tuple[str, ...]:
        """Leave all landmarks of this frame to the model again. Returns the names of those that a person had fixed."""
        return self.revert(self.track.names)

    def show_drawings(self, is_shown: bool) -> None:
        """Show or hide the lines and angles of all frames."""
        super().show_drawings(is_shown)
        self._share_attributes()

    def _push(self, action: str, names: tuple[str, ...], before: LandmarkSet) -> None:
        track = self._with_fixed(names)
        if track is not self.track:
            self._change(action, names, track)

    def _with_fixed(self, names: Iterable[str]) -> Track:
        """The track with landmarks of this frame as they are now; one that is not placed yet fixes nothing."""
        track = self.track
        for name in names:
            if self.landmarks[name].status in _BY_HAND:
                track = track.with_fixed(self.landmarks.frame, self.landmarks[name])
        return track

    def _change(self, action: str, names: tuple[str, ...], track: Track) -> None:
        before, frame, result_id = self.track, self.frame, self.node.GetAttribute(RESULT_KEY)
        write_track(self.scene, self.node, track)
        self.stack.push(TrackChanged(self.scene, result_id, action, names, before, track, frame))

    def _read(self) -> None:
        super()._read()
        self.prediction = self.track.detected[self.landmarks.frame]

    def _show_track(self) -> None:
        self.measurement: CineMeasurement | None = None
        if self.scheme.cine is not None:
            rate = heart_rate_of(self.scene, self.node)
            self.measurement = measure_track(self.track, self.scheme, heart_rate_bpm=rate)
        self.curves.update(self.track, self.measurement, self.scheme)
        self.values.update(self.measurement)
        self.plot.update(self.track, self.measurement, self.scheme)

    def _on_sequence(self) -> None:
        """The track was changed, here, by undo or by a calibration."""
        text = self.sequence.GetAttribute(TRACK_KEY)
        if text == self._track_text:
            return
        self._track_text, self.track = text, track_of(self.scene, self.node)
        self._read()
        self._show_track()
        self.on_track()

    def _on_browser(self) -> None:
        self.on_frame()

    def _on_volume(self) -> None:
        super()._on_volume()
        if self.node.GetScene() is not None:
            keep_track_on_pixels(self.scene, self.node)

    def _share_attributes(self) -> None:
        """Let every frame carry what belongs to the result and not to a frame: showing one copies its attributes.

        That is its id, which is a new one in a scene imported twice, and whether its drawings are shown.
        """
        for number in range(self.sequence.GetNumberOfDataNodes()):
            node = self.sequence.GetNthDataNode(number)
            for key in (RESULT_KEY, SHOWN_KEY):
                if node.GetAttribute(key) != self.node.GetAttribute(key):
                    node.SetAttribute(key, self.node.GetAttribute(key))

    def _take_over_edits(self) -> None:
        """Points of the frame shown that were moved while nobody watched become key frames too."""
        known = self.track.frames[self.landmarks.frame]
        names = [
            item.name for item in self.landmarks if item.status in _BY_HAND and item.status != known[item.name].status
        ]
        track = self._with_fixed(names)
        if track is not self.track:
            write_track(self.scene, self.node, track)


def open_review(
    scene: Any, node: Any, stack: CommandStack, on_change: Callable[[tuple[str, ...]], None] = lambda names: None
) -> Review:
    """The review that fits a result: a ClipReview where its landmarks run through a clip. Raises MedLandmarkError."""
    return (ClipReview if is_clip_result(scene, node) else Review)(scene, node, stack, on_change)
