"""Undo and redo of corrections in a clip, where one moved point moves its neighbours in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..track import Track
from .commands import ResultChanged, existing_result
from .sequences import browser_of
from .tracks import track_in_place, track_of, write_track


@dataclass(frozen=True, eq=False)
class TrackChanged(ResultChanged):
    """A change of the landmarks of one frame of a clip; before and after are tracks.

    Undo and redo also go to that frame, for what they change would not be seen from another.
    """

    frame: int

    @property
    def text(self) -> str:
        return f"{super().text} in frame {self.frame}"

    @property
    def _what_was_moved(self) -> tuple[Any, ...]:
        return *super()._what_was_moved, self.frame

    def _write(self, points: Track) -> None:
        node = existing_result(self.scene, self.result_id)
        # The clip may have been calibrated since; the pixels are what counts.
        place = track_of(self.scene, node).ijk_to_ras
        browser = browser_of(self.scene, node)
        if browser is not None:
            browser.SetSelectedItemNumber(self.frame)
        write_track(self.scene, node, track_in_place(points, place))
