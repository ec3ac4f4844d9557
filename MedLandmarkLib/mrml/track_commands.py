"""Undo and redo of corrections in a clip, where one moved point moves its neighbours in time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..track import Track
from .commands import Command, existing_result
from .sequences import browser_of
from .tracks import track_in_place, track_of, write_track


@dataclass(frozen=True, eq=False)
class TrackChanged:
    """Landmarks of one frame of a clip that were edited, accepted, reverted or marked missing.

    Undo and redo also go to that frame, for what they change would not be seen from another.
    """

    scene: Any
    result_id: str
    action: str
    names: tuple[str, ...]
    frame: int
    before: Track
    after: Track

    @property
    def text(self) -> str:
        what = self.names[0] if len(self.names) == 1 else f"{len(self.names)} landmarks"
        return f"{self.action} {what} in frame {self.frame}"

    def undo(self) -> None:
        self._write(self.before)

    def redo(self) -> None:
        self._write(self.after)

    def merged_with(self, later: Command) -> Command | None:
        """Drags of one point in one frame that follow each other are one."""
        is_one_drag = (
            isinstance(later, TrackChanged)
            and len(self.names) == 1
            and self.action == later.action == "edit"
            and (self.result_id, self.names, self.frame) == (later.result_id, later.names, later.frame)
        )
        return replace(later, before=self.before) if is_one_drag else None

    def _write(self, track: Track) -> None:
        node = existing_result(self.scene, self.result_id)
        # The clip may have been calibrated since; the pixels are what counts.
        place = track_of(self.scene, node).ijk_to_ras
        browser = browser_of(self.scene, node)
        if browser is not None:
            browser.SetSelectedItemNumber(self.frame)
        write_track(self.scene, node, track_in_place(track, place))
